/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values as data: deep copies into another arena, Java's equality, and numbers of any kind.
 * Recursion is bounded where values are made (the JSON reader's depth); connectors that build
 * deeper ones are on their own stack anyway.
 */
#include "record/value.h"

#include "record/number.h"

#include <math.h>

/* ---- copy ---------------------------------------------------------------------------------- */

static const omc_array *array_copy(const omc_array *array, omc_arena *arena)
{
    omc_array *copy = omc_alloc(arena, sizeof *copy);
    omc_value *items = omc_alloc(arena, array->count * sizeof *items);

    for (size_t i = 0; i < array->count; i++)
        items[i] = rc_value_copy(&array->items[i], arena);
    *copy = (omc_array){array->count, items};
    return copy;
}

static const omc_struct *struct_copy(const omc_struct *object, omc_arena *arena)
{
    omc_struct *copy = omc_alloc(arena, sizeof *copy);
    size_t count = object->schema->field_count;
    omc_value *values = omc_alloc(arena, count * sizeof *values);

    for (size_t i = 0; i < count; i++)
        values[i] = rc_value_copy(&object->values[i], arena);
    *copy = (omc_struct){rc_schema_copy(object->schema, arena), values};
    return copy;
}

const omc_map *rc_map_copy(const omc_map *map, omc_arena *arena)
{
    omc_map *copy;
    omc_entry *entries;

    if (!map)
        return NULL;
    copy = omc_alloc(arena, sizeof *copy);
    entries = omc_alloc(arena, map->count * sizeof *entries);
    for (size_t i = 0; i < map->count; i++) {
        entries[i].key = rc_value_copy(&map->entries[i].key, arena);
        entries[i].value = rc_value_copy(&map->entries[i].value, arena);
    }
    *copy = (omc_map){map->count, entries};
    return copy;
}

omc_value rc_value_copy(const omc_value *value, omc_arena *arena)
{
    omc_value copy = *value;

    if (value->text.len)
        copy.text = rc_arena_slice(arena, value->text);
    switch (value->kind) {
    case OMC_STRING:
    case OMC_BYTES:
        copy.u.bytes = rc_arena_slice(arena, value->u.bytes);
        break;
    case OMC_ARRAY:
        copy.u.array = array_copy(value->u.array, arena);
        break;
    case OMC_MAP:
        copy.u.map = rc_map_copy(value->u.map, arena);
        break;
    case OMC_STRUCT:
        copy.u.object = struct_copy(value->u.object, arena);
        break;
    default:
        break;
    }
    return copy;
}

static omc_value default_array(const omc_array *array, const omc_schema *schema, omc_arena *arena)
{
    omc_array *copy = omc_alloc(arena, sizeof *copy);
    omc_value *items = omc_alloc(arena, array->count * sizeof *items);
    omc_value ret = {.kind = OMC_ARRAY, .u.array = copy};

    for (size_t i = 0; i < array->count; i++)
        items[i] = rc_default_copy(&array->items[i], schema->value_schema, arena);
    *copy = (omc_array){array->count, items};
    return ret;
}

static omc_value default_map(const omc_map *map, const omc_schema *schema, omc_arena *arena)
{
    omc_map *copy = omc_alloc(arena, sizeof *copy);
    omc_entry *entries = omc_alloc(arena, map->count * sizeof *entries);
    omc_value ret = {.kind = OMC_MAP, .u.map = copy};

    for (size_t i = 0; i < map->count; i++) {
        entries[i].key = rc_default_copy(&map->entries[i].key, schema->key_schema, arena);
        entries[i].value = rc_default_copy(&map->entries[i].value, schema->value_schema, arena);
    }
    *copy = (omc_map){map->count, entries};
    return ret;
}

static omc_value default_struct(const omc_struct *object, const omc_schema *schema,
                                omc_arena *arena)
{
    omc_struct *copy = omc_alloc(arena, sizeof *copy);
    omc_value *values = omc_alloc(arena, schema->field_count * sizeof *values);
    omc_value ret = {.kind = OMC_STRUCT, .u.object = copy};

    for (size_t i = 0; i < schema->field_count; i++)
        values[i] = rc_default_copy(&object->values[i], schema->fields[i].schema, arena);
    *copy = (omc_struct){schema, values};
    return ret;
}

omc_value rc_default_copy(const omc_value *value, const omc_schema *schema, omc_arena *arena)
{
    if (schema && value->kind == schema->type) {
        if (value->kind == OMC_ARRAY)
            return default_array(value->u.array, schema, arena);
        if (value->kind == OMC_MAP)
            return default_map(value->u.map, schema, arena);
        if (value->kind == OMC_STRUCT && rc_schema_same_fields(value->u.object->schema, schema))
            return default_struct(value->u.object, schema, arena);
    }
    return rc_value_copy(value, arena); /* also a connector's default that does not fit */
}

/* ---- equality ------------------------------------------------------------------------------ */

/** Java's Double.equals: by bits, with one NaN. */
static bool double_equal(const omc_value *a, const omc_value *b)
{
    double x = a->u.f64, y = b->u.f64;

    if (isnan(x) || isnan(y))
        return isnan(x) && isnan(y);
    if (isinf(x) && isinf(y) && a->text.len && b->text.len)
        return omc_slice_eq(a->text, b->text); /* 1e400 and 1e500 are different numbers. */
    /* Without NaN only 0.0 and -0.0 are equal with different bits. */
    return x == y && !signbit(x) == !signbit(y);
}

/** `schemas`: compare those of structs, too. */
static bool value_equal(const omc_value *a, const omc_value *b, bool schemas);

static bool array_equal(const omc_array *a, const omc_array *b, bool schemas)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!value_equal(&a->items[i], &b->items[i], schemas))
            return false;
    return true;
}

