/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A connection between the files that make it: conn.c (life), conn_connect.c (names, addresses,
 * sockets), conn_io.c (reads, writes), conn_tls.c (TLS on top), tls.c (settings). Loop thread only.
 */
#ifndef RC_CONN_IMPL_H
#define RC_CONN_IMPL_H

#include "net/conn.h"
#include "net/loop_impl.h"

#include <netdb.h>
#include <openssl/ssl.h>

enum conn_state {
    CONN_CONNECTING, /* Looking up the name, or waiting for one of its addresses. */
    CONN_HANDSHAKE,
    CONN_OPEN,
    CONN_ENDED /* `why` is set; closed() comes at the end of the turn. */
};

/* One rc_conn_write(). */
struct conn_write {
    struct conn_write *next;
    void (*done)(void *arg, int result);
    void *arg;
    size_t left;   /* Bytes not yet sent (plain) or encrypted (TLS). */
    size_t size;   /* Bytes in all. */
    uint64_t mark; /* TLS: it is out when so many bytes of the stream are. */
    size_t at;     /* First part with bytes left; it begins at the first of them. */
    size_t count;
    rc_iovec parts[];
};

struct conn_queue {
    struct conn_write *first;
    struct conn_write **last; /* Where the next one is hung. */
};

/* A socket that libuv watches; freed by libuv when it has let go, after the connection maybe. */
struct conn_socket {
    uv_poll_t uv;
    rc_conn *conn;
    int fd;
    int events; /* What libuv watches for now. */
};

struct conn_lookup;
struct conn_tls;

struct rc_conn {
    rc_loop *loop;
    rc_conn_user user;
    void *arg;
    enum conn_state state;
    bool paused;
    bool blocked; /* The kernel takes no more: waiting until the socket is writable. */
    bool failing; /* A write failed; what has come before is being read. */
    int port;
    char *host;
    char *peer; /* "host:port" for errors. */
    int64_t timeout_ms, user_timeout_ms;
    char local[64];

    rc_loop_later later; /* What has come together in a turn is done at its end. */
    rc_loop_timer *timer;
    struct conn_lookup *lookup;
    struct addrinfo *addresses, *next_address; /* `next` is the one under way, or to be tried. */
    int64_t deadline_ms;                       /* Monotonic; for everything until opened(). */
    int64_t share_ms;                          /* What the address under way has of it. */
    rc_error tried;                            /* What became of the addresses so far. */
    struct conn_socket *socket;
    struct conn_tls *tls;

    rc_span room; /* Given by the user and not filled; base NULL = none. */
    struct conn_queue waiting;
    size_t unwritten;
    rc_error why;
};

/* ---- conn.c ---------------------------------------------------------------------------------- */

/** Ends it for this reason unless it has ended before; what is to be told is told later. */
void conn_end(rc_conn *conn, int code, uint32_t flags, const char *fmt, ...) OMC_PRINTF(4, 5);
void conn_opened(rc_conn *conn);
/** Watches for what the state asks for. */
void conn_watch(rc_conn *conn);
void conn_later(rc_conn *conn);

/* ---- conn_connect.c -------------------------------------------------------------------------- */

void conn_connect(rc_conn *conn);
void conn_connect_timeout(rc_conn *conn);
/** The socket of an address under way became writable, or failed. */
void conn_connect_event(rc_conn *conn);
/** Gives up what connecting holds: lookup and addresses. */
void conn_connect_release(rc_conn *conn);
void conn_socket_close(rc_conn *conn);

/* ---- conn_io.c ------------------------------------------------------------------------------- */

/** Most bytes of one connection per turn and direction (roughly), so that others get theirs. */
#define CONN_TURN_BYTES ((size_t)1 << 20)

void conn_queue_init(struct conn_queue *queue);
void conn_queue_put(struct conn_queue *queue, struct conn_write *write);
struct conn_write *conn_queue_take(struct conn_queue *queue);
/** Memory to read into: what room() gave, until it is filled. */
rc_span conn_room(rc_conn *conn);
void conn_received(rc_conn *conn, size_t n);
void conn_write_done(rc_conn *conn, struct conn_write *write, int result);
/** Reads from the socket. @return bytes; 0 = nothing there now, or it has ended. */
size_t conn_recv(rc_conn *conn, void *at, size_t len);
/** Writes to the socket. @return bytes; fewer than wanted: it is blocked now, or has ended. */
size_t conn_send(rc_conn *conn, const struct iovec *parts, size_t count, size_t wanted);
void conn_read(rc_conn *conn);
void conn_flush(rc_conn *conn);

/* ---- conn_tls.c ------------------------------------------------------------------------------ */

/** -OMC_EINVAL (server name). */
int conn_tls_new(rc_conn *conn, rc_tls *tls, const char *server_name, rc_error *err);
void conn_tls_free(struct conn_tls *tls);
void conn_tls_begin(rc_conn *conn);
void conn_tls_read(rc_conn *conn);
void conn_tls_flush(rc_conn *conn);
/** Handles what was decrypted or received while paused. */
void conn_tls_resume(rc_conn *conn);
/** Says goodbye, if that can be done at once. */
void conn_tls_shut(rc_conn *conn);
struct conn_write *conn_tls_take(rc_conn *conn); /* Next encrypted write not fully out, or NULL. */

/* ---- tls.c ----------------------------------------------------------------------------------- */

SSL_CTX *tls_context(rc_tls *tls);
bool tls_verifies(const rc_tls *tls);
const char *tls_ca_file(const rc_tls *tls); /* NULL = the system's */
bool tls_has_certificate(const rc_tls *tls);
/** Reason of an error of OpenSSL in words. */
const char *tls_reason(unsigned long code, char *out, size_t size);

#endif
