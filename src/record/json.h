/* SPDX-License-Identifier: Apache-2.0 */
/**
 * JSON to values and back; ours, because numbers keep their text (1.10 stays 1.10, 1e400 stays
 * 1e400) and because it is on the path of every JSON record. Any thread.
 *
 * Reading: object -> MAP with STRING keys in order (a key given twice: the last one wins, as in
 * the Java runtime), array -> ARRAY, number -> NUMBER_TEXT, string -> STRING, true/false, null.
 * RFC 8259 strictly, plus what RC_JSON_LENIENT allows. Strings without escapes borrow from the
 * text. Invalid UTF-8 inside strings is kept as it is; an unpaired \uD8xx becomes U+FFFD.
 */
#ifndef RC_JSON_H
#define RC_JSON_H

#include "base/arena.h"
#include "base/buf.h"

#define RC_JSON_DEPTH_MAX 128

enum rc_json_flags {
    /** What fastjson accepts in connector configurations: single quotes, unquoted names,
        superfluous commas, comments. */
    RC_JSON_LENIENT = 1
};

/**
 * Reads one JSON text with nothing but white space behind it.
 * @param arena  Holds the tree; the result borrows from `text` too.
 * @return 0 or -OMC_EFORMAT: "line 3, column 14: expected ',' or '}' after a member, got 'x'".
 */
int rc_json_read(rc_slice text, unsigned flags, omc_arena *arena, omc_value *ret, rc_error *err);

enum rc_json_write_flags {
    RC_JSON_CANONICAL = 1,   /**< Keys sorted by bytes: equal maps give equal text. */
    RC_JSON_SORT_NO_TEXT = 2 /**< Do not prefer the kept text of numbers. */
};

/**
 * Appends a value as compact JSON. BYTES are written as base64, DATETIME as a number, STRUCT as
 * an object, NaN and infinities as null, map keys that are not strings as their text; control
 * characters are escaped; bytes that are not UTF-8 become U+FFFD. Overflow of `out` shows there.
 */
void rc_json_write(const omc_value *value, unsigned flags, rc_buf *out);
/** Appends a quoted, escaped string. */
void rc_json_write_string(rc_slice text, rc_buf *out);

/** A map (partition, offset) as canonical JSON in the arena, NUL-terminated. */
rc_slice rc_json_of_map(const omc_map *map, omc_arena *arena);
/** The full offset map of a position (offset plus counter) as canonical JSON in the arena. */
rc_slice rc_json_of_offset(const omc_position *position, omc_arena *arena);
/** Reads a JSON object as a map; other values are -OMC_EFORMAT. */
int rc_json_to_map(rc_slice text, omc_arena *arena, const omc_map **ret, rc_error *err);

#endif
