/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime's own keys of a connector. Two tables share one struct: rows common to both are
 * repeated by macro, because a table is what --help, REST and docs are made from.
 */
#include "worker/connector_config.h"

#include "config/labels.h"
#include "log/log.h"

#define AT(member) offsetof(rc_connector_options, member)

#define COMMON_ROWS                                                                                \
    {.name = "connector.class",                                                                    \
     .type = OMC_OPT_CLASS,                                                                        \
     .flags = OMC_OPT_REQUIRED,                                                                    \
     .offset = AT(connector_class),                                                                \
     .doc = "Name, Java class name or alias of the connector; `plugin list` shows them."},         \
        {.name = "name",                                                                           \
         .type = OMC_OPT_STRING,                                                                   \
         .offset = OMC_OPT_NOT_STORED,                                                             \
         .doc = "Name of the connector; only checked to be the one in the path."},                 \
        {.name = "max.tasks",                                                                      \
         .type = OMC_OPT_INT,                                                                      \
         .default_value = "1",                                                                     \
         .offset = AT(max_tasks),                                                                  \
         .min = 1,                                                                                 \
         .max = RC_TASKS_MAX,                                                                      \
         .aliases = "tasks.max",                                                                   \
         .doc = "Most tasks the connector may run."},                                              \
        {.name = "key.converter",                                                                  \
         .type = OMC_OPT_CLASS,                                                                    \
         .offset = AT(key_converter),                                                              \
         .doc = "Converter between record keys and KEYS; default: the worker's keyConverter."},    \
        {.name = "key.converter.",                                                                 \
         .type = OMC_OPT_STRING,                                                                   \
         .flags = OMC_OPT_PREFIX,                                                                  \
         .offset = OMC_OPT_NOT_STORED,                                                             \
         .doc = "Options of the key converter."},                                                  \
        {.name = "value.converter",                                                                \
         .type = OMC_OPT_CLASS,                                                                    \
         .offset = AT(value_converter),                                                            \
         .doc = "Converter between record values and message bodies; default: the worker's "       \
                "valueConverter."},                                                                \
        {.name = "value.converter.",                                                               \
         .type = OMC_OPT_STRING,                                                                   \
         .flags = OMC_OPT_PREFIX,                                                                  \
         .offset = OMC_OPT_NOT_STORED,                                                             \
         .doc = "Options of the value converter."},                                                \
        {.name = "transforms",                                                                     \
         .type = OMC_OPT_LIST,                                                                     \
         .offset = OMC_OPT_NOT_STORED,                                                             \
         .doc = "Names of transforms, in the order they are applied."},                            \
        {.name = "transforms.",                                                                    \
         .type = OMC_OPT_STRING,                                                                   \
         .flags = OMC_OPT_PREFIX,                                                                  \
         .offset = OMC_OPT_NOT_STORED,                                                             \
         .doc =                                                                                    \
             "`transforms.<name>.class`, `.predicate`, `.negate` and the transform's options."},   \
        {.name = "predicates",                                                                     \
         .type = OMC_OPT_LIST,                                                                     \
         .offset = OMC_OPT_NOT_STORED,                                                             \
         .doc = "Names of predicates that transforms refer to."},                                  \
        {.name = "predicates.",                                                                    \
         .type = OMC_OPT_STRING,                                                                   \
         .flags = OMC_OPT_PREFIX,                                                                  \
         .offset = OMC_OPT_NOT_STORED,                                                             \
         .doc = "`predicates.<name>.class` and the predicate's options."},                         \
        {.name = "errors.tolerance",                                                               \
         .type = OMC_OPT_CHOICE,                                                                   \
         .default_value = "none",                                                                  \
         .offset = AT(tolerance),                                                                  \
         .choices = "none|all",                                                                    \
         .doc =                                                                                    \
             "`none`: a record that cannot be converted or transformed fails the task; `all`: it " \
             "is skipped, counted, and reported."},                                                \
        {.name = "errors.retry.timeout",                                                           \
         .type = OMC_OPT_INT,                                                                      \
         .default_value = "0",                                                                     \
         .offset = AT(retry_timeout_ms),                                                           \
         .min = -1,                                                                                \
         .max = INT64_C(1) << 40,                                                                  \
         .doc =                                                                                    \
             "How long (ms) a record's failed operation is tried again when the error may pass; "  \
             "0 = not, -1 = for ever."},                                                           \
        {.name = "errors.retry.delay.max.ms",                                                      \
         .type = OMC_OPT_DURATION_MS,                                                              \
         .default_value = "60000",                                                                 \
         .offset = AT(retry_delay_max_ms),                                                         \
         .min = 1,                                                                                 \
         .max = INT64_C(1) << 40,                                                                  \
         .doc = "Longest wait between two tries."},                                                \
        {.name = "errors.log.enable",                                                              \
         .type = OMC_OPT_BOOLEAN,                                                                  \
         .default_value = "false",                                                                 \
         .offset = AT(errors_log),                                                                 \
         .doc = "Write a log line for each tolerated error."},                                     \
        {.name = "errors.log.include.messages",                                                    \
         .type = OMC_OPT_BOOLEAN,                                                                  \
         .default_value = "false",                                                                 \
         .offset = AT(errors_log_messages),                                                        \
         .doc = "Include topic, queue, offset and key of the record in these lines."},             \
        {.name = "errors.deadletterqueue.topic.name",                                              \
         .type = OMC_OPT_STRING,                                                                   \
         .default_value = "",                                                                      \
         .offset = AT(dlq_topic),                                                                  \
         .doc =                                                                                    \
             "Topic that gets the original message of every skipped record; empty = none. A body " \
             "that is too large for it is cut; `__connect.errors.body.length` then says its "      \
             "length."},                                                                           \
        {.name = "errors.deadletterqueue.write.queue.nums",                                        \
         .type = OMC_OPT_INT,                                                                      \
         .default_value = "8",                                                                     \
         .offset = AT(dlq_queues),                                                                 \
         .min = 1,                                                                                 \
         .max = 1024,                                                                              \
         .doc = "Queues of the dead-letter topic when it is created."},                            \
        {.name = "errors.deadletterqueue.read.queue.nums",                                         \
         .type = OMC_OPT_INT,                                                                      \
         .flags = OMC_OPT_IGNORED,                                                                 \
         .offset = OMC_OPT_NOT_STORED,                                                             \
         .doc = "Read queues are as many as write queues."},                                       \
        {.name = "errors.deadletterqueue.context.properties.enable",                               \
         .type = OMC_OPT_BOOLEAN,                                                                  \
         .default_value = "false",                                                                 \
         .offset = AT(dlq_context),                                                                \
         .doc = "Add `__connect.errors.*` properties that say where and why it failed."},          \
        {.name = "worker.labels",                                                                  \
         .type = OMC_OPT_STRING,                                                                   \
         .default_value = "",                                                                      \
         .offset = AT(labels),                                                                     \
         .doc = "Labels that a worker must have to run the connector and its tasks: key=value, "   \
                "separated by `,`; all of them must be among the worker's `worker.labels`. Only "  \
                "in a cluster of workers."},                                                       \
        {.name = "task.weight",                                                                    \
         .type = OMC_OPT_INT,                                                                      \
         .default_value = "1",                                                                     \
         .offset = AT(task_weight),                                                                \
         .min = 1,                                                                                 \
         .max = RC_WORKER_WEIGHT_MAX,                                                              \
         .doc = "Load of one task beside the tasks of other connectors, for sharing them out "     \
                "evenly. Only in a cluster of workers."},                                          \
        {.name = "isolation",                                                                      \
         .type = OMC_OPT_CHOICE,                                                                   \
         .default_value = "none",                                                                  \
         .offset = AT(isolation),                                                                  \
         .choices = "none|process",                                                                \
         .doc = "`process`: the connector and its tasks run in a process of their own, a host, "   \
                "whose end cannot hurt the worker."},                                              \
        {.name = "host.group",                                                                     \
         .type = OMC_OPT_STRING,                                                                   \
         .offset = OMC_OPT_NOT_STORED,                                                             \
         .doc = "Connectors with the same group share one host; default: each has its own."},      \
        {.name = "host.per.task",                                                                  \
         .type = OMC_OPT_BOOLEAN,                                                                  \
         .default_value = "false",                                                                 \
         .offset = OMC_OPT_NOT_STORED,                                                             \
         .doc = "Whether each task has a host of its own."},                                       \
    {                                                                                              \
        .name = "offset.commit.interval", .type = OMC_OPT_DURATION_MS, .default_value = "0",       \
        .offset = AT(commit_interval_ms), .max = INT64_C(1) << 40,                                 \
        .doc = "Longest time between two commits; 0 = the worker's offsetCommitIntervalMsConfig."  \
    }

