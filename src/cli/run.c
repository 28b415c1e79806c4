/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `run`: a pipeline file as one process. A worker with two connectors and one topic, watched from
 * the loop: every change of state, and every tick of the progress timer, asks the worker for a
 * list, whose reply (on the control thread) is copied and posted back to the loop.
 *
 * The end: the source's tasks have FINISHED or FAILED, or were stopped by Ctrl-C, and the sink has
 * committed every message of the log; or the sink has FAILED.
 */
#include "cli/run.h"

#include "base/diag.h"
#include "cli/check.h"
#include "cli/command.h"

#include <stdio.h>
#include <unistd.h>

#define END_POLL_MS 20
#define DRAIN_MS 60000 /* longest wait for the sink after Ctrl-C or a failed source */

typedef struct run {
    const rc_pipeline *pipeline;
    rc_worker_config config;
    rc_registry *registry; /* made for the check, then the service's */
    rc_service *service;
    rc_loop_timer *timer;
    rc_progress progress;
    rc_outcome outcome;
    rc_reach begin;
    int64_t started_ns;
    int64_t shown_ms;       /* when progress was shown last */
    int64_t drain_until_ms; /* after Ctrl-C or a failed source; 0 = not draining */
    bool asking, again;     /* a list is under way; another is wanted */
} run;

static int64_t elapsed_ms(const run *u)
{
    return (rc_mono_ns(rc_clock_real()) - u->started_ns) / 1000000;
}

/* The first cause is the one that is told. */
static void note_failure(run *u, const char *what, const char *why)
{
    rc_outcome *o = &u->outcome;

    if (!o->failed)
        (void)rc_fail(&o->err, OMC_EIO, "%s: %s", what, why && *why ? why : "failed");
    o->failed = true;
}

static void fail(run *u, const char *what, const char *why)
{
    note_failure(u, what, why);
    rc_service_stop(u->service);
}

/* ---- progress ------------------------------------------------------------------------------- */

static int64_t delivered(const run *u)
{
    const int64_t *v = u->outcome.sink.values;
    const int64_t seen = v[RC_TM_PUT] + v[RC_TM_SKIPPED];

    return RC_MAX(seen, u->outcome.reach.committed - u->begin.committed);
}

static double fraction(const rc_reach *reach, int64_t sink)
{
    double source;

    if (reach->size <= 0 || reach->position < 0)
        return -1;
    source = RC_MIN((double)reach->position / (double)reach->size, 1.0);
    return reach->end ? source * RC_MIN((double)sink / (double)reach->end, 1.0) : 0;
}

static void note(const run *u, char *out, size_t size)
{
    const rc_seen *seen = &u->outcome.source;
    const char *which = "source";

    *out = '\0';
    if (!seen->known || seen->state == RC_STATE_RUNNING || seen->state == RC_STATE_FINISHED) {
        seen = &u->outcome.sink;
        which = "sink";
    }
    if (seen->known && (seen->state == RC_STATE_STALLED || seen->state == RC_STATE_RESTARTING ||
                        seen->state == RC_STATE_STUCK))
        (void)snprintf(out, size, "%s %s: %.200s", which, rc_state_name(seen->state), seen->trace);
}

static void show(run *u, bool last)
{
    const int64_t records = delivered(u);
    char text[512];
    rc_sample sample = {
        .ms = elapsed_ms(u),
        .records = records,
        .bytes = u->outcome.sink.values[RC_TM_READ_BYTES],
        .fraction = fraction(&u->outcome.reach, u->begin.committed + records),
        .fraction_start = RC_MAX(fraction(&u->begin, u->begin.committed), 0.0),
        .note = text,
    };
    const int64_t every = rc_progress_interval(&u->progress);

    if (every < 0 || (!last && sample.ms - u->shown_ms < every * 9 / 10))
        return;
    note(u, text, sizeof text);
    u->shown_ms = sample.ms;
    rc_progress_show(&u->progress, &sample);
}

/* ---- watching ------------------------------------------------------------------------------- */

static void ask(run *u);

typedef struct snapshot {
    run *run;
    rc_seen source, sink;
} snapshot;

