/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Arena: bump allocation for one batch or one request, freed whole. `rc_arena.pub` is the
 * omc_arena that is handed to plugins and to every function that allocates results.
 * One thread at a time.
 */
#ifndef RC_ARENA_H
#define RC_ARENA_H

#include "base/base.h"

typedef struct rc_arena_block rc_arena_block;

typedef struct rc_arena {
    omc_arena pub; /**< First member: an rc_arena can be found from its omc_arena. */
    rc_arena_block *blocks;
    size_t block_size; /**< Size of the next ordinary block. */
    size_t total;      /**< Bytes held from malloc. */
} rc_arena;

/** Empty arena; allocates nothing yet. `block_size`: bytes per block, e.g. 64 KiB. */
void rc_arena_init(rc_arena *arena, size_t block_size);
/** Gives all memory back; the arena may be used again. */
void rc_arena_release(rc_arena *arena);
/** Forgets all allocations but keeps its largest block (up to `keep_max` bytes) for reuse. */
void rc_arena_reset(rc_arena *arena, size_t keep_max);
/** Bytes held. */
static inline size_t rc_arena_total(const rc_arena *arena)
{
    return arena->total;
}

/** NUL-terminated formatted text in an arena. */
char *rc_arena_format(omc_arena *arena, const char *fmt, ...) OMC_PRINTF(2, 3);
/** Copy of a slice in an arena, NUL-terminated behind its end. */
static inline rc_slice rc_arena_slice(omc_arena *arena, rc_slice s)
{
    return omc_slice_of(omc_copy(arena, s.base, s.len), s.len);
}

#endif
