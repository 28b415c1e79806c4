/* SPDX-License-Identifier: Apache-2.0 */
/** What every unit test includes: cmocka with the headers it wants before it. */
#ifndef RC_UNIT_H
#define RC_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
