/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One followed name. `moved` and `gone` are nothing but what stat(2) of the name says beside the
 * descriptor being read; every decision is taken again from them, so there is no state machine
 * that could disagree with the disk.
 */
#include "follow.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_EVENTS (IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF)
#define LOG(f, level, ...) (f)->ctx->log((f)->ctx->host, level, __VA_ARGS__)

static void count(file_follow *f, const char *name)
{
    f->ctx->count(f->ctx->host, name, 1);
}

static int watch(file_follow *f, const char *path, uint32_t events)
{
    int wd;

    if (f->inotify < 0)
        return -1;
    wd = inotify_add_watch(f->inotify, path, events);
    if (wd < 0 && errno == ENOSPC && f->check_ms == 0) {
        f->check_ms = 1000;
        LOG(f, OMC_WARN,
            "no inotify watches are left (raise fs.inotify.max_user_watches): looking at the "
            "files every second instead");
    }
    return wd;
}

/* Two names of one file (a link) share its watch. */
static void unwatch(file_follow *f, const file_tracked *t, int *wd)
{
    bool shared = false;

    for (size_t i = 0; i < f->count; i++)
        shared |= f->files[i] != t && (f->files[i]->wd == *wd || f->files[i]->wd_next == *wd);
    if (*wd >= 0 && !shared)
        (void)inotify_rm_watch(f->inotify, *wd);
    *wd = -1;
}

/* What the name leads to now. */
static void look(file_follow *f, file_tracked *t)
{
    bool moved = false, gone;
    struct stat st;

    t->check = false;
    gone = stat(t->name, &st) < 0;
    if (!gone && t->reader.fd >= 0)
        moved = st.st_ino != t->reader.ino || st.st_dev != t->reader.dev;
    if ((moved && !t->moved) || (gone && !t->gone))
        t->changed_ms = file_monotonic_ms(); /* rotate.wait counts from here. */
    if (moved)
        t->wd_next = watch(f, t->name, IN_MODIFY);
    t->moved = moved;
    t->gone = gone;
}

/* After a reader was opened, be it the first or another one. */
static void opened(file_follow *f, file_tracked *t)
{
    char self[32];

    unwatch(f, t, &t->wd);
    unwatch(f, t, &t->wd_next);
    /* Through the descriptor, so that it is this file even if the name moved on. */
    (void)snprintf(self, sizeof self, "/proc/self/fd/%d", t->reader.fd);
    t->wd = watch(f, self, FILE_EVENTS);
    if (t->wd < 0)
        t->wd = watch(f, t->name, FILE_EVENTS);
    if (f->opt->bounded)
        t->reader.limit = file_reader_size(&t->reader);
    t->ready = true;
    t->told = false;
    t->changed_ms = file_monotonic_ms();
    count(f, "files_opened");
}

static int absent(file_follow *f, file_tracked *t, omc_error *err)
{
    if (f->opt->bounded)
        return omc_fail(err, OMC_ENOTFOUND, OMC_ERR_FATAL,
                        "file '%s' does not exist. Create it, correct 'filename', or set "
                        "bounded=false to wait for it",
                        t->name);
    if (!t->told)
        LOG(f, OMC_INFO, "file '%s' does not exist yet: waiting for it", t->name);
    t->told = true;
    t->gone = true;
    return 0;
}

/* Opens the file of the name, or notes that there is none. A reader that is open stays as it is
 * until the new one is. */
static int open_named(file_follow *f, file_tracked *t, omc_error *err)
{
    int r = file_reader_open(&t->reader, t->name, err);

    if (r == -OMC_ENOTFOUND)
        return absent(f, t, err);
    if (r < 0)
        return r;
    t->moved = t->gone = false;
    opened(f, t);
    return 0;
}

static int open_sibling(file_follow *f, file_tracked *t, const char *path, omc_error *err)
{
    int r = file_reader_open(&t->reader, path, err);

    if (r == -OMC_ENOTFOUND)
        err->flags = OMC_ERR_RETRIABLE; /* Rotated once more just now: look again. */
    if (r < 0)
        return r;
    opened(f, t);
    look(f, t);
    return 0;
}

/* Behind the last whole line, so that a line being written counts as one of the future. */
static int seek_end(file_follow *f, file_tracked *t, omc_error *err)
{
    char chunk[4096];
    int64_t end = file_reader_size(&t->reader), floor = end - f->opt->line_max, at = end;

    while (at > 0 && at > floor) {
        size_t len = at < (int64_t)sizeof chunk ? (size_t)at : sizeof chunk;
        ssize_t n = file_pread(t->reader.fd, chunk, len, at - (int64_t)len);
        const char *nl;

        if (n < 0)
            return file_fail_errno(err, 0, "read file", t->name, NULL);
        nl = memrchr(chunk, '\n', (size_t)n);
        if (nl) {
            at = at - (int64_t)len + (nl + 1 - chunk);
            break;
        }
        at -= (int64_t)len;
    }
    file_reader_seek(&t->reader, at > 0 && at <= floor ? end : at);
    return 0;
}

