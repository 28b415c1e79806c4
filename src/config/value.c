/* SPDX-License-Identifier: Apache-2.0 */
/**
 * One parser per option type. They fill `why` with the cure in the user's own units: the range
 * of a duration reads "10ms to 1h", not in bare milliseconds.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "config/value.h"

#include "base/encode.h"
#include "base/units.h"

#include <locale.h>
#include <math.h>
#include <pcre2.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

#define REGEX_MAX ((size_t)8192)
#define LIST_MAX ((size_t)10000)

static int refuse(char *why, const char *fmt, ...) OMC_PRINTF(2, 3);

static int refuse(char *why, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(why, RC_VALUE_TEXT_MAX, fmt, ap);
    va_end(ap);
    return -OMC_EINVAL;
}

/* ---- ranges ------------------------------------------------------------------------------- */

/* `value` in the largest unit that divides it, as the option's parser reads it. */
static void put_number(const omc_option *row, int64_t value, char out[32])
{
    static const struct {
        const char *name;
        int64_t factor;
    } durations[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}},
      sizes[] = {{"TiB", (int64_t)1 << 40},
                 {"GiB", (int64_t)1 << 30},
                 {"MiB", (int64_t)1 << 20},
                 {"KiB", (int64_t)1 << 10}};

    for (size_t i = 0; row->type == OMC_OPT_DURATION_MS && value && i < RC_COUNT(durations); i++)
        if (value % durations[i].factor == 0) {
            (void)snprintf(out, 32, "%lld%s", (long long)(value / durations[i].factor),
                           durations[i].name);
            return;
        }
    for (size_t i = 0; row->type == OMC_OPT_SIZE && value && i < RC_COUNT(sizes); i++)
        if (value % sizes[i].factor == 0) {
            (void)snprintf(out, 32, "%lld%s", (long long)(value / sizes[i].factor), sizes[i].name);
            return;
        }
    (void)snprintf(out, 32, "%lld", (long long)value);
}

static bool has_range(const omc_option *row)
{
    switch (row->type) {
    case OMC_OPT_INT:
    case OMC_OPT_DOUBLE:
    case OMC_OPT_DURATION_MS:
    case OMC_OPT_SIZE:
        return row->min != 0 || row->max != 0;
    default:
        return false;
    }
}

const char *rc_range_text(const omc_option *row, char out[RC_RANGE_TEXT_MAX])
{
    char low[32];
    char high[32];

    out[0] = '\0';
    if (!has_range(row))
        return out;
    put_number(row, row->min, low);
    put_number(row, row->max, high);
    if (row->max == INT64_MAX)
        (void)snprintf(out, RC_RANGE_TEXT_MAX, "at least %s", low);
    else if (row->min == INT64_MIN)
        (void)snprintf(out, RC_RANGE_TEXT_MAX, "at most %s", high);
    else
        (void)snprintf(out, RC_RANGE_TEXT_MAX, "%s to %s", low, high);
    return out;
}

/* " from 1 to 1000", " of at least 1" or "". */
static const char *range_phrase(const omc_option *row, char out[RC_RANGE_TEXT_MAX])
{
    char range[RC_RANGE_TEXT_MAX];

    rc_range_text(row, range);
    if (!*range)
        return range[0] = out[0] = '\0', out;
    (void)snprintf(out, RC_RANGE_TEXT_MAX, " %s %.80s",
                   strncmp(range, "at ", 3) == 0 ? "of" : "from", range);
    return out;
}

/* ---- numbers ------------------------------------------------------------------------------ */

static int parse_number(const omc_option *row, rc_slice text, rc_option_value *ret, char *why)
{
    char range[RC_RANGE_TEXT_MAX];
    int r;

    range_phrase(row, range);
    switch (row->type) {
    case OMC_OPT_DURATION_MS:
        r = rc_parse_duration(text, &ret->number);
        if (r < 0)
            return refuse(why, "not a duration; give one%s, such as 250ms, 3s, 5m, 2h or 1d",
                          range);
        break;
    case OMC_OPT_SIZE:
        r = rc_parse_size(text, &ret->number);
        if (r < 0)
            return refuse(why, "not a size; give one%s, such as 4096, 64KiB or 1MiB", range);
        break;
    default:
        r = rc_parse_int64(text, &ret->number);
        if (r < 0)
            return refuse(why, "not a whole number; give one%s", range);
    }
    if (has_range(row) && (ret->number < row->min || ret->number > row->max))
        return refuse(why, "out of range; give one%s", range);
    return 0;
}

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

static void c_locale_make(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    RC_ASSERT(c_locale);
}

