/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A worker's membership of its cluster: which units it owns, and when it may act for them. A pure
 * state machine: events go in by the functions below, actions come out of rc_membership_next().
 * It has no clock, no sockets, no threads; the same events give the same actions.
 *
 * The protocol is that of fold.h (what the log means) and these rules:
 *   R1   on a new connection the last record read is compared; another one there, or none, means
 *        that the log lost its end: all own units stop, everything is read again
 *   R2   nothing on a connection counts before that
 *   R3   a read that stays behind the log's end, or a ping without an answer, for 1.6 x suspend
 *        is a dead connection
 *   R4   the lease is when a ping was sent + suspend, once all up to its answer is applied
 *   R5   rc_membership_fence(): lease, own session, owner, generation, all at once
 *   R6   a close of the own session, or a new connection, suspends until the next session is open
 *   R7   before start and resume the highest generation in the position topic is asked for
 *   R8   anybody may close a session on a suspicion; silence is counted on one connection
 *   R9   what a closed owner has is claimed D_close after its close was read
 *   R10  nothing is claimed in the first D_close of a connection
 *   R11  a claim's floor is above all generations that were ever seen
 *   R12  a unit starts when its claim was read back as valid and an own append at or behind it was
 *        acknowledged as the log must
 *   R14  released is what was drained; what is owned and not run is released
 *   R15  a name in use is closed first, and taken after D_close when nobody has objected
 *
 * A second process with the name of a live worker: it appends a close of that session, as for any
 * suspicion. A live worker reads that within milliseconds and opens its next session (R6). The new
 * process sees a session opened by another incarnation behind its close, and ends with
 * RC_EXIT_NAME_IN_USE. A dead, frozen or cut off one does not answer within D_close, and is
 * replaced.
 *
 * *What the caller does.* It performs the actions in order, and tells what came of them. Those of a
 * connection carry its number; what happens on an older one is ignored. After EXIT only
 * rc_membership_free() may follow. Lists of actions end when rc_membership_next() gives false; then
 * it waits for an event, at most until rc_membership_wake().
 *
 * *Fences for other threads.* Threads of tasks do not ask this machine. The caller keeps a lease
 * and a fence per unit in atomics (base/fence.h), and moves them with the actions: LEASE sets the
 * lease, SUSPEND, RESUME and STOP the fences; START makes one. In that order nothing is ever
 * allowed by them that rc_membership_fence() would refuse, but for the time between the event and
 * the action, for which the close of R9 waits anyway.
 *
 * The lease has one source, the home of the log; while that is away everybody is suspended. Should
 * workers one day grant each other time while it is, rc_membership_fence() and LEASE stay as they
 * are: a grant is one more event that extends the lease.
 *
 * Times are milliseconds of CLOCK_BOOTTIME (it goes on while the machine sleeps). Cost: no work
 * that grows with the number of units per record or tick; the assignment, when members or units
 * change, at most every assign_ms + 1 ms per 100 units. One thread.
 */
#ifndef RC_MEMBER_H
#define RC_MEMBER_H

#include "cluster/assign.h"
#include "cluster/fold.h"
#include "cluster/rules.h"

/** Milliseconds. rc_timers_default() has what the protocol was checked with. */
typedef struct rc_timers {
    int64_t suspend_ms;   /**< S = 500: a lease lasts so long. */
    int64_t ping_ms;      /**< 150: between pings while a lease is needed. 3 x ping <= S. */
    int64_t margin_ms;    /**< 200: scheduling and the like, on top of clock errors of 1 %. */
    int64_t session_ms;   /**< T = 10 s: silence that is suspicious. */
    int64_t heartbeat_ms; /**< 3 s: at least; 60 ms per open session when that is more, with
                               a T of 3.3 beats then. 3 x heartbeat < T. */
    int64_t backoff_ms;   /**< 2 s: longest wait before another try to connect. backoff + S < T. */
    int64_t tail_ms;      /**< D_tail = 2 s: what was sent last may still land. */
    int64_t assign_ms;    /**< 200: changes are gathered so long before an assignment. */
    int64_t retry_ms;     /**< 1 s: an append that was not read back is made again. */
    int64_t snap_ms;      /**< 10 min, */
    int64_t snap_records; /**< or 10,000: between snapshots. */
} rc_timers;

rc_timers rc_timers_default(void);
/** 0, or -OMC_EINVAL naming the inequality that does not hold, its values and the cure. */
int rc_timers_check(const rc_timers *timers, rc_error *err);
/** D_close = S x 1.01 / 0.99 + margin, rounded up. */
int64_t rc_timers_close_ms(const rc_timers *timers);

