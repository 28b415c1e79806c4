/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Request and response codes (protocol §15, §21) as one table: names for messages, and what a
 * client does about each response.
 */
#ifndef RMQ_CODES_H
#define RMQ_CODES_H

#include "base/base.h"

/* name, code */
#define RMQ_REQUESTS(X)                         \
    X(SEND_MESSAGE, 10)                         \
    X(PULL_MESSAGE, 11)                         \
    X(QUERY_MESSAGE, 12)                        \
    X(QUERY_CONSUMER_OFFSET, 14)                \
    X(UPDATE_CONSUMER_OFFSET, 15)               \
    X(UPDATE_AND_CREATE_TOPIC, 17)              \
    X(GET_BROKER_CONFIG, 26)                    \
    X(GET_BROKER_RUNTIME_INFO, 28)              \
    X(SEARCH_OFFSET_BY_TIMESTAMP, 29)           \
    X(GET_MAX_OFFSET, 30)                       \
    X(GET_MIN_OFFSET, 31)                       \
    X(VIEW_MESSAGE_BY_ID, 33)                   \
    X(HEART_BEAT, 34)                           \
    X(UNREGISTER_CLIENT, 35)                    \
    X(CONSUMER_SEND_MSG_BACK, 36)               \
    X(GET_CONSUMER_LIST_BY_GROUP, 38)           \
    X(CHECK_TRANSACTION_STATE, 39)              \
    X(NOTIFY_CONSUMER_IDS_CHANGED, 40)          \
    X(CHECK_CLIENT_CONFIG, 46)                  \
    X(GET_ROUTEINFO_BY_TOPIC, 105)              \
    X(GET_BROKER_CLUSTER_INFO, 106)             \
    X(UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, 200) \
    X(GET_TOPIC_STATS_INFO, 202)                \
    X(GET_CONSUMER_CONNECTION_LIST, 203)        \
    X(GET_ALL_TOPIC_LIST_FROM_NAMESERVER, 206)  \
    X(DELETE_SUBSCRIPTIONGROUP, 207)            \
    X(GET_CONSUME_STATS, 208)                   \
    X(DELETE_TOPIC_IN_BROKER, 215)              \
    X(DELETE_TOPIC_IN_NAMESRV, 216)             \
    X(RESET_CONSUMER_CLIENT_OFFSET, 220)        \
    X(GET_CONSUMER_STATUS_FROM_CLIENT, 221)     \
    X(GET_CONSUMER_RUNNING_INFO, 307)           \
    X(CONSUME_MESSAGE_DIRECTLY, 309)            \
    X(SEND_MESSAGE_V2, 310)                     \
    X(SEND_BATCH_MESSAGE, 320)                  \
    X(LITE_PULL_MESSAGE, 361)

enum rmq_request_code {
#define RMQ_X(name, code) RMQ_##name = (code),
    RMQ_REQUESTS(RMQ_X)
#undef RMQ_X
};

/* name, code, error code, flags: what a refusal means for the caller */
#define RMQ_RESPONSES(X)                                              \
    X(SUCCESS, 0, OMC_OK, 0)                                          \
    X(SYSTEM_ERROR, 1, OMC_EIO, OMC_ERR_RETRIABLE)                    \
    X(SYSTEM_BUSY, 2, OMC_EAGAIN, OMC_ERR_RETRIABLE)                  \
    X(REQUEST_CODE_NOT_SUPPORTED, 3, OMC_EUNSUPPORTED, OMC_ERR_FATAL) \
    X(FLUSH_DISK_TIMEOUT, 10, OMC_ETIMEDOUT, OMC_ERR_RETRIABLE)       \
    X(SLAVE_NOT_AVAILABLE, 11, OMC_EAGAIN, OMC_ERR_RETRIABLE)         \
    X(FLUSH_SLAVE_TIMEOUT, 12, OMC_ETIMEDOUT, OMC_ERR_RETRIABLE)      \
    X(MESSAGE_ILLEGAL, 13, OMC_EINVAL, OMC_ERR_FATAL)                 \
    X(SERVICE_NOT_AVAILABLE, 14, OMC_EAGAIN, OMC_ERR_RETRIABLE)       \
    X(VERSION_NOT_SUPPORTED, 15, OMC_EUNSUPPORTED, OMC_ERR_FATAL)     \
    X(NO_PERMISSION, 16, OMC_EACCES, 0)                               \
    X(TOPIC_NOT_EXIST, 17, OMC_ENOTFOUND, OMC_ERR_RETRIABLE)          \
    X(TOPIC_EXIST_ALREADY, 18, OMC_EEXIST, 0)                         \
    X(PULL_NOT_FOUND, 19, OMC_EAGAIN, OMC_ERR_RETRIABLE)              \
    X(PULL_RETRY_IMMEDIATELY, 20, OMC_EAGAIN, OMC_ERR_RETRIABLE)      \
    X(PULL_OFFSET_MOVED, 21, OMC_ENOTFOUND, 0)                        \
    X(QUERY_NOT_FOUND, 22, OMC_ENOTFOUND, 0)                          \
    X(SUBSCRIPTION_PARSE_FAILED, 23, OMC_EINVAL, OMC_ERR_FATAL)       \
    X(SUBSCRIPTION_NOT_EXIST, 24, OMC_ESTATE, OMC_ERR_RETRIABLE)      \
    X(SUBSCRIPTION_NOT_LATEST, 25, OMC_ESTATE, OMC_ERR_RETRIABLE)     \
    X(SUBSCRIPTION_GROUP_NOT_EXIST, 26, OMC_ENOTFOUND, 0)             \
    X(FILTER_DATA_NOT_EXIST, 27, OMC_ESTATE, OMC_ERR_RETRIABLE)       \
    X(FILTER_DATA_NOT_LATEST, 28, OMC_ESTATE, OMC_ERR_RETRIABLE)      \
    X(INVALID_PARAMETER, 29, OMC_EINVAL, 0)                           \
    X(CONSUMER_NOT_ONLINE, 206, OMC_ENOTFOUND, 0)                     \
    X(FLOW_CONTROL, 215, OMC_EAGAIN, OMC_ERR_RETRIABLE)               \
    X(NOT_LEADER_FOR_QUEUE, 501, OMC_EAGAIN, OMC_ERR_RETRIABLE)       \
    X(GO_AWAY, 1500, OMC_EAGAIN, OMC_ERR_RETRIABLE)

enum rmq_response_code {
#define RMQ_X(name, code, error, flags) RMQ_R_##name = (code),
    RMQ_RESPONSES(RMQ_X)
#undef RMQ_X
};

/** "SEND_BATCH_MESSAGE", or "request 4711" in `out` for one that the table lacks. */
const char *rmq_request_name(int code, char out[32]);
/** "SYSTEM_BUSY", or "code 4711". */
const char *rmq_response_name(int code, char out[32]);
/** Whether a refusal of 38 or 203 means that nobody is a member of the group: brokers say so with
 * the code of any failure (protocol §10). */
bool rmq_nobody_in_group(int code, rc_slice remark);
/**
 * Turns a refusal into an error: "<what>: <NAME> (<code>): <remark>; <cure>". `what` names request,
 * topic, queue and broker. The remark is cut at 400 bytes and control characters become blanks.
 * 4.9's AclException in code 1 counts as NO_PERMISSION. The code is in RMQ_ERR_RESPONSE.
 * @return -err->code
 */
int rmq_fail_response(rc_error *err, int code, rc_slice remark, const char *what);

#endif
