/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Membership: heartbeats say what we want, the broker says who else is there, and everybody
 * computes the same split (protocol §5, §10). A round asks for the route and the members of each
 * topic; its result is compared with the queues that are read, and the application hears of the
 * differences in its next fetch.
 */
#include "rocketmq/consumer_impl.h"

#include <stdio.h>
#include <utlist.h>

#define AGAIN_MS 1000

typedef struct balance_round {
    rmq_consumer *consumer; /* NULL: the group has been left */
    size_t pending;
    bool failed;
    rmq_given *given;
    size_t count;
} balance_round;

typedef struct rmq_group {
    rmq_consumer *consumer;
    rmq_member member;
    rmq_subscription *retry;
    rc_loop_timer *balance_timer, *commit_timer;
    balance_round *round;
    bool again;      /* Asked for while a round runs. */
    size_t attempts; /* Rotates the broker that is asked. */
    _Atomic bool commit_due;
    pthread_mutex_t mu; /* For `left` only. */
    pthread_cond_t cond;
    bool left;
} rmq_group;

static void start_round(rmq_consumer *consumer);

/* ---- what differs ---------------------------------------------------------------------------- */

static void free_given(rmq_given *given, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(given[i].broker);
    free(given);
}

/* Nothing of the queue is handed on any more; the application hears of it in its next fetch. What
 * is released so far is committed now, so that the next owner begins as late as possible. */
static void revoke(rmq_tap *tap)
{
    rmq_tap_commit(tap);
    pthread_mutex_lock(&tap->consumer->mu);
    tap->revoked = true;
    pthread_mutex_unlock(&tap->consumer->mu);
    rmq_tap_silence(tap);
}

void rmq_group_compare(rmq_consumer *consumer)
{
    unsigned number = ++consumer->round;
    bool differs = false;
    rmq_tap *tap, *tmp;

    for (size_t i = 0; i < consumer->given_count; i++) {
        const rmq_given *given = &consumer->given[i];

        tap = rmq_tap_find(consumer, given->sub->topic, given->broker, given->id);
        if (tap && !tap->revoked)
            tap->round = number;
        else
            differs = true;
    }
    HASH_ITER(hh, consumer->taps, tap, tmp)
    {
        if (tap->round != number && !tap->revoked)
            revoke(tap);
        differs = differs || tap->revoked;
    }
    if (!differs)
        return;
    pthread_mutex_lock(&consumer->mu);
    consumer->balance_ready = true;
    rmq_consumer_signal(consumer);
    pthread_mutex_unlock(&consumer->mu);
}

/* ---- a round --------------------------------------------------------------------------------- */

typedef struct balance_step {
    balance_round *round;
    rmq_subscription *sub;
} balance_step;

static void give(balance_round *round, rmq_subscription *sub, const char *broker, int32_t id)
{
    round->given = rc_realloc(round->given, (round->count + 1) * sizeof *round->given);
    round->given[round->count++] = (rmq_given){sub, rc_strdup(broker), id};
}

/* What cannot be found out stays as it is. */
static void keep_topic(balance_round *round, rmq_subscription *sub)
{
    rmq_tap *tap, *tmp;

    round->failed = true;
    HASH_ITER(hh, round->consumer->taps, tap, tmp)
    {
        if (tap->sub == sub && !tap->revoked)
            give(round, sub, tap->queue.broker, tap->queue.id);
    }
}

static void end_round(balance_round *round)
{
    rmq_consumer *consumer = round->consumer;
    rmq_group *group = consumer->membership;
    int64_t next = round->failed ? AGAIN_MS : consumer->config.balance_ms;

    pthread_mutex_lock(&consumer->mu);
    free_given(consumer->given, consumer->given_count);
    consumer->given = round->given;
    consumer->given_count = round->count;
    pthread_mutex_unlock(&consumer->mu);
    round->given = NULL;
    round->count = 0;
    group->round = NULL;
    rmq_group_compare(consumer);
    rc_loop_timer_set(group->balance_timer, RC_MIN(next, consumer->config.balance_ms));
    if (group->again)
        start_round(consumer);
}

