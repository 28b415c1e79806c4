/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's option table and what cannot be said in a table: defaults that depend on the
 * machine, and which message log is meant. Keys of the Java runtime keep their spelling; those
 * that mean nothing here are rows too, so that a configuration file from Java is accepted as it
 * is and each dead key is named once. Any thread.
 */
#include "worker/worker_config.h"

#include "config/labels.h"
#include "log/log.h"

#include <limits.h>
#include <pwd.h>
#include <strings.h>
#include <unistd.h>

#define JAVA_STRING_CONVERTER "org.apache.rocketmq.connect.runtime.converter.record.StringConverter"
#define AT(member) offsetof(rc_worker_config, member)
#define OPTION(name_, type_, default_, member, doc_)                           \
    {                                                                          \
        .name = (name_), .type = OMC_OPT_##type_, .default_value = (default_), \
        .offset = AT(member), .doc = (doc_)                                    \
    }
#define RANGE(name_, type_, default_, member, min_, max_, doc_)                \
    {                                                                          \
        .name = (name_), .type = OMC_OPT_##type_, .default_value = (default_), \
        .offset = AT(member), .doc = (doc_), .min = (min_), .max = (max_)      \
    }
#define CHOICE(name_, default_, member, choices_, doc_)                       \
    {                                                                         \
        .name = (name_), .type = OMC_OPT_CHOICE, .default_value = (default_), \
        .offset = AT(member), .doc = (doc_), .choices = (choices_)            \
    }
#define IGNORED_AS(name_, type_, doc_)                                      \
    {                                                                       \
        .name = (name_), .type = OMC_OPT_##type_, .flags = OMC_OPT_IGNORED, \
        .offset = OMC_OPT_NOT_STORED, .doc = (doc_)                         \
    }
#define JAVA_KEY "a key of the Java runtime; "
#define IGNORED(name_, doc_) IGNORED_AS(name_, STRING, JAVA_KEY doc_)

#define DAY_MS 86400000LL
#define ONLY_JAVA_CLIENT "it concerns the Java client's threads and groups."
#define ONLY_CLUSTER "it concerns clusters of workers, which this version does not have."
#define NO_TOPIC "configurations and states are kept in the worker's own store."
#define POSITIONS "positions are kept in the log: in positionStoreTopic when it is RocketMQ."

