/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What an owner does with a unit, from its start to its first write, and how it ends:
 *
 *   READ     the positions (R7, R11): a higher generation means that the unit is not ours
 *   NOTE     a start record, acknowledged before the first byte of data (R13)
 *   RESOLVE  exactly once: what lies behind the notes is read back (R17, task_resolve.c)
 *   RUN      sends (task_send.c) and commits (task_commit.c)
 *
 * After a suspension the positions are read again before anything is written (`checking`). A drain
 * polls no more, settles and commits everything, and then lets go (R14). What is written was
 * allowed by the fence just before: task_may_write().
 */
#include "world.h"

static void read_positions(void *world, void *arg);
static void write_start(void *world, void *arg);

bool task_live(const running *r)
{
    return r->state != RUN_DEAD && r->worker->run[r->unit->id] == r;
}

running *task_start(sim *s, worker *w, struct unit *u, int64_t gen)
{
    running *r = engine_new(&s->engine, sizeof(*r));

    RC_ASSERT(!w->run[u->id]);
    r->worker = w;
    r->unit = u;
    r->gen = gen;
    r->life = w->life;
    r->state = RUN_READ;
    w->run[u->id] = r;
    s->starts++;
    sim_trace(s, "%s starts unit %d, generation %lld", w->name, u->id, (long long)gen);
    worker_after(s, w, 0, read_positions, r);
    return r;
}

void task_stop(sim *s, running *r, const char *why)
{
    if (!task_live(r))
        return;
    sim_trace(s, "%s stops unit %d, generation %lld: %s", r->worker->name, r->unit->id,
              (long long)r->gen, why);
    if (!r->settled)
        unit_stopped(r->unit, r->gen);
    r->state = RUN_DEAD;
    r->worker->run[r->unit->id] = NULL;
}

/* ---- start ----------------------------------------------------------------------------------- */

/** True when the unit is ours to write, as far as the position topic knows (R11). */
static bool witness(sim *s, running *r, int count)
{
    int64_t seen = rule_off(s, RULE_FLOOR) ? -1 : unit_foreign(r->unit, count, r->gen, r->life);

    if (seen < r->gen)
        return true;
    task_outranked(s, r, seen);
    return false;
}

void task_outranked(sim *s, running *r, int64_t seen)
{
    worker *w = r->worker;

    s->witnessed++;
    task_stop(s, r, "a higher generation was seen");
    member_seen_higher(s, w, r->unit, r->gen, seen);
}

static void adopt(sim *s, running *r, int count)
{
    const struct position *best = position_best(s, r->unit, count);

    for (int q = 0; q < r->unit->queues; q++) {
        struct lane *lane = &r->lane[q];

        lane->note = best ? best->note[q] : 0;
        if (rule_off(s, RULE_QUEUE_UNION))
            lane->note = r->unit->queue[q].count;
        lane->cover = lane->note;
    }
    r->base = r->next = r->committed = best ? best->upto : 0;
    r->known = count;
}

static void positions_read(sim *s, call *c, bool answered)
{
    struct read *read = (struct read *)c;
    running *r = read->run;

    if (!task_live(r) || r->state != RUN_READ)
        return;
    if (!answered) {
        worker_after(s, r->worker, 100 * SIM_MS, read_positions, r);
    } else if (witness(s, r, read->end)) {
        adopt(s, r, read->end);
        r->state = RUN_NOTE;
        write_start(s, r);
    }
}

static void read_positions(void *world, void *arg)
{
    sim *s = world;
    running *r = arg;
    struct read *read;

    if (!task_live(r) || r->state != RUN_READ)
        return;
    read = engine_new(&s->engine, sizeof(*read));
    read->call.serve = read_positions_serve;
    read->call.done = positions_read;
    read->run = r;
    read->unit = r->unit;
    net_ask(s, r->worker, r->unit->position_broker, &read->call);
}

static void begin(sim *s, running *r)
{
    member_started(s, r->worker, r->unit, r->gen);
    if (!s->exactly_once || r->unit->sink) {
        r->state = RUN_RUN;
        task_loops(s, r);
        return;
    }
    r->state = RUN_RESOLVE;
    for (int q = 0; q < r->unit->queues; q++)
        task_resolve(s, r, q, true);
}

static void start_written(sim *s, call *c, bool answered)
{
    running *r = ((struct write_position *)c)->run;

    if (!task_live(r) || r->state != RUN_NOTE)
        return;
    if (answered)
        begin(s, r);
    else
        worker_after(s, r->worker, 100 * SIM_MS, write_start, r);
}

static void write_start(void *world, void *arg)
{
    sim *s = world;
    running *r = arg;

    if (!task_live(r) || r->state != RUN_NOTE)
        return;
    if (rule_off(s, RULE_START_RECORD))
        begin(s, r);
    else if (!task_may_write(s, r))
        worker_after(s, r->worker, 60 * SIM_MS, write_start, r);
    else
        task_write_position(s, r, r->base, start_written, false);
}

bool task_may_write(sim *s, const running *r)
{
    return member_may_write(s, r->worker, r);
}

/* ---- drain ----------------------------------------------------------------------------------- */

static void drained(sim *s, running *r)
{
    worker *w = r->worker;

    r->settled = true;
    task_stop(s, r, "released");
    member_drained(s, w, r->unit, r->gen);
}

static bool settled(const running *r)
{
    for (int q = 0; q < r->unit->queues; q++)
        if (r->lane[q].busy || r->lane[q].retry.count > 0 || r->lane[q].unresolved)
            return false;
    return !r->committing;
}

static void try_drain(void *world, void *arg)
{
    sim *s = world;
    running *r = arg;

    if (!task_live(r))
        return;
    if ((settled(r) && r->committed >= r->next) || rule_off(s, RULE_DRAIN)) {
        drained(s, r);
        return;
    }
    if (settled(r) && r->state == RUN_RUN)
        task_commit(s, r);
    worker_after(s, r->worker, 50 * SIM_MS, try_drain, r);
}

void task_drain(sim *s, running *r)
{
    if (!task_live(r) || r->draining)
        return;
    sim_trace(s, "%s drains unit %d, generation %lld", r->worker->name, r->unit->id,
              (long long)r->gen);
    r->draining = true;
    if (r->state == RUN_READ || r->state == RUN_NOTE) /* Nothing has been sent. */
        drained(s, r);
    else
        try_drain(s, r);
}
