/* SPDX-License-Identifier: Apache-2.0 */
/* Offsets of a group on the brokers: where a new queue begins, and commits (protocol §9). */
#include "rocketmq/consumer_impl.h"

#include <inttypes.h>
#include <stdio.h>

#define FIELD(name, text)                              \
    {                                                  \
        {name, sizeof name - 1}, omc_slice_str((text)) \
    }

static const char *address_of(const rmq_tap *tap)
{
    const rmq_route *route = rmq_route_known(tap->consumer->client, tap->sub->wire);

    return route ? rmq_route_reader(route, tap->queue.broker, tap->queue.id, 0) : NULL;
}

static int64_t request_timeout(const rmq_tap *tap)
{
    return rmq_client_settings(tap->consumer->client)->request_timeout_ms;
}

static rmq_remote *remote_of(const rmq_tap *tap, const char *address)
{
    return rmq_client_remote(tap->consumer->client, address, RMQ_CONN_MAIN);
}

static int no_broker(const rmq_tap *tap, const char *what, rc_error *err)
{
    return rc_fail_retriable(err, OMC_ECONNECT,
                             "%s of group %s, topic %s, queue %d: broker %s is not in the route of "
                             "the topic; is it running?",
                             what, tap->consumer->group, tap->sub->wire, tap->queue.id,
                             tap->queue.broker);
}

/* ---- where a new queue begins ---------------------------------------------------------------- */

/* A question for an offset; outlives the tap. */
typedef struct offset_question {
    rmq_tap *tap;
    int code;
} offset_question;

static void on_offset(void *arg, const rmq_reply *reply);

static void ask_offset(rmq_tap *tap, int code, const char *address)
{
    offset_question *question = rc_calloc(1, sizeof *question);
    char id[16], time[24];
    (void)snprintf(id, sizeof id, "%d", tap->queue.id);
    (void)snprintf(time, sizeof time, "%" PRId64, tap->consumer->config.start_ms);
    const rmq_field fields[] = {
        FIELD("topic", tap->sub->wire),      FIELD("queueId", id),
        FIELD("bname", rmq_tap_broker(tap)), FIELD("consumerGroup", tap->consumer->group),
        FIELD("setZeroIfNotFound", "false"),
    };
    const rmq_field by_time[] = {
        fields[0],
        fields[1],
        fields[2],
        FIELD("timestamp", time),
    };
    rmq_request request = {.code = code,
                           .fields = fields,
                           .field_count = code == RMQ_QUERY_CONSUMER_OFFSET ? 5 : 3,
                           .timeout_ms = request_timeout(tap),
                           .done = on_offset,
                           .arg = question};

    if (code == RMQ_SEARCH_OFFSET_BY_TIMESTAMP) {
        request.fields = by_time;
        request.field_count = RC_COUNT(by_time);
    }
    question->tap = tap;
    question->code = code;
    tap->asking = &question->tap;
    rmq_remote_call(remote_of(tap, address), &request);
}

static void begin_at(rmq_tap *tap, int64_t offset, bool stored)
{
    rmq_consumer *consumer = tap->consumer;

    pthread_mutex_lock(&consumer->mu);
    tap->position = tap->consumed = offset;
    tap->committed = stored ? offset : -1;
    pthread_mutex_unlock(&consumer->mu);
    tap->pull_offset = offset;
    tap->backoff_ms = 0;
    /* A start that nobody has stored is committed, else a restart before the first message would
     * begin at a later end and skip what came between. */
    if (!stored)
        rmq_group_progress(consumer);
    rmq_tap_kick(tap);
}

/* Retries are always read from their beginning; so is FIRST: the broker corrects 0 by itself. */
static void follow_start_rule(rmq_tap *tap)
{
    enum rmq_start_at start = tap->sub->retry ? RMQ_START_FIRST : tap->consumer->config.start;
    const char *address = address_of(tap);
    rc_error err = {0};

    if (start == RMQ_START_FIRST) {
        begin_at(tap, 0, false);
    } else if (!address) {
        (void)no_broker(tap, "first offset", &err);
        tap->fresh_route = true;
        rmq_tap_retry(tap, &err);
    } else {
        ask_offset(tap,
                   start == RMQ_START_LAST ? RMQ_GET_MAX_OFFSET : RMQ_SEARCH_OFFSET_BY_TIMESTAMP,
                   address);
    }
}

static void offset_came(rmq_tap *tap, int code, const rmq_header *header)
{
    rc_error err = {0};
    int64_t offset;

    if (code == RMQ_QUERY_CONSUMER_OFFSET && header->code == RMQ_R_QUERY_NOT_FOUND) {
        follow_start_rule(tap);
        return;
    }
    if (header->code != RMQ_R_SUCCESS) {
        RC_AUTO_FREE char *what =
            rc_format("asking broker %s for the offset of group %s, topic %s, queue %d",
                      tap->queue.broker, tap->consumer->group, tap->sub->wire, tap->queue.id);

        (void)rmq_fail_response(&err, header->code, header->remark, what);
        tap->fresh_route = true;
        rmq_tap_retry(tap, &err);
        return;
    }
    if (rmq_header_int(header, "offset", &offset, &err) < 0)
        rmq_tap_retry(tap, &err);
    else if (offset >= 0)
        begin_at(tap, offset, code == RMQ_QUERY_CONSUMER_OFFSET);
    else
        follow_start_rule(tap);
}

static void on_offset(void *arg, const rmq_reply *reply)
{
    offset_question *question = arg;
    rmq_tap *tap = question->tap;
    int code = question->code;

    free(question);
    if (!tap)
        return;
    tap->asking = NULL;
    if (reply->result < 0) {
        tap->fresh_route = true;
        rmq_tap_retry(tap, reply->err);
    } else {
        offset_came(tap, code, &reply->frame->header);
    }
}

