/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Parts of the transforms that deal with structs: the two halves of a record, schemas rebuilt
 * once and remembered, and renaming of fields.
 *
 * A struct is changed by giving the same array of values a new schema where possible: renaming
 * the fields of a record costs one omc_struct, whatever it holds.
 */
#include "record/transform.h"
#include "record/value.h"

#define CACHE_PAIRS_MAX 64
#define CACHE_BYTES_MAX ((size_t)4 << 20)

rc_half rc_half_of(omc_record *record, rc_side side)
{
    if (side == RC_SIDE_KEY)
        return (rc_half){side, &record->key_schema, &record->key};
    return (rc_half){side, &record->schema, &record->value};
}

const char *rc_half_name(rc_side side)
{
    return side == RC_SIDE_KEY ? "key" : "value";
}

int rc_half_unfit(const rc_half *half, const char *transform, const char *needs, rc_error *err)
{
    const char *side = rc_half_name(half->side), *kind = rc_kind_name(half->value->kind);

    return rc_fail(err, OMC_EFORMAT,
                   "%s needs %s, but the %s of this record is of type %s; set %s.converter to one "
                   "that reads fields (org.apache.rocketmq.connect.runtime.converter.record.json."
                   "JsonConverter), put a predicate before the transform, or remove it",
                   transform, needs, side, kind ? kind : "number", side);
}

rc_slice rc_record_topic_slice(const omc_record *record)
{
    const omc_slice *topic;

    if (record->topic && *record->topic)
        return omc_slice_str(record->topic);
    topic = omc_keyvalue_get(record->extensions, RC_EXT_TOPIC);
    return topic ? *topic : omc_slice_of(NULL, 0);
}

/* ---- cache -------------------------------------------------------------------------------- */

void rc_schema_cache_release(rc_schema_cache *cache)
{
    free(cache->pairs);
    if (cache->arena.block_size)
        rc_arena_release(&cache->arena);
    memset(cache, 0, sizeof *cache);
}

static bool known(const rc_schema_cache *cache, size_t i, const omc_schema *input)
{
    return cache->pairs[i].input->field_count == input->field_count &&
           rc_schema_equal(cache->pairs[i].input, input);
}

/** Index of the input's pair, or `count`. */
static size_t find_pair(const rc_schema_cache *cache, const omc_schema *input)
{
    if (cache->count && known(cache, cache->last, input))
        return cache->last;
    for (size_t i = 0; i < cache->count; i++)
        if (i != cache->last && known(cache, i, input))
            return i;
    return cache->count;
}

static const omc_schema *remember(rc_schema_cache *cache, const omc_schema *input,
                                  const omc_schema *output)
{
    struct rc_schema_pair *pair;

    if (!cache->pairs) {
        cache->pairs = rc_calloc(CACHE_PAIRS_MAX, sizeof *cache->pairs);
        rc_arena_init(&cache->arena, 4096);
    }
    cache->last = cache->count;
    pair = &cache->pairs[cache->count++];
    pair->input = rc_schema_copy(input, &cache->arena.pub);
    pair->output = output == input ? NULL : rc_schema_copy(output, &cache->arena.pub);
    return pair->output ? pair->output : input;
}

int rc_schema_cache_get(rc_schema_cache *cache, const omc_schema *input, rc_schema_build *build,
                        void *arg, omc_arena *arena, const omc_schema **ret, rc_error *err)
{
    size_t i = find_pair(cache, input);
    int r;

    if (i < cache->count) {
        cache->last = i;
        *ret = cache->pairs[i].output ? cache->pairs[i].output : input;
        return 0;
    }
    /* Built in the batch's arena first: a schema that fails must not grow the cache each time. */
    r = build(arg, input, arena, ret, err);
    if (r < 0)
        return r;
    if (cache->count < CACHE_PAIRS_MAX && rc_arena_total(&cache->arena) < CACHE_BYTES_MAX)
        *ret = remember(cache, input, *ret);
    return 0;
}

omc_schema *rc_schema_rebuild(const omc_schema *input, size_t extra, omc_arena *arena,
                              omc_field **ret_fields)
{
    omc_schema *schema = omc_alloc(arena, sizeof *schema);
    omc_field *fields = omc_alloc(arena, (input->field_count + extra + 1) * sizeof *fields);

    *schema = *input;
    if (input->field_count)
        memcpy(fields, input->fields, input->field_count * sizeof *fields);
    schema->field_count = input->field_count + extra;
    schema->fields = fields;
    schema->has_default = false; /* A default struct has the old schema. */
    schema->default_value = omc_null();
    *ret_fields = fields;
    return schema;
}

/* ---- renaming ----------------------------------------------------------------------------- */

