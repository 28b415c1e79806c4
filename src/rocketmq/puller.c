/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Long polls: one per queue, all of a broker on one connection. What a reply means for the position
 * is decided here, on the I/O thread; the next pull leaves before anybody decodes the last one.
 */
#include "rocketmq/consumer_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <utlist.h>

int64_t rmq_now_ms(void)
{
    return rc_mono_ms(rc_clock_real());
}

/* ---- trouble --------------------------------------------------------------------------------- */

void rmq_consumer_arm(rmq_consumer *consumer, int64_t at_ms)
{
    if (consumer->timer_at && consumer->timer_at <= at_ms)
        return;
    consumer->timer_at = at_ms;
    rc_loop_timer_set(consumer->timer, RC_MAX(at_ms - rmq_now_ms(), 1));
}

void rmq_consumer_on_timer(void *arg)
{
    rmq_consumer *consumer = arg;
    int64_t now = rmq_now_ms(), next = 0;
    rmq_tap *tap, *tmp;

    consumer->timer_at = 0;
    HASH_ITER(hh, consumer->taps, tap, tmp)
    {
        if (tap->due_ms && tap->due_ms <= now) {
            tap->due_ms = 0;
            rmq_tap_kick(tap);
        }
        if (tap->due_ms && (!next || tap->due_ms < next))
            next = tap->due_ms;
    }
    if (next)
        rmq_consumer_arm(consumer, next);
}

/* One line per second at most: when a broker goes away, all of its queues have the same trouble. */
static void tell_trouble(rmq_tap *tap, const rc_error *why)
{
    rmq_consumer *consumer = tap->consumer;
    int64_t now = rmq_now_ms();

    if (consumer->told_ms && now - consumer->told_ms < 1000)
        return;
    consumer->told_ms = now;
    tap->troubled = true;
    rmq_client_say(consumer->client, RMQ_LOG_WARN,
                   "reading topic %s, queue %d of broker %s at offset %" PRId64
                   " waits, and is tried again in %" PRId64 " ms: %s",
                   tap->queue.topic, tap->queue.id, tap->queue.broker, tap->pull_offset,
                   tap->backoff_ms, why->msg);
}

void rmq_tap_retry(rmq_tap *tap, const rc_error *why)
{
    tap->backoff_ms =
        tap->backoff_ms ? RC_MIN(tap->backoff_ms * 2, RMQ_BACKOFF_MAX_MS) : RMQ_BACKOFF_MIN_MS;
    tap->due_ms = rmq_now_ms() + tap->backoff_ms;
    if (why)
        tell_trouble(tap, why);
    rmq_consumer_arm(tap->consumer, tap->due_ms);
}

static void trouble_over(rmq_tap *tap)
{
    tap->backoff_ms = 0;
    tap->gone_answers = 0;
    tap->doubt_ms = 0;
    if (!tap->troubled)
        return;
    tap->troubled = false;
    rmq_client_say(tap->consumer->client, RMQ_LOG_INFO,
                   "reading topic %s, queue %d of broker %s goes on at offset %" PRId64,
                   tap->queue.topic, tap->queue.id, tap->queue.broker, tap->pull_offset);
}

/* The queue stands still; the application is told behind what is buffered. */
static void stop_with(rmq_tap *tap, enum rmq_fetch_event event, int64_t offset, const rc_error *why)
{
    rmq_consumer *consumer = tap->consumer;

    tap->stopped = true;
    pthread_mutex_lock(&consumer->mu);
    tap->event = event;
    tap->event_offset = offset;
    if (!tap->event_error)
        tap->event_error = rc_malloc(sizeof *tap->event_error);
    *tap->event_error = *why;
    rmq_tap_ready(tap);
    pthread_mutex_unlock(&consumer->mu);
}

/* Members of a group lose queues by balancing only; a refusal there passes or is said every second.
 */
static void lost(rmq_tap *tap, const rc_error *why)
{
    if (tap->consumer->group_mode) {
        tap->backoff_ms = RMQ_BACKOFF_MAX_MS;
        tap->gone_answers = 0; /* asked anew each time */
        rmq_tap_retry(tap, why);
        return;
    }
    stop_with(tap, RMQ_FETCH_QUEUE_LOST, tap->pull_offset, why);
}

/* ---- routes ---------------------------------------------------------------------------------- */

/* A question for the route of a tap's topic; outlives the tap. */
typedef struct route_question {
    rmq_tap *tap;
} route_question;

