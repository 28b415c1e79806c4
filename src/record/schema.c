/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Schemas: plain ones that are static, copies, structural equality as Java's, and the schema a
 * schemaless value would have there.
 */
#include "record/value.h"

#include "record/number.h"

static const char *text_copy(const char *text, omc_arena *arena)
{
    return text ? omc_copy(arena, text, strlen(text)) : NULL;
}

static const omc_field *fields_copy(const omc_schema *schema, omc_arena *arena)
{
    omc_field *fields = omc_alloc(arena, schema->field_count * sizeof *fields);

    for (size_t i = 0; i < schema->field_count; i++) {
        fields[i].name = text_copy(schema->fields[i].name, arena);
        fields[i].schema = rc_schema_copy(schema->fields[i].schema, arena);
    }
    return fields;
}

static omc_keyvalue parameters_copy(const omc_keyvalue *from, omc_arena *arena)
{
    omc_pair *pairs = omc_alloc(arena, from->count * sizeof *pairs);

    for (size_t i = 0; i < from->count; i++) {
        pairs[i].key = rc_arena_slice(arena, from->pairs[i].key);
        pairs[i].value = rc_arena_slice(arena, from->pairs[i].value);
    }
    return (omc_keyvalue){from->count, pairs};
}

const omc_schema *rc_schema_copy(const omc_schema *schema, omc_arena *arena)
{
    omc_schema *copy;

    if (!schema)
        return NULL;
    copy = omc_alloc(arena, sizeof *copy);
    *copy = *schema;
    copy->name = text_copy(schema->name, arena);
    copy->doc = text_copy(schema->doc, arena);
    copy->fields = schema->field_count ? fields_copy(schema, arena) : NULL;
    copy->parameters = parameters_copy(&schema->parameters, arena);
    copy->key_schema = rc_schema_copy(schema->key_schema, arena);
    copy->value_schema = rc_schema_copy(schema->value_schema, arena);
    copy->default_value = rc_default_copy(&schema->default_value, copy, arena);
    return copy;
}

/* ---- equality ------------------------------------------------------------------------------ */

static bool text_equal(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/** Parameters are a map: their order does not count. */
static bool parameters_equal(const omc_keyvalue *a, const omc_keyvalue *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        size_t j = 0;

        if (omc_slice_eq(a->pairs[i].key, b->pairs[i].key))
            j = i;
        while (j < b->count && !omc_slice_eq(a->pairs[i].key, b->pairs[j].key))
            j++;
        if (j == b->count || !omc_slice_eq(a->pairs[i].value, b->pairs[j].value))
            return false;
    }
    return true;
}

static bool head_equal(const omc_schema *a, const omc_schema *b)
{
    return a->type == b->type && a->optional == b->optional && a->has_version == b->has_version &&
           (!a->has_version || a->version == b->version) && a->has_default == b->has_default &&
           text_equal(a->name, b->name) && text_equal(a->doc, b->doc) &&
           a->field_count == b->field_count;
}

bool rc_schema_equal(const omc_schema *a, const omc_schema *b)
{
    if (a == b)
        return true;
    if (!a || !b || !head_equal(a, b) || !parameters_equal(&a->parameters, &b->parameters))
        return false;
    if (a->has_default && !rc_default_equal(&a->default_value, &b->default_value))
        return false;
    for (size_t i = 0; i < a->field_count; i++)
        if (!text_equal(a->fields[i].name, b->fields[i].name) ||
            !rc_schema_equal(a->fields[i].schema, b->fields[i].schema))
            return false;
    return rc_schema_equal(a->key_schema, b->key_schema) &&
           rc_schema_equal(a->value_schema, b->value_schema);
}

bool rc_schema_same_fields(const omc_schema *a, const omc_schema *b)
{
    if (a == b)
        return true;
    if (a->type != b->type || a->field_count != b->field_count)
        return false;
    for (size_t i = 0; i < a->field_count; i++)
        if (!text_equal(a->fields[i].name, b->fields[i].name))
            return false;
    return true;
}

