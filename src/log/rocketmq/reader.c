/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers: assigned consumers of the client. Messages are slices of its receive buffers; what is
 * made here per message is the rc_message and its properties, in the arena of the fetch.
 *
 * A fetch of the client may hold more than the task asked for: the rest waits for the next call.
 */
#include "log/rocketmq/internal.h"

typedef struct rc_reader_queue {
    rc_topic *topic;
    int32_t queue;
    rc_barriers *barriers;
} rc_reader_queue;

/** A fetch of the client and how far it is handed on; shared by the rc_fetch made from it. */
typedef struct held {
    rmq_fetch fetch;
    rc_arena arena;
    size_t at; /* messages handed on */
    int refs;
} held;

struct rc_reader {
    rc_log_object head;
    rc_rocketmq *log;
    char *name, *group; /* group NULL: nobody's */
    rc_wake *wake;
    rmq_consumer *consumer;
    rc_reader_queue *queues;
    size_t count, cap;
    held *rest; /* not handed on to its end; NULL = none */
    size_t rest_queue;
};

int rc_rmq_reader_open(rc_log *pub, const rc_reader_config *config, rc_reader **ret, rc_error *err)
{
    rc_rocketmq *log = rc_rocketmq_of(pub);
    rmq_consumer_config consumer = {.group = config->group ? config->group : RC_INTERNAL_GROUP,
                                    .read_slaves = true};
    rc_reader *reader = rc_calloc(1, sizeof *reader);
    int r = rc_rmq_group_ready(log, consumer.group, err);

    reader->head.log = pub;
    reader->log = log;
    reader->name = rc_strdup(config->name ? config->name : "");
    reader->group = config->group ? rc_strdup(config->group) : NULL;
    reader->wake = config->wake;
    if (r == 0)
        r = rmq_consumer_open(log->client, &consumer, &reader->consumer, err);
    if (r < 0) {
        rc_rmq_reader_close(reader);
        return r;
    }
    *ret = reader;
    return 0;
}

static void let_go(rc_reader *reader, held *h)
{
    if (--h->refs > 0)
        return;
    rmq_fetch_release(reader->consumer, &h->fetch);
    rc_arena_release(&h->arena);
    free(h);
}

static void drop_rest(rc_reader *reader)
{
    if (reader->rest)
        let_go(reader, RC_TAKE(reader->rest));
}

void rc_rmq_reader_close(rc_reader *reader)
{
    if (!reader)
        return;
    drop_rest(reader);
    rmq_consumer_close(reader->consumer);
    for (size_t i = 0; i < reader->count; i++)
        rc_barriers_free(reader->queues[i].barriers);
    free(reader->queues);
    free(reader->name);
    free(reader->group);
    free(reader);
}

static size_t find(const rc_reader *reader, const rc_topic *topic, int32_t queue)
{
    for (size_t i = 0; i < reader->count; i++)
        if (reader->queues[i].topic == topic && reader->queues[i].queue == queue)
            return i;
    return reader->count;
}

static int not_added(const rc_topic *topic, int32_t queue, rc_error *err)
{
    return rc_fail(err, OMC_ENOTFOUND, "queue %d of topic '%s' was not added to this reader", queue,
                   topic->name);
}

/* Where to begin so that all barriers are known at `offset`: there, or below, but not below what is
 * kept, as long as `offset` is. */
static int begin_at(rc_reader *reader, const rmq_queue *queue, int64_t from, int64_t offset,
                    int64_t *ret, rc_error *err)
{
    int64_t min;
    int r;

    *ret = offset;
    if (from >= offset)
        return 0;
    r = rmq_offset_min(reader->log->client, queue, &min, err);
    if (r == 0)
        *ret = RC_MIN(RC_MAX(from, min), offset);
    return r;
}

/* What the group's last commit says about barriers before `offset`. */
static int64_t recall(rc_reader *reader, rc_barriers *barriers, const rc_topic *topic,
                      int32_t queue, int64_t offset)
{
    rc_arena arena;

    if (!reader->group)
        return offset;
    rc_arena_init(&arena, 1024);
    offset =
        rc_barriers_recall(barriers,
                           rc_rmq_barriers_of(reader->log, reader->group, topic, queue, &arena.pub),
                           offset);
    rc_arena_release(&arena);
    return offset;
}

int rc_rmq_reader_add(rc_reader *reader, rc_topic *topic, int32_t queue, int64_t offset,
                      rc_error *err)
{
    rc_barriers *barriers;
    int64_t from;
    int r;

    RC_ASSERT(queue >= 0 && queue < topic->count);
    barriers = rc_barriers_new(offset);
    r = begin_at(reader, &topic->queues[queue], recall(reader, barriers, topic, queue, offset),
                 offset, &from, err);
    if (r == 0)
        r = rmq_consumer_add(reader->consumer, &topic->queues[queue], from, err);
    if (r < 0) {
        rc_barriers_free(barriers);
        return r;
    }
    if (reader->count == reader->cap) {
        reader->cap = reader->cap ? 2 * reader->cap : 16;
        reader->queues = rc_realloc(reader->queues, reader->cap * sizeof *reader->queues);
    }
    reader->queues[reader->count++] = (rc_reader_queue){topic, queue, barriers};
    return 0;
}

