/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server itself: requests from browsers, limits, deadlines, a worker that is not there, wrong
 * requests, many at once, health and metrics, and that an idle server does not wake up.
 */
#include "base/clock.h"
#include "base/file.h"
#include "rig.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define API "/api/v1/connectors"
#define SRC "{\"connector.class\":\"file-source\",\"filename\":\"/x\"}"

static rig r;

/* Waits until `cond` holds; gives up after 10 s. */
#define WAIT_FOR(cond)                                      \
    do {                                                    \
        int64_t end_ = rc_mono_ms(rc_clock_real()) + 10000; \
        while (!(cond)) {                                   \
            if (rc_mono_ms(rc_clock_real()) > end_)         \
                fail_msg("never came true: %s", #cond);     \
            (void)usleep(1000);                             \
        }                                                   \
    } while (0)

/* ---- browsers ---- */

static void pages_cannot_change_anything(void **state)
{
    static const struct {
        const char *method;
        const char *path;
        const char *headers;
        int status;
        const char *says;
    } cases[] = {
        {"GET", "/connectors/c/stop", "Origin: http://evil.example\r\n", 403,
         "DELETE /api/v1/connectors/{name}"},
        {"GET", "/connectors/c/stop", "Origin: null\r\n", 403, "Origin: null"},
        {"GET", "/connectors/c/stop", "Sec-Fetch-Site: cross-site\r\n", 403, "cross-site"},
        {"GET", "/connectors/c/stop", "Sec-Fetch-Site: same-site\r\n", 403, "same-site"},
        {"GET", "/connectors/stop/all", "Sec-Fetch-Site: cross-site\r\n", 403, "errorCode"},
        {"GET", "/connectors/c?config=%7B%7D", "Sec-Fetch-Site: cross-site\r\n", 403,
         "PUT /api/v1/connectors/{name}/config"},
        {"POST", "/connectors/c", "Origin: http://evil.example\r\n", 403, "errorCode"},
        {"GET", "/plugin/reload", "Origin: http://evil.example\r\n", 403, "errorCode"},
        {"DELETE", API "/c", "Origin: http://evil.example\r\n", 403, "\"error_code\":403"},
        {"POST", API, "Origin: http://evil.example\r\n", 403, "\"error_code\":403"},
        {"PUT", "/api/v1/loggers/root", "Origin: http://evil.example\r\n", 403, "error_code"},
        /* Reading is allowed: without CORS headers the page cannot see it. */
        {"GET", API "/c/status", "Origin: http://evil.example\r\n", 200, "RUNNING"},
        {"GET", "/connectors/c/pause", "Sec-Fetch-Site: none\r\n", 200, "paused"},
        {"PUT", API "/c/resume", "Sec-Fetch-Site: same-origin\r\n", 202, ""},
        {"PUT", API "/c/resume", "Origin: http://localhost\r\n", 202, ""},
        {"PUT", API "/c/resume", "Origin: http://localhost:1\r\n", 403, "Origin"},
    };
    static got g;

    (void)state;
    rig_expect_begin(&r, "PUT", API "/c/config", SRC, 201, "{");
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        rig_call(&r, cases[i].method, cases[i].path, cases[i].headers, NULL, &g);
        if (g.status != cases[i].status || !strstr(g.body, cases[i].says))
            fail_msg("case %zu %s: got %d %s", i, cases[i].path, g.status, g.body);
    }
    rig_expect(&r, "GET", API, NULL, 200, "[\"c\"]");
}

