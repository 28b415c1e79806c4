/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The source loop: poll -> transforms -> converter -> append -> receipt.
 *
 * One poll becomes one append: the messages of all queues it goes to, the dead letters of records
 * that were skipped, and the position after its last record. On an atomic log that is one
 * transaction, so nothing is lost or repeated whatever crashes. The loop polls on while appends
 * are under way, until their bytes reach the limit.
 *
 * When a record fails the task, what came before it in the same poll is still stored with its
 * position; the record itself is polled again after the restart.
 */
#include "worker/task_internal.h"

#include "base/diag.h"
#include "base/hash.h"
#include "record/json.h"

#include <utlist.h>

#define SCRATCH_KEEP ((size_t)2 << 20)
#define SPIN_SLEEP_MS 50
#define HEALTH_CHECK_MS 1000

/* A poll that is under way to the log. */
typedef struct flight {
    struct flight *prev, *next;
    rc_batch *batch;          /* kept only for sources that want commit() */
    omc_send_result *results; /* one per record, likewise */
    rc_slot *slots;
    size_t records;
} flight;

typedef struct known_topic {
    char *name;
    rc_topic *topic;
    int32_t next_queue;
    UT_hash_handle hh;
} known_topic;

/* The last position of one source partition in the present batch. */
typedef struct last_position {
    const omc_map *partition;
    size_t record;
    int32_t hash;
    bool hashed;
} last_position;

typedef struct source {
    rc_task *task;
    const omc_source_ops *ops;
    omc_source_context ctx;
    rc_writer *writer;
    rc_batch *batch;
    rc_arena scratch; /* conversion results of one batch */
    known_topic *topics;
    known_topic *last_topic;
    last_position *positions;
    size_t position_count, position_cap;
    int64_t now_ms;     /* wall time of the present batch */
    flight *flights;    /* all that are under way, oldest first */
    rc_failure failure; /* of the present record; here because it is large */
    bool started;
} source;

/* ---- services ------------------------------------------------------------------------------ */

static int read_offset(void *host, const omc_map *partition, omc_arena *arena, const omc_map **ret,
                       omc_error *err)
{
    rc_task *task = host;
    rc_slice text;
    int r;

    if (!arena)
        arena = &task->memory.pub;
    r = rc_log_position(task->log, task->setup.connector, rc_json_of_map(partition, arena), arena,
                        &text, err);
    if (r < 0)
        return r;
    if (!text.base) {
        *ret = NULL;
        return 0;
    }
    return rc_json_to_map(text, arena, ret, err);
}

/* ---- topics and queues --------------------------------------------------------------------- */

/* NULL with err filled when there is no such topic and none may be created. */
static known_topic *open_topic(source *s, const char *name, rc_error *err)
{
    rc_task *task = s->task;
    int32_t queues = task->setup.worker_config->auto_create_topics
                         ? (int32_t)task->setup.worker_config->log_queues
                         : 0;
    known_topic *known;
    rc_topic *topic;
    int r;

    HASH_FIND_STR(s->topics, name, known);
    if (!known) {
        r = rc_log_topic(task->log, name, queues, &topic, err);
        if (r == -OMC_ENOTFOUND)
            (void)rc_fail(err, OMC_ENOTFOUND,
                          "topic '%s' does not exist and autoCreateTopicEnable=false: create the "
                          "topic or set autoCreateTopicEnable=true in the worker's configuration",
                          name);
        if (r < 0)
            return NULL;
        known = rc_calloc(1, sizeof *known);
        known->name = rc_strdup(name);
        known->topic = topic;
        HASH_ADD_KEYPTR(hh, s->topics, known->name, strlen(known->name), known);
    }
    s->last_topic = known;
    return known;
}

static known_topic *find_topic(source *s, const omc_record *record, rc_error *err)
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

