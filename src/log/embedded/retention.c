/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Rolling to a new segment and removing old ones. A segment goes as a whole, by unlink, which
 * works on a full disk; oldest first and never the newest, so that a crash in between leaves a
 * folder that is still in order. A group that is known on a topic holds back every segment with
 * messages it has not committed.
 */
#include "log/embedded/internal.h"

#include <sys/stat.h>
#include <unistd.h>

#define ROLL_AGAIN_NS (INT64_C(5) * 1000000000)
#define RETAIN_EVERY_NS (INT64_C(60) * 1000000000)

/* ---- rolling -------------------------------------------------------------------------------- */

static bool roll_due(const rc_embedded *log)
{
    const rc_segment *newest = rc_newest(log);

    if (!newest->first_ms) /* empty */
        return false;
    if (newest->bytes >= log->config.segment_bytes)
        return true;
    /* Without this, age could never remove what a quiet log holds. */
    return log->config.keep_ms > 0 &&
           rc_now_ms(log->clock) - newest->first_ms > log->config.keep_ms;
}

/* All of the old segment goes into its file. When a reader or the disk prevents that now, the
 * next start of the log does it; until then its readers use the WAL. */
static void seal(rc_embedded *log, rc_tip *store, rc_segment *segment)
{
    bool whole = rc_tip_checkpoint(store, true, NULL) == 0;

    rc_tip_close(store);
    (void)pthread_mutex_lock(&log->mu);
    segment->sealed = whole;
    (void)pthread_mutex_unlock(&log->mu);
}

static int roll(rc_embedded *log, rc_error *err)
{
    rc_segment *old = rc_newest(log);
    rc_segment *segment = rc_segment_new(log->dir, old->id + 1);
    rc_tip store, old_store;
    int r = rc_segment_create(log, segment, log->store.db, err);

    if (r == 0) {
        r = rc_tip_open(&store, segment->path, err);
        if (r < 0)
            (void)unlink(segment->path); /* go on in the old one, which must stay the newest */
    }
    if (r < 0) {
        rc_segment_unref(segment);
        return r;
    }
    old_store = log->store;
    (void)sqlite3_wal_hook(old_store.db, NULL, NULL);
    log->store = store;
    rc_tip_hook(&log->store);
    (void)pthread_mutex_lock(&log->mu);
    DL_APPEND(log->segments, segment);
    (void)pthread_mutex_unlock(&log->mu);
    seal(log, &old_store, old);
    return 0;
}

void rc_roll_if_due(rc_embedded *log)
{
    if (!roll_due(log) || rc_mono_ns(log->clock) < log->roll_again_ns)
        return;
    if (roll(log, NULL) < 0) {
        log->roll_again_ns = rc_mono_ns(log->clock) + ROLL_AGAIN_NS;
        return;
    }
    rc_retain(log);
}

/* ---- removing ------------------------------------------------------------------------------- */

static int64_t segment_file_bytes(const rc_segment *segment)
{
    struct stat st;

    return stat(segment->path, &st) == 0 ? (int64_t)st.st_blocks * 512 : 0;
}

static bool has_queue_in(const rc_queue_map *map, const rc_segment *segment, int64_t *ret_end)
{
    if (!map->span_count || map->spans[0].segment != segment)
        return false;
    *ret_end = map->spans[0].end;
    return true;
}

/* Is there a group on the topic that has not committed `queue` up to `end`? A group without an
 * offset for this queue has not read any of it. */
static bool held_back(rc_embedded *log, sqlite3_stmt *stmt_, const rc_topic *topic, int32_t queue,
                      int64_t end)
{
    RC_AUTO_RESET stmt = stmt_;

    (void)log;
    (void)sqlite3_bind_int64(stmt, 1, topic->id);
    (void)sqlite3_bind_int(stmt, 2, queue);
    (void)sqlite3_bind_int64(stmt, 3, end);
    return sqlite3_step(stmt) != SQLITE_DONE; /* on an error: keep */
}

