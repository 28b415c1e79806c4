/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Properties, items of a batch, stored messages and inner batches: bytes from protocol §22 and
 * from captures of the Java client, and the same bytes damaged.
 */
#include "unit.h"

#include "base/encode.h"
#include "rocketmq/wire.h"

#include <stdio.h>

#define S(text) omc_slice_of((text), sizeof(text) - 1)
#define T(text)                  \
    {                            \
        (text), sizeof(text) - 1 \
    }

static rc_arena arena;

static bool is(rmq_slice slice, const char *text)
{
    return slice.base && omc_slice_is(slice, text);
}

/* ---- properties ------------------------------------------------------------------------------ */

static void properties_are_walked(void **state)
{
    /* name=value; ... with ! for what is passed over. */
    static const struct {
        rc_slice text;
        const char *walk;
    } cases[] = {
        {T(""), ""},
        {T("a\1b\2"), "a=b;"},
        {T("a\1b"), "a=b;"},
        {T("a\1b\2c\1d"), "a=b;c=d;"},
        {T("a\1\2"), "a=;"},
        {T("a\1b\1c\2"), "a=b\1c;"},
        {T("\1b\2"), "!"},
        {T("a\2"), "!"},
        {T("a\2b\1c\2"), "!b=c;"},
        {T("\2\2"), "!!"},
        {T("a"), "!"},
        {T("\1"), "!"},
    };
    (void)state;

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        rc_slice text = cases[i].text;
        rmq_slice name, value;
        rc_buf walk = RC_BUF(100);
        int r;

        rc_buf_str(&walk, "");
        while ((r = rmq_property_next(&text, &name, &value)) != 0) {
            if (r < 0)
                rc_buf_char(&walk, '!');
            else
                rc_buf_printf(&walk, RC_SLICE_FMT "=" RC_SLICE_FMT ";", RC_SLICE_ARG(name),
                              RC_SLICE_ARG(value));
        }
        if (strcmp(walk.data, cases[i].walk) != 0)
            fail_msg("case %zu: %s", i, walk.data);
        rc_buf_release(&walk);
    }
}

static void properties_are_written_in_order(void **state)
{
    static const rmq_property more[] = {{T("color"), T("blue")}, {T("empty"), T("")}};
    static const char key[] = "C000020219325FFD2B276FCA4F9C0000";
    static const struct {
        rmq_message message;
        const char *key, *bytes;
    } cases[] = {
        {{.flag = 1}, NULL, ""},
        {{.tags = T("A")}, NULL, "TAGS\1A\2"},
        {{.keys = T("k1 k2"), .tags = T("A")},
         key,
         "TAGS\1A\2KEYS\1k1 k2\2UNIQ_KEY\1C000020219325FFD2B276FCA4F9C0000\2"},
        {{.delay_level = 18, .properties = more, .property_count = 2},
         NULL,
         "DELAY\1"
         "18\2color\1blue\2empty\1\2"},
        {{.deliver_at_ms = 1700000000000},
         NULL,
         "TIMER_DELIVER_MS\1"
         "1700000000000\2"},
    };
    (void)state;

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        uint8_t out[200];
        size_t size = rmq_properties_size(&cases[i].message, cases[i].key != NULL);
        uint8_t *end = rmq_properties_put(out, &cases[i].message, cases[i].key);

        assert_int_equal(rmq_properties_check(&cases[i].message, NULL), 0);
        assert_int_equal(end - out, size);
        assert_int_equal(size, strlen(cases[i].bytes));
        assert_memory_equal(out, cases[i].bytes, size);
    }
}

static char big[RMQ_PROPERTIES_MAX];

