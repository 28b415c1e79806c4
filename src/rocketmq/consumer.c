/* SPDX-License-Identifier: Apache-2.0 */
/* Life of a consumer and its queues. Everything that changes a queue runs on the I/O thread. */
#include "rocketmq/consumer_impl.h"

#include <stdio.h>
#include <utlist.h>

/* ---- open and close -------------------------------------------------------------------------- */

static void set_defaults(rmq_consumer_config *config)
{
    if (config->buffer_bytes == 0)
        config->buffer_bytes = (size_t)16 << 20;
    if (config->pull_count <= 0)
        config->pull_count = 1024;
    if (config->poll_ms <= 0)
        config->poll_ms = 15000;
    if (config->lost_ms <= 0)
        config->lost_ms = 5000;
    if (config->commit_ms == 0)
        config->commit_ms = 5000;
    if (config->balance_ms <= 0)
        config->balance_ms = 20000;
}

static int check(const rmq_consumer_config *config, rc_error *err)
{
    if (!config->group || !config->group[0])
        return rc_fail(err, OMC_EINVAL,
                       "consumer: no group is set; brokers keep offsets and filters by group");
    if (config->poll_ms > 3600000)
        return rc_fail(err, OMC_EINVAL,
                       "consumer of group %s: poll_ms is %lld, at most 3600000 (an hour) is "
                       "possible",
                       config->group, (long long)config->poll_ms);
    return rmq_name_check("consumer group", config->group, 120, err);
}

static void make_texts(rmq_consumer *consumer)
{
    const rmq_consumer_config *config = &consumer->config;

    (void)snprintf(consumer->pull_count, sizeof consumer->pull_count, "%d", config->pull_count);
    (void)snprintf(consumer->poll_ms, sizeof consumer->poll_ms, "%lld", (long long)config->poll_ms);
    (void)snprintf(consumer->pull_bytes, sizeof consumer->pull_bytes, "%zu",
                   RC_MIN(RMQ_PULL_BYTES_MAX, config->buffer_bytes));
}

static void open_io(void *arg)
{
    rmq_consumer *consumer = arg;

    RC_ASSERT(rc_loop_timer_new(rmq_client_loop(consumer->client), rmq_consumer_on_timer, consumer,
                                &consumer->timer) == 0);
}

int rmq_consumer_open(rmq_client *client, const rmq_consumer_config *config, rmq_consumer **ret,
                      rmq_error *err)
{
    rmq_consumer *consumer;
    const char *name_space = rmq_client_settings(client)->name_space;
    char wire[256];
    int r = check(config, err);

    if (r < 0)
        return r;
    consumer = rc_calloc(1, sizeof *consumer);
    consumer->config = *config;
    set_defaults(&consumer->config);
    r = rc_wake_init(&consumer->wake, err);
    if (r < 0) {
        free(consumer);
        return rc_wrap(err, r, "consumer of group %s", config->group);
    }
    pthread_mutex_init(&consumer->mu, NULL);
    make_texts(consumer);
    consumer->client = client;
    consumer->group = rc_strdup(rmq_client_wire_name(client, config->group, wire));
    consumer->config.group = consumer->group;
    consumer->prefix = name_space && name_space[0] ? rc_format("%s%%", name_space) : rc_strdup("");
    rmq_client_hold(client);
    rmq_client_run(client, open_io, consumer);
    *ret = consumer;
    return 0;
}

static void stop_io(void *arg)
{
    rmq_consumer *consumer = arg;
    rmq_tap *tap, *tmp;

    consumer->closing = true;
    HASH_ITER(hh, consumer->taps, tap, tmp)
    rmq_tap_silence(tap);
}

static void close_io(void *arg)
{
    rmq_consumer *consumer = arg;
    rmq_tap *tap, *tmp;

    HASH_ITER(hh, consumer->taps, tap, tmp)
    rmq_tap_remove(tap);
    rc_loop_timer_free(consumer->timer);
}