/* A position without our fingerprint: Java's, which counts characters, or one set by hand. It is
 * taken only where it can be right. */
static int seek_foreign(file_tracked *t, const file_committed *c, omc_error *err)
{
    int64_t size = file_reader_size(&t->reader);
    char before = '\n';

    if (c->position <= size && c->position > 0 && c->position < size &&
        file_pread(t->reader.fd, &before, 1, c->position - 1) < 0)
        return file_fail_errno(err, 0, "read file", t->name, NULL);
    if (c->position > size || before != '\n')
        return omc_fail(err, OMC_EFORMAT, OMC_ERR_FATAL,
                        "file '%s' (%" PRId64 " bytes): the committed position %" PRId64
                        " is not at the beginning of a line. The Java runtime counts characters, "
                        "which differ from bytes after any text that is not ASCII. Set the "
                        "connector's offset to {\"position\": <byte of a line start>}, or delete "
                        "it and choose start=beginning or start=end",
                        t->name, size, c->position);
    file_reader_seek(&t->reader, c->position);
    return 0;
}

/* The file is not the one the committed position speaks of, or was cut since. */
static int seek_replaced(file_follow *f, file_tracked *t, const file_committed *c, omc_error *err)
{
    char *path = file_sibling_find(t->name, c);
    bool named = t->reader.fd >= 0;
    int r = 0;

    if (path) {
        LOG(f, OMC_INFO,
            "file '%s' was rotated while we were away: reading '%s' on from byte %" PRId64, t->name,
            path, c->position);
        r = open_sibling(f, t, path, err);
        if (r >= 0) {
            file_reader_seek(&t->reader, c->position);
            t->reader.skipping = c->skip;
        }
        count(f, "rotations");
    } else if (named && file_committed_fits(c, t->reader.fd)) {
        LOG(f, OMC_INFO, "file '%s' was copied or restored: going on at byte %" PRId64, t->name,
            c->position);
        file_reader_seek(&t->reader, c->position);
        t->reader.skipping = c->skip;
    } else if (named) {
        bool cut = t->reader.ino == c->inode;

        LOG(f, OMC_WARN,
            "file '%s' was %s while we were away: read up to byte %" PRId64 " of the old content, "
            "which is not beside it any more; starting at byte 0 of the %" PRId64 " bytes now",
            t->name, cut ? "truncated" : "replaced", c->position, file_reader_size(&t->reader));
        count(f, cut ? "truncations" : "rotations");
        file_reader_seek(&t->reader, 0);
    }
    free(path);
    return r;
}

/* Puts a newly opened reader where the committed position says. */
static int place(file_follow *f, file_tracked *t, bool late, omc_error *err)
{
    file_committed c;
    int r = file_committed_read(f->ctx, t->name, &c, err);

    if (r < 0)
        return r;
    if (c.found && c.ours) {
        if (t->reader.fd < 0 || t->reader.ino != c.inode || !file_committed_fits(&c, t->reader.fd))
            return seek_replaced(f, t, &c, err);
        file_reader_seek(&t->reader, c.position);
        t->reader.skipping = c.skip;
        return 0;
    }
    if (t->reader.fd < 0)
        return 0;
    if (c.found)
        return seek_foreign(t, &c, err);
    return late || strcmp(f->opt->start, "end") != 0 ? 0 : seek_end(f, t, err);
}

int file_tracked_new(file_follow *f, const char *name, bool late, file_tracked **ret,
                     omc_error *err)
{
    file_tracked *t = file_malloc(sizeof *t);
    int r;

    memset(t, 0, sizeof *t);
    t->name = file_strdup(name);
    t->wd = t->wd_next = -1;
    t->due_ms = INT64_MAX;
    file_reader_init(&t->reader);
    r = open_named(f, t, err);
    if (r >= 0)
        r = place(f, t, late, err);
    if (r < 0) {
        file_tracked_free(f, t);
        return r;
    }
    *ret = t;
    return 0;
}

void file_tracked_free(file_follow *f, file_tracked *t)
{
    unwatch(f, t, &t->wd);
    unwatch(f, t, &t->wd_next);
    file_reader_release(&t->reader);
    free(t->name);
    free(t);
}

