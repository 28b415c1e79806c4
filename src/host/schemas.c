/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Schemas by id. Coming in, an id is a place in a table; a definition may only refer to what was
 * defined before, so that schemas cannot be circular and their depth is known at once. Going out, a
 * schema is known by its encoded form: converters may build equal schemas again and again, at
 * addresses that are used again.
 */
#include "host/values.h"
#include "record/value.h"

#define BIT_OPTIONAL 1u
#define BIT_VERSION 2u
#define BIT_DEFAULT 4u
#define FIELDS_MAX 65535

struct rc_wire_id {
    uint32_t id;
    size_t len;
    UT_hash_handle hh;
    char bytes[];
};

struct rc_wire_seen {
    const omc_schema *schema;
    uint32_t id;
    UT_hash_handle hh;
};

/* ---- in ------------------------------------------------------------------------------------- */

void rc_wire_schemas_init(rc_wire_schemas *schemas)
{
    *schemas = (rc_wire_schemas){0};
    rc_arena_init(&schemas->arena, 4096);
}

void rc_wire_schemas_release(rc_wire_schemas *schemas)
{
    free(schemas->ids);
    rc_arena_release(&schemas->arena);
    *schemas = (rc_wire_schemas){0};
}

const omc_schema *rc_in_schema(rc_wire_in *in)
{
    uint32_t id = rc_in_u32(in);

    if (id == 0)
        return NULL;
    if (!in->schemas || id >= in->schemas->cap || !in->schemas->ids[id].schema) {
        rc_in_fault(in, "unknown-schema");
        return NULL;
    }
    return in->schemas->ids[id].schema;
}

/* A part of the schema being read; its depth counts. */
static const omc_schema *part(rc_wire_in *in, unsigned *depth)
{
    const char *at = in->at;
    uint32_t id = rc_in_u32(in);
    const omc_schema *schema;

    in->at = in->fault ? in->at : at;
    schema = rc_in_schema(in);
    if (schema)
        *depth = RC_MAX(*depth, in->schemas->ids[id].depth);
    return schema;
}

static void keep_parameters(rc_wire_in *in, omc_schema *schema)
{
    const omc_keyvalue *given = rc_in_kv(in);
    omc_pair *pairs = rc_in_alloc(in, given->count, sizeof *pairs);

    for (size_t i = 0; i < given->count && !in->fault; i++) {
        pairs[i].key = rc_arena_slice(in->arena, given->pairs[i].key);
        pairs[i].value = rc_arena_slice(in->arena, given->pairs[i].value);
    }
    schema->parameters = (omc_keyvalue){in->fault ? 0 : given->count, pairs};
}

static const char *optional_name(rc_wire_in *in)
{
    const char *at = in->at;

    if (rc_in_u32(in) == RC_WIRE_NONE)
        return NULL;
    in->at = in->fault ? in->at : at;
    return rc_in_name(in, UINT32_MAX);
}

