/* SPDX-License-Identifier: Apache-2.0 */
/**
 * One segment: one SQLite file. A new one is made whole under another name (<id>.seg.new: schema,
 * copies of the live tables, start of every queue), synced, and then renamed. So a file called
 * .seg is always complete, and what a crash leaves of the making is recognised by its name.
 *
 * The schema is part of the format: a file whose schema differs by one byte is not ours.
 */
#include "log/embedded/internal.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#define APPLICATION_ID 0x52434c47 /* "RCLG" */
#define FORMAT_VERSION 1

/* seq grows by one per row: rows are appended at the end of the tree. `crc` covers data, topic,
 * queue, base, count and stored_ms. `start`: the first offset of each queue in this segment. */
static const char *const schema[] = {
    "CREATE TABLE batch(seq INTEGER PRIMARY KEY, topic INTEGER NOT NULL, queue INTEGER NOT NULL, "
    "base INTEGER NOT NULL, count INTEGER NOT NULL, stored_ms INTEGER NOT NULL, "
    "crc INTEGER NOT NULL, data BLOB NOT NULL)",
    "CREATE INDEX batch_offset ON batch(topic, queue, base)",
    "CREATE TABLE position(connector TEXT NOT NULL, partition BLOB NOT NULL, "
    "offset BLOB NOT NULL, PRIMARY KEY(connector, partition)) WITHOUT ROWID",
    "CREATE TABLE progress(grp TEXT NOT NULL, topic INTEGER NOT NULL, queue INTEGER NOT NULL, "
    "offset INTEGER NOT NULL, state BLOB, PRIMARY KEY(grp, topic, queue)) WITHOUT ROWID",
    "CREATE TABLE start(topic INTEGER NOT NULL, queue INTEGER NOT NULL, base INTEGER NOT NULL, "
    "PRIMARY KEY(topic, queue)) WITHOUT ROWID",
    "CREATE TABLE topic(id INTEGER PRIMARY KEY, name TEXT NOT NULL, queues INTEGER NOT NULL)",
};

rc_segment *rc_segment_new(const char *dir, int64_t id)
{
    rc_segment *segment = rc_calloc(1, sizeof *segment);

    segment->id = id;
    segment->refs = 1;
    segment->path = rc_format("%s/%020lld" RC_SEGMENT_SUFFIX, dir, (long long)id);
    return segment;
}

void rc_segment_unref(rc_segment *segment)
{
    if (--segment->refs > 0)
        return;
    free(segment->path);
    free(segment);
}

int rc_sync_dir(const char *dir, rc_error *err)
{
    rc_count_sync();
    return rc_fsync_dir(dir, err);
}

/* ---- making one ----------------------------------------------------------------------------- */

static int create_schema(sqlite3 *db, rc_error *err)
{
    char text[96];
    int r;

    (void)snprintf(text, sizeof text, "PRAGMA application_id=%d; PRAGMA user_version=%d",
                   APPLICATION_ID, FORMAT_VERSION);
    r = rc_db_exec(db, text, err);
    for (size_t i = 0; r == 0 && i < RC_COUNT(schema); i++)
        r = rc_db_exec(db, schema[i], err);
    return r;
}

/* Copies all rows of `read` into `write`, which has as many parameters as `read` has columns. */
static int copy_rows(sqlite3 *from, const char *read, sqlite3 *to, const char *write, rc_error *err)
{
    RC_AUTO_STMT in = NULL;
    RC_AUTO_STMT out = NULL;
    int r = rc_db_prepare(from, read, &in, err);
    int rc;

    if (r == 0)
        r = rc_db_prepare(to, write, &out, err);
    if (r < 0)
        return r;
    while ((rc = sqlite3_step(in)) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(in); i++)
            (void)sqlite3_bind_value(out, i + 1, sqlite3_column_value(in, i));
        r = rc_db_run(to, out, err);
        if (r < 0)
            return r;
    }
    return rc == SQLITE_DONE ? 0 : rc_db_fail(from, rc, err, "'%.60s'", read);
}

static int copy_live_tables(sqlite3 *from, sqlite3 *to, rc_error *err)
{
    static const struct {
        const char *read, *write;
    } tables[] = {
        {"SELECT id, name, queues FROM topic", "INSERT INTO topic VALUES(?, ?, ?)"},
        {"SELECT connector, partition, offset FROM position",
         "INSERT INTO position VALUES(?, ?, ?)"},
        {"SELECT grp, topic, queue, offset, state FROM progress",
         "INSERT INTO progress VALUES(?, ?, ?, ?, ?)"},
    };
    int r = 0;

    for (size_t i = 0; r == 0 && i < RC_COUNT(tables); i++)
        r = copy_rows(from, tables[i].read, to, tables[i].write, err);
    return r;
}

