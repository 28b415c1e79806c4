/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exactly once for sources that replay. Per source partition and queue a *note* is durable before
 * the first send: nothing of the partition that its position does not cover lies below it. The
 * notes travel in the partition's position record, so both move together. Whoever writes for the
 * partition next reads the queues back from the notes, and messages whose identity it finds there
 * are not stored again (eo_inherit.c). Notes move with the position (eo_notes.c); a writer that
 * ends with everything covered leaves none.
 */
#include "log/rocketmq/eo.h"

/** Longest wait for a note to become durable. */
#define NOTE_WAIT_MS 30000

int64_t rc_eo_generation(const rc_writer *writer)
{
    return writer->eo->generation;
}

int rc_eo_open(rc_writer *writer, rc_error *err)
{
    rc_rocketmq *log = writer->log;
    int r = rc_position_table_sync(log->table, err);

    if (r < 0)
        return r;
    writer->eo = rc_calloc(1, sizeof *writer->eo);
    writer->eo->generation = 1 + rc_position_table_generation(log->table, writer->connector);
    /* Readers remember barriers for longer than the position topic remembers generations. */
    if (writer->fence) { /* whose ruler has seen to that; a restart goes on behind the last stamp */
        writer->eo->generation = writer->fence->generation;
        writer->next_number =
            (uint64_t)(atomic_load(&writer->fence->numbered) + RC_STAMP_STEP - 1) / RC_STAMP_STEP;
        writer->eo->begin = (int64_t)(writer->next_number + 1) * RC_STAMP_STEP;
    } else if (writer->strict) {
        writer->eo->generation = RC_MAX(writer->eo->generation, rc_now_ms(log->clock) / 1000);
    }
    writer->eo->opened_ns = rc_mono_ns(log->clock);
    return 0;
}

void rc_eo_close(rc_writer *writer)
{
    rc_eo_partition *partition, *next;

    if (!writer->eo)
        return;
    HASH_ITER(hh, writer->eo->partitions, partition, next)
    {
        HASH_DEL(writer->eo->partitions, partition); /* NOLINT(clang-analyzer-unix.Malloc) */
        rc_eo_partition_free(partition);
    }
    rc_ids_release(&writer->eo->ids);
    free(writer->eo->closed);
    free(writer->eo);
    writer->eo = NULL;
}

/* ---- partitions ------------------------------------------------------------------------------ */

static int find_partition(rc_writer *writer, const rc_identity *identity, rc_eo_partition **ret,
                          rc_error *err)
{
    rc_eo *eo = writer->eo;
    rc_slice text = identity->partition;
    rc_eo_partition *partition = eo->last;
    int r;

    if (partition && strlen(partition->text) == text.len &&
        memcmp(partition->text, text.base, text.len) == 0) {
        *ret = partition;
        return 0;
    }
    HASH_FIND(hh, eo->partitions, text.base, text.len, partition);
    if (!partition) {
        partition = rc_calloc(1, sizeof *partition);
        partition->text = rc_strndup(text.base, text.len);
        r = rc_eo_inherit(writer, partition, identity, err);
        if (r < 0) {
            rc_eo_partition_free(partition);
            return r;
        }
        /* Only now: until all is read, the notes in the table are the right ones. */
        (void)pthread_mutex_lock(&writer->mu);
        HASH_ADD_KEYPTR(hh, eo->partitions, partition->text, text.len, partition);
        (void)pthread_mutex_unlock(&writer->mu);
    }
    *ret = eo->last = partition;
    return 0;
}

/* ---- notes of this generation ---------------------------------------------------------------- */

