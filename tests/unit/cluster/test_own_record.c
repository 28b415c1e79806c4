/* SPDX-License-Identifier: Apache-2.0 */
/** Records of the ownership log: there and back, foreign bytes, later versions. */
#include "unit.h"

#include "cluster/own_record.h"

#include <stdio.h>

static rc_arena arena;
static rc_buf body = RC_BUF(4 * RC_OWN_BODY_MAX);

static int setup(void **state)
{
    (void)state;
    rc_arena_init(&arena, 4096);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rc_arena_release(&arena);
    rc_buf_release(&body);
    return 0;
}

static rc_own_record back(const rc_own_record *r)
{
    rc_error err = {0};
    rc_own_record ret;

    rc_buf_clear(&body);
    rc_own_write(r, &body);
    if (rc_own_read(rc_buf_slice(&body), &arena.pub, &ret, &err) < 0)
        fail_msg("%s: %s", body.data, err.msg);
    assert_int_equal(ret.kind, r->kind);
    if (ret.nonce != r->nonce)
        fail_msg("the nonce of %s is lost", body.data);
    return ret;
}

static void beats_come_back(void **state)
{
    rc_own_record r = {.kind = RC_OWN_HB,
                       .nonce = UINT64_MAX,
                       .worker = "w\"1\n\xc3\xa9",
                       .incarnation = 0xfedcba9876543210u,
                       .session = 7};
    rc_own_record ret;

    (void)state;
    r.about = (rc_own_about){"http://a:8082", "zone=a", "0.1.0", 1000, RC_OWN_DRAINING | 64};
    ret = back(&r);
    assert_string_equal(ret.worker, r.worker);
    assert_true(ret.incarnation == r.incarnation);
    assert_int_equal(ret.session, 7);
    assert_string_equal(ret.about.url, "http://a:8082");
    assert_string_equal(ret.about.labels, "zone=a");
    assert_string_equal(ret.about.version, "0.1.0");
    assert_int_equal(ret.about.weight, 1000);
    assert_int_equal(ret.about.flags, RC_OWN_DRAINING | 64);
}

static void claims_and_releases_come_back(void **state)
{
    rc_own_item items[] = {{"orders", RC_OWN_HALF, -1, -1, 0},
                           {"orders", 12, RC_OWN_POSITION_MAX, 5, RC_OWN_POSITION_MAX}};
    rc_own_record r = {
        .kind = RC_OWN_CLAIM, .worker = "w", .session = 1, .items = items, .item_count = 2};
    rc_own_record ret = back(&r);

    (void)state;
    assert_int_equal(ret.item_count, 2);
    assert_string_equal(ret.items[1].connector, "orders");
    assert_int_equal(ret.items[0].number, RC_OWN_HALF);
    assert_int_equal(ret.items[1].number, 12);
    assert_int_equal(ret.items[1].prev, RC_OWN_POSITION_MAX);
    assert_int_equal(ret.items[1].closed, 5);
    assert_int_equal(ret.items[1].floor, RC_OWN_POSITION_MAX);
    r.kind = RC_OWN_RELEASE;
    ret = back(&r);
    assert_int_equal(ret.items[1].prev, RC_OWN_POSITION_MAX);
    assert_int_equal(ret.items[1].closed, -1);
}

static void the_log_itself_comes_back(void **state)
{
    rc_own_record r = {.kind = RC_OWN_GENESIS, .by = "w", .cluster = "c", .home = "b", .epoch = 3};
    rc_own_record ret = back(&r);

    (void)state;
    assert_string_equal(ret.cluster, "c");
    assert_string_equal(ret.home, "b");
    assert_int_equal(ret.epoch, 3);
    assert_false(ret.imports);
    r.imports = true;
    r.hash = 1;
    ret = back(&r);
    assert_true(ret.imports && ret.hash == 1);
    r.kind = RC_OWN_SEAL;
    r.why = "as asked";
    ret = back(&r);
    assert_string_equal(ret.why, "as asked");
    assert_int_equal(ret.epoch, 3);
    r = (rc_own_record){.kind = RC_OWN_CLOSE, .worker = "x", .session = 9, .by = "w", .why = "y"};
    ret = back(&r);
    assert_string_equal(ret.worker, "x");
    assert_string_equal(ret.by, "w");
    assert_int_equal(ret.session, 9);
}

static void chunks_come_back(void **state)
{
    rc_own_worker w = {"w", 5, 2, 10, -1, {"u", "l", "v", 3, 0}};
    rc_own_unit u[] = {{"a", 1, "w", 5, 11, 11, NULL}, {"a", 2, NULL, 0, 12, 13, "w"}};
    rc_own_record r = {.kind = RC_OWN_SNAP,
                       .by = "w",
                       .upto = 14,
                       .hash = 15,
                       .snap = 16,
                       .part = 1,
                       .parts = 2,
                       .workers = &w,
                       .worker_count = 1,
                       .units = u,
                       .unit_count = 2};
    rc_own_record ret = back(&r);

    (void)state;
    assert_int_equal(ret.upto, 14);
    assert_true(ret.hash == 15 && ret.snap == 16);
    assert_int_equal(ret.part, 1);
    assert_int_equal(ret.parts, 2);
    assert_string_equal(ret.workers[0].about.labels, "l");
    assert_int_equal(ret.workers[0].closed, -1);
    assert_string_equal(ret.units[0].owner, "w");
    assert_null(ret.units[0].from);
    assert_null(ret.units[1].owner);
    assert_string_equal(ret.units[1].from, "w");
}

