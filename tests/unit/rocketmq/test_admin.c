/* SPDX-License-Identifier: Apache-2.0 */
/* The admin functions against a fake cluster of two brokers: what they bring back, on which servers
 * they act, and what they say when a server refuses. */
#include "base/base.h"
#include "fakemq.h"
#include "unit.h"

#include <rocketmq/rocketmq.h>

#include <string.h>

static fakemq *mq;
static rmq_client *client;

static rmq_client *open_client(const char *name_space)
{
    const rmq_client_config config = {.namesrv = fakemq_namesrv(mq),
                                      .name_space = name_space,
                                      .request_timeout_ms = 2000,
                                      .connect_timeout_ms = 2000};
    rmq_client *opened = NULL;
    rmq_error err = {0};

    if (rmq_client_open(&config, &opened, &err) < 0)
        fail_msg("%s", err.msg);
    return opened;
}

static int begin(void **state)
{
    (void)state;
    mq = fakemq_start(&(fakemq_config){.brokers = 2, .slaves = true, .name_servers = 2});
    client = open_client(NULL);
    return 0;
}

static int end(void **state)
{
    (void)state;
    rmq_client_close(client);
    fakemq_stop(mq);
    return 0;
}

static void good(int r, const rmq_error *err)
{
    if (r < 0)
        fail_msg("%d: %s", r, err->msg);
}

static void bad(const char *name, int r, int want, const rmq_error *err, const char *text)
{
    if (r != -want || !strstr(err->msg, text))
        fail_msg("%s: wanted %d '%s', got %d '%s'", name, -want, text, r, err->msg);
}

/* ---- cluster --------------------------------------------------------------------------------- */

static void brokers_are_listed_with_slaves(void **state)
{
    static const struct {
        const char *name;
        int64_t id;
    } want[] = {{"broker-0", 0}, {"broker-0", 1}, {"broker-1", 0}, {"broker-1", 1}};
    rmq_cluster_info *info;
    rmq_error err = {0};

    (void)state;
    good(rmq_cluster_info_get(client, &info, &err), &err);
    assert_int_equal(info->count, RC_COUNT(want));
    for (size_t i = 0; i < RC_COUNT(want); i++) {
        assert_string_equal(info->brokers[i].name, want[i].name);
        assert_int_equal(info->brokers[i].id, want[i].id);
        assert_string_equal(info->brokers[i].cluster, "DefaultCluster");
        assert_int_equal(strncmp(info->brokers[i].address, "127.0.0.1:", 10), 0);
    }
    rmq_free(info);
    rmq_free(NULL);
}

static const char *value_of(const rmq_text_table *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++) {
        if (i)
            assert_true(strcmp(table->pairs[i - 1].name, table->pairs[i].name) < 0);
        if (strcmp(table->pairs[i].name, name) == 0)
            return table->pairs[i].value;
    }
    return "?";
}

static void a_master_tells_its_settings_and_figures(void **state)
{
    rmq_text_table *table;
    rmq_error err = {0};

    (void)state;
    good(rmq_broker_config_get(client, "broker-1", &table, &err), &err);
    assert_string_equal(value_of(table, "brokerRole"), "ASYNC_MASTER");
    rmq_free(table);
    good(rmq_broker_runtime_get(client, "broker-1", &table, &err), &err);
    assert_string_equal(value_of(table, "brokerVersionDesc"), "V5_5_0");
    rmq_free(table);
    bad("unknown", rmq_broker_config_get(client, "broker-9", &table, &err), RMQ_ENOTFOUND, &err,
        "the name server knows no master of broker 'broker-9'; it knows: broker-0 (0) of cluster "
        "DefaultCluster, broker-0 (1)");
    bad("none", rmq_broker_runtime_get(client, "", &table, &err), RMQ_EINVAL, &err,
        "no broker is named");
}

/* ---- topics ---------------------------------------------------------------------------------- */

