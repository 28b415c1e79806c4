/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Parsing takes the whole slice or nothing and never depends on the locale. Formatting is for
 * people: two significant parts, no trailing ".0".
 */
#include "base/units.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

struct unit {
    const char *name;
    int64_t factor;
};

/* Digits at the start of `text`. @return how many, or 0 when there are none or too many. */
static size_t parse_digits(rc_slice text, uint64_t max, uint64_t *ret)
{
    uint64_t value = 0;
    size_t i;

    for (i = 0; i < text.len && text.base[i] >= '0' && text.base[i] <= '9'; i++) {
        uint64_t digit = (uint64_t)(text.base[i] - '0');

        if (value > (max - digit) / 10)
            return 0;
        value = value * 10 + digit;
    }
    *ret = value;
    return i;
}

int rc_parse_int64(rc_slice text, int64_t *ret)
{
    bool negative = text.len > 0 && text.base[0] == '-';
    uint64_t value;
    size_t used;

    if (text.len > 0 && (negative || text.base[0] == '+'))
        text = omc_slice_of(text.base + 1, text.len - 1);
    used = parse_digits(text, (uint64_t)INT64_MAX + negative, &value);
    if (used == 0 || used != text.len)
        return -OMC_EINVAL;
    *ret = negative ? (int64_t)(0 - value) : (int64_t)value;
    return 0;
}

/* "<digits><unit>"; the unit's case counts only when `exact`. */
static int parse_with_unit(rc_slice text, const struct unit *units, size_t count, bool exact,
                           int64_t *ret)
{
    uint64_t value;
    size_t used = parse_digits(text, INT64_MAX, &value);

    if (used == 0)
        return -OMC_EINVAL;
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(units[i].name);

        if (len != text.len - used)
            continue;
        if (exact ? memcmp(text.base + used, units[i].name, len) != 0
                  : strncasecmp(text.base + used, units[i].name, len) != 0)
            continue;
        if (value > (uint64_t)(INT64_MAX / units[i].factor))
            return -OMC_EINVAL;
        *ret = (int64_t)value * units[i].factor;
        return 0;
    }
    return -OMC_EINVAL;
}

int rc_parse_duration(rc_slice text, int64_t *ret_ms)
{
    static const struct unit units[] = {{"", 1},      {"ms", 1},      {"s", 1000},
                                        {"m", 60000}, {"h", 3600000}, {"d", 86400000}};

    return parse_with_unit(text, units, RC_COUNT(units), true, ret_ms);
}

int rc_parse_size(rc_slice text, int64_t *ret_bytes)
{
    static const struct unit units[] = {
        {"", 1},
        {"k", (int64_t)1 << 10},
        {"m", (int64_t)1 << 20},
        {"g", (int64_t)1 << 30},
        {"t", (int64_t)1 << 40},
        {"KiB", (int64_t)1 << 10},
        {"MiB", (int64_t)1 << 20},
        {"GiB", (int64_t)1 << 30},
        {"TiB", (int64_t)1 << 40},
    };

    return parse_with_unit(text, units, RC_COUNT(units), false, ret_bytes);
}

int rc_parse_bool(rc_slice text, bool *ret)
{
    bool yes = text.len == 4 && strncasecmp(text.base, "true", 4) == 0;

    if (!yes && !(text.len == 5 && strncasecmp(text.base, "false", 5) == 0))
        return -OMC_EINVAL;
    *ret = yes;
    return 0;
}

/* `tenths` as "12.3" or, when there are no tenths, "12". */
static void put_tenths(char *out, size_t size, const char *sign, uint64_t tenths, const char *unit)
{
    if (tenths % 10)
        (void)snprintf(out, size, "%s%llu.%u %s", sign, (unsigned long long)(tenths / 10),
                       (unsigned)(tenths % 10), unit);
    else
        (void)snprintf(out, size, "%s%llu %s", sign, (unsigned long long)(tenths / 10), unit);
}

