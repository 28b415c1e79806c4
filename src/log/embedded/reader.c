/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Readers. A reader has its own connections (at most two: where it is and where it was), and
 * copies some rows of one queue into a block in one short read: no snapshot outlives a fetch, so
 * checkpoints and retention never wait for a sink. Fetches are served from the block, as many
 * messages as asked for, until it is used up; then the next queue has its turn.
 *
 * Offsets that exist are known from the maps of the log, so a reader that has nothing to do asks
 * no file; it sleeps in poll(2) on its own wake-up and the task's.
 */
#include "log/embedded/internal.h"

#include "base/encode.h"

#include <errno.h>
#include <poll.h>

#define VIEWS 2
/* A block ends after this much, or after one row. */
#define BLOCK_BYTES_WANTED ((size_t)256 << 10)
/* A larger buffer is given back after use. */
#define BLOCK_BYTES_KEPT (RC_ROW_BYTES_MAX + ((size_t)512 << 10))

typedef struct read_queue {
    rc_topic *topic;
    int32_t queue;
    bool paused;
    int64_t next;
} read_queue;

/* A connection to one segment. */
typedef struct view {
    rc_segment *segment;
    sqlite3 *db;
    sqlite3_stmt *stmt;
    uint64_t used; /* for choosing the one to close */
} view;

typedef struct block_row {
    size_t at;
    size_t len;
    int64_t base;
    int64_t count;
    int64_t stored_ms;
} block_row;

/* Rows of one queue, one after another. Fetches borrow its bytes. */
typedef struct block {
    size_t refs;
    uint8_t *data;
    size_t len;
    size_t cap;
    block_row *rows;
    size_t row_count;
    size_t row_cap;
} block;

struct rc_reader {
    rc_log_object head;
    char *name;
    rc_wake *wake;
    rc_wake news;       /* set by the writer thread while `waiting` */
    bool waiting;       /* [mu] */
    read_queue *queues; /* changed by the task only, and not while it waits */
    size_t count;
    size_t turn; /* queue to look at first */
    view views[VIEWS];
    uint64_t uses;
    /* What is being served: */
    block *block;
    rc_topic *topic;
    int32_t queue;
    int64_t at; /* offset of the next message in the block */
    size_t row;
    rc_batch_cursor cursor;
    block *spare;
    struct rc_reader *prev, *next; /* [mu] */
};

/* The back end's part of a fetch. */
typedef struct fetch_state {
    block *block;
    rc_arena arena; /* properties */
    size_t cap;     /* of messages */
} fetch_state;

static rc_embedded *log_of(const rc_reader *reader)
{
    return rc_embedded_of(reader->head.log);
}

/* ---- blocks --------------------------------------------------------------------------------- */

static void block_free(block *b)
{
    if (!b)
        return;
    free(b->data);
    free(b->rows);
    free(b);
}

static void block_unref(rc_reader *reader, block *b)
{
    if (!b || --b->refs > 0)
        return;
    if (reader->spare || b->cap > BLOCK_BYTES_KEPT) {
        block_free(b);
        return;
    }
    b->len = 0;
    b->row_count = 0;
    reader->spare = b;
}

static block *block_new(rc_reader *reader)
{
    block *b = reader->spare ? RC_TAKE(reader->spare) : rc_calloc(1, sizeof *b);

    b->refs = 1;
    return b;
}

static void drop_block(rc_reader *reader)
{
    block_unref(reader, reader->block);
    reader->block = NULL;
}

static void block_add(block *b, const void *bytes, size_t len, const block_row *r)
{
    if (b->cap - b->len < len) {
        b->cap = RC_MAX(b->cap * 2, b->len + len);
        b->data = rc_realloc(b->data, b->cap);
    }
    if (b->row_count == b->row_cap) {
        b->row_cap = b->row_cap ? b->row_cap * 2 : 8;
        b->rows = rc_realloc(b->rows, b->row_cap * sizeof *b->rows);
    }
    memcpy(b->data + b->len, bytes, len);
    b->rows[b->row_count] = *r;
    b->rows[b->row_count].at = b->len;
    b->rows[b->row_count++].len = len;
    b->len += len;
}

/* ---- views ---------------------------------------------------------------------------------- */