/* What is held of a queue is not handed on any more. */
static void forget_rest(rc_reader *reader, size_t at)
{
    if (reader->rest && reader->rest_queue == at)
        drop_rest(reader);
}

int rc_rmq_reader_remove(rc_reader *reader, rc_topic *topic, int32_t queue, rc_error *err)
{
    size_t at = find(reader, topic, queue);

    if (at == reader->count)
        return not_added(topic, queue, err);
    forget_rest(reader, at);
    rc_barriers_free(reader->queues[at].barriers);
    reader->queues[at] = reader->queues[--reader->count];
    if (reader->rest && reader->rest_queue == reader->count)
        reader->rest_queue = at; /* the last one took the place */
    return rmq_consumer_remove(reader->consumer, &topic->queues[queue], err);
}

int rc_rmq_reader_seek(rc_reader *reader, rc_topic *topic, int32_t queue, int64_t offset,
                       rc_error *err)
{
    size_t at = find(reader, topic, queue);
    int64_t from;
    int r;

    if (at == reader->count)
        return not_added(topic, queue, err);
    forget_rest(reader, at);
    r = begin_at(reader, &topic->queues[queue],
                 rc_barriers_seek(reader->queues[at].barriers, offset), offset, &from, err);
    return r < 0 ? r : rmq_consumer_seek(reader->consumer, &topic->queues[queue], from, err);
}

int rc_rmq_reader_pause(rc_reader *reader, rc_topic *topic, int32_t queue, bool paused,
                        rc_error *err)
{
    size_t at = find(reader, topic, queue);

    if (at == reader->count)
        return not_added(topic, queue, err);
    if (paused && reader->rest && reader->rest_queue == at) {
        /* The rest is read again when the pause is over. */
        const rmq_fetch *fetch = &reader->rest->fetch;
        int64_t from = fetch->messages[reader->rest->at].queue_offset;
        int r = rmq_consumer_seek(reader->consumer, &topic->queues[queue], from, err);

        drop_rest(reader);
        if (r < 0)
            return r;
    }
    return rmq_consumer_pause(reader->consumer, &topic->queues[queue], paused, err);
}

/* ---- fetching -------------------------------------------------------------------------------- */

static rc_slice number_text(int64_t number, omc_arena *arena)
{
    return omc_slice_str(rc_arena_format(arena, "%lld", (long long)number));
}

static rc_slice message_id(const rmq_message *message, omc_arena *arena)
{
    char text[57];

    if (message->unique_key.base)
        return message->unique_key;
    rmq_message_offset_id(message, text);
    return rc_arena_slice(arena, omc_slice_str(text));
}

/* As the Java client does, MIN_OFFSET and MAX_OFFSET of the queue are properties of what it pulls;
 * and its message id is the unique key where there is one. */
static void convert(const rmq_message *from, rc_slice min, rc_slice max, omc_arena *arena,
                    rc_message *to)
{
    omc_pair *pairs = omc_alloc(arena, (from->property_count + 3) * sizeof *pairs);
    size_t n = 0;

    for (size_t i = 0; i < from->property_count; i++)
        pairs[n++] = (omc_pair){from->properties[i].name, from->properties[i].value};
    pairs[n++] = (omc_pair){omc_slice_str("MIN_OFFSET"), min};
    pairs[n++] = (omc_pair){omc_slice_str("MAX_OFFSET"), max};
    *to = (rc_message){.body = from->body,
                       .keys = from->keys,
                       .tags = from->tags,
                       .properties = pairs,
                       .property_count = n,
                       .born_ms = from->born_ms,
                       .flag = from->flag,
                       .offset = from->queue_offset,
                       .stored_ms = from->stored_ms,
                       .message_id = message_id(from, arena)};
}

/* What fits, without what barriers have made void. It may be nothing. */
static void hand_on(rc_reader *reader, size_t messages_max, size_t bytes_max, rc_fetch *fetch)
{
    held *h = reader->rest;
    const rc_reader_queue *queue = &reader->queues[reader->rest_queue];
    const rmq_fetch *from = &h->fetch;
    omc_arena *arena = &h->arena.pub;
    rc_slice min = number_text(from->min_offset, arena), max = number_text(from->max_offset, arena);
    size_t left = RC_MIN(from->count - h->at, RC_MAX(messages_max, (size_t)1)), n = 0, bytes = 0;

    fetch->messages = omc_alloc(arena, left * sizeof *fetch->messages);
    for (; n < left && h->at < from->count; h->at++) {
        const rmq_message *message = &from->messages[h->at];

        if (n > 0 && bytes + message->body.len > bytes_max)
            break;
        if (!rc_barriers_take(queue->barriers, message))
            continue;
        convert(message, min, max, arena, &fetch->messages[n++]);
        bytes += message->body.len;
    }
    fetch->topic = queue->topic;
    fetch->queue = queue->queue;
    fetch->count = n;
    fetch->bytes = bytes;
    fetch->end_offset = from->max_offset;
    fetch->next_offset =
        h->at == from->count ? from->next_offset : from->messages[h->at].queue_offset;
    fetch->next_offset = RC_MAX(fetch->next_offset, rc_barriers_begin(queue->barriers));
    fetch->internal = h;
    h->refs++;
    if (h->at == from->count)
        drop_rest(reader);
}