static void bad_properties_are_refused(void **state)
{
    static const struct {
        rmq_message message;
        rmq_property property;
        const char *error; /* NULL = legal. */
    } cases[] = {
        {{.flag = 0}, {T("a"), T("b")}, NULL},
        {{.flag = 0}, {T("\xC3\xA9"), T("\xE4\xB8\xAD")}, NULL},
        {{.flag = 0}, {T("KEYS"), T("k")}, NULL},      /* Not twice. */
        {{.delay_level = 20}, {T("a"), T("b")}, NULL}, /* A broker may have more levels. */
        {{.flag = 0}, {T(""), T("v")}, "a property has no name; its value is 'v'"},
        {{.flag = 0}, {T("a\1"), T("v")}, "the name of property 'a\1' contains byte 1 or 2"},
        {{.flag = 0}, {T("a"), T("v\2")}, "the value of property 'a' contains byte 1 or 2"},
        {{.keys = T("k")},
         {T("KEYS"), T("x")},
         "property 'KEYS' is given twice; leave it out of the "
         "properties, the message's member 'keys' holds it"},
        {{.tags = T("k")}, {T("TAGS"), T("x")}, "property 'TAGS' is given twice"},
        {{.flag = 0}, {T("UNIQ_KEY"), T("x")}, "property 'UNIQ_KEY' is given twice"},
        {{.delay_level = 1}, {T("DELAY"), T("2")}, "'delay_level' holds it"},
        {{.deliver_at_ms = 1}, {T("TIMER_DELIVER_MS"), T("2")}, "'deliver_at_ms' holds it"},
        {{.keys = T("a\1")}, {T("a"), T("b")}, "the value of property 'KEYS' contains byte 1 or 2"},
        {{.tags = T("\2")}, {T("a"), T("b")}, "the value of property 'TAGS' contains byte 1 or 2"},
        {{.delay_level = -1}, {T("a"), T("b")}, "delay_level is -1"},
        {{.deliver_at_ms = -1}, {T("a"), T("b")}, "deliver_at_ms is -1"},
        {{.delay_level = 1, .deliver_at_ms = 1}, {T("a"), T("b")}, "are both set"},
    };
    (void)state;

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        rmq_message message = cases[i].message;
        rc_error err = {0};
        int r;

        message.properties = &cases[i].property;
        message.property_count = 1;
        r = rmq_properties_check(&message, &err);
        if (r != (cases[i].error ? -OMC_EINVAL : 0))
            fail_msg("case %zu: %d %s", i, r, err.msg);
        if (cases[i].error && !strstr(err.msg, cases[i].error))
            fail_msg("case %zu: %s", i, err.msg);
    }
}

static void the_total_of_properties_is_bounded(void **state)
{
    rmq_property one = {S("a"), {big, 0}};
    rmq_message message = {.properties = &one, .property_count = 1};
    rc_error err = {0};
    (void)state;

    memset(big, 'x', sizeof big);
    one.value.len = RMQ_PROPERTIES_MAX - 42 - 3; /* UNIQ_KEY, name and separators. */
    assert_int_equal(rmq_properties_check(&message, NULL), 0);
    one.value.len++;
    assert_int_equal(rmq_properties_check(&message, &err), -OMC_EINVAL);
    assert_non_null(strstr(err.msg, "the properties are 32768 bytes together"));
}

/* ---- items ----------------------------------------------------------------------------------- */

/* As the Java client sends it (protocol §22), but for the order of the properties. */
static const char item_bytes[] =
    "\0\0\0\x62\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x06"
    "batch0\x00\x46"
    "KEYS\1k0\2UNIQ_KEY\1C000020219325FFD2B276FCA4FBA0001\2WAIT\1true\2TAGS\1TagB\2";

static void an_item_is_read(void **state)
{
    rc_slice items = T(item_bytes);
    rmq_item item;
    (void)state;

    assert_int_equal(rmq_item_next(&items, &item, NULL), 1);
    assert_true(is(item.body, "batch0"));
    assert_int_equal(item.properties.len, 70);
    assert_int_equal(item.flag, 0);
    assert_int_equal(item.whole.len, 98);
    assert_int_equal(rmq_item_next(&items, &item, NULL), 0);
}

