/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ruled worker (ownership.h), on the control thread: orders become states of units, states of
 * tasks and connector halves become reports. A connector's half goes through lifecycle.c as in a
 * worker without a ruler; its tasks do not wait for it, but for the connector's task record.
 *
 *   half: started -> task configurations -> record (book) --+
 *                                                           v
 *   slot: OWN ----------------------------------> converge: start, stop, leave
 */
#include "worker/control.h"

#include "base/diag.h"

#include <inttypes.h>

/* Between tries to store a record, and to look whether a suspended task may go on. */
#define AGAIN_NS (INT64_C(1000) * 1000000)
/* A lease that has run out while nothing was to be done. */
#define LEASE_WAIT_NS (INT64_C(20) * 1000000)

const char *rc_unit_event_name(rc_unit_event event)
{
    static const char *const names[] = {
        [RC_UNIT_STARTED] = "STARTED",    [RC_UNIT_FAILED] = "FAILED",
        [RC_UNIT_FINISHED] = "FINISHED",  [RC_UNIT_STUCK] = "STUCK",
        [RC_UNIT_RELEASED] = "RELEASED",  [RC_UNIT_GONE] = "GONE",
        [RC_UNIT_OUTRANKED] = "OUTRANKED"};

    return names[event];
}

/* ---- units ----------------------------------------------------------------------------------- */

static void report(rc_worker *worker, rc_unit_event event, const char *connector, int task,
                   const rc_fence *fence, const rc_error *err)
{
    const rc_ruler *ruler = worker->setup.ruler;
    const rc_unit_report told = {.event = event,
                                 .connector = connector,
                                 .task = task,
                                 .generation = fence ? fence->generation : 0,
                                 .witness = fence ? atomic_load(&fence->witness) : 0,
                                 .err = err && err->code ? err : NULL};

    ruler->report(ruler->arg, &told);
}

static void set_reason(rc_unit *unit, const char *reason)
{
    free(unit->reason);
    unit->reason = reason ? rc_strdup(reason) : NULL;
}

static void unit_clear(rc_unit *unit)
{
    rc_fence_unref(unit->fence);
    free(unit->reason);
    memset(unit, 0, sizeof *unit);
}

/* What its end is called, and the end itself. */
static void unit_left(rc_worker *worker, const char *connector, int task, rc_unit *unit,
                      const rc_error *why)
{
    rc_fence *fence = rc_fence_ref(unit->fence);
    rc_unit_event event = RC_UNIT_RELEASED;

    if (atomic_load(&fence->witness) > 0)
        event = RC_UNIT_OUTRANKED;
    else if (rc_fence_standing(fence) == RC_FENCE_REVOKED)
        event = RC_UNIT_GONE;
    rc_fence_revoke(fence); /* nobody may act with it any more, whatever was forgotten */
    unit_clear(unit);
    if (task == RC_UNIT_HALF)
        rc_info(connector, "the connector's own half is %s (generation %" PRId64 ")",
                rc_unit_event_name(event), fence->generation);
    else
        rc_info(connector, "task %d is %s (generation %" PRId64 ")", task,
                rc_unit_event_name(event), fence->generation);
    report(worker, event, connector, task, fence, why);
    rc_fence_unref(fence);
}

/* ---- slots ----------------------------------------------------------------------------------- */

rc_task_slot *rc_units_slot(const rc_connector *c, int id)
{
    for (size_t i = 0; i < c->slot_count; i++)
        if (c->slots[i].id == id)
            return &c->slots[i];
    return NULL;
}

static rc_task_slot *add_slot(rc_worker *worker, rc_connector *c, int id)
{
    size_t at = c->slot_count;
    rc_task_slot *slot;

    c->slots = rc_realloc(c->slots, (c->slot_count + 1) * sizeof *c->slots);
    while (at > 0 && c->slots[at - 1].id > id) /* by id, as people expect them */
        at--;
    memmove(&c->slots[at + 1], &c->slots[at], (c->slot_count - at) * sizeof *c->slots);
    c->slot_count++;
    slot = &c->slots[at];
    memset(slot, 0, sizeof *slot);
    slot->id = id;
    slot->since_ms = rc_now_ms(worker->setup.clock);
    slot->metrics = rc_task_metrics_new();
    rc_arena_init(&slot->memory, 1024);
    slot->config = rc_kv_copy(&(omc_keyvalue){0}, &slot->memory.pub);
    return slot;
}

