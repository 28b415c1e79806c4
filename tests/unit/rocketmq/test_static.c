/* SPDX-License-Identifier: Apache-2.0 */
/* Static topics: queues that move among brokers stay the same queues, for senders, readers and
 * groups. The route is one of RocketMQ 5.5.0 after mqadmin remappingStaticTopic. */
#include "unit.h"

#include "consumer_rig.h"
#include "rocketmq/client_impl.h"

#define LOGICAL "__syslo__global__"
#define PULL 11

/* ---- routes ---------------------------------------------------------------------------------- */

static const char seen[] =
    "{\"brokerDatas\":[{\"brokerAddrs\":{\"0\":\"127.0.0.1:24886\"},\"brokerName\":\"broker-0\","
    "\"cluster\":\"DefaultCluster\",\"enableActingMaster\":false},{\"brokerAddrs\":{\"0\":"
    "\"127.0.0.1:24896\"},\"brokerName\":\"broker-1\",\"cluster\":\"DefaultCluster\","
    "\"enableActingMaster\":false}],\"filterServerTable\":{},\"queueDatas\":[{\"brokerName\":"
    "\"broker-0\",\"perm\":6,\"readQueueNums\":4,\"topicSysFlag\":0,\"writeQueueNums\":4},"
    "{\"brokerName\":\"broker-1\",\"perm\":6,\"readQueueNums\":2,\"topicSysFlag\":0,"
    "\"writeQueueNums\":2}],\"topicQueueMappingByBroker\":{\"broker-0\":{\"bname\":\"broker-0\","
    "\"currIdMap\":{\"0\":0,\"1\":1},\"dirty\":false,\"epoch\":1795906764792,\"scope\":"
    "\"__global__\",\"topic\":\"ST\",\"totalQueues\":4},\"broker-1\":{\"bname\":\"broker-1\","
    "\"currIdMap\":{\"2\":0,\"3\":1},\"dirty\":false,\"epoch\":1795906764792,\"scope\":"
    "\"__global__\",\"topic\":\"ST\",\"totalQueues\":4}}}";

static rmq_route *parse(const char *body)
{
    rmq_route *route = NULL;
    rc_error err = {0};

    if (rmq_route_parse(omc_slice_of(body, strlen(body)), &route, &err) < 0)
        fail_msg("%s", err.msg);
    return route;
}

static void test_route_seen(void **state)
{
    rmq_route *route = parse(seen);

    (void)state;
    assert_int_equal(route->queue_count, 1);
    assert_string_equal(route->brokers[route->queues[0].broker].name, LOGICAL);
    assert_int_equal(route->queues[0].read, 4);
    assert_int_equal(route->queues[0].write, 4);
    assert_int_equal(route->queues[0].perm, 6);
    for (int id = 0; id < 4; id++) {
        const char *address = id < 2 ? "127.0.0.1:24886" : "127.0.0.1:24896";

        assert_string_equal(rmq_route_master(route, LOGICAL, id), address);
        assert_string_equal(rmq_route_reader(route, LOGICAL, id, 0), address);
        assert_string_equal(rmq_route_name(route, LOGICAL, id), id < 2 ? "broker-0" : "broker-1");
    }
    assert_null(rmq_route_master(route, LOGICAL, 4));
    assert_null(rmq_route_master(route, LOGICAL, -1));
    assert_string_equal(rmq_route_name(route, LOGICAL, 4), LOGICAL);
    assert_string_equal(rmq_route_master(route, "broker-1", 0), "127.0.0.1:24896");
    rmq_route_unref(route);
}

#define BROKERS                                                                                  \
    "\"brokerDatas\":[{\"brokerAddrs\":{\"0\":\"h:1\"},\"brokerName\":\"a\"},{\"brokerAddrs\":{" \
    "\"0\":\"h:2\"},\"brokerName\":\"b\"}],\"queueDatas\":[{\"brokerName\":\"a\",\"perm\":6,"    \
    "\"readQueueNums\":8,\"writeQueueNums\":8}]"

