/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Java runtime's routes for connectors. Success bodies are its bodies, member for member;
 * error messages begin with its texts and go on with cause and cure.
 */
#include "base/units.h"
#include "rest/routes.h"
#include "rest/views.h"

#define LIST_CURE "GET /connectors/list shows the connectors there are"
#define TOPICS_KEY "connect.topicnames"
#define CONFIG_CURE "send the configuration as a JSON object in the body of a POST, or as ?config="

static void post(exchange *ex, rc_request_kind kind, render_fn *render)
{
    rc_request request = {.kind = kind, .connector = ex->name, .expected = -1};

    exchange_post(ex, &request, render);
}

/* Every failure that is not about an unknown name. */
static void fail(exchange *ex, answer *out, const rc_reply *reply)
{
    answer_error(ex, out, answer_status_of(-reply->result), 500, "%s", answer_why(ex, reply));
}

static const rc_connector_view *only(const rc_reply *reply)
{
    return reply->result == 0 && reply->count > 0 ? &reply->connectors[0] : NULL;
}

/* ---- lists ---------------------------------------------------------------------------------- */

void compat_cluster(exchange *ex)
{
    const char *id = rc_worker_config_of(ex->rest->worker)->worker_id;

    answer_compat(&ex->answer, json_pack("[o]", view_str(id)));
}

static void render_list(exchange *ex, const rc_reply *reply, answer *out)
{
    json_t *all;

    if (reply->result < 0) {
        fail(ex, out, reply);
        return;
    }
    all = json_object();
    for (size_t i = 0; i < reply->count; i++) {
        const rc_connector_view *c = &reply->connectors[i];

        (void)json_object_set_new(all, c->name,
                                  json_pack("{s:o,s:o}", "status",
                                            view_java_status(c, ex->worker_id), "info",
                                            view_java_info(c)));
    }
    answer_compat(out, all);
}

void compat_list(exchange *ex)
{
    post(ex, RC_REQUEST_LIST, render_list);
}

static void render_allocated(exchange *ex, const rc_reply *reply, answer *out)
{
    json_t *all;

    if (reply->result < 0) {
        fail(ex, out, reply);
        return;
    }
    all = json_object();
    for (size_t i = 0; i < reply->count; i++)
        (void)json_object_set_new(all, reply->connectors[i].name,
                                  view_config(reply->connectors[i].config));
    answer_compat(out, all);
}

void compat_allocated(exchange *ex)
{
    post(ex, RC_REQUEST_LIST, render_allocated);
}

/* Java's list and task state for each of ours. */
static const struct {
    const char *list;
    const char *state;
} java_tasks[RC_STATE_COUNT] = {
    [RC_STATE_UNASSIGNED] = {"pendingTasks", "NEW"},
    [RC_STATE_STARTING] = {"pendingTasks", "PENDING"},
    [RC_STATE_RUNNING] = {"runningTasks", "RUNNING"},
    [RC_STATE_PAUSED] = {"runningTasks", "RUNNING"},
    [RC_STATE_STOPPED] = {"stoppedTasks", "STOPPED"},
    [RC_STATE_FAILED] = {"errorTasks", "ERROR"},
    [RC_STATE_RESTARTING] = {"pendingTasks", "PENDING"},
    [RC_STATE_FINISHED] = {"stoppedTasks", "TERMINATED"},
    [RC_STATE_STALLED] = {"runningTasks", "RUNNING"},
    [RC_STATE_STUCK] = {"stoppingTasks", "STOPPING"},
    [RC_STATE_SUSPENDED] = {"runningTasks", "RUNNING"},
};

static void add_allocated(json_t *lists, const char *name, const rc_task_view *task)
{
    json_t *list = json_object_get(lists, java_tasks[task->state].list);

    (void)json_array_append_new(list, json_pack("{s:o,s:o,s:s}", "connectorName", view_str(name),
                                                "config", view_config(task->config), "taskState",
                                                java_tasks[task->state].state));
}

static void render_allocated_tasks(exchange *ex, const rc_reply *reply, answer *out)
{
    json_t *lists;

    if (reply->result < 0) {
        fail(ex, out, reply);
        return;
    }
    lists = json_pack("{s:[],s:[],s:[],s:[],s:[]}", "pendingTasks", "stoppedTasks", "errorTasks",
                      "stoppingTasks", "runningTasks");
    for (size_t i = 0; i < reply->count; i++)
        for (size_t t = 0; t < reply->connectors[i].task_count; t++)
            add_allocated(lists, reply->connectors[i].name, &reply->connectors[i].tasks[t]);
    answer_compat(out, lists);
}

