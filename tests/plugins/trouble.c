/* SPDX-License-Identifier: Apache-2.0 */
/**
 * trouble.so: a source and a sink that misbehave on demand, for the tests of the worker.
 *
 * `trouble-source` (org.example.TroubleSourceConnector) emits "<text>-<n>", n = 0, 1, ... as STRING
 * values; it replays from its position {"source": <connector>, "task": <id>} / {"next": n}.
 * `trouble-sink` (org.example.TroubleSinkConnector) appends values to `path`, one per line.
 *
 * Calls are named: validate connector_start task_configs connector_stop init start open close poll
 * put put_late (the end of put, when all is written) flush pre_commit commit stop.
 *
 *   block          call that never returns (it ignores wake_fd)
 *   crash          call that dies of a trap
 *   havoc          what `havoc.call` does to its process: exit, segv, spin, hog (memory), flood
 *                  (1 GiB on standard output, then it goes on), garbage (on all its sockets)
 *   once           a file: block, crash and havoc happen only as long as it is not there
 *   fail           call that fails; fail.times (1; -1 = always), fail.retriable (false),
 *                  fail.fatal (false), fail.text
 *   raise          true: raise_error() from connector_start
 *   after          records the task has moved before block, crash and fail begin (0)
 *   count          source: records in all (-1 = no end); finish (true) = then OMC_FINISHED
 *   batch          source: records per poll (100)
 *   interval       source: pause between polls that give records (0)
 *   key            source: true = key "k<n>"
 *   null.every     source: every n-th value is null (0 = none)
 *   tasks          number of tasks task_configs makes (1), at most max.tasks
 *   slow           sink: time each put takes (0)
 *   report.every   sink: every n-th record is reported as refused (0 = none); report.ignored
 *                  (false) = it does not look at the answer
 *   path           sink: file the values go to; empty = nowhere
 *   text           source: what values begin with ("trouble")
 *
 * Failures are counted per connector and call for the life of the process, so that fail.times = 2
 * on start means: the first two starts fail, the third works, across restarts of the task.
 */
#include <openmessaging/connect.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef struct options {
    const char *block, *crash, *havoc, *havoc_call, *once, *fail, *fail_text, *path, *text;
    int64_t fail_times, after, count, batch, interval_ms, null_every, tasks, slow_ms, report_every;
    bool fail_retriable, fail_fatal, raise, finish, key, report_ignored;
} options;

#define CALLS                                                                                   \
    "none|validate|connector_start|task_configs|connector_stop|init|start|open|close|poll|put|" \
    "put_late|flush|pre_commit|commit|stop"
#define AT(member) offsetof(options, member)
#define CALL_OPTION(name_, member)                                                              \
    {                                                                                           \
        .name = (name_), .type = OMC_OPT_CHOICE, .default_value = "none", .offset = AT(member), \
        .doc = "A call.", .choices = CALLS                                                      \
    }
#define INT_OPTION(name_, default_, member)                                                      \
    {                                                                                            \
        .name = (name_), .type = OMC_OPT_INT, .default_value = (default_), .offset = AT(member), \
        .doc = "A number.", .min = -1, .max = INT64_MAX                                          \
    }
#define TIME_OPTION(name_, member)                                                                \
    {                                                                                             \
        .name = (name_), .type = OMC_OPT_DURATION_MS, .default_value = "0", .offset = AT(member), \
        .doc = "A time."                                                                          \
    }
#define BOOL_OPTION(name_, default_, member)                                   \
    {                                                                          \
        .name = (name_), .type = OMC_OPT_BOOLEAN, .default_value = (default_), \
        .offset = AT(member), .doc = "A switch."                               \
    }
#define TEXT_OPTION(name_, default_, member)                                  \
    {                                                                         \
        .name = (name_), .type = OMC_OPT_STRING, .default_value = (default_), \
        .offset = AT(member), .doc = "A text."                                \
    }

