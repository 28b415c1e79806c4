/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes: the body of GET_ROUTEINFO_BY_TOPIC (protocol §4) becomes sorted arrays. Everything in it
 * is bounded; brokers that are named twice are refused, queues of brokers without an address are
 * left out (there is nobody to talk to).
 *
 * The queues of a static topic (protocol §19) belong to a logical broker per scope. Which broker
 * has one now is in the newest mapping that names it; everybody else here talks of the logical one,
 * so that a queue stays the same queue when it moves.
 */
#include "rocketmq/client_impl.h"

#include "base/units.h"

#include <string.h>

#define BROKERS_MAX 4096
#define NODES_MAX 64
#define QUEUES_MAX 65536 /* Of one broker. */
#define QUEUES_TOTAL_MAX 1048576
#define SCOPES_MAX 16
#define SCOPE_MAX 100

static int bad(rc_error *err, const char *where, const char *what)
{
    return rc_fail(err, OMC_EFORMAT, "route from the name server: %s: %s", where, what);
}

static int take_text(const json_t *object, const char *key, size_t max, char **ret, rc_error *err)
{
    const json_t *value = json_object_get(object, key);
    size_t len = json_string_length(value);

    if (!json_is_string(value) || len == 0 || len > max || strlen(json_string_value(value)) != len)
        return bad(err, key, "must be a text of a sensible length");
    *ret = rc_strdup(json_string_value(value));
    return 0;
}

static int take_int(const json_t *object, const char *key, int64_t max, int32_t *ret, rc_error *err)
{
    const json_t *value = json_object_get(object, key);
    json_int_t n = json_integer_value(value);

    if (!json_is_integer(value) || n < 0 || n > max)
        return bad(err, key, "must be a whole number of a sensible size");
    *ret = (int32_t)n;
    return 0;
}

/* ---- brokers --------------------------------------------------------------------------------- */

