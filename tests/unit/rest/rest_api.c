/* SPDX-License-Identifier: Apache-2.0 */
/* /api/v1 in Kafka Connect's shapes: status codes, bodies, conditional writes; loggers. */
#include "base/diag.h"
#include "rig.h"

#define API "/api/v1/connectors"
#define SRC "{\"connector.class\":\"file-source\",\"filename\":\"/x\"}"
#define SRC_TASKS "\"tasks\":[{\"connector\":\"c\",\"task\":0}]"
#define BAD(code, text) "{\"error_code\":" #code ",\"message\":\"" text

static rig r;

static void call_with(const char *method, const char *path, const char *header, const char *body,
                      int status, const char *want)
{
    static got g;

    rig_call(&r, method, path, header, body, &g);
    if (g.status != status || strncmp(g.body, want, strlen(want)) != 0)
        fail_msg("%s %s: got %d\n%s\nwanted %d and\n%s", method, path, g.status, g.body, status,
                 want);
}

static void has_header(const char *method, const char *path, const char *body, int status,
                       const char *line)
{
    static got g;

    rig_call(&r, method, path, "", body, &g);
    if (g.status != status || !strstr(g.head, line))
        fail_msg("%s %s: got %d\n%s\nwanted %d and %s", method, path, g.status, g.head, status,
                 line);
}

static void root_and_lists(void **state)
{
    (void)state;
    rig_expect(&r, "GET", "/api/v1", NULL, 200,
               "{\"version\":\"" RC_VERSION "\",\"worker_id\":\"d1\",\"started\":"
               "\"2023-11-14T22:13:20.000Z\",\"started_ms\":1700000000000}");
    rig_expect(&r, "GET", API, NULL, 200, "[]");
    rig_expect(&r, "GET", API "?expand=info", NULL, 200, "{}");
    rig_expect_begin(&r, "PUT", API "/c/config", SRC, 201, "{\"name\":\"c\",");
    rig_expect_begin(&r, "PUT", API "/b/config", SRC, 201, "{\"name\":\"b\",");
    rig_expect(&r, "GET", API "?unknown=1&expand=nix", NULL, 200, "[\"b\",\"c\"]");
    rig_expect_begin(&r, "GET", API "?expand=status&expand=info", NULL, 200,
                     "{\"b\":{\"status\":{\"name\":\"b\",\"connector\":{\"state\":\"RUNNING\","
                     "\"worker_id\":\"d1\",\"since\":\"2023-11-14T22:13:20.500Z\","
                     "\"since_ms\":1700000000500},\"tasks\":[{\"id\":0,\"state\":\"RUNNING\","
                     "\"worker_id\":\"d1\",\"since\":\"2023-11-14T22:13:21.000Z\","
                     "\"since_ms\":1700000001000}],\"type\":\"source\"},\"info\":{\"name\":\"b\",");
}

static void create(void **state)
{
    (void)state;
    rig_expect(&r, "POST", API, "{\"name\":\" c \",\"config\":" SRC "}", 201,
               "{\"name\":\"c\",\"config\":" SRC "," SRC_TASKS
               ",\"type\":\"source\",\"version\":1}");
    rig_expect_begin(&r, "POST", API, "{\"name\":\"c\",\"config\":" SRC "}", 409,
                     BAD(409, "connector 'c' exists"));
    has_header("POST", API,
               "{\"name\":\"a b/\xc3\xa9\",\"config\":" SRC ",\"initial_state\":"
               "\"paused\"}",
               201, "Location: /api/v1/connectors/a%20b%2F%C3%A9\r\n");
}

static void wrong_creates(void **state)
{
    static const struct {
        const char *body;
        const char *want;
    } cases[] = {
        {"", BAD(400, "the body is empty")},
        {"{", BAD(400, "the body: ")},
        {"[]", BAD(400, "the body: expected one JSON object")},
        {"{}", BAD(400, "the body needs 'name'")},
        {"{\"name\":\"c\"}", BAD(400, "the body needs 'name'")},
        {"{\"name\":1,\"config\":{}}", BAD(400, "the body needs 'name'")},
        {"{\"name\":\"c\",\"config\":[]}", BAD(400, "the body needs 'name'")},
        {"{\"name\":\"c\",\"config\":{\"a\":null}}", BAD(400, "'config': key 'a' is null")},
        {"{\"name\":\"c\",\"config\":{}}", BAD(400, "key 'connector.class' is required")},
        {"{\"name\":\"c\",\"config\":{\"connector.class\":\"nix\"}}",
         BAD(400, "class 'nix' is not known")},
        {"{\"name\":\"c\",\"config\":{\"name\":\"d\"}}", BAD(400, "key 'name' = 'd' is not")},
        {"{\"name\":\"c\",\"config\":{},\"initial_state\":\"GONE\"}",
         BAD(400, "'initial_state' is not known")},
        {"{\"name\":\"c\",\"config\":{},\"initial_state\":7}",
         BAD(400, "'initial_state' is not known")},
    };

    (void)state;
    for (size_t i = 0; i < RC_COUNT(cases); i++)
        rig_expect_begin(&r, "POST", API, cases[i].body, 400, cases[i].want);
    rig_expect(&r, "GET", API, NULL, 200, "[]");
}