static void free_consumer(rmq_consumer *consumer)
{
    rmq_subscription *sub, *tmp;

    DL_FOREACH_SAFE(consumer->subs, sub, tmp)
    {
        if (--sub->refs == 0)
            rmq_subscription_free(sub);
    }
    for (size_t i = 0; i < consumer->given_count; i++)
        free(consumer->given[i].broker);
    free(consumer->given);
    rmq_consumer_drop_spare(consumer);
    free(consumer->assignment);
    rc_wake_release(&consumer->wake);
    pthread_mutex_destroy(&consumer->mu);
    free(consumer->group);
    free(consumer->prefix);
    free(consumer);
}

void rmq_consumer_close(rmq_consumer *consumer)
{
    rmq_client *client;

    if (!consumer)
        return;
    RC_ASSERT(consumer->open_fetches == 0 && !consumer->in_callback);
    client = consumer->client;
    rmq_client_run(client, stop_io, consumer);
    rmq_group_leave(consumer);
    rmq_client_run(client, close_io, consumer);
    free_consumer(consumer);
    rmq_client_let_go(client);
}

/* ---- queues of an assigned consumer ---------------------------------------------------------- */

static int want_assigned(rmq_consumer *consumer, const char *what, rc_error *err)
{
    if (consumer->group_mode || consumer->in_callback)
        return rc_fail(err, OMC_ESTATE,
                       "consumer of group %s: %s is for assigned queues; this consumer has "
                       "subscribed, and its queues are given by the group",
                       consumer->group, what);
    return 0;
}

static int no_such_queue(const rmq_consumer *consumer, const rmq_queue *queue, const char *what,
                         rc_error *err)
{
    return rc_fail(err, OMC_ENOTFOUND,
                   "%s: topic %s, queue %d of broker %s is not read by this consumer of group %s",
                   what, queue->topic, queue->id, queue->broker, consumer->group);
}

typedef struct control {
    rmq_consumer *consumer;
    const rmq_queue *queue;
    rmq_subscription *sub;
    int64_t offset;
    bool paused;
} control;

static rmq_subscription *subscription_of(const rmq_consumer *consumer, const char *topic)
{
    rmq_subscription *sub;

    DL_FOREACH(consumer->subs, sub)
    {
        if (strcmp(sub->topic, topic) == 0)
            return sub;
    }
    return NULL;
}

static void put_subscription(rmq_consumer *consumer, rmq_subscription *sub)
{
    rmq_subscription *old = subscription_of(consumer, sub->topic);

    pthread_mutex_lock(&consumer->mu);
    if (old) {
        DL_DELETE(consumer->subs, old);
        if (--old->refs == 0)
            rmq_subscription_free(old);
    }
    DL_APPEND(consumer->subs, sub);
    pthread_mutex_unlock(&consumer->mu);
}

static void add_io(void *arg)
{
    control *c = arg;

    if (c->sub)
        put_subscription(c->consumer, c->sub);
    rmq_tap_kick(rmq_tap_new(c->consumer, subscription_of(c->consumer, c->queue->topic),
                             c->queue->broker, c->queue->id, c->offset));
}

typedef struct route_look {
    const rmq_queue *queue;
    bool broker, found;
    int32_t queues;
} route_look;

static void look_for_queue(void *arg, const rmq_route *route)
{
    route_look *look = arg;

    look->broker = look->found = false;
    for (size_t i = 0; i < route->queue_count; i++) {
        const rmq_route_queues *q = &route->queues[i];

        if (strcmp(route->brokers[q->broker].name, look->queue->broker) != 0)
            continue;
        look->broker = true;
        look->queues = q->read;
        look->found = look->queue->id >= 0 && look->queue->id < q->read;
    }
}

