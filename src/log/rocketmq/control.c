/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control messages, said again until they are acknowledged: said twice they say the same.
 *
 * A *barrier* goes into a queue of users (exactly.once.support=strict only): what the writer it
 * names has sent before and that lands behind it is left out by readers that know barriers
 * (rocketmq/strict.h), ours among them.
 *
 * A *confirmation* goes into a topic of ours at the same broker. A broker has one log, which is
 * flushed and copied to slaves in order: when an append is acknowledged as flushed or replicated,
 * so is everything stored before it, also messages whose own acknowledgement never came.
 */
#include "log/rocketmq/internal.h"

#define CONTROL_DELIVERY_MS 10000
/** How often one that waits looks whether it should. */
#define LOOK_MS 100
#define CONFIRM_TOPIC "rocketmq-connect-confirm"

/* One under way; freed by whoever is done with it last. */
typedef struct control {
    rmq_parcel parcel;
    rc_buf item;
    pthread_mutex_t mu;
    pthread_cond_t cond;
    int refs;     /* [mu] */
    bool done;    /* [mu] */
    int result;   /* [mu] */
    rc_error err; /* [mu] */
} control;

static void let_go(control *c)
{
    bool last;

    (void)pthread_mutex_lock(&c->mu);
    last = --c->refs == 0;
    (void)pthread_mutex_unlock(&c->mu);
    if (!last)
        return;
    (void)pthread_cond_destroy(&c->cond);
    (void)pthread_mutex_destroy(&c->mu);
    rc_buf_release(&c->item);
    free(c);
}

/* I/O thread. */
static void on_done(void *arg, rmq_parcel *parcel, const rc_error *err)
{
    control *c = parcel->owner;

    (void)arg;
    (void)pthread_mutex_lock(&c->mu);
    c->done = true;
    c->result = parcel->result;
    if (err)
        c->err = *err;
    (void)pthread_cond_signal(&c->cond);
    (void)pthread_mutex_unlock(&c->mu);
    let_go(c);
}

static control *control_new(const rmq_queue *queue, const rmq_message *message)
{
    control *c = rc_calloc(1, sizeof *c);
    size_t properties = rmq_properties_size(message, true);
    size_t size = rmq_item_size(message->body.len, properties);
    char unique[33];

    (void)pthread_mutex_init(&c->mu, NULL);
    rc_cond_init(&c->cond);
    c->refs = 2;
    rc_buf_init(&c->item, size);
    rmq_unique_key(unique);
    (void)rmq_item_put((uint8_t *)rc_buf_reserve(&c->item, size), message, message->body, unique,
                       properties);
    c->parcel = (rmq_parcel){.topic = queue->topic,
                             .broker = queue->broker,
                             .queue_id = queue->id,
                             .items = c->item.data,
                             .bytes = size,
                             .count = 1,
                             .base_offset = -1,
                             .owner = c};
    return c;
}

static int lanes_of(rc_writer *writer, rc_ack ack, rmq_lanes **ret, rc_error *err)
{
    rc_rocketmq *log = writer->log;
    rmq_lanes **at = writer->fence ? &writer->control_lanes[ack] : &log->control_lanes[ack];
    const rmq_lanes_config config = {
        .who = "control",
        .group = "connect-control",
        .send_timeout_ms = rmq_client_settings(log->client)->request_timeout_ms,
        .delivery_timeout_ms = CONTROL_DELIVERY_MS,
        .unknown_wait_ms = 1, /* a copy that lands later does no harm */
        .unknown = RMQ_UNKNOWN_RESEND,
        .ack = (enum rmq_ack)ack,
        .done = on_done,
        .gate = writer->fence ? &writer->gate : NULL,
    };
    int r = 0;

    (void)pthread_mutex_lock(&log->mu);
    if (!*at)
        r = rmq_lanes_new(log->client, &config, at, err);
    *ret = *at;
    (void)pthread_mutex_unlock(&log->mu);
    return r;
}

