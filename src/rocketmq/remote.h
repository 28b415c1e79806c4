/* SPDX-License-Identifier: Apache-2.0 */
/**
 * One peer (name server or broker) at one address: a connection that is made when needed and comes
 * back, requests matched to replies by opaque, timeouts, requests of the peer.
 *
 * I/O thread only. Callbacks come from the loop, never from inside rmq_remote_call().
 */
#ifndef RMQ_REMOTE_H
#define RMQ_REMOTE_H

#include "net/conn.h"
#include "rocketmq/block.h"
#include "rocketmq/frame.h"
#include "rocketmq/gate.h"

#include <rocketmq/client.h>

typedef struct rmq_remote rmq_remote;

/** What came back. Everything is valid during the callback only, but `block` may be referenced to
 *  keep body and fields that lie in it (fields of JSON headers with escapes lie in an arena). */
typedef struct rmq_reply {
    int result;             /**< 0 = a reply came, whatever its code; else -OMC_E... */
    const rc_error *err;    /**< result < 0. RMQ_ERR_UNKNOWN_OUTCOME when bytes may have left us. */
    const rmq_frame *frame; /**< result == 0 */
    rmq_block *block;
} rmq_reply;
typedef void rmq_reply_fn(void *arg, const rmq_reply *reply);

typedef struct rmq_request {
    int code;
    const rmq_field *fields; /**< Copied. */
    size_t field_count;
    const rc_iovec *body; /**< The array is copied, the bytes must stay until `done`. */
    size_t body_parts;
    int64_t timeout_ms;   /**< From now, connecting included; at least 1. */
    bool oneway;          /**< done(result 0, frame NULL) when handed to the kernel. */
    const rmq_gate *gate; /**< Asked when it is written; see rmq_gate. NULL = none. */
    rmq_reply_fn *done;   /**< Exactly once, also when the remote is closed. */
    void *arg;
} rmq_request;

typedef struct rmq_remote_config {
    rc_loop *loop;
    const char *address; /**< "host:port", shown in errors. */
    const char *label;   /**< "broker broker-0", "name server": shown in errors. */
    rc_tls *tls;
    const char *server_name;
    int64_t connect_timeout_ms;
    const rmq_credentials *credentials; /**< NULL = not signed. */
    rmq_client_stats *stats;            /**< Counted on the I/O thread. */
    _Atomic int64_t *block_bytes;
    /** A connection is up (again): heartbeats go out now. */
    void (*connected)(void *arg, rmq_remote *remote);
    /** A connection ended, or could not be made. */
    void (*lost)(void *arg, rmq_remote *remote, const rc_error *why);
    /** A request of the peer; answer with rmq_remote_answer() unless it is oneway. NULL: unknown
     *  ones are refused with code 3. @return false = not known here. */
    bool (*asked)(void *arg, rmq_remote *remote, const rmq_frame *frame);
    /** A line for people (connection lost, peer misbehaves). NULL = silent. */
    void (*say)(void *arg, enum rmq_log_level level, const char *text);
    void *arg;
} rmq_remote_config;

/** Splits "host:port" or "[::1]:port". @return 0; -OMC_EINVAL saying what is wrong. Pure. */
int rmq_address_split(const char *address, char host[256], int *ret_port, rc_error *err);

/** All settings are copied (the pointers to tls, credentials, stats outlive the remote). */
rmq_remote *rmq_remote_new(const rmq_remote_config *config);
/**
 * Closes: calls under way end with OMC_ECANCELED. `closed` is called when nothing is left, then the
 * remote is freed.
 */
void rmq_remote_close(rmq_remote *remote, void (*closed)(void *arg), void *arg);

/** Sends a request; connects first when needed (failed connects back off 100 ms to 5 s; calls
 *  meanwhile fail at once with the last reason, marked retriable unless nothing was ever reached
 *  there and a certificate is wrong). At most 65,536 unanswered, else done gets
 *  OMC_EAGAIN. */
void rmq_remote_call(rmq_remote *remote, const rmq_request *request);
/** A call that timed out: close its connection so that nothing late can be done on it by the peer
 *  after we have counted down; all others on it fail with UNKNOWN_OUTCOME. */
void rmq_remote_drop(rmq_remote *remote, const char *why);
void rmq_remote_answer(rmq_remote *remote, const rmq_frame *to, int code, rc_slice body);
bool rmq_remote_up(const rmq_remote *remote);
const char *rmq_remote_address(const rmq_remote *remote);
/** Mono ms since which the present connection is up; 0 = it is not. Changes with each one. */
int64_t rmq_remote_since(const rmq_remote *remote);
size_t rmq_remote_pending(const rmq_remote *remote);
/** Stops reading while true: bodies are waiting in memory that is bounded. */
void rmq_remote_pause(rmq_remote *remote, bool paused);

#endif
