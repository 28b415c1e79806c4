/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Producer: settings, waiting for answers, life. How a message gets in is in producer_send.c.
 */
#include "rocketmq/producer_impl.h"

#include "base/units.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- settings -------------------------------------------------------------------------------- */

static int bad(rc_error *err, const char *name, int64_t value, const char *rule)
{
    return rc_fail(err, OMC_EINVAL, "%s = %" PRId64 ": %s", name, value, rule);
}

static int check_numbers(const rmq_producer_config *c, rc_error *err)
{
    if (c->linger_ms < 0 || c->linger_ms > 60000)
        return bad(err, "linger_ms", c->linger_ms, "give 0 to 60,000");
    if (c->batch_bytes > RMQ_BODY_MAX)
        return bad(err, "batch_bytes", (int64_t)c->batch_bytes,
                   "brokers take at most 4 MiB (4194304) in one request");
    if (c->batch_count > UINT32_MAX / 2)
        return bad(err, "batch_count", (int64_t)c->batch_count, "give 1 to 2,147,483,647");
    if (c->window < 0 || c->window > 1024)
        return bad(err, "window", c->window, "give 1 to 1,024 unanswered sends per queue");
    if (c->send_timeout_ms < 0)
        return bad(err, "send_timeout_ms", c->send_timeout_ms, "must not be negative");
    if (c->delivery_timeout_ms < -1)
        return bad(err, "delivery_timeout_ms", c->delivery_timeout_ms,
                   "must not be negative, but for -1 = for ever");
    if (c->unknown_wait_ms < 0)
        return bad(err, "unknown_wait_ms", c->unknown_wait_ms, "must not be negative");
    return 0;
}

static int check_name(const char *setting, const char *name, size_t max, rc_error *err)
{
    char kind[192];

    (void)snprintf(kind, sizeof kind, "%s = '%.127s'", setting, name);
    return rmq_name_check(kind, name, max, err);
}

static int check_choices(const rmq_producer_config *c, rc_error *err)
{
    if ((int)c->unknown < 0 || c->unknown > RMQ_UNKNOWN_REPORT)
        return bad(err, "unknown", c->unknown, "use RMQ_UNKNOWN_RESEND or RMQ_UNKNOWN_REPORT");
    if ((int)c->ack < 0 || c->ack > RMQ_ACK_REPLICATED)
        return bad(err, "ack", c->ack, "use one of enum rmq_ack");
    if ((int)c->compression < 0 || c->compression > RMQ_COMPRESS_ZLIB)
        return bad(err, "compression", c->compression, "use one of enum rmq_compression");
    if (c->create_from && check_name("create_from", c->create_from, RMQ_TOPIC_MAX, err) < 0)
        return -OMC_EINVAL;
    return c->group ? check_name("group", c->group, 120, err) : 0;
}

static void set_defaults(rmq_producer_config *c)
{
    if (!c->group)
        c->group = "CID_RMQ_C";
    if (c->batch_bytes == 0)
        c->batch_bytes = (size_t)1 << 20;
    if (c->batch_count == 0)
        c->batch_count = 4096;
    if (c->window == 0)
        c->window = 1;
    if (c->pending_bytes_max == 0)
        c->pending_bytes_max = (size_t)32 << 20;
    if (c->compress_above == 0)
        c->compress_above = 4096;
}

/* ---- open ------------------------------------------------------------------------------------ */

struct opening {
    rmq_producer *producer;
    rc_error *err;
    int r;
};

static void open_on_io(void *arg)
{
    struct opening *o = arg;
    rmq_producer *p = o->producer;
    const rmq_producer_config *c = &p->config;
    RC_AUTO_FREE char *who = rc_format("producer %s", p->group);
    const rmq_lanes_config lanes = {
        .who = who,
        .group = p->group,
        .window = c->window,
        .send_bytes_max = c->batch_bytes,
        .send_count_max = (uint32_t)c->batch_count,
        .send_timeout_ms = c->send_timeout_ms,
        .delivery_timeout_ms = c->delivery_timeout_ms,
        .unknown_wait_ms = c->unknown_wait_ms,
        .unknown = c->unknown,
        .ack = c->ack,
        .create_from = p->create_from,
        .done = rmq_producer_on_done,
        .arg = p,
    };

    o->r = rmq_lanes_new(p->client, &lanes, &p->lanes, o->err);
    if (o->r < 0)
        return;
    o->r = rc_loop_timer_new(rmq_client_loop(p->client), rmq_producer_on_timer, p, &p->timer);
    RC_ASSERT(o->r == 0);
    p->member = (rmq_member){.group = p->group, .arg = p};
    rmq_member_add(p->client, &p->member);
}

static void producer_free(rmq_producer *p)
{
    rmq_chunk *chunk;

    while ((chunk = p->spare) != NULL) {
        p->spare = chunk->parcel.next ? chunk->parcel.next->owner : NULL;
        free(chunk->entries);
        free(chunk);
    }
    rmq_out_topics_free(p);
    (void)pthread_mutex_destroy(&p->mu);
    (void)pthread_cond_destroy(&p->changed);
    free(p->group);
    free(p->create_from);
    free(p);
}

