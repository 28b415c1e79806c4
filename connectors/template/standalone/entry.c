/* SPDX-License-Identifier: Apache-2.0 */
/** The one exported symbol of a connector library: the list of its plugins. */
#include <openmessaging/connect.h>

extern const omc_plugin template_source_plugin;
extern const omc_plugin template_sink_plugin;

OMC_EXPORT const omc_plugin *const *omc_plugin_entry(uint32_t host_abi, const omc_host *host);

const omc_plugin *const *omc_plugin_entry(uint32_t host_abi, const omc_host *host)
{
    static const omc_plugin *const plugins[] = {
        &template_source_plugin,
        &template_sink_plugin,
        NULL,
    };

    (void)host;
    return host_abi >> 16 == OMC_ABI_MAJOR ? plugins : NULL;
}