/* ---- plain and inferred -------------------------------------------------------------------- */

#define PLAIN(kind) \
    [kind] = {{.type = (kind), .optional = false}, {.type = (kind), .optional = true}}

const omc_schema *rc_schema_plain(unsigned kind, bool optional)
{
    static const omc_schema plain[][2] = {
        PLAIN(OMC_INT8),    PLAIN(OMC_INT16),   PLAIN(OMC_INT32),   PLAIN(OMC_INT64),
        PLAIN(OMC_FLOAT32), PLAIN(OMC_FLOAT64), PLAIN(OMC_BOOLEAN), PLAIN(OMC_STRING),
        PLAIN(OMC_BYTES),   PLAIN(OMC_ARRAY),   PLAIN(OMC_MAP),     PLAIN(OMC_DATETIME),
        PLAIN(OMC_STRUCT),
    };

    RC_ASSERT(kind >= OMC_INT8 && kind < RC_COUNT(plain));
    return &plain[kind][optional ? 1 : 0];
}

/** Kind of a schemaless number: the narrowest of int32, int64 and double, as Java's reader. */
static unsigned number_kind(const omc_value *value)
{
    int64_t number;

    if ((value->text.len && memchr(value->text.base, '.', value->text.len)) ||
        rc_number_int64(value->text, &number) < 0)
        return OMC_FLOAT64;
    return number >= INT32_MIN && number <= INT32_MAX ? OMC_INT32 : OMC_INT64;
}

/** Items (stride in values) share one schema: the first item's that is not null. Numbers known
 *  by their text take the widest kind among them, so that a later 5e9 does not overflow. */
static const omc_schema *infer_items(const omc_value *items, size_t count, size_t stride,
                                     omc_arena *arena)
{
    const omc_value *first = NULL;
    unsigned widest = 0;

    for (size_t i = 0; i < count; i++) {
        const omc_value *item = &items[i * stride];

        if (item->kind == OMC_NULL)
            continue;
        if (!first)
            first = item;
        if (item->kind == OMC_NUMBER_TEXT)
            widest = RC_MAX(widest, number_kind(item));
    }
    if (!first)
        return rc_schema_plain(OMC_STRING, true);
    if (first->kind == OMC_NUMBER_TEXT)
        return rc_schema_plain(widest, true);
    return rc_schema_infer(first, arena);
}

const omc_schema *rc_schema_infer(const omc_value *value, omc_arena *arena)
{
    omc_schema *schema;

    switch (value->kind) {
    case OMC_NULL:
        return NULL;
    case OMC_NUMBER_TEXT:
        return rc_schema_plain(number_kind(value), true);
    case OMC_STRUCT:
        return value->u.object->schema;
    case OMC_ARRAY:
        schema = omc_alloc0(arena, sizeof *schema);
        schema->value_schema = infer_items(value->u.array->items, value->u.array->count, 1, arena);
        break;
    case OMC_MAP:
        schema = omc_alloc0(arena, sizeof *schema);
        if (value->u.map->count == 0) {
            schema->key_schema = schema->value_schema = rc_schema_plain(OMC_STRING, true);
            break;
        }
        /* Entries are pairs of values: keys at even, values at odd places. */
        schema->key_schema =
            infer_items(&value->u.map->entries[0].key, value->u.map->count, 2, arena);
        schema->value_schema =
            infer_items(&value->u.map->entries[0].value, value->u.map->count, 2, arena);
        break;
    default:
        return rc_schema_plain(value->kind, true);
    }
    schema->type = value->kind;
    schema->optional = true;
    return schema;
}

_Static_assert(sizeof(omc_entry) == 2 * sizeof(omc_value), "an entry is two values");

int rc_schema_field(const omc_schema *schema, rc_slice name)
{
    for (size_t i = 0; i < schema->field_count; i++)
        if (omc_slice_is(name, schema->fields[i].name))
            return (int)i;
    return -1;
}
