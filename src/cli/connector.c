/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `connector ...`: one function per verb; each is one or two calls of /api/v1 and a few lines for
 * people, or the worker's JSON with --json.
 */
#include "base/clock.h"
#include "base/file.h"
#include "base/units.h"
#include "cli/client.h"
#include "config/properties.h"

#include <stdio.h>
#include <time.h>

#define WAIT_STEP_MS 100
#define WAIT_DEFAULT_MS 60000

/* ---- states --------------------------------------------------------------------------------- */

static size_t tasks_in(const json_t *status, const char *state)
{
    size_t i, count = 0;
    const json_t *task;

    json_array_foreach(json_object_get(status, "tasks"), i, task) count +=
        !strcmp(rc_json_text(task, "state"), state);
    return count;
}

static const char *connector_state(const json_t *status)
{
    return rc_json_text(json_object_get(status, "connector"), "state");
}

/* The first thing that is wrong with a connector, or "". */
static const char *trace_of(const json_t *status)
{
    const char *trace = rc_json_text(json_object_get(status, "connector"), "trace");
    const json_t *task;
    size_t i;

    if (*trace)
        return trace;
    json_array_foreach(json_object_get(status, "tasks"), i,
                       task) if (*rc_json_text(task, "trace")) return rc_json_text(task, "trace");
    return "";
}

/* What `--wait` waits for: the connector and all its tasks are where they were sent. */
static bool arrived(const json_t *status, const char *wanted)
{
    const size_t tasks = json_array_size(json_object_get(status, "tasks"));
    const char *state = connector_state(status);

    if (!strcmp(wanted, "STOPPED"))
        return !strcmp(state, "STOPPED");
    if (!strcmp(wanted, "PAUSED"))
        return !strcmp(state, "PAUSED") && tasks_in(status, "PAUSED") == tasks;
    return (!strcmp(state, "RUNNING") || !strcmp(state, "FINISHED")) && tasks > 0 &&
           tasks_in(status, "RUNNING") + tasks_in(status, "FINISHED") == tasks;
}

static int get_status(const rc_client *client, const char *name, json_t **ret, rc_error *err)
{
    RC_AUTO_FREE char *path = rc_connector_path(name, "/status");

    return rc_client_call(client, "GET", path, NULL, ret, err);
}

/* Read before anything is changed. @return an exit code. */
static int read_timeout(const rc_args *args, int64_t *ret)
{
    const char *text = rc_args_get(args, "timeout");

    *ret = WAIT_DEFAULT_MS;
    if (text && rc_parse_duration(omc_slice_str(text), ret) < 0)
        return rc_usage(args, "--timeout '%s': expected a time such as 30s", text);
    return RC_EXIT_OK;
}

static int wait_for(const rc_args *args, const rc_client *client, const char *wanted, rc_error *err)
{
    const char *name = args->items[0];
    const struct timespec step = {0, WAIT_STEP_MS * 1000000L};
    int64_t timeout, end;

    if (!rc_args_has(args, "wait"))
        return 0;
    (void)read_timeout(args, &timeout);
    end = rc_mono_ms(rc_clock_real()) + timeout;
    for (;;) {
        json_t *status;
        int r = get_status(client, name, &status, err);

        if (r < 0)
            return r;
        r = arrived(status, wanted) ? 1 : 0;
        if (!r && (!strcmp(connector_state(status), "FAILED") || tasks_in(status, "FAILED")))
            r = rc_fail(err, OMC_EIO, "'%s' FAILED: %s", name, trace_of(status));
        else if (!r && rc_mono_ms(rc_clock_real()) >= end)
            r = rc_fail(err, OMC_ETIMEDOUT, "'%s' is still %s, not %s: %s", name,
                        connector_state(status), wanted, trace_of(status));
        json_decref(status);
        if (r)
            return r < 0 ? r : 0;
        (void)nanosleep(&step, NULL);
    }
}

/* A time-out of --wait is a failure of the connector, not of the connection. */
static int done(const rc_args *args, const rc_client *client, const char *wanted, const char *what)
{
    rc_error err = {0};
    int r = wait_for(args, client, wanted, &err);

    if (r < 0) {
        r = rc_exit_print(&err);
        return err.code == OMC_ETIMEDOUT ? RC_EXIT_FAILED : r;
    }
    if (!client->json)
        printf("%s: %s%s%s\n", args->items[0], what,
               *wanted && rc_args_has(args, "wait") ? ", " : "",
               rc_args_has(args, "wait") ? wanted : "");
    return RC_EXIT_OK;
}

