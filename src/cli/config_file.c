/* SPDX-License-Identifier: Apache-2.0 */
/* A file of the worker's keys, and --set pairs over it. */
#include "cli/config_file.h"

#include "base/diag.h"
#include "config/properties.h"

int rc_worker_config_usage(const rc_args *args)
{
    rc_arena arena;
    rc_kv kv;
    int code;

    rc_arena_init(&arena, 1024);
    rc_kv_init(&kv, &arena.pub);
    code = rc_args_sets(args, &kv);
    rc_arena_release(&arena);
    return code;
}

int rc_worker_config_load(const rc_args *args, omc_arena *arena, rc_worker_config *ret,
                          rc_error *err)
{
    const char *path = rc_args_get(args, "config-file");
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
    (void)rc_args_sets(args, &kv); /* rc_worker_config_usage() has said what is wrong. */
    rc_problems_init(&problems, arena);
    r = rc_worker_config_parse(rc_kv_done(&kv), arena, ret, &problems, err);
    for (size_t i = 0; i < problems.count; i++)
        if (problems.items[i].warning)
            rc_warn("config", "%s", problems.items[i].text);
    return r < 0 ? rc_wrap(err, r, "%s", path ? path : "configuration") : 0;
}
