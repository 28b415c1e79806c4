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

/* ---- states ---- */

void rc_lifecycle_state(rc_worker *worker, rc_connector *c, rc_state state, const rc_error *why)
{
    if (c->state != state)
        c->since_ms = rc_now_ms(worker->setup.clock);
    c->state = state;
    c->why = why ? *why : (rc_error){0};
    rc_control_changed(worker);
}

/* ---- connectors ---- */

static bool wanted(const rc_worker *worker, const rc_connector *c)
{
    return !worker->closing && !c->deleted && c->target != RC_TARGET_STOPPED &&
           (!rc_ruled(worker) || rc_units_half_wanted(c));
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
    for (size_t i = 0; !rc_ruled(worker) && i < c->slot_count; i++)
        rc_slot_stop(worker, &c->slots[i]);
}

static void start_failed(rc_worker *worker, rc_connector *c, const rc_error *why)
{
    int64_t delay = rc_restart_delay(worker, ++c->failures, why);

    c->phase = RC_IDLE;
    rc_units_half_failed(worker, c, why);
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
            rc_task_command(c->slots[i].task, rc_slot_command(c));
    if (c->state == RC_STATE_RUNNING || c->state == RC_STATE_PAUSED)
        rc_lifecycle_state(worker, c, paused ? RC_STATE_PAUSED : RC_STATE_RUNNING, NULL);
}

