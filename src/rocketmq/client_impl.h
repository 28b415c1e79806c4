/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What producer, consumer, admin and lanes need of a client: its I/O thread, remotes by address,
 * routes, heartbeats, waiting for the I/O thread. Private to this room.
 */
#ifndef RMQ_CLIENT_IMPL_H
#define RMQ_CLIENT_IMPL_H

#include "base/hash.h"
#include "rocketmq/codes.h"
#include "rocketmq/remote.h"
#include "rocketmq/wire.h"

#include <rocketmq/rocketmq.h>

/* ---- the I/O thread -------------------------------------------------------------------------- */

rc_loop *rmq_client_loop(rmq_client *client);
/** Runs `fn` on the I/O thread and waits for it. Not from the I/O thread. */
void rmq_client_run(rmq_client *client, void (*fn)(void *arg), void *arg);
/** Runs `fn` there soon. Never fails: waits while the loop's queue of posts is full. */
void rmq_client_post(rmq_client *client, void (*fn)(void *arg), void *arg);

/** Settings, immutable after open. */
const rmq_client_config *rmq_client_settings(const rmq_client *client);
rmq_client_stats *rmq_client_counters(rmq_client *client); /**< I/O thread only. */
/** Messages that a consumer has decoded, for the same counters. Any thread. */
void rmq_client_count_pulled(rmq_client *client, size_t messages);
void rmq_client_say(rmq_client *client, enum rmq_log_level level, const char *fmt, ...)
    OMC_PRINTF(3, 4);
/** Counts open producers, consumers and lanes: a client must not be closed while there are any. */
void rmq_client_hold(rmq_client *client);
void rmq_client_let_go(rmq_client *client);

/** Name as it goes on the wire: with the namespace in front; system topics stay. In `out`. */
const char *rmq_client_wire_name(const rmq_client *client, const char *name, char out[256]);

/* ---- routes (I/O thread) --------------------------------------------------------------------- */

#define RMQ_ADDRESS_MAX 280

/** Who has a queue of a static topic now (protocol §19). */
typedef struct rmq_route_leader {
    size_t broker; /* index; SIZE_MAX = nobody */
    int64_t epoch; /* of the mapping that says so */
} rmq_route_leader;

/** Addresses of one broker name: [0] = master, others by id. A *logical* broker has no address: its
 *  queues, those of a static topic, are with other brokers, and move among them. */
typedef struct rmq_route_broker {
    char *name, *cluster;
    struct {
        int64_t id;
        char *address;
    } * nodes; /* by id */
    size_t node_count;
    rmq_route_leader *leaders; /* by queue; NULL = not logical */
    int32_t leader_count;
} rmq_route_broker;
typedef struct rmq_route_queues {
    size_t broker; /* index */
    int32_t read, write, perm;
} rmq_route_queues;
/** Immutable; reference counted (I/O thread). Brokers and queues are sorted by broker name. */
typedef struct rmq_route {
    int refs;
    int64_t fetched_ms;
    char *order_conf;
    rmq_route_broker *brokers;
    size_t broker_count;
    rmq_route_queues *queues;
    size_t queue_count;
} rmq_route;
/** Parses the body of GET_ROUTEINFO_BY_TOPIC. Pure. */
int rmq_route_parse(rc_slice body, rmq_route **ret, rc_error *err);
void rmq_route_ref(rmq_route *route);
void rmq_route_unref(rmq_route *route);
/** The broker that has this queue: the one of the name, or for a queue of a logical broker its
 *  leader. Requests are sent to it and name it. NULL = not in the route. */
const rmq_route_broker *rmq_route_leader_of(const rmq_route *route, const char *broker,
                                            int32_t queue);
/** Address of that broker's master; NULL = it has none. */
const char *rmq_route_master(const rmq_route *route, const char *broker, int32_t queue);
/** Address to read the queue from: node `id` when there, else the master, else any. NULL. */
const char *rmq_route_reader(const rmq_route *route, const char *broker, int32_t queue, int64_t id);
/** Name that requests about this queue carry: of its leader, `broker` itself when nobody is known.
 */
const char *rmq_route_name(const rmq_route *route, const char *broker, int32_t queue);

/** Newest known route, or NULL; a topic once asked for is refreshed every route_refresh_ms as long
 *  as somebody asked within the last ten minutes. */
