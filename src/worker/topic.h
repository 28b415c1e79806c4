/* SPDX-License-Identifier: Apache-2.0 */
/** Topics that tasks write to and read from, and what to say when one is not there. Any thread. */
#ifndef RC_WORKER_TOPIC_H
#define RC_WORKER_TOPIC_H

#include "log/log.h"

/** What a topic is to its task. */
typedef struct rc_topic_wish {
    const char *name;
    const char *key; /**< Configuration key that names it; NULL = its records do. */
    int32_t queues;  /**< Made with so many when it does not exist; 0 = not made. */
    int64_t
        again_ms; /**< Longest time until a task that lacks it is started again; for the text. */
} rc_topic_wish;

/**
 * Opens a topic for a task. One that is not there, or that may not be made, can be there at the
 * next try: those errors are retriable, so that the task is started again with back-off.
 * @return 0; -OMC_ENOTFOUND, -OMC_EACCES, -OMC_EUNSUPPORTED (retriable); what rc_log_topic()
 *         returns.
 */
int rc_task_topic(rc_log *log, const rc_topic_wish *wish, rc_topic **ret, rc_error *err);

#endif
