/* SPDX-License-Identifier: Apache-2.0 */
/** An option that would be written behind the options struct. */
#include "so.h"

static const omc_source_ops ops = {.size = sizeof ops, .poll = idle_poll};
static const omc_option table[] = {
    {.name = "list", .type = OMC_OPT_LIST, .offset = 8},
};
static const omc_plugin plugin = {
    SO_PLUGIN_HEAD,    .name = "bad-offset",           .options = table,
    .option_count = 1, .option_size = sizeof table[0], .options_size = 16,
    .ops = &ops};

SO_ENTRY(&plugin)
