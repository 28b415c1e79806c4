/* SPDX-License-Identifier: Apache-2.0 */
/** Lanes against a broker that makes trouble: order, doubt, refusals, reports, close. */
#include "unit.h"

#include "rocketmq/lane.h"

#include "base/clock.h"

#include <fakemq.h>
#include <pthread.h>
#include <stdio.h>
#include <utlist.h>

#define TOPIC "T"
#define BROKER "broker-0"

/* ---- the kit --------------------------------------------------------------------------------- */

typedef struct job {
    rmq_parcel parcel;
    rc_error err;
    bool done;
    int order; /* as told */
    uint8_t bytes[256];
} job;

typedef struct kit {
    fakemq *mq;
    rmq_client *client;
    rmq_lanes *lanes;
    pthread_mutex_t mu;
    pthread_cond_t changed;
    int done;
    int reports;
    rmq_parcel *reported;
    size_t reported_count;
    rc_error report;
    int troubles, reliefs;
    char trouble[1024];
    char log[4096]; /* the first warnings */
    bool closed;
    rmq_lanes_config config;
    rc_error err;
    int r;
} kit;

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

static void on_done(void *arg, rmq_parcel *parcel, const rc_error *err)
{
    kit *k = arg;
    job *j = parcel->owner;

    (void)pthread_mutex_lock(&k->mu);
    j->done = true;
    j->order = k->done++;
    if (err)
        j->err = *err;
    (void)pthread_cond_broadcast(&k->changed);
    (void)pthread_mutex_unlock(&k->mu);
}

static void on_unknown(void *arg, rmq_parcel *first, size_t count, const rc_error *err)
{
    kit *k = arg;

    (void)pthread_mutex_lock(&k->mu);
    k->reports++;
    k->reported = first;
    k->reported_count = count;
    k->report = *err;
    (void)pthread_cond_broadcast(&k->changed);
    (void)pthread_mutex_unlock(&k->mu);
}

static void on_trouble(void *arg, const char *text)
{
    kit *k = arg;

    (void)pthread_mutex_lock(&k->mu);
    if (text) {
        k->troubles++;
        (void)snprintf(k->trouble, sizeof k->trouble, "%s", text);
    } else {
        k->reliefs++;
    }
    (void)pthread_cond_broadcast(&k->changed);
    (void)pthread_mutex_unlock(&k->mu);
}

static void make_lanes(void *arg)
{
    kit *k = arg;

    k->r = rmq_lanes_new(k->client, &k->config, &k->lanes, &k->err);
}

/* `config` gives what differs from defaults that suit a test. */
static kit *start(const fakemq_config *mq, rmq_lanes_config config)
{
    kit *k = calloc(1, sizeof *k);
    rmq_client_config client = {.log = on_log, .log_arg = k};
    rc_error err = {0};

    (void)pthread_mutex_init(&k->mu, NULL);
    rc_cond_init(&k->changed);
    k->mq = fakemq_start(mq);
    fakemq_topic(k->mq, TOPIC, 8);
    client.namesrv = fakemq_namesrv(k->mq);
    if (rmq_client_open(&client, &k->client, &err) < 0)
        fail_msg("client: %s", err.msg);
    k->config = config;
    k->config.who = "task t-0";
    k->config.group = "PG";
    k->config.done = on_done;
    k->config.trouble = on_trouble;
    k->config.arg = k;
    if (!k->config.send_timeout_ms)
        k->config.send_timeout_ms = 10000;
    if (!k->config.unknown_wait_ms)
        k->config.unknown_wait_ms = 50;
    rmq_client_run(k->client, make_lanes, k);
    if (k->r < 0)
        fail_msg("lanes: %s", k->err.msg);
    return k;
}

/* Waits up to 20 s until *value >= least. */
static void await(kit *k, const int *value, int least, const char *what)
{
    int64_t deadline = rc_mono_ns(rc_clock_real()) + INT64_C(20000000000);
    int r = 0;

    (void)pthread_mutex_lock(&k->mu);
    while (*value < least && r == 0)
        r = rc_clock_real()->wait(rc_clock_real(), &k->changed, &k->mu, deadline);
    (void)pthread_mutex_unlock(&k->mu);
    if (*value < least)
        fail_msg("waited 20 s for %s: %d of %d; log: %s", what, *value, least, k->log);
}

