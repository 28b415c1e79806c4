/* SPDX-License-Identifier: Apache-2.0 */
/* Assigned consumers against a fake cluster: every message once and in order, whatever happens. */
#include "unit.h"

#include "base/encode.h"
#include "consumer_rig.h"

#include <poll.h>

#define PULL 11

static rig *start(const fakemq_config *mq, const rmq_consumer_config *config)
{
    rmq_consumer_config c = {.group = "G", .poll_ms = 1000};
    rig *r = rig_new(mq);

    if (config)
        c = *config;
    c.group = "G";
    fakemq_topic(r->mq, "T", 4);
    rig_open(r, &c);
    return r;
}

static int open_pulls(rig *r)
{
    return fakemq_requests(r->mq, PULL, NULL);
}

/* ---- the ordinary ---------------------------------------------------------------------------- */

static void test_reads_all_queues(void **state)
{
    const fakemq_config two = {.brokers = 2};
    rig *r = start(&two, NULL);

    (void)state;
    for (int id = 0; id < 4; id++) {
        fakemq_fill(r->mq, "T", "broker-0", id, 300);
        fakemq_fill(r->mq, "T", "broker-1", id, 100);
        rig_add(r, "broker-0", id, 0);
        rig_add(r, "broker-1", id, 0);
    }
    rig_read(r, 1600);
    rig_nothing(r);
    assert_int_equal(rmq_consumer_lag(r->consumer), 0);
    rig_free(r);
}

static void test_message_fields(void **state)
{
    rig *r = start(NULL, NULL);
    rmq_fetch fetch;
    const rmq_message *m;

    (void)state;
    fakemq_put(r->mq, "T", "broker-0", 1, "hello", 5,
               "TAGS\1A\2KEYS\1k1 k2\2UNIQ_KEY\1C000\2colour\1red\2", 0);
    rig_add(r, "broker-0", 1, 0);
    assert_int_equal(rig_event(r, &fetch, NULL), RMQ_FETCH_MESSAGES);
    assert_int_equal(fetch.count, 1);
    assert_int_equal(fetch.bytes, 5);
    assert_int_equal(fetch.next_offset, 1);
    assert_int_equal(fetch.min_offset, 0);
    assert_int_equal(fetch.max_offset, 1);
    m = &fetch.messages[0];
    assert_true(omc_slice_is(m->body, "hello"));
    assert_true(omc_slice_is(m->tags, "A"));
    assert_true(omc_slice_is(m->keys, "k1 k2"));
    assert_true(omc_slice_is(m->unique_key, "C000"));
    assert_true(omc_slice_is(m->topic, "T"));
    assert_true(omc_slice_is(rmq_message_property(m, "colour"), "red"));
    assert_int_equal(m->queue_id, 1);
    rmq_fetch_release(r->consumer, &fetch);
    rig_free(r);
}

static void test_pull_says(void **state)
{
    static const struct {
        const char *name, *value;
    } fields[] = {
        {"consumerGroup", "G"},
        {"topic", "T"},
        {"queueId", "2"},
        {"queueOffset", "7"},
        {"sysFlag", "6"}, /* 2: long poll, 4: the subscription is in it */
        {"commitOffset", "0"},
        {"suspendTimeoutMillis", "1000"},
        {"subscription", "TagA || TagB"},
        {"expressionType", "TAG"},
        {"bname", "broker-0"},
    };
    rig *r = start(NULL, NULL);

    (void)state;
    fakemq_fill(r->mq, "T", "broker-0", 2, 7);
    assert_int_equal(rmq_consumer_filter(r->consumer, "T", RMQ_FILTER_TAG, "TagA || TagB", NULL),
                     0);
    rig_add(r, "broker-0", 2, 7);
    rig_wait_requests(r, PULL, NULL, 1);
    for (size_t i = 0; i < RC_COUNT(fields); i++) {
        char *value = fakemq_request_field(r->mq, PULL, 0, fields[i].name);

        assert_string_equal(value, fields[i].value);
        free(value);
    }
    rig_free(r);
}