/* The route we have is enough when the queue is in it; a miss is looked at afresh. */
static int check_queue(const rmq_consumer *consumer, const rmq_queue *queue, rc_error *err)
{
    route_look look = {.queue = queue};
    char wire[256];
    const char *topic = rmq_client_wire_name(consumer->client, queue->topic, wire);
    int r = rmq_client_route(consumer->client, topic, INT64_MAX, look_for_queue, &look, err);

    if (r == 0 && !look.found)
        r = rmq_client_route(consumer->client, topic, 0, look_for_queue, &look, err);
    if (r < 0)
        return rc_wrap(err, r, "adding topic %s, queue %d of broker %s", queue->topic, queue->id,
                       queue->broker);
    if (look.found)
        return 0;
    if (look.broker)
        return rc_fail(err, OMC_ENOTFOUND,
                       "topic %s has no queue %d on broker %s: it has %d queues for reading there",
                       queue->topic, queue->id, queue->broker, look.queues);
    return rc_fail_retriable(err, OMC_ENOTFOUND,
                             "topic %s has no queue on broker %s, as far as the name server knows: "
                             "the broker is down, or never had the topic",
                             queue->topic, queue->broker);
}

int rmq_consumer_add(rmq_consumer *consumer, const rmq_queue *queue, int64_t offset, rmq_error *err)
{
    control c = {.consumer = consumer, .queue = queue, .offset = RC_MAX(offset, 0)};
    int r = want_assigned(consumer, "adding a queue", err);

    if (r < 0)
        return r;
    r = rmq_name_check("topic", queue->topic, 255, err);
    if (r < 0)
        return r;
    if (rmq_tap_find(consumer, queue->topic, queue->broker, queue->id))
        return rc_fail(err, OMC_EEXIST,
                       "topic %s, queue %d of broker %s is read already by this consumer of group "
                       "%s",
                       queue->topic, queue->id, queue->broker, consumer->group);
    r = check_queue(consumer, queue, err);
    if (r < 0)
        return r;
    if (!subscription_of(consumer, queue->topic))
        r = rmq_subscription_new(consumer->client, queue->topic, RMQ_FILTER_TAG, "*", &c.sub, err);
    if (r < 0)
        return r;
    consumer->assigned_mode = true;
    rmq_client_run(consumer->client, add_io, &c);
    return 0;
}

static void remove_io(void *arg)
{
    control *c = arg;

    rmq_tap_remove(rmq_tap_find(c->consumer, c->queue->topic, c->queue->broker, c->queue->id));
}

static void seek_io(void *arg)
{
    control *c = arg;

    rmq_tap_restart(rmq_tap_find(c->consumer, c->queue->topic, c->queue->broker, c->queue->id),
                    c->offset);
}

static void pause_io(void *arg)
{
    control *c = arg;
    rmq_tap *tap = rmq_tap_find(c->consumer, c->queue->topic, c->queue->broker, c->queue->id);

    pthread_mutex_lock(&c->consumer->mu);
    tap->paused = c->paused;
    rmq_tap_unstall(tap);
    if (c->paused)
        rmq_tap_unready(tap);
    else
        rmq_tap_ready(tap);
    pthread_mutex_unlock(&c->consumer->mu);
    rmq_tap_kick(tap);
}

/* Queues are added and removed by this thread only: what is found here is there on the other. */
static int run_control(const char *what, void (*fn)(void *), control *c, rc_error *err)
{
    int r = want_assigned(c->consumer, what, err);

    if (r < 0)
        return r;
    if (!rmq_tap_find(c->consumer, c->queue->topic, c->queue->broker, c->queue->id))
        return no_such_queue(c->consumer, c->queue, what, err);
    rmq_client_run(c->consumer->client, fn, c);
    return 0;
}

int rmq_consumer_remove(rmq_consumer *consumer, const rmq_queue *queue, rmq_error *err)
{
    control c = {.consumer = consumer, .queue = queue};

    return run_control("removing", remove_io, &c, err);
}

