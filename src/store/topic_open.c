/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening: find the topics, or make them, and read them to their ends before anything is answered.
 *
 * The config topic has one queue at one broker when we make it, so that its records have one order.
 * One that a Java runtime made has a queue at each broker. Ours then all go to one of them; those
 * of the Java runtime, which are there from before, are read in order of the times at which they
 * were stored.
 */
#include "store/topic_impl.h"

#include "base/diag.h"

#define READ_WAIT_MS 10000
/** Memory for putting the records of several queues in order. */
#define MERGE_BYTES_MAX ((size_t)256 << 20)

static int canceled(const rc_topic_store *store, rc_error *err)
{
    if (!store->config.cancel || !atomic_load(store->config.cancel))
        return 0;
    return rc_fail(err, OMC_ECANCELED, "canceled");
}

/* ---- topics ---------------------------------------------------------------------------------- */

/* The state has been in the topic, and is in the file only. */
static int fail_gone(const rc_topic_store *store, const rc_snapshot *snapshot, rc_error *err)
{
    int64_t next = 0;

    for (size_t i = 0; i < snapshot->queue_count; i++)
        next = RC_MAX(next, snapshot->queues[i].next);
    return rc_fail(err, OMC_ENOTFOUND,
                   "topic '%s' does not exist, but '%s' says that it had %lld records: it was "
                   "deleted, its broker has not registered yet, or namesrvAddr names another "
                   "cluster. To write it again from the file: `rocketmq-connect cluster import "
                   "'%s'`; to begin without connectors move the file away",
                   store->config.config_topic, store->config.snapshot, (long long)next,
                   store->config.snapshot);
}

static int lowest_master(rc_topic_store *store, char **ret, rc_error *err)
{
    rmq_cluster_info *info = NULL;
    int r = rmq_cluster_info_get(store->config.client, &info, err);

    for (size_t i = 0; r == 0 && i < info->count && !*ret; i++)
        if (info->brokers[i].id == 0)
            *ret = rc_strdup(info->brokers[i].name);
    rmq_free(info);
    if (r == 0 && !*ret)
        r = rc_fail_retriable(err, OMC_ENOTFOUND, "no broker is registered");
    return r;
}

/* One queue, at one broker or (NULL) at each; compacted, if the broker knows how (5.x): then it
 * keeps the newest of each key by itself. */
static int make_topic(rc_topic_store *store, const char *topic, const char *broker, rc_error *err)
{
    rmq_topic_spec spec = {.topic = topic,
                           .read_queues = 1,
                           .write_queues = 1,
                           .broker = broker,
                           .attributes = "+cleanup.policy=COMPACTION"};
    int r = rmq_topic_create(store->config.client, &spec, err);

    if (r < 0 && !(err->flags & OMC_ERR_RETRIABLE)) {
        *err = (rc_error){0};
        spec.attributes = NULL;
        r = rmq_topic_create(store->config.client, &spec, err);
    }
    return r < 0 ? rc_wrap(err, r, "create topic '%s'", topic) : 0;
}

static int ask(rc_topic_store *store, const char *topic, rmq_queue_list **ret, rc_error *err)
{
    int r = canceled(store, err);

    if (r == 0)
        r = rmq_topic_queues(store->config.client, topic, RMQ_FOR_READING, ret, err);
    if (r == 0 && (*ret)->count == 0) {
        rmq_queue_list_free(RC_TAKE(*ret));
        r = rc_fail_retriable(err, OMC_ECONNECT,
                              "topic '%s' has no queue that may be read: no broker that has it is "
                              "up, or its permission is 0",
                              topic);
    }
    return r;
}

static int ask_or_make(rc_topic_store *store, const char *topic, const char *key, bool everywhere,
                       rmq_queue_list **ret, rc_error *err)
{
    RC_AUTO_FREE char *broker = NULL;
    int r = ask(store, topic, ret, err);

    if (r != -OMC_ENOTFOUND)
        return r;
    *err = (rc_error){0};
    if (!store->config.create_topics)
        return rc_fail_retriable(err, OMC_ENOTFOUND,
                                 "topic '%s' (%s) does not exist, and is not made here or because "
                                 "of autoCreateTopicEnable=false: create it with 1 queue",
                                 topic, key);
    r = everywhere ? 0 : lowest_master(store, &broker, err);
    if (r == 0)
        r = make_topic(store, topic, broker, err);
    if (r < 0)
        return r;
    rc_info(RC_TOPIC_COMPONENT, "created topic '%s'%s%s", topic, broker ? " at broker " : "",
            broker ? broker : "");
    return ask(store, topic, ret, err);
}

