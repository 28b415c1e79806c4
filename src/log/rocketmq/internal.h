/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Private to the log on RocketMQ. Who owns what:
 *
 *   rc_rocketmq     the log; `mu` guards topics, groups, writers and the troubles of health
 *   I/O thread      the client's: sends, answers, commits of positions (positions_commit.c)
 *   recovery thread reads queues back after sends whose outcome is unknown (recovery.c)
 *   rc_writer       one task thread; `writer->mu` guards what the I/O thread completes
 *   rc_reader       one task thread
 *
 * Order of locks: log->mu, then writer->mu; the table's lock comes last.
 */
#ifndef RC_LOG_ROCKETMQ_INTERNAL_H
#define RC_LOG_ROCKETMQ_INTERNAL_H

#include "base/hash.h"
#include "base/thread.h"
#include "log/rocketmq.h"
#include "rocketmq/lane.h"

#include <rocketmq/rocketmq.h>
#include <utlist.h>

/** A send holds at most about this much; only a single larger message makes it bigger. */
#define RC_SEND_BYTES_MAX ((size_t)1 << 20)
/** After a connection of ours was reset, what a broker has read of it may still wait in its queue
 * of sends for so long. */
#define RC_TAIL_MS 2000 /* the default of tail_ms */
/** Sequences of stamps go up by so much per append: what is sent again after a barrier gets those
 *  in between. */
#define RC_STAMP_STEP 1000
/** Records of a sink's group are under this name and the group's. */
#define RC_SINK_PREFIX "__rc.sink/"
/** Records of one commit, encoded: what a broker accepts in one send. */
#define RC_POSITION_SEND_MAX RC_MESSAGE_MAX
/** Group in whose name positions and queues are read back. */
#define RC_INTERNAL_GROUP "rocketmq-connect-internal"

typedef struct rc_rocketmq rc_rocketmq;

/* ---- topics.c -------------------------------------------------------------------------------- */

/** One list of queues as it was at some time; kept until the log is closed. */
struct rc_topic {
    rc_log_object head;
    char *name;
    rmq_queue *queues; /**< Writable ones first, each part by broker and id. */
    int32_t count, writable;
    rmq_queue_list *lists[2]; /**< Own the texts. */
    rc_topic *older;
    UT_hash_handle hh; /**< The newest of its name, by name. */
};
int rc_rmq_topic(rc_log *log, const char *name, int32_t queues, rc_topic **ret, rc_error *err);
int rc_rmq_topics(rc_log *log, rc_topic_fn *each, void *arg, rc_error *err);
const char *rc_rmq_topic_name(const rc_topic *topic);
int32_t rc_rmq_topic_queues(const rc_topic *topic);
int32_t rc_rmq_topic_writable(const rc_topic *topic);
const char *rc_rmq_topic_broker(const rc_topic *topic, int32_t queue);
int32_t rc_rmq_topic_queue_id(const rc_topic *topic, int32_t queue);
int rc_rmq_bounds(rc_log *log, rc_topic *topic, int32_t queue, int64_t *ret_min, int64_t *ret_max,
                  rc_error *err);
int rc_rmq_search(rc_log *log, rc_topic *topic, int32_t queue, int64_t wall_ms, int64_t *ret,
                  rc_error *err);
void rc_rmq_topics_free(rc_rocketmq *log);

/* ---- position_record.c: the Java runtime's records, pure ------------------------------------- */

/** A record of the position topic. Texts are canonical JSON. */
typedef struct rc_position_record {
    rc_slice connector;
    rc_slice partition;
    rc_slice offset;    /**< base == NULL: forgotten (Java: {}). */
    int64_t generation; /**< -1 = none (a Java worker wrote it). */
    int64_t number;     /**< Goes up within a generation; 0 = none. */
    rc_slice notes;     /**< Property __rc.q, base == NULL = none: nothing uncovered is stored. */
} rc_position_record;

