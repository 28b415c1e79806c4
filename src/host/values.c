/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values and records. A value that comes in may be anything: depth, counts and memory are bounded,
 * and a struct has exactly as many values as its schema has fields. Whether kinds fit the schema is
 * for converters to say, as it is with plugins in the worker's own process.
 */
#include "host/values.h"

#define TEXT_BIT 0x80u

enum field {
    HAS_TIMESTAMP = 0x0001,
    HAS_KEY_SCHEMA = 0x0002,
    HAS_SCHEMA = 0x0004,
    HAS_KEY = 0x0008,
    HAS_VALUE = 0x0010,
    HAS_PARTITION = 0x0020,
    HAS_OFFSET = 0x0040,
    HAS_COUNTER = 0x0080,
    HAS_EXTENSIONS = 0x0100,
    HAS_PROPERTIES = 0x0200,
    HAS_TOPIC = 0x0400,
    HAS_QUEUE = 0x0800,
    HAS_FLAG = 0x1000,
    HAS_BORN = 0x2000,
    ALL_FIELDS = 0x3fff
};

/* ---- values in ------------------------------------------------------------------------------ */

static bool deeper(rc_wire_in *in)
{
    if (++in->depth <= RC_WIRE_DEPTH_MAX)
        return true;
    rc_in_fault(in, "too-deep");
    return false;
}

static const omc_array *in_array(rc_wire_in *in, const omc_schema *place)
{
    uint32_t count = rc_in_count(in, 1, UINT32_MAX);
    omc_array *array = rc_in_alloc(in, 1, sizeof *array);
    omc_value *items = rc_in_alloc(in, count, sizeof *items);

    for (uint32_t i = 0; i < count && !in->fault; i++)
        items[i] = rc_in_value(in, place ? place->value_schema : NULL);
    *array = (omc_array){in->fault ? 0 : count, items};
    return array;
}

static const omc_map *in_map(rc_wire_in *in, const omc_schema *place)
{
    uint32_t count = rc_in_count(in, 2, UINT32_MAX);
    omc_map *map = rc_in_alloc(in, 1, sizeof *map);
    omc_entry *entries = rc_in_alloc(in, count, sizeof *entries);

    for (uint32_t i = 0; i < count && !in->fault; i++) {
        entries[i].key = rc_in_value(in, place ? place->key_schema : NULL);
        entries[i].value = rc_in_value(in, place ? place->value_schema : NULL);
    }
    *map = (omc_map){in->fault ? 0 : count, entries};
    return map;
}

static const omc_schema *struct_schema(rc_wire_in *in, const omc_schema *place)
{
    const char *at = in->at;
    uint32_t id = rc_in_u32(in);

    if (id == 0 && place && place->type == OMC_STRUCT)
        return place;
    in->at = in->fault ? in->at : at;
    return rc_in_schema(in);
}

static const omc_struct *in_struct(rc_wire_in *in, const omc_schema *place)
{
    omc_struct *object = rc_in_alloc(in, 1, sizeof *object);
    const omc_schema *schema = struct_schema(in, place);
    omc_value *values;

    if (!schema || schema->type != OMC_STRUCT)
        rc_in_fault(in, "unknown-schema");
    if (in->fault || !schema)
        return NULL;
    if (schema->field_count > rc_in_left(in)) { /* each value has a tag */
        rc_in_fault(in, "truncated");
        return NULL;
    }
    values = rc_in_alloc(in, schema->field_count, sizeof *values);
    for (size_t i = 0; i < schema->field_count && !in->fault; i++)
        values[i] = rc_in_value(in, place ? schema->fields[i].schema : NULL);
    *object = (omc_struct){schema, values};
    return object;
}

static double f32_of(uint32_t bits)
{
    float number;

    memcpy(&number, &bits, sizeof number);
    return (double)number;
}

static double f64_of(uint64_t bits)
{
    double number;

    memcpy(&number, &bits, sizeof number);
    return number;
}

static void in_nested(rc_wire_in *in, unsigned kind, const omc_schema *place, omc_value *v)
{
    if (!deeper(in))
        return;
    if (kind == OMC_ARRAY)
        v->u.array = in_array(in, place);
    else if (kind == OMC_MAP)
        v->u.map = in_map(in, place);
    else
        v->u.object = in_struct(in, place);
    in->depth--;
}

static int64_t in_i8(rc_wire_in *in)
{
    int byte = rc_in_u8(in);

    return byte < 128 ? byte : byte - 256;
}

