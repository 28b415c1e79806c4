/* SPDX-License-Identifier: Apache-2.0 */
/**
 * One host process and the connection to it: handshake, requests and replies, frames by instance,
 * log lines, heartbeat, and its end. One thread per session reads everything the host sends and
 * prints, sends PING, and reaps the process; callers write themselves and wait for their replies.
 *
 * A session dies once, by the host's end, a broken rule, a missed heartbeat or a passed deadline,
 * and then every call on it fails with the same error, which tells why. Sessions are counted: each
 * channel and the owner hold one reference.
 */
#ifndef RC_HOST_SESSION_H
#define RC_HOST_SESSION_H

#include "host/messages.h"
#include "host/process.h"

typedef struct rc_session rc_session;

typedef struct rc_session_config {
    const char *who; /**< "host of connector 'x'", for log lines and errors. Copied. */
    const rc_process_spec *process; /**< Used during rc_session_open() only. */
    const char *worker_id;
    const omc_keyvalue *settings; /**< For WELCOME; NULL = none. */
    int64_t start_timeout_ms;     /**< Until HELLO. */
    int64_t heartbeat_ms;
    int64_t shutdown_ms; /**< What the host gets to end by itself. */
    int64_t idle_ms;     /**< Ends when only its owner has a reference for so long; 0 = never. */
} rc_session_config;

/** Starts the process and waits for the handshake. The caller has one reference. */
int rc_session_open(const rc_session_config *config, rc_session **ret, rc_error *err);
void rc_session_ref(rc_session *session);
/** The last one asks the host to end, waits for it, kills it when it does not. NULL is allowed. */
void rc_session_unref(rc_session *session);
/** Whether it has died, why (`err` may be NULL) and when (ns, may be NULL). Any thread. */
bool rc_session_dead(rc_session *session, rc_error *err, int64_t *ret_ns);
/** Whether it ended, or ends, because nobody used it: no fault of the host. */
bool rc_session_retired(rc_session *session);
/** What the host said of itself; valid as long as the session. */
const rc_hello *rc_session_hello(const rc_session *session);
pid_t rc_session_pid(const rc_session *session);
/** The host broke a rule: it is killed. `name` is one of the document's faults. Any thread. */
void rc_session_fault(rc_session *session, const char *name, const char *fmt, ...) OMC_PRINTF(3, 4);

/** One frame that came in. */
typedef struct rc_frame {
    struct rc_frame *prev, *next;
    rc_frame_head head;
    char *payload;
} rc_frame;
static inline rc_slice rc_frame_payload(const rc_frame *frame)
{
    return omc_slice_of(frame->payload, frame->head.length);
}
void rc_frame_free(rc_frame *frame); /**< NULL is allowed. */
RC_DEFINE_CLEANUP(rc_frame, rc_frame_free)

/* ---- channels -------------------------------------------------------------------------------- */

/** What a channel is for; decides which frames may come. */
typedef enum rc_channel_kind {
    RC_CHANNEL_CONTROL, /**< Instance 0: scan, describe, validate. */
    RC_CHANNEL_CONNECTOR,
    RC_CHANNEL_SOURCE,
    RC_CHANNEL_SINK,
    RC_CHANNEL_COMPONENT
} rc_channel_kind;

/** One instance in the host, as its user sees it. Calls come from one thread at a time. */
typedef struct rc_channel rc_channel;

typedef struct rc_channel_config {
    rc_channel_kind kind;
    const char *who; /**< Lives as long as the channel. */
    /** A frame that is no reply, in the thread of the call it came in. Not for connectors. */
    void (*upcall)(void *arg, const rc_frame *frame);
    /** Connectors: the frame came, on the session's thread; returns at once, calls nothing here. */
    void (*event)(void *arg, const rc_frame *frame);
    /** While no call is open: a frame waits for `upcall`, or the session died. May be NULL.
        @thread any; returns at once, calls nothing here. */
    void (*due)(void *arg);
    void *arg;
} rc_channel_config;

int rc_channel_open(rc_session *session, const rc_channel_config *config, rc_channel **ret,
                    rc_error *err);
/** After STOP was answered, or the session died. NULL is allowed. */
void rc_channel_close(rc_channel *channel);
uint16_t rc_channel_instance(const rc_channel *channel);
rc_session *rc_channel_session(const rc_channel *channel);

/** Empties `out` and leaves room for a frame's header. */
void rc_channel_begin(rc_buf *out);
/** Sends a frame that was begun by rc_channel_begin(). `request` is 0, or that of a reply. */
int rc_channel_send(rc_channel *channel, unsigned type, unsigned flags, uint32_t request,
                    rc_buf *out, rc_error *err);
/**
 * Sends a request and waits for its reply; frames that come before it go to `upcall`. When the
 * deadline passes the host is killed and the error names `what`.
 * @param[out] ret  The reply, for rc_frame_free(). May be NULL.
 */
int rc_channel_call(rc_channel *channel, unsigned type, const char *what, int64_t timeout_ms,
                    rc_buf *out, rc_frame **ret, rc_error *err);
/**
 * Waits for a frame that is no reply, until `wake_fd` is readable or `timeout_ms` (-1 = for ever)
 * passed.
 * @return 1 = *ret is set, 0 = timed out, 2 = `wake_fd` is readable, or negative when the session
 * is dead.
 */
int rc_channel_wait(rc_channel *channel, int wake_fd, int64_t timeout_ms, rc_frame **ret,
                    rc_error *err);
/** Credit of a source: BATCH frames are held against it as they come in. Before CREDIT is sent. */
void rc_channel_credit(rc_channel *channel, int64_t records, int64_t bytes);
/** How long the host has been in the call `name` by its last PONG, ms; -1 = it is not. */
int64_t rc_channel_in_call(rc_channel *channel, const char *name);
/** Somebody wants the thread back that is, or will be, in a call: it gets no longer than `ms` from
 * now or from its begin. 0 = as ever. Any thread. */
void rc_channel_hurry(rc_channel *channel, int64_t ms);
/** Kills the host because a call took too long. @return the error all calls now get. */
int rc_channel_overdue(rc_channel *channel, const char *what, int64_t ms, rc_error *err);

#endif
