/* SPDX-License-Identifier: Apache-2.0 */
/** Its function table says a size beyond the header's. */
#include "so.h"

static const omc_source_ops ops = {.size = 4096, .poll = idle_poll};
static const omc_plugin plugin = {SO_PLUGIN_HEAD, .name = "big-source", .ops = &ops};

SO_ENTRY(&plugin)