static bool route_has(const rmq_route *route, const rmq_tap *tap)
{
    for (size_t i = 0; i < route->queue_count; i++) {
        const rmq_route_queues *q = &route->queues[i];

        if (strcmp(route->brokers[q->broker].name, tap->queue.broker) == 0)
            return tap->queue.id >= 0 && tap->queue.id < q->read;
    }
    return false;
}

/* The broker says there is no such queue. Believed when the route agrees, or the third time: the
 * name server alone forgets topics whose brokers are down for a moment. */
static bool gone_for_good(rmq_tap *tap, const rmq_route *route)
{
    return tap->gone_answers > 0 && (tap->gone_answers >= 3 || !route || !route_has(route, tap));
}

static void on_route(void *arg, rmq_route *route, const rc_error *err)
{
    route_question *question = arg;
    rmq_tap *tap = question->tap;
    bool answered = route || (err && err->code == OMC_ENOTFOUND);

    free(question);
    if (!tap)
        return;
    tap->asking = NULL;
    if (tap->consumer->closing)
        return;
    if (answered && gone_for_good(tap, route)) {
        lost(tap, tap->gone);
        return;
    }
    tap->fresh_route = false;
    if (route || rmq_route_known(tap->consumer->client, tap->sub->wire))
        rmq_tap_kick(tap); /* an old route is better than none */
    else
        rmq_tap_retry(tap, err);
}

static void ask_route(rmq_tap *tap)
{
    route_question *question = rc_calloc(1, sizeof *question);

    question->tap = tap;
    tap->asking = &question->tap;
    rmq_route_ask(tap->consumer->client, tap->sub->wire, RMQ_BACKOFF_MIN_MS, on_route, question);
}

/* ---- sending --------------------------------------------------------------------------------- */

/* Every queue may have one reply, however full the others are: a slow one starves nobody. mu held.
 */
static bool has_room(rmq_tap *tap)
{
    rmq_consumer *consumer = tap->consumer;

    if (consumer->buffered < consumer->config.buffer_bytes || tap->held == 0) {
        rmq_tap_unstall(tap);
        return true;
    }
    if (!tap->stalled)
        consumer->stalled++;
    tap->stalled = true;
    return false;
}

static bool budget_allows(rmq_tap *tap)
{
    bool room;

    pthread_mutex_lock(&tap->consumer->mu);
    room = has_room(tap);
    pthread_mutex_unlock(&tap->consumer->mu);
    return room;
}

void rmq_consumer_on_room(void *arg)
{
    rmq_consumer *consumer = arg;
    rmq_tap *tap, *tmp;

    pthread_mutex_lock(&consumer->mu);
    consumer->resume_posted = false;
    pthread_mutex_unlock(&consumer->mu);
    HASH_ITER(hh, consumer->taps, tap, tmp)
    {
        if (tap->stalled)
            rmq_tap_kick(tap);
    }
}

static void on_pulled(void *arg, const rmq_reply *reply);

static void send_pull(rmq_tap *tap, const rmq_route *route, const char *address)
{
    rmq_consumer *consumer = tap->consumer;
    const char *master = rmq_route_master(route, tap->queue.broker, tap->queue.id);
    const char *broker = rmq_route_name(route, tap->queue.broker, tap->queue.id);
    rmq_pull *pull = rc_calloc(1, sizeof *pull);

    pull->tap = tap;
    pull->offset = tap->pull_offset;
    pull->at_slave = !master || strcmp(master, address) != 0;
    const rmq_request request = {.code = RMQ_PULL_MESSAGE,
                                 .fields = rmq_tap_form(tap, broker),
                                 .field_count = RMQ_PULL_FIELDS,
                                 .timeout_ms = consumer->config.poll_ms + 10000,
                                 .done = on_pulled,
                                 .arg = pull};

    DL_APPEND(tap->pulls, pull);
    tap->pull = pull;
    rmq_remote_call(rmq_client_remote(consumer->client, address, RMQ_CONN_PULL), &request);
}

static void pull_now(rmq_tap *tap, const rmq_route *route)
{
    const char *address = rmq_route_reader(route, tap->queue.broker, tap->queue.id, tap->node);
    rc_error err = {0};

    if (address) {
        send_pull(tap, route, address);
        return;
    }
    (void)rc_fail_retriable(&err, OMC_ECONNECT,
                            "broker %s is not in the route of topic %s; is it running, and "
                            "registered with this name server?",
                            tap->queue.broker, tap->sub->wire);
    tap->fresh_route = true;
    rmq_tap_retry(tap, &err);
}

