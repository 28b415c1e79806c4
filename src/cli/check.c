/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can be said about a pipeline without starting anything: the worker's own check of each
 * connector, with the place in the file in front of every problem.
 */
#include "cli/check.h"

#include <stdio.h>

/* A run keeps little of what its sink has read, so that the disk does not need the data twice,
 * and gives up after a few failures in a row: somebody waits for its exit code. */
static const char *const run_defaults[][2] = {
    {"log", "embedded"},
    {"log.keep.bytes", "1GiB"},
    {"log.keep.time", "0"},
    {"log.segment.bytes", "256MiB"},
    {"task.restart.max", "5"},
    {"task.restart.delay", "500ms"},
    {"task.restart.delay.max", "10s"},
    {"log.level", "warn"},
};

int rc_pipeline_worker_config(const rc_pipeline *pipeline, bool rest, omc_arena *arena,
                              rc_worker_config *ret, rc_problems *problems, rc_error *err)
{
    rc_problems found;
    rc_kv kv;
    int r;

    rc_problems_init(&found, arena);
    rc_kv_init(&kv, arena);
    for (size_t i = 0; i < RC_COUNT(run_defaults); i++)
        rc_kv_put_str(&kv, run_defaults[i][0], run_defaults[i][1]);
    rc_kv_put_str(&kv, "workerId", pipeline->name);
    rc_kv_put_str(&kv, "storePathRootDir", pipeline->state_dir);
    rc_kv_put_str(&kv, "rest.enable", rest ? "true" : "false");
    rc_kv_put_all(&kv, pipeline->worker);
    r = rc_worker_config_parse(rc_kv_done(&kv), arena, ret, &found, err);
    for (size_t i = 0; i < found.count; i++) {
        const rc_problem *p = &found.items[i];

        rc_problem_add(problems, p->warning, "", "", "%s: %s",
                       rc_pipeline_where(pipeline, "worker", p->key, arena), p->text);
    }
    return r < 0 ? rc_wrap(err, r, "%s", pipeline->file) : 0;
}

/* The plugin's own check needs its options struct, filled from its table. */
static void check_plugin(const omc_plugin *plugin, const char *where, const char *name,
                         const omc_keyvalue *kv, omc_arena *arena, rc_problems *problems)
{
    const rc_option_table table = rc_plugin_table(plugin);
    void *options = omc_alloc0(arena, RC_MAX(table.options_size, (size_t)1));
    int (*validate)(const omc_config *, omc_error *) =
        plugin->kind == OMC_SINK ? ((const omc_sink_ops *)plugin->ops)->validate
                                 : ((const omc_source_ops *)plugin->ops)->validate;
    omc_config config = {
        .size = sizeof config, .raw = kv, .options = options, .plugin = plugin, .connector = name};
    rc_problems ignored; /* the worker's check has said it */
    rc_error err = {0};

    rc_problems_init(&ignored, arena);
    (void)rc_options_parse(&table, 1, kv, 0, &options, arena, &ignored);
    if (validate && ignored.errors == 0 && validate(&config, &err) < 0)
        rc_problem_add(problems, false, "", "", "%s: %s", where, err.msg);
}

static void check_connector(const rc_pipeline *pipeline, const char *section, unsigned kind,
                            rc_registry *registry, const rc_worker_config *config, omc_arena *arena,
                            rc_problems *problems)
{
    const bool source = kind == OMC_SOURCE;
    const omc_keyvalue *kv = source ? pipeline->source : pipeline->sink;
    const char *name = source ? pipeline->source_name : pipeline->sink_name;
    const char *class_where = rc_pipeline_where(pipeline, section, "connector.class", arena);
    rc_connector_plan plan = {0};
    const char *class_name = rc_kv_text(kv, "connector.class", "", arena);
    const omc_plugin *plugin = NULL;
    rc_problems found;
    rc_error err = {0};
    int r;

    if (rc_registry_connector(registry, class_name, &plugin, &err) == 0 && plugin->kind != kind) {
        rc_problem_add(problems, false, "", "",
                       "%s: '%s' is a %s and cannot be the %s of a pipeline", class_where,
                       class_name, rc_plugin_kind_name(plugin->kind), section);
        return; /* its keys would only be strange */
    }
    rc_problems_init(&found, arena);
    r = rc_connector_check(registry, config, name, kv, arena, &plan, &found, &err);
    for (size_t i = 0; i < found.count; i++) {
        const rc_problem *p = &found.items[i];

        rc_problem_add(problems, p->warning, "", "", "%s: %s: %s",
                       rc_pipeline_where(pipeline, section, p->key, arena), section, p->text);
    }
    if (r < 0 && found.errors == 0)
        rc_problem_add(problems, false, "", "", "%s: %s: %s", class_where, section, err.msg);
    if (r == 0)
        check_plugin(plan.plugin, class_where, name, kv, arena, problems);
}

int rc_pipeline_check(const rc_pipeline *pipeline, rc_registry *registry,
                      const rc_worker_config *config, omc_arena *arena, rc_problems *problems,
                      rc_error *err)
{
    check_connector(pipeline, "source", OMC_SOURCE, registry, config, arena, problems);
    check_connector(pipeline, "sink", OMC_SINK, registry, config, arena, problems);
    return problems->errors ? rc_fail(err, OMC_EINVAL, "%s: %zu problem%s", pipeline->file,
                                      problems->errors, problems->errors == 1 ? "" : "s")
                            : 0;
}

void rc_problems_print(const rc_problems *problems, const char *file, bool warnings)
{
    const char *colon = file ? ": " : "";

    file = file ? file : "";
    for (size_t i = 0; i < problems->count; i++)
        if (!problems->items[i].warning)
            (void)fprintf(stderr, "error: %s%s%s\n", file, colon, problems->items[i].text);
    for (size_t i = 0; warnings && i < problems->count; i++)
        if (problems->items[i].warning)
            (void)fprintf(stderr, "warning: %s%s%s\n", file, colon, problems->items[i].text);
}
