/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a name to a connected socket. Numeric addresses need no lookup and no thread; names are
 * looked up in libuv's pool. The addresses are tried one after the other, each with its share of
 * the time that is left, so that a dead first address does not hide a second one that answers.
 *
 * A lookup under way cannot be cancelled; it is cut loose from its connection and frees itself.
 */
#include "net/conn_impl.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

/* Keep-alive finds a peer that vanished while nothing is sent, in about 90 s. */
#define KEEP_IDLE_S 60
/* Of connections that unanswered bytes break: who waits for an answer has sent all there is, and a
 * path that swallows packets is noticed by probes only. The kernel's: nobody wakes up for them. */
#define KEEP_IDLE_QUICK_S 3
#define KEEP_INTERVAL_QUICK_S 1
#define KEEP_INTERVAL_S 10
#define KEEP_COUNT 3

struct conn_lookup {
    uv_getaddrinfo_t uv;
    rc_conn *conn; /* NULL = nobody waits any more. */
};

static int64_t now_ms(void)
{
    return rc_mono_ms(rc_clock_real());
}

/* ---- sockets --------------------------------------------------------------------------------- */

static void on_socket_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void conn_socket_close(rc_conn *conn)
{
    struct conn_socket *sock = RC_TAKE(conn->socket);

    if (!sock)
        return;
    uv_close((uv_handle_t *)&sock->uv, on_socket_closed);
    (void)close(sock->fd); /* libuv watches it no more. */
}

static void set_int(int fd, int level, int name, int64_t value)
{
    int v = (int)RC_MIN(value, (int64_t)INT32_MAX);

    /* None of these is needed for correctness; a system that refuses one gets none. */
    (void)setsockopt(fd, level, name, &v, sizeof v);
}

static void set_options(const rc_conn *conn, int fd)
{
    const bool quick = conn->user_timeout_ms > 0;

    set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, quick ? KEEP_IDLE_QUICK_S : KEEP_IDLE_S);
    set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, quick ? KEEP_INTERVAL_QUICK_S : KEEP_INTERVAL_S);
    set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEP_COUNT);
    if (quick)
        set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, conn->user_timeout_ms);
}

static void address_text(const struct sockaddr *address, char *out, size_t size)
{
    const void *at = &((const struct sockaddr_in *)(const void *)address)->sin_addr;

    if (address->sa_family == AF_INET6)
        at = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    if (!inet_ntop(address->sa_family, at, out, (socklen_t)size))
        (void)snprintf(out, size, "?");
}

/* ---- addresses ------------------------------------------------------------------------------- */

/* Adds what became of an address to the text that is shown when none is left. */
static void note_failure(rc_conn *conn, const struct addrinfo *address, const char *what)
{
    size_t len = strlen(conn->tried.msg);
    char text[INET6_ADDRSTRLEN];

    address_text(address->ai_addr, text, sizeof text);
    if (strcmp(text, conn->host) == 0)
        (void)snprintf(conn->tried.msg, sizeof conn->tried.msg, "%s", what);
    else
        (void)snprintf(conn->tried.msg + len, sizeof conn->tried.msg - len, "%s%s: %s",
                       len ? "; " : "", text, what);
}

/* Begins to connect to one address. @return 0 or an errno. */
static int begin(rc_conn *conn, const struct addrinfo *address)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct conn_socket *sock;
    int r;

    if (fd < 0)
        return errno;
    set_options(conn, fd);
    if (connect(fd, address->ai_addr, address->ai_addrlen) < 0 && errno != EINPROGRESS) {
        r = errno;
        (void)close(fd);
        return r;
    }
    sock = rc_calloc(1, sizeof *sock);
    r = uv_poll_init(rc_loop_uv(conn->loop), &sock->uv, fd);
    if (r < 0) {
        free(sock);
        (void)close(fd);
        return -r;
    }
    sock->uv.data = sock;
    sock->conn = conn;
    sock->fd = fd;
    conn->socket = sock;
    conn_watch(conn);
    return 0;
}

static size_t addresses_left(const rc_conn *conn)
{
    size_t n = 0;

    for (const struct addrinfo *a = conn->next_address; a; a = a->ai_next)
        n++;
    return n;
}

