/* SPDX-License-Identifier: Apache-2.0 */
/** The table of built-in transforms; each one stands in its own transform_*.c. */
#include "record/plugins.h"
#include "record/transform.h"

const omc_plugin *const rc_transform_plugins[] = {
    &rc_change_case_key,
    &rc_change_case_value,
    &rc_extract_nested_field_key,
    &rc_extract_nested_field_value,
    &rc_pattern_filter_key,
    &rc_pattern_filter_value,
    &rc_pattern_rename_key,
    &rc_pattern_rename_value,
    &rc_set_maximum_precision_key,
    &rc_set_maximum_precision_value,
    &rc_set_null_key,
    &rc_set_null_value,
    &rc_regex_router,
    &rc_filter,
    &rc_file_filter,
    NULL,
};
