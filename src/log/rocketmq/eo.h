/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Exactly once, what its files share: eo.c (adding messages), eo_notes.c (what is noted of a queue,
 * and what is covered), eo_inherit.c (reading back what an earlier writer has left).
 */
#ifndef RC_LOG_ROCKETMQ_EO_H
#define RC_LOG_ROCKETMQ_EO_H

#include "log/rocketmq/internal.h"

/** Notes of one partition as text: they share the record's properties. */
#define RC_NOTES_MAX ((size_t)30000)
/** Ranges of one note, at most. */
#define RC_NOTE_RANGES_MAX 8

/** A message of an earlier generation behind the note. */
typedef struct rc_eo_left {
    int64_t offset;
    rmq_stamp stamp; /**< writer 0: none */
    enum { RC_LEFT_UNMET, RC_LEFT_MET, RC_LEFT_COVERED } state;
} rc_eo_left;

/** Offsets from..to - 1: what the partition has there, the position covers. */
typedef struct rc_eo_range {
    int64_t from, to;
} rc_eo_range;

/** What a writer knows of one queue, for one source partition. */
struct rc_eo_queue {
    rc_eo_partition *partition;
    rc_topic *topic;
    int32_t queue;
    int64_t note;
    rmq_stamp known;          /* what its writer had reached at the note; writer 0: not strict */
    int64_t pending_next;     /* behind the last item that is stored and not yet covered; -1 */
    int64_t pending_sequence; /* of that item's stamp */
    /* While some of what was left is not covered, the note stays below it: */
    rc_eo_left *left; /* by offset */
    size_t left_count, left_cap;
    size_t first; /* the first one that is not covered */
    size_t *met;  /* those met again, not yet covered */
    size_t met_count, met_cap;
    rc_eo_range own;                      /* of our items, the covered ones; from -1: none */
    rc_eo_range skip[RC_NOTE_RANGES_MAX]; /* as read from the note */
    size_t skip_count;
};

struct rc_eo_partition {
    char *text;
    rc_eo_queue **queues;
    size_t count, cap;
    bool settled; /* no more notes */
    UT_hash_handle hh;
};

/** A queue in which nothing of a writer counts any more from `end` on. */
typedef struct rc_eo_closed {
    const rmq_queue *queue;
    rmq_stamp last;
    int64_t end;
} rc_eo_closed;

struct rc_eo {
    int64_t generation;
    int64_t begin; /* fenced: its first sequence; those below are an earlier writer's */
    int64_t opened_ns;
    rc_eo_partition *partitions; /* [writer->mu] */
    rc_eo_partition *last;
    rc_eo_queue *current; /* of the message being added */
    rc_id_table ids;      /* task thread */
    rc_eo_closed *closed; /* task thread; at most one per queue and predecessor */
    size_t closed_count, closed_cap;
};

/* ---- eo_notes.c ---- */

rc_eo_queue *rc_eo_find_queue(const rc_eo_partition *partition, const rc_topic *topic,
                              int32_t queue);
/** [mu], unless nobody else knows the partition yet. */
rc_eo_queue *rc_eo_add_queue(rc_eo_partition *partition, rc_topic *topic, int32_t queue,
                             int64_t note, const rmq_stamp *known);
void rc_eo_partition_free(rc_eo_partition *partition);
/** Is there room in the partition's notes for one more queue? */
bool rc_eo_has_room(const rc_writer *writer, const rc_eo_partition *partition,
                    const rc_topic *topic, int32_t queue);
/** Remembers what was left, in the order of offsets. */
void rc_eo_leave(rc_eo_queue *q, int64_t offset, const rmq_stamp *stamp);

/** A note as text: [topic, broker, queue, offset], of a strict writer its stamp there, and ranges
 *  [from, to] that are covered. */
typedef struct rc_noted {
    rc_slice topic, broker;
    int64_t id, offset;
    rmq_stamp known;
    rc_eo_range skip[RC_NOTE_RANGES_MAX];
    size_t skip_count;
} rc_noted;
bool rc_eo_read_note(const omc_value *value, rc_noted *ret);

/* ---- eo_inherit.c ---- */

/** Reads back what an earlier writer has left of the partition, which nobody else knows yet. */
int rc_eo_inherit(rc_writer *writer, rc_eo_partition *partition, const rc_identity *identity,
                  rc_error *err);

#endif
