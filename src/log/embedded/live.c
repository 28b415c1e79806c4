/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Topics, positions of sources, offsets of sinks: small tables in the newest segment. Changes are
 * requests to the writer thread, so that they share its group commits; reads use a connection of
 * their own under `live_mu`, which follows the log to its newest segment.
 */
#include "log/embedded/internal.h"

int rc_queue_check(const rc_topic *topic, int32_t queue, rc_error *err)
{
    if (queue >= 0 && queue < topic->queues)
        return 0;
    return rc_fail(err, OMC_EINVAL, "topic %s has queues 0 to %d, there is no queue %d",
                   topic->name, topic->queues - 1, queue);
}

/* ---- topics --------------------------------------------------------------------------------- */

rc_topic *rc_topic_new(rc_embedded *log, const char *name, int64_t id, int32_t queues)
{
    rc_topic *topic = rc_calloc(1, sizeof *topic);

    topic->head.log = &log->pub;
    topic->id = id;
    topic->queues = queues;
    topic->queue = rc_calloc((size_t)queues, sizeof *topic->queue);
    (void)snprintf(topic->name, sizeof topic->name, "%s", name);
    log->topic_id_max = RC_MAX(log->topic_id_max, id);
    log->queue_count += queues;
    HASH_ADD_STR(log->topics, name, topic);
    return topic;
}

void rc_topic_free(rc_topic *topic)
{
    for (int32_t q = 0; q < topic->queues; q++)
        free(topic->queue[q].spans);
    free(topic->queue);
    free(topic);
}

static rc_topic *find_topic(rc_embedded *log, const char *name)
{
    rc_topic *topic = NULL;

    (void)pthread_mutex_lock(&log->mu);
    HASH_FIND_STR(log->topics, name, topic);
    (void)pthread_mutex_unlock(&log->mu);
    return topic;
}

int rc_live_topic(rc_log *pub, const char *name, int32_t queues, rc_topic **ret, rc_error *err)
{
    rc_embedded *log = rc_embedded_of(pub);
    rc_topic *topic = find_topic(log, name);
    rc_work work = {.kind = RC_WORK_TOPIC, .name = name};
    int r;

    if (!topic) {
        if (queues == 0)
            return rc_fail(err, OMC_ENOTFOUND, "topic %s does not exist in the log %s", name,
                           log->dir);
        work.number = queues < 0 ? log->config.queues : queues;
        if (work.number > RC_TOPIC_QUEUES_MAX)
            return rc_fail(err, OMC_EINVAL, "topic %s: %d queues are more than the limit of %d",
                           name, queues, RC_TOPIC_QUEUES_MAX);
        r = rc_request(log, &work, err);
        if (r < 0)
            return rc_wrap(err, r, "create topic %s", name);
        topic = find_topic(log, name);
        RC_ASSERT(topic);
    }
    *ret = topic;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(rc_topic *const *)a)->name, (*(rc_topic *const *)b)->name);
}

int rc_live_topics(rc_log *pub, rc_topic_fn *each, void *arg, rc_error *err)
{
    rc_embedded *log = rc_embedded_of(pub);
    RC_AUTO_FREE rc_topic **all = NULL;
    size_t count = 0;
    int r = 0;

    (void)err;
    (void)pthread_mutex_lock(&log->mu);
    all = rc_malloc((HASH_COUNT(log->topics) + 1) * sizeof(rc_topic *));
    for (rc_topic *topic = log->topics; topic; topic = topic->hh.next)
        all[count++] = topic;
    (void)pthread_mutex_unlock(&log->mu);
    qsort(all, count, sizeof(rc_topic *), by_name);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = each(arg, all[i]);
    return r < 0 ? r : 0;
}

/* ---- reading live tables -------------------------------------------------------------------- */

/* Connection to the newest segment. Call with live_mu. The segment cannot vanish meanwhile:
 * retention never takes the newest, and a connection keeps its file anyway. */
