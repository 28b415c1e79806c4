/* SPDX-License-Identifier: Apache-2.0 */
/* JsonConverter against the Java runtime: its own test cases and messages it stored. */
#include "record_unit.h"

#include "record/json.h"
#include "record/value.h"

#define DECIMAL_NODE(rest) \
    "{\"type\":\"bytes\",\"name\":\"" OMC_LOGICAL_DECIMAL "\",\"version\":1" rest "}"

static const char *const plain[] = {"value.converter.schemas.enable=false", NULL};
static const char *const numeric[] = {"value.converter.decimal.format=NUMERIC", NULL};

/** Reads `in`; the result as JSON text in *shown. */
static int read_with(rc_converter *converter, const char *in, omc_arena *arena,
                     const omc_schema **schema, omc_value *value, rc_error *err)
{
    return rc_converter_read(converter, "t", NULL, text(in), arena, schema, value, err);
}

static const char *shown(const omc_value *value, omc_arena *arena)
{
    rc_buf out = RC_BUF(1 << 20);
    const char *result;

    rc_json_write(value, 0, &out);
    result = omc_copy(arena, out.data, out.len);
    rc_buf_release(&out);
    return result;
}

/* ---- reading ------------------------------------------------------------------------------- */

/** Rows of Java's JsonConverterTest: schema node, payload, kind and value that come back. */
static void reads_types(void **state)
{
    static const struct {
        const char *schema, *payload;
        unsigned kind;
        const char *json;
    } cases[] = {
        {"{\"type\":\"boolean\",\"optional\":\"true\"}", "true", OMC_BOOLEAN, "true"},
        {"{\"type\":\"boolean\",\"optional\":true}", "null", OMC_NULL, "null"},
        {"{\"type\":\"boolean\",\"default\":true}", "null", OMC_BOOLEAN, "true"},
        {"{\"type\":\"boolean\",\"optional\":false}", "false", OMC_BOOLEAN, "false"},
        {"{\"type\":\"boolean\"}", "\"False\"", OMC_BOOLEAN, "false"},
        {"{\"type\":\"int8\"}", "12", OMC_INT8, "12"},
        {"{\"type\":\"int16\"}", "-12", OMC_INT16, "-12"},
        {"{\"type\":\"int32\"}", "12", OMC_INT32, "12"},
        {"{\"type\":\"int64\"}", "12", OMC_INT64, "12"},
        {"{\"type\":\"int64\"}", "4398046511104", OMC_INT64, "4398046511104"},
        {"{\"type\":\"int64\"}", "\"77\"", OMC_INT64, "77"},
        {"{\"type\":\"int64\"}", "1.5e1", OMC_INT64, "15"},
        {"{\"type\":\"float\"}", "12.34", OMC_FLOAT32, "12.34"},
        {"{\"type\":\"double\"}", "12.340", OMC_FLOAT64, "12.340"},
        {"{\"type\":\"double\"}", "1e400", OMC_FLOAT64, "1e400"},
        {"{\"type\":\"bytes\"}", "\"dGVzdC1zdHJpbmc=\"", OMC_BYTES, "\"dGVzdC1zdHJpbmc=\""},
        {"{\"type\":\"string\"}", "\"foo-bar-baz\"", OMC_STRING, "\"foo-bar-baz\""},
        {"{\"type\":\"string\"}", "1.10", OMC_STRING, "\"1.10\""},
        {"{\"type\":\"string\"}", "{\"a\":[1,true]}", OMC_STRING, "\"{\\\"a\\\":[1,true]}\""},
        {"{\"type\":\"array\",\"items\":{\"type\":\"int32\"}}", "[1, 2, 3]", OMC_ARRAY, "[1,2,3]"},
        {"{\"type\":\"map\",\"keys\":{\"type\":\"string\"},\"values\":{\"type\":\"int32\"}}",
         "{\"key1\":12,\"key2\":15}", OMC_MAP, "{\"key1\":12,\"key2\":15}"},
        {"{\"type\":\"map\",\"keys\":{\"type\":\"int32\"},\"values\":{\"type\":\"int32\"}}",
         "[[1,12],[2,15]]", OMC_MAP, "{\"1\":12,\"2\":15}"},
        {"{\"type\":\"struct\",\"fields\":[{\"field\":\"field1\",\"type\":\"boolean\"},"
         "{\"field\":\"field2\",\"type\":\"string\"}]}",
         "{\"field2\":\"string\",\"unknown\":1,\"field1\":true}", OMC_STRUCT,
         "{\"field1\":true,\"field2\":\"string\"}"},
        {"{\"type\":\"struct\",\"fields\":[{\"field\":\"optional\",\"type\":\"string\"},"
         "{\"field\":\"required\",\"type\":\"string\"}]}",
         "{\"required\":\"required\"}", OMC_STRUCT,
         "{\"optional\":null,\"required\":\"required\"}"},
        {"{\"type\":\"int32\",\"name\":\"" OMC_LOGICAL_DATE "\",\"version\":1}", "10000", OMC_INT32,
         "10000"},
        {"{\"type\":\"int32\",\"name\":\"" OMC_LOGICAL_TIME "\",\"version\":1}", "14400000",
         OMC_INT32, "14400000"},
        {"{\"type\":\"int64\",\"name\":\"" OMC_LOGICAL_TIMESTAMP "\",\"version\":1}", "4321000000",
         OMC_INT64, "4321000000"},
        {"null", "{\"field1\":1,\"field2\":2.50}", OMC_MAP, "{\"field1\":1,\"field2\":2.50}"},
        {"null", "12.24", OMC_NUMBER_TEXT, "12.24"},
        {"null", "null", OMC_NULL, "null"},
    };
    omc_arena *arena = arena_of(state);
    RC_AUTO(rc_converter) converter = make_converter("json", false, NULL, arena);

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        const char *in = rc_arena_format(arena, "{\"schema\": %s, \"payload\": %s}",
                                         cases[i].schema, cases[i].payload);
        const omc_schema *schema;
        omc_value value;
        rc_error err = {0};

        if (read_with(converter, in, arena, &schema, &value, &err) < 0)
            fail_msg("case %zu %s: %s", i, in, err.msg);
        if (value.kind != cases[i].kind || strcmp(shown(&value, arena), cases[i].json) != 0)
            fail_msg("case %zu %s: kind %d, %s", i, in, value.kind, shown(&value, arena));
        assert_int_equal(schema == NULL, strcmp(cases[i].schema, "null") == 0);
    }
}

