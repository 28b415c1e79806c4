/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /api/v1: connectors, their configurations, states and offsets, in the shapes of Kafka Connect.
 * A configuration has a version, shown as ETag; a change with If-Match happens only on that
 * version.
 */
#include "base/units.h"
#include "rest/routes.h"
#include "rest/views.h"

#include <strings.h>

static void fail(exchange *ex, answer *out, const rc_reply *reply)
{
    unsigned status = answer_status_of(-reply->result);

    if (reply->result == -OMC_ESTATE && ex->if_match)
        status = 412;
    /* A class nobody knows is a bad configuration, not a missing resource. */
    if (reply->result == -OMC_ENOTFOUND && (ex->method == REST_POST || ex->method == REST_PUT) &&
        (ex->route->flags & ROUTE_BODY))
        status = 400;
    if (reply->result == -OMC_ENOTFOUND && reply->problem_count)
        status = 400;
    answer_error(ex, out, status, 0, "%s", answer_why(ex, reply));
}

static const rc_connector_view *shown(exchange *ex, const rc_reply *reply, answer *out)
{
    if (reply->result == 0 && reply->count > 0)
        return &reply->connectors[0];
    if (reply->result < 0)
        fail(ex, out, reply);
    else
        answer_error(ex, out, 404, 0, "connector '%s' does not exist", ex->name ? ex->name : "");
    return NULL;
}

static void set_etag(answer *out, const rc_connector_view *c)
{
    (void)snprintf(out->etag, sizeof out->etag, "\"%lld\"", (long long)c->version);
}

static void post(exchange *ex, rc_request_kind kind, render_fn *render)
{
    rc_request request = {.kind = kind, .connector = ex->name, .expected = -1};

    exchange_post(ex, &request, render);
}

/* ---- the worker, lists ---------------------------------------------------------------------- */

void api_root(exchange *ex)
{
    const rc_worker *worker = ex->rest->worker;
    char time[32];

    rc_format_time(rc_worker_started_ms(worker), time);
    answer_json(&ex->answer, 200,
                json_pack("{s:s,s:o,s:s,s:I}", "version", RC_VERSION, "worker_id",
                          view_str(rc_worker_config_of(worker)->worker_id), "started", time,
                          "started_ms", (json_int_t)rc_worker_started_ms(worker)));
}

static bool expands(const exchange *ex, const char *what)
{
    for (size_t i = 0; i < ex->query_count; i++)
        if (strcmp(ex->query[i].key, "expand") == 0 && omc_slice_is(ex->query[i].value, what))
            return true;
    return false;
}

static json_t *list_names(const rc_reply *reply)
{
    json_t *names = json_array();

    for (size_t i = 0; i < reply->count; i++)
        (void)json_array_append_new(names, view_str(reply->connectors[i].name));
    return names;
}

static void render_list(exchange *ex, const rc_reply *reply, answer *out)
{
    bool status = expands(ex, "status");
    bool info = expands(ex, "info");
    json_t *all;

    if (reply->result < 0) {
        fail(ex, out, reply);
        return;
    }
    if (!status && !info) {
        answer_json(out, 200, list_names(reply));
        return;
    }
    all = json_object();
    for (size_t i = 0; i < reply->count; i++) {
        const rc_connector_view *c = &reply->connectors[i];
        json_t *one = json_object();

        if (status)
            (void)json_object_set_new(one, "status", view_kafka_status(c, ex->worker_id));
        if (info)
            (void)json_object_set_new(one, "info", view_kafka_info(c));
        (void)json_object_set_new(all, c->name, one);
    }
    answer_json(out, 200, all);
}

void api_list(exchange *ex)
{
    post(ex, RC_REQUEST_LIST, render_list);
}

/* ---- one connector -------------------------------------------------------------------------- */

static void render_info(exchange *ex, const rc_reply *reply, answer *out)
{
    const rc_connector_view *c = shown(ex, reply, out);

    if (!c)
        return;
    answer_json(out, 200, view_kafka_info(c));
    set_etag(out, c);
}

void api_get(exchange *ex)
{
    post(ex, RC_REQUEST_GET, render_info);
}

