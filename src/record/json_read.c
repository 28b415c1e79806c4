/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON reader: recursive descent over the bytes, no tokens in between. Children of a
 * container are collected on one growing stack and copied to the arena when their number is
 * known, so that every container is one allocation. Strings (json_string.c) borrow from the text
 * unless they hold escapes.
 */
#include "record/json_envelope.h"
#include "record/json_reader.h"

#include <stdlib.h>

_Static_assert(sizeof(omc_entry) == 2 * sizeof(omc_value), "an entry is two values");

static void reader_init(rc_json_reader *rd, rc_slice text, unsigned flags, omc_arena *arena,
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

static void reader_release(rc_json_reader *rd)
{
    if (rd->stack != rd->first_stack)
        free(rd->stack);
}

static void push(rc_json_reader *rd, const omc_value *value)
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

/* ---- names --------------------------------------------------------------------------------- */

static inline bool at_quote(const rc_json_reader *rd)
{
    return rd->at < rd->end && (*rd->at == '"' || (rd->lenient && *rd->at == '\''));
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$' || c == '.' || c == '-' || (unsigned char)c >= 0x80;
}

static int read_name(rc_json_reader *rd, rc_slice *ret)
{
    const char *name = rd->at;

    if (at_quote(rd))
        return rc_json_read_string(rd, ret);
    while (rd->lenient && rd->at < rd->end && is_name_byte(*rd->at))
        rd->at++;
    if (rd->at == name)
        return rc_json_fail(rd, "a member name in quotes or '}'");
    *ret = omc_slice_of(name, (size_t)(rd->at - name));
    return 0;
}

/* ---- scalars ------------------------------------------------------------------------------- */

static bool skip_digits(rc_json_reader *rd)
{
    const char *from = rd->at;

    while (rd->at < rd->end && *rd->at >= '0' && *rd->at <= '9')
        rd->at++;
    return rd->at > from;
}

static int read_number(rc_json_reader *rd, omc_value *ret)
{
    const char *from = rd->at;

    if (json_next_is(rd, '-'))
        rd->at++;
    if (json_next_is(rd, '0'))
        rd->at++;
    else if (!skip_digits(rd))
        return rc_json_fail(rd,
                            rd->at > from
                                ? "a digit"
                                : "a value (object, array, string, number, true, false or null)");
    if (json_next_is(rd, '.')) {
        rd->at++;
        if (!skip_digits(rd))
            return rc_json_fail(rd, "a digit after the point");
    }
    if (rd->at < rd->end && (*rd->at == 'e' || *rd->at == 'E')) {
        rd->at++;
        if (rd->at < rd->end && (*rd->at == '+' || *rd->at == '-'))
            rd->at++;
        if (!skip_digits(rd))
            return rc_json_fail(rd, "a digit of the exponent");
    }
    *ret = omc_null();
    ret->kind = OMC_NUMBER_TEXT;
    ret->text = omc_slice_of(from, (size_t)(rd->at - from));
    return 0;
}

static int read_word(rc_json_reader *rd, const char *word, omc_value result, omc_value *ret)
{
    size_t len = strlen(word);

    if ((size_t)(rd->end - rd->at) < len || memcmp(rd->at, word, len) != 0)
        return rc_json_fail(rd, "true, false or null");
    rd->at += len;
    *ret = result;
    return 0;
}

/* ---- containers ---------------------------------------------------------------------------- */

static int read_value(rc_json_reader *rd, int depth, omc_value *ret);

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
static void finish_object(rc_json_reader *rd, size_t base, omc_value *ret)
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
static int read_member_name(rc_json_reader *rd, rc_slice *ret)
{
    int r = read_name(rd, ret);

    if (r < 0)
        return r;
    json_skip_space(rd);
    if (!json_next_is(rd, ':'))
        return rc_json_fail(rd, "':' after a member name");
    rd->at++;
    json_skip_space(rd);
    return 0;
}

/** Skips commas that stand for nothing. */
static void skip_commas(rc_json_reader *rd)
{
    json_skip_space(rd);
    while (rd->lenient && json_next_is(rd, ',')) {
        rd->at++;
        json_skip_space(rd);
    }
}

/** Behind a member or item: 1 = another one follows, 0 = closed. */
static int after_item(rc_json_reader *rd, char close, const char *expected)
{
    json_skip_space(rd);
    if (json_next_is(rd, close)) {
        rd->at++;
        return 0;
    }
    if (!json_next_is(rd, ','))
        return rc_json_fail(rd, expected);
    rd->at++;
    skip_commas(rd);
    if (rd->lenient && json_next_is(rd, close)) {
        rd->at++;
        return 0;
    }
    return 1;
}

/** Enters an object or array; false when it is empty and done. */
static bool enter(rc_json_reader *rd, char close)
{
    rd->at++;
    skip_commas(rd);
    if (!json_next_is(rd, close))
        return true;
    rd->at++;
    return false;
}

static int read_object(rc_json_reader *rd, int depth, omc_value *ret)
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

static int read_array(rc_json_reader *rd, int depth, omc_value *ret)
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

static int read_value(rc_json_reader *rd, int depth, omc_value *ret)
{
    if (depth > RC_JSON_DEPTH_MAX)
        return rc_json_fail(rd, "at most 128 levels of nesting");
    if (at_quote(rd)) {
        *ret = omc_null();
        ret->kind = OMC_STRING;
        return rc_json_read_string(rd, &ret->u.bytes);
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
static int read_end(rc_json_reader *rd)
{
    json_skip_space(rd);
    return rd->at == rd->end ? 0 : rc_json_fail(rd, "the end of the text after the value");
}

int rc_json_read(rc_slice text, unsigned flags, omc_arena *arena, omc_value *ret, rc_error *err)
{
    rc_json_reader rd;
    omc_value value;
    int r;

    reader_init(&rd, text, flags, arena, err);
    json_skip_space(&rd);
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
    omc_value value = omc_null();
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
static int skip_value(rc_json_reader *rd, rc_slice *ret)
{
    const char *from = rd->at;
    size_t depth = 0;

    do {
        if (rd->at == rd->end)
            return rc_json_fail(rd, "a value");
        if (*rd->at == '"') {
            const char *close = rc_json_closing_quote(rd, rd->at + 1, '"');

            if (!close)
                return rc_json_fail_at(rd, rd->end, "a closing quote");
            rd->at = close;
        } else if (*rd->at == '{' || *rd->at == '[') {
            depth++;
        } else if (depth && (*rd->at == '}' || *rd->at == ']')) {
            depth--;
        } else if (depth == 0) {
            while (rd->at < rd->end && *rd->at >= 'a' && *rd->at <= 'z')
                rd->at++;
            if (rd->at == from)
                return rc_json_fail(rd, "a schema (an object or null)");
            break;
        }
        rd->at++;
    } while (depth);
    *ret = omc_slice_of(from, (size_t)(rd->at - from));
    return 0;
}

static int read_envelope_member(rc_json_reader *rd, rc_json_envelope *envelope)
{
    rc_slice name = {0};
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

static int read_envelope(rc_json_reader *rd, rc_json_envelope *envelope, bool *ret_object)
{
    int more = 1;

    json_skip_space(rd);
    *ret_object = json_next_is(rd, '{');
    if (!*ret_object)
        return rc_json_fail(rd, "an object");
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
    rc_json_reader rd;
    int r;

    *ret = (rc_json_envelope){0};
    reader_init(&rd, text, 0, arena, err);
    r = read_envelope(&rd, ret, ret_object);
    reader_release(&rd);
    return r;
}
