/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Writers and their appends: the half of writing that runs in the task's thread. Messages are
 * encoded straight into the buffer that SQLite later binds, one buffer ("part") per queue and
 * about 1 MiB, so a body is copied once here. Nothing is allocated per message: appends, parts'
 * buffers and positions' buffers are recycled by their writer.
 */
#include "log/embedded/internal.h"

#include "base/encode.h"

#define PART_BYTES_FIRST ((size_t)4096)
/* Buffers kept for later, in all: what is under way while one group is being stored. */
#define SPARE_BYTES_MAX ((size_t)4 << 20)
#define FREE_APPENDS_MAX 64
#define PENDING_BYTES_DEFAULT ((size_t)16 << 20)

/* ---- writers -------------------------------------------------------------------------------- */

int rc_emb_writer_open(rc_log *pub, const rc_writer_config *config, rc_writer **ret, rc_error *err)
{
    rc_embedded *log = rc_embedded_of(pub);
    rc_writer *writer = rc_calloc(1, sizeof *writer);

    (void)err;
    writer->head.log = pub;
    writer->name = rc_strdup(config->name ? config->name : "");
    writer->connector = rc_strdup(config->connector ? config->connector : "");
    writer->pending_bytes_max =
        config->pending_bytes_max ? config->pending_bytes_max : PENDING_BYTES_DEFAULT;
    writer->wake = config->wake;
    rc_cond_init(&writer->cond);
    (void)pthread_mutex_lock(&log->mu);
    log->users++;
    (void)pthread_mutex_unlock(&log->mu);
    *ret = writer;
    return 0;
}

static void destroy_append(rc_append *append)
{
    for (uint32_t i = 0; i < append->part_count; i++)
        free(append->parts[i].data);
    for (size_t i = 0; i < append->position_cap; i++) {
        free(append->positions[i].partition);
        free(append->positions[i].offset);
    }
    free(append->parts);
    free(append->positions);
    free(append);
}

void rc_emb_writer_trim(rc_writer *writer)
{
    rc_append *append, *next;

    DL_FOREACH_SAFE(writer->free_appends, append, next)
    destroy_append(append);
    writer->free_appends = NULL;
    writer->free_count = 0;
    for (size_t i = 0; i < writer->spare_count; i++)
        free(writer->spares[i].data);
    writer->spare_count = 0;
    writer->spare_bytes = 0;
}

static void destroy_writer(rc_writer *writer)
{
    rc_append *append, *next;

    DL_FOREACH_SAFE(writer->receipts, append, next)
    destroy_append(append);
    rc_emb_writer_trim(writer);
    (void)pthread_cond_destroy(&writer->cond);
    free(writer->name);
    free(writer->connector);
    free(writer);
}

/* [mu] Takes the writer's works off the list: nobody has begun to store them. */
static void cancel_todo(rc_embedded *log, rc_writer *writer)
{
    rc_work *work, *next;

    DL_FOREACH_SAFE(log->todo, work, next)
    {
        rc_append *append = RC_CONTAINER(work, rc_append, work);

        if (work->kind != RC_WORK_APPEND || append->writer != writer)
            continue;
        DL_DELETE(log->todo, work);
        writer->pending--;
        destroy_append(append);
    }
}

/* When it returns, everything the writer submitted is stored or never will be: whoever opens a
 * writer for the same source next and reads its position sees the truth. */
void rc_emb_writer_close(rc_writer *writer)
{
    rc_embedded *log = rc_embedded_of(writer->head.log);

    (void)pthread_mutex_lock(&log->mu);
    log->users--;
    writer->closed = true;
    writer->wake = NULL;
    cancel_todo(log, writer);
    (void)pthread_cond_signal(&log->work_cond); /* a full disk makes the writer thread wait there */
    while (writer->pending != writer->stored)
        (void)log->clock->wait(log->clock, &log->done_cond, &log->mu, INT64_MAX);
    (void)pthread_mutex_unlock(&log->mu);
    destroy_writer(writer);
}

void rc_writer_notify(rc_writer *writer)
{
    writer->notify = false;
    (void)pthread_cond_signal(&writer->cond);
    if (writer->wake)
        rc_wake_set(writer->wake);
}

/* ---- appends -------------------------------------------------------------------------------- */

rc_append *rc_emb_append_new(rc_writer *writer)
{
    rc_append *append = writer->free_appends;

    if (append) {
        DL_DELETE(writer->free_appends, append);
        writer->free_count--;
    } else {
        append = rc_calloc(1, sizeof *append);
        append->head = writer->head;
        append->writer = writer;
    }
    return append;
}

