/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of positions: a fold over the position topic, read at the start and, before each
 * answer, up to its present end; so whoever asks sees what any worker has committed.
 *
 * A record with a generation below the newest one of its partition is void: it comes from a worker
 * that has been replaced. So is one with a lower number of the same generation: a copy that landed
 * late, whose notes may lack a queue that was written to since. Records of Java workers have
 * neither and count by arrival, so that a cluster may go back to Java and come again.
 */
#include "log/rocketmq/internal.h"

#include "record/json.h"

#define ENTRIES_MAX 1000000
#define SYNC_WAIT_MS 10000

typedef struct rc_position_entry {
    char *key; /* connector NUL partition */
    size_t key_len;
    const char *partition; /* inside key */
    char *offset;          /* NULL: forgotten */
    char *notes;
    int64_t generation;
    int64_t number;
    int64_t stored_ms; /* wall time of its newest record */
    UT_hash_handle hh;
} rc_position_entry;

struct rc_position_table {
    rc_rocketmq *log;
    rc_topic *topic;
    pthread_mutex_t mu;
    rc_position_entry *entries; /* [mu] */
    size_t count;
    uint64_t version;        /* [mu] goes up with every change */
    pthread_mutex_t reading; /* one reads at a time; taken before mu */
    _Atomic uint64_t syncs;  /* reads up to the end that have begun */
    uint64_t synced;         /* [reading] number of the newest that got there */
    rmq_consumer *consumer;
    int64_t *next; /* per queue */
    rc_arena arena;
};

/* ---- entries --------------------------------------------------------------------------------- */

static rc_position_entry *find(rc_position_table *table, rc_slice connector, rc_slice partition,
                               bool make)
{
    size_t len = connector.len + 1 + partition.len;
    char *key = rc_malloc(len + 1);
    rc_position_entry *entry;

    memcpy(key, connector.base, connector.len);
    key[connector.len] = '\0';
    memcpy(key + connector.len + 1, partition.base, partition.len);
    key[len] = '\0';
    HASH_FIND(hh, table->entries, key, len, entry);
    if (entry || !make || table->count >= ENTRIES_MAX) {
        free(key);
        return entry;
    }
    entry = rc_calloc(1, sizeof *entry);
    entry->key = key;
    entry->key_len = len;
    entry->partition = key + connector.len + 1;
    entry->generation = -1;
    HASH_ADD_KEYPTR(hh, table->entries, entry->key, entry->key_len, entry);
    table->count++;
    return entry;
}

static char *copy_of(rc_slice text)
{
    return text.base ? rc_strndup(text.base, text.len) : NULL;
}

static bool is_late(const rc_position_entry *entry, const rc_position_record *record)
{
    return record->generation >= 0 &&
           (record->generation < entry->generation ||
            (record->generation == entry->generation && record->number < entry->number));
}

static void fold(rc_position_table *table, const rc_position_record *record, int64_t stored_ms)
{
    rc_position_entry *entry = find(table, record->connector, record->partition, true);

    if (!entry || is_late(entry, record))
        return;
    free(entry->offset);
    free(entry->notes);
    entry->offset = copy_of(record->offset);
    entry->notes = copy_of(record->notes);
    if (record->generation >= 0) {
        entry->generation = record->generation;
        entry->number = record->number;
    }
    entry->stored_ms = stored_ms;
    table->version++;
}

void rc_position_table_put(rc_position_table *table, const rc_position_record *record)
{
    (void)pthread_mutex_lock(&table->mu);
    fold(table, record, rc_now_ms(table->log->clock));
    (void)pthread_mutex_unlock(&table->mu);
}

static rc_slice in_arena(const char *text, omc_arena *arena)
{
    return text ? rc_arena_slice(arena, omc_slice_str(text)) : omc_slice_of(NULL, 0);
}

