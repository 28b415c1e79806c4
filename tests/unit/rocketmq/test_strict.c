/* SPDX-License-Identifier: Apache-2.0 */
/* The filter of strict topics, message by message. */
#include "unit.h"

#include "base/base.h"

#include <rocketmq/strict.h>
#include <stdio.h>

/* Two writers. */
#define A "1234567890abcdef"
#define B "00000000000000b1"

static enum rmq_strict_verdict see(rmq_strict *filter, const char *tags, const char *stamp)
{
    rmq_property property = {omc_slice_str(RMQ_STAMP_PROPERTY), omc_slice_str(stamp)};
    rmq_message message = {.tags = tags ? omc_slice_str(tags) : omc_slice_of(NULL, 0),
                           .properties = &property,
                           .property_count = 1};

    return rmq_strict_see(filter, &message);
}

static void stamps_are_texts(void **state)
{
    static const char *const wrong[] = {"",
                                        "7",
                                        "7.3",
                                        "7.3.abc",
                                        "7.3." A "0",
                                        "x.3." A,
                                        "7..1" A,
                                        "-7.3." A,
                                        "7.3.1234567890ABCDEF",
                                        "7.3.0000000000000000",
                                        "7.9999999999999999." A};
    const rmq_stamp stamp = {UINT64_C(0x1234567890abcdef), 7, 3};
    char text[RMQ_STAMP_TEXT];
    rmq_stamp back = {0};
    size_t len;

    (void)state;
    len = rmq_stamp_text(&stamp, text);
    assert_int_equal(len, strlen(text));
    assert_string_equal(text, "7.000000000000003." A);
    assert_true(rmq_stamp_parse(omc_slice_str(text), &back));
    assert_true(back.writer == stamp.writer && back.generation == 7 && back.sequence == 3);
    assert_false(rmq_stamp_parse(omc_slice_of(NULL, 0), &back));
    for (size_t i = 0; i < RC_COUNT(wrong); i++)
        if (rmq_stamp_parse(omc_slice_str(wrong[i]), &back))
            fail_msg("'%s' is a stamp", wrong[i]);
}

static void a_barrier_shuts_out_what_its_writer_sent_before(void **state)
{
    static const struct step {
        const char *tags, *stamp;
        enum rmq_strict_verdict verdict;
    } steps[] = {
        {NULL, "5.000000000002000." A, RMQ_STRICT_TAKE},
        {NULL, "5.000000000001000." A, RMQ_STRICT_TAKE}, /* only barriers move it */
        {RMQ_BARRIER_TAG, "5.000000000002001." A, RMQ_STRICT_BARRIER},
        {NULL, "5.000000000002000." A, RMQ_STRICT_STALE},
        {"TagA", "5.000000000001000." A, RMQ_STRICT_STALE},
        {NULL, "5.000000000002001." A, RMQ_STRICT_TAKE}, /* sent again */
        {NULL, "5.000000000003000." A, RMQ_STRICT_TAKE},
        {NULL, "4.000000000009000." B, RMQ_STRICT_TAKE}, /* another writer */
        {RMQ_BARRIER_TAG, "5.999999999999999." A, RMQ_STRICT_BARRIER},
        {RMQ_BARRIER_TAG, "5.000000000002001." A, RMQ_STRICT_BARRIER}, /* a late copy of one */
        {NULL, "5.000000000003000." A, RMQ_STRICT_STALE},
        {NULL, "6.000000000001000." A, RMQ_STRICT_TAKE},
        {NULL, "5.3", RMQ_STRICT_TAKE},          /* of a writer that is not strict */
        {RMQ_BARRIER_TAG, "?", RMQ_STRICT_TAKE}, /* somebody's own tag */
    };
    rmq_strict *filter = rmq_strict_new();

    (void)state;
    for (size_t i = 0; i < RC_COUNT(steps); i++)
        if (see(filter, steps[i].tags, steps[i].stamp) != steps[i].verdict)
            fail_msg("step %zu: %s", i, steps[i].stamp);
    assert_true(rmq_strict_version(filter) == 2);
    rmq_strict_free(filter);
}

static void what_is_known_outlives_the_reader(void **state)
{
    rmq_strict *filter = rmq_strict_new(), *next = rmq_strict_new();
    rmq_error err = {0};
    char *text;

    (void)state;
    assert_null(rmq_strict_text(filter));
    (void)see(filter, RMQ_BARRIER_TAG, "5.999999999999999." A);
    (void)see(filter, RMQ_BARRIER_TAG, "2.000000000000001." B);
    text = rmq_strict_text(filter);
    assert_int_equal(rmq_strict_restore(next, omc_slice_str(text), &err), 0);
    free(text);
    assert_int_equal(see(next, NULL, "5.000000000003000." A), RMQ_STRICT_STALE);
    assert_int_equal(see(next, NULL, "2.000000000000000." B), RMQ_STRICT_STALE);
    assert_int_equal(see(next, NULL, "2.000000000000001." B), RMQ_STRICT_TAKE);
    assert_int_equal(rmq_strict_restore(next, omc_slice_str("5.1." A " nonsense"), &err),
                     -OMC_EFORMAT);
    assert_non_null(strstr(err.msg, "nonsense"));
    assert_int_equal(see(next, NULL, "5.000000000000000." A), RMQ_STRICT_TAKE);
    rmq_strict_free(filter);
    rmq_strict_free(next);
}

/* Anybody may write stamps. */
static void it_does_not_grow_without_end(void **state)
{
    rmq_strict *filter = rmq_strict_new();
    char stamp[RMQ_STAMP_TEXT], *text;
    size_t words = 1;

    (void)state;
    for (uint64_t i = 1; i <= 2 * RMQ_STRICT_WRITERS_MAX; i++) {
        const rmq_stamp barrier = {i, 5, RMQ_STAMP_LAST};

        (void)rmq_stamp_text(&barrier, stamp);
        assert_int_equal(see(filter, RMQ_BARRIER_TAG, stamp), RMQ_STRICT_BARRIER);
        assert_int_equal(see(filter, NULL, "5.1.0000000000000001"), RMQ_STRICT_STALE);
    }
    text = rmq_strict_text(filter);
    for (const char *at = text; *at; at++)
        words += *at == ' ';
    assert_int_equal(words, RMQ_STRICT_WRITERS_MAX);
    free(text);
    rmq_strict_free(filter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stamps_are_texts),
        cmocka_unit_test(a_barrier_shuts_out_what_its_writer_sent_before),
        cmocka_unit_test(what_is_known_outlives_the_reader),
        cmocka_unit_test(it_does_not_grow_without_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
