/* SPDX-License-Identifier: Apache-2.0 */
/* Records to messages and back; the copied message is one a Java worker stored. */
#include "record_unit.h"

#include "base/utf8.h"
#include "record/json.h"
#include "record/message.h"

#define PAIR(k, v)             \
    {                          \
        {(k), sizeof(k) - 1},  \
        {                      \
            (v), sizeof(v) - 1 \
        }                      \
    }

struct rig {
    rc_arena arena;
    rc_converter *string, *json, *number;
};

static int rig_setup(void **state)
{
    static const char *const plain[] = {"value.converter.schemas.enable=false", NULL};
    struct rig *rig = rc_calloc(1, sizeof *rig);

    rc_arena_init(&rig->arena, 4096);
    rig->string = make_converter("string", false, NULL, &rig->arena.pub);
    rig->json = make_converter("json", false, plain, &rig->arena.pub);
    rig->number = make_converter("int32", true, NULL, &rig->arena.pub);
    *state = rig;
    return 0;
}

static int rig_teardown(void **state)
{
    struct rig *rig = *state;

    rc_converter_free(rig->string);
    rc_converter_free(rig->json);
    rc_converter_free(rig->number);
    rc_arena_release(&rig->arena);
    free(rig);
    return 0;
}

#define RIG_TEST(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

static omc_record record_of(const char *value)
{
    return (omc_record){.timestamp_ms = OMC_NO_TIMESTAMP,
                        .value = omc_string(text(value)),
                        .queue = -1};
}

/** "k=v;" of all properties in order. */
static const char *properties_of(const rc_message *message, omc_arena *arena)
{
    rc_buf out = RC_BUF(1 << 16);
    const char *result;

    for (size_t i = 0; i < message->property_count; i++)
        rc_buf_printf(&out, RC_SLICE_FMT "=" RC_SLICE_FMT ";",
                      RC_SLICE_ARG(message->properties[i].key),
                      RC_SLICE_ARG(message->properties[i].value));
    result = omc_copy(arena, out.data, out.len);
    rc_buf_release(&out);
    return result;
}

static rc_message write_record(struct rig *rig, const omc_record *record)
{
    rc_message message;
    rc_side side = 0;
    rc_error err = {0};

    if (rc_message_from_record(record, "t", rig->string, rig->string, 1234, &rig->arena.pub,
                               &message, &side, &err) < 0)
        fail_msg("%s", err.msg);
    return message;
}

/* ---- record to message --------------------------------------------------------------------- */

/** The common record: nothing but a body, and not a byte allocated. */
static void plain_record(void **state)
{
    struct rig *rig = *state;
    omc_record record = record_of("a line");
    char *before = rig->arena.pub.cur;
    rc_message message = write_record(rig, &record);

    assert_ptr_equal(message.body.base, record.value.u.bytes.base);
    assert_int_equal(message.body.len, 6);
    assert_null(message.keys.base);
    assert_null(message.tags.base);
    assert_int_equal(message.property_count, 0);
    assert_int_equal(message.born_ms, 1234);
    assert_ptr_equal(rig->arena.pub.cur, before);
}

