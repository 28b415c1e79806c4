/* SPDX-License-Identifier: Apache-2.0 */
/* Values, schemas and decimals; expected texts and bytes are the JDK's. */
#include "record_unit.h"

#include "record/json.h"
#include "record/value.h"

#include <float.h>
#include <math.h>

static omc_value number_text(const char *of)
{
    return (omc_value){.kind = OMC_NUMBER_TEXT, .text = text(of)};
}

static omc_value json(const char *in, omc_arena *arena)
{
    omc_value value;
    rc_error err = {0};

    if (rc_json_read(text(in), 0, arena, &value, &err) < 0)
        fail_msg("%s: %s", in, err.msg);
    return value;
}

/* ---- numbers ------------------------------------------------------------------------------- */

static void integers(void **state)
{
    const struct {
        omc_value value;
        int r;
        int64_t number;
    } cases[] = {
        {number_text("0"), 0, 0},
        {number_text("-0"), 0, 0},
        {number_text("12"), 0, 12},
        {number_text("12.00"), 0, 12},
        {number_text("1.2e1"), 0, 12},
        {number_text("1200e-2"), 0, 12},
        {number_text("0e999999999999"), 0, 0},
        {number_text("9223372036854775807"), 0, INT64_MAX},
        {number_text("-9223372036854775808"), 0, INT64_MIN},
        {number_text("9223372036854775808"), -OMC_EFORMAT, -1},
        {number_text("18446744073709551616"), -OMC_EFORMAT, -1},
        {number_text("1e19"), -OMC_EFORMAT, -1},
        {number_text("1e999999999999"), -OMC_EFORMAT, -1},
        {number_text("1.5"), -OMC_EFORMAT, -1},
        {number_text("12e-1"), -OMC_EFORMAT, -1},
        {number_text("1e-999999999999"), -OMC_EFORMAT, -1},
        {number_text(""), -OMC_EFORMAT, -1},
        {number_text("+1"), -OMC_EFORMAT, -1},
        {number_text("0x1"), -OMC_EFORMAT, -1},
        {omc_integer(OMC_INT8, -3), 0, -3},
        {omc_integer(OMC_DATETIME, 1795365837250), 0, 1795365837250},
        {omc_floating(OMC_FLOAT64, -7), 0, -7},
        {omc_floating(OMC_FLOAT64, 7.5), -OMC_EFORMAT, -1},
        {omc_floating(OMC_FLOAT64, 0x1p63), -OMC_EFORMAT, -1},
        {omc_floating(OMC_FLOAT64, -0x1p63), 0, INT64_MIN},
        {omc_floating(OMC_FLOAT64, (double)NAN), -OMC_EFORMAT, -1},
        {omc_string(text("1")), -OMC_EFORMAT, -1},
        {omc_null(), -OMC_EFORMAT, -1},
    };

    (void)state;
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        int64_t number = -1;
        int r = rc_value_int64(&cases[i].value, &number);

        if (r != cases[i].r || number != cases[i].number)
            fail_msg("case %zu: %d %lld", i, r, (long long)number);
    }
}

static void doubles(void **state)
{
    const omc_value long_text = number_text(
        "1.000000000000000000000000000000000000000000000000000000000000000000000000000000001");
    double number;
    omc_value value = number_text("1e400");

    (void)state;
    assert_int_equal(rc_value_double(&value, &number), 0);
    assert_true(isinf(number));
    assert_int_equal(rc_value_double(&long_text, &number), 0);
    assert_true(number >= 1 && number <= 1);
    value = number_text("1,5");
    assert_int_equal(rc_value_double(&value, &number), -OMC_EFORMAT);
    value = omc_boolean(true);
    assert_int_equal(rc_value_double(&value, &number), -OMC_EFORMAT);
}

/* ---- text ---------------------------------------------------------------------------------- */