static void reads_what_a_schema_says(void **state)
{
    omc_arena *arena = arena_of(state);
    RC_AUTO(rc_converter) converter = make_converter("json", false, NULL, arena);
    const omc_schema *schema;
    omc_value value;
    rc_error err = {0};

    assert_int_equal(
        read_with(converter,
                  "{\"schema\":{\"type\":\"struct\",\"optional\":false,\"name\":\"n\","
                  "\"version\":2,\"doc\":\"the documentation\",\"parameters\":{\"foo\":\"bar\"},"
                  "\"fields\":[{\"field\":\"a\",\"type\":\"int32\",\"default\":7},"
                  "{\"field\":\"b\",\"type\":\"string\",\"optional\":false}]},"
                  "\"payload\":{\"b\":\"x\",\"a\":null}}",
                  arena, &schema, &value, &err),
        0);
    assert_int_equal(schema->type, OMC_STRUCT);
    assert_false(schema->optional);
    assert_string_equal(schema->name, "n");
    assert_true(schema->has_version);
    assert_int_equal(schema->version, 2);
    assert_string_equal(schema->doc, "the documentation");
    assert_true(omc_slice_is(*omc_keyvalue_get(&schema->parameters, "foo"), "bar"));
    assert_int_equal(schema->field_count, 2);
    assert_true(schema->fields[0].schema->optional); /* Absent: OpenMessaging's default. */
    assert_false(schema->fields[1].schema->optional);
    assert_ptr_equal(value.u.object->schema, schema);
    assert_int_equal(value.u.object->values[0].u.i64, 7);
}

/** A default that is a struct: written and read again without going round in circles. */
static void default_structs(void **state)
{
    static const char in[] =
        "{\"schema\":{\"type\":\"struct\",\"optional\":true,\"fields\":[{\"type\":\"string\","
        "\"optional\":true,\"field\":\"a\"}],\"default\":{\"a\":\"x\"}},\"payload\":null}";
    omc_arena *arena = arena_of(state);
    RC_AUTO(rc_converter) converter = make_converter("json", false, NULL, arena);
    const omc_schema *schema, *copy;
    omc_value value;
    rc_slice out;
    rc_error err = {0};

    assert_int_equal(read_with(converter, in, arena, &schema, &value, &err), 0);
    copy = rc_schema_copy(schema, arena);
    assert_true(rc_schema_equal(schema, copy));
    if (rc_converter_write(converter, "t", NULL, copy, &value, arena, &out, &err) < 0)
        fail_msg("%s", err.msg);
    assert_string_equal(out.base,
                        "{\"schema\":{\"type\":\"struct\",\"optional\":true,\"fields\":[{\"type\":"
                        "\"string\",\"optional\":true,\"field\":\"a\"}],\"default\":{\"a\":\"x\"}},"
                        "\"payload\":{\"a\":\"x\"}}");
}

