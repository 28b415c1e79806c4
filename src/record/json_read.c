/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON reader: recursive descent over the bytes, no tokens in between. Children of a
 * container are collected on one growing stack and copied to the arena when their number is
 * known, so that every container is one allocation. Strings are scanned eight bytes at a time
 * and borrow from the text unless they hold escapes.
 */
#include "record/json.h"

#include "record/json_envelope.h"
#include "record/utf8.h"

#include <stdlib.h>

_Static_assert(sizeof(omc_entry) == 2 * sizeof(omc_value), "an entry is two values");

struct reader {
    const char *start, *at, *end;
    bool lenient;
    omc_arena *arena;
    rc_error *err;
    omc_value *stack;
    size_t count, capacity;
    omc_value first_stack[48];
};

static void reader_init(struct reader *rd, rc_slice text, unsigned flags, omc_arena *arena,
                        rc_error *err)
{
    rd->start = rd->at = text.base ? text.base : "";
    rd->end = rd->start + text.len;
    rd->lenient = (flags & RC_JSON_LENIENT) != 0;
    rd->arena = arena;
    rd->err = err;
    rd->stack = rd->first_stack;
    rd->count = 0;
    rd->capacity = RC_COUNT(rd->first_stack);
}

static void reader_release(struct reader *rd)
{
    if (rd->stack != rd->first_stack)
        free(rd->stack);
}

static void push(struct reader *rd, const omc_value *value)
{
    if (rd->count == rd->capacity) {
        omc_value *old = rd->stack == rd->first_stack ? NULL : rd->stack;
        omc_value *more = rc_realloc(old, 2 * rd->capacity * sizeof *more);

        if (!old)
            memcpy(more, rd->first_stack, sizeof rd->first_stack);
        rd->stack = more;
        rd->capacity *= 2;
    }
    rd->stack[rd->count++] = *value;
}

/* ---- errors -------------------------------------------------------------------------------- */

/** "line 3, column 14: expected <what>, got 'x'". Columns count characters. */
static int fail_at(struct reader *rd, const char *at, const char *expected)
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

static int fail(struct reader *rd, const char *expected)
{
    return fail_at(rd, rd->at, expected);
}

/* ---- white space --------------------------------------------------------------------------- */

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/** Skips one comment at `at`; false when there is none (or it never ends). */
static bool skip_comment(struct reader *rd)
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

static inline void skip_space(struct reader *rd)
{
    for (;;) {
        while (rd->at < rd->end && is_space(*rd->at))
            rd->at++;
        if (!rd->lenient || !skip_comment(rd))
            return;
    }
}

static inline bool next_is(const struct reader *rd, char c)
{
    return rd->at < rd->end && *rd->at == c;
}

/* ---- strings ------------------------------------------------------------------------------- */

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
static char *read_escape(struct reader *rd, char *out)
{
    const char *at = rd->at + 1;
    uint32_t code;
    char c;

    if (at < rd->end && *at == 'u') {
        at = read_unicode(at + 1, rd->end, &code);
        if (!at) {
            (void)fail(rd, "\\u with four hex digits");
            return NULL;
        }
        rd->at = at;
        return out + rc_utf8_put(code, out);
    }
    c = at < rd->end ? escaped(*at, rd->lenient) : '\0';
    if (!c) {
        rd->at = at;
        (void)fail(rd, "one of \" \\ / b f n r t u after a backslash");
        return NULL;
    }
    rd->at = at + 1;
    *out = c;
    return out + 1;
}

/** The closing quote of a string whose inside begins at `at`, or NULL. */
static const char *closing_quote(const struct reader *rd, const char *at, char quote)
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
static int read_escaped(struct reader *rd, const char *inside, char quote, rc_slice *ret)
{
    const char *close = closing_quote(rd, rd->at, quote);
    char *text, *out;

    if (!close)
        return fail_at(rd, rd->end, "a closing quote");
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
            return fail(rd, "an escape such as \\n for a control character");
        }
        rd->at = plain_end(rd->at, rd->end, quote);
        if (rd->at == rd->end)
            return fail(rd, "a closing quote");
    }
    *out = '\0';
    *ret = omc_slice_of(text, (size_t)(out - text));
    rd->at++;
    return 0;
}

