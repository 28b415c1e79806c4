/* SPDX-License-Identifier: Apache-2.0 */
/* send: messages as the options say, an event for each and a total. */
#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct sender {
    rmq_producer *producer;
    const char *topic, *text, *keys, *shard, *broker, *props;
    int64_t size, keyed, delay_level, deliver_in_ms, flag;
    int32_t queue;
    rmq_slice body, tags;
    bool quiet, sync;
    /* I/O thread until the producer is closed: */
    int64_t sent, failed, unknown, offsets_back;
    peer_progress progress;
    struct {
        char broker[RMQ_BROKER_MAX + 1];
        int32_t id;
        int64_t last;
    } queues[1024];
    size_t queue_count;
} sender;

/* What a callback needs to know. */
typedef struct ticket {
    sender *sender;
    int64_t number;
} ticket;

rmq_producer_config peer_producer_config(void)
{
    static const char *const compressions[] = {"none", "lz4", "zstd", "zlib", NULL};
    static const char *const acks[] = {"stored", "flushed", "replicated", NULL};
    static const char *const unknowns[] = {"resend", "report", NULL};

    return (rmq_producer_config){
        .group = peer_text("group", NULL),
        .linger_ms = peer_number("linger", 0),
        .batch_bytes = (size_t)peer_number("batchBytes", 0),
        .batch_count = (size_t)peer_number("batchCount", 0),
        .window = (int)peer_number("window", 0),
        .pending_bytes_max = (size_t)peer_number("pending", 0),
        .send_timeout_ms = peer_number("timeout", 0),
        .delivery_timeout_ms = peer_number("delivery", 0),
        .unknown_wait_ms = peer_number("unknownWait", 0),
        .unknown = (enum rmq_unknown)peer_choice("unknown", unknowns),
        .ack = (enum rmq_ack)peer_choice("ack", acks),
        .compression = (enum rmq_compression)peer_choice("compress", compressions),
        .compress_above = (size_t)peer_number("compressOver", 0),
        .create_from = peer_text("createFrom", NULL),
    };
}

/* ---- answers --------------------------------------------------------------------------------- */

static const char *status_name(int32_t status)
{
    return status == 0    ? "SEND_OK"
           : status == 10 ? "FLUSH_DISK_TIMEOUT"
           : status == 11 ? "SLAVE_NOT_AVAILABLE"
           : status == 12 ? "FLUSH_SLAVE_TIMEOUT"
                          : "?";
}

/* Offsets of a queue rise in the order of the answers; a queue that is seen for the first time
 * begins anywhere. */
static void check_offset(sender *s, const rmq_send_result *r)
{
    size_t i = 0;

    while (i < s->queue_count &&
           (s->queues[i].id != r->queue.id || strcmp(s->queues[i].broker, r->queue.broker) != 0))
        i++;
    if (i == s->queue_count) {
        if (i == sizeof(s->queues) / sizeof(s->queues[0]))
            return;
        s->queue_count++;
        (void)snprintf(s->queues[i].broker, sizeof(s->queues[i].broker), "%s", r->queue.broker);
        s->queues[i].id = r->queue.id;
        s->queues[i].last = -1;
    }
    s->offsets_back += r->queue_offset <= s->queues[i].last;
    s->queues[i].last = r->queue_offset;
}

static json_t *sent_event(const rmq_send_result *r)
{
    json_t *e = peer_event("sent");

    json_object_set_new(e, "status", json_string(status_name(r->status)));
    json_object_set_new(e, "msgId", peer_cstring(r->unique_key));
    json_object_set_new(e, "broker", peer_cstring(r->queue.broker));
    json_object_set_new(e, "queue", json_integer(r->queue.id));
    json_object_set_new(e, "offset", json_integer(r->queue_offset));
    json_object_set_new(e, "latencyUs", json_integer(r->latency_us));
    return e;
}