static void conditional_writes(void **state)
{
    (void)state;
    rig_expect_begin(&r, "PUT", API "/c/config", SRC, 201, "{\"name\":\"c\",");
    has_header("GET", API "/c/config", NULL, 200, "ETag: \"1\"\r\n");
    rig_expect(&r, "GET", API "/c/config", NULL, 200, SRC);
    call_with("PUT", API "/c/config", "If-Match: \"7\"\r\n", SRC, 412, BAD(412, "version is 1"));
    call_with("PUT", API "/c/config", "If-Match: nix\r\n", SRC, 400, BAD(400, "If-Match 'nix'"));
    call_with("PUT", API "/c/config", "If-Match: \"1\"\r\n", SRC, 200, "{\"name\":\"c\"");
    call_with("PATCH", API "/c/config", "If-Match: W/\"2\"\r\n",
              "{\"max.tasks\":3,\"connect.topicname\":\"t\"}", 200,
              "{\"name\":\"c\",\"config\":{\"connector.class\":\"file-source\",\"filename\":\"/x\","
              "\"max.tasks\":\"3\",\"connect.topicname\":\"t\"}");
    rig_expect_begin(&r, "PATCH", API "/c/config", "{\"max.tasks\":null}", 200,
                     "{\"name\":\"c\",\"config\":{\"connector.class\":\"file-source\","
                     "\"filename\":\"/x\",\"connect.topicname\":\"t\"}");
    rig_expect_begin(&r, "PATCH", API "/nix/config", "{\"max.tasks\":null}", 404,
                     BAD(404, "connector 'nix' does not exist"));
    rig_expect_begin(&r, "PATCH", API "/c/config", "{\"connector.class\":null}", 400,
                     BAD(400, "key 'connector.class' is required"));
    call_with("PUT", API "/c/config", "If-Match: *\r\n", SRC, 200, "{\"name\":\"c\"");
}

static void hidden_secrets_come_back_unchanged(void **state)
{
    (void)state;
    rig_expect_begin(&r, "PUT", API "/c/config",
                     "{\"connector.class\":\"file-source\",\"filename\":\"/x\","
                     "\"file.password\":\"geheim\"}",
                     201,
                     "{\"name\":\"c\",\"config\":{\"connector.class\":\"file-source\","
                     "\"filename\":\"/x\",\"file.password\":\"******\"}");
    rig_expect(&r, "GET", API "/c/config", NULL, 200,
               "{\"connector.class\":\"file-source\",\"filename\":\"/x\","
               "\"file.password\":\"******\"}");
}

