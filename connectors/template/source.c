/* SPDX-License-Identifier: Apache-2.0 */
/**
 * template-source: a bounded source that emits "<greeting> 1" ... "<greeting> <count>".
 *
 * The least that a good source has: an option table, a position it can resume from, waiting
 * without burning the processor, and an end. docs/connector-guide.md walks through it.
 */
#include <openmessaging/connect.h>

#include <poll.h>

/* 1. Options: the host parses and checks them, and fills this struct. */
struct source_options {
    const char *greeting;
    int64_t count;
    int64_t interval_ms;
};

static const omc_option options[] = {
    {.name = "greeting",
     .type = OMC_OPT_STRING,
     .default_value = "greeting",
     .offset = offsetof(struct source_options, greeting),
     .doc = "Text every record begins with."},
    {.name = "count",
     .type = OMC_OPT_INT,
     .default_value = "10",
     .offset = offsetof(struct source_options, count),
     .doc = "Number of records in all.",
     .min = 1,
     .max = INT64_MAX},
    {.name = "interval",
     .type = OMC_OPT_DURATION_MS,
     .default_value = "0",
     .offset = offsetof(struct source_options, interval_ms),
     .doc = "Time between two polls; 0 = as fast as possible.",
     .max = 3600000},
};

/* 2. State of one task: zeroed by the host, one thread at a time, freed by the host. */
struct source {
    const omc_source_context *ctx;
    const struct source_options *options;
    int64_t last; /* number of the last record emitted */
};

/* 3. Where records come from. Constant here; a file source would name its file. */
static const omc_entry partition_entry = {
    {.kind = OMC_STRING, .u.bytes = {"source", 6}},
    {.kind = OMC_STRING, .u.bytes = {"template", 8}},
};
static const omc_map partition = {1, &partition_entry};

static int init(void *task, const omc_source_context *ctx, omc_error *err)
{
    struct source *s = task;

    (void)err;
    s->ctx = ctx;
    s->options = ctx->config->options;
    return 0;
}

/* 4. Continue behind the last record whose position was committed. */
static int start(void *task, omc_error *err)
{
    struct source *s = task;
    const omc_map *offset = NULL;
    int r = s->ctx->read_offset(s->ctx->host, &partition, NULL, &offset, err);

    if (r < 0)
        return r;
    (void)omc_value_int64(omc_map_get(offset, "last"), &s->last);
    s->ctx->log(s->ctx->host, OMC_INFO, "starts behind number %lld", (long long)s->last);
    return 0;
}

/* 5. Waits without using the processor, and not a moment longer than the host wants. */
static void wait_a_while(const struct source *s)
{
    struct pollfd wake = {.fd = s->ctx->wake_fd, .events = POLLIN};

    if (s->options->interval_ms > 0)
        (void)poll(&wake, 1, (int)s->options->interval_ms);
}

/* 6. The work: fill the batch; memory comes from the batch's arena. */
static int poll_records(void *task, omc_batch *out, int64_t timeout_ms, omc_error *err)
{
    struct source *s = task;

    (void)timeout_ms, (void)err;
    if (s->last >= s->options->count)
        return OMC_FINISHED;
    wait_a_while(s);
    while (s->last < s->options->count && out->count < out->records_max) {
        size_t room = strlen(s->options->greeting) + 24;
        char *text = omc_alloc(out->arena, room);
        omc_record *record = omc_batch_add(out);
        int len = snprintf(text, room, "%s %lld", s->options->greeting, (long long)s->last + 1);

        record->value = omc_string(omc_slice_of(text, (size_t)len));
        record->position.partition = &partition;
        record->position.counter_name = "last";
        record->position.counter = ++s->last;
        if (s->options->interval_ms > 0)
            break;
    }
    s->ctx->count(s->ctx->host, "greetings", (int64_t)out->count);
    return (int)out->count;
}

/* 7. The plugin: its functions, and how it is found. */
static const omc_source_ops ops = {
    .size = sizeof ops,
    .flags = OMC_SOURCE_REPLAYS, /* poll continues exactly behind any committed position */
    .task_state_size = sizeof(struct source),
    .init = init,
    .start = start,
    .poll = poll_records,
};

extern const omc_plugin template_source_plugin;
const omc_plugin template_source_plugin = {
    .abi = OMC_ABI_CURRENT,
    .size = sizeof template_source_plugin,
    .kind = OMC_SOURCE,
    .name = "template-source",
    .classes = "org.example.TemplateSourceConnector",
    .version = "1.0.0",
    .doc = "Emits numbered greetings.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .option_size = sizeof options[0],
    .options_size = sizeof(struct source_options),
    .ops = &ops,
};