/* The writer thread calls this, so the ends of the queues stand still. */
static int note_starts(rc_embedded *log, sqlite3 *to, rc_error *err)
{
    RC_AUTO_STMT out = NULL;
    int r = rc_db_prepare(to, "INSERT INTO start VALUES(?, ?, ?)", &out, err);

    for (rc_topic *topic = log->topics; r == 0 && topic; topic = topic->hh.next)
        for (int32_t q = 0; r == 0 && q < topic->queues; q++) {
            if (topic->queue[q].end == 0)
                continue;
            (void)sqlite3_bind_int64(out, 1, topic->id);
            (void)sqlite3_bind_int(out, 2, q);
            (void)sqlite3_bind_int64(out, 3, topic->queue[q].end);
            r = rc_db_run(to, out, err);
        }
    return r;
}

static int fill(rc_embedded *log, const char *path, sqlite3 *from, rc_error *err)
{
    RC_AUTO_DB db = NULL;
    int r = rc_db_open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &db, err);

    /* Nobody sees the file before it is whole: no journal on disk, no syncs but one at the end. */
    if (r == 0)
        r = rc_db_exec(db, "PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF; BEGIN IMMEDIATE",
                       err);
    if (r == 0)
        r = create_schema(db, err);
    if (r == 0 && from)
        r = copy_live_tables(from, db, err);
    if (r == 0)
        r = note_starts(log, db, err);
    if (r == 0)
        r = rc_db_exec(db, "COMMIT", err);
    if (r == 0)
        r = rc_db_exec(db, "PRAGMA journal_mode=WAL", err);
    return r;
}

static void remove_with(const char *path, const char *suffix)
{
    RC_AUTO_FREE char *name = rc_format("%s%s", path, suffix);

    (void)unlink(name);
}

static int sync_file(const char *path, rc_error *err)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    int r = fd < 0 || fsync(fd) < 0 ? rc_fail_errno(err, errno, "sync %s", path) : 0;

    rc_count_sync();
    if (fd >= 0)
        (void)close(fd);
    return r;
}

int rc_segment_create(struct rc_embedded *log, rc_segment *segment, sqlite3 *from, rc_error *err)
{
    RC_AUTO_FREE char *path = rc_format("%s.new", segment->path);
    int r;

    (void)unlink(path);
    remove_with(path, "-wal");
    remove_with(path, "-shm");
    remove_with(path, "-journal");
    r = fill(log, path, from, err);
    if (r == 0)
        r = sync_file(path, err);
    if (r == 0 && rename(path, segment->path) < 0)
        r = rc_fail_errno(err, errno, "rename %s", path);
    if (r == 0)
        r = rc_sync_dir(log->dir, err);
    if (r < 0) {
        (void)unlink(path);
        remove_with(path, "-wal");
        remove_with(path, "-shm");
        remove_with(path, "-journal");
        return rc_wrap(err, r, "make segment %s", segment->path);
    }
    return 0;
}

/* ---- checking one --------------------------------------------------------------------------- */

static int refuse(rc_error *err, const char *path, const char *why)
{
    return rc_fail(err, OMC_EFORMAT,
                   "%s %s; restore it from a copy, or move it and all older segments out of the "
                   "folder to go on without their messages",
                   path, why);
}

static int check_schema(sqlite3 *db, const char *path, rc_error *err)
{
    RC_AUTO_STMT stmt = NULL;
    size_t i = 0;
    int rc, r = rc_db_prepare(db,
                              "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL "
                              "ORDER BY name",
                              &stmt, err);

    if (r < 0)
        return r;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        const char *sql = (const char *)sqlite3_column_text(stmt, 0);

        if (i == RC_COUNT(schema) || !sql || strcmp(sql, schema[i]) != 0)
            return refuse(err, path, "has tables that are not ours");
        i++;
    }
    if (rc != SQLITE_DONE)
        return rc_db_fail(db, rc, err, "read %s", path);
    return i == RC_COUNT(schema) ? 0 : refuse(err, path, "lacks tables");
}

static int check(sqlite3 *db, const char *path, rc_error *err)
{
    int64_t id = 0, version = 0;
    char why[96];
    int r = rc_db_int(db, "PRAGMA application_id", 0, &id, err);

    if (r == 0)
        r = rc_db_int(db, "PRAGMA user_version", 0, &version, err);
    if (r < 0)
        return r;
    if (id != APPLICATION_ID)
        return refuse(err, path, "is no segment of a message log");
    if (version != FORMAT_VERSION) {
        (void)snprintf(why, sizeof why, "has format %lld, this version reads format %d",
                       (long long)version, FORMAT_VERSION);
        return refuse(err, path, why);
    }
    return check_schema(db, path, err);
}

/* "file:<path>?immutable=1": a sealed segment needs no WAL, no locks and no shared memory, so it
 * can be read on a full disk. */
static char *immutable_uri(const char *path)
{
    rc_buf uri = RC_BUF(3 * (size_t)PATH_MAX + 32);

    rc_buf_str(&uri, "file:");
    for (; *path; path++) {
        if (*path == '?' || *path == '#' || *path == '%')
            rc_buf_printf(&uri, "%%%02x", (unsigned char)*path);
        else
            rc_buf_char(&uri, *path);
    }
    rc_buf_str(&uri, "?immutable=1");
    return rc_buf_take(&uri);
}

