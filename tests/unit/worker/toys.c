/* SPDX-License-Identifier: Apache-2.0 */
/*
 * toy-source emits "<prefix><n>" for n = from..to, `size` per poll, resumes from its position and
 * finishes when it is bounded. toy-sink collects lines; lines that begin with "bad" are reported.
 */
#include "toys.h"

#include "record/plugins.h"
#include "worker/hooks.h"

#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

toy_world toys = {.mu = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};

void toys_reset(void)
{
    for (size_t i = 0; i < toys.count; i++)
        free(toys.lines[i]);
    free(toys.lines);
    memset((char *)&toys + offsetof(toy_world, lines), 0, sizeof toys - offsetof(toy_world, lines));
}

/* ---- source ---- */

typedef struct source_options {
    int64_t from, to, size;
    const char *prefix;
    bool bounded;
} source_options;

typedef struct source {
    const omc_source_context *ctx;
    const source_options *options;
    int64_t next;
} source;

static const omc_entry part_entry = {.key = {.kind = OMC_STRING, .u.bytes = {"toy", 3}},
                                     .value = {.kind = OMC_STRING, .u.bytes = {"1", 1}}};
static const omc_map part = {1, &part_entry};

static int source_init(void *task, const omc_source_context *ctx, omc_error *err)
{
    source *s = task;

    (void)err;
    s->ctx = ctx;
    s->options = ctx->config->options;
    return 0;
}

static bool take_one(int *count)
{
    bool one;

    pthread_mutex_lock(&toys.mu);
    one = *count > 0;
    if (one)
        (*count)--;
    pthread_mutex_unlock(&toys.mu);
    return one;
}

static int source_start(void *task, omc_error *err)
{
    source *s = task;
    rc_arena arena;
    const omc_map *offset;
    const omc_value *n;
    int r;

    if (take_one(&toys.start_failures))
        return omc_fail(err, OMC_EIO, 0, "toy start failure");
    rc_arena_init(&arena, 1024);
    s->next = s->options->from;
    r = s->ctx->read_offset(s->ctx->host, &part, &arena.pub, &offset, err);
    n = r == 0 && offset ? omc_map_get(offset, "n") : NULL;
    if (n)
        s->next = strtoll(n->text.base, NULL, 10) + 1;
    rc_arena_release(&arena);
    return r;
}

static int source_poll(void *task, omc_batch *out, int64_t timeout_ms, omc_error *err)
{
    source *s = task;

    if (take_one(&toys.poll_failures))
        return omc_fail(err, OMC_ECONNECT, OMC_ERR_RETRIABLE, "toy poll failure");
    if (s->next > s->options->to) {
        struct pollfd fd = {.fd = s->ctx->wake_fd, .events = POLLIN};

        if (s->options->bounded)
            return OMC_FINISHED;
        (void)poll(&fd, 1, (int)timeout_ms);
        return 0;
    }
    for (int64_t i = 0; i < s->options->size && s->next <= s->options->to; i++, s->next++) {
        omc_record *rec = omc_batch_add(out);
        char *text = rc_arena_format(out->arena, "%s%lld", s->options->prefix, (long long)s->next);

        rec->value = omc_string(omc_slice_str(text));
        rec->position.partition = &part;
        rec->position.counter_name = "n";
        rec->position.counter = s->next;
    }
    return (int)out->count;
}

static int source_commit(void *task, const omc_batch *batch, const omc_send_result *results,
                         omc_error *err)
{
    (void)task;
    (void)err;
    pthread_mutex_lock(&toys.mu);
    toys.commits++;
    for (size_t i = 0; i < batch->count; i++) {
        toys.stored += results[i].status == 0;
        toys.dropped += results[i].status == 1;
        toys.skipped += results[i].status == 2;
    }
    pthread_mutex_unlock(&toys.mu);
    return 0;
}

static void any_stop(void *task)
{
    bool block;

    (void)task;
    pthread_mutex_lock(&toys.mu);
    toys.stops++;
    block = toys.block_stop;
    pthread_mutex_unlock(&toys.mu);
    while (block)
        (void)pause();
}

