/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Life of connectors and tasks, on the control thread. One function, converge, compares what a
 * connector should be with what it is and takes the next step; every event ends in it.
 *
 *   IDLE --start call--> STARTING --ok--> RUNNING --stop tasks--> STOPPING --all ended--> ENDING
 *    ^                      | failed                                         (stop call)    |
 *    +----------------------+----------------------------------------------------------------+
 */
#include "worker/control.h"

#include "base/diag.h"

/* What a task has done for good. Records that were put and not committed come again after the
 * restart: a sink whose flush fails every time makes no progress, only copies. */
#define PROGRESS(metrics) \
    (rc_metric_get(metrics, RC_TM_WRITTEN) + rc_metric_get(metrics, RC_TM_COMMITS))

/* Who a task's reports are about; lives as long as the task. */
typedef struct task_ref {
    rc_worker *worker;
    int id;
    int64_t generation;
    char connector[];
} task_ref;

/* ---- states -------------------------------------------------------------------------------------
 */

void rc_lifecycle_state(rc_worker *worker, rc_connector *c, rc_state state, const rc_error *why)
{
    if (c->state != state)
        c->since_ms = rc_now_ms(worker->setup.clock);
    c->state = state;
    c->why = why ? *why : (rc_error){0};
    rc_control_changed(worker);
}

static void slot_state(rc_worker *worker, rc_task_slot *slot, rc_state state, const rc_error *why)
{
    if (slot->state != state)
        slot->since_ms = rc_now_ms(worker->setup.clock);
    slot->state = state;
    slot->why = why ? *why : (rc_error){0};
    rc_control_changed(worker);
}

/*
 * What happens after an error, of a task (init, start, poll, put, open, pre_commit, commit) or of a
 * connector (validate, connector_start, task_configs). The first line that fits decides:
 *
 *   error                                      then
 *   -----------------------------------------  --------------------------------------------------
 *   retriable, from poll, put or a commit      the same call again, state STALLED, never given up
 *   of one record (transform, converter,       errors.retry.timeout, then errors.tolerance; none:
 *     report, too large)                       the task fails with it, and the lines below decide
 *   OMC_ERR_FATAL                              FAILED until restarted or changed
 *   OMC_ERR_RETRIABLE                          RESTARTING, back-off doubled up to
 *                                              task.restart.delay.max, never given up
 *   INVALID UNSUPPORTED WRONG_ABI BAD_FORMAT   FAILED: configuration and data errors come back
 *     EXISTS NOT_FOUND ACCESS_DENIED           with every try
 *   any other code                             RESTARTING, FAILED after task.restart.max in a row
 *   a call that does not return                STUCK: thread left alone, nothing is tried by itself
 *
 * Progress of a task (stored or committed records) begins the row and the back-off again.
 */
static bool restartable(const rc_error *err)
{
    if (err->flags & OMC_ERR_FATAL)
        return false;
    if (err->flags & OMC_ERR_RETRIABLE)
        return true;
    switch (err->code) {
    case OMC_EINVAL:
    case OMC_EUNSUPPORTED:
    case OMC_EABI:
    case OMC_EFORMAT:
    case OMC_EEXIST:
    case OMC_ENOTFOUND:
    case OMC_EACCES:
        return false;
    default:
        return true;
    }
}

/* Nanoseconds until the next try after `failures` in a row; -1 = no more. */
static int64_t restart_delay(const rc_worker *worker, int failures, const rc_error *err)
{
    const rc_worker_config *config = worker->setup.config;
    int64_t ms = RC_MAX(config->restart_delay_ms, 1);

    if (!restartable(err))
        return -1;
    if (!(err->flags & OMC_ERR_RETRIABLE) && config->restart_max >= 0 &&
        failures > config->restart_max)
        return -1;
    for (int i = 1; i < failures && ms < config->restart_delay_max_ms; i++)
        ms *= 2;
    return RC_MIN(ms, RC_MAX(config->restart_delay_max_ms, 1)) * 1000000;
}

/* ---- tasks
 * ---------------------------------------------------------------------------------------- */

static void task_report(void *arg, rc_task *task, rc_state state, const rc_error *why)
{
    task_ref *ref = arg;
    rc_op *op = rc_op_new(RC_OP_TASK_STATE);

    op->connector = omc_copy(&op->arena.pub, ref->connector, strlen(ref->connector));
    op->task_id = ref->id;
    op->task = task;
    op->state = state;
    if (why)
        op->err = *why;
    rc_control_post(ref->worker, op);
}

