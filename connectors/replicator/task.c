/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The task half: long polls over its queues at the source. Bodies are handed on as slices of the
 * client's receive buffer, which stays until the next poll: the host has encoded them by then.
 *
 * Position of a record: {"topic","brokerName","queueId"} -> "queueOffset", the offset *behind* it.
 */
#include "replicator.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct queue {
    rmq_queue at;  /* texts are the task's */
    int32_t index; /* in its topic: the queue it is copied to */
    omc_map partition;
    omc_entry entries[3];
    char id_text[16];
    int64_t shown;  /* progress last committed to the source's group; -1 */
    int64_t wanted; /* the next offset; -1 */
    /* What barriers of strict writers at the source have made void is not copied, and what is known
     * of them goes into the position, so that a restart knows it too. */
    rmq_strict *barriers;
    uint64_t version;     /* of `aside` */
    const omc_map *aside; /* in the arena of the present poll; NULL = not made yet, or none */
} queue;

#define ASIDE "__barriers" /* no part of what a record is known by */

/* Fetches of one poll; brokers give 32 messages in each by default. */
#define HELD_MAX 256
/* Received and not handed on, per task: a few fetches of each queue. */
#define BUFFER_BYTES ((size_t)4 << 20)

typedef struct task {
    const omc_source_context *ctx;
    const replicator_options *options;
    replicator_topics topics;
    rmq_client *client;
    rmq_consumer *consumer;
    queue *queues;
    size_t count;
    char *text; /* the option's items, cut into pieces */
    char group[RMQ_TOPIC_MAX + 1];
    /* Of the last poll: its records lie in them. The last one may be handed on in part. */
    rmq_fetch held[HELD_MAX];
    size_t held_count;
    size_t left_at;  /* messages of the last one that are handed on */
    omc_error wrong; /* came behind records, which went first; code 0 = nothing */
    int64_t show_ms; /* when the progress is shown next */
} task;

int replicator_task_init(void *state, const omc_source_context *ctx, omc_error *err)
{
    task *t = calloc(1, sizeof *t);

    if (!t)
        return omc_fail(err, OMC_ENOMEM, OMC_ERR_RETRIABLE, "no memory for the task");
    t->ctx = ctx;
    t->options = ctx->config->options;
    *(task **)state = t;
    return 0;
}

