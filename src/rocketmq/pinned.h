/* SPDX-License-Identifier: Apache-2.0 */
/**
 * One queue over one connection of its own, whose life the caller rules: nothing is tried again,
 * nothing reconnects, what came of a request is told as it is. For protocols that have to know on
 * which connection something was heard, such as the one about ownership.
 *
 * The connection may also be that of a member of a consumer group, so that others learn from the
 * broker when it ends.
 *
 * I/O thread (rmq_client_loop()); callbacks come from the loop, never from inside a call. After
 * `down`, or rmq_pinned_close(), there is none any more.
 */
#ifndef RMQ_PINNED_H
#define RMQ_PINNED_H

#include "rocketmq/client_impl.h"

typedef struct rmq_pinned rmq_pinned;

/** Texts are copied. */
typedef struct rmq_pinned_config {
    rmq_client *client; /**< Borrowed. */
    const char *topic;
    const char *broker; /**< Its master is connected. */
    int32_t queue;
    int64_t timeout_ms; /**< Of a request, connecting included. */
    /** Group to be a member of, and the name as which; NULL = none. */
    const char *group;
    const char *member;
    /** It is connected, and a member. */
    void (*up)(void *arg);
    /** It could not be connected, or the connection has ended. Everything unanswered was told
     *  before. The object is to be closed. */
    void (*down)(void *arg, const rc_error *why);
    /** Members of the group have come or gone. NULL = do not care. */
    void (*changed)(void *arg);
    void *arg;
} rmq_pinned_config;

rmq_pinned *rmq_pinned_open(const rmq_pinned_config *config);
/** Ends everything; there are no further callbacks but `closed`, once, when nothing of it is left:
 * the client must not be closed before. */
void rmq_pinned_close(rmq_pinned *pinned, void (*closed)(void *arg), void *arg);

typedef enum rmq_pinned_read_result {
    RMQ_PINNED_RECORDS = 1, /**< `count` bodies from `first` on. */
    RMQ_PINNED_NOTHING,     /**< Nothing at or behind the offset within the wait. */
    RMQ_PINNED_BEYOND,      /**< The queue ends at `first`, before the offset. */
    RMQ_PINNED_BELOW,       /**< The queue begins at `first`, behind the offset. */
    RMQ_PINNED_FAILED       /**< err */
} rmq_pinned_read_result;
typedef struct rmq_pinned_records {
    rmq_pinned_read_result result;
    int64_t first;
    const rc_slice *bodies; /**< During the callback. A message that is damaged is empty. */
    size_t count;
    const rc_error *err;
} rmq_pinned_records;
typedef void rmq_pinned_read_fn(void *arg, const rmq_pinned_records *records);
/** Reads at `offset`; waits at the broker up to `wait_ms` for the first record there. */
void rmq_pinned_read(rmq_pinned *pinned, int64_t offset, int64_t wait_ms, rmq_pinned_read_fn *done,
                     void *arg);

/** The offset that was asked for, or < 0 and err. */
typedef void rmq_pinned_offset_fn(void *arg, int64_t offset, const rc_error *err);
/** The offset that the next record gets. */
void rmq_pinned_end(rmq_pinned *pinned, rmq_pinned_offset_fn *done, void *arg);
void rmq_pinned_least(rmq_pinned *pinned, rmq_pinned_offset_fn *done, void *arg);
/** First offset stored at or behind `wall_ms` by the broker's clock. */
void rmq_pinned_at(rmq_pinned *pinned, int64_t wall_ms, rmq_pinned_offset_fn *done, void *arg);

typedef struct rmq_pinned_stored {
    int64_t offset;      /**< >= 0: it is stored there. */
    bool weak;           /**< But not flushed or replicated in time (codes 10, 11, 12). */
    bool unknown;        /**< offset < 0: nobody knows whether it is stored. */
    const rc_error *err; /**< offset < 0, or weak. */
} rmq_pinned_stored;
typedef void rmq_pinned_append_fn(void *arg, const rmq_pinned_stored *stored);
/** Appends one record; `body` is copied. */
void rmq_pinned_append(rmq_pinned *pinned, rc_slice body, rmq_pinned_append_fn *done, void *arg);

/** Names of the members of a group that this broker knows, during the callback; NULL and err. */
typedef void rmq_pinned_members_fn(void *arg, const char *const *names, size_t count,
                                   const rc_error *err);
/** `group` NULL = the own one. */
void rmq_pinned_members(rmq_pinned *pinned, const char *group, rmq_pinned_members_fn *done,
                        void *arg);

#endif
