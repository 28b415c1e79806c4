/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decimals as OpenMessaging stores them (unscaled big-endian two's complement bytes and a scale)
 * to plain text and back. At most 4,096 digits, so that the schoolbook conversions stay far
 * below a millisecond whatever a message says.
 */
#include "record/value.h"

#include "record/number.h"

#define DIGITS_MAX 4096
#define BYTES_MAX 1704 /* 4,096 digits need 13,607 bits with the sign: 1,701 bytes. */
#define CHUNK 1000000000u
#define CHUNK_DIGITS 9

/* ---- to text ------------------------------------------------------------------------------- */

/** Divides a big-endian magnitude by 10^9 in place; returns the remainder. */
static uint32_t divide(uint8_t *magnitude, size_t len)
{
    uint64_t rest = 0;

    for (size_t i = 0; i < len; i++) {
        rest = rest << 8 | magnitude[i];
        magnitude[i] = (uint8_t)(rest / CHUNK);
        rest %= CHUNK;
    }
    return (uint32_t)rest;
}

/** Decimal digits of a magnitude (destroyed), most significant first, at the end of `out`
 *  (`room` bytes). Returns how many; at least one. */
static size_t to_digits(uint8_t *magnitude, size_t len, char *out, size_t room)
{
    size_t count = 0, first = 0;

    for (;;) {
        uint32_t chunk;

        while (first < len && magnitude[first] == 0)
            first++;
        if (first == len)
            break;
        chunk = divide(magnitude + first, len - first);
        for (int i = 0; i < CHUNK_DIGITS; i++, chunk /= 10)
            out[room - ++count] = (char)('0' + chunk % 10);
    }
    while (count > 1 && out[room - count] == '0')
        count--;
    if (count == 0)
        out[room - ++count] = '0';
    return count;
}

static void negate(uint8_t *bytes, size_t len)
{
    unsigned carry = 1;

    for (size_t i = len; i-- > 0;) {
        carry += (uint8_t)~bytes[i];
        bytes[i] = (uint8_t)carry;
        carry >>= 8;
    }
}

/** Puts sign, digits and point together. */
static rc_slice place_point(bool negative, const char *number, size_t count, int scale,
                            omc_arena *arena)
{
    size_t after = scale > 0 ? (size_t)scale : 0;
    size_t zeros = count <= after ? after + 1 - count : 0; /* 0.05: in front of the digits. */
    size_t behind = scale < 0 && !(count == 1 && number[0] == '0') ? (size_t)-scale : 0;
    char *text = omc_alloc(arena, 1 + zeros + count + behind + 2), *at = text;
    size_t whole = zeros + count - after;

    if (negative)
        *at++ = '-';
    for (size_t i = 0; i < zeros + count; i++) {
        if (i == whole)
            *at++ = '.';
        *at++ = i < zeros ? '0' : number[i - zeros];
    }
    memset(at, '0', behind);
    at += behind;
    *at = '\0';
    return omc_slice_of(text, (size_t)(at - text));
}

int rc_decimal_text(rc_slice unscaled, int scale, omc_arena *arena, rc_slice *ret)
{
    uint8_t magnitude[BYTES_MAX];
    char number[DIGITS_MAX + 2 * CHUNK_DIGITS];
    size_t count;
    bool negative;

    if (unscaled.len == 0 || unscaled.len > BYTES_MAX || scale > DIGITS_MAX || scale < -DIGITS_MAX)
        return -OMC_EFORMAT;
    memcpy(magnitude, unscaled.base, unscaled.len);
    negative = (magnitude[0] & 0x80) != 0;
    if (negative)
        negate(magnitude, unscaled.len);
    count = to_digits(magnitude, unscaled.len, number, sizeof number);
    if (count > DIGITS_MAX)
        return -OMC_EFORMAT;
    *ret = place_point(negative, number + sizeof number - count, count, scale, arena);
    return 0;
}

/* ---- from text ----------------------------------------------------------------------------- */

/** value = value * factor + addend; the value is the last `used` bytes. Returns the new length. */
static size_t multiply_add(uint8_t *magnitude, size_t used, uint32_t factor, uint32_t addend)
{
    uint64_t carry = addend;
    size_t i = 0;

    for (; i < used || carry; i++) {
        uint8_t *at = &magnitude[BYTES_MAX - 1 - i];

        carry += (uint64_t)*at * factor;
        *at = (uint8_t)carry;
        carry >>= 8;
    }
    return i;
}

/** Digits of a number whose value is digits * 10^-fraction. */
struct scaled {
    char number[DIGITS_MAX];
    size_t count;
    int64_t fraction;
    bool negative;
};

/** Splits "-12.30e-2" (a JSON number) into digits and the power of ten. */
static int split(rc_slice text, struct scaled *ret)
{
    bool point = false;
    size_t i = 0;
    int64_t exponent = 0;

    *ret = (struct scaled){.negative = text.base[0] == '-'};
    for (i = ret->negative ? 1 : 0; i < text.len && (text.base[i] | 0x20) != 'e'; i++) {
        if (text.base[i] == '.') {
            point = true;
            continue;
        }
        if (point)
            ret->fraction++;
        if (ret->count == 0 && text.base[i] == '0')
            continue; /* Leading zeros do not count as digits. */
        if (ret->count == DIGITS_MAX)
            return -OMC_EFORMAT;
        ret->number[ret->count++] = text.base[i];
    }
    if (i < text.len) {
        bool minus = text.base[i + 1] == '-';

        for (i += minus || text.base[i + 1] == '+' ? 2 : 1; i < text.len; i++) {
            exponent = exponent * 10 + (text.base[i] - '0');
            if (exponent > INT32_MAX)
                return ret->count ? -OMC_EFORMAT : 0;
        }
        ret->fraction += minus ? exponent : -exponent;
    }
    return 0;
}

/** Appends or removes zeros until the number has `scale` digits behind its point. */
static int rescale(struct scaled *number, int scale)
{
    while (number->count && number->fraction > scale) {
        if (number->number[number->count - 1] != '0')
            return -OMC_EFORMAT; /* Would lose a digit. */
        number->count--;
        number->fraction--;
    }
    while (number->count && number->fraction < scale) {
        if (number->count == DIGITS_MAX)
            return -OMC_EFORMAT;
        number->number[number->count++] = '0';
        number->fraction++;
    }
    return 0;
}

int rc_decimal_parse(rc_slice text, int scale, omc_arena *arena, rc_slice *ret_unscaled)
{
    struct scaled number;
    uint8_t magnitude[BYTES_MAX] = {0}, *first;
    size_t used = 0;

    if (scale > DIGITS_MAX || scale < -DIGITS_MAX || !rc_number_is_json(text) ||
        split(text, &number) < 0 || rescale(&number, scale) < 0)
        return -OMC_EFORMAT;
    for (size_t i = 0; i < number.count;) {
        uint32_t factor = 1, chunk = 0;

        for (; factor < CHUNK && i < number.count; i++, factor *= 10)
            chunk = chunk * 10 + (uint32_t)(number.number[i] - '0');
        used = multiply_add(magnitude, used, factor, chunk);
    }
    used++; /* A byte for the sign; taken off again when it says nothing. */
    first = magnitude + BYTES_MAX - used;
    if (number.negative)
        negate(first, used);
    while (used > 1 && first[0] == (first[1] & 0x80 ? 0xFF : 0)) {
        first++;
        used--;
    }
    *ret_unscaled = rc_arena_slice(arena, omc_slice_of((const char *)first, used));
    return 0;
}
