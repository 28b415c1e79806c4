/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replicator: copies topics of another RocketMQ cluster into the worker's own: bodies, keys, tags
 * and properties as they are, queue by queue in order, each message once. Answers to the Java
 * class ReplicatorSourceConnector and its keys.
 *
 * Differences to it: bodies may be binary, properties keep their names, the group's start
 * (consumefromwhere) reaches the tasks, and `sync.tps` limits nothing (it does not there either).
 */
#include "replicator.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define OPT(member) offsetof(replicator_options, member)
/* clang-format off */
#define IGNORED(name_, doc_)                                                                   \
    {.name = (name_), .type = OMC_OPT_STRING, .flags = OMC_OPT_IGNORED,                        \
     .offset = OMC_OPT_NOT_STORED, .doc = (doc_)}
#define NAMES "names a place for people; nothing depends on it."
#define TO_WORKER "messages go to the cluster the worker is attached to, as in the Java runtime."
/* clang-format on */

static const omc_option options[] = {
    {.name = "src.endpoint",
     .type = OMC_OPT_STRING,
     .flags = OMC_OPT_REQUIRED,
     .offset = OPT(endpoint),
     .doc = "Name servers of the source cluster, separated by ';'."},
    {.name = "src.topictags",
     .type = OMC_OPT_STRING,
     .flags = OMC_OPT_REQUIRED,
     .offset = OPT(topics),
     .doc = "Topics to copy, each with the tags wanted: `topic1,tagA || tagB;topic2,*`."},
    {.name = "dest.topic",
     .type = OMC_OPT_STRING,
     .offset = OPT(dest_topic),
     .doc = "Topic to copy to. Default: the name at the source."},
    {.name = "src.acl.enable",
     .type = OMC_OPT_BOOLEAN,
     .default_value = "false",
     .offset = OPT(acl),
     .doc = "Whether requests to the source are signed with src.access.key and src.secret.key."},
    {.name = "src.access.key",
     .type = OMC_OPT_PASSWORD,
     .offset = OPT(access_key),
     .doc = "Name of the user at the source."},
    {.name = "src.secret.key",
     .type = OMC_OPT_PASSWORD,
     .offset = OPT(secret_key),
     .doc = "Secret of the user at the source."},
    {.name = "src.tls.enable",
     .type = OMC_OPT_BOOLEAN,
     .default_value = "false",
     .offset = OPT(tls),
     .doc = "Whether connections to the source use TLS."},
    {.name = "src.tls.verify",
     .type = OMC_OPT_BOOLEAN,
     .default_value = "true",
     .offset = OPT(tls_verify),
     .doc = "Whether certificates and names of the source's servers are checked."},
    {.name = "src.tls.ca",
     .type = OMC_OPT_STRING,
     .offset = OPT(tls_ca),
     .doc = "PEM file of the authorities to trust at the source. Default: the system's."},
    {.name = "consumefromwhere",
     .type = OMC_OPT_CHOICE,
     .default_value = "CONSUME_FROM_FIRST_OFFSET",
     .choices = "CONSUME_FROM_FIRST_OFFSET|CONSUME_FROM_LAST_OFFSET|CONSUME_FROM_TIMESTAMP",
     .offset = OPT(from),
     .doc = "Where a queue without a position begins. The Java connector begins at the end, "
            "whatever is set, and so leaves out what is there already."},
    {.name = "consumefromtimestamp",
     .type = OMC_OPT_INT,
     .default_value = "0",
     .offset = OPT(from_ms),
     .min = 0,
     .max = INT64_MAX,
     .doc = "Milliseconds since 1970, for CONSUME_FROM_TIMESTAMP."},
    {.name = "commit.offset.interval.ms",
     .type = OMC_OPT_DURATION_MS,
     .default_value = "10000",
     .offset = OPT(commit_ms),
     .min = 100,
     .max = INT64_C(86400000),
     .doc = "How often the progress is shown in the group `CID_RMQ_SYS_REPLICATOR_<connector>` of "
            "the source, for its tools. What counts is the position in the worker's cluster."},
    {.name = "request.task.reconfig.ms",
     .type = OMC_OPT_DURATION_MS,
     .default_value = "30000",
     .offset = OPT(reconfig_ms),
     .min = 100,
     .max = INT64_C(86400000),
     .doc = "How often the source is asked for new queues, which are then divided again."},
    {.name = "divided.normalqueues",
     .type = OMC_OPT_LIST,
     .offset = OPT(queues),
     .doc = "Set by the connector for its tasks."},
    IGNORED("src.cloud", NAMES),
    IGNORED("src.region", NAMES),
    IGNORED("src.cluster", NAMES),
    IGNORED("src.instanceid", NAMES),
    IGNORED("dest.cloud", NAMES),
    IGNORED("dest.region", NAMES),
    IGNORED("dest.cluster", NAMES),
    IGNORED("dest.instanceid", NAMES),
    IGNORED("dest.endpoint", TO_WORKER),
    IGNORED("dest.acl.enable", TO_WORKER),
    IGNORED("dest.access.key", TO_WORKER),
    IGNORED("dest.secret.key", TO_WORKER),
    IGNORED("auto.create.inner.consumergroup", "the group is created when it is missing."),
    IGNORED("failover.strategy", "the Java connector does not use it either."),
    IGNORED("each.queue.buffer.size", "memory is bounded per task."),
    IGNORED("divide.strategy", "the Java connector knows one only, too."),
    IGNORED("sync.tps", "the Java connector does not limit either; nothing is limited."),
};

