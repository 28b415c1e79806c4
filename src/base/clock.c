/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The real clock is stateless. The fake clock keeps a list of those who wait for a deadline.
 *
 * Waking them needs their mutex, or a wake-up between their check and their wait is lost; but
 * they hold that mutex while they enter the list. So an advance pins the waiters it found, lets
 * go of the list, and then takes one waiter's mutex after the other; a waiter leaves the list
 * without its mutex, once nobody has it pinned. Never are two locks taken in different orders.
 */
#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <utlist.h>

static int64_t clock_ns(clockid_t id)
{
    struct timespec ts;

    RC_ASSERT(clock_gettime(id, &ts) == 0);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int64_t real_wall_ms(rc_clock *clock)
{
    (void)clock;
    return clock_ns(CLOCK_REALTIME) / 1000000;
}

static int64_t real_mono_ns(rc_clock *clock)
{
    (void)clock;
    return clock_ns(CLOCK_MONOTONIC);
}

static int real_wait(rc_clock *clock, pthread_cond_t *cond, pthread_mutex_t *mu,
                     int64_t deadline_ns)
{
    int64_t at = RC_MAX(deadline_ns, (int64_t)0);
    struct timespec ts = {.tv_sec = at / 1000000000, .tv_nsec = at % 1000000000};
    int r;

    (void)clock;
    if (deadline_ns == INT64_MAX)
        r = pthread_cond_wait(cond, mu);
    else
        r = pthread_cond_timedwait(cond, mu, &ts);
    RC_ASSERT(r == 0 || r == ETIMEDOUT);
    return r == 0 ? 0 : -OMC_ETIMEDOUT;
}

int64_t rc_coarse_now_ms(void)
{
    return clock_ns(CLOCK_REALTIME_COARSE) / 1000000;
}

rc_clock *rc_clock_real(void)
{
    static rc_clock real = {real_wall_ms, real_mono_ns, real_wait};

    return &real;
}

void rc_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    RC_ASSERT(pthread_condattr_init(&attr) == 0);
    RC_ASSERT(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    RC_ASSERT(pthread_cond_init(cond, &attr) == 0);
    (void)pthread_condattr_destroy(&attr);
}

/* ---- fake clock --------------------------------------------------------------------------- */

/* Lives on the stack of the one who waits. */
struct waiter {
    pthread_cond_t *cond;
    pthread_mutex_t *mu;
    int pins; /* Advances that are about to wake this one; guarded by the clock's lock. */
    struct waiter *prev, *next;
};

struct rc_fake_clock {
    rc_clock clock; /* First member. */
    pthread_mutex_t lock;
    pthread_cond_t unpinned;
    int64_t wall_ms; /* This and the rest: guarded by lock. */
    int64_t mono_ns;
    struct waiter *waiters;
};

static rc_fake_clock *fake_of(rc_clock *clock)
{
    return RC_CONTAINER(clock, rc_fake_clock, clock);
}

static int64_t fake_wall_ms(rc_clock *clock)
{
    rc_fake_clock *fake = fake_of(clock);
    int64_t now;

    pthread_mutex_lock(&fake->lock);
    now = fake->wall_ms;
    pthread_mutex_unlock(&fake->lock);
    return now;
}

static int64_t fake_mono_ns(rc_clock *clock)
{
    rc_fake_clock *fake = fake_of(clock);
    int64_t now;

    pthread_mutex_lock(&fake->lock);
    now = fake->mono_ns;
    pthread_mutex_unlock(&fake->lock);
    return now;
}

/* Leaves the list. Called without the waiter's mutex, which a pinning advance may need. */
static void waiter_leave(rc_fake_clock *fake, struct waiter *waiter)
{
    pthread_mutex_lock(&fake->lock);
    while (waiter->pins > 0)
        pthread_cond_wait(&fake->unpinned, &fake->lock);
    DL_DELETE(fake->waiters, waiter);
    pthread_mutex_unlock(&fake->lock);
}

static int fake_wait(rc_clock *clock, pthread_cond_t *cond, pthread_mutex_t *mu,
                     int64_t deadline_ns)
{
    rc_fake_clock *fake = fake_of(clock);
    struct waiter waiter = {.cond = cond, .mu = mu};
    bool late;

    pthread_mutex_lock(&fake->lock);
    late = fake->mono_ns >= deadline_ns;
    if (!late)
        DL_APPEND(fake->waiters, &waiter);
    pthread_mutex_unlock(&fake->lock);
    if (late)
        return -OMC_ETIMEDOUT;
    pthread_cond_wait(cond, mu);
    pthread_mutex_unlock(mu);
    waiter_leave(fake, &waiter);
    pthread_mutex_lock(mu);
    return fake_mono_ns(clock) >= deadline_ns ? -OMC_ETIMEDOUT : 0;
}

rc_fake_clock *rc_fake_clock_new(int64_t wall_ms)
{
    rc_fake_clock *fake = rc_calloc(1, sizeof *fake);

    fake->clock = (rc_clock){fake_wall_ms, fake_mono_ns, fake_wait};
    pthread_mutex_init(&fake->lock, NULL);
    pthread_cond_init(&fake->unpinned, NULL);
    fake->wall_ms = wall_ms;
    fake->mono_ns = 1000000000; /* Not 0: a deadline of 0 means "do not wait" in places. */
    return fake;
}

void rc_fake_clock_free(rc_fake_clock *fake)
{
    if (!fake)
        return;
    RC_ASSERT(!fake->waiters);
    pthread_cond_destroy(&fake->unpinned);
    pthread_mutex_destroy(&fake->lock);
    free(fake);
}

rc_clock *rc_fake_clock_clock(rc_fake_clock *fake)
{
    return &fake->clock;
}

/* Moves time and pins everybody who waits; returns them in an array to free(). */
static struct waiter **advance_and_pin(rc_fake_clock *fake, int64_t ms, size_t *ret_count)
{
    struct waiter **found;
    struct waiter *each;
    int count;

    pthread_mutex_lock(&fake->lock);
    fake->wall_ms += ms;
    fake->mono_ns += ms * 1000000;
    DL_COUNT(fake->waiters, each, count);
    found = rc_calloc((size_t)count, sizeof(struct waiter *));
    *ret_count = 0;
    DL_FOREACH(fake->waiters, each)
    {
        each->pins++;
        found[(*ret_count)++] = each;
    }
    pthread_mutex_unlock(&fake->lock);
    return found;
}

void rc_fake_clock_advance(rc_fake_clock *fake, int64_t ms)
{
    size_t count;
    RC_AUTO_FREE struct waiter **found = advance_and_pin(fake, ms, &count);

    RC_ASSERT(ms >= 0);
    for (size_t i = 0; i < count; i++) {
        pthread_mutex_lock(found[i]->mu);
        pthread_cond_broadcast(found[i]->cond);
        pthread_mutex_unlock(found[i]->mu);
    }
    pthread_mutex_lock(&fake->lock);
    for (size_t i = 0; i < count; i++)
        found[i]->pins--;
    pthread_cond_broadcast(&fake->unpinned);
    pthread_mutex_unlock(&fake->lock);
}

void rc_format_time(int64_t wall_ms, char out[32])
{
    int64_t ms = wall_ms % 1000;
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    size_t len;

    if (ms < 0) {
        ms += 1000;
        seconds--;
    }
    if (!gmtime_r(&seconds, &tm) || tm.tm_year > 9999 - 1900 || tm.tm_year < -1900) {
        (void)snprintf(out, 32, "%lld ms", (long long)wall_ms);
        return;
    }
    len = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(out + len, 32 - len, ".%03dZ", (int)ms);
}
