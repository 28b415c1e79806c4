/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Parts of the command `plugin try`: a worker of its own that loads, validates and runs connectors
 * on a thread beside the loop, one line of result for each.
 */
#ifndef RC_CLI_TRY_H
#define RC_CLI_TRY_H

#include "cli/command.h"
#include "cli/run.h"

#include <jansson.h>
#include <pthread.h>

#define RC_TRIALS_MAX 64

/** A connector of --run. */
typedef struct rc_trial {
    const char *name; /**< As given. */
    const char *id;   /**< "try-<name>": nothing it stores is that of a real connector. */
    const omc_keyvalue *config;
    int64_t records; /**< To be moved. */
    rc_seen seen;
    bool created, moved; /**< moved: it runs, and its records are there. */
} rc_trial;

/** Reads a file of --run: JSON with connectors by name, or the properties of one.
 *  @return 0, or -OMC_EINVAL and such with the file, the key and the cure. */
int rc_trials_read(const char *file, omc_arena *arena, rc_trial *trials, size_t *count,
                   rc_error *err);

typedef enum rc_verdict { RC_VERDICT_OK, RC_VERDICT_WARN, RC_VERDICT_FAIL } rc_verdict;

/** One run of the command. */
typedef struct rc_try {
    rc_worker_config config;
    const omc_plugin *const *connectors;
    rc_registry *registry; /**< The service's, once it runs. */
    rc_service *service;
    rc_trial trials[RC_TRIALS_MAX];
    size_t trial_count;
    int64_t stay_ms, patience_ms;
    bool json;
    json_t *results; /**< With json. */
    int found, ran, warnings, failures;
    pthread_t thread;
    bool thread_runs;
    pthread_mutex_t mu; /**< Guards what is below, and trials[].seen. */
    pthread_cond_t changed;
    bool answered, interrupted;
    int result; /**< Of the question that was answered. */
    rc_error why;
} rc_try;

/** Tells one result: a line "ok    <kind> <what>: <text>", or with json an object. */
void rc_try_tell(rc_try *t, rc_verdict verdict, const char *kind, const char *what, const char *fmt,
                 ...) OMC_PRINTF(5, 6);
/** Asks the worker and waits; the answer is in t->why, with all problems, and in trials[].seen when
 *  it was a list. @return its result. @thread the try's */
int rc_try_ask(rc_try *t, const rc_request *request);
/** Waits for `ms`. @return false when interrupted. @thread the try's */
bool rc_try_sleep(rc_try *t, int64_t ms);
/** Creates the trials, waits for them, tells how they are. @thread the try's */
void rc_trials_run(rc_try *t);

#endif
