/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Inside of the producer, shared by producer.c (life, waiting), producer_topic.c (topics and their
 * frozen queues) and producer_batch.c (messages into chunks, chunks to the lanes, answers).
 *
 * A batch is a list of chunks of 64 KiB, each a parcel of a lane, so that it grows without being
 * copied; the lane puts them together again. Everything but the lanes is under one lock, which is
 * not held while callbacks run or anything waits.
 */
#ifndef RMQ_PRODUCER_IMPL_H
#define RMQ_PRODUCER_IMPL_H

#include "base/clock.h"
#include "rocketmq/io.h"
#include "rocketmq/lane_impl.h"

#define RMQ_CHUNK_BYTES ((size_t)64 << 10)
/** Empty chunks kept for reuse. */
#define RMQ_CHUNKS_KEPT 64
/** Topics of one producer. */
#define RMQ_PRODUCER_TOPICS_MAX 10000
/** Queues outside of a topic's frozen list that were asked for by number. */
#define RMQ_EXTRA_QUEUES_MAX 4096

/** What is remembered of an accepted message: one cache line. */
typedef struct rmq_entry {
    rmq_sent_fn *sent;
    void *arg;
    int64_t accepted_ns;
    char unique_key[33];
} rmq_entry;

typedef struct rmq_chunk {
    rmq_parcel parcel; /**< owner = the chunk; linked by it everywhere. */
    struct rmq_out *out;
    bool last;    /**< Of what was handed over together. */
    bool shipped; /**< Handed over. */
    size_t cap;
    size_t entry_cap;
    size_t charged; /**< Counted in pending_bytes. */
    rmq_entry *entries;
    uint8_t bytes[];
} rmq_chunk;

typedef struct rmq_out_broker {
    UT_hash_handle hh;
    bool ack_checked;
    int ships;           /**< Handed over and not answered, all topics. */
    int64_t progress_ns; /**< Last answer, or first hand-over since idle. */
    char name[];
} rmq_out_broker;

/** A queue and its batch in the making. */
typedef struct rmq_out {
    struct rmq_out *prev, *next; /**< In `lingering`. */
    struct rmq_out *other;       /**< Extra queues of the topic. */
    struct rmq_out_topic *topic;
    rmq_out_broker *broker;
    int32_t id;
    bool lingers; /**< In the list. */
    bool urgent;  /**< Somebody waits for it. */
    int64_t due_ns;
    rmq_parcel *open; /**< Chunks in order. */
    size_t bytes;     /**< Of `open`. */
    uint32_t count;
    int ships;  /**< Handed over together and not yet all answered. */
    int chunks; /**< Handed over and not answered. */
    /** Something failed: the lane is about to cancel what came behind it, and `doomed`, accepted
     *  before anybody could know, goes the same way after that. */
    bool failing;
    rmq_parcel *doomed;
    rc_error *doom;
} rmq_out;

#define RMQ_HOT_QUEUES 16
typedef struct rmq_out_topic {
    UT_hash_handle hh;
    char *name;
    char *wire;
    rmq_out *queues; /**< Frozen: sorted by broker and id. */
    size_t queue_count;
    rmq_out *extra;               /**< Asked for by number, known to the broker later. */
    rmq_out *hot[RMQ_HOT_QUEUES]; /**< By number: found last. */
    size_t extra_count;
    size_t next; /**< Round robin. */
    bool no_batches;
} rmq_out_topic;

struct rmq_producer {
    rmq_client *client;
    rmq_producer_config config;
    char *group; /**< Wire name. */
    char *create_from;
    rmq_lanes *lanes;
    rmq_member member;
    rc_loop_timer *timer; /**< Of `lingering`; I/O thread. */
    pthread_mutex_t mu;   /* protects all below */
    pthread_cond_t changed;
    rmq_out_topic *topics;
    rmq_out_topic *last_topic; /**< Asked for last; most producers have one. */
    rmq_out_broker *brokers;
    rmq_chunk *spare;
    size_t spare_count;
    rmq_parcel *outbox; /**< On the way to the lanes. */
    rmq_out *lingering; /**< By due time. */
    size_t pending_bytes;
    size_t pending;
    int waiters;  /**< On `changed`. */
    int users;    /**< Calls of the application under way, and posts. */
    int flushers; /**< No lingering meanwhile. */
    bool posted;  /**< The I/O thread was asked to look, */
    bool kick;    /**< or is to be when the lock is given back. */
    bool closing; /**< No new messages. */
    bool ended;   /**< The lanes take nothing more. */
    bool closed;
    bool left;
};

/* ---- producer_send.c ---- */

/** -1 = for ever. */
int64_t rmq_producer_deadline(int64_t wait_ms);
/** Waits on `changed`. Under the lock. @return false when the time is over. */
bool rmq_producer_wait_changed(rmq_producer *p, int64_t deadline_ns);
/** rmq_producer_send() without lingering, waiting for room for ever. */
int rmq_producer_send_urgent(rmq_producer *p, const rmq_target *target, const rmq_message *message,
                             rmq_sent_fn *sent, void *arg, rc_error *err);

/* ---- producer_topic.c ---- */

/** The topic, its route asked for and waited for when it is new. Under the lock, which is given
 *  back while it waits. */
int rmq_out_topic_get(rmq_producer *p, const char *name, rmq_out_topic **ret, rc_error *err);
/** The queue a target names. Under the lock; may unlock and wait for a route. */
int rmq_out_pick(rmq_producer *p, rmq_out_topic *topic, const rmq_target *target, rmq_out **ret,
                 rc_error *err);
void rmq_out_topics_free(rmq_producer *p);

/* ---- producer_batch.c ---- */

/** A message checked, compressed and measured, ready to be written into a chunk. */
typedef struct rmq_accepted {
    const rmq_message *message;
    rmq_slice body;
    int32_t sys_flag;
    size_t properties;
    bool single;
    bool urgent;
    int64_t accepted_ns;
    rmq_sent_fn *sent;
    void *arg;
} rmq_accepted;
/** Under the lock. */
void rmq_out_add(rmq_producer *p, rmq_out *out, const rmq_accepted *accepted);
/** Hands over all that may go. Under the lock. */
void rmq_out_ship_all(rmq_producer *p);
/** Gives the lock back, and asks the I/O thread to look when there is something for it. */
void rmq_producer_unlock(rmq_producer *p);
/** Tells everything that never reached the lanes that it is canceled. I/O thread. */
void rmq_out_cancel_all(rmq_producer *p);
void rmq_producer_on_timer(void *arg);
void rmq_producer_on_done(void *arg, rmq_parcel *parcel, const rc_error *err);

#endif
