/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The built-in transforms, set up through a chain as a user does it. What they do follows the
 * Java runtime's transforms and the differences their option tables tell of.
 */
#include "transform_unit.h"

#define T "org.apache.rocketmq.connect.transforms."

static const struct case_row {
    const char *from, *to, *name, *expected;
} case_rows[] = {
#include "case_format.inc"
};

static const omc_schema string_schema = {.type = OMC_STRING, .optional = true};
static const omc_schema int_schema = {.type = OMC_INT32};
static const omc_field user_fields[] = {{"userId", &int_schema}, {"firstName", &string_schema}};
static const omc_schema user_schema = {.type = OMC_STRUCT,
                                       .optional = true,
                                       .has_version = true,
                                       .version = 4,
                                       .name = "User",
                                       .doc = "A user",
                                       .field_count = 2,
                                       .fields = user_fields};
static const omc_field order_fields[] = {{"orderId", &int_schema}, {"user", &user_schema}};
static const omc_schema order_schema = {.type = OMC_STRUCT,
                                        .name = "Order",
                                        .field_count = 2,
                                        .fields = order_fields};

static rc_arena arena;

static int make_arena(void **state)
{
    (void)state;
    rc_arena_init(&arena, 4096);
    return 0;
}

static int drop_arena(void **state)
{
    (void)state;
    rc_arena_release(&arena);
    return 0;
}

/** User {1, "Ann"}. */
static omc_value user(void)
{
    omc_value *values = omc_alloc(&arena.pub, 2 * sizeof *values);

    values[0] = omc_integer(OMC_INT32, 1);
    values[1] = unit_text("Ann");
    return unit_struct(&arena.pub, &user_schema, values);
}

static omc_record user_record(void)
{
    omc_record record = unit_record(&arena.pub);

    record.value = user();
    record.schema = &user_schema;
    return record;
}

static omc_record order_record(omc_value inner)
{
    omc_value *values = omc_alloc(&arena.pub, 2 * sizeof *values);
    omc_record record = unit_record(&arena.pub);

    values[0] = omc_integer(OMC_INT32, 5);
    values[1] = inner;
    record.value = unit_struct(&arena.pub, &order_schema, values);
    record.schema = &order_schema;
    return record;
}

/** A record whose value is a map. */
#define MAP_RECORD(...) map_record((const char *const[]){__VA_ARGS__, NULL})
static omc_record map_record(const char *const *texts)
{
    const char *keys[8];
    omc_value values[8];
    omc_record record = unit_record(&arena.pub);
    size_t count = 0;

    for (; texts[2 * count]; count++) {
        keys[count] = texts[2 * count];
        values[count] = unit_text(texts[2 * count + 1]);
    }
    record.value = unit_map(&arena.pub, count, keys, values);
    return record;
}

static void apply_ok(rc_chain *chain, omc_record *record)
{
    rc_error err = {0};

    if (rc_chain_apply(chain, 0, record, &arena.pub, &err) != 0)
        fail_msg("%s", err.msg);
}

/** The error of a transform; the record must be as before. */
static const char *apply_fails(rc_chain *chain, omc_record *record)
{
    omc_record before = *record;
    rc_error err = {0};

    assert_int_equal(rc_chain_apply(chain, 0, record, &arena.pub, &err), -OMC_EFORMAT);
    assert_memory_equal(record, &before, sizeof before);
    return omc_copy(&arena.pub, err.msg, strlen(err.msg));
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("'%s' lacks '%s'", text, part);
}

static bool map_has(const omc_record *record, const char *key, const char *text)
{
    const omc_value *value = omc_map_get(record->value.u.map, key);

    return value && value->kind == OMC_STRING && omc_slice_is(value->u.bytes, text);
}

static const char *field_name(const omc_record *record, size_t i)
{
    return record->schema->fields[i].name;
}

/* ---- ChangeCase --------------------------------------------------------------------------- */