static void read_fields(rc_wire_in *in, omc_schema *schema, unsigned *depth)
{
    uint32_t count = rc_in_count(in, 8, FIELDS_MAX);
    omc_field *fields = rc_in_alloc(in, count, sizeof *fields);

    if (count && schema->type != OMC_STRUCT)
        rc_in_fault(in, "bad-schema");
    for (uint32_t i = 0; i < count && !in->fault; i++) {
        fields[i].name = rc_in_name(in, UINT32_MAX);
        fields[i].schema = part(in, depth);
        if (!fields[i].schema)
            rc_in_fault(in, "bad-schema");
    }
    schema->fields = fields;
    schema->field_count = in->fault ? 0 : count;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void check_names(rc_wire_in *in, const omc_schema *schema)
{
    const char **names = rc_calloc(schema->field_count + 1, sizeof *names);

    for (size_t i = 0; i < schema->field_count; i++)
        names[i] = schema->fields[i].name;
    qsort(names, schema->field_count, sizeof *names, by_name);
    for (size_t i = 1; i < schema->field_count; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            rc_in_fault(in, "bad-schema");
    free(names);
}

/* Values borrow from the payload, which does not live as long as the schema. */
static void read_default(rc_wire_in *in, omc_schema *schema)
{
    omc_value value = rc_in_value(in, schema);

    if (in->fault)
        return;
    if (rc_value_check(schema, &value, NULL) < 0) {
        rc_in_fault(in, "bad-schema");
        return;
    }
    schema->default_value = rc_default_copy(&value, schema, in->arena);
    schema->has_default = true;
}

static void add(rc_wire_schemas *schemas, uint32_t id, const omc_schema *schema, unsigned depth)
{
    if (id >= schemas->cap) {
        size_t cap = RC_MAX(schemas->cap * 2, (size_t)id + 16);

        schemas->ids = rc_realloc(schemas->ids, cap * sizeof *schemas->ids);
        memset(schemas->ids + schemas->cap, 0, (cap - schemas->cap) * sizeof *schemas->ids);
        schemas->cap = cap;
    }
    schemas->ids[id].schema = schema;
    schemas->ids[id].depth = depth;
}

static void define_one(rc_wire_schemas *schemas, rc_wire_in *in)
{
    uint32_t id = rc_in_u32(in);
    omc_schema *schema = rc_in_alloc(in, 1, sizeof *schema);
    unsigned bits, depth = 0;

    schema->type = rc_in_u8(in);
    bits = rc_in_u8(in);
    if (!in->fault && (id == 0 || id > RC_WIRE_SCHEMA_ID_MAX || schema->type < OMC_INT8 ||
                       schema->type > OMC_STRUCT))
        rc_in_fault(in, "bad-schema");
    schema->optional = bits & BIT_OPTIONAL;
    schema->has_version = bits & BIT_VERSION;
    schema->version = rc_in_i32(in);
    schema->name = optional_name(in);
    schema->doc = optional_name(in);
    keep_parameters(in, schema);
    read_fields(in, schema, &depth);
    schema->key_schema = part(in, &depth);
    schema->value_schema = part(in, &depth);
    if (++depth > RC_WIRE_DEPTH_MAX)
        rc_in_fault(in, "too-deep");
    check_names(in, schema);
    if (bits & BIT_DEFAULT)
        read_default(in, schema);
    if (!in->fault)
        add(schemas, id, schema, depth);
}

const char *rc_wire_schemas_define(rc_wire_schemas *schemas, rc_slice payload)
{
    rc_wire_in in;
    uint32_t count;

    rc_in_init(&in, payload, &schemas->arena.pub);
    in.schemas = schemas;
    in.budget = RC_WIRE_SCHEMA_BYTES_MAX;
    if (payload.len > RC_WIRE_SCHEMA_BYTES_MAX - schemas->bytes)
        return "over-limit";
    schemas->bytes += payload.len;
    count = rc_in_count(&in, 4, UINT32_MAX);
    for (uint32_t i = 0; i < count && !in.fault; i++) {
        rc_wire_in def = rc_in_enter(&in);

        if (!def.fault)
            define_one(schemas, &def);
        rc_in_leave(&in, &def);
    }
    return in.fault;
}

/* ---- out ------------------------------------------------------------------------------------ */

void rc_wire_ids_init(rc_wire_ids *ids)
{
    *ids = (rc_wire_ids){.defs = RC_BUF(RC_WIRE_FRAME_MAX)};
}

static void forget_seen(rc_wire_ids *ids)
{
    struct rc_wire_seen *seen, *next;

    HASH_ITER(hh, ids->seen, seen, next)
    {
        HASH_DEL(ids->seen, seen); /* NOLINT(clang-analyzer-unix.Malloc) */
        free(seen);
    }
}

void rc_wire_ids_release(rc_wire_ids *ids)
{
    struct rc_wire_id *id, *next;

    forget_seen(ids);
    HASH_ITER(hh, ids->by_bytes, id, next)
    {
        HASH_DEL(ids->by_bytes, id); /* NOLINT(clang-analyzer-unix.Malloc) */
        free(id);
    }
    rc_buf_release(&ids->defs);
}

void rc_wire_ids_begin(rc_wire_ids *ids)
{
    forget_seen(ids);
    rc_buf_clear(&ids->defs);
    rc_out_u32(&ids->defs, 0);
    ids->def_count = 0;
    ids->fault = NULL;
    ids->depth = ids->schema_depth = 0;
}

/* In defaults structs have the id 0: their schemas are those of their places. */
static void out_default(rc_buf *out, rc_wire_ids *ids, const omc_value *value)
{
    const omc_array *array = value->kind == OMC_ARRAY ? value->u.array : NULL;
    const omc_map *map = value->kind == OMC_MAP ? value->u.map : NULL;
    const omc_struct *object = value->kind == OMC_STRUCT ? value->u.object : NULL;

    if (!array && !map && !object) {
        rc_out_value(out, ids, value);
        return;
    }
    rc_out_u8(out, value->kind);
    if (++ids->depth > RC_WIRE_DEPTH_MAX)
        ids->fault = "a default nests deeper than 64 levels";
    else if (object)
        rc_out_u32(out, 0);
    else
        rc_out_u32(out, (uint32_t)(array ? array->count : map->count));
    for (size_t i = 0; array && i < array->count && !ids->fault; i++)
        out_default(out, ids, &array->items[i]);
    for (size_t i = 0; map && i < map->count && !ids->fault; i++) {
        out_default(out, ids, &map->entries[i].key);
        out_default(out, ids, &map->entries[i].value);
    }
    for (size_t i = 0; object && i < object->schema->field_count && !ids->fault; i++)
        out_default(out, ids, &object->values[i]);
    ids->depth--;
}

/* Everything of a definition but its id. */
static void encode(rc_buf *out, rc_wire_ids *ids, const omc_schema *schema)
{
    rc_out_u8(out, schema->type);
    rc_out_u8(out, (schema->optional ? BIT_OPTIONAL : 0) | (schema->has_version ? BIT_VERSION : 0) |
                       (schema->has_default ? BIT_DEFAULT : 0));
    rc_out_u32(out, schema->has_version ? (uint32_t)schema->version : 0);
    rc_out_optional(out, schema->name);
    rc_out_optional(out, schema->doc);
    rc_out_kv(out, &schema->parameters);
    rc_out_u32(out, (uint32_t)schema->field_count);
    for (size_t i = 0; i < schema->field_count; i++) {
        rc_out_text(out, schema->fields[i].name);
        rc_out_u32(out, rc_wire_schema_id(ids, schema->fields[i].schema));
    }
    rc_out_u32(out, rc_wire_schema_id(ids, schema->key_schema));
    rc_out_u32(out, rc_wire_schema_id(ids, schema->value_schema));
    if (schema->has_default)
        out_default(out, ids, &schema->default_value);
}

static uint32_t find_or_define(rc_wire_ids *ids, const rc_buf *bytes)
{
    struct rc_wire_id *known;
    size_t mark;

    HASH_FIND(hh, ids->by_bytes, bytes->data, bytes->len, known);
    if (known)
        return known->id;
    if (ids->count == RC_WIRE_SCHEMA_ID_MAX || bytes->len > RC_WIRE_SCHEMA_BYTES_MAX - ids->bytes) {
        ids->fault = "too many different schemas in the life of one task";
        return 0;
    }
    known = rc_calloc(1, sizeof *known + bytes->len);
    known->id = ++ids->count;
    known->len = bytes->len;
    memcpy(known->bytes, bytes->data, bytes->len);
    HASH_ADD_KEYPTR(hh, ids->by_bytes, known->bytes, known->len, known);
    ids->bytes += bytes->len;
    mark = rc_out_mark(&ids->defs);
    rc_out_u32(&ids->defs, known->id);
    rc_out_raw(&ids->defs, bytes->data, bytes->len);
    rc_out_sized(&ids->defs, mark);
    rc_out_patch(&ids->defs, 0, ++ids->def_count);
    return known->id;
}

uint32_t rc_wire_schema_id(rc_wire_ids *ids, const omc_schema *schema)
{
    rc_buf bytes = RC_BUF(RC_WIRE_FRAME_USUAL);
    struct rc_wire_seen *seen;
    uint32_t id = 0;

    if (!schema)
        return 0;
    HASH_FIND_PTR(ids->seen, &schema, seen);
    if (seen)
        return seen->id;
    if (++ids->schema_depth > RC_WIRE_DEPTH_MAX)
        ids->fault = "a schema nests deeper than 64 levels";
    else
        encode(&bytes, ids, schema);
    ids->schema_depth--;
    if (bytes.overflow)
        ids->fault = "a schema is larger than 16 MiB";
    if (!ids->fault)
        id = find_or_define(ids, &bytes);
    rc_buf_release(&bytes);
    if (ids->fault)
        return 0;
    seen = rc_calloc(1, sizeof *seen);
    seen->schema = schema;
    seen->id = id;
    HASH_ADD_PTR(ids->seen, schema, seen);
    return id;
}