/** A string at rd->at, which is its opening quote. */
static inline int read_string(struct reader *rd, rc_slice *ret)
{
    char quote = *rd->at;
    const char *inside = ++rd->at;

    rd->at = plain_end(inside, rd->end, quote);
    if (next_is(rd, quote)) {
        *ret = omc_slice_of(inside, (size_t)(rd->at - inside));
        rd->at++;
        return 0;
    }
    if (rd->at == rd->end)
        return fail(rd, "a closing quote");
    return read_escaped(rd, inside, quote, ret);
}

static inline bool at_quote(const struct reader *rd)
{
    return rd->at < rd->end && (*rd->at == '"' || (rd->lenient && *rd->at == '\''));
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$' || c == '.' || c == '-' || (unsigned char)c >= 0x80;
}

static int read_name(struct reader *rd, rc_slice *ret)
{
    const char *name = rd->at;

    if (at_quote(rd))
        return read_string(rd, ret);
    while (rd->lenient && rd->at < rd->end && is_name_byte(*rd->at))
        rd->at++;
    if (rd->at == name)
        return fail(rd, "a member name in quotes or '}'");
    *ret = omc_slice_of(name, (size_t)(rd->at - name));
    return 0;
}

/* ---- scalars ------------------------------------------------------------------------------- */

static bool skip_digits(struct reader *rd)
{
    const char *from = rd->at;

    while (rd->at < rd->end && *rd->at >= '0' && *rd->at <= '9')
        rd->at++;
    return rd->at > from;
}

static int read_number(struct reader *rd, omc_value *ret)
{
    const char *from = rd->at;

    if (next_is(rd, '-'))
        rd->at++;
    if (next_is(rd, '0'))
        rd->at++;
    else if (!skip_digits(rd))
        return fail(rd, rd->at > from
                            ? "a digit"
                            : "a value (object, array, string, number, true, false or null)");
    if (next_is(rd, '.')) {
        rd->at++;
        if (!skip_digits(rd))
            return fail(rd, "a digit after the point");
    }
    if (rd->at < rd->end && (*rd->at == 'e' || *rd->at == 'E')) {
        rd->at++;
        if (rd->at < rd->end && (*rd->at == '+' || *rd->at == '-'))
            rd->at++;
        if (!skip_digits(rd))
            return fail(rd, "a digit of the exponent");
    }
    *ret = omc_null();
    ret->kind = OMC_NUMBER_TEXT;
    ret->text = omc_slice_of(from, (size_t)(rd->at - from));
    return 0;
}

static int read_word(struct reader *rd, const char *word, omc_value result, omc_value *ret)
{
    size_t len = strlen(word);

    if ((size_t)(rd->end - rd->at) < len || memcmp(rd->at, word, len) != 0)
        return fail(rd, "true, false or null");
    rd->at += len;
    *ret = result;
    return 0;
}

/* ---- containers ---------------------------------------------------------------------------- */

static int read_value(struct reader *rd, int depth, omc_value *ret);

static int compare_keys(const void *a, const void *b, void *entries)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    const omc_slice *p = &((const omc_entry *)entries)[x].key.u.bytes;
    const omc_slice *q = &((const omc_entry *)entries)[y].key.u.bytes;
    int order;

    if (p->len != q->len)
        return p->len < q->len ? -1 : 1;
    order = p->len ? memcmp(p->base, q->base, p->len) : 0;
    return order ? order : (x < y ? -1 : 1);
}

/** Takes entries marked by a key that is no string out of the list. */
static size_t squeeze(omc_entry *entries, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++)
        if (entries[i].key.kind == OMC_STRING)
            entries[kept++] = entries[i];
    return kept;
}

/** Many members: sorting finds equal keys without a bad case that foreign text could choose. */
static size_t unite_many(omc_entry *entries, size_t count)
{
    RC_AUTO_FREE size_t *order = rc_malloc(count * sizeof *order);
    bool any = false;

    for (size_t i = 0; i < count; i++)
        order[i] = i;
    qsort_r(order, count, sizeof *order, compare_keys, entries);
    for (size_t i = 0, next; i < count; i = next) {
        omc_entry *first = &entries[order[i]];

        for (next = i + 1; next < count; next++) {
            omc_entry *again = &entries[order[next]];

            if (!omc_slice_eq(first->key.u.bytes, again->key.u.bytes))
                break;
            first->value = again->value;
            again->key.kind = OMC_NULL;
            any = true;
        }
    }
    return any ? squeeze(entries, count) : count;
}