/* A poll that waits at the end brings what comes; one is open per queue, not more. */
static void test_long_poll_wakes(void **state)
{
    const rmq_consumer_config config = {.poll_ms = 20000};
    rig *r = start(NULL, &config);

    (void)state;
    for (int id = 0; id < 4; id++)
        rig_add(r, "broker-0", id, 0);
    rig_wait_requests(r, PULL, NULL, 4);
    rig_nothing(r);
    assert_int_equal(open_pulls(r), 4);
    fakemq_fill(r->mq, "T", "broker-0", 3, 1);
    rig_read(r, 1);
    rig_wait_requests(r, PULL, NULL, 5);
    assert_int_equal(open_pulls(r), 5);
    rig_free(r);
}

static void *wake_up(void *arg)
{
    rmq_consumer_wake(arg);
    return NULL;
}

static void test_wake_and_descriptor(void **state)
{
    rig *r = start(NULL, NULL);
    struct pollfd fd = {.fd = rmq_consumer_fd(r->consumer), .events = POLLIN};
    rmq_fetch fetch;
    pthread_t thread;

    (void)state;
    rig_add(r, "broker-0", 0, 0);
    assert_int_equal(poll(&fd, 1, 0), 0);
    pthread_create(&thread, NULL, wake_up, r->consumer);
    assert_int_equal(rmq_consumer_fetch(r->consumer, -1, &fetch, NULL), RMQ_FETCH_NONE);
    pthread_join(thread, NULL);
    assert_int_equal(poll(&fd, 1, 0), 0);
    fakemq_fill(r->mq, "T", "broker-0", 0, 1);
    assert_int_equal(poll(&fd, 1, 20000), 1);
    rig_read(r, 1);
    assert_int_equal(poll(&fd, 1, 0), 0);
    rig_free(r);
}

static void test_errors_of_calls(void **state)
{
    rig *r = start(NULL, NULL);
    const rmq_queue none = {"T", "broker-0", 9}, nobody = {"T", "broker-7", 0},
                    other = {"Other", "broker-0", 0}, first = {"T", "broker-0", 0};
    rmq_error err = {0};

    (void)state;
    assert_int_equal(rmq_consumer_add(r->consumer, &none, 0, &err), -RMQ_ENOTFOUND);
    assert_non_null(strstr(err.msg, "4 queues"));
    assert_int_equal(rmq_consumer_add(r->consumer, &nobody, 0, &err), -RMQ_ENOTFOUND);
    assert_non_null(strstr(err.msg, "broker-7"));
    assert_int_equal(rmq_consumer_add(r->consumer, &other, 0, &err), -RMQ_ENOTFOUND);
    assert_int_equal(rmq_consumer_seek(r->consumer, &first, 0, &err), -RMQ_ENOTFOUND);
    assert_int_equal(rmq_consumer_remove(r->consumer, &first, &err), -RMQ_ENOTFOUND);
    assert_int_equal(rmq_consumer_pause(r->consumer, &first, true, &err), -RMQ_ENOTFOUND);
    rig_add(r, "broker-0", 0, 0);
    assert_int_equal(rmq_consumer_add(r->consumer, &first, 0, &err), -RMQ_EEXIST);
    assert_int_equal(rmq_consumer_subscribe(r->consumer, "T", RMQ_FILTER_TAG, "*", &err),
                     -RMQ_ESTATE);
    assert_int_equal(rmq_consumer_commit(r->consumer, &err), -RMQ_ESTATE);
    assert_int_equal(rmq_consumer_filter(r->consumer, "T", RMQ_FILTER_TAG, " || ", &err),
                     -RMQ_EINVAL);
    assert_int_equal(rmq_consumer_filter(r->consumer, "T", RMQ_FILTER_SQL92, "*", &err),
                     -RMQ_EINVAL);
    rig_free(r);
}

/* ---- budget, pause, seek, remove ------------------------------------------------------------- */