static const omc_option table[] = {
    CALL_OPTION("block", block),
    CALL_OPTION("crash", crash),
    {.name = "havoc",
     .type = OMC_OPT_CHOICE,
     .default_value = "none",
     .offset = AT(havoc),
     .doc = "A deed.",
     .choices = "none|exit|segv|spin|hog|flood|garbage"},
    CALL_OPTION("havoc.call", havoc_call),
    TEXT_OPTION("once", NULL, once),
    CALL_OPTION("fail", fail),
    INT_OPTION("fail.times", "1", fail_times),
    BOOL_OPTION("fail.retriable", "false", fail_retriable),
    BOOL_OPTION("fail.fatal", "false", fail_fatal),
    TEXT_OPTION("fail.text", "as told", fail_text),
    BOOL_OPTION("raise", "false", raise),
    INT_OPTION("after", "0", after),
    INT_OPTION("count", "-1", count),
    BOOL_OPTION("finish", "true", finish),
    INT_OPTION("batch", "100", batch),
    TIME_OPTION("interval", interval_ms),
    BOOL_OPTION("key", "false", key),
    INT_OPTION("null.every", "0", null_every),
    INT_OPTION("tasks", "1", tasks),
    TIME_OPTION("slow", slow_ms),
    INT_OPTION("report.every", "0", report_every),
    BOOL_OPTION("report.ignored", "false", report_ignored),
    TEXT_OPTION("path", NULL, path),
    TEXT_OPTION("text", "trouble", text),
};

/* ---- misbehaviour ------------------------------------------------------------------------- */

/** How often a call of a connector has failed; outlives tasks. */
typedef struct tally {
    char key[256];
    int64_t failures;
} tally;

static pthread_mutex_t tally_mu = PTHREAD_MUTEX_INITIALIZER;
static tally tallies[256]; /* @locks tally_mu */

/** True while the failures of `call` have not reached fail.times; counts this one. */
static bool still_fails(const options *o, const char *connector, const char *call)
{
    char key[256];
    bool fails = o->fail_times < 0;

    (void)snprintf(key, sizeof key, "%s/%s", connector, call);
    (void)pthread_mutex_lock(&tally_mu);
    for (size_t i = 0; !fails && i < sizeof tallies / sizeof tallies[0]; i++) {
        if (!tallies[i].key[0])
            memcpy(tallies[i].key, key, sizeof key);
        if (strcmp(tallies[i].key, key) == 0) {
            fails = tallies[i].failures < o->fail_times;
            tallies[i].failures += fails;
            break;
        }
    }
    (void)pthread_mutex_unlock(&tally_mu);
    return fails;
}

/** False when `once` is a file that is there; else it is from now on. */
static bool first_time(const options *o)
{
    int fd;

    if (!o->once || !*o->once)
        return true;
    fd = open(o->once, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd >= 0)
        (void)close(fd);
    return fd >= 0;
}

/** Bytes of all kinds, `count` of them, to `fd`. */
static void spill(int fd, bool lines, size_t count)
{
    char block[1 << 16];

    for (size_t i = 0; i < sizeof block; i++)
        block[i] = (char)(!lines ? i * i * 31 + i : i % 100 == 99 ? '\n' : 'x');
    while (count > 0) {
        ssize_t n = write(fd, block, count < sizeof block ? count : sizeof block);

        if (n < 0)
            return;
        count -= (size_t)n;
    }
}

static void make_havoc(const char *deed)
{
    static volatile char *volatile nowhere;

    if (strcmp(deed, "exit") == 0)
        _exit(7);
    if (strcmp(deed, "segv") == 0)
        *nowhere = 1;
    while (strcmp(deed, "spin") == 0)
        nowhere = NULL;
    for (char *hog; strcmp(deed, "hog") == 0;) {
        hog = malloc(1 << 20);
        *(volatile char *)hog = 1; /* as careless code would */
    }
    if (strcmp(deed, "flood") == 0)
        spill(1, true, (size_t)1 << 30);
    for (int fd = 0; fd < 64 && strcmp(deed, "garbage") == 0; fd++) {
        struct stat st;

        if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode))
            spill(fd, false, 100000);
    }
}

