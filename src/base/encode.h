/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Bytes on disk and wire: big-endian and varint writers, a read cursor that remembers overrun,
 * CRC-32C, base64 and UTF-8 checks. Any thread.
 */
#ifndef RC_ENCODE_H
#define RC_ENCODE_H

#include "base/arena.h"
#include "base/buf.h"

/** Reads from foreign bytes; after a read past the end all reads give 0 and `bad` is set. */
typedef struct rc_cursor {
    const uint8_t *at;
    const uint8_t *end;
    bool bad;
} rc_cursor;

static inline rc_cursor rc_cursor_of(const void *bytes, size_t len)
{
    rc_cursor c = {(const uint8_t *)bytes, (const uint8_t *)bytes + len, false};
    return c;
}
uint8_t rc_get_u8(rc_cursor *c);
uint16_t rc_get_be16(rc_cursor *c);
uint32_t rc_get_be32(rc_cursor *c);
uint64_t rc_get_be64(rc_cursor *c);
uint64_t rc_get_varint(rc_cursor *c); /**< LEB128, at most 10 bytes. */
rc_slice rc_get_bytes(rc_cursor *c, size_t n);

void rc_put_be16(void *at, uint16_t v);
void rc_put_be32(void *at, uint32_t v);
void rc_put_be64(void *at, uint64_t v);
/** Writes LEB128 at `at` (10 bytes of room); returns the bytes used. */
size_t rc_put_varint(void *at, uint64_t v);

/** CRC-32C; `seed` 0 to start, or the value so far. Uses SSE4.2 where there is one. */
uint32_t rc_crc32c(uint32_t seed, const void *bytes, size_t len);
/** The same without special instructions; where the above falls back to. */
uint32_t rc_crc32c_portable(uint32_t seed, const void *bytes, size_t len);

/** Standard base64 with padding, in the arena. */
rc_slice rc_base64_encode(omc_arena *arena, rc_slice bytes);
/** 0 or -OMC_EFORMAT. */
int rc_base64_decode(omc_arena *arena, rc_slice text, rc_slice *ret);

bool rc_utf8_valid(rc_slice text);

#endif