static void try_next(rc_conn *conn)
{
    char text[128];

    while (conn->next_address) {
        const struct addrinfo *address = conn->next_address;
        int64_t left = RC_MAX(conn->deadline_ms - now_ms(), 1);
        int r = begin(conn, address);

        if (r == 0) {
            conn->share_ms = RC_MAX(left / (int64_t)addresses_left(conn), 1);
            rc_loop_timer_set(conn->timer, conn->share_ms);
            return;
        }
        note_failure(conn, address, strerror_r(r, text, sizeof text));
        conn->next_address = address->ai_next;
    }
    conn_end(conn, OMC_ECONNECT, OMC_ERR_RETRIABLE, "connect to %s: %s", conn->peer,
             conn->tried.msg);
}

/* The address under way failed. */
static void give_up_address(rc_conn *conn, const char *what)
{
    conn_socket_close(conn);
    note_failure(conn, conn->next_address, what);
    conn->next_address = conn->next_address->ai_next;
    try_next(conn);
}

void conn_connect_event(rc_conn *conn)
{
    struct sockaddr_storage local;
    socklen_t len = sizeof local;
    int error = 0;
    socklen_t error_len = sizeof error;
    int fd = conn->socket->fd;
    char text[128];

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_len) < 0)
        error = errno;
    if (error) {
        give_up_address(conn, strerror_r(error, text, sizeof text));
        return;
    }
    if (getsockname(fd, (struct sockaddr *)&local, &len) == 0)
        address_text((struct sockaddr *)&local, conn->local, sizeof conn->local);
    if (conn->tls) {
        conn->state = CONN_HANDSHAKE;
        rc_loop_timer_set(conn->timer, RC_MAX(conn->deadline_ms - now_ms(), 1));
        conn_tls_begin(conn);
        return;
    }
    conn_opened(conn);
}

void conn_connect_timeout(rc_conn *conn)
{
    char text[128];

    if (!conn->socket) {
        conn_end(conn, OMC_ECONNECT, OMC_ERR_RETRIABLE,
                 "connect to %s: the name was not resolved within %lld ms; is the DNS server "
                 "reachable?",
                 conn->peer, (long long)conn->timeout_ms);
        return;
    }
    (void)snprintf(text, sizeof text,
                   "no answer within %lld ms; is it up, and does a firewall let us through?",
                   (long long)conn->share_ms);
    give_up_address(conn, text);
}

/* ---- names ----------------------------------------------------------------------------------- */

static void on_lookup(uv_getaddrinfo_t *uv, int status, struct addrinfo *found)
{
    struct conn_lookup *lookup = uv->data;
    rc_conn *conn = lookup->conn;

    free(lookup);
    if (!conn) {
        uv_freeaddrinfo(found);
        return;
    }
    conn->lookup = NULL;
    if (status < 0) {
        conn_end(conn, OMC_ECONNECT, OMC_ERR_RETRIABLE, "connect to %s: look up '%s': %s",
                 conn->peer, conn->host, uv_strerror(status));
        return;
    }
    conn->addresses = conn->next_address = found;
    try_next(conn);
}

static void look_up(rc_conn *conn, const char *port, const struct addrinfo *hints)
{
    struct conn_lookup *lookup = rc_calloc(1, sizeof *lookup);
    int r;

    lookup->uv.data = lookup;
    lookup->conn = conn;
    rc_loop_timer_set(conn->timer, conn->timeout_ms);
    r = uv_getaddrinfo(rc_loop_uv(conn->loop), &lookup->uv, on_lookup, conn->host, port, hints);
    if (r < 0) {
        free(lookup);
        conn_end(conn, OMC_ECONNECT, OMC_ERR_RETRIABLE, "connect to %s: look up '%s': %s",
                 conn->peer, conn->host, uv_strerror(r));
        return;
    }
    conn->lookup = lookup;
}

void conn_connect(rc_conn *conn)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo numeric = hints;
    char port[16];

    (void)snprintf(port, sizeof port, "%d", conn->port);
    conn->deadline_ms = now_ms() + conn->timeout_ms;
    numeric.ai_flags |= AI_NUMERICHOST;
    if (getaddrinfo(conn->host, port, &numeric, &conn->addresses) == 0) {
        conn->next_address = conn->addresses;
        try_next(conn);
        return;
    }
    look_up(conn, port, &hints);
}

void conn_connect_release(rc_conn *conn)
{
    if (conn->lookup) {
        conn->lookup->conn = NULL;
        conn->lookup = NULL;
    }
    if (conn->addresses)
        freeaddrinfo(conn->addresses);
    conn->addresses = conn->next_address = NULL;
}
