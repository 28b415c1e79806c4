/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The cluster of a service: the shared state, the membership, and what REST must know of both.
 */
#ifndef RC_CLI_SERVICE_CLUSTER_H
#define RC_CLI_SERVICE_CLUSTER_H

#include "cli/service_log.h"
#include "distributed/cluster.h"
#include "rest/rest.h"

typedef struct rc_service_cluster {
    rmq_client *client;
    rc_topic_store *store;
    rc_cluster *cluster;
    rc_peer_key key;
    rc_rest_cluster rest;
    char *url;
    char *snapshot;
    _Atomic(rc_cluster *) joined; /* for the store's thread */
} rc_service_cluster;

/**
 * Opens the shared state and finds the ownership log; joins nothing yet. RocketMQ that goes away
 * meanwhile is waited for, as for the log.
 * @param port   Of the REST server; 0 = there is none.
 * @param ended  The worker can be no member any more (rc_cluster_config.ended).
 * @return as rc_topic_store_open() and rc_cluster_new().
 */
int rc_service_cluster_open(rc_service_cluster *sc, const rc_worker_config *config, int port,
                            rc_log_opening *opening, void (*ended)(void *arg, const rc_error *why),
                            void *arg, rc_error *err);
/** Closes all but the store, which rc_store_close() has closed: its thread asks the cluster. */
void rc_service_cluster_close(rc_service_cluster *sc);

#endif
