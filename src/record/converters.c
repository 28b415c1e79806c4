/* SPDX-License-Identifier: Apache-2.0 */
/* The table of built-in converters. */
#include "record/converters.h"

#include "record/plugins.h"

const omc_plugin *const rc_converter_plugins[] = {
    &rc_string_converter,  &rc_bytes_converter,   &rc_json_converter,
    &rc_int16_converter,   &rc_int32_converter,   &rc_int64_converter,
    &rc_float32_converter, &rc_float64_converter, NULL,
};
