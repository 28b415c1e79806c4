/* SPDX-License-Identifier: Apache-2.0 */
/** Helpers for the tests of transforms, predicates and chains: a finder over the built-in tables,
 *  chains from pairs of texts, and records with a struct or a map. */
#ifndef RC_TRANSFORM_UNIT_H
#define RC_TRANSFORM_UNIT_H

#include "unit.h"

#include "record/plugins.h"
#include "record/transform.h"
#include "record/value.h"

#include <stdio.h>
#include <string.h>

/** By name or by one of the classes; `arg`: one more plugin of the test, or NULL. */
static inline const omc_plugin *unit_find(void *arg, omc_plugin_kind kind, const char *name)
{
    const omc_plugin *const *table =
        kind == OMC_TRANSFORM ? rc_transform_plugins : rc_predicate_plugins;
    const omc_plugin *extra = arg;

    if (extra && extra->kind == (uint32_t)kind && strcmp(extra->name, name) == 0)
        return extra;
    for (size_t i = 0; table[i]; i++) {
        const char *at = table[i]->classes;

        if (strcmp(table[i]->name, name) == 0)
            return table[i];
        while (at && *at) {
            size_t len = strcspn(at, ",");

            if (strlen(name) == len && strncmp(at, name, len) == 0)
                return table[i];
            at += len + (at[len] == ',');
        }
    }
    return NULL;
}

static const rc_plugin_finder unit_finder = {unit_find, NULL};

/** Pairs from texts, ended by NULL. */
static inline const omc_keyvalue *unit_pairs(omc_arena *arena, const char *const *texts)
{
    rc_kv kv;

    rc_kv_init(&kv, arena);
    for (size_t i = 0; texts[i]; i += 2)
        rc_kv_put_str(&kv, texts[i], texts[i + 1]);
    return rc_kv_done(&kv);
}
#define PAIRS(arena, ...) unit_pairs((arena), (const char *const[]){__VA_ARGS__, NULL})

/** A chain of one transform "t" of a class, with the pairs as its keys. */
static inline rc_chain *unit_chain(omc_arena *arena, const char *class_name,
                                   const char *const *texts)
{
    rc_chain *chain = NULL;
    rc_error err = {0};
    rc_kv kv;

    rc_kv_init(&kv, arena);
    rc_kv_put_str(&kv, "transforms", "t");
    rc_kv_put_str(&kv, "transforms.t.class", class_name);
    for (size_t i = 0; texts[i]; i += 2)
        rc_kv_put_str(&kv, rc_arena_format(arena, "transforms.t.%s", texts[i]), texts[i + 1]);
    if (rc_chain_new(&unit_finder, rc_kv_done(&kv), &chain, &err) < 0)
        fail_msg("%s", err.msg);
    return chain;
}
#define CHAIN(arena, class_name, ...) \
    unit_chain((arena), (class_name), (const char *const[]){__VA_ARGS__, NULL})

static inline omc_value unit_text(const char *text)
{
    return omc_string(omc_slice_str(text));
}

/** A map of text keys from (key, value) pairs. */
static inline omc_value unit_map(omc_arena *arena, size_t count, const char *const *keys,
                                 const omc_value *values)
{
    omc_entry *entries = omc_alloc0(arena, (count + 1) * sizeof *entries);
    omc_map *map = omc_alloc0(arena, sizeof *map);
    omc_value value = omc_null();

    for (size_t i = 0; i < count; i++) {
        entries[i].key = unit_text(keys[i]);
        entries[i].value = values[i];
    }
    map->count = count;
    map->entries = entries;
    value.kind = OMC_MAP;
    value.u.map = map;
    return value;
}

static inline omc_value unit_struct(omc_arena *arena, const omc_schema *schema,
                                    const omc_value *values)
{
    omc_struct *object = omc_alloc0(arena, sizeof *object);
    omc_value value = omc_null();

    object->schema = schema;
    object->values = values;
    value.kind = OMC_STRUCT;
    value.u.object = object;
    return value;
}

/** A record with everything set that no transform may lose. */
static inline omc_record unit_record(omc_arena *arena)
{
    static const char *const names[] = {"filename"};
    omc_value file = unit_text("/tmp/a");
    omc_record record;

    memset(&record, 0, sizeof record);
    record.timestamp_ms = 1234567890123;
    record.position.partition = unit_map(arena, 1, names, &file).u.map;
    record.position.counter_name = "pos";
    record.position.counter = 77;
    record.extensions = PAIRS(arena, "ext", "1", "KEYS", "k");
    record.properties = PAIRS(arena, "prop", "2");
    record.queue = 3;
    record.flag = 9;
    record.born_ms = 55;
    return record;
}

/** Fails unless everything but key, value, schemas and topic is as before. */
static inline void unit_kept(const omc_record *now, const omc_record *before)
{
    assert_int_equal(now->timestamp_ms, before->timestamp_ms);
    assert_ptr_equal(now->position.partition, before->position.partition);
    assert_ptr_equal(now->position.offset, before->position.offset);
    assert_int_equal(now->position.counter, before->position.counter);
    assert_ptr_equal(now->extensions, before->extensions);
    assert_ptr_equal(now->properties, before->properties);
    assert_int_equal(now->queue, before->queue);
    assert_int_equal(now->flag, before->flag);
    assert_int_equal(now->born_ms, before->born_ms);
}

#endif
