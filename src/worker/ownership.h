/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A worker that is ruled from outside: what it runs is decided by an owner of the cluster's
 * picture, not by its own store alone. Without a ruler (rc_worker_setup.ruler NULL) everything
 * stored is the worker's own.
 *
 * What is owned, one by one, are *units*: a connector's own half (validate, start, taskConfigs of
 * its plugin) and each of its tasks. The ruler gives orders; the worker carries them out on its
 * control thread and reports back.
 *
 *   order     the unit                                      report that follows
 *   OWN       is started when it is wanted (target state)   STARTED, each time it has started;
 *             and there is a task record                    FAILED, FINISHED, STUCK, if it does
 *   SUSPEND   sends, puts, commits, polls nothing until it  none
 *             is resumed; shown SUSPENDED
 *   RESUME    goes on                                       none
 *   DRAIN     polls no more, resolves and commits what is   RELEASED
 *             under way, stops
 *   LOSE      stops at once; nothing is sent or committed   GONE
 *             any more, not even at the end
 *
 * The *fence* of a unit (base/fence.h) says the same without a detour: the ruler makes, suspends
 * and revokes it, which counts at once on every thread, and gives the order after that; the worker
 * opens it, when it is told OWN, and RESUME after a look for newer owners in the log (R7). A unit
 * that finds a generation at or above its own (ownership rule R7) revokes its fence itself and
 * reports OUTRANKED.
 *
 * *Task records*: the owner of the half computes the configurations of all tasks and stores them
 * as one record, before any task runs with them; a record that says what the last one said is not
 * stored again, so that a half that moves restarts no task. A task runs from the newest record
 * only. When that changes (rc_worker_tasks_changed()) a running task drains and is reported
 * RELEASED; whoever rules must own all units of the former record free before one of the new record
 * is started, because source partitions may move between tasks, and give it a higher generation.
 */
#ifndef RC_WORKER_OWNERSHIP_H
#define RC_WORKER_OWNERSHIP_H

#include "base/fence.h"
#include "worker/worker.h"

/** The connector's own half, in place of a task's id. */
#define RC_UNIT_HALF (-1)

/* ---- task records ---------------------------------------------------------------------------- */

/** Configurations of all tasks of a connector, as one. */
typedef struct rc_task_record {
    int64_t generation;  /**< Of the half that made it, */
    int64_t number;      /**< and a count of its own. The pair goes up with every record. */
    int64_t version;     /**< Of the configuration it was made from. */
    int64_t incarnation; /**< Of the connector. */
    const omc_keyvalue *const *tasks; /**< Whole configurations, in order of ids. */
    size_t count;
} rc_task_record;

/** Where task records are kept: topics in a cluster, rc_task_book_new() for one process. */
typedef struct rc_task_book {
    /**
     * Stores a record. @thread control; must not block. `record` is borrowed for the call. `done`
     * is called once, on any thread, when it is durable or failed (0 or -OMC_E..., err set then);
     * find() gives it from then on.
     */
    void (*put)(void *arg, const char *connector, const rc_task_record *record,
                void (*done)(void *done_arg, int result, const rc_error *err), void *done_arg);
    /** Newest record of a connector, copied into `arena`. false = there is none. @thread control;
     *  must not block. */
    bool (*find)(void *arg, const char *connector, omc_arena *arena, rc_task_record *ret);
    void *arg;
} rc_task_book;

/** A book in memory, for workers of one process. Any thread. */
typedef struct rc_memory_book rc_memory_book;
rc_memory_book *rc_memory_book_new(void);
void rc_memory_book_free(rc_memory_book *book); /**< NULL is allowed. */
rc_task_book rc_memory_book_of(rc_memory_book *book);

/* ---- orders ---------------------------------------------------------------------------------- */

typedef enum rc_order_kind {
    RC_ORDER_OWN = 1,
    RC_ORDER_SUSPEND,
    RC_ORDER_RESUME,
    RC_ORDER_DRAIN,
    RC_ORDER_LOSE
} rc_order_kind;

typedef struct rc_order {
    rc_order_kind kind;
    const char *connector; /**< NULL: all units (SUSPEND, DRAIN, LOSE). Copied. */
    int task;              /**< Or RC_UNIT_HALF. */
    /** OWN: of this generation, a new one; RESUME: the unit's. A reference is taken. What has been
     *  suspended again by the time the order is carried out stays so. */
    rc_fence *fence;
    const char *reason; /**< SUSPEND, LOSE, DRAIN: shown to people. Copied; NULL = none. */
} rc_order;

/** Gives an order; orders are carried out in the order of calls. An order for a unit that is not
 *  owned does nothing, but LOSE and DRAIN are reported all the same. OWN of a unit that is owned
 *  replaces its generation: the task of the former one must have been reported RELEASED or GONE.
 *  A connector the worker does not know (yet) cannot be owned: RELEASED. Any thread, not after
 *  rc_worker_stop(); never blocks. */
void rc_worker_order(rc_worker *worker, const rc_order *order);
/** The newest task record of a connector is another one now. As above. */
void rc_worker_tasks_changed(rc_worker *worker, const char *connector);

/* ---- reports --------------------------------------------------------------------------------- */

typedef enum rc_unit_event {
    RC_UNIT_STARTED = 1,
    RC_UNIT_FAILED,   /**< Shown FAILED or RESTARTING; stays owned. */
    RC_UNIT_FINISHED, /**< A bounded source is through; stays owned, so that nobody repeats it. */
    RC_UNIT_STUCK,    /**< A call does not return; its fence is revoked, the unit is not owned any
                           more, and what its plugin does in that call cannot be known. */
    RC_UNIT_RELEASED, /**< Drained: nothing is under way. Not owned any more. */
    RC_UNIT_GONE,     /**< Stopped without draining; what was sent last may still land (D_tail).
                           Not owned any more. */
    RC_UNIT_OUTRANKED /**< GONE, because of generation `witness`: claim again above it. */
} rc_unit_event;
const char *rc_unit_event_name(rc_unit_event event); /**< "STARTED" */

typedef struct rc_unit_report {
    rc_unit_event event;
    const char *connector;
    int task;
    int64_t generation;  /**< Of the unit; 0 = it was not owned. */
    int64_t witness;     /**< OUTRANKED: highest generation seen. */
    const rc_error *err; /**< FAILED, STUCK, OUTRANKED, GONE: why; NULL = none. */
} rc_unit_report;

/** Who rules. Everything is borrowed and outlives the worker. */
typedef struct rc_ruler {
    rc_task_book book;
    /** @thread control. Must not block, nor wait for the worker; may give orders. */
    void (*report)(void *arg, const rc_unit_report *report);
    void *arg;
} rc_ruler;

#endif
