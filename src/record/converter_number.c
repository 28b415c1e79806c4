/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Short, Integer, Long, Float and DoubleConverter: one number as big-endian bytes of fixed width,
 * as Java's runtime stores them. All are one pair of functions over a row that says width and
 * kind; each plugin's functions only name their row.
 */
#include "record/converters.h"
#include "record/value.h"

#include "base/encode.h"

#define PACKAGE "org.apache.rocketmq.connect.runtime.converter.record."

struct width {
    const char *name;
    uint8_t kind;
    uint8_t bytes;
    int64_t most; /* Of integers; the least is -most - 1. */
};

static const struct width width_int16 = {"ShortConverter", OMC_INT16, 2, INT16_MAX};
static const struct width width_int32 = {"IntegerConverter", OMC_INT32, 4, INT32_MAX};
static const struct width width_int64 = {"LongConverter", OMC_INT64, 8, INT64_MAX};
static const struct width width_float32 = {"FloatConverter", OMC_FLOAT32, 4, 0};
static const struct width width_float64 = {"DoubleConverter", OMC_FLOAT64, 8, 0};

/** The bits of a value in the low end of *ret; -OMC_EFORMAT when it is no such number. */
static int to_bits(const struct width *width, const omc_value *value, uint64_t *ret)
{
    int64_t integer;
    double number;
    float single;
    uint32_t bits;
    int r;

    if (width->most) {
        r = rc_value_int64(value, &integer);
        *ret = r < 0 ? 0 : (uint64_t)integer;
        return r < 0 || integer > width->most || integer < -width->most - 1 ? -OMC_EFORMAT : 0;
    }
    r = rc_value_double(value, &number);
    if (r < 0)
        return r;
    if (width->bytes == 8) {
        memcpy(ret, &number, sizeof number);
        return 0;
    }
    single = (float)number;
    memcpy(&bits, &single, sizeof bits);
    *ret = bits;
    return 0;
}

static omc_value from_bits(const struct width *width, uint64_t bits)
{
    float single;
    double number;
    uint32_t low = (uint32_t)bits;

    switch (width->kind) {
    case OMC_INT16:
        return omc_integer(OMC_INT16, (int16_t)bits);
    case OMC_INT32:
        return omc_integer(OMC_INT32, (int32_t)low);
    case OMC_INT64:
        return omc_integer(OMC_INT64, (int64_t)bits);
    case OMC_FLOAT32:
        memcpy(&single, &low, sizeof single);
        return omc_floating(OMC_FLOAT32, (double)single);
    default:
        memcpy(&number, &bits, sizeof number);
        return omc_floating(OMC_FLOAT64, number);
    }
}

static int write_number(const struct width *width, const omc_value *value, omc_arena *arena,
                        omc_slice *ret, omc_error *err)
{
    char *bytes;
    uint64_t bits;

    if (value->kind == OMC_NULL) {
        *ret = omc_slice_of(NULL, 0);
        return 0;
    }
    if (to_bits(width, value, &bits) < 0)
        return rc_fail(err, OMC_EFORMAT,
                       "%s: expected a number of type %s, found '" RC_SLICE_FMT "'", width->name,
                       rc_kind_name(width->kind), RC_SLICE_ARG(rc_value_text(value, arena)));
    bytes = omc_alloc(arena, 8);
    rc_put_be64(bytes, bits << (64 - 8 * width->bytes));
    *ret = omc_slice_of(bytes, width->bytes);
    return 0;
}

static int read_number(const struct width *width, omc_slice bytes, const omc_schema **ret_schema,
                       omc_value *ret_value, omc_error *err)
{
    uint64_t bits = 0;

    *ret_schema = rc_schema_plain(width->kind, true);
    *ret_value = omc_null();
    if (!bytes.base)
        return 0;
    if (bytes.len != width->bytes)
        return rc_fail(err, OMC_EFORMAT, "%s: expected %d bytes, found %zu", width->name,
                       width->bytes, bytes.len);
    for (size_t i = 0; i < bytes.len; i++)
        bits = bits << 8 | (uint8_t)bytes.base[i];
    *ret_value = from_bits(width, bits);
    return 0;
}

static const omc_option no_options[1];

#define NUMBER_CONVERTER(tag, class_name)                                                      \
    static int write_##tag(void *state, const char *topic, const omc_keyvalue *extensions,     \
                           const omc_schema *schema, const omc_value *value, omc_arena *arena, \
                           omc_slice *ret, omc_error *err)                                     \
    {                                                                                          \
        (void)state, (void)topic, (void)extensions, (void)schema;                              \
        return write_number(&width_##tag, value, arena, ret, err);                             \
    }                                                                                          \
    static int read_##tag(void *state, const char *topic, const omc_keyvalue *extensions,      \
                          omc_slice bytes, omc_arena *arena, const omc_schema **ret_schema,    \
                          omc_value *ret_value, omc_error *err)                                \
    {                                                                                          \
        (void)state, (void)topic, (void)extensions, (void)arena;                               \
        return read_number(&width_##tag, bytes, ret_schema, ret_value, err);                   \
    }                                                                                          \
    static const omc_converter_ops tag##_ops = {.size = sizeof(omc_converter_ops),             \
                                                .from_connect = write_##tag,                   \
                                                .to_connect = read_##tag};                     \
    const omc_plugin rc_##tag##_converter = {                                                  \
        .abi = OMC_ABI_CURRENT,                                                                \
        .size = sizeof(omc_plugin),                                                            \
        .kind = OMC_CONVERTER,                                                                 \
        .name = #tag,                                                                          \
        .classes = PACKAGE class_name,                                                         \
        .version = RC_VERSION,                                                                 \
        .doc = "One " #tag " number as big-endian bytes.",                                     \
        .options = no_options,                                                                 \
        .option_size = sizeof(omc_option),                                                     \
        .ops = &tag##_ops,                                                                     \
    }

NUMBER_CONVERTER(int16, "ShortConverter");
NUMBER_CONVERTER(int32, "IntegerConverter");
NUMBER_CONVERTER(int64, "LongConverter");
NUMBER_CONVERTER(float32, "FloatConverter");
NUMBER_CONVERTER(float64, "DoubleConverter");
