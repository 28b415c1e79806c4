/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values as people and Java's String.valueOf() print them. This is what StringConverter stores,
 * so the form of containers is Java's: AbstractCollection, AbstractMap and OpenMessaging's Struct
 * (which leaves null fields out).
 */
#include "record/value.h"

#include "record/number.h"

/* A text is at most this long; a tree of borrowed strings could name the same bytes many times. */
#define TEXT_MAX ((size_t)256 << 20)

static void put(const omc_value *value, rc_buf *out);

static void put_array(const omc_array *array, rc_buf *out)
{
    rc_buf_char(out, '[');
    for (size_t i = 0; i < array->count; i++) {
        if (i)
            rc_buf_str(out, ", ");
        put(&array->items[i], out);
    }
    rc_buf_char(out, ']');
}

static void put_map(const omc_map *map, rc_buf *out)
{
    rc_buf_char(out, '{');
    for (size_t i = 0; i < map->count; i++) {
        if (i)
            rc_buf_str(out, ", ");
        put(&map->entries[i].key, out);
        rc_buf_char(out, '=');
        put(&map->entries[i].value, out);
    }
    rc_buf_char(out, '}');
}

static void put_struct(const omc_struct *object, rc_buf *out)
{
    bool first = true;

    rc_buf_str(out, "Struct{");
    for (size_t i = 0; i < object->schema->field_count; i++) {
        if (object->values[i].kind == OMC_NULL)
            continue;
        if (!first)
            rc_buf_char(out, ',');
        first = false;
        rc_buf_str(out, object->schema->fields[i].name);
        rc_buf_char(out, '=');
        put(&object->values[i], out);
    }
    rc_buf_char(out, '}');
}

/** Text of a value without parts; borrowed, or written to `scratch`. */
static rc_slice scalar_text(const omc_value *value, char scratch[RC_NUMBER_TEXT_MAX])
{
    switch (value->kind) {
    case OMC_NULL:
        return omc_slice_str("null");
    case OMC_BOOLEAN:
        return omc_slice_str(value->u.boolean ? "true" : "false");
    case OMC_STRING:
    case OMC_BYTES:
        return value->u.bytes;
    default:
        break;
    }
    if (value->text.len || value->kind == OMC_NUMBER_TEXT)
        return value->text;
    if (value->kind == OMC_FLOAT32 || value->kind == OMC_FLOAT64)
        return omc_slice_of(scratch, rc_number_put_double(value->u.f64, value->kind == OMC_FLOAT32,
                                                          scratch));
    return omc_slice_of(scratch, rc_number_put_int64(value->u.i64, scratch));
}

static void put(const omc_value *value, rc_buf *out)
{
    char scratch[RC_NUMBER_TEXT_MAX];
    rc_slice text;

    switch (value->kind) {
    case OMC_ARRAY:
        put_array(value->u.array, out);
        break;
    case OMC_MAP:
        put_map(value->u.map, out);
        break;
    case OMC_STRUCT:
        put_struct(value->u.object, out);
        break;
    default:
        text = scalar_text(value, scratch);
        rc_buf_add(out, text.base, text.len);
    }
}

rc_slice rc_value_text(const omc_value *value, omc_arena *arena)
{
    char scratch[RC_NUMBER_TEXT_MAX];
    rc_buf out = RC_BUF(TEXT_MAX);
    rc_slice text;

    if (value->kind == OMC_STRING || value->kind == OMC_BYTES)
        return value->u.bytes;
    if (value->kind != OMC_ARRAY && value->kind != OMC_MAP && value->kind != OMC_STRUCT) {
        text = scalar_text(value, scratch);
        return text.base == scratch ? rc_arena_slice(arena, text) : text;
    }
    put(value, &out);
    text = rc_arena_slice(arena, rc_buf_slice(&out));
    rc_buf_release(&out);
    return text;
}