/* ---- reading -------------------------------------------------------------------------------- */

static int run_list(rc_args *args)
{
    rc_table table = {0};
    rc_client client;
    rc_error err = {0};
    const char *name;
    json_t *list, *item;
    int r;

    if (rc_client_open(args, &client, &err) < 0 ||
        rc_client_call(&client, "GET", "/connectors?expand=status&expand=info", NULL, &list, &err) <
            0)
        return rc_exit_print(&err);
    if (client.json) {
        r = rc_json_print(list);
        json_decref(list);
        return r;
    }
    rc_table_row(&table, "NAME", "TYPE", "STATE", "TASKS", "CLASS", NULL);
    json_object_foreach(list, name, item)
    {
        const json_t *status = json_object_get(item, "status");
        const json_t *config = json_object_get(json_object_get(item, "info"), "config");
        RC_AUTO_FREE char *tasks =
            rc_format("%zu/%zu", tasks_in(status, "RUNNING") + tasks_in(status, "FINISHED"),
                      json_array_size(json_object_get(status, "tasks")));

        rc_table_row(&table, name, rc_json_text(status, "type"), connector_state(status), tasks,
                     rc_json_text(config, "connector.class"), NULL);
    }
    json_decref(list);
    return rc_table_print(&table);
}

static int run_get(rc_args *args)
{
    RC_AUTO_FREE char *path = rc_connector_path(args->items[0], "");
    rc_table table = {0};
    rc_client client;
    rc_error err = {0};
    json_t *info, *value;
    const char *key;
    int r;

    if (rc_client_open(args, &client, &err) < 0 ||
        rc_client_call(&client, "GET", path, NULL, &info, &err) < 0)
        return rc_exit_print(&err);
    if (client.json) {
        r = rc_json_print(info);
        json_decref(info);
        return r;
    }
    rc_table_row(&table, "KEY", "VALUE", NULL);
    json_object_foreach(json_object_get(info, "config"), key, value)
        rc_table_row(&table, key, json_string_value(value) ? json_string_value(value) : "", NULL);
    json_decref(info);
    return rc_table_print(&table);
}

static void status_row(rc_table *table, const char *what, const json_t *part)
{
    const json_t *since = json_object_get(part, "since_ms");
    const json_t *retry = json_object_get(part, "retry_in_ms");
    char at[32] = "", wait[32];
    RC_AUTO_FREE char *why = NULL;

    if (json_is_integer(since) && json_integer_value(since) > 0)
        rc_format_time(json_integer_value(since), at);
    if (json_integer_value(retry) > 0)
        why = rc_format("again in %s: %s", rc_format_duration(json_integer_value(retry), wait),
                        rc_json_text(part, "trace"));
    rc_table_row(table, what, rc_json_text(part, "state"), at,
                 why ? why : rc_json_text(part, "trace"), NULL);
}

static int run_status(rc_args *args)
{
    rc_table table = {0};
    rc_client client;
    rc_error err = {0};
    json_t *status, *task;
    size_t i;
    int r;

    if (rc_client_open(args, &client, &err) < 0 ||
        get_status(&client, args->items[0], &status, &err) < 0)
        return rc_exit_print(&err);
    if (client.json) {
        r = rc_json_print(status);
        json_decref(status);
        return r;
    }
    rc_table_row(&table, "WHAT", "STATE", "SINCE", "WHY", NULL);
    status_row(&table, "connector", json_object_get(status, "connector"));
    json_array_foreach(json_object_get(status, "tasks"), i, task)
    {
        RC_AUTO_FREE char *what =
            rc_format("task %lld", (long long)json_integer_value(json_object_get(task, "id")));

        status_row(&table, what, task);
    }
    json_decref(status);
    return rc_table_print(&table);
}