/** A message of `depth` structs in each other, each with a default of its own. */
static const char *nested_defaults(int depth, const char *open, const char *close, omc_arena *arena)
{
    rc_buf out = RC_BUF(1 << 20);
    const char *result;

    rc_buf_str(&out, "{\"schema\":");
    for (int i = 0; i < depth; i++)
        rc_buf_str(&out, open);
    rc_buf_str(&out, "{\"field\":\"x\",\"type\":\"int32\",\"optional\":true,\"default\":7}");
    for (int i = 0; i < depth; i++)
        rc_buf_str(&out, close);
    rc_buf_str(&out, ",\"payload\":null}");
    result = omc_copy(arena, out.data, out.len);
    rc_buf_release(&out);
    return result;
}

/** Each level of nested defaults once doubled the work: 1,188 bytes took ten seconds. */
static void nested_default_structs_stay_small(void **state)
{
    enum { DEPTH = 40 };
    rc_arena memory;
    omc_arena *arena = arena_of(state);
    RC_AUTO(rc_converter) converter = make_converter("json", false, NULL, arena);
    const char *in =
        nested_defaults(DEPTH, "{\"type\":\"struct\",\"default\":{},\"optional\":true,\"fields\":[",
                        "],\"field\":\"f\"}", arena);
    const omc_schema *schema, *again, *copy;
    omc_value value, back;
    rc_slice out;
    rc_error err = {0};

    rc_arena_init(&memory, 4096);
    if (read_with(converter, in, &memory.pub, &schema, &value, &err) < 0)
        fail_msg("%s", err.msg);
    copy = rc_schema_copy(schema, &memory.pub);
    assert_true(rc_schema_equal(schema, copy));
    assert_ptr_equal(copy->default_value.u.object->schema, copy); /* nothing of the original */
    for (int i = 0; i < DEPTH; i++) {
        assert_int_equal(value.kind, OMC_STRUCT);
        value = value.u.object->values[0];
    }
    assert_int_equal(value.u.i64, 7);
    assert_int_equal(rc_converter_write(converter, "t", NULL, copy, &copy->default_value,
                                        &memory.pub, &out, &err),
                     0);
    assert_int_equal(read_with(converter, out.base, &memory.pub, &again, &back, &err), 0);
    assert_true(rc_schema_equal(schema, again));
    assert_true(rc_value_equal(&copy->default_value, &back));
    if (rc_arena_total(&memory) > 4 << 20)
        fail_msg("%zu bytes of input took %zu of memory", strlen(in), rc_arena_total(&memory));
    rc_arena_release(&memory);
}

/** Nulls that stand for lists of nulls that stand for lists of nulls ... */
static void defaults_cannot_explode(void **state)
{
    omc_arena *arena = arena_of(state);
    RC_AUTO(rc_converter) converter = make_converter("json", false, NULL, arena);
    const char *deep = nested_defaults(
        40, "{\"type\":\"array\",\"optional\":true,\"default\":[null,null],\"items\":", "}", arena);
    rc_buf wide = RC_BUF(8 << 20);
    const omc_schema *schema;
    omc_value value;
    rc_error err = {0};

    assert_int_equal(read_with(converter, deep, arena, &schema, &value, &err), -OMC_EFORMAT);
    if (!strstr(err.msg, "the schema's \"default\"s have more than 65536 values together"))
        fail_msg("%s", err.msg);

    /* A default of 1,000 values, 5,000 times in the payload. */
    rc_buf_str(&wide, "{\"schema\":{\"type\":\"array\",\"items\":{\"type\":\"array\",\"items\":"
                      "{\"type\":\"int8\",\"optional\":true},\"default\":[1");
    for (int i = 1; i < 1000; i++)
        rc_buf_str(&wide, ",1");
    rc_buf_str(&wide, "]}},\"payload\":[null");
    for (int i = 1; i < 5000; i++)
        rc_buf_str(&wide, ",null");
    rc_buf_str(&wide, "]}");
    assert_int_equal(rc_converter_read(converter, "t", NULL, rc_buf_slice(&wide), arena, &schema,
                                       &value, &err),
                     -OMC_EFORMAT);
    if (!strstr(err.msg, "the payload becomes too large with its schema"))
        fail_msg("%s", err.msg);
    rc_buf_release(&wide);
}

