/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A peer on a thread of its own, plain or TLS, that behaves as told; and a client around one
 * rc_conn that checks what every connection promises: callbacks never from inside a call, opened()
 * first, closed() once and last, every done() before it.
 */
#ifndef NET_UNIT_H
#define NET_UNIT_H

#include "net/conn.h"
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the peer -------------------------------------------------------------------------------- */

enum peer_does {
    PEER_ECHO,
    PEER_MUTE,  /* Accepts and does nothing until it is stopped. */
    PEER_CLOSE, /* Reads `bytes`, then closes. */
    PEER_RESET, /* Reads `bytes`, then resets. */
    PEER_SAY    /* Sends `bytes` at once, then reads until the end. */
};

typedef struct peer {
    enum peer_does does;
    size_t bytes;
    SSL_CTX *ctx; /* NULL = plain */
    int fd, port;
    pthread_t thread;
    pthread_mutex_t mu;
    int current; /* The connection being served, -1 = none. */
    bool stop;
    /* Called on the peer's thread for each accepted connection. */
    void (*accepted)(void *arg);
    void *arg;
} peer;

/* The stream both sides expect: cheap, and wrong when anything is lost, doubled or swapped. */
static inline uint8_t stream_byte(uint64_t at)
{
    return (uint8_t)((at * 0x9E3779B97F4A7C15u) >> 56);
}

static inline ssize_t peer_get(int fd, SSL *ssl, void *at, size_t len)
{
    return ssl ? SSL_read(ssl, at, (int)len) : recv(fd, at, len, 0);
}

static inline bool peer_put(int fd, SSL *ssl, const uint8_t *at, size_t len)
{
    while (len > 0) {
        ssize_t n = ssl ? SSL_write(ssl, at, (int)len) : send(fd, at, len, MSG_NOSIGNAL);

        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static inline void peer_serve(peer *p, int fd, SSL *ssl)
{
    static _Thread_local uint8_t buf[65536];
    size_t sum = 0;
    ssize_t n;

    if (p->does == PEER_SAY) {
        while (sum < p->bytes) {
            size_t len = RC_MIN(sizeof buf, p->bytes - sum);

            for (size_t i = 0; i < len; i++)
                buf[i] = stream_byte(sum + i);
            if (!peer_put(fd, ssl, buf, len))
                return;
            sum += len;
        }
        while (peer_get(fd, ssl, buf, sizeof buf) > 0) {
        }
    }
    while ((p->does == PEER_ECHO || sum < p->bytes) &&
           (n = peer_get(fd, ssl, buf, sizeof buf)) > 0) {
        sum += (size_t)n;
        if (p->does == PEER_ECHO && !peer_put(fd, ssl, buf, (size_t)n))
            return;
    }
}

static inline void peer_connection(peer *p, int fd)
{
    struct linger reset = {.l_onoff = 1};
    struct pollfd end = {.fd = fd, .events = POLLRDHUP};
    SSL *ssl = NULL;

    if (p->accepted)
        p->accepted(p->arg);
    if (p->does == PEER_MUTE) {
        (void)poll(&end, 1, -1); /* Its end only: the client's, or peer_stop(). */
        return;
    }
    if (p->ctx) {
        ssl = SSL_new(p->ctx);
        SSL_set_fd(ssl, fd);
    }
    if (!ssl || SSL_accept(ssl) == 1)
        peer_serve(p, fd, ssl);
    if (p->does == PEER_RESET)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    SSL_free(ssl);
    ERR_clear_error();
}

static inline void *peer_run(void *arg)
{
    peer *p = arg;
    int fd;

    while ((fd = accept(p->fd, NULL, NULL)) >= 0) {
        pthread_mutex_lock(&p->mu);
        p->current = p->stop ? -1 : fd;
        pthread_mutex_unlock(&p->mu);
        if (p->current >= 0)
            peer_connection(p, fd);
        pthread_mutex_lock(&p->mu);
        p->current = -1;
        close(fd);
        pthread_mutex_unlock(&p->mu);
    }
    return NULL;
}

/* A listening socket on loopback; port 0 = any. */
static inline int listen_on(const char *address, int *port, int backlog)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)*port)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    inet_pton(AF_INET, address, &at.sin_addr);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