static void add_queues(rc_topic_store *store, const rmq_queue_list *list, bool config)
{
    store->queues =
        rc_realloc(store->queues, (store->queue_count + list->count) * sizeof *store->queues);
    for (size_t i = 0; i < list->count; i++)
        store->queues[store->queue_count++] =
            (rc_topic_queue){.topic = rc_strdup(list->queues[i].topic),
                             .broker = rc_strdup(list->queues[i].broker),
                             .id = list->queues[i].id,
                             .config = config,
                             .ours_ms = -1};
}

/* A queue that the file knows and the route does not is at a broker that is away: without it part
 * of the state would be missing. */
static int check_known(const rc_topic_store *store, const rc_snapshot *snapshot, rc_error *err)
{
    for (size_t i = 0; i < snapshot->queue_count; i++) {
        const rc_snapshot_queue *known = &snapshot->queues[i];
        bool found = known->next == 0;

        for (size_t j = 0; j < store->queue_count; j++)
            found = found || (store->queues[j].config && store->queues[j].id == known->id &&
                              strcmp(store->queues[j].broker, known->broker) == 0);
        if (!found)
            return rc_fail_retriable(
                err, OMC_ENOTFOUND,
                "broker '%s' is not registered, and holds queue %d of topic '%s' with state of "
                "this cluster (so says '%s'): start it",
                known->broker, (int)known->id, store->config.config_topic, store->config.snapshot);
    }
    return 0;
}

int rc_topic_find(rc_topic_store *store, const rc_snapshot *snapshot, rc_error *err)
{
    const rc_topic_store_config *config = &store->config;
    rmq_queue_list *list = NULL, *states = NULL;
    int r = ask(store, config->config_topic, &list, err);

    if (r == -OMC_ENOTFOUND) {
        *err = (rc_error){0};
        if (snapshot->queue_count)
            return fail_gone(store, snapshot, err);
        /* That one is made last, and at every broker: so this one was here, and is at a broker
         * that is away. */
        r = ask(store, config->status_topic, &states, err);
        rmq_queue_list_free(states);
        if (r == 0 && !config->anew)
            return rc_fail_retriable(
                err, OMC_ENOTFOUND,
                "topic '%s' does not exist, but '%s' does: its broker is not up yet, or it was "
                "deleted. To begin without connectors delete '%s' too; to write it again use "
                "`rocketmq-connect cluster import`",
                config->config_topic, config->status_topic, config->status_topic);
        if (r == 0 || r == -OMC_ENOTFOUND) {
            *err = (rc_error){0};
            r = ask_or_make(store, config->config_topic, "configStoreTopic", false, &list, err);
        }
    }
    if (r == 0) {
        add_queues(store, list, true);
        rmq_queue_list_free(RC_TAKE(list));
        r = check_known(store, snapshot, err);
    }
    if (r == 0)
        r = ask_or_make(store, config->status_topic, "connectStatusTopic", true, &list, err);
    if (r == 0) {
        add_queues(store, list, false);
        rmq_queue_list_free(list);
    }
    return r;
}

/* ---- reading --------------------------------------------------------------------------------- */

rc_topic_queue *rc_topic_queue_of(rc_topic_store *store, const rmq_queue *queue)
{
    for (size_t i = 0; i < store->queue_count; i++) {
        rc_topic_queue *q = &store->queues[i];

        if (q->id == queue->id && strcmp(q->broker, queue->broker) == 0 &&
            strcmp(q->topic, queue->topic) == 0)
            return q;
    }
    return NULL;
}

void rc_topic_decode(rc_topic_store *store, const rc_topic_queue *queue, const rmq_message *message,
                     rc_shared_record *ret)
{
    char why[RC_SHARED_WHY_MAX];

    rc_arena_reset(&store->arena, (size_t)1 << 20);
    rc_shared_decode(message->keys, message->body, message->properties, message->property_count,
                     &store->arena.pub, ret, why);
    if (*why)
        rc_warn(RC_TOPIC_COMPONENT, "message %lld of queue %d of topic '%s' is ignored: %s",
                (long long)message->queue_offset, (int)queue->id, queue->topic, why);
    /* Each kind counts in its own topic only. */
    if (ret->kind != RC_SHARED_NONE && (ret->kind == RC_SHARED_STATE) == queue->config)
        ret->kind = RC_SHARED_NONE;
}

