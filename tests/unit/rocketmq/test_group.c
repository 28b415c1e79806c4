/* SPDX-License-Identifier: Apache-2.0 */
/* Members of a group: the same split as Java's, no queue at two members, commits of what was
 * released and of nothing else. */
#include "unit.h"

#include "consumer_rig.h"

#define COMMIT 15
#define LEAVE 35

static const rmq_consumer_config quick = {
    .poll_ms = 1000,
    .commit_ms = 50,
    .balance_ms = 300,
};

static void on_balanced(void *arg, const rmq_queue *revoked, size_t revoked_count,
                        const rmq_queue *given, size_t given_count)
{
    rig *r = arg;

    /* The queue of retries comes and goes on its own, earlier or later than the others. */
    for (size_t i = 0; i < revoked_count; i++) {
        assert_non_null(revoked[i].broker);
        r->revoked += strcmp(revoked[i].topic, "T") == 0;
    }
    for (size_t i = 0; i < given_count; i++) {
        rig_queue *q = rig_find(r, &given[i]);

        q->next = fakemq_committed(r->mq, "G", given[i].topic, given[i].broker, given[i].id);
        if (q->next < 0)
            q->next = -1;
    }
}

static rig *start(const fakemq_config *mq, const rmq_consumer_config *config)
{
    rmq_consumer_config c = config ? *config : quick;
    rig *r = rig_new(mq);

    c.group = "G";
    c.balanced = on_balanced;
    c.arg = r;
    fakemq_topic(r->mq, "T", 4);
    rig_open(r, &c);
    return r;
}

static void subscribe(rig *r, const char *expression)
{
    rmq_error err = {0};

    if (rmq_consumer_subscribe(r->consumer, "T", RMQ_FILTER_TAG, expression, &err) < 0)
        fail_msg("%s", err.msg);
}

/* Queues of T that this member has now. */
static size_t own_queues(rig *r)
{
    size_t count, own = 0;
    const rmq_queue *queues = rmq_consumer_assignment(r->consumer, &count);

    for (size_t i = 0; i < count; i++)
        own += strcmp(queues[i].topic, "T") == 0;
    return own;
}

/* Fetches (and counts) until this member has `count` queues of T. */
static void until_queues(rig *r, size_t count)
{
    int64_t end = rc_mono_ms(rc_clock_real()) + 20000;

    while (own_queues(r) != count) {
        rmq_fetch fetch;

        assert_true(rc_mono_ms(rc_clock_real()) < end);
        if (rmq_consumer_fetch(r->consumer, 20, &fetch, NULL) == RMQ_FETCH_MESSAGES) {
            rig_check(r, &fetch);
            rmq_fetch_release(r->consumer, &fetch);
        }
    }
}

static bool has_committed(fakemq *mq, void *arg)
{
    const int64_t *want = arg; /* queue, offset */

    return fakemq_committed(mq, "G", "T", "broker-0", (int)want[0]) == want[1];
}

static void wait_committed(rig *r, int queue, int64_t offset)
{
    int64_t want[2] = {queue, offset};

    fakemq_wait(r->mq, has_committed, want, "commit");
}

/* ---- alone ----------------------------------------------------------------------------------- */

static void test_alone(void **state)
{
    const fakemq_config two = {.brokers = 2};
    rig *r = start(&two, NULL);

    (void)state;
    for (int id = 0; id < 4; id++) {
        fakemq_fill(r->mq, "T", "broker-0", id, 100);
        fakemq_fill(r->mq, "T", "broker-1", id, 100);
    }
    subscribe(r, "*");
    rig_read(r, 800);
    assert_int_equal(own_queues(r), 8);
    assert_int_equal(r->revoked, 0);
    for (int id = 0; id < 4; id++)
        wait_committed(r, id, 100);
    rmq_consumer_close(r->consumer);
    r->consumer = NULL;
    assert_int_equal(fakemq_members(r->mq, "G"), 0);
    assert_true(fakemq_requests(r->mq, LEAVE, "broker-0") > 0);
    rig_free(r);
}

static void test_goes_on_where_it_was(void **state)
{
    rig *r = start(NULL, NULL);

    (void)state;
    fakemq_fill(r->mq, "T", "broker-0", 0, 100);
    fakemq_commit(r->mq, "G", "T", "broker-0", 0, 60);
    subscribe(r, "*");
    rig_read(r, 40);
    rig_nothing(r);
    rig_free(r);
}

