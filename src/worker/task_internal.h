/* SPDX-License-Identifier: Apache-2.0 */
/* What the two loops (source_task.c, sink_task.c) share with task.c; nobody else includes it. */
#ifndef RC_TASK_INTERNAL_H
#define RC_TASK_INTERNAL_H

#include "record/batch.h"
#include "worker/dead_letter.h"
#include "worker/task.h"

struct rc_task {
    rc_task_setup setup; /* pointers replaced by copies in `memory` */
    rc_arena memory;     /* everything that lives as long as the task */
    rc_connector_plan plan;
    omc_config config;
    char *name; /* "<connector>-<id>" */
    char *who;  /* "task <name>", for log lines */
    pthread_t thread;
    rc_wake wake;
    rc_fence *fence; /* NULL = nobody rules */
    rc_clock *clock;
    rc_log *log;
    rc_task_metrics *metrics;
    rc_errors errors;
    rc_converter *key, *value;
    rc_chain *chain;
    rc_dead_letter *dead_letter; /* NULL = none configured */
    void *state;                 /* the plugin's */
    void *loop;                  /* the sink loop's, for calls back from its plugin */

    pthread_mutex_t mu; /* guards command, abandoned, wakeable, call */
    pthread_cond_t cond;
    rc_command command;
    bool abandoned;
    bool wakeable; /* init succeeded and stop was not called: wake() is allowed */
    const char *call;
    int64_t call_ns;
    rc_state reported; /* last state given to setup.report; task thread only */
    int reported_code; /* of its reason */
    bool gone;         /* abandoned, as the task thread knows it */
};

/* Brackets a call of the plugin, so that a call that hangs has a name. */
void rc_task_enter(rc_task *task, const char *call);
/* @return false when the task was abandoned meanwhile: leave without touching anything. */
bool rc_task_leave(rc_task *task);
/* A call that failed: its name in front of the error, which gets a text when the plugin gave none.
 * Calls begin with a zeroed error. @return r */
int rc_task_call_failed(rc_task *task, const char *call, int r, rc_error *err);

rc_command rc_task_commanded(rc_task *task);
/* Ends the bracket around init, which returned `r`, and calls start (may be NULL). From then on
 * wake() is allowed. */
int rc_task_begin(rc_task *task, int r, int (*start)(void *state, omc_error *err), rc_error *err);
/* wake() is allowed no more; calls stop (may be NULL). */
void rc_task_end(rc_task *task, void (*stop)(void *state));
/* Clears the wake-up, unless a command other than RUN stands (it stays readable then). */
void rc_task_clear_wake(rc_task *task);
/* Reports a state when it differs from the last one. */
void rc_task_report(rc_task *task, rc_state state, const rc_error *why);
/* Waits up to `ms` (-1 = for ever) for the wake-up. */
void rc_task_sleep(rc_task *task, int64_t ms);
/* A task that moved at least this much and became idle gives its memory back. */
#define RC_TRIM_BYTES ((size_t)1 << 20)
/* The task is idle: gives freed memory back to the system. */
void rc_task_trim(void);
/* Waits `ms` on the injected clock, less when a command comes. 0, or -OMC_ECANCELED for a stop. */
int rc_task_back_off(rc_task *task, int64_t ms);
/*
 * Waits until the task's fence is open. `acts`: for a send, a put or a commit, which need the
 * lease; else for what only prepares them. 0 at once without a fence; -OMC_EFENCED;
 * -OMC_ECANCELED for a stop.
 */
int rc_task_admitted(rc_task *task, bool acts, rc_error *err);
/* The same for a task that ends: waits a moment at most. True: its last acts are allowed. */
bool rc_task_may_finish(rc_task *task);
/* The first act: tells the log that this generation has begun. As rc_task_admitted(). */
int rc_task_take_over(rc_task *task, rc_error *err);
/* Count, log line and dead letter (into `append`, when there is a topic for them) of a skipped
 * record. 0, or why the dead letter could not be kept. */
int rc_task_skipped(rc_task *task, rc_append *append, const rc_failure *failure, rc_error *err);

/* What becomes of one record. The values are those of omc_send_result.status. */
enum { RC_RECORD_KEEP = 0, RC_RECORD_DROPPED = 1, RC_RECORD_SKIPPED = 2 };
/* Applies the chain to one record, with retries and tolerance. SKIP is not yet reported: `failure`
 * has stage, class and error then, as it has when the result is negative. */
int rc_task_transform(rc_task *task, omc_record *record, omc_arena *arena, rc_failure *failure);
/* Decides about a failed try of a record's operation and waits when it is to be tried again.
 * RC_RECORD_KEEP = try again, RC_RECORD_SKIPPED, or negative = fail with failure->err. */
int rc_task_try_again(rc_task *task, rc_attempt *attempt, rc_failure *failure);

/* The context members every task has. */
#define RC_FILL_CONTEXT(of, at)                  \
    do {                                         \
        (at)->size = sizeof *(at);               \
        (at)->connector = (of)->setup.connector; \
        (at)->task = (of)->name;                 \
        (at)->task_id = (of)->setup.id;          \
        (at)->task_count = (of)->setup.count;    \
        (at)->config = &(of)->config;            \
        (at)->services = rc_host_services();     \
        (at)->wake_fd = (of)->wake.fd;           \
        (at)->host = (of);                       \
        (at)->count = rc_task_plugin_count;      \
        (at)->log = rc_task_plugin_log;          \
    } while (0)
const omc_host *rc_host_services(void);
void rc_task_plugin_count(void *host, const char *name, int64_t delta);
void rc_task_plugin_log(void *host, omc_log_level level, const char *fmt, ...) OMC_PRINTF(3, 4);

/* The loops. They return how the task ended; RC_ENDED_FAILED fills err. */
rc_ending rc_source_run(rc_task *task, rc_error *err);
rc_ending rc_sink_run(rc_task *task, rc_error *err);

#endif
