/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Reads .properties as java.util.Properties.load does: natural lines are joined to logical ones
 * where an odd number of backslashes ends a line, the key ends at the first '=', ':' or blank
 * that is not escaped, and blanks at the end of a value stay. What Java accepts but nobody means
 * (a key given twice, an empty key, a NUL, half a surrogate pair) is refused with its line.
 */
#include "config/properties.h"

#include "base/encode.h"
#include "base/file.h"

#include <stdarg.h>
#include <stdio.h>

struct reader {
    const char *name;
    const char *at;
    const char *end;
    int line;       /* Of `at`, from 1. */
    int first_line; /* Of the logical line being read. */
    omc_arena *arena;
    rc_error *err;
};

static int refuse(const struct reader *r, int line, const char *fmt, ...) OMC_PRINTF(3, 4);

static int refuse(const struct reader *r, int line, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return rc_fail(r->err, OMC_EINVAL, "%s:%d: %s", r->name, line, text);
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\f';
}

static bool newline(char c)
{
    return c == '\n' || c == '\r';
}

static void skip_blanks(struct reader *r)
{
    while (r->at < r->end && blank(*r->at))
        r->at++;
}

/* Steps over "\n", "\r" or "\r\n". */
static void skip_newline(struct reader *r)
{
    bool cr = *r->at == '\r';

    r->at++;
    if (cr && r->at < r->end && *r->at == '\n')
        r->at++;
    r->line++;
}

/* Moves to the start of the next logical line. @return false at the end. */
static bool next_line(struct reader *r)
{
    for (;;) {
        skip_blanks(r);
        if (r->at == r->end)
            return false;
        if (*r->at == '#' || *r->at == '!')
            while (r->at < r->end && !newline(*r->at))
                r->at++;
        else if (!newline(*r->at))
            return true;
        if (r->at < r->end)
            skip_newline(r);
    }
}

