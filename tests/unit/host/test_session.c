/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions and their supervision, with a host of strangers (tests/fakehost) at the other end. What
 * needs a whole worker is tested in tests/integration/test_hosts.py.
 */
#include "unit.h"

#include "host/hosts.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const argv_good[] = {FAKEHOST, NULL};

static rc_session *open_session(const char *mode, int64_t start_ms, rc_error *err)
{
    const char *const argv[] = {FAKEHOST, mode, NULL};
    const rc_process_spec spec = {.argv = argv};
    const rc_session_config config = {.who = "host of 'x'",
                                      .process = &spec,
                                      .worker_id = "w",
                                      .start_timeout_ms = start_ms,
                                      .heartbeat_ms = 100,
                                      .shutdown_ms = 5000};
    rc_session *session = NULL;

    return rc_session_open(&config, &session, err) < 0 ? NULL : session;
}

static rc_session *good(void)
{
    rc_error err = {0};
    rc_session *session = open_session(NULL, 20000, &err);

    if (!session)
        fail_msg("%s", err.msg);
    return session;
}

static rc_channel *channel(rc_session *session, rc_channel_kind kind)
{
    const rc_channel_config config = {.kind = kind, .who = "task"};
    rc_channel *ch;
    rc_error err = {0};

    assert_int_equal(rc_channel_open(session, &config, &ch, &err), 0);
    return ch;
}

/* The process is reaped: nobody has this number, or somebody else does. */
static bool gone(pid_t pid)
{
    return kill(pid, 0) < 0 && errno == ESRCH;
}

static int validate(rc_channel *ch, const char *key, rc_frame **ret, rc_error *err)
{
    const omc_pair pair = {omc_slice_str(key), omc_slice_str("v")};
    const omc_keyvalue kv = {1, &pair};
    rc_buf out = RC_BUF(65536);
    int r;

    rc_channel_begin(&out);
    rc_out_u8(&out, OMC_SOURCE);
    rc_out_text(&out, "fake.Source");
    rc_out_text(&out, "");
    rc_out_kv(&out, &kv);
    rc_out_text(&out, "c");
    r = rc_channel_call(ch, RC_FRAME_VALIDATE, "validate", 3600000, &out, ret, err);
    rc_buf_release(&out);
    return r;
}

static void a_session_opens_answers_and_ends_in_order(void **state)
{
    rc_session *session = good();
    rc_channel *ch = channel(session, RC_CHANNEL_CONTROL);
    pid_t pid = rc_session_pid(session);
    rc_frame *reply = NULL;
    rc_error err = {0};

    (void)state;
    assert_string_equal(rc_session_hello(session)->name, "fakehost");
    assert_string_equal(rc_session_hello(session)->language, "Python");
    assert_int_equal(validate(ch, "bad", &reply, &err), 0);
    assert_int_equal(reply->payload[0], 1); /* one problem */
    rc_frame_free(reply);
    rc_channel_close(ch);
    assert_false(rc_session_dead(session, NULL, NULL));
    rc_session_unref(session);
    assert_true(gone(pid));
}

static void a_killed_host_is_named_in_every_call_after(void **state)
{
    rc_session *session = good();
    rc_channel *ch = channel(session, RC_CHANNEL_CONTROL);
    rc_error err = {0};

    (void)state;
    assert_int_equal(kill(rc_session_pid(session), SIGKILL), 0);
    for (int i = 0; i < 2; i++) {
        err = (rc_error){0};
        assert_int_equal(validate(ch, "good", NULL, &err), -OMC_EIO);
        assert_string_equal(err.msg, "host of 'x' ended: killed by signal 9 (SIGKILL)");
        assert_int_equal(err.flags, OMC_ERR_PROMPT);
    }
    assert_true(rc_session_dead(session, NULL, NULL));
    rc_channel_close(ch);
    rc_session_unref(session);
}

static void start_silent_task(rc_channel *ch, int64_t timeout_ms, rc_error *err)
{
    const omc_pair pairs[] = {{{"fault", 5}, {"silent", 6}}, {{"fault.call", 10}, {"start", 5}}};
    const omc_keyvalue kv = {2, pairs};
    const rc_start start = {.kind = OMC_SINK,
                            .class_name = "fake.Sink",
                            .location = "",
                            .connector = "c",
                            .task = "c-0",
                            .config = &kv,
                            .put_window = 1};
    rc_buf out = RC_BUF(65536);

    rc_channel_begin(&out);
    rc_out_start(&out, &start);
    assert_int_equal(rc_channel_call(ch, RC_FRAME_TASK_START, "start", timeout_ms, &out, NULL, err),
                     -OMC_ETIMEDOUT);
    rc_buf_release(&out);
}

static void a_call_that_is_overdue_costs_the_host(void **state)
{
    rc_session *session = good();
    rc_channel *ch = channel(session, RC_CHANNEL_SINK);
    pid_t pid = rc_session_pid(session);
    rc_error err = {0};

    (void)state;
    start_silent_task(ch, 150, &err);
    assert_string_equal(err.msg,
                        "'start' of task did not return within 150 ms; its host was killed");
    assert_true(gone(pid));
    rc_channel_close(ch);
    rc_session_unref(session);
}

