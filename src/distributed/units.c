/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this worker has of the cluster's units: a fence for each, the orders that go to the worker,
 * and what its reports mean to the machine.
 *
 * The worker's control thread learns of connectors from the same store as the catalogue, a moment
 * earlier or later: a unit that it does not know yet is ordered again for a while.
 */
#include "distributed/impl.h"

#include <inttypes.h>

#define AGAIN_MS 100
#define AGAIN_MAX 100

struct rc_own_unit_entry {
    char *key;
    char *unit_name;
    char *connector;
    int32_t number;
    int64_t record_generation, record_number; /* -1: a half */
    rc_fence *fence;
    bool started, outdated;
    int64_t again_ms; /* when to order it again; 0 = not */
    int tries;
    char *reported; /* key of what the worker's reports name */
    UT_hash_handle hh;
    UT_hash_handle by_report;
};

/* ---- entries --------------------------------------------------------------------------------- */

static rc_own_unit_entry *find(rc_cluster *cluster, const rc_unit_id *unit)
{
    char key[RC_FOLD_KEY_MAX];
    rc_own_unit_entry *e;

    (void)rc_fold_key(unit->connector, unit->number, key);
    HASH_FIND_STR(cluster->units, key, e);
    return e;
}

static char *report_key(const char *connector, int32_t number, int64_t generation)
{
    return rc_format("%" PRId64 "/%" PRId32 "/%s", generation, number, connector);
}

static rc_own_unit_entry *find_reported(rc_cluster *cluster, const rc_unit_report *report)
{
    RC_AUTO_FREE char *key = report_key(report->connector, report->task, report->generation);
    rc_own_unit_entry *e;

    HASH_FIND(by_report, cluster->by_report, key, strlen(key), e);
    return e;
}

static void remove_entry(rc_cluster *cluster, rc_own_unit_entry *e)
{
    rc_fence_revoke(e->fence); /* whatever was forgotten */
    HASH_DEL(cluster->units, e);
    HASH_DELETE(by_report, cluster->by_report, e);
    rc_fence_unref(e->fence);
    free(e->key);
    free(e->reported);
    free(e->unit_name);
    free(e->connector);
    free(e);
}

void rc_units_release_all(rc_cluster *cluster)
{
    while (cluster->units)
        remove_entry(cluster, cluster->units);
}

static rc_own_unit_entry *add_entry(rc_cluster *cluster, const rc_action *action)
{
    char key[RC_FOLD_KEY_MAX];
    rc_own_unit_entry *e = rc_calloc(1, sizeof *e);
    rc_arena arena;

    rc_arena_init(&arena, 1024);
    (void)rc_fold_key(action->unit.connector, action->unit.number, key);
    e->key = rc_strdup(key);
    e->unit_name = rc_strdup(action->unit.connector);
    e->number = action->unit.number;
    e->connector = rc_strdup(rc_catalog_connector(&arena.pub, e->unit_name, e->number,
                                                  &e->record_generation, &e->record_number));
    e->fence = rc_fence_new(&cluster->lease, action->generation, cluster->incarnation);
    e->reported = report_key(e->connector, e->number, action->generation);
    HASH_ADD_KEYPTR(hh, cluster->units, e->key, strlen(e->key), e);
    HASH_ADD_KEYPTR(by_report, cluster->by_report, e->reported, strlen(e->reported), e);
    rc_arena_release(&arena);
    return e;
}

static rc_unit_id id_of(const rc_own_unit_entry *e)
{
    return (rc_unit_id){e->unit_name, e->number};
}

static void order(rc_cluster *cluster, rc_order_kind kind, const rc_own_unit_entry *e,
                  const char *reason)
{
    const rc_order o = {.kind = kind,
                        .connector = e->connector,
                        .task = e->number,
                        .fence = e->fence,
                        .reason = reason && *reason ? reason : NULL};

    rc_worker_order(cluster->worker, &o);
}

