/* SPDX-License-Identifier: Apache-2.0 */
/**
 * From the files of a folder to the maps in memory, at every open. SQLite's own recovery brings
 * back the last committed transaction; what is left to do here is to clean up after an unfinished
 * roll or retention, to seal older segments, and to learn which offsets lie where. Only index
 * lookups: two per queue and segment, whatever the size of the files.
 */
#include "log/embedded/internal.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utarray.h>

static const UT_icd id_icd = {sizeof(int64_t), NULL, NULL, NULL};

/* "00000000000000000042.seg" + rest -> 42 and rest, else 0. */
static int64_t parse_name(const char *name, const char **ret_rest)
{
    int64_t id = 0;
    int i;

    for (i = 0; name[i] >= '0' && name[i] <= '9' && i < 20; i++)
        if (__builtin_mul_overflow(id, 10, &id) || __builtin_add_overflow(id, name[i] - '0', &id))
            return 0;
    if (i != 20 || strncmp(name + i, RC_SEGMENT_SUFFIX, sizeof RC_SEGMENT_SUFFIX - 1) != 0)
        return 0;
    *ret_rest = name + i + sizeof RC_SEGMENT_SUFFIX - 1;
    return id;
}

static int by_id(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* Lists whole segments, and removes what an unfinished roll left. */
static int list_segments(rc_embedded *log, UT_array *ids, rc_error *err)
{
    DIR *dir = opendir(log->dir);
    struct dirent *entry;
    int r = 0;

    if (!dir)
        return rc_fail_errno(err, errno, "read folder %s", log->dir);
    while (r == 0 && (entry = readdir(dir))) {
        const char *rest = "";
        int64_t id = parse_name(entry->d_name, &rest);

        if (id > 0 && *rest == '\0')
            utarray_push_back(ids, &id);
        else if (id > 0 && strncmp(rest, ".new", 4) == 0 &&
                 unlinkat(dirfd(dir), entry->d_name, 0) < 0)
            r = rc_fail_errno(err, errno, "remove %s/%s, left by an interrupted start of a segment",
                              log->dir, entry->d_name);
    }
    (void)closedir(dir);
    if (utarray_len(ids) > 1)
        utarray_sort(ids, by_id);
    return r;
}

/* A WAL without its segment is left when retention is interrupted. */
static void remove_orphans(rc_embedded *log)
{
    DIR *dir = opendir(log->dir);
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        const char *rest = "";
        int64_t id = parse_name(entry->d_name, &rest);
        rc_segment *segment;

        if (id <= 0 || (strcmp(rest, "-wal") != 0 && strcmp(rest, "-shm") != 0))
            continue;
        DL_SEARCH_SCALAR(log->segments, segment, id, id);
        if (!segment)
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
    }
    if (dir)
        (void)closedir(dir);
}

/* ---- topics and where queues start ---------------------------------------------------------- */

static int bad_rows(const rc_segment *segment, const char *what, rc_error *err)
{
    return rc_segment_damaged(rc_fail(err, OMC_EFORMAT, "%s", what), segment->path, err);
}

static int load_topics(rc_embedded *log, sqlite3 *db, const rc_segment *segment, rc_error *err)
{
    RC_AUTO_STMT stmt = NULL;
    int rc, r = rc_db_prepare(db, "SELECT id, name, queues FROM topic", &stmt, err);

    if (r < 0)
        return r;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(stmt, 1);
        int64_t id = sqlite3_column_int64(stmt, 0), queues = sqlite3_column_int64(stmt, 2);
        rc_topic *old = NULL;

        if (!name || id <= 0 || queues < 1 || queues > RC_TOPIC_QUEUES_MAX ||
            log->queue_count + queues > RC_QUEUES_MAX || rc_topic_name_check(name, NULL) < 0)
            return bad_rows(segment, "a topic has no valid name, number or count of queues", err);
        HASH_FIND_STR(log->topics, name, old);
        if (old)
            return bad_rows(segment, "a topic is there twice", err);
        (void)rc_topic_new(log, name, id, (int32_t)queues);
    }
    return rc == SQLITE_DONE ? 0 : rc_db_fail(db, rc, err, "read topics");
}

static rc_topic *topic_by_id(const rc_embedded *log, int64_t id)
{
    rc_topic *topic;

    for (topic = log->topics; topic && topic->id != id;)
        topic = topic->hh.next;
    return topic;
}

