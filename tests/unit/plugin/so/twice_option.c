/* SPDX-License-Identifier: Apache-2.0 */
/** The same option twice, once as an alias. */
#include "so.h"

static const omc_source_ops ops = {.size = sizeof ops, .poll = idle_poll};
static const omc_option table[] = {
    {.name = "path", .type = OMC_OPT_STRING, .offset = 0},
    {.name = "file", .type = OMC_OPT_STRING, .offset = 8, .aliases = "filename, path"},
};
static const omc_plugin plugin = {
    SO_PLUGIN_HEAD,    .name = "twice-option",         .options = table,
    .option_count = 2, .option_size = sizeof table[0], .options_size = 16,
    .ops = &ops};

SO_ENTRY(&plugin)