/* Nobody fetches: each queue gets its one reply, and when the budget is full nothing more. */
static void test_budget(void **state)
{
    const rmq_consumer_config config = {.buffer_bytes = 65536, .poll_ms = 1000};
    rig *r = start(NULL, &config);

    (void)state;
    for (int id = 0; id < 4; id++)
        fakemq_fill(r->mq, "T", "broker-0", id, 2000);
    for (int id = 0; id < 4; id++)
        rig_add(r, "broker-0", id, 0);
    rig_wait_requests(r, PULL, NULL, 4);
    for (int i = 0; i < 20; i++) /* pulls that are too many would come now */
        (void)poll(NULL, 0, 5);
    assert_in_range(open_pulls(r), 4, 8);
    rig_read(r, 8000);
    rig_free(r);
}

static void test_pause(void **state)
{
    rig *r = start(NULL, NULL);
    const rmq_queue zero = rig_name("broker-0", 0);

    (void)state;
    rig_add(r, "broker-0", 0, 0);
    rig_add(r, "broker-0", 1, 0);
    rig_wait_requests(r, PULL, NULL, 2);
    assert_int_equal(rmq_consumer_pause(r->consumer, &zero, true, NULL), 0);
    fakemq_fill(r->mq, "T", "broker-0", 0, 100); /* answers the pull under way */
    fakemq_fill(r->mq, "T", "broker-0", 1, 100);
    rig_read(r, 100);
    rig_nothing(r);
    assert_int_equal(rig_find(r, &zero)->seen, 0);
    assert_int_equal(rmq_consumer_pause(r->consumer, &zero, false, NULL), 0);
    rig_read(r, 200);
    assert_int_equal(rig_find(r, &zero)->seen, 100);
    rig_free(r);
}

static void test_seek(void **state)
{
    rig *r = start(NULL, NULL);

    (void)state;
    fakemq_fill(r->mq, "T", "broker-0", 0, 500);
    rig_add(r, "broker-0", 0, 490);
    rig_read(r, 10);
    rig_seek(r, "broker-0", 0, 0); /* with a poll under way at 500 */
    rig_read(r, 510);
    for (int i = 0; i < 50; i++) /* more of them than may be unanswered */
        rig_seek(r, "broker-0", 0, 100 + i);
    rig_read(r, 510 + 351);
    rig_nothing(r);
    rig_free(r);
}

static void test_remove(void **state)
{
    rig *r = start(NULL, NULL);
    const rmq_queue zero = rig_name("broker-0", 0);

    (void)state;
    rig_add(r, "broker-0", 0, 0);
    rig_add(r, "broker-0", 1, 0);
    rig_wait_requests(r, PULL, NULL, 2);
    assert_int_equal(rmq_consumer_remove(r->consumer, &zero, NULL), 0);
    fakemq_fill(r->mq, "T", "broker-0", 0, 10);
    fakemq_fill(r->mq, "T", "broker-0", 1, 10);
    rig_read(r, 10);
    rig_nothing(r);
    rig_add(r, "broker-0", 0, 5);
    rig_read(r, 15);
    rig_free(r);
}

/* Messages that are handed out stay readable when their queue is removed. */
static void test_remove_while_held(void **state)
{
    rig *r = start(NULL, NULL);
    const rmq_queue zero = rig_name("broker-0", 0);
    rmq_fetch fetch;

    (void)state;
    fakemq_fill(r->mq, "T", "broker-0", 0, 10);
    rig_add(r, "broker-0", 0, 0);
    assert_int_equal(rig_event(r, &fetch, NULL), RMQ_FETCH_MESSAGES);
    assert_int_equal(rmq_consumer_remove(r->consumer, &zero, NULL), 0);
    assert_int_equal(fetch.messages[9].queue_offset, 9);
    assert_true(fetch.messages[9].body.len > 0);
    rmq_fetch_release(r->consumer, &fetch);
    rig_free(r);
}

/* ---- positions that do not exist ------------------------------------------------------------- */

