/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The replacement rules matter: Java hashes and prints text after replacing what is no UTF-8, so
 * queue selection by hash agrees with Java's only when the count of replacements does. Java keeps
 * a surrogate written in three bytes together as one replacement, unlike the web's rule.
 */
#include "base/utf8.h"

uint32_t rc_utf8_next(const uint8_t **at, const uint8_t *end)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    uint8_t first = *(*at)++;
    unsigned more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
    uint32_t code = first & (0x3Fu >> more);

    if (first < 0x80)
        return first;
    if (first < 0xC2 || first > 0xF4)
        return RC_UTF8_REPLACEMENT;
    for (unsigned i = 0; i < more; i++) {
        if (*at == end || (**at & 0xC0) != 0x80)
            return RC_UTF8_REPLACEMENT;
        code = code << 6 | (**at & 0x3Fu);
        /* The second byte already shows overlong forms and characters that do not exist. */
        if (i == 0) {
            uint32_t low = code << 6 * (more - 1), high = low | ((1u << 6 * (more - 1)) - 1);

            if (high < least[more] || low > 0x10FFFF)
                return RC_UTF8_REPLACEMENT;
        }
        (*at)++;
    }
    return code >= 0xD800 && code <= 0xDFFF ? RC_UTF8_REPLACEMENT : code;
}

size_t rc_utf8_put(uint32_t code, char *out)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xC0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xE0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3F));
        out[2] = (char)(0x80 | (code & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3F));
    out[2] = (char)(0x80 | (code >> 6 & 0x3F));
    out[3] = (char)(0x80 | (code & 0x3F));
    return 4;
}

int32_t rc_java_hash(rc_slice text)
{
    const uint8_t *at = (const uint8_t *)text.base;
    const uint8_t *end = text.len ? at + text.len : at;
    uint32_t hash = 0;

    while (at != end) {
        uint32_t code = rc_utf8_next(&at, end);

        if (code >= 0x10000) { /* two UTF-16 units */
            hash = hash * 31 + (0xD800 + ((code - 0x10000) >> 10));
            code = 0xDC00 | (code & 0x3FF);
        }
        hash = hash * 31 + code;
    }
    return (int32_t)hash;
}
