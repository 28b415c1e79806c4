/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON of the envelope's schema to schemas. As forgiving as Java's reader ("optional":"true", a
 * stray "field"); stricter in one thing: a schema that says it is required stays so, which
 * Java's reader forgets. Nothing borrows from the text: schemas outlive messages.
 */
#include "record/converter_json.h"

#include "base/encode.h"
#include "base/units.h"
#include "record/number.h"
#include "record/value.h"

/** Member `name` of a schema node as NUL-terminated text, or NULL when absent or empty. */
static int get_text(const omc_map *node, const char *name, omc_arena *arena, const char **ret,
                    rc_error *err)
{
    const omc_value *text = omc_map_get(node, name);

    *ret = NULL;
    if (!text || text->kind == OMC_NULL)
        return 0;
    if (text->kind != OMC_STRING)
        return rc_fail(err, OMC_EFORMAT, "\"%s\" must be a string, it is %s", name,
                       rc_json_shown(text));
    if (text->u.bytes.len && memchr(text->u.bytes.base, '\0', text->u.bytes.len))
        return rc_fail(err, OMC_EFORMAT, "\"%s\" contains the character U+0000", name);
    if (!rc_utf8_valid(text->u.bytes)) /* Would be another name once it is written. */
        return rc_fail(err, OMC_EFORMAT, "\"%s\" is not UTF-8", name);
    if (text->u.bytes.len)
        *ret = omc_copy(arena, text->u.bytes.base, text->u.bytes.len);
    return 0;
}

static int get_type(const omc_map *node, omc_schema *schema, rc_error *err)
{
    const omc_value *type = omc_map_get(node, "type");

    if (!type || type->kind != OMC_STRING)
        return rc_fail(err, OMC_EFORMAT, "a schema must have a \"type\"");
    for (unsigned kind = OMC_INT8; kind <= OMC_STRUCT; kind++)
        if (rc_kind_name(kind) && omc_slice_is(type->u.bytes, rc_kind_name(kind))) {
            schema->type = (uint8_t)kind;
            return 0;
        }
    return rc_fail(err, OMC_EFORMAT,
                   "\"type\" is '" RC_SLICE_FMT
                   "'; known are boolean, int8, int16, int32, int64, float, double, bytes, "
                   "string, array, map and struct",
                   RC_SLICE_ARG(type->u.bytes));
}

static int get_optional(const omc_map *node, omc_schema *schema, rc_error *err)
{
    const omc_value *optional = omc_map_get(node, "optional");

    schema->optional = true; /* OpenMessaging's builder: unless told. */
    if (!optional || optional->kind == OMC_NULL)
        return 0;
    if (optional->kind == OMC_BOOLEAN)
        schema->optional = optional->u.boolean;
    else if (optional->kind != OMC_STRING ||
             rc_parse_bool(optional->u.bytes, &schema->optional) < 0)
        return rc_fail(err, OMC_EFORMAT, "\"optional\" must be true or false");
    return 0;
}

static int get_version(const omc_map *node, omc_schema *schema, rc_error *err)
{
    const omc_value *version = omc_map_get(node, "version");
    int64_t number;

    if (!version || version->kind == OMC_NULL)
        return 0;
    if (version->kind != OMC_NUMBER_TEXT || rc_number_int64(version->text, &number) < 0 ||
        number < INT32_MIN || number > INT32_MAX)
        return rc_fail(err, OMC_EFORMAT, "\"version\" must be a whole number of 32 bits");
    schema->has_version = true;
    schema->version = (int32_t)number;
    return 0;
}

static int get_parameters(const omc_map *node, omc_arena *arena, omc_schema *schema, rc_error *err)
{
    const omc_value *parameters = omc_map_get(node, "parameters");
    omc_pair *pairs;
    size_t count;

    if (!parameters || parameters->kind == OMC_NULL)
        return 0;
    if (parameters->kind != OMC_MAP)
        return rc_fail(err, OMC_EFORMAT, "\"parameters\" must be an object");
    count = parameters->u.map->count;
    pairs = omc_alloc(arena, count * sizeof *pairs);
    for (size_t i = 0; i < count; i++) {
        const omc_entry *entry = &parameters->u.map->entries[i];
        omc_value text;
        int r = rc_json_get_string(&entry->value, arena, &text, err);

        if (r < 0)
            return r;
        pairs[i].key = rc_arena_slice(arena, entry->key.u.bytes);
        pairs[i].value = rc_arena_slice(arena, text.u.bytes);
    }
    schema->parameters = (omc_keyvalue){count, pairs};
    return 0;
}

/** Most values of all defaults of a schema together. A null in a default stands for the default
 *  of what it is in, so a few hundred bytes could say billions of values. */
#define DEFAULTS_MAX 65536

/** What the nodes of one schema share. */
typedef struct schema_reader {
    omc_arena *arena;
    size_t room; /**< Values that its defaults may still have. */
} schema_reader;

static int get_schema(schema_reader *reader, const omc_value *node, const omc_schema **ret,
                      rc_error *err);

