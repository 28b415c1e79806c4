/* SPDX-License-Identifier: Apache-2.0 */
/** A library that is no plugin. */
#include "so.h"

OMC_EXPORT int answer(void);
OMC_EXPORT int answer(void)
{
    return idle_poll(NULL, NULL, 0, NULL) + 42;
}
