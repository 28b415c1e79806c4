/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Discrete events: a heap of things to do at a virtual time, a seeded generator, memory that lives
 * as long as a run. Time is in microseconds since the run began; it moves only from event to event,
 * so a run of 22 s takes milliseconds, and the same seed gives the same run, always.
 *
 * One thread. Nothing here fails: memory that ends aborts.
 */
#ifndef SIM_ENGINE_H
#define SIM_ENGINE_H

#include "base/arena.h"

#include <stdint.h>

typedef int64_t sim_time;
#define SIM_MS ((sim_time)1000)
#define SIM_S ((sim_time)1000000)

typedef struct engine engine;
/** Something that happens. `arg` belongs to whoever asked for it, mostly to the run's arena. */
typedef void engine_fn(void *world, void *arg);

struct engine_event {
    sim_time at;
    uint64_t order; /* Of events at the same time: the order in which they were asked for. */
    engine_fn *fn;
    void *arg;
};
struct engine {
    sim_time now;
    void *world; /* Handed to every event. */
    struct engine_event *heap;
    size_t count, cap;
    uint64_t asked, done;
    uint64_t random[4];
    rc_arena arena;
};

void engine_init(engine *e, void *world, uint64_t seed);
/** Forgets everything and starts again at time 0 with another seed; keeps its memory. */
void engine_reset(engine *e, uint64_t seed);
void engine_release(engine *e);

/** Asks for `fn` after `delay` (below 0 counts as 0). */
void engine_after(engine *e, sim_time delay, engine_fn *fn, void *arg);
/** Runs the next event; false when there is none or it is later than `end`. */
bool engine_step(engine *e, sim_time end);

/** Zeroed memory that lives until the run ends. */
static inline void *engine_new(engine *e, size_t size)
{
    return omc_alloc0(&e->arena.pub, size);
}

uint64_t engine_bits(engine *e);
/** 0 <= x < 1. */
double engine_fraction(engine *e);
/** 0 <= x < n; n > 0. */
int engine_below(engine *e, int n);
/** True with this chance. */
bool engine_chance(engine *e, double chance);
/** `most` times a fraction. */
sim_time engine_span(engine *e, sim_time most);

/** Spreads a number over 64 bits: seeds that lie close together give unlike runs. */
uint64_t engine_mix(uint64_t x);

#endif
