/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text of numbers. Integers are read exactly from any spelling JSON allows, since a document may
 * say 1e3 or 5.0 where a schema says int64; doubles are printed in Java's form so that what
 * either runtime wrote looks the same.
 */
#include "record/number.h"

#include <float.h>
#include <math.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/** The parts of a JSON number, as runs inside its text. */
struct number_parts {
    bool negative;
    rc_slice whole, fraction;
    bool exponent_negative;
    rc_slice exponent;
};

static const char *digits(const char *at, const char *end, rc_slice *ret)
{
    const char *start = at;

    while (at < end && is_digit(*at))
        at++;
    *ret = omc_slice_of(start, (size_t)(at - start));
    return at;
}

static bool split(rc_slice text, struct number_parts *parts)
{
    const char *at = text.base, *end = at + text.len;

    *parts = (struct number_parts){0};
    if (at < end && *at == '-') {
        parts->negative = true;
        at++;
    }
    at = digits(at, end, &parts->whole);
    if (parts->whole.len == 0 || (parts->whole.len > 1 && parts->whole.base[0] == '0'))
        return false;
    if (at < end && *at == '.') {
        at = digits(at + 1, end, &parts->fraction);
        if (parts->fraction.len == 0)
            return false;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            parts->exponent_negative = *at++ == '-';
        at = digits(at, end, &parts->exponent);
        if (parts->exponent.len == 0)
            return false;
    }
    return at == end;
}

bool rc_number_is_json(rc_slice text)
{
    struct number_parts parts;

    return text.len > 0 && split(text, &parts);
}

/** Adds one decimal digit to a magnitude; false when it no longer fits in 64 bits. */
static bool push_digit(uint64_t *magnitude, unsigned digit)
{
    return !__builtin_mul_overflow(*magnitude, (uint64_t)10, magnitude) &&
           !__builtin_add_overflow(*magnitude, (uint64_t)digit, magnitude);
}

/** Value of an exponent, cut at a size that is beyond every text we accept. */
static int64_t exponent_value(const struct number_parts *parts)
{
    int64_t value = 0;

    for (size_t i = 0; i < parts->exponent.len && value < INT32_MAX; i++)
        value = value * 10 + (parts->exponent.base[i] - '0');
    return parts->exponent_negative ? -value : value;
}

/**
 * Magnitude of whole.fraction * 10^exponent when that is an integer: digits before the shifted
 * point are pushed, those behind it must be zero, missing ones are zeros.
 */
static bool magnitude_of(const struct number_parts *parts, uint64_t *ret)
{
    size_t count = parts->whole.len + parts->fraction.len;
    int64_t point = (int64_t)parts->whole.len + exponent_value(parts);
    uint64_t magnitude = 0;

    for (size_t i = 0; i < count; i++) {
        char c = i < parts->whole.len ? parts->whole.base[i]
                                      : parts->fraction.base[i - parts->whole.len];

        if ((int64_t)i < point) {
            if (!push_digit(&magnitude, (unsigned)(c - '0')))
                return false;
        } else if (c != '0') {
            return false;
        }
    }
    for (int64_t i = (int64_t)count; i < point && magnitude != 0; i++)
        if (!push_digit(&magnitude, 0))
            return false;
    *ret = magnitude;
    return true;
}

int rc_number_int64(rc_slice text, int64_t *ret)
{
    struct number_parts parts;
    uint64_t magnitude;

    if (text.len == 0 || !split(text, &parts) || !magnitude_of(&parts, &magnitude))
        return -OMC_EFORMAT;
    if (magnitude > (uint64_t)INT64_MAX + (parts.negative ? 1 : 0))
        return -OMC_EFORMAT;
    *ret = (int64_t)(parts.negative ? 0 - magnitude : magnitude);
    return 0;
}

