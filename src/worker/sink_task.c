/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sink loop: fetch -> converter -> transforms -> put -> pre_commit -> commit of offsets.
 *
 * A task owns queues (those whose number modulo the count of tasks is its id) and keeps, per
 * queue, the offset after the last record put. A commit asks the sink how far it is durable and
 * writes the offsets of all queues, with the sink's own state, in one atomic write. It happens
 * every commit interval, soon after the queues run dry, and before the task stops or pauses.
 */
#include "worker/sink_loop.h"

#include "base/diag.h"
#include "record/json.h"
#include "worker/topic.h"

/* How often the topics of a shared log are looked at for new queues. */
#define LOOK_NS (INT64_C(30) * 1000000000)

/* ---- start and stop ---- */

static int first_offset(rc_sink *s, rc_topic *topic, int32_t queue, int64_t *ret, rc_error *err)
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

static int add_queue(rc_sink *s, rc_topic *topic, int32_t queue, rc_error *err)
{
    rc_task *task = s->task;
    omc_arena *arena = &task->memory.pub;
    rc_sink_queue *q;
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
    q->committed = -1;
    q->reset = -1;
    q->pub.topic = rc_topic_name(topic);
    q->pub.broker = rc_topic_broker(topic, queue);
    q->index = queue;
    q->pub.id = rc_topic_queue_id(topic, queue);
    q->origin = (rc_origin){.topic = q->pub.topic, .broker = q->pub.broker, .queue = q->pub.id};
    q->origin.partition = rc_origin_partition(q->pub.topic, q->pub.broker, q->pub.id, arena);
    q->position = offset;
    if (offset < 0) {
        /* Committed at once, so that "from the end" means the end as it was now. */
        r = first_offset(s, topic, queue, &q->position, err);
        rc_sink_mark_dirty(s);
    } else if (state.base) {
        r = rc_json_to_map(state, arena, &q->state, err);
    }
    return r < 0 ? r : rc_reader_add(s->reader, topic, queue, q->position, err);
}

static int add_topic(rc_sink *s, const char *name, int *number, rc_error *err)
{
    rc_task *task = s->task;
    const rc_worker_config *config = task->setup.worker_config;
    const rc_topic_wish wish = {
        .name = name,
        .key = "connect.topicnames",
        .queues = config->auto_create_topics ? (int32_t)config->log_queues : 0,
        .again_ms = config->restart_delay_max_ms,
    };
    rc_topic *topic;
    int r = rc_task_topic(task->log, &wish, &topic, err);

    if (r == 0) {
        s->topics = rc_realloc(s->topics, (s->topic_count + 1) * sizeof *s->topics);
        s->topics[s->topic_count++] = topic;
    }
    for (int32_t queue = 0; r == 0 && queue < rc_topic_queues(topic); queue++)
        if ((*number)++ % task->setup.count == task->setup.id)
            r = add_queue(s, topic, queue, err);
    return r;
}

static int open_queues(rc_sink *s, rc_error *err)
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
    *err = (rc_error){0};
    rc_task_enter(s->task, "open");
    r = s->ops->open(s->task->state, list, s->queue_count, err);
    if (!rc_task_leave(s->task))
        return -OMC_ECANCELED;
    s->opened = r >= 0;
    rc_sink_apply_resets(s);
    return r < 0 ? rc_task_call_failed(s->task, "open", r, err) : 0;
}

static int call_start(rc_sink *s, rc_error *err)
{
    rc_task *task = s->task;
    int r;

    s->started = true;
    *err = (rc_error){0};
    rc_task_enter(task, "init");
    r = s->ops->init ? s->ops->init(task->state, &s->ctx, err) : 0;
    return rc_task_begin(task, r, s->ops->start, err);
}

/* The first offsets and the sink's state beside them are durable before the first put. So a sink
 * always finds a state that says where its records begin, and "from the end" stays where it was,
 * even when the log cannot store for a while. */
static int commit_first(rc_sink *s, rc_error *err)
{
    int r = 0;

    while (r == 0 && s->dirty && rc_task_commanded(s->task) != RC_COMMAND_STOP) {
        r = rc_task_admitted(s->task, true, err);
        if (r == 0)
            r = rc_sink_commit(s, err);
        if (s->commit_attempt.failures == 0 && !s->fenced)
            break;
    }
    return r == -OMC_ECANCELED && !s->task->gone ? 0 : r;
}