static void in_body(rc_wire_in *in, unsigned kind, const omc_schema *place, omc_value *v)
{
    switch (kind) {
    case OMC_NULL:
        break;
    case OMC_INT8:
        v->u.i64 = in_i8(in);
        break;
    case OMC_INT16:
        v->u.i64 = (int16_t)rc_in_u16(in);
        break;
    case OMC_INT32:
        v->u.i64 = rc_in_i32(in);
        break;
    case OMC_INT64:
    case OMC_DATETIME:
        v->u.i64 = rc_in_i64(in);
        break;
    case OMC_FLOAT32:
        v->u.f64 = f32_of(rc_in_u32(in));
        break;
    case OMC_FLOAT64:
        v->u.f64 = f64_of(rc_in_u64(in));
        break;
    case OMC_BOOLEAN:
        v->u.boolean = rc_in_bool(in);
        break;
    case OMC_STRING:
    case OMC_BYTES:
        v->u.bytes = rc_in_str(in);
        break;
    case OMC_NUMBER_TEXT:
        v->text = rc_in_str(in);
        break;
    default:
        in_nested(in, kind, place, v);
        break;
    }
}

static bool may_have_text(unsigned kind)
{
    return (kind >= OMC_INT8 && kind <= OMC_FLOAT64) || kind == OMC_DATETIME;
}

omc_value rc_in_value(rc_wire_in *in, const omc_schema *place)
{
    unsigned tag = rc_in_u8(in), kind = tag & ~TEXT_BIT;
    omc_value v = omc_null();

    if (kind > OMC_NUMBER_TEXT || ((tag & TEXT_BIT) && !may_have_text(kind))) {
        rc_in_fault(in, "bad-value");
        return v;
    }
    v.kind = (uint8_t)kind;
    in_body(in, kind, place, &v);
    if (tag & TEXT_BIT)
        v.text = rc_in_str(in);
    return in->fault ? omc_null() : v;
}

const omc_map *rc_in_map(rc_wire_in *in)
{
    const omc_map *map = NULL;

    if (deeper(in))
        map = in_map(in, NULL);
    in->depth--;
    return map;
}

/* ---- records in ----------------------------------------------------------------------------- */

/* A doubled table in the frame's arena; what is left behind is small beside the frame. */
static void *grown(rc_wire_in *in, const void *items, uint32_t count, uint32_t *cap, size_t size)
{
    void *more;

    if (count < *cap)
        return (void *)(uintptr_t)items;
    *cap = *cap ? *cap * 2 : 16;
    more = rc_in_alloc(in, *cap, size);
    if (count && !in->fault)
        memcpy(more, items, count * size);
    return more;
}

static const omc_map *in_map_ref(rc_wire_in *in, rc_wire_maps *maps)
{
    uint32_t number = rc_in_u32(in);

    if (in->fault)
        return NULL;
    if (number < maps->count)
        return maps->items[number];
    if (number > maps->count) {
        rc_in_fault(in, "bad-reference");
        return NULL;
    }
    maps->items = grown(in, maps->items, maps->count, &maps->cap, sizeof(const omc_map *));
    if (in->fault)
        return NULL;
    return maps->items[maps->count++] = rc_in_map(in);
}

const char *rc_in_text_ref(rc_wire_in *in, rc_wire_texts *texts)
{
    uint32_t number = rc_in_u32(in);

    if (in->fault)
        return "";
    if (number < texts->count)
        return texts->items[number];
    if (number > texts->count) {
        rc_in_fault(in, "bad-reference");
        return "";
    }
    texts->items = grown(in, texts->items, texts->count, &texts->cap, sizeof(const char *));
    if (in->fault)
        return "";
    return texts->items[texts->count++] = rc_in_name(in, UINT32_MAX);
}

static void in_position(rc_wire_in *in, unsigned fields, rc_wire_maps *maps, rc_wire_texts *texts,
                        omc_position *position)
{
    if (fields & HAS_PARTITION)
        position->partition = in_map_ref(in, maps);
    if (fields & HAS_OFFSET)
        position->offset = in_map_ref(in, maps);
    if (fields & HAS_COUNTER) {
        position->counter_name = rc_in_text_ref(in, texts);
        position->counter = rc_in_i64(in);
    }
}

