/* SPDX-License-Identifier: Apache-2.0 */
/**
 * ExtractNestedField: appends a field of an inner struct or map to the outer one.
 *
 * Differences to Java: maps work too; output.field.name is honoured (there: ignored); an outer
 * field that is null gives null (there: an exception); version, doc and parameters of the schema
 * stay. A map without the outer or the inner field passes unchanged.
 */
#include "record/transform.h"
#include "record/value.h"

typedef struct options {
    const char *outer, *inner, *output;
} options;

static const omc_option table[] = {
    {.name = "input.outer.field.name",
     .type = OMC_OPT_STRING,
     .flags = OMC_OPT_REQUIRED,
     .offset = offsetof(options, outer),
     .doc = "Field that holds the inner struct or map."},
    {.name = "input.inner.field.name",
     .type = OMC_OPT_STRING,
     .flags = OMC_OPT_REQUIRED,
     .offset = offsetof(options, inner),
     .doc = "Field of the inner struct or map to append to the outer one. In a map, a missing "
            "field leaves the record as it is; in a struct it is an error."},
    {.name = "output.field.name",
     .type = OMC_OPT_STRING,
     .offset = offsetof(options, output),
     .doc = "Name of the appended field; absent: the inner name. (Java ignores this key.) A field "
            "that has the name already is an error."},
};

typedef struct state {
    const char *outer, *inner, *output;
    rc_schema_cache cache;
} state;

static int extract_start(void *at, const omc_config *config, omc_error *err)
{
    const options *o = config->options;
    state *s = at;

    (void)err;
    s->outer = o->outer;
    s->inner = o->inner;
    s->output = o->output && *o->output ? o->output : o->inner;
    return 0;
}

static int taken(const state *s, rc_error *err)
{
    return rc_fail(err, OMC_EFORMAT,
                   "ExtractNestedField: there is a field '%s' already; set 'output.field.name' to "
                   "another name",
                   s->output);
}

static int not_nested(const state *s, const char *kind, rc_error *err)
{
    return rc_fail(
        err, OMC_EFORMAT,
        "ExtractNestedField: field '%s' ('input.outer.field.name') is of type %s and has "
        "no fields",
        s->outer, kind ? kind : "number");
}

static int absent(const char *key, const char *field, const omc_schema *schema, rc_error *err)
{
    return rc_fail(err, OMC_EFORMAT,
                   "ExtractNestedField: schema '%s' has no field '%s'; correct '%s' or put a "
                   "predicate before the transform",
                   schema->name ? schema->name : "", field, key);
}

/** The appended field may be null when the outer one may be. */
static const omc_schema *optional_schema(const omc_schema *inner, omc_arena *arena)
{
    omc_schema *schema;

    if (inner->optional)
        return inner;
    schema = omc_alloc(arena, sizeof *schema);
    *schema = *inner;
    schema->optional = true;
    return schema;
}

static int build(void *arg, const omc_schema *input, omc_arena *arena, const omc_schema **ret,
                 rc_error *err)
{
    const state *s = arg;
    int at = rc_schema_field(input, omc_slice_str(s->outer)), inner_at;
    const omc_schema *outer, *inner;
    omc_field *fields;
    omc_schema *schema;

    if (at < 0)
        return absent("input.outer.field.name", s->outer, input, err);
    if (rc_schema_field(input, omc_slice_str(s->output)) >= 0)
        return taken(s, err);
    outer = input->fields[at].schema;
    if (outer->type != OMC_STRUCT)
        return not_nested(s, rc_kind_name(outer->type), err);
    inner_at = rc_schema_field(outer, omc_slice_str(s->inner));
    if (inner_at < 0)
        return absent("input.inner.field.name", s->inner, outer, err);
    inner = outer->fields[inner_at].schema;
    schema = rc_schema_rebuild(input, 1, arena, &fields);
    fields[input->field_count] = (omc_field){
        .name = omc_copy(arena, s->output, strlen(s->output)),
        .schema = outer->optional ? optional_schema(inner, arena) : inner,
    };
    *ret = schema;
    return 0;
}

