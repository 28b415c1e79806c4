/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Java runtime's routes. Expected success bodies are those recorded from Apache RocketMQ
 * Connect (members and their order; configurations in the order they were submitted, since
 * Java's is that of a HashMap). Errors begin with Java's recorded text.
 */
#include "rig.h"

#define FILE_CLASS "org.apache.rocketmq.connect.file."
#define SRC_CONFIG                                                \
    "{\"connector.class\":\"" FILE_CLASS "FileSourceConnector\"," \
    "\"filename\":\"/tmp/peer-rest-in.txt\",\"max.tasks\":2,\"connect.topicname\":\"restTopic\"}"
#define SRC_TEXT                                                  \
    "{\"connector.class\":\"" FILE_CLASS "FileSourceConnector\"," \
    "\"filename\":\"/tmp/peer-rest-in.txt\",\"max.tasks\":\"2\"," \
    "\"connect.topicname\":\"restTopic\"}"
#define SNK_CONFIG                                              \
    "{\"connector.class\":\"" FILE_CLASS "FileSinkConnector\"," \
    "\"filename\":\"/tmp/peer-rest-out.txt\",\"connect.topicnames\":\"restTopic\"}"
#define ESCAPED_SNK                                                                          \
    "%7B%22connector.class%22%3A%22org.apache.rocketmq.connect.file.FileSinkConnector%22%2C" \
    "%22filename%22%3A%22%2Ftmp%2Fpeer-rest-out.txt%22%2C%22connect.topicnames%22%3A"        \
    "%22restTopic%22%7D"
#define OK(body) "{\"status\":200,\"body\":" body "}"
#define BAD(code, text) "{\"errorCode\":" #code ",\"message\":\"" text

static rig r;

static void make(const char *name, const char *config)
{
    char path[128];
    char want[1024];

    snprintf(path, sizeof path, "/connectors/%s", name);
    snprintf(want, sizeof want, "{\"status\":200,\"body\":%s}", config);
    rig_expect(&r, "POST", path, config, 200, want);
}

static void nothing_there_yet(void **state)
{
    (void)state;
    rig_expect(&r, "GET", "/getClusterInfo", NULL, 200, OK("[\"d1\"]"));
    rig_expect(&r, "GET", "/connectors/list", NULL, 200, OK("{}"));
    rig_expect(&r, "GET", "/connectors/stop/all", NULL, 200,
               OK("\"No connector needs to be deleted, please add connector first\""));
    rig_expect(&r, "GET", "/connectors/pause/all", NULL, 200,
               OK("\"No connector needs to be paused, please add connector first\""));
    rig_expect(&r, "GET", "/connectors/resume/all", NULL, 200,
               OK("\"No connector needs to be resumed, please add connector first\""));
    rig_expect(&r, "GET", "/allocated/connectors", NULL, 200, OK("{}"));
    rig_expect(&r, "GET", "/allocated/tasks", NULL, 200,
               OK("{\"pendingTasks\":[],\"stoppedTasks\":[],\"errorTasks\":[],"
                  "\"stoppingTasks\":[],\"runningTasks\":[]}"));
}

static void plugins(void **state)
{
    (void)state;
    rig_expect(&r, "GET", "/plugin/list", NULL, 200,
               OK("[{\"className\":\"" FILE_CLASS "FileSinkConnector\",\"type\":\"SINK\","
                  "\"version\":\"1.0.0\"},{\"className\":\"" FILE_CLASS "FileSourceConnector\","
                  "\"type\":\"SOURCE\",\"version\":\"1.0.0\"},"
                  "{\"className\":\"org.apache.rocketmq.connect.transforms.ChangeCase$Key\","
                  "\"type\":\"TRANSFORMATION\",\"version\":\"1.0.0\"},"
                  "{\"className\":\"org.apache.rocketmq.connect.runtime.converter.record."
                  "StringConverter\",\"type\":\"CONVERTER\",\"version\":\"1.0.0\"}]"));
    rig_expect(&r, "GET", "/plugin/list/connectors", NULL, 200,
               OK("[{\"className\":\"" FILE_CLASS "FileSinkConnector\",\"type\":\"SINK\","
                  "\"version\":\"1.0.0\"},{\"className\":\"" FILE_CLASS "FileSourceConnector\","
                  "\"type\":\"SOURCE\",\"version\":\"1.0.0\"}]"));
    rig_expect(&r, "GET", "/plugin/reload", NULL, 200, OK("\"Plugin reload succeeded\""));
    rig_expect_begin(&r, "GET", "/plugin/config", NULL, 400,
                     BAD(400, "query param 'pluginName' is required"));
    rig_expect_begin(&r, "GET", "/plugin/config?pluginName=nix", NULL, 404,
                     BAD(404, "plugin 'nix' is not known"));
    rig_expect_begin(&r, "GET", "/plugin/config?connectorName=" FILE_CLASS "FileSourceConnector",
                     NULL, 200,
                     "{\"status\":200,\"body\":[{\"name\":\"connector.class\",\"type\":\"CLASS\","
                     "\"required\":true,\"default_value\":null,\"importance\":\"HIGH\","
                     "\"documentation\":\"Plugin.\",\"group\":\"Common\",\"width\":\"MEDIUM\","
                     "\"display_name\":\"connector.class\",\"dependents\":[],\"order\":1},");
    rig_expect_begin(&r, "GET", "/plugin/config/validate?pluginName=file-sink", NULL, 200,
                     "{\"status\":200,\"body\":{\"name\":\"" FILE_CLASS "FileSinkConnector\","
                     "\"error_count\":2,\"groups\":[\"Common\",\"file-sink\"],\"configs\":[");
}

static void unknown_paths_and_methods(void **state)
{
    static const char *const requests[][2] = {
        {"GET", "/nosuch"},
        {"GET", "/"},
        {"PUT", "/connectors/x"},
        {"DELETE", "/connectors/x"},
        {"GET", "/connectors"},
        {"GET", "/connectors/snk1/delete"},
        {"POST", "/connectors/x/stop"},
        {"HEAD", "/connectors/stop/all"},
        {"OPTIONS", "/connectors/x"},
        {"GET", "/connectors//config"},
        {"BREW", "/connectors/x"},
        {"GET", "/a/b/c/d/e/f/g/h/i/j/k/l/m/n"},
    };
    static got g;

    (void)state;
    for (size_t i = 0; i < RC_COUNT(requests); i++) {
        bool head = strcmp(requests[i][0], "HEAD") == 0;

        rig_call(&r, requests[i][0], requests[i][1], "", NULL, &g);
        if (g.status != 404 || strcmp(g.body, head ? "" : "Not found") != 0 ||
            !strstr(g.head, "Content-Type: text/plain\r\n"))
            fail_msg("%s %s: got %d %s", requests[i][0], requests[i][1], g.status, g.body);
    }
}

static void wrong_configs(void **state)
{
    static const struct {
        const char *body;
        int status;
        const char *want;
    } cases[] = {
        {"", 400, BAD(400, "Failed! query param 'config' is required ")},
        {"  \n", 400, BAD(400, "Failed! query param 'config' is required ")},
        {"{\"connector.class\": \"x", 400, BAD(400, "Failed! query param 'config' is malformed")},
        {"[1,2]", 400, BAD(400, "Failed! query param 'config' is malformed")},
        {"null", 400, BAD(400, "Failed! query param 'config' is malformed")},
        {"{\"connector.class\":null}", 400,
         BAD(400, "Failed! query param 'config' is malformed: key 'connector.class' is null")},
        {"{}", 400, BAD(400, "Request config key: connector.class")},
        {"{\"filename\":\"/tmp/x\",\"connect.topicname\":\"restTopic\"}", 400,
         BAD(400, "Request config key: connector.class")},
        {"{\"connector.class\":\"" FILE_CLASS "FileSourceConnector\",\"connect.topicname\":\"t\"}",
         400, BAD(400, "Request config key: filename")},
        {"{\"connector.class\":\"" FILE_CLASS "FileSinkConnector\",\"filename\":\"/tmp/x\"}", 400,
         BAD(400, "Config connect.topicnames cannot be empty: key 'connect.topicnames'")},
        {"{\"connector.class\":\"no.such.Connector\",\"filename\":\"/tmp/x\"}", 400,
         BAD(400, "Failed to find any class that implements Connector and which name matches "
                  "no.such.Connector")},
        {"{\"connector.class\":\"file-source\",\"filename\":\"/x\",\"filname\":1}", 400,
         BAD(400, "unknown key 'filname'; did you mean 'filename'?")},
        {"{\"connector.class\":\"file-source\",\"filename\":\"/x\",\"max.tasks\":\"many\"}", 400,
         BAD(400, "key 'max.tasks' = 'many'")},
        {"{\"connector.class\":\"file-source\",\"filename\":\"a\\u0000b\"}", 400,
         BAD(400, "Failed! query param 'config' is malformed: the value of key 'filename'")},
        {"{\"\":1}", 400, BAD(400, "Failed! query param 'config' is malformed: a key is empty")},
    };

    (void)state;
    for (size_t i = 0; i < RC_COUNT(cases); i++)
        rig_expect_begin(&r, "POST", "/connectors/src1", cases[i].body, cases[i].status,
                         cases[i].want);
    rig_expect_begin(&r, "GET", "/connectors/snk1", NULL, 400,
                     BAD(400, "Failed! query param 'config' is required "));
    rig_expect(&r, "GET", "/connectors/list", NULL, 200, OK("{}"));
}

static void create_and_look(void **state)
{
    (void)state;
    make("src1", SRC_CONFIG); /* max.tasks stays a number in the echo */
    rig_expect(&r, "GET", "/connectors/src1/config", NULL, 200,
               OK("{\"name\":\"src1\",\"config\":" SRC_TEXT
                  ",\"tasks\":[{\"connector\":\"src1\",\"task\":0}],\"type\":\"SOURCE\"}"));
    rig_expect(&r, "GET", "/connectors/src1/status", NULL, 200,
               OK("{\"name\":\"src1\",\"connector\":{\"state\":\"RUNNING\",\"trace\":null,"
                  "\"workerId\":\"d1\"},\"tasks\":[{\"state\":\"RUNNING\",\"trace\":null,"
                  "\"workerId\":\"d1\",\"id\":0}],\"type\":\"SOURCE\"}"));
    rig_expect(&r, "GET", "/connectors/src1/tasks/0/status", NULL, 200,
               OK("{\"state\":\"RUNNING\",\"trace\":null,\"workerId\":\"d1\",\"id\":0}"));
    rig_expect(&r, "GET", "/connectors/src1/tasks", NULL, 200,
               OK("[{\"id\":{\"connector\":\"src1\",\"task\":0},\"config\":{\"connector.class\":"
                  "\"" FILE_CLASS "FileSourceConnector\",\"filename\":\"/tmp/peer-rest-in.txt\","
                  "\"max.tasks\":\"2\",\"connect.topicname\":\"restTopic\",\"task.id\":\"0\"}}]"));
    rig_expect_begin(&r, "POST", "/connectors/src1", SRC_CONFIG, 409,
                     BAD(409, "Connector with same config already exist."));
    rig_expect(&r, "GET", "/connectors/snk1?config=" ESCAPED_SNK, NULL, 200, OK(SNK_CONFIG));
    rig_expect(&r, "GET", "/allocated/connectors", NULL, 200,
               OK("{\"snk1\":" SNK_CONFIG ",\"src1\":" SRC_TEXT "}"));
    rig_expect(&r, "GET", "/connectors/list/", NULL, 200,
               OK("{\"snk1\":{\"status\":{\"name\":\"snk1\",\"connector\":{\"state\":\"RUNNING\","
                  "\"trace\":null,\"workerId\":\"d1\"},\"tasks\":[{\"state\":\"RUNNING\","
                  "\"trace\":null,\"workerId\":\"d1\",\"id\":0}],\"type\":\"SINK\"},\"info\":"
                  "{\"name\":\"snk1\",\"config\":" SNK_CONFIG ",\"tasks\":[{\"connector\":\"snk1\","
                  "\"task\":0}],\"type\":\"SINK\"}},\"src1\":{\"status\":{\"name\":\"src1\","
                  "\"connector\":{\"state\":\"RUNNING\",\"trace\":null,\"workerId\":\"d1\"},"
                  "\"tasks\":[{\"state\":\"RUNNING\",\"trace\":null,\"workerId\":\"d1\",\"id\":0}],"
                  "\"type\":\"SOURCE\"},\"info\":{\"name\":\"src1\",\"config\":" SRC_TEXT
                  ",\"tasks\":[{\"connector\":\"src1\",\"task\":0}],\"type\":\"SOURCE\"}}}"));
}

static void echo_keeps_types_and_hides_secrets(void **state)
{
    (void)state;
    rig_expect(&r, "POST", "/connectors/src1",
               "{'connector.class': 'file-source', filename: \"/x\", \"max.tasks\": 1,"
               "\"connect.topicname\": {\"a\":[1.10,true,null]}, // why not\n"
               "\"file.password\": \"geheim\",}",
               200,
               OK("{\"connector.class\":\"file-source\",\"filename\":\"/x\",\"max.tasks\":1,"
                  "\"connect.topicname\":{\"a\":[1.10,true,null]},"
                  "\"file.password\":\"******\"}"));
    rig_expect_begin(&r, "GET", "/connectors/src1/config", NULL, 200,
                     OK("{\"name\":\"src1\",\"config\":{\"connector.class\":\"file-source\","
                        "\"filename\":\"/x\",\"max.tasks\":\"1\",\"connect.topicname\":"
                        "\"{\\\"a\\\":[1.10,true,null]}\",\"file.password\":\"******\"},"
                        "\"tasks\":[{\"connector\":\"src1\",\"task\":0}],\"type\":\"SOURCE\"}"));
}

static void unknown_names(void **state)
{
    (void)state;
    make("src1", SRC_CONFIG);
    rig_expect_begin(&r, "GET", "/connectors/nosuch/status", NULL, 404,
                     BAD(404, "No status found for connector nosuch"));
    rig_expect_begin(&r, "GET", "/connectors/nosuch/config", NULL, 404,
                     BAD(404, "Connector[nosuch] does not exist"));
    rig_expect(&r, "GET", "/connectors/nosuch/tasks", NULL, 200, OK("[]"));
    rig_expect_begin(&r, "GET", "/connectors/src1/tasks/9/status", NULL, 404,
                     BAD(404, "No status found for task src1-9"));
    rig_expect_begin(&r, "GET", "/connectors/src1/tasks/abc/status", NULL, 400,
                     BAD(400, "For input string: \\\"abc\\\""));
    rig_expect_begin(&r, "GET", "/connectors/nosuch/pause", NULL, 404,
                     BAD(404, "Connector [nosuch] does not exist"));
    rig_expect_begin(&r, "GET", "/connectors/nosuch/resume", NULL, 404,
                     BAD(404, "Connector [nosuch] does not exist"));
    rig_expect_begin(&r, "GET", "/connectors/nosuch/stop", NULL, 404,
                     BAD(404, "Connector [nosuch] does not exist"));
}

static void life_of_connectors(void **state)
{
    (void)state;
    make("src1", SRC_CONFIG);
    make("snk1", SNK_CONFIG);
    make("a%20b%C3%A9", SNK_CONFIG);
    rig_expect(&r, "GET", "/connectors/src1/pause", NULL, 200,
               OK("\"Connector [src1] paused successfully\""));
    rig_expect_begin(&r, "GET", "/connectors/src1/status", NULL, 200,
                     "{\"status\":200,\"body\":{\"name\":\"src1\",\"connector\":{\"state\":"
                     "\"PAUSED\",\"trace\":null,\"workerId\":\"d1\"},\"tasks\":[{\"state\":"
                     "\"PAUSED\",");
    rig_expect(&r, "GET", "/connectors/src1/pause", NULL, 200,
               OK("\"Connector [src1] paused successfully\""));
    rig_expect(&r, "GET", "/connectors/src1/resume", NULL, 200,
               OK("\"Connector [src1] resumed successfully\""));
    rig_expect(&r, "GET", "/connectors/a%20b%C3%A9/pause", NULL, 200,
               OK("\"Connector [a b\xc3\xa9] paused successfully\""));
    rig_expect(&r, "GET", "/connectors/pause/all", NULL, 200, OK("\"3 connectors are suspended\""));
    rig_expect(&r, "GET", "/connectors/resume/all", NULL, 200, OK("\"3 connectors are resumed\""));
    rig_expect(&r, "GET", "/connectors/src1/stop", NULL, 200,
               OK("\"Connector [src1] deleted successfully\""));
    rig_expect_begin(&r, "GET", "/connectors/src1/config", NULL, 404,
                     BAD(404, "Connector[src1] does not exist"));
    rig_expect(&r, "GET", "/connectors/stop/all", NULL, 200,
               OK("\"[a b\xc3\xa9, snk1] connectors are deleted\""));
    rig_expect(&r, "GET", "/connectors/list", NULL, 200, OK("{}"));
}

/* Static segments win; such names are still reachable where nothing static stands. */
static void names_like_routes(void **state)
{
    (void)state;
    make("stop", SRC_CONFIG);
    make("stopAll", SRC_CONFIG);
    make("a%2Fb", SRC_CONFIG);
    rig_expect_begin(&r, "GET", "/connectors/stop/config", NULL, 200,
                     "{\"status\":200,\"body\":{\"name\":\"stop\",");
    rig_expect_begin(&r, "GET", "/connectors/a%2Fb/config", NULL, 200,
                     "{\"status\":200,\"body\":{\"name\":\"a/b\",");
    rig_expect(&r, "GET", "/connectors/stop/stop", NULL, 200,
               OK("\"Connector [stop] deleted successfully\""));
}

static void failures_are_told(void **state)
{
    static const struct {
        rc_state ours;
        const char *list;
    } states[] = {
        {RC_STATE_FAILED, "\"errorTasks\":[{\"connectorName\":\"src1\""},
        {RC_STATE_RUNNING, "\"runningTasks\":[{\"connectorName\":\"src1\""},
        {RC_STATE_PAUSED, "\"runningTasks\":[{\"connectorName\":\"src1\""},
        {RC_STATE_STALLED, "\"runningTasks\":[{\"connectorName\":\"src1\""},
        {RC_STATE_STARTING, "\"pendingTasks\":[{\"connectorName\":\"src1\""},
        {RC_STATE_RESTARTING, "\"pendingTasks\":[{\"connectorName\":\"src1\""},
        {RC_STATE_FINISHED, "\"stoppedTasks\":[{\"connectorName\":\"src1\""},
        {RC_STATE_STUCK, "\"stoppingTasks\":[{\"connectorName\":\"src1\""},
    };
    static got g;

    (void)state;
    make("src1", SRC_CONFIG);
    fake_worker_state(r.worker, "src1", RC_STATE_FAILED, RC_STATE_FAILED, "no such file \xff");
    rig_expect(&r, "GET", "/connectors/src1/status", NULL, 200,
               OK("{\"name\":\"src1\",\"connector\":{\"state\":\"FAILED\",\"trace\":"
                  "\"no such file \xef\xbf\xbd\",\"workerId\":\"d1\"},\"tasks\":[{\"state\":"
                  "\"FAILED\",\"trace\":\"no such file \xef\xbf\xbd\",\"workerId\":\"d1\","
                  "\"id\":0}],\"type\":\"SOURCE\"}"));
    for (size_t i = 0; i < RC_COUNT(states); i++) {
        fake_worker_state(r.worker, "src1", RC_STATE_RUNNING, states[i].ours, "why");
        rig_call(&r, "GET", "/allocated/tasks", "", NULL, &g);
        if (!strstr(g.body, states[i].list))
            fail_msg("state %s: %s", rc_state_name(states[i].ours), g.body);
    }
}

static void java_status_answers_200(void **state)
{
    static got g;

    (void)state;
    rig_stop(&r);
    rig_start(&r, (rc_rest_config){.java_status = true});
    rig_expect_begin(&r, "GET", "/connectors/nosuch/status", NULL, 200,
                     BAD(500, "No status found for connector nosuch"));
    rig_expect_begin(&r, "POST", "/connectors/x", "[1,2]", 200,
                     BAD(400, "Failed! query param 'config' is malformed"));
    rig_expect_begin(&r, "POST", "/connectors/x", "{}", 200,
                     BAD(500, "Request config key: connector.class"));
    rig_expect(&r, "GET", "/nosuch", NULL, 404, "Not found");
    /* Ours have no Java answer: never 200. */
    rig_expect_begin(&r, "GET", "/api/v1/connectors/nosuch", NULL, 404, "{\"error_code\":404,");
    rig_call(&r, "GET", "/connectors/stop/all", "Origin: http://evil.example\r\n", NULL, &g);
    assert_int_equal(g.status, 403);
}

static int setup(void **state)
{
    (void)state;
    rig_start(&r, (rc_rest_config){0});
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_stop(&r);
    return 0;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_there_yet),
        TEST(plugins),
        TEST(unknown_paths_and_methods),
        TEST(wrong_configs),
        TEST(create_and_look),
        TEST(echo_keeps_types_and_hides_secrets),
        TEST(unknown_names),
        TEST(life_of_connectors),
        TEST(names_like_routes),
        TEST(failures_are_told),
        TEST(java_status_answers_200),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