static void errors_name_place_and_cure(void **state)
{
    static const struct {
        const char *in, *message;
    } cases[] = {
        {"[1]", "read JSON: expected an object {\"schema\": ..., \"payload\": ...}, since "
                "schemas.enable is true; for plain JSON set "
                "value.converter.schemas.enable=false"},
        {"{\"a\":1}", "read JSON: the object has neither \"schema\" nor \"payload\", which "
                      "schemas.enable=true asks for; for plain JSON set "
                      "value.converter.schemas.enable=false"},
        {"{\"payload\":1", "read JSON: line 1, column 13: expected ',' or '}' after a member, got "
                           "the end of the text"},
        {"{\"schema\":{\"type\":\"int32\",\"optional\":false},\"payload\":null}",
         "read JSON: payload: null where the schema requires a value of type int32"},
        {"{\"schema\":{\"type\":\"int8\"},\"payload\":128}",
         "read JSON: payload: '128' is no number of type int8"},
        {"{\"schema\":{\"type\":\"int32\"},\"payload\":1.5}",
         "read JSON: payload: '1.5' is no number of type int32"},
        {"{\"schema\":{\"type\":\"boolean\"},\"payload\":1}",
         "read JSON: payload: the schema says boolean, the payload has a number"},
        {"{\"schema\":{\"type\":\"boolean\"},\"payload\":\"maybe\"}",
         "read JSON: payload: the schema says boolean, the payload has a string"},
        {"{\"schema\":{\"type\":\"bytes\"},\"payload\":\"***\"}",
         "read JSON: payload: the schema says bytes, the text is not base64"},
        {"{\"schema\":{\"type\":\"struct\",\"fields\":[{\"field\":\"a\",\"type\":\"array\","
         "\"items\":{\"type\":\"int32\"}}]},\"payload\":{\"a\":[1,\"x\"]}}",
         "read JSON: payload: field 'a': item 1: 'x' is no number of type int32"},
        {"{\"schema\":{\"type\":\"map\",\"keys\":{\"type\":\"int32\"},\"values\":{\"type\":"
         "\"int32\"}},\"payload\":{\"1\":2}}",
         "read JSON: payload: a map with int32 keys must be an array of [key, value] pairs, the "
         "payload has an object"},
        {"{\"schema\":{\"type\":\"text\"},\"payload\":1}",
         "read JSON: schema: \"type\" is 'text'; known are boolean, int8, int16, int32, int64, "
         "float, double, bytes, string, array, map and struct"},
        {"{\"schema\":{\"type\":\"array\"},\"payload\":[]}",
         "read JSON: schema: the schema lacks \"items\""},
        {"{\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"int8\"}]},\"payload\":{}}",
         "read JSON: schema: a field of the struct has no name (\"field\")"},
        {"{\"schema\":{\"type\":\"struct\",\"fields\":[{\"field\":\"a\",\"type\":\"int8\"},"
         "{\"field\":\"a\",\"type\":\"int8\"}]},\"payload\":{}}",
         "read JSON: schema: the struct has two fields 'a'"},
        {"{\"schema\":{\"type\":\"int8\"]},\"payload\":1}",
         "read JSON: line 1, column 27: expected the end of the text after the value, got ','"},
        {"{\"schema\":{\"type\":\"int8\",},\"payload\":1}",
         "read JSON: schema: line 1, column 16: expected a member name in quotes or '}', got '}'"},
        {"{\"schema\":7,\"payload\":1}",
         "read JSON: line 1, column 11: expected a schema (an object or null), got '7'"},
    };
    omc_arena *arena = arena_of(state);
    RC_AUTO(rc_converter) converter = make_converter("json", false, NULL, arena);

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        const omc_schema *schema;
        omc_value value;
        rc_error err = {0};
        int r = read_with(converter, cases[i].in, arena, &schema, &value, &err);

        if (r != -OMC_EFORMAT || strcmp(err.msg, cases[i].message) != 0)
            fail_msg("case %zu %s: %d '%s', expected '%s'", i, cases[i].in, r, err.msg,
                     cases[i].message);
    }
}

