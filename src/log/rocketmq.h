/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The log on RocketMQ: topics and queues are the brokers', positions of sources lie in the Java
 * runtime's position topic in its format, offsets of sinks in the Java runtime's groups.
 *
 * Not atomic: positions are committed after all records up to them are acknowledged. Exactly once
 * (rc_writer_config.exactly_once) by identities and notes, see rocketmq/eo.h.
 *
 * A broker or name server that is away stops nothing for good: sends wait, rc_log_health says what
 * for, and tasks feel back-pressure.
 */
#ifndef RC_LOG_ROCKETMQ_H
#define RC_LOG_ROCKETMQ_H

#include "log/log.h"

#include <rocketmq/client.h>

#include <stdatomic.h>

typedef struct rc_rocketmq_config {
    rmq_client_config client;   /**< Copied. Its `log` hook is set here. */
    const char *position_topic; /**< positionStoreTopic; created with 1 queue when missing. */
    /** Snapshot of the positions, in the form of the Java runtime's position.json; its folder is
     *  there. NULL = none. */
    const char *position_file;
    bool create_topics; /**< Also the position topic. */
    /** How long what was sent on a connection that is lost may still be stored: before that is over
     *  nothing is sent again, and 1.5 times as long nothing a killed worker wrote is read back.
     *  A queue that seems to have lost messages is given five times as long. 0 = 2000. Less only
     * where there is no network in between, as in tests. */
    int64_t tail_ms;
    rc_clock *clock;
    /** Set from another thread: opening ends with -OMC_ECANCELED after the request under way, at
     *  the latest client.request_timeout_ms later. NULL = opening is not cancelled. */
    const atomic_bool *cancel;
} rc_rocketmq_config;

/**
 * Connects and reads the positions.
 * @return 0; -OMC_EINVAL (settings); -OMC_ECONNECT (no name server or broker answers: names each
 *         with its reason); -OMC_EACCES; -OMC_ENOTFOUND (no position topic and none may be made,
 *         or no broker is registered); -OMC_ECANCELED. Errors with OMC_ERR_RETRIABLE may pass by
 *         themselves: it can be opened again.
 */
int rc_rocketmq_open(const rc_rocketmq_config *config, rc_log **ret, rc_error *err);

#endif
