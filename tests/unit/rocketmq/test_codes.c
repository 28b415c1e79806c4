/* SPDX-License-Identifier: Apache-2.0 */
/** Names of codes, and the sentences that refusals become. */
#include "unit.h"

#include "base/encode.h"
#include "rocketmq/codes.h"

#include <rocketmq/error.h>

#define S(text) omc_slice_of((text), sizeof(text) - 1)

static void codes_have_names(void **state)
{
    char out[32];
    (void)state;

    assert_string_equal(rmq_request_name(310, out), "SEND_MESSAGE_V2");
    assert_string_equal(rmq_request_name(RMQ_PULL_MESSAGE, out), "PULL_MESSAGE");
    assert_string_equal(rmq_request_name(4711, out), "request 4711");
    assert_string_equal(rmq_response_name(2, out), "SYSTEM_BUSY");
    assert_string_equal(rmq_response_name(1500, out), "GO_AWAY");
    assert_string_equal(rmq_response_name(-4711, out), "code -4711");
}

/* Remarks as brokers 5.5.0 and 4.9.7 give them. */
static const struct {
    int code;
    const char *remark, *text;
    int error, response;
    uint32_t flags;
} cases[] = {
    {17,
     "No topic route info in name server for the topic: CapTopic\nSee https://rocketmq.apache.org/"
     "docs/bestPractice/06FAQ for further details.",
     "ask: TOPIC_NOT_EXIST (17): No topic route info in name server for the topic: CapTopic See "
     "https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details; create the topic "
     "(mqadmin updateTopic), or wait until the brokers have registered it with the name server",
     OMC_ENOTFOUND, 17, OMC_ERR_RETRIABLE},
    {2, "[REJECTREQUEST]system busy, start flow control for a while",
     "ask: SYSTEM_BUSY (2): [REJECTREQUEST]system busy, start flow control for a while; the broker "
     "is overloaded and did nothing; try again after a pause, and look at its disk and CPU if this "
     "lasts",
     OMC_EAGAIN, 2, OMC_ERR_RETRIABLE},
    {16, "check signature failed.", "ask: NO_PERMISSION (16): check signature failed; check access",
     OMC_EACCES, 16, 0},
    /* 4.9.7: the same refusal, as a system error that must not be tried again. */
    {1, "org.apache.rocketmq.acl.common.AclException: Check signature failed for accessKey=k",
     "ask: NO_PERMISSION (1): org.apache.rocketmq.acl.common.AclException: Check signature failed",
     OMC_EACCES, 16, 0},
    {1, "java.lang.NullPointerException", "ask: SYSTEM_ERROR (1): java.lang.NullPointerException; ",
     OMC_EIO, 1, OMC_ERR_RETRIABLE},
    {13, "the message body size over max value, MAX: 4194304", "ask: MESSAGE_ILLEGAL (13): the mes",
     OMC_EINVAL, 13, OMC_ERR_FATAL},
    {14, NULL,
     "ask: SERVICE_NOT_AVAILABLE (14); the broker takes no messages now: its disk is full",
     OMC_EAGAIN, 14, OMC_ERR_RETRIABLE},
    {26, " \n ", "ask: SUBSCRIPTION_GROUP_NOT_EXIST (26); create the group", OMC_ENOTFOUND, 26, 0},
    {4711, "x", "ask: code 4711 (4711): x; see the broker's log", OMC_EIO, 4711, 0},
    /* Calling it for a success is a mistake of ours; it must still be an error. */
    {0, NULL, "ask: SUCCESS (0); ", OMC_EINTERNAL, 0, 0},
};

static void refusals_become_sentences(void **state)
{
    (void)state;

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        rc_error err = {0};
        int r = rmq_fail_response(&err, cases[i].code, omc_slice_str(cases[i].remark), "ask");

        assert_int_equal(r, -cases[i].error);
        assert_int_equal(err.code, cases[i].error);
        assert_int_equal(RMQ_ERR_RESPONSE(&err), cases[i].response);
        assert_int_equal(err.flags & 0xFFFF, cases[i].flags);
        if (strncmp(err.msg, cases[i].text, strlen(cases[i].text)) != 0)
            fail_msg("case %zu: %s", i, err.msg);
        assert_int_equal(rmq_fail_response(NULL, cases[i].code, S("x"), "ask"),
                         i == 3 ? -OMC_EIO : -cases[i].error);
    }
}

static void every_code_has_a_cure(void **state)
{
    static const int codes[] = {
#define RMQ_X(name, code, error, flags) code,
        RMQ_RESPONSES(RMQ_X)
#undef RMQ_X
    };
    (void)state;

    for (size_t i = 1; i < RC_COUNT(codes); i++) {
        rc_error err = {0};

        (void)rmq_fail_response(&err, codes[i], S(""), "ask");
        if (strstr(err.msg, "see the broker's log for this code"))
            fail_msg("%s", err.msg);
    }
}

static void remarks_are_made_printable(void **state)
{
    static char text[500];
    rc_error err = {0};
    (void)state;

    (void)rmq_fail_response(&err, 4711, S("a\tb\x7f\x1b[31m\0c. "), "ask");
    assert_non_null(strstr(err.msg, "(4711): a b  [31m c; see"));
    (void)rmq_fail_response(&err, 4711, S("bad \xff\xfe here"), "ask");
    assert_non_null(strstr(err.msg, "(4711): bad ?? here; see"));
    /* 400 bytes, but no half character: here the 400th byte is the first of two. */
    memset(text, 'x', 399);
    memcpy(text + 399, "\xC3\xA9 more", 7);
    (void)rmq_fail_response(&err, 4711, omc_slice_of(text, 406), "ask");
    assert_true(rc_utf8_valid(omc_slice_str(err.msg)));
    assert_non_null(strstr(err.msg, "xxx; see"));
    assert_null(strstr(err.msg, "more"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_have_names),
        cmocka_unit_test(refusals_become_sentences),
        cmocka_unit_test(every_code_has_a_cure),
        cmocka_unit_test(remarks_are_made_printable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
