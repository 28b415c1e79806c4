/* SPDX-License-Identifier: Apache-2.0 */
/* admin: each function of rocketmq/admin.h, its result as JSON. */
#include "peer.h"

#include <stdlib.h>
#include <string.h>

static rmq_queue queue_option(void)
{
    return (rmq_queue){peer_need("topic"), peer_need("broker"), (int32_t)peer_number("queue", 0)};
}

static json_t *queue_json(const rmq_queue *q)
{
    return json_pack("{s:s,s:s,s:i}", "topic", q->topic, "broker", q->broker, "queue", q->id);
}

static json_t *names_json(const rmq_name_list *list)
{
    json_t *a = json_array();

    for (size_t i = 0; i < list->count; i++)
        json_array_append_new(a, peer_cstring(list->names[i]));
    return a;
}

static json_t *table_json(const rmq_text_table *table)
{
    json_t *o = json_object();

    for (size_t i = 0; i < table->count; i++)
        json_object_set_new(o, table->pairs[i].name, peer_cstring(table->pairs[i].value));
    return o;
}

/* ---- cluster --------------------------------------------------------------------------------- */

static int cluster_info(rmq_client *client, json_t **ret, rmq_error *err)
{
    rmq_cluster_info *info;
    int r = rmq_cluster_info_get(client, &info, err);

    if (r < 0)
        return r;
    *ret = json_array();
    for (size_t i = 0; i < info->count; i++)
        json_array_append_new(*ret, json_pack("{s:s,s:s,s:I,s:s}", "name", info->brokers[i].name,
                                              "cluster", info->brokers[i].cluster, "id",
                                              (json_int_t)info->brokers[i].id, "address",
                                              info->brokers[i].address));
    rmq_free(info);
    return 0;
}

static int broker_config(rmq_client *client, json_t **ret, rmq_error *err)
{
    rmq_text_table *table;
    int r = rmq_broker_config_get(client, peer_need("broker"), &table, err);

    if (r < 0)
        return r;
    *ret = table_json(table);
    rmq_free(table);
    return 0;
}

static int broker_runtime(rmq_client *client, json_t **ret, rmq_error *err)
{
    rmq_text_table *table;
    int r = rmq_broker_runtime_get(client, peer_need("broker"), &table, err);

    if (r < 0)
        return r;
    *ret = table_json(table);
    rmq_free(table);
    return 0;
}

/* ---- topics ---------------------------------------------------------------------------------- */

static int create_topic(rmq_client *client, json_t **ret, rmq_error *err)
{
    int32_t queues = (int32_t)peer_number("queues", 4);
    rmq_topic_spec spec = {.topic = peer_need("topic"),
                           .read_queues = queues,
                           .write_queues = queues,
                           .perm = (int32_t)peer_number("perm", 0),
                           .broker = peer_text("broker", NULL),
                           .cluster = peer_text("cluster", NULL),
                           .attributes = peer_text("attributes", NULL)};

    *ret = json_null();
    return rmq_topic_create(client, &spec, err);
}

static int delete_topic(rmq_client *client, json_t **ret, rmq_error *err)
{
    *ret = json_null();
    return rmq_topic_delete(client, peer_need("topic"), err);
}

static int topic_list(rmq_client *client, json_t **ret, rmq_error *err)
{
    rmq_name_list *list;
    int r = rmq_topic_list(client, &list, err);

    if (r < 0)
        return r;
    *ret = names_json(list);
    rmq_free(list);
    return 0;
}

static int topic_stats(rmq_client *client, json_t **ret, rmq_error *err)
{
    rmq_topic_stats *stats;
    int r = rmq_topic_stats_get(client, peer_need("topic"), &stats, err);

    if (r < 0)
        return r;
    *ret = json_array();
    for (size_t i = 0; i < stats->count; i++) {
        json_t *e = queue_json(&stats->queues[i].queue);

        json_object_set_new(e, "min", json_integer(stats->queues[i].min_offset));
        json_object_set_new(e, "max", json_integer(stats->queues[i].max_offset));
        json_object_set_new(e, "last", json_integer(stats->queues[i].last_ms));
        json_array_append_new(*ret, e);
    }
    rmq_free(stats);
    return 0;
}

static int route(rmq_client *client, json_t **ret, rmq_error *err)
{
    static const char *const words[] = {"read", "write", NULL};
    rmq_queue_list *list;
    int r =
        rmq_topic_queues(client, peer_need("topic"),
                         peer_choice("for", words) ? RMQ_FOR_WRITING : RMQ_FOR_READING, &list, err);

    if (r < 0)
        return r;
    *ret = json_array();
    for (size_t i = 0; i < list->count; i++)
        json_array_append_new(*ret, queue_json(&list->queues[i]));
    rmq_queue_list_free(list);
    return 0;
}

static int offset_min(rmq_client *client, json_t **ret, rmq_error *err)
{
    rmq_queue q = queue_option();
    int64_t offset = 0;
    int r = rmq_offset_min(client, &q, &offset, err);

    *ret = json_integer(offset);
    return r;
}

static int offset_max(rmq_client *client, json_t **ret, rmq_error *err)
{
    rmq_queue q = queue_option();
    int64_t offset = 0;
    int r = rmq_offset_max(client, &q, &offset, err);

    *ret = json_integer(offset);
    return r;
}

