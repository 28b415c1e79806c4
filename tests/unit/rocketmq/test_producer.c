/* SPDX-License-Identifier: Apache-2.0 */
/** The producer as an application sees it, against a broker that makes trouble. */
#include "unit.h"

#include "rocketmq/client_impl.h"
#include "rocketmq/producer_impl.h"

#include "base/clock.h"

#include <fakemq.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#define TOPIC "T"
#define BROKER "broker-0"

/* ---- the kit --------------------------------------------------------------------------------- */

/* What callbacks said, in their order. */
typedef struct told {
    int result;
    uint32_t flags;
    int response;
    int32_t queue;
    int64_t offset;
    int64_t latency_us;
    int32_t status;
    char broker[64];
    char key[40];
    char text[400];
    long number; /* the arg */
} told;

#define TOLD_MAX 20000
typedef struct kit {
    fakemq *mq;
    rmq_client *client;
    rmq_producer *producer;
    pthread_mutex_t mu;
    pthread_cond_t changed;
    int count;
    told *told;
    int again; /* so many callbacks send another message to the same queue */
    int nested_result;
    char log[4096];
} kit;
static kit *current; /* one at a time; the callbacks' argument is the message's number */

static void on_log(void *arg, enum rmq_log_level level, const char *text)
{
    kit *k = arg;
    size_t len;

    if (level < RMQ_LOG_WARN)
        return;
    (void)pthread_mutex_lock(&k->mu);
    len = strlen(k->log);
    (void)snprintf(k->log + len, sizeof k->log - len, "%s\n", text);
    (void)pthread_mutex_unlock(&k->mu);
}

static void on_sent(void *arg, const rmq_send_result *result)
{
    kit *k = current;
    told *t;

    (void)pthread_mutex_lock(&k->mu);
    assert_true(k->count < TOLD_MAX);
    t = &k->told[k->count];
    t->number = (long)(intptr_t)arg;
    t->result = result->result;
    t->queue = result->queue.id;
    t->offset = result->queue_offset;
    t->status = result->status;
    t->latency_us = result->latency_us;
    (void)snprintf(t->broker, sizeof t->broker, "%s", result->queue.broker);
    (void)snprintf(t->key, sizeof t->key, "%s", result->unique_key);
    if (result->err) {
        t->flags = result->err->flags;
        t->response = RMQ_ERR_RESPONSE(result->err);
        (void)snprintf(t->text, sizeof t->text, "%.399s", result->err->msg);
    }
    if (k->again > 0) {
        rmq_target target = {.topic = TOPIC, .broker = BROKER, .queue_id = result->queue.id};
        rmq_message message = {.body = {"again", 5}};

        k->again--;
        (void)pthread_mutex_unlock(&k->mu);
        k->nested_result = rmq_producer_send(k->producer, &target, &message, -1, on_sent,
                                             (void *)(intptr_t)9999, NULL);
        (void)pthread_mutex_lock(&k->mu);
    }
    k->count++;
    (void)pthread_cond_broadcast(&k->changed);
    (void)pthread_mutex_unlock(&k->mu);
}

static kit *start_client(const fakemq_config *mq, const rmq_client_config *client)
{
    kit *k = calloc(1, sizeof *k);
    rmq_client_config settings = client ? *client : (rmq_client_config){0};
    rc_error err = {0};

    k->told = calloc(TOLD_MAX, sizeof *k->told);
    (void)pthread_mutex_init(&k->mu, NULL);
    rc_cond_init(&k->changed);
    k->mq = fakemq_start(mq);
    settings.namesrv = fakemq_namesrv(k->mq);
    settings.log = on_log;
    settings.log_arg = k;
    if (rmq_client_open(&settings, &k->client, &err) < 0)
        fail_msg("client: %s", err.msg);
    current = k;
    return k;
}

static kit *start(const fakemq_config *mq, rmq_producer_config config)
{
    kit *k = start_client(mq, NULL);
    rc_error err = {0};

    fakemq_topic(k->mq, TOPIC, 8);
    if (!config.send_timeout_ms)
        config.send_timeout_ms = 10000;
    if (!config.unknown_wait_ms)
        config.unknown_wait_ms = 50;
    if (rmq_producer_open(k->client, &config, &k->producer, &err) < 0)
        fail_msg("producer: %s", err.msg);
    return k;
}

static void end(kit *k)
{
    rmq_producer_close(k->producer, 0);
    rmq_client_close(k->client);
    fakemq_stop(k->mq);
    (void)pthread_mutex_destroy(&k->mu);
    (void)pthread_cond_destroy(&k->changed);
    free(k->told);
    free(k);
}

static void await(kit *k, int count)
{
    int64_t deadline = rc_mono_ns(rc_clock_real()) + INT64_C(20000000000);
    int r = 0;

    (void)pthread_mutex_lock(&k->mu);
    while (k->count < count && r == 0)
        r = rc_clock_real()->wait(rc_clock_real(), &k->changed, &k->mu, deadline);
    (void)pthread_mutex_unlock(&k->mu);
    if (k->count < count)
        fail_msg("waited 20 s for callbacks: %d of %d; log: %s", k->count, count, k->log);
}

static int send_to(kit *k, int queue, const char *body, long number, int64_t wait_ms, rc_error *err)
{
    rmq_target target = {.topic = TOPIC, .broker = queue < 0 ? NULL : BROKER, .queue_id = queue};
    rmq_message message = {.body = {body, strlen(body)}};

    return rmq_producer_send(k->producer, &target, &message, wait_ms, on_sent,
                             (void *)(intptr_t)number, err);
}

static void put(kit *k, int queue, const char *body, long number)
{
    rc_error err = {0};

    if (send_to(k, queue, body, number, -1, &err) < 0)
        fail_msg("send: %s", err.msg);
}

