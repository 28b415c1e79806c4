/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The writer thread: the only one that writes. It takes what all tasks have submitted, up to
 * transaction_bytes, and stores it in one transaction: group commit. COMMIT syncs the WAL, so
 * what is published afterwards is durable.
 *
 * A full disk keeps the appends of the group here and tries again every second, after retention
 * and a checkpoint had a chance to make room; requests (sink commits, new topics) fail instead,
 * retriable, because somebody waits for them. Errors that trying again cannot cure fail the group.
 *
 * When there is nothing to do the thread sleeps without a deadline; only something in the WAL
 * (moved into the file after a second of quiet) or the age of segments sets one.
 */
#include "log/embedded/internal.h"

#include "base/encode.h"

#define PAGE_BYTES 65536
#define CHECKPOINT_PAGES (64 * 1024 * 1024 / PAGE_BYTES)
#define SECOND_NS INT64_C(1000000000)

static rc_append *append_of(rc_work *work)
{
    return RC_CONTAINER(work, rc_append, work);
}

/* ---- one transaction ------------------------------------------------------------------------ */

/* The CRC covers where the batch belongs, too. */
static uint32_t row_crc(const rc_part *part, int64_t base, int64_t stored_ms)
{
    uint8_t where[32];

    rc_put_be64(where, (uint64_t)part->topic->id);
    rc_put_be32(where + 8, (uint32_t)part->queue);
    rc_put_be32(where + 12, part->count);
    rc_put_be64(where + 16, (uint64_t)base);
    rc_put_be64(where + 24, (uint64_t)stored_ms);
    return rc_crc32c(part->crc, where, sizeof where);
}

static int put_part(rc_embedded *log, rc_part *part, int64_t stored_ms, rc_error *err)
{
    rc_queue_map *queue = &part->topic->queue[part->queue];
    sqlite3_stmt *stmt = log->store.put_batch;

    part->base = queue->staged;
    (void)sqlite3_bind_int64(stmt, 1, part->topic->id);
    (void)sqlite3_bind_int(stmt, 2, part->queue);
    (void)sqlite3_bind_int64(stmt, 3, part->base);
    (void)sqlite3_bind_int64(stmt, 4, part->count);
    (void)sqlite3_bind_int64(stmt, 5, stored_ms);
    (void)sqlite3_bind_int64(stmt, 6, row_crc(part, part->base, stored_ms));
    (void)sqlite3_bind_blob64(stmt, 7, part->data, part->len, SQLITE_STATIC);
    queue->staged += part->count;
    return rc_db_run(log->store.db, stmt, err);
}

static int put_position(rc_embedded *log, const char *connector, rc_slice partition,
                        rc_slice offset, rc_error *err)
{
    sqlite3_stmt *stmt = log->store.put_position;

    (void)sqlite3_bind_text(stmt, 1, connector, -1, SQLITE_STATIC);
    rc_bind_slice(stmt, 2, partition);
    rc_bind_slice(stmt, 3, offset);
    return rc_db_run(log->store.db, stmt, err);
}

static int do_append(rc_embedded *log, rc_append *append, int64_t stored_ms, rc_error *err)
{
    int r = 0;

    for (uint32_t i = 0; r == 0 && i < append->part_count; i++)
        if (append->parts[i].count)
            r = put_part(log, &append->parts[i], stored_ms, err);
    for (size_t i = 0; r == 0 && i < append->position_count; i++) {
        const rc_position *p = &append->positions[i];

        r = put_position(log, append->writer->connector,
                         omc_slice_of(p->partition, p->partition_len),
                         omc_slice_of(p->offset, p->offset_len), err);
    }
    return r;
}

static int do_topic(rc_embedded *log, rc_work *work, rc_error *err)
{
    sqlite3_stmt *stmt = log->store.put_topic;

    for (rc_topic *t = log->topics; t; t = t->hh.next)
        if (strcmp(t->name, work->name) == 0)
            return 0; /* somebody else asked for it a moment ago */
    if (log->queue_count + work->number > RC_QUEUES_MAX)
        return rc_fail(err, OMC_EINVAL, "the log has %lld queues, the limit is %d",
                       (long long)log->queue_count, RC_QUEUES_MAX);
    work->topic_id = ++log->topic_id_max;
    (void)sqlite3_bind_int64(stmt, 1, work->topic_id);
    (void)sqlite3_bind_text(stmt, 2, work->name, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(stmt, 3, work->number);
    return rc_db_run(log->store.db, stmt, err);
}

static int do_position(rc_embedded *log, const rc_work *work, rc_error *err)
{
    sqlite3_stmt *stmt;

    if (work->partition.base && work->offset.base)
        return put_position(log, work->name, work->partition, work->offset, err);
    stmt = work->partition.base ? log->store.delete_position : log->store.delete_positions;
    (void)sqlite3_bind_text(stmt, 1, work->name, -1, SQLITE_STATIC);
    if (work->partition.base)
        rc_bind_slice(stmt, 2, work->partition);
    return rc_db_run(log->store.db, stmt, err);
}

static int do_commit(rc_embedded *log, const rc_work *work, rc_error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < work->commit_count; i++) {
        const rc_commit *c = &work->commits[i];
        sqlite3_stmt *stmt = c->offset < 0 ? log->store.delete_progress : log->store.put_progress;

        (void)sqlite3_bind_text(stmt, 1, work->name, -1, SQLITE_STATIC);
        (void)sqlite3_bind_int64(stmt, 2, c->topic->id);
        (void)sqlite3_bind_int(stmt, 3, c->queue);
        if (c->offset >= 0) {
            (void)sqlite3_bind_int64(stmt, 4, c->offset);
            if (c->state.base)
                rc_bind_slice(stmt, 5, c->state);
            else
                (void)sqlite3_bind_null(stmt, 5);
        }
        r = rc_db_run(log->store.db, stmt, err);
    }
    return r;
}

