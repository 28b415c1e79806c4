/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values as plain text. A number that came with its text keeps it.
 */
#include "sink.h"

#include <inttypes.h>
#include <stdlib.h>

/* The shortest text that reads back as the same number. */
static int print_double(char *buf, size_t size, double number, bool is_float)
{
    int n = 0;

    for (int digits = is_float ? 6 : 15; digits <= (is_float ? 9 : 17); digits++) {
        n = snprintf(buf, size, "%.*g", digits, number);
        if (is_float ? strtof(buf, NULL) == (float)number : strtod(buf, NULL) == number)
            break;
    }
    return n;
}

int file_value_text(const omc_value *value, char *buf, omc_slice *ret)
{
    int n;

    switch (value->kind) {
    case OMC_STRING:
    case OMC_BYTES:
        *ret = value->u.bytes;
        return 0;
    case OMC_BOOLEAN:
        *ret = omc_slice_str(value->u.boolean ? "true" : "false");
        return 0;
    case OMC_ARRAY:
    case OMC_MAP:
    case OMC_STRUCT:
        return -1;
    default:
        break;
    }
    if (value->text.len) {
        *ret = value->text;
        return 0;
    }
    if (value->kind == OMC_FLOAT32 || value->kind == OMC_FLOAT64)
        n = print_double(buf, FILE_NUMBER_MAX, value->u.f64, value->kind == OMC_FLOAT32);
    else
        n = snprintf(buf, FILE_NUMBER_MAX, "%" PRId64, value->u.i64);
    *ret = omc_slice_of(buf, (size_t)n);
    return 0;
}
