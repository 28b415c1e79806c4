/* SPDX-License-Identifier: Apache-2.0 */
/* consume: a member of a group, or a reader of given queues; an event for each message, or only
 * checks of their order. */
#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

typedef struct consumer {
    rmq_consumer *consumer;
    bool assigned, quiet, bodies;
    int64_t count, idle_ms, slow_ms;
    peer_order *order; /* NULL = not checked */
    peer_progress progress;
    int64_t messages, bytes, offsets_back;
    struct {
        char name[RMQ_TOPIC_MAX + RMQ_BROKER_MAX + 16];
        int64_t next;
    } queues[1024];
    size_t queue_count;
} consumer;

/* ---- events ---------------------------------------------------------------------------------- */

static json_t *properties_of(const rmq_message *m)
{
    json_t *props = json_object();

    for (size_t i = 0; i < m->property_count; i++) {
        char name[256];

        (void)snprintf(name, sizeof(name), "%.*s", (int)m->properties[i].name.len,
                       m->properties[i].name.base);
        json_object_set_new(props, name, peer_string(m->properties[i].value));
    }
    /* Java's client has these among the others. */
    if (m->keys.base)
        json_object_set_new(props, "KEYS", peer_string(m->keys));
    if (m->tags.base)
        json_object_set_new(props, "TAGS", peer_string(m->tags));
    if (m->unique_key.base)
        json_object_set_new(props, "UNIQ_KEY", peer_string(m->unique_key));
    return props;
}

static void print_message(const consumer *c, const rmq_queue *queue, const rmq_message *m)
{
    json_t *e = peer_event("message");
    char offset_id[57];

    json_object_set_new(e, "topic", peer_cstring(queue->topic));
    json_object_set_new(e, "broker", peer_cstring(queue->broker));
    json_object_set_new(e, "queue", json_integer(queue->id));
    json_object_set_new(e, "offset", json_integer(m->queue_offset));
    json_object_set_new(e, "msgId", peer_string(m->unique_key));
    rmq_message_offset_id(m, offset_id);
    json_object_set_new(e, "offsetMsgId", peer_cstring(offset_id));
    json_object_set_new(e, "keys", peer_string(m->keys));
    json_object_set_new(e, "tags", peer_string(m->tags));
    json_object_set_new(e, "props", properties_of(m));
    if (c->bodies)
        json_object_set_new(e, "body", peer_base64(m->body));
    json_object_set_new(e, "size", json_integer((json_int_t)m->body.len));
    json_object_set_new(e, "crc",
                        json_integer(
                            (json_int_t)crc32(0, (const Bytef *)(m->body.len ? m->body.base : ""),
                                              (uInt)m->body.len)));
    json_object_set_new(e, "sysFlag", json_integer(m->sys_flag));
    json_object_set_new(e, "flag", json_integer(m->flag));
    json_object_set_new(e, "born", json_integer(m->born_ms));
    json_object_set_new(e, "stored", json_integer(m->stored_ms));
    json_object_set_new(e, "reconsume", json_integer(m->reconsume_times));
    peer_print(e);
}

static json_t *queue_names(const rmq_queue *queues, size_t count)
{
    json_t *names = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(names, json_sprintf("%s %s %d", queues[i].topic, queues[i].broker,
                                                  queues[i].id));
    return names;
}

static void on_balanced(void *arg, const rmq_queue *revoked, size_t revoked_count,
                        const rmq_queue *given, size_t given_count)
{
    json_t *e = peer_event("balanced");

    (void)arg;
    json_object_set_new(e, "revoked", queue_names(revoked, revoked_count));
    json_object_set_new(e, "given", queue_names(given, given_count));
    peer_print(e);
}

/* The queues it has now, when they have changed: the same event as Peer.java's. */
static void print_assignment(consumer *c, json_t **last)
{
    size_t n;
    const rmq_queue *queues = rmq_consumer_assignment(c->consumer, &n);
    json_t *now = queue_names(queues, n), *e;

    if (*last && json_equal(*last, now)) {
        json_decref(now);
        return;
    }
    json_decref(*last);
    *last = now;
    e = peer_event("queues");
    json_object_set(e, "queues", now);
    peer_print(e);
}

/* ---- fetching -------------------------------------------------------------------------------- */

