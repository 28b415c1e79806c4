/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads and writes. Plain bytes go between the kernel and the user's memory without a copy: read(2)
 * into what room() gave, sendmsg(2) from the parts of all writes that came together in a turn. The
 * socket is watched for writing only while the kernel's buffer is full, because a change of what is
 * watched costs system calls.
 */
#include "net/conn_impl.h"

#include <errno.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Reads of one turn; with small rooms this comes before CONN_TURN_BYTES. */
#define READS_PER_TURN 16

/* ---- queues of writes ------------------------------------------------------------------------ */

void conn_queue_init(struct conn_queue *queue)
{
    queue->first = NULL;
    queue->last = &queue->first;
}

void conn_queue_put(struct conn_queue *queue, struct conn_write *write)
{
    write->next = NULL;
    *queue->last = write;
    queue->last = &write->next;
}

struct conn_write *conn_queue_take(struct conn_queue *queue)
{
    struct conn_write *write = queue->first;

    if (!write)
        return NULL;
    queue->first = write->next;
    if (!queue->first)
        queue->last = &queue->first;
    return write;
}

void conn_write_done(rc_conn *conn, struct conn_write *write, int result)
{
    void (*done)(void *arg, int result) = write->done;
    void *arg = write->arg;

    conn->unwritten -= conn->tls ? write->size : write->left;
    free(write);
    if (done)
        done(arg, result);
}

/* ---- the socket ------------------------------------------------------------------------------ */

static int broken(const rc_conn *conn)
{
    return conn->state == CONN_HANDSHAKE ? OMC_ECONNECT : OMC_EIO;
}

size_t conn_recv(rc_conn *conn, void *at, size_t len)
{
    char text[128];
    ssize_t n;

    do {
        n = read(conn->socket->fd, at, len);
    } while (n < 0 && errno == EINTR);
    if (n > 0)
        return (size_t)n;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    if (n < 0)
        conn_end(conn, broken(conn), OMC_ERR_RETRIABLE, "read from %s: %s", conn->peer,
                 strerror_r(errno, text, sizeof text));
    else if (conn->state == CONN_HANDSHAKE)
        conn_end(conn, OMC_EIO, OMC_ERR_RETRIABLE,
                 "connect to %s: it closed the connection during the TLS handshake; is TLS "
                 "enabled there?",
                 conn->peer);
    else
        conn_end(conn, OMC_EIO, OMC_ERR_RETRIABLE, "%s closed the connection", conn->peer);
    return 0;
}

/* What the peer sent before it went is read first: answers, or the alert that says why it went. */
static void write_failed(rc_conn *conn, int errnum)
{
    int code = broken(conn);
    char text[128];

    if (!conn->failing && conn->state != CONN_ENDED) {
        conn->failing = true;
        conn_read(conn);
    }
    conn_end(conn, code, OMC_ERR_RETRIABLE, "write to %s: %s", conn->peer,
             strerror_r(errnum, text, sizeof text));
}

size_t conn_send(rc_conn *conn, const struct iovec *parts, size_t count, size_t wanted)
{
    struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = count};
    ssize_t n;

    do {
        n = sendmsg(conn->socket->fd, &msg, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
        write_failed(conn, errno);
        return 0;
    }
    if (n < 0)
        n = 0;
    if ((size_t)n < wanted)
        conn->blocked = true; /* Another try now would only be told so. */
    return (size_t)n;
}

/* ---- reads ----------------------------------------------------------------------------------- */

rc_span conn_room(rc_conn *conn)
{
    if (!conn->room.base) {
        conn->room = conn->user.room(conn->arg);
        RC_ASSERT(conn->room.base && conn->room.len > 0);
    }
    return conn->room;
}

void conn_received(rc_conn *conn, size_t n)
{
    conn->room = (rc_span){0};
    conn->user.received(conn->arg, n);
}

void conn_read(rc_conn *conn)
{
    size_t sum = 0;

    if (conn->tls) {
        conn_tls_read(conn);
        return;
    }
    for (int i = 0; i < READS_PER_TURN && sum < CONN_TURN_BYTES; i++) {
        rc_span room;
        size_t n;

        if (conn->state != CONN_OPEN || conn->paused)
            return;
        room = conn_room(conn);
        if (conn->state != CONN_OPEN || conn->paused)
            return;
        n = conn_recv(conn, room.base, room.len);
        if (n == 0)
            return;
        conn_received(conn, n);
        if (n < room.len)
            return; /* That was all; asking again costs a system call. */
        sum += n;
    }
}

/* ---- writes ---------------------------------------------------------------------------------- */

/* The parts of all waiting writes, as far as they fit one call. @return their number. */
static size_t gather(const rc_conn *conn, struct iovec *out, size_t max, size_t *wanted)
{
    size_t n = 0;

    *wanted = 0;
    for (const struct conn_write *w = conn->waiting.first; w; w = w->next) {
        for (size_t i = w->at; i < w->count; i++) {
            if (n == max || *wanted >= CONN_TURN_BYTES)
                return n;
            if (w->parts[i].len == 0)
                continue;
            out[n].iov_base = (void *)(uintptr_t)w->parts[i].base;
            out[n].iov_len = w->parts[i].len;
            *wanted += w->parts[i].len;
            n++;
        }
    }
    return n;
}

/* Moves a write on by at most `sent` bytes. @return what is left of `sent`. */
static size_t move_on(rc_conn *conn, struct conn_write *write, size_t sent)
{
    while (sent > 0 && write->left > 0) {
        rc_iovec *part = &write->parts[write->at];
        size_t n = RC_MIN(part->len, sent);

        part->base = (const uint8_t *)part->base + n;
        part->len -= n;
        if (part->len == 0)
            write->at++;
        write->left -= n;
        conn->unwritten -= n;
        sent -= n;
    }
    return sent;
}

/* `sent` bytes of the waiting writes are out: tells those that are out whole. Their users may
 * write, pause and close meanwhile. */
static void advance(rc_conn *conn, size_t sent)
{
    struct conn_write *last = NULL;
    struct conn_queue out;

    conn_queue_init(&out);
    while (conn->waiting.first) {
        sent = move_on(conn, conn->waiting.first, sent);
        if (conn->waiting.first->left > 0)
            break;
        last = conn_queue_take(&conn->waiting);
        conn_queue_put(&out, last);
    }
    while ((last = conn_queue_take(&out)) != NULL)
        conn_write_done(conn, last, 0);
}

static void flush_plain(rc_conn *conn)
{
    struct iovec parts[IOV_MAX];
    size_t sum = 0;

    while (conn->state == CONN_OPEN && !conn->blocked && conn->waiting.first &&
           sum < CONN_TURN_BYTES) {
        size_t wanted;
        size_t count = gather(conn, parts, RC_COUNT(parts), &wanted);
        size_t sent = count ? conn_send(conn, parts, count, wanted) : 0;

        if (conn->state == CONN_OPEN)
            advance(conn, sent);
        sum += sent;
        if (count == 0)
            break;
    }
}

void conn_flush(rc_conn *conn)
{
    if (conn->state == CONN_HANDSHAKE || conn->state == CONN_OPEN) {
        if (conn->tls)
            conn_tls_flush(conn);
        else
            flush_plain(conn);
    }
    if (conn->state == CONN_OPEN && !conn->blocked && conn->waiting.first)
        conn_later(conn);
}
