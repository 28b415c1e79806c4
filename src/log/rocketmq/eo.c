/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exactly once for sources that replay. Per source partition and queue a *note* is durable before
 * the first send: nothing of the partition that its position does not cover lies below it. The
 * notes travel in the partition's position record, so both move together. Whoever writes for the
 * partition next reads the queues back from the notes, and messages whose identity it finds there
 * are not stored again.
 *
 * A note moves up behind the last record the position covers; but not while messages of an earlier
 * generation lie behind it that this one has not met again (ownership rule R18). A writer that ends
 * with everything covered leaves no notes.
 *
 * What a killed writer has sent may land later still. Without barriers that is waited for, for as
 * long as networks and brokers take. A strict writer appends a barrier for its predecessor to each
 * queue of the notes instead, and what counts is what lies before it; so the notes of a strict
 * writer say who it was, and how far it was at each (rocketmq/strict.h).
 */
#include "log/rocketmq/internal.h"

#include "base/diag.h"
#include "record/json.h"

/** Notes of one partition as text: they share the record's properties. */
#define NOTES_MAX ((size_t)30000)
/** Beside the names: quotes, commas, two numbers; and the stamp. */
#define NOTE_TEXT 48
#define STRICT_NOTE_TEXT (NOTE_TEXT + RMQ_STAMP_TEXT)
/** Longest wait for a note to become durable. */
#define NOTE_WAIT_MS 30000

struct rc_eo_queue {
    rc_eo_partition *partition;
    rc_topic *topic;
    int32_t queue;
    int64_t note;
    rmq_stamp known;          /* what its writer had reached at the note; writer 0: not strict */
    int64_t pending_next;     /* behind the last item that is stored and not yet covered; -1 */
    int64_t pending_sequence; /* of that item's stamp */
    uint32_t inherited;       /* of earlier generations, not met again */
    uint32_t pending_found;   /* met again, not yet covered */
};

struct rc_eo_partition {
    char *text;
    rc_eo_queue **queues;
    size_t count, cap;
    bool settled; /* no more notes */
    UT_hash_handle hh;
};

/* A queue in which nothing of a writer counts any more from `end` on. */
typedef struct closed {
    const rmq_queue *queue;
    rmq_stamp last;
    int64_t end;
} closed;

struct rc_eo {
    int64_t generation;
    int64_t opened_ns;
    rc_eo_partition *partitions; /* [writer->mu] */
    rc_eo_partition *last;
    rc_eo_queue *current; /* of the message being added */
    rc_id_table ids;      /* task thread */
    closed *closed;       /* task thread; at most one per queue and predecessor */
    size_t closed_count, closed_cap;
};

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
    if (writer->strict)
        writer->eo->generation = RC_MAX(writer->eo->generation, rc_now_ms(log->clock) / 1000);
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
        for (size_t i = 0; i < partition->count; i++)
            free(partition->queues[i]);
        free(partition->queues);
        free(partition->text);
        free(partition);
    }
    rc_ids_release(&writer->eo->ids);
    free(writer->eo->closed);
    free(writer->eo);
    writer->eo = NULL;
}

/* ---- partitions and queues ------------------------------------------------------------------- */

static rc_eo_queue *find_queue(const rc_eo_partition *partition, const rc_topic *topic,
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

/* [mu] */
static rc_eo_queue *add_queue(rc_eo_partition *partition, rc_topic *topic, int32_t queue,
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
                       .pending_next = -1};
    partition->queues[partition->count++] = q;
    return q;
}

/* ---- inherited notes ------------------------------------------------------------------------- */

typedef struct inheritance {
    rc_writer *writer;
    rc_eo_partition *partition;
    const rc_identity *identity; /* any of the partition */
    rmq_stamp last;     /* barrier behind all of the writer that left the notes; writer 0: none */
    rc_topic *topic;    /* of the note before */
    rc_eo_queue *queue; /* of the present one */
    rc_error *err;
} inheritance;

static int inherit_id(void *arg, const rc_id *id, int64_t offset)
{
    inheritance *in = arg;
    int r;

    if (memcmp(id->hash, in->identity->hash, RC_IDENTITY_PARTITION) != 0)
        return 0;
    r = rc_ids_add(&in->writer->eo->ids, id, in->queue->topic, in->queue->queue, offset, in->err);
    if (r > 0)
        in->queue->inherited++;
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
    eo->closed[eo->closed_count++] = (closed){queue, in->last, *ret_end};
    return 0;
}

static int32_t index_of(const rc_topic *topic, rc_slice broker, int64_t id)
{
    for (int32_t i = 0; i < topic->count; i++)
        if (topic->queues[i].id == id && omc_slice_is(broker, topic->queues[i].broker))
            return i;
    return -1;
}