static void client_says(void *arg, enum rmq_log_level level, const char *text)
{
    const task *t = arg;

    t->ctx->log(t->ctx->host, (omc_log_level)((int)OMC_DEBUG + (int)level), "source cluster: %s",
                text);
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- start ----------------------------------------------------------------------------------- */

/* "topic/broker/id/index" cut in place. */
static int parse_queue(char *text, queue *ret, omc_error *err)
{
    char *parts[4] = {text};
    static const char *const names[] = {"topic", "brokerName", "queueId"};
    int n = 1;

    for (char *at = text; *at && n < 4; at++)
        if (*at == '/') {
            *at = '\0';
            parts[n++] = at + 1;
        }
    if (n != 4)
        return omc_fail(err, OMC_EINVAL, OMC_ERR_FATAL,
                        "key 'divided.normalqueues': '%s' is no queue; the connector sets this "
                        "key, remove yours",
                        text);
    ret->at = (rmq_queue){parts[0], parts[1], (int32_t)strtol(parts[2], NULL, 10)};
    ret->index = (int32_t)strtol(parts[3], NULL, 10);
    ret->shown = -1;
    (void)snprintf(ret->id_text, sizeof ret->id_text, "%d", ret->at.id);
    for (int i = 0; i < 3; i++) {
        ret->entries[i].key = omc_string(omc_slice_str(names[i]));
        ret->entries[i].value = omc_string(omc_slice_str(i < 2 ? parts[i] : ret->id_text));
    }
    return 0;
}

static int parse_queues(task *t, omc_error *err)
{
    const omc_list *list = &t->options->queues;
    size_t len = 1;
    char *to;

    for (size_t i = 0; i < list->count; i++)
        len += strlen(list->items[i]) + 1;
    t->text = to = malloc(len);
    t->queues = calloc(list->count + 1, sizeof *t->queues);
    if (!t->text || !t->queues)
        abort();
    for (size_t i = 0; i < list->count; i++) {
        queue *q = &t->queues[i];
        int r;

        memcpy(to, list->items[i], strlen(list->items[i]) + 1);
        r = parse_queue(to, q, err);
        if (r < 0)
            return r;
        q->partition = (omc_map){3, q->entries};
        to += strlen(list->items[i]) + 1;
        t->count++;
    }
    return 0;
}

static int first_offset(task *t, const queue *q, int64_t *ret, omc_error *err)
{
    if (strcmp(t->options->from, "CONSUME_FROM_LAST_OFFSET") == 0)
        return rmq_offset_max(t->client, &q->at, ret, err);
    if (strcmp(t->options->from, "CONSUME_FROM_TIMESTAMP") == 0)
        return rmq_offset_by_time(t->client, &q->at, t->options->from_ms, ret, err);
    return rmq_offset_min(t->client, &q->at, ret, err);
}

/* @param[out] ret_barriers  May be NULL. */
static int position_of(task *t, const queue *q, omc_arena *arena, int64_t *ret,
                       omc_slice *ret_barriers, omc_error *err)
{
    const omc_value *value;
    const omc_map *offset;
    int r = t->ctx->read_offset(t->ctx->host, &q->partition, arena, &offset, err);

    *ret = -1;
    if (r < 0 || !offset)
        return r;
    value = omc_map_get(offset, ASIDE);
    if (ret_barriers && value && value->kind == OMC_STRING)
        *ret_barriers = value->u.bytes;
    value = omc_map_get(offset, "queueOffset");
    if (!value || !(omc_value_int64(value, ret) ||
                    (value->kind == OMC_STRING && omc_slice_int64(value->u.bytes, ret))))
        return omc_fail(
            err, OMC_EFORMAT, OMC_ERR_FATAL,
            "the position of topic '%s', queue %d of broker '%s' has no queueOffset; "
            "stop the connector and forget its positions (connector offsets NAME --reset)",
            q->at.topic, q->at.id, q->at.broker);
    return 0;
}

static const char *tags_of(const task *t, const char *topic)
{
    for (size_t i = 0; i < t->topics.count; i++)
        if (strcmp(t->topics.items[i].name, topic) == 0)
            return t->topics.items[i].tags;
    return "*";
}

/* Who asks for some tags needs the barriers all the same. */
static int set_filter(task *t, const char *topic, omc_error *err)
{
    const char *tags = tags_of(t, topic);
    char *all;
    int r;

    if (strcmp(tags, "*") == 0)
        return rmq_consumer_filter(t->consumer, topic, RMQ_FILTER_TAG, tags, err);
    if (asprintf(&all, "%s || " RMQ_BARRIER_TAG, tags) < 0)
        abort();
    r = rmq_consumer_filter(t->consumer, topic, RMQ_FILTER_TAG, all, err);
    free(all);
    return r;
}

static int add_queue(task *t, queue *q, omc_error *err)
{
    omc_slice barriers = {NULL, 0};
    int64_t offset;
    int r = position_of(t, q, NULL, &offset, &barriers, err);

    q->barriers = rmq_strict_new();
    if (r == 0 && offset < 0)
        r = first_offset(t, q, &offset, err);
    if (r == 0)
        r = rmq_strict_restore(q->barriers, barriers, err);
    if (r == 0)
        r = set_filter(t, q->at.topic, err);
    q->wanted = offset;
    return r < 0 ? r : rmq_consumer_add(t->consumer, &q->at, offset, err);
}

int replicator_task_start(void *state, omc_error *err)
{
    task *t = *(task **)state;
    rmq_consumer_config config = {.group = t->group,
                                  .read_slaves = true,
                                  .buffer_bytes = BUFFER_BYTES};
    int r;

    (void)snprintf(t->group, sizeof t->group, "CID_RMQ_SYS_REPLICATOR_%s", t->ctx->connector);
    for (char *at = t->group; *at; at++) /* connectors may have names that groups may not */
        if (!strchr("%|-_", *at) && !((*at >= '0' && *at <= '9') || (*at >= 'a' && *at <= 'z') ||
                                      (*at >= 'A' && *at <= 'Z')))
            *at = '_';
    r = replicator_topics_parse(t->options->topics, &t->topics, err);
    if (r == 0)
        r = parse_queues(t, err);
    if (r == 0)
        r = replicator_client(t->options, client_says, t, &t->client, err);
    if (r == 0 && rmq_group_create(t->client, t->group, err) == -OMC_ECONNECT)
        r = -err->code; /* refused is fine: it may exist */
    if (r == 0)
        r = rmq_consumer_open(t->client, &config, &t->consumer, err);
    for (size_t i = 0; r == 0 && i < t->count; i++)
        r = add_queue(t, &t->queues[i], err);
    t->show_ms = now_ms() + t->options->commit_ms;
    return r;
}

/* ---- records --------------------------------------------------------------------------------- */

/* What brokers and clients add on the way, or what has had its effect at the source. */
#define NAME(text)               \
    {                            \
        (text), sizeof(text) - 1 \
    }
static bool is_system(omc_slice name)
{
    static const omc_slice names[] = {
        NAME("MSG_REGION"),
        NAME("TRACE_ON"),
        NAME("CLUSTER"),
        NAME("UNIQ_KEY"),
        NAME("WAIT"),
        NAME("MIN_OFFSET"),
        NAME("MAX_OFFSET"),
        NAME("DELAY"),
        NAME("TIMER_DELIVER_MS"),
        NAME("TIMER_DELAY_MS"),
        NAME("TIMER_DELAY_SEC"),
        NAME("TIMER_OUT_MS"),
        NAME("TIMER_ENQUEUE_MS"),
        NAME("TIMER_DEQUEUE_MS"),
        NAME("TIMER_ROLL_TIMES"),
        NAME("REAL_TOPIC"),
        NAME("REAL_QID"),
        NAME("TRAN_MSG"),
        NAME("PGROUP"),
        NAME("INNER_NUM"),
        NAME("INNER_BASE"),
    };

    /* Most names are the user's and begin otherwise. */
    if (name.len == 0 || !strchr("MTCUWDRPI_", name.base[0]))
        return false;
    if (name.len >= 5 && memcmp(name.base, "__rc.", 5) == 0)
        return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (name.len == names[i].len && memcmp(name.base, names[i].base, name.len) == 0)
            return true;
    return false;
}

static const omc_keyvalue *properties_of(const rmq_message *message, omc_arena *arena)
{
    omc_keyvalue *list = omc_alloc(arena, sizeof *list);
    omc_pair *pairs = omc_alloc(arena, (message->property_count + 3) * sizeof *pairs);
    size_t n = 0;

    if (message->keys.base)
        pairs[n++] = (omc_pair){omc_slice_str("KEYS"), message->keys};
    if (message->tags.base)
        pairs[n++] = (omc_pair){omc_slice_str("TAGS"), message->tags};
    for (size_t i = 0; i < message->property_count; i++)
        if (!is_system(message->properties[i].name))
            pairs[n++] = (omc_pair){message->properties[i].name, message->properties[i].value};
    if (message->unique_key.base)
        pairs[n++] = (omc_pair){omc_slice_str("__rc.src"), message->unique_key};
    *list = (omc_keyvalue){n, pairs};
    return list;
}

/* What goes with the position behind the queue's last message; NULL: nothing. */
static const omc_map *aside_of(queue *q, omc_arena *arena)
{
    char *text;
    omc_entry *entry;
    omc_map *map;

    if (q->aside && q->version == rmq_strict_version(q->barriers))
        return q->aside;
    text = rmq_strict_text(q->barriers);
    if (!text)
        return NULL;
    map = omc_alloc(arena, sizeof *map);
    entry = omc_alloc(arena, sizeof *entry);
    entry->key = omc_string(omc_slice_str(ASIDE));
    entry->value = omc_string(omc_slice_of(omc_copy(arena, text, strlen(text)), strlen(text)));
    *map = (omc_map){1, entry};
    free(text);
    q->version = rmq_strict_version(q->barriers);
    return q->aside = map;
}

static void fill(const task *t, const rmq_message *message, queue *q, omc_batch *out)
{
    omc_record *record = omc_batch_add(out);

    record->value = message->body.base ? omc_bytes(message->body) : omc_null();
    record->position = (omc_position){.partition = &q->partition,
                                      .offset = aside_of(q, out->arena),
                                      .counter_name = "queueOffset",
                                      .counter = message->queue_offset + 1};
    record->properties = properties_of(message, out->arena);
    record->topic =
        t->options->dest_topic && *t->options->dest_topic ? t->options->dest_topic : q->at.topic;
    record->queue = q->index;
    record->flag = message->flag;
    record->born_ms = message->born_ms;
    record->timestamp_ms = message->born_ms;
}

static queue *queue_of(task *t, const rmq_queue *at)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->queues[i].at.id == at->id && strcmp(t->queues[i].at.broker, at->broker) == 0 &&
            strcmp(t->queues[i].at.topic, at->topic) == 0)
            return &t->queues[i];
    return NULL;
}