/* clang-format off */
static const omc_option rows[] = {
    OPTION("workerId", STRING, NULL, worker_id,
           "Name of this worker in states and logs. Default: <host name>-<httpPort>."),
    OPTION("worker.labels", STRING, "", labels,
           "What this worker has that connectors may require by their own `worker.labels`: "
           "key=value, separated by ',', e.g. zone=a,disk=ssd. Only in a cluster of workers."),
    RANGE("worker.weight", INT, "1", weight, 1, RC_WORKER_WEIGHT_MAX,
          "How much of the load this worker takes beside others: one of weight 2 gets twice what one "
          "of weight 1 gets. Only in a cluster of workers."),
    OPTION("storePathRootDir", STRING, NULL, store_dir,
           "Folder of the worker's own files (state.db, log/). Default: connectorStore in the "
           "home folder."),
    OPTION("pluginPaths", LIST, NULL, plugin_paths,
           "Folders and files to load connectors from: .so, .jar, folders of jars, connector.json."),
    OPTION("keyConverter", CLASS, JAVA_STRING_CONVERTER, key_converter,
           "Converter of record keys, for connectors without key.converter."),
    OPTION("valueConverter", CLASS, JAVA_STRING_CONVERTER, value_converter,
           "Converter of record values, for connectors without value.converter."),
    RANGE("httpPort", INT, "8082", http_port, 0, 65535,
          "Port of the REST server; 0 = any free one."),
    OPTION("rest.enable", BOOLEAN, "true", rest_enabled, "Whether the REST server is started."),
    OPTION("rest.host", STRING, "127.0.0.1", rest_host,
           "Address the REST server listens on. Anybody who reaches it can read and write what "
           "connectors can: leave it on the loopback unless the network is trusted."),
    CHOICE("rest.compat.status", "right", rest_compat_status, "right|java",
           "Status codes of the Java runtime's routes: right = 400, 404, 409 and so on for "
           "errors; java = 200 as the Java runtime answers."),
    CHOICE("log", "auto", log, "auto|embedded|rocketmq",
           "Where messages are kept: embedded = files in log.dir; rocketmq = a RocketMQ cluster; "
           "auto = rocketmq when namesrvAddr is set, else embedded."),
    OPTION("namesrvAddr", STRING, NULL, namesrv_addr,
           "Name servers of the RocketMQ cluster, separated by ';'. Default: the environment "
           "variable NAMESRV_ADDR."),
    OPTION("aclEnable", BOOLEAN, "false", acl_enable,
           "Whether requests to RocketMQ are signed with accessKey and secretKey."),
    OPTION("accessKey", PASSWORD, NULL, access_key, "Name of the RocketMQ user (ACL 4.x and 5.x)."),
    OPTION("secretKey", PASSWORD, NULL, secret_key, "Secret of the RocketMQ user."),
    OPTION("tls.enable", BOOLEAN, "false", tls_enable,
           "Whether connections to name servers and brokers use TLS. The keys are those of the "
           "Java client's tls.config.file."),
    OPTION("tls.client.authServer", BOOLEAN, "true", tls_verify,
           "Whether the servers' certificates and names are checked. The Java client's default is "
           "false."),
    OPTION("tls.client.trustCertPath", STRING, NULL, tls_ca,
           "PEM file of the authorities to trust. Default: the system's."),
    OPTION("tls.client.certPath", STRING, NULL, tls_cert,
           "PEM file of the worker's own certificate, when servers ask for one."),
    OPTION("tls.client.keyPath", STRING, NULL, tls_key, "PEM file of its key."),
    OPTION("tls.client.keyPassword", PASSWORD, NULL, tls_key_password, "Password of that file."),
    OPTION("positionStoreTopic", STRING, "connector-position-topic", position_topic,
           "RocketMQ topic in which positions of sources are kept, in the Java runtime's format."),
    OPTION("connectClusterId", STRING, "DefaultConnectCluster", cluster,
           "Name of the cluster that a distributed worker belongs to. It begins the name of the "
           "topic that says who runs what, <name>-own-<epoch>."),
    OPTION("cluster.secret", PASSWORD, NULL, cluster_secret,
           "Signs calls between the workers of a cluster; the same on all of them. Default: "
           "secretKey. Without either, a worker refuses requests that another one must answer."),
    OPTION("rest.advertised.url", STRING, NULL, rest_advertised_url,
           "How other workers reach this one's REST server, e.g. http://10.0.0.7:8082. Default: "
           "made of rest.host and httpPort."),
    RANGE("session.timeout.ms", DURATION_MS, "10000", session_timeout_ms, 3000, DAY_MS,
          "A distributed worker that was not heard of for so long is taken for dead, and its tasks "
          "are run by others. A killed process is noticed at once."),
    RANGE("suspend.ms", DURATION_MS, "500", suspend_ms, 450, 60000,
          "A distributed worker acts for its tasks only so long after it has last seen the state of "
          "the cluster, then it waits. Raise it to 1000 where the broker that keeps that state "
          "pauses for longer (garbage collection)."),
    OPTION("configStoreTopic", STRING, "connector-config-topic", config_topic,
           "RocketMQ topic in which the workers of a cluster keep configurations, in the Java runtime's "
           "format. A standalone worker has its own store."),
    OPTION("connectStatusTopic", STRING, "connector-status-topic", status_topic,
           "The same for states of connectors and tasks."),
    RANGE("operationTimeout", DURATION_MS, "3000", request_timeout_ms, 100, DAY_MS,
          "Longest time one request to RocketMQ may take before it is tried again."),
    RANGE("log.wait.max", DURATION_MS, "0", log_wait_ms, 0, 3650 * DAY_MS,
          "How long a worker that starts waits for a RocketMQ cluster that does not answer, before it "
          "ends with status 4; 0 = no limit. Meanwhile it is not ready: REST answers 503 with the "
          "reason."),
    OPTION("log.dir", STRING, NULL, log_dir,
           "Folder of the embedded log. Default: log in storePathRootDir."),
    RANGE("log.keep.bytes", SIZE, "0", log_keep_bytes, 0, INT64_MAX,
          "Old segments are removed while the embedded log is larger than this; 0 = no limit. "
          "Messages that a sink has yet to read are kept."),
    RANGE("log.keep.time", DURATION_MS, "72h", log_keep_ms, 0, 3650 * DAY_MS,
          "Segments whose last message is older than this are removed; 0 = no limit. Messages "
          "that a sink has yet to read are kept."),
    RANGE("log.segment.bytes", SIZE, "1GiB", log_segment_bytes, 64 << 10, 1LL << 40,
          "Size at which the embedded log begins a new segment file."),
    RANGE("log.queues", INT, NULL, log_queues, 1, 1024,
          "Queues of topics that are created. Default: 1 in the embedded log, 16 in RocketMQ as in "
          "the Java runtime."),
    OPTION("autoCreateTopicEnable", BOOLEAN, "true", auto_create_topics,
           "Whether source connectors create topics that do not exist."),
    RANGE("offsetCommitIntervalMsConfig", DURATION_MS, "1000", commit_interval_ms, 10, DAY_MS,
          "How often sinks commit their offsets, and sources their positions where the log does "
          "not store both at once. The Java runtime's default is 30,000 ms."),
    RANGE("maxStartTimeoutMills", DURATION_MS, "180000", start_timeout_ms, 100, DAY_MS,
          "Longest time a connector may take to start before it is STUCK."),
    RANGE("maxStopTimeoutMills", DURATION_MS, "60000", stop_timeout_ms, 100, DAY_MS,
          "Longest time a task may take to stop before it is STUCK and left alone."),
    RANGE("task.restart.delay", DURATION_MS, "1s", restart_delay_ms, 1, DAY_MS,
          "Time before a failed task is started again; doubled with every failure in a row."),
    RANGE("task.restart.delay.max", DURATION_MS, "1m", restart_delay_max_ms, 1, DAY_MS,
          "Longest time before a failed task is started again."),
    RANGE("task.restart.max", INT, "-1", restart_max, -1, 1000000,
          "Restarts of a task in a row, without a record moved between them, before it stays "
          "FAILED; -1 = no limit, 0 = never restart."),
    RANGE("task.pending.bytes.max", SIZE, NULL, pending_bytes_max, 64 << 10, 1LL << 30,
          "Bytes a source task may have under way to the log; then it waits. Default: 16MiB with the "
          "embedded log, 8MiB with RocketMQ."),
    RANGE("host.start.timeout", DURATION_MS, "30s", host_start_timeout_ms, 100, DAY_MS,
          "Longest time a connector's host process may take until it speaks (isolation=process)."),
    RANGE("host.scan.timeout", DURATION_MS, "120s", host_scan_timeout_ms, 100, DAY_MS,
          "Longest time a host may take to look for plugins, or to check a configuration."),
    RANGE("host.call.timeout", DURATION_MS, "300s", host_call_timeout_ms, 100, DAY_MS,
          "Longest time a sink's put or commit may take in a host; then the host is killed and "
          "started again."),
    RANGE("host.stop.timeout", DURATION_MS, "30s", host_stop_timeout_ms, 100, DAY_MS,
          "Longest time a connector or task may take to stop in a host; then the host is killed."),
    RANGE("host.poll.timeout", DURATION_MS, "0", host_poll_timeout_ms, 0, DAY_MS,
          "Longest time one poll of a source may take in a host; 0 = any, as an idle source waits."),
    RANGE("host.heartbeat", DURATION_MS, "3s", host_heartbeat_ms, 50, DAY_MS,
          "How often hosts are asked whether they live; one that misses three times is killed."),
    RANGE("host.idle.timeout", DURATION_MS, "30s", host_idle_timeout_ms, 1, DAY_MS,
          "How long a host that has looked for plugins, or checked a configuration, stays for the next "
          "question."),
    RANGE("host.crashes.max", INT, "5", host_crashes_max, -1, 60,
          "Deaths of a host within 5 minutes after which its tasks stay FAILED until the connector is "
          "restarted; -1 = no limit."),
    RANGE("host.memory.max", SIZE, "0", host_memory_max, 0, 1LL << 40,
          "Memory one host may have; 0 = no limit. Native connectors: address space, of which an idle "
          "host takes about 150MiB. Java and other languages: memory in RAM, looked at with every "
          "heartbeat; a connector.json may set its own. A host with more is killed and started again."),
    OPTION("host.java", STRING, NULL, host_java,
           "Program that runs Java connectors. Default: the one of JAVA_HOME, else java in PATH."),
    OPTION("host.java.jar", STRING, NULL, host_java_jar,
           "The Java host, rc-host.jar. Default: the one installed or built beside the program; without "
           "it jars in pluginPaths are refused."),
    OPTION("host.java.options", STRING,
           "-XX:+UseSerialGC -Xms32m -Xmx256m -XX:+ExitOnOutOfMemoryError -XX:-UsePerfData",
           host_java_options, "Options of the Java virtual machine, separated by blanks."),
    CHOICE("log.level", "info", log_level, "debug|info|warn|error",
           "Least severity of the diagnostics on standard error."),
    OPTION("config.strict", BOOLEAN, "true", strict,
           "Whether unknown keys are errors; false = warnings."),

    /* The Java runtime's keys that have no effect here. */
    IGNORED("clusterName", "the Java runtime does not read it either."),
    IGNORED("connectHome", "no file is looked up beside the program."),
    IGNORED("autoCreateGroupEnable", "the Java runtime does not read it either."),
    IGNORED("maxMessageSize", "the Java runtime does not use it either; messages hold up to 4 MiB."),
    IGNORED("clusterStoreTopic", ONLY_CLUSTER),
    IGNORED("allocTaskStrategy", ONLY_CLUSTER),
    IGNORED("configPersistInterval", "configurations are stored when they change."),
    IGNORED("positionPersistInterval", "see offsetCommitIntervalMsConfig."),
    IGNORED("offsetStoreTopic", "the Java runtime does not use it either."),
    IGNORED("offsetPersistInterval", "the Java runtime does not use it either."),
    IGNORED("statePersistInterval", "states are stored when they change."),
    IGNORED("rmqProducerGroup", ONLY_JAVA_CLIENT),
    IGNORED("rmqConsumerGroup", ONLY_JAVA_CLIENT),
    IGNORED("adminExtGroup", ONLY_JAVA_CLIENT),
    IGNORED("rmqMaxRedeliveryTimes", ONLY_JAVA_CLIENT),
    IGNORED("rmqMessageConsumeTimeout", ONLY_JAVA_CLIENT),
    IGNORED("rmqMaxConsumeThreadNums", ONLY_JAVA_CLIENT),
    IGNORED("rmqMinConsumeThreadNums", ONLY_JAVA_CLIENT),
    IGNORED("brokerSuspendMaxTimeMillis", ONLY_JAVA_CLIENT),
    IGNORED("offsetCommitTimeoutMsConfig", "a commit ends when it is durable or has failed."),
    IGNORED("openLogMetricReporter", "metrics are served at /metrics."),
    IGNORED("metricsConfigPath", "metrics are served at /metrics."),
    IGNORED("clusterManagementService", ONLY_CLUSTER),
    IGNORED("configManagementService", NO_TOPIC),
    IGNORED("positionManagementService", POSITIONS),
    IGNORED("stateManagementService", NO_TOPIC),
};
/* clang-format on */

