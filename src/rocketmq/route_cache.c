/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Known routes. One timer serves all topics: refreshes, asks that must wait 100 ms after the last
 * one, and answers that are known already (nobody is called back from inside his own call).
 *
 * When a name server says that a topic does not exist, whoever asked is told so, but the route
 * known before stays: a name server that has just started knows no topics yet.
 */
#include "rocketmq/client_own.h"

#include <string.h>
#include <utlist.h>

#define USED_MS 600000  /* Topics nobody asked for so long are forgotten. */
#define APART_MS 100    /* Least time between two requests for one topic. */
#define FAILED_MS 1000  /* Again after an error. */
#define UNKNOWN_MS 5000 /* Again for a topic that does not exist. */

struct waiter {
    struct waiter *prev, *next;
    bool ready; /* The known route will do. */
    rmq_route_fn *done;
    void *arg;
};

typedef struct rmq_topic_entry {
    rmq_client *client;
    char *topic;
    rmq_route *route;
    struct waiter *waiters;
    bool asking;
    bool wanted; /* Somebody waits for a new one. */
    bool gone;   /* Only kept for its request. */
    int64_t used_ms, sent_ms, due_ms;
    UT_hash_handle hh;
} topic_entry;

static void arm(rmq_client *client, int64_t at_ms)
{
    if (client->route_armed_ms && client->route_armed_ms <= at_ms)
        return;
    client->route_armed_ms = at_ms;
    rc_loop_timer_set(client->route_timer, RC_MAX(at_ms - rmq_client_now(), 0));
}

/* Tells those who wait: all, or those for whom the known route will do. */
static void tell(topic_entry *entry, bool all, const rc_error *err)
{
    struct waiter *waiter, *tmp;
    struct waiter *list = NULL;
    rmq_route *route = err ? NULL : entry->route;

    DL_FOREACH_SAFE(entry->waiters, waiter, tmp)
    {
        if (!all && !waiter->ready)
            continue;
        DL_DELETE(entry->waiters, waiter);
        DL_APPEND(list, waiter);
    }
    if (route)
        rmq_route_ref(route); /* Callbacks may change the entry. */
    DL_FOREACH_SAFE(list, waiter, tmp)
    {
        if (waiter->ready && entry->route && err && err->code != OMC_ECANCELED)
            waiter->done(waiter->arg, entry->route, NULL);
        else
            waiter->done(waiter->arg, route, err);
        free(waiter);
    }
    rmq_route_unref(route);
}

