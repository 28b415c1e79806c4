/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sink loop: fetch -> converter -> transforms -> put -> pre_commit -> commit of offsets.
 *
 * A task owns queues (those whose number modulo the count of tasks is its id) and keeps, per
 * queue, the offset after the last record put. A commit asks the sink how far it is durable and
 * writes the offsets of all queues, with the sink's own state, in one atomic write. It happens
 * every commit interval, soon after the queues run dry, and before the task stops or pauses.
 */
#include "worker/task_internal.h"

#include "base/diag.h"
#include "record/json.h"

#define IDLE_COMMIT_NS (INT64_C(50) * 1000000)
#define STATE_MAX 4096

typedef struct sink_queue {
    rc_topic *topic;
    omc_queue pub;
    rc_origin origin;
    int64_t position;     /* after the last record put */
    int64_t reset;        /* asked for by the plugin; -1 = none */
    const omc_map *state; /* committed before the start; for open() */
} sink_queue;

typedef struct sink {
    rc_task *task;
    const omc_sink_ops *ops;
    omc_sink_context ctx;
    rc_reader *reader;
    rc_fetch fetch;
    rc_batch *batch;
    uint32_t *message_of; /* record of the batch -> message of the fetch */
    size_t message_cap;
    sink_queue *queues;
    size_t queue_count;
    sink_queue *current; /* queue of the present fetch */
    rc_writer *letters;  /* writes dead letters; NULL until the first */
    rc_append *letter_append;
    rc_failure failure;
    rc_arena scratch; /* of one commit */
    bool dirty;       /* something to commit */
    int64_t dirty_ns; /* since when */
    int64_t put_ns;   /* end of the last put */
    rc_attempt commit_attempt;
    bool started, opened;
} sink;

/* ---- dead letters ------------------------------------------------------------------------------
 */

static int letters_ready(sink *s, rc_error *err)
{
    rc_task *task = s->task;
    rc_writer_config config = {.name = task->name, .connector = task->setup.connector};
    int r;

    if (!task->dead_letter)
        return 0;
    if (!s->letters) {
        config.pending_bytes_max = (size_t)task->setup.worker_config->pending_bytes_max;
        r = rc_writer_open(task->log, &config, &s->letters, err);
        if (r < 0)
            return r;
    }
    if (!s->letter_append)
        s->letter_append = rc_append_new(s->letters);
    return 0;
}

/* Makes all dead letters durable; no offset may be committed before. */
static int flush_letters(sink *s, rc_error *err)
{
    rc_receipt receipt;
    int r;

    if (!s->letter_append || rc_append_count(s->letter_append) == 0)
        return 0;
    r = rc_writer_submit(s->letters, s->letter_append, NULL, err);
    if (r < 0)
        return rc_wrap(err, r, "write dead letters");
    s->letter_append = NULL;
    while (
        !rc_writer_receipt(s->letters, rc_mono_ns(s->task->clock) + INT64_C(1000000000), &receipt))
        if (rc_task_commanded(s->task) == RC_COMMAND_STOP)
            return rc_fail_retriable(err, OMC_ECANCELED, "stopped while writing dead letters");
    r = receipt.result;
    *err = receipt.err;
    rc_append_free(receipt.append);
    return r < 0 ? rc_wrap(err, r, "write dead letters") : 0;
}

/* The skipped record of s->failure: counted, logged, kept as a dead letter. */
static int skip(sink *s, rc_error *err)
{
    int r = letters_ready(s, err);

    return r < 0 ? r : rc_task_skipped(s->task, s->letter_append, &s->failure, err);
}

/* ---- services ----------------------------------------------------------------------------------
 */

static sink_queue *find_queue(sink *s, const omc_queue *queue)
{
    for (size_t i = 0; i < s->queue_count; i++)
        if (s->queues[i].pub.id == queue->id && strcmp(s->queues[i].pub.topic, queue->topic) == 0)
            return &s->queues[i];
    return NULL;
}

static int unknown_queue(const omc_queue *queue, rc_error *err)
{
    return rc_fail(err, OMC_ENOTFOUND, "queue %d of topic '%s' does not belong to this task",
                   queue->id, queue->topic);
}

