/* SPDX-License-Identifier: Apache-2.0 */
/**
 * ChangeCase: field names from one convention to another, with the meaning of Guava's CaseFormat,
 * which the Java transform uses: words end at a separator or before an ASCII capital; only ASCII
 * letters change their case.
 *
 * Differences to Java: maps are renamed too (there: an error), and the schema keeps version, doc
 * and parameters (there: lost).
 */
#include "record/transform.h"

#define NAMES_MAX ((size_t)65536)
#define FORMATS "LOWER_HYPHEN|LOWER_UNDERSCORE|LOWER_CAMEL|UPPER_CAMEL|UPPER_UNDERSCORE"

typedef enum letters { LOWER, UPPER, CAPITAL } letters;

/** One convention: what stands between words, and how words are written. */
typedef struct format {
    const char *name;
    char separator; /**< 0: a word begins with a capital. */
    letters first, others;
} format;

static const format formats[] = {
    {"LOWER_HYPHEN", '-', LOWER, LOWER},     {"LOWER_UNDERSCORE", '_', LOWER, LOWER},
    {"LOWER_CAMEL", 0, LOWER, CAPITAL},      {"UPPER_CAMEL", 0, CAPITAL, CAPITAL},
    {"UPPER_UNDERSCORE", '_', UPPER, UPPER},
};

typedef struct options {
    const char *from, *to;
} options;

static const omc_option table[] = {
    {.name = "from",
     .type = OMC_OPT_CHOICE,
     .flags = OMC_OPT_REQUIRED,
     .offset = offsetof(options, from),
     .choices = FORMATS,
     .doc = "How the names are written now."},
    {.name = "to",
     .type = OMC_OPT_CHOICE,
     .flags = OMC_OPT_REQUIRED,
     .offset = offsetof(options, to),
     .choices = FORMATS,
     .doc = "How they shall be written. Applies to the fields of the struct or map itself, not to "
            "nested ones. Unlike in Java, maps (JSON without schema) work and the schema keeps "
            "version, doc and parameters; two fields that would get one name are an error."},
};

typedef struct state {
    const format *from, *to;
    rc_renamer renamer;
} state;

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}
static char lower(char c)
{
    return is_upper(c) ? (char)(c + 32) : c;
}
static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}

static char *put_word(char *out, rc_slice name, size_t from, size_t to, letters how)
{
    for (size_t i = from; i < to; i++) {
        bool up = how == UPPER || (how == CAPITAL && i == from);

        *out++ = up ? upper(name.base[i]) : lower(name.base[i]);
    }
    return out;
}

/** Only the separator differs: Guava leaves the letters alone here. */
static rc_slice swap_separator(const state *s, rc_slice name, omc_arena *arena)
{
    char *out = omc_copy(arena, name.base, name.len);

    for (size_t i = 0; i < name.len; i++)
        if (out[i] == s->from->separator)
            out[i] = s->to->separator;
    return omc_slice_of(out, name.len);
}

static int change_name(void *arg, rc_slice name, omc_arena *arena, rc_slice *ret, rc_error *err)
{
    const state *s = arg;
    char *out, *end;
    size_t word = 0;

    *ret = name;
    if (name.len > NAMES_MAX)
        return rc_fail(err, OMC_EFORMAT, "ChangeCase: a field name of %zu bytes is too long",
                       name.len);
    if (s->from == s->to)
        return 0;
    if (s->from->separator && s->to->separator && s->from->first == LOWER &&
        s->to->first == LOWER) {
        *ret = swap_separator(s, name, arena);
        return 0;
    }
    out = end = omc_alloc(arena, name.len * 2 + 1);
    for (size_t i = 0; i < name.len; i++) {
        bool ends = s->from->separator ? name.base[i] == s->from->separator
                                       : i > 0 && is_upper(name.base[i]);

        if (!ends)
            continue;
        end = put_word(end, name, word, i, word ? s->to->others : s->to->first);
        if (s->to->separator)
            *end++ = s->to->separator;
        word = s->from->separator ? i + 1 : i;
    }
    end = put_word(end, name, word, name.len, word ? s->to->others : s->to->first);
    *ret = omc_slice_of(out, (size_t)(end - out));
    return 0;
}

static const format *find_format(const char *name)
{
    for (size_t i = 0; i < RC_COUNT(formats); i++)
        if (strcmp(formats[i].name, name) == 0)
            return &formats[i];
    return NULL;
}

static int change_case_start(void *at, const omc_config *config, omc_error *err)
{
    const options *o = config->options;
    state *s = at;

    s->from = find_format(o->from);
    s->to = find_format(o->to);
    if (!s->from || !s->to)
        return rc_fail(err, OMC_EINVAL, "'from' and 'to' must be one of " FORMATS);
    s->renamer.transform = "ChangeCase";
    s->renamer.rename = change_name;
    s->renamer.arg = s;
    return 0;
}

static int change_case_apply(void *at, rc_side side, omc_record *record, omc_arena *arena,
                             omc_error *err)
{
    state *s = at;

    return rc_rename_fields(&s->renamer, record, side, arena, err);
}

static void change_case_stop(void *at)
{
    state *s = at;

    rc_schema_cache_release(&s->renamer.cache);
}

RC_TRANSFORM_PAIR(change_case, state);

const omc_plugin rc_change_case_key = {
    RC_BUILTIN(OMC_TRANSFORM),
    .name = "change-case-key",
    .classes = RC_TRANSFORMS "ChangeCase$Key",
    .doc = "Writes the field names of the key in another case, e.g. orderId as order_id.",
    .options = table,
    .option_count = RC_COUNT(table),
    .options_size = sizeof(options),
    .ops = &change_case_key_ops,
};

const omc_plugin rc_change_case_value = {
    RC_BUILTIN(OMC_TRANSFORM),
    .name = "change-case-value",
    .classes = RC_TRANSFORMS "ChangeCase$Value",
    .doc = "Writes the field names of the value in another case, e.g. orderId as order_id.",
    .options = table,
    .option_count = RC_COUNT(table),
    .options_size = sizeof(options),
    .ops = &change_case_value_ops,
};
