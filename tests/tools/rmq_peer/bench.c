/* SPDX-License-Identifier: Apache-2.0 */
/* bench-append, bench-fetch, bench-latency: what bench/limit does, through the client. One line of
 * key=value with the names of bench/limit. */
#include "peer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct marks {
    int64_t ns;
    double cpu;
} marks;

static marks mark(void)
{
    return (marks){peer_now_ns(), peer_cpu_s()};
}

static void report(const char *what, marks from, int64_t messages, int64_t bytes, const char *more)
{
    double s = (double)(peer_now_ns() - from.ns) / 1e9, n = (double)messages;

    printf("%s messages=%lld seconds=%.3f messages_per_s=%.0f mb_per_s=%.1f "
           "cpu_s_per_million=%.3f%s\n",
           what, (long long)messages, s, n / s, (double)bytes / s / 1e6,
           (peer_cpu_s() - from.cpu) / n * 1e6, more);
}

/* ---- append ---------------------------------------------------------------------------------- */

typedef struct appender {
    _Atomic int64_t stored, failed;
} appender;

static void on_stored(void *arg, const rmq_send_result *r)
{
    appender *a = arg;

    if (r->result == 0) {
        atomic_fetch_add_explicit(&a->stored, 1, memory_order_relaxed);
    } else if (atomic_fetch_add_explicit(&a->failed, 1, memory_order_relaxed) < 5) {
        peer_print(peer_error(r->err));
    }
}

int peer_bench_append(rmq_client *client)
{
    rmq_producer_config config = peer_producer_config();
    const char *topic = peer_need("topic");
    int64_t count = peer_number("count", 1000000), bytes = peer_number("bytes", 128);
    size_t together = (size_t)peer_number("together", 32);
    rmq_queue_list *list = peer_queues(client, topic, RMQ_FOR_WRITING);
    char *body = peer_zeroed((size_t)bytes, 1);
    rmq_message *messages = peer_zeroed(together, sizeof *messages);
    rmq_producer *producer;
    rmq_error err = {0};
    appender a = {0};
    marks from;

    peer_options_done();
    if (together < 1 || bytes < 1)
        peer_die("--together and --bytes of at least 1 are wanted");
    memset(body, 'x', (size_t)bytes);
    if (rmq_producer_open(client, &config, &producer, &err) < 0)
        peer_fail(&err);
    from = mark();
    for (size_t i = 0; i < together; i++)
        messages[i].body = (rmq_slice){body, (size_t)bytes};
    for (int64_t sent = 0, call = 0; sent < count && !peer_stop; call++) {
        const rmq_queue *q = &list->queues[(size_t)call % list->count];
        rmq_target target = {.topic = topic, .broker = q->broker, .queue_id = q->id};
        size_t n = (size_t)(count - sent) < together ? (size_t)(count - sent) : together;
        int taken =
            rmq_producer_send_all(producer, &target, messages, n, -1, on_stored, &a, 0, &err);

        if (taken < (int)n)
            peer_fail(&err);
        sent += taken;
    }
    if (rmq_producer_flush(producer, -1, &err) < 0)
        peer_fail(&err);
    report("append", from, a.stored, a.stored * bytes, "");
    rmq_producer_close(producer, 1000);
    rmq_queue_list_free(list);
    free(messages);
    free(body);
    return a.failed ? 1 : 0;
}

/* ---- fetch ----------------------------------------------------------------------------------- */

/* Where all queues are read from: their first message, or their ends; *ret_sum: how many there
 * are. Asked for before the clock starts. */
static int64_t *begins_of(rmq_client *client, const rmq_queue_list *list, bool at_end,
                          int64_t *ret_sum)
{
    int64_t *begins = peer_zeroed(list->count, sizeof(*begins)), min, max;
    rmq_error err = {0};

    *ret_sum = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (rmq_offset_min(client, &list->queues[i], &min, &err) < 0 ||
            rmq_offset_max(client, &list->queues[i], &max, &err) < 0)
            peer_fail(&err);
        begins[i] = at_end ? max : min;
        *ret_sum += max - min;
    }
    return begins;
}

static void add_all(rmq_consumer *consumer, const rmq_queue_list *list, const int64_t *begins)
{
    rmq_error err = {0};

    for (size_t i = 0; i < list->count; i++) {
        if (rmq_consumer_add(consumer, &list->queues[i], begins[i], &err) < 0)
            peer_fail(&err);
    }
}

int peer_bench_fetch(rmq_client *client)
{
    const char *topic = peer_need("topic");
    rmq_consumer_config config = {.group = "PEER_BENCH",
                                  .buffer_bytes = (size_t)peer_number("buffer", 0),
                                  .pull_count = (int32_t)peer_number("pullCount", 0)};
    int64_t count = peer_number("count", 0), messages = 0, bytes = 0, there, touched = 0, *begins;
    rmq_queue_list *list = peer_queues(client, topic, RMQ_FOR_READING);
    rmq_consumer *consumer;
    rmq_error err = {0};
    rmq_fetch f;
    marks from;
    char more[64];

    peer_options_done();
    begins = begins_of(client, list, false, &there);
    count = count && count < there ? count : there;
    if (rmq_consumer_open(client, &config, &consumer, &err) < 0)
        peer_fail(&err);
    from = mark();
    add_all(consumer, list, begins);
    while (messages < count && !peer_stop) {
        int event = rmq_consumer_fetch(consumer, 1000, &f, &err);

        if (event < 0)
            peer_fail(&err);
        if (event == RMQ_FETCH_NONE)
            continue;
        if (event != RMQ_FETCH_MESSAGES)
            peer_fail(&err);
        for (size_t i = 0; i < f.count; i++) {
            bytes += (int64_t)f.messages[i].body.len;
            touched += f.messages[i].queue_offset & 1; /* as an application would look at it */
        }
        messages += (int64_t)f.count;
        rmq_fetch_release(consumer, &f);
    }
    (void)snprintf(more, sizeof(more), " odd=%lld", (long long)touched);
    report("fetch", from, messages, bytes, more);
    rmq_consumer_close(consumer);
    rmq_queue_list_free(list);
    free(begins);
    return 0;
}

