/* SPDX-License-Identifier: Apache-2.0 */
/** A fake cluster, a client with its log lines, and a reader that checks that every message of a
 *  queue comes once and in order. */
#ifndef CONSUMER_RIG_H
#define CONSUMER_RIG_H

#include "base/base.h"
#include "base/clock.h"
#include "fakemq.h"

#include <rocketmq/rocketmq.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define RIG_QUEUES 64

typedef struct rig_queue {
    char broker[32];
    char topic[64];
    int id;
    int64_t next; /**< Offset that must come next; -1 = any. */
    int64_t seen;
} rig_queue;

typedef struct rig {
    fakemq *mq;
    rmq_client *client;
    rmq_consumer *consumer;
    pthread_mutex_t mu;
    char log[65536]; /**< mu */
    size_t log_len;
    bool gaps; /**< Filtered: offsets may be left out, never come twice. */
    rig_queue queues[RIG_QUEUES];
    size_t queue_count;
    int64_t seen;
    int64_t revoked; /**< Queues of T, by balanced(). */
} rig;

static inline void rig_say(void *arg, enum rmq_log_level level, const char *text)
{
    rig *r = arg;
    size_t len = strlen(text);

    (void)level;
    pthread_mutex_lock(&r->mu);
    if (r->log_len + len + 2 < sizeof r->log) {
        memcpy(r->log + r->log_len, text, len);
        r->log_len += len;
        r->log[r->log_len++] = '\n';
    }
    pthread_mutex_unlock(&r->mu);
}

static inline bool rig_said(rig *r, const char *part)
{
    bool found;

    pthread_mutex_lock(&r->mu);
    r->log[r->log_len] = '\0';
    found = strstr(r->log, part) != NULL;
    pthread_mutex_unlock(&r->mu);
    return found;
}

static inline rmq_client *rig_client(rig *r)
{
    const rmq_client_config config = {.namesrv = fakemq_namesrv(r->mq),
                                      .request_timeout_ms = 2000,
                                      .connect_timeout_ms = 2000,
                                      .log = rig_say,
                                      .log_arg = r};
    rmq_client *client;
    rmq_error err = {0};

    if (rmq_client_open(&config, &client, &err) < 0)
        fail_msg("%s", err.msg);
    return client;
}

static inline rig *rig_new(const fakemq_config *config)
{
    rig *r = rc_calloc(1, sizeof *r);

    pthread_mutex_init(&r->mu, NULL);
    r->mq = fakemq_start(config);
    r->client = rig_client(r);
    return r;
}

static inline void rig_open(rig *r, const rmq_consumer_config *config)
{
    rmq_error err = {0};

    if (rmq_consumer_open(r->client, config, &r->consumer, &err) < 0)
        fail_msg("%s", err.msg);
}

static inline void rig_free(rig *r)
{
    rmq_consumer_close(r->consumer);
    rmq_client_close(r->client);
    fakemq_stop(r->mq);
    pthread_mutex_destroy(&r->mu);
    free(r);
}

static inline rig_queue *rig_find(rig *r, const rmq_queue *queue)
{
    rig_queue *q;

    for (size_t i = 0; i < r->queue_count; i++) {
        q = &r->queues[i];
        if (q->id == queue->id && strcmp(q->broker, queue->broker) == 0 &&
            strcmp(q->topic, queue->topic) == 0)
            return q;
    }
    assert_true(r->queue_count < RIG_QUEUES);
    q = &r->queues[r->queue_count++];
    (void)snprintf(q->broker, sizeof q->broker, "%s", queue->broker);
    (void)snprintf(q->topic, sizeof q->topic, "%s", queue->topic);
    q->id = queue->id;
    q->next = -1;
    return q;
}

static inline rmq_queue rig_name(const char *broker, int id)
{
    return (rmq_queue){"T", broker, id};
}

static inline void rig_add(rig *r, const char *broker, int id, int64_t offset)
{
    const rmq_queue queue = rig_name(broker, id);
    rmq_error err = {0};

    if (rmq_consumer_add(r->consumer, &queue, offset, &err) < 0)
        fail_msg("%s", err.msg);
    rig_find(r, &queue)->next = offset;
}

static inline void rig_seek(rig *r, const char *broker, int id, int64_t offset)
{
    const rmq_queue queue = rig_name(broker, id);
    rmq_error err = {0};

    if (rmq_consumer_seek(r->consumer, &queue, offset, &err) < 0)
        fail_msg("%s", err.msg);
    rig_find(r, &queue)->next = offset;
}

/** Checks the order of what was fetched. */
static inline void rig_check(rig *r, const rmq_fetch *fetch)
{
    rig_queue *q = rig_find(r, &fetch->queue);

    assert_true(fetch->count > 0);
    for (size_t i = 0; i < fetch->count; i++) {
        const rmq_message *m = &fetch->messages[i];

        assert_int_equal(m->queue_id, q->id);
        if (q->next >= 0 && (r->gaps ? m->queue_offset < q->next : m->queue_offset != q->next))
            fail_msg("queue %d of %s: offset %lld came, %lld was expected", q->id, q->broker,
                     (long long)m->queue_offset, (long long)q->next);
        q->next = m->queue_offset + 1;
    }
    assert_true(fetch->next_offset >= q->next);
    q->next = fetch->next_offset;
    q->seen += (int64_t)fetch->count;
    r->seen += (int64_t)fetch->count;
}

/** One fetch that must bring `event` within 20 s; released when messages. */
static inline int rig_event(rig *r, rmq_fetch *fetch, rmq_error *err)
{
    int64_t end = rc_mono_ms(rc_clock_real()) + 20000;
    int event;

    do {
        event = rmq_consumer_fetch(r->consumer, 1000, fetch, err);
    } while (event == RMQ_FETCH_NONE && rc_mono_ms(rc_clock_real()) < end);
    return event;
}

/** Reads until `total` messages have been seen. */
static inline void rig_read(rig *r, int64_t total)
{
    while (r->seen < total) {
        rmq_fetch fetch;
        rmq_error err = {0};
        int event = rig_event(r, &fetch, &err);

        if (event != RMQ_FETCH_MESSAGES)
            fail_msg("event %d after %lld of %lld messages: %s", event, (long long)r->seen,
                     (long long)total, err.msg);
        rig_check(r, &fetch);
        rmq_fetch_release(r->consumer, &fetch);
    }
    assert_int_equal(r->seen, total);
}

/** Nothing more comes within a short while: said of what must not be there. */
static inline void rig_nothing(rig *r)
{
    rmq_fetch fetch;

    assert_int_equal(rmq_consumer_fetch(r->consumer, 50, &fetch, NULL), RMQ_FETCH_NONE);
}

typedef struct rig_count {
    int code;
    const char *server;
    int count;
} rig_count;

static inline bool rig_asked_so_often(fakemq *mq, void *arg)
{
    const rig_count *c = arg;

    return fakemq_requests(mq, c->code, c->server) >= c->count;
}

/** Waits until `count` requests with `code` have come (in all, since the start). */
static inline void rig_wait_requests(rig *r, int code, const char *server, int count)
{
    rig_count c = {code, server, count};

    fakemq_wait(r->mq, rig_asked_so_often, &c, "requests");
}

#endif
