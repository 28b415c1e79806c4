/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The table engine. Every table is walked row by row: find the value under the row's name or one
 * of its other names, parse it, store it. Then every key is looked up in all tables; a key that
 * is in none gets the nearest name. Nothing stops at the first problem.
 *
 * Tables may come from a plugin of somebody else, so their offsets are checked, not trusted.
 */
#include "config/options.h"

#include "base/units.h"
#include "config/value.h"

#define KEYS_MAX 10000
#define SHOWN_MAX 200 /* Bytes of a value in a problem. */

/* What the steps of one rc_options_parse() share. */
struct parse {
    const rc_option_table *tables;
    size_t table_count;
    const omc_keyvalue *kv;
    omc_arena *arena;
    rc_problems *problems;
};

omc_option rc_option_at(const rc_option_table *table, size_t i)
{
    size_t size = table->row_size ? table->row_size : sizeof(omc_option);
    omc_option row;

    RC_ASSERT(i < table->count);
    memset(&row, 0, sizeof row);
    memcpy(&row, (const char *)table->rows + i * size, RC_MIN(size, sizeof row));
    return row;
}

/* The next of a row's names: its own at `i` 0, then its aliases. @return false after the last. */
static bool row_name(const omc_option *row, size_t i, rc_slice *ret)
{
    const char *at = row->aliases;

    if (i == 0) {
        *ret = omc_slice_str(row->name);
        return true;
    }
    for (; at && *at; i--) {
        size_t len = strcspn(at, ",");

        if (i == 1) {
            while (len > 0 && *at == ' ') {
                at++;
                len--;
            }
            *ret = omc_slice_of(at, len);
            return true;
        }
        at += len + (at[len] == ',');
    }
    return false;
}

static const omc_pair *find_pair(const omc_keyvalue *kv, rc_slice key)
{
    for (size_t i = 0; kv && i < kv->count; i++)
        if (omc_slice_eq(kv->pairs[i].key, key))
            return &kv->pairs[i];
    return NULL;
}

/* The pair's value as a problem may show it. */
static const char *shown(const struct parse *p, const omc_pair *pair)
{
    if (pair->value.len > 0 && rc_option_secret(p->tables, p->table_count, pair->key))
        return RC_SECRET_MASK;
    return omc_copy(p->arena, pair->value.base, RC_MIN(pair->value.len, (size_t)SHOWN_MAX));
}

static const char *key_text(const struct parse *p, rc_slice key)
{
    return omc_copy(p->arena, key.base, RC_MIN(key.len, (size_t)SHOWN_MAX));
}

/* The pair that sets a row, under any of its names. Names that contradict are a problem. */
static const omc_pair *row_pair(const struct parse *p, const omc_option *row)
{
    const omc_pair *found = NULL;
    rc_slice name;

    for (size_t i = 0; row_name(row, i, &name); i++) {
        const omc_pair *pair = find_pair(p->kv, name);

        if (!pair)
            continue;
        if (!found) {
            found = pair;
        } else if (!omc_slice_eq(found->value, pair->value)) {
            const char *other = key_text(p, found->key);
            const char *key = key_text(p, pair->key);

            rc_problem_add(p->problems, false, key, shown(p, pair),
                           "key '%s' = '%s' contradicts '%s' = '%s', which is the same option; "
                           "give one of them",
                           key, shown(p, pair), other, shown(p, found));
        }
    }
    return found;
}

/* Writes a value to the plugin's struct; its offset comes from the plugin's table. */
static void store(const struct parse *p, const rc_option_table *table, const omc_option *row,
                  const rc_option_value *value, void *options)
{
    size_t size = rc_option_value_size(row->type);

    if (!options || row->offset == OMC_OPT_NOT_STORED)
        return;
    if (size > table->options_size || row->offset > table->options_size - size) {
        rc_problem_add(p->problems, false, row->name, "",
                       "key '%s': its option table places it outside the options struct; this is "
                       "a bug of the plugin, report it to its authors",
                       row->name);
        return;
    }
    memcpy((char *)options + row->offset, value, size);
}

static const char *doc_of(const omc_option *row)
{
    return row->doc ? row->doc : "";
}

/* Says that a given key has no effect or is going away. */
static void warn_of_row(const struct parse *p, const omc_option *row, const omc_pair *pair)
{
    const char *key = key_text(p, pair->key);

    if (row->flags & OMC_OPT_IGNORED)
        rc_problem_add(p->problems, true, key, shown(p, pair),
                       "key '%s' is accepted but has no effect%s%s", key, *doc_of(row) ? ": " : "",
                       doc_of(row));
    else if (row->flags & OMC_OPT_DEPRECATED)
        rc_problem_add(p->problems, true, key, shown(p, pair), "key '%s' is deprecated%s%s", key,
                       *doc_of(row) ? ": " : "", doc_of(row));
}

static void parse_given(const struct parse *p, const rc_option_table *table, const omc_option *row,
                        const omc_pair *pair, void *options)
{
    const char *key = key_text(p, pair->key);
    rc_option_value value;
    char why[RC_VALUE_TEXT_MAX];

    memset(&value, 0, sizeof value);
    if (rc_option_value_parse(row, pair->value, p->arena, &value, why) < 0)
        rc_problem_add(p->problems, false, key, shown(p, pair), "key '%s' = '%s': %s", key,
                       shown(p, pair), why);
    else
        store(p, table, row, &value, options);
}

