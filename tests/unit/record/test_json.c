/* SPDX-License-Identifier: Apache-2.0 */
/* JSON: what RFC 8259 accepts and refuses, texts of numbers, escapes, order, and what fastjson
 * allows in configurations. */
#include "record_unit.h"

#include "record/json.h"
#include "record/value.h"

#include <time.h>

/** Reads and writes again; NULL when the text is refused. */
static const char *again(const char *in, size_t len, unsigned flags, unsigned write_flags,
                         omc_arena *arena, rc_error *err)
{
    rc_buf out = RC_BUF(1 << 20);
    omc_value value;
    const char *result;

    if (rc_json_read(omc_slice_of(in, len), flags, arena, &value, err) < 0)
        return NULL;
    rc_json_write(&value, write_flags, &out);
    result = omc_copy(arena, out.data, out.len);
    rc_buf_release(&out);
    return result;
}

struct pair {
    const char *in;
    const char *out; /* NULL: refused. */
};

static void check_pairs(const struct pair *pairs, size_t count, unsigned flags,
                        unsigned write_flags, omc_arena *arena)
{
    for (size_t i = 0; i < count; i++) {
        rc_error err = {0};
        const char *out = again(pairs[i].in, strlen(pairs[i].in), flags, write_flags, arena, &err);

        if ((out == NULL) != (pairs[i].out == NULL) || (out && strcmp(out, pairs[i].out) != 0))
            fail_msg("case %zu '%s': got '%s' (%s), expected '%s'", i, pairs[i].in,
                     out ? out : "refused", err.msg, pairs[i].out ? pairs[i].out : "refused");
    }
}

static void accepts_and_refuses(void **state)
{
    static const struct pair pairs[] = {
        {"null", "null"},
        {" true\r\n", "true"},
        {"\tfalse", "false"},
        {"\"\"", "\"\""},
        {"{}", "{}"},
        {"[ ]", "[]"},
        {"[1 , 2,3 ]", "[1,2,3]"},
        {"{ \"b\" : 1 , \"a\" : [ { } ] }", "{\"b\":1,\"a\":[{}]}"},
        {"{\"\":0}", "{\"\":0}"},
        {"", NULL},
        {"  ", NULL},
        {"[1,]", NULL},
        {"[,1]", NULL},
        {"[1 2]", NULL},
        {"[1", NULL},
        {"]", NULL},
        {"{\"a\":1,}", NULL},
        {"{\"a\" 1}", NULL},
        {"{\"a\":}", NULL},
        {"{a:1}", NULL},
        {"{'a':1}", NULL},
        {"{\"a\":1", NULL},
        {"{1:1}", NULL},
        {"nul", NULL},
        {"nullx", NULL},
        {"True", NULL},
        {"1 2", NULL},
        {"// c\n1", NULL},
        {"\xEF\xBB\xBF{}", NULL},
        {"NaN", NULL},
        {"\"a", NULL},
        {"\"a\\", NULL},
        {"\"a\\\"", NULL},
        {"\"\\x41\"", NULL},
        {"\"\\u12g4\"", NULL},
        {"\"\\u123\"", NULL},
        {"\"a\tb\"", NULL},
        {"\"a\nb\\n\"", NULL},
        {"\"\\n then\001 control\"", NULL},
    };

    check_pairs(pairs, RC_COUNT(pairs), 0, 0, arena_of(state));
}

static void numbers_keep_their_text(void **state)
{
    static const struct pair pairs[] = {
        {"0", "0"},
        {"-0", "-0"},
        {"1.10", "1.10"},
        {"1e400", "1e400"},
        {"1E+2", "1E+2"},
        {"-12.5e-03", "-12.5e-03"},
        {"123456789012345678901234567890.000", "123456789012345678901234567890.000"},
        {"{\"price\":1.10}", "{\"price\":1.10}"},
        {"01", NULL},
        {"-", NULL},
        {"+1", NULL},
        {".5", NULL},
        {"1.", NULL},
        {"1.e2", NULL},
        {"1e", NULL},
        {"1e+", NULL},
        {"0x10", NULL},
        {"--1", NULL},
    };

    check_pairs(pairs, RC_COUNT(pairs), 0, 0, arena_of(state));
}

