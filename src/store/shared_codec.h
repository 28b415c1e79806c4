/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Records of the shared state as messages: key and body as the Java runtime's JsonConverter writes
 * them, what Java does not know in message properties. Pure.
 *
 *   config topic   connector-<name>      state, epoch, properties
 *                  target-state-<name>   state, epoch; or epoch, deleted
 *                  delete-<name>         epoch (read only: an older Java runtime's)
 *                  tasks-<name>          epoch, properties (a key that Java discards)
 *   status topic   status-connector-<name>, status-task-<name>-<id>
 *                                        state, trace, worker_id, generation
 *
 *   __rc.rank      "<rank>", or "<rank>+" when written again
 *   __rc.version   version and incarnation, "3.1"
 *   __rc.state     our state, where Java has no word for it
 *   __rc.gen       "<generation>.<number>" of an owner
 *   __rc.by        "<writer>.<count>"
 */
#ifndef RC_STORE_SHARED_CODEC_H
#define RC_STORE_SHARED_CODEC_H

#include "base/buf.h"
#include "store/shared.h"

#include <rocketmq/message.h>

/** Body of a record, what brokers take. */
#define RC_SHARED_BODY_MAX RMQ_BODY_MAX
#define RC_SHARED_PROPERTIES_MAX 5

/** A message to send: `keys` is the Base64 of the key. All in the arena. */
typedef struct rc_shared_message {
    rc_slice keys;
    rc_slice body;
    rmq_property properties[RC_SHARED_PROPERTIES_MAX];
    size_t property_count;
} rc_shared_message;

/**
 * Makes the message of a record.
 * @return 0; -OMC_EINVAL (name, configuration or trace is no UTF-8, or together beyond
 *         RC_SHARED_BODY_MAX: says which).
 */
int rc_shared_encode(const rc_shared_record *record, omc_arena *arena, rc_shared_message *ret,
                     rc_error *err);
/**
 * Reads any message of the two topics; foreign bytes never fail but are RC_SHARED_NONE, and then
 * `why` (RC_SHARED_WHY_MAX bytes, may be NULL) says what is wrong, "" for what Java writes too and
 * means nothing here.
 */
#define RC_SHARED_WHY_MAX 160
void rc_shared_decode(rc_slice keys, rc_slice body, const rmq_property *properties,
                      size_t property_count, omc_arena *arena, rc_shared_record *ret, char *why);

/** Java's word for a target state: STARTED or PAUSED (also for STOPPED, which Java lacks). */
const char *rc_shared_java_target(rc_target_state target);

#endif
