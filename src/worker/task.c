/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What source and sink tasks have in common: the thread, the commands, the brackets around plugin
 * calls, retries of records, and the services given to plugins.
 *
 * A task owns copies of everything it needs, so that a task whose plugin hangs can be let go
 * without anybody having to keep its connector alive.
 */
#include "worker/task_internal.h"

#include "base/diag.h"

#include <malloc.h>
#include <poll.h>

/* ---- commands and plugin calls ------------------------------------------------------------ */

void rc_task_enter(rc_task *task, const char *call)
{
    pthread_mutex_lock(&task->mu);
    task->call = call;
    task->call_ns = rc_mono_ns(task->clock);
    pthread_mutex_unlock(&task->mu);
}

bool rc_task_leave(rc_task *task)
{
    pthread_mutex_lock(&task->mu);
    task->call = NULL;
    task->gone = task->abandoned;
    pthread_mutex_unlock(&task->mu);
    return !task->gone;
}

int rc_task_call_failed(rc_task *task, const char *call, int r, rc_error *err)
{
    if (err->code == 0)
        return rc_fail(err, OMC_EINTERNAL, "%s of plugin '%s' returned %d without an error text",
                       call, task->plan.plugin->name, r);
    return rc_wrap(err, r, "%s", call);
}

const char *rc_task_call(rc_task *task, int64_t *ret_ms)
{
    const char *call;

    pthread_mutex_lock(&task->mu);
    call = task->call ? task->call : "";
    *ret_ms = task->call ? (rc_mono_ns(task->clock) - task->call_ns) / 1000000 : 0;
    pthread_mutex_unlock(&task->mu);
    return call;
}

static void set_wakeable(rc_task *task, bool wakeable)
{
    pthread_mutex_lock(&task->mu);
    task->wakeable = wakeable;
    pthread_mutex_unlock(&task->mu);
}

int rc_task_begin(rc_task *task, int r, int (*start)(void *state, omc_error *err), rc_error *err)
{
    if (!rc_task_leave(task))
        return -OMC_ECANCELED;
    if (r < 0)
        return rc_task_call_failed(task, "init", r, err);
    set_wakeable(task, true);
    rc_task_enter(task, "start");
    r = start ? start(task->state, err) : 0;
    if (!rc_task_leave(task))
        return -OMC_ECANCELED;
    return r < 0 ? rc_task_call_failed(task, "start", r, err) : 0;
}

void rc_task_end(rc_task *task, void (*stop)(void *state))
{
    set_wakeable(task, false);
    rc_task_enter(task, "stop");
    if (stop)
        stop(task->state);
    (void)rc_task_leave(task);
}

rc_command rc_task_commanded(rc_task *task)
{
    rc_command command;

    pthread_mutex_lock(&task->mu);
    command = task->command;
    pthread_mutex_unlock(&task->mu);
    return command;
}

void rc_task_clear_wake(rc_task *task)
{
    rc_wake_clear(&task->wake);
    /* A stop that came before the clear must stay visible to plugins that poll wake_fd. */
    if (rc_task_commanded(task) == RC_COMMAND_STOP)
        rc_wake_set(&task->wake);
}

static void call_wake(rc_task *task)
{
    if (task->plan.plugin->kind == OMC_SOURCE) {
        const omc_source_ops *ops = task->plan.plugin->ops;

        if (ops->wake)
            ops->wake(task->state);
    } else {
        const omc_sink_ops *ops = task->plan.plugin->ops;

        if (ops->wake)
            ops->wake(task->state);
    }
}

void rc_task_command(rc_task *task, rc_command command)
{
    pthread_mutex_lock(&task->mu);
    if (task->command != command) {
        task->command = command;
        pthread_cond_broadcast(&task->cond);
        rc_wake_set(&task->wake);
        /* Under the lock, so that wake() never runs beside or after stop(). */
        if (task->wakeable)
            call_wake(task);
    }
    pthread_mutex_unlock(&task->mu);
}

void rc_task_report(rc_task *task, rc_state state, const rc_error *why)
{
    int code = why ? why->code : 0;

    /* Another reason for the same state is news as well. */
    if (task->reported == state && task->reported_code == code)
        return;
    task->reported = state;
    task->reported_code = code;
    task->setup.report(task->setup.arg, task, state, why);
}

void rc_task_sleep(rc_task *task, int64_t ms)
{
    struct pollfd fd = {.fd = task->wake.fd, .events = POLLIN};

    (void)poll(&fd, 1, ms < 0 ? -1 : (int)RC_MIN(ms, (int64_t)3600000));
}

void rc_task_trim(void)
{
    (void)malloc_trim(0);
}

