/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Counting references of receive memory. The last reader may be on another thread than the writer,
 * so its frees must come after everybody's reads: release on each count down, acquire on the last.
 */
#include "rocketmq/block.h"

rmq_block *rmq_block_new(size_t cap, _Atomic int64_t *total)
{
    rmq_block *block;

    RC_ASSERT(cap <= (size_t)INT32_MAX);
    block = rc_malloc(sizeof *block + cap);
    atomic_init(&block->refs, 1);
    block->total = total;
    block->cap = cap;
    if (total)
        atomic_fetch_add_explicit(total, (int64_t)cap, memory_order_relaxed);
    return block;
}

void rmq_block_ref(rmq_block *block)
{
    int32_t before = atomic_fetch_add_explicit(&block->refs, 1, memory_order_relaxed);

    RC_ASSERT(before > 0 && before < INT32_MAX);
}

void rmq_block_unref(rmq_block *block)
{
    int32_t before;

    if (!block)
        return;
    before = atomic_fetch_sub_explicit(&block->refs, 1, memory_order_acq_rel);
    RC_ASSERT(before > 0);
    if (before > 1)
        return;
    if (block->total)
        atomic_fetch_sub_explicit(block->total, (int64_t)block->cap, memory_order_relaxed);
    free(block);
}
