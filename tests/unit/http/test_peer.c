/* SPDX-License-Identifier: Apache-2.0 */
/* Signed calls between workers: what fits, what does not, what was taken before. */
#include "http/peer.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

typedef struct fixture {
    rc_arena arena;
    rc_peer_guard *guard;
    rc_peer_key key;
} fixture;

static int set_up(void **state)
{
    fixture *f = rc_calloc(1, sizeof *f);

    rc_arena_init(&f->arena, 1024);
    f->guard = rc_peer_guard_new();
    rc_peer_key_of("s3cret", &f->key);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    rc_peer_guard_free(f->guard);
    rc_arena_release(&f->arena);
    free(f);
    return 0;
}

static const rc_peer_call restart = {"POST",
                                     "/api/v1/connectors/a%2Fb/restart?onlyFailed=true",
                                     {"{}", 2},
                                     0x1122334455667788};

static int take(fixture *f, const char *value, const rc_peer_call *call, rc_peer_caller *ret,
                rc_error *err)
{
    memset(err, 0, sizeof *err);
    return rc_peer_check(f->guard, &f->key, value, call, &f->arena.pub, ret, err);
}

/* By Python: hmac.new(hmac.new(b"s3cret", b"rocketmq-connect: calls between workers, v1",
 * "sha256").digest(), b"v1\nPOST\n/api/v1/connectors/a%2Fb/restart?onlyFailed=true\n" +
 * hashlib.sha256(b"{}").hexdigest().encode() + b"\nw-1\n00000000000000ab\n7\n1122334455667788\n",
 * "sha256").hexdigest() */
static void the_form_is_the_documented_one(void **state)
{
    fixture *f = *state;
    const rc_peer_caller from = {"w-1", 0xab, 7};
    char value[RC_PEER_VALUE_MAX];

    rc_peer_sign(&f->key, &from, &restart, value);
    assert_string_equal(value,
                        "v=1 inc=00000000000000ab n=7 "
                        "mac=4233d9f68e259bffb605174464f7ebb5188ce9762e5e9c3244f56a7c5f1c21f3"
                        " from=w-1");
}

static void a_signed_call_is_taken_once(void **state)
{
    fixture *f = *state;
    const rc_peer_caller from = {"a worker", 0xfedcba9876543210, 1};
    char value[RC_PEER_VALUE_MAX];
    rc_peer_caller who;
    rc_error err;

    rc_peer_sign(&f->key, &from, &restart, value);
    assert_int_equal(take(f, value, &restart, &who, &err), 0);
    assert_string_equal(who.name, "a worker");
    assert_true(who.incarnation == from.incarnation && who.count == 1);
    assert_int_equal(take(f, value, &restart, &who, &err), -OMC_EACCES);
    assert_non_null(strstr(err.msg, "taken before"));
}

static void each_part_is_signed(void **state)
{
    fixture *f = *state;
    const rc_peer_call others[] = {
        {"PUT", restart.target, restart.body, restart.to},
        {"POST", "/api/v1/connectors/a%2Fb/restart", restart.body, restart.to},
        {"POST", restart.target, {"{ }", 3}, restart.to},
        {"POST", restart.target, restart.body, restart.to + 1},
    };
    const rc_peer_caller from = {"w", 1, 1};
    char value[RC_PEER_VALUE_MAX], changed[RC_PEER_VALUE_MAX];
    rc_peer_caller who;
    rc_error err;

    rc_peer_sign(&f->key, &from, &restart, value);
    for (size_t i = 0; i < RC_COUNT(others); i++) {
        assert_int_equal(take(f, value, &others[i], &who, &err), -OMC_EACCES);
        assert_non_null(strstr(err.msg, "cluster.secret"));
    }
    /* One byte of each place of the header. */
    for (size_t i = 0; value[i]; i++) {
        memcpy(changed, value, sizeof changed);
        changed[i] = value[i] == '1' ? '2' : '1';
        assert_int_equal(take(f, changed, &restart, &who, &err), -OMC_EACCES);
    }
    /* None of these has used up the call. */
    assert_int_equal(take(f, value, &restart, &who, &err), 0);
}

