/* SPDX-License-Identifier: Apache-2.0 */
/* Which brokers to ask: all masters of a cluster (106), or those of a topic's route. */
#include "rocketmq/admin_impl.h"

#include "base/units.h"

#include <string.h>

#define BROKERS_MAX 4096

void admin_brokers_free(admin_brokers *brokers)
{
    if (!brokers)
        return;
    free(brokers->at);
    free(brokers);
}

/* ---- cluster --------------------------------------------------------------------------------- */

/* Bytes of texts and number of nodes; -1 when the reply has another form. */
static int64_t measure(const json_t *table, size_t *texts)
{
    const char *name;
    const char *id;
    json_t *broker;
    json_t *address;
    int64_t count = 0;

    *texts = 0;
    json_object_foreach((json_t *)(uintptr_t)table, name, broker)
    {
        const char *cluster = json_string_value(json_object_get(broker, "cluster"));

        json_object_foreach(json_object_get(broker, "brokerAddrs"), id, address)
        {
            int64_t number;

            if (!json_is_string(address) || rc_parse_int64(omc_slice_of(id, strlen(id)), &number))
                return -1;
            *texts += strlen(name) + strlen(cluster ? cluster : "") +
                      strlen(json_string_value(address)) + 3;
            count++;
        }
    }
    return count > BROKERS_MAX ? -1 : count;
}

static int by_name_and_id(const void *a, const void *b)
{
    const rmq_broker_info *x = a, *y = b;
    int r = strcmp(x->name, y->name);

    return r ? r : (x->id > y->id) - (x->id < y->id);
}

static void fill(const json_t *table, admin_pack *pack, rmq_cluster_info *info)
{
    const char *name;
    const char *id;
    json_t *broker;
    json_t *address;

    json_object_foreach((json_t *)(uintptr_t)table, name, broker)
    {
        const char *cluster = json_string_value(json_object_get(broker, "cluster"));

        json_object_foreach(json_object_get(broker, "brokerAddrs"), id, address)
        {
            rmq_broker_info *at = &info->brokers[info->count++];

            (void)rc_parse_int64(omc_slice_of(id, strlen(id)), &at->id);
            at->name = admin_pack_text(pack, name);
            at->cluster = admin_pack_text(pack, cluster ? cluster : "");
            at->address = admin_pack_text(pack, json_string_value(address));
        }
    }
    if (info->count)
        qsort(info->brokers, info->count, sizeof *info->brokers, by_name_and_id);
}

int rmq_cluster_info_get(rmq_client *client, rmq_cluster_info **ret, rmq_error *err)
{
    ADMIN_CALL call;
    ADMIN_JSON root = NULL;
    const json_t *table;
    rmq_cluster_info *info;
    admin_pack pack;
    size_t texts;
    int64_t count;
    void *array;
    int r;

    admin_call_init(&call, client, RMQ_GET_BROKER_CLUSTER_INFO, NULL, NULL);
    r = admin_ask(&call, 0, err);
    r = r < 0 ? r : admin_json(&call, &root, err);
    if (r < 0)
        return r;
    table = json_object_get(root, "brokerAddrTable");
    count = measure(table, &texts);
    if (count < 0)
        return rc_fail(err, OMC_EFORMAT,
                       "GET_BROKER_CLUSTER_INFO at the name server: the reply has no table of "
                       "brokers and addresses");
    info = admin_pack_new(&pack, sizeof *info, sizeof *info->brokers, (size_t)count, texts, &array);
    info->brokers = array;
    fill(table, &pack, info);
    *ret = info;
    return 0;
}

/* ---- masters --------------------------------------------------------------------------------- */

static int none(const rmq_cluster_info *info, const char *cluster, const char *broker,
                rc_error *err)
{
    RC_AUTO(rc_buf) known = &(rc_buf)RC_BUF(600);

    for (size_t i = 0; i < info->count; i++)
        rc_buf_printf(known, "%s%s (%lld) of cluster %s", i ? ", " : "", info->brokers[i].name,
                      (long long)info->brokers[i].id, info->brokers[i].cluster);
    return rc_fail_retriable(err, OMC_ENOTFOUND,
                             "the name server knows no %s%s%s%s%s; it knows: %s",
                             broker ? "master of broker '" : "master", broker ? broker : "",
                             broker ? "'" : "", cluster ? " in cluster " : "",
                             cluster ? cluster : "",
                             info->count ? known->data
                                         : "no brokers at all; are they running, and "
                                           "registered at this name server?");
}

