/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file-sink: record values as lines of a file, each exactly once.
 *
 * With every commit the host stores, in one write with the offsets, the state {file, length,
 * inode, commit}. After a crash the file is cut to that length and the records after it come
 * again. All queues of a task are committed together, so all states of one commit are equal; a
 * queue that was not written for a while has an older one, and the newest (`commit` counts up)
 * covers the records of all. Before the first commit the start mark (target.h) plays its part.
 *
 * A put is all or nothing: when it fails, the file is as long as before it.
 */
#include "sink.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define TASK_WORD "${task}"
#define LOG(t, level, ...) (t)->ctx->log((t)->ctx->host, level, __VA_ARGS__)

typedef file_sink_task task;

#define OPT(member) offsetof(file_sink_options, member)

static const omc_option options[] = {
    {.name = "filename",
     .type = OMC_OPT_STRING,
     .flags = OMC_OPT_REQUIRED,
     .offset = OPT(filename),
     .aliases = "path",
     .doc = "File to append to; created when absent. With ${task} in it, which is replaced by "
            "the number of the task, several tasks write a file each."},
    {.name = "fsync",
     .type = OMC_OPT_CHOICE,
     .default_value = "commit",
     .choices = "commit|always|never",
     .offset = OPT(fsync),
     .doc = "When bytes are forced to the disk: before each commit of offsets, after each batch, "
            "or never. With 'never' a power cut can lose committed records; a crash of the "
            "process cannot."},
    {.name = "append.newline",
     .type = OMC_OPT_BOOLEAN,
     .default_value = "true",
     .offset = OPT(newline),
     .doc = "Write a newline after each record."},
    {.name = "null.value",
     .type = OMC_OPT_CHOICE,
     .default_value = "skip",
     .choices = "skip|empty",
     .offset = OPT(null_value),
     .doc = "A record without value (a tombstone) is left out or becomes an empty record. The "
            "Java sample writes the text null."},
    {.name = "if.missing",
     .type = OMC_OPT_CHOICE,
     .default_value = "fail",
     .choices = "fail|recreate",
     .offset = OPT(if_missing),
     .doc = "At start, when records were committed but their file is gone: fail, or go on in a "
            "new one."},
    {.name = "if.replaced",
     .type = OMC_OPT_CHOICE,
     .default_value = "fail",
     .choices = "fail|append",
     .offset = OPT(if_replaced),
     .doc = "At start, when the file is not the one committed to, or is shorter: fail, or go on "
            "at its end."},
};

/* ---- connector --------------------------------------------------------------------------- */

typedef struct connector {
    const omc_connector_context *ctx;
} connector;

static int connector_start(void *state, const omc_connector_context *ctx, omc_error *err)
{
    (void)err;
    ((connector *)state)->ctx = ctx;
    return 0;
}

/* Tasks cannot share a file, so without ${task} there is one, as in Java whatever max.tasks says.
 */
static int task_configs(void *state, int max_tasks, omc_task_configs *out, omc_error *err)
{
    const connector *c = state;
    const file_sink_options *opt = c->ctx->config->options;
    bool many = strstr(opt->filename, TASK_WORD) != NULL;
    const omc_keyvalue none = {0};
    int r = 0;

    if (max_tasks > 1 && !many)
        c->ctx->services->log(OMC_WARN, c->ctx->connector,
                              "max.tasks=%d, but one file has one writer: running one task. Put "
                              "${task} into 'filename' for a file per task",
                              max_tasks);
    for (int i = 0; i < (many ? max_tasks : 1) && r >= 0; i++)
        r = out->add(out, &none, err);
    return r;
}

/* ---- start ------------------------------------------------------------------------------- */

static char *path_of(const char *filename, int32_t task_id)
{
    const char *word = strstr(filename, TASK_WORD);
    size_t size = strlen(filename) + 16;
    char *path = file_malloc(size);

    if (word)
        (void)snprintf(path, size, "%.*s%" PRId32 "%s", (int)(word - filename), filename, task_id,
                       word + sizeof TASK_WORD - 1);
    else
        (void)snprintf(path, size, "%s", filename);
    return path;
}

