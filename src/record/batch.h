/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The host's batches: records plus their arena, counted references, recycled memory.
 * A batch is filled and read by one thread at a time; ref and unref may come from any.
 */
#ifndef RC_BATCH_H
#define RC_BATCH_H

#include "base/arena.h"

typedef struct rc_batch {
    omc_batch pub; /**< First member. */
    rc_arena arena;
    _Atomic int refs;
} rc_batch;

/** Empty batch with one reference. */
rc_batch *rc_batch_new(size_t records_max, size_t bytes_max);
void rc_batch_ref(rc_batch *batch);
void rc_batch_unref(rc_batch *batch); /**< NULL is allowed. */
/** Empties it for reuse when nobody else holds it; else gives it up and returns a new one. */
rc_batch *rc_batch_recycle(rc_batch *batch);
RC_DEFINE_CLEANUP(rc_batch, rc_batch_unref)

#endif