static void view_close(rc_reader *reader, view *v)
{
    rc_embedded *log = log_of(reader);

    if (!v->segment)
        return;
    (void)sqlite3_finalize(v->stmt);
    (void)sqlite3_close(v->db);
    (void)pthread_mutex_lock(&log->mu);
    rc_segment_unref(v->segment);
    (void)pthread_mutex_unlock(&log->mu);
    memset(v, 0, sizeof *v);
}

/* Removed segments take up space as long as somebody has them open. */
static void close_gone(rc_reader *reader)
{
    rc_embedded *log = log_of(reader);

    for (size_t i = 0; i < VIEWS; i++) {
        view *v = &reader->views[i];
        bool gone;

        (void)pthread_mutex_lock(&log->mu);
        gone = v->segment && v->segment->gone;
        (void)pthread_mutex_unlock(&log->mu);
        if (gone)
            view_close(reader, v);
    }
}

/* From the row that holds offset ?3 on. */
static const char rows_sql[] =
    "SELECT base, count, stored_ms, crc, data FROM batch WHERE topic = ?1 AND queue = ?2 AND "
    "base >= (SELECT base FROM batch WHERE topic = ?1 AND queue = ?2 AND base <= ?3 "
    "ORDER BY base DESC LIMIT 1) ORDER BY base";

/* Takes over one reference to `segment`. */
static int view_open(rc_reader *reader, rc_segment *segment, bool sealed, view **ret, rc_error *err)
{
    view *v = &reader->views[0];
    int r;

    for (size_t i = 0; i < VIEWS; i++)
        if (reader->views[i].used < v->used)
            v = &reader->views[i];
    view_close(reader, v);
    v->segment = segment;
    r = rc_segment_open(segment->path, sealed ? RC_SEGMENT_SEALED : RC_SEGMENT_LIVE, &v->db, err);
    if (r == 0)
        r = rc_db_prepare(v->db, rows_sql, &v->stmt, err);
    if (r < 0) {
        view_close(reader, v);
        return r;
    }
    *ret = v;
    return 0;
}

/* ---- filling a block ------------------------------------------------------------------------ */

/* What the maps say about a queue. */
typedef struct place {
    rc_segment *segment; /* holds a reference unless `known` */
    view *known;
    bool sealed;
    bool stale; /* some view shows a segment that is gone */
    int64_t min;
    int64_t end;
    int64_t span_end;
} place;

/* [mu] Finds the segment of an offset that exists. Most readers are in the newest or in the
 * oldest, so a walk from the end is short. */
static rc_segment *segment_of(const rc_queue_map *map, int64_t offset, int64_t *ret_end)
{
    for (size_t i = map->span_count; i-- > 0;)
        if (map->spans[i].min <= offset) {
            *ret_end = map->spans[i].end;
            return map->spans[i].segment;
        }
    return NULL;
}

static void look_up(rc_reader *reader, const read_queue *q, place *ret)
{
    rc_embedded *log = log_of(reader);
    const rc_queue_map *map = &q->topic->queue[q->queue];

    memset(ret, 0, sizeof *ret);
    (void)pthread_mutex_lock(&log->mu);
    ret->min = rc_queue_min(map);
    ret->end = map->end;
    for (size_t i = 0; i < VIEWS; i++)
        ret->stale |= reader->views[i].segment && reader->views[i].segment->gone;
    if (q->next >= ret->min && q->next < ret->end) {
        ret->segment = segment_of(map, q->next, &ret->span_end);
        RC_ASSERT(ret->segment);
        ret->sealed = ret->segment->sealed;
        for (size_t i = 0; i < VIEWS; i++)
            if (reader->views[i].segment == ret->segment)
                ret->known = &reader->views[i];
        if (!ret->known)
            ret->segment->refs++;
    }
    (void)pthread_mutex_unlock(&log->mu);
}

static int out_of_range(const rc_reader *reader, const read_queue *q, const place *at,
                        rc_error *err)
{
    if (q->next < at->min)
        return rc_fail(err, OMC_ENOTFOUND,
                       "%s: offset %lld of topic %s queue %d is gone, the first message kept is at "
                       "%lld (retention removed older ones): set consume.from.where, or reset the "
                       "offset of the connector to %lld",
                       reader->name, (long long)q->next, q->topic->name, q->queue,
                       (long long)at->min, (long long)at->min);
    return rc_fail(err, OMC_ENOTFOUND,
                   "%s: offset %lld of topic %s queue %d is behind the end of the log at %lld (was "
                   "the log folder replaced?): set consume.from.where, or reset the offset of the "
                   "connector to %lld",
                   reader->name, (long long)q->next, q->topic->name, q->queue, (long long)at->end,
                   (long long)at->end);
}