static const omc_option source_rows[] = {
    COMMON_ROWS,
    {.name = "connect.topicname",
     .type = OMC_OPT_STRING,
     .offset = AT(topic),
     .doc = "Topic for records that do not name one themselves."},
    {.name = "ordering",
     .type = OMC_OPT_CHOICE,
     .default_value = "key",
     .offset = AT(ordering),
     .choices = "key|partition|none",
     .doc = "Queue of a record: by hash of its key (and of its source partition when it has "
            "none), always by source partition, or in turn."},
    {.name = "ordering.msg.enable",
     .type = OMC_OPT_BOOLEAN,
     .flags = OMC_OPT_IGNORED,
     .offset = OMC_OPT_NOT_STORED,
     .doc = "Order per key always holds; see `ordering`."},
    {.name = "exactly.once.support",
     .type = OMC_OPT_CHOICE,
     .default_value = "requested",
     .offset = AT(exactly_once),
     .choices = "requested|required|strict|off",
     .doc = "`requested`: records are stored once where that is free (embedded log) or what the "
            "connector promises (replicator). `required`: on every log; a source that cannot "
            "replay from a position is refused. `strict`: as `required`, and whatever the delays "
            "of networks and brokers are, by barriers: messages with the tag `rc-barrier` in the "
            "topics, which sinks and the replicator know and other consumers have to skip. `off`: "
            "at least once on logs where exactly once costs something."},
    {.name = "ack.require",
     .type = OMC_OPT_CHOICE,
     .default_value = "stored",
     .offset = AT(ack),
     .choices = "stored|flushed|replicated",
     .doc = "What counts as written: `stored` = the broker has it in memory, `flushed` = on its "
            "disk, `replicated` = a slave has it too. Brokers that cannot promise it are refused. "
            "The embedded log always flushes and has no replicas."},
    {.name = "batch.records.max",
     .type = OMC_OPT_INT,
     .default_value = "8192",
     .offset = AT(batch_records),
     .min = 1,
     .max = 100000,
     .doc = "Most records a source returns from one poll."},
    {.name = "batch.bytes.max",
     .type = OMC_OPT_SIZE,
     .default_value = "1MiB",
     .offset = AT(batch_bytes),
     .min = 1024,
     .max = INT64_C(64) << 20,
     .doc = "Most bytes a source returns from one poll."},
};

