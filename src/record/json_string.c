/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strings, comments and errors of the JSON reader. A string is scanned eight bytes at a time for
 * its end; only one with escapes is copied.
 */
#include "record/json_reader.h"

#include "base/utf8.h"

/* ---- errors -------------------------------------------------------------------------------- */

int rc_json_fail_at(rc_json_reader *rd, const char *at, const char *expected)
{
    size_t line = 1, column = 1;
    char got[24];

    for (const char *p = rd->start; p < at; p++) {
        if (*p == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)*p & 0xC0) != 0x80) {
            column++;
        }
    }
    if (at == rd->end)
        (void)snprintf(got, sizeof got, "the end of the text");
    else if (*at > ' ' && *at < 0x7F)
        (void)snprintf(got, sizeof got, "'%c'", *at);
    else
        (void)snprintf(got, sizeof got, "byte 0x%02X", (unsigned char)*at);
    return rc_fail(rd->err, OMC_EFORMAT, "line %zu, column %zu: expected %s, got %s", line, column,
                   expected, got);
}

int rc_json_fail(rc_json_reader *rd, const char *expected)
{
    return rc_json_fail_at(rd, rd->at, expected);
}

/* ---- white space ----------------------------------------------------------------------------- */

bool rc_json_skip_comment(rc_json_reader *rd)
{
    const char *at = rd->at;

    if (rd->end - at < 2 || at[0] != '/' || (at[1] != '/' && at[1] != '*'))
        return false;
    if (at[1] == '/') {
        const char *line = memchr(at, '\n', (size_t)(rd->end - at));

        rd->at = line ? line + 1 : rd->end;
        return true;
    }
    for (at += 2; rd->end - at >= 2; at++)
        if (at[0] == '*' && at[1] == '/') {
            rd->at = at + 2;
            return true;
        }
    return false;
}

/* ---- strings --------------------------------------------------------------------------------- */

#define ONES (~(uint64_t)0 / 255)

/** Marks bytes below 0x20, quotes and backslashes; only the lowest mark is exact. */
static inline uint64_t mark_special(uint64_t x)
{
    uint64_t quote = x ^ ONES * '"', slash = x ^ ONES * '\\';

    return (((x - ONES * 0x20) & ~x) | ((quote - ONES) & ~quote) | ((slash - ONES) & ~slash)) &
           ONES * 0x80;
}

/** First byte at or behind `at` that ends a plain run: the quote, a backslash or a control. */
static inline const char *plain_end(const char *at, const char *end, char quote)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    while (quote == '"' && end - at >= 8) {
        uint64_t x, marks;

        memcpy(&x, at, 8);
        marks = mark_special(x);
        if (marks)
            return at + (__builtin_ctzll(marks) >> 3);
        at += 8;
    }
#endif
    while (at < end && *at != quote && *at != '\\' && (unsigned char)*at >= 0x20)
        at++;
    return at;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/** Four hex digits at `at`, or -1. */
static int32_t hex4(const char *at, const char *end)
{
    int32_t code = 0;

    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(at[i]);

        if (digit < 0)
            return -1;
        code = code << 4 | digit;
    }
    return code;
}

/** \uXXXX at `at` (behind the u), with its second half if it is a pair. *ret_code is never a
 *  surrogate. Returns the place behind, or NULL. */
static const char *read_unicode(const char *at, const char *end, uint32_t *ret_code)
{
    int32_t code = hex4(at, end), low;

    if (code < 0)
        return NULL;
    at += 4;
    *ret_code = (uint32_t)code;
    if (code < 0xD800 || code > 0xDFFF)
        return at;
    *ret_code = RC_UTF8_REPLACEMENT;
    if (code >= 0xDC00 || end - at < 6 || at[0] != '\\' || at[1] != 'u')
        return at;
    low = hex4(at + 2, end);
    if (low < 0xDC00 || low > 0xDFFF)
        return at;
    *ret_code = 0x10000 + ((uint32_t)(code - 0xD800) << 10) + (uint32_t)(low - 0xDC00);
    return at + 6;
}

/** What stands for the escape letter `c`, or 0. */
static char escaped(char c, bool lenient)
{
    switch (c) {
    case '"':
    case '\\':
    case '/':
        return c;
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case '\'':
        return lenient ? c : '\0';
    default:
        return '\0';
    }
}

/** One escape at rd->at (the backslash); appends at `out`. Returns the new end, or NULL. */
static char *read_escape(rc_json_reader *rd, char *out)
{
    const char *at = rd->at + 1;
    uint32_t code;
    char c;

    if (at < rd->end && *at == 'u') {
        at = read_unicode(at + 1, rd->end, &code);
        if (!at) {
            (void)rc_json_fail(rd, "\\u with four hex digits");
            return NULL;
        }
        rd->at = at;
        return out + rc_utf8_put(code, out);
    }
    c = at < rd->end ? escaped(*at, rd->lenient) : '\0';
    if (!c) {
        rd->at = at;
        (void)rc_json_fail(rd, "one of \" \\ / b f n r t u after a backslash");
        return NULL;
    }
    rd->at = at + 1;
    *out = c;
    return out + 1;
}

const char *rc_json_closing_quote(const rc_json_reader *rd, const char *at, char quote)
{
    for (;; at++) {
        at = plain_end(at, rd->end, quote);
        if (at == rd->end)
            return NULL;
        if (*at == quote)
            return at;
        if (*at == '\\' && ++at == rd->end)
            return NULL;
    }
}

/** The rest of a string with escapes, whose inside begins at `inside`, into the arena. */
static int read_escaped(rc_json_reader *rd, const char *inside, char quote, rc_slice *ret)
{
    const char *close = rc_json_closing_quote(rd, rd->at, quote);
    char *text, *out;

    if (!close)
        return rc_json_fail_at(rd, rd->end, "a closing quote");
    /* Escapes are never shorter than what they stand for. */
    text = out = omc_alloc(rd->arena, (size_t)(close - inside) + 1);
    for (const char *from = inside;;) {
        size_t run = (size_t)(rd->at - from);

        memcpy(out, from, run);
        out += run;
        if (*rd->at == quote)
            break;
        if (*rd->at == '\\') {
            out = read_escape(rd, out);
            if (!out)
                return -OMC_EFORMAT;
            from = rd->at;
        } else if (rd->lenient) {
            from = rd->at++;
        } else {
            return rc_json_fail(rd, "an escape such as \\n for a control character");
        }
        rd->at = plain_end(rd->at, rd->end, quote);
        if (rd->at == rd->end)
            return rc_json_fail(rd, "a closing quote");
    }
    *out = '\0';
    *ret = omc_slice_of(text, (size_t)(out - text));
    rd->at++;
    return 0;
}

int rc_json_read_string(rc_json_reader *rd, rc_slice *ret)
{
    char quote = *rd->at;
    const char *inside = ++rd->at;

    rd->at = plain_end(inside, rd->end, quote);
    if (json_next_is(rd, quote)) {
        *ret = omc_slice_of(inside, (size_t)(rd->at - inside));
        rd->at++;
        return 0;
    }
    if (rd->at == rd->end)
        return rc_json_fail(rd, "a closing quote");
    return read_escaped(rd, inside, quote, ret);
}
