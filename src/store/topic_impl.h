/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the topic store: topic.c is its face, topic_open.c finds and reads the topics,
 * topic_loop.c is the thread. */
#ifndef RC_STORE_TOPIC_IMPL_H
#define RC_STORE_TOPIC_IMPL_H

#include "base/thread.h"
#include "store/shared_codec.h"
#include "store/snapshot.h"
#include "store/store_impl.h"
#include "store/topic.h"

#include <rocketmq/admin.h>
#include <rocketmq/consumer.h>
#include <rocketmq/producer.h>

#define RC_TOPIC_COMPONENT "cluster-state"
/** Writes and states that wait. */
#define RC_TOPIC_OPS_MAX 10000
#define RC_TOPIC_KEEP_MS 60000
/** Records older than this are written again; brokers keep two days or more. */
#define RC_TOPIC_FRESH_MS (INT64_C(12) * 3600 * 1000)
/** A write whose rank was taken is tried with the next one, so often. */
#define RC_TOPIC_TRIES_MAX 100

typedef enum rc_topic_op_kind {
    RC_TOPIC_PUT,
    RC_TOPIC_TARGET,
    RC_TOPIC_DELETE,
    RC_TOPIC_TASKS,
    RC_TOPIC_STATE
} rc_topic_op_kind;

/** A write on its way. It goes when it is answered *and* the client has called back. */
typedef struct rc_topic_op {
    struct rc_topic_op *prev, *next;
    rc_topic_store *store;
    rc_topic_op_kind kind;
    rc_arena arena; /* of all it has */
    const char *name;
    const omc_keyvalue *config;
    int64_t expected;
    rc_target_state target;
    rc_stored_tasks tasks;
    int task;
    const char *java, *state, *trace;
    int64_t generation;
    rc_stored_done_fn *done; /* NULL: nobody waits (any more) */
    void *arg;
    int64_t deadline_ns;
    int tries;
    bool sent;        /* waits to be read back */
    bool in_client;   /* the callback is due */
    bool finished;    /* answered: the callback frees it */
    bool stale;       /* STATE: there is a newer one */
    int failed;       /* the client's result, when it is an error */
    rc_error err;     /* of it */
    char written[64]; /* as in the record */
} rc_topic_op;

/** A queue that is read. */
typedef struct rc_topic_queue {
    char *topic, *broker;
    int32_t id;
    bool config; /* of the config topic */
    int64_t next;
    int64_t stamp_ms; /* store time of its newest record */
    int64_t ours_ms;  /* of its newest one of ours; -1 = none */
    bool lost;
} rc_topic_queue;

struct rc_topic_store {
    rc_store base;
    rc_topic_store_config config; /* texts are copies */
    rc_shared *shared;            /* [mu] */
    uint64_t version;             /* [mu] goes up with every change */
    uint64_t saved;
    rc_topic_queue *queues;
    size_t queue_count;
    rc_topic_queue *home; /* where ours are written */
    rmq_consumer *consumer;
    rmq_producer *producer;
    char writer[40];
    uint64_t count;      /* thread: of records written */
    int64_t state_epoch; /* thread: of the last state written */
    pthread_t thread;
    bool started;
    pthread_mutex_t mu;
    pthread_cond_t cond;    /* something was answered */
    rc_topic_op *ops;       /* [mu] in order of calls */
    size_t op_count;        /* [mu] */
    bool end, keep, settle; /* [mu] */
    int64_t keep_now_ms;    /* [mu] */
    size_t again_pending;   /* [mu] */
    int again_failed;       /* [mu] */
    rc_error again_err;     /* [mu] */
    rc_error health;        /* [mu] code 0 = fine */
    int64_t next_keep_ns;
    bool snapshot_warned;
    rc_arena arena;           /* thread: of records that are read */
    pthread_mutex_t watch_mu; /* held during a call of `changed` */
    void (*changed)(void *arg);
    void *changed_arg;
};

/* topic_open.c */
int rc_topic_find(rc_topic_store *store, const rc_snapshot *snapshot, rc_error *err);
int rc_topic_read_all(rc_topic_store *store, const rc_snapshot *snapshot, rc_error *err);
/* A message of `queue`; NULL-able `ret` has the record, in store->arena, until the next one. */
void rc_topic_decode(rc_topic_store *store, const rc_topic_queue *queue, const rmq_message *message,
                     rc_shared_record *ret);
rc_topic_queue *rc_topic_queue_of(rc_topic_store *store, const rmq_queue *queue);

/* topic_loop.c */
void *rc_topic_main(void *store);
void rc_topic_save(rc_topic_store *store);
void rc_topic_op_free(rc_topic_op *op);
/* [mu] Takes an op off the list and answers it, without the lock. */
void rc_topic_op_fail(rc_topic_store *store, rc_topic_op *op, int result, const rc_error *err);

#endif