static void test_moved(void **state)
{
    static const struct {
        int64_t offset, proposal;
    } table[] = {{5, 20}, {500, 100}};
    const rmq_consumer_config config = {.poll_ms = 1000, .lost_ms = 300};
    rig *r = start(NULL, &config);

    (void)state;
    fakemq_fill(r->mq, "T", "broker-0", 0, 100);
    fakemq_trim(r->mq, "T", "broker-0", 0, 20);
    rig_add(r, "broker-0", 0, 50);
    rig_read(r, 50);
    for (size_t i = 0; i < RC_COUNT(table); i++) {
        rmq_fetch fetch;
        rmq_error err = {0};

        rig_seek(r, "broker-0", 0, table[i].offset);
        assert_int_equal(rig_event(r, &fetch, &err), RMQ_FETCH_MOVED);
        assert_int_equal(fetch.next_offset, table[i].proposal);
        assert_int_equal(fetch.count, 0);
        assert_non_null(strstr(err.msg, "20 to 100"));
        rmq_fetch_release(r->consumer, &fetch);
        rig_nothing(r); /* stands still */
    }
    rig_seek(r, "broker-0", 0, 20);
    rig_read(r, 130);
    rig_free(r);
}

static void test_truncated_while_reading(void **state)
{
    const rmq_consumer_config config = {.poll_ms = 1000, .lost_ms = 300};
    rig *r = start(NULL, &config);
    rmq_fetch fetch;
    rmq_error err = {0};

    (void)state;
    fakemq_fill(r->mq, "T", "broker-0", 0, 100);
    rig_add(r, "broker-0", 0, 0);
    rig_read(r, 100);
    fakemq_truncate(r->mq, "T", "broker-0", 0, 60);
    assert_int_equal(rig_event(r, &fetch, &err), RMQ_FETCH_MOVED);
    assert_int_equal(fetch.next_offset, 60);
    rmq_fetch_release(r->consumer, &fetch);
    rig_free(r);
}

static void test_deleted_topic(void **state)
{
    rig *r = start(NULL, NULL);
    rmq_fetch fetch;
    rmq_error err = {0};

    (void)state;
    fakemq_fill(r->mq, "T", "broker-0", 0, 10);
    rig_add(r, "broker-0", 0, 0);
    rig_read(r, 10);
    fakemq_topic_on(r->mq, "T", "broker-0", 0);
    assert_int_equal(rig_event(r, &fetch, &err), RMQ_FETCH_QUEUE_LOST);
    assert_string_equal(fetch.queue.topic, "T");
    assert_int_equal(err.code, RMQ_ENOTFOUND);
    rmq_fetch_release(r->consumer, &fetch);
    rig_nothing(r);
    fakemq_topic(r->mq, "T", 4);
    fakemq_fill(r->mq, "T", "broker-0", 0, 5);
    rig_seek(r, "broker-0", 0, 0);
    rig_read(r, 15);
    rig_free(r);
}

static void test_refused_reading(void **state)
{
    rig *r = start(NULL, NULL);
    rmq_fetch fetch;
    rmq_error err = {0};

    (void)state;
    rig_add(r, "broker-0", 0, 0);
    fakemq_topic_perm(r->mq, "T", "broker-0", 2);
    rig_seek(r, "broker-0", 0, 0);
    assert_int_equal(rig_event(r, &fetch, &err), RMQ_FETCH_QUEUE_LOST);
    assert_int_equal(err.code, RMQ_EACCES);
    rmq_fetch_release(r->consumer, &fetch);
    rig_free(r);
}

static void test_added_queues(void **state)
{
    rig *r = start(NULL, NULL);

    (void)state;
    rig_add(r, "broker-0", 0, 0);
    fakemq_topic(r->mq, "T", 8);
    fakemq_fill(r->mq, "T", "broker-0", 7, 10);
    rig_add(r, "broker-0", 7, 0);
    rig_read(r, 10);
    rig_free(r);
}

/* ---- trouble with brokers -------------------------------------------------------------------- */

