/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writers: appends go to the lanes of the client part by part, answers come on the I/O thread in
 * any order between queues, receipts go to the task in the order of its submits.
 *
 * When an append fails, those behind it fail too (some of their parts may be stored all the same):
 * the task ends, and its source goes on behind the last position.
 */
#include "log/rocketmq/internal.h"

#include "base/diag.h"
#include "base/units.h"

#define PENDING_BYTES_DEFAULT ((size_t)16 << 20)
#define COMMIT_INTERVAL_DEFAULT_MS 1000
/** Longest wait at close for what is under way, and for the last positions. */
#define CLOSE_WAIT_MS 5000
/** A lease that has run out because nothing was to be done is back within a round trip. */
#define FENCE_WAIT_MS 1000
#define WINDOW_UNORDERED 4

/* ---- completion (I/O thread, writer->mu) ----------------------------------------------------- */

static void fail_append(rc_append *append, int result, const rc_error *err)
{
    if (append->result < 0)
        return;
    append->result = result;
    append->err = rc_calloc(1, sizeof *append->err);
    if (err)
        *append->err = *err;
}

static void complete(rc_writer *writer, rc_append *append)
{
    static const rc_error behind = {
        .code = OMC_ECANCELED,
        .flags = OMC_ERR_RETRIABLE,
        .msg = "not stored, or not known to be, because an append before it failed"};

    DL_DELETE(writer->order, append);
    writer->unanswered--;
    append->done_ns = rc_mono_ns(writer->log->clock);
    if (append->result == 0 && writer->failed)
        fail_append(append, -OMC_ECANCELED, &behind);
    if (append->result < 0)
        writer->failed = true;
    else
        rc_commit_take(writer, append);
    DL_APPEND(writer->receipts, append);
}

/* All at the head of the order that have every answer. */
static void complete_ready(rc_writer *writer)
{
    bool any = false;

    while (writer->order && writer->order->remaining == 0) {
        complete(writer, writer->order);
        any = true;
    }
    if (!any)
        return;
    rc_commit_kick(writer);
    (void)pthread_cond_broadcast(&writer->cond);
    if (writer->wake)
        rc_wake_set(writer->wake);
}

void rc_part_done(rc_part *part, const rc_error *err)
{
    rc_append *append = part->append;
    rc_writer *writer = append->writer;
    rmq_parcel *parcel = &part->parcel;

    if (parcel->result < 0) {
        fail_append(append, parcel->result, err);
    } else {
        rc_line *line = &writer->lines[part->line];

        line->known_next = RC_MAX(line->known_next, parcel->base_offset + parcel->count);
        atomic_fetch_add(&writer->log->appended, parcel->count);
        atomic_fetch_add(&writer->log->sends, 1);
        /* After a recovery some items were stored before: the others follow here. */
        for (uint32_t i = 0, n = 0; part->offsets && i < part->items; i++)
            if (part->offsets[i] < 0)
                part->offsets[i] = parcel->base_offset + n++;
    }
    append->remaining--;
    complete_ready(writer);
}

static void on_done(void *arg, rmq_parcel *parcel, const rc_error *err)
{
    rc_writer *writer = arg;

    (void)pthread_mutex_lock(&writer->mu);
    rc_part_done(parcel->owner, err);
    (void)pthread_mutex_unlock(&writer->mu);
}

/* Also what is stored, but not as ack.require asks: it cannot be sent again without a repeat, and
 * it does not count as done before it is confirmed. */
static void on_unknown(void *arg, rmq_parcel *first, size_t count, const rc_error *err)
{
    rc_writer *writer = arg;
    int response = RMQ_ERR_RESPONSE(err);
    bool weak = response >= RMQ_R_FLUSH_DISK_TIMEOUT && response <= RMQ_R_FLUSH_SLAVE_TIMEOUT;

    rc_debug("rocketmq", "%s: a send to topic '%s', queue %d of broker '%s' is read back: %s",
             writer->name, first->topic, first->queue_id, first->broker, err->msg);
    /* One that is being closed has forgotten its recoveries: the lane stands still until it goes.
     */
    (void)pthread_mutex_lock(&writer->mu);
    if (!writer->closing)
        rc_recovery_add(writer->log->recovery, writer, first, count, weak);
    (void)pthread_mutex_unlock(&writer->mu);
}

