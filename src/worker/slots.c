/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Task slots of a connector, on the control thread: a slot starts and stops a task, keeps its state
 * and the reason for it, and decides what follows a failure. What the connector does about it is
 * converge's affair (lifecycle.c).
 */
#include "worker/control.h"

#include "base/diag.h"

/* What a task has done for good. Records that were put and not committed come again after the
 * restart: a sink whose flush fails every time makes no progress, only copies. */
#define PROGRESS(metrics) \
    (rc_metric_get(metrics, RC_TM_WRITTEN) + rc_metric_get(metrics, RC_TM_COMMITS))

/* First delay after an error that says that all is there again (OMC_ERR_PROMPT): who says so has a
 * back-off of his own where one is needed (host/hosts.c). */
#define PROMPT_DELAY_MS 1

/* Who a task's reports are about; lives as long as the task. */
typedef struct task_ref {
    rc_worker *worker;
    int id;
    int64_t generation;
    char connector[];
} task_ref;

void rc_slot_state(rc_worker *worker, rc_task_slot *slot, rc_state state, const rc_error *why)
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
 *   OMC_ERR_PROMPT                             RESTARTING, the first delay is 1 ms; FAILED after
 *                                              task.restart.max in a row
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
    if (err->flags & (OMC_ERR_RETRIABLE | OMC_ERR_PROMPT))
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
int64_t rc_restart_delay(const rc_worker *worker, int failures, const rc_error *err)
{
    const rc_worker_config *config = worker->setup.config;
    int64_t ms = RC_MAX(config->restart_delay_ms, 1);

    if (err->flags & OMC_ERR_PROMPT)
        ms = RC_MIN(ms, PROMPT_DELAY_MS);
    if (!restartable(err))
        return -1;
    if (!(err->flags & OMC_ERR_RETRIABLE) && config->restart_max >= 0 &&
        failures > config->restart_max)
        return -1;
    for (int i = 1; i < failures && ms < config->restart_delay_max_ms; i++)
        ms *= 2;
    return RC_MIN(ms, RC_MAX(config->restart_delay_max_ms, 1)) * 1000000;
}

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

rc_command rc_slot_command(const rc_connector *c)
{
    return c->target == RC_TARGET_PAUSED ? RC_COMMAND_PAUSE : RC_COMMAND_RUN;
}

void rc_slot_failed(rc_worker *worker, rc_connector *c, rc_task_slot *slot, const rc_error *why)
{
    rc_error told = *why;
    int64_t delay;

    if (slot->metrics && PROGRESS(slot->metrics) > slot->progress)
        slot->failures = 0;
    delay = rc_restart_delay(worker, ++slot->failures, why);
    if (delay < 0) {
        if (restartable(why) && slot->failures > 1)
            (void)rc_wrap(&told, 0,
                          "given up after %d restarts without progress (task.restart.max)",
                          slot->failures - 1);
        rc_error_line(
            c->name,
            "task %d FAILED until it is restarted (rocketmq-connect connector restart %s): %s",
            slot->id, c->name, told.msg);
        rc_slot_state(worker, slot, RC_STATE_FAILED, &told);
        return;
    }
    rc_warn(c->name, "task %d failed, restart in %lld ms: %s", slot->id,
            (long long)(delay / 1000000), why->msg);
    slot->retry_ns = rc_control_now(worker) + delay;
    rc_slot_state(worker, slot, RC_STATE_RESTARTING, why);
}

/* Of a task that runs without a connector half beside it. */
static int find_plugin(rc_worker *worker, const rc_task_slot *slot, const omc_plugin **ret,
                       rc_error *err)
{
    rc_arena arena;
    int r;

    rc_arena_init(&arena, 1024);
    r = rc_connector_plugin(worker->setup.registry, slot->config, &arena.pub, ret, err);
    rc_arena_release(&arena);
    return r;
}

