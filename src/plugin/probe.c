/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The parent's half of a probe. An exec of ourselves and not a fork, because a threaded process
 * must not go on working in a forked child. The child is its own process group, so that whatever
 * it started goes with it; it ends when its pipe closes or the deadline passes.
 */
#include "plugin/probe.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/units.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

typedef struct child {
    pid_t pid;
    int out; /**< Reading end of its standard output. */
    rc_buf text;
    int64_t deadline_ms;
} child;

static void set_attributes(posix_spawnattr_t *attr)
{
    sigset_t all, none;

    (void)sigfillset(&all);
    (void)sigemptyset(&none);
    (void)posix_spawnattr_init(attr);
    (void)posix_spawnattr_setflags(attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
                                             POSIX_SPAWN_SETSIGMASK);
    (void)posix_spawnattr_setsigdefault(attr, &all);
    (void)posix_spawnattr_setsigmask(attr, &none);
}

/** Starts the child with its output in a pipe and everything else on /dev/null. */
static int start(const char *self, const char *path, child *c, rc_error *err)
{
    char plugin[] = "plugin", probe[] = "probe";
    char *argv[] = {(char *)(uintptr_t)self, plugin, probe, (char *)(uintptr_t)path, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    int fds[2], r;

    if (pipe2(fds, O_CLOEXEC) < 0)
        return rc_fail_errno(err, errno, "cannot be probed: pipe");
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    (void)posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
    (void)posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    set_attributes(&attr);
    r = posix_spawn(&c->pid, self, &actions, &attr, argv, environ);
    (void)posix_spawnattr_destroy(&attr);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(fds[1]);
    if (r != 0) {
        (void)close(fds[0]);
        return rc_fail_errno(err, r, "cannot be probed: run %s", self);
    }
    c->out = fds[0];
    return 0;
}

static int64_t left_ms(const child *c)
{
    return c->deadline_ms - rc_mono_ms(rc_clock_real());
}

/** Waits until `fd` is readable. @return false when the deadline passed. */
static bool readable(const child *c, int fd)
{
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left = left_ms(c);
        int n;

        if (left <= 0)
            return false;
        n = poll(&p, 1, (int)RC_MIN(left, 60000));
        if (n > 0 || (n < 0 && errno != EINTR))
            return true;
    }
}

/** Reads until the child's output ends. @return false on the deadline or too much output. */
static bool read_output(child *c)
{
    for (;;) {
        char *at;
        ssize_t n;

        if (!readable(c, c->out))
            return false;
        at = rc_buf_reserve(&c->text, 4096);
        if (!at)
            return false;
        n = read(c->out, at, 4096);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return true;
        c->text.len += (size_t)n;
    }
}

/** Waits for the end of the child, which may hang after it closed its output. */
static bool wait_end(const child *c)
{
    int fd = pidfd_open(c->pid, 0);
    bool ended;

    if (fd < 0)
        return true; /* An old kernel: the pipe is closed, so the end is near. */
    ended = readable(c, fd);
    (void)close(fd);
    return ended;
}

/** Collects the child and ends whatever it left behind; kills it first unless it ended in time. */
static int collect(child *c, bool ended)
{
    siginfo_t info;
    int status = 0;

    if (!ended)
        (void)kill(-c->pid, SIGKILL);
    while (waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
        ;
    /* As long as the child is not reaped its group's number belongs to nobody else. */
    (void)kill(-c->pid, SIGKILL);
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
        ;
    (void)close(c->out);
    return status;
}

/** The child's own words: {"plugins": [...]} or {"error": {"code": n, "message": "..."}}. */
static int read_verdict(const rc_buf *text, int status, rc_error *err)
{
    json_t *root = text->len ? json_loadb(text->data, text->len, 0, NULL) : NULL;
    json_t *error = json_object_get(root, "error");
    const char *message = json_string_value(json_object_get(error, "message"));
    json_int_t code = json_integer_value(json_object_get(error, "code"));
    int r = 0;

    if (message)
        r = rc_fail(err, code > 0 && code <= OMC_EINTERNAL ? (int)code : OMC_EINVAL, "%s", message);
    else if (!json_is_array(json_object_get(root, "plugins")) || WEXITSTATUS(status) != 0)
        r = rc_fail(err, OMC_EINVAL, "ended the process while loading (exit status %d)",
                    WEXITSTATUS(status));
    json_decref(root);
    return r;
}

int rc_plugin_probe(const char *self, const char *path, int64_t timeout_ms, rc_error *err)
{
    child c = {.text = RC_BUF(RC_PROBE_OUTPUT_MAX)};
    char duration[32];
    bool ended;
    int status, r = start(self, path, &c, err);

    if (r < 0)
        return r;
    c.deadline_ms = rc_mono_ms(rc_clock_real()) + timeout_ms;
    ended = read_output(&c) && wait_end(&c);
    status = collect(&c, ended);
    if (c.text.overflow)
        r = rc_fail(err, OMC_EINVAL, "printed more than %zu bytes while it was loaded",
                    RC_PROBE_OUTPUT_MAX);
    else if (!ended)
        r = rc_fail(err, OMC_ETIMEDOUT, "did not finish loading within %s",
                    rc_format_duration(timeout_ms, duration));
    else if (WIFSIGNALED(status))
        r = rc_fail(err, OMC_EINVAL, "crashed while loading (signal %d, SIG%s)", WTERMSIG(status),
                    sigabbrev_np(WTERMSIG(status)));
    else
        r = read_verdict(&c.text, status, err);
    rc_buf_release(&c.text);
    return r;
}
