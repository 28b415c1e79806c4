/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots of connectors and tasks for replies; made on the control thread, in the reply's arena.
 */
#include "worker/control.h"

static const struct {
    const char *name;
    const char *java;
} states[RC_STATE_COUNT] = {
    [RC_STATE_UNASSIGNED] = {"UNASSIGNED", "UNASSIGNED"},
    [RC_STATE_STARTING] = {"STARTING", "UNASSIGNED"},
    [RC_STATE_RUNNING] = {"RUNNING", "RUNNING"},
    [RC_STATE_PAUSED] = {"PAUSED", "PAUSED"},
    [RC_STATE_STOPPED] = {"STOPPED", "PAUSED"},
    [RC_STATE_FAILED] = {"FAILED", "FAILED"},
    [RC_STATE_RESTARTING] = {"RESTARTING", "FAILED"},
    [RC_STATE_FINISHED] = {"FINISHED", "RUNNING"},
    [RC_STATE_STALLED] = {"STALLED", "RUNNING"},
    [RC_STATE_STUCK] = {"STUCK", "FAILED"},
    [RC_STATE_SUSPENDED] = {"SUSPENDED", "RUNNING"},
};

const char *rc_state_name(rc_state state)
{
    return states[state].name;
}

const char *rc_state_java(rc_state state)
{
    return states[state].java;
}

/* A task that sits in a plugin call for longer than a stop may take is as good as stuck. */
static void look_into_call(rc_worker *worker, const rc_task_slot *slot, omc_arena *arena,
                           rc_task_view *view)
{
    int64_t ms;
    const char *call;

    if (!slot->task)
        return;
    call = rc_task_call(slot->task, &ms);
    /* A source may wait in poll for as long as it likes. */
    if (!*call || strcmp(call, "poll") == 0 || ms < worker->setup.config->stop_timeout_ms)
        return;
    view->state = RC_STATE_STUCK;
    view->trace = rc_arena_format(
        arena,
        "'%s' of the plugin has not returned for %lld ms; find out what it waits for, "
        "then restart the task",
        call, (long long)ms);
}

/* What waits for its fence, whatever it was doing. */
static void look_at_unit(const rc_unit *unit, omc_arena *arena, rc_state *state, const char **trace)
{
    bool waits = *state == RC_STATE_STARTING || *state == RC_STATE_RUNNING ||
                 *state == RC_STATE_PAUSED || *state == RC_STATE_RESTARTING ||
                 *state == RC_STATE_STALLED;

    if (!unit->fence || !waits ||
        (!unit->suspended && rc_fence_standing(unit->fence) != RC_FENCE_CLOSED))
        return;
    *state = RC_STATE_SUSPENDED;
    *trace = unit->reason ? omc_copy(arena, unit->reason, strlen(unit->reason))
                          : "it is not certain now that no other worker acts for it";
}

static void view_task(rc_worker *worker, const rc_connector *c, const rc_task_slot *slot,
                      omc_arena *arena, rc_task_view *view)
{
    rc_option_table tables[2];
    size_t count = rc_connector_tables(c->plugin, tables);
    int64_t left = (slot->retry_ns - rc_control_now(worker)) / 1000000;

    view->id = slot->id;
    view->state = slot->state;
    view->trace = slot->why.code ? slot->why.msg : NULL;
    view->since_ms = slot->since_ms;
    view->retry_in_ms = slot->state == RC_STATE_RESTARTING ? RC_MAX(left, 0) : 0;
    view->metrics = slot->metrics;
    view->config = rc_options_mask(tables, count, slot->config, arena);
    look_into_call(worker, slot, arena, view);
    if (view->state == RC_STATE_UNASSIGNED && slot->unit.fence && !c->record.tasks)
        view->trace = "the connector's own half has not made task configurations yet; the worker "
                      "that has it shows why";
    look_at_unit(&slot->unit, arena, &view->state, &view->trace);
}

/* Of a unit that is not here. */
static void look_elsewhere(rc_worker *worker, const rc_connector *c, int task, omc_arena *arena,
                           rc_elsewhere *ret)
{
    const rc_ruler *ruler = worker->setup.ruler;

    *ret = (rc_elsewhere){.state = RC_STATE_UNASSIGNED};
    if (ruler->elsewhere)
        ruler->elsewhere(ruler->arg, c->name, task, arena, ret);
    /* Who has it says that it has started; that it is to pause is known here as it is there. */
    if (ret->state == RC_STATE_RUNNING && c->target == RC_TARGET_PAUSED)
        ret->state = RC_STATE_PAUSED;
    if (!ret->worker)
        ret->worker = "";
    if (!*ret->worker && !ret->trace)
        ret->trace = "no worker has it at the moment; GET /api/v1/cluster/explain says why";
}