static void record_with_everything(void **state)
{
    static const omc_pair extensions[] = {PAIR("topic", "elsewhere"), PAIR("TAGS", "tagA"),
                                          PAIR("a", "b")};
    static const omc_pair with_keys[] = {PAIR("KEYS", "from extension")};
    static const omc_pair raw[] = {PAIR("connect-ext-a", "raw wins"), PAIR("CLUSTER", "c"),
                                   PAIR("TAGS", "raw tag"), PAIR("KEYS", "raw key")};
    static const omc_keyvalue list = {3, extensions}, keys = {1, with_keys}, copied = {4, raw};
    static const omc_keyvalue none = {0, NULL};
    struct rig *rig = *state;
    omc_arena *arena = &rig->arena.pub;
    omc_record record = record_of("v");
    rc_message message;

    record.key = omc_string(text("k1"));
    record.timestamp_ms = 1795365837859;
    record.born_ms = 99;
    record.flag = 7;
    message = write_record(rig, &record);
    assert_true(omc_slice_is(message.keys, "k1"));
    /* Java: no extension, no properties, not even the time. */
    assert_int_equal(message.property_count, 0);
    assert_int_equal(message.born_ms, 99);
    assert_int_equal(message.flag, 7);

    record.extensions = &none;
    assert_int_equal(write_record(rig, &record).property_count, 0);

    record.extensions = &list;
    message = write_record(rig, &record);
    assert_true(omc_slice_is(message.keys, "k1"));
    assert_true(omc_slice_is(message.tags, "tagA"));
    assert_string_equal(
        properties_of(&message, arena),
        "connect.timestamp=1795365837859;connect-ext-topic=elsewhere;connect-ext-a=b;");

    record.extensions = &keys;
    record.timestamp_ms = OMC_NO_TIMESTAMP;
    message = write_record(rig, &record);
    assert_true(omc_slice_is(message.keys, "from extension"));
    assert_int_equal(message.property_count, 0);

    record.extensions = &list;
    record.properties = &copied;
    message = write_record(rig, &record);
    assert_true(omc_slice_is(message.keys, "raw key"));
    assert_true(omc_slice_is(message.tags, "tagA"));
    assert_string_equal(properties_of(&message, arena),
                        "connect-ext-a=raw wins;CLUSTER=c;connect-ext-topic=elsewhere;");
}

static void tombstone(void **state)
{
    struct rig *rig = *state;
    omc_record record = record_of("");
    rc_message message;

    assert_non_null(write_record(rig, &record).body.base); /* Empty is not null. */
    record.value = omc_null();
    record.key = omc_string(text("k"));
    message = write_record(rig, &record);
    assert_null(message.body.base);
    assert_true(omc_slice_is(message.keys, "k"));
}

static void failing_side(void **state)
{
    struct rig *rig = *state;
    omc_record record = record_of("v");
    rc_message message;
    rc_side side = 0;
    rc_error err = {0};

    record.key = omc_string(text("no number"));
    assert_int_equal(rc_message_from_record(&record, "t", rig->number, rig->string, 0,
                                            &rig->arena.pub, &message, &side, &err),
                     -OMC_EFORMAT);
    assert_int_equal(side, RC_SIDE_KEY);
    record.key = omc_null();
    assert_int_equal(rc_message_from_record(&record, "t", rig->number, rig->number, 0,
                                            &rig->arena.pub, &message, &side, &err),
                     -OMC_EFORMAT);
    assert_int_equal(side, RC_SIDE_VALUE);
}

static void target_topic(void **state)
{
    static const omc_pair extension[] = {PAIR("topic", "from extension")};
    static const omc_pair blank[] = {PAIR("topic", " \t")};
    static const omc_keyvalue list = {1, extension}, empty = {1, blank};
    struct rig *rig = *state;
    omc_arena *arena = &rig->arena.pub;
    omc_record record = record_of("v");

    assert_null(rc_record_topic(&record, NULL, arena));
    assert_string_equal(rc_record_topic(&record, "fallback", arena), "fallback");
    record.extensions = &empty;
    assert_string_equal(rc_record_topic(&record, "fallback", arena), "fallback");
    record.extensions = &list;
    assert_string_equal(rc_record_topic(&record, "fallback", arena), "from extension");
    record.topic = "own";
    assert_string_equal(rc_record_topic(&record, "fallback", arena), "own");
}

/* ---- message to record --------------------------------------------------------------------- */

static rc_origin origin_of(struct rig *rig)
{
    return (rc_origin){"kt", "broker-a", 3,
                       rc_origin_partition("kt", "broker-a", 3, &rig->arena.pub)};
}

