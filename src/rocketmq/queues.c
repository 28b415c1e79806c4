/* SPDX-License-Identifier: Apache-2.0 */
/* The queues of a topic, for applications: a route spelled out. */
#include "rocketmq/client_own.h"

#include "base/units.h"

#include <string.h>

struct counted {
    const char *broker;
    size_t len;
    int32_t count;
};

/* Takes "broker:count" off `at`; false at the end or at something else. */
static bool next_ordered(const char **at, struct counted *ret)
{
    size_t len = strcspn(*at, ";");
    const char *colon = memchr(*at, ':', len);
    int64_t count;

    if (!colon ||
        rc_parse_int64(omc_slice_of(colon + 1, len - (size_t)(colon - *at) - 1), &count) < 0 ||
        count < 0 || count > 65536)
        return false;
    *ret = (struct counted){*at, (size_t)(colon - *at), (int32_t)count};
    *at += len + ((*at)[len] == ';');
    return true;
}

static const rmq_route_broker *broker_of(const rmq_route *route, size_t i)
{
    return &route->brokers[route->queues[i].broker];
}

/* Queues that `orderTopicConf` gives a broker: it replaces the number of write queues. */
static int32_t ordered_count(const rmq_route *route, const char *broker)
{
    const char *at = route->order_conf;
    struct counted c;

    while (next_ordered(&at, &c))
        if (strlen(broker) == c.len && memcmp(broker, c.broker, c.len) == 0)
            return c.count;
    return 0;
}

static int32_t count_of(const rmq_route *route, size_t i, enum rmq_route_for what)
{
    const rmq_route_queues *queues = &route->queues[i];
    const rmq_route_broker *broker = broker_of(route, i);

    if (!(queues->perm & (int32_t)what))
        return 0;
    if (what == RMQ_FOR_READING)
        return queues->read;
    if (!broker->leaders && broker->nodes[0].id != 0)
        return 0; /* Without a master nothing can be written. */
    return route->order_conf ? ordered_count(route, broker->name) : queues->write;
}

struct wanted {
    const char *topic;
    enum rmq_route_for what;
    rmq_queue_list *list;
};

/* One allocation: list, queues, texts. */
static void spell_out(void *arg, const rmq_route *route)
{
    struct wanted *w = arg;
    size_t queues = 0;
    size_t text = strlen(w->topic) + 1;
    rmq_queue_list *list;
    char *at;
    const char *topic;

    for (size_t i = 0; i < route->queue_count; i++) {
        queues += (size_t)count_of(route, i, w->what);
        text += strlen(broker_of(route, i)->name) + 1;
    }
    list = rc_calloc(1, sizeof *list + queues * sizeof(rmq_queue) + text);
    list->queues = (rmq_queue *)(void *)(list + 1);
    at = (char *)(list->queues + queues);
    topic = memcpy(at, w->topic, strlen(w->topic) + 1);
    at += strlen(w->topic) + 1;
    for (size_t i = 0; i < route->queue_count; i++) {
        const char *name = broker_of(route, i)->name;

        memcpy(at, name, strlen(name) + 1);
        for (int32_t id = 0; id < count_of(route, i, w->what); id++)
            list->queues[list->count++] = (rmq_queue){topic, at, id};
        at += strlen(name) + 1;
    }
    w->list = list;
}

static void spell_out_both(void *arg, const rmq_route *route)
{
    struct wanted *both = arg;

    spell_out(&both[0], route);
    spell_out(&both[1], route);
}

static int look_up(rmq_client *client, const char *topic, void (*use)(void *, const rmq_route *),
                   struct wanted *wanted, rc_error *err)
{
    char wire[256];
    int r = rmq_name_check("topic", topic, 255, err);

    return r < 0 ? r
                 : rmq_client_route(client, rmq_client_wire_name(client, topic, wire), 0, use,
                                    wanted, err);
}

int rmq_topic_queues(rmq_client *client, const char *topic, enum rmq_route_for what,
                     rmq_queue_list **ret, rmq_error *err)
{
    struct wanted wanted = {.topic = topic, .what = what};
    int r = look_up(client, topic, spell_out, &wanted, err);

    if (r == 0)
        *ret = wanted.list;
    return r;
}

int rmq_client_queues(rmq_client *client, const char *topic, rmq_queue_list **ret_writable,
                      rmq_queue_list **ret_readable, rc_error *err)
{
    struct wanted both[] = {{.topic = topic, .what = RMQ_FOR_WRITING},
                            {.topic = topic, .what = RMQ_FOR_READING}};
    int r = look_up(client, topic, spell_out_both, both, err);

    if (r == 0) {
        *ret_writable = both[0].list;
        *ret_readable = both[1].list;
    }
    return r;
}

void rmq_queue_list_free(rmq_queue_list *list)
{
    free(list);
}
