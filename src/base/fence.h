/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Fences: may what I own still be touched? A process that shares work with others may act for one
 * of its parts (a *unit*) only as long as it is sure that nobody else does. Whoever decides about
 * that, the *ruler*, publishes it here; whoever acts looks right before each act, without a lock.
 *
 *   lease   one per process: a moment in CLOCK_BOOTTIME (which goes on while a machine sleeps) up
 *           to which acts are allowed. It runs out by itself, and is extended again and again.
 *   fence   one per unit and generation: open, suspended (may be opened again) or revoked (never).
 *
 * Nobody extends the lease of a process that does nothing; the first act finds it run out, which
 * calls `want`, and waits.
 *
 * All functions may be called from any thread, unless they say otherwise.
 */
#ifndef RC_FENCE_H
#define RC_FENCE_H

#include "base/base.h"

#include <stdatomic.h>

/** Nanoseconds of CLOCK_BOOTTIME. */
int64_t rc_boot_ns(void);

typedef struct rc_lease {
    _Atomic int64_t until_ns; /**< rc_boot_ns(); INT64_MAX = for ever. */
    /** Somebody has looked since rc_lease_used() was asked last. */
    atomic_bool used;
    /**
     * Somebody has looked who was the first to do so since rc_lease_used(): the lease is needed.
     * Must not block, nor look at fences of this lease. NULL: nobody cares. Set before the first
     * fence, never changed.
     */
    void (*want)(void *arg);
    void *arg;
} rc_lease;

/** A lease that has run out. */
void rc_lease_init(rc_lease *lease, void (*want)(void *arg), void *arg);
/** Allows acts up to `until_ns`. A moment before the present end makes it shorter. */
void rc_lease_set(rc_lease *lease, int64_t until_ns);
/** Whether somebody has looked since the last call: whether it is worth to extend the lease. */
bool rc_lease_used(rc_lease *lease);

typedef enum rc_fence_state {
    RC_FENCE_OPEN = 0,
    RC_FENCE_CLOSED,     /**< Not now: suspended, or the lease has run out. Wait and look again. */
    RC_FENCE_REVOKED = 3 /**< Never again. */
} rc_fence_state;

/** Counted; made by the ruler. Members are read by whoever has a reference, never written. */
typedef struct rc_fence {
    rc_lease *lease; /**< Outlives all fences. */
    int64_t generation;
    uint64_t incarnation;    /**< Of the process: another one for each. */
    _Atomic int64_t witness; /**< Highest generation seen that ends this one; 0 = none. */
    /** Highest number given out in its name, for logs that number what they write: somebody who
     *  begins again with the same generation goes on behind it. */
    _Atomic int64_t numbered;
    _Atomic uint64_t state; /**< Times suspended, and rc_fence_state without the lease. */
    _Atomic unsigned refs;
} rc_fence;

/** Suspended at first, with one reference. `generation` above 0. */
rc_fence *rc_fence_new(rc_lease *lease, int64_t generation, uint64_t incarnation);
rc_fence *rc_fence_ref(rc_fence *fence);
void rc_fence_unref(rc_fence *fence); /**< NULL is allowed. */

/** How often it has been suspended. */
uint64_t rc_fence_epoch(const rc_fence *fence);
/** Opens it unless it has been suspended since rc_fence_epoch() said `epoch`, or is revoked. */
void rc_fence_open(rc_fence *fence, uint64_t epoch);
void rc_fence_suspend(rc_fence *fence);
void rc_fence_revoke(rc_fence *fence);
/** Revokes because somebody acts with `generation` of at least ours; the highest is kept. */
void rc_fence_outrank(rc_fence *fence, int64_t generation);

/** Takes note of a number given out. */
void rc_fence_number(rc_fence *fence, int64_t number);

/** May I act now? NULL: there is no ruler, and it is always open. Asks for the lease. */
rc_fence_state rc_fence_check(const rc_fence *fence);
/** The same without the lease, for what only prepares acts: such looks do not ask for it. */
rc_fence_state rc_fence_standing(const rc_fence *fence);
/** Waits until it is not closed, at most `max_ms`; asks for the lease. @return what it is then. */
rc_fence_state rc_fence_await(const rc_fence *fence, int64_t max_ms);
/** -OMC_EFENCED, saying that `what` is not ours any more and why as far as it is known. */
int rc_fence_fail(const rc_fence *fence, const char *what, rc_error *err);

/** How long to wait before the next look at a closed fence: twice as long each time, 2 to 100 ms.
 *  @param last_ms  What the last call returned; 0 at first. */
int64_t rc_fence_pause_ms(int64_t last_ms);

#endif