void rc_writer_trouble(rc_writer *writer, const char *text)
{
    (void)pthread_mutex_lock(&writer->mu);
    (void)snprintf(writer->trouble, sizeof writer->trouble, "%s", text ? text : "");
    (void)pthread_mutex_unlock(&writer->mu);
}

static void on_trouble(void *arg, const char *text)
{
    rc_writer_trouble(arg, text);
}

void rc_rmq_writer_health(rc_writer *writer, rc_log_health *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->bytes = -1;
    ret->appended = atomic_load(&writer->log->appended);
    ret->transactions = atomic_load(&writer->log->sends);
    (void)pthread_mutex_lock(&writer->mu);
    (void)snprintf(ret->text, sizeof ret->text, "%s", writer->trouble);
    (void)pthread_mutex_unlock(&writer->mu);
    ret->writable = !ret->text[0];
}

/* ---- submit and receipt (task thread) -------------------------------------------------------- */

int rc_rmq_submit(rc_writer *writer, rc_append *append, void *cookie, rc_error *err)
{
    rmq_parcel *list = NULL;
    bool empty;
    int r;

    (void)pthread_mutex_lock(&writer->mu);
    r = rc_writer_given_up(writer, err);
    if (r < 0) {
        (void)pthread_mutex_unlock(&writer->mu);
        return r;
    }
    if (writer->pending > 0 && writer->pending_bytes + append->bytes > writer->pending_bytes_max) {
        (void)pthread_mutex_unlock(&writer->mu);
        return rc_fail_retriable(err, OMC_EAGAIN, "%zu bytes are under way to the log already",
                                 writer->pending_bytes);
    }
    append->cookie = cookie;
    append->submit_ns = rc_mono_ns(writer->log->clock);
    append->remaining = append->part_count;
    writer->pending++;
    writer->pending_bytes += append->bytes;
    writer->unanswered++;
    DL_APPEND(writer->order, append);
    for (uint32_t i = append->part_count; i > 0; i--) {
        rc_part *part = append->parts[i - 1];

        part->parcel.items = part->data;
        part->parcel.count = part->items;
        part->parcel.submitted_ns = append->submit_ns;
        part->parcel.next = list;
        list = &part->parcel;
    }
    empty = !list;
    if (empty)
        complete_ready(writer);
    (void)pthread_mutex_unlock(&writer->mu);
    if (!empty)
        rmq_lanes_submit(writer->lanes, list);
    return 0;
}

int rc_rmq_receipt(rc_writer *writer, int64_t deadline_ns, rc_receipt *ret)
{
    rc_clock *clock = writer->log->clock;
    rc_append *append;

    (void)pthread_mutex_lock(&writer->mu);
    while (!writer->receipts && writer->pending > 0 && rc_mono_ns(clock) < deadline_ns)
        (void)clock->wait(clock, &writer->cond, &writer->mu, deadline_ns);
    append = writer->receipts;
    if (append) {
        DL_DELETE(writer->receipts, append);
        writer->pending--;
        writer->pending_bytes -= append->bytes;
    }
    (void)pthread_mutex_unlock(&writer->mu);
    if (!append)
        return 0;
    ret->append = append;
    ret->cookie = append->cookie;
    ret->result = append->result;
    ret->err = append->err ? *append->err : (rc_error){0};
    ret->latency_us = (append->done_ns - append->submit_ns) / 1000;
    return 1;
}

size_t rc_rmq_pending(const rc_writer *pub)
{
    rc_writer *writer = (rc_writer *)(uintptr_t)pub;
    size_t pending;

    (void)pthread_mutex_lock(&writer->mu);
    pending = writer->pending;
    (void)pthread_mutex_unlock(&writer->mu);
    return pending;
}

size_t rc_rmq_pending_bytes(const rc_writer *pub)
{
    rc_writer *writer = (rc_writer *)(uintptr_t)pub;
    size_t bytes;

    (void)pthread_mutex_lock(&writer->mu);
    bytes = writer->pending_bytes;
    (void)pthread_mutex_unlock(&writer->mu);
    return bytes;
}

int rc_rmq_sync(rc_writer *writer, int64_t deadline_ns, rc_error *err)
{
    return rc_commit_wait(writer, deadline_ns, err);
}

/* ---- what brokers take and promise
 * -------------------------------------------------------------------- */

