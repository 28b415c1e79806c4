/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One table of routes. Matching walks it from the top, so that static segments (list, stop, all)
 * win over {name} by standing first, as in the Java runtime. docs/rest.md is written from it.
 */
#include "rest/routes.h"

#define C(name) "/api/v1/connectors/{name}" name
#define CHANGE (ROUTE_CHANGES | ROUTE_WORKER)

/* clang-format off */
static const route routes[] = {
    /* ---- the Java runtime's ---- */
    {REST_GET, "/getClusterInfo", compat_cluster, ROUTE_COMPAT, ROUTE_WORKER, NULL, NULL,
     "The workers of the cluster; a standalone worker names itself."},
    {REST_GET, "/connectors/list", compat_list, ROUTE_COMPAT, ROUTE_WORKER, NULL, NULL,
     "All connectors with status and configuration, by name."},
    {REST_GET, "/connectors/stop/all", compat_stop_all, ROUTE_COMPAT, CHANGE, NULL,
     "DELETE /api/v1/connectors/{name}", "Deletes all connectors."},
    {REST_GET, "/connectors/pause/all", compat_pause_all, ROUTE_COMPAT, CHANGE, NULL,
     "PUT /api/v1/connectors/{name}/pause", "Pauses all connectors."},
    {REST_GET, "/connectors/resume/all", compat_resume_all, ROUTE_COMPAT, CHANGE, NULL,
     "PUT /api/v1/connectors/{name}/resume", "Resumes all connectors."},
    {REST_GET, "/allocated/connectors", compat_allocated, ROUTE_COMPAT, ROUTE_WORKER, NULL, NULL,
     "Configurations of the connectors on this worker, by name."},
    {REST_GET, "/allocated/tasks", compat_allocated_tasks, ROUTE_COMPAT, ROUTE_WORKER, NULL, NULL,
     "The tasks on this worker in five lists by state, with their configurations."},
    {REST_GET | REST_POST, "/connectors/{name}", compat_put, ROUTE_COMPAT, CHANGE | ROUTE_BODY,
     "config (GET): the configuration as JSON", "PUT /api/v1/connectors/{name}/config",
     "Creates the connector or replaces its configuration: a JSON object in the body (POST) or in "
     "the parameter. Answers the object, secrets hidden. 409 when it has that configuration."},
    {REST_GET, "/connectors/{name}/config", compat_config, ROUTE_COMPAT, ROUTE_WORKER, NULL, NULL,
     "Configuration and tasks of a connector."},
    {REST_GET, "/connectors/{name}/status", compat_status, ROUTE_COMPAT, ROUTE_WORKER, NULL, NULL,
     "State of a connector and its tasks; `trace` says why something failed."},
    {REST_GET, "/connectors/{name}/tasks", compat_tasks, ROUTE_COMPAT, ROUTE_WORKER, NULL, NULL,
     "The tasks with their configurations; an empty list when there is no such connector."},
    {REST_GET, "/connectors/{name}/tasks/{task}/status", compat_task_status, ROUTE_COMPAT,
     ROUTE_WORKER, NULL, NULL, "State of one task."},
    {REST_GET, "/connectors/{name}/stop", compat_stop, ROUTE_COMPAT, CHANGE, NULL,
     "DELETE /api/v1/connectors/{name}", "**Deletes** the connector, as in the Java runtime."},
    {REST_GET, "/connectors/{name}/pause", compat_pause, ROUTE_COMPAT, CHANGE, NULL,
     "PUT /api/v1/connectors/{name}/pause", "Pauses a connector and its tasks."},
    {REST_GET, "/connectors/{name}/resume", compat_resume, ROUTE_COMPAT, CHANGE, NULL,
     "PUT /api/v1/connectors/{name}/resume", "Resumes a connector and its tasks."},
    {REST_GET, "/plugin/list", compat_plugins, ROUTE_COMPAT, ROUTE_WORKER, NULL, NULL,
     "Sinks, sources, transforms and converters, by Java class where there is one."},
    {REST_GET, "/plugin/list/connectors", compat_plugin_connectors, ROUTE_COMPAT, ROUTE_WORKER,
     NULL, NULL, "Sinks and sources only."},
    {REST_GET, "/plugin/reload", compat_reload, ROUTE_COMPAT, CHANGE, NULL, NULL,
     "Looks for plugins in `pluginPaths` again."},
    {REST_GET, "/plugin/config", compat_plugin_config, ROUTE_COMPAT, ROUTE_WORKER,
     "pluginName (or connectorName): class, name or alias", NULL,
     "Keys of a plugin: type, default, text (Kafka's ConfigKeyInfo)."},
    {REST_GET, "/plugin/config/validate", compat_plugin_validate, ROUTE_COMPAT, ROUTE_WORKER,
     "pluginName (or connectorName), config: the configuration as JSON", NULL,
     "Checks a configuration without storing it (Kafka's ConfigInfos)."},

    /* ---- /api/v1 ---- */
    {REST_GET, "/api/v1", api_root, ROUTE_API, ROUTE_WORKER, NULL, NULL,
     "Version, worker id and start time."},
    {REST_GET, "/api/v1/connectors", api_list, ROUTE_API, ROUTE_WORKER,
     "expand=status, expand=info: an object by name instead of names", NULL,
     "Names of all connectors."},
    {REST_POST, "/api/v1/connectors", api_create, ROUTE_API, CHANGE | ROUTE_BODY, NULL, NULL,
     "Creates a connector from `{\"name\", \"config\", \"initial_state\"}`; 201 and Location, "
     "409 when it exists. Initial states: RUNNING (default), PAUSED, STOPPED."},
    {REST_GET, C(""), api_get, ROUTE_API, ROUTE_WORKER, NULL, NULL,
     "Configuration, version, type and tasks of a connector."},
    {REST_DELETE, C(""), api_delete, ROUTE_API, CHANGE, NULL, NULL,
     "Deletes a connector; 204."},
    {REST_GET, C("/config"), api_config, ROUTE_API, ROUTE_WORKER, NULL, NULL,
     "The configuration, secrets hidden. The ETag is its version."},
    {REST_PUT, C("/config"), api_put, ROUTE_API, CHANGE | ROUTE_BODY, NULL, NULL,
     "Creates (201) or replaces (200) a configuration. With If-Match: only if that is still its "
     "version, else 412. A secret sent back as `******` is unchanged."},
    {REST_PATCH, C("/config"), api_patch, ROUTE_API, CHANGE | ROUTE_BODY, NULL, NULL,
     "Sets the given keys; null takes a key away. If-Match as for PUT."},
    {REST_GET, C("/status"), api_status, ROUTE_API, ROUTE_WORKER, NULL, NULL,
     "State of a connector and its tasks, why, since when, and when the next try is."},
    {REST_PUT, C("/pause"), api_pause, ROUTE_API, CHANGE, NULL, NULL,
     "Pauses the tasks, which keep what they have open; 202."},
    {REST_PUT, C("/resume"), api_resume, ROUTE_API, CHANGE, NULL, NULL,
     "Resumes after pause or stop; 202."},
    {REST_PUT, C("/stop"), api_stop, ROUTE_API, CHANGE, NULL, NULL,
     "Stops the tasks and keeps configuration and positions; 204."},
    {REST_POST, C("/restart"), api_restart, ROUTE_API, CHANGE | ROUTE_OWNER,
     "onlyFailed=true: only what has failed", NULL,
     "Restarts a connector with its tasks; 202 and its status."},
    {REST_GET, C("/tasks"), api_tasks, ROUTE_API, ROUTE_WORKER, NULL, NULL,
     "The tasks with their configurations."},
    {REST_GET, C("/tasks/{task}/status"), api_task_status, ROUTE_API, ROUTE_WORKER, NULL, NULL,
     "State of one task."},
    {REST_POST, C("/tasks/{task}/restart"), api_task_restart, ROUTE_API, CHANGE | ROUTE_OWNER,
     NULL, NULL,
     "Restarts one task; 204."},
    {REST_GET, C("/offsets"), api_offsets, ROUTE_API, ROUTE_WORKER, NULL, NULL,
     "Positions of a source or offsets of a sink."},
    {REST_DELETE, C("/offsets"), api_offsets_reset, ROUTE_API, CHANGE, NULL, NULL,
     "Forgets them, so that the connector begins anew. It must be STOPPED, else 409."},
    {REST_GET, "/api/v1/cluster", api_cluster, ROUTE_API, ROUTE_WORKER, NULL, NULL,
     "The cluster as this worker sees it: its membership, the broker that keeps who runs what, all "
     "workers with what they run. 404 on a standalone worker."},
    {REST_PUT, "/api/v1/cluster/drain", api_drain, ROUTE_API, CHANGE, "off=true: take part again",
     NULL,
     "This worker hands over what it runs and takes nothing any more, e.g. before it is replaced; "
     "202."},
    {REST_GET, "/api/v1/cluster/explain/{name}", api_explain, ROUTE_API, ROUTE_WORKER, NULL, NULL,
     "Why a connector's own half (configuration of tasks) is on the worker it is on, and what moved "
     "it there."},
    {REST_GET, "/api/v1/cluster/explain/{name}/{task}", api_explain, ROUTE_API, ROUTE_WORKER, NULL,
     NULL, "The same for a task."},
    {REST_GET, "/api/v1/connector-plugins", api_plugins, ROUTE_API, ROUTE_WORKER,
     "connectorsOnly=false: transforms, predicates and converters too; refused=true: instead, the "
     "files that were not loaded, and why (part: the rest of the file is in use)", NULL,
     "The plugins of this worker."},
    {REST_GET, "/api/v1/connector-plugins/{plugin}/config", api_plugin_config, ROUTE_API,
     ROUTE_WORKER, NULL, NULL, "Keys of a plugin (Kafka's ConfigKeyInfo)."},
    {REST_PUT, "/api/v1/connector-plugins/{plugin}/config/validate", api_plugin_validate,
     ROUTE_API, ROUTE_WORKER | ROUTE_BODY, NULL, NULL,
     "Checks a configuration without storing it (Kafka's ConfigInfos)."},
    {REST_GET, "/api/v1/loggers", api_loggers, ROUTE_API, 0, NULL, NULL,
     "Least level of the lines printed. There is one logger, `root`."},
    {REST_GET, "/api/v1/loggers/{name}", api_logger, ROUTE_API, 0, NULL, NULL,
     "Level of one logger."},
    {REST_PUT, "/api/v1/loggers/{name}", api_logger_put, ROUTE_API, ROUTE_CHANGES | ROUTE_BODY,
     NULL, NULL, "Sets the level from `{\"level\": \"debug|info|warn|error\"}`."},

    /* ---- for machines that watch ---- */
    {REST_GET, "/health", open_health, ROUTE_OPEN, 0, NULL, NULL,
     "200 healthy, or degraded while a RocketMQ broker is away; 503 starting or waiting for RocketMQ, 500 unhealthy; with the reason."},
    {REST_GET, "/metrics", open_metrics, ROUTE_OPEN, 0, NULL, NULL,
     "Figures in Prometheus' text format 0.0.4."},
};
/* clang-format on */