static int offset_by_time(rmq_client *client, json_t **ret, rmq_error *err)
{
    rmq_queue q = queue_option();
    int64_t offset = 0;
    int r = rmq_offset_by_time(client, &q, peer_number("timestamp", 0), &offset, err);

    *ret = json_integer(offset);
    return r;
}

/* ---- groups ---------------------------------------------------------------------------------- */

static int create_group(rmq_client *client, json_t **ret, rmq_error *err)
{
    *ret = json_null();
    return rmq_group_create(client, peer_need("group"), err);
}

static int delete_group(rmq_client *client, json_t **ret, rmq_error *err)
{
    *ret = json_null();
    return rmq_group_delete(client, peer_need("group"), err);
}

static int members(rmq_client *client, json_t **ret, rmq_error *err)
{
    rmq_name_list *list;
    int r = rmq_group_members(client, peer_need("group"), peer_need("topic"), &list, err);

    if (r < 0)
        return r;
    *ret = names_json(list);
    rmq_free(list);
    return 0;
}

static int consumer_connection(rmq_client *client, json_t **ret, rmq_error *err)
{
    rmq_connection_list *list;
    int r = rmq_group_connections(client, peer_need("group"), &list, err);

    if (r < 0)
        return r;
    *ret = json_array();
    for (size_t i = 0; i < list->count; i++)
        json_array_append_new(*ret, json_pack("{s:s?,s:s?,s:s?,s:i}", "clientId",
                                              list->connections[i].client_id, "address",
                                              list->connections[i].address, "language",
                                              list->connections[i].language, "version",
                                              list->connections[i].version));
    rmq_free(list);
    return 0;
}

static int consume_stats(rmq_client *client, json_t **ret, rmq_error *err)
{
    rmq_group_lag *lag;
    int r = rmq_group_lag_get(client, peer_need("group"), peer_text("topic", NULL), &lag, err);
    json_t *queues = json_array();

    if (r < 0)
        return r;
    for (size_t i = 0; i < lag->count; i++) {
        json_t *e = queue_json(&lag->queues[i].queue);

        json_object_set_new(e, "brokerOffset", json_integer(lag->queues[i].broker_offset));
        json_object_set_new(e, "consumerOffset", json_integer(lag->queues[i].consumer_offset));
        json_object_set_new(e, "last", json_integer(lag->queues[i].last_ms));
        json_array_append_new(queues, e);
    }
    *ret = json_pack("{s:o,s:I}", "queues", queues, "total", (json_int_t)lag->total);
    rmq_free(lag);
    return 0;
}

static int committed(rmq_client *client, json_t **ret, rmq_error *err)
{
    rmq_queue q = queue_option();
    int64_t offset = 0;
    int r = rmq_offset_committed(client, peer_need("group"), &q, &offset, err);

    *ret = json_integer(offset);
    return r;
}

static int commit(rmq_client *client, json_t **ret, rmq_error *err)
{
    rmq_queue q = queue_option();

    *ret = json_null();
    return rmq_offset_commit(client, peer_need("group"), &q, peer_number("offset", 0), err);
}

/* ---- by hand --------------------------------------------------------------------------------- */

static int request(rmq_client *client, json_t **ret, rmq_error *err)
{
    json_t *fields = json_loads(peer_text("fields", "{}"), 0, NULL), *value;
    rmq_text_pair pairs[64];
    size_t n = 0, len = 0;
    const char *name;
    char *body = NULL;
    int r;

    json_object_foreach(fields, name, value)
    {
        if (n < 64)
            pairs[n++] = (rmq_text_pair){name, json_string_value(value)};
    }
    r = rmq_call(client, peer_need("addr"), (int)peer_number("code", 0), pairs, n,
                 peer_slice(peer_text("body", NULL)), &body, &len, err);
    json_decref(fields);
    if (r < 0)
        return r;
    *ret = json_pack("{s:i,s:o}", "code", r, "body", peer_base64((rmq_slice){body, len}));
    rmq_free(body);
    return 0;
}

static const struct call {
    const char *name;
    int (*run)(rmq_client *client, json_t **ret, rmq_error *err);
} calls[] = {
    {"clusterInfo", cluster_info},
    {"brokerConfig", broker_config},
    {"brokerRuntime", broker_runtime},
    {"createTopic", create_topic},
    {"deleteTopic", delete_topic},
    {"topicList", topic_list},
    {"topicStats", topic_stats},
    {"route", route},
    {"offsetMin", offset_min},
    {"offsetMax", offset_max},
    {"offsetByTime", offset_by_time},
    {"createGroup", create_group},
    {"deleteGroup", delete_group},
    {"members", members},
    {"consumerConnection", consumer_connection},
    {"consumeStats", consume_stats},
    {"committed", committed},
    {"commit", commit},
    {"request", request},
};

int peer_admin(rmq_client *client)
{
    const char *name = peer_need("call");
    rmq_error err = {0};
    json_t *value = NULL, *e;

    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (strcmp(calls[i].name, name) != 0)
            continue;
        if (calls[i].run(client, &value, &err) < 0) {
            json_decref(value);
            peer_print(peer_error(&err));
            return 1;
        }
        e = peer_event("answer");
        json_object_set_new(e, "value", value);
        peer_print(e);
        peer_options_done();
        return 0;
    }
    peer_die("admin --call %s: no such call", name);
}
