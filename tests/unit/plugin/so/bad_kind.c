/* SPDX-License-Identifier: Apache-2.0 */
/** A kind nobody knows. */
#include "so.h"

static const omc_source_ops ops = {.size = sizeof ops, .poll = idle_poll};
static const omc_plugin plugin = {
    .abi = OMC_ABI_CURRENT, .size = sizeof plugin, .kind = 77, .name = "odd", .ops = &ops};

SO_ENTRY(&plugin)
