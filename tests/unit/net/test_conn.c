/* SPDX-License-Identifier: Apache-2.0 */
/* Plain connections against a peer on another thread: both directions at once, coalesced writes,
 * all the ways to fail to connect, ends of every kind with writes under way, pause. */
#include "net_unit.h"

#include <dlfcn.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/syscall.h>

/* ---- what is asked of the system ------------------------------------------------------------- */

static _Atomic int sends; /* Calls of sendmsg(). */

__attribute__((visibility("default"))) ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
    sends++;
    return syscall(SYS_sendmsg, fd, msg, flags);
}

static pthread_mutex_t slow = PTHREAD_MUTEX_INITIALIZER;

/* Names of this test: several addresses, none, and one whose lookup hangs while `slow` is held. */
__attribute__((visibility("default"))) int getaddrinfo(const char *host, const char *service,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **ret)
{
    static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    bool lookup = !(hints->ai_flags & AI_NUMERICHOST);
    int r;

    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (lookup && strcmp(host, "two.test") == 0) {
        r = real("127.0.0.2", service, hints, ret);
        return r ? r : real("127.0.0.1", service, hints, &(*ret)->ai_next);
    }
    if (lookup && strcmp(host, "slow.test") == 0) {
        pthread_mutex_lock(&slow);
        pthread_mutex_unlock(&slow);
        return real("127.0.0.1", service, hints, ret);
    }
    if (lookup && strcmp(host, "dead.test") == 0)
        return EAI_NONAME;
    return real(host, service, hints, ret);
}

/* A port that takes no more connections: its queue is full, further SYNs are dropped. */
struct full {
    int fd, port, fds[8];
};

static struct full fill(const char *address, int port)
{
    struct full f = {.port = port};
    struct sockaddr_in at = {.sin_family = AF_INET};

    f.fd = listen_on(address, &f.port, 0);
    at.sin_port = htons((uint16_t)f.port);
    inet_pton(AF_INET, address, &at.sin_addr);
    for (size_t i = 0; i < RC_COUNT(f.fds); i++) {
        f.fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(f.fds[i], (struct sockaddr *)&at, sizeof at);
    }
    return f;
}

static void empty(const struct full *f)
{
    for (size_t i = 0; i < RC_COUNT(f->fds); i++)
        close(f->fds[i]);
    close(f->fd);
}