/** Does what the options ask of `call`; `moved` records went through the task so far. */
static int misbehave(const options *o, const char *connector, const char *call, int64_t moved,
                     omc_error *err)
{
    uint32_t flags;

    if (moved < o->after)
        return 0;
    if (strcmp(o->block, call) == 0 && first_time(o))
        for (;;)
            (void)pause();
    if (strcmp(o->havoc_call, call) == 0 && first_time(o))
        make_havoc(o->havoc);
    if (strcmp(o->crash, call) == 0 && first_time(o))
        __builtin_trap(); /* raise() would wait: the host's threads block signals */
    if (strcmp(o->fail, call) != 0 || !still_fails(o, connector, call))
        return 0;
    flags = (o->fail_retriable ? OMC_ERR_RETRIABLE : 0) | (o->fail_fatal ? OMC_ERR_FATAL : 0);
    return omc_fail(err, OMC_EIO, flags, "%s fails: %s", call, o->fail_text);
}

/* ---- the connector half, the same for both -------------------------------------------------- */

typedef struct connector {
    const omc_connector_context *ctx;
} connector;

static int validate(const omc_config *config, omc_error *err)
{
    return misbehave(config->options, "?", "validate", INT64_MAX, err);
}

static int connector_start(void *state, const omc_connector_context *ctx, omc_error *err)
{
    const options *o = ctx->config->options;

    ((connector *)state)->ctx = ctx;
    if (o->raise) {
        omc_error why = {0};

        (void)omc_fail(&why, OMC_ECONNECT, 0, "raised by the connector: %s", o->fail_text);
        ctx->raise_error(ctx->host, &why);
    }
    return misbehave(o, ctx->connector, "connector_start", INT64_MAX, err);
}

static int task_configs(void *state, int max_tasks, omc_task_configs *out, omc_error *err)
{
    const omc_connector_context *ctx = ((connector *)state)->ctx;
    const options *o = ctx->config->options;
    int r = misbehave(o, ctx->connector, "task_configs", INT64_MAX, err);

    for (int i = 0; r == 0 && i < max_tasks && i < (int)o->tasks; i++) {
        omc_pair pair;
        omc_keyvalue overrides = {1, &pair};
        char text[32];

        (void)snprintf(text, sizeof text, "%s%d", o->text, i);
        pair.key = omc_slice_str("text");
        pair.value = omc_slice_str(o->tasks > 1 ? text : o->text);
        r = out->add(out, &overrides, err);
    }
    return r;
}

static void connector_stop(void *state)
{
    const omc_connector_context *ctx = ((connector *)state)->ctx;

    if (ctx)
        (void)misbehave(ctx->config->options, ctx->connector, "connector_stop", INT64_MAX, NULL);
}

/* ---- source --------------------------------------------------------------------------------- */

typedef struct source {
    const omc_source_context *ctx;
    const options *o;
    omc_entry partition_entries[2];
    omc_map partition;
    int64_t next, polls;
} source;

static int source_init(void *task, const omc_source_context *ctx, omc_error *err)
{
    source *s = task;

    s->ctx = ctx;
    s->o = ctx->config->options;
    s->partition_entries[0].key = omc_string(omc_slice_str("source"));
    s->partition_entries[0].value = omc_string(omc_slice_str(ctx->connector));
    s->partition_entries[1].key = omc_string(omc_slice_str("task"));
    s->partition_entries[1].value = omc_integer(OMC_INT32, ctx->task_id);
    s->partition.count = 2;
    s->partition.entries = s->partition_entries;
    return misbehave(s->o, ctx->connector, "init", INT64_MAX, err);
}

static int source_start(void *task, omc_error *err)
{
    source *s = task;
    const omc_map *offset = NULL;
    int r = misbehave(s->o, s->ctx->connector, "start", INT64_MAX, err);

    if (r == 0)
        r = s->ctx->read_offset(s->ctx->host, &s->partition, NULL, &offset, err);
    if (r == 0)
        (void)omc_value_int64(omc_map_get(offset, "next"), &s->next);
    return r;
}

