/* SPDX-License-Identifier: Apache-2.0 */
/** Routes as name servers send them (protocol §4, and recorded ones), and what may not be one. */
#include "unit.h"

#include "frames_file.h"
#include "rocketmq/client_impl.h"

static rmq_route *parse(const char *body)
{
    rmq_route *route = NULL;
    rc_error err = {0};

    if (rmq_route_parse(omc_slice_of(body, strlen(body)), &route, &err) < 0)
        fail_msg("%s: %s", body, err.msg);
    return route;
}

/* ---- good ones ------------------------------------------------------------------------------- */

static void the_page_of_the_protocol(void **state)
{
    static const char *const forms[] = {
        /* As it stands there, and with the bare keys of old name servers. */
        "{\"brokerDatas\":[{\"brokerAddrs\":{\"0\":\"127.0.0.1:30886\",\"1\":\"127.0.0.1:30891\"},"
        "\"brokerName\":\"broker-0\",\"cluster\":\"DefaultCluster\",\"enableActingMaster\":false}],"
        "\"filterServerTable\":{},\"queueDatas\":[{\"brokerName\":\"broker-0\",\"perm\":6,"
        "\"readQueueNums\":4,\"topicSysFlag\":0,\"writeQueueNums\":4}]}",
        "{\"brokerDatas\":[{\"brokerAddrs\":{1:\"127.0.0.1:30891\",0:\"127.0.0.1:30886\"},"
        "\"brokerName\":\"broker-0\",\"cluster\":\"DefaultCluster\"}],"
        "\"filterServerTable\":{},\"queueDatas\":[{\"brokerName\":\"broker-0\",\"perm\":6,"
        "\"readQueueNums\":4,\"topicSysFlag\":0,\"writeQueueNums\":4}]}",
    };

    (void)state;
    for (size_t i = 0; i < RC_COUNT(forms); i++) {
        rmq_route *route = parse(forms[i]);

        assert_int_equal(route->broker_count, 1);
        assert_string_equal(route->brokers[0].name, "broker-0");
        assert_string_equal(route->brokers[0].cluster, "DefaultCluster");
        assert_int_equal(route->brokers[0].node_count, 2);
        assert_int_equal(route->queue_count, 1);
        assert_int_equal(route->queues[0].read, 4);
        assert_int_equal(route->queues[0].write, 4);
        assert_int_equal(route->queues[0].perm, 6);
        assert_null(route->order_conf);
        assert_string_equal(rmq_route_master(route, "broker-0", 0), "127.0.0.1:30886");
        assert_string_equal(rmq_route_reader(route, "broker-0", 0, 1), "127.0.0.1:30891");
        assert_string_equal(rmq_route_reader(route, "broker-0", 0, 7), "127.0.0.1:30886");
        assert_null(rmq_route_master(route, "broker-1", 0));
        assert_null(rmq_route_reader(route, "broker-1", 0, 0));
        rmq_route_ref(route);
        rmq_route_unref(route);
        rmq_route_unref(route);
    }
}

static void sorted_by_broker_and_readable_without_master(void **state)
{
    rmq_route *route = parse(
        "{\"brokerDatas\":[{\"brokerAddrs\":{\"0\":\"h:3\"},\"brokerName\":\"c\"},"
        "{\"brokerAddrs\":{\"10\":\"h:10\",\"2\":\"h:2\"},\"brokerName\":\"a\"},"
        "{\"brokerAddrs\":{},\"brokerName\":\"b\"}],\"orderTopicConf\":\"c:2\",\"queueDatas\":["
        "{\"brokerName\":\"c\",\"perm\":6,\"readQueueNums\":1,\"writeQueueNums\":2},"
        "{\"brokerName\":\"b\",\"perm\":6,\"readQueueNums\":1,\"writeQueueNums\":2},"
        "{\"brokerName\":\"nowhere\",\"perm\":6,\"readQueueNums\":1,\"writeQueueNums\":2},"
        "{\"brokerName\":\"a\",\"perm\":4,\"readQueueNums\":3,\"writeQueueNums\":3}]}");

    (void)state;
    assert_int_equal(route->broker_count, 3);
    assert_string_equal(route->brokers[0].name, "a");
    assert_string_equal(route->brokers[2].name, "c");
    /* Nobody can be asked about the queues of b and of a broker without data. */
    assert_int_equal(route->queue_count, 2);
    assert_string_equal(route->brokers[route->queues[0].broker].name, "a");
    assert_int_equal(route->queues[0].read, 3);
    assert_string_equal(route->brokers[route->queues[1].broker].name, "c");
    assert_string_equal(route->order_conf, "c:2");
    assert_null(rmq_route_master(route, "a", 0));
    assert_string_equal(rmq_route_reader(route, "a", 0, 0), "h:2");
    assert_string_equal(rmq_route_reader(route, "a", 0, 10), "h:10");
    assert_null(rmq_route_reader(route, "b", 0, 0));
    rmq_route_unref(route);
}

