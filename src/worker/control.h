/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the control thread: connectors, their generations and task slots, the calls into
 * plugins, and the ops that come from outside. Private to the room.
 *
 * Only the control thread touches connectors and slots. Everybody else posts an op.
 *
 *   request ----+
 *   task state -+--> op queue --> control thread --> commands to tasks, calls to plugins, replies
 *   call done --+
 */
#ifndef RC_CONTROL_H
#define RC_CONTROL_H

#include "base/hash.h"
#include "worker/ownership.h"
#include "worker/task.h"

#include <stdatomic.h>

#define RC_REQUESTS_MAX 1024
#define RC_CALLS_MAX 16
#define RC_STARTS_MAX 8

/** A started connector: its plan, its plugin's connector half, its tasks' configurations.
 *  Made and ended by calls (a call thread at a time), read by the control thread in between. */
typedef struct rc_generation {
    rc_arena arena;
    rc_worker *worker;
    const char *connector;
    int64_t number;
    rc_connector_plan plan;
    omc_config config;
    void *instance; /* connector half; NULL without one */
    omc_connector_context ctx;
    bool started;           /* connector_start was called: connector_stop is due */
    atomic_bool configured; /* task_configs was called: asking for it again means something */
    size_t task_count;
    const omc_keyvalue **tasks; /* whole configuration of each */
} rc_generation;

typedef enum rc_call_kind {
    RC_CALL_CHECK,
    RC_CALL_START,
    RC_CALL_STOP,
    RC_CALL_RELOAD,
    RC_CALL_VERIFY
} rc_call_kind;

/** One call into a connector plugin, on a thread of its own, under a deadline. */
typedef struct rc_call {
    struct rc_call *prev, *next;
    rc_call_kind kind;
    rc_worker *worker;
    char *connector;
    int64_t incarnation;
    rc_arena arena;             /* CHECK: results; all: inputs */
    const omc_keyvalue *config; /* CHECK, START */
    int64_t generation_number;  /* START */
    rc_generation *generation;  /* START: result; STOP: input */
    struct rc_op *request;      /* CHECK, RELOAD: whose */
    int64_t base_version;       /* CHECK: of the connector the configuration was made from; 0 */
    int64_t wait_deadline_ns;   /* CHECK: for a deleted connector of that name to be gone */
    rc_problems problems;       /* CHECK */
    const omc_plugin *plugin;   /* CHECK: result */
    int result;
    rc_error err;
    int task;        /* VERIFY: which, */
    rc_fence *fence; /* with a reference, */
    uint64_t epoch;  /* and since when it waits for it */
    bool running;    /* control thread; false = waits for one of RC_CALLS_MAX threads */
    bool done;       /* [mu] set by the call's thread: its op is on the way */
    bool abandoned;  /* [mu] set by the control thread unless done: nobody waits any more */
    int64_t timeout_ms;
    int64_t deadline_ns; /* set when it runs */
} rc_call;

/** What a ruled worker knows of one of its units (units.c). Without a ruler all is zero. */
typedef struct rc_unit {
    rc_fence *fence; /* NULL = not owned */
    enum { RC_LEAVE_NOT, RC_LEAVE_DRAIN, RC_LEAVE_LOSE } leave;
    bool suspended;
    bool told;         /* STARTED was reported */
    uint64_t epoch;    /* of the fence, when it was resumed last */
    bool verifying;    /* a call for that is under way */
    int64_t verify_ns; /* the next one; 0 = none */
    char *reason;      /* of SUSPEND, DRAIN, LOSE; NULL = none */
} rc_unit;

typedef struct rc_task_slot {
    int id;
    rc_unit unit;
    int64_t record_generation, record_number; /* ruled: of the record it runs from */
    rc_arena memory;                          /* ruled: of config */
    const omc_keyvalue *config;               /* in the generation, or in memory */
    rc_state state;
    rc_error why;
    int64_t since_ms;
    rc_task *task; /* NULL = not running */
    rc_task_metrics *metrics;
    bool stopping;
    int64_t stop_deadline_ns;
    int failures;     /* in a row without progress */
    int64_t progress; /* records moved when it was last started */
    int64_t retry_ns; /* RESTARTING: when; 0 = not waiting */
} rc_task_slot;

typedef enum rc_phase { RC_IDLE, RC_STARTING, RC_RUNNING, RC_STOPPING, RC_ENDING } rc_phase;

typedef struct rc_connector {
    char *name;
    rc_arena memory; /* of config */
    const omc_keyvalue *config;
    int64_t version, incarnation;
    rc_target_state target;
    rc_phase phase;
    rc_state state;
    rc_error why;
    int64_t since_ms;
    int failures;
    int64_t retry_ns;
    bool deleted;
    uint64_t seen;   /* by which look at the store */
    bool again;      /* stop, then start with the present configuration */
    bool stuck;      /* a task of this generation was abandoned: its plugin may still use it */
    rc_call *call;   /* START or STOP under way */
    rc_error raised; /* by the plugin while it started; code 0 = nothing */
    rc_generation *generation;
    const omc_plugin *plugin; /* last known, for views */
    rc_task_slot *slots;
    size_t slot_count; /* ruled: those that are owned */
    /* Ruled only: */
    rc_unit half;
    rc_arena record_memory;
    rc_task_record record; /* newest known; tasks NULL = none */
    bool publishing;       /* a record is on its way to the book */
    int64_t publish_ns;    /* to be tried again; 0 = not */
    UT_hash_handle hh;
} rc_connector;

