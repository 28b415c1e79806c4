/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's configuration as a user meets it: files of the Java runtime are accepted, typos are
 * not, and what this version cannot do is said with its cure.
 */
#include "unit.h"

#include "config/properties.h"
#include "worker/worker_config.h"

#include <stdio.h>
#include <unistd.h>

typedef struct parsed {
    rc_arena arena;
    rc_worker_config config;
    rc_problems problems;
    rc_error err;
    int r;
} parsed;

static void parse(parsed *p, const char *text)
{
    const omc_keyvalue *kv = NULL;

    memset(p, 0, sizeof *p);
    rc_arena_init(&p->arena, 4096);
    rc_problems_init(&p->problems, &p->arena.pub);
    if (rc_properties_parse("test.conf", omc_slice_str(text), &p->arena.pub, &kv, &p->err) < 0)
        fail_msg("properties: %s", p->err.msg);
    p->r = rc_worker_config_parse(kv, &p->arena.pub, &p->config, &p->problems, &p->err);
}

static bool warned(const parsed *p, const char *key)
{
    for (size_t i = 0; i < p->problems.count; i++)
        if (p->problems.items[i].warning && !strcmp(p->problems.items[i].key, key))
            return true;
    return false;
}

static int no_name_servers(void **state)
{
    (void)state;
    return unsetenv("NAMESRV_ADDR");
}

static void defaults_are_those_documented(void **state)
{
    char host[256] = "", id[300];
    parsed p;

    (void)state;
    (void)setenv("HOME", "/home/somebody", 1);
    (void)gethostname(host, sizeof host - 1);
    (void)snprintf(id, sizeof id, "%s-8082", host);
    parse(&p, "");
    assert_int_equal(p.r, 0);
    assert_int_equal(p.problems.count, 0);
    assert_string_equal(p.config.worker_id, id);
    assert_string_equal(p.config.store_dir, "/home/somebody/connectorStore");
    assert_string_equal(p.config.log_dir, "/home/somebody/connectorStore/log");
    assert_string_equal(p.config.log, "embedded");
    assert_string_equal(p.config.rest_host, "127.0.0.1");
    assert_string_equal(p.config.key_converter,
                        "org.apache.rocketmq.connect.runtime.converter.record.StringConverter");
    assert_string_equal(p.config.labels, "");
    assert_int_equal(p.config.weight, 1);
    assert_int_equal(p.config.http_port, 8082);
    assert_int_equal(p.config.commit_interval_ms, 1000);
    assert_int_equal(p.config.log_keep_ms, 72 * 3600 * 1000LL);
    assert_int_equal(p.config.log_segment_bytes, 1 << 30);
    assert_int_equal(p.config.pending_bytes_max, 16 << 20);
    assert_int_equal(p.config.restart_max, -1);
    assert_true(p.config.strict);
    assert_true(p.config.rest_enabled);
    assert_true(p.config.auto_create_topics);
    rc_arena_release(&p.arena);
}

/* distribution/conf/connect-standalone.conf of the Java runtime, with our log chosen. */
static void java_file_is_accepted(void **state)
{
    static const char text[] = "workerId=standalone-worker\n"
                               "storePathRootDir=/tmp/standalone/storeRoot\n"
                               "## Http port for user to access REST API\n"
                               "httpPort=8082\n"
                               "namesrvAddr=localhost:9876\n"
                               "aclEnable=false\naccessKey=rocketmq\nsecretKey=12345678\n"
                               "autoCreateGroupEnable=false\nclusterName=\"DefaultCluster\"\n"
                               "pluginPaths=/opt/a,/opt/b.so\n"
                               "log=embedded\n";
    static const char *const warnings[] = {"namesrvAddr", "autoCreateGroupEnable", "clusterName"};
    parsed p;

    (void)state;
    parse(&p, text);
    if (p.r < 0)
        fail_msg("refused: %s", p.err.msg);
    for (size_t i = 0; i < RC_COUNT(warnings); i++)
        if (!warned(&p, warnings[i]))
            fail_msg("no warning that '%s' is ignored", warnings[i]);
    assert_int_equal(p.problems.count, RC_COUNT(warnings));
    for (size_t i = 0; i < p.problems.count; i++) /* secrets stay secret */
        assert_null(strstr(p.problems.items[i].text, "12345678"));
    assert_string_equal(p.config.worker_id, "standalone-worker");
    assert_string_equal(p.config.log_dir, "/tmp/standalone/storeRoot/log");
    assert_int_equal(p.config.plugin_paths.count, 2);
    assert_string_equal(p.config.plugin_paths.items[1], "/opt/b.so");
    rc_arena_release(&p.arena);
}

