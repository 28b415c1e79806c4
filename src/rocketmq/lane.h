/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Lanes: everything that goes to one queue, in order, with at most `window` unanswered sends
 * (default 1). Parcels that wait while a send is unanswered go together in the next one, without a
 * copy: the body of SEND_BATCH_MESSAGE is the concatenation of its items.
 *
 * The producer and the message log both send through lanes. I/O thread only, but for
 * rmq_lanes_submit().
 */
#ifndef RMQ_LANE_H
#define RMQ_LANE_H

#include "rocketmq/client_impl.h"
#include "rocketmq/gate.h"

typedef struct rmq_lanes rmq_lanes; /* a set of lanes with the same settings */

/** Items of one queue, in memory of the caller that stays until `done`. */
typedef struct rmq_parcel {
    struct rmq_parcel *prev, *next; /**< The lane's while it has the parcel. */
    const char *topic;              /**< Wire name; stays until done. */
    const char *broker;             /**< Name; stays until done. */
    int32_t queue_id;
    const void *items; /**< Encoded items (rmq_item_put), or the body of a single message. */
    size_t bytes;
    uint32_t count;       /**< Messages in it; 1 for singles. */
    int32_t sys_flag;     /**< Only parcels with the same flags go together. */
    rc_slice properties;  /**< Singles (310): encoded; base == NULL = batch items (320). */
    int64_t born_ms;      /**< 0 = when sent; only parcels with the same go together. */
    int32_t flag;         /**< Singles. */
    int64_t submitted_ns; /**< Mono; for delivery_timeout. Set by the caller. */
    /* What became of it: */
    int result;              /**< 0 or -OMC_E... */
    int32_t status;          /**< 0, 10, 11, 12 */
    int32_t stored_queue_id; /**< Where it landed. */
    int64_t base_offset;     /**< Of its first message; the others follow. */
    void *owner;             /**< The caller's. */
} rmq_parcel;

typedef struct rmq_lanes_config {
    const char *who;         /**< Task or producer, for messages. Copied. */
    const char *group;       /**< Producer group, wire name. Copied. */
    int window;              /**< 0 = 1. */
    size_t send_bytes_max;   /**< Of one send, unless a single parcel is larger; 0 = 1 MiB. */
    uint32_t send_count_max; /**< Messages of one send; 0 = no limit. */
    /** 0 = 3,000; 120,000 (-1 = for ever); 2,000. */
    int64_t send_timeout_ms, delivery_timeout_ms, unknown_wait_ms;
    enum rmq_unknown unknown;
    enum rmq_ack ack;
    const char *create_from; /**< See rmq_producer_config. Copied. */
    /** While it is closed nothing is sent, and that is no trouble; when it is shut, all fails with
     *  OMC_EFENCED. Lives as long as the lanes. NULL = none. */
    const rmq_gate *gate;
    /** A parcel is done, in order within its lane. I/O thread. err is NULL when result is 0. After
     *  a failure that is not retried all parcels behind it in the lane fail with OMC_ECANCELED, so
     *  that order holds; the lane takes new ones when it has told all. (With a window above 1 there
     *  is no order to hold, and only the refused send fails.) */
    void (*done)(void *arg, rmq_parcel *parcel, const rc_error *err);
    /**
     * RMQ_UNKNOWN_REPORT only: the outcome of parcels [first .. last] (linked by next, `count` of
     * them) is unknown; the connection is closed and unknown_wait_ms have passed, so that nothing
     * of it can be stored later. Also when the broker stored them, but not as `ack` asks: then
     * err's response code is 10, 11 or 12. The lane stands still until rmq_lane_resolve(), which
     * may be called from inside. NULL: they fail with RMQ_ERR_UNKNOWN_OUTCOME. Needs window 1.
     */
    void (*unknown_outcome)(void *arg, rmq_parcel *first, size_t count, const rc_error *err);
    /** Something is in the way for longer than a second (broker away, disk full), or no more. The
     *  text names one of the queues concerned, the cause and the cure. May be NULL. */
    void (*trouble)(void *arg, const char *text_or_null);
    void *arg;
} rmq_lanes_config;

/** @return 0; -OMC_EINVAL (window and unknown_outcome exclude each other, or a number is out of
 *  range). Sends of a client share one connection per broker. */
int rmq_lanes_new(rmq_client *client, const rmq_lanes_config *config, rmq_lanes **ret,
                  rc_error *err);
/** Hands parcels over (linked by next, NULL at the end; any lanes); order per lane is the order of
 *  calls. Not after rmq_lanes_close(). @thread any */
void rmq_lanes_submit(rmq_lanes *lanes, rmq_parcel *list);
/** Goes on after unknown_outcome: the parcels are the caller's again (done is not called for them
 *  by the lane) except those in `again`, which are sent first; their submitted_ns counts as before
 *  unless it is set anew. Does nothing while the lanes are being closed: then done has been called
 *  for all of them. */
void rmq_lane_resolve(rmq_lanes *lanes, const char *topic, const char *broker, int32_t queue_id,
                      rmq_parcel *again);
/**
 * Ends: what waits gets OMC_ECANCELED at once. What is under way is given half a second for its
 * answer, then its connection is closed and it gets OMC_ECANCELED with RMQ_ERR_UNKNOWN_OUTCOME, as
 * does what was told by unknown_outcome() and not resolved. Frees the lanes, then calls `closed`.
 */
void rmq_lanes_close(rmq_lanes *lanes, void (*closed)(void *arg), void *arg);

/* ---- offsets of groups ------------------------------------------------------------------------
 */

/** rmq_offset_commit() through a gate; also -OMC_EAGAIN and -OMC_EFENCED. */
int rmq_offset_commit_gated(rmq_client *client, const char *group, const rmq_queue *queue,
                            int64_t offset, const rmq_gate *gate, rmq_error *err);

/* ---- what a broker promises ------------------------------------------------------------------ */

/**
 * Can a broker with this configuration (body of code 26: lines `key=value`) keep `ack`? Flushed
 * needs flushDiskType=SYNC_FLUSH. Replicated needs brokerRole=SYNC_MASTER, and where the broker
 * knows inSyncReplicas (5.x) at least 2 of them, else it does not wait for a slave; or a log that
 * is replicated by itself (DLedger). Pure.
 * @return 0, or -OMC_EUNSUPPORTED naming broker, setting, value and cure.
 */
int rmq_ack_of_config(rc_slice config, enum rmq_ack ack, const char *broker, rc_error *err);
/** Asks the broker's master at `address` and decides as above. RMQ_ACK_STORED asks nothing. Waits:
 *  not on the I/O thread. Also errors of the call. */
int rmq_ack_check(rmq_client *client, const char *broker, const char *address, enum rmq_ack ack,
                  rc_error *err);

#endif
