/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Counts of durations in log-linear buckets: 4 per power of two, 1 µs to about 1 h, error ≤ 12 %.
 * Recording is one relaxed atomic add per bucket and sum; reading may run beside it.
 */
#ifndef RC_HISTOGRAM_H
#define RC_HISTOGRAM_H

#include "base/base.h"

#include <stdatomic.h>

#define RC_HISTOGRAM_BUCKETS 132

typedef struct rc_histogram {
    _Atomic uint64_t buckets[RC_HISTOGRAM_BUCKETS];
    _Atomic uint64_t count;
    _Atomic uint64_t sum_us;
} rc_histogram;

void rc_histogram_record(rc_histogram *h, int64_t us);
uint64_t rc_histogram_count(const rc_histogram *h);
/** Value in µs below which the share `q` (0..1) of the recorded ones lies; 0 when empty. */
int64_t rc_histogram_quantile(const rc_histogram *h, double q);
/** Greatest value in µs that bucket `i` holds; the same for neighbours that hold none (< 4 µs). */
int64_t rc_histogram_edge(size_t i);

#endif
