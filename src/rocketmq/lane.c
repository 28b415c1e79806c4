/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A set of lanes: parcels come in through one inbox, are sorted into lanes, put together into
 * sends, and told to their owner in order. What one send goes through is in lane_send.c and
 * lane_retry.c.
 */
#include "rocketmq/lane_impl.h"

#include <stdio.h>
#include <utlist.h>

/** What is under way gets so long to be answered when the lanes are closed. */
#define CLOSE_GRACE_MS 500
#define KEY_MAX (256 + RMQ_BROKER_MAX + 1 + sizeof(int32_t))

/* ---- one lane ---- */

const char *rmq_lane_name(const rmq_lane *lane, char out[320])
{
    (void)snprintf(out, 320, "topic %.180s, queue %d of %.100s", lane->topic, (int)lane->queue_id,
                   lane->broker);
    return out;
}

static size_t key_of(const rmq_parcel *parcel, char key[KEY_MAX])
{
    size_t topic = strlen(parcel->topic) + 1;
    size_t broker = strlen(parcel->broker) + 1;

    RC_ASSERT(topic + broker + sizeof parcel->queue_id <= KEY_MAX);
    memcpy(key, parcel->topic, topic);
    memcpy(key + topic, parcel->broker, broker);
    memcpy(key + topic + broker, &parcel->queue_id, sizeof parcel->queue_id);
    return topic + broker + sizeof parcel->queue_id;
}

static rmq_lane_broker *broker_of(rmq_lanes *set, const char *name)
{
    size_t len = strlen(name);
    rmq_lane_broker *broker;

    HASH_FIND(hh, set->brokers, name, len, broker);
    if (!broker) {
        broker = rc_calloc(1, sizeof *broker + len + 1);
        memcpy(broker->name, name, len + 1);
        HASH_ADD_KEYPTR(hh, set->brokers, broker->name, len, broker);
    }
    return broker;
}

static rmq_lane *lane_new(rmq_lanes *set, const rmq_parcel *parcel, const char *key, size_t len)
{
    rmq_lane *lane = rc_calloc(1, sizeof *lane + len);

    lane->set = set;
    lane->key = (char *)(lane + 1);
    memcpy(lane->key, key, len);
    lane->topic = lane->key;
    lane->broker = lane->key + strlen(lane->key) + 1;
    lane->queue_id = parcel->queue_id;
    lane->to = broker_of(set, lane->broker);
    rmq_lane_template(lane);
    HASH_ADD_KEYPTR(hh, set->lanes, lane->key, len, lane);
    return lane;
}

static rmq_lane *lane_of(rmq_lanes *set, const rmq_parcel *parcel)
{
    char key[KEY_MAX];
    size_t len = key_of(parcel, key);
    rmq_lane *lane;

    HASH_FIND(hh, set->lanes, key, len, lane);
    return lane ? lane : lane_new(set, parcel, key, len);
}

static void finish(rmq_lanes *set)
{
    void (*closed)(void *arg) = set->closed;
    void *arg = set->closed_arg;
    rmq_lane_broker *broker;
    rmq_lane_broker *next;

    HASH_ITER(hh, set->brokers, broker, next)
    {
        HASH_DEL(set->brokers, broker);
        free(broker);
    }
    rc_loop_timer_free(set->close_timer);
    (void)pthread_mutex_destroy(&set->mu);
    rmq_client_let_go(set->client);
    free(set->who);
    free(set->group);
    free(set->create_from);
    free(set);
    if (closed)
        closed(arg);
}

static void finish_if_empty(rmq_lanes *set)
{
    if (set->closing && !set->lanes && !set->busy)
        finish(set);
}

/* Frees the lane when nothing needs it: at close, or when there are very many. */
static void free_if_idle(rmq_lane *lane)
{
    rmq_lanes *set = lane->set;

    if (lane->sends || lane->waiting || lane->asking || lane->busy || lane->dirty || lane->soon)
        return;
    if (!set->closing && HASH_COUNT(set->lanes) <= RMQ_LANES_KEPT)
        return;
    rmq_lane_clear(lane);
    HASH_DEL(set->lanes, lane);
    if (lane->timer)
        rc_loop_timer_free(lane->timer);
    free(lane->route_why);
    free(lane);
    finish_if_empty(set);
}

/* ---- putting together ---- */

/* May `next` go into the send that begins with `first`? */
static bool goes_along(const rmq_send *send, const rmq_parcel *first, const rmq_parcel *next)
{
    const rmq_lanes_config *config = &send->lane->set->config;

    if (first->properties.base || next->properties.base || next->sys_flag != first->sys_flag ||
        next->born_ms != first->born_ms)
        return false;
    if (send->parcel_count >= RMQ_SEND_PARTS_MAX ||
        send->bytes + next->bytes > config->send_bytes_max)
        return false;
    return config->send_count_max == 0 || send->messages + next->count <= config->send_count_max;
}

