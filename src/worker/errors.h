/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What a task does about a failed operation: try again with back-off, skip the record, or fail.
 * The `errors.*` keys of the Java runtime, working as documented. One per task, its thread only.
 */
#ifndef RC_ERRORS_H
#define RC_ERRORS_H

#include "base/clock.h"
#include "worker/connector_config.h"
#include "worker/metrics.h"

typedef enum rc_stage {
    RC_STAGE_POLL,
    RC_STAGE_TRANSFORMATION,
    RC_STAGE_KEY_CONVERTER,
    RC_STAGE_VALUE_CONVERTER,
    RC_STAGE_PRODUCE,
    RC_STAGE_CONSUME,
    RC_STAGE_PUT
} rc_stage;
/** Java's names: TASK_POLL, TRANSFORMATION, CONVERTER, ... */
const char *rc_stage_name(rc_stage stage);

typedef enum rc_verdict {
    RC_VERDICT_RETRY, /**< Wait rc_attempt.delay_ms, then do it again. */
    RC_VERDICT_SKIP,  /**< Tolerated: skip the record and report it. */
    RC_VERDICT_FAIL   /**< Fail the task with the error. */
} rc_verdict;

/** The tries of one operation. Zero it before the first. */
typedef struct rc_attempt {
    int failures;
    int64_t first_ns;
    int64_t delay_ms; /**< Set with RC_VERDICT_RETRY. */
} rc_attempt;

typedef struct rc_errors {
    const rc_connector_options *options;
    rc_task_metrics *metrics;
    rc_clock *clock;
    uint64_t random;
} rc_errors;

void rc_errors_init(rc_errors *errors, const rc_connector_options *options,
                    rc_task_metrics *metrics, rc_clock *clock, uint64_t seed);

/**
 * Decides about a failure of one record's transform or conversion: a retriable error is tried
 * again, 300 ms doubled each time, above `errors.retry.delay.max.ms` a random share of it, until
 * `errors.retry.timeout` has passed (-1: for ever); then, and for errors that are not retriable,
 * `errors.tolerance` decides. OMC_ERR_PROMPT fails the task in any case: the record is not to
 * blame.
 */
rc_verdict rc_errors_record(rc_errors *errors, rc_attempt *attempt, const rc_error *err);
/** The same for poll and put, which are tried again for as long as their errors are retriable:
 *  skipping would lose whole batches. */
rc_verdict rc_errors_call(rc_errors *errors, rc_attempt *attempt, const rc_error *err);

#endif