static void another_secret_does_not_fit(void **state)
{
    fixture *f = *state;
    const rc_peer_caller from = {"w", 1, 1};
    char value[RC_PEER_VALUE_MAX];
    rc_peer_key key;
    rc_peer_caller who;
    rc_error err;

    rc_peer_key_of("s3cret ", &key);
    rc_peer_sign(&key, &from, &restart, value);
    assert_int_equal(take(f, value, &restart, &who, &err), -OMC_EACCES);
    assert_null(strstr(err.msg, "s3cret"));
}

static int take_count(fixture *f, uint64_t incarnation, uint64_t count)
{
    const rc_peer_caller from = {"w", incarnation, count};
    char value[RC_PEER_VALUE_MAX];
    rc_peer_caller who;
    rc_error err;

    rc_peer_sign(&f->key, &from, &restart, value);
    return take(f, value, &restart, &who, &err);
}

static void calls_may_overtake_each_other(void **state)
{
    fixture *f = *state;

    assert_int_equal(take_count(f, 1, 0), -OMC_EACCES);
    assert_int_equal(take_count(f, 1, 300), 0);
    assert_int_equal(take_count(f, 1, 299), 0);
    assert_int_equal(take_count(f, 1, 299), -OMC_EACCES);
    assert_int_equal(take_count(f, 1, 300 - RC_PEER_WINDOW), -OMC_EACCES);
    assert_int_equal(take_count(f, 1, 301 - RC_PEER_WINDOW), 0);
    assert_int_equal(take_count(f, 1, 301 - RC_PEER_WINDOW), -OMC_EACCES);
    assert_int_equal(take_count(f, 1, 400), 0); /* Its bits of the last round are free again. */
    assert_int_equal(take_count(f, 1, 399), 0);
    assert_int_equal(take_count(f, 1, 300), -OMC_EACCES);
    assert_int_equal(take_count(f, 1, UINT64_MAX), 0);
    assert_int_equal(take_count(f, 1, 401), -OMC_EACCES);
    assert_int_equal(take_count(f, 2, 1), 0); /* Another process of that name. */
}

static void callers_are_bounded(void **state)
{
    fixture *f = *state;

    for (uint64_t i = 1; i <= RC_PEER_CALLERS_MAX + 1; i++)
        assert_int_equal(take_count(f, i, 1), 0);
    assert_int_equal(take_count(f, 2, 1), -OMC_EACCES);
    assert_int_equal(take_count(f, 1, 1), 0); /* Forgotten: it called longest ago. */
}

static void damaged_headers_are_refused(void **state)
{
    fixture *f = *state;
    static const char *const bad[] = {
        "",
        "v=1",
        "v=2 inc=1 n=1 mac=0 from=w",
        "v=1 inc= n=1 mac=0 from=w",
        "v=1 inc=1 n=-1 mac=0 from=w",
        "v=1 inc=1 n=1 mac=00 from=w",
        "v=1 inc=1 n=1 mac="
        "0000000000000000000000000000000000000000000000000000000000000000 from=",
        "v=1 inc=1 n=1 mac="
        "0000000000000000000000000000000000000000000000000000000000000000 for=w"};
    rc_peer_caller who;
    rc_error err;

    for (size_t i = 0; i < RC_COUNT(bad); i++) {
        assert_int_equal(take(f, bad[i], &restart, &who, &err), -OMC_EACCES);
        assert_non_null(strstr(err.msg, "damaged"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_form_is_the_documented_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_signed_call_is_taken_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_part_is_signed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_secret_does_not_fit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(calls_may_overtake_each_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(callers_are_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damaged_headers_are_refused, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