int rc_number_double(rc_slice text, bool single, double *ret)
{
    char small[64];
    RC_AUTO_FREE char *large = NULL;
    char *copy = small;

    if (!rc_number_is_json(text))
        return -OMC_EFORMAT;
    if (text.len >= sizeof small) {
        large = rc_malloc(text.len + 1); /* Part of a message that is in memory already. */
        copy = large;
    }
    memcpy(copy, text.base, text.len);
    copy[text.len] = '\0';
    *ret = single ? (double)strtof(copy, NULL) : strtod(copy, NULL);
    return 0;
}

size_t rc_number_put_int64(int64_t number, char *out)
{
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    char turned[20];
    size_t n = 0, len = 0;

    do {
        turned[n++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (number < 0)
        out[len++] = '-';
    while (n)
        out[len++] = turned[--n];
    return len;
}

/**
 * Shortest significant digits of a finite, positive number: `out` gets the digits without a
 * point, *ret_exponent the power of ten of the first one.
 */
static size_t shortest_digits(double number, bool single, char *out, int *ret_exponent)
{
    int precision = single ? 6 : 15, most = single ? 9 : 17;
    char text[40];
    size_t n = 0;
    const char *at;

    /* 6 (15) digits always come back from a normal number; subnormal ones hold fewer. */
    if (number < (single ? (double)FLT_MIN : DBL_MIN))
        precision = 2;
    for (;; precision++) {
        (void)snprintf(text, sizeof text, "%.*e", precision - 1, number);
        if (precision == most ||
            (single ? (double)strtof(text, NULL) : strtod(text, NULL)) == number)
            break;
    }
    for (at = text; *at != 'e'; at++)
        if (is_digit(*at))
            out[n++] = *at;
    RC_ASSERT(n > 0); /* %e writes a digit before the 'e' */
    *ret_exponent = (int)strtol(at + 1, NULL, 10);
    while (n > 1 && out[n - 1] == '0')
        n--;
    return n;
}

static size_t put_word(const char *word, char *out)
{
    size_t len = strlen(word);

    memcpy(out, word, len); /* NOLINT(bugprone-not-null-terminated-result): the length goes along */
    return len;
}

/** 123.45 or 0.00123: the point stands inside or in front of the digits. */
static size_t put_plain(const char *number, size_t count, int exponent, char *out)
{
    size_t len = 0;

    if (exponent < 0) {
        out[len++] = '0';
        out[len++] = '.';
        for (int i = -1; i > exponent; i--)
            out[len++] = '0';
        memcpy(out + len, number, count);
        return len + count;
    }
    for (size_t i = 0; i <= (size_t)exponent; i++)
        out[len++] = i < count ? number[i] : '0';
    out[len++] = '.';
    if ((size_t)exponent + 1 >= count)
        out[len++] = '0';
    for (size_t i = (size_t)exponent + 1; i < count; i++)
        out[len++] = number[i];
    return len;
}

static size_t put_scientific(const char *number, size_t count, int exponent, char *out)
{
    size_t len = 0;

    out[len++] = number[0];
    out[len++] = '.';
    if (count == 1)
        out[len++] = '0';
    for (size_t i = 1; i < count; i++)
        out[len++] = number[i];
    out[len++] = 'E';
    return len + rc_number_put_int64(exponent, out + len);
}

size_t rc_number_put_double(double number, bool single, char *out)
{
    char found[24];
    size_t len = 0, count;
    int exponent;

    if (isnan(number))
        return put_word("NaN", out);
    if (signbit(number)) {
        out[len++] = '-';
        number = -number;
    }
    if (isinf(number))
        return len + put_word("Infinity", out + len);
    if (number == 0)
        return len + put_word("0.0", out + len);
    count = shortest_digits(number, single, found, &exponent);
    /* Java's rule: plain from 10^-3 up to below 10^7, else scientific. */
    if (exponent >= -3 && exponent < 7)
        return len + put_plain(found, count, exponent, out + len);
    return len + put_scientific(found, count, exponent, out + len);
}
