/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing answers: the Java runtime's envelope, Kafka Connect's plain bodies, and errors in
 * either shape. One place decides which HTTP status an error gets.
 */
#include "rest/routes.h"

#include <jansson.h>

static int append(const char *bytes, size_t len, void *arg)
{
    rc_buf_add(arg, bytes, len);
    return 0;
}

void answer_clear(answer *out)
{
    rc_buf_release(&out->body);
    out->status = 0;
    out->type = NULL;
    out->location = NULL;
    out->allow = NULL;
    out->etag[0] = '\0';
}

/* An answer that grew beyond its maximum must not be sent cut. */
static void check_size(answer *out)
{
    if (!out->body.overflow)
        return;
    rc_buf_release(&out->body);
    out->status = 500;
    out->type = REST_TEXT;
    rc_buf_printf(&out->body, "The answer is larger than %zu bytes; ask for one connector.",
                  REST_ANSWER_MAX);
}

void answer_json(answer *out, unsigned status, json_t *body)
{
    rc_buf_clear(&out->body);
    out->status = status;
    out->type = REST_JSON;
    if (!body || json_dump_callback(body, append, &out->body, JSON_COMPACT | JSON_ENCODE_ANY) < 0) {
        rc_buf_clear(&out->body);
        out->status = 500;
        rc_buf_str(&out->body, "{\"error_code\":500,\"message\":\"the answer cannot be written as "
                               "JSON\"}");
    }
    json_decref(body);
    check_size(out);
}

void answer_compat(answer *out, json_t *body)
{
    answer_json(out, 200, json_pack("{s:i,s:o}", "status", 200, "body", body));
}

void answer_compat_text(answer *out, const char *fmt, ...)
{
    RC_AUTO_FREE char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        text = NULL;
    va_end(ap);
    answer_compat(out, json_string(text));
}

void answer_text(answer *out, unsigned status, const char *text)
{
    rc_buf_clear(&out->body);
    out->status = status;
    out->type = REST_TEXT;
    rc_buf_str(&out->body, text);
    check_size(out);
}

void answer_empty(answer *out, unsigned status)
{
    rc_buf_clear(&out->body);
    out->status = status;
    out->type = NULL;
}

/* Messages hold names and values from users: bytes that are not UTF-8 must not spoil the JSON. */
static json_t *message_json(char *text)
{
    json_t *json = json_string(text);

    if (json)
        return json;
    for (char *c = text; *c; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    return json_string(text);
}

void answer_error(exchange *ex, answer *out, unsigned status, int java, const char *fmt, ...)
{
    bool compat = (ex->route ? ex->route->family : routes_family(ex)) == ROUTE_COMPAT;
    bool as_java = compat && java != 0 && ex->rest->config.java_status;
    RC_AUTO_FREE char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        text = rc_strdup("out of memory");
    va_end(ap);
    answer_clear(out);
    answer_json(out, as_java ? 200 : status,
                json_pack("{s:i,s:o}", compat ? "errorCode" : "error_code",
                          as_java ? java : (int)status, "message", message_json(text)));
}

unsigned answer_status_of(int code)
{
    switch (code) {
    case OMC_EINVAL:
    case OMC_EFORMAT:
    case OMC_EUNSUPPORTED:
        return 400;
    case OMC_ENOTFOUND:
        return 404;
    case OMC_EEXIST:
    case OMC_ESTATE:
        return 409;
    case OMC_EAGAIN:
    case OMC_ECANCELED:
        return 503;
    default:
        return 500;
    }
}

const char *answer_why(exchange *ex, const rc_reply *reply)
{
    omc_arena *arena = &ex->arena.pub;
    rc_buf buf = RC_BUF((size_t)1 << 20);
    const char *text = reply->err.msg[0] ? reply->err.msg : "no reason was given";

    /* One error holds 1 KiB; a long list of problems is written out here. */
    if (strlen(text) < sizeof reply->err.msg - 4 || reply->problem_count == 0)
        return omc_copy(arena, text, strlen(text));
    for (size_t i = 0; i < reply->problem_count; i++) {
        const rc_problem *p = &reply->problems[i];

        if (!p->warning)
            rc_buf_printf(&buf, "%skey '%s' = '%s': %s", buf.len ? "; " : "", p->key, p->value,
                          p->text);
    }
    text = omc_copy(arena, buf.data ? buf.data : "", buf.len);
    rc_buf_release(&buf);
    return text;
}
