/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A remote against a peer that does exactly what the test says, byte by byte: order, partial and
 * huge frames, silence, lies, breaks, and what each call is told.
 */
#include "unit.h"

#include "base/encode.h"
#include "base/thread.h"
#include "net/conn.h"
#include "rocketmq/codes.h"
#include "rocketmq/remote.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the peer -------------------------------------------------------------------------------- */

/* Serves one connection; returns when it is to be closed. */
typedef void serve_fn(int fd, int nth);

static struct {
    int fd;
    int port;
    char address[32];
    serve_fn *serve;
    pthread_t thread;
    int reset; /* Close with RST. */
} peer;

static void *run_peer(void *arg)
{
    (void)arg;
    for (int nth = 0;; nth++) {
        int fd = accept(peer.fd, NULL, NULL);
        int on = 1;

        if (fd < 0)
            return NULL;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        peer.serve(fd, nth);
        close(fd);
    }
}

static void peer_bind(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t len = sizeof at;
    int on = 1;

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    peer.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(peer.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    assert_int_equal(bind(peer.fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(peer.fd, (struct sockaddr *)&at, &len), 0);
    peer.port = ntohs(at.sin_port);
    (void)snprintf(peer.address, sizeof peer.address, "127.0.0.1:%d", peer.port);
}

static void peer_listen(serve_fn *serve)
{
    rc_error err = {0};

    peer.serve = serve;
    assert_int_equal(listen(peer.fd, 16), 0);
    assert_int_equal(rc_thread_start(&peer.thread, "peer", 0, run_peer, NULL, &err), 0);
}

static void peer_stop(void)
{
    (void)shutdown(peer.fd, SHUT_RDWR); /* Ends accept(). */
    pthread_join(peer.thread, NULL);
    close(peer.fd);
}

static bool read_all(int fd, void *at, size_t len)
{
    uint8_t *to = at;

    while (len) {
        ssize_t n = recv(fd, to, len, 0);

        if (n <= 0)
            return false;
        to += n;
        len -= (size_t)n;
    }
    return true;
}

static void write_all(int fd, const void *at, size_t len)
{
    const uint8_t *from = at;

    while (len) {
        ssize_t n = send(fd, from, len, MSG_NOSIGNAL);

        if (n <= 0)
            return; /* The client has gone; it knows why. */
        from += n;
        len -= (size_t)n;
    }
}

struct asked {
    int code, flag;
    int32_t opaque;
    size_t header_len, body_len;
    uint8_t *bytes; /* Header and body. */
};

/* Reads the next request; binary headers, as the client writes them. False at the end. */
static bool next_request(int fd, struct asked *ret)
{
    uint8_t head[8];
    rc_cursor c;
    size_t total;

    if (!read_all(fd, head, sizeof head))
        return false;
    c = rc_cursor_of(head, sizeof head);
    total = rc_get_be32(&c);
    ret->header_len = rc_get_be32(&c) & 0xffffff;
    ret->body_len = total - 4 - ret->header_len;
    ret->bytes = rc_malloc(total);
    if (!read_all(fd, ret->bytes, total - 4)) {
        free(ret->bytes);
        return false;
    }
    c = rc_cursor_of(ret->bytes, total - 4);
    ret->code = rc_get_be16(&c);
    (void)rc_get_u8(&c);
    (void)rc_get_be16(&c);
    ret->opaque = (int32_t)rc_get_be32(&c);
    ret->flag = (int)rc_get_be32(&c);
    return true;
}

/* A frame with a binary header; free() it. */
static uint8_t *make_frame(int code, int flag, int32_t opaque, const void *body, size_t body_len,
                           size_t *ret_len)
{
    uint8_t *at = rc_malloc(8 + 21 + body_len);

    rc_put_be32(at, (uint32_t)(4 + 21 + body_len));
    rc_put_be32(at + 4, 1u << 24 | 21u);
    rc_put_be16(at + 8, (uint16_t)code);
    at[10] = 0;
    rc_put_be16(at + 11, 513);
    rc_put_be32(at + 13, (uint32_t)opaque);
    rc_put_be32(at + 17, (uint32_t)flag);
    rc_put_be32(at + 21, 0);
    rc_put_be32(at + 25, 0);
    if (body_len)
        memcpy(at + 29, body, body_len);
    *ret_len = 29 + body_len;
    return at;
}

static void send_frame(int fd, int code, int flag, int32_t opaque, const void *body, size_t len)
{
    size_t n;
    uint8_t *frame = make_frame(code, flag, opaque, body, len, &n);

    write_all(fd, frame, n);
    free(frame);
}

static void reply_with(int fd, int code, int32_t opaque, const void *body, size_t len)
{
    send_frame(fd, code, 1, opaque, body, len);
}

static void echo(int fd, int nth)
{
    struct asked q;

    (void)nth;
    while (next_request(fd, &q)) {
        if (!(q.flag & 2))
            reply_with(fd, 0, q.opaque, q.bytes + q.header_len, q.body_len);
        free(q.bytes);
    }
}

/* Reads nothing; holds the connection until the client ends it. */
static void ignore(int fd, int nth)
{
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};

    (void)nth;
    (void)poll(&p, 1, 20000);
}

/* Reads everything and answers nothing. */
static void swallow(int fd, int nth)
{
    char bytes[4096];

    (void)nth;
    while (read(fd, bytes, sizeof bytes) > 0)
        ;
}

/* ---- the client's side ----------------------------------------------------------------------- */

static struct {
    rc_loop *loop;
    rmq_remote *remote;
    rmq_client_stats stats;
    _Atomic int64_t block_bytes;
    int connected, lost, said, closed;
    char last_said[1024];
    char last_lost[RMQ_ERROR_TEXT_MAX];
    rc_loop_timer *guard;
    int waiting; /* Results still to come before the loop is stopped. */
} us;

typedef struct result {
    int calls; /* Of done(). */
    int result;
    rc_error err;
    int code;
    char *body;
    size_t len;
    rmq_block *block; /* Kept with `kept`. */
    rc_slice kept;
    bool keep;
} result;

static void on_guard(void *arg)
{
    (void)arg;
    (void)fprintf(stderr, "the test waited 20 s\n");
    abort();
}

static void on_connected(void *arg, rmq_remote *remote)
{
    (void)arg;
    (void)remote;
    us.connected++;
}

static void on_lost(void *arg, rmq_remote *remote, const rc_error *why)
{
    (void)arg;
    (void)remote;
    us.lost++;
    memcpy(us.last_lost, why->msg, sizeof us.last_lost);
}

static void on_say(void *arg, enum rmq_log_level level, const char *text)
{
    (void)arg;
    (void)level;
    us.said++;
    (void)snprintf(us.last_said, sizeof us.last_said, "%s", text);
}

static bool on_asked(void *arg, rmq_remote *remote, const rmq_frame *frame)
{
    (void)arg;
    if (frame->header.code != RMQ_GET_CONSUMER_RUNNING_INFO)
        return false;
    rmq_remote_answer(remote, frame, 0, omc_slice_of("here I am", 9));
    return true;
}

static void got(void *arg, const rmq_reply *reply)
{
    result *r = arg;

    r->calls++;
    r->result = reply->result;
    if (reply->result < 0)
        r->err = *reply->err;
    if (reply->frame) {
        r->code = reply->frame->header.code;
        r->len = reply->frame->body.len;
        if (r->keep) {
            rmq_block_ref(reply->block);
            r->block = reply->block;
            r->kept = reply->frame->body;
        } else if (r->len) {
            r->body = rc_strndup(reply->frame->body.base, r->len);
        }
    }
    if (--us.waiting == 0)
        rc_loop_stop(us.loop);
}

static void setup_client(void)
{
    rc_error err = {0};
    rmq_remote_config config = {
        .address = peer.address,
        .label = "broker broker-0",
        .connect_timeout_ms = 3000,
        .stats = &us.stats,
        .block_bytes = &us.block_bytes,
        .connected = on_connected,
        .lost = on_lost,
        .asked = on_asked,
        .say = on_say,
    };

    memset(&us, 0, sizeof us);
    assert_int_equal(rc_loop_new(&us.loop, &err), 0);
    assert_int_equal(rc_loop_timer_new(us.loop, on_guard, NULL, &us.guard), 0);
    config.loop = us.loop;
    us.remote = rmq_remote_new(&config);
}

static void start(serve_fn *serve)
{
    peer_bind(0);
    peer_listen(serve);
    setup_client();
}

static void call(result *r, int code, const void *body, size_t len, int64_t timeout_ms)
{
    rc_iovec part = {body, len};
    rmq_request request = {
        .code = code,
        .body = &part,
        .body_parts = len ? 1 : 0,
        .timeout_ms = timeout_ms,
        .done = got,
        .arg = r,
    };

    us.waiting++;
    rmq_remote_call(us.remote, &request);
}

/* Runs the loop until all calls are done. */
static void run_all(void)
{
    rc_loop_timer_set(us.guard, 20000);
    while (us.waiting > 0)
        rc_loop_run(us.loop);
    rc_loop_timer_set(us.guard, -1);
}

static void on_nap(void *arg)
{
    (void)arg;
    rc_loop_stop(us.loop);
}

/* Runs the loop for a while (for what must not come, or for a back-off to pass). */
static void run_for(int64_t ms)
{
    rc_loop_timer *timer;

    assert_int_equal(rc_loop_timer_new(us.loop, on_nap, NULL, &timer), 0);
    rc_loop_timer_set(timer, ms);
    rc_loop_run(us.loop);
    rc_loop_timer_free(timer);
}

static void on_closed(void *arg)
{
    (void)arg;
    us.closed++;
    rc_loop_stop(us.loop);
}

static void close_remote(void)
{
    rmq_remote_close(us.remote, on_closed, NULL);
    rc_loop_timer_set(us.guard, 20000);
    while (!us.closed)
        rc_loop_run(us.loop);
}

static void finish_without_peer(void)
{
    if (!us.closed)
        close_remote();
    assert_int_equal(us.closed, 1);
    assert_int_equal(us.waiting, 0);
    assert_int_equal(us.stats.connects, us.stats.disconnects);
    rc_loop_timer_free(us.guard);
    rc_loop_free(us.loop);
    assert_int_equal(us.block_bytes, 0);
}

static void finish(void)
{
    finish_without_peer();
    peer_stop();
}

static void assert_body(const result *r, const char *text)
{
    if (r->calls != 1 || r->result != 0 || r->len != strlen(text) ||
        memcmp(r->body, text, r->len) != 0)
        fail_msg("%d calls, result %d %s, body '%.*s' instead of '%s'", r->calls, r->result,
                 r->err.msg, (int)r->len, r->body ? r->body : "", text);
}

static void assert_failed(const result *r, int code, uint32_t flags, const char *says)
{
    if (r->calls != 1 || r->result != -code || r->err.code != code || r->err.flags != flags ||
        !strstr(r->err.msg, says) || !strstr(r->err.msg, "broker broker-0 at 127.0.0.1:"))
        fail_msg("%d calls, result %d, flags %u: '%s'; wanted %d, flags %u, '%s'", r->calls,
                 r->result, r->err.flags, r->err.msg, -code, flags, says);
}

enum {
    AGAIN = OMC_ERR_RETRIABLE,
    UNKNOWN = OMC_ERR_RETRIABLE | RMQ_ERR_UNKNOWN_OUTCOME,
};

/* ---- replies --------------------------------------------------------------------------------- */

static void serve_backwards(int fd, int nth)
{
    struct asked q[3];

    (void)nth;
    for (int i = 0; i < 3; i++)
        if (!next_request(fd, &q[i]))
            return;
    for (int i = 2; i >= 0; i--) {
        reply_with(fd, i, q[i].opaque, q[i].bytes + q[i].header_len, q[i].body_len);
        free(q[i].bytes);
    }
    ignore(fd, 0);
}

static void replies_find_their_calls_in_any_order(void **state)
{
    result r[3] = {{0}};
    char text[3][8] = {"one", "two", "three"};

    (void)state;
    start(serve_backwards);
    for (int i = 0; i < 3; i++)
        call(&r[i], RMQ_GET_MAX_OFFSET, text[i], strlen(text[i]), 5000);
    assert_int_equal(rmq_remote_pending(us.remote), 3);
    assert_int_equal(r[0].calls, 0); /* Never from inside. */
    run_all();
    for (int i = 0; i < 3; i++) {
        assert_body(&r[i], text[i]);
        assert_int_equal(r[i].code, i);
        free(r[i].body);
    }
    assert_int_equal(us.stats.requests, 3);
    assert_int_equal(us.stats.replies, 3);
    assert_int_equal(us.stats.busy_replies, 1); /* Code 2. */
    assert_int_equal(us.connected, 1);
    assert_int_equal(rmq_remote_pending(us.remote), 0);
    assert_true(rmq_remote_up(us.remote) && rmq_remote_since(us.remote) > 0);
    finish();
}

static void serve_by_byte(int fd, int nth)
{
    struct asked q;

    (void)nth;
    while (next_request(fd, &q)) {
        size_t n;
        uint8_t *frame = make_frame(0, 1, q.opaque, q.bytes + q.header_len, q.body_len, &n);

        for (size_t i = 0; i < n; i++) {
            write_all(fd, frame + i, 1);
            sched_yield();
        }
        free(frame);
        free(q.bytes);
    }
}

static void replies_may_come_byte_by_byte(void **state)
{
    result r[20] = {{0}};

    (void)state;
    start(serve_by_byte);
    for (int i = 0; i < 20; i++)
        call(&r[i], RMQ_GET_MAX_OFFSET, "some body", 9, 5000);
    run_all();
    for (int i = 0; i < 20; i++) {
        assert_body(&r[i], "some body");
        free(r[i].body);
    }
    finish();
}

#define BIG ((size_t)3 << 20)

/* Content that shows where it belongs. */
static uint8_t pattern(size_t call_no, size_t at)
{
    return (uint8_t)(call_no * 31 + at * 7 + (at >> 8));
}

static void serve_sizes(int fd, int nth)
{
    struct asked q;

    (void)nth;
    while (next_request(fd, &q)) {
        rc_cursor c = rc_cursor_of(q.bytes + q.header_len, q.body_len);
        size_t no = rc_get_be32(&c);
        size_t len = rc_get_be32(&c);
        uint8_t *body = rc_malloc(len);

        for (size_t i = 0; i < len; i++)
            body[i] = pattern(no, i);
        reply_with(fd, 0, q.opaque, body, len);
        free(body);
        free(q.bytes);
    }
}

static void bodies_stay_as_long_as_they_are_held(void **state)
{
    enum { CALLS = 600 };
    static result r[CALLS];
    static uint8_t want[CALLS][8];

    (void)state;
    memset(r, 0, sizeof r);
    start(serve_sizes);
    for (size_t i = 0; i < CALLS; i++) {
        size_t len = i % 100 == 50 ? BIG + i : (i * 997) % 9000;

        rc_put_be32(want[i], (uint32_t)i);
        rc_put_be32(want[i] + 4, (uint32_t)len);
        r[i].keep = i % 3 != 0;
        call(&r[i], RMQ_PULL_MESSAGE, want[i], 8, 20000);
    }
    run_all();
    for (size_t i = 0; i < CALLS; i++) {
        rc_cursor c = rc_cursor_of(want[i] + 4, 4);

        assert_int_equal(r[i].result, 0);
        assert_int_equal(r[i].len, rc_get_be32(&c));
        for (size_t k = 0; k < r[i].kept.len; k++)
            if ((uint8_t)r[i].kept.base[k] != pattern(i, k))
                fail_msg("call %zu byte %zu", i, k);
        rmq_block_unref(r[i].block);
        free(r[i].body);
    }
    /* Only the block under way is left; a big frame's own block is not kept. */
    assert_true(us.block_bytes <= 2 << 20);
    finish();
}

/* ---- silence and lies ------------------------------------------------------------------------ */

static void serve_late(int fd, int nth)
{
    struct asked first, q;

    (void)nth;
    if (!next_request(fd, &first))
        return;
    while (next_request(fd, &q)) { /* The first is answered with, and before, each later one. */
        reply_with(fd, 0, first.opaque, "late", 4);
        reply_with(fd, 0, q.opaque, "now", 3);
        free(q.bytes);
    }
    free(first.bytes);
}

static void a_swallowed_reply_times_out_and_a_late_one_is_ignored(void **state)
{
    enum { NEXT = 300 }; /* So many that the first one's place in the table is used again. */
    static result next[NEXT];
    result first = {0};

    (void)state;
    memset(next, 0, sizeof next);
    start(serve_late);
    call(&first, RMQ_SEND_MESSAGE_V2, "x", 1, 50);
    run_all();
    assert_failed(&first, OMC_ETIMEDOUT, UNKNOWN, "SEND_MESSAGE_V2 to");
    assert_non_null(strstr(first.err.msg, "no answer within 50 ms"));
    for (int i = 0; i < NEXT; i++)
        call(&next[i], RMQ_GET_MIN_OFFSET, "y", 1, 5000);
    run_all();
    for (int i = 0; i < NEXT; i++) {
        assert_body(&next[i], "now");
        free(next[i].body);
    }
    assert_int_equal(us.said, 1);
    assert_non_null(strstr(us.last_said, "nobody waits for"));
    assert_int_equal(us.stats.timeouts, 1);
    assert_int_equal(us.stats.unknown_outcomes, 1);
    assert_int_equal(us.connected, 1);
    finish();
}

static const uint8_t *lie;
static size_t lie_len;

static void serve_lie(int fd, int nth)
{
    struct asked q;

    if (nth > 0) {
        echo(fd, nth);
        return;
    }
    if (!next_request(fd, &q))
        return;
    free(q.bytes);
    write_all(fd, lie, lie_len);
    ignore(fd, 0);
}

static void lies_end_the_connection_and_the_next_works(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *says;
    } cases[] = {
        {"\x40\0\0\0", 4, "1073741824"}, /* 1 GiB */
        {"\xff\xff\xff\xff", 4, "4294967295"},
        {"\0\0\0\3abc", 7, "3"},
        {"\0\0\0\x08\x01\0\0\xff-header", 15, "cannot be read"},
        {"\0\0\0\x0c\0\0\0\x08{\"code\":", 16, "cannot be read"},
        {"\0\0\0\x08\x07\0\0\x04none", 12, "cannot be read"},
    };

    (void)state;
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        result r = {0}, next = {0};

        lie = (const uint8_t *)cases[i].bytes;
        lie_len = cases[i].len;
        start(serve_lie);
        call(&r, RMQ_SEND_BATCH_MESSAGE, "x", 1, 5000);
        run_all();
        assert_failed(&r, OMC_EIO, UNKNOWN, cases[i].says);
        assert_int_equal(us.lost, 1);
        run_for(150); /* The peer said nothing sensible: there is a back-off. */
        call(&next, RMQ_SEND_BATCH_MESSAGE, "again", 5, 5000);
        run_all();
        assert_body(&next, "again");
        free(next.body);
        finish();
    }
}

