/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Exactly once: before the first send to a queue, and after each send whose outcome is not known,
 * what is stored behind the note is read back, so that only what is missing is sent. Strict: a
 * barrier first, which voids whatever comes late (R17). Else: D_tail first, so that nothing comes
 * late (R20).
 */
#include "world.h"

struct resolve {
    running *run;
    int queue;
    sim_time not_before; /* On the worker's clock. */
};

static void resolve(void *world, void *arg);
static void read_back(sim *s, struct resolve *at, int end);

static void again(sim *s, struct resolve *at, sim_time delay)
{
    worker_after(s, at->run->worker, delay, resolve, at);
}

static void finish(sim *s, struct resolve *at)
{
    running *r = at->run;
    struct lane *lane = &r->lane[at->queue];

    for (int i = 0; i < lane->retry.count; i++)
        if (bits_has(&r->have, ids_at(&lane->retry, i)))
            ids_remove(&lane->retry, i--);
    lane->unresolved = false;
    r->unresolved--;
    if (r->unresolved > 0 || r->state != RUN_RESOLVE)
        return;
    r->state = RUN_RUN;
    task_loops(s, r);
}

/** Takes over what the queue has between note and end, without what a barrier voids. */
static void adopt(sim *s, running *r, int q, int end)
{
    struct lane *lane = &r->lane[q];
    const struct stored *at = r->unit->queue[q].at;
    struct rank highest = {-1, -1};

    lane->stored.count = 0;
    for (int offset = lane->note; offset < end; offset++) {
        const struct stored *m = &at[offset];

        if (!rank_passes(s, &highest, m) || m->id < r->base)
            continue;
        bits_add(s, &r->have, m->id);
        bits_add(s, &r->acked, m->id);
        lane_stored(s, lane, offset, m->id);
    }
}

static int64_t highest_generation(const running *r, int q, int end)
{
    int64_t highest = -1;

    for (int offset = r->lane[q].note; offset < end; offset++)
        highest = RC_MAX(highest, r->unit->queue[q].at[offset].gen);
    return highest;
}

static void read_done(sim *s, call *c, bool answered)
{
    struct read *read = (struct read *)c;
    struct resolve *at = read->extra;
    running *r = at->run;
    int64_t seen;

    if (!task_live(r))
        return;
    if (!answered) {
        again(s, at, 100 * SIM_MS);
        return;
    }
    seen = highest_generation(r, at->queue, read->end);
    if (seen > r->gen && !rule_off(s, RULE_FLOOR)) {
        task_outranked(s, r, seen);
        return;
    }
    adopt(s, r, at->queue, read->end);
    finish(s, at);
}

static struct read *new_read(sim *s, struct resolve *at)
{
    struct read *read = engine_new(&s->engine, sizeof(*read));

    read->run = at->run;
    read->unit = at->run->unit;
    read->queue = at->queue;
    read->extra = at;
    return read;
}

static void read_back(sim *s, struct resolve *at, int end)
{
    struct read *read = new_read(s, at);

    read->call.serve = read_serve;
    read->call.done = read_done;
    read->end = end;
    net_ask(s, at->run->worker, read->unit->queue[at->queue].broker, &read->call);
}

static void end_known(sim *s, call *c, bool answered)
{
    struct read *read = (struct read *)c;
    struct resolve *at = read->extra;

    if (!task_live(at->run))
        return;
    if (answered)
        read_back(s, at, read->end);
    else
        again(s, at, 100 * SIM_MS);
}

static void ask_end(sim *s, struct resolve *at)
{
    struct read *read = new_read(s, at);

    read->call.serve = end_serve;
    read->call.done = end_known;
    net_ask(s, at->run->worker, read->unit->queue[at->queue].broker, &read->call);
}

static void barrier_done(sim *s, call *c, bool answered)
{
    struct append *a = (struct append *)c;
    struct resolve *at = a->extra;

    if (!task_live(a->run))
        return;
    if (answered)
        read_back(s, at, a->offset);
    else
        again(s, at, 100 * SIM_MS);
}

static void resolve(void *world, void *arg)
{
    sim *s = world;
    struct resolve *at = arg;
    running *r = at->run;

    if (!task_live(r))
        return;
    if (!task_may_write(s, r)) {
        again(s, at, 60 * SIM_MS);
    } else if (worker_clock(s, r->worker) < at->not_before) {
        again(s, at, at->not_before - worker_clock(s, r->worker) + SIM_MS);
    } else if (s->strict && !rule_off(s, RULE_BARRIER)) {
        struct append *a = engine_new(&s->engine, sizeof(*a));

        a->extra = at;
        task_append(s, r, a, at->queue, barrier_done);
    } else {
        ask_end(s, at);
    }
}

void task_resolve(sim *s, running *r, int q, bool take_over)
{
    struct resolve *at;
    bool wait = !s->strict && !rule_off(s, take_over ? RULE_TAKE_OVER_WAIT : RULE_TAIL);

    if (r->lane[q].unresolved)
        return;
    at = engine_new(&s->engine, sizeof(*at));
    *at = (struct resolve){.run = r, .queue = q};
    if (wait)
        at->not_before = worker_clock(s, r->worker) + task_tail(s);
    r->lane[q].unresolved = true;
    r->unresolved++;
    resolve(s, at);
}