/* ---- latency --------------------------------------------------------------------------------- */

/* Receives on a thread of its own: its consumer belongs to it. */
typedef struct receiver {
    rmq_consumer *consumer;
    int64_t count;
    int64_t *latency_ns;
    _Atomic int64_t got;
} receiver;

static void *receive(void *arg)
{
    receiver *r = arg;
    rmq_error err = {0};
    rmq_fetch f;

    while (r->got < r->count && !peer_stop) {
        int event = rmq_consumer_fetch(r->consumer, 200, &f, &err);
        int64_t now = peer_now_ns();

        if (event < 0)
            peer_fail(&err);
        if (event == RMQ_FETCH_NONE)
            continue;
        for (size_t i = 0; i < f.count && r->got < r->count; i++) {
            int64_t due;

            if (f.messages[i].body.len < sizeof(due))
                continue;
            memcpy(&due, f.messages[i].body.base, sizeof(due));
            r->latency_ns[r->got++] = now - due;
        }
        rmq_fetch_release(r->consumer, &f);
    }
    return NULL;
}

/* Every message carries when it was due: a sender that is late cannot hide it. */
static void send_paced(rmq_producer *producer, const rmq_queue_list *list, int64_t count,
                       int64_t rate, int64_t bytes, appender *a)
{
    char *body = peer_zeroed((size_t)bytes, 1);
    rmq_message m = {.body = {body, (size_t)bytes}};
    int64_t began = peer_now_ns();
    rmq_error err = {0};

    for (int64_t i = 0; i < count && !peer_stop; i++) {
        const rmq_queue *q = &list->queues[(size_t)i % list->count];
        rmq_target target = {.topic = q->topic, .broker = q->broker, .queue_id = q->id};
        int64_t due = began + i * 1000000000 / rate, left = due - peer_now_ns();
        struct timespec t = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};

        if (left > 0)
            (void)nanosleep(&t, NULL);
        memcpy(body, &due, sizeof(due));
        if (rmq_producer_send(producer, &target, &m, -1, on_stored, a, &err) < 0)
            peer_fail(&err);
    }
    free(body);
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static double quantile_us(const int64_t *sorted, int64_t count, double q)
{
    int64_t i = (int64_t)(q * (double)count);

    return (double)sorted[i < count ? i : count - 1] / 1e3;
}

int peer_bench_latency(rmq_client *client)
{
    rmq_producer_config sends = peer_producer_config();
    rmq_consumer_config reads = {.group = "PEER_BENCH"};
    const char *topic = peer_need("topic");
    int64_t count = peer_number("count", 10000), rate = peer_number("rate", 1000);
    int64_t bytes = peer_number("bytes", 128), *begins, ignored;
    rmq_queue_list *list = peer_queues(client, topic, RMQ_FOR_WRITING);
    receiver r = {.count = count, .latency_ns = peer_zeroed((size_t)count, sizeof(int64_t))};
    rmq_producer *producer;
    rmq_error err = {0};
    appender a = {0};
    char more[200];
    pthread_t thread;
    marks from;

    peer_options_done();
    if (bytes < 8 || count < 1 || rate < 1)
        peer_die("--bytes of at least 8, --count and --rate of at least 1 are wanted");
    if (rmq_producer_open(client, &sends, &producer, &err) < 0 ||
        rmq_consumer_open(client, &reads, &r.consumer, &err) < 0)
        peer_fail(&err);
    begins = begins_of(client, list, true, &ignored);
    add_all(r.consumer, list, begins);
    free(begins);
    from = mark();
    if (pthread_create(&thread, NULL, receive, &r))
        peer_die("cannot start a thread");
    send_paced(producer, list, count, rate, bytes, &a);
    (void)pthread_join(thread, NULL);
    qsort(r.latency_ns, (size_t)r.got, sizeof(int64_t), by_value);
    (void)snprintf(more, sizeof(more), " p50_us=%.0f p99_us=%.0f p999_us=%.0f max_us=%.0f",
                   quantile_us(r.latency_ns, r.got, 0.5), quantile_us(r.latency_ns, r.got, 0.99),
                   quantile_us(r.latency_ns, r.got, 0.999),
                   r.got ? (double)r.latency_ns[r.got - 1] / 1e3 : 0);
    report("latency", from, r.got, r.got * bytes, more);
    rmq_producer_close(producer, 1000);
    rmq_consumer_close(r.consumer);
    rmq_queue_list_free(list);
    free(r.latency_ns);
    return a.failed || r.got < count ? 1 : 0;
}