static void test_start_rules(void **state)
{
    static const struct {
        enum rmq_start_at start;
        int64_t seen;
    } table[] = {{RMQ_START_FIRST, 30}, {RMQ_START_LAST, 10}, {RMQ_START_TIME, 30}};

    (void)state;
    for (size_t i = 0; i < RC_COUNT(table); i++) {
        rmq_consumer_config config = quick;
        rig *r;

        config.start = table[i].start;
        config.start_ms = 1;
        r = start(NULL, &config);
        fakemq_fill(r->mq, "T", "broker-0", 0, 20);
        subscribe(r, "*");
        until_queues(r, 4);
        /* Where it begins is committed, so that what comes before a restart is not skipped. */
        if (table[i].start == RMQ_START_LAST)
            wait_committed(r, 0, 20);
        fakemq_fill(r->mq, "T", "broker-0", 0, 10);
        rig_read(r, table[i].seen);
        rig_nothing(r);
        rig_free(r);
    }
}

/* The queue has been cut off in front: the broker's proposal is taken, told and committed. */
static void test_moved(void **state)
{
    rig *r = start(NULL, NULL);

    (void)state;
    fakemq_fill(r->mq, "T", "broker-0", 0, 100);
    fakemq_trim(r->mq, "T", "broker-0", 0, 70);
    fakemq_commit(r->mq, "G", "T", "broker-0", 0, 10);
    subscribe(r, "*");
    r->gaps = true;
    rig_read(r, 30);
    wait_committed(r, 0, 100);
    assert_true(rig_said(r, "goes on at offset 70"));
    assert_true(rig_said(r, "offset 10 of topic T"));
    rig_free(r);
}

/* ---- commits --------------------------------------------------------------------------------- */

static void test_commits_only_released(void **state)
{
    rig *r = start(NULL, NULL);
    rmq_fetch first, second;
    rmq_error err = {0};

    (void)state;
    fakemq_fill(r->mq, "T", "broker-0", 0, 64); /* two replies of 32 */
    subscribe(r, "*");
    assert_int_equal(rig_event(r, &first, &err), RMQ_FETCH_MESSAGES);
    assert_int_equal(rig_event(r, &second, &err), RMQ_FETCH_MESSAGES);
    assert_int_equal(first.next_offset, 32);
    rmq_fetch_release(r->consumer, &second); /* not in order: the first is still worked on */
    assert_int_equal(rmq_consumer_commit(r->consumer, &err), 0);
    assert_true(fakemq_committed(r->mq, "G", "T", "broker-0", 0) <= 0);
    rmq_fetch_release(r->consumer, &first);
    assert_int_equal(rmq_consumer_commit(r->consumer, &err), 0);
    assert_int_equal(fakemq_committed(r->mq, "G", "T", "broker-0", 0), 64);
    rig_free(r);
}

static void test_commit_error(void **state)
{
    const fakemq_rule rule = {.action = FAKEMQ_REFUSE,
                              .request = COMMIT,
                              .code = 1,
                              .remark = "no room"};
    rmq_consumer_config config = quick;
    rmq_error err = {0};
    rig *r;
    int number;

    (void)state;
    config.commit_ms = -1;
    r = start(NULL, &config);
    fakemq_fill(r->mq, "T", "broker-0", 2, 10);
    subscribe(r, "*");
    rig_read(r, 10);
    number = fakemq_fault(r->mq, &rule);
    assert_true(rmq_consumer_commit(r->consumer, &err) < 0);
    assert_non_null(strstr(err.msg, "no room"));
    assert_non_null(strstr(err.msg, "group G, topic T"));
    fakemq_fault_end(r->mq, number);
    assert_int_equal(fakemq_committed(r->mq, "G", "T", "broker-0", 2), -1);
    assert_int_equal(rmq_consumer_commit(r->consumer, &err), 0);
    assert_int_equal(fakemq_committed(r->mq, "G", "T", "broker-0", 2), 10);
    rig_free(r);
}

/* What the broker has filtered out counts as consumed, too. */
static void test_commits_behind_filtered(void **state)
{
    rig *r = start(NULL, NULL);

    (void)state;
    fakemq_fill(r->mq, "T", "broker-0", 0, 100);
    subscribe(r, "Nobody");
    until_queues(r, 4);
    wait_committed(r, 0, 100);
    rig_free(r);
}

static void test_commit_at_close(void **state)
{
    rmq_consumer_config config = quick;
    rig *r;

    (void)state;
    config.commit_ms = -1;
    r = start(NULL, &config);
    fakemq_fill(r->mq, "T", "broker-0", 0, 50);
    subscribe(r, "*");
    rig_read(r, 50);
    assert_int_equal(fakemq_committed(r->mq, "G", "T", "broker-0", 0), -1);
    rmq_consumer_close(r->consumer);
    r->consumer = NULL;
    assert_int_equal(fakemq_committed(r->mq, "G", "T", "broker-0", 0), 50);
    rig_free(r);
}

/* ---- members --------------------------------------------------------------------------------- */

