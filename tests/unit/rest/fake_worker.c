/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See fake_worker.h. A connector is started at once with one task; its name decides nothing. The
 * option tables are small ones of our own, checked by the real rc_options_parse().
 */
#include "fake_worker.h"

#include <pthread.h>
#include <stdio.h>

enum { CONNECTORS = 64, WAITING = 1024 };

struct fake_connector {
    rc_arena arena;
    char *name;
    const omc_keyvalue *config;
    const omc_plugin *plugin;
    int64_t version;
    rc_state state;
    rc_state task_state;
    char trace[512];
    rc_task_metrics metrics;
};

struct held {
    rc_arena arena;
    rc_request request;
    struct held *next;
};

struct rc_worker {
    pthread_t thread;
    pthread_mutex_t mu;
    pthread_cond_t cond;
    struct held *first;
    struct held *last;
    size_t waiting;
    bool hold, refuse, cancel, stop;
    struct fake_connector *connectors[CONNECTORS];
    size_t count;
    bool writable;
    char log_text[256];
};

static rc_worker *the_worker;
static const rc_worker_config worker_config = {.worker_id = "d1"};

/* ---- plugins ---- */

static const omc_option source_keys[] = {
    {.name = "connector.class",
     .type = OMC_OPT_CLASS,
     .flags = OMC_OPT_REQUIRED,
     .offset = OMC_OPT_NOT_STORED,
     .doc = "Plugin."},
    {.name = "max.tasks",
     .type = OMC_OPT_INT,
     .default_value = "1",
     .offset = OMC_OPT_NOT_STORED,
     .doc = "Tasks.",
     .min = 1,
     .max = 1000,
     .aliases = "tasks.max"},
    {.name = "connect.topicname",
     .type = OMC_OPT_STRING,
     .offset = OMC_OPT_NOT_STORED,
     .doc = "Topic."},
    {.name = "errors.tolerance",
     .type = OMC_OPT_CHOICE,
     .default_value = "none",
     .offset = OMC_OPT_NOT_STORED,
     .doc = "What to do.",
     .choices = "none|all"},
    {.name = "value.converter",
     .type = OMC_OPT_CLASS,
     .offset = OMC_OPT_NOT_STORED,
     .doc = "Converter."},
};
static const omc_option sink_keys[] = {
    {.name = "connector.class",
     .type = OMC_OPT_CLASS,
     .flags = OMC_OPT_REQUIRED,
     .offset = OMC_OPT_NOT_STORED,
     .doc = "Plugin."},
    {.name = "max.tasks",
     .type = OMC_OPT_INT,
     .default_value = "1",
     .offset = OMC_OPT_NOT_STORED,
     .doc = "Tasks.",
     .min = 1,
     .max = 1000,
     .aliases = "tasks.max"},
    {.name = "connect.topicnames",
     .type = OMC_OPT_LIST,
     .flags = OMC_OPT_REQUIRED,
     .offset = OMC_OPT_NOT_STORED,
     .doc = "Topics."},
    {.name = "value.converter",
     .type = OMC_OPT_CLASS,
     .offset = OMC_OPT_NOT_STORED,
     .doc = "Converter."},
};
static const omc_option file_keys[] = {
    {.name = "filename",
     .type = OMC_OPT_STRING,
     .flags = OMC_OPT_REQUIRED,
     .offset = OMC_OPT_NOT_STORED,
     .doc = "File."},
    {.name = "file.password",
     .type = OMC_OPT_PASSWORD,
     .offset = OMC_OPT_NOT_STORED,
     .doc = "Secret."},
};

#define FILE_CLASS "org.apache.rocketmq.connect.file."
#define PLUGIN(kind_, name_, classes_)                                                        \
    {                                                                                         \
        .abi = OMC_ABI_CURRENT, .size = sizeof(omc_plugin), .kind = (kind_), .name = (name_), \
        .classes = (classes_), .version = "1.0.0", .doc = "A plugin."                         \
    }
#define FILE_PLUGIN(kind_, name_, classes_)                                                   \
    {                                                                                         \
        .abi = OMC_ABI_CURRENT, .size = sizeof(omc_plugin), .kind = (kind_), .name = (name_), \
        .classes = (classes_), .version = "1.0.0", .doc = "A plugin.", .options = file_keys,  \
        .option_count = RC_COUNT(file_keys), .option_size = sizeof(omc_option)                \
    }

static const omc_option string_keys[] = {
    {.name = "encoding",
     .type = OMC_OPT_CHOICE,
     .default_value = "UTF-8",
     .offset = OMC_OPT_NOT_STORED,
     .doc = "Encoding.",
     .choices = "UTF-8|ASCII"},
};

