/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Blocks hang in a list, newest first; only the newest is bumped from. An allocation that is
 * longer than an ordinary block gets a block of its own behind the newest one, so that the room
 * left there is not lost. Blocks grow with what the arena holds (up to BLOCK_MAX), which keeps
 * the number of malloc calls of a large batch small.
 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>

#define BLOCK_MAX ((size_t)1 << 20)
#define BLOCK_MIN ((size_t)256)

struct rc_arena_block {
    rc_arena_block *next;
    size_t size; /* Of the whole block, this header included. */
};

_Static_assert(sizeof(rc_arena_block) % 8 == 0, "payloads stay aligned to 8 bytes");

static rc_arena_block *block_new(rc_arena *arena, size_t size)
{
    rc_arena_block *block = rc_malloc(size);

    block->size = size;
    arena->total += size;
    return block;
}

/* Makes `block` the one that is bumped from. */
static void block_use(rc_arena *arena, rc_arena_block *block)
{
    arena->pub.cur = (char *)(block + 1);
    arena->pub.end = (char *)block + block->size;
}

static void *arena_more(omc_arena *pub, size_t n)
{
    rc_arena *arena = RC_CONTAINER(pub, rc_arena, pub);
    size_t ordinary = RC_MAX(arena->block_size, RC_MIN(arena->total, BLOCK_MAX));
    rc_arena_block *block;
    char *at;

    RC_ASSERT(n <= SIZE_MAX - sizeof *block - 8);
    if (arena->blocks && n > ordinary - sizeof *block) {
        block = block_new(arena, n + sizeof *block);
        block->next = arena->blocks->next;
        arena->blocks->next = block;
        return block + 1;
    }
    block = block_new(arena, RC_MAX(ordinary, n + sizeof *block));
    block->next = arena->blocks;
    arena->blocks = block;
    block_use(arena, block);
    at = pub->cur;
    pub->cur += n;
    return at;
}

void rc_arena_init(rc_arena *arena, size_t block_size)
{
    *arena = (rc_arena){.pub.more = arena_more, .block_size = RC_MAX(block_size, BLOCK_MIN)};
}

void rc_arena_release(rc_arena *arena)
{
    rc_arena_block *next;

    for (rc_arena_block *block = arena->blocks; block; block = next) {
        next = block->next;
        free(block);
    }
    rc_arena_init(arena, arena->block_size);
}

void rc_arena_reset(rc_arena *arena, size_t keep_max)
{
    rc_arena_block *keep = NULL;
    rc_arena_block *next;

    for (rc_arena_block *block = arena->blocks; block; block = block->next)
        if (block->size <= keep_max && (!keep || block->size > keep->size))
            keep = block;
    for (rc_arena_block *block = arena->blocks; block; block = next) {
        next = block->next;
        if (block != keep)
            free(block);
    }
    rc_arena_init(arena, arena->block_size);
    if (!keep)
        return;
    keep->next = NULL;
    arena->blocks = keep;
    arena->total = keep->size;
    block_use(arena, keep);
}

char *rc_arena_format(omc_arena *arena, const char *fmt, ...)
{
    char small[256];
    va_list ap;
    char *out;
    int len;

    va_start(ap, fmt);
    len = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    RC_ASSERT(len >= 0);
    if ((size_t)len < sizeof small)
        return omc_copy(arena, small, (size_t)len);
    out = omc_alloc(arena, (size_t)len + 1);
    va_start(ap, fmt);
    (void)vsnprintf(out, (size_t)len + 1, fmt, ap);
    va_end(ap);
    return out;
}
