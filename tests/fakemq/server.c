/* SPDX-License-Identifier: Apache-2.0 */
/** Sockets: one thread that polls listeners and connections, and ends what is due. */
#include "impl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { READ_SIZE = 256 << 10, MAX_UNSENT = 512 << 20 };

int64_t mono_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int64_t wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* ---- listeners ------------------------------------------------------------------------------- */

/** Bound to the port, or to any for 0, and not listening yet: connections are refused. */
static int bound_socket(int *port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), yes = 1;
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)*port)};
    socklen_t len = sizeof to;

    if (fd < 0)
        give_up("socket: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, (struct sockaddr *)&to, sizeof to) < 0)
        give_up("bind to port %d: %s", *port, strerror(errno));
    if (getsockname(fd, (struct sockaddr *)&to, &len) < 0)
        give_up("getsockname: %s", strerror(errno));
    *port = ntohs(to.sin_port);
    return fd;
}

void server_listen(struct server *server)
{
    if (!server->port)
        server->guard = bound_socket(&server->port);
    server->fd = bound_socket(&server->port);
    if (listen(server->fd, 1024) < 0)
        give_up("listen on port %d: %s", server->port, strerror(errno));
    server->down = false;
}

void server_unlisten(struct server *server)
{
    close(server->fd);
    server->fd = -1;
    server->down = true;
}

/* ---- connections ----------------------------------------------------------------------------- */

/** Ends it with a reset, not in order: what is on its way is lost. Freed later by reap(). */
void conn_reset(struct conn *conn)
{
    struct linger none = {.l_onoff = 1, .l_linger = 0};

    if (!conn->dead)
        setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    conn->dead = true;
}

