/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One hop at most: a request that was forwarded here and is not ours is answered 421, and the
 * worker where it came from looks again who the owner is. Between "nobody has it" and "somebody
 * has it" lie a second or two of a take-over, so it asks some times before it gives up.
 */
#include "rest/forward.h"

#include "base/diag.h"
#include "base/thread.h"
#include "base/units.h"
#include "http/http.h"
#include "rest/routes.h"

#include <time.h>

#define MISDIRECTED 421
/* The owner answers a little before our own client is told 503. */
#define SPARE_MS 1000

/* A call under way; its thread's, but for `ex`, which keeps still until exchange_finish(). */
typedef struct forwarding {
    exchange *ex;
    const rc_http *http;
    rc_rest_cluster cluster;
    const char *connector; /* In the exchange's arena. */
    int task;
    rc_rest_peer peer;
    atomic_int *running;
    _Atomic uint64_t *count;
    int64_t deadline_ns;
} forwarding;

/* ---- coming in ------------------------------------------------------------------------------- */

bool forward_admit(exchange *ex, const char *value)
{
    rc_rest *rest = ex->rest;
    const rc_peer_call call = {routes_methods(ex->method, &ex->arena.pub), ex->uri,
                               omc_slice_of(ex->body.data, ex->body.len),
                               rest->cluster.incarnation};
    rc_peer_caller from;
    rc_error err = {0};

    if (!value)
        return true;
    if (!rest->cluster.key) {
        answer_error(ex, &ex->answer, 403, 0,
                     "a call of another worker came, but this one is in no cluster, or has no "
                     "cluster.secret: give all workers the same");
        return false;
    }
    if (rc_peer_check(rest->peers, rest->cluster.key, value, &call, &ex->arena.pub, &from, &err) <
        0) {
        rc_warn("rest", "refused a call to %s: %s", ex->uri, err.msg);
        answer_error(ex, &ex->answer, 403, 0, "%s", err.msg);
        return false;
    }
    ex->forwarded_by = from.name;
    return true;
}

/* ---- going out, on the call's thread --------------------------------------------------------- */

static int64_t left_ms(const forwarding *f)
{
    return (f->deadline_ns - rc_mono_ns(rc_clock_real())) / 1000000;
}

static int call_peer(const forwarding *f, rc_http_answer *ret, rc_error *err)
{
    exchange *ex = f->ex;
    const size_t len = strlen(f->peer.url);
    const rc_peer_call call = {routes_methods(ex->method, &ex->arena.pub), ex->uri,
                               omc_slice_of(ex->body.data, ex->body.len), f->peer.incarnation};
    const rc_peer_caller from = {f->cluster.name, f->cluster.incarnation,
                                 atomic_fetch_add(f->count, 1) + 1};
    RC_AUTO_FREE char *url =
        rc_format("%.*s%s", (int)(len && f->peer.url[len - 1] == '/' ? len - 1 : len), f->peer.url,
                  ex->uri);
    char header[sizeof RC_PEER_HEADER + 2 + RC_PEER_VALUE_MAX] = RC_PEER_HEADER ": ";
    const char *match =
        ex->if_match ? rc_arena_format(&ex->arena.pub, "If-Match: %s", ex->if_match) : NULL;
    const char *const headers[] = {header, match, NULL};
    const rc_http_request request = {call.method, url, ex->body.len ? ex->body.data : NULL,
                                     (long)RC_MAX(left_ms(f), 1), headers};

    rc_peer_sign(f->cluster.key, &from, &call, header + strlen(header));
    return f->http->call(&request, ret, err);
}

static const char *unit_text(const forwarding *f)
{
    return f->task < 0 ? rc_arena_format(&f->ex->arena.pub, "connector '%s'", f->connector)
                       : rc_arena_format(&f->ex->arena.pub, "task %d of connector '%s'", f->task,
                                         f->connector);
}

static void pause_a_little(const forwarding *f)
{
    int64_t ms = RC_MIN(FORWARD_PAUSE_MS, RC_MAX(left_ms(f), 0));
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    (void)nanosleep(&time, NULL);
}

/* The owner's answer becomes ours. */
static void pass_on(exchange *ex, const rc_http_answer *got)
{
    ex->reply.status = (unsigned)got->status;
    ex->reply.type = got->type[0] ? omc_copy(&ex->arena.pub, got->type, strlen(got->type)) : NULL;
    rc_buf_add(&ex->reply.body, got->body, got->len);
}

