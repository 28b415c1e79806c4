/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON writer. Compact, one pass, straight into the caller's buffer. What JSON cannot say is
 * written as Java's runtime (fastjson) would: NaN and infinities as null, bytes as base64. Text
 * that is not UTF-8 becomes valid: nobody downstream has to guess.
 */
#include "record/json.h"

#include "base/encode.h"
#include "base/utf8.h"
#include "record/number.h"
#include "record/value.h"

#include <math.h>

/* Positions are stored with every commit; one larger than this is a connector gone wrong. */
#define MAP_TEXT_MAX ((size_t)16 << 20)

/* ---- strings ------------------------------------------------------------------------------- */

/** True for bytes that stand for themselves inside quotes. */
static inline bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

#define ONES (~(uint64_t)0 / 255)

/** First byte at or behind `at` that is not plain. */
static inline const char *skip_plain(const char *at, const char *end)
{
    while (end - at >= 8) {
        uint64_t x, quote, slash;

        memcpy(&x, at, 8);
        quote = x ^ ONES * '"';
        slash = x ^ ONES * '\\';
        if ((x | (x - ONES * 0x20) | ((quote - ONES) & ~quote) | ((slash - ONES) & ~slash)) &
            ONES * 0x80)
            break;
        at += 8;
    }
    while (at < end && is_plain((unsigned char)*at))
        at++;
    return at;
}