static fakemq_message *stored(kit *k, int queue, int64_t offset)
{
    return fakemq_message_at(k->mq, TOPIC, BROKER, queue, offset);
}

static void assert_body(kit *k, int queue, int64_t offset, const char *body)
{
    fakemq_message *m = stored(k, queue, offset);

    assert_int_equal(m->body_len, strlen(body));
    assert_memory_equal(m->body, body, m->body_len);
    fakemq_message_free(m);
}

static int rule(kit *k, fakemq_rule r)
{
    return fakemq_fault(k->mq, &r);
}

struct hits {
    int rule, least;
};
static bool hit(fakemq *mq, void *arg)
{
    struct hits *h = arg;

    return fakemq_fault_hits(mq, h->rule) >= h->least;
}
static void await_hits(kit *k, int number, int least)
{
    struct hits h = {number, least};

    fakemq_wait(k->mq, hit, &h, "a fault to be hit");
}

/* ---- one message ----------------------------------------------------------------------------- */

static void test_send_wait(void **state)
{
    kit *k = start(NULL, (rmq_producer_config){.linger_ms = 60000}); /* waiting must not linger */
    rmq_property property = {{"color", 5}, {"blue", 4}};
    rmq_target target = {.topic = TOPIC, .broker = BROKER, .queue_id = 5};
    rmq_message message = {.body = {"hello", 5},
                           .keys = {"k1 k2", 5},
                           .tags = {"TagA", 4},
                           .properties = &property,
                           .property_count = 1,
                           .flag = 7,
                           .born_ms = 1700000000000};
    rmq_send_result result = {0};
    rc_error err = {0};
    fakemq_message *m;

    (void)state;
    assert_int_equal(rmq_producer_send_wait(k->producer, &target, &message, &result, &err), 0);
    assert_int_equal(result.queue.id, 5);
    assert_int_equal(result.queue_offset, 0);
    m = stored(k, 5, 0);
    assert_memory_equal(m->body, "hello", 5);
    assert_int_equal(m->flag, 7);
    assert_int_equal(m->born_ms, 1700000000000);
    assert_non_null(strstr(m->properties, "KEYS\001k1 k2\002"));
    assert_non_null(strstr(m->properties, "TAGS\001TagA\002"));
    assert_non_null(strstr(m->properties, "color\001blue\002"));
    assert_non_null(strstr(m->properties, "UNIQ_KEY\001"));
    fakemq_message_free(m);
    assert_int_equal(rmq_producer_send_wait(k->producer, &target, &message, &result, &err), 0);
    assert_int_equal(result.queue_offset, 1);
    assert_int_equal(rmq_producer_flush(k->producer, -1, &err), 0);
    assert_int_equal(rmq_producer_pending_bytes(k->producer), 0);
    end(k);
}

/* Fields a to h and n, which brokers and proxies insist on (protocol §6, §20). */
static void test_header_of_sends(void **state)
{
    static const struct {
        const char *field, *batch, *single;
    } rows[] = {{"a", "CID_RMQ_C", "CID_RMQ_C"},
                {"b", TOPIC, TOPIC},
                {"e", "2", "2"},
                {"f", "0", "0"},
                {"h", "0", "9"},
                {"m", "true", ""},
                {"n", BROKER, BROKER}};
    kit *k = start(NULL, (rmq_producer_config){0});
    rmq_target target = {.topic = TOPIC, .broker = BROKER, .queue_id = 2};
    rmq_message message = {.body = {"x", 1}, .flag = 9, .delay_level = 3};
    rmq_send_result result;

    (void)state;
    put(k, 2, "a", 0);
    await(k, 1);
    assert_int_equal(rmq_producer_send_wait(k->producer, &target, &message, &result, NULL), 0);
    for (size_t i = 0; i < RC_COUNT(rows); i++) {
        char *batch = fakemq_request_field(k->mq, 320, -1, rows[i].field);
        char *single = fakemq_request_field(k->mq, 310, -1, rows[i].field);

        assert_string_equal(batch, rows[i].batch);
        assert_string_equal(single, rows[i].single);
        free(batch);
        free(single);
    }
    end(k);
}

static void test_unique_keys(void **state)
{
    kit *k = start(NULL, (rmq_producer_config){0});
    fakemq_message *m;
    char expected[64];

    (void)state;
    for (int i = 0; i < 100; i++)
        put(k, 0, "x", i);
    await(k, 100);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(strspn(k->told[i].key, "0123456789ABCDEF"), 32);
        assert_int_equal(strlen(k->told[i].key), 32);
        (void)snprintf(expected, sizeof expected, "UNIQ_KEY\001%s\002", k->told[i].key);
        m = stored(k, 0, k->told[i].offset);
        assert_non_null(strstr(m->properties, expected));
        fakemq_message_free(m);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(k->told[i].key, k->told[j].key);
    }
    end(k);
}