void rc_in_record(rc_wire_in *in, rc_wire_maps *maps, rc_wire_texts *texts, omc_record *record)
{
    unsigned fields = rc_in_u16(in);

    if (fields & ~(unsigned)ALL_FIELDS)
        rc_in_fault(in, "bad-record");
    if (fields & HAS_TIMESTAMP)
        record->timestamp_ms = rc_in_i64(in);
    if (fields & HAS_KEY_SCHEMA)
        record->key_schema = rc_in_schema(in);
    if (fields & HAS_SCHEMA)
        record->schema = rc_in_schema(in);
    if (fields & HAS_KEY)
        record->key = rc_in_value(in, NULL);
    if (fields & HAS_VALUE)
        record->value = rc_in_value(in, NULL);
    in_position(in, fields, maps, texts, &record->position);
    if (fields & HAS_EXTENSIONS)
        record->extensions = rc_in_kv(in);
    if (fields & HAS_PROPERTIES)
        record->properties = rc_in_kv(in);
    if (fields & HAS_TOPIC)
        record->topic = rc_in_text_ref(in, texts);
    if (fields & HAS_QUEUE)
        record->queue = rc_in_i32(in);
    if (fields & HAS_FLAG)
        record->flag = rc_in_i32(in);
    if (fields & HAS_BORN)
        record->born_ms = rc_in_i64(in);
}

size_t rc_in_records(rc_wire_in *in, omc_batch *batch, size_t max)
{
    uint32_t count = rc_in_count(in, 2, UINT32_MAX);
    rc_wire_maps maps = {0};
    rc_wire_texts texts = {0};
    size_t before = batch->count;

    if (count > max)
        rc_in_fault(in, "over-limit");
    for (uint32_t i = 0; i < count && !in->fault; i++) {
        if (in->budget < batch->record_size) {
            rc_in_fault(in, "over-limit");
            break;
        }
        in->budget -= batch->record_size;
        rc_in_record(in, &maps, &texts, omc_batch_add(batch));
    }
    if (in->fault)
        batch->count = before;
    return batch->count - before;
}

/* ---- values out ----------------------------------------------------------------------------- */

static bool dive(rc_wire_ids *ids)
{
    if (++ids->depth <= RC_WIRE_DEPTH_MAX)
        return true;
    ids->fault = "a value nests deeper than 64 levels";
    return false;
}

static void out_struct(rc_buf *out, rc_wire_ids *ids, const omc_struct *object)
{
    rc_out_u32(out, rc_wire_schema_id(ids, object->schema));
    for (size_t i = 0; i < object->schema->field_count; i++)
        rc_out_value(out, ids, &object->values[i]);
}

static void out_nested(rc_buf *out, rc_wire_ids *ids, const omc_value *value)
{
    if (!dive(ids)) {
        rc_out_u32(out, 0);
    } else if (value->kind == OMC_ARRAY) {
        rc_out_u32(out, (uint32_t)value->u.array->count);
        for (size_t i = 0; i < value->u.array->count && !out->overflow; i++)
            rc_out_value(out, ids, &value->u.array->items[i]);
    } else if (value->kind == OMC_MAP) {
        rc_out_map(out, ids, value->u.map);
    } else {
        out_struct(out, ids, value->u.object);
    }
    ids->depth--;
}

static void out_f32(rc_buf *out, double number)
{
    float narrow = (float)number;
    uint32_t bits;

    memcpy(&bits, &narrow, sizeof bits);
    rc_out_u32(out, bits);
}

static void out_body(rc_buf *out, rc_wire_ids *ids, const omc_value *value)
{
    uint64_t bits;

    switch (value->kind) {
    case OMC_NULL:
        break;
    case OMC_INT8:
        rc_out_u8(out, (unsigned)value->u.i64);
        break;
    case OMC_INT16:
        rc_out_u16(out, (unsigned)value->u.i64);
        break;
    case OMC_INT32:
        rc_out_u32(out, (uint32_t)value->u.i64);
        break;
    case OMC_INT64:
    case OMC_DATETIME:
        rc_out_u64(out, (uint64_t)value->u.i64);
        break;
    case OMC_FLOAT32:
        out_f32(out, value->u.f64);
        break;
    case OMC_FLOAT64:
        memcpy(&bits, &value->u.f64, sizeof bits);
        rc_out_u64(out, bits);
        break;
    case OMC_BOOLEAN:
        rc_out_u8(out, value->u.boolean);
        break;
    case OMC_NUMBER_TEXT:
        rc_out_str(out, value->text);
        break;
    case OMC_STRING:
    case OMC_BYTES:
        rc_out_str(out, value->u.bytes);
        break;
    default:
        out_nested(out, ids, value);
        break;
    }
}

void rc_out_value(rc_buf *out, rc_wire_ids *ids, const omc_value *value)
{
    bool text = value->text.len && may_have_text(value->kind);

    if (value->kind > OMC_NUMBER_TEXT) {
        ids->fault = "a value has a kind that does not exist";
        rc_out_u8(out, OMC_NULL);
        return;
    }
    rc_out_u8(out, value->kind | (text ? TEXT_BIT : 0));
    out_body(out, ids, value);
    if (text)
        rc_out_str(out, value->text);
}