/* ---- breaks ---------------------------------------------------------------------------------- */

static void refused_backs_off_and_comes_back(void **state)
{
    result r[4] = {{0}};

    (void)state;
    peer_bind(0); /* Not listening: refused. */
    setup_client();
    call(&r[0], RMQ_GET_MAX_OFFSET, NULL, 0, 5000);
    run_all();
    assert_failed(&r[0], OMC_ECONNECT, AGAIN, "refused");
    assert_int_equal(us.lost, 1);
    call(&r[1], RMQ_GET_MAX_OFFSET, NULL, 0, 5000);
    assert_int_equal(r[1].calls, 0);
    run_all();
    assert_failed(&r[1], OMC_ECONNECT, AGAIN, "refused");
    assert_int_equal(us.lost, 1); /* Not even tried. */
    peer_listen(echo);
    run_for(150);
    call(&r[2], RMQ_GET_MAX_OFFSET, "hello", 5, 5000);
    run_all();
    assert_body(&r[2], "hello");
    free(r[2].body);
    assert_int_equal(us.connected, 1);
    assert_int_equal(us.stats.connects, 1);
    assert_int_equal(us.stats.unknown_outcomes, 0);
    finish();
}

static void bad_address_is_told(void **state)
{
    result r = {0};

    (void)state;
    (void)snprintf(peer.address, sizeof peer.address, "127.0.0.1:99999");
    setup_client();
    call(&r, RMQ_GET_MAX_OFFSET, NULL, 0, 5000);
    run_all();
    assert_failed(&r, OMC_ECONNECT, AGAIN, "1 to 65535");
    finish_without_peer();
}