static void case_is_guavas(void **state)
{
    rc_chain *chain = NULL;
    const char *from = "", *to = "";

    (void)state;
    for (size_t i = 0; i < RC_COUNT(case_rows); i++) {
        const struct case_row *row = &case_rows[i];
        omc_record record = MAP_RECORD(row->name, "v");
        const omc_value *key;

        if (strcmp(from, row->from) != 0 || strcmp(to, row->to) != 0) {
            rc_chain_free(chain);
            chain = CHAIN(&arena.pub, T "ChangeCase$Value", "from", row->from, "to", row->to);
            from = row->from;
            to = row->to;
        }
        apply_ok(chain, &record);
        key = &record.value.u.map->entries[0].key;
        if (!omc_slice_is(key->u.bytes, row->expected))
            fail_msg("%s to %s: '%s' became '%.*s', Guava gives '%s'", from, to, row->name,
                     (int)key->u.bytes.len, key->u.bytes.base, row->expected);
    }
    rc_chain_free(chain);
}

static void case_renames_structs_and_shares_values(void **state)
{
    RC_AUTO(rc_chain)
    chain =
        CHAIN(&arena.pub, T "ChangeCase$Value", "from", "LOWER_CAMEL", "to", "LOWER_UNDERSCORE");
    omc_record record = user_record(), before = record, again;

    (void)state;
    apply_ok(chain, &record);
    unit_kept(&record, &before);
    assert_string_equal(field_name(&record, 0), "user_id");
    assert_string_equal(field_name(&record, 1), "first_name");
    assert_string_equal(record.schema->name, "User");
    assert_string_equal(record.schema->doc, "A user");
    assert_int_equal(record.schema->version, 4);
    assert_true(record.schema->optional);
    assert_ptr_equal(record.value.u.object->schema, record.schema);
    assert_ptr_equal(record.value.u.object->values, before.value.u.object->values);
    again = user_record();
    apply_ok(chain, &again);
    assert_ptr_equal(again.schema, record.schema); /* Built once. */
}

static void case_works_on_keys_only_when_told(void **state)
{
    RC_AUTO(rc_chain)
    chain = CHAIN(&arena.pub, "change-case-key", "from", "LOWER_CAMEL", "to", "UPPER_UNDERSCORE");
    omc_record record = MAP_RECORD("someField", "v");

    (void)state;
    record.key = user();
    record.key_schema = &user_schema;
    apply_ok(chain, &record);
    assert_string_equal(record.key_schema->fields[0].name, "USER_ID");
    assert_true(map_has(&record, "someField", "v"));
    assert_null(record.schema);
}

static void null_passes_everywhere(void **state)
{
    static const struct {
        const char *class_name;
        const char *keys[7];
    } rows[] = {
        {T "ChangeCase$Value", {"from", "LOWER_CAMEL", "to", "UPPER_CAMEL"}},
        {T "ExtractNestedField$Value",
         {"input.outer.field.name", "a", "input.inner.field.name", "b"}},
        {T "PatternFilter$Value", {"pattern", ".*", "fields", "a"}},
        {T "PatternRename$Value", {"field.pattern", "a", "field.replacement", "b"}},
        {T "SetMaximumPrecision$Value", {"precision.max", "10"}},
        {T "SetNull$Value", {NULL}},
        {T "RegexRouter", {"regex", "x", "replacement", "y"}},
        {"org.apache.rocketmq.connect.file.FilterTransform", {NULL}},
    };

    (void)state;
    for (size_t i = 0; i < RC_COUNT(rows); i++) {
        RC_AUTO(rc_chain) chain = unit_chain(&arena.pub, rows[i].class_name, rows[i].keys);
        omc_record record = unit_record(&arena.pub), before = record;

        apply_ok(chain, &record);
        assert_memory_equal(&record, &before, sizeof before);
    }
}