static int pause_queues(sink *s, const omc_queue *queues, size_t count, bool paused, rc_error *err)
{
    for (size_t i = 0; i < count; i++) {
        sink_queue *q = find_queue(s, &queues[i]);
        int r = q ? rc_reader_pause(s->reader, q->topic, q->pub.id, paused, err)
                  : unknown_queue(&queues[i], err);

        if (r < 0)
            return r;
    }
    return 0;
}

static sink *sink_of(void *host)
{
    return ((rc_task *)host)->loop;
}

static int ctx_pause(void *host, const omc_queue *queues, size_t count, omc_error *err)
{
    return pause_queues(sink_of(host), queues, count, true, err);
}

static int ctx_resume(void *host, const omc_queue *queues, size_t count, omc_error *err)
{
    return pause_queues(sink_of(host), queues, count, false, err);
}

static int ctx_reset(void *host, const omc_queue_offset *offsets, size_t count, omc_error *err)
{
    for (size_t i = 0; i < count; i++) {
        sink_queue *q = find_queue(sink_of(host), &offsets[i].queue);

        if (!q)
            return unknown_queue(&offsets[i].queue, err);
        if (offsets[i].offset < 0)
            return rc_fail(err, OMC_EINVAL, "offset %lld of topic '%s' is negative",
                           (long long)offsets[i].offset, offsets[i].queue.topic);
        q->reset = offsets[i].offset;
    }
    return 0;
}

static size_t ctx_assignment(void *host, const omc_queue **ret)
{
    sink *s = sink_of(host);
    omc_queue *list = omc_alloc(&s->scratch.pub, (s->queue_count + 1) * sizeof *list);

    for (size_t i = 0; i < s->queue_count; i++)
        list[i] = s->queues[i].pub;
    *ret = list;
    return s->queue_count;
}

/* Index of a record of the present batch, or -1. */
static int64_t record_index(const sink *s, const omc_record *record)
{
    const char *at = (const char *)record;
    const omc_batch *batch = &s->batch->pub;

    if (at < batch->records || at >= batch->records + batch->count * batch->record_size)
        return -1;
    return (at - batch->records) / (int64_t)batch->record_size;
}

static int ctx_report(void *host, const omc_record *record, const omc_error *why, omc_error *err)
{
    sink *s = sink_of(host);
    rc_task *task = s->task;
    int64_t index = record_index(s, record);

    if (index < 0)
        return rc_fail(err, OMC_EINVAL, "the reported record is not one of the present put");
    rc_metric_add(task->metrics, RC_TM_ERRORS, 1);
    if (strcmp(task->plan.options.tolerance, "all") != 0) {
        *err = *why;
        return rc_wrap(err, -(why->code ? why->code : OMC_EFORMAT),
                       "record at offset %lld of topic '%s', queue %d (set errors.tolerance=all to "
                       "skip such records)",
                       (long long)record->position.counter, record->topic, record->queue);
    }
    s->failure.stage = RC_STAGE_PUT;
    s->failure.class_name = task->plan.plugin->name;
    s->failure.message = &s->fetch.messages[s->message_of[index]];
    s->failure.record = record;
    s->failure.topic = record->topic;
    s->failure.queue = record->queue;
    s->failure.offset = s->failure.message->offset;
    s->failure.err = *why;
    return skip(s, err);
}

/* ---- from a fetch to a batch -------------------------------------------------------------------
 */

/* The message with all its bytes in the batch's own memory, for sinks that keep batches. */
static rc_message own_copy(const rc_message *message, omc_arena *arena)
{
    rc_message copy = *message;
    omc_pair *pairs = omc_alloc(arena, (message->property_count + 1) * sizeof *pairs);

    if (message->body.base)
        copy.body = rc_arena_slice(arena, message->body);
    if (message->keys.base)
        copy.keys = rc_arena_slice(arena, message->keys);
    if (message->tags.base)
        copy.tags = rc_arena_slice(arena, message->tags);
    for (size_t i = 0; i < message->property_count; i++) {
        pairs[i].key = rc_arena_slice(arena, message->properties[i].key);
        pairs[i].value = rc_arena_slice(arena, message->properties[i].value);
    }
    copy.properties = pairs;
    copy.message_id = rc_arena_slice(arena, message->message_id);
    return copy;
}