static void test_killed_and_back(void **state)
{
    const fakemq_config two = {.brokers = 2};
    rig *r = start(&two, NULL);

    (void)state;
    for (int id = 0; id < 4; id++) {
        rig_add(r, "broker-0", id, 0);
        rig_add(r, "broker-1", id, 0);
        fakemq_fill(r->mq, "T", "broker-0", id, 50);
        fakemq_fill(r->mq, "T", "broker-1", id, 50);
    }
    rig_read(r, 400);
    fakemq_kill(r->mq, "broker-0");
    for (int id = 0; id < 4; id++)
        fakemq_fill(r->mq, "T", "broker-1", id, 50);
    rig_read(r, 600);
    fakemq_revive(r->mq, "broker-0");
    for (int id = 0; id < 4; id++)
        fakemq_fill(r->mq, "T", "broker-0", id, 50);
    rig_read(r, 800);
    rig_nothing(r);
    assert_true(rig_said(r, "broker-0"));
    rig_free(r);
}

static void test_slave_when_master_is_gone(void **state)
{
    const fakemq_config with_slaves = {.slaves = true};
    rig *r = start(&with_slaves, NULL);

    (void)state;
    fakemq_fill(r->mq, "T", "broker-0", 0, 100);
    rig_add(r, "broker-0", 0, 0);
    rig_read(r, 100);
    assert_int_equal(fakemq_requests(r->mq, PULL, "broker-0-slave"), 0);
    fakemq_kill(r->mq, "broker-0");
    rig_wait_requests(r, PULL, "broker-0-slave", 1);
    rig_seek(r, "broker-0", 0, 0);
    rig_read(r, 200);
    fakemq_revive(r->mq, "broker-0");
    fakemq_fill(r->mq, "T", "broker-0", 0, 10);
    rig_read(r, 210);
    rig_free(r);
}

/* The master has stored what only its slave shows so far: a reader that comes from there to the
 * master does not go back, and is told nothing, but waits until the master shows it, too. */
static void test_master_behind_its_slave(void **state)
{
    const fakemq_config with_slaves = {.slaves = true};
    const rmq_consumer_config config = {.poll_ms = 1000, .read_slaves = true, .lost_ms = 20000};
    rig *r = start(&with_slaves, &config);
    int asked;

    (void)state;
    fakemq_fill(r->mq, "T", "broker-0", 0, 60);
    fakemq_suggest(r->mq, "broker-0", 1);
    rig_add(r, "broker-0", 0, 0);
    rig_read(r, 60);
    rig_wait_requests(r, PULL, "broker-0-slave", 1);
    fakemq_suggest(r->mq, "broker-0", 0);
    fakemq_hide(r->mq, "T", "broker-0", 0, true);
    asked = fakemq_requests(r->mq, PULL, "broker-0");
    fakemq_fill(r->mq, "T", "broker-0", 0, 2);
    rig_read(r, 62);
    rig_wait_requests(r, PULL, "broker-0",
                      asked + 3); /* told each time that the queue ends at 60 */
    rig_nothing(r);
    fakemq_hide(r->mq, "T", "broker-0", 0, false);
    fakemq_fill(r->mq, "T", "broker-0", 0, 10);
    rig_read(r, 72);
    assert_true(rig_said(r, "up to offset 60 only"));
    rig_free(r);
}

/* A slave that has not copied the newest topics or groups yet: no word of it is the last. */
static void test_slave_that_knows_nothing_yet(void **state)
{
    const fakemq_config with_slaves = {.slaves = true};
    const rmq_consumer_config config = {.poll_ms = 1000, .read_slaves = true};
    const int codes[] = {17 /* topic */, 29 /* queue */, 26 /* group */};

    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        const fakemq_rule unknown = {.action = FAKEMQ_REFUSE,
                                     .request = PULL,
                                     .broker = "broker-0-slave",
                                     .code = codes[i],
                                     .remark = "never heard of"};
        rig *r = start(&with_slaves, &config);

        fakemq_fault(r->mq, &unknown);
        fakemq_fill(r->mq, "T", "broker-0", 0, 100);
        rig_add(r, "broker-0", 0, 0);
        rig_read(r, 100);
        fakemq_kill(r->mq, "broker-0");
        rig_wait_requests(r, PULL, "broker-0-slave", 4);
        fakemq_revive(r->mq, "broker-0");
        fakemq_fill(r->mq, "T", "broker-0", 0, 10);
        rig_read(r, 110);
        rig_free(r);
    }
}

