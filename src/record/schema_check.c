/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does a value fit its schema? Strict where Java's Struct.validate is, with one addition: a
 * number known by its text fits every numeric type that can hold it.
 */
#include "record/value.h"

#include "record/number.h"

static const char *shown_kind(unsigned kind)
{
    const char *name = rc_kind_name(kind);

    if (name)
        return name;
    switch (kind) {
    case OMC_NULL:
        return "null";
    case OMC_DATETIME:
        return "datetime";
    case OMC_NUMBER_TEXT:
        return "number";
    default:
        return "unknown";
    }
}

static bool int_fits(unsigned type, int64_t number)
{
    switch (type) {
    case OMC_INT8:
        return number >= INT8_MIN && number <= INT8_MAX;
    case OMC_INT16:
        return number >= INT16_MIN && number <= INT16_MAX;
    case OMC_INT32:
        return number >= INT32_MIN && number <= INT32_MAX;
    default:
        return true;
    }
}

static int check_integer(const omc_schema *schema, const omc_value *value, rc_error *err)
{
    int64_t number;

    if (rc_value_int64(value, &number) < 0)
        return rc_fail(err, OMC_EFORMAT, "number " RC_SLICE_FMT " is no %s",
                       RC_SLICE_ARG(value->text), shown_kind(schema->type));
    if (!int_fits(schema->type, number))
        return rc_fail(err, OMC_EFORMAT, "number %lld does not fit in %s", (long long)number,
                       shown_kind(schema->type));
    return 0;
}

static int check_array(const omc_schema *schema, const omc_array *array, rc_error *err)
{
    for (size_t i = 0; schema->value_schema && i < array->count; i++) {
        int r = rc_value_check(schema->value_schema, &array->items[i], err);

        if (r < 0)
            return rc_wrap(err, r, "item %zu", i);
    }
    return 0;
}

static int check_map(const omc_schema *schema, const omc_map *map, rc_error *err)
{
    for (size_t i = 0; i < map->count; i++) {
        int r = 0;

        if (schema->key_schema)
            r = rc_value_check(schema->key_schema, &map->entries[i].key, err);
        if (r < 0)
            return rc_wrap(err, r, "key of entry %zu", i);
        if (schema->value_schema)
            r = rc_value_check(schema->value_schema, &map->entries[i].value, err);
        if (r < 0)
            return rc_wrap(err, r, "value of entry %zu", i);
    }
    return 0;
}

static int check_struct(const omc_schema *schema, const omc_struct *object, rc_error *err)
{
    if (!rc_schema_same_fields(schema, object->schema))
        return rc_fail(err, OMC_EFORMAT, "the struct has other fields than its schema says");
    for (size_t i = 0; i < schema->field_count; i++) {
        int r = rc_value_check(schema->fields[i].schema, &object->values[i], err);

        if (r < 0)
            return rc_wrap(err, r, "field '%s'", schema->fields[i].name);
    }
    return 0;
}

/** A value whose kind is the schema's type, or a number text where a number is wanted. */
static bool kind_fits(unsigned type, unsigned kind)
{
    return kind == type || (kind == OMC_NUMBER_TEXT &&
                            ((type >= OMC_INT8 && type <= OMC_FLOAT64) || type == OMC_DATETIME));
}

int rc_value_check(const omc_schema *schema, const omc_value *value, rc_error *err)
{
    double ignored;

    if (value->kind == OMC_NULL) {
        if (schema->optional || schema->has_default)
            return 0;
        return rc_fail(err, OMC_EFORMAT, "null where the schema requires a value of type %s",
                       shown_kind(schema->type));
    }
    if (!kind_fits(schema->type, value->kind))
        return rc_fail(err, OMC_EFORMAT, "value of type %s where the schema says %s",
                       shown_kind(value->kind), shown_kind(schema->type));
    switch (schema->type) {
    case OMC_INT8:
    case OMC_INT16:
    case OMC_INT32:
    case OMC_INT64:
    case OMC_DATETIME:
        return check_integer(schema, value, err);
    case OMC_FLOAT32:
    case OMC_FLOAT64:
        return rc_value_double(value, &ignored) < 0
                   ? rc_fail(err, OMC_EFORMAT, "'" RC_SLICE_FMT "' is no number",
                             RC_SLICE_ARG(value->text))
                   : 0;
    case OMC_ARRAY:
        return check_array(schema, value->u.array, err);
    case OMC_MAP:
        return check_map(schema, value->u.map, err);
    case OMC_STRUCT:
        return check_struct(schema, value->u.object, err);
    default:
        return 0;
    }
}