/* Nothing was committed. */
static void answer_offset_read(void *arg, const rc_frame *f)
{
    rc_buf out = RC_BUF(256);
    rc_error err = {0};

    if (f->head.type != RC_FRAME_OFFSET_READ)
        return;
    rc_channel_begin(&out);
    rc_out_u32(&out, 1);
    rc_out_u8(&out, 0);
    assert_int_equal(rc_channel_send(*(rc_channel **)arg, RC_FRAME_OFFSET_READ, RC_WIRE_REPLY,
                                     f->head.request, &out, &err),
                     0);
    rc_buf_release(&out);
}

static void a_batch_without_credit_ends_the_host_before_it_is_looked_at(void **state)
{
    const omc_pair pair = {{"fault", 5}, {"greedy", 6}};
    const omc_keyvalue kv = {1, &pair};
    const rc_start start = {.kind = OMC_SOURCE,
                            .class_name = "fake.Source",
                            .location = "",
                            .connector = "c",
                            .task = "c-0",
                            .config = &kv,
                            .records_max = 10,
                            .bytes_max = 65536};
    rc_session *session = good();
    rc_channel *ch = NULL;
    const rc_channel_config config = {.kind = RC_CHANNEL_SOURCE,
                                      .who = "task",
                                      .upcall = answer_offset_read,
                                      .arg = &ch};
    rc_buf out = RC_BUF(65536);
    rc_frame *f = NULL;
    rc_error err = {0};
    int r;

    (void)state;
    assert_int_equal(rc_channel_open(session, &config, &ch, &err), 0);
    rc_channel_begin(&out);
    rc_out_start(&out, &start);
    (void)rc_channel_call(ch, RC_FRAME_TASK_START, "start", 3600000, &out, NULL, &err);
    while ((r = rc_channel_wait(ch, -1, 10000, &f, &err)) > 0)
        rc_frame_free(RC_TAKE(f));
    assert_int_equal(r, -OMC_EFORMAT);
    assert_non_null(strstr(err.msg, "protocol error: credit-exceeded: BATCH of instance 1"));
    rc_buf_release(&out);
    rc_channel_close(ch);
    rc_session_unref(session);
}

static void a_host_that_says_nothing_or_nonsense_is_refused(void **state)
{
    static const struct {
        const char *mode, *says;
    } cases[] = {
        {"mute", "did not say HELLO within 500 ms"},
        {"no-hello", "protocol error: no-hello: LOG (type 05) came instead"},
        {"old", "it speaks versions 9 to 9, this worker 1"},
    };

    (void)state;
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        rc_error err = {0};

        assert_null(open_session(cases[i].mode, i == 0 ? 500 : 20000, &err));
        if (!strstr(err.msg, cases[i].says))
            fail_msg("%s: %s", cases[i].mode, err.msg);
    }
}

static void a_command_that_cannot_be_run_is_explained(void **state)
{
    static const struct {
        const char *command, *says;
        int code;
    } cases[] = {
        {"no-such-program-here", "is not in PATH", OMC_ENOTFOUND},
        {"/no/such/program", "the host '/no/such/program' cannot be run", OMC_ENOTFOUND},
        {"/etc/passwd", "cannot be run", OMC_EACCES},
    };

    (void)state;
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        const char *const argv[] = {cases[i].command, NULL};
        const rc_process_spec spec = {.argv = argv};
        rc_process process;
        rc_error err = {0};

        assert_int_equal(rc_process_start(&spec, &process, &err), -cases[i].code);
        if (!strstr(err.msg, cases[i].says))
            fail_msg("%s: %s", cases[i].command, err.msg);
    }
}

/* ---- supervision ---------------------------------------------------------------------------- */

static rc_hosts *supervisor(int64_t crashes_max)
{
    const rc_hosts_config config = {.worker_id = "w",
                                    .start_timeout_ms = 20000,
                                    .heartbeat_ms = 100,
                                    .idle_ms = 50,
                                    .crashes_max = crashes_max};

    return rc_hosts_new(&config);
}

static const rc_launcher launcher = {.name = "fake", .process = {.argv = argv_good}};

static rc_host *join(rc_hosts *hosts, const char *key, pid_t *ret_pid)
{
    rc_session *session;
    rc_host *host;
    rc_error err = {0};

    if (rc_host_join(hosts, &launcher, key, &host, &session, &err) < 0)
        fail_msg("%s", err.msg);
    *ret_pid = rc_session_pid(session);
    rc_session_unref(session);
    return host;
}