/** KEYS of a partition's records: Base64 of {"schema":null,"payload":["POSITION_CHANG",..]}. */
rc_slice rc_position_key(const char *connector, rc_slice partition, omc_arena *arena);
/** Encodes a record as one item of a batch. */
void rc_position_put(const rc_position_record *record, rc_slice key, rc_buf *out, omc_arena *arena);
/** @return 1 = a position; 0 = another record, to be skipped (ONLINE, foreign ones). */
int rc_position_parse(const rmq_message *message, omc_arena *arena, rc_position_record *ret);

/* ---- positions.c: the table ------------------------------------------------------------------ */

typedef struct rc_position_table rc_position_table;
int rc_position_table_open(rc_rocketmq *log, rc_position_table **ret, rc_error *err);
void rc_position_table_close(rc_position_table *table);
/** Reads the topic up to its present end. Retriable errors only. */
int rc_position_table_sync(rc_position_table *table, rc_error *err);
/** Copies into `arena`; false = there is none. Generation and notes may be NULL. */
bool rc_position_table_get(rc_position_table *table, const char *connector, rc_slice partition,
                           omc_arena *arena, rc_position_record *ret);
/** Highest generation of any partition of the connector; -1. */
int64_t rc_position_table_generation(rc_position_table *table, const char *connector);
/** Partitions with a position; with `noted` also those that have notes only (offset.base NULL). */
int rc_position_table_each(rc_position_table *table, const char *connector, bool noted,
                           rc_position_fn *each, void *arg);
/** What was written and acknowledged by us; the topic says the same when it is read. */
void rc_position_table_put(rc_position_table *table, const rc_position_record *record);
rc_topic *rc_position_table_topic(rc_position_table *table);
/** A position known from elsewhere, for a partition that the topic says nothing about. */
void rc_position_table_seed(rc_position_table *table, const rc_position_record *record);
/** Changes with every change of the table. */
uint64_t rc_position_table_version(rc_position_table *table);
/** Copies (in arena) of all positions whose newest record is older than `before_ms` (wall). */
size_t rc_position_table_copy(rc_position_table *table, int64_t before_ms, omc_arena *arena,
                              rc_position_record **ret);

/* ---- positions_keep.c: positions outlive the topic's retention ------------------------------- */

typedef struct rc_position_keeper rc_position_keeper;
/** Seeds the table from the file (the Java runtime's position.json, or our own snapshot of that
 *  form) and starts to keep both the file and the topic fresh. `path` NULL = no file. */
int rc_position_keeper_new(rc_rocketmq *log, const char *path, rc_position_keeper **ret,
                           rc_error *err);
/** Writes the file once more. NULL is allowed. */
void rc_position_keeper_free(rc_position_keeper *keeper);
/** What the keeper does every minute. `now_ms` is wall time. */
void rc_position_keep(rc_position_keeper *keeper, int64_t now_ms);

int rc_rmq_position(rc_log *log, const char *connector, rc_slice partition, omc_arena *arena,
                    rc_slice *ret, rc_error *err);
int rc_rmq_positions(rc_log *log, const char *connector, rc_position_fn *each, void *arg,
                     rc_error *err);
int rc_rmq_position_set(rc_log *log, const char *connector, rc_slice partition, rc_slice offset,
                        rc_error *err);
/** Writes records in one send, stored as one, and waits until it is acknowledged. Several only for
 *  a sink's group, and at most RC_POSITION_SEND_MAX bytes together. @thread any but I/O */
int rc_rmq_position_write(rc_rocketmq *log, rmq_lanes *lanes, const rc_position_record *records,
                          size_t count, const char *connector, rc_error *err);

/** Records on their way; `done` on the I/O thread. Freed after it. */
typedef struct rc_position_send {
    rmq_parcel parcel;
    rc_buf items;
    void (*done)(void *arg, int result, const rc_error *err);
    void *arg;
} rc_position_send;
/** Encodes and hands over (any thread). */
void rc_position_submit(rc_rocketmq *log, rmq_lanes *lanes, const rc_position_record *records,
                        size_t count, const char *connector,
                        void (*done)(void *arg, int result, const rc_error *err), void *arg);

/* ---- writer.c, append.c ---------------------------------------------------------------------- */

#define RC_SPARE_PARTS 64

