/* SPDX-License-Identifier: Apache-2.0 */
/** The heap has four children per node: fewer cache misses than two, and events are small. */
#include "engine.h"

#include <string.h>

enum { ARENA_BLOCK = 1 << 20, ARENA_KEEP = 64 << 20, CHILDREN = 4 };

uint64_t engine_mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

void engine_init(engine *e, void *world, uint64_t seed)
{
    memset(e, 0, sizeof(*e));
    e->world = world;
    rc_arena_init(&e->arena, ARENA_BLOCK);
    engine_reset(e, seed);
}

void engine_reset(engine *e, uint64_t seed)
{
    e->now = 0;
    e->count = 0;
    e->asked = e->done = 0;
    for (size_t i = 0; i < RC_COUNT(e->random); i++)
        e->random[i] = seed = engine_mix(seed);
    rc_arena_reset(&e->arena, ARENA_KEEP);
}

void engine_release(engine *e)
{
    free(e->heap);
    rc_arena_release(&e->arena);
}

static bool before(const struct engine_event *a, const struct engine_event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void engine_after(engine *e, sim_time delay, engine_fn *fn, void *arg)
{
    struct engine_event event = {e->now + RC_MAX(delay, 0), e->asked++, fn, arg};
    size_t at = e->count++;

    if (e->count > e->cap) {
        e->cap = e->cap ? e->cap * 2 : 1024;
        e->heap = rc_realloc(e->heap, e->cap * sizeof(*e->heap));
    }
    while (at > 0 && before(&event, &e->heap[(at - 1) / CHILDREN])) {
        e->heap[at] = e->heap[(at - 1) / CHILDREN];
        at = (at - 1) / CHILDREN;
    }
    e->heap[at] = event;
}

/** Fills the hole at the root with `event`, the former last one. */
static void sink(engine *e, const struct engine_event *event)
{
    size_t at = 0;

    for (;;) {
        size_t first = at * CHILDREN + 1, least = first;
        size_t end = RC_MIN(first + CHILDREN, e->count);

        if (first >= e->count)
            break;
        for (size_t child = first + 1; child < end; child++)
            if (before(&e->heap[child], &e->heap[least]))
                least = child;
        if (!before(&e->heap[least], event))
            break;
        e->heap[at] = e->heap[least];
        at = least;
    }
    e->heap[at] = *event;
}

bool engine_step(engine *e, sim_time end)
{
    struct engine_event event;

    if (e->count == 0 || e->heap[0].at > end)
        return false;
    event = e->heap[0];
    e->count--;
    if (e->count > 0)
        sink(e, &(struct engine_event){e->heap[e->count].at, e->heap[e->count].order,
                                       e->heap[e->count].fn, e->heap[e->count].arg});
    e->now = event.at;
    e->done++;
    event.fn(e->world, event.arg);
    return true;
}

static uint64_t turn(uint64_t x, int by)
{
    return (x << by) | (x >> (64 - by));
}

/** xoshiro256**, by Blackman and Vigna. */
uint64_t engine_bits(engine *e)
{
    uint64_t *r = e->random, result = turn(r[1] * 5, 7) * 9, t = r[1] << 17;

    r[2] ^= r[0];
    r[3] ^= r[1];
    r[1] ^= r[2];
    r[0] ^= r[3];
    r[2] ^= t;
    r[3] = turn(r[3], 45);
    return result;
}

double engine_fraction(engine *e)
{
    return (double)(engine_bits(e) >> 11) * 0x1.0p-53;
}

int engine_below(engine *e, int n)
{
    return (int)(engine_bits(e) % (uint64_t)n);
}

bool engine_chance(engine *e, double chance)
{
    return engine_fraction(e) < chance;
}

sim_time engine_span(engine *e, sim_time most)
{
    return (sim_time)((double)most * engine_fraction(e));
}