static void release_slot(rc_task_slot *slot)
{
    unit_clear(&slot->unit);
    rc_task_metrics_unref(slot->metrics);
    rc_arena_release(&slot->memory);
}

static void remove_slot(rc_worker *worker, rc_connector *c, rc_task_slot *slot)
{
    size_t at = (size_t)(slot - c->slots);

    release_slot(slot);
    c->slot_count--;
    memmove(slot, slot + 1, (c->slot_count - at) * sizeof *slot);
    rc_control_changed(worker);
}

void rc_units_free(rc_connector *c)
{
    for (size_t i = 0; i < c->slot_count; i++)
        release_slot(&c->slots[i]);
    free(c->slots);
    c->slots = NULL;
    c->slot_count = 0;
    unit_clear(&c->half);
    rc_arena_release(&c->record_memory);
}

/* ---- task records ---------------------------------------------------------------------------- */

static void load_record(rc_worker *worker, rc_connector *c)
{
    const rc_task_book *book = &worker->setup.ruler->book;
    rc_arena old = c->record_memory;

    rc_arena_init(&c->record_memory, 1024);
    memset(&c->record, 0, sizeof c->record);
    if (!book->find(book->arg, c->name, &c->record_memory.pub, &c->record))
        memset(&c->record, 0, sizeof c->record);
    rc_arena_release(&old);
}

static bool same_tasks(const rc_connector *c, const rc_generation *made)
{
    if (!c->record.tasks || c->record.count != made->task_count ||
        c->record.incarnation != c->incarnation)
        return false;
    for (size_t i = 0; i < made->task_count; i++)
        if (!rc_kv_equal(c->record.tasks[i], made->tasks[i]))
            return false;
    return true;
}

/* The record is there: the half is done with its start. */
static void published(rc_worker *worker, rc_connector *c)
{
    load_record(worker, c);
    rc_lifecycle_state(worker, c,
                       c->target == RC_TARGET_PAUSED ? RC_STATE_PAUSED : RC_STATE_RUNNING, NULL);
    report(worker, RC_UNIT_STARTED, c->name, RC_UNIT_HALF, c->half.fence, NULL);
    rc_units_converge(worker, c);
}

/* Any thread. */
static void put_done(void *arg, int result, const rc_error *err)
{
    rc_op *op = arg;
    rc_worker *worker = op->arg;

    if (result < 0 && err)
        op->err = *err;
    if (result < 0 && op->err.code == 0)
        (void)rc_fail(&op->err, -result, "the task configurations were not stored");
    rc_control_post(worker, op);
}

void rc_units_publish(rc_worker *worker, rc_connector *c)
{
    const rc_task_book *book = &worker->setup.ruler->book;
    const rc_generation *made = c->generation;
    const rc_fence *fence = c->half.fence;
    rc_task_record record;
    rc_op *op;

    c->publish_ns = 0;
    if (!fence || c->publishing || rc_fence_standing(fence) == RC_FENCE_REVOKED)
        return;
    if (rc_fence_check(fence) != RC_FENCE_OPEN) {
        c->publish_ns = rc_control_now(worker) +
                        (rc_fence_standing(fence) == RC_FENCE_OPEN ? LEASE_WAIT_NS : AGAIN_NS);
        return;
    }
    load_record(worker, c);
    if (c->record.tasks && c->record.generation > fence->generation) {
        rc_fence_outrank(c->half.fence, c->record.generation);
        c->half.leave = RC_LEAVE_LOSE;
        return;
    }
    if (same_tasks(c, made)) {
        published(worker, c);
        return;
    }
    record =
        (rc_task_record){.generation = fence->generation,
                         .number =
                             c->record.generation == fence->generation ? c->record.number + 1 : 1,
                         .version = c->version,
                         .incarnation = c->incarnation,
                         .tasks = made->tasks,
                         .count = made->task_count};
    op = rc_op_new(RC_OP_PUBLISHED);
    op->arg = worker;
    op->connector = omc_copy(&op->arena.pub, c->name, strlen(c->name));
    op->number = made->number;
    c->publishing = true;
    worker->publishing++;
    book->put(book->arg, c->name, &record, put_done, op);
}