/* One message: converted and transformed, with retries. RC_RECORD_* or negative. */
static int to_record(sink *s, const rc_message *message, omc_record *record)
{
    rc_task *task = s->task;
    rc_attempt attempt = {0};
    rc_side side;
    int r;

    for (;;) {
        r = rc_message_to_record(message, &s->current->origin, task->key, task->value,
                                 &s->batch->arena.pub, record, &side, &s->failure.err);
        if (r == 0)
            return rc_task_transform(task, record, &s->batch->arena.pub, &s->failure);
        s->failure.stage = side == RC_SIDE_KEY ? RC_STAGE_KEY_CONVERTER : RC_STAGE_VALUE_CONVERTER;
        s->failure.class_name = rc_converter_class(side == RC_SIDE_KEY ? task->key : task->value);
        r = rc_task_try_again(task, &attempt, &s->failure);
        if (r != RC_RECORD_KEEP)
            return r;
    }
}

static void room_for(sink *s, size_t count)
{
    if (count <= s->message_cap)
        return;
    s->message_cap = count;
    s->message_of = rc_realloc(s->message_of, count * sizeof *s->message_of);
}

/* Fills the batch from the fetch. On failure it holds what came before the bad record, and
 * *ret_next is the offset of that record. */
static int fill_batch(sink *s, int64_t *ret_next, rc_error *err)
{
    rc_task *task = s->task;
    int64_t begin = rc_mono_ns(task->clock);
    int64_t filtered = 0;
    int r = 0;

    room_for(s, s->fetch.count);
    s->batch = rc_batch_recycle(s->batch);
    *ret_next = s->fetch.next_offset;
    for (size_t i = 0; i < s->fetch.count; i++) {
        const rc_message *message = &s->fetch.messages[i];
        omc_record *record = omc_batch_add(&s->batch->pub);
        rc_message copy;

        if (s->ops->flags & OMC_SINK_KEEPS) {
            copy = own_copy(message, &s->batch->arena.pub);
            message = &copy;
        }
        s->message_of[s->batch->pub.count - 1] = (uint32_t)i;
        s->failure.message = message;
        s->failure.topic = s->current->pub.topic;
        s->failure.queue = s->current->pub.id;
        s->failure.offset = message->offset;
        r = to_record(s, message, record);
        if (r == RC_RECORD_KEEP)
            continue;
        s->batch->pub.count--;
        filtered += r == RC_RECORD_DROPPED;
        if (r == RC_RECORD_SKIPPED)
            r = skip(s, &s->failure.err);
        if (r < 0) {
            *err = s->failure.err;
            *ret_next = message->offset;
            (void)rc_wrap(err, r, "message at offset %lld of topic '%s', queue %d",
                          (long long)message->offset, s->failure.topic, s->failure.queue);
            break;
        }
    }
    rc_metric_add(task->metrics, RC_TM_FILTERED, filtered);
    rc_histogram_record(&task->metrics->histograms[RC_TH_TRANSFORM],
                        (rc_mono_ns(task->clock) - begin) / 1000);
    return r < 0 ? r : 0;
}

/* ---- put
 * ------------------------------------------------------------------------------------------ */

static void apply_resets(sink *s)
{
    for (size_t i = 0; i < s->queue_count; i++) {
        sink_queue *q = &s->queues[i];
        rc_error err = {0};

        if (q->reset < 0)
            continue;
        if (rc_reader_seek(s->reader, q->topic, q->pub.id, q->reset, &err) < 0)
            rc_warn(s->task->who, "cannot reset the offset: %s", err.msg);
        else
            q->position = q->reset;
        q->reset = -1;
    }
}

