/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a queue back: the one routine behind a restart, a take-over and a send whose outcome is
 * unknown. Behind a barrier it ends there: what lands later does not count for readers either.
 * Without one it goes on until the end of the queue stands still over one more look, because bytes
 * of a connection that has ended may land a moment later. The end is where the broker will put the
 * next message, not where consumers see it: a busy broker shows messages seconds after it stored
 * them, and what is not seen would be sent again.
 */
#include "log/rocketmq/internal.h"

#include <poll.h>

#define FETCH_WAIT_MS 500
#define STUCK_MS 30000
#define LOOK_AGAIN_MS 200

static int lost(const rmq_queue *queue, int64_t from, int64_t end, rc_error *err)
{
    return omc_fail(
        err, OMC_ESTATE, OMC_ERR_FATAL,
        "topic '%s', queue %d of broker '%s' ends at %lld, but messages up to %lld were "
        "acknowledged: the broker has lost some (unclean failover, or the topic was "
        "made anew). Find out what is missing; to go on, stop the "
        "connector and forget its positions (connector offsets NAME --reset): it begins anew",
        queue->topic, queue->id, queue->broker, (long long)end, (long long)from);
}

static int gone(const rmq_queue *queue, int64_t from, int64_t min, rc_error *err)
{
    return omc_fail(err, OMC_ENOTFOUND, OMC_ERR_FATAL,
                    "topic '%s', queue %d of broker '%s' begins at %lld, but what may lie behind "
                    "the connector's last position begins at %lld: retention has removed messages "
                    "that must be recognised for exactly once. To go on with possible repeats, "
                    "set exactly.once.support=off for one start",
                    queue->topic, queue->id, queue->broker, (long long)min, (long long)from);
}

/* One that is being worked on. */
typedef struct reading {
    rc_rocketmq *log;
    const rc_look *look;
    rmq_consumer *consumer;
    rmq_strict *filter;
    int64_t at; /* next offset wanted */
} reading;

/* Whether readers take the message. Where the filter begins, all generations before the known one
 * were closed already. */
static bool taken(reading *in, const rmq_message *message, rmq_stamp *ret)
{
    if (rmq_strict_see(in->filter, message) != RMQ_STRICT_TAKE)
        return false;
    if (rmq_stamp_parse(rmq_message_property(message, RMQ_STAMP_PROPERTY), ret))
        return !in->look->known.writer || ret->generation >= in->look->known.generation;
    *ret = (rmq_stamp){0};
    return true;
}

static int visit(reading *in, const rmq_fetch *fetch, int64_t end)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < fetch->count; i++) {
        const rmq_message *message = &fetch->messages[i];
        rmq_stamp stamp;
        rc_slice text;
        rc_id id;

        if (message->queue_offset < in->at || message->queue_offset >= end ||
            !taken(in, message, &stamp))
            continue;
        text = rmq_message_property(message, RC_PROP_ID);
        if (text.base && rc_id_parse(text, &id))
            r = in->look->each(in->look->arg, &id, message->queue_offset, &stamp);
    }
    return r;
}

static bool stopped(const rc_look *look)
{
    return look->stop && atomic_load(look->stop);
}

static int read_up_to(reading *in, int64_t end, rc_error *err)
{
    rc_rocketmq *log = in->log;
    const rmq_queue *queue = in->look->queue;
    int64_t last_ms = rc_mono_ms(log->clock);
    int r = 0;

    while (r == 0 && in->at < end) {
        rmq_fetch fetch = {0};

        if (stopped(in->look))
            return rc_fail(err, OMC_ECANCELED, "stopped while reading a queue back");
        r = rmq_consumer_fetch(in->consumer, FETCH_WAIT_MS, &fetch, err);
        if (r == RMQ_FETCH_MESSAGES) {
            r = visit(in, &fetch, end);
            in->at = RC_MIN(RC_MAX(in->at, fetch.next_offset), end);
            last_ms = rc_mono_ms(log->clock);
        } else if (r == RMQ_FETCH_MOVED) {
            r = gone(queue, in->at, fetch.next_offset, err);
        } else if (r == RMQ_FETCH_QUEUE_LOST) {
            r = -err->code;
        } else if (r == 0 && rc_mono_ms(log->clock) - last_ms > STUCK_MS) {
            r = rc_fail_retriable(err, OMC_ETIMEDOUT,
                                  "topic '%s', queue %d of broker '%s' could not be read for %d s",
                                  queue->topic, queue->id, queue->broker, STUCK_MS / 1000);
        }
        if (fetch.internal)
            rmq_fetch_release(in->consumer, &fetch);
    }
    return r;
}

/* The end, hidden messages included. Right after a broker's start it may still be counting, so a
 * queue that seems to end too early is asked again for a while. */
static int find_end(rc_rocketmq *log, const rc_look *look, int64_t *ret, rc_error *err)
{
    int64_t deadline = rc_mono_ms(log->clock) + log->lost_ms;
    int r;

    if (look->end >= 0) {
        *ret = look->end;
        return look->from > look->end ? lost(look->queue, look->from, look->end, err) : 0;
    }
    while ((r = rmq_offset_next(log->client, look->queue, ret, err)) == 0 && look->from > *ret) {
        if (rc_mono_ms(log->clock) > deadline)
            return lost(look->queue, look->from, *ret, err);
        if (stopped(look))
            return rc_fail(err, OMC_ECANCELED, "stopped while reading a queue back");
        (void)poll(NULL, 0, LOOK_AGAIN_MS);
    }
    return r;
}

/* From in->at to the end. */
static int read_back(reading *in, int64_t end, rc_error *err)
{
    const rmq_consumer_config config = {.group = RC_INTERNAL_GROUP};
    const rc_look *look = in->look;
    int64_t seen = -1;
    int r = rmq_consumer_open(in->log->client, &config, &in->consumer, err);

    if (r == 0)
        r = rmq_consumer_add(in->consumer, look->queue, in->at, err);
    while (r == 0 && seen != end) {
        seen = end;
        r = read_up_to(in, end, err);
        if (r == 0 && look->end < 0)
            r = rmq_offset_next(in->log->client, look->queue, &end, err);
    }
    rmq_consumer_close(in->consumer);
    return r;
}

int rc_reconcile(rc_rocketmq *log, const rc_look *look, rc_error *err)
{
    reading in = {.log = log, .look = look, .at = look->from};
    int64_t min, end = 0;
    int r = find_end(log, look, &end, err);

    if (r == 0)
        r = rmq_offset_min(log->client, look->queue, &min, err);
    if (r == 0 && look->from < min && min < end)
        return gone(look->queue, look->from, min, err);
    if (r == 0 && look->from < end) {
        in.filter = rmq_strict_new();
        if (look->known.writer)
            (void)rmq_strict_raise(in.filter, &look->known);
        r = read_back(&in, end, err);
        rmq_strict_free(in.filter);
    }
    return r < 0 ? rc_wrap(err, r, "read back for exactly once") : 0;
}