static int run_offsets(rc_args *args)
{
    RC_AUTO_FREE char *path = rc_connector_path(args->items[0], "/offsets");
    const bool reset = rc_args_has(args, "reset");
    rc_table table = {0};
    rc_client client;
    rc_error err = {0};
    json_t *answer, *item;
    size_t i;
    int r;

    if (rc_client_open(args, &client, &err) < 0 ||
        rc_client_call(&client, reset ? "DELETE" : "GET", path, NULL, &answer, &err) < 0)
        return rc_exit_print(&err);
    if (client.json || reset) {
        r = client.json ? rc_json_print(answer)
                        : printf("%s: offsets forgotten\n", args->items[0]) < 0;
        json_decref(answer);
        return r;
    }
    rc_table_row(&table, "PARTITION", "OFFSET", NULL);
    json_array_foreach(json_object_get(answer, "offsets"), i, item)
    {
        RC_AUTO_FREE char *partition = json_dumps(json_object_get(item, "partition"), JSON_COMPACT);
        RC_AUTO_FREE char *offset = json_dumps(json_object_get(item, "offset"), JSON_COMPACT);

        rc_table_row(&table, partition ? partition : "", offset ? offset : "", NULL);
    }
    json_decref(answer);
    return rc_table_print(&table);
}

/* ---- configurations ------------------------------------------------------------------------- */

/* A JSON file: the configuration, or {name, config}. Values become texts. */
static int add_json(const char *file, json_t *config, rc_error *err)
{
    RC_AUTO_FREE char *text = NULL;
    json_t *root, *value;
    const char *key;
    json_error_t where;
    size_t len;
    int r = rc_file_read(file, RC_CONFIG_FILE_MAX, &text, &len, err);

    if (r < 0)
        return r;
    root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &where);
    if (!root)
        return rc_fail(err, OMC_EINVAL, "%s:%d:%d: %s", file, where.line, where.column, where.text);
    json_object_foreach(json_is_object(json_object_get(root, "config"))
                            ? json_object_get(root, "config")
                            : root,
                        key, value)
    {
        char *scalar = json_is_string(value) ? rc_strdup(json_string_value(value))
                                             : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

        if (json_is_object(value) || json_is_array(value))
            r = rc_fail(err, OMC_EINVAL, "%s: '%s' must be a single value", file, key);
        if (scalar)
            (void)json_object_set_new(config, key, json_string(scalar));
        free(scalar);
    }
    if (!json_is_object(root))
        r = rc_fail(err, OMC_EINVAL, "%s: expected a JSON object", file);
    json_decref(root);
    return r;
}

static int add_properties(const char *file, json_t *config, rc_error *err)
{
    const omc_keyvalue *kv = NULL;
    rc_arena arena;
    int r;

    rc_arena_init(&arena, 16 << 10);
    r = rc_properties_load(file, &arena.pub, &kv, err);
    for (size_t i = 0; r == 0 && i < kv->count; i++) {
        const char *key = omc_copy(&arena.pub, kv->pairs[i].key.base, kv->pairs[i].key.len);

        (void)json_object_set_new(config, key,
                                  json_stringn(kv->pairs[i].value.base, kv->pairs[i].value.len));
    }
    rc_arena_release(&arena);
    return r;
}

/* Whether the arguments from `first` on can be a configuration. @return an exit code. */
static int check_pairs(const rc_args *args, int first)
{
    int64_t timeout;

    for (int i = first; i < args->count; i++)
        if (!strchr(args->items[i], '=') || *args->items[i] == '=')
            return rc_usage(args, "'%s': expected KEY=VALUE", args->items[i]);
    if (first == args->count && !rc_args_has(args, "file"))
        return rc_usage(args, "no configuration: give -f FILE or KEY=VALUE arguments");
    return read_timeout(args, &timeout);
}

/* The configuration a user gave: -f FILE, then KEY=VALUE arguments from `first` on. */
static int read_config(const rc_args *args, int first, json_t **ret, rc_error *err)
{
    const char *file = rc_args_get(args, "file"), *dot = file ? strrchr(file, '.') : NULL;
    json_t *config = json_object();
    int r = 0;

    if (file)
        r = dot && !strcmp(dot, ".json") ? add_json(file, config, err)
                                         : add_properties(file, config, err);
    for (int i = first; r == 0 && i < args->count; i++) {
        const char *pair = args->items[i], *equals = strchr(pair, '=');
        RC_AUTO_FREE char *key = rc_strndup(pair, (size_t)(equals - pair));

        if (json_object_set_new(config, key, json_string(equals + 1)) < 0)
            r = rc_fail(err, OMC_EINVAL, "'%s' is not UTF-8", pair);
    }
    if (r == 0 && json_object_size(config) == 0)
        r = rc_fail(err, OMC_EINVAL, "'%s' holds no configuration", file);
    if (r == -OMC_ENOTFOUND) /* of a file, not of a connector */
        r = rc_fail(err, OMC_EINVAL, "file '%s' does not exist", file);
    if (r < 0)
        json_decref(config);
    else
        *ret = config;
    return r;
}