const rc_option_table rc_worker_options = {
    .rows = rows,
    .count = RC_COUNT(rows),
    .row_size = sizeof rows[0],
    .options_size = sizeof(rc_worker_config),
};

static const char *home_dir(void)
{
    const char *home = getenv("HOME");
    const struct passwd *user;

    if (home && *home)
        return home;
    user = getpwuid(getuid());
    return user && user->pw_dir && *user->pw_dir ? user->pw_dir : "/tmp";
}

/* Defaults that depend on the machine or on other keys. */
static void fill_defaults(rc_worker_config *config, omc_arena *arena)
{
    if (!config->worker_id || !*config->worker_id) {
        char host[HOST_NAME_MAX + 1] = "localhost";

        (void)gethostname(host, sizeof host - 1);
        host[sizeof host - 1] = '\0';
        config->worker_id = rc_arena_format(arena, "%s-%lld", host, (long long)config->http_port);
    }
    if (!config->store_dir || !*config->store_dir)
        config->store_dir = rc_arena_format(arena, "%s/connectorStore", home_dir());
    if (!config->log_dir || !*config->log_dir)
        config->log_dir = rc_arena_format(arena, "%s/log", config->store_dir);
}

/* Decides which log is meant. */
static void choose_log(rc_worker_config *config, omc_arena *arena, rc_problems *problems)
{
    bool from_environment = false;

    if (!config->namesrv_addr || !*config->namesrv_addr) {
        const char *env = getenv("NAMESRV_ADDR");

        config->namesrv_addr = env && *env ? omc_copy(arena, env, strlen(env)) : NULL;
        from_environment = true;
    }
    if (!strcmp(config->log, "auto"))
        config->log = config->namesrv_addr ? "rocketmq" : "embedded";
    if (!strcmp(config->log, "embedded") && config->namesrv_addr && !from_environment)
        rc_problem_add(problems, true, "namesrvAddr", config->namesrv_addr,
                       "is ignored, because log=embedded keeps messages in '%s'", config->log_dir);
    if (!strcmp(config->log, "rocketmq") && !config->namesrv_addr)
        rc_problem_add(problems, false, "log", config->log,
                       "needs name servers: set namesrvAddr=host:9876, or NAMESRV_ADDR");
    if (!config->log_queues)
        config->log_queues = strcmp(config->log, "rocketmq") ? 1 : 16;
    if (!config->pending_bytes_max)
        config->pending_bytes_max = (strcmp(config->log, "rocketmq") ? 16 : 8) << 20;
}

