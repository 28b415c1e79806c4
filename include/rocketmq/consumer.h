/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Consumer: long polls over many queues on one connection per broker, within a budget of bytes.
 *
 * Two ways: *assigned* (the caller adds queues and their offsets; no group membership, nothing is
 * balanced) and *group* (subscribe; the queues of the topics are shared with all other members of
 * the group, Java ones too, by the averaging allocation).
 *
 * A consumer belongs to one application thread; only rmq_consumer_wake() comes from elsewhere.
 */
#ifndef RMQ_CONSUMER_H
#define RMQ_CONSUMER_H

#include <rocketmq/client.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default) /* librmq.so exports these, and nothing else */

typedef struct rmq_consumer rmq_consumer;

enum rmq_start_at { RMQ_START_FIRST = 0, RMQ_START_LAST = 1, RMQ_START_TIME = 2 };

/** Zeroed = defaults. */
typedef struct rmq_consumer_config {
    const char *group;   /**< Required. Assigned consumers name it in pulls only. */
    size_t buffer_bytes; /**< Fetched and not yet released, all queues; default 16 MiB. */
    int32_t pull_count;  /**< Wish per pull; default 1,024 (stock brokers give 32). */
    int64_t poll_ms;     /**< How long a broker holds an empty pull; default 15,000. */
    bool read_slaves;    /**< Follow the broker's suggestion to read from a slave. */
    /** A queue that seems to end before the offset to read is asked again for so long before that
     *  is believed; default 5,000. Brokers show messages some time after they have stored them,
     *  and a slave may show them first. */
    int64_t lost_ms;
    /* Group mode: */
    enum rmq_start_at start; /**< Where a queue without an offset begins. */
    int64_t start_ms;        /**< Wall time, for RMQ_START_TIME. */
    int64_t commit_ms;       /**< Commit released messages so often; default 5,000; -1 = never. */
    int64_t balance_ms;      /**< Look at members and queues so often; default 20,000. */
    /** Queues were taken away or given (NULL when none). Called inside rmq_consumer_fetch(), so
     *  that nothing of a revoked queue is being worked on; its offsets are committed after it. */
    void (*balanced)(void *arg, const rmq_queue *revoked, size_t revoked_count,
                     const rmq_queue *given, size_t given_count);
    void *arg;
} rmq_consumer_config;

/** Opens a consumer; asks nobody yet.
 *  @return 0; -RMQ_EINVAL (names the setting: no group, or a value out of range). */
int rmq_consumer_open(rmq_client *client, const rmq_consumer_config *config, rmq_consumer **ret,
                      rmq_error *err);
/** Group mode: commits, leaves the group. All fetches must be released before. NULL is allowed. */
void rmq_consumer_close(rmq_consumer *consumer);

/* ---- assigned -------------------------------------------------------------------------------- */

/** Adds a queue, read from `offset`. The texts of `queue` are copied.
 *  @return 0; -RMQ_EEXIST; -RMQ_ENOTFOUND (no such topic or queue); -RMQ_ESTATE (group mode);
 *          -RMQ_ECONNECT (route unknown and no name server answers). */
int rmq_consumer_add(rmq_consumer *consumer, const rmq_queue *queue, int64_t offset,
                     rmq_error *err);
/** Also drops what is buffered of it. -RMQ_ENOTFOUND when it was not added; -RMQ_ESTATE in group
 *  mode; so do seek and pause. */
int rmq_consumer_remove(rmq_consumer *consumer, const rmq_queue *queue, rmq_error *err);
/** Goes on at `offset`: what is buffered is dropped, a queue that stood still moves again. */
int rmq_consumer_seek(rmq_consumer *consumer, const rmq_queue *queue, int64_t offset,
                      rmq_error *err);
/** A paused queue keeps its position and buffers nothing more. */
int rmq_consumer_pause(rmq_consumer *consumer, const rmq_queue *queue, bool paused, rmq_error *err);

/* ---- group ----------------------------------------------------------------------------------- */

