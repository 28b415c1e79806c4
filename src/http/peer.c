/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures by OpenSSL; a window of counts per caller. */
#include "http/peer.h"

#include "base/buf.h"
#include "base/hash.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <string.h>

#define MAC_BYTES 32
#define MAC_HEX ((size_t)2 * MAC_BYTES)
#define KEY_PURPOSE "rocketmq-connect: calls between workers, v1"

void rc_peer_key_of(const char *secret, rc_peer_key *ret)
{
    unsigned len = 0;

    RC_ASSERT(HMAC(EVP_sha256(), secret, (int)strlen(secret), (const uint8_t *)KEY_PURPOSE,
                   sizeof KEY_PURPOSE - 1, ret->bytes, &len) &&
              len == sizeof ret->bytes);
}

static void hex_of(const uint8_t *bytes, size_t len, char *ret)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        ret[2 * i] = digits[bytes[i] >> 4];
        ret[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret[2 * len] = '\0';
}

/* One item per line: none of them can hold a line feed but the target of a call that is no HTTP. */
static void mac_of(const rc_peer_key *key, const rc_peer_caller *from, const rc_peer_call *call,
                   char ret[MAC_HEX + 1])
{
    uint8_t body[SHA256_DIGEST_LENGTH];
    uint8_t mac[MAC_BYTES];
    char body_hex[2 * SHA256_DIGEST_LENGTH + 1];
    unsigned len = 0;
    RC_AUTO_FREE char *text = NULL;

    (void)SHA256((const uint8_t *)(call->body.base ? call->body.base : ""), call->body.len, body);
    hex_of(body, sizeof body, body_hex);
    text =
        rc_format("v1\n%s\n%s\n%s\n%s\n%016" PRIx64 "\n%" PRIu64 "\n%016" PRIx64 "\n", call->method,
                  call->target, body_hex, from->name, from->incarnation, from->count, call->to);
    RC_ASSERT(HMAC(EVP_sha256(), key->bytes, sizeof key->bytes, (const uint8_t *)text, strlen(text),
                   mac, &len) &&
              len == sizeof mac);
    hex_of(mac, sizeof mac, ret);
}

void rc_peer_sign(const rc_peer_key *key, const rc_peer_caller *from, const rc_peer_call *call,
                  char ret[RC_PEER_VALUE_MAX])
{
    char mac[MAC_HEX + 1];
    int len;

    RC_ASSERT(strlen(from->name) <= RC_PEER_NAME_MAX);
    mac_of(key, from, call, mac);
    len = snprintf(ret, RC_PEER_VALUE_MAX, "v=1 inc=%016" PRIx64 " n=%" PRIu64 " mac=%s from=%s",
                   from->incarnation, from->count, mac, from->name);
    RC_ASSERT(len > 0 && len < RC_PEER_VALUE_MAX);
}

/* ---- replays --------------------------------------------------------------------------------- */

typedef struct caller {
    char *key; /* "<incarnation> <name>" */
    uint64_t highest;
    uint64_t seen[RC_PEER_WINDOW / 64]; /* Bit c % WINDOW: count c was taken. */
    UT_hash_handle hh;                  /* In the order of last use. */
} caller;

struct rc_peer_guard {
    caller *callers;
};

rc_peer_guard *rc_peer_guard_new(void)
{
    return rc_calloc(1, sizeof(rc_peer_guard));
}

static void forget(rc_peer_guard *guard, caller *c)
{
    HASH_DEL(guard->callers, c);
    free(c->key);
    free(c);
}

void rc_peer_guard_free(rc_peer_guard *guard)
{
    if (!guard)
        return;
    while (guard->callers)
        forget(guard, guard->callers);
    free(guard);
}

