/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fork() and nothing but system calls until exec: the only thing a threaded process may do in a
 * child. Everything that allocates happens before. posix_spawn() cannot ask for the signal at the
 * parent's death, nor set limits. A pipe that exec closes tells why a command could not be run.
 */
#include "host/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Descriptors of the child's side, all above those they will be. */
typedef struct ends {
    int socket[2], out[2], err[2], status[2]; /* [0] ours, [1] the child's */
} ends;

/* ---- the child ------------------------------------------------------------------------------ */

typedef struct launch {
    const char *path, *dir;
    char **argv, **env;
    int64_t memory_max;
    pid_t parent;
    const ends *fds;
} launch;

static void limit(int64_t memory_max)
{
    const struct rlimit none = {0, 0};
    struct rlimit memory = {(rlim_t)memory_max, (rlim_t)memory_max};

    (void)setrlimit(RLIMIT_CORE, &none);
    if (memory_max > 0)
        (void)setrlimit(RLIMIT_AS, &memory);
}

static void reset_signals(void)
{
    sigset_t none;

    for (int i = 1; i < NSIG; i++)
        (void)signal(i, SIG_DFL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Between fork and exec: system calls only. */
_Noreturn static void child(const launch *l)
{
    int failed;

    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != l->parent) /* it died before it could be noticed */
        _exit(127);
    reset_signals();
    limit(l->memory_max);
    if (dup2(l->fds->socket[1], 0) == 0 && dup2(l->fds->out[1], 1) == 1 &&
        dup2(l->fds->err[1], 2) == 2 && dup3(l->fds->status[1], 3, O_CLOEXEC) == 3 &&
        close_range(4, UINT_MAX, 0) == 0 && (!l->dir || chdir(l->dir) == 0))
        (void)execve(l->path, l->argv, l->env);
    failed = errno;
    (void)!write(3, &failed, sizeof failed);
    _exit(127);
}

/* ---- descriptors ---------------------------------------------------------------------------- */

/* The same file under a number that is not one of 0 to 3. */
static int lift(int fd)
{
    int high;

    if (fd < 0 || fd > 3)
        return fd;
    high = fcntl(fd, F_DUPFD_CLOEXEC, 4);
    (void)close(fd);
    return high;
}

static bool lift_pair(int fds[2], int made)
{
    if (made < 0) {
        fds[0] = fds[1] = -1;
        return false;
    }
    fds[0] = lift(fds[0]);
    fds[1] = lift(fds[1]);
    return fds[0] >= 0 && fds[1] >= 0;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static void close_side(ends *e, int side)
{
    close_fd(&e->socket[side]);
    close_fd(&e->out[side]);
    close_fd(&e->err[side]);
    close_fd(&e->status[side]);
}

static int open_ends(ends *e, rc_error *err)
{
    bool ok = lift_pair(e->socket, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, e->socket));
    int failed;

    ok = lift_pair(e->out, pipe2(e->out, O_CLOEXEC)) && ok;
    ok = lift_pair(e->err, pipe2(e->err, O_CLOEXEC)) && ok;
    ok = lift_pair(e->status, pipe2(e->status, O_CLOEXEC)) && ok;
    failed = errno;
    if (!ok) {
        close_side(e, 0);
        close_side(e, 1);
        return rc_fail_errno(err, failed, "descriptors for a host process");
    }
    (void)fcntl(e->socket[0], F_SETFL, O_NONBLOCK);
    (void)fcntl(e->out[0], F_SETFL, O_NONBLOCK);
    (void)fcntl(e->err[0], F_SETFL, O_NONBLOCK);
    return 0;
}

/* ---- the command ---------------------------------------------------------------------------- */

/* Path of a command as a shell would find it; free() it. NULL = nowhere. */
static char *find_command(const char *name)
{
    const char *path = getenv("PATH");

    if (strchr(name, '/'))
        return rc_strdup(name);
    for (path = path ? path : "/usr/local/bin:/usr/bin:/bin"; *path;) {
        size_t len = strcspn(path, ":");
        char *candidate = rc_format("%.*s/%s", (int)len, len ? path : ".", name);

        if (access(candidate, X_OK) == 0)
            return candidate;
        free(candidate);
        path += len + (path[len] == ':');
    }
    return NULL;
}

static char **with_more(const char *const *more)
{
    size_t count = 0, added = 0;
    char **all;

    while (environ && environ[count])
        count++;
    while (more && more[added])
        added++;
    all = rc_calloc(count + added + 1, sizeof *all);
    for (size_t i = 0; i < added; i++) /* the first one of a name counts */
        all[i] = (char *)(uintptr_t)more[i];
    for (size_t i = 0; i < count; i++)
        all[added + i] = environ[i];
    return all;
}

static int await_exec(ends *e, pid_t pid, const char *command, rc_error *err)
{
    int failed = 0;
    ssize_t n;

    do
        n = read(e->status[0], &failed, sizeof failed);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return 0;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    (void)rc_fail_errno(err, failed, "the host '%s' cannot be run", command);
    err->flags &= ~OMC_ERR_RETRIABLE;
    return -err->code;
}

int rc_process_start(const rc_process_spec *spec, rc_process *ret, rc_error *err)
{
    RC_AUTO_FREE char *path = find_command(spec->argv[0]);
    RC_AUTO_FREE char **env = with_more(spec->env);
    ends e;
    launch l = {.path = path,
                .dir = spec->dir,
                .argv = (char **)(uintptr_t)spec->argv,
                .env = env,
                .memory_max = spec->memory_max,
                .parent = getpid(),
                .fds = &e};
    int r;

    if (!path)
        return rc_fail(err, OMC_ENOTFOUND,
                       "the host's command '%s' is not in PATH: install it, or name it with its "
                       "whole path",
                       spec->argv[0]);
    r = open_ends(&e, err);
    if (r < 0)
        return r;
    ret->pid = fork();
    if (ret->pid == 0)
        child(&l);
    if (ret->pid < 0)
        r = rc_fail_errno(err, errno, "a host process");
    close_side(&e, 1);
    if (r == 0)
        r = await_exec(&e, ret->pid, spec->argv[0], err);
    if (r < 0) {
        close_side(&e, 0);
        return r;
    }
    close_fd(&e.status[0]);
    (void)setpgid(ret->pid, ret->pid); /* whoever is first */
    ret->pidfd = pidfd_open(ret->pid, 0);
    ret->socket = e.socket[0];
    ret->out = e.out[0];
    ret->err = e.err[0];
    return 0;
}

/* "total resident shared ..." in pages. */
int64_t rc_process_resident(const rc_process *process)
{
    char path[32], text[128];
    long long total, resident;
    ssize_t n;
    int fd;

    (void)snprintf(path, sizeof path, "/proc/%d/statm", (int)process->pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    n = read(fd, text, sizeof text - 1);
    (void)close(fd);
    text[RC_MAX(n, (ssize_t)0)] = '\0';
    if (sscanf(text, "%lld %lld", &total, &resident) != 2) /* NOLINT(cert-err34-c): the kernel's */
        return 0;
    return resident * sysconf(_SC_PAGESIZE);
}

void rc_process_signal(const rc_process *process, int signal)
{
    (void)kill(-process->pid, signal);
}

void rc_process_collect(rc_process *process, char ret[64])
{
    siginfo_t info;
    int status = 0;

    /* As long as the process is not reaped its group's number belongs to nobody else. */
    (void)kill(-process->pid, SIGKILL);
    while (waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
        ;
    (void)kill(-process->pid, SIGKILL);
    while (waitpid(process->pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFSIGNALED(status))
        (void)snprintf(ret, 64, "killed by signal %d (SIG%s)", WTERMSIG(status),
                       sigabbrev_np(WTERMSIG(status)));
    else
        (void)snprintf(ret, 64, "exit status %d", WEXITSTATUS(status));
    close_fd(&process->pidfd);
    close_fd(&process->socket);
    close_fd(&process->out);
    close_fd(&process->err);
}
