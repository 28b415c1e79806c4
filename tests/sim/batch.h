/* SPDX-License-Identifier: Apache-2.0 */
/** Many runs, in processes beside each other, and what they add up to. */
#ifndef SIM_BATCH_H
#define SIM_BATCH_H

#include "world.h"

/** What some runs add up to. */
struct tally {
    uint64_t runs, failed;
    uint64_t events, claims, starts, releases, late, witnessed, batches;
    uint64_t configs_written, configs_refused;
    uint64_t faults[FAULTS];
    uint64_t at; /* The seed that is being run. */
    bool some;   /* A run has failed: the one with the lowest seed was */
    uint64_t seed;
    char invariant[12];
    char text[512];
};

/** Which runs. */
struct batch {
    const mix *mix;
    uint64_t off;
    uint64_t first, count; /* Seeds. */
    bool until_failure;    /* The first failure ends it. */
    int jobs;
};

/** Runs it. A process that aborts counts as a failure of its seed, invariant "abort". */
void batch_run(const struct batch *b, struct tally *sum);
void tally_add(struct tally *sum, const struct tally *other);

#endif
