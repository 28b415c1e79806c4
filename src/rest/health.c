/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /health: asks the control thread, so that a worker that hangs is not called healthy, and the
 * log, which must be writable if it is the worker's own. Failed connectors are counted, but the
 * worker is healthy with them: restarting it would not help.
 */
#include "rest/routes.h"
#include "rest/views.h"

static json_t *health(const exchange *ex, const char *status, const char *message)
{
    return json_pack("{s:s,s:o,s:s,s:o}", "status", status, "message", view_str(message), "version",
                     RC_VERSION, "worker_id", view_str(ex->worker_id));
}

static void render_health(exchange *ex, const rc_reply *reply, answer *out)
{
    rc_log_health log = {.writable = true};
    /* A log that others keep comes back by itself; restarting the worker would not help it. */
    const bool ours = !(rc_log_caps_of(ex->log) & RC_LOG_SHARED);
    int64_t failed = 0;
    json_t *body;

    rc_log_health_get(ex->log, &log);
    for (size_t i = 0; i < reply->count; i++) {
        const rc_connector_view *c = &reply->connectors[i];
        bool bad = c->state == RC_STATE_FAILED;

        for (size_t t = 0; t < c->task_count; t++)
            bad = bad || c->tasks[t].state == RC_STATE_FAILED;
        failed += bad;
    }
    if (reply->result < 0)
        body = health(ex, "unhealthy", answer_why(ex, reply));
    else if (!log.writable)
        body = health(ex, ours ? "unhealthy" : "degraded",
                      log.text[0] ? log.text : "the log cannot be written");
    else
        body = health(ex, "healthy", "the worker answers and its log is writable");
    (void)json_object_set_new(body, "connectors", json_integer((json_int_t)reply->count));
    (void)json_object_set_new(body, "connectors_failed", json_integer(failed));
    answer_json(out, reply->result < 0 || (ours && !log.writable) ? 500 : 200, body);
}

static void late(exchange *ex)
{
    answer_json(&ex->answer, 500,
                health(ex, "unhealthy",
                       "the control thread did not answer within 10 s; the log lines say what it "
                       "does"));
}

void open_health(exchange *ex)
{
    rc_request request = {.kind = RC_REQUEST_LIST, .expected = -1};

    if (!ex->rest->worker) {
        const char *waits = ex->rest->waits;

        answer_json(&ex->answer, 503,
                    health(ex, "starting", waits ? waits : "the worker is not ready yet"));
        return;
    }
    ex->late = late;
    exchange_post_within(ex, &request, render_health,
                         RC_MIN(REST_HEALTH_TIMEOUT_MS, ex->rest->config.timeout_ms));
}