static void serve_one_then_cut(int fd, int nth)
{
    struct asked q;

    if (nth > 0) {
        echo(fd, nth);
        return;
    }
    for (int i = 0; i < 3 && next_request(fd, &q); i++) {
        if (i == 0)
            reply_with(fd, 0, q.opaque, "fine", 4);
        free(q.bytes);
    }
}

static void a_cut_makes_outcomes_unknown_and_the_next_call_reconnects(void **state)
{
    result r[4] = {{0}};

    (void)state;
    start(serve_one_then_cut);
    for (int i = 0; i < 3; i++)
        call(&r[i], RMQ_SEND_MESSAGE_V2, "x", 1, 5000);
    run_all();
    assert_body(&r[0], "fine");
    assert_failed(&r[1], OMC_EIO, UNKNOWN, "closed the connection");
    assert_failed(&r[2], OMC_EIO, UNKNOWN, "closed the connection");
    assert_false(rmq_remote_up(us.remote));
    assert_int_equal(rmq_remote_since(us.remote), 0);
    call(&r[3], RMQ_SEND_MESSAGE_V2, "back", 4, 5000);
    run_all();
    assert_body(&r[3], "back");
    assert_int_equal(us.connected, 2);
    free(r[0].body);
    free(r[3].body);
    finish();
}

