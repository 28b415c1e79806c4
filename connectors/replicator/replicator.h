/* SPDX-License-Identifier: Apache-2.0 */
/** What the files of the replicator share: options, topics, queues, the client of the source. */
#ifndef REPLICATOR_H
#define REPLICATOR_H

#include <openmessaging/connect.h>
/* After the ABI, so that both share the types of errors and slices. */
#include <rocketmq/rocketmq.h>

typedef struct replicator_options {
    const char *endpoint; /* src.endpoint */
    const char *topics;   /* src.topictags */
    const char *dest_topic;
    bool acl;
    const char *access_key, *secret_key;
    bool tls;
    bool tls_verify;
    const char *tls_ca;
    const char *from; /* consumefromwhere */
    int64_t from_ms;  /* consumefromtimestamp */
    int64_t commit_ms;
    int64_t reconfig_ms;
    omc_list queues; /* divided.normalqueues */
} replicator_options;

#define REPLICATOR_TOPICS_MAX 256

/** One topic to be copied. Texts are the parsed copy's. */
typedef struct replicator_topic {
    const char *name;
    const char *tags; /* "*" or an expression */
} replicator_topic;

typedef struct replicator_topics {
    char *text;
    replicator_topic items[REPLICATOR_TOPICS_MAX];
    size_t count;
} replicator_topics;

/** Parses "topic1,tagA || tagB;topic2,*". Free with replicator_topics_free(). */
int replicator_topics_parse(const char *text, replicator_topics *ret, omc_error *err);
void replicator_topics_free(replicator_topics *topics);

/** Connects to the source cluster (lazily: nothing is sent before the first call). */
int replicator_client(const replicator_options *options, rmq_log_fn *log, void *arg,
                      rmq_client **ret, omc_error *err);

/** What the name servers say of each topic's queues. */
typedef struct replicator_lists {
    rmq_queue_list *items[REPLICATOR_TOPICS_MAX];
    size_t count;
} replicator_lists;

/** Asks for the queues of all topics; waits. Free with replicator_lists_free().
 *  @return 0; an error when one of them is not known, or none has a queue. */
int replicator_ask(rmq_client *client, const replicator_topics *topics, replicator_lists *ret,
                   omc_error *err);
void replicator_lists_free(replicator_lists *lists);

/** A queue of the source that was seen. */
typedef struct replicator_seen {
    size_t topic; /* index */
    char *broker;
    int32_t id;
    bool present; /* at the last look */
    bool dealt;   /* a task reads it */
} replicator_seen;

/** All queues that were seen, by topic, broker, number. A broker that is away leaves the route, and
 *  its queues are kept here: others do not take their places at the destination. */
typedef struct replicator_view {
    replicator_seen *items;
    size_t count, cap;
} replicator_view;

/** @return whether the queues should be divided anew: one is there that no task reads, or the
 *  other way round. */
bool replicator_view_take(replicator_view *view, const replicator_lists *lists);
void replicator_view_free(replicator_view *view);

/** Adds one task per share of the queues that are present: they are dealt out in turn.
 *  `own_converter`: the user has named a value.converter. */
int replicator_divide(replicator_view *view, const replicator_topics *topics, int max_tasks,
                      bool own_converter, omc_task_configs *out, omc_error *err);

/** The task half. Its state is one pointer to what the calls share. */
int replicator_task_init(void *task, const omc_source_context *ctx, omc_error *err);
int replicator_task_start(void *task, omc_error *err);
int replicator_task_poll(void *task, omc_batch *out, int64_t timeout_ms, omc_error *err);
void replicator_task_stop(void *task);

#endif
