/* SPDX-License-Identifier: Apache-2.0 */
/**
 * template-sink: appends the text of every record to a file, one per line.
 *
 * The least that a good sink has: put, a flush that makes what was put durable, and a record it
 * cannot write reported alone instead of failing the task. At least once: what was put and not yet
 * committed comes again after a crash. docs/connector-guide.md walks through it.
 */
#include <openmessaging/connect.h>

#include <errno.h>
#include <unistd.h>

struct sink_options {
    const char *filename;
};

static const omc_option options[] = {
    {.name = "filename",
     .type = OMC_OPT_STRING,
     .flags = OMC_OPT_REQUIRED,
     .offset = offsetof(struct sink_options, filename),
     .doc = "File that records are appended to."},
};

struct sink {
    const omc_sink_context *ctx;
    const struct sink_options *options;
    FILE *out;
};

/* Errors name the key, the value, what happened and what to do. */
static int fail(const struct sink *s, const char *what, uint32_t flags, omc_error *err)
{
    return omc_fail(err, errno == ENOSPC ? OMC_ENOSPC : OMC_EIO, flags, "%s filename '%s': %s",
                    what, s->options->filename, strerror(errno));
}

static int init(void *task, const omc_sink_context *ctx, omc_error *err)
{
    struct sink *s = task;

    (void)err;
    s->ctx = ctx;
    s->options = ctx->config->options;
    return 0;
}

static int start(void *task, omc_error *err)
{
    struct sink *s = task;

    s->out = fopen(s->options->filename, "ae");
    return s->out ? 0 : fail(s, "open", 0, err);
}

/* A batch is borrowed: nothing of it may be kept when this returns. After a retriable error the
 * same batch comes again, so its first records may be written twice. */
static int put(void *task, const omc_batch *batch, omc_error *err)
{
    struct sink *s = task;

    for (size_t i = 0; i < batch->count; i++) {
        const omc_record *record = omc_batch_at(batch, i);
        omc_slice text = record->value.u.bytes;

        if (record->value.kind != OMC_STRING && record->value.kind != OMC_BYTES) {
            omc_error why = {0, 0, ""};
            int r;

            (void)omc_fail(&why, OMC_EFORMAT, 0,
                           "the value is no text: use the StringConverter as value.converter");
            r = s->ctx->report(s->ctx->host, record, &why, err);
            if (r < 0)
                return r;
            continue;
        }
        if (fwrite(text.base, 1, text.len, s->out) != text.len || fputc('\n', s->out) == EOF)
            return fail(s, "write to", OMC_ERR_RETRIABLE, err);
    }
    return 0;
}

/* Called before offsets are committed: after this nothing put so far may get lost. */
static int flush(void *task, omc_error *err)
{
    struct sink *s = task;

    if (fflush(s->out) == EOF || fsync(fileno(s->out)) < 0)
        return fail(s, "flush", OMC_ERR_RETRIABLE, err);
    return 0;
}

/* Also called when start failed, so everything may still be zero. */
static void stop(void *task)
{
    struct sink *s = task;

    if (s->out)
        (void)fclose(s->out);
}

static const omc_sink_ops ops = {
    .size = sizeof ops,
    .task_state_size = sizeof(struct sink),
    .init = init,
    .start = start,
    .put = put,
    .flush = flush,
    .stop = stop,
};

extern const omc_plugin template_sink_plugin;
const omc_plugin template_sink_plugin = {
    .abi = OMC_ABI_CURRENT,
    .size = sizeof template_sink_plugin,
    .kind = OMC_SINK,
    .name = "template-sink",
    .classes = "org.example.TemplateSinkConnector",
    .version = "1.0.0",
    .doc = "Appends records to a file.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .option_size = sizeof options[0],
    .options_size = sizeof(struct sink_options),
    .ops = &ops,
};
