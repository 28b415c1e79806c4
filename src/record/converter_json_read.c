/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON of the envelope's payload to values. As forgiving as Java's reader where that is safe:
 * numbers and booleans in quotes, numbers where a string is wanted.
 */
#include "record/converter_json.h"

#include "base/encode.h"
#include "base/units.h"
#include "record/number.h"
#include "record/value.h"

#define TEXT_MAX ((size_t)64 << 20)

const char *rc_json_shown(const omc_value *node)
{
    switch (node->kind) {
    case OMC_BOOLEAN:
        return "true or false";
    case OMC_STRING:
        return "a string";
    case OMC_ARRAY:
        return "an array";
    case OMC_MAP:
        return "an object";
    case OMC_NUMBER_TEXT:
        return "a number";
    default:
        return "null";
    }
}

static int mismatch(const omc_schema *schema, const omc_value *node, rc_error *err)
{
    return rc_fail(err, OMC_EFORMAT, "the schema says %s, the payload has %s",
                   rc_kind_name(schema->type), rc_json_shown(node));
}

/** Text of a number, also of one in quotes; false when the node is neither. */
static bool number_text(const omc_value *node, rc_slice *ret)
{
    if (node->kind == OMC_NUMBER_TEXT)
        *ret = node->text;
    else if (node->kind == OMC_STRING)
        *ret = node->u.bytes;
    else
        return false;
    return true;
}

static int get_integer(const omc_schema *schema, const omc_value *node, omc_value *ret,
                       rc_error *err)
{
    static const int64_t most[] = {[OMC_INT8] = INT8_MAX,
                                   [OMC_INT16] = INT16_MAX,
                                   [OMC_INT32] = INT32_MAX,
                                   [OMC_INT64] = INT64_MAX};
    rc_slice text;
    int64_t number;

    if (!number_text(node, &text))
        return mismatch(schema, node, err);
    if (rc_number_int64(text, &number) < 0 || number > most[schema->type] ||
        number < -most[schema->type] - 1)
        return rc_fail(err, OMC_EFORMAT, "'" RC_SLICE_FMT "' is no number of type %s",
                       RC_SLICE_ARG(text), rc_kind_name(schema->type));
    *ret = omc_integer(schema->type, number);
    return 0;
}

static int get_floating(const omc_schema *schema, const omc_value *node, omc_value *ret,
                        rc_error *err)
{
    rc_slice text;
    double number;

    if (!number_text(node, &text))
        return mismatch(schema, node, err);
    if (rc_number_double(text, schema->type == OMC_FLOAT32, &number) < 0)
        return rc_fail(err, OMC_EFORMAT, "'" RC_SLICE_FMT "' is no number", RC_SLICE_ARG(text));
    *ret = omc_floating(schema->type, number);
    ret->text = text;
    return 0;
}

static int get_boolean(const omc_schema *schema, const omc_value *node, omc_value *ret,
                       rc_error *err)
{
    bool truth = false;

    if (node->kind == OMC_STRING && rc_parse_bool(node->u.bytes, &truth) == 0)
        *ret = omc_boolean(truth);
    else if (node->kind == OMC_BOOLEAN)
        *ret = omc_boolean(node->u.boolean);
    else
        return mismatch(schema, node, err);
    return 0;
}

int rc_json_get_string(const omc_value *node, omc_arena *arena, omc_value *ret, rc_error *err)
{
    rc_buf out = RC_BUF(TEXT_MAX);
    bool overflow;

    if (node->kind != OMC_ARRAY && node->kind != OMC_MAP) {
        *ret = omc_string(rc_value_text(node, arena));
        return 0;
    }
    rc_json_write(node, 0, &out);
    overflow = out.overflow;
    if (!overflow)
        *ret = omc_string(rc_arena_slice(arena, rc_buf_slice(&out)));
    rc_buf_release(&out);
    return overflow ? rc_fail(err, OMC_EFORMAT, "a text of more than 64 MiB") : 0;
}

/** Whether bytes are a decimal that can be printed. Short ones are, without trying. */
static bool is_number(rc_slice unscaled, omc_arena *arena)
{
    rc_slice ignored;

    return unscaled.len > 0 &&
           (unscaled.len < 1600 || rc_decimal_text(unscaled, 0, arena, &ignored) == 0);
}

