/* SPDX-License-Identifier: Apache-2.0 */
/**
 * SetNull: key or value, with its schema, becomes null.
 *
 * Differences to Java: SetNull$Value does it too (there it does nothing), extensions stay (there
 * both drop them), and no key is needed (there field.pattern is, without effect).
 */
#include "record/transform.h"

static const omc_option table[] = {
    {.name = "field.pattern",
     .type = OMC_OPT_STRING,
     .flags = OMC_OPT_IGNORED,
     .offset = OMC_OPT_NOT_STORED,
     .doc = "Required by the Java transform, without effect there and here. Unlike in Java, "
            "SetNull$Value really sets the value to null, and extensions stay."},
    {.name = "field.pattern.flags",
     .type = OMC_OPT_STRING,
     .flags = OMC_OPT_IGNORED,
     .offset = OMC_OPT_NOT_STORED,
     .doc = "Without effect, as in Java."},
    {.name = "field.replacement",
     .type = OMC_OPT_STRING,
     .flags = OMC_OPT_IGNORED,
     .offset = OMC_OPT_NOT_STORED,
     .doc = "Without effect, as in Java."},
};

static int set_null_key(void *state, omc_record *record, omc_arena *arena, omc_error *err)
{
    (void)state, (void)arena, (void)err;
    record->key = omc_null();
    record->key_schema = NULL;
    return 0;
}

static int set_null_value(void *state, omc_record *record, omc_arena *arena, omc_error *err)
{
    (void)state, (void)arena, (void)err;
    record->value = omc_null();
    record->schema = NULL;
    return 0;
}

static const omc_transform_ops key_ops = {.size = sizeof key_ops, .apply = set_null_key};
static const omc_transform_ops value_ops = {.size = sizeof value_ops, .apply = set_null_value};

const omc_plugin rc_set_null_key = {
    RC_BUILTIN(OMC_TRANSFORM),
    .name = "set-null-key",
    .classes = RC_TRANSFORMS "SetNull$Key",
    .doc = "Removes the key of every record.",
    .options = table,
    .option_count = RC_COUNT(table),
    .ops = &key_ops,
};

const omc_plugin rc_set_null_value = {
    RC_BUILTIN(OMC_TRANSFORM),
    .name = "set-null-value",
    .classes = RC_TRANSFORMS "SetNull$Value",
    .doc = "Removes the value of every record, so that it becomes a tombstone.",
    .options = table,
    .option_count = RC_COUNT(table),
    .ops = &value_ops,
};
