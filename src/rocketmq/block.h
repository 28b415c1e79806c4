/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Receive memory with a count of users: frames, and the messages in them, are slices of it, and the
 * last one to let go frees it. References may be dropped on any thread.
 */
#ifndef RMQ_BLOCK_H
#define RMQ_BLOCK_H

#include "base/base.h"

#include <stdatomic.h>

typedef struct rmq_block {
    _Atomic int32_t refs;
    _Atomic int64_t *total; /**< Bytes of all blocks of the client; outlives them. May be NULL. */
    size_t cap;
    uint8_t data[];
} rmq_block;

/** With one reference. `cap` is bounded by the caller (frames: RMQ_FRAME_MAX). */
rmq_block *rmq_block_new(size_t cap, _Atomic int64_t *total);
void rmq_block_ref(rmq_block *block);
void rmq_block_unref(rmq_block *block); /**< NULL is allowed. */

#endif
