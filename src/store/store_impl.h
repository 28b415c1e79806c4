/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What a back end of the store implements. store.c checks arguments once for all of them, so a
 * back end sees only names and configurations within bounds.
 */
#ifndef RC_STORE_IMPL_H
#define RC_STORE_IMPL_H

#include "store/store.h"

/** Name and configuration together; far above anything sensible, far below SQLite's limit. */
#define RC_STORE_CONFIG_MAX ((size_t)4 << 20)
#define RC_STORE_NAME_MAX 1024

typedef enum rc_write_kind { RC_WRITE_PUT, RC_WRITE_TARGET, RC_WRITE_DELETE } rc_write_kind;

/** One write, checked. */
typedef struct rc_store_write {
    rc_write_kind kind;
    const char *name;
    const omc_keyvalue *config; /**< PUT */
    int64_t expected;           /**< PUT */
    rc_target_state target;     /**< PUT: initial; TARGET */
    rc_stored_done_fn *done;
    void *arg;
} rc_store_write;

typedef struct rc_store_ops {
    void (*close)(rc_store *store);
    int (*each)(rc_store *store, rc_stored_fn *each, void *arg, rc_error *err);
    /** A back end that writes at once: what is stored now (PUT, TARGET), in `arena`. store.c calls
     *  `done`. NULL where `submit` is set. */
    int (*write)(rc_store *store, const rc_store_write *write, omc_arena *arena,
                 rc_stored_connector *ret, rc_error *err);
    /** One that takes its time: copies `write` and calls `done` itself. */
    void (*submit)(rc_store *store, const rc_store_write *write);
    /** NULL where nobody else writes. */
    void (*watch)(rc_store *store, void (*changed)(void *arg), void *arg);
} rc_store_ops;

/** First member of every back end's struct. */
struct rc_store {
    const rc_store_ops *ops;
    rc_clock *clock;
};

/**
 * Decides a conditional write: `version` is the one stored now, 0 when the connector does not
 * exist. @return 0 or -OMC_ESTATE naming both.
 */
int rc_store_check_version(const char *name, int64_t expected, int64_t version, rc_error *err);
/** -OMC_ENOTFOUND for a connector that is not there. */
int rc_store_unknown(const char *name, rc_error *err);

#endif