static atomic_bool cut_now;

static void serve_nothing_then_cut(int fd, int nth)
{
    struct linger hard = {1, 0};

    (void)nth;
    while (!atomic_load(&cut_now))
        sched_yield();
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
}

static void cut_it(void *arg)
{
    (void)arg;
    atomic_store(&cut_now, true);
}

/* 64 MiB for a peer that reads nothing: what the kernel never got is known not to have left. */
static void calls_that_never_left_are_plainly_retriable(void **state)
{
    enum { CALLS = 256 };
    static result r[CALLS];
    static char body[256 << 10];
    rc_loop_timer *timer;
    int unknown = 0, plain = 0;

    (void)state;
    memset(r, 0, sizeof r);
    atomic_store(&cut_now, false);
    start(serve_nothing_then_cut);
    assert_int_equal(rc_loop_timer_new(us.loop, cut_it, NULL, &timer), 0);
    rc_loop_timer_set(timer, 200);
    for (int i = 0; i < CALLS; i++)
        call(&r[i], RMQ_SEND_BATCH_MESSAGE, body, sizeof body, 10000);
    run_all();
    for (int i = 0; i < CALLS; i++) {
        if (r[i].err.flags & RMQ_ERR_UNKNOWN_OUTCOME) {
            assert_failed(&r[i], OMC_EIO, UNKNOWN, "127.0.0.1");
            assert_int_equal(plain, 0); /* In order: none behind one that did not leave. */
            unknown++;
        } else {
            assert_failed(&r[i], OMC_ECONNECT, AGAIN, "127.0.0.1");
            plain++;
        }
    }
    assert_true(unknown > 0 && plain > 100);
    rc_loop_timer_free(timer);
    finish();
}

