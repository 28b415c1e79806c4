/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What a worker must remember of its connectors: configuration, target state, version. Standalone
 * keeps it in one SQLite file, so that connectors created over REST survive a restart; a cluster
 * in topics (store/topic.h); the memory back end serves `run` and tests.
 *
 * Called on the control thread only. A write is answered by a call of `done`, once, when it is
 * durable: the local back ends call it before the function returns, topics later and on a thread
 * of their own, so `done` must neither block nor call the store.
 */
#ifndef RC_STORE_H
#define RC_STORE_H

#include "base/arena.h"
#include "base/clock.h"

typedef struct rc_store rc_store;

typedef enum rc_target_state {
    RC_TARGET_STARTED = 1,
    RC_TARGET_PAUSED = 2,
    RC_TARGET_STOPPED = 3
} rc_target_state;

typedef struct rc_stored_connector {
    const char *name;
    const omc_keyvalue *config;
    rc_target_state target;
    int64_t version;     /**< Grows with every change of the configuration, from 1. */
    int64_t incarnation; /**< Unique per creation: a re-created connector gets a new one. */
    int64_t changed_ms;
} rc_stored_connector;

/** Opens or makes `path` (SQLite). -OMC_EEXIST when another process holds it. */
int rc_store_open_local(const char *path, rc_clock *clock, rc_store **ret, rc_error *err);
rc_store *rc_store_new_memory(rc_clock *clock);
void rc_store_close(rc_store *store); /**< NULL is allowed. */

/** Calls `each` for every connector in order of names until it returns non-zero, which is then
 *  returned. The store may be changed meanwhile; what `each` sees is as it was at the start. */
typedef int rc_stored_fn(void *arg, const rc_stored_connector *connector);
int rc_store_each(rc_store *store, rc_stored_fn *each, void *arg, rc_error *err);

/** What became of a write. `now`: what is stored now, valid during the call; NULL on failure and
 *  of a connector that was deleted. `err`: when result < 0. */
typedef void rc_stored_done_fn(void *arg, int result, const rc_stored_connector *now,
                               const rc_error *err);
/**
 * Creates or replaces a configuration; keeps the target state of an existing one. Everything is
 * copied.
 * @param expected  Version it must have now; 0 = must not exist; -1 = whatever.
 * Results: 0; -OMC_ESTATE when the version differs (says both); -OMC_EINVAL (name or size).
 */
void rc_store_put(rc_store *store, const char *name, const omc_keyvalue *config, int64_t expected,
                  rc_target_state initial, rc_stored_done_fn *done, void *arg);
/** Results: 0; -OMC_ENOTFOUND. */
void rc_store_target(rc_store *store, const char *name, rc_target_state target,
                     rc_stored_done_fn *done, void *arg);
/** Results: 0; -OMC_ENOTFOUND. */
void rc_store_delete(rc_store *store, const char *name, rc_stored_done_fn *done, void *arg);
/** Has `changed` called, on any thread, whenever what rc_store_each() shows may have changed by
 *  somebody else; it must neither block nor call the store. NULL: no more, and when this returns
 *  no call is under way. Local stores have nobody else and never call it. */
void rc_store_watch(rc_store *store, void (*changed)(void *arg), void *arg);

RC_DEFINE_CLEANUP(rc_store, rc_store_close)

#endif