static void every_java_key_is_known(void **state)
{
    static const char *const keys[] = {"workerId",
                                       "connectClusterId",
                                       "namesrvAddr",
                                       "httpPort",
                                       "pluginPaths",
                                       "aclEnable",
                                       "accessKey",
                                       "secretKey",
                                       "autoCreateGroupEnable",
                                       "autoCreateTopicEnable",
                                       "keyConverter",
                                       "valueConverter",
                                       "storePathRootDir",
                                       "maxMessageSize",
                                       "operationTimeout",
                                       "clusterStoreTopic",
                                       "allocTaskStrategy",
                                       "configStoreTopic",
                                       "configPersistInterval",
                                       "positionStoreTopic",
                                       "positionPersistInterval",
                                       "offsetStoreTopic",
                                       "offsetPersistInterval",
                                       "connectStatusTopic",
                                       "statePersistInterval",
                                       "rmqProducerGroup",
                                       "rmqConsumerGroup",
                                       "adminExtGroup",
                                       "rmqMaxRedeliveryTimes",
                                       "rmqMessageConsumeTimeout",
                                       "rmqMaxConsumeThreadNums",
                                       "rmqMinConsumeThreadNums",
                                       "brokerSuspendMaxTimeMillis",
                                       "maxStartTimeoutMills",
                                       "maxStopTimeoutMills",
                                       "offsetCommitTimeoutMsConfig",
                                       "offsetCommitIntervalMsConfig",
                                       "openLogMetricReporter",
                                       "metricsConfigPath",
                                       "clusterManagementService",
                                       "configManagementService",
                                       "positionManagementService",
                                       "stateManagementService",
                                       "clusterName"};

    (void)state;
    for (size_t k = 0; k < RC_COUNT(keys); k++) {
        bool found = false;

        for (size_t i = 0; i < rc_worker_options.count && !found; i++)
            found = !strcmp(rc_option_at(&rc_worker_options, i).name, keys[k]);
        if (!found)
            fail_msg("'%s' is not in the table", keys[k]);
    }
}

static void wrong_configurations_say_what_to_do(void **state)
{
    static const struct {
        const char *text;
        const char *says[3]; /* all of these, in any order */
    } cases[] = {
        {"httpPrt=1", {"httpPrt", "httpPort"}},
        {"httpPort=65536", {"httpPort", "65536", "65535"}},
        {"httpPort=http", {"httpPort", "http"}},
        {"log=kafka", {"log", "kafka", "embedded"}},
        {"log.segment.bytes=1k", {"log.segment.bytes"}},
        {"log.keep.time=3 parsecs", {"log.keep.time", "3 parsecs"}},
        {"config.strict=maybe", {"config.strict", "maybe"}},
        {"rest.compat.status=wrong", {"rest.compat.status", "wrong", "java"}},
        {"task.restart.delay=2m\ntask.restart.delay.max=1m", {"task.restart.delay.max", "lower"}},
        {"log=rocketmq", {"log", "rocketmq", "namesrvAddr"}},
        {"namesrvAddr=a:9876\naclEnable=true\nsecretKey=12345678", {"accessKey", "aclEnable"}},
        {"namesrvAddr=a:9876\naclEnable=true\naccessKey=user", {"secretKey", "aclEnable"}},
        {"namesrvAddr=a:9876\npositionStoreTopic=a b", {"positionStoreTopic", "a b"}},
        {"worker.labels=zone", {"worker.labels", "'zone'", "key=value"}},
        {"worker.weight=0", {"worker.weight", "1000"}},
    };

    (void)state;
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        parsed p;

        parse(&p, cases[i].text);
        if (p.r != -OMC_EINVAL)
            fail_msg("'%s': r = %d", cases[i].text, p.r);
        for (size_t s = 0; s < 3 && cases[i].says[s]; s++)
            if (!strstr(p.err.msg, cases[i].says[s]))
                fail_msg("'%s': no '%s' in: %s", cases[i].text, cases[i].says[s], p.err.msg);
        rc_arena_release(&p.arena);
    }
}

static void all_problems_are_told_at_once(void **state)
{
    parsed p;

    (void)state;
    parse(&p, "httpPort=x\nhttpPrt=1\nlog=rocketmq");
    assert_int_equal(p.r, -OMC_EINVAL);
    assert_int_equal(p.problems.errors, 3);
    rc_arena_release(&p.arena);
}

static void labels_take_their_usual_form(void **state)
{
    parsed p;

    (void)state;
    parse(&p, "worker.labels= zone = a ; disk=ssd\nworker.weight=4");
    assert_int_equal(p.r, 0);
    assert_string_equal(p.config.labels, "disk=ssd,zone=a");
    assert_int_equal(p.config.weight, 4);
    rc_arena_release(&p.arena);
}

static void strict_can_be_relaxed(void **state)
{
    parsed p;

    (void)state;
    parse(&p, "config.strict=false\nsome.other.key=1\nhttpPort=9000");
    assert_int_equal(p.r, 0);
    assert_true(warned(&p, "some.other.key"));
    assert_int_equal(p.config.http_port, 9000);
    rc_arena_release(&p.arena);
}

static void environment_names_the_name_servers(void **state)
{
    parsed p;

    (void)state;
    (void)setenv("NAMESRV_ADDR", "b:9876", 1);
    parse(&p, "");
    assert_int_equal(p.r, 0);
    assert_string_equal(p.config.log, "rocketmq");
    assert_string_equal(p.config.namesrv_addr, "b:9876");
    assert_int_equal(p.config.log_queues, 16); /* as topics of the Java runtime */
    rc_arena_release(&p.arena);
    parse(&p, "log=embedded"); /* the environment is not the user's word on this worker */
    assert_int_equal(p.r, 0);
    assert_int_equal(p.problems.count, 0);
    assert_string_equal(p.config.log, "embedded");
    assert_int_equal(p.config.log_queues, 1);
    rc_arena_release(&p.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(defaults_are_those_documented, no_name_servers),
        cmocka_unit_test_setup(java_file_is_accepted, no_name_servers),
        cmocka_unit_test(every_java_key_is_known),
        cmocka_unit_test_setup(wrong_configurations_say_what_to_do, no_name_servers),
        cmocka_unit_test_setup(all_problems_are_told_at_once, no_name_servers),
        cmocka_unit_test_setup(labels_take_their_usual_form, no_name_servers),
        cmocka_unit_test_setup(strict_can_be_relaxed, no_name_servers),
        cmocka_unit_test_setup_teardown(environment_names_the_name_servers, no_name_servers,
                                        no_name_servers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
