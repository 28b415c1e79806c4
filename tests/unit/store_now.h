/* SPDX-License-Identifier: Apache-2.0 */
/** Writes to a store whose back end answers at once, as plain calls. */
#ifndef RC_TEST_STORE_NOW_H
#define RC_TEST_STORE_NOW_H

#include "config/options.h"
#include "store/store.h"

typedef struct store_answer {
    bool done;
    int result;
    rc_stored_connector *ret;
    omc_arena *arena;
    rc_error *err;
} store_answer;

static inline void store_answered(void *arg, int result, const rc_stored_connector *now,
                                  const rc_error *err)
{
    store_answer *a = arg;

    RC_ASSERT(!a->done);
    a->done = true;
    a->result = result;
    if (result < 0 && a->err)
        *a->err = *err;
    if (!now || !a->ret)
        return;
    *a->ret = *now;
    a->ret->name = omc_copy(a->arena, now->name, strlen(now->name));
    a->ret->config = rc_kv_copy(now->config, a->arena);
}

static inline int store_put_now(rc_store *store, const char *name, const omc_keyvalue *config,
                                int64_t expected, rc_target_state initial, rc_stored_connector *ret,
                                omc_arena *arena, rc_error *err)
{
    store_answer a = {.ret = ret, .arena = arena, .err = err};

    rc_store_put(store, name, config, expected, initial, store_answered, &a);
    RC_ASSERT(a.done);
    return a.result;
}

static inline int store_target_now(rc_store *store, const char *name, rc_target_state target,
                                   rc_error *err)
{
    store_answer a = {.err = err};

    rc_store_target(store, name, target, store_answered, &a);
    RC_ASSERT(a.done);
    return a.result;
}

static inline int store_delete_now(rc_store *store, const char *name, rc_error *err)
{
    store_answer a = {.err = err};

    rc_store_delete(store, name, store_answered, &a);
    RC_ASSERT(a.done);
    return a.result;
}

#endif
