/* SPDX-License-Identifier: Apache-2.0 */
/**
 * SetMaximumPrecision: lowers the schema parameter `connect.decimal.precision` of Decimal fields;
 * values stay as they are.
 *
 * Differences to Java: the schemas of struct and field keep all they had (there `optional` becomes
 * true, defaults are lost), and Kafka's Decimal is known too.
 */
#include "record/transform.h"
#include "record/value.h"

#define PRECISION "connect.decimal.precision"
#define PRECISION_DEFAULT 64
#define KAFKA_DECIMAL "org.apache.kafka.connect.data.Decimal"

typedef struct options {
    int64_t max;
} options;

static const omc_option table[] = {
    {.name = "precision.max",
     .type = OMC_OPT_INT,
     .flags = OMC_OPT_REQUIRED,
     .offset = offsetof(options, max),
     .min = 1,
     .max = 64,
     .doc = "Decimal fields of the struct whose schema says a higher " PRECISION
            " (absent: 64) get this one. Values do not change; nested structs neither. Unlike in "
            "Java, the rest of the schema (optional, defaults of fields) stays."},
};

typedef struct state {
    int64_t max;
    rc_schema_cache cache;
} state;

static bool is_decimal(const omc_schema *schema)
{
    return schema->name && (strcmp(schema->name, OMC_LOGICAL_DECIMAL) == 0 ||
                            strcmp(schema->name, KAFKA_DECIMAL) == 0);
}

/** Precision of a Decimal schema; -OMC_EFORMAT when its parameter is no number. */
static int read_precision(const omc_field *field, int64_t *ret, rc_error *err)
{
    const omc_slice *text = omc_keyvalue_get(&field->schema->parameters, PRECISION);
    omc_value value = omc_null();

    *ret = PRECISION_DEFAULT;
    if (!text)
        return 0;
    value.kind = OMC_NUMBER_TEXT;
    value.text = *text;
    if (rc_value_int64(&value, ret) < 0)
        return rc_fail(err, OMC_EFORMAT,
                       "SetMaximumPrecision: field '%s': schema parameter " PRECISION
                       " = '" RC_SLICE_FMT "' is no whole number",
                       field->name, RC_SLICE_ARG(*text));
    return 0;
}

static const omc_schema *lower_precision(const omc_schema *old, int64_t max, omc_arena *arena)
{
    omc_schema *schema = omc_alloc(arena, sizeof *schema);
    omc_pair *pairs = omc_alloc(arena, (old->parameters.count + 1) * sizeof *pairs);
    const char *text = rc_arena_format(arena, "%lld", (long long)max);
    size_t count = 0;

    for (size_t i = 0; i < old->parameters.count; i++)
        if (!omc_slice_is(old->parameters.pairs[i].key, PRECISION))
            pairs[count++] = old->parameters.pairs[i];
    pairs[count++] = (omc_pair){omc_slice_str(PRECISION), omc_slice_str(text)};
    *schema = *old;
    schema->parameters = (omc_keyvalue){count, pairs};
    return schema;
}

static int build(void *arg, const omc_schema *input, omc_arena *arena, const omc_schema **ret,
                 rc_error *err)
{
    const state *s = arg;
    omc_field *fields;
    omc_schema *schema = rc_schema_rebuild(input, 0, arena, &fields);
    bool changed = false;

    for (size_t i = 0; i < input->field_count; i++) {
        int64_t precision = 0;
        int r;

        if (!is_decimal(fields[i].schema))
            continue;
        r = read_precision(&fields[i], &precision, err);
        if (r < 0)
            return r;
        if (precision <= s->max)
            continue;
        fields[i].schema = lower_precision(fields[i].schema, s->max, arena);
        changed = true;
    }
    *ret = changed ? schema : input;
    return 0;
}

static int precision_start(void *at, const omc_config *config, omc_error *err)
{
    state *s = at;

    (void)err;
    s->max = ((const options *)config->options)->max;
    return 0;
}

static int precision_apply(void *at, rc_side side, omc_record *record, omc_arena *arena,
                           omc_error *err)
{
    rc_half half = rc_half_of(record, side);
    const omc_struct *old;
    const omc_schema *schema;
    omc_struct *object;
    state *s = at;
    int r;

    if (half.value->kind == OMC_NULL)
        return 0;
    if (half.value->kind != OMC_STRUCT)
        return rc_half_unfit(&half, "SetMaximumPrecision", "a struct (data with a schema)", err);
    old = half.value->u.object;
    r = rc_schema_cache_get(&s->cache, old->schema, build, s, arena, &schema, err);
    if (r < 0 || schema == old->schema)
        return r;
    object = omc_alloc(arena, sizeof *object);
    object->schema = schema;
    object->values = old->values;
    half.value->u.object = object;
    *half.schema = schema;
    return 0;
}

static void precision_stop(void *at)
{
    state *s = at;

    rc_schema_cache_release(&s->cache);
}

RC_TRANSFORM_PAIR(precision, state);

const omc_plugin rc_set_maximum_precision_key = {
    RC_BUILTIN(OMC_TRANSFORM),
    .name = "set-maximum-precision-key",
    .classes = RC_TRANSFORMS "SetMaximumPrecision$Key",
    .doc = "Lowers the precision that Decimal fields of the key announce.",
    .options = table,
    .option_count = RC_COUNT(table),
    .options_size = sizeof(options),
    .ops = &precision_key_ops,
};

const omc_plugin rc_set_maximum_precision_value = {
    RC_BUILTIN(OMC_TRANSFORM),
    .name = "set-maximum-precision-value",
    .classes = RC_TRANSFORMS "SetMaximumPrecision$Value",
    .doc = "Lowers the precision that Decimal fields of the value announce.",
    .options = table,
    .option_count = RC_COUNT(table),
    .options_size = sizeof(options),
    .ops = &precision_value_ops,
};