static void test_slave_as_suggested(void **state)
{
    const fakemq_config with_slaves = {.slaves = true};
    const fakemq_rule refused = {.action = FAKEMQ_REFUSE,
                                 .request = PULL,
                                 .broker = "broker-0-slave",
                                 .code = 2,
                                 .remark = "slaveReadEnable is false"};

    (void)state;
    for (int follow = 0; follow < 3; follow++) {
        const rmq_consumer_config config = {.poll_ms = 1000, .read_slaves = follow > 0};
        rig *r = start(&with_slaves, &config);

        if (follow == 2) /* then the master is read, and the slave left in peace */
            fakemq_fault(r->mq, &refused);
        fakemq_fill(r->mq, "T", "broker-0", 0, 500);
        fakemq_suggest(r->mq, "broker-0", 1);
        rig_add(r, "broker-0", 0, 0);
        rig_read(r, 500);
        if (follow == 1)
            assert_true(fakemq_requests(r->mq, PULL, "broker-0-slave") > 10);
        else
            assert_int_equal(fakemq_requests(r->mq, PULL, "broker-0-slave"), follow / 2);
        rig_free(r);
    }
}

typedef struct fault_case {
    const char *name;
    fakemq_rule rule;
} fault_case;

/* Whatever becomes of some answers: nothing is lost, nothing comes twice. */
static void test_faults(void **state)
{
    static const fault_case cases[] = {
        {"cut", {.action = FAKEMQ_CUT, .request = PULL, .skip = 2, .count = 3}},
        {"cut after", {.action = FAKEMQ_CUT_AFTER, .request = PULL, .skip = 1, .count = 3}},
        {"cut reply",
         {.action = FAKEMQ_CUT_REPLY, .request = PULL, .skip = 1, .count = 4, .bytes = 700}},
        {"garbage", {.action = FAKEMQ_GARBAGE, .request = PULL, .skip = 1, .count = 2}},
        {"oversize", {.action = FAKEMQ_OVERSIZE, .request = PULL, .skip = 1, .count = 2}},
        {"opaque", {.action = FAKEMQ_OPAQUE, .request = PULL, .skip = 1, .count = 5}},
        {"delay", {.action = FAKEMQ_DELAY, .request = PULL, .skip = 1, .count = 5, .ms = 30}},
        {"busy",
         {.action = FAKEMQ_REFUSE,
          .request = PULL,
          .skip = 1,
          .count = 3,
          .code = 2,
          .remark = "b"}},
        {"error",
         {.action = FAKEMQ_REFUSE,
          .request = PULL,
          .skip = 1,
          .count = 2,
          .code = 1,
          .remark = "e"}},
        {"not latest",
         {.action = FAKEMQ_REFUSE, .request = PULL, .skip = 1, .count = 2, .code = 25}},
        {"unknown topic, once",
         {.action = FAKEMQ_REFUSE, .request = PULL, .skip = 1, .count = 1, .code = 17}},
    };

    (void)state;
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        rig *r = start(NULL, NULL);
        int rule = fakemq_fault(r->mq, &cases[i].rule);

        print_message("  %s\n", cases[i].name);
        for (int id = 0; id < 4; id++) {
            fakemq_fill(r->mq, "T", "broker-0", id, 200);
            rig_add(r, "broker-0", id, 0);
        }
        rig_read(r, 800);
        rig_nothing(r);
        assert_int_equal(fakemq_fault_hits(r->mq, rule), cases[i].rule.count);
        rig_free(r);
    }
}

