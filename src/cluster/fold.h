/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What a prefix of the ownership log means: sessions of workers, owners and generations of units.
 * A pure function of the records read so far: every reader, also a late one, gets the same from the
 * same prefix. No clock, no I/O.
 *
 *   F1 hb       a session above the current one of the name opens it (another incarnation frees
 * what the former one owned); that of the open session is a sign of life; all else is void F2 close
 * ends the session it names when that is the current, open one; it stays closed F3 claim    a unit
 * is taken when the claimant's session is current and open, the claim names the unit's generation,
 * and the unit is free, or its owner's session was closed exactly where the claim says. Its
 * generation is then max(position, floor) F4 release  by the owner with its generation; the
 * generation stays as the one to follow genesis     records before the first are void, later ones
 * as well seal        all behind it is void forget      drops units of that generation whose owner,
 * if any, has no open session, and names whose session is closed and that own nothing
 *
 * *Positions* are epoch * 2^40 + offset in the queue: they rise over moves of the log, and so do
 * generations. Cost: O(1) per record and per unit in it, but a new incarnation costs the units of
 * the former one. Memory: about 200 bytes a unit. One thread at a time.
 */
#ifndef RC_FOLD_H
#define RC_FOLD_H

#include "cluster/own_record.h"

#include "base/hash.h"

#define RC_FOLD_WORKERS_MAX 10000
#define RC_FOLD_UNITS_MAX 1000000
#define RC_FOLD_HISTORY 4096 /**< Records whose hashes are remembered, for snapshots. */

typedef struct rc_fold_unit rc_fold_unit;

/** A name in the log. Read only; lives until it is forgotten or the fold is. */
typedef struct rc_fold_worker {
    const char *name;
    uint64_t incarnation;
    int64_t session;
    int64_t opened; /**< Position of the record that opened the session. */
    int64_t closed; /**< Position of its close; -1 = open. */
    rc_own_about about;
    size_t owned;        /**< Units. */
    rc_fold_unit *units; /**< Them; `next` of each. */
    void *user;          /**< Whoever watches; not part of the fold. */
    uint64_t hash;
    UT_hash_handle hh;
} rc_fold_worker;

struct rc_fold_unit {
    const char *key; /**< rc_fold_key() */
    const char *connector;
    int32_t number;
    rc_fold_worker *owner;     /**< NULL = free. */
    uint64_t incarnation;      /**< Of the owner. */
    int64_t generation;        /**< Of the owner, or the last one. */
    int64_t since;             /**< Position of the claim or release that made it so. */
    const char *from;          /**< Owner before this one; NULL = none. */
    rc_fold_unit *next, *prev; /**< Of the owner's. */
    void *user;
    uint64_t hash;
    UT_hash_handle hh;
};

typedef enum rc_fold_event {
    RC_FOLD_OPENED = 1, /**< A worker's session; another than before. */
    RC_FOLD_BEAT,       /**< Sign of life; `about` may have changed. */
    RC_FOLD_CLOSED,
    RC_FOLD_CLAIMED, /**< A unit has an owner now. */
    RC_FOLD_FREED,   /**< It has none: released, or its owner is another process now. */
    RC_FOLD_GONE     /**< A unit or name is forgotten; it is freed when the call returns. */
} rc_fold_event;

/** Told of every change, in the order of records. May not touch the fold, but for `user`. */
typedef struct rc_fold_watch {
    void (*worker)(void *arg, rc_fold_worker *worker, rc_fold_event event);
    void (*unit)(void *arg, rc_fold_unit *unit, rc_fold_event event);
    void *arg;
} rc_fold_watch;

typedef struct rc_fold rc_fold;

/** What a record came to. */
typedef enum rc_verdict {
    RC_VERDICT_VALID,
    RC_VERDICT_PARTLY, /**< Some items of it. */
    RC_VERDICT_VOID,
    RC_VERDICT_NEUTRAL /**< SNAP and kinds that change nothing. */
} rc_verdict;

