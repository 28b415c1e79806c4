/* SPDX-License-Identifier: Apache-2.0 */
/**
 * From a time to an offset. Stored times never go back, so the segment is found in memory and
 * the row by halving its offsets. Rare, so it opens a connection for itself.
 */
#include "log/embedded/internal.h"

/* [mu] The first span whose segment is not wholly before `wall_ms`; takes a reference. */
static rc_segment *first_candidate(const rc_queue_map *map, int64_t from, int64_t wall_ms,
                                   rc_span *ret)
{
    for (size_t i = 0; i < map->span_count; i++)
        if (map->spans[i].min >= from && map->spans[i].segment->last_ms >= wall_ms) {
            *ret = map->spans[i];
            ret->segment->refs++;
            return ret->segment;
        }
    return NULL;
}

static int search_rows(sqlite3 *db, const rc_topic *topic, int32_t queue, const rc_span *span,
                       int64_t wall_ms, int64_t *ret, rc_error *err)
{
    RC_AUTO_STMT stmt = NULL;
    int64_t low = span->min, high = span->end;
    int r = rc_db_prepare(db,
                          "SELECT base, count, stored_ms FROM batch WHERE topic = ? AND queue = ? "
                          "AND base <= ? ORDER BY base DESC LIMIT 1",
                          &stmt, err);

    if (r < 0)
        return r;
    while (low < high) {
        int64_t base, count;
        int rc;

        (void)sqlite3_bind_int64(stmt, 1, topic->id);
        (void)sqlite3_bind_int(stmt, 2, queue);
        (void)sqlite3_bind_int64(stmt, 3, low + (high - low) / 2);
        rc = sqlite3_step(stmt);
        if (rc != SQLITE_ROW)
            return rc_db_fail(db, rc, err, "search %s", span->segment->path);
        base = sqlite3_column_int64(stmt, 0);
        count = sqlite3_column_int64(stmt, 1);
        if (base < low || base >= high || count < 1)
            return rc_fail(err, OMC_EFORMAT, "offsets of topic %s queue %d are not in order",
                           topic->name, queue);
        if (sqlite3_column_int64(stmt, 2) >= wall_ms)
            high = base;
        else
            low = base + count;
        (void)sqlite3_reset(stmt);
    }
    *ret = low;
    return 0;
}

static int search_segment(const rc_topic *topic, int32_t queue, const rc_span *span, bool sealed,
                          int64_t wall_ms, int64_t *ret, rc_error *err)
{
    RC_AUTO_DB db = NULL;
    int r = rc_segment_open(span->segment->path, sealed ? RC_SEGMENT_SEALED : RC_SEGMENT_LIVE, &db,
                            err);

    if (r == 0)
        r = search_rows(db, topic, queue, span, wall_ms, ret, err);
    return rc_segment_damaged(r, span->segment->path, err);
}

int rc_emb_search(rc_log *pub, rc_topic *topic, int32_t queue, int64_t wall_ms, int64_t *ret,
                  rc_error *err)
{
    rc_embedded *log = rc_embedded_of(pub);
    rc_queue_map *map;
    int64_t from = 0;
    int r = rc_queue_check(topic, queue, err);

    if (r < 0)
        return r;
    map = &topic->queue[queue];
    for (;;) {
        rc_span span;
        bool found, sealed = false;

        (void)pthread_mutex_lock(&log->mu);
        found = first_candidate(map, from, wall_ms, &span) != NULL;
        if (found)
            sealed = span.segment->sealed;
        else
            *ret = map->end;
        (void)pthread_mutex_unlock(&log->mu);
        if (!found)
            return 0;
        r = search_segment(topic, queue, &span, sealed, wall_ms, ret, err);
        (void)pthread_mutex_lock(&log->mu);
        rc_segment_unref(span.segment);
        (void)pthread_mutex_unlock(&log->mu);
        if (r < 0 || *ret < span.end)
            return r;
        from = span.end; /* the queue's own rows here are all older */
    }
}