static void task_ended(void *arg, rc_task *task, rc_ending ending, const rc_error *why)
{
    task_ref *ref = arg;
    rc_op *op = rc_op_new(RC_OP_TASK_ENDED);

    op->connector = omc_copy(&op->arena.pub, ref->connector, strlen(ref->connector));
    op->task_id = ref->id;
    op->task = task;
    op->ending = ending;
    if (why)
        op->err = *why;
    rc_control_post(ref->worker, op);
    free(ref);
}

static rc_command command_of(const rc_connector *c)
{
    return c->target == RC_TARGET_PAUSED ? RC_COMMAND_PAUSE : RC_COMMAND_RUN;
}

static void task_failed(rc_worker *worker, rc_connector *c, rc_task_slot *slot, const rc_error *why)
{
    rc_error told = *why;
    int64_t delay;

    if (slot->metrics && PROGRESS(slot->metrics) > slot->progress)
        slot->failures = 0;
    delay = restart_delay(worker, ++slot->failures, why);
    if (delay < 0) {
        if (restartable(why) && slot->failures > 1)
            (void)rc_wrap(&told, 0,
                          "given up after %d restarts without progress (task.restart.max)",
                          slot->failures - 1);
        rc_error_line(
            c->name,
            "task %d FAILED until it is restarted (rocketmq-connect connector restart %s): %s",
            slot->id, c->name, told.msg);
        slot_state(worker, slot, RC_STATE_FAILED, &told);
        return;
    }
    rc_warn(c->name, "task %d failed, restart in %lld ms: %s", slot->id,
            (long long)(delay / 1000000), why->msg);
    slot->retry_ns = rc_control_now(worker) + delay;
    slot_state(worker, slot, RC_STATE_RESTARTING, why);
}

static void start_task(rc_worker *worker, rc_connector *c, rc_task_slot *slot)
{
    size_t len = strlen(c->name) + 1;
    task_ref *ref = rc_calloc(1, sizeof *ref + len);
    rc_error err = {0};
    rc_task_setup setup = {.worker = &worker->setup,
                           .worker_config = worker->setup.config,
                           .connector = c->name,
                           .id = slot->id,
                           .count = (int)c->slot_count,
                           .plan = &c->generation->plan,
                           .config = slot->config,
                           .command = command_of(c),
                           .report = task_report,
                           .ended = task_ended,
                           .arg = ref};

    ref->worker = worker;
    ref->id = slot->id;
    memcpy(ref->connector, c->name, len);
    if (!slot->metrics)
        slot->metrics = rc_task_metrics_new();
    if (slot->failures > 0)
        rc_metric_add(slot->metrics, RC_TM_RESTARTS, 1);
    if (c->state == RC_STATE_FINISHED) /* a task of it is restarted */
        rc_lifecycle_state(worker, c,
                           c->target == RC_TARGET_PAUSED ? RC_STATE_PAUSED : RC_STATE_RUNNING,
                           NULL);
    slot->progress = PROGRESS(slot->metrics);
    slot->retry_ns = 0;
    slot->stopping = false;
    setup.metrics = slot->metrics;
    slot_state(worker, slot, RC_STATE_STARTING, NULL);
    if (rc_task_start(&setup, &slot->task, &err) < 0) {
        free(ref);
        task_failed(worker, c, slot, &err);
    }
}

static void stop_task(rc_worker *worker, rc_task_slot *slot)
{
    slot->retry_ns = 0;
    if (!slot->task || slot->stopping)
        return;
    slot->stopping = true;
    slot->stop_deadline_ns =
        rc_control_now(worker) + worker->setup.config->stop_timeout_ms * 1000000;
    rc_task_command(slot->task, RC_COMMAND_STOP);
}

static void free_slots(rc_connector *c)
{
    for (size_t i = 0; i < c->slot_count; i++)
        rc_task_metrics_unref(c->slots[i].metrics);
    free(c->slots);
    c->slots = NULL;
    c->slot_count = 0;
}

