/* SPDX-License-Identifier: Apache-2.0 */
/* The connector half: what it refuses, how it divides queues, what makes it divide them again. */
#include "connector_replicator/bench.h"

#include <stdatomic.h>

/* ---- configurations -------------------------------------------------------------------------- */

static void test_configurations(void **state)
{
    static const struct {
        const char *config[4];
        const char *error; /* NULL = accepted */
    } table[] = {
        {{"src.topictags=T"}, NULL},
        {{"src.topictags= T , a || b ; U,*;"}, NULL},
        {{"src.topictags="}, "names no topic; write topic1,tagA;topic2,*"},
        {{"src.topictags= ; ;"}, "names no topic"},
        {{"src.topictags=T;%RETRY%G"}, "'%RETRY%G' is a retry or dead-letter topic"},
        {{"src.topictags=%DLQ%G,*"}, "'%DLQ%G' is a retry or dead-letter topic"},
        {{"src.topictags=T", "src.acl.enable=true"}, "needs src.access.key and src.secret.key"},
        {{"src.topictags=T", "src.acl.enable=true", "src.access.key=a"}, "src.secret.key"},
        {{"src.topictags=T", "src.acl.enable=true", "src.access.key=a", "src.secret.key=s"}, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const char *config[6] = {"src.endpoint=127.0.0.1:1"};
        test_host host;
        int r;

        for (size_t k = 0; k < 4; k++)
            config[k + 1] = table[i].config[k];
        test_host_init(&host, &replicator_source_plugin, config);
        r = bench_ops()->validate(&host.config, &host.err);
        if (!table[i].error && r < 0)
            fail_msg("case %zu: %s", i, host.err.msg);
        if (table[i].error && (r != -OMC_EINVAL || !strstr(host.err.msg, table[i].error)))
            fail_msg("case %zu: %d '%s', wanted '%s'", i, r, host.err.msg, table[i].error);
        test_host_release(&host);
    }
}

static void test_too_many_topics(void **state)
{
    char text[4096] = "src.topictags=";
    const char *config[] = {"src.endpoint=127.0.0.1:1", text, NULL};
    test_host host;

    (void)state;
    for (int i = 0; i < 257; i++)
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "T%d;", i);
    test_host_init(&host, &replicator_source_plugin, config);
    assert_int_equal(bench_ops()->validate(&host.config, &host.err), -OMC_EINVAL);
    assert_non_null(strstr(host.err.msg, "more than 256 topics"));
    test_host_release(&host);
}

/* ---- a connector ----------------------------------------------------------------------------- */

typedef struct half {
    bench *b;
    omc_connector_context ctx;
    void *state;
    atomic_int asked; /* to divide again */
    omc_task_configs configs;
    char tasks[8][1024]; /* divided.normalqueues of each */
    char converters[8][128];
    int count, max;
} half;

static void asked_again(void *host)
{
    atomic_fetch_add(&((half *)host)->asked, 1);
}

static int add_task(omc_task_configs *configs, const omc_keyvalue *overrides, omc_error *err)
{
    half *h = configs->host;
    const omc_slice *queues = omc_keyvalue_get(overrides, "divided.normalqueues");
    const omc_slice *converter = omc_keyvalue_get(overrides, "value.converter");

    (void)err;
    assert_true(h->count < h->max);
    (void)snprintf(h->tasks[h->count], sizeof h->tasks[0], "%.*s", (int)queues->len, queues->base);
    (void)snprintf(h->converters[h->count++], sizeof h->converters[0], "%.*s",
                   converter ? (int)converter->len : 1, converter ? converter->base : "-");
    return 0;
}

static half *half_start(const fakemq_config *config, const char *topics)
{
    half *h = calloc(1, sizeof *h);
    const char *options[] = {NULL, topics, "request.task.reconfig.ms=100", NULL};

    h->b = bench_new(config);
    options[0] = h->b->endpoint;
    test_host_init(&h->b->host, &replicator_source_plugin, options);
    h->ctx = (omc_connector_context){.size = sizeof h->ctx,
                                     .connector = "c",
                                     .config = &h->b->host.config,
                                     .services = &h->b->host.services,
                                     .host = h,
                                     .request_task_reconfiguration = asked_again};
    h->configs = (omc_task_configs){.size = sizeof h->configs, .host = h, .add = add_task};
    h->state = calloc(1, bench_ops()->connector_state_size);
    return h;
}

/* @return of task_configs */
static int divide(half *h, int max)
{
    h->count = 0;
    h->max = max;
    memset(h->tasks, 0, sizeof h->tasks);
    memset(&h->b->host.err, 0, sizeof h->b->host.err);
    return bench_ops()->task_configs(h->state, max, &h->configs, &h->b->host.err);
}

static void go(half *h)
{
    if (bench_ops()->connector_start(h->state, &h->ctx, &h->b->host.err) < 0)
        fail_msg("%s", h->b->host.err.msg);
}

static void half_free(half *h)
{
    bench_ops()->connector_stop(h->state);
    free(h->state);
    bench_free(h->b);
    free(h);
}

static void expect_tasks(half *h, const char *const *wanted)
{
    int n = 0;

    for (; wanted[n]; n++)
        assert_string_equal(h->tasks[n], wanted[n]);
    assert_int_equal(h->count, n);
}