bool rc_position_table_get(rc_position_table *table, const char *connector, rc_slice partition,
                           omc_arena *arena, rc_position_record *ret)
{
    rc_position_entry *entry;

    (void)pthread_mutex_lock(&table->mu);
    entry = find(table, omc_slice_str(connector), partition, false);
    if (entry)
        *ret = (rc_position_record){.connector = omc_slice_str(connector),
                                    .partition = partition,
                                    .offset = in_arena(entry->offset, arena),
                                    .generation = entry->generation,
                                    .number = entry->number,
                                    .notes = in_arena(entry->notes, arena)};
    (void)pthread_mutex_unlock(&table->mu);
    return entry != NULL;
}

int64_t rc_position_table_generation(rc_position_table *table, const char *connector)
{
    rc_position_entry *entry, *next;
    int64_t newest = -1;

    (void)pthread_mutex_lock(&table->mu);
    HASH_ITER(hh, table->entries, entry, next)
    {
        if (strcmp(entry->key, connector) == 0)
            newest = RC_MAX(newest, entry->generation);
    }
    (void)pthread_mutex_unlock(&table->mu);
    return newest;
}

/* `each` is called without the lock, on copies: it may ask the log. */
int rc_position_table_each(rc_position_table *table, const char *connector, bool noted,
                           rc_position_fn *each, void *arg)
{
    rc_position_entry *entry, *next;
    rc_arena arena;
    rc_slice *list;
    size_t count = 0;
    int r = 0;

    rc_arena_init(&arena, 4096);
    (void)pthread_mutex_lock(&table->mu);
    list = rc_calloc(2 * table->count + 2, sizeof *list);
    HASH_ITER(hh, table->entries, entry, next)
    {
        if (strcmp(entry->key, connector) != 0 || !(entry->offset || (noted && entry->notes)))
            continue;
        list[count++] = in_arena(entry->partition, &arena.pub);
        list[count++] = in_arena(entry->offset, &arena.pub);
    }
    (void)pthread_mutex_unlock(&table->mu);
    for (size_t i = 0; r == 0 && i < count; i += 2)
        r = each(arg, list[i], list[i + 1]);
    free(list);
    rc_arena_release(&arena);
    return r < 0 ? r : 0;
}

void rc_position_table_seed(rc_position_table *table, const rc_position_record *record)
{
    (void)pthread_mutex_lock(&table->mu);
    if (!find(table, record->connector, record->partition, false))
        fold(table, record, 0);
    (void)pthread_mutex_unlock(&table->mu);
}

uint64_t rc_position_table_version(rc_position_table *table)
{
    uint64_t version;

    (void)pthread_mutex_lock(&table->mu);
    version = table->version;
    (void)pthread_mutex_unlock(&table->mu);
    return version;
}

size_t rc_position_table_copy(rc_position_table *table, int64_t before_ms, omc_arena *arena,
                              rc_position_record **ret)
{
    rc_position_entry *entry, *next;
    rc_position_record *list;
    size_t count = 0;

    (void)pthread_mutex_lock(&table->mu);
    list = omc_alloc(arena, (table->count + 1) * sizeof *list);
    HASH_ITER(hh, table->entries, entry, next)
    {
        if (entry->offset && entry->stored_ms < before_ms)
            list[count++] = (rc_position_record){.connector = in_arena(entry->key, arena),
                                                 .partition = in_arena(entry->partition, arena),
                                                 .offset = in_arena(entry->offset, arena),
                                                 .generation = entry->generation,
                                                 .number = entry->number,
                                                 .notes = in_arena(entry->notes, arena)};
    }
    (void)pthread_mutex_unlock(&table->mu);
    *ret = list;
    return count;
}

rc_topic *rc_position_table_topic(rc_position_table *table)
{
    return table->topic;
}

/* ---- reading --------------------------------------------------------------------------------- */

static int32_t queue_index(const rc_topic *topic, const rmq_queue *queue)
{
    for (int32_t i = 0; i < topic->count; i++)
        if (topic->queues[i].id == queue->id && strcmp(topic->queues[i].broker, queue->broker) == 0)
            return i;
    return -1;
}

