/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A message as a log stores it, and the mapping between records and messages that the Java
 * runtime's sources and sinks use (reference: its WorkerSourceTask and WorkerSinkTask):
 *
 *   record -> message: body = value converter; KEYS = key converter, overridden by the extension
 *   KEYS; TAGS = extension TAGS; when there is any extension: property `connect.timestamp` and
 *   one `connect-ext-<k>` per other extension. Raw `properties` are copied as they are.
 *
 *   message -> record: partition {topic, brokerName, queueId} (texts), offset {queueOffset},
 *   timestamp = property `connect.timestamp` or born time; key from KEYS, value from body;
 *   extensions: MIN_OFFSET TRACE_ON MAX_OFFSET MSG_REGION UNIQ_KEY WAIT TAGS get the prefix
 *   `MQ-SYS-`, a leading `connect-ext-` is taken off, those of ours (`__rc.`) are left out, others
 *   stay; plus MQ-SYS-MSG_ID when the
 *   log has message ids.
 *
 * Differences to Java, on purpose: extensions exist before the transforms run, and the prefix is
 * taken off at the start of the name only.
 */
#ifndef RC_MESSAGE_H
#define RC_MESSAGE_H

#include "record/instance.h"

/**
 * What makes a record the same record when its source replays it: a hash of connector, source
 * partition and source position (canonical JSON, number text kept), and a number among records of
 * the same position. Taken at poll, before transforms.
 */
typedef struct rc_identity {
    uint8_t hash[16];
    uint32_t ordinal;
    rc_slice partition; /**< Canonical JSON, borrowed. */
} rc_identity;
/** The first bytes of a hash are those of connector and partition alone, so that identities found
 *  in a log can be told apart by partition. */
#define RC_IDENTITY_PARTITION 4
/** Fills hash (XXH3, 128 bits) and partition; the ordinal is the caller's. */
void rc_identity_of(const char *connector, rc_slice partition, rc_slice offset, rc_identity *ret);

/** Properties of ours in messages; not shown to sinks, not part of "equal". */
#define RC_PROP_OURS "__rc."
#define RC_PROP_ID "__rc.id" /**< <base64url of the hash>.<ordinal> */
/** <generation of the writer>.<number of the append>; of strict writers a stamp, which says who it
 *  was too (rocketmq/strict.h). */
#define RC_PROP_GEN "__rc.gen"
#define RC_PROP_SRC "__rc.src" /**< UNIQ_KEY of the message this one was copied from. */

/** One message. All slices are borrowed. */
typedef struct rc_message {
    rc_slice body;              /**< base == NULL: a tombstone (no body). */
    rc_slice keys;              /**< KEYS; base == NULL = none. */
    rc_slice tags;              /**< TAGS; base == NULL = none. */
    const omc_pair *properties; /**< All others. */
    size_t property_count;
    int64_t born_ms;
    int32_t flag;
    const rc_identity *identity; /**< Appends: exactly once; NULL = none. */
    /* Fetched messages only: */
    int64_t offset;
    int64_t stored_ms;
    rc_slice message_id; /**< Empty on the embedded log. */
} rc_message;

/** Properties of ours and of Java's, by name. */
#define RC_PROP_TIMESTAMP "connect.timestamp"
#define RC_PROP_EXTENSION "connect-ext-"
#define RC_EXT_SYSTEM "MQ-SYS-"
#define RC_EXT_TOPIC "topic"
#define RC_EXT_KEYS "KEYS"
#define RC_EXT_TAGS "TAGS"

/** Which converter failed, for the stage of an error report. */
typedef enum rc_side { RC_SIDE_KEY = 1, RC_SIDE_VALUE = 2 } rc_side;

/** @param topic  Target topic (see rc_record_topic). @param[out] side  Set on failure. */
int rc_message_from_record(const omc_record *record, const char *topic, rc_converter *key,
                           rc_converter *value, int64_t now_ms, omc_arena *arena, rc_message *ret,
                           rc_side *side, rc_error *err);

/** Queue a message came from; `partition` is shared by all records of the queue. */
typedef struct rc_origin {
    const char *topic;
    const char *broker;
    int32_t queue;
    const omc_map *partition;
} rc_origin;

/** Fills `ret` (zeroed by omc_batch_add). @param[out] side  Set on failure; the record then has
 *  its position, extensions and topic, so that it can be reported. */
int rc_message_to_record(const rc_message *message, const rc_origin *origin, rc_converter *key,
                         rc_converter *value, omc_arena *arena, omc_record *ret, rc_side *side,
                         rc_error *err);
/** {"topic","brokerName","queueId"} as texts. */
const omc_map *rc_origin_partition(const char *topic, const char *broker, int32_t queue,
                                   omc_arena *arena);

/** The record's target topic: its `topic`, extension `topic`, or `fallback`; NULL = none. */
const char *rc_record_topic(const omc_record *record, const char *fallback, omc_arena *arena);

/** Java's SelectMessageQueueByHash: |hash % count|. */
int32_t rc_queue_by_hash(rc_slice text, int32_t count);

#endif