void rc_slot_start(rc_worker *worker, rc_connector *c, rc_task_slot *slot)
{
    size_t len = strlen(c->name) + 1;
    task_ref *ref = rc_calloc(1, sizeof *ref + len);
    rc_error err = {0};
    rc_connector_plan plan = {.config = slot->config};
    rc_task_setup setup = {.worker = &worker->setup,
                           .worker_config = worker->setup.config,
                           .connector = c->name,
                           .id = slot->id,
                           .count = rc_ruled(worker) ? (int)c->record.count : (int)c->slot_count,
                           .plan = rc_ruled(worker) ? &plan : &c->generation->plan,
                           .fence = slot->unit.fence,
                           .config = slot->config,
                           .command = rc_slot_command(c),
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
    rc_slot_state(worker, slot, RC_STATE_STARTING, NULL);
    if ((rc_ruled(worker) && find_plugin(worker, slot, &plan.plugin, &err) < 0) ||
        rc_task_start(&setup, &slot->task, &err) < 0) {
        free(ref);
        rc_slot_failed(worker, c, slot, &err);
    }
}

void rc_slot_stop(rc_worker *worker, rc_task_slot *slot)
{
    slot->retry_ns = 0;
    if (!slot->task || slot->stopping)
        return;
    slot->stopping = true;
    slot->stop_deadline_ns =
        rc_control_now(worker) + worker->setup.config->stop_timeout_ms * 1000000;
    rc_task_command(slot->task, RC_COMMAND_STOP);
}

void rc_slots_free(rc_connector *c)
{
    for (size_t i = 0; i < c->slot_count; i++)
        rc_task_metrics_unref(c->slots[i].metrics);
    free(c->slots);
    c->slots = NULL;
    c->slot_count = 0;
}

void rc_slots_make(rc_worker *worker, rc_connector *c)
{
    rc_slots_free(c);
    c->slot_count = c->generation->task_count;
    c->slots = rc_calloc(c->slot_count, sizeof *c->slots);
    for (size_t i = 0; i < c->slot_count; i++) {
        c->slots[i].id = (int)i;
        c->slots[i].config = c->generation->tasks[i];
        rc_slot_start(worker, c, &c->slots[i]);
    }
}

bool rc_slots_ended(const rc_connector *c)
{
    for (size_t i = 0; i < c->slot_count; i++)
        if (c->slots[i].task)
            return false;
    return true;
}

rc_task_slot *rc_slot_find(rc_worker *worker, const rc_op *op, rc_connector **ret)
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
    rc_task_slot *slot = rc_slot_find(worker, op, &c);

    if (!slot || slot->stopping)
        return;
    if (op->state == RC_STATE_STALLED)
        rc_warn(c->name, "task %d STALLED, it is tried again until it works: %s", slot->id,
                op->err.msg);
    else if (slot->state != op->state)
        rc_info(c->name, "task %d %s", slot->id, rc_state_name(op->state));
    rc_slot_state(worker, slot, op->state, op->state == RC_STATE_STALLED ? &op->err : NULL);
    rc_units_running(worker, c, slot);
}

void rc_slot_timer(rc_worker *worker, rc_connector *c, rc_task_slot *slot, int64_t now)
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
        rc_units_stuck(worker, c, slot, &why);
        rc_task_abandon(RC_TAKE(slot->task));
        worker->abandoned++;
        slot->stopping = false;
        rc_slot_state(worker, slot, RC_STATE_STUCK, &why);
        if (rc_ruled(worker)) {
            slot->retry_ns = 0;
            return;
        }
        c->stuck = true;
        if (slot->retry_ns == 0) /* else somebody restarts this task: a new one takes its place */
            rc_lifecycle_state(worker, c, RC_STATE_STUCK, &why);
        return;
    }
    if (slot->task || slot->retry_ns == 0 || now < slot->retry_ns)
        return;
    if (rc_ruled(worker)) { /* from the newest record, when it is still wanted */
        slot->retry_ns = 0;
        rc_slot_state(worker, slot, RC_STATE_UNASSIGNED, NULL);
        rc_units_converge(worker, c);
    } else if (c->phase == RC_RUNNING) {
        rc_slot_start(worker, c, slot);
    }
}