static int init(void *state, const omc_sink_context *ctx, omc_error *err)
{
    task *t = state;

    (void)err;
    t->ctx = ctx;
    t->opt = ctx->config->options;
    t->path = path_of(t->opt->filename, ctx->task_id);
    file_target_init(&t->target, t->path, strcmp(t->opt->fsync, "never") != 0);
    return 0;
}

/* An existing file is opened and locked at once, so that a bad one fails here and not with the
 * first record. An absent one is created when open() knows that it may be. */
static int start(void *state, omc_error *err)
{
    task *t = state;
    int r = file_target_open(&t->target, false, err);
    char *folder;

    if (r <= 0)
        return r;
    folder = file_folder_of(t->path);
    r = access(folder, W_OK | X_OK) < 0
            ? file_fail_errno(err, OMC_ERR_FATAL, "create a file in folder", folder,
                              errno == ENOENT ? "Create the folder or correct 'filename'"
                                              : "Give the worker's user the right to write there")
            : 0;
    free(folder);
    return r;
}

static int open_queues(void *state, const omc_queue_offset *queues, size_t count, omc_error *err)
{
    task *t = state;
    int r = 0;

    /* Only the first time: later queues come while the file has bytes that are not committed. */
    if (!t->placed)
        r = file_sink_place(t, queues, count, err);
    if (r < 0)
        return r;
    if (!t->placed)
        t->ctx->count(t->ctx->host, "files_opened", 1);
    t->placed = true;
    t->queues += count;
    return 0;
}

/* Without queues the task may stay idle while another one writes: begin again from what is
 * committed when it gets some. */
static int close_queues(void *state, const omc_queue *queues, size_t count, omc_error *err)
{
    task *t = state;

    (void)queues;
    t->queues -= count < t->queues ? count : t->queues;
    if (t->queues == 0) {
        int r = file_target_sync(&t->target, err);

        file_target_release(&t->target);
        t->placed = t->offered = t->has_put = t->marked = false;
        return r;
    }
    return 0;
}

/* ---- records ----------------------------------------------------------------------------- */

static int refuse(task *t, const omc_record *rec, omc_error *err)
{
    omc_error why = {0};

    (void)omc_fail(&why, OMC_EFORMAT, 0,
                   "file '%s': the value is a struct, map or array, which has no plain text. Set "
                   "value.converter of this connector to "
                   "org.apache.rocketmq.connect.runtime.converter.record.StringConverter to write "
                   "the messages as they are",
                   t->path);
    return t->ctx->report(t->ctx->host, rec, &why, err);
}

static int put_record(task *t, const omc_record *rec, omc_error *err)
{
    char buf[FILE_NUMBER_MAX];
    omc_slice text = {0};

    if (rec->value.kind == OMC_NULL && strcmp(t->opt->null_value, "skip") == 0)
        return 0;
    if (rec->value.kind != OMC_NULL && file_value_text(&rec->value, buf, &text) < 0)
        return refuse(t, rec, err);
    return file_target_append(&t->target, text, t->opt->newline, err);
}

/* Before the first byte of a new sink. */
static int make_safe(task *t, omc_error *err)
{
    int r;

    if (t->offered && t->marked) {
        /* A put after a pre_commit: that commit is done. */
        file_mark_remove(&t->target);
        t->marked = false;
    }
    t->safe = t->safe || t->offered;
    if (t->safe)
        return 0;
    r = file_mark_write(&t->target, t->ctx->task, err);
    t->safe = t->marked = r >= 0;
    return r;
}

static int put(void *state, const omc_batch *batch, omc_error *err)
{
    task *t = state;
    int64_t before = file_target_length(&t->target);
    int r = make_safe(t, err);

    for (size_t i = 0; i < batch->count && r >= 0; i++)
        r = put_record(t, omc_batch_at(batch, i), err);
    if (r >= 0 && strcmp(t->opt->fsync, "always") == 0)
        r = file_target_sync(&t->target, err);
    if (r < 0) {
        int cut = file_target_cut(&t->target, before, err);

        return cut < 0 ? cut : r;
    }
    t->has_put = true;
    t->ctx->count(t->ctx->host, "bytes_written", file_target_length(&t->target) - before);
    return 0;
}

