/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The injected clock. Code that measures or waits takes an `rc_clock *`, so that tests decide
 * what time it is. rc_clock_real() is the system's; a fake one moves only when told.
 */
#ifndef RC_CLOCK_H
#define RC_CLOCK_H

#include "base/base.h"

#include <pthread.h>

typedef struct rc_clock {
    /** Milliseconds since 1970; may jump. For people and records only. */
    int64_t (*wall_ms)(struct rc_clock *clock);
    /** Nanoseconds since some start; never goes back. For durations and deadlines. */
    int64_t (*mono_ns)(struct rc_clock *clock);
    /**
     * Waits on `cond` until signalled or until mono_ns reaches `deadline_ns` (INT64_MAX = no
     * deadline). `cond` must come from rc_cond_init(). May wake early, like any wait.
     * @return 0, or -OMC_ETIMEDOUT.
     */
    int (*wait)(struct rc_clock *clock, pthread_cond_t *cond, pthread_mutex_t *mu,
                int64_t deadline_ns);
} rc_clock;

rc_clock *rc_clock_real(void);
/** A condition variable on the monotonic clock, as rc_clock.wait needs it. */
void rc_cond_init(pthread_cond_t *cond);

/** Wall time in ms as of the kernel's last tick, up to 10 ms ago: a tenth of the price of
 *  rc_now_ms(), for stamps that are made by the million. Real time only. */
int64_t rc_coarse_now_ms(void);

static inline int64_t rc_now_ms(rc_clock *clock)
{
    return clock->wall_ms(clock);
}
static inline int64_t rc_mono_ns(rc_clock *clock)
{
    return clock->mono_ns(clock);
}
static inline int64_t rc_mono_ms(rc_clock *clock)
{
    return clock->mono_ns(clock) / 1000000;
}

/** Fake clock for tests: both times move only by rc_fake_clock_advance(), which wakes waiters. */
typedef struct rc_fake_clock rc_fake_clock;
rc_fake_clock *rc_fake_clock_new(int64_t wall_ms);
void rc_fake_clock_free(rc_fake_clock *clock);
rc_clock *rc_fake_clock_clock(rc_fake_clock *clock);
void rc_fake_clock_advance(rc_fake_clock *clock, int64_t ms);

/** "2026-11-22T18:43:49.123Z" of `wall_ms` in `out` (25 bytes). */
void rc_format_time(int64_t wall_ms, char out[32]);

#endif