static void take(rmq_send *send)
{
    rmq_lane *lane = send->lane;
    rmq_parcel *parcel = lane->waiting;

    DL_DELETE(lane->waiting, parcel);
    DL_APPEND(send->parcels, parcel);
    send->parcel_count++;
    send->messages += parcel->count;
    send->bytes += parcel->bytes;
}

static rmq_send *put_together(rmq_lane *lane)
{
    rmq_send *send = rc_calloc(1, sizeof *send);

    send->lane = lane;
    take(send);
    if (lane->alone > 0) {
        send->doubt = lane->alone_doubt;
        lane->alone_doubt = --lane->alone > 0 && lane->alone_doubt;
    } else {
        while (lane->waiting && goes_along(send, send->parcels, lane->waiting))
            take(send);
    }
    DL_APPEND(lane->sends, send);
    lane->send_count++;
    return send;
}

static void send_free(rmq_send *send)
{
    DL_DELETE(send->lane->sends, send);
    send->lane->send_count--;
    free(send);
}

/* Parcels before all that wait. `list` is linked by next only. */
static void put_in_front(rmq_lane *lane, rmq_parcel *list)
{
    rmq_parcel *all = NULL;
    rmq_parcel *next;

    for (; list; list = next) {
        next = list->next;
        DL_APPEND(all, list);
    }
    DL_CONCAT(all, lane->waiting);
    lane->waiting = all;
}

void rmq_lane_split(rmq_send *send)
{
    rmq_lane *lane = send->lane;

    lane->alone += send->parcel_count;
    lane->alone_doubt = lane->alone_doubt || send->doubt;
    put_in_front(lane, send->parcels);
    send_free(send);
}

/* ---- telling the owner ---- */

static void tell(rmq_lanes *set, rmq_parcel *list, const rc_error *err)
{
    rmq_parcel *next;

    for (; list; list = next) {
        next = list->next;
        list->prev = list->next = NULL;
        list->result = err ? -err->code : 0;
        set->config.done(set->config.arg, list, err);
    }
}

static void take_inbox(rmq_lanes *set);

/* What waits behind a send that failed, or in a lane that ends, is not sent. */
static void cancel_waiting(rmq_lane *lane, const rc_error *before)
{
    char name[320];
    rc_error err = {0};
    rmq_parcel *behind;

    /* Also what was handed over before its owner could know. */
    take_inbox(lane->set);
    behind = RC_TAKE(lane->waiting);
    lane->alone = 0;
    lane->alone_doubt = false;
    if (before && !lane->set->closing)
        (void)rc_fail(&err, OMC_ECANCELED,
                      "%s: not sent, because what came before it failed, and would now be out of "
                      "order: %s",
                      rmq_lane_name(lane, name), before->msg);
    else
        (void)rc_fail(&err, OMC_ECANCELED, "%s: %s was closed before this was sent",
                      rmq_lane_name(lane, name), lane->set->who);
    tell(lane->set, behind, &err);
}

/* Tells what is done at the head of the lane. */
static void settle(rmq_lane *lane)
{
    rmq_send *send;

    while ((send = lane->sends) != NULL) {
        bool failed = send->state == RMQ_SEND_FAILED;
        rmq_parcel *parcels = send->parcels;
        rc_error err;

        if (!failed && send->state != RMQ_SEND_STORED)
            break;
        if (failed)
            err = send->err;
        send_free(send);
        tell(lane->set, parcels, failed ? &err : NULL);
        if (failed && lane->set->config.window == 1)
            cancel_waiting(lane, &err);
    }
    if (lane->set->closing && !lane->sends && lane->waiting)
        cancel_waiting(lane, NULL);
}

/* ---- the pump ---- */

/* Sends whose pause is over. */
static void run_due(rmq_lane *lane)
{
    int64_t now = rmq_lane_now_ns();
    rmq_send *send;
    rmq_send *next;

    DL_FOREACH_SAFE(lane->sends, send, next)
    {
        if ((send->state == RMQ_SEND_READY || send->state == RMQ_SEND_DOUBTFUL) &&
            send->due_ns <= now)
            rmq_send_due(send);
    }
}

/* Begins one more send. @return false when there is none to begin. */
static bool begin(rmq_lane *lane)
{
    if (!lane->waiting || lane->send_count >= lane->set->config.window)
        return false;
    rmq_send_try(put_together(lane));
    return true;
}

