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
 */
#include "log/rocketmq/internal.h"

#include "base/diag.h"
#include "record/json.h"

/** Notes of one partition as text: they share the record's properties. */
#define NOTES_MAX ((size_t)30000)
/** Beside the names: quotes, commas, two numbers. */
#define NOTE_TEXT 48
/** Longest wait for a note to become durable. */
#define NOTE_WAIT_MS 30000

struct rc_eo_queue {
    rc_eo_partition *partition;
    rc_topic *topic;
    int32_t queue;
    int64_t note;
    int64_t pending_next;   /* behind the last item that is stored and not yet covered; -1 */
    uint32_t inherited;     /* of earlier generations, not met again */
    uint32_t pending_found; /* met again, not yet covered */
};

struct rc_eo_partition {
    char *text;
    rc_eo_queue **queues;
    size_t count, cap;
    bool settled; /* no more notes */
    UT_hash_handle hh;
};

struct rc_eo {
    int64_t generation;
    int64_t opened_ns;
    rc_eo_partition *partitions; /* [writer->mu] */
    rc_eo_partition *last;
    rc_eo_queue *current; /* of the message being added */
    rc_id_table ids;      /* task thread */
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
                              int64_t note)
{
    rc_eo_queue *q = rc_calloc(1, sizeof *q);

    if (partition->count == partition->cap) {
        partition->cap = partition->cap ? 2 * partition->cap : 4;
        partition->queues = rc_realloc(partition->queues, partition->cap * sizeof(rc_eo_queue *));
    }
    *q = (rc_eo_queue){
        .partition = partition, .topic = topic, .queue = queue, .note = note, .pending_next = -1};
    partition->queues[partition->count++] = q;
    return q;
}

/* ---- inherited notes ------------------------------------------------------------------------- */

