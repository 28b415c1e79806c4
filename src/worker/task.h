/* SPDX-License-Identifier: Apache-2.0 */
/**
 * One running task: a thread, its plugin state, its commands and its reports.
 *
 * The control thread makes it, gives it commands (run, pause, stop) and frees it after its last
 * report. Everything else happens on the task's own thread; it reports state changes through the
 * `report` callback and its end through `ended`, which is the last thing it does.
 */
#ifndef RC_TASK_H
#define RC_TASK_H

#include "base/thread.h"
#include "worker/errors.h"
#include "worker/worker.h"

typedef struct rc_task rc_task;

typedef enum rc_command {
    RC_COMMAND_RUN = 0,
    RC_COMMAND_PAUSE = 1,
    RC_COMMAND_STOP = 2
} rc_command;

/** How a task ended. */
typedef enum rc_ending { RC_ENDED_STOPPED, RC_ENDED_FINISHED, RC_ENDED_FAILED } rc_ending;

typedef struct rc_task_setup {
    const rc_worker_setup *worker;
    const rc_worker_config *worker_config;
    const char *connector;
    int id, count;
    const rc_connector_plan *plan; /**< Copied deeply. */
    const omc_keyvalue *config;    /**< The task's whole configuration; copied. */
    rc_task_metrics *metrics;      /**< A reference is taken. */
    rc_command command;            /**< RUN or PAUSE at the start. */
    rc_fence *fence;               /**< A reference is taken; NULL = nobody rules. */
    /** @thread task. The state changed (RUNNING, PAUSED, STALLED). `why` may be NULL. */
    void (*report)(void *arg, rc_task *task, rc_state state, const rc_error *why);
    /** @thread task. The last call; `why` is set when it failed. */
    void (*ended)(void *arg, rc_task *task, rc_ending ending, const rc_error *why);
    void *arg;
} rc_task_setup;

/** Starts the thread. @thread control */
int rc_task_start(const rc_task_setup *setup, rc_task **ret, rc_error *err);
/** @thread control */
void rc_task_command(rc_task *task, rc_command command);
/** Frees a task that called `ended` (joins its thread). @thread control */
void rc_task_free(rc_task *task);
/** Its fence has been revoked: it is to notice soon. @thread control */
void rc_task_nudge(rc_task *task);
/** Lets go of a task whose plugin does not return: it stays in memory, and when the call comes
 *  back it ends without touching the log or anybody. @thread control */
void rc_task_abandon(rc_task *task);
/** Name of the plugin call the task is in and for how long, "" when in none. Any thread. */
const char *rc_task_call(rc_task *task, int64_t *ret_ms);

#endif
