/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing the log on RocketMQ, its table of functions, its health. */
#include "log/rocketmq/internal.h"

#include "base/diag.h"

#define POSITION_DELIVERY_MS 10000

static const rc_log_ops ops;

/* ---- the client's lines, and troubles -------------------------------------------------------- */

static void client_says(void *arg, enum rmq_log_level level, const char *text)
{
    static const omc_log_level levels[] = {OMC_DEBUG, OMC_INFO, OMC_WARN, OMC_ERROR};

    (void)arg;
    rc_diag(levels[level], "rocketmq", "%s", text);
}

static void position_done(void *arg, rmq_parcel *parcel, const rc_error *err)
{
    rc_position_send *send = parcel->owner;

    (void)arg;
    send->done(send->arg, parcel->result, err);
    rc_buf_release(&send->items);
    free(send);
}

static void position_trouble(void *arg, const char *text)
{
    rc_rocketmq *log = arg;

    (void)pthread_mutex_lock(&log->mu);
    (void)snprintf(log->trouble, sizeof log->trouble, "%s", text ? text : "");
    (void)pthread_mutex_unlock(&log->mu);
}

static void health(rc_log *pub, rc_log_health *ret)
{
    rc_rocketmq *log = rc_rocketmq_of(pub);
    rc_writer *writer;

    memset(ret, 0, sizeof *ret);
    ret->bytes = -1;
    ret->appended = atomic_load(&log->appended);
    ret->transactions = atomic_load(&log->sends);
    (void)pthread_mutex_lock(&log->mu);
    (void)snprintf(ret->text, sizeof ret->text, "%s", log->trouble);
    DL_FOREACH(log->writers, writer)
    {
        rc_log_health one;

        if (ret->text[0])
            break;
        rc_rmq_writer_health(writer, &one);
        (void)snprintf(ret->text, sizeof ret->text, "%s", one.text);
    }
    (void)pthread_mutex_unlock(&log->mu);
    ret->writable = !ret->text[0];
}

/* ---- open and close -------------------------------------------------------------------------- */

typedef struct closing {
    rmq_lanes *lanes;
    pthread_mutex_t mu;
    pthread_cond_t cond;
    bool done;
} closing;

static void lanes_closed(void *arg)
{
    closing *c = arg;

    (void)pthread_mutex_lock(&c->mu);
    c->done = true;
    (void)pthread_cond_signal(&c->cond);
    (void)pthread_mutex_unlock(&c->mu);
}

static void close_lanes(void *arg)
{
    closing *c = arg;

    rmq_lanes_close(c->lanes, lanes_closed, c);
}

void rc_rmq_lanes_end(rc_rocketmq *log, rmq_lanes *lanes)
{
    closing c = {.lanes = lanes, .mu = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};

    if (!lanes)
        return;
    rmq_client_post(log->client, close_lanes, &c);
    (void)pthread_mutex_lock(&c.mu);
    while (!c.done)
        (void)pthread_cond_wait(&c.cond, &c.mu);
    (void)pthread_mutex_unlock(&c.mu);
}

static void close_log(rc_log *pub)
{
    rc_rocketmq *log = rc_rocketmq_of(pub);
    rc_known_group *group, *next;
    rc_known_broker *broker, *after;

    RC_ASSERT(!log->writers);
    rc_position_keeper_free(log->keeper); /* before the lanes it writes with */
    rc_recovery_free(log->recovery);
    for (size_t i = 0; i < RC_COUNT(log->control_lanes); i++)
        rc_rmq_lanes_end(log, log->control_lanes[i]);
    rc_rmq_lanes_end(log, log->position_lanes);
    rc_position_table_close(log->table);
    rmq_client_close(log->client);
    rc_rmq_topics_free(log);
    HASH_ITER(hh, log->groups, group, next)
    {
        HASH_DEL(log->groups, group); /* NOLINT(clang-analyzer-unix.Malloc) */
        free(group->name);
        free(group);
    }
    HASH_ITER(hh, log->brokers, broker, after)
    {
        HASH_DEL(log->brokers, broker); /* NOLINT(clang-analyzer-unix.Malloc) */
        free(broker->name);
        free(broker);
    }
    (void)pthread_mutex_destroy(&log->mu);
    free(log->position_topic);
    free(log);
}