static void a_rebound_name_is_refused(void **state)
{
    static const struct {
        const char *host;
        int status;
    } cases[] = {
        {"Host: localhost:8082\r\n", 200},
        {"Host: LOCALHOST\r\n", 200},
        {"Host: 127.0.0.1:8082\r\n", 200},
        {"Host: [::1]:8082\r\n", 200},
        {"Host: evil.example\r\n", 403},
        {"Host: localhost.evil.example\r\n", 403},
        {"Host: 127.0.0.1.evil\r\n", 403},
        {"Host: [::1\r\n", 200},
        {"Host: \r\n", 403},
        {"Host: 127.0.0.2\r\n", 403},
    };
    static got g;

    (void)state;
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        rig_call(&r, "GET", "/connectors/list", cases[i].host, NULL, &g);
        if (g.status != cases[i].status ||
            (g.status == 403 && !strstr(g.body, "set rest.host to the name you use")))
            fail_msg("%s: got %d %s", cases[i].host, g.status, g.body);
    }
    rig_stop(&r);
    rig_start(&r, (rc_rest_config){.host = "0.0.0.0"}); /* not loopback: any name may be ours */
    rig_call(&r, "GET", "/connectors/list", "Host: connect.example\r\n", NULL, &g);
    assert_int_equal(g.status, 200);
    rig_call(&r, "GET", "/connectors/stop/all",
             "Host: connect.example\r\nOrigin: http://connect.example\r\n", NULL, &g);
    assert_int_equal(g.status, 403);
}

/* ---- limits ---- */

static void bodies_are_bounded(void **state)
{
    enum { LIMIT = 1000000 };
    char *body = rc_malloc(LIMIT + 2);
    static got g;

    (void)state;
    memset(body, ' ', LIMIT + 1);
    memcpy(body, SRC, sizeof SRC - 1);
    body[LIMIT] = '\0';
    rig_expect_begin(&r, "PUT", API "/c/config", body, 201, "{");
    body[LIMIT] = ' ';
    body[LIMIT + 1] = '\0';
    rig_call(&r, "PUT", API "/c/config", "", body, &g);
    assert_int_equal(g.status, 413);
    assert_non_null(strstr(g.body, "larger than 1000000 bytes"));
    rig_call(&r, "POST", "/connectors/c", "", body, &g);
    assert_int_equal(g.status, 413);
    rig_call(&r, "POST", "/connectors/c", "Expect: 100-continue\r\n", body, &g);
    assert_true(strstr(g.head, "413") || strstr(g.body, "413"));
    free(body);
}

static void headers_are_bounded(void **state)
{
    static char path[65536];
    static got g;

    (void)state;
    snprintf(path, sizeof path, "/connectors/c?config=");
    memset(path + strlen(path), 'x', 20000);
    rig_call(&r, "GET", path, "", NULL, &g); /* fits: read and found malformed */
    assert_int_equal(g.status, 400);
    assert_non_null(strstr(g.body, "malformed"));
    memset(path + 100, 'x', 60000);
    rig_call(&r, "GET", path, "", NULL, &g);
    assert_true(g.status == 414 || g.status == 431 || g.status == 413);
}

static void connections_are_bounded(void **state)
{
    enum { MANY = 300 };
    struct rlimit lim = {1024, 1024};
    int fds[MANY];

    (void)state;
    if (getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur < 2 * MANY + 64)
        skip();
    for (int i = 0; i < MANY; i++)
        fds[i] = rig_connect(&r);
    /* 256 are served, the rest wait in the kernel's queue until one goes. */
    for (int i = 0; i < 100; i++)
        close(fds[i]);
    rig_expect(&r, "GET", API, NULL, 200, "[]");
    for (int i = 100; i < MANY; i++)
        close(fds[i]);
}

/* ---- fifty wrong requests ---- */