static const omc_option sink_rows[] = {
    COMMON_ROWS,
    {.name = "connect.topicnames",
     .type = OMC_OPT_LIST,
     .offset = AT(topics),
     .aliases = "topics",
     .doc = "Topics to read, separated by `;` or `,`."},
    {.name = "task.group.id",
     .type = OMC_OPT_STRING,
     .offset = AT(group),
     .doc = "Consumer group that keeps the offsets; default `connect-<connector>`."},
    {.name = "consume.from.where",
     .type = OMC_OPT_CHOICE,
     .default_value = "CONSUME_FROM_FIRST_OFFSET",
     .offset = AT(consume_from),
     .choices = "CONSUME_FROM_FIRST_OFFSET|CONSUME_FROM_LAST_OFFSET|CONSUME_FROM_TIMESTAMP",
     .doc = "Where to begin in a queue without a committed offset."},
    {.name = "consume.from.timestamp",
     .type = OMC_OPT_INT,
     .default_value = "0",
     .offset = AT(consume_from_ms),
     .max = INT64_MAX,
     .doc = "For CONSUME_FROM_TIMESTAMP: milliseconds since 1970."},
    {.name = "batch.records.max",
     .type = OMC_OPT_INT,
     .default_value = "8192",
     .offset = AT(batch_records),
     .min = 1,
     .max = 100000,
     .doc = "Most records of one put."},
    {.name = "batch.bytes.max",
     .type = OMC_OPT_SIZE,
     .default_value = "1MiB",
     .offset = AT(batch_bytes),
     .min = 1024,
     .max = INT64_C(64) << 20,
     .doc = "Most bytes of one put."},
};

