/* SPDX-License-Identifier: Apache-2.0 */
/** Processes: they start under a name, stand still, wake with everything at once, and die. */
#include "world.h"

#include <string.h>

/** Something in a process. */
struct inside {
    worker *worker;
    uint64_t life;
    engine_fn *fn;
    void *arg;
};

static void hold(sim *s, worker *w, struct inside *in)
{
    if (w->held_count == w->held_cap) {
        size_t cap = w->held_cap ? w->held_cap * 2 : 64;
        struct held *more = engine_new(&s->engine, cap * sizeof(*more));

        if (w->held_count > 0)
            memcpy(more, w->held, w->held_count * sizeof(*more));
        w->held = more;
        w->held_cap = cap;
    }
    w->held[w->held_count++] = (struct held){in->fn, in->arg};
}

static void inside_fires(void *world, void *arg)
{
    struct inside *in = arg;

    if (!in->worker->alive || in->worker->life != in->life)
        return;
    if (in->worker->frozen)
        hold(world, in->worker, in);
    else
        in->fn(world, in->arg);
}

void worker_after(sim *s, worker *w, sim_time delay, engine_fn *fn, void *arg)
{
    struct inside *in = omc_alloc(&s->engine.arena.pub, sizeof(*in));

    *in = (struct inside){w, w->life, fn, arg};
    engine_after(&s->engine, delay, inside_fires, in);
}

sim_time worker_clock(const sim *s, const worker *w)
{
    sim_time boot = (sim_time)((double)s->engine.now * w->rate);

    return rule_off(s, RULE_BOOTTIME) ? boot + w->wall : boot;
}

/* ---- standing still -------------------------------------------------------------------------- */

struct thaw {
    worker *worker;
    uint64_t life;
};

static void thaw_process(void *world, void *arg)
{
    struct thaw *at = arg;

    worker_thaw(world, at->worker, at->life);
}

void worker_freeze(sim *s, worker *w, sim_time span)
{
    struct thaw *at;

    if (!w->alive || w->frozen)
        return;
    at = engine_new(&s->engine, sizeof(*at));
    *at = (struct thaw){w, w->life};
    w->frozen = true;
    sim_trace(s, "%s stands still for %lld ms", w->name, (long long)(span / SIM_MS));
    engine_after(&s->engine, span, thaw_process, at);
}

/** Everything that waited happens now. Threads wake in any order: half of the time what came late
 *  comes first. */
void worker_thaw(sim *s, worker *w, uint64_t life)
{
    struct held *held = w->held;
    size_t count = w->held_count, first = 0;

    if (!w->alive || !w->frozen || w->life != life)
        return;
    w->frozen = false;
    w->held = NULL;
    w->held_count = w->held_cap = 0;
    sim_trace(s, "%s goes on", w->name);
    if (count > 0 && !s->calm && engine_chance(&s->engine, 0.5))
        first = (size_t)engine_below(&s->engine, (int)count);
    for (size_t i = 0; i < count; i++) {
        struct held *one = &held[(first + i) % count];

        worker_after(s, w, (sim_time)i * 10, one->fn, one->arg);
    }
}

/** A thread of a task between its fence check and its write. */
struct gap {
    running *run;
    engine_fn *fn;
    void *arg;
};

static void gap_ends(void *world, void *arg)
{
    struct gap *g = arg;

    g->run->gaps--;
    g->fn(world, g->arg);
}

/** How long the thread takes; the whole process may stand still as well. */
static sim_time gap_length(sim *s, worker *w)
{
    static const int spans[] = {300, 900, 2500, 5000};
    sim_time span = spans[engine_below(&s->engine, RC_COUNT(spans))] * SIM_MS / 2;

    if (!s->mix->gap || s->calm || !engine_chance(&s->engine, 0.0025))
        return engine_span(&s->engine, SIM_MS * 3 / 10);
    s->faults[FAULT_GAP]++;
    if (engine_chance(&s->engine, 0.5))
        return engine_span(&s->engine, 5 * SIM_S);
    worker_freeze(s, w, span + engine_span(&s->engine, 2 * span));
    return 0;
}

void worker_write(sim *s, running *r, engine_fn *fn, void *arg)
{
    struct gap *g = engine_new(&s->engine, sizeof(*g));

    *g = (struct gap){r, fn, arg};
    r->gaps++;
    worker_after(s, r->worker, gap_length(s, r->worker), gap_ends, g);
}

/* ---- life ------------------------------------------------------------------------------------ */

void worker_start(sim *s, worker *w)
{
    w->life = ++s->lives;
    w->alive = true;
    w->frozen = false;
    w->held = NULL;
    w->held_count = w->held_cap = 0;
    w->lag_until = 0;
    memset(w->data, 0, sizeof(w->data));
    memset(w->run, 0, sizeof(w->run));
    sim_trace(s, "%s starts", w->name);
    member_start(s, w);
    if (s->configs)
        config_start(s, w);
}

static void start_again(void *world, void *arg)
{
    worker *w = arg;

    if (!w->alive)
        worker_start(world, w);
}

void worker_start_after(sim *s, worker *w, sim_time delay)
{
    engine_after(&s->engine, delay, start_again, w);
}

/** As kill -9, or as a process that ends itself: started again under its name a little later. */
void worker_kill(sim *s, worker *w)
{
    if (!w->alive)
        return;
    sim_trace(s, "%s is killed", w->name);
    w->alive = false;
    for (int b = 0; b < BROKERS; b++)
        net_abandon(s, w->data[b]);
    for (int u = 0; u < UNITS_MAX; u++)
        if (w->run[u])
            w->run[u]->state = RUN_DEAD;
    member_gone(s, w);
    config_gone(w);
    worker_start_after(s, w, 200 * SIM_MS + engine_span(&s->engine, 3 * SIM_S));
}
