/* SPDX-License-Identifier: Apache-2.0 */
/* A file of the worker's keys, and --set pairs over it. */
#include "cli/config_file.h"

#include "base/diag.h"
#include "config/properties.h"

int rc_worker_config_usage(const rc_args *args)
{
    const char *pair;

    for (size_t i = 0; (pair = rc_args_nth(args, "set", i)); i++)
        if (!strchr(pair, '=') || *pair == '=')
            return rc_usage(args, "--set '%s': expected KEY=VALUE, such as httpPort=8083", pair);
    return RC_EXIT_OK;
}

int rc_worker_config_load(const rc_args *args, omc_arena *arena, rc_worker_config *ret,
                          rc_error *err)
{
    const char *path = rc_args_get(args, "config-file"), *pair;
    const omc_keyvalue *file = NULL;
    rc_problems problems;
    rc_kv kv;
    int r;

    if (!path)
        path = rc_args_get(args, "configFile");
    rc_kv_init(&kv, arena);
    if (path) {
        r = rc_properties_load(path, arena, &file, err);
        if (r < 0)
            return r;
        rc_kv_put_all(&kv, file);
    }
    for (size_t i = 0; (pair = rc_args_nth(args, "set", i)); i++) {
        const char *equals = strchr(pair, '=');

        rc_kv_put(&kv, omc_slice_of(pair, (size_t)(equals - pair)), omc_slice_str(equals + 1));
    }
    rc_problems_init(&problems, arena);
    r = rc_worker_config_parse(rc_kv_done(&kv), arena, ret, &problems, err);
    for (size_t i = 0; i < problems.count; i++)
        if (problems.items[i].warning)
            rc_warn("config", "%s", problems.items[i].text);
    return r < 0 ? rc_wrap(err, r, "%s", path ? path : "configuration") : 0;
}
