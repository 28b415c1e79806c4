/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What brokers and targets keep of a unit: its queues and its positions. Here the promises are
 * checked when something lands:
 *
 * I1  a generation is used by one process only
 * I2  after the first batch of a newer generation, at most one of each former lands in a queue
 * I3  a position covers nothing that is not stored
 * I7  in a queue, batches of a generation land in the order of their sends (not with barriers)
 * I8  a new generation goes on no earlier than where the last one was, as its owner could read it
 * I9  what is released is complete: its position covers all it stored, and nothing lands after
 *     that readers would see (not with barriers)
 */
#include "world.h"

#include <string.h>

void unit_init(struct unit *u, int id, bool is_sink, int queues)
{
    *u = (struct unit){.id = id, .sink = is_sink, .queues = queues, .position_broker = 1};
    for (int q = 0; q < queues; q++) {
        u->queue[q].broker = (id + q) % BROKERS;
        u->queue[q].gen_max = -1;
    }
}

struct generation *unit_generation(const struct unit *u, int64_t number)
{
    struct generation *g = u->generations;

    while (g && g->number != number)
        g = g->next;
    return g;
}

/** The generation, made when it is new; all of one belong to one process. */
static struct generation *generation_of(sim *s, struct unit *u, int64_t number, uint64_t life)
{
    struct generation *g = unit_generation(u, number);

    if (!g) {
        g = engine_new(&s->engine, sizeof(*g));
        *g = (struct generation){.number = number, .life = life, .id_max = -1};
        g->next = u->generations;
        u->generations = g;
        for (int q = 0; q < QUEUES_MAX; q++)
            g->seq[q] = -1;
    }
    if (g->life != life)
        sim_fail(s, "I1", "unit %d: two processes use generation %lld", u->id, (long long)number);
    return g;
}

/** With barriers what comes late is left out by readers (I6). */
static void check_order(sim *s, struct unit *u, int q, struct generation *g, int64_t seq)
{
    bool barriers = s->strict && !u->sink;

    if (seq <= g->seq[q] && !barriers && !s->mix->long_tail)
        sim_fail(s, "I7", "unit %d queue %d: %lld.%lld lands after %lld.%lld", u->id, q,
                 (long long)g->number, (long long)seq, (long long)g->number, (long long)g->seq[q]);
    g->seq[q] = RC_MAX(g->seq[q], seq);
}

static void check_late(sim *s, struct unit *u, int q, struct generation *g)
{
    struct queue *queue = &u->queue[q];

    if (g->released && !s->mix->long_tail && !(s->strict && !u->sink))
        sim_fail(s, "I9", "unit %d queue %d: a batch of generation %lld lands after its release",
                 u->id, q, (long long)g->number);
    if (g->number >= queue->gen_max) {
        queue->gen_max = g->number;
        return;
    }
    s->late++;
    g->late[q]++;
    sim_trace(s, "LATE: unit %d queue %d: generation %lld after %lld", u->id, q,
              (long long)g->number, (long long)queue->gen_max);
    if (g->late[q] > 1 && !s->mix->long_tail)
        sim_fail(s, "I2", "unit %d queue %d: %d batches of generation %lld after %lld", u->id, q,
                 g->late[q], (long long)g->number, (long long)queue->gen_max);
}

static void store(sim *s, struct unit *u, int q, struct stored message)
{
    struct queue *queue = &u->queue[q];

    if (queue->count == queue->cap) {
        int cap = queue->cap ? queue->cap * 2 : 256;
        struct stored *more = engine_new(&s->engine, (size_t)cap * sizeof(*more));

        if (queue->count > 0)
            memcpy(more, queue->at, (size_t)queue->count * sizeof(*more));
        queue->at = more;
        queue->cap = cap;
    }
    queue->at[queue->count++] = message;
    if (message.id < 0)
        return;
    bits_add(s, &u->stored, message.id);
    while (bits_has(&u->stored, u->stored_upto))
        u->stored_upto++;
}

