/* SPDX-License-Identifier: Apache-2.0 */
/* /api/v1: plugins and the level of log lines, in the shapes of Kafka Connect. */
#include "base/diag.h"
#include "rest/routes.h"
#include "rest/views.h"

static const char *kafka_kind(unsigned kind)
{
    switch (kind) {
    case OMC_SINK:
        return "sink";
    case OMC_SOURCE:
        return "source";
    case OMC_TRANSFORM:
        return "transformation";
    case OMC_PREDICATE:
        return "predicate";
    default:
        return "converter";
    }
}

/* Files of pluginPaths that were not loaded, or not all of them ("part"). Kafka Connect has no such
 * list, so it is one of its own: clients that read the plugins do not meet entries without a class.
 */
static void answer_refused(exchange *ex)
{
    const rc_refusal *refusals;
    size_t count =
        rc_registry_refusals(rc_worker_registry(ex->rest->worker), &ex->arena.pub, &refusals);
    json_t *all = json_array();

    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(all, json_pack("{s:o,s:o,s:b}", "location",
                                                   view_str(refusals[i].file), "error",
                                                   view_str(refusals[i].why.msg), "part",
                                                   refusals[i].part));
    answer_json(&ex->answer, 200, all);
}

void api_plugins(exchange *ex)
{
    bool connectors_only = exchange_flag(ex, "connectorsOnly", true);
    const rc_plugin_info *infos;
    size_t count = rc_registry_list(rc_worker_registry(ex->rest->worker), &ex->arena.pub, &infos);
    json_t *all;

    if (exchange_flag(ex, "refused", false)) {
        answer_refused(ex);
        return;
    }
    all = json_array();
    for (size_t i = 0; i < count; i++) {
        const omc_plugin *p = infos[i].plugin;

        if (connectors_only && p->kind != OMC_SINK && p->kind != OMC_SOURCE)
            continue;
        (void)json_array_append_new(all,
                                    json_pack("{s:o,s:s,s:o,s:o,s:o,s:o}", "class",
                                              view_str(rc_plugin_class(p, &ex->arena.pub)), "type",
                                              kafka_kind(p->kind), "version", view_str(p->version),
                                              "name", view_str(p->name), "doc", view_str(p->doc),
                                              "location", view_str(infos[i].location)));
    }
    answer_json(&ex->answer, 200, all);
}

static const omc_plugin *wanted(exchange *ex)
{
    const omc_plugin *plugin = view_find_plugin(rc_worker_registry(ex->rest->worker), ex->item);

    if (!plugin)
        answer_error(ex, &ex->answer, 404, 0,
                     "plugin '%s' is not known; GET /api/v1/connector-plugins?connectorsOnly=false "
                     "shows the ones there are",
                     ex->item);
    return plugin;
}

void api_plugin_config(exchange *ex)
{
    const omc_plugin *plugin = wanted(ex);

    if (plugin)
        answer_json(&ex->answer, 200, view_config_keys(plugin));
}

/* ---- validation ---- */

struct validation {
    const omc_plugin *plugin;
    submitted config;
};

static void render_validate(exchange *ex, const rc_reply *reply, answer *out)
{
    const struct validation *v = ex->state;

    if (reply->result < 0 && reply->problem_count == 0)
        answer_error(ex, out, answer_status_of(-reply->result), 0, "%s", answer_why(ex, reply));
    else
        answer_json(out, 200,
                    view_config_infos(v->plugin, rc_plugin_class(v->plugin, &ex->arena.pub),
                                      v->config.config, reply->problems, reply->problem_count));
}

/* A class in the body must be the plugin of the path, under any of its names. */
static int check_class(exchange *ex, struct validation *v)
{
    const char *name = rc_kv_text(v->config.config, "connector.class", NULL, &ex->arena.pub);
    rc_kv kv;

    if (name && view_find_plugin(rc_worker_registry(ex->rest->worker), name) != v->plugin) {
        answer_error(ex, &ex->answer, 400, 0,
                     "key 'connector.class' = '%s' is not plugin '%s' of the path; make them the "
                     "same",
                     name, ex->item);
        return -1;
    }
    if (!name) {
        rc_kv_init(&kv, &ex->arena.pub);
        rc_kv_put_str(&kv, "connector.class", v->plugin->name);
        rc_kv_put_all(&kv, v->config.config);
        v->config.config = rc_kv_done(&kv);
    }
    return 0;
}

void api_plugin_validate(exchange *ex)
{
    struct validation *v = omc_alloc0(&ex->arena.pub, sizeof *v);
    rc_request request = {.kind = RC_REQUEST_VALIDATE, .expected = -1};
    rc_slice text = ex->body.len ? rc_buf_slice(&ex->body) : omc_slice_str("{}");
    rc_error err = {0};

    v->plugin = wanted(ex);
    if (!v->plugin)
        return;
    if (rest_config_read(text, false, &ex->arena.pub, &v->config, &err) < 0) {
        answer_error(ex, &ex->answer, 400, 0, "the body: %s", err.msg);
        return;
    }
    if (v->plugin->kind != OMC_SOURCE && v->plugin->kind != OMC_SINK) {
        answer_json(&ex->answer, 200,
                    view_validate_own(v->plugin, v->config.config, &ex->arena.pub));
        return;
    }
    if (check_class(ex, v) < 0)
        return;
    request.config = v->config.config;
    /* Clients that only check have no name yet; any valid one does. */
    request.connector = rc_kv_text(v->config.config, "name", v->plugin->name, &ex->arena.pub);
    ex->state = v;
    exchange_post(ex, &request, render_validate);
}

/* ---- loggers ---- */

static json_t *level_json(void)
{
    static const char *const names[] = {"DEBUG", "INFO", "WARN", "ERROR"};

    return json_pack("{s:s,s:n}", "level", names[rc_diag_level()], "last_modified");
}

void api_loggers(exchange *ex)
{
    answer_json(&ex->answer, 200, json_pack("{s:o}", "root", level_json()));
}

static bool is_root(exchange *ex)
{
    if (strcmp(ex->name, "root") == 0)
        return true;
    answer_error(ex, &ex->answer, 404, 0, "logger '%s' is not known; there is one, 'root'",
                 ex->name);
    return false;
}

void api_logger(exchange *ex)
{
    if (is_root(ex))
        answer_json(&ex->answer, 200, level_json());
}

void api_logger_put(exchange *ex)
{
    submitted body;
    omc_log_level level;
    rc_error err = {0};
    const char *text;
    char lower[8] = "";

    if (!is_root(ex))
        return;
    if (rest_config_read(rc_buf_slice(&ex->body), false, &ex->arena.pub, &body, &err) < 0) {
        answer_error(ex, &ex->answer, 400, 0, "the body: %s", err.msg);
        return;
    }
    text = rc_kv_text(body.config, "level", "", &ex->arena.pub);
    for (size_t i = 0; text[i] && i + 1 < sizeof lower; i++)
        lower[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 32 : text[i]);
    if (strlen(text) >= sizeof lower || rc_diag_parse_level(lower, &level) < 0) {
        answer_error(ex, &ex->answer, 400, 0,
                     "level '%s' is not known; use debug, info, warn or error", text);
        return;
    }
    rc_diag_set_level(level);
    answer_json(&ex->answer, 200, json_pack("[s]", "root"));
}