/** Two fields must not get one name: one of the two values would be lost. */
static int clash(const rc_renamer *renamer, rc_slice a, rc_slice b, rc_slice name, rc_error *err)
{
    return rc_fail(err, OMC_EFORMAT,
                   "%s would give fields '" RC_SLICE_FMT "' and '" RC_SLICE_FMT
                   "' the same name '" RC_SLICE_FMT
                   "'; change its keys so that names stay distinct",
                   renamer->transform, RC_SLICE_ARG(a), RC_SLICE_ARG(b), RC_SLICE_ARG(name));
}

static int compare_slices(rc_slice a, rc_slice b)
{
    int r = memcmp(a.base ? a.base : "", b.base ? b.base : "", RC_MIN(a.len, b.len));

    return r ? r : (a.len > b.len) - (a.len < b.len);
}

/** Names before and after, for finding equal ones in n log n. */
typedef struct renamed {
    rc_slice old, new;
} renamed;

static int compare_renamed(const void *a, const void *b)
{
    return compare_slices(((const renamed *)a)->new, ((const renamed *)b)->new);
}

static int check_distinct(const rc_renamer *renamer, renamed *names, size_t count, rc_error *err)
{
    if (count < 2)
        return 0;
    qsort(names, count, sizeof *names, compare_renamed);
    for (size_t i = 1; i < count; i++)
        if (omc_slice_eq(names[i - 1].new, names[i].new))
            return clash(renamer, names[i - 1].old, names[i].old, names[i].new, err);
    return 0;
}

static int rename_schema(void *arg, const omc_schema *input, omc_arena *arena,
                         const omc_schema **ret, rc_error *err)
{
    rc_renamer *renamer = arg;
    omc_field *fields;
    omc_schema *schema = rc_schema_rebuild(input, 0, arena, &fields);
    renamed *names = omc_alloc(arena, (input->field_count + 1) * sizeof *names);
    bool changed = false;

    for (size_t i = 0; i < input->field_count; i++) {
        rc_slice old = omc_slice_str(input->fields[i].name), new = old;
        int r = renamer->rename(renamer->arg, old, arena, &new, err);

        if (r < 0)
            return r;
        names[i] = (renamed){old, new};
        if (omc_slice_eq(old, new))
            continue;
        fields[i].name = omc_copy(arena, new.base, new.len);
        changed = true;
    }
    *ret = changed ? schema : input;
    return changed ? check_distinct(renamer, names, input->field_count, err) : 0;
}

static int rename_struct(rc_renamer *renamer, const rc_half *half, omc_arena *arena, rc_error *err)
{
    const omc_struct *old = half->value->u.object;
    const omc_schema *schema;
    omc_struct *object;
    int r = rc_schema_cache_get(&renamer->cache, old->schema, rename_schema, renamer, arena,
                                &schema, err);

    if (r < 0 || schema == old->schema)
        return r;
    object = omc_alloc(arena, sizeof *object);
    object->schema = schema;
    object->values = old->values;
    half->value->u.object = object;
    *half->schema = schema;
    return 0;
}

static int rename_map(rc_renamer *renamer, const rc_half *half, omc_arena *arena, rc_error *err)
{
    const omc_map *old = half->value->u.map;
    omc_entry *entries = omc_alloc(arena, (old->count + 1) * sizeof *entries);
    renamed *names = omc_alloc(arena, (old->count + 1) * sizeof *names);
    size_t count = 0;
    bool changed = false;
    omc_map *map;
    int r;

    for (size_t i = 0; i < old->count; i++) {
        rc_slice name;

        entries[i] = old->entries[i];
        if (entries[i].key.kind != OMC_STRING)
            continue;
        name = entries[i].key.u.bytes;
        r = renamer->rename(renamer->arg, name, arena, &entries[i].key.u.bytes, err);
        if (r < 0)
            return r;
        changed = changed || !omc_slice_eq(name, entries[i].key.u.bytes);
        names[count++] = (renamed){name, entries[i].key.u.bytes};
    }
    if (!changed)
        return 0;
    r = check_distinct(renamer, names, count, err);
    if (r < 0)
        return r;
    map = omc_alloc(arena, sizeof *map);
    map->count = old->count;
    map->entries = entries;
    half->value->u.map = map;
    return 0;
}

int rc_rename_fields(rc_renamer *renamer, omc_record *record, rc_side side, omc_arena *arena,
                     rc_error *err)
{
    rc_half half = rc_half_of(record, side);

    switch (half.value->kind) {
    case OMC_NULL:
        return 0;
    case OMC_STRUCT:
        return rename_struct(renamer, &half, arena, err);
    case OMC_MAP:
        return rename_map(renamer, &half, arena, err);
    default:
        return rc_half_unfit(&half, renamer->transform, "a struct or a map", err);
    }
}