/* @return true: there is an answer; false: look for the owner again. */
static bool try_peer(forwarding *f, rc_error *err)
{
    rc_http_answer got;
    bool answered;

    if (call_peer(f, &got, err) < 0) {
        (void)rc_wrap(err, 0, "%s is run by worker '%s' at %s, which does not answer", unit_text(f),
                      f->peer.name, f->peer.url);
        return false;
    }
    answered = got.status != MISDIRECTED;
    if (answered)
        pass_on(f->ex, &got);
    else
        (void)rc_fail(err, OMC_EAGAIN, "%s was run by worker '%s' a moment ago, and moves",
                      unit_text(f), f->peer.name);
    f->http->release(&got);
    return answered;
}

/* @return what owner() says. */
static int look_again(forwarding *f, rc_error *err)
{
    pause_a_little(f);
    return f->cluster.owner(f->cluster.arg, f->connector, f->task, &f->peer, err);
}

static void *run(void *arg)
{
    forwarding *f = arg;
    rc_error err = {0};

    for (int i = 0; i < FORWARD_TRIES && left_ms(f) > 0; i++) {
        if (i > 0 && look_again(f, &err) <= 0)
            continue;
        if (try_peer(f, &err))
            break;
    }
    if (!f->ex->reply.status)
        answer_error(f->ex, &f->ex->reply, 503, 500,
                     "%s; the request may have been carried out. Try again in some seconds: when a "
                     "worker is gone another one takes over",
                     err.msg[0] ? err.msg : "the worker that runs it did not answer in time");
    atomic_fetch_sub(f->running, 1);
    exchange_finish(f->ex);
    free(f);
    return NULL;
}

/* ---- going out, on the loop's thread --------------------------------------------------------- */

static int unit_task(const exchange *ex)
{
    int64_t task = -1;

    if (!ex->item || rc_parse_int64(omc_slice_str(ex->item), &task) < 0 || task < 0 ||
        task > INT32_MAX)
        return -1;
    return (int)task;
}

static const rc_http *http_of(rc_rest *rest, rc_error *err)
{
    if (!rest->http && rc_http_load(&rest->http, err) < 0)
        return NULL;
    return rest->http;
}

static void start(exchange *ex, const rc_rest_peer *peer, int task)
{
    rc_rest *rest = ex->rest;
    forwarding *f;
    rc_error err = {0};
    pthread_t thread;

    if (!http_of(rest, &err)) {
        answer_error(ex, &ex->answer, 503, 500, "%s; or call worker '%s' itself at %s", err.msg,
                     peer->name, peer->url);
        return;
    }
    if (atomic_load(&rest->forwards) >= FORWARD_CALLS_MAX) {
        answer_error(ex, &ex->answer, 503, 500,
                     "%d calls to other workers are under way already; try again, or call worker "
                     "'%s' itself at %s",
                     FORWARD_CALLS_MAX, peer->name, peer->url);
        return;
    }
    f = rc_calloc(1, sizeof *f);
    *f = (forwarding){.ex = ex,
                      .http = rest->http,
                      .cluster = rest->cluster,
                      .connector = ex->name,
                      .task = task,
                      .peer = *peer,
                      .running = &rest->forwards,
                      .count = &rest->calls};
    exchange_wait(ex, rest->config.timeout_ms);
    f->deadline_ns = ex->deadline_ns - SPARE_MS * INT64_C(1000000);
    atomic_fetch_add(&rest->forwards, 1);
    if (rc_thread_start(&thread, "rc-forward", 0, run, f, &err) == 0) {
        (void)pthread_detach(thread);
        return;
    }
    atomic_fetch_sub(&rest->forwards, 1);
    free(f);
    exchange_wait_no_more(ex);
    answer_error(ex, &ex->answer, 503, 500, "%s; try again", err.msg);
}

bool forward_to_owner(exchange *ex)
{
    rc_rest *rest = ex->rest;
    const int task = unit_task(ex);
    rc_rest_peer peer = {0};
    rc_error err = {0};
    int r;

    if (!rest->cluster.owner || !(ex->route->flags & ROUTE_OWNER))
        return false;
    r = rest->cluster.owner(rest->cluster.arg, ex->name, task, &peer, &err);
    if (r == 0)
        return false;
    if (ex->forwarded_by)
        answer_error(ex, &ex->answer, MISDIRECTED, 500,
                     "worker '%s' sent this on to '%s', which does not run it", ex->forwarded_by,
                     rest->cluster.name);
    else if (r < 0)
        answer_error(ex, &ex->answer, r == -OMC_ENOTFOUND ? 404 : 503, 500, "%s", err.msg);
    else if (!rest->cluster.key)
        answer_error(ex, &ex->answer, 503, 500,
                     "worker '%s' runs it, and calls between workers need a secret: set "
                     "cluster.secret to the same on all workers, or call %s%s",
                     peer.name, peer.url, ex->uri);
    else
        start(ex, &peer, task);
    return true;
}