static const struct {
    rest_method bit;
    const char *name;
} methods[] = {{REST_GET, "GET"},
               {REST_POST, "POST"},
               {REST_PUT, "PUT"},
               {REST_PATCH, "PATCH"},
               {REST_DELETE, "DELETE"}};

static bool is_param(const char *segment)
{
    return *segment == '{';
}

/* Walks pattern and path together; remembers the parameters on a match. */
static bool matches(const char *pattern, exchange *ex, const char **name, const char **item)
{
    size_t i = 0;

    while (*pattern == '/') {
        size_t len = strcspn(++pattern, "/");

        if (i == ex->segment_count)
            return false;
        if (is_param(pattern)) {
            if (ex->segments[i].len == 0)
                return false;
            if (strncmp(pattern, "{name}", len) == 0)
                *name = ex->segments[i].base;
            else
                *item = ex->segments[i].base;
        } else if (!omc_slice_eq(ex->segments[i], omc_slice_of(pattern, len))) {
            return false;
        }
        i++;
        pattern += len;
    }
    return i == ex->segment_count;
}

const route *routes_find(exchange *ex, unsigned *ret_allowed)
{
    unsigned allowed = 0;

    for (size_t i = 0; i < RC_COUNT(routes); i++) {
        const route *r = &routes[i];
        const char *name = NULL;
        const char *item = NULL;

        if (!matches(r->path, ex, &name, &item))
            continue;
        /* HEAD asks without effect: not where a GET changes something. */
        if ((r->methods & ex->method) && !(ex->head && (r->flags & ROUTE_CHANGES))) {
            ex->name = name;
            ex->item = item;
            return r;
        }
        if (r->family != ROUTE_COMPAT)
            allowed |= r->methods;
    }
    *ret_allowed = allowed;
    return NULL;
}