static const omc_plugin plugins[] = {
    FILE_PLUGIN(OMC_SINK, "file-sink", FILE_CLASS "FileSinkConnector"),
    FILE_PLUGIN(OMC_SOURCE, "file-source", FILE_CLASS "FileSourceConnector"),
    PLUGIN(OMC_TRANSFORM, "change-case-key",
           "org.apache.rocketmq.connect.transforms.ChangeCase$Key"),
    PLUGIN(OMC_PREDICATE, "has-header", NULL),
    {.abi = OMC_ABI_CURRENT,
     .size = sizeof(omc_plugin),
     .kind = OMC_CONVERTER,
     .name = "string",
     .classes = "org.apache.rocketmq.connect.runtime.converter.record.StringConverter",
     .version = "1.0.0",
     .doc = "A plugin.",
     .options = string_keys,
     .option_count = RC_COUNT(string_keys),
     .option_size = sizeof(omc_option)},
};

const omc_plugin *rc_registry_find(rc_registry *registry, omc_plugin_kind kind, const char *name)
{
    (void)registry;
    for (size_t i = 0; i < RC_COUNT(plugins); i++)
        if (plugins[i].kind == kind &&
            (strcmp(plugins[i].name, name) == 0 ||
             (plugins[i].classes && strcmp(plugins[i].classes, name) == 0)))
            return &plugins[i];
    return NULL;
}

int rc_registry_connector(rc_registry *registry, const char *name, const omc_plugin **ret,
                          rc_error *err)
{
    *ret = rc_registry_find(registry, OMC_SOURCE, name);
    if (!*ret)
        *ret = rc_registry_find(registry, OMC_SINK, name);
    if (*ret)
        return 0;
    return rc_fail(err, OMC_ENOTFOUND, "class '%s' is not known; there are file-sink, file-source",
                   name);
}

size_t rc_registry_refusals(rc_registry *registry, omc_arena *arena, const rc_refusal **ret)
{
    (void)registry, (void)arena;
    *ret = NULL;
    return 0;
}

size_t rc_registry_list(rc_registry *registry, omc_arena *arena, const rc_plugin_info **ret)
{
    rc_plugin_info *infos = omc_alloc(arena, sizeof(rc_plugin_info) * RC_COUNT(plugins));

    (void)registry;
    for (size_t i = 0; i < RC_COUNT(plugins); i++)
        infos[i] = (rc_plugin_info){&plugins[i], "built in"};
    *ret = infos;
    return RC_COUNT(plugins);
}

const char *rc_plugin_class(const omc_plugin *plugin, omc_arena *arena)
{
    (void)arena;
    return plugin->classes ? plugin->classes : plugin->name;
}

rc_option_table rc_plugin_table(const omc_plugin *plugin)
{
    return (rc_option_table){plugin->options, plugin->option_count, plugin->option_size, 0};
}

size_t rc_connector_tables(const omc_plugin *plugin, rc_option_table tables[2])
{
    bool source = plugin->kind == OMC_SOURCE;

    tables[0] = (rc_option_table){source ? source_keys : sink_keys,
                                  source ? RC_COUNT(source_keys) : RC_COUNT(sink_keys), 0, 0};
    tables[1] = rc_plugin_table(plugin);
    return 2;
}

/* ---- what the server asks directly ---- */

const rc_worker_config *rc_worker_config_of(const rc_worker *worker)
{
    (void)worker;
    return &worker_config;
}

rc_registry *rc_worker_registry(const rc_worker *worker)
{
    (void)worker;
    return NULL;
}

rc_log *rc_worker_log(const rc_worker *worker)
{
    (void)worker;
    return NULL;
}

int64_t rc_worker_started_ms(const rc_worker *worker)
{
    (void)worker;
    return 1700000000000;
}

unsigned rc_log_caps_of(const rc_log *log)
{
    (void)log;
    return RC_LOG_ATOMIC;
}

void rc_log_health_get(rc_log *log, rc_log_health *ret)
{
    (void)log;
    pthread_mutex_lock(&the_worker->mu);
    *ret = (rc_log_health){.writable = the_worker->writable,
                           .bytes = 4096,
                           .syncs = 7,
                           .appended = 11,
                           .transactions = 3};
    (void)snprintf(ret->text, sizeof ret->text, "%s", the_worker->log_text);
    pthread_mutex_unlock(&the_worker->mu);
}

const char *rc_state_name(rc_state state)
{
    static const char *const names[RC_STATE_COUNT] = {"UNASSIGNED", "STARTING", "RUNNING",
                                                      "PAUSED",     "STOPPED",  "FAILED",
                                                      "RESTARTING", "FINISHED", "STALLED",
                                                      "STUCK"};

    return names[state];
}