void compat_allocated_tasks(exchange *ex)
{
    post(ex, RC_REQUEST_LIST, render_allocated_tasks);
}

/* ---- one connector -------------------------------------------------------------------------- */

static void render_config(exchange *ex, const rc_reply *reply, answer *out)
{
    const rc_connector_view *c = only(reply);

    if (c)
        answer_compat(out, view_java_info(c));
    else if (reply->result == -OMC_ENOTFOUND)
        answer_error(ex, out, 404, 500, "Connector[%s] does not exist; " LIST_CURE, ex->name);
    else
        fail(ex, out, reply);
}

void compat_config(exchange *ex)
{
    post(ex, RC_REQUEST_GET, render_config);
}

static void render_status(exchange *ex, const rc_reply *reply, answer *out)
{
    const rc_connector_view *c = only(reply);

    if (c)
        answer_compat(out, view_java_status(c, ex->worker_id));
    else if (reply->result == -OMC_ENOTFOUND)
        answer_error(ex, out, 404, 500, "No status found for connector %s; " LIST_CURE, ex->name);
    else
        fail(ex, out, reply);
}

void compat_status(exchange *ex)
{
    post(ex, RC_REQUEST_GET, render_status);
}

static void render_tasks(exchange *ex, const rc_reply *reply, answer *out)
{
    const rc_connector_view *c = only(reply);

    if (c || reply->result == -OMC_ENOTFOUND)
        answer_compat(out, c ? view_java_tasks(c) : json_array());
    else
        fail(ex, out, reply);
}

void compat_tasks(exchange *ex)
{
    post(ex, RC_REQUEST_GET, render_tasks);
}

static void render_task_status(exchange *ex, const rc_reply *reply, answer *out)
{
    const rc_connector_view *c = only(reply);

    if (!c && reply->result != -OMC_ENOTFOUND) {
        fail(ex, out, reply);
        return;
    }
    for (size_t i = 0; c && i < c->task_count; i++) {
        char id[16];

        (void)snprintf(id, sizeof id, "%d", c->tasks[i].id);
        if (strcmp(id, ex->item) == 0) {
            answer_compat(out, view_java_task(&c->tasks[i], ex->worker_id));
            return;
        }
    }
    answer_error(ex, out, 404, 500,
                 "No status found for task %s-%s; GET /connectors/{name}/tasks shows its tasks",
                 ex->name, ex->item);
}

void compat_task_status(exchange *ex)
{
    int64_t id;

    if (rc_parse_int64(omc_slice_str(ex->item), &id) < 0) {
        answer_error(ex, &ex->answer, 400, 500,
                     "For input string: \"%s\"; tasks are numbered from 0", ex->item);
        return;
    }
    ex->item = rc_arena_format(&ex->arena.pub, "%lld", (long long)id);
    post(ex, RC_REQUEST_GET, render_task_status);
}

/* ---- changes -------------------------------------------------------------------------------- */

static void changed(exchange *ex, const rc_reply *reply, answer *out, const char *what)
{
    if (reply->result == 0)
        answer_compat_text(out, "Connector [%s] %s successfully", ex->name, what);
    else if (reply->result == -OMC_ENOTFOUND)
        answer_error(ex, out, 404, 500, "Connector [%s] does not exist; " LIST_CURE, ex->name);
    else
        fail(ex, out, reply);
}

static void render_stop(exchange *ex, const rc_reply *reply, answer *out)
{
    changed(ex, reply, out, "deleted");
}

void compat_stop(exchange *ex)
{
    post(ex, RC_REQUEST_DELETE, render_stop);
}

static void render_pause(exchange *ex, const rc_reply *reply, answer *out)
{
    changed(ex, reply, out, "paused");
}

void compat_pause(exchange *ex)
{
    post(ex, RC_REQUEST_PAUSE, render_pause);
}

static void render_resume(exchange *ex, const rc_reply *reply, answer *out)
{
    changed(ex, reply, out, "resumed");
}

void compat_resume(exchange *ex)
{
    post(ex, RC_REQUEST_RESUME, render_resume);
}

/* ---- create or update ----------------------------------------------------------------------- */

static const omc_plugin *plugin_of(exchange *ex, const omc_keyvalue *config)
{
    const char *class_name = rc_kv_text(config, "connector.class", NULL, &ex->arena.pub);
    const omc_plugin *plugin = NULL;

    if (class_name && rc_registry_connector(ex->registry, class_name, &plugin, NULL) == 0)
        return plugin;
    return NULL;
}