static void a_body_stuck_in_the_connection_ends_it(void **state)
{
    enum { CALLS = 64 };
    static result r[CALLS];
    char *body = rc_calloc(1, (size_t)1 << 20);

    (void)state;
    memset(r, 0, sizeof r);
    start(ignore);
    /* More than the kernel takes: the last of these is stuck for sure, the first may have left. */
    for (int i = 0; i < CALLS; i++)
        call(&r[i], RMQ_SEND_BATCH_MESSAGE, body, (size_t)1 << 20, i < CALLS / 2 ? 700 : 1400);
    run_all();
    free(body); /* Nobody may read it now. */
    run_for(20);
    for (int i = 0; i < CALLS; i++) {
        assert_int_equal(r[i].calls, 1);
        if (r[i].err.code != OMC_ETIMEDOUT && r[i].err.code != OMC_EIO)
            fail_msg("call %d: %s", i, r[i].err.msg);
        /* What was given to the connection may have left, whatever happens then. */
        if ((r[i].err.flags & RMQ_ERR_UNKNOWN_OUTCOME) == 0)
            assert_failed(&r[i], OMC_ETIMEDOUT, AGAIN, "not sent within");
    }
    assert_failed(&r[0], OMC_ETIMEDOUT, UNKNOWN, "");
    assert_true(us.lost >= 1);
    assert_non_null(strstr(us.last_lost, "reads too slowly or not at all"));
    finish();
}