static int run_create(rc_args *args)
{
    const char *name = args->items[0];
    const bool replace = rc_args_has(args, "replace");
    RC_AUTO_FREE char *path = rc_connector_path(name, "/config");
    rc_client client;
    rc_error err = {0};
    json_t *config = NULL, *answer;
    int r = check_pairs(args, 1);

    if (r != RC_EXIT_OK)
        return r;
    r = read_config(args, 1, &config, &err);
    if (r < 0)
        return rc_exit_print(&err);
    r = rc_client_open(args, &client, &err);
    if (r < 0) {
        json_decref(config);
        return rc_exit_print(&err);
    }
    if (!replace)
        config = json_pack("{s:s, s:o}", "name", name, "config", config);
    r = rc_client_call(&client, replace ? "PUT" : "POST", replace ? path : "/connectors", config,
                       &answer, &err);
    if (r == -OMC_ESTATE && !replace)
        (void)fprintf(stderr, "'connector create --replace' changes the configuration of '%s'.\n",
                      name);
    if (r < 0)
        return rc_exit_print(&err);
    if (client.json)
        (void)rc_json_print(answer);
    json_decref(answer);
    return done(args, &client, "RUNNING", replace ? "stored" : "created");
}

static int run_validate(rc_args *args)
{
    RC_AUTO_FREE char *class_path = NULL;
    rc_client client = {0};
    rc_error err = {0};
    json_t *config = NULL, *answer, *item, *text;
    size_t i, j, errors = 0;
    int r = check_pairs(args, 0);

    if (r != RC_EXIT_OK)
        return r;
    r = read_config(args, 0, &config, &err);
    if (r == 0 && !*rc_json_text(config, "connector.class"))
        r = rc_fail(&err, OMC_EINVAL,
                    "connector.class is missing, which says what to check against; "
                    "'rocketmq-connect plugin list' shows what there is");
    if (r == 0)
        r = rc_client_open(args, &client, &err);
    if (r < 0) {
        json_decref(config);
        return rc_exit_print(&err);
    }
    if (!json_object_get(config, "name")) /* every configuration has one when it is stored */
        (void)json_object_set_new(config, "name", json_string("connector"));
    class_path =
        rc_format("/connector-plugins/%s/config/validate", rc_json_text(config, "connector.class"));
    r = rc_client_call(&client, "PUT", class_path, config, &answer, &err);
    if (r < 0)
        return rc_exit_print(&err);
    errors = (size_t)json_integer_value(json_object_get(answer, "error_count"));
    if (client.json)
        (void)rc_json_print(answer);
    else
        json_array_foreach(json_object_get(answer, "configs"), i, item)
            json_array_foreach(json_object_get(json_object_get(item, "value"), "errors"), j, text)
                printf("%s: %s\n", rc_json_text(json_object_get(item, "value"), "name"),
                       json_string_value(text));
    if (!client.json)
        printf(errors == 0 ? "valid\n" : errors == 1 ? "%zu problem\n" : "%zu problems\n", errors);
    json_decref(answer);
    return errors ? RC_EXIT_CONFIG : RC_EXIT_OK;
}

/* ---- changing states ------------------------------------------------------------------------ */

static int change(rc_args *args, const char *method, const char *rest, const char *wanted,
                  const char *what)
{
    RC_AUTO_FREE char *path = rc_connector_path(args->items[0], rest);
    rc_client client;
    rc_error err = {0};
    json_t *answer;
    int64_t timeout;

    if (read_timeout(args, &timeout) != RC_EXIT_OK)
        return RC_EXIT_USAGE;
    if (rc_client_open(args, &client, &err) < 0 ||
        rc_client_call(&client, method, path, NULL, &answer, &err) < 0)
        return rc_exit_print(&err);
    if (client.json && !json_is_null(answer))
        (void)rc_json_print(answer);
    json_decref(answer);
    return done(args, &client, wanted, what);
}