static bool is_required(const rc_option_table *tables, size_t count, const char *key)
{
    for (size_t t = 0; t < count; t++)
        for (size_t i = 0; i < tables[t].count; i++) {
            omc_option o = rc_option_at(&tables[t], i);

            if ((o.flags & OMC_OPT_REQUIRED) && strcmp(o.name, key) == 0)
                return true;
        }
    return false;
}

/* The key that must be there and is not, or NULL when that is not the trouble. */
static const char *missing_key(exchange *ex, const rc_reply *reply, const omc_keyvalue *config)
{
    const omc_plugin *plugin = plugin_of(ex, config);
    rc_option_table tables[2];
    size_t count = plugin ? rc_connector_tables(plugin, tables) : 0;

    for (size_t i = 0; i < reply->problem_count; i++) {
        const rc_problem *p = &reply->problems[i];

        if (!p->warning && !*p->value &&
            (strcmp(p->key, TOPICS_KEY) == 0 || is_required(tables, count, p->key)))
            return p->key;
    }
    return NULL;
}

/* "<Java's text>: <cause and cure>"; a cause that has Java's text already is not repeated. */
static void fail_like_java(exchange *ex, answer *out, unsigned status, const char *java,
                           const char *why)
{
    if (strncmp(why, "key '", 5) == 0 && strstr(why, "': ")) {
        const char *text = strstr(why, "': ") + 3;

        if (strncmp(text, java, strlen(java)) == 0)
            why = text;
    }
    if (strncmp(why, java, strlen(java)) == 0)
        answer_error(ex, out, status, 500, "%s", why);
    else
        answer_error(ex, out, status, 500, "%s: %s", java, why);
}

static void put_failed(exchange *ex, const rc_reply *reply, answer *out)
{
    const submitted *config = ex->state;
    omc_arena *arena = &ex->arena.pub;
    const char *why = answer_why(ex, reply);
    const char *key = missing_key(ex, reply, config->config);

    if (reply->result == -OMC_EEXIST)
        fail_like_java(ex, out, 409, "Connector with same config already exist.", why);
    else if (reply->result == -OMC_ENOTFOUND)
        fail_like_java(ex, out, 400,
                       rc_arena_format(arena,
                                       "Failed to find any class that implements Connector and "
                                       "which name matches %s",
                                       rc_kv_text(config->config, "connector.class", "", arena)),
                       why);
    else if (key)
        fail_like_java(ex, out, 400,
                       rc_arena_format(arena,
                                       strcmp(key, TOPICS_KEY) == 0 ? "Config %s cannot be empty"
                                                                    : "Request config key: %s",
                                       key),
                       why);
    else
        fail(ex, out, reply);
}

static void render_put(exchange *ex, const rc_reply *reply, answer *out)
{
    const submitted *config = ex->state;
    const omc_plugin *plugin;
    rc_option_table tables[2];
    size_t count;

    if (reply->result < 0) {
        put_failed(ex, reply, out);
        return;
    }
    plugin = plugin_of(ex, config->config);
    count = plugin ? rc_connector_tables(plugin, tables) : 0;
    out->status = 200;
    out->type = REST_JSON;
    rc_buf_str(&out->body, "{\"status\":200,\"body\":");
    rest_config_echo(config, tables, count, &ex->arena.pub, &out->body);
    rc_buf_str(&out->body, "}");
}

static bool is_blank(rc_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!strchr(" \t\r\n", text.base[i]))
            return false;
    return true;
}

void compat_put(exchange *ex)
{
    rc_slice text =
        ex->method == REST_POST ? rc_buf_slice(&ex->body) : exchange_query(ex, "config");
    submitted *config = omc_alloc0(&ex->arena.pub, sizeof *config);
    rc_request request = {.kind = RC_REQUEST_PUT,
                          .connector = ex->name,
                          .refuse_same = true,
                          .expected = -1};
    rc_error err = {0};
    const omc_slice *class_name;

    if (is_blank(text)) {
        answer_error(ex, &ex->answer, 400, 400,
                     "Failed! query param 'config' is required : " CONFIG_CURE);
        return;
    }
    if (rest_config_read(text, false, &ex->arena.pub, config, &err) < 0) {
        answer_error(ex, &ex->answer, 400, 400, "Failed! query param 'config' is malformed: %s",
                     err.msg);
        return;
    }
    class_name = omc_keyvalue_get(config->config, "connector.class");
    if (!class_name || is_blank(*class_name)) {
        answer_error(ex, &ex->answer, 400, 500,
                     "Request config key: connector.class: it names the plugin that does the "
                     "work; GET /plugin/list/connectors shows the ones there are");
        return;
    }
    ex->state = config;
    request.config = config->config;
    exchange_post(ex, &request, render_put);
}