static int open_reader(rc_sink *s, rc_error *err)
{
    rc_task *task = s->task;
    rc_reader_config config = {.name = task->name,
                               .group = task->plan.options.group,
                               .wake = &task->wake};

    /* Other topics never change; those of a shared log may get queues at any time. */
    s->look_ns =
        rc_log_caps_of(task->log) & RC_LOG_SHARED ? rc_mono_ns(task->clock) + LOOK_NS : INT64_MAX;
    return rc_reader_open(task->log, &config, &s->reader, err);
}

static int start(rc_sink *s, rc_error *err)
{
    int r = rc_task_take_over(s->task, err);

    if (r == 0)
        r = open_reader(s, err);
    if (r == 0)
        r = call_start(s, err);
    if (r == 0)
        r = open_queues(s, err);
    if (r == 0)
        r = commit_first(s, err);
    return r;
}

/* Takes the queues away from the sink. @return false when the task is gone. */
static bool close_queues(rc_sink *s)
{
    rc_task *task = s->task;
    omc_queue *list;
    rc_error err = {0};

    if (!s->opened || !s->ops->close)
        return true;
    list = omc_alloc(&s->scratch.pub, (s->queue_count + 1) * sizeof *list);
    for (size_t i = 0; i < s->queue_count; i++)
        list[i] = s->queues[i].pub;
    rc_task_enter(task, "close");
    if (s->ops->close(task->state, list, s->queue_count, &err) < 0)
        rc_warn(task->who, "close of the queues failed, the task goes on: %s", err.msg);
    return rc_task_leave(task);
}

static void stop(rc_sink *s)
{
    if (close_queues(s))
        rc_task_end(s->task, s->started ? s->ops->stop : NULL);
}

static void release(rc_sink *s)
{
    rc_append_free(s->letter_append);
    rc_writer_close(s->letters);
    rc_batch_unref(s->batch);
    if (s->reader)
        rc_fetch_release(s->reader, &s->fetch);
    rc_reader_close(s->reader);
    rc_arena_release(&s->scratch);
    free(s->queues);
    free(s->topics);
    free(s->message_of);
    s->task->loop = NULL;
    free(s);
}

/* ---- the loop ---- */

static int pause_sink(rc_sink *s, rc_error *err)
{
    int r = rc_task_admitted(s->task, true, err);

    if (r == 0)
        r = rc_sink_commit(s, err);
    if (r == -OMC_ECANCELED && !s->task->gone)
        return 0;
    while (r == 0 && rc_task_commanded(s->task) == RC_COMMAND_PAUSE) {
        rc_task_report(s->task, RC_STATE_PAUSED, NULL);
        rc_task_sleep(s->task, -1);
        rc_task_clear_wake(s->task);
    }
    if (r == 0 && !s->task->gone)
        rc_task_report(s->task, RC_STATE_RUNNING, NULL);
    return r;
}

static int fetch(rc_sink *s, rc_error *err)
{
    rc_task *task = s->task;
    const rc_connector_options *options = &task->plan.options;
    int64_t begin = rc_mono_ns(task->clock);
    int r = rc_reader_fetch(s->reader, (size_t)options->batch_records, (size_t)options->batch_bytes,
                            rc_sink_commit_due(s, true), &s->fetch, err);

    if (r < 0)
        return rc_wrap(err, r, "fetch");
    for (size_t i = 0; s->fetch.topic && i < s->queue_count; i++)
        if (s->queues[i].topic == s->fetch.topic && s->queues[i].index == s->fetch.queue)
            s->current = &s->queues[i];
    if (r == 0 && s->fetch.topic) { /* all of it was left out */
        s->current->position = s->fetch.next_offset;
        rc_sink_mark_dirty(s);
    }
    if (r == 0)
        return 0;
    rc_metric_add(task->metrics, RC_TM_READ, (int64_t)s->fetch.count);
    rc_metric_add(task->metrics, RC_TM_READ_BYTES, (int64_t)s->fetch.bytes);
    s->moved += s->fetch.bytes;
    rc_histogram_record(&task->metrics->histograms[RC_TH_FETCH],
                        (rc_mono_ns(task->clock) - begin) / 1000);
    return r;
}

