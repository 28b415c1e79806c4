/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an earlier writer of a partition has left behind its notes: read back when the partition is
 * met for the first time.
 *
 * What a killed writer has sent may land later still. Without barriers that is waited for, for as
 * long as networks and brokers take. A strict writer appends a barrier for its predecessor to each
 * queue of the notes instead, and what counts is what lies before it; so the notes of a strict
 * writer say who it was, and how far it was at each (rocketmq/strict.h).
 */
#include "log/rocketmq/eo.h"

#include "base/diag.h"
#include "record/json.h"

typedef struct inheritance {
    rc_writer *writer;
    rc_eo_partition *partition;
    const rc_identity *identity; /* any of the partition */
    rmq_stamp last;     /* barrier behind all of the writer that left the notes; writer 0: none */
    rc_topic *topic;    /* of the note before */
    rc_eo_queue *queue; /* of the present one */
    rc_error *err;
} inheritance;

static bool is_skipped(const rc_eo_queue *q, int64_t offset)
{
    for (size_t i = 0; i < q->skip_count; i++)
        if (offset >= q->skip[i].from && offset < q->skip[i].to)
            return true;
    return false;
}

static int inherit_id(void *arg, const rc_id *id, int64_t offset, const rmq_stamp *stamp)
{
    inheritance *in = arg;
    int r;

    if (memcmp(id->hash, in->identity->hash, RC_IDENTITY_PARTITION) != 0 ||
        is_skipped(in->queue, offset))
        return 0;
    r = rc_ids_add(&in->writer->eo->ids, id, in->queue->topic, in->queue->queue, offset, in->err);
    if (r > 0)
        rc_eo_leave(in->queue, offset, stamp);
    return r < 0 ? r : 0;
}

static void wait_for_tail(rc_writer *writer)
{
    rc_clock *clock = writer->log->clock;
    int64_t until = writer->eo->opened_ns + writer->log->dead_tail_ms * INT64_C(1000000);

    (void)pthread_mutex_lock(&writer->mu);
    while (rc_mono_ns(clock) < until)
        (void)clock->wait(clock, &writer->cond, &writer->mu, until);
    (void)pthread_mutex_unlock(&writer->mu);
}

/* A barrier in the queue for the writer that left the notes, once. */
static int close_queue(inheritance *in, const rmq_queue *queue, int64_t *ret_end)
{
    rc_eo *eo = in->writer->eo;
    int64_t offset;
    int r;

    *ret_end = -1;
    if (!in->writer->strict || !in->last.writer)
        return 0;
    for (size_t i = 0; i < eo->closed_count; i++)
        if (eo->closed[i].queue == queue && eo->closed[i].last.writer == in->last.writer &&
            eo->closed[i].last.generation == in->last.generation) {
            *ret_end = eo->closed[i].end;
            return 0;
        }
    r = rc_barrier(in->writer, queue, &in->last, NULL, &offset, in->err);
    if (r < 0)
        return r;
    if (eo->closed_count == eo->closed_cap) {
        eo->closed_cap = eo->closed_cap ? 2 * eo->closed_cap : 16;
        eo->closed = rc_realloc(eo->closed, eo->closed_cap * sizeof *eo->closed);
    }
    *ret_end = offset + 1;
    eo->closed[eo->closed_count++] = (rc_eo_closed){queue, in->last, *ret_end};
    return 0;
}

static int32_t index_of(const rc_topic *topic, rc_slice broker, int64_t id)
{
    for (int32_t i = 0; i < topic->count; i++)
        if (topic->queues[i].id == id && omc_slice_is(broker, topic->queues[i].broker))
            return i;
    return -1;
}

/* The queue's index in in->topic; -1: its topic is gone. */
static int find_noted(inheritance *in, const rc_noted *note, int32_t *ret)
{
    RC_AUTO_FREE char *name = rc_strndup(note->topic.base, note->topic.len);
    rc_topic *topic = in->topic;
    int r = 0;

    *ret = -1;
    if (!topic || strcmp(rc_rmq_topic_name(topic), name) != 0)
        r = rc_rmq_topic(&in->writer->log->pub, name, 0, &topic, in->err);
    if (r == -OMC_ENOTFOUND) {
        rc_warn("rocketmq",
                "%s: topic '%s', to which it has written, is gone; nothing of it is "
                "recognised",
                in->writer->name, name);
        return 0;
    }
    if (r < 0)
        return r;
    in->topic = topic;
    *ret = index_of(topic, note->broker, note->id);
    if (*ret < 0)
        return rc_fail_retriable(in->err, OMC_ENOTFOUND,
                                 "queue %lld of topic '%s' at broker '" RC_SLICE_FMT
                                 "', to which it has written, is not there now: is the broker up?",
                                 (long long)note->id, name, RC_SLICE_ARG(note->broker));
    return 0;
}

