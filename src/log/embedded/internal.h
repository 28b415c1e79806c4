/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Private to the embedded log. Who owns what:
 *
 *   rc_embedded      the log; `mu` guards everything marked [mu]
 *   writer thread    the only one that writes: takes works (appends and requests) from `todo`,
 *                    stores a group of them in one transaction, publishes the new ends of the
 *                    queues under `mu`, hands out receipts; also checkpoints, rolls, retains
 *   rc_writer/append one task thread each, until submitted
 *   rc_reader        one task thread, own connections to segment files
 *
 * Files in the folder: LOCK, <20 digits>.seg (+ -wal, -shm of the newest while it is open), and
 * for a moment <20 digits>.seg.new while the next segment is being made.
 */
#ifndef RC_LOG_EMBEDDED_INTERNAL_H
#define RC_LOG_EMBEDDED_INTERNAL_H

#include "base/thread.h"
#include "log/embedded.h"

#include "base/hash.h"
#include <limits.h>
#include <sqlite3.h>
#include <utlist.h>

/** A row holds about this much at most; only a single larger message makes it bigger. */
#define RC_ROW_BYTES_MAX ((size_t)1 << 20)
/** What one message may cost beside its own bytes (see codec.c). */
#define RC_MESSAGE_OVERHEAD_MAX ((size_t)64)
#define RC_TOPIC_QUEUES_MAX 1024
/** Of all topics; bounds memory, also when a damaged file says otherwise. */
#define RC_QUEUES_MAX 1000000
#define RC_SEGMENT_SUFFIX ".seg"
#define RC_STATE_BYTES_MAX ((size_t)4096)

/* ---- codec.c: batches as bytes -------------------------------------------------------------- */

#define RC_BATCH_VERSION 1
/** Version and born time of the first message. */
#define RC_BATCH_HEADER 9

/** Walks the messages of a batch; borrowed bytes. */
typedef struct rc_batch_cursor {
    const uint8_t *at;
    const uint8_t *end;
    int64_t born_ms;
} rc_batch_cursor;

/** Upper bound of the bytes rc_batch_put() writes. */
size_t rc_batch_bound(const rc_message *message);
/** Starts a batch at `at` (RC_BATCH_HEADER bytes). */
void rc_batch_header(uint8_t *at, int64_t born_ms);
/** Encodes a message at `at` (bound checked by the caller); `born_ms` is the one before. */
uint8_t *rc_batch_put(uint8_t *at, const rc_message *message, int64_t *born_ms);
/** 0 or -OMC_EFORMAT. */
int rc_batch_begin(rc_batch_cursor *cursor, const void *bytes, size_t len, rc_error *err);
/** Decodes the next message; pairs of properties go to `arena`. offset, stored_ms and message_id
 *  are left to the caller. 0 or -OMC_EFORMAT. */
int rc_batch_next(rc_batch_cursor *cursor, rc_message *ret, omc_arena *arena, rc_error *err);
/** Passes over a message. 0 or -OMC_EFORMAT. */
int rc_batch_skip(rc_batch_cursor *cursor, rc_error *err);

/* ---- db.c, vfs.c: SQLite -------------------------------------------------------------------- */

/** Sets process-wide options and registers the counting VFS, once. */
void rc_db_setup(void);
extern const char rc_vfs_name[];
/** fsync and fdatasync calls of this process through SQLite and rc_count_sync(). */
int64_t rc_sync_count(void);
void rc_count_sync(void);

/** Opens with our settings (page size, synchronous, small cache). `mode` = SQLITE_OPEN_... */
int rc_db_open(const char *path, int mode, sqlite3 **ret, rc_error *err);
/** Turns a result code into an error that names the file; "disk full" is OMC_ENOSPC. */
int rc_db_fail(sqlite3 *db, int rc, rc_error *err, const char *fmt, ...) OMC_PRINTF(4, 5);
int rc_db_exec(sqlite3 *db, const char *sql, rc_error *err);
int rc_db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret, rc_error *err);
/** Steps a statement that returns no rows and resets it. */
int rc_db_run(sqlite3 *db, sqlite3_stmt *stmt, rc_error *err);
/** First column of the first row as integer; `missing` when there is none. */
int rc_db_int(sqlite3 *db, const char *sql, int64_t missing, int64_t *ret, rc_error *err);
static inline void rc_bind_slice(sqlite3_stmt *stmt, int at, rc_slice s)
{
    sqlite3_bind_blob64(stmt, at, s.base ? s.base : "", s.len, SQLITE_STATIC);
}
static inline void rc_stmt_cleanup(sqlite3_stmt **at)
{
    sqlite3_finalize(*at);
}
#define RC_AUTO_STMT __attribute__((cleanup(rc_stmt_cleanup))) sqlite3_stmt *
/** Resets a borrowed statement at the end of a block, so that no snapshot is kept. */
static inline void rc_stmt_reset_cleanup(sqlite3_stmt **at)
{
    if (*at)
        sqlite3_reset(*at);
}
#define RC_AUTO_RESET __attribute__((cleanup(rc_stmt_reset_cleanup))) sqlite3_stmt *
static inline void rc_db_close_cleanup(sqlite3 **at)
{
    sqlite3_close(*at);
}
#define RC_AUTO_DB __attribute__((cleanup(rc_db_close_cleanup))) sqlite3 *

