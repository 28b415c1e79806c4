/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of values, schemas and records. Expected bytes are those of the example in
 * docs/host-protocol.md, which was written by another program.
 */
#include "unit.h"

#include "host/values.h"
#include "record/batch.h"
#include "record/value.h"

#include <stdio.h>

typedef struct fixture {
    rc_arena arena;
    rc_wire_schemas schemas;
    rc_wire_ids ids;
    rc_buf out;
    rc_batch *batch;
} fixture;

static int setup(void **state)
{
    fixture *f = rc_calloc(1, sizeof *f);

    rc_arena_init(&f->arena, 4096);
    rc_wire_schemas_init(&f->schemas);
    rc_wire_ids_init(&f->ids);
    rc_wire_ids_begin(&f->ids);
    rc_buf_init(&f->out, 1 << 20);
    f->batch = rc_batch_new(1000, 1 << 20);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    rc_batch_unref(f->batch);
    rc_buf_release(&f->out);
    rc_wire_ids_release(&f->ids);
    rc_wire_schemas_release(&f->schemas);
    rc_arena_release(&f->arena);
    free(f);
    return 0;
}

/* "0a ff" -> bytes; words of letters are taken as they are between quotes. */
static rc_slice bytes_of(fixture *f, const char *hex)
{
    char *out = omc_alloc(&f->arena.pub, strlen(hex) + 1);
    size_t len = 0;
    unsigned byte;
    int used;

    for (; *hex; hex += used) {
        if (*hex == ' ' || *hex == '\n') {
            used = 1;
            continue;
        }
        assert_int_equal(sscanf(hex, "%2x%n", &byte, &used), 1);
        out[len++] = (char)byte;
    }
    return omc_slice_of(out, len);
}

static rc_wire_in input(fixture *f, rc_slice payload)
{
    rc_wire_in in;

    rc_in_init(&in, payload, &f->arena.pub);
    in.schemas = &f->schemas;
    return in;
}

#define LINE_SCHEMA                                                      \
    "01 00 00 00 26 00 00 00 01 00 00 00 08 00 00 00 00 00 04 00 00 00 " \
    "6c 69 6e 65 ff ff ff ff 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"
#define BATCH_BYTES                                                \
    "02 00 00 00 "                                                 \
    "74 00 01 00 00 00 08 01 00 00 00 61 00 00 00 00 "             \
    "01 00 00 00 08 01 00 00 00 66 08 01 00 00 00 78 01 00 00 00 " \
    "01 00 00 00 08 01 00 00 00 6e 04 01 00 00 00 00 00 00 00 "    \
    "74 00 01 00 00 00 08 01 00 00 00 62 00 00 00 00 02 00 00 00 " \
    "01 00 00 00 08 01 00 00 00 6e 04 02 00 00 00 00 00 00 00"

static void the_documents_batch_is_read(void **state)
{
    fixture *f = *state;
    rc_wire_in in = input(f, bytes_of(f, BATCH_BYTES));
    const omc_record *first, *second;
    int64_t n;

    assert_null(rc_wire_schemas_define(&f->schemas, bytes_of(f, LINE_SCHEMA)));
    assert_int_equal(rc_in_records(&in, &f->batch->pub, 2), 2);
    assert_null(in.fault);
    first = omc_batch_at(&f->batch->pub, 0);
    second = omc_batch_at(&f->batch->pub, 1);
    assert_string_equal(first->schema->name, "line");
    assert_int_equal(first->schema->type, OMC_STRING);
    assert_false(first->schema->optional);
    assert_true(omc_slice_is(first->value.u.bytes, "a"));
    assert_true(omc_slice_is(second->value.u.bytes, "b"));
    assert_ptr_equal(first->position.partition, second->position.partition);
    assert_true(omc_value_int64(omc_map_get(second->position.offset, "n"), &n));
    assert_int_equal(n, 2);
    assert_int_equal(first->queue, -1);
    assert_true(first->timestamp_ms == OMC_NO_TIMESTAMP);
}

static const omc_schema line_schema = {.type = OMC_STRING, .name = "line"};

