/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of the position topic against dumps of a Java worker, and identities as text. Expected
 * bytes are the Java runtime's.
 */
#include "log/rocketmq/internal.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* connector-position-topic of a Java worker (offset 1 and 0 of its dump). */
#define JAVA_KEYS                                                                              \
    "eyJzY2hlbWEiOm51bGwsInBheWxvYWQiOlsiUE9TSVRJT05fQ0hBTkciLCJzcmMxIix7ImZpbGVuYW1lIjoiL3Rt" \
    "cC9wZWVyLXJlc3QtaW4udHh0In1dfQ=="
#define JAVA_BODY "{\"schema\":null,\"payload\":{\"nextPosition\":\"14\"}}"
#define ONLINE_KEYS "eyJzY2hlbWEiOm51bGwsInBheWxvYWQiOlsiT05MSU5FIixudWxsLHt9XX0="
#define ONLINE_BODY "{\"schema\":null,\"payload\":{}}"
#define PARTITION "{\"filename\":\"/tmp/peer-rest-in.txt\"}"

static void assert_slice(rc_slice slice, const char *text)
{
    if (!slice.base || !omc_slice_is(slice, text))
        fail_msg("'" RC_SLICE_FMT "' instead of '%s'", RC_SLICE_ARG(slice), text);
}

static void a_record_of_java_is_read(void **state)
{
    const rmq_message message = {.keys = omc_slice_str(JAVA_KEYS),
                                 .body = omc_slice_str(JAVA_BODY)};
    rc_position_record record;
    rc_arena arena;

    (void)state;
    rc_arena_init(&arena, 1024);
    assert_int_equal(rc_position_parse(&message, &arena.pub, &record), 1);
    assert_slice(record.connector, "src1");
    assert_slice(record.partition, PARTITION);
    assert_slice(record.offset, "{\"nextPosition\":\"14\"}");
    assert_int_equal(record.generation, -1);
    assert_null(record.notes.base);
    rc_arena_release(&arena);
}

static void other_records_are_skipped(void **state)
{
    static const struct {
        const char *keys, *body;
    } cases[] = {
        {ONLINE_KEYS, ONLINE_BODY},
        {"", JAVA_BODY},
        {"not base64 at all", JAVA_BODY},
        {JAVA_KEYS, "not json"},
        {JAVA_KEYS, "[]"},
        {JAVA_KEYS, "{\"schema\":null}"},
        {JAVA_KEYS, "{\"schema\":null,\"payload\":[1]}"},
        {"bnVsbA==", JAVA_BODY}, /* null */
    };

    (void)state;
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        const rmq_message message = {.keys = omc_slice_str(cases[i].keys),
                                     .body = omc_slice_str(cases[i].body)};
        rc_position_record record;
        rc_arena arena;

        rc_arena_init(&arena, 1024);
        if (rc_position_parse(&message, &arena.pub, &record) != 0)
            fail_msg("case %zu is taken for a position", i);
        rc_arena_release(&arena);
    }
}

static void the_key_is_javas(void **state)
{
    rc_arena arena;

    (void)state;
    rc_arena_init(&arena, 1024);
    assert_slice(rc_position_key("src1", omc_slice_str(PARTITION), &arena.pub), JAVA_KEYS);
    rc_arena_release(&arena);
}

/* Written, taken apart as a broker would, and read. */
static void write_and_read(const rc_position_record *record, const char *body)
{
    rc_buf items = RC_BUF(65536);
    rc_position_record back;
    rmq_property properties[8];
    rmq_message message = {.properties = properties};
    rmq_item item;
    rc_slice rest, name, value;
    rc_arena arena;

    rc_arena_init(&arena, 1024);
    rc_position_put(record, rc_position_key("src1", record->partition, &arena.pub), &items,
                    &arena.pub);
    rest = rc_buf_slice(&items);
    assert_int_equal(rmq_item_next(&rest, &item, NULL), 1);
    assert_int_equal(rest.len, 0);
    assert_slice(item.body, body);
    message.body = item.body;
    while (rmq_property_next(&item.properties, &name, &value) > 0) {
        if (omc_slice_is(name, "KEYS"))
            message.keys = value;
        else
            properties[message.property_count++] = (rmq_property){name, value};
    }
    assert_slice(message.keys, JAVA_KEYS);
    assert_int_equal(rc_position_parse(&message, &arena.pub, &back), 1);
    assert_slice(back.connector, "src1");
    assert_slice(back.partition, PARTITION);
    if (record->offset.base)
        assert_slice(back.offset, record->offset.base);
    else
        assert_null(back.offset.base);
    assert_int_equal(back.generation, record->generation);
    if (record->notes.base)
        assert_slice(back.notes, record->notes.base);
    else
        assert_null(back.notes.base);
    rc_buf_release(&items);
    rc_arena_release(&arena);
}