static void wrong_requests_do_no_harm(void **state)
{
    /* NOLINTBEGIN(bugprone-suspicious-missing-comma): long lines are two literals. */
    static const char *const requests[] = {
        "\r\n\r\n",
        "\r\n",
        "GET\r\n\r\n",
        "GET /\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET  HTTP/1.1\r\nHost: x\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01",
        "GET /%00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /connectors/%00/config HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /connectors/%/config HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /connectors/%4/config HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /connectors/%zz/config HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /connectors/%ff/config HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /connectors/%0a/config HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /connectors/../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET //////////////////////// HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET ? HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /? HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /?&&&&=&=&a=&=b HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /connectors/list?expand HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /connectors/c?config HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /connectors/c?config=% HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /connectors/c?config=%7B%22 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET http://localhost/connectors/list HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "POST /connectors/c HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "POST /connectors/c HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        "POST /connectors/c HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        "POST /connectors/c HTTP/1.1\r\nHost: localhost\r\n"
        "Content-Length: 99999999999999999999999\r\n\r\n",
        "POST /connectors/c HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999\r\n\r\nxx",
        "POST /connectors/c HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{\"a\"",
        "POST /connectors/c HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: "
        "chunked\r\n\r\nzz\r\n",
        "POST /connectors/c HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        "ffffffffffffffffff\r\n",
        "POST /connectors/c HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        "2\r\n{}\r\n0\r\n\r\n",
        "POST /connectors/c HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: nix\r\n\r\n{}",
        "POST /connectors/c HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n"
        "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "POST /connectors/c HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n"
        "Content-Encoding: gzip\r\n\r\n{}",
        "POST /connectors/c HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\n\xff\xfe{}",
        "POST /connectors/c HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\n\"\\ud8\"",
        "POST /connectors/c HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nnull",
        "POST /api/v1/connectors HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n{",
        "PUT /api/v1/connectors/c/config HTTP/1.1\r\nHost: localhost\r\nIf-Match: \"\r\n"
        "Content-Length: 2\r\n\r\n{}",
        "PATCH /api/v1/connectors/c/config HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
        "0\r\n\r\n",
        "DELETE /api/v1/connectors/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /api/v1/connectors/c/tasks/99999999999999999999/status HTTP/1.1\r\n"
        "Host: localhost\r\n\r\n",
        "GET /api/v1/connectors/c/tasks/-1/status HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /connectors/c/tasks/99999999999999999999/status HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n",
        "GET / HTTP/1.1\r\n: x\r\nHost: localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\nHost: localhost\r\n\r\n",
        "GET /health HTTP/1.0\r\n\r\n",
        "get /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nGET /connectors/list HTTP/1.1\r\n"
        "Host: localhost\r\n\r\nGARBAGE",
    };
    /* NOLINTEND(bugprone-suspicious-missing-comma) */
    static got g;

    (void)state;
    assert_true(RC_COUNT(requests) >= 50);
    rig_patience_ms = 100; /* Some wait for more, rightly. */
    for (size_t i = 0; i < RC_COUNT(requests); i++) {
        rig_raw(&r, requests[i], strlen(requests[i]), &g);
        if (g.status == 500 || g.status == 201)
            fail_msg("request %zu: got %d %s", i, g.status, g.body);
    }
    rig_patience_ms = 20000;
    rig_expect(&r, "GET", API, NULL, 200, "[]"); /* still there, and nothing was made */
}

/* A deep body must not exhaust the stack. */
static void deep_bodies_are_refused(void **state)
{
    static char body[400001];

    (void)state;
    memset(body, '[', sizeof body - 1);
    rig_expect_begin(&r, "POST", "/connectors/c", body, 400,
                     "{\"errorCode\":400,\"message\":\"Failed! query param 'config' is malformed");
}

/* ---- the worker ---- */

static void without_a_worker(void **state)
{
    (void)state;
    rig_attach(&r, NULL);
    rig_expect_begin(&r, "GET", "/connectors/list", NULL, 503,
                     "{\"errorCode\":503,\"message\":\"the worker is not ready");
    rig_expect_begin(&r, "GET", API, NULL, 503, "{\"error_code\":503,");
    rig_expect_begin(&r, "GET", "/health", NULL, 503, "{\"status\":\"starting\",");
    rig_expect_begin(&r, "GET", "/metrics", NULL, 200, "# HELP process_resident_memory_bytes");
    rig_attach(&r, r.worker);
    rig_expect(&r, "GET", API, NULL, 200, "[]");
    fake_worker_refuse(r.worker, true);
    rig_expect_begin(&r, "GET", "/connectors/list", NULL, 503,
                     "{\"errorCode\":503,\"message\":\"1,024 requests wait");
    fake_worker_refuse(r.worker, false);
}

