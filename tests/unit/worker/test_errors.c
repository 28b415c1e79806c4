/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of a failed operation, on a clock that moves only when told. Delays and verdicts
 * are those of the Java runtime's errors.* keys as they are documented.
 */
#include "unit.h"

#include "worker/errors.h"

#include <string.h>

typedef struct bench {
    rc_fake_clock *fake;
    rc_connector_options options;
    rc_task_metrics *metrics;
    rc_errors errors;
} bench;

static void open_bench(bench *b, const char *tolerance, int64_t timeout_ms, int64_t cap_ms)
{
    b->fake = rc_fake_clock_new(1000);
    b->options = (rc_connector_options){.tolerance = tolerance,
                                        .retry_timeout_ms = timeout_ms,
                                        .retry_delay_max_ms = cap_ms};
    b->metrics = rc_task_metrics_new();
    rc_errors_init(&b->errors, &b->options, b->metrics, rc_fake_clock_clock(b->fake), 42);
}

static void close_bench(bench *b)
{
    rc_task_metrics_unref(b->metrics);
    rc_fake_clock_free(b->fake);
}

static const rc_error passing = {.code = OMC_ECONNECT, .flags = OMC_ERR_RETRIABLE};
static const rc_error lasting = {.code = OMC_EFORMAT};

/** 300 ms doubled each time as long as the cap allows, then anything from 1 ms to the cap. */
static void delays_double_up_to_the_cap(void **state)
{
    static const int64_t doubled[] = {300, 600, 1200, 2400, 4800};
    int64_t seen[200];
    rc_attempt attempt = {0};
    bool differ = false;
    bench b;

    (void)state;
    open_bench(&b, "none", -1, 5000);
    for (size_t i = 0; i < RC_COUNT(doubled); i++) {
        assert_int_equal(rc_errors_record(&b.errors, &attempt, &passing), RC_VERDICT_RETRY);
        assert_int_equal(attempt.delay_ms, doubled[i]);
        rc_fake_clock_advance(b.fake, attempt.delay_ms);
    }
    for (size_t i = 0; i < RC_COUNT(seen); i++) {
        assert_int_equal(rc_errors_record(&b.errors, &attempt, &passing), RC_VERDICT_RETRY);
        assert_in_range(attempt.delay_ms, 1, 5000);
        seen[i] = attempt.delay_ms;
        differ |= seen[i] != seen[0];
    }
    assert_true(differ); /* many tasks must not knock in step */
    assert_int_equal(rc_metric_get(b.metrics, RC_TM_RETRIES), 205);
    assert_int_equal(rc_metric_get(b.metrics, RC_TM_ERRORS), 205);
    close_bench(&b);
}

/** A cap below the first delay holds, too; so does the smallest. */
static void a_small_cap_holds_from_the_start(void **state)
{
    static const int64_t caps[] = {1, 20, 299, 300, 301};

    (void)state;
    for (size_t c = 0; c < RC_COUNT(caps); c++) {
        rc_attempt attempt = {0};
        bench b;

        open_bench(&b, "none", -1, caps[c]);
        for (int i = 0; i < 100; i++) {
            assert_int_equal(rc_errors_record(&b.errors, &attempt, &passing), RC_VERDICT_RETRY);
            assert_in_range(attempt.delay_ms, 1, caps[c]);
        }
        close_bench(&b);
    }
}

/** Each record's time begins with its own first failure, and the last wait ends with it. */
static void retries_end_with_their_time(void **state)
{
    static const struct {
        const char *tolerance;
        rc_verdict verdict;
    } cases[] = {{"none", RC_VERDICT_FAIL}, {"all", RC_VERDICT_SKIP}};

    (void)state;
    for (size_t c = 0; c < RC_COUNT(cases); c++) {
        bench b;

        open_bench(&b, cases[c].tolerance, 1000, 60000);
        for (int record = 0; record < 2; record++) {
            rc_attempt attempt = {0};

            assert_int_equal(rc_errors_record(&b.errors, &attempt, &passing), RC_VERDICT_RETRY);
            assert_int_equal(attempt.delay_ms, 300);
            rc_fake_clock_advance(b.fake, 300);
            assert_int_equal(rc_errors_record(&b.errors, &attempt, &passing), RC_VERDICT_RETRY);
            assert_int_equal(attempt.delay_ms, 600);
            rc_fake_clock_advance(b.fake, 600);
            assert_int_equal(rc_errors_record(&b.errors, &attempt, &passing), RC_VERDICT_RETRY);
            assert_int_equal(attempt.delay_ms, 100); /* what is left of 1,000 */
            rc_fake_clock_advance(b.fake, 100);
            assert_int_equal(rc_errors_record(&b.errors, &attempt, &passing), cases[c].verdict);
            assert_int_equal(attempt.failures, 4);
        }
        assert_int_equal(rc_metric_get(b.metrics, RC_TM_ERRORS), 8);
        assert_int_equal(rc_metric_get(b.metrics, RC_TM_RETRIES), 6);
        close_bench(&b);
    }
}