static void drop_spares_what_has_not_left(void **state)
{
    result r = {0}, later = {0};

    (void)state;
    start(serve_late); /* Swallows the first. */
    call(&r, RMQ_SEND_MESSAGE_V2, "x", 1, 5000);
    run_for(50);
    assert_true(rmq_remote_up(us.remote));
    rmq_remote_drop(us.remote, "it was told to");
    assert_int_equal(r.calls, 0);
    assert_false(rmq_remote_up(us.remote));
    call(&later, RMQ_SEND_MESSAGE_V2, "y", 1, 300); /* Goes over a new connection. */
    run_all();
    assert_failed(&r, OMC_EIO, UNKNOWN, "it was told to");
    assert_failed(&later, OMC_ETIMEDOUT, UNKNOWN, "no answer");
    assert_int_equal(us.connected, 2);
    finish();
}

/* ---- both directions ------------------------------------------------------------------------- */

static struct {
    struct asked info, unknown;
} answers;

static void serve_asking(int fd, int nth)
{
    struct asked q;

    (void)nth;
    if (!next_request(fd, &q))
        return;
    send_frame(fd, 307, 0, q.opaque, NULL, 0); /* Its opaque may equal ours. */
    send_frame(fd, 4711, 0, 78, NULL, 0);
    send_frame(fd, 4712, 2, 79, NULL, 0); /* Oneway: no answer. */
    if (next_request(fd, &answers.info) && next_request(fd, &answers.unknown))
        reply_with(fd, 0, q.opaque, "thanks", 6);
    free(q.bytes);
    ignore(fd, 0);
}

static void requests_of_the_peer_are_answered(void **state)
{
    result r = {0};

    (void)state;
    start(serve_asking);
    call(&r, RMQ_HEART_BEAT, NULL, 0, 5000);
    run_all();
    assert_body(&r, "thanks");
    assert_int_equal(answers.info.code, 0);
    assert_int_equal(answers.info.flag, 1);
    assert_memory_equal(answers.info.bytes + answers.info.header_len, "here I am", 9);
    assert_int_equal(answers.unknown.code, RMQ_R_REQUEST_CODE_NOT_SUPPORTED);
    assert_int_equal(answers.unknown.opaque, 78);
    free(answers.info.bytes);
    free(answers.unknown.bytes);
    free(r.body);
    finish();
}