static int get_part(schema_reader *reader, const omc_map *node, const char *name,
                    const omc_schema **ret, rc_error *err)
{
    const omc_value *part = omc_map_get(node, name);
    int r;

    if (!part || part->kind == OMC_NULL)
        return rc_fail(err, OMC_EFORMAT, "the schema lacks \"%s\"", name);
    r = get_schema(reader, part, ret, err);
    return r < 0 ? rc_wrap(err, r, "\"%s\"", name) : 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const omc_field *)a)->name, ((const omc_field *)b)->name);
}

/** As Java: a name may be given once. Sorting a copy keeps foreign schemas cheap. */
static int check_names(const omc_field *fields, size_t count, rc_error *err)
{
    RC_AUTO_FREE omc_field *sorted = rc_malloc(count * sizeof *sorted + 1);

    if (count)
        memcpy(sorted, fields, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_names);
    for (size_t i = 1; i < count; i++)
        if (strcmp(sorted[i - 1].name, sorted[i].name) == 0)
            return rc_fail(err, OMC_EFORMAT, "the struct has two fields '%s'", sorted[i].name);
    return 0;
}

static int get_field(schema_reader *reader, const omc_value *node, omc_field *ret, rc_error *err)
{
    int r;

    if (node->kind != OMC_MAP)
        return rc_fail(err, OMC_EFORMAT, "a field must be an object, it is %s",
                       rc_json_shown(node));
    r = get_text(node->u.map, "field", reader->arena, &ret->name, err);
    if (r < 0)
        return r;
    if (!ret->name)
        return rc_fail(err, OMC_EFORMAT, "a field of the struct has no name (\"field\")");
    r = get_schema(reader, node, &ret->schema, err);
    return r < 0 ? rc_wrap(err, r, "field '%s'", ret->name) : 0;
}

static int get_fields(schema_reader *reader, const omc_map *node, omc_schema *schema, rc_error *err)
{
    const omc_value *list = omc_map_get(node, "fields");
    omc_field *fields;
    size_t count;

    if (!list || list->kind != OMC_ARRAY)
        return rc_fail(err, OMC_EFORMAT, "\"fields\" of a struct must be an array");
    count = list->u.array->count;
    fields = omc_alloc(reader->arena, count * sizeof *fields);
    for (size_t i = 0; i < count; i++) {
        int r = get_field(reader, &list->u.array->items[i], &fields[i], err);

        if (r < 0)
            return r;
    }
    schema->field_count = count;
    schema->fields = fields;
    return check_names(fields, count, err);
}

static int get_parts(schema_reader *reader, const omc_map *node, omc_schema *schema, rc_error *err)
{
    int r;

    switch (schema->type) {
    case OMC_ARRAY:
        return get_part(reader, node, "items", &schema->value_schema, err);
    case OMC_MAP:
        r = get_part(reader, node, "keys", &schema->key_schema, err);
        return r < 0 ? r : get_part(reader, node, "values", &schema->value_schema, err);
    case OMC_STRUCT:
        return get_fields(reader, node, schema, err);
    default:
        return 0;
    }
}

static int get_default(schema_reader *reader, const omc_map *node, omc_schema *schema,
                       rc_error *err)
{
    const omc_value *value = omc_map_get(node, "default");
    size_t room = DEFAULTS_MAX;
    omc_value read;
    int r;

    if (!value || value->kind == OMC_NULL)
        return 0;
    r = rc_json_get_value(schema, value, reader->arena, &room, &read, err);
    if (r < 0)
        return rc_wrap(err, r, "\"default\"");
    if (!rc_json_take_room(&read, &reader->room))
        return rc_fail(err, OMC_EFORMAT,
                       "the schema's \"default\"s have more than %d values together; a null in one "
                       "counts as the default it stands for",
                       DEFAULTS_MAX);
    schema->default_value = rc_default_copy(&read, schema, reader->arena);
    schema->has_default = true;
    return 0;
}

static int get_schema(schema_reader *reader, const omc_value *node, const omc_schema **ret,
                      rc_error *err)
{
    const omc_map *map = node->u.map;
    omc_arena *arena = reader->arena;
    omc_schema *schema;
    int scale, r;

    *ret = NULL;
    if (node->kind == OMC_NULL)
        return 0;
    if (node->kind != OMC_MAP)
        return rc_fail(err, OMC_EFORMAT, "a schema must be an object, it is %s",
                       rc_json_shown(node));
    schema = omc_alloc0(arena, sizeof *schema);
    r = get_type(map, schema, err);
    if (r == 0)
        r = get_optional(map, schema, err);
    if (r == 0)
        r = get_text(map, "name", arena, &schema->name, err);
    if (r == 0)
        r = get_version(map, schema, err);
    if (r == 0)
        r = get_text(map, "doc", arena, &schema->doc, err);
    if (r == 0)
        r = get_parameters(map, arena, schema, err);
    if (r == 0)
        r = get_parts(reader, map, schema, err);
    if (r == 0 && rc_schema_is_decimal(schema))
        r = rc_schema_scale(schema, &scale, err);
    if (r == 0)
        r = get_default(reader, map, schema, err);
    if (r == 0)
        *ret = schema;
    return r;
}

int rc_json_get_schema(const omc_value *node, omc_arena *arena, const omc_schema **ret,
                       rc_error *err)
{
    schema_reader reader = {arena, DEFAULTS_MAX};

    return get_schema(&reader, node, ret, err);
}
