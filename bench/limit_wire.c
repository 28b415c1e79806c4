/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets, frames and routes of bench/limit; see limit_wire.h. */
#include "limit_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SILENCE_NS (10 * INT64_C(1000000000))

void limit_die(const char *fmt, ...)
{
    va_list args;

    fflush(stdout);
    fputs("limit: ", stderr);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

int64_t limit_now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

double limit_cpu_s(void)
{
    struct rusage u;

    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void *grown(void *old, size_t size)
{
    void *p = realloc(old, size);

    if (!p)
        limit_die("out of memory (%zu bytes)", size);
    return p;
}

/* ---- connections ----------------------------------------------------------------------------- */

static int open_socket(const char *address)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    const char *colon = strrchr(address, ':');
    char host[128];
    int fd = -1, r, one = 1;

    if (!colon || (size_t)(colon - address) >= sizeof(host))
        limit_die("'%s' is not an address; it should be host:port", address);
    memcpy(host, address, (size_t)(colon - address));
    host[colon - address] = 0;
    r = getaddrinfo(host, colon + 1, &hints, &found);
    if (r)
        limit_die("cannot resolve %s: %s", address, gai_strerror(r));
    for (struct addrinfo *a = found; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen)) {
            r = errno;
            close(fd);
            errno = r;
            fd = -1;
        }
    }
    freeaddrinfo(found);
    if (fd < 0)
        limit_die("connect to %s: %s", address, strerror(errno));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

void limit_connect(limit_conn *conn, const char *address)
{
    *conn = (limit_conn){.in_cap = (size_t)1 << 20, .out_cap = 1024};
    (void)snprintf(conn->address, sizeof(conn->address), "%s", address);
    conn->in = grown(NULL, conn->in_cap);
    conn->out = grown(NULL, conn->out_cap * sizeof(*conn->out));
    conn->fd = open_socket(address);
}

void limit_disconnect(limit_conn *conn)
{
    free(conn->in);
    free(conn->out);
    close(conn->fd);
}

void limit_write(limit_conn *conn, const void *bytes, size_t len)
{
    struct iovec *piece;

    if (conn->out_count == conn->out_cap)
        limit_die("more than %zu requests wait to be written to %s", conn->out_cap, conn->address);
    piece = &conn->out[(conn->out_head + conn->out_count++) & (conn->out_cap - 1)];
    memcpy(&piece->iov_base, &bytes, sizeof(bytes)); /* iovec has no const */
    piece->iov_len = len;
}

/* Writes pieces up to the end of the ring or 64; true when all of them left. */
static bool write_some(limit_conn *conn)
{
    size_t n = conn->out_cap - conn->out_head, sum = 0;
    ssize_t wrote;

    n = n < conn->out_count ? n : conn->out_count;
    n = n < 64 ? n : 64;
    for (size_t i = 0; i < n; i++)
        sum += conn->out[conn->out_head + i].iov_len;
    wrote = writev(conn->fd, &conn->out[conn->out_head], (int)n);
    if (wrote < 0) {
        if (errno == EAGAIN || errno == EINTR)
            return false;
        limit_die("write to %s: %s", conn->address, strerror(errno));
    }
    for (size_t left = (size_t)wrote; left;) {
        struct iovec *piece = &conn->out[conn->out_head];
        size_t part = left < piece->iov_len ? left : piece->iov_len;

        piece->iov_base = (uint8_t *)piece->iov_base + part;
        piece->iov_len -= part;
        left -= part;
        if (!piece->iov_len) {
            conn->out_head = (conn->out_head + 1) & (conn->out_cap - 1);
            conn->out_count--;
        }
    }
    return (size_t)wrote == sum;
}

void limit_conn_drain(limit_conn *conn)
{
    while (conn->out_count && write_some(conn))
        ;
}

