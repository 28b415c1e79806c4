/* SPDX-License-Identifier: Apache-2.0 */
/* Events, texts, clocks and the check of order. */
#include "peer.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#define HASH_FUNCTION HASH_FNV /* the default one falls through labels: clang warns */
#include <uthash.h>

void peer_die(const char *fmt, ...)
{
    va_list args;

    fputs("rmq_peer: ", stderr);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    exit(2);
}

void *peer_zeroed(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size);

    if (!p)
        peer_die("out of memory");
    return p;
}

int64_t peer_now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

double peer_cpu_s(void)
{
    struct rusage u;

    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* ---- events ---------------------------------------------------------------------------------- */

json_t *peer_event(const char *name)
{
    return json_pack("{s:s}", "event", name);
}

void peer_print(json_t *event)
{
    char *line = json_dumps(event, JSON_COMPACT);

    if (!line)
        peer_die("an event cannot be written as JSON");
    flockfile(stdout);
    fputs(line, stdout);
    putc_unlocked('\n', stdout);
    fflush(stdout);
    funlockfile(stdout);
    free(line);
    json_decref(event);
}

json_t *peer_string(rmq_slice text)
{
    json_t *s = text.base ? json_stringn(text.base, text.len) : json_null();

    return s ? s : json_string("(not UTF-8)");
}

json_t *peer_cstring(const char *text)
{
    return text ? json_string(text) : json_null();
}

rmq_slice peer_slice(const char *text)
{
    return text ? (rmq_slice){text, strlen(text)} : (rmq_slice){NULL, 0};
}

json_t *peer_base64(rmq_slice bytes)
{
    unsigned char *text = peer_zeroed(bytes.len / 3 * 4 + 8, 1);
    json_t *s;

    (void)EVP_EncodeBlock(text, (const unsigned char *)(bytes.len ? bytes.base : ""),
                          (int)bytes.len);
    s = json_string((const char *)text);
    free(text);
    return s;
}

rmq_slice peer_unbase64(const char *text)
{
    size_t n = strlen(text);
    unsigned char *bytes = peer_zeroed(n + 4, 1);
    int len = EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)n);

    if (len < 0 || n % 4)
        peer_die("not base64: %s", text);
    for (size_t i = n; i > 0 && text[i - 1] == '='; i--)
        len--;
    return (rmq_slice){(char *)bytes, (size_t)len};
}

static const char *code_name(int32_t code)
{
    static const char *const names[] = {"OK",       "EINVAL",    "ENOTFOUND", "EEXIST",
                                        "EAGAIN",   "ETIMEDOUT", "EIO",       "ENOSPC",
                                        "ECONNECT", "EFORMAT",   "ECANCELED", "EUNSUPPORTED",
                                        "ENOMEM",   "ESTATE",    "?",         "EACCES",
                                        "EINTERNAL"};

    return code >= 0 && code <= RMQ_EINTERNAL ? names[code] : "?";
}

json_t *peer_error(const rmq_error *err)
{
    json_t *e = peer_event("error");

    json_object_set_new(e, "code", json_integer(err->code));
    json_object_set_new(e, "name", json_string(code_name(err->code)));
    json_object_set_new(e, "response", json_integer(RMQ_ERR_RESPONSE(err)));
    json_object_set_new(e, "retriable", json_boolean(err->flags & RMQ_ERR_RETRIABLE));
    json_object_set_new(e, "unknown", json_boolean(err->flags & RMQ_ERR_UNKNOWN_OUTCOME));
    json_object_set_new(e, "message", peer_string(peer_slice(err->msg)));
    return e;
}

void peer_fail(const rmq_error *err)
{
    peer_print(peer_error(err));
    exit(1);
}

char *peer_replace(const char *text, int64_t i)
{
    const char *at;
    char *ret, number[24];
    size_t n;

    if (!text)
        return NULL;
    at = strstr(text, "{i}");
    if (!at)
        return strdup(text);
    (void)snprintf(number, sizeof(number), "%lld", (long long)i);
    n = strlen(text) + sizeof(number);
    ret = peer_zeroed(n, 1);
    (void)snprintf(ret, n, "%.*s%s%s", (int)(at - text), text, number, at + 3);
    return ret;
}

rmq_queue_list *peer_queues(rmq_client *client, const char *topic, enum rmq_route_for what)
{
    const char *chosen = peer_text("queues", NULL);
    size_t limit =
        chosen && isdigit((unsigned char)*chosen) ? (size_t)strtoll(chosen, NULL, 10) : 0;
    rmq_queue_list *list;
    rmq_error err = {0};
    size_t kept = 0;

    if (rmq_topic_queues(client, topic, what, &list, &err) < 0)
        peer_fail(&err);
    if (limit && limit < list->count)
        list->count = limit;
    if (!chosen || limit)
        return list;
    for (size_t i = 0; i < list->count; i++) {
        char name[RMQ_BROKER_MAX + 16], all[4096];

        (void)snprintf(name, sizeof(name), ",%s:%d,", list->queues[i].broker, list->queues[i].id);
        (void)snprintf(all, sizeof(all), ",%s,", chosen);
        if (strstr(all, name))
            list->queues[kept++] = list->queues[i];
    }
    list->count = kept;
    return list;
}