static void decimals_are_read(void **state)
{
    /* Unscaled bytes as java.math.BigInteger gives them. */
    static const struct {
        const char *rest, *payload, *hex;
    } cases[] = {
        {",\"parameters\":{\"scale\":\"2\"}", "\"/no=\"", "fe7a"},
        {",\"parameters\":{\"scale\":\"2\"}", "1.56", "009c"},
        {",\"parameters\":{\"scale\":\"4\"}", "1.5600", "3cf0"},
        {",\"parameters\":{\"scale\":\"4\"}", "1.56", "3cf0"},
        {",\"parameters\":{\"scale\":\"17\"}", "1.23456789123456789", "01b69b4bacd05f15"},
        {",\"parameters\":{\"scale\":\"2\"},\"default\":\"AJw=\"", "null", "009c"},
        {",\"parameters\":{\"scale\":\"2\"}", "1.567", NULL},
        {",\"parameters\":{\"scale\":\"x\"}", "1", NULL},
        {"", "1", NULL},
        {"", "\"AJw=\"", NULL},
        {",\"parameters\":{\"scale\":\"2\"}", "\"\"", NULL},
    };
    omc_arena *arena = arena_of(state);
    RC_AUTO(rc_converter) converter = make_converter("json", false, NULL, arena);

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        const char *in =
            rc_arena_format(arena, "{\"schema\":" DECIMAL_NODE("%s") ",\"payload\":%s}",
                            cases[i].rest, cases[i].payload);
        const omc_schema *schema;
        omc_value value = omc_null();
        rc_error err = {0};
        int r = read_with(converter, in, arena, &schema, &value, &err);

        if ((r < 0) != (cases[i].hex == NULL))
            fail_msg("case %zu %s: %d %s", i, in, r, err.msg);
        if (r == 0)
            assert_string_equal(hex_of(value.u.bytes, arena), cases[i].hex);
    }
}

/* ---- writing ------------------------------------------------------------------------------- */

static const omc_schema required_int = {.type = OMC_INT32};
static const omc_schema required_string = {.type = OMC_STRING};
static const omc_pair scale_2[] = {{{OMC_DECIMAL_SCALE, 5}, {"2", 1}}};
static const omc_schema decimal_2 = {.type = OMC_BYTES,
                                     .optional = true,
                                     .has_version = true,
                                     .version = 1,
                                     .name = OMC_LOGICAL_DECIMAL,
                                     .parameters = {1, scale_2}};

static omc_value array_of(const omc_value *items, size_t count, omc_array *array)
{
    *array = (omc_array){count, items};
    return (omc_value){.kind = OMC_ARRAY, .u.array = array};
}

