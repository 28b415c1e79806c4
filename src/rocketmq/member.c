/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members and heartbeats (protocol §5). Every heartbeat_ms, and when asked, a round goes to all
 * brokers of known routes. Between rounds only those are served that do not know all members yet:
 * new connections, new brokers, new members. A broker that was lost is tried again every second,
 * because it has forgotten us and gives our queues to others.
 */
#include "rocketmq/client_own.h"

#include <string.h>
#include <utlist.h>

#define APART_MS 100 /* Least time between two rounds. */
#define AGAIN_MS 1000
#define LEAVE_MS 1000

/* ---- sending --------------------------------------------------------------------------------- */

/* Body of one round; lives until the last of its requests is over. */
struct beat {
    size_t refs;
    uint64_t join; /* Newest member in it. */
    char *text;
    rc_iovec part;
};

struct beat_call {
    struct beat *beat;
    rmq_peer *peer;
};

static void arm(rmq_client *client, int64_t at_ms)
{
    if (!client->beat_timer || (client->beat_armed_ms && client->beat_armed_ms <= at_ms))
        return;
    client->beat_armed_ms = at_ms;
    rc_loop_timer_set(client->beat_timer, RC_MAX(at_ms - rmq_client_now(), 0));
}

static struct beat *make_beat(rmq_client *client)
{
    struct beat *beat = rc_calloc(1, sizeof *beat);
    json_t *producers = json_array();
    json_t *consumers = json_array();
    json_t *all;
    rmq_member *member;

    DL_FOREACH(client->members, member)
    {
        if (member->consumer)
            json_array_append_new(consumers, member->heartbeat(member->arg));
        else
            json_array_append_new(producers, json_pack("{ss}", "groupName", member->group));
    }
    all = json_pack("{ss si sb so so}", "clientID", client->id, "heartbeatFingerprint", 0,
                    "withoutSub", 0, "producerDataSet", producers, "consumerDataSet", consumers);
    beat->text = json_dumps(all, JSON_COMPACT);
    RC_ASSERT(beat->text);
    json_decref(all);
    beat->part = (rc_iovec){beat->text, strlen(beat->text)};
    beat->join = client->joins;
    beat->refs = 1;
    return beat;
}

static void unref_beat(struct beat *beat)
{
    if (--beat->refs)
        return;
    free(beat->text);
    free(beat);
}

static size_t broker_field(const rmq_peer *peer, rmq_field *field)
{
    *field =
        (rmq_field){omc_slice_of("bname", 5), omc_slice_of(peer->broker, strlen(peer->broker))};
    return peer->broker[0] != '\0';
}

static void on_beaten(void *arg, const rmq_reply *reply);

static void send_beat(rmq_peer *peer, struct beat *beat)
{
    struct beat_call *call;
    rmq_field field;
    rmq_request request = {
        .code = RMQ_HEART_BEAT,
        .fields = &field,
        .field_count = broker_field(peer, &field),
        .body = &beat->part,
        .body_parts = 1,
        .timeout_ms = peer->client->settings.request_timeout_ms,
        .done = on_beaten,
    };

    if (peer->beating) {
        peer->beat_again = true;
        return;
    }
    call = rc_calloc(1, sizeof *call);
    call->beat = beat;
    call->peer = peer;
    beat->refs++;
    peer->beating = true;
    request.arg = call;
    rmq_remote_call(peer->remote, &request);
}

static void send_one(rmq_peer *peer)
{
    struct beat *beat = make_beat(peer->client);

    send_beat(peer, beat);
    unref_beat(beat);
}

/* ---- rounds ---------------------------------------------------------------------------------- */

/* Does it know, on its present connection, all members? */
static bool knows(const rmq_peer *peer)
{
    int64_t since = rmq_remote_since(peer->remote);

    return since && peer->beaten_since == since && peer->beaten_join == peer->client->joins;
}

struct round {
    rmq_client *client;
    struct beat *beat;
    bool all; /* Else only those who do not know all members. */
    bool slaves;
};

static void beat_broker(void *arg, const char *broker, int64_t id, const char *address)
{
    struct round *round = arg;
    rmq_peer *peer;

    (void)broker;
    if (id != 0 && !round->slaves)
        return;
    peer = rmq_peer_main(round->client, address);
    if (!round->all && (peer->beating || knows(peer)))
        return;
    if (!round->beat)
        round->beat = make_beat(round->client);
    send_beat(peer, round->beat);
}

static void on_timer(void *arg)
{
    rmq_client *client = arg;
    struct round round = {.client = client};
    rmq_member *member;

    client->beat_armed_ms = 0;
    if (!client->members)
        return;
    client->beat_last_ms = rmq_client_now();
    round.all = client->beat_asked || client->beat_last_ms >= client->beat_due_ms;
    if (round.all)
        client->beat_due_ms = client->beat_last_ms + client->settings.heartbeat_ms;
    client->beat_asked = false;
    DL_FOREACH(client->members, member)
    round.slaves = round.slaves || member->consumer;
    rmq_route_each_broker(client, beat_broker, &round);
    if (round.beat)
        unref_beat(round.beat);
    arm(client, client->beat_due_ms);
}