static void recycle_buffer(rc_writer *writer, rc_part *part)
{
    if (writer->spare_count < RC_SPARES_MAX && writer->spare_bytes + part->cap <= SPARE_BYTES_MAX) {
        rc_spare *spare = &writer->spares[writer->spare_count++];

        writer->spare_bytes += part->cap;
        spare->data = part->data;
        spare->cap = part->cap;
    } else {
        free(part->data);
    }
    part->data = NULL;
}

void rc_emb_append_free(rc_append *append)
{
    rc_writer *writer = append->writer;

    for (uint32_t i = 0; i < append->part_count; i++)
        recycle_buffer(writer, &append->parts[i]);
    append->part_count = 0;
    append->current = 0;
    append->position_count = 0;
    append->bytes = 0;
    append->count = 0;
    append->error.code = 0;
    if (writer->free_count == FREE_APPENDS_MAX) {
        destroy_append(append);
        return;
    }
    DL_PREPEND(writer->free_appends, append);
    writer->free_count++;
}

/* The last buffer that went is the warmest, so take it first. */
static void take_buffer(rc_writer *writer, rc_part *part)
{
    if (writer->spare_count) {
        rc_spare *spare = &writer->spares[--writer->spare_count];

        part->data = spare->data;
        part->cap = spare->cap;
        writer->spare_bytes -= spare->cap;
    } else {
        part->cap = PART_BYTES_FIRST;
        part->data = rc_malloc(part->cap);
    }
}

static rc_part *add_part(rc_append *append, rc_topic *topic, int32_t queue, int64_t born_ms)
{
    rc_part *part;

    if (append->part_count == append->part_cap) {
        append->part_cap = append->part_cap ? append->part_cap * 2 : 4;
        append->parts = rc_realloc(append->parts, append->part_cap * sizeof *append->parts);
    }
    append->current = append->part_count++;
    part = &append->parts[append->current];
    memset(part, 0, sizeof *part);
    part->topic = topic;
    part->queue = queue;
    part->born_ms = born_ms;
    take_buffer(append->writer, part);
    rc_batch_header(part->data, born_ms);
    part->len = RC_BATCH_HEADER;
    append->bytes += RC_BATCH_HEADER;
    return part;
}

static inline bool part_is(const rc_part *part, const rc_topic *topic, int32_t queue)
{
    return part->topic == topic && part->queue == queue;
}

/* The open part of a queue is its last one. Few queues per append: a search from the end is
 * cheaper than a table that would have to be emptied each time. */
static rc_part *find_part(rc_append *append, rc_topic *topic, int32_t queue, int64_t born_ms)
{
    for (uint32_t i = append->part_count; i-- > 0;)
        if (part_is(&append->parts[i], topic, queue)) {
            append->current = i;
            return &append->parts[i];
        }
    return add_part(append, topic, queue, born_ms);
}

static void grow(rc_part *part, size_t need)
{
    size_t cap = part->cap;

    while (cap - part->len < need)
        cap *= 2;
    part->data = rc_realloc(part->data, cap);
    part->cap = cap;
}

static int too_large(const rc_topic *topic, size_t bytes, rc_error *err)
{
    return rc_fail(err, OMC_EINVAL,
                   "a message of %zu bytes (body, keys and properties) for topic %s is larger than "
                   "the limit of %zu",
                   bytes, topic->name, RC_MESSAGE_MAX);
}

int rc_emb_append_add(rc_append *append, rc_topic *topic, int32_t queue, const rc_message *message,
                      rc_slot *ret_slot, rc_error *err)
{
    size_t bound = rc_batch_bound(message);
    rc_part *part;
    uint8_t *end;
    int r;

    if (bound > RC_MESSAGE_MAX + RC_MESSAGE_OVERHEAD_MAX)
        return too_large(topic, bound - RC_MESSAGE_OVERHEAD_MAX, err);
    if (append->part_count && part_is(&append->parts[append->current], topic, queue)) {
        part = &append->parts[append->current];
    } else {
        r = rc_queue_check(topic, queue, err);
        if (r < 0)
            return r;
        part = find_part(append, topic, queue, message->born_ms);
    }
    if (part->len + bound > RC_ROW_BYTES_MAX && part->count)
        part = add_part(append, topic, queue, message->born_ms);
    if (part->cap - part->len < bound)
        grow(part, bound);
    end = rc_batch_put(part->data + part->len, message, &part->born_ms);
    append->bytes += (size_t)(end - part->data) - part->len;
    part->len = (size_t)(end - part->data);
    if (ret_slot) {
        ret_slot->part = append->current;
        ret_slot->index = part->count;
    }
    part->count++;
    append->count++;
    return 0;
}

static void set_text(char **at, size_t *len, size_t *cap, rc_slice text)
{
    if (*cap < text.len) {
        *at = rc_realloc(*at, text.len);
        *cap = text.len;
    }
    if (text.len)
        memcpy(*at, text.base, text.len);
    *len = text.len;
}

