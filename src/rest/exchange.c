/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Life of a request: made when its first line arrives, perhaps suspended while the worker works,
 * freed when libmicrohttpd is done with it and no reply is to come any more.
 *
 * Replies arrive on the control thread. They are rendered there (what a reply shows is valid only
 * then), put on a list, and the loop is posted once for all that gather. A reply that comes after
 * its deadline finds the exchange answered and is dropped.
 */
#include "rest/exchange.h"

#include "base/diag.h"
#include "rest/routes.h"

#include <utlist.h>

#define POST_TEXT "try again; GET /health says how the worker is"

/* ---- the request ---------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Undoes %XX (and '+' in queries). A '%' that begins no escape stays one, as Jetty's lenient
 * parsers do. The result is NUL-terminated. */
static rc_slice unescape(omc_arena *arena, const char *text, size_t len, bool plus)
{
    char *out = omc_alloc(arena, len + 1);
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        int high = i + 2 < len ? hex_digit(text[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(text[i + 2]) : -1;

        if (text[i] == '%' && low >= 0) {
            out[n++] = (char)(high * 16 + low);
            i += 2;
        } else {
            out[n++] = plus && text[i] == '+' ? ' ' : text[i];
        }
    }
    out[n] = '\0';
    return omc_slice_of(out, n);
}

static void split_query(exchange *ex, const char *query)
{
    while (*query && ex->query_count < REST_QUERY_MAX) {
        size_t len = strcspn(query, "&");
        const char *eq = memchr(query, '=', len);
        size_t key_len = eq ? (size_t)(eq - query) : len;
        pair *p = &ex->query[ex->query_count];

        p->key = unescape(&ex->arena.pub, query, key_len, true).base;
        p->value = eq ? unescape(&ex->arena.pub, eq + 1, len - key_len - 1, true)
                      : omc_slice_of(omc_copy(&ex->arena.pub, "", 0), 0);
        ex->query_count += *p->key != '\0';
        query += len + (query[len] == '&');
    }
}

/* One slash at the end is ignored, as in Java. A path with too many segments has none: 404. */
static void split_path(exchange *ex, const char *path, size_t len)
{
    size_t i = 0;

    if (len > 1 && path[len - 1] == '/')
        len--;
    while (i < len && path[i] == '/') {
        size_t start = ++i;

        while (i < len && path[i] != '/')
            i++;
        if (ex->segment_count == REST_SEGMENTS_MAX) {
            ex->segment_count = 0;
            return;
        }
        ex->segments[ex->segment_count++] =
            unescape(&ex->arena.pub, path + start, i - start, false);
    }
    if (ex->segment_count == 1 && ex->segments[0].len == 0)
        ex->segment_count = 0;
}

exchange *exchange_new(rc_rest *rest, const char *uri)
{
    exchange *ex = rc_calloc(1, sizeof *ex);
    const char *mark;

    atomic_init(&ex->refs, 1);
    atomic_fetch_add(&rest->refs, 1);
    ex->rest = rest;
    rc_arena_init(&ex->arena, 4096);
    rc_buf_init(&ex->body, REST_BODY_MAX);
    rc_buf_init(&ex->answer.body, REST_ANSWER_MAX);
    rc_buf_init(&ex->reply.body, REST_ANSWER_MAX);
    ex->uri = omc_copy(&ex->arena.pub, uri, strlen(uri));
    mark = strchr(ex->uri, '?');
    split_path(ex, ex->uri, mark ? (size_t)(mark - ex->uri) : strlen(ex->uri));
    if (mark)
        split_query(ex, mark + 1);
    return ex;
}

void exchange_unref(exchange *ex)
{
    rc_rest *rest = ex->rest;

    if (atomic_fetch_sub(&ex->refs, 1) > 1)
        return;
    rc_buf_release(&ex->body);
    rc_buf_release(&ex->answer.body);
    rc_buf_release(&ex->reply.body);
    rc_arena_release(&ex->arena);
    free(ex);
    rest_unref(rest);
}

rc_slice exchange_query(const exchange *ex, const char *key)
{
    for (size_t i = 0; i < ex->query_count; i++)
        if (strcmp(ex->query[i].key, key) == 0)
            return ex->query[i].value;
    return omc_slice_of(NULL, 0);
}

bool exchange_flag(const exchange *ex, const char *key, bool fallback)
{
    rc_slice value = exchange_query(ex, key);

    if (!value.base)
        return fallback;
    return value.len == 0 || omc_slice_is(value, "true");
}

/* ---- waiting for the worker ------------------------------------------------------------------ */

/* One timer serves all that wait: it is set to the earliest deadline, and off without any. */
static void arm_deadline(rc_rest *rest)
{
    int64_t earliest = INT64_MAX;
    int64_t left_ms;
    exchange *ex;

    DL_FOREACH2(rest->waiting, ex, next_waiting)
    earliest = RC_MIN(earliest, ex->deadline_ns);
    if (earliest == INT64_MAX) {
        rc_loop_timer_set(rest->deadline, -1);
        return;
    }
    left_ms = (earliest - rc_mono_ns(rc_clock_real())) / 1000000 + 1;
    rc_loop_timer_set(rest->deadline, RC_MAX(left_ms, 0));
}

static void stop_waiting(exchange *ex)
{
    ex->pending = false;
    DL_DELETE2(ex->rest->waiting, ex, prev_waiting, next_waiting);
}

/* The exchange has its answer: libmicrohttpd may send it at its next run. */
static void complete(exchange *ex)
{
    RC_ASSERT(ex->answer.status != 0);
    if (!ex->suspended)
        return;
    ex->suspended = false;
    MHD_resume_connection(ex->connection);
}

static void take_reply(exchange *ex)
{
    continue_fn *next = ex->next;

    if (ex->pending) {
        stop_waiting(ex);
        ex->next = NULL;
        if (next) {
            answer_clear(&ex->reply);
            next(ex);
        } else {
            rc_buf_release(&ex->answer.body);
            ex->answer = ex->reply;
            rc_buf_init(&ex->reply.body, REST_ANSWER_MAX);
        }
        if (!ex->pending)
            complete(ex);
    }
    exchange_unref(ex);
}

void exchange_take_replies(rc_rest *rest)
{
    exchange *newest;
    exchange *oldest = NULL;

    pthread_mutex_lock(&rest->mu);
    newest = rest->done;
    rest->done = NULL;
    rest->posted = false;
    pthread_mutex_unlock(&rest->mu);
    while (newest) {
        exchange *ex = newest;

        newest = ex->next_done;
        ex->next_done = oldest;
        oldest = ex;
    }
    while (oldest) {
        exchange *ex = oldest;

        oldest = ex->next_done;
        take_reply(ex);
    }
}

static void on_done(void *arg)
{
    rc_rest *rest = arg;

    exchange_take_replies(rest);
    if (rest->daemon) {
        arm_deadline(rest);
        rest_run(rest);
    }
    rest_unref(rest);
}

void exchange_finish(exchange *ex)
{
    rc_rest *rest = ex->rest;
    bool drop;

    pthread_mutex_lock(&rest->mu);
    drop = rest->stopped;
    if (!drop) {
        ex->next_done = rest->done;
        rest->done = ex;
        if (!rest->posted) {
            atomic_fetch_add(&rest->refs, 1);
            /* A full loop is tried again with the next reply; until then deadlines answer. */
            rest->posted = rc_loop_post(rest->loop, on_done, rest) == 0;
            if (!rest->posted)
                atomic_fetch_sub(&rest->refs, 1);
        }
    }
    pthread_mutex_unlock(&rest->mu);
    if (drop)
        exchange_unref(ex);
}

/* @thread control. The exchange waits, or was given up; either way its reply is ours to write. */
static void on_reply(const rc_reply *reply, void *arg)
{
    exchange *ex = arg;

    ex->render(ex, reply, &ex->reply);
    if (!ex->reply.status && !ex->next)
        answer_error(ex, &ex->reply, 500, 500, "no answer was made for this request");
    exchange_finish(ex);
}

void exchange_wait(exchange *ex, int64_t timeout_ms)
{
    ex->pending = true;
    ex->deadline_ns = rc_mono_ns(rc_clock_real()) + timeout_ms * 1000000;
    DL_APPEND2(ex->rest->waiting, ex, prev_waiting, next_waiting);
    atomic_fetch_add(&ex->refs, 1);
    arm_deadline(ex->rest);
}

void exchange_wait_no_more(exchange *ex)
{
    atomic_fetch_sub(&ex->refs, 1); /* The caller's is left. */
    stop_waiting(ex);
    arm_deadline(ex->rest);
}

void exchange_post_within(exchange *ex, const rc_request *request, render_fn *render,
                          int64_t timeout_ms)
{
    rc_rest *rest = ex->rest;
    rc_request copy = *request;
    rc_error err = {0};

    RC_ASSERT(!ex->pending && !ex->answer.status);
    if (!rest->worker) {
        answer_error(ex, &ex->answer, 503, 500, "the worker is not ready; %s", POST_TEXT);
        return;
    }
    if (!ex->worker_id) {
        const char *id = rc_worker_config_of(rest->worker)->worker_id;

        ex->worker_id = omc_copy(&ex->arena.pub, id, strlen(id));
        ex->registry = rc_worker_registry(rest->worker);
        ex->log = rc_worker_log(rest->worker);
        ex->worker_started_ms = rc_worker_started_ms(rest->worker);
    }
    copy.done = on_reply;
    copy.arg = ex;
    ex->render = render;
    exchange_wait(ex, timeout_ms);
    if (rc_worker_post(rest->worker, &copy, &err) < 0) {
        exchange_wait_no_more(ex);
        answer_error(ex, &ex->answer, 503, 500, "%s; %s",
                     err.msg[0] ? err.msg : "the worker does not take requests", POST_TEXT);
    }
}

void exchange_post(exchange *ex, const rc_request *request, render_fn *render)
{
    exchange_post_within(ex, request, render, ex->rest->config.timeout_ms);
}

void exchange_on_deadline(void *arg)
{
    rc_rest *rest = arg;
    int64_t now = rc_mono_ns(rc_clock_real());
    exchange *ex;
    exchange *next;

    DL_FOREACH_SAFE2(rest->waiting, ex, next, next_waiting)
    {
        if (ex->deadline_ns > now)
            continue;
        stop_waiting(ex);
        if (ex->late)
            ex->late(ex);
        else
            answer_error(ex, &ex->answer, 503, 500,
                         "the worker did not answer in time; the request may still be carried "
                         "out. Look at the connector's status before trying again");
        complete(ex);
    }
    exchange_take_replies(rest); /* Only some when posting them failed. */
    arm_deadline(rest);
    rest_run(rest);
}

void exchange_cancel_all(rc_rest *rest)
{
    exchange *ex;
    exchange *next;

    DL_FOREACH_SAFE2(rest->waiting, ex, next, next_waiting)
    {
        stop_waiting(ex);
        answer_error(ex, &ex->answer, 503, 500,
                     "the worker is stopping; the request may still be carried out");
        complete(ex);
    }
}
