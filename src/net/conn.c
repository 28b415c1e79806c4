/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Life of a connection. Whatever ends it, conn_end() only notes the reason and stops watching; the
 * writes that are left, and closed(), are told at the end of the turn (finish), so that no callback
 * comes from inside a call and the object stays valid while its own callbacks run.
 */
#include "net/conn_impl.h"

#include <netinet/in.h>
#include <sys/socket.h>

#define HOST_MAX 255

void conn_later(rc_conn *conn)
{
    rc_loop_call_later(conn->loop, &conn->later);
}

void conn_end(rc_conn *conn, int code, uint32_t flags, const char *fmt, ...)
{
    /* A goodbye is for a peer that did nothing wrong. */
    bool goodbye = conn->tls && conn->state == CONN_OPEN && code == OMC_ECANCELED;
    va_list ap;

    if (conn->state == CONN_ENDED)
        return;
    conn->state = CONN_ENDED;
    conn->why.code = code;
    conn->why.flags = flags;
    va_start(ap, fmt);
    (void)vsnprintf(conn->why.msg, sizeof conn->why.msg, fmt, ap);
    va_end(ap);
    if (goodbye)
        conn_tls_shut(conn);
    conn_watch(conn);
    conn_later(conn);
}

void conn_opened(rc_conn *conn)
{
    conn->state = CONN_OPEN;
    rc_loop_timer_set(conn->timer, -1);
    conn_connect_release(conn);
    conn->user.opened(conn->arg);
    if (conn->waiting.first)
        conn_later(conn);
    conn_watch(conn);
}

/* ---- watching -------------------------------------------------------------------------------- */

static int wanted_events(const rc_conn *conn)
{
    int blocked = conn->blocked ? UV_WRITABLE : 0;

    switch (conn->state) {
    case CONN_CONNECTING:
        return UV_WRITABLE;
    case CONN_HANDSHAKE:
        return UV_READABLE | blocked;
    case CONN_OPEN:
        return (conn->paused ? 0 : UV_READABLE) | blocked;
    case CONN_ENDED:
    default:
        return 0;
    }
}

/* libuv tells an error condition as a failure and stops watching; reading finds out what it is. */
static void on_event(uv_poll_t *uv, int status, int events)
{
    struct conn_socket *sock = uv->data;
    rc_conn *conn = sock->conn;

    if (status < 0) {
        sock->events = 0;
        events = UV_READABLE | UV_WRITABLE;
    }
    if (conn->state == CONN_CONNECTING) {
        conn_connect_event(conn);
    } else {
        if (events & UV_WRITABLE) {
            conn->blocked = false;
            conn_flush(conn);
        }
        if (events & UV_READABLE)
            conn_read(conn);
    }
    conn_watch(conn);
}

void conn_watch(rc_conn *conn)
{
    int events = wanted_events(conn);

    if (!conn->socket || conn->socket->events == events)
        return;
    conn->socket->events = events;
    if (events == 0)
        (void)uv_poll_stop(&conn->socket->uv);
    else
        (void)uv_poll_start(&conn->socket->uv, events,
                            on_event); /* Fails on closed handles only. */
}

/* ---- the end of a turn ----------------------------------------------------------------------- */

static void conn_free(rc_conn *conn)
{
    rc_loop_forget_later(&conn->later);
    rc_loop_timer_free(conn->timer);
    conn_connect_release(conn);
    conn_socket_close(conn);
    conn_tls_free(conn->tls);
    rc_loop_let_go(conn->loop);
    free(conn->host);
    free(conn->peer);
    free(conn);
}

static void finish(rc_conn *conn)
{
    struct conn_write *write;

    conn_socket_close(conn);
    while ((conn->tls && (write = conn_tls_take(conn)) != NULL) ||
           (write = conn_queue_take(&conn->waiting)) != NULL)
        conn_write_done(conn, write, -conn->why.code);
    conn->user.closed(conn->arg, &conn->why);
    conn_free(conn);
}

static void on_turn(void *arg)
{
    rc_conn *conn = arg;

    if (conn->state == CONN_OPEN && conn->tls && !conn->paused)
        conn_tls_resume(conn);
    if (conn->state == CONN_OPEN)
        conn_flush(conn);
    if (conn->state == CONN_ENDED)
        finish(conn);
    else
        conn_watch(conn);
}

