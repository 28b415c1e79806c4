/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Schemas and values to the JSON of the envelope. A value is checked while it is written: what
 * does not fit its schema would be unreadable for the other side.
 */
#include "record/converter_json.h"

#include "base/units.h"
#include "record/value.h"

/* ---- decimals ------------------------------------------------------------------------------ */

bool rc_schema_is_decimal(const omc_schema *schema)
{
    return schema->type == OMC_BYTES && schema->name &&
           strcmp(schema->name, OMC_LOGICAL_DECIMAL) == 0;
}

int rc_schema_scale(const omc_schema *schema, int *ret, rc_error *err)
{
    const omc_slice *text = omc_keyvalue_get(&schema->parameters, OMC_DECIMAL_SCALE);
    int64_t scale;

    if (!text)
        return rc_fail(err, OMC_EFORMAT, "the Decimal schema has no parameter 'scale'");
    if (rc_parse_int64(*text, &scale) < 0 || scale < -4096 || scale > 4096)
        return rc_fail(err, OMC_EFORMAT,
                       "parameter 'scale' = '" RC_SLICE_FMT
                       "' of the Decimal schema is no number from -4096 to 4096",
                       RC_SLICE_ARG(*text));
    *ret = (int)scale;
    return 0;
}

/** Number of an unscaled value. A negative scale is an exponent, not thousands of zeros. */
static int put_unscaled(rc_slice unscaled, int scale, rc_buf *out)
{
    rc_arena arena;
    rc_slice number;
    int r;

    rc_arena_init(&arena, 512);
    r = rc_decimal_text(unscaled, RC_MAX(scale, 0), &arena.pub, &number);
    if (r == 0)
        rc_buf_add(out, number.base, number.len);
    if (r == 0 && scale < 0)
        rc_buf_printf(out, "e%d", -scale);
    rc_arena_release(&arena);
    return r;
}

/** A decimal that is known by its text only. */
static int put_number_text(rc_slice number, int scale, enum rc_json_decimal decimal, rc_buf *out)
{
    rc_arena arena;
    omc_value bytes = omc_bytes(number);
    int r;

    rc_arena_init(&arena, 512);
    r = rc_decimal_parse(number, scale, &arena.pub, &bytes.u.bytes);
    if (r == 0 && decimal == RC_JSON_DECIMAL_BASE64)
        rc_json_write(&bytes, 0, out);
    else if (r == 0)
        rc_buf_add(out, number.base, number.len);
    rc_arena_release(&arena);
    return r;
}

/** A decimal is bytes in our model; one known by its text is taken as well. */
static int put_decimal(const omc_schema *schema, const omc_value *value,
                       enum rc_json_decimal decimal, rc_buf *out, rc_error *err)
{
    int scale = 0, r = rc_schema_scale(schema, &scale, err);

    if (r < 0)
        return r;
    if (value->kind == OMC_NUMBER_TEXT)
        r = put_number_text(value->text, scale, decimal, out);
    else if (decimal == RC_JSON_DECIMAL_NUMERIC)
        r = put_unscaled(value->u.bytes, scale, out);
    else
        rc_json_write(value, 0, out);
    return r < 0
               ? rc_fail(err, OMC_EFORMAT, "no decimal of scale %d and at most 4096 digits", scale)
               : 0;
}

/* ---- values -------------------------------------------------------------------------------- */

static int put_array(const omc_schema *schema, const omc_array *array, enum rc_json_decimal decimal,
                     rc_buf *out, rc_error *err)
{
    rc_buf_char(out, '[');
    for (size_t i = 0; i < array->count; i++) {
        int r;

        if (i)
            rc_buf_char(out, ',');
        r = rc_json_put_value(schema ? schema->value_schema : NULL, &array->items[i], decimal, out,
                              err);
        if (r < 0)
            return rc_wrap(err, r, "item %zu", i);
    }
    rc_buf_char(out, ']');
    return 0;
}

/** Java: an object when keys are strings (by schema, else by looking), else pairs. */
static bool has_string_keys(const omc_schema *schema, const omc_map *map)
{
    if (schema && schema->key_schema)
        return schema->key_schema->type == OMC_STRING;
    for (size_t i = 0; i < map->count; i++)
        if (map->entries[i].key.kind != OMC_STRING)
            return false;
    return true;
}

