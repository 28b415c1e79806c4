/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue that is read: its life, what is buffered of it, and the form of its pulls. When it is
 * pulled from is decided in puller.c.
 */
#include "rocketmq/consumer_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <utlist.h>

/* ---- what is buffered, under mu ---------------------------------------------------------------
 */

void rmq_portion_free(rmq_portion *portion)
{
    rmq_block_unref(portion->block);
    free(portion);
}

void rmq_tap_drop_portions(rmq_tap *tap)
{
    rmq_portion *next;

    for (rmq_portion *p = tap->first; p; p = next) {
        next = p->next;
        tap->held -= p->charge;
        tap->consumer->buffered -= p->charge;
        rmq_portion_free(p);
    }
    tap->first = tap->last = NULL;
    tap->event = RMQ_FETCH_NONE;
    free(tap->event_error);
    tap->event_error = NULL;
    rmq_tap_unready(tap);
}

void rmq_tap_skip_to(rmq_tap *tap, int64_t next)
{
    if (tap->last) {
        tap->last->next_offset = next;
        return;
    }
    tap->position = next;
    if (tap->handed)
        tap->handed->prev->next_offset = next; /* utlist: prev of the head is the tail */
    else
        tap->consumed = next;
}

void rmq_tap_unref(rmq_tap *tap)
{
    if (--tap->refs > 0)
        return;
    if (--tap->sub->refs == 0)
        rmq_subscription_free(tap->sub);
    free(tap->gone);
    free(tap->event_error);
    free((void *)(uintptr_t)tap->queue.topic);
    free((void *)(uintptr_t)tap->queue.broker);
    free(tap->key);
    free(tap);
}

/* ---- the form of its pulls --------------------------------------------------------------------
 */

/* The fields of a tap's pulls; of them only the offset changes, and the broker when the queue
 * moves. */
enum { PULL_GROUP, PULL_TOPIC, PULL_QUEUE, PULL_OFFSET, PULL_BROKER = RMQ_PULL_FIELDS - 1 };

static void make_form(rmq_tap *tap)
{
    const rmq_consumer *consumer = tap->consumer;
    rmq_pull_form *form = &tap->form;

    (void)snprintf(form->queue_id, sizeof form->queue_id, "%d", tap->queue.id);
#define FIELD(name, text)                              \
    {                                                  \
        {name, sizeof name - 1}, omc_slice_str((text)) \
    }
    const rmq_field fields[] = {
        [PULL_GROUP] = FIELD("consumerGroup", consumer->group),
        [PULL_TOPIC] = FIELD("topic", tap->sub->wire),
        [PULL_QUEUE] = FIELD("queueId", form->queue_id),
        [PULL_OFFSET] = FIELD("queueOffset", ""),
        FIELD("maxMsgNums", consumer->pull_count),
        FIELD("sysFlag", "6"), /* 2 suspend, 4 subscription comes along */
        FIELD("commitOffset", "0"),
        FIELD("suspendTimeoutMillis", consumer->poll_ms),
        FIELD("subscription", tap->sub->expression),
        FIELD("subVersion", tap->sub->version),
        FIELD("expressionType", tap->sub->filter == RMQ_FILTER_SQL92 ? "SQL92" : "TAG"),
        FIELD("maxMsgBytes", consumer->pull_bytes),
        [PULL_BROKER] = FIELD("bname", ""),
    };
#undef FIELD
    _Static_assert(sizeof fields == sizeof form->fields, "rmq_pull_form has all of them");
    memcpy(form->fields, fields, sizeof fields);
}

const rmq_field *rmq_tap_form(rmq_tap *tap, const char *broker)
{
    rmq_pull_form *form = &tap->form;
    int digits = snprintf(form->offset, sizeof form->offset, "%" PRId64, tap->pull_offset);

    form->fields[PULL_OFFSET].value = omc_slice_of(form->offset, (size_t)digits);
    form->fields[PULL_BROKER].value = omc_slice_str(broker);
    return form->fields;
}

/* ---- life ------------------------------------------------------------------------------------ */

const char *rmq_tap_broker(const rmq_tap *tap)
{
    return rmq_route_name(rmq_route_known(tap->consumer->client, tap->sub->wire), tap->queue.broker,
                          tap->queue.id);
}

rmq_tap *rmq_tap_find(rmq_consumer *consumer, const char *topic, const char *broker, int32_t id)
{
    RC_AUTO_FREE char *key = rc_format("%s\n%s\n%d", topic, broker, id);
    rmq_tap *tap;

    HASH_FIND_STR(consumer->taps, key, tap);
    return tap;
}

rmq_tap *rmq_tap_new(rmq_consumer *consumer, rmq_subscription *sub, const char *broker, int32_t id,
                     int64_t offset)
{
    rmq_tap *tap = rc_calloc(1, sizeof *tap);

    tap->consumer = consumer;
    tap->sub = sub;
    tap->queue = (rmq_queue){rc_strdup(sub->topic), rc_strdup(broker), id};
    tap->key = rc_format("%s\n%s\n%d", sub->topic, broker, id);
    tap->refs = 1;
    tap->pull_offset = tap->position = tap->consumed = tap->committed = offset;
    tap->reset_to = -1;
    make_form(tap);
    pthread_mutex_lock(&consumer->mu);
    sub->refs++;
    HASH_ADD_KEYPTR(hh, consumer->taps, tap->key, strlen(tap->key), tap);
    pthread_mutex_unlock(&consumer->mu);
    return tap;
}

void rmq_tap_unstall(rmq_tap *tap)
{
    if (tap->stalled)
        tap->consumer->stalled--;
    tap->stalled = false;
}

void rmq_tap_silence(rmq_tap *tap)
{
    if (tap->pull) {
        tap->pull->stale = true;
        tap->pull = NULL;
        tap->stale++;
    }
    if (tap->asking)
        *tap->asking = NULL;
    tap->asking = NULL;
    tap->due_ms = 0;
    tap->backoff_ms = 0;
    tap->gone_answers = 0;
    tap->doubt_ms = 0;
    pthread_mutex_lock(&tap->consumer->mu);
    rmq_tap_drop_portions(tap);
    rmq_tap_unstall(tap);
    pthread_mutex_unlock(&tap->consumer->mu);
}

void rmq_tap_restart(rmq_tap *tap, int64_t offset)
{
    rmq_tap_silence(tap);
    pthread_mutex_lock(&tap->consumer->mu);
    tap->position = offset;
    pthread_mutex_unlock(&tap->consumer->mu);
    tap->pull_offset = offset;
    tap->stopped = false;
    tap->node = 0;
    rmq_tap_kick(tap);
}

void rmq_tap_remove(rmq_tap *tap)
{
    rmq_consumer *consumer = tap->consumer;
    rmq_pull *pull;

    rmq_tap_silence(tap);
    tap->stopped = true;
    DL_FOREACH(tap->pulls, pull)
    pull->tap = NULL;
    tap->pulls = NULL;
    pthread_mutex_lock(&consumer->mu);
    HASH_DEL(consumer->taps, tap);
    rmq_tap_unref(tap);
    pthread_mutex_unlock(&consumer->mu);
}