static int free_port(void)
{
    int port = 0;

    close(listen_on("127.0.0.1", &port, 1));
    return port;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static void both_directions_at_once(void **state)
{
    peer p = {.does = PEER_ECHO};

    (void)state;
    peer_start(&p);
    pump_run(&(rc_conn_config){.port = p.port}, (size_t)64 << 20);
    peer_stop(&p);
}

static const struct {
    size_t writes;
    size_t parts;
    int sends;
} coalesced[] = {
    {1, 1, 1}, {1000, 1, 1}, {10, 100, 1}, {IOV_MAX, 1, 1}, {IOV_MAX + 1, 1, 2}, {1, 2500, 3},
};
static uint8_t *coalesced_bytes;
static size_t coalesced_case;

static void write_many(client *c)
{
    rc_iovec *parts = rc_malloc(coalesced[coalesced_case].parts * sizeof *parts);
    size_t at = 0;

    sends = 0;
    for (size_t i = 0; i < coalesced[coalesced_case].writes; i++) {
        for (size_t k = 0; k < coalesced[coalesced_case].parts; k++, at += 7)
            parts[k] = (rc_iovec){coalesced_bytes + at, 7};
        c->accepted++;
        c->inside = true;
        rc_conn_write(c->conn, parts, coalesced[coalesced_case].parts, client_done, c);
        c->inside = false;
    }
    free(parts); /* The array is copied. */
    assert_int_equal(rc_conn_unwritten(c->conn), at);
    c->stop_at = at;
}

static void writes_of_a_turn_are_one_call(void **state)
{
    peer p = {.does = PEER_ECHO};

    (void)state;
    peer_start(&p);
    coalesced_bytes = stream_bytes(7 * 4096);
    for (coalesced_case = 0; coalesced_case < RC_COUNT(coalesced); coalesced_case++) {
        client c = {.on_open = write_many};

        client_open(&c, &(rc_conn_config){.port = p.port});
        rc_loop_run(c.loop);
        if (sends != coalesced[coalesced_case].sends)
            fail_msg("case %zu: %d calls of sendmsg", coalesced_case, sends);
        assert_int_equal(c.disorder + c.failed, 0);
        assert_int_equal(c.done, c.accepted);
        client_end(&c, true);
    }
    free(coalesced_bytes);
    peer_stop(&p);
}

/* Writes before opened() wait; empty ones are done too, in their place. */
static void writes_before_open_wait(void **state)
{
    peer p = {.does = PEER_ECHO};
    client c = {.stop_at = 1000};
    uint8_t *bytes = stream_bytes(1000);

    (void)state;
    peer_start(&p);
    client_open(&c, &(rc_conn_config){.port = p.port});
    client_write(&c, bytes, 500);
    client_write(&c, NULL, 0);
    client_write(&c, bytes + 500, 500);
    client_write(&c, NULL, 0);
    assert_string_equal(rc_conn_local(c.conn), "");
    rc_loop_run(c.loop);
    assert_string_equal(rc_conn_local(c.conn), "127.0.0.1");
    assert_int_equal(c.done, 4);
    assert_int_equal(c.disorder + c.failed, 0);
    client_end(&c, true);
    peer_stop(&p);
    free(bytes);
}

/* ---- no connection --------------------------------------------------------------------------- */

static void refusals_are_explained(void **state)
{
    struct full full = fill("127.0.0.1", 0);
    const struct {
        const char *name, *host;
        int port;
        const char *text;
    } cases[] = {
        {"refused", "127.0.0.1", free_port(), ": Connection refused"},
        {"refused by all", "two.test", free_port(),
         ": 127.0.0.2: Connection refused; 127.0.0.1: Connection refused"},
        {"no such name", "dead.test", 80, "dead.test:80: look up 'dead.test': unknown node"},
        {"no answer", "127.0.0.1", full.port, ": no answer within 200 ms; is it up"},
        {"no answer of a name", "slow.test", 80, "slow.test:80: the name was not resolved within"},
        {"unreachable", "255.255.255.255", 80, "255.255.255.255:80: "},
    };

    (void)state;
    pthread_mutex_lock(&slow);
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        client c = {0};

        client_open(&c, &(rc_conn_config){.host = cases[i].host,
                                          .port = cases[i].port,
                                          .timeout_ms = 200});
        client_write(&c, "lost", 4);
        while (!c.closed)
            rc_loop_run(c.loop);
        expect_error(cases[i].name, &c.why, OMC_ECONNECT, true, cases[i].text);
        assert_non_null(strstr(c.why.msg, "connect to "));
        assert_int_equal(c.failed, 1);
        assert_int_equal(c.opened, 0);
        if (strcmp(cases[i].host, "slow.test") == 0)
            pthread_mutex_unlock(&slow); /* The loop waits for lookups when it is freed. */
        client_end(&c, false);
    }
    empty(&full);
}

static void the_next_address_is_tried(void **state)
{
    peer p = {.does = PEER_ECHO};
    uint8_t *bytes = stream_bytes(10);

    (void)state;
    peer_start(&p);
    for (int i = 0; i < 2; i++) {
        struct full full = {0};
        client c = {.stop_at = 10};

        if (i == 1)
            full = fill("127.0.0.2", p.port); /* silent instead of refusing */
        client_open(&c, &(rc_conn_config){.host = "two.test", .port = p.port, .timeout_ms = 1000});
        client_write(&c, bytes, 10);
        rc_loop_run(c.loop);
        assert_int_equal(c.opened, 1);
        client_end(&c, true);
        if (i == 1)
            empty(&full);
    }
    peer_stop(&p);
    free(bytes);
}