static void serve_go_away(int fd, int nth)
{
    struct asked q;

    while (next_request(fd, &q)) {
        reply_with(fd, nth == 0 ? 1500 : 0, q.opaque, q.bytes + q.header_len, q.body_len);
        free(q.bytes);
    }
}

static void go_away_moves_to_a_new_connection(void **state)
{
    result r[2] = {{0}};

    (void)state;
    start(serve_go_away);
    for (int i = 0; i < 2; i++) {
        call(&r[i], RMQ_PULL_MESSAGE, "p", 1, 5000);
        run_all();
        assert_body(&r[i], "p");
        free(r[i].body);
    }
    assert_int_equal(r[0].code, RMQ_R_GO_AWAY);
    assert_int_equal(r[1].code, 0);
    assert_int_equal(us.connected, 2);
    assert_int_equal(us.stats.unknown_outcomes, 0);
    finish();
}

/* Answers when it has seen the header only: the body is still being written. */
static void serve_early(int fd, int nth)
{
    uint8_t head[8 + 21];
    static uint8_t sink[1 << 16];
    rc_cursor c;
    size_t left;

    (void)nth;
    if (!read_all(fd, head, sizeof head))
        return;
    c = rc_cursor_of(head, sizeof head);
    left = rc_get_be32(&c) + 4 - sizeof head;
    c = rc_cursor_of(head + 13, 4);
    reply_with(fd, 2, (int32_t)rc_get_be32(&c), "early", 5);
    while (left && read_all(fd, sink, RC_MIN(left, sizeof sink)))
        left -= RC_MIN(left, sizeof sink);
    ignore(fd, 0);
}

static char *early_body;

static void got_early(void *arg, const rmq_reply *reply)
{
    free(early_body); /* Allowed: `done` has been called. */
    got(arg, reply);
}

static void a_reply_before_the_body_has_left_waits_for_it(void **state)
{
    result r = {0};
    rc_iovec part = {early_body = rc_calloc(1, (size_t)15 << 20), (size_t)15 << 20};
    rmq_request request = {
        .code = RMQ_SEND_BATCH_MESSAGE,
        .body = &part,
        .body_parts = 1,
        .timeout_ms = 10000,
        .done = got_early,
        .arg = &r,
    };

    (void)state;
    start(serve_early);
    us.waiting++;
    rmq_remote_call(us.remote, &request);
    run_all();
    assert_body(&r, "early");
    free(r.body);
    finish();
}

static void oneway_is_done_when_written(void **state)
{
    result r = {0}, next = {0};
    rc_iovec part = {"x", 1};
    rmq_request request = {
        .code = RMQ_UPDATE_CONSUMER_OFFSET,
        .body = &part,
        .body_parts = 1,
        .timeout_ms = 5000,
        .oneway = true,
        .done = got,
        .arg = &r,
    };

    (void)state;
    start(echo);
    us.waiting++;
    rmq_remote_call(us.remote, &request);
    call(&next, RMQ_GET_MAX_OFFSET, "after", 5, 5000);
    run_all();
    assert_int_equal(r.calls, 1);
    assert_int_equal(r.result, 0);
    assert_int_equal(r.len, 0);
    assert_body(&next, "after");
    assert_int_equal(us.stats.replies, 1);
    free(next.body);
    finish();
}

/* ---- many ------------------------------------------------------------------------------------ */

static void ten_thousand_pipelined(void **state)
{
    enum { CALLS = 10000 };
    static result r[CALLS];
    static char body[CALLS][8];

    (void)state;
    memset(r, 0, sizeof r);
    start(echo);
    for (int i = 0; i < CALLS; i++) {
        (void)snprintf(body[i], sizeof body[i], "%d", i);
        call(&r[i], RMQ_SEND_MESSAGE_V2, body[i], strlen(body[i]), 20000);
    }
    run_all();
    for (int i = 0; i < CALLS; i++) {
        assert_body(&r[i], body[i]);
        free(r[i].body);
    }
    assert_int_equal(us.stats.replies, CALLS);
    assert_int_equal(us.connected, 1);
    finish();
}

static void the_65_537th_is_refused_and_close_tells_all_once(void **state)
{
    enum { CALLS = 65537 };
    result *r = rc_calloc(CALLS, sizeof *r);

    (void)state;
    start(swallow);
    for (int i = 0; i < CALLS; i++)
        call(&r[i], RMQ_GET_MAX_OFFSET, NULL, 0, 600000);
    for (int i = 0; i < 400 && us.stats.bytes_sent == 0; i++)
        run_for(50);
    assert_failed(&r[CALLS - 1], OMC_EAGAIN, AGAIN, "65,536");
    close_remote();
    for (int i = 0; i < CALLS - 1; i++)
        if (r[i].calls != 1 || r[i].result != -OMC_ECANCELED)
            fail_msg("call %d: told %d times, result %d", i, r[i].calls, r[i].result);
    assert_true(r[0].err.flags & RMQ_ERR_UNKNOWN_OUTCOME);
    free(r);
    finish();
}

