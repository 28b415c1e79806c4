/* SPDX-License-Identifier: Apache-2.0 */
/* String, bytes and number converters, their names, and what a wrong configuration says. */
#include "record_unit.h"

#include "record/value.h"

#define JAVA "org.apache.rocketmq.connect.runtime.converter.record."

static void names(void **state)
{
    static const struct {
        const char *name, *plugin;
    } cases[] = {
        {"string", "string"},
        {"StringConverter", "string"},
        {JAVA "StringConverter", "string"},
        {"bytes", "bytes"},
        {JAVA "ByteArrayConverter", "bytes"},
        {"json", "json"},
        {"JsonConverter", "json"},
        {JAVA "json.JsonConverter", "json"},
        {JAVA "JsonConverter", "json"},
        {JAVA "ShortConverter", "int16"},
        {JAVA "IntegerConverter", "int32"},
        {JAVA "LongConverter", "int64"},
        {JAVA "FloatConverter", "float32"},
        {JAVA "DoubleConverter", "float64"},
    };

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        const omc_plugin *plugin = find_converter(NULL, OMC_CONVERTER, cases[i].name);
        RC_AUTO(rc_converter) converter = NULL;

        if (!plugin || strcmp(plugin->name, cases[i].plugin) != 0)
            fail_msg("case %zu %s", i, cases[i].name);
        assert_non_null(plugin->options);
        converter = make_converter(cases[i].name, true, NULL, arena_of(state));
        assert_string_equal(rc_converter_class(converter), cases[i].name);
    }
}

static void wrong_configurations(void **state)
{
    static const struct {
        const char *class_name, *key, *value;
        const char *parts[3]; /* Each must be in the message. */
    } cases[] = {
        {"no.such.Conv", "x", "y", {"value.converter", "no.such.Conv", "json"}},
        {"json",
         "value.converter.schemas.enabl",
         "true",
         {"value.converter.*", "'schemas.enabl'", "did you mean 'schemas.enable'?"}},
        {"json",
         "value.converter.schemas.enable",
         "perhaps",
         {"value.converter.*", "'schemas.enable' = 'perhaps'", "true"}},
        {"json",
         "value.converter.decimal.format",
         "HEX",
         {"value.converter.*", "'decimal.format' = 'HEX'", "NUMERIC"}},
        {"json",
         "value.converter.schemas.cache.size",
         "-1",
         {"value.converter.*", "'schemas.cache.size' = '-1'", "0"}},
        {"int32",
         "value.converter.schemas.enable",
         "true",
         {"value.converter.*", "'int32'", "unknown key 'schemas.enable'"}},
        {"string",
         "value.converter.serializer.encoding",
         "UTF-16",
         {"serializer.encoding", "UTF-16", "UTF-8"}},
    };
    rc_plugin_finder finder = {find_converter, NULL};

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        rc_converter *converter = NULL;
        rc_error err = {0};
        rc_kv kv;

        rc_kv_init(&kv, arena_of(state));
        rc_kv_put_str(&kv, cases[i].key, cases[i].value);
        rc_kv_put_str(&kv, "key.converter.unknown", "not ours");
        assert_int_equal(rc_converter_new(&finder, cases[i].class_name, false, "value.converter.",
                                          rc_kv_done(&kv), &converter, &err),
                         -OMC_EINVAL);
        assert_null(converter);
        for (size_t j = 0; j < 3; j++)
            if (!strstr(err.msg, cases[i].parts[j]))
                fail_msg("case %zu: '%s' is not in '%s'", i, cases[i].parts[j], err.msg);
    }
}

static rc_slice write_one(rc_converter *converter, omc_value value, omc_arena *arena)
{
    rc_slice out = text("untouched");
    rc_error err = {0};

    if (rc_converter_write(converter, "t", NULL, NULL, &value, arena, &out, &err) < 0)
        fail_msg("%s", err.msg);
    return out;
}

