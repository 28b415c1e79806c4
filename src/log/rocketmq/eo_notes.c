/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is noted of a queue for a partition, and how it moves (ownership rule R18): up behind the
 * last record that the position covers, but never past a stored record that it does not cover.
 * Those are what an earlier generation has left and this one has not met again; of what the
 * position covers beyond them the note says where it lies, or whoever reads back next would wait
 * for it for ever.
 */
#include "log/rocketmq/eo.h"

/** Beside the names: quotes, commas, two numbers; and the stamp, and of each range two numbers. */
#define NOTE_TEXT 48
#define STRICT_NOTE_TEXT (NOTE_TEXT + RMQ_STAMP_TEXT)
#define RANGE_TEXT 48

/* ---- queues of a partition ------------------------------------------------------------------- */

rc_eo_queue *rc_eo_find_queue(const rc_eo_partition *partition, const rc_topic *topic,
                              int32_t queue)
{
    const rmq_queue *wanted = &topic->queues[queue];

    for (size_t i = 0; i < partition->count; i++) {
        rc_eo_queue *q = partition->queues[i];
        const rmq_queue *has = &q->topic->queues[q->queue];

        if (q->topic == topic ? q->queue == queue
                              : has->id == wanted->id && !strcmp(has->topic, wanted->topic) &&
                                    !strcmp(has->broker, wanted->broker))
            return q;
    }
    return NULL;
}

rc_eo_queue *rc_eo_add_queue(rc_eo_partition *partition, rc_topic *topic, int32_t queue,
                             int64_t note, const rmq_stamp *known)
{
    rc_eo_queue *q = rc_calloc(1, sizeof *q);

    if (partition->count == partition->cap) {
        partition->cap = partition->cap ? 2 * partition->cap : 4;
        partition->queues = rc_realloc(partition->queues, partition->cap * sizeof(rc_eo_queue *));
    }
    *q = (rc_eo_queue){.partition = partition,
                       .topic = topic,
                       .queue = queue,
                       .note = note,
                       .known = *known,
                       .pending_next = -1,
                       .own = {-1, -1}};
    partition->queues[partition->count++] = q;
    return q;
}

static void forget_left(rc_eo_queue *q)
{
    free(q->left);
    free(q->met);
    q->left = NULL;
    q->met = NULL;
    q->left_count = q->left_cap = q->first = q->met_count = q->met_cap = q->skip_count = 0;
    q->own = (rc_eo_range){-1, -1};
}

void rc_eo_partition_free(rc_eo_partition *partition)
{
    for (size_t i = 0; i < partition->count; i++) {
        forget_left(partition->queues[i]);
        free(partition->queues[i]);
    }
    free(partition->queues);
    free(partition->text);
    free(partition);
}

static size_t note_size(const rc_topic *topic, int32_t queue, bool strict)
{
    return (strict ? STRICT_NOTE_TEXT : NOTE_TEXT) + strlen(topic->name) +
           strlen(topic->queues[queue].broker);
}

static size_t notes_size(const rc_writer *writer, const rc_eo_partition *partition)
{
    size_t size = RMQ_STAMP_TEXT;

    for (size_t i = 0; i < partition->count; i++) {
        const rc_eo_queue *q = partition->queues[i];

        size += note_size(q->topic, q->queue, writer->strict || q->known.writer);
    }
    return size;
}

bool rc_eo_has_room(const rc_writer *writer, const rc_eo_partition *partition,
                    const rc_topic *topic, int32_t queue)
{
    return notes_size(writer, partition) + note_size(topic, queue, writer->strict) <= RC_NOTES_MAX;
}

/* ---- what is covered ------------------------------------------------------------------------- */

void rc_eo_leave(rc_eo_queue *q, int64_t offset, const rmq_stamp *stamp)
{
    if (q->left_count == q->left_cap) {
        q->left_cap = q->left_cap ? 2 * q->left_cap : 64;
        q->left = rc_realloc(q->left, q->left_cap * sizeof *q->left);
    }
    q->left[q->left_count++] = (rc_eo_left){offset, *stamp, RC_LEFT_UNMET};
}

static int by_offset(const void *a, const void *b)
{
    int64_t x = ((const rc_eo_left *)a)->offset, y = ((const rc_eo_left *)b)->offset;

    return x < y ? -1 : x > y;
}