static void on_timeout(void *arg)
{
    rc_conn *conn = arg;

    if (conn->state == CONN_CONNECTING)
        conn_connect_timeout(conn);
    else if (conn->state == CONN_HANDSHAKE)
        conn_end(conn, OMC_ECONNECT, OMC_ERR_RETRIABLE,
                 "connect to %s: connected, but no TLS handshake within %lld ms; is TLS enabled "
                 "there?",
                 conn->peer, (long long)conn->timeout_ms);
}

/* ---- from outside ---------------------------------------------------------------------------- */

static int check(const rc_conn_config *config, rc_error *err)
{
    size_t len = config->host ? strlen(config->host) : 0;

    if (len == 0 || len > HOST_MAX)
        return rc_fail(err, OMC_EINVAL, "a host name has 1 to %d characters, not %zu", HOST_MAX,
                       len);
    if (config->port < 1 || config->port > 65535)
        return rc_fail(err, OMC_EINVAL, "%s: a port is 1 to 65535, not %d", config->host,
                       config->port);
    if (config->timeout_ms < 1)
        return rc_fail(err, OMC_EINVAL, "%s:%d: a connect timeout is at least 1 ms, not %lld",
                       config->host, config->port, (long long)config->timeout_ms);
    return 0;
}

int rc_conn_open(rc_loop *loop, const rc_conn_config *config, const rc_conn_user *user, void *arg,
                 rc_conn **ret, rc_error *err)
{
    const char *fmt = config->host && strchr(config->host, ':') ? "[%s]:%d" : "%s:%d";
    rc_conn *conn;
    int r = check(config, err);

    if (r < 0)
        return r;
    conn = rc_calloc(1, sizeof *conn);
    conn->loop = loop;
    rc_loop_hold(loop);
    conn->user = *user;
    conn->arg = arg;
    conn->port = config->port;
    conn->host = rc_strdup(config->host);
    conn->peer = *fmt == '[' ? rc_format("[%s]:%d", config->host, config->port)
                             : rc_format("%s:%d", config->host, config->port);
    conn->timeout_ms = config->timeout_ms;
    conn->user_timeout_ms = config->user_timeout_ms;
    conn->later = (rc_loop_later){.fn = on_turn, .arg = conn};
    conn_queue_init(&conn->waiting);
    (void)rc_loop_timer_new(loop, on_timeout, conn, &conn->timer);
    if (config->tls) {
        r = conn_tls_new(conn, config->tls,
                         config->server_name ? config->server_name : config->host, err);
        if (r < 0) {
            conn_free(conn);
            return r;
        }
    }
    conn_connect(conn);
    *ret = conn;
    return 0;
}

void rc_conn_write(rc_conn *conn, const rc_iovec *parts, size_t count,
                   void (*done)(void *arg, int result), void *arg)
{
    struct conn_write *write = rc_malloc(sizeof *write + count * sizeof *parts);

    write->done = done;
    write->arg = arg;
    write->size = 0;
    write->mark = 0;
    write->at = 0;
    write->count = count;
    for (size_t i = 0; i < count; i++) {
        write->parts[i] = parts[i];
        write->size += parts[i].len;
    }
    write->left = write->size;
    conn->unwritten += write->size;
    conn_queue_put(&conn->waiting, write);
    if (conn->state == CONN_OPEN && !conn->blocked)
        conn_later(conn);
}

size_t rc_conn_unwritten(const rc_conn *conn)
{
    return conn->unwritten;
}

void rc_conn_pause(rc_conn *conn, bool paused)
{
    if (conn->paused == paused)
        return;
    conn->paused = paused;
    conn_watch(conn);
    if (!paused && conn->tls && conn->state == CONN_OPEN)
        conn_later(conn); /* Decrypted bytes may wait that no event will tell of. */
}

void rc_conn_close(rc_conn *conn)
{
    conn_end(conn, OMC_ECANCELED, 0, "the connection to %s was closed by us", conn->peer);
}

void rc_conn_reset(rc_conn *conn)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};

    if (conn->socket)
        (void)setsockopt(conn->socket->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    conn_end(conn, OMC_EIO, OMC_ERR_RETRIABLE, "the connection to %s was reset by us", conn->peer);
}

const char *rc_conn_local(const rc_conn *conn)
{
    return conn->local;
}
