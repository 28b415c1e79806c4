/* SPDX-License-Identifier: Apache-2.0 */
/** Built with the headers of a later minor. */
#include "so.h"

static const omc_source_ops ops = {.size = sizeof ops, .poll = idle_poll};
static const omc_plugin plugin = {.abi = OMC_ABI_MAJOR << 16 | 7,
                                  .size = sizeof plugin + 64,
                                  .kind = OMC_SOURCE,
                                  .name = "new-source",
                                  .ops = &ops};

SO_ENTRY(&plugin)