/* Room behind what is there: for the rest of the frame that has begun, or for a good read. */
static void make_room(limit_conn *conn)
{
    size_t have = conn->in_len - conn->in_at, need = have + 65536;

    if (have >= 4) {
        need = (size_t)limit_get32(conn->in + conn->in_at) + 4;
        if (need > LIMIT_FRAME_MAX + 4)
            limit_die("%s sends a frame of %zu bytes; is this a RocketMQ server?", conn->address,
                      need);
        need = need > have + 65536 ? need : have + 65536;
    }
    if (conn->in_at && conn->in_at + need > conn->in_cap) {
        memmove(conn->in, conn->in + conn->in_at, have);
        conn->in_at = 0;
        conn->in_len = have;
    }
    if (conn->in_at + need > conn->in_cap) {
        conn->in_cap = need * 2;
        conn->in = grown(conn->in, conn->in_cap);
    }
}

void limit_conn_fill(limit_conn *conn)
{
    ssize_t n;

    if (conn->in_at == conn->in_len)
        conn->in_at = conn->in_len = 0;
    make_room(conn);
    n = read(conn->fd, conn->in + conn->in_len, conn->in_cap - conn->in_len);
    if (n == 0)
        limit_die("%s closed the connection", conn->address);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        limit_die("read from %s: %s", conn->address, strerror(errno));
    if (n > 0)
        conn->in_len += (size_t)n;
}

/* A number behind `"name":` of a JSON header. Quotes within texts are escaped, so the key with its
 * quotes can only be a key. */
static bool json_number(const uint8_t *json, size_t len, const char *key, int64_t *ret)
{
    const uint8_t *at = memmem(json, len, key, strlen(key)), *end = json + len;
    bool negative = false;
    int64_t v = 0;

    if (!at)
        return false;
    at += strlen(key);
    if (at < end && *at == '"')
        at++;
    if (at < end && *at == '-') {
        negative = true;
        at++;
    }
    for (; at < end && *at >= '0' && *at <= '9'; at++)
        v = v * 10 + (*at - '0');
    *ret = negative ? -v : v;
    return true;
}

static void reply_parse(limit_conn *conn, const uint8_t *frame, size_t total, limit_reply *ret)
{
    uint32_t word = limit_get32(frame);
    int64_t code = 0, opaque = 0;

    *ret = (limit_reply){.header = frame + 4, .header_len = word & 0xffffff, .binary = word >> 24};
    if (ret->header_len + 4 > total || (ret->binary && ret->header_len < 21))
        limit_die("%s sent a frame whose header of %zu bytes does not fit its %zu bytes",
                  conn->address, ret->header_len, total);
    ret->body = ret->header + ret->header_len;
    ret->body_len = total - 4 - ret->header_len;
    if (ret->binary) {
        ret->code = (int)limit_get16(ret->header);
        ret->opaque = limit_get32(ret->header + 5);
        return;
    }
    if (!json_number(ret->header, ret->header_len, "\"code\":", &code) ||
        !json_number(ret->header, ret->header_len, "\"opaque\":", &opaque))
        limit_die("%s sent a header without code or opaque: %.*s", conn->address,
                  (int)ret->header_len, (const char *)ret->header);
    ret->code = (int)code;
    ret->opaque = (uint32_t)opaque;
}

bool limit_conn_next(limit_conn *conn, limit_reply *reply)
{
    size_t have = conn->in_len - conn->in_at, total;

    if (have < 4)
        return false;
    total = limit_get32(conn->in + conn->in_at);
    if (total < 4 || total > LIMIT_FRAME_MAX)
        limit_die("%s sends a frame of %zu bytes; is this a RocketMQ server?", conn->address,
                  total);
    if (have < total + 4)
        return false;
    reply_parse(conn, conn->in + conn->in_at + 4, total, reply);
    conn->in_at += total + 4;
    return true;
}