static void view_task_elsewhere(rc_worker *worker, const rc_connector *c, int id,
                                const omc_keyvalue *config, omc_arena *arena, rc_task_view *view)
{
    rc_option_table tables[2];
    size_t count = rc_connector_tables(c->plugin, tables);
    rc_elsewhere there;

    look_elsewhere(worker, c, id, arena, &there);
    *view = (rc_task_view){.id = id,
                           .state = there.state,
                           .trace = there.trace,
                           .since_ms = there.since_ms,
                           .config = rc_options_mask(tables, count, config, arena),
                           .worker = there.worker};
}

/* All tasks of the newest record, wherever they run, and what is left here of an older one. */
static void view_all_tasks(rc_worker *worker, const rc_connector *c, omc_arena *arena,
                           rc_connector_view *view)
{
    const rc_task_book *book = &worker->setup.ruler->book;
    rc_task_record record = {0};
    rc_task_view *tasks;
    size_t here = 0, n = 0;

    if (!book->find(book->arg, c->name, arena, &record) || record.incarnation != c->incarnation)
        record.count = 0;
    tasks = omc_alloc0(arena, (record.count + c->slot_count + 1) * sizeof *tasks);
    for (size_t i = 0; i < record.count; i++) {
        while (here < c->slot_count && c->slots[here].id < (int)i)
            here++;
        if (here < c->slot_count && c->slots[here].id == (int)i)
            view_task(worker, c, &c->slots[here++], arena, &tasks[n++]);
        else
            view_task_elsewhere(worker, c, (int)i, record.tasks[i], arena, &tasks[n++]);
    }
    for (; here < c->slot_count; here++)
        view_task(worker, c, &c->slots[here], arena, &tasks[n++]);
    view->tasks = tasks;
    view->task_count = n;
}

static void view_half_elsewhere(rc_worker *worker, const rc_connector *c, omc_arena *arena,
                                rc_connector_view *view)
{
    rc_elsewhere there;

    look_elsewhere(worker, c, RC_UNIT_HALF, arena, &there);
    view->state = there.state;
    view->trace = there.trace;
    view->worker = there.worker;
    if (there.since_ms)
        view->since_ms = there.since_ms;
}

static void view_connector(rc_worker *worker, const rc_connector *c, omc_arena *arena,
                           rc_connector_view *view)
{
    rc_option_table tables[2];
    size_t count = rc_connector_tables(c->plugin, tables);
    rc_task_view *tasks = omc_alloc0(arena, (c->slot_count + 1) * sizeof *tasks);

    view->name = c->name;
    view->plugin = c->plugin;
    view->class_name = rc_kv_text(c->config, "connector.class", "", arena);
    view->kind = c->plugin ? c->plugin->kind : 0;
    view->state = c->state;
    view->trace = c->why.code ? c->why.msg : NULL;
    look_at_unit(&c->half, arena, &view->state, &view->trace);
    view->target = c->target;
    view->config = rc_options_mask(tables, count, c->config, arena);
    view->version = c->version;
    view->since_ms = c->since_ms;
    view->task_count = c->slot_count;
    view->tasks = tasks;
    for (size_t i = 0; i < c->slot_count; i++)
        view_task(worker, c, &c->slots[i], arena, &tasks[i]);
    if (!rc_ruled(worker))
        return;
    view_all_tasks(worker, c, arena, view);
    if (!c->half.fence && c->state != RC_STATE_STOPPED)
        view_half_elsewhere(worker, c, arena, view);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const rc_connector_view *)a)->name, ((const rc_connector_view *)b)->name);
}

const rc_connector_view *rc_views_make(rc_worker *worker, rc_connector *only, omc_arena *arena,
                                       size_t *ret_count)
{
    size_t count = only ? 1 : HASH_COUNT(worker->connectors), i = 0;
    rc_connector_view *views = omc_alloc0(arena, (count + 1) * sizeof *views);
    rc_connector *c, *next;

    *ret_count = count;
    if (only) {
        view_connector(worker, only, arena, views);
        return views;
    }
    HASH_ITER(hh, worker->connectors, c, next)
    {
        if (!c->deleted)
            view_connector(worker, c, arena, &views[i++]);
    }
    *ret_count = i;
    qsort(views, i, sizeof *views, by_name);
    return views;
}