typedef enum rc_op_kind {
    RC_OP_REQUEST,
    RC_OP_CALL_DONE,
    RC_OP_TASK_STATE,
    RC_OP_TASK_ENDED,
    RC_OP_RECONFIGURE,
    RC_OP_RAISE,
    RC_OP_STORED,        /* a write to the store was answered */
    RC_OP_STORE_CHANGED, /* another worker has written to it */
    RC_OP_ORDER,         /* ruled, as the others below */
    RC_OP_RECORD,        /* a task record has changed */
    RC_OP_PUBLISHED      /* a record of ours is durable, or is not */
} rc_op_kind;

typedef struct rc_op {
    struct rc_op *next;
    rc_op_kind kind;
    rc_arena arena;
    rc_request request;        /* RC_OP_REQUEST: deep copy */
    const omc_keyvalue *given; /* configuration as it came: request.config is made from it */
    rc_call *call; /* RC_OP_REQUEST: that checked the configuration, while it is written */
    const char *connector;
    int64_t number; /* generation */
    int task_id;
    rc_task *task;
    rc_state state;
    rc_ending ending;
    rc_order order; /* with a reference to its fence */
    uint64_t epoch; /* of that when it was given */
    void *arg;
    rc_error err;
    bool created;               /* RC_OP_REQUEST: there was none when it was written */
    struct rc_op *asked;        /* RC_OP_STORED: the request */
    int result;                 /* RC_OP_STORED */
    rc_stored_connector stored; /* RC_OP_STORED: what is there now; no name = nothing */
} rc_op;

/** Between the store and the worker: answers may come when the worker is gone. */
typedef struct rc_store_link {
    pthread_mutex_t mu;
    rc_worker *worker; /* [mu] NULL: gone */
    size_t writes;     /* [mu] not answered yet; the last one frees this when the worker is gone */
} rc_store_link;

struct rc_worker {
    rc_worker_setup setup;
    pthread_t thread;
    int64_t started_ms;
    pthread_mutex_t mu; /* guards ops, request_count, stopping, calls' progress and abandoned */
    pthread_cond_t cond;
    rc_op *ops;
    size_t request_count;
    bool stopping;
    int64_t stop_deadline_ns;
    /* control thread only: */
    bool closing; /* stopping, as the control thread knows it */
    rc_connector *connectors;
    rc_call *calls;
    rc_store_link *link;
    rc_op *writing;            /* requests whose write is not answered yet, by `next` */
    atomic_bool store_changed; /* an op about it is on its way */
    uint64_t looks;            /* at the store */
    bool look_again;           /* when a deleted connector has ended */
    rc_call *parked;           /* checked writes that wait until a deleted connector has ended */
    size_t call_count;         /* running */
    size_t start_count;        /* of them, starts of connectors */
    int64_t next_generation;
    int abandoned;
    size_t publishing; /* task records on their way: who stores them has an op of ours */
};

/* control.c */
rc_op *rc_op_new(rc_op_kind kind);
void rc_op_free(rc_op *op);
void rc_control_post(rc_worker *worker, rc_op *op);
void *rc_control_main(void *worker);
rc_connector *rc_control_find(rc_worker *worker, const char *name);
void rc_control_changed(rc_worker *worker);
int64_t rc_control_now(rc_worker *worker);

/* calls.c */
rc_call *rc_call_new(rc_worker *worker, rc_call_kind kind, const char *connector,
                     int64_t incarnation);
void rc_call_submit(rc_call *call, int64_t timeout_ms);
void rc_call_finished(rc_call *call); /* control thread, after RC_OP_CALL_DONE: off the list */
void rc_call_free(rc_call *call);
void rc_call_hurry(rc_call *call);
void rc_calls_expire(rc_worker *worker);
int64_t rc_calls_deadline(rc_worker *worker);

/* generation.c: bodies of calls, on the call's thread */
void rc_generation_check(rc_call *call);
void rc_generation_start(rc_call *call);
void rc_generation_stop(rc_call *call);
void rc_generation_reload(rc_call *call);
void rc_generation_free(rc_generation *generation);
/* task.c: what plugins get from their host */
const omc_host *rc_host_services(void);