static inline void peer_start(peer *p)
{
    p->current = -1;
    pthread_mutex_init(&p->mu, NULL);
    p->fd = listen_on("127.0.0.1", &p->port, 16);
    assert_int_equal(pthread_create(&p->thread, NULL, peer_run, p), 0);
}

static inline void peer_stop(peer *p)
{
    pthread_mutex_lock(&p->mu);
    p->stop = true;
    if (p->current >= 0)
        shutdown(p->current, SHUT_RDWR);
    pthread_mutex_unlock(&p->mu);
    shutdown(p->fd, SHUT_RDWR);
    pthread_join(p->thread, NULL);
    close(p->fd);
    pthread_mutex_destroy(&p->mu);
}

/* ---- the client ------------------------------------------------------------------------------ */

typedef struct client {
    rc_loop *loop;
    rc_conn *conn;
    rc_loop_timer *guard;
    bool inside; /* A call into the connection is running. */
    int opened, closed;
    rc_error why;
    size_t room_size; /* Default 64 KiB. */
    uint8_t *room;    /* As large as given, so that ASan sees a byte too much. */
    uint64_t got;
    uint64_t disorder; /* Bytes that were not those of the stream. */
    size_t accepted, done, failed;
    bool success_after_failure;
    /* What a test does when something happens. */
    void (*on_open)(struct client *c);
    void (*on_data)(struct client *c);
    void (*on_done)(struct client *c);
    uint64_t stop_at; /* Stop the loop when so many bytes came. */
} client;

static inline void client_opened(void *arg)
{
    client *c = arg;

    assert_false(c->inside);
    assert_int_equal(c->opened++ + c->closed, 0);
    if (c->on_open)
        c->on_open(c);
}

static inline rc_span client_room(void *arg)
{
    client *c = arg;

    assert_false(c->inside);
    assert_int_equal(c->closed, 0);
    if (!c->room)
        c->room = rc_malloc(c->room_size);
    return (rc_span){c->room, c->room_size};
}

static inline void client_received(void *arg, size_t n)
{
    client *c = arg;

    assert_false(c->inside);
    assert_true(n > 0 && n <= c->room_size && c->room);
    for (size_t i = 0; i < n; i++)
        c->disorder += c->room[i] != stream_byte(c->got + i);
    c->got += n;
    free(RC_TAKE(c->room));
    if (c->on_data)
        c->on_data(c);
    if (c->stop_at && c->got >= c->stop_at)
        rc_loop_stop(c->loop);
}

static inline void client_closed(void *arg, const rc_error *why)
{
    client *c = arg;

    assert_false(c->inside);
    assert_int_equal(c->closed++, 0);
    assert_int_equal(c->accepted, c->done);
    c->why = *why;
    c->conn = NULL;
    free(RC_TAKE(c->room));
    rc_loop_stop(c->loop);
}

static inline void client_done(void *arg, int result)
{
    client *c = arg;

    assert_false(c->inside);
    assert_int_equal(c->closed, 0);
    c->done++;
    if (result < 0)
        c->failed++;
    else if (c->failed)
        c->success_after_failure = true;
    if (c->on_done)
        c->on_done(c);
}

static inline void client_guard(void *arg)
{
    client *c = arg;

    fail_msg("nothing more happened: opened %d, closed %d, %llu bytes, %zu of %zu writes",
             c->opened, c->closed, (unsigned long long)c->got, c->done, c->accepted);
}

static const rc_conn_user client_user = {client_opened, client_room, client_received,
                                         client_closed};