static size_t queues_of(const char *topic, enum rmq_route_for what)
{
    rmq_queue_list *list;
    rmq_error err = {0};
    size_t n;
    int r = rmq_topic_queues(client, topic, what, &list, &err);

    if (r == -RMQ_ENOTFOUND)
        return 0;
    good(r, &err);
    n = list->count;
    rmq_queue_list_free(list);
    return n;
}

static void topics_are_made_and_deleted(void **state)
{
    static const struct {
        rmq_topic_spec spec;
        size_t reads, writes;
    } cases[] = {
        {{.topic = "All", .read_queues = 3, .write_queues = 2}, 6, 4},
        {{.topic = "All", .read_queues = 4, .write_queues = 4}, 8, 8}, /* changed */
        {{.topic = "One", .read_queues = 5, .write_queues = 5, .broker = "broker-1"}, 5, 5},
        {{.topic = "Ro", .read_queues = 1, .write_queues = 1, .perm = 4}, 2, 0},
        {{.topic = "C", .read_queues = 1, .write_queues = 1, .cluster = "DefaultCluster"}, 2, 2},
    };
    rmq_error err = {0};
    rmq_name_list *list;
    size_t found = 0;

    (void)state;
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        good(rmq_topic_create(client, &cases[i].spec, &err), &err);
        assert_int_equal(queues_of(cases[i].spec.topic, RMQ_FOR_READING), cases[i].reads);
        assert_int_equal(queues_of(cases[i].spec.topic, RMQ_FOR_WRITING), cases[i].writes);
    }
    good(rmq_topic_list(client, &list, &err), &err);
    for (size_t i = 0; i < list->count; i++) {
        if (i)
            assert_true(strcmp(list->names[i - 1], list->names[i]) < 0);
        found += !strcmp(list->names[i], "All") || !strcmp(list->names[i], "One");
    }
    assert_int_equal(found, 2);
    rmq_free(list);

    good(rmq_topic_delete(client, "All", &err), &err);
    assert_int_equal(queues_of("All", RMQ_FOR_READING), 0);
    assert_int_equal(fakemq_requests(mq, 215, "broker-0"), 1);
    assert_int_equal(fakemq_requests(mq, 215, "broker-1"), 1);
    assert_int_equal(fakemq_requests(mq, 216, "namesrv-0"), 1);
    assert_int_equal(fakemq_requests(mq, 216, "namesrv-1"), 1);
    good(rmq_topic_delete(client, "All", &err), &err); /* once more is no error */
}

static void wrong_topics_are_refused_here(void **state)
{
    static const struct {
        rmq_topic_spec spec;
        int code;
        const char *text;
    } cases[] = {
        {{.topic = NULL, .read_queues = 1, .write_queues = 1}, RMQ_EINVAL, "the topic is empty"},
        {{.topic = "a b", .read_queues = 1, .write_queues = 1}, RMQ_EINVAL, "at position 2"},
        {{.topic = "T", .read_queues = 0, .write_queues = 1},
         RMQ_EINVAL,
         "topic 'T': it needs 1 to 65536 queues to read and to write, not 0 and 1"},
        {{.topic = "T", .read_queues = 1, .write_queues = 1, .perm = 8}, RMQ_EINVAL, "not 8"},
        {{.topic = "T", .read_queues = 1, .write_queues = 1, .cluster = "Nil"},
         RMQ_ENOTFOUND,
         "knows no master in cluster Nil; it knows: broker-0"},
    };
    rmq_error err = {0};

    (void)state;
    for (size_t i = 0; i < RC_COUNT(cases); i++)
        bad(cases[i].text, rmq_topic_create(client, &cases[i].spec, &err), cases[i].code, &err,
            cases[i].text);
    assert_int_equal(fakemq_requests(mq, 17, NULL), 0);
}

