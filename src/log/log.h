/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The message log that tasks see: topics with queues, appended in order, read by offset, with
 * source positions and sink offsets kept beside them. One small interface; a back end fills the
 * table of functions at the end of this header (embedded/: SQLite files; rocketmq/: brokers).
 *
 * Order: appends of one writer to one queue are stored in the order of rc_writer_submit().
 * Durability: a receipt without error means "durable as promised by the back end".
 * Atomic logs (RC_LOG_ATOMIC) store an append's batches, for all its queues, and its positions in
 * one transaction: a source is then exactly once without anything else. On other logs an append
 * that failed may be stored in part, and the positions of an append become durable some time after
 * all batches up to it are acknowledged (commit_interval_ms, and rc_writer_sync()). A writer with
 * `exactly_once` then makes the difference good: messages carry identities, and those that an
 * earlier writer of the connector has stored behind its last position are recognised and not
 * stored again.
 *
 * Fences: a task of a cluster acts for somebody only as long as its fence is open (base/fence.h).
 * Logs that others write to, too, look at it right before each byte of a send, a commit, a note or
 * a barrier leaves; while it is closed such acts wait, when it is revoked they fail with
 * -OMC_EFENCED. Reading needs none. NULL everywhere: no fence.
 *
 * Threads: rc_log functions may be called from any thread. A writer and a reader belong to one
 * task thread; only rc_reader_wake() and the wake-up of a writer come from elsewhere.
 */
#ifndef RC_LOG_H
#define RC_LOG_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/fence.h"
#include "base/queue.h"
#include "record/message.h"

typedef struct rc_log rc_log;
typedef struct rc_topic rc_topic;   /* handle of a topic; lives as long as the log */
typedef struct rc_append rc_append; /* one atomic unit of a writer */
typedef struct rc_writer rc_writer;
typedef struct rc_reader rc_reader;
typedef struct rc_log_health rc_log_health;

/** Longest topic and group name, as in RocketMQ. Allowed: letters, digits, % | _ - */
#define RC_TOPIC_NAME_MAX 127
/** Largest single message (body and properties) in bytes, as in RocketMQ by default. */
#define RC_MESSAGE_MAX ((size_t)4 << 20)

enum rc_log_caps {
    RC_LOG_ATOMIC = 1, /**< Batches and positions of an append are one transaction. */
    RC_LOG_SHARED = 2  /**< Others keep it, and read and write its topics too. */
};

/** What a receipt promises; logs that cannot keep it refuse to open the writer. */
typedef enum rc_ack {
    RC_ACK_STORED = 0,    /**< The log has it (its default promise). */
    RC_ACK_FLUSHED = 1,   /**< It is on a disk. */
    RC_ACK_REPLICATED = 2 /**< A second copy has it. */
} rc_ack;

/* ---- topics ---------------------------------------------------------------------------------- */

/** Checks a name; the error says which character at which place is not allowed. */
int rc_topic_name_check(const char *name, rc_error *err);
/**
 * Opens a topic, creating it with `queues` queues when it does not exist and `queues` > 0. Its list
 * of queues stays as it is now; a later call gives another handle when it has changed.
 * @return 0; -OMC_ENOTFOUND (does not exist, queues = 0); -OMC_EINVAL (name); I/O errors.
 */
int rc_log_topic(rc_log *log, const char *name, int32_t queues, rc_topic **ret, rc_error *err);
const char *rc_topic_name(const rc_topic *topic);
int32_t rc_topic_queues(const rc_topic *topic);
/** How many of them may be written to: the first ones. */
int32_t rc_topic_writable(const rc_topic *topic);
/** Name of the broker of the `queue`-th queue, "" on the embedded log; as long as the log lives. */
const char *rc_topic_broker(const rc_topic *topic, int32_t queue);
/** Number of the `queue`-th queue at its broker; `queue` itself on the embedded log. */
int32_t rc_topic_queue_id(const rc_topic *topic, int32_t queue);
/** Offset of the first message kept and offset of the next one to be stored. */
int rc_log_bounds(rc_log *log, rc_topic *topic, int32_t queue, int64_t *ret_min, int64_t *ret_max,
                  rc_error *err);