static void strings_are_unescaped(void **state)
{
    static const struct {
        const char *in, *bytes;
        size_t len;
    } cases[] = {
        {"\"plain\"", "plain", 5},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8},
        {"\"\\u0041\\u00e9\\u4E2d\"", "A\xC3\xA9\xE4\xB8\xAD", 6},
        {"\"\\ud83d\\ude80!\"", "\xF0\x9F\x9A\x80!", 5},
        {"\"\\u0000x\"", "\0x", 2},
        {"\"\\ud800\"", "\xEF\xBF\xBD", 3},
        {"\"\\ude80a\"",
         "\xEF\xBF\xBD"
         "a",
         4},
        {"\"\\ud800\\u0041\"",
         "\xEF\xBF\xBD"
         "A",
         4},
        {"\"\\ude80\\ude80\"", "\xEF\xBF\xBD\xEF\xBF\xBD", 6},
        {"\"\\ud800\\ud83d\\ude80\"", "\xEF\xBF\xBD\xF0\x9F\x9A\x80", 7},
        {"\"long before \\n and long after the escape\"",
         "long before \n and long after the escape", 39},
        {"\"bad \xFF utf-8 \xC3\"", "bad \xFF utf-8 \xC3", 13},
    };
    omc_arena *arena = arena_of(state);

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        omc_value value;
        rc_error err = {0};

        if (rc_json_read(text(cases[i].in), 0, arena, &value, &err) < 0)
            fail_msg("case %zu %s: %s", i, cases[i].in, err.msg);
        assert_int_equal(value.kind, OMC_STRING);
        if (!omc_slice_eq(value.u.bytes, omc_slice_of(cases[i].bytes, cases[i].len)))
            fail_msg("case %zu %s: got '" RC_SLICE_FMT "'", i, cases[i].in,
                     RC_SLICE_ARG(value.u.bytes));
    }
}

/** A string without escapes is a part of the text, not a copy. */
static void strings_borrow(void **state)
{
    const char *in = "[\"borrowed\"]";
    omc_value value;

    assert_int_equal(rc_json_read(text(in), 0, arena_of(state), &value, NULL), 0);
    assert_ptr_equal(value.u.array->items[0].u.bytes.base, in + 2);
}

/** Each special byte at each place of a longer string: the scan goes eight bytes at a time. */
static void special_bytes_are_found_anywhere(void **state)
{
    omc_arena *arena = arena_of(state);

    for (size_t at = 1; at < 40; at++) {
        for (int c = 0; c < 256; c++) {
            char in[64];
            omc_value value;
            int r;

            memset(in, 'x', sizeof in);
            in[0] = in[41] = '"';
            in[at] = (char)c;
            r = rc_json_read(omc_slice_of(in, 42), 0, arena, &value, NULL);
            if ((c < 0x20 || c == '"' || c == '\\') != (r < 0))
                fail_msg("byte %d at %zu: %d", c, at, r);
            if (r == 0 && value.u.bytes.len != 40)
                fail_msg("byte %d at %zu: length %zu", c, at, value.u.bytes.len);
        }
    }
}

static void errors_say_where(void **state)
{
    static const struct {
        const char *in, *message;
    } cases[] = {
        {"{\n \"a\": 1,\n \"b\": 2 x}",
         "line 3, column 9: expected ',' or '}' after a member, got 'x'"},
        {"[1,2", "line 1, column 5: expected ',' or ']' after an item, got the end of the text"},
        {"{\"\xC3\xA9\" 1}", "line 1, column 6: expected ':' after a member name, got '1'"},
        {"[tru]", "line 1, column 2: expected true, false or null, got 't'"},
        {"", "line 1, column 1: expected a value (object, array, string, number, true, false or "
             "null), got the end of the text"},
        {"{} \xFF", "line 1, column 4: expected the end of the text after the value, got byte "
                    "0xFF"},
        {"\"a\\qb\"", "line 1, column 4: expected one of \" \\ / b f n r t u after a backslash, "
                      "got 'q'"},
        {"1.x", "line 1, column 3: expected a digit after the point, got 'x'"},
    };
    omc_arena *arena = arena_of(state);

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        rc_error err = {0};
        omc_value value;

        assert_int_equal(rc_json_read(text(cases[i].in), 0, arena, &value, &err), -OMC_EFORMAT);
        assert_string_equal(err.msg, cases[i].message);
    }
}

static void depth_is_bounded(void **state)
{
    char in[2 * (RC_JSON_DEPTH_MAX + 1)];
    omc_value value;
    rc_error err = {0};

    memset(in, '[', RC_JSON_DEPTH_MAX + 1);
    memset(in + RC_JSON_DEPTH_MAX + 1, ']', RC_JSON_DEPTH_MAX + 1);
    assert_int_equal(rc_json_read(omc_slice_of(in + 1, 2 * RC_JSON_DEPTH_MAX), 0, arena_of(state),
                                  &value, &err),
                     0);
    assert_int_equal(rc_json_read(omc_slice_of(in, sizeof in), 0, arena_of(state), &value, &err),
                     -OMC_EFORMAT);
    assert_string_equal(err.msg,
                        "line 1, column 129: expected at most 128 levels of nesting, got '['");
}

