/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Topics of a producer: the list of queues is taken from the first route and kept, so that a key
 * stays with its queue.
 */
#include "rocketmq/producer_impl.h"

#include "base/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <utlist.h>

/** Queues of a topic that the first message makes (defaultTopicQueueNums, field d). */
#define CREATED_QUEUES 4
/** A topic has less; a route that says more is broken. */
#define QUEUES_MAX ((size_t)65536)
/** A broker that has not answered for so long gets no messages that may go elsewhere. */
#define AWAY_NS INT64_C(1000000000)

/* ---- queues of a route ----------------------------------------------------------------------- */

struct found_queue {
    char *broker;
    int32_t id;
};
struct found_broker {
    char *name;
    char *address;
};

/* What is copied out of a route, on the I/O thread. */
struct found {
    int32_t at_most; /* queues per broker */
    struct found_queue *queues;
    size_t count, cap;
    struct found_broker *brokers;
    size_t broker_count;
};

static void release_found(struct found *found)
{
    size_t i;

    for (i = 0; i < found->count; i++)
        free(found->queues[i].broker);
    for (i = 0; i < found->broker_count; i++) {
        free(found->brokers[i].name);
        free(found->brokers[i].address);
    }
    free(found->queues);
    free(found->brokers);
}

static void add_broker(struct found *found, const char *name, const char *address)
{
    found->brokers = rc_realloc(found->brokers, (found->broker_count + 1) * sizeof *found->brokers);
    found->brokers[found->broker_count++] =
        (struct found_broker){rc_strdup(name), rc_strdup(address)};
}

static void add_ids(struct found *found, const char *broker, int64_t n)
{
    int32_t id;

    for (id = 0; id < RC_MIN(n, (int64_t)found->at_most) && found->count < QUEUES_MAX; id++) {
        if (found->count == found->cap) {
            found->cap = found->cap ? found->cap * 2 : 16;
            found->queues = rc_realloc(found->queues, found->cap * sizeof *found->queues);
        }
        found->queues[found->count++] = (struct found_queue){rc_strdup(broker), id};
    }
}

static void add_queues(struct found *found, const rmq_route *route, const char *broker, int64_t n)
{
    const char *address = rmq_route_master(route, broker, -1);

    if (!address)
        return;
    add_broker(found, broker, address);
    add_ids(found, broker, n);
}

/* All queues of a logical broker, and the brokers they may be with. */
static void add_logical(struct found *found, const rmq_route *route, const rmq_route_queues *queues)
{
    for (size_t i = 0; i < route->broker_count; i++) {
        const rmq_route_broker *broker = &route->brokers[i];

        if (broker->node_count > 0 && broker->nodes[0].id == 0)
            add_broker(found, broker->name, broker->nodes[0].address);
    }
    add_ids(found, route->brokers[queues->broker].name, queues->write);
}

/* "broker-a:4;broker-b:2" instead of the queues of the route. */
static void add_ordered(struct found *found, const rmq_route *route)
{
    RC_AUTO_FREE char *text = rc_strdup(route->order_conf);
    char *rest = text;
    char *part;

    while ((part = strsep(&rest, ";")) != NULL) {
        char *colon = strrchr(part, ':');
        int64_t count;

        if (!colon || rc_parse_int64(omc_slice_str(colon + 1), &count) < 0)
            continue;
        *colon = '\0';
        add_queues(found, route, part, count);
    }
}

static void use_route(void *arg, const rmq_route *route)
{
    struct found *found = arg;
    size_t i;

    if (route->order_conf && *route->order_conf) {
        add_ordered(found, route);
        return;
    }
    for (i = 0; i < route->queue_count; i++) {
        const rmq_route_queues *queues = &route->queues[i];

        if (!(queues->perm & RMQ_FOR_WRITING))
            continue;
        if (route->brokers[queues->broker].leaders)
            add_logical(found, route, queues);
        else
            add_queues(found, route, route->brokers[queues->broker].name, queues->write);
    }
}

static int by_place(const void *a, const void *b)
{
    const struct found_queue *left = a;
    const struct found_queue *right = b;
    int order = strcmp(left->broker, right->broker);

    return order ? order : (left->id > right->id) - (left->id < right->id);
}