/** A batch lands: its identities, or a barrier when there are none. */
void append_serve(sim *s, call *c)
{
    struct append *a = (struct append *)c;
    struct unit *u = a->unit;
    struct generation *g = generation_of(s, u, a->gen, a->life);

    s->batches++;
    sim_trace(s, "unit %d queue %d: batch %lld.%lld of %d lands", u->id, a->queue,
              (long long)a->gen, (long long)a->seq, a->count);
    check_order(s, u, a->queue, g, a->seq);
    check_late(s, u, a->queue, g);
    a->offset = u->queue[a->queue].count;
    for (int i = 0; i < a->count; i++) {
        store(s, u, a->queue, (struct stored){a->gen, a->seq, a->id[i]});
        g->id_max = RC_MAX(g->id_max, a->id[i]);
    }
    if (a->count == 0)
        store(s, u, a->queue, (struct stored){a->gen, a->seq, -1});
    call_answer(s, c);
}

void end_serve(sim *s, call *c)
{
    struct read *r = (struct read *)c;

    r->end = r->unit->queue[r->queue].count;
    call_answer(s, c);
}

void read_serve(sim *s, call *c)
{
    struct read *r = (struct read *)c;

    r->end = RC_MIN(r->end, r->unit->queue[r->queue].count);
    call_answer(s, c);
}

/* ---- positions ------------------------------------------------------------------------------- */

/** The one that counts among the first `count`, by generation, then by position; NULL = none. */
const struct position *position_highest(const struct unit *u, int count)
{
    const struct position *best = NULL;

    for (int i = 0; i < count; i++) {
        const struct position *p = &u->positions[i];

        if (!best || p->gen > best->gen || (p->gen == best->gen && p->upto >= best->upto))
            best = p;
    }
    return best;
}

const struct position *position_best(const sim *s, const struct unit *u, int count)
{
    if (rule_off(s, RULE_POSITION_RANK))
        return count > 0 ? &u->positions[count - 1] : NULL;
    return position_highest(u, count);
}

static void check_position(sim *s, struct unit *u, const struct write_position *w)
{
    struct generation *g = generation_of(s, u, w->record.gen, w->record.life);
    const struct position *before;

    if (w->record.upto > u->stored_upto)
        sim_fail(s, "I3", "unit %d: position %d, but %d is not stored", u->id, w->record.upto,
                 u->stored_upto);
    if (g->positioned)
        return;
    g->positioned = true;
    before = position_highest(u, w->known);
    if (before && before->gen < g->number && w->record.upto < before->upto)
        sim_fail(s, "I8", "unit %d: generation %lld begins at %d, but %lld was at %d", u->id,
                 (long long)g->number, w->record.upto, (long long)before->gen, before->upto);
}

void write_position_serve(sim *s, call *c)
{
    struct write_position *w = (struct write_position *)c;
    struct unit *u = w->unit;

    check_position(s, u, w);
    if (u->position_count == u->position_cap) {
        int cap = u->position_cap ? u->position_cap * 2 : 64;
        struct position *more = engine_new(&s->engine, (size_t)cap * sizeof(*more));

        if (u->position_count > 0)
            memcpy(more, u->positions, (size_t)u->position_count * sizeof(*more));
        u->positions = more;
        u->position_cap = cap;
    }
    u->positions[u->position_count++] = w->record;
    call_answer(s, c);
}

void read_positions_serve(sim *s, call *c)
{
    struct read *r = (struct read *)c;

    r->end = r->unit->position_count;
    call_answer(s, c);
}

int64_t unit_foreign(const struct unit *u, int count, int64_t gen, uint64_t life)
{
    int64_t seen = -1;

    for (int i = 0; i < count; i++)
        if (u->positions[i].gen > gen || u->positions[i].life != life)
            seen = RC_MAX(seen, u->positions[i].gen);
    return seen;
}

/* ---- release --------------------------------------------------------------------------------- */

void unit_stopped(struct unit *u, int64_t gen)
{
    struct generation *g = unit_generation(u, gen);

    if (g)
        g->stopped = true;
}

void unit_released(sim *s, struct unit *u, int64_t gen, uint64_t life)
{
    struct generation *g = unit_generation(u, gen);
    const struct position *best = position_highest(u, u->position_count);

    if (!g || g->life != life || g->released)
        return; /* Another's: the log has lost its end, and the number came again (R11). */
    g->released = true;
    s->releases++;
    if (!g->stopped && g->id_max >= 0 && (!best || g->id_max >= best->upto))
        sim_fail(s, "I9", "unit %d: generation %lld is released at position %d, but stored %d",
                 u->id, (long long)gen, best ? best->upto : 0, g->id_max);
}