/** A key given twice: the last value wins, at the place of the first, as in Java's maps. */
static size_t unite_keys(omc_entry *entries, size_t count)
{
    bool any = false;

    if (count > 24)
        return unite_many(entries, count);
    for (size_t i = 1; i < count; i++) {
        rc_slice key = entries[i].key.u.bytes;

        for (size_t j = 0; j < i; j++) {
            rc_slice old = entries[j].key.u.bytes;

            if (old.len != key.len || entries[j].key.kind != OMC_STRING ||
                (key.len &&
                 (old.base[0] != key.base[0] || memcmp(old.base, key.base, key.len) != 0)))
                continue;
            entries[j].value = entries[i].value;
            entries[i].key.kind = OMC_NULL;
            any = true;
            break;
        }
    }
    return any ? squeeze(entries, count) : count;
}

/** Moves the values pushed since `base` into a map in the arena. */
static void finish_object(struct reader *rd, size_t base, omc_value *ret)
{
    omc_entry *entries = (omc_entry *)(void *)&rd->stack[base];
    size_t count = unite_keys(entries, (rd->count - base) / 2);
    omc_map *map = omc_alloc(rd->arena, sizeof *map + count * sizeof *entries);

    if (count)
        memcpy(map + 1, entries, count * sizeof *entries);
    *map = (omc_map){count, (const omc_entry *)(const void *)(map + 1)};
    rd->count = base;
    *ret = omc_null();
    ret->kind = OMC_MAP;
    ret->u.map = map;
}

/** "name": up to the value. */
static int read_member_name(struct reader *rd, rc_slice *ret)
{
    int r = read_name(rd, ret);

    if (r < 0)
        return r;
    skip_space(rd);
    if (!next_is(rd, ':'))
        return fail(rd, "':' after a member name");
    rd->at++;
    skip_space(rd);
    return 0;
}

/** Skips commas that stand for nothing. */
static void skip_commas(struct reader *rd)
{
    skip_space(rd);
    while (rd->lenient && next_is(rd, ',')) {
        rd->at++;
        skip_space(rd);
    }
}

/** Behind a member or item: 1 = another one follows, 0 = closed. */
static int after_item(struct reader *rd, char close, const char *expected)
{
    skip_space(rd);
    if (next_is(rd, close)) {
        rd->at++;
        return 0;
    }
    if (!next_is(rd, ','))
        return fail(rd, expected);
    rd->at++;
    skip_commas(rd);
    if (rd->lenient && next_is(rd, close)) {
        rd->at++;
        return 0;
    }
    return 1;
}

/** Enters an object or array; false when it is empty and done. */
static bool enter(struct reader *rd, char close)
{
    rd->at++;
    skip_commas(rd);
    if (!next_is(rd, close))
        return true;
    rd->at++;
    return false;
}

static int read_object(struct reader *rd, int depth, omc_value *ret)
{
    size_t base = rd->count;
    int more = enter(rd, '}') ? 1 : 0;

    while (more) {
        omc_value key = omc_null(), value;
        int r;

        key.kind = OMC_STRING;
        r = read_member_name(rd, &key.u.bytes);
        if (r < 0)
            return r;
        r = read_value(rd, depth + 1, &value);
        if (r < 0)
            return r;
        push(rd, &key);
        push(rd, &value);
        more = after_item(rd, '}', "',' or '}' after a member");
        if (more < 0)
            return more;
    }
    finish_object(rd, base, ret);
    return 0;
}

static int read_array(struct reader *rd, int depth, omc_value *ret)
{
    size_t base = rd->count, count;
    int more = enter(rd, ']') ? 1 : 0;
    omc_array *array;

    while (more) {
        omc_value item;
        int r = read_value(rd, depth + 1, &item);

        if (r < 0)
            return r;
        push(rd, &item);
        more = after_item(rd, ']', "',' or ']' after an item");
        if (more < 0)
            return more;
    }
    count = rd->count - base;
    array = omc_alloc(rd->arena, sizeof *array + count * sizeof(omc_value));
    if (count)
        memcpy(array + 1, &rd->stack[base], count * sizeof(omc_value));
    *array = (omc_array){count, (const omc_value *)(const void *)(array + 1)};
    rd->count = base;
    *ret = omc_null();
    ret->kind = OMC_ARRAY;
    ret->u.array = array;
    return 0;
}