/* What a body is read as: a kind, or -1: no record. */
static void foreign_bytes_are_answered(void **state)
{
    static const struct {
        const char *body;
        int kind;
    } cases[] = {
        {"", -1},
        {"hello", -1},
        {"[1]", -1},
        {"{}", -1},
        {"{\"v\":1}", -1},
        {"{\"v\":0,\"k\":\"hb\"}", -1},
        {"{\"v\":9,\"k\":\"vote\",\"new\":[1]}", RC_OWN_OTHER},
        {"{\"v\":1,\"k\":\"close\",\"x\":\"0000000000000001\",\"w\":\"a\",\"s\":1}", RC_OWN_CLOSE},
        {"{\"v\":2,\"k\":\"close\",\"x\":\"0000000000000001\",\"w\":\"a\",\"s\":1,\"z\":{}}",
         RC_OWN_CLOSE},
        {"{\"v\":1,\"k\":\"close\",\"x\":\"1\",\"w\":\"a\",\"s\":1}", -1},
        {"{\"v\":1,\"k\":\"close\",\"x\":\"000000000000000G\",\"w\":\"a\",\"s\":1}", -1},
        {"{\"v\":1,\"k\":\"close\",\"x\":\"0000000000000001\",\"w\":\"\",\"s\":1}", -1},
        {"{\"v\":1,\"k\":\"close\",\"x\":\"0000000000000001\",\"w\":\"a\",\"s\":0}", -1},
        {"{\"v\":1,\"k\":\"close\",\"x\":\"0000000000000001\",\"w\":\"a\",\"s\":1.5}", -1},
        {"{\"v\":1,\"k\":\"release\",\"x\":\"0000000000000001\",\"w\":\"a\","
         "\"i\":\"0000000000000001\",\"u\":[[\"c\",0,1,\"later\"]]}",
         RC_OWN_RELEASE},
        {"{\"v\":1,\"k\":\"release\",\"x\":\"0000000000000001\",\"w\":\"a\","
         "\"i\":\"0000000000000001\",\"u\":[[\"c\",0]]}",
         -1},
        {"{\"v\":1,\"k\":\"release\",\"x\":\"0000000000000001\",\"w\":\"a\","
         "\"i\":\"0000000000000001\",\"u\":[[\"c\",-2,1]]}",
         -1},
        {"{\"v\":1,\"k\":\"release\",\"x\":\"0000000000000001\",\"w\":\"a\","
         "\"i\":\"0000000000000001\",\"u\":[[\"c\",0,9000000000000000000]]}",
         -1},
    };

    (void)state;
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        rc_own_record ret;
        rc_error err = {0};
        int r = rc_own_read(omc_slice_str(cases[i].body), &arena.pub, &ret, &err);
        int kind = r < 0 ? -1 : (int)ret.kind;

        if (kind != cases[i].kind || (r < 0 && r != -OMC_EFORMAT))
            fail_msg("'%s' is %d (%s), not %d", cases[i].body, kind, err.msg, cases[i].kind);
    }
}

static void too_many_items_are_refused(void **state)
{
    static rc_own_item items[RC_OWN_ITEMS_MAX + 1];
    rc_own_record r = {.kind = RC_OWN_RELEASE,
                       .worker = "w",
                       .items = items,
                       .item_count = RC_OWN_ITEMS_MAX};
    rc_own_record ret;

    (void)state;
    for (size_t i = 0; i < RC_COUNT(items); i++)
        items[i] = (rc_own_item){.connector = "c", .number = (int32_t)i};
    assert_int_equal(back(&r).item_count, RC_OWN_ITEMS_MAX);
    r.item_count++;
    rc_buf_clear(&body);
    rc_own_write(&r, &body);
    assert_int_equal(rc_own_read(rc_buf_slice(&body), &arena.pub, &ret, NULL), -OMC_EFORMAT);
}

static void prints_tell_bodies_apart(void **state)
{
    (void)state;
    assert_true(rc_own_print(omc_slice_str("a")) == rc_own_print(omc_slice_str("a")));
    assert_false(rc_own_print(omc_slice_str("a")) == rc_own_print(omc_slice_str("b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(beats_come_back),
        cmocka_unit_test(claims_and_releases_come_back),
        cmocka_unit_test(the_log_itself_comes_back),
        cmocka_unit_test(chunks_come_back),
        cmocka_unit_test(foreign_bytes_are_answered),
        cmocka_unit_test(too_many_items_are_refused),
        cmocka_unit_test(prints_tell_bodies_apart),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