int rc_task_back_off(rc_task *task, int64_t ms)
{
    int64_t deadline = rc_mono_ns(task->clock) + ms * 1000000;
    rc_command begin;
    int r = 0;

    pthread_mutex_lock(&task->mu);
    begin = task->command;
    while (task->command != RC_COMMAND_STOP && task->command == begin && r != -OMC_ETIMEDOUT)
        r = task->clock->wait(task->clock, &task->cond, &task->mu, deadline);
    r = task->command == RC_COMMAND_STOP ? -OMC_ECANCELED : 0;
    pthread_mutex_unlock(&task->mu);
    return r;
}

/* ---- fences --------------------------------------------------------------------------------- */

/* How long a task that ends waits for its lease, which may have run out while it was idle. */
#define FINISH_WAIT_MS 1000

static rc_fence_state look(const rc_task *task, bool acts)
{
    return acts ? rc_fence_check(task->fence) : rc_fence_standing(task->fence);
}

int rc_task_admitted(rc_task *task, bool acts, rc_error *err)
{
    int64_t pause = 0;
    rc_fence_state state;

    while ((state = look(task, acts)) == RC_FENCE_CLOSED) {
        pause = rc_fence_pause_ms(pause);
        if (rc_task_back_off(task, pause) < 0)
            return rc_fail(err, OMC_ECANCELED, "stopped while suspended");
    }
    return state == RC_FENCE_OPEN ? 0 : rc_fence_fail(task->fence, task->name, err);
}

bool rc_task_may_finish(rc_task *task)
{
    return rc_fence_await(task->fence, FINISH_WAIT_MS) == RC_FENCE_OPEN;
}

int rc_task_take_over(rc_task *task, rc_error *err)
{
    const rc_task_name name = {.connector = task->setup.connector,
                               .task = task->name,
                               .group = task->plan.plugin->kind == OMC_SINK
                                            ? task->plan.options.group
                                            : NULL};
    int r = rc_task_admitted(task, true, err);

    return r < 0 || !task->fence ? r : rc_log_take_over(task->log, &name, task->fence, err);
}

void rc_task_nudge(rc_task *task)
{
    pthread_mutex_lock(&task->mu);
    pthread_cond_broadcast(&task->cond);
    rc_wake_set(&task->wake);
    if (task->wakeable)
        call_wake(task);
    pthread_mutex_unlock(&task->mu);
}

/* ---- failed records ----------------------------------------------------------------------- */

/* Appends what to do to the error, cutting the error rather than the cure. */
static void add_cure(rc_error *err, const char *cure)
{
    size_t len = strlen(err->msg), room = sizeof err->msg - 1 - strlen(cure);

    if (len > room)
        for (len = room; len > 0 && ((unsigned char)err->msg[len] & 0xc0) == 0x80;)
            len--;
    memcpy(err->msg + len, cure, strlen(cure) + 1);
}

/* The tries that were made belong to the story of an error that is not tried again. */
static void tell_tries(rc_task *task, const rc_attempt *attempt, rc_error *err)
{
    int64_t took_ms = (rc_mono_ns(task->clock) - attempt->first_ns) / 1000000;

    if (attempt->failures > 1)
        (void)rc_wrap(err, 0, "given up after %d tries in %lld ms (errors.retry.timeout)",
                      attempt->failures, (long long)took_ms);
}

int rc_task_try_again(rc_task *task, rc_attempt *attempt, rc_failure *failure)
{
    switch (rc_errors_record(&task->errors, attempt, &failure->err)) {
    case RC_VERDICT_RETRY:
        return rc_task_back_off(task, attempt->delay_ms) < 0
                   ? rc_fail(&failure->err, OMC_ECANCELED, "stopped while trying again")
                   : RC_RECORD_KEEP;
    case RC_VERDICT_SKIP:
        tell_tries(task, attempt, &failure->err);
        return RC_RECORD_SKIPPED;
    case RC_VERDICT_FAIL:
        break;
    }
    tell_tries(task, attempt, &failure->err);
    add_cure(&failure->err, ". To skip such records set errors.tolerance=all, and "
                            "errors.deadletterqueue.topic.name to keep them");
    return -failure->err.code;
}

int rc_task_transform(rc_task *task, omc_record *record, omc_arena *arena, rc_failure *failure)
{
    for (size_t i = 0; i < rc_chain_length(task->chain); i++) {
        omc_record before = *record;
        rc_attempt attempt = {0};
        int r;

        while ((r = rc_chain_apply(task->chain, i, record, arena, &failure->err)) < 0) {
            *record = before;
            failure->stage = RC_STAGE_TRANSFORMATION;
            failure->class_name = rc_chain_class(task->chain, i);
            r = rc_task_try_again(task, &attempt, failure);
            if (r != RC_RECORD_KEEP)
                return r;
        }
        if (r == OMC_DROP)
            return RC_RECORD_DROPPED;
    }
    return RC_RECORD_KEEP;
}

