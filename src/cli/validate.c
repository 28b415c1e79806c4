/* SPDX-License-Identifier: Apache-2.0 */
/* `validate`: the offline check of a pipeline or of a worker's configuration. */
#include "cli/check.h"
#include "cli/command.h"
#include "cli/service.h"
#include "config/properties.h"

#include <stdio.h>

static bool ends_with(const char *text, const char *end)
{
    const size_t len = strlen(text), n = strlen(end);

    return len >= n && !strcmp(text + len - n, end);
}

static int check_pipeline(const char *file, const rc_args *args, omc_arena *arena,
                          rc_problems *problems, rc_error *err)
{
    RC_AUTO(rc_registry) registry = NULL;
    rc_worker_config config;
    rc_pipeline pipeline;
    int r = rc_pipeline_load(file, NULL, arena, &pipeline, problems, err);

    if (r == 0)
        r = rc_pipeline_worker_config(&pipeline, false, arena, &config, problems, err);
    if (r == 0)
        r = rc_service_registry(&config, args->connectors, true, &registry, err);
    if (r == 0)
        r = rc_pipeline_check(&pipeline, registry, &config, arena, problems, err);
    return r;
}

/* A .properties file is a connector's when it names a class, else a worker's. */
static int check_properties(const char *file, const rc_args *args, omc_arena *arena,
                            rc_problems *problems, rc_error *err)
{
    RC_AUTO(rc_registry) registry = NULL;
    const omc_keyvalue *kv, none = {0};
    rc_connector_plan plan;
    rc_worker_config config;
    int r = rc_properties_load(file, arena, &kv, err);

    if (r < 0)
        return r;
    if (!omc_keyvalue_get(kv, "connector.class"))
        return rc_worker_config_parse(kv, arena, &config, problems, err);
    r = rc_worker_config_parse(&none, arena, &config, problems, err);
    if (r == 0)
        r = rc_service_registry(&config, args->connectors, true, &registry, err);
    if (r == 0)
        r = rc_connector_check(registry, &config, rc_kv_text(kv, "name", "connector", arena), kv,
                               arena, &plan, problems, err);
    return r;
}

static int run_validate(rc_args *args)
{
    const char *file = args->items[0];
    const bool yaml = ends_with(file, ".yaml") || ends_with(file, ".yml");
    rc_problems problems;
    rc_error err = {0};
    rc_arena arena;
    int r;

    rc_arena_init(&arena, 16 << 10);
    rc_problems_init(&problems, &arena.pub);
    r = yaml ? check_pipeline(file, args, &arena.pub, &problems, &err)
             : check_properties(file, args, &arena.pub, &problems, &err);
    rc_problems_print(&problems, yaml ? NULL : file, true);
    if (r < 0 && problems.errors == 0)
        (void)fprintf(stderr, "error: %s\n", err.msg);
    if (r == 0)
        printf("%s: valid\n", file);
    rc_arena_release(&arena);
    return r < 0 ? RC_EXIT_CONFIG : RC_EXIT_OK;
}

const rc_command rc_validate_commands[] = {
    {.name = "validate",
     .args = "FILE",
     .args_min = 1,
     .args_max = 1,
     .summary = "Check a pipeline (.yaml) or a configuration (.properties) offline.",
     .help = "\nNothing is started and nothing is written. A properties file is taken for a "
             "connector's when\nit has connector.class, else for a worker's.",
     .run = run_validate},
    {0},
};