static void step_done(balance_step *step)
{
    balance_round *round = step->round;

    free(step);
    if (--round->pending > 0)
        return;
    if (round->consumer)
        end_round(round);
    free_given(round->given, round->count);
    free(round);
}

static size_t readable_queues(const rmq_route *route)
{
    size_t count = 0;

    for (size_t i = 0; i < route->queue_count; i++)
        count += route->queues[i].perm & 4 ? (size_t)RC_MAX(route->queues[i].read, 0) : 0;
    return count;
}

/* Queues [first, first + count) of the sorted list; routes are sorted by broker already. */
static void give_range(balance_round *round, rmq_subscription *sub, const rmq_route *route,
                       size_t first, size_t count)
{
    size_t at = 0;

    for (size_t i = 0; i < route->queue_count; i++) {
        const rmq_route_queues *q = &route->queues[i];

        for (int32_t id = 0; (q->perm & 4) && id < q->read; id++, at++) {
            if (at >= first && at < first + count)
                give(round, sub, route->brokers[q->broker].name, id);
        }
    }
}

static int by_bytes(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;

    return strcmp(*x, *y);
}

/* Own place among the members; false: we are not one (yet). */
static bool find_place(json_t *ids, const char *own, size_t *ret_index, size_t *ret_members)
{
    RC_AUTO_FREE const char **sorted = rc_calloc(json_array_size(ids) + 1, sizeof *sorted);
    size_t count = 0, unique = 0;
    bool found = false;

    for (size_t i = 0; i < json_array_size(ids); i++) {
        const char *id = json_string_value(json_array_get(ids, i));

        if (id)
            sorted[count++] = id;
    }
    qsort(sorted, count, sizeof *sorted, by_bytes);
    for (size_t i = 0; i < count; i++) {
        if (unique > 0 && strcmp(sorted[unique - 1], sorted[i]) == 0)
            continue;
        if (strcmp(sorted[i], own) == 0) {
            *ret_index = unique;
            found = true;
        }
        sorted[unique++] = sorted[i];
    }
    *ret_members = unique;
    return found;
}

static void split(balance_step *step, json_t *ids)
{
    rmq_consumer *consumer = step->round->consumer;
    const rmq_route *route = rmq_route_known(consumer->client, step->sub->wire);
    size_t index, members, first, count;

    if (!route || !find_place(ids, rmq_client_id(consumer->client), &index, &members)) {
        keep_topic(step->round, step->sub);
        rmq_heartbeat_now(consumer->client);
        return;
    }
    rmq_allocate(readable_queues(route), members, index, &first, &count);
    give_range(step->round, step->sub, route, first, count);
}

static void on_members(void *arg, const rmq_reply *reply)
{
    balance_step *step = arg;
    rmq_consumer *consumer = step->round->consumer;
    json_t *body = NULL;

    if (!consumer) {
        step_done(step);
        return;
    }
    if (reply->result < 0 || reply->frame->header.code != RMQ_R_SUCCESS ||
        rmq_json_parse(reply->frame->body, &body, NULL) < 0) {
        if (reply->result == 0) /* nobody is a member there: we should be one */
            rmq_heartbeat_now(consumer->client);
        keep_topic(step->round, step->sub);
    } else {
        split(step, json_object_get(body, "consumerIdList"));
    }
    json_decref(body);
    step_done(step);
}

/* Any broker of the topic knows all members; the next one is asked when one fails. */
static const rmq_route_broker *pick_broker(const rmq_group *group, const rmq_route *route)
{
    for (size_t i = 0; i < route->broker_count; i++) {
        const rmq_route_broker *broker =
            &route->brokers[(group->attempts + i) % route->broker_count];

        if (broker->node_count > 0)
            return broker;
    }
    return NULL;
}