const char *rc_state_java(rc_state state)
{
    switch (state) {
    case RC_STATE_RUNNING:
    case RC_STATE_STALLED:
        return "RUNNING";
    case RC_STATE_PAUSED:
    case RC_STATE_STOPPED:
        return "PAUSED";
    case RC_STATE_FAILED:
    case RC_STATE_STUCK:
        return "FAILED";
    default:
        return "UNASSIGNED";
    }
}

/* ---- connectors ---- */

static struct fake_connector *find(rc_worker *w, const char *name)
{
    for (size_t i = 0; i < w->count; i++)
        if (strcmp(w->connectors[i]->name, name) == 0)
            return w->connectors[i];
    return NULL;
}

static void drop(rc_worker *w, struct fake_connector *c)
{
    size_t i = 0;

    while (w->connectors[i] != c)
        i++;
    for (w->count--; i < w->count; i++)
        w->connectors[i] = w->connectors[i + 1];
    rc_arena_release(&c->arena);
    free(c->name);
    free(c);
}

static struct fake_connector *add(rc_worker *w, const char *name)
{
    struct fake_connector *c = rc_calloc(1, sizeof *c);
    size_t i = w->count;

    RC_ASSERT(w->count < CONNECTORS);
    rc_arena_init(&c->arena, 4096);
    c->name = rc_strdup(name);
    c->state = RC_STATE_RUNNING;
    c->task_state = RC_STATE_RUNNING;
    while (i > 0 && strcmp(w->connectors[i - 1]->name, name) > 0) {
        w->connectors[i] = w->connectors[i - 1];
        i--;
    }
    w->connectors[i] = c;
    w->count++;
    c->metrics.values[RC_TM_WRITTEN] = 42;
    rc_histogram_record(&c->metrics.histograms[RC_TH_POLL], 100);
    rc_histogram_record(&c->metrics.histograms[RC_TH_POLL], 5000000);
    (void)snprintf(c->metrics.plugin[0].name, sizeof c->metrics.plugin[0].name, "rotations");
    c->metrics.plugin[0].value = 5;
    c->metrics.plugin_count = 1;
    return c;
}

static rc_connector_view view(const struct fake_connector *c, omc_arena *arena)
{
    rc_option_table tables[2];
    size_t count = rc_connector_tables(c->plugin, tables);
    const omc_keyvalue *masked = rc_options_mask(tables, count, c->config, arena);
    rc_task_view *task = omc_alloc0(arena, sizeof *task);
    bool tasks = c->state != RC_STATE_STOPPED;
    rc_kv kv;

    rc_kv_init(&kv, arena);
    rc_kv_put_all(&kv, masked);
    rc_kv_put_str(&kv, "task.id", "0");
    *task = (rc_task_view){.state = c->task_state,
                           .trace = c->trace[0] ? c->trace : NULL,
                           .config = rc_kv_done(&kv),
                           .since_ms = 1700000001000,
                           .retry_in_ms = 2500,
                           .metrics = (rc_task_metrics *)(uintptr_t)&c->metrics};
    return (rc_connector_view){
        .name = c->name,
        .plugin = c->plugin,
        .class_name = rc_kv_text(c->config, "connector.class", "", arena),
        .kind = c->plugin->kind,
        .state = c->state,
        .trace = c->state == RC_STATE_FAILED ? c->trace : NULL,
        .target = RC_TARGET_STARTED,
        .config = masked,
        .version = c->version,
        .since_ms = 1700000000500,
        .task_count = tasks ? 1 : 0,
        .tasks = task,
    };
}

/* ---- requests ---- */

struct answering {
    rc_worker *w;
    const rc_request *request;
    omc_arena *arena;
    rc_reply reply;
    rc_problems problems;
};

static void show(struct answering *a, const struct fake_connector *c)
{
    rc_connector_view *v = omc_alloc(a->arena, sizeof *v);

    *v = view(c, a->arena);
    a->reply.connectors = v;
    a->reply.count = 1;
}

static int check(struct answering *a, const omc_keyvalue *config, const omc_plugin **plugin)
{
    const char *class_name = rc_kv_text(config, "connector.class", NULL, a->arena);
    rc_option_table tables[2];
    size_t count;
    int r;

    rc_problems_init(&a->problems, a->arena);
    if (!class_name)
        return rc_fail(&a->reply.err, OMC_EINVAL, "key 'connector.class' is required");
    r = rc_registry_connector(NULL, class_name, plugin, &a->reply.err);
    if (r < 0)
        return r;
    count = rc_connector_tables(*plugin, tables);
    (void)rc_options_parse(tables, count, config, RC_OPTIONS_STRICT, NULL, a->arena, &a->problems);
    a->reply.problems = a->problems.items;
    a->reply.problem_count = a->problems.count;
    return rc_problems_fail(&a->problems, &a->reply.err);
}

