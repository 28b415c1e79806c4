/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The store of a cluster: the shared state (store/shared.h) in the config and status topics, read
 * and written by this worker beside others, ours alone.
 *
 * A write goes to one queue of the config topic, the same for all workers; it is answered when this
 * worker has read it back and the fold has said what became of it. So an answer means stored, and
 * applied here; of two writers that met, one is told -OMC_ESTATE.
 *
 * The topics outlive the brokers' retention because what grows old is written again, and a file
 * keeps a copy for the day when nobody was there to do that. A topic that is gone though the file
 * says there was one is an error, never an empty cluster.
 *
 * Threads: rc_store_* and everything here from any thread but not from a callback; one thread
 * `rc-state` reads, sends and calls back.
 */
#ifndef RC_STORE_TOPIC_H
#define RC_STORE_TOPIC_H

#include "store/shared.h"

#include <rocketmq/client.h>

#include <stdatomic.h>

typedef struct rc_topic_store rc_topic_store;

typedef struct rc_topic_store_config {
    rmq_client *client;       /**< Borrowed; outlives the store. */
    const char *config_topic; /**< configStoreTopic */
    const char *status_topic; /**< connectStatusTopic */
    bool create_topics;       /**< When missing: 1 queue at one broker, compacted where it can. */
    /** The config topic may be made also when the status topic is there: it is known to be gone. */
    bool anew;
    const char *snapshot;     /**< File; its folder is there. NULL = none. */
    const char *worker;       /**< workerId: in states that it writes. */
    int64_t write_timeout_ms; /**< A write is given up after so long; 0 = 30,000. */
    /** Whether this worker is the one who writes again now what grows old, of all alive; asked once
     *  a minute on the store's thread. NULL = it is. What is twice as old anybody writes. */
    bool (*renews)(void *arg);
    void *renews_arg;
    rc_clock *clock;
    /** Set from another thread: opening ends with -OMC_ECANCELED. NULL = is not cancelled. */
    const atomic_bool *cancel;
} rc_topic_store_config;

/**
 * Finds or makes the topics and reads them to their ends.
 * @return 0; -OMC_ECONNECT, -OMC_ETIMEDOUT (retriable: it can be opened again); -OMC_ENOTFOUND
 *         (no topic and none may be made; or it was there once: says the cure); -OMC_ESTATE (the
 *         topic ends before what the file says was read); -OMC_EFORMAT (the file is damaged);
 *         -OMC_EACCES; -OMC_ECANCELED.
 */
int rc_topic_store_open(const rc_topic_store_config *config, rc_topic_store **ret, rc_error *err);
/** The store as the worker knows it; rc_store_close() of it ends both. Writes that wait get
 *  -OMC_ECANCELED. */
rc_store *rc_topic_store_base(rc_topic_store *store);

/** Task configurations of a connector, one record. */
typedef struct rc_stored_tasks {
    int64_t incarnation;
    int64_t version;    /**< Of the configuration they were made from. */
    int64_t generation; /**< Of the owner who made them, and his count; >= 0. */
    int64_t number;
    const omc_keyvalue *const *tasks;
    size_t count;
} rc_stored_tasks;
/** Writes them. Results: 0; -OMC_ENOTFOUND (no such connector); -OMC_ESTATE (another incarnation,
 *  or somebody with a higher generation has written: says which); -OMC_EINVAL (too large). */
void rc_topic_store_tasks(rc_topic_store *store, const char *connector,
                          const rc_stored_tasks *tasks, rc_stored_done_fn *done, void *arg);
/** What is stored now, in the arena. -OMC_ENOTFOUND: no such connector, or no tasks yet. */
int rc_topic_store_tasks_get(rc_topic_store *store, const char *connector, omc_arena *arena,
                             rc_stored_tasks *ret, rc_error *err);

/**
 * Tells the others the state of a connector (task -1) or of a task. Of several that wait only the
 * newest of each is sent; nobody is told when it could not be.
 * @param java   UNASSIGNED RUNNING PAUSED FAILED; DESTROYED removes all of the connector's.
 * @param state  Ours; NULL = the same.
 * @param trace  NULL = none; cut at 64 KiB.
 * @param generation  Of the owner, >= 0: states of earlier ones are void.
 */
void rc_topic_store_state(rc_topic_store *store, const char *connector, int task, const char *java,
                          const char *state, const char *trace, int64_t generation);
/** All states, sorted; `each` must not call the store. */
void rc_topic_store_states(rc_topic_store *store, void (*each)(void *arg, const rc_shared_state *),
                           void *arg);

/** Whether there is such a connector, and it was not deleted. */
bool rc_topic_store_has(rc_topic_store *store, const char *connector);
/** State of a connector (task -1) or a task; texts in `arena`. false = nobody has said anything. */
bool rc_topic_store_state_get(rc_topic_store *store, const char *connector, int task,
                              omc_arena *arena, rc_shared_state *ret);

/** 0, or why writes cannot succeed now: a topic that was deleted, a broker that is away. */
int rc_topic_store_health(rc_topic_store *store, rc_error *err);
/** Writes again what is old or spoiled, and the file; done once a minute by itself. */
void rc_topic_store_keep(rc_topic_store *store, int64_t now_ms);

/** Everything as `cluster export` shows it. */
typedef const omc_keyvalue *rc_topic_mask_fn(void *arg, const omc_keyvalue *config,
                                             omc_arena *arena);
void rc_topic_store_export(rc_topic_store *store, rc_topic_mask_fn *mask, void *arg,
                           struct rc_buf *out);
/** Writes, with their ranks, connectors of `from` that the topic does not know, also deleted ones.
 *  Waits. @return how many, or < 0. */
int rc_topic_store_seed(rc_topic_store *store, rc_shared *from, rc_error *err);

#endif