rmq_route *rmq_route_known(rmq_client *client, const char *wire_topic);
typedef void rmq_route_fn(void *arg, rmq_route *route, const rc_error *err);
/** Asks the name server unless the known route is younger than `max_age_ms`; `done` gets the route
 *  (borrowed) or the error (-OMC_ENOTFOUND: no such topic). Requests for one topic are shared, and
 *  at most one per 100 ms and topic is sent. `done` is called exactly once, also at close. */
void rmq_route_ask(rmq_client *client, const char *wire_topic, int64_t max_age_ms,
                   rmq_route_fn *done, void *arg);
/** All brokers' addresses that any known route names (for heartbeats), masters only or all. */
typedef void rmq_address_fn(void *arg, const char *broker, int64_t id, const char *address);
void rmq_route_each_broker(rmq_client *client, rmq_address_fn *each, void *arg);

/* ---- remotes (I/O thread) -------------------------------------------------------------------- */

enum rmq_lane_kind { RMQ_CONN_MAIN = 0, RMQ_CONN_PULL = 1 };
/** The remote of a broker's address, made when new; look it up for each use. Pulls have a
 * connection of their own: a broker that stops reading one because replies pile up must not stop
 * the sends. Remotes whose address is in no route and that are idle for 120 s are closed. */
rmq_remote *rmq_client_remote(rmq_client *client, const char *address, enum rmq_lane_kind kind);
/** Calls a name server: the one that answered last, on an error the next, each once. */
void rmq_client_call_namesrv(rmq_client *client, const rmq_request *request);

/* ---- calls from application threads ---------------------------------------------------------- */

/** A reply that outlives its callback. */
typedef struct rmq_answer {
    int result;
    rc_error err;
    rmq_frame frame;
    rmq_block *block;
    rc_arena arena;
} rmq_answer;
/** Calls and waits. `address` NULL = a name server. Free with rmq_answer_release().
 *  @return 0 (a reply came, see frame.header.code) or < 0 (also in answer->err). */
int rmq_client_call(rmq_client *client, const char *address, const rmq_request *request,
                    rmq_answer *answer);
void rmq_answer_release(rmq_answer *answer);
/** Route of a topic, asked for and waited for; copy of what is needed goes through `use`, which
 *  runs on the I/O thread. @return 0 or < 0 with err. */
int rmq_client_route(rmq_client *client, const char *wire_topic, int64_t max_age_ms,
                     void (*use)(void *arg, const rmq_route *route), void *arg, rc_error *err);
/** rmq_topic_queues() for writing and for reading, of the same route: one question. */
int rmq_client_queues(rmq_client *client, const char *topic, rmq_queue_list **ret_writable,
                      rmq_queue_list **ret_readable, rc_error *err);

/* ---- groups and heartbeats (I/O thread) ------------------------------------------------------ */

/** A group member of this client; producer groups and consumer groups. */
typedef struct rmq_member {
    struct rmq_member *prev, *next;
    const char *group; /* wire name */
    bool consumer;
    /** The consumer's part of the heartbeat (protocol §5), a new reference; NULL for producers. */
    json_t *(*heartbeat)(void *arg);
    /** Consumer ids of the group have changed (40). May be NULL. */
    void (*changed)(void *arg);
    /** Other requests about this group (220, 221, 307, 309): true = answered. May be NULL. */
    bool (*asked)(void *arg, rmq_remote *remote, const rmq_frame *frame);
    /** A heartbeat was accepted by this address for the first time on its connection. NULL = no. */
    void (*known_at)(void *arg, const char *address);
    void *arg;
    uint64_t joined; /* Set by rmq_member_add(). */
} rmq_member;
/** Joins; a heartbeat goes out at once to all brokers of known routes, then every heartbeat_ms and
 *  at once on every new connection. */
void rmq_member_add(rmq_client *client, rmq_member *member);
/** Leaves: UNREGISTER_CLIENT (35) to all brokers; `done` when answered or timed out (1 s). */
void rmq_member_remove(rmq_client *client, rmq_member *member, void (*done)(void *arg), void *arg);
/** Sends heartbeats now (changed subscription, refused pull). At most one round per 100 ms. */
void rmq_heartbeat_now(rmq_client *client);

#endif
