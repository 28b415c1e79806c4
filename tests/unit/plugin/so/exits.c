/* SPDX-License-Identifier: Apache-2.0 */
/** Ends the process in a constructor. */
#include "so.h"

#include <unistd.h>

static const omc_source_ops ops = {.size = sizeof ops, .poll = idle_poll};
static const omc_plugin plugin = {SO_PLUGIN_HEAD, .name = "exits", .ops = &ops};

__attribute__((constructor)) static void leave(void)
{
    _exit(3);
}

SO_ENTRY(&plugin)
