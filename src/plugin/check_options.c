/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Checks the option table of a plugin row by row, so that a mistake of its author is found when
 * the plugin is loaded and not when a user's configuration happens to touch it: the host writes
 * through `offset`, hence type, alignment and bounds of every row are proven here.
 */
#include "base/hash.h"
#include "plugin/check.h"
#include "plugin/registry.h"

/** What the host writes for a type, in the words of openmessaging/connect/options.h. */
static const struct {
    size_t size, align;
} types[] = {
    [OMC_OPT_STRING] = {sizeof(char *), _Alignof(char *)},
    [OMC_OPT_BOOLEAN] = {sizeof(bool), _Alignof(bool)},
    [OMC_OPT_INT] = {sizeof(int64_t), _Alignof(int64_t)},
    [OMC_OPT_DOUBLE] = {sizeof(double), _Alignof(double)},
    [OMC_OPT_DURATION_MS] = {sizeof(int64_t), _Alignof(int64_t)},
    [OMC_OPT_SIZE] = {sizeof(int64_t), _Alignof(int64_t)},
    [OMC_OPT_LIST] = {sizeof(omc_list), _Alignof(omc_list)},
    [OMC_OPT_CHOICE] = {sizeof(char *), _Alignof(char *)},
    [OMC_OPT_PASSWORD] = {sizeof(char *), _Alignof(char *)},
    [OMC_OPT_CLASS] = {sizeof(char *), _Alignof(char *)},
    [OMC_OPT_REGEX] = {sizeof(char *), _Alignof(char *)},
};

/* A row of ABI 1.0 without its last members still has all that is needed to be read. */
#define ROW_SIZE_MIN (offsetof(omc_option, doc) + sizeof(char *))
#define KEY_MAX 128

typedef struct seen_key {
    const char *name;
    UT_hash_handle hh;
} seen_key;

typedef struct check {
    const omc_plugin *plugin;
    seen_key *seen;
    omc_arena *arena;
    rc_error *err;
} check;

static bool plain_key(rc_slice key)
{
    if (key.len == 0 || key.len > KEY_MAX)
        return false;
    for (size_t i = 0; i < key.len; i++) {
        unsigned char c = (unsigned char)key.base[i];

        if (c <= ' ' || c >= 127 || c == '=' || c == ',')
            return false;
    }
    return true;
}

/** Notes a name or alias of a row; each may stand in the table once. */
static int add_key(void *arg, rc_slice key)
{
    check *c = arg;
    seen_key *seen = NULL;

    if (!plain_key(key))
        return rc_fail(c->err, OMC_EINVAL,
                       "plugin %s: option name '" RC_SLICE_FMT "' must have 1 to %d visible ASCII "
                       "characters without '=' and ','",
                       c->plugin->name, RC_SLICE_ARG(key), KEY_MAX);
    HASH_FIND(hh, c->seen, key.base, key.len, seen);
    if (seen)
        return rc_fail(c->err, OMC_EINVAL, "plugin %s: option '%s' stands in its table twice",
                       c->plugin->name, seen->name);
    seen = omc_alloc0(c->arena, sizeof *seen);
    seen->name = omc_copy(c->arena, key.base, key.len);
    HASH_ADD_KEYPTR(hh, c->seen, seen->name, key.len, seen);
    return 0;
}

static int check_place(const check *c, const omc_option *row)
{
    size_t size = types[row->type].size, bytes = c->plugin->options_size;

    if (row->offset == OMC_OPT_NOT_STORED)
        return 0;
    if (row->flags & OMC_OPT_PREFIX)
        return rc_fail(c->err, OMC_EINVAL,
                       "plugin %s: option '%s' is a prefix and has no single value: its offset "
                       "must be OMC_OPT_NOT_STORED",
                       c->plugin->name, row->name);
    if (row->offset > bytes || bytes - row->offset < size || row->offset % types[row->type].align)
        return rc_fail(c->err, OMC_EINVAL,
                       "plugin %s: option '%s' (%s, %zu bytes) does not fit at offset %zu of an "
                       "options struct of %zu bytes: check offsetof() and the member's C type",
                       c->plugin->name, row->name, rc_option_type_name(row->type), size,
                       row->offset, bytes);
    return 0;
}