/* @return 0 and the offset, the lanes' error, or -OMC_ECANCELED. */
static int wait_for(rc_rocketmq *log, control *c, const atomic_bool *stop, int64_t *ret_offset,
                    rc_error *err)
{
    int r;

    (void)pthread_mutex_lock(&c->mu);
    while (!c->done && !(stop && atomic_load(stop)))
        (void)log->clock->wait(log->clock, &c->cond, &c->mu,
                               rc_mono_ns(log->clock) + LOOK_MS * INT64_C(1000000));
    if (!c->done) {
        r = rc_fail(err, OMC_ECANCELED, "stopped while waiting for a broker");
    } else {
        r = c->result;
        if (r < 0 && err)
            *err = c->err;
        *ret_offset = c->parcel.base_offset;
    }
    (void)pthread_mutex_unlock(&c->mu);
    return r;
}

static int control_send(rc_writer *writer, const rmq_queue *queue, const rmq_message *message,
                        rc_ack ack, const atomic_bool *stop, int64_t *ret_offset, rc_error *err)
{
    rc_rocketmq *log = writer->log;
    rmq_lanes *lanes;
    control *c;
    int r = lanes_of(writer, ack, &lanes, err);

    if (r < 0)
        return r;
    c = control_new(queue, message);
    c->parcel.submitted_ns = rc_mono_ns(log->clock);
    rmq_lanes_submit(lanes, &c->parcel);
    r = wait_for(log, c, stop, ret_offset, err);
    let_go(c);
    return r;
}

int rc_barrier(rc_writer *writer, const rmq_queue *queue, const rmq_stamp *stamp,
               const atomic_bool *stop, int64_t *ret_offset, rc_error *err)
{
    char text[RMQ_STAMP_TEXT], body[512];
    rmq_property property = {omc_slice_str(RC_PROP_GEN),
                             omc_slice_of(text, rmq_stamp_text(stamp, text))};
    rmq_message message = {.tags = omc_slice_str(RMQ_BARRIER_TAG),
                           .properties = &property,
                           .property_count = 1};
    int r;

    (void)snprintf(body, sizeof body,
                   "A barrier of RocketMQ Connect, connector '%.200s' (exactly.once.support="
                   "strict): not a record. Consumers may skip messages with this tag.",
                   writer->connector);
    message.body = omc_slice_str(body);
    r = control_send(writer, queue, &message, RC_ACK_STORED, stop, ret_offset, err);
    if (r == 0 && *ret_offset < 0)
        r = rc_fail(err, OMC_EFORMAT, "the broker did not say where it stored a message");
    return r < 0 ? rc_wrap(err, r, "barrier in topic '%s', queue %d of broker '%s'", queue->topic,
                           queue->id, queue->broker)
                 : 0;
}

/* The queue at `broker` that confirmations go to, made when it is missing. */
static int confirm_queue(rc_rocketmq *log, const char *broker, const rmq_queue **ret, rc_error *err)
{
    const rmq_topic_spec spec = {.topic = CONFIRM_TOPIC,
                                 .read_queues = 1,
                                 .write_queues = 1,
                                 .broker = broker};
    rc_topic *topic;
    int r = 0;

    for (int round = 0; round < 2; round++) {
        r = rc_rmq_topic(&log->pub, CONFIRM_TOPIC, 0, &topic, err);
        if (r < 0 && r != -OMC_ENOTFOUND)
            return r;
        for (int32_t i = 0; r == 0 && i < topic->writable; i++)
            if (strcmp(topic->queues[i].broker, broker) == 0) {
                *ret = &topic->queues[i];
                return 0;
            }
        if (round == 0 && log->create_topics && (r = rmq_topic_create(log->client, &spec, err)) < 0)
            return r;
    }
    return rc_fail(err, OMC_ENOTFOUND,
                   "topic '%s' has no queue at broker '%s'%s: create it there with 1 queue",
                   CONFIRM_TOPIC, broker,
                   log->create_topics ? "" : " and autoCreateTopicEnable=false");
}

int rc_confirm(rc_writer *writer, const char *broker, const atomic_bool *stop, rc_error *err)
{
    const rmq_message message = {.body = omc_slice_str("RocketMQ Connect: not a record.")};
    const rmq_queue *queue = NULL;
    int64_t offset;
    int r;

    if (writer->ack == RC_ACK_STORED)
        return 0;
    r = confirm_queue(writer->log, broker, &queue, err);
    RC_ASSERT(r < 0 || queue);
    if (r == 0)
        r = control_send(writer, queue, &message, writer->ack, stop, &offset, err);
    return r < 0 ? rc_wrap(err, r,
                           "messages that broker '%s' has are not known to be there as ack.require "
                           "asks",
                           broker)
                 : 0;
}