/** First offset whose message was stored at or after `wall_ms`, or the end. */
int rc_log_search(rc_log *log, rc_topic *topic, int32_t queue, int64_t wall_ms, int64_t *ret,
                  rc_error *err);
/** Calls `each` for every topic, in order of names, until it returns non-zero. */
typedef int rc_topic_fn(void *arg, rc_topic *topic);
int rc_log_topics(rc_log *log, rc_topic_fn *each, void *arg, rc_error *err);

/* ---- writing --------------------------------------------------------------------------------- */

typedef struct rc_writer_config {
    const char *name;         /**< Task name; shown in errors. */
    const char *connector;    /**< Owner of the positions. */
    size_t pending_bytes_max; /**< Bytes submitted and not yet received back (default 16 MiB). */
    rc_wake *wake; /**< Set whenever a receipt arrives; may be NULL. Outlives the writer. */
    /* Atomic logs need none of these: */
    bool exactly_once; /**< All messages with an identity are stored once. */
    bool strict;       /**< With exactly_once: whatever the delays are, for readers that know
                            barriers (rc_reader does), which are messages in the topics. */
    bool unordered;    /**< Order within a queue may be given up for speed. */
    rc_ack ack;
    int64_t commit_interval_ms; /**< Positions become durable so often; default 1,000. */
    /** A reference is taken. Its generation ranks the positions, so rc_log_take_over() comes
     * before. Once revoked, closing the writer neither waits nor commits. */
    rc_fence *fence;
} rc_writer_config;

int rc_writer_open(rc_log *log, const rc_writer_config *config, rc_writer **ret, rc_error *err);
/** Ends the writer: what nobody has begun to store is dropped, the rest is waited for. When it
 *  returns, positions read are the truth for whoever goes on. NULL is allowed. */
void rc_writer_close(rc_writer *writer);

/**
 * Makes the positions of all receipts taken so far durable; waits up to `deadline_ns` (mono).
 * @return 0 (at once on atomic logs), -OMC_ETIMEDOUT, or what keeps them from it.
 */
int rc_writer_sync(rc_writer *writer, int64_t deadline_ns, rc_error *err);
/** Gives recycled memory back to the system; for a task that has become idle. */
void rc_writer_trim(rc_writer *writer);
/** An empty append; recycled memory. Never fails. */
rc_append *rc_append_new(rc_writer *writer);
/** Frees an append that was not submitted, or one that came back. NULL is allowed. */
void rc_append_free(rc_append *append);
/**
 * Encodes a message at the end of the append's batch for (topic, queue): the one copy of a body.
 * @param[out] ret_slot  Part and index for rc_append_offset(); may be NULL.
 * A message whose identity the log holds already is not stored again; its slot is that of the copy.
 * @return 0; -OMC_EINVAL (message larger than RC_MESSAGE_MAX; names size and limit); with
 *         exactly_once, the first message of a source partition may wait and fail as reading the
 *         log may.
 */
typedef struct rc_slot {
    uint32_t part;
    uint32_t index;
} rc_slot;
int rc_append_add(rc_append *append, rc_topic *topic, int32_t queue, const rc_message *message,
                  rc_slot *ret_slot, rc_error *err);
/** Notes that after this append `partition` may be resumed at `offset` (canonical JSON objects,
 *  copied). A later position of the same partition replaces it. An append may hold positions
 *  alone. */
void rc_append_position(rc_append *append, rc_slice partition, rc_slice offset);
size_t rc_append_bytes(const rc_append *append);
size_t rc_append_count(const rc_append *append); /**< Messages. */
size_t rc_append_positions(const rc_append *append);

/**
 * Hands the append over (taken on success, still the caller's on failure).
 * @return 0, or -OMC_EAGAIN when pending_bytes_max are under way: take receipts first.
 */
int rc_writer_submit(rc_writer *writer, rc_append *append, void *cookie, rc_error *err);

/** An append that came back: stored, or failed with `err` (on atomic logs nothing of it is stored
 *  then; appends after it fail too with OMC_ECANCELED, so that order holds). Receipts come in
 *  order. */