enum rmq_filter { RMQ_FILTER_TAG = 0, RMQ_FILTER_SQL92 = 1 };
/** `expression`: "*", "TagA || TagB", or SQL92 (checked by the broker at once).
 *  @return 0; -RMQ_EINVAL (the broker's words about the expression); -RMQ_ENOTFOUND (no such
 *          topic); -RMQ_EEXIST (subscribed already); -RMQ_ESTATE (queues were assigned);
 *          -RMQ_ECONNECT. */
int rmq_consumer_subscribe(rmq_consumer *consumer, const char *topic, enum rmq_filter filter,
                           const char *expression, rmq_error *err);
/** For assigned consumers: filter of a topic whose queues are added afterwards. Errors as above. */
int rmq_consumer_filter(rmq_consumer *consumer, const char *topic, enum rmq_filter filter,
                        const char *expression, rmq_error *err);
/** The queues this member reads now; valid until the next call that fetches or closes. */
const rmq_queue *rmq_consumer_assignment(rmq_consumer *consumer, size_t *ret_count);
/** Group mode: commits what was released up to now, and waits for the brokers. @return 0;
 *  -RMQ_ESTATE (assigned); the first error of a broker, others have committed all the same. */
int rmq_consumer_commit(rmq_consumer *consumer, rmq_error *err);

/* ---- fetching -------------------------------------------------------------------------------- */

/** Messages of one queue, in order, slices of the receive buffer. */
typedef struct rmq_fetch {
    rmq_queue queue; /**< Valid until the queue is removed. */
    const rmq_message *messages;
    size_t count;
    size_t bytes;
    int64_t next_offset;            /**< Offset to continue at; behind filtered messages too. */
    int64_t min_offset, max_offset; /**< Of the queue when the broker answered. */
    void *internal;
} rmq_fetch;

enum rmq_fetch_event {
    RMQ_FETCH_NONE = 0, /**< Nothing in time, or woken. */
    RMQ_FETCH_MESSAGES = 1,
    /** Assigned: the queue's position is outside of what the broker keeps; it stands still until
     *  seek. next_offset = the broker's proposal; err says which offsets. */
    RMQ_FETCH_MOVED = 2,
    /** Assigned: topic or queue is gone, or access refused; stands still until seek. */
    RMQ_FETCH_QUEUE_LOST = 3
};

/**
 * Next messages of some queue, queues taking turns. Waits up to `wait_ms` (-1 = until woken).
 * @param[out] fetch  Filled for all events but NONE; give it back with rmq_fetch_release().
 * @return enum rmq_fetch_event, or -RMQ_ESTATE. Trouble of connections is retried inside and told
 *         to the log; it never ends a fetch.
 */
int rmq_consumer_fetch(rmq_consumer *consumer, int64_t wait_ms, rmq_fetch *fetch, rmq_error *err);
/** Done with these messages. Group mode: they count as consumed for the next commit. */
void rmq_fetch_release(rmq_consumer *consumer, rmq_fetch *fetch);
/** Readable while a fetch would not wait. @thread the consumer's */
int rmq_consumer_fd(rmq_consumer *consumer);

enum rmq_wait { RMQ_WAIT_FETCH = 1, RMQ_WAIT_OTHER = 2 };
/**
 * Waits for messages and for a descriptor of the caller's own, e.g. one by which it is told to
 * stop. While replies come faster than every 0.3 ms they are waited for together, up to 0.3 ms,
 * which costs less processor time than waking up for each; poll(2) on rmq_consumer_fd()
 * wakes up for each.
 *
 * @param other_fd  Readable (POLLIN) ends the wait; -1 = none.
 * @param wait_ms   At most so long; -1 = for ever.
 * @return bits of enum rmq_wait: what is there now; 0 = the time is over, or a signal came.
 */
int rmq_consumer_wait(rmq_consumer *consumer, int other_fd, int64_t wait_ms);
/** Ends a fetch that waits, now or the next one. @thread any */
void rmq_consumer_wake(rmq_consumer *consumer);
/** Messages between positions and the ends of all queues, as of the brokers' last answers. */
int64_t rmq_consumer_lag(rmq_consumer *consumer);
/** Memory that idle queues hold is given back. */
void rmq_consumer_trim(rmq_consumer *consumer);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