static void bad_settings_are_refused(void **state)
{
    const struct {
        rc_conn_config config;
        const char *text;
    } cases[] = {
        {{.host = "", .port = 1, .timeout_ms = 1}, "a host name has 1 to 255 characters"},
        {{.host = NULL, .port = 1, .timeout_ms = 1}, "a host name has 1 to 255 characters"},
        {{.host = "a", .port = 0, .timeout_ms = 1}, "a: a port is 1 to 65535, not 0"},
        {{.host = "a", .port = 65536, .timeout_ms = 1}, "a: a port is 1 to 65535, not 65536"},
        {{.host = "a", .port = 1, .timeout_ms = 0}, "a:1: a connect timeout is at least 1 ms"},
    };
    rc_loop *loop = NULL;
    rc_error err = {0};

    (void)state;
    assert_int_equal(rc_loop_new(&loop, &err), 0);
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        rc_conn *conn = NULL;

        assert_int_equal(rc_conn_open(loop, &cases[i].config, &client_user, NULL, &conn, &err),
                         -OMC_EINVAL);
        expect_error("settings", &err, OMC_EINVAL, false, cases[i].text);
        assert_null(conn);
    }
    rc_loop_free(loop);
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void write_and_wait(client *c)
{
    client_write(c, "0123456789", 10);
}

static void the_peers_end_is_told(void **state)
{
    static const struct {
        const char *name;
        enum peer_does does;
        const char *text;
    } cases[] = {
        {"closed", PEER_CLOSE, "closed the connection"},
        {"reset", PEER_RESET, "Connection reset by peer"},
    };

    (void)state;
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        peer p = {.does = cases[i].does, .bytes = 10};
        client c = {.on_open = write_and_wait};

        peer_start(&p);
        client_open(&c, &(rc_conn_config){.port = p.port});
        client_end(&c, false);
        expect_error(cases[i].name, &c.why, OMC_EIO, true, cases[i].text);
        assert_int_equal(c.opened, 1);
        assert_int_equal(c.failed, 0);
        peer_stop(&p);
    }
}

static uint8_t megabyte[1 << 20];

static void write_too_much(client *c)
{
    for (int i = 0; i < 100; i++)
        client_write(c, megabyte, sizeof megabyte);
}

/* The peer takes a part of 100 MiB and resets: what was handed over is told so, all else failed. */
static void a_reset_fails_what_is_queued(void **state)
{
    peer p = {.does = PEER_RESET, .bytes = 3 << 20};
    client c = {.on_open = write_too_much};

    (void)state;
    peer_start(&p);
    client_open(&c, &(rc_conn_config){.port = p.port});
    client_end(&c, false);
    assert_int_equal(c.why.code, OMC_EIO);
    assert_int_equal(c.done, 100);
    assert_in_range(c.failed, 1, 99);
    assert_false(c.success_after_failure);
    peer_stop(&p);
}

static void close_with_writes_under_way(void **state)
{
    peer p = {.does = PEER_MUTE};
    client c = {.on_open = write_too_much};

    (void)state;
    peer_start(&p);
    client_open(&c, &(rc_conn_config){.port = p.port});
    c.on_done = client_close; /* With the first one that is done; and again with the others. */
    client_end(&c, false);
    assert_int_equal(c.why.code, OMC_ECANCELED);
    assert_int_equal(c.done, 100);
    assert_in_range(c.failed, 1, 99);
    assert_false(c.success_after_failure);
    peer_stop(&p);
}

static void close_while_connecting(void **state)
{
    struct full full = fill("127.0.0.1", 0);
    const char *const hosts[] = {"127.0.0.1", "slow.test"};

    (void)state;
    pthread_mutex_lock(&slow);
    for (size_t i = 0; i < RC_COUNT(hosts); i++) {
        client c = {0};

        client_open(&c, &(rc_conn_config){.host = hosts[i], .port = full.port});
        client_write(&c, "x", 1);
        client_close(&c);
        client_close(&c);
        assert_int_equal(c.closed, 0);
        while (!c.closed)
            rc_loop_run(c.loop);
        assert_int_equal(c.why.code, OMC_ECANCELED);
        assert_int_equal(c.failed, 1);
        if (i == 1)
            pthread_mutex_unlock(&slow);
        client_end(&c, false);
    }
    empty(&full);
}

