/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Batches as bytes: a header (version, born time) and the messages one after another.
 *
 *   message = flags, [born: zigzag difference to the message before], [flag: zigzag],
 *             [body: length, bytes], [keys], [tags], [properties: count, (key, value)...]
 *
 * Numbers are LEB128. What is absent costs nothing, so a message that is only a body costs its
 * length and two or three bytes. Encoding is on the path of every record: no calls but memcpy.
 * Decoding sees bytes from a disk: every length is checked against what is left.
 */
#include "log/embedded/internal.h"

#include "base/encode.h"

enum {
    HAS_BODY = 1,
    HAS_KEYS = 2,
    HAS_TAGS = 4,
    HAS_PROPERTIES = 8,
    HAS_FLAG = 16,
    HAS_BORN = 32,
    KNOWN_FLAGS = 63
};

static inline uint64_t zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static inline int64_t unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static inline uint8_t *put_number(uint8_t *at, uint64_t v)
{
    while (v >= 0x80) {
        *at++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *at++ = (uint8_t)v;
    return at;
}

static inline uint8_t *put_slice(uint8_t *at, rc_slice s)
{
    at = put_number(at, s.len);
    if (s.len)
        memcpy(at, s.base, s.len);
    return at + s.len;
}

size_t rc_batch_bound(const rc_message *message)
{
    size_t n = RC_MESSAGE_OVERHEAD_MAX + message->body.len + message->keys.len + message->tags.len;

    for (size_t i = 0; i < message->property_count; i++)
        n += 20 + message->properties[i].key.len + message->properties[i].value.len;
    return n;
}

void rc_batch_header(uint8_t *at, int64_t born_ms)
{
    at[0] = RC_BATCH_VERSION;
    rc_put_be64(at + 1, (uint64_t)born_ms);
}

uint8_t *rc_batch_put(uint8_t *at, const rc_message *message, int64_t *born_ms)
{
    uint8_t *flags = at++;
    uint8_t has = 0;

    if (message->born_ms != *born_ms) {
        has |= HAS_BORN;
        at = put_number(at, zigzag((int64_t)((uint64_t)message->born_ms - (uint64_t)*born_ms)));
        *born_ms = message->born_ms;
    }
    if (message->flag) {
        has |= HAS_FLAG;
        at = put_number(at, zigzag(message->flag));
    }
    if (message->body.base) {
        has |= HAS_BODY;
        at = put_slice(at, message->body);
    }
    if (message->keys.base) {
        has |= HAS_KEYS;
        at = put_slice(at, message->keys);
    }
    if (message->tags.base) {
        has |= HAS_TAGS;
        at = put_slice(at, message->tags);
    }
    if (message->property_count) {
        has |= HAS_PROPERTIES;
        at = put_number(at, message->property_count);
        for (size_t i = 0; i < message->property_count; i++) {
            at = put_slice(at, message->properties[i].key);
            at = put_slice(at, message->properties[i].value);
        }
    }
    *flags = has;
    return at;
}

/* ---- decoding: false means that the bytes are wrong ----------------------------------------- */

static inline bool get_number(rc_batch_cursor *c, uint64_t *ret)
{
    uint64_t v = 0;

    if (c->at < c->end && *c->at < 0x80) { /* the usual case: one byte */
        *ret = *c->at++;
        return true;
    }
    for (unsigned shift = 0; shift < 64 && c->at < c->end; shift += 7) {
        uint8_t byte = *c->at++;

        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret = v;
            return true;
        }
    }
    return false;
}

static inline bool get_slice(rc_batch_cursor *c, rc_slice *ret)
{
    uint64_t len;

    if (!get_number(c, &len) || len > (uint64_t)(c->end - c->at))
        return false;
    *ret = omc_slice_of((const char *)c->at, (size_t)len);
    c->at += len;
    return true;
}