static void make_slots(rc_worker *worker, rc_connector *c)
{
    free_slots(c);
    c->slot_count = c->generation->task_count;
    c->slots = rc_calloc(c->slot_count, sizeof *c->slots);
    for (size_t i = 0; i < c->slot_count; i++) {
        c->slots[i].id = (int)i;
        c->slots[i].config = c->generation->tasks[i];
        start_task(worker, c, &c->slots[i]);
    }
}

/* ---- connectors
 * ------------------------------------------------------------------------------------ */

static bool wanted(const rc_worker *worker, const rc_connector *c)
{
    return !worker->closing && !c->deleted && c->target != RC_TARGET_STOPPED;
}

static void begin_start(rc_worker *worker, rc_connector *c)
{
    rc_call *call = rc_call_new(worker, RC_CALL_START, c->name, c->incarnation);

    call->config = rc_kv_copy(c->config, &call->arena.pub);
    call->generation_number = ++worker->next_generation;
    c->call = call;
    c->phase = RC_STARTING;
    c->again = false;
    c->retry_ns = 0;
    c->raised = (rc_error){0};
    rc_lifecycle_state(worker, c, RC_STATE_STARTING, NULL);
    rc_call_submit(call, worker->setup.config->start_timeout_ms);
}

static void begin_end(rc_worker *worker, rc_connector *c)
{
    rc_call *call;

    if (c->stuck) {
        /* The plugin is still in there: nothing of this generation may be stopped or freed. */
        c->generation = NULL;
        c->stuck = false;
        c->phase = RC_IDLE;
        return;
    }
    call = rc_call_new(worker, RC_CALL_STOP, c->name, c->incarnation);
    call->generation = RC_TAKE(c->generation);
    c->call = call;
    c->phase = RC_ENDING;
    rc_call_submit(call, worker->setup.config->stop_timeout_ms);
}

static void begin_stop(rc_worker *worker, rc_connector *c)
{
    c->phase = RC_STOPPING;
    for (size_t i = 0; i < c->slot_count; i++)
        stop_task(worker, &c->slots[i]);
}

static bool tasks_ended(const rc_connector *c)
{
    for (size_t i = 0; i < c->slot_count; i++)
        if (c->slots[i].task)
            return false;
    return true;
}

static void start_failed(rc_worker *worker, rc_connector *c, const rc_error *why)
{
    int64_t delay = restart_delay(worker, ++c->failures, why);

    c->phase = RC_IDLE;
    if (delay < 0) {
        rc_error_line(c->name,
                      "connector FAILED until its configuration changes or it is restarted: %s",
                      why->msg);
        rc_lifecycle_state(worker, c, RC_STATE_FAILED, why);
        return;
    }
    rc_warn(c->name, "connector failed to start, next try in %lld ms: %s",
            (long long)(delay / 1000000), why->msg);
    c->retry_ns = rc_control_now(worker) + delay;
    rc_lifecycle_state(worker, c, RC_STATE_RESTARTING, why);
}

static void update_commands(rc_worker *worker, rc_connector *c)
{
    bool paused = c->target == RC_TARGET_PAUSED;

    for (size_t i = 0; i < c->slot_count; i++)
        if (c->slots[i].task && !c->slots[i].stopping)
            rc_task_command(c->slots[i].task, command_of(c));
    if (c->state == RC_STATE_RUNNING || c->state == RC_STATE_PAUSED)
        rc_lifecycle_state(worker, c, paused ? RC_STATE_PAUSED : RC_STATE_RUNNING, NULL);
}

static void idle(rc_worker *worker, rc_connector *c)
{
    bool stays = (c->state == RC_STATE_FAILED || c->state == RC_STATE_STUCK) && !c->again;

    if (c->deleted) {
        char *name = RC_TAKE(c->name);

        HASH_DEL(worker->connectors, c);
        rc_lifecycle_free(c);
        rc_requests_unpark(worker, name);
        free(name);
        return;
    }
    if (wanted(worker, c) && !stays && c->retry_ns <= rc_control_now(worker)) {
        begin_start(worker, c);
        return;
    }
    if (!wanted(worker, c) && c->state != RC_STATE_STUCK)
        rc_lifecycle_state(worker, c,
                           c->target == RC_TARGET_STOPPED ? RC_STATE_STOPPED : RC_STATE_UNASSIGNED,
                           NULL);
}

