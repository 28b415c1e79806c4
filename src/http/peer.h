/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Calls between workers, signed: who calls, and that nobody has changed or replayed the call.
 *
 * The header is `X-Connect-Signature: v=1 inc=<hex> n=<decimal> mac=<hex> from=<name>`. The MAC is
 * HMAC-SHA256 over method, request target, SHA-256 of the body, name and incarnation of the caller,
 * the caller's count of calls, and the incarnation of the worker that is called, which is not sent:
 * a call that was made to an earlier process of that name fits no longer. No clock is involved,
 * because those of workers may be minutes apart.
 */
#ifndef RC_PEER_H
#define RC_PEER_H

#include "base/arena.h"

#define RC_PEER_HEADER "X-Connect-Signature"
#define RC_PEER_NAME_MAX 255
/** Longest value of the header, with its NUL. */
#define RC_PEER_VALUE_MAX (RC_PEER_NAME_MAX + 192)
/** Callers remembered by a guard; beyond that the one that called longest ago is forgotten. */
#define RC_PEER_CALLERS_MAX 4096
/** How far calls of one caller may overtake each other. */
#define RC_PEER_WINDOW 256

typedef struct rc_peer_key {
    uint8_t bytes[32];
} rc_peer_key;

/** The key that all workers with the same secret have. Pure. */
void rc_peer_key_of(const char *secret, rc_peer_key *ret);

typedef struct rc_peer_call {
    const char *method; /**< "POST" */
    const char *target; /**< Path and query as they are sent. */
    rc_slice body;
    uint64_t to; /**< Incarnation of the worker that is called. */
} rc_peer_call;

typedef struct rc_peer_caller {
    const char *name;     /**< At most RC_PEER_NAME_MAX bytes, no control characters. */
    uint64_t incarnation; /**< Of its process. */
    uint64_t count;       /**< Larger for each call of this process; the first is 1. */
} rc_peer_caller;

/** Writes the header's value. Pure. */
void rc_peer_sign(const rc_peer_key *key, const rc_peer_caller *from, const rc_peer_call *call,
                  char ret[RC_PEER_VALUE_MAX]);

/** Remembers which calls have been taken. One thread at a time. */
typedef struct rc_peer_guard rc_peer_guard;
rc_peer_guard *rc_peer_guard_new(void);
void rc_peer_guard_free(rc_peer_guard *guard); /**< NULL is allowed. */

/**
 * Checks a header's value against the call it came with.
 * @param ret  The caller; its name is in `arena`.
 * @return 0; -OMC_EACCES: damaged, signed with another secret or for another process, or taken
 *         before; the error says which, and the cure.
 */
int rc_peer_check(rc_peer_guard *guard, const rc_peer_key *key, const char *value,
                  const rc_peer_call *call, omc_arena *arena, rc_peer_caller *ret, rc_error *err);

#endif