static void render_config(exchange *ex, const rc_reply *reply, answer *out)
{
    const rc_connector_view *c = shown(ex, reply, out);

    if (!c)
        return;
    answer_json(out, 200, view_config(c->config));
    set_etag(out, c);
}

void api_config(exchange *ex)
{
    post(ex, RC_REQUEST_GET, render_config);
}

static void render_status(exchange *ex, const rc_reply *reply, answer *out)
{
    const rc_connector_view *c = shown(ex, reply, out);

    if (c)
        answer_json(out, 200, view_kafka_status(c, ex->worker_id));
}

void api_status(exchange *ex)
{
    post(ex, RC_REQUEST_GET, render_status);
}

static void render_tasks(exchange *ex, const rc_reply *reply, answer *out)
{
    const rc_connector_view *c = shown(ex, reply, out);

    if (c)
        answer_json(out, 200, view_kafka_tasks(c));
}

void api_tasks(exchange *ex)
{
    post(ex, RC_REQUEST_GET, render_tasks);
}

/* ---- changes of configuration ---------------------------------------------------------------- */

/* If-Match: "3", W/"3", 3 or *. @return 0, or -1 with the answer made. */
static int expected_version(exchange *ex, int64_t *ret)
{
    const char *text = ex->if_match;
    rc_slice number;

    *ret = -1;
    if (!text || strcmp(text, "*") == 0)
        return 0;
    if (strncmp(text, "W/", 2) == 0)
        text += 2;
    number = omc_slice_str(text);
    if (number.len >= 2 && *text == '"' && text[number.len - 1] == '"')
        number = omc_slice_of(text + 1, number.len - 2);
    if (rc_parse_int64(number, ret) == 0 && *ret >= 0)
        return 0;
    answer_error(ex, &ex->answer, 400, 0,
                 "If-Match '%s' is not a version; send the ETag that GET .../config answered",
                 ex->if_match);
    return -1;
}

/* Percent-escapes everything but the characters that never need it. */
static const char *location_of(exchange *ex, const char *name)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    rc_buf path = RC_BUF(4096);
    const char *copy;

    rc_buf_str(&path, "/api/v1/connectors/");
    for (; *name; name++)
        if (strchr(plain, *name))
            rc_buf_char(&path, *name);
        else
            rc_buf_printf(&path, "%%%02X", (unsigned char)*name);
    copy = omc_copy(&ex->arena.pub, path.data, path.len);
    rc_buf_release(&path);
    return copy;
}

static void render_put(exchange *ex, const rc_reply *reply, answer *out)
{
    const rc_connector_view *c = shown(ex, reply, out);

    if (!c)
        return;
    answer_json(out, reply->created ? 201 : 200, view_kafka_info(c));
    set_etag(out, c);
    if (reply->created)
        out->location = location_of(ex, c->name);
}

/* Reads the body as a flat map; the answer is made when it is none. */
static int read_body(exchange *ex, bool nulls_remove, submitted *ret)
{
    rc_error err = {0};

    if (ex->body.len == 0) {
        answer_error(ex, &ex->answer, 400, 0,
                     "the body is empty; send a JSON object, e.g. {\"connector.class\":\"...\"}");
        return -1;
    }
    if (rest_config_read(rc_buf_slice(&ex->body), nulls_remove, &ex->arena.pub, ret, &err) == 0)
        return 0;
    answer_error(ex, &ex->answer, 400, 0, "the body: %s", err.msg);
    return -1;
}

/* A name inside the configuration must be that of the connector, as in Kafka Connect. */
static int check_name(exchange *ex, const char *name, const omc_keyvalue *config)
{
    const omc_slice *inside = omc_keyvalue_get(config, "name");

    if (!inside || omc_slice_is(*inside, name))
        return 0;
    answer_error(ex, &ex->answer, 400, 0,
                 "key 'name' = '" RC_SLICE_FMT "' is not the connector's name '%s'; make them the "
                 "same or leave the key out",
                 RC_SLICE_ARG(*inside), name);
    return -1;
}