/** Copied by rc_membership_new(). */
typedef struct rc_member_config {
    const char *cluster;
    const char *name;     /**< Unique in the cluster; 1 to 255 bytes. */
    uint64_t incarnation; /**< Random, of this process; not 0. */
    rc_own_about about;
    int64_t epoch;    /**< Of the log that is connected first; from 1. */
    const char *home; /**< Broker it is on. */
    rc_timers timers;
    /** Random bits, for nonces and waits. */
    uint64_t (*random)(void *arg);
    void *arg;
} rc_member_config;

typedef struct rc_membership rc_membership;

/** 0, or -OMC_EINVAL naming the member that is wrong. */
int rc_membership_new(const rc_member_config *config, int64_t now_ms, rc_membership **ret,
                      rc_error *err);
void rc_membership_free(rc_membership *m); /**< NULL is allowed. */
RC_DEFINE_CLEANUP(rc_membership, rc_membership_free)

/* ---- actions --------------------------------------------------------------------------------- */

typedef enum rc_action_kind {
    /** Connect to the log's home as `conn`. Then connected() or disconnected(). */
    RC_ACTION_CONNECT = 1,
    /** Close `conn`; text says why. Nothing has to follow. */
    RC_ACTION_DISCONNECT,
    /**
     * Read on `conn` from `offset`, as soon as there is something there: one answer, records(),
     * records_beyond() or records_below(). Most continue the one before. At most one is open: a
     * READ replaces the one that is, whose answer must not be given any more.
     * RC_READ_RECENT: from about 25 minutes ago, or the least offset there is.
     * RC_READ_LEAST: from the least offset.
     */
    RC_ACTION_READ,
    /** Ask on `conn` for the end of the log. Then pinged(id). */
    RC_ACTION_PING,
    /** Append `body` on `conn`, and wait for storage as the log must. Then appended(id). */
    RC_ACTION_APPEND,
    /** Acts are allowed until `until_ms`, 0 = not now. */
    RC_ACTION_LEASE,
    /** Read what the position topic has of the unit. Try again until it is read or another action
     *  for this unit says STOP. Then witnessed(id). */
    RC_ACTION_WITNESS,
    /** Run the unit with `generation`; first append the start record (R13), then started(). */
    RC_ACTION_START,
    /** Nothing is sent, put or committed by any unit until it is resumed. `unit` has no name. */
    RC_ACTION_SUSPEND,
    /** The unit goes on with `generation`. */
    RC_ACTION_RESUME,
    /** Poll no more, settle and commit what is under way, stop; then drained(). */
    RC_ACTION_DRAIN,
    /** Stop at once, send nothing any more, also not at the end; text says why. Then stopped(),
     * always: also when the unit has stopped by itself by then. */
    RC_ACTION_STOP,
    /** The log goes on at `epoch` on broker `text`: CONNECT means that one from now on. */
    RC_ACTION_MOVE,
    /** End the process, or start anew with another incarnation. `code` is an rc_member_exit. */
    RC_ACTION_EXIT,
    /** For the log of the worker: `level` and text. */
    RC_ACTION_TELL
} rc_action_kind;

#define RC_READ_RECENT (-2)
#define RC_READ_LEAST (-1)

typedef enum rc_member_exit {
    RC_EXIT_LEFT = 1,    /**< As asked by rc_membership_leave(). */
    RC_EXIT_NAME_IN_USE, /**< A live worker has this name. */
    RC_EXIT_REPLACED,    /**< Another process has taken this name. */
    RC_EXIT_WRONG_LOG    /**< The log belongs to another cluster or epoch. */
} rc_member_exit;

typedef enum rc_tell { RC_TELL_INFO = 1, RC_TELL_WARN, RC_TELL_ERROR } rc_tell;

typedef struct rc_unit_id {
    const char *connector;
    int32_t number; /**< RC_OWN_HALF = the connector's own half. */
} rc_unit_id;

/** Texts and bytes live until the next event, or the next call of rc_membership_next(). */
typedef struct rc_action {
    rc_action_kind kind;
    uint64_t conn;
    uint64_t id;      /**< PING, APPEND, WITNESS: hand it back. */
    int64_t offset;   /**< READ */
    rc_slice body;    /**< APPEND */
    int64_t until_ms; /**< LEASE */
    rc_unit_id unit;
    int64_t generation;
    int64_t epoch; /**< MOVE */
    rc_member_exit code;
    rc_tell level;
    const char *text; /**< "" = none. */
} rc_action;

