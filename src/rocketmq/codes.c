/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Names of codes, and the sentence a refusal becomes. What to do about each response stands in
 * one table here, beside its meaning in codes.h, so that every caller gives the same advice.
 */
#include "rocketmq/codes.h"

#include "base/encode.h"

#include <stdio.h>

#define REMARK_MAX ((size_t)400)

const char *rmq_request_name(int code, char out[32])
{
    switch (code) {
#define RMQ_X(name, number) \
    case number:            \
        return #name;
        RMQ_REQUESTS(RMQ_X)
#undef RMQ_X
    default:
        (void)snprintf(out, 32, "request %d", code);
        return out;
    }
}

const char *rmq_response_name(int code, char out[32])
{
    switch (code) {
#define RMQ_X(name, number, error, flags) \
    case number:                          \
        return #name;
        RMQ_RESPONSES(RMQ_X)
#undef RMQ_X
    default:
        (void)snprintf(out, 32, "code %d", code);
        return out;
    }
}

/* What a response means for the caller; unknown ones are failures that may pass. */
static int error_of(int code, uint32_t *ret_flags)
{
    switch (code) {
#define RMQ_X(name, number, error, flags) \
    case number:                          \
        *ret_flags = flags;               \
        return error;
        RMQ_RESPONSES(RMQ_X)
#undef RMQ_X
    default:
        *ret_flags = 0;
        return OMC_EIO;
    }
}

static const char *cure_of(int code)
{
    switch (code) {
    case RMQ_R_SYSTEM_ERROR:
        return "the broker's log (~/logs/rocketmqlogs/broker.log) has the stack trace";
    case RMQ_R_SYSTEM_BUSY:
    case RMQ_R_FLOW_CONTROL:
        return "the broker is overloaded and did nothing; try again after a pause, and look at its "
               "disk and CPU if this lasts";
    case RMQ_R_REQUEST_CODE_NOT_SUPPORTED:
    case RMQ_R_VERSION_NOT_SUPPORTED:
        return "this server does not know the request; use a newer broker, and check that the "
               "address is a broker's and not a name server's or a proxy's";
    case RMQ_R_FLUSH_DISK_TIMEOUT:
        return "the message is stored but not yet on disk; look at the broker's disk";
    case RMQ_R_SLAVE_NOT_AVAILABLE:
    case RMQ_R_FLUSH_SLAVE_TIMEOUT:
        return "the message is stored on the master only; look at the slave and its connection";
    case RMQ_R_MESSAGE_ILLEGAL:
        return "body, properties or topic break a limit of the broker (maxMessageSize, 32,767 "
               "bytes of properties, 127 bytes of topic); send it smaller or raise the limit";
    case RMQ_R_SERVICE_NOT_AVAILABLE:
        return "the broker takes no messages now: its disk is full, it is a slave, or it is "
               "shutting down; check `df` and its role";
    case RMQ_R_NO_PERMISSION:
        return "check access key, secret key and the permissions of the user (producer: PUB on the "
               "topic; consumer: SUB on topic and group), and the perm of topic and broker";
    case RMQ_R_TOPIC_NOT_EXIST:
        return "create the topic (mqadmin updateTopic), or wait until the brokers have registered "
               "it with the name server";
    case RMQ_R_TOPIC_EXIST_ALREADY:
        return "use the topic that is there, or another name";
    case RMQ_R_PULL_NOT_FOUND:
    case RMQ_R_PULL_RETRY_IMMEDIATELY:
        return "nothing is there yet; pull again";
    case RMQ_R_PULL_OFFSET_MOVED:
        return "the offset is outside of what the broker keeps; go on at nextBeginOffset";
    case RMQ_R_QUERY_NOT_FOUND:
        return "the broker has nothing of that kind (any more)";
    case RMQ_R_SUBSCRIPTION_PARSE_FAILED:
        return "correct the filter expression; SQL92 needs enablePropertyFilter=true on the broker";
    case RMQ_R_SUBSCRIPTION_NOT_EXIST:
    case RMQ_R_SUBSCRIPTION_NOT_LATEST:
    case RMQ_R_FILTER_DATA_NOT_EXIST:
    case RMQ_R_FILTER_DATA_NOT_LATEST:
        return "the broker does not know the present subscription yet; the next heartbeat tells it";
    case RMQ_R_SUBSCRIPTION_GROUP_NOT_EXIST:
        return "create the group (mqadmin updateSubGroup), or set autoCreateSubscriptionGroup=true "
               "on the broker";
    case RMQ_R_INVALID_PARAMETER:
        return "name or queue breaks a rule of the broker (letters, digits, '%', '|', '_', '-'; "
               "group at most 120 bytes), or the route is old";
    case RMQ_R_CONSUMER_NOT_ONLINE:
        return "no member of the group is connected to this broker now";
    case RMQ_R_NOT_LEADER_FOR_QUEUE:
        return "the queue has moved to another broker; the new route tells which";
    case RMQ_R_GO_AWAY:
        return "the server is shutting down this connection; another one is made";
    default:
        return "see the broker's log for this code";
    }
}

/*
 * Remarks are foreign text on the way into one line of a log and into JSON: at most REMARK_MAX
 * bytes, no control characters, whole characters only. Stack traces lose their line ends.
 */
static void clean_remark(rc_slice remark, char out[REMARK_MAX + 1])
{
    size_t len = RC_MIN(remark.len, REMARK_MAX);

    if (len < remark.len)
        while (len > 0 && ((unsigned char)remark.base[len] & 0xC0u) == 0x80u)
            len--;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)remark.base[i];

        out[i] = (char)(c < 0x20 || c == 0x7F ? ' ' : c);
    }
    if (!rc_utf8_valid(omc_slice_of(out, len)))
        for (size_t i = 0; i < len; i++)
            if ((unsigned char)out[i] >= 0x80)
                out[i] = '?';
    while (len > 0 && (out[len - 1] == ' ' || out[len - 1] == '.'))
        len--;
    out[len] = '\0';
}

/* 4.x brokers refuse credentials with code 1 and the name of a Java class (protocol §16). */
static bool is_acl_refusal(int code, rc_slice remark)
{
    static const char mark[] = "AclException";

    return code == RMQ_R_SYSTEM_ERROR && remark.len >= sizeof mark - 1 &&
           memmem(remark.base, remark.len, mark, sizeof mark - 1) != NULL;
}

bool rmq_nobody_in_group(int code, rc_slice remark)
{
    static const char mark[] = "no consumer for this group";

    return code == RMQ_R_SYSTEM_ERROR && remark.base &&
           memmem(remark.base, remark.len, mark, sizeof mark - 1);
}

int rmq_fail_response(rc_error *err, int code, rc_slice remark, const char *what)
{
    int meaning = is_acl_refusal(code, remark) ? RMQ_R_NO_PERMISSION : code;
    char text[REMARK_MAX + 1];
    char name[32];
    uint32_t flags;
    int error = error_of(meaning, &flags);

    if (error == OMC_OK)
        error = OMC_EINTERNAL; /* A success is no refusal; the caller's mistake must not vanish. */
    clean_remark(remark, text);
    flags |= (uint32_t)(uint16_t)meaning << 16;
    return omc_fail(err, error, flags, "%s: %s (%d)%s%s; %s", what,
                    rmq_response_name(meaning, name), code, text[0] ? ": " : "", text,
                    cure_of(meaning));
}