/** Value of the inner field of a struct whose schema was checked; null when the outer is. */
static int inner_value(const state *s, const omc_struct *object, omc_value *ret, rc_error *err)
{
    int at = rc_schema_field(object->schema, omc_slice_str(s->outer)), inner_at;
    const omc_value *outer = &object->values[at];

    *ret = omc_null();
    if (outer->kind == OMC_NULL)
        return 0;
    if (outer->kind != OMC_STRUCT)
        return not_nested(s, rc_kind_name(outer->kind), err);
    inner_at = rc_schema_field(outer->u.object->schema, omc_slice_str(s->inner));
    if (inner_at < 0)
        return absent("input.inner.field.name", s->inner, outer->u.object->schema, err);
    *ret = outer->u.object->values[inner_at];
    return 0;
}

static int extract_struct(state *s, const rc_half *half, omc_arena *arena, rc_error *err)
{
    const omc_struct *old = half->value->u.object;
    size_t count = old->schema->field_count;
    const omc_schema *schema;
    omc_struct *object;
    omc_value *values, inner;
    int r = rc_schema_cache_get(&s->cache, old->schema, build, s, arena, &schema, err);

    if (r < 0)
        return r;
    r = inner_value(s, old, &inner, err);
    if (r < 0)
        return r;
    object = omc_alloc(arena, sizeof *object);
    values = omc_alloc(arena, (count + 1) * sizeof *values);
    memcpy(values, old->values, count * sizeof *values);
    values[count] = inner;
    object->schema = schema;
    object->values = values;
    half->value->u.object = object;
    *half->schema = schema;
    return 0;
}

static int extract_map(const state *s, const rc_half *half, omc_arena *arena, rc_error *err)
{
    const omc_map *old = half->value->u.map;
    const omc_value *outer = omc_map_get(old, s->outer), *inner = NULL;
    omc_entry *entries;
    omc_map *map;

    if (!outer || outer->kind == OMC_NULL)
        return 0;
    if (outer->kind == OMC_MAP) {
        inner = omc_map_get(outer->u.map, s->inner);
    } else if (outer->kind == OMC_STRUCT) {
        int at = rc_schema_field(outer->u.object->schema, omc_slice_str(s->inner));

        inner = at < 0 ? NULL : &outer->u.object->values[at];
    } else {
        return not_nested(s, rc_kind_name(outer->kind), err);
    }
    if (!inner)
        return 0;
    if (omc_map_get(old, s->output))
        return taken(s, err);
    entries = omc_alloc(arena, (old->count + 1) * sizeof *entries);
    memcpy(entries, old->entries, old->count * sizeof *entries);
    entries[old->count].key =
        omc_string(omc_slice_of(omc_copy(arena, s->output, strlen(s->output)), strlen(s->output)));
    entries[old->count].value = *inner;
    map = omc_alloc(arena, sizeof *map);
    map->count = old->count + 1;
    map->entries = entries;
    half->value->u.map = map;
    *half->schema = NULL; /* The new entry has another type than a map schema says. */
    return 0;
}

static int extract_apply(void *at, rc_side side, omc_record *record, omc_arena *arena,
                         omc_error *err)
{
    rc_half half = rc_half_of(record, side);

    switch (half.value->kind) {
    case OMC_NULL:
        return 0;
    case OMC_STRUCT:
        return extract_struct(at, &half, arena, err);
    case OMC_MAP:
        return extract_map(at, &half, arena, err);
    default:
        return rc_half_unfit(&half, "ExtractNestedField", "a struct or a map", err);
    }
}

static void extract_stop(void *at)
{
    state *s = at;

    rc_schema_cache_release(&s->cache);
}

RC_TRANSFORM_PAIR(extract, state);

const omc_plugin rc_extract_nested_field_key = {
    RC_BUILTIN(OMC_TRANSFORM),
    .name = "extract-nested-field-key",
    .classes = RC_TRANSFORMS "ExtractNestedField$Key",
    .doc = "Appends a field of an inner struct of the key to the key itself.",
    .options = table,
    .option_count = RC_COUNT(table),
    .options_size = sizeof(options),
    .ops = &extract_key_ops,
};

const omc_plugin rc_extract_nested_field_value = {
    RC_BUILTIN(OMC_TRANSFORM),
    .name = "extract-nested-field-value",
    .classes = RC_TRANSFORMS "ExtractNestedField$Value",
    .doc = "Appends a field of an inner struct of the value to the value itself.",
    .options = table,
    .option_count = RC_COUNT(table),
    .options_size = sizeof(options),
    .ops = &extract_value_ops,
};
