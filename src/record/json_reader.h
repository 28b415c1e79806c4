/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Inside of the JSON reader: its state, and the small steps that its two files share. What runs
 * per byte is inline.
 */
#ifndef RC_RECORD_JSON_READER_H
#define RC_RECORD_JSON_READER_H

#include "record/json.h"

/** One text being read. */
typedef struct rc_json_reader {
    const char *start, *at, *end;
    bool lenient;
    omc_arena *arena;
    rc_error *err;
    omc_value *stack;
    size_t count, capacity;
    omc_value first_stack[48];
} rc_json_reader;

/** "line 3, column 14: expected <what>, got 'x'", about the byte at `at`. Columns count characters.
 *  Returns -OMC_EFORMAT. */
int rc_json_fail_at(rc_json_reader *rd, const char *at, const char *expected);
/** The same about the next byte. */
int rc_json_fail(rc_json_reader *rd, const char *expected);
/** Skips one comment at the next byte; false when there is none (or it never ends). */
bool rc_json_skip_comment(rc_json_reader *rd);
/** The closing quote of a string whose inside begins at `at`, or NULL. */
const char *rc_json_closing_quote(const rc_json_reader *rd, const char *at, char quote);
/** Reads the string whose opening quote is the next byte. */
int rc_json_read_string(rc_json_reader *rd, rc_slice *ret);

static inline bool json_is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline void json_skip_space(rc_json_reader *rd)
{
    for (;;) {
        while (rd->at < rd->end && json_is_space(*rd->at))
            rd->at++;
        if (!rd->lenient || !rc_json_skip_comment(rd))
            return;
    }
}

static inline bool json_next_is(const rc_json_reader *rd, char c)
{
    return rd->at < rd->end && *rd->at == c;
}

#endif
