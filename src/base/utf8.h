/* SPDX-License-Identifier: Apache-2.0 */
/** UTF-8 one character at a time, with Java's rules for bytes that are none; Java's hash of text.
 *  Any thread. */
#ifndef RC_UTF8_H
#define RC_UTF8_H

#include "base/base.h"

#define RC_UTF8_REPLACEMENT 0xFFFDu

/**
 * Decodes the character at *at (which is before `end`) and moves behind it. Bytes that are no
 * UTF-8 give U+FFFD once per longest run that could have begun a character.
 */
uint32_t rc_utf8_next(const uint8_t **at, const uint8_t *end);
/** Writes a code point as UTF-8 at `out` (4 bytes of room); returns the bytes used. */
size_t rc_utf8_put(uint32_t code, char *out);

/** Java's String.hashCode() of UTF-8 text: over UTF-16 units; bytes that are no UTF-8 count as
 *  U+FFFD, as above. */
int32_t rc_java_hash(rc_slice text);

#endif
