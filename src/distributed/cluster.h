/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A worker in its cluster: joins the pure state machine (cluster/member.h) to RocketMQ, to the
 * shared state (store/topic.h) and to the worker's tasks (worker/ownership.h).
 *
 *   ownership log --> events --> membership --> actions --> orders to the worker
 *   shared state  --> catalogue ----^               \-----> ownership log
 *   worker's reports ---------------^
 *
 * One thread, `rc-cluster`, runs the state machine; sockets are the I/O thread's.
 *
 * *Units and task records.* A task's unit is named by its connector and the task record that it
 * belongs to ("orders#<generation>.<number>", task 3): tasks of two records are never taken for
 * each other. Units of a new record are wanted only when nobody owns one of an older record any
 * more, because source partitions may have moved between tasks.
 */
#ifndef RC_DISTRIBUTED_CLUSTER_H
#define RC_DISTRIBUTED_CLUSTER_H

#include "base/buf.h"
#include "cluster/member.h"
#include "store/topic.h"
#include "worker/ownership.h"

typedef struct rc_cluster rc_cluster;

/** Texts are borrowed and outlive the cluster. */
typedef struct rc_cluster_config {
    const char *cluster;   /**< Name of the cluster; begins the name of its ownership topic. */
    const char *worker_id; /**< Name of this worker in it. */
    const char *url;       /**< Of its REST server, as others reach it; "" = none. */
    const char *labels;    /**< As rc_labels_parse makes them. */
    const char *version;   /**< Of the software. */
    uint32_t weight;
    rc_timers timers;
    rmq_client *client;    /**< Borrowed; outlives the cluster. */
    rc_topic_store *store; /**< Borrowed; outlives the cluster. */
    bool create_topics;    /**< Also the ownership topic. */
    /** The worker can be no member any more: another process has its name, or took it. Once, on the
     *  cluster's thread; the process is to end. */
    void (*ended)(void *arg, const rc_error *why);
    void *arg;
} rc_cluster_config;

/**
 * Finds or makes the ownership log. Nothing is joined yet.
 * @return 0; -OMC_ENOTFOUND (no log, and none may be made; or no broker is there); -OMC_ESTATE (the
 *         log is on several brokers: says the cure); -OMC_ECONNECT, -OMC_ETIMEDOUT (retriable);
 *         -OMC_EINVAL (timers).
 */
int rc_cluster_new(const rc_cluster_config *config, rc_cluster **ret, rc_error *err);
/** For rc_worker_setup.ruler. */
const rc_ruler *rc_cluster_ruler(rc_cluster *cluster);
uint64_t rc_cluster_incarnation(const rc_cluster *cluster);
/** Joins, with a worker that runs. */
int rc_cluster_join(rc_cluster *cluster, rc_worker *worker, rc_error *err);
/** The worker's table or state has changed. Any thread; never blocks. */
void rc_cluster_changed(rc_cluster *cluster);
/** Takes no more units and gives away what there is; or takes part again. Any thread. */
void rc_cluster_drain(rc_cluster *cluster, bool on);
/** Drains and leaves, waiting for that at most `wait_ms`. Any thread but the worker's. */
void rc_cluster_leave(rc_cluster *cluster, int64_t wait_ms);
/** Ends the thread: no orders come any more, and the lease runs out. Before the worker stops.
 *  Questions may still be asked. */
void rc_cluster_halt(rc_cluster *cluster);
/** NULL is allowed. */
void rc_cluster_free(rc_cluster *cluster);

/* ---- questions, any thread ------------------------------------------------------------------- */

/** Another worker, as it can be called. */
typedef struct rc_cluster_peer {
    char name[RC_OWN_NAME_MAX + 1];
    char url[512];
    uint64_t incarnation;
} rc_cluster_peer;
/** Who runs a connector's half (`task` RC_UNIT_HALF) or a task. 0 = this worker; 1 = *ret;
 *  -OMC_ENOTFOUND (no such connector or task), -OMC_EAGAIN (nobody now; says why). */
int rc_cluster_owner(rc_cluster *cluster, const char *connector, int task, rc_cluster_peer *ret,
                     rc_error *err);
/** The cluster as JSON: this worker's membership, the home of the log, workers with their units. */
void rc_cluster_describe(rc_cluster *cluster, rc_buf *out);
/** Why a unit is where it is, as JSON. */
int rc_cluster_explain(rc_cluster *cluster, const char *connector, int task, rc_buf *out,
                       rc_error *err);
/** Whether this worker is the one, of all members, who does what one has to do: its name comes
 *  first. false when it is no member. */
bool rc_cluster_is_first(rc_cluster *cluster);
/* X(id, name, type, help): rocketmq_connect_cluster_<name>; /metrics and docs come from this. */
#define RC_CLUSTER_FIGURES(X)                                                                \
    X(MEMBER, "member", "gauge", "1 while this worker is a member; 0: it may run nothing.")  \
    X(WORKERS, "workers", "gauge", "Members, this worker included.")                         \
    X(OWNED, "units_owned", "gauge", "Connectors' halves and tasks that this worker has.")   \
    X(RUNNING, "units_running", "gauge", "Of them, running.")                                \
    X(RECORDS, "records_total", "counter", "Records read of the ownership log.")             \
    X(VOID, "records_void_total", "counter", "Of them, without effect.")                     \
    X(APPENDS, "appends_total", "counter", "Records written to it.")                         \
    X(PINGS, "pings_total", "counter", "Questions for its end, which give the lease.")       \
    X(WON, "claims_won_total", "counter", "Units claimed with success.")                     \
    X(LOST, "claims_lost_total", "counter", "Claims that another worker was faster with.")   \
    X(REFUTED, "suspicions_refuted_total", "counter",                                        \
      "Times others took this worker for dead while it lived.")                              \
    X(TRUNCATIONS, "log_truncations_total", "counter",                                       \
      "Times the ownership log had lost its end.")                                           \
    X(OUTRANKED, "outranked_total", "counter", "Tasks that found a newer owner in the log.") \
    X(ASSIGNMENTS, "assignments_total", "counter", "Assignments computed.")                  \
    X(DIVERGED, "divergence_total", "counter",                                               \
      "Snapshots that differ from what was read here: must stay 0.")

/** Figures for metrics, in the order of the table. */
void rc_cluster_figures(rc_cluster *cluster,
                        void (*each)(void *arg, const char *name, const char *type,
                                     const char *help, int64_t value),
                        void *arg);

RC_DEFINE_CLEANUP(rc_cluster, rc_cluster_free)

#endif
