/* SPDX-License-Identifier: Apache-2.0 */
/** Connector functions without a state: they would never be called. */
#include "so.h"

static int start(void *connector, const omc_connector_context *ctx, omc_error *err)
{
    (void)ctx;
    return idle_poll(connector, NULL, 0, err);
}

static const omc_source_ops ops = {.size = sizeof ops, .connector_start = start, .poll = idle_poll};
static const omc_plugin plugin = {SO_PLUGIN_HEAD, .name = "half-source", .ops = &ops};

SO_ENTRY(&plugin)
