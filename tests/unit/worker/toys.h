/* SPDX-License-Identifier: Apache-2.0 */
/** Toy connectors and a worker around them, for the tests of this room. */
#ifndef RC_TOYS_H
#define RC_TOYS_H

#include "log/embedded.h"
#include "worker/worker.h"

#include <openmessaging/connect.h>

/** What the toy sink has got, and what the toys are told to do. All guarded by `mu`. */
typedef struct toy_world {
    pthread_mutex_t mu;
    pthread_cond_t cond;
    char **lines; /* put so far, in order */
    size_t count, cap;
    size_t flushed;               /* lines at the last flush */
    int put_failures;             /* next puts fail, retriable */
    int poll_failures;            /* next polls fail, retriable */
    int start_failures;           /* next starts of a source fail, not retriable but restartable */
    int commits;                  /* commit() calls of the source */
    int stored, dropped, skipped; /* send results */
    bool block_put;               /* put does not return */
    bool block_stop;
    int stops;
} toy_world;

extern toy_world toys;
void toys_reset(void);
/** Waits up to 10 s until the sink has `count` lines. */
bool toys_wait(size_t count);

typedef struct toy_rig {
    char dir[64];
    rc_arena arena;
    rc_worker_config config;
    rc_registry *registry;
    rc_store *store;
    rc_log *log;
    rc_worker *worker;
} toy_rig;

/** A registry with all toys; the caller's. */
rc_registry *toy_registry(void);
/** A worker on an embedded log in a new folder, with toy-source and toy-sink. `tune` may change
 *  the configuration before the start. */
void toy_rig_open(toy_rig *rig, void (*tune)(rc_worker_config *config));
/** Stops the worker and its log, and starts both again; in between the store is the caller's. */
void toy_rig_halt(toy_rig *rig);
void toy_rig_start(toy_rig *rig);
/** Both. */
void toy_rig_restart(toy_rig *rig);
void toy_rig_close(toy_rig *rig);
/** Puts a connector from "key=value" texts, NULL-terminated. */
int toy_put(toy_rig *rig, const char *name, rc_error *err, ...);
int toy_request(toy_rig *rig, rc_request_kind kind, const char *name, rc_error *err);
/** Waits up to 10 s until the first task (or the connector when task < 0) is in `state`. */
bool toy_wait_state(toy_rig *rig, const char *name, int task, rc_state state);
/** Trace of the task (or connector), in `out`. */
void toy_trace(toy_rig *rig, const char *name, int task, char *out, size_t size);
int64_t toy_metric(toy_rig *rig, const char *name, rc_task_metric id);
/** Waits up to 10 s until the first task's metric has that value. */
bool toy_wait_metric(toy_rig *rig, const char *name, rc_task_metric id, int64_t value);

#endif