static int parse_double(const omc_option *row, rc_slice text, rc_option_value *ret, char *why)
{
    char copy[64];
    char range[RC_RANGE_TEXT_MAX];
    char *end = copy;

    range_phrase(row, range);
    pthread_once(&c_locale_once, c_locale_make);
    (void)snprintf(copy, sizeof copy, RC_SLICE_FMT, RC_SLICE_ARG(text));
    /* Only decimal digits: no blanks, no hex, no "nan". A plugin's locale must not matter. */
    if (text.len == 0 || text.len >= sizeof copy || strspn(copy, "+-.eE0123456789") != text.len ||
        (ret->real = strtod_l(copy, &end, c_locale), *end) || !isfinite(ret->real))
        return refuse(why, "not a number; give one%s, such as 0.5", range);
    if (has_range(row) && (ret->real < (double)row->min || ret->real > (double)row->max))
        return refuse(why, "out of range; give one%s", range);
    return 0;
}

/* ---- words -------------------------------------------------------------------------------- */

static int parse_choice(const omc_option *row, rc_slice text, rc_option_value *ret,
                        omc_arena *arena, char *why)
{
    const char *at = row->choices ? row->choices : "";

    while (*at) {
        size_t len = strcspn(at, "|");

        if (omc_slice_eq(text, omc_slice_of(at, len))) {
            ret->text = omc_copy(arena, at, len);
            return 0;
        }
        at += len + (at[len] == '|');
    }
    return refuse(why, "not one of the choices; give one of %s", row->choices ? row->choices : "");
}

static int parse_regex(rc_slice text, rc_option_value *ret, omc_arena *arena, char *why)
{
    unsigned char message[120] = "";
    PCRE2_SIZE at = 0;
    int code = 0;
    pcre2_code *compiled;

    if (text.len > REGEX_MAX)
        return refuse(why, "too long for a regular expression; give one of at most %zu bytes",
                      REGEX_MAX);
    compiled = pcre2_compile((PCRE2_SPTR)(text.len ? text.base : ""), text.len, PCRE2_UTF, &code,
                             &at, NULL);
    if (!compiled) {
        (void)pcre2_get_error_message(code, message, sizeof message);
        return refuse(why, "not a regular expression: %s at character %zu; correct it there",
                      (const char *)message, (size_t)at + 1);
    }
    pcre2_code_free(compiled);
    ret->text = omc_copy(arena, text.base, text.len);
    return 0;
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

/* Items between ',' and ';', without blanks around them; empty ones are left out. */
static int parse_list(rc_slice text, rc_option_value *ret, omc_arena *arena, char *why)
{
    const char **items;
    size_t count = 1;
    size_t kept = 0;

    for (size_t i = 0; i < text.len; i++)
        count += text.base[i] == ',' || text.base[i] == ';';
    if (count > LIST_MAX)
        return refuse(why, "a list of more than %zu items; give fewer", LIST_MAX);
    items = omc_alloc(arena, count * sizeof *items);
    for (size_t at = 0; at < text.len; at++) {
        size_t start = at;
        size_t end;

        while (at < text.len && text.base[at] != ',' && text.base[at] != ';')
            at++;
        end = at;
        while (start < end && blank(text.base[start]))
            start++;
        while (end > start && blank(text.base[end - 1]))
            end--;
        if (end > start)
            items[kept++] = omc_copy(arena, text.base + start, end - start);
    }
    ret->list = (omc_list){kept, items};
    return 0;
}

int rc_option_value_parse(const omc_option *row, rc_slice text, omc_arena *arena,
                          rc_option_value *ret, char *why)
{
    if (text.len && memchr(text.base, '\0', text.len))
        return refuse(why, "holds a NUL byte; remove it");
    switch (row->type) {
    case OMC_OPT_STRING:
    case OMC_OPT_PASSWORD:
    case OMC_OPT_CLASS:
        ret->text = omc_copy(arena, text.base, text.len);
        return 0;
    case OMC_OPT_BOOLEAN:
        if (rc_parse_bool(text, &ret->boolean) < 0)
            return refuse(why, "neither true nor false; give one of them");
        return 0;
    case OMC_OPT_INT:
    case OMC_OPT_DURATION_MS:
    case OMC_OPT_SIZE:
        return parse_number(row, text, ret, why);
    case OMC_OPT_DOUBLE:
        return parse_double(row, text, ret, why);
    case OMC_OPT_LIST:
        return parse_list(text, ret, arena, why);
    case OMC_OPT_CHOICE:
        return parse_choice(row, text, ret, arena, why);
    case OMC_OPT_REGEX:
        return parse_regex(text, ret, arena, why);
    default:
        return refuse(why,
                      "an option of type %d, which this version does not know; use a newer "
                      "version of rocketmq-connect",
                      (int)row->type);
    }
}

size_t rc_option_value_size(omc_option_type type)
{
    switch (type) {
    case OMC_OPT_STRING:
    case OMC_OPT_PASSWORD:
    case OMC_OPT_CLASS:
    case OMC_OPT_CHOICE:
    case OMC_OPT_REGEX:
        return sizeof(const char *);
    case OMC_OPT_BOOLEAN:
        return sizeof(bool);
    case OMC_OPT_INT:
    case OMC_OPT_DURATION_MS:
    case OMC_OPT_SIZE:
        return sizeof(int64_t);
    case OMC_OPT_DOUBLE:
        return sizeof(double);
    case OMC_OPT_LIST:
        return sizeof(omc_list);
    default:
        return 0;
    }
}