/** Double.toString and Float.toString of OpenJDK 17. */
static void texts_of_numbers(void **state)
{
    static const struct {
        double number;
        bool single;
        const char *out;
    } cases[] = {
        {0, false, "0.0"},
        {-0.0, false, "-0.0"},
        {1, false, "1.0"},
        {1.5, false, "1.5"},
        {100, false, "100.0"},
        {1e6, false, "1000000.0"},
        {9999999, false, "9999999.0"},
        {1e7, false, "1.0E7"},
        {12345678.9, false, "1.23456789E7"},
        {0.001, false, "0.001"},
        {0.00099, false, "9.9E-4"},
        {1e-5, false, "1.0E-5"},
        {1.1, false, "1.1"},
        {0.1, false, "0.1"},
        {1e10, false, "1.0E10"},
        {DBL_MAX, false, "1.7976931348623157E308"},
        {5e-324, false, "4.9E-324"},
        {4.35, false, "4.35"},
        {123456.789, false, "123456.789"},
        {-2.5, false, "-2.5"},
        {1e22, false, "1.0E22"},
        {3.141592653589793, false, "3.141592653589793"},
        {(double)1.1f, true, "1.1"},
        {(double)12.34f, true, "12.34"},
        {(double)FLT_MAX, true, "3.4028235E38"},
        {(double)1.4e-45f, true, "1.4E-45"},
        {(double)1e10f, true, "1.0E10"},
        {(double)16777216.f, true, "1.6777216E7"},
        {(double)33554432.f, true, "3.3554432E7"},
        {(double)0.001f, true, "0.001"},
        {(double)NAN, false, "NaN"},
        {(double)-INFINITY, false, "-Infinity"},
    };

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        omc_value value =
            omc_floating(cases[i].single ? OMC_FLOAT32 : OMC_FLOAT64, cases[i].number);
        rc_slice out = rc_value_text(&value, arena_of(state));

        if (!omc_slice_is(out, cases[i].out))
            fail_msg("case %zu: got " RC_SLICE_FMT ", Java says %s", i, RC_SLICE_ARG(out),
                     cases[i].out);
    }
}

static const omc_schema optional_string = {.type = OMC_STRING, .optional = true};
static const omc_schema optional_int = {.type = OMC_INT32, .optional = true};
static const omc_field three_fields[] = {{"a", &optional_int},
                                         {"b", &optional_string},
                                         {"c", &optional_string}};
static const omc_schema struct_schema = {.type = OMC_STRUCT,
                                         .field_count = 3,
                                         .fields = three_fields};

static void texts(void **state)
{
    omc_arena *arena = arena_of(state);
    omc_value values[] = {omc_integer(OMC_INT32, 1), omc_null(), omc_string(text("x"))};
    omc_struct object = {&struct_schema, values};
    const struct {
        omc_value value;
        const char *out;
    } cases[] = {
        {omc_null(), "null"},
        {omc_boolean(true), "true"},
        {omc_integer(OMC_INT64, INT64_MIN), "-9223372036854775808"},
        {omc_string(text("as it is")), "as it is"},
        {omc_bytes(text("raw")), "raw"},
        {number_text("1.10"), "1.10"},
        {json("[1,\"b\",null,true,[]]", arena), "[1, b, null, true, []]"},
        {json("{\"k\":1.50,\"l\":{\"m\":[2]}}", arena), "{k=1.50, l={m=[2]}}"},
        {json("{}", arena), "{}"},
        {{.kind = OMC_STRUCT, .u.object = &object}, "Struct{a=1,c=x}"},
    };

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        rc_slice out = rc_value_text(&cases[i].value, arena);

        if (!omc_slice_is(out, cases[i].out))
            fail_msg("case %zu: " RC_SLICE_FMT, i, RC_SLICE_ARG(out));
    }
}

/* ---- copies and equality ------------------------------------------------------------------- */

