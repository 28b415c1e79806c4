/* SPDX-License-Identifier: Apache-2.0 */
/** Arenas and buffers: what is handed out stays apart, maximums hold, memory comes back. */
#include "unit.h"

#include "base/arena.h"
#include "base/buf.h"

static void allocations_do_not_overlap(void **state)
{
    static const size_t sizes[] = {1, 7, 8, 9, 200, 300, 4000, 70000, 3, 0, 16};
    char *at[200];
    size_t len[200];
    rc_arena arena;
    (void)state;

    rc_arena_init(&arena, 512);
    assert_int_equal(rc_arena_total(&arena), 0);
    for (size_t i = 0; i < 200; i++) {
        len[i] = sizes[i % RC_COUNT(sizes)];
        at[i] = omc_alloc(&arena.pub, len[i]);
        assert_int_equal((uintptr_t)at[i] % 8, 0);
        memset(at[i], (int)i, len[i]);
    }
    for (size_t i = 0; i < 200; i++)
        for (size_t j = 0; j < len[i]; j++)
            assert_int_equal((unsigned char)at[i][j], i);
    rc_arena_release(&arena);
    assert_int_equal(rc_arena_total(&arena), 0);
}

static void reset_keeps_the_largest_block_it_may(void **state)
{
    rc_arena arena;
    char *first;
    (void)state;

    rc_arena_init(&arena, 1024);
    (void)omc_alloc(&arena.pub, 100);
    (void)omc_alloc(&arena.pub, 8000);
    (void)omc_alloc(&arena.pub, 500000);
    rc_arena_reset(&arena, 64 << 10);
    assert_in_range(rc_arena_total(&arena), 8000, 64 << 10);
    first = omc_alloc(&arena.pub, 7000); /* Fits what was kept. */
    memset(first, 1, 7000);
    assert_in_range(rc_arena_total(&arena), 8000, 64 << 10);
    rc_arena_reset(&arena, 0);
    assert_int_equal(rc_arena_total(&arena), 0);
    assert_string_equal(rc_arena_format(&arena.pub, "%s-%d", "copy", 7), "copy-7");
    rc_arena_release(&arena);
}

static void long_text_is_formatted_whole(void **state)
{
    char wide[3000];
    rc_arena arena;
    rc_slice copy;
    (void)state;

    memset(wide, 'x', sizeof wide);
    wide[sizeof wide - 1] = '\0';
    rc_arena_init(&arena, 256);
    assert_string_equal(rc_arena_format(&arena.pub, "%s", wide), wide);
    copy = rc_arena_slice(&arena.pub, omc_slice_of("ab\0c", 4));
    assert_int_equal(copy.len, 4);
    assert_memory_equal(copy.base, "ab\0c", 5);
    rc_arena_release(&arena);
}

static void buffer_stops_at_its_maximum(void **state)
{
    rc_buf buf = RC_BUF(10);
    char *text;
    (void)state;

    rc_buf_str(&buf, "12345");
    rc_buf_printf(&buf, "%d", 678);
    rc_buf_add(&buf, "90", 2);
    assert_false(buf.overflow);
    rc_buf_char(&buf, 'x');
    assert_true(buf.overflow);
    assert_null(rc_buf_reserve(&buf, 0)); /* Nothing more after an overflow. */
    assert_string_equal(buf.data, "1234567890");
    rc_buf_clear(&buf);
    assert_false(buf.overflow);
    rc_buf_printf(&buf, "%0300d", 1); /* Longer than the maximum: nothing of it. */
    assert_true(buf.overflow);
    assert_int_equal(buf.len, 0);
    rc_buf_clear(&buf);
    rc_buf_str(&buf, "ok");
    text = rc_buf_take(&buf);
    assert_string_equal(text, "ok");
    free(text);
    text = rc_buf_take(&buf);
    assert_string_equal(text, "");
    free(text);
    rc_buf_release(&buf);
}

static void buffer_grows_and_stays_terminated(void **state)
{
    RC_AUTO(rc_buf) buf = &(rc_buf)RC_BUF(1 << 20);
    char *room;
    (void)state;

    for (int i = 0; i < 10000; i++)
        rc_buf_printf(buf, "%d,", i % 10);
    assert_int_equal(buf->len, 20000);
    assert_int_equal(strlen(buf->data), 20000);
    room = rc_buf_reserve(buf, 5000);
    memset(room, 'z', 5000);
    buf->len += 5000;
    rc_buf_str(buf, "");
    assert_int_equal(buf->data[buf->len - 1], 'z');
    assert_int_equal(buf->data[buf->len], '\0');
    rc_buf_printf(buf, "%0400d", 5);
    assert_int_equal(buf->len, 25400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_do_not_overlap),
        cmocka_unit_test(reset_keeps_the_largest_block_it_may),
        cmocka_unit_test(long_text_is_formatted_whole),
        cmocka_unit_test(buffer_stops_at_its_maximum),
        cmocka_unit_test(buffer_grows_and_stays_terminated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