static const char *extensions_of(const omc_record *record, omc_arena *arena)
{
    rc_message shown = {0};

    if (!record->extensions)
        return NULL;
    shown.properties = record->extensions->pairs;
    shown.property_count = record->extensions->count;
    return properties_of(&shown, arena);
}

static omc_record read_message(struct rig *rig, const rc_message *message)
{
    rc_origin origin = origin_of(rig);
    omc_record record = {.timestamp_ms = OMC_NO_TIMESTAMP, .queue = -1};
    rc_side side = 0;
    rc_error err = {0};

    if (rc_message_to_record(message, &origin, rig->string, rig->string, &rig->arena.pub, &record,
                             &side, &err) < 0)
        fail_msg("%s", err.msg);
    return record;
}

static void plain_message(void **state)
{
    struct rig *rig = *state;
    rc_message message = {.body = text("one"), .born_ms = 1795365837961, .offset = 17, .flag = 2};
    omc_record record = read_message(rig, &message);

    assert_ptr_equal(record.value.u.bytes.base, message.body.base);
    assert_int_equal(record.value.kind, OMC_STRING);
    assert_int_equal(record.key.kind, OMC_NULL);
    assert_null(record.extensions);
    assert_int_equal(record.timestamp_ms, 1795365837961);
    assert_int_equal(record.born_ms, 1795365837961);
    assert_int_equal(record.queue, 3);
    assert_int_equal(record.flag, 2);
    assert_string_equal(record.topic, "kt");
    assert_string_equal(rc_json_of_map(record.position.partition, &rig->arena.pub).base,
                        "{\"brokerName\":\"broker-a\",\"queueId\":\"3\",\"topic\":\"kt\"}");
    assert_string_equal(rc_json_of_offset(&record.position, &rig->arena.pub).base,
                        "{\"queueOffset\":17}");
}

/** The replicated message of a real Java cluster. */
static void java_message(void **state)
{
    static const omc_pair properties[] = {
        PAIR("CLUSTER", "DefaultCluster"),
        PAIR("MAX_OFFSET", "1"),
        PAIR("MIN_OFFSET", "0"),
        PAIR("MSG_REGION", "DefaultRegion"),
        PAIR("TRACE_ON", "true"),
        PAIR("UNIQ_KEY", "FD00000000000000000000000000000248E030946E096FF1A4130000"),
        PAIR("WAIT", "true"),
        PAIR("a", "b"),
        PAIR("connect-ext-x", "y"),
        PAIR("connect-ext-connect-ext-z", "twice"),
        PAIR("connect.timestamp", "1795369307173"),
    };
    struct rig *rig = *state;
    rc_message message = {.body = text("body with key"),
                          .keys = text("key1 key2"),
                          .tags = text("tagA"),
                          .properties = properties,
                          .property_count = RC_COUNT(properties),
                          .born_ms = 1795369307184,
                          .message_id = text("7F000001")};
    omc_record record = read_message(rig, &message);

    assert_int_equal(record.timestamp_ms, 1795369307173);
    assert_int_equal(record.born_ms, 1795369307184);
    assert_true(omc_slice_is(record.key.u.bytes, "key1 key2"));
    assert_string_equal(
        extensions_of(&record, &rig->arena.pub),
        "KEYS=key1 key2;MQ-SYS-TAGS=tagA;CLUSTER=DefaultCluster;MQ-SYS-MAX_OFFSET=1;"
        "MQ-SYS-MIN_OFFSET=0;MQ-SYS-MSG_REGION=DefaultRegion;MQ-SYS-TRACE_ON=true;"
        "MQ-SYS-UNIQ_KEY=FD00000000000000000000000000000248E030946E096FF1A4130000;"
        "MQ-SYS-WAIT=true;a=b;x=y;connect-ext-z=twice;connect.timestamp=1795369307173;"
        "MQ-SYS-MSG_ID=7F000001;");
}