/* The answer of one pull never comes: after its time (poll_ms + 10 s) it is sent again. */
static void test_swallowed(void **state)
{
    const rmq_consumer_config config = {.poll_ms = 50};
    const fakemq_rule rule = {.action = FAKEMQ_SWALLOW, .request = PULL, .count = 1};
    rig *r = start(NULL, &config);

    (void)state;
    fakemq_fault(r->mq, &rule);
    fakemq_fill(r->mq, "T", "broker-0", 0, 10);
    rig_add(r, "broker-0", 0, 0);
    rig_read(r, 10);
    rig_free(r);
}

/* Closing with long polls under way waits for nobody. */
static void test_close_with_polls(void **state)
{
    const rmq_consumer_config config = {.poll_ms = 3600000};
    rig *r = start(NULL, &config);

    (void)state;
    for (int id = 0; id < 4; id++)
        rig_add(r, "broker-0", id, 0);
    rig_wait_requests(r, PULL, NULL, 4);
    rmq_consumer_close(r->consumer);
    r->consumer = NULL;
    fakemq_fill(r->mq, "T", "broker-0", 0, 10); /* for nobody */
    rig_free(r);
}

/* ---- filters and forms of messages ----------------------------------------------------------- */

static void test_tags(void **state)
{
    rig *r = start(NULL, NULL);
    rmq_fetch fetch;

    (void)state;
    r->gaps = true;
    fakemq_fill(r->mq, "T", "broker-0", 0, 1000); /* TagA, TagB in turn */
    assert_int_equal(rmq_consumer_filter(r->consumer, "T", RMQ_FILTER_TAG, " TagB ", NULL), 0);
    rig_add(r, "broker-0", 0, 0);
    rig_read(r, 500);
    /* "Aa" and "BB" have one hash in Java: the broker lets both through. */
    fakemq_put(r->mq, "T", "broker-0", 1, "x", 1, "TAGS\1BB\2", 0);
    fakemq_put(r->mq, "T", "broker-0", 1, "y", 1, "TAGS\1Aa\2", 0);
    fakemq_put(r->mq, "T", "broker-0", 1, "z", 1, "", 0);
    assert_int_equal(rmq_consumer_filter(r->consumer, "T", RMQ_FILTER_TAG, "Aa", NULL), 0);
    rig_add(r, "broker-0", 1, 0);
    assert_int_equal(rig_event(r, &fetch, NULL), RMQ_FETCH_MESSAGES);
    assert_int_equal(fetch.count, 1);
    assert_true(omc_slice_is(fetch.messages[0].body, "y"));
    rmq_fetch_release(r->consumer, &fetch);
    rig_nothing(r);
    rig_free(r);
}

/* Two items as §6 describes them, inside one message of §8. */
static size_t make_items(uint8_t *at)
{
    static const char *const bodies[] = {"first", "second"};
    static const char *const properties[] = {"TAGS\1A\2", "TAGS\1B\2"};
    uint8_t *start_of = at;

    for (int i = 0; i < 2; i++) {
        uint32_t body = (uint32_t)strlen(bodies[i]), props = (uint32_t)strlen(properties[i]);

        rc_put_be32(at, 22 + body + props);
        memset(at + 4, 0, 12);
        rc_put_be32(at + 16, body);
        memcpy(at + 20, bodies[i], body);
        at += 20 + body;
        rc_put_be16(at, (uint16_t)props);
        memcpy(at + 2, properties[i], props);
        at += 2 + props;
    }
    return (size_t)(at - start_of);
}

static void test_inner_batch(void **state)
{
    rig *r = start(NULL, NULL);
    uint8_t items[256];
    size_t len = make_items(items);
    rmq_fetch fetch;

    (void)state;
    fakemq_put(r->mq, "T", "broker-0", 0, items, len, "INNER_NUM\0012\2INNER_BASE\0010\2",
               0x40 | 0x80);
    rig_add(r, "broker-0", 0, 0);
    assert_int_equal(rig_event(r, &fetch, NULL), RMQ_FETCH_MESSAGES);
    assert_int_equal(fetch.count, 2);
    assert_true(omc_slice_is(fetch.messages[0].body, "first"));
    assert_true(omc_slice_is(fetch.messages[1].body, "second"));
    assert_true(omc_slice_is(fetch.messages[1].tags, "B"));
    assert_int_equal(fetch.messages[1].queue_offset, 1);
    rmq_fetch_release(r->consumer, &fetch);
    rig_free(r);
}