static int inherit_note(inheritance *in, const omc_value *value)
{
    rc_writer *writer = in->writer;
    rc_look look = {.each = inherit_id, .arg = in};
    int32_t index;
    rc_noted note;
    int r;

    if (!rc_eo_read_note(value, &note))
        return rc_fail(in->err, OMC_EFORMAT, "a note in the position topic is damaged");
    r = find_noted(in, &note, &index);
    if (r < 0 || index < 0)
        return r;
    look.queue = &in->topic->queues[index];
    look.from = note.offset;
    look.known = note.known;
    r = close_queue(in, look.queue, &look.end);
    if (r < 0)
        return r;
    in->queue = rc_eo_add_queue(in->partition, in->topic, index, note.offset, &note.known);
    memcpy(in->queue->skip, note.skip, sizeof note.skip);
    in->queue->skip_count = note.skip_count;
    r = rc_reconcile(writer->log, &look, in->err);
    /* Stored once does not mean stored as is asked for now. */
    if (r == 0 && in->queue->left_count > 0 && writer->ack != RC_ACK_STORED)
        r = rc_writer_check_ack(writer, in->topic, index, in->err);
    if (r == 0 && in->queue->left_count > 0)
        r = rc_confirm(writer, look.queue->broker, NULL, in->err);
    return r;
}

/* The writer before, under the same owner and generation: only what it sent is to be closed, not
 * what this one will send. */
static bool is_forerunner(const inheritance *in)
{
    const rc_writer *writer = in->writer;

    return writer->fence && in->last.writer == writer->strict &&
           in->last.generation == writer->eo->generation;
}

/* Notes are an array; that of a strict writer begins with its stamp. */
static int inherit_notes(inheritance *in, rc_slice text, omc_arena *arena)
{
    const omc_array *list;
    omc_value notes;
    size_t at = 0;
    int r = rc_json_read(text, 0, arena, &notes, in->err);

    if (r < 0)
        return r;
    if (notes.kind != OMC_ARRAY)
        return rc_fail(in->err, OMC_EFORMAT, "notes in the position topic are damaged");
    list = notes.u.array;
    if (list->count > 0 && list->items[0].kind == OMC_STRING) {
        if (!rmq_stamp_parse(list->items[0].u.bytes, &in->last))
            return rc_fail(in->err, OMC_EFORMAT, "notes in the position topic are damaged");
        in->last.sequence = is_forerunner(in) ? in->writer->eo->begin : RMQ_STAMP_LAST;
        at = 1;
    }
    if (!in->writer->strict || !in->last.writer)
        wait_for_tail(in->writer);
    for (; r == 0 && at < list->count; at++)
        r = inherit_note(in, &list->items[at]);
    return r;
}

int rc_eo_inherit(rc_writer *writer, rc_eo_partition *partition, const rc_identity *identity,
                  rc_error *err)
{
    inheritance in = {.writer = writer, .partition = partition, .identity = identity, .err = err};
    size_t found = writer->eo->ids.count;
    rc_position_record record;
    rc_arena arena;
    int r = 0;

    rc_arena_init(&arena, 4096);
    if (rc_position_table_get(writer->log->table, writer->connector, identity->partition,
                              &arena.pub, &record)) {
        if (rc_rmq_outranked(writer->fence, record.generation))
            r = rc_fence_fail(writer->fence, writer->name, err);
        else if (record.notes.base)
            r = inherit_notes(&in, record.notes, &arena.pub);
    }
    found = writer->eo->ids.count - found;
    if (r == 0 && found)
        rc_info("rocketmq",
                "%s: %zu messages behind the last position of " RC_SLICE_FMT
                " are stored already and will not be stored again",
                writer->name, found, RC_SLICE_ARG(identity->partition));
    rc_arena_release(&arena);
    return r;
}
