/* SPDX-License-Identifier: Apache-2.0 */
/** A name with a blank and capitals. */
#include "so.h"

static const omc_source_ops ops = {.size = sizeof ops, .poll = idle_poll};
static const omc_plugin plugin = {SO_PLUGIN_HEAD, .name = "Bad Name", .ops = &ops};

SO_ENTRY(&plugin)
