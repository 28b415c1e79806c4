/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `plugin ...`. Lists and descriptions come from a worker when one is named or answers, else from
 * what this program has built in and finds in --path: a user of `run` has no worker.
 */
#include "base/diag.h"
#include "cli/client.h"
#include "cli/service.h"
#include "host/serve.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

/* With --path as a worker would: plugins of hosts too. */
static int local_registry(const rc_args *args, bool warn, omc_arena *arena, rc_registry **ret,
                          rc_error *err)
{
    const omc_keyvalue none = {0};
    rc_worker_config config = {0};
    const char *paths[RC_CLI_GIVEN_MAX];
    rc_problems problems;
    size_t count = 0;
    int r;

    rc_diag_set_level(OMC_WARN); /* hosts that come and go are no news here */
    rc_problems_init(&problems, arena);
    r = rc_args_has(args, "path") ? rc_worker_config_parse(&none, arena, &config, &problems, err)
                                  : 0;
    if (r < 0)
        return r;
    while ((paths[count] = rc_args_nth(args, "path", count))) {
        if (access(paths[count], R_OK) < 0)
            return rc_fail_errno(err, errno, "--path '%s'", paths[count]);
        count++;
    }
    config.plugin_paths = (omc_list){count, paths};
    return rc_service_registry(&config, args->connectors, warn, ret, err);
}

static json_t *local_list(rc_registry *registry)
{
    const rc_plugin_info *infos;
    json_t *list = json_array();
    rc_arena arena;
    size_t count;

    rc_arena_init(&arena, 16 << 10);
    count = rc_registry_list(registry, &arena.pub, &infos);
    for (size_t i = 0; i < count; i++) {
        const omc_plugin *plugin = infos[i].plugin;

        (void)json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "class",
                                                    rc_plugin_class(plugin, &arena.pub), "type",
                                                    rc_plugin_kind_name(plugin->kind), "version",
                                                    plugin->version ? plugin->version : "", "name",
                                                    plugin->name, "location", infos[i].location,
                                                    "doc", plugin->doc ? plugin->doc : ""));
    }
    rc_arena_release(&arena);
    return list;
}

static json_t *local_refused(rc_registry *registry)
{
    const rc_refusal *refusals;
    json_t *list = json_array();
    rc_arena arena;
    size_t count;

    rc_arena_init(&arena, 4 << 10);
    count = rc_registry_refusals(registry, &arena.pub, &refusals);
    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(list, json_pack("{s:s, s:s, s:b}", "location", refusals[i].file,
                                                    "error", refusals[i].why.msg, "part",
                                                    refusals[i].part));
    rc_arena_release(&arena);
    return list;
}

static int worker_lists(const rc_client *client, json_t **plugins, json_t **refused, rc_error *err)
{
    int r = rc_client_call(client, "GET", "/connector-plugins?connectorsOnly=false", NULL, plugins,
                           err);

    if (r < 0)
        return r;
    r = rc_client_call(client, "GET", "/connector-plugins?refused=true", NULL, refused, err);
    if (r < 0)
        json_decref(*plugins);
    return r;
}

static int local_lists(const rc_args *args, json_t **plugins, json_t **refused, rc_error *err)
{
    rc_registry *registry = NULL;
    rc_arena arena;
    int r;

    rc_arena_init(&arena, 4 << 10);
    r = local_registry(args, false, &arena.pub, &registry, err);
    if (r == 0) {
        *plugins = local_list(registry);
        *refused = local_refused(registry);
        rc_registry_free(registry);
    }
    rc_arena_release(&arena);
    return r;
}

/* From the worker, or from this program when no worker was asked for and none answers. */
static int get_lists(const rc_args *args, json_t **plugins, json_t **refused, rc_error *err)
{
    rc_client client = {0};
    int r = rc_args_has(args, "path") ? -OMC_ECONNECT : rc_client_open(args, &client, err);

    if (r == 0)
        r = worker_lists(&client, plugins, refused, err);
    if (r == 0 || client.url_given)
        return r;
    return local_lists(args, plugins, refused, err);
}

static int print_lists(const json_t *plugins, const json_t *refused)
{
    rc_table table = {0};
    const json_t *item;
    size_t i;
    int r;

    rc_table_row(&table, "TYPE", "NAME", "VERSION", "CLASS", NULL);
    json_array_foreach(plugins, i, item)
        rc_table_row(&table, rc_json_text(item, "type"), rc_json_text(item, "name"),
                     rc_json_text(item, "version"), rc_json_text(item, "class"), NULL);
    r = rc_table_print(&table);
    if (r != RC_EXIT_OK || json_array_size(refused) == 0)
        return r;
    (void)putchar('\n');
    rc_table_row(&table, "REFUSED", "WHY", NULL);
    json_array_foreach(refused, i, item)
        rc_table_row(&table, rc_json_text(item, "location"), rc_json_text(item, "error"), NULL);
    return rc_table_print(&table);
}