static void on_failed(sender *s, const rmq_error *err, int64_t number)
{
    s->failed++;
    s->unknown += (err->flags & RMQ_ERR_UNKNOWN_OUTCOME) != 0;
    if (!s->quiet || s->failed <= 10) {
        json_t *e = peer_error(err);

        json_object_set_new(e, "number", json_integer(number));
        peer_print(e);
    }
}

static void on_sent(void *arg, const rmq_send_result *r)
{
    ticket *t = arg;
    sender *s = t->sender;

    if (r->result < 0) {
        on_failed(s, r->err, t->number);
    } else {
        s->sent++;
        if (r->queue.broker) {
            check_offset(s, r);
            peer_progress_add(&s->progress, r->queue.broker, 1);
        }
        if (!s->quiet) {
            json_t *e = sent_event(r);

            json_object_set_new(e, "number", json_integer(t->number));
            peer_print(e);
        }
    }
    free(t);
}

/* ---- messages -------------------------------------------------------------------------------- */

/* Owned parts of one message. */
typedef struct parts {
    char *text, *keys, *shard, *pattern;
    char key[32];
    rmq_property props[64];
    char *values[64];
    size_t prop_count;
} parts;

static void parts_free(parts *p)
{
    free(p->text);
    free(p->keys);
    free(p->shard);
    free(p->pattern);
    for (size_t i = 0; i < p->prop_count; i++)
        free(p->values[i]);
}

/* Byte j of body i, as Peer.java and cluster.py have it. */
static char *pattern_of(int64_t i, size_t size)
{
    char *b = peer_zeroed(size, 1);

    for (size_t j = 0; j < size; j++)
        b[j] = (char)(uint8_t)((size_t)i * 31 + j * 7 + (j >> 8));
    return b;
}

/* "key:number", filled up to --size. */
static rmq_slice keyed_body(const sender *s, int64_t i, parts *p)
{
    char head[64];
    int n = snprintf(head, sizeof(head), "%s:%lld%s", p->key, (long long)(i / s->keyed),
                     s->size > 0 ? " " : "");
    size_t len = s->size > n ? (size_t)s->size : (size_t)n;

    p->text = peer_zeroed(len + 1, 1);
    memset(p->text, 'x', len);
    memcpy(p->text, head, (size_t)n);
    return (rmq_slice){p->text, len};
}

static rmq_slice body_of(const sender *s, int64_t i, parts *p)
{
    if (s->body.base)
        return s->body;
    if (s->keyed)
        return keyed_body(s, i, p);
    if (s->size >= 0) {
        p->pattern = pattern_of(i, (size_t)s->size);
        return (rmq_slice){p->pattern, (size_t)s->size};
    }
    p->text = peer_replace(s->text, i);
    return peer_slice(p->text);
}

static void props_of(json_t *props, int64_t i, parts *p)
{
    const char *name;
    json_t *value;

    json_object_foreach(props, name, value)
    {
        if (p->prop_count == 64)
            peer_die("more than 64 properties");
        p->values[p->prop_count] = peer_replace(json_string_value(value), i);
        p->props[p->prop_count] =
            (rmq_property){peer_slice(name), peer_slice(p->values[p->prop_count])};
        p->prop_count++;
    }
}

static int send_one(sender *s, json_t *props, int64_t i, rmq_error *err)
{
    parts p = {0};
    rmq_target target = {.topic = s->topic, .broker = s->broker, .queue_id = s->queue};
    rmq_message m = {.tags = s->tags,
                     .flag = (int32_t)s->flag,
                     .delay_level = (int32_t)s->delay_level};
    ticket *t;
    int r;

    if (s->keyed)
        (void)snprintf(p.key, sizeof(p.key), "k%lld", (long long)(i % s->keyed));
    m.body = body_of(s, i, &p);
    p.keys = peer_replace(s->keys, i);
    m.keys = peer_slice(s->keyed && !p.keys ? p.key : p.keys);
    p.shard = peer_replace(s->shard, i);
    target.key = peer_slice(s->keyed && !p.shard ? p.key : p.shard);
    props_of(props, i, &p);
    m.properties = p.props;
    m.property_count = p.prop_count;
    if (s->deliver_in_ms)
        m.deliver_at_ms = (int64_t)time(NULL) * 1000 + s->deliver_in_ms;
    t = peer_zeroed(1, sizeof(*t));
    *t = (ticket){.sender = s, .number = i};
    if (s->sync) {
        rmq_send_result result = {0};

        r = rmq_producer_send_wait(s->producer, &target, &m, &result, err);
        if (r == 0)
            on_sent(t, &result);
    } else {
        do {
            r = rmq_producer_send(s->producer, &target, &m, 200, on_sent, t, err);
        } while (r == -RMQ_EAGAIN && !peer_stop);
    }
    if (r < 0)
        free(t);
    parts_free(&p);
    return r;
}

