/* SPDX-License-Identifier: Apache-2.0 */
/* See rig.h. */
#include "rig.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static void *run_loop(void *arg)
{
    rc_loop_run(arg);
    return NULL;
}

void rig_start(rig *r, rc_rest_config config)
{
    memset(r, 0, sizeof *r);
    r->worker = fake_worker_new();
    rig_start_with(r, config);
}

void rig_start_with(rig *r, rc_rest_config config)
{
    rc_error err = {0};

    if (!config.host)
        config.host = "127.0.0.1";
    if (rc_loop_new(&r->loop, &err) < 0 || rc_rest_start(r->loop, &config, &r->rest, &err) < 0)
        fail_msg("%s", err.msg);
    if (r->cluster)
        rc_rest_join(r->rest, r->cluster);
    rc_rest_attach(r->rest, r->worker);
    r->port = rc_rest_port(r->rest);
    assert_int_equal(pthread_create(&r->thread, NULL, run_loop, r->loop), 0);
}

void rig_stop(rig *r)
{
    rc_loop_stop(r->loop);
    pthread_join(r->thread, NULL);
    rc_rest_stop(r->rest);
    if (!r->borrowed)
        fake_worker_free(r->worker);
    rc_loop_free(r->loop);
}

struct sync_call {
    rc_loop_fn *fn;
    void *arg;
    pthread_mutex_t mu;
    pthread_cond_t cond;
    bool done;
};

static void run_sync(void *arg)
{
    struct sync_call *c = arg;

    c->fn(c->arg);
    pthread_mutex_lock(&c->mu);
    c->done = true;
    pthread_cond_signal(&c->cond);
    pthread_mutex_unlock(&c->mu);
}

void rig_on_loop(rig *r, rc_loop_fn *fn, void *arg)
{
    struct sync_call c = {fn, arg, PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};

    assert_int_equal(rc_loop_post(r->loop, run_sync, &c), 0);
    pthread_mutex_lock(&c.mu);
    while (!c.done)
        pthread_cond_wait(&c.cond, &c.mu);
    pthread_mutex_unlock(&c.mu);
}

struct attach {
    rc_rest *rest;
    rc_worker *worker;
};

static void do_attach(void *arg)
{
    struct attach *a = arg;

    rc_rest_attach(a->rest, a->worker);
}

void rig_attach(rig *r, rc_worker *worker)
{
    struct attach a = {r->rest, worker};

    rig_on_loop(r, do_attach, &a);
}

int rig_patience_ms = 20000;

int rig_connect(const rig *r)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)r->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {rig_patience_ms / 1000, rig_patience_ms % 1000 * 1000L};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    return fd;
}

static void parse(char *all, size_t len, got *ret)
{
    char *end = strstr(all, "\r\n\r\n");

    memset(ret, 0, sizeof *ret);
    if (!end || strncmp(all, "HTTP/1.", 7) != 0)
        return;
    ret->status = (int)strtol(all + 9, NULL, 10);
    end += 4;
    snprintf(ret->head, sizeof ret->head, "%.*s", (int)(end - all), all);
    ret->len = len - (size_t)(end - all);
    if (ret->len >= sizeof ret->body)
        ret->len = sizeof ret->body - 1;
    memcpy(ret->body, end, ret->len);
}

void rig_raw(const rig *r, const void *bytes, size_t len, got *ret)
{
    static char all[sizeof ret->head + sizeof ret->body];
    size_t have = 0;
    int fd = rig_connect(r);
    size_t sent = 0;

    while (sent < len) { /* A server that refuses early may close first. */
        ssize_t n = send(fd, (const char *)bytes + sent, len - sent, MSG_NOSIGNAL);

        if (n <= 0)
            break;
        sent += (size_t)n;
    }
    while (have < sizeof all - 1) {
        ssize_t n = recv(fd, all + have, sizeof all - 1 - have, 0);

        if (n <= 0)
            break;
        have += (size_t)n;
    }
    all[have] = '\0';
    close(fd);
    parse(all, have, ret);
}

void rig_call(const rig *r, const char *method, const char *path, const char *headers,
              const char *body, got *ret)
{
    char *text = NULL;
    size_t len = body ? strlen(body) : 0;
    bool has_host = strstr(headers, "Host:") != NULL;
    int n;

    n = asprintf(&text, "%s %s HTTP/1.1\r\n%s%sConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
                 method, path, has_host ? "" : "Host: localhost\r\n", headers, len,
                 body ? body : "");
    assert_true(n > 0);
    rig_raw(r, text, (size_t)n, ret);
    free(text);
}

void rig_expect(const rig *r, const char *method, const char *path, const char *body, int status,
                const char *want)
{
    static got g;

    rig_call(r, method, path, "", body, &g);
    if (g.status != status || strcmp(g.body, want) != 0)
        fail_msg("%s %s: got %d\n%s\nwanted %d\n%s", method, path, g.status, g.body, status, want);
}

void rig_expect_begin(const rig *r, const char *method, const char *path, const char *body,
                      int status, const char *want)
{
    static got g;

    rig_call(r, method, path, "", body, &g);
    if (g.status != status || strncmp(g.body, want, strlen(want)) != 0)
        fail_msg("%s %s: got %d\n%s\nwanted %d and\n%s", method, path, g.status, g.body, status,
                 want);
}
