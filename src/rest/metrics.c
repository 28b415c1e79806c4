/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /metrics: Prometheus' text format 0.0.4. Names, types and help of the tasks' figures come from
 * the tables in worker/metrics.h; a metric's samples stand together, as the format wants.
 *
 * Histograms are merged into buckets at powers of four in µs, because these are edges of
 * rc_histogram: the counts are exact.
 */
#include "rest/process.h"
#include "rest/routes.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define P "rocketmq_connect_"

static const struct {
    const char *name;
    const char *type;
    const char *help;
} task_metrics[RC_TM_COUNT] = {
#define X(id, name_, type_, help_) [RC_TM_##id] = {name_, type_, help_},
    RC_TASK_METRICS(X)
#undef X
};

static const struct {
    const char *name;
    const char *help;
} task_histograms[RC_TH_COUNT] = {
#define X(id, name_, help_) [RC_TH_##id] = {name_, help_},
    RC_TASK_HISTOGRAMS(X)
#undef X
};

/* Upper edges of the buckets shown, in µs: 64 µs to 67 s. */
static const int64_t edges_us[] = {64,     256,     1024,    4096,     16384,   65536,
                                   262144, 1048576, 4194304, 16777216, 67108864};

static void family(rc_buf *out, const char *name, const char *type, const char *help)
{
    rc_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value: backslash, quote and line feed are escaped. */
static void label(rc_buf *out, const char *name, const char *value)
{
    rc_buf_printf(out, "%s=\"", name);
    for (; value && *value; value++) {
        if (*value == '\\' || *value == '"')
            rc_buf_char(out, '\\');
        if (*value == '\n')
            rc_buf_str(out, "\\n");
        else
            rc_buf_char(out, *value);
    }
    rc_buf_char(out, '"');
}

static const char *type_of(const rc_connector_view *c)
{
    return c->kind == OMC_SOURCE ? "source" : c->kind == OMC_SINK ? "sink" : "unknown";
}

/* {connector="a",task="0",type="source" without the closing brace. */
static void task_labels(rc_buf *out, const rc_connector_view *c, const rc_task_view *task)
{
    rc_buf_char(out, '{');
    label(out, "connector", c->name);
    rc_buf_printf(out, ",task=\"%d\",type=\"%s\"", task->id, type_of(c));
}

#define EACH_TASK(reply, c, task)                                                          \
    for (const rc_connector_view *c = (reply)->connectors;                                 \
         c < (reply)->connectors + (reply)->count; c++)                                    \
        for (const rc_task_view *task = c->tasks; task < c->tasks + c->task_count; task++) \
            if (task->metrics)

/* ---- connectors and tasks ---- */

static void states(rc_buf *out, const rc_reply *reply)
{
    family(out, P "connector_state", "gauge", "1 for the state a connector is in.");
    for (size_t i = 0; i < reply->count; i++) {
        const rc_connector_view *c = &reply->connectors[i];

        rc_buf_str(out, P "connector_state{");
        label(out, "connector", c->name);
        rc_buf_printf(out, ",type=\"%s\",state=\"%s\"} 1\n", type_of(c), rc_state_name(c->state));
    }
    family(out, P "task_state", "gauge", "1 for the state a task is in.");
    for (size_t i = 0; i < reply->count; i++)
        for (size_t t = 0; t < reply->connectors[i].task_count; t++) {
            const rc_task_view *task = &reply->connectors[i].tasks[t];

            rc_buf_str(out, P "task_state");
            task_labels(out, &reply->connectors[i], task);
            rc_buf_printf(out, ",state=\"%s\"} 1\n", rc_state_name(task->state));
        }
}

static void task_values(rc_buf *out, const rc_reply *reply)
{
    for (int id = 0; id < RC_TM_COUNT; id++) {
        char name[96];

        (void)snprintf(name, sizeof name, P "task_%s", task_metrics[id].name);
        family(out, name, task_metrics[id].type, task_metrics[id].help);
        EACH_TASK(reply, c, task)
        {
            rc_buf_str(out, name);
            task_labels(out, c, task);
            rc_buf_printf(out, "} %lld\n",
                          (long long)rc_metric_get(task->metrics, (rc_task_metric)id));
        }
    }
}

/* Cumulative buckets; the count is their sum, so that it is consistent while tasks go on. */
static void one_histogram(rc_buf *out, const char *name, const rc_histogram *h,
                          const rc_connector_view *c, const rc_task_view *task)
{
    uint64_t total = 0;
    size_t i = 0;

    for (size_t e = 0; e <= RC_COUNT(edges_us); e++) {
        bool last = e == RC_COUNT(edges_us);

        for (; i < RC_HISTOGRAM_BUCKETS && (last || rc_histogram_edge(i) <= edges_us[e]); i++)
            total += atomic_load_explicit(&h->buckets[i], memory_order_relaxed);
        rc_buf_printf(out, "%s_bucket", name);
        task_labels(out, c, task);
        if (last)
            rc_buf_printf(out, ",le=\"+Inf\"} %llu\n", (unsigned long long)total);
        else
            rc_buf_printf(out, ",le=\"%g\"} %llu\n", (double)edges_us[e] / 1e6,
                          (unsigned long long)total);
    }
    rc_buf_printf(out, "%s_sum", name);
    task_labels(out, c, task);
    rc_buf_printf(out, "} %.6f\n",
                  (double)atomic_load_explicit(&h->sum_us, memory_order_relaxed) / 1e6);
    rc_buf_printf(out, "%s_count", name);
    task_labels(out, c, task);
    rc_buf_printf(out, "} %llu\n", (unsigned long long)total);
}

static void histograms(rc_buf *out, const rc_reply *reply)
{
    for (int id = 0; id < RC_TH_COUNT; id++) {
        char name[96];

        (void)snprintf(name, sizeof name, P "task_%s_seconds", task_histograms[id].name);
        family(out, name, "histogram", task_histograms[id].help);
        EACH_TASK(reply, c, task)
        {
            const rc_histogram *h = &task->metrics->histograms[id];

            /* Half of them belong to the other kind of task; empty ones are only weight. */
            if (rc_histogram_count(h) > 0)
                one_histogram(out, name, h, c, task);
        }
    }
}

static bool seen_before(const rc_reply *reply, const rc_task_view *until, int index,
                        const char *name)
{
    EACH_TASK(reply, c, task)
    {
        int count = atomic_load(&task->metrics->plugin_count);

        for (int i = 0; i < count && i < RC_PLUGIN_COUNTERS_MAX; i++) {
            if (task == until && i == index)
                return false;
            if (strcmp(task->metrics->plugin[i].name, name) == 0)
                return true;
        }
    }
    return false;
}

static void plugin_samples(rc_buf *out, const rc_reply *reply, const char *counter)
{
    EACH_TASK(reply, c, task)
    {
        int count = atomic_load(&task->metrics->plugin_count);

        for (int i = 0; i < count && i < RC_PLUGIN_COUNTERS_MAX; i++) {
            const rc_plugin_counter *p = &task->metrics->plugin[i];

            if (strcmp(p->name, counter) != 0)
                continue;
            rc_buf_printf(out, P "plugin_%s_total", counter);
            task_labels(out, c, task);
            rc_buf_printf(out, "} %lld\n", (long long)atomic_load(&p->value));
        }
    }
}

/* Counters that plugins made up: each name once, with the samples of all tasks that have it. */
static void plugin_counters(rc_buf *out, const rc_reply *reply)
{
    EACH_TASK(reply, c, task)
    {
        int count = atomic_load(&task->metrics->plugin_count);

        for (int i = 0; i < count && i < RC_PLUGIN_COUNTERS_MAX; i++) {
            const char *counter = task->metrics->plugin[i].name;
            char name[96];

            if (seen_before(reply, task, i, counter))
                continue;
            (void)snprintf(name, sizeof name, P "plugin_%s_total", counter);
            family(out, name, "counter", "Counted by a plugin.");
            plugin_samples(out, reply, counter);
        }
    }
}

/* ---- log, worker, process ---- */

static void value(rc_buf *out, const char *name, const char *type, const char *help,
                  long long number)
{
    family(out, name, type, help);
    rc_buf_printf(out, "%s %lld\n", name, number);
}

static void log_values(rc_buf *out, rc_log *log)
{
    rc_log_health h = {.writable = true};

    rc_log_health_get(log, &h);
    value(out, P "log_writable", "gauge", "1 when the log can be written.", h.writable);
    value(out, P "log_bytes", "gauge", "Bytes of the log on disk. -1 = unknown.", h.bytes);
    value(out, P "log_syncs_total", "counter", "fsync and fdatasync calls.", h.syncs);
    value(out, P "log_messages_appended_total", "counter", "Messages stored.", h.appended);
    value(out, P "log_transactions_total", "counter", "Transactions of the log.", h.transactions);
}

static void worker_info(rc_buf *out, const exchange *ex)
{
    family(out, P "worker_info", "gauge", "1; version and worker as labels.");
    rc_buf_str(out, P "worker_info{");
    label(out, "version", RC_VERSION);
    rc_buf_char(out, ',');
    label(out, "worker_id", ex->worker_id);
    rc_buf_str(out, "} 1\n");
}

/* The names every Prometheus client library uses. */
static void process_values(rc_buf *out, int64_t started_ms)
{
    process_figures p;

    process_read(&p);
    value(out, "process_resident_memory_bytes", "gauge", "Resident memory.", p.resident_bytes);
    value(out, "process_virtual_memory_bytes", "gauge", "Virtual memory.", p.virtual_bytes);
    family(out, "process_cpu_seconds_total", "counter", "CPU time, user and system.");
    rc_buf_printf(out, "process_cpu_seconds_total %.3f\n", (double)p.cpu_us / 1e6);
    value(out, "process_open_fds", "gauge", "Open file descriptors.", p.open_fds);
    value(out, "process_max_fds", "gauge", "Most file descriptors allowed.", p.max_fds);
    value(out, "process_threads", "gauge", "Threads.", p.threads);
    family(out, "process_start_time_seconds", "gauge", "Start, in seconds since 1970.");
    rc_buf_printf(out, "process_start_time_seconds %.3f\n", (double)started_ms / 1e3);
    family(out, P "uptime_seconds", "gauge", "Time since the start.");
    rc_buf_printf(out, P "uptime_seconds %.3f\n",
                  (double)(rc_now_ms(rc_clock_real()) - started_ms) / 1e3);
}

/* Counts are copied by the handler, on the loop's thread that writes them. */
static void rest_values(rc_buf *out, const int64_t *answered)
{
    family(out, P "rest_requests_total", "counter", "REST requests answered, by HTTP status.");
    for (int code = 0; code < 600; code++)
        if (answered[code])
            rc_buf_printf(out, P "rest_requests_total{code=\"%d\"} %lld\n", code,
                          (long long)answered[code]);
}

static void cluster_value(void *arg, const char *name, const char *type, const char *help,
                          int64_t number)
{
    RC_AUTO_FREE char *full = rc_format(P "cluster_%s", name);

    value(arg, full, type, help, number);
}

static void cluster_values(rc_buf *out, const rc_rest_cluster *cluster)
{
    if (cluster->figures)
        cluster->figures(cluster->arg, cluster_value, out);
}

static void render_metrics(exchange *ex, const rc_reply *reply, answer *out)
{
    rc_buf *buf = &out->body;

    out->status = 200;
    out->type = METRICS_TYPE;
    worker_info(buf, ex);
    process_values(buf, ex->worker_started_ms);
    rest_values(buf, ex->state);
    log_values(buf, ex->log);
    cluster_values(buf, &ex->rest->cluster);
    if (reply->result < 0)
        return;
    states(buf, reply);
    task_values(buf, reply);
    histograms(buf, reply);
    plugin_counters(buf, reply);
}

void open_metrics(exchange *ex)
{
    rc_request request = {.kind = RC_REQUEST_LIST, .expected = -1};
    rc_rest *rest = ex->rest;

    ex->state = omc_copy(&ex->arena.pub, (const char *)rest->answered, sizeof rest->answered);
    if (rest->worker) {
        exchange_post(ex, &request, render_metrics);
        return;
    }
    ex->answer.status = 200;
    ex->answer.type = METRICS_TYPE;
    process_values(&ex->answer.body, rest->started_ms);
    rest_values(&ex->answer.body, ex->state);
}