static int32_t hash_partition(source *s, const omc_map *partition, int32_t queues)
{
    for (size_t i = 0; i < s->position_count; i++) {
        last_position *known = &s->positions[i];

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

static int32_t choose_queue(source *s, known_topic *topic, const omc_record *record,
                            const rc_message *message)
{
    int32_t queues = rc_topic_queues(topic->topic);
    const char *ordering = s->task->plan.options.ordering;

    if (queues == 1)
        return 0;
    if (record->queue >= 0)
        return record->queue % queues;
    if (ordering[0] == 'k' && message->keys.len)
        return rc_queue_by_hash(message->keys, queues);
    if (ordering[0] != 'n' && record->position.partition)
        return hash_partition(s, record->position.partition, queues);
    return topic->next_queue++ % queues;
}

/* ---- from a poll to an append ---------------------------------------------------------------- */

static void note_position(source *s, const omc_record *record, size_t index)
{
    const omc_map *partition = record->position.partition;
    last_position *at;

    if (!partition)
        return;
    for (size_t i = s->position_count; i-- > 0;)
        if (s->positions[i].partition == partition) {
            s->positions[i].record = index;
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

static void append_positions(source *s, rc_append *append)
{
    for (size_t i = 0; i < s->position_count; i++) {
        const omc_record *record = omc_batch_at(&s->batch->pub, s->positions[i].record);

        rc_append_position(append, rc_json_of_map(record->position.partition, &s->scratch.pub),
                           rc_json_of_offset(&record->position, &s->scratch.pub));
    }
}

/* Converts one record with retries. RC_RECORD_KEEP fills `message`. */
static int convert(source *s, const omc_record *record, const char *topic, rc_message *message,
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

static int store_message(source *s, rc_append *append, known_topic *topic, const omc_record *record,
                         const rc_message *message, rc_slot *slot, rc_failure *failure)
{
    rc_attempt attempt = {0};
    int r = rc_append_add(append, topic->topic, choose_queue(s, topic, record, message), message,
                          slot, &failure->err);

    if (r == 0)
        return RC_RECORD_KEEP;
    failure->stage = RC_STAGE_PRODUCE;
    failure->class_name = s->task->plan.plugin->name;
    return rc_task_try_again(s->task, &attempt, failure);
}

/* One record: @return RC_RECORD_*, or negative with failure->err. */
static int one_record(source *s, omc_record *record, rc_append *append, rc_slot *slot,
                      rc_failure *failure)
{
    known_topic *topic;
    rc_message message;
    int r = rc_task_transform(s->task, record, &s->scratch.pub, failure);

    if (r != RC_RECORD_KEEP)
        return r;
    topic = find_topic(s, record, &failure->err);
    if (!topic)
        return -failure->err.code;
    failure->topic = topic->name;
    r = convert(s, record, topic->name, &message, failure);
    if (r != RC_RECORD_KEEP)
        return r;
    return store_message(s, append, topic, record, &message, slot, failure);
}

/* One record with its report when it is skipped, and its position. */
static int add_record(source *s, size_t index, rc_append *append, flight *f)
{
    omc_record *record = omc_batch_at(&s->batch->pub, index);
    rc_failure *failure = &s->failure;
    omc_record polled;
    int r;

    failure->record = record;
    failure->topic = NULL;
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

/* All records of the batch into the append. On failure the append holds what came before. */
static int fill_append(source *s, rc_append *append, flight *f, rc_error *err)
{
    rc_task *task = s->task;
    int64_t begin = rc_mono_ns(task->clock);
    size_t dropped = 0, i;
    int r = 0;

    s->now_ms = rc_now_ms(task->clock);
    s->position_count = 0;
    for (i = 0; i < s->batch->pub.count; i++) {
        r = add_record(s, i, append, f);
        if (r < 0) {
            *err = s->failure.err;
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

/* ---- receipts ----------------------------------------------------------------------------------
 */

static void flight_free(source *s, flight *f)
{
    DL_DELETE(s->flights, f);
    rc_batch_unref(f->batch);
    free(f->results);
    free(f->slots);
    free(f);
}

static flight *flight_new(source *s)
{
    flight *f = rc_calloc(1, sizeof *f);
    size_t count = s->batch->pub.count;

    if (s->ops->commit) {
        rc_batch_ref(s->batch);
        f->batch = s->batch;
        f->results = rc_calloc(RC_MAX(count, (size_t)1), sizeof *f->results);
        f->slots = rc_calloc(RC_MAX(count, (size_t)1), sizeof *f->slots);
    }
    DL_APPEND(s->flights, f);
    return f;
}

static int tell_source(source *s, const rc_receipt *receipt, flight *f, rc_error *err)
{
    int r;

    for (size_t i = 0; i < f->records; i++) {
        omc_send_result *result = &f->results[i];

        result->topic = result->broker = result->message_id = "";
        result->offset = result->queue = -1;
        if (result->status != RC_RECORD_KEEP)
            continue;
        result->queue = rc_append_queue(receipt->append, f->slots[i]);
        result->offset = rc_append_offset(receipt->append, f->slots[i]);
        result->topic = rc_topic_name(rc_append_topic(receipt->append, f->slots[i]));
        result->broker =
            rc_topic_broker(rc_append_topic(receipt->append, f->slots[i]), result->queue);
    }
    f->batch->pub.count = f->records;
    rc_task_enter(s->task, "commit");
    r = s->ops->commit(s->task->state, &f->batch->pub, f->results, err);
    if (!rc_task_leave(s->task))
        return -OMC_ECANCELED;
    return r < 0 ? rc_wrap(err, r, "commit") : 0;
}

static int take_receipt(source *s, rc_receipt *receipt, rc_error *err)
{
    rc_task_metrics *metrics = s->task->metrics;
    flight *f = receipt->cookie;
    int r = receipt->result;

    if (r < 0) {
        *err = receipt->err;
        r = rc_wrap(err, r, "append to the log");
    } else {
        rc_metric_add(metrics, RC_TM_WRITTEN, (int64_t)rc_append_count(receipt->append));
        rc_metric_add(metrics, RC_TM_WRITTEN_BYTES, (int64_t)rc_append_bytes(receipt->append));
        rc_metric_add(metrics, RC_TM_COMMITS, rc_append_positions(receipt->append) > 0);
        rc_metric_set(metrics, RC_TM_LAST_RECORD_MS, rc_now_ms(s->task->clock));
        rc_histogram_record(&metrics->histograms[RC_TH_APPEND], receipt->latency_us);
        if (s->ops->commit)
            r = tell_source(s, receipt, f, err);
    }
    if (s->task->gone)
        return r;
    rc_append_free(receipt->append);
    flight_free(s, f);
    return r;
}

/* Takes all receipts that are there. */
static int take_receipts(source *s, rc_error *err)
{
    rc_receipt receipt;
    int r = 0;

    while (r == 0 && rc_writer_receipt(s->writer, 0, &receipt))
        r = take_receipt(s, &receipt, err);
    rc_metric_set(s->task->metrics, RC_TM_PENDING_BYTES,
                  (int64_t)rc_writer_pending_bytes(s->writer));
    return r;
}

/* Says STALLED with the log's own words while the log cannot store, RUNNING when it can again. */
static void report_health(source *s)
{
    rc_log_health health;
    rc_error why = {.code = OMC_ENOSPC, .flags = OMC_ERR_RETRIABLE};

    rc_log_health_get(s->task->log, &health);
    if (health.writable) {
        rc_task_report(s->task, RC_STATE_RUNNING, NULL);
        return;
    }
    (void)snprintf(why.msg, sizeof why.msg, "the log cannot store records now: %s", health.text);
    rc_task_report(s->task, RC_STATE_STALLED, &why);
}

/* Waits until less than `bytes` are under way. -OMC_ECANCELED when stopped meanwhile. */
static int wait_for_log(source *s, size_t bytes, rc_error *err)
{
    int r = take_receipts(s, err);

    while (r == 0 && rc_writer_pending(s->writer) > 0 &&
           rc_writer_pending_bytes(s->writer) >= bytes) {
        if (rc_task_commanded(s->task) == RC_COMMAND_STOP)
            return -OMC_ECANCELED;
        rc_task_sleep(s->task, HEALTH_CHECK_MS);
        report_health(s);
        rc_task_clear_wake(s->task);
        r = take_receipts(s, err);
    }
    return r;
}

/* Takes the receipts of all that is under way, as long as the log can store: what is not durable
 * then is dropped with the writer, and polled again from the position. */
static void drain(source *s)
{
    rc_log_health health = {.writable = true};
    rc_receipt receipt;
    rc_error err = {0};

    while (!s->task->gone && health.writable && rc_writer_pending(s->writer) > 0) {
        int64_t deadline = rc_mono_ns(s->task->clock) + HEALTH_CHECK_MS * INT64_C(1000000);

        if (rc_writer_receipt(s->writer, deadline, &receipt)) {
            if (take_receipt(s, &receipt, &err) < 0)
                return;
        } else {
            rc_log_health_get(s->task->log, &health);
        }
    }
}

/* ---- the loop ----------------------------------------------------------------------------------
 */

static int submit(source *s, rc_append *append, flight *f, rc_error *err)
{
    size_t max = (size_t)s->task->setup.worker_config->pending_bytes_max;
    int r;

    while ((r = rc_writer_submit(s->writer, append, f, err)) == -OMC_EAGAIN) {
        r = wait_for_log(s, max, err);
        if (r < 0)
            break;
    }
    if (r < 0 && !s->task->gone) {
        rc_append_free(append);
        flight_free(s, f);
    }
    return r;
}

static int send_batch(source *s, rc_error *err)
{
    rc_append *append = rc_append_new(s->writer);
    flight *f = flight_new(s);
    rc_error why = {0};
    int r = fill_append(s, append, f, &why);
    size_t good = f->records;
    int sent = 0;

    if (rc_append_count(append) > 0 || rc_append_positions(append) > 0) {
        sent = submit(s, append, f, err);
    } else {
        rc_append_free(append);
        flight_free(s, f);
    }
    rc_arena_reset(&s->scratch, SCRATCH_KEEP);
    if (s->task->gone || sent < 0)
        return sent < 0 ? sent : -OMC_ECANCELED;
    if (r < 0) {
        /* What came before the record that failed is stored before the task goes. */
        drain(s);
        if (s->task->gone)
            return -OMC_ECANCELED;
        *err = why;
        return rc_wrap(err, r, "record %zu of a poll", good + 1);
    }
    return 0;
}

static int call_poll(source *s, rc_error *err)
{
    rc_task *task = s->task;
    int64_t begin = rc_mono_ns(task->clock), took_us;
    int r;

    s->batch = rc_batch_recycle(s->batch);
    rc_task_enter(task, "poll");
    r = s->ops->poll(task->state, &s->batch->pub,
                     rc_writer_pending(s->writer) ? HEALTH_CHECK_MS : -1, err);
    if (!rc_task_leave(task))
        return -OMC_ECANCELED;
    took_us = (rc_mono_ns(task->clock) - begin) / 1000;
    if (r > 0) {
        rc_metric_add(task->metrics, RC_TM_POLLED, (int64_t)s->batch->pub.count);
        rc_histogram_record(&task->metrics->histograms[RC_TH_POLL], took_us);
    } else if (r == 0 && took_us < 1000) {
        rc_task_sleep(task, SPIN_SLEEP_MS); /* a source that does not wait must not spin */
    }
    return r;
}

/* A poll that failed: waits when it may be tried again. @return 0 = go on. */
static int poll_failed(source *s, rc_attempt *attempt, int r, rc_error *err)
{
    if (err->code == 0)
        r = rc_fail(err, OMC_EINTERNAL, "poll of '%s' returned %d without an error text",
                    s->task->plan.plugin->name, r);
    if (rc_errors_call(&s->task->errors, attempt, err) == RC_VERDICT_FAIL)
        return rc_wrap(err, r, "poll");
    rc_task_report(s->task, RC_STATE_STALLED, err);
    rc_debug(s->task->who, "poll failed, trying again in %lld ms: %s", (long long)attempt->delay_ms,
             err->msg);
    (void)rc_task_back_off(s->task, attempt->delay_ms);
    return 0;
}

static int pause_source(source *s, rc_error *err)
{
    int r = 0;

    while (r == 0 && rc_task_commanded(s->task) == RC_COMMAND_PAUSE) {
        r = take_receipts(s, err);
        if (rc_writer_pending(s->writer) == 0)
            rc_task_report(s->task, RC_STATE_PAUSED, NULL);
        rc_task_sleep(s->task, -1);
        rc_task_clear_wake(s->task);
    }
    return r;
}

/* Polls until a stop, the end of a bounded source, or an error. */
static int loop(source *s, rc_error *err)
{
    size_t max = (size_t)s->task->setup.worker_config->pending_bytes_max;
    rc_attempt attempt = {0};
    int r = 0;

    while (r >= 0) {
        rc_task_clear_wake(s->task);
        if (rc_task_commanded(s->task) == RC_COMMAND_STOP)
            return 0;
        if (rc_task_commanded(s->task) == RC_COMMAND_PAUSE) {
            r = pause_source(s, err);
            continue;
        }
        r = wait_for_log(s, max, err);
        if (r == -OMC_ECANCELED && !s->task->gone)
            return 0;
        if (r < 0)
            break;
        if (rc_writer_pending(s->writer) == 0 || s->task->reported != RC_STATE_STALLED)
            rc_task_report(s->task, RC_STATE_RUNNING, NULL);
        r = call_poll(s, err);
        if (s->task->gone || r == OMC_FINISHED)
            break;
        if (r < 0) {
            r = poll_failed(s, &attempt, r, err);
            continue;
        }
        attempt = (rc_attempt){0};
        if (r == 0)
            report_health(s);
        else
            r = send_batch(s, err);
    }
    return r;
}

static int start(source *s, rc_error *err)
{
    rc_task *task = s->task;
    rc_writer_config config = {.name = task->name,
                               .connector = task->setup.connector,
                               .pending_bytes_max =
                                   (size_t)task->setup.worker_config->pending_bytes_max,
                               .wake = &task->wake};
    int r = rc_writer_open(task->log, &config, &s->writer, err);

    if (r < 0)
        return r;
    s->started = true;
    rc_task_enter(task, "init");
    r = s->ops->init ? s->ops->init(task->state, &s->ctx, err) : 0;
    if (!rc_task_leave(task))
        return -OMC_ECANCELED;
    if (r < 0)
        return rc_wrap(err, r, "init");
    pthread_mutex_lock(&task->mu);
    task->wakeable = true;
    pthread_mutex_unlock(&task->mu);
    rc_task_enter(task, "start");
    r = s->ops->start ? s->ops->start(task->state, err) : 0;
    if (!rc_task_leave(task))
        return -OMC_ECANCELED;
    return r < 0 ? rc_wrap(err, r, "start") : 0;
}

static void stop(source *s)
{
    rc_task *task = s->task;

    pthread_mutex_lock(&task->mu);
    task->wakeable = false;
    pthread_mutex_unlock(&task->mu);
    rc_task_enter(task, "stop");
    if (s->started && s->ops->stop)
        s->ops->stop(task->state);
    (void)rc_task_leave(task);
}

static void release(source *s)
{
    known_topic *topic, *next;
    rc_receipt receipt;

    while (s->writer && rc_writer_receipt(s->writer, 0, &receipt))
        rc_append_free(receipt.append);
    rc_writer_close(s->writer);
    HASH_ITER(hh, s->topics, topic, next)
    {
        HASH_DEL(s->topics, topic);
        free(topic->name);
        free(topic);
    }
    while (s->flights)
        flight_free(s, s->flights);
    rc_batch_unref(s->batch);
    free(s->positions);
    rc_arena_release(&s->scratch);
    free(s);
}

rc_ending rc_source_run(rc_task *task, rc_error *err)
{
    source *s = rc_calloc(1, sizeof *s);
    bool finished;
    int r;

    s->task = task;
    s->ops = task->plan.plugin->ops;
    s->batch = rc_batch_new((size_t)task->plan.options.batch_records,
                            (size_t)task->plan.options.batch_bytes);
    rc_arena_init(&s->scratch, 65536);
    RC_FILL_CONTEXT(task, &s->ctx);
    s->ctx.read_offset = read_offset;
    task->state = rc_calloc(1, RC_MAX(s->ops->task_state_size, (size_t)1));
    r = start(s, err);
    if (r == 0)
        r = loop(s, err);
    finished = r == OMC_FINISHED;
    /* Finished means that everything is durable; a stopped source drains what the log can take. */
    if (!task->gone && finished)
        r = wait_for_log(s, 0, err);
    if (!task->gone && !finished)
        drain(s);
    if (!task->gone)
        stop(s);
    if (task->gone)
        return RC_ENDED_FAILED;
    release(s);
    if (finished && r == 0)
        return RC_ENDED_FINISHED;
    return r < 0 && r != -OMC_ECANCELED ? RC_ENDED_FAILED : RC_ENDED_STOPPED;
}
