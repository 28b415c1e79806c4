/* SPDX-License-Identifier: Apache-2.0 */
/* The state of the sink loop and what its files give each other; private to the loop. */
#ifndef RC_SINK_LOOP_H
#define RC_SINK_LOOP_H

#include "worker/task_internal.h"

#include <stdatomic.h>

/* In message_of: the record was reported in an earlier try of the same put. */
#define RC_SINK_REPORTED (UINT32_C(1) << 31)

typedef struct rc_sink_queue {
    rc_topic *topic;
    int32_t index; /* of the queue in its topic; pub.id is the broker's number */
    omc_queue pub;
    rc_origin origin;
    int64_t position;     /* after the last record put */
    int64_t committed;    /* last known to be committed without a state; -1 */
    int64_t committing;   /* in the present commit; -1 = has nothing new */
    int64_t reset;        /* asked for by the plugin; -1 = none */
    const omc_map *state; /* committed before the start; for open() */
} rc_sink_queue;

typedef struct rc_sink {
    rc_task *task;
    const omc_sink_ops *ops;
    omc_sink_context ctx;
    rc_reader *reader;
    rc_fetch fetch;
    rc_batch *batch;
    uint32_t *message_of; /* record of the batch -> message of the fetch */
    size_t message_cap;
    rc_sink_queue *queues;
    size_t queue_count;
    rc_topic **topics; /* handles the queues belong to */
    size_t topic_count;
    rc_sink_queue *current; /* queue of the present fetch */
    rc_writer *letters;     /* writes dead letters; NULL until the first */
    rc_append *letter_append;
    bool letters_lost; /* the log refused some: nothing may be committed any more */
    rc_failure failure;
    rc_error refused; /* by report() with errors.tolerance=none in the present put; code 0 = none */
    rc_arena scratch; /* of one commit */
    bool dirty;       /* something to commit */
    int64_t dirty_ns; /* since when */
    int64_t put_ns;   /* end of the last put */
    int64_t wait_ns;  /* the sink held offsets back: not before this */
    bool fenced;      /* the last commit was not made: not now */
    int64_t fence_ms; /* the last pause because of that */
    atomic_bool commit_asked; /* by the sink, from any thread: the next commit is due at once */
    int64_t retry_after_ms;   /* the sink's wish for the call that fails now; 0 = none */
    rc_attempt commit_attempt;
    bool started, opened;
    size_t moved;    /* bytes since the last trim */
    int64_t look_ns; /* when the topics are looked at for new queues; INT64_MAX = never */
} rc_sink;

/* sink_context.c: what the plugin may ask for */
void rc_sink_fill_context(rc_sink *s);
/* sink_letters.c */
/* The skipped record of s->failure: counted, logged, kept as a dead letter. */
int rc_sink_skip(rc_sink *s, rc_error *err);
/* Makes all dead letters durable; no offset may be committed before. */
int rc_sink_flush_letters(rc_sink *s, rc_error *err);
/* sink_deliver.c: the present fetch, converted and put */
int rc_sink_deliver(rc_sink *s, rc_error *err);
/* Reading goes on where the plugin asked for; the new place is committed like one after a put. */
void rc_sink_apply_resets(rc_sink *s);
void rc_sink_mark_dirty(rc_sink *s);
/* sink_commit.c */
/* Measures how far the reader is behind. */
void rc_sink_measure_lag(rc_sink *s);
int rc_sink_commit(rc_sink *s, rc_error *err);
int64_t rc_sink_commit_due(const rc_sink *s, bool idle);

#endif