static void kick(rmq_tap *tap, bool room)
{
    rmq_route *route;

    if (tap->consumer->closing || tap->pull || tap->asking || tap->due_ms || tap->paused ||
        tap->stopped || tap->revoked || tap->stale >= RMQ_STALE_MAX)
        return;
    route = rmq_route_known(tap->consumer->client, tap->sub->wire);
    if (!route || tap->fresh_route)
        ask_route(tap);
    else if (tap->pull_offset < 0 && tap->consumer->group_mode)
        rmq_tap_locate(tap, route);
    else if (room || budget_allows(tap))
        pull_now(tap, route);
}

void rmq_tap_kick(rmq_tap *tap)
{
    kick(tap, false);
}

/* ---- replies --------------------------------------------------------------------------------- */

typedef struct pulled {
    int64_t next, min, max, delta, suggested;
} pulled;

static int64_t field_or(const rmq_header *header, const char *name, int64_t otherwise)
{
    int64_t value;

    if (!rmq_header_get(header, name).base || rmq_header_int(header, name, &value, NULL) < 0)
        return otherwise;
    return value;
}

static int read_fields(const rmq_header *header, pulled *ret, rc_error *err)
{
    int r = rmq_header_int(header, "nextBeginOffset", &ret->next, err);

    ret->min = field_or(header, "minOffset", -1);
    ret->max = field_or(header, "maxOffset", -1);
    ret->delta = field_or(header, "offsetDelta", 0);
    ret->suggested = field_or(header, "suggestWhichBrokerId", 0);
    return r;
}

/* A small reply keeps a whole receive block; replies that share one count it once. Blocks are
 * filled in order, so the last one of each connection is all there is to remember. */
static bool new_block(rmq_consumer *consumer, const rmq_block *block)
{
    for (size_t i = 0; i < RC_COUNT(consumer->blocks); i++) {
        if (consumer->blocks[i] == block)
            return false;
    }
    consumer->blocks[consumer->next_block++ % RC_COUNT(consumer->blocks)] = block;
    return true;
}

static rmq_portion *portion_of(rmq_tap *tap, const pulled *what, const rmq_reply *reply)
{
    rmq_portion *portion = rc_calloc(1, sizeof *portion);
    size_t len = reply->frame->body.len;

    portion->block = reply->block;
    if (portion->block)
        rmq_block_ref(portion->block);
    portion->body = reply->frame->body;
    portion->next_offset = what->next;
    portion->min_offset = what->min;
    portion->max_offset = what->max;
    portion->delta = what->delta;
    portion->charge = reply->block && new_block(tap->consumer, reply->block)
                          ? RC_MAX(len, reply->block->cap)
                          : len;
    return portion;
}

/* mu held. */
static void keep(rmq_tap *tap, rmq_portion *portion)
{
    if (tap->last)
        tap->last->next = portion;
    else
        tap->first = portion;
    tap->last = portion;
    tap->held += portion->charge;
    tap->consumer->buffered += portion->charge;
    tap->min_offset = portion->min_offset;
    tap->max_offset = portion->max_offset;
}

/* One turn under the lock; the next pull leaves before the application is woken up, which may take
 * this processor. */
static void hand_over(rmq_tap *tap, rmq_portion *portion)
{
    rmq_consumer *consumer = tap->consumer;
    bool room, wake;

    pthread_mutex_lock(&consumer->mu);
    keep(tap, portion);
    room = has_room(tap);
    wake = rmq_tap_ready_later(tap);
    pthread_mutex_unlock(&consumer->mu);
    if (room)
        kick(tap, true);
    if (wake)
        rc_wake_set(&consumer->wake);
}

static void no_progress(rmq_tap *tap, int64_t next)
{
    rc_error err = {0};

    (void)rc_fail_retriable(&err, OMC_EFORMAT,
                            "the broker's answer leads from offset %" PRId64 " to %" PRId64
                            ", which is no progress",
                            tap->pull_offset, next);
    rmq_tap_retry(tap, &err);
}

static void found(rmq_tap *tap, const pulled *what, const rmq_reply *reply)
{
    if (what->next <= tap->pull_offset) {
        no_progress(tap, what->next);
        return;
    }
    tap->pull_offset = what->next;
    trouble_over(tap);
    hand_over(tap, portion_of(tap, what, reply));
}