static void life(void **state)
{
    (void)state;
    rig_expect_begin(&r, "PUT", API "/c/config", SRC, 201, "{\"name\":\"c\",");
    rig_expect_begin(&r, "GET", API "/c", NULL, 200, "{\"name\":\"c\",\"config\":");
    rig_expect(&r, "PUT", API "/c/pause", NULL, 202, "");
    rig_expect_begin(&r, "GET", API "/c/status", NULL, 200,
                     "{\"name\":\"c\",\"connector\":{\"state\":\"PAUSED\",");
    rig_expect(&r, "PUT", API "/c/resume", NULL, 202, "");
    rig_expect_begin(&r, "DELETE", API "/c/offsets", NULL, 409,
                     BAD(409, "connector 'c' must be STOPPED"));
    rig_expect(&r, "PUT", API "/c/stop", NULL, 204, "");
    rig_expect_begin(&r, "GET", API "/c/status", NULL, 200,
                     "{\"name\":\"c\",\"connector\":{\"state\":\"STOPPED\",");
    rig_expect_begin(&r, "DELETE", API "/c/offsets", NULL, 200, "{\"message\":");
    rig_expect(&r, "GET", API "/c/offsets", NULL, 200,
               "{\"offsets\":[{\"partition\":{\"filename\":\"/tmp/x\"},"
               "\"offset\":{\"nextPosition\":1.10}}]}");
    rig_expect(&r, "PUT", API "/c/resume", NULL, 202, "");
    fake_worker_state(r.worker, "c", RC_STATE_RUNNING, RC_STATE_FAILED, "disk on fire");
    rig_expect_begin(&r, "GET", API "/c/tasks/0/status", NULL, 200,
                     "{\"id\":0,\"state\":\"FAILED\",\"worker_id\":\"d1\",\"trace\":"
                     "\"disk on fire\",\"since\":");
    rig_expect_begin(&r, "POST", API "/c/restart?onlyFailed=true", NULL, 202,
                     "{\"name\":\"c\",\"connector\":");
    call_with("GET", API "/c/tasks/0/status", "", NULL, 200,
              "{\"id\":0,\"state\":\"RESTARTING\",\"worker_id\":\"d1\",\"trace\":\"disk on fire\","
              "\"since\":\"2023-11-14T22:13:21.000Z\",\"since_ms\":1700000001000,"
              "\"retry_in_ms\":2500}");
    rig_expect(&r, "POST", API "/c/tasks/0/restart", NULL, 204, "");
    rig_expect_begin(&r, "POST", API "/c/tasks/7/restart", NULL, 404, BAD(404, "no task 7"));
    rig_expect_begin(&r, "POST", API "/c/tasks/x/restart", NULL, 400, BAD(400, "task 'x' is not"));
    rig_expect_begin(&r, "GET", API "/c/tasks/7/status", NULL, 404,
                     BAD(404, "connector 'c' has no task 7"));
    rig_expect_begin(&r, "GET", API "/c/tasks", NULL, 200,
                     "[{\"id\":{\"connector\":\"c\",\"task\":0},\"config\":{");
    rig_expect(&r, "DELETE", API "/c", NULL, 204, "");
    rig_expect_begin(&r, "DELETE", API "/c", NULL, 404, BAD(404, "connector 'c' does not exist"));
    rig_expect_begin(&r, "GET", API "/c/config", NULL, 404, BAD(404, "connector 'c' does not"));
}

static void wrong_methods(void **state)
{
    (void)state;
    has_header("DELETE", API, NULL, 405, "Allow: GET, POST\r\n");
    has_header("POST", API "/c/pause", NULL, 405, "Allow: PUT\r\n");
    has_header("OPTIONS", API "/c/config", NULL, 405, "Allow: GET, PUT, PATCH\r\n");
    has_header("POST", "/health", NULL, 405, "Allow: GET\r\n");
    has_header("PUT", "/metrics", NULL, 405, "Allow: GET\r\n");
    rig_expect_begin(&r, "GET", "/api/v2", NULL, 404, BAD(404, "there is no such path"));
    rig_expect(&r, "HEAD", API, NULL, 200, "");
}

static void plugins(void **state)
{
    static const char sink[] =
        "[{\"class\":\"org.apache.rocketmq.connect.file.FileSinkConnector\",\"type\":\"sink\","
        "\"version\":\"1.0.0\",\"name\":\"file-sink\",\"doc\":\"A plugin.\",\"location\":"
        "\"built in\"},{\"class\":\"org.apache.rocketmq.connect.file.FileSourceConnector\",";
    static got g;

    (void)state;
    rig_expect_begin(&r, "GET", "/api/v1/connector-plugins", NULL, 200, sink);
    rig_call(&r, "GET", "/api/v1/connector-plugins", "", NULL, &g);
    assert_null(strstr(g.body, "predicate"));
    rig_call(&r, "GET", "/api/v1/connector-plugins?connectorsOnly=false", "", NULL, &g);
    assert_non_null(strstr(g.body, "{\"class\":\"has-header\",\"type\":\"predicate\""));
    rig_expect_begin(&r, "GET", "/api/v1/connector-plugins/file-sink/config", NULL, 200,
                     "[{\"name\":\"connector.class\",\"type\":\"CLASS\",\"required\":true,");
    rig_expect(&r, "GET", "/api/v1/connector-plugins/has-header/config", NULL, 200, "[]");
    rig_expect_begin(&r, "GET", "/api/v1/connector-plugins/nix/config", NULL, 404,
                     BAD(404, "plugin 'nix' is not known"));
}