static int read_value(struct reader *rd, int depth, omc_value *ret)
{
    if (depth > RC_JSON_DEPTH_MAX)
        return fail(rd, "at most 128 levels of nesting");
    if (at_quote(rd)) {
        *ret = omc_null();
        ret->kind = OMC_STRING;
        return read_string(rd, &ret->u.bytes);
    }
    switch (rd->at < rd->end ? *rd->at : '\0') {
    case '{':
        return read_object(rd, depth, ret);
    case '[':
        return read_array(rd, depth, ret);
    case 't':
        return read_word(rd, "true", omc_boolean(true), ret);
    case 'f':
        return read_word(rd, "false", omc_boolean(false), ret);
    case 'n':
        return read_word(rd, "null", omc_null(), ret);
    default:
        return read_number(rd, ret);
    }
}

/** Nothing but white space may follow. */
static int read_end(struct reader *rd)
{
    skip_space(rd);
    return rd->at == rd->end ? 0 : fail(rd, "the end of the text after the value");
}

int rc_json_read(rc_slice text, unsigned flags, omc_arena *arena, omc_value *ret, rc_error *err)
{
    struct reader rd;
    omc_value value;
    int r;

    reader_init(&rd, text, flags, arena, err);
    skip_space(&rd);
    r = read_value(&rd, 1, &value);
    if (r == 0)
        r = read_end(&rd);
    reader_release(&rd);
    if (r == 0)
        *ret = value;
    return r;
}

int rc_json_to_map(rc_slice text, omc_arena *arena, const omc_map **ret, rc_error *err)
{
    omc_value value;
    int r = rc_json_read(text, 0, arena, &value, err);

    if (r < 0)
        return r;
    if (value.kind != OMC_MAP)
        return rc_fail(err, OMC_EFORMAT, "line 1, column 1: expected a JSON object");
    *ret = value.u.map;
    return 0;
}

/* ---- envelope ------------------------------------------------------------------------------ */

/** Skips a value by its brackets and quotes only; who reads it later checks it. */
static int skip_value(struct reader *rd, rc_slice *ret)
{
    const char *from = rd->at;
    size_t depth = 0;

    do {
        if (rd->at == rd->end)
            return fail(rd, "a value");
        if (*rd->at == '"') {
            const char *close = closing_quote(rd, rd->at + 1, '"');

            if (!close)
                return fail_at(rd, rd->end, "a closing quote");
            rd->at = close;
        } else if (*rd->at == '{' || *rd->at == '[') {
            depth++;
        } else if (depth && (*rd->at == '}' || *rd->at == ']')) {
            depth--;
        } else if (depth == 0) {
            while (rd->at < rd->end && *rd->at >= 'a' && *rd->at <= 'z')
                rd->at++;
            if (rd->at == from)
                return fail(rd, "a schema (an object or null)");
            break;
        }
        rd->at++;
    } while (depth);
    *ret = omc_slice_of(from, (size_t)(rd->at - from));
    return 0;
}

static int read_envelope_member(struct reader *rd, rc_json_envelope *envelope)
{
    rc_slice name;
    omc_value ignored;
    int r = read_member_name(rd, &name);

    if (r < 0)
        return r;
    if (omc_slice_is(name, "schema")) {
        envelope->has_schema = true;
        return skip_value(rd, &envelope->schema);
    }
    if (omc_slice_is(name, "payload")) {
        envelope->has_payload = true;
        return read_value(rd, 2, &envelope->payload);
    }
    return read_value(rd, 2, &ignored);
}

static int read_envelope(struct reader *rd, rc_json_envelope *envelope, bool *ret_object)
{
    int more = 1;

    skip_space(rd);
    *ret_object = next_is(rd, '{');
    if (!*ret_object)
        return fail(rd, "an object");
    if (!enter(rd, '}'))
        return read_end(rd);
    while (more > 0) {
        int r = read_envelope_member(rd, envelope);

        if (r < 0)
            return r;
        more = after_item(rd, '}', "',' or '}' after a member");
    }
    return more < 0 ? more : read_end(rd);
}

int rc_json_read_envelope(rc_slice text, omc_arena *arena, rc_json_envelope *ret, bool *ret_object,
                          rc_error *err)
{
    struct reader rd;
    int r;

    *ret = (rc_json_envelope){0};
    reader_init(&rd, text, 0, arena, err);
    r = read_envelope(&rd, ret, ret_object);
    reader_release(&rd);
    return r;
}
