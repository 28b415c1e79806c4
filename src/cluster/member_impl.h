/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The inside of a membership.
 *
 *   member.c         events, the queue of actions, the order in which things are looked at
 *   member_conn.c    connection, reading, pings, lease (R1 to R4)
 *   member_log.c     records into the fold and what follows; snapshots; the move of a log
 *   member_session.c the own session, sessions of others (R6, R8, R15)
 *   member_unit.c    a unit in the hands of this worker (R7, R12, R14)
 *   member_claim.c   claims and releases, in batches (R9, R10, R11)
 *   member_assign.c  the catalogue, and what the assignment changes
 *   member_view.c    questions
 */
#ifndef RC_MEMBER_IMPL_H
#define RC_MEMBER_IMPL_H

#include "cluster/member.h"

#define RC_CLAIM_BATCH 256                    /* Units in one claim or release. */
#define RC_CLAIM_ROUNDS 4                     /* Records of claims that have not been read back. */
#define RC_APPENDS_MAX (2 * RC_OWN_PARTS_MAX) /* Appends without an answer. */
#define RC_PENDING_PINGS 4
#define RC_PREFER_MS 2000 /* After the loss of a log its workers claim what they ran first. */

/* What this worker does with a unit. */
enum run_state {
    RUN_NONE,
    RUN_CLAIMED,  /* Read back; waits for an append that is acknowledged (R12). */
    RUN_WITNESS,  /* The position topic is asked (R7). */
    RUN_STARTING, /* START was given. */
    RUN_RUNNING,
    RUN_STOPPING /* STOP was given. */
};

/* In which list a unit waits; each is a queue in order of time. */
enum unit_list {
    LIST_NONE,
    LIST_READY,    /* To be claimed. */
    LIST_WAITING,  /* To be claimed once its owner has been closed for D_close. */
    LIST_ASKED,    /* Claimed; not read back. */
    LIST_DIRTY,    /* To be released when nothing can land any more. */
    LIST_RELEASE,  /* To be released. */
    LIST_RELEASED, /* A release is under way. */
    LISTS
};

/* A unit that is in the catalogue, in the fold, or in our hands. */
typedef struct unit {
    char *key;
    const char *connector;
    int32_t number;
    bool listed;
    uint32_t weight;
    char *requires;
    int64_t seen; /* Highest generation seen anywhere; -1 = none (R11). */
    int64_t used; /* Highest that ran here; none runs twice. */
    bool ran;     /* Here, before the log was replaced. */
    rc_fold_unit *fold;
    int32_t wanted; /* By the last assignment: place in its names, or RC_ASSIGN_NOBODY. */
    uint8_t why;

    enum run_state run;
    int64_t generation;
    int64_t claimed_at; /* Position. */
    uint64_t ask;       /* Of the WITNESS that counts; 0 = none. */
    int64_t clean_at;   /* What a stopped run has sent may land until then. */
    bool suspended, draining;
    struct unit *run_next, *run_prev;   /* Of all with a run. */
    struct unit *acks_next, *acks_prev; /* Of those that are RUN_CLAIMED. */

    enum unit_list list;
    int64_t due; /* In its list. */
    struct unit *next, *prev;
    UT_hash_handle hh;     /* By key. */
    UT_hash_handle by_ask; /* By ask. */
} unit;

/* What is known here of another worker, beside the log. */
typedef struct peer {
    int64_t heard_ms;      /* When its last beat was read. */
    int64_t closed_ms;     /* When its close was read. */
    int64_t suspect_at_ms; /* Its session is closed then; INT64_MAX = no reason. */
    rc_suspicion suspicion;
    int64_t closed_by_us_ms; /* Last close that we appended. */
    uint64_t hash;           /* Of the worker in the fold, at its last change. */
    int32_t place;           /* In the input of the assignment. */
} peer;

enum append_kind { APPEND_OTHER, APPEND_OPEN, APPEND_CLAIM };