typedef struct connector {
    const omc_connector_context *ctx;
    const replicator_options *options;
    replicator_topics topics;
    rmq_client *client;
    bool watching, ending;
    pthread_t watcher;
    pthread_mutex_t mu; /* guards ending and the next two */
    pthread_cond_t cond;
    replicator_view view;
    bool divided; /* once at least */
    bool started;
} connector;

int replicator_client(const replicator_options *o, rmq_log_fn *log, void *arg, rmq_client **ret,
                      omc_error *err)
{
    const rmq_client_config config = {
        .namesrv = o->endpoint,
        .access_key = o->acl ? o->access_key : NULL,
        .secret_key = o->acl ? o->secret_key : NULL,
        .tls = {.enable = o->tls, .verify = o->tls_verify, .ca_file = o->tls_ca},
        .log = log,
        .log_arg = arg,
    };

    return rmq_client_open(&config, ret, err);
}

static int validate(const omc_config *config, omc_error *err)
{
    const replicator_options *o = config->options;
    replicator_topics topics;
    int r = replicator_topics_parse(o->topics, &topics, err);

    replicator_topics_free(&topics);
    if (r == 0 && o->acl && (!o->access_key || !o->secret_key))
        return omc_fail(err, OMC_EINVAL, OMC_ERR_FATAL,
                        "src.acl.enable=true needs src.access.key and src.secret.key");
    return r;
}

/* ---- the connector half ---------------------------------------------------------------------- */

static void look_for_queues(connector *c)
{
    replicator_lists lists;
    bool changed;

    /* A source that is away for a moment has not changed. */
    if (replicator_ask(c->client, &c->topics, &lists, NULL) < 0)
        return;
    pthread_mutex_lock(&c->mu);
    changed = c->divided && replicator_view_take(&c->view, &lists);
    pthread_mutex_unlock(&c->mu);
    replicator_lists_free(&lists);
    if (changed)
        c->ctx->request_task_reconfiguration(c->ctx->host);
}

static void *watch(void *arg)
{
    connector *c = arg;

    pthread_mutex_lock(&c->mu);
    while (!c->ending) {
        struct timespec until;

        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += c->options->reconfig_ms / 1000;
        until.tv_nsec += c->options->reconfig_ms % 1000 * 1000000;
        if (until.tv_nsec >= 1000000000) {
            until.tv_sec++;
            until.tv_nsec -= 1000000000;
        }
        if (pthread_cond_timedwait(&c->cond, &c->mu, &until) == 0)
            continue;
        pthread_mutex_unlock(&c->mu);
        look_for_queues(c);
        pthread_mutex_lock(&c->mu);
    }
    pthread_mutex_unlock(&c->mu);
    return NULL;
}

static int connector_start(void *state, const omc_connector_context *ctx, omc_error *err)
{
    connector *c = state;
    pthread_condattr_t attr;
    int r;

    c->ctx = ctx;
    c->options = ctx->config->options;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&c->cond, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&c->mu, NULL);
    c->started = true;
    r = replicator_topics_parse(c->options->topics, &c->topics, err);
    if (r == 0)
        r = replicator_client(c->options, NULL, NULL, &c->client, err);
    if (r == 0)
        c->watching = pthread_create(&c->watcher, NULL, watch, c) == 0;
    return r;
}

static int task_configs(void *state, int max_tasks, omc_task_configs *out, omc_error *err)
{
    connector *c = state;
    const bool own = omc_keyvalue_get(c->ctx->config->raw, "value.converter") != NULL;
    replicator_lists lists;
    int r = replicator_ask(c->client, &c->topics, &lists, err);

    if (r < 0)
        return r;
    pthread_mutex_lock(&c->mu);
    (void)replicator_view_take(&c->view, &lists);
    r = replicator_divide(&c->view, &c->topics, max_tasks, own, out, err);
    c->divided = r == 0;
    pthread_mutex_unlock(&c->mu);
    replicator_lists_free(&lists);
    return r;
}

static void connector_stop(void *state)
{
    connector *c = state;

    if (!c->started)
        return;
    pthread_mutex_lock(&c->mu);
    c->ending = true;
    pthread_cond_signal(&c->cond);
    pthread_mutex_unlock(&c->mu);
    if (c->watching)
        pthread_join(c->watcher, NULL);
    rmq_client_close(c->client);
    replicator_topics_free(&c->topics);
    replicator_view_free(&c->view);
    pthread_cond_destroy(&c->cond);
    pthread_mutex_destroy(&c->mu);
    c->started = false;
}

static const omc_source_ops ops = {
    .size = sizeof(omc_source_ops),
    .flags = OMC_SOURCE_REPLAYS | OMC_SOURCE_EXACTLY_ONCE,
    .connector_state_size = sizeof(connector),
    .task_state_size = sizeof(void *),
    .validate = validate,
    .connector_start = connector_start,
    .task_configs = task_configs,
    .connector_stop = connector_stop,
    .init = replicator_task_init,
    .start = replicator_task_start,
    .poll = replicator_task_poll,
    .stop = replicator_task_stop,
};

const omc_plugin replicator_source_plugin;
const omc_plugin replicator_source_plugin = {
    .abi = OMC_ABI_CURRENT,
    .size = sizeof(omc_plugin),
    .kind = OMC_SOURCE,
    .name = "replicator",
    .classes = "org.apache.rocketmq.replicator.ReplicatorSourceConnector",
    .version = "0.1.0",
    .doc = "Copies topics of another RocketMQ cluster, each message once and in order.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .option_size = sizeof(omc_option),
    .options_size = sizeof(replicator_options),
    .ops = &ops,
};