static bool struct_equal(const omc_struct *a, const omc_struct *b, bool schemas)
{
    if (schemas ? !rc_schema_equal(a->schema, b->schema)
                : !rc_schema_same_fields(a->schema, b->schema))
        return false;
    for (size_t i = 0; i < a->schema->field_count; i++)
        if (!value_equal(&a->values[i], &b->values[i], schemas))
            return false;
    return true;
}

/** Entry of `map` with this key; `hint` is looked at first, since most maps keep their order. */
static const omc_entry *find_entry(const omc_map *map, const omc_value *key, size_t hint,
                                   bool schemas)
{
    if (hint < map->count && value_equal(&map->entries[hint].key, key, schemas))
        return &map->entries[hint];
    for (size_t i = 0; i < map->count; i++)
        if (value_equal(&map->entries[i].key, key, schemas))
            return &map->entries[i];
    return NULL;
}

static bool map_equal(const omc_map *a, const omc_map *b, bool schemas)
{
    if (a == b)
        return true;
    if (!a || !b || a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        const omc_entry *other = find_entry(b, &a->entries[i].key, i, schemas);

        if (!other || !value_equal(&a->entries[i].value, &other->value, schemas))
            return false;
    }
    return true;
}

static bool value_equal(const omc_value *a, const omc_value *b, bool schemas)
{
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case OMC_NULL:
        return true;
    case OMC_BOOLEAN:
        return a->u.boolean == b->u.boolean;
    case OMC_FLOAT32:
    case OMC_FLOAT64:
        return double_equal(a, b);
    case OMC_STRING:
    case OMC_BYTES:
        return omc_slice_eq(a->u.bytes, b->u.bytes);
    case OMC_ARRAY:
        return array_equal(a->u.array, b->u.array, schemas);
    case OMC_MAP:
        return map_equal(a->u.map, b->u.map, schemas);
    case OMC_STRUCT:
        return struct_equal(a->u.object, b->u.object, schemas);
    case OMC_NUMBER_TEXT:
        return omc_slice_eq(a->text, b->text);
    default: /* INT8..INT64, DATETIME */
        return a->u.i64 == b->u.i64;
    }
}

bool rc_value_equal(const omc_value *a, const omc_value *b)
{
    return value_equal(a, b, true);
}

bool rc_map_equal(const omc_map *a, const omc_map *b)
{
    return map_equal(a, b, true);
}

bool rc_default_equal(const omc_value *a, const omc_value *b)
{
    return value_equal(a, b, false);
}

/* ---- numbers ------------------------------------------------------------------------------- */

const char *rc_kind_name(unsigned kind)
{
    static const char *const names[] = {
        [OMC_INT8] = "int8",       [OMC_INT16] = "int16",   [OMC_INT32] = "int32",
        [OMC_INT64] = "int64",     [OMC_FLOAT32] = "float", [OMC_FLOAT64] = "double",
        [OMC_BOOLEAN] = "boolean", [OMC_STRING] = "string", [OMC_BYTES] = "bytes",
        [OMC_ARRAY] = "array",     [OMC_MAP] = "map",       [OMC_STRUCT] = "struct",
    };

    return kind < RC_COUNT(names) ? names[kind] : NULL;
}

static int double_to_int64(double number, int64_t *ret)
{
    /* 2^63 itself does not fit; both bounds are exact doubles. */
    if (!(number >= -0x1p63 && number < 0x1p63) || number != trunc(number))
        return -OMC_EFORMAT;
    *ret = (int64_t)number;
    return 0;
}

int rc_value_int64(const omc_value *value, int64_t *ret)
{
    switch (value->kind) {
    case OMC_INT8:
    case OMC_INT16:
    case OMC_INT32:
    case OMC_INT64:
    case OMC_DATETIME:
        *ret = value->u.i64;
        return 0;
    case OMC_FLOAT32:
    case OMC_FLOAT64:
        return double_to_int64(value->u.f64, ret);
    case OMC_NUMBER_TEXT:
        return rc_number_int64(value->text, ret);
    default:
        return -OMC_EFORMAT;
    }
}

int rc_value_double(const omc_value *value, double *ret)
{
    switch (value->kind) {
    case OMC_INT8:
    case OMC_INT16:
    case OMC_INT32:
    case OMC_INT64:
    case OMC_DATETIME:
        *ret = (double)value->u.i64;
        return 0;
    case OMC_FLOAT32:
    case OMC_FLOAT64:
        *ret = value->u.f64;
        return 0;
    case OMC_NUMBER_TEXT:
        return rc_number_double(value->text, false, ret);
    default:
        return -OMC_EFORMAT;
    }
}