static void text_is_refused_with_the_cure(void **state)
{
    static const struct {
        const char *class_name;
        const char *keys[7];
    } rows[] = {
        {T "ChangeCase$Value", {"from", "LOWER_CAMEL", "to", "UPPER_CAMEL"}},
        {T "ExtractNestedField$Value",
         {"input.outer.field.name", "a", "input.inner.field.name", "b"}},
        {T "PatternFilter$Value", {"pattern", ".*", "fields", "a"}},
        {T "PatternRename$Value", {"field.pattern", "a", "field.replacement", "b"}},
        {T "SetMaximumPrecision$Value", {"precision.max", "10"}},
    };

    (void)state;
    for (size_t i = 0; i < RC_COUNT(rows); i++) {
        RC_AUTO(rc_chain) chain = unit_chain(&arena.pub, rows[i].class_name, rows[i].keys);
        omc_record record = unit_record(&arena.pub);
        const char *msg;

        record.value = unit_text("a line");
        msg = apply_fails(chain, &record);
        assert_has(msg, "transform 't'");
        assert_has(msg, rows[i].class_name);
        assert_has(msg, "the value of this record is of type string");
        assert_has(msg, "set value.converter");
        record.value = omc_bytes(omc_slice_str("\xff\x00"));
        assert_has(apply_fails(chain, &record), "of type bytes");
    }
}

static void same_name_twice_is_an_error(void **state)
{
    RC_AUTO(rc_chain)
    chain =
        CHAIN(&arena.pub, T "ChangeCase$Value", "from", "LOWER_CAMEL", "to", "LOWER_UNDERSCORE");
    omc_record record = MAP_RECORD("orderId", "1", "order_id", "2");

    (void)state;
    assert_has(apply_fails(chain, &record), "the same name 'order_id'");
}

/* ---- ExtractNestedField ------------------------------------------------------------------- */

static void extract_appends_to_a_struct(void **state)
{
    RC_AUTO(rc_chain)
    chain = CHAIN(&arena.pub, T "ExtractNestedField$Value", "input.outer.field.name", "user",
                  "input.inner.field.name", "userId");
    omc_record record = order_record(user()), before = record;

    (void)state;
    apply_ok(chain, &record);
    unit_kept(&record, &before);
    assert_int_equal(record.schema->field_count, 3);
    assert_string_equal(field_name(&record, 2), "userId");
    assert_int_equal(record.schema->fields[2].schema->type, OMC_INT32);
    assert_true(record.schema->fields[2].schema->optional); /* `user` may be null. */
    assert_int_equal(record.value.u.object->values[2].u.i64, 1);
    assert_int_equal(record.value.u.object->values[0].u.i64, 5);
    assert_int_equal(rc_value_check(record.schema, &record.value, NULL), 0);
    record = order_record(omc_null());
    apply_ok(chain, &record);
    assert_int_equal(record.value.u.object->values[2].kind, OMC_NULL);
    assert_int_equal(rc_value_check(record.schema, &record.value, NULL), 0);
}

static void extract_honours_the_output_name(void **state)
{
    RC_AUTO(rc_chain)
    chain = CHAIN(&arena.pub, T "ExtractNestedField$Value", "input.outer.field.name", "user",
                  "input.inner.field.name", "userId", "output.field.name", "uid");
    RC_AUTO(rc_chain)
    clash = CHAIN(&arena.pub, T "ExtractNestedField$Value", "input.outer.field.name", "user",
                  "input.inner.field.name", "userId", "output.field.name", "orderId");
    RC_AUTO(rc_chain)
    missing = CHAIN(&arena.pub, T "ExtractNestedField$Value", "input.outer.field.name", "usr",
                    "input.inner.field.name", "userId");
    omc_record record = order_record(user());

    (void)state;
    assert_has(apply_fails(clash, &record), "set 'output.field.name'");
    assert_has(apply_fails(missing, &record), "schema 'Order' has no field 'usr'");
    apply_ok(chain, &record);
    assert_string_equal(field_name(&record, 2), "uid");
}