/** The hot path: the slice itself comes out, also when it is empty or no UTF-8. */
static void strings_pass_through(void **state)
{
    static const char line[] = "a line \xFF\xFE of bytes";
    omc_arena *arena = arena_of(state);
    RC_AUTO(rc_converter) converter = make_converter("string", false, NULL, arena);
    char *before = arena->cur;
    const omc_schema *schema;
    omc_value value;
    rc_slice out;

    out = write_one(converter, omc_string(text(line)), arena);
    assert_ptr_equal(out.base, line);
    assert_int_equal(out.len, sizeof line - 1);
    assert_int_equal(rc_converter_read(converter, "t", NULL, out, arena, &schema, &value, NULL), 0);
    assert_int_equal(value.kind, OMC_STRING);
    assert_ptr_equal(value.u.bytes.base, line);
    assert_int_equal(schema->type, OMC_STRING);
    assert_true(schema->optional);
    assert_ptr_equal(arena->cur, before);

    out = write_one(converter, omc_string(omc_slice_of(NULL, 0)), arena);
    assert_non_null(out.base); /* Empty, not a tombstone. */
    assert_int_equal(out.len, 0);
}

static void strings_of_other_values(void **state)
{
    const struct {
        omc_value value;
        const char *out;
    } cases[] = {
        {omc_integer(OMC_INT32, -5), "-5"},
        {omc_floating(OMC_FLOAT64, 1e10), "1.0E10"},
        {omc_boolean(true), "true"},
        {{.kind = OMC_NUMBER_TEXT, .text = text("1.10")}, "1.10"},
        {omc_bytes(text("raw")), "raw"},
    };
    omc_arena *arena = arena_of(state);
    RC_AUTO(rc_converter) converter = make_converter("string", false, NULL, arena);

    for (size_t i = 0; i < RC_COUNT(cases); i++)
        assert_true(omc_slice_is(write_one(converter, cases[i].value, arena), cases[i].out));
}

static void nulls_are_tombstones(void **state)
{
    static const char *const names_of_all[] = {"string", "bytes", "json",    "int16",
                                               "int32",  "int64", "float32", "float64"};
    omc_arena *arena = arena_of(state);

    for (size_t i = 0; i < RC_COUNT(names_of_all); i++) {
        RC_AUTO(rc_converter) converter = make_converter(names_of_all[i], false, NULL, arena);
        const omc_schema *schema;
        omc_value value = omc_boolean(true);
        rc_slice out = write_one(converter, omc_null(), arena);

        assert_null(out.base);
        assert_int_equal(rc_converter_read(converter, "t", NULL, out, arena, &schema, &value, NULL),
                         0);
        assert_int_equal(value.kind, OMC_NULL);
    }
}

static void bytes_pass_through(void **state)
{
    static const char body[] = {0, 1, 2, (char)0xFF};
    omc_arena *arena = arena_of(state);
    RC_AUTO(rc_converter) converter = make_converter("bytes", false, NULL, arena);
    rc_slice out = write_one(converter, omc_bytes(omc_slice_of(body, 4)), arena);
    omc_value number = omc_integer(OMC_INT32, 1), value;
    const omc_schema *schema;
    rc_error err = {0};

    assert_ptr_equal(out.base, body);
    assert_int_equal(rc_converter_read(converter, "t", NULL, out, arena, &schema, &value, NULL), 0);
    assert_int_equal(value.kind, OMC_BYTES);
    assert_int_equal(schema->type, OMC_BYTES);
    assert_int_equal(rc_converter_write(converter, "t", NULL, NULL, &number, arena, &out, &err),
                     -OMC_EFORMAT);
    assert_string_equal(err.msg,
                        "ByteArrayConverter writes bytes and strings, this value is of type "
                        "int32; use JsonConverter or StringConverter");
}