static void the_documents_batch_is_written(void **state)
{
    fixture *f = *state;
    const omc_entry file = {omc_string(omc_slice_str("f")), omc_string(omc_slice_str("x"))};
    const omc_entry one = {omc_string(omc_slice_str("n")), omc_integer(OMC_INT64, 1)};
    const omc_entry two = {omc_string(omc_slice_str("n")), omc_integer(OMC_INT64, 2)};
    const omc_map partition = {1, &file}, offsets[] = {{1, &one}, {1, &two}};
    const char *const lines[] = {"a", "b"};
    rc_wire_refs refs = {0};
    rc_slice expected = bytes_of(f, BATCH_BYTES), schemas = bytes_of(f, LINE_SCHEMA);

    rc_out_u32(&f->out, 2);
    for (size_t i = 0; i < 2; i++) {
        omc_record record = {.timestamp_ms = OMC_NO_TIMESTAMP, .queue = -1};

        record.schema = &line_schema;
        record.value = omc_string(omc_slice_str(lines[i]));
        record.position.partition = &partition;
        record.position.offset = &offsets[i];
        rc_out_record(&f->out, &f->ids, &refs, &record);
    }
    assert_null(f->ids.fault);
    assert_int_equal(f->out.len, expected.len);
    assert_memory_equal(f->out.data, expected.base, expected.len);
    assert_int_equal(f->ids.defs.len, schemas.len);
    assert_memory_equal(f->ids.defs.data, schemas.base, schemas.len);
}

static omc_value number(omc_kind kind, int64_t n, const char *text)
{
    omc_value v = omc_integer(kind, n);

    v.text = omc_slice_str(text);
    return v;
}

static void every_kind_of_value_comes_back_as_it_was(void **state)
{
    fixture *f = *state;
    static const omc_field fields[] = {{"line", &line_schema}};
    static const omc_schema schema = {.type = OMC_STRUCT,
                                      .field_count = 1,
                                      .fields = fields,
                                      .optional = true};
    const omc_value inner = omc_string(omc_slice_str("x"));
    const omc_struct object = {&schema, &inner};
    const omc_value items[] = {omc_null(), omc_boolean(true), number(OMC_INT64, 10, "1e1")};
    const omc_array array = {3, items};
    const omc_entry entry = {omc_integer(OMC_INT32, -7), omc_bytes(omc_slice_of("\0\xff", 2))};
    const omc_map map = {1, &entry};
    omc_value cases[] = {
        omc_null(),
        omc_integer(OMC_INT8, -128),
        omc_integer(OMC_INT16, -32768),
        omc_integer(OMC_INT32, INT32_MIN),
        omc_integer(OMC_INT64, INT64_MIN),
        omc_floating(OMC_FLOAT32, 0.5),
        omc_floating(OMC_FLOAT64, -1e300),
        omc_boolean(true),
        omc_string(omc_slice_str("h\xc3\xa9")),
        omc_bytes(omc_slice_of("\xff\0", 2)),
        {.kind = OMC_ARRAY, .u.array = &array},
        {.kind = OMC_MAP, .u.map = &map},
        omc_integer(OMC_DATETIME, 1700000000000),
        {.kind = OMC_STRUCT, .u.object = &object},
        {.kind = OMC_NUMBER_TEXT, .text = {"1.10", 4}},
    };

    for (size_t i = 0; i < RC_COUNT(cases); i++)
        rc_out_value(&f->out, &f->ids, &cases[i]);
    assert_null(f->ids.fault);
    assert_null(rc_wire_schemas_define(&f->schemas, rc_buf_slice(&f->ids.defs)));
    rc_wire_in in = input(f, rc_buf_slice(&f->out));
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        omc_value got = rc_in_value(&in, NULL);

        if (in.fault || !rc_value_equal(&got, &cases[i]))
            fail_msg("case %zu, kind %u: fault %s", i, cases[i].kind, in.fault ? in.fault : "-");
        if (got.kind == OMC_ARRAY)
            assert_true(omc_slice_is(got.u.array->items[2].text, "1e1"));
        if (got.kind == OMC_STRUCT)
            assert_true(rc_schema_equal(got.u.object->schema, &schema));
    }
    assert_int_equal(rc_in_left(&in), 0);
}