route_family routes_family(const exchange *ex)
{
    rc_slice first = ex->segment_count ? ex->segments[0] : omc_slice_of(NULL, 0);

    if (omc_slice_is(first, "api"))
        return ROUTE_API;
    if (omc_slice_is(first, "health") || omc_slice_is(first, "metrics"))
        return ROUTE_OPEN;
    return ROUTE_COMPAT;
}

const char *routes_methods(unsigned bits, omc_arena *arena)
{
    const char *text = "";

    for (size_t i = 0; i < RC_COUNT(methods); i++)
        if (bits & methods[i].bit)
            text = rc_arena_format(arena, "%s%s%s", text, *text ? ", " : "", methods[i].name);
    return text;
}

const char *routes_right_call(exchange *ex)
{
    if (!ex->route)
        return "see docs/rest.md";
    if (ex->route->instead)
        return ex->route->instead;
    return rc_arena_format(&ex->arena.pub, "%s %s", routes_methods(ex->method, &ex->arena.pub),
                           ex->route->path);
}

/* ---- docs/rest.md --------------------------------------------------------------------------- */

static void describe_family(route_family family, rc_buf *out)
{
    rc_arena arena;

    rc_arena_init(&arena, 4096);
    rc_buf_str(out, "| Method | Path | What it does |\n| --- | --- | --- |\n");
    for (size_t i = 0; i < RC_COUNT(routes); i++) {
        const route *r = &routes[i];

        if (r->family != family)
            continue;
        rc_buf_printf(out, "| %s | `%s` | %s", routes_methods(r->methods, &arena.pub), r->path,
                      r->doc);
        if (r->query)
            rc_buf_printf(out, " Query: %s.", r->query);
        rc_buf_str(out, " |\n");
    }
    rc_arena_release(&arena);
}