typedef struct append {
    uint64_t id, nonce;
    enum append_kind kind;
    int64_t sent_ms;
    bool answered;
    unit **units; /* CLAIM */
    rc_own_item *items;
    size_t count;
    UT_hash_handle hh;
} append;

struct queued {
    rc_action action;
    char *connector, *text, *body;
    struct queued *next;
};

struct pending_ping {
    int64_t end, base_ms;
};

enum conn_state { CONN_NONE, CONN_ASKED, CONN_UP };
enum read_mode {
    READ_FOLD,    /* Records go into the fold. */
    READ_RECENT,  /* A snapshot is looked for, from 25 minutes ago on, */
    READ_LEAST,   /* from the beginning of the log on, */
    READ_HEADLESS /* and there was none: an empty one was appended. */
};

struct rc_membership {
    rc_member_config config;
    rc_timers timers;
    int64_t close_ms;
    int64_t now;
    bool ended;
    struct queued *first, *last, *given;

    /* connection */
    enum conn_state conn_state;
    uint64_t conn;
    int64_t connect_at, backoff;
    bool verified;
    int64_t verified_ms, connected_ms;
    bool caught; /* Everything up to an answer on this connection is applied. */
    bool reading;
    int64_t read_at; /* Not before. */
    int64_t read_from;
    bool verifying;             /* The record before `next` comes again. */
    uint64_t ping;              /* Without an answer; 0 = none. */
    int64_t ping_ms, ping_next; /* When it was sent; where we stood. */
    int64_t pinged_ms;          /* Last one sent. */
    int64_t answered_ms;        /* When the last one that was answered was sent. */
    bool ask_ping;
    struct pending_ping pending[RC_PENDING_PINGS];
    int pending_count;
    int64_t behind_ms, behind_next;
    int64_t need_until;
    int64_t lease_until;
    uint64_t ids;

    /* the log */
    rc_fold *fold;
    rc_fold_parts *parts;
    enum read_mode mode;
    int64_t epoch;
    char *home;
    int64_t next;      /* Offset to be read next. */
    uint64_t print;    /* Of the record before it. */
    int64_t known_end; /* By the last ping on this connection; -1 = unknown. */
    bool may_found;    /* An empty log is ours to begin. */
    int64_t found_at;  /* Not before; 0 = not set. */
    int64_t snap_position, snap_at, snap_wrote_ms;
    int64_t headless_ms;
    bool imports; /* The log begins with a fold that only a snapshot has. */
    rc_arena arena;

    /* session */
    int64_t session;    /* Highest that was ours; 0 = none. */
    bool open;          /* It is open, and was opened on this connection. */
    int64_t opening_ms; /* When the hb that opens was appended; 0 = was not. */
    int64_t contested;  /* Session of our name that we have closed to start; 0 = none. */
    int64_t contested_ms;
    int refutes;
    int64_t beat_ms;
    int64_t acked; /* Position of the highest append that is stored for good. */
    int64_t nudged_ms;
    int64_t silent_at; /* When the silence of some worker may be suspicious. */
    int64_t suspect_at;
    append *appends;
    int claims_out;
    bool leaving, closing, left;
    int64_t leave_until;

    /* units */
    unit *units;
    unit *asks;
    unit *runs;
    unit *acks;
    unit *list[LISTS];
    unit **sorted; /* Those in the catalogue. */
    size_t sorted_count;
    size_t run_count;
    bool catalogued, dirty;
    int64_t dirty_ms, assigned_ms;
    char **names; /* Of the last assignment. */
    size_t name_count;
    int64_t prefer_until;
    int64_t waiting_at; /* First in LIST_WAITING that is due. */
    rc_member_counts counts;
};

/* member.c */
struct queued *rc_m_act(rc_membership *m, rc_action_kind kind);
void rc_m_unit_act(rc_membership *m, rc_action_kind kind, const unit *u, const char *text);
void rc_m_tell(rc_membership *m, rc_tell level, const char *fmt, ...) OMC_PRINTF(3, 4);
void rc_m_exit(rc_membership *m, rc_member_exit code, const char *fmt, ...) OMC_PRINTF(3, 4);
uint64_t rc_m_random(rc_membership *m, uint64_t below); /* 0 = of all 64 bits */