static int do_work(rc_embedded *log, rc_work *work, int64_t stored_ms, rc_error *err)
{
    switch (work->kind) {
    case RC_WORK_APPEND:
        return do_append(log, append_of(work), stored_ms, err);
    case RC_WORK_TOPIC:
        return do_topic(log, work, err);
    case RC_WORK_POSITION:
        return do_position(log, work, err);
    case RC_WORK_COMMIT:
        return do_commit(log, work, err);
    case RC_WORK_GROUP_DELETE:
        (void)sqlite3_bind_text(log->store.delete_group, 1, work->name, -1, SQLITE_STATIC);
        return rc_db_run(log->store.db, log->store.delete_group, err);
    }
    return 0;
}

static void unstage(rc_embedded *log, rc_work *group)
{
    rc_work *work;

    if (!sqlite3_get_autocommit(log->store.db))
        (void)rc_db_run(log->store.db, log->store.rollback, NULL);
    DL_FOREACH(group, work)
    {
        rc_append *append = append_of(work);

        if (work->kind != RC_WORK_APPEND)
            continue;
        for (uint32_t i = 0; i < append->part_count; i++) {
            rc_queue_map *queue = &append->parts[i].topic->queue[append->parts[i].queue];

            queue->staged = queue->end;
        }
    }
}

static int store_once(rc_embedded *log, rc_work *group, rc_error *err)
{
    int64_t stored_ms = RC_MAX(rc_now_ms(log->clock), log->last_ms);
    rc_work *work;
    int r = rc_db_run(log->store.db, log->store.begin, err);

    DL_FOREACH(group, work)
    if (r == 0)
        r = do_work(log, work, stored_ms, err);
    if (r == 0)
        r = rc_db_run(log->store.db, log->store.commit, err);
    if (r < 0) {
        unstage(log, group);
        return r;
    }
    log->last_ms = stored_ms;
    return 0;
}

/* ---- publishing ----------------------------------------------------------------------------- */

/* Notes the append's outcome, and its writer among those to be told. */
static void publish_append(rc_embedded *log, rc_append *append, int64_t now_ns, rc_writer **tell)
{
    rc_segment *segment = rc_newest(log);
    rc_writer *writer = append->writer;

    append->stored_ns = now_ns;
    if (append->work.result == 0) {
        for (uint32_t i = 0; i < append->part_count; i++) {
            const rc_part *part = &append->parts[i];

            if (part->count)
                rc_queue_extend(&part->topic->queue[part->queue], segment, part->base,
                                part->base + part->count);
        }
        segment->bytes += (int64_t)append->bytes;
        segment->last_ms = log->last_ms;
        if (!segment->first_ms)
            segment->first_ms = log->last_ms;
        log->appended += (int64_t)append->count;
    } else {
        writer->failed = true;
    }
    rc_append_done(append);
    if (!writer->notify) {
        writer->notify = true;
        LL_PREPEND2(*tell, writer, notify_next);
    }
}

/* [mu] Somebody waits for the end of this work: a request's caller, or a writer being closed. */
static bool waited_for(rc_work *work)
{
    return work->kind != RC_WORK_APPEND || append_of(work)->writer->closed;
}

static void publish_topic(rc_embedded *log, const rc_work *work)
{
    if (work->result == 0 && work->topic_id)
        (void)rc_topic_new(log, work->name, work->topic_id, (int32_t)work->number);
}