static void mark_dirty(sink *s)
{
    s->put_ns = rc_mono_ns(s->task->clock);
    if (!s->dirty)
        s->dirty_ns = s->put_ns;
    s->dirty = true;
}

/* Puts the batch, again and again while the sink says that trying again may help. */
static int put_batch(sink *s, rc_error *err)
{
    rc_task *task = s->task;
    rc_attempt attempt = {0};
    int64_t begin = rc_mono_ns(task->clock);
    int r;

    for (;;) {
        rc_task_enter(task, "put");
        r = s->ops->put(task->state, &s->batch->pub, err);
        if (!rc_task_leave(task))
            return -OMC_ECANCELED;
        if (r >= 0)
            break;
        if (rc_errors_call(&task->errors, &attempt, err) == RC_VERDICT_FAIL)
            return rc_wrap(err, r, "put of %zu records", s->batch->pub.count);
        rc_task_report(task, RC_STATE_STALLED, err);
        rc_debug(task->who, "put failed, trying the same %zu records again in %lld ms: %s",
                 s->batch->pub.count, (long long)attempt.delay_ms, err->msg);
        if (rc_task_back_off(task, attempt.delay_ms) < 0)
            return -OMC_ECANCELED;
    }
    rc_task_report(task, RC_STATE_RUNNING, NULL);
    rc_metric_add(task->metrics, RC_TM_PUT, (int64_t)s->batch->pub.count);
    rc_metric_set(task->metrics, RC_TM_LAST_RECORD_MS, rc_now_ms(task->clock));
    rc_histogram_record(&task->metrics->histograms[RC_TH_PUT_TIME],
                        (rc_mono_ns(task->clock) - begin) / 1000);
    return 0;
}

static int deliver(sink *s, rc_error *err)
{
    rc_error why = {0};
    int64_t next;
    int failed = fill_batch(s, &next, &why);
    int r = 0;

    if (s->batch->pub.count > 0)
        r = put_batch(s, err);
    if (s->task->gone || r < 0)
        return r < 0 ? r : -OMC_ECANCELED;
    s->current->position = next;
    mark_dirty(s);
    apply_resets(s);
    if (failed < 0)
        *err = why;
    return failed;
}

/* ---- commit
 * --------------------------------------------------------------------------------------- */

static int ask_sink(sink *s, omc_queue_offset *offsets, rc_error *err)
{
    rc_task *task = s->task;
    int r = 0;

    for (size_t i = 0; i < s->queue_count; i++) {
        offsets[i].queue = s->queues[i].pub;
        offsets[i].offset = s->queues[i].position;
        offsets[i].state = NULL;
    }
    rc_task_enter(task, s->ops->pre_commit ? "pre_commit" : "flush");
    if (s->ops->pre_commit)
        r = s->ops->pre_commit(task->state, offsets, s->queue_count, &s->scratch.pub, err);
    else if (s->ops->flush)
        r = s->ops->flush(task->state, err);
    if (!rc_task_leave(task))
        return -OMC_ECANCELED;
    return r < 0 ? rc_wrap(err, r, "%s", s->ops->pre_commit ? "pre_commit" : "flush") : 0;
}

static int collect_commits(sink *s, const omc_queue_offset *offsets, rc_commit *commits,
                           size_t *ret_count, rc_error *err)
{
    size_t n = 0;

    for (size_t i = 0; i < s->queue_count; i++) {
        if (offsets[i].offset < 0)
            continue;
        commits[n].topic = s->queues[i].topic;
        commits[n].queue = s->queues[i].pub.id;
        commits[n].offset = RC_MIN(offsets[i].offset, s->queues[i].position);
        commits[n].state = omc_slice_of(NULL, 0);
        if (offsets[i].state)
            commits[n].state = rc_json_of_map(offsets[i].state, &s->scratch.pub);
        if (commits[n].state.len > STATE_MAX)
            return rc_fail(err, OMC_EINVAL,
                           "the sink wants to keep %zu bytes of state with an offset; at most %d "
                           "are allowed",
                           commits[n].state.len, STATE_MAX);
        n++;
    }
    *ret_count = n;
    return 0;
}

