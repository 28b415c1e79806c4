/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The bytes of a batch, written down by hand from the format in codec.c, so that a change of the
 * format cannot pass unseen: files of yesterday must be readable tomorrow.
 */
#include "unit.h"

#include "log/embedded/internal.h"

#include <stdio.h>

static const omc_pair two[] = {{{"a", 1}, {"1", 1}}, {{"b", 1}, {"", 0}}};

/* Each message alone in a batch whose born time is 1000 = 0x3e8. */
static const struct {
    const char *name;
    rc_message message;
    const char *bytes;
    size_t len;
} cases[] = {
    {"body", {.body = {"hello", 5}, .born_ms = 1000}, "\x01\x05hello", 7},
    {"empty body", {.body = {"", 0}, .born_ms = 1000}, "\x01\x00", 2},
    {"tombstone", {.born_ms = 1000}, "\x00", 1},
    {"born later", {.body = {"x", 1}, .born_ms = 1003}, "\x21\x06\x01x", 4},
    {"born before", {.body = {"x", 1}, .born_ms = 998}, "\x21\x03\x01x", 4},
    {"flag", {.flag = -3, .born_ms = 1000}, "\x10\x05", 2},
    {"keys and tags", {.keys = {"k", 1}, .tags = {"", 0}, .born_ms = 1000}, "\x06\x01k\x00", 4},
    {"properties",
     {.body = {"x", 1}, .properties = two, .property_count = 2, .born_ms = 1000},
     "\x09\x01x\x02\x01"
     "a\x01"
     "1\x01"
     "b\x00",
     11},
};

static bool same(rc_slice a, rc_slice b)
{
    return omc_slice_eq(a, b) && !a.base == !b.base;
}

static void bytes_are_as_written_down(void **state)
{
    (void)state;

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        uint8_t out[200];
        int64_t born_ms = 1000;
        uint8_t *end = rc_batch_put(out, &cases[i].message, &born_ms);

        if ((size_t)(end - out) != cases[i].len || memcmp(out, cases[i].bytes, cases[i].len) != 0)
            fail_msg("%s: %zu bytes, first %02x %02x", cases[i].name, (size_t)(end - out), out[0],
                     out[1]);
        assert_true(cases[i].len <= rc_batch_bound(&cases[i].message));
        assert_int_equal(born_ms, cases[i].message.born_ms);
    }
}

static void bytes_are_read_back(void **state)
{
    rc_arena arena;
    (void)state;

    rc_arena_init(&arena, 1000);
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        const rc_message *in = &cases[i].message;
        uint8_t batch[200] = {1, 0, 0, 0, 0, 0, 0, 0x03, 0xe8};
        rc_batch_cursor cursor, skip;
        rc_message m;

        memcpy(batch + 9, cases[i].bytes, cases[i].len);
        assert_int_equal(rc_batch_begin(&cursor, batch, 9 + cases[i].len, NULL), 0);
        skip = cursor;
        assert_int_equal(rc_batch_next(&cursor, &m, &arena.pub, NULL), 0);
        if (!same(m.body, in->body) || !same(m.keys, in->keys) || !same(m.tags, in->tags) ||
            m.flag != in->flag || m.born_ms != in->born_ms ||
            m.property_count != in->property_count)
            fail_msg("%s came back different", cases[i].name);
        assert_ptr_equal(cursor.at, batch + 9 + cases[i].len);
        assert_int_equal(rc_batch_next(&cursor, &m, &arena.pub, NULL), -OMC_EFORMAT);
        assert_int_equal(rc_batch_skip(&skip, NULL), 0);
        assert_ptr_equal(skip.at, batch + 9 + cases[i].len);
        /* Any shorter piece must be refused, not read over. */
        for (size_t len = 9; len < 9 + cases[i].len; len++) {
            assert_int_equal(rc_batch_begin(&cursor, batch, len, NULL), 0);
            assert_int_equal(rc_batch_next(&cursor, &m, &arena.pub, NULL), -OMC_EFORMAT);
        }
    }
    rc_arena_release(&arena);
}

static void wrong_bytes_are_refused(void **state)
{
    static const struct {
        const char *name, *bytes;
        size_t len;
    } wrong[] = {
        {"unknown flag", "\x40", 1},
        {"length beyond the end",
         "\x01\x05"
         "abc",
         5},
        {"endless number", "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 13},
        {"more properties than bytes", "\x08\xff\xff\x7f", 4},
        {"flag over 32 bits", "\x10\xff\xff\xff\xff\x7f", 6},
    };
    uint8_t batch[64] = {1};
    rc_batch_cursor cursor;
    rc_arena arena;
    rc_message m;
    rc_error err = {0};
    (void)state;

    rc_arena_init(&arena, 1000);
    for (size_t i = 0; i < RC_COUNT(wrong); i++) {
        memcpy(batch + 9, wrong[i].bytes, wrong[i].len);
        assert_int_equal(rc_batch_begin(&cursor, batch, 9 + wrong[i].len, NULL), 0);
        if (rc_batch_next(&cursor, &m, &arena.pub, NULL) != -OMC_EFORMAT)
            fail_msg("%s was accepted", wrong[i].name);
        assert_int_equal(rc_batch_begin(&cursor, batch, 9 + wrong[i].len, NULL), 0);
        assert_int_equal(rc_batch_skip(&cursor, NULL), -OMC_EFORMAT);
    }
    assert_int_equal(rc_batch_begin(&cursor, batch, 8, NULL), -OMC_EFORMAT);
    batch[0] = 2;
    assert_int_equal(rc_batch_begin(&cursor, batch, 9, &err), -OMC_EFORMAT);
    assert_non_null(strstr(err.msg, "later version"));
    rc_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_as_written_down),
        cmocka_unit_test(bytes_are_read_back),
        cmocka_unit_test(wrong_bytes_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