static void equality(void **state)
{
    omc_arena *arena = arena_of(state);
    const struct {
        omc_value a, b;
        bool equal;
    } cases[] = {
        {omc_null(), omc_null(), true},
        {omc_integer(OMC_INT32, 5), omc_integer(OMC_INT32, 5), true},
        {omc_integer(OMC_INT32, 5), omc_integer(OMC_INT64, 5), false},
        {omc_floating(OMC_FLOAT64, (double)NAN), omc_floating(OMC_FLOAT64, (double)NAN), true},
        {omc_floating(OMC_FLOAT64, 0.0), omc_floating(OMC_FLOAT64, -0.0), false},
        {omc_string(text("a")), omc_bytes(text("a")), false},
        {omc_string(omc_slice_of(NULL, 0)), omc_string(text("")), true},
        {number_text("1.10"), number_text("1.1"), false},
        {json("{\"a\":1,\"b\":2}", arena), json("{\"b\":2,\"a\":1}", arena), true},
        {json("{\"a\":1}", arena), json("{\"a\":1,\"b\":2}", arena), false},
        {json("{\"a\":1}", arena), json("{\"b\":1}", arena), false},
        {json("[1,2]", arena), json("[2,1]", arena), false},
        {json("[[1],{}]", arena), json("[[1],{}]", arena), true},
    };

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        if (rc_value_equal(&cases[i].a, &cases[i].b) != cases[i].equal ||
            rc_value_equal(&cases[i].b, &cases[i].a) != cases[i].equal)
            fail_msg("case %zu", i);
    }
    assert_true(rc_map_equal(NULL, NULL));
    assert_false(rc_map_equal(NULL, cases[8].a.u.map));
}

/** A copy stays when the arena it was copied from goes (ASan watches). */
static void copies_are_deep(void **state)
{
    static const char in[] = "{\"k\":[1.10,\"text\",null,{\"x\":true}],\"\":\"\"}";
    omc_arena *arena = arena_of(state);
    omc_value expected = json(in, arena), copy, value;
    rc_arena first;

    rc_arena_init(&first, 64);
    value = json(omc_copy(&first.pub, in, sizeof in - 1), &first.pub);
    copy = rc_value_copy(&value, arena);
    rc_arena_release(&first);
    assert_true(rc_value_equal(&expected, &copy));
    assert_null(rc_map_copy(NULL, arena));
    assert_null(rc_schema_copy(NULL, arena));
}

static void schemas(void **state)
{
    static const omc_pair parameter[] = {{{"p", 1}, {"1", 1}}, {{"q", 1}, {"2", 1}}};
    static const omc_pair turned[] = {{{"q", 1}, {"2", 1}}, {{"p", 1}, {"1", 1}}};
    const omc_schema all = {.type = OMC_MAP,
                            .optional = true,
                            .has_version = true,
                            .version = 3,
                            .name = "n",
                            .doc = "d",
                            .parameters = {2, parameter},
                            .key_schema = &optional_string,
                            .value_schema = &struct_schema};
    omc_schema other = all;
    const omc_schema *copy = rc_schema_copy(&all, arena_of(state));

    assert_true(rc_schema_equal(&all, copy));
    assert_ptr_not_equal(copy->value_schema, all.value_schema);
    other.parameters.pairs = turned;
    assert_true(rc_schema_equal(&all, &other));
    other.doc = NULL;
    assert_false(rc_schema_equal(&all, &other));
    other = all;
    other.optional = false;
    assert_false(rc_schema_equal(&all, &other));
    other = all;
    other.version = 4;
    assert_false(rc_schema_equal(&all, &other));
    other = all;
    other.key_schema = &optional_int;
    assert_false(rc_schema_equal(&all, &other));
    other = all;
    other.has_default = true;
    assert_false(rc_schema_equal(&all, &other));
    assert_false(rc_schema_equal(&all, NULL));

    assert_int_equal(rc_schema_field(&struct_schema, text("c")), 2);
    assert_int_equal(rc_schema_field(&struct_schema, text("nope")), -1);
    assert_string_equal(rc_kind_name(OMC_FLOAT32), "float");
    assert_string_equal(rc_kind_name(OMC_STRUCT), "struct");
    assert_null(rc_kind_name(OMC_DATETIME));
    assert_null(rc_kind_name(99));
    assert_int_equal(rc_schema_plain(OMC_INT8, false)->type, OMC_INT8);
    assert_false(rc_schema_plain(OMC_INT8, false)->optional);
    assert_true(rc_schema_plain(OMC_STRUCT, true)->optional);
}