/** What a writer knows of one queue. */
typedef struct rc_line {
    rc_topic *topic;
    int32_t queue;
    size_t message_max; /**< Largest message, and send, that its broker takes. */
    int64_t known_next; /**< Offset after the last receipt, or the note; -1 = nothing known. */
    uint64_t append;    /**< Number of the append that has a part of it, */
    uint32_t part;      /**< and its newest one. */
} rc_line;

/** Items of one queue in one append: one parcel. */
typedef struct rc_part {
    rmq_parcel parcel;
    rc_append *append;
    size_t line;
    uint8_t *data;
    size_t cap;
    uint32_t items;   /**< As added; parcel.count may be less after a recovery. */
    int64_t sequence; /**< Of its stamps; strict writers only. */
    int64_t *offsets; /**< Per item when they are not base + index (after a recovery); else NULL. */
} rc_part;

typedef struct rc_appended_position {
    char *partition, *offset;
} rc_appended_position;

struct rc_eo_cover;
struct rc_append {
    rc_log_object head;
    rc_writer *writer;
    struct rc_append *prev, *next;
    void *cookie;
    rc_part **parts; /**< On the heap one by one: lanes hold them. */
    uint32_t part_count, part_cap;
    struct rc_found *found; /**< Messages the log had already. */
    uint32_t found_count, found_cap;
    rc_appended_position *positions;
    uint32_t position_count, position_cap;
    struct rc_eo_cover *covers; /**< Which queues of which partitions it covers. */
    uint32_t cover_count, cover_cap;
    size_t bytes, count;
    uint64_t number;
    char stamp[RMQ_STAMP_TEXT]; /**< Property __rc.gen of all its messages; "" until the first. */
    uint32_t remaining;         /**< [writer->mu] Parts not answered. */
    int result;                 /**< [writer->mu] */
    int64_t submit_ns, done_ns;
    rc_error *err; /**< NULL while there is none: it is large. */
};
typedef struct rc_found {
    rc_topic *topic;
    int32_t queue;
    int64_t offset;
} rc_found;

/** A partition's position on its way from "all before it is acknowledged" to "durable". */
typedef struct rc_writer_position {
    char *partition;
    char *offset; /**< Newest acknowledged; NULL = none in this generation. */
    bool changed; /**< Differs from what was last handed over. */
    bool sending;
    UT_hash_handle hh;
} rc_writer_position;

typedef struct rc_eo rc_eo;
struct rc_writer {
    rc_log_object head;
    rc_rocketmq *log;
    char *name, *connector;
    size_t pending_bytes_max;
    int64_t commit_interval_ms;
    rc_wake *wake;
    rmq_lanes *lanes;
    rc_fence *fence; /**< NULL = none. Else these are its own; all of them pass the gate: */
    rmq_gate gate;
    rmq_lanes *position_lanes;                       /**< Without a fence the log's. */
    rmq_lanes *control_lanes[RC_ACK_REPLICATED + 1]; /**< [log->mu] Made when first needed. */
    rc_eo *eo;                                       /**< NULL = at least once. */
    uint64_t strict; /**< Name of the writer in stamps; 0 = it has barriers in no topic. */
    rc_ack ack;
    const char **checked; /**< Brokers that have been found to keep `ack`; texts of topics. */
    size_t checked_count;
    rc_line *lines;
    size_t line_count, line_cap;
    size_t last_line;
    uint64_t next_number;
    rc_append *spare; /**< Recycled. */
    size_t spare_count;
    rc_part *spare_parts[RC_SPARE_PARTS]; /**< Recycled, with their memory. */
    size_t spare_part_count, spare_part_bytes;
    struct rc_writer *prev, *next; /**< [log->mu] */