static void an_item_is_written_like_javas(void **state)
{
    static const rmq_property wait = {T("WAIT"), T("true")};
    static const char expected[] =
        "\0\0\0\x62\0\0\0\0\0\0\0\0\x01\x02\x03\x04\0\0\0\x06"
        "batch0\x00\x46"
        "TAGS\1TagB\2KEYS\1k0\2UNIQ_KEY\1C000020219325FFD2B276FCA4FBA0001\2WAIT\1true\2";
    rmq_message message = {.body = S("ignored"),
                           .keys = S("k0"),
                           .tags = S("TagB"),
                           .properties = &wait,
                           .property_count = 1,
                           .flag = 0x01020304};
    size_t properties = rmq_properties_size(&message, true);
    size_t size = rmq_item_size(6, properties);
    RC_AUTO_FREE uint8_t *out = rc_malloc(size);
    (void)state;

    assert_int_equal(size, 98);
    memset(out, 0xEE, size);
    assert_ptr_equal(rmq_item_put(out, &message, S("batch0"), "C000020219325FFD2B276FCA4FBA0001",
                                  properties),
                     out + size);
    assert_memory_equal(out, expected, size);
}

static void broken_items_are_refused(void **state)
{
    static const struct {
        size_t at;
        const char *bytes; /* Four. */
        const char *error;
    } cases[] = {
        {0, "\0\0\0\x63", "its size is 99 of 98 bytes left"},
        {0, "\0\0\0\x61", "body 6 and properties 70 do not make its size 97"},
        {0, "\0\0\0\x15", "its size is 21"},
        {0, "\xff\xff\xff\xff", "its size is 4294967295"},
        {16, "\0\0\0\x4d", "a body of 77 bytes in an item of 98"},
        {16, "\xff\xff\xff\xff", "a body of 4294967295 bytes"},
        {16, "\0\0\0\x07", "do not make its size"},
        {26, "\xff\xff\x01\x01", "properties 65535 do not make"},
    };
    rmq_item item;
    (void)state;

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        RC_AUTO_FREE char *copy = rc_malloc(98);
        rc_slice items = {copy, 98};
        rc_error err = {0};

        memcpy(copy, item_bytes, 98);
        memcpy(copy + cases[i].at, cases[i].bytes, 4);
        assert_int_equal(rmq_item_next(&items, &item, &err), -OMC_EFORMAT);
        if (!strstr(err.msg, cases[i].error))
            fail_msg("case %zu: %s", i, err.msg);
    }
    for (size_t n = 1; n < 98; n++) {
        RC_AUTO_FREE char *copy = rc_malloc(n);
        rc_slice items = {copy, n};

        memcpy(copy, item_bytes, n);
        assert_int_equal(rmq_item_next(&items, &item, NULL), -OMC_EFORMAT);
    }
}

/* ---- stored messages ------------------------------------------------------------------------- */

/* The first message of the pull in protocol §22. */
static const char stored_bytes[] =
    "\x00\x00\x00\xd8\xda\xa3\x20\xa7\x36\x10\xa6\x86"
    "\x00\x00\x00\x00\x00\x00\x00\x00"
    "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    "\x00\x00\x00\x00"
    "\x00\x00\x01\x8b\xcf\xe5\x68\x00"
    "\x7f\x00\x00\x01\x00\x00\xc7\x4e"
    "\x00\x00\x01\xa2\x04\x4a\x3f\xd6"
    "\x7f\x00\x00\x01\x00\x00\x78\xa6"
    "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    "\x00\x00\x00\x05hello\x01T\x00\x77"
    "MSG_REGION\1DefaultRegion\2UNIQ_KEY\1C0000202420D0C387F446FE257BF0000\2CLUSTER\1"
    "DefaultCluster\2TAGS\1A\2KEYS\1k1\2TRACE_ON\1true\2";
#define STORED_LEN ((size_t)216)