static int load_starts(rc_embedded *log, sqlite3 *db, const rc_segment *segment, rc_error *err)
{
    RC_AUTO_STMT stmt = NULL;
    int rc, r = rc_db_prepare(db, "SELECT topic, queue, base FROM start", &stmt, err);

    if (r < 0)
        return r;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        rc_topic *topic = topic_by_id(log, sqlite3_column_int64(stmt, 0));
        int64_t queue = sqlite3_column_int64(stmt, 1), base = sqlite3_column_int64(stmt, 2);

        if (!topic || queue < 0 || queue >= topic->queues || base < 0)
            return bad_rows(segment, "the start of a queue is not valid", err);
        topic->queue[queue].start = base;
    }
    return rc == SQLITE_DONE ? 0 : rc_db_fail(db, rc, err, "read starts");
}

/* ---- spans ---------------------------------------------------------------------------------- */

void rc_queue_extend(rc_queue_map *queue, rc_segment *segment, int64_t min, int64_t end)
{
    rc_span *last = queue->span_count ? &queue->spans[queue->span_count - 1] : NULL;

    if (!last || last->segment != segment) {
        if (queue->span_count == queue->span_cap) {
            queue->span_cap = queue->span_cap ? queue->span_cap * 2 : 4;
            queue->spans = rc_realloc(queue->spans, queue->span_cap * sizeof *queue->spans);
        }
        last = &queue->spans[queue->span_count++];
        last->segment = segment;
        last->min = min;
    }
    last->end = end;
    queue->end = end;
}

/* The last row of a queue gives its end in this segment. */
static int load_span(sqlite3 *db, sqlite3_stmt *last, rc_segment *segment, rc_topic *topic,
                     int32_t queue, int64_t min, rc_error *err)
{
    RC_AUTO_RESET stmt = last;
    rc_queue_map *map = &topic->queue[queue];
    int64_t base, count, end;
    int rc;

    (void)sqlite3_bind_int64(stmt, 1, topic->id);
    (void)sqlite3_bind_int(stmt, 2, queue);
    rc = sqlite3_step(stmt);
    if (rc != SQLITE_ROW)
        return rc == SQLITE_DONE ? bad_rows(segment, "its index and rows differ", err)
                                 : rc_db_fail(db, rc, err, "read %s", segment->path);
    base = sqlite3_column_int64(stmt, 0);
    count = sqlite3_column_int64(stmt, 1);
    if (min < 0 || base < min || count < 1 || __builtin_add_overflow(base, count, &end))
        return bad_rows(segment, "offsets of a batch are not valid", err);
    if (map->span_count && map->spans[map->span_count - 1].end != min)
        return rc_fail(err, OMC_EFORMAT,
                       "%s: topic %s queue %d continues at offset %lld, but the segment before "
                       "ends at %lld: a segment was replaced or lost its end; restore the folder "
                       "from a copy",
                       segment->path, topic->name, queue, (long long)min,
                       (long long)map->spans[map->span_count - 1].end);
    rc_queue_extend(map, segment, min, end);
    return 0;
}

static int load_times(sqlite3 *db, rc_segment *segment, rc_error *err)
{
    int64_t pages = 0;
    int r = rc_db_int(db, "SELECT stored_ms FROM batch ORDER BY seq LIMIT 1", 0, &segment->first_ms,
                      err);

    if (r == 0)
        r = rc_db_int(db, "SELECT stored_ms FROM batch ORDER BY seq DESC LIMIT 1", 0,
                      &segment->last_ms, err);
    if (r == 0)
        r = rc_db_int(db, "PRAGMA page_count", 0, &pages, err);
    /* About: what pages hold, less the ten that an empty file has. */
    segment->bytes = pages > 10 ? (pages - 10) * 65536 : segment->first_ms != 0;
    return r;
}

