/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Messages on the wire: properties, items of a batch, stored messages, compression (protocol §6,
 * §8), the bits of broker JSON that is not JSON (§4, §15, §25), Java's string hash and unique keys.
 * Pure functions; any thread.
 */
#ifndef RMQ_WIRE_H
#define RMQ_WIRE_H

#include "base/arena.h"
#include "base/buf.h"

#include <rocketmq/message.h>
#include <rocketmq/producer.h>

#include <jansson.h>

enum rmq_sys_flag {
    RMQ_SYS_COMPRESSED = 0x1,
    RMQ_SYS_MULTI_TAGS = 0x2,
    RMQ_SYS_TRANSACTION = 0xC,
    RMQ_SYS_BORN_V6 = 0x10,
    RMQ_SYS_STORE_V6 = 0x20,
    RMQ_SYS_UNWRAP = 0x40,
    RMQ_SYS_INNER_BATCH = 0x80,
    RMQ_SYS_COMPRESSION = 0x700
};

/* ---- properties ------------------------------------------------------------------------------ */

/**
 * Takes the next `name \1 value \2` off `text`; a missing last \2 is allowed.
 * @return 1 = one was there, 0 = the end, -OMC_EFORMAT = no name or no value; it was passed over,
 *         and the walk may go on (as Java's does).
 */
int rmq_property_next(rc_slice *text, rmq_slice *name, rmq_slice *value);
/** Encoded size of what rmq_properties_put() writes, UNIQ_KEY included. */
size_t rmq_properties_size(const rmq_message *message, bool unique_key);
/**
 * Checks names and values (no \1, \2; not empty names; no system name like KEYS twice, counting the
 * members of the message; UNIQ_KEY never), the delays, and the total of RMQ_PROPERTIES_MAX.
 * -OMC_EINVAL names the property and the rule.
 */
int rmq_properties_check(const rmq_message *message, rc_error *err);
/** Writes them at `at` (rmq_properties_size() bytes): TAGS, KEYS, UNIQ_KEY, DELAY,
 *  TIMER_DELIVER_MS, then the others in order. `unique_key` 32 digits or NULL. Returns the end. */
uint8_t *rmq_properties_put(uint8_t *at, const rmq_message *message, const char *unique_key);

/* ---- batches --------------------------------------------------------------------------------- */

/** Bytes of one item of SEND_BATCH_MESSAGE: 22 + body + properties. */
static inline size_t rmq_item_size(size_t body, size_t properties)
{
    return 22 + body + properties;
}
/** Writes one item at `at`; `body` is what goes on the wire (compressed or not). Returns its end.
 */
uint8_t *rmq_item_put(uint8_t *at, const rmq_message *message, rmq_slice body,
                      const char *unique_key, size_t properties);
/** Takes the next item of a batch body off `items`. 1, 0 at the end, -OMC_EFORMAT. */
typedef struct rmq_item {
    int32_t flag;
    rc_slice body;
    rc_slice properties;
    rc_slice whole;
} rmq_item;
int rmq_item_next(rc_slice *items, rmq_item *ret, rc_error *err);

/* ---- stored messages ------------------------------------------------------------------------- */

/** One message as brokers store it, fields as they are; slices of the input. */
typedef struct rmq_stored {
    int32_t queue_id, flag, sys_flag, reconsume_times;
    uint32_t body_crc;
    int64_t queue_offset, commit_log_offset, born_ms, stored_ms, prepared_offset;
    rc_slice born_host, store_host; /**< 8 or 20 bytes: address and port. */
    rc_slice body, topic, properties;
} rmq_stored;
/** Takes the next one off `body` (reply of a pull). 1, 0 at the end, -OMC_EFORMAT (says at which
 *  byte). Never reads beyond the size the message claims. */
int rmq_stored_next(rc_slice *body, rmq_stored *ret, rc_error *err);
/** zlib's CRC-32 & 0x7fffffff, as brokers compute it. */
uint32_t rmq_body_crc(rc_slice body);
/**
 * Turns a stored message into one for the application: properties parsed into `arena`, body
 * decompressed into `arena` when needed (at most `body_max` bytes, else -OMC_ENOMEM), offset id.
 * @return 0; -OMC_EFORMAT (compressed data is damaged: names offset and method).
 */
int rmq_message_of(const rmq_stored *stored, size_t body_max, omc_arena *arena, rmq_message *ret,
                   rc_error *err);
/** Inner batch (sysFlag 0x40 and 0x80): item k becomes a message with offset INNER_BASE + k.
 *  @return count (messages in arena), or < 0. */
int rmq_inner_batch(const rmq_stored *stored, size_t body_max, omc_arena *arena, rmq_message **ret,
                    rc_error *err);

/* ---- compression ----------------------------------------------------------------------------- */

/** sysFlag bits of a method: 0, 0x101, 0x201, 0x301. */
int32_t rmq_compression_flag(enum rmq_compression how);
/** Compresses (zlib level 5, LZ4 frames, zstd level 3) at the end of `buf`. -OMC_ENOMEM. */
int rmq_compress(enum rmq_compression how, rc_slice body, rc_buf *buf, rc_error *err);
/** Undoes it by sysFlag; at most `max` bytes come out. */
int rmq_decompress(int32_t sys_flag, rc_slice body, size_t max, omc_arena *arena, rc_slice *ret,
                   rc_error *err);

/* ---- names, keys, bodies --------------------------------------------------------------------- */

/** A fresh unique key: 32 upper-case hexadecimal digits and NUL; like Java's (address, pid, time,
 *  counter). Any thread, no lock. */
void rmq_unique_key(char out[33]);
/** Legal topic or group name: ^[%|a-zA-Z0-9_-]+$, at most `max` bytes. -OMC_EINVAL says which
 *  character where. */
int rmq_name_check(const char *kind, const char *name, size_t max, rc_error *err);
/** Parses a reply's body: JSON, with bare numbers or whole objects as keys allowed (objects become
 *  their text). At most 64 levels. *ret is the caller's. -OMC_EFORMAT with place. */
int rmq_json_parse(rc_slice body, json_t **ret, rc_error *err);

#endif