static void a_stored_message_is_read(void **state)
{
    rc_slice body = T(stored_bytes);
    rmq_stored stored;
    rmq_message m;
    char offset_id[57];
    (void)state;

    assert_int_equal(body.len, STORED_LEN);
    assert_int_equal(rmq_stored_next(&body, &stored, NULL), 1);
    assert_int_equal(body.len, 0);
    assert_int_equal(stored.body_crc, 0x3610a686);
    assert_int_equal(rmq_body_crc(stored.body), 0x3610a686);
    assert_true(is(stored.topic, "T"));
    assert_int_equal(stored.born_host.len, 8);
    assert_int_equal(rmq_message_of(&stored, 0, &arena.pub, &m, NULL), 0);
    assert_true(is(m.body, "hello") && is(m.keys, "k1") && is(m.tags, "A") && is(m.topic, "T"));
    assert_true(is(m.unique_key, "C0000202420D0C387F446FE257BF0000"));
    assert_int_equal(m.born_ms, 1700000000000);
    assert_int_equal(m.stored_ms, 0x1a2044a3fd6);
    /* msgId of the reply to this send (§22). */
    rmq_message_offset_id(&m, offset_id);
    assert_string_equal(offset_id, "7F000001000078A60000000000000000");
    assert_int_equal(m.property_count, 3);
    assert_true(is(m.properties[0].name, "MSG_REGION") && is(m.properties[2].value, "true"));
    assert_true(is(rmq_message_property(&m, "CLUSTER"), "DefaultCluster"));
    assert_true(is(rmq_message_property(&m, "KEYS"), "k1"));
    assert_true(is(rmq_message_property(&m, "TAGS"), "A"));
    assert_int_equal(rmq_message_property(&m, "UNIQ_KEY").len, 32);
    assert_null(rmq_message_property(&m, "nothing").base);
}

/* A message of any form, made by hand from protocol §8. */
typedef struct form {
    uint32_t magic, sys_flag;
    rc_slice topic, body, properties;
    size_t tail; /* Bytes behind the properties. */
} form;

static void put_stored(rc_buf *out, const form *f)
{
    size_t born = f->sys_flag & RMQ_SYS_BORN_V6 ? 20 : 8;
    size_t store = f->sys_flag & RMQ_SYS_STORE_V6 ? 20 : 8;
    uint8_t head[120] = {0};
    size_t topic_head = f->magic == 0xDAA320AB ? 2 : 1;
    size_t fixed = 72 + born + store;
    uint8_t number[2];

    rc_put_be32(head, (uint32_t)(fixed + f->body.len + topic_head + f->topic.len + 2 +
                                 f->properties.len + f->tail));
    rc_put_be32(head + 4, f->magic);
    rc_put_be32(head + 12, 3);
    rc_put_be32(head + 16, 0xFFFFFFFE);
    rc_put_be64(head + 20, 1234567890123);
    rc_put_be64(head + 28, 0x0102030405060708);
    rc_put_be32(head + 36, f->sys_flag);
    rc_put_be64(head + 40, 41);
    memset(head + 48, 0xB0, born);
    rc_put_be64(head + 48 + born, 42);
    memset(head + 56 + born, 0x5A, store);
    rc_put_be32(head + 56 + born + store, 7);
    rc_put_be64(head + 60 + born + store, 43);
    rc_put_be32(head + 68 + born + store, (uint32_t)f->body.len);
    rc_buf_add(out, head, fixed);
    rc_buf_add(out, f->body.base, f->body.len);
    rc_put_be16(number, (uint16_t)f->topic.len);
    rc_buf_add(out, number + 2 - topic_head, topic_head);
    rc_buf_add(out, f->topic.base, f->topic.len);
    rc_put_be16(number, (uint16_t)f->properties.len);
    rc_buf_add(out, number, 2);
    rc_buf_add(out, f->properties.base, f->properties.len);
    for (size_t i = 0; i < f->tail; i++)
        rc_buf_char(out, '?');
}

#define V6_ID "5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A0102030405060708"

static char long_topic[301];

