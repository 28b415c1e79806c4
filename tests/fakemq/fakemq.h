/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A name server and brokers in one thread of the test's process, on loopback ports of their own,
 * with faults by script: refusals, delays, swallowed replies, cuts in the middle of a frame,
 * shuffled storing and answering. It stores messages in memory, keeps offsets and groups, and
 * writes down every request.
 *
 * It is strict where brokers are: unknown queues get their code, an empty body of a single send is
 * refused, heartbeats decide who is a member. What no client may do is answered, remembered, and
 * aborts fakemq_stop(): a field that the protocol requires is missing or no number, a header
 * or a batch cannot be read, an opaque is in use twice, 320 without m=true, an empty clientID.
 * Tags filter, SQL92 is refused as by a stock broker; send-backs are copied without delay.
 * All functions: any thread.
 */
#ifndef FAKEMQ_H
#define FAKEMQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct fakemq fakemq;

typedef struct fakemq_config {
    int brokers; /**< Masters named broker-0, broker-1 ...; default 1. */
    bool slaves; /**< A slave (id 1) beside each, with the same messages. */
    int queues;  /**< Of topics made by themselves (TBW102); default 4. */
    bool no_auto_create;
    bool binary;     /**< Answer with binary headers. */
    bool old_routes; /**< Number keys of brokerAddrs without quotes, as 4.9.3. */
    uint64_t seed;
    const char *access_key, *secret_key; /**< Set: signatures are checked. */
    int name_servers;                    /**< Default 1. */
    /** Set: TLS on every port with this PEM certificate and key. */
    const char *tls_cert, *tls_key;
} fakemq_config;

fakemq *
fakemq_start(const fakemq_config *config); /**< NULL config = defaults. Aborts on failure. */
/** Stops and frees; aborts when a strict check failed before (and says which). */
void fakemq_stop(fakemq *mq);
/** "127.0.0.1:port;127.0.0.1:port" */
const char *fakemq_namesrv(fakemq *mq);

void fakemq_topic(fakemq *mq, const char *topic, int queues); /**< On all brokers. */
void fakemq_topic_on(fakemq *mq, const char *topic, const char *broker,
                     int queues); /**< 0 = gone */
/** Makes the topic, which is there, a static one of `total` queues, and puts queue `id` of it on a
 *  broker, as its own queue `local`, whose offsets get `delta` added; from another broker too. */
void fakemq_place(fakemq *mq, const char *topic, int total, int id, const char *broker, int local,
                  int64_t delta);
void fakemq_topic_perm(fakemq *mq, const char *topic, const char *broker, int perm);
/** What 26 tells; "maxMessageSize" also counts. Values of a stock broker stand there. */
void fakemq_broker_config(fakemq *mq, const char *broker, const char *key, const char *value);
/** The suggestWhichBrokerId of pulls from now on; 0 at first. */
void fakemq_suggest(fakemq *mq, const char *broker, int id);

/** Writes a PEM certificate for the name "mq.test", signed by itself, and its key. */
void fakemq_certificate(const char *cert_path, const char *key_path);

/* ---- faults ---------------------------------------------------------------------------------- */

enum fakemq_action {
    FAKEMQ_REFUSE,    /**< Not done; answered with `code` and `remark`. */
    FAKEMQ_CODE,      /**< Done; answered with `code` (10, 11, 12). */
    FAKEMQ_SWALLOW,   /**< Done; no answer. */
    FAKEMQ_IGNORE,    /**< Not done; no answer. */
    FAKEMQ_DELAY,     /**< Done now; answered after `ms`. */
    FAKEMQ_HOLD,      /**< Done after `ms` (a request in the broker's queue), then answered; ms 0 =
                           when the rule ends. */
    FAKEMQ_CUT,       /**< Not done; the connection is reset. */
    FAKEMQ_CUT_AFTER, /**< Done; the connection is reset instead of an answer. */
    FAKEMQ_CUT_REPLY, /**< Done; `bytes` bytes of the answer are sent, then it is closed. */
    FAKEMQ_OPAQUE,    /**< Done; answered with an opaque nobody asked with, then rightly. */
    FAKEMQ_OVERSIZE,  /**< Done; answered with a frame that claims 1 GiB. */
    FAKEMQ_GARBAGE    /**< Done; answered with a whole frame of random bytes. */
};
typedef struct fakemq_rule {
    enum fakemq_action action;
    int request;        /**< Request code; 0 = any. */
    const char *broker; /**< "broker-0", "broker-0-slave", "namesrv-0"; NULL = any. */
    const char *topic;  /**< NULL = any. */
    int skip;           /**< So many matching requests pass first. */
    int count;          /**< Then so many are hit; 0 = all. */
    double chance;      /**< 0 = always; else by the seed. */
    int code;
    const char *remark;
    int ms;
    int bytes;
} fakemq_rule;
int fakemq_fault(fakemq *mq, const fakemq_rule *rule); /**< Rule's number. First match wins. */
int fakemq_fault_hits(fakemq *mq, int rule);
void fakemq_fault_end(fakemq *mq, int rule);
/** Sends that wait at the same time are stored and answered in random order, as by a broker with
 *  many send threads: each is held 0 to `ms` ms. 0 = in order. */