static void members_of_a_key_share_a_host_that_ends_with_the_last(void **state)
{
    rc_hosts *hosts = supervisor(5);
    pid_t a, b, c;
    rc_host *first = join(hosts, "k", &a), *second = join(hosts, "k", &b);
    rc_host *other = join(hosts, "other", &c);

    (void)state;
    assert_int_equal(a, b);
    assert_int_not_equal(a, c);
    rc_host_leave(first);
    assert_false(gone(a));
    rc_host_leave(second);
    assert_true(gone(a));
    rc_host_leave(other);
    assert_true(gone(c));
    rc_hosts_free(hosts);
}

typedef struct watcher {
    rc_host_member member;
    int times;
} watcher;

static void count_again(rc_host_member *member, rc_session *session)
{
    (void)session;
    RC_CONTAINER(member, watcher, member)->times++;
}

static void a_dead_host_is_started_again_until_it_has_died_too_often(void **state)
{
    rc_hosts *hosts = supervisor(1);
    watcher w = {.member = {.connector = "c", .again = count_again}};
    rc_session *session;
    rc_error err = {0};
    pid_t pid, next;
    rc_host *host = join(hosts, "k", &pid);

    (void)state;
    rc_host_add(host, &w.member);
    assert_int_equal(kill(pid, SIGKILL), 0);
    for (int i = 0; i < 2; i++) {
        do { /* the death is noticed a moment later */
            assert_int_equal(rc_host_session(host, &session, &err), 0);
            next = rc_session_pid(session);
            rc_session_unref(session);
        } while (next == pid);
        assert_int_equal(w.times, 1);
    }
    assert_int_equal(kill(next, SIGKILL), 0);
    while (rc_host_session(host, &session, &err) == 0)
        rc_session_unref(session);
    assert_int_equal(err.flags, OMC_ERR_FATAL);
    assert_non_null(strstr(err.msg, "has died 2 times within 5 minutes (host.crashes.max = 1)"));
    assert_non_null(strstr(err.msg, "killed by signal 9 (SIGKILL)"));
    rc_host_remove(host, &w.member);
    rc_host_leave(host);
    /* Everybody has let go of it: a new beginning. */
    host = join(hosts, "k", &pid);
    rc_host_leave(host);
    rc_hosts_free(hosts);
}

/* A task is told to ask again soon, not after its own back-off: the wait is the host's already. */
static void a_long_back_off_is_not_slept_through(void **state)
{
    rc_hosts *hosts = supervisor(-1);
    rc_session *session;
    rc_error err = {0};
    pid_t pid, last = 0;
    rc_host *host = join(hosts, "k", &pid);
    int kills = 0;

    (void)state;
    do {
        if (pid != last) {
            assert_int_equal(kill(pid, SIGKILL), 0);
            kills++;
            last = pid;
        }
        if (rc_host_session(host, &session, &err) < 0)
            break;
        pid = rc_session_pid(session);
        rc_session_unref(session);
    } while (kills < 10);
    assert_int_equal(err.flags, OMC_ERR_RETRIABLE | OMC_ERR_PROMPT);
    assert_non_null(strstr(err.msg, "is started again in "));
    assert_int_equal(kills, 6); /* at once, 100, 200, 400, 800, 1600 ms */
    rc_host_leave(host);
    rc_hosts_free(hosts);
}

static pid_t ask(rc_hosts *hosts)
{
    rc_session *session;
    rc_channel *ch;
    rc_error err = {0};
    pid_t pid;

    if (rc_hosts_ask(hosts, &launcher, "questions", &session, &err) < 0)
        fail_msg("%s", err.msg);
    ch = channel(session, RC_CHANNEL_CONTROL);
    assert_int_equal(validate(ch, "good", NULL, &err), 0);
    pid = rc_session_pid(session);
    rc_channel_close(ch);
    rc_session_unref(session);
    return pid;
}

/* However often it ends, it was no death: with crashes_max = 0 one would be too many. */
static void a_host_that_is_only_asked_something_ends_by_itself(void **state)
{
    rc_hosts *hosts = supervisor(0);
    pid_t pid = 0;

    (void)state;
    for (int i = 0; i < 3; i++) {
        pid = ask(hosts);
        while (i < 2 && !gone(pid))
            (void)poll(NULL, 0, 10);
    }
    rc_hosts_free(hosts);
    assert_true(gone(pid));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_opens_answers_and_ends_in_order),
        cmocka_unit_test(a_killed_host_is_named_in_every_call_after),
        cmocka_unit_test(a_call_that_is_overdue_costs_the_host),
        cmocka_unit_test(a_batch_without_credit_ends_the_host_before_it_is_looked_at),
        cmocka_unit_test(a_host_that_says_nothing_or_nonsense_is_refused),
        cmocka_unit_test(a_command_that_cannot_be_run_is_explained),
        cmocka_unit_test(members_of_a_key_share_a_host_that_ends_with_the_last),
        cmocka_unit_test(a_dead_host_is_started_again_until_it_has_died_too_often),
        cmocka_unit_test(a_long_back_off_is_not_slept_through),
        cmocka_unit_test(a_host_that_is_only_asked_something_ends_by_itself),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