/* Waits until message n of a paced run is due. */
static void keep_pace(int64_t began_ns, int64_t n, int64_t rate)
{
    int64_t left = rate ? began_ns + n * 1000000000 / rate - peer_now_ns() : 0;
    struct timespec t = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};

    if (left > 0)
        (void)nanosleep(&t, NULL);
}

static void read_options(sender *s)
{
    const char *body = peer_text("body", NULL);

    s->topic = peer_need("topic");
    s->text = peer_text("text", "message {i}");
    s->keys = peer_text("keys", NULL);
    s->shard = peer_text("shard", NULL);
    s->props = peer_text("props", "{}");
    s->broker = peer_text("broker", NULL);
    s->queue = (int32_t)peer_number("queue", 0);
    s->size = peer_number("size", -1);
    s->keyed = peer_number("keyed", 0);
    s->delay_level = peer_number("delay", 0);
    s->deliver_in_ms = peer_number("deliverIn", 0);
    s->flag = peer_number("flag", 0);
    s->tags = peer_slice(peer_text("tags", NULL));
    s->quiet = peer_flag("quiet");
    s->sync = peer_flag("sync");
    s->progress.every_ns = peer_number("progress", 0) * 1000000;
    if (body)
        s->body = peer_unbase64(body);
}

static void print_total(const sender *s, int64_t began_ns)
{
    json_t *e = peer_event("total");

    json_object_set_new(e, "sent", json_integer(s->sent));
    json_object_set_new(e, "failed", json_integer(s->failed));
    json_object_set_new(e, "unknown", json_integer(s->unknown));
    json_object_set_new(e, "offsetsBack", json_integer(s->offsets_back));
    json_object_set_new(e, "seconds", json_real((double)(peer_now_ns() - began_ns) / 1e9));
    json_object_set_new(e, "stopped", json_boolean(peer_stop));
    peer_print(e);
}

int peer_send(rmq_client *client)
{
    sender *s = peer_zeroed(1, sizeof(*s));
    rmq_producer_config config = peer_producer_config();
    int64_t count = peer_number("count", 1), first = peer_number("first", 0);
    int64_t rate = peer_number("rate", 0), close_wait = peer_number("closeWait", 130000), began;
    int64_t refused = 0;
    rmq_error err = {0};
    json_t *props;
    int status;

    read_options(s);
    peer_options_done();
    props = json_loads(s->props, 0, NULL);
    if (!json_is_object(props))
        peer_die("--props %s: an object is wanted", s->props);
    if (rmq_producer_open(client, &config, &s->producer, &err) < 0)
        peer_fail(&err);
    began = peer_now_ns();
    for (int64_t i = 0; i < count && !peer_stop; i++) {
        keep_pace(began, i, rate);
        int r = send_one(s, props, first + i, &err);

        if (r == -RMQ_EAGAIN && peer_stop)
            break; /* told to stop while it waited for room: not handed over */
        if (r < 0) {
            json_t *e = peer_error(&err);

            refused++;
            json_object_set_new(e, "number", json_integer(first + i));
            peer_print(e);
        }
    }
    rmq_producer_close(s->producer, close_wait);
    s->failed += refused;
    print_total(s, began);
    status = s->failed || s->offsets_back ? 1 : 0;
    json_decref(props);
    free((void *)(uintptr_t)s->body.base);
    free(s);
    return status;
}