static void check_topic(const char *key, const char *name, rc_problems *problems)
{
    rc_error err;

    if (rc_topic_name_check(name, &err) < 0)
        rc_problem_add(problems, false, key, name, "%s", err.msg);
}

/* Credentials come in pairs, and a switch without them is a mistake. */
static void check_rocketmq(const rc_worker_config *config, rc_problems *problems)
{
    if (strcmp(config->log, "rocketmq") != 0)
        return;
    if (config->acl_enable && (!config->access_key || !*config->access_key))
        rc_problem_add(problems, false, "accessKey", "",
                       "is missing, and aclEnable=true needs it: set accessKey and secretKey");
    if (config->acl_enable && (!config->secret_key || !*config->secret_key))
        rc_problem_add(problems, false, "secretKey", "",
                       "is missing, and aclEnable=true needs it: set accessKey and secretKey");
    if (!config->acl_enable && config->access_key && *config->access_key)
        rc_problem_add(problems, true, "accessKey", NULL,
                       "is not used, because aclEnable=false: set aclEnable=true to sign requests");
    check_topic("positionStoreTopic", config->position_topic, problems);
    check_topic("configStoreTopic", config->config_topic, problems);
    check_topic("connectStatusTopic", config->status_topic, problems);
    if (config->config_topic && config->status_topic &&
        strcmp(config->config_topic, config->status_topic) == 0)
        rc_problem_add(problems, false, "connectStatusTopic", config->status_topic,
                       "is configStoreTopic too: give each a topic of its own");
}