static bool source_done(const run *u)
{
    return u->outcome.source.finished || u->outcome.source.state == RC_STATE_FAILED ||
           (u->drain_until_ms && u->outcome.source.state == RC_STATE_STOPPED);
}

static void look_at(run *u)
{
    rc_outcome *o = &u->outcome;
    rc_error err = {0};

    if (rc_service_stopping(u->service))
        return;
    if (o->source.state == RC_STATE_FAILED && !o->failed) {
        note_failure(u, "source", o->source.trace);
        u->drain_until_ms = elapsed_ms(u) + DRAIN_MS; /* what it has stored is still delivered */
    }
    if (o->sink.state == RC_STATE_FAILED) {
        fail(u, "sink", o->sink.trace);
        return;
    }
    if (rc_reach_read(rc_service_log(u->service), u->pipeline, &o->reach, &err) < 0) {
        fail(u, "log", err.msg);
        return;
    }
    show(u, false);
    if (source_done(u) && o->reach.committed >= o->reach.end) {
        o->finished = o->source.finished;
        if (!o->failed)
            show(u, true); /* a plain reader sees 100 % also of a short run */
        rc_service_stop(u->service);
    } else if (u->drain_until_ms && o->sink.state == RC_STATE_STALLED) {
        rc_progress_clear(&u->progress);
        (void)fprintf(stderr,
                      "%s: the sink cannot take the rest now, the next run delivers it: %s\n",
                      u->pipeline->name, o->sink.trace);
        rc_service_stop(u->service);
    } else if (u->drain_until_ms && elapsed_ms(u) >= u->drain_until_ms) {
        rc_service_stop(u->service);
    } else if (source_done(u) || u->drain_until_ms) {
        rc_loop_timer_set(u->timer, END_POLL_MS);
    } else if (rc_progress_interval(&u->progress) > 0) {
        rc_loop_timer_set(u->timer, rc_progress_interval(&u->progress));
    }
}

static void on_snapshot(void *arg)
{
    snapshot *s = arg;
    run *u = s->run;

    u->asking = false;
    if (s->source.known)
        u->outcome.source = s->source;
    if (s->sink.known)
        u->outcome.sink = s->sink;
    free(s);
    look_at(u);
    if (u->again) {
        u->again = false;
        ask(u);
    }
}

/* On the control thread: copies what the reply shows. */
static void on_list(const rc_reply *reply, void *arg)
{
    run *u = arg;
    snapshot *s = rc_calloc(1, sizeof *s);

    s->run = u;
    for (size_t i = 0; i < reply->count; i++) {
        const rc_connector_view *view = &reply->connectors[i];

        if (!strcmp(view->name, u->pipeline->source_name))
            rc_seen_take(view, &s->source);
        else if (!strcmp(view->name, u->pipeline->sink_name))
            rc_seen_take(view, &s->sink);
    }
    RC_ASSERT(rc_loop_post(rc_service_loop(u->service), on_snapshot, s) == 0);
}

static void ask(run *u)
{
    const rc_request request = {.kind = RC_REQUEST_LIST, .expected = -1, .done = on_list, .arg = u};
    rc_worker *worker = rc_service_worker(u->service);

    if (!worker || rc_service_stopping(u->service))
        return;
    if (u->asking)
        u->again = true;
    else
        u->asking = rc_worker_post(worker, &request, NULL) == 0;
}

static void on_timer(void *arg)
{
    ask(arg);
}

static void changed(rc_service *service, void *arg)
{
    (void)service;
    ask(arg);
}

/* ---- start and end -------------------------------------------------------------------------- */

typedef struct refusal {
    run *run;
    rc_error err;
} refusal;

static void on_refused(void *arg)
{
    refusal *refused = arg;

    fail(refused->run, refused->run->pipeline->name, refused->err.msg);
    free(refused);
}

static void on_created(const rc_reply *reply, void *arg)
{
    run *u = arg;
    refusal *refused;

    if (reply->result >= 0)
        return;
    refused = rc_calloc(1, sizeof *refused);
    refused->run = u;
    refused->err = reply->err;
    RC_ASSERT(rc_loop_post(rc_service_loop(u->service), on_refused, refused) == 0);
}

