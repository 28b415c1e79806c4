/* SPDX-License-Identifier: Apache-2.0 */
/** Parts of the command `run`: what its state is, and what it prints. One thread (the loop's). */
#ifndef RC_CLI_RUN_H
#define RC_CLI_RUN_H

#include "cli/pipeline.h"
#include "cli/progress.h"
#include "cli/service.h"

/** How far both ends are, by what the log holds. */
typedef struct rc_reach {
    int64_t end;       /**< Messages in the topics, all queues: next offsets added up. */
    int64_t committed; /**< Of these, what the sink has committed. */
    int64_t position;  /**< Bytes of the source's files that are in the log; -1 = unknown. */
    int64_t size;      /**< Bytes of the source's file; -1 = unknown. */
} rc_reach;

/** Reads the reach from the log. Topics that do not exist hold nothing. */
int rc_reach_read(rc_log *log, const rc_pipeline *pipeline, rc_reach *ret, rc_error *err);

/** One connector as last seen. */
typedef struct rc_seen {
    bool known;
    bool finished;  /**< All its tasks have. */
    rc_state state; /**< The worst of connector and tasks. */
    char trace[OMC_ERROR_TEXT_MAX];
    int64_t values[RC_TM_COUNT]; /**< Metrics of all tasks. */
} rc_seen;
void rc_seen_take(const rc_connector_view *view, rc_seen *ret);

/** Removes a pipeline's state. Says what on standard output. */
int rc_pipeline_restart(const rc_pipeline *pipeline, const char *log_dir, rc_error *err);

/** How a run ended, for the summary. */
typedef struct rc_outcome {
    bool finished, interrupted, failed;
    rc_error err; /**< failed */
    int64_t ms;
    int64_t records, bytes;
    rc_reach reach;
    rc_seen source, sink;
} rc_outcome;
/** Prints the summary and what to do next. @return the exit code. */
int rc_run_summary(const rc_pipeline *pipeline, const rc_outcome *outcome);

#endif
