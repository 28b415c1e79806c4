/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Plugins that are not native: folders with a `connector.json`, and Java's jars. They are found by
 * reading the manifest or by asking a host, and live in hosts only. Any thread.
 */
#ifndef RC_HOST_FOREIGN_H
#define RC_HOST_FOREIGN_H

#include "host/hosts.h"

#define RC_MANIFEST_NAME "connector.json"

/** Whether a file or folder of pluginPaths is one of ours. */
bool rc_foreign_wants(const char *path);

/**
 * The plugins of a manifest, an archive, or a folder of archives.
 * @param[out] ret  NULL-terminated; lives as long as the hosts.
 * @return 0, or why not, without the path in it.
 */
int rc_foreign_load(rc_hosts *hosts, const char *path, const omc_plugin *const **ret,
                    rc_error *err);

#endif