static void print_back(const rmq_queue *queue, int64_t offset, int64_t next)
{
    json_t *e = peer_event("back");

    json_object_set_new(e, "broker", peer_cstring(queue->broker));
    json_object_set_new(e, "queue", json_integer(queue->id));
    json_object_set_new(e, "offset", json_integer(offset));
    json_object_set_new(e, "expected", json_integer(next));
    peer_print(e);
}

/* Offsets of a queue go on where they were; gaps are the filter's. */
static void check_offsets(consumer *c, const rmq_fetch *f)
{
    char name[RMQ_TOPIC_MAX + RMQ_BROKER_MAX + 16];
    size_t i = 0;

    (void)snprintf(name, sizeof(name), "%s %s %d", f->queue.topic, f->queue.broker, f->queue.id);
    while (i < c->queue_count && strcmp(c->queues[i].name, name) != 0)
        i++;
    if (i == sizeof(c->queues) / sizeof(c->queues[0]))
        return;
    if (i == c->queue_count) {
        c->queue_count++;
        (void)snprintf(c->queues[i].name, sizeof(c->queues[i].name), "%s", name);
    }
    for (size_t k = 0; k < f->count; k++) {
        if (f->messages[k].queue_offset < c->queues[i].next && c->offsets_back++ < 10)
            print_back(&f->queue, f->messages[k].queue_offset, c->queues[i].next);
        c->queues[i].next = f->messages[k].queue_offset + 1;
    }
}

static void take_messages(consumer *c, const rmq_fetch *f)
{
    check_offsets(c, f);
    peer_progress_add(&c->progress, f->queue.broker, (int64_t)f->count);
    for (size_t i = 0; i < f->count; i++) {
        c->messages++;
        c->bytes += (int64_t)f->messages[i].body.len;
        if (c->order)
            peer_order_take(c->order, f->messages[i].body);
        if (!c->quiet)
            print_message(c, &f->queue, &f->messages[i]);
    }
}

/* Position outside of what there is: told, and taken where the broker proposes. */
static void take_event(consumer *c, int event, const rmq_fetch *f, const rmq_error *why)
{
    json_t *e = peer_error(why);
    rmq_error err = {0};

    json_object_set_new(e, "event", json_string(event == RMQ_FETCH_MOVED ? "moved" : "lost"));
    json_object_set_new(e, "queue", json_integer(f->queue.id));
    json_object_set_new(e, "broker", peer_cstring(f->queue.broker));
    json_object_set_new(e, "next", json_integer(f->next_offset));
    peer_print(e);
    if (event == RMQ_FETCH_MOVED &&
        rmq_consumer_seek(c->consumer, &f->queue, f->next_offset, &err) < 0)
        peer_print(peer_error(&err));
}

static void fetch_all(consumer *c)
{
    int64_t heard = peer_now_ns();
    json_t *last = NULL;
    rmq_error err = {0};

    while (!peer_stop && !(c->count && c->messages >= c->count) &&
           !(c->idle_ms && peer_now_ns() - heard > c->idle_ms * 1000000)) {
        rmq_fetch f = {0};
        int event = rmq_consumer_fetch(c->consumer, 100, &f, &err);

        if (event < 0)
            peer_fail(&err);
        print_assignment(c, &last);
        if (event == RMQ_FETCH_NONE) {
            peer_progress_flush(&c->progress);
            continue;
        }
        heard = peer_now_ns();
        if (event == RMQ_FETCH_MESSAGES)
            take_messages(c, &f);
        else
            take_event(c, event, &f, &err);
        if (c->slow_ms) {
            struct timespec t = {c->slow_ms / 1000, c->slow_ms % 1000 * 1000000};

            (void)nanosleep(&t, NULL);
        }
        rmq_fetch_release(c->consumer, &f);
    }
    json_decref(last);
}

/* ---- beginning and end ----------------------------------------------------------------------- */

static int64_t begin_of(rmq_client *client, const rmq_queue *q, const char *from)
{
    rmq_error err = {0};
    int64_t offset;
    int r;

    if (strcmp(from, "first") != 0 && strcmp(from, "last") != 0)
        return strtoll(from, NULL, 10);
    r = strcmp(from, "last") == 0 ? rmq_offset_max(client, q, &offset, &err)
                                  : rmq_offset_min(client, q, &offset, &err);
    if (r < 0)
        peer_fail(&err);
    return offset;
}