static int run_list(rc_args *args)
{
    rc_error err = {0};
    json_t *plugins = NULL, *refused = NULL;
    int r;

    if (get_lists(args, &plugins, &refused, &err) < 0)
        return rc_exit_print(&err);
    if (rc_args_has(args, "json")) {
        json_t *both = json_pack("{s:o, s:o}", "plugins", plugins, "refused", refused);

        r = rc_json_print(both);
        json_decref(both);
        return r;
    }
    r = print_lists(plugins, refused);
    json_decref(plugins);
    json_decref(refused);
    return r;
}

static int run_probe(rc_args *args)
{
    return rc_plugin_probe_main(args->items[0], STDOUT_FILENO);
}

static int run_host(rc_args *args)
{
    return rc_host_serve(STDIN_FILENO, args->connectors);
}

static const omc_plugin *find_any(rc_registry *registry, const char *name)
{
    static const omc_plugin_kind kinds[] = {OMC_SOURCE, OMC_SINK, OMC_TRANSFORM, OMC_PREDICATE,
                                            OMC_CONVERTER};
    const omc_plugin *plugin = NULL;

    for (size_t i = 0; i < RC_COUNT(kinds) && !plugin; i++)
        plugin = rc_registry_find(registry, kinds[i], name);
    return plugin;
}

static int describe(rc_registry *registry, const char *name)
{
    const omc_plugin *plugin = find_any(registry, name);
    rc_buf out = RC_BUF(1 << 20);
    rc_error err = {0};
    int r;

    if (!plugin) {
        (void)rc_registry_connector(registry, name, &plugin, &err);
        return rc_exit_print(&err);
    }
    rc_buf_printf(&out, "%s %s, a %s. %s\n", plugin->name, plugin->version ? plugin->version : "",
                  rc_plugin_kind_name(plugin->kind), plugin->doc ? plugin->doc : "");
    if (plugin->classes)
        rc_buf_printf(&out, "Also known as %s.\n", plugin->classes);
    if (plugin->options) {
        const rc_option_table table = rc_plugin_table(plugin);

        rc_buf_char(&out, '\n');
        rc_options_describe(&table, &out);
    }
    r = rc_print(&out);
    rc_buf_release(&out);
    return r;
}

static int run_describe(rc_args *args)
{
    rc_registry *registry = NULL;
    rc_error err = {0};
    rc_arena arena;
    int r;

    rc_arena_init(&arena, 4 << 10);
    r = local_registry(args, true, &arena.pub, &registry, &err);
    r = r < 0 ? rc_exit_print(&err) : describe(registry, args->items[0]);
    rc_registry_free(registry);
    rc_arena_release(&arena);
    return r;
}

#define PATH_OPTION                                                                \
    {                                                                              \
        "path", 'p', "PATH", "Folder or file to look in as well; may be repeated." \
    }

static const rc_cli_option list_options[] = {PATH_OPTION, RC_CLIENT_OPTIONS, {0}};
static const rc_cli_option describe_options[] = {PATH_OPTION, {0}};

const rc_command rc_plugin_commands[] = {
    {.name = "plugin list",
     .args = "",
     .summary = "List connectors, transforms and converters.",
     .help = "\nAsks the worker; without one (and without --url) it lists what this program has "
             "built in.\nFiles that were refused are listed below, with the reason.",
     .options = list_options,
     .run = run_list},
    {.name = "plugin describe",
     .args = "NAME",
     .args_min = 1,
     .args_max = 1,
     .summary = "Show a plugin's options.",
     .help = "",
     .options = describe_options,
     .run = run_describe},
    {.name = "plugin probe",
     .args = "FILE",
     .args_min = 1,
     .args_max = 1,
     .summary = "Load a connector's .so and show what is in it, as JSON.",
     .help = "\nWorkers do this in a process of its own before they load a file, so that one that "
             "crashes\nwhile loading cannot hurt them.",
     .run = run_probe},
    {.name = "plugin host",
     .args = "",
     .summary = "Run native connectors for a worker, as a process of their own.",
     .help = "\nWorkers start this for connectors with isolation=process. It speaks the connector "
             "host protocol\n(docs/host-protocol.md) on its standard input, which has to be a "
             "socket.",
     .run = run_host},
    {0},
};