void rc_out_map(rc_buf *out, rc_wire_ids *ids, const omc_map *map)
{
    size_t count = map ? map->count : 0;

    rc_out_u32(out, (uint32_t)count);
    for (size_t i = 0; i < count && !out->overflow; i++) {
        rc_out_value(out, ids, &map->entries[i].key);
        rc_out_value(out, ids, &map->entries[i].value);
    }
}

/* ---- records out ---------------------------------------------------------------------------- */

static void out_map_ref(rc_buf *out, rc_wire_ids *ids, rc_wire_refs *refs, const omc_map *map)
{
    uint32_t number = refs->map_count;

    for (uint32_t i = 0; i < RC_MIN(number, 4u); i++)
        if (refs->maps[i] == map) {
            rc_out_u32(out, refs->map_numbers[i]);
            return;
        }
    refs->maps[number % 4] = map;
    refs->map_numbers[number % 4] = refs->map_count++;
    rc_out_u32(out, number);
    rc_out_map(out, ids, map);
}

void rc_out_text_ref(rc_buf *out, rc_wire_refs *refs, const char *text)
{
    uint32_t number = refs->text_count;

    for (uint32_t i = 0; i < RC_MIN(number, 4u); i++)
        if (refs->texts[i] == text || strcmp(refs->texts[i], text) == 0) {
            rc_out_u32(out, refs->text_numbers[i]);
            return;
        }
    refs->texts[number % 4] = text;
    refs->text_numbers[number % 4] = refs->text_count++;
    rc_out_u32(out, number);
    rc_out_text(out, text);
}

static unsigned fields_of(const omc_record *r)
{
    return (r->timestamp_ms != OMC_NO_TIMESTAMP ? HAS_TIMESTAMP : 0u) |
           (r->key_schema ? HAS_KEY_SCHEMA : 0u) | (r->schema ? HAS_SCHEMA : 0u) |
           (r->key.kind ? HAS_KEY : 0u) | (r->value.kind ? HAS_VALUE : 0u) |
           (r->position.partition ? HAS_PARTITION : 0u) | (r->position.offset ? HAS_OFFSET : 0u) |
           (r->position.counter_name ? HAS_COUNTER : 0u) | (r->extensions ? HAS_EXTENSIONS : 0u) |
           (r->properties ? HAS_PROPERTIES : 0u) | (r->topic ? HAS_TOPIC : 0u) |
           (r->queue != -1 ? HAS_QUEUE : 0u) | (r->flag ? HAS_FLAG : 0u) |
           (r->born_ms ? HAS_BORN : 0u);
}

static void out_position(rc_buf *out, rc_wire_ids *ids, rc_wire_refs *refs,
                         const omc_position *position)
{
    if (position->partition)
        out_map_ref(out, ids, refs, position->partition);
    if (position->offset)
        out_map_ref(out, ids, refs, position->offset);
    if (position->counter_name) {
        rc_out_text_ref(out, refs, position->counter_name);
        rc_out_u64(out, (uint64_t)position->counter);
    }
}

void rc_out_record(rc_buf *out, rc_wire_ids *ids, rc_wire_refs *refs, const omc_record *record)
{
    unsigned fields = fields_of(record);

    rc_out_u16(out, fields);
    if (fields & HAS_TIMESTAMP)
        rc_out_u64(out, (uint64_t)record->timestamp_ms);
    if (fields & HAS_KEY_SCHEMA)
        rc_out_u32(out, rc_wire_schema_id(ids, record->key_schema));
    if (fields & HAS_SCHEMA)
        rc_out_u32(out, rc_wire_schema_id(ids, record->schema));
    if (fields & HAS_KEY)
        rc_out_value(out, ids, &record->key);
    if (fields & HAS_VALUE)
        rc_out_value(out, ids, &record->value);
    out_position(out, ids, refs, &record->position);
    if (fields & HAS_EXTENSIONS)
        rc_out_kv(out, record->extensions);
    if (fields & HAS_PROPERTIES)
        rc_out_kv(out, record->properties);
    if (fields & HAS_TOPIC)
        rc_out_text_ref(out, refs, record->topic);
    if (fields & HAS_QUEUE)
        rc_out_u32(out, (uint32_t)record->queue);
    if (fields & HAS_FLAG)
        rc_out_u32(out, (uint32_t)record->flag);
    if (fields & HAS_BORN)
        rc_out_u64(out, (uint64_t)record->born_ms);
}