static void check_labels(rc_worker_config *config, omc_arena *arena, rc_problems *problems)
{
    char labels[RC_LABELS_TEXT_MAX] = "";
    rc_error err = {0};

    if (config->labels && rc_labels_parse(config->labels, labels, &err) < 0)
        rc_problem_add(problems, false, "worker.labels", config->labels, "%s", err.msg);
    config->labels = omc_copy(arena, labels, strlen(labels));
}

/* config.strict decides how the other keys are read, so it is read before them. */
static bool strict_keys(const omc_keyvalue *kv)
{
    const omc_slice *text = omc_keyvalue_get(kv, "config.strict");

    return !text || !(text->len == 5 && !strncasecmp(text->base, "false", 5));
}

int rc_worker_config_parse(const omc_keyvalue *kv, omc_arena *arena, rc_worker_config *ret,
                           rc_problems *problems, rc_error *err)
{
    void *options[] = {ret};
    unsigned flags = strict_keys(kv) ? RC_OPTIONS_STRICT : 0;

    memset(ret, 0, sizeof *ret);
    (void)rc_options_parse(&rc_worker_options, 1, kv, flags, options, arena, problems);
    if (!ret->log) /* refused already; go on for the other problems */
        ret->log = "auto";
    fill_defaults(ret, arena);
    choose_log(ret, arena, problems);
    check_rocketmq(ret, problems);
    check_labels(ret, arena, problems);
    if (ret->restart_delay_max_ms < ret->restart_delay_ms)
        rc_problem_add(problems, false, "task.restart.delay.max",
                       rc_kv_text(kv, "task.restart.delay.max", "1m", arena),
                       "is less than task.restart.delay (%lld ms); raise it or lower "
                       "task.restart.delay",
                       (long long)ret->restart_delay_ms);
    return rc_problems_fail(problems, err);
}