static size_t queue_of(const rc_reader *reader, const rmq_queue *queue)
{
    for (size_t i = 0; i < reader->count; i++) {
        const rmq_queue *has = &reader->queues[i].topic->queues[reader->queues[i].queue];

        if (has->id == queue->id && strcmp(has->broker, queue->broker) == 0 &&
            strcmp(has->topic, queue->topic) == 0)
            return i;
    }
    return reader->count;
}

static int moved(const rmq_fetch *fetch, rc_error *err)
{
    return rc_wrap(
        err, rc_fail(NULL, OMC_ENOTFOUND, "%s", ""),
        "topic '%s', queue %d of broker '%s': the next offset wanted is not kept (the "
        "broker proposes %lld). Stop the connector and forget its offsets (connector offsets "
        "NAME --reset), or, of a sink without state, set the group's with mqadmin "
        "resetOffsetByTime",
        fetch->queue.topic, fetch->queue.id, fetch->queue.broker, (long long)fetch->next_offset);
}

/* Waits for the consumer or the task's wake-up. @return bits of enum rmq_wait. */
static int wait_for_either(rc_reader *reader, int64_t deadline_ns)
{
    int64_t now = rc_mono_ns(reader->log->clock);
    int64_t ms = deadline_ns == INT64_MAX ? -1 : RC_MAX(deadline_ns - now + 999999, 0) / 1000000;

    return rmq_consumer_wait(reader->consumer, reader->wake ? reader->wake->fd : -1, ms);
}

/* A queue is gone. Where topics are made by others, the topic may be made anew: whoever is started
 * again finds it then. Where we make them, that would bring a topic back that somebody deleted. */
static int queue_lost(const rc_reader *reader, rc_error *err)
{
    if (err->code == OMC_ENOTFOUND && !reader->log->create_topics)
        err->flags |= OMC_ERR_RETRIABLE;
    return -err->code;
}

/* One look at the consumer. @return 1 = reader->rest has something, 0, or negative. */
static int look(rc_reader *reader, rc_error *err)
{
    held *h = rc_calloc(1, sizeof *h);
    int r = rmq_consumer_fetch(reader->consumer, 0, &h->fetch, err);

    if (r == RMQ_FETCH_MESSAGES && h->fetch.count > 0) {
        reader->rest_queue = queue_of(reader, &h->fetch.queue);
        RC_ASSERT(reader->rest_queue < reader->count);
        rc_arena_init(&h->arena, RC_MAX(h->fetch.count * 256, (size_t)1024));
        h->refs = 1;
        reader->rest = h;
        return 1;
    }
    if (r == RMQ_FETCH_MOVED)
        r = moved(&h->fetch, err);
    else if (r == RMQ_FETCH_QUEUE_LOST)
        r = queue_lost(reader, err);
    if (h->fetch.internal)
        rmq_fetch_release(reader->consumer, &h->fetch);
    free(h);
    return RC_MIN(r, 0);
}

int rc_rmq_fetch(rc_reader *reader, size_t messages_max, size_t bytes_max, int64_t deadline_ns,
                 rc_fetch *fetch, rc_error *err)
{
    int r = 0;

    rc_rmq_fetch_release(reader, fetch);
    while (!reader->rest && r == 0) {
        int found = wait_for_either(reader, deadline_ns);

        if (found == RMQ_WAIT_FETCH)
            r = look(reader, err);
        else if (found || rc_mono_ns(reader->log->clock) >= deadline_ns)
            return 0; /* else a long wait in pieces */
    }
    if (r < 0)
        return r;
    hand_on(reader, messages_max, bytes_max, fetch);
    return (int)RC_MIN(fetch->count, (size_t)INT32_MAX);
}

void rc_rmq_fetch_release(rc_reader *reader, rc_fetch *fetch)
{
    if (fetch->internal)
        let_go(reader, fetch->internal);
    memset(fetch, 0, sizeof *fetch);
}

rc_slice rc_rmq_reader_barriers(rc_reader *reader, rc_topic *topic, int32_t queue, int64_t offset,
                                omc_arena *arena)
{
    size_t at = find(reader, topic, queue);

    return at == reader->count ? omc_slice_of(NULL, 0)
                               : rc_barriers_keep(reader->queues[at].barriers, offset, arena);
}

void rc_rmq_reader_trim(rc_reader *reader)
{
    rmq_consumer_trim(reader->consumer);
}

int rc_rmq_lag(rc_reader *reader, int64_t *ret, rc_error *err)
{
    (void)err;
    *ret = rmq_consumer_lag(reader->consumer);
    return 0;
}
