/* SPDX-License-Identifier: Apache-2.0 */
/** A default that is no value of its own type. */
#include "so.h"

static const omc_source_ops ops = {.size = sizeof ops, .poll = idle_poll};
static const omc_option table[] = {
    {.name = "size", .type = OMC_OPT_SIZE, .default_value = "lots", .offset = 0},
};
static const omc_plugin plugin = {
    SO_PLUGIN_HEAD,    .name = "bad-default",          .options = table,
    .option_count = 1, .option_size = sizeof table[0], .options_size = 8,
    .ops = &ops};

SO_ENTRY(&plugin)
