/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Helpers of the tests of the log on RocketMQ: a log on a fake cluster of two brokers, writers of a
 * source whose record i goes to queue i % 8, crashes, and what is stored in the end.
 */
#ifndef RC_ROCKETMQ_UNIT_H
#define RC_ROCKETMQ_UNIT_H

#include "unit.h"

#include "log/rocketmq.h"

#include <fakemq.h>
#include <unistd.h>

#define OK(call)                                                                       \
    do {                                                                               \
        int r_ = (call);                                                               \
        if (r_ < 0)                                                                    \
            fail_msg("%s:%d: %s gave %d: %s", __FILE__, __LINE__, #call, r_, err.msg); \
    } while (0)
#define PARTITION "{\"filename\":\"/in\"}"
#define FOR_EVER INT64_MAX

typedef struct bed {
    fakemq *mq;
    rc_log *log;
    int64_t timeout_ms;
} bed;

static inline void open_log(bed *b)
{
    rc_rocketmq_config config = {
        .client = {.namesrv = fakemq_namesrv(b->mq), .request_timeout_ms = b->timeout_ms},
        .position_topic = "connector-position-topic",
        .create_topics = true,
        .tail_ms = 200, /* the fake cluster stores what it has read at once */
        .clock = rc_clock_real(),
    };
    rc_error err = {0};

    OK(rc_rocketmq_open(&config, &b->log, &err));
}

static inline void close_log(bed *b)
{
    rc_log_close(b->log);
    b->log = NULL;
}

static inline int setup_with(void **state, int64_t timeout_ms)
{
    bed *b = calloc(1, sizeof *b);
    const fakemq_config config = {.brokers = 2, .queues = 4, .seed = 7};

    b->mq = fakemq_start(&config);
    b->timeout_ms = timeout_ms;
    open_log(b);
    *state = b;
    return 0;
}

/* A slow machine must not look like a lost answer, after which at least once may repeat. */
static inline int setup(void **state)
{
    return setup_with(state, 20000);
}

static inline int setup_impatient(void **state)
{
    return setup_with(state, 500);
}

static inline int teardown(void **state)
{
    bed *b = *state;

    close_log(b);
    fakemq_stop(b->mq);
    free(b);
    return 0;
}

static inline rc_topic *topic_of(bed *b, const char *name)
{
    rc_error err = {0};
    rc_topic *topic = NULL;

    OK(rc_log_topic(b->log, name, 4, &topic, &err));
    return topic;
}

static inline rc_writer *writer_with(bed *b, bool exactly_once, bool strict, rc_ack ack)
{
    const rc_writer_config config = {.name = "c-0",
                                     .connector = "c",
                                     .exactly_once = exactly_once,
                                     .strict = strict,
                                     .ack = ack,
                                     .commit_interval_ms = 20};
    rc_error err = {0};
    rc_writer *writer = NULL;

    OK(rc_writer_open(b->log, &config, &writer, &err));
    return writer;
}

static inline rc_writer *writer_of(bed *b, bool exactly_once)
{
    return writer_with(b, exactly_once, false, RC_ACK_STORED);
}

/* Records `from` to `to` as a source would give them: record i goes to queue i % queues and moves
 * the position to i + 1. */
static inline void append_to(rc_writer *writer, rc_topic *topic, int from, int to, bool identities,
                             int queue)
{
    rc_append *a = rc_append_new(writer);
    rc_error err = {0};
    char offset[64];

    for (int i = from; i < to; i++) {
        char body[32];
        rc_identity identity = {0};
        rc_message message = {.born_ms = 1700000000000};

        (void)snprintf(body, sizeof body, "%d", i);
        (void)snprintf(offset, sizeof offset, "{\"nextPosition\":\"%d\"}", i + 1);
        message.body = omc_slice_str(body);
        rc_identity_of("c", omc_slice_str(PARTITION), omc_slice_str(offset), &identity);
        if (identities)
            message.identity = &identity;
        OK(rc_append_add(a, topic, queue < 0 ? i % rc_topic_writable(topic) : queue, &message, NULL,
                         &err));
    }
    rc_append_position(a, omc_slice_str(PARTITION), omc_slice_str(offset));
    OK(rc_writer_submit(writer, a, NULL, &err));
}

static inline void append(rc_writer *writer, rc_topic *topic, int from, int to, bool identities)
{
    append_to(writer, topic, from, to, identities, -1);
}

static inline void take_all(rc_writer *writer)
{
    rc_receipt receipt;

    while (rc_writer_pending(writer) > 0) {
        assert_int_equal(rc_writer_receipt(writer, FOR_EVER, &receipt), 1);
        if (receipt.result < 0)
            fail_msg("an append failed: %s", receipt.err.msg);
        rc_append_free(receipt.append);
    }
}

static inline int64_t stored(bed *b, const char *name)
{
    rc_topic *topic = topic_of(b, name);
    int64_t sum = 0, min, max;
    rc_error err = {0};

    for (int32_t i = 0; i < rc_topic_queues(topic); i++) {
        OK(rc_log_bounds(b->log, topic, i, &min, &max, &err));
        sum += max - min;
    }
    return sum;
}

static inline void assert_position(bed *b, const char *wanted)
{
    omc_arena *arena;
    rc_arena memory;
    rc_error err = {0};
    rc_slice text;
    int r = -1;

    rc_arena_init(&memory, 1024);
    arena = &memory.pub;
    /* A send without an answer takes the connection with it, and questions on it. */
    for (int i = 0; r < 0 && i < 100; i++) {
        err = (rc_error){0};
        r = rc_log_position(b->log, "c", omc_slice_str(PARTITION), arena, &text, &err);
        if (r < 0 && !(err.flags & OMC_ERR_RETRIABLE))
            break;
    }
    OK(r);
    if (!wanted)
        assert_null(text.base);
    else if (!text.base || !omc_slice_is(text, wanted))
        fail_msg("position " RC_SLICE_FMT ", not %s", RC_SLICE_ARG(text), wanted);
    rc_arena_release(&memory);
}

/* From now on no position can be written: what a killed worker has not committed stays so. */
static inline void crash(bed *b, rc_writer *writer)
{
    const fakemq_rule rule = {.action = FAKEMQ_REFUSE,
                              .request = 320,
                              .topic = "connector-position-topic",
                              .code = 16,
                              .remark = "crashed"};
    int n = fakemq_fault(b->mq, &rule);

    rc_writer_close(writer);
    close_log(b);
    fakemq_fault_end(b->mq, n);
    open_log(b);
}

/* Every record once (or, with `repeats`, at least once), and in order within its queue. */
static inline void assert_stored(bed *b, const char *name, int count, bool repeats)
{
    rc_topic *topic = topic_of(b, name);
    char *seen = calloc((size_t)count, 1);
    rc_error err = {0};

    for (int32_t q = 0; q < rc_topic_queues(topic); q++) {
        int64_t min, max;
        int last = -1;

        OK(rc_log_bounds(b->log, topic, q, &min, &max, &err));
        for (int64_t at = min; at < max; at++) {
            fakemq_message *m = fakemq_message_at(b->mq, name, rc_topic_broker(topic, q),
                                                  rc_topic_queue_id(topic, q), at);
            char text[16] = "";
            int i;

            memcpy(text, m->body, m->body_len < 15 ? m->body_len : 15);
            i = (int)strtol(text, NULL, 10);
            fakemq_message_free(m);
            if (repeats && i >= 0 && i < count && seen[i])
                continue;
            if (i < 0 || i >= count || seen[i])
                fail_msg("record %d is there twice or never was", i);
            if (i < last)
                fail_msg("record %d behind %d in queue %d", i, last, q);
            seen[i] = 1;
            last = i;
        }
    }
    for (int i = 0; i < count; i++)
        if (!seen[i])
            fail_msg("record %d is lost", i);
    free(seen);
}

static inline void assert_records(bed *b, const char *name, int count)
{
    assert_stored(b, name, count, false);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define IMPATIENT(name) cmocka_unit_test_setup_teardown(name, setup_impatient, teardown)

#endif
