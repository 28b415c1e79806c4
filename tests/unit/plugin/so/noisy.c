/* SPDX-License-Identifier: Apache-2.0 */
/** Prints while it is loaded; that must not be taken for the answer of the probe. */
#include "so.h"

#include <unistd.h>

static const omc_source_ops ops = {.size = sizeof ops, .poll = idle_poll};
static const omc_plugin plugin = {SO_PLUGIN_HEAD, .name = "noisy-source", .ops = &ops};

__attribute__((constructor)) static void print(void)
{
    if (write(1, "{\"error\": 1}\n", 13) < 0)
        _exit(4);
}

SO_ENTRY(&plugin)