static const char intro[] =
    "# The REST interface of a worker\n"
    "\n"
    "<!-- Written by `rocketmq-connect docs rest` from the table of routes (src/rest/routes.c). "
    "-->\n"
    "\n"
    "The worker listens on `rest.host` (127.0.0.1) and `httpPort` (8082). There are two families:\n"
    "the routes of the Java runtime with its bodies, and `/api/v1` in the shapes of Kafka "
    "Connect.\n"
    "Bodies are JSON in UTF-8, at most 1,000,000 bytes; request line and headers, with "
    "`?config=`,\n"
    "at most 32 KiB. At most 256 connections are served at once; idle ones are closed after 30 s.\n"
    "\n"
    "Values of options that are secrets, or look like one, answer `******`; sent back like that\n"
    "they are unchanged.\n"
    "\n"
    "**Browsers.** A request that changes something is refused with 403 when a web page of "
    "another\n"
    "origin made it (headers `Origin`, `Sec-Fetch-Site`). A worker that listens on a loopback\n"
    "address answers only to `Host: localhost`, `127.0.0.1`, `[::1]` or the name in `rest.host`.\n"
    "\n"
    "**Errors.** 400 bad request or configuration, 403 refused, 404 unknown, 405 wrong method\n"
    "(`Allow` lists the right ones), 409 conflict, 412 `If-Match` names an old version, 413 body\n"
    "too large, 500 our fault, 503 not ready or no answer in time. The message says what happened\n"
    "and what to do. Unknown query parameters are ignored.\n"
    "\n";

static const char compat_intro[] =
    "## Routes of the Java runtime\n"
    "\n"
    "Success: `{\"status\":200,\"body\":...}`. Error: `{\"errorCode\":404,\"message\":\"...\"}` "
    "with\n"
    "that HTTP status; the message begins with Java's text. With `rest.compat.status=java` errors\n"
    "have HTTP status 200 and Java's `errorCode` (mostly 500), as clients of the Java runtime may\n"
    "expect. Unknown paths and methods answer 404 `Not found`. Several of these GETs change\n"
    "something: prefer `/api/v1`.\n"
    "\n"
    "States are mapped to Java's UNASSIGNED, RUNNING, PAUSED and FAILED; `/api/v1` shows them as\n"
    "they are.\n"
    "\n";

static const char api_intro[] =
    "\n"
    "## /api/v1\n"
    "\n"
    "Bodies have the shapes of Kafka Connect, with `version`, `since`, `since_ms` and\n"
    "`retry_in_ms` added. Errors: `{\"error_code\":404,\"message\":\"...\"}`.\n"
    "States: UNASSIGNED STARTING RUNNING PAUSED STOPPED FAILED RESTARTING FINISHED STALLED STUCK "
    "SUSPENDED.\n"
    "\n";

void rc_rest_describe(rc_buf *out)
{
    rc_buf_str(out, intro);
    rc_buf_str(out, compat_intro);
    describe_family(ROUTE_COMPAT, out);
    rc_buf_str(out, api_intro);
    describe_family(ROUTE_API, out);
    rc_buf_str(out, "\n## Health and metrics\n\n");
    describe_family(ROUTE_OPEN, out);
}