int rmq_producer_open(rmq_client *client, const rmq_producer_config *config, rmq_producer **ret,
                      rmq_error *err)
{
    struct opening opening = {.err = err};
    rmq_producer_config settings = *config;
    rmq_producer *p;
    char wire[256];
    int r = check_numbers(config, err);

    if (r == 0)
        r = check_choices(config, err);
    if (r < 0)
        return rc_wrap(err, r, "producer");
    set_defaults(&settings);
    p = rc_calloc(1, sizeof *p);
    p->client = client;
    p->config = settings;
    p->group = rc_strdup(rmq_client_wire_name(client, settings.group, wire));
    if (settings.create_from)
        p->create_from = rc_strdup(rmq_client_wire_name(client, settings.create_from, wire));
    p->config.group = p->group;
    p->config.create_from = p->create_from;
    (void)pthread_mutex_init(&p->mu, NULL);
    rc_cond_init(&p->changed);
    opening.producer = p;
    rmq_client_run(client, open_on_io, &opening);
    if (opening.r < 0) {
        producer_free(p);
        return rc_wrap(err, opening.r, "producer");
    }
    *ret = p;
    return 0;
}

/* ---- waiting --------------------------------------------------------------------------------- */

struct waited {
    pthread_mutex_t mu;
    pthread_cond_t cond;
    bool done;
    rmq_send_result result;
    rmq_error *err;
};

static void on_waited(void *arg, const rmq_send_result *result)
{
    struct waited *w = arg;

    (void)pthread_mutex_lock(&w->mu);
    w->result = *result;
    if (result->err && w->err)
        *w->err = *result->err;
    w->done = true;
    (void)pthread_cond_signal(&w->cond);
    (void)pthread_mutex_unlock(&w->mu);
}

int rmq_producer_send_wait(rmq_producer *p, const rmq_target *target, const rmq_message *message,
                           rmq_send_result *ret, rmq_error *err)
{
    struct waited w = {.err = err};
    int r;

    if (rmq_io_here())
        return rc_fail(err, OMC_ESTATE,
                       "rmq_producer_send_wait() inside of a callback would wait for itself; use "
                       "rmq_producer_send()");
    (void)pthread_mutex_init(&w.mu, NULL);
    rc_cond_init(&w.cond);
    r = rmq_producer_send_urgent(p, target, message, on_waited, &w, err);
    (void)pthread_mutex_lock(&w.mu);
    while (r == 0 && !w.done)
        (void)pthread_cond_wait(&w.cond, &w.mu);
    (void)pthread_mutex_unlock(&w.mu);
    (void)pthread_cond_destroy(&w.cond);
    (void)pthread_mutex_destroy(&w.mu);
    if (r < 0)
        return r;
    if (ret) {
        *ret = w.result;
        ret->err = NULL;
        ret->queue.topic = ret->queue.broker = "";
        ret->unique_key = "";
    }
    return w.result.result;
}

int rmq_producer_flush(rmq_producer *p, int64_t wait_ms, rmq_error *err)
{
    int64_t deadline = rmq_producer_deadline(wait_ms);
    char bytes[24];
    char limit[32];
    int r = 0;

    (void)pthread_mutex_lock(&p->mu);
    p->flushers++;
    rmq_out_ship_all(p);
    rmq_producer_unlock(p);
    (void)pthread_mutex_lock(&p->mu);
    while (r == 0 && p->pending > 0)
        if (!rmq_producer_wait_changed(p, deadline))
            r = rc_fail_retriable(err, OMC_ETIMEDOUT,
                                  "%zu messages (%s) are still not answered after %s; look whether "
                                  "a broker is away or slow",
                                  p->pending, rc_format_size((int64_t)p->pending_bytes, bytes),
                                  rc_format_duration(RC_MAX(wait_ms, 0), limit));
    p->flushers--;
    rmq_producer_unlock(p);
    return r;
}

size_t rmq_producer_pending_bytes(rmq_producer *p)
{
    size_t bytes;

    (void)pthread_mutex_lock(&p->mu);
    bytes = p->pending_bytes;
    (void)pthread_mutex_unlock(&p->mu);
    return bytes;
}

/* ---- close ----------------------------------------------------------------------------------- */

static void set_flag(rmq_producer *p, bool *flag)
{
    (void)pthread_mutex_lock(&p->mu);
    *flag = true;
    (void)pthread_cond_broadcast(&p->changed);
    (void)pthread_mutex_unlock(&p->mu);
}

static void on_left(void *arg)
{
    rmq_producer *p = arg;

    set_flag(p, &p->left);
}

static void on_lanes_closed(void *arg)
{
    rmq_producer *p = arg;

    rmq_out_cancel_all(p);
    rc_loop_timer_free(p->timer);
    rmq_member_remove(p->client, &p->member, on_left, p);
    set_flag(p, &p->closed);
}

static void close_on_io(void *arg)
{
    rmq_producer *p = arg;

    (void)pthread_mutex_lock(&p->mu);
    p->ended = true;
    (void)pthread_mutex_unlock(&p->mu);
    rc_loop_timer_set(p->timer, -1);
    rmq_lanes_close(p->lanes, on_lanes_closed, p);
}

void rmq_producer_close(rmq_producer *p, int64_t deadline_ms)
{
    rmq_client *client;

    if (!p)
        return;
    client = p->client;
    (void)pthread_mutex_lock(&p->mu);
    p->closing = true;
    (void)pthread_cond_broadcast(&p->changed);
    (void)pthread_mutex_unlock(&p->mu);
    (void)rmq_producer_flush(p, RC_MAX(deadline_ms, 0), NULL);
    (void)pthread_mutex_lock(&p->mu);
    while (p->users > 0) /* Calls that waited for room; they come back with an error. */
        (void)pthread_cond_wait(&p->changed, &p->mu);
    (void)pthread_mutex_unlock(&p->mu);
    rmq_client_run(client, close_on_io, p);
    (void)pthread_mutex_lock(&p->mu);
    while (!p->closed || !p->left)
        (void)pthread_cond_wait(&p->changed, &p->mu);
    (void)pthread_mutex_unlock(&p->mu);
    producer_free(p);
}