void limit_wait(limit_conn *const *conns, size_t count, int64_t timeout_ns, bool *ready)
{
    struct pollfd fds[2 * LIMIT_BROKERS_MAX + 2];
    int64_t wait = timeout_ns < 0 ? SILENCE_NS : timeout_ns;
    struct timespec t = {.tv_sec = wait / 1000000000, .tv_nsec = wait % 1000000000};
    int n;

    for (size_t i = 0; i < count; i++) {
        limit_conn_drain(conns[i]);
        fds[i] = (struct pollfd){.fd = conns[i]->fd, .events = POLLIN};
        if (conns[i]->out_count)
            fds[i].events |= POLLOUT;
        ready[i] = false;
    }
    n = ppoll(fds, count, &t, NULL);
    if (n < 0 && errno != EINTR)
        limit_die("poll: %s", strerror(errno));
    if (n == 0 && timeout_ns < 0)
        limit_die("no answer for 10 s from %s%s", conns[0]->address,
                  count > 1 ? " and others" : "");
    for (size_t i = 0; n > 0 && i < count; i++) {
        if (fds[i].revents & POLLOUT)
            limit_conn_drain(conns[i]);
        if (fds[i].revents & (POLLIN | POLLHUP | POLLERR)) {
            limit_conn_fill(conns[i]);
            ready[i] = true;
        }
    }
}

void limit_call(limit_conn *conn, const void *frame, size_t len, limit_reply *reply)
{
    bool ready;

    limit_write(conn, frame, len);
    do {
        limit_wait(&conn, 1, -1, &ready);
    } while (!limit_conn_next(conn, reply));
}

int64_t limit_reply_number(const limit_reply *reply, const char *field)
{
    size_t n = strlen(field);
    const uint8_t *at;
    char text[64];
    int64_t v;

    if (!reply->binary) {
        (void)snprintf(text, sizeof(text), "\"%s\":", field);
        if (json_number(reply->header, reply->header_len, text, &v))
            return v;
    } else if ((at = memmem(reply->header, reply->header_len, field, n)) != NULL &&
               at + n + 4 <= reply->header + reply->header_len) {
        size_t len = limit_get32(at + n);

        if (len < sizeof(text) && at + n + 4 + len <= reply->header + reply->header_len) {
            memcpy(text, at + n + 4, len);
            text[len] = 0;
            return strtoll(text, NULL, 10);
        }
    }
    limit_die("a reply without %s: %s", field, limit_reply_text(reply));
}

const char *limit_reply_text(const limit_reply *reply)
{
    static char text[700];
    size_t n = (size_t)snprintf(text, sizeof(text), "code %d, ", reply->code);

    for (size_t i = 0; i < reply->header_len && n + 1 < sizeof(text); i++)
        text[n++] = reply->header[i] >= 32 ? (char)reply->header[i] : '.';
    text[n] = 0;
    return text;
}

/* ---- frames ---------------------------------------------------------------------------------- */

void limit_frame_add(limit_frame *frame, const void *bytes, size_t len)
{
    if (frame->len + len > frame->cap) {
        frame->cap = (frame->len + len) * 2;
        frame->bytes = grown(frame->bytes, frame->cap);
    }
    if (len)
        memcpy(frame->bytes + frame->len, bytes, len);
    frame->len += len;
}

static void add32(limit_frame *frame, uint32_t v)
{
    uint8_t b[4];

    limit_put32(b, v);
    limit_frame_add(frame, b, 4);
}

static void add16(limit_frame *frame, uint32_t v)
{
    uint8_t b[2] = {(uint8_t)(v >> 8), (uint8_t)v};

    limit_frame_add(frame, b, 2);
}

void limit_frame_begin(limit_frame *frame, int code, uint32_t opaque)
{
    const uint8_t cpp = 1;

    frame->len = 0;
    add32(frame, 0); /* total and header length: limit_frame_end() */
    add32(frame, 0);
    add16(frame, (uint32_t)code);
    limit_frame_add(frame, &cpp, 1);
    add16(frame, 513); /* as 5.5.0: route keys come quoted */
    add32(frame, opaque);
    add32(frame, 0); /* flag */
    add32(frame, 0); /* no remark */
    add32(frame, 0); /* bytes of the fields */
}

size_t limit_frame_field(limit_frame *frame, const char *name, const char *value)
{
    add16(frame, (uint32_t)strlen(name));
    limit_frame_add(frame, name, strlen(name));
    add32(frame, (uint32_t)strlen(value));
    limit_frame_add(frame, value, strlen(value));
    return frame->len - strlen(value);
}

size_t limit_frame_number(limit_frame *frame, const char *name, int64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%lld", (long long)value);
    return limit_frame_field(frame, name, text);
}