/* All queues of all topics in turn; the last number is the queue's place in its topic. */
static void test_division(void **state)
{
    const fakemq_config two = {.brokers = 2};
    half *h = half_start(&two, "src.topictags=T;U");

    (void)state;
    fakemq_topic(h->b->mq, "T", 2);
    fakemq_topic_on(h->b->mq, "U", "broker-1", 1);
    go(h);
    assert_int_equal(divide(h, 2), 0);
    expect_tasks(h, (const char *const[]){"T/broker-0/0/0;T/broker-1/0/2;U/broker-1/0/0",
                                          "T/broker-0/1/1;T/broker-1/1/3", NULL});
    assert_non_null(strstr(h->converters[0], "ByteArrayConverter"));
    assert_int_equal(divide(h, 8), 0); /* no more tasks than queues */
    assert_int_equal(h->count, 5);
    h->b->host.pairs[0] = (omc_pair){omc_slice_str("value.converter"), omc_slice_str("mine")};
    h->b->host.raw = (omc_keyvalue){1, h->b->host.pairs};
    assert_int_equal(divide(h, 1), 0);
    assert_int_equal(h->count, 1);
    assert_string_equal(h->converters[0], "-"); /* the user's stays */
    half_free(h);
}

static void test_nothing_to_divide(void **state)
{
    half *h = half_start(NULL, "src.topictags=T");

    (void)state;
    go(h);
    assert_int_equal(divide(h, 2), -OMC_ENOTFOUND);
    assert_non_null(strstr(h->b->host.err.msg, "'T' does not exist"));
    assert_true(h->b->host.err.flags & OMC_ERR_RETRIABLE); /* it may be made */
    fakemq_topic(h->b->mq, "T", 1);
    assert_int_equal(divide(h, 2), 0);
    half_free(h);
}

static bool was_asked(fakemq *mq, void *arg)
{
    (void)mq;
    return atomic_load(&((half *)arg)->asked) > 0;
}

static void test_queues_that_are_added(void **state)
{
    half *h = half_start(NULL, "src.topictags=T");

    (void)state;
    fakemq_topic(h->b->mq, "T", 2);
    go(h);
    assert_int_equal(divide(h, 1), 0);
    fakemq_topic(h->b->mq, "T", 3);
    fakemq_wait(h->b->mq, was_asked, h, "the connector to find the queue");
    assert_int_equal(divide(h, 1), 0);
    expect_tasks(h, (const char *const[]){"T/broker-0/0/0;T/broker-0/1/1;T/broker-0/2/2", NULL});
    half_free(h);
}

typedef struct look {
    half *h;
    int until;
} look;

static bool looked_so_often(fakemq *mq, void *arg)
{
    return fakemq_requests(mq, 105, NULL) >= ((look *)arg)->until;
}

/* A broker that is away takes its queues out of the route for a while: the others keep their tasks
 * and their places at the destination, or the messages of a queue would go on in another one. */
static void test_a_broker_that_is_away(void **state)
{
    static const char *const all[] = {"T/broker-0/0/0;T/broker-0/1/1;T/broker-1/0/2;T/broker-1/1/3",
                                      NULL};
    const fakemq_config two = {.brokers = 2};
    half *h = half_start(&two, "src.topictags=T");
    look looks = {.h = h};

    (void)state;
    fakemq_topic(h->b->mq, "T", 2);
    go(h);
    assert_int_equal(divide(h, 1), 0);
    expect_tasks(h, all);
    fakemq_kill(h->b->mq, "broker-0");
    looks.until = fakemq_requests(h->b->mq, 105, NULL) + 3;
    fakemq_wait(h->b->mq, looked_so_often, &looks, "looks at the route");
    assert_int_equal(atomic_load(&h->asked), 0);
    assert_int_equal(divide(h, 1), 0); /* for another reason: what is there keeps its places */
    expect_tasks(h, (const char *const[]){"T/broker-1/0/2;T/broker-1/1/3", NULL});
    fakemq_revive(h->b->mq, "broker-0");
    fakemq_wait(h->b->mq, was_asked, h, "the connector to find the broker again");
    assert_int_equal(divide(h, 1), 0);
    expect_tasks(h, all);
    half_free(h);
}

/* Fewer queues on a broker that is there: they are gone. */
static void test_queues_that_are_taken_away(void **state)
{
    half *h = half_start(NULL, "src.topictags=T");

    (void)state;
    fakemq_topic(h->b->mq, "T", 4);
    go(h);
    assert_int_equal(divide(h, 1), 0);
    fakemq_topic(h->b->mq, "T", 2);
    fakemq_wait(h->b->mq, was_asked, h, "the connector to see it");
    assert_int_equal(divide(h, 1), 0);
    expect_tasks(h, (const char *const[]){"T/broker-0/0/0;T/broker-0/1/1", NULL});
    half_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_configurations),
        cmocka_unit_test(test_too_many_topics),
        cmocka_unit_test(test_division),
        cmocka_unit_test(test_nothing_to_divide),
        cmocka_unit_test(test_queues_that_are_added),
        cmocka_unit_test(test_a_broker_that_is_away),
        cmocka_unit_test(test_queues_that_are_taken_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
