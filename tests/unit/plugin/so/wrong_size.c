/* SPDX-License-Identifier: Apache-2.0 */
/** Says a size no omc_plugin ever had. */
#include "so.h"

static const omc_source_ops ops = {.size = sizeof ops, .poll = idle_poll};
static const omc_plugin plugin = {
    .abi = OMC_ABI_CURRENT, .size = 8, .kind = OMC_SOURCE, .name = "short-source", .ops = &ops};

SO_ENTRY(&plugin)
