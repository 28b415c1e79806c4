/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Big-endian integers at an address whose bounds the caller has checked. Inline, because several
 * of them stand between two messages of a pull. Private to this room.
 */
#ifndef RMQ_BYTES_H
#define RMQ_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t rmq_be16(const void *at)
{
    uint16_t v;

    memcpy(&v, at, sizeof v);
    return __builtin_bswap16(v);
}

static inline uint32_t rmq_be32(const void *at)
{
    uint32_t v;

    memcpy(&v, at, sizeof v);
    return __builtin_bswap32(v);
}

static inline uint64_t rmq_be64(const void *at)
{
    uint64_t v;

    memcpy(&v, at, sizeof v);
    return __builtin_bswap64(v);
}

/** These write and return the address behind. */
static inline uint8_t *rmq_put16(uint8_t *at, uint16_t v)
{
    v = __builtin_bswap16(v);
    memcpy(at, &v, sizeof v);
    return at + sizeof v;
}

static inline uint8_t *rmq_put32(uint8_t *at, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(at, &v, sizeof v);
    return at + sizeof v;
}

static inline uint8_t *rmq_put_bytes(uint8_t *at, const void *bytes, size_t n)
{
    if (n)
        memcpy(at, bytes, n);
    return at + n;
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the swaps above take this for granted");

#endif
