/* SPDX-License-Identifier: Apache-2.0 */
/** The services every plugin gets: one constant table, the same for built-in and loaded ones. */
#include "base/diag.h"
#include "plugin/registry.h"

static void host_log(omc_log_level level, const char *component, const char *fmt, ...)
    OMC_PRINTF(3, 4);

static rc_plugin_log_fn *log_to = rc_diag_v;

static void host_log(omc_log_level level, const char *component, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_to(level, component ? component : "plugin", fmt, ap);
    va_end(ap);
}

void rc_plugin_host_log(rc_plugin_log_fn *log)
{
    log_to = log;
}

static const omc_host host = {
    .size = sizeof(omc_host),
    .abi = OMC_ABI_CURRENT,
    .name = "rocketmq-connect",
    .version = RC_VERSION,
    .log = host_log,
};

const omc_host *rc_plugin_host(void)
{
    return &host;
}
