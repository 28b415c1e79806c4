/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Parts of a remote between its files: calls and their table (remote_calls.c), reading
 * (remote_read.c), life of the connection (remote.c). I/O thread only.
 */
#ifndef RMQ_REMOTE_IMPL_H
#define RMQ_REMOTE_IMPL_H

#include "rocketmq/remote.h"

#define RMQ_CALLS_MAX 65536u
#define RMQ_NO_SLOT UINT32_MAX

enum rmq_call_state {
    RMQ_CALL_WAITING, /* Ours: no byte of it has left. */
    RMQ_CALL_WRITING, /* The connection's: bytes may have left. */
    RMQ_CALL_WRITTEN, /* In the kernel: waits for its reply. */
    RMQ_CALL_OVER     /* Told, or in the list `failed`. */
};

/** One call, from rmq_remote_call() to its `done`; one allocation with header and parts. */
typedef struct rmq_call {
    struct rmq_call *prev, *next; /* In waiting or failed. */
    rmq_remote *remote;
    enum rmq_call_state state;
    bool oneway;
    bool writing; /* The connection has not said `done` of the write yet. */
    bool told;
    bool expired; /* Timed out while its body was being written: told when the write has ended. */
    int code;
    int32_t opaque;
    uint32_t slot;
    size_t heap_at; /* Index + 1 in the heap of deadlines; 0 = not in it. */
    int64_t timeout_ms;
    int64_t deadline_ms;
    rmq_reply_fn *done;
    void *arg;
    const rmq_gate *gate;
    /* A reply that came before the write was over. */
    rmq_block *early_block;
    const uint8_t *early;
    size_t early_len;
    /* A failure, from when it is known until it is told. */
    int fail_code;
    uint32_t fail_flags;
    char *fail_text;
    size_t bytes;
    size_t part_count; /* parts[0] is the header. */
    rc_iovec parts[];
} rmq_call;

typedef struct rmq_slot {
    rmq_call *call;
    uint32_t next; /* Free slots: the next one. */
    uint16_t generation;
} rmq_slot;

enum rmq_remote_state { RMQ_DOWN, RMQ_CONNECTING, RMQ_UP };

struct rmq_remote {
    rmq_remote_config config; /* Texts are ours. */
    char host[256];
    int port;
    char *bad_address; /* Why address is none; calls fail with it. */
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;

    /* Connection. */
    enum rmq_remote_state state;
    rc_conn *conn;
    bool dropped;  /* rc_conn_close() called, closed() to come. */
    bool draining; /* GO_AWAY: no new calls on this connection. */
    bool paused;
    bool heard;  /* A frame came on this connection. */
    bool warned; /* Of unknown opaques, on this connection. */
    int64_t drain_until;
    int64_t since_ms;
    int64_t retry_at_ms;
    int failures;
    char *drop_why;
    char *last_why;      /* Reason of the last failure. */
    uint32_t last_flags; /* Of that failure: OMC_ERR_RETRIABLE, or not. */
    size_t answers_unwritten;

    /* Calls. */
    rmq_call *waiting;
    rmq_call *failed;
    size_t pending;
    size_t in_conn; /* WRITING or WRITTEN. */
    rmq_slot *slots;
    uint32_t slot_count, free_head, free_tail;
    rmq_call **heap;
    size_t heap_count, heap_cap;
    rc_loop_timer *timer;
    int64_t armed_ms; /* 0 = not armed. */
    rc_arena sign_arena;
    rc_buf head; /* Scratch for headers. */

    /* Reading. */
    rc_arena read_arena;
    rmq_block *block;
    size_t start, end; /* Unread bytes of block. */
    size_t room;       /* What the last room() gave. */
    size_t block_size; /* Of the next one. */
    unsigned small_reads;
};

/* ---- remote_calls.c -------------------------------------------------------------------------- */

/** Makes a call of a request: header built and signed. Never NULL; on failure it is in `failed`. */
rmq_call *rmq_call_new(rmq_remote *remote, const rmq_request *request);
/** The call that waits for this reply, or NULL. */
rmq_call *rmq_call_find(rmq_remote *remote, int32_t opaque);
/** Takes it out of table, heap and waiting: it is over but for telling. */
void rmq_call_end(rmq_call *call);
/** Tells a reply or (frame NULL) that a oneway call was written; frees. */
void rmq_call_reply(rmq_call *call, const rmq_frame *frame, rmq_block *block);
/** Ends it with an error that rmq_calls_tell() tells. `reason` is copied. */
void rmq_call_fail(rmq_call *call, int code, uint32_t flags, const char *reason);
/** Fails calls: all that wait, and / or all that the connection has. */
void rmq_calls_fail_waiting(rmq_remote *remote, int code, uint32_t flags, const char *reason);
void rmq_calls_fail_sent(rmq_remote *remote, int code, const char *reason);
/** Tells the failures known now; those that callbacks add come later. */
void rmq_calls_tell(rmq_remote *remote);
/** Moves calls over their deadline into `failed`. @return true: the connection must be dropped,
 *  because the body of one is stuck in it. */
bool rmq_calls_expire(rmq_remote *remote, int64_t now_ms);
int64_t rmq_calls_next_deadline(const rmq_remote *remote); /**< INT64_MAX = none. */
/** The connection is done with its bytes. */
void rmq_call_written(rmq_call *call, int result);
void rmq_calls_free(rmq_remote *remote);

/* ---- remote_read.c --------------------------------------------------------------------------- */

rc_span rmq_remote_room(void *arg);
void rmq_remote_received(void *arg, size_t n);
/** Forgets a partial frame: the connection has ended. */
void rmq_remote_read_reset(rmq_remote *remote);
/** Parses and delivers the reply to a call. */
void rmq_remote_deliver_early(rmq_call *call);

/* ---- remote.c -------------------------------------------------------------------------------- */

void rmq_remote_arm(rmq_remote *remote, int64_t at_ms);
void rmq_remote_flush(rmq_remote *remote); /**< Gives waiting calls to the connection. */
void rmq_remote_go_away(rmq_remote *remote);
void rmq_remote_say(rmq_remote *remote, enum rmq_log_level level, const char *fmt, ...)
    OMC_PRINTF(3, 4);
int64_t rmq_remote_now(void);

#endif