static int live_db(rc_embedded *log, sqlite3 **ret, rc_error *err)
{
    RC_AUTO_FREE char *path = NULL;
    int64_t id;
    int r;

    (void)pthread_mutex_lock(&log->mu);
    id = rc_newest(log)->id;
    path = rc_strdup(rc_newest(log)->path);
    (void)pthread_mutex_unlock(&log->mu);
    if (log->live_segment != id) {
        (void)sqlite3_close(log->live_db);
        log->live_db = NULL;
        log->live_segment = -1;
        r = rc_segment_open(path, RC_SEGMENT_LIVE, &log->live_db, err);
        if (r < 0)
            return r;
        log->live_segment = id;
    }
    *ret = log->live_db;
    return 0;
}

static rc_slice column_copy(omc_arena *arena, sqlite3_stmt *stmt, int column)
{
    const char *base = sqlite3_column_blob(stmt, column);
    size_t len = (size_t)sqlite3_column_bytes(stmt, column);

    return omc_slice_of(omc_copy(arena, base, len), len);
}

static int read_position(rc_embedded *log, const char *connector, rc_slice partition,
                         omc_arena *arena, rc_slice *ret, rc_error *err)
{
    RC_AUTO_STMT stmt = NULL;
    sqlite3 *db;
    int rc, r = live_db(log, &db, err);

    if (r == 0)
        r = rc_db_prepare(db, "SELECT offset FROM position WHERE connector = ? AND partition = ?",
                          &stmt, err);
    if (r < 0)
        return r;
    (void)sqlite3_bind_text(stmt, 1, connector, -1, SQLITE_STATIC);
    rc_bind_slice(stmt, 2, partition);
    rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        *ret = column_copy(arena, stmt, 0);
    else if (rc == SQLITE_DONE)
        *ret = omc_slice_of(NULL, 0);
    else
        return rc_db_fail(db, rc, err, "read the position of connector %s", connector);
    return 0;
}

int rc_live_position(rc_log *pub, const char *connector, rc_slice partition, omc_arena *arena,
                     rc_slice *ret, rc_error *err)
{
    rc_embedded *log = rc_embedded_of(pub);
    int r;

    (void)pthread_mutex_lock(&log->live_mu);
    r = read_position(log, connector, partition, arena, ret, err);
    (void)pthread_mutex_unlock(&log->live_mu);
    return r;
}

typedef struct pair_list {
    rc_arena arena;
    omc_pair *pairs;
    size_t count;
    size_t cap;
} pair_list;

static int read_positions(rc_embedded *log, const char *connector, pair_list *list, rc_error *err)
{
    RC_AUTO_STMT stmt = NULL;
    sqlite3 *db;
    int rc, r = live_db(log, &db, err);

    if (r == 0)
        r = rc_db_prepare(db,
                          "SELECT partition, offset FROM position WHERE connector = ? "
                          "ORDER BY partition",
                          &stmt, err);
    if (r < 0)
        return r;
    (void)sqlite3_bind_text(stmt, 1, connector, -1, SQLITE_STATIC);
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        if (list->count == list->cap) {
            list->cap = list->cap ? list->cap * 2 : 16;
            list->pairs = rc_realloc(list->pairs, list->cap * sizeof *list->pairs);
        }
        list->pairs[list->count].key = column_copy(&list->arena.pub, stmt, 0);
        list->pairs[list->count++].value = column_copy(&list->arena.pub, stmt, 1);
    }
    return rc == SQLITE_DONE
               ? 0
               : rc_db_fail(db, rc, err, "read the positions of connector %s", connector);
}