static void a_stopping_worker_is_told(void **state)
{
    static const char *const requests[][2] = {
        {"GET", "/connectors/list"},
        {"GET", "/allocated/connectors"},
        {"GET", "/allocated/tasks"},
        {"GET", "/connectors/c/status"},
        {"GET", "/connectors/c/config"},
        {"GET", "/connectors/c/tasks"},
        {"GET", "/connectors/c/tasks/0/status"},
        {"GET", "/connectors/c/stop"},
        {"GET", "/connectors/stop/all"},
        {"GET", "/plugin/reload"},
        {"GET", API},
        {"GET", API "/c"},
        {"GET", API "/c/offsets"},
        {"DELETE", API "/c/offsets"},
        {"DELETE", API "/c"},
        {"PUT", API "/c/pause"},
        {"PUT", API "/c/stop"},
        {"POST", API "/c/restart"},
        {"POST", API "/c/tasks/0/restart"},
        {"PUT", "/api/v1/connector-plugins/file-sink/config/validate"},
    };
    static got g;

    (void)state;
    fake_worker_cancel(r.worker, true);
    for (size_t i = 0; i < RC_COUNT(requests); i++) {
        rig_call(&r, requests[i][0], requests[i][1], "", NULL, &g);
        if (g.status != 503 || !strstr(g.body, "the worker is stopping"))
            fail_msg("%s %s: got %d %s", requests[i][0], requests[i][1], g.status, g.body);
    }
    rig_expect_begin(&r, "GET", "/health", NULL, 500, "{\"status\":\"unhealthy\",");
    rig_expect_begin(&r, "GET", "/metrics", NULL, 200, "# HELP rocketmq_connect_worker_info");
}

static void a_silent_worker_is_not_waited_for(void **state)
{
    (void)state;
    rig_stop(&r);
    rig_start(&r, (rc_rest_config){.timeout_ms = 100});
    fake_worker_hold(r.worker, true);
    rig_expect_begin(&r, "GET", "/connectors/list", NULL, 503,
                     "{\"errorCode\":503,\"message\":\"the worker did not answer in time");
    rig_expect_begin(&r, "GET", "/connectors/pause/all", NULL, 503, "{\"errorCode\":503,");
    rig_expect_begin(&r, "GET", "/health", NULL, 500,
                     "{\"status\":\"unhealthy\",\"message\":"
                     "\"the control thread did not answer");
    fake_worker_hold(r.worker, false); /* the late replies are dropped */
    WAIT_FOR(fake_worker_waiting(r.worker) == 0);
    rig_expect(&r, "GET", API, NULL, 200, "[]");
}

struct waiting_call {
    pthread_t thread;
    got g;
};

static void *call_list(void *arg)
{
    struct waiting_call *w = arg;
    static const char request[] =
        "GET /connectors/list HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    int fd = rig_connect(&r);
    char all[4096];
    size_t have = 0;
    ssize_t n;

    assert_int_equal(send(fd, request, sizeof request - 1, 0), (ssize_t)sizeof request - 1);
    while ((n = recv(fd, all + have, sizeof all - 1 - have, 0)) > 0)
        have += (size_t)n;
    all[have] = '\0';
    close(fd);
    if (have > 12)
        w->g.status = (int)strtol(all + 9, NULL, 10);
    return NULL;
}