static void inferred(void **state)
{
    omc_arena *arena = arena_of(state);
    static const struct {
        const char *in;
        unsigned type, key, value;
    } cases[] = {
        {"1", OMC_INT32, 0, 0},
        {"3000000000", OMC_INT64, 0, 0},
        {"1.0", OMC_FLOAT64, 0, 0},
        {"99999999999999999999", OMC_FLOAT64, 0, 0},
        {"\"x\"", OMC_STRING, 0, 0},
        {"true", OMC_BOOLEAN, 0, 0},
        {"[null,1,3000000000]", OMC_ARRAY, 0, OMC_INT64},
        {"[]", OMC_ARRAY, 0, OMC_STRING},
        {"{\"a\":[true]}", OMC_MAP, OMC_STRING, OMC_ARRAY},
        {"{}", OMC_MAP, OMC_STRING, OMC_STRING},
    };
    omc_value null = omc_null();

    assert_null(rc_schema_infer(&null, arena));
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        omc_value value = json(cases[i].in, arena);
        const omc_schema *schema = rc_schema_infer(&value, arena);

        if (schema->type != cases[i].type ||
            (schema->key_schema ? schema->key_schema->type : 0) != cases[i].key ||
            (schema->value_schema ? schema->value_schema->type : 0) != cases[i].value)
            fail_msg("case %zu %s: type %d", i, cases[i].in, schema->type);
    }
}

static void checks(void **state)
{
    omc_arena *arena = arena_of(state);
    static const omc_schema required_int = {.type = OMC_INT8};
    omc_schema list = {.type = OMC_ARRAY, .value_schema = &required_int};
    omc_field field = {"list", &list};
    omc_schema outer = {.type = OMC_STRUCT, .field_count = 1, .fields = &field};
    omc_value items = json("[1,2,300]", arena);
    omc_struct object = {&outer, &items};
    omc_value value = {.kind = OMC_STRUCT, .u.object = &object};
    rc_error err = {0};

    assert_int_equal(rc_value_check(&outer, &value, &err), -OMC_EFORMAT);
    assert_string_equal(err.msg, "field 'list': item 2: number 300 does not fit in int8");
    items = json("[1,2,-128]", arena);
    assert_int_equal(rc_value_check(&outer, &value, &err), 0);
    items = omc_null();
    assert_int_equal(rc_value_check(&outer, &value, &err), -OMC_EFORMAT);
    assert_string_equal(err.msg,
                        "field 'list': null where the schema requires a value of type array");
    list.optional = true;
    assert_int_equal(rc_value_check(&outer, &value, &err), 0);
    value = omc_string(text("x"));
    assert_int_equal(rc_value_check(&required_int, &value, &err), -OMC_EFORMAT);
    assert_string_equal(err.msg, "value of type string where the schema says int8");
    value = omc_integer(OMC_INT32, 1);
    assert_int_equal(rc_value_check(&required_int, &value, &err), -OMC_EFORMAT);
}

/* ---- decimals ------------------------------------------------------------------------------ */