/* Four hex digits behind "\u". @return the unit, or -1. */
static int32_t hex4(struct reader *r)
{
    int32_t unit = 0;

    if (r->end - r->at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = *r->at++;
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;

        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static void add_utf8(rc_buf *out, uint32_t c)
{
    if (c < 0x80) {
        rc_buf_char(out, (char)c);
    } else if (c < 0x800) {
        rc_buf_char(out, (char)(0xC0u | c >> 6));
        rc_buf_char(out, (char)(0x80u | (c & 0x3Fu)));
    } else if (c < 0x10000) {
        rc_buf_char(out, (char)(0xE0u | c >> 12));
        rc_buf_char(out, (char)(0x80u | (c >> 6 & 0x3Fu)));
        rc_buf_char(out, (char)(0x80u | (c & 0x3Fu)));
    } else {
        rc_buf_char(out, (char)(0xF0u | c >> 18));
        rc_buf_char(out, (char)(0x80u | (c >> 12 & 0x3Fu)));
        rc_buf_char(out, (char)(0x80u | (c >> 6 & 0x3Fu)));
        rc_buf_char(out, (char)(0x80u | (c & 0x3Fu)));
    }
}

/* What follows "\u": one UTF-16 unit, or two that make one character. */
static int read_unicode(struct reader *r, rc_buf *out)
{
    int32_t unit = hex4(r);
    int32_t low;

    if (unit < 0)
        return refuse(r, r->line, "\\u needs four hexadecimal digits behind it");
    if (unit == 0)
        return refuse(r, r->line, "\\u0000 is not allowed");
    if (unit < 0xD800 || unit > 0xDFFF) {
        add_utf8(out, (uint32_t)unit);
        return 0;
    }
    if (unit < 0xDC00 && r->end - r->at >= 6 && r->at[0] == '\\' && r->at[1] == 'u') {
        r->at += 2;
        low = hex4(r);
        if (low >= 0xDC00 && low <= 0xDFFF) {
            add_utf8(out, 0x10000u + ((uint32_t)(unit - 0xD800) << 10) + (uint32_t)(low - 0xDC00));
            return 0;
        }
    }
    return refuse(r, r->line,
                  "\\u%04X is half of a character; write both halves, as in "
                  "\\uD83D\\uDE00",
                  (unsigned)unit);
}

/* What follows a backslash. A newline there joins the next line without its leading blanks. */
static int read_escape(struct reader *r, rc_buf *out)
{
    char c;

    if (r->at == r->end)
        return 0; /* Java drops a backslash at the very end. */
    if (newline(*r->at)) {
        skip_newline(r);
        skip_blanks(r);
        return 0;
    }
    c = *r->at++;
    switch (c) {
    case 'u':
        return read_unicode(r, out);
    case 't':
        rc_buf_char(out, '\t');
        return 0;
    case 'n':
        rc_buf_char(out, '\n');
        return 0;
    case 'r':
        rc_buf_char(out, '\r');
        return 0;
    case 'f':
        rc_buf_char(out, '\f');
        return 0;
    case '\0':
        return refuse(r, r->line, "a NUL byte; is this a text file?");
    default:
        rc_buf_char(out, c);
        return 0;
    }
}

/* Joins continued lines that come where a blank may stand. */
static void skip_blanks_and_joins(struct reader *r)
{
    skip_blanks(r);
    while (r->end - r->at >= 2 && r->at[0] == '\\' && newline(r->at[1])) {
        r->at++;
        skip_newline(r);
        skip_blanks(r);
    }
}

/* Reads up to a separator (`key`) or the end of the line into `out`. */
static int read_part(struct reader *r, bool key, rc_buf *out)
{
    while (r->at < r->end && !newline(*r->at)) {
        char c = *r->at;
        int failed;

        if (key && (c == '=' || c == ':' || blank(c)))
            break;
        r->at++;
        if (c == '\0')
            return refuse(r, r->line, "a NUL byte; is this a text file?");
        if (c != '\\') {
            rc_buf_char(out, c);
            continue;
        }
        failed = read_escape(r, out);
        if (failed < 0)
            return failed;
    }
    return 0;
}

/* One logical line; both texts come back in the arena. */
static int read_pair(struct reader *r, rc_buf *buf, rc_slice *ret_key, rc_slice *ret_value)
{
    int failed;

    r->first_line = r->line;
    rc_buf_clear(buf);
    failed = read_part(r, true, buf);
    if (failed < 0)
        return failed;
    if (buf->len == 0)
        return refuse(r, r->first_line, "no key before the value");
    *ret_key = rc_arena_slice(r->arena, rc_buf_slice(buf));
    skip_blanks_and_joins(r);
    if (r->at < r->end && (*r->at == '=' || *r->at == ':')) {
        r->at++;
        skip_blanks_and_joins(r);
    }
    rc_buf_clear(buf);
    failed = read_part(r, false, buf);
    if (failed < 0)
        return failed;
    if (r->at < r->end)
        skip_newline(r);
    *ret_value = rc_arena_slice(r->arena, rc_buf_slice(buf));
    return 0;
}

/* Line of the first pair with `key`: files are read again only to explain a failure. */
static int first_line_of(const struct reader *r, rc_slice text, rc_slice key)
{
    RC_AUTO(rc_buf) buf = &(rc_buf)RC_BUF(text.len * 2);
    struct reader again = {.name = r->name,
                           .at = text.base,
                           .end = text.base + text.len,
                           .line = 1,
                           .arena = r->arena};
    rc_slice found = {0};
    rc_slice value = {0};

    while (next_line(&again) && read_pair(&again, buf, &found, &value) == 0)
        if (omc_slice_eq(found, key))
            return again.first_line;
    return 0;
}

static int parse_utf8(struct reader *r, rc_slice text, const omc_keyvalue **ret)
{
    RC_AUTO(rc_buf) buf = &(rc_buf)RC_BUF(text.len * 2);
    rc_slice key = {0};
    rc_slice value = {0};
    rc_kv kv;

    rc_kv_init(&kv, r->arena);
    while (next_line(r)) {
        int failed = read_pair(r, buf, &key, &value);
        size_t before = kv.count;

        if (failed < 0)
            return failed;
        rc_kv_put(&kv, key, value);
        if (kv.count == before)
            return refuse(r, r->first_line,
                          "key '%.200s' is given twice, first on line %d; keep one of them",
                          key.base, first_line_of(r, text, key));
    }
    *ret = rc_kv_done(&kv);
    return 0;
}

/* ISO-8859-1 to UTF-8, in the arena. */
static rc_slice from_latin1(omc_arena *arena, rc_slice text)
{
    char *out = omc_alloc(arena, text.len * 2 + 1);
    size_t len = 0;

    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.base[i];

        if (c >= 0x80) {
            out[len++] = (char)(0xC0u | c >> 6);
            c = 0x80u | (c & 0x3Fu);
        }
        out[len++] = (char)c;
    }
    return omc_slice_of(out, len);
}

int rc_properties_parse(const char *name, rc_slice text, omc_arena *arena, const omc_keyvalue **ret,
                        rc_error *err)
{
    struct reader r = {.name = name, .line = 1, .arena = arena, .err = err};

    if (text.len > RC_CONFIG_FILE_MAX)
        return rc_fail(err, OMC_EINVAL, "%s: longer than %zu bytes", name, RC_CONFIG_FILE_MAX);
    if (!rc_utf8_valid(text))
        text = from_latin1(arena, text);
    if (text.len >= 3 && memcmp(text.base, "\xEF\xBB\xBF", 3) == 0)
        text = omc_slice_of(text.base + 3, text.len - 3);
    if (!text.base)
        text.base = "";
    r.at = text.base;
    r.end = text.base + text.len;
    return parse_utf8(&r, text, ret);
}

int rc_properties_load(const char *path, omc_arena *arena, const omc_keyvalue **ret, rc_error *err)
{
    RC_AUTO_FREE char *text = NULL;
    size_t len;
    int r = rc_file_read(path, RC_CONFIG_FILE_MAX, &text, &len, err);

    if (r < 0)
        return r;
    return rc_properties_parse(path, omc_slice_of(text, len), arena, ret, err);
}
