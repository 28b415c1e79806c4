/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The assignment of clusters of a size, step by step: everything new, nothing new, a worker joins,
 * it leaves again. Units have no owner at first; connectors have 10 tasks. Prints a JSON line per
 * step: the median time of one call, the units that moved, those that had to, the difference of
 * the loads, the memory of the call, and what the Java runtime's rule (number of the task modulo
 * workers) would have moved.
 *
 *   assign_bench WORKERS UNITS [labels]
 *
 * With `labels`, workers lie in three zones, half of the connectors wants one of two of them.
 */
#include "base/clock.h"
#include "base/units.h"
#include "cluster/assign.h"

#include <stdio.h>
#include <string.h>

#define ROUNDS 5
#define TASKS 10

typedef struct bench {
    rc_member *members;
    rc_unit *units;
    rc_assign_input in;
    rc_assigned out;
    bool labels;
} bench;

static void make(bench *b, size_t workers, size_t units)
{
    static const char *const zones[] = {"zone=a", "zone=b", "zone=c"};

    b->members = rc_calloc(workers + 1, sizeof *b->members);
    b->units = rc_calloc(units, sizeof *b->units);
    for (size_t i = 0; i <= workers; i++)
        b->members[i] = (rc_member){.name = rc_format("worker-%05zu", i),
                                    .labels = b->labels ? zones[i % 3] : NULL,
                                    .weight = 1};
    for (size_t i = 0; i < units; i++) {
        size_t connector = i / TASKS;

        b->units[i] =
            (rc_unit){.connector = i % TASKS ? b->units[i - 1].connector
                                             : rc_format("connector-%06zu", connector),
                      .task = (int32_t)(i % TASKS),
                      .owner = RC_ASSIGN_NOBODY,
                      .weight = 1,
                      .requires = b->labels && connector % 4 < 2 ? zones[connector % 4] : NULL};
    }
    b->in = (rc_assign_input){.members = b->members,
                              .member_count = workers,
                              .units = b->units,
                              .unit_count = units};
}

static int compare_times(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;

    return (left > right) - (left < right);
}

/* Most load minus least, of members that count. */
static uint64_t difference(const bench *b)
{
    uint64_t least = UINT64_MAX;
    uint64_t most = 0;

    for (size_t i = 0; i < b->in.member_count; i++) {
        if (b->members[i].flags)
            continue;
        least = RC_MIN(least, b->out.load[i]);
        most = RC_MAX(most, b->out.load[i]);
    }
    return most - least;
}

static size_t java_moves(size_t units, size_t before, size_t after)
{
    size_t moved = 0;

    for (size_t i = 0; i < units; i++)
        moved += i % before != i % after;
    return moved;
}

/* `had_to`: the fewest moves there can be without labels; `java`: of its rule. */
static int step(bench *b, const char *name, size_t had_to, size_t java)
{
    int64_t times[ROUNDS];
    rc_error err = {0};
    size_t moved = 0;

    for (int i = 0; i < ROUNDS; i++) {
        rc_assigned_release(&b->out);
        times[i] = rc_mono_ns(rc_clock_real());
        if (rc_assign(&b->in, &b->out, &err) < 0) {
            fprintf(stderr, "assign_bench: %s\n", err.msg);
            return 1;
        }
        times[i] = rc_mono_ns(rc_clock_real()) - times[i];
    }
    qsort(times, ROUNDS, sizeof times[0], compare_times);
    for (size_t i = 0; i < b->in.unit_count; i++)
        moved += rc_assigned_moved(&b->in, &b->out, i);
    printf("{\"step\": \"%s\", \"ms\": %.3f, \"moved\": %zu, \"had_to\": %zu, \"java\": %zu, "
           "\"difference\": %llu, \"bytes\": %zu, \"cut\": %s}\n",
           name, (double)times[ROUNDS / 2] / 1e6, moved, had_to, java,
           (unsigned long long)difference(b), b->out.bytes, b->out.cut ? "true" : "false");
    for (size_t i = 0; i < b->in.unit_count; i++)
        b->units[i].owner = b->out.owner[i];
    return 0;
}

static int run(bench *b, size_t workers, size_t units)
{
    if (step(b, "new", units, units) || step(b, "same", 0, 0))
        return 1;
    b->in.member_count = workers + 1;
    if (step(b, "join", units / (workers + 1), java_moves(units, workers, workers + 1)))
        return 1;
    b->members[0].flags = RC_MEMBER_ABSENT;
    return step(b, "leave", b->out.load[0], java_moves(units, workers + 1, workers));
}

static int number(const char *text, int64_t max, size_t *ret)
{
    int64_t n = 0;

    if (rc_parse_int64(omc_slice_str(text), &n) < 0 || n < 1 || n > max)
        return -1;
    *ret = (size_t)n;
    return 0;
}

int main(int argc, char **argv)
{
    bench b = {.labels = argc == 4 && strcmp(argv[3], "labels") == 0};
    size_t workers;
    size_t units;

    if (argc < 3 || argc > 4 || (argc == 4 && !b.labels) ||
        number(argv[1], RC_ASSIGN_MEMBERS_MAX - 1, &workers) < 0 ||
        number(argv[2], RC_ASSIGN_UNITS_MAX, &units) < 0) {
        fprintf(stderr, "usage: assign_bench WORKERS UNITS [labels]\n");
        return 2;
    }
    make(&b, workers, units);
    return run(&b, workers, units);
}
