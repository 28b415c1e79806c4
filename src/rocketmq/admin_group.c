/* SPDX-License-Identifier: Apache-2.0 */
/* Consumer groups: made and deleted on all masters, members, connections, lag. */
#include "rocketmq/admin_impl.h"

#include <string.h>

#define CONNECTIONS_MAX 65536

static const char *subject_of(const char *group, char out[300])
{
    (void)snprintf(out, 300, "group '%s'", group);
    return out;
}

/* ---- making and deleting --------------------------------------------------------------------- */

static int create_on(rmq_client *client, const char *group, const char *wire,
                     const struct admin_broker *broker, rc_error *err)
{
    /* What is not named here takes the default of the broker's version. */
    ADMIN_JSON config =
        json_pack("{s:s, s:b, s:b, s:i, s:i}", "groupName", wire, "consumeEnable", 1,
                  "consumeBroadcastEnable", 1, "retryQueueNums", 1, "retryMaxTimes", 16);
    RC_AUTO_FREE char *body = json_dumps(config, JSON_COMPACT);
    ADMIN_CALL call;
    char subject[300];

    admin_call_init(&call, client, RMQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, broker->name,
                    broker->address);
    call.subject = subject_of(group, subject);
    call.body = omc_slice_of(body, strlen(body));
    return admin_ask(&call, 0, err);
}

static int delete_on(rmq_client *client, const char *group, const char *wire,
                     const struct admin_broker *broker, rc_error *err)
{
    ADMIN_CALL call;
    char subject[300];
    int r;

    admin_call_init(&call, client, RMQ_DELETE_SUBSCRIPTIONGROUP, broker->name, broker->address);
    call.subject = subject_of(group, subject);
    admin_text(&call, "groupName", wire);
    admin_text(&call, "cleanOffset", "true");  /* 5.x */
    admin_text(&call, "removeOffset", "true"); /* 4.9 */
    r = admin_ask(&call, RMQ_R_SUBSCRIPTION_GROUP_NOT_EXIST, err);
    return r < 0 ? r : 0;
}

static int on_all_masters(rmq_client *client, const char *group,
                          int (*on)(rmq_client *, const char *, const char *,
                                    const struct admin_broker *, rc_error *),
                          rc_error *err)
{
    RC_AUTO(admin_brokers) brokers = NULL;
    char wire[256];
    int r = admin_name(client, "group", group, ADMIN_GROUP_MAX, wire, err);

    r = r < 0 ? r : admin_masters(client, NULL, NULL, &brokers, err);
    for (size_t i = 0; r == 0 && i < brokers->count; i++)
        r = on(client, group, wire, &brokers->at[i], err);
    return r;
}

int rmq_group_create(rmq_client *client, const char *group, rmq_error *err)
{
    return on_all_masters(client, group, create_on, err);
}

int rmq_group_delete(rmq_client *client, const char *group, rmq_error *err)
{
    return on_all_masters(client, group, delete_on, err);
}

/* ---- members --------------------------------------------------------------------------------- */

/* Members as one broker knows them. */
static int members_at(rmq_client *client, const char *group, const char *wire,
                      const struct admin_broker *broker, rmq_name_list **ret, rc_error *err)
{
    ADMIN_CALL call;
    ADMIN_JSON root = NULL;
    ADMIN_JSON nobody = json_array();
    char subject[300];
    int r;

    admin_call_init(&call, client, RMQ_GET_CONSUMER_LIST_BY_GROUP, broker->name, broker->address);
    call.subject = subject_of(group, subject);
    admin_text(&call, "consumerGroup", wire);
    r = admin_ask(&call, RMQ_R_SYSTEM_ERROR, err);
    if (r == RMQ_R_SYSTEM_ERROR)
        return rmq_nobody_in_group(r, call.answer.frame.header.remark)
                   ? admin_name_list(client, nobody, ret, err)
                   : admin_refused(&call, err);
    r = r < 0 ? r : admin_json(&call, &root, err);
    if (r < 0)
        return r;
    r = admin_name_list(client, json_object_get(root, "consumerIdList"), ret, err);
    return r < 0 ? rc_wrap(err, r, "members of group '%s' from broker %s", group, broker->name) : 0;
}

/* Members send heartbeats to all brokers of their topics, so one that answers is enough. */
int rmq_group_members(rmq_client *client, const char *group, const char *topic, rmq_name_list **ret,
                      rmq_error *err)
{
    RC_AUTO(admin_brokers) brokers = NULL;
    char wire[256];
    char wire_topic[256];
    int r = admin_name(client, "group", group, ADMIN_GROUP_MAX, wire, err);

    r = r < 0 ? r : admin_name(client, "topic", topic, 255, wire_topic, err);
    r = r < 0 ? r : admin_topic_brokers(client, wire_topic, true, &brokers, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < brokers->count; i++) {
        r = members_at(client, group, wire, &brokers->at[i], ret, err);
        if (r == 0 || r == -OMC_EACCES)
            break;
    }
    return r;
}

/* ---- connections ----------------------------------------------------------------------------- */

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

static int by_client(const void *a, const void *b)
{
    const rmq_connection_info *x = a, *y = b;
    int r = strcmp(x->client_id, y->client_id);

    return r ? r : strcmp(x->address, y->address);
}