void api_put(exchange *ex)
{
    rc_request request = {.kind = RC_REQUEST_PUT, .connector = ex->name};
    submitted body;

    if (read_body(ex, false, &body) < 0 || check_name(ex, ex->name, body.config) < 0 ||
        expected_version(ex, &request.expected) < 0)
        return;
    request.config = body.config;
    exchange_post(ex, &request, render_put);
}

void api_patch(exchange *ex)
{
    rc_request request = {.kind = RC_REQUEST_PATCH, .connector = ex->name};
    submitted body;

    if (read_body(ex, true, &body) < 0 || check_name(ex, ex->name, body.config) < 0 ||
        expected_version(ex, &request.expected) < 0)
        return;
    request.config = body.config;
    request.remove = body.removed;
    exchange_post(ex, &request, render_put);
}

/* ---- creation -------------------------------------------------------------------------------- */

static void render_create(exchange *ex, const rc_reply *reply, answer *out)
{
    const rc_connector_view *c = shown(ex, reply, out);

    if (!c)
        return;
    answer_json(out, 201, view_kafka_info(c));
    set_etag(out, c);
    out->location = location_of(ex, c->name);
}

static int initial_state(exchange *ex, const omc_map *body, rc_target_state *ret)
{
    static const struct {
        const char *name;
        rc_target_state state;
    } states[] = {{"RUNNING", RC_TARGET_STARTED},
                  {"PAUSED", RC_TARGET_PAUSED},
                  {"STOPPED", RC_TARGET_STOPPED}};
    const omc_value *value = omc_map_get(body, "initial_state");

    *ret = RC_TARGET_STARTED;
    if (!value || value->kind == OMC_NULL)
        return 0;
    for (size_t i = 0; value->kind == OMC_STRING && i < RC_COUNT(states); i++)
        if (value->u.bytes.len == strlen(states[i].name) &&
            strncasecmp(value->u.bytes.base, states[i].name, value->u.bytes.len) == 0) {
            *ret = states[i].state;
            return 0;
        }
    answer_error(ex, &ex->answer, 400, 0,
                 "'initial_state' is not known; use RUNNING, PAUSED or STOPPED");
    return -1;
}

static const char *trimmed(exchange *ex, rc_slice text)
{
    while (text.len && text.base[0] == ' ')
        text = omc_slice_of(text.base + 1, text.len - 1);
    while (text.len && text.base[text.len - 1] == ' ')
        text.len--;
    return omc_copy(&ex->arena.pub, text.base, text.len);
}

void api_create(exchange *ex)
{
    rc_request request = {.kind = RC_REQUEST_CREATE, .expected = -1};
    submitted body;
    submitted config;
    const omc_value *name;
    const omc_value *value;
    rc_error err = {0};

    if (read_body(ex, true, &body) < 0)
        return;
    name = omc_map_get(body.json.u.map, "name");
    value = omc_map_get(body.json.u.map, "config");
    if (!name || name->kind != OMC_STRING || !value || value->kind != OMC_MAP) {
        answer_error(ex, &ex->answer, 400, 0,
                     "the body needs 'name' (text) and 'config' (object): "
                     "{\"name\":\"...\",\"config\":{\"connector.class\":\"...\"}}");
        return;
    }
    if (rest_config_of(value, false, &ex->arena.pub, &config, &err) < 0) {
        answer_error(ex, &ex->answer, 400, 0, "'config': %s", err.msg);
        return;
    }
    request.connector = trimmed(ex, name->u.bytes);
    request.config = config.config;
    if (check_name(ex, request.connector, config.config) < 0 ||
        initial_state(ex, body.json.u.map, &request.initial) < 0)
        return;
    exchange_post(ex, &request, render_create);
}

/* ---- other changes ---- */

static void render_accepted(exchange *ex, const rc_reply *reply, answer *out)
{
    if (reply->result < 0)
        fail(ex, out, reply);
    else
        answer_empty(out, 202);
}

static void render_no_content(exchange *ex, const rc_reply *reply, answer *out)
{
    if (reply->result < 0)
        fail(ex, out, reply);
    else
        answer_empty(out, 204);
}

void api_delete(exchange *ex)
{
    rc_request request = {.kind = RC_REQUEST_DELETE, .connector = ex->name};

    if (expected_version(ex, &request.expected) == 0)
        exchange_post(ex, &request, render_no_content);
}