/* ---- actions --------------------------------------------------------------------------------- */

/* A task runs from the newest record only: is that the one its unit stands for? */
static bool record_is_newest(rc_cluster *cluster, const rc_own_unit_entry *e)
{
    rc_stored_tasks tasks;
    rc_error err = {0};
    rc_arena arena;
    bool same;

    if (e->number == RC_OWN_HALF)
        return true;
    rc_arena_init(&arena, 4096);
    same = rc_topic_store_tasks_get(cluster->config.store, e->connector, &arena.pub, &tasks,
                                    &err) == 0 &&
           tasks.generation == e->record_generation && tasks.number == e->record_number;
    rc_arena_release(&arena);
    return same;
}

/* As if the worker had: it is of a task record that is not the newest (any more). */
static void give_back(rc_cluster *cluster, const rc_own_unit_entry *e)
{
    rc_event *event = rc_event_new(RC_EVENT_REPORT);

    event->report = (rc_unit_report){.event = RC_UNIT_RELEASED,
                                     .connector = omc_copy(&event->arena.pub, e->connector,
                                                           strlen(e->connector)),
                                     .task = e->number,
                                     .generation = e->fence->generation};
    rc_cluster_post(cluster, event);
}

void rc_units_start(rc_cluster *cluster, const rc_action *action)
{
    rc_own_unit_entry *e = find(cluster, &action->unit);

    if (e)
        remove_entry(cluster, e);
    e = add_entry(cluster, action);
    if (record_is_newest(cluster, e))
        order(cluster, RC_ORDER_OWN, e, NULL);
    else
        give_back(cluster, e);
}

void rc_units_look_at_records(rc_cluster *cluster)
{
    rc_own_unit_entry *e, *next;

    HASH_ITER(hh, cluster->units, e, next)
    {
        if (e->started && !e->outdated && !record_is_newest(cluster, e)) {
            e->outdated = true;
            rc_worker_tasks_changed(cluster->worker, e->connector);
        }
    }
}

void rc_units_suspend(rc_cluster *cluster, const char *why)
{
    const rc_order o = {.kind = RC_ORDER_SUSPEND,
                        .reason = *why ? why : "not certain that it is still this worker's"};
    rc_own_unit_entry *e, *next;

    HASH_ITER(hh, cluster->units, e, next)
    rc_fence_suspend(e->fence);
    if (cluster->units)
        rc_worker_order(cluster->worker, &o);
}

void rc_units_resume(rc_cluster *cluster, const rc_action *action)
{
    const rc_own_unit_entry *e = find(cluster, &action->unit);

    if (e && e->fence->generation == action->generation)
        order(cluster, RC_ORDER_RESUME, e, NULL);
}

/* It ended by itself a moment ago; the machine waits for an answer all the same. */
static void not_here(rc_cluster *cluster, const rc_action *action, bool drain)
{
    rc_event *event = rc_event_new(RC_EVENT_NOT_HERE);

    event->unit = (rc_unit_id){omc_copy(&event->arena.pub, action->unit.connector,
                                        strlen(action->unit.connector)),
                               action->unit.number};
    event->number = action->generation;
    event->on = drain;
    rc_cluster_post(cluster, event);
}

void rc_units_drain_one(rc_cluster *cluster, const rc_action *action)
{
    rc_own_unit_entry *e = find(cluster, &action->unit);

    if (e) {
        e->again_ms = 0;
        order(cluster, RC_ORDER_DRAIN, e, action->text);
    } else {
        not_here(cluster, action, true);
    }
}

void rc_units_stop(rc_cluster *cluster, const rc_action *action)
{
    rc_own_unit_entry *e = find(cluster, &action->unit);

    if (e) {
        e->again_ms = 0;
        rc_fence_revoke(e->fence);
        order(cluster, RC_ORDER_LOSE, e, action->text);
    } else {
        not_here(cluster, action, false);
    }
}

