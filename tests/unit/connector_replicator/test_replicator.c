/* SPDX-License-Identifier: Apache-2.0 */
/* A task of the replicator: what a copy is, where it begins, and what it says when it cannot go on.
 */
#include "connector_replicator/bench.h"

#define QUEUE_1 "T/broker-0/1/5"

/* ---- what a copy is -------------------------------------------------------------------------- */

static void test_a_copy_is_exact(void **state)
{
    static const char body[] = "\0\1\2\xff no text \x80";
    static const char properties[] =
        "KEYS\1k1 k2\2TAGS\1TagX\2UNIQ_KEY\1C0000202\2b\xffn\1\x80\xfe\2"
        "CLUSTER\1source\2MSG_REGION\1r\2TRACE_ON\1true\2DELAY\0013\2"
        "colour\1r\xc3\xb6t\2__rc.id\1old\2";
    static const struct {
        const char *name, *value;
    } kept[] = {
        {"KEYS", "k1 k2"},        {"TAGS", "TagX"},
        {"b\xffn", "\x80\xfe"},   {"colour", "r\xc3\xb6t"},
        {"__rc.src", "C0000202"}, {"UNIQ_KEY", ""},
        {"CLUSTER", ""},          {"MSG_REGION", ""},
        {"TRACE_ON", ""},         {"DELAY", ""},
        {"__rc.id", ""},
    };
    bench *b = bench_new(NULL);
    const omc_record *record;

    (void)state;
    fakemq_topic(b->mq, "T", 4);
    fakemq_put(b->mq, "T", "broker-0", 1, body, sizeof body, properties, 0);
    bench_start(b, "T", QUEUE_1, "dest.topic=copy");
    assert_int_equal(bench_poll(b), 1);
    record = bench_record(b, 0);
    assert_int_equal(record->value.kind, OMC_BYTES);
    assert_int_equal(record->value.u.bytes.len, sizeof body);
    assert_memory_equal(record->value.u.bytes.base, body, sizeof body);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (!omc_slice_is(bench_property(record, kept[i].name), kept[i].value))
            fail_msg("property %s is not '%s'", kept[i].name, kept[i].value);
    assert_int_equal(record->properties->count, 5);
    assert_string_equal(record->topic, "copy");
    assert_int_equal(record->queue, 5); /* its place among the source's queues */
    assert_string_equal(record->position.counter_name, "queueOffset");
    assert_int_equal(record->position.counter, 1); /* behind it */
    assert_int_equal(record->position.partition->count, 3);
    assert_true(omc_slice_is(omc_map_get(record->position.partition, "topic")->u.bytes, "T"));
    assert_true(
        omc_slice_is(omc_map_get(record->position.partition, "brokerName")->u.bytes, "broker-0"));
    assert_true(omc_slice_is(omc_map_get(record->position.partition, "queueId")->u.bytes, "1"));
    bench_free(b);
}

/* The names of the source's topics are the copies'; each topic has tags of its own. */
static void test_topics_and_tags(void **state)
{
    bench *b = bench_new(NULL);
    int seen[3] = {0};

    (void)state;
    for (int i = 0; i < 3; i++) {
        const char *topic = (const char *[]){"T1", "T2", "T3"}[i];

        fakemq_topic(b->mq, topic, 1);
        fakemq_fill(b->mq, topic, "broker-0", 0, 10); /* TagA and TagB in turn */
    }
    bench_start(b, "T1, TagB || TagC ; T2,*;T3", "T1/broker-0/0/0;T2/broker-0/0/0;T3/broker-0/0/0",
                "dest.topic=");
    while (seen[0] + seen[1] + seen[2] < 25) {
        assert_true(bench_poll(b) > 0);
        for (size_t i = 0; i < b->batch->pub.count; i++) {
            const omc_record *record = bench_record(b, i);

            seen[record->topic[1] - '1']++;
            if (record->topic[1] == '1')
                assert_true(omc_slice_is(bench_property(record, "TAGS"), "TagB"));
        }
    }
    assert_int_equal(seen[0], 5);
    assert_int_equal(seen[1], 10);
    assert_int_equal(seen[2], 10);
    bench_free(b);
}

