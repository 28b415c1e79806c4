/* SPDX-License-Identifier: Apache-2.0 */
/** A source without the required poll. */
#include "so.h"

static int start(void *task, omc_error *err)
{
    return idle_poll(task, NULL, 0, err);
}

static const omc_source_ops ops = {.size = sizeof ops, .start = start};
static const omc_plugin plugin = {SO_PLUGIN_HEAD, .name = "mute-source", .ops = &ops};

SO_ENTRY(&plugin)