static int bad_row(const view *v, const read_queue *q, int64_t offset, const char *what,
                   rc_error *err)
{
    return rc_fail(err, OMC_EFORMAT,
                   "%s: batch at offset %lld of topic %s queue %d %s: the file is damaged; restore "
                   "it from a copy, or reset the offset of the connector behind it",
                   v->segment->path, (long long)offset, q->topic->name, q->queue, what);
}

static bool crc_fits(const read_queue *q, const block_row *r, const void *bytes, size_t len,
                     uint32_t stored)
{
    uint8_t where[32];

    rc_put_be64(where, (uint64_t)q->topic->id);
    rc_put_be32(where + 8, (uint32_t)q->queue);
    rc_put_be32(where + 12, (uint32_t)r->count);
    rc_put_be64(where + 16, (uint64_t)r->base);
    rc_put_be64(where + 24, (uint64_t)r->stored_ms);
    return rc_crc32c(rc_crc32c(0, bytes, len), where, sizeof where) == stored;
}

static int add_row(const view *v, const read_queue *q, int64_t want, block *b, rc_error *err)
{
    block_row r = {.base = sqlite3_column_int64(v->stmt, 0),
                   .count = sqlite3_column_int64(v->stmt, 1),
                   .stored_ms = sqlite3_column_int64(v->stmt, 2)};
    const void *bytes = sqlite3_column_blob(v->stmt, 4);
    size_t len = (size_t)sqlite3_column_bytes(v->stmt, 4);

    if (r.count < 1 || r.count > UINT32_MAX || r.base > want || want - r.base >= r.count)
        return bad_row(v, q, r.base, "does not continue the one before", err);
    if (!bytes || len > RC_ROW_BYTES_MAX + RC_MESSAGE_MAX + RC_MESSAGE_OVERHEAD_MAX)
        return bad_row(v, q, r.base, "has an impossible size", err);
    if (!crc_fits(q, &r, bytes, len, (uint32_t)sqlite3_column_int64(v->stmt, 3)))
        return bad_row(v, q, r.base, "does not match its checksum", err);
    block_add(b, bytes, len, &r);
    return 0;
}