/* The queue's end is noted durably before anything of the partition is sent to it. */
static int note_queue(rc_writer *writer, rc_eo_partition *partition, rc_topic *topic, int32_t queue,
                      rc_eo_queue **ret, rc_error *err)
{
    const rmq_stamp known = {writer->strict, writer->eo->generation, 0};
    rc_line *line;
    size_t at;
    int64_t end;
    int r;

    if (!rc_eo_has_room(writer, partition, topic, queue))
        return omc_fail(err, OMC_EUNSUPPORTED, OMC_ERR_FATAL,
                        "records of one source partition go to more than %zu queues, too many for "
                        "exactly once: use topics with fewer queues, ordering=partition, or "
                        "exactly.once.support=off",
                        partition->count);
    r = rmq_offset_max(writer->log->client, &topic->queues[queue], &end, err);
    if (r < 0)
        return r;
    at = rc_writer_line(writer, topic, queue);
    (void)pthread_mutex_lock(&writer->mu);
    *ret = rc_eo_add_queue(partition, topic, queue, end, &known);
    line = &writer->lines[at];
    line->known_next = RC_MAX(line->known_next, end);
    rc_commit_touch(writer, partition->text);
    (void)pthread_mutex_unlock(&writer->mu);
    r = rc_commit_wait(writer, rc_mono_ns(writer->log->clock) + NOTE_WAIT_MS * INT64_C(1000000),
                       err);
    return r < 0
               ? rc_wrap(err, r, "note where records of topic '%s', queue %d of broker '%s' begin",
                         topic->name, topic->queues[queue].id, topic->queues[queue].broker)
               : 0;
}

/* An inherited queue that is used again: what is found later in it is looked for from its end. */
static void know_line(rc_writer *writer, const rc_eo_queue *q)
{
    size_t at = rc_writer_line(writer, q->topic, q->queue);

    if (writer->lines[at].append > 0)
        return; /* has been written to */
    (void)pthread_mutex_lock(&writer->mu);
    if (writer->lines[at].known_next < 0)
        writer->lines[at].known_next = q->note;
    (void)pthread_mutex_unlock(&writer->mu);
}

static void add_cover(rc_append *append, rc_eo_queue *queue, uint32_t part, uint32_t last,
                      uint32_t found)
{
    rc_eo_cover *cover;

    for (uint32_t i = append->cover_count; i > 0; i--) {
        cover = &append->covers[i - 1];
        if (cover->queue != queue)
            continue;
        cover->found += found;
        if (part != UINT32_MAX) {
            if (cover->part == UINT32_MAX)
                cover->first = part;
            cover->part = part;
            cover->last = last;
        }
        return;
    }
    if (append->cover_count == append->cover_cap) {
        append->cover_cap = append->cover_cap ? 2 * append->cover_cap : 8;
        append->covers = rc_realloc(append->covers, append->cover_cap * sizeof *append->covers);
    }
    append->covers[append->cover_count++] = (rc_eo_cover){queue, part, part, last, found};
}

int rc_eo_before_add(rc_append *append, rc_topic *topic, int32_t queue, const rc_identity *identity,
                     rc_found *ret_found, rc_error *err)
{
    rc_writer *writer = append->writer;
    rc_eo_partition *partition;
    rc_id_entry *entry;
    rc_eo_queue *q;
    rc_id id = {.ordinal = identity->ordinal};
    int r = find_partition(writer, identity, &partition, err);

    if (r < 0)
        return r;
    memcpy(id.hash, identity->hash, sizeof id.hash);
    entry = rc_ids_find(&writer->eo->ids, &id);
    if (entry) {
        *ret_found = (rc_found){entry->topic, entry->queue, entry->offset};
        q = rc_eo_find_queue(partition, entry->topic, entry->queue);
        if (q) /* else it is another partition's, with the same head of the hash */
            add_cover(append, q, UINT32_MAX, 0, 1);
        return 1;
    }
    q = rc_eo_find_queue(partition, topic, queue);
    if (!q)
        r = note_queue(writer, partition, topic, queue, &q, err);
    else
        know_line(writer, q);
    writer->eo->current = q;
    return r;
}

void rc_eo_added(rc_append *append, uint32_t part, uint32_t index)
{
    add_cover(append, append->writer->eo->current, part, index, 0);
}

bool rc_eo_knows(const rc_writer *writer, const char *text)
{
    rc_eo_partition *partition;

    HASH_FIND_STR(writer->eo->partitions, text, partition);
    return partition != NULL;
}
