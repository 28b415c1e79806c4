/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The store's front: checks what came from outside, then calls the back end. Rules that both back
 * ends share (bounds, conditional writes) are here, so that they cannot differ.
 */
#include "store/store_impl.h"

void rc_store_close(rc_store *store)
{
    if (store)
        store->ops->close(store);
}

static int check_name(const char *name, rc_error *err)
{
    RC_ASSERT(name);
    if (!*name || strnlen(name, RC_STORE_NAME_MAX + 1) > RC_STORE_NAME_MAX)
        return rc_fail(err, OMC_EINVAL, "connector name '%.60s': must have 1 to %d bytes", name,
                       RC_STORE_NAME_MAX);
    return 0;
}

static int check_config(const char *name, const omc_keyvalue *config, rc_error *err)
{
    size_t bytes = 0;

    for (size_t i = 0; i < config->count; i++)
        bytes += config->pairs[i].key.len + config->pairs[i].value.len;
    if (bytes > RC_STORE_CONFIG_MAX)
        return rc_fail(err, OMC_EINVAL,
                       "connector '%s': its configuration has %zu bytes, at most %zu can be "
                       "stored: move long values to a file",
                       name, bytes, RC_STORE_CONFIG_MAX);
    return 0;
}

int rc_store_check_version(const char *name, int64_t expected, int64_t version, rc_error *err)
{
    if (expected < 0 || expected == version)
        return 0;
    if (expected == 0)
        return rc_fail(err, OMC_ESTATE,
                       "connector '%s' exists already, at version %lld; it was expected not to "
                       "exist",
                       name, (long long)version);
    if (version == 0)
        return rc_fail(err, OMC_ESTATE,
                       "connector '%s' does not exist (any more); version %lld was expected: "
                       "create it instead",
                       name, (long long)expected);
    return rc_fail(err, OMC_ESTATE,
                   "connector '%s' is at version %lld, version %lld was expected: somebody else "
                   "changed it; read it again and repeat the change",
                   name, (long long)version, (long long)expected);
}

int rc_store_unknown(const char *name, rc_error *err)
{
    return rc_fail(err, OMC_ENOTFOUND, "connector '%s' does not exist", name);
}

int rc_store_each(rc_store *store, rc_stored_fn *each, void *arg, rc_error *err)
{
    RC_ASSERT(store && each);
    return store->ops->each(store, each, arg, err);
}

static int write_now(rc_store *store, const rc_store_write *write, rc_error *err)
{
    rc_stored_connector now;
    rc_arena arena;
    int r;

    rc_arena_init(&arena, 4096);
    r = store->ops->write(store, write, &arena.pub, &now, err);
    if (r == 0)
        write->done(write->arg, 0, write->kind == RC_WRITE_DELETE ? NULL : &now, NULL);
    rc_arena_release(&arena);
    return r;
}

static void write_checked(rc_store *store, const rc_store_write *write)
{
    rc_error err = {0};
    int r = check_name(write->name, &err);

    RC_ASSERT(store && write->done);
    if (r == 0 && write->config)
        r = check_config(write->name, write->config, &err);
    if (r == 0 && store->ops->submit) {
        store->ops->submit(store, write);
        return;
    }
    if (r == 0)
        r = write_now(store, write, &err);
    if (r < 0)
        write->done(write->arg, r, NULL, &err);
}

void rc_store_put(rc_store *store, const char *name, const omc_keyvalue *config, int64_t expected,
                  rc_target_state initial, rc_stored_done_fn *done, void *arg)
{
    RC_ASSERT(config && initial >= RC_TARGET_STARTED && initial <= RC_TARGET_STOPPED);
    write_checked(store, &(rc_store_write){.kind = RC_WRITE_PUT,
                                           .name = name,
                                           .config = config,
                                           .expected = expected,
                                           .target = initial,
                                           .done = done,
                                           .arg = arg});
}

void rc_store_target(rc_store *store, const char *name, rc_target_state target,
                     rc_stored_done_fn *done, void *arg)
{
    RC_ASSERT(target >= RC_TARGET_STARTED && target <= RC_TARGET_STOPPED);
    write_checked(store, &(rc_store_write){.kind = RC_WRITE_TARGET,
                                           .name = name,
                                           .target = target,
                                           .done = done,
                                           .arg = arg});
}

void rc_store_delete(rc_store *store, const char *name, rc_stored_done_fn *done, void *arg)
{
    write_checked(
        store, &(rc_store_write){.kind = RC_WRITE_DELETE, .name = name, .done = done, .arg = arg});
}

void rc_store_watch(rc_store *store, void (*changed)(void *arg), void *arg)
{
    RC_ASSERT(store);
    if (store->ops->watch)
        store->ops->watch(store, changed, arg);
}