void fakemq_shuffle(fakemq *mq, int ms);
/** kill -9: ports closed, connections reset, out of the route. Its messages are kept. */
void fakemq_kill(fakemq *mq, const char *server);
void fakemq_revive(fakemq *mq, const char *server);
/** Half-open: accepts, reads nothing, answers nothing, until thawed. */
void fakemq_freeze(fakemq *mq, const char *server, bool frozen);
void fakemq_disconnect_all(fakemq *mq, const char *server); /**< NULL = of all servers. */
/** The store loses everything from this offset on, as after an unclean failover. */
void fakemq_truncate(fakemq *mq, const char *topic, const char *broker, int queue, int64_t offset);
/** Retention: offsets below are gone. */
void fakemq_trim(fakemq *mq, const char *topic, const char *broker, int queue, int64_t offset);

/** While hidden, what comes into the queue is stored and answered, but consumers do not see it, and
 *  neither does GET_MAX_OFFSET without committed=false: a broker that is behind with its index. Its
 *  slave is not, and shows all to those who pull there. */
void fakemq_hide(fakemq *mq, const char *topic, const char *broker, int queue, bool hidden);

/* ---- what there is --------------------------------------------------------------------------- */

typedef struct fakemq_message {
    char *body;
    size_t body_len;
    char *properties; /**< As stored: name \1 value \2 ...; NUL-terminated. */
    int32_t flag, sys_flag, queue_id;
    int64_t offset, born_ms, stored_ms;
} fakemq_message;
int64_t fakemq_max_offset(fakemq *mq, const char *topic, const char *broker, int queue);
/** Copy of a message; aborts when there is none. Free with fakemq_message_free(). */
fakemq_message *fakemq_message_at(fakemq *mq, const char *topic, const char *broker, int queue,
                                  int64_t offset);
void fakemq_message_free(fakemq_message *message);
/** Puts messages into a queue: "body-<n>" with TAGS TagA/TagB in turn. */
void fakemq_fill(fakemq *mq, const char *topic, const char *broker, int queue, int count);
/** One message with raw stored properties and body. */
void fakemq_put(fakemq *mq, const char *topic, const char *broker, int queue, const void *body,
                size_t body_len, const char *properties, int32_t sys_flag);
int64_t fakemq_committed(fakemq *mq, const char *group, const char *topic, const char *broker,
                         int queue); /**< -1 = none. */
void fakemq_commit(fakemq *mq, const char *group, const char *topic, const char *broker, int queue,
                   int64_t offset);
int fakemq_members(fakemq *mq, const char *group);      /**< Client ids in heartbeats. */
int fakemq_connections(fakemq *mq, const char *server); /**< Open now. */
/** Adds or removes a foreign member of a group; the others are notified (40). */
void fakemq_foreign_member(fakemq *mq, const char *group, const char *client_id, bool present);
/** Sends a request to all connections of a group's members, as the broker does (220, 307 ...). */
void fakemq_ask_members(fakemq *mq, const char *group, int code, const char *fields_json,
                        const char *body);
int fakemq_answers(fakemq *mq, int code); /**< Replies of clients to it so far. */

/** Requests with this code so far (0 = all), at one server (NULL = all). */
int fakemq_requests(fakemq *mq, int code, const char *server);
/** Field of the n-th request with this code (0 = first, -1 = last); "" when absent. free() it.
 *  Also "@body" (not of sends), "@version", "@language", "@opaque", "@flag". */
char *fakemq_request_field(fakemq *mq, int code, int n, const char *field);
/** Most sends of one queue and connection that were unanswered at the same time. Sends that a
 *  fault swallowed or ignored count no more. */
int fakemq_most_unanswered(fakemq *mq);
/** Waits up to 20 s until `done` says true; aborts with `what` otherwise. */
void fakemq_wait(fakemq *mq, bool (*done)(fakemq *mq, void *arg), void *arg, const char *what);

#endif