static int try_commit(sink *s, rc_error *err)
{
    rc_task *task = s->task;
    omc_queue_offset *offsets = omc_alloc0(&s->scratch.pub, s->queue_count * sizeof *offsets);
    rc_commit *commits = omc_alloc0(&s->scratch.pub, s->queue_count * sizeof *commits);
    size_t count = 0;
    int r = flush_letters(s, err);

    if (r == 0)
        r = ask_sink(s, offsets, err);
    if (r == 0)
        r = collect_commits(s, offsets, commits, &count, err);
    if (r == 0 && count > 0)
        r = rc_log_commit(task->log, task->plan.options.group, commits, count, err);
    return r;
}

/* Commits when there is something to. A failure that may pass is counted and tried again later. */
static int commit(sink *s, rc_error *err)
{
    rc_task *task = s->task;
    int64_t begin = rc_mono_ns(task->clock), lag;
    int r;

    if (!s->dirty)
        return 0;
    r = try_commit(s, err);
    if (task->gone)
        return -OMC_ECANCELED;
    rc_arena_reset(&s->scratch, 65536);
    apply_resets(s);
    if (r == 0) {
        s->dirty = false;
        s->commit_attempt = (rc_attempt){0};
        rc_metric_add(task->metrics, RC_TM_COMMITS, 1);
        rc_histogram_record(&task->metrics->histograms[RC_TH_COMMIT],
                            (rc_mono_ns(task->clock) - begin) / 1000);
        if (rc_reader_lag(s->reader, &lag, err) == 0)
            rc_metric_set(task->metrics, RC_TM_LAG, lag);
        rc_task_report(task, RC_STATE_RUNNING, NULL);
        return 0;
    }
    rc_metric_add(task->metrics, RC_TM_COMMIT_FAILURES, 1);
    if (rc_errors_call(&task->errors, &s->commit_attempt, err) == RC_VERDICT_FAIL)
        return rc_wrap(err, r, "commit");
    rc_task_report(task, RC_STATE_STALLED, err);
    rc_debug(task->who, "commit failed, trying again in %lld ms: %s",
             (long long)s->commit_attempt.delay_ms, err->msg);
    (void)rc_task_back_off(task, s->commit_attempt.delay_ms);
    return 0;
}

/* When the next commit is due: INT64_MAX when there is nothing to commit. */
static int64_t commit_due(const sink *s, bool idle)
{
    int64_t due = s->dirty_ns + s->task->plan.options.commit_interval_ms * 1000000;

    if (!s->dirty)
        return INT64_MAX;
    return idle ? RC_MIN(due, s->put_ns + IDLE_COMMIT_NS) : due;
}

/* ---- start and stop
 * -------------------------------------------------------------------------------- */

static int first_offset(sink *s, rc_topic *topic, int32_t queue, int64_t *ret, rc_error *err)
{
    const rc_connector_options *options = &s->task->plan.options;
    int64_t min, max;
    int r;

    if (strcmp(options->consume_from, "CONSUME_FROM_TIMESTAMP") == 0)
        return rc_log_search(s->task->log, topic, queue, options->consume_from_ms, ret, err);
    r = rc_log_bounds(s->task->log, topic, queue, &min, &max, err);
    if (r == 0)
        *ret = strcmp(options->consume_from, "CONSUME_FROM_LAST_OFFSET") == 0 ? max : min;
    return r;
}