static void a_schema_keeps_all_its_parts(void **state)
{
    fixture *f = *state;
    static const omc_pair scale = {{"scale", 5}, {"2", 1}};
    static const omc_schema decimal = {.type = OMC_BYTES,
                                       .name = OMC_LOGICAL_DECIMAL,
                                       .has_version = true,
                                       .version = 1,
                                       .doc = "money",
                                       .parameters = {1, &scale}};
    static const omc_schema list = {.type = OMC_ARRAY, .optional = true, .value_schema = &decimal};
    static const omc_schema table = {.type = OMC_MAP,
                                     .key_schema = &line_schema,
                                     .value_schema = &list};
    static const omc_schema count = {.type = OMC_INT32,
                                     .has_default = true,
                                     .default_value = {.kind = OMC_INT32, .u.i64 = 3}};
    static const omc_field inner_fields[] = {{"count", &count}};
    static const omc_value three = {.kind = OMC_INT32, .u.i64 = 4};
    static const omc_schema inner = {.type = OMC_STRUCT, .fields = inner_fields, .field_count = 1};
    static const omc_struct inner_default = {&inner, &three};
    static const omc_schema with_default = {.type = OMC_STRUCT,
                                            .fields = inner_fields,
                                            .field_count = 1,
                                            .has_default = true,
                                            .default_value = {.kind = OMC_STRUCT,
                                                              .u.object = &inner_default}};
    static const omc_field fields[] = {{"price", &decimal},
                                       {"table", &table},
                                       {"inner", &with_default}};
    static const omc_schema schema = {.type = OMC_STRUCT,
                                      .name = "row",
                                      .fields = fields,
                                      .field_count = 3};
    uint32_t id = rc_wire_schema_id(&f->ids, &schema);
    omc_schema copy = schema; /* another address, the same schema */

    assert_null(f->ids.fault);
    assert_int_equal(rc_wire_schema_id(&f->ids, &copy), id);
    assert_null(rc_wire_schemas_define(&f->schemas, rc_buf_slice(&f->ids.defs)));
    assert_true(rc_schema_equal(f->schemas.ids[id].schema, &schema));
    rc_wire_ids_begin(&f->ids);
    assert_int_equal(rc_wire_schema_id(&f->ids, &copy), id);
    assert_int_equal(f->ids.def_count, 0); /* it was sent once */
}

/* Every way a host can be wrong about bytes, and the name it gets. */
static void broken_bytes_are_named(void **state)
{
    static const struct {
        const char *hex, *fault;
    } cases[] = {
        {"", "truncated"},
        {"01 00 00 00", "truncated"},                           /* a record that is not there */
        {"ff ff ff 7f 00 00", "truncated"},                     /* a count no payload can hold */
        {"01 00 00 00 00 40", "bad-record"},                    /* an unknown field */
        {"01 00 00 00 10 00 0f", "bad-value"},                  /* no such tag */
        {"01 00 00 00 10 00 88 00 00 00 00", "bad-value"},      /* text on a STRING */
        {"01 00 00 00 10 00 07 02", "bad-value"},               /* a boolean that is 2 */
        {"01 00 00 00 10 00 08 05 00 00 00 61", "truncated"},   /* STRING of 5 with 1 byte */
        {"01 00 00 00 10 00 0a ff ff ff ff", "truncated"},      /* ARRAY of 4 billion */
        {"01 00 00 00 04 00 09 00 00 00", "unknown-schema"},    /* id 9 */
        {"01 00 00 00 10 00 0d 01 00 00 00", "unknown-schema"}, /* STRUCT of a STRING schema */
        {"01 00 00 00 10 00 0d 00 00 00 00", "unknown-schema"}, /* STRUCT without one */
        {"01 00 00 00 20 00 01 00 00 00", "bad-reference"},     /* map 1 before map 0 */
        {"01 00 00 00 00 04 07 00 00 00", "bad-reference"},     /* text 7 before text 0 */
        {"01 00 00 00 00 04 00 00 00 00 01 00 00 00 ff", "bad-value"}, /* topic not UTF-8 */
        {"05 00 00 00 00 00 00 00 00 00 00 00 00 00", "over-limit"},   /* more than asked for */
    };
    fixture *f = *state;

    assert_null(rc_wire_schemas_define(&f->schemas, bytes_of(f, LINE_SCHEMA)));
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        rc_wire_in in = input(f, bytes_of(f, cases[i].hex));

        assert_int_equal(rc_in_records(&in, &f->batch->pub, 4), 0);
        if (!in.fault || strcmp(in.fault, cases[i].fault) != 0)
            fail_msg("case %zu '%s': fault %s, not %s", i, cases[i].hex,
                     in.fault ? in.fault : "none", cases[i].fault);
        assert_int_equal(f->batch->pub.count, 0);
    }
}

