/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The keys of a connector that the runtime itself reads, as option tables for sources and sinks,
 * and the check of a whole connector configuration: runtime keys, plugin keys, converters,
 * transforms.
 */
#ifndef RC_CONNECTOR_CONFIG_H
#define RC_CONNECTOR_CONFIG_H

#include "config/options.h"
#include "plugin/registry.h"
#include "worker/worker_config.h"

/** Longest connector name; names are any text without '/' and control characters. */
#define RC_CONNECTOR_NAME_MAX 200
#define RC_TASKS_MAX 1000

typedef struct rc_connector_options {
    const char *connector_class; /**< connector.class */
    int64_t max_tasks;           /**< max.tasks, alias tasks.max; 1 */
    const char *key_converter;   /**< key.converter; NULL = worker's */
    const char *value_converter; /**< value.converter */
    const char *labels;          /**< worker.labels that a worker must have, in usual form */
    int64_t task_weight;         /**< task.weight, 1 */
    const char *isolation;       /**< isolation = none | process */
    const char *tolerance;       /**< errors.tolerance = none | all */
    int64_t retry_timeout_ms;    /**< errors.retry.timeout, 0; -1 = for ever */
    int64_t retry_delay_max_ms;  /**< errors.retry.delay.max.ms, 60,000 */
    bool errors_log;             /**< errors.log.enable */
    bool errors_log_messages;    /**< errors.log.include.messages */
    const char *dlq_topic;       /**< errors.deadletterqueue.topic.name */
    int64_t dlq_queues;          /**< errors.deadletterqueue.write.queue.nums, 8 */
    bool dlq_context;            /**< errors.deadletterqueue.context.properties.enable */
    int64_t commit_interval_ms;  /**< offset.commit.interval; 0 = worker's */
    /* sources */
    const char *topic;        /**< connect.topicname */
    const char *ordering;     /**< ordering = partition | key | none */
    const char *exactly_once; /**< exactly.once.support = requested | required | strict |
                                 off */
    const char *ack;          /**< ack.require = stored | flushed | replicated */
    int64_t batch_records;    /**< batch.records.max */
    int64_t batch_bytes;      /**< batch.bytes.max */
    /* sinks */
    omc_list topics;          /**< connect.topicnames (',' or ';') */
    const char *group;        /**< task.group.id; default connect-<name> */
    const char *consume_from; /**< consume.from.where */
    int64_t consume_from_ms;  /**< consume.from.timestamp, ms since 1970 */
} rc_connector_options;

extern const rc_option_table rc_source_options;
extern const rc_option_table rc_sink_options;

/** Everything known about a connector configuration after its check. */
typedef struct rc_connector_plan {
    const omc_plugin *plugin;
    rc_connector_options options;
    const omc_keyvalue *config; /**< As given, copied. */
} rc_connector_plan;

/** Checks a connector name; says what is wrong and what is allowed. */
int rc_connector_name_check(const char *name, rc_error *err);

/**
 * Checks a connector configuration against the runtime's table, the plugin's table, converters
 * and transforms; does not call the plugin. All problems are collected.
 * @return 0, or -OMC_EINVAL / -OMC_ENOTFOUND with the problems in one message.
 */
int rc_connector_check(rc_registry *registry, const rc_worker_config *worker, const char *name,
                       const omc_keyvalue *config, omc_arena *arena, rc_connector_plan *ret,
                       rc_problems *problems, rc_error *err);

/** Tables that apply to a configuration (for masking secrets and describing): fills up to 2. */
size_t rc_connector_tables(const omc_plugin *plugin, rc_option_table tables[2]);

#endif