static void add_queues(rmq_client *client, consumer *c, const char *topic, const char *from)
{
    rmq_queue_list *list = peer_queues(client, topic, RMQ_FOR_READING);
    rmq_error err = {0};

    for (size_t i = 0; i < list->count; i++) {
        if (rmq_consumer_add(c->consumer, &list->queues[i],
                             begin_of(client, &list->queues[i], from), &err) < 0)
            peer_fail(&err);
    }
    rmq_queue_list_free(list);
}

static void subscribe(rmq_client *client, consumer *c, const char *topics, const char *from)
{
    const char *sql = peer_text("sql", NULL), *expression = peer_text("tags", "*");
    enum rmq_filter filter = sql ? RMQ_FILTER_SQL92 : RMQ_FILTER_TAG;
    char *list = strdup(topics), *save = NULL;
    rmq_error err = {0};

    for (char *t = strtok_r(list, ",", &save); t; t = strtok_r(NULL, ",", &save)) {
        int r = c->assigned
                    ? rmq_consumer_filter(c->consumer, t, filter, sql ? sql : expression, &err)
                    : rmq_consumer_subscribe(c->consumer, t, filter, sql ? sql : expression, &err);

        if (r < 0)
            peer_fail(&err);
        if (c->assigned)
            add_queues(client, c, t, from);
    }
    free(list);
}

static int finish(consumer *c, int64_t began_ns)
{
    json_t *e = peer_event("total");
    int status = c->offsets_back ? 1 : 0;

    json_object_set_new(e, "count", json_integer(c->messages));
    json_object_set_new(e, "bytes", json_integer(c->bytes));
    json_object_set_new(e, "offsetsBack", json_integer(c->offsets_back));
    json_object_set_new(e, "seconds", json_real((double)(peer_now_ns() - began_ns) / 1e9));
    if (c->order) {
        peer_order_report(c->order, e);
        status = status || peer_order_bad(c->order) ? 1 : 0;
    }
    peer_print(e);
    if (c->count && c->messages < c->count)
        status = 1;
    return status;
}

int peer_consume(rmq_client *client)
{
    consumer *c = peer_zeroed(1, sizeof(*c));
    const char *topics = peer_need("topic"), *from = peer_text("from", "first");
    rmq_consumer_config config = {
        .group = peer_text("group", "PEER_C"),
        .buffer_bytes = (size_t)peer_number("buffer", 0),
        .pull_count = (int32_t)peer_number("pullCount", 0),
        .poll_ms = peer_number("poll", 0),
        .read_slaves = peer_flag("slaves"),
        .start = strcmp(from, "last") == 0 ? RMQ_START_LAST : RMQ_START_FIRST,
        .commit_ms = peer_number("commit", 0),
        .balance_ms = peer_number("balance", 0),
        .balanced = on_balanced,
    };
    int64_t began = peer_now_ns();
    rmq_error err = {0};
    json_t *e;
    int status;

    c->assigned = peer_flag("assigned");
    c->quiet = peer_flag("quiet");
    c->bodies = strcmp(peer_text("bodies", "true"), "true") == 0;
    c->count = peer_number("count", 0);
    c->idle_ms = peer_number("idle", 0);
    c->slow_ms = peer_number("slow", 0);
    c->progress.every_ns = peer_number("progress", 0) * 1000000;
    c->order = peer_flag("check") ? peer_order_new() : NULL;
    (void)peer_text("tags", NULL);
    (void)peer_text("sql", NULL);
    (void)peer_text("queues", NULL);
    peer_options_done();
    if (rmq_consumer_open(client, &config, &c->consumer, &err) < 0)
        peer_fail(&err);
    subscribe(client, c, topics, from);
    e = peer_event("started");
    json_object_set_new(e, "clientId", peer_cstring(rmq_client_id(client)));
    peer_print(e);
    fetch_all(c);
    rmq_consumer_close(c->consumer);
    status = finish(c, began);
    peer_print(peer_event("stopped"));
    peer_order_free(c->order);
    free(c);
    return status;
}