static void extract_works_on_maps(void **state)
{
    static const char *const inner_names[] = {"id"}, *const names[] = {"a", "u"};
    RC_AUTO(rc_chain)
    chain = CHAIN(&arena.pub, "extract-nested-field-value", "input.outer.field.name", "u",
                  "input.inner.field.name", "id");
    omc_value id = unit_text("7"), values[2];
    omc_record record = MAP_RECORD("a", "1"), before = record;

    (void)state;
    apply_ok(chain, &record); /* No field `u`: unchanged. */
    assert_memory_equal(&record, &before, sizeof before);
    values[0] = unit_text("1");
    values[1] = unit_map(&arena.pub, 1, inner_names, &id);
    record.value = unit_map(&arena.pub, 2, names, values);
    apply_ok(chain, &record);
    assert_int_equal(record.value.u.map->count, 3);
    assert_true(map_has(&record, "id", "7"));
    record = MAP_RECORD("u", "text");
    assert_has(apply_fails(chain, &record), "is of type string and has no fields");
}

/* ---- PatternFilter, PatternRename --------------------------------------------------------- */

static void filter_drops_full_matches(void **state)
{
    RC_AUTO(rc_chain)
    chain = CHAIN(&arena.pub, T "PatternFilter$Value", "pattern", "test.*", "fields",
                  "name, firstName");
    static const struct {
        const char *key, *value;
        int expected;
    } rows[] = {
        {"name", "test", OMC_DROP}, {"name", "test-1", OMC_DROP},      {"name", "a test", 0},
        {"other", "test", 0},       {"firstName", "tester", OMC_DROP},
    };
    omc_record record;
    rc_error err = {0};

    (void)state;
    for (size_t i = 0; i < RC_COUNT(rows); i++) {
        record = MAP_RECORD(rows[i].key, rows[i].value);
        assert_int_equal(rc_chain_apply(chain, 0, &record, &arena.pub, &err), rows[i].expected);
    }
    record = user_record(); /* firstName = Ann; userId is no text. */
    assert_int_equal(rc_chain_apply(chain, 0, &record, &arena.pub, &err), 0);
}