/* slots.c */
void rc_slot_state(rc_worker *worker, rc_task_slot *slot, rc_state state, const rc_error *why);
/* Nanoseconds until the next try after `failures` in a row; -1 = no more. */
int64_t rc_restart_delay(const rc_worker *worker, int failures, const rc_error *err);
rc_command rc_slot_command(const rc_connector *c);
void rc_slot_start(rc_worker *worker, rc_connector *c, rc_task_slot *slot);
void rc_slot_stop(rc_worker *worker, rc_task_slot *slot);
/* Says RESTARTING with a time, or FAILED. */
void rc_slot_failed(rc_worker *worker, rc_connector *c, rc_task_slot *slot, const rc_error *why);
/* A stop that takes too long makes it STUCK; a restart that is due happens. */
void rc_slot_timer(rc_worker *worker, rc_connector *c, rc_task_slot *slot, int64_t now);
void rc_slots_make(rc_worker *worker, rc_connector *c);
void rc_slots_free(rc_connector *c);
bool rc_slots_ended(const rc_connector *c);
/* Slot of the task an op is about; NULL when it was abandoned meanwhile. */
rc_task_slot *rc_slot_find(rc_worker *worker, const rc_op *op, rc_connector **ret);

/* units.c: a ruled worker */
static inline bool rc_ruled(const rc_worker *worker)
{
    return worker->setup.ruler != NULL;
}
void rc_units_order(rc_worker *worker, rc_op *op);
void rc_units_record(rc_worker *worker, const char *connector);
/* Tasks that should run and do not, or the other way round. */
void rc_units_converge(rc_worker *worker, rc_connector *c);
/* The half may run: it is owned, and not on its way out. */
bool rc_units_half_wanted(const rc_connector *c);
/* The half has started: its task configurations become the record, unless they are it already. */
void rc_units_publish(rc_worker *worker, rc_connector *c);
void rc_units_published(rc_worker *worker, const rc_op *op);
/* The half is IDLE: what it leaves is reported. */
void rc_units_half_idle(rc_worker *worker, rc_connector *c);
void rc_units_half_failed(rc_worker *worker, rc_connector *c, const rc_error *why);
/* A task has ended: reports, and forgets the slot when it is not owned any more. */
void rc_units_ended(rc_worker *worker, rc_connector *c, rc_task_slot *slot, const rc_op *op);
/* The first state a task has reported since its start. */
void rc_units_running(rc_worker *worker, rc_connector *c, rc_task_slot *slot);
/* A task does not return: nothing of it may leave any more. */
void rc_units_stuck(rc_worker *worker, rc_connector *c, rc_task_slot *slot, const rc_error *why);
void rc_units_verify(rc_call *call); /* on the call's thread */
void rc_units_verified(rc_worker *worker, rc_call *call);
void rc_units_timers(rc_worker *worker, rc_connector *c, int64_t now);
int64_t rc_units_deadline(const rc_worker *worker, const rc_connector *c);
void rc_units_restart(rc_worker *worker, rc_connector *c, bool only_failed);
void rc_units_restart_task(rc_worker *worker, rc_connector *c, rc_task_slot *slot);
/* NULL when the task is not this worker's. */
rc_task_slot *rc_units_slot(const rc_connector *c, int id);
void rc_units_free(rc_connector *c);

/* lifecycle.c */
rc_connector *rc_lifecycle_add(rc_worker *worker, const rc_stored_connector *stored);
void rc_lifecycle_config(rc_worker *worker, rc_connector *c, const rc_stored_connector *stored);
void rc_lifecycle_converge(rc_worker *worker, rc_connector *c);
void rc_lifecycle_call_done(rc_worker *worker, rc_call *call);
void rc_lifecycle_call_expired(rc_worker *worker, rc_call *call);
void rc_lifecycle_task_state(rc_worker *worker, const rc_op *op);
void rc_lifecycle_task_ended(rc_worker *worker, const rc_op *op);
void rc_lifecycle_restart(rc_worker *worker, rc_connector *c, bool only_failed);
int rc_lifecycle_restart_task(rc_worker *worker, rc_connector *c, int id, rc_error *err);
void rc_lifecycle_timers(rc_worker *worker);
int64_t rc_lifecycle_deadline(rc_worker *worker);
bool rc_lifecycle_all_idle(rc_worker *worker);
void rc_lifecycle_state(rc_worker *worker, rc_connector *c, rc_state state, const rc_error *why);
void rc_lifecycle_free(rc_connector *c);

/* requests.c */
void rc_requests_handle(rc_worker *worker, rc_op *op);
void rc_requests_checked(rc_worker *worker, rc_call *call);
void rc_requests_reloaded(rc_call *call);
/* A deleted connector is gone: who waited to create it again goes on. */
void rc_requests_unpark(rc_worker *worker, const char *name);
void rc_requests_timers(rc_worker *worker);
int64_t rc_requests_deadline(rc_worker *worker);
/* What the store said: to a write; or that somebody else has written. */
void rc_requests_stored(rc_worker *worker, rc_op *op);
void rc_requests_look(rc_worker *worker);
void rc_requests_unlink(rc_worker *worker);
/* Answers what waits for a call, the store or a connector; the worker stops and will not. */
void rc_requests_abandon(rc_worker *worker);
void rc_requests_refuse(rc_op *op, int code, const char *text);

/* views.c */
const rc_connector_view *rc_views_make(rc_worker *worker, rc_connector *only, omc_arena *arena,
                                       size_t *ret_count);

#endif