static void writes_types(void **state)
{
    static const omc_schema ints = {.type = OMC_ARRAY, .value_schema = &required_int};
    static const omc_schema by_text = {.type = OMC_MAP,
                                       .key_schema = &required_string,
                                       .value_schema = &required_int};
    static const omc_schema by_int = {.type = OMC_MAP,
                                      .key_schema = &required_int,
                                      .value_schema = &required_int};
    static const omc_schema fallback = {.type = OMC_INT32,
                                        .optional = true,
                                        .has_default = true,
                                        .default_value = {.kind = OMC_INT32, .u.i64 = 5}};
    static const omc_schema dated = {.type = OMC_DATETIME, .optional = true};
    omc_arena *arena = arena_of(state);
    omc_value items[] = {omc_integer(OMC_INT32, 1), omc_integer(OMC_INT32, 2)};
    omc_entry named[] = {{omc_string(text("key1")), omc_integer(OMC_INT32, 12)}};
    omc_entry numbered[] = {{omc_integer(OMC_INT32, 1), omc_integer(OMC_INT32, 12)},
                            {omc_integer(OMC_INT32, 2), omc_integer(OMC_INT32, 15)}};
    omc_map by_name = {1, named}, by_number = {2, numbered};
    omc_array array;
    const struct {
        const omc_schema *schema;
        omc_value value;
        const char *out; /* NULL: refused. */
    } cases[] = {
        {rc_schema_plain(OMC_BOOLEAN, false), omc_boolean(true),
         "{\"schema\":{\"type\":\"boolean\",\"optional\":false},\"payload\":true}"},
        {rc_schema_plain(OMC_INT8, true), omc_integer(OMC_INT8, 12),
         "{\"schema\":{\"type\":\"int8\",\"optional\":true},\"payload\":12}"},
        {rc_schema_plain(OMC_INT64, false), omc_integer(OMC_INT64, 4398046511104),
         "{\"schema\":{\"type\":\"int64\",\"optional\":false},\"payload\":4398046511104}"},
        {rc_schema_plain(OMC_FLOAT32, true), omc_floating(OMC_FLOAT32, (double)12.34f),
         "{\"schema\":{\"type\":\"float\",\"optional\":true},\"payload\":12.34}"},
        {rc_schema_plain(OMC_FLOAT64, true),
         (omc_value){.kind = OMC_FLOAT64, .u.f64 = 1.1, .text = text("1.10")},
         "{\"schema\":{\"type\":\"double\",\"optional\":true},\"payload\":1.10}"},
        {rc_schema_plain(OMC_BYTES, true), omc_bytes(text("test-string")),
         "{\"schema\":{\"type\":\"bytes\",\"optional\":true},\"payload\":\"dGVzdC1zdHJpbmc=\"}"},
        {rc_schema_plain(OMC_STRING, true), omc_null(),
         "{\"schema\":{\"type\":\"string\",\"optional\":true},\"payload\":null}"},
        {&ints, array_of(items, 2, &array),
         "{\"schema\":{\"type\":\"array\",\"optional\":false,\"items\":{\"type\":\"int32\","
         "\"optional\":false}},\"payload\":[1,2]}"},
        {&by_text,
         {.kind = OMC_MAP, .u.map = &by_name},
         "{\"schema\":{\"type\":\"map\",\"optional\":false,\"keys\":{\"type\":\"string\","
         "\"optional\":false},\"values\":{\"type\":\"int32\",\"optional\":false}},\"payload\":"
         "{\"key1\":12}}"},
        {&by_int,
         {.kind = OMC_MAP, .u.map = &by_number},
         "{\"schema\":{\"type\":\"map\",\"optional\":false,\"keys\":{\"type\":\"int32\","
         "\"optional\":false},\"values\":{\"type\":\"int32\",\"optional\":false}},\"payload\":"
         "[[1,12],[2,15]]}"},
        {NULL,
         {.kind = OMC_MAP, .u.map = &by_number},
         "{\"schema\":null,\"payload\":[[1,12],[2,15]]}"},
        {&decimal_2, omc_bytes(omc_slice_of("\xFE\x7A", 2)),
         "{\"schema\":{\"type\":\"bytes\",\"optional\":true,\"name\":\"" OMC_LOGICAL_DECIMAL
         "\",\"version\":1,\"parameters\":{\"scale\":\"2\"}},\"payload\":\"/no=\"}"},
        {&fallback, omc_null(),
         "{\"schema\":{\"type\":\"int32\",\"optional\":true,\"default\":5},\"payload\":5}"},
        {&dated, omc_integer(OMC_DATETIME, 7),
         "{\"schema\":{\"type\":\"int64\",\"optional\":true,\"name\":\"" OMC_LOGICAL_TIMESTAMP
         "\"},\"payload\":7}"},
        {NULL, omc_string(text("x")), "{\"schema\":null,\"payload\":\"x\"}"},
        {&required_int, omc_null(), NULL},
        {&required_int, omc_string(text("1")), NULL},
        {rc_schema_plain(OMC_INT8, true), (omc_value){.kind = OMC_NUMBER_TEXT, .text = text("300")},
         NULL},
        {&by_text, {.kind = OMC_MAP, .u.map = &by_number}, NULL},
        {rc_schema_plain(OMC_ARRAY, true), array_of(items, 2, &array), NULL},
    };
    RC_AUTO(rc_converter) converter = make_converter("json", false, NULL, arena);

    /* Twice: the second time the schema's text comes from the cache. */
    for (size_t i = 0; i < 2 * RC_COUNT(cases); i++) {
        size_t c = i % RC_COUNT(cases);
        rc_slice out = {0};
        rc_error err = {0};
        int r = rc_converter_write(converter, "t", NULL, cases[c].schema, &cases[c].value, arena,
                                   &out, &err);

        if ((r < 0) != (cases[c].out == NULL) || (r == 0 && !omc_slice_is(out, cases[c].out)))
            fail_msg("case %zu: %d '%s' " RC_SLICE_FMT, c, r, err.msg, RC_SLICE_ARG(out));
    }
}

static void decimals_as_numbers(void **state)
{
    static const struct {
        const char *scale, *hex, *payload;
    } cases[] = {
        {"2", "fe7a", "\"payload\":-3.90}"},
        {"0", "0080", "\"payload\":128}"},
        {"-2", "7b", "\"payload\":123e2}"},
        {"-4096", "7b", "\"payload\":123e4096}"},
    };
    omc_arena *arena = arena_of(state);
    RC_AUTO(rc_converter) converter = make_converter("json", false, numeric, arena);

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        omc_pair scale = {text("scale"), text(cases[i].scale)};
        omc_value value = omc_bytes(unhex(cases[i].hex, arena)), back;
        omc_schema decimal = decimal_2;
        const omc_schema *schema;
        rc_slice out;

        decimal.parameters.pairs = &scale;
        assert_int_equal(rc_converter_write(converter, "t", NULL, &decimal, &value, arena, &out,
                                            NULL),
                         0);
        assert_non_null(strstr(out.base, cases[i].payload));
        assert_int_equal(rc_converter_read(converter, "t", NULL, out, arena, &schema, &back, NULL),
                         0);
        assert_true(rc_value_equal(&value, &back));
    }
}