/* Opens it; port and host as given. */
static inline void client_open(client *c, const rc_conn_config *config)
{
    rc_conn_config full = *config;
    rc_error err = {0};

    if (!c->room_size)
        c->room_size = 65536;
    if (!full.host)
        full.host = "127.0.0.1";
    if (!full.timeout_ms)
        full.timeout_ms = 20000;
    if (!c->loop && rc_loop_new(&c->loop, &err) < 0)
        fail_msg("%s", err.msg);
    rc_loop_timer_new(c->loop, client_guard, c, &c->guard);
    rc_loop_timer_set(c->guard, 100000);
    c->inside = true;
    if (rc_conn_open(c->loop, &full, &client_user, c, &c->conn, &err) < 0)
        fail_msg("%s", err.msg);
    c->inside = false;
}

static inline void client_write(client *c, const void *bytes, size_t len)
{
    bool inside = c->inside;

    c->accepted++;
    c->inside = true;
    rc_conn_write(c->conn, &(rc_iovec){bytes, len}, 1, client_done, c);
    c->inside = inside;
}

static inline void client_close(client *c)
{
    c->inside = true;
    rc_conn_close(c->conn);
    c->inside = false;
}

/* Runs until closed() was called (and closes it before when asked to). */
static inline void client_end(client *c, bool close_it)
{
    if (close_it && c->conn)
        client_close(c);
    while (!c->closed)
        rc_loop_run(c->loop);
    rc_loop_timer_free(c->guard);
    rc_loop_free(c->loop);
    assert_int_equal(c->closed, 1);
}

static inline uint8_t *stream_bytes(size_t len)
{
    uint8_t *bytes = rc_malloc(len);

    for (size_t i = 0; i < len; i++)
        bytes[i] = stream_byte(i);
    return bytes;
}

static inline void expect_error(const char *name, const rc_error *err, int code, bool retriable,
                                const char *text)
{
    if (err->code != code || !!(err->flags & OMC_ERR_RETRIABLE) != retriable ||
        !strstr(err->msg, text))
        fail_msg("%s: wanted code %d, retriable %d, '%s'; got %d, %d, '%s'", name, code, retriable,
                 text, err->code, !!(err->flags & OMC_ERR_RETRIABLE), err->msg);
}

/* ---- both directions at once ----------------------------------------------------------------- */

/* Writes the stream in pieces of many sizes while what comes back is checked. */
typedef struct pump {
    client c; /* First: callbacks get it. */
    uint8_t *bytes;
    size_t size, next;
    uint32_t random;
    size_t most_unwritten;
} pump;

static inline void pump_more(client *c)
{
    pump *p = (pump *)c;

    while (p->next < p->size && rc_conn_unwritten(c->conn) < 4u << 20) {
        size_t len;

        p->random = p->random * 1664525u + 1013904223u;
        len = (p->random >> 8) % (p->random & 1 ? 300u : 200000u);
        len = RC_MIN(len, p->size - p->next);
        client_write(c, p->bytes + p->next, len);
        p->next += len;
    }
    p->most_unwritten = RC_MAX(p->most_unwritten, rc_conn_unwritten(c->conn));
}

static inline void pump_run(const rc_conn_config *config, size_t size)
{
    pump p = {.c = {.on_open = pump_more, .on_done = pump_more, .stop_at = size},
              .bytes = stream_bytes(size),
              .size = size,
              .random = 1};

    client_open(&p.c, config);
    rc_loop_run(p.c.loop);
    assert_int_equal(p.c.closed, 0);
    assert_int_equal(p.c.got, size);
    assert_int_equal(p.c.disorder, 0);
    assert_int_equal(p.c.failed, 0);
    assert_int_equal(p.c.done, p.c.accepted);
    assert_int_equal(rc_conn_unwritten(p.c.conn), 0);
    client_end(&p.c, true);
    assert_int_equal(p.c.why.code, OMC_ECANCELED);
    free(p.bytes);
}

#endif