#define AT(member) offsetof(source_options, member)
static const omc_option source_rows[] = {
    {.name = "from", .type = OMC_OPT_INT, .default_value = "1", .offset = AT(from)},
    {.name = "to", .type = OMC_OPT_INT, .default_value = "10", .offset = AT(to)},
    {.name = "size", .type = OMC_OPT_INT, .default_value = "3", .offset = AT(size)},
    {.name = "prefix", .type = OMC_OPT_STRING, .default_value = "line ", .offset = AT(prefix)},
    {.name = "bounded", .type = OMC_OPT_BOOLEAN, .default_value = "false", .offset = AT(bounded)},
};

static const omc_source_ops source_ops = {.size = sizeof source_ops,
                                          .flags = OMC_SOURCE_REPLAYS,
                                          .task_state_size = sizeof(source),
                                          .init = source_init,
                                          .start = source_start,
                                          .poll = source_poll,
                                          .commit = source_commit,
                                          .stop = any_stop};
static const omc_plugin source_plugin = {.abi = OMC_ABI_CURRENT,
                                         .size = sizeof source_plugin,
                                         .kind = OMC_SOURCE,
                                         .name = "toy-source",
                                         .version = "1",
                                         .doc = "Emits numbered lines.",
                                         .options = source_rows,
                                         .option_count = RC_COUNT(source_rows),
                                         .option_size = sizeof(omc_option),
                                         .options_size = sizeof(source_options),
                                         .ops = &source_ops};

/* ---- sink ---- */

typedef struct sink {
    const omc_sink_context *ctx;
} sink;

static int sink_init(void *task, const omc_sink_context *ctx, omc_error *err)
{
    (void)err;
    ((sink *)task)->ctx = ctx;
    return 0;
}

static void keep_line(omc_slice text)
{
    if (toys.count == toys.cap) {
        toys.cap = toys.cap ? 2 * toys.cap : 64;
        toys.lines = rc_realloc(toys.lines, toys.cap * sizeof *toys.lines);
    }
    toys.lines[toys.count++] = rc_strndup(text.base, text.len);
}

static int sink_put(void *task, const omc_batch *batch, omc_error *err)
{
    sink *s = task;
    omc_error bad = {0};
    int r = 0;

    if (take_one(&toys.put_failures))
        return omc_fail(err, OMC_ECONNECT, OMC_ERR_RETRIABLE, "toy put failure");
    for (;;) {
        bool block;

        pthread_mutex_lock(&toys.mu);
        block = toys.block_put;
        pthread_mutex_unlock(&toys.mu);
        if (!block)
            break;
        (void)poll(NULL, 0, 5);
    }
    for (size_t i = 0; r == 0 && i < batch->count; i++) {
        const omc_record *rec = omc_batch_at(batch, i);

        if (rec->value.u.bytes.len >= 3 && memcmp(rec->value.u.bytes.base, "bad", 3) == 0) {
            (void)omc_fail(&bad, OMC_EFORMAT, 0, "toy sink does not like it");
            r = s->ctx->report(s->ctx->host, rec, &bad, err);
            continue;
        }
        pthread_mutex_lock(&toys.mu);
        keep_line(rec->value.u.bytes);
        pthread_cond_broadcast(&toys.cond);
        pthread_mutex_unlock(&toys.mu);
    }
    return r;
}

static int sink_flush(void *task, omc_error *err)
{
    (void)task;
    (void)err;
    pthread_mutex_lock(&toys.mu);
    toys.flushed = toys.count;
    pthread_mutex_unlock(&toys.mu);
    return 0;
}

static const omc_sink_ops sink_ops = {.size = sizeof sink_ops,
                                      .task_state_size = sizeof(sink),
                                      .init = sink_init,
                                      .put = sink_put,
                                      .flush = sink_flush,
                                      .stop = any_stop};