/** Takes the next action; false = none. */
bool rc_membership_next(rc_membership *m, rc_action *ret);
/** When rc_membership_tick() is due at the latest; INT64_MAX = never. */
int64_t rc_membership_wake(const rc_membership *m);

/* ---- events ---------------------------------------------------------------------------------- */

/** Time has passed. May be called at any time. */
void rc_membership_tick(rc_membership *m, int64_t now_ms);

/** CONNECT has succeeded. */
void rc_membership_connected(rc_membership *m, int64_t now_ms, uint64_t conn);
/** It has failed, or the connection has ended, by whichever side. */
void rc_membership_disconnected(rc_membership *m, int64_t now_ms, uint64_t conn);

/** READ: `count` records from offset `first` on, without gaps; 0 = there is nothing at or behind
 *  the place yet (the log is empty), read again a moment later. Bodies are borrowed. */
void rc_membership_records(rc_membership *m, int64_t now_ms, uint64_t conn, int64_t first,
                           const rc_slice *bodies, size_t count);
/** READ: the log ends at `end`, before the place that was asked for. */
void rc_membership_records_beyond(rc_membership *m, int64_t now_ms, uint64_t conn, int64_t end);
/** READ: the log begins at `least`, behind the place that was asked for. */
void rc_membership_records_below(rc_membership *m, int64_t now_ms, uint64_t conn, int64_t least);

/** PING: the next record gets offset `end`. */
void rc_membership_pinged(rc_membership *m, int64_t now_ms, uint64_t conn, uint64_t id,
                          int64_t end);

typedef enum rc_appended {
    RC_APPENDED = 1,     /**< Stored as the log must (flushed, replicated) at `offset`. */
    RC_APPENDED_WEAK,    /**< Stored at `offset`, but status 10, 11 or 12. */
    RC_APPENDED_REFUSED, /**< Not stored. */
    RC_APPENDED_UNKNOWN  /**< No answer. */
} rc_appended;
void rc_membership_appended(rc_membership *m, int64_t now_ms, uint64_t conn, uint64_t id,
                            rc_appended outcome, int64_t offset);

/** A send, put or commit waits for the lease (rc_lease.want), or has used it lately
 * (rc_lease_used): pings go on for the next second. Without such calls there are none, but beside
 * beats. */
void rc_membership_need_lease(rc_membership *m, int64_t now_ms);

typedef enum rc_suspicion {
    RC_SUSPECT_LIST = 1, /**< It has gone from the broker's list of consumers. Not believed shortly
                              after a connect, when the list is not complete. */
    RC_SUSPECT_PROBE,    /**< It did not answer on its port, several times. */
    RC_SUSPECT_OPERATOR, /**< Somebody said so. */
    RC_SUSPECT_SILENCE   /**< Counted here. */
} rc_suspicion;
/** The worker `name` may be gone: its session is closed. It loses nothing when it is not. */
void rc_membership_suspect(rc_membership *m, int64_t now_ms, const char *name, rc_suspicion why);

/** A unit that should run. */
typedef struct rc_catalog_unit {
    rc_unit_id unit;
    uint32_t weight;      /**< 1 to RC_ASSIGN_WEIGHT_MAX */
    const char *requires; /**< Labels, as rc_labels_parse makes them; NULL = none. */
} rc_catalog_unit;
/** All units that should run, from now on; copied. Those that are not in it are drained and
 *  forgotten. Before the first call nothing is claimed nor drained. O(units). At most
 *  RC_ASSIGN_UNITS_MAX; the rest is left out, and told. */
void rc_membership_catalog(rc_membership *m, int64_t now_ms, const rc_catalog_unit *units,
                           size_t count);

/**
 * WITNESS: `seen` is the highest generation in the position topic that is above `generation`, or
 * was written by another incarnation; -1 = none.
 */
void rc_membership_witnessed(rc_membership *m, int64_t now_ms, uint64_t id, int64_t seen);
/** The start record of the unit is durable, and it runs. */
void rc_membership_started(rc_membership *m, int64_t now_ms, rc_unit_id unit, int64_t generation);
/** Somewhere `seen` was found, a generation of another owner above ours. STOP follows, and wants
 * its stopped() also from a unit that has stopped at that sight. */
void rc_membership_outranked(rc_membership *m, int64_t now_ms, rc_unit_id unit, int64_t generation,
                             int64_t seen);