static void test_refused_at_once(void **state)
{
    static char big[RMQ_BODY_MAX + 1];
    static const rmq_property separator = {{"a", 1}, {"x\001y", 3}};
    static const struct {
        const char *topic;
        rmq_message message;
        const char *broker;
        int32_t queue;
        int code;
        const char *text;
    } rows[] = {
        {TOPIC, {.body = {big, sizeof big}}, NULL, 0, RMQ_EINVAL, "4194305 bytes"},
        {TOPIC, {.body = {"", 0}}, NULL, 0, RMQ_EINVAL, "body is empty"},
        {TOPIC, {.body = {"x", 1}, .delay_level = 19}, NULL, 0, RMQ_EINVAL, "delay_level is 19"},
        {TOPIC,
         {.body = {"x", 1}, .properties = &separator, .property_count = 1},
         NULL,
         0,
         RMQ_EINVAL,
         "property 'a'"},
        {"no blanks", {.body = {"x", 1}}, NULL, 0, RMQ_EINVAL, "no blanks"},
        {NULL, {.body = {"x", 1}}, NULL, 0, RMQ_EINVAL, "no topic"},
        {"Absent", {.body = {"x", 1}}, NULL, 0, RMQ_ENOTFOUND, "Absent"},
        {TOPIC, {.body = {"x", 1}}, BROKER, 8, RMQ_ENOTFOUND, "no queue 8 on broker-0"},
        {TOPIC, {.body = {"x", 1}}, "broker-9", 0, RMQ_ENOTFOUND, "broker-9"},
    };
    kit *k = start(NULL, (rmq_producer_config){0});

    (void)state;
    for (size_t i = 0; i < RC_COUNT(rows); i++) {
        rmq_target target = {.topic = rows[i].topic,
                             .broker = rows[i].broker,
                             .queue_id = rows[i].queue};
        rc_error err = {0};
        int r = rmq_producer_send(k->producer, &target, &rows[i].message, -1, on_sent, NULL, &err);

        assert_int_equal(r, -rows[i].code);
        if (!strstr(err.msg, rows[i].text))
            fail_msg("row %zu: %s", i, err.msg);
    }
    assert_int_equal(k->count, 0);
    assert_int_equal(fakemq_requests(k->mq, 320, NULL) + fakemq_requests(k->mq, 310, NULL), 0);
    end(k);
}