static void take(rc_position_table *table, const rmq_fetch *fetch)
{
    int32_t index = queue_index(table->topic, &fetch->queue);

    (void)pthread_mutex_lock(&table->mu);
    for (size_t i = 0; i < fetch->count; i++) {
        rc_position_record record;

        rc_arena_reset(&table->arena, 65536);
        if (rc_position_parse(&fetch->messages[i], &table->arena.pub, &record) > 0)
            fold(table, &record, fetch->messages[i].stored_ms);
    }
    (void)pthread_mutex_unlock(&table->mu);
    if (index >= 0)
        table->next[index] = fetch->next_offset;
}

/* One fetch; a position that retention has overtaken goes on at what is kept. */
static int read_some(rc_position_table *table, rc_error *err)
{
    rmq_fetch fetch = {0};
    int r = rmq_consumer_fetch(table->consumer, 500, &fetch, err);

    if (r == RMQ_FETCH_MESSAGES)
        take(table, &fetch);
    else if (r == RMQ_FETCH_MOVED)
        r = rmq_consumer_seek(table->consumer, &fetch.queue, fetch.next_offset, err);
    else if (r == RMQ_FETCH_QUEUE_LOST)
        r = -err->code;
    if (fetch.internal)
        rmq_fetch_release(table->consumer, &fetch);
    return r < 0 ? rc_wrap(err, r, "read topic '%s'", table->topic->name) : 0;
}

static bool reached(const rc_position_table *table, const int64_t *ends)
{
    for (int32_t i = 0; i < table->topic->count; i++)
        if (table->next[i] < ends[i])
            return false;
    return true;
}

static int read_to_end(rc_position_table *table, rc_error *err)
{
    rc_rocketmq *log = table->log;
    int64_t deadline = rc_mono_ms(log->clock) + SYNC_WAIT_MS;
    RC_AUTO_FREE int64_t *ends = rc_calloc((size_t)table->topic->count, sizeof *ends);
    int r = 0;

    for (int32_t i = 0; r == 0 && i < table->topic->count; i++)
        r = rmq_offset_max(log->client, &table->topic->queues[i], &ends[i], err);
    while (r == 0 && !reached(table, ends)) {
        r = rc_rmq_canceled(log, err);
        if (r == 0)
            r = read_some(table, err);
        if (r == 0 && !reached(table, ends) && rc_mono_ms(log->clock) > deadline)
            return rc_fail_retriable(err, OMC_ETIMEDOUT,
                                     "positions in topic '%s' could not be read to the end within "
                                     "%d s: is its broker up? (mqadmin topicStatus -t %s)",
                                     table->topic->name, SYNC_WAIT_MS / 1000, table->topic->name);
    }
    return r;
}

/* Tasks that begin together, as after the death of a worker, need not read one after the other:
 * what began after a caller had asked has read all that the caller wants. */
int rc_position_table_sync(rc_position_table *table, rc_error *err)
{
    const uint64_t before = atomic_load(&table->syncs);
    int r = 0;

    (void)pthread_mutex_lock(&table->reading);
    if (table->synced <= before) {
        const uint64_t number = atomic_fetch_add(&table->syncs, 1) + 1;

        r = read_to_end(table, err);
        if (r == 0)
            table->synced = number;
    }
    (void)pthread_mutex_unlock(&table->reading);
    return r;
}

static int add_queues(rc_position_table *table, rc_error *err)
{
    const rc_topic *topic = table->topic;
    int r = 0;

    table->next = rc_calloc((size_t)topic->count, sizeof *table->next);
    for (int32_t i = 0; r == 0 && i < topic->count; i++) {
        r = rc_rmq_canceled(table->log, err);
        if (r == 0)
            r = rmq_offset_min(table->log->client, &topic->queues[i], &table->next[i], err);
        if (r == 0)
            r = rmq_consumer_add(table->consumer, &topic->queues[i], table->next[i], err);
    }
    return r;
}

