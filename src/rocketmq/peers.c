/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Brokers' connections by address: one for pulls, one for everything else. Heartbeats go over the
 * second only: a broker lists a member once per connection that it heard a heartbeat on, and a
 * member listed twice would get the share of two.
 */
#include "rocketmq/client_own.h"

#include <string.h>

#define SWEEP_MS 30000

static void on_connected(void *arg, rmq_remote *remote)
{
    rmq_peer *peer = arg;

    (void)remote;
    if (peer->kind == RMQ_CONN_MAIN && !peer->client->closing)
        rmq_member_connected(peer);
}

static void on_lost(void *arg, rmq_remote *remote, const rc_error *why)
{
    rmq_peer *peer = arg;

    (void)remote;
    (void)why;
    if (peer->kind == RMQ_CONN_MAIN && !peer->client->closing)
        rmq_member_lost(peer);
}

static bool on_asked(void *arg, rmq_remote *remote, const rmq_frame *frame)
{
    rmq_peer *peer = arg;

    return !peer->client->closing && rmq_member_asked(peer->client, remote, frame);
}

static void on_say(void *arg, enum rmq_log_level level, const char *text)
{
    rmq_peer *peer = arg;

    rmq_client_say(peer->client, level, "%s", text);
}

struct naming {
    rmq_peer *peer;
    const char *address;
    char label[RMQ_BROKER_MAX + 24];
};

static void name_broker(void *arg, const char *broker, int64_t id, const char *address)
{
    struct naming *naming = arg;

    if (strcmp(address, naming->address) != 0)
        return;
    (void)snprintf(naming->label, sizeof naming->label, "broker %.*s%s", RMQ_BROKER_MAX, broker,
                   id == 0 ? "" : " (slave)");
    (void)snprintf(naming->peer->broker, sizeof naming->peer->broker, "%s", broker);
}

rmq_remote_config rmq_client_remote_config(rmq_client *client)
{
    return (rmq_remote_config){
        .loop = client->loop,
        .tls = client->tls,
        .server_name = client->settings.tls.server_name,
        .connect_timeout_ms = client->settings.connect_timeout_ms,
        .credentials = client->credentials.access_key[0] ? &client->credentials : NULL,
        .stats = &client->stats,
        .block_bytes = &client->block_bytes,
    };
}

static rmq_peer *add_peer(rmq_client *client, const char *key, const char *address,
                          enum rmq_lane_kind kind)
{
    rmq_peer *peer = rc_calloc(1, sizeof *peer);
    rmq_remote_config config = rmq_client_remote_config(client);
    struct naming naming = {.peer = peer, .address = address, .label = "broker"};

    rmq_route_each_broker(client, name_broker, &naming);
    peer->client = client;
    peer->key = rc_strdup(key);
    peer->kind = kind;
    config.address = address;
    config.label = naming.label;
    config.connected = on_connected;
    config.lost = on_lost;
    config.asked = on_asked;
    config.say = on_say;
    config.arg = peer;
    peer->remote = rmq_remote_new(&config);
    HASH_ADD_KEYPTR(hh, client->peers, peer->key, strlen(peer->key), peer);
    if (HASH_COUNT(client->peers) == 1)
        rc_loop_timer_set(client->peer_timer, SWEEP_MS);
    return peer;
}

static rmq_peer *peer_at(rmq_client *client, const char *address, enum rmq_lane_kind kind)
{
    char key[RMQ_ADDRESS_MAX + 8];
    rmq_peer *peer = NULL;
    size_t len;

    (void)snprintf(key, sizeof key, "%d %s", (int)kind, address);
    len = strlen(key);
    HASH_FIND(hh, client->peers, key, len, peer);
    if (!peer)
        peer = add_peer(client, key, address, kind);
    peer->used_ms = rmq_client_now();
    return peer;
}

rmq_remote *rmq_client_remote(rmq_client *client, const char *address, enum rmq_lane_kind kind)
{
    RC_ASSERT(rmq_io_here() && !client->closing);
    return peer_at(client, address, kind)->remote;
}

rmq_peer *rmq_peer_main(rmq_client *client, const char *address)
{
    return peer_at(client, address, RMQ_CONN_MAIN);
}

/* ---- idle ------------------------------------------------------------------------------------ */

static void mark_in_route(void *arg, const char *broker, int64_t id, const char *address)
{
    rmq_client *client = arg;
    char key[RMQ_ADDRESS_MAX + 8];

    (void)broker;
    (void)id;
    for (int kind = RMQ_CONN_MAIN; kind <= RMQ_CONN_PULL; kind++) {
        rmq_peer *peer = NULL;
        size_t len;

        (void)snprintf(key, sizeof key, "%d %s", kind, address);
        len = strlen(key);
        HASH_FIND(hh, client->peers, key, len, peer);
        if (peer)
            peer->in_route = true;
    }
}

static void on_peer_closed(void *arg)
{
    rmq_peer *peer = arg;
    rmq_client *client = peer->client;

    RC_ASSERT(!peer->goodbyes && !peer->beating);
    free(peer->key);
    free(peer);
    rmq_client_remote_gone(client);
}

static void close_peer(rmq_peer *peer)
{
    HASH_DEL(peer->client->peers, peer);
    peer->client->closing_remotes++;
    rmq_remote_close(peer->remote, on_peer_closed, peer);
}

static void sweep(void *arg)
{
    rmq_client *client = arg;
    int64_t now = rmq_client_now();
    rmq_peer *peer, *tmp;

    HASH_ITER(hh, client->peers, peer, tmp)
    peer->in_route = false;
    rmq_route_each_broker(client, mark_in_route, client);
    HASH_ITER(hh, client->peers, peer, tmp)
    if (!peer->in_route && rmq_remote_pending(peer->remote) == 0 && !peer->goodbyes &&
        now - peer->used_ms >= RMQ_PEER_IDLE_MS)
        close_peer(peer);
    if (client->peers)
        rc_loop_timer_set(client->peer_timer, SWEEP_MS);
}

void rmq_peers_start(rmq_client *client)
{
    RC_ASSERT(rc_loop_timer_new(client->loop, sweep, client, &client->peer_timer) == 0);
}

void rmq_peers_close(rmq_client *client)
{
    rmq_peer *peer, *tmp;

    rc_loop_timer_free(RC_TAKE(client->peer_timer));
    HASH_ITER(hh, client->peers, peer, tmp)
    close_peer(peer);
}