static void every_form_is_read(void **state)
{
    const struct {
        form form;
        const char *offset_id;
    } cases[] = {
        {{0xDAA320A7, 0, S("T"), S("b"), S("a\1b\2"), 0}, "5A5A5A5A5A5A5A5A0102030405060708"},
        {{0xDAA320A7, 0x10, S("T"), S("b"), S("a\1b"), 0}, "5A5A5A5A5A5A5A5A0102030405060708"},
        {{0xDAA320A7, 0x30, S("T"), S(""), S("a\1b\2"), 0}, V6_ID},
        {{0xDAA320A7, 0x20, S("T"), S("b"), S("x\2a\1b\2\2"), 0}, V6_ID},
        {{0xDAA320AB, 0, S("T"), S("b"), S("a\1b\2"), 5}, "5A5A5A5A5A5A5A5A0102030405060708"},
        {{0xDAA320AB, 0x30, omc_slice_of(long_topic, 300), S("b"), S("a\1b\2"), 0}, V6_ID},
    };
    (void)state;

    memset(long_topic, 't', 300);
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        rc_buf buf = RC_BUF(65536);
        rmq_stored stored;
        rmq_message m;
        rc_slice body;
        char offset_id[57];

        put_stored(&buf, &cases[i].form);
        put_stored(&buf, &cases[i].form);
        body = rc_buf_slice(&buf);
        for (int twice = 0; twice < 2; twice++) {
            assert_int_equal(rmq_stored_next(&body, &stored, NULL), 1);
            assert_int_equal(rmq_message_of(&stored, 0, &arena.pub, &m, NULL), 0);
            assert_true(omc_slice_eq(m.topic, cases[i].form.topic));
            assert_true(omc_slice_eq(m.body, cases[i].form.body));
            assert_true(is(rmq_message_property(&m, "a"), "b"));
            assert_int_equal(m.property_count, 1);
            rmq_message_offset_id(&m, offset_id);
            assert_string_equal(offset_id, cases[i].offset_id);
            assert_int_equal(m.queue_id, 3);
            assert_int_equal(m.flag, -2);
            assert_int_equal(m.queue_offset, 1234567890123);
            assert_int_equal(m.commit_log_offset, 0x0102030405060708);
            assert_int_equal(m.born_ms, 41);
            assert_int_equal(m.stored_ms, 42);
            assert_int_equal(m.reconsume_times, 7);
            assert_int_equal(stored.prepared_offset, 43);
            assert_int_equal(m.sys_flag, cases[i].form.sys_flag);
        }
        assert_int_equal(rmq_stored_next(&body, &stored, NULL), 0);
        rc_buf_release(&buf);
    }
}

static void broken_stored_messages_are_refused(void **state)
{
    static const struct {
        size_t at;
        const char *bytes; /* Four. */
        const char *error;
    } cases[] = {
        {0, "\0\0\0\xd9", "a size of 217 at byte 0 does not fit into its 216"},
        {0, "\0\0\0\x5a", "a size of 90"},
        {0, "\xff\xff\xff\xff", "a size of 4294967295"},
        {0, "\0\0\0\xd7", "properties of 119 at byte 95"},
        {4, "\xda\xa3\x20\xa8", "magic 0xdaa320a8 at byte 4 is neither 0xdaa320a7 nor 0xdaa320ab"},
        {4, "\xcb\xd4\x31\x94", "magic 0xcbd43194"},
        {84, "\x80\0\0\0", "a body of 2147483648 at byte 84"},
        {84, "\xff\xff\xff\xff", "a body of 4294967295"},
        {84, "\0\0\0\x7e", "a body of 126 at byte 84"},
        {84, "\0\0\0\x7d", "a topic of"},
        {93, "\xffT\0\x77", "a topic of 255 at byte 93"},
        {95, "\x80\0MS", "properties of 32768"},
        {95, "\0\x78MS", "properties of 120 at byte 95"},
    };
    rmq_stored stored;
    (void)state;

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        RC_AUTO_FREE char *copy = rc_malloc(STORED_LEN);
        rc_slice body = {copy, STORED_LEN};
        rc_error err = {0};

        memcpy(copy, stored_bytes, STORED_LEN);
        memcpy(copy + cases[i].at, cases[i].bytes, 4);
        assert_int_equal(rmq_stored_next(&body, &stored, &err), -OMC_EFORMAT);
        if (!strstr(err.msg, cases[i].error))
            fail_msg("case %zu: %s", i, err.msg);
        assert_int_equal(body.len, STORED_LEN);
    }
}