static void close_it(client *c)
{
    client_close(c);
}

static void close_from_callbacks(void **state)
{
    peer p = {.does = PEER_SAY, .bytes = 1 << 20};

    (void)state;
    peer_start(&p);
    for (int i = 0; i < 2; i++) {
        client c = {.room_size = 100};

        if (i == 0)
            c.on_open = close_it;
        else
            c.on_data = close_it;
        client_open(&c, &(rc_conn_config){.port = p.port});
        client_end(&c, false);
        assert_int_equal(c.why.code, OMC_ECANCELED);
        assert_int_equal(c.got, i == 0 ? 0 : 100);
    }
    peer_stop(&p);
}

/* ---- pause ----------------------------------------------------------------------------------- */

static void pause_it(client *c)
{
    rc_conn_pause(c->conn, true);
    if (c->got)
        rc_loop_stop(c->loop);
}

static void stop_when_paused(client *c)
{
    pause_it(c);
    client_write(c, megabyte, 1); /* Writing goes on. */
}

static void stop_loop(client *c)
{
    rc_loop_stop(c->loop);
}

static void a_paused_connection_reads_nothing(void **state)
{
    peer p = {.does = PEER_SAY, .bytes = 300000};
    client c = {.room_size = 1000, .on_open = stop_when_paused, .on_done = stop_loop};

    (void)state;
    peer_start(&p);
    client_open(&c, &(rc_conn_config){.port = p.port});
    rc_loop_run(c.loop);
    assert_int_equal(c.done, 1);
    assert_int_equal(c.got, 0);
    c.on_data = pause_it;
    for (uint64_t want = 1000; want <= 5000; want += 1000) { /* one room at a time */
        rc_conn_pause(c.conn, false);
        rc_loop_run(c.loop);
        assert_int_equal(c.got, want);
    }
    c.on_data = NULL;
    c.stop_at = 300000;
    rc_conn_pause(c.conn, false);
    rc_loop_run(c.loop);
    assert_int_equal(c.got, 300000);
    assert_int_equal(c.disorder, 0);
    client_end(&c, true);
    peer_stop(&p);
}

/* ---- what the socket is told ----------------------------------------------------------------- */

static void options_are_set(void **state)
{
    static const struct {
        int level, name;
        int64_t want;
    } cases[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, 12345},
    };
    peer p = {.does = PEER_ECHO};
    client c = {.on_open = stop_loop};
    int last = -1;
    int v = 0;

    (void)state;
    peer_start(&p);
    client_open(&c, &(rc_conn_config){.port = p.port, .user_timeout_ms = 12345});
    rc_loop_run(c.loop);
    for (int fd = 3; fd < 64; fd++) { /* Ours is the one connected to the peer's port. */
        struct sockaddr_in at;
        socklen_t len = sizeof at;

        if (getpeername(fd, (struct sockaddr *)&at, &len) == 0 && at.sin_family == AF_INET &&
            ntohs(at.sin_port) == p.port)
            last = fd;
    }
    assert_true(last > 0);
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        socklen_t len = sizeof v;

        assert_int_equal(getsockopt(last, cases[i].level, cases[i].name, &v, &len), 0);
        assert_int_equal(v, cases[i].want);
    }
    client_end(&c, true);
    peer_stop(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_directions_at_once),
        cmocka_unit_test(writes_of_a_turn_are_one_call),
        cmocka_unit_test(writes_before_open_wait),
        cmocka_unit_test(refusals_are_explained),
        cmocka_unit_test(the_next_address_is_tried),
        cmocka_unit_test(bad_settings_are_refused),
        cmocka_unit_test(the_peers_end_is_told),
        cmocka_unit_test(a_reset_fails_what_is_queued),
        cmocka_unit_test(close_with_writes_under_way),
        cmocka_unit_test(close_while_connecting),
        cmocka_unit_test(close_from_callbacks),
        cmocka_unit_test(a_paused_connection_reads_nothing),
        cmocka_unit_test(options_are_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
