/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Plugins that are not native: folders with a `connector.json`, and Java's jars. They are found by
 * reading the manifest or by asking a host, and live in hosts only. Any thread.
 */
#ifndef RC_HOST_FOREIGN_H
#define RC_HOST_FOREIGN_H

#include "host/hosts.h"
#include "plugin/registry.h"

#define RC_MANIFEST_NAME "connector.json"

/** Whether a file or folder of pluginPaths is one of ours. */
bool rc_foreign_wants(const char *path);

/**
 * The plugins of a manifest, an archive, or a folder of archives.
 * @param refused   Told of what the host could not use of it.
 * @param[out] ret  NULL-terminated; lives as long as the hosts.
 * @return 0, or why not, without the path in it; -OMC_ENOTFOUND when there is no plugin in it and
 *         nothing wrong with it.
 */
int rc_foreign_load(rc_hosts *hosts, const char *path, rc_refused_fn *refused, void *refused_arg,
                    const omc_plugin *const **ret, rc_error *err);

#endif