void rmq_tap_locate(rmq_tap *tap, const rmq_route *route)
{
    const char *address = rmq_route_reader(route, tap->queue.broker, tap->queue.id, 0);
    rc_error err = {0};

    if (address) {
        ask_offset(tap, RMQ_QUERY_CONSUMER_OFFSET, address);
        return;
    }
    (void)no_broker(tap, "offset", &err);
    tap->fresh_route = true;
    rmq_tap_retry(tap, &err);
}

/* ---- commits --------------------------------------------------------------------------------- */

static void send_commit(rmq_tap *tap, const char *address, int64_t offset, rmq_reply_fn *done,
                        void *arg)
{
    char id[16], text[24];

    (void)snprintf(id, sizeof id, "%d", tap->queue.id);
    (void)snprintf(text, sizeof text, "%" PRId64, offset);
    const rmq_field fields[] = {
        FIELD("consumerGroup", tap->consumer->group),
        FIELD("topic", tap->sub->wire),
        FIELD("queueId", id),
        FIELD("commitOffset", text),
        FIELD("bname", rmq_tap_broker(tap)),
    };
    const rmq_request request = {.code = RMQ_UPDATE_CONSUMER_OFFSET,
                                 .fields = fields,
                                 .field_count = RC_COUNT(fields),
                                 .timeout_ms = request_timeout(tap),
                                 .oneway = arg == NULL,
                                 .done = done,
                                 .arg = arg};

    rmq_remote_call(remote_of(tap, address), &request);
}

static void commit_left(void *arg, const rmq_reply *reply)
{
    (void)arg;
    (void)reply; /* a lost one is made good by the next */
}

static int64_t to_commit(rmq_tap *tap)
{
    int64_t offset;

    pthread_mutex_lock(&tap->consumer->mu);
    offset = tap->reset_to >= 0 ? tap->reset_to : tap->consumed;
    if (offset == tap->committed)
        offset = -1;
    pthread_mutex_unlock(&tap->consumer->mu);
    return offset;
}

static void note_committed(rmq_tap *tap, int64_t offset)
{
    pthread_mutex_lock(&tap->consumer->mu);
    tap->committed = offset;
    pthread_mutex_unlock(&tap->consumer->mu);
}

void rmq_tap_commit(rmq_tap *tap)
{
    int64_t offset = to_commit(tap);
    const char *address = offset < 0 ? NULL : address_of(tap);

    if (!address)
        return;
    note_committed(tap, offset);
    send_commit(tap, address, offset, commit_left, NULL);
}

/* A commit of all queues that a thread waits for. */
typedef struct commit_all {
    rmq_consumer *consumer;
    pthread_mutex_t mu;
    pthread_cond_t cond;
    size_t pending;
    int result;
    rc_error err;
} commit_all;

typedef struct commit_one {
    commit_all *all;
    rmq_tap *tap; /* stays: queues are removed by the thread that waits */
    int64_t offset;
} commit_one;

static void commit_result(commit_all *all, int result, const rc_error *err)
{
    pthread_mutex_lock(&all->mu);
    if (result < 0 && all->result == 0) {
        all->result = result;
        all->err = *err;
    }
    if (--all->pending == 0)
        pthread_cond_signal(&all->cond);
    pthread_mutex_unlock(&all->mu);
}

static void on_committed(void *arg, const rmq_reply *reply)
{
    commit_one *one = arg;
    rmq_tap *tap = one->tap;
    rc_error err = {0};
    int r = reply->result;
    RC_AUTO_FREE char *what =
        rc_format("commit of offset %" PRId64 " of group %s, topic %s, queue %d at broker %s",
                  one->offset, tap->consumer->group, tap->sub->wire, tap->queue.id,
                  tap->queue.broker);

    if (r < 0) {
        err = *reply->err;
        (void)rc_wrap(&err, r, "%s", what);
    } else if (reply->frame->header.code != RMQ_R_SUCCESS) {
        r = rmq_fail_response(&err, reply->frame->header.code, reply->frame->header.remark, what);
    } else {
        note_committed(tap, one->offset);
    }
    commit_result(one->all, r, &err);
    free(one);
}

static void commit_all_io(void *arg)
{
    commit_all *all = arg;
    rmq_tap *tap, *tmp;

    all->pending = 1; /* this function */
    HASH_ITER(hh, all->consumer->taps, tap, tmp)
    {
        int64_t offset = to_commit(tap);
        const char *address = offset < 0 ? NULL : address_of(tap);
        rc_error err = {0};
        commit_one *one;

        if (offset < 0)
            continue;
        pthread_mutex_lock(&all->mu);
        all->pending++;
        pthread_mutex_unlock(&all->mu);
        if (!address) {
            commit_result(all, no_broker(tap, "commit", &err), &err);
            continue;
        }
        one = rc_malloc(sizeof *one);
        *one = (commit_one){all, tap, offset};
        send_commit(tap, address, offset, on_committed, one);
    }
    commit_result(all, 0, NULL);
}

int rmq_consumer_commit_all(rmq_consumer *consumer, rc_error *err)
{
    commit_all all = {.consumer = consumer};

    pthread_mutex_init(&all.mu, NULL);
    rc_cond_init(&all.cond);
    rmq_client_run(consumer->client, commit_all_io, &all);
    pthread_mutex_lock(&all.mu);
    while (all.pending > 0)
        (void)rc_clock_real()->wait(rc_clock_real(), &all.cond, &all.mu, INT64_MAX);
    pthread_mutex_unlock(&all.mu);
    pthread_cond_destroy(&all.cond);
    pthread_mutex_destroy(&all.mu);
    if (all.result < 0 && err)
        *err = all.err;
    return all.result;
}
