/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Positions outlive the retention of their topic: the Java runtime's position.json is read and
 * written, and old records are written again without overtaking newer ones.
 */
#include "unit.h"

#include "base/file.h"
#include "log/rocketmq/internal.h"

#include <fakemq.h>
#include <unistd.h>

#define OK(call)                                                                       \
    do {                                                                               \
        int r_ = (call);                                                               \
        if (r_ < 0)                                                                    \
            fail_msg("%s:%d: %s gave %d: %s", __FILE__, __LINE__, #call, r_, err.msg); \
    } while (0)
#define TOPIC "connector-position-topic"
#define PARTITION "{\"filename\":\"/tmp/peer-rest-in.txt\"}"
/* position.json of a Java standalone worker. */
#define JAVA_FILE                                                                                  \
    "{\"eyJuYW1lc3BhY2UiOiJzcmMxIiwicGFydGl0aW9uIjp7ImZpbGVuYW1lIjoiL3RtcC9wZWVyLXJlc3QtaW4udHh0I" \
    "n"                                                                                            \
    "19\":\"eyJvZmZzZXQiOnsibmV4dFBvc2l0aW9uIjoiMTQifX0=\"}"
#define HOUR INT64_C(3600000)

typedef struct bed {
    fakemq *mq;
    rc_log *log;
    char path[64];
} bed;

static void open_log(bed *b)
{
    const rc_rocketmq_config config = {
        .client = {.namesrv = fakemq_namesrv(b->mq)},
        .position_topic = TOPIC,
        .position_file = b->path,
        .create_topics = true,
        .clock = rc_clock_real(),
    };
    rc_error err = {0};

    OK(rc_rocketmq_open(&config, &b->log, &err));
}

static int setup(void **state)
{
    bed *b = calloc(1, sizeof *b);
    int fd;

    (void)snprintf(b->path, sizeof b->path, "/tmp/rc-keep-XXXXXX");
    fd = mkstemp(b->path);
    assert_true(fd >= 0);
    (void)close(fd);
    (void)unlink(b->path);
    b->mq = fakemq_start(NULL);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    bed *b = *state;

    rc_log_close(b->log);
    fakemq_stop(b->mq);
    (void)unlink(b->path);
    free(b);
    return 0;
}

static void put_file(const bed *b, const char *text)
{
    rc_error err = {0};

    OK(rc_file_write_atomic(b->path, text, strlen(text), &err));
}

static void assert_position(bed *b, const char *wanted)
{
    rc_arena arena;
    rc_error err = {0};
    rc_slice text;

    rc_arena_init(&arena, 1024);
    OK(rc_log_position(b->log, "src1", omc_slice_str(PARTITION), &arena.pub, &text, &err));
    if (!text.base || !omc_slice_is(text, wanted))
        fail_msg("position " RC_SLICE_FMT ", not %s", RC_SLICE_ARG(text), wanted);
    rc_arena_release(&arena);
}

static void set_position(bed *b, const char *offset)
{
    rc_error err = {0};

    OK(rc_log_position_set(b->log, "src1", omc_slice_str(PARTITION), omc_slice_str(offset), &err));
}

static void a_java_workers_file_is_taken_over(void **state)
{
    bed *b = *state;

    put_file(b, JAVA_FILE);
    open_log(b);
    assert_position(b, "{\"nextPosition\":\"14\"}");
}

static void what_is_written_is_javas_file(void **state)
{
    bed *b = *state;
    RC_AUTO_FREE char *text = NULL;
    rc_error err = {0};
    size_t len;

    open_log(b);
    set_position(b, "{\"nextPosition\":\"14\"}");
    rc_log_close(b->log);
    b->log = NULL;
    OK(rc_file_read(b->path, 1 << 20, &text, &len, &err));
    assert_string_equal(text, JAVA_FILE);
}

static void the_topic_ranks_above_the_file(void **state)
{
    bed *b = *state;

    open_log(b);
    set_position(b, "{\"nextPosition\":\"99\"}");
    rc_log_close(b->log);
    put_file(b, JAVA_FILE);
    open_log(b);
    assert_position(b, "{\"nextPosition\":\"99\"}");
}

static void a_file_of_something_else_is_refused(void **state)
{
    bed *b = *state;
    const rc_rocketmq_config config = {.client = {.namesrv = fakemq_namesrv(b->mq)},
                                       .position_topic = TOPIC,
                                       .position_file = b->path,
                                       .create_topics = true,
                                       .clock = rc_clock_real()};
    rc_error err = {0};

    put_file(b, "not json");
    assert_int_equal(rc_rocketmq_open(&config, &b->log, &err), -OMC_EFORMAT);
    assert_non_null(strstr(err.msg, b->path));
    put_file(b, "{\"a\":\"b\",\"eA==\":1}"); /* entries of another kind are passed over */
    open_log(b);
}

typedef struct wanted {
    int64_t count;
} wanted;

static bool has_records(fakemq *mq, void *arg)
{
    return fakemq_max_offset(mq, TOPIC, "broker-0", 0) >= ((wanted *)arg)->count;
}

static void old_records_are_written_again(void **state)
{
    bed *b = *state;
    rc_rocketmq *log;
    wanted two = {2};

    open_log(b);
    log = rc_rocketmq_of(b->log);
    set_position(b, "{\"nextPosition\":\"14\"}");
    rc_position_keep(log->keeper, rc_now_ms(log->clock) + 11 * HOUR);
    assert_int_equal(fakemq_max_offset(b->mq, TOPIC, "broker-0", 0), 1);
    rc_position_keep(log->keeper, rc_now_ms(log->clock) + 13 * HOUR);
    fakemq_wait(b->mq, has_records, &two, "an old position is not written again");
    fakemq_trim(b->mq, TOPIC, "broker-0", 0, 1); /* retention takes the first one */
    rc_log_close(b->log);
    (void)unlink(b->path);
    open_log(b);
    assert_position(b, "{\"nextPosition\":\"14\"}");
}

/* A writer that has committed the partition writes its newest position itself. */
static void renewing_never_goes_back(void **state)
{
    bed *b = *state;
    const rc_writer_config config = {.name = "src1-0",
                                     .connector = "src1",
                                     .commit_interval_ms = 3600000};
    rc_rocketmq *log;
    rc_writer *writer = NULL;
    rc_topic *topic = NULL;
    rc_receipt receipt;
    rc_error err = {0};

    open_log(b);
    log = rc_rocketmq_of(b->log);
    OK(rc_log_topic(b->log, "T", 1, &topic, &err));
    OK(rc_writer_open(b->log, &config, &writer, &err));
    for (int i = 1; i <= 2; i++) {
        rc_append *append = rc_append_new(writer);
        char offset[64];

        (void)snprintf(offset, sizeof offset, "{\"nextPosition\":\"%d\"}", i);
        rc_append_position(append, omc_slice_str(PARTITION), omc_slice_str(offset));
        OK(rc_writer_submit(writer, append, NULL, &err));
        assert_int_equal(rc_writer_receipt(writer, INT64_MAX, &receipt), 1);
        rc_append_free(receipt.append);
        if (i == 1)
            OK(rc_writer_sync(writer, INT64_MAX, &err));
    }
    /* The table has 1, the writer 2, which is not due for an hour. */
    for (int i = 0; i < 3; i++)
        rc_position_keep(log->keeper, rc_now_ms(log->clock) + (13 + i) * HOUR);
    rc_writer_close(writer);
    assert_position(b, "{\"nextPosition\":\"2\"}");
    rc_log_close(b->log);
    (void)unlink(b->path);
    open_log(b);
    assert_position(b, "{\"nextPosition\":\"2\"}");
}

/* A sink's state that is written again is as old as it was. */
static void a_renewed_state_stays_old(void **state)
{
    bed *b = *state;
    rc_position_record old = {.connector = omc_slice_str("__rc.sink/g"),
                              .partition = omc_slice_str("{\"topic\":\"T\"}"),
                              .offset = omc_slice_str("{\"queueOffset\":\"5\"}"),
                              .generation = 3};
    rc_position_record newer = old, now;
    rc_arena arena;
    rc_error err = {0};

    open_log(b);
    newer.offset = omc_slice_str("{\"queueOffset\":\"9\"}");
    newer.generation = 4;
    OK(rc_rmq_fenced_write(rc_rocketmq_of(b->log), NULL, &newer, 1, "__rc.sink/g", &err));
    OK(rc_rmq_fenced_write(rc_rocketmq_of(b->log), NULL, &old, 1, "__rc.sink/g", &err));
    rc_log_close(b->log);
    (void)unlink(b->path);
    open_log(b);
    rc_arena_init(&arena, 1024);
    assert_true(rc_position_table_get(rc_rocketmq_of(b->log)->table, "__rc.sink/g", old.partition,
                                      &arena.pub, &now));
    assert_true(omc_slice_is(now.offset, "{\"queueOffset\":\"9\"}"));
    rc_arena_release(&arena);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_java_workers_file_is_taken_over), TEST(what_is_written_is_javas_file),
        TEST(the_topic_ranks_above_the_file),    TEST(a_file_of_something_else_is_refused),
        TEST(old_records_are_written_again),     TEST(renewing_never_goes_back),
        TEST(a_renewed_state_stays_old),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
