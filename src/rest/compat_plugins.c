/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Java runtime's routes for plugins. /plugin/config and /plugin/config/validate are "not
 * implemented yet" there; here they answer in Kafka Connect's shapes.
 */
#include "rest/routes.h"
#include "rest/views.h"

static const char *java_kind(unsigned kind)
{
    switch (kind) {
    case OMC_SINK:
        return "SINK";
    case OMC_SOURCE:
        return "SOURCE";
    case OMC_TRANSFORM:
        return "TRANSFORMATION";
    case OMC_CONVERTER:
        return "CONVERTER";
    default:
        return NULL; /* Predicates: Java has none. */
    }
}

static void list(exchange *ex, bool connectors_only)
{
    const rc_plugin_info *infos;
    size_t count = rc_registry_list(rc_worker_registry(ex->rest->worker), &ex->arena.pub, &infos);
    json_t *all = json_array();

    for (size_t i = 0; i < count; i++) {
        const omc_plugin *p = infos[i].plugin;
        const char *kind = java_kind(p->kind);

        if (!kind || (connectors_only && p->kind != OMC_SINK && p->kind != OMC_SOURCE))
            continue;
        (void)json_array_append_new(all,
                                    json_pack("{s:o,s:s,s:o}", "className",
                                              view_str(rc_plugin_class(p, &ex->arena.pub)), "type",
                                              kind, "version",
                                              view_str(p->version ? p->version : "undefined")));
    }
    answer_compat(&ex->answer, all);
}

void compat_plugins(exchange *ex)
{
    list(ex, false);
}

void compat_plugin_connectors(exchange *ex)
{
    list(ex, true);
}

static void render_reload(exchange *ex, const rc_reply *reply, answer *out)
{
    if (reply->result >= 0)
        answer_compat_text(out, "Plugin reload succeeded");
    else
        answer_error(ex, out, answer_status_of(-reply->result), 500, "%s", answer_why(ex, reply));
}

void compat_reload(exchange *ex)
{
    rc_request request = {.kind = RC_REQUEST_RELOAD, .expected = -1};

    exchange_post(ex, &request, render_reload);
}

/* The plugin the query names, or an answer. */
static const omc_plugin *wanted(exchange *ex)
{
    rc_slice name = exchange_query(ex, "pluginName");
    const omc_plugin *plugin;

    if (name.len == 0)
        name = exchange_query(ex, "connectorName");
    if (name.len == 0) {
        answer_error(ex, &ex->answer, 400, 400,
                     "query param 'pluginName' is required: the class, name or alias of a plugin; "
                     "GET /plugin/list shows them");
        return NULL;
    }
    plugin = view_find_plugin(rc_worker_registry(ex->rest->worker), name.base);
    if (!plugin)
        answer_error(ex, &ex->answer, 404, 400,
                     "plugin '%s' is not known; GET /plugin/list shows the ones there are",
                     name.base);
    return plugin;
}

void compat_plugin_config(exchange *ex)
{
    const omc_plugin *plugin = wanted(ex);

    if (plugin)
        answer_compat(&ex->answer, view_config_keys(plugin));
}

struct validation {
    const omc_plugin *plugin;
    submitted config;
};

static void render_validate(exchange *ex, const rc_reply *reply, answer *out)
{
    const struct validation *v = ex->state;

    if (reply->result < 0 && reply->problem_count == 0)
        answer_error(ex, out, answer_status_of(-reply->result), 400, "%s", answer_why(ex, reply));
    else
        answer_compat(out,
                      view_config_infos(v->plugin, rc_plugin_class(v->plugin, &ex->arena.pub),
                                        v->config.config, reply->problems, reply->problem_count));
}

void compat_plugin_validate(exchange *ex)
{
    rc_slice text = exchange_query(ex, "config");
    struct validation *v = omc_alloc0(&ex->arena.pub, sizeof *v);
    rc_request request = {.kind = RC_REQUEST_VALIDATE, .expected = -1};
    rc_error err = {0};
    rc_kv kv;

    v->plugin = wanted(ex);
    if (!v->plugin)
        return;
    if (rest_config_read(text.len ? text : omc_slice_str("{}"), false, &ex->arena.pub, &v->config,
                         &err) < 0) {
        answer_error(ex, &ex->answer, 400, 400, "Failed! query param 'config' is malformed: %s",
                     err.msg);
        return;
    }
    if (v->plugin->kind != OMC_SOURCE && v->plugin->kind != OMC_SINK) {
        answer_compat(&ex->answer, view_validate_own(v->plugin, v->config.config, &ex->arena.pub));
        return;
    }
    rc_kv_init(&kv, &ex->arena.pub);
    rc_kv_put_str(&kv, "connector.class", v->plugin->name);
    rc_kv_put_all(&kv, v->config.config);
    v->config.config = rc_kv_done(&kv);
    request.config = v->config.config;
    /* Clients that only check have no name yet; any valid one does. */
    request.connector = rc_kv_text(v->config.config, "name", v->plugin->name, &ex->arena.pub);
    ex->state = v;
    exchange_post(ex, &request, render_validate);
}