static void what_cannot_pass_is_decided_at_once(void **state)
{
    static const struct {
        const char *what, *tolerance;
        int64_t timeout_ms;
        const rc_error *err;
        rc_verdict verdict;
    } cases[] = {
        {"lasting, none", "none", -1, &lasting, RC_VERDICT_FAIL},
        {"lasting, all", "all", -1, &lasting, RC_VERDICT_SKIP},
        {"passing, no time, none", "none", 0, &passing, RC_VERDICT_FAIL},
        {"passing, no time, all", "all", 0, &passing, RC_VERDICT_SKIP},
        {"passing, for ever, all", "all", -1, &passing, RC_VERDICT_RETRY},
    };

    (void)state;
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        rc_attempt attempt = {0};
        rc_verdict verdict;
        bench b;

        open_bench(&b, cases[i].tolerance, cases[i].timeout_ms, 60000);
        verdict = rc_errors_record(&b.errors, &attempt, cases[i].err);
        if (verdict != cases[i].verdict)
            fail_msg("%s: got %d", cases[i].what, verdict);
        close_bench(&b);
    }
}

/** An error that stops being retriable ends the retries, whatever time is left. */
static void a_lasting_error_ends_retries(void **state)
{
    rc_attempt attempt = {0};
    bench b;

    (void)state;
    open_bench(&b, "all", -1, 60000);
    assert_int_equal(rc_errors_record(&b.errors, &attempt, &passing), RC_VERDICT_RETRY);
    assert_int_equal(rc_errors_record(&b.errors, &attempt, &lasting), RC_VERDICT_SKIP);
    close_bench(&b);
}

/** poll and put: neither a timeout nor tolerance may lose a batch. */
static void calls_are_tried_again_for_ever(void **state)
{
    rc_attempt attempt = {0};
    bench b;

    (void)state;
    open_bench(&b, "all", 0, 1000);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(rc_errors_call(&b.errors, &attempt, &passing), RC_VERDICT_RETRY);
        assert_in_range(attempt.delay_ms, 1, 1000);
        rc_fake_clock_advance(b.fake, attempt.delay_ms);
    }
    assert_int_equal(rc_errors_call(&b.errors, &attempt, &lasting), RC_VERDICT_FAIL);
    assert_int_equal(rc_metric_get(b.metrics, RC_TM_ERRORS), 1001);
    close_bench(&b);
}

static void stages_have_java_names(void **state)
{
    (void)state;
    assert_string_equal(rc_stage_name(RC_STAGE_POLL), "TASK_POLL");
    assert_string_equal(rc_stage_name(RC_STAGE_TRANSFORMATION), "TRANSFORMATION");
    assert_string_equal(rc_stage_name(RC_STAGE_KEY_CONVERTER), "KEY_CONVERTER");
    assert_string_equal(rc_stage_name(RC_STAGE_VALUE_CONVERTER), "VALUE_CONVERTER");
    assert_string_equal(rc_stage_name(RC_STAGE_PRODUCE), "ROCKETMQ_PRODUCE");
    assert_string_equal(rc_stage_name(RC_STAGE_CONSUME), "ROCKETMQ_CONSUME");
    assert_string_equal(rc_stage_name(RC_STAGE_PUT), "TASK_PUT");
}

static void metrics_live_as_long_as_somebody_looks(void **state)
{
    rc_task_metrics *metrics = rc_task_metrics_new();

    (void)state;
    assert_int_equal(rc_metric_get(metrics, RC_TM_LAG), -1); /* unknown, not zero */
    assert_int_equal(rc_metric_get(metrics, RC_TM_PUT), 0);
    assert_ptr_equal(rc_task_metrics_ref(metrics), metrics);
    rc_task_metrics_unref(metrics);
    rc_metric_add(metrics, RC_TM_PUT, 2);
    assert_int_equal(rc_metric_get(metrics, RC_TM_PUT), 2);
    rc_task_metrics_unref(metrics);
    rc_task_metrics_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delays_double_up_to_the_cap),
        cmocka_unit_test(a_small_cap_holds_from_the_start),
        cmocka_unit_test(retries_end_with_their_time),
        cmocka_unit_test(what_cannot_pass_is_decided_at_once),
        cmocka_unit_test(a_lasting_error_ends_retries),
        cmocka_unit_test(calls_are_tried_again_for_ever),
        cmocka_unit_test(stages_have_java_names),
        cmocka_unit_test(metrics_live_as_long_as_somebody_looks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
