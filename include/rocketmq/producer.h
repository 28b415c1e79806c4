/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Producer: asynchronous, batching per queue, in order.
 *
 * Order: messages to one queue are stored in the order of the calls. Because brokers run sends on
 * several threads, at most one send per queue is unanswered; throughput comes from batches and
 * from many queues. `window` > 1 gives that up for topics where order does not matter.
 *
 * Unknown outcomes (sent, no answer): with RMQ_UNKNOWN_RESEND the connection is closed, the queue
 * waits `unknown_wait_ms` so that no late copy can overtake, and the batch is sent again: at least
 * once. With RMQ_UNKNOWN_REPORT the callback gets RMQ_ERR_UNKNOWN_OUTCOME and nothing is resent.
 */
#ifndef RMQ_PRODUCER_H
#define RMQ_PRODUCER_H

#include <rocketmq/client.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default) /* librmq.so exports these, and nothing else */

typedef struct rmq_producer rmq_producer;

enum rmq_compression {
    RMQ_COMPRESS_NONE = 0,
    RMQ_COMPRESS_LZ4 = 1,
    RMQ_COMPRESS_ZSTD = 2,
    RMQ_COMPRESS_ZLIB = 3
};
/** What counts as stored: FLUSH_DISK_TIMEOUT, FLUSH_SLAVE_TIMEOUT and SLAVE_NOT_AVAILABLE are
 *  success only for RMQ_ACK_STORED; FLUSH_DISK_TIMEOUT fails the other two, the slave's codes
 *  RMQ_ACK_REPLICATED. */
enum rmq_ack { RMQ_ACK_STORED = 0, RMQ_ACK_FLUSHED = 1, RMQ_ACK_REPLICATED = 2 };
enum rmq_unknown { RMQ_UNKNOWN_RESEND = 0, RMQ_UNKNOWN_REPORT = 1 };

/** Zeroed = defaults. */
typedef struct rmq_producer_config {
    const char *group;           /**< NULL = "CID_RMQ_C" (only shown by tools). */
    int64_t linger_ms;           /**< Wait for more before a batch is sent while the queue is free;
                                      0 = send at once (batches form while one is unanswered). */
    size_t batch_bytes;          /**< Largest batch; default 1 MiB, at most RMQ_BODY_MAX. */
    size_t batch_count;          /**< Most messages of a batch; default 4,096; 1 = no batches. */
    int window;                  /**< Unanswered sends per queue; default 1. */
    size_t pending_bytes_max;    /**< Accepted and not answered; default 32 MiB. */
    int64_t send_timeout_ms;     /**< Of one try; default 3,000. */
    int64_t delivery_timeout_ms; /**< Of all tries; default 120,000; -1 = for ever. */
    int64_t unknown_wait_ms;     /**< Default 2,000; see above. */
    enum rmq_unknown unknown;
    enum rmq_ack ack;
    enum rmq_compression compression;
    size_t compress_above;   /**< Bodies of at least so many bytes; default 4,096. */
    const char *create_from; /**< Topic whose queues serve unknown topics ("TBW102"); NULL: an
                                  unknown topic is an error. */
} rmq_producer_config;

/** Where a message goes. */
typedef struct rmq_target {
    const char *topic;
    const char *broker; /**< NULL = chosen: by `key` when it is set, else round robin. */
    int32_t queue_id;   /**< With `broker`. */
    rmq_slice key;      /**< queue = |Java's hash of key| % queues, on the list of queues frozen
                             when the producer first wrote to the topic. */
} rmq_target;

/** What became of a message. Slices and pointers are valid during the callback only. */
typedef struct rmq_send_result {
    int result;           /**< 0 or -RMQ_E... */
    const rmq_error *err; /**< When result < 0. */
    rmq_queue queue;
    int64_t queue_offset;
    const char *unique_key; /**< 32 hexadecimal digits. */
    int32_t status;         /**< Response code of a stored message: 0, 10, 11 or 12. */
    int64_t latency_us;
} rmq_send_result;
/** Called once per accepted message, in order within a queue, on the I/O thread: must not block;
 *  may call rmq_producer_send() (which never waits there) for queues that the producer has already
 *  written to. After a message that failed, those accepted behind it for the same queue get
 *  -RMQ_ECANCELED, so that order holds (with window 1). */
typedef void rmq_sent_fn(void *arg, const rmq_send_result *result);

/** Opens a producer; asks nobody yet. @return 0 or -RMQ_EINVAL (names the setting). */
int rmq_producer_open(rmq_client *client, const rmq_producer_config *config, rmq_producer **ret,
                      rmq_error *err);
/** Waits until all that was accepted is answered or `deadline_ms` from now is over; the rest gets
 *  -RMQ_ECANCELED (flag UNKNOWN_OUTCOME when it was under way; that is given another half second).
 *  Calls that wait for room come back with -RMQ_ESTATE. All callbacks have been called when it
 *  returns. NULL is allowed. */
void rmq_producer_close(rmq_producer *producer, int64_t deadline_ms);

/**
 * Hands over a message; it is copied into its batch. While pending_bytes_max is reached waits up
 * to `wait_ms` (0 = not, -1 = for ever).
 * @return 0: `sent` will be called; -RMQ_EAGAIN (no room in time); -RMQ_EINVAL (message too large,
 *         bad property or topic name: says which); -RMQ_ENOTFOUND (no such topic, or queue);
 *         -RMQ_ECONNECT (route unknown and no name server answers); -RMQ_EUNSUPPORTED (a broker of
 *         the topic cannot keep what `ack` asks); -RMQ_ESTATE (new topic inside of a callback, or
 *         the producer is being closed).
 * The first message to a topic waits for its route.
 */
int rmq_producer_send(rmq_producer *producer, const rmq_target *target, const rmq_message *message,
                      int64_t wait_ms, rmq_sent_fn *sent, void *arg, rmq_error *err);
/**
 * Hands over several messages to one queue, in order, for less processor time than single calls.
 * With a target that names neither queue nor key one queue is chosen for all of them.
 *
 * @param arg       Of the callback of message i: `arg` + i * `arg_step` bytes (0: all the same).
 * @param[out] err  Set when fewer than `count` were accepted: why the next one was not.
 * @return how many were accepted, from the first on, at least 1; else what rmq_producer_send()
 *         gives for the first. `count` above INT_MAX counts as INT_MAX.
 */
int rmq_producer_send_all(rmq_producer *producer, const rmq_target *target,
                          const rmq_message *messages, size_t count, int64_t wait_ms,
                          rmq_sent_fn *sent, void *arg, size_t arg_step, rmq_error *err);
/** The same as rmq_producer_send(), and waits for room and for the answer. `ret` may be NULL; its
 * pointers are empty.
 *  @return 0 = stored; what rmq_producer_send() gives; what the callback would have got (`err` with
 *          RMQ_ERR_UNKNOWN_OUTCOME when it may be stored); -RMQ_ESTATE inside of a callback. */
int rmq_producer_send_wait(rmq_producer *producer, const rmq_target *target,
                           const rmq_message *message, rmq_send_result *ret, rmq_error *err);
/** Sends lingering batches now and waits until nothing is pending. 0 or -RMQ_ETIMEDOUT. */
int rmq_producer_flush(rmq_producer *producer, int64_t wait_ms, rmq_error *err);
/** Bytes accepted and not answered, as pending_bytes_max counts them. */
size_t rmq_producer_pending_bytes(rmq_producer *producer);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