/** A message kept until all queues are read. */
typedef struct kept {
    const rmq_message *message; /* with what it points to, in the arena */
    rc_topic_queue *queue;
    int64_t stamp_ms; /* never falls within a queue */
    size_t number;
} kept;

typedef struct merge {
    rc_arena arena;
    kept *items;
    size_t count, cap;
} merge;

static const rmq_message *keep_message(const rmq_message *from, omc_arena *arena)
{
    rmq_message *to = omc_alloc(arena, sizeof *to);
    rmq_property *properties = omc_alloc(arena, (from->property_count + 1) * sizeof *properties);

    *to = (rmq_message){.body = rc_arena_slice(arena, from->body),
                        .keys = rc_arena_slice(arena, from->keys),
                        .properties = properties,
                        .property_count = from->property_count,
                        .stored_ms = from->stored_ms,
                        .queue_offset = from->queue_offset};
    for (size_t i = 0; i < from->property_count; i++)
        properties[i] = (rmq_property){rc_arena_slice(arena, from->properties[i].name),
                                       rc_arena_slice(arena, from->properties[i].value)};
    return to;
}

static void merge_add(merge *m, rc_topic_queue *queue, const rmq_message *message)
{
    if (m->count == m->cap) {
        m->cap = m->cap ? 2 * m->cap : 256;
        m->items = rc_realloc(m->items, m->cap * sizeof *m->items);
    }
    queue->stamp_ms = RC_MAX(queue->stamp_ms, message->stored_ms);
    m->items[m->count] = (kept){.message = keep_message(message, &m->arena.pub),
                                .queue = queue,
                                .stamp_ms = queue->stamp_ms,
                                .number = m->count};
    m->count++;
}

static int in_order(const void *x, const void *y)
{
    const kept *a = x, *b = y;

    if (a->stamp_ms != b->stamp_ms)
        return a->stamp_ms < b->stamp_ms ? -1 : 1;
    if (a->queue != b->queue)
        return a->queue < b->queue ? -1 : 1;
    return (a->number > b->number) - (a->number < b->number);
}

static void fold_one(rc_topic_store *store, rc_topic_queue *queue, const rmq_message *message)
{
    rc_shared_record record;

    rc_topic_decode(store, queue, message, &record);
    if (record.rank || record.kind == RC_SHARED_TASKS)
        queue->ours_ms = RC_MAX(queue->ours_ms, message->stored_ms);
    if (rc_shared_fold(store->shared, &record, message->stored_ms) == RC_FOLD_FULL)
        rc_warn(RC_TOPIC_COMPONENT,
                "message %lld of topic '%s' is ignored: more connectors or states than this "
                "program takes (%d, %d)",
                (long long)message->queue_offset, queue->topic, RC_SHARED_CONNECTORS_MAX,
                RC_SHARED_STATES_MAX);
}

static void merge_fold(rc_topic_store *store, merge *m)
{
    if (m->count > 1) /* items may be NULL */
        qsort(m->items, m->count, sizeof *m->items, in_order);
    for (size_t i = 0; i < m->count; i++)
        fold_one(store, m->items[i].queue, m->items[i].message);
}

/* One fetch; a position that retention has overtaken goes on at what is kept. */
static int read_some(rc_topic_store *store, merge *m, rc_error *err)
{
    rmq_fetch fetch = {0};
    int r = rmq_consumer_fetch(store->consumer, 500, &fetch, err);
    rc_topic_queue *queue = r > 0 ? rc_topic_queue_of(store, &fetch.queue) : NULL;

    for (size_t i = 0; r == RMQ_FETCH_MESSAGES && i < fetch.count; i++) {
        if (m && queue->config)
            merge_add(m, queue, &fetch.messages[i]);
        else
            fold_one(store, queue, &fetch.messages[i]);
    }
    if (r == RMQ_FETCH_MOVED)
        r = rmq_consumer_seek(store->consumer, &fetch.queue, fetch.next_offset, err);
    else if (r == RMQ_FETCH_QUEUE_LOST)
        r = -err->code;
    if (queue && r >= 0)
        queue->next = fetch.next_offset;
    if (fetch.internal)
        rmq_fetch_release(store->consumer, &fetch);
    if (m && m->arena.total > MERGE_BYTES_MAX)
        return rc_fail(err, OMC_ENOMEM,
                       "topic '%s' has several queues with more than %zu bytes: move its newest "
                       "state to a new one with `rocketmq-connect cluster export` and `import`",
                       store->config.config_topic, MERGE_BYTES_MAX);
    return r < 0 ? r : 0;
}