int rmq_consumer_seek(rmq_consumer *consumer, const rmq_queue *queue, int64_t offset,
                      rmq_error *err)
{
    control c = {.consumer = consumer, .queue = queue, .offset = RC_MAX(offset, 0)};

    return run_control("seeking", seek_io, &c, err);
}

int rmq_consumer_pause(rmq_consumer *consumer, const rmq_queue *queue, bool paused, rmq_error *err)
{
    control c = {.consumer = consumer, .queue = queue, .paused = paused};

    return run_control(paused ? "pausing" : "going on", pause_io, &c, err);
}

/* ---- subscriptions --------------------------------------------------------------------------- */

static void filter_io(void *arg)
{
    control *c = arg;

    put_subscription(c->consumer, c->sub);
}

typedef struct broker_address {
    char text[RMQ_ADDRESS_MAX];
} broker_address;

static void pick_broker(void *arg, const rmq_route *route)
{
    broker_address *ret = arg;

    for (size_t i = 0; i < route->broker_count && !ret->text[0]; i++) {
        if (route->brokers[i].node_count > 0)
            (void)snprintf(ret->text, sizeof ret->text, "%s", route->brokers[i].nodes[0].address);
    }
}

/* A broker that cannot read the expression would refuse every pull: it is asked before (46). */
static int check_expression(const rmq_consumer *consumer, const rmq_subscription *sub,
                            const char *address, rc_error *err)
{
    json_t *body =
        json_pack("{s:s, s:s, s:o}", "clientId", rmq_client_id(consumer->client), "group",
                  consumer->group, "subscriptionData", rmq_subscription_json(sub));
    RC_AUTO_FREE char *text = json_dumps(body, JSON_COMPACT);
    const rc_iovec part = {text, strlen(text)};
    const rmq_request request = {.code = RMQ_CHECK_CLIENT_CONFIG,
                                 .body = &part,
                                 .body_parts = 1,
                                 .timeout_ms =
                                     rmq_client_settings(consumer->client)->request_timeout_ms};
    rmq_answer answer = {0};
    int r;

    json_decref(body);
    r = rmq_client_call(consumer->client, address, &request, &answer);
    if (r < 0) {
        *err = answer.err;
        (void)rc_wrap(err, r, "checking the expression of topic %s", sub->topic);
    } else if (answer.frame.header.code != RMQ_R_SUCCESS) {
        RC_AUTO_FREE char *what =
            rc_format("the broker %s refuses the expression \"%s\" for topic %s", address,
                      sub->expression, sub->topic);

        (void)rmq_fail_response(err, answer.frame.header.code, answer.frame.header.remark, what);
        err->code = OMC_EINVAL;
        r = -OMC_EINVAL;
    }
    rmq_answer_release(&answer);
    return r;
}

/* Brokers answer pulls with a broken expression as if there were none (seen with 5.5.0), so it is
 * checked before. */
static int check_sql(const rmq_consumer *consumer, const rmq_subscription *sub, rc_error *err)
{
    broker_address address = {""};
    int r = rmq_client_route(consumer->client, sub->wire, 10000, pick_broker, &address, err);

    return r < 0 ? rc_wrap(err, r, "filter of topic %s", sub->topic)
                 : check_expression(consumer, sub, address.text, err);
}

int rmq_consumer_filter(rmq_consumer *consumer, const char *topic, enum rmq_filter filter,
                        const char *expression, rmq_error *err)
{
    control c = {.consumer = consumer};
    rc_error why = {0};
    int r = want_assigned(consumer, "setting a filter", err);

    if (r == 0)
        r = rmq_name_check("topic", topic, 255, err);
    if (r == 0)
        r = rmq_subscription_new(consumer->client, topic, filter, expression, &c.sub, err);
    if (r < 0)
        return r;
    RC_ASSERT(c.sub);
    if (filter == RMQ_FILTER_SQL92 && (r = check_sql(consumer, c.sub, &why)) < 0) {
        rmq_subscription_free(c.sub);
        if (err)
            *err = why;
        return r;
    }
    consumer->assigned_mode = true;
    rmq_client_run(consumer->client, filter_io, &c);
    return 0;
}