    pthread_mutex_t mu;
    pthread_cond_t cond;
    rc_append *order;              /**< [mu] Submitted, oldest first. */
    rc_append *receipts;           /**< [mu] Completed, in order, to be taken. */
    size_t pending, pending_bytes; /**< [mu] Submitted and not taken. */
    size_t unanswered;             /**< [mu] In `order`. */
    bool failed;                   /**< [mu] An append has failed: those behind it do, too. */
    bool closing, lanes_closed;    /**< [mu] */
    bool fenced; /**< [mu] Its task was given up and another writes in its place. */
    rc_writer_position *positions; /**< [mu] */
    size_t sending;                /**< [mu] Position records under way. */
    int64_t records;               /**< [mu] Position records made. */
    int64_t committed_ns;          /**< [mu] When the last round began. */
    bool timer_wanted;             /**< [mu] */
    bool commit_now;               /**< [mu] Somebody waits. */
    int commit_result;             /**< [mu] Of the last round. */
    rc_error commit_err;           /**< [mu] */
    char trouble[512];             /**< [mu] "" = none. */
    rc_loop_timer *timer;          /**< I/O thread. */
};

int rc_rmq_writer_open(rc_log *log, const rc_writer_config *config, rc_writer **ret, rc_error *err);
void rc_rmq_writer_close(rc_writer *writer);
void rc_rmq_writer_trim(rc_writer *writer);
int rc_rmq_submit(rc_writer *writer, rc_append *append, void *cookie, rc_error *err);
int rc_rmq_receipt(rc_writer *writer, int64_t deadline_ns, rc_receipt *ret);
int rc_rmq_sync(rc_writer *writer, int64_t deadline_ns, rc_error *err);
size_t rc_rmq_pending(const rc_writer *writer);
size_t rc_rmq_pending_bytes(const rc_writer *writer);
void rc_rmq_writer_health(rc_writer *writer, rc_log_health *ret);
/** What keeps the writer from storing, for its health; NULL or "" = nothing. */
void rc_writer_trouble(rc_writer *writer, const char *text);
/** [mu] 0; -OMC_EFENCED: its fence is revoked; -OMC_ECANCELED: another is in its place. */
int rc_writer_given_up(const rc_writer *writer, rc_error *err);
/** I/O thread, [mu]: a part is stored (parcel.result 0, offsets known) or failed. */
void rc_part_done(rc_part *part, const rc_error *err);

rc_append *rc_rmq_append_new(rc_writer *writer);
void rc_rmq_append_free(rc_append *append);
void rc_append_destroy(rc_append *append);
/** Sequence of its stamps; those up to RC_STAMP_STEP - 1 above are its own, too. */
int64_t rc_append_sequence(const rc_append *append);
int rc_rmq_append_add(rc_append *append, rc_topic *topic, int32_t queue, const rc_message *message,
                      rc_slot *ret_slot, rc_error *err);
void rc_rmq_append_position(rc_append *append, rc_slice partition, rc_slice offset);
size_t rc_rmq_append_bytes(const rc_append *append);
size_t rc_rmq_append_count(const rc_append *append);
size_t rc_rmq_append_positions(const rc_append *append);
int64_t rc_rmq_append_offset(const rc_append *append, rc_slot slot);
rc_topic *rc_rmq_append_topic(const rc_append *append, rc_slot slot);
int32_t rc_rmq_append_queue(const rc_append *append, rc_slot slot);
/** Asks, once per writer and broker, whether the queue's broker can keep the writer's `ack`.
 *  @thread task; may wait */
int rc_writer_check_ack(rc_writer *writer, const rc_topic *topic, int32_t queue, rc_error *err);
/** The writer's line of a queue, made when new. */
size_t rc_writer_line(rc_writer *writer, rc_topic *topic, int32_t queue);

/* ---- owned.c: tasks of a cluster --------------------------------------------------------------
 */

/** Open, closed, shut as the fence is; must not outlive it. */
rmq_gate rc_rmq_gate(rc_fence *fence);
/** Whether a generation that was met ends the fence's, which is revoked then. NULL: never. */
bool rc_rmq_outranked(rc_fence *fence, int64_t generation);
/** rc_rmq_position_write() through the fence (NULL = none). */
int rc_rmq_fenced_write(rc_rocketmq *log, rc_fence *fence, const rc_position_record *records,
                        size_t count, const char *connector, rc_error *err);
int rc_rmq_take_over(rc_log *log, const rc_task_name *name, rc_fence *fence, bool store,
                     rc_error *err);
