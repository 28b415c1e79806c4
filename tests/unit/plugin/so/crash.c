/* SPDX-License-Identifier: Apache-2.0 */
/** Crashes in a constructor. */
#include "so.h"

#include <signal.h>

static const omc_source_ops ops = {.size = sizeof ops, .poll = idle_poll};
static const omc_plugin plugin = {SO_PLUGIN_HEAD, .name = "crash", .ops = &ops};

__attribute__((constructor)) static void crash(void)
{
    (void)raise(SIGSEGV); /* As a wild pointer would, but the same under sanitizers. */
}

SO_ENTRY(&plugin)
