/* SPDX-License-Identifier: Apache-2.0 */
#include "mutants.h"

#include "batch.h"

#include <string.h>

/** Seeds run between two looks at whether one has failed. */
enum { CHUNK = 200 };

struct hunt {
    uint64_t first, count;
    int jobs;
    uint64_t runs;
    const mix *mix; /* Where it failed. */
    struct tally tally;
};

static bool hunt_mix(struct hunt *h, const mix *m, uint64_t off)
{
    for (uint64_t done = 0; done < h->count; done += CHUNK) {
        struct batch b = {m, off, h->first + done, RC_MIN(CHUNK, h->count - done), true, h->jobs};
        struct tally t = {0};

        batch_run(&b, &t);
        h->runs += t.runs;
        if (t.some) {
            h->mix = m;
            h->tally = t;
            return true;
        }
    }
    return false;
}

/** The run that failed, with all rules on. */
static bool holds(const struct hunt *h)
{
    struct batch b = {h->mix, 0, h->tally.seed, 1, false, 1};
    struct tally t = {0};

    batch_run(&b, &t);
    return t.failed == 0;
}

static bool hunt_mutant(const struct mutant *m, uint64_t first, uint64_t count, int jobs)
{
    struct hunt h = {.first = first, .count = count, .jobs = jobs};
    bool found = false, sound;

    for (size_t i = 0; !found && i < RC_COUNT(m->mixes) && m->mixes[i]; i++)
        found = hunt_mix(&h, mix_find(m->mixes[i]), m->off);
    sound = found && holds(&h);
    if (found)
        printf("%-18s %-10s %-6s %8llu  %-13s %7llu  %s\n", m->name, m->reference,
               h.tally.invariant, (unsigned long long)h.tally.seed, h.mix->name,
               (unsigned long long)h.runs, sound ? "caught" : "FAILS WITH THE RULE ON");
    else
        printf("%-18s %-10s %-6s %8s  %-13s %7llu  NOT CAUGHT\n", m->name, m->reference, "-", "-",
               "-", (unsigned long long)h.runs);
    fflush(stdout);
    return sound;
}

int mutants_run(const struct mutant *only, uint64_t first, uint64_t count, int jobs)
{
    int caught = 0, looked = 0;

    printf("%-18s %-10s %-6s %8s  %-13s %7s  %s\n", "rule off", "of", "fails", "seed", "mix",
           "runs", "");
    for (int i = 0; i < mutant_count; i++) {
        if (only ? only != &mutants[i] : !mutants[i].mixes[0])
            continue;
        looked++;
        caught += hunt_mutant(&mutants[i], first, count, jobs);
    }
    printf("%d of %d rules: a run fails without them\n", caught, looked);
    return caught == looked ? 0 : 1;
}