static void on_closed(void *arg)
{
    kit *k = arg;

    (void)pthread_mutex_lock(&k->mu);
    k->closed = true;
    (void)pthread_cond_broadcast(&k->changed);
    (void)pthread_mutex_unlock(&k->mu);
}

static void close_lanes(void *arg)
{
    kit *k = arg;

    rmq_lanes_close(k->lanes, on_closed, k);
}

static void end_lanes(kit *k)
{
    rmq_client_run(k->client, close_lanes, k);
    (void)pthread_mutex_lock(&k->mu);
    while (!k->closed)
        (void)pthread_cond_wait(&k->changed, &k->mu);
    (void)pthread_mutex_unlock(&k->mu);
    k->lanes = NULL;
}

static void end(kit *k)
{
    if (k->lanes)
        end_lanes(k);
    rmq_client_close(k->client);
    fakemq_stop(k->mq);
    (void)pthread_mutex_destroy(&k->mu);
    (void)pthread_cond_destroy(&k->changed);
    free(k);
}

static rmq_client_stats stats_of(kit *k)
{
    rmq_client_stats stats;

    rmq_client_stats_get(k->client, &stats);
    return stats;
}

/* A parcel of one message with this body. */
static void fill(job *j, int queue, const char *body)
{
    rmq_message message = {.body = {body, strlen(body)}};
    char key[33];
    size_t properties = rmq_properties_size(&message, true);
    uint8_t *end_of;

    memset(j, 0, sizeof *j);
    rmq_unique_key(key);
    end_of = rmq_item_put(j->bytes, &message, message.body, key, properties);
    j->parcel = (rmq_parcel){.topic = TOPIC,
                             .broker = BROKER,
                             .queue_id = queue,
                             .items = j->bytes,
                             .bytes = (size_t)(end_of - j->bytes),
                             .count = 1,
                             .submitted_ns = rc_mono_ns(rc_clock_real()),
                             .owner = j};
}

static void submit(kit *k, job *j, int queue, const char *body)
{
    fill(j, queue, body);
    rmq_lanes_submit(k->lanes, &j->parcel);
}

/* Bodies in a queue, "a,b,c". */
static const char *stored(kit *k, int queue)
{
    static char text[65536];
    int64_t max = fakemq_max_offset(k->mq, TOPIC, BROKER, queue);
    size_t len = 0;
    int64_t i;

    text[0] = '\0';
    for (i = 0; i < max; i++) {
        fakemq_message *m = fakemq_message_at(k->mq, TOPIC, BROKER, queue, i);

        len += (size_t)snprintf(text + len, sizeof text - len, "%s%.*s", i ? "," : "",
                                (int)m->body_len, m->body);
        fakemq_message_free(m);
    }
    return text;
}