static int by_node_id(const void *a, const void *b)
{
    /* Both are nodes of a broker; the id comes first in them. */
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static int parse_nodes(const json_t *table, rmq_route_broker *broker, rc_error *err)
{
    const char *key;
    json_t *value;

    if (!json_is_object(table) || json_object_size(table) > NODES_MAX)
        return bad(err, "brokerAddrs", "must be an object with few entries");
    broker->nodes = rc_calloc(json_object_size(table) + 1, sizeof *broker->nodes);
    json_object_foreach((json_t *)(uintptr_t)table, key, value)
    {
        int64_t id;

        if (rc_parse_int64(omc_slice_of(key, strlen(key)), &id) < 0 || id < 0)
            return bad(err, "brokerAddrs", "its keys must be numbers");
        if (!json_is_string(value) || json_string_length(value) == 0 ||
            json_string_length(value) >= RMQ_ADDRESS_MAX)
            return bad(err, "brokerAddrs", "its values must be addresses");
        broker->nodes[broker->node_count].id = id;
        broker->nodes[broker->node_count++].address = rc_strdup(json_string_value(value));
    }
    qsort(broker->nodes, broker->node_count, sizeof *broker->nodes, by_node_id);
    return 0;
}

static int parse_broker(const json_t *item, rmq_route_broker *broker, rc_error *err)
{
    int r = take_text(item, "brokerName", RMQ_BROKER_MAX, &broker->name, err);

    if (r < 0)
        return r;
    if (json_is_string(json_object_get(item, "cluster")))
        r = take_text(item, "cluster", 255, &broker->cluster, err);
    else
        broker->cluster = rc_strdup("");
    return r < 0 ? r : parse_nodes(json_object_get(item, "brokerAddrs"), broker, err);
}

static int by_broker_name(const void *a, const void *b)
{
    const rmq_route_broker *x = a, *y = b;

    return strcmp(x->name ? x->name : "", y->name ? y->name : "");
}

static int parse_brokers(const json_t *list, rmq_route *route, rc_error *err)
{
    size_t count = json_array_size(list);

    if (!json_is_array(list) || count > BROKERS_MAX)
        return bad(err, "brokerDatas", "must be an array with at most 4,096 entries");
    route->brokers = rc_calloc(count + SCOPES_MAX, sizeof *route->brokers);
    for (size_t i = 0; i < count; i++) {
        int r;

        route->broker_count++; /* Counted first: what fails in the middle is freed too. */
        r = parse_broker(json_array_get(list, i), &route->brokers[i], err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int sort_brokers(rmq_route *route, rc_error *err)
{
    qsort(route->brokers, route->broker_count, sizeof *route->brokers, by_broker_name);
    for (size_t i = 1; i < route->broker_count; i++)
        if (strcmp(route->brokers[i - 1].name, route->brokers[i].name) == 0)
            return bad(err, "brokerDatas", "two brokers have one name");
    return 0;
}

static const rmq_route_broker *find_broker(const rmq_route *route, const char *name)
{
    rmq_route_broker key = {.name = (char *)(uintptr_t)name};

    return route->broker_count ? bsearch(&key, route->brokers, route->broker_count,
                                         sizeof *route->brokers, by_broker_name)
                               : NULL;
}

/* ---- queues ---------------------------------------------------------------------------------- */

static int by_broker_index(const void *a, const void *b)
{
    const rmq_route_queues *x = a, *y = b;

    return (x->broker > y->broker) - (x->broker < y->broker);
}

static int parse_queues_of(const json_t *item, rmq_route *route, rc_error *err)
{
    rmq_route_queues queues;
    const rmq_route_broker *broker;
    RC_AUTO_FREE char *name = NULL;
    int r = take_text(item, "brokerName", RMQ_BROKER_MAX, &name, err);

    r = r < 0 ? r : take_int(item, "readQueueNums", QUEUES_MAX, &queues.read, err);
    r = r < 0 ? r : take_int(item, "writeQueueNums", QUEUES_MAX, &queues.write, err);
    r = r < 0 ? r : take_int(item, "perm", INT32_MAX, &queues.perm, err);
    if (r < 0)
        return r;
    broker = find_broker(route, name);
    if (!broker || broker->node_count == 0)
        return 0;
    queues.broker = (size_t)(broker - route->brokers);
    route->queues[route->queue_count++] = queues;
    return 0;
}

static int parse_queues(const json_t *list, rmq_route *route, rc_error *err)
{
    size_t count = json_array_size(list);
    int64_t total = 0;

    if (!json_is_array(list) || count > BROKERS_MAX)
        return bad(err, "queueDatas", "must be an array with at most 4,096 entries");
    route->queues = rc_calloc(count + 1, sizeof *route->queues);
    for (size_t i = 0; i < count; i++) {
        int r = parse_queues_of(json_array_get(list, i), route, err);

        if (r < 0)
            return r;
    }
    qsort(route->queues, route->queue_count, sizeof *route->queues, by_broker_index);
    for (size_t i = 0; i < route->queue_count; i++) {
        total += RC_MAX(route->queues[i].read, route->queues[i].write);
        if (i && route->queues[i].broker == route->queues[i - 1].broker)
            return bad(err, "queueDatas", "two entries are about one broker");
    }
    return total > QUEUES_TOTAL_MAX ? bad(err, "queueDatas", "more than 1,048,576 queues") : 0;
}

/* ---- static topics --------------------------------------------------------------------------- */

/* "__global__" is "__syslo__global__", another scope "__syslo__" and itself, as in Java. */
static char *logical_name(const char *scope)
{
    return rc_format(RMQ_LOGICAL_BROKER "%s", strcmp(scope, "__global__") == 0 ? scope + 2 : scope);
}

/* The logical broker of a mapping's scope, with room for its queues. */
static int add_scope(const json_t *info, rmq_route *route, size_t real, rc_error *err)
{
    RC_AUTO_FREE char *scope = NULL;
    RC_AUTO_FREE char *name = NULL;
    rmq_route_broker *logical = NULL;
    int32_t total;
    int r = take_text(info, "scope", SCOPE_MAX, &scope, err);

    r = r < 0 ? r : take_int(info, "totalQueues", QUEUES_MAX, &total, err);
    if (r < 0)
        return r;
    name = logical_name(scope);
    for (size_t i = real; i < route->broker_count; i++)
        if (strcmp(route->brokers[i].name, name) == 0)
            logical = &route->brokers[i];
    if (!logical && route->broker_count - real == SCOPES_MAX)
        return bad(err, "topicQueueMappingByBroker", "too many scopes");
    if (!logical) {
        logical = &route->brokers[route->broker_count++];
        logical->name = RC_TAKE(name);
        logical->cluster = rc_strdup("");
    }
    if (total <= logical->leader_count && logical->leaders)
        return 0;
    logical->leaders = rc_realloc(logical->leaders, ((size_t)total + 1) * sizeof *logical->leaders);
    for (int32_t id = logical->leader_count; id < total; id++)
        logical->leaders[id] = (rmq_route_leader){SIZE_MAX, -1};
    logical->leader_count = total;
    return 0;
}

/* Queues that a broker says it has: the newest word counts. */
static int take_leaders(const json_t *info, rmq_route *route, rc_error *err)
{
    RC_AUTO_FREE char *broker = NULL;
    RC_AUTO_FREE char *name = logical_name(json_string_value(json_object_get(info, "scope")));
    const json_t *ids = json_object_get(info, "currIdMap");
    const int64_t epoch = json_integer_value(json_object_get(info, "epoch"));
    const rmq_route_broker *logical = find_broker(route, name);
    const rmq_route_broker *leader;
    const char *key;
    json_t *value;
    int r = take_text(info, "bname", RMQ_BROKER_MAX, &broker, err);

    if (r < 0)
        return r;
    RC_ASSERT(logical); /* add_scope() was there before */
    leader = find_broker(route, broker);
    json_object_foreach((json_t *)(uintptr_t)ids, key, value)
    {
        int64_t id;

        if (rc_parse_int64(omc_slice_of(key, strlen(key)), &id) < 0 || id < 0)
            return bad(err, "currIdMap", "its keys must be numbers");
        if (!leader || leader->node_count == 0 || id >= logical->leader_count ||
            logical->leaders[id].epoch > epoch)
            continue;
        logical->leaders[id] = (rmq_route_leader){(size_t)(leader - route->brokers), epoch};
    }
    return 0;
}

static const json_t *mappings_of(const json_t *json)
{
    const json_t *mappings = json_object_get(json, "topicQueueMappingByBroker");

    /* A list for ordered topics comes first, as in Java. */
    return json_object_size(mappings) &&
                   !json_string_length(json_object_get(json, "orderTopicConf"))
               ? mappings
               : NULL;
}

static int add_scopes(const json_t *mappings, rmq_route *route, rc_error *err)
{
    const size_t real = route->broker_count;
    const char *key;
    json_t *info;
    int r = json_object_size(mappings) > BROKERS_MAX
                ? bad(err, "topicQueueMappingByBroker", "more than 4,096 entries")
                : 0;

    json_object_foreach((json_t *)(uintptr_t)mappings, key, info)
    {
        if (r == 0)
            r = add_scope(info, route, real, err);
    }
    return r;
}

/* All queues of the logical brokers instead of those of the brokers behind them. */
static int take_mappings(const json_t *mappings, rmq_route *route, rc_error *err)
{
    int32_t perm = 0;
    const char *key;
    json_t *info;
    int r = 0;

    json_object_foreach((json_t *)(uintptr_t)mappings, key, info)
    {
        if (r == 0)
            r = take_leaders(info, route, err);
    }
    for (size_t i = 0; i < route->queue_count; i++)
        perm |= route->queues[i].perm;
    route->queue_count = 0;
    free(route->queues);
    route->queues = rc_calloc(SCOPES_MAX, sizeof *route->queues);
    for (size_t i = 0; r == 0 && i < route->broker_count; i++) {
        const int32_t count = route->brokers[i].leader_count;

        if (route->brokers[i].leaders)
            route->queues[route->queue_count++] = (rmq_route_queues){i, count, count, perm};
    }
    return r;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void free_route(rmq_route *route)
{
    for (size_t i = 0; i < route->broker_count; i++) {
        for (size_t k = 0; k < route->brokers[i].node_count; k++)
            free(route->brokers[i].nodes[k].address);
        free(route->brokers[i].nodes);
        free(route->brokers[i].leaders);
        free(route->brokers[i].name);
        free(route->brokers[i].cluster);
    }
    free(route->brokers);
    free(route->queues);
    free(route->order_conf);
    free(route);
}
RC_DEFINE_CLEANUP(rmq_route, free_route)

static void drop_json(json_t **at)
{
    json_decref(*at);
}

int rmq_route_parse(rc_slice body, rmq_route **ret, rc_error *err)
{
    __attribute__((cleanup(drop_json))) json_t *json = NULL;
    RC_AUTO(rmq_route) route = rc_calloc(1, sizeof *route);
    const json_t *order, *mappings;
    int r = rmq_json_parse(body, &json, err);

    if (r < 0)
        return rc_wrap(err, r, "route from the name server");
    mappings = mappings_of(json);
    r = parse_brokers(json_object_get(json, "brokerDatas"), route, err);
    r = r < 0 || !mappings ? r : add_scopes(mappings, route, err);
    r = r < 0 ? r : sort_brokers(route, err);
    r = r < 0 ? r : parse_queues(json_object_get(json, "queueDatas"), route, err);
    r = r < 0 || !mappings ? r : take_mappings(mappings, route, err);
    if (r < 0)
        return r;
    order = json_object_get(json, "orderTopicConf");
    if (json_string_length(order))
        route->order_conf = rc_strdup(json_string_value(order));
    route->refs = 1;
    *ret = RC_TAKE(route);
    return 0;
}

void rmq_route_ref(rmq_route *route)
{
    RC_ASSERT(route->refs > 0);
    route->refs++;
}

void rmq_route_unref(rmq_route *route)
{
    if (!route)
        return;
    RC_ASSERT(route->refs > 0);
    if (--route->refs == 0)
        free_route(route);
}

const rmq_route_broker *rmq_route_leader_of(const rmq_route *route, const char *broker,
                                            int32_t queue)
{
    const rmq_route_broker *b = find_broker(route, broker);

    if (!b || !b->leaders)
        return b;
    if (queue < 0 || queue >= b->leader_count || b->leaders[queue].broker == SIZE_MAX)
        return NULL;
    return &route->brokers[b->leaders[queue].broker];
}

const char *rmq_route_master(const rmq_route *route, const char *broker, int32_t queue)
{
    const rmq_route_broker *b = rmq_route_leader_of(route, broker, queue);

    return b && b->node_count && b->nodes[0].id == 0 ? b->nodes[0].address : NULL;
}

const char *rmq_route_reader(const rmq_route *route, const char *broker, int32_t queue, int64_t id)
{
    const rmq_route_broker *b = rmq_route_leader_of(route, broker, queue);

    if (!b || b->node_count == 0)
        return NULL;
    for (size_t i = 0; i < b->node_count; i++)
        if (b->nodes[i].id == id)
            return b->nodes[i].address;
    return b->nodes[0].address; /* The master, or the first slave when there is none. */
}

const char *rmq_route_name(const rmq_route *route, const char *broker, int32_t queue)
{
    const rmq_route_broker *b = route ? rmq_route_leader_of(route, broker, queue) : NULL;

    return b ? b->name : broker;
}