static void conn_accept(fakemq *mq, struct server *server)
{
    struct sockaddr_in from;
    socklen_t len = sizeof from;
    int yes = 1;
    int fd = accept4(server->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct conn *conn;

    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    conn = rc_calloc(1, sizeof *conn);
    conn->fd = fd;
    conn->port = ntohs(from.sin_port);
    conn->server = server;
    rc_buf_init(&conn->in, MAX_FRAME + READ_SIZE + 8);
    rc_buf_init(&conn->out, MAX_UNSENT);
    if (mq->tls) {
        conn->ssl = SSL_new(mq->tls);
        SSL_set_fd(conn->ssl, fd);
        SSL_set_accept_state(conn->ssl);
    }
    conn->next = mq->conns;
    mq->conns = conn;
}

/** As read(2), with or without TLS: > 0 bytes, 0 = nothing now, -1 = the end. */
static ssize_t conn_read(struct conn *conn, char *at, size_t size)
{
    ssize_t n;

    if (!conn->ssl) {
        n = recv(conn->fd, at, size, 0);
        return n > 0 ? n : n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
    }
    ERR_clear_error();
    n = SSL_read(conn->ssl, at, (int)size);
    if (n > 0)
        return n;
    switch (SSL_get_error(conn->ssl, (int)n)) {
    case SSL_ERROR_WANT_READ:
        return 0;
    case SSL_ERROR_WANT_WRITE:
        conn->want_write = true;
        return 0;
    default:
        return -1;
    }
}

static ssize_t conn_write(struct conn *conn, const char *at, size_t size)
{
    ssize_t n;
    int error;

    if (!conn->ssl) {
        n = send(conn->fd, at, size, MSG_NOSIGNAL);
        return n > 0 ? n : errno == EAGAIN || errno == EINTR ? 0 : -1;
    }
    ERR_clear_error();
    n = SSL_write(conn->ssl, at, (int)RC_MIN(size, (size_t)READ_SIZE));
    if (n > 0)
        return n;
    error = SSL_get_error(conn->ssl, (int)n);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static void conn_flush(struct conn *conn)
{
    conn->want_write = false;
    while (!conn->dead && conn->out_at < conn->out.len) {
        ssize_t n = conn_write(conn, conn->out.data + conn->out_at, conn->out.len - conn->out_at);

        if (n == 0)
            return;
        if (n < 0)
            conn->dead = true;
        else
            conn->out_at += (size_t)n;
    }
    rc_buf_clear(&conn->out);
    conn->out_at = 0;
    if (conn->last_words)
        conn->dead = true;
}

/** Takes the next whole frame out of `in`; NULL when there is none (yet). */
static struct request *next_frame(fakemq *mq, struct conn *conn, size_t *at)
{
    const char *bytes = conn->in.data + *at, *wrong;
    size_t left = conn->in.len - *at, total, head;
    struct request *request;

    if (conn->dead || conn->last_words || left < 8)
        return NULL;
    total = (size_t)get_be(bytes, 4);
    head = (size_t)get_be(bytes + 5, 3);
    if (total > MAX_FRAME || total < 4 || head > total - 4) {
        strict_text(mq, rc_format("%s got a frame of %zu bytes with a header of %zu",
                                  conn->server->name, total, head));
        conn->dead = true;
        return NULL;
    }
    if (left < 4 + total)
        return NULL;
    *at += 4 + total;
    request = rc_calloc(1, sizeof *request);
    request->mq = mq;
    request->server = conn->server;
    request->conn = conn;
    rc_buf_init(&request->reply, MAX_UNSENT);
    wrong = header_read(&request->header, bytes[4] == 1, bytes + 8, head);
    request->body_len = total - 4 - head;
    request->body = rc_strndup(bytes + 8 + head, request->body_len);
    if (wrong) {
        strict_text(mq, rc_format("%s: %s", conn->server->name, wrong));
        conn->dead = true;
        request_free(request);
        return NULL;
    }
    return request;
}

/** A reply of a client to what ask() asked. */
static void take_reply(fakemq *mq, struct request *reply)
{
    for (size_t k = 0; k < mq->asked_count; k++) {
        int code = mq->asked[k].code, slot = 0;

        if (mq->asked[k].opaque != reply->header.opaque)
            continue;
        mq->asked[k] = mq->asked[--mq->asked_count];
        while (slot < MAX_ANSWERED - 1 && mq->answered[slot].count &&
               mq->answered[slot].code != code)
            slot++;
        mq->answered[slot].code = code;
        mq->answered[slot].count++;
        free(mq->answered[slot].body);
        mq->answered[slot].body = RC_TAKE(reply->body);
        break;
    }
    request_free(reply);
}

static void append_live(fakemq *mq, struct request *request)
{
    struct request **at = &mq->live;

    while (*at)
        at = &(*at)->next;
    *at = request;
}

/** Sends of one queue and connection that nobody has answered, this one among them. */
static void count_unanswered(fakemq *mq, const struct request *request)
{
    int count = 0;
    const char *name = request->header.code == 10 ? "queueId" : "e";

    if (!is_send(request->header.code) || request->header.flag & FLAG_ONEWAY)
        return;
    for (struct request *other = mq->live; other; other = other->next) {
        if (other->conn == request->conn && is_send(other->header.code) &&
            !(other->header.flag & FLAG_ONEWAY) &&
            !strcmp(request_topic(other), request_topic(request)) &&
            !strcmp(field(other, other->header.code == 10 ? "queueId" : "e"), field(request, name)))
            count++;
    }
    mq->most_unanswered = RC_MAX(mq->most_unanswered, count);
}

/** All whole frames that came are seen before the first is served: they were out at once. */
static void take_frames(fakemq *mq, struct conn *conn)
{
    struct request *request, *batch[256];
    size_t at = 0, count = 0;

    while (count < RC_COUNT(batch) && (request = next_frame(mq, conn, &at))) {
        if (request->header.flag & FLAG_REPLY) {
            take_reply(mq, request);
            continue;
        }
        append_live(mq, request);
        count_unanswered(mq, request);
        batch[count++] = request;
    }
    if (at) {
        memmove(conn->in.data, conn->in.data + at, conn->in.len - at);
        conn->in.len -= at;
    }
    for (size_t k = 0; k < count; k++) {
        if (conn->dead || conn->last_words)
            request_free(batch[k]);
        else
            request_take(batch[k]);
    }
    if (count == RC_COUNT(batch))
        take_frames(mq, conn);
}

static void conn_readable(fakemq *mq, struct conn *conn)
{
    for (int round = 0; round < 16 && !conn->dead; round++) {
        char *at = rc_buf_reserve(&conn->in, READ_SIZE);
        ssize_t n = at ? conn_read(conn, at, READ_SIZE) : -1;

        if (n > 0) {
            conn->in.len += (size_t)n;
            if (conn->in.len >= MAX_FRAME)
                take_frames(mq, conn);
        } else if (n < 0) {
            take_frames(mq, conn);
            conn->dead = true;
        } else {
            break;
        }
    }
    take_frames(mq, conn);
}

/* ---- answers --------------------------------------------------------------------------------- */

static void unlink_live(struct request *request)
{
    struct request **at = &request->mq->live;

    while (*at && *at != request)
        at = &(*at)->next;
    if (*at)
        *at = request->next;
    request->next = NULL;
}

void request_free(struct request *request)
{
    unlink_live(request);
    header_free(&request->header);
    free(request->body);
    rc_buf_release(&request->reply);
    free(request);
}

static void send_bytes(struct conn *conn, const char *bytes, size_t len)
{
    if (!conn->dead && !conn->last_words)
        rc_buf_add(&conn->out, bytes, len);
    if (conn->out.overflow)
        conn->dead = true;
}

static void send_garbage(struct request *request)
{
    fakemq *mq = request->mq;
    rc_buf out = RC_BUF(1024);

    put_be(&out, 204, 4);
    for (int k = 0; k < 204; k++)
        rc_buf_char(&out, (char)random_next(mq));
    send_bytes(request->conn, out.data, out.len);
    rc_buf_release(&out);
}

/** Sends the reply, spoiled by the rule that hit the request. Ends the request. */
static void send_reply(struct request *request)
{
    enum fakemq_action action = request->rule ? request->rule->rule.action : FAKEMQ_CODE;
    struct conn *conn = request->conn;
    static const char oversize[12] = {0x40, 0, 0, 0, 0, 0, 0, 2, '{', '}', 0, 0};
    size_t some = request->rule ? (size_t)request->rule->rule.bytes : 0;

    switch (conn ? action : FAKEMQ_SWALLOW) {
    case FAKEMQ_SWALLOW:
        break;
    case FAKEMQ_CUT_AFTER:
        conn_reset(conn);
        break;
    case FAKEMQ_CUT_REPLY:
        send_bytes(conn, request->reply.data, RC_MIN(some, request->reply.len));
        conn->last_words = true;
        break;
    case FAKEMQ_OVERSIZE:
        send_bytes(conn, oversize, sizeof oversize);
        break;
    case FAKEMQ_GARBAGE:
        send_garbage(request);
        break;
    default:
        send_bytes(conn, request->reply.data, request->reply.len);
    }
    request_free(request);
}

void answer(struct request *request, int code, const char *remark, struct fields *fields,
            const void *body, size_t body_len)
{
    fakemq *mq = request->mq;
    const fakemq_rule *rule = request->rule ? &request->rule->rule : NULL;
    struct header header = {code,       mq->config.old_routes ? 399 : 513,
                            0,          request->header.opaque,
                            FLAG_REPLY, NULL,
                            {0}};

    if (fields) {
        mapping_answer(request, fields);
        header.fields = *fields;
        *fields = (struct fields){0};
    }
    if (rule && rule->action == FAKEMQ_CODE) {
        header.code = rule->code;
        remark = request->rule->remark ? request->rule->remark : remark;
    }
    header.remark = remark ? rc_strdup(remark) : NULL;
    if (rule && rule->action == FAKEMQ_OPAQUE) {
        header.opaque ^= 0x40000000;
        frame_write(&request->reply, mq->config.binary, &header, body, body_len);
        header.opaque ^= 0x40000000;
    }
    frame_write(&request->reply, mq->config.binary, &header, body, body_len);
    header_free(&header);
    if (request->header.flag & FLAG_ONEWAY) {
        if (rule && rule->action == FAKEMQ_CUT_AFTER && request->conn)
            conn_reset(request->conn);
        request_free(request);
    } else if (rule && rule->action == FAKEMQ_DELAY) {
        request->state = REPLYING;
        request->due_ns = mono_ns() + rule->ms * INT64_C(1000000);
    } else {
        send_reply(request);
    }
}

void answer_text(struct request *request, int code, const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    answer(request, code, text, NULL, NULL, 0);
}

void answer_json(struct request *request, rc_buf *body)
{
    answer(request, 0, NULL, NULL, body->data, body->len);
    rc_buf_release(body);
}

void park(struct request *request, int64_t ms)
{
    request->state = PARKED;
    request->due_ns = mono_ns() + ms * INT64_C(1000000);
}

void ask(fakemq *mq, struct conn *conn, int code, int32_t flag, struct fields *fields,
         const void *body, size_t body_len)
{
    struct header header = {code, 513, 0, mq->opaque++, flag, NULL, {0}};
    rc_buf out = RC_BUF(MAX_FRAME);

    if (fields) {
        header.fields = *fields;
        *fields = (struct fields){0};
    }
    frame_write(&out, mq->config.binary, &header, body, body_len);
    header_free(&header);
    send_bytes(conn, out.data, out.len);
    rc_buf_release(&out);
    if (flag & FLAG_ONEWAY)
        return;
    if (mq->asked_count == MAX_ASKED)
        mq->asked[0] = mq->asked[--mq->asked_count];
    mq->asked = rc_realloc(mq->asked, (mq->asked_count + 1) * sizeof *mq->asked);
    mq->asked[mq->asked_count++] = (struct asked){code, mq->opaque - 1};
}

/* ---- the loop -------------------------------------------------------------------------------- */

static struct request *earliest(fakemq *mq)
{
    struct request *first = NULL;

    for (struct request *at = mq->live; at; at = at->next) {
        if (at->state != RUNNING && (!first || at->due_ns < first->due_ns))
            first = at;
    }
    return first;
}

static void run_due(fakemq *mq)
{
    int64_t now = mono_ns();
    struct request *request;

    while ((request = earliest(mq)) && request->due_ns <= now) {
        if (request->state == REPLYING) {
            send_reply(request);
            continue;
        }
        request->expired = request->state == PARKED;
        request->state = RUNNING;
        request_run(request);
    }
}

static void conn_free(struct conn *conn)
{
    if (conn->ssl)
        SSL_free(conn->ssl);
    close(conn->fd);
    rc_buf_release(&conn->in);
    rc_buf_release(&conn->out);
    fields_free(&conn->version);
    free(conn);
}

/** Forgets a connection: its members leave, its answers are dropped, held requests still run. */
static void conn_forget(fakemq *mq, struct conn *conn)
{
    struct request *next;

    for (struct request *at = mq->live; at; at = next) {
        next = at->next;
        if (at->conn != conn)
            continue;
        at->conn = NULL;
        if (at->state != HELD || conn->server->down)
            request_free(at);
    }
    members_leave(mq, conn);
}

static void reap(fakemq *mq)
{
    for (struct conn **at = &mq->conns; *at;) {
        struct conn *conn = *at;

        if (!conn->dead) {
            at = &conn->next;
            continue;
        }
        *at = conn->next;
        conn_forget(mq, conn);
        conn_free(conn);
    }
}

static size_t fill_poll(fakemq *mq, struct pollfd **fds)
{
    size_t count = 1;

    for (struct conn *conn = mq->conns; conn; conn = conn->next)
        count++;
    *fds = rc_realloc(*fds, (count + (size_t)mq->server_count) * sizeof **fds);
    (*fds)[0] = (struct pollfd){mq->wake, POLLIN, 0};
    count = 1;
    for (int k = 0; k < mq->server_count; k++) {
        struct server *server = &mq->servers[k];

        (*fds)[count++] =
            (struct pollfd){server->down || server->frozen ? -1 : server->fd, POLLIN, 0};
    }
    for (struct conn *conn = mq->conns; conn; conn = conn->next) {
        bool write = conn->want_write || conn->out_at < conn->out.len;

        (*fds)[count++] = (struct pollfd){conn->server->frozen ? -1 : conn->fd,
                                          (short)(POLLIN | (write ? POLLOUT : 0)), 0};
    }
    return count;
}

static int poll_ms(fakemq *mq)
{
    struct request *first = earliest(mq);
    int64_t left = first ? first->due_ns - mono_ns() : -1;

    return !first ? -1 : left <= 0 ? 0 : (int)RC_MIN((left + 999999) / 1000000, 60000);
}

static void serve_once(fakemq *mq, const struct pollfd *fds)
{
    const struct pollfd *of_conn = fds + 1 + mq->server_count;
    uint64_t ignored;

    if (fds[0].revents && read(mq->wake, &ignored, sizeof ignored) < 0)
        give_up("read of the wake-up descriptor: %s", strerror(errno));
    /* Connections first: accepting puts new ones at the front of the list. */
    for (struct conn *conn = mq->conns; conn; conn = conn->next, of_conn++) {
        if (of_conn->revents)
            conn_readable(mq, conn);
    }
    for (int k = 0; k < mq->server_count; k++) {
        if (fds[1 + k].revents)
            conn_accept(mq, &mq->servers[k]);
    }
    if (mq->op) {
        mq->op->run(mq, mq->op->arg);
        mq->op->done = true;
        mq->op = NULL;
    }
    run_due(mq);
    for (struct conn *conn = mq->conns; conn; conn = conn->next) {
        if (!conn->server->frozen)
            conn_flush(conn);
    }
    reap(mq);
    pthread_cond_broadcast(&mq->changed);
}

void *serve(void *arg)
{
    fakemq *mq = arg;
    struct pollfd *fds = NULL;
    sigset_t pipe_signal;

    /* OpenSSL writes without MSG_NOSIGNAL. */
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, NULL);
    pthread_mutex_lock(&mq->lock);
    while (!mq->stopping) {
        size_t count = fill_poll(mq, &fds);
        int ms = poll_ms(mq);

        pthread_mutex_unlock(&mq->lock);
        if (poll(fds, count, ms) < 0 && errno != EINTR)
            give_up("poll: %s", strerror(errno));
        pthread_mutex_lock(&mq->lock);
        serve_once(mq, fds);
    }
    for (struct conn *conn = mq->conns; conn; conn = conn->next)
        conn->dead = true;
    reap(mq);
    while (mq->live)
        request_free(mq->live);
    free(fds);
    pthread_mutex_unlock(&mq->lock);
    return NULL;
}