static int add_queue(sink *s, rc_topic *topic, int32_t queue, rc_error *err)
{
    rc_task *task = s->task;
    omc_arena *arena = &task->memory.pub;
    sink_queue *q;
    rc_slice state;
    int64_t offset;
    int r = rc_log_committed(task->log, task->plan.options.group, topic, queue, arena, &offset,
                             &state, err);

    if (r < 0)
        return r;
    s->queues = rc_realloc(s->queues, (s->queue_count + 1) * sizeof *s->queues);
    q = &s->queues[s->queue_count++];
    memset(q, 0, sizeof *q);
    q->topic = topic;
    q->reset = -1;
    q->pub.topic = rc_topic_name(topic);
    q->pub.broker = rc_topic_broker(topic, queue);
    q->pub.id = queue;
    q->origin = (rc_origin){.topic = q->pub.topic, .broker = q->pub.broker, .queue = queue};
    q->origin.partition = rc_origin_partition(q->pub.topic, q->pub.broker, queue, arena);
    q->position = offset;
    if (offset < 0) {
        /* Committed at once, so that "from the end" means the end as it was now. */
        r = first_offset(s, topic, queue, &q->position, err);
        mark_dirty(s);
    } else if (state.base) {
        r = rc_json_to_map(state, arena, &q->state, err);
    }
    return r < 0 ? r : rc_reader_add(s->reader, topic, queue, q->position, err);
}

static int add_topic(sink *s, const char *name, int *number, rc_error *err)
{
    rc_task *task = s->task;
    const rc_worker_config *config = task->setup.worker_config;
    rc_topic *topic;
    int r = rc_log_topic(task->log, name,
                         config->auto_create_topics ? (int32_t)config->log_queues : 0, &topic, err);

    if (r == -OMC_ENOTFOUND)
        return rc_fail(err, OMC_ENOTFOUND,
                       "topic '%s' (connect.topicnames) does not exist and "
                       "autoCreateTopicEnable=false: create it first",
                       name);
    for (int32_t queue = 0; r == 0 && queue < rc_topic_queues(topic); queue++)
        if ((*number)++ % task->setup.count == task->setup.id)
            r = add_queue(s, topic, queue, err);
    return r;
}

static int open_queues(sink *s, rc_error *err)
{
    const omc_list *topics = &s->task->plan.options.topics;
    omc_queue_offset *list;
    int number = 0, r = 0;

    for (size_t i = 0; r == 0 && i < topics->count; i++)
        r = add_topic(s, topics->items[i], &number, err);
    s->opened = r == 0;
    if (r < 0 || !s->ops->open)
        return r;
    list = omc_alloc0(&s->scratch.pub, (s->queue_count + 1) * sizeof *list);
    for (size_t i = 0; i < s->queue_count; i++) {
        list[i].queue = s->queues[i].pub;
        list[i].offset = s->queues[i].position;
        list[i].state = s->queues[i].state;
    }
    rc_task_enter(s->task, "open");
    r = s->ops->open(s->task->state, list, s->queue_count, err);
    if (!rc_task_leave(s->task))
        return -OMC_ECANCELED;
    s->opened = r >= 0;
    apply_resets(s);
    return r < 0 ? rc_wrap(err, r, "open") : 0;
}