static void tombstones(void **state)
{
    omc_arena *arena = arena_of(state);
    const char *const *settings[] = {NULL, plain};

    for (size_t i = 0; i < RC_COUNT(settings); i++) {
        RC_AUTO(rc_converter) converter = make_converter("json", false, settings[i], arena);
        omc_value value = omc_null();
        const omc_schema *schema = rc_schema_plain(OMC_INT8, true);
        rc_slice out = text("untouched");

        assert_int_equal(rc_converter_write(converter, "t", NULL, NULL, &value, arena, &out, NULL),
                         0);
        assert_null(out.base);
        value = omc_boolean(true);
        assert_int_equal(rc_converter_read(converter, "t", NULL, out, arena, &schema, &value, NULL),
                         0);
        assert_null(schema);
        assert_int_equal(value.kind, OMC_NULL);
    }
}

static void without_envelope(void **state)
{
    static const char *const texts[] = {"{\"price\":1.10,\"list\":[1,null,\"x\"],\"schema\":1}",
                                        "[1e400]", "\"text\"", "1.10", "null"};
    omc_arena *arena = arena_of(state);
    RC_AUTO(rc_converter) converter = make_converter("json", false, plain, arena);

    for (size_t i = 0; i < RC_COUNT(texts); i++) {
        const omc_schema *schema;
        omc_value value;
        rc_slice out;

        assert_int_equal(read_with(converter, texts[i], arena, &schema, &value, NULL), 0);
        assert_null(schema);
        assert_int_equal(rc_converter_write(converter, "t", NULL, NULL, &value, arena, &out, NULL),
                         0);
        if (value.kind == OMC_NULL)
            assert_null(out.base);
        else
            assert_true(omc_slice_is(out, texts[i]));
    }
}

/* ---- the Java runtime's own messages --------------------------------------------------------- */

/** Bodies and keys from the topics of a Java cluster, members in any order, stray "field"s. */
static void reads_java_messages(void **state)
{
    static const struct {
        const char *in, *payload;
    } cases[] = {
        {"{\"schema\":{\"optional\":true,\"type\":\"struct\",\"fields\":[{\"field\":\"start-"
         "signal\",\"optional\":true,\"type\":\"string\"}]},\"payload\":{\"start-signal\":"
         "\"start\"}}",
         "{\"start-signal\":\"start\"}"},
        {"{\"schema\":{\"optional\":true,\"type\":\"struct\",\"fields\":[{\"optional\":true,"
         "\"field\":\"state\",\"type\":\"string\"},{\"field\":\"epoch\",\"optional\":true,"
         "\"type\":\"int64\"},{\"field\":\"properties\",\"keys\":{\"optional\":true,\"field\":"
         "\"start-signal\",\"type\":\"string\"},\"values\":{\"optional\":true,\"field\":\"start-"
         "signal\",\"type\":\"string\"},\"optional\":true,\"type\":\"map\"}]},\"payload\":{"
         "\"state\":\"STARTED\",\"epoch\":1795365837250,\"properties\":{\"connector.class\":"
         "\"org.apache.rocketmq.connect.file.FileSourceConnector\",\"filename\":"
         "\"/tmp/peer-rest-in.txt\"}}}",
         "{\"state\":\"STARTED\",\"epoch\":1795365837250,\"properties\":{\"connector.class\":"
         "\"org.apache.rocketmq.connect.file.FileSourceConnector\",\"filename\":"
         "\"/tmp/peer-rest-in.txt\"}}"},
        {"{\"schema\":{\"optional\":true,\"type\":\"struct\",\"fields\":[{\"optional\":true,"
         "\"field\":\"state\",\"type\":\"string\"},{\"optional\":true,\"field\":\"trace\","
         "\"type\":\"string\"},{\"optional\":true,\"field\":\"worker_id\",\"type\":\"string\"},"
         "{\"field\":\"generation\",\"optional\":true,\"type\":\"int64\"}]},\"payload\":{"
         "\"state\":\"RUNNING\",\"trace\":null,\"worker_id\":\"d1\",\"generation\":"
         "1795365837863}}",
         "{\"state\":\"RUNNING\",\"trace\":null,\"worker_id\":\"d1\",\"generation\":"
         "1795365837863}"},
        {"{\"schema\":null,\"payload\":[\"ONLINE\",null,{}]}", "[\"ONLINE\",null,{}]"},
        {"{\"schema\":null,\"payload\":{}}", "{}"},
        {"{\"payload\":{\"nextPosition\":\"14\"}}", "{\"nextPosition\":\"14\"}"},
    };
    omc_arena *arena = arena_of(state);
    RC_AUTO(rc_converter) converter = make_converter("json", false, NULL, arena);

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        const omc_schema *schema, *again;
        omc_value value, back;
        rc_slice out;
        rc_error err = {0};

        if (read_with(converter, cases[i].in, arena, &schema, &value, &err) < 0)
            fail_msg("case %zu: %s", i, err.msg);
        assert_string_equal(shown(&value, arena), cases[i].payload);
        /* What we write of it reads back the same. */
        assert_int_equal(rc_converter_write(converter, "t", NULL, schema, &value, arena, &out,
                                            &err),
                         0);
        assert_int_equal(read_with(converter, out.base, arena, &again, &back, &err), 0);
        assert_true(rc_schema_equal(schema, again));
        assert_true(rc_value_equal(&value, &back));
    }
}

