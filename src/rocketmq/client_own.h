/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The client itself, shared by client.c, peers.c, namesrv.c, route_cache.c and member.c. Everything
 * but the settings and the atomics belongs to the I/O thread.
 */
#ifndef RMQ_CLIENT_OWN_H
#define RMQ_CLIENT_OWN_H

#include "rocketmq/client_impl.h"
#include "rocketmq/io.h"

#define RMQ_NAMESRV_MAX 16
#define RMQ_NAMESPACE_MAX 63
/** Connections without use and in no route are closed after this. */
#define RMQ_PEER_IDLE_MS 120000

struct rmq_goodbye; /* member.c: an UNREGISTER_CLIENT to one broker */

/** One connection to a broker's address. */
typedef struct rmq_peer {
    rmq_client *client;
    char *key;                       /* "<kind> <address>" */
    char broker[RMQ_BROKER_MAX + 1]; /* "" = no route names it. */
    enum rmq_lane_kind kind;
    rmq_remote *remote;
    int64_t used_ms;
    bool in_route;
    /* Heartbeats, RMQ_CONN_MAIN only: */
    bool beating;                 /* One is under way. */
    bool beat_again;              /* Another one after it. */
    int64_t beaten_since;         /* rmq_remote_since() when one was accepted. */
    uint64_t beaten_join;         /* Newest member it told of. */
    struct rmq_goodbye *goodbyes; /* To be sent when no heartbeat is under way. */
    UT_hash_handle hh;
} rmq_peer;

typedef struct rmq_namesrv {
    char *address;
    rmq_remote *remote; /* Made when first used. */
} rmq_namesrv;

struct rmq_topic_entry; /* route_cache.c */

struct rmq_client {
    rmq_client_config settings; /* Texts are ours. */
    char id[192];
    rc_loop *loop;
    rc_tls *tls;
    rmq_credentials credentials;
    rmq_client_stats stats;
    _Atomic int64_t block_bytes;
    _Atomic int64_t pulled; /**< Messages decoded by the threads of consumers. */
    _Atomic int64_t open_objects;
    bool closing;
    size_t closing_remotes;
    void (*closed)(void *arg);
    void *closed_arg;

    rmq_namesrv namesrv[RMQ_NAMESRV_MAX];
    size_t namesrv_count;
    size_t namesrv_at; /* Answered last. */

    rmq_peer *peers;
    rc_loop_timer *peer_timer; /* Looks for idle ones. */

    struct rmq_topic_entry *topics;
    rc_loop_timer *route_timer;
    int64_t route_armed_ms;

    rmq_member *members;
    uint64_t joins; /* Counts members that joined. */
    rc_loop_timer *beat_timer;
    int64_t beat_armed_ms;
    int64_t beat_last_ms; /* When the last round or look began. */
    int64_t beat_due_ms;  /* When the next whole round is due. */
    bool beat_asked;      /* A whole round was asked for. */
};

int64_t rmq_client_now(void); /**< Mono ms. */
/** Another remote is closed; the last one ends the client when it closes. */
void rmq_client_remote_gone(void *client);

/* peers.c */
void rmq_peers_start(rmq_client *client);
void rmq_peers_close(rmq_client *client);
/** The peer behind a remote of RMQ_CONN_MAIN at this address, made when new. */
rmq_peer *rmq_peer_main(rmq_client *client, const char *address);
/** Settings that all remotes of a client share. */
rmq_remote_config rmq_client_remote_config(rmq_client *client);

/* namesrv.c */
int rmq_namesrv_parse(rmq_client *client, const char *list, rc_error *err);
void rmq_namesrv_close(rmq_client *client);
void rmq_namesrv_free(rmq_client *client);

/* route_cache.c */
void rmq_routes_start(rmq_client *client);
void rmq_routes_close(rmq_client *client); /**< Waiters get OMC_ECANCELED. */

/* member.c */
void rmq_members_start(rmq_client *client);
void rmq_members_close(rmq_client *client);
void rmq_member_connected(rmq_peer *peer);
void rmq_member_lost(rmq_peer *peer);
/** Routes have changed: there may be brokers that know nothing of our members. */
void rmq_members_look(rmq_client *client);
bool rmq_member_asked(rmq_client *client, rmq_remote *remote, const rmq_frame *frame);

#endif