/* What a note says: [topic, broker, queue, offset], and of a strict writer its stamp there. */
typedef struct noted {
    rc_slice topic, broker;
    int64_t id, offset;
    rmq_stamp known;
} noted;

static bool read_note(const omc_value *value, noted *ret)
{
    const omc_array *parts = value->kind == OMC_ARRAY ? value->u.array : NULL;

    *ret = (noted){0};
    if (!parts || parts->count < 4 || parts->count > 5 || parts->items[0].kind != OMC_STRING ||
        parts->items[1].kind != OMC_STRING || !omc_value_int64(&parts->items[2], &ret->id) ||
        !omc_value_int64(&parts->items[3], &ret->offset))
        return false;
    ret->topic = parts->items[0].u.bytes;
    ret->broker = parts->items[1].u.bytes;
    return parts->count == 4 || (parts->items[4].kind == OMC_STRING &&
                                 rmq_stamp_parse(parts->items[4].u.bytes, &ret->known));
}

/* The queue's index in in->topic; -1: its topic is gone. */
static int find_noted(inheritance *in, const noted *note, int32_t *ret)
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
    noted note;
    int r;

    if (!read_note(value, &note))
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
    (void)pthread_mutex_lock(&writer->mu);
    in->queue = add_queue(in->partition, in->topic, index, note.offset, &note.known);
    (void)pthread_mutex_unlock(&writer->mu);
    r = rc_reconcile(writer->log, &look, in->err);
    /* Stored once does not mean stored as is asked for now. */
    if (r == 0 && in->queue->inherited > 0 && writer->ack != RC_ACK_STORED)
        r = rc_writer_check_ack(writer, in->topic, index, in->err);
    if (r == 0 && in->queue->inherited > 0)
        r = rc_confirm(writer, look.queue->broker, NULL, in->err);
    return r;
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
        in->last.sequence = RMQ_STAMP_LAST;
        at = 1;
    }
    if (!in->writer->strict || !in->last.writer)
        wait_for_tail(in->writer);
    for (; r == 0 && at < list->count; at++)
        r = inherit_note(in, &list->items[at]);
    return r;
}

static int inherit(rc_writer *writer, rc_eo_partition *partition, const rc_identity *identity,
                   rc_error *err)
{
    inheritance in = {.writer = writer, .partition = partition, .identity = identity, .err = err};
    size_t found = writer->eo->ids.count;
    rc_position_record record;
    rc_arena arena;
    int r = 0;

    rc_arena_init(&arena, 4096);
    if (rc_position_table_get(writer->log->table, writer->connector, identity->partition,
                              &arena.pub, &record) &&
        record.notes.base)
        r = inherit_notes(&in, record.notes, &arena.pub);
    found = writer->eo->ids.count - found;
    if (r == 0 && found)
        rc_info("rocketmq",
                "%s: %zu messages behind the last position of " RC_SLICE_FMT
                " are stored already and will not be stored again",
                writer->name, found, RC_SLICE_ARG(identity->partition));
    rc_arena_release(&arena);
    return r;
}

static void forget_partition(rc_writer *writer, rc_eo_partition *partition)
{
    (void)pthread_mutex_lock(&writer->mu);
    HASH_DEL(writer->eo->partitions, partition);
    (void)pthread_mutex_unlock(&writer->mu);
    for (size_t i = 0; i < partition->count; i++)
        free(partition->queues[i]);
    free(partition->queues);
    free(partition->text);
    free(partition);
}

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
        (void)pthread_mutex_lock(&writer->mu);
        HASH_ADD_KEYPTR(hh, eo->partitions, partition->text, text.len, partition);
        (void)pthread_mutex_unlock(&writer->mu);
        r = inherit(writer, partition, identity, err);
        if (r < 0) {
            forget_partition(writer, partition);
            return r;
        }
    }
    *ret = eo->last = partition;
    return 0;
}

/* ---- notes of this generation ---------------------------------------------------------------- */

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