static void what_is_written_is_what_java_reads(void **state)
{
    rc_position_record record = {.partition = omc_slice_str(PARTITION),
                                 .offset = omc_slice_str("{\"nextPosition\":\"14\"}"),
                                 .generation = -1};

    (void)state;
    write_and_read(&record, JAVA_BODY);
    record.generation = 7;
    record.notes = omc_slice_str("[[\"T\",\"broker-0\",3,120]]");
    write_and_read(&record, JAVA_BODY);
    record.offset = omc_slice_of(NULL, 0); /* as Java writes "none" */
    write_and_read(&record, ONLINE_BODY);
}

static void identities_survive_as_text(void **state)
{
    rc_identity identity = {.ordinal = 12};
    char text[RC_ID_TEXT_MAX];
    rc_id id;
    size_t len;

    (void)state;
    for (size_t i = 0; i < sizeof identity.hash; i++)
        identity.hash[i] = (uint8_t)(i * 37 + 251);
    len = rc_id_text(&identity, text);
    assert_int_equal(len, strlen(text));
    assert_true(rc_id_parse(omc_slice_of(text, len), &id));
    assert_memory_equal(id.hash, identity.hash, sizeof id.hash);
    assert_int_equal(id.ordinal, 12);
    assert_false(rc_id_parse(omc_slice_of(text, len - 3), &id)); /* no ordinal */
    assert_false(rc_id_parse(omc_slice_str("%%%%%%%%%%%%%%%%%%%%%%.0"), &id));
    assert_false(rc_id_parse(omc_slice_str(""), &id));
}

/* base64url of known bytes, from RFC 4648: 0xff.. is '_', 0x00.. is 'A'. */
static void identities_are_base64url(void **state)
{
    rc_identity identity = {.ordinal = 4294967295u};
    char text[RC_ID_TEXT_MAX];

    (void)state;
    memset(identity.hash, 0xff, sizeof identity.hash);
    (void)rc_id_text(&identity, text);
    assert_string_equal(text, "_____________________w.4294967295");
    memset(identity.hash, 0, sizeof identity.hash);
    (void)rc_id_text(&identity, text);
    assert_string_equal(text, "AAAAAAAAAAAAAAAAAAAAAA.4294967295");
}

static void identities_depend_on_every_part(void **state)
{
    rc_identity a, b;

    (void)state;
    rc_identity_of("c", omc_slice_str("{}"), omc_slice_str("{\"o\":1}"), &a);
    rc_identity_of("c", omc_slice_str("{}"), omc_slice_str("{\"o\":1}"), &b);
    assert_memory_equal(a.hash, b.hash, sizeof a.hash);
    rc_identity_of("c", omc_slice_str("{}"), omc_slice_str("{\"o\":2}"), &b);
    assert_memory_equal(a.hash, b.hash, RC_IDENTITY_PARTITION);
    assert_memory_not_equal(a.hash, b.hash, sizeof a.hash);
    rc_identity_of("c", omc_slice_str("{}{"), omc_slice_str("\"o\":1}"), &b);
    assert_memory_not_equal(a.hash, b.hash, RC_IDENTITY_PARTITION);
    rc_identity_of("d", omc_slice_str("{}"), omc_slice_str("{\"o\":1}"), &b);
    assert_memory_not_equal(a.hash, b.hash, RC_IDENTITY_PARTITION);
}

static void the_table_finds_what_it_has(void **state)
{
    rc_id_table table = {0};
    rc_identity identity;
    rc_id id;

    (void)state;
    for (uint32_t pass = 0; pass < 2; pass++)
        for (uint32_t i = 0; i < 20000; i++) {
            char offset[32];
            rc_id_entry *entry;

            (void)snprintf(offset, sizeof offset, "%u", i / 2);
            rc_identity_of("c", omc_slice_str("{}"), omc_slice_str(offset), &identity);
            memcpy(id.hash, identity.hash, sizeof id.hash);
            id.ordinal = i % 2;
            entry = rc_ids_find(&table, &id);
            if (pass == 0) {
                assert_null(entry);
                assert_int_equal(rc_ids_add(&table, &id, NULL, 3, i, NULL), 1);
                assert_int_equal(rc_ids_add(&table, &id, NULL, 4, i + 1, NULL), 0);
            } else {
                assert_non_null(entry);
                assert_int_equal(entry->offset, i);
                assert_int_equal(entry->queue, 3);
            }
        }
    rc_ids_release(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_of_java_is_read),
        cmocka_unit_test(other_records_are_skipped),
        cmocka_unit_test(the_key_is_javas),
        cmocka_unit_test(what_is_written_is_what_java_reads),
        cmocka_unit_test(identities_survive_as_text),
        cmocka_unit_test(identities_are_base64url),
        cmocka_unit_test(identities_depend_on_every_part),
        cmocka_unit_test(the_table_finds_what_it_has),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