typedef struct inheritance {
    rc_writer *writer;
    rc_eo_queue *queue;
    const rc_identity *identity; /* any of the partition */
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

static int32_t index_of(const rc_topic *topic, rc_slice broker, int64_t id)
{
    for (int32_t i = 0; i < topic->count; i++)
        if (topic->queues[i].id == id && omc_slice_is(broker, topic->queues[i].broker))
            return i;
    return -1;
}

/* One note: [topic, broker, queue, offset]. *at is the topic of the note before. */
static int inherit_note(rc_writer *writer, rc_eo_partition *partition, const omc_array *note,
                        const rc_identity *identity, rc_topic **at, rc_error *err)
{
    inheritance in = {.writer = writer, .identity = identity, .err = err};
    RC_AUTO_FREE char *name = NULL;
    rc_topic *topic = *at;
    int64_t id, offset;
    int32_t index;
    int r = 0;

    if (note->count != 4 || note->items[0].kind != OMC_STRING ||
        note->items[1].kind != OMC_STRING || !omc_value_int64(&note->items[2], &id) ||
        !omc_value_int64(&note->items[3], &offset))
        return rc_fail(err, OMC_EFORMAT, "a note in the position topic is damaged");
    name = rc_strndup(note->items[0].u.bytes.base, note->items[0].u.bytes.len);
    if (!topic || strcmp(rc_rmq_topic_name(topic), name) != 0)
        r = rc_rmq_topic(&writer->log->pub, name, 0, &topic, err);
    if (r == -OMC_ENOTFOUND) {
        rc_warn("rocketmq",
                "%s: topic '%s', to which it has written, is gone; nothing of it is "
                "recognised",
                writer->name, name);
        return 0;
    }
    if (r < 0)
        return r;
    *at = topic;
    index = index_of(topic, note->items[1].u.bytes, id);
    if (index < 0)
        return rc_fail_retriable(err, OMC_ENOTFOUND,
                                 "queue %lld of topic '%s' at broker '" RC_SLICE_FMT
                                 "', to which it has written, is not there now: is the broker up?",
                                 (long long)id, name, RC_SLICE_ARG(note->items[1].u.bytes));
    (void)pthread_mutex_lock(&writer->mu);
    in.queue = add_queue(partition, topic, index, offset);
    (void)pthread_mutex_unlock(&writer->mu);
    return rc_reconcile(writer->log, &topic->queues[index], offset, NULL, inherit_id, &in, NULL,
                        err);
}

static int inherit(rc_writer *writer, rc_eo_partition *partition, const rc_identity *identity,
                   rc_error *err)
{
    rc_position_record record;
    omc_value notes;
    rc_topic *topic = NULL;
    rc_arena arena;
    size_t found;
    int r = 0;

    rc_arena_init(&arena, 4096);
    found = writer->eo->ids.count;
    if (rc_position_table_get(writer->log->table, writer->connector, identity->partition,
                              &arena.pub, &record) &&
        record.notes.base) {
        wait_for_tail(writer);
        r = rc_json_read(record.notes, 0, &arena.pub, &notes, err);
        if (r == 0 && notes.kind != OMC_ARRAY)
            r = rc_fail(err, OMC_EFORMAT, "notes in the position topic are damaged");
        for (size_t i = 0; r == 0 && i < notes.u.array->count; i++)
            if (notes.u.array->items[i].kind == OMC_ARRAY)
                r = inherit_note(writer, partition, notes.u.array->items[i].u.array, identity,
                                 &topic, err);
        found = writer->eo->ids.count - found;
        if (r == 0 && found)
            rc_info("rocketmq",
                    "%s: %zu messages behind the last position of " RC_SLICE_FMT
                    " are stored already and will not be stored again",
                    writer->name, found, RC_SLICE_ARG(identity->partition));
    }
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

static size_t note_size(const rc_topic *topic, int32_t queue)
{
    return NOTE_TEXT + strlen(topic->name) + strlen(topic->queues[queue].broker);
}

static size_t notes_size(const rc_eo_partition *partition)
{
    size_t size = 0;

    for (size_t i = 0; i < partition->count; i++)
        size += note_size(partition->queues[i]->topic, partition->queues[i]->queue);
    return size;
}

/* The queue's end is noted durably before anything of the partition is sent to it. */
static int note_queue(rc_writer *writer, rc_eo_partition *partition, rc_topic *topic, int32_t queue,
                      rc_eo_queue **ret, rc_error *err)
{
    rc_line *line;
    size_t at;
    int64_t end;
    int r;

    if (notes_size(partition) + note_size(topic, queue) > NOTES_MAX)
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
    *ret = add_queue(partition, topic, queue, end);
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

void rc_eo_covered(rc_writer *writer, rc_append *append)
{
    (void)writer;
    for (uint32_t i = 0; i < append->cover_count; i++) {
        rc_eo_cover *cover = &append->covers[i];
        rc_eo_queue *q = cover->queue;

        q->pending_found += cover->found;
        if (cover->part != UINT32_MAX)
            q->pending_next = rc_rmq_append_offset(append, (rc_slot){cover->part, cover->last}) + 1;
    }
    /* A position covers all that came before it, in earlier appends too. */
    for (uint32_t i = 0; i < append->position_count; i++) {
        rc_eo_partition *partition;

        HASH_FIND_STR(writer->eo->partitions, append->positions[i].partition, partition);
        for (size_t k = 0; partition && k < partition->count; k++) {
            rc_eo_queue *q = partition->queues[k];

            q->inherited -= RC_MIN(q->pending_found, q->inherited);
            q->pending_found = 0;
            if (q->inherited == 0 && q->pending_next >= 0) {
                q->note = RC_MAX(q->note, q->pending_next);
                q->pending_next = -1;
            }
        }
    }
}

rc_slice rc_eo_notes(rc_writer *writer, const char *text, omc_arena *arena)
{
    rc_buf out = RC_BUF(RMQ_PROPERTIES_MAX);
    rc_eo_partition *partition;
    rc_slice notes;

    HASH_FIND_STR(writer->eo->partitions, text, partition);
    if (!partition || partition->settled || partition->count == 0)
        return omc_slice_of(NULL, 0);
    for (size_t i = 0; i < partition->count; i++) {
        const rc_eo_queue *q = partition->queues[i];

        rc_buf_printf(&out, "%s[\"%s\",\"%s\",%d,%lld]", i ? "," : "[", q->topic->name,
                      q->topic->queues[q->queue].broker, q->topic->queues[q->queue].id,
                      (long long)q->note);
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
