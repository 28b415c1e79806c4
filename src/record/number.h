/* SPDX-License-Identifier: Apache-2.0 */
/** Numbers as text, shared by values, JSON and converters of this room. Any thread. */
#ifndef RC_RECORD_NUMBER_H
#define RC_RECORD_NUMBER_H

#include "base/base.h"

/** True when the whole text is a number as RFC 8259 writes it. */
bool rc_number_is_json(rc_slice text);
/** Exact integer value of a JSON number: "12", "12.00", "1.2e1". -OMC_EFORMAT when it has a
 *  fraction, does not fit or is no number. */
int rc_number_int64(rc_slice text, int64_t *ret);
/** Nearest double (float when `single`); too large gives an infinity. -OMC_EFORMAT: no number. */
int rc_number_double(rc_slice text, bool single, double *ret);

#define RC_NUMBER_TEXT_MAX 32
/** Decimal text at `out` (RC_NUMBER_TEXT_MAX bytes, no NUL); returns its length. */
size_t rc_number_put_int64(int64_t number, char *out);
/** Shortest text that reads back as the same double (float when `single`), in the form of Java's
 *  Double.toString: "1.0", "1.0E10", "1.0E-5", "NaN", "-Infinity". Returns its length. */
size_t rc_number_put_double(double number, bool single, char *out);

#endif