static void last_of_equal_keys_wins(void **state)
{
    static const struct pair pairs[] = {
        {"{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":3,\"b\":2}"},
        {"{\"a\":1,\"a\":2,\"a\":3,\"c\":4}", "{\"a\":3,\"c\":4}"},
        {"{\"a\":1,\"\\u0061\":2}", "{\"a\":2}"},
        {"{\"\":1,\"\":2}", "{\"\":2}"},
        {"{\"k\":{\"k\":1,\"k\":2}}", "{\"k\":{\"k\":2}}"},
    };
    rc_buf in = RC_BUF(1 << 20);
    omc_value value;

    check_pairs(pairs, RC_COUNT(pairs), 0, 0, arena_of(state));

    /* Many members take another way. */
    rc_buf_char(&in, '{');
    for (int i = 0; i < 1000; i++)
        rc_buf_printf(&in, "%s\"k%d\":%d", i ? "," : "", i % 400, i);
    rc_buf_char(&in, '}');
    assert_int_equal(rc_json_read(rc_buf_slice(&in), 0, arena_of(state), &value, NULL), 0);
    assert_int_equal(value.u.map->count, 400);
    for (int i = 0; i < 400; i++) {
        const omc_entry *entry = &value.u.map->entries[i];
        char expected[16];

        (void)snprintf(expected, sizeof expected, "k%d", i);
        assert_true(omc_slice_is(entry->key.u.bytes, expected));
        (void)snprintf(expected, sizeof expected, "%d", i < 200 ? 800 + i : 400 + i);
        assert_true(omc_slice_is(entry->value.text, expected));
    }
    rc_buf_release(&in);
}

static void lenient_reads_what_fastjson_reads(void **state)
{
    static const struct pair pairs[] = {
        {"{'a':'it''s'}", NULL},
        {"{'a':'it\\'s \"x\"'}", "{\"a\":\"it's \\\"x\\\"\"}"},
        {"{connector.class:\"x\",max_tasks:2}", "{\"connector.class\":\"x\",\"max_tasks\":2}"},
        {"{,\"a\":1,,\"b\":2,}", "{\"a\":1,\"b\":2}"},
        {"[,1,,2,]", "[1,2]"},
        {"[,]", "[]"},
        {"// head\n{\"a\":/* in */1}// tail", "{\"a\":1}"},
        {"{\"a\":1/* open }", NULL},
        {"{\"a\":\"x\ty\"}", "{\"a\":\"x\\ty\"}"},
        {"{\"a\":\"x\ty\\n\tz\"}", "{\"a\":\"x\\ty\\n\\tz\"}"},
        {"{\"a\":01}", NULL},
        {"{:1}", NULL},
        {"{\"a\":b}", NULL},
    };

    check_pairs(pairs, RC_COUNT(pairs), RC_JSON_LENIENT, 0, arena_of(state));
}

static void canonical_sorts_by_bytes(void **state)
{
    static const struct pair pairs[] = {
        {"{\"b\":1,\"a\":{\"z\":0,\"Z\":0},\"ab\":2,\"\xC3\xA9\":3,\"\":4}",
         "{\"\":4,\"a\":{\"Z\":0,\"z\":0},\"ab\":2,\"b\":1,\"\xC3\xA9\":3}"},
        {"[{\"b\":1,\"a\":1.0}]", "[{\"a\":1.0,\"b\":1}]"},
    };

    check_pairs(pairs, RC_COUNT(pairs), 0, RC_JSON_CANONICAL, arena_of(state));
}

static const char *written(const omc_value *value, unsigned flags, omc_arena *arena)
{
    rc_buf out = RC_BUF(1 << 20);
    const char *result;

    rc_json_write(value, flags, &out);
    result = omc_copy(arena, out.data, out.len);
    rc_buf_release(&out);
    return result;
}