static const omc_option sink_rows[] = {
    {.name = "password", .type = OMC_OPT_PASSWORD, .offset = OMC_OPT_NOT_STORED},
};
static const omc_plugin sink_plugin = {.abi = OMC_ABI_CURRENT,
                                       .size = sizeof sink_plugin,
                                       .kind = OMC_SINK,
                                       .name = "toy-sink",
                                       .version = "1",
                                       .doc = "Collects lines.",
                                       .options = sink_rows,
                                       .option_count = 1,
                                       .option_size = sizeof(omc_option),
                                       .ops = &sink_ops};

/* ---- the rig ---- */

static const omc_plugin *const toy_plugins[] = {
    &source_plugin, &sink_plugin, &hook_source, &hook_sink, &bare_source, &bare_sink, NULL};
static const omc_plugin *const *const builtin[] = {toy_plugins, rc_converter_plugins,
                                                   rc_transform_plugins, rc_predicate_plugins,
                                                   NULL};

static void must(int r, const rc_error *err, const char *what)
{
    if (r < 0) {
        (void)fprintf(stderr, "%s: %s\n", what, err->msg);
        abort();
    }
}

rc_registry *toy_registry(void)
{
    const rc_registry_config config = {.builtin = builtin};
    rc_registry *registry;
    rc_error err = {0};

    must(rc_registry_new(&config, &registry, &err), &err, "registry");
    return registry;
}

void toy_rig_start(toy_rig *rig)
{
    rc_embedded_config log = {.dir = rc_arena_format(&rig->arena.pub, "%s/log", rig->dir),
                              .clock = rc_clock_real()};
    rc_worker_setup setup = {.config = &rig->config,
                             .registry = rig->registry,
                             .store = rig->store,
                             .clock = rc_clock_real()};
    rc_error err = {0};

    must(rc_embedded_open(&log, &rig->log, &err), &err, "open the log");
    setup.log = rig->log;
    must(rc_worker_start(&setup, &rig->worker, &err), &err, "start the worker");
}

void toy_rig_open(toy_rig *rig, void (*tune)(rc_worker_config *config))
{
    static const omc_pair pairs[] = {{{"log", 3}, {"embedded", 8}}};
    const omc_keyvalue kv = {1, pairs};
    rc_registry_config registry = {.builtin = builtin};
    rc_problems problems;
    rc_error err = {0};

    memset(rig, 0, sizeof *rig);
    toys_reset();
    hooks = (toy_hooks){0};
    (void)snprintf(rig->dir, sizeof rig->dir, "/tmp/rc-worker-XXXXXX");
    if (!mkdtemp(rig->dir))
        abort();
    rc_arena_init(&rig->arena, 4096);
    rc_problems_init(&problems, &rig->arena.pub);
    must(rc_worker_config_parse(&kv, &rig->arena.pub, &rig->config, &problems, &err), &err,
         "configuration");
    rig->config.restart_delay_ms = 10;
    rig->config.restart_delay_max_ms = 50;
    rig->config.commit_interval_ms = 100;
    if (tune)
        tune(&rig->config);
    must(rc_registry_new(&registry, &rig->registry, &err), &err, "registry");
    rig->store = rc_store_new_memory(rc_clock_real());
    toy_rig_start(rig);
}

void toy_rig_halt(toy_rig *rig)
{
    int abandoned = rc_worker_stop(rig->worker, 10000);

    if (abandoned)
        (void)fprintf(stderr, "%d tasks abandoned\n", abandoned);
    else
        rc_log_close(rig->log);
}

void toy_rig_restart(toy_rig *rig)
{
    toy_rig_halt(rig);
    toy_rig_start(rig);
}

void toy_rig_close(toy_rig *rig)
{
    char command[96];

    toy_rig_halt(rig);
    rc_store_close(rig->store);
    rc_registry_free(rig->registry);
    rc_arena_release(&rig->arena);
    (void)snprintf(command, sizeof command, "rm -rf %s", rig->dir);
    if (system(command) != 0)
        abort();
}