static int call_start(sink *s, rc_error *err)
{
    rc_task *task = s->task;
    int r;

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

static int start(sink *s, rc_error *err)
{
    rc_task *task = s->task;
    rc_reader_config config = {.name = task->name, .wake = &task->wake};
    int r = rc_reader_open(task->log, &config, &s->reader, err);

    if (r == 0)
        r = call_start(s, err);
    if (r == 0)
        r = open_queues(s, err);
    return r;
}

static void stop(sink *s)
{
    rc_task *task = s->task;
    rc_error err = {0};

    if (s->opened && s->ops->close) {
        omc_queue *list = omc_alloc(&s->scratch.pub, (s->queue_count + 1) * sizeof *list);

        for (size_t i = 0; i < s->queue_count; i++)
            list[i] = s->queues[i].pub;
        rc_task_enter(task, "close");
        if (s->ops->close(task->state, list, s->queue_count, &err) < 0)
            rc_warn(task->who, "close: %s", err.msg);
        if (!rc_task_leave(task))
            return;
    }
    pthread_mutex_lock(&task->mu);
    task->wakeable = false;
    pthread_mutex_unlock(&task->mu);
    rc_task_enter(task, "stop");
    if (s->started && s->ops->stop)
        s->ops->stop(task->state);
    (void)rc_task_leave(task);
}

static void release(sink *s)
{
    rc_append_free(s->letter_append);
    rc_writer_close(s->letters);
    rc_batch_unref(s->batch);
    if (s->reader)
        rc_fetch_release(s->reader, &s->fetch);
    rc_reader_close(s->reader);
    rc_arena_release(&s->scratch);
    free(s->queues);
    free(s->message_of);
    s->task->loop = NULL;
    free(s);
}

/* ---- the loop
 * --------------------------------------------------------------------------------------- */

static int pause_sink(sink *s, rc_error *err)
{
    int r = commit(s, err);

    while (r == 0 && rc_task_commanded(s->task) == RC_COMMAND_PAUSE) {
        rc_task_report(s->task, RC_STATE_PAUSED, NULL);
        rc_task_sleep(s->task, -1);
        rc_task_clear_wake(s->task);
    }
    if (r == 0 && !s->task->gone)
        rc_task_report(s->task, RC_STATE_RUNNING, NULL);
    return r;
}

static int fetch(sink *s, rc_error *err)
{
    rc_task *task = s->task;
    const rc_connector_options *options = &task->plan.options;
    int64_t begin = rc_mono_ns(task->clock);
    int r = rc_reader_fetch(s->reader, (size_t)options->batch_records, (size_t)options->batch_bytes,
                            commit_due(s, true), &s->fetch, err);

    if (r <= 0)
        return r < 0 ? rc_wrap(err, r, "fetch") : 0;
    rc_metric_add(task->metrics, RC_TM_READ, (int64_t)s->fetch.count);
    rc_metric_add(task->metrics, RC_TM_READ_BYTES, (int64_t)s->fetch.bytes);
    rc_histogram_record(&task->metrics->histograms[RC_TH_FETCH],
                        (rc_mono_ns(task->clock) - begin) / 1000);
    for (size_t i = 0; i < s->queue_count; i++)
        if (s->queues[i].topic == s->fetch.topic && s->queues[i].pub.id == s->fetch.queue)
            s->current = &s->queues[i];
    return r;
}

static int loop(sink *s, rc_error *err)
{
    int r = 0;

    rc_task_report(s->task, RC_STATE_RUNNING, NULL);
    while (r >= 0) {
        rc_task_clear_wake(s->task);
        if (rc_task_commanded(s->task) == RC_COMMAND_STOP)
            return 0;
        if (rc_task_commanded(s->task) == RC_COMMAND_PAUSE) {
            r = pause_sink(s, err);
            continue;
        }
        r = fetch(s, err);
        if (r > 0) {
            r = deliver(s, err);
            if (r == 0 && rc_mono_ns(s->task->clock) >= commit_due(s, false))
                r = commit(s, err);
        } else if (r == 0 && rc_mono_ns(s->task->clock) >= commit_due(s, true)) {
            r = commit(s, err);
        }
    }
    return r;
}

rc_ending rc_sink_run(rc_task *task, rc_error *err)
{
    sink *s = rc_calloc(1, sizeof *s);
    rc_error late = {0};
    int r;

    s->task = task;
    task->loop = s;
    s->ops = task->plan.plugin->ops;
    s->batch = rc_batch_new((size_t)task->plan.options.batch_records,
                            (size_t)task->plan.options.batch_bytes);
    rc_arena_init(&s->scratch, 4096);
    RC_FILL_CONTEXT(task, &s->ctx);
    s->ctx.pause = ctx_pause;
    s->ctx.resume = ctx_resume;
    s->ctx.reset_offset = ctx_reset;
    s->ctx.assignment = ctx_assignment;
    s->ctx.report = ctx_report;
    task->state = rc_calloc(1, RC_MAX(s->ops->task_state_size, (size_t)1));
    r = start(s, err);
    if (r == 0)
        r = loop(s, err);
    /* What was put is committed also when the task fails: the failure is not repeated then. */
    if (!task->gone && s->opened && commit(s, &late) < 0 && r == 0) {
        *err = late;
        r = -late.code;
    }
    if (!task->gone)
        stop(s);
    if (task->gone)
        return RC_ENDED_FAILED;
    release(s);
    return r < 0 && r != -OMC_ECANCELED ? RC_ENDED_FAILED : RC_ENDED_STOPPED;
}
