/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inotify, discovery of files, and the wait. The watches are set before the files are read, and
 * the events are taken before every read, so no change can fall between.
 */
#include "follow.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER_EVENTS                                                                      \
    (IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | \
     IN_ONLYDIR)
#define RECORDS_DEFAULT ((size_t)10000)
#define BYTES_DEFAULT ((size_t)1 << 20)
#define LOG(f, level, ...) (f)->ctx->log((f)->ctx->host, level, __VA_ARGS__)

static bool has_glob(const char *text)
{
    return strpbrk(text, "*?[") != NULL;
}

int file_pattern_split(const file_source_options *opt, char **folder, char **glob, omc_error *err)
{
    const char *base = file_base_of(opt->filename);
    struct stat st;

    if (opt->pattern && strchr(opt->pattern, '/'))
        return omc_fail(err, OMC_EINVAL, OMC_ERR_FATAL,
                        "files.pattern='%s' has a '/'. It matches names in the one folder that "
                        "'filename' names",
                        opt->pattern);
    if (opt->pattern) {
        *folder = file_strdup(opt->filename);
        *glob = file_strdup(opt->pattern);
        return 0;
    }
    *folder = file_folder_of(opt->filename);
    /* A file that is really called so wins over the pattern. */
    *glob = has_glob(base) && lstat(opt->filename, &st) < 0 ? file_strdup(base) : NULL;
    if (has_glob(*folder) && stat(*folder, &st) < 0) {
        int r = omc_fail(err, OMC_EINVAL, OMC_ERR_FATAL,
                         "filename='%s' has a pattern in its folder part. Only the last part may "
                         "be one; use one connector per folder",
                         opt->filename);

        free(*folder);
        free(*glob);
        *folder = *glob = NULL;
        return r;
    }
    return 0;
}

static file_tracked *find(const file_follow *f, const char *name)
{
    for (size_t i = 0; i < f->count; i++)
        if (strcmp(f->files[i]->name, name) == 0)
            return f->files[i];
    return NULL;
}

static int add(file_follow *f, const char *name, bool late, omc_error *err)
{
    file_tracked *t;
    int r = file_tracked_new(f, name, late, &t, err);

    if (r < 0)
        return r;
    if (f->count == f->capacity) {
        size_t capacity = f->capacity ? f->capacity * 2 : 8;
        file_tracked **files = file_malloc(capacity * sizeof(file_tracked *));

        if (f->count)
            memcpy(files, f->files, f->count * sizeof(file_tracked *));
        free(f->files);
        f->files = files;
        f->capacity = capacity;
    }
    f->files[f->count++] = t;
    return 0;
}

/* Whether `base` is the rotated form of another name that the pattern matches: "app.log.1" beside
 * "app.log". Such a file was read, or is being read, under its first name. */
static bool is_rotated(const file_follow *f, const char *base)
{
    for (const char *at = base + 1; *base && *at; at++) {
        char *stem, *path;
        bool taken;

        if (!file_is_rotation(at))
            continue;
        stem = file_strdup(base);
        stem[at - base] = '\0';
        path = file_join(f->folder, stem);
        taken =
            fnmatch(f->glob, stem, FNM_PERIOD) == 0 && (find(f, path) || access(path, F_OK) == 0);
        free(path);
        free(stem);
        if (taken)
            return true;
    }
    return false;
}

static bool mine(const file_follow *f, const char *path)
{
    return f->ctx->task_count <= 1 ||
           file_hash(path, strlen(path)) % (uint64_t)f->ctx->task_count ==
               (uint64_t)f->ctx->task_id;
}

/* One name of the folder. @return 1 = matches the pattern, 0 = not, or an error. */
static int consider(file_follow *f, const char *base, bool late, omc_error *err)
{
    struct stat st;
    char *path;
    int r = 1;

    if (fnmatch(f->glob, base, FNM_PERIOD) != 0 || is_rotated(f, base))
        return 0;
    path = file_join(f->folder, base);
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        if (!S_ISDIR(st.st_mode) && !late)
            LOG(f, OMC_WARN, "'%s' matches the pattern but is no regular file: left out", path);
        r = 0;
    } else if (mine(f, path) && !find(f, path)) {
        r = add(f, path, late, err);
        r = r < 0 ? r : 1;
    }
    free(path);
    return r;
}

/* All names of the folder, in order. @return how many match, or an error. */
static int scan(file_follow *f, bool late, omc_error *err)
{
    struct dirent **names = NULL;
    int n = scandir(f->folder, &names, NULL, alphasort);
    int matches = 0, r = 0;

    f->rescan = false;
    if (n < 0)
        return file_fail_errno(err, errno == EACCES ? OMC_ERR_FATAL : 0, "read folder", f->folder,
                               "Create it or correct 'filename'");
    for (int i = 0; i < n; i++) {
        if (r >= 0)
            r = consider(f, names[i]->d_name, late, err);
        matches += r > 0;
        free(names[i]);
    }
    free(names);
    return r < 0 ? r : matches;
}