static bool reached(const rc_topic_store *store, const int64_t *ends)
{
    for (size_t i = 0; i < store->queue_count; i++)
        if (store->queues[i].next < ends[i])
            return false;
    return true;
}

/* A queue that ends before what was read of it is another one, or has lost its end. */
static int check_end(const rc_topic_store *store, const rc_snapshot *snapshot,
                     const rc_topic_queue *queue, int64_t end, rc_error *err)
{
    for (size_t i = 0; queue->config && i < snapshot->queue_count; i++) {
        const rc_snapshot_queue *known = &snapshot->queues[i];

        if (known->id != queue->id || strcmp(known->broker, queue->broker) != 0 ||
            known->next <= end)
            continue;
        return rc_fail(
            err, OMC_ESTATE,
            "queue %d of topic '%s' at broker '%s' ends at %lld, but '%s' says that it was read up "
            "to %lld: the topic was made anew, or its broker has lost messages. To write what is "
            "missing from the file: `rocketmq-connect cluster import '%s'`, then move the file "
            "away",
            (int)queue->id, queue->topic, queue->broker, (long long)end, store->config.snapshot,
            (long long)known->next, store->config.snapshot);
    }
    return 0;
}

static int start_queue(rc_topic_store *store, const rc_snapshot *snapshot, rc_topic_queue *queue,
                       int64_t *end, rc_error *err)
{
    const rmq_queue q = {.topic = queue->topic, .broker = queue->broker, .id = queue->id};
    int r = canceled(store, err);

    if (r == 0)
        r = rmq_offset_min(store->config.client, &q, &queue->next, err);
    if (r == 0)
        r = rmq_offset_next(store->config.client, &q, end, err);
    if (r == -OMC_EUNSUPPORTED) {
        *err = (rc_error){0};
        r = rmq_offset_max(store->config.client, &q, end, err);
    }
    if (r == 0)
        r = check_end(store, snapshot, queue, *end, err);
    return r < 0 ? r : rmq_consumer_add(store->consumer, &q, queue->next, err);
}

static int read_to_ends(rc_topic_store *store, merge *m, const int64_t *ends, rc_error *err)
{
    int64_t deadline = rc_mono_ms(store->config.clock) + READ_WAIT_MS;
    int r = 0;

    while (r == 0 && !reached(store, ends)) {
        r = canceled(store, err);
        if (r == 0)
            r = read_some(store, m, err);
        if (r == 0 && !reached(store, ends) && rc_mono_ms(store->config.clock) > deadline)
            return rc_fail_retriable(err, OMC_ETIMEDOUT,
                                     "topics '%s' and '%s' could not be read to their ends within "
                                     "%d s: are their brokers up? (mqadmin topicStatus)",
                                     store->config.config_topic, store->config.status_topic,
                                     READ_WAIT_MS / 1000);
    }
    return r;
}

/* All workers write to the same queue: where ours are, else the first. */
static void choose_home(rc_topic_store *store)
{
    for (size_t i = 0; i < store->queue_count; i++) {
        rc_topic_queue *queue = &store->queues[i];

        if (queue->config && (!store->home || queue->ours_ms > store->home->ours_ms))
            store->home = queue;
    }
}

static size_t config_queues(const rc_topic_store *store)
{
    size_t count = 0;

    for (size_t i = 0; i < store->queue_count; i++)
        count += store->queues[i].config;
    return count;
}

int rc_topic_read_all(rc_topic_store *store, const rc_snapshot *snapshot, rc_error *err)
{
    RC_AUTO_FREE int64_t *ends = rc_calloc(store->queue_count, sizeof *ends);
    merge m = {0};
    int r = 0;

    rc_arena_init(&m.arena, (size_t)1 << 20);
    for (size_t i = 0; r == 0 && i < store->queue_count; i++)
        r = start_queue(store, snapshot, &store->queues[i], &ends[i], err);
    if (r == 0)
        r = read_to_ends(store, config_queues(store) > 1 ? &m : NULL, ends, err);
    if (r == 0) {
        merge_fold(store, &m);
        choose_home(store);
    }
    free(m.items);
    rc_arena_release(&m.arena);
    return r;
}