/** A default must be what a user could have written: it is parsed as one. */
static int check_default(const check *c, const omc_option *row)
{
    omc_option alone = *row;
    omc_pair pair = {omc_slice_str(row->name), omc_slice_str(row->default_value)};
    const omc_keyvalue kv = {1, &pair};
    const rc_option_table table = {.rows = &alone, .count = 1};
    rc_problems problems;

    if (!row->default_value || (row->flags & OMC_OPT_PREFIX))
        return 0;
    alone.flags = 0;
    alone.offset = OMC_OPT_NOT_STORED;
    alone.aliases = NULL;
    rc_problems_init(&problems, c->arena);
    if (rc_options_parse(&table, 1, &kv, RC_OPTIONS_STRICT, NULL, c->arena, &problems) == 0)
        return 0;
    return rc_fail(c->err, OMC_EINVAL,
                   "plugin %s: default '%s' of option '%s' is not a valid %s: %s", c->plugin->name,
                   row->default_value, row->name, rc_option_type_name(row->type),
                   problems.count ? problems.items[0].text : "");
}

static int check_row(check *c, const omc_option *row, size_t i)
{
    int r;

    if (!row->name)
        return rc_fail(c->err, OMC_EINVAL,
                       "plugin %s: row %zu of its option table has no name: check option_count",
                       c->plugin->name, i);
    r = add_key(c, omc_slice_of(row->name, strnlen(row->name, KEY_MAX + 1)));
    if (r == 0 && row->aliases)
        r = rc_plugin_each_class(row->aliases, add_key, c);
    if (r < 0)
        return r;
    if ((int)row->type < OMC_OPT_STRING || row->type > OMC_OPT_REGEX)
        return rc_fail(c->err, OMC_EINVAL, "plugin %s: option '%s' has type %d, 1 to %d are known",
                       c->plugin->name, row->name, (int)row->type, (int)OMC_OPT_REGEX);
    if (row->type == OMC_OPT_CHOICE && (!row->choices || !*row->choices))
        return rc_fail(c->err, OMC_EINVAL,
                       "plugin %s: option '%s' is a choice without choices: set \"one|other\"",
                       c->plugin->name, row->name);
    if (row->min > row->max)
        return rc_fail(c->err, OMC_EINVAL, "plugin %s: option '%s' has min %lld above max %lld",
                       c->plugin->name, row->name, (long long)row->min, (long long)row->max);
    if ((row->flags & OMC_OPT_PREFIX) && row->name[strlen(row->name) - 1] != '.')
        return rc_fail(c->err, OMC_EINVAL,
                       "plugin %s: option '%s' is a prefix: its name must end in '.'",
                       c->plugin->name, row->name);
    r = check_place(c, row);
    return r < 0 ? r : check_default(c, row);
}

static int check_table(const omc_plugin *plugin, rc_error *err)
{
    if (plugin->option_count > RC_PLUGIN_OPTIONS_MAX ||
        plugin->options_size > RC_PLUGIN_OPTIONS_BYTES_MAX)
        return rc_fail(err, OMC_EINVAL,
                       "plugin %s: %u options in a struct of %zu bytes; at most %d and %zu are "
                       "allowed",
                       plugin->name, plugin->option_count, plugin->options_size,
                       RC_PLUGIN_OPTIONS_MAX, RC_PLUGIN_OPTIONS_BYTES_MAX);
    if (plugin->option_count > 0 && !plugin->options)
        return rc_fail(err, OMC_EINVAL, "plugin %s: option_count is %u but options is NULL",
                       plugin->name, plugin->option_count);
    if (plugin->options &&
        (plugin->option_size < ROW_SIZE_MIN || plugin->option_size > sizeof(omc_option) ||
         plugin->option_size % _Alignof(omc_option)))
        return rc_fail(err, OMC_EABI,
                       "plugin %s: option_size is %u, an omc_option of ABI %u.%u has %zu to %zu "
                       "bytes: set .option_size = sizeof(omc_option)",
                       plugin->name, plugin->option_size, plugin->abi >> 16, plugin->abi & 0xffffu,
                       ROW_SIZE_MIN, sizeof(omc_option));
    return 0;
}

int rc_plugin_check_options(const omc_plugin *plugin, rc_error *err)
{
    rc_option_table table = rc_plugin_table(plugin);
    rc_arena arena;
    check c = {.plugin = plugin, .arena = &arena.pub, .err = err};
    int r = check_table(plugin, err);

    if (r < 0)
        return r;
    rc_arena_init(&arena, 4096);
    for (size_t i = 0; r == 0 && i < table.count; i++) {
        omc_option row = rc_option_at(&table, i);

        r = check_row(&c, &row, i);
    }
    HASH_CLEAR(hh, c.seen);
    rc_arena_release(&arena);
    return r;
}