void api_pause(exchange *ex)
{
    post(ex, RC_REQUEST_PAUSE, render_accepted);
}

void api_resume(exchange *ex)
{
    post(ex, RC_REQUEST_RESUME, render_accepted);
}

void api_stop(exchange *ex)
{
    post(ex, RC_REQUEST_STOP, render_no_content);
}

static void render_restart(exchange *ex, const rc_reply *reply, answer *out)
{
    if (reply->result < 0)
        fail(ex, out, reply);
    else if (reply->count)
        answer_json(out, 202, view_kafka_status(&reply->connectors[0], ex->worker_id));
    else
        answer_empty(out, 202);
}

void api_restart(exchange *ex)
{
    rc_request request = {.kind = RC_REQUEST_RESTART,
                          .connector = ex->name,
                          .only_failed = exchange_flag(ex, "onlyFailed", false),
                          .expected = -1};

    exchange_post(ex, &request, render_restart);
}

/* ---- one task -------------------------------------------------------------------------------- */

static int task_id(exchange *ex, int *ret)
{
    int64_t id;

    if (rc_parse_int64(omc_slice_str(ex->item), &id) == 0 && id >= 0 && id < RC_TASKS_MAX) {
        *ret = (int)id;
        return 0;
    }
    answer_error(ex, &ex->answer, 400, 0,
                 "task '%s' is not the number of a task; they are numbered from 0", ex->item);
    return -1;
}

static void render_task(exchange *ex, const rc_reply *reply, answer *out)
{
    const rc_connector_view *c = shown(ex, reply, out);
    const int *id = ex->state;

    if (!c)
        return;
    for (size_t i = 0; i < c->task_count; i++)
        if (c->tasks[i].id == *id) {
            answer_json(out, 200, view_kafka_task(&c->tasks[i], ex->worker_id));
            return;
        }
    answer_error(ex, out, 404, 0, "connector '%s' has no task %d; it has %zu", ex->name, *id,
                 c->task_count);
}

void api_task_status(exchange *ex)
{
    int *id = omc_alloc0(&ex->arena.pub, sizeof *id);

    if (task_id(ex, id) < 0)
        return;
    ex->state = id;
    post(ex, RC_REQUEST_GET, render_task);
}

void api_task_restart(exchange *ex)
{
    rc_request request = {.kind = RC_REQUEST_RESTART_TASK, .connector = ex->name, .expected = -1};

    if (task_id(ex, &request.task) == 0)
        exchange_post(ex, &request, render_no_content);
}

/* ---- offsets ---- */

static void add_json(rc_buf *out, rc_slice json)
{
    if (json.base && json.len)
        rc_buf_add(out, json.base, json.len);
    else
        rc_buf_str(out, "null");
}

/* Positions are JSON already, and their numbers must keep their text: written as they are. */
static void render_offsets(exchange *ex, const rc_reply *reply, answer *out)
{
    if (reply->result < 0) {
        fail(ex, out, reply);
        return;
    }
    out->status = 200;
    out->type = REST_JSON;
    rc_buf_str(&out->body, "{\"offsets\":[");
    for (size_t i = 0; i < reply->offset_count; i++) {
        rc_buf_str(&out->body, i ? ",{\"partition\":" : "{\"partition\":");
        add_json(&out->body, reply->offsets[i].partition);
        rc_buf_str(&out->body, ",\"offset\":");
        add_json(&out->body, reply->offsets[i].offset);
        rc_buf_str(&out->body, "}");
    }
    rc_buf_str(&out->body, "]}");
}

void api_offsets(exchange *ex)
{
    post(ex, RC_REQUEST_OFFSETS, render_offsets);
}

static void render_reset(exchange *ex, const rc_reply *reply, answer *out)
{
    if (reply->result < 0)
        fail(ex, out, reply);
    else
        answer_json(out, 200,
                    json_pack("{s:s}", "message",
                              "The offsets of this connector have been forgotten; it begins anew "
                              "when it is resumed."));
}

void api_offsets_reset(exchange *ex)
{
    post(ex, RC_REQUEST_OFFSETS_RESET, render_reset);
}