static void release(task *t)
{
    for (size_t i = 0; i < t->held_count; i++)
        rmq_fetch_release(t->consumer, &t->held[i]);
    t->held_count = t->left_at = 0;
}

/* What fits of the last fetch. @return false when something is left of it. */
static bool hand_on(task *t, omc_batch *out, size_t *bytes)
{
    const rmq_fetch *fetch = &t->held[t->held_count - 1];
    queue *q = queue_of(t, &fetch->queue);

    for (; q && t->left_at < fetch->count; t->left_at++) {
        const rmq_message *message = &fetch->messages[t->left_at];

        if (out->count > 0 &&
            (out->count >= out->records_max || *bytes + message->body.len > out->bytes_max))
            return false;
        if (rmq_strict_see(q->barriers, message) != RMQ_STRICT_TAKE)
            continue;
        *bytes += message->body.len;
        fill(t, message, q, out);
    }
    return true;
}

#define BEGIN_ANEW                                                                                \
    "To go on, stop the connector and forget its positions (connector offsets NAME --reset): it " \
    "begins at consumefromwhere"

/* Nobody but a person can say what becomes of what is missing. */
static int moved(const queue *q, const rmq_fetch *fetch, omc_error *err)
{
    const rmq_queue *at = &fetch->queue;

    if (fetch->next_offset < q->wanted)
        return omc_fail(err, OMC_ENOTFOUND, OMC_ERR_FATAL,
                        "source topic '%s', queue %d of broker '%s' ends at %lld, but messages up "
                        "to %lld were copied: the broker has lost some (unclean failover), or the "
                        "topic was made anew. " BEGIN_ANEW,
                        at->topic, at->id, at->broker, (long long)fetch->next_offset,
                        (long long)q->wanted);
    return omc_fail(err, OMC_ENOTFOUND, OMC_ERR_FATAL,
                    "source topic '%s', queue %d of broker '%s': offset %lld is not kept any more "
                    "(%lld to %lld are): retention was faster than the copy. " BEGIN_ANEW,
                    at->topic, at->id, at->broker, (long long)q->wanted,
                    (long long)fetch->min_offset, (long long)fetch->max_offset);
}