/* A Java member comes before us in the order of ids, another behind us; each takes its part. */
static void test_foreign_members(void **state)
{
    rig *r = start(NULL, NULL);

    (void)state;
    subscribe(r, "*");
    until_queues(r, 4);
    fakemq_foreign_member(r->mq, "G", "0.0.0.0@first", true);
    until_queues(r, 2);
    assert_int_equal(r->revoked, 2);
    for (int id = 0; id < 4; id++)
        fakemq_fill(r->mq, "T", "broker-0", id, 10);
    rig_read(r, 20); /* of queues 2 and 3: the first half is the other's */
    rig_nothing(r);
    for (int id = 0; id < 2; id++) {
        const rmq_queue queue = rig_name("broker-0", id);

        assert_int_equal(rig_find(r, &queue)->seen, 0);
    }
    fakemq_foreign_member(r->mq, "G", "zzz@last", true);
    until_queues(r, 1); /* 2, 1, 1 */
    fakemq_foreign_member(r->mq, "G", "0.0.0.0@first", false);
    until_queues(r, 2); /* 0 and 1 */
    fakemq_foreign_member(r->mq, "G", "zzz@last", false);
    until_queues(r, 4);
    rig_free(r);
}

/* Offsets of what goes to another member are stored when it is taken. */
static void test_commit_when_revoked(void **state)
{
    rmq_consumer_config config = quick;
    rig *r;

    (void)state;
    config.commit_ms = -1;
    r = start(NULL, &config);
    for (int id = 0; id < 4; id++)
        fakemq_fill(r->mq, "T", "broker-0", id, 10);
    subscribe(r, "*");
    rig_read(r, 40);
    fakemq_foreign_member(r->mq, "G", "0.0.0.0@first", true);
    until_queues(r, 2);
    wait_committed(r, 0, 10);
    wait_committed(r, 1, 10);
    assert_int_equal(fakemq_committed(r->mq, "G", "T", "broker-0", 3), -1);
    rig_free(r);
}

/* Two of our own: all queues are read, none by both. */
static void test_two_members(void **state)
{
    rig *r = start(NULL, NULL), *other = rc_calloc(1, sizeof *other);
    rmq_consumer_config config = quick;

    (void)state;
    subscribe(r, "*");
    until_queues(r, 4);
    pthread_mutex_init(&other->mu, NULL);
    other->mq = r->mq;
    other->client = rig_client(other);
    config.group = "G";
    config.balanced = on_balanced;
    config.arg = other;
    rig_open(other, &config);
    subscribe(other, "*");
    for (int i = 0; i < 400 && (own_queues(r) != 2 || own_queues(other) != 2); i++) {
        rmq_fetch fetch;

        assert_int_equal(rmq_consumer_fetch(r->consumer, 10, &fetch, NULL), RMQ_FETCH_NONE);
        assert_int_equal(rmq_consumer_fetch(other->consumer, 10, &fetch, NULL), RMQ_FETCH_NONE);
    }
    assert_int_equal(own_queues(r), 2);
    assert_int_equal(own_queues(other), 2);
    for (int id = 0; id < 4; id++)
        fakemq_fill(r->mq, "T", "broker-0", id, 100);
    rig_read(r, 200);
    rig_read(other, 200);
    rmq_consumer_close(other->consumer);
    rmq_client_close(other->client);
    pthread_mutex_destroy(&other->mu);
    free(other);
    until_queues(r, 4);
    fakemq_fill(r->mq, "T", "broker-0", 0, 10);
    fakemq_fill(r->mq, "T", "broker-0", 3, 10);
    rig_read(r, 220);
    rig_nothing(r);
    rig_free(r);
}

static void test_new_queues(void **state)
{
    rig *r = start(NULL, NULL);

    (void)state;
    subscribe(r, "*");
    until_queues(r, 4);
    fakemq_topic(r->mq, "T", 6);
    until_queues(r, 6);
    fakemq_fill(r->mq, "T", "broker-0", 5, 10);
    rig_read(r, 10);
    rig_free(r);
}

static void test_broker_restart(void **state)
{
    rig *r = start(NULL, NULL);

    (void)state;
    for (int id = 0; id < 4; id++)
        fakemq_fill(r->mq, "T", "broker-0", id, 50);
    subscribe(r, "*");
    rig_read(r, 200);
    fakemq_kill(r->mq, "broker-0");
    rig_nothing(r);
    fakemq_revive(r->mq, "broker-0");
    for (int id = 0; id < 4; id++)
        fakemq_fill(r->mq, "T", "broker-0", id, 50);
    rig_read(r, 400);
    assert_int_equal(r->revoked, 0);
    rig_free(r);
}

/* ---- retries, expressions, tools ------------------------------------------------------------- */