/* `seen`: client id to its connection, from all brokers. */
static rmq_connection_list *pack_connections(json_t *seen)
{
    size_t texts = 0;
    rmq_connection_list *list;
    admin_pack pack;
    const char *id;
    json_t *from;
    void *items;

    json_object_foreach(seen, id, from)
    {
        texts += strlen(id) + strlen(text_of(from, "clientAddr")) +
                 strlen(text_of(from, "language")) + 3;
    }
    list = admin_pack_new(&pack, sizeof *list, sizeof *list->connections, json_object_size(seen),
                          texts, &items);
    list->connections = items;
    json_object_foreach(seen, id, from)
    {
        rmq_connection_info *to = &list->connections[list->count++];

        to->client_id = admin_pack_text(&pack, id);
        to->address = admin_pack_text(&pack, text_of(from, "clientAddr"));
        to->language = admin_pack_text(&pack, text_of(from, "language"));
        to->version = (int32_t)json_integer_value(json_object_get(from, "version"));
    }
    if (list->count)
        qsort(list->connections, list->count, sizeof *list->connections, by_client);
    return list;
}

static int connections_at(rmq_client *client, const char *group, const char *wire,
                          const struct admin_broker *broker, json_t *seen, rc_error *err)
{
    ADMIN_CALL call;
    ADMIN_JSON root = NULL;
    const json_t *set;
    char subject[300];
    int r;

    admin_call_init(&call, client, RMQ_GET_CONSUMER_CONNECTION_LIST, broker->name, broker->address);
    call.subject = subject_of(group, subject);
    admin_text(&call, "consumerGroup", wire);
    r = admin_ask(&call, RMQ_R_CONSUMER_NOT_ONLINE, err);
    if (r != 0)
        return r < 0 ? r : 0;
    r = admin_json(&call, &root, err);
    if (r < 0)
        return r;
    set = json_object_get(root, "connectionSet");
    for (size_t i = 0; i < json_array_size(set) && json_object_size(seen) < CONNECTIONS_MAX; i++) {
        json_t *one = json_array_get(set, i);

        (void)json_object_set(seen, text_of(one, "clientId"), one);
    }
    return 0;
}

int rmq_group_connections(rmq_client *client, const char *group, rmq_connection_list **ret,
                          rmq_error *err)
{
    RC_AUTO(admin_brokers) brokers = NULL;
    ADMIN_JSON seen = json_object();
    char wire[256];
    int r = admin_name(client, "group", group, ADMIN_GROUP_MAX, wire, err);

    r = r < 0 ? r : admin_masters(client, NULL, NULL, &brokers, err);
    for (size_t i = 0; r == 0 && i < brokers->count; i++)
        r = connections_at(client, group, wire, &brokers->at[i], seen, err);
    if (r < 0)
        return r;
    if (json_object_size(seen) == 0)
        return rc_fail(err, OMC_ENOTFOUND,
                       "group '%s': no consumer is connected to any broker now; is it running, and "
                       "is its name spelled like this?",
                       group);
    *ret = pack_connections(seen);
    return 0;
}

/* ---- lag ------------------------------------------------------------------------------------- */

static rmq_group_lag *pack_lag(const admin_offsets *offsets)
{
    size_t texts = admin_offsets_sort(offsets);
    rmq_group_lag *lag;
    admin_pack pack;
    void *items;

    lag = admin_pack_new(&pack, sizeof *lag, sizeof *lag->queues, offsets->count, texts, &items);
    lag->queues = items;
    for (size_t i = 0; i < offsets->count; i++) {
        const admin_offset *from = &offsets->at[i];
        rmq_queue_lag *to = &lag->queues[lag->count++];

        to->queue.topic = admin_pack_text(&pack, from->topic);
        to->queue.broker = admin_pack_text(&pack, from->broker);
        to->queue.id = from->id;
        to->broker_offset = from->first;
        to->consumer_offset = from->second;
        to->last_ms = from->last_ms;
        lag->total += from->first - from->second;
    }
    return lag;
}

static int lag_at(rmq_client *client, const char *group, const char *wire, const char *wire_topic,
                  const struct admin_broker *broker, admin_offsets *offsets, rc_error *err)
{
    ADMIN_CALL call;
    char subject[300];
    int r;

    admin_call_init(&call, client, RMQ_GET_CONSUME_STATS, broker->name, broker->address);
    call.subject = subject_of(group, subject);
    admin_text(&call, "consumerGroup", wire);
    if (wire_topic)
        admin_text(&call, "topic", wire_topic);
    r = admin_ask(&call, 0, err);
    return r < 0 ? r
                 : admin_offsets_add(&call, "brokerOffset", "consumerOffset", "lastTimestamp",
                                     offsets, err);
}

int rmq_group_lag_get(rmq_client *client, const char *group, const char *topic, rmq_group_lag **ret,
                      rmq_error *err)
{
    RC_AUTO(admin_brokers) brokers = NULL;
    admin_offsets offsets = {0};
    char wire[256];
    char wire_topic[256];
    int r = admin_name(client, "group", group, ADMIN_GROUP_MAX, wire, err);

    if (r == 0 && topic)
        r = admin_name(client, "topic", topic, 255, wire_topic, err);
    if (r == 0)
        r = topic ? admin_topic_brokers(client, wire_topic, false, &brokers, err)
                  : admin_masters(client, NULL, NULL, &brokers, err);
    for (size_t i = 0; r == 0 && i < brokers->count; i++)
        r = lag_at(client, group, wire, topic ? wire_topic : NULL, &brokers->at[i], &offsets, err);
    if (r == 0)
        *ret = pack_lag(&offsets);
    admin_offsets_release(&offsets);
    return r;
}