/* ---- segment.c: one file -------------------------------------------------------------------- */

typedef struct rc_segment {
    int64_t id;
    char *path;
    int refs;         /**< [mu] The log's one and one per reader connection. */
    bool sealed;      /**< [mu] Complete in its file: no WAL, never changes. */
    bool gone;        /**< [mu] Unlinked by retention: close it soon, it still takes up space. */
    int64_t bytes;    /**< [mu] Of batches. */
    int64_t first_ms; /**< [mu] Stored times of first and last row, 0 = no row. */
    int64_t last_ms;
    struct rc_segment *prev, *next;
} rc_segment;

/** The writer's connection to the newest segment and its statements. */
typedef struct rc_tip {
    sqlite3 *db;
    sqlite3_stmt *begin, *commit, *rollback;
    sqlite3_stmt *put_batch, *put_topic;
    sqlite3_stmt *put_position, *delete_position, *delete_positions;
    sqlite3_stmt *put_progress, *delete_progress, *delete_group;
    int wal_pages;  /**< Pages in the WAL after the last commit. */
    bool wal_dirty; /**< Something is in the WAL that is not in the file. */
} rc_tip;

rc_segment *rc_segment_new(const char *dir, int64_t id);
/** [mu] Drops one reference. */
void rc_segment_unref(rc_segment *segment);
/** Makes a new, complete segment file at segment->path: schema, `from`'s live tables (NULL =
 *  empty) and the start of every queue. There is a file of that name only when all is in it. */
struct rc_embedded;
int rc_segment_create(struct rc_embedded *log, rc_segment *segment, sqlite3 *from, rc_error *err);
enum rc_segment_mode {
    RC_SEGMENT_LIVE,  /**< Newest: others write to it. */
    RC_SEGMENT_SEALED /**< Never changes: opened without WAL and locks. */
};
/** Opens and checks. -OMC_EFORMAT when it is not a segment of ours, damaged, or of a later
 *  version; the error names file and cure. */
int rc_segment_open(const char *path, enum rc_segment_mode mode, sqlite3 **ret, rc_error *err);
/** Gives an OMC_EFORMAT error that SQLite found the file's name and the cure. Returns r. */
int rc_segment_damaged(int r, const char *path, rc_error *err);
/** Opens the writer's connection. */
int rc_tip_open(rc_tip *store, const char *path, rc_error *err);
/** Connects WAL accounting to `store`; call again after the struct was moved. */
void rc_tip_hook(rc_tip *store);
void rc_tip_close(rc_tip *store);
/** Moves WAL pages into the file; with `truncate` all of them, and empties the WAL. */
int rc_tip_checkpoint(rc_tip *store, bool truncate, rc_error *err);
/** fsync of the folder, counted. */
int rc_sync_dir(const char *dir, rc_error *err);

/* ---- topics, queues, work ------------------------------------------------------------------- */

/** Which offsets of a queue lie in which segment. */
typedef struct rc_span {
    rc_segment *segment;
    int64_t min;
    int64_t end;
} rc_span;

typedef struct rc_queue_map {
    int64_t start;  /**< [mu] First offset of the newest segment. */
    int64_t end;    /**< [mu] Next offset; everything below is durable. */
    int64_t staged; /**< Next offset inside the transaction under way; writer thread. */
    rc_span *spans; /**< [mu] Oldest first, without holes. */
    size_t span_count;
    size_t span_cap;
} rc_queue_map;

struct rc_topic {
    rc_log_object head;
    int64_t id;
    int32_t queues;
    rc_queue_map *queue;
    UT_hash_handle hh; /**< By name. */
    char name[RC_TOPIC_NAME_MAX + 1];
};

enum rc_work_kind {
    RC_WORK_APPEND,
    RC_WORK_TOPIC,
    RC_WORK_POSITION,
    RC_WORK_COMMIT,
    RC_WORK_GROUP_DELETE
};

/** Something for the writer thread. Requests live on the stack of a caller that waits. */
typedef struct rc_work {
    enum rc_work_kind kind;
    bool done; /**< [mu] Requests. */
    int result;
    rc_error *err;    /**< Where to leave the reason; never NULL. */
    const char *name; /**< Topic, connector or group. */
    int64_t number;   /**< Topic: queues. */
    int64_t topic_id; /**< Topic: filled when it is new. */
    rc_slice partition, offset;
    const rc_commit *commits;
    size_t commit_count;
    struct rc_work *prev, *next;
} rc_work;

