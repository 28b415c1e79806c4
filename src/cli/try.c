/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `plugin try`: whether a folder of plugins is any good. A worker with a state of its own loads
 * what is there; a thread beside the loop asks it one thing after the other and tells each result.
 */
#include "cli/try.h"

#include "base/diag.h"
#include "base/thread.h"
#include "base/units.h"

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- results -------------------------------------------------------------------------------- */

void rc_try_tell(rc_try *t, rc_verdict verdict, const char *kind, const char *what, const char *fmt,
                 ...)
{
    static const char *const words[] = {"ok", "warn", "FAIL"};
    char text[OMC_ERROR_TEXT_MAX + 256];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    t->warnings += verdict == RC_VERDICT_WARN;
    t->failures += verdict == RC_VERDICT_FAIL;
    if (t->json) {
        (void)json_array_append_new(t->results,
                                    json_pack("{s:s, s:s, s:s, s:s}", "result", words[verdict],
                                              "kind", kind, "what", what, "text", text));
        return;
    }
    printf("%-4s  %-9s  %s%s%s\n", words[verdict], kind, what, *text ? ": " : "", text);
    (void)fflush(stdout);
}

static const char *plural(int count)
{
    return count == 1 ? "" : "s";
}

static int summarize(rc_try *t)
{
    const bool good = t->failures == 0 && !t->interrupted;

    if (t->json) {
        json_t *all = json_pack("{s:o, s:b}", "results", t->results, "ok", good);

        (void)json_dumpf(all, stdout, JSON_INDENT(2));
        (void)putchar('\n');
        json_decref(all);
    } else {
        printf("%d plugin%s, %d of %zu connector%s run, %d warning%s, %d failure%s%s\n", t->found,
               plural(t->found), t->ran, t->trial_count, plural((int)t->trial_count), t->warnings,
               plural(t->warnings), t->failures, plural(t->failures),
               t->interrupted ? "; interrupted" : "");
    }
    return fflush(stdout) || !good ? RC_EXIT_FAILED : RC_EXIT_OK;
}

/* ---- asking the worker ---------------------------------------------------------------------- */

static void take_views(rc_try *t, const rc_reply *reply)
{
    for (size_t i = 0; i < reply->count; i++)
        for (size_t k = 0; k < t->trial_count; k++)
            if (!strcmp(reply->connectors[i].name, t->trials[k].id))
                rc_seen_take(&reply->connectors[i], &t->trials[k].seen);
}

static void take_problems(rc_try *t, const rc_reply *reply)
{
    rc_buf text = RC_BUF(sizeof t->why.msg - 1);

    for (size_t i = 0; i < reply->problem_count; i++)
        if (!reply->problems[i].warning)
            rc_buf_printf(&text, "%s%s", text.len ? "; " : "", reply->problems[i].text);
    t->why = reply->err;
    if (text.data)
        (void)snprintf(t->why.msg, sizeof t->why.msg, "%s", text.data);
    rc_buf_release(&text);
}

/* On the control thread. */
static void on_reply(const rc_reply *reply, void *arg)
{
    rc_try *t = arg;

    pthread_mutex_lock(&t->mu);
    take_views(t, reply);
    take_problems(t, reply);
    t->result = reply->result;
    t->answered = true;
    pthread_cond_signal(&t->changed);
    pthread_mutex_unlock(&t->mu);
}

int rc_try_ask(rc_try *t, const rc_request *request)
{
    rc_request asked = *request;
    int r;

    asked.done = on_reply;
    asked.arg = t;
    t->answered = false;
    r = rc_worker_post(rc_service_worker(t->service), &asked, &t->why);
    if (r < 0)
        return r;
    pthread_mutex_lock(&t->mu);
    while (!t->answered)
        pthread_cond_wait(&t->changed, &t->mu);
    r = t->result;
    pthread_mutex_unlock(&t->mu);
    return r;
}