const rc_option_table rc_source_options = {.rows = source_rows,
                                           .count = RC_COUNT(source_rows),
                                           .row_size = sizeof(omc_option),
                                           .options_size = sizeof(rc_connector_options)};
const rc_option_table rc_sink_options = {.rows = sink_rows,
                                         .count = RC_COUNT(sink_rows),
                                         .row_size = sizeof(omc_option),
                                         .options_size = sizeof(rc_connector_options)};

int rc_connector_name_check(const char *name, rc_error *err)
{
    size_t len = strlen(name);

    if (len == 0)
        return rc_fail(err, OMC_EINVAL, "the connector name is empty; give it one");
    if (len > RC_CONNECTOR_NAME_MAX)
        return rc_fail(err, OMC_EINVAL, "the connector name has %zu bytes, at most %d are allowed",
                       len, RC_CONNECTOR_NAME_MAX);
    for (const char *at = name; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f || *at == '/')
            return rc_fail(err, OMC_EINVAL,
                           "the connector name '%s' has a character that is not allowed at place "
                           "%zu ('/' or a control character); choose another name",
                           name, (size_t)(at - name) + 1);
    return 0;
}

size_t rc_connector_tables(const omc_plugin *plugin, rc_option_table tables[2])
{
    tables[0] = plugin && plugin->kind == OMC_SINK ? rc_sink_options : rc_source_options;
    if (!plugin || !plugin->options)
        return 1;
    tables[1] = rc_plugin_table(plugin);
    return 2;
}

/* A converter is checked by making one: only it knows its options. */
static void check_converter(rc_registry *registry, const char *key, const char *prefix,
                            const char *class_name, const omc_keyvalue *config,
                            rc_problems *problems)
{
    RC_AUTO(rc_converter) converter = NULL;
    rc_plugin_finder finder = rc_registry_finder(registry);
    rc_error err = {0};

    if (rc_converter_new(&finder, class_name, key[0] == 'k', prefix, config, &converter, &err) < 0)
        rc_problem_add(problems, false, key, class_name, "%s", err.msg);
}

static void check_topics(const rc_connector_plan *plan, rc_problems *problems)
{
    const rc_connector_options *options = &plan->options;
    rc_error err = {0};

    if (options->topic && rc_topic_name_check(options->topic, &err) < 0)
        rc_problem_add(problems, false, "connect.topicname", options->topic, "%s", err.msg);
    for (size_t i = 0; i < options->topics.count; i++)
        if (rc_topic_name_check(options->topics.items[i], &err) < 0)
            rc_problem_add(problems, false, "connect.topicnames", options->topics.items[i], "%s",
                           err.msg);
    if (plan->plugin->kind == OMC_SINK && options->topics.count == 0)
        rc_problem_add(problems, false, "connect.topicnames", "",
                       "Config connect.topicnames cannot be empty; name the topics to read, "
                       "separated by ';'");
    if (options->dlq_topic[0] && rc_topic_name_check(options->dlq_topic, &err) < 0)
        rc_problem_add(problems, false, "errors.deadletterqueue.topic.name", options->dlq_topic,
                       "%s", err.msg);
    for (size_t i = 0; i < options->topics.count; i++)
        if (strcmp(options->topics.items[i], options->dlq_topic) == 0)
            rc_problem_add(problems, false, "errors.deadletterqueue.topic.name", options->dlq_topic,
                           "the connector reads this topic itself, so that each dead letter would "
                           "make another, for ever; name another topic");
    if (options->group && rc_topic_name_check(options->group, &err) < 0)
        rc_problem_add(problems, false, "task.group.id", options->group, "%s", err.msg);
}

/* Labels are compared as texts later, so they take their usual form here. */
static void check_labels(rc_connector_plan *plan, omc_arena *arena, rc_problems *problems)
{
    char labels[RC_LABELS_TEXT_MAX] = "";
    rc_error err = {0};

    if (rc_labels_parse(plan->options.labels, labels, &err) < 0)
        rc_problem_add(problems, false, "worker.labels", plan->options.labels, "%s", err.msg);
    plan->options.labels = omc_copy(arena, labels, strlen(labels));
}

static bool must_be_once(const rc_connector_options *options)
{
    return strcmp(options->exactly_once, "required") == 0 ||
           strcmp(options->exactly_once, "strict") == 0;
}