static void free_entry(topic_entry *entry)
{
    RC_ASSERT(!entry->waiters);
    rmq_route_unref(entry->route);
    free(entry->topic);
    free(entry);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static int read_reply(const topic_entry *entry, const rmq_reply *reply, rmq_route **ret,
                      rc_error *err)
{
    const rmq_header *header;
    char what[400];
    int r;

    if (reply->result < 0) {
        *err = *reply->err;
        return reply->result;
    }
    header = &reply->frame->header;
    if (header->code == RMQ_R_TOPIC_NOT_EXIST) {
        (void)omc_fail(err, OMC_ENOTFOUND,
                       OMC_ERR_RETRIABLE | (uint32_t)RMQ_R_TOPIC_NOT_EXIST << 16,
                       "topic '%s' does not exist; create it, or check its name and that its "
                       "brokers are running",
                       entry->topic);
        return -OMC_ENOTFOUND;
    }
    if (header->code != RMQ_R_SUCCESS) {
        (void)snprintf(what, sizeof what, "GET_ROUTEINFO_BY_TOPIC of topic '%s'", entry->topic);
        return rmq_fail_response(err, header->code, header->remark, what);
    }
    r = rmq_route_parse(reply->frame->body, ret, err);
    return r < 0 ? rc_wrap(err, r, "topic '%s'", entry->topic) : 0;
}

static void on_route(void *arg, const rmq_reply *reply)
{
    topic_entry *entry = arg;
    rmq_client *client = entry->client;
    rc_error err = {0};
    rmq_route *route = NULL;
    int r = read_reply(entry, reply, &route, &err);

    entry->asking = false;
    if (entry->gone) { /* The client is closing; all have been told. */
        rmq_route_unref(route);
        free_entry(entry);
        return;
    }
    if (r < 0) {
        entry->due_ms =
            rmq_client_now() + RC_MIN(err.code == OMC_ENOTFOUND ? UNKNOWN_MS : FAILED_MS,
                                      client->settings.route_refresh_ms);
    } else {
        route->fetched_ms = rmq_client_now();
        rmq_route_unref(entry->route);
        entry->route = route;
        entry->due_ms = route->fetched_ms + client->settings.route_refresh_ms;
    }
    arm(client, entry->due_ms);
    rmq_members_look(client);
    tell(entry, true, r < 0 ? &err : NULL);
}

static void ask(topic_entry *entry)
{
    static const rc_slice topic_name = {"topic", 5};
    rmq_field field = {topic_name, omc_slice_of(entry->topic, strlen(entry->topic))};
    rmq_request request = {
        .code = RMQ_GET_ROUTEINFO_BY_TOPIC,
        .fields = &field,
        .field_count = 1,
        .timeout_ms = entry->client->settings.request_timeout_ms,
        .done = on_route,
        .arg = entry,
    };

    entry->asking = true;
    entry->wanted = false;
    entry->sent_ms = rmq_client_now();
    rmq_client_call_namesrv(entry->client, &request);
}

/* What is to be done for a topic now. @return when again; -1 = it is forgotten. */
static int64_t serve(topic_entry *entry, int64_t now)
{
    int64_t at;

    if (entry->asking)
        return INT64_MAX; /* The answer arms the timer. */
    if (now - entry->used_ms >= USED_MS && !entry->waiters)
        return -1;
    at = entry->wanted ? entry->sent_ms + APART_MS
                       : RC_MAX(entry->due_ms, entry->sent_ms + APART_MS);
    if (at > now)
        return at;
    ask(entry);
    return INT64_MAX;
}

static void on_timer(void *arg)
{
    rmq_client *client = arg;
    int64_t now = rmq_client_now();
    int64_t next = INT64_MAX;
    topic_entry *entry, *tmp;

    client->route_armed_ms = 0;
    HASH_ITER(hh, client->topics, entry, tmp)
    {
        int64_t at;

        if (entry->route)
            tell(entry, false, NULL);
        at = serve(entry, now);
        if (at < 0) {
            HASH_DEL(client->topics, entry);
            free_entry(entry);
        } else {
            next = RC_MIN(next, at);
        }
    }
    if (next != INT64_MAX)
        arm(client, next);
}

/* ---- for the others -------------------------------------------------------------------------- */

static topic_entry *find(rmq_client *client, const char *topic)
{
    topic_entry *entry = NULL;
    size_t len = strlen(topic);

    HASH_FIND(hh, client->topics, topic, len, entry);
    if (entry)
        entry->used_ms = rmq_client_now();
    return entry;
}

static topic_entry *add(rmq_client *client, const char *topic)
{
    topic_entry *entry = rc_calloc(1, sizeof *entry);

    entry->client = client;
    entry->topic = rc_strdup(topic);
    entry->used_ms = rmq_client_now();
    entry->sent_ms = entry->used_ms - APART_MS;
    entry->due_ms = INT64_MAX;
    HASH_ADD_KEYPTR(hh, client->topics, entry->topic, strlen(entry->topic), entry);
    return entry;
}

rmq_route *rmq_route_known(rmq_client *client, const char *wire_topic)
{
    topic_entry *entry = find(client, wire_topic);

    RC_ASSERT(rmq_io_here());
    return entry ? entry->route : NULL;
}

void rmq_route_ask(rmq_client *client, const char *wire_topic, int64_t max_age_ms,
                   rmq_route_fn *done, void *arg)
{
    topic_entry *entry = find(client, wire_topic);
    struct waiter *waiter = rc_calloc(1, sizeof *waiter);
    int64_t now = rmq_client_now();

    RC_ASSERT(rmq_io_here() && !client->closing);
    if (!entry)
        entry = add(client, wire_topic);
    waiter->done = done;
    waiter->arg = arg;
    waiter->ready = entry->route && now - entry->route->fetched_ms < max_age_ms;
    DL_APPEND(entry->waiters, waiter);
    if (waiter->ready) {
        arm(client, now);
    } else if (!entry->asking) {
        entry->wanted = true;
        arm(client, RC_MAX(now, entry->sent_ms + APART_MS));
    }
}

struct seen {
    UT_hash_handle hh;
    char address[];
};

void rmq_route_each_broker(rmq_client *client, rmq_address_fn *each, void *arg)
{
    struct seen *all = NULL, *seen, *next;
    topic_entry *entry, *tmp;

    HASH_ITER(hh, client->topics, entry, tmp)
    {
        for (size_t i = 0; entry->route && i < entry->route->broker_count; i++) {
            const rmq_route_broker *broker = &entry->route->brokers[i];

            for (size_t k = 0; k < broker->node_count; k++) {
                const char *address = broker->nodes[k].address;
                size_t len = strlen(address);

                HASH_FIND(hh, all, address, len, seen);
                if (seen)
                    continue;
                seen = rc_calloc(1, sizeof *seen + len + 1);
                memcpy(seen->address, address, len);
                HASH_ADD_KEYPTR(hh, all, seen->address, len, seen);
                each(arg, broker->name, broker->nodes[k].id, address);
            }
        }
    }
    HASH_ITER(hh, all, seen, next)
    {
        HASH_DEL(all, seen);
        free(seen);
    }
}

void rmq_routes_start(rmq_client *client)
{
    RC_ASSERT(rc_loop_timer_new(client->loop, on_timer, client, &client->route_timer) == 0);
}

void rmq_routes_close(rmq_client *client)
{
    rc_error err = {.code = OMC_ECANCELED, .msg = "the client was closed"};
    topic_entry *entry, *tmp;

    rc_loop_timer_free(RC_TAKE(client->route_timer));
    HASH_ITER(hh, client->topics, entry, tmp)
    {
        tell(entry, true, &err);
        HASH_DEL(client->topics, entry);
        entry->gone = true;
        if (!entry->asking)
            free_entry(entry);
    }
}