static const char behind_sql[] =
    "SELECT 1 FROM (SELECT DISTINCT grp FROM progress WHERE topic = ?1) g "
    "WHERE COALESCE((SELECT offset FROM progress p WHERE p.grp = g.grp AND p.topic = ?1 "
    "AND p.queue = ?2), 0) < ?3 LIMIT 1";

static bool all_committed(rc_embedded *log, const rc_segment *segment)
{
    RC_AUTO_STMT stmt = NULL;

    if (rc_db_prepare(log->store.db, behind_sql, &stmt, NULL) < 0)
        return false;
    for (rc_topic *topic = log->topics; topic; topic = topic->hh.next)
        for (int32_t q = 0; q < topic->queues; q++) {
            int64_t end;

            if (has_queue_in(&topic->queue[q], segment, &end) &&
                held_back(log, stmt, topic, q, end))
                return false;
        }
    return true;
}

static void forget(rc_embedded *log, rc_segment *segment)
{
    (void)pthread_mutex_lock(&log->mu);
    for (rc_topic *topic = log->topics; topic; topic = topic->hh.next)
        for (int32_t q = 0; q < topic->queues; q++) {
            rc_queue_map *map = &topic->queue[q];
            int64_t end;

            if (!has_queue_in(map, segment, &end))
                continue;
            map->span_count--;
            memmove(map->spans, map->spans + 1, map->span_count * sizeof *map->spans);
        }
    segment->gone = true;
    /* The newest stays, so this one has a next; the analyzer cannot see that of utlist. */
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
    DL_DELETE(log->segments, segment);
    rc_readers_wake(log, true); /* those that have it open must close it */
    rc_segment_unref(segment);
    (void)pthread_mutex_unlock(&log->mu);
}

/* The connection for live tables may still be where the newest segment once was. */
static void let_go(rc_embedded *log, const rc_segment *segment)
{
    (void)pthread_mutex_lock(&log->live_mu);
    if (log->live_segment == segment->id) {
        (void)sqlite3_close(log->live_db);
        log->live_db = NULL;
        log->live_segment = -1;
    }
    (void)pthread_mutex_unlock(&log->live_mu);
}

static bool remove_oldest(rc_embedded *log)
{
    rc_segment *segment = log->segments;
    RC_AUTO_FREE char *wal = rc_format("%s-wal", segment->path);
    RC_AUTO_FREE char *shm = rc_format("%s-shm", segment->path);

    if (unlink(segment->path) < 0)
        return false;
    (void)unlink(wal);
    (void)unlink(shm);
    (void)rc_sync_dir(log->dir, NULL);
    let_go(log, segment);
    forget(log, segment);
    return true;
}

static bool too_old(const rc_embedded *log, const rc_segment *segment)
{
    return log->config.keep_ms > 0 &&
           rc_now_ms(log->clock) - segment->last_ms > log->config.keep_ms;
}

void rc_retain(rc_embedded *log)
{
    int64_t bytes = 0;
    bool going = log->config.keep_bytes > 0 || log->config.keep_ms > 0;

    for (const rc_segment *s = log->segments; going && s; s = s->next)
        bytes += segment_file_bytes(s);
    while (going && log->segments != rc_newest(log)) {
        rc_segment *oldest = log->segments;
        bool too_much = log->config.keep_bytes > 0 && bytes > log->config.keep_bytes;

        if (!too_much && !too_old(log, oldest))
            break;
        bytes -= segment_file_bytes(oldest);
        going = all_committed(log, oldest) && remove_oldest(log);
    }
    /* An idle log wakes up for this only when there is something that may get too old. */
    log->retain_at_ns = log->config.keep_ms > 0 && log->segments != rc_newest(log)
                            ? rc_mono_ns(log->clock) + RETAIN_EVERY_NS
                            : INT64_MAX;
}