/** Messages of one queue, encoded; becomes a row. */
typedef struct rc_part {
    rc_topic *topic;
    int32_t queue;
    uint32_t count;
    uint8_t *data;
    size_t len;
    size_t cap;
    int64_t born_ms; /**< Of the last message. */
    int64_t base;    /**< Offset of the first message, once stored. */
    uint32_t crc;    /**< Of data; computed at submit, in the task's thread. */
} rc_part;

typedef struct rc_position {
    char *partition;
    size_t partition_len;
    size_t partition_cap;
    char *offset;
    size_t offset_len;
    size_t offset_cap;
} rc_position;

struct rc_append {
    rc_log_object head;
    rc_writer *writer;
    rc_work work;
    rc_part *parts;
    uint32_t part_count;
    uint32_t part_cap;
    uint32_t current; /**< Part of the last message; most messages go there too. */
    rc_position *positions;
    size_t position_count;
    size_t position_cap;
    size_t bytes;
    size_t count;
    void *cookie;
    rc_error error;
    int64_t submitted_ns;
    int64_t stored_ns;
    struct rc_append *prev, *next; /**< Receipts or free list. */
};

/** A free buffer for a part. */
typedef struct rc_spare {
    uint8_t *data;
    size_t cap;
} rc_spare;
#define RC_SPARES_MAX 16

struct rc_writer {
    rc_log_object head;
    char *name;
    char *connector;
    size_t pending_bytes_max;
    rc_wake *wake;
    pthread_cond_t cond;  /**< A receipt is there. */
    rc_append *receipts;  /**< [mu] */
    size_t pending;       /**< [mu] Appends submitted, receipt not taken. */
    size_t pending_bytes; /**< [mu] */
    size_t stored;        /**< [mu] Receipts waiting. */
    bool closed;          /**< [mu] Being closed: its thread waits for the last work. */
    bool failed;          /**< An append failed: the ones behind it must too. Writer thread. */
    bool notify;          /**< Is in the list of writers to be told; writer thread. */
    rc_writer *notify_next;
    /* Owned by the task's thread: */
    rc_append *free_appends;
    size_t free_count;
    rc_spare spares[RC_SPARES_MAX];
    size_t spare_count;
    size_t spare_bytes;
};

typedef struct rc_embedded {
    rc_log pub;
    char *dir;
    int lock_fd;
    rc_embedded_config config; /**< `dir` is not valid; use the one above. */
    rc_clock *clock;

    pthread_mutex_t mu;
    pthread_cond_t work_cond;  /**< The writer thread has something to do. */
    pthread_cond_t done_cond;  /**< A request is done. */
    rc_work *todo;             /**< [mu] */
    bool closing;              /**< [mu] */
    rc_segment *segments;      /**< [mu] Oldest first; changed by the writer thread only. */
    rc_topic *topics;          /**< [mu] uthash by name; changed by the writer thread only. */
    struct rc_reader *waiting; /**< [mu] Readers that sleep until there is data. */
    size_t users;              /**< [mu] Open writers and readers. */
    bool full;                 /**< [mu] Not writable; `text` says why. */
    char text[512];            /**< [mu] */
    int64_t appended;          /**< [mu] */
    int64_t transactions;      /**< [mu] */
    int64_t syncs_before;      /**< Count when the log was opened. */

    pthread_t thread;
    bool thread_runs;
    /* Writer thread: */
    rc_tip store;
    int64_t topic_id_max;
    int64_t queue_count; /**< [mu] Of all topics. */
    int64_t last_ms;     /**< Stored time never goes back. */
    int64_t full_since_ms;
    int64_t retain_at_ns;  /**< Next look at the age of segments; INT64_MAX = none. */
    int64_t roll_again_ns; /**< After a failed roll: not before. */

    /* Reads of live tables from any thread: */
    pthread_mutex_t live_mu;
    sqlite3 *live_db;
    int64_t live_segment;
} rc_embedded;

static inline rc_embedded *rc_embedded_of(rc_log *log)
{
    return RC_CONTAINER(log, rc_embedded, pub);
}

static inline rc_segment *rc_newest(const rc_embedded *log)
{
    RC_ASSERT(log->segments && log->segments->prev); /* there is always one after recovery */
    return log->segments->prev;                      /* utlist: the head knows the tail */
}

/** [mu] Offset of the first message kept. */
static inline int64_t rc_queue_min(const rc_queue_map *queue)
{
    return queue->span_count ? queue->spans[0].min : queue->end;
}

/* ---- recover.c: from files to maps ---------------------------------------------------------- */