static int store(struct answering *a, struct fake_connector *c, const omc_keyvalue *config)
{
    const omc_plugin *plugin = NULL;
    int r;

    if (c)
        config = rc_options_unmask(config, c->config, a->arena);
    r = check(a, config, &plugin);
    if (r < 0)
        return r;
    if (!c) {
        c = add(a->w, a->request->connector);
        a->reply.created = true;
    }
    c->plugin = plugin;
    c->config = rc_kv_copy(config, &c->arena.pub);
    c->version++;
    show(a, c);
    return 0;
}

static int put(struct answering *a, struct fake_connector *c)
{
    const rc_request *q = a->request;
    rc_kv kv;

    if (q->kind == RC_REQUEST_CREATE && c)
        return rc_fail(&a->reply.err, OMC_EEXIST, "connector '%s' exists", q->connector);
    if (c && q->refuse_same && rc_kv_equal(c->config, q->config))
        return rc_fail(&a->reply.err, OMC_EEXIST, "connector '%s' has this configuration",
                       q->connector);
    if (q->expected >= 0 && (c ? c->version : 0) != q->expected)
        return rc_fail(&a->reply.err, OMC_ESTATE, "version is %lld, expected %lld",
                       c ? (long long)c->version : 0, (long long)q->expected);
    if (q->kind != RC_REQUEST_PATCH)
        return store(a, c, q->config);
    rc_kv_init(&kv, a->arena);
    rc_kv_put_all(&kv, c->config);
    rc_kv_put_all(&kv, q->config);
    for (const char *const *key = q->remove; key && *key; key++)
        rc_kv_remove(&kv, *key);
    return store(a, c, rc_kv_done(&kv));
}

static int list(struct answering *a)
{
    rc_connector_view *views = omc_alloc(a->arena, sizeof *views * (a->w->count + 1));

    for (size_t i = 0; i < a->w->count; i++)
        views[i] = view(a->w->connectors[i], a->arena);
    a->reply.connectors = views;
    a->reply.count = a->w->count;
    return 0;
}

static int one(struct answering *a, struct fake_connector *c)
{
    static const rc_offset_view offsets[] = {
        {{"{\"filename\":\"/tmp/x\"}", 21}, {"{\"nextPosition\":1.10}", 21}}};

    switch (a->request->kind) {
    case RC_REQUEST_DELETE:
        drop(a->w, c);
        return 0;
    case RC_REQUEST_PAUSE:
        c->state = c->task_state = RC_STATE_PAUSED;
        break;
    case RC_REQUEST_RESUME:
        c->state = c->task_state = RC_STATE_RUNNING;
        break;
    case RC_REQUEST_STOP:
        c->state = RC_STATE_STOPPED;
        break;
    case RC_REQUEST_RESTART:
        c->task_state = RC_STATE_RESTARTING;
        break;
    case RC_REQUEST_RESTART_TASK:
        if (a->request->task != 0)
            return rc_fail(&a->reply.err, OMC_ENOTFOUND, "no task %d", a->request->task);
        break;
    case RC_REQUEST_OFFSETS:
        a->reply.offsets = offsets;
        a->reply.offset_count = 1;
        break;
    case RC_REQUEST_OFFSETS_RESET:
        if (c->state != RC_STATE_STOPPED)
            return rc_fail(&a->reply.err, OMC_ESTATE, "connector '%s' must be STOPPED", c->name);
        break;
    default:
        break;
    }
    show(a, c);
    return 0;
}

static int answer_one(struct answering *a)
{
    const rc_request *q = a->request;
    struct fake_connector *c = q->connector ? find(a->w, q->connector) : NULL;
    const omc_plugin *plugin = NULL;

    if (a->w->cancel)
        return rc_fail(&a->reply.err, OMC_ECANCELED, "the worker is stopping");
    switch (q->kind) {
    case RC_REQUEST_LIST:
        return list(a);
    case RC_REQUEST_RELOAD:
        return 0;
    case RC_REQUEST_VALIDATE:
        if (!q->connector || !*q->connector)
            return rc_fail(&a->reply.err, OMC_EINVAL, "the connector name is empty");
        return check(a, q->config, &plugin);
    case RC_REQUEST_CREATE:
    case RC_REQUEST_PUT:
        return put(a, c);
    default:
        break;
    }
    if (!c)
        return rc_fail(&a->reply.err, OMC_ENOTFOUND, "connector '%s' does not exist", q->connector);
    return q->kind == RC_REQUEST_PATCH ? put(a, c) : one(a, c);
}