/** Sleeps up to `ms` (-1 = for ever) unless the host wants the task back. */
static void rest(const source *s, int64_t ms)
{
    struct pollfd p = {.fd = s->ctx->wake_fd, .events = POLLIN};

    (void)poll(&p, 1, ms > 1 << 30 ? 1 << 30 : (int)ms);
}

static void emit(source *s, omc_batch *out)
{
    omc_record *rec = omc_batch_add(out);
    char *text = omc_alloc(out->arena, 128);
    int64_t n = s->next++;
    int len = snprintf(text, 128, "%.80s-%lld", s->o->text, (long long)n);

    rec->value = omc_string(omc_slice_of(text, (size_t)len));
    if (s->o->null_every > 0 && n % s->o->null_every == s->o->null_every - 1)
        rec->value = omc_null();
    if (s->o->key) {
        text = omc_alloc(out->arena, 32);
        len = snprintf(text, 32, "k%lld", (long long)n);
        rec->key = omc_string(omc_slice_of(text, (size_t)len));
    }
    rec->position.partition = &s->partition;
    rec->position.counter_name = "next";
    rec->position.counter = s->next;
}

static int source_poll(void *task, omc_batch *out, int64_t timeout_ms, omc_error *err)
{
    source *s = task;
    int64_t limit = s->o->batch;
    int r = misbehave(s->o, s->ctx->connector, "poll", s->next, err);

    if (r < 0)
        return r;
    if (s->o->count >= 0 && s->next >= s->o->count) {
        if (s->o->finish)
            return OMC_FINISHED;
        rest(s, timeout_ms);
        return 0;
    }
    if (s->polls++ > 0 && s->o->interval_ms > 0)
        rest(s, s->o->interval_ms);
    while (limit-- > 0 && out->count < out->records_max &&
           (s->o->count < 0 || s->next < s->o->count))
        emit(s, out);
    return (int)out->count;
}

static int source_commit(void *task, const omc_batch *batch, const omc_send_result *results,
                         omc_error *err)
{
    source *s = task;

    (void)results;
    s->ctx->count(s->ctx->host, "committed", (int64_t)batch->count);
    return misbehave(s->o, s->ctx->connector, "commit", s->next, err);
}

static void source_stop(void *task)
{
    source *s = task;

    if (s->o)
        (void)misbehave(s->o, s->ctx->connector, "stop", s->next, NULL);
}

static const omc_source_ops source_ops = {
    .size = sizeof source_ops,
    .flags = OMC_SOURCE_REPLAYS,
    .connector_state_size = sizeof(connector),
    .task_state_size = sizeof(source),
    .validate = validate,
    .connector_start = connector_start,
    .task_configs = task_configs,
    .connector_stop = connector_stop,
    .init = source_init,
    .start = source_start,
    .poll = source_poll,
    .commit = source_commit,
    .stop = source_stop,
};

/* ---- sink ----------------------------------------------------------------------------------- */

typedef struct sink {
    const omc_sink_context *ctx;
    const options *o;
    int fd;
    int64_t moved;
} sink;

static int sink_call(sink *s, const char *call, omc_error *err)
{
    return misbehave(s->o, s->ctx->connector, call, s->moved, err);
}

static int sink_init(void *task, const omc_sink_context *ctx, omc_error *err)
{
    sink *s = task;

    s->ctx = ctx;
    s->o = ctx->config->options;
    s->fd = -1;
    return misbehave(s->o, ctx->connector, "init", INT64_MAX, err);
}

