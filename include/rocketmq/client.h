/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A client of one RocketMQ cluster: name servers, connections, routes, heartbeats. Producers,
 * consumers and the admin functions are opened on it.
 *
 * All clients of a process share one I/O thread; nothing an application does on its own threads
 * can block it. All functions may be called from any thread, but not from a callback unless they
 * say so.
 */
#ifndef RMQ_CLIENT_H
#define RMQ_CLIENT_H

#include <rocketmq/message.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default) /* librmq.so exports these, and nothing else */

typedef struct rmq_client rmq_client;

enum rmq_log_level { RMQ_LOG_DEBUG = 0, RMQ_LOG_INFO = 1, RMQ_LOG_WARN = 2, RMQ_LOG_ERROR = 3 };
/** One line for people; never holds a secret. Called on the I/O thread: must not block. */
typedef void rmq_log_fn(void *arg, enum rmq_log_level level, const char *text);

/** TLS as in Java's tls.* settings. Zeroed = plain TCP. */
typedef struct rmq_tls_config {
    bool enable;
    bool verify;           /**< Check the server's certificate (tls.client.authServer). */
    const char *ca_file;   /**< PEM; NULL = the system's (tls.client.trustCertPath). */
    const char *cert_file; /**< PEM chain of the client (tls.client.certPath); NULL = none. */
    const char *key_file;  /**< PEM (tls.client.keyPath). */
    const char *key_password;
    const char *server_name; /**< Name to check instead of the address; NULL = the address. */
} rmq_tls_config;

/** Zero it, set `namesrv`, and what differs from the defaults. Strings are copied. */
typedef struct rmq_client_config {
    const char *namesrv;    /**< "host:port;host:port" */
    const char *instance;   /**< Part of the client id; NULL = pid#counter. */
    const char *access_key; /**< NULL = requests are not signed. */
    const char *secret_key;
    const char *security_token;
    const char *name_space; /**< "NS%" is put before topics and groups and taken off again. */
    rmq_tls_config tls;
    int64_t request_timeout_ms; /**< 3,000 */
    int64_t connect_timeout_ms; /**< 3,000 */
    int64_t heartbeat_ms;       /**< 30,000 */
    int64_t route_refresh_ms;   /**< 30,000; unknown or failing topics are asked for sooner. */
    rmq_log_fn *log;            /**< NULL = silent. */
    void *log_arg;
} rmq_client_config;

/**
 * Makes a client. Connects to nothing yet.
 * @return 0; -RMQ_EINVAL (names the setting: no name server, bad address, unreadable certificate).
 */
int rmq_client_open(const rmq_client_config *config, rmq_client **ret, rmq_error *err);
/** Closes all connections. Producers and consumers must be closed before, and no other thread may
 *  be inside of a call. NULL is allowed. */
void rmq_client_close(rmq_client *client);
/** "ip@instance", as brokers show it. Lives as long as the client. */
const char *rmq_client_id(const rmq_client *client);

/* ---- routes ---------------------------------------------------------------------------------- */

/** Queues of a topic, sorted by broker name and id. */
typedef struct rmq_queue_list {
    rmq_queue *queues;
    size_t count;
} rmq_queue_list;

enum rmq_route_for { RMQ_FOR_WRITING = 2, RMQ_FOR_READING = 4 };

/**
 * Asks the name server, each time, and at most every 100 ms for one topic. For writing: queues of
 * brokers that have a master and allow it.
 * @param[out] ret  Free with rmq_queue_list_free().
 * @return 0, also with no queue at all; -RMQ_EINVAL (no name of a topic); -RMQ_ENOTFOUND (no such
 *         topic); -RMQ_ECONNECT or -RMQ_ETIMEDOUT (no name server answers).
 */
int rmq_topic_queues(rmq_client *client, const char *topic, enum rmq_route_for what,
                     rmq_queue_list **ret, rmq_error *err);
/** NULL is allowed. */
void rmq_queue_list_free(rmq_queue_list *list);

/** Counters since the client was made; all of them grow only, except the last four. */
typedef struct rmq_client_stats {
    int64_t requests, replies, timeouts, unknown_outcomes;
    int64_t retries, busy_replies; /**< Sends tried again; SYSTEM_BUSY and queue-time drops. */
    int64_t connects, disconnects;
    int64_t bytes_sent, bytes_received;
    int64_t sent_messages, sent_batches, pulled_messages;
    int64_t bodies_copied; /**< Copies of a body in user space beyond the first. */
    int64_t connections, pending_requests, receive_bytes, open_objects; /**< Now. */
} rmq_client_stats;
/** The counters as of now; cheap. */
void rmq_client_stats_get(rmq_client *client, rmq_client_stats *ret);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
