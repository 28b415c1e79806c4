/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends whose outcome is unknown, with exactly once: nothing is sent again blindly. The lane stands
 * still (its connection is closed, and what may have been under way has had time to land, or a
 * barrier is behind it) while this thread reads the queue back from behind the last receipt; what
 * is stored is counted as stored, the rest goes back to the lane. When more than that is asked for
 * (ack.require), it counts when the broker has confirmed it.
 *
 * With barriers, what is sent again gets a new sequence: copies that land late have the old one.
 */
#include "log/rocketmq/internal.h"

#include "base/diag.h"

#define RETRY_MS 500

typedef struct job {
    struct job *prev, *next;
    rc_recovery *recovery;
    rc_writer *writer;
    size_t count;
    bool weak;         /* all is stored, but not as `ack` asks */
    int64_t sequence;  /* of the barrier; 0 = none */
    int64_t end;       /* where it lies; -1 = not yet, or none */
    rc_id_table ids;   /* found behind the last receipt */
    rmq_parcel *again; /* what is missing */
    rmq_parcel *parcels[];
} job;

struct rc_recovery {
    rc_rocketmq *log;
    pthread_t thread;
    bool started;
    pthread_mutex_t mu;
    pthread_cond_t cond;
    job *jobs;        /* [mu] */
    rc_writer *busy;  /* [mu] whose job is being worked on */
    bool end;         /* [mu] */
    atomic_bool stop; /* the present job's writer is being closed, or the log is */
};

static void job_free(job *j)
{
    rc_ids_release(&j->ids);
    free(j);
}

/* ---- what is missing ------------------------------------------------------------------------- */

static rc_slice property_of(const rmq_item *item, const char *wanted)
{
    rc_slice properties = item->properties, name, value;

    while (rmq_property_next(&properties, &name, &value) > 0)
        if (omc_slice_is(name, wanted))
            return value;
    return omc_slice_of(NULL, 0);
}

static int64_t offset_of(const rc_id_table *ids, const rmq_item *item)
{
    rc_slice text = property_of(item, RC_PROP_ID);
    const rc_id_entry *entry;
    rc_id id;

    if (!text.base || !rc_id_parse(text, &id))
        return -1; /* a dead letter: without identity it is sent again */
    entry = rc_ids_find(ids, &id);
    return entry ? entry->offset : -1;
}

/* Keeps the missing items at the front of the part's buffer. @return the highest offset found. */
static int64_t keep_missing(const rc_id_table *ids, rc_part *part)
{
    rc_slice items = omc_slice_of(part->parcel.items, part->parcel.bytes);
    uint8_t *to = part->data;
    int64_t highest = -1;
    uint32_t index = 0, kept = 0;
    rmq_item item;

    /* Of a part that has been through this before, only the missing items are in the buffer. */
    if (!part->offsets) {
        part->offsets = rc_malloc(part->items * sizeof *part->offsets);
        for (uint32_t i = 0; i < part->items; i++)
            part->offsets[i] = -1;
    }
    while (rmq_item_next(&items, &item, NULL) > 0) {
        int64_t offset = offset_of(ids, &item);

        while (part->offsets[index] >= 0)
            index++;
        part->offsets[index++] = offset;
        highest = RC_MAX(highest, offset);
        if (offset >= 0)
            continue;
        memmove(to, item.whole.base, item.whole.len);
        to += item.whole.len;
        kept++;
    }
    part->parcel.bytes = (size_t)(to - part->data);
    part->parcel.count = kept;
    return highest;
}

/* Writes the new sequence over the old one, which has as many digits. */
static void stamp_again(rc_part *part, int64_t sequence)
{
    rc_slice items = omc_slice_of(part->parcel.items, part->parcel.bytes);
    char digits[RMQ_STAMP_DIGITS + 1];
    rmq_item item;

    (void)snprintf(digits, sizeof digits, "%0*lld", RMQ_STAMP_DIGITS, (long long)sequence);
    while (rmq_item_next(&items, &item, NULL) > 0) {
        rc_slice stamp = property_of(&item, RC_PROP_GEN);
        const char *dot = stamp.base ? memchr(stamp.base, '.', stamp.len) : NULL;

        if (dot)
            memcpy(part->data + (dot + 1 - (const char *)part->data), digits, RMQ_STAMP_DIGITS);
    }
    part->sequence = sequence;
}