/* Copies rows from `q->next` up to `end`, at least one. */
static int read_rows(const view *v, const read_queue *q, int64_t end, block *b, rc_error *err)
{
    RC_AUTO_RESET stmt = v->stmt;
    int64_t want = q->next;
    int rc = SQLITE_DONE, r = 0;

    (void)sqlite3_bind_int64(stmt, 1, q->topic->id);
    (void)sqlite3_bind_int(stmt, 2, q->queue);
    (void)sqlite3_bind_int64(stmt, 3, want);
    while (r == 0 && want < end && b->len < BLOCK_BYTES_WANTED &&
           (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        r = add_row(v, q, want, b, err);
        if (r == 0)
            want = b->rows[b->row_count - 1].base + b->rows[b->row_count - 1].count;
    }
    if (r < 0)
        return r;
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return rc_segment_damaged(rc_db_fail(v->db, rc, err, "read topic %s queue %d",
                                             q->topic->name, q->queue),
                                  v->segment->path, err);
    return b->row_count ? 0 : bad_row(v, q, want, "is missing", err);
}

static int enter_row(rc_reader *reader, size_t i, rc_error *err)
{
    const block_row *r = &reader->block->rows[i];
    int64_t skip = reader->at - r->base;
    int result = rc_batch_begin(&reader->cursor, reader->block->data + r->at, r->len, err);

    reader->row = i;
    while (result == 0 && skip-- > 0)
        result = rc_batch_skip(&reader->cursor, err);
    return result;
}

static int fill_from(rc_reader *reader, const read_queue *q, place *at, rc_error *err)
{
    view *v = at->known;
    int r = 0;

    if (!v)
        r = view_open(reader, at->segment, at->sealed, &v, err);
    if (r < 0)
        return r;
    v->used = ++reader->uses;
    reader->block = block_new(reader);
    r = read_rows(v, q, at->span_end, reader->block, err);
    if (r == 0) {
        reader->topic = q->topic;
        reader->queue = q->queue;
        reader->at = q->next;
        r = enter_row(reader, 0, err);
        if (r < 0)
            r = bad_row(v, q, q->next, "cannot be decoded", err);
    }
    if (r < 0)
        drop_block(reader);
    return r;
}

/* @return 1 = the block has messages of `q`, 0 = there are none now, or an error. */
static int fill(rc_reader *reader, const read_queue *q, rc_error *err)
{
    for (int tries = 0;; tries++) {
        place at;
        int r;

        look_up(reader, q, &at);
        if (at.stale)
            close_gone(reader);
        if (q->next == at.end)
            return 0;
        if (!at.segment)
            return out_of_range(reader, q, &at, err);
        r = fill_from(reader, q, &at, err);
        /* Retention may take the file between the look and the open; then the look says so. */
        if (r == -OMC_ENOTFOUND && tries < 3)
            continue;
        return r < 0 ? r : 1;
    }
}

/* ---- serving -------------------------------------------------------------------------------- */

static fetch_state *state_of(rc_fetch *fetch)
{
    if (!fetch->internal) {
        fetch_state *state = rc_calloc(1, sizeof *state);

        rc_arena_init(&state->arena, 4096);
        fetch->internal = state;
    }
    return fetch->internal;
}

static void clear_fetch(rc_reader *reader, rc_fetch *fetch)
{
    fetch_state *state = state_of(fetch);

    block_unref(reader, state->block);
    state->block = NULL;
    rc_arena_reset(&state->arena, (size_t)1 << 20);
    fetch->count = 0;
    fetch->bytes = 0;
}

static void need_messages(rc_fetch *fetch, size_t wanted)
{
    fetch_state *state = fetch->internal;

    if (fetch->count < state->cap)
        return;
    state->cap = state->cap ? RC_MIN(state->cap * 2, wanted) : RC_MIN((size_t)64, wanted);
    fetch->messages = rc_realloc(fetch->messages, state->cap * sizeof *fetch->messages);
}

static size_t size_of(const rc_message *m)
{
    size_t n = m->body.len + m->keys.len + m->tags.len;

    for (size_t i = 0; i < m->property_count; i++)
        n += m->properties[i].key.len + m->properties[i].value.len;
    return n;
}

/* Decodes from the block until the fetch has enough. */
static int serve(rc_reader *reader, size_t messages_max, size_t bytes_max, rc_fetch *fetch,
                 rc_error *err)
{
    fetch_state *state = fetch->internal;
    int r = 0;

    state->block = reader->block;
    state->block->refs++;
    while (fetch->count < messages_max && (fetch->count == 0 || fetch->bytes < bytes_max)) {
        const block_row *row = &reader->block->rows[reader->row];
        rc_batch_cursor before;
        rc_message *m;
        size_t bytes;

        if (reader->at == row->base + row->count) {
            if (reader->row + 1 == reader->block->row_count)
                break;
            r = enter_row(reader, reader->row + 1, err);
            if (r < 0)
                return r;
            row = &reader->block->rows[reader->row];
        }
        need_messages(fetch, messages_max);
        m = &fetch->messages[fetch->count];
        before = reader->cursor;
        r = rc_batch_next(&reader->cursor, m, &state->arena.pub, err);
        if (r < 0)
            return r;
        bytes = size_of(m);
        if (fetch->count && fetch->bytes + bytes > bytes_max) {
            reader->cursor = before; /* this one is for the next fetch */
            break;
        }
        m->offset = reader->at++;
        m->stored_ms = row->stored_ms;
        m->message_id = omc_slice_of(NULL, 0);
        fetch->bytes += bytes;
        fetch->count++;
    }
    return 0;
}

static read_queue *find_queue(const rc_reader *reader, const rc_topic *topic, int32_t queue)
{
    for (size_t i = 0; i < reader->count; i++)
        if (reader->queues[i].topic == topic && reader->queues[i].queue == queue)
            return &reader->queues[i];
    return NULL;
}

static int serve_block(rc_reader *reader, size_t messages_max, size_t bytes_max, rc_fetch *fetch,
                       rc_error *err)
{
    rc_embedded *log = log_of(reader);
    read_queue *q = find_queue(reader, reader->topic, reader->queue);
    const block_row *last;
    int r;

    RC_ASSERT(q && reader->block); /* fill() left both; who removes the queue drops the block */
    last = &reader->block->rows[reader->block->row_count - 1];
    r = serve(reader, messages_max, bytes_max, fetch, err);
    if (r < 0) {
        clear_fetch(reader, fetch);
        drop_block(reader);
        return rc_wrap(err, r, "%s: topic %s queue %d at offset %lld", reader->name, q->topic->name,
                       q->queue, (long long)reader->at);
    }
    q->next = reader->at;
    if (reader->at == last->base + last->count) {
        drop_block(reader);
        reader->turn = (size_t)(q - reader->queues) + 1;
    }
    fetch->topic = q->topic;
    fetch->queue = q->queue;
    fetch->next_offset = q->next;
    (void)pthread_mutex_lock(&log->mu);
    fetch->end_offset = q->topic->queue[q->queue].end;
    (void)pthread_mutex_unlock(&log->mu);
    return (int)RC_MIN(fetch->count, (size_t)INT32_MAX);
}

/* Looks at every queue once, beginning with the one whose turn it is. */
static int next_block(rc_reader *reader, rc_error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < reader->count; i++) {
        size_t at = (reader->turn + i) % reader->count;

        if (!reader->queues[at].paused)
            r = fill(reader, &reader->queues[at], err);
    }
    return r;
}