static int get_bytes(const omc_schema *schema, const omc_value *node, omc_arena *arena,
                     omc_value *ret, rc_error *err)
{
    bool decimal = rc_schema_is_decimal(schema);
    rc_slice bytes;
    int scale, r;

    if (decimal && node->kind == OMC_NUMBER_TEXT) {
        r = rc_schema_scale(schema, &scale, err);
        if (r < 0)
            return r;
        if (rc_decimal_parse(node->text, scale, arena, &bytes) < 0)
            return rc_fail(err, OMC_EFORMAT,
                           "'" RC_SLICE_FMT
                           "' does not fit a Decimal of scale %d and at most 4096 digits",
                           RC_SLICE_ARG(node->text), scale);
    } else if (node->kind != OMC_STRING) {
        return mismatch(schema, node, err);
    } else if (rc_base64_decode(arena, node->u.bytes, &bytes) < 0) {
        return rc_fail(err, OMC_EFORMAT, "the schema says bytes, the text is not base64");
    } else if (decimal && !is_number(bytes, arena)) {
        return rc_fail(err, OMC_EFORMAT, "a Decimal of no bytes, or of more than 4096 digits");
    }
    *ret = omc_bytes(bytes);
    return 0;
}

static int get_array(const omc_schema *schema, const omc_value *node, omc_arena *arena,
                     size_t *room, omc_value *ret, rc_error *err)
{
    const omc_array *from = node->u.array;
    omc_array *array;
    omc_value *items;

    if (node->kind != OMC_ARRAY)
        return mismatch(schema, node, err);
    array = omc_alloc(arena, sizeof *array);
    items = omc_alloc(arena, from->count * sizeof *items);
    for (size_t i = 0; i < from->count; i++) {
        int r =
            rc_json_get_value(schema->value_schema, &from->items[i], arena, room, &items[i], err);

        if (r < 0)
            return rc_wrap(err, r, "item %zu", i);
    }
    *array = (omc_array){from->count, items};
    *ret = omc_null();
    ret->kind = OMC_ARRAY;
    ret->u.array = array;
    return 0;
}

/** Key and value nodes of entry `i` of a map, written as an object or as pairs. */
static int map_entry(const omc_value *node, size_t i, const omc_value **key,
                     const omc_value **value, rc_error *err)
{
    const omc_value *pair;

    if (node->kind == OMC_MAP) {
        *key = &node->u.map->entries[i].key;
        *value = &node->u.map->entries[i].value;
        return 0;
    }
    pair = &node->u.array->items[i];
    if (pair->kind != OMC_ARRAY || pair->u.array->count != 2)
        return rc_fail(err, OMC_EFORMAT, "a map entry must be an array [key, value]");
    *key = &pair->u.array->items[0];
    *value = &pair->u.array->items[1];
    return 0;
}

static int get_map(const omc_schema *schema, const omc_value *node, omc_arena *arena, size_t *room,
                   omc_value *ret, rc_error *err)
{
    bool object = schema->key_schema->type == OMC_STRING;
    size_t count;
    omc_map *map;
    omc_entry *entries;

    if (node->kind != (object ? OMC_MAP : OMC_ARRAY))
        return rc_fail(err, OMC_EFORMAT, "a map with %s keys must be %s, the payload has %s",
                       rc_kind_name(schema->key_schema->type),
                       object ? "an object" : "an array of [key, value] pairs",
                       rc_json_shown(node));
    count = object ? node->u.map->count : node->u.array->count;
    map = omc_alloc(arena, sizeof *map);
    entries = omc_alloc(arena, count * sizeof *entries);
    for (size_t i = 0; i < count; i++) {
        const omc_value *key = NULL, *value = NULL;
        int r = map_entry(node, i, &key, &value, err);

        RC_ASSERT(r < 0 || (key && value));
        if (r == 0)
            r = rc_json_get_value(schema->key_schema, key, arena, room, &entries[i].key, err);
        if (r == 0)
            r = rc_json_get_value(schema->value_schema, value, arena, room, &entries[i].value, err);
        if (r < 0)
            return rc_wrap(err, r, "entry %zu", i);
    }
    *map = (omc_map){count, entries};
    *ret = omc_null();
    ret->kind = OMC_MAP;
    ret->u.map = map;
    return 0;
}