/* While a queue moves two brokers may claim it; and a queue may be nobody's. */
static void test_the_newest_mapping_counts(void **state)
{
    rmq_route *route = parse("{" BROKERS ",\"topicQueueMappingByBroker\":{"
                             "\"a\":{\"bname\":\"a\",\"currIdMap\":{0:0,1:1},\"epoch\":5,\"scope\":"
                             "\"s\",\"totalQueues\":2},"
                             "\"b\":{\"bname\":\"b\",\"currIdMap\":{\"1\":0},\"epoch\":6,\"scope\":"
                             "\"s\",\"totalQueues\":3}"
                             "}}");

    (void)state;
    assert_int_equal(route->queues[0].read, 3);
    assert_string_equal(rmq_route_name(route, "__syslo__s", 0), "a");
    assert_string_equal(rmq_route_name(route, "__syslo__s", 1), "b");
    assert_null(rmq_route_leader_of(route, "__syslo__s", 2));
    rmq_route_unref(route);
}

static void test_wrong_mappings(void **state)
{
    static const char *const wrong[] = {
        "\"a\":{\"bname\":\"a\",\"currIdMap\":{},\"epoch\":5,\"totalQueues\":2}",
        "\"a\":{\"bname\":\"a\",\"currIdMap\":{},\"epoch\":5,\"scope\":\"s\",\"totalQueues\":-1}",
        "\"a\":{\"bname\":\"a\",\"currIdMap\":{},\"scope\":\"s\",\"totalQueues\":99999999}",
        "\"a\":{\"currIdMap\":{},\"epoch\":5,\"scope\":\"s\",\"totalQueues\":2}",
        "\"a\":{\"bname\":\"a\",\"currIdMap\":{\"x\":0},\"scope\":\"s\",\"totalQueues\":2}",
        "\"a\":7",
    };

    (void)state;
    for (size_t i = 0; i < RC_COUNT(wrong); i++) {
        RC_AUTO_FREE char *body =
            rc_format("{" BROKERS ",\"topicQueueMappingByBroker\":{%s}}", wrong[i]);
        rmq_route *route;
        rc_error err = {0};

        if (rmq_route_parse(omc_slice_of(body, strlen(body)), &route, &err) != -OMC_EFORMAT)
            fail_msg("case %zu is taken", i);
    }
}

/* ---- a cluster ------------------------------------------------------------------------------- */

/* T has 4 queues: 0 and 1 on broker-0 as they are, 2 and 3 on broker-1 with other numbers and
 * offsets from 10,000 on. */
static rig *start(const rmq_consumer_config *config)
{
    const fakemq_config two = {.brokers = 2};
    rmq_consumer_config c = {.group = "G", .poll_ms = 1000};
    rig *r = rig_new(&two);

    fakemq_topic(r->mq, "T", 4);
    for (int id = 0; id < 4; id++)
        fakemq_place(r->mq, "T", 4, id, id < 2 ? "broker-0" : "broker-1", id < 2 ? id : 3 - id,
                     id < 2 ? 0 : 10000);
    rig_open(r, config ? config : &c);
    r->gaps = true;
    return r;
}

