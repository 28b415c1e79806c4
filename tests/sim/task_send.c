/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Sends: at most one per queue without an answer (R16). One that fails keeps its records; with at
 * least once they go again after D_tail, exactly once reads the queue back first.
 */
#include "world.h"

static void send_next(void *world, void *arg);

sim_time task_tail(const sim *s)
{
    return (s->times.user_timeout + s->times.broker_queue) * 101 / 100;
}

static void take_retries(struct lane *lane, struct append *a)
{
    int n = RC_MIN(lane->retry.count, 3);

    for (int i = 0; i < n; i++)
        a->id[a->count++] = ids_at(&lane->retry, i);
    ids_drop(&lane->retry, n);
}

/** New records: one to three, without those that the log is known to have. */
static void poll(sim *s, running *r, struct append *a)
{
    int want = 1 + engine_below(&s->engine, 3);

    while (a->count < want) {
        if (!bits_has(&r->have, r->next))
            a->id[a->count++] = r->next;
        r->next++;
    }
}

static void stored_here(sim *s, running *r, const struct append *a)
{
    struct lane *lane = &r->lane[a->queue];

    for (int i = 0; i < a->count; i++) {
        bits_add(s, &r->acked, a->id[i]);
        lane_stored(s, lane, a->offset + i, a->id[i]);
    }
}

static void sent(sim *s, call *c, bool answered)
{
    struct append *a = (struct append *)c;
    running *r = a->run;
    struct lane *lane = &r->lane[a->queue];

    if (!task_live(r))
        return;
    lane->busy = false;
    if (answered) {
        stored_here(s, r, a);
        r->unit->acked = s->engine.now;
        return;
    }
    lane->tail_until = worker_clock(s, r->worker) + task_tail(s);
    ids_put_back(s, &lane->retry, a->id, a->count);
    if (s->exactly_once && !r->unit->sink && !rule_off(s, RULE_RESOLVE))
        task_resolve(s, r, a->queue, false);
}

static void write_batch(void *world, void *arg)
{
    struct append *a = arg;

    net_ask(world, a->run->worker, a->unit->queue[a->queue].broker, &a->call);
}

void task_append(sim *s, running *r, struct append *a, int q,
                 void (*done)(sim *s, call *c, bool answered))
{
    a->call.serve = append_serve;
    a->call.done = done;
    a->run = r;
    a->unit = r->unit;
    a->queue = q;
    a->gen = r->gen;
    a->life = r->life;
    a->seq = ++r->seq;
    worker_write(s, r, write_batch, a);
}

static bool may_send(sim *s, running *r, const struct lane *lane)
{
    if (r->state != RUN_RUN || r->unresolved > 0 || (r->draining && lane->retry.count == 0))
        return false;
    if (lane->busy && !(rule_off(s, RULE_ONE_UNANSWERED) && engine_chance(&s->engine, 0.5)))
        return false;
    if (worker_clock(s, r->worker) < lane->tail_until && !rule_off(s, RULE_TAIL))
        return false;
    return task_may_write(s, r);
}

/** One turn of a queue. */
struct turn {
    running *run;
    int queue;
};

static void send_next(void *world, void *arg)
{
    sim *s = world;
    struct turn *t = arg;
    running *r = t->run;
    struct lane *lane = &r->lane[t->queue];
    struct append *a;

    if (!task_live(r))
        return;
    worker_after(s, r->worker, s->times.pace / 2 + engine_span(&s->engine, s->times.pace),
                 send_next, t);
    if (!may_send(s, r, lane))
        return;
    a = engine_new(&s->engine, sizeof(*a));
    if (lane->retry.count > 0)
        take_retries(lane, a);
    else
        poll(s, r, a);
    lane->busy = true;
    task_append(s, r, a, t->queue, sent);
}

void task_loops(sim *s, running *r)
{
    if (r->loops)
        return;
    r->loops = true;
    for (int q = 0; q < r->unit->queues; q++) {
        struct turn *t = engine_new(&s->engine, sizeof(*t));

        *t = (struct turn){r, q};
        worker_after(s, r->worker, engine_span(&s->engine, 40 * SIM_MS), send_next, t);
    }
    task_commit_loop(s, r);
}