int rc_segment_damaged(int r, const char *path, rc_error *err)
{
    rc_error old;

    /* SQLite calls some kinds of damage plain errors, e.g. "unsupported file format". */
    if ((r != -OMC_EFORMAT && r != -OMC_EINTERNAL) || (err && strstr(err->msg, "restore it")))
        return r;
    if (!err)
        return -OMC_EFORMAT;
    old = *err;
    return rc_fail(err, OMC_EFORMAT,
                   "%s is damaged or no segment of a message log (%.200s); restore it from a copy, "
                   "or move it and all older segments out of the folder to go on without their "
                   "messages",
                   path, old.msg);
}

int rc_segment_open(const char *path, enum rc_segment_mode mode, sqlite3 **ret, rc_error *err)
{
    RC_AUTO_FREE char *uri = mode == RC_SEGMENT_SEALED ? immutable_uri(path) : NULL;
    RC_AUTO_DB db = NULL;
    int r;

    r = rc_db_open(uri ? uri : path,
                   uri ? SQLITE_OPEN_READONLY | SQLITE_OPEN_URI : SQLITE_OPEN_READWRITE, &db, err);
    if (r == 0)
        r = check(db, path, err);
    if (r < 0)
        return rc_segment_damaged(r, path, err);
    *ret = RC_TAKE(db);
    return 0;
}

/* ---- the writer's connection ---------------------------------------------------------------- */

static int note_wal(void *arg, sqlite3 *db, const char *name, int pages)
{
    rc_tip *store = arg;

    (void)db, (void)name;
    store->wal_pages = pages;
    store->wal_dirty = true;
    return SQLITE_OK;
}

static int prepare_all(rc_tip *store, rc_error *err)
{
    const struct {
        sqlite3_stmt **at;
        const char *sql;
    } all[] = {
        {&store->begin, "BEGIN IMMEDIATE"},
        {&store->commit, "COMMIT"},
        {&store->rollback, "ROLLBACK"},
        {&store->put_batch, "INSERT INTO batch(topic, queue, base, count, stored_ms, crc, data) "
                            "VALUES(?, ?, ?, ?, ?, ?, ?)"},
        {&store->put_topic, "INSERT INTO topic VALUES(?, ?, ?)"},
        {&store->put_position,
         "INSERT INTO position VALUES(?, ?, ?) "
         "ON CONFLICT(connector, partition) DO UPDATE SET offset = excluded.offset"},
        {&store->delete_position, "DELETE FROM position WHERE connector = ? AND partition = ?"},
        {&store->delete_positions, "DELETE FROM position WHERE connector = ?"},
        {&store->put_progress,
         "INSERT INTO progress VALUES(?, ?, ?, ?, ?) ON CONFLICT(grp, topic, queue) "
         "DO UPDATE SET offset = excluded.offset, state = excluded.state"},
        {&store->delete_progress, "DELETE FROM progress WHERE grp = ? AND topic = ? AND queue = ?"},
        {&store->delete_group, "DELETE FROM progress WHERE grp = ?"},
    };
    int r = 0;

    for (size_t i = 0; r == 0 && i < RC_COUNT(all); i++)
        r = rc_db_prepare(store->db, all[i].sql, all[i].at, err);
    return r;
}

int rc_tip_open(rc_tip *store, const char *path, rc_error *err)
{
    int r;

    memset(store, 0, sizeof *store);
    r = rc_segment_open(path, RC_SEGMENT_LIVE, &store->db, err);
    /* Emptying the WAL file on every reset would make each commit grow a file again, and that is
     * what costs time in fdatasync; so it keeps its blocks while the segment is the newest. */
    if (r == 0)
        r = rc_db_exec(store->db, "PRAGMA journal_mode=WAL; PRAGMA journal_size_limit=-1", err);
    if (r == 0)
        r = prepare_all(store, err);
    if (r < 0) {
        rc_tip_close(store);
        return rc_segment_damaged(r, path, err);
    }
    rc_tip_hook(store);
    return 0;
}

void rc_tip_hook(rc_tip *store)
{
    (void)sqlite3_wal_hook(store->db, note_wal, store);
}

void rc_tip_close(rc_tip *store)
{
    sqlite3_stmt *stmt;

    if (!store->db)
        return;
    while ((stmt = sqlite3_next_stmt(store->db, NULL)))
        (void)sqlite3_finalize(stmt);
    (void)sqlite3_close(store->db);
    memset(store, 0, sizeof *store);
}

int rc_tip_checkpoint(rc_tip *store, bool truncate, rc_error *err)
{
    int pages = 0, moved = 0;
    int rc =
        sqlite3_wal_checkpoint_v2(store->db, NULL,
                                  truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE,
                                  &pages, &moved);

    if (rc != SQLITE_OK)
        return rc_db_fail(store->db, rc, err, "checkpoint %s",
                          sqlite3_db_filename(store->db, "main"));
    if (pages == moved) {
        store->wal_pages = 0;
        store->wal_dirty = false;
    }
    return 0;
}