int toy_put(toy_rig *rig, const char *name, rc_error *err, ...)
{
    rc_request request = {.kind = RC_REQUEST_PUT, .connector = name, .expected = -1};
    rc_arena arena;
    rc_kv kv;
    va_list ap;
    const char *text;
    int r;

    rc_arena_init(&arena, 1024);
    rc_kv_init(&kv, &arena.pub);
    va_start(ap, err);
    while ((text = va_arg(ap, const char *))) {
        const char *eq = strchr(text, '=');

        rc_kv_put(&kv, omc_slice_of(text, (size_t)(eq - text)), omc_slice_str(eq + 1));
    }
    va_end(ap);
    request.config = rc_kv_done(&kv);
    r = rc_worker_call(rig->worker, &request, err);
    rc_arena_release(&arena);
    return r;
}

int toy_request(toy_rig *rig, rc_request_kind kind, const char *name, rc_error *err)
{
    rc_request request = {.kind = kind, .connector = name, .expected = -1};

    return rc_worker_call(rig->worker, &request, err);
}

typedef struct look {
    int task;
    rc_state state;
    char *trace;
    size_t size;
    rc_task_metric metric;
    int64_t value;
} look;

static void look_at(const rc_reply *reply, void *arg)
{
    look *l = arg;
    const rc_connector_view *view = reply->connectors;
    const char *trace;

    l->state = RC_STATE_COUNT;
    if (reply->count == 0)
        return;
    trace = view->trace;
    if (l->task < 0)
        l->state = view->state;
    if (l->task >= 0) {
        if ((size_t)l->task >= view->task_count)
            return;
        l->state = view->tasks[l->task].state;
        trace = view->tasks[l->task].trace;
        l->value = rc_metric_get(view->tasks[l->task].metrics, l->metric);
    }
    if (l->trace)
        (void)snprintf(l->trace, l->size, "%s", trace ? trace : "");
}

static look ask(toy_rig *rig, const char *name, look l)
{
    rc_request request = {
        .kind = RC_REQUEST_GET, .connector = name, .done = look_at, .arg = &l, .expected = -1};

    (void)rc_worker_call(rig->worker, &request, NULL);
    return l;
}

static bool later(int64_t deadline)
{
    (void)poll(NULL, 0, 5);
    return rc_mono_ms(rc_clock_real()) < deadline;
}

bool toy_wait_state(toy_rig *rig, const char *name, int task, rc_state state)
{
    int64_t deadline = rc_mono_ms(rc_clock_real()) + 10000;
    rc_state now;

    do {
        if (ask(rig, name, (look){.task = task}).state == state)
            return true;
    } while (later(deadline));
    now = ask(rig, name, (look){.task = task}).state;
    (void)fprintf(stderr, "%s is %s\n", name,
                  now < RC_STATE_COUNT ? rc_state_name(now) : "not there");
    return false;
}

void toy_trace(toy_rig *rig, const char *name, int task, char *out, size_t size)
{
    out[0] = '\0';
    (void)ask(rig, name, (look){.task = task, .trace = out, .size = size});
}

int64_t toy_metric(toy_rig *rig, const char *name, rc_task_metric id)
{
    return ask(rig, name, (look){.task = 0, .metric = id}).value;
}

bool toy_wait_metric(toy_rig *rig, const char *name, rc_task_metric id, int64_t value)
{
    int64_t deadline = rc_mono_ms(rc_clock_real()) + 10000;

    do {
        if (toy_metric(rig, name, id) == value)
            return true;
    } while (later(deadline));
    (void)fprintf(stderr, "metric %d of %s is %lld\n", (int)id, name,
                  (long long)toy_metric(rig, name, id));
    return false;
}

bool toys_wait(size_t count)
{
    int64_t deadline = rc_mono_ms(rc_clock_real()) + 10000;
    size_t have;

    do {
        pthread_mutex_lock(&toys.mu);
        have = toys.count;
        pthread_mutex_unlock(&toys.mu);
        if (have >= count)
            return true;
    } while (later(deadline));
    (void)fprintf(stderr, "the sink has %zu lines, %zu expected\n", have, count);
    return false;
}
