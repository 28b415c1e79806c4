/* SPDX-License-Identifier: Apache-2.0 */
/** One run: a world is made from a seed, is troubled, healed and watched until the end. */
#include "world.h"

#include <stdarg.h>
#include <string.h>

void sim_init(sim *s)
{
    memset(s, 0, sizeof(*s));
    engine_init(&s->engine, s, 0);
}

void sim_release(sim *s)
{
    engine_release(&s->engine);
}

void sim_say(sim *s, const char *fmt, ...)
{
    va_list ap;

    fprintf(s->trace, "%9.1f  ", (double)s->engine.now / SIM_MS);
    va_start(ap, fmt);
    vfprintf(s->trace, fmt, ap);
    va_end(ap);
    fputc('\n', s->trace);
}

/** The first failure of a run counts; what follows may be its consequence. */
void sim_fail(sim *s, const char *invariant, const char *fmt, ...)
{
    va_list ap;

    if (s->invariant)
        return;
    s->invariant = invariant;
    va_start(ap, fmt);
    vsnprintf(s->failure, sizeof(s->failure), fmt, ap);
    va_end(ap);
    sim_trace(s, "%s FAILS: %s", invariant, s->failure);
}

/* ---- making a world -------------------------------------------------------------------------- */

/** Times of a real cluster, but for those that would only make a run longer: session and beat are a
 *  third, and what may still be under way is shorter in proportion. */
static const struct times scaled = {
    .suspend = 500 * SIM_MS,
    .ping = 150 * SIM_MS,
    .margin = 200 * SIM_MS,
    .session = 3000 * SIM_MS,
    .beat = 800 * SIM_MS,
    .user_timeout = 700 * SIM_MS,
    .broker_queue = 600 * SIM_MS,
    .send_timeout = 1000 * SIM_MS,
    .pace = 160 * SIM_MS,
    .commit = 400 * SIM_MS,
    .recent = 7 * SIM_S,
    .heal = 12 * SIM_S,
    .end = 22 * SIM_S,
};

static void make_workers(sim *s)
{
    static const int walls[] = {0, 0, -60000, 600000};

    for (int i = 0; i < s->worker_count; i++) {
        worker *w = &s->worker[i];

        w->id = i;
        snprintf(w->name, sizeof(w->name), "w%d", i);
        w->rate = 0.99 + engine_fraction(&s->engine) * 0.02;
        w->wall = walls[engine_below(&s->engine, RC_COUNT(walls))] * SIM_MS;
        worker_start_after(s, w, engine_span(&s->engine, 300 * SIM_MS));
    }
}

/** A third of the units are tasks of sinks. */
static void make_units(sim *s)
{
    for (int i = 0; i < s->unit_count; i++) {
        bool is_sink = i % 3 == 2;
        int queues = is_sink ? 1 : 2 + (s->seed % 4 == 3);

        unit_init(&s->unit[i], i, is_sink, queues);
    }
}

static void make_world(sim *s)
{
    const mix *m = s->mix;
    enum data_mode mode = m->mode ? m->mode : (enum data_mode)(1 + engine_below(&s->engine, 3));

    s->times = scaled;
    if (m->busy)
        s->times.user_timeout = s->times.broker_queue = SIM_S; /* As in a real cluster. */
    s->exactly_once = mode != DATA_AT_LEAST_ONCE;
    s->strict = mode == DATA_STRICT;
    s->worker_count = m->many ? 3 + engine_below(&s->engine, WORKERS_MAX - 2) : 3;
    s->unit_count = m->many ? s->worker_count + engine_below(&s->engine, s->worker_count)
                            : 2 + (int)(s->seed & 1);
    for (int b = 0; b < BROKERS; b++)
        s->broker[b] = (broker){.id = b, .up = true};
    member_world(s);
    if (s->seed % 4 == 0)
        config_world(s);
    make_units(s);
    make_workers(s);
}

/** Everything of the last run is forgotten, but for the settings. */
static void forget(sim *s)
{
    sim old = *s;

    memset(s, 0, sizeof(*s));
    s->engine = old.engine;
    s->tracing = old.tracing;
    s->trace = old.trace;
}

static void heal(void *world, void *arg)
{
    (void)arg;
    faults_heal(world);
}

static void finish(sim *s)
{
    for (int i = 0; i < s->worker_count; i++) {
        member_free(&s->worker[i]);
        config_gone(&s->worker[i]);
    }
    member_world_end(s);
}

bool sim_run(sim *s, uint64_t seed, const mix *m, uint64_t off)
{
    forget(s);
    s->seed = seed;
    s->mix = m;
    s->off = off;
    rules_switch(off);
    engine_reset(&s->engine, seed);
    make_world(s);
    faults_plan(s);
    engine_after(&s->engine, s->times.heal, heal, NULL);
    while (!s->invariant && engine_step(&s->engine, s->times.end))
        ;
    if (!s->invariant)
        member_check(s);
    if (!s->invariant && s->configs)
        config_check(s);
    for (int i = 0; i < s->unit_count && !s->invariant; i++)
        unit_check(s, &s->unit[i]);
    finish(s);
    return !s->invariant;
}
