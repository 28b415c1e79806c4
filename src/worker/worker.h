/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The worker: runs connectors and their tasks on a log.
 *
 * One control thread is the only writer of connector and task state; everybody else posts
 * requests and gets one reply. Each task has its own thread; connector calls run on a small pool
 * with deadlines. The worker prints what happens to connectors (rc_diag); replies carry the rest.
 */
#ifndef RC_WORKER_H
#define RC_WORKER_H

#include "log/log.h"
#include "plugin/registry.h"
#include "store/store.h"
#include "worker/connector_config.h"
#include "worker/metrics.h"
#include "worker/worker_config.h"

typedef struct rc_worker rc_worker;

/** Everything is borrowed and outlives the worker. */
typedef struct rc_worker_setup {
    const rc_worker_config *config;
    rc_registry *registry;
    rc_store *store;
    rc_log *log;
    rc_clock *clock;
    /** Called on the control thread whenever a connector or task changed state; may be NULL. */
    void (*changed)(void *arg);
    void *changed_arg;
    /** Who says what of it is this worker's (worker/ownership.h); NULL = everything. */
    const struct rc_ruler *ruler;
} rc_worker_setup;

/** Loads the stored connectors and starts their tasks; returns before they run. */
int rc_worker_start(const rc_worker_setup *setup, rc_worker **ret, rc_error *err);
/**
 * Stops all tasks (drains, commits) and frees the worker. Tasks that do not return within
 * `timeout_ms` are abandoned, named in the log, and everything they hold is leaked on purpose.
 * @return 0, or the number of tasks abandoned.
 */
int rc_worker_stop(rc_worker *worker, int64_t timeout_ms);

/* ---- what there is to see ------------------------------------------------------------------- */

/** States of connectors and tasks (ours; rc_state_java() maps them to Java's). */
typedef enum rc_state {
    RC_STATE_UNASSIGNED = 0, /**< Not started yet, or another worker's. */
    RC_STATE_STARTING,
    RC_STATE_RUNNING,
    RC_STATE_PAUSED,
    RC_STATE_STOPPED,    /**< By request; tasks are gone, positions kept. */
    RC_STATE_FAILED,     /**< Needs somebody. */
    RC_STATE_RESTARTING, /**< Failed; waits for its next try. */
    RC_STATE_FINISHED,   /**< A bounded source has delivered everything. */
    RC_STATE_STALLED,    /**< Alive but cannot go on: e.g. the log's disk is full. */
    RC_STATE_STUCK,      /**< A plugin call does not return. */
    RC_STATE_SUSPENDED,  /**< Not certain to be this worker's now: waits. */
    RC_STATE_COUNT
} rc_state;
const char *rc_state_name(rc_state state); /**< "RUNNING" */
const char *rc_state_java(rc_state state); /**< UNASSIGNED RUNNING PAUSED FAILED */

typedef struct rc_task_view {
    int id;
    rc_state state;
    const char *trace; /**< Why it is FAILED, RESTARTING, STALLED, STUCK, SUSPENDED, or UNASSIGNED
                            although it is this worker's; NULL otherwise. */
    const omc_keyvalue *config; /**< Secrets masked. */
    int64_t since_ms;           /**< Wall time of the last state change. */
    int64_t retry_in_ms;        /**< RESTARTING: until the next try. */
    rc_task_metrics *metrics;   /**< Valid as long as the reply. */
} rc_task_view;

typedef struct rc_connector_view {
    const char *name;
    const omc_plugin *plugin; /**< NULL when the class is not known (any more). */
    const char *class_name;   /**< As configured. */
    unsigned kind;            /**< OMC_SOURCE, OMC_SINK or 0. */
    rc_state state;
    const char *trace;
    rc_target_state target;
    const omc_keyvalue *config; /**< Secrets masked. */
    int64_t version;
    int64_t since_ms;
    size_t task_count;
    const rc_task_view *tasks;
} rc_connector_view;

typedef struct rc_offset_view { /**< Source: partition and offset; sink: queue and offset. */
    rc_slice partition;         /**< JSON object. */
    rc_slice offset;            /**< JSON object. */
} rc_offset_view;

/* ---- requests ------------------------------------------------------------------------------- */

typedef enum rc_request_kind {
    RC_REQUEST_LIST = 1, /**< All connectors, sorted by name. */
    RC_REQUEST_GET,      /**< One connector. */
    RC_REQUEST_CREATE,   /**< -OMC_EEXIST when it exists. */
    RC_REQUEST_PUT,      /**< Creates or replaces. -OMC_EEXIST when the same is already there and
                              `refuse_same` is set. */
    RC_REQUEST_PATCH,    /**< Sets keys; `remove` lists keys to take away. */
    RC_REQUEST_DELETE,
    RC_REQUEST_PAUSE,
    RC_REQUEST_RESUME,
    RC_REQUEST_STOP,
    RC_REQUEST_RESTART,       /**< Connector with its tasks, or only failed ones. */
    RC_REQUEST_RESTART_TASK,  /**< One task. */
    RC_REQUEST_VALIDATE,      /**< Checks `config` without storing; problems in the reply. */
    RC_REQUEST_OFFSETS,       /**< Positions or offsets of a connector. */
    RC_REQUEST_OFFSETS_RESET, /**< Forgets them; the connector must be STOPPED (-OMC_ESTATE). */
    RC_REQUEST_RELOAD         /**< Scans the plugin paths again. */
} rc_request_kind;

struct rc_reply;
/** Runs once per request, on the control thread (or pool); must not block or call the worker
 *  synchronously. `reply` and all it shows is valid until it returns. */
typedef void rc_reply_fn(const struct rc_reply *reply, void *arg);

typedef struct rc_request {
    rc_request_kind kind;
    const char *connector;
    int task;
    const omc_keyvalue *config;
    const char *const *remove; /**< PATCH; NULL-terminated or NULL. */
    bool refuse_same;
    bool only_failed;        /**< RESTART */
    int64_t expected;        /**< Version for conditional writes; -1 = any. */
    rc_target_state initial; /**< CREATE, PUT: state of a new one; 0 = STARTED. */
    rc_reply_fn *done;
    void *arg;
} rc_request;

typedef struct rc_reply {
    int result; /**< 0 or -OMC_E...; see rc_request_kind. */
    rc_error err;
    bool created;                        /**< PUT: it was new. */
    const rc_connector_view *connectors; /**< The ones concerned, after the change. */
    size_t count;
    const rc_problem *problems; /**< VALIDATE, CREATE, PUT, PATCH */
    size_t problem_count;
    const rc_offset_view *offsets;
    size_t offset_count;
} rc_reply;

/** Posts a copy of `request`; `done` runs exactly once unless this fails.
 *  @return 0; -OMC_ECANCELED (stopping); -OMC_EAGAIN (1,024 requests wait). */
int rc_worker_post(rc_worker *worker, const rc_request *request, rc_error *err);
/** Posts and waits (commands and tests; never from a reply). Copies result and error only. */
int rc_worker_call(rc_worker *worker, const rc_request *request, rc_error *err);

/** The worker's parts, for views. */
const rc_worker_config *rc_worker_config_of(const rc_worker *worker);
rc_registry *rc_worker_registry(const rc_worker *worker);
rc_log *rc_worker_log(const rc_worker *worker);
int64_t rc_worker_started_ms(const rc_worker *worker);

#endif