static void cancel_sends(rmq_lane *lane)
{
    char name[320];
    rmq_send *send;

    DL_FOREACH(lane->sends, send)
    {
        if (send->state != RMQ_SEND_READY && send->state != RMQ_SEND_DOUBTFUL &&
            send->state != RMQ_SEND_REPORTED)
            continue;
        (void)rc_fail(&send->err, OMC_ECANCELED, "%s: %s was closed%s", rmq_lane_name(lane, name),
                      lane->set->who,
                      send->doubt ? "; this was sent and never answered, so it may be stored"
                                  : " before this was stored");
        rmq_send_fail(send);
    }
}

static void on_timer(void *arg)
{
    rmq_lane *lane = arg;

    lane->soon = false;
    rmq_lane_pump(lane);
}

static void set_timer(rmq_lane *lane, int64_t ms)
{
    if (!lane->timer) {
        int r = rc_loop_timer_new(rmq_client_loop(lane->set->client), on_timer, lane, &lane->timer);

        RC_ASSERT(r == 0);
    }
    rc_loop_timer_set(lane->timer, ms);
}

/* The timer stands at the first moment something is due. */
static void arm(rmq_lane *lane)
{
    int64_t first = INT64_MAX;
    rmq_send *send;

    if (lane->soon)
        return;
    DL_FOREACH(lane->sends, send)
    if (send->state == RMQ_SEND_READY || send->state == RMQ_SEND_DOUBTFUL)
        first = RC_MIN(first, send->due_ns);
    if (first != INT64_MAX)
        set_timer(lane, RC_MAX((first - rmq_lane_now_ns() + 999999) / 1000000, 0));
    else if (lane->timer)
        rc_loop_timer_set(lane->timer, -1);
}

void rmq_lane_pump_soon(rmq_lane *lane)
{
    lane->soon = true;
    set_timer(lane, 0);
}

void rmq_lane_pump(rmq_lane *lane)
{
    if (lane->busy) {
        rmq_lane_pump_soon(lane);
        return;
    }
    lane->busy++;
    do {
        if (lane->set->closing)
            cancel_sends(lane);
        else
            run_due(lane);
        settle(lane);
    } while (!lane->set->closing && begin(lane));
    arm(lane);
    lane->busy--;
    free_if_idle(lane);
}

/* ---- the inbox ---- */

static void take_inbox(rmq_lanes *set)
{
    int64_t now = rmq_lane_now_ns();
    rmq_parcel *list;
    rmq_parcel *next;

    (void)pthread_mutex_lock(&set->mu);
    list = RC_TAKE(set->inbox);
    (void)pthread_mutex_unlock(&set->mu);
    for (; list; list = next) {
        rmq_lane *lane = lane_of(set, list);

        next = list->next;
        if (list->submitted_ns == 0)
            list->submitted_ns = now;
        DL_APPEND(lane->waiting, list);
        if (!lane->dirty) {
            lane->dirty = true;
            lane->next_dirty = set->dirty;
            set->dirty = lane;
        }
    }
}

static void pump_dirty(rmq_lanes *set)
{
    rmq_lane *lane;

    while ((lane = set->dirty) != NULL) {
        set->dirty = lane->next_dirty;
        lane->dirty = false;
        rmq_lane_pump(lane);
    }
}

static void sort_and_pump(rmq_lanes *set)
{
    set->busy++;
    take_inbox(set);
    pump_dirty(set);
    set->busy--;
}

static void drain(void *arg)
{
    rmq_lanes *set = arg;

    (void)pthread_mutex_lock(&set->mu);
    set->posted = false;
    (void)pthread_mutex_unlock(&set->mu);
    sort_and_pump(set);
}

/* @return true when nobody was asked to look into the inbox yet. */
static bool put_into_inbox(rmq_lanes *set, rmq_parcel *list, bool posting)
{
    rmq_parcel *last = NULL;
    rmq_parcel *at;
    bool first;

    for (at = list; at; last = at, at = at->next)
        at->prev = last;
    list->prev = last;
    (void)pthread_mutex_lock(&set->mu);
    DL_CONCAT(set->inbox, list);
    first = !set->posted;
    set->posted = set->posted || posting;
    (void)pthread_mutex_unlock(&set->mu);
    return first;
}

void rmq_lanes_submit(rmq_lanes *set, rmq_parcel *list)
{
    if (list && put_into_inbox(set, list, true))
        rmq_client_post(set->client, drain, set);
}

void rmq_lanes_submit_now(rmq_lanes *set, rmq_parcel *list)
{
    if (!list)
        return;
    (void)put_into_inbox(set, list, false);
    sort_and_pump(set);
}