static int sink_start(void *task, omc_error *err)
{
    sink *s = task;
    int r = misbehave(s->o, s->ctx->connector, "start", INT64_MAX, err);

    if (r < 0 || !s->o->path || !*s->o->path)
        return r;
    s->fd = open(s->o->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    return s->fd < 0 ? omc_fail(err, OMC_EIO, 0, "cannot open path '%s'", s->o->path) : 0;
}

static int sink_open(void *task, const omc_queue_offset *queues, size_t count, omc_error *err)
{
    (void)queues, (void)count;
    return sink_call(task, "open", err);
}

static int sink_close(void *task, const omc_queue *queues, size_t count, omc_error *err)
{
    (void)queues, (void)count;
    return sink_call(task, "close", err);
}

static int write_value(const sink *s, const omc_record *rec, omc_error *err)
{
    omc_slice text = omc_slice_str("(null)");
    char line[4096];
    int len;

    if (rec->value.kind == OMC_STRING || rec->value.kind == OMC_BYTES)
        text = rec->value.u.bytes;
    len = snprintf(line, sizeof line, "%.*s\n", (int)(text.len < 4000 ? text.len : 4000),
                   text.base ? text.base : "");
    if (s->fd >= 0 && write(s->fd, line, (size_t)len) != len)
        return omc_fail(err, OMC_EIO, OMC_ERR_RETRIABLE, "cannot write to '%s'", s->o->path);
    return 0;
}

static int sink_put(void *task, const omc_batch *batch, omc_error *err)
{
    sink *s = task;
    int r = sink_call(s, "put", err);
    struct timespec slow = {s->o->slow_ms / 1000, (s->o->slow_ms % 1000) * 1000000};

    if (r == 0 && s->o->slow_ms > 0)
        (void)nanosleep(&slow, NULL);
    for (size_t i = 0; r == 0 && i < batch->count; i++) {
        const omc_record *rec = omc_batch_at(batch, i);

        s->moved++;
        if (s->o->report_every > 0 && s->moved % s->o->report_every == 0) {
            omc_error why = {0};

            (void)omc_fail(&why, OMC_EFORMAT, 0, "reported as told");
            r = s->ctx->report(s->ctx->host, rec, &why, err);
            if (s->o->report_ignored)
                r = 0;
        } else {
            r = write_value(s, rec, err);
        }
    }
    if (r == 0)
        r = sink_call(s, "put_late", err);
    return r;
}

static int sink_flush(void *task, omc_error *err)
{
    return sink_call(task, "flush", err);
}

static int sink_pre_commit(void *task, omc_queue_offset *offsets, size_t count, omc_arena *arena,
                           omc_error *err)
{
    int r = sink_call(task, "pre_commit", err);

    (void)offsets, (void)count, (void)arena;
    return r < 0 ? r : sink_flush(task, err);
}

static void sink_stop(void *task)
{
    sink *s = task;

    if (!s->o)
        return;
    (void)sink_call(s, "stop", NULL);
    if (s->fd >= 0)
        (void)close(s->fd);
}

static const omc_sink_ops sink_ops = {
    .size = sizeof sink_ops,
    .connector_state_size = sizeof(connector),
    .task_state_size = sizeof(sink),
    .validate = validate,
    .connector_start = connector_start,
    .task_configs = task_configs,
    .connector_stop = connector_stop,
    .init = sink_init,
    .start = sink_start,
    .open = sink_open,
    .close = sink_close,
    .put = sink_put,
    .flush = sink_flush,
    .pre_commit = sink_pre_commit,
    .stop = sink_stop,
};

/* ---- plugins -------------------------------------------------------------------------------- */

#define HEAD                                                                        \
    .abi = OMC_ABI_CURRENT, .size = sizeof(omc_plugin), .version = "1.0.0",         \
    .doc = "Misbehaves on demand.", .options = table,                               \
    .option_count = sizeof table / sizeof table[0], .option_size = sizeof table[0], \
    .options_size = sizeof(options)

static const omc_plugin source_plugin = {
    HEAD,
    .kind = OMC_SOURCE,
    .name = "trouble-source",
    .classes = "org.example.TroubleSourceConnector",
    .ops = &source_ops,
};

static const omc_plugin sink_plugin = {
    HEAD,
    .kind = OMC_SINK,
    .name = "trouble-sink",
    .classes = "org.example.TroubleSinkConnector",
    .ops = &sink_ops,
};

OMC_EXPORT const omc_plugin *const *omc_plugin_entry(uint32_t host_abi, const omc_host *host);
OMC_EXPORT const omc_plugin *const *omc_plugin_entry(uint32_t host_abi, const omc_host *host)
{
    static const omc_plugin *const list[] = {&source_plugin, &sink_plugin, NULL};

    (void)host_abi, (void)host;
    return list;
}