static void sort_out(job *j)
{
    size_t stored = 0, missing = 0;

    for (size_t i = j->count; i > 0; i--) {
        rmq_parcel *parcel = j->parcels[i - 1];
        uint32_t before = parcel->count;
        int64_t highest = keep_missing(&j->ids, parcel->owner);

        parcel->result = 0;
        parcel->base_offset = highest + 1; /* of the empty rest, when nothing is missing */
        stored += before - parcel->count;
        missing += parcel->count;
        if (parcel->count > 0) {
            if (j->sequence)
                stamp_again(parcel->owner, j->sequence);
            parcel->next = j->again;
            j->again = parcel;
        }
    }
    rc_info("rocketmq",
            "%s: of a send to topic '%s', queue %d of broker '%s' without answer %zu messages are "
            "stored, %zu are sent again",
            j->writer->name, j->parcels[0]->topic, j->parcels[0]->queue_id, j->parcels[0]->broker,
            stored, missing);
}

/* I/O thread. */
static void resolve(void *arg)
{
    job *j = arg;
    const rmq_parcel *first = j->parcels[0];
    const char *topic = first->topic, *broker = first->broker;
    int32_t queue_id = first->queue_id;

    rmq_lane_resolve(j->writer->lanes, topic, broker, queue_id, j->again);
    (void)pthread_mutex_lock(&j->writer->mu);
    for (size_t i = 0; i < j->count; i++)
        if (j->parcels[i]->count == 0)
            rc_part_done(j->parcels[i]->owner, NULL);
    (void)pthread_mutex_unlock(&j->writer->mu);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static int add_id(void *arg, const rc_id *id, int64_t offset, const rmq_stamp *stamp)
{
    job *j = arg;
    int r;

    (void)stamp;
    r = rc_ids_add(&j->ids, id, NULL, 0, offset, NULL);

    return r < 0 ? r : 0;
}

static int64_t read_from(job *j)
{
    const rc_part *part = j->parcels[0]->owner;
    int64_t from;

    (void)pthread_mutex_lock(&j->writer->mu);
    from = j->writer->lines[part->line].known_next;
    (void)pthread_mutex_unlock(&j->writer->mu);
    return RC_MAX(from, (int64_t)0);
}

/* Dead letters have no identity: they are sent again, and need no barrier for that. */
static bool has_identities(const job *j)
{
    for (size_t i = 0; i < j->count; i++) {
        rc_slice items = omc_slice_of(j->parcels[i]->items, j->parcels[i]->bytes);
        rmq_item item;

        while (rmq_item_next(&items, &item, NULL) > 0)
            if (property_of(&item, RC_PROP_ID).base)
                return true;
    }
    return false;
}

/* Behind it none of the copies under way counts. */
static int put_barrier(job *j, const rmq_queue *queue, const atomic_bool *stop, rc_error *err)
{
    rmq_stamp stamp = {j->writer->strict, rc_eo_generation(j->writer), 0};
    int64_t offset;
    int r;

    for (size_t i = 0; i < j->count; i++) {
        const rc_part *part = j->parcels[i]->owner;

        stamp.sequence = RC_MAX(stamp.sequence, part->sequence);
    }
    if (++stamp.sequence % RC_STAMP_STEP == 0)
        return rc_fail(err, OMC_ESTATE, "its answers were lost %d times in a row: restart the task",
                       RC_STAMP_STEP - 1);
    r = rc_barrier(j->writer, queue, &stamp, stop, &offset, err);
    if (r < 0)
        return r;
    j->sequence = stamp.sequence;
    j->end = offset + 1;
    return 0;
}

static int look_up(rc_recovery *recovery, job *j, const rmq_queue *queue, rc_error *err)
{
    rc_look look = {
        .queue = queue, .from = read_from(j), .stop = &recovery->stop, .each = add_id, .arg = j};
    bool identities = has_identities(j);
    int r = 0;

    rc_ids_release(&j->ids);
    if (j->writer->strict && identities && !j->weak && j->end < 0)
        r = put_barrier(j, queue, &recovery->stop, err);
    look.end = j->end;
    if (j->writer->strict) /* what came before this generation was closed before it began */
        look.known = (rmq_stamp){j->writer->strict, rc_eo_generation(j->writer), 0};
    if (r == 0 && identities)
        r = rc_reconcile(recovery->log, &look, err);
    if (r == 0 && j->ids.count > 0)
        r = rc_confirm(j->writer, queue->broker, &recovery->stop, err);
    return r;
}

/* Until it has worked, or the writer is closed. */
static void work(rc_recovery *recovery, job *j)
{
    const rc_part *part = j->parcels[0]->owner;
    rc_clock *clock = recovery->log->clock;
    const rc_line *line;
    rmq_queue queue;
    rc_error err = {0};
    bool told = false;
    int r;

    (void)pthread_mutex_lock(&j->writer->mu);
    line = &j->writer->lines[part->line];
    queue = line->topic->queues[line->queue];
    (void)pthread_mutex_unlock(&j->writer->mu);
    while (!atomic_load(&recovery->stop)) {
        r = look_up(recovery, j, &queue, &err);
        if (r == 0) {
            if (told)
                rc_writer_trouble(j->writer, NULL);
            sort_out(j);
            rmq_client_run(recovery->log->client, resolve, j);
            return;
        }
        if (r != -OMC_ECANCELED) {
            rc_warn("rocketmq", "%s: a send without answer cannot be looked up yet: %s",
                    j->writer->name, err.msg);
            rc_writer_trouble(j->writer, err.msg);
            told = true;
        }
        (void)pthread_mutex_lock(&recovery->mu);
        (void)clock->wait(clock, &recovery->cond, &recovery->mu,
                          rc_mono_ns(clock) + RETRY_MS * INT64_C(1000000));
        (void)pthread_mutex_unlock(&recovery->mu);
    }
}

static void *run(void *arg)
{
    rc_recovery *recovery = arg;

    (void)pthread_mutex_lock(&recovery->mu);
    while (!recovery->end) {
        job *j = recovery->jobs;

        if (!j) {
            (void)pthread_cond_wait(&recovery->cond, &recovery->mu);
            continue;
        }
        DL_DELETE(recovery->jobs, j);
        recovery->busy = j->writer;
        atomic_store(&recovery->stop, false);
        (void)pthread_mutex_unlock(&recovery->mu);
        work(recovery, j);
        (void)pthread_mutex_lock(&recovery->mu);
        recovery->busy = NULL;
        (void)pthread_cond_broadcast(&recovery->cond);
        job_free(j);
    }
    (void)pthread_mutex_unlock(&recovery->mu);
    return NULL;
}

rc_recovery *rc_recovery_new(rc_rocketmq *log)
{
    rc_recovery *recovery = rc_calloc(1, sizeof *recovery);

    recovery->log = log;
    (void)pthread_mutex_init(&recovery->mu, NULL);
    rc_cond_init(&recovery->cond);
    return recovery;
}

void rc_recovery_free(rc_recovery *recovery)
{
    if (!recovery)
        return;
    (void)pthread_mutex_lock(&recovery->mu);
    recovery->end = true;
    atomic_store(&recovery->stop, true);
    (void)pthread_cond_broadcast(&recovery->cond);
    (void)pthread_mutex_unlock(&recovery->mu);
    if (recovery->started)
        (void)pthread_join(recovery->thread, NULL);
    (void)pthread_cond_destroy(&recovery->cond);
    (void)pthread_mutex_destroy(&recovery->mu);
    free(recovery);
}

void rc_recovery_add(rc_recovery *recovery, rc_writer *writer, rmq_parcel *first, size_t count,
                     bool weak)
{
    job *j = rc_calloc(1, sizeof *j + count * sizeof(rmq_parcel *));
    rc_error err = {0};

    j->recovery = recovery;
    j->writer = writer;
    j->weak = weak;
    j->end = -1;
    for (rmq_parcel *parcel = first; j->count < count; parcel = parcel->next)
        j->parcels[j->count++] = parcel;
    (void)pthread_mutex_lock(&recovery->mu);
    DL_APPEND(recovery->jobs, j);
    /* The thread exists only where it is needed. */
    if (!recovery->started)
        recovery->started =
            rc_thread_start(&recovery->thread, "rc-recover", 1 << 20, run, recovery, &err) == 0;
    (void)pthread_cond_broadcast(&recovery->cond);
    (void)pthread_mutex_unlock(&recovery->mu);
    if (err.code)
        rc_warn("rocketmq", "%s: a send without answer waits: %s", writer->name, err.msg);
}

void rc_recovery_forget(rc_recovery *recovery, rc_writer *writer)
{
    job *j, *next;

    (void)pthread_mutex_lock(&recovery->mu);
    DL_FOREACH_SAFE(recovery->jobs, j, next)
    {
        if (j->writer == writer) {
            DL_DELETE(recovery->jobs, j);
            job_free(j);
        }
    }
    while (recovery->busy == writer) {
        atomic_store(&recovery->stop, true);
        (void)pthread_cond_broadcast(&recovery->cond);
        (void)pthread_cond_wait(&recovery->cond, &recovery->mu);
    }
    (void)pthread_mutex_unlock(&recovery->mu);
}
