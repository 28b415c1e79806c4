/* SPDX-License-Identifier: Apache-2.0 */
/** What goes wrong, when, and how it ends: from `heal` on nothing goes wrong any more. */
#include "world.h"

/** How long a fault lasts: 50 ms to 7 s. */
static sim_time some_span(sim *s)
{
    static const int spans[] = {100, 400, 900, 2000, 4500};
    double factor = 0.5 + engine_fraction(&s->engine);

    return (sim_time)(spans[engine_below(&s->engine, RC_COUNT(spans))] * factor) * SIM_MS;
}

static void partition(sim *s, worker *w)
{
    bool all = engine_chance(&s->engine, 0.2);
    int which = 1 + engine_below(&s->engine, (1 << BROKERS) - 1);
    sim_time until = s->engine.now + some_span(s);

    for (int i = 0; i < s->worker_count; i++)
        for (int b = 0; b < BROKERS; b++)
            if ((all || i == w->id) && (which >> b & 1) != 0)
                s->cut_until[i][b] = until;
}

/** Half of the time only one end gets it. */
static void reset(sim *s, worker *w)
{
    int which = engine_below(&s->engine, BROKERS + 1);
    conn *c = which == BROKERS ? member_conn(w) : w->data[which];
    double kind = engine_fraction(&s->engine);

    if (!w->alive || !net_open(c))
        return;
    if (kind < 0.5 || kind >= 0.75)
        net_reset_broker(s, c);
    if (kind >= 0.5)
        net_reset_worker(s, c);
}

static void jump(sim *s, worker *w)
{
    static const int jumps[] = {700, 5000, 600000};
    sim_time by = jumps[engine_below(&s->engine, RC_COUNT(jumps))] * SIM_MS;

    w->wall += engine_chance(&s->engine, 0.5) ? by : -by;
}

static void take_part(void *world, void *arg)
{
    member_drain(world, arg, false);
}

static void leave(sim *s, worker *w)
{
    if (!w->alive)
        return;
    if (engine_chance(&s->engine, 0.5)) {
        member_leave(s, w);
        return;
    }
    member_drain(s, w, true);
    worker_after(s, w, some_span(s), take_part, w);
}

/* ---- brokers --------------------------------------------------------------------------------- */

static void broker_up(void *world, void *arg)
{
    sim *s = world;
    broker *b = arg;

    b->up = true;
    sim_trace(s, "broker %d is up", b->id);
    if (s->calm || s->mix->outage || !engine_chance(&s->engine, 0.3))
        return;
    for (int i = 0; i < s->worker_count; i++) /* Its list of clients is empty at first. */
        hint_gone(s, &s->worker[i], true);
}

void broker_restart(sim *s, broker *b, sim_time span, int lose)
{
    bool silent = engine_chance(&s->engine, 0.3);
    conn *next;

    if (!b->up)
        return;
    sim_trace(s, "broker %d is down for %lld ms", b->id, (long long)(span / SIM_MS));
    b->up = false;
    b->boot++;
    home_down(s, b, lose);
    for (conn *c = s->open[b->id]; c; c = next) {
        next = c->next_open;
        if (c->there && !silent)
            net_reset_worker(s, c);
        c->there = false;
    }
    s->open[b->id] = NULL;
    engine_after(&s->engine, span, broker_up, b);
}

static void restart(sim *s, broker *b)
{
    int lose = 0;

    if (s->mix->loss && (s->mix->loss == 2 || engine_chance(&s->engine, 0.7)))
        lose = 1 + engine_below(&s->engine, RC_MAX(s->mix->loss_max, 1));
    /* It is back when all is healed: what follows is measured from then on. */
    broker_restart(s, b, RC_MIN(some_span(s), s->times.heal + 500 * SIM_MS - s->engine.now), lose);
}

/* ---- the die --------------------------------------------------------------------------------- */

static enum fault draw(sim *s)
{
    int sum = 0, at;

    for (int f = 0; f < FAULTS; f++)
        sum += s->mix->weight[f];
    at = engine_below(&s->engine, sum);
    for (int f = 0; f < FAULTS; f++) {
        at -= s->mix->weight[f];
        if (at < 0)
            return (enum fault)f;
    }
    return FAULT_RESET;
}

static void happen(void *world, void *arg)
{
    sim *s = world;
    enum fault fault = draw(s);
    worker *w = &s->worker[engine_below(&s->engine, s->worker_count)];
    broker *b = &s->broker[engine_below(&s->engine, BROKERS)];

    (void)arg;
    s->faults[fault]++;
    sim_trace(s, "FAULT %s (%s, broker %d)", fault_name[fault], w->name, b->id);
    switch (fault) {
    case FAULT_KILL:
        worker_kill(s, w);
        break;
    case FAULT_FREEZE:
        worker_freeze(s, w, some_span(s));
        break;
    case FAULT_PARTITION:
        partition(s, w);
        break;
    case FAULT_RESET:
        reset(s, w);
        break;
    case FAULT_RESTART:
        restart(s, b);
        break;
    case FAULT_HINT:
        hint_gone(s, w, true);
        break;
    case FAULT_LAG:
        w->lag_until = s->engine.now + some_span(s);
        break;
    case FAULT_SLOW:
        b->slow_until = s->engine.now + some_span(s);
        break;
    case FAULT_CLOCK:
        jump(s, w);
        break;
    case FAULT_LEAVE:
        leave(s, w);
        break;
    case FAULT_GAP:
    case FAULTS:
        break;
    }
}

static void move_home(void *world, void *arg)
{
    sim *s = world;

    (void)arg;
    member_move_home(s, &s->worker[engine_below(&s->engine, s->worker_count)]);
}

static void retention(void *world, void *arg)
{
    sim *s = world;

    (void)arg;
    member_retention(s);
    engine_after(&s->engine, SIM_S, retention, NULL);
}

static void outage(void *world, void *arg)
{
    sim *s = world;
    sim_time span = 5 * SIM_S + engine_span(&s->engine, 4 * SIM_S);

    (void)arg;
    s->claims_before = s->claims;
    for (int b = 0; b < BROKERS; b++)
        broker_restart(s, &s->broker[b], span, 0);
}

void faults_plan(sim *s)
{
    sim_time last = s->times.heal - 400 * SIM_MS, first = 800 * SIM_MS;

    for (int i = 0; i < s->mix->moves; i++)
        engine_after(&s->engine, first + engine_span(&s->engine, last - first), move_home, NULL);
    if (s->mix->snapshots)
        engine_after(&s->engine, SIM_S, retention, NULL);
    if (s->mix->outage)
        engine_after(&s->engine, 5 * SIM_S, outage, NULL);
    for (int i = 0; i < s->mix->faults; i++)
        engine_after(&s->engine, first + engine_span(&s->engine, last - first), happen, NULL);
}

void faults_heal(sim *s)
{
    sim_trace(s, "HEALED");
    s->calm = true;
    for (int i = 0; i < s->worker_count; i++) {
        worker *w = &s->worker[i];

        for (int b = 0; b < BROKERS; b++)
            s->cut_until[i][b] = 0;
        w->lag_until = 0;
        worker_after(s, w, SIM_S, take_part, w);
        if (w->alive && w->frozen)
            worker_thaw(s, w, w->life);
        if (!w->alive)
            worker_start_after(s, w, 500 * SIM_MS);
    }
    for (int b = 0; b < BROKERS; b++)
        s->broker[b].slow_until = 0;
}