static void validation(void **state)
{
    static const char path[] = "/api/v1/connector-plugins/file-source/config/validate";
    static got g;

    (void)state;
    rig_call(&r, "PUT", path, "",
             "{\"max.tasks\":0,\"filname\":\"x\",\"file.password\":\"geheim\",\"tasks.max\":2}",
             &g);
    assert_int_equal(g.status, 200);
    assert_non_null(strstr(g.body, "{\"definition\":{\"name\":\"errors.tolerance\",\"type\":"
                                   "\"STRING\",\"required\":false,\"default_value\":\"none\""));
    assert_non_null(strstr(g.body, "\"value\":{\"name\":\"errors.tolerance\",\"value\":\"none\","
                                   "\"recommended_values\":[\"none\",\"all\"],\"errors\":[],"
                                   "\"visible\":true}"));
    assert_non_null(strstr(g.body, "{\"definition\":null,\"value\":{\"name\":\"filname\""));
    assert_non_null(strstr(g.body, "\"value\":{\"name\":\"file.password\",\"value\":\"******\""));
    assert_null(strstr(g.body, "geheim"));
    assert_null(strstr(g.body, "\"error_count\":0"));
    rig_expect_begin(&r, "PUT", path, "{\"filename\":\"/x\"}", 200,
                     "{\"name\":\"org.apache.rocketmq.connect.file.FileSourceConnector\","
                     "\"error_count\":0,\"groups\":[\"Common\",\"file-source\"],\"configs\":[");
    rig_expect_begin(&r, "PUT", path, "{\"connector.class\":\"file-sink\"}", 400,
                     BAD(400, "key 'connector.class' = 'file-sink' is not plugin"));
    rig_expect(&r, "PUT", "/api/v1/connector-plugins/string/config/validate",
               "{\"encoding\":\"latin\"}", 200,
               "{\"name\":\"org.apache.rocketmq.connect.runtime.converter.record.StringConverter\","
               "\"error_count\":1,\"groups\":[\"string\"],\"configs\":[{\"definition\":{\"name\":"
               "\"encoding\",\"type\":\"STRING\",\"required\":false,\"default_value\":\"UTF-8\","
               "\"importance\":\"MEDIUM\",\"documentation\":\"Encoding.\",\"group\":\"string\","
               "\"width\":\"MEDIUM\",\"display_name\":\"encoding\",\"dependents\":[],\"order\":1},"
               "\"value\":{\"name\":\"encoding\",\"value\":\"latin\",\"recommended_values\":"
               "[\"UTF-8\",\"ASCII\"],\"errors\":[\"key 'encoding' = 'latin': not one of "
               "the choices; give one of UTF-8|ASCII\"],\"visible\":true}}]}");
    rig_expect_begin(&r, "PUT", "/api/v1/connector-plugins/has-header/config/validate",
                     "{\"any\":1}", 200, "{\"name\":\"has-header\",\"error_count\":0,");
    rig_expect_begin(&r, "PUT", path, "7", 400, BAD(400, "the body: expected one JSON object"));
}

static void loggers(void **state)
{
    (void)state;
    rc_diag_set_level(OMC_INFO);
    rig_expect(&r, "GET", "/api/v1/loggers", NULL, 200,
               "{\"root\":{\"level\":\"INFO\",\"last_modified\":null}}");
    rig_expect(&r, "PUT", "/api/v1/loggers/root", "{\"level\":\"WARN\"}", 200, "[\"root\"]");
    assert_int_equal(rc_diag_level(), OMC_WARN);
    rig_expect(&r, "GET", "/api/v1/loggers/root", NULL, 200,
               "{\"level\":\"WARN\",\"last_modified\":null}");
    rig_expect_begin(&r, "PUT", "/api/v1/loggers/root", "{\"level\":\"loudest\"}", 400,
                     BAD(400, "level 'loudest' is not known"));
    rig_expect_begin(&r, "PUT", "/api/v1/loggers/root", "{}", 400, BAD(400, "level '' is not"));
    rig_expect_begin(&r, "PUT", "/api/v1/loggers/x", "{\"level\":\"info\"}", 404,
                     BAD(404, "logger 'x' is not known"));
    rc_diag_set_level(OMC_INFO);
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
        TEST(root_and_lists),
        TEST(create),
        TEST(wrong_creates),
        TEST(conditional_writes),
        TEST(hidden_secrets_come_back_unchanged),
        TEST(life),
        TEST(wrong_methods),
        TEST(plugins),
        TEST(validation),
        TEST(loggers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