static void writes_every_kind(void **state)
{
    static const omc_schema number = {.type = OMC_INT32}, string = {.type = OMC_STRING};
    static const omc_field fields[] = {{"a", &number}, {"b\"", &string}};
    static const omc_schema schema = {.type = OMC_STRUCT, .field_count = 2, .fields = fields};
    omc_arena *arena = arena_of(state);
    omc_value values[] = {omc_integer(OMC_INT32, -7), omc_null()};
    omc_struct object = {&schema, values};
    omc_entry entry = {omc_integer(OMC_INT32, 5), omc_boolean(true)};
    omc_map map = {1, &entry};
    omc_value priced = {.kind = OMC_FLOAT64, .u.f64 = 1.1, .text = text("1.10")};
    omc_value bogus = {.kind = OMC_NUMBER_TEXT, .text = text("0x1F")};
    omc_value in_struct = {.kind = OMC_STRUCT, .u.object = &object};
    omc_value in_map = {.kind = OMC_MAP, .u.map = &map};
    const struct {
        omc_value value;
        unsigned flags;
        const char *out;
    } cases[] = {
        {omc_null(), 0, "null"},
        {omc_boolean(false), 0, "false"},
        {omc_integer(OMC_INT8, -128), 0, "-128"},
        {omc_integer(OMC_INT64, INT64_MIN), 0, "-9223372036854775808"},
        {omc_integer(OMC_DATETIME, 1795365837250), 0, "1795365837250"},
        {omc_floating(OMC_FLOAT64, 12.34), 0, "12.34"},
        {omc_floating(OMC_FLOAT32, (double)12.34f), 0, "12.34"},
        {omc_floating(OMC_FLOAT64, 1e300), 0, "1.0E300"},
        {omc_floating(OMC_FLOAT64, (double)__builtin_nanf("")), 0, "null"},
        {omc_floating(OMC_FLOAT64, (double)-__builtin_inff()), 0, "null"},
        {omc_string(omc_slice_of(NULL, 0)), 0, "\"\""},
        {omc_string(omc_slice_of("q\"b\\ \x01\x1f\x7f\n\0/", 11)), 0,
         "\"q\\\"b\\\\ \\u0001\\u001f\x7f\\n\\u0000/\""},
        {omc_string(text("ok \xC3\xA9 bad \xC3( \xFF \xED\xA0\x80 end")), 0,
         "\"ok \xC3\xA9 bad \xEF\xBF\xBD( \xEF\xBF\xBD \xEF\xBF\xBD end\""},
        {omc_bytes(text("test-string")), 0, "\"dGVzdC1zdHJpbmc=\""},
        {omc_bytes(omc_slice_of(NULL, 0)), 0, "\"\""},
        {priced, 0, "1.10"},
        {priced, RC_JSON_SORT_NO_TEXT, "1.1"},
        {bogus, 0, "\"0x1F\""},
        {in_struct, 0, "{\"a\":-7,\"b\\\"\":null}"},
        {in_map, 0, "{\"5\":true}"},
    };

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        const char *out = written(&cases[i].value, cases[i].flags, arena);

        if (strcmp(out, cases[i].out) != 0)
            fail_msg("case %zu: got '%s', expected '%s'", i, out, cases[i].out);
    }
}

static void overflow_shows(void **state)
{
    rc_buf out = RC_BUF(8);
    omc_value value = omc_string(text("longer than eight"));

    (void)state;
    rc_json_write(&value, 0, &out);
    assert_true(out.overflow);
    rc_buf_release(&out);
}

static void maps_and_offsets(void **state)
{
    omc_arena *arena = arena_of(state);
    const omc_map *map;
    omc_position position = {0};
    rc_error err = {0};
    rc_slice out;

    assert_int_equal(rc_json_to_map(text("{\"topic\":\"t\",\"n\":1}"), arena, &map, &err), 0);
    out = rc_json_of_map(map, arena);
    assert_string_equal(out.base, "{\"n\":1,\"topic\":\"t\"}");
    assert_string_equal(rc_json_of_map(NULL, arena).base, "null");
    assert_int_equal(rc_json_to_map(text("[1]"), arena, &map, &err), -OMC_EFORMAT);

    position.offset = map;
    assert_string_equal(rc_json_of_offset(&position, arena).base, out.base);
    position.counter_name = "position";
    position.counter = 42;
    assert_string_equal(rc_json_of_offset(&position, arena).base,
                        "{\"n\":1,\"position\":42,\"topic\":\"t\"}");
    position.counter_name = "n"; /* The counter replaces a pair of its name. */
    assert_string_equal(rc_json_of_offset(&position, arena).base, "{\"n\":42,\"topic\":\"t\"}");
    position.offset = NULL;
    assert_string_equal(rc_json_of_offset(&position, arena).base, "{\"n\":42}");
}

/* ---- random trees -------------------------------------------------------------------------- */

static uint64_t random_state;

static unsigned next(unsigned below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(random_state >> 33) % below;
}