static void ask_members(balance_step *step, const rmq_route *route)
{
    rmq_consumer *consumer = step->round->consumer;
    const rmq_route_broker *broker = pick_broker(consumer->membership, route);
    const rmq_field fields[] = {{{"consumerGroup", 13}, omc_slice_str(consumer->group)},
                                {{"bname", 5}, omc_slice_str(broker ? broker->name : "")}};
    const rmq_request request = {.code = RMQ_GET_CONSUMER_LIST_BY_GROUP,
                                 .fields = fields,
                                 .field_count = RC_COUNT(fields),
                                 .timeout_ms =
                                     rmq_client_settings(consumer->client)->request_timeout_ms,
                                 .done = on_members,
                                 .arg = step};

    if (!broker) {
        keep_topic(step->round, step->sub);
        step_done(step);
        return;
    }
    rmq_remote_call(rmq_client_remote(consumer->client, broker->nodes[0].address, RMQ_CONN_MAIN),
                    &request);
}

static void on_route(void *arg, rmq_route *route, const rc_error *err)
{
    balance_step *step = arg;
    rmq_consumer *consumer = step->round->consumer;

    if (consumer && !route)
        route = rmq_route_known(consumer->client, step->sub->wire);
    if (consumer && route && readable_queues(route) > 0) {
        ask_members(step, route);
        return;
    }
    /* The retry topic comes with the first heartbeat. A topic whose brokers are all down looks
     * like a deleted one; its queues wait for them. */
    if (consumer && !(step->sub->retry && err && err->code == OMC_ENOTFOUND))
        keep_topic(step->round, step->sub);
    step_done(step);
}

static void start_round(rmq_consumer *consumer)
{
    rmq_group *group = consumer->membership;
    int64_t age = RC_MIN(consumer->config.balance_ms / 2, 5000);
    rmq_subscription *sub;
    balance_step *mine = rc_calloc(1, sizeof *mine);

    group->again = group->round != NULL;
    if (group->again || consumer->closing) {
        free(mine);
        return;
    }
    rc_loop_timer_set(group->balance_timer, -1);
    group->attempts++;
    group->round = rc_calloc(1, sizeof *group->round);
    group->round->consumer = consumer;
    group->round->pending = 1; /* this function */
    mine->round = group->round;
    DL_FOREACH(consumer->subs, sub)
    {
        balance_step *next = rc_calloc(1, sizeof *next);

        *next = (balance_step){mine->round, sub};
        mine->round->pending++;
        rmq_route_ask(consumer->client, sub->wire, age, on_route, next);
    }
    step_done(mine);
}

static void on_balance_timer(void *arg)
{
    start_round(arg);
}

/* ---- membership ------------------------------------------------------------------------------ */

static const char *consume_from(enum rmq_start_at start)
{
    static const char *const names[] = {"CONSUME_FROM_FIRST_OFFSET", "CONSUME_FROM_LAST_OFFSET",
                                        "CONSUME_FROM_TIMESTAMP"};

    return names[start];
}

static json_t *heartbeat(void *arg)
{
    rmq_consumer *consumer = arg;
    json_t *subs = json_array();
    rmq_subscription *sub;

    DL_FOREACH(consumer->subs, sub)
    json_array_append_new(subs, rmq_subscription_json(sub));
    return json_pack("{s:s, s:s, s:s, s:s, s:b, s:o}", "groupName", consumer->group, "consumeType",
                     "CONSUME_PASSIVELY", "messageModel", "CLUSTERING", "consumeFromWhere",
                     consume_from(consumer->config.start), "unitMode", 0, "subscriptionDataSet",
                     subs);
}

static void members_changed(void *arg)
{
    start_round(arg);
}

static void known_at(void *arg, const char *address)
{
    (void)address;
    start_round(arg);
}

static void on_commit_timer(void *arg)
{
    rmq_consumer *consumer = arg;
    rmq_tap *tap, *tmp;

    atomic_store(&consumer->membership->commit_due, false);
    HASH_ITER(hh, consumer->taps, tap, tmp)
    rmq_tap_commit(tap);
}