/* A symbolic link: its target is replaced in another folder. */
static void watch_target(file_follow *f, const char *name)
{
    char *real = realpath(name, NULL), *folder;

    if (!real)
        return;
    folder = file_folder_of(real);
    f->wd_target = inotify_add_watch(f->inotify, folder, FOLDER_EVENTS);
    free(folder);
    free(real);
}

static int start_inotify(file_follow *f, omc_error *err)
{
    struct stat st;

    f->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (f->inotify < 0) {
        f->check_ms = f->check_ms ? f->check_ms : 1000;
        LOG(f, OMC_WARN,
            "inotify is not available (%s; raise fs.inotify.max_user_instances): looking at the "
            "files every %lld ms instead",
            strerrordesc_np(errno), (long long)f->check_ms);
    } else {
        f->wd_folder = inotify_add_watch(f->inotify, f->folder, FOLDER_EVENTS);
        if (f->wd_folder < 0 && errno == ENOSPC)
            f->check_ms = f->check_ms ? f->check_ms : 1000;
        else if (f->wd_folder < 0)
            return file_fail_errno(err, errno == EACCES ? OMC_ERR_FATAL : 0, "watch folder",
                                   f->folder, "Create it or correct 'filename'");
        if (!f->glob && lstat(f->opt->filename, &st) == 0 && S_ISLNK(st.st_mode))
            watch_target(f, f->opt->filename);
    }
    return 0;
}

static file_long_lines long_lines_of(const char *text)
{
    static const char *const names[] = {"fail", "split", "truncate", "skip"};

    for (int i = 0; i < 4; i++)
        if (strcmp(text, names[i]) == 0)
            return (file_long_lines)i;
    return FILE_LONG_FAIL;
}

int file_follow_start(file_follow *f, const omc_source_context *ctx, omc_error *err)
{
    int r;

    f->ctx = ctx;
    f->opt = ctx->config->options;
    f->inotify = f->wd_folder = f->wd_target = -1;
    f->long_lines = long_lines_of(f->opt->long_lines);
    f->check_ms = f->opt->check_ms;
    r = file_pattern_split(f->opt, &f->folder, &f->glob, err);
    if (r >= 0 && !f->opt->bounded)
        r = start_inotify(f, err);
    if (r < 0)
        return r;
    f->check_due_ms = file_monotonic_ms() + f->check_ms;
    if (!f->glob)
        return add(f, f->opt->filename, false, err);
    r = scan(f, false, err);
    if (r == 0 && f->opt->bounded)
        return omc_fail(err, OMC_ENOTFOUND, OMC_ERR_FATAL,
                        "no file in '%s' matches '%s'. Correct 'filename', or set bounded=false "
                        "to wait for one",
                        f->folder, f->glob);
    if (r == 0)
        LOG(f, OMC_INFO, "no file in '%s' matches '%s' yet: waiting for one", f->folder, f->glob);
    return r < 0 ? r : 0;
}

void file_follow_release(file_follow *f)
{
    while (f->count)
        file_tracked_free(f, f->files[--f->count]);
    free(f->files);
    f->files = NULL;
    if (f->ctx && f->inotify >= 0)
        (void)close(f->inotify);
    f->inotify = -1;
    free(f->folder);
    free(f->glob);
    f->folder = f->glob = NULL;
}

/* ---- events ------------------------------------------------------------------------------ */

static void look_at_all(file_follow *f)
{
    for (size_t i = 0; i < f->count; i++)
        f->files[i]->ready = f->files[i]->check = true;
    f->rescan = f->glob != NULL;
}

static void folder_event(file_follow *f, const struct inotify_event *ev)
{
    if (ev->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)) {
        f->folder_lost = true;
        return;
    }
    if (!ev->len)
        return;
    for (size_t i = 0; i < f->count; i++)
        if (strcmp(file_base_of(f->files[i]->name), ev->name) == 0)
            f->files[i]->ready = f->files[i]->check = true;
    if (f->glob && (ev->mask & (IN_CREATE | IN_MOVED_TO)) &&
        fnmatch(f->glob, ev->name, FNM_PERIOD) == 0)
        f->rescan = true;
}

static void file_event(file_follow *f, const struct inotify_event *ev)
{
    for (size_t i = 0; i < f->count; i++) {
        file_tracked *t = f->files[i];

        if (t->wd != ev->wd && t->wd_next != ev->wd)
            continue;
        t->ready = true;
        if (t->wd_next == ev->wd || (ev->mask & ~(uint32_t)IN_MODIFY))
            t->check = true;
        if ((ev->mask & IN_IGNORED) && t->wd == ev->wd)
            t->wd = -1;
        if ((ev->mask & IN_IGNORED) && t->wd_next == ev->wd)
            t->wd_next = -1;
    }
}