static void filter_reports_a_pattern_that_runs_away(void **state)
{
    RC_AUTO(rc_chain)
    chain = CHAIN(&arena.pub, T "PatternFilter$Value", "pattern", "(a+)+$", "fields", "f");
    omc_record record = MAP_RECORD("f", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab");

    (void)state;
    assert_has(apply_fails(chain, &record), "field 'f': regex '(a+)+$' gave up");
}

static void rename_replaces_every_match(void **state)
{
    RC_AUTO(rc_chain)
    chain = CHAIN(&arena.pub, T "PatternRename$Value", "field.pattern", "^FIRST(\\w+)|id",
                  "field.pattern.flags", "CASE_INSENSITIVE", "field.replacement", "_$1");
    omc_record record = user_record(), before = record;

    (void)state;
    apply_ok(chain, &record);
    unit_kept(&record, &before);
    assert_string_equal(field_name(&record, 0), "user_");
    assert_string_equal(field_name(&record, 1), "_Name");
    record = MAP_RECORD("id", "1", "idid", "2", "x", "3");
    apply_ok(chain, &record);
    assert_true(map_has(&record, "_", "1"));
    assert_true(map_has(&record, "__", "2"));
    assert_true(map_has(&record, "x", "3"));
    record = MAP_RECORD("id", "1", "_", "2");
    assert_has(apply_fails(chain, &record), "the same name '_'");
}

static void untouched_records_stay_the_same(void **state)
{
    RC_AUTO(rc_chain)
    chain = CHAIN(&arena.pub, T "PatternRename$Value", "field.pattern", "nothing",
                  "field.replacement", "x");
    omc_record record = user_record(), before = record;

    (void)state;
    apply_ok(chain, &record);
    apply_ok(chain, &record);
    assert_memory_equal(&record, &before, sizeof before);
}

/* ---- SetMaximumPrecision, SetNull, RegexRouter, FilterTransform ---------------------------- */

static omc_schema decimal_schema(const char *precision)
{
    omc_schema schema = {.type = OMC_BYTES,
                         .name = OMC_LOGICAL_DECIMAL,
                         .has_version = true,
                         .version = 1};

    schema.parameters =
        *(precision ? PAIRS(&arena.pub, "scale", "2", "connect.decimal.precision", precision)
                    : PAIRS(&arena.pub, "scale", "2"));
    return schema;
}

static const char *parameter_of(const omc_record *record, size_t i, const char *name)
{
    return rc_kv_text(&record->schema->fields[i].schema->parameters, name, "none", &arena.pub);
}

static void precision_is_lowered(void **state)
{
    RC_AUTO(rc_chain)
    chain = CHAIN(&arena.pub, T "SetMaximumPrecision$Value", "precision.max", "20");
    omc_schema high = decimal_schema("38"), low = decimal_schema("10"), none = decimal_schema(NULL),
               bad = decimal_schema("many");
    omc_field fields[] = {{"high", &high}, {"low", &low}, {"none", &none}, {"n", &int_schema}};
    omc_schema schema = {.type = OMC_STRUCT, .name = "S", .field_count = 4, .fields = fields};
    omc_value values[4] = {omc_bytes(omc_slice_str("a")), omc_bytes(omc_slice_str("b")),
                           omc_bytes(omc_slice_str("c")), omc_integer(OMC_INT32, 1)};
    omc_record record = unit_record(&arena.pub), before;

    (void)state;
    record.value = unit_struct(&arena.pub, &schema, values);
    record.schema = &schema;
    before = record;
    apply_ok(chain, &record);
    unit_kept(&record, &before);
    assert_string_equal(parameter_of(&record, 0, "connect.decimal.precision"), "20");
    assert_string_equal(parameter_of(&record, 1, "connect.decimal.precision"), "10");
    assert_string_equal(parameter_of(&record, 2, "connect.decimal.precision"),
                        "20"); /* Absent counts as 64. */
    assert_string_equal(parameter_of(&record, 0, "scale"), "2");
    assert_false(record.schema->fields[0].schema->optional);
    assert_true(rc_schema_equal(record.schema->fields[3].schema, &int_schema));
    assert_ptr_equal(record.value.u.object->values, values);
    fields[0].schema = &bad;
    record = before;
    assert_has(apply_fails(chain, &record), "field 'high'");
}

static void set_null_keeps_extensions(void **state)
{
    RC_AUTO(rc_chain) key = CHAIN(&arena.pub, T "SetNull$Key", "field.pattern", ".*");
    RC_AUTO(rc_chain) value = CHAIN(&arena.pub, T "SetNull$Value", "field.pattern", ".*");
    omc_record record = user_record(), before;

    (void)state;
    record.key = unit_text("k");
    record.key_schema = &string_schema;
    before = record;
    apply_ok(key, &record);
    unit_kept(&record, &before);
    assert_int_equal(record.key.kind, OMC_NULL);
    assert_null(record.key_schema);
    assert_int_equal(record.value.kind, OMC_STRUCT);
    apply_ok(value, &record);
    unit_kept(&record, &before);
    assert_int_equal(record.value.kind, OMC_NULL);
    assert_null(record.schema);
}

static void router_changes_the_target_topic(void **state)
{
    RC_AUTO(rc_chain)
    chain =
        CHAIN(&arena.pub, T "RegexRouter", "regex", "db\\.(\\w+)\\.(\\w+)", "replacement", "$1_$2");
    static const struct {
        const char *topic, *extension, *expected, *expected_extension;
    } rows[] = {
        {"db.shop.orders", NULL, "shop_orders", NULL},
        {"xdb.shop.orders", NULL, "xdb.shop.orders", NULL},
        {NULL, "db.shop.orders", "shop_orders", "shop_orders"},
        {"db.a.b", "db.c.d", "a_b", "db.c.d"},
        {NULL, "other", NULL, "other"},
        {NULL, NULL, NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < RC_COUNT(rows); i++) {
        omc_record record = unit_record(&arena.pub);
        const omc_slice *extension;

        record.topic = rows[i].topic;
        if (rows[i].extension)
            record.extensions = PAIRS(&arena.pub, "a", "b", "topic", rows[i].extension);
        apply_ok(chain, &record);
        if (rows[i].expected)
            assert_string_equal(record.topic, rows[i].expected);
        else
            assert_null(record.topic);
        extension = omc_keyvalue_get(record.extensions, "topic");
        assert_true(rows[i].expected_extension
                        ? extension && omc_slice_is(*extension, rows[i].expected_extension)
                        : !extension);
    }
}

static void router_refuses_an_empty_topic(void **state)
{
    RC_AUTO(rc_chain)
    chain = CHAIN(&arena.pub, "regex-router", "regex", "a(b?)", "replacement", "$1");
    omc_record record = unit_record(&arena.pub);

    (void)state;
    record.topic = "a";
    assert_has(apply_fails(chain, &record), "would become empty");
    record.topic = "ab";
    apply_ok(chain, &record);
    assert_string_equal(record.topic, "b");
}

static void file_filter_appends_to_the_text(void **state)
{
    RC_AUTO(rc_chain)
    chain = unit_chain(&arena.pub, "org.apache.rocketmq.connect.file.FilterTransform",
                       (const char *const[]){NULL});
    omc_record record = unit_record(&arena.pub);

    (void)state;
    record.value = unit_text("line");
    record.schema = &string_schema;
    apply_ok(chain, &record);
    assert_true(omc_slice_is(record.value.u.bytes, "line:filter"));
    assert_ptr_equal(record.schema, &string_schema);
    record.value = omc_integer(OMC_INT32, 12);
    record.schema = &int_schema;
    apply_ok(chain, &record);
    assert_true(omc_slice_is(record.value.u.bytes, "12:filter"));
    assert_int_equal(record.schema->type, OMC_STRING);
}

/* ---- the cache of schemas ----------------------------------------------------------------- */

/** Another batch may put another schema at the same place: contents count, not pointers. */
static void schemas_are_known_by_content(void **state)
{
    RC_AUTO(rc_chain)
    chain =
        CHAIN(&arena.pub, T "ChangeCase$Value", "from", "LOWER_CAMEL", "to", "LOWER_UNDERSCORE");
    char name[16] = "fieldA";
    omc_field field = {name, &string_schema};
    omc_schema schema = {.type = OMC_STRUCT, .field_count = 1, .fields = &field};
    omc_value value = unit_text("v");

    (void)state;
    for (int i = 0; i < 200; i++) { /* More than are remembered. */
        omc_record record = unit_record(&arena.pub);
        char expected[16];

        snprintf(name, sizeof name, "fieldX%d", i % 150);
        snprintf(expected, sizeof expected, "field_x%d", i % 150);
        record.value = unit_struct(&arena.pub, &schema, &value);
        record.schema = &schema;
        apply_ok(chain, &record);
        assert_string_equal(field_name(&record, 0), expected);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_arena, drop_arena)
    const struct CMUnitTest tests[] = {
        TEST(case_is_guavas),
        TEST(case_renames_structs_and_shares_values),
        TEST(case_works_on_keys_only_when_told),
        TEST(null_passes_everywhere),
        TEST(text_is_refused_with_the_cure),
        TEST(same_name_twice_is_an_error),
        TEST(extract_appends_to_a_struct),
        TEST(extract_honours_the_output_name),
        TEST(extract_works_on_maps),
        TEST(filter_drops_full_matches),
        TEST(filter_reports_a_pattern_that_runs_away),
        TEST(rename_replaces_every_match),
        TEST(untouched_records_stay_the_same),
        TEST(precision_is_lowered),
        TEST(set_null_keeps_extensions),
        TEST(router_changes_the_target_topic),
        TEST(router_refuses_an_empty_topic),
        TEST(file_filter_appends_to_the_text),
        TEST(schemas_are_known_by_content),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
