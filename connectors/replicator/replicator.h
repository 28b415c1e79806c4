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

/** Adds one task per share of the source's queues: queue i of all goes to task i % tasks.
 *  `own_converter`: the user has named a value.converter. */
int replicator_divide(rmq_client *client, const replicator_topics *topics, int max_tasks,
                      bool own_converter, omc_task_configs *out, omc_error *err);
/** A hash of the queues the topics have now. */
int replicator_queues_hash(rmq_client *client, const replicator_topics *topics, uint64_t *ret,
                           omc_error *err);

/** The task half. Its state is one pointer to what the calls share. */
int replicator_task_init(void *task, const omc_source_context *ctx, omc_error *err);
int replicator_task_start(void *task, omc_error *err);
int replicator_task_poll(void *task, omc_batch *out, int64_t timeout_ms, omc_error *err);
void replicator_task_stop(void *task);

#endif
