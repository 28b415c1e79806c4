/* SPDX-License-Identifier: Apache-2.0 */
/* Fences: what opens, suspends and ends them, and what a lease has to say. */
#include "unit.h"

#include "base/fence.h"

#include <pthread.h>

static void count(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void without_one_all_is_allowed(void **state)
{
    (void)state;
    assert_int_equal(rc_fence_check(NULL), RC_FENCE_OPEN);
    assert_int_equal(rc_fence_standing(NULL), RC_FENCE_OPEN);
    assert_int_equal(rc_fence_await(NULL, 0), RC_FENCE_OPEN);
    rc_fence_unref(NULL);
}

static void lease_and_state_must_both_allow(void **state)
{
    rc_lease lease;
    rc_fence *fence;

    (void)state;
    rc_lease_init(&lease, NULL, NULL);
    fence = rc_fence_new(&lease, 7, 1);
    assert_int_equal(rc_fence_check(fence), RC_FENCE_CLOSED); /* suspended at first */
    rc_lease_set(&lease, INT64_MAX);
    assert_int_equal(rc_fence_check(fence), RC_FENCE_CLOSED);
    rc_fence_open(fence, rc_fence_epoch(fence));
    assert_int_equal(rc_fence_check(fence), RC_FENCE_OPEN);
    rc_lease_set(&lease, rc_boot_ns() - 1);
    assert_int_equal(rc_fence_check(fence), RC_FENCE_CLOSED);
    assert_int_equal(rc_fence_standing(fence), RC_FENCE_OPEN); /* the lease is not its affair */
    rc_lease_set(&lease, rc_boot_ns() + INT64_C(3600) * 1000000000);
    assert_int_equal(rc_fence_check(fence), RC_FENCE_OPEN);
    rc_fence_unref(fence);
}

static void old_permission_does_not_open(void **state)
{
    rc_lease lease;
    rc_fence *fence;
    uint64_t epoch;

    (void)state;
    rc_lease_init(&lease, NULL, NULL);
    rc_lease_set(&lease, INT64_MAX);
    fence = rc_fence_new(&lease, 7, 1);
    epoch = rc_fence_epoch(fence);
    rc_fence_open(fence, epoch);
    rc_fence_suspend(fence);
    rc_fence_open(fence, epoch); /* given before the suspension */
    assert_int_equal(rc_fence_check(fence), RC_FENCE_CLOSED);
    epoch = rc_fence_epoch(fence);
    rc_fence_suspend(fence); /* once more */
    rc_fence_open(fence, epoch);
    assert_int_equal(rc_fence_check(fence), RC_FENCE_CLOSED);
    rc_fence_open(fence, rc_fence_epoch(fence));
    assert_int_equal(rc_fence_check(fence), RC_FENCE_OPEN);
    rc_fence_unref(fence);
}

static void revoked_is_the_end(void **state)
{
    rc_lease lease;
    rc_fence *fence;
    rc_error err = {0};

    (void)state;
    rc_lease_init(&lease, NULL, NULL);
    rc_lease_set(&lease, INT64_MAX);
    fence = rc_fence_new(&lease, 7, 1);
    rc_fence_outrank(fence, 9);
    rc_fence_outrank(fence, 8);
    rc_fence_open(fence, rc_fence_epoch(fence));
    rc_fence_suspend(fence);
    assert_int_equal(rc_fence_check(fence), RC_FENCE_REVOKED);
    assert_int_equal(rc_fence_await(fence, 60000), RC_FENCE_REVOKED); /* at once */
    assert_int_equal(atomic_load(&fence->witness), 9);
    assert_int_equal(rc_fence_fail(fence, "task c-0", &err), -OMC_EFENCED);
    assert_non_null(strstr(err.msg, "task c-0"));
    assert_non_null(strstr(err.msg, "generation 7"));
    assert_non_null(strstr(err.msg, "9 has been seen"));
    assert_string_equal(rc_code_name(OMC_EFENCED), "FENCED");
    rc_fence_unref(fence);
}

static void looks_ask_for_the_lease_once(void **state)
{
    atomic_int wanted = 0;
    rc_lease lease;
    rc_fence *fence;

    (void)state;
    rc_lease_init(&lease, count, &wanted);
    fence = rc_fence_new(&lease, 7, 1);
    (void)rc_fence_check(fence); /* suspended: nobody waits for the lease */
    assert_int_equal(wanted, 0);
    rc_fence_open(fence, rc_fence_epoch(fence));
    (void)rc_fence_standing(fence);
    assert_int_equal(wanted, 0);
    for (int i = 0; i < 5; i++)
        (void)rc_fence_check(fence);
    assert_int_equal(wanted, 1);
    rc_lease_set(&lease, INT64_MAX);
    assert_true(rc_lease_used(&lease));
    assert_false(rc_lease_used(&lease));
    (void)rc_fence_check(fence);
    assert_int_equal(wanted, 2);
    rc_fence_unref(fence);
}

static void pauses_grow(void **state)
{
    int64_t ms = 0, last = -1;

    (void)state;
    for (int i = 0; i < 20; i++) {
        ms = rc_fence_pause_ms(ms);
        assert_true(ms >= last);
        last = ms;
    }
    assert_int_equal(rc_fence_pause_ms(0), 2);
    assert_int_equal(ms, 100);
}

static void *look(void *arg)
{
    rc_fence *fence = arg;

    while (rc_fence_check(fence) != RC_FENCE_REVOKED)
        ;
    rc_fence_unref(fence);
    return NULL;
}

static void threads_see_the_end(void **state)
{
    pthread_t threads[3];
    rc_lease lease;
    rc_fence *fence;

    (void)state;
    rc_lease_init(&lease, NULL, NULL);
    fence = rc_fence_new(&lease, 7, 1);
    for (size_t i = 0; i < RC_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, look, rc_fence_ref(fence)), 0);
    for (int i = 0; i < 1000; i++) {
        rc_fence_open(fence, rc_fence_epoch(fence));
        rc_lease_set(&lease, i % 2 ? INT64_MAX : 0);
        rc_fence_suspend(fence);
    }
    rc_fence_revoke(fence);
    rc_fence_unref(fence);
    for (size_t i = 0; i < RC_COUNT(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_one_all_is_allowed),
        cmocka_unit_test(lease_and_state_must_both_allow),
        cmocka_unit_test(old_permission_does_not_open),
        cmocka_unit_test(revoked_is_the_end),
        cmocka_unit_test(looks_ask_for_the_lease_once),
        cmocka_unit_test(pauses_grow),
        cmocka_unit_test(threads_see_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