void rc_units_published(rc_worker *worker, const rc_op *op)
{
    rc_connector *c = rc_control_find(worker, op->connector);

    worker->publishing--;
    if (!c)
        return;
    c->publishing = false;
    if (c->phase != RC_RUNNING || !c->generation || !c->half.fence)
        return;
    if (c->generation->number != op->number) { /* another start has come meanwhile */
        rc_units_publish(worker, c);
        return;
    }
    if (op->err.code == 0) {
        published(worker, c);
        return;
    }
    rc_warn(c->name, "the task configurations cannot be stored, next try in 1 s: %s", op->err.msg);
    c->publish_ns = rc_control_now(worker) + AGAIN_NS;
    rc_lifecycle_state(worker, c, RC_STATE_STALLED, &op->err);
}

void rc_units_record(rc_worker *worker, const char *connector)
{
    rc_connector *c = rc_control_find(worker, connector);

    if (!c)
        return;
    load_record(worker, c);
    rc_units_converge(worker, c);
}

/* ---- tasks: what should be, and what is ------------------------------------------------------ */

static bool outdated(const rc_connector *c, const rc_task_slot *slot)
{
    return slot->record_generation > 0 && (slot->record_generation != c->record.generation ||
                                           slot->record_number != c->record.number);
}

/* Owned, but not to be had any longer. */
static void look_for_end(const rc_worker *worker, const rc_connector *c, rc_task_slot *slot)
{
    const char *why = NULL;

    if (slot->unit.leave != RC_LEAVE_NOT)
        return;
    if (rc_fence_standing(slot->unit.fence) == RC_FENCE_REVOKED) {
        slot->unit.leave = RC_LEAVE_LOSE;
        return;
    }
    if (worker->closing)
        why = "the worker stops";
    else if (c->deleted)
        why = "the connector is deleted";
    else if (outdated(c, slot))
        why = "the connector has new task configurations";
    else if (c->record.tasks && (size_t)slot->id >= c->record.count)
        why = "the connector has fewer tasks";
    if (!why)
        return;
    set_reason(&slot->unit, why);
    slot->unit.leave = RC_LEAVE_DRAIN;
}

static void start_slot(rc_worker *worker, rc_connector *c, rc_task_slot *slot)
{
    rc_arena_reset(&slot->memory, 65536);
    slot->config = rc_kv_copy(c->record.tasks[slot->id], &slot->memory.pub);
    slot->record_generation = c->record.generation;
    slot->record_number = c->record.number;
    slot->unit.told = false;
    rc_slot_start(worker, c, slot);
}

static void converge_slot(rc_worker *worker, rc_connector *c, rc_task_slot *slot)
{
    bool wanted = c->target != RC_TARGET_STOPPED && slot->unit.leave == RC_LEAVE_NOT;

    if (slot->task) {
        if (!wanted)
            rc_slot_stop(worker, slot);
        else if (!slot->stopping)
            rc_task_command(slot->task, rc_slot_command(c));
        return;
    }
    if (!wanted) {
        slot->retry_ns = 0;
        if (slot->state != RC_STATE_FAILED && slot->state != RC_STATE_STOPPED)
            rc_slot_state(worker, slot, RC_STATE_STOPPED, NULL);
        return;
    }
    if (slot->retry_ns > 0 || !c->record.tasks)
        return;
    if (slot->state == RC_STATE_UNASSIGNED || slot->state == RC_STATE_STOPPED)
        start_slot(worker, c, slot);
}

void rc_units_converge(rc_worker *worker, rc_connector *c)
{
    for (size_t i = 0; i < c->slot_count;) {
        rc_task_slot *slot = &c->slots[i];
        size_t before = c->slot_count;

        if (slot->unit.fence) {
            look_for_end(worker, c, slot);
            if (slot->unit.leave != RC_LEAVE_NOT && !slot->task) {
                unit_left(worker, c->name, slot->id, &slot->unit, NULL);
                remove_slot(worker, c, slot);
            } else {
                converge_slot(worker, c, slot);
            }
        } else if ((c->deleted || worker->closing) && !slot->task) {
            remove_slot(worker, c, slot); /* one that was STUCK */
        }
        i += before == c->slot_count;
    }
}