/* A broker that says yes and never tells the name server. */
static void a_topic_that_no_route_shows_is_told(void **state)
{
    rmq_error err = {0};

    (void)state;
    (void)fakemq_fault(
        mq, &(fakemq_rule){.action = FAKEMQ_CODE, .request = 17, .broker = "broker-1", .code = 0});
    (void)fakemq_fault(
        mq, &(fakemq_rule){.action = FAKEMQ_REFUSE, .request = 105, .topic = "Hidden", .code = 17});
    bad("hidden",
        rmq_topic_create(client,
                         &(rmq_topic_spec){.topic = "Hidden", .read_queues = 1, .write_queues = 1},
                         &err),
        RMQ_ETIMEDOUT, &err,
        "topic 'Hidden' was made, but the name server does not show it on broker broker-0 after "
        "2000 ms");
    assert_true(err.flags & RMQ_ERR_RETRIABLE);
}

/* ---- offsets --------------------------------------------------------------------------------- */

static void offsets_of_queues(void **state)
{
    const rmq_queue queue = {"T", "broker-1", 1};
    rmq_topic_stats *stats;
    rmq_error err = {0};
    int64_t offset = -7;

    (void)state;
    fakemq_topic(mq, "T", 2);
    fakemq_fill(mq, "T", "broker-1", 1, 10);
    fakemq_trim(mq, "T", "broker-1", 1, 3);
    good(rmq_offset_min(client, &queue, &offset, &err), &err);
    assert_int_equal(offset, 3);
    good(rmq_offset_max(client, &queue, &offset, &err), &err);
    assert_int_equal(offset, 10);
    good(rmq_offset_by_time(client, &queue, 1, &offset, &err), &err);
    assert_int_equal(offset, 3);
    good(rmq_topic_stats_get(client, "T", &stats, &err), &err);
    assert_int_equal(stats->count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(stats->queues[i].queue.topic, "T");
        assert_string_equal(stats->queues[i].queue.broker, i < 2 ? "broker-0" : "broker-1");
        assert_int_equal(stats->queues[i].queue.id, i % 2);
        assert_int_equal(stats->queues[i].min_offset, i == 3 ? 3 : 0);
        assert_int_equal(stats->queues[i].max_offset, i == 3 ? 10 : 0);
        assert_int_equal(stats->queues[i].last_ms > 0, i == 3);
    }
    rmq_free(stats);
    bad("broker", rmq_offset_min(client, &(rmq_queue){"T", "broker-7", 0}, &offset, &err),
        RMQ_ENOTFOUND, &err, "topic 'T' is not on broker 'broker-7'");
    bad("topic", rmq_offset_max(client, &(rmq_queue){"No", "broker-1", 0}, &offset, &err),
        RMQ_ENOTFOUND, &err, "No");
    assert_int_equal(offset, 3); /* not touched by failures */
}

static void min_and_max_come_from_a_slave_too(void **state)
{
    const rmq_queue queue = {"T", "broker-1", 0};
    rmq_error err = {0};
    int64_t offset = -7;

    (void)state;
    fakemq_topic(mq, "T", 1);
    fakemq_fill(mq, "T", "broker-1", 0, 4);
    fakemq_kill(mq, "broker-1");
    good(rmq_offset_max(client, &queue, &offset, &err), &err);
    assert_int_equal(offset, 4);
    bad("committed", rmq_offset_committed(client, "G", &queue, &offset, &err), RMQ_ECONNECT, &err,
        "topic 'T': broker broker-1 has no master now");
}