int rc_rmq_generation(rc_log *log, const rc_task_name *name, int64_t *ret, rc_error *err);

/* ---- positions_commit.c ---------------------------------------------------------------------- */

/** [mu], I/O thread or task thread: an append is acknowledged, its positions may be committed. */
void rc_commit_take(rc_writer *writer, rc_append *append);
/** [mu] The partition's record is to be written with the next round, though its position is not
 *  new. */
void rc_commit_touch(rc_writer *writer, const char *partition);
/** [mu] The same now, for a partition this writer has committed. @return false: it has not. */
bool rc_commit_renew(rc_writer *writer, const char *partition);
/** [mu] Starts a round now when none is under way and something is to be committed; else sees to it
 *  that one comes in time. */
void rc_commit_kick(rc_writer *writer);
/** Waits until everything acknowledged so far is durable. @thread task */
int rc_commit_wait(rc_writer *writer, int64_t deadline_ns, rc_error *err);

/* ---- eo.c: exactly once ---------------------------------------------------------------------- */

/** Identity as found in a message, or to be looked for. */
typedef struct rc_id {
    uint8_t hash[16];
    uint32_t ordinal;
} rc_id;
/** Text of property __rc.id; at most RC_ID_TEXT_MAX with NUL. */
#define RC_ID_TEXT_MAX 36
size_t rc_id_text(const rc_identity *identity, char out[RC_ID_TEXT_MAX]);
bool rc_id_parse(rc_slice text, rc_id *ret);

/** Identities and where they are stored; grows up to RC_IDS_MAX. */
#define RC_IDS_MAX ((size_t)16 << 20)
typedef struct rc_id_entry {
    rc_id id;
    int32_t queue;
    rc_topic *topic;
    int64_t offset; /**< -1: free. */
} rc_id_entry;
typedef struct rc_id_table {
    rc_id_entry *entries;
    size_t count, cap; /**< cap is a power of two. */
} rc_id_table;
/** NULL when there is none. */
rc_id_entry *rc_ids_find(const rc_id_table *table, const rc_id *id);
/** @return 1 = added, 0 = it was there (the first offset stays), -OMC_ENOMEM. */
int rc_ids_add(rc_id_table *table, const rc_id *id, rc_topic *topic, int32_t queue, int64_t offset,
               rc_error *err);
void rc_ids_release(rc_id_table *table);

typedef struct rc_eo_queue rc_eo_queue;
typedef struct rc_eo_partition rc_eo_partition;
/** Of an append: a partition has items in a queue (or found ones), up to this item of this part. */
typedef struct rc_eo_cover {
    rc_eo_queue *queue;
    uint32_t first;      /**< Part of its first item; */
    uint32_t part, last; /**< and of its last one; UINT32_MAX: found ones only. */
    uint32_t found;      /**< How many that were found. */
} rc_eo_cover;

int rc_eo_open(rc_writer *writer, rc_error *err);
void rc_eo_close(rc_writer *writer);
/**
 * Before a message with an identity is added (task thread; may wait: the first time a partition or
 * a queue of it is met). @return 1 = the log has it, see *ret_found; 0 = it is to be stored; < 0.
 */
int rc_eo_before_add(rc_append *append, rc_topic *topic, int32_t queue, const rc_identity *identity,
                     rc_found *ret_found, rc_error *err);
/** The message went into `part` as item `index`. */
void rc_eo_added(rc_append *append, uint32_t part, uint32_t index);
/** [mu] The append is acknowledged. */
void rc_eo_covered(rc_writer *writer, rc_append *append);
/** [mu] Notes of a partition as JSON for its next record; base == NULL: none to be written. */
rc_slice rc_eo_notes(rc_writer *writer, const char *partition, omc_arena *arena);
/** [mu] Has this writer met the partition? Else its notes are still those of the table. */
bool rc_eo_knows(const rc_writer *writer, const char *partition);
int64_t rc_eo_generation(const rc_writer *writer);
/** [mu] At close, everything committed: may the partition's record say that nothing is uncovered?
 */
void rc_eo_settle(rc_writer *writer);

