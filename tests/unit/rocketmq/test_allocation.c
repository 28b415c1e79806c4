/* SPDX-License-Identifier: Apache-2.0 */
/* Who reads which queues: the results of Java's AllocateMessageQueueAveragely. */
#include "rocketmq/consumer_impl.h"
#include "unit.h"

/* Worked out with AllocateMessageQueueAveragely.allocate(); queue numbers of each member. */
static const struct {
    size_t queues, members;
    const char *split; /* "0-1 2 3": ranges of members 0, 1, 2; "-" = none */
} table[] = {
    {4, 1, "0-3"},
    {4, 2, "0-1 2-3"},
    {4, 3, "0-1 2 3"},
    {4, 4, "0 1 2 3"},
    {4, 6, "0 1 2 3 - -"},
    {1, 2, "0 -"},
    {2, 3, "0 1 -"},
    {8, 3, "0-2 3-5 6-7"},
    {7, 5, "0-1 2-3 4 5 6"},
    {10, 4, "0-2 3-5 6-7 8-9"},
    {16, 5, "0-3 4-6 7-9 10-12 13-15"},
    {3, 3, "0 1 2"},
    {0, 2, "- -"},
};

static void put_range(rc_buf *buf, size_t first, size_t count)
{
    if (count == 0)
        rc_buf_str(buf, "-");
    else if (count == 1)
        rc_buf_printf(buf, "%zu", first);
    else
        rc_buf_printf(buf, "%zu-%zu", first, first + count - 1);
}

static void test_like_java(void **state)
{
    (void)state;
    for (size_t i = 0; i < RC_COUNT(table); i++) {
        rc_buf buf = RC_BUF(4096);

        for (size_t member = 0; member < table[i].members; member++) {
            size_t first, count;

            rmq_allocate(table[i].queues, table[i].members, member, &first, &count);
            if (member > 0)
                rc_buf_str(&buf, " ");
            put_range(&buf, first, count);
        }
        assert_string_equal(buf.data, table[i].split);
        rc_buf_release(&buf);
    }
}

/* Whatever the numbers: every queue has exactly one reader. */
static void test_covers(void **state)
{
    (void)state;
    for (size_t queues = 0; queues < 40; queues++) {
        for (size_t members = 1; members < 20; members++) {
            size_t next = 0;

            for (size_t i = 0; i < members; i++) {
                size_t first, count;

                rmq_allocate(queues, members, i, &first, &count);
                if (count > 0)
                    assert_int_equal(first, next);
                next += count;
            }
            assert_int_equal(next, queues);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_like_java),
        cmocka_unit_test(test_covers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