/* ---- commit ------------------------------------------------------------------------------ */

static int flush(void *state, omc_error *err)
{
    return file_target_sync(&((task *)state)->target, err);
}

/* Follows the name after everything is written: a rotated file is left, one that was truncated
 * (copytruncate) or written to by others is taken as it is. */
static int follow_name(task *t, omc_error *err)
{
    struct stat st;
    bool gone = stat(t->path, &st) < 0;

    if (gone || st.st_ino != t->target.ino || st.st_dev != t->target.dev) {
        int64_t length = t->target.length;
        int r = file_target_open(&t->target, true, err);

        if (r < 0)
            return r;
        LOG(t, OMC_INFO, "file '%s' was %s after %" PRId64 " bytes: going on in the new one",
            t->path, gone ? "removed or renamed" : "rotated", length);
        t->ctx->count(t->ctx->host, "rotations", 1);
        return 0;
    }
    if (st.st_size == t->target.length)
        return 0;
    if (st.st_size < t->target.length || !t->told_foreign)
        LOG(t, OMC_WARN,
            "file '%s' has %" PRId64 " bytes instead of %" PRId64
            ": somebody else %s. Going on at its end",
            t->path, (int64_t)st.st_size, t->target.length,
            st.st_size < t->target.length ? "truncated it" : "writes to it");
    t->told_foreign = t->told_foreign || st.st_size > t->target.length;
    t->target.length = st.st_size;
    return 0;
}

static const omc_map *state_map(const task *t, omc_arena *arena)
{
    omc_map *map = omc_alloc(arena, sizeof *map);
    omc_entry *e = omc_alloc(arena, 4 * sizeof *e);
    size_t len = strlen(t->path);

    e[0].key = omc_string(omc_slice_str("file"));
    e[0].value = omc_string(omc_slice_of(omc_copy(arena, t->path, len), len));
    e[1].key = omc_string(omc_slice_str("length"));
    e[1].value = omc_integer(OMC_INT64, t->target.length);
    e[2].key = omc_string(omc_slice_str("inode"));
    e[2].value = omc_integer(OMC_INT64, (int64_t)t->target.ino);
    e[3].key = omc_string(omc_slice_str("commit"));
    e[3].value = omc_integer(OMC_INT64, t->commits);
    map->count = 4;
    map->entries = e;
    return map;
}

static int pre_commit(void *state, omc_queue_offset *offsets, size_t count, omc_arena *arena,
                      omc_error *err)
{
    task *t = state;
    const omc_map *map;
    int r;

    if (!t->placed)
        return 0;
    r = file_target_sync(&t->target, err);
    if (r >= 0)
        r = follow_name(t, err);
    if (r < 0)
        return r;
    if (t->marked && t->offered) {
        file_mark_remove(&t->target);
        t->marked = false;
    }
    t->commits++;
    t->offered = t->offered || t->has_put;
    map = state_map(t, arena);
    for (size_t i = 0; i < count; i++)
        offsets[i].state = map;
    return 0;
}

static void stop(void *state)
{
    task *t = state;

    /* What is buffered is not committed and comes again. */
    if (t->path)
        file_target_release(&t->target);
    free(t->path);
    t->path = NULL;
}

static const omc_sink_ops ops = {
    .size = sizeof(omc_sink_ops),
    .connector_state_size = sizeof(connector),
    .task_state_size = sizeof(task),
    .connector_start = connector_start,
    .task_configs = task_configs,
    .init = init,
    .start = start,
    .open = open_queues,
    .close = close_queues,
    .put = put,
    .flush = flush,
    .pre_commit = pre_commit,
    .stop = stop,
};

const omc_plugin file_sink_plugin;
const omc_plugin file_sink_plugin = {
    .abi = OMC_ABI_CURRENT,
    .size = sizeof(omc_plugin),
    .kind = OMC_SINK,
    .name = "file-sink",
    .classes = "org.apache.rocketmq.connect.file.FileSinkConnector",
    .version = FILE_VERSION,
    .doc = "Appends record values to a file, each exactly once.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .option_size = sizeof(omc_option),
    .options_size = sizeof(file_sink_options),
    .ops = &ops,
};