static void idle(rc_worker *worker, rc_connector *c)
{
    bool stays = (c->state == RC_STATE_FAILED || c->state == RC_STATE_STUCK) && !c->again;

    rc_units_half_idle(worker, c);
    if (c->deleted && rc_ruled(worker) && c->slot_count > 0)
        return; /* its tasks end first */
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

/* A connector half does not wait for tasks that are ruled one by one. */
static bool may_end(const rc_worker *worker, const rc_connector *c)
{
    return c->phase == RC_STOPPING && (rc_ruled(worker) || rc_slots_ended(c));
}

void rc_lifecycle_converge(rc_worker *worker, rc_connector *c)
{
    if (rc_ruled(worker))
        rc_units_converge(worker, c);
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
    if (may_end(worker, c)) {
        begin_end(worker, c);
        if (c->phase == RC_IDLE)
            idle(worker, c);
    }
}

/* What the connector asked for while it started counts, too. */
static void started(rc_worker *worker, rc_connector *c)
{
    if (rc_ruled(worker)) {
        rc_units_publish(worker, c);
    } else {
        rc_lifecycle_state(worker, c,
                           c->target == RC_TARGET_PAUSED ? RC_STATE_PAUSED : RC_STATE_RUNNING,
                           NULL);
        rc_slots_make(worker, c);
    }
    if (c->raised.code)
        rc_lifecycle_state(worker, c, RC_STATE_FAILED, &c->raised);
}

/* Slots of a generation that is over; those of a ruled worker stay as long as they are owned. */
static void forget_slots(const rc_worker *worker, rc_connector *c)
{
    if (!rc_ruled(worker))
        rc_slots_free(c);
}

void rc_lifecycle_call_done(rc_worker *worker, rc_call *call)
{
    rc_connector *c = rc_control_find(worker, call->connector);

    RC_ASSERT(c && c->call == call);
    c->call = NULL;
    if (call->plugin)
        c->plugin = call->plugin;
    if (call->kind == RC_CALL_STOP) {
        forget_slots(worker, c);
        if (call->result == 0) /* else there was no thread for it, and the plugin goes on */
            rc_generation_free(call->generation);
        c->phase = RC_IDLE;
    } else if (call->result == 0 && (!wanted(worker, c) || c->again)) {
        /* Stopped, deleted or changed meanwhile: no task of it begins. */
        forget_slots(worker, c);
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
        forget_slots(worker, c);
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
    if (call->kind == RC_CALL_VERIFY) {
        call->result = rc_fail(&call->err, OMC_ETIMEDOUT, "the log does not answer");
        rc_units_verified(worker, call);
        return;
    }
    RC_ASSERT(c && c->call == call);
    c->call = NULL;
    c->phase = RC_IDLE;
    c->retry_ns = c->again ? 0 : INT64_MAX;
    forget_slots(worker, c);
    (void)omc_fail(&why, OMC_ETIMEDOUT, OMC_ERR_FATAL,
                   "%s of the connector has not returned for %lld ms; its thread is left alone. "
                   "Find out what the plugin waits for, then restart the connector",
                   starting ? "start" : "stop", (long long)call->timeout_ms);
    rc_error_line(c->name, "STUCK: %s", why.msg);
    rc_lifecycle_state(worker, c, RC_STATE_STUCK, &why);
    if (c->deleted || !wanted(worker, c) || c->again)
        rc_lifecycle_converge(worker, c);
}

/* ---- events of tasks ---- */

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
    rc_task_slot *slot = rc_slot_find(worker, op, &c);

    if (!slot)
        return;
    rc_task_free(RC_TAKE(slot->task));
    if (op->ending == RC_ENDED_FINISHED) {
        rc_info(c->name, "task %d FINISHED: the source has no more records", slot->id);
        rc_slot_state(worker, slot, RC_STATE_FINISHED, NULL);
        if (!rc_ruled(worker) && all_finished(c))
            rc_lifecycle_state(worker, c, RC_STATE_FINISHED, NULL);
    } else if (op->ending == RC_ENDED_FAILED && op->err.code == OMC_EFENCED) {
        rc_warn(c->name, "task %d ends: %s", slot->id, op->err.msg);
        rc_slot_state(worker, slot, RC_STATE_UNASSIGNED, NULL);
    } else if (op->ending == RC_ENDED_FAILED && !slot->stopping) {
        rc_slot_failed(worker, c, slot, &op->err);
    } else {
        if (op->ending == RC_ENDED_FAILED)
            rc_warn(c->name, "task %d failed while stopping: %s", slot->id, op->err.msg);
        rc_slot_state(worker, slot, RC_STATE_UNASSIGNED, NULL);
    }
    slot->stopping = false;
    rc_units_ended(worker, c, slot, op);
    rc_lifecycle_converge(worker, c);
}

/* ---- restarts and timers ---- */

void rc_lifecycle_restart(rc_worker *worker, rc_connector *c, bool only_failed)
{
    if (rc_ruled(worker)) {
        rc_units_restart(worker, c, only_failed);
        if (!c->half.fence || (only_failed && c->phase != RC_IDLE && c->state != RC_STATE_FAILED))
            return;
    }
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
    rc_task_slot *slot = rc_ruled(worker) ? rc_units_slot(c, id) : NULL;

    if (slot && slot->unit.fence) {
        rc_units_restart_task(worker, c, slot);
        return 0;
    }
    if (id < 0 || (size_t)id >= c->slot_count || rc_ruled(worker))
        return rc_fail(err, OMC_ENOTFOUND,
                       "No status found for task %s-%d; the connector has %zu "
                       "tasks",
                       c->name, id, c->slot_count);
    slot = &c->slots[id];
    if (c->phase != RC_RUNNING)
        return rc_fail(err, OMC_ESTATE, "connector '%s' is not running; restart the connector",
                       c->name);
    if (slot->task) {
        rc_slot_stop(worker, slot);
        slot->retry_ns = 1; /* starts again as soon as it has ended */
        return 0;
    }
    slot->failures = 0;
    rc_slot_start(worker, c, slot);
    return 0;
}

void rc_lifecycle_timers(rc_worker *worker)
{
    int64_t now = rc_control_now(worker);
    rc_connector *c, *next;

    HASH_ITER(hh, worker->connectors, c, next)
    {
        for (size_t i = 0; i < c->slot_count; i++)
            rc_slot_timer(worker, c, &c->slots[i], now);
        rc_units_timers(worker, c, now);
        if (may_end(worker, c) || (c->phase == RC_IDLE && c->retry_ns > 0 && now >= c->retry_ns))
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
        deadline = RC_MIN(deadline, rc_units_deadline(worker, c));
        for (size_t i = 0; i < c->slot_count; i++) {
            const rc_task_slot *slot = &c->slots[i];

            if (slot->task && slot->stopping)
                deadline = RC_MIN(deadline, slot->stop_deadline_ns);
            if (!slot->task && slot->retry_ns > 0 && (c->phase == RC_RUNNING || rc_ruled(worker)))
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
        if (c->phase != RC_IDLE || !rc_slots_ended(c))
            return false;
    }
    return true;
}

/* ---- making and freeing ---- */

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
    rc_arena_init(&c->record_memory, 1024);
    rc_lifecycle_config(worker, c, stored);
    c->since_ms = rc_now_ms(worker->setup.clock);
    HASH_ADD_KEYPTR(hh, worker->connectors, c->name, strlen(c->name), c);
    return c;
}

void rc_lifecycle_free(rc_connector *c)
{
    rc_units_free(c);
    rc_generation_free(c->generation);
    rc_arena_release(&c->memory);
    free(c->name);
    free(c);
}
