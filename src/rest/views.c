/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connectors and tasks as JSON. jansson keeps the order in which members were set, and clients of
 * the Java runtime see the order they know.
 */
#include "rest/views.h"

#include "base/encode.h"

/* ---- text ----------------------------------------------------------------------------------- */

/* Length of the well-formed character at `at`, or 0. */
static size_t char_len(const char *at, size_t left)
{
    unsigned char c = (unsigned char)*at;
    size_t n = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;

    return n <= left && rc_utf8_valid(omc_slice_of(at, n)) ? n : 0;
}

static json_t *repaired(rc_slice text)
{
    static const char replacement[] = {'\xef', '\xbf', '\xbd'}; /* U+FFFD */
    RC_AUTO_FREE char *out = rc_malloc(text.len * 3 + 1);
    size_t n = 0;

    RC_ASSERT(text.base);
    for (size_t i = 0; i < text.len;) {
        size_t len = char_len(text.base + i, text.len - i);

        if (len)
            memcpy(out + n, text.base + i, len);
        else
            memcpy(out + n, replacement, sizeof replacement);
        n += len ? len : 3;
        i += len ? len : 1;
    }
    return json_stringn(out, n);
}

json_t *view_text(rc_slice text)
{
    json_t *json = json_stringn(text.base ? text.base : "", text.len);

    return json ? json : repaired(text);
}

json_t *view_str(const char *text)
{
    return text ? view_text(omc_slice_str(text)) : json_null();
}

json_t *view_config(const omc_keyvalue *config)
{
    json_t *json = json_object();

    for (size_t i = 0; config && i < config->count; i++) {
        rc_slice key = config->pairs[i].key;
        RC_AUTO_FREE char *name = rc_strndup(key.base ? key.base : "", key.len);

        (void)json_object_set_new(json, name, view_text(config->pairs[i].value));
    }
    return json;
}

static json_t *task_ids(const rc_connector_view *c)
{
    json_t *ids = json_array();

    for (size_t i = 0; i < c->task_count; i++)
        (void)json_array_append_new(ids, json_pack("{s:o,s:i}", "connector", view_str(c->name),
                                                   "task", c->tasks[i].id));
    return ids;
}

static json_t *tasks_with_config(const rc_connector_view *c)
{
    json_t *tasks = json_array();

    for (size_t i = 0; i < c->task_count; i++)
        (void)json_array_append_new(tasks, json_pack("{s:{s:o,s:i},s:o}", "id", "connector",
                                                     view_str(c->name), "task", c->tasks[i].id,
                                                     "config", view_config(c->tasks[i].config)));
    return tasks;
}

/* ---- the Java runtime's --------------------------------------------------------------------- */

const char *view_java_type(unsigned kind)
{
    return kind == OMC_SOURCE ? "SOURCE" : kind == OMC_SINK ? "SINK" : "UNKNOWN";
}

/* Who runs it: another worker, nobody ("") or the one that answers. */
static json_t *view_worker(const char *worker, const char *self)
{
    return view_str(worker ? worker : self);
}

json_t *view_java_task(const rc_task_view *task, const char *worker_id)
{
    return json_pack("{s:s,s:o,s:o,s:i}", "state", rc_state_java(task->state), "trace",
                     view_str(task->trace), "workerId", view_worker(task->worker, worker_id), "id",
                     task->id);
}

json_t *view_java_status(const rc_connector_view *c, const char *worker_id)
{
    json_t *tasks = json_array();

    for (size_t i = 0; i < c->task_count; i++)
        (void)json_array_append_new(tasks, view_java_task(&c->tasks[i], worker_id));
    return json_pack("{s:o,s:{s:s,s:o,s:o},s:o,s:s}", "name", view_str(c->name), "connector",
                     "state", rc_state_java(c->state), "trace", view_str(c->trace), "workerId",
                     view_worker(c->worker, worker_id), "tasks", tasks, "type",
                     view_java_type(c->kind));
}

json_t *view_java_info(const rc_connector_view *c)
{
    return json_pack("{s:o,s:o,s:o,s:s}", "name", view_str(c->name), "config",
                     view_config(c->config), "tasks", task_ids(c), "type", view_java_type(c->kind));
}

json_t *view_java_tasks(const rc_connector_view *c)
{
    return tasks_with_config(c);
}

/* ---- Kafka Connect's ------------------------------------------------------------------------ */

static const char *kafka_type(unsigned kind)
{
    return kind == OMC_SOURCE ? "source" : kind == OMC_SINK ? "sink" : "unknown";
}

/* What we add to Kafka's states: why, since when, until when. Kafka leaves an empty trace out. */
static void add_story(json_t *to, const char *trace, int64_t since_ms, int64_t retry_in_ms)
{
    char time[32];

    if (trace)
        (void)json_object_set_new(to, "trace", view_str(trace));
    if (since_ms > 0) {
        rc_format_time(since_ms, time);
        (void)json_object_set_new(to, "since", json_string(time));
        (void)json_object_set_new(to, "since_ms", json_integer(since_ms));
    }
    if (retry_in_ms > 0)
        (void)json_object_set_new(to, "retry_in_ms", json_integer(retry_in_ms));
}

json_t *view_kafka_task(const rc_task_view *task, const char *worker_id)
{
    json_t *json = json_pack("{s:i,s:s,s:o}", "id", task->id, "state", rc_state_name(task->state),
                             "worker_id", view_worker(task->worker, worker_id));

    add_story(json, task->trace, task->since_ms,
              task->state == RC_STATE_RESTARTING ? task->retry_in_ms : 0);
    return json;
}

json_t *view_kafka_status(const rc_connector_view *c, const char *worker_id)
{
    json_t *connector = json_pack("{s:s,s:o}", "state", rc_state_name(c->state), "worker_id",
                                  view_worker(c->worker, worker_id));
    json_t *tasks = json_array();

    add_story(connector, c->trace, c->since_ms, 0);
    for (size_t i = 0; i < c->task_count; i++)
        (void)json_array_append_new(tasks, view_kafka_task(&c->tasks[i], worker_id));
    return json_pack("{s:o,s:o,s:o,s:s}", "name", view_str(c->name), "connector", connector,
                     "tasks", tasks, "type", kafka_type(c->kind));
}

json_t *view_kafka_info(const rc_connector_view *c)
{
    return json_pack("{s:o,s:o,s:o,s:s,s:I}", "name", view_str(c->name), "config",
                     view_config(c->config), "tasks", task_ids(c), "type", kafka_type(c->kind),
                     "version", (json_int_t)c->version);
}

json_t *view_kafka_tasks(const rc_connector_view *c)
{
    return tasks_with_config(c);
}