/* ---- where it begins ------------------------------------------------------------------------- */

typedef struct position {
    omc_entry entry;
    omc_map map;
} position;

static const omc_map *position_of(void *arg, const omc_map *partition)
{
    const position *p = arg;

    assert_true(omc_slice_is(omc_map_get(partition, "queueId")->u.bytes, "1"));
    return &p->map;
}

static position offset_of(const char *key, omc_value value)
{
    return (position){.entry = {omc_string(omc_slice_str(key)), value}};
}

static int start_at(bench *b, position *p)
{
    const char *config[] = {b->endpoint, "src.topictags=T", "divided.normalqueues=" QUEUE_1, NULL};

    p->map = (omc_map){1, &p->entry};
    test_host_init(&b->host, &replicator_source_plugin, config);
    b->host.committed = position_of;
    b->host.committed_arg = p;
    return test_host_start(&b->host);
}

/* Numbers, and numbers as text, as the Java runtime writes them. */
static void test_positions_that_are_understood(void **state)
{
    position table[] = {
        offset_of("queueOffset", omc_integer(OMC_INT64, 7)),
        offset_of("queueOffset", omc_integer(OMC_INT32, 7)),
        offset_of("queueOffset", omc_string(omc_slice_str("7"))),
    };
    bench *b = bench_new(NULL);

    (void)state;
    fakemq_topic(b->mq, "T", 4);
    fakemq_fill(b->mq, "T", "broker-0", 1, 10);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (start_at(b, &table[i]) < 0)
            fail_msg("position %zu: %s", i, b->host.err.msg);
        assert_int_equal(bench_poll(b), 3);
        assert_int_equal(bench_record(b, 0)->position.counter, 8);
        bench_end(b);
    }
    bench_free(b);
}

static void test_positions_that_are_not(void **state)
{
    position table[] = {
        offset_of("queueOffset", omc_string(omc_slice_str("seven"))),
        offset_of("queueOffset", omc_null()),
        offset_of("nextPosition", omc_integer(OMC_INT64, 7)),
    };
    bench *b = bench_new(NULL);

    (void)state;
    fakemq_topic(b->mq, "T", 4);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_true(start_at(b, &table[i]) < 0);
        assert_int_equal(b->host.err.code, OMC_EFORMAT);
        assert_true(b->host.err.flags & OMC_ERR_FATAL);
        assert_non_null(strstr(b->host.err.msg, "'T', queue 1 of broker 'broker-0'"));
        assert_non_null(strstr(b->host.err.msg, "connector offsets NAME --reset"));
        bench_end(b);
    }
    bench_free(b);
}

static void test_first_offsets(void **state)
{
    static const struct {
        const char *from;
        int records; /* of the 10 that are there, 3 of which retention has taken, and 5 later ones
                      */
    } table[] = {{"consumefromwhere=CONSUME_FROM_FIRST_OFFSET", 12},
                 {"consumefromwhere=CONSUME_FROM_LAST_OFFSET", 5},
                 {"consumefromwhere=CONSUME_FROM_TIMESTAMP", 12}};

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        bench *b = bench_new(NULL);
        int seen = 0, r;

        fakemq_topic(b->mq, "T", 4);
        fakemq_fill(b->mq, "T", "broker-0", 1, 10);
        fakemq_trim(b->mq, "T", "broker-0", 1, 3);
        bench_start(b, "T", QUEUE_1, table[i].from);
        fakemq_fill(b->mq, "T", "broker-0", 1, 5);
        while (seen < table[i].records && (r = bench_poll(b)) > 0)
            seen += r;
        assert_int_equal(seen, table[i].records);
        assert_int_equal(bench_record(b, b->batch->pub.count - 1)->position.counter, 15);
        bench_free(b);
    }
}

/* ---- when it cannot go on -------------------------------------------------------------------- */

