/* SPDX-License-Identifier: Apache-2.0 */
/** Another package with the same simple class name: no conflict, but no short name either. */
#include "so.h"

static const omc_source_ops ops = {.size = sizeof ops, .poll = idle_poll};
static const omc_plugin plugin = {SO_PLUGIN_HEAD, .name = "alias-source",
                                  .classes = "com.other.GoodSourceConnector", .ops = &ops};

SO_ENTRY(&plugin)
