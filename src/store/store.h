/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What a worker must remember of its connectors: configuration, target state, version; and a
 * counter of its starts (the generation of a standalone worker). Standalone keeps it in one
 * SQLite file, so that connectors created over REST survive a restart; the memory back end
 * serves `run` and tests.
 *
 * Called on the control thread only. Writes are durable when they return.
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
/**
 * Creates or replaces a configuration; keeps the target state of an existing one.
 * @param expected  Version it must have now; 0 = must not exist; -1 = whatever.
 * @param[out] ret  What is stored now, in `arena`; both may be NULL.
 * @return 0; -OMC_ESTATE when the version differs (says both).
 */
int rc_store_put(rc_store *store, const char *name, const omc_keyvalue *config, int64_t expected,
                 rc_target_state initial, rc_stored_connector *ret, omc_arena *arena,
                 rc_error *err);
int rc_store_target(rc_store *store, const char *name, rc_target_state target, rc_error *err);
int rc_store_delete(rc_store *store, const char *name, rc_error *err);
/** Adds one to the counter of starts and returns it; never repeats for this store. */
int rc_store_next_start(rc_store *store, int64_t *ret, rc_error *err);

RC_DEFINE_CLEANUP(rc_store, rc_store_close)

#endif