/* Visits the queues that have rows in this segment, jumping from one to the next. */
static int load_spans(rc_embedded *log, sqlite3 *db, rc_segment *segment, rc_error *err)
{
    RC_AUTO_STMT next = NULL;
    RC_AUTO_STMT last = NULL;
    int64_t topic_id = -1, queue = -1;
    int rc, r;

    r = rc_db_prepare(db,
                      "SELECT topic, queue, base FROM batch WHERE (topic, queue) > (?, ?) "
                      "ORDER BY topic, queue, base LIMIT 1",
                      &next, err);
    if (r == 0)
        r = rc_db_prepare(db,
                          "SELECT base, count FROM batch WHERE topic = ? AND queue = ? "
                          "ORDER BY base DESC LIMIT 1",
                          &last, err);
    while (r == 0) {
        rc_topic *topic;

        (void)sqlite3_bind_int64(next, 1, topic_id);
        (void)sqlite3_bind_int64(next, 2, queue);
        rc = sqlite3_step(next);
        if (rc == SQLITE_DONE)
            break;
        if (rc != SQLITE_ROW)
            return rc_db_fail(db, rc, err, "read %s", segment->path);
        topic_id = sqlite3_column_int64(next, 0);
        queue = sqlite3_column_int64(next, 1);
        topic = topic_by_id(log, topic_id);
        if (!topic || queue < 0 || queue >= topic->queues)
            return bad_rows(segment, "a batch belongs to no topic", err);
        r = load_span(db, last, segment, topic, (int32_t)queue, sqlite3_column_int64(next, 2), err);
        (void)sqlite3_reset(next);
    }
    return r == 0 ? load_times(db, segment, err) : r;
}

/* An older segment: first what a crash left in its WAL, then the spans. */
static int load_sealed(rc_embedded *log, rc_segment *segment, rc_error *err)
{
    RC_AUTO_FREE char *wal = rc_format("%s-wal", segment->path);
    RC_AUTO_DB db = NULL;
    struct stat st;
    int r;

    if (stat(wal, &st) == 0) {
        rc_tip store;

        r = rc_tip_open(&store, segment->path, err);
        if (r < 0)
            return r;
        r = rc_tip_checkpoint(&store, true, err);
        rc_tip_close(&store);
        if (r < 0)
            return r;
    }
    segment->sealed = true;
    r = rc_segment_open(segment->path, RC_SEGMENT_SEALED, &db, err);
    return r == 0 ? rc_segment_damaged(load_spans(log, db, segment, err), segment->path, err) : r;
}

static int load_newest(rc_embedded *log, rc_error *err)
{
    rc_segment *newest = rc_newest(log);
    int r = load_spans(log, log->store.db, newest, err);

    if (r < 0)
        return rc_segment_damaged(r, newest->path, err);
    for (rc_topic *topic = log->topics; topic; topic = topic->hh.next)
        for (int32_t q = 0; q < topic->queues; q++) {
            rc_queue_map *map = &topic->queue[q];
            const rc_span *last = map->span_count ? &map->spans[map->span_count - 1] : NULL;

            /* A queue without rows here goes on where it was when the segment was made. */
            if (last && (last->segment == newest ? last->min : last->end) != map->start)
                return bad_rows(newest, "it does not continue the segment before", err);
            if (!last)
                map->end = map->start;
            map->staged = map->end;
        }
    return 0;
}

static int add_segments(rc_embedded *log, const UT_array *ids, rc_error *err)
{
    int64_t before = 0;

    for (size_t i = 0; i < utarray_len(ids); i++) {
        int64_t id = *(const int64_t *)utarray_eltptr(ids, i);
        rc_segment *segment = rc_segment_new(log->dir, id);

        DL_APPEND(log->segments, segment);
        if (before && id != before + 1)
            return rc_fail(
                err, OMC_EFORMAT,
                "segment %lld is missing in %s (there are %lld and %lld): restore it, or "
                "move the older ones out of the folder to go on without their messages",
                (long long)before + 1, log->dir, (long long)before, (long long)id);
        before = id;
    }
    return 0;
}

int rc_recover(rc_embedded *log, rc_error *err)
{
    UT_array ids;
    int r;

    utarray_init(&ids, &id_icd);
    r = list_segments(log, &ids, err);
    if (r == 0)
        r = add_segments(log, &ids, err);
    utarray_done(&ids);
    if (r < 0)
        return r;
    remove_orphans(log);
    if (!log->segments) {
        DL_APPEND(log->segments, rc_segment_new(log->dir, 1));
        r = rc_segment_create(log, log->segments, NULL, err);
        if (r < 0)
            return r;
    }
    r = rc_tip_open(&log->store, rc_newest(log)->path, err);
    if (r == 0)
        r = rc_segment_damaged(load_topics(log, log->store.db, rc_newest(log), err),
                               rc_newest(log)->path, err);
    if (r == 0)
        r = rc_segment_damaged(load_starts(log, log->store.db, rc_newest(log), err),
                               rc_newest(log)->path, err);
    for (rc_segment *s = log->segments; r == 0 && s != rc_newest(log); s = s->next)
        r = load_sealed(log, s, err);
    if (r == 0)
        r = load_newest(log, err);
    if (r == 0)
        log->last_ms = rc_newest(log)->last_ms;
    return r;
}
