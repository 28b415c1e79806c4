/* SPDX-License-Identifier: Apache-2.0 */
/**
 * One option value: from text to the C type of its option, with a text that says what is wrong
 * and how to cure it. Inner header of the room. Any thread.
 */
#ifndef RC_CONFIG_VALUE_H
#define RC_CONFIG_VALUE_H

#include "base/arena.h"

#include <openmessaging/connect/options.h>

#define RC_RANGE_TEXT_MAX 96
#define RC_VALUE_TEXT_MAX 512

/** A parsed value; the member goes by the option's type. */
typedef union rc_option_value {
    const char *text;
    bool boolean;
    int64_t number;
    double real;
    omc_list list;
} rc_option_value;

/** Bytes an option of this type takes in an options struct; 0 = unknown type. */
size_t rc_option_value_size(omc_option_type type);
/**
 * Parses `text` as the row says.
 * @param why  RC_VALUE_TEXT_MAX bytes; "not a whole number; give one from 1 to 1000" on failure.
 *             Never repeats the value, which may be a secret.
 * @return 0 or -OMC_EINVAL.
 */
int rc_option_value_parse(const omc_option *row, rc_slice text, omc_arena *arena,
                          rc_option_value *ret, char *why);
/** "1 to 1000", "at least 10ms", or "" without a range, in the unit a user would write. */
const char *rc_range_text(const omc_option *row, char out[RC_RANGE_TEXT_MAX]);

#endif