int64_t rc_units_again(rc_cluster *cluster, int64_t now_ms)
{
    int64_t next_ms = INT64_MAX;
    rc_own_unit_entry *e, *next;

    if (cluster->again_ms > now_ms)
        return cluster->again_ms;
    HASH_ITER(hh, cluster->units, e, next)
    {
        if (e->again_ms && e->again_ms <= now_ms) {
            e->again_ms = 0;
            order(cluster, RC_ORDER_OWN, e, NULL);
        }
        if (e->again_ms)
            next_ms = RC_MIN(next_ms, e->again_ms);
    }
    cluster->again_ms = next_ms;
    return next_ms;
}

/* ---- reports --------------------------------------------------------------------------------- */

/* What others see of it, over REST. */
static void publish(rc_cluster *cluster, const rc_unit_report *report)
{
    const char *state = NULL, *java = "RUNNING";
    const char *trace = report->err && report->err->code ? report->err->msg : NULL;

    if (report->task == RC_UNIT_HALF && report->event == RC_UNIT_RELEASED &&
        !rc_topic_store_has(cluster->config.store, report->connector)) {
        /* Its last word: also removes the states of its tasks. */
        rc_topic_store_state(cluster->config.store, report->connector, RC_UNIT_HALF, "DESTROYED",
                             NULL, NULL, RC_MAX(report->generation, 0));
        return;
    }
    switch (report->event) {
    case RC_UNIT_STARTED:
        state = "RUNNING";
        break;
    case RC_UNIT_FAILED:
        state = java = "FAILED";
        break;
    case RC_UNIT_FINISHED:
        state = "FINISHED";
        break;
    case RC_UNIT_STUCK:
        state = "STUCK";
        java = "FAILED";
        break;
    case RC_UNIT_RELEASED:
    case RC_UNIT_GONE:
    case RC_UNIT_OUTRANKED:
        state = java = "UNASSIGNED";
        break;
    }
    if (report->generation > 0)
        rc_topic_store_state(cluster->config.store, report->connector, report->task, java, state,
                             trace, report->generation);
}

/* The worker does not know it yet; or it never will, then somebody else may. */
static bool order_again(rc_cluster *cluster, rc_own_unit_entry *e, int64_t now_ms)
{
    if (e->started || rc_fence_standing(e->fence) == RC_FENCE_REVOKED || ++e->tries > AGAIN_MAX ||
        !record_is_newest(cluster, e))
        return false;
    e->again_ms = now_ms + AGAIN_MS;
    cluster->again_ms = RC_MIN(cluster->again_ms, e->again_ms);
    return true;
}

void rc_units_report(rc_cluster *cluster, const rc_event *event, int64_t now_ms)
{
    const rc_unit_report *report = &event->report;
    rc_own_unit_entry *e = find_reported(cluster, report);
    rc_membership *machine = cluster->machine;

    if (!e)
        return;
    if (report->event == RC_UNIT_RELEASED && report->err && report->err->code == OMC_ENOTFOUND &&
        order_again(cluster, e, now_ms))
        return;
    publish(cluster, report);
    switch (report->event) {
    case RC_UNIT_STARTED:
    case RC_UNIT_FAILED:
    case RC_UNIT_FINISHED:
        e->started = true;
        rc_membership_started(machine, now_ms, id_of(e), report->generation);
        return;
    case RC_UNIT_RELEASED:
        rc_membership_drained(machine, now_ms, id_of(e), report->generation);
        break;
    case RC_UNIT_STUCK:
    case RC_UNIT_GONE:
        rc_membership_stopped(machine, now_ms, id_of(e), report->generation, true);
        break;
    case RC_UNIT_OUTRANKED:
        rc_membership_outranked(machine, now_ms, id_of(e), report->generation, report->witness);
        /* It has stopped. A STOP that was on its way to the worker would find nothing to answer
         * for. */
        rc_membership_stopped(machine, now_ms, id_of(e), report->generation, true);
        break;
    }
    remove_entry(cluster, e);
}
