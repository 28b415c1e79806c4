/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Admin: topics, groups, brokers, offsets. Every function waits for the answer (request_timeout_ms
 * per broker asked); any thread, but not from a callback.
 *
 * All return 0 or, besides what they name: -RMQ_EINVAL (a name that RocketMQ does not allow),
 * -RMQ_ENOTFOUND (no such broker, topic, queue or group), -RMQ_ECONNECT, -RMQ_ETIMEDOUT,
 * -RMQ_EACCES, -RMQ_EFORMAT (a reply without the expected form), or the code that the broker's
 * refusal stands for. Results are written on success only and are one allocation, texts included;
 * free them with rmq_free().
 */
#ifndef RMQ_ADMIN_H
#define RMQ_ADMIN_H

#include <rocketmq/client.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default) /* librmq.so exports these, and nothing else */

/** Frees a result of this header. NULL is allowed. */
void rmq_free(void *result);

/* ---- cluster --------------------------------------------------------------------------------- */

typedef struct rmq_broker_info {
    const char *name;
    const char *cluster;
    int64_t id; /**< 0 = master. */
    const char *address;
} rmq_broker_info;
typedef struct rmq_cluster_info {
    rmq_broker_info *brokers; /**< By name, then id. */
    size_t count;
} rmq_cluster_info;
/** All brokers that the name servers know, masters and slaves. */
int rmq_cluster_info_get(rmq_client *client, rmq_cluster_info **ret, rmq_error *err);

typedef struct rmq_text_pair {
    const char *name;
    const char *value;
} rmq_text_pair;
typedef struct rmq_text_table {
    rmq_text_pair *pairs; /**< By name. */
    size_t count;
} rmq_text_table;
/** Configuration of a broker's master (code 26), e.g. flushDiskType, brokerRole, maxMessageSize. */
int rmq_broker_config_get(rmq_client *client, const char *broker, rmq_text_table **ret,
                          rmq_error *err);
/** Run-time figures of a broker's master (code 28), e.g. brokerVersionDesc. */
int rmq_broker_runtime_get(rmq_client *client, const char *broker, rmq_text_table **ret,
                           rmq_error *err);

/* ---- topics ---------------------------------------------------------------------------------- */

typedef struct rmq_topic_spec {
    const char *topic;
    int32_t read_queues, write_queues;
    int32_t perm;           /**< 0 = 6 (read and write). */
    const char *broker;     /**< Only on this one; NULL = on all masters of `cluster`. */
    const char *cluster;    /**< NULL = of all clusters, as the Java runtime does. */
    const char *attributes; /**< "+message.type=FIFO,..." (5.x); NULL = none. */
} rmq_topic_spec;
/** Creates or changes it on every broker that `spec` means, and waits until the name server shows
 * it there. When a broker refuses, those asked before it keep the topic; calling again is harmless.
 *  -RMQ_EINVAL also for queue counts and permissions out of range; -RMQ_ETIMEDOUT when the name
 *  server does not show it in time. */
int rmq_topic_create(rmq_client *client, const rmq_topic_spec *spec, rmq_error *err);
/** From brokers and name servers. 0 also when it did not exist. */
int rmq_topic_delete(rmq_client *client, const char *topic, rmq_error *err);
typedef struct rmq_name_list {
    const char **names; /**< Sorted. */
    size_t count;
} rmq_name_list;
/** All topics of the cluster, those of the brokers themselves too, as the name server calls them:
 *  of every namespace, and with it. */
int rmq_topic_list(rmq_client *client, rmq_name_list **ret, rmq_error *err);

typedef struct rmq_queue_stat {
    rmq_queue queue;
    int64_t min_offset, max_offset;
    int64_t last_ms; /**< Store time of the last message. */
} rmq_queue_stat;
typedef struct rmq_topic_stats {
    rmq_queue_stat *queues;
    size_t count;
} rmq_topic_stats;
/** Offsets of all queues of a topic, by broker and id, from the masters. */
int rmq_topic_stats_get(rmq_client *client, const char *topic, rmq_topic_stats **ret,
                        rmq_error *err);

/** Offset of the first message kept, and the one behind the last that consumers may see; from the
 *  queue's master, or a slave when there is none. */
int rmq_offset_min(rmq_client *client, const rmq_queue *queue, int64_t *ret, rmq_error *err);
int rmq_offset_max(rmq_client *client, const rmq_queue *queue, int64_t *ret, rmq_error *err);
/** The offset that the next message gets: unlike rmq_offset_max() it counts messages that a busy
 *  broker has stored and not yet shown to consumers (seen: seconds apart). From the master;
 *  -RMQ_ETIMEDOUT when it is that busy for 10 s, -RMQ_EUNSUPPORTED when it cannot tell. */
int rmq_offset_next(rmq_client *client, const rmq_queue *queue, int64_t *ret, rmq_error *err);
/** First offset stored at or after `wall_ms` by the broker's clock, or the end. */
int rmq_offset_by_time(rmq_client *client, const rmq_queue *queue, int64_t wall_ms, int64_t *ret,
                       rmq_error *err);

/* ---- groups ---------------------------------------------------------------------------------- */

/** On all masters of all clusters, with the broker's defaults. */
int rmq_group_create(rmq_client *client, const char *group, rmq_error *err);
/** From all masters, its offsets too. 0 also when it did not exist. */
int rmq_group_delete(rmq_client *client, const char *group, rmq_error *err);
/** Client ids of a group's members; empty when nobody is online. */
int rmq_group_members(rmq_client *client, const char *group, const char *topic, rmq_name_list **ret,
                      rmq_error *err);

typedef struct rmq_connection_info {
    const char *client_id, *address, *language;
    int32_t version;
} rmq_connection_info;
typedef struct rmq_connection_list {
    rmq_connection_info *connections;
    size_t count;
} rmq_connection_list;
/** Consumers of a group. -RMQ_ENOTFOUND when nobody is online. */
int rmq_group_connections(rmq_client *client, const char *group, rmq_connection_list **ret,
                          rmq_error *err);

typedef struct rmq_queue_lag {
    rmq_queue queue;
    int64_t broker_offset, consumer_offset;
    int64_t last_ms; /**< Store time of the last consumed message. */
} rmq_queue_lag;
typedef struct rmq_group_lag {
    rmq_queue_lag *queues;
    size_t count;
    int64_t total;
} rmq_group_lag;
/** Lag of a group, over one topic or (NULL) over all it ever read. */
int rmq_group_lag_get(rmq_client *client, const char *group, const char *topic, rmq_group_lag **ret,
                      rmq_error *err);

/** Committed offset; -1 when there is none (5.x; older brokers may say 0 for a young queue). */
int rmq_offset_committed(rmq_client *client, const char *group, const rmq_queue *queue,
                         int64_t *ret, rmq_error *err);
/** Commits and waits for the broker's answer. -RMQ_ENOTFOUND: the group does not exist there. */
int rmq_offset_commit(rmq_client *client, const char *group, const rmq_queue *queue, int64_t offset,
                      rmq_error *err);

/* ---- messages -------------------------------------------------------------------------------- */

/** Any request by hand, for tools and tests: `names` and `values` are its fields. `address` is
 *  "host:port". @param[out] ret_body  Reply's body, rmq_free(). @return the response code or < 0.
 */
int rmq_call(rmq_client *client, const char *address, int code, const rmq_text_pair *fields,
             size_t field_count, rmq_slice body, char **ret_body, size_t *ret_len, rmq_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
