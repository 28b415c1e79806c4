/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a sink begins: the file beside what was committed of it. Each way in which the two can
 * differ has one function, which repairs what is ours to repair and else names the cure.
 */
#include "follow.h"
#include "sink.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOG(t, level, ...) (t)->ctx->log((t)->ctx->host, level, __VA_ARGS__)

typedef struct committed {
    bool found;
    int64_t length, inode, commit;
} committed;

/* The newest state of this file; states of other files came with queues of other tasks. */
static committed newest_state(const file_sink_task *t, const omc_queue_offset *queues, size_t count)
{
    committed best = {0};

    for (size_t i = 0; i < count; i++) {
        const omc_map *map = queues[i].state;
        const omc_value *file = omc_map_get(map, "file");
        committed c = {.found = true};

        if (!file || file->kind != OMC_STRING || !omc_slice_is(file->u.bytes, t->path) ||
            !omc_value_int64(omc_map_get(map, "length"), &c.length) || c.length < 0 ||
            !omc_value_int64(omc_map_get(map, "inode"), &c.inode))
            continue;
        (void)omc_value_int64(omc_map_get(map, "commit"), &c.commit);
        if (!best.found || c.commit > best.commit ||
            (c.commit == best.commit && c.length > best.length))
            best = c;
    }
    return best;
}

static int cut_file(file_sink_task *t, int64_t length, const char *why, omc_error *err)
{
    int64_t removed = t->target.length - length;
    int r = removed > 0 ? file_target_cut(&t->target, length, err) : 0;

    if (removed > 0 && r >= 0) {
        LOG(t, OMC_INFO, "file '%s': removed %" PRId64 " bytes %s; they are written again", t->path,
            removed, why);
        t->ctx->count(t->ctx->host, "removed_bytes", removed);
    }
    return r;
}

/* The file was rotated and the worker ended before it committed to the new one: the old file lies
 * beside it and may hold uncommitted bytes. @return whether that was so. */
static bool cut_rotated(file_sink_task *t, const committed *c)
{
    const file_committed want = {.inode = (ino_t)c->inode,
                                 .position = c->length,
                                 .print_hash = file_hash(NULL, 0)};
    char *path = file_sibling_find(t->path, &want);
    struct stat st;
    bool is = path && stat(path, &st) == 0 && st.st_ino == (ino_t)c->inode &&
              truncate(path, c->length) == 0;

    if (is)
        LOG(t, OMC_INFO, "file '%s' was rotated to '%s' (cut to the committed %" PRId64 " bytes)",
            t->path, path, c->length);
    free(path);
    return is;
}

static int resume_missing(file_sink_task *t, const committed *c, omc_error *err)
{
    if (c->length > 0 && strcmp(t->opt->if_missing, "recreate") != 0 && !cut_rotated(t, c))
        return omc_fail(err, OMC_ENOTFOUND, OMC_ERR_FATAL,
                        "file '%s' is gone, but %" PRId64 " bytes of it were committed. Restore "
                        "it, set if.missing=recreate to go on in a new file, or reset the "
                        "connector's offsets to write everything again",
                        t->path, c->length);
    return file_target_open(&t->target, true, err);
}

static int resume_replaced(file_sink_task *t, const committed *c, omc_error *err)
{
    if (strcmp(t->opt->if_replaced, "append") == 0) {
        (void)cut_rotated(t, c);
        LOG(t, OMC_WARN,
            "file '%s' is not the one committed to: going on at its end (%" PRId64 " bytes)",
            t->path, t->target.length);
        return 0;
    }
    if (t->target.length == 0 && cut_rotated(t, c))
        return 0;
    return omc_fail(err, OMC_ESTATE, OMC_ERR_FATAL,
                    "file '%s' was replaced: %" PRId64 " bytes were committed to inode %" PRId64
                    ", this one is inode %ju. Restore the old file, set if.replaced=append to go "
                    "on at the end of this one, or reset the connector's offsets",
                    t->path, c->length, c->inode, (uintmax_t)t->target.ino);
}

static int resume_shorter(file_sink_task *t, const committed *c, omc_error *err)
{
    if (strcmp(t->opt->if_replaced, "append") == 0) {
        LOG(t, OMC_WARN,
            "file '%s' has %" PRId64 " bytes but %" PRId64 " were committed: going on at its end",
            t->path, t->target.length, c->length);
        return 0;
    }
    return omc_fail(err, OMC_ESTATE, OMC_ERR_FATAL,
                    "file '%s' has %" PRId64 " bytes but %" PRId64 " were committed: somebody "
                    "truncated it. Restore it, set if.replaced=append to go on at its end, or "
                    "reset the connector's offsets",
                    t->path, t->target.length, c->length);
}

/* No committed state: a new sink, or one whose last run ended before its first commit. */
static int resume_fresh(file_sink_task *t, omc_error *err)
{
    int r = t->target.fd < 0 ? file_target_open(&t->target, true, err) : 0;
    int64_t length;

    if (r < 0)
        return r;
    length = file_mark_read(&t->target, t->ctx->task);
    t->safe = t->marked = length >= 0 && length <= t->target.length;
    return t->marked ? cut_file(t, length, "of a run that ended before its first commit", err) : 0;
}

int file_sink_place(file_sink_task *t, const omc_queue_offset *queues, size_t count, omc_error *err)
{
    committed c = newest_state(t, queues, count);
    int r = t->target.fd < 0 ? file_target_open(&t->target, false, err) : 0;

    if (r < 0)
        return r;
    if (!c.found)
        return resume_fresh(t, err);
    t->commits = c.commit;
    t->safe = true;
    file_mark_remove(&t->target);
    if (t->target.fd < 0)
        return resume_missing(t, &c, err);
    if ((int64_t)t->target.ino != c.inode)
        return resume_replaced(t, &c, err);
    if (t->target.length < c.length)
        return resume_shorter(t, &c, err);
    return cut_file(t, c.length, "behind the committed ones", err);
}