static int create(run *u, const char *name, const omc_keyvalue *config, rc_error *err)
{
    const rc_request request = {.kind = RC_REQUEST_CREATE,
                                .connector = name,
                                .config = config,
                                .expected = -1,
                                .done = on_created,
                                .arg = u};

    return rc_worker_post(rc_service_worker(u->service), &request, err);
}

static int ready(rc_service *service, void *arg, rc_error *err)
{
    run *u = arg;
    const rc_pipeline *p = u->pipeline;
    rc_topic *topic;
    int r;

    u->service = service;
    if (rc_service_port(service))
        (void)fprintf(stderr, "REST on http://%s:%d\n", u->config.rest_host,
                      rc_service_port(service));
    /* The sink may start before the source has made the topic. */
    r = rc_log_topic(rc_service_log(service), p->topic, (int32_t)u->config.log_queues, &topic, err);
    if (r == 0)
        r = rc_reach_read(rc_service_log(service), p, &u->begin, err);
    u->outcome.reach = u->begin;
    if (r == 0)
        r = rc_loop_timer_new(rc_service_loop(service), on_timer, u, &u->timer);
    if (r == 0)
        r = create(u, p->sink_name, p->sink, err);
    if (r == 0)
        r = create(u, p->source_name, p->source, err);
    if (r == 0)
        ask(u);
    return r;
}

static void ignore_reply(const rc_reply *reply, void *arg)
{
    (void)reply;
    (void)arg;
}

/* Stops the source; look_at() ends the run when the sink has what is in the log. */
static void interrupted(rc_service *service, void *arg)
{
    run *u = arg;
    const rc_request request = {.kind = RC_REQUEST_STOP,
                                .connector = u->pipeline->source_name,
                                .expected = -1,
                                .done = ignore_reply};
    rc_worker *worker = rc_service_worker(service);

    rc_progress_clear(&u->progress);
    (void)fprintf(stderr, "%s: draining and stopping (again = end now)\n", u->pipeline->name);
    u->outcome.interrupted = true;
    u->drain_until_ms = elapsed_ms(u) + DRAIN_MS;
    if (!worker || rc_worker_post(worker, &request, NULL) < 0)
        rc_service_stop(service);
    else
        ask(u);
}

static void stopped(rc_service *service, void *arg)
{
    run *u = arg;
    rc_outcome *o = &u->outcome;
    rc_error err = {0};

    rc_progress_clear(&u->progress);
    rc_loop_timer_free(u->timer);
    o->ms = elapsed_ms(u);
    (void)rc_reach_read(rc_service_log(service), u->pipeline, &o->reach, &err);
    o->records = o->reach.committed - u->begin.committed;
    o->bytes = o->sink.values[RC_TM_READ_BYTES];
    if (o->reach.position >= 0) /* what the source read, line ends included */
        o->bytes = o->reach.position - RC_MAX(u->begin.position, (int64_t)0);
}

static int serve(run *u, const rc_args *args)
{
    const rc_service_setup setup = {
        .config = &u->config,
        .connectors = args->connectors,
        .registry = RC_TAKE(u->registry),
        .memory_store = true,
        .rest = u->config.rest_enabled,
        .ready = ready,
        .changed = changed,
        .interrupted = interrupted,
        .stopped = stopped,
        .arg = u,
    };
    rc_error err = {0};
    int r;

    u->started_ns = rc_mono_ns(rc_clock_real());
    r = rc_service_run(&setup, &err);
    if (r < 0) {
        const int code = rc_exit_print(&err);

        if (strstr(err.msg, "Permission denied"))
            (void)fprintf(stderr,
                          "Next: run it in a folder you can write to, or keep its state elsewhere "
                          "with --set log.dir=FOLDER.\n");
        return code;
    }
    if (r > 0)
        (void)fprintf(stderr, "warning: %d task%s did not stop in time\n", r, r == 1 ? "" : "s");
    r = rc_run_summary(u->pipeline, &u->outcome);
    return fflush(stdout) ? RC_EXIT_FAILED : r;
}

