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

/** One write of a configuration; `ret` and `arena` may be NULL together. */
typedef struct rc_store_write {
    const char *name;
    const omc_keyvalue *config;
    int64_t expected;
    rc_target_state initial;
    rc_stored_connector *ret;
    omc_arena *arena;
} rc_store_write;

typedef struct rc_store_ops {
    void (*close)(rc_store *store);
    int (*each)(rc_store *store, rc_stored_fn *each, void *arg, rc_error *err);
    int (*put)(rc_store *store, const rc_store_write *write, rc_error *err);
    int (*target)(rc_store *store, const char *name, rc_target_state target, rc_error *err);
    int (*remove)(rc_store *store, const char *name, rc_error *err);
    int (*next_start)(rc_store *store, int64_t *ret, rc_error *err);
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
int rc_store_check_version(const rc_store_write *write, int64_t version, rc_error *err);
/** -OMC_ENOTFOUND for a connector that is not there. */
int rc_store_unknown(const char *name, rc_error *err);

#endif