int rc_position_table_open(rc_rocketmq *log, rc_position_table **ret, rc_error *err)
{
    const rmq_consumer_config config = {.group = RC_INTERNAL_GROUP, .buffer_bytes = 1 << 20};
    rc_position_table *table = rc_calloc(1, sizeof *table);
    int r;

    table->log = log;
    (void)pthread_mutex_init(&table->mu, NULL);
    (void)pthread_mutex_init(&table->reading, NULL);
    rc_arena_init(&table->arena, 16384);
    r = rc_rmq_topic(&log->pub, log->position_topic, log->create_topics ? 1 : 0, &table->topic,
                     err);
    if (r == -OMC_ENOTFOUND && !log->create_topics)
        r = rc_fail_retriable(err, OMC_ENOTFOUND,
                              "topic '%s' (positionStoreTopic) does not exist and "
                              "autoCreateTopicEnable=false: create it with 1 queue",
                              log->position_topic);
    if (r == 0)
        r = rmq_consumer_open(log->client, &config, &table->consumer, err);
    if (r == 0)
        r = add_queues(table, err);
    if (r == 0)
        r = rc_position_table_sync(table, err);
    if (r < 0) {
        rc_position_table_close(table);
        return rc_wrap(err, r, "positions of sources");
    }
    *ret = table;
    return 0;
}

void rc_position_table_close(rc_position_table *table)
{
    rc_position_entry *entry, *next;

    if (!table)
        return;
    rmq_consumer_close(table->consumer);
    HASH_ITER(hh, table->entries, entry, next)
    {
        HASH_DEL(table->entries, entry); /* NOLINT(clang-analyzer-unix.Malloc) */
        free(entry->key);
        free(entry->offset);
        free(entry->notes);
        free(entry);
    }
    free(table->next);
    rc_arena_release(&table->arena);
    (void)pthread_mutex_destroy(&table->mu);
    (void)pthread_mutex_destroy(&table->reading);
    free(table);
}

/* ---- the log's calls ------------------------------------------------------------------------- */

int rc_rmq_position(rc_log *pub, const char *connector, rc_slice partition, omc_arena *arena,
                    rc_slice *ret, rc_error *err)
{
    rc_rocketmq *log = rc_rocketmq_of(pub);
    rc_position_record record;
    int r = rc_position_table_sync(log->table, err);

    if (r < 0)
        return r;
    *ret = omc_slice_of(NULL, 0);
    if (rc_position_table_get(log->table, connector, partition, arena, &record))
        *ret = record.offset;
    return 0;
}

int rc_rmq_positions(rc_log *pub, const char *connector, rc_position_fn *each, void *arg,
                     rc_error *err)
{
    rc_rocketmq *log = rc_rocketmq_of(pub);
    int r = rc_position_table_sync(log->table, err);

    return r < 0 ? r : rc_position_table_each(log->table, connector, false, each, arg);
}

/* ---- writing --------------------------------------------------------------------------------- */

/* As Java: by the hash of the Base64 text, so that a key's records stay in one queue. Those of a
 * sink's group lie in one queue together, so that one send can store several. */
static const rmq_queue *choose_queue(const rc_topic *topic, const char *connector, rc_slice key)
{
    bool sink = strncmp(connector, RC_SINK_PREFIX, strlen(RC_SINK_PREFIX)) == 0;

    return &topic->queues[rc_queue_by_hash(sink ? omc_slice_str(connector) : key, topic->writable)];
}

void rc_position_submit(rc_rocketmq *log, rmq_lanes *lanes, const rc_position_record *records,
                        size_t count, const char *connector,
                        void (*done)(void *arg, int result, const rc_error *err), void *arg)
{
    rc_position_send *send = rc_calloc(1, sizeof *send);
    rc_topic *topic = rc_position_table_topic(log->table);
    const rmq_queue *queue = NULL;
    rc_arena arena;

    rc_arena_init(&arena, 4096);
    rc_buf_init(&send->items, RC_POSITION_SEND_MAX);
    for (size_t i = 0; i < count; i++) {
        rc_slice key = rc_position_key(connector, records[i].partition, &arena.pub);

        rc_position_put(&records[i], key, &send->items, &arena.pub);
        queue = choose_queue(topic, connector, key);
    }
    rc_arena_release(&arena);
    RC_ASSERT(queue); /* there is at least one record */
    send->done = done;
    send->arg = arg;
    send->parcel = (rmq_parcel){.topic = topic->name,
                                .broker = queue->broker,
                                .queue_id = queue->id,
                                .items = send->items.data,
                                .bytes = send->items.len,
                                .count = (uint32_t)count,
                                .submitted_ns = rc_mono_ns(log->clock),
                                .owner = send};
    rmq_lanes_submit(lanes, &send->parcel);
}