void rc_units_ended(rc_worker *worker, rc_connector *c, rc_task_slot *slot, const rc_op *op)
{
    rc_unit *unit = &slot->unit;

    if (!unit->fence)
        return;
    look_for_end(worker, c, slot);
    if (unit->leave != RC_LEAVE_NOT) {
        unit_left(worker, c->name, slot->id, unit, &op->err);
        remove_slot(worker, c, slot);
    } else if (op->ending == RC_ENDED_FINISHED) {
        report(worker, RC_UNIT_FINISHED, c->name, slot->id, unit->fence, NULL);
    } else if (op->ending == RC_ENDED_FAILED) {
        report(worker, RC_UNIT_FAILED, c->name, slot->id, unit->fence, &op->err);
    }
}

void rc_units_running(rc_worker *worker, rc_connector *c, rc_task_slot *slot)
{
    if (!slot->unit.fence || slot->unit.told)
        return;
    slot->unit.told = true;
    report(worker, RC_UNIT_STARTED, c->name, slot->id, slot->unit.fence, NULL);
}

void rc_units_stuck(rc_worker *worker, rc_connector *c, rc_task_slot *slot, const rc_error *why)
{
    if (!slot->unit.fence)
        return;
    rc_fence_revoke(slot->unit.fence);
    report(worker, RC_UNIT_STUCK, c->name, slot->id, slot->unit.fence, why);
    unit_clear(&slot->unit);
}

static void restart_slot(rc_worker *worker, rc_task_slot *slot)
{
    slot->failures = 0;
    if (slot->task) {
        rc_slot_stop(worker, slot);
        slot->retry_ns = 1; /* starts again as soon as it has ended */
        return;
    }
    slot->retry_ns = 0;
    rc_slot_state(worker, slot, RC_STATE_UNASSIGNED, NULL);
}

void rc_units_restart_task(rc_worker *worker, rc_connector *c, rc_task_slot *slot)
{
    restart_slot(worker, slot);
    rc_units_converge(worker, c);
}

void rc_units_restart(rc_worker *worker, rc_connector *c, bool only_failed)
{
    for (size_t i = 0; i < c->slot_count; i++) {
        rc_task_slot *slot = &c->slots[i];

        if (slot->unit.fence &&
            (!only_failed || slot->state == RC_STATE_FAILED || slot->state == RC_STATE_RESTARTING))
            restart_slot(worker, slot);
    }
    rc_units_converge(worker, c);
}

/* ---- the half -------------------------------------------------------------------------------- */

bool rc_units_half_wanted(const rc_connector *c)
{
    return c->half.fence && c->half.leave == RC_LEAVE_NOT &&
           rc_fence_standing(c->half.fence) != RC_FENCE_REVOKED;
}

void rc_units_half_idle(rc_worker *worker, rc_connector *c)
{
    if (!c->half.fence)
        return;
    if (rc_fence_standing(c->half.fence) == RC_FENCE_REVOKED || c->half.leave != RC_LEAVE_NOT ||
        c->deleted || worker->closing)
        unit_left(worker, c->name, RC_UNIT_HALF, &c->half, NULL);
}

void rc_units_half_failed(rc_worker *worker, rc_connector *c, const rc_error *why)
{
    if (c->half.fence)
        report(worker, RC_UNIT_FAILED, c->name, RC_UNIT_HALF, c->half.fence, why);
}

/* ---- suspended units that go on -------------------------------------------------------------- */

static void verify(rc_worker *worker, const rc_connector *c, rc_task_slot *slot)
{
    rc_unit *unit = &slot->unit;
    rc_call *call;

    unit->verify_ns = 0;
    if (unit->verifying)
        return; /* the one under way sees that it is too old */
    unit->verifying = true;
    call = rc_call_new(worker, RC_CALL_VERIFY, c->name, c->incarnation);
    call->task = slot->id;
    call->fence = rc_fence_ref(unit->fence);
    call->epoch = unit->epoch;
    rc_call_submit(call, worker->setup.config->start_timeout_ms);
}

