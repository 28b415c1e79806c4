/* SPDX-License-Identifier: Apache-2.0 */
/**
 * PatternRename: field names by a Java regex; every match in a name is replaced (replaceAll).
 *
 * Differences to Java: a map keeps its schema (there: lost), two fields that would get one name
 * are an error for maps too (there: one of the values is lost), and a field renamed in a struct
 * is looked up by position, so the schema may have version and default values.
 */
#include "record/transform.h"

typedef struct options {
    const char *pattern, *replacement;
    omc_list flags;
} options;

static const omc_option table[] = {
    {.name = "field.pattern",
     .type = OMC_OPT_STRING,
     .flags = OMC_OPT_REQUIRED,
     .offset = offsetof(options, pattern),
     .doc = "Java regex searched in each field name of the struct or map itself (not nested ones); "
            "every match is replaced. Class unions and intersections are not supported."},
    {.name = "field.pattern.flags",
     .type = OMC_OPT_LIST,
     .offset = offsetof(options, flags),
     .doc = "Java's names: CASE_INSENSITIVE, MULTILINE, DOTALL, COMMENTS, LITERAL, UNIX_LINES, "
            "UNICODE_CASE, UNICODE_CHARACTER_CLASS. CASE_INSENSITIVE always includes UNICODE_CASE; "
            "CANON_EQ is refused."},
    {.name = "field.replacement",
     .type = OMC_OPT_STRING,
     .default_value = "",
     .offset = offsetof(options, replacement),
     .doc = "What matches become: text with $1 or ${name} for groups, \\ before a literal $ or \\. "
            "Empty or absent deletes them (Java fails without the key). Unlike in Java, two fields "
            "of a map that would get one name are an error, and the map keeps its schema."},
};

typedef struct state {
    rc_regex *regex;
    rc_renamer renamer;
} state;

static int rename_field(void *arg, rc_slice name, omc_arena *arena, rc_slice *ret, rc_error *err)
{
    state *s = arg;
    int r = rc_regex_replace(s->regex, name, arena, ret, err);

    return r < 0 ? rc_wrap(err, r, "field '" RC_SLICE_FMT "'",
                           RC_SLICE_ARG(omc_slice_of(name.base, RC_MIN(name.len, (size_t)100))))
                 : 0;
}

static int pattern_rename_start(void *at, const omc_config *config, omc_error *err)
{
    const options *o = config->options;
    state *s = at;
    unsigned flags = 0;
    int r = rc_regex_flags(&o->flags, &flags, err);

    if (r < 0)
        return rc_wrap(err, r, "key 'field.pattern.flags'");
    r = rc_regex_new(o->pattern, flags, &s->regex, err);
    if (r < 0)
        return rc_wrap(err, r, "key 'field.pattern'");
    r = rc_regex_set_replacement(s->regex, o->replacement ? o->replacement : "", err);
    if (r < 0)
        return rc_wrap(err, r, "key 'field.replacement'");
    s->renamer.transform = "PatternRename";
    s->renamer.rename = rename_field;
    s->renamer.arg = s;
    return 0;
}

static int pattern_rename_apply(void *at, rc_side side, omc_record *record, omc_arena *arena,
                                omc_error *err)
{
    state *s = at;

    return rc_rename_fields(&s->renamer, record, side, arena, err);
}

static void pattern_rename_stop(void *at)
{
    state *s = at;

    rc_schema_cache_release(&s->renamer.cache);
    rc_regex_free(s->regex);
    s->regex = NULL;
}

RC_TRANSFORM_PAIR(pattern_rename, state);

const omc_plugin rc_pattern_rename_key = {
    RC_BUILTIN(OMC_TRANSFORM),
    .name = "pattern-rename-key",
    .classes = RC_TRANSFORMS "PatternRename$Key",
    .doc = "Renames fields of the key by a regular expression.",
    .options = table,
    .option_count = RC_COUNT(table),
    .options_size = sizeof(options),
    .ops = &pattern_rename_key_ops,
};

const omc_plugin rc_pattern_rename_value = {
    RC_BUILTIN(OMC_TRANSFORM),
    .name = "pattern-rename-value",
    .classes = RC_TRANSFORMS "PatternRename$Value",
    .doc = "Renames fields of the value by a regular expression.",
    .options = table,
    .option_count = RC_COUNT(table),
    .options_size = sizeof(options),
    .ops = &pattern_rename_value_ops,
};
