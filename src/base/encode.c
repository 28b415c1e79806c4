/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Foreign bytes are read only through the cursor, which checks every step and remembers the
 * first step too far. CRC-32C uses the processor's instruction where there is one and eight
 * tables elsewhere; both give the same values (polynomial 0x1EDC6F41, reflected).
 */
#include "base/encode.h"

#include <openssl/evp.h>
#include <pthread.h>

/* ---- cursor ------------------------------------------------------------------------------- */

/* The next `n` bytes, or NULL at the end. */
static const uint8_t *cursor_take(rc_cursor *c, size_t n)
{
    const uint8_t *at = c->at;

    if (c->bad || (size_t)(c->end - at) < n) {
        c->bad = true;
        return NULL;
    }
    c->at += n;
    return at;
}

/* `n` bytes as a big-endian number. */
static uint64_t cursor_be(rc_cursor *c, size_t n)
{
    const uint8_t *at = cursor_take(c, n);
    uint64_t v = 0;

    for (size_t i = 0; at && i < n; i++)
        v = v << 8 | at[i];
    return v;
}

uint8_t rc_get_u8(rc_cursor *c)
{
    return (uint8_t)cursor_be(c, 1);
}

uint16_t rc_get_be16(rc_cursor *c)
{
    return (uint16_t)cursor_be(c, 2);
}

uint32_t rc_get_be32(rc_cursor *c)
{
    return (uint32_t)cursor_be(c, 4);
}

uint64_t rc_get_be64(rc_cursor *c)
{
    return cursor_be(c, 8);
}

uint64_t rc_get_varint(rc_cursor *c)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 70; shift += 7) {
        const uint8_t *at = cursor_take(c, 1);

        if (!at)
            return 0;
        if (shift == 63 && *at > 1)
            break; /* More than 64 bits. */
        v |= (uint64_t)(*at & 0x7Fu) << shift;
        if (!(*at & 0x80u))
            return v;
    }
    c->bad = true;
    return 0;
}

rc_slice rc_get_bytes(rc_cursor *c, size_t n)
{
    const uint8_t *at = cursor_take(c, n);

    return omc_slice_of((const char *)at, at ? n : 0);
}

static void put_be(void *at, uint64_t v, size_t n)
{
    uint8_t *out = at;

    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
}

void rc_put_be16(void *at, uint16_t v)
{
    put_be(at, v, 2);
}

void rc_put_be32(void *at, uint32_t v)
{
    put_be(at, v, 4);
}

void rc_put_be64(void *at, uint64_t v)
{
    put_be(at, v, 8);
}

size_t rc_put_varint(void *at, uint64_t v)
{
    uint8_t *out = at;
    size_t n = 0;

    while (v >= 0x80u) {
        out[n++] = (uint8_t)(v | 0x80u);
        v >>= 7;
    }
    out[n++] = (uint8_t)v;
    return n;
}

/* ---- CRC-32C ------------------------------------------------------------------------------ */

static uint32_t crc_tables[8][256];
static pthread_once_t crc_once = PTHREAD_ONCE_INIT;

static void crc_make_tables(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;

        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1u ? 0x82F63B78u : 0u);
        crc_tables[0][i] = crc;
    }
    for (size_t t = 1; t < 8; t++)
        for (size_t i = 0; i < 256; i++)
            crc_tables[t][i] =
                crc_tables[t - 1][i] >> 8 ^ crc_tables[0][crc_tables[t - 1][i] & 0xFFu];
}