/* ---- caches -------------------------------------------------------------------------------- */

/** Equal schema text gives one schema object, which outlives the batch it came with. */
static void schemas_are_shared(void **state)
{
    static const char in[] = "{\"schema\":{\"type\":\"int32\",\"name\":\"n\"},\"payload\":1}";
    RC_AUTO(rc_converter) converter = make_converter("json", false, NULL, arena_of(state));
    const omc_schema *first, *second;
    rc_arena batch;
    omc_value value;

    rc_arena_init(&batch, 1024);
    assert_int_equal(read_with(converter, omc_copy(&batch.pub, in, sizeof in - 1), &batch.pub,
                               &first, &value, NULL),
                     0);
    rc_arena_release(&batch);
    assert_int_equal(read_with(converter, in, arena_of(state), &second, &value, NULL), 0);
    assert_ptr_equal(first, second);
    assert_string_equal(first->name, "n");
}

/** Size 0: every message has its own schema, in its own batch. */
static void no_cache(void **state)
{
    static const char in[] = "{\"schema\":{\"type\":\"int32\"},\"payload\":1}";
    static const char *const none[] = {"value.converter.schemas.cache.size=0", NULL};
    RC_AUTO(rc_converter) converter = make_converter("json", false, none, arena_of(state));
    const omc_schema *first, *second;
    omc_value value;

    assert_int_equal(read_with(converter, in, arena_of(state), &first, &value, NULL), 0);
    assert_int_equal(read_with(converter, in, arena_of(state), &second, &value, NULL), 0);
    assert_ptr_not_equal(first, second);
    assert_true(rc_schema_equal(first, second));
}

/** More schemas than the cache holds: all are right, those beyond belong to the batch. */
static void full_cache(void **state)
{
    static const char *const two[] = {"value.converter.schemas.cache.size=2", NULL};
    omc_arena *arena = arena_of(state);
    RC_AUTO(rc_converter) converter = make_converter("json", false, two, arena);

    for (int i = 0; i < 20; i++) {
        const char *in =
            rc_arena_format(arena,
                            "{\"schema\":{\"type\":\"int32\",\"optional\":true,\"name\":\"n%d\"},"
                            "\"payload\":%d}",
                            i % 5, i);
        const omc_schema *schema;
        omc_value value;
        rc_slice out;

        assert_int_equal(read_with(converter, in, arena, &schema, &value, NULL), 0);
        assert_int_equal(schema->name[1], '0' + i % 5);
        assert_int_equal(value.u.i64, i);
        assert_int_equal(rc_converter_write(converter, "t", NULL, schema, &value, arena, &out,
                                            NULL),
                         0);
        assert_string_equal(out.base, in);
    }
}

/** A schema at the address of an older one must not be written with the older one's text. */
static void reused_addresses(void **state)
{
    omc_arena *arena = arena_of(state);
    RC_AUTO(rc_converter) converter = make_converter("json", false, NULL, arena);
    omc_schema schema = {.type = OMC_INT32, .name = "first"};
    omc_value value = omc_integer(OMC_INT32, 1);
    rc_slice out;

    assert_int_equal(rc_converter_write(converter, "t", NULL, &schema, &value, arena, &out, NULL),
                     0);
    assert_non_null(strstr(out.base, "first"));
    schema.name = "second";
    assert_int_equal(rc_converter_write(converter, "t", NULL, &schema, &value, arena, &out, NULL),
                     0);
    assert_non_null(strstr(out.base, "second"));
    assert_null(strstr(out.base, "first"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ARENA_TEST(reads_types),
        ARENA_TEST(reads_what_a_schema_says),
        ARENA_TEST(default_structs),
        ARENA_TEST(nested_default_structs_stay_small),
        ARENA_TEST(defaults_cannot_explode),
        ARENA_TEST(errors_name_place_and_cure),
        ARENA_TEST(decimals_are_read),
        ARENA_TEST(writes_types),
        ARENA_TEST(decimals_as_numbers),
        ARENA_TEST(tombstones),
        ARENA_TEST(without_envelope),
        ARENA_TEST(reads_java_messages),
        ARENA_TEST(schemas_are_shared),
        ARENA_TEST(full_cache),
        ARENA_TEST(no_cache),
        ARENA_TEST(reused_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