/* The queue's end is noted durably before anything of the partition is sent to it. */
static int note_queue(rc_writer *writer, rc_eo_partition *partition, rc_topic *topic, int32_t queue,
                      rc_eo_queue **ret, rc_error *err)
{
    const rmq_stamp known = {writer->strict, writer->eo->generation, 0};
    rc_line *line;
    size_t at;
    int64_t end;
    int r;

    if (notes_size(writer, partition) + note_size(topic, queue, writer->strict) > NOTES_MAX)
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
    *ret = add_queue(partition, topic, queue, end, &known);
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
            cover->part = part;
            cover->last = last;
        }
        return;
    }
    if (append->cover_count == append->cover_cap) {
        append->cover_cap = append->cover_cap ? 2 * append->cover_cap : 8;
        append->covers = rc_realloc(append->covers, append->cover_cap * sizeof *append->covers);
    }
    append->covers[append->cover_count++] = (rc_eo_cover){queue, part, last, found};
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
        q = find_queue(partition, entry->topic, entry->queue);
        if (q) /* else it is another partition's, with the same head of the hash */
            add_cover(append, q, UINT32_MAX, 0, 1);
        return 1;
    }
    q = find_queue(partition, topic, queue);
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

/* ---- what is covered ------------------------------------------------------------------------- */

/* Everything up to pending_next is covered. */
static void move_note(const rc_writer *writer, rc_eo_queue *q)
{
    if (q->inherited > 0 || q->pending_next < 0)
        return;
    if (q->pending_next > q->note) {
        q->note = q->pending_next;
        q->known = (rmq_stamp){writer->strict, writer->eo->generation, q->pending_sequence};
    }
    q->pending_next = -1;
}

void rc_eo_covered(rc_writer *writer, rc_append *append)
{
    for (uint32_t i = 0; i < append->cover_count; i++) {
        rc_eo_cover *cover = &append->covers[i];
        rc_eo_queue *q = cover->queue;

        q->pending_found += cover->found;
        if (cover->part == UINT32_MAX)
            continue;
        q->pending_next = rc_rmq_append_offset(append, (rc_slot){cover->part, cover->last}) + 1;
        q->pending_sequence = append->parts[cover->part]->sequence;
    }
    /* A position covers all that came before it, in earlier appends too. */
    for (uint32_t i = 0; i < append->position_count; i++) {
        rc_eo_partition *partition;

        HASH_FIND_STR(writer->eo->partitions, append->positions[i].partition, partition);
        for (size_t k = 0; partition && k < partition->count; k++) {
            rc_eo_queue *q = partition->queues[k];

            q->inherited -= RC_MIN(q->pending_found, q->inherited);
            q->pending_found = 0;
            move_note(writer, q);
        }
    }
}

bool rc_eo_knows(const rc_writer *writer, const char *text)
{
    rc_eo_partition *partition;

    HASH_FIND_STR(writer->eo->partitions, text, partition);
    return partition != NULL;
}

static void print_note(const rc_eo_queue *q, rc_buf *out)
{
    const rmq_queue *queue = &q->topic->queues[q->queue];
    char stamp[RMQ_STAMP_TEXT];

    rc_buf_printf(out, "[\"%s\",\"%s\",%d,%lld", queue->topic, queue->broker, queue->id,
                  (long long)q->note);
    if (q->known.writer) {
        (void)rmq_stamp_text(&q->known, stamp);
        rc_buf_printf(out, ",\"%s\"", stamp);
    }
    rc_buf_char(out, ']');
}

rc_slice rc_eo_notes(rc_writer *writer, const char *text, omc_arena *arena)
{
    const rmq_stamp who = {writer->strict, writer->eo->generation, 0};
    rc_buf out = RC_BUF(RMQ_PROPERTIES_MAX);
    char stamp[RMQ_STAMP_TEXT];
    rc_eo_partition *partition;
    rc_slice notes;

    HASH_FIND_STR(writer->eo->partitions, text, partition);
    if (!partition || partition->settled || partition->count == 0)
        return omc_slice_of(NULL, 0);
    if (writer->strict) {
        (void)rmq_stamp_text(&who, stamp);
        rc_buf_printf(&out, "[\"%s\"", stamp);
    }
    for (size_t i = 0; i < partition->count; i++) {
        rc_buf_char(&out, out.len ? ',' : '[');
        print_note(partition->queues[i], &out);
    }
    rc_buf_char(&out, ']');
    RC_ASSERT(!out.overflow); /* NOTES_MAX, see note_queue() */
    notes = rc_arena_slice(arena, rc_buf_slice(&out));
    rc_buf_release(&out);
    return notes;
}

void rc_eo_settle(rc_writer *writer)
{
    rc_eo_partition *partition, *next;

    if (!writer->eo || writer->failed || writer->unanswered > 0)
        return;
    HASH_ITER(hh, writer->eo->partitions, partition, next)
    {
        bool covered = true;

        for (size_t i = 0; i < partition->count; i++)
            covered = covered && partition->queues[i]->inherited == 0 &&
                      partition->queues[i]->pending_next < 0;
        if (!covered || partition->count == 0)
            continue;
        partition->settled = true;
        rc_commit_touch(writer, partition->text);
    }
}