/** Empty, before offset 0 of the log of `epoch`. `watch` is copied; may be NULL. */
rc_fold *rc_fold_new(int64_t epoch, const rc_fold_watch *watch);
/** Empty, but begun, before the record at `position`: of a log whose beginning is gone. */
rc_fold *rc_fold_new_at(int64_t position);
void rc_fold_free(rc_fold *fold); /**< NULL is allowed. Does not call the watch. */

/** Position of an offset, and back. */
int64_t rc_fold_position(int64_t epoch, int64_t offset);
int64_t rc_fold_offset(int64_t position);

/** Applies the record at position next(). `record` NULL: those bytes are no record. */
rc_verdict rc_fold_apply(rc_fold *fold, const rc_own_record *record);

int64_t rc_fold_next(const rc_fold *fold); /**< Position of the next record. */
int64_t rc_fold_epoch(const rc_fold *fold);
bool rc_fold_begun(const rc_fold *fold); /**< A genesis was read, or a snapshot loaded. */
/** After rc_fold_move(), until the genesis of the new log was read. */
bool rc_fold_moved(const rc_fold *fold);
/** The log does not go on from what this fold is: its genesis imports another one (or nothing,
 * after rc_fold_move()). It must be made anew, from a snapshot if there is one. */
bool rc_fold_foreign(const rc_fold *fold);
const char *rc_fold_cluster(const rc_fold *fold); /**< Of the genesis; "" before. */
/** Sealed: the log goes on at that epoch and broker; either may be NULL. */
bool rc_fold_sealed(const rc_fold *fold, int64_t *ret_epoch, const char **ret_home);

/** NULL = not there. */
rc_fold_worker *rc_fold_find_worker(const rc_fold *fold, const char *name);
rc_fold_unit *rc_fold_find_unit(const rc_fold *fold, const char *connector, int32_t number);
/** In an order that is the same for all readers. Begin with NULL; NULL ends. */
rc_fold_worker *rc_fold_next_worker(const rc_fold *fold, const rc_fold_worker *after);
rc_fold_unit *rc_fold_next_unit(const rc_fold *fold, const rc_fold_unit *after);
size_t rc_fold_worker_count(const rc_fold *fold);
size_t rc_fold_unit_count(const rc_fold *fold);

/** "0/orders": number and connector. `out` holds RC_FOLD_KEY_MAX; longer names are cut. */
#define RC_FOLD_KEY_MAX 512
size_t rc_fold_key(const char *connector, int32_t number, char out[RC_FOLD_KEY_MAX]);

/** Hash of everything that later records depend on. */
uint64_t rc_fold_hash(const rc_fold *fold);
/** The hash before the record at `position`; false = too long ago, or not read yet. */
bool rc_fold_hash_at(const rc_fold *fold, int64_t position, uint64_t *ret);

/* ---- snapshots ------------------------------------------------------------------------------- */

/**
 * Hands out the fold in SNAP records, one call of `emit` for each; at least one.
 * `record` is borrowed for the call; it stands for the position rc_fold_next(). O(fold).
 */
void rc_fold_write(const rc_fold *fold, uint64_t snap, const char *by,
                   void (*emit)(void *arg, const rc_own_record *record), void *arg);

/** Chunks of snapshots being put together; at most two at a time, the older one is dropped. */
typedef struct rc_fold_parts rc_fold_parts;
rc_fold_parts *rc_fold_parts_new(void);
void rc_fold_parts_free(rc_fold_parts *parts); /**< NULL is allowed. */
/**
 * Takes a SNAP record.
 * @return A fold when it was the last missing chunk and the hash is right; it has no watch yet.
 *         NULL otherwise: not complete, or damaged, which `err` then says (code 0 = not complete).
 */
rc_fold *rc_fold_parts_add(rc_fold_parts *parts, const rc_own_record *record, rc_error *err);
/** Sets the watch of a fold that was loaded. */
void rc_fold_watch_set(rc_fold *fold, const rc_fold_watch *watch);

/** A sealed fold as the beginning of the log of its next epoch: same sessions, owners and
 *  generations. Its next position is offset 0 of that log; records are void there until a genesis
 *  that imports this hash. */
void rc_fold_move(rc_fold *fold);

#endif
