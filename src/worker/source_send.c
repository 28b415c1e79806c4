/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a polled batch to one append: transforms, converters, the choice of topic and queue, dead
 * letters, and the last position of each source partition.
 */
#include "worker/source_loop.h"

#include "base/utf8.h"
#include "record/json.h"
#include "worker/topic.h"

#define PARTITIONS_LOOKED_AT 64

/* NULL with err filled when there is no such topic and none may be created. */
static rc_known_topic *open_topic(rc_source *s, const char *name, rc_error *err)
{
    const rc_worker_config *config = s->task->setup.worker_config;
    const rc_topic_wish wish = {
        .name = name,
        .queues = config->auto_create_topics ? (int32_t)config->log_queues : 0,
        .again_ms = config->restart_delay_max_ms,
    };
    rc_known_topic *known;
    rc_topic *topic;

    HASH_FIND_STR(s->topics, name, known);
    if (!known) {
        if (rc_task_topic(s->task->log, &wish, &topic, err) < 0)
            return NULL;
        known = rc_calloc(1, sizeof *known);
        known->name = rc_strdup(name);
        known->topic = topic;
        HASH_ADD_KEYPTR(hh, s->topics, known->name, strlen(known->name), known);
    }
    s->last_topic = known;
    return known;
}

static rc_known_topic *find_topic(rc_source *s, const omc_record *record, rc_error *err)
{
    const char *name = rc_record_topic(record, s->task->plan.options.topic, &s->scratch.pub);

    if (!name) {
        (void)omc_fail(err, OMC_EINVAL, OMC_ERR_FATAL,
                       "source connect lack of topic config: the record names no topic and the "
                       "connector has none; set connect.topicname");
        return NULL;
    }
    if (s->last_topic && strcmp(s->last_topic->name, name) == 0)
        return s->last_topic;
    return open_topic(s, name, err);
}

static int32_t hash_partition(rc_source *s, const omc_map *partition, int32_t queues)
{
    for (size_t i = 0; i < s->position_count; i++) {
        rc_last_position *known = &s->positions[i];

        if (known->partition != partition)
            continue;
        if (!known->hashed) {
            known->hash = rc_java_hash(rc_json_of_map(partition, &s->scratch.pub));
            known->hashed = true;
        }
        return abs(known->hash % queues);
    }
    return rc_queue_by_hash(rc_json_of_map(partition, &s->scratch.pub), queues);
}

static int32_t choose_queue(rc_source *s, rc_known_topic *topic, const omc_record *record,
                            const rc_message *message)
{
    int32_t queues = rc_topic_writable(topic->topic);
    const char *ordering = s->task->plan.options.ordering;

    if (queues == 1)
        return 0;
    if (record->queue >= 0)
        return record->queue % queues;
    if (ordering[0] == 'k' && message->keys.len)
        return rc_queue_by_hash(message->keys, queues);
    if (ordering[0] != 'n' && record->position.partition)
        return hash_partition(s, record->position.partition, queues);
    topic->next_queue = (topic->next_queue + 1) % queues;
    return topic->next_queue;
}

/* ---- from a poll to an append ---------------------------------------------------------------- */

static void note_position(rc_source *s, const omc_record *record, size_t index)
{
    const omc_map *partition = record->position.partition;
    rc_last_position *at;

    if (!partition)
        return;
    /* Equal partitions may lie at many addresses: finding the latest ones is enough. */
    for (size_t i = s->position_count; i > 0 && i + PARTITIONS_LOOKED_AT > s->position_count; i--)
        if (s->positions[i - 1].partition == partition) {
            s->positions[i - 1].record = index;
            return;
        }
    if (s->position_count == s->position_cap) {
        s->position_cap = s->position_cap ? 2 * s->position_cap : 8;
        s->positions = rc_realloc(s->positions, s->position_cap * sizeof *s->positions);
    }
    at = &s->positions[s->position_count++];
    memset(at, 0, sizeof *at);
    at->partition = partition;
    at->record = index;
}

static int by_record(const void *a, const void *b)
{
    size_t x = ((const rc_last_position *)a)->record, y = ((const rc_last_position *)b)->record;

    return x < y ? -1 : x > y;
}

/* In the order of records: the last position of a partition is the one that stays, also when a
 * source names one partition by several maps. */
static void append_positions(rc_source *s, rc_append *append)
{
    if (s->position_count > 1)
        qsort(s->positions, s->position_count, sizeof *s->positions, by_record);
    for (size_t i = 0; i < s->position_count; i++) {
        const omc_record *record = omc_batch_at(&s->batch->pub, s->positions[i].record);

        rc_append_position(append, rc_json_of_map(record->position.partition, &s->scratch.pub),
                           rc_json_of_offset(&record->position, &s->scratch.pub));
    }
}

