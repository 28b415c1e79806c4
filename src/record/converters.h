/* SPDX-License-Identifier: Apache-2.0 */
/** The built-in converters, one object each. */
#ifndef RC_RECORD_CONVERTERS_H
#define RC_RECORD_CONVERTERS_H

#include <openmessaging/connect/plugin.h>

extern const omc_plugin rc_string_converter;
extern const omc_plugin rc_bytes_converter;
extern const omc_plugin rc_json_converter;
extern const omc_plugin rc_int16_converter;
extern const omc_plugin rc_int32_converter;
extern const omc_plugin rc_int64_converter;
extern const omc_plugin rc_float32_converter;
extern const omc_plugin rc_float64_converter;

#endif