static size_t ask_message_max(rc_rocketmq *log, const char *broker)
{
    rmq_text_table *table = NULL;
    int64_t max = 0;

    /* Not everybody may ask; then it is the default, and what is too large is refused later. */
    if (rmq_broker_config_get(log->client, broker, &table, NULL) < 0)
        return RC_MESSAGE_MAX;
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->pairs[i].name, "maxMessageSize") == 0)
            (void)rc_parse_int64(omc_slice_str(table->pairs[i].value), &max);
    rmq_free(table);
    return max > 0 ? RC_MIN((size_t)max, RC_MESSAGE_MAX) : RC_MESSAGE_MAX;
}

size_t rc_rmq_message_max(rc_rocketmq *log, const char *broker)
{
    rc_known_broker *known;
    size_t max;

    (void)pthread_mutex_lock(&log->mu);
    HASH_FIND_STR(log->brokers, broker, known);
    max = known ? known->message_max : 0;
    (void)pthread_mutex_unlock(&log->mu);
    if (max)
        return max;
    max = ask_message_max(log, broker);
    (void)pthread_mutex_lock(&log->mu);
    HASH_FIND_STR(log->brokers, broker, known);
    if (!known) {
        known = rc_calloc(1, sizeof *known);
        known->name = rc_strdup(broker);
        HASH_ADD_KEYPTR(hh, log->brokers, known->name, strlen(known->name), known);
    }
    known->message_max = max;
    (void)pthread_mutex_unlock(&log->mu);
    return max;
}

static int check_broker(rc_writer *writer, const char *broker, rc_error *err)
{
    rmq_client *client = writer->log->client;
    rmq_cluster_info *info = NULL;
    /* Queues of a static topic may be with any broker. */
    const bool any = strncmp(broker, RMQ_LOGICAL_BROKER, strlen(RMQ_LOGICAL_BROKER)) == 0;
    bool found = false;
    int r = rmq_cluster_info_get(client, &info, err);

    for (size_t i = 0; r == 0 && i < info->count; i++) {
        const rmq_broker_info *at = &info->brokers[i];

        if (at->id != 0 || !(any || strcmp(at->name, broker) == 0))
            continue;
        found = true;
        r = rmq_ack_check(client, at->name, at->address, (enum rmq_ack)writer->ack, err);
    }
    if (r == 0 && !found)
        r = rc_fail_retriable(err, OMC_ECONNECT, "broker '%s' has no master now", broker);
    rmq_free(info);
    return r < 0 ? rc_wrap(err, r, "key 'ack.require'") : 0;
}

int rc_writer_check_ack(rc_writer *writer, const rc_topic *topic, int32_t queue, rc_error *err)
{
    const char *broker = topic->queues[queue].broker;
    int r;

    for (size_t i = 0; i < writer->checked_count; i++)
        if (strcmp(writer->checked[i], broker) == 0)
            return 0;
    r = check_broker(writer, broker, err);
    if (r < 0)
        return r;
    writer->checked =
        rc_realloc(writer->checked, (writer->checked_count + 1) * sizeof *writer->checked);
    writer->checked[writer->checked_count++] = broker;
    return 0;
}

/* ---- open and close -------------------------------------------------------------------------- */

static rmq_lanes_config lanes_config(rc_writer *writer, const rc_writer_config *config)
{
    return (rmq_lanes_config){
        .who = writer->name,
        .group = "connect-producer",
        .window = config->unordered && !config->exactly_once ? WINDOW_UNORDERED : 1,
        .send_bytes_max = RC_SEND_BYTES_MAX,
        .send_timeout_ms = rmq_client_settings(writer->log->client)->request_timeout_ms,
        .delivery_timeout_ms = -1, /* the task waits, and says why */
        /* Behind a barrier nothing has to be waited for. */
        .unknown_wait_ms = writer->strict ? 1 : writer->log->tail_ms,
        .unknown = config->exactly_once ? RMQ_UNKNOWN_REPORT : RMQ_UNKNOWN_RESEND,
        .ack = (enum rmq_ack)config->ack,
        .done = on_done,
        .unknown_outcome = config->exactly_once ? on_unknown : NULL,
        .trouble = on_trouble,
        .gate = writer->fence ? &writer->gate : NULL,
        .arg = writer,
    };
}