static int put_entry(const omc_schema *schema, const omc_entry *entry, bool object,
                     enum rc_json_decimal decimal, rc_buf *out, rc_error *err)
{
    int r;

    if (object && entry->key.kind != OMC_STRING)
        return rc_fail(err, OMC_EFORMAT, "a key is no string, but the schema says so");
    if (!object)
        rc_buf_char(out, '[');
    r = rc_json_put_value(schema ? schema->key_schema : NULL, &entry->key, decimal, out, err);
    if (r < 0)
        return rc_wrap(err, r, "key");
    rc_buf_char(out, object ? ':' : ',');
    r = rc_json_put_value(schema ? schema->value_schema : NULL, &entry->value, decimal, out, err);
    if (r < 0)
        return rc_wrap(err, r, "value");
    if (!object)
        rc_buf_char(out, ']');
    return 0;
}

static int put_map(const omc_schema *schema, const omc_map *map, enum rc_json_decimal decimal,
                   rc_buf *out, rc_error *err)
{
    bool object = has_string_keys(schema, map);

    rc_buf_char(out, object ? '{' : '[');
    for (size_t i = 0; i < map->count; i++) {
        int r;

        if (i)
            rc_buf_char(out, ',');
        r = put_entry(schema, &map->entries[i], object, decimal, out, err);
        if (r < 0)
            return rc_wrap(err, r, "entry %zu", i);
    }
    rc_buf_char(out, object ? '}' : ']');
    return 0;
}

static int put_struct(const omc_schema *schema, const omc_struct *object,
                      enum rc_json_decimal decimal, rc_buf *out, rc_error *err)
{
    if (!rc_schema_same_fields(schema, object->schema))
        return rc_fail(err, OMC_EFORMAT, "the struct has other fields than its schema says");
    rc_buf_char(out, '{');
    for (size_t i = 0; i < schema->field_count; i++) {
        const omc_field *field = &schema->fields[i];
        int r;

        if (i)
            rc_buf_char(out, ',');
        rc_json_write_string(omc_slice_str(field->name), out);
        rc_buf_char(out, ':');
        r = rc_json_put_value(field->schema, &object->values[i], decimal, out, err);
        if (r < 0)
            return rc_wrap(err, r, "field '%s'", field->name);
    }
    rc_buf_char(out, '}');
    return 0;
}

/** Containers by their kind; `schema` may be NULL. */
static int put_container(const omc_schema *schema, const omc_value *value,
                         enum rc_json_decimal decimal, rc_buf *out, rc_error *err)
{
    switch (value->kind) {
    case OMC_ARRAY:
        return put_array(schema, value->u.array, decimal, out, err);
    case OMC_MAP:
        return put_map(schema, value->u.map, decimal, out, err);
    default:
        return put_struct(schema ? schema : value->u.object->schema, value->u.object, decimal, out,
                          err);
    }
}

static bool is_container(unsigned kind)
{
    return kind == OMC_ARRAY || kind == OMC_MAP || kind == OMC_STRUCT;
}

int rc_json_put_value(const omc_schema *schema, const omc_value *value,
                      enum rc_json_decimal decimal, rc_buf *out, rc_error *err)
{
    int r = 0;

    if (schema && value->kind == OMC_NULL && schema->has_default)
        return rc_json_put_value(schema, &schema->default_value, decimal, out, err);
    if (schema && rc_schema_is_decimal(schema) &&
        (value->kind == OMC_BYTES || value->kind == OMC_NUMBER_TEXT))
        return put_decimal(schema, value, decimal, out, err);
    if (is_container(value->kind) && (!schema || schema->type == value->kind))
        return put_container(schema, value, decimal, out, err);
    if (schema)
        r = rc_value_check(schema, value, err);
    if (r == 0)
        rc_json_write(value, 0, out);
    return r;
}

/* ---- schemas ------------------------------------------------------------------------------- */

static void put_text_member(const char *name, const char *text, rc_buf *out)
{
    if (!text)
        return;
    rc_buf_printf(out, ",\"%s\":", name);
    rc_json_write_string(omc_slice_str(text), out);
}

