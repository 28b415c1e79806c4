/* SPDX-License-Identifier: Apache-2.0 */
/** Answers to a class of good.so. */
#include "so.h"

static const omc_source_ops ops = {.size = sizeof ops, .poll = idle_poll};
static const omc_plugin plugin = {SO_PLUGIN_HEAD, .name = "other-source",
                                  .classes = "org.example.GoodSourceConnector", .ops = &ops};

SO_ENTRY(&plugin)
