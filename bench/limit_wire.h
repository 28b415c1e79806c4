/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The little of RocketMQ's protocol that bench/limit needs, written for speed and nothing else:
 * frames encoded once and patched in place, replies looked at only where they must be. It shares no
 * code with the client, so that a slow client cannot slow down its own measure. Whatever goes wrong
 * ends the program with a line that says what.
 */
#ifndef LIMIT_WIRE_H
#define LIMIT_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define LIMIT_QUEUES_MAX 256
#define LIMIT_BROKERS_MAX 16
/** A broker's frames are at most 16 MiB; pulls bring one message beyond their limit, of 4 MiB. */
#define LIMIT_FRAME_MAX ((size_t)16 << 20)

_Noreturn void limit_die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static inline void limit_put32(uint8_t *at, uint32_t v)
{
    at[0] = (uint8_t)(v >> 24);
    at[1] = (uint8_t)(v >> 16);
    at[2] = (uint8_t)(v >> 8);
    at[3] = (uint8_t)v;
}

static inline uint32_t limit_get32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline uint32_t limit_get16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

int64_t limit_now_ns(void);
double limit_cpu_s(void); /**< Of this process. */

/* ---- connections ----------------------------------------------------------------------------- */

/** One TCP connection. What is to be written stays where the caller has it. */
typedef struct limit_conn {
    int fd;
    char address[128];
    struct iovec *out; /**< Ring of pieces that wait; `out_cap` is a power of two. */
    size_t out_cap, out_head, out_count;
    uint8_t *in;
    size_t in_at, in_len, in_cap;
} limit_conn;

/** A reply; slices of the connection's buffer, valid until the next limit_conn_fill(). */
typedef struct limit_reply {
    int code;
    uint32_t opaque;
    const uint8_t *header;
    size_t header_len;
    bool binary;
    const uint8_t *body;
    size_t body_len;
} limit_reply;

void limit_connect(limit_conn *conn, const char *address);
void limit_disconnect(limit_conn *conn);
void limit_write(limit_conn *conn, const void *bytes, size_t len); /**< Only queues it. */
void limit_conn_drain(limit_conn *conn); /**< Writes what the kernel takes now. */
void limit_conn_fill(limit_conn *conn);  /**< Reads what is there; the connection is readable. */
bool limit_conn_next(limit_conn *conn, limit_reply *reply); /**< False: no whole frame left. */
/** Sends one frame and waits for its reply, for the few requests before a measurement. */
void limit_call(limit_conn *conn, const void *frame, size_t len, limit_reply *reply);
/** Waits until a connection can go on, writes and reads; `timeout_ns` < 0 = 10 s of silence end
 *  the program. Readable ones are told by `ready` (one per connection). */
void limit_wait(limit_conn *const *conns, size_t count, int64_t timeout_ns, bool *ready);

/** Number of a field of a reply's extFields; ends the program when it is missing. */
int64_t limit_reply_number(const limit_reply *reply, const char *field);
/** Text for an error: code and the header, cut. Static memory. */
const char *limit_reply_text(const limit_reply *reply);

/* ---- frames ---------------------------------------------------------------------------------- */

/** A request that is being encoded, binary headers (protocol §2). */
typedef struct limit_frame {
    uint8_t *bytes;
    size_t len, cap;
} limit_frame;

#define LIMIT_OPAQUE_AT 13 /**< Where the opaque lies in a frame. */

void limit_frame_begin(limit_frame *frame, int code, uint32_t opaque);
/** Appends a field; returns where its value begins. */
size_t limit_frame_field(limit_frame *frame, const char *name, const char *value);
size_t limit_frame_number(limit_frame *frame, const char *name, int64_t value);
/** Ends the header; a body of `body_len` bytes will follow. */
void limit_frame_end(limit_frame *frame, size_t body_len);
void limit_frame_body_len(limit_frame *frame, size_t body_len); /**< Patches the total. */
void limit_frame_add(limit_frame *frame, const void *bytes, size_t len);

/* ---- routes ---------------------------------------------------------------------------------- */

typedef struct limit_queue {
    int broker; /**< Index into brokers. */
    int id;
} limit_queue;

typedef struct limit_route {
    struct {
        char name[128];
        char address[128];
    } brokers[LIMIT_BROKERS_MAX];
    size_t broker_count;
    limit_queue queues[LIMIT_QUEUES_MAX];
    size_t queue_count;
} limit_route;

/** Queues of a topic on masters; `perm` 2 = to write, 4 = to read. At most `want` of them (0 =
 * all), and never fewer. */
void limit_route_get(const char *namesrv, const char *topic, int perm, size_t want,
                     limit_route *route);

#endif