void rc_units_verify(rc_call *call)
{
    char task[256];
    const rc_task_name name = {.connector = call->connector, .task = task};

    (void)snprintf(task, sizeof task, "%s-%d", call->connector, call->task);
    call->result = rc_log_verify(call->worker->setup.log, &name, call->fence, &call->err);
}

void rc_units_verified(rc_worker *worker, rc_call *call)
{
    rc_connector *c = rc_control_find(worker, call->connector);
    rc_task_slot *slot = c ? rc_units_slot(c, call->task) : NULL;
    rc_unit *unit = slot ? &slot->unit : NULL;

    if (!unit || unit->fence != call->fence)
        return;
    unit->verifying = false;
    if (unit->epoch != call->epoch) {
        verify(worker, c, slot);
        return;
    }
    if (call->result == 0) {
        unit->suspended = false;
        rc_fence_open(unit->fence, unit->epoch);
        rc_control_changed(worker);
    } else if (call->result != -OMC_EFENCED) {
        rc_warn(c->name, "task %d stays suspended, next look in 1 s: %s", slot->id, call->err.msg);
        unit->verify_ns = rc_control_now(worker) + AGAIN_NS;
    }
    if (slot->task)
        rc_task_nudge(slot->task);
    rc_units_converge(worker, c);
}

void rc_units_timers(rc_worker *worker, rc_connector *c, int64_t now)
{
    if (c->publish_ns > 0 && now >= c->publish_ns) {
        if (c->phase == RC_RUNNING && c->generation)
            rc_units_publish(worker, c);
        else
            c->publish_ns = 0;
    }
    for (size_t i = 0; i < c->slot_count; i++)
        if (c->slots[i].unit.verify_ns > 0 && now >= c->slots[i].unit.verify_ns)
            verify(worker, c, &c->slots[i]);
}

int64_t rc_units_deadline(const rc_worker *worker, const rc_connector *c)
{
    int64_t deadline = c->publish_ns > 0 ? c->publish_ns : INT64_MAX;

    (void)worker;
    for (size_t i = 0; i < c->slot_count; i++)
        if (c->slots[i].unit.verify_ns > 0)
            deadline = RC_MIN(deadline, c->slots[i].unit.verify_ns);
    return deadline;
}

/* ---- orders ---------------------------------------------------------------------------------- */

static void own_task(rc_worker *worker, rc_connector *c, const rc_op *op)
{
    rc_task_slot *slot = rc_units_slot(c, op->order.task);

    if (slot && slot->unit.fence == op->order.fence)
        return;
    if (slot && slot->task) {
        rc_error err = {0};

        (void)rc_fail(&err, OMC_ESTATE, "a task of another generation is still here");
        rc_fence_revoke(op->order.fence);
        report(worker, RC_UNIT_GONE, c->name, slot->id, op->order.fence, &err);
        return;
    }
    if (slot)
        remove_slot(worker, c, slot);
    slot = add_slot(worker, c, op->order.task);
    slot->unit.fence = rc_fence_ref(op->order.fence);
    slot->unit.epoch = op->epoch;
}

static void own(rc_worker *worker, rc_connector *c, const rc_op *op)
{
    rc_fence *fence = op->order.fence;

    rc_fence_open(fence, op->epoch);
    load_record(worker, c);
    if (op->order.task != RC_UNIT_HALF) {
        own_task(worker, c, op);
    } else if (c->half.fence != fence) {
        /* A half that runs goes on with the new generation. */
        unit_clear(&c->half);
        c->half.fence = rc_fence_ref(fence);
        c->half.epoch = op->epoch;
        c->failures = 0;
        c->retry_ns = 0;
        if (c->phase == RC_RUNNING)
            rc_units_publish(worker, c);
    }
}