static void answer_held(rc_worker *w, struct held *h)
{
    struct answering a = {.w = w, .request = &h->request, .arena = &h->arena.pub};

    pthread_mutex_lock(&w->mu);
    a.reply.result = answer_one(&a);
    pthread_mutex_unlock(&w->mu);
    h->request.done(&a.reply, h->request.arg);
    rc_arena_release(&h->arena);
    free(h);
}

static void *run(void *arg)
{
    rc_worker *w = arg;

    pthread_mutex_lock(&w->mu);
    for (;;) {
        struct held *h;

        while (!w->stop && (w->hold || !w->first))
            pthread_cond_wait(&w->cond, &w->mu);
        h = w->first;
        if (!h)
            break;
        w->first = h->next;
        w->last = w->first ? w->last : NULL;
        w->waiting--;
        pthread_mutex_unlock(&w->mu);
        answer_held(w, h);
        pthread_mutex_lock(&w->mu);
    }
    pthread_mutex_unlock(&w->mu);
    return NULL;
}

int rc_worker_post(rc_worker *w, const rc_request *request, rc_error *err)
{
    struct held *h;

    pthread_mutex_lock(&w->mu);
    if (w->refuse || w->waiting == WAITING) {
        pthread_mutex_unlock(&w->mu);
        return rc_fail(err, OMC_EAGAIN, "1,024 requests wait");
    }
    h = rc_calloc(1, sizeof *h);
    rc_arena_init(&h->arena, 4096);
    h->request = *request;
    if (request->connector)
        h->request.connector =
            omc_copy(&h->arena.pub, request->connector, strlen(request->connector));
    if (request->config)
        h->request.config = rc_kv_copy(request->config, &h->arena.pub);
    if (w->last)
        w->last->next = h;
    else
        w->first = h;
    w->last = h;
    w->waiting++;
    pthread_cond_broadcast(&w->cond);
    pthread_mutex_unlock(&w->mu);
    return 0;
}

/* ---- for the tests ---- */

rc_worker *fake_worker_new(void)
{
    rc_worker *w = rc_calloc(1, sizeof *w);

    pthread_mutex_init(&w->mu, NULL);
    pthread_cond_init(&w->cond, NULL);
    w->writable = true;
    the_worker = w;
    RC_ASSERT(pthread_create(&w->thread, NULL, run, w) == 0);
    return w;
}

void fake_worker_free(rc_worker *w)
{
    pthread_mutex_lock(&w->mu);
    w->stop = true;
    pthread_cond_broadcast(&w->cond);
    pthread_mutex_unlock(&w->mu);
    pthread_join(w->thread, NULL);
    while (w->count)
        drop(w, w->connectors[0]);
    pthread_mutex_destroy(&w->mu);
    pthread_cond_destroy(&w->cond);
    free(w);
}

void fake_worker_hold(rc_worker *w, bool hold)
{
    pthread_mutex_lock(&w->mu);
    w->hold = hold;
    pthread_cond_broadcast(&w->cond);
    pthread_mutex_unlock(&w->mu);
}

size_t fake_worker_waiting(rc_worker *w)
{
    size_t n;

    pthread_mutex_lock(&w->mu);
    n = w->waiting;
    pthread_mutex_unlock(&w->mu);
    return n;
}

void fake_worker_refuse(rc_worker *w, bool refuse)
{
    pthread_mutex_lock(&w->mu);
    w->refuse = refuse;
    pthread_mutex_unlock(&w->mu);
}

void fake_worker_cancel(rc_worker *w, bool cancel)
{
    pthread_mutex_lock(&w->mu);
    w->cancel = cancel;
    pthread_mutex_unlock(&w->mu);
}

void fake_worker_state(rc_worker *w, const char *name, rc_state connector, rc_state task,
                       const char *trace)
{
    struct fake_connector *c;

    pthread_mutex_lock(&w->mu);
    c = find(w, name);
    RC_ASSERT(c);
    c->state = connector;
    c->task_state = task;
    (void)snprintf(c->trace, sizeof c->trace, "%s", trace ? trace : "");
    pthread_mutex_unlock(&w->mu);
}

void fake_worker_log(rc_worker *w, bool writable, const char *text)
{
    pthread_mutex_lock(&w->mu);
    w->writable = writable;
    (void)snprintf(w->log_text, sizeof w->log_text, "%s", text);
    pthread_mutex_unlock(&w->mu);
}