static void test_retry_topic(void **state)
{
    rig *r = start(NULL, NULL);
    rmq_fetch fetch;
    rmq_error err = {0};

    (void)state;
    fakemq_topic(r->mq, "%RETRY%G", 1);
    subscribe(r, "TagA"); /* does not hold for retries */
    until_queues(r, 4);
    fakemq_put(r->mq, "%RETRY%G", "broker-0", 0, "again", 5, "RETRY_TOPIC\1T\2TAGS\1TagZ\2", 0);
    assert_int_equal(rig_event(r, &fetch, &err), RMQ_FETCH_MESSAGES);
    assert_string_equal(fetch.queue.topic, "%RETRY%G");
    assert_true(omc_slice_is(fetch.messages[0].topic, "T"));
    assert_true(omc_slice_is(fetch.messages[0].body, "again"));
    rmq_fetch_release(r->consumer, &fetch);
    rig_free(r);
}

static void test_sql_is_checked(void **state)
{
    rig *r = start(NULL, NULL);
    rmq_error err = {0};

    (void)state;
    assert_int_equal(rmq_consumer_subscribe(r->consumer, "T", RMQ_FILTER_SQL92, "a > 5", &err),
                     -RMQ_EINVAL);
    assert_non_null(strstr(err.msg, "does not support")); /* the broker's words */
    assert_non_null(strstr(err.msg, "a > 5"));
    assert_int_equal(rmq_consumer_subscribe(r->consumer, "None", RMQ_FILTER_TAG, "*", &err),
                     -RMQ_ENOTFOUND);
    subscribe(r, "*");
    assert_int_equal(rmq_consumer_subscribe(r->consumer, "T", RMQ_FILTER_TAG, "*", &err),
                     -RMQ_EEXIST);
    rig_free(r);
}

static void test_reset(void **state)
{
    static const char *const bodies[] = {
        "{\"offsetTable\":{{\"brokerName\":\"broker-0\",\"queueId\":0,\"topic\":\"T\"}:40}}",
        "{\"offsetTable\":[{\"brokerName\":\"broker-0\",\"queueId\":0,\"topic\":\"T\","
        "\"offset\":40}]}",
    };
    rig *r = start(NULL, NULL);
    rmq_fetch held;

    (void)state;
    fakemq_fill(r->mq, "T", "broker-0", 0, 100);
    subscribe(r, "*");
    r->gaps = true;
    rig_read(r, 100);
    for (size_t i = 0; i < RC_COUNT(bodies); i++) {
        const rmq_queue queue = rig_name("broker-0", 0);

        wait_committed(r, 0, 100 + (int64_t)i); /* so that 40 below is the reset's */
        fakemq_fill(r->mq, "T", "broker-0", 0, 1);
        assert_int_equal(rig_event(r, &held, NULL), RMQ_FETCH_MESSAGES);
        fakemq_ask_members(r->mq, "G", 220,
                           "{\"topic\":\"T\",\"group\":\"G\",\"timestamp\":\"1\","
                           "\"isForce\":\"true\"}",
                           bodies[i]);
        wait_committed(r, 0, 40);
        rmq_fetch_release(r->consumer, &held); /* of before: does not move the new position */
        rig_find(r, &queue)->next = 40;
        rig_read(r, r->seen + 61 + (int64_t)i);
    }
    assert_true(rig_said(r, "is reset from offset 101 to 40"));
    rig_free(r);
}

static bool answered_both(fakemq *mq, void *arg)
{
    (void)arg;
    return fakemq_answers(mq, 221) == 1 && fakemq_answers(mq, 307) == 1;
}

static void test_answers_tools(void **state)
{
    rig *r = start(NULL, NULL);

    (void)state;
    subscribe(r, "*");
    until_queues(r, 4);
    fakemq_ask_members(r->mq, "G", 221, "{\"topic\":\"T\",\"group\":\"G\"}", NULL);
    fakemq_ask_members(r->mq, "G", 307,
                       "{\"consumerGroup\":\"G\",\"clientId\":\"x\",\"jstackEnable\":\"false\"}",
                       NULL);
    fakemq_wait(r->mq, answered_both, NULL, "answers to tools");
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_goes_on_where_it_was),
        cmocka_unit_test(test_start_rules),
        cmocka_unit_test(test_moved),
        cmocka_unit_test(test_commits_only_released),
        cmocka_unit_test(test_commit_error),
        cmocka_unit_test(test_commits_behind_filtered),
        cmocka_unit_test(test_commit_at_close),
        cmocka_unit_test(test_foreign_members),
        cmocka_unit_test(test_commit_when_revoked),
        cmocka_unit_test(test_two_members),
        cmocka_unit_test(test_new_queues),
        cmocka_unit_test(test_broker_restart),
        cmocka_unit_test(test_retry_topic),
        cmocka_unit_test(test_sql_is_checked),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_answers_tools),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