/* member_conn.c */
void rc_m_conn_step(rc_membership *m);
void rc_m_conn_up(rc_membership *m);
void rc_m_conn_lost(rc_membership *m);
void rc_m_conn_pinged(rc_membership *m, int64_t end);
void rc_m_conn_appended(rc_membership *m, uint64_t id, rc_appended outcome, int64_t offset);
int64_t rc_m_ping_at(const rc_membership *m, bool slow); /* When the next one is due. */
void rc_m_conn_verified(rc_membership *m);
void rc_m_conn_drop(rc_membership *m, const char *why);
void rc_m_conn_clear(rc_membership *m);
void rc_m_applied(rc_membership *m); /* More has been read. */
void rc_m_lease_end(rc_membership *m);
/* Appends a record; its nonce and writer are filled in. NULL: there is no connection. */
append *rc_m_append(rc_membership *m, rc_own_record *record, enum append_kind kind);

/* member_log.c */
void rc_m_log_reset(rc_membership *m, const char *why); /* Everything is read again. */
void rc_m_log_begin(rc_membership *m, rc_fold *fold, enum read_mode mode);
void rc_m_log_records(rc_membership *m, int64_t first, const rc_slice *bodies, size_t count);
void rc_m_log_truncated(rc_membership *m);
void rc_m_log_step(rc_membership *m);
void rc_m_snap_step(rc_membership *m);

/* member_session.c */
void rc_m_session_step(rc_membership *m);
void rc_m_suspect_none(rc_membership *m);
void rc_m_suspect_step(rc_membership *m);
void rc_m_worker_event(void *arg, rc_fold_worker *worker, rc_fold_event event);
void rc_m_attach(rc_membership *m, rc_fold_worker *worker);
bool rc_m_mine(const rc_membership *m); /* The own session is open. */
int64_t rc_m_heartbeat_ms(const rc_membership *m);
int64_t rc_m_session_ms(const rc_membership *m);

/* member_unit.c */
unit *rc_m_unit(rc_membership *m, const char *connector, int32_t number, bool make);
void rc_m_unit_event(void *arg, rc_fold_unit *fold, rc_fold_event event);
bool rc_m_unit_ours(const rc_membership *m, const unit *u); /* By the fold. */
void rc_m_units_suspend(rc_membership *m);
void rc_m_units_stop(rc_membership *m, const char *why);
void rc_m_units_resume(rc_membership *m);
void rc_m_units_acked(rc_membership *m);
void rc_m_unit_begin(rc_membership *m, unit *u, int64_t generation, int64_t position);
void rc_m_unit_witnessed(rc_membership *m, unit *u, int64_t seen);
void rc_m_unit_outranked(rc_membership *m, unit *u, int64_t seen);
void rc_m_unit_ended(rc_membership *m, unit *u, bool dirty); /* It does not run any more. */
void rc_m_unit_stop(rc_membership *m, unit *u, const char *why);
void rc_m_unit_drain(rc_membership *m, unit *u, const char *why);
void rc_m_unit_unlisted(rc_membership *m, unit *u);
void rc_m_unit_gone(rc_membership *m, unit *u); /* Freed when nothing holds it. */
void rc_m_units_free(rc_membership *m);

/* member_claim.c */
void rc_m_list(rc_membership *m, unit *u, enum unit_list list, int64_t due);
void rc_m_want(rc_membership *m, unit *u);             /* To be claimed as soon as that is right. */
void rc_m_give(rc_membership *m, unit *u, bool dirty); /* To be released. */
void rc_m_claim_step(rc_membership *m);
void rc_m_claim_read(rc_membership *m, const rc_own_record *record);
bool rc_m_may_claim(const rc_membership *m);

/* member_assign.c */
void rc_m_dirty(rc_membership *m);
void rc_m_assign_step(rc_membership *m);
bool rc_m_wanted_here(const rc_membership *m, const unit *u);

#endif