/* ---- reconcile.c: the one routine that reads a queue back ------------------------------------ */

/** `stamp`: of a strict writer; else its writer is 0. */
typedef int rc_reconcile_fn(void *arg, const rc_id *id, int64_t offset, const rmq_stamp *stamp);
typedef struct rc_look {
    const rmq_queue *queue;
    int64_t from;
    int64_t end;             /**< Up to here; -1 = to the end, until that stands still. */
    rmq_stamp known;         /**< What the last writer below `from` had reached; writer 0 = unknown.
                                  Older generations were closed by a barrier below `from`. */
    const atomic_bool *stop; /**< Ends it with OMC_ECANCELED; may be NULL. */
    rc_reconcile_fn *each;
    void *arg;
} rc_look;
/**
 * Reads a queue back and calls `each` for every message with an identity that readers take: those
 * behind a barrier of their writer are left out.
 * @return 0; -OMC_ENOTFOUND: `from` is below the first message kept (names both and the cure);
 *         -OMC_ESTATE: it is above the end, acknowledged messages were lost; retriable errors.
 */
int rc_reconcile(rc_rocketmq *log, const rc_look *look, rc_error *err);

/* ---- control.c: messages that are no records ------------------------------------------------- */

/** Appends a barrier and waits until it is stored. May end with errors that pass, and with
 *  OMC_ECANCELED when `stop` (may be NULL) says so. @thread any but I/O */
int rc_barrier(rc_writer *writer, const rmq_queue *queue, const rmq_stamp *stamp,
               const atomic_bool *stop, int64_t *ret_offset, rc_error *err);
/** Waits until all that the broker has stored so far is there as the writer's `ack` asks. */
int rc_confirm(rc_writer *writer, const char *broker, const atomic_bool *stop, rc_error *err);

/* ---- recovery.c: sends whose outcome is unknown ---------------------------------------------- */

typedef struct rc_recovery rc_recovery;
rc_recovery *rc_recovery_new(rc_rocketmq *log);
void rc_recovery_free(rc_recovery *recovery);
/** I/O thread: parcels of one line of a writer. `weak`: they are stored, but not as `ack` asks. */
void rc_recovery_add(rc_recovery *recovery, rc_writer *writer, rmq_parcel *first, size_t count,
                     bool weak);
/** Forgets the writer's jobs and waits for one that is being worked on. @thread task */
void rc_recovery_forget(rc_recovery *recovery, rc_writer *writer);

/* ---- barriers.c: what a reader knows of the barriers of one queue ---------------------------- */

typedef struct rc_barriers rc_barriers;
rc_barriers *rc_barriers_new(int64_t offset);
void rc_barriers_free(rc_barriers *barriers);
/** Takes up what was kept by rc_barriers_keep(), for a reader that wants to begin at `offset`.
 *  @return where it has to begin so that it knows all: `offset`, or below. */
int64_t rc_barriers_recall(rc_barriers *barriers, rc_slice kept, int64_t offset);
/** The reader goes to `offset`. @return where it has to begin, as above. */
int64_t rc_barriers_seek(rc_barriers *barriers, int64_t offset);
/** The next message of the queue. @return whether it is to be handed on. */
bool rc_barriers_take(rc_barriers *barriers, const rmq_message *message);
/** See rc_reader_barriers(). */
rc_slice rc_barriers_keep(rc_barriers *barriers, int64_t offset, omc_arena *arena);
/** First offset that is handed on. */
int64_t rc_barriers_begin(const rc_barriers *barriers);

/* ---- reader.c, groups.c ---------------------------------------------------------------------- */

int rc_rmq_reader_open(rc_log *log, const rc_reader_config *config, rc_reader **ret, rc_error *err);
void rc_rmq_reader_close(rc_reader *reader);
int rc_rmq_reader_add(rc_reader *reader, rc_topic *topic, int32_t queue, int64_t offset,
                      rc_error *err);
int rc_rmq_reader_remove(rc_reader *reader, rc_topic *topic, int32_t queue, rc_error *err);
int rc_rmq_reader_seek(rc_reader *reader, rc_topic *topic, int32_t queue, int64_t offset,
                       rc_error *err);