static void arm_commit(void *arg)
{
    rmq_consumer *consumer = arg;

    rc_loop_timer_set(consumer->membership->commit_timer, consumer->config.commit_ms);
}

void rmq_group_released(rmq_consumer *consumer)
{
    if (consumer->config.commit_ms > 0 && !atomic_exchange(&consumer->membership->commit_due, true))
        rmq_client_post(consumer->client, arm_commit, consumer);
}

void rmq_group_progress(rmq_consumer *consumer)
{
    if (consumer->config.commit_ms > 0 && !atomic_exchange(&consumer->membership->commit_due, true))
        arm_commit(consumer);
}

static void add_retry(rmq_consumer *consumer)
{
    rmq_subscription *sub = rc_calloc(1, sizeof *sub);

    sub->refs = 1;
    sub->wire = rc_format("%%RETRY%%%s", consumer->group);
    sub->topic = rc_format("%%RETRY%%%s", consumer->group + strlen(consumer->prefix));
    sub->expression = rc_strdup("*");
    (void)snprintf(sub->version, sizeof sub->version, "1");
    sub->retry = true;
    pthread_mutex_lock(&consumer->mu);
    DL_APPEND(consumer->subs, sub);
    pthread_mutex_unlock(&consumer->mu);
}

static void join(rmq_consumer *consumer)
{
    rmq_group *group = rc_calloc(1, sizeof *group);
    rc_loop *loop = rmq_client_loop(consumer->client);

    consumer->membership = group;
    group->consumer = consumer;
    pthread_mutex_init(&group->mu, NULL);
    rc_cond_init(&group->cond);
    RC_ASSERT(rc_loop_timer_new(loop, on_balance_timer, consumer, &group->balance_timer) == 0);
    RC_ASSERT(rc_loop_timer_new(loop, on_commit_timer, consumer, &group->commit_timer) == 0);
    add_retry(consumer);
    group->member = (rmq_member){.group = consumer->group,
                                 .consumer = true,
                                 .heartbeat = heartbeat,
                                 .changed = members_changed,
                                 .asked = rmq_group_asked,
                                 .known_at = known_at,
                                 .arg = consumer};
    rmq_member_add(consumer->client, &group->member);
}

void rmq_group_subscribe(rmq_consumer *consumer, rmq_subscription *sub)
{
    (void)sub;
    if (!consumer->membership) {
        join(consumer);
    } else {
        rmq_heartbeat_now(consumer->client);
    }
    start_round(consumer);
}

static void on_left(void *arg)
{
    rmq_group *group = arg;

    pthread_mutex_lock(&group->mu);
    group->left = true;
    pthread_cond_signal(&group->cond);
    pthread_mutex_unlock(&group->mu);
}

static void leave_io(void *arg)
{
    rmq_consumer *consumer = arg;
    rmq_group *group = consumer->membership;

    rc_loop_timer_free(group->balance_timer);
    rc_loop_timer_free(group->commit_timer);
    if (group->round)
        group->round->consumer = NULL;
    rmq_member_remove(consumer->client, &group->member, on_left, group);
}

typedef struct last_words {
    rmq_consumer *consumer;
    rc_error err;
} last_words;

static void say_uncommitted(void *arg)
{
    const last_words *last = arg;

    rmq_client_say(last->consumer->client, RMQ_LOG_WARN,
                   "group %s: an offset could not be committed at the end, its messages will come "
                   "again: %s",
                   last->consumer->group, last->err.msg);
}

