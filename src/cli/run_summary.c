/* SPDX-License-Identifier: Apache-2.0 */
/* The last words of a run: what happened, and what to do next. */
#include "cli/run.h"

#include "base/units.h"
#include "cli/cli.h"

#include <stdio.h>

static const char *plural(int64_t count)
{
    return count == 1 ? "" : "s";
}

static void print_counts(const rc_pipeline *pipeline, const rc_outcome *outcome, const char *what)
{
    const double seconds = RC_MAX((double)outcome->ms / 1000, 0.001);
    char count[32], size[24], time[32], rate[32];

    printf("%s: %s. %s record%s, %s in %s (%s records/s, %.1f MB/s).\n", pipeline->name, what,
           rc_format_count(outcome->records, count), plural(outcome->records),
           rc_format_size(outcome->bytes, size), rc_format_duration(outcome->ms, time),
           rc_format_count((int64_t)((double)outcome->records / seconds), rate),
           (double)outcome->bytes / seconds / 1e6);
}

static void print_losses(const rc_outcome *outcome)
{
    const rc_seen *both[] = {&outcome->source, &outcome->sink};
    int64_t skipped = 0, filtered = 0, letters = 0;
    char text[32];

    for (size_t i = 0; i < RC_COUNT(both); i++) {
        skipped += both[i]->values[RC_TM_SKIPPED];
        filtered += both[i]->values[RC_TM_FILTERED];
        letters += both[i]->values[RC_TM_DEAD_LETTERS];
    }
    if (filtered)
        printf("  %s record%s dropped by transforms.\n", rc_format_count(filtered, text),
               filtered == 1 ? " was" : "s were");
    if (skipped)
        printf("  %s record%s skipped because of errors (errors.tolerance=all).\n",
               rc_format_count(skipped, text), skipped == 1 ? " was" : "s were");
    if (letters)
        printf("  %s record%s in the dead-letter topic.\n", rc_format_count(letters, text),
               letters == 1 ? " is" : "s are");
}

static void print_left(const rc_outcome *outcome)
{
    const int64_t left = outcome->reach.end - outcome->reach.committed;
    char text[32];

    if (left > 0)
        printf("  %s message%s in the log and not yet in the sink.\n", rc_format_count(left, text),
               left == 1 ? " is" : "s are");
}

static bool bounded(const rc_pipeline *pipeline)
{
    const omc_slice *value = omc_keyvalue_get(pipeline->source, "bounded");

    return value && omc_slice_is(*value, "true");
}

static int summarize_interrupted(const rc_pipeline *pipeline, const rc_outcome *outcome)
{
    print_counts(pipeline, outcome, "stopped as asked");
    print_losses(outcome);
    print_left(outcome);
    printf("Next: run it again to go on where it stopped.\n");
    return bounded(pipeline) ? RC_EXIT_FAILED : RC_EXIT_OK; /* a copy that is not whole */
}

static int summarize_finished(const rc_pipeline *pipeline, const rc_outcome *outcome)
{
    if (outcome->records == 0 && outcome->source.values[RC_TM_POLLED] == 0) {
        printf("%s: nothing new. The sink has everything the source delivered before.\n"
               "Next: add to the source and run it again, or start from the beginning with "
               "--restart.\n",
               pipeline->name);
        return RC_EXIT_OK;
    }
    print_counts(pipeline, outcome, "done");
    print_losses(outcome);
    printf("Next: run it again (only what is new is copied), or from the beginning with "
           "--restart; state is in '%s'.\n",
           pipeline->log_dir);
    return RC_EXIT_OK;
}

int rc_run_summary(const rc_pipeline *pipeline, const rc_outcome *outcome)
{
    if (outcome->failed) {
        if (outcome->records)
            print_counts(pipeline, outcome, "failed");
        print_left(outcome);
        (void)fflush(stdout);
        (void)fprintf(stderr, "error: %s\n", outcome->err.msg);
        printf("Next: remove the cause and run it again; it goes on where it stopped.\n");
        return RC_EXIT_FAILED;
    }
    return outcome->finished ? summarize_finished(pipeline, outcome)
                             : summarize_interrupted(pipeline, outcome);
}