/* Everything that can be wrong before anything is started. */
static int prepare(run *u, rc_pipeline *pipeline, const rc_args *args, omc_arena *arena)
{
    const char *sets[RC_CLI_GIVEN_MAX + 1] = {0};
    rc_problems problems;
    rc_error err = {0};
    int r;

    for (size_t i = 0; (sets[i] = rc_args_nth(args, "set", i)); i++)
        ;
    rc_problems_init(&problems, arena);
    r = rc_pipeline_load(args->items[0], sets, arena, pipeline, &problems, &err);
    if (r == 0)
        r = rc_pipeline_worker_config(pipeline, rc_args_has(args, "rest"), arena, &u->config,
                                      &problems, &err);
    if (r == 0)
        r = rc_service_registry(&u->config, args->connectors, true, &u->registry, &err);
    if (r == 0)
        r = rc_pipeline_check(pipeline, u->registry, &u->config, arena, &problems, &err);
    rc_problems_print(&problems, NULL, true);
    if (r < 0 && problems.errors == 0)
        (void)fprintf(stderr, "error: %s\n", err.msg);
    return r < 0 ? RC_EXIT_CONFIG : RC_EXIT_OK;
}

static int set_levels(run *u, const rc_args *args)
{
    const char *level = rc_args_get(args, "log-level");
    const char *mode = rc_args_get(args, "progress");
    omc_log_level parsed;

    if (rc_progress_init(&u->progress, mode ? mode : "auto", STDERR_FILENO) < 0)
        return rc_usage(args, "--progress '%s': expected auto, plain or none", mode);
    if (rc_diag_parse_level(level ? level : "warn", &parsed) < 0)
        return rc_usage(args, "--log-level '%s': expected debug, info, warn or error", level);
    rc_diag_set_level(parsed);
    return RC_EXIT_OK;
}

static int run_pipeline(rc_args *args)
{
    run *u = rc_calloc(1, sizeof *u); /* some KiB of texts: not for the stack */
    rc_pipeline pipeline;
    rc_error err = {0};
    rc_arena arena;
    int code;

    rc_arena_init(&arena, 16 << 10);
    u->pipeline = &pipeline;
    code = set_levels(u, args);
    if (code == RC_EXIT_OK)
        code = prepare(u, &pipeline, args, &arena.pub);
    if (code == RC_EXIT_OK && rc_args_has(args, "restart") &&
        rc_pipeline_restart(&pipeline, u->config.log_dir, &err) < 0)
        code = rc_exit_print(&err);
    if (code == RC_EXIT_OK)
        code = serve(u, args);
    rc_registry_free(u->registry);
    rc_arena_release(&arena);
    free(u);
    return code;
}

static const rc_cli_option options[] = {
    {"restart", 0, NULL, "Forget earlier runs and start from the beginning."},
    {"set", 0, "KEY=VALUE", "Override a key, e.g. source.filename=in.txt; may be repeated."},
    {"progress", 0, "MODE", "auto, plain (a line every 2 s) or none."},
    {"log-level", 0, "LEVEL", "debug, info, warn (default) or error."},
    {"rest", 0, NULL, "Serve REST meanwhile (worker.httpPort, 8082)."},
    {0},
};

const rc_command rc_run_commands[] = {
    {.name = "run",
     .args = "PIPELINE.yaml",
     .args_min = 1,
     .args_max = 1,
     .summary = "Run a source, transforms and a sink from one file.",
     .help = "\nThe pipeline ends when its source is bounded and the sink has everything; else it "
             "runs\nuntil Ctrl-C, which drains it (again = end now). Its state is kept in "
             "./<name>.rc/, so\nthat the next run goes on where this one stopped.\n\n"
             "  name: copy\n  source: {class: file-source, filename: in.txt, bounded: true}\n"
             "  sink: {class: file-sink, filename: out.txt}\n\nTo copy any file byte for byte "
             "(CRLF, binary, no newline at the end), keep line ends:\n\n"
             "  source: {class: file-source, filename: in, bounded: true, line.terminator: keep,\n"
             "           long.lines: split}\n"
             "  sink: {class: file-sink, filename: out, append.newline: false}",
     .options = options,
     .run = run_pipeline},
    {0},
};