void rmq_members_look(rmq_client *client)
{
    if (client->members)
        arm(client, RC_MAX(rmq_client_now(), client->beat_last_ms + APART_MS));
}

void rmq_heartbeat_now(rmq_client *client)
{
    RC_ASSERT(rmq_io_here());
    client->beat_asked = true;
    rmq_members_look(client);
}

void rmq_member_connected(rmq_peer *peer)
{
    if (peer->client->members && !peer->beating)
        send_one(peer);
}

void rmq_member_lost(rmq_peer *peer)
{
    if (peer->client->members)
        arm(peer->client, rmq_client_now() + (peer->beaten_since ? APART_MS : AGAIN_MS));
    peer->beaten_since = 0;
}

/* ---- answers --------------------------------------------------------------------------------- */

static void send_goodbyes(rmq_peer *peer);

static void tell_members(rmq_peer *peer, uint64_t join)
{
    rmq_client *client = peer->client;
    int64_t since = rmq_remote_since(peer->remote);
    uint64_t told = peer->beaten_since == since ? peer->beaten_join : 0;
    rmq_member *member, *tmp;

    peer->beaten_since = since;
    peer->beaten_join = join;
    DL_FOREACH_SAFE(client->members, member, tmp)
    {
        if (member->known_at && member->joined > told && member->joined <= join)
            member->known_at(member->arg, rmq_remote_address(peer->remote));
    }
}

static void beat_refused(rmq_peer *peer, const rmq_header *header)
{
    rc_error err = {0};
    char what[RMQ_ADDRESS_MAX + RMQ_BROKER_MAX + 40];

    (void)snprintf(what, sizeof what, "HEART_BEAT to broker %s at %s", peer->broker,
                   rmq_remote_address(peer->remote));
    (void)rmq_fail_response(&err, header->code, header->remark, what);
    rmq_client_say(peer->client, RMQ_LOG_WARN, "%s", err.msg);
}

static void on_beaten(void *arg, const rmq_reply *reply)
{
    struct beat_call *call = arg;
    rmq_peer *peer = call->peer;
    rmq_client *client = peer->client;
    uint64_t join = call->beat->join;

    unref_beat(call->beat);
    free(call);
    peer->beating = false;
    if (client->closing) {
        send_goodbyes(peer);
        return;
    }
    if (reply->result < 0)
        arm(client, rmq_client_now() + AGAIN_MS);
    else if (reply->frame->header.code != RMQ_R_SUCCESS)
        beat_refused(peer, &reply->frame->header);
    else
        tell_members(peer, join);
    send_goodbyes(peer);
    if (peer->beat_again && client->members)
        send_one(peer);
    else if (client->members && join != client->joins)
        rmq_members_look(client);
    peer->beat_again = false;
}

/* ---- leaving --------------------------------------------------------------------------------- */

struct leave {
    size_t left; /* Answers to come. */
    char *group;
    bool consumer;
    void (*done)(void *arg);
    void *arg;
};

/* A broker may handle a heartbeat after an UNREGISTER_CLIENT that was sent later, and would take
 * the group in again: goodbyes wait for the answer. */
struct rmq_goodbye {
    struct rmq_goodbye *prev, *next;
    rmq_peer *peer;
    struct leave *leave;
};

static void finish_leave(void *arg)
{
    struct leave *leave = arg;
    void (*done)(void *arg) = leave->done;
    void *done_arg = leave->arg;

    if (--leave->left)
        return;
    free(leave->group);
    free(leave);
    if (done)
        done(done_arg);
}

static void on_left(void *arg, const rmq_reply *reply)
{
    struct rmq_goodbye *goodbye = arg;
    struct leave *leave = goodbye->leave;

    (void)reply; /* A broker that does not answer forgets us with the connection. */
    free(goodbye);
    finish_leave(leave);
}

static void send_goodbye(struct rmq_goodbye *goodbye)
{
    rmq_client *client = goodbye->peer->client;
    const struct leave *leave = goodbye->leave;
    rmq_field fields[3] = {
        {omc_slice_of("clientID", 8), omc_slice_of(client->id, strlen(client->id))},
        {omc_slice_of(leave->consumer ? "consumerGroup" : "producerGroup", 13),
         omc_slice_of(leave->group, strlen(leave->group))},
    };
    rmq_request request = {
        .code = RMQ_UNREGISTER_CLIENT,
        .fields = fields,
        .field_count = 2 + broker_field(goodbye->peer, &fields[2]),
        .timeout_ms = LEAVE_MS,
        .done = on_left,
        .arg = goodbye,
    };

    rmq_remote_call(goodbye->peer->remote, &request);
}