/* Asks for the queues that may be written to. Waits; not under the lock. */
static int find_queues(rmq_producer *p, const char *wire, int64_t max_age_ms, struct found *found,
                       rc_error *err)
{
    int r;

    if (rmq_io_here())
        return rc_fail(err, OMC_ESTATE,
                       "topic %s: this producer has not written to it, or to that queue, yet; send "
                       "the first message from another thread than that of the callbacks",
                       wire);
    found->at_most = INT32_MAX;
    r = rmq_client_route(p->client, wire, max_age_ms, use_route, found, err);
    if (r == -OMC_ENOTFOUND && p->create_from) {
        found->at_most = CREATED_QUEUES;
        r = rmq_client_route(p->client, p->create_from, max_age_ms, use_route, found, err);
        if (r < 0)
            r = rc_wrap(err, r, "topic %s does not exist, nor the one it would be made from", wire);
    }
    if (r < 0)
        return r;
    if (found->count == 0)
        return rc_fail_retriable(
            err, OMC_ENOTFOUND,
            "topic %s has no queue that can be written to: no broker of its route has a master, or "
            "its permission forbids it (look with mqadmin topicRoute)",
            wire);
    qsort(found->queues, found->count, sizeof *found->queues, by_place);
    return 0;
}

/* ---- brokers --------------------------------------------------------------------------------- */

/* Under the lock. */
static rmq_out_broker *broker_of(rmq_producer *p, const char *name)
{
    size_t len = strlen(name);
    rmq_out_broker *broker;

    HASH_FIND_STR(p->brokers, name, broker);
    if (!broker) {
        broker = rc_calloc(1, sizeof *broker + len + 1);
        memcpy(broker->name, name, len + 1);
        HASH_ADD_STR(p->brokers, name, broker);
    }
    return broker;
}

/* Can these brokers keep what `ack` asks for? Each is asked once. Not under the lock. */
static int check_acks(rmq_producer *p, const struct found *found, rc_error *err)
{
    size_t i;

    for (i = 0; p->config.ack != RMQ_ACK_STORED && i < found->broker_count; i++) {
        const struct found_broker *at = &found->brokers[i];
        bool checked;
        int r;

        (void)pthread_mutex_lock(&p->mu);
        checked = broker_of(p, at->name)->ack_checked;
        (void)pthread_mutex_unlock(&p->mu);
        if (checked)
            continue;
        r = rmq_ack_check(p->client, at->name, at->address, p->config.ack, err);
        if (r < 0)
            return r;
        (void)pthread_mutex_lock(&p->mu);
        broker_of(p, at->name)->ack_checked = true;
        (void)pthread_mutex_unlock(&p->mu);
    }
    return 0;
}

static bool is_away(const rmq_out_broker *broker, int64_t now_ns)
{
    return broker->ships > 0 && now_ns - broker->progress_ns > AWAY_NS;
}

/* ---- topics ---------------------------------------------------------------------------------- */

static void set_out(rmq_producer *p, rmq_out_topic *topic, rmq_out *out,
                    const struct found_queue *from)
{
    out->topic = topic;
    out->broker = broker_of(p, from->broker);
    out->id = from->id;
}

/* Under the lock. */
static rmq_out_topic *topic_new(rmq_producer *p, const char *name, const char *wire,
                                const struct found *found)
{
    rmq_out_topic *topic = rc_calloc(1, sizeof *topic);
    size_t i;

    topic->name = rc_strdup(name);
    topic->wire = rc_strdup(wire);
    topic->no_batches = strncmp(wire, "%RETRY%", 7) == 0;
    topic->queue_count = found->count;
    topic->queues = rc_calloc(found->count, sizeof *topic->queues);
    for (i = 0; i < found->count; i++)
        set_out(p, topic, &topic->queues[i], &found->queues[i]);
    topic->next = (size_t)(rmq_lane_now_ns() / 1000) % found->count;
    HASH_ADD_KEYPTR(hh, p->topics, topic->name, strlen(topic->name), topic);
    return topic;
}

/* Finds out about a topic that is new here. Not under the lock. */
static int learn(rmq_producer *p, const char *name, char wire[256], struct found *found,
                 rc_error *err)
{
    char kind[RMQ_TOPIC_MAX + 16];
    int r;

    (void)snprintf(kind, sizeof kind, "topic '%.127s'", name);
    r = rmq_name_check(kind, name, RMQ_TOPIC_MAX, err);
    if (r < 0)
        return r;
    rmq_client_wire_name(p->client, name, wire);
    r = find_queues(p, wire, rmq_client_settings(p->client)->route_refresh_ms, found, err);
    return r < 0 ? r : check_acks(p, found, err);
}

int rmq_out_topic_get(rmq_producer *p, const char *name, rmq_out_topic **ret, rc_error *err)
{
    struct found found = {0};
    char wire[256];
    int r;

    if (p->last_topic && strcmp(p->last_topic->name, name) == 0) {
        *ret = p->last_topic;
        return 0;
    }
    HASH_FIND_STR(p->topics, name, *ret);
    if (*ret) {
        p->last_topic = *ret;
        return 0;
    }
    if (HASH_COUNT(p->topics) >= RMQ_PRODUCER_TOPICS_MAX)
        return rc_fail(err, OMC_EINVAL, "topic %.127s: one producer writes to at most %d topics",
                       name, RMQ_PRODUCER_TOPICS_MAX);
    (void)pthread_mutex_unlock(&p->mu);
    r = learn(p, name, wire, &found, err);
    (void)pthread_mutex_lock(&p->mu);
    if (r == 0) {
        HASH_FIND_STR(p->topics, name, *ret); /* Another thread may have been faster. */
        if (!*ret)
            *ret = topic_new(p, name, wire, &found);
    }
    release_found(&found);
    return r;
}

