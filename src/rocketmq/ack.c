/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Whether a broker can keep what `ack` asks for, by its own configuration.
 */
#include "rocketmq/lane.h"

#include "base/units.h"

#include <stdio.h>

/* Value of `key` in lines `key=value`; base == NULL: not there. */
static rc_slice setting(rc_slice config, const char *key)
{
    size_t len = strlen(key);

    while (config.len > 0) {
        const char *end = memchr(config.base, '\n', config.len);
        size_t line = end ? (size_t)(end - config.base) : config.len;
        size_t step = end ? line + 1 : line;

        if (line > len && memcmp(config.base, key, len) == 0 && config.base[len] == '=') {
            size_t stop = config.base[line - 1] == '\r' ? line - 1 : line;

            return omc_slice_of(config.base + len + 1, stop - len - 1);
        }
        config.base += step;
        config.len -= step;
    }
    return omc_slice_of(NULL, 0);
}

static int refuse(const char *ack, const char *broker, const char *key, rc_slice value,
                  const char *cure, rc_error *err)
{
    return rc_fail(err, OMC_EUNSUPPORTED,
                   "%s cannot promise ack=%s: its %s is %.*s; set %s there and restart it, or use "
                   "ack=stored",
                   broker, ack, key, value.base ? (int)RC_MIN(value.len, (size_t)100) : 9,
                   value.base ? value.base : "not known", cure);
}

static int check_flushed(rc_slice config, const char *broker, rc_error *err)
{
    rc_slice flush = setting(config, "flushDiskType");

    if (omc_slice_is(flush, "SYNC_FLUSH"))
        return 0;
    return refuse("flushed", broker, "flushDiskType", flush, "flushDiskType=SYNC_FLUSH", err);
}

static int check_replicated(rc_slice config, const char *broker, rc_error *err)
{
    rc_slice role = setting(config, "brokerRole");
    rc_slice in_sync = setting(config, "inSyncReplicas");
    int64_t count;

    if (omc_slice_is(setting(config, "enableDLegerCommitLog"), "true"))
        return 0;
    if (!omc_slice_is(role, "SYNC_MASTER"))
        return refuse("replicated", broker, "brokerRole", role, "brokerRole=SYNC_MASTER", err);
    if (!in_sync.base || (omc_slice_is(setting(config, "enableControllerMode"), "true") &&
                          omc_slice_is(setting(config, "allAckInSyncStateSet"), "true")))
        return 0;
    if (rc_parse_int64(in_sync, &count) < 0 || count < 2)
        return refuse("replicated", broker, "inSyncReplicas", in_sync, "inSyncReplicas=2", err);
    return 0;
}

int rmq_ack_of_config(rc_slice config, enum rmq_ack ack, const char *broker, rc_error *err)
{
    switch (ack) {
    case RMQ_ACK_FLUSHED:
        return check_flushed(config, broker, err);
    case RMQ_ACK_REPLICATED:
        return check_replicated(config, broker, err);
    case RMQ_ACK_STORED:
        break;
    }
    return 0;
}

int rmq_ack_check(rmq_client *client, const char *broker, const char *address, enum rmq_ack ack,
                  rc_error *err)
{
    const rmq_request request = {.code = RMQ_GET_BROKER_CONFIG,
                                 .timeout_ms = rmq_client_settings(client)->request_timeout_ms};
    rmq_answer answer = {0};
    char what[512];
    int r;

    if (ack == RMQ_ACK_STORED)
        return 0;
    r = rmq_client_call(client, address, &request, &answer);
    if (r < 0) {
        if (err)
            *err = answer.err;
        r = rc_wrap(err, r, "cannot see whether %s keeps what ack asks for", broker);
    } else if (answer.frame.header.code != RMQ_R_SUCCESS) {
        (void)snprintf(what, sizeof what, "GET_BROKER_CONFIG of %s (%s), needed for ack", broker,
                       address);
        r = rmq_fail_response(err, answer.frame.header.code, answer.frame.header.remark, what);
    } else {
        r = rmq_ack_of_config(answer.frame.body, ack, broker, err);
    }
    rmq_answer_release(&answer);
    return r;
}
