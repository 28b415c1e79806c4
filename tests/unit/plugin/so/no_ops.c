/* SPDX-License-Identifier: Apache-2.0 */
/** A plugin without functions. */
#include "so.h"

static const omc_plugin plugin = {SO_PLUGIN_HEAD, .name = "empty-source"};

SO_ENTRY(&plugin)

int (*const unused_poll)(void *, omc_batch *, int64_t, omc_error *) = idle_poll;
