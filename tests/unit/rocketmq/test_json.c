/* SPDX-License-Identifier: Apache-2.0 */
/** JSON of brokers: keys that are no texts, as Java's fastjson writes maps (protocol §4, §15). */
#include "unit.h"

#include "rocketmq/wire.h"

#include <stdio.h>

static const struct {
    const char *text, *compact; /* NULL = refused. */
    const char *error;
} cases[] = {
    {"{}", "{}", NULL},
    {"[1,2]", "[1,2]", NULL},
    {" {\"a\" : [ true , null ] } ", "{\"a\":[true,null]}", NULL},
    /* 106 and old routes. */
    {"{\"brokerAddrs\":{0:\"127.0.0.1:30886\",1 : \"x\",-1:2}}",
     "{\"brokerAddrs\":{\"0\":\"127.0.0.1:30886\",\"1\":\"x\",\"-1\":2}}", NULL},
    {"{0:{1:{2:3}}}", "{\"0\":{\"1\":{\"2\":3}}}", NULL},
    {"[{0:1},{1:2}]", "[{\"0\":1},{\"1\":2}]", NULL},
    {"{\"a\":[0,1],2:[{3:4}]}", "{\"a\":[0,1],\"2\":[{\"3\":4}]}", NULL},
    /* 202 and 208. */
    {"{\"offsetTable\":{{\"brokerName\":\"b\",\"queueId\":0}:{\"maxOffset\":5},{\"queueId\":1}:{}}"
     "}",
     "{\"offsetTable\":{\"{\\\"brokerName\\\":\\\"b\\\",\\\"queueId\\\":0}\":{\"maxOffset\":5},"
     "\"{\\\"queueId\\\":1}\":{}}}",
     NULL},
    {"{{\"a\":\"}\\\"\"}:1}", "{\"{\\\"a\\\":\\\"}\\\\\\\"\\\"}\":1}", NULL},
    {"{{0:[{}]}:1}", "{\"{0:[{}]}\":1}", NULL},
    {"{{\n}:1}", "{\"{\\n}\":1}", NULL},
    /* Texts that look like the above stay. */
    {"{\"a\":\"{0:1}\"}", "{\"a\":\"{0:1}\"}", NULL},
    {"{\"a\\\"\":\"\\\\\"}", "{\"a\\\"\":\"\\\\\"}", NULL},
    {"", NULL, "empty"},
    {"{", NULL, "byte"},
    {"{0", NULL, "byte"},
    {"{0:", NULL, "byte"},
    {"{0:1", NULL, "byte"},
    {"{0:1,}", NULL, "byte"},
    {"{a:1}", NULL, "byte"},
    {"{{:1}", NULL, "byte"},
    {"{{}1}", NULL, "byte"},
    {"{[]:1}", NULL, "byte"},
    {"{\"a", NULL, "byte"},
    {"{\"a\\", NULL, "byte"},
    {"}", NULL, "byte"},
    {"{}}", NULL, "byte"},
    {"{} x", NULL, "byte"},
    {"{\"a\":\"\xff\"}", NULL, "byte"},
    {"{\"a\":01}", NULL, "byte"},
};

static void odd_keys_become_texts(void **state)
{
    (void)state;

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        /* Exactly its bytes, so that ASan sees a read beyond. */
        size_t len = strlen(cases[i].text);
        RC_AUTO_FREE char *copy = rc_malloc(len);
        json_t *json = NULL;
        rc_error err = {0};
        char *text;
        int r;

        memcpy(copy, cases[i].text, len);
        r = rmq_json_parse(omc_slice_of(copy, len), &json, &err);
        if (r != (cases[i].compact ? 0 : -OMC_EFORMAT))
            fail_msg("%s: %d %s", cases[i].text, r, err.msg);
        if (r < 0) {
            if (!strstr(err.msg, cases[i].error))
                fail_msg("%s: %s", cases[i].text, err.msg);
            continue;
        }
        text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
        if (strcmp(text, cases[i].compact) != 0)
            fail_msg("%s: %s", cases[i].text, text);
        free(text);
        json_decref(json);
    }
}

static int parse_deep(const char *open, const char *close, int levels, rc_error *err)
{
    rc_buf buf = RC_BUF(65536);
    json_t *json = NULL;
    int r;

    for (int i = 0; i < levels; i++)
        rc_buf_str(&buf, open);
    rc_buf_str(&buf, "1");
    for (int i = 0; i < levels; i++)
        rc_buf_str(&buf, close);
    r = rmq_json_parse(rc_buf_slice(&buf), &json, err);
    if (r == 0)
        json_decref(json);
    rc_buf_release(&buf);
    return r;
}

static void depth_is_bounded(void **state)
{
    rc_error err = {0};
    (void)state;

    assert_int_equal(parse_deep("[", "]", 64, &err), 0);
    assert_int_equal(parse_deep("{0:", "}", 64, &err), 0);
    assert_int_equal(parse_deep("[", "]", 65, &err), -OMC_EFORMAT);
    assert_string_equal(err.msg, "the JSON body has more than 64 levels");
    assert_int_equal(parse_deep("{0:", "}", 65, &err), -OMC_EFORMAT);
    /* Objects in keys of objects. */
    assert_int_equal(parse_deep("{", "}:1", 10000, &err), -OMC_EFORMAT);
}

static void the_place_is_in_the_original(void **state)
{
    static const char text[] = "{0:1,1:2,2:3,3:4,4:5,\"x\":[1,}]}";
    json_t *json = NULL;
    rc_error err = {0};
    unsigned at = 0;
    (void)state;

    assert_int_equal(rmq_json_parse(omc_slice_str(text), &json, &err), -OMC_EFORMAT);
    assert_int_equal(sscanf(err.msg, "JSON body of 31 bytes: near byte %u:", &at), 1);
    /* The wrong bracket is byte 28; the five keys have become longer by ten quotes. */
    assert_in_range(at, 27, 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odd_keys_become_texts),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(the_place_is_in_the_original),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