void rc_lifecycle_converge(rc_worker *worker, rc_connector *c)
{
    switch (c->phase) {
    case RC_IDLE:
        idle(worker, c);
        return;
    case RC_RUNNING:
        if (wanted(worker, c) && !c->again) {
            update_commands(worker, c);
            return;
        }
        begin_stop(worker, c);
        break;
    case RC_STARTING: /* its result decides */
        if (!wanted(worker, c) || c->again)
            rc_call_hurry(c->call);
        return;
    case RC_STOPPING:
    case RC_ENDING:
        break;
    }
    if (c->phase == RC_STOPPING && tasks_ended(c)) {
        begin_end(worker, c);
        if (c->phase == RC_IDLE)
            idle(worker, c);
    }
}

/* What the connector asked for while it started counts, too. */
static void started(rc_worker *worker, rc_connector *c)
{
    rc_lifecycle_state(worker, c,
                       c->target == RC_TARGET_PAUSED ? RC_STATE_PAUSED : RC_STATE_RUNNING, NULL);
    make_slots(worker, c);
    if (c->raised.code)
        rc_lifecycle_state(worker, c, RC_STATE_FAILED, &c->raised);
}

void rc_lifecycle_call_done(rc_worker *worker, rc_call *call)
{
    rc_connector *c = rc_control_find(worker, call->connector);

    RC_ASSERT(c && c->call == call);
    c->call = NULL;
    if (call->plugin)
        c->plugin = call->plugin;
    if (call->kind == RC_CALL_STOP) {
        free_slots(c);
        if (call->result == 0) /* else there was no thread for it, and the plugin goes on */
            rc_generation_free(call->generation);
        c->phase = RC_IDLE;
    } else if (call->result == 0 && (!wanted(worker, c) || c->again)) {
        /* Stopped, deleted or changed meanwhile: no task of it begins. */
        free_slots(c);
        c->generation = call->generation;
        c->phase = RC_STOPPING;
    } else if (call->result == 0) {
        c->generation = call->generation;
        c->failures = 0;
        c->phase = RC_RUNNING;
        started(worker, c);
    } else if (call->generation && call->generation->started) {
        c->generation = call->generation; /* its stop is still due; the failure stays visible */
        start_failed(worker, c, &call->err);
        begin_end(worker, c);
    } else {
        rc_generation_free(call->generation);
        free_slots(c);
        start_failed(worker, c, &call->err);
    }
    rc_call_free(call);
    rc_lifecycle_converge(worker, c);
}

void rc_lifecycle_call_expired(rc_worker *worker, rc_call *call)
{
    rc_connector *c = rc_control_find(worker, call->connector);
    bool starting = call->kind == RC_CALL_START;
    rc_error why = {0};

    if (call->request) {
        (void)rc_fail(&why, OMC_ETIMEDOUT,
                      "%s has not returned for %lld ms; its thread is left alone",
                      call->kind == RC_CALL_CHECK ? "validate of the connector"
                                                  : "the scan of the plugin paths",
                      (long long)call->timeout_ms);
        rc_requests_refuse(RC_TAKE(call->request), OMC_ETIMEDOUT, why.msg);
        return;
    }
    RC_ASSERT(c && c->call == call);
    c->call = NULL;
    c->phase = RC_IDLE;
    c->retry_ns = c->again ? 0 : INT64_MAX;
    free_slots(c);
    (void)omc_fail(&why, OMC_ETIMEDOUT, OMC_ERR_FATAL,
                   "%s of the connector has not returned for %lld ms; its thread is left alone. "
                   "Find out what the plugin waits for, then restart the connector",
                   starting ? "start" : "stop", (long long)call->timeout_ms);
    rc_error_line(c->name, "STUCK: %s", why.msg);
    rc_lifecycle_state(worker, c, RC_STATE_STUCK, &why);
    if (c->deleted || !wanted(worker, c) || c->again)
        rc_lifecycle_converge(worker, c);
}

/* ---- events of tasks
 * -------------------------------------------------------------------------------- */

static rc_task_slot *find_slot(rc_worker *worker, const rc_op *op, rc_connector **ret)
{
    rc_connector *c = rc_control_find(worker, op->connector);

    for (size_t i = 0; c && i < c->slot_count; i++)
        if (c->slots[i].task == op->task) {
            *ret = c;
            return &c->slots[i];
        }
    return NULL; /* abandoned meanwhile */
}