typedef struct rc_receipt {
    rc_append *append; /**< The caller's again; rc_append_free() it. */
    void *cookie;
    int result; /**< 0 or -OMC_E... */
    rc_error err;
    int64_t latency_us; /**< From submit to durable. */
} rc_receipt;
/**
 * Takes the next receipt, waiting up to `deadline_ns` (mono; 0 = do not wait).
 * @return 1 = taken, 0 = none in time.
 */
int rc_writer_receipt(rc_writer *writer, int64_t deadline_ns, rc_receipt *ret);
/** Whether what this writer has submitted can be stored now; see rc_log_health. */
void rc_writer_health(rc_writer *writer, rc_log_health *ret);
size_t rc_writer_pending(const rc_writer *writer); /**< Appends submitted and not received. */
size_t rc_writer_pending_bytes(const rc_writer *writer);
/** Of a stored append: where a message lies. */
int64_t rc_append_offset(const rc_append *append, rc_slot slot);
rc_topic *rc_append_topic(const rc_append *append, rc_slot slot);
int32_t rc_append_queue(const rc_append *append, rc_slot slot);

/* ---- reading --------------------------------------------------------------------------------- */

typedef struct rc_reader_config {
    const char *name;  /**< Task name. */
    const char *group; /**< Whose offsets the queues have; NULL = nobody's. */
    rc_wake *wake;     /**< Waiting in fetch ends when it is set; may be NULL. Not cleared. */
} rc_reader_config;

int rc_reader_open(rc_log *log, const rc_reader_config *config, rc_reader **ret, rc_error *err);
void rc_reader_close(rc_reader *reader);
/**
 * Adds a queue, to be read from `offset`. Reading continues round robin over the queues. What
 * barriers of strict writers have made void is left out, and barriers are; a reader of a group
 * knows those before `offset` from the group's last commit (rc_commit.barriers).
 */
int rc_reader_add(rc_reader *reader, rc_topic *topic, int32_t queue, int64_t offset, rc_error *err);
int rc_reader_remove(rc_reader *reader, rc_topic *topic, int32_t queue, rc_error *err);
int rc_reader_seek(rc_reader *reader, rc_topic *topic, int32_t queue, int64_t offset,
                   rc_error *err);
int rc_reader_pause(rc_reader *reader, rc_topic *topic, int32_t queue, bool paused, rc_error *err);
/** What has to be kept with an offset of a queue, at or below the reader's position, so that
 *  reading can go on there: rc_commit.barriers. In `arena`; base == NULL: nothing. Offsets asked
 *  for must not go down. */
rc_slice rc_reader_barriers(rc_reader *reader, rc_topic *topic, int32_t queue, int64_t offset,
                            omc_arena *arena);

/** Messages of one queue, in order, borrowed from the fetch until it is used again. */
typedef struct rc_fetch {
    rc_topic *topic;
    int32_t queue;
    rc_message *messages;
    size_t count;
    size_t bytes;
    int64_t next_offset; /**< Offset to continue at. */
    int64_t end_offset;  /**< End of the queue when it was read; end - next = lag. */
    void *internal;      /**< The back end's. Zero the struct before the first use. */
} rc_fetch;

/**
 * Fetches messages of the next queue that has some and moves its position behind them. Waits up
 * to `deadline_ns` (mono; 0 = no wait, INT64_MAX = until woken).
 * @return the count; 0 when none came in time or the wake-up is set, or, with fetch->topic set,
 *         when all up to next_offset was left out; -OMC_ENOTFOUND when the
 *         position is below the first message kept (names queue, both offsets and the cure) or
 *         above the end; I/O errors (retriable ones are marked).
 */
int rc_reader_fetch(rc_reader *reader, size_t messages_max, size_t bytes_max, int64_t deadline_ns,
                    rc_fetch *fetch, rc_error *err);
/** Frees what a fetch holds. */
void rc_fetch_release(rc_reader *reader, rc_fetch *fetch);
/** Gives recycled memory back to the system; for a task that has become idle. */
void rc_reader_trim(rc_reader *reader);
/** Messages between the reader's positions and the ends of all its queues. */
int rc_reader_lag(rc_reader *reader, int64_t *ret, rc_error *err);

/* ---- positions of sources, offsets of sinks -------------------------------------------------- */