static void send_goodbyes(rmq_peer *peer)
{
    struct rmq_goodbye *goodbye;

    while ((goodbye = peer->goodbyes)) {
        DL_DELETE(peer->goodbyes, goodbye);
        send_goodbye(goodbye);
    }
}

void rmq_member_add(rmq_client *client, rmq_member *member)
{
    RC_ASSERT(rmq_io_here() && !client->closing && (!member->consumer || member->heartbeat));
    member->joined = ++client->joins;
    DL_APPEND(client->members, member);
    if (!member->next && client->members == member)
        client->beat_due_ms = rmq_client_now() + client->settings.heartbeat_ms;
    rmq_members_look(client);
}

void rmq_member_remove(rmq_client *client, rmq_member *member, void (*done)(void *arg), void *arg)
{
    struct leave *leave = rc_calloc(1, sizeof *leave);
    rmq_peer *peer, *tmp;

    RC_ASSERT(rmq_io_here());
    DL_DELETE(client->members, member);
    leave->group = rc_strdup(member->group);
    leave->consumer = member->consumer;
    leave->done = done;
    leave->arg = arg;
    leave->left = 1;
    HASH_ITER(hh, client->peers, peer, tmp)
    {
        struct rmq_goodbye *goodbye;

        if (peer->kind != RMQ_CONN_MAIN || !rmq_remote_up(peer->remote))
            continue;
        goodbye = rc_calloc(1, sizeof *goodbye);
        goodbye->peer = peer;
        goodbye->leave = leave;
        leave->left++;
        if (peer->beating)
            DL_APPEND(peer->goodbyes, goodbye);
        else
            send_goodbye(goodbye);
    }
    rmq_client_post(client, finish_leave, leave); /* Never from inside this call. */
}

/* ---- requests of brokers --------------------------------------------------------------------- */

static rmq_member *member_of(rmq_client *client, const rmq_header *header)
{
    rc_slice group = rmq_header_get(header, "consumerGroup");
    rmq_member *member;

    if (!group.base)
        group = rmq_header_get(header, "group");
    if (!group.base)
        return NULL;
    DL_FOREACH(client->members, member)
    {
        if (member->consumer && strlen(member->group) == group.len &&
            memcmp(member->group, group.base, group.len) == 0)
            return member;
    }
    return NULL;
}

/* The least that tools accept (protocol §15), for members that do not answer themselves. */
static void answer_running_info(rmq_client *client, rmq_remote *remote, const rmq_frame *frame)
{
    json_t *info =
        json_pack("{s{ss ss ss ss ss ss} s[] s{} s{}}", "properties", "PROP_CLIENT_VERSION",
                  "V5_5_0", "PROP_CONSUME_TYPE", "CONSUME_PASSIVELY", "PROP_NAMESERVER_ADDR",
                  client->settings.namesrv, "PROP_CONSUMER_START_TIMESTAMP", "0",
                  "PROP_THREADPOOL_CORE_SIZE", "1", "PROP_CONSUMEORDERLY", "false",
                  "subscriptionSet", "mqTable", "statusTable");
    char *text = json_dumps(info, JSON_COMPACT);

    RC_ASSERT(text);
    json_decref(info);
    rmq_remote_answer(remote, frame, RMQ_R_SUCCESS, omc_slice_of(text, strlen(text)));
    free(text);
}

bool rmq_member_asked(rmq_client *client, rmq_remote *remote, const rmq_frame *frame)
{
    rmq_member *member = member_of(client, &frame->header);

    switch (frame->header.code) {
    case RMQ_NOTIFY_CONSUMER_IDS_CHANGED:
        if (member && member->changed)
            member->changed(member->arg);
        if (!(frame->header.flag & RMQ_FLAG_ONEWAY))
            rmq_remote_answer(remote, frame, RMQ_R_SUCCESS, (rc_slice){0});
        return true;
    case RMQ_GET_CONSUMER_RUNNING_INFO:
        if (!member)
            return false;
        if (!member->asked || !member->asked(member->arg, remote, frame))
            answer_running_info(client, remote, frame);
        return true;
    case RMQ_RESET_CONSUMER_CLIENT_OFFSET:
    case RMQ_GET_CONSUMER_STATUS_FROM_CLIENT:
    case RMQ_CONSUME_MESSAGE_DIRECTLY:
        return member && member->asked && member->asked(member->arg, remote, frame);
    default:
        return false;
    }
}

void rmq_members_start(rmq_client *client)
{
    RC_ASSERT(rc_loop_timer_new(client->loop, on_timer, client, &client->beat_timer) == 0);
}

void rmq_members_close(rmq_client *client)
{
    RC_ASSERT(!client->members);
    rc_loop_timer_free(RC_TAKE(client->beat_timer));
}