int admin_masters(rmq_client *client, const char *cluster, const char *broker, admin_brokers **ret,
                  rc_error *err)
{
    RC_AUTO(admin_brokers) found = rc_calloc(1, sizeof *found);
    rmq_cluster_info *info;
    int r = rmq_cluster_info_get(client, &info, err);

    if (r < 0)
        return r;
    found->at = rc_calloc(info->count + 1, sizeof *found->at);
    for (size_t i = 0; i < info->count; i++) {
        const rmq_broker_info *b = &info->brokers[i];
        struct admin_broker *at = &found->at[found->count];

        if (b->id != 0 || (cluster && strcmp(cluster, b->cluster) != 0) ||
            (broker && strcmp(broker, b->name) != 0))
            continue;
        (void)snprintf(at->name, sizeof at->name, "%s", b->name);
        (void)snprintf(at->address, sizeof at->address, "%s", b->address);
        found->count++;
    }
    if (found->count == 0)
        r = none(info, cluster, broker, err);
    else
        *ret = RC_TAKE(found);
    rmq_free(info);
    return r;
}

/* ---- topics ---------------------------------------------------------------------------------- */

struct copying {
    bool slaves;
    admin_brokers *to;
};

static void copy_broker(struct copying *copying, const rmq_route *route,
                        const rmq_route_broker *broker, const rmq_route_queues *queues)
{
    admin_brokers *to = copying->to;
    struct admin_broker *at = &to->at[to->count];
    const char *address = copying->slaves ? rmq_route_reader(route, broker->name, -1, 0)
                                          : rmq_route_master(route, broker->name, -1);

    if (!address)
        return;
    (void)snprintf(at->name, sizeof at->name, "%s", broker->name);
    (void)snprintf(at->address, sizeof at->address, "%s", address);
    at->read = queues->read;
    at->write = queues->write;
    at->perm = queues->perm;
    to->count++;
}

static void copy_brokers(void *arg, const rmq_route *route)
{
    struct copying *copying = arg;

    copying->to->at =
        rc_calloc(route->queue_count + route->broker_count + 1, sizeof *copying->to->at);
    for (size_t i = 0; i < route->queue_count; i++) {
        const rmq_route_queues *queues = &route->queues[i];

        if (!route->brokers[queues->broker].leaders) {
            copy_broker(copying, route, &route->brokers[queues->broker], queues);
            continue;
        }
        for (size_t k = 0; i == 0 && k < route->broker_count; k++) /* who may have its queues */
            copy_broker(copying, route, &route->brokers[k], queues);
    }
}

int admin_topic_brokers(rmq_client *client, const char *wire_topic, bool slaves,
                        admin_brokers **ret, rc_error *err)
{
    RC_AUTO(admin_brokers) found = rc_calloc(1, sizeof *found);
    struct copying copying = {slaves, found};
    int r = rmq_client_route(client, wire_topic, 0, copy_brokers, &copying, err);

    if (r < 0)
        return r;
    if (found->count == 0)
        return rc_fail_retriable(err, OMC_ECONNECT,
                                 "topic '%s': none of its brokers has a master now; start them, or "
                                 "wait until one is elected",
                                 wire_topic);
    *ret = RC_TAKE(found);
    return 0;
}

struct finding {
    const rmq_queue *queue;
    bool slave;
    bool known;
    admin_place *to;
};

static void find_address(void *arg, const rmq_route *route)
{
    struct finding *f = arg;
    const char *any = rmq_route_reader(route, f->queue->broker, f->queue->id, 0);
    const char *address = f->slave ? any : rmq_route_master(route, f->queue->broker, f->queue->id);

    f->known = any != NULL;
    (void)snprintf(f->to->address, sizeof f->to->address, "%s", address ? address : "");
    (void)snprintf(f->to->name, sizeof f->to->name, "%s",
                   rmq_route_name(route, f->queue->broker, f->queue->id));
}

int admin_topic_broker(rmq_client *client, const rmq_queue *queue, bool slave, bool fresh,
                       admin_place *ret, rc_error *err)
{
    const int64_t ages[] = {fresh ? 0 : rmq_client_settings(client)->route_refresh_ms, 0};
    struct finding f = {.queue = queue, .slave = slave, .to = ret};
    char wire[256];
    int r = admin_name(client, "topic", queue->topic, 255, wire, err);

    for (size_t i = 0; r == 0 && i < RC_COUNT(ages); i++) {
        r = rmq_client_route(client, wire, ages[i], find_address, &f, err);
        if (r == 0 && ret->address[0])
            return 0;
    }
    if (r < 0)
        return r;
    return f.known ? rc_fail_retriable(err, OMC_ECONNECT, "topic '%s': broker %s has no master now",
                                       queue->topic, queue->broker)
                   : rc_fail(err, OMC_ENOTFOUND,
                             "topic '%s' is not on broker '%s', says the name server; see "
                             "mqadmin topicRoute -t %s",
                             queue->topic, queue->broker, queue->topic);
}
