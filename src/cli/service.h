/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A worker as a service of this process: the I/O loop with REST and signals on the main thread,
 * log, registry and worker opened beside it, so that REST answers (503) from the first moment and
 * a second signal is heard while the worker stops.
 *
 * All callbacks run on the loop's thread.
 */
#ifndef RC_CLI_SERVICE_H
#define RC_CLI_SERVICE_H

#include "net/loop.h"
#include "worker/worker.h"

typedef struct rc_service rc_service;

typedef struct rc_service_setup {
    const rc_worker_config *config;
    const omc_plugin *const *connectors; /**< Built in; NULL-terminated. */
    /** Of rc_service_registry(), when the caller has needed one already: a scan is slow and warns.
     *  Taken, also on failure. NULL = one is made. */
    rc_registry *registry;
    bool memory_store; /**< Connectors are forgotten at the end; else state.db remembers them. */
    bool rest;
    bool wait_for_log; /**< A RocketMQ that is not there is waited for (log.wait.max). */
    bool cluster;      /**< The worker is a member of the cluster that the configuration names. */
    /** The worker runs. A negative result stops the service with that error. */
    int (*ready)(rc_service *service, void *arg, rc_error *err);
    /** Some connector or task changed its state; several changes may give one call. */
    void (*changed)(rc_service *service, void *arg);
    /** First SIGINT or SIGTERM. NULL = stop at once. The second one ends the process. */
    void (*interrupted)(rc_service *service, void *arg);
    /** The worker has stopped and everything is closed but the log. May be NULL. */
    void (*stopped)(rc_service *service, void *arg);
    void *arg;
} rc_service_setup;

/**
 * Runs until rc_service_stop().
 * @return 0, or the error that kept the service from starting (-OMC_E...), or the number of tasks
 *         that did not stop in time.
 */
int rc_service_run(const rc_service_setup *setup, rc_error *err);
/** Drains and stops everything. Again is harmless. @thread loop */
void rc_service_stop(rc_service *service);
bool rc_service_stopping(const rc_service *service);

rc_loop *rc_service_loop(rc_service *service);
rc_worker *rc_service_worker(rc_service *service); /**< NULL until ready, and once stopped. */
rc_log *rc_service_log(rc_service *service);
int rc_service_port(const rc_service *service); /**< Of REST; 0 when there is none. */

/**
 * Registry of built-in and configured plugins. `config` NULL = only built-in ones.
 * @param warn  Refused files are warned about; they are in rc_registry_refusals() in any case.
 */
int rc_service_registry(const rc_worker_config *config, const omc_plugin *const *connectors,
                        bool warn, rc_registry **ret, rc_error *err);

#endif