static int send_to(rmq_producer *producer, int queue, int64_t *ret_offset)
{
    const rmq_target target = {.topic = "T", .broker = LOGICAL, .queue_id = queue};
    const rmq_message message = {.body = omc_slice_str("a body")};
    rmq_send_result result;
    rmq_error err = {0};
    int r = rmq_producer_send_wait(producer, &target, &message, &result, &err);

    if (r < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(result.queue.id, queue);
    *ret_offset = result.queue_offset;
    return r;
}

static void expect_last(rig *r, int code, const char *field, const char *value)
{
    char *found = fakemq_request_field(r->mq, code, -1, field);

    assert_string_equal(found, value);
    free(found);
}

static void test_send_and_read(void **state)
{
    const rmq_producer_config config = {.group = "PG"};
    rig *r = start(NULL);
    rmq_producer *producer;
    rmq_queue_list *list;
    rmq_error err = {0};
    int64_t offset;

    (void)state;
    assert_int_equal(rmq_topic_queues(r->client, "T", RMQ_FOR_WRITING, &list, &err), 0);
    assert_int_equal(list->count, 4);
    assert_string_equal(list->queues[3].broker, LOGICAL);
    rmq_queue_list_free(list);
    assert_int_equal(rmq_producer_open(r->client, &config, &producer, &err), 0);
    for (int id = 0; id < 4; id++) {
        send_to(producer, id, &offset);
        assert_int_equal(offset, id < 2 ? 0 : 10000);
        expect_last(r, 320, "n", id < 2 ? "broker-0" : "broker-1"); /* a proxy wants the real one */
        rig_add(r, LOGICAL, id, 0);
    }
    rig_read(r, 4);
    rig_nothing(r);
    assert_int_equal(fakemq_max_offset(r->mq, "T", "broker-1", 0), 1); /* queue 3 is its queue 0 */
    assert_int_equal(rmq_consumer_lag(r->consumer), 0);
    rmq_producer_close(producer, 5000);
    rig_free(r);
}

/* Queue 1 moves while it is written to and read: both follow, in order. */
static void test_a_queue_moves(void **state)
{
    const rmq_producer_config config = {.group = "PG"};
    const rmq_queue one = {"T", LOGICAL, 1};
    rig *r = start(NULL);
    rmq_producer *producer;
    rmq_error err = {0};
    int64_t offset;

    (void)state;
    assert_int_equal(rmq_producer_open(r->client, &config, &producer, &err), 0);
    rig_add(r, LOGICAL, 1, 0);
    for (int i = 0; i < 3; i++)
        send_to(producer, 1, &offset);
    rig_read(r, 3);
    fakemq_place(r->mq, "T", 4, 1, "broker-1", 2, 20000);
    assert_int_equal(rmq_offset_max(r->client, &one, &offset, &err), 0);
    assert_int_equal(offset, 20000);
    for (int i = 0; i < 3; i++) {
        send_to(producer, 1, &offset);
        assert_int_equal(offset, 20000 + i);
    }
    rig_read(r, 6); /* each once; the rig checks their order */
    expect_last(r, PULL, "bname", "broker-1");
    rmq_producer_close(producer, 5000);
    rig_free(r);
}

/* Members share the logical queues, and commit their offsets to whoever has them. */
static void test_group(void **state)
{
    const rmq_consumer_config config = {.group = "G", .poll_ms = 1000, .balance_ms = 200};
    rig *r = start(&config);
    rmq_error err = {0};
    size_t count;

    (void)state;
    fakemq_fill(r->mq, "T", "broker-0", 1, 10);
    fakemq_fill(r->mq, "T", "broker-1", 1, 10); /* queue 2 */
    assert_int_equal(rmq_consumer_subscribe(r->consumer, "T", RMQ_FILTER_TAG, "*", &err), 0);
    rig_read(r, 20);
    (void)rmq_consumer_assignment(r->consumer, &count);
    assert_true(count >= 4); /* and the retry topic's */
    assert_int_equal(rmq_consumer_commit(r->consumer, &err), 0);
    assert_int_equal(fakemq_committed(r->mq, "G", "T", "broker-0", 1), 10);
    assert_int_equal(fakemq_committed(r->mq, "G", "T", "broker-1", 2), 10010);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_route_seen),     cmocka_unit_test(test_the_newest_mapping_counts),
        cmocka_unit_test(test_wrong_mappings), cmocka_unit_test(test_send_and_read),
        cmocka_unit_test(test_a_queue_moves),  cmocka_unit_test(test_group),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