void rmq_lane_resolve(rmq_lanes *set, const char *topic, const char *broker, int32_t queue_id,
                      rmq_parcel *again)
{
    rmq_parcel where = {.topic = topic, .broker = broker, .queue_id = queue_id};
    rmq_lane *lane;

    if (set->closing)
        return; /* They have been told that they are canceled. */
    lane = lane_of(set, &where);
    RC_ASSERT(lane->sends && lane->sends->state == RMQ_SEND_REPORTED);
    send_free(lane->sends);
    put_in_front(lane, again);
    rmq_lane_pump_soon(lane);
}

/* ---- open and close ---- */

static int check_config(const rmq_lanes_config *config, rc_error *err)
{
    if (config->window < 0 || config->window > 1024)
        return rc_fail(err, OMC_EINVAL, "window = %d: give 1 to 1024 unanswered sends per queue",
                       config->window);
    if (config->unknown_outcome && config->window > 1)
        return rc_fail(err, OMC_EINVAL,
                       "window = %d: outcomes can be reported to their owner one at a time only; "
                       "set window = 1",
                       config->window);
    if (config->send_timeout_ms < 0 || config->unknown_wait_ms < 0 ||
        config->delivery_timeout_ms < -1)
        return rc_fail(err, OMC_EINVAL,
                       "send timeout %lld ms, delivery timeout %lld ms, wait after an unknown "
                       "outcome %lld ms: none may be negative (delivery timeout: -1 = for ever)",
                       (long long)config->send_timeout_ms, (long long)config->delivery_timeout_ms,
                       (long long)config->unknown_wait_ms);
    return 0;
}

static int64_t or_default(int64_t given, int64_t otherwise)
{
    return given ? given : otherwise;
}

int rmq_lanes_new(rmq_client *client, const rmq_lanes_config *config, rmq_lanes **ret,
                  rc_error *err)
{
    rmq_lanes *set;
    int r = check_config(config, err);

    if (r < 0)
        return r;
    set = rc_calloc(1, sizeof *set);
    set->client = client;
    set->config = *config;
    set->who = rc_strdup(config->who);
    set->group = rc_strdup(config->group);
    set->create_from = config->create_from ? rc_strdup(config->create_from) : NULL;
    set->config.window = config->window ? config->window : 1;
    if (set->config.send_bytes_max == 0)
        set->config.send_bytes_max = (size_t)1 << 20;
    set->config.send_timeout_ms = or_default(config->send_timeout_ms, 3000);
    set->config.delivery_timeout_ms = or_default(config->delivery_timeout_ms, 120000);
    set->config.unknown_wait_ms = or_default(config->unknown_wait_ms, 2000);
    set->random = (uint64_t)rmq_lane_now_ns() | 1;
    (void)pthread_mutex_init(&set->mu, NULL);
    rmq_client_hold(client);
    *ret = set;
    return 0;
}

/* A connection that still owes answers; marks its sends so that each is found once. */
static bool next_owing(rmq_lanes *set, char address[RMQ_ADDRESS_MAX])
{
    rmq_lane *lane;
    rmq_lane *next;
    rmq_send *send;

    HASH_ITER(hh, set->lanes, lane, next)
    {
        DL_FOREACH(lane->sends, send)
        {
            if (send->state != RMQ_SEND_UNDER_WAY || send->dropped)
                continue;
            send->dropped = true;
            memcpy(address, send->address, RMQ_ADDRESS_MAX);
            return true;
        }
    }
    return false;
}

static void grace_over(void *arg)
{
    rmq_lanes *set = arg;
    char address[RMQ_ADDRESS_MAX];

    set->busy++;
    while (next_owing(set, address)) {
        rmq_remote *remote = rmq_client_remote(set->client, address, RMQ_CONN_MAIN);

        rmq_remote_drop(remote, "a producer was closed before its last sends were answered");
    }
    set->busy--;
    finish_if_empty(set);
}

static void close_lanes(void *arg)
{
    rmq_lanes *set = arg;
    rmq_lane *lane;
    rmq_lane *next;
    int r;

    set->busy++;
    take_inbox(set);
    set->closing = true;
    pump_dirty(set);
    HASH_ITER(hh, set->lanes, lane, next)
    rmq_lane_pump(lane);
    r = rc_loop_timer_new(rmq_client_loop(set->client), grace_over, set, &set->close_timer);
    RC_ASSERT(r == 0);
    rc_loop_timer_set(set->close_timer, CLOSE_GRACE_MS);
    set->busy--;
    finish_if_empty(set);
}

void rmq_lanes_close(rmq_lanes *set, void (*closed)(void *arg), void *arg)
{
    set->closed = closed;
    set->closed_arg = arg;
    /* Not from inside: the caller may be a callback of ours. Behind all posts of submits. */
    rmq_client_post(set->client, close_lanes, set);
}
