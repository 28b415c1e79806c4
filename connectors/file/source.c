/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file-source: lines of a file, or of all files of a pattern, as records.
 *
 * Record: value STRING with schema `<filename>_line`, no key, timestamp = when it was read; as
 * the Java sample, whose class name and keys it answers to. Differences to it: positions count
 * bytes, not characters; a lone "\r" is data, not a line end; a file that is rotated, truncated
 * or replaced is followed; `filename` must not be empty (Java reads stdin then).
 */
#include "follow.h"

#include <stdlib.h>

#define OPT(member) offsetof(file_source_options, member)
/* Below the largest message of RocketMQ (4 MiB), with room for its properties. */
#define LINE_MAX_MAX ((4 << 20) - (64 << 10))

static const omc_option options[] = {
    {.name = "filename",
     .type = OMC_OPT_STRING,
     .flags = OMC_OPT_REQUIRED,
     .offset = OPT(filename),
     .aliases = "path",
     .doc = "File to read. Its last part may be a pattern (*, ?, [a-z]): every file that matches "
            "is read, new ones too, each with its own position."},
    {.name = "files.pattern",
     .type = OMC_OPT_STRING,
     .offset = OPT(pattern),
     .doc = "Pattern of the names of files to read; 'filename' is their folder then."},
    {.name = "start",
     .type = OMC_OPT_CHOICE,
     .default_value = "beginning",
     .choices = "beginning|end",
     .offset = OPT(start),
     .doc = "Where a file without a committed position begins. 'end' applies to files that exist "
            "at the start; files that appear later are read from their beginning."},
    {.name = "bounded",
     .type = OMC_OPT_BOOLEAN,
     .default_value = "false",
     .offset = OPT(bounded),
     .doc = "Read up to the present end of each file, a last line without newline included, and "
            "finish. Otherwise follow the files for ever."},
    {.name = "line.max.bytes",
     .type = OMC_OPT_SIZE,
     .default_value = "1MiB",
     .min = 1,
     .max = LINE_MAX_MAX,
     .offset = OPT(line_max),
     .doc = "Longest line in bytes, without its line end. See long.lines."},
    {.name = "long.lines",
     .type = OMC_OPT_CHOICE,
     .default_value = "fail",
     .choices = "fail|split|truncate|skip",
     .offset = OPT(long_lines),
     .doc = "A line longer than line.max.bytes fails the task, becomes several records, is cut, "
            "or is left out. UTF-8 characters are not cut in two."},
    {.name = "line.terminator",
     .type = OMC_OPT_CHOICE,
     .default_value = "strip",
     .choices = "strip|keep",
     .offset = OPT(terminator),
     .doc = "Whether a record is the line alone, or also has its end: \\n, \\r\\n, or nothing for "
            "a last line without one. With 'keep' here and append.newline=false at file-sink a "
            "file is copied byte for byte; long.lines=split keeps that for lines of any length."},
    {.name = "topic",
     .type = OMC_OPT_STRING,
     .offset = OPT(topic),
     .doc = "Topic of the records, as extension 'topic'; otherwise connect.topicname counts."},
    {.name = "final.line.timeout",
     .type = OMC_OPT_DURATION_MS,
     .default_value = "0",
     .min = 0,
     .max = INT64_C(86400000),
     .offset = OPT(final_line_ms),
     .doc = "While following: a last line without newline counts as whole after this long "
            "without change. 0 = wait for its newline."},
    {.name = "rotate.wait",
     .type = OMC_OPT_DURATION_MS,
     .default_value = "1s",
     .min = 0,
     .max = INT64_C(3600000),
     .offset = OPT(rotate_wait_ms),
     .doc = "How long a rotated file must be quiet before its successor is read: writers may "
            "still have it open."},
    {.name = "check.interval",
     .type = OMC_OPT_DURATION_MS,
     .default_value = "0",
     .min = 0,
     .max = INT64_C(86400000),
     .offset = OPT(check_ms),
     .doc = "Look at the files this often in addition to inotify, which does not see changes "
            "made over NFS by other machines or through mmap. 0 = no timer."},
    {.name = "batch.size",
     .type = OMC_OPT_INT,
     .flags = OMC_OPT_IGNORED,
     .offset = OMC_OPT_NOT_STORED,
     .doc = "Declared by the Java sample, which ignores it as well."},
};

typedef struct connector {
    const omc_connector_context *ctx;
} connector;

static int validate(const omc_config *config, omc_error *err)
{
    const file_source_options *opt = config->options;
    char *folder = NULL, *glob = NULL;
    int r = file_pattern_split(opt, &folder, &glob, err);

    free(folder);
    free(glob);
    /* A cut line has lost its end, so whoever writes records as they are would join two lines. */
    if (r >= 0 && strcmp(opt->terminator, "keep") == 0 && strcmp(opt->long_lines, "truncate") == 0)
        return omc_fail(err, OMC_EINVAL, OMC_ERR_FATAL,
                        "long.lines=truncate cuts off the line end that line.terminator=keep asks "
                        "for. Set long.lines to split (keeps every byte), skip or fail, or "
                        "line.terminator to strip");
    return r;
}

static int connector_start(void *state, const omc_connector_context *ctx, omc_error *err)
{
    (void)err;
    ((connector *)state)->ctx = ctx;
    return 0;
}

/* One task for one file. The files of a pattern are dealt out by the hash of their names, which
 * each task works out alone, so a new file needs no reconfiguration. */
static int task_configs(void *state, int max_tasks, omc_task_configs *out, omc_error *err)
{
    connector *c = state;
    const omc_keyvalue none = {0};
    char *folder = NULL, *glob = NULL;
    int r = file_pattern_split(c->ctx->config->options, &folder, &glob, err);
    int tasks = glob && max_tasks > 1 ? max_tasks : 1;

    for (int i = 0; i < tasks && r >= 0; i++)
        r = out->add(out, &none, err);
    free(folder);
    free(glob);
    return r;
}

typedef struct task {
    const omc_source_context *ctx;
    bool started;
    file_follow follow;
} task;

static int init(void *state, const omc_source_context *ctx, omc_error *err)
{
    (void)err;
    ((task *)state)->ctx = ctx;
    return 0;
}

static int start(void *state, omc_error *err)
{
    task *t = state;

    t->started = true;
    return file_follow_start(&t->follow, t->ctx, err);
}

static int poll_lines(void *state, omc_batch *out, int64_t timeout_ms, omc_error *err)
{
    return file_follow_poll(&((task *)state)->follow, out, timeout_ms, err);
}

static void stop(void *state)
{
    task *t = state;

    if (t->started)
        file_follow_release(&t->follow);
    t->started = false;
}

static const omc_source_ops ops = {
    .size = sizeof(omc_source_ops),
    .flags = OMC_SOURCE_REPLAYS,
    .connector_state_size = sizeof(connector),
    .task_state_size = sizeof(task),
    .validate = validate,
    .connector_start = connector_start,
    .task_configs = task_configs,
    .init = init,
    .start = start,
    .poll = poll_lines,
    .stop = stop,
};

const omc_plugin file_source_plugin;
const omc_plugin file_source_plugin = {
    .abi = OMC_ABI_CURRENT,
    .size = sizeof(omc_plugin),
    .kind = OMC_SOURCE,
    .name = "file-source",
    .classes = "org.apache.rocketmq.connect.file.FileSourceConnector",
    .version = FILE_VERSION,
    .doc = "Reads the lines of one or many growing files.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .option_size = sizeof(omc_option),
    .options_size = sizeof(file_source_options),
    .ops = &ops,
};
