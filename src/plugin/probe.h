/* SPDX-License-Identifier: Apache-2.0 */
/** Probing a `.so` in a child process; the child's half is rc_plugin_probe_main(). */
#ifndef RC_PLUGIN_PROBE_H
#define RC_PLUGIN_PROBE_H

#include "base/base.h"

/** Most bytes a probing child may print. */
#define RC_PROBE_OUTPUT_MAX ((size_t)1 << 20)

/**
 * Runs `self plugin probe <path>` and waits for it. Any thread; blocks up to `timeout_ms`.
 * @return 0 when the file can be loaded, else why not, without the path in it.
 */
int rc_plugin_probe(const char *self, const char *path, int64_t timeout_ms, rc_error *err);

#endif