void rc_emb_append_position(rc_append *append, rc_slice partition, rc_slice offset)
{
    rc_position *position;

    for (size_t i = append->position_count; i-- > 0;) {
        position = &append->positions[i];
        if (position->partition_len == partition.len &&
            memcmp(position->partition, partition.base, partition.len) == 0) {
            set_text(&position->offset, &position->offset_len, &position->offset_cap, offset);
            return;
        }
    }
    if (append->position_count == append->position_cap) {
        size_t cap = append->position_cap ? append->position_cap * 2 : 2;

        append->positions = rc_realloc(append->positions, cap * sizeof *position);
        memset(append->positions + append->position_cap, 0,
               (cap - append->position_cap) * sizeof *position);
        append->position_cap = cap;
    }
    position = &append->positions[append->position_count++];
    set_text(&position->partition, &position->partition_len, &position->partition_cap, partition);
    set_text(&position->offset, &position->offset_len, &position->offset_cap, offset);
}

size_t rc_emb_append_bytes(const rc_append *append)
{
    return append->bytes;
}

size_t rc_emb_append_count(const rc_append *append)
{
    return append->count;
}

size_t rc_emb_append_positions(const rc_append *append)
{
    return append->position_count;
}

int64_t rc_emb_append_offset(const rc_append *append, rc_slot slot)
{
    return append->parts[slot.part].base + slot.index;
}

rc_topic *rc_emb_append_topic(const rc_append *append, rc_slot slot)
{
    return append->parts[slot.part].topic;
}

int32_t rc_emb_append_queue(const rc_append *append, rc_slot slot)
{
    return append->parts[slot.part].queue;
}

/* ---- submit and receipts -------------------------------------------------------------------- */

int rc_emb_submit(rc_writer *writer, rc_append *append, void *cookie, rc_error *err)
{
    rc_embedded *log = rc_embedded_of(writer->head.log);
    bool idle, full;

    append->cookie = cookie;
    append->submitted_ns = rc_mono_ns(log->clock);
    append->work = (rc_work){.kind = RC_WORK_APPEND, .err = &append->error};
    for (uint32_t i = 0; i < append->part_count; i++)
        append->parts[i].crc = rc_crc32c(0, append->parts[i].data, append->parts[i].len);
    (void)pthread_mutex_lock(&log->mu);
    /* One append larger than the limit may go when nothing else is under way. */
    full = writer->pending && writer->pending_bytes + append->bytes > writer->pending_bytes_max;
    if (!full) {
        idle = !log->todo;
        DL_APPEND(log->todo, &append->work);
        writer->pending++;
        writer->pending_bytes += append->bytes;
        if (idle)
            (void)pthread_cond_signal(&log->work_cond);
    }
    (void)pthread_mutex_unlock(&log->mu);
    return full ? rc_fail_retriable(err, OMC_EAGAIN,
                                    "%s: %zu bytes are under way to the log, the limit is %zu",
                                    writer->name, writer->pending_bytes, writer->pending_bytes_max)
                : 0;
}

void rc_append_done(rc_append *append)
{
    rc_writer *writer = append->writer;

    DL_APPEND(writer->receipts, append);
    writer->stored++;
}

int rc_emb_receipt(rc_writer *writer, int64_t deadline_ns, rc_receipt *ret)
{
    rc_embedded *log = rc_embedded_of(writer->head.log);
    rc_append *append;

    (void)pthread_mutex_lock(&log->mu);
    while (!writer->receipts && writer->pending && deadline_ns > rc_mono_ns(log->clock))
        (void)log->clock->wait(log->clock, &writer->cond, &log->mu, deadline_ns);
    append = writer->receipts;
    if (append) {
        DL_DELETE(writer->receipts, append);
        writer->stored--;
        writer->pending--;
        writer->pending_bytes -= append->bytes;
    }
    (void)pthread_mutex_unlock(&log->mu);
    if (!append)
        return 0;
    ret->append = append;
    ret->cookie = append->cookie;
    ret->result = append->work.result;
    ret->latency_us = (append->stored_ns - append->submitted_ns) / 1000;
    if (ret->result < 0)
        ret->err = append->error;
    else
        ret->err.code = 0;
    return 1;
}

size_t rc_emb_pending(const rc_writer *writer)
{
    rc_embedded *log = rc_embedded_of(writer->head.log);
    size_t n;

    (void)pthread_mutex_lock(&log->mu);
    n = writer->pending;
    (void)pthread_mutex_unlock(&log->mu);
    return n;
}

size_t rc_emb_pending_bytes(const rc_writer *writer)
{
    rc_embedded *log = rc_embedded_of(writer->head.log);
    size_t n;

    (void)pthread_mutex_lock(&log->mu);
    n = writer->pending_bytes;
    (void)pthread_mutex_unlock(&log->mu);
    return n;
}