/* [mu] Gives every work of the group back to whom it belongs. */
static void finish(rc_embedded *log, rc_work *group)
{
    int64_t now_ns = rc_mono_ns(log->clock);
    rc_writer *tell = NULL, *writer, *next;
    rc_work *work;
    bool asked = false;

    DL_FOREACH(group, work)
    {
        asked |= waited_for(work);
        if (work->kind == RC_WORK_APPEND) {
            publish_append(log, append_of(work), now_ns, &tell);
            continue;
        }
        if (work->kind == RC_WORK_TOPIC)
            publish_topic(log, work);
        work->done = true;
    }
    LL_FOREACH_SAFE2(tell, writer, next, notify_next)
    rc_writer_notify(writer);
    if (asked)
        (void)pthread_cond_broadcast(&log->done_cond);
}

static void fail_work(rc_work *work, int r, const rc_error *err)
{
    work->result = r;
    *work->err = *err;
}

/* ---- trouble -------------------------------------------------------------------------------- */

static bool worth_retrying(const rc_error *err)
{
    return err->code == OMC_ENOSPC ||
           ((err->code == OMC_EIO || err->code == OMC_EAGAIN) && (err->flags & OMC_ERR_RETRIABLE));
}

static void say_trouble(rc_embedded *log, const rc_error *err, bool waits)
{
    char since[32];

    if (!log->full_since_ms)
        log->full_since_ms = rc_now_ms(log->clock);
    rc_format_time(log->full_since_ms, since);
    (void)pthread_mutex_lock(&log->mu);
    log->full = true;
    if (err->code == OMC_ENOSPC)
        (void)snprintf(log->text, sizeof log->text,
                       "disk full: %s has no space left since %s; free space, or keep less "
                       "(retention). Tasks wait, nothing is lost",
                       log->dir, since);
    else
        (void)snprintf(log->text, sizeof log->text, "cannot write since %s%s: %.400s", since,
                       waits ? ", trying again every second" : "", err->msg);
    (void)pthread_mutex_unlock(&log->mu);
}

static void clear_trouble(rc_embedded *log)
{
    if (!log->full_since_ms)
        return;
    log->full_since_ms = 0;
    (void)pthread_mutex_lock(&log->mu);
    log->full = false;
    log->text[0] = '\0';
    (void)pthread_mutex_unlock(&log->mu);
}

static void take_waited_for(rc_work **from, rc_work **to)
{
    rc_work *work, *next;

    DL_FOREACH_SAFE(*from, work, next)
    {
        if (!waited_for(work))
            continue;
        DL_DELETE(*from, work);
        DL_APPEND(*to, work);
    }
}

/* [mu] Requests do not wait for a disk, since their callers can decide what to do, and the appends
 * of a writer that is being closed are wanted no more: those of the group and those behind it
 * fail. */
static void fail_waited_for(rc_embedded *log, rc_work **group, int r, const rc_error *err)
{
    rc_work *failed = NULL;
    rc_work *work;

    take_waited_for(group, &failed);
    take_waited_for(&log->todo, &failed);
    DL_FOREACH(failed, work)
    fail_work(work, r, err);
    finish(log, failed);
}

/* Waits a second for better times, answering those who cannot wait. @return false when the log is
 * being closed, so that there is no next time. */
static bool wait_second(rc_embedded *log, rc_work **group, int r, const rc_error *err)
{
    int64_t until = rc_mono_ns(log->clock) + SECOND_NS;
    bool closing;

    (void)pthread_mutex_lock(&log->mu);
    for (;;) {
        fail_waited_for(log, group, r, err);
        if (!*group || log->closing || rc_mono_ns(log->clock) >= until)
            break;
        (void)log->clock->wait(log->clock, &log->work_cond, &log->mu, until);
    }
    closing = log->closing;
    (void)pthread_mutex_unlock(&log->mu);
    return !closing;
}

static void make_room(rc_embedded *log)
{
    rc_retain(log);
    if (log->store.wal_dirty)
        (void)rc_tip_checkpoint(&log->store, false, NULL);
}

/* ---- a group -------------------------------------------------------------------------------- */

/* Appends of a writer whose earlier append failed must not be stored. */
static void cancel_followers(rc_work **group, rc_work **canceled)
{
    rc_work *work, *next;

    DL_FOREACH_SAFE(*group, work, next)
    {
        rc_append *append = append_of(work);

        if (work->kind != RC_WORK_APPEND || !append->writer->failed)
            continue;
        DL_DELETE(*group, work);
        work->result =
            rc_fail(work->err, OMC_ECANCELED, "%s: not stored, because an append before it failed",
                    append->writer->name);
        DL_APPEND(*canceled, work);
    }
}

static int store_until_done(rc_embedded *log, rc_work **group, rc_error *err)
{
    int r;

    for (;;) {
        r = store_once(log, *group, err);
        if (r == 0) {
            clear_trouble(log);
            return 0;
        }
        say_trouble(log, err, worth_retrying(err));
        if (!worth_retrying(err))
            return r;
        if (!wait_second(log, group, r, err) && *group)
            return store_once(log, *group, err); /* closing: the last chance */
        if (!*group)
            return r;
        make_room(log);
    }
}

