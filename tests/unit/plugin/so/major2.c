/* SPDX-License-Identifier: Apache-2.0 */
/** Built with the headers of the next major. */
#include "so.h"

static const omc_source_ops ops = {.size = sizeof ops, .poll = idle_poll};
static const omc_plugin plugin = {
    .abi = 2u << 16, .size = sizeof plugin, .kind = OMC_SOURCE, .name = "new-source", .ops = &ops};

SO_ENTRY(&plugin)