/* ---- progress -------------------------------------------------------------------------------- */

static void say_progress(struct peer_progress_of *of, int64_t now)
{
    json_t *e = peer_event("progress");

    of->said = of->count;
    of->said_ns = now;
    json_object_set_new(e, "at", json_integer(now));
    json_object_set_new(e, "broker", json_string(of->broker));
    json_object_set_new(e, "count", json_integer(of->count));
    peer_print(e);
}

void peer_progress_add(peer_progress *progress, const char *broker, int64_t count)
{
    struct peer_progress_of *of = progress->of, *end = of + PEER_BROKERS_MAX;
    int64_t now;

    if (progress->every_ns == 0)
        return;
    while (of < end && *of->broker && strcmp(of->broker, broker) != 0)
        of++;
    if (of == end)
        peer_die("more than %d brokers", PEER_BROKERS_MAX);
    (void)snprintf(of->broker, sizeof(of->broker), "%s", broker);
    of->count += count;
    now = peer_now_ns();
    if (of->said_ns == 0 || now - of->said_ns >= progress->every_ns)
        say_progress(of, now);
}

void peer_progress_flush(peer_progress *progress)
{
    struct peer_progress_of *of = progress->of, *end = of + PEER_BROKERS_MAX;

    for (; of < end && *of->broker; of++) {
        if (of->said < of->count)
            say_progress(of, peer_now_ns());
    }
}

/* ---- order ----------------------------------------------------------------------------------- */

/* One key: which of its numbers were seen. */
typedef struct key_seen {
    UT_hash_handle hh;
    uint8_t *bits;
    size_t cap; /* in bits */
    int64_t greatest, seen;
    char name[];
} key_seen;

struct peer_order {
    key_seen *keys;
    int64_t out_of_order, repeated, foreign;
};

peer_order *peer_order_new(void)
{
    return peer_zeroed(1, sizeof(peer_order));
}

static key_seen *key_of(peer_order *order, const char *name, size_t len)
{
    key_seen *k;

    HASH_FIND(hh, order->keys, name, len, k);
    if (!k) {
        k = peer_zeroed(1, sizeof(*k) + len + 1);
        memcpy(k->name, name, len);
        k->greatest = -1;
        HASH_ADD_KEYPTR(hh, order->keys, k->name, len, k);
    }
    return k;
}

/* True when it was seen before. */
static bool mark(key_seen *k, int64_t number)
{
    size_t at = (size_t)number;
    uint8_t bit = (uint8_t)(1u << (at & 7));
    bool was;

    if (at >= k->cap) {
        size_t cap = (at + 1024) * 2 / 8 * 8;
        uint8_t *bits = peer_zeroed(cap / 8, 1);

        if (k->bits)
            memcpy(bits, k->bits, k->cap / 8);
        free(k->bits);
        k->bits = bits;
        k->cap = cap;
    }
    was = k->bits[at >> 3] & bit;
    k->bits[at >> 3] |= bit;
    return was;
}

void peer_order_take(peer_order *order, rmq_slice body)
{
    const char *colon = body.len ? memchr(body.base, ':', body.len) : NULL;
    int64_t number = 0;
    size_t i;
    key_seen *k;

    if (!colon) {
        order->foreign++;
        return;
    }
    for (i = (size_t)(colon - body.base) + 1; i < body.len && isdigit((unsigned char)body.base[i]);
         i++)
        number = number * 10 + (body.base[i] - '0');
    if (number > INT64_C(1) << 32) {
        order->foreign++;
        return;
    }
    k = key_of(order, body.base, (size_t)(colon - body.base));
    if (mark(k, number)) {
        order->repeated++;
        return;
    }
    k->seen++;
    if (number < k->greatest)
        order->out_of_order++;
    else
        k->greatest = number;
}

static int64_t missing(const peer_order *order)
{
    int64_t sum = 0;

    for (const key_seen *k = order->keys; k; k = k->hh.next)
        sum += k->greatest + 1 - k->seen;
    return sum;
}

void peer_order_report(const peer_order *order, json_t *event)
{
    json_object_set_new(event, "keys", json_integer((json_int_t)HASH_COUNT(order->keys)));
    json_object_set_new(event, "outOfOrder", json_integer(order->out_of_order));
    json_object_set_new(event, "repeated", json_integer(order->repeated));
    json_object_set_new(event, "missing", json_integer(missing(order)));
    json_object_set_new(event, "foreign", json_integer(order->foreign));
}

int64_t peer_order_bad(const peer_order *order)
{
    return order->out_of_order + missing(order) + order->foreign;
}

void peer_order_free(peer_order *order)
{
    key_seen *k, *next;

    if (!order)
        return;
    HASH_ITER(hh, order->keys, k, next)
    {
        HASH_DEL(order->keys, k);
        free(k->bits);
        free(k);
    }
    free(order);
}
