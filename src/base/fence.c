/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fences. A look is two loads and a reading of the clock; whoever publishes comes from elsewhere.
 * State and lease are apart: the lease is of the process and ends by itself, a state is of a unit
 * and is changed by somebody. Both must allow an act.
 */
#include "base/fence.h"

#include <inttypes.h>
#include <poll.h>
#include <time.h>

#define PAUSE_FIRST_MS 2
#define PAUSE_MAX_MS 100

int64_t rc_boot_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- leases ---------------------------------------------------------------------------------- */

void rc_lease_init(rc_lease *lease, void (*want)(void *arg), void *arg)
{
    atomic_init(&lease->until_ns, 0);
    atomic_init(&lease->used, false);
    lease->want = want;
    lease->arg = arg;
}

void rc_lease_set(rc_lease *lease, int64_t until_ns)
{
    atomic_store(&lease->until_ns, until_ns);
}

bool rc_lease_used(rc_lease *lease)
{
    return atomic_exchange(&lease->used, false);
}

static bool lease_holds(rc_lease *lease)
{
    int64_t until = atomic_load(&lease->until_ns);

    /* Looked at much more often than it changes: the exchange would take the line from others. */
    if (!atomic_load_explicit(&lease->used, memory_order_relaxed) &&
        !atomic_exchange(&lease->used, true) && lease->want)
        lease->want(lease->arg);
    return until == INT64_MAX || rc_boot_ns() < until;
}

/* ---- fences ---------------------------------------------------------------------------------- */

rc_fence *rc_fence_new(rc_lease *lease, int64_t generation, uint64_t incarnation)
{
    rc_fence *fence = rc_calloc(1, sizeof *fence);

    RC_ASSERT(generation > 0);
    fence->lease = lease;
    fence->generation = generation;
    fence->incarnation = incarnation;
    atomic_init(&fence->witness, 0);
    atomic_init(&fence->numbered, 0);
    atomic_init(&fence->state, (uint64_t)RC_FENCE_CLOSED);
    atomic_init(&fence->refs, 1);
    return fence;
}

rc_fence *rc_fence_ref(rc_fence *fence)
{
    atomic_fetch_add(&fence->refs, 1);
    return fence;
}

void rc_fence_unref(rc_fence *fence)
{
    if (fence && atomic_fetch_sub(&fence->refs, 1) == 1)
        free(fence);
}

/* The lower two bits are the state, REVOKED being both of them; those above count suspensions. */
#define STATE(word) ((rc_fence_state)((word)&3u))
#define EPOCH(word) ((word) >> 2)

uint64_t rc_fence_epoch(const rc_fence *fence)
{
    return EPOCH(atomic_load(&fence->state));
}

void rc_fence_open(rc_fence *fence, uint64_t epoch)
{
    uint64_t from = epoch << 2 | RC_FENCE_CLOSED;

    (void)atomic_compare_exchange_strong(&fence->state, &from, epoch << 2 | RC_FENCE_OPEN);
}

/* Revoked is the end: whoever comes late with another state changes nothing. */
void rc_fence_suspend(rc_fence *fence)
{
    uint64_t from = atomic_load(&fence->state);

    while (STATE(from) != RC_FENCE_REVOKED &&
           !atomic_compare_exchange_weak(&fence->state, &from,
                                         (EPOCH(from) + 1) << 2 | RC_FENCE_CLOSED))
        ;
}

void rc_fence_revoke(rc_fence *fence)
{
    atomic_fetch_or(&fence->state, RC_FENCE_REVOKED);
}

static void raise_to(_Atomic int64_t *at, int64_t value)
{
    int64_t known = atomic_load(at);

    while (known < value && !atomic_compare_exchange_weak(at, &known, value))
        ;
}

void rc_fence_outrank(rc_fence *fence, int64_t generation)
{
    raise_to(&fence->witness, generation);
    rc_fence_revoke(fence);
}

void rc_fence_number(rc_fence *fence, int64_t number)
{
    raise_to(&fence->numbered, number);
}

rc_fence_state rc_fence_standing(const rc_fence *fence)
{
    return fence ? STATE(atomic_load(&fence->state)) : RC_FENCE_OPEN;
}

rc_fence_state rc_fence_check(const rc_fence *fence)
{
    if (!fence)
        return RC_FENCE_OPEN;
    if (rc_fence_standing(fence) == RC_FENCE_OPEN && !lease_holds(fence->lease))
        return RC_FENCE_CLOSED;
    /* Again, and last: what was withdrawn while the clock was read counts. */
    return rc_fence_standing(fence);
}

rc_fence_state rc_fence_await(const rc_fence *fence, int64_t max_ms)
{
    int64_t end = rc_boot_ns() + max_ms * 1000000, pause = 0;
    rc_fence_state state;

    while ((state = rc_fence_check(fence)) == RC_FENCE_CLOSED && rc_boot_ns() < end) {
        pause = rc_fence_pause_ms(pause);
        (void)poll(NULL, 0, (int)pause);
    }
    return state;
}

int rc_fence_fail(const rc_fence *fence, const char *what, rc_error *err)
{
    int64_t witness = atomic_load(&fence->witness);

    if (witness > 0)
        return rc_fail(err, OMC_EFENCED,
                       "%s: generation %" PRId64 " is not ours to write any more, because %" PRId64
                       " has been seen",
                       what, fence->generation, witness);
    return rc_fail(err, OMC_EFENCED, "%s: generation %" PRId64 " belongs to this worker no more",
                   what, fence->generation);
}

int64_t rc_fence_pause_ms(int64_t last_ms)
{
    return RC_MIN(RC_MAX(2 * last_ms, (int64_t)PAUSE_FIRST_MS), (int64_t)PAUSE_MAX_MS);
}
