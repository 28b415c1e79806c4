/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Bucket 4e+s holds the values from 2^e * (4+s)/4 up to the next bucket; all are integers, so of
 * the first 8 buckets only those hold anything whose range has one. The estimate of a bucket is
 * the harmonic mean of its ends, which is off by at most 1/9 at either end.
 */
#include "base/histogram.h"

#include <math.h>

static size_t bucket_of(uint64_t us)
{
    unsigned e;
    size_t i;

    if (us == 0)
        us = 1;
    e = 63u - (unsigned)__builtin_clzll(us);
    /* us * 4 >> e, without leaving 64 bits. */
    i = (size_t)e * 4 + (size_t)((e >= 2 ? us >> (e - 2) : us << (2 - e)) & 3u);
    return RC_MIN(i, (size_t)RC_HISTOGRAM_BUCKETS - 1);
}

/* Smallest integer of bucket `i`, rounded up where the bucket begins between two. */
static int64_t bucket_low(size_t i)
{
    return (int64_t)((((4 + i % 4) << (i / 4)) + 3) / 4);
}

int64_t rc_histogram_edge(size_t i)
{
    RC_ASSERT(i < RC_HISTOGRAM_BUCKETS);
    return bucket_low(i + 1) - 1;
}

void rc_histogram_record(rc_histogram *h, int64_t us)
{
    uint64_t value = us > 0 ? (uint64_t)us : 0;

    atomic_fetch_add_explicit(&h->buckets[bucket_of(value)], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->sum_us, value, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->count, 1, memory_order_relaxed);
}

uint64_t rc_histogram_count(const rc_histogram *h)
{
    return atomic_load_explicit(&h->count, memory_order_relaxed);
}

int64_t rc_histogram_quantile(const rc_histogram *h, double q)
{
    uint64_t counts[RC_HISTOGRAM_BUCKETS];
    uint64_t total = 0;
    uint64_t seen = 0;
    uint64_t want;

    /* The buckets are read once, because writers go on: `count` may not be their sum. */
    for (size_t i = 0; i < RC_HISTOGRAM_BUCKETS; i++)
        total += counts[i] = atomic_load_explicit(&h->buckets[i], memory_order_relaxed);
    if (total == 0)
        return 0;
    want = (uint64_t)ceil(RC_MIN(RC_MAX(q, 0.0), 1.0) * (double)total);
    want = RC_MIN(RC_MAX(want, (uint64_t)1), total);
    for (size_t i = 0; i < RC_HISTOGRAM_BUCKETS; i++) {
        seen += counts[i];
        if (seen >= want) {
            double low = (double)bucket_low(i);
            double high = (double)rc_histogram_edge(i);

            return (int64_t)(2 * low * high / (low + high) + 0.5);
        }
    }
    return 0; /* Not reached: `seen` ends at `total`. */
}