/* The append has met again what was left at this offset. */
static void meet(rc_eo_queue *q, int64_t offset)
{
    const rc_eo_left key = {.offset = offset};
    rc_eo_left *at = q->left ? bsearch(&key, q->left, q->left_count, sizeof key, by_offset) : NULL;

    if (!at || at->state != RC_LEFT_UNMET)
        return;
    at->state = RC_LEFT_MET;
    if (q->met_count == q->met_cap) {
        q->met_cap = q->met_cap ? 2 * q->met_cap : 64;
        q->met = rc_realloc(q->met, q->met_cap * sizeof *q->met);
    }
    q->met[q->met_count++] = (size_t)(at - q->left);
}

/* What one append has of a queue: it is acknowledged, and covered with the next position. */
static void take_cover(const rc_append *append, const rc_eo_cover *cover)
{
    rc_eo_queue *q = cover->queue;

    for (uint32_t i = 0; cover->found && i < append->found_count; i++)
        if (append->found[i].topic == q->topic && append->found[i].queue == q->queue)
            meet(q, append->found[i].offset);
    if (cover->part == UINT32_MAX)
        return;
    if (q->own.from < 0)
        q->own.from = q->own.to = rc_rmq_append_offset(append, (rc_slot){cover->first, 0});
    q->pending_next = rc_rmq_append_offset(append, (rc_slot){cover->part, cover->last}) + 1;
    q->pending_sequence = append->parts[cover->part]->sequence;
}

static void move_to(rc_eo_queue *q, int64_t note, const rmq_stamp *known)
{
    if (note <= q->note)
        return;
    q->note = note;
    q->known = *known;
}

/* Everything up to what is pending is covered. */
static void cover(const rc_writer *writer, rc_eo_queue *q)
{
    const rmq_stamp known = {writer->strict, writer->eo->generation, q->pending_sequence};

    for (size_t i = 0; i < q->met_count; i++)
        q->left[q->met[i]].state = RC_LEFT_COVERED;
    q->met_count = 0;
    while (q->first < q->left_count && q->left[q->first].state == RC_LEFT_COVERED)
        q->first++;
    q->own.to = RC_MAX(q->own.to, q->pending_next);
    if (q->first < q->left_count) {
        move_to(q, q->left[q->first].offset, &q->left[q->first].stamp);
    } else {
        if (q->left_count > 0)
            move_to(q, q->left[q->left_count - 1].offset + 1, &q->left[q->left_count - 1].stamp);
        if (q->pending_next >= 0)
            move_to(q, q->pending_next, &known);
        forget_left(q);
    }
    q->pending_next = -1;
}

void rc_eo_covered(rc_writer *writer, rc_append *append)
{
    for (uint32_t i = 0; i < append->cover_count; i++)
        take_cover(append, &append->covers[i]);
    /* A position covers all that came before it, in earlier appends too. */
    for (uint32_t i = 0; i < append->position_count; i++) {
        rc_eo_partition *partition;

        HASH_FIND_STR(writer->eo->partitions, append->positions[i].partition, partition);
        for (size_t k = 0; partition && k < partition->count; k++)
            cover(writer, partition->queues[k]);
    }
}

static bool all_covered(const rc_eo_partition *partition)
{
    for (size_t i = 0; i < partition->count; i++)
        if (partition->queues[i]->left_count > 0 || partition->queues[i]->pending_next >= 0)
            return false;
    return true;
}

void rc_eo_settle(rc_writer *writer)
{
    rc_eo_partition *partition, *next;

    if (!writer->eo || writer->failed || writer->unanswered > 0)
        return;
    HASH_ITER(hh, writer->eo->partitions, partition, next)
    {
        if (partition->count == 0 || !all_covered(partition))
            continue;
        partition->settled = true;
        rc_commit_touch(writer, partition->text);
    }
}

/* ---- as text --------------------------------------------------------------------------------- */

static bool read_range(const omc_value *value, rc_eo_range *ret)
{
    const omc_array *pair = value->kind == OMC_ARRAY ? value->u.array : NULL;

    return pair && pair->count == 2 && omc_value_int64(&pair->items[0], &ret->from) &&
           omc_value_int64(&pair->items[1], &ret->to);
}