static void expect_failure(bench *b, int code, bool fatal, const char *text)
{
    if (bench_poll(b) >= 0)
        fail_msg("no error; wanted '%s'", text);
    if (!strstr(b->host.err.msg, text))
        fail_msg("'%s' is not in: %s", text, b->host.err.msg);
    assert_int_equal(b->host.err.code, code);
    assert_int_equal(!!(b->host.err.flags & OMC_ERR_FATAL), fatal);
    assert_int_equal(!!(b->host.err.flags & OMC_ERR_RETRIABLE), !fatal);
}

static void test_retention_was_faster(void **state)
{
    position at = offset_of("queueOffset", omc_integer(OMC_INT64, 2));
    bench *b = bench_new(NULL);

    (void)state;
    fakemq_topic(b->mq, "T", 4);
    fakemq_fill(b->mq, "T", "broker-0", 1, 10);
    fakemq_trim(b->mq, "T", "broker-0", 1, 6);
    assert_true(start_at(b, &at) >= 0);
    expect_failure(b, OMC_ENOTFOUND, true, "offset 2 is not kept any more (6 to 10 are)");
    assert_non_null(strstr(b->host.err.msg, "retention"));
    assert_non_null(strstr(b->host.err.msg, "connector offsets NAME --reset"));
    bench_free(b);
}

/* What has been read is handed on before the bad news. */
static void test_the_source_has_lost_its_tail(void **state)
{
    bench *b = bench_new(NULL);

    (void)state;
    fakemq_topic(b->mq, "T", 4);
    fakemq_fill(b->mq, "T", "broker-0", 1, 10);
    bench_start(b, "T", QUEUE_1, "dest.topic=copy");
    assert_int_equal(bench_poll(b), 10);
    fakemq_truncate(b->mq, "T", "broker-0", 1, 4);
    fakemq_disconnect_all(b->mq, NULL); /* or the poll under way is held to its end */
    expect_failure(b, OMC_ENOTFOUND, true, "ends at 4, but messages up to 10 were copied");
    assert_non_null(strstr(b->host.err.msg, "connector offsets NAME --reset"));
    bench_free(b);
}

/* The topic goes: tried again until it is there, and then its messages are other ones. */
static void test_the_topic_is_made_anew(void **state)
{
    bench *b = bench_new(NULL);

    (void)state;
    fakemq_topic(b->mq, "T", 4);
    fakemq_fill(b->mq, "T", "broker-0", 1, 10);
    bench_start(b, "T", QUEUE_1, "dest.topic=copy");
    assert_int_equal(bench_poll(b), 10);
    fakemq_topic_on(b->mq, "T", "broker-0", 0);
    fakemq_disconnect_all(b->mq, NULL);
    for (int i = 0; i < 3; i++) /* each time the host asks */
        expect_failure(b, OMC_ENOTFOUND, false, "topic[T] not exist");
    fakemq_topic(b->mq, "T", 4);
    fakemq_fill(b->mq, "T", "broker-0", 1, 3);
    expect_failure(b, OMC_ENOTFOUND, true, "ends at 3, but messages up to 10 were copied");
    bench_free(b);
}

/* A queue that the source does not have (any more) keeps a task from starting. */
static void test_a_queue_that_is_not_there(void **state)
{
    bench *b = bench_new(NULL);

    (void)state;
    fakemq_topic(b->mq, "T", 1);
    assert_true(bench_task(b, "T", QUEUE_1, "dest.topic=copy") < 0);
    assert_non_null(strstr(b->host.err.msg, "queue 1"));
    bench_end(b);
    assert_true(bench_task(b, "T", "nonsense", "dest.topic=copy") < 0);
    assert_int_equal(b->host.err.code, OMC_EINVAL);
    assert_non_null(strstr(b->host.err.msg, "divided.normalqueues"));
    bench_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_copy_is_exact),
        cmocka_unit_test(test_topics_and_tags),
        cmocka_unit_test(test_positions_that_are_understood),
        cmocka_unit_test(test_positions_that_are_not),
        cmocka_unit_test(test_first_offsets),
        cmocka_unit_test(test_retention_was_faster),
        cmocka_unit_test(test_the_source_has_lost_its_tail),
        cmocka_unit_test(test_the_topic_is_made_anew),
        cmocka_unit_test(test_a_queue_that_is_not_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