static void parse_default(const struct parse *p, const rc_option_table *table,
                          const omc_option *row, void *options)
{
    rc_option_value value;
    char why[RC_VALUE_TEXT_MAX];

    memset(&value, 0, sizeof value);
    if (rc_option_value_parse(row, omc_slice_str(row->default_value), p->arena, &value, why) < 0)
        rc_problem_add(p->problems, false, row->name, row->default_value,
                       "key '%s': its default '%s' is %s; this is a bug of the plugin, give the "
                       "key a value",
                       row->name, row->default_value, why);
    else
        store(p, table, row, &value, options);
}

static void parse_row(const struct parse *p, const rc_option_table *table, const omc_option *row,
                      void *options)
{
    const omc_pair *pair;

    if (!row->name || row->flags & OMC_OPT_PREFIX)
        return;
    pair = row_pair(p, row);
    if (pair)
        warn_of_row(p, row, pair);
    if (row->flags & OMC_OPT_IGNORED)
        return;
    if (row->flags & OMC_OPT_REQUIRED && (!pair || pair->value.len == 0))
        rc_problem_add(p->problems, false, row->name, "", "key '%s' is required: %s", row->name,
                       *doc_of(row) ? doc_of(row) : rc_option_type_name(row->type));
    else if (pair)
        parse_given(p, table, row, pair, options);
    else if (row->default_value)
        parse_default(p, table, row, options);
}

/* ---- unknown keys ------------------------------------------------------------------------- */

static bool row_knows(const omc_option *row, rc_slice key)
{
    size_t len = strlen(row->name);
    rc_slice name;

    if (row->flags & OMC_OPT_PREFIX)
        return key.len >= len && memcmp(key.base, row->name, len) == 0;
    for (size_t i = 0; row_name(row, i, &name); i++)
        if (omc_slice_eq(name, key))
            return true;
    return false;
}

static bool key_known(const struct parse *p, rc_slice key)
{
    for (size_t t = 0; t < p->table_count; t++)
        for (size_t i = 0; i < p->tables[t].count; i++) {
            omc_option row = rc_option_at(&p->tables[t], i);

            if (row.name && row_knows(&row, key))
                return true;
        }
    return false;
}

/* Nearest name of any table that has an effect, or NULL. */
static const char *suggest(const struct parse *p, const char *key)
{
    const char **names;
    size_t count = 0;
    size_t all = 0;
    rc_slice name;

    for (size_t t = 0; t < p->table_count; t++)
        for (size_t i = 0; i < p->tables[t].count; i++) {
            omc_option row = rc_option_at(&p->tables[t], i);

            for (size_t n = 0; row.name && row_name(&row, n, &name); n++)
                all++;
        }
    names = omc_alloc(p->arena, all * sizeof *names);
    for (size_t t = 0; t < p->table_count; t++)
        for (size_t i = 0; i < p->tables[t].count; i++) {
            omc_option row = rc_option_at(&p->tables[t], i);

            if (!row.name || row.flags & (OMC_OPT_IGNORED | OMC_OPT_PREFIX))
                continue;
            for (size_t n = 0; row_name(&row, n, &name); n++)
                names[count++] = n == 0 ? row.name : omc_copy(p->arena, name.base, name.len);
        }
    return rc_nearest(key, names, count);
}

static void report_unknown(const struct parse *p, const omc_pair *pair, bool warning)
{
    const char *key = key_text(p, pair->key);
    const char *near = p->problems->count < RC_PROBLEMS_MAX ? suggest(p, key) : NULL;

    if (near)
        rc_problem_add(p->problems, warning, key, shown(p, pair),
                       "unknown key '%s'; did you mean '%s'?", key, near);
    else
        rc_problem_add(p->problems, warning, key, shown(p, pair),
                       "unknown key '%s'; remove it or correct its spelling", key);
}

int rc_options_parse(const rc_option_table *tables, size_t table_count, const omc_keyvalue *kv,
                     unsigned flags, void *const *options, omc_arena *arena, rc_problems *problems)
{
    struct parse p = {tables, table_count, kv, arena, problems};
    size_t before = problems->errors;

    if (kv && kv->count > KEYS_MAX) {
        rc_problem_add(problems, false, "", "", "%zu keys; a configuration has at most %d",
                       kv->count, KEYS_MAX);
        return -OMC_EINVAL;
    }
    for (size_t t = 0; t < table_count; t++)
        for (size_t i = 0; i < tables[t].count; i++) {
            omc_option row = rc_option_at(&tables[t], i);

            parse_row(&p, &tables[t], &row, options ? options[t] : NULL);
        }
    for (size_t i = 0; kv && i < kv->count; i++)
        if (!key_known(&p, kv->pairs[i].key))
            report_unknown(&p, &kv->pairs[i], !(flags & RC_OPTIONS_STRICT));
    return problems->errors > before ? -OMC_EINVAL : 0;
}
