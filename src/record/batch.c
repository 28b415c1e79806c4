/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches are the unit of memory on the data path: one array of records and one arena, made once
 * per task and recycled, so that a steady stream allocates nothing. A batch that somebody still
 * holds (a connector that kept a reference, an append in flight) is never emptied: its last
 * holder frees it, whichever thread that is.
 */
#include "record/batch.h"

#include <stdatomic.h>

#define BLOCK_SIZE ((size_t)64 << 10)
/* What a recycled batch keeps. More than this was one unusual batch; holding on to it would
 * multiply by the number of tasks. */
#define ARENA_KEEP_MAX ((size_t)4 << 20)
#define CAPACITY_FIRST 64
#define CAPACITY_KEEP_MAX 16384

static rc_batch *batch_of(omc_batch *pub)
{
    return RC_CONTAINER(pub, rc_batch, pub);
}

static void grow(omc_batch *pub)
{
    size_t capacity = pub->capacity ? pub->capacity * 2 : CAPACITY_FIRST;

    RC_ASSERT(capacity <= SIZE_MAX / sizeof(omc_record));
    pub->records = rc_realloc(pub->records, capacity * sizeof(omc_record));
    pub->capacity = capacity;
}

static void ref_pub(omc_batch *pub)
{
    rc_batch_ref(batch_of(pub));
}

static void unref_pub(omc_batch *pub)
{
    rc_batch_unref(batch_of(pub));
}

rc_batch *rc_batch_new(size_t records_max, size_t bytes_max)
{
    rc_batch *batch = rc_calloc(1, sizeof *batch);

    rc_arena_init(&batch->arena, BLOCK_SIZE);
    batch->pub = (omc_batch){
        .size = sizeof(omc_batch),
        .record_size = sizeof(omc_record),
        .arena = &batch->arena.pub,
        .grow = grow,
        .ref = ref_pub,
        .unref = unref_pub,
        .records_max = records_max,
        .bytes_max = bytes_max,
    };
    atomic_init(&batch->refs, 1);
    return batch;
}

void rc_batch_ref(rc_batch *batch)
{
    int before = atomic_fetch_add_explicit(&batch->refs, 1, memory_order_relaxed);

    RC_ASSERT(before > 0);
}

void rc_batch_unref(rc_batch *batch)
{
    int before;

    if (!batch)
        return;
    /* Release: our use of the batch is over before another thread can free it. */
    before = atomic_fetch_sub_explicit(&batch->refs, 1, memory_order_acq_rel);
    RC_ASSERT(before > 0);
    if (before > 1)
        return;
    rc_arena_release(&batch->arena);
    free(batch->pub.records);
    free(batch);
}

rc_batch *rc_batch_recycle(rc_batch *batch)
{
    rc_batch *fresh;

    if (atomic_load_explicit(&batch->refs, memory_order_acquire) == 1) {
        batch->pub.count = 0;
        if (batch->pub.capacity > CAPACITY_KEEP_MAX) {
            free(batch->pub.records);
            batch->pub.records = NULL;
            batch->pub.capacity = 0;
        }
        rc_arena_reset(&batch->arena, ARENA_KEEP_MAX);
        return batch;
    }
    fresh = rc_batch_new(batch->pub.records_max, batch->pub.bytes_max);
    rc_batch_unref(batch);
    return fresh;
}