/* Stopping with requests under way answers them; replies that come later find nobody. */
static void stop_answers_what_waits(void **state)
{
    static struct waiting_call calls[8];
    int answered = 0;

    (void)state;
    fake_worker_hold(r.worker, true);
    for (size_t i = 0; i < RC_COUNT(calls); i++)
        assert_int_equal(pthread_create(&calls[i].thread, NULL, call_list, &calls[i]), 0);
    WAIT_FOR(fake_worker_waiting(r.worker) == RC_COUNT(calls));
    rig_stop(&r);
    for (size_t i = 0; i < RC_COUNT(calls); i++) {
        pthread_join(calls[i].thread, NULL);
        answered += calls[i].g.status == 503;
    }
    assert_int_equal(answered, RC_COUNT(calls));
    rig_start(&r, (rc_rest_config){0});
}

static void *many_calls(void *arg)
{
    int *bad = arg;

    for (int i = 0; i < 50; i++) {
        struct waiting_call w = {0};

        call_list(&w);
        *bad += w.g.status != 200;
    }
    return NULL;
}

static void many_at_once(void **state)
{
    enum { THREADS = 16 };
    pthread_t threads[THREADS];
    int bad[THREADS] = {0};

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, many_calls, &bad[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(bad[i], 0);
    }
}

/* Two requests on one connection: the second waits for the first. */
static void pipelined(void **state)
{
    static const char requests[] =
        "GET /connectors/list HTTP/1.1\r\nHost: localhost\r\n\r\n"
        "GET /api/v1/connectors HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    static got g;

    (void)state;
    rig_raw(&r, requests, sizeof requests - 1, &g);
    assert_int_equal(g.status, 200);
    assert_non_null(strstr(g.body, "{\"status\":200,\"body\":{}}HTTP/1.1 200 OK\r\n"));
    assert_string_equal(g.body + strlen(g.body) - 2, "[]");
}

/* ---- health, metrics ---- */

static void health(void **state)
{
    (void)state;
    rig_expect(&r, "GET", "/health", NULL, 200,
               "{\"status\":\"healthy\",\"message\":\"the worker answers and its log is "
               "writable\",\"version\":\"" RC_VERSION "\",\"worker_id\":\"d1\",\"connectors\":0,"
               "\"connectors_failed\":0}");
    fake_worker_log(r.worker, false, "disk full: 0 bytes free in /log; make room");
    rig_expect_begin(&r, "GET", "/health", NULL, 500,
                     "{\"status\":\"unhealthy\",\"message\":\"disk full: 0 bytes free in /log");
}

