/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Records of the ownership log, one RocketMQ message body each: compact JSON that can be read with
 * mqadmin, `{"v":1,"k":"hb","w":"w1","i":"00f3...","s":4,"x":"9c01...",...}`.
 *
 * For workers of version n beside n+1: members that are not known are skipped, kinds that are not
 * known are RC_OWN_OTHER (they take an offset and change nothing), optional members may be missing.
 * Numbers that do not fit in 53 bits are texts of 16 hexadecimal digits. A body that is no record
 * (somebody wrote into the topic by hand) is -OMC_EFORMAT, never more.
 *
 * Texts and arrays of a record that was read live in the arena. Any thread.
 */
#ifndef RC_OWN_RECORD_H
#define RC_OWN_RECORD_H

#include "base/arena.h"
#include "base/buf.h"

#define RC_OWN_BODY_MAX ((size_t)1536 * 1024) /**< Bytes of a body; longer ones are no records. */
#define RC_OWN_TEXT_MAX 4096                  /**< Bytes of any other text: URLs, labels. */
#define RC_OWN_NAME_MAX 400                   /**< Bytes of the name of a worker or connector. */
#define RC_OWN_ITEMS_MAX 512                  /**< Units in one claim, release or forget. */
#define RC_OWN_CHUNK_MAX 4096                 /**< Entries in one chunk of a snapshot. */
#define RC_OWN_PARTS_MAX 1024                 /**< Chunks of a snapshot. */
#define RC_OWN_EPOCH_MAX ((1 << 20) - 1)
/** Positions and generations lie below this; claims with more are void. */
#define RC_OWN_POSITION_MAX ((int64_t)1 << 61)

typedef enum rc_own_kind {
    RC_OWN_OTHER = 0, /**< Of a later version. */
    RC_OWN_HB,        /**< Opens a session, or says that it goes on. */
    RC_OWN_CLOSE,     /**< Ends a session, by anybody. */
    RC_OWN_CLAIM,     /**< Takes units. */
    RC_OWN_RELEASE,   /**< Gives units back. */
    RC_OWN_GENESIS,   /**< First record of a log. */
    RC_OWN_SEAL,      /**< Last record of a log: it goes on elsewhere. */
    RC_OWN_SNAP,      /**< A chunk of the fold. */
    RC_OWN_FORGET     /**< Units that nobody owns nor will, and names that closed long ago. */
} rc_own_kind;

enum rc_own_flags {
    RC_OWN_DRAINING = 1, /**< The worker gives its units away and takes none. */
};

/** What a worker says of itself in its beats. */
typedef struct rc_own_about {
    const char *url;     /**< Of its REST interface, as others reach it; "" = none. */
    const char *labels;  /**< As rc_labels_parse makes them; "" = none. */
    const char *version; /**< Of its software. */
    uint32_t weight;     /**< Capacity beside others, 1 to 1000. */
    uint32_t flags;      /**< enum rc_own_flags; others are carried along. */
} rc_own_about;

#define RC_OWN_HALF (-1) /**< In place of a task's number: the connector's own half. */
#define RC_OWN_NAME (-2) /**< In a FORGET: no unit but the name of a worker. */

/** A unit in a claim, release or forget; and a name in a forget. */
typedef struct rc_own_item {
    const char *connector; /**< Or the name of a worker. */
    int32_t number;        /**< Of the task, RC_OWN_HALF or RC_OWN_NAME. */
    int64_t prev;   /**< Generation it has now; -1 = never had one. Of a name: its session. */
    int64_t closed; /**< CLAIM: position of its owner's close; -1 = it is free. */
    int64_t floor;  /**< CLAIM: the new generation is no lower. */
} rc_own_item;

/** A worker in a snapshot. */
typedef struct rc_own_worker {
    const char *name;
    uint64_t incarnation;
    int64_t session, opened, closed; /**< Positions; closed -1 = open. */
    rc_own_about about;
} rc_own_worker;

/** A unit in a snapshot. */
typedef struct rc_own_unit {
    const char *connector;
    int32_t number;
    const char *owner; /**< NULL = free. */
    uint64_t incarnation;
    int64_t generation, since; /**< since: position of the last claim or release. */
    const char *from;          /**< Owner before this one; NULL = none. */
} rc_own_unit;

/** One record; members that its kind does not have are 0 or NULL. */
typedef struct rc_own_record {
    rc_own_kind kind;
    uint64_t nonce;       /**< Random; makes each record another one. */
    const char *worker;   /**< HB, CLOSE (whose session), CLAIM, RELEASE. */
    uint64_t incarnation; /**< HB, CLAIM, RELEASE. */
    int64_t session;      /**< HB, CLOSE, CLAIM; from 1. */
    rc_own_about about;   /**< HB. */
    const char *by;       /**< CLOSE, GENESIS, SEAL, SNAP, FORGET: name of the writer. */
    const char *why;      /**< CLOSE, SEAL: for people. */
    rc_own_item *items;   /**< CLAIM, RELEASE, FORGET. */
    size_t item_count;
    const char *cluster;    /**< GENESIS. */
    const char *home;       /**< GENESIS: broker this log is on. SEAL: of the next log. */
    int64_t epoch;          /**< GENESIS: of this log. SEAL: of the next one. */
    bool imports;           /**< GENESIS: the fold of `hash` goes on here; SNAPs of it follow. */
    int64_t upto;           /**< SNAP: position behind the last record that it covers. */
    uint64_t hash;          /**< SNAP, GENESIS that imports: of the whole fold. */
    uint64_t snap;          /**< SNAP: which one, same in all of its chunks. */
    int32_t part, parts;    /**< SNAP: chunk `part` of `parts`, from 0. */
    rc_own_worker *workers; /**< SNAP. */
    size_t worker_count;
    rc_own_unit *units; /**< SNAP. */
    size_t unit_count;
} rc_own_record;

/** Appends the body of a record. What rc_own_read refuses must not be in it; `out` must have room
 *  for RC_OWN_BODY_MAX. */
void rc_own_write(const rc_own_record *record, rc_buf *out);

/**
 * Reads a body.
 * @param ret  Set on success only; texts and arrays in `arena`.
 * @return 0, or -OMC_EFORMAT with what is wrong with it.
 */
int rc_own_read(rc_slice body, omc_arena *arena, rc_own_record *ret, rc_error *err);

/** What tells a body from all others: a hash of its bytes, which include its nonce. Of any bytes.
 */
uint64_t rc_own_print(rc_slice body);

/** "claim" */
const char *rc_own_kind_name(rc_own_kind kind);

#endif
