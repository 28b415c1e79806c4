/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configurations in request bodies. They are read by our own JSON reader, because numbers must
 * keep their text and because Java's clients may send what fastjson lets through. Each value
 * becomes the text Java's toString() gives: "2", "true", "{\"a\":1}".
 */
#include "rest/exchange.h"

#include "record/json.h"

/* Longest value that a nested object or array may become. */
#define NESTED_MAX REST_BODY_MAX

static rc_slice text_of(const omc_value *value, omc_arena *arena)
{
    switch (value->kind) {
    case OMC_STRING:
        return value->u.bytes;
    case OMC_NUMBER_TEXT:
        return value->text;
    default: {
        rc_buf buf = RC_BUF(NESTED_MAX * 6);
        rc_slice text;

        rc_json_write(value, 0, &buf);
        text = rc_arena_slice(arena, rc_buf_slice(&buf));
        rc_buf_release(&buf);
        return text;
    }
    }
}

static int check_key(const omc_value *key, rc_error *err)
{
    rc_slice text = key->u.bytes;

    if (text.len == 0)
        return rc_fail(err, OMC_EINVAL, "a key is empty; give every value a name");
    if (memchr(text.base, '\0', text.len))
        return rc_fail(err, OMC_EINVAL, "key '" RC_SLICE_FMT "' holds a NUL character; remove it",
                       RC_SLICE_ARG(text));
    return 0;
}

int rest_config_of(const omc_value *value, bool nulls_remove, omc_arena *arena, submitted *ret,
                   rc_error *err)
{
    const char **removed = NULL;
    size_t removed_count = 0;
    rc_kv kv;

    if (value->kind != OMC_MAP)
        return rc_fail(err, OMC_EFORMAT,
                       "expected one JSON object of keys and values, e.g. "
                       "{\"connector.class\":\"...\"}");
    rc_kv_init(&kv, arena);
    removed = omc_alloc0(arena, (value->u.map->count + 1) * sizeof *removed);
    for (size_t i = 0; i < value->u.map->count; i++) {
        const omc_entry *e = &value->u.map->entries[i];
        rc_slice key = e->key.u.bytes;
        rc_slice text;
        int r = check_key(&e->key, err);

        if (r < 0)
            return r;
        if (e->value.kind == OMC_NULL && nulls_remove) {
            removed[removed_count++] = omc_copy(arena, key.base, key.len);
            continue;
        }
        if (e->value.kind == OMC_NULL)
            return rc_fail(err, OMC_EINVAL,
                           "key '" RC_SLICE_FMT "' is null; give it a value or leave it out",
                           RC_SLICE_ARG(key));
        text = text_of(&e->value, arena);
        if (text.len && memchr(text.base, '\0', text.len))
            return rc_fail(err, OMC_EINVAL,
                           "the value of key '" RC_SLICE_FMT "' holds a NUL character; remove it",
                           RC_SLICE_ARG(key));
        rc_kv_put(&kv, key, text);
    }
    ret->json = *value;
    ret->config = rc_kv_done(&kv);
    ret->removed = removed;
    return 0;
}

int rest_config_read(rc_slice text, bool nulls_remove, omc_arena *arena, submitted *ret,
                     rc_error *err)
{
    omc_value value = {0};
    int r = rc_json_read(text, RC_JSON_LENIENT, arena, &value, err);

    if (r < 0)
        return r;
    return rest_config_of(&value, nulls_remove, arena, ret, err);
}

void rest_config_echo(const submitted *config, const rc_option_table *tables, size_t table_count,
                      omc_arena *arena, rc_buf *out)
{
    const omc_map *map = config->json.u.map;
    omc_entry *entries = omc_alloc(arena, (map->count + 1) * sizeof *entries);
    omc_map masked = {.count = map->count, .entries = entries};
    omc_value value = config->json;

    for (size_t i = 0; i < map->count; i++) {
        entries[i] = map->entries[i];
        if (rc_option_secret(tables, table_count, entries[i].key.u.bytes))
            entries[i].value = omc_string(omc_slice_str(RC_SECRET_MASK));
    }
    value.u.map = &masked;
    rc_json_write(&value, 0, out);
}