/* Cut at every byte, once as it is and once with a size that agrees with the cut. */
static void cut_stored_messages_are_refused(void **state)
{
    rmq_stored stored;
    (void)state;

    for (size_t n = 1; n < STORED_LEN; n++) {
        RC_AUTO_FREE char *copy = rc_malloc(n);
        rc_slice body = {copy, n};

        memcpy(copy, stored_bytes, n);
        assert_int_equal(rmq_stored_next(&body, &stored, NULL), -OMC_EFORMAT);
        if (n < 4)
            continue;
        rc_put_be32(copy, (uint32_t)n);
        assert_int_equal(rmq_stored_next(&body, &stored, NULL), -OMC_EFORMAT);
    }
}

/* Both hosts IPv6 in a message that has room for IPv4 only. */
static void hosts_must_fit(void **state)
{
    rc_buf buf = RC_BUF(4096);
    form least = {0xDAA320A7, 0, S(""), S(""), S(""), 0};
    rmq_stored stored;
    rc_slice body;
    (void)state;

    put_stored(&buf, &least);
    body = rc_buf_slice(&buf);
    assert_int_equal(body.len, 91);
    assert_int_equal(rmq_stored_next(&body, &stored, NULL), 1);
    for (char flag = 0x10; flag <= 0x30; flag = (char)(flag + 0x10)) {
        buf.data[39] = flag;
        body = rc_buf_slice(&buf);
        assert_int_equal(rmq_stored_next(&body, &stored, NULL), -OMC_EFORMAT);
    }
    rc_buf_release(&buf);
}

/* ---- inner batches --------------------------------------------------------------------------- */

static void put_item(rc_buf *out, int32_t flag, rc_slice body, rc_slice properties)
{
    uint8_t head[20] = {0};
    uint8_t len[2];

    rc_put_be32(head, (uint32_t)(22 + body.len + properties.len));
    rc_put_be32(head + 12, (uint32_t)flag);
    rc_put_be32(head + 16, (uint32_t)body.len);
    rc_buf_add(out, head, sizeof head);
    rc_buf_add(out, body.base, body.len);
    rc_put_be16(len, (uint16_t)properties.len);
    rc_buf_add(out, len, 2);
    rc_buf_add(out, properties.base, properties.len);
}

enum packing { PACK_NOT, PACK_WHOLE, PACK_EACH };

static void put_inner(rc_buf *out, enum packing packing, rc_slice properties)
{
    rc_buf items = RC_BUF(65536), packed = RC_BUF(65536);
    form f = {0xDAA320A7, RMQ_SYS_UNWRAP | RMQ_SYS_INNER_BATCH, S("T"), {0}, properties, 0};
    const char *bodies[] = {"first", "", "third"};

    if (packing != PACK_NOT)
        f.sys_flag |= (uint32_t)rmq_compression_flag(RMQ_COMPRESS_ZSTD);
    for (int i = 0; i < 3; i++) {
        rc_slice body = omc_slice_str(bodies[i]);

        if (packing == PACK_EACH) {
            rc_buf_clear(&packed);
            assert_int_equal(rmq_compress(RMQ_COMPRESS_ZSTD, body, &packed, NULL), 0);
            body = rc_buf_slice(&packed);
        }
        put_item(&items, i + 10, body, i == 1 ? S("KEYS\1k\2x\1y\2") : S(""));
    }
    if (packing == PACK_WHOLE) {
        assert_int_equal(rmq_compress(RMQ_COMPRESS_ZSTD, rc_buf_slice(&items), &packed, NULL), 0);
        f.body = rc_buf_slice(&packed);
    } else {
        f.body = rc_buf_slice(&items);
    }
    put_stored(out, &f);
    rc_buf_release(&items);
    rc_buf_release(&packed);
}