static int run_pause(rc_args *args)
{
    return change(args, "PUT", "/pause", "PAUSED", "pausing");
}

static int run_resume(rc_args *args)
{
    return change(args, "PUT", "/resume", "RUNNING", "resuming");
}

static int run_stop(rc_args *args)
{
    return change(args, "PUT", "/stop", "STOPPED", "stopping");
}

static int run_delete(rc_args *args)
{
    return change(args, "DELETE", "", "", "deleted");
}

static int run_restart(rc_args *args)
{
    const char *task = rc_args_get(args, "task");
    RC_AUTO_FREE char *rest = NULL;
    int64_t id;

    if (task && (rc_parse_int64(omc_slice_str(task), &id) < 0 || id < 0))
        return rc_usage(args, "--task '%s': expected a task's number", task);
    rest = task ? rc_format("/tasks/%s/restart", task)
                : rc_format("/restart?includeTasks=true&onlyFailed=%s",
                            rc_args_has(args, "only-failed") ? "true" : "false");
    return change(args, "POST", rest, "RUNNING", "restarting");
}

/* ---- the table ------------------------------------------------------------------------------ */

#define WAIT_OPTIONS                                                                  \
    {"wait", 'w', NULL, "Wait until the connector is where it was sent, or FAILED."}, \
    {                                                                                 \
        "timeout", 0, "TIME", "Longest wait; 60s."                                    \
    }
#define FILE_OPTION                                                 \
    {                                                               \
        "file", 'f', "FILE", "Configuration: .json or .properties." \
    }

static const rc_cli_option read_options[] = {RC_CLIENT_OPTIONS, {0}};
static const rc_cli_option wait_options[] = {WAIT_OPTIONS, RC_CLIENT_OPTIONS, {0}};
static const rc_cli_option validate_options[] = {FILE_OPTION, RC_CLIENT_OPTIONS, {0}};
static const rc_cli_option create_options[] = {
    FILE_OPTION,  {"replace", 0, NULL, "Replace the configuration of an existing connector."},
    WAIT_OPTIONS, RC_CLIENT_OPTIONS,
    {0},
};
static const rc_cli_option restart_options[] = {
    {"only-failed", 0, NULL, "Only tasks that FAILED."},
    {"task", 't', "NUMBER", "Only this task."},
    WAIT_OPTIONS,
    RC_CLIENT_OPTIONS,
    {0},
};
static const rc_cli_option offsets_options[] = {
    {"reset", 0, NULL, "Forget them; the connector must be stopped."},
    RC_CLIENT_OPTIONS,
    {0},
};

#define ROW(name_, args_, min_, max_, options_, run_, summary_)                              \
    {                                                                                        \
        .name = "connector " name_, .args = (args_), .args_min = (min_), .args_max = (max_), \
        .summary = (summary_), .help = "", .options = (options_), .run = (run_)              \
    }

const rc_command rc_connector_commands[] = {
    ROW("list", "", 0, 0, read_options, run_list, "List a worker's connectors."),
    ROW("get", "NAME", 1, 1, read_options, run_get, "Show a connector's configuration."),
    ROW("create", "NAME [KEY=VALUE]...", 1, -1, create_options, run_create, "Create a connector."),
    ROW("delete", "NAME", 1, 1, read_options, run_delete, "Delete a connector."),
    ROW("pause", "NAME", 1, 1, wait_options, run_pause, "Pause a connector; tasks are kept."),
    ROW("resume", "NAME", 1, 1, wait_options, run_resume,
        "Go on with a paused or stopped connector."),
    ROW("stop", "NAME", 1, 1, wait_options, run_stop,
        "Stop a connector's tasks; positions are kept."),
    ROW("restart", "NAME", 1, 1, restart_options, run_restart,
        "Restart a connector and its tasks."),
    ROW("status", "NAME", 1, 1, read_options, run_status, "Show states, and why."),
    ROW("validate", "[KEY=VALUE]...", 0, -1, validate_options, run_validate,
        "Have a worker check a configuration without storing it."),
    ROW("offsets", "NAME", 1, 1, offsets_options, run_offsets,
        "Show how far a connector is, or forget it."),
    {0},
};