bool rc_try_sleep(rc_try *t, int64_t ms)
{
    rc_clock *clock = rc_clock_real();
    const int64_t until = rc_mono_ns(clock) + ms * 1000000;
    bool goes_on;

    pthread_mutex_lock(&t->mu);
    while (!t->interrupted && rc_mono_ns(clock) < until)
        (void)clock->wait(clock, &t->changed, &t->mu, until);
    goes_on = !t->interrupted;
    pthread_mutex_unlock(&t->mu);
    return goes_on;
}

static bool interrupted(rc_try *t)
{
    return !rc_try_sleep(t, 0);
}

/* ---- plugins -------------------------------------------------------------------------------- */

/* Archives without plugins may be there for others; what is broken is not. A part that cannot be
 * used is a failure only when it is a connector's, which its check tells. */
static void tell_refusals(rc_try *t, omc_arena *arena)
{
    const rc_refusal *list;
    const size_t count = rc_registry_refusals(t->registry, arena, &list);

    for (size_t i = 0; i < count; i++)
        rc_try_tell(t,
                    list[i].part || list[i].why.code == OMC_ENOTFOUND ? RC_VERDICT_WARN
                                                                      : RC_VERDICT_FAIL,
                    "file", list[i].file, "%s", list[i].why.msg);
}

/* The words of a connector that wants more than an empty configuration; anything else means that
 * it could not even be asked. */
static bool is_answer(int code)
{
    return code == OMC_EINVAL || code == OMC_EFORMAT || code == OMC_EINTERNAL;
}

static void check(rc_try *t, const rc_plugin_info *info, const char *what, omc_arena *arena)
{
    const omc_plugin *plugin = info->plugin;
    const char *kind = rc_plugin_kind_name(plugin->kind);
    rc_request request = {.kind = RC_REQUEST_VALIDATE, .connector = "try", .expected = -1};
    rc_kv kv;
    int r;

    rc_kv_init(&kv, arena);
    rc_kv_put_str(&kv, "connector.class", plugin->name);
    rc_kv_put_str(&kv, plugin->kind == OMC_SINK ? "connect.topicnames" : "connect.topicname",
                  "try");
    request.config = rc_kv_done(&kv);
    r = rc_try_ask(t, &request);
    if (r == 0)
        rc_try_tell(t, RC_VERDICT_OK, kind, what, "%zu options; an empty configuration would do",
                    (size_t)plugin->option_count);
    else if (is_answer(-r))
        rc_try_tell(t, RC_VERDICT_OK, kind, what,
                    "%zu options; an empty configuration is refused: %s",
                    (size_t)plugin->option_count, t->why.msg);
    else
        rc_try_tell(t, RC_VERDICT_FAIL, kind, what, "%s", t->why.msg);
}

static void tell_plugins(rc_try *t, omc_arena *arena)
{
    const rc_plugin_info *infos;
    const size_t count = rc_registry_list(t->registry, arena, &infos);

    for (size_t i = 0; i < count && !interrupted(t); i++) {
        const omc_plugin *plugin = infos[i].plugin;
        const char *what = rc_arena_format(arena, "%s %s", rc_plugin_class(plugin, arena),
                                           plugin->version ? plugin->version : "");

        if (!strcmp(infos[i].location, "built in"))
            continue;
        t->found++;
        if (plugin->kind == OMC_SOURCE || plugin->kind == OMC_SINK)
            check(t, &infos[i], what, arena);
        else
            rc_try_tell(t, RC_VERDICT_OK, rc_plugin_kind_name(plugin->kind), what, "%s", "");
    }
    if (t->found == 0)
        rc_try_tell(t, RC_VERDICT_FAIL, "folder", t->config.plugin_paths.items[0],
                    "no plugin is in it: it takes .so, .jar and .zip files, and folders of jars");
}

/* ---- the service ---------------------------------------------------------------------------- */

static void stop_service(void *arg)
{
    rc_try *t = arg;

    pthread_join(t->thread, NULL);
    t->thread_runs = false;
    rc_service_stop(t->service);
}