/** Finds, checks and maps the segments of the folder; makes the first. */
int rc_recover(rc_embedded *log, rc_error *err);
/** Notes that [min, end) of a queue lies in `segment`. */
void rc_queue_extend(rc_queue_map *queue, rc_segment *segment, int64_t min, int64_t end);

/* ---- writer.c ------------------------------------------------------------------------------- */

void *rc_writer_thread(void *log);
/** Hands a request to the writer thread and waits until it is durable or failed. */
int rc_request(rc_embedded *log, rc_work *work, rc_error *err);

/* ---- retention.c ---------------------------------------------------------------------------- */

/** Starts the next segment when the newest is large or old enough. Writer thread. */
void rc_roll_if_due(rc_embedded *log);
/** Unlinks old segments. Writer thread. */
void rc_retain(rc_embedded *log);

/* ---- live.c --------------------------------------------------------------------------------- */

int rc_live_topic(rc_log *, const char *, int32_t, rc_topic **, rc_error *);
int rc_live_topics(rc_log *, rc_topic_fn *, void *, rc_error *);
int rc_live_position(rc_log *, const char *, rc_slice, omc_arena *, rc_slice *, rc_error *);
int rc_live_positions(rc_log *, const char *, rc_position_fn *, void *, rc_error *);
int rc_live_position_set(rc_log *, const char *, rc_slice, rc_slice, rc_error *);
int rc_live_commit(rc_log *, const char *, rc_fence *, const rc_commit *, size_t, rc_error *);
int rc_live_committed(rc_log *, const char *, rc_topic *, int32_t, omc_arena *, int64_t *,
                      rc_slice *, rc_error *);
int rc_live_group_delete(rc_log *, const char *, rc_error *);
/** Adds a topic to the map. Writer thread or recovery. */
rc_topic *rc_topic_new(rc_embedded *log, const char *name, int64_t id, int32_t queues);
void rc_topic_free(rc_topic *topic);
/** 0 or -OMC_EINVAL when the topic has no such queue. */
int rc_queue_check(const rc_topic *topic, int32_t queue, rc_error *err);

/* ---- append.c ------------------------------------------------------------------------------- */

int rc_emb_writer_open(rc_log *, const rc_writer_config *, rc_writer **, rc_error *);
void rc_emb_writer_close(rc_writer *);
void rc_emb_writer_trim(rc_writer *);
rc_append *rc_emb_append_new(rc_writer *);
void rc_emb_append_free(rc_append *);
int rc_emb_append_add(rc_append *, rc_topic *, int32_t, const rc_message *, rc_slot *, rc_error *);
void rc_emb_append_position(rc_append *, rc_slice, rc_slice);
size_t rc_emb_append_bytes(const rc_append *);
size_t rc_emb_append_count(const rc_append *);
size_t rc_emb_append_positions(const rc_append *);
int64_t rc_emb_append_offset(const rc_append *, rc_slot);
rc_topic *rc_emb_append_topic(const rc_append *, rc_slot);
int32_t rc_emb_append_queue(const rc_append *, rc_slot);
int rc_emb_submit(rc_writer *, rc_append *, void *, rc_error *);
int rc_emb_receipt(rc_writer *, int64_t, rc_receipt *);
size_t rc_emb_pending(const rc_writer *);
size_t rc_emb_pending_bytes(const rc_writer *);
/** [mu] Writer thread: an append is stored or failed. */
void rc_append_done(rc_append *append);
/** [mu] Writer thread: wakes the task. */
void rc_writer_notify(rc_writer *writer);

/* ---- reader.c ------------------------------------------------------------------------------- */

int rc_emb_reader_open(rc_log *, const rc_reader_config *, rc_reader **, rc_error *);
void rc_emb_reader_close(rc_reader *);
int rc_emb_reader_add(rc_reader *, rc_topic *, int32_t, int64_t, rc_error *);
int rc_emb_reader_remove(rc_reader *, rc_topic *, int32_t, rc_error *);
int rc_emb_reader_seek(rc_reader *, rc_topic *, int32_t, int64_t, rc_error *);
int rc_emb_reader_pause(rc_reader *, rc_topic *, int32_t, bool, rc_error *);
int rc_emb_fetch(rc_reader *, size_t, size_t, int64_t, rc_fetch *, rc_error *);
void rc_emb_fetch_release(rc_reader *, rc_fetch *);
void rc_emb_reader_trim(rc_reader *);
int rc_emb_lag(rc_reader *, int64_t *, rc_error *);
/** [mu] Wakes readers that have something to read, or all of them. */
void rc_readers_wake(rc_embedded *log, bool all);
int rc_emb_search(rc_log *, rc_topic *, int32_t, int64_t, int64_t *, rc_error *);

#endif