/* 19 and 20: no message for us up to `next`. A slave that lags may name a smaller one: stay. */
static void nothing(rmq_tap *tap, const pulled *what, bool at_slave)
{
    bool forward = what->next > tap->pull_offset, back = what->next < tap->pull_offset;

    pthread_mutex_lock(&tap->consumer->mu);
    tap->min_offset = what->min;
    tap->max_offset = what->max;
    if (forward)
        rmq_tap_skip_to(tap, what->next);
    pthread_mutex_unlock(&tap->consumer->mu);
    if (forward) {
        tap->pull_offset = what->next;
        if (tap->consumer->group_mode)
            rmq_group_progress(tap->consumer);
    }
    if (back && at_slave) {
        tap->node = 0;
        rmq_tap_retry(tap, NULL);
        return;
    }
    trouble_over(tap);
    rmq_tap_kick(tap);
}

/* 20 without progress would be a busy loop between us and the broker. */
static void again_at_once(rmq_tap *tap, const pulled *what, bool at_slave)
{
    if (what->next > tap->pull_offset) {
        nothing(tap, what, at_slave);
        return;
    }
    tap->node = 0;
    rmq_tap_retry(tap, NULL);
}

/* Is it too early to believe that our offset is not there? What a slave says of it decides nothing:
 * the master is asked. A master may be behind, too: it has stored what it has not indexed yet, and
 * its slave, who gets the stored bytes at once, may have shown it to us already; so may the master
 * itself have done before it was killed. That the queue begins later needs no doubt. */
static bool doubtful(rmq_tap *tap, const pulled *what, bool at_slave)
{
    int64_t now = rmq_now_ms();

    if (at_slave)
        return true;
    if (what->next >= tap->pull_offset)
        return false;
    if (!tap->doubt_ms)
        tap->doubt_ms = now;
    return now - tap->doubt_ms < tap->consumer->config.lost_ms;
}

/* The first time in silence: a master that is behind is so for milliseconds. */
static void doubt(rmq_tap *tap, const pulled *what, bool at_slave)
{
    bool first = tap->backoff_ms == 0;
    rc_error err = {0};

    if (at_slave) {
        (void)rc_fail_retriable(&err, OMC_EAGAIN,
                                "the slave has messages from offset %" PRId64 " to %" PRId64
                                " only; waiting until it has more, or the master is back",
                                what->min, what->max);
        tap->node = 0;
        tap->fresh_route = true;
    } else {
        (void)rc_fail_retriable(&err, OMC_EAGAIN,
                                "the broker shows messages up to offset %" PRId64
                                " only; it may be behind with its index, and is asked again for "
                                "%" PRId64 " ms before this is believed",
                                what->max, tap->consumer->config.lost_ms);
    }
    rmq_tap_retry(tap, first && !at_slave ? NULL : &err);
}

static void moved(rmq_tap *tap, const pulled *what, bool at_slave, rc_slice remark)
{
    const char *cure = tap->consumer->group_mode ? "" : "; seek to go on";
    bool reset = omc_slice_is(remark, "OFFSET_RESET");
    rc_error err = {0};

    if (!reset && doubtful(tap, what, at_slave)) {
        doubt(tap, what, at_slave);
        return;
    }
    if (reset)
        (void)rc_fail(&err, OMC_ENOTFOUND,
                      "an administrator has reset topic %s, queue %d of broker %s for group %s "
                      "from offset %" PRId64 " to %" PRId64 "%s",
                      tap->queue.topic, tap->queue.id, tap->queue.broker, tap->consumer->group,
                      tap->pull_offset, what->next, cure);
    else
        (void)rc_fail(&err, OMC_ENOTFOUND,
                      "offset %" PRId64 " of topic %s, queue %d of broker %s does not exist (any "
                      "more): the broker keeps %" PRId64 " to %" PRId64 ", and proposes %" PRId64
                      "%s",
                      tap->pull_offset, tap->queue.topic, tap->queue.id, tap->queue.broker,
                      what->min, what->max, what->next, cure);
    pthread_mutex_lock(&tap->consumer->mu);
    tap->min_offset = what->min;
    tap->max_offset = what->max;
    pthread_mutex_unlock(&tap->consumer->mu);
    trouble_over(tap);
    stop_with(tap, RMQ_FETCH_MOVED, what->next, &err);
}

static void fail_pull(const rmq_tap *tap, const rmq_header *header, rc_error *err)
{
    RC_AUTO_FREE char *what =
        rc_format("PULL_MESSAGE of topic %s, queue %d at offset %" PRId64 " from broker %s for "
                  "group %s",
                  tap->sub->wire, tap->queue.id, tap->pull_offset, tap->queue.broker,
                  tap->consumer->group);

    (void)rmq_fail_response(err, header->code, header->remark, what);
}