static void *work(void *arg)
{
    rc_try *t = arg;
    rc_arena arena;

    rc_arena_init(&arena, 16 << 10);
    tell_refusals(t, &arena.pub);
    tell_plugins(t, &arena.pub);
    if (!interrupted(t))
        rc_trials_run(t);
    rc_arena_release(&arena);
    RC_ASSERT(rc_loop_post(rc_service_loop(t->service), stop_service, t) == 0);
    return NULL;
}

static int ready(rc_service *service, void *arg, rc_error *err)
{
    rc_try *t = arg;
    int r;

    t->service = service;
    r = rc_thread_start(&t->thread, "rc-try", 1 << 20, work, t, err);
    t->thread_runs = r == 0;
    return r;
}

/* The thread ends by itself then, and stops the service. */
static void on_interrupt(rc_service *service, void *arg)
{
    rc_try *t = arg;

    (void)fprintf(stderr, "stopping (again = end now)\n");
    pthread_mutex_lock(&t->mu);
    t->interrupted = true;
    pthread_cond_signal(&t->changed);
    pthread_mutex_unlock(&t->mu);
    if (!t->thread_runs)
        rc_service_stop(service);
}

static int serve(rc_try *t)
{
    const rc_service_setup setup = {.config = &t->config,
                                    .connectors = t->connectors,
                                    .registry = t->registry,
                                    .memory_store = true,
                                    .ready = ready,
                                    .interrupted = on_interrupt,
                                    .arg = t};
    rc_error err = {0};
    int r = rc_service_run(&setup, &err);

    if (r < 0)
        return rc_exit_print(&err);
    if (r > 0)
        rc_try_tell(t, RC_VERDICT_FAIL, "stop", "tasks", "%d did not stop in time", r);
    return summarize(t);
}

/* ---- the command ---------------------------------------------------------------------------- */

/* Few tries of a task that fails: somebody waits. Nothing is kept where real workers look. */
static const char *const defaults[][2] = {
    {"workerId", "plugin-try"},
    {"rest.enable", "false"},
    {"log", "embedded"},
    {"positionStoreTopic", "plugin-try-position"},
    {"task.restart.max", "3"},
    {"task.restart.delay", "500ms"},
    {"maxStopTimeoutMills", "20s"},
    {"log.level", "warn"},
};

static int configure(rc_try *t, const rc_args *args, const char *state, omc_arena *arena,
                     rc_error *err)
{
    const char *namesrv = rc_args_get(args, "namesrv"), **paths;
    rc_problems problems;
    rc_kv kv;
    int r;

    rc_kv_init(&kv, arena);
    for (size_t i = 0; i < RC_COUNT(defaults); i++)
        rc_kv_put_str(&kv, defaults[i][0], defaults[i][1]);
    rc_kv_put_str(&kv, "storePathRootDir", state);
    if (namesrv) {
        rc_kv_put_str(&kv, "log", "rocketmq");
        rc_kv_put_str(&kv, "namesrvAddr", namesrv);
    }
    r = rc_args_sets(args, &kv);
    if (r != RC_EXIT_OK)
        return r;
    rc_problems_init(&problems, arena);
    r = rc_worker_config_parse(rc_kv_done(&kv), arena, &t->config, &problems, err);
    if (r < 0)
        return rc_exit_print(err);
    paths = omc_alloc0(arena, (size_t)args->count * sizeof *paths);
    for (int i = 0; i < args->count; i++) {
        paths[i] = args->items[i];
        if (access(paths[i], R_OK) < 0) {
            (void)rc_fail_errno(err, errno, "'%s'", paths[i]);
            return rc_exit_print(err);
        }
    }
    t->config.plugin_paths = (omc_list){(size_t)args->count, paths};
    return RC_EXIT_OK;
}

static int duration(const rc_args *args, const char *option, int64_t fallback, int64_t *ret)
{
    const char *text = rc_args_get(args, option);

    *ret = fallback;
    if (text && rc_parse_duration(omc_slice_str(text), ret) < 0)
        return rc_usage(args, "--%s '%s': expected a time such as 10s or 2m", option, text);
    return RC_EXIT_OK;
}

