/* SPDX-License-Identifier: Apache-2.0 */
/**
 * cluster_sim: runs the cluster's state machine through virtual time and trouble.
 *
 *   cluster_sim [--seeds A..B] [--mix NAME] [--off RULE]   runs, and a table of what was met
 *   cluster_sim --seed N --mix NAME --trace [--off RULE]   one run, told line by line
 *   cluster_sim --mutants [--seeds A..B] [--off RULE]      each rule off, until a run fails
 *   cluster_sim --list                                     mixes and rules
 *
 * Exit status: 0 as hoped, 1 a run failed (or a mutant did not), 2 usage.
 */
#include "batch.h"
#include "mutants.h"

#include "base/units.h"

#include <getopt.h>
#include <string.h>
#include <time.h>

struct options {
    uint64_t first, count;
    const mix *mix;           /* NULL = all. */
    const struct mutant *off; /* NULL = none. */
    int jobs;
    bool trace, mutants, one;
};

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- runs ------------------------------------------------------------------------------------ */

static void head(void)
{
    printf("%-13s %7s %7s %10s %9s %8s %8s %6s %9s %8s\n", "mix", "runs", "failed", "events",
           "events/s", "claims", "releases", "late", "batches", "runs/s");
}

static void row(const char *name, const struct tally *t, double took)
{
    printf("%-13s %7llu %7llu %10llu %9.0f %8llu %8llu %6llu %9llu %8.0f\n", name,
           (unsigned long long)t->runs, (unsigned long long)t->failed,
           (unsigned long long)t->events, (double)t->events / took, (unsigned long long)t->claims,
           (unsigned long long)t->releases, (unsigned long long)t->late,
           (unsigned long long)t->batches, (double)t->runs / took);
    fflush(stdout);
}

static void failure(const mix *m, const struct tally *t)
{
    if (t->some)
        printf("  %s: %s\n  again: cluster_sim --mix %s --seed %llu --trace\n", t->invariant,
               t->text, m->name, (unsigned long long)t->seed);
}

static void faults(const struct tally *t)
{
    printf("faults:");
    for (int f = 0; f < FAULTS; f++)
        printf("%s %s %llu", f ? "," : "", fault_name[f], (unsigned long long)t->faults[f]);
    printf("\nunits given up for a higher generation: %llu\n", (unsigned long long)t->witnessed);
    printf("configurations: %llu written, %llu refused, for another worker's came first\n",
           (unsigned long long)t->configs_written, (unsigned long long)t->configs_refused);
}

/** The seeds are dealt out to the mixes in shares that follow each other. */
static int run_mixes(const struct options *o)
{
    uint64_t share = o->mix ? o->count : (o->count + (uint64_t)mix_count - 1) / (uint64_t)mix_count;
    uint64_t off = o->off ? o->off->off : 0;
    struct tally all = {0};
    double began = seconds();

    head();
    for (int i = 0; i < mix_count; i++) {
        const mix *m = &mixes[i];
        struct batch b = {m, off, o->first, share, false, o->jobs};
        struct tally t = {0};
        double at = seconds();

        if (o->mix ? o->mix != m : m->extra)
            continue;
        if (!o->mix)
            b.first += share * (uint64_t)i;
        batch_run(&b, &t);
        row(m->name, &t, seconds() - at);
        failure(m, &t);
        tally_add(&all, &t);
    }
    row("all", &all, seconds() - began);
    faults(&all);
    return all.failed ? 1 : 0;
}

static int run_one(const struct options *o)
{
    sim *s = rc_calloc(1, sizeof(*s));
    bool ok;

    sim_init(s);
    s->tracing = o->trace;
    s->trace = stdout;
    ok = sim_run(s, o->first, o->mix ? o->mix : &mixes[0], o->off ? o->off->off : 0);
    printf("seed %llu, %llu events: %s %s\n", (unsigned long long)o->first,
           (unsigned long long)s->engine.done, ok ? "ok" : s->invariant, s->failure);
    sim_release(s);
    free(s);
    return ok ? 0 : 1;
}

/* ---- options --------------------------------------------------------------------------------- */

static int list(void)
{
    for (int i = 0; i < mix_count; i++)
        printf("mix  %-13s %s\n", mixes[i].name, mixes[i].about);
    for (int i = 0; i < mutant_count; i++)
        printf("rule %-14s %-7s %s\n", mutants[i].name, mutants[i].reference, mutants[i].about);
    return 0;
}

static bool read_range(const char *text, struct options *o)
{
    char *end;
    unsigned long long first = strtoull(text, &end, 10), last = first;

    if (end == text)
        return false;
    if (!strncmp(end, "..", 2))
        last = strtoull(end + 2, &end, 10);
    o->first = first;
    o->count = last - first + 1;
    return *end == '\0' && last >= first;
}

static bool read_off(const char *text, struct options *o)
{
    o->off = mutant_find(text);
    if (!o->off)
        fprintf(stderr, "there is no rule '%s'; --list has them\n", text);
    return o->off != NULL;
}

static bool read_mix(const char *text, struct options *o)
{
    o->mix = strcmp(text, "all") ? mix_find(text) : NULL;
    if (!o->mix && strcmp(text, "all") != 0)
        fprintf(stderr, "there is no mix '%s'; --list has them\n", text);
    return o->mix || !strcmp(text, "all");
}

static int usage(void)
{
    fprintf(stderr, "usage: cluster_sim [--seeds A..B] [--seed N [--trace]] [--mix NAME]\n"
                    "                   [--off RULE] [--mutants] [--jobs N] [--list]\n");
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option table[] = {
        {"seeds", required_argument, NULL, 's'},
        {"seed", required_argument, NULL, '1'},
        {"mix", required_argument, NULL, 'm'},
        {"off", required_argument, NULL, 'o'},
        {"jobs", required_argument, NULL, 'j'},
        {"trace", no_argument, NULL, 't'},
        {"mutants", no_argument, NULL, 'M'},
        {"list", no_argument, NULL, 'l'},
        {NULL, 0, NULL, 0},
    };
    struct options o = {.first = 0, .count = 1000, .jobs = 2};
    int64_t jobs = 2;
    int c;

    while ((c = getopt_long(argc, argv, "", table, NULL)) != -1) {
        if (c == 'l')
            return list();
        if ((c == 's' || c == '1') && !read_range(optarg, &o))
            return usage();
        if (c == 'm' && !read_mix(optarg, &o))
            return 2;
        if (c == 'o' && !read_off(optarg, &o))
            return 2;
        if (c == 'j' && (rc_parse_int64(omc_slice_str(optarg), &jobs) < 0 || jobs < 1 || jobs > 64))
            return usage();
        if (c == '?')
            return usage();
        o.one |= c == '1';
        o.trace |= c == 't';
        o.mutants |= c == 'M';
    }
    if (optind < argc)
        return usage();
    o.jobs = (int)jobs;
    if (o.off && !rules_switch(o.off->off)) {
        fprintf(stderr, "this build cannot switch '%s' off; cluster_sim_mutants can\n",
                o.off->name);
        return 2;
    }
    if (o.mutants)
        return mutants_run(o.off, o.first, o.count, o.jobs);
    return o.one ? run_one(&o) : run_mixes(&o);
}