static int rule(kit *k, fakemq_rule r)
{
    if (!r.request)
        r.request = 320;
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

static void nothing(void *arg)
{
    (void)arg;
}

/* A send of `first` that is not answered until thaw(): what is submitted meanwhile waits. */
static void hold_first(kit *k, job *warm, job *first, int queue, const char *body)
{
    submit(k, warm, 7, "warm"); /* the route is known, the connection up */
    await(k, &k->done, 1, "the first send");
    fakemq_freeze(k->mq, BROKER, true);
    submit(k, first, queue, body);
    rmq_client_run(k->client, nothing, NULL);
}

static void thaw(kit *k)
{
    rmq_client_run(k->client, nothing, NULL);
    fakemq_freeze(k->mq, BROKER, false);
}

/* ---- order ----------------------------------------------------------------------------------- */

#define QUEUES 8
#define PER_QUEUE 40

/* Neighbours that are stored the wrong way round, over all queues. */
static int swaps(kit *k)
{
    int found = 0;

    for (int q = 0; q < QUEUES; q++) {
        int last = -1;

        assert_int_equal(fakemq_max_offset(k->mq, TOPIC, BROKER, q), PER_QUEUE);
        for (int i = 0; i < PER_QUEUE; i++) {
            fakemq_message *m = fakemq_message_at(k->mq, TOPIC, BROKER, q, i);
            int n = (int)strtol(m->body, NULL, 10);

            found += n < last;
            last = n;
            fakemq_message_free(m);
        }
    }
    return found;
}

/* Every message a send of its own, to a broker that runs sends on many threads. */
static int swaps_with_window(int window, int *most)
{
    kit *k = start(NULL, (rmq_lanes_config){.window = window, .send_count_max = 1});
    job *jobs = calloc(QUEUES * PER_QUEUE, sizeof *jobs);
    char body[16];
    int found;

    fakemq_shuffle(k->mq, 5);
    for (int i = 0; i < PER_QUEUE; i++)
        for (int q = 0; q < QUEUES; q++) {
            (void)snprintf(body, sizeof body, "%d", i);
            submit(k, &jobs[i * QUEUES + q], q, body);
        }
    await(k, &k->done, QUEUES * PER_QUEUE, "all parcels");
    for (int i = 0; i < QUEUES * PER_QUEUE; i++) {
        assert_int_equal(jobs[i].parcel.result, 0);
        if (window == 1)
            assert_int_equal(jobs[i].parcel.base_offset, i / QUEUES);
    }
    found = swaps(k);
    *most = fakemq_most_unanswered(k->mq);
    free(jobs);
    end(k);
    return found;
}

static void test_order_with_window_1(void **state)
{
    int most;

    (void)state;
    assert_int_equal(swaps_with_window(1, &most), 0);
    assert_int_equal(most, 1);
}

/* Proves that the test above can fail. */
static void test_no_order_with_window_2(void **state)
{
    int most;

    (void)state;
    assert_true(swaps_with_window(2, &most) > 0);
    assert_int_equal(most, 2);
}

/* While one is unanswered the others gather, and go together; but not with other flags. */
static void test_waiting_parcels_go_together(void **state)
{
    static const char *const bodies[] = {"a", "b", "c", "d", "e"};
    kit *k = start(NULL, (rmq_lanes_config){0});
    job jobs[5], warm;

    (void)state;
    hold_first(k, &warm, &jobs[0], 3, "a");
    for (int i = 1; i < 5; i++) {
        fill(&jobs[i], 3, bodies[i]);
        if (i == 4)
            jobs[i].parcel.sys_flag = 0x101;
        rmq_lanes_submit(k->lanes, &jobs[i].parcel);
    }
    thaw(k);
    await(k, &k->done, 6, "all parcels");
    assert_string_equal(stored(k, 3), "a,b,c,d,e");
    assert_int_equal(fakemq_requests(k->mq, 320, NULL), 1 + 3);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(jobs[i].parcel.base_offset, i);
        assert_int_equal(jobs[i].order, 1 + i);
        assert_int_equal(jobs[i].parcel.stored_queue_id, 3);
    }
    assert_int_equal(stats_of(k).sent_batches, 1 + 3);
    assert_int_equal(stats_of(k).sent_messages, 1 + 5);
    end(k);
}

