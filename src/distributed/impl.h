/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: cluster.c is its face and the thread, link.c the connection to the ownership
 * log, home.c finds that log, catalog.c says which units there should be, units.c what this worker
 * has of them. */
#ifndef RC_DISTRIBUTED_IMPL_H
#define RC_DISTRIBUTED_IMPL_H

#include "base/diag.h"
#include "base/hash.h"
#include "base/thread.h"
#include "distributed/cluster.h"
#include "rocketmq/pinned.h"

#include <stdatomic.h>

#define RC_CLUSTER_COMPONENT "cluster"

typedef enum rc_event_kind {
    /* Of the link. */
    RC_EVENT_UP = 1,
    RC_EVENT_DOWN,
    RC_EVENT_RECORDS,
    RC_EVENT_BEYOND,
    RC_EVENT_BELOW,
    RC_EVENT_PINGED,
    RC_EVENT_APPENDED,
    RC_EVENT_MEMBERS,
    RC_EVENT_FOREIGN,
    /* Of the worker. */
    RC_EVENT_REPORT,
    RC_EVENT_NOT_HERE, /* a unit to drain or stop that has ended already */
    /* Of people and of the store. */
    RC_EVENT_WANT_LEASE,
    RC_EVENT_CATALOG,
    RC_EVENT_DRAIN,
    RC_EVENT_LEAVE
} rc_event_kind;

typedef struct rc_event {
    struct rc_event *next;
    rc_event_kind kind;
    rc_arena arena; /* texts and bodies */
    uint64_t conn;
    uint64_t id;
    int64_t number; /* offset, end, wait */
    rc_appended outcome;
    rc_slice *bodies;
    const char **names;
    size_t count;
    bool on;
    const char *text; /* name */
    rc_unit_id unit;
    rc_unit_report report;
    rc_error err;
} rc_event;

rc_event *rc_event_new(rc_event_kind kind);
void rc_event_free(rc_event *event);

/* ---- link.c: I/O thread; calls from the cluster's thread ------------------------------------- */

typedef struct rc_link rc_link;
typedef struct rc_link_config {
    rmq_client *client;
    const char *group;
    const char *member;
    const char *foreign; /* group of members of another kind, watched for */
    int64_t timeout_ms;
    /** Takes the event. @thread I/O */
    void (*happened)(void *arg, rc_event *event);
    void *arg;
} rc_link_config;
rc_link *rc_link_new(const rc_link_config *config);
/** Closes; when it returns nothing happens any more. @thread any but I/O */
void rc_link_free(rc_link *link);
void rc_link_connect(rc_link *link, uint64_t conn, const char *topic, const char *broker);
void rc_link_disconnect(rc_link *link, uint64_t conn);
void rc_link_read(rc_link *link, uint64_t conn, int64_t offset);
void rc_link_ping(rc_link *link, uint64_t conn, uint64_t id);
void rc_link_append(rc_link *link, uint64_t conn, uint64_t id, rc_slice body);

/* ---- home.c ---------------------------------------------------------------------------------- */

/** "<cluster>-own-<epoch>" */
char *rc_home_topic(const char *cluster, int64_t epoch);
/** The newest epoch's log and the broker it is on; made when there is none. `ret_broker` is the
 *  caller's. */
int rc_home_find(const rc_cluster_config *config, int64_t *ret_epoch, char **ret_broker,
                 rc_error *err);

/* ---- catalog.c ------------------------------------------------------------------------------- */

/** "orders#12.1" of a task record; of the half the name itself. In `arena`. */
const char *rc_catalog_unit_name(omc_arena *arena, const char *connector, int64_t generation,
                                 int64_t number);
/** Name of the connector in the name of a unit with this number; `ret_*` -1 when it is a half. */
const char *rc_catalog_connector(omc_arena *arena, const char *unit, int32_t number,
                                 int64_t *ret_generation, int64_t *ret_record);
typedef struct rc_catalog {
    rc_arena arena;
    rc_catalog_unit *units;
    size_t count;
    size_t held_back; /* connectors whose former tasks are not free yet */
} rc_catalog;
/** What should run, by the store; `fold` says what is owned of older records. */
int rc_catalog_make(rc_topic_store *store, const rc_fold *fold, rc_catalog *ret, rc_error *err);
void rc_catalog_release(rc_catalog *catalog);

/* ---- units.c: cluster's thread ----------------------------------------------------------------
 */

typedef struct rc_own_unit_entry rc_own_unit_entry;
void rc_units_start(rc_cluster *cluster, const rc_action *action);
void rc_units_suspend(rc_cluster *cluster, const char *why);
void rc_units_resume(rc_cluster *cluster, const rc_action *action);
void rc_units_drain_one(rc_cluster *cluster, const rc_action *action);
void rc_units_stop(rc_cluster *cluster, const rc_action *action);
void rc_units_report(rc_cluster *cluster, const rc_event *event, int64_t now_ms);
/** The worker is told of tasks whose record is not the newest any more; it drains them. */
void rc_units_look_at_records(rc_cluster *cluster);
/** Orders that are due again; when the next one is. */
int64_t rc_units_again(rc_cluster *cluster, int64_t now_ms);
void rc_units_release_all(rc_cluster *cluster);

struct rc_cluster {
    rc_cluster_config config;
    rc_ruler ruler;
    uint64_t incarnation;
    char *member; /* name in the group: "<worker>@<incarnation>" */
    char *group;
    rc_link *link;
    rc_worker *worker; /* set before the thread begins */
    rc_lease lease;
    pthread_t thread;
    bool started;

    pthread_mutex_t mu; /* guards the events and what follows */
    pthread_cond_t cond;
    rc_event *first, *last;
    bool end, catalog_due, left;

    pthread_mutex_t machine_mu; /* guards the machine, for questions */
    rc_membership *machine;
    int64_t epoch;
    char *home;

    /* Cluster's thread: */
    rc_own_unit_entry *units, *by_report;
    int64_t again_ms;      /* when an order is due again; INT64_MAX = never */
    int64_t lease_look_ms; /* when to see whether the lease is in use; 0 = it has run out */
    int64_t catalog_ms;    /* when to make it again; 0 = not */
    bool exited;
    bool drain_asked, foreign; /* each keeps this worker from running anything */
};

/** For rc_ruler.elsewhere; in view.c. */
void rc_cluster_elsewhere(void *arg, const char *connector, int task, omc_arena *arena,
                          rc_elsewhere *ret);
/** Any thread. */
void rc_cluster_post(rc_cluster *cluster, rc_event *event);
int64_t rc_cluster_now(void); /* ms of CLOCK_BOOTTIME */

#endif
