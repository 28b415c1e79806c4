/* SPDX-License-Identifier: Apache-2.0 */
/* The state of the source loop and what its files give each other; private to the loop. */
#ifndef RC_SOURCE_LOOP_H
#define RC_SOURCE_LOOP_H

#include "base/hash.h"
#include "worker/task_internal.h"

/* How often a task that waits for the log looks why. */
#define RC_HEALTH_CHECK_MS 1000

/* A poll that is under way to the log. */
typedef struct rc_flight {
    struct rc_flight *prev, *next;
    rc_batch *batch;          /* kept only for sources that want commit() */
    omc_send_result *results; /* one per record, likewise */
    rc_slot *slots;
    size_t records;
} rc_flight;

typedef struct rc_known_topic {
    char *name;
    rc_topic *topic;
    int32_t next_queue;
    UT_hash_handle hh;
} rc_known_topic;

/* The last position of one source partition in the present batch. */
typedef struct rc_last_position {
    const omc_map *partition;
    size_t record;
    int32_t hash;
    bool hashed;
} rc_last_position;

typedef struct rc_source {
    rc_task *task;
    const omc_source_ops *ops;
    omc_source_context ctx;
    rc_writer *writer;
    rc_batch *batch;
    rc_arena scratch; /* conversion results of one batch */
    rc_known_topic *topics;
    rc_known_topic *last_topic;
    rc_last_position *positions;
    size_t position_count, position_cap;
    int64_t now_ms;       /* wall time of the present batch */
    rc_flight *flights;   /* all that are under way, oldest first */
    rc_failure failure;   /* of the present record; here because it is large */
    bool exactly_once;    /* records get identities */
    rc_identity identity; /* of the present record */
    omc_map const
        *same_partition; /* of the last record with an identity, with its canonical text */
    rc_slice same_partition_text;
    bool started;
    size_t moved; /* bytes since the last trim */
} rc_source;

/* source_send.c */
/* All records of the polled batch into the append, with dead letters and positions. On failure the
 * append holds what came before the record that failed, and f->records counts it. */
int rc_source_fill(rc_source *s, rc_append *append, rc_flight *f, rc_error *err);
/* source_identity.c */
/* Whether records of this task get identities. */
bool rc_source_exactly_once(const rc_task *task);
/* A new batch begins. */
void rc_source_identity_reset(rc_source *s);
/* Identity of a record as polled, into s->identity. */
int rc_source_identify(rc_source *s, const omc_record *record, rc_error *err);
/* source_receipts.c */
rc_flight *rc_flight_new(rc_source *s);
void rc_flight_free(rc_source *s, rc_flight *f);
/* Takes all receipts that are there. */
int rc_source_take_receipts(rc_source *s, rc_error *err);
/* Waits until less than `bytes` are under way. -OMC_ECANCELED when stopped meanwhile. */
int rc_source_wait_for_log(rc_source *s, size_t bytes, rc_error *err);
/* Says STALLED with the log's own words while it cannot store, RUNNING when it can again. */
void rc_source_report_health(rc_source *s);
/* Takes the receipts of all that is under way, as long as the log can store. */
void rc_source_drain(rc_source *s);

#endif