/* Copies first, so that the caller may ask the log again from its function. */
int rc_live_positions(rc_log *pub, const char *connector, rc_position_fn *each, void *arg,
                      rc_error *err)
{
    rc_embedded *log = rc_embedded_of(pub);
    pair_list list = {.count = 0};
    int r, stop = 0;

    rc_arena_init(&list.arena, 4096);
    (void)pthread_mutex_lock(&log->live_mu);
    r = read_positions(log, connector, &list, err);
    (void)pthread_mutex_unlock(&log->live_mu);
    for (size_t i = 0; r == 0 && stop == 0 && i < list.count; i++)
        stop = each(arg, list.pairs[i].key, list.pairs[i].value);
    rc_arena_release(&list.arena);
    free(list.pairs);
    return r < 0 ? r : RC_MIN(stop, 0);
}

static int read_committed(rc_embedded *log, const char *group, const rc_topic *topic, int32_t queue,
                          omc_arena *arena, int64_t *ret_offset, rc_slice *ret_state, rc_error *err)
{
    RC_AUTO_STMT stmt = NULL;
    sqlite3 *db;
    int rc, r = live_db(log, &db, err);

    if (r == 0)
        r = rc_db_prepare(db,
                          "SELECT offset, state FROM progress WHERE grp = ? AND topic = ? "
                          "AND queue = ?",
                          &stmt, err);
    if (r < 0)
        return r;
    (void)sqlite3_bind_text(stmt, 1, group, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(stmt, 2, topic->id);
    (void)sqlite3_bind_int(stmt, 3, queue);
    rc = sqlite3_step(stmt);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return rc_db_fail(db, rc, err, "read the offset of group %s", group);
    *ret_offset = rc == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : -1;
    if (ret_state)
        *ret_state = rc == SQLITE_ROW && sqlite3_column_type(stmt, 1) != SQLITE_NULL
                         ? column_copy(arena, stmt, 1)
                         : omc_slice_of(NULL, 0);
    return 0;
}

int rc_live_committed(rc_log *pub, const char *group, rc_topic *topic, int32_t queue,
                      omc_arena *arena, int64_t *ret_offset, rc_slice *ret_state, rc_error *err)
{
    rc_embedded *log = rc_embedded_of(pub);
    int r = rc_queue_check(topic, queue, err);

    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&log->live_mu);
    r = read_committed(log, group, topic, queue, arena, ret_offset, ret_state, err);
    (void)pthread_mutex_unlock(&log->live_mu);
    return r;
}

/* ---- changing them -------------------------------------------------------------------------- */

int rc_live_position_set(rc_log *pub, const char *connector, rc_slice partition, rc_slice offset,
                         rc_error *err)
{
    rc_work work = {.kind = RC_WORK_POSITION,
                    .name = connector,
                    .partition = partition,
                    .offset = offset};

    return rc_request(rc_embedded_of(pub), &work, err);
}

int rc_live_commit(rc_log *pub, const char *group, rc_fence *fence, const rc_commit *commits,
                   size_t count, rc_error *err)
{
    rc_work work = {.kind = RC_WORK_COMMIT,
                    .name = group,
                    .commits = commits,
                    .commit_count = count};

    (void)fence; /* rc_log_commit() has looked, and nobody else writes here */
    for (size_t i = 0; i < count; i++) {
        int r = rc_queue_check(commits[i].topic, commits[i].queue, err);

        if (r < 0)
            return r;
        if (commits[i].offset < -1)
            return rc_fail(err, OMC_EINVAL, "group %s: offset %lld of topic %s is negative", group,
                           (long long)commits[i].offset, commits[i].topic->name);
        if (commits[i].state.len > RC_STATE_BYTES_MAX)
            return rc_fail(err, OMC_EINVAL,
                           "group %s: state of %zu bytes is larger than the limit of %zu", group,
                           commits[i].state.len, RC_STATE_BYTES_MAX);
    }
    return count ? rc_request(rc_embedded_of(pub), &work, err) : 0;
}

int rc_live_group_delete(rc_log *pub, const char *group, rc_error *err)
{
    rc_work work = {.kind = RC_WORK_GROUP_DELETE, .name = group};

    return rc_request(rc_embedded_of(pub), &work, err);
}
