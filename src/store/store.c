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

int rc_store_check_version(const rc_store_write *write, int64_t version, rc_error *err)
{
    if (write->expected < 0 || write->expected == version)
        return 0;
    if (write->expected == 0)
        return rc_fail(err, OMC_ESTATE,
                       "connector '%s' exists already, at version %lld; it was expected not to "
                       "exist",
                       write->name, (long long)version);
    if (version == 0)
        return rc_fail(err, OMC_ESTATE,
                       "connector '%s' does not exist (any more); version %lld was expected: "
                       "create it instead",
                       write->name, (long long)write->expected);
    return rc_fail(err, OMC_ESTATE,
                   "connector '%s' is at version %lld, version %lld was expected: somebody else "
                   "changed it; read it again and repeat the change",
                   write->name, (long long)version, (long long)write->expected);
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

int rc_store_put(rc_store *store, const char *name, const omc_keyvalue *config, int64_t expected,
                 rc_target_state initial, rc_stored_connector *ret, omc_arena *arena, rc_error *err)
{
    rc_store_write write = {
        .name = name,
        .config = config,
        .expected = expected,
        .initial = initial,
        .ret = ret,
        .arena = arena,
    };
    int r;

    RC_ASSERT(store && config && (!ret || arena));
    RC_ASSERT(initial >= RC_TARGET_STARTED && initial <= RC_TARGET_STOPPED);
    if ((r = check_name(name, err)) < 0 || (r = check_config(name, config, err)) < 0)
        return r;
    return store->ops->put(store, &write, err);
}

int rc_store_target(rc_store *store, const char *name, rc_target_state target, rc_error *err)
{
    RC_ASSERT(store && name);
    RC_ASSERT(target >= RC_TARGET_STARTED && target <= RC_TARGET_STOPPED);
    return store->ops->target(store, name, target, err);
}

int rc_store_delete(rc_store *store, const char *name, rc_error *err)
{
    RC_ASSERT(store && name);
    return store->ops->remove(store, name, err);
}

int rc_store_next_start(rc_store *store, int64_t *ret, rc_error *err)
{
    RC_ASSERT(store && ret);
    return store->ops->next_start(store, ret, err);
}
