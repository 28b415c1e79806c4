/* SPDX-License-Identifier: Apache-2.0 */
/**
 * One outgoing connection: name resolution, TCP, and TLS on top when asked for; reads into memory
 * of its user, writes without copying (plain TCP) from memory of its user.
 *
 * Loop thread only. Callbacks come from the loop, never from inside a call of this header.
 */
#ifndef RC_CONN_H
#define RC_CONN_H

#include "net/loop.h"

typedef struct rc_conn rc_conn;
typedef struct rc_tls rc_tls; /* settings and certificates, shared by connections */

typedef struct rc_tls_config {
    bool verify;
    const char *ca_file, *cert_file, *key_file, *key_password; /**< PEM; NULL = none / system's. */
} rc_tls_config;
/** Reads the files; the settings are not kept. TLS 1.2 and 1.3.
 *  @return 0; -OMC_EINVAL naming the file and what is wrong with it. Any thread. */
int rc_tls_new(const rc_tls_config *config, rc_tls **ret, rc_error *err);
void rc_tls_free(rc_tls *tls); /**< After all its connections are closed. NULL is allowed. */

typedef struct rc_span {
    uint8_t *base;
    size_t len;
} rc_span;

typedef struct rc_conn_user {
    /** Connected, and the TLS handshake is done. */
    void (*opened)(void *arg);
    /** Memory to read into, at least 1 byte; stays valid until received() or closed(), and is not
     *  asked for again before. Large is cheap: what the kernel has is read with one call. */
    rc_span (*room)(void *arg);
    /** `n` bytes have been put at the start of the last room. */
    void (*received)(void *arg, size_t n);
    /** Ended, for whatever reason; exactly once for every connection whose open returned 0, and the
     *  last callback. Everything still unwritten has been told with result < 0 before.
     *  why->code is OMC_ECANCELED after rc_conn_close(), OMC_ECONNECT (cannot be reached: name,
     *  refusal, timeout, handshake, certificate) or OMC_EIO (broke, or was closed, after opened()
     * or in the TLS handshake). It is retriable unless a certificate or a setting has to change
     * first. The connection is freed after it. */
    void (*closed)(void *arg, const rc_error *why);
} rc_conn_user;

typedef struct rc_conn_config {
    const char *host; /**< Name or address (IPv6 without brackets). */
    int port;
    rc_tls *tls;             /**< NULL = plain. Outlives the connection. */
    const char *server_name; /**< For TLS: name to check; NULL = host. */
    int64_t timeout_ms;      /**< For connecting, handshake included. */
    /** TCP_USER_TIMEOUT: unacknowledged bytes break it, and so do unanswered keepalive probes,
     * which go out when it has been quiet for 3 s; 0 = system's, probes after 60 s. */
    int64_t user_timeout_ms;
} rc_conn_config;

/** Begins to connect (TCP_NODELAY, keep-alive): to all addresses of the host one after the other,
 *  each with its share of timeout_ms. Settings are copied. @return 0, then opened() or closed()
 *  follow; -OMC_EINVAL (host, port, timeout, server name). */
int rc_conn_open(rc_loop *loop, const rc_conn_config *config, const rc_conn_user *user, void *arg,
                 rc_conn **ret, rc_error *err);

typedef struct rc_iovec {
    const void *base;
    size_t len;
} rc_iovec;
/**
 * Writes the parts in order after everything written before. The bytes must stay until `done`
 * (result 0 = handed to the kernel, or < 0 = the connection ended first; may be NULL). `parts`
 * itself is copied. It may be called in every callback but closed(); after the end `done` gets < 0.
 * Before opened() the bytes wait. Many small writes of one loop turn go out in one writev.
 */
void rc_conn_write(rc_conn *conn, const rc_iovec *parts, size_t count,
                   void (*done)(void *arg, int result), void *arg);
size_t rc_conn_unwritten(const rc_conn *conn); /**< Bytes accepted and not handed to the kernel. */
/** Stops or goes on reading; room() and received() are not called meanwhile, and an end by the peer
 *  is noticed late. */
void rc_conn_pause(rc_conn *conn, bool paused);
/** Ends it: closed() follows soon. Again is harmless until closed() has been called. */
void rc_conn_close(rc_conn *conn);
/** The same by a reset: what the kernel has not sent yet is thrown away and never arrives. */
void rc_conn_reset(rc_conn *conn);
/** Local address (without port) as text, for client ids; "" before the connection is made. */
const char *rc_conn_local(const rc_conn *conn);

#endif