/* "hello hello hello hello\n", made with the libraries' own tools: Python's zlib, lz4, zstd. */
static const struct {
    int32_t flag;
    const char *bytes;
    size_t len;
} compressed[] = {
    {0x301, "\170\136\313\110\315\311\311\127\310\100\047\271\000\160\276\010\273", 17},
    {0x1, "\170\136\313\110\315\311\311\127\310\100\047\271\000\160\276\010\273", 17},
    {0x101,
     "\004\042\115\030\144\100\247\017\000\000\000\151\150\145\154\154\157\040\006\000\120\145\154"
     "\154\157\012\000\000\000\000\342\377\003\102",
     34},
    {0x201,
     "\050\265\057\375\004\130\155\000\000\070\150\145\154\154\157\040\012\001\000\231\113\021\250"
     "\174\056\250",
     26},
};

static void test_compressed(void **state)
{
    rig *r = start(NULL, NULL);

    (void)state;
    rig_add(r, "broker-0", 0, 0);
    for (size_t i = 0; i < RC_COUNT(compressed); i++) {
        rmq_fetch fetch;

        fakemq_put(r->mq, "T", "broker-0", 0, compressed[i].bytes, compressed[i].len, "",
                   compressed[i].flag);
        assert_int_equal(rig_event(r, &fetch, NULL), RMQ_FETCH_MESSAGES);
        assert_true(omc_slice_is(fetch.messages[0].body, "hello hello hello hello\n"));
        assert_int_equal(fetch.messages[0].sys_flag, compressed[i].flag);
        rmq_fetch_release(r->consumer, &fetch);
    }
    rig_free(r);
}

/* A body that cannot be decompressed is told and left out; the queue goes on. */
static void test_damaged_body(void **state)
{
    rig *r = start(NULL, NULL);
    rmq_fetch fetch;

    (void)state;
    fakemq_put(r->mq, "T", "broker-0", 0, "no zlib at all", 14, "", 0x301);
    fakemq_put(r->mq, "T", "broker-0", 0, "good", 4, "", 0);
    rig_add(r, "broker-0", 0, 0);
    assert_int_equal(rig_event(r, &fetch, NULL), RMQ_FETCH_MESSAGES);
    assert_int_equal(fetch.count, 1);
    assert_int_equal(fetch.messages[0].queue_offset, 1);
    rmq_fetch_release(r->consumer, &fetch);
    rig_nothing(r);
    assert_true(rig_said(r, "the first at offset 0"));
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_all_queues),
        cmocka_unit_test(test_message_fields),
        cmocka_unit_test(test_pull_says),
        cmocka_unit_test(test_long_poll_wakes),
        cmocka_unit_test(test_wake_and_descriptor),
        cmocka_unit_test(test_errors_of_calls),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_seek),
        cmocka_unit_test(test_remove),
        cmocka_unit_test(test_remove_while_held),
        cmocka_unit_test(test_moved),
        cmocka_unit_test(test_truncated_while_reading),
        cmocka_unit_test(test_deleted_topic),
        cmocka_unit_test(test_refused_reading),
        cmocka_unit_test(test_added_queues),
        cmocka_unit_test(test_killed_and_back),
        cmocka_unit_test(test_slave_when_master_is_gone),
        cmocka_unit_test(test_master_behind_its_slave),
        cmocka_unit_test(test_slave_that_knows_nothing_yet),
        cmocka_unit_test(test_slave_as_suggested),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_swallowed),
        cmocka_unit_test(test_close_with_polls),
        cmocka_unit_test(test_tags),
        cmocka_unit_test(test_inner_batch),
        cmocka_unit_test(test_compressed),
        cmocka_unit_test(test_damaged_body),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
