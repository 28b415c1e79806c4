/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The REST server of a worker: the Java runtime's routes, `/api/v1`, `/health`, `/metrics`.
 * Runs on the loop's thread; handlers post requests to the worker, suspend their connection and
 * answer when the reply arrives.
 */
#ifndef RC_REST_H
#define RC_REST_H

#include "base/buf.h"
#include "http/peer.h"
#include "net/loop.h"
#include "worker/worker.h"

typedef struct rc_rest rc_rest;

typedef struct rc_rest_config {
    const char *host;   /**< Address to listen on, e.g. 127.0.0.1 or ::1 */
    int port;           /**< 0 = any free one */
    bool java_status;   /**< rest.compat.status=java: compatible routes answer errors with 200. */
    int64_t timeout_ms; /**< Longest wait for the worker's reply; default 90,000. */
} rc_rest_config;

/** Another worker, as it can be called. */
typedef struct rc_rest_peer {
    char name[RC_PEER_NAME_MAX + 1];
    char url[512]; /**< "http://10.0.0.7:8082" */
    uint64_t incarnation;
} rc_rest_peer;

/** What REST must know of a cluster to send requests to the worker that can answer them. */
typedef struct rc_rest_cluster {
    const char *name;       /**< This worker's. Outlives the server, as all else here. */
    uint64_t incarnation;   /**< Of this process. */
    const rc_peer_key *key; /**< Signs calls between workers; NULL = there is no secret. */
    /**
     * Who runs a connector's half (`task` -1) or a task. Any thread; must not block.
     * @return 0 = this worker (or it must be asked anyway); 1 = *ret; -OMC_ENOTFOUND (no such
     *         connector or task), -OMC_EAGAIN (nobody at the moment; says why).
     */
    int (*owner)(void *arg, const char *connector, int task, rc_rest_peer *ret, rc_error *err);
    /** The cluster as a JSON object: state, home, workers. */
    void (*describe)(void *arg, rc_buf *out);
    /** Why a connector's half or a task is where it is, as a JSON object. -OMC_ENOTFOUND. */
    int (*explain)(void *arg, const char *connector, int task, rc_buf *out, rc_error *err);
    /** The membership's figures: name, "counter" or "gauge", help, value; for /metrics. Any
     *  thread. */
    void (*figures)(void *arg,
                    void (*each)(void *each_arg, const char *name, const char *type,
                                 const char *help, int64_t value),
                    void *each_arg);
    /** Gives this worker's units away and takes none, or takes part again. */
    void (*drain)(void *arg, bool on);
    void *arg;
} rc_rest_cluster;

/** Listens. The worker comes later (rc_rest_attach), until then requests answer 503. */
int rc_rest_start(rc_loop *loop, const rc_rest_config *config, rc_rest **ret, rc_error *err);
void rc_rest_attach(rc_rest *rest, rc_worker *worker); /**< NULL detaches: 503 again. */
/** What the worker is waiting for, for the answers 503 until it is attached. Copied. */
void rc_rest_waits(rc_rest *rest, const char *why);
/** From now on requests that another worker must answer are sent there. Before rc_rest_attach().
 *  On the loop's thread. */
void rc_rest_join(rc_rest *rest, const rc_rest_cluster *cluster);
int rc_rest_port(const rc_rest *rest);
/** Appends docs/rest.md, written from the table of routes. Any thread. */
void rc_rest_describe(rc_buf *out);
/** Closes all connections; waiting requests get 503. On the loop's thread. NULL is allowed. */
void rc_rest_stop(rc_rest *rest);

#endif