static void put_parameters(const omc_keyvalue *parameters, rc_buf *out)
{
    if (parameters->count == 0)
        return;
    rc_buf_str(out, ",\"parameters\":{");
    for (size_t i = 0; i < parameters->count; i++) {
        if (i)
            rc_buf_char(out, ',');
        rc_json_write_string(parameters->pairs[i].key, out);
        rc_buf_char(out, ':');
        rc_json_write_string(parameters->pairs[i].value, out);
    }
    rc_buf_char(out, '}');
}

static int put_node(const omc_schema *schema, const char *field, enum rc_json_decimal decimal,
                    rc_buf *out, rc_error *err);

static int put_part(const char *name, const omc_schema *part, const omc_schema *of,
                    enum rc_json_decimal decimal, rc_buf *out, rc_error *err)
{
    if (!part)
        return rc_fail(err, OMC_EFORMAT,
                       "the schema of a %s does not say the type of its %s; set it, or write "
                       "without schemas (schemas.enable=false)",
                       rc_kind_name(of->type), name);
    rc_buf_printf(out, ",\"%s\":", name);
    return put_node(part, NULL, decimal, out, err);
}

static int put_fields(const omc_schema *schema, enum rc_json_decimal decimal, rc_buf *out,
                      rc_error *err)
{
    rc_buf_str(out, ",\"fields\":[");
    for (size_t i = 0; i < schema->field_count; i++) {
        int r;

        if (i)
            rc_buf_char(out, ',');
        r = put_node(schema->fields[i].schema, schema->fields[i].name, decimal, out, err);
        if (r < 0)
            return rc_wrap(err, r, "field '%s'", schema->fields[i].name);
    }
    rc_buf_char(out, ']');
    return 0;
}

static int put_parts(const omc_schema *schema, enum rc_json_decimal decimal, rc_buf *out,
                     rc_error *err)
{
    int r;

    switch (schema->type) {
    case OMC_ARRAY:
        return put_part("items", schema->value_schema, schema, decimal, out, err);
    case OMC_MAP:
        r = put_part("keys", schema->key_schema, schema, decimal, out, err);
        return r < 0 ? r : put_part("values", schema->value_schema, schema, decimal, out, err);
    case OMC_STRUCT:
        return put_fields(schema, decimal, out, err);
    default:
        return 0;
    }
}

static int put_default(const omc_schema *schema, enum rc_json_decimal decimal, rc_buf *out,
                       rc_error *err)
{
    int r;

    if (!schema->has_default || schema->default_value.kind == OMC_NULL)
        return 0;
    rc_buf_str(out, ",\"default\":");
    r = rc_json_put_value(schema, &schema->default_value, decimal, out, err);
    return r < 0 ? rc_wrap(err, r, "default") : 0;
}

static int put_node(const omc_schema *schema, const char *field, enum rc_json_decimal decimal,
                    rc_buf *out, rc_error *err)
{
    /* Java has no name on the wire for DATETIME; as an int64 it means the same. */
    bool datetime = schema->type == OMC_DATETIME;
    const char *type = rc_kind_name(datetime ? OMC_INT64 : schema->type);
    int r;

    if (!type)
        return rc_fail(err, OMC_EFORMAT, "a schema has the unknown type %u", schema->type);
    rc_buf_printf(out, "{\"type\":\"%s\",\"optional\":%s", type,
                  schema->optional ? "true" : "false");
    put_text_member("field", field, out);
    put_text_member("name", datetime && !schema->name ? OMC_LOGICAL_TIMESTAMP : schema->name, out);
    if (schema->has_version)
        rc_buf_printf(out, ",\"version\":%d", (int)schema->version);
    put_text_member("doc", schema->doc, out);
    put_parameters(&schema->parameters, out);
    r = put_parts(schema, decimal, out, err);
    if (r == 0)
        r = put_default(schema, decimal, out, err);
    rc_buf_char(out, '}');
    return r;
}

int rc_json_put_schema(const omc_schema *schema, enum rc_json_decimal decimal, rc_buf *out,
                       rc_error *err)
{
    return put_node(schema, NULL, decimal, out, err);
}