static void subscribe_io(void *arg)
{
    control *c = arg;

    put_subscription(c->consumer, c->sub);
    rmq_group_subscribe(c->consumer, c->sub);
}

static int check_subscribe(const rmq_consumer *consumer, const char *topic, rc_error *err)
{
    if (consumer->assigned_mode || consumer->in_callback)
        return rc_fail(err, OMC_ESTATE,
                       "consumer of group %s: it reads assigned queues and cannot subscribe to "
                       "topic %s; open another consumer for that",
                       consumer->group, topic);
    if (subscription_of(consumer, topic))
        return rc_fail(err, OMC_EEXIST, "consumer of group %s: topic %s is subscribed already",
                       consumer->group, topic);
    return rmq_name_check("topic", topic, 255, err);
}

int rmq_consumer_subscribe(rmq_consumer *consumer, const char *topic, enum rmq_filter filter,
                           const char *expression, rmq_error *err)
{
    control c = {.consumer = consumer};
    broker_address address = {""};
    rc_error why = {0};
    int r = check_subscribe(consumer, topic, err);

    if (r == 0)
        r = rmq_subscription_new(consumer->client, topic, filter, expression, &c.sub, err);
    if (r < 0)
        return r;
    RC_ASSERT(c.sub);
    r = rmq_client_route(consumer->client, c.sub->wire, 10000, pick_broker, &address, &why);
    if (r < 0)
        (void)rc_wrap(&why, r, "subscribing to topic %s", topic);
    else if (filter == RMQ_FILTER_SQL92)
        r = check_expression(consumer, c.sub, address.text, &why);
    if (r < 0) {
        rmq_subscription_free(c.sub);
        if (err)
            *err = why;
        return r;
    }
    consumer->group_mode = true;
    rmq_client_run(consumer->client, subscribe_io, &c);
    return 0;
}

/* ---- looking at it --------------------------------------------------------------------------- */

const rmq_queue *rmq_consumer_assignment(rmq_consumer *consumer, size_t *ret_count)
{
    rmq_tap *tap, *tmp;
    size_t count = 0;

    pthread_mutex_lock(&consumer->mu);
    consumer->assignment = rc_realloc(consumer->assignment, (HASH_COUNT(consumer->taps) + 1) *
                                                                sizeof *consumer->assignment);
    HASH_ITER(hh, consumer->taps, tap, tmp)
    {
        if (!tap->revoked)
            consumer->assignment[count++] = tap->queue;
    }
    pthread_mutex_unlock(&consumer->mu);
    *ret_count = count;
    return consumer->assignment;
}

int rmq_consumer_commit(rmq_consumer *consumer, rmq_error *err)
{
    if (!consumer->group_mode)
        return rc_fail(err, OMC_ESTATE,
                       "consumer of group %s: offsets of assigned queues belong to the caller; "
                       "nothing to commit",
                       consumer->group);
    return rmq_consumer_commit_all(consumer, err);
}

int64_t rmq_consumer_lag(rmq_consumer *consumer)
{
    rmq_tap *tap, *tmp;
    int64_t lag = 0;

    pthread_mutex_lock(&consumer->mu);
    HASH_ITER(hh, consumer->taps, tap, tmp)
    {
        if (tap->position >= 0 && tap->max_offset > tap->position)
            lag += tap->max_offset - tap->position;
    }
    pthread_mutex_unlock(&consumer->mu);
    return lag;
}

void rmq_consumer_trim(rmq_consumer *consumer)
{
    rmq_consumer_drop_spare(consumer);
    free(RC_TAKE(consumer->assignment));
}