static void check_exactly_once(const rc_connector_plan *plan, rc_problems *problems)
{
    const omc_source_ops *ops = plan->plugin->ops;

    if (plan->plugin->kind == OMC_SOURCE && must_be_once(&plan->options) &&
        !(ops->flags & OMC_SOURCE_REPLAYS))
        rc_problem_add(problems, false, "exactly.once.support", plan->options.exactly_once,
                       "source '%s' cannot replay from a position, so it can only deliver at "
                       "least once; remove the key or use another connector",
                       plan->plugin->name);
}

static const char *class_or(const omc_keyvalue *config, const char *key, const char *fallback,
                            omc_arena *arena)
{
    const char *name = rc_kv_text(config, key, "", arena);

    return *name ? name : fallback;
}

static int find_class(rc_registry *registry, const omc_keyvalue *config, omc_arena *arena,
                      rc_connector_plan *plan, rc_problems *problems, rc_error *err)
{
    const char *class_name = rc_kv_text(config, "connector.class", NULL, arena);
    int r;

    if (!class_name || !*class_name) {
        rc_problem_add(problems, false, "connector.class", "",
                       "Request config key: connector.class; name the connector to run, e.g. "
                       "file-source; `rocketmq-connect plugin list` shows what there is");
        return rc_problems_fail(problems, err);
    }
    r = rc_registry_connector(registry, class_name, &plan->plugin, err);
    if (r < 0)
        rc_problem_add(problems, false, "connector.class", class_name, "%s", err->msg);
    if (r == 0 && strcmp(rc_kv_text(config, "isolation", "none", arena), "process") == 0) {
        r = rc_registry_isolated(registry, plan->plugin, &plan->plugin, err);
        if (r < 0)
            rc_problem_add(problems, false, "isolation", "process", "%s", err->msg);
    }
    return r;
}

/* Without a table the connector may take any key, and with one it may say that it does. */
static bool strict_keys(const rc_worker_config *worker, const omc_plugin *plugin)
{
    return worker->strict && plugin->options && !(plugin->flags & OMC_PLUGIN_ANY_KEY);
}

int rc_connector_check(rc_registry *registry, const rc_worker_config *worker, const char *name,
                       const omc_keyvalue *config, omc_arena *arena, rc_connector_plan *ret,
                       rc_problems *problems, rc_error *err)
{
    rc_plugin_finder finder = rc_registry_finder(registry);
    rc_option_table tables[2];
    rc_connector_plan plan = {.config = rc_kv_copy(config, arena)};
    void *structs[2] = {&plan.options, NULL};
    const char *given = rc_kv_text(config, "name", name, arena);
    bool parsed;
    size_t count;
    int r;

    r = rc_connector_name_check(name, err);
    if (r < 0)
        return r;
    r = find_class(registry, config, arena, &plan, problems, err);
    if (r < 0)
        return r;
    RC_ASSERT(plan.plugin);
    if (strcmp(given, name) != 0)
        rc_problem_add(problems, false, "name", given,
                       "the connector is called '%s' in the request; use one name", name);
    count = rc_connector_tables(plan.plugin, tables);
    if (count == 2)
        structs[1] = omc_alloc0(arena, RC_MAX(tables[1].options_size, (size_t)1));
    (void)rc_options_parse(tables, count, config,
                           strict_keys(worker, plan.plugin) ? RC_OPTIONS_STRICT : 0, structs, arena,
                           problems);
    /* What does not depend on these options is checked even when they are wrong. */
    plan.options.key_converter = class_or(config, "key.converter", worker->key_converter, arena);
    plan.options.value_converter =
        class_or(config, "value.converter", worker->value_converter, arena);
    parsed = problems->errors == 0;
    check_converter(registry, "key.converter", "key.converter.", plan.options.key_converter, config,
                    problems);
    check_converter(registry, "value.converter", "value.converter.", plan.options.value_converter,
                    config, problems);
    rc_chain_check(&finder, config, problems);
    if (parsed) {
        check_labels(&plan, arena, problems);
        check_topics(&plan, problems);
        check_exactly_once(&plan, problems);
    }
    if (problems->errors)
        return rc_problems_fail(problems, err);
    *ret = plan;
    return 0;
}