static int open_lanes(rc_writer *writer, const rc_writer_config *config, rc_error *err)
{
    rc_rocketmq *log = writer->log;
    const rmq_lanes_config lanes = lanes_config(writer, config);
    int r = 0;

    writer->position_lanes = log->position_lanes;
    if (writer->fence)
        r = rc_rmq_position_lanes(log, &writer->gate, &writer->position_lanes, err);
    if (r == 0)
        r = rmq_lanes_new(log->client, &lanes, &writer->lanes, err);
    if (r < 0 && writer->fence)
        rc_rmq_lanes_end(log, writer->position_lanes);
    return r;
}

static void destroy(rc_writer *writer)
{
    rc_append *append, *next;
    rc_writer_position *position, *after;

    DL_FOREACH_SAFE(writer->receipts, append, next)
    rc_append_destroy(append);
    rc_rmq_writer_trim(writer);
    HASH_ITER(hh, writer->positions, position, after)
    {
        HASH_DEL(writer->positions, position); /* NOLINT(clang-analyzer-unix.Malloc) */
        free(position->partition);
        free(position->offset);
        free(position);
    }
    rc_eo_close(writer);
    rc_fence_unref(writer->fence);
    (void)pthread_cond_destroy(&writer->cond);
    (void)pthread_mutex_destroy(&writer->mu);
    free(writer->lines);
    free(writer->checked);
    free(writer->name);
    free(writer->connector);
    free(writer);
}

static void lanes_gone(void *arg)
{
    rc_writer *writer = arg;

    rc_loop_timer_free(writer->timer); /* here, because timers belong to the I/O thread */
    writer->timer = NULL;
    (void)pthread_mutex_lock(&writer->mu);
    writer->lanes_closed = true;
    (void)pthread_cond_broadcast(&writer->cond);
    (void)pthread_mutex_unlock(&writer->mu);
}

static void close_lanes(void *arg)
{
    rc_writer *writer = arg;

    rmq_lanes_close(writer->lanes, lanes_gone, writer);
}

/* Nothing of the writer is sent any more when it returns. */
static void end_lanes(rc_writer *writer)
{
    rc_clock *clock = writer->log->clock;

    rc_recovery_forget(writer->log->recovery, writer);
    rmq_client_post(writer->log->client, close_lanes, writer);
    (void)pthread_mutex_lock(&writer->mu);
    while (!writer->lanes_closed || writer->sending > 0)
        (void)clock->wait(clock, &writer->cond, &writer->mu, INT64_MAX);
    (void)pthread_mutex_unlock(&writer->mu);
    if (!writer->fence)
        return;
    rc_rmq_lanes_end(writer->log, RC_TAKE(writer->position_lanes));
    for (size_t i = 0; i < RC_COUNT(writer->control_lanes); i++)
        rc_rmq_lanes_end(writer->log, RC_TAKE(writer->control_lanes[i]));
}

/* A task whose plugin hangs is given up with its writer open. What it has submitted must not be
 * sent while its successor works. */
static void fence_predecessor(rc_rocketmq *log, const char *name)
{
    rc_writer *writer, *found = NULL;

    (void)pthread_mutex_lock(&log->mu);
    DL_FOREACH(log->writers, writer)
    {
        (void)pthread_mutex_lock(&writer->mu);
        if (!writer->closing && name[0] && strcmp(writer->name, name) == 0) {
            writer->closing = writer->fenced = true;
            writer->wake = NULL;
            found = writer;
        }
        (void)pthread_mutex_unlock(&writer->mu);
    }
    (void)pthread_mutex_unlock(&log->mu);
    if (!found)
        return;
    rc_warn("rocketmq", "%s: what the task before this one has not sent yet is dropped", name);
    end_lanes(found);
}

/* Two workers that keep their positions in different topics know nothing of each other, nor of each
 * other's generations. */
static uint64_t stamp_name(const rc_writer *writer)
{
    rc_identity identity = {0};
    uint64_t name;

    rc_identity_of(writer->connector, omc_slice_str(writer->name),
                   omc_slice_str(writer->log->position_topic), &identity);
    memcpy(&name, identity.hash + RC_IDENTITY_PARTITION, sizeof name);
    return name ? name : 1;
}