static void unit_order(rc_worker *worker, const rc_connector *c, rc_unit *unit, rc_task_slot *slot,
                       const rc_op *op)
{
    switch (op->order.kind) {
    case RC_ORDER_OWN:
        break;
    case RC_ORDER_SUSPEND:
        unit->suspended = true;
        set_reason(unit, op->order.reason);
        rc_control_changed(worker);
        break;
    case RC_ORDER_RESUME:
        if (op->order.fence != unit->fence)
            break; /* of a generation that is over */
        unit->epoch = op->epoch;
        if (slot) {
            verify(worker, c, slot);
        } else { /* halves have no positions that somebody could have gone on from */
            unit->suspended = false;
            rc_fence_open(unit->fence, unit->epoch);
            rc_control_changed(worker);
        }
        break;
    case RC_ORDER_DRAIN:
        if (unit->leave == RC_LEAVE_NOT)
            unit->leave = RC_LEAVE_DRAIN;
        set_reason(unit, op->order.reason);
        break;
    case RC_ORDER_LOSE:
        rc_fence_revoke(unit->fence);
        unit->leave = RC_LEAVE_LOSE;
        set_reason(unit, op->order.reason);
        if (slot && slot->task)
            rc_task_nudge(slot->task);
        break;
    }
}

static void order_all(rc_worker *worker, const rc_op *op)
{
    rc_connector *c, *next;

    HASH_ITER(hh, worker->connectors, c, next)
    {
        if (c->half.fence)
            unit_order(worker, c, &c->half, NULL, op);
        for (size_t i = 0; i < c->slot_count; i++)
            if (c->slots[i].unit.fence)
                unit_order(worker, c, &c->slots[i].unit, &c->slots[i], op);
        rc_lifecycle_converge(worker, c);
    }
}

/* Not owned: what the ruler waits for is told all the same. */
static void order_nothing(rc_worker *worker, const rc_op *op)
{
    rc_error err = {0};

    (void)rc_fail(&err, OMC_ENOTFOUND, "this worker does not have it");
    if (op->order.kind == RC_ORDER_OWN || op->order.kind == RC_ORDER_DRAIN)
        report(worker, RC_UNIT_RELEASED, op->connector, op->order.task, op->order.fence, &err);
    else if (op->order.kind == RC_ORDER_LOSE)
        report(worker, RC_UNIT_GONE, op->connector, op->order.task, op->order.fence, &err);
}

void rc_units_order(rc_worker *worker, rc_op *op)
{
    rc_connector *c = op->connector ? rc_control_find(worker, op->connector) : NULL;
    rc_task_slot *slot = NULL;
    rc_unit *unit;

    if (!op->connector) {
        order_all(worker, op);
        return;
    }
    if (c && op->order.kind == RC_ORDER_OWN && !c->deleted && !worker->closing) {
        own(worker, c, op);
        rc_lifecycle_converge(worker, c);
        return;
    }
    if (c && op->order.task != RC_UNIT_HALF)
        slot = rc_units_slot(c, op->order.task);
    unit = slot ? &slot->unit : c && op->order.task == RC_UNIT_HALF ? &c->half : NULL;
    if (!unit || !unit->fence || op->order.kind == RC_ORDER_OWN) {
        order_nothing(worker, op);
        return;
    }
    unit_order(worker, c, unit, slot, op);
    rc_lifecycle_converge(worker, c);
}

void rc_worker_order(rc_worker *worker, const rc_order *order)
{
    rc_op *op = rc_op_new(RC_OP_ORDER);
    omc_arena *arena = &op->arena.pub;

    RC_ASSERT(rc_ruled(worker));
    RC_ASSERT(order->fence || (order->kind != RC_ORDER_OWN && order->kind != RC_ORDER_RESUME));
    op->order = *order;
    if (order->connector)
        op->connector = omc_copy(arena, order->connector, strlen(order->connector));
    if (order->reason)
        op->order.reason = omc_copy(arena, order->reason, strlen(order->reason));
    if (order->fence) {
        op->order.fence = rc_fence_ref(order->fence);
        op->epoch = rc_fence_epoch(order->fence);
    }
    rc_control_post(worker, op);
}

void rc_worker_tasks_changed(rc_worker *worker, const char *connector)
{
    rc_op *op = rc_op_new(RC_OP_RECORD);

    op->connector = omc_copy(&op->arena.pub, connector, strlen(connector));
    rc_control_post(worker, op);
}