static void inner_batches_are_unwrapped(void **state)
{
    (void)state;

    for (int packing = PACK_NOT; packing <= PACK_EACH; packing++) {
        rc_buf buf = RC_BUF(65536);
        rmq_message *messages = NULL;
        rmq_stored stored;
        rc_slice body;

        put_inner(&buf, (enum packing)packing,
                  S("INNER_NUM\1"
                    "3\2INNER_BASE\1"
                    "500"));
        body = rc_buf_slice(&buf);
        assert_int_equal(rmq_stored_next(&body, &stored, NULL), 1);
        assert_int_equal(rmq_inner_batch(&stored, 1000, &arena.pub, &messages, NULL), 3);
        assert_true(is(messages[0].body, "first"));
        assert_true(is(messages[1].body, "") && is(messages[1].keys, "k"));
        assert_true(is(rmq_message_property(&messages[1], "x"), "y"));
        assert_true(is(messages[2].body, "third"));
        for (int k = 0; k < 3; k++) {
            assert_int_equal(messages[k].queue_offset, 500 + k);
            assert_int_equal(messages[k].flag, 10 + k);
            assert_int_equal(messages[k].queue_id, 3);
            assert_true(is(messages[k].topic, "T"));
        }
        rc_buf_release(&buf);
    }
}

static void broken_inner_batches_are_refused(void **state)
{
    rc_buf buf = RC_BUF(65536);
    rmq_message *messages = NULL;
    rmq_stored stored;
    rc_error err = {0};
    rc_slice body;
    (void)state;

    /* Without INNER_BASE the offset of the whole is the first one's. */
    put_inner(&buf, PACK_NOT, S("INNER_BASE\1x"));
    body = rc_buf_slice(&buf);
    assert_int_equal(rmq_stored_next(&body, &stored, NULL), 1);
    assert_int_equal(rmq_inner_batch(&stored, 1000, &arena.pub, &messages, NULL), 3);
    assert_int_equal(messages[2].queue_offset, 1234567890125);
    stored.body.len--;
    assert_int_equal(rmq_inner_batch(&stored, 1000, &arena.pub, &messages, &err), -OMC_EFORMAT);
    assert_non_null(
        strstr(err.msg, "message at offset 1234567890123 of queue 3 of topic 'T': item"));
    stored.body.len = 0;
    assert_int_equal(rmq_inner_batch(&stored, 1000, &arena.pub, &messages, NULL), 0);
    /* The limit holds for each item. */
    rc_buf_clear(&buf);
    put_inner(&buf, PACK_EACH, S(""));
    body = rc_buf_slice(&buf);
    assert_int_equal(rmq_stored_next(&body, &stored, NULL), 1);
    assert_int_equal(rmq_inner_batch(&stored, 4, &arena.pub, &messages, &err), -OMC_ENOMEM);
    rc_buf_release(&buf);
}

static int begin(void **state)
{
    (void)state;
    rc_arena_init(&arena, 4096);
    return 0;
}

static int end(void **state)
{
    (void)state;
    rc_arena_release(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(properties_are_walked),
        cmocka_unit_test(properties_are_written_in_order),
        cmocka_unit_test(bad_properties_are_refused),
        cmocka_unit_test(the_total_of_properties_is_bounded),
        cmocka_unit_test(an_item_is_read),
        cmocka_unit_test(an_item_is_written_like_javas),
        cmocka_unit_test(broken_items_are_refused),
        cmocka_unit_test(a_stored_message_is_read),
        cmocka_unit_test(every_form_is_read),
        cmocka_unit_test(broken_stored_messages_are_refused),
        cmocka_unit_test(cut_stored_messages_are_refused),
        cmocka_unit_test(hosts_must_fit),
        cmocka_unit_test(inner_batches_are_unwrapped),
        cmocka_unit_test(broken_inner_batches_are_refused),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