void rc_lifecycle_task_state(rc_worker *worker, const rc_op *op)
{
    rc_connector *c;
    rc_task_slot *slot = find_slot(worker, op, &c);

    if (!slot || slot->stopping)
        return;
    if (op->state == RC_STATE_STALLED)
        rc_warn(c->name, "task %d STALLED, it is tried again until it works: %s", slot->id,
                op->err.msg);
    else if (slot->state != op->state)
        rc_info(c->name, "task %d %s", slot->id, rc_state_name(op->state));
    slot_state(worker, slot, op->state, op->state == RC_STATE_STALLED ? &op->err : NULL);
}

static bool all_finished(const rc_connector *c)
{
    for (size_t i = 0; i < c->slot_count; i++)
        if (c->slots[i].state != RC_STATE_FINISHED)
            return false;
    return c->slot_count > 0;
}

void rc_lifecycle_task_ended(rc_worker *worker, const rc_op *op)
{
    rc_connector *c;
    rc_task_slot *slot = find_slot(worker, op, &c);

    if (!slot)
        return;
    rc_task_free(RC_TAKE(slot->task));
    if (op->ending == RC_ENDED_FINISHED) {
        rc_info(c->name, "task %d FINISHED: the source has no more records", slot->id);
        slot_state(worker, slot, RC_STATE_FINISHED, NULL);
        if (all_finished(c))
            rc_lifecycle_state(worker, c, RC_STATE_FINISHED, NULL);
    } else if (op->ending == RC_ENDED_FAILED && !slot->stopping) {
        task_failed(worker, c, slot, &op->err);
    } else {
        if (op->ending == RC_ENDED_FAILED)
            rc_warn(c->name, "task %d failed while stopping: %s", slot->id, op->err.msg);
        slot_state(worker, slot, RC_STATE_UNASSIGNED, NULL);
    }
    slot->stopping = false;
    rc_lifecycle_converge(worker, c);
}

/* ---- restarts and timers
 * ------------------------------------------------------------------------------ */

void rc_lifecycle_restart(rc_worker *worker, rc_connector *c, bool only_failed)
{
    /* A connector that raised an error is FAILED itself, while its tasks may run. */
    if (!only_failed || c->phase == RC_IDLE || c->state == RC_STATE_FAILED) {
        c->again = true;
        c->failures = 0;
        c->retry_ns = 0;
        rc_lifecycle_converge(worker, c);
        return;
    }
    for (size_t i = 0; i < c->slot_count; i++)
        if (c->slots[i].state == RC_STATE_FAILED || c->slots[i].state == RC_STATE_RESTARTING)
            (void)rc_lifecycle_restart_task(worker, c, (int)i, NULL);
}

int rc_lifecycle_restart_task(rc_worker *worker, rc_connector *c, int id, rc_error *err)
{
    rc_task_slot *slot;

    if (id < 0 || (size_t)id >= c->slot_count)
        return rc_fail(err, OMC_ENOTFOUND,
                       "No status found for task %s-%d; the connector has %zu "
                       "tasks",
                       c->name, id, c->slot_count);
    slot = &c->slots[id];
    if (c->phase != RC_RUNNING)
        return rc_fail(err, OMC_ESTATE, "connector '%s' is not running; restart the connector",
                       c->name);
    if (slot->task) {
        stop_task(worker, slot);
        slot->retry_ns = 1; /* starts again as soon as it has ended */
        return 0;
    }
    slot->failures = 0;
    start_task(worker, c, slot);
    return 0;
}

static void slot_timer(rc_worker *worker, rc_connector *c, rc_task_slot *slot, int64_t now)
{
    if (slot->task && slot->stopping && now >= slot->stop_deadline_ns) {
        int64_t ms;
        const char *call = rc_task_call(slot->task, &ms);
        rc_error why = {0};

        (void)omc_fail(&why, OMC_ETIMEDOUT, OMC_ERR_FATAL,
                       "the task did not stop: '%s' of plugin '%s' has not returned for %lld ms "
                       "(maxStopTimeoutMills); its thread is left alone. Find out what the plugin "
                       "waits for, then restart the connector",
                       call, c->plugin ? c->plugin->name : "?", (long long)ms);
        rc_error_line(c->name, "task %d STUCK: %s", slot->id, why.msg);
        rc_task_abandon(RC_TAKE(slot->task));
        worker->abandoned++;
        c->stuck = true;
        slot->stopping = false;
        slot_state(worker, slot, RC_STATE_STUCK, &why);
        if (slot->retry_ns == 0) /* else somebody restarts this task: a new one takes its place */
            rc_lifecycle_state(worker, c, RC_STATE_STUCK, &why);
        return;
    }
    if (!slot->task && slot->retry_ns > 0 && now >= slot->retry_ns && c->phase == RC_RUNNING)
        start_task(worker, c, slot);
}

