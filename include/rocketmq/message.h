/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Messages as an application gives and gets them. All slices are borrowed: of a message to send
 * until the call returns, of a received one until its batch is released.
 */
#ifndef RMQ_MESSAGE_H
#define RMQ_MESSAGE_H

#include <rocketmq/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default) /* librmq.so exports these, and nothing else */

/** Bytes that belong to somebody else; not NUL-terminated. base == NULL: absent. */
#ifdef OMC_DATA_H
typedef omc_slice rmq_slice;
#else
typedef struct rmq_slice {
    const char *base;
    size_t len;
} rmq_slice;
#endif

/** A property. Neither part may contain the bytes 1 and 2, which separate them on the wire. */
typedef struct rmq_property {
    rmq_slice name;
    rmq_slice value;
} rmq_property;

/** Longest topic name that may be created or written to, in bytes. */
#define RMQ_TOPIC_MAX 127
/** Longest broker name. */
#define RMQ_BROKER_MAX 127
/** All properties of one message together, as encoded. */
#define RMQ_PROPERTIES_MAX 32767
/** Body of a message and of a batch, unless the broker's maxMessageSize says otherwise. */
#define RMQ_BODY_MAX ((size_t)4 << 20)

/** The queues of a static topic (RocketMQ 5) move among brokers. They are named by a broker that
 * does not exist, whose name begins so; requests go to whoever has the queue now. */
#define RMQ_LOGICAL_BROKER "__syslo__"

/** One queue of a topic. */
typedef struct rmq_queue {
    const char *topic;  /**< NUL-terminated; lives as the object says that filled it. */
    const char *broker; /**< Name of the broker, not its address; see RMQ_LOGICAL_BROKER. */
    int32_t id;
} rmq_queue;

/** A message. Zero it, then fill what is wanted. */
typedef struct rmq_message {
    rmq_slice body;
    rmq_slice keys; /**< KEYS: words separated by blanks, indexed by the broker. */
    rmq_slice tags; /**< TAGS: one word, by which consumers filter. */
    /** All others; on receipt also those of the broker. KEYS, TAGS and (received) UNIQ_KEY are not
     *  repeated here, so that a message can be sent on as it came. */
    const rmq_property *properties;
    size_t property_count;
    int32_t flag;
    int64_t born_ms; /**< 0 when sending = now. */
    /** Sending: 1 to 18 (1s 5s 10s 30s 1m ... 2h), 0 = at once. */
    int32_t delay_level;
    /** Sending, brokers of 5.x: not before this wall time in ms; 0 = at once. */
    int64_t deliver_at_ms;
    /* Received messages only: */
    int64_t queue_offset;
    int64_t commit_log_offset;
    int64_t stored_ms;
    int32_t queue_id;
    int32_t reconsume_times;
    int32_t sys_flag;     /**< As stored; the body here is already decompressed. */
    rmq_slice unique_key; /**< UNIQ_KEY */
    rmq_slice topic;      /**< Without namespace; of a group's retries the one they were sent to. */
    rmq_slice store_host; /**< Address and port of the broker, 8 or 20 bytes as on the wire. */
} rmq_message;

/** "Offset message id" of a received message: store host, port and commit log offset in 32 or 56
 *  hexadecimal digits and NUL; "" of one that was not received. Made when asked for: few do. */
void rmq_message_offset_id(const rmq_message *message, char out[57]);
/** Value of a property of a received message (also KEYS, TAGS and UNIQ_KEY); base == NULL: none. */
rmq_slice rmq_message_property(const rmq_message *message, const char *name);

/** Java's String.hashCode() of UTF-8 text. */
int32_t rmq_java_hash(rmq_slice text);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