int rc_rmq_position_lanes(rc_rocketmq *log, const rmq_gate *gate, rmq_lanes **ret, rc_error *err)
{
    const rmq_lanes_config config = {
        .who = "positions",
        .group = "connect-positions",
        .window = 1,
        .send_bytes_max = RC_SEND_BYTES_MAX,
        .send_timeout_ms = rmq_client_settings(log->client)->request_timeout_ms,
        .delivery_timeout_ms = POSITION_DELIVERY_MS,
        .unknown_wait_ms = log->tail_ms,
        .unknown = RMQ_UNKNOWN_RESEND, /* a position that comes twice says the same twice */
        .done = position_done,
        .trouble = position_trouble,
        .gate = gate,
        .arg = log,
    };

    return rmq_lanes_new(log->client, &config, ret, err);
}

int rc_rmq_canceled(const rc_rocketmq *log, rc_error *err)
{
    return log->cancel && atomic_load(log->cancel)
               ? rc_fail(err, OMC_ECANCELED, "stopped while opening the log")
               : 0;
}

int rc_rocketmq_open(const rc_rocketmq_config *config, rc_log **ret, rc_error *err)
{
    rc_rocketmq *log = rc_calloc(1, sizeof *log);
    rmq_client_config client = config->client;
    int r;

    log->pub.ops = &ops;
    log->clock = config->clock;
    log->position_topic = rc_strdup(config->position_topic);
    log->create_topics = config->create_topics;
    log->cancel = config->cancel;
    log->tail_ms = config->tail_ms ? config->tail_ms : RC_TAIL_MS;
    log->dead_tail_ms = log->tail_ms + log->tail_ms / 2;
    log->lost_ms = 5 * log->tail_ms;
    (void)pthread_mutex_init(&log->mu, NULL);
    client.log = client_says;
    client.log_arg = log;
    r = rmq_client_open(&client, &log->client, err);
    if (r == 0)
        r = rc_rmq_group_ready(log, RC_INTERNAL_GROUP, err);
    if (r == 0)
        r = rc_rmq_position_lanes(log, NULL, &log->position_lanes, err);
    if (r == 0)
        r = rc_rmq_canceled(log, err);
    if (r == 0)
        r = rc_position_table_open(log, &log->table, err);
    if (r == 0)
        r = rc_position_keeper_new(log, config->position_file, &log->keeper, err);
    if (r < 0) {
        close_log(&log->pub);
        return rc_wrap(err, r, "RocketMQ at %s", config->client.namesrv);
    }
    log->cancel = NULL;
    log->recovery = rc_recovery_new(log);
    *ret = &log->pub;
    return 0;
}

static const rc_log_ops ops = {
    .caps = RC_LOG_SHARED,
    .topic = rc_rmq_topic,
    .topics = rc_rmq_topics,
    .topic_name = rc_rmq_topic_name,
    .topic_queues = rc_rmq_topic_queues,
    .topic_writable = rc_rmq_topic_writable,
    .topic_broker = rc_rmq_topic_broker,
    .topic_queue_id = rc_rmq_topic_queue_id,
    .bounds = rc_rmq_bounds,
    .search = rc_rmq_search,
    .writer_open = rc_rmq_writer_open,
    .writer_close = rc_rmq_writer_close,
    .writer_trim = rc_rmq_writer_trim,
    .append_new = rc_rmq_append_new,
    .append_free = rc_rmq_append_free,
    .append_add = rc_rmq_append_add,
    .append_position = rc_rmq_append_position,
    .append_bytes = rc_rmq_append_bytes,
    .append_count = rc_rmq_append_count,
    .append_positions = rc_rmq_append_positions,
    .append_offset = rc_rmq_append_offset,
    .append_topic = rc_rmq_append_topic,
    .append_queue = rc_rmq_append_queue,
    .submit = rc_rmq_submit,
    .sync = rc_rmq_sync,
    .receipt = rc_rmq_receipt,
    .pending = rc_rmq_pending,
    .pending_bytes = rc_rmq_pending_bytes,
    .reader_open = rc_rmq_reader_open,
    .reader_close = rc_rmq_reader_close,
    .reader_add = rc_rmq_reader_add,
    .reader_remove = rc_rmq_reader_remove,
    .reader_seek = rc_rmq_reader_seek,
    .reader_pause = rc_rmq_reader_pause,
    .reader_barriers = rc_rmq_reader_barriers,
    .fetch = rc_rmq_fetch,
    .fetch_release = rc_rmq_fetch_release,
    .reader_trim = rc_rmq_reader_trim,
    .lag = rc_rmq_lag,
    .position = rc_rmq_position,
    .positions = rc_rmq_positions,
    .position_set = rc_rmq_position_set,
    .commit = rc_rmq_commit,
    .committed = rc_rmq_committed,
    .group_delete = rc_rmq_group_delete,
    .take_over = rc_rmq_take_over,
    .generation = rc_rmq_generation,
    .health = health,
    .writer_health = rc_rmq_writer_health,
    .close = close_log,
};