/** Member of an object; it usually stands at the field's own place. */
static const omc_value *member(const omc_map *map, const char *name, size_t hint)
{
    if (hint < map->count && omc_slice_is(map->entries[hint].key.u.bytes, name))
        return &map->entries[hint].value;
    return omc_map_get(map, name);
}

static int get_struct(const omc_schema *schema, const omc_value *node, omc_arena *arena,
                      size_t *room, omc_value *ret, rc_error *err)
{
    static const omc_value missing;
    omc_struct *object;
    omc_value *values;

    if (node->kind != OMC_MAP)
        return mismatch(schema, node, err);
    object = omc_alloc(arena, sizeof *object);
    values = omc_alloc(arena, schema->field_count * sizeof *values);
    for (size_t i = 0; i < schema->field_count; i++) {
        const omc_field *field = &schema->fields[i];
        const omc_value *found = member(node->u.map, field->name, i);
        int r = rc_json_get_value(field->schema, found ? found : &missing, arena, room, &values[i],
                                  err);

        if (r < 0)
            return rc_wrap(err, r, "field '%s'", field->name);
    }
    *object = (omc_struct){schema, values};
    *ret = omc_null();
    ret->kind = OMC_STRUCT;
    ret->u.object = object;
    return 0;
}

bool rc_json_take_room(const omc_value *value, size_t *room)
{
    size_t cost =
        1 + (value->kind == OMC_STRING || value->kind == OMC_BYTES ? value->u.bytes.len / 64
                                                                   : value->text.len / 64);
    bool there = cost <= *room;

    *room -= there ? cost : *room;
    if (!there)
        return false;
    if (value->kind == OMC_ARRAY)
        for (size_t i = 0; there && i < value->u.array->count; i++)
            there = rc_json_take_room(&value->u.array->items[i], room);
    if (value->kind == OMC_MAP)
        for (size_t i = 0; there && i < value->u.map->count; i++)
            there = rc_json_take_room(&value->u.map->entries[i].key, room) &&
                    rc_json_take_room(&value->u.map->entries[i].value, room);
    if (value->kind == OMC_STRUCT)
        for (size_t i = 0; there && i < value->u.object->schema->field_count; i++)
            there = rc_json_take_room(&value->u.object->values[i], room);
    return there;
}

static int no_room(rc_error *err)
{
    return rc_fail(err, OMC_EFORMAT,
                   "the payload becomes too large with its schema: missing fields and defaults "
                   "included it has more than %zu values",
                   RC_JSON_VALUES_MAX);
}

static int get_null(const omc_schema *schema, size_t *room, omc_value *ret, rc_error *err)
{
    if (!schema->has_default && !schema->optional)
        return rc_fail(err, OMC_EFORMAT, "null where the schema requires a value of type %s",
                       rc_kind_name(schema->type));
    *ret = schema->has_default ? schema->default_value : omc_null();
    return rc_json_take_room(ret, room) ? 0 : no_room(err);
}

int rc_json_get_value(const omc_schema *schema, const omc_value *node, omc_arena *arena,
                      size_t *room, omc_value *ret, rc_error *err)
{
    if (node->kind == OMC_NULL)
        return get_null(schema, room, ret, err);
    if (*room == 0)
        return no_room(err);
    (*room)--;
    switch (schema->type) {
    case OMC_INT8:
    case OMC_INT16:
    case OMC_INT32:
    case OMC_INT64:
        return get_integer(schema, node, ret, err);
    case OMC_FLOAT32:
    case OMC_FLOAT64:
        return get_floating(schema, node, ret, err);
    case OMC_BOOLEAN:
        return get_boolean(schema, node, ret, err);
    case OMC_STRING:
        return rc_json_get_string(node, arena, ret, err);
    case OMC_BYTES:
        return get_bytes(schema, node, arena, ret, err);
    case OMC_ARRAY:
        return get_array(schema, node, arena, room, ret, err);
    case OMC_MAP:
        return get_map(schema, node, arena, room, ret, err);
    default:
        return get_struct(schema, node, arena, room, ret, err);
    }
}