/** new BigDecimal(in).setScale(scale): unscaledValue().toByteArray() and toPlainString(). */
static const struct {
    const char *in;
    int scale;
    const char *hex, *plain;
} decimals[] = {
    {"0", 0, "00", "0"},
    {"-0", 0, "00", "0"},
    {"0", 2, "00", "0.00"},
    {"1.56", 2, "009c", "1.56"},
    {"-3.90", 2, "fe7a", "-3.90"},
    {"1.5600", 4, "3cf0", "1.5600"},
    {"1.56000", 2, "009c", "1.56"},
    {"1.23456789123456789", 17, "01b69b4bacd05f15", "1.23456789123456789"},
    {"127", 0, "7f", "127"},
    {"128", 0, "0080", "128"},
    {"-128", 0, "80", "-128"},
    {"-129", 0, "ff7f", "-129"},
    {"255.5", 1, "09fb", "255.5"},
    {"-0.05", 2, "fb", "-0.05"},
    {"12300", -2, "7b", "12300"},
    {"1e3", 0, "03e8", "1000"},
    {"-1.5e-3", 4, "f1", "-0.0015"},
    {"340282366920938463463374607431768211456", 0, "0100000000000000000000000000000000",
     "340282366920938463463374607431768211456"},
    {"-9223372036854775808", 0, "8000000000000000", "-9223372036854775808"},
    {"0.000000001", 9, "01", "0.000000001"},
    {"1000000000", 0, "3b9aca00", "1000000000"},
    {"999999999999999999999999999999", 5, "13426172c74d822b878fe7fffe7960",
     "999999999999999999999999999999.00000"},
};

static void decimals_as_java(void **state)
{
    omc_arena *arena = arena_of(state);

    for (size_t i = 0; i < RC_COUNT(decimals); i++) {
        rc_slice unscaled, plain;

        if (rc_decimal_parse(text(decimals[i].in), decimals[i].scale, arena, &unscaled) < 0)
            fail_msg("case %zu %s: refused", i, decimals[i].in);
        assert_string_equal(hex_of(unscaled, arena), decimals[i].hex);
        assert_int_equal(rc_decimal_text(unscaled, decimals[i].scale, arena, &plain), 0);
        if (!omc_slice_is(plain, decimals[i].plain))
            fail_msg("case %zu %s: " RC_SLICE_FMT, i, decimals[i].in, RC_SLICE_ARG(plain));
    }
}

static void decimals_refused(void **state)
{
    static const struct {
        const char *in;
        int scale;
    } cases[] = {
        {"1.567", 2}, {"15", -1},     {"x", 0},
        {"", 0},      {"1e", 0},      {"1e5000", 0},
        {"1", 5000},  {"1e-5000", 0}, {"1e99999999999", 0},
    };
    omc_arena *arena = arena_of(state);
    rc_slice out;

    for (size_t i = 0; i < RC_COUNT(cases); i++)
        if (rc_decimal_parse(text(cases[i].in), cases[i].scale, arena, &out) != -OMC_EFORMAT)
            fail_msg("case %zu %s", i, cases[i].in);
    assert_int_equal(rc_decimal_text(text(""), 0, arena, &out), -OMC_EFORMAT);
    assert_int_equal(rc_decimal_text(text("x"), 5000, arena, &out), -OMC_EFORMAT);
}

/** The largest number there may be, both ways, and one digit more. */
static void decimals_are_bounded(void **state)
{
    omc_arena *arena = arena_of(state);
    char digits[4097];
    rc_slice unscaled, plain;

    memset(digits, '9', sizeof digits);
    assert_int_equal(rc_decimal_parse(omc_slice_of(digits, 4096), 0, arena, &unscaled), 0);
    assert_int_equal(rc_decimal_text(unscaled, 0, arena, &plain), 0);
    assert_true(omc_slice_eq(plain, omc_slice_of(digits, 4096)));
    assert_int_equal(rc_decimal_parse(omc_slice_of(digits, 4097), 0, arena, &unscaled),
                     -OMC_EFORMAT);
    assert_int_equal(rc_decimal_text(omc_slice_of(digits, 4097), 0, arena, &plain), -OMC_EFORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ARENA_TEST(integers),         ARENA_TEST(doubles),
        ARENA_TEST(texts_of_numbers), ARENA_TEST(texts),
        ARENA_TEST(equality),         ARENA_TEST(copies_are_deep),
        ARENA_TEST(schemas),          ARENA_TEST(inferred),
        ARENA_TEST(checks),           ARENA_TEST(decimals_as_java),
        ARENA_TEST(decimals_refused), ARENA_TEST(decimals_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