/* All is put and committed: gives back what a busy time has taken. */
static void trim(rc_sink *s)
{
    if (s->task->gone || s->dirty || s->moved < RC_TRIM_BYTES)
        return;
    s->moved = 0;
    rc_fetch_release(s->reader, &s->fetch);
    rc_reader_trim(s->reader);
    rc_batch_unref(s->batch);
    s->batch = rc_batch_new((size_t)s->task->plan.options.batch_records,
                            (size_t)s->task->plan.options.batch_bytes);
    rc_task_trim();
}

/* Whether some topic has another list of queues now. A log that cannot say is asked later. */
static bool topics_changed(rc_sink *s)
{
    rc_task *task = s->task;
    const omc_list *names = &task->plan.options.topics;
    rc_error err = {0};
    rc_topic *topic;

    if (rc_mono_ns(task->clock) < s->look_ns)
        return false;
    s->look_ns = rc_mono_ns(task->clock) + LOOK_NS;
    for (size_t i = 0; i < names->count; i++) {
        bool same = false;

        if (rc_log_topic(task->log, names->items[i], 0, &topic, &err) < 0)
            continue;
        for (size_t k = 0; k < s->topic_count; k++)
            same = same || s->topics[k] == topic;
        if (!same) {
            rc_info(task->who, "topic '%s' has %d queues now: they are shared out again",
                    rc_topic_name(topic), rc_topic_queues(topic));
            return true;
        }
    }
    return false;
}

/* Commits, gives all queues up and takes those of the present lists. */
static int reopen(rc_sink *s, rc_error *err)
{
    int r = rc_task_admitted(s->task, true, err);

    if (r == 0)
        r = rc_sink_commit(s, err);
    if (r == 0 && s->fenced)
        return 0; /* at the next look */
    if (r == 0 && !close_queues(s))
        r = -OMC_ECANCELED;
    if (r < 0)
        return r;
    rc_fetch_release(s->reader, &s->fetch);
    rc_reader_close(s->reader);
    s->reader = NULL;
    free(s->queues);
    s->queues = s->current = NULL;
    s->queue_count = s->topic_count = 0;
    s->opened = s->dirty = false;
    r = open_reader(s, err);
    if (r == 0)
        r = open_queues(s, err);
    return r < 0 ? r : commit_first(s, err);
}

static int loop(rc_sink *s, rc_error *err)
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
        r = rc_task_admitted(s->task, false, err);
        if (r == -OMC_ECANCELED && !s->task->gone)
            return 0;
        if (r == 0)
            r = topics_changed(s) ? reopen(s, err) : fetch(s, err);
        if (r > 0) {
            r = rc_sink_deliver(s, err);
            if (r == 0 && rc_mono_ns(s->task->clock) >= rc_sink_commit_due(s, false))
                r = rc_sink_commit(s, err);
        } else if (r == 0 && rc_mono_ns(s->task->clock) >= rc_sink_commit_due(s, true)) {
            r = rc_sink_commit(s, err);
            trim(s);
        }
    }
    return r;
}

rc_ending rc_sink_run(rc_task *task, rc_error *err)
{
    rc_sink *s = rc_calloc(1, sizeof *s);
    rc_error late = {0};
    int r;

    s->task = task;
    task->loop = s;
    s->ops = task->plan.plugin->ops;
    s->batch = rc_batch_new((size_t)task->plan.options.batch_records,
                            (size_t)task->plan.options.batch_bytes);
    rc_arena_init(&s->scratch, 4096);
    rc_sink_fill_context(s);
    task->state = rc_calloc(1, RC_MAX(s->ops->task_state_size, (size_t)1));
    r = start(s, err);
    if (r == 0)
        r = loop(s, err);
    /* What was put is committed also when the task fails: the failure is not repeated then. */
    if (!task->gone && s->opened && rc_task_may_finish(task) && rc_sink_commit(s, &late) < 0 &&
        r == 0) {
        *err = late;
        r = -late.code;
    }
    if (!task->gone && s->opened && s->dirty && late.code)
        rc_warn(task->who, "ended without the last commit; its records come again: %s", late.msg);
    if (!task->gone)
        stop(s);
    if (task->gone)
        return RC_ENDED_FAILED;
    release(s);
    return r < 0 && r != -OMC_ECANCELED ? RC_ENDED_FAILED : RC_ENDED_STOPPED;
}