static void closes_without_ever_having_connected(void **state)
{
    (void)state;
    (void)snprintf(peer.address, sizeof peer.address, "127.0.0.1:1");
    setup_client();
    finish_without_peer();
}

/* ---- addresses ------------------------------------------------------------------------------- */

static void addresses(void **state)
{
    static const struct {
        const char *text, *host;
        int port;
    } cases[] = {
        {"127.0.0.1:9876", "127.0.0.1", 9876},
        {"name-server.local:1", "name-server.local", 1},
        {"[::1]:65535", "::1", 65535},
        {"::1:9876", NULL, 0},
        {"host", NULL, 0},
        {":9876", NULL, 0},
        {"host:", NULL, 0},
        {"host:0", NULL, 0},
        {"host:65536", NULL, 0},
        {"host:12x", NULL, 0},
        {"ho st:9876", NULL, 0},
        {"http://host:9876", NULL, 0},
        {"a:1,b:2", NULL, 0},
        {"", NULL, 0},
    };

    (void)state;
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        char host[256] = "";
        int port = 0;
        rc_error err = {0};
        int r = rmq_address_split(cases[i].text, host, &port, &err);

        if (cases[i].host ? r != 0 || strcmp(host, cases[i].host) != 0 || port != cases[i].port
                          : r != -OMC_EINVAL || !strstr(err.msg, cases[i].text))
            fail_msg("'%s': %d '%s' %d %s", cases[i].text, r, host, port, err.msg);
    }
}

static enum rmq_gate_state gate_now;

static enum rmq_gate_state look_at_gate(void *arg)
{
    (void)arg;
    return gate_now;
}

static void call_gated(result *r)
{
    static const rmq_gate gate = {look_at_gate, NULL};
    const rmq_request request = {
        .code = 7, .gate = &gate, .timeout_ms = 20000, .done = got, .arg = r};

    us.waiting++;
    rmq_remote_call(us.remote, &request);
}

/* Calls wait for a connection; what counts is what the gate says when they are written. */
static void a_gate_is_asked_when_a_call_is_written(void **state)
{
    result r[3] = {{0}};

    (void)state;
    start(echo);
    gate_now = RMQ_GATE_OPEN;
    call_gated(&r[0]);
    gate_now = RMQ_GATE_CLOSED; /* before the connection is up */
    run_all();
    assert_failed(&r[0], OMC_EAGAIN, OMC_ERR_RETRIABLE, "not sent");
    gate_now = RMQ_GATE_SHUT;
    call_gated(&r[1]);
    run_all();
    assert_failed(&r[1], OMC_EFENCED, 0, "somebody else does this now");
    assert_int_equal(us.stats.bytes_sent, 0);
    gate_now = RMQ_GATE_OPEN;
    call_gated(&r[2]);
    run_all();
    assert_int_equal(r[2].result, 0);
    assert_true(us.stats.bytes_sent > 0);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_find_their_calls_in_any_order),
        cmocka_unit_test(a_gate_is_asked_when_a_call_is_written),
        cmocka_unit_test(replies_may_come_byte_by_byte),
        cmocka_unit_test(bodies_stay_as_long_as_they_are_held),
        cmocka_unit_test(a_swallowed_reply_times_out_and_a_late_one_is_ignored),
        cmocka_unit_test(lies_end_the_connection_and_the_next_works),
        cmocka_unit_test(refused_backs_off_and_comes_back),
        cmocka_unit_test(bad_address_is_told),
        cmocka_unit_test(a_cut_makes_outcomes_unknown_and_the_next_call_reconnects),
        cmocka_unit_test(calls_that_never_left_are_plainly_retriable),
        cmocka_unit_test(a_body_stuck_in_the_connection_ends_it),
        cmocka_unit_test(drop_spares_what_has_not_left),
        cmocka_unit_test(requests_of_the_peer_are_answered),
        cmocka_unit_test(go_away_moves_to_a_new_connection),
        cmocka_unit_test(a_reply_before_the_body_has_left_waits_for_it),
        cmocka_unit_test(oneway_is_done_when_written),
        cmocka_unit_test(ten_thousand_pipelined),
        cmocka_unit_test(the_65_537th_is_refused_and_close_tells_all_once),
        cmocka_unit_test(closes_without_ever_having_connected),
        cmocka_unit_test(addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