uint32_t rc_crc32c_portable(uint32_t seed, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    uint32_t crc = ~seed;

    pthread_once(&crc_once, crc_make_tables);
    for (; len >= 8; at += 8, len -= 8) {
        crc ^=
            (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
        crc = crc_tables[7][crc & 0xFFu] ^ crc_tables[6][crc >> 8 & 0xFFu] ^
              crc_tables[5][crc >> 16 & 0xFFu] ^ crc_tables[4][crc >> 24] ^ crc_tables[3][at[4]] ^
              crc_tables[2][at[5]] ^ crc_tables[1][at[6]] ^ crc_tables[0][at[7]];
    }
    for (; len > 0; at++, len--)
        crc = crc >> 8 ^ crc_tables[0][(crc ^ *at) & 0xFFu];
    return ~crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t crc_sse42(uint32_t seed, const void *bytes,
                                                            size_t len)
{
    const uint8_t *at = bytes;
    uint64_t crc = (uint32_t)~seed;

    for (; len >= 8; at += 8, len -= 8) {
        uint64_t word;

        memcpy(&word, at, sizeof word);
        crc = _mm_crc32_u64(crc, word);
    }
    for (; len > 0; at++, len--)
        crc = _mm_crc32_u8((uint32_t)crc, *at);
    return ~(uint32_t)crc;
}

uint32_t rc_crc32c(uint32_t seed, const void *bytes, size_t len)
{
    return __builtin_cpu_supports("sse4.2") ? crc_sse42(seed, bytes, len)
                                            : rc_crc32c_portable(seed, bytes, len);
}
#else
uint32_t rc_crc32c(uint32_t seed, const void *bytes, size_t len)
{
    return rc_crc32c_portable(seed, bytes, len);
}
#endif

/* ---- base64 ------------------------------------------------------------------------------- */

#define BASE64_STEP ((size_t)3 << 20) /* OpenSSL counts in int; a multiple of 3. */

rc_slice rc_base64_encode(omc_arena *arena, rc_slice bytes)
{
    size_t size = (bytes.len + 2) / 3 * 4;
    unsigned char *out = omc_alloc(arena, size + 1);
    size_t used = 0;

    RC_ASSERT(bytes.len < SIZE_MAX / 2);
    out[0] = '\0';
    for (size_t done = 0; done < bytes.len; done += BASE64_STEP) {
        size_t n = RC_MIN(bytes.len - done, BASE64_STEP);

        used +=
            (size_t)EVP_EncodeBlock(out + used, (const unsigned char *)bytes.base + done, (int)n);
    }
    RC_ASSERT(used == size);
    return omc_slice_of((char *)out, size);
}

/* Six bits of a base64 letter, or -1. */
static int base64_bits(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/*
 * OpenSSL's decoder trims blanks, takes '=' anywhere in the last group and ignores bits that no
 * encoder sets, so the text is checked first. @return the count of '=', or -1.
 */
static int base64_check(rc_slice text)
{
    size_t pad = 0;
    int last = 0;

    if (text.len % 4 != 0)
        return -1;
    while (pad < 2 && pad < text.len && text.base[text.len - 1 - pad] == '=')
        pad++;
    for (size_t i = 0; i < text.len - pad; i++) {
        last = base64_bits(text.base[i]);
        if (last < 0)
            return -1;
    }
    if ((pad == 1 && (last & 3) != 0) || (pad == 2 && (last & 15) != 0))
        return -1;
    return (int)pad;
}

int rc_base64_decode(omc_arena *arena, rc_slice text, rc_slice *ret)
{
    int pad = base64_check(text);
    size_t size = text.len / 4 * 3;
    unsigned char *out;
    size_t used = 0;

    if (pad < 0)
        return -OMC_EFORMAT;
    out = omc_alloc(arena, size + 1);
    for (size_t done = 0; done < text.len; done += 4 * BASE64_STEP / 3) {
        size_t n = RC_MIN(text.len - done, 4 * BASE64_STEP / 3);
        int got = EVP_DecodeBlock(out + used, (const unsigned char *)text.base + done, (int)n);

        RC_ASSERT(got >= 0);
        used += (size_t)got;
    }
    RC_ASSERT(used == size);
    out[size - (size_t)pad] = '\0';
    *ret = omc_slice_of((char *)out, size - (size_t)pad);
    return 0;
}

/* ---- UTF-8 -------------------------------------------------------------------------------- */

/* Length of the character at `at` with `left` bytes behind it (RFC 3629, table 3-7), or 0. */
static size_t utf8_step(const uint8_t *at, size_t left)
{
    uint8_t low = 0x80;
    uint8_t high = 0xBF;
    size_t n;

    if (at[0] < 0x80)
        return 1;
    if (at[0] < 0xC2 || at[0] > 0xF4)
        return 0; /* Continuation, overlong, or above U+10FFFF. */
    n = at[0] < 0xE0 ? 2 : at[0] < 0xF0 ? 3 : 4;
    if (left < n)
        return 0;
    if (at[0] == 0xE0)
        low = 0xA0; /* Overlong. */
    else if (at[0] == 0xED)
        high = 0x9F; /* Surrogates. */
    else if (at[0] == 0xF0)
        low = 0x90; /* Overlong. */
    else if (at[0] == 0xF4)
        high = 0x8F; /* Above U+10FFFF. */
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((at[i] & 0xC0u) != 0x80u)
            return 0;
    return n;
}

bool rc_utf8_valid(rc_slice text)
{
    const uint8_t *at = (const uint8_t *)text.base;
    size_t left = text.len;

    while (left > 0) {
        uint64_t word;
        size_t n;

        if (left >= sizeof word) {
            memcpy(&word, at, sizeof word);
            if (!(word & 0x8080808080808080u)) {
                at += sizeof word;
                left -= sizeof word;
                continue;
            }
        }
        n = utf8_step(at, left);
        if (n == 0)
            return false;
        at += n;
        left -= n;
    }
    return true;
}