static void offsets_of_groups(void **state)
{
    const rmq_queue queue = {"T", "broker-0", 1};
    rmq_group_lag *lag;
    rmq_error err = {0};
    int64_t offset = -7;

    (void)state;
    fakemq_topic(mq, "T", 2);
    fakemq_fill(mq, "T", "broker-0", 1, 10);
    bad("no group", rmq_offset_commit(client, "G", &queue, 4, &err), RMQ_ENOTFOUND, &err,
        "commit offset 4 of group 'G'");
    good(rmq_group_create(client, "G", &err), &err);
    assert_int_equal(fakemq_requests(mq, 200, "broker-0"), 1);
    assert_int_equal(fakemq_requests(mq, 200, "broker-1"), 1);
    good(rmq_offset_committed(client, "G", &queue, &offset, &err), &err);
    assert_int_equal(offset, -1);
    good(rmq_offset_commit(client, "G", &queue, 4, &err), &err);
    assert_int_equal(fakemq_committed(mq, "G", "T", "broker-0", 1), 4);
    good(rmq_offset_committed(client, "G", &queue, &offset, &err), &err);
    assert_int_equal(offset, 4);
    bad("negative", rmq_offset_commit(client, "G", &queue, -1, &err), RMQ_EINVAL, &err, "not -1");

    for (int all = 0; all < 2; all++) {
        good(rmq_group_lag_get(client, "G", all ? NULL : "T", &lag, &err), &err);
        assert_int_equal(lag->total, 6);
        for (size_t i = 0; i < lag->count; i++)
            if (strcmp(lag->queues[i].queue.broker, "broker-0") == 0 &&
                lag->queues[i].queue.id == 1) {
                assert_int_equal(lag->queues[i].broker_offset, 10);
                assert_int_equal(lag->queues[i].consumer_offset, 4);
                assert_true(lag->queues[i].last_ms > 0);
            }
        rmq_free(lag);
    }
    good(rmq_group_delete(client, "G", &err), &err);
    assert_int_equal(fakemq_committed(mq, "G", "T", "broker-0", 1), -1);
}

/* ---- members --------------------------------------------------------------------------------- */

static void members_are_listed(void **state)
{
    rmq_connection_list *connections;
    rmq_name_list *list;
    rmq_error err = {0};

    (void)state;
    fakemq_topic(mq, "T", 1);
    good(rmq_group_create(client, "G", &err), &err);
    good(rmq_group_members(client, "G", "T", &list, &err), &err);
    assert_int_equal(list->count, 0);
    rmq_free(list);
    bad("offline", rmq_group_connections(client, "G", &connections, &err), RMQ_ENOTFOUND, &err,
        "group 'G': no consumer is connected to any broker now");

    fakemq_foreign_member(mq, "G", "b@2", true);
    fakemq_foreign_member(mq, "G", "a@1", true);
    good(rmq_group_members(client, "G", "T", &list, &err), &err);
    assert_int_equal(list->count, 2);
    assert_string_equal(list->names[0], "a@1");
    assert_string_equal(list->names[1], "b@2");
    rmq_free(list);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void refusals_name_request_and_broker(void **state)
{
    static const struct {
        int code;
        const char *remark;
        int want;
        const char *text;
    } cases[] = {
        {16, "User:bob is not found.", RMQ_EACCES, "NO_PERMISSION (16): User:bob is not found"},
        {1, "org.apache.rocketmq.acl.common.AclException: No accessKey is configured", RMQ_EACCES,
         "No accessKey is configured"},
        {2, "[REJECTREQUEST]", RMQ_EAGAIN, "SYSTEM_BUSY (2)"},
    };
    static const char at[] = "UPDATE_AND_CREATE_TOPIC of topic 'X' at broker broker-1 (127.0.0.1:";
    rmq_error err = {0};
    rmq_name_list *list;

    (void)state;
    fakemq_topic(mq, "T", 1);
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        int rule = fakemq_fault(mq, &(fakemq_rule){.action = FAKEMQ_REFUSE,
                                                   .broker = "broker-1",
                                                   .code = cases[i].code,
                                                   .remark = cases[i].remark});

        bad("create",
            rmq_topic_create(client,
                             &(rmq_topic_spec){.topic = "X", .read_queues = 1, .write_queues = 1},
                             &err),
            cases[i].want, &err, cases[i].text);
        if (strncmp(err.msg, at, strlen(at)) != 0)
            fail_msg("%s", err.msg);
        bad("group", rmq_group_delete(client, "G", &err), cases[i].want, &err,
            "DELETE_SUBSCRIPTIONGROUP of group 'G' at broker broker-1 (");
        fakemq_fault_end(mq, rule);
    }
    (void)fakemq_fault(mq, &(fakemq_rule){.action = FAKEMQ_REFUSE,
                                          .request = 38,
                                          .code = 1,
                                          .remark = "AclException: denied"});
    bad("members", rmq_group_members(client, "G", "T", &list, &err), RMQ_EACCES, &err, "denied");
}