/* A pair takes two bytes at least, so the count is bounded before memory is taken for it. */
static bool get_properties(rc_batch_cursor *c, rc_message *ret, omc_arena *arena)
{
    omc_pair *pairs;
    uint64_t count;

    if (!get_number(c, &count) || count > (uint64_t)(c->end - c->at) / 2)
        return false;
    if (count == 0)
        return true;
    pairs = omc_alloc(arena, (size_t)count * sizeof *pairs);
    for (size_t i = 0; i < count; i++)
        if (!get_slice(c, &pairs[i].key) || !get_slice(c, &pairs[i].value))
            return false;
    ret->properties = pairs;
    ret->property_count = (size_t)count;
    return true;
}

static bool skip_properties(rc_batch_cursor *c)
{
    rc_slice ignored;
    uint64_t count;

    if (!get_number(c, &count) || count > (uint64_t)(c->end - c->at) / 2)
        return false;
    for (uint64_t i = 0; i < count * 2; i++)
        if (!get_slice(c, &ignored))
            return false;
    return true;
}

static int bad(rc_error *err)
{
    return rc_fail(err, OMC_EFORMAT, "the bytes of a batch are not in our form");
}

int rc_batch_begin(rc_batch_cursor *cursor, const void *bytes, size_t len, rc_error *err)
{
    const uint8_t *at = bytes;

    if (len < RC_BATCH_HEADER)
        return bad(err);
    if (at[0] != RC_BATCH_VERSION)
        return rc_fail(err, OMC_EFORMAT,
                       "batch of format %d, this version reads format %d: it was written by a "
                       "later version",
                       at[0], RC_BATCH_VERSION);
    cursor->born_ms = 0;
    for (int i = 1; i < RC_BATCH_HEADER; i++)
        cursor->born_ms = (int64_t)((uint64_t)cursor->born_ms << 8 | at[i]);
    cursor->at = at + RC_BATCH_HEADER;
    cursor->end = at + len;
    return 0;
}

static inline bool get_start(rc_batch_cursor *c, uint8_t *has, int64_t *flag)
{
    uint64_t v;

    if (c->at >= c->end || (*c->at & ~KNOWN_FLAGS))
        return false;
    *has = *c->at++;
    *flag = 0;
    if (*has & HAS_BORN) {
        if (!get_number(c, &v))
            return false;
        c->born_ms = (int64_t)((uint64_t)c->born_ms + (uint64_t)unzigzag(v));
    }
    if (*has & HAS_FLAG) {
        if (!get_number(c, &v))
            return false;
        *flag = unzigzag(v);
        if (*flag < INT32_MIN || *flag > INT32_MAX)
            return false;
    }
    return true;
}

int rc_batch_next(rc_batch_cursor *cursor, rc_message *ret, omc_arena *arena, rc_error *err)
{
    const rc_slice none = {NULL, 0};
    uint8_t has;
    int64_t flag;

    ret->body = ret->keys = ret->tags = none;
    ret->properties = NULL;
    ret->property_count = 0;
    if (!get_start(cursor, &has, &flag) || ((has & HAS_BODY) && !get_slice(cursor, &ret->body)) ||
        ((has & HAS_KEYS) && !get_slice(cursor, &ret->keys)) ||
        ((has & HAS_TAGS) && !get_slice(cursor, &ret->tags)) ||
        ((has & HAS_PROPERTIES) && !get_properties(cursor, ret, arena)))
        return bad(err);
    ret->born_ms = cursor->born_ms;
    ret->flag = (int32_t)flag;
    return 0;
}

int rc_batch_skip(rc_batch_cursor *cursor, rc_error *err)
{
    rc_slice ignored;
    uint8_t has;
    int64_t flag;

    if (!get_start(cursor, &has, &flag) || ((has & HAS_BODY) && !get_slice(cursor, &ignored)) ||
        ((has & HAS_KEYS) && !get_slice(cursor, &ignored)) ||
        ((has & HAS_TAGS) && !get_slice(cursor, &ignored)) ||
        ((has & HAS_PROPERTIES) && !skip_properties(cursor)))
        return bad(err);
    return 0;
}
