/* SPDX-License-Identifier: Apache-2.0 */
/** Needs a function nobody has: RTLD_NOW must notice. */
#include "so.h"

extern int nobody_has_this(void);

static int poll_it(void *task, omc_batch *out, int64_t timeout_ms, omc_error *err)
{
    return idle_poll(task, out, timeout_ms, err) + nobody_has_this();
}

static const omc_source_ops ops = {.size = sizeof ops, .poll = poll_it};
static const omc_plugin plugin = {SO_PLUGIN_HEAD, .name = "needy", .ops = &ops};

SO_ENTRY(&plugin)