/** DRAIN is through: nothing is under way, all is committed. Also without being asked for. */
void rc_membership_drained(rc_membership *m, int64_t now_ms, rc_unit_id unit, int64_t generation);
/** The unit has stopped without that. `dirty`: something may still land; it is released D_tail
 *  later. */
void rc_membership_stopped(rc_membership *m, int64_t now_ms, rc_unit_id unit, int64_t generation,
                           bool dirty);

/** What this worker says of itself has changed; copied, and sent with a beat at once. */
void rc_membership_about(rc_membership *m, int64_t now_ms, const rc_own_about *about);
/** Gives all units away and takes none, or takes part again. */
void rc_membership_drain(rc_membership *m, int64_t now_ms, bool on);
/** Drains, closes the own session when all is released, or after `wait_ms`; then EXIT. */
void rc_membership_leave(rc_membership *m, int64_t now_ms, int64_t wait_ms);

/**
 * Moves the log: a seal that names the next epoch and its broker is appended. All workers go on
 * there with the units they have; the log there must exist already.
 * @return 0, -OMC_ESTATE (no session is open, or the log is sealed).
 */
int rc_membership_move_home(rc_membership *m, int64_t now_ms, const char *home, rc_error *err);
/**
 * The log was replaced by force: epoch `epoch` on `home`, empty. All own units stop; what this
 * worker ran it claims first, all else 2 s later. Lower or equal epochs are ignored. Whoever
 * replaces a log waits T + D_close without a reply of the old home first.
 */
void rc_membership_replaced_home(rc_membership *m, int64_t now_ms, int64_t epoch, const char *home);

/* ---- questions ------------------------------------------------------------------------------- */

/** May an act be done for this unit and generation now (R5)? O(1). */
bool rc_membership_fence(const rc_membership *m, rc_unit_id unit, int64_t generation,
                         int64_t now_ms);

typedef enum rc_membership_state {
    RC_MEMBERSHIP_DOWN = 1, /**< No connection to the home of the log. */
    RC_MEMBERSHIP_READING,  /**< The log is being read. */
    RC_MEMBERSHIP_JOINING,  /**< Its session is being opened. */
    RC_MEMBERSHIP_OPEN,
    RC_MEMBERSHIP_LEAVING,
    RC_MEMBERSHIP_ENDED /**< EXIT was given. */
} rc_membership_state;
rc_membership_state rc_membership_state_of(const rc_membership *m);
const char *rc_membership_state_name(rc_membership_state state); /**< "OPEN" */

/** For views; never NULL. Borrowed until the next event. Owners there are names; that of this
 *  worker is its own. */
const rc_fold *rc_membership_fold(const rc_membership *m);

typedef enum rc_place_state {
    RC_PLACE_UNKNOWN = 1, /**< Not in the catalogue, nor owned. */
    RC_PLACE_FREE,        /**< Nobody has it yet; see `why`. */
    RC_PLACE_CLAIMING,    /**< This worker claims it. */
    RC_PLACE_STARTING,    /**< This worker has it; it starts. */
    RC_PLACE_RUNNING,     /**< Its owner has it; of this worker: it runs. */
    RC_PLACE_SUSPENDED,   /**< This worker has it, and may not act just now. */
    RC_PLACE_DRAINING,    /**< This worker gives it away. */
    RC_PLACE_CLOSED       /**< Its owner's session is closed; it may come back. */
} rc_place_state;
const char *rc_place_state_name(rc_place_state state); /**< "RUNNING" */

/** Why a unit is where it is. Texts live as long as the arena. */
typedef struct rc_place {
    rc_place_state state;
    const char *owner;  /**< NULL = none. */
    const char *from;   /**< Owner before; NULL = none. */
    int64_t generation; /**< -1 = never had one. */
    int64_t since;      /**< Position of the record that made it so; -1 = none. */
    const char *wanted; /**< Where the last assignment sees it; NULL = nowhere. */
    rc_why why;         /**< Of that assignment. */
    const char *text;   /**< Sentences for people. */
} rc_place;
void rc_membership_explain(const rc_membership *m, rc_unit_id unit, int64_t now_ms,
                           omc_arena *arena, rc_place *ret);

/** Numbers for metrics. */
typedef struct rc_member_counts {
    uint64_t records, void_records, appends, pings, claims_won, claims_lost, closes_refuted,
        truncations, outranked, assignments, snapshots, diverged;
    size_t owned, running;
} rc_member_counts;
rc_member_counts rc_membership_counts(const rc_membership *m);

#endif