static rc_slice random_text(omc_arena *arena)
{
    static const char *const parts[] = {"a",
                                        "key",
                                        "\"",
                                        "\\",
                                        "\n",
                                        "\xC3\xA9",
                                        "\xE4\xB8\xAD",
                                        "/",
                                        "\x01",
                                        "  ",
                                        "\xF0\x9F\x9A\x80",
                                        "0123456789abcdef",
                                        "\x7f"};
    rc_buf out = RC_BUF(4096);
    rc_slice result;

    for (unsigned n = next(6); n > 0; n--)
        rc_buf_str(&out, parts[next(RC_COUNT(parts))]);
    result = rc_arena_slice(arena, rc_buf_slice(&out));
    rc_buf_release(&out);
    return result;
}

static omc_value random_value(omc_arena *arena, unsigned depth);

static omc_value random_map(omc_arena *arena, unsigned depth)
{
    omc_map *map = omc_alloc(arena, sizeof *map);
    size_t count = next(depth > 3 ? 1 : next(10) ? 6 : 60);
    omc_entry *entries = omc_alloc(arena, (count + 1) * sizeof *entries);
    omc_value value = omc_null();

    for (size_t i = 0; i < count; i++) {
        rc_slice some = random_text(arena); /* Not in the macro, which names it twice. */
        const char *key = rc_arena_format(arena, "%zu" RC_SLICE_FMT, i, RC_SLICE_ARG(some));

        entries[i].key = omc_string(text(key));
        entries[i].value = random_value(arena, depth + 1);
    }
    *map = (omc_map){count, entries};
    value.kind = OMC_MAP;
    value.u.map = map;
    return value;
}

static omc_value random_array(omc_arena *arena, unsigned depth)
{
    omc_array *array = omc_alloc(arena, sizeof *array);
    size_t count = next(depth > 3 ? 1 : next(10) ? 6 : 100);
    omc_value *items = omc_alloc(arena, (count + 1) * sizeof *items), value = omc_null();

    for (size_t i = 0; i < count; i++)
        items[i] = random_value(arena, depth + 1);
    *array = (omc_array){count, items};
    value.kind = OMC_ARRAY;
    value.u.array = array;
    return value;
}

static omc_value random_value(omc_arena *arena, unsigned depth)
{
    static const char *const numbers[] = {"0", "-1", "1.10", "1e400", "12345678901234567890"};
    omc_value value = omc_null();

    switch (next(7)) {
    case 0:
        return omc_boolean(next(2) == 1);
    case 1:
        value.kind = OMC_NUMBER_TEXT;
        value.text = text(numbers[next(RC_COUNT(numbers))]);
        return value;
    case 2:
    case 3:
        return omc_string(random_text(arena));
    case 4:
        return random_map(arena, depth);
    case 5:
        return random_array(arena, depth);
    default:
        return value;
    }
}

static void random_trees_come_back(void **state)
{
    uint64_t seed = (uint64_t)time(NULL);
    const char *given = getenv("RC_TEST_SEED");

    if (given)
        seed = strtoull(given, NULL, 10);
    print_message("seed %llu (set RC_TEST_SEED to repeat)\n", (unsigned long long)seed);
    random_state = seed;
    for (int i = 0; i < 500; i++) {
        omc_arena *arena = arena_of(state);
        omc_value value = random_map(arena, 0), back;
        unsigned flags = i % 2 ? RC_JSON_CANONICAL : 0;
        const char *out = written(&value, flags, arena);
        rc_error err = {0};

        if (rc_json_read(text(out), 0, arena, &back, &err) < 0)
            fail_msg("round %d: %s in %s", i, err.msg, out);
        if (!rc_value_equal(&value, &back))
            fail_msg("round %d: another value came back from %s", i, out);
        assert_string_equal(written(&back, flags, arena), out);
        rc_arena_reset(*state, 1 << 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ARENA_TEST(accepts_and_refuses),
        ARENA_TEST(numbers_keep_their_text),
        ARENA_TEST(strings_are_unescaped),
        ARENA_TEST(strings_borrow),
        ARENA_TEST(special_bytes_are_found_anywhere),
        ARENA_TEST(errors_say_where),
        ARENA_TEST(depth_is_bounded),
        ARENA_TEST(last_of_equal_keys_wins),
        ARENA_TEST(lenient_reads_what_fastjson_reads),
        ARENA_TEST(canonical_sorts_by_bytes),
        ARENA_TEST(writes_every_kind),
        cmocka_unit_test(overflow_shows),
        ARENA_TEST(maps_and_offsets),
        ARENA_TEST(random_trees_come_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
