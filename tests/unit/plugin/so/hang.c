/* SPDX-License-Identifier: Apache-2.0 */
/** Never comes back from a constructor. */
#include "so.h"

#include <unistd.h>

static const omc_source_ops ops = {.size = sizeof ops, .poll = idle_poll};
static const omc_plugin plugin = {SO_PLUGIN_HEAD, .name = "hang", .ops = &ops};

__attribute__((constructor)) static void hang(void)
{
    for (;;)
        (void)pause();
}

SO_ENTRY(&plugin)