/* The topic or the queue is gone. It stands still until it is told where to go on: there, when it
 * comes back. */
static int lost(task *t, const rmq_fetch *fetch, omc_error *err)
{
    omc_error why = {0};

    if ((err->flags & OMC_ERR_RETRIABLE) &&
        rmq_consumer_seek(t->consumer, &fetch->queue, fetch->next_offset, &why) < 0)
        *err = why;
    return -err->code;
}

/* The progress that is durable, for the source's tools; nothing depends on it. */
static void show_progress(task *t, omc_arena *arena)
{
    omc_error err = {0};

    t->show_ms = now_ms() + t->options->commit_ms;
    for (size_t i = 0; i < t->count; i++) {
        int64_t offset;

        if (position_of(t, &t->queues[i], arena, &offset, NULL, &err) < 0)
            return;
        if (offset < 0 || offset == t->queues[i].shown)
            continue;
        if (rmq_offset_commit(t->client, t->group, &t->queues[i].at, offset, &err) < 0)
            return;
        t->queues[i].shown = offset;
    }
}

static void wait_for_either(task *t, int64_t timeout_ms)
{
    int64_t show = t->show_ms - now_ms();

    if (timeout_ms < 0 || timeout_ms > show)
        timeout_ms = show < 0 ? 0 : show;
    (void)rmq_consumer_wait(t->consumer, t->ctx->wake_fd, timeout_ms);
}