/* A slave copies topics and groups from its master every 10 s: what it does not know may exist. */
static void refused(rmq_tap *tap, const rmq_header *header, bool at_slave)
{
    rc_error err = {0};

    fail_pull(tap, header, &err);
    tap->doubt_ms = 0;
    if (tap->node != 0)
        tap->no_slave_ms = rmq_now_ms() + RMQ_SLAVE_AGAIN_MS;
    tap->node = 0;
    if (at_slave) /* the master may be back */
        tap->fresh_route = true;
    switch (header->code) {
    case RMQ_R_TOPIC_NOT_EXIST:
    case RMQ_R_INVALID_PARAMETER:
        if (at_slave)
            break;
        tap->gone_answers++;
        if (!tap->gone)
            tap->gone = rc_malloc(sizeof *tap->gone);
        *tap->gone = err;
        tap->fresh_route = true;
        break;
    case RMQ_R_SUBSCRIPTION_NOT_EXIST:
    case RMQ_R_SUBSCRIPTION_NOT_LATEST:
    case RMQ_R_FILTER_DATA_NOT_EXIST:
    case RMQ_R_FILTER_DATA_NOT_LATEST:
        rmq_heartbeat_now(tap->consumer->client);
        break;
    case RMQ_R_SUBSCRIPTION_GROUP_NOT_EXIST:
        if (at_slave)
            break;
        lost(tap, &err);
        return;
    case RMQ_R_SUBSCRIPTION_PARSE_FAILED:
        lost(tap, &err);
        return;
    case RMQ_R_NOT_LEADER_FOR_QUEUE:
        tap->fresh_route = true;
        break;
    default:
        if (err.code == OMC_EACCES) {
            lost(tap, &err);
            return;
        }
    }
    rmq_tap_retry(tap, &err);
}

/* The way to the broker is broken: a new route, and another node of it where that is allowed. */
static void unreachable(rmq_tap *tap, const rc_error *why)
{
    rmq_route *route = rmq_route_known(tap->consumer->client, tap->sub->wire);

    tap->fresh_route = true;
    tap->doubt_ms = 0; /* it may have to start, and count, again */
    if (tap->node != 0) {
        tap->no_slave_ms = rmq_now_ms() + RMQ_SLAVE_AGAIN_MS;
        tap->node = 0;
    } else if (tap->consumer->config.read_slaves && route) {
        const rmq_route_broker *broker =
            rmq_route_leader_of(route, tap->queue.broker, tap->queue.id);

        if (broker && broker->node_count > 1)
            tap->node = broker->nodes[broker->node_count - 1].id;
    }
    rmq_tap_retry(tap, why);
}

static void answered(rmq_tap *tap, const rmq_pull *pull, const rmq_reply *reply)
{
    const rmq_header *header = &reply->frame->header;
    rc_error err;
    pulled what;

    rc_error_empty(&err);
    if (header->code != RMQ_R_SUCCESS && header->code != RMQ_R_PULL_NOT_FOUND &&
        header->code != RMQ_R_PULL_RETRY_IMMEDIATELY && header->code != RMQ_R_PULL_OFFSET_MOVED) {
        refused(tap, header, pull->at_slave);
        return;
    }
    if (read_fields(header, &what, &err) < 0) {
        (void)rc_wrap(&err, 0, "answer to a pull");
        rmq_tap_retry(tap, &err);
        return;
    }
    tap->node = 0;
    if (tap->consumer->config.read_slaves && rmq_now_ms() >= tap->no_slave_ms)
        tap->node = what.suggested;
    if (header->code == RMQ_R_SUCCESS)
        found(tap, &what, reply);
    else if (header->code == RMQ_R_PULL_NOT_FOUND)
        nothing(tap, &what, pull->at_slave);
    else if (header->code == RMQ_R_PULL_RETRY_IMMEDIATELY)
        again_at_once(tap, &what, pull->at_slave);
    else
        moved(tap, &what, pull->at_slave, header->remark);
}

static void on_pulled(void *arg, const rmq_reply *reply)
{
    rmq_pull *pull = arg;
    rmq_tap *tap = pull->tap;

    if (tap)
        DL_DELETE(tap->pulls, pull);
    if (tap && pull->stale) {
        tap->stale--;
        rmq_tap_kick(tap);
    } else if (tap) {
        tap->pull = NULL;
        if (tap->paused) {
            /* Its answer is not kept: a paused queue buffers nothing more. */
            trouble_over(tap);
        } else if (reply->result < 0) {
            unreachable(tap, reply->err);
        } else {
            answered(tap, pull, reply);
        }
    }
    free(pull);
}
