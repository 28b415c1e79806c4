/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What the plugins of the ABI tests share: a source that never has records, and the entry. Each
 * .c file beside this one is one `.so` with one thing right or wrong.
 */
#ifndef RC_TEST_SO_H
#define RC_TEST_SO_H

#include <openmessaging/connect.h>

static inline int idle_poll(void *task, omc_batch *out, int64_t timeout_ms, omc_error *err)
{
    (void)task, (void)out, (void)timeout_ms, (void)err;
    return 0;
}

/** The members every test source begins with; later designators may change them. */
#define SO_PLUGIN_HEAD                                                                          \
    .abi = OMC_ABI_CURRENT, .size = sizeof(omc_plugin), .kind = OMC_SOURCE, .version = "1.0.0", \
    .doc = "A test."

#define SO_ENTRY(...)                                                                              \
    OMC_EXPORT const omc_plugin *const *omc_plugin_entry(uint32_t host_abi, const omc_host *host); \
    OMC_EXPORT const omc_plugin *const *omc_plugin_entry(uint32_t host_abi, const omc_host *host)  \
    {                                                                                              \
        static const omc_plugin *const list[] = {__VA_ARGS__, NULL};                               \
                                                                                                   \
        (void)host_abi, (void)host;                                                                \
        return list;                                                                               \
    }

#endif