static void put_escape(unsigned char c, rc_buf *out)
{
    static const char hex[] = "0123456789abcdef";
    static const char letters[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    char text[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};

    for (size_t i = 0; i + 1 < sizeof letters; i += 2)
        if ((unsigned char)letters[i] == c) {
            text[1] = letters[i + 1];
            rc_buf_add(out, text, 2);
            return;
        }
    rc_buf_add(out, text, sizeof text);
}

/** Writes the character at `at` that is not plain; returns the place behind it. */
static const char *put_special(const char *at, const char *end, rc_buf *out)
{
    const uint8_t *next = (const uint8_t *)at;
    char text[4];

    if (*next < 0x80) {
        put_escape(*next, out);
        return at + 1;
    }
    rc_buf_add(out, text, rc_utf8_put(rc_utf8_next(&next, (const uint8_t *)end), text));
    return (const char *)next;
}

void rc_json_write_string(rc_slice text, rc_buf *out)
{
    const char *at = text.base, *end = at + text.len;
    const char *plain = text.len ? skip_plain(at, end) : end;

    if (plain == end) {
        char *room = rc_buf_reserve(out, text.len + 2);

        if (!room)
            return;
        room[0] = '"';
        if (text.len)
            memcpy(room + 1, at, text.len);
        room[text.len + 1] = '"';
        out->len += text.len + 2;
        return;
    }
    rc_buf_char(out, '"');
    while (at < end) {
        plain = skip_plain(at, end);
        rc_buf_add(out, at, (size_t)(plain - at));
        at = plain < end ? put_special(plain, end, out) : end;
    }
    rc_buf_char(out, '"');
}

/* ---- scalars ------------------------------------------------------------------------------- */

static void put_base64(rc_slice bytes, rc_buf *out)
{
    rc_arena arena;
    rc_slice text;

    rc_arena_init(&arena, 256);
    text = rc_base64_encode(&arena.pub, bytes);
    rc_buf_char(out, '"');
    rc_buf_add(out, text.base, text.len);
    rc_buf_char(out, '"');
    rc_arena_release(&arena);
}

static void put_number(const omc_value *value, unsigned flags, rc_buf *out)
{
    char text[RC_NUMBER_TEXT_MAX];
    size_t len;

    if (value->kind == OMC_NUMBER_TEXT && !rc_number_is_json(value->text)) {
        rc_json_write_string(value->text, out); /* From a plugin; not lost, and valid JSON. */
        return;
    }
    if (value->kind == OMC_NUMBER_TEXT ||
        (value->text.len && !(flags & RC_JSON_SORT_NO_TEXT) && rc_number_is_json(value->text))) {
        rc_buf_add(out, value->text.base, value->text.len);
        return;
    }
    if (value->kind != OMC_FLOAT32 && value->kind != OMC_FLOAT64) {
        len = rc_number_put_int64(value->u.i64, text);
    } else if (isfinite(value->u.f64)) {
        len = rc_number_put_double(value->u.f64, value->kind == OMC_FLOAT32, text);
    } else {
        rc_buf_str(out, "null");
        return;
    }
    rc_buf_add(out, text, len);
}

/* ---- containers ---------------------------------------------------------------------------- */

static void put_array(const omc_array *array, unsigned flags, rc_buf *out)
{
    rc_buf_char(out, '[');
    for (size_t i = 0; i < array->count; i++) {
        if (i)
            rc_buf_char(out, ',');
        rc_json_write(&array->items[i], flags, out);
    }
    rc_buf_char(out, ']');
}

static void put_struct(const omc_struct *object, unsigned flags, rc_buf *out)
{
    rc_buf_char(out, '{');
    for (size_t i = 0; i < object->schema->field_count; i++) {
        if (i)
            rc_buf_char(out, ',');
        rc_json_write_string(omc_slice_str(object->schema->fields[i].name), out);
        rc_buf_char(out, ':');
        rc_json_write(&object->values[i], flags, out);
    }
    rc_buf_char(out, '}');
}

static void put_member(rc_slice key, const omc_value *value, bool first, unsigned flags,
                       rc_buf *out)
{
    if (!first)
        rc_buf_char(out, ',');
    rc_json_write_string(key, out);
    rc_buf_char(out, ':');
    rc_json_write(value, flags, out);
}

struct member {
    rc_slice key;
    const omc_value *value;
};

static int compare_members(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    size_t least = RC_MIN(x->key.len, y->key.len);
    int order = least ? memcmp(x->key.base, y->key.base, least) : 0;

    if (order)
        return order;
    return x->key.len < y->key.len ? -1 : x->key.len > y->key.len;
}

static void put_sorted(const omc_map *map, unsigned flags, rc_buf *out)
{
    RC_AUTO_FREE struct member *members = rc_calloc(map->count + 1, sizeof *members);
    rc_arena arena;

    rc_arena_init(&arena, 256);
    for (size_t i = 0; i < map->count; i++) {
        members[i].key = rc_value_text(&map->entries[i].key, &arena.pub);
        members[i].value = &map->entries[i].value;
    }
    qsort(members, map->count, sizeof *members, compare_members);
    for (size_t i = 0; i < map->count; i++)
        put_member(members[i].key, members[i].value, i == 0, flags, out);
    rc_arena_release(&arena);
}

static void put_in_order(const omc_map *map, unsigned flags, rc_buf *out)
{
    rc_arena arena; /* For keys that are no strings; usually stays empty. */

    rc_arena_init(&arena, 256);
    for (size_t i = 0; i < map->count; i++)
        put_member(rc_value_text(&map->entries[i].key, &arena.pub), &map->entries[i].value, i == 0,
                   flags, out);
    rc_arena_release(&arena);
}

static void put_map(const omc_map *map, unsigned flags, rc_buf *out)
{
    rc_buf_char(out, '{');
    if ((flags & RC_JSON_CANONICAL) && map->count > 1)
        put_sorted(map, flags, out);
    else
        put_in_order(map, flags, out);
    rc_buf_char(out, '}');
}

void rc_json_write(const omc_value *value, unsigned flags, rc_buf *out)
{
    switch (value->kind) {
    case OMC_NULL:
        rc_buf_add(out, "null", 4);
        break;
    case OMC_BOOLEAN:
        rc_buf_str(out, value->u.boolean ? "true" : "false");
        break;
    case OMC_STRING:
        rc_json_write_string(value->u.bytes, out);
        break;
    case OMC_BYTES:
        put_base64(value->u.bytes, out);
        break;
    case OMC_ARRAY:
        put_array(value->u.array, flags, out);
        break;
    case OMC_MAP:
        put_map(value->u.map, flags, out);
        break;
    case OMC_STRUCT:
        put_struct(value->u.object, flags, out);
        break;
    default:
        put_number(value, flags, out);
    }
}

/* ---- positions ----------------------------------------------------------------------------- */

rc_slice rc_json_of_map(const omc_map *map, omc_arena *arena)
{
    rc_buf out = RC_BUF(MAP_TEXT_MAX);
    rc_slice text = {0};

    if (map)
        put_map(map, RC_JSON_CANONICAL, &out);
    else
        rc_buf_str(&out, "null");
    if (!out.overflow)
        text = rc_arena_slice(arena, rc_buf_slice(&out));
    rc_buf_release(&out);
    return text;
}

rc_slice rc_json_of_offset(const omc_position *position, omc_arena *arena)
{
    const omc_map *offset = position->offset;
    size_t count = offset ? offset->count : 0, kept = 0;
    omc_entry *entries;
    omc_map map;

    if (!position->counter_name)
        return rc_json_of_map(offset, arena);
    entries = omc_alloc(arena, (count + 1) * sizeof *entries);
    for (size_t i = 0; i < count; i++)
        if (offset->entries[i].key.kind != OMC_STRING ||
            !omc_slice_is(offset->entries[i].key.u.bytes, position->counter_name))
            entries[kept++] = offset->entries[i];
    entries[kept].key = omc_string(omc_slice_str(position->counter_name));
    entries[kept].value = omc_integer(OMC_INT64, position->counter);
    map = (omc_map){kept + 1, entries};
    return rc_json_of_map(&map, arena);
}