static bool quiet(const file_follow *f, const file_tracked *t)
{
    return file_monotonic_ms() - t->changed_ms >= f->opt->rotate_wait_ms;
}

/* Whether the file being read may be left at its end. Asked before it is read there: bytes that
 * come to the new file first cannot be overtaken by older ones then. */
static bool may_leave(const file_follow *f, const file_tracked *t)
{
    struct stat st;

    if (f->opt->bounded)
        return t->moved;
    if (t->gone)
        return f->glob && quiet(f, t);
    return t->moved && quiet(f, t) && stat(t->name, &st) == 0 && st.st_size > 0;
}

/* Goes on to the next file of the name. When that fails, the old one stays open and the next step
 * fails the same way, so that no file in between is passed over. */
static int leave(file_follow *f, file_tracked *t, omc_error *err)
{
    char *path = file_sibling_next(t->name, &t->reader);
    int64_t pos = t->reader.pos;
    bool gone = t->gone;
    int r = 0;

    if (path) {
        r = open_sibling(f, t, path, err);
    } else if (!gone) {
        r = open_named(f, t, err);
    } else {
        unwatch(f, t, &t->wd);
        file_reader_release(&t->reader);
        t->done = true;
    }
    free(path);
    if (r >= 0) {
        LOG(f, OMC_INFO, "file '%s' was %s: the old one is read to its end at byte %" PRId64,
            t->name, gone ? "removed" : "rotated", pos);
        count(f, "rotations");
    }
    return r;
}

static void restart(file_follow *f, file_tracked *t, const char *what)
{
    LOG(f, OMC_WARN, "file '%s' was %s at %" PRId64 " bytes read: starting at byte 0", t->name,
        what, t->reader.pos);
    count(f, "truncations");
    file_reader_seek(&t->reader, 0);
}

/* New bytes after an end: are they behind the old ones, or is this a new content? */
static void check_content(file_follow *f, file_tracked *t)
{
    if (file_reader_size(&t->reader) < t->reader.pos)
        restart(f, t, "truncated");
    else if (!file_reader_same(&t->reader))
        restart(f, t, "rewritten");
}

/* When to look again without an event. */
static int64_t due(const file_follow *f, const file_tracked *t)
{
    if ((t->moved || (t->gone && f->glob)) && t->reader.fd >= 0 && !quiet(f, t))
        return t->changed_ms + f->opt->rotate_wait_ms;
    if (t->reader.held && f->opt->final_line_ms > 0)
        return t->changed_ms + f->opt->final_line_ms;
    return INT64_MAX;
}

/* Reads; a partial last line that was quiet for final.line.timeout counts as one. */
static int fill(file_follow *f, file_tracked *t, file_emit *emit, bool final, omc_error *err)
{
    int64_t before = t->reader.pos + t->reader.held;
    int r = file_reader_fill(&t->reader, emit, final, err);

    if (t->reader.pos + t->reader.held != before)
        t->changed_ms = file_monotonic_ms();
    if (r == 1 && t->reader.held && f->opt->final_line_ms > 0 &&
        file_monotonic_ms() - t->changed_ms >= f->opt->final_line_ms)
        r = file_reader_fill(&t->reader, emit, true, err);
    return r;
}

/* A file that was not there at the start, and is now, may be the one of the committed position. */
static int open_absent(file_follow *f, file_tracked *t, omc_error *err)
{
    int r = open_named(f, t, err);

    if (r >= 0 && t->reader.fd >= 0)
        r = place(f, t, true, err);
    if (r < 0)
        file_reader_release(&t->reader);
    return r;
}

int file_tracked_step(file_follow *f, file_tracked *t, file_emit *emit, omc_error *err)
{
    int r = 0;

    if (t->check)
        look(f, t);
    if (t->reader.fd < 0) {
        t->ready = false;
        if (!t->gone)
            r = open_absent(f, t, err);
        if (r < 0 || t->reader.fd < 0)
            return r;
    }
    if (t->reader.at_end && !f->opt->bounded)
        check_content(f, t);
    for (;;) {
        bool leaving = may_leave(f, t);

        r = fill(f, t, emit, leaving || f->opt->bounded, err);
        t->ready = r == 0;
        if (r <= 0)
            return r;
        if (!f->opt->bounded && file_reader_size(&t->reader) < t->reader.pos) {
            restart(f, t, "truncated");
        } else if (leaving) {
            r = leave(f, t, err);
            t->ready = r < 0;
            if (r < 0 || t->done)
                return r;
        } else {
            t->done = f->opt->bounded;
            t->due_ms = due(f, t);
            return 0;
        }
    }
}