/* Stores a group that must not be taken apart, and gives its works back. @return 0 or the error
 * that trying again does not cure; the works are then still the caller's if `keep`. */
static int store_whole(rc_embedded *log, rc_work **group, bool keep)
{
    rc_work *canceled = NULL;
    rc_work *work;
    rc_error err = {0};
    int r = 0;

    cancel_followers(group, &canceled);
    if (*group)
        r = store_until_done(log, group, &err);
    if (r < 0 && keep && *group && (*group)->next)
        return r;
    if (r < 0)
        DL_FOREACH(*group, work)
    fail_work(work, r, &err);
    (void)pthread_mutex_lock(&log->mu);
    log->transactions += r == 0 && *group;
    finish(log, *group);
    finish(log, canceled);
    rc_readers_wake(log, false);
    (void)pthread_mutex_unlock(&log->mu);
    *group = NULL;
    return r;
}

/* When a group cannot be stored, each work is tried alone: the fault of one append is not to fail
 * those of other tasks. */
static void store_group(rc_embedded *log, rc_work *group)
{
    rc_work *work, *next;

    if (store_whole(log, &group, true) == 0)
        return;
    DL_FOREACH_SAFE(group, work, next)
    {
        rc_work *alone = NULL;

        DL_DELETE(group, work);
        DL_APPEND(alone, work);
        (void)store_whole(log, &alone, false);
    }
}

/* [mu] Takes works in order, up to the size of a transaction. */
static rc_work *take_group(rc_embedded *log)
{
    size_t bytes = 0;
    rc_work *group = NULL;
    rc_work *work, *next;

    DL_FOREACH_SAFE(log->todo, work, next)
    {
        size_t n = work->kind == RC_WORK_APPEND ? append_of(work)->bytes : 0;

        if (group && bytes + n > (size_t)log->config.transaction_bytes)
            break;
        bytes += n;
        DL_DELETE(log->todo, work);
        DL_APPEND(group, work);
        if (work->kind == RC_WORK_TOPIC)
            break; /* a second request for the same topic must find it in the map */
    }
    return group;
}

/* ---- the thread ----------------------------------------------------------------------------- */

/* [mu] Sleeps until there is work, or something to tidy up. @return false: time to tidy up. */
static bool wait_for_work(rc_embedded *log)
{
    int64_t until = log->retain_at_ns;

    if (log->store.wal_dirty)
        until = RC_MIN(until, rc_mono_ns(log->clock) + SECOND_NS);
    while (!log->todo && !log->closing) {
        if (until != INT64_MAX && rc_mono_ns(log->clock) >= until)
            return false;
        (void)log->clock->wait(log->clock, &log->work_cond, &log->mu, until);
    }
    return true;
}

static void tidy_up(rc_embedded *log)
{
    if (log->store.wal_dirty) {
        (void)rc_tip_checkpoint(&log->store, true, NULL);
        /* A reader was in the way, or the disk is full: the next commit leads here again. */
        log->store.wal_dirty = false;
        (void)sqlite3_db_release_memory(log->store.db);
    }
    if (rc_mono_ns(log->clock) >= log->retain_at_ns)
        rc_retain(log);
}

static void after_group(rc_embedded *log)
{
    if (log->store.wal_pages >= CHECKPOINT_PAGES)
        (void)rc_tip_checkpoint(&log->store, false, NULL);
    rc_roll_if_due(log);
}

void *rc_writer_thread(void *arg)
{
    rc_embedded *log = arg;

    rc_retain(log);
    (void)pthread_mutex_lock(&log->mu);
    for (;;) {
        bool work = wait_for_work(log);
        rc_work *group = take_group(log);

        if (work && !group)
            break; /* closing, and all is stored */
        (void)pthread_mutex_unlock(&log->mu);
        if (group) {
            store_group(log, group);
            after_group(log);
        } else {
            tidy_up(log);
        }
        (void)pthread_mutex_lock(&log->mu);
    }
    (void)pthread_mutex_unlock(&log->mu);
    (void)rc_tip_checkpoint(&log->store, true, NULL); /* not needed, but the next start is faster */
    return NULL;
}

int rc_request(rc_embedded *log, rc_work *work, rc_error *err)
{
    rc_error local = {0};

    work->err = err ? err : &local;
    (void)pthread_mutex_lock(&log->mu);
    DL_APPEND(log->todo, work);
    (void)pthread_cond_signal(&log->work_cond); /* the thread may be waiting for a full disk */
    while (!work->done)
        (void)log->clock->wait(log->clock, &log->done_cond, &log->mu, INT64_MAX);
    (void)pthread_mutex_unlock(&log->mu);
    return work->result;
}