/* ---- waiting -------------------------------------------------------------------------------- */

/* [mu] */
static bool has_news(const rc_reader *reader)
{
    for (size_t i = 0; i < reader->count; i++) {
        const read_queue *q = &reader->queues[i];

        if (!q->paused && q->topic->queue[q->queue].end != q->next)
            return true;
    }
    return false;
}

void rc_readers_wake(rc_embedded *log, bool all)
{
    struct rc_reader *reader, *next;

    DL_FOREACH_SAFE(log->waiting, reader, next)
    if (all || has_news(reader)) {
        DL_DELETE(log->waiting, reader);
        reader->waiting = false;
        rc_wake_set(&reader->news);
    }
}

/* @return true when the task's own wake-up is set. */
static bool sleep_until(rc_reader *reader, int64_t deadline_ns)
{
    rc_embedded *log = log_of(reader);
    struct pollfd fds[2] = {{.fd = reader->news.fd, .events = POLLIN},
                            {.fd = reader->wake ? reader->wake->fd : -1, .events = POLLIN}};
    int64_t left = deadline_ns == INT64_MAX ? 0 : deadline_ns - rc_mono_ns(log->clock);
    struct timespec timeout = {.tv_sec = RC_MAX(left, 0) / 1000000000,
                               .tv_nsec = RC_MAX(left, 0) % 1000000000};
    bool news;

    (void)pthread_mutex_lock(&log->mu);
    news = has_news(reader);
    if (!news) {
        reader->waiting = true;
        DL_APPEND(log->waiting, reader);
    }
    (void)pthread_mutex_unlock(&log->mu);
    if (news)
        return false;
    (void)ppoll(fds, 2, deadline_ns == INT64_MAX ? NULL : &timeout, NULL);
    (void)pthread_mutex_lock(&log->mu);
    if (reader->waiting) {
        /* Whoever is not the tail has a next one; the analyzer cannot see that of utlist. */
        DL_DELETE(log->waiting, reader); /* NOLINT(clang-analyzer-core.NullDereference) */
        reader->waiting = false;
    }
    (void)pthread_mutex_unlock(&log->mu);
    rc_wake_clear(&reader->news);
    return fds[1].revents != 0;
}

int rc_emb_fetch(rc_reader *reader, size_t messages_max, size_t bytes_max, int64_t deadline_ns,
                 rc_fetch *fetch, rc_error *err)
{
    rc_embedded *log = log_of(reader);

    clear_fetch(reader, fetch);
    messages_max = RC_MAX(messages_max, 1);
    for (;;) {
        int r = 1;

        if (!reader->block)
            r = next_block(reader, err);
        if (r < 0)
            return r;
        if (r > 0)
            return serve_block(reader, messages_max, bytes_max, fetch, err);
        close_gone(reader);
        if (deadline_ns != INT64_MAX && rc_mono_ns(log->clock) >= deadline_ns)
            return 0;
        if (sleep_until(reader, deadline_ns))
            return 0;
    }
}

/* ---- the rest ------------------------------------------------------------------------------- */

