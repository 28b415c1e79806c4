/* SPDX-License-Identifier: Apache-2.0 */
/** Quantiles stay within the promised error, also beside writers. */
#include "unit.h"

#include "base/histogram.h"
#include "base/thread.h"

static void one_value_is_found_within_12_percent(void **state)
{
    (void)state;
    for (int64_t v = 1; v < (int64_t)3600 * 1000000; v += v / 37 + 1) {
        rc_histogram h = {0};
        int64_t got;

        rc_histogram_record(&h, v);
        got = rc_histogram_quantile(&h, 0.5);
        if ((double)got < (double)v * 0.88 || (double)got > (double)v * 1.12)
            fail_msg("%lld became %lld", (long long)v, (long long)got);
    }
}

static void quantiles_of_a_known_spread(void **state)
{
    rc_histogram h = {0};
    (void)state;

    assert_int_equal(rc_histogram_quantile(&h, 0.5), 0);
    for (int64_t v = 1; v <= 10000; v++)
        rc_histogram_record(&h, v);
    assert_int_equal(rc_histogram_count(&h), 10000);
    assert_int_equal(atomic_load(&h.sum_us), 50005000);
    assert_in_range(rc_histogram_quantile(&h, 0.5), 4400, 5600);
    assert_in_range(rc_histogram_quantile(&h, 0.99), 8712, 11088);
    assert_int_equal(rc_histogram_quantile(&h, 0.0), 1);
    assert_true(rc_histogram_quantile(&h, 7.0) >= rc_histogram_quantile(&h, 1.0));
}

static void ends_are_safe(void **state)
{
    rc_histogram h = {0};
    (void)state;

    rc_histogram_record(&h, -5);
    rc_histogram_record(&h, 0);
    assert_int_equal(rc_histogram_quantile(&h, 1.0), 1);
    rc_histogram_record(&h, INT64_MAX);
    assert_true(rc_histogram_quantile(&h, 1.0) >= (int64_t)3600 * 1000000);
}

static void edges_hold_what_they_count(void **state)
{
    (void)state;
    assert_int_equal(rc_histogram_edge(0), 1);
    for (size_t i = 1; i < RC_HISTOGRAM_BUCKETS; i++)
        assert_true(rc_histogram_edge(i) >= rc_histogram_edge(i - 1));
    assert_true(rc_histogram_edge(RC_HISTOGRAM_BUCKETS - 1) >= (int64_t)3600 * 1000000);
    for (int64_t v = 1; v < 100000; v = v * 5 / 4 + 1) {
        rc_histogram h = {0};
        size_t i = 0;

        rc_histogram_record(&h, v);
        while (atomic_load(&h.buckets[i]) == 0)
            i++;
        assert_true(v <= rc_histogram_edge(i));
        assert_true(i == 0 || v > rc_histogram_edge(i - 1));
    }
}

static void *record(void *arg)
{
    for (int i = 0; i < 20000; i++)
        rc_histogram_record(arg, i);
    return NULL;
}

static void readers_run_beside_writers(void **state)
{
    rc_histogram h = {0};
    pthread_t threads[2];
    (void)state;

    for (size_t i = 0; i < 2; i++)
        assert_int_equal(rc_thread_start(&threads[i], "rec", 0, record, &h, NULL), 0);
    while (rc_histogram_count(&h) < 20000)
        assert_in_range(rc_histogram_quantile(&h, 0.9), 0, 24000);
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(rc_histogram_count(&h), 40000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_value_is_found_within_12_percent),
        cmocka_unit_test(quantiles_of_a_known_spread),
        cmocka_unit_test(ends_are_safe),
        cmocka_unit_test(edges_hold_what_they_count),
        cmocka_unit_test(readers_run_beside_writers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