static void log_skipped(rc_task *task, const rc_failure *failure)
{
    rc_slice key = failure->message ? failure->message->keys : omc_slice_of("", 0);

    if (task->plan.options.errors_log_messages)
        rc_warn(task->who,
                "skipped a record (errors.tolerance=all): stage %s, class %s, topic %s, queue %d, "
                "offset %lld, key '" RC_SLICE_FMT "': %s",
                rc_stage_name(failure->stage), failure->class_name ? failure->class_name : "-",
                failure->topic ? failure->topic : "-", failure->queue, (long long)failure->offset,
                RC_SLICE_ARG(key), failure->err.msg);
    else
        rc_warn(task->who,
                "skipped a record (errors.tolerance=all; errors.log.include.messages=true shows "
                "which): "
                "stage %s, class %s: %s",
                rc_stage_name(failure->stage), failure->class_name ? failure->class_name : "-",
                failure->err.msg);
}

int rc_task_skipped(rc_task *task, rc_append *append, const rc_failure *failure, rc_error *err)
{
    int r;

    rc_metric_add(task->metrics, RC_TM_SKIPPED, 1);
    if (task->plan.options.errors_log)
        log_skipped(task, failure);
    if (!task->dead_letter)
        return 0;
    r = rc_dead_letter_add(task->dead_letter, append, failure, err);
    if (r == 0)
        rc_metric_add(task->metrics, RC_TM_DEAD_LETTERS, 1);
    return r;
}

/* ---- services for plugins ------------------------------------------------------------------ */

const omc_host *rc_host_services(void)
{
    static const omc_host host = {.size = sizeof host,
                                  .abi = OMC_ABI_CURRENT,
                                  .name = "rocketmq-connect",
                                  .version = RC_VERSION,
                                  .log = rc_diag};

    return &host;
}

