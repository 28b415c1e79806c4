/* SPDX-License-Identifier: Apache-2.0 */
/** Durations, sizes and numbers as people write them. Any thread. */
#ifndef RC_UNITS_H
#define RC_UNITS_H

#include "base/base.h"

/** Whole decimal number, optional sign, nothing else around. 0 or -OMC_EINVAL (ret untouched). */
int rc_parse_int64(rc_slice text, int64_t *ret);
/** "0", "250" (ms), "250ms", "3s", "5m", "2h", "1d". Not negative. 0 or -OMC_EINVAL. */
int rc_parse_duration(rc_slice text, int64_t *ret_ms);
/** "4096", "64k", "64KiB", "1M", "1MiB", "2GiB", "1TiB" (powers of 1024). 0 or -OMC_EINVAL. */
int rc_parse_size(rc_slice text, int64_t *ret_bytes);
/** "true"/"false", any case. 0 or -OMC_EINVAL. */
int rc_parse_bool(rc_slice text, bool *ret);
/** "1.5 MiB", "312 B"; `out` holds 24 bytes. Returns out. */
const char *rc_format_size(int64_t bytes, char out[24]);
/** "250 ms", "3.2 s", "5 min 3 s", "2 h 5 min"; returns out. */
const char *rc_format_duration(int64_t ms, char out[32]);
/** "1,234,567"; returns out. */
const char *rc_format_count(int64_t n, char out[32]);
/** Nearest of `count` candidates by edit distance (at most a third of the length), or NULL. */
const char *rc_nearest(const char *word, const char *const *candidates, size_t count);

#endif
