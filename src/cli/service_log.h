/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Opening the log of a service. A RocketMQ cluster that does not answer is waited for, if the
 * command wants that: a worker is often started beside a cluster that starts, too.
 */
#ifndef RC_CLI_SERVICE_LOG_H
#define RC_CLI_SERVICE_LOG_H

#include "log/rocketmq.h"
#include "worker/worker_config.h"

#include <stdatomic.h>

typedef struct rc_log_opening {
    const rc_worker_config *config;
    bool patient; /**< Wait, up to config->log_wait_ms. */
    /** Not there yet, and tried again; `why` says what is wrong. On the thread that opens. */
    void (*waits)(void *arg, const char *why);
    void *arg;
    /* Private: */
    pthread_mutex_t mu;
    pthread_cond_t cond;
    atomic_bool cancel;
} rc_log_opening;

/** How a client reaches the cluster that the configuration names; borrows its texts. */
rmq_client_config rc_log_client_config(const rc_worker_config *config);

/** Of settings that are filled in already. */
void rc_log_opening_init(rc_log_opening *opening);
void rc_log_opening_release(rc_log_opening *opening);
/**
 * Opens the log that the configuration names.
 * @return 0; -OMC_ECANCELED after rc_log_opening_cancel(); what rc_embedded_open() and
 *         rc_rocketmq_open() return: at once when waiting cannot help.
 */
int rc_log_opening_run(rc_log_opening *opening, rc_log **ret, rc_error *err);
/** Nobody wants the log any more. @thread any */
void rc_log_opening_cancel(rc_log_opening *opening);

#endif