int rc_rmq_reader_pause(rc_reader *reader, rc_topic *topic, int32_t queue, bool paused,
                        rc_error *err);
int rc_rmq_fetch(rc_reader *reader, size_t messages_max, size_t bytes_max, int64_t deadline_ns,
                 rc_fetch *fetch, rc_error *err);
void rc_rmq_fetch_release(rc_reader *reader, rc_fetch *fetch);
rc_slice rc_rmq_reader_barriers(rc_reader *reader, rc_topic *topic, int32_t queue, int64_t offset,
                                omc_arena *arena);
void rc_rmq_reader_trim(rc_reader *reader);
int rc_rmq_lag(rc_reader *reader, int64_t *ret, rc_error *err);
int rc_rmq_commit(rc_log *log, const char *group, rc_fence *fence, const rc_commit *commits,
                  size_t count, rc_error *err);
int rc_rmq_committed(rc_log *log, const char *group, rc_topic *topic, int32_t queue,
                     omc_arena *arena, int64_t *ret_offset, rc_slice *ret_state, rc_error *err);
int rc_rmq_group_delete(rc_log *log, const char *group, rc_error *err);
/** What was committed as rc_commit.barriers for a queue; base == NULL = nothing. No request. */
rc_slice rc_rmq_barriers_of(rc_rocketmq *log, const char *group, const rc_topic *topic,
                            int32_t queue, omc_arena *arena);
/** Sees to it once per group and log that the group exists. */
int rc_rmq_group_ready(rc_rocketmq *log, const char *group, rc_error *err);

/* ---- the log --------------------------------------------------------------------------------- */

/** What a broker has been asked once. */
typedef struct rc_known_broker {
    char *name;
    size_t message_max; /**< maxMessageSize */
    UT_hash_handle hh;
} rc_known_broker;
/** Largest message a broker takes; RC_MESSAGE_MAX when it does not say. @thread task; may wait */
size_t rc_rmq_message_max(rc_rocketmq *log, const char *broker);

typedef struct rc_known_group {
    char *name;
    UT_hash_handle hh;
} rc_known_group;

struct rc_rocketmq {
    rc_log pub;
    rmq_client *client;
    rc_clock *clock;
    char *position_topic;
    bool create_topics;
    const atomic_bool *cancel; /**< While it opens: give up. */
    int64_t tail_ms;
    /** After a process has been killed its kernel may go on sending for the TCP user timeout (2 s),
     *  and the broker's queue comes on top (ownership rules, D_tail). */
    int64_t dead_tail_ms;
    int64_t lost_ms; /**< A broker that has just started may still be counting for so long. */
    rmq_lanes *position_lanes;
    rmq_lanes *control_lanes[RC_ACK_REPLICATED + 1]; /**< [mu] By what they wait for; control.c */
    rc_position_table *table;
    rc_position_keeper *keeper;
    rc_recovery *recovery;
    pthread_mutex_t mu;
    rc_topic *topics;         /**< [mu] */
    rc_known_group *groups;   /**< [mu] */
    rc_known_broker *brokers; /**< [mu] */
    rc_writer *writers;       /**< [mu] */
    char trouble[512];        /**< [mu] Of the position topic. */
    _Atomic int64_t appended; /**< Messages stored. */
    _Atomic int64_t sends;
};
/** Lanes to the position topic. `gate` outlives them; NULL = none. */
int rc_rmq_position_lanes(rc_rocketmq *log, const rmq_gate *gate, rmq_lanes **ret, rc_error *err);
/** Ends lanes and waits for that. NULL is allowed. @thread any but I/O */
void rc_rmq_lanes_end(rc_rocketmq *log, rmq_lanes *lanes);
/** @return 0, or -OMC_ECANCELED when nobody waits for the log to open any more. */
int rc_rmq_canceled(const rc_rocketmq *log, rc_error *err);
static inline rc_rocketmq *rc_rocketmq_of(rc_log *log)
{
    return RC_CONTAINER(log, rc_rocketmq, pub);
}

#endif
