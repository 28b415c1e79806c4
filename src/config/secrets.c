/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Secrets are known by their type or, since connectors may have no table, by their name. The
 * name is compared without case and without the separators people put into names.
 */
#include "config/options.h"

#include <ctype.h>

#define NAME_MAX_BYTES 256

/* Lower-case letters and digits of `key` in `out`. */
static void squeeze(rc_slice key, char out[NAME_MAX_BYTES])
{
    size_t len = 0;

    for (size_t i = 0; i < key.len && len < NAME_MAX_BYTES - 1; i++)
        if (isalnum((unsigned char)key.base[i]))
            out[len++] = (char)tolower((unsigned char)key.base[i]);
    out[len] = '\0';
}

static bool secret_name(rc_slice key)
{
    static const char *const parts[] = {"password",   "passwd", "passphrase", "pwd",
                                        "secret",     "token",  "credential", "accesskey",
                                        "privatekey", "apikey", "jaasconfig"};
    char name[NAME_MAX_BYTES];

    squeeze(key, name);
    for (size_t i = 0; i < RC_COUNT(parts); i++)
        if (strstr(name, parts[i]))
            return true;
    return false;
}

/* Whether `key` is the row's name or one of its other names. */
static bool row_has_name(const omc_option *row, rc_slice key)
{
    const char *at = row->aliases;

    if (omc_slice_is(key, row->name))
        return true;
    while (at && *at) {
        size_t len = strcspn(at, ",");

        if (omc_slice_eq(key, omc_slice_of(at, len)))
            return true;
        at += len + (at[len] == ',');
    }
    return false;
}

bool rc_option_secret(const rc_option_table *tables, size_t table_count, rc_slice key)
{
    for (size_t t = 0; t < table_count; t++)
        for (size_t i = 0; i < tables[t].count; i++) {
            omc_option row = rc_option_at(&tables[t], i);

            if (row.name && row.type == OMC_OPT_PASSWORD && row_has_name(&row, key))
                return true;
        }
    return secret_name(key);
}

const omc_keyvalue *rc_options_mask(const rc_option_table *tables, size_t table_count,
                                    const omc_keyvalue *kv, omc_arena *arena)
{
    rc_kv out;

    rc_kv_init(&out, arena);
    for (size_t i = 0; kv && i < kv->count; i++) {
        const omc_pair *pair = &kv->pairs[i];
        bool hide = pair->value.len > 0 && rc_option_secret(tables, table_count, pair->key);

        rc_kv_put(&out, pair->key, hide ? omc_slice_str(RC_SECRET_MASK) : pair->value);
    }
    return rc_kv_done(&out);
}

const omc_keyvalue *rc_options_unmask(const omc_keyvalue *kv, const omc_keyvalue *old,
                                      omc_arena *arena)
{
    rc_kv out;

    rc_kv_init(&out, arena);
    for (size_t i = 0; kv && i < kv->count; i++) {
        const omc_pair *pair = &kv->pairs[i];
        rc_slice value = pair->value;

        for (size_t j = 0; omc_slice_is(pair->value, RC_SECRET_MASK) && old && j < old->count; j++)
            if (omc_slice_eq(old->pairs[j].key, pair->key))
                value = old->pairs[j].value;
        rc_kv_put(&out, pair->key, value);
    }
    return rc_kv_done(&out);
}