/* Found or made, and last in order. */
static caller *caller_of(rc_peer_guard *guard, const rc_peer_caller *from)
{
    char *key = rc_format("%016" PRIx64 " %s", from->incarnation, from->name);
    caller *c;

    HASH_FIND_STR(guard->callers, key, c);
    if (c) {
        HASH_DEL(guard->callers, c);
        free(key);
    } else {
        if (HASH_COUNT(guard->callers) >= RC_PEER_CALLERS_MAX)
            forget(guard, guard->callers);
        c = rc_calloc(1, sizeof *c);
        c->key = key;
    }
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    HASH_ADD_KEYPTR(hh, guard->callers, c->key, strlen(c->key), c);
    return c;
}

static bool take_count(caller *c, uint64_t count)
{
    uint64_t *word = &c->seen[count % RC_PEER_WINDOW / 64];
    uint64_t bit = UINT64_C(1) << count % 64;

    if (count == 0 || (count <= c->highest && c->highest - count >= RC_PEER_WINDOW))
        return false;
    if (count > c->highest) {
        uint64_t from = count - c->highest > RC_PEER_WINDOW ? count - RC_PEER_WINDOW : c->highest;

        while (from++ < count) /* Ends: `count` itself is reached, not passed. */
            c->seen[from % RC_PEER_WINDOW / 64] &= ~(UINT64_C(1) << from % 64);
        c->highest = count;
    }
    if (*word & bit)
        return false;
    *word |= bit;
    return true;
}

/* ---- checking -------------------------------------------------------------------------------- */

static int damaged(rc_error *err)
{
    return rc_fail(err, OMC_EACCES,
                   "the header " RC_PEER_HEADER " is damaged or of another version; it is made by "
                   "workers, leave it out when you call by hand");
}

/* Takes "name=" and a number in `base` up to the next blank. */
static bool number_after(const char **at, const char *name, int base, uint64_t *ret)
{
    size_t len = strlen(name);
    char *end;

    if (strncmp(*at, name, len) != 0 || (*at)[len] == ' ' || (*at)[len] == '-')
        return false;
    *ret = strtoull(*at + len, &end, base);
    if (end == *at + len || *end != ' ' || end - *at > 40)
        return false;
    *at = end + 1;
    return true;
}

static bool parse(const char *value, rc_peer_caller *from, char mac[MAC_HEX + 1])
{
    const char *at = value;
    uint64_t version;

    if (!number_after(&at, "v=", 10, &version) || version != 1 ||
        !number_after(&at, "inc=", 16, &from->incarnation) ||
        !number_after(&at, "n=", 10, &from->count) || strncmp(at, "mac=", 4) != 0 ||
        strcspn(at + 4, " ") != MAC_HEX || strncmp(at + 4 + MAC_HEX, " from=", 6) != 0)
        return false;
    memcpy(mac, at + 4, MAC_HEX);
    mac[MAC_HEX] = '\0';
    from->name = at + 4 + MAC_HEX + 6;
    return from->name[0] && strlen(from->name) <= RC_PEER_NAME_MAX;
}

int rc_peer_check(rc_peer_guard *guard, const rc_peer_key *key, const char *value,
                  const rc_peer_call *call, omc_arena *arena, rc_peer_caller *ret, rc_error *err)
{
    char mac[MAC_HEX + 1];
    char wanted[MAC_HEX + 1];

    if (!parse(value, ret, mac))
        return damaged(err);
    mac_of(key, ret, call, wanted);
    if (CRYPTO_memcmp(mac, wanted, MAC_HEX) != 0)
        return rc_fail(err, OMC_EACCES,
                       "the signature of worker '%s' does not fit: give all workers the same "
                       "cluster.secret; if they have it, '%s' took this worker for an earlier "
                       "process of its name and will learn of it within seconds",
                       ret->name, ret->name);
    if (!take_count(caller_of(guard, ret), ret->count))
        return rc_fail(err, OMC_EACCES,
                       "this call of worker '%s' (number %" PRIu64 ") was taken before: somebody "
                       "repeats what was seen on the network, or it came very late",
                       ret->name, ret->count);
    ret->name = omc_copy(arena, ret->name, strlen(ret->name));
    return 0;
}
