/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a queue back: the one routine behind a restart, a take-over and a send whose outcome is
 * unknown. It goes on until the end of the queue stands still over one more look, because bytes of
 * a connection that has ended may land a moment later. The end is where the broker will put the
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

static int visit(const rmq_fetch *fetch, int64_t from, rc_reconcile_fn *each, void *arg)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < fetch->count; i++) {
        rc_slice text = rmq_message_property(&fetch->messages[i], RC_PROP_ID);
        rc_id id;

        if (fetch->messages[i].queue_offset >= from && text.base && rc_id_parse(text, &id))
            r = each(arg, &id, fetch->messages[i].queue_offset);
    }
    return r;
}

/* Reads up to `end`; *at is where the reader stands. */
static int read_up_to(rc_rocketmq *log, rmq_consumer *consumer, const rmq_queue *queue, int64_t *at,
                      int64_t end, atomic_bool *stop, rc_reconcile_fn *each, void *arg,
                      rc_error *err)
{
    int64_t last_ms = rc_mono_ms(log->clock);
    int r = 0;

    while (r == 0 && *at < end) {
        rmq_fetch fetch = {0};

        if (stop && atomic_load(stop))
            return rc_fail(err, OMC_ECANCELED, "stopped while reading a queue back");
        r = rmq_consumer_fetch(consumer, FETCH_WAIT_MS, &fetch, err);
        if (r == RMQ_FETCH_MESSAGES) {
            r = visit(&fetch, *at, each, arg);
            *at = RC_MAX(*at, fetch.next_offset);
            last_ms = rc_mono_ms(log->clock);
        } else if (r == RMQ_FETCH_MOVED) {
            r = gone(queue, *at, fetch.next_offset, err);
        } else if (r == RMQ_FETCH_QUEUE_LOST) {
            r = -err->code;
        } else if (r == 0 && rc_mono_ms(log->clock) - last_ms > STUCK_MS) {
            r = rc_fail_retriable(err, OMC_ETIMEDOUT,
                                  "topic '%s', queue %d of broker '%s' could not be read for %d s",
                                  queue->topic, queue->id, queue->broker, STUCK_MS / 1000);
        }
        if (fetch.internal)
            rmq_fetch_release(consumer, &fetch);
    }
    return r;
}

/* The end, hidden messages included. Right after a broker's start it may still be counting, so a
 * queue that seems to end too early is asked again for a while. */
static int find_end(rc_rocketmq *log, const rmq_queue *queue, int64_t from, atomic_bool *stop,
                    int64_t *ret, rc_error *err)
{
    int64_t deadline = rc_mono_ms(log->clock) + log->lost_ms;
    int r;

    while ((r = rmq_offset_next(log->client, queue, ret, err)) == 0 && from > *ret) {
        if (rc_mono_ms(log->clock) > deadline)
            return lost(queue, from, *ret, err);
        if (stop && atomic_load(stop))
            return rc_fail(err, OMC_ECANCELED, "stopped while reading a queue back");
        (void)poll(NULL, 0, LOOK_AGAIN_MS);
    }
    return r;
}

int rc_reconcile(rc_rocketmq *log, const rmq_queue *queue, int64_t from, atomic_bool *stop,
                 rc_reconcile_fn *each, void *arg, int64_t *ret_end, rc_error *err)
{
    const rmq_consumer_config config = {.group = RC_INTERNAL_GROUP};
    rmq_consumer *consumer = NULL;
    int64_t min, end = 0, at = from, seen = -1;
    int r = find_end(log, queue, from, stop, &end, err);

    if (r == 0)
        r = rmq_offset_min(log->client, queue, &min, err);
    if (r == 0 && from < min && min < end)
        return gone(queue, from, min, err);
    if (r == 0 && from < end)
        r = rmq_consumer_open(log->client, &config, &consumer, err);
    if (r == 0 && consumer)
        r = rmq_consumer_add(consumer, queue, from, err);
    while (r == 0 && consumer && seen != end) {
        seen = end;
        r = read_up_to(log, consumer, queue, &at, end, stop, each, arg, err);
        if (r == 0)
            r = rmq_offset_next(log->client, queue, &end, err);
    }
    rmq_consumer_close(consumer);
    if (ret_end)
        *ret_end = end;
    return r < 0 ? rc_wrap(err, r, "read back for exactly once") : 0;
}