int rc_emb_reader_open(rc_log *pub, const rc_reader_config *config, rc_reader **ret, rc_error *err)
{
    rc_embedded *log = rc_embedded_of(pub);
    rc_reader *reader = rc_calloc(1, sizeof *reader);
    int r = rc_wake_init(&reader->news, err);

    if (r < 0) {
        free(reader);
        return r;
    }
    reader->head.log = pub;
    reader->name = rc_strdup(config->name ? config->name : "");
    reader->wake = config->wake;
    (void)pthread_mutex_lock(&log->mu);
    log->users++;
    (void)pthread_mutex_unlock(&log->mu);
    *ret = reader;
    return 0;
}

void rc_emb_reader_close(rc_reader *reader)
{
    rc_embedded *log = log_of(reader);

    for (size_t i = 0; i < VIEWS; i++)
        view_close(reader, &reader->views[i]);
    drop_block(reader);
    block_free(reader->spare);
    rc_wake_release(&reader->news);
    (void)pthread_mutex_lock(&log->mu);
    log->users--;
    (void)pthread_mutex_unlock(&log->mu);
    free(reader->queues);
    free(reader->name);
    free(reader);
}

void rc_emb_fetch_release(rc_reader *reader, rc_fetch *fetch)
{
    fetch_state *state = fetch->internal;

    if (!state)
        return;
    clear_fetch(reader, fetch);
    rc_arena_release(&state->arena);
    free(fetch->messages);
    free(state);
    memset(fetch, 0, sizeof *fetch);
}

void rc_emb_reader_trim(rc_reader *reader)
{
    block_free(RC_TAKE(reader->spare));
}

static int must_find(const rc_reader *reader, const rc_topic *topic, int32_t queue,
                     read_queue **ret, rc_error *err)
{
    *ret = find_queue(reader, topic, queue);
    return *ret ? 0
                : rc_fail(err, OMC_ENOTFOUND, "%s does not read topic %s queue %d", reader->name,
                          topic->name, queue);
}

/* What is in the block no longer fits the positions. */
static void forget_block_of(rc_reader *reader, const read_queue *q)
{
    if (reader->block && reader->topic == q->topic && reader->queue == q->queue)
        drop_block(reader);
}

int rc_emb_reader_add(rc_reader *reader, rc_topic *topic, int32_t queue, int64_t offset,
                      rc_error *err)
{
    int r = rc_queue_check(topic, queue, err);

    if (r < 0)
        return r;
    if (find_queue(reader, topic, queue))
        return rc_fail(err, OMC_EEXIST, "%s reads topic %s queue %d already", reader->name,
                       topic->name, queue);
    reader->queues = rc_realloc(reader->queues, (reader->count + 1) * sizeof *reader->queues);
    reader->queues[reader->count++] = (read_queue){.topic = topic, .queue = queue, .next = offset};
    return 0;
}

int rc_emb_reader_remove(rc_reader *reader, rc_topic *topic, int32_t queue, rc_error *err)
{
    read_queue *q;
    int r = must_find(reader, topic, queue, &q, err);

    if (r < 0)
        return r;
    forget_block_of(reader, q);
    *q = reader->queues[--reader->count];
    return 0;
}

int rc_emb_reader_seek(rc_reader *reader, rc_topic *topic, int32_t queue, int64_t offset,
                       rc_error *err)
{
    read_queue *q;
    int r = must_find(reader, topic, queue, &q, err);

    if (r < 0)
        return r;
    forget_block_of(reader, q);
    q->next = offset;
    return 0;
}

int rc_emb_reader_pause(rc_reader *reader, rc_topic *topic, int32_t queue, bool paused,
                        rc_error *err)
{
    read_queue *q;
    int r = must_find(reader, topic, queue, &q, err);

    if (r < 0)
        return r;
    RC_ASSERT(q);
    if (paused)
        forget_block_of(reader, q);
    q->paused = paused;
    return 0;
}

int rc_emb_lag(rc_reader *reader, int64_t *ret, rc_error *err)
{
    rc_embedded *log = log_of(reader);
    int64_t lag = 0;

    (void)err;
    (void)pthread_mutex_lock(&log->mu);
    for (size_t i = 0; i < reader->count; i++) {
        const read_queue *q = &reader->queues[i];

        lag += RC_MAX(q->topic->queue[q->queue].end - q->next, 0);
    }
    (void)pthread_mutex_unlock(&log->mu);
    *ret = lag;
    return 0;
}