typedef struct waiting {
    pthread_mutex_t mu;
    pthread_cond_t cond;
    bool done;
    int result;
    rc_error *err;
} waiting;

static void wake_waiting(void *arg, int result, const rc_error *err)
{
    waiting *w = arg;

    (void)pthread_mutex_lock(&w->mu);
    w->done = true;
    w->result = result;
    if (result < 0 && err && w->err)
        *w->err = *err;
    (void)pthread_cond_signal(&w->cond);
    (void)pthread_mutex_unlock(&w->mu);
}

int rc_rmq_position_write(rc_rocketmq *log, rmq_lanes *lanes, const rc_position_record *records,
                          size_t count, const char *connector, rc_error *err)
{
    waiting w = {.mu = PTHREAD_MUTEX_INITIALIZER, .err = err};

    rc_cond_init(&w.cond);
    rc_position_submit(log, lanes, records, count, connector, wake_waiting, &w);
    (void)pthread_mutex_lock(&w.mu);
    while (!w.done)
        (void)pthread_cond_wait(&w.cond, &w.mu);
    (void)pthread_mutex_unlock(&w.mu);
    (void)pthread_cond_destroy(&w.cond);
    for (size_t i = 0; w.result == 0 && i < count; i++)
        rc_position_table_put(log->table, &records[i]);
    return w.result;
}

typedef struct partition_list {
    rc_arena arena;
    rc_slice *items;
    size_t count, cap;
} partition_list;

static int collect_partition(void *arg, rc_slice partition, rc_slice offset)
{
    partition_list *list = arg;

    (void)offset;
    if (list->count == list->cap) {
        list->cap = list->cap ? 2 * list->cap : 16;
        list->items = rc_realloc(list->items, list->cap * sizeof *list->items);
    }
    list->items[list->count++] = rc_arena_slice(&list->arena.pub, partition);
    return 0;
}

static int write_one(rc_rocketmq *log, const char *connector, rc_slice partition, rc_slice offset,
                     rc_error *err)
{
    rc_arena arena;
    rc_position_record record = {.connector = omc_slice_str(connector)};
    rc_position_record now;
    int r;

    rc_arena_init(&arena, 4096);
    record.partition = partition;
    record.offset = offset;
    record.generation = -1;
    /* Its generation is kept, its notes are not: what was stored behind the old position has
     * nothing to do with the new one. */
    if (rc_position_table_get(log->table, connector, partition, &arena.pub, &now)) {
        record.generation = now.generation;
        record.number = now.number + 1;
    }
    r = rc_rmq_position_write(log, log->position_lanes, &record, 1, connector, err);
    rc_arena_release(&arena);
    return r < 0 ? rc_wrap(err, r, "write a position of '%s'", connector) : 0;
}

int rc_rmq_position_set(rc_log *pub, const char *connector, rc_slice partition, rc_slice offset,
                        rc_error *err)
{
    rc_rocketmq *log = rc_rocketmq_of(pub);
    partition_list list = {0};
    int r = rc_position_table_sync(log->table, err);

    if (r < 0)
        return r;
    if (partition.base)
        return write_one(log, connector, partition, offset, err);
    rc_arena_init(&list.arena, 4096);
    r = rc_position_table_each(log->table, connector, true, collect_partition, &list);
    for (size_t i = 0; r == 0 && i < list.count; i++)
        r = write_one(log, connector, list.items[i], omc_slice_of(NULL, 0), err);
    free(list.items);
    rc_arena_release(&list.arena);
    return r;
}