static int prepare(rc_try *t, const rc_args *args, const char *state, omc_arena *arena)
{
    const char *level = rc_args_get(args, "log-level"), *file;
    omc_log_level parsed;
    rc_error err = {0};
    int r = duration(args, "stay", 10000, &t->stay_ms);

    if (r == RC_EXIT_OK)
        r = duration(args, "patience", 120000, &t->patience_ms);
    if (r != RC_EXIT_OK)
        return r;
    if (rc_diag_parse_level(level ? level : "warn", &parsed) < 0)
        return rc_usage(args, "--log-level '%s': expected debug, info, warn or error", level);
    rc_diag_set_level(parsed);
    for (size_t i = 0; (file = rc_args_nth(args, "run", i)); i++)
        if (rc_trials_read(file, arena, t->trials, &t->trial_count, &err) < 0) {
            (void)rc_exit_print(&err);
            return RC_EXIT_CONFIG;
        }
    r = configure(t, args, state, arena, &err);
    if (r == RC_EXIT_OK &&
        rc_service_registry(&t->config, args->connectors, false, &t->registry, &err) < 0)
        r = rc_exit_print(&err);
    return r;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path) < 0 && errno != ENOENT ? -1 : 0;
}

static int run_try(rc_args *args)
{
    rc_try *t = rc_calloc(1, sizeof *t); /* many texts: not for the stack */
    const char *tmp = getenv("TMPDIR");
    RC_AUTO_FREE char *state = rc_format("%s/plugin-try-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    rc_error err = {0};
    rc_arena arena;
    int code;

    if (!mkdtemp(state)) {
        free(t);
        (void)rc_fail_errno(&err, errno, "cannot make '%s' (TMPDIR)", state);
        return rc_exit_print(&err);
    }
    rc_arena_init(&arena, 16 << 10);
    (void)pthread_mutex_init(&t->mu, NULL);
    rc_cond_init(&t->changed);
    t->connectors = args->connectors;
    t->json = rc_args_has(args, "json");
    t->results = t->json ? json_array() : NULL;
    code = prepare(t, args, state, &arena.pub);
    if (code == RC_EXIT_OK)
        code = serve(t);
    (void)nftw(state, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    rc_arena_release(&arena);
    free(t);
    return code;
}

static const rc_cli_option options[] = {
    {"run", 'r', "FILE", "Connectors to run, .json or .properties; may be repeated."},
    {"namesrv", 0, "ADDRESS", "Name servers of a RocketMQ to run them on, not on files."},
    {"stay", 0, "TIME", "How long they have to stay RUNNING; 10s."},
    {"patience", 0, "TIME", "Longest wait until they run and have moved their records; 2m."},
    {"set", 0, "KEY=VALUE", "Sets a key of the worker, e.g. host.java; may be repeated."},
    {"log-level", 0, "LEVEL", "debug, info, warn (default) or error."},
    {"json", 0, NULL, "Print JSON."},
    {0},
};

const rc_command rc_try_commands[] = {
    {.name = "plugin try",
     .args = "PATH...",
     .args_min = 1,
     .args_max = -1,
     .summary = "Load, validate and run whatever connectors are in a folder.",
     .help = "\nPATH is what pluginPaths would be: a file or a folder of plugins, native or "
             "Java's. Each plugin\nand each file that cannot be used is a line: ok, warn or FAIL, "
             "with what to do. FILE names\nconnectors to run, which have to reach RUNNING, move "
             "\"records\" records, and stay so:\n\n"
             "  {\"orders\": {\"config\": {\"connector.class\": \"com.example.OrderSource\",\n"
             "                         \"connect.topicname\": \"orders\"}, \"records\": 100}}\n\n"
             "or is the .properties of one connector. A worker of its own does it; its state is "
             "removed at\nthe end, and its connectors are called try-NAME. Exit code 0 when "
             "nothing failed, else 1.",
     .options = options,
     .run = run_try},
    {0},
};