static bool counter_name_ok(const char *name)
{
    size_t len = strlen(name);

    return len > 0 && len < sizeof((rc_plugin_counter *)0)->name &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

void rc_task_plugin_count(void *host, const char *name, int64_t delta)
{
    rc_task *task = host;
    rc_task_metrics *metrics = task->metrics;
    int count = atomic_load_explicit(&metrics->plugin_count, memory_order_acquire);

    for (int i = 0; i < count; i++)
        if (strcmp(metrics->plugin[i].name, name) == 0) {
            atomic_fetch_add_explicit(&metrics->plugin[i].value, delta, memory_order_relaxed);
            return;
        }
    if (count == RC_PLUGIN_COUNTERS_MAX || !counter_name_ok(name)) {
        rc_warn(task->who,
                "counter '%.60s' of the plugin is dropped: at most %d names of [a-z0-9_]", name,
                RC_PLUGIN_COUNTERS_MAX);
        return;
    }
    memcpy(metrics->plugin[count].name, name, strlen(name) + 1);
    atomic_store_explicit(&metrics->plugin[count].value, delta, memory_order_relaxed);
    atomic_store_explicit(&metrics->plugin_count, count + 1, memory_order_release);
}

void rc_task_plugin_log(void *host, omc_log_level level, const char *fmt, ...)
{
    rc_task *task = host;
    va_list ap;

    va_start(ap, fmt);
    rc_diag_v(level, task->who, fmt, ap);
    va_end(ap);
}

/* ---- life ----------------------------------------------------------------------------------- */

static int open_parts(rc_task *task, rc_error *err)
{
    rc_plugin_finder finder = rc_registry_finder(task->setup.worker->registry);
    const rc_connector_options *options = &task->plan.options;
    int r;

    r = rc_converter_new(&finder, options->key_converter, true, "key.converter.", task->config.raw,
                         &task->key, err);
    if (r == 0)
        r = rc_converter_new(&finder, options->value_converter, false, "value.converter.",
                             task->config.raw, &task->value, err);
    if (r == 0)
        r = rc_chain_new(&finder, task->config.raw, &task->chain, err);
    if (r == 0 && options->dlq_topic[0])
        r = rc_dead_letter_open(task->log, options, task->setup.connector, task->setup.id,
                                task->setup.worker_config, task->clock, &task->dead_letter, err);
    return r;
}

static void close_parts(rc_task *task)
{
    rc_dead_letter_close(RC_TAKE(task->dead_letter));
    rc_chain_free(RC_TAKE(task->chain));
    rc_converter_free(RC_TAKE(task->value));
    rc_converter_free(RC_TAKE(task->key));
}

static void *task_main(void *arg)
{
    rc_task *task = arg;
    rc_ending ending = RC_ENDED_FAILED;
    rc_error err = {0};

    if (open_parts(task, &err) == 0)
        ending = task->plan.plugin->kind == OMC_SOURCE ? rc_source_run(task, &err)
                                                       : rc_sink_run(task, &err);
    if (task->gone)
        return NULL; /* abandoned: nothing here may be touched any more */
    close_parts(task);
    task->setup.ended(task->setup.arg, task, ending, ending == RC_ENDED_FAILED ? &err : NULL);
    return NULL;
}

static void parse_options(rc_task *task)
{
    rc_option_table tables[2];
    rc_problems problems;
    void *structs[2] = {&task->plan.options, NULL};
    size_t count = rc_connector_tables(task->plan.plugin, tables);

    if (count == 2)
        structs[1] = omc_alloc0(&task->memory.pub, RC_MAX(tables[1].options_size, (size_t)1));
    rc_problems_init(&problems, &task->memory.pub);
    /* Checked when the connector was accepted; a task's own keys are the plugin's affair. */
    (void)rc_options_parse(tables, count, task->config.raw, 0, structs, &task->memory.pub,
                           &problems);
    task->config.options = structs[1];
    if (!task->plan.options.key_converter)
        task->plan.options.key_converter = task->setup.worker_config->key_converter;
    if (!task->plan.options.value_converter)
        task->plan.options.value_converter = task->setup.worker_config->value_converter;
    if (!task->plan.options.group || !task->plan.options.group[0])
        task->plan.options.group =
            rc_arena_format(&task->memory.pub, "connect-%s", task->setup.connector);
    if (task->plan.options.commit_interval_ms == 0)
        task->plan.options.commit_interval_ms = task->setup.worker_config->commit_interval_ms;
}

static rc_task *task_new(const rc_task_setup *setup)
{
    rc_task *task = rc_calloc(1, sizeof *task);
    omc_arena *arena = &task->memory.pub;

    rc_arena_init(&task->memory, 4096);
    task->setup = *setup;
    task->setup.connector = omc_copy(arena, setup->connector, strlen(setup->connector));
    task->name = rc_arena_format(arena, "%s-%d", setup->connector, setup->id);
    task->who = rc_arena_format(arena, "task %s", task->name);
    task->clock = setup->worker->clock;
    task->log = setup->worker->log;
    task->metrics = rc_task_metrics_ref(setup->metrics);
    task->fence = setup->fence ? rc_fence_ref(setup->fence) : NULL;
    task->command = setup->command;
    task->config.size = sizeof task->config;
    task->config.raw = rc_kv_copy(setup->config, arena);
    task->plan.plugin = setup->plan->plugin;
    task->config.plugin = setup->plan->plugin;
    task->plan.config = task->config.raw;
    task->setup.plan = &task->plan;
    task->setup.config = task->config.raw;
    task->wake.fd = -1;
    pthread_mutex_init(&task->mu, NULL);
    rc_cond_init(&task->cond);
    parse_options(task);
    rc_errors_init(&task->errors, &task->plan.options, task->metrics, task->clock,
                   (uint64_t)rc_mono_ns(task->clock) ^ (uint64_t)(uintptr_t)task);
    return task;
}

static void task_delete(rc_task *task)
{
    rc_wake_release(&task->wake);
    pthread_cond_destroy(&task->cond);
    pthread_mutex_destroy(&task->mu);
    rc_task_metrics_unref(task->metrics);
    rc_fence_unref(task->fence);
    free(task->state);
    rc_arena_release(&task->memory);
    free(task);
}

int rc_task_start(const rc_task_setup *setup, rc_task **ret, rc_error *err)
{
    rc_task *task = task_new(setup);
    int r = rc_wake_init(&task->wake, err);

    if (r == 0)
        r = rc_thread_start(&task->thread, task->name, (size_t)512 << 10, task_main, task, err);
    if (r < 0) {
        task_delete(task);
        return r;
    }
    *ret = task;
    return 0;
}

void rc_task_free(rc_task *task)
{
    if (!task)
        return;
    pthread_join(task->thread, NULL);
    task_delete(task);
}

void rc_task_abandon(rc_task *task)
{
    pthread_mutex_lock(&task->mu);
    task->abandoned = true;
    task->wakeable = false;
    pthread_mutex_unlock(&task->mu);
    pthread_detach(task->thread);
}
