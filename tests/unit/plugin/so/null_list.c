/* SPDX-License-Identifier: Apache-2.0 */
/** Its entry refuses the host. */
#include "so.h"

OMC_EXPORT const omc_plugin *const *omc_plugin_entry(uint32_t host_abi, const omc_host *host);
OMC_EXPORT const omc_plugin *const *omc_plugin_entry(uint32_t host_abi, const omc_host *host)
{
    (void)host_abi, (void)host;
    return NULL;
}

int (*const unused_poll)(void *, omc_batch *, int64_t, omc_error *) = idle_poll;