void rmq_out_topics_free(rmq_producer *p)
{
    rmq_out_topic *topic;
    rmq_out_topic *next;
    rmq_out_broker *broker;
    rmq_out_broker *next_broker;
    rmq_out *extra;
    rmq_out *next_extra;

    HASH_ITER(hh, p->topics, topic, next)
    {
        HASH_DEL(p->topics, topic);
        for (extra = topic->extra; extra; extra = next_extra) {
            next_extra = extra->other;
            free(extra);
        }
        free(topic->queues);
        free(topic->name);
        free(topic->wire);
        free(topic);
    }
    HASH_ITER(hh, p->brokers, broker, next_broker)
    {
        HASH_DEL(p->brokers, broker);
        free(broker);
    }
}

/* ---- picking --------------------------------------------------------------------------------- */

static rmq_out *next_in_turn(rmq_out_topic *topic)
{
    int64_t now = rmq_lane_now_ns();
    rmq_out *first = &topic->queues[topic->next % topic->queue_count];
    size_t i;

    for (i = 0; i < topic->queue_count; i++) {
        rmq_out *out = &topic->queues[topic->next++ % topic->queue_count];

        if (!is_away(out->broker, now))
            return out;
    }
    topic->next++;
    return first;
}

static rmq_out *find_frozen(rmq_out_topic *topic, const char *broker, int32_t id)
{
    rmq_out **hot = &topic->hot[(uint32_t)id % RMQ_HOT_QUEUES];
    size_t low = 0;
    size_t high = topic->queue_count;
    rmq_out *extra;

    if (*hot && (*hot)->id == id && strcmp((*hot)->broker->name, broker) == 0)
        return *hot;
    while (low < high) {
        size_t at = low + (high - low) / 2;
        rmq_out *out = &topic->queues[at];
        int order = strcmp(broker, out->broker->name);

        if (order == 0 && out->id == id)
            return *hot = out;
        if (order < 0 || (order == 0 && id < out->id))
            high = at;
        else
            low = at + 1;
    }
    for (extra = topic->extra; extra; extra = extra->other)
        if (extra->id == id && strcmp(extra->broker->name, broker) == 0)
            return extra;
    return NULL;
}

/* A queue that the frozen list lacks, in the route of now. Unlocks while it waits. */
static int find_extra(rmq_producer *p, rmq_out_topic *topic, const rmq_target *target,
                      rmq_out **ret, rc_error *err)
{
    struct found found = {0};
    rmq_out *out = NULL;
    size_t i;
    int r;

    (void)pthread_mutex_unlock(&p->mu);
    r = find_queues(p, topic->wire, 1000, &found, err);
    if (r == 0)
        r = check_acks(p, &found, err);
    (void)pthread_mutex_lock(&p->mu);
    if (r == 0) {
        out = find_frozen(topic, target->broker, target->queue_id);
        for (i = 0; !out && i < found.count; i++) {
            if (found.queues[i].id != target->queue_id ||
                strcmp(found.queues[i].broker, target->broker) != 0 ||
                topic->extra_count >= RMQ_EXTRA_QUEUES_MAX)
                continue;
            out = rc_calloc(1, sizeof *out);
            set_out(p, topic, out, &found.queues[i]);
            out->other = topic->extra;
            topic->extra = out;
            topic->extra_count++;
        }
        if (!out)
            r = rc_fail(err, OMC_ENOTFOUND,
                        "topic %s has no queue %" PRId32 " on %.127s that can be written to; it "
                        "has %zu write queues in all",
                        topic->name, target->queue_id, target->broker, found.count);
    }
    release_found(&found);
    *ret = out;
    return r;
}

int rmq_out_pick(rmq_producer *p, rmq_out_topic *topic, const rmq_target *target, rmq_out **ret,
                 rc_error *err)
{
    if (target->broker) {
        *ret = find_frozen(topic, target->broker, target->queue_id);
        return *ret ? 0 : find_extra(p, topic, target, ret, err);
    }
    if (target->key.base) {
        /* As Java: the remainder first, so that Integer.MIN_VALUE stays in range. */
        int32_t at = rmq_java_hash(target->key) % (int32_t)topic->queue_count;

        *ret = &topic->queues[at < 0 ? -at : at];
        return 0;
    }
    *ret = next_in_turn(topic);
    return 0;
}