void rmq_group_leave(rmq_consumer *consumer)
{
    rmq_group *group = consumer->membership;
    last_words last = {.consumer = consumer};

    if (!group)
        return;
    if (rmq_consumer_commit_all(consumer, &last.err) < 0)
        rmq_client_run(consumer->client, say_uncommitted, &last);
    rmq_client_run(consumer->client, leave_io, consumer);
    pthread_mutex_lock(&group->mu);
    while (!group->left)
        (void)rc_clock_real()->wait(rc_clock_real(), &group->cond, &group->mu, INT64_MAX);
    pthread_mutex_unlock(&group->mu);
    pthread_cond_destroy(&group->cond);
    pthread_mutex_destroy(&group->mu);
    free(RC_TAKE(consumer->membership));
}

/* ---- telling the application ----------------------------------------------------------------- */

typedef struct plan {
    rmq_consumer *consumer;
    rmq_tap **revoked;
    size_t revoked_count;
    rmq_given *given; /* brokers are copies */
    size_t given_count;
    rmq_queue *queues; /* revoked, then given */
} plan;

static bool is_read(rmq_consumer *consumer, const rmq_given *given)
{
    rmq_tap *tap = rmq_tap_find(consumer, given->sub->topic, given->broker, given->id);

    return tap && !tap->revoked;
}

static void make_plan(rmq_consumer *consumer, plan *ret)
{
    rmq_tap *tap, *tmp;

    pthread_mutex_lock(&consumer->mu);
    ret->consumer = consumer;
    ret->revoked = rc_calloc(HASH_COUNT(consumer->taps) + 1, sizeof(rmq_tap *));
    ret->given = rc_calloc(consumer->given_count + 1, sizeof *ret->given);
    ret->queues =
        rc_calloc(HASH_COUNT(consumer->taps) + consumer->given_count + 1, sizeof *ret->queues);
    HASH_ITER(hh, consumer->taps, tap, tmp)
    {
        if (!tap->revoked)
            continue;
        ret->queues[ret->revoked_count] = tap->queue;
        ret->revoked[ret->revoked_count++] = tap;
    }
    for (size_t i = 0; i < consumer->given_count; i++) {
        rmq_given *given = &ret->given[ret->given_count];

        if (is_read(consumer, &consumer->given[i]))
            continue;
        *given = consumer->given[i];
        given->broker = rc_strdup(given->broker);
        ret->queues[ret->revoked_count + ret->given_count++] =
            (rmq_queue){given->sub->topic, given->broker, given->id};
    }
    pthread_mutex_unlock(&consumer->mu);
}

static int64_t take_reset(const rmq_tap *tap)
{
    return tap ? tap->reset_to : -1;
}

static void apply_io(void *arg)
{
    plan *p = arg;
    rmq_consumer *consumer = p->consumer;

    for (size_t i = 0; i < p->given_count; i++) {
        const rmq_given *given = &p->given[i];
        rmq_tap *old = rmq_tap_find(consumer, given->sub->topic, given->broker, given->id);
        int64_t offset = take_reset(old);

        if (old) {
            rmq_tap_commit(old);
            for (size_t k = 0; k < p->revoked_count; k++)
                p->revoked[k] = p->revoked[k] == old ? NULL : p->revoked[k];
            rmq_tap_remove(old);
        }
        rmq_tap_kick(rmq_tap_new(consumer, given->sub, given->broker, given->id, offset));
    }
    for (size_t i = 0; i < p->revoked_count; i++) {
        if (!p->revoked[i])
            continue;
        rmq_tap_commit(p->revoked[i]);
        rmq_tap_remove(p->revoked[i]);
    }
    rmq_group_compare(consumer); /* another round may have ended meanwhile */
}

void rmq_group_apply(rmq_consumer *consumer)
{
    plan p = {0};

    make_plan(consumer, &p);
    if (consumer->config.balanced && p.revoked_count + p.given_count > 0) {
        consumer->in_callback = true;
        consumer->config.balanced(consumer->config.arg, p.queues, p.revoked_count,
                                  p.queues + p.revoked_count, p.given_count);
        consumer->in_callback = false;
    }
    rmq_client_run(consumer->client, apply_io, &p);
    free_given(p.given, p.given_count);
    free(p.revoked);
    free(p.queues);
}
