/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Retry and tolerance. The delays are the Java runtime's (300 ms << n, capped, then random below
 * the cap so that many tasks do not knock in step); unlike there, a retriable error whose time is
 * over is not silently skipped under tolerance `none`.
 */
#include "worker/errors.h"

#define FIRST_DELAY_MS 300

const char *rc_stage_name(rc_stage stage)
{
    switch (stage) {
    case RC_STAGE_POLL:
        return "TASK_POLL";
    case RC_STAGE_TRANSFORMATION:
        return "TRANSFORMATION";
    case RC_STAGE_KEY_CONVERTER:
        return "KEY_CONVERTER";
    case RC_STAGE_VALUE_CONVERTER:
        return "VALUE_CONVERTER";
    case RC_STAGE_PRODUCE:
        return "ROCKETMQ_PRODUCE";
    case RC_STAGE_CONSUME:
        return "ROCKETMQ_CONSUME";
    case RC_STAGE_PUT:
        return "TASK_PUT";
    }
    return "UNKNOWN";
}

void rc_errors_init(rc_errors *errors, const rc_connector_options *options,
                    rc_task_metrics *metrics, rc_clock *clock, uint64_t seed)
{
    errors->options = options;
    errors->metrics = metrics;
    errors->clock = clock;
    errors->random = seed | 1;
}

/* xorshift64: spreads retries; nothing depends on its quality. */
static uint64_t next_random(rc_errors *errors)
{
    errors->random ^= errors->random << 13;
    errors->random ^= errors->random >> 7;
    errors->random ^= errors->random << 17;
    return errors->random;
}

static int64_t back_off(rc_errors *errors, int failures)
{
    int64_t cap = RC_MAX(errors->options->retry_delay_max_ms, 1);
    int shift = RC_MIN(failures - 1, 20);
    int64_t delay = (int64_t)FIRST_DELAY_MS << shift;

    if (delay <= cap)
        return delay;
    return 1 + (int64_t)(next_random(errors) % (uint64_t)cap);
}

static void note_failure(rc_errors *errors, rc_attempt *attempt)
{
    rc_metric_add(errors->metrics, RC_TM_ERRORS, 1);
    if (attempt->failures++ == 0)
        attempt->first_ns = rc_mono_ns(errors->clock);
}

static rc_verdict retry(rc_errors *errors, rc_attempt *attempt, int64_t delay_ms)
{
    attempt->delay_ms = delay_ms;
    rc_metric_add(errors->metrics, RC_TM_RETRIES, 1);
    return RC_VERDICT_RETRY;
}

rc_verdict rc_errors_record(rc_errors *errors, rc_attempt *attempt, const rc_error *err)
{
    int64_t timeout_ms = errors->options->retry_timeout_ms;

    note_failure(errors, attempt);
    if (err->flags & OMC_ERR_PROMPT) /* what failed was around the record */
        return RC_VERDICT_FAIL;
    if ((err->flags & OMC_ERR_RETRIABLE) && timeout_ms != 0) {
        int64_t delay = back_off(errors, attempt->failures);
        int64_t spent = (rc_mono_ns(errors->clock) - attempt->first_ns) / 1000000;

        if (timeout_ms < 0 || spent < timeout_ms) {
            if (timeout_ms > 0)
                delay = RC_MIN(delay, timeout_ms - spent);
            return retry(errors, attempt, delay);
        }
    }
    return strcmp(errors->options->tolerance, "all") == 0 ? RC_VERDICT_SKIP : RC_VERDICT_FAIL;
}

rc_verdict rc_errors_call(rc_errors *errors, rc_attempt *attempt, const rc_error *err)
{
    note_failure(errors, attempt);
    if (!(err->flags & OMC_ERR_RETRIABLE))
        return RC_VERDICT_FAIL;
    return retry(errors, attempt, back_off(errors, attempt->failures));
}
