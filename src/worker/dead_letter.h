/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Dead letters: the original message of a record that was skipped goes to a topic, with
 * `__connect.errors.*` properties that say where and why. One per task, its thread only.
 */
#ifndef RC_DEAD_LETTER_H
#define RC_DEAD_LETTER_H

#include "log/log.h"
#include "worker/errors.h"
#include "worker/worker_config.h"

/** A record that could not be processed. */
typedef struct rc_failure {
    rc_stage stage;
    const char *class_name; /**< Of the converter, transform or connector that failed. */
    const char *topic;      /**< Where it came from (sink) or was going (source). */
    int32_t queue;
    int64_t offset;            /**< -1 = unknown (source). */
    const rc_message *message; /**< Sink: the original message. NULL = only `record`. */
    const omc_record *record;  /**< Source: the record as polled. */
    rc_error err;
} rc_failure;

typedef struct rc_dead_letter rc_dead_letter;

/** Opens (creates, if `config` allows that) the topic of `errors.deadletterqueue.topic.name`.
 *  Errors as of rc_task_topic(). */
int rc_dead_letter_open(rc_log *log, const rc_connector_options *options, const char *connector,
                        int task, const rc_worker_config *config, rc_clock *clock,
                        rc_dead_letter **ret, rc_error *err);
void rc_dead_letter_close(rc_dead_letter *letters);
/** Encodes the failed record into `append` (of the caller's writer). */
int rc_dead_letter_add(rc_dead_letter *letters, rc_append *append, const rc_failure *failure,
                       rc_error *err);

#endif