void limit_frame_body_len(limit_frame *frame, size_t body_len)
{
    size_t header = limit_get32(frame->bytes + 4) & 0xffffff;

    limit_put32(frame->bytes, (uint32_t)(4 + header + body_len));
}

void limit_frame_end(limit_frame *frame, size_t body_len)
{
    const size_t fields_at = 25;

    limit_put32(frame->bytes + 4, (uint32_t)(frame->len - 8) | 1u << 24);
    limit_put32(frame->bytes + fields_at, (uint32_t)(frame->len - fields_at - 4));
    limit_frame_body_len(frame, body_len);
}

/* ---- routes ---------------------------------------------------------------------------------- */

static int broker_of(limit_route *route, const json_t *brokers, const char *name)
{
    const json_t *data;
    size_t i;

    for (i = 0; i < route->broker_count; i++) {
        if (strcmp(route->brokers[i].name, name) == 0)
            return (int)i;
    }
    json_array_foreach(brokers, i, data)
    {
        const char *its = json_string_value(json_object_get(data, "brokerName"));
        const char *master =
            json_string_value(json_object_get(json_object_get(data, "brokerAddrs"), "0"));

        if (!its || strcmp(its, name) != 0 || !master)
            continue;
        if (route->broker_count == LIMIT_BROKERS_MAX)
            limit_die("more than %d brokers", LIMIT_BROKERS_MAX);
        (void)snprintf(route->brokers[route->broker_count].name, 128, "%s", name);
        (void)snprintf(route->brokers[route->broker_count].address, 128, "%s", master);
        return (int)route->broker_count++;
    }
    return -1;
}

static void route_of(limit_route *route, const json_t *json, int perm, size_t want)
{
    const json_t *brokers = json_object_get(json, "brokerDatas"), *data;
    const char *count_key = perm == 2 ? "writeQueueNums" : "readQueueNums";
    json_int_t longest = 0;
    size_t i;

    json_array_foreach(json_object_get(json, "queueDatas"), i, data)
    {
        json_int_t n = json_integer_value(json_object_get(data, count_key));

        longest = n > longest ? n : longest;
    }
    /* Queue 0 of every broker first, so that few queues are spread too. */
    for (json_int_t id = 0; id < longest; id++) {
        json_array_foreach(json_object_get(json, "queueDatas"), i, data)
        {
            const char *name = json_string_value(json_object_get(data, "brokerName"));
            int broker;

            if (!name || !(json_integer_value(json_object_get(data, "perm")) & perm) ||
                id >= json_integer_value(json_object_get(data, count_key)) ||
                (want && route->queue_count == want) ||
                (broker = broker_of(route, brokers, name)) < 0)
                continue;
            if (route->queue_count == LIMIT_QUEUES_MAX)
                limit_die("more than %d queues; choose with --queues", LIMIT_QUEUES_MAX);
            route->queues[route->queue_count++] = (limit_queue){.broker = broker, .id = (int)id};
        }
    }
}

void limit_route_get(const char *namesrv, const char *topic, int perm, size_t want,
                     limit_route *route)
{
    limit_frame frame = {0};
    limit_conn conn;
    limit_reply reply;
    json_error_t why;
    json_t *json;

    *route = (limit_route){0};
    limit_connect(&conn, namesrv);
    limit_frame_begin(&frame, 105, 1);
    (void)limit_frame_field(&frame, "topic", topic);
    (void)limit_frame_field(&frame, "acceptStandardJsonOnly", "true");
    limit_frame_end(&frame, 0);
    limit_call(&conn, frame.bytes, frame.len, &reply);
    if (reply.code)
        limit_die("route of topic '%s' from %s: %s", topic, namesrv, limit_reply_text(&reply));
    json = json_loadb((const char *)reply.body, reply.body_len, 0, &why);
    if (!json)
        limit_die("route of topic '%s' from %s is not JSON: %s", topic, namesrv, why.text);
    route_of(route, json, perm, want);
    json_decref(json);
    free(frame.bytes);
    limit_disconnect(&conn);
    if (!route->queue_count || route->queue_count < want)
        limit_die("topic '%s' has %zu queues to %s on masters%s", topic, route->queue_count,
                  perm == 2 ? "write" : "read", want ? ", fewer than --queues" : "");
}