static void test_largest_body(void **state)
{
    kit *k = start(NULL, (rmq_producer_config){0});
    char *body = calloc(1, RMQ_BODY_MAX);
    rmq_target target = {.topic = TOPIC, .broker = BROKER, .queue_id = 0};
    rmq_message message = {.body = {body, RMQ_BODY_MAX}};
    rmq_send_result result;
    rc_error err = {0};

    (void)state;
    if (rmq_producer_send_wait(k->producer, &target, &message, &result, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(fakemq_requests(k->mq, 310, NULL), 1);
    free(body);
    end(k);
}

static void test_delay(void **state)
{
    kit *k = start(NULL, (rmq_producer_config){0});
    rmq_target target = {.topic = TOPIC, .broker = BROKER, .queue_id = 0};
    rmq_message level = {.body = {"x", 1}, .delay_level = 3};
    rmq_message at = {.body = {"y", 1}, .deliver_at_ms = 1900000000000};
    rmq_send_result result;
    char *properties;

    (void)state;
    assert_int_equal(rmq_producer_send_wait(k->producer, &target, &level, &result, NULL), 0);
    properties = fakemq_request_field(k->mq, 310, 0, "i");
    assert_non_null(strstr(properties, "DELAY\0013\002"));
    free(properties);
    assert_int_equal(rmq_producer_send_wait(k->producer, &target, &at, &result, NULL), 0);
    properties = fakemq_request_field(k->mq, 310, 1, "i");
    assert_non_null(strstr(properties, "TIMER_DELIVER_MS\0011900000000000\002"));
    free(properties);
    assert_int_equal(fakemq_requests(k->mq, 320, NULL), 0);
    end(k);
}

static void test_compression(void **state)
{
    static const struct {
        enum rmq_compression how;
        int32_t flag;
    } rows[] = {{RMQ_COMPRESS_LZ4, 0x101}, {RMQ_COMPRESS_ZSTD, 0x201}, {RMQ_COMPRESS_ZLIB, 0x301}};
    char large[6000];
    char noise[6000];
    uint32_t seed = 1;

    (void)state;
    memset(large, 'z', sizeof large);
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (char)((seed = seed * 1664525u + 1013904223u) >> 24);
    for (size_t i = 0; i < RC_COUNT(rows); i++) {
        kit *k = start(NULL, (rmq_producer_config){.compression = rows[i].how});
        rmq_target target = {.topic = TOPIC, .broker = BROKER, .queue_id = 0};
        const rmq_message messages[] = {{.body = {"small", 5}},
                                        {.body = {large, sizeof large}},
                                        {.body = {noise, sizeof noise}}};
        fakemq_message *m;
        rc_arena arena;
        rc_slice body;

        for (int j = 0; j < 3; j++)
            assert_int_equal(rmq_producer_send(k->producer, &target, &messages[j], -1, on_sent,
                                               NULL, NULL),
                             0);
        await(k, 3);
        m = stored(k, 0, 0);
        assert_int_equal(m->sys_flag & 0x701, 0);
        fakemq_message_free(m);
        m = stored(k, 0, 1);
        assert_int_equal(m->sys_flag & 0x701, rows[i].flag);
        assert_true(m->body_len < 500);
        rc_arena_init(&arena, 4096);
        assert_int_equal(rmq_decompress(m->sys_flag, omc_slice_of(m->body, m->body_len), 6000,
                                        &arena.pub, &body, NULL),
                         0);
        assert_int_equal(body.len, sizeof large);
        assert_memory_equal(body.base, large, sizeof large);
        rc_arena_release(&arena);
        fakemq_message_free(m);
        m = stored(k, 0, 2); /* did not get smaller */
        assert_int_equal(m->sys_flag & 0x701, 0);
        assert_memory_equal(m->body, noise, sizeof noise);
        fakemq_message_free(m);
        end(k);
    }
}

/* ---- where to -------------------------------------------------------------------------------- */

/* Java: "abc".hashCode() = 96354, "polygenelubricants".hashCode() = Integer.MIN_VALUE. */
static void test_key_decides(void **state)
{
    static const struct {
        const char *key;
        int queues, expected;
    } rows[] = {{"abc", 8, 2},
                {"abc", 5, 4},
                {"polygenelubricants", 3, 2},
                {"polygenelubricants", 8, 0},
                {"", 7, 0}};
    kit *k = start(NULL, (rmq_producer_config){0});

    (void)state;
    for (size_t i = 0; i < RC_COUNT(rows); i++) {
        char topic[16];
        rmq_target target = {.topic = topic, .key = {rows[i].key, strlen(rows[i].key)}};
        rmq_message message = {.body = {"x", 1}};
        rmq_send_result result;

        (void)snprintf(topic, sizeof topic, "K%d", rows[i].queues);
        fakemq_topic(k->mq, topic, rows[i].queues);
        assert_int_equal(rmq_producer_send_wait(k->producer, &target, &message, &result, NULL), 0);
        assert_int_equal(result.queue.id, rows[i].expected);
        /* The list is frozen: more queues change nothing. */
        fakemq_topic(k->mq, topic, 16);
        assert_int_equal(rmq_producer_send_wait(k->producer, &target, &message, &result, NULL), 0);
        assert_int_equal(result.queue.id, rows[i].expected);
        fakemq_topic(k->mq, topic, rows[i].queues);
    }
    end(k);
}

static void test_round_robin(void **state)
{
    kit *k = start(NULL, (rmq_producer_config){0});

    (void)state;
    for (int i = 0; i < 24; i++)
        put(k, -1, "x", i);
    await(k, 24);
    for (int q = 0; q < 8; q++)
        assert_int_equal(fakemq_max_offset(k->mq, TOPIC, BROKER, q), 3);
    end(k);
}

/* A queue that came after the list was frozen can be named. */
static void test_new_queue_by_number(void **state)
{
    kit *k = start(NULL, (rmq_producer_config){0});
    rmq_target target = {.topic = TOPIC, .broker = BROKER, .queue_id = 11};
    rmq_message message = {.body = {"x", 1}};
    rmq_send_result result;
    rc_error err = {0};

    (void)state;
    put(k, 0, "x", 0);
    await(k, 1);
    fakemq_topic(k->mq, TOPIC, 12);
    for (int i = 0; i < 100; i++) /* the route may be up to a second old */
        if (rmq_producer_send_wait(k->producer, &target, &message, &result, &err) != -RMQ_ENOTFOUND)
            break;
        else
            (void)usleep(100000);
    assert_int_equal(result.queue.id, 11);
    end(k);
}

static bool second_is_over(fakemq *mq, void *arg)
{
    (void)mq;
    return rc_mono_ms(rc_clock_real()) > *(int64_t *)arg + 1100;
}

static void test_broker_that_is_away_is_skipped(void **state)
{
    fakemq_config config = {.brokers = 2};
    kit *k = start(&config, (rmq_producer_config){0});
    int64_t since;
    int before;

    (void)state;
    for (int i = 0; i < 32; i++)
        put(k, -1, "x", i);
    await(k, 32);
    fakemq_kill(k->mq, "broker-1");
    for (int i = 0; i < 32; i++)
        put(k, -1, "x", i);
    since = rc_mono_ms(rc_clock_real());
    await(k, 48); /* those of broker-0 */
    fakemq_wait(k->mq, second_is_over, &since, "a second");
    before = k->count;
    for (int i = 0; i < 32; i++)
        put(k, -1, "x", i);
    await(k, before + 32);
    for (int i = before; i < before + 32; i++)
        assert_string_equal(k->told[i].broker, "broker-0");
    fakemq_revive(k->mq, "broker-1");
    await(k, 96); /* nothing is lost */
    end(k);
}

static void test_unknown_topic_is_made(void **state)
{
    kit *k = start(NULL, (rmq_producer_config){.create_from = "TBW102"});
    rmq_target target = {.topic = "Fresh"};
    rmq_message message = {.body = {"x", 1}};
    rmq_send_result result;
    rc_error err = {0};
    char *field;

    (void)state;
    for (int i = 0; i < 8; i++)
        if (rmq_producer_send_wait(k->producer, &target, &message, &result, &err) < 0)
            fail_msg("%s", err.msg);
    for (int q = 0; q < 4; q++)
        assert_int_equal(fakemq_max_offset(k->mq, "Fresh", BROKER, q), 2);
    field = fakemq_request_field(k->mq, 320, 0, "c");
    assert_string_equal(field, "TBW102");
    free(field);
    field = fakemq_request_field(k->mq, 320, 0, "d");
    assert_string_equal(field, "4");
    free(field);
    end(k);
}

static void test_name_space(void **state)
{
    rmq_client_config client = {.name_space = "NS"};
    kit *k = start_client(NULL, &client);
    rmq_producer_config config = {.group = "PG"};
    rmq_target target = {.topic = TOPIC};
    rmq_message message = {.body = {"x", 1}};
    rmq_send_result result;
    rc_error err = {0};
    char *field;

    (void)state;
    fakemq_topic(k->mq, "NS%" TOPIC, 1);
    assert_int_equal(rmq_producer_open(k->client, &config, &k->producer, &err), 0);
    if (rmq_producer_send_wait(k->producer, &target, &message, &result, &err) < 0)
        fail_msg("%s", err.msg);
    field = fakemq_request_field(k->mq, 320, 0, "a");
    assert_string_equal(field, "NS%PG");
    free(field);
    field = fakemq_request_field(k->mq, 320, 0, "b");
    assert_string_equal(field, "NS%T");
    free(field);
    end(k);
}

/* ---- batches --------------------------------------------------------------------------------- */

static void test_batches_form_while_one_is_unanswered(void **state)
{
    kit *k = start(NULL, (rmq_producer_config){0});

    (void)state;
    put(k, 0, "warm", 0);
    await(k, 1);
    fakemq_freeze(k->mq, BROKER, true);
    put(k, 1, "first", 1);
    for (int i = 2; i <= 2000; i++)
        put(k, 1, "more", i);
    fakemq_freeze(k->mq, BROKER, false);
    await(k, 2001);
    for (int i = 1; i <= 2000; i++) {
        assert_int_equal(k->told[i].result, 0);
        assert_int_equal(k->told[i].number, i);
        assert_int_equal(k->told[i].offset, i - 1);
    }
    assert_int_equal(fakemq_requests(k->mq, 320, NULL), 1 + 2);
    end(k);
}

static void test_full_batch_does_not_linger(void **state)
{
    kit *k = start(NULL, (rmq_producer_config){.linger_ms = 60000, .batch_count = 5});

    (void)state;
    for (int i = 0; i < 5; i++)
        put(k, 0, "x", i);
    await(k, 5);
    assert_int_equal(fakemq_requests(k->mq, 320, NULL), 1);
    end(k);
}

static void test_lingering_ends(void **state)
{
    kit *k = start(NULL, (rmq_producer_config){.linger_ms = 30});

    (void)state;
    put(k, 0, "x", 0);
    put(k, 1, "x", 1);
    await(k, 2);
    put(k, 0, "x", 2);
    await(k, 3);
    end(k);
}

static void test_flush_ends_lingering(void **state)
{
    kit *k = start(NULL, (rmq_producer_config){.linger_ms = 60000});
    rc_error err = {0};
    int number;

    (void)state;
    for (int i = 0; i < 10; i++)
        put(k, i % 2, "x", i);
    assert_int_equal(k->count, 0);
    assert_int_equal(rmq_producer_flush(k->producer, -1, &err), 0);
    assert_int_equal(k->count, 10);
    assert_int_equal(fakemq_requests(k->mq, 320, NULL), 2);
    number = rule(k, (fakemq_rule){.action = FAKEMQ_SWALLOW, .request = 320, .count = 1});
    put(k, 0, "x", 10);
    assert_int_equal(rmq_producer_flush(k->producer, 20, &err), -RMQ_ETIMEDOUT);
    assert_non_null(strstr(err.msg, "1 messages"));
    await_hits(k, number, 1);
    end(k);
    /* closing told the rest; see test_close */
}

static void test_batch_limits(void **state)
{
    static const struct {
        rmq_producer_config config;
        int requests_320, requests_310;
    } rows[] = {
        {{.linger_ms = 60000, .batch_count = 4}, 3, 0},
        {{.linger_ms = 60000, .batch_bytes = 650}, 2, 0}, /* 65 bytes each */
        {{.batch_count = 1}, 0, 12},
        {{.batch_bytes = 64}, 0, 12},
    };

    (void)state;
    for (size_t i = 0; i < RC_COUNT(rows); i++) {
        kit *k = start(NULL, rows[i].config);

        for (int n = 0; n < 12; n++)
            put(k, 0, "x", n);
        assert_int_equal(rmq_producer_flush(k->producer, -1, NULL), 0);
        assert_int_equal(fakemq_requests(k->mq, 320, NULL), rows[i].requests_320);
        assert_int_equal(fakemq_requests(k->mq, 310, NULL), rows[i].requests_310);
        for (int n = 0; n < 12; n++)
            assert_int_equal(k->told[n].offset, n);
        end(k);
    }
}

static void test_back_pressure(void **state)
{
    kit *k = start(NULL, (rmq_producer_config){.pending_bytes_max = 150});
    rc_error err = {0};

    (void)state;
    put(k, 7, "warm", 0);
    await(k, 1);
    assert_int_equal(rmq_producer_flush(k->producer, -1, NULL), 0);
    fakemq_freeze(k->mq, BROKER, true);
    put(k, 0, "a", 0);
    put(k, 0, "b", 1); /* 130 bytes */
    assert_int_equal(send_to(k, 0, "c", 2, 0, &err), -RMQ_EAGAIN);
    assert_non_null(strstr(err.msg, "pending_bytes_max"));
    assert_true(err.flags & RMQ_ERR_RETRIABLE);
    assert_int_equal(rmq_producer_pending_bytes(k->producer), 130);
    fakemq_freeze(k->mq, BROKER, false);
    assert_int_equal(send_to(k, 0, "c", 2, -1, &err), 0); /* waits for an answer */
    await(k, 4);
    /* Larger than the limit: when nothing else is pending. */
    assert_int_equal(rmq_producer_flush(k->producer, -1, NULL), 0);
    put(k, 0,
        "0123456789012345678901234567890123456789012345678901234567890123456789"
        "0123456789012345678901234567890123456789012345678901234567890123456789",
        3);
    await(k, 5);
    end(k);
}

/* ---- trouble --------------------------------------------------------------------------------- */

static void test_order_over_eight_queues(void **state)
{
    kit *k = start(NULL, (rmq_producer_config){0});
    int next[8] = {0};
    char body[16];

    (void)state;
    fakemq_shuffle(k->mq, 3);
    for (int i = 0; i < 4000; i++) {
        (void)snprintf(body, sizeof body, "%d", i);
        put(k, i % 8, body, i);
    }
    await(k, 4000);
    assert_int_equal(fakemq_most_unanswered(k->mq), 1);
    for (int i = 0; i < 4000; i++) {
        told *t = &k->told[i];

        assert_int_equal(t->number % 8, t->queue);
        assert_int_equal(t->number / 8, next[t->queue]);
        assert_int_equal(t->offset, next[t->queue]++);
    }
    for (int q = 0; q < 8; q++)
        for (int i = 0; i < 500; i++) {
            (void)snprintf(body, sizeof body, "%d", i * 8 + q);
            assert_body(k, q, i, body);
        }
    end(k);
}

static void test_failure_cancels_what_is_behind(void **state)
{
    kit *k = start(NULL, (rmq_producer_config){0});
    int number;

    (void)state;
    put(k, 0, "ok", 0);
    await(k, 1);
    number = rule(k, (fakemq_rule){.action = FAKEMQ_REFUSE,
                                   .request = 320,
                                   .count = 1,
                                   .code = 13,
                                   .remark = "the message is illegal",
                                   .ms = 0});
    k->again = 1; /* the first callback of the failure sends another one */
    put(k, 0, "bad", 1);
    await_hits(k, number, 1);
    await(k, 3);
    assert_int_equal(k->told[1].result, -RMQ_EINVAL);
    assert_int_equal(k->told[1].response, 13);
    assert_non_null(strstr(k->told[1].text, "topic T, queue 0 of broker-0"));
    assert_int_equal(k->nested_result, 0);
    assert_int_equal(k->told[2].number, 9999);
    assert_int_equal(k->told[2].result, 0);
    assert_body(k, 0, 1, "again");
    end(k);
}

/* While the first is on its way to be refused, more are accepted: none of them is stored. */
static void test_failure_cancels_what_was_accepted(void **state)
{
    kit *k = start(NULL, (rmq_producer_config){.delivery_timeout_ms = 3000});
    int number =
        rule(k,
             (fakemq_rule){.action = FAKEMQ_REFUSE, .request = 320, .code = 2, .remark = "[BUSY]"});

    (void)state;
    put(k, 0, "a", 0);
    await_hits(k, number, 1);
    for (int i = 1; i < 1000; i++) /* several chunks */
        put(k, 0, "0123456789012345678901234567890123456789012345678901234567890123456789", i);
    await(k, 1000);
    assert_int_equal(k->told[0].result, -RMQ_ETIMEDOUT);
    for (int i = 1; i < 1000; i++) {
        assert_int_equal(k->told[i].number, i);
        assert_int_equal(k->told[i].result, -RMQ_ECANCELED);
    }
    fakemq_fault_end(k->mq, number);
    put(k, 0, "b", 1000);
    await(k, 1001);
    assert_int_equal(k->told[1000].result, 0);
    assert_int_equal(fakemq_max_offset(k->mq, TOPIC, BROKER, 0), 1);
    end(k);
}

static void test_unknown_outcomes(void **state)
{
    (void)state;
    for (int report = 0; report < 2; report++) {
        kit *k = start(NULL, (rmq_producer_config){.unknown = report ? RMQ_UNKNOWN_REPORT
                                                                     : RMQ_UNKNOWN_RESEND});

        rule(k, (fakemq_rule){.action = FAKEMQ_CUT_AFTER, .request = 320, .count = 1});
        put(k, 0, "a", 0);
        await(k, 1);
        assert_int_equal(k->told[0].result, report ? -RMQ_EIO : 0);
        assert_int_equal(!!(k->told[0].flags & RMQ_ERR_UNKNOWN_OUTCOME), report);
        assert_int_equal(fakemq_max_offset(k->mq, TOPIC, BROKER, 0), report ? 1 : 2);
        end(k);
    }
}

static void copy_master(void *arg, const rmq_route *route)
{
    (void)snprintf(arg, RMQ_ADDRESS_MAX, "%s", rmq_route_master(route, BROKER, 0));
}

static void test_ack_is_checked(void **state)
{
    kit *k = start(NULL, (rmq_producer_config){.ack = RMQ_ACK_FLUSHED});
    const rc_iovec body = {"flushDiskType=SYNC_FLUSH\n", 25};
    const rmq_request change = {.code = 25, .body = &body, .body_parts = 1, .timeout_ms = 10000};
    char address[RMQ_ADDRESS_MAX];
    rmq_answer answer = {0};
    rc_error err = {0};

    (void)state;
    assert_int_equal(send_to(k, 0, "x", 0, -1, &err), -RMQ_EUNSUPPORTED);
    assert_non_null(strstr(err.msg, "broker-0 cannot promise ack=flushed"));
    assert_non_null(strstr(err.msg, "ASYNC_FLUSH"));
    assert_int_equal(rmq_client_route(k->client, TOPIC, 60000, copy_master, address, &err), 0);
    assert_int_equal(rmq_client_call(k->client, address, &change, &answer), 0);
    rmq_answer_release(&answer);
    put(k, 0, "x", 0);
    await(k, 1);
    put(k, 1, "x", 1);
    await(k, 2);
    assert_int_equal(fakemq_requests(k->mq, 26, NULL), 2); /* asked once after the refusal */
    end(k);
}

static void test_close_with_pending(void **state)
{
    kit *k = start(NULL, (rmq_producer_config){0});
    int number = rule(k, (fakemq_rule){.action = FAKEMQ_SWALLOW, .request = 320});

    (void)state;
    put(k, 0, "a", 0);
    await_hits(k, number, 1);
    for (int i = 1; i < 500; i++)
        put(k, 0,
            "0123456789012345678901234567890123456789012345678901234567890123456789"
            "0123456789012345678901234567890123456789012345678901234567890123456789",
            i);
    rmq_producer_close(RC_TAKE(k->producer), 10);
    assert_int_equal(k->count, 500);
    for (int i = 0; i < 500; i++) {
        assert_int_equal(k->told[i].number, i);
        assert_int_equal(k->told[i].result, -RMQ_ECANCELED);
        assert_int_equal(!!(k->told[i].flags & RMQ_ERR_UNKNOWN_OUTCOME), i == 0);
    }
    end(k);
}

static void test_close_waits_for_answers(void **state)
{
    kit *k = start(NULL, (rmq_producer_config){.linger_ms = 60000});

    (void)state;
    rule(k, (fakemq_rule){.action = FAKEMQ_DELAY, .request = 320, .count = 1, .ms = 100});
    for (int i = 0; i < 10; i++)
        put(k, 0, "x", i);
    rmq_producer_close(RC_TAKE(k->producer), 20000);
    assert_int_equal(k->count, 10);
    for (int i = 0; i < 10; i++)
        assert_int_equal(k->told[i].result, 0);
    end(k);
}

static void *blocked_send(void *arg)
{
    rmq_target target = {.topic = TOPIC, .broker = BROKER};
    rmq_message message = {.body = {"b", 1}};

    return (void *)(intptr_t)rmq_producer_send(arg, &target, &message, -1, on_sent, NULL, NULL);
}

static bool somebody_waits(fakemq *mq, void *arg)
{
    rmq_producer *p = arg;
    bool is;

    (void)mq;
    (void)pthread_mutex_lock(&p->mu);
    is = p->waiters > 0;
    (void)pthread_mutex_unlock(&p->mu);
    return is;
}

static void test_close_frees_those_who_wait(void **state)
{
    kit *k = start(NULL, (rmq_producer_config){.pending_bytes_max = 10});
    int number = rule(k, (fakemq_rule){.action = FAKEMQ_SWALLOW, .request = 320});
    pthread_t thread;
    void *result;

    (void)state;
    put(k, 0, "a", 0);
    await_hits(k, number, 1);
    assert_int_equal(pthread_create(&thread, NULL, blocked_send, k->producer), 0);
    fakemq_wait(k->mq, somebody_waits, k->producer, "nobody waits for room");
    rmq_producer_close(RC_TAKE(k->producer), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_true((intptr_t)result == -RMQ_ESTATE);
    end(k);
}

static void test_callbacks_do_not_wait(void **state)
{
    kit *k = start(NULL, (rmq_producer_config){.pending_bytes_max = 70});

    (void)state;
    k->again = 1; /* while its own 65 bytes are pending; with wait -1 */
    put(k, 0, "a", 0);
    await(k, 1);
    assert_int_equal(k->nested_result, -RMQ_EAGAIN);
    end(k);
}

/* Many threads, one producer. */
struct sender {
    kit *k;
    int number;
};
static void *sender(void *arg)
{
    struct sender *s = arg;
    char body[32];

    for (int i = 0; i < 500; i++) {
        (void)snprintf(body, sizeof body, "%d-%d", s->number, i);
        put(s->k, s->number % 2, body, s->number * 1000 + i);
    }
    return NULL;
}

static void test_many_threads(void **state)
{
    kit *k = start(NULL, (rmq_producer_config){.pending_bytes_max = 20000});
    struct sender senders[4];
    pthread_t threads[4];
    int next[4] = {0};

    (void)state;
    for (int i = 0; i < 4; i++) {
        senders[i] = (struct sender){k, i};
        assert_int_equal(pthread_create(&threads[i], NULL, sender, &senders[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    await(k, 2000);
    for (int i = 0; i < 2000; i++) {
        assert_int_equal(k->told[i].result, 0);
        assert_int_equal(k->told[i].number % 1000, next[k->told[i].number / 1000]++);
    }
    end(k);
}

static void test_tls(void **state)
{
    char folder[] = "/tmp/rmq-producer-tls-XXXXXX", cert[64], key[64];
    fakemq_config mq = {.tls_cert = cert, .tls_key = key};
    rmq_client_config client = {.tls = {.enable = true}};
    rmq_producer_config config = {0};
    rc_error err = {0};
    kit *k;

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(cert, sizeof cert, "%s/cert.pem", folder);
    (void)snprintf(key, sizeof key, "%s/key.pem", folder);
    fakemq_certificate(cert, key);
    k = start_client(&mq, &client);
    fakemq_topic(k->mq, TOPIC, 8);
    assert_int_equal(rmq_producer_open(k->client, &config, &k->producer, &err), 0);
    for (int i = 0; i < 2000; i++)
        put(k, i % 8, "0123456789012345678901234567890123456789", i);
    await(k, 2000);
    for (int i = 0; i < 2000; i++)
        assert_int_equal(k->told[i].result, 0);
    end(k);
    (void)unlink(cert);
    (void)unlink(key);
    (void)rmdir(folder);
}

static void test_bad_settings(void **state)
{
    static const struct {
        rmq_producer_config config;
        const char *text;
    } rows[] = {
        {{.linger_ms = -1}, "linger_ms = -1"},
        {{.batch_bytes = RMQ_BODY_MAX + 1}, "batch_bytes = 4194305"},
        {{.window = -3}, "window = -3"},
        {{.delivery_timeout_ms = -2}, "delivery_timeout_ms = -2"},
        {{.ack = (enum rmq_ack)5}, "ack = 5"},
        {{.compression = (enum rmq_compression)9}, "compression = 9"},
        {{.group = "a b"}, "a b"},
        {{.create_from = "x y"}, "x y"},
    };
    kit *k = start(NULL, (rmq_producer_config){0});

    (void)state;
    for (size_t i = 0; i < RC_COUNT(rows); i++) {
        rmq_producer *producer = NULL;
        rc_error err = {0};

        assert_int_equal(rmq_producer_open(k->client, &rows[i].config, &producer, &err),
                         -RMQ_EINVAL);
        if (!strstr(err.msg, rows[i].text))
            fail_msg("row %zu: %s", i, err.msg);
    }
    end(k);
}

/* ---- several messages in one call -------------------------------------------------------------
 */

#define MANY 150

/* Numbered by their arg: the callback of message i gets base + i. */
static int put_all(kit *k, rmq_message *messages, size_t count, int64_t wait_ms, rc_error *err)
{
    rmq_target target = {.topic = TOPIC};

    return rmq_producer_send_all(k->producer, &target, messages, count, wait_ms, on_sent,
                                 (void *)(intptr_t)1000, 1, err);
}

static void a_call_goes_to_one_queue_in_order(void **state)
{
    kit *k = start(NULL, (rmq_producer_config){0});
    rmq_message messages[MANY] = {0};
    char bodies[MANY][16];

    (void)state;
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(bodies[i], sizeof bodies[i], "m%d", i);
        messages[i].body = omc_slice_str(bodies[i]);
    }
    assert_int_equal(put_all(k, messages, MANY, -1, NULL), MANY);
    await(k, MANY);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(k->told[i].result, 0);
        assert_int_equal(k->told[i].number, 1000 + i);
        assert_int_equal(k->told[i].queue, k->told[0].queue);
        assert_body(k, k->told[i].queue, k->told[i].offset, bodies[i]);
        assert_true(i == 0 || strcmp(k->told[i - 1].key, k->told[i].key) != 0);
    }
    end(k);
}

/* What comes before a message that cannot be sent is sent; the error is of that message. */
static void a_call_ends_at_what_cannot_be_sent(void **state)
{
    kit *k = start(NULL, (rmq_producer_config){0});
    rmq_message messages[100] = {0};
    rc_error err = {0};

    (void)state;
    for (int i = 0; i < 100; i++)
        messages[i].body = omc_slice_str(i == 70 ? "" : "x");
    assert_int_equal(put_all(k, messages, 100, -1, &err), 70);
    assert_non_null(strstr(err.msg, "the body is empty"));
    await(k, 70);
    assert_int_equal(put_all(k, messages + 70, 30, -1, &err), -RMQ_EINVAL);
    assert_int_equal(put_all(k, messages + 71, 29, -1, &err), 29);
    await(k, 99);
    end(k);
}

static void a_call_takes_what_has_room(void **state)
{
    kit *k = start(NULL, (rmq_producer_config){.pending_bytes_max = 4096});
    char body[1000];
    rmq_message messages[10] = {0};
    rc_error err = {0};

    (void)state;
    (void)rule(k, (fakemq_rule){.action = FAKEMQ_DELAY, .request = 320, .ms = 500});
    memset(body, 'x', sizeof body);
    for (int i = 0; i < 10; i++)
        messages[i].body = omc_slice_of(body, sizeof body);
    assert_int_equal(put_all(k, messages, 10, 0, &err), 3);
    assert_non_null(strstr(err.msg, "no room"));
    assert_int_equal(put_all(k, messages, 10, 0, &err), -RMQ_EAGAIN);
    await(k, 3);
    end(k);
}

/* Compressed bodies are made one at a time: none may be another's. */
static void a_call_compresses_each(void **state)
{
    kit *k =
        start(NULL, (rmq_producer_config){.compression = RMQ_COMPRESS_ZLIB, .compress_above = 100});
    char bodies[5][400];
    rmq_message messages[5] = {0};

    (void)state;
    for (int i = 0; i < 5; i++) {
        memset(bodies[i], 'a' + i, sizeof bodies[i]);
        messages[i].body = omc_slice_of(bodies[i], i == 2 ? 10 : sizeof bodies[i]);
    }
    assert_int_equal(put_all(k, messages, 5, -1, NULL), 5);
    await(k, 5);
    for (int i = 0; i < 5; i++) {
        fakemq_message *m = stored(k, k->told[i].queue, k->told[i].offset);
        rc_arena arena;
        rc_slice body = omc_slice_of((char *)m->body, m->body_len);

        rc_arena_init(&arena, 1024);
        assert_int_equal(k->told[i].number, 1000 + i);
        if (m->sys_flag & RMQ_SYS_COMPRESSED)
            assert_int_equal(rmq_decompress(m->sys_flag, body, 1000, &arena.pub, &body, NULL), 0);
        assert_true(omc_slice_eq(body, messages[i].body));
        rc_arena_release(&arena);
        fakemq_message_free(m);
    }
    end(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_send_wait),
        cmocka_unit_test(test_header_of_sends),
        cmocka_unit_test(test_unique_keys),
        cmocka_unit_test(test_refused_at_once),
        cmocka_unit_test(test_largest_body),
        cmocka_unit_test(test_delay),
        cmocka_unit_test(test_compression),
        cmocka_unit_test(test_key_decides),
        cmocka_unit_test(test_round_robin),
        cmocka_unit_test(test_new_queue_by_number),
        cmocka_unit_test(test_broker_that_is_away_is_skipped),
        cmocka_unit_test(test_unknown_topic_is_made),
        cmocka_unit_test(test_name_space),
        cmocka_unit_test(test_batches_form_while_one_is_unanswered),
        cmocka_unit_test(test_full_batch_does_not_linger),
        cmocka_unit_test(test_lingering_ends),
        cmocka_unit_test(test_flush_ends_lingering),
        cmocka_unit_test(test_batch_limits),
        cmocka_unit_test(test_back_pressure),
        cmocka_unit_test(test_order_over_eight_queues),
        cmocka_unit_test(test_failure_cancels_what_is_behind),
        cmocka_unit_test(test_failure_cancels_what_was_accepted),
        cmocka_unit_test(test_unknown_outcomes),
        cmocka_unit_test(test_ack_is_checked),
        cmocka_unit_test(test_close_with_pending),
        cmocka_unit_test(test_close_waits_for_answers),
        cmocka_unit_test(test_close_frees_those_who_wait),
        cmocka_unit_test(test_callbacks_do_not_wait),
        cmocka_unit_test(test_many_threads),
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_bad_settings),
        cmocka_unit_test(a_call_goes_to_one_queue_in_order),
        cmocka_unit_test(a_call_ends_at_what_cannot_be_sent),
        cmocka_unit_test(a_call_takes_what_has_room),
        cmocka_unit_test(a_call_compresses_each),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