bool rc_eo_read_note(const omc_value *value, rc_noted *ret)
{
    const omc_array *parts = value->kind == OMC_ARRAY ? value->u.array : NULL;
    size_t at = 4;

    *ret = (rc_noted){0};
    if (!parts || parts->count < 4 || parts->items[0].kind != OMC_STRING ||
        parts->items[1].kind != OMC_STRING || !omc_value_int64(&parts->items[2], &ret->id) ||
        !omc_value_int64(&parts->items[3], &ret->offset))
        return false;
    ret->topic = parts->items[0].u.bytes;
    ret->broker = parts->items[1].u.bytes;
    if (at < parts->count && parts->items[at].kind == OMC_STRING &&
        !rmq_stamp_parse(parts->items[at++].u.bytes, &ret->known))
        return false;
    for (; at < parts->count; at++)
        if (ret->skip_count == RC_NOTE_RANGES_MAX ||
            !read_range(&parts->items[at], &ret->skip[ret->skip_count++]))
            return false;
    return true;
}

/* The ranges of a queue that lie behind its note. What finds no room here is read back once more.
 */
static size_t ranges_of(const rc_eo_queue *q, rc_eo_range ret[RC_NOTE_RANGES_MAX])
{
    size_t n = 0;

    if (q->own.to > q->own.from && q->own.to > q->note)
        ret[n++] = q->own;
    for (size_t i = 0; i < q->skip_count && n < RC_NOTE_RANGES_MAX; i++)
        if (q->skip[i].to > q->note)
            ret[n++] = q->skip[i];
    for (size_t i = q->first; i < q->left_count && n < RC_NOTE_RANGES_MAX; i++) {
        size_t from = i;

        while (i < q->left_count && q->left[i].state == RC_LEFT_COVERED)
            i++;
        if (i > from)
            ret[n++] = (rc_eo_range){q->left[from].offset, q->left[i - 1].offset + 1};
    }
    return n;
}

static void print_note(const rc_eo_queue *q, size_t *room, rc_buf *out)
{
    const rmq_queue *queue = &q->topic->queues[q->queue];
    rc_eo_range ranges[RC_NOTE_RANGES_MAX];
    size_t count = ranges_of(q, ranges);
    char stamp[RMQ_STAMP_TEXT];

    rc_buf_printf(out, "[\"%s\",\"%s\",%d,%lld", queue->topic, queue->broker, queue->id,
                  (long long)q->note);
    if (q->known.writer) {
        (void)rmq_stamp_text(&q->known, stamp);
        rc_buf_printf(out, ",\"%s\"", stamp);
    }
    for (size_t i = 0; i < count && *room >= RANGE_TEXT; i++, *room -= RANGE_TEXT)
        rc_buf_printf(out, ",[%lld,%lld]", (long long)ranges[i].from, (long long)ranges[i].to);
    rc_buf_char(out, ']');
}

rc_slice rc_eo_notes(rc_writer *writer, const char *text, omc_arena *arena)
{
    const rmq_stamp who = {writer->strict, writer->eo->generation, 0};
    rc_buf out = RC_BUF(RMQ_PROPERTIES_MAX);
    char stamp[RMQ_STAMP_TEXT];
    rc_eo_partition *partition;
    rc_slice notes;
    size_t room;

    HASH_FIND_STR(writer->eo->partitions, text, partition);
    if (!partition || partition->settled || partition->count == 0)
        return omc_slice_of(NULL, 0);
    room = RC_NOTES_MAX - RC_MIN(notes_size(writer, partition), RC_NOTES_MAX);
    if (writer->strict) {
        (void)rmq_stamp_text(&who, stamp);
        rc_buf_printf(&out, "[\"%s\"", stamp);
    }
    for (size_t i = 0; i < partition->count; i++) {
        rc_buf_char(&out, out.len ? ',' : '[');
        print_note(partition->queues[i], &room, &out);
    }
    rc_buf_char(&out, ']');
    RC_ASSERT(!out.overflow); /* RC_NOTES_MAX, see rc_eo_has_room() */
    notes = rc_arena_slice(arena, rc_buf_slice(&out));
    rc_buf_release(&out);
    return notes;
}