static void nesting_has_an_end(void **state)
{
    fixture *f = *state;

    for (unsigned depth = 64; depth <= 65; depth++) {
        rc_buf_clear(&f->out);
        for (unsigned i = 0; i < depth; i++) {
            rc_out_u8(&f->out, OMC_ARRAY);
            rc_out_u32(&f->out, i + 1 < depth);
        }
        rc_wire_in in = input(f, rc_buf_slice(&f->out));
        omc_value v = rc_in_value(&in, NULL);

        if (depth == 64) {
            assert_null(in.fault);
            assert_int_equal(v.kind, OMC_ARRAY);
        } else {
            assert_string_equal(in.fault, "too-deep");
        }
    }
}

/* A frame of a few bytes an item must not become gigabytes. */
static void memory_has_an_end(void **state)
{
    fixture *f = *state;
    const uint32_t count = 8u << 20;
    char *nulls = omc_alloc0(&f->arena.pub, count + 5);
    rc_wire_in in = input(f, omc_slice_of(nulls, count + 5));

    nulls[0] = OMC_ARRAY;
    for (int i = 0; i < 4; i++)
        nulls[1 + i] = (char)(count >> (8 * i));
    (void)rc_in_value(&in, NULL);
    assert_string_equal(in.fault, "over-limit");
}

static void broken_schemas_are_named(void **state)
{
#define REST "00 00 00 00 00 00 00 00 00 00 00 00"
    static const struct {
        const char *hex, *fault;
    } cases[] = {
        {"01 00 00 00 04 00 00 00 01 00 00 00", "truncated"},
        {"01 00 00 00 22 00 00 00 00 00 00 00 08 00 00 00 00 00 ff ff ff ff ff ff ff ff "
         "00 00 00 00 " REST,
         "bad-schema"}, /* id 0 */
        {"01 00 00 00 22 00 00 00 01 00 00 00 0e 00 00 00 00 00 ff ff ff ff ff ff ff ff "
         "00 00 00 00 " REST,
         "bad-schema"}, /* type 14 */
        {"01 00 00 00 22 00 00 00 01 00 00 00 0a 00 00 00 00 00 ff ff ff ff ff ff ff ff "
         "00 00 00 00 00 00 00 00 00 00 00 00 05 00 00 00",
         "unknown-schema"}, /* items 5 */
        {"01 00 00 00 24 00 00 00 01 00 00 00 03 04 00 00 00 00 ff ff ff ff ff ff ff ff "
         "00 00 00 00 " REST "07 01",
         "bad-schema"}, /* default true of an INT32 */
    };
    fixture *f = *state;

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        const char *fault = rc_wire_schemas_define(&f->schemas, bytes_of(f, cases[i].hex));

        if (!fault || strcmp(fault, cases[i].fault) != 0)
            fail_msg("case %zu: fault %s, not %s", i, fault ? fault : "none", cases[i].fault);
    }
}

static void later_versions_may_add_at_the_end(void **state)
{
    fixture *f = *state;
    rc_wire_in in = input(f, bytes_of(f, "06 00 00 00 01 00 00 00 61 ee 2a"));
    rc_wire_in part = rc_in_enter(&in);

    assert_true(omc_slice_is(rc_in_str(&part), "a"));
    rc_in_leave(&in, &part);
    assert_int_equal(rc_in_u8(&in), 0x2a); /* 0xee belongs to the part and is skipped */
    assert_null(in.fault);
}

static void an_error_is_cleaned_for_people(void **state)
{
    fixture *f = *state;
    rc_wire_in in = input(f, bytes_of(f, "63 00 ff ff ff ff ff ff ff ff ff ff 01 00 00 00 45 "
                                         "03 00 00 00 6e ff 6f 00 00 00 00"));
    rc_wire_error error;
    rc_error err;

    rc_in_error(&in, &error);
    assert_null(in.fault);
    rc_wire_error_take(&error, &err);
    assert_int_equal(err.code, OMC_EINTERNAL); /* code 99 is not known here */
    assert_int_equal(err.flags, OMC_ERR_RETRIABLE | OMC_ERR_FATAL);
    assert_string_equal(err.msg, "E: n\xef\xbf\xbdo");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_documents_batch_is_read),
        TEST(the_documents_batch_is_written),
        TEST(every_kind_of_value_comes_back_as_it_was),
        TEST(a_schema_keeps_all_its_parts),
        TEST(broken_bytes_are_named),
        TEST(nesting_has_an_end),
        TEST(memory_has_an_end),
        TEST(broken_schemas_are_named),
        TEST(later_versions_may_add_at_the_end),
        TEST(an_error_is_cleaned_for_people),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