/** Committed offset of a source partition as JSON in `arena`; base == NULL when there is none. */
int rc_log_position(rc_log *log, const char *connector, rc_slice partition, omc_arena *arena,
                    rc_slice *ret, rc_error *err);
typedef int rc_position_fn(void *arg, rc_slice partition, rc_slice offset);
int rc_log_positions(rc_log *log, const char *connector, rc_position_fn *each, void *arg,
                     rc_error *err);
/** Durable when it returns. offset.base == NULL forgets the partition; partition.base == NULL
 *  forgets all of the connector. The caller makes sure that no task of it runs. */
int rc_log_position_set(rc_log *log, const char *connector, rc_slice partition, rc_slice offset,
                        rc_error *err);

/** A sink's progress in one queue. */
typedef struct rc_commit {
    rc_topic *topic;
    int32_t queue;
    int64_t offset;    /**< Next message wanted; -1 = forget. */
    rc_slice state;    /**< Sink's own JSON, at most 4 KiB; base == NULL = none. */
    rc_slice barriers; /**< Of rc_reader_barriers(); base == NULL = none. */
} rc_commit;
/** Commits all of them, on atomic logs in one atomic write; durable when it returns as far as the
 *  log promises (RocketMQ's brokers may forget the last 5 s of offsets in a crash). With a fence
 *  also -OMC_EFENCED, and -OMC_EAGAIN (retriable): it is closed now. */
int rc_log_commit(rc_log *log, const char *group, rc_fence *fence, const rc_commit *commits,
                  size_t count, rc_error *err);
/** Committed offset (-1 = none) and state (in arena). */
int rc_log_committed(rc_log *log, const char *group, rc_topic *topic, int32_t queue,
                     omc_arena *arena, int64_t *ret_offset, rc_slice *ret_state, rc_error *err);
/** Forgets a group, so that it no longer holds back retention. */
int rc_log_group_delete(rc_log *log, const char *group, rc_error *err);

/* ---- ownership ------------------------------------------------------------------------------- */

/** A task as logs that are shared know it. */
typedef struct rc_task_name {
    const char *connector;
    const char *task;  /**< Unique in the connector. */
    const char *group; /**< A sink's; NULL = none. */
} rc_task_name;
/**
 * The first act of a new owner (ownership rules R7, R13): looks whether the log has seen the
 * fence's generation or a higher one of somebody else, and stores a record that this generation has
 * begun. Waits for that; the fence is open.
 * @return 0 (at once on logs that nobody shares); -OMC_EFENCED: outranked, rc_fence.witness says by
 *         which generation, and the fence is revoked; retriable errors of the log.
 */
int rc_log_take_over(rc_log *log, const rc_task_name *name, rc_fence *fence, rc_error *err);
/** The same without storing anything: before a suspended task goes on. The fence may be closed. */
int rc_log_verify(rc_log *log, const rc_task_name *name, rc_fence *fence, rc_error *err);
/** Highest generation the log knows of anything of the task; -1 = none. The next owner's must be
 *  above it (R11). */
int rc_log_generation(rc_log *log, const rc_task_name *name, int64_t *ret, rc_error *err);

/* ---- the log itself -------------------------------------------------------------------------- */

struct rc_log_health {
    bool writable;
    char text[512];   /**< "" or why not, since when and what to do: "disk full: ...". */
    int64_t bytes;    /**< On disk; -1 = unknown. */
    int64_t syncs;    /**< fsync and fdatasync calls so far. */
    int64_t appended; /**< Messages stored since the start. */
    int64_t transactions;
};
void rc_log_health_get(rc_log *log, rc_log_health *ret);
unsigned rc_log_caps_of(const rc_log *log);
/** Waits for everything submitted, then closes. NULL is allowed. */
void rc_log_close(rc_log *log);

/* ---- for back ends: every object begins with its log, every log with its table --------------- */