/* Takes one fetch that is there. @return 1, 0 = none, or negative. */
static int take(task *t, omc_error *err)
{
    rmq_fetch *fetch = &t->held[t->held_count];
    queue *q;
    int r;

    memset(fetch, 0, sizeof *fetch);
    r = rmq_consumer_fetch(t->consumer, 0, fetch, err);
    q = r > 0 ? queue_of(t, &fetch->queue) : NULL;
    if (r == RMQ_FETCH_MESSAGES) {
        if (q)
            q->wanted = fetch->next_offset;
        t->held_count++;
        t->left_at = 0;
        return 1;
    }
    if (r == RMQ_FETCH_MOVED && q)
        r = moved(q, fetch, err);
    else if (r == RMQ_FETCH_QUEUE_LOST)
        r = lost(t, fetch, err);
    if (fetch->internal)
        rmq_fetch_release(t->consumer, fetch);
    return r < 0 ? r : 0;
}

/* Keeps what the last fetch has left, and lets go of all that the host is done with. */
static void begin(task *t)
{
    if (t->held_count > 0 && t->left_at < t->held[t->held_count - 1].count) {
        rmq_fetch last = t->held[--t->held_count];
        size_t at = t->left_at;

        release(t);
        t->held[0] = last;
        t->held_count = 1;
        t->left_at = at;
    } else {
        release(t);
    }
}

int replicator_task_poll(void *state, omc_batch *out, int64_t timeout_ms, omc_error *err)
{
    task *t = *(task **)state;
    size_t bytes = 0;
    int r = 1;

    begin(t);
    for (size_t i = 0; i < t->count; i++)
        t->queues[i].aside = NULL; /* it was in another arena */
    if (t->wrong.code) {
        *err = t->wrong;
        t->wrong = (omc_error){0};
        return -err->code;
    }
    if (t->held_count == 0)
        wait_for_either(t, timeout_ms);
    if (now_ms() >= t->show_ms)
        show_progress(t, out->arena);
    if (t->held_count > 0 && !hand_on(t, out, &bytes))
        return (int)out->count;
    while (t->held_count < HELD_MAX && (r = take(t, err)) == 1)
        if (!hand_on(t, out, &bytes))
            break;
    if (r < 0 && out->count > 0) /* what came before it counts */
        t->wrong = *err;
    return r < 0 && out->count == 0 ? r : (int)out->count;
}

void replicator_task_stop(void *state)
{
    task *t = *(task **)state;

    if (!t)
        return;
    if (t->consumer)
        release(t);
    rmq_consumer_close(t->consumer);
    rmq_client_close(t->client);
    for (size_t i = 0; i < t->count; i++)
        rmq_strict_free(t->queues[i].barriers);
    replicator_topics_free(&t->topics);
    free(t->queues);
    free(t->text);
    free(t);
    *(task **)state = NULL;
}
