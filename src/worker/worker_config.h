/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The worker's configuration: one option table with the Java runtime's keys (the dead ones are
 * accepted and ignored) and ours. From it come parsing, `--help` and docs/configuration.md.
 */
#ifndef RC_WORKER_CONFIG_H
#define RC_WORKER_CONFIG_H

#include "config/options.h"

#define RC_WORKER_WEIGHT_MAX 1000 /**< Of worker.weight and task.weight. */

typedef struct rc_worker_config {
    const char *worker_id;          /**< workerId; default <hostname>-<port>. */
    const char *store_dir;          /**< storePathRootDir; default ~/connectorStore. */
    int64_t http_port;              /**< httpPort, 8082; 0 = any free one. */
    const char *rest_host;          /**< rest.host, 127.0.0.1 */
    bool rest_enabled;              /**< rest.enable, true */
    const char *rest_compat_status; /**< rest.compat.status = right | java */
    omc_list plugin_paths;          /**< pluginPaths */
    const char *key_converter;      /**< keyConverter, Java's StringConverter */
    const char *value_converter;    /**< valueConverter */
    const char *log;                /**< log = auto | embedded | rocketmq */
    const char *namesrv_addr;       /**< namesrvAddr, else environment NAMESRV_ADDR */
    int64_t log_wait_ms;            /**< log.wait.max, 0 = unlimited */
    const char *log_dir;            /**< log.dir; default <storePathRootDir>/log */
    int64_t log_keep_bytes;         /**< log.keep.bytes, 0 = unlimited */
    int64_t log_keep_ms;            /**< log.keep.time, 72h */
    int64_t log_segment_bytes;      /**< log.segment.bytes, 1GiB */
    int64_t log_queues;             /**< log.queues, of created topics; 1 embedded, 16 RocketMQ */
    bool acl_enable;                /**< aclEnable */
    const char *access_key;         /**< accessKey */
    const char *secret_key;         /**< secretKey */
    bool tls_enable;                /**< tls.enable */
    bool tls_verify;                /**< tls.client.authServer */
    const char *tls_ca;             /**< tls.client.trustCertPath */
    const char *tls_cert;           /**< tls.client.certPath */
    const char *tls_key;            /**< tls.client.keyPath */
    const char *tls_key_password;   /**< tls.client.keyPassword */
    const char *position_topic;     /**< positionStoreTopic */
    const char *config_topic;       /**< configStoreTopic */
    const char *cluster;            /**< connectClusterId */
    const char *cluster_secret;
    const char *rest_advertised_url;
    int64_t session_timeout_ms, suspend_ms;
    const char *status_topic;     /**< connectStatusTopic */
    int64_t request_timeout_ms;   /**< operationTimeout, 3,000 */
    bool auto_create_topics;      /**< autoCreateTopicEnable, true */
    int64_t commit_interval_ms;   /**< offsetCommitIntervalMsConfig, 1,000 */
    int64_t start_timeout_ms;     /**< maxStartTimeoutMills, 180,000 */
    int64_t stop_timeout_ms;      /**< maxStopTimeoutMills, 60,000: then STUCK */
    int64_t restart_delay_ms;     /**< task.restart.delay, 1s: first back-off, doubled */
    int64_t restart_delay_max_ms; /**< task.restart.delay.max, 1m */
    int64_t restart_max;          /**< task.restart.max, in a row without progress; -1 = no limit */
    int64_t pending_bytes_max;    /**< task.pending.bytes.max; 16MiB embedded, 8MiB RocketMQ */
    int64_t host_start_timeout_ms; /**< host.start.timeout, 30s */
    int64_t host_scan_timeout_ms;  /**< host.scan.timeout, 120s */
    int64_t host_call_timeout_ms;  /**< host.call.timeout, 300s */
    int64_t host_stop_timeout_ms;  /**< host.stop.timeout, 30s */
    int64_t host_poll_timeout_ms;  /**< host.poll.timeout, 0 = none */
    int64_t host_heartbeat_ms;     /**< host.heartbeat, 3s */
    int64_t host_idle_timeout_ms;  /**< host.idle.timeout, 30s */
    int64_t host_crashes_max;      /**< host.crashes.max, 5; -1 = no limit */
    int64_t host_memory_max;       /**< host.memory.max, 0 = no limit */
    const char *host_java;         /**< host.java; NULL = `java` in PATH */
    const char *host_java_jar;     /**< host.java.jar */
    const char *host_java_options; /**< host.java.options */
    const char *labels;            /**< worker.labels in their usual form; "" = none */
    int64_t weight;                /**< worker.weight, 1 */
    const char *log_level;         /**< log.level = debug|info|warn|error */
    bool strict;                   /**< config.strict, true */
} rc_worker_config;

/** The table; rows point into rc_worker_config. */
extern const rc_option_table rc_worker_options;

/**
 * Checks `kv` and fills `ret` (strings live in `arena`). Warnings (ignored keys) and errors are
 * added to `problems`. Afterwards `log` is "embedded" or "rocketmq".
 * @return 0 or -OMC_EINVAL with all problems in one message.
 */
int rc_worker_config_parse(const omc_keyvalue *kv, omc_arena *arena, rc_worker_config *ret,
                           rc_problems *problems, rc_error *err);

#endif