static void metrics(void **state)
{
    static const char *const lines[] = {
        "# TYPE rocketmq_connect_task_records_written_total counter\n"
        "rocketmq_connect_task_records_written_total{connector=\"a\\\"\\\\\",task=\"0\","
        "type=\"source\"} 42\n",
        "rocketmq_connect_connector_state{connector=\"a\\\"\\\\\",type=\"source\","
        "state=\"STALLED\"} 1\n",
        "rocketmq_connect_task_state{connector=\"a\\\"\\\\\",task=\"0\",type=\"source\","
        "state=\"RUNNING\"} 1\n",
        "# TYPE rocketmq_connect_task_poll_seconds histogram\n"
        "rocketmq_connect_task_poll_seconds_bucket{connector=\"a\\\"\\\\\",task=\"0\","
        "type=\"source\",le=\"6.4e-05\"} 0\n"
        "rocketmq_connect_task_poll_seconds_bucket{connector=\"a\\\"\\\\\",task=\"0\","
        "type=\"source\",le=\"0.000256\"} 1\n",
        "type=\"source\",le=\"4.1943\"} 1\n",
        "type=\"source\",le=\"16.7772\"} 2\n",
        "type=\"source\",le=\"+Inf\"} 2\n",
        "rocketmq_connect_task_poll_seconds_sum{connector=\"a\\\"\\\\\",task=\"0\","
        "type=\"source\"} 5.000100\n",
        "rocketmq_connect_plugin_rotations_total{connector=\"a\\\"\\\\\",task=\"0\","
        "type=\"source\"} 5\n",
        "rocketmq_connect_log_syncs_total 7\n",
        "rocketmq_connect_log_writable 1\n",
        "rocketmq_connect_worker_info{version=\"" RC_VERSION "\",worker_id=\"d1\"} 1\n",
        "rocketmq_connect_rest_requests_total{code=\"201\"} 1\n",
        "\nprocess_open_fds ",
        "\nrocketmq_connect_uptime_seconds ",
    };
    static got g;

    (void)state;
    rig_expect_begin(&r, "PUT", API "/a%22%5C/config", SRC, 201, "{");
    fake_worker_state(r.worker, "a\"\\", RC_STATE_STALLED, RC_STATE_RUNNING, NULL);
    rig_call(&r, "GET", "/metrics", "", NULL, &g);
    assert_int_equal(g.status, 200);
    assert_non_null(strstr(g.head, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    for (size_t i = 0; i < RC_COUNT(lines); i++)
        if (!strstr(g.body, lines[i]))
            fail_msg("missing: %s\nin\n%s", lines[i], g.body);
}

/* ---- idle ---- */

static void tell_thread(void *arg)
{
    *(int *)arg = (int)gettid();
}

/* Times a thread went to sleep so far; a loop that wakes up goes to sleep again. */
static long sleeps_of(int tid)
{
    char path[64];
    char *text = NULL;
    const char *line;
    size_t len;
    long n;

    snprintf(path, sizeof path, "/proc/self/task/%d/status", tid);
    assert_int_equal(rc_file_read(path, 65536, &text, &len, NULL), 0);
    line = strstr(text, "\nvoluntary_ctxt_switches:");
    assert_non_null(line);
    n = strtol(strchr(line, ':') + 1, NULL, 10);
    free(text);
    return n;
}

static void an_idle_server_does_not_wake_up(void **state)
{
    static got g;
    int tid = 0;
    long before;

    (void)state;
    rig_call(&r, "GET", "/connectors/list", "", NULL, &g);
    assert_int_equal(g.status, 200);
    rig_on_loop(&r, tell_thread, &tid);
    do { /* until the connection's end is worked off */
        before = sleeps_of(tid);
        (void)usleep(200000);
    } while (sleeps_of(tid) != before);
    (void)usleep(1500000);
    assert_int_equal(sleeps_of(tid) - before, 0);
}

static void a_taken_port_is_explained(void **state)
{
    rc_rest_config config = {.host = "127.0.0.1", .port = r.port};
    rc_rest *second = NULL;
    rc_error err = {0};

    (void)state;
    assert_int_equal(rc_rest_start(r.loop, &config, &second, &err), -OMC_EEXIST);
    assert_non_null(strstr(err.msg, "another program listens there"));
    config = (rc_rest_config){.host = "192.0.2.77"};
    assert_int_equal(rc_rest_start(r.loop, &config, &second, &err), -OMC_EINVAL);
    assert_non_null(strstr(err.msg, "rest.host"));
    config = (rc_rest_config){.host = "no such host"};
    assert_int_equal(rc_rest_start(r.loop, &config, &second, &err), -OMC_EINVAL);
    assert_null(second);
}

static int setup(void **state)
{
    (void)state;
    rig_start(&r, (rc_rest_config){0});
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_stop(&r);
    return 0;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pages_cannot_change_anything),
        TEST(a_rebound_name_is_refused),
        TEST(bodies_are_bounded),
        TEST(headers_are_bounded),
        TEST(connections_are_bounded),
        TEST(wrong_requests_do_no_harm),
        TEST(deep_bodies_are_refused),
        TEST(without_a_worker),
        TEST(a_stopping_worker_is_told),
        TEST(a_silent_worker_is_not_waited_for),
        TEST(stop_answers_what_waits),
        TEST(many_at_once),
        TEST(pipelined),
        TEST(health),
        TEST(metrics),
        TEST(an_idle_server_does_not_wake_up),
        TEST(a_taken_port_is_explained),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