static void test_size_limits_what_goes_together(void **state)
{
    kit *k = start(NULL, (rmq_lanes_config){.send_bytes_max = 200});
    job jobs[6], warm;

    (void)state;
    hold_first(k, &warm, &jobs[0], 0, "x"); /* 65 bytes each: 22 + 1 + 42 */
    for (int i = 1; i < 6; i++)
        submit(k, &jobs[i], 0, "x");
    thaw(k);
    await(k, &k->done, 7, "all parcels");
    assert_int_equal(fakemq_requests(k->mq, 320, NULL), 1 + 3); /* 1, 3, 2 */
    end(k);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void test_busy_is_tried_again_and_told(void **state)
{
    static const struct {
        int code;
        const char *remark;
    } rows[] = {
        {2, "[TIMEOUT_CLEAN_QUEUE]broker busy, start flow control for a while"},
        {14, "service not available now. It may be caused by one of the following reasons"},
        {17, "topic[T] not exist, apply first please!"},
        {1, "java.lang.RuntimeException: something"},
        {501, "not leader for the queue"},
        {1500, "go away"},
    };

    (void)state;
    for (size_t i = 0; i < RC_COUNT(rows); i++) {
        kit *k = start(NULL, (rmq_lanes_config){0});
        char name[32];
        job a;
        int r = rule(k, (fakemq_rule){.action = FAKEMQ_REFUSE,
                                      .count = 3,
                                      .code = rows[i].code,
                                      .remark = rows[i].remark});

        submit(k, &a, 1, "a");
        await(k, &k->done, 1, "the parcel");
        assert_int_equal(a.parcel.result, 0);
        assert_int_equal(fakemq_fault_hits(k->mq, r), 3);
        assert_string_equal(stored(k, 1), "a");
        assert_int_equal(stats_of(k).retries, 3);
        assert_int_equal(stats_of(k).busy_replies, rows[i].code == 2 ? 3 : 0);
        assert_non_null(strstr(k->log, "task t-0"));
        assert_non_null(strstr(k->log, "topic T, queue 1 of broker-0"));
        if (!strstr(k->log, rmq_response_name(rows[i].code, name)))
            fail_msg("code %d: %s", rows[i].code, k->log);
        end(k);
    }
}

/* Broken for good: it fails, and what is behind it is canceled; then the lane works again. */
static void test_illegal_message_fails_with_all_behind(void **state)
{
    kit *k = start(NULL, (rmq_lanes_config){0});
    job jobs[4], other, later, warm;

    (void)state;
    hold_first(k, &warm, &jobs[0], 0, "a");
    /* b, c and d go together, are refused, go one by one, and b is refused again. */
    rule(k, (fakemq_rule){.action = FAKEMQ_REFUSE,
                          .skip = 1,
                          .count = 2,
                          .code = 13,
                          .remark = "the message is illegal"});
    submit(k, &jobs[1], 0, "b");
    submit(k, &jobs[2], 0, "c");
    submit(k, &jobs[3], 0, "d");
    thaw(k);
    await(k, &k->done, 5, "all parcels");
    assert_int_equal(jobs[0].parcel.result, 0);
    assert_int_equal(jobs[1].parcel.result, -OMC_EINVAL);
    assert_int_equal(RMQ_ERR_RESPONSE(&jobs[1].err), 13);
    assert_int_equal(jobs[2].parcel.result, -OMC_ECANCELED);
    assert_int_equal(jobs[3].parcel.result, -OMC_ECANCELED);
    assert_non_null(strstr(jobs[3].err.msg, "what came before it failed"));
    submit(k, &other, 1, "o");
    submit(k, &later, 0, "e");
    await(k, &k->done, 7, "later parcels");
    assert_int_equal(other.parcel.result, 0);
    assert_int_equal(later.parcel.result, 0);
    assert_string_equal(stored(k, 0), "a,e");
    end(k);
}

static void test_no_permission_is_not_tried_again(void **state)
{
    kit *k = start(NULL, (rmq_lanes_config){0});
    job a;
    int r = rule(k, (fakemq_rule){.action = FAKEMQ_REFUSE, .code = 16, .remark = "no permission"});

    (void)state;
    submit(k, &a, 0, "a");
    await(k, &k->done, 1, "the parcel");
    assert_int_equal(a.parcel.result, -OMC_EACCES);
    assert_int_equal(fakemq_fault_hits(k->mq, r), 1);
    end(k);
}

static void test_delivery_timeout(void **state)
{
    kit *k = start(NULL, (rmq_lanes_config){.delivery_timeout_ms = 1000});
    job a, b;
    int r = rule(k, (fakemq_rule){.action = FAKEMQ_REFUSE, .code = 2, .remark = "[REJECTREQUEST]"});

    (void)state;
    submit(k, &a, 0, "a");
    await_hits(k, r, 1);
    submit(k, &b, 0, "b");
    await(k, &k->done, 2, "both parcels");
    assert_int_equal(a.parcel.result, -OMC_ETIMEDOUT);
    assert_false(a.err.flags & RMQ_ERR_UNKNOWN_OUTCOME);
    assert_non_null(strstr(a.err.msg, "REJECTREQUEST"));
    assert_int_equal(b.parcel.result, -OMC_ECANCELED);
    assert_string_equal(stored(k, 0), "");
    end(k);
}

/* ---- unknown outcomes ------------------------------------------------------------------------ */

/* What was done counts; what was not is sent again; nothing is lost and order stays. */
static void test_cuts_and_silence(void **state)
{
    static const struct {
        fakemq_rule rule;
        const char *expected;
    } rows[] = {
        {{.action = FAKEMQ_SWALLOW}, "a,a,b"},
        {{.action = FAKEMQ_IGNORE}, "a,b"},
        {{.action = FAKEMQ_CUT}, "a,b"},
        {{.action = FAKEMQ_CUT_AFTER}, "a,a,b"},
        {{.action = FAKEMQ_CUT_REPLY, .bytes = 10}, "a,a,b"},
        {{.action = FAKEMQ_OVERSIZE}, "a,b"},
    };

    (void)state;
    for (size_t i = 0; i < RC_COUNT(rows); i++) {
        kit *k = start(NULL, (rmq_lanes_config){.send_timeout_ms = 1000});
        fakemq_rule r = rows[i].rule;
        int number;
        job a, b;

        r.count = 1;
        number = rule(k, r);
        submit(k, &a, 0, "a");
        await_hits(k, number, 1);
        submit(k, &b, 0, "b");
        await(k, &k->done, 2, "both parcels");
        assert_int_equal(a.parcel.result, 0);
        assert_int_equal(b.parcel.result, 0);
        if (rows[i].rule.action != FAKEMQ_OVERSIZE)
            assert_string_equal(stored(k, 0), rows[i].expected);
        assert_true(stats_of(k).unknown_outcomes >= 1);
        end(k);
    }
}

/* A request that lay in the broker's queue is stored long after its connection was given up. */
static const char *late_store(int unknown_wait_ms, char *text, size_t cap)
{
    kit *k =
        start(NULL, (rmq_lanes_config){.send_timeout_ms = 500, .unknown_wait_ms = unknown_wait_ms});
    int number = rule(k, (fakemq_rule){.action = FAKEMQ_HOLD, .count = 1, .ms = 1500});
    job a, b;

    submit(k, &a, 0, "a");
    await_hits(k, number, 1);
    submit(k, &b, 0, "b");
    await(k, &k->done, 2, "both parcels");
    while (fakemq_max_offset(k->mq, TOPIC, BROKER, 0) < 3)
        ; /* the late one */
    (void)snprintf(text, cap, "%s", stored(k, 0));
    end(k);
    return text;
}

static void test_late_copy_cannot_overtake(void **state)
{
    char text[64];

    (void)state;
    assert_string_equal(late_store(2500, text, sizeof text), "a,a,b");
    /* Without the wait it does: the test can fail. */
    assert_string_equal(late_store(1, text, sizeof text), "a,b,a");
}

static void test_frozen_broker(void **state)
{
    kit *k = start(NULL, (rmq_lanes_config){.send_timeout_ms = 200});
    job a, b;

    (void)state;
    submit(k, &a, 0, "a");
    await(k, &k->done, 1, "the first");
    fakemq_freeze(k->mq, BROKER, true);
    submit(k, &b, 0, "b");
    await(k, &k->troubles, 1, "trouble");
    fakemq_freeze(k->mq, BROKER, false);
    await(k, &k->done, 2, "the second");
    await(k, &k->reliefs, 1, "relief");
    assert_int_equal(b.parcel.result, 0);
    end(k);
}

/* ---- the broker is away ---------------------------------------------------------------------- */

static void test_killed_broker_comes_back(void **state)
{
    kit *k = start(NULL, (rmq_lanes_config){0});
    job a, b;

    (void)state;
    submit(k, &a, 0, "a");
    await(k, &k->done, 1, "the first");
    fakemq_kill(k->mq, BROKER);
    submit(k, &b, 0, "b");
    await(k, &k->troubles, 1, "trouble");
    assert_non_null(strstr(k->trouble, "queue 0 of broker-0"));
    assert_int_equal(k->done, 1);
    fakemq_revive(k->mq, BROKER);
    await(k, &k->done, 2, "the second");
    await(k, &k->reliefs, 1, "relief");
    assert_int_equal(k->troubles, 1);
    assert_string_equal(stored(k, 0), "a,b");
    end(k);
}

/* Eight queues of one broker are one thing to people: one line, one trouble, one relief. */
static void test_one_broker_is_one_trouble(void **state)
{
    kit *k = start(NULL, (rmq_lanes_config){0});
    job jobs[9];
    int lines = 0;

    (void)state;
    submit(k, &jobs[8], 0, "warm");
    await(k, &k->done, 1, "the first");
    rule(k,
         (fakemq_rule){.action = FAKEMQ_REFUSE, .count = 8 * 8, .code = 2, .remark = "[PCBUSY]"});
    for (int q = 0; q < 8; q++)
        submit(k, &jobs[q], q, "x");
    await(k, &k->done, 9, "all parcels");
    await(k, &k->reliefs, 1, "relief");
    for (const char *at = k->log; (at = strstr(at, "[PCBUSY]")) != NULL; at++)
        lines++;
    assert_in_range(lines, 1, 3); /* one per five seconds */
    assert_true(k->troubles >= 1);
    assert_int_equal(stats_of(k).busy_replies, 64);
    end(k);
}

/* The slave stays in the route, but is not written to. */
static void test_master_away_and_back(void **state)
{
    fakemq_config config = {.slaves = true};
    kit *k = start(&config, (rmq_lanes_config){0});
    job a;

    (void)state;
    fakemq_kill(k->mq, BROKER);
    submit(k, &a, 0, "a");
    await(k, &k->troubles, 1, "trouble");
    fakemq_revive(k->mq, BROKER);
    await(k, &k->done, 1, "the parcel");
    assert_int_equal(a.parcel.result, 0);
    end(k);
}

/* ---- reports --------------------------------------------------------------------------------- */

struct resolving {
    kit *k;
    rmq_parcel *again;
};
static void resolve(void *arg)
{
    struct resolving *r = arg;

    rmq_lane_resolve(r->k->lanes, TOPIC, BROKER, 0, r->again);
}

static void test_report_and_resolve(void **state)
{
    (void)state;
    for (int again = 0; again < 2; again++) {
        kit *k = start(NULL, (rmq_lanes_config){.unknown = RMQ_UNKNOWN_REPORT,
                                                .unknown_outcome = on_unknown});
        int number = rule(k, (fakemq_rule){.action = FAKEMQ_CUT_AFTER, .count = 1});
        struct resolving r = {k, NULL};
        job a, b;

        submit(k, &a, 0, "a");
        await_hits(k, number, 1);
        submit(k, &b, 0, "b");
        await(k, &k->reports, 1, "the report");
        assert_ptr_equal(k->reported, &a.parcel);
        assert_int_equal(k->reported_count, 1);
        assert_true(k->report.flags & RMQ_ERR_UNKNOWN_OUTCOME);
        assert_int_equal(k->done, 0);
        assert_string_equal(stored(k, 0), "a"); /* it stands still */
        r.again = again ? &a.parcel : NULL;
        rmq_client_run(k->client, resolve, &r);
        await(k, &k->done, 1 + again, "what is behind it");
        assert_int_equal(b.parcel.result, 0);
        assert_int_equal(a.done, again);
        assert_string_equal(stored(k, 0), again ? "a,a,b" : "a,b");
        end(k);
    }
}

static void test_close_before_resolve(void **state)
{
    kit *k = start(NULL, (rmq_lanes_config){.unknown = RMQ_UNKNOWN_REPORT,
                                            .unknown_outcome = on_unknown});
    job a, b;

    (void)state;
    rule(k, (fakemq_rule){.action = FAKEMQ_CUT_AFTER, .count = 1});
    submit(k, &a, 0, "a");
    await(k, &k->reports, 1, "the report");
    submit(k, &b, 0, "b");
    end_lanes(k);
    assert_int_equal(a.parcel.result, -OMC_ECANCELED);
    assert_true(a.err.flags & RMQ_ERR_UNKNOWN_OUTCOME);
    assert_int_equal(b.parcel.result, -OMC_ECANCELED);
    assert_string_equal(stored(k, 0), "a");
    end(k);
}

static void test_report_to_nobody_fails(void **state)
{
    kit *k = start(NULL, (rmq_lanes_config){.unknown = RMQ_UNKNOWN_REPORT});
    int number = rule(k, (fakemq_rule){.action = FAKEMQ_CUT_AFTER, .count = 1});
    job a, b;

    (void)state;
    submit(k, &a, 0, "a");
    await_hits(k, number, 1);
    submit(k, &b, 0, "b");
    await(k, &k->done, 2, "both parcels");
    assert_int_equal(a.parcel.result, -OMC_EIO);
    assert_true(a.err.flags & RMQ_ERR_UNKNOWN_OUTCOME);
    assert_int_equal(b.parcel.result, -OMC_ECANCELED);
    assert_false(b.err.flags & RMQ_ERR_UNKNOWN_OUTCOME);
    assert_string_equal(stored(k, 0), "a");
    end(k);
}

/* ---- acks ------------------------------------------------------------------------------------ */

static void test_acks(void **state)
{
    static const struct {
        enum rmq_ack ack;
        int code;
        const char *expected;
    } rows[] = {
        {RMQ_ACK_STORED, 10, "a"},       {RMQ_ACK_STORED, 11, "a"},
        {RMQ_ACK_STORED, 12, "a"},       {RMQ_ACK_FLUSHED, 10, "a,a"},
        {RMQ_ACK_FLUSHED, 11, "a"},      {RMQ_ACK_FLUSHED, 12, "a"},
        {RMQ_ACK_REPLICATED, 10, "a,a"}, {RMQ_ACK_REPLICATED, 11, "a,a"},
        {RMQ_ACK_REPLICATED, 12, "a,a"},
    };

    (void)state;
    for (size_t i = 0; i < RC_COUNT(rows); i++) {
        kit *k = start(NULL, (rmq_lanes_config){.ack = rows[i].ack});
        bool twice = strlen(rows[i].expected) > 1;
        job a;

        rule(k, (fakemq_rule){.action = FAKEMQ_CODE, .count = 1, .code = rows[i].code});
        submit(k, &a, 0, "a");
        await(k, &k->done, 1, "the parcel");
        assert_int_equal(a.parcel.result, 0);
        assert_int_equal(a.parcel.status, twice ? 0 : rows[i].code);
        assert_int_equal(a.parcel.base_offset, twice ? 1 : 0);
        assert_string_equal(stored(k, 0), rows[i].expected);
        if (twice != (strstr(k->log, "more than once") != NULL))
            fail_msg("row %zu: %s", i, k->log);
        end(k);
    }
}

static void test_weak_ack_is_reported(void **state)
{
    kit *k = start(NULL, (rmq_lanes_config){.ack = RMQ_ACK_REPLICATED,
                                            .unknown = RMQ_UNKNOWN_REPORT,
                                            .unknown_outcome = on_unknown});
    struct resolving r = {k, NULL};
    job a;

    (void)state;
    rule(k, (fakemq_rule){.action = FAKEMQ_CODE, .count = 1, .code = 11});
    submit(k, &a, 0, "a");
    await(k, &k->reports, 1, "the report");
    assert_int_equal(RMQ_ERR_RESPONSE(&k->report), 11);
    assert_string_equal(stored(k, 0), "a");
    rmq_client_run(k->client, resolve, &r);
    end(k);
}

static void test_what_brokers_promise(void **state)
{
    static const struct {
        const char *config;
        enum rmq_ack ack;
        const char *refusal; /* NULL = kept */
    } rows[] = {
        {"flushDiskType=ASYNC_FLUSH\nbrokerRole=ASYNC_MASTER\n", RMQ_ACK_STORED, NULL},
        {"a=1\nflushDiskType=ASYNC_FLUSH\n", RMQ_ACK_FLUSHED, "flushDiskType is ASYNC_FLUSH"},
        {"flushDiskType=SYNC_FLUSH\r\nx=y", RMQ_ACK_FLUSHED, NULL},
        {"notflushDiskType=SYNC_FLUSH\n", RMQ_ACK_FLUSHED, "flushDiskType is not known"},
        {"brokerRole=ASYNC_MASTER\ninSyncReplicas=2", RMQ_ACK_REPLICATED, "ASYNC_MASTER"},
        {"brokerRole=SYNC_MASTER\n", RMQ_ACK_REPLICATED, NULL}, /* 4.9 */
        {"brokerRole=SYNC_MASTER\ninSyncReplicas=1\n", RMQ_ACK_REPLICATED, "inSyncReplicas is 1"},
        {"inSyncReplicas=2\nbrokerRole=SYNC_MASTER\n", RMQ_ACK_REPLICATED, NULL},
        {"brokerRole=ASYNC_MASTER\nenableDLegerCommitLog=true\n", RMQ_ACK_REPLICATED, NULL},
        {"brokerRole=SYNC_MASTER\ninSyncReplicas=1\nenableControllerMode=true\n"
         "allAckInSyncStateSet=true\n",
         RMQ_ACK_REPLICATED, NULL},
    };

    (void)state;
    for (size_t i = 0; i < RC_COUNT(rows); i++) {
        rc_error err = {0};
        int r = rmq_ack_of_config(omc_slice_str(rows[i].config), rows[i].ack, "broker-7", &err);

        assert_int_equal(r, rows[i].refusal ? -OMC_EUNSUPPORTED : 0);
        if (!rows[i].refusal)
            continue;
        assert_non_null(strstr(err.msg, rows[i].refusal));
        assert_non_null(strstr(err.msg, "broker-7"));
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

static void test_close_with_pending(void **state)
{
    kit *k = start(NULL, (rmq_lanes_config){0});
    int number = rule(k, (fakemq_rule){.action = FAKEMQ_SWALLOW, .count = 1});
    job a, b, c;

    (void)state;
    submit(k, &a, 0, "a");
    await_hits(k, number, 1);
    submit(k, &b, 0, "b");
    fakemq_kill(k->mq, "namesrv-0");
    submit(k, &c, 1, "c");
    end_lanes(k);
    assert_int_equal(k->done, 3);
    assert_int_equal(a.parcel.result, -OMC_ECANCELED);
    assert_true(a.err.flags & RMQ_ERR_UNKNOWN_OUTCOME);
    assert_int_equal(b.parcel.result, -OMC_ECANCELED);
    assert_false(b.err.flags & RMQ_ERR_UNKNOWN_OUTCOME);
    assert_true(a.order < b.order);
    assert_true(c.done);
    end(k);
}

static void test_close_gives_answers_a_moment(void **state)
{
    kit *k = start(NULL, (rmq_lanes_config){0});
    int number = rule(k, (fakemq_rule){.action = FAKEMQ_DELAY, .count = 1, .ms = 20});
    job a;

    (void)state;
    submit(k, &a, 0, "a");
    await_hits(k, number, 1);
    end_lanes(k);
    assert_int_equal(a.parcel.result, 0);
    end(k);
}

static void test_bad_settings(void **state)
{
    kit *k = start(NULL, (rmq_lanes_config){0});

    (void)state;
    end_lanes(k);
    k->config.window = 2;
    k->config.unknown_outcome = on_unknown;
    rmq_client_run(k->client, make_lanes, k);
    assert_int_equal(k->r, -OMC_EINVAL);
    assert_non_null(strstr(k->err.msg, "window = 2"));
    k->config.window = -1;
    rmq_client_run(k->client, make_lanes, k);
    assert_int_equal(k->r, -OMC_EINVAL);
    end(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_with_window_1),
        cmocka_unit_test(test_no_order_with_window_2),
        cmocka_unit_test(test_waiting_parcels_go_together),
        cmocka_unit_test(test_size_limits_what_goes_together),
        cmocka_unit_test(test_busy_is_tried_again_and_told),
        cmocka_unit_test(test_illegal_message_fails_with_all_behind),
        cmocka_unit_test(test_no_permission_is_not_tried_again),
        cmocka_unit_test(test_delivery_timeout),
        cmocka_unit_test(test_cuts_and_silence),
        cmocka_unit_test(test_late_copy_cannot_overtake),
        cmocka_unit_test(test_frozen_broker),
        cmocka_unit_test(test_killed_broker_comes_back),
        cmocka_unit_test(test_one_broker_is_one_trouble),
        cmocka_unit_test(test_master_away_and_back),
        cmocka_unit_test(test_report_and_resolve),
        cmocka_unit_test(test_close_before_resolve),
        cmocka_unit_test(test_report_to_nobody_fails),
        cmocka_unit_test(test_acks),
        cmocka_unit_test(test_weak_ack_is_reported),
        cmocka_unit_test(test_what_brokers_promise),
        cmocka_unit_test(test_close_with_pending),
        cmocka_unit_test(test_close_gives_answers_a_moment),
        cmocka_unit_test(test_bad_settings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