static void take_events(file_follow *f)
{
    _Alignas(struct inotify_event) char buf[16384];
    ssize_t n;

    while (f->inotify >= 0 && (n = read(f->inotify, buf, sizeof buf)) > 0) {
        for (char *at = buf; at < buf + n;) {
            const struct inotify_event *ev = (const struct inotify_event *)(void *)at;

            at += sizeof *ev + ev->len;
            if ((ev->mask & IN_Q_OVERFLOW) || (ev->wd == f->wd_target && f->wd_target >= 0))
                look_at_all(f);
            if (ev->wd == f->wd_folder && f->wd_folder >= 0)
                folder_event(f, ev);
            else
                file_event(f, ev);
        }
    }
}

/* Marks what is due; returns when the next thing is. INT64_MAX = nothing. */
static int64_t take_timers(file_follow *f, int64_t now)
{
    int64_t first = INT64_MAX;

    if (f->check_ms && !f->opt->bounded) {
        if (f->check_due_ms <= now) {
            look_at_all(f);
            f->check_due_ms = now + f->check_ms;
        }
        first = f->check_due_ms;
    }
    for (size_t i = 0; i < f->count; i++) {
        file_tracked *t = f->files[i];

        if (t->due_ms <= now) {
            t->ready = true;
            t->due_ms = INT64_MAX;
        }
        first = t->due_ms < first ? t->due_ms : first;
    }
    return first;
}

/* Sleeps until an event, the wake-up or `until_ms`. @return false when the host wants us back. */
static bool wait_until(file_follow *f, int64_t until_ms, int64_t now)
{
    struct pollfd fds[2] = {{.fd = f->inotify, .events = POLLIN},
                            {.fd = f->ctx->wake_fd, .events = POLLIN}};
    int64_t left = until_ms == INT64_MAX ? -1 : until_ms > now ? until_ms - now : 0;

    (void)poll(fds, 2, left > INT32_MAX ? INT32_MAX : (int)left);
    return !(fds[1].revents & POLLIN);
}

/* ---- poll -------------------------------------------------------------------------------- */

static bool any_ready(const file_follow *f)
{
    for (size_t i = 0; i < f->count; i++)
        if (f->files[i]->ready)
            return true;
    return false;
}

/* Files of a pattern that are gone are forgotten. */
static void sweep(file_follow *f)
{
    if (!f->glob || f->opt->bounded)
        return;
    for (size_t i = 0; i < f->count;) {
        file_tracked *t = f->files[i];

        if (t->done) {
            f->files[i] = f->files[--f->count];
            file_tracked_free(f, t);
        } else {
            i++;
        }
    }
}

/* One turn over the files that are ready, beginning where the last one stopped, so that a busy
 * file does not starve the others. */
static int read_ready(file_follow *f, omc_batch *out, omc_error *err)
{
    size_t bytes = out->bytes_max ? out->bytes_max : BYTES_DEFAULT;
    int r = 0;

    for (size_t turn = 0; turn < f->count && r >= 0; turn++) {
        file_tracked *t = f->files[(f->next + turn) % f->count];
        file_emit emit = {.ctx = f->ctx,
                          .name = t->name,
                          .line_max = (size_t)f->opt->line_max,
                          .long_lines = f->long_lines,
                          .keep_end = strcmp(f->opt->terminator, "keep") == 0,
                          .topic = f->opt->topic,
                          .out = out,
                          .records_max = out->records_max ? out->records_max : RECORDS_DEFAULT,
                          .bytes_left = bytes,
                          .now_ms = file_now_ms()};

        if (!t->ready)
            continue;
        if (file_emit_full(&emit)) {
            f->next = (f->next + turn) % f->count;
            return 0;
        }
        r = file_tracked_step(f, t, &emit, err);
        bytes = emit.bytes_left;
    }
    f->next++;
    return r;
}

static bool all_done(const file_follow *f)
{
    for (size_t i = 0; i < f->count; i++)
        if (!f->files[i]->done)
            return false;
    return true;
}

int file_follow_poll(file_follow *f, omc_batch *out, int64_t timeout_ms, omc_error *err)
{
    int64_t now = file_monotonic_ms();
    int64_t deadline = timeout_ms < 0 ? INT64_MAX : now + timeout_ms;
    size_t before = out->count;

    for (;;) {
        int64_t due_ms;
        int r = 0;

        take_events(f);
        due_ms = take_timers(f, now);
        if (f->folder_lost)
            return omc_fail(err, OMC_ENOTFOUND, 0,
                            "folder '%s' was removed or renamed. Create it again and restart the "
                            "task",
                            f->folder);
        if (f->rescan && !f->opt->bounded)
            r = scan(f, true, err);
        if (r >= 0)
            r = read_ready(f, out, err);
        if (out->count > before)
            return (int)(out->count - before);
        if (r < 0)
            return r;
        sweep(f);
        if (f->opt->bounded && all_done(f))
            return OMC_FINISHED;
        if (any_ready(f))
            due_ms = 0; /* E.g. 64 MiB of a skipped line: look at wake_fd, go on. */
        else if (f->count)
            due_ms = take_timers(f, now);
        if (!wait_until(f, due_ms < deadline ? due_ms : deadline, now))
            return 0;
        now = file_monotonic_ms();
        if (now >= deadline)
            return 0;
    }
}