static int recorded_routes;

static void check_file(const char *name, rc_slice file)
{
    static bool route_asked[1 << 16];
    rc_arena arena;
    recorded rec;

    rc_arena_init(&arena, 4096);
    memset(route_asked, 0, sizeof route_asked);
    while (frames_next(&file, &rec)) {
        rmq_frame frame;
        rmq_route *route = NULL;
        rc_error err = {0};
        bool *asked;

        assert_int_equal(rmq_frame_parse((const uint8_t *)rec.frame.base, rec.frame.len, &arena.pub,
                                         &frame, &err),
                         0);
        asked = &route_asked[frame.header.opaque & 0xffff];
        if (!rec.to_client)
            *asked = frame.header.code == RMQ_GET_ROUTEINFO_BY_TOPIC;
        if (!rec.to_client || !*asked || frame.header.code != 0 ||
            !(frame.header.flag & RMQ_FLAG_REPLY))
            continue;
        if (rmq_route_parse(frame.body, &route, &err) < 0)
            fail_msg("%s: %s", name, err.msg);
        assert_int_equal(route->broker_count, 1);
        assert_non_null(rmq_route_master(route, "broker-0", 0));
        assert_int_equal(route->queue_count, 1);
        assert_true(route->queues[0].read > 0 && route->queues[0].write > 0);
        recorded_routes++;
        rmq_route_unref(route);
        rc_arena_reset(&arena, 4096);
    }
    rc_arena_release(&arena);
}

static void recorded_ones(void **state)
{
    (void)state;
    assert_true(frames_each_file("", check_file) > 10);
    assert_true(recorded_routes > 20);
}

/* ---- bad ones -------------------------------------------------------------------------------- */

#define BROKERS "{\"brokerDatas\":[{\"brokerAddrs\":{\"0\":\"h:1\"},\"brokerName\":\"b\"}],"
#define QUEUES "\"queueDatas\":[]}"

static void bad_ones_are_told_by_place(void **state)
{
    static const struct {
        const char *body, *says;
    } cases[] = {
        {"", "route"},
        {"[]", "brokerDatas"},
        {"{\"brokerDatas\":[]}", "queueDatas"},
        {"{\"brokerDatas\":{}," QUEUES, "brokerDatas"},
        {"{\"brokerDatas\":[7]," QUEUES, "brokerName"},
        {"{\"brokerDatas\":[{\"brokerName\":\"\",\"brokerAddrs\":{}}]," QUEUES, "brokerName"},
        {"{\"brokerDatas\":[{\"brokerName\":\"b\"}]," QUEUES, "brokerAddrs"},
        {"{\"brokerDatas\":[{\"brokerName\":\"b\",\"brokerAddrs\":{\"x\":\"h:1\"}}]," QUEUES,
         "numbers"},
        {"{\"brokerDatas\":[{\"brokerName\":\"b\",\"brokerAddrs\":{\"-1\":\"h:1\"}}]," QUEUES,
         "numbers"},
        {"{\"brokerDatas\":[{\"brokerName\":\"b\",\"brokerAddrs\":{\"0\":1}}]," QUEUES,
         "addresses"},
        {"{\"brokerDatas\":[{\"brokerName\":\"b\",\"brokerAddrs\":{}},"
         "{\"brokerName\":\"b\",\"brokerAddrs\":{}}]," QUEUES,
         "one name"},
        {BROKERS "\"queueDatas\":[{\"brokerName\":\"b\",\"perm\":6,\"readQueueNums\":-1,"
                 "\"writeQueueNums\":1}]}",
         "readQueueNums"},
        {BROKERS "\"queueDatas\":[{\"brokerName\":\"b\",\"perm\":6,\"readQueueNums\":1,"
                 "\"writeQueueNums\":99999999999}]}",
         "writeQueueNums"},
        {BROKERS "\"queueDatas\":[{\"brokerName\":\"b\",\"perm\":\"6\",\"readQueueNums\":1,"
                 "\"writeQueueNums\":1}]}",
         "perm"},
        {BROKERS "\"queueDatas\":[{\"brokerName\":\"b\",\"perm\":6,\"readQueueNums\":1,"
                 "\"writeQueueNums\":1},{\"brokerName\":\"b\",\"perm\":6,\"readQueueNums\":1,"
                 "\"writeQueueNums\":1}]}",
         "two entries"},
    };

    (void)state;
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        rmq_route *route = NULL;
        rc_error err = {0};
        int r = rmq_route_parse(omc_slice_of(cases[i].body, strlen(cases[i].body)), &route, &err);

        if (r != -OMC_EFORMAT || route || !strstr(err.msg, cases[i].says))
            fail_msg("case %zu %s: %d '%s'", i, cases[i].body, r, err.msg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_of_the_protocol),
        cmocka_unit_test(sorted_by_broker_and_readable_without_master),
        cmocka_unit_test(recorded_ones),
        cmocka_unit_test(bad_ones_are_told_by_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
