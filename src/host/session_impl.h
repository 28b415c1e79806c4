/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a session; private to session*.c and channel.c. */
#ifndef RC_HOST_SESSION_IMPL_H
#define RC_HOST_SESSION_IMPL_H

#include "base/hash.h"
#include "base/queue.h"
#include "host/lines.h"
#include "host/session.h"

#include <pthread.h>
#include <stdatomic.h>

/* Frames and bytes of one instance that nobody has looked at yet. */
#define RC_INBOX_FRAMES_MAX 1000
/* Optional frames beyond this are dropped: nobody looks while a task is paused or idle. */
#define RC_INBOX_OPTIONAL_MAX 100
#define RC_INBOX_BYTES_MAX ((size_t)64 << 20)
#define RC_PINGS_MISSED_MAX 3
#define RC_READ_AHEAD ((size_t)64 << 10)

typedef enum rc_session_state {
    RC_SESSION_OPENING,
    RC_SESSION_READY,
    RC_SESSION_DEAD
} rc_session_state;

/* A request of ours without a reply yet. */
typedef struct rc_open_request {
    uint32_t id;
    uint8_t type;
    uint16_t instance;
    rc_channel *channel; /* NULL: of the session itself (PING, SHUTDOWN) */
    UT_hash_handle hh;
} rc_open_request;

struct rc_channel {
    rc_channel_config config;
    rc_session *session;
    uint16_t instance;
    bool calling;           /* [session->mu] a call is open: its thread looks at what comes */
    rc_wake wake;           /* set while there are frames, or the session is dead */
    rc_frame *inbox;        /* [session->mu] */
    size_t inbox_count;     /* [session->mu] */
    size_t inbox_bytes;     /* [session->mu] */
    int64_t records;        /* [session->mu] credit the host has */
    int64_t bytes;          /* [session->mu] */
    int64_t call_begin_ms;  /* [session->mu] of the latest call */
    int64_t hurry_ms;       /* [session->mu] calls get no longer than this; 0 = their deadline */
    int64_t hurry_since_ms; /* [session->mu] */
    char call[32];          /* [session->mu] by the last PONG; "" = none */
    int64_t call_ms;        /* [session->mu] */
    struct rc_channel *prev, *next; /* [session->mu] all of them, those without a number too */
    UT_hash_handle hh;
};

struct rc_session {
    char *who;
    char *worker_id;
    char token[24];
    const rc_process_spec *spec; /* until open() returned */
    const omc_keyvalue *settings;
    int64_t start_timeout_ms, heartbeat_ms, shutdown_ms, idle_ms;
    int64_t resident_max; /* 0 = no limit */
    char *resident_key;
    atomic_int refs;
    pthread_t thread;
    rc_wake control; /* wakes the reader: closing, killed */
    rc_arena memory; /* of hello */
    rc_hello hello;

    pthread_mutex_t mu;
    pthread_cond_t cond;    /* state changed */
    rc_session_state state; /* [mu] */
    rc_error death;         /* [mu] why, once DEAD */
    int64_t death_ns;       /* [mu] */
    bool killed;            /* [mu] the reader has to end it for `death` */
    bool closing;           /* [mu] nobody wants it any more */
    bool retired;           /* [mu] closing, because it was idle */
    rc_channel *channels;   /* [mu] by instance */
    rc_channel *all;        /* [mu] */
    rc_open_request *open;  /* [mu] by id */
    uint32_t last_request;  /* [mu] */
    uint16_t last_instance; /* [mu] */

    pthread_mutex_t write_mu; /* one frame at a time; taken without mu */

    /* reader only */
    rc_process process;
    bool running; /* there is a process */
    rc_lines out, err;
    bool out_open, err_open;
    char ahead[RC_READ_AHEAD];
    size_t ahead_len, ahead_at;
    rc_frame *partial; /* a frame whose payload is not complete */
    size_t partial_len;
    int64_t ping_ns; /* when the next one is due */
    uint32_t ping_request;
    int pings_missed;
    int64_t start_deadline_ns, close_deadline_ns, idle_ns; /* idle_ns: since; 0 = is not */
};

/* channel.c: tells who uses the channel that it has to look, when no call of his does. Under mu. */
void rc_channel_due(rc_channel *channel);
/* session_read.c: takes what is in the socket. @return false at its end. @thread reader */
bool rc_session_read(rc_session *s);
/* channel.c: writes whole frames. Not under mu. 0 or -OMC_EIO. */
int rc_session_write(rc_session *s, const char *bytes, size_t len);
/* Registers a request; under mu. */
uint32_t rc_session_request(rc_session *s, unsigned type, rc_channel *channel);
/* The error of the end, once there is one. Waits for it when the end is near. */
int rc_session_death(rc_session *s, rc_error *err);
/* Asks the reader to end the host for this reason; the first one counts. */
void rc_session_kill(rc_session *s, const rc_error *why);

#endif