int rc_rmq_writer_open(rc_log *pub, const rc_writer_config *config, rc_writer **ret, rc_error *err)
{
    rc_rocketmq *log = rc_rocketmq_of(pub);
    rc_writer *writer = rc_calloc(1, sizeof *writer);
    int r = 0;

    writer->head.log = pub;
    writer->log = log;
    writer->name = rc_strdup(config->name ? config->name : "");
    writer->connector = rc_strdup(config->connector ? config->connector : "");
    writer->pending_bytes_max =
        config->pending_bytes_max ? config->pending_bytes_max : PENDING_BYTES_DEFAULT;
    writer->commit_interval_ms =
        config->commit_interval_ms ? config->commit_interval_ms : COMMIT_INTERVAL_DEFAULT_MS;
    writer->wake = config->wake;
    writer->ack = config->ack;
    (void)pthread_mutex_init(&writer->mu, NULL);
    rc_cond_init(&writer->cond);
    if (config->exactly_once && config->strict)
        writer->strict = stamp_name(writer);
    if (config->fence) {
        writer->fence = rc_fence_ref(config->fence);
        writer->gate = rc_rmq_gate(config->fence);
    }
    fence_predecessor(log, writer->name);
    if (config->exactly_once)
        r = rc_eo_open(writer, err);
    if (r == 0)
        r = open_lanes(writer, config, err);
    if (r < 0) {
        destroy(writer);
        return rc_wrap(err, r, "open a writer of '%s'", config->name ? config->name : "");
    }
    (void)pthread_mutex_lock(&log->mu);
    DL_APPEND(log->writers, writer);
    (void)pthread_mutex_unlock(&log->mu);
    *ret = writer;
    return 0;
}

static void wait_for_answers(rc_writer *writer)
{
    rc_clock *clock = writer->log->clock;
    int64_t deadline = rc_mono_ns(clock) + CLOSE_WAIT_MS * INT64_C(1000000);

    (void)pthread_mutex_lock(&writer->mu);
    writer->wake = NULL;
    while (writer->unanswered > 0 && !writer->failed && rc_mono_ns(clock) < deadline)
        (void)clock->wait(clock, &writer->cond, &writer->mu, deadline);
    (void)pthread_mutex_unlock(&writer->mu);
}

static void close_open(rc_writer *writer)
{
    rc_rocketmq *log = writer->log;
    int64_t deadline;
    rc_error err = {0};
    rc_fence_state fence = rc_fence_await(writer->fence, FENCE_WAIT_MS);
    bool unanswered;

    if (fence == RC_FENCE_OPEN)
        wait_for_answers(writer);
    (void)pthread_mutex_lock(&writer->mu);
    writer->closing = true;
    if (fence == RC_FENCE_OPEN)
        rc_eo_settle(writer);
    unanswered = writer->unanswered > 0;
    (void)pthread_mutex_unlock(&writer->mu);
    if (fence == RC_FENCE_REVOKED) { /* whoever has it now waits for what may still land */
        end_lanes(writer);
        return;
    }
    if (fence == RC_FENCE_OPEN &&
        rc_commit_wait(writer, rc_mono_ns(log->clock) + CLOSE_WAIT_MS * INT64_C(1000000), &err) < 0)
        rc_warn("rocketmq", "%s: the last positions are not committed, its records come again: %s",
                writer->name, err.msg);
    end_lanes(writer);
    if (!unanswered)
        return;
    deadline = rc_mono_ns(log->clock) + log->tail_ms * INT64_C(1000000);
    (void)pthread_mutex_lock(&writer->mu);
    while (rc_mono_ns(log->clock) < deadline)
        (void)log->clock->wait(log->clock, &writer->cond, &writer->mu, deadline);
    (void)pthread_mutex_unlock(&writer->mu);
}

/* Whoever opens a writer for the same source next and reads its position sees the truth; bytes that
 * an abandoned connection may still deliver have landed by then. */
void rc_rmq_writer_close(rc_writer *writer)
{
    rc_rocketmq *log;
    bool fenced;

    if (!writer)
        return;
    log = writer->log;
    (void)pthread_mutex_lock(&writer->mu);
    fenced = writer->fenced;
    (void)pthread_mutex_unlock(&writer->mu);
    if (!fenced)
        close_open(writer);
    (void)pthread_mutex_lock(&log->mu);
    DL_DELETE(log->writers, writer);
    (void)pthread_mutex_unlock(&log->mu);
    destroy(writer);
}