void rc_lifecycle_timers(rc_worker *worker)
{
    int64_t now = rc_control_now(worker);
    rc_connector *c, *next;

    HASH_ITER(hh, worker->connectors, c, next)
    {
        for (size_t i = 0; i < c->slot_count; i++)
            slot_timer(worker, c, &c->slots[i], now);
        if ((c->phase == RC_STOPPING && tasks_ended(c)) ||
            (c->phase == RC_IDLE && c->retry_ns > 0 && now >= c->retry_ns))
            rc_lifecycle_converge(worker, c);
    }
}

int64_t rc_lifecycle_deadline(rc_worker *worker)
{
    int64_t deadline = INT64_MAX;
    rc_connector *c, *next;

    HASH_ITER(hh, worker->connectors, c, next)
    {
        if (c->phase == RC_IDLE && c->retry_ns > 0 && wanted(worker, c))
            deadline = RC_MIN(deadline, c->retry_ns);
        for (size_t i = 0; i < c->slot_count; i++) {
            const rc_task_slot *slot = &c->slots[i];

            if (slot->task && slot->stopping)
                deadline = RC_MIN(deadline, slot->stop_deadline_ns);
            if (!slot->task && slot->retry_ns > 0 && c->phase == RC_RUNNING)
                deadline = RC_MIN(deadline, slot->retry_ns);
        }
    }
    return deadline;
}

bool rc_lifecycle_all_idle(rc_worker *worker)
{
    rc_connector *c, *next;

    HASH_ITER(hh, worker->connectors, c, next)
    {
        if (c->phase != RC_IDLE)
            return false;
    }
    return true;
}

/* ---- making and freeing
 * -------------------------------------------------------------------------------- */

/* NULL when there is none of that name. Known before the first start, because the plugin's option
 * table says which options are secret, and its kind what offsets are. */
static const omc_plugin *plugin_of(rc_worker *worker, const rc_connector *c)
{
    const omc_plugin *plugin = NULL;
    rc_arena arena;

    rc_arena_init(&arena, 256);
    if (rc_registry_connector(worker->setup.registry,
                              rc_kv_text(c->config, "connector.class", "", &arena.pub), &plugin,
                              NULL) < 0)
        plugin = NULL;
    rc_arena_release(&arena);
    return plugin;
}

void rc_lifecycle_config(rc_worker *worker, rc_connector *c, const rc_stored_connector *stored)
{
    rc_arena old = c->memory;

    rc_arena_init(&c->memory, 2048);
    c->config = rc_kv_copy(stored->config, &c->memory.pub);
    rc_arena_release(&old);
    c->version = stored->version;
    c->incarnation = stored->incarnation;
    c->target = stored->target;
    c->plugin = plugin_of(worker, c);
    c->again = c->phase != RC_IDLE || c->state == RC_STATE_FAILED || c->state == RC_STATE_STUCK;
    c->failures = 0;
    c->retry_ns = 0;
    rc_control_changed(worker);
}

rc_connector *rc_lifecycle_add(rc_worker *worker, const rc_stored_connector *stored)
{
    rc_connector *c = rc_calloc(1, sizeof *c);

    c->name = rc_strdup(stored->name);
    rc_arena_init(&c->memory, 2048);
    rc_lifecycle_config(worker, c, stored);
    c->since_ms = rc_now_ms(worker->setup.clock);
    HASH_ADD_KEYPTR(hh, worker->connectors, c->name, strlen(c->name), c);
    return c;
}

void rc_lifecycle_free(rc_connector *c)
{
    free_slots(c);
    rc_generation_free(c->generation);
    rc_arena_release(&c->memory);
    free(c->name);
    free(c);
}