/** Bytes as java.nio.ByteBuffer puts them. */
static void numbers_are_big_endian(void **state)
{
    const struct {
        const char *name;
        omc_value value;
        const char *hex;
    } cases[] = {
        {"int16", omc_integer(OMC_INT16, INT16_MIN), "8000"},
        {"int16", omc_integer(OMC_INT16, 258), "0102"},
        {"int32", omc_integer(OMC_INT32, 305419896), "12345678"},
        {"int64", omc_integer(OMC_INT64, -2), "fffffffffffffffe"},
        {"float32", omc_floating(OMC_FLOAT32, (double)12.34f), "414570a4"},
        {"float64", omc_floating(OMC_FLOAT64, -0.1), "bfb999999999999a"},
    };
    omc_arena *arena = arena_of(state);

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        RC_AUTO(rc_converter) converter = make_converter(cases[i].name, false, NULL, arena);
        rc_slice out = write_one(converter, cases[i].value, arena);
        const omc_schema *schema;
        omc_value back;

        assert_string_equal(hex_of(out, arena), cases[i].hex);
        assert_int_equal(rc_converter_read(converter, "t", NULL, out, arena, &schema, &back, NULL),
                         0);
        assert_true(rc_value_equal(&cases[i].value, &back));
        assert_int_equal(schema->type, cases[i].value.kind);
    }
}

static void numbers_of_other_kinds(void **state)
{
    const struct {
        const char *name;
        omc_value value;
        const char *hex, *message;
    } cases[] = {
        {"int32", {.kind = OMC_NUMBER_TEXT, .text = text("7")}, "00000007", NULL},
        {"int32", omc_floating(OMC_FLOAT64, 7), "00000007", NULL},
        {"float64", omc_integer(OMC_INT32, 1), "3ff0000000000000", NULL},
        {"int16", omc_integer(OMC_INT32, 32768), NULL,
         "ShortConverter: expected a number of type int16, found '32768'"},
        {"int64",
         {.kind = OMC_NUMBER_TEXT, .text = text("1.5")},
         NULL,
         "LongConverter: expected a number of type int64, found '1.5'"},
        {"int32", omc_string(text("x")), NULL,
         "IntegerConverter: expected a number of type int32, found 'x'"},
    };
    omc_arena *arena = arena_of(state);

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        RC_AUTO(rc_converter) converter = make_converter(cases[i].name, false, NULL, arena);
        rc_slice out = {0};
        rc_error err = {0};
        int r = rc_converter_write(converter, "t", NULL, NULL, &cases[i].value, arena, &out, &err);

        assert_int_equal(r, cases[i].hex ? 0 : -OMC_EFORMAT);
        if (r == 0)
            assert_string_equal(hex_of(out, arena), cases[i].hex);
        else
            assert_string_equal(err.msg, cases[i].message);
    }
}

static void wrong_lengths(void **state)
{
    static const struct {
        const char *name, *hex, *message;
    } cases[] = {
        {"int16", "00", "ShortConverter: expected 2 bytes, found 1"},
        {"int32", "0102030405", "IntegerConverter: expected 4 bytes, found 5"},
        {"int64", "", "LongConverter: expected 8 bytes, found 0"},
        {"float32", "0102030405060708", "FloatConverter: expected 4 bytes, found 8"},
        {"float64", "01020304", "DoubleConverter: expected 8 bytes, found 4"},
    };
    omc_arena *arena = arena_of(state);

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        RC_AUTO(rc_converter) converter = make_converter(cases[i].name, false, NULL, arena);
        const omc_schema *schema;
        omc_value value;
        rc_error err = {0};

        assert_int_equal(rc_converter_read(converter, "t", NULL, unhex(cases[i].hex, arena), arena,
                                           &schema, &value, &err),
                         -OMC_EFORMAT);
        assert_string_equal(err.msg, cases[i].message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ARENA_TEST(names),
        ARENA_TEST(wrong_configurations),
        ARENA_TEST(strings_pass_through),
        ARENA_TEST(strings_of_other_values),
        ARENA_TEST(nulls_are_tombstones),
        ARENA_TEST(bytes_pass_through),
        ARENA_TEST(numbers_are_big_endian),
        ARENA_TEST(numbers_of_other_kinds),
        ARENA_TEST(wrong_lengths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