/* Converts one record with retries. RC_RECORD_KEEP fills `message`. */
static int convert(rc_source *s, const omc_record *record, const char *topic, rc_message *message,
                   rc_failure *failure)
{
    rc_task *task = s->task;
    rc_attempt attempt = {0};
    rc_side side;
    int r;

    for (;;) {
        r = rc_message_from_record(record, topic, task->key, task->value, s->now_ms,
                                   &s->scratch.pub, message, &side, &failure->err);
        if (r == 0)
            return RC_RECORD_KEEP;
        failure->stage = side == RC_SIDE_KEY ? RC_STAGE_KEY_CONVERTER : RC_STAGE_VALUE_CONVERTER;
        failure->class_name = rc_converter_class(side == RC_SIDE_KEY ? task->key : task->value);
        r = rc_task_try_again(task, &attempt, failure);
        if (r != RC_RECORD_KEEP)
            return r;
    }
}

static int store_message(rc_source *s, rc_append *append, rc_known_topic *topic,
                         const omc_record *record, const rc_message *message, rc_slot *slot,
                         rc_failure *failure)
{
    int32_t queue = choose_queue(s, topic, record, message);
    rc_attempt attempt = {0};
    int r;

    while ((r = rc_append_add(append, topic->topic, queue, message, slot, &failure->err)) < 0) {
        if (r != -OMC_EINVAL)
            return r; /* the log's trouble, not the record's: it must not be skipped */
        failure->stage = RC_STAGE_PRODUCE;
        failure->class_name = s->task->plan.plugin->name;
        r = rc_task_try_again(s->task, &attempt, failure);
        if (r != RC_RECORD_KEEP)
            return r;
    }
    return RC_RECORD_KEEP;
}

/* One record: @return RC_RECORD_*, or negative with failure->err. */
static int one_record(rc_source *s, omc_record *record, rc_append *append, rc_slot *slot,
                      rc_failure *failure)
{
    rc_known_topic *topic;
    rc_message message;
    int r = s->exactly_once ? rc_source_identify(s, record, &failure->err) : 0;

    if (r == 0) /* before the transforms: they may change what the record is known by */
        r = rc_task_transform(s->task, record, &s->scratch.pub, failure);
    if (r != RC_RECORD_KEEP)
        return r;
    topic = find_topic(s, record, &failure->err);
    if (!topic)
        return -failure->err.code;
    failure->topic = topic->name;
    r = convert(s, record, topic->name, &message, failure);
    if (r != RC_RECORD_KEEP)
        return r;
    if (s->exactly_once)
        message.identity = &s->identity;
    return store_message(s, append, topic, record, &message, slot, failure);
}

/* One record with its report when it is skipped, and its position. */
static int add_record(rc_source *s, size_t index, rc_append *append, rc_flight *f)
{
    omc_record *record = omc_batch_at(&s->batch->pub, index);
    rc_failure *failure = &s->failure;
    omc_record polled;
    int r;

    failure->record = record;
    failure->topic = record->topic ? record->topic : s->task->plan.options.topic;
    failure->queue = -1;
    failure->offset = -1;
    if (rc_chain_length(s->task->chain) > 0) {
        polled = *record;
        failure->record = &polled;
    }
    r = one_record(s, record, append, f->slots ? &f->slots[index] : NULL, failure);
    /* The position belongs to the source: whatever a transform did, it stays as polled. */
    if (failure->record == &polled)
        record->position = polled.position;
    if (r == RC_RECORD_SKIPPED && rc_task_skipped(s->task, append, failure, &failure->err) < 0)
        r = -failure->err.code;
    if (r >= 0)
        note_position(s, record, index);
    return r;
}

/* Says which record failed by where the source goes on after it. */
static void name_record(rc_source *s, size_t index, int r, rc_error *err)
{
    const omc_record *record = omc_batch_at(&s->batch->pub, index);
    omc_arena *arena = &s->scratch.pub;

    if (!record->position.partition) {
        (void)rc_wrap(err, r, "record %zu of a poll", index + 1);
        return;
    }
    (void)rc_wrap(err, r, "record %zu of a poll, which ends at " RC_SLICE_FMT " of " RC_SLICE_FMT,
                  index + 1, RC_SLICE_ARG(rc_json_of_offset(&record->position, arena)),
                  RC_SLICE_ARG(rc_json_of_map(record->position.partition, arena)));
}

/* All records of the batch into the append. On failure the append holds what came before. */
int rc_source_fill(rc_source *s, rc_append *append, rc_flight *f, rc_error *err)
{
    rc_task *task = s->task;
    int64_t begin = rc_mono_ns(task->clock);
    size_t dropped = 0, i;
    int r = 0;

    s->now_ms = rc_now_ms(task->clock);
    s->position_count = 0;
    rc_source_identity_reset(s);
    for (i = 0; i < s->batch->pub.count; i++) {
        r = add_record(s, i, append, f);
        if (r < 0) {
            *err = s->failure.err;
            name_record(s, i, r, err);
            break;
        }
        dropped += r == RC_RECORD_DROPPED;
        if (f->results)
            f->results[i].status = (uint8_t)r;
    }
    f->records = i;
    append_positions(s, append);
    rc_metric_add(task->metrics, RC_TM_FILTERED, (int64_t)dropped);
    rc_metric_add(task->metrics, RC_TM_POLLED_BYTES, (int64_t)rc_append_bytes(append));
    rc_histogram_record(&task->metrics->histograms[RC_TH_TRANSFORM],
                        (rc_mono_ns(task->clock) - begin) / 1000);
    return r < 0 ? r : 0;
}