static void garbage_is_refused(void **state)
{
    rmq_cluster_info *info;
    rmq_error err = {0};
    int r;

    (void)state;
    (void)fakemq_fault(mq, &(fakemq_rule){.action = FAKEMQ_GARBAGE, .request = 106});
    r = rmq_cluster_info_get(client, &info, &err);
    assert_true(r < 0);
    assert_non_null(strstr(err.msg, "GET_BROKER_CLUSTER_INFO at the name server"));
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void names_get_the_namespace_and_lose_it(void **state)
{
    rmq_client *in_space = open_client("NS");
    rmq_topic_stats *stats;
    rmq_name_list *list;
    rmq_error err = {0};
    bool whole = false, own = false;
    char *field;

    (void)state;
    good(rmq_topic_create(in_space,
                          &(rmq_topic_spec){.topic = "T", .read_queues = 1, .write_queues = 1},
                          &err),
         &err);
    field = fakemq_request_field(mq, 17, -1, "topic");
    assert_string_equal(field, "NS%T");
    free(field);
    good(rmq_topic_stats_get(in_space, "T", &stats, &err), &err);
    assert_string_equal(stats->queues[0].queue.topic, "T");
    rmq_free(stats);
    good(rmq_topic_list(client, &list, &err), &err);
    for (size_t i = 0; i < list->count; i++)
        whole |= !strcmp(list->names[i], "NS%T");
    rmq_free(list);
    good(rmq_topic_list(in_space, &list, &err), &err);
    for (size_t i = 0; i < list->count; i++)
        own |= !strcmp(list->names[i], "T");
    rmq_free(list);
    assert_true(whole && own);
    rmq_client_close(in_space);
}

static void any_request_by_hand(void **state)
{
    const rmq_text_pair fields[] = {{"topic", "T"}, {"queueId", "0"}};
    rmq_cluster_info *info;
    rmq_error err = {0};
    char *body = NULL;
    size_t len = 1;
    int r;

    (void)state;
    fakemq_topic(mq, "T", 1);
    good(rmq_cluster_info_get(client, &info, &err), &err);
    r = rmq_call(client, info->brokers[0].address, 30, fields, 2, (rmq_slice){0}, &body, &len,
                 &err);
    good(r, &err);
    assert_int_equal(r, 0);
    assert_int_equal(len, 0);
    rmq_free(body);
    r = rmq_call(client, info->brokers[0].address, 202, fields, 1, (rmq_slice){0}, &body, &len,
                 &err);
    assert_int_equal(r, 0);
    assert_int_equal(strncmp(body, "{\"offsetTable\":{{", 17), 0);
    assert_int_equal(strlen(body), len);
    rmq_free(body);
    bad("nobody", rmq_call(client, "127.0.0.1:1", 30, NULL, 0, (rmq_slice){0}, &body, &len, &err),
        RMQ_ECONNECT, &err, "127.0.0.1:1");
    rmq_free(info);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(brokers_are_listed_with_slaves),
        TEST(a_master_tells_its_settings_and_figures),
        TEST(topics_are_made_and_deleted),
        TEST(wrong_topics_are_refused_here),
        TEST(a_topic_that_no_route_shows_is_told),
        TEST(offsets_of_queues),
        TEST(min_and_max_come_from_a_slave_too),
        TEST(offsets_of_groups),
        TEST(members_are_listed),
        TEST(refusals_name_request_and_broker),
        TEST(garbage_is_refused),
        TEST(names_get_the_namespace_and_lose_it),
        TEST(any_request_by_hand),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