typedef struct rc_log_ops {
    unsigned caps;
    int (*topic)(rc_log *, const char *, int32_t, rc_topic **, rc_error *);
    int (*topics)(rc_log *, rc_topic_fn *, void *, rc_error *);
    const char *(*topic_name)(const rc_topic *);
    int32_t (*topic_queues)(const rc_topic *);
    int32_t (*topic_writable)(const rc_topic *); /* NULL = all */
    const char *(*topic_broker)(const rc_topic *, int32_t);
    int32_t (*topic_queue_id)(const rc_topic *, int32_t); /* NULL = the index */
    int (*bounds)(rc_log *, rc_topic *, int32_t, int64_t *, int64_t *, rc_error *);
    int (*search)(rc_log *, rc_topic *, int32_t, int64_t, int64_t *, rc_error *);
    int (*writer_open)(rc_log *, const rc_writer_config *, rc_writer **, rc_error *);
    void (*writer_close)(rc_writer *);
    void (*writer_trim)(rc_writer *);
    rc_append *(*append_new)(rc_writer *);
    void (*append_free)(rc_append *);
    int (*append_add)(rc_append *, rc_topic *, int32_t, const rc_message *, rc_slot *, rc_error *);
    void (*append_position)(rc_append *, rc_slice, rc_slice);
    size_t (*append_bytes)(const rc_append *);
    size_t (*append_count)(const rc_append *);
    size_t (*append_positions)(const rc_append *);
    int64_t (*append_offset)(const rc_append *, rc_slot);
    rc_topic *(*append_topic)(const rc_append *, rc_slot);
    int32_t (*append_queue)(const rc_append *, rc_slot);
    int (*submit)(rc_writer *, rc_append *, void *, rc_error *);
    int (*sync)(rc_writer *, int64_t, rc_error *);
    int (*receipt)(rc_writer *, int64_t, rc_receipt *);
    size_t (*pending)(const rc_writer *);
    size_t (*pending_bytes)(const rc_writer *);
    int (*reader_open)(rc_log *, const rc_reader_config *, rc_reader **, rc_error *);
    void (*reader_close)(rc_reader *);
    int (*reader_add)(rc_reader *, rc_topic *, int32_t, int64_t, rc_error *);
    int (*reader_remove)(rc_reader *, rc_topic *, int32_t, rc_error *);
    int (*reader_seek)(rc_reader *, rc_topic *, int32_t, int64_t, rc_error *);
    int (*reader_pause)(rc_reader *, rc_topic *, int32_t, bool, rc_error *);
    /* NULL = there are none */
    rc_slice (*reader_barriers)(rc_reader *, rc_topic *, int32_t, int64_t, omc_arena *);
    int (*fetch)(rc_reader *, size_t, size_t, int64_t, rc_fetch *, rc_error *);
    void (*fetch_release)(rc_reader *, rc_fetch *);
    void (*reader_trim)(rc_reader *);
    int (*lag)(rc_reader *, int64_t *, rc_error *);
    int (*position)(rc_log *, const char *, rc_slice, omc_arena *, rc_slice *, rc_error *);
    int (*positions)(rc_log *, const char *, rc_position_fn *, void *, rc_error *);
    int (*position_set)(rc_log *, const char *, rc_slice, rc_slice, rc_error *);
    int (*commit)(rc_log *, const char *, rc_fence *, const rc_commit *, size_t, rc_error *);
    int (*committed)(rc_log *, const char *, rc_topic *, int32_t, omc_arena *, int64_t *,
                     rc_slice *, rc_error *);
    int (*group_delete)(rc_log *, const char *, rc_error *);
    /* NULL = nobody shares it */
    int (*take_over)(rc_log *, const rc_task_name *, rc_fence *, bool store, rc_error *);
    int (*generation)(rc_log *, const rc_task_name *, int64_t *, rc_error *);
    void (*health)(rc_log *, rc_log_health *);
    void (*writer_health)(rc_writer *, rc_log_health *); /* NULL = the log's */
    void (*close)(rc_log *);
} rc_log_ops;

struct rc_log {
    const rc_log_ops *ops;
};
/* rc_topic, rc_writer, rc_append and rc_reader of every back end begin with this. */
typedef struct rc_log_object {
    rc_log *log;
} rc_log_object;

RC_DEFINE_CLEANUP(rc_log, rc_log_close)
RC_DEFINE_CLEANUP(rc_writer, rc_writer_close)
RC_DEFINE_CLEANUP(rc_reader, rc_reader_close)
RC_DEFINE_CLEANUP(rc_append, rc_append_free)

#endif