const char *rc_format_size(int64_t bytes, char out[24])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    uint64_t value = bytes < 0 ? 0 - (uint64_t)bytes : (uint64_t)bytes;
    const char *sign = bytes < 0 ? "-" : "";
    unsigned __int128 wide = (unsigned __int128)value * 10;
    uint64_t tenths = 0;
    size_t i;

    if (value < 1024) {
        (void)snprintf(out, 24, "%s%u B", sign, (unsigned)value);
        return out;
    }
    for (i = 1; i < RC_COUNT(units); i++) {
        unsigned shift = (unsigned)(10 * i);

        tenths = (uint64_t)((wide + ((unsigned __int128)1 << (shift - 1))) >> shift);
        if (tenths < 10240)
            break;
    }
    put_tenths(out, 24, sign, tenths, units[i]);
    return out;
}

const char *rc_format_duration(int64_t ms, char out[32])
{
    const char *sign = ms < 0 ? "-" : "";
    uint64_t t = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    uint64_t big = 0;
    uint64_t small = 0;
    const char *big_unit = "min";
    const char *small_unit = "s";

    if (t < 1000) {
        (void)snprintf(out, 32, "%s%u ms", sign, (unsigned)t);
        return out;
    }
    if (t < 59950) {
        put_tenths(out, 32, sign, (t + 50) / 100, "s");
        return out;
    }
    t = (t + 500) / 1000;
    if (t < 3600) {
        big = t / 60;
        small = t % 60;
    } else if (t < 86400) {
        big = t / 3600;
        small = t / 60 % 60;
        big_unit = "h";
        small_unit = "min";
    } else {
        big = t / 86400;
        small = t / 3600 % 24;
        big_unit = "d";
        small_unit = "h";
    }
    if (small)
        (void)snprintf(out, 32, "%s%llu %s %u %s", sign, (unsigned long long)big, big_unit,
                       (unsigned)small, small_unit);
    else
        (void)snprintf(out, 32, "%s%llu %s", sign, (unsigned long long)big, big_unit);
    return out;
}

const char *rc_format_count(int64_t n, char out[32])
{
    char digits[24];
    uint64_t value = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
    int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
    char *at = out;

    if (n < 0)
        *at++ = '-';
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            *at++ = ',';
        *at++ = digits[i];
    }
    *at = '\0';
    return out;
}

#define WORD_MAX 96 /* Longer words get no suggestion. */

static int lower(char c)
{
    return tolower((unsigned char)c);
}

/* Insertions, deletions, changes and swaps of neighbours between two words; case is free. */
static size_t edit_distance(const char *a, size_t alen, const char *b, size_t blen)
{
    size_t rows[3][WORD_MAX + 1];
    size_t *before = rows[0];
    size_t *last = rows[1];
    size_t *now = rows[2];

    for (size_t j = 0; j <= blen; j++) {
        last[j] = j;
        before[j] = j;
    }
    for (size_t i = 1; i <= alen; i++) {
        size_t *free_row = before;

        now[0] = i;
        for (size_t j = 1; j <= blen; j++) {
            size_t cost = lower(a[i - 1]) != lower(b[j - 1]);

            now[j] = RC_MIN(RC_MIN(last[j], now[j - 1]) + 1, last[j - 1] + cost);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                lower(a[i - 2]) == lower(b[j - 1]))
                now[j] = RC_MIN(now[j], before[j - 2] + 1);
        }
        before = last;
        last = now;
        now = free_row;
    }
    return last[blen];
}

const char *rc_nearest(const char *word, const char *const *candidates, size_t count)
{
    size_t len = strnlen(word, WORD_MAX + 1);
    const char *best = NULL;
    size_t best_distance = len / 3 + 1;

    if (len > WORD_MAX)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        size_t other = strnlen(candidates[i], WORD_MAX + 1);
        size_t distance;

        if (other > WORD_MAX || RC_MAX(len, other) - RC_MIN(len, other) >= best_distance)
            continue;
        distance = edit_distance(word, len, candidates[i], other);
        if (distance < best_distance) {
            best = candidates[i];
            best_distance = distance;
        }
    }
    return best;
}