static void odd_messages(void **state)
{
    static const omc_pair bad_time[] = {PAIR("connect.timestamp", "yesterday")};
    struct rig *rig = *state;
    rc_message message = {.keys = text(" "), .born_ms = 5, .properties = bad_time};
    omc_record record;

    message.property_count = 1;
    record = read_message(rig, &message);
    assert_int_equal(record.value.kind, OMC_NULL); /* Tombstone. */
    assert_int_equal(record.key.kind, OMC_NULL);   /* Blank KEYS are no key. */
    assert_int_equal(record.timestamp_ms, 5);
}

/** A body that cannot be read: the record still says where it came from. */
static void unreadable_message(void **state)
{
    static const omc_pair properties[] = {PAIR("a", "b")};
    struct rig *rig = *state;
    rc_origin origin = origin_of(rig);
    rc_message message = {.body = text("{not json"), .offset = 8, .properties = properties};
    omc_record record = {0};
    rc_side side = 0;
    rc_error err = {0};

    message.property_count = 1;
    assert_int_equal(rc_message_to_record(&message, &origin, rig->string, rig->json,
                                          &rig->arena.pub, &record, &side, &err),
                     -OMC_EFORMAT);
    assert_int_equal(side, RC_SIDE_VALUE);
    assert_int_equal(record.position.counter, 8);
    assert_string_equal(record.topic, "kt");
    assert_string_equal(extensions_of(&record, &rig->arena.pub), "a=b;");

    message.keys = text("not four bytes");
    assert_int_equal(rc_message_to_record(&message, &origin, rig->number, rig->json,
                                          &rig->arena.pub, &record, &side, &err),
                     -OMC_EFORMAT);
    assert_int_equal(side, RC_SIDE_KEY);
}

/* ---- Java's hash --------------------------------------------------------------------------- */

/** new String(bytes, UTF_8).hashCode() of OpenJDK 17. */
static void java_hashes(void **state)
{
    static const struct {
        const char *hex;
        int32_t hash;
    } cases[] = {
        {"", 0},
        {"61", 97},
        {"68656c6c6f", 99162322},
        {"6b657931206b657932", 1255518049},
        {"6f726465722d34373131", 708276994},
        {"706f6c7967656e656c7562726963616e7473", INT32_MIN},
        {"4161", 2112},
        {"4242", 2112},
        {"c3a9", 233},
        {"e4b8ade69687e994ae", 20076404},
        {"f09f9a8020726f636b6574", -1391342671},
        {"3f78", 2073},
        {"ff", 65533},
        {"c3", 65533},
        {"e4b8", 65533},
        {"e09f80", 65074269},
        {"eda080", 65533},
        {"f09f9a", 65533},
        {"f4908080", 2017367872},
        {"c0af", 2097056},
        {"618062", 2124838},
        {"f888808080", -1886039875},
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        int32_t hash = rc_java_hash(unhex(cases[i].hex, &rig->arena.pub));

        if (hash != cases[i].hash)
            fail_msg("case %zu %s: %d, Java says %d", i, cases[i].hex, hash, cases[i].hash);
    }
    assert_int_equal(rc_queue_by_hash(text("order-4711"), 16), 2);
    assert_int_equal(rc_queue_by_hash(text("key1 key2"), 3), 1);
    assert_int_equal(rc_queue_by_hash(text("\xE4\xB8\xAD\xE6\x96\x87\xE9\x94\xAE"), 16), 4);
    assert_int_equal(rc_queue_by_hash(text("polygenelubricants"), 3), 2);
    assert_int_equal(rc_queue_by_hash(text("polygenelubricants"), 16), 0);
    assert_int_equal(rc_queue_by_hash(text(""), 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(plain_record), RIG_TEST(record_with_everything), RIG_TEST(tombstone),
        RIG_TEST(failing_side), RIG_TEST(target_topic),           RIG_TEST(plain_message),
        RIG_TEST(java_message), RIG_TEST(odd_messages),           RIG_TEST(unreadable_message),
        RIG_TEST(java_hashes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
