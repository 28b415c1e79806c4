/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Transforms that drop records: PatternFilter by the text of fields, Filter whatever it is applied
 * to (so it stands behind a predicate); and the demo transform of the Java file sample.
 *
 * Differences to Java: a dropped record is harmless (there it kills a source task), and a value
 * without fields is an error instead of passing as if nothing matched.
 */
#include "record/transform.h"
#include "record/value.h"

typedef struct options {
    const char *pattern;
    omc_list fields;
} options;

static const omc_option table[] = {
    {.name = "pattern",
     .type = OMC_OPT_STRING,
     .flags = OMC_OPT_REQUIRED,
     .offset = offsetof(options, pattern),
     .doc = "Java regex for the whole text of a field; a record with a field that matches is "
            "dropped. Class unions and intersections are not supported."},
    {.name = "fields",
     .type = OMC_OPT_LIST,
     .flags = OMC_OPT_REQUIRED,
     .offset = offsetof(options, fields),
     .doc = "Fields of the struct or map to look at; those that are no text, or missing, do not "
            "match. Unlike in Java, a value that has no fields at all is an error; null passes."},
};

typedef struct state {
    rc_regex *regex;
    const omc_list *fields;
} state;

static int pattern_filter_start(void *at, const omc_config *config, omc_error *err)
{
    const options *o = config->options;
    state *s = at;
    int r = rc_regex_new(o->pattern, RC_REGEX_FULL, &s->regex, err);

    s->fields = &o->fields;
    return r < 0 ? rc_wrap(err, r, "key 'pattern'") : 0;
}

/** Value of a field, or NULL. */
static const omc_value *find_field(const omc_value *value, const char *name)
{
    int i;

    if (value->kind == OMC_MAP)
        return omc_map_get(value->u.map, name);
    i = rc_schema_field(value->u.object->schema, omc_slice_str(name));
    return i < 0 ? NULL : &value->u.object->values[i];
}

static int pattern_filter_apply(void *at, rc_side side, omc_record *record, omc_arena *arena,
                                omc_error *err)
{
    rc_half half = rc_half_of(record, side);
    state *s = at;

    (void)arena;
    if (half.value->kind == OMC_NULL)
        return 0;
    if (half.value->kind != OMC_STRUCT && half.value->kind != OMC_MAP)
        return rc_half_unfit(&half, "PatternFilter", "a struct or a map", err);
    for (size_t i = 0; i < s->fields->count; i++) {
        const omc_value *field = find_field(half.value, s->fields->items[i]);
        int r;

        if (!field || field->kind != OMC_STRING)
            continue;
        r = rc_regex_match(s->regex, field->u.bytes, err);
        if (r < 0)
            return rc_wrap(err, r, "field '%s'", s->fields->items[i]);
        if (r > 0)
            return OMC_DROP;
    }
    return 0;
}

static void pattern_filter_stop(void *at)
{
    state *s = at;

    rc_regex_free(s->regex);
    s->regex = NULL;
}

RC_TRANSFORM_PAIR(pattern_filter, state);

const omc_plugin rc_pattern_filter_key = {
    RC_BUILTIN(OMC_TRANSFORM),
    .name = "pattern-filter-key",
    .classes = RC_TRANSFORMS "PatternFilter$Key",
    .doc = "Drops records that have a field in the key whose text matches a regular expression.",
    .options = table,
    .option_count = RC_COUNT(table),
    .options_size = sizeof(options),
    .ops = &pattern_filter_key_ops,
};

const omc_plugin rc_pattern_filter_value = {
    RC_BUILTIN(OMC_TRANSFORM),
    .name = "pattern-filter-value",
    .classes = RC_TRANSFORMS "PatternFilter$Value",
    .doc = "Drops records that have a field in the value whose text matches a regular expression.",
    .options = table,
    .option_count = RC_COUNT(table),
    .options_size = sizeof(options),
    .ops = &pattern_filter_value_ops,
};

/* ---- Filter ------------------------------------------------------------------------------- */

static const omc_option no_options[1];

static int filter_apply(void *at, omc_record *record, omc_arena *arena, omc_error *err)
{
    (void)at, (void)record, (void)arena, (void)err;
    return OMC_DROP;
}

static const omc_transform_ops filter_ops = {.size = sizeof filter_ops, .apply = filter_apply};

const omc_plugin rc_filter = {
    RC_BUILTIN(OMC_TRANSFORM),
    .name = "filter",
    .classes = RC_KAFKA_TRANSFORMS "Filter",
    .doc = "Drops every record it is applied to; give it a predicate.",
    .options = no_options,
    .ops = &filter_ops,
};

/* ---- the Java sample's FilterTransform ---------------------------------------------------- */

static int file_filter_apply(void *at, omc_record *record, omc_arena *arena, omc_error *err)
{
    static const char suffix[] = ":filter";
    rc_slice text;
    char *out;

    (void)at, (void)err;
    if (record->value.kind == OMC_NULL)
        return 0; /* A tombstone stays one; Java fails here. */
    text = rc_value_text(&record->value, arena);
    out = omc_alloc(arena, text.len + sizeof suffix);
    if (text.len)
        memcpy(out, text.base, text.len);
    memcpy(out + text.len, suffix, sizeof suffix);
    record->value = omc_string(omc_slice_of(out, text.len + sizeof suffix - 1));
    if (record->schema && record->schema->type != OMC_STRING)
        record->schema = rc_schema_plain(OMC_STRING, record->schema->optional);
    return 0;
}

static const omc_transform_ops file_filter_ops = {.size = sizeof file_filter_ops,
                                                  .apply = file_filter_apply};

const omc_plugin rc_file_filter = {
    RC_BUILTIN(OMC_TRANSFORM),
    .name = "file-filter",
    .classes = "org.apache.rocketmq.connect.file.FilterTransform",
    .doc = "Demo of the Java file sample: the value becomes its text with ':filter' behind it.",
    .options = no_options,
    .ops = &file_filter_ops,
};
