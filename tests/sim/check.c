/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What holds of a unit at the end:
 *
 * I4  it runs: something was stored not long ago
 * I6  strict: our readers see each identity below the position once. Without barriers: all readers
 *     do, but for one batch per queue and former generation of an owner that stood still between
 *     its fence check and its write; and for none where nothing stands still
 */
#include "world.h"

/** How often readers see each identity, and where it was first. */
struct seen {
    int32_t *times;
    const struct stored **first;
    uint8_t *queue;
};

static void check_runs(sim *s, struct unit *u)
{
    if (u->acked < s->times.end - 1500 * SIM_MS)
        sim_fail(s, "I4", "unit %d does not run at the end: last acknowledged at %lld ms", u->id,
                 (long long)(u->acked / SIM_MS));
}

/** A former owner's batch came after the queue was read back: the first is within the promise. */
static bool within_promise(sim *s, struct unit *u, int q, const struct stored *late)
{
    struct generation *g = unit_generation(u, late->gen);

    if (g->repeated[q] == late->seq)
        return true;
    if (g->repeated[q] || s->faults[FAULT_GAP] + s->faults[FAULT_FREEZE] == 0)
        return false;
    g->repeated[q] = late->seq;
    return true;
}

/** An identity that comes again, in a reader's order of queues. */
static void repeated(sim *s, struct unit *u, const struct seen *seen, const struct stored *m, int q)
{
    const struct stored *first = seen->first[m->id];
    bool first_late = first->gen < m->gen;

    if (s->strict || first->gen == m->gen ||
        !within_promise(s, u, first_late ? seen->queue[m->id] : q, first_late ? first : m))
        sim_fail(s, "I6", "unit %d: %d is seen twice, in %lld.%lld and %lld.%lld", u->id, m->id,
                 (long long)first->gen, (long long)first->seq, (long long)m->gen,
                 (long long)m->seq);
}

static void read_queue(sim *s, struct unit *u, int q, struct seen *seen)
{
    struct rank highest = {-1, -1};

    for (int i = 0; i < u->queue[q].count; i++) {
        const struct stored *m = &u->queue[q].at[i];

        if (!rank_passes(s, &highest, m) || m->id < 0)
            continue;
        if (seen->times[m->id]++) {
            repeated(s, u, seen, m, q);
        } else {
            seen->first[m->id] = m;
            seen->queue[m->id] = (uint8_t)q;
        }
    }
}

static void check_seen(sim *s, struct unit *u)
{
    const struct position *best = position_highest(u, u->position_count);
    size_t count = (size_t)u->stored.end + 1;
    struct seen seen;

    seen.times = engine_new(&s->engine, count * sizeof(*seen.times));
    seen.first = engine_new(&s->engine, count * sizeof(const void *));
    seen.queue = engine_new(&s->engine, count);
    for (int q = 0; q < u->queues; q++)
        read_queue(s, u, q, &seen);
    for (int32_t id = 0; best && id < best->upto; id++)
        if (!seen.times[id])
            sim_fail(s, "I6", "unit %d: position %d, but %d is never seen", u->id, best->upto, id);
}

void unit_check(sim *s, struct unit *u)
{
    check_runs(s, u);
    if (s->exactly_once && !u->sink)
        check_seen(s, u);
}
