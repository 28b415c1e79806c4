/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Frames and headers: the bytes of protocol §22, JSON in every form a peer may write it, and input
 * that is broken in every place.
 */
#include "unit.h"

#include "rocketmq/frame.h"

#include <stdio.h>

#define S(text) omc_slice_of((text), sizeof(text) - 1)
#define T(text)                  \
    {                            \
        (text), sizeof(text) - 1 \
    }

static rc_arena arena;
static rmq_frame frame;

/* A frame around a header and a body, in memory of exactly its size so that ASan sees overreads. */
static uint8_t *wrap(uint8_t type, rc_slice header, rc_slice body, size_t *ret_len)
{
    size_t len = 8 + header.len + body.len;
    uint8_t *bytes = rc_malloc(len);

    bytes[0] = 0;
    bytes[1] = (uint8_t)((len - 4) >> 16);
    bytes[2] = (uint8_t)((len - 4) >> 8);
    bytes[3] = (uint8_t)(len - 4);
    bytes[4] = type;
    bytes[5] = (uint8_t)(header.len >> 16);
    bytes[6] = (uint8_t)(header.len >> 8);
    bytes[7] = (uint8_t)header.len;
    if (header.len)
        memcpy(bytes + 8, header.base, header.len);
    if (body.len)
        memcpy(bytes + 8 + header.len, body.base, body.len);
    *ret_len = len;
    return bytes;
}

/* The parsed header is only looked at by its numbers after the bytes are gone. */
static int parse(uint8_t type, rc_slice header, rc_error *err)
{
    size_t len = 0;
    RC_AUTO_FREE uint8_t *bytes = wrap(type, header, S("b"), &len);

    return rmq_frame_parse(bytes, len, &arena.pub, &frame, err);
}

static void field_is(const char *name, rc_slice value)
{
    rc_slice got = rmq_header_get(&frame.header, name);

    if (!got.base || !omc_slice_eq(got, value))
        fail_msg("field %s is '" RC_SLICE_FMT "' (%zu bytes)", name, RC_SLICE_ARG(got), got.len);
}

/* ---- the worked examples --------------------------------------------------------------------- */

static const char send_binary[] =
    "\x00\x00\x00\x7b\x01\x00\x00\x75\x01\x36\x01\x02\x01\x00\x00\x00\x07\x00\x00\x00\x00"
    "\x00\x00\x00\x00\x00\x00\x00\x60"
    "\x00\x01\x61\x00\x00\x00\x02PG"
    "\x00\x01\x62\x00\x00\x00\x01T"
    "\x00\x01\x63\x00\x00\x00\x06TBW102"
    "\x00\x01\x64\x00\x00\x00\x01"
    "4"
    "\x00\x01\x65\x00\x00\x00\x01"
    "0"
    "\x00\x01\x66\x00\x00\x00\x01"
    "0"
    "\x00\x01\x67\x00\x00\x00\x0d"
    "1700000000000"
    "\x00\x01\x68\x00\x00\x00\x01"
    "0"
    "\x00\x01\x69\x00\x00\x00\x07TAGS\x01"
    "A\x02"
    "hi";

static void fill_send(rmq_header *header, bool single)
{
    *header = (rmq_header){.code = 310, .language = RMQ_LANGUAGE_CPP, .version = 513, .opaque = 7};
    rmq_header_add(header, "a", S("PG"));
    rmq_header_add(header, "b", S("T"));
    rmq_header_add(header, "c", S("TBW102"));
    rmq_header_add(header, "d", S("4"));
    rmq_header_add(header, "e", S("0"));
    rmq_header_add(header, "f", S("0"));
    rmq_header_add(header, "g", S("1700000000000"));
    rmq_header_add(header, "h", S("0"));
    rmq_header_add(header, "i", single ? S("TAGS\1A\2") : S("KEYS\1k1\2TAGS\1A\2"));
}

static void binary_send_is_the_captured_one(void **state)
{
    rc_buf buf = RC_BUF(4096);
    rmq_header header;
    (void)state;

    fill_send(&header, true);
    assert_int_equal(rmq_frame_put(&buf, RMQ_BINARY, &header, 2, NULL), 0);
    rc_buf_str(&buf, "hi");
    assert_int_equal(buf.len, sizeof send_binary - 1);
    assert_memory_equal(buf.data, send_binary, buf.len);
    rc_buf_release(&buf);
}

static void binary_send_is_read(void **state)
{
    (void)state;

    assert_int_equal(rmq_frame_parse((const uint8_t *)send_binary, sizeof send_binary - 1,
                                     &arena.pub, &frame, NULL),
                     0);
    assert_int_equal(frame.header.code, 310);
    assert_int_equal(frame.header.language, 1);
    assert_int_equal(frame.header.version, 513);
    assert_int_equal(frame.header.opaque, 7);
    assert_int_equal(frame.header.flag, 0);
    assert_null(frame.header.remark.base);
    assert_int_equal(frame.header.field_count, 9);
    field_is("g", S("1700000000000"));
    field_is("i", S("TAGS\1A\2"));
    assert_true(omc_slice_is(frame.body, "hi"));
}

static void json_send_means_the_same(void **state)
{
    rc_buf buf = RC_BUF(4096);
    rmq_header header;
    (void)state;

    fill_send(&header, false);
    assert_int_equal(rmq_frame_put(&buf, RMQ_JSON, &header, 5, NULL), 0);
    assert_string_equal(
        buf.data + 8, "{\"code\":310,\"language\":\"CPP\",\"version\":513,\"opaque\":7,\"flag\":0,"
                      "\"extFields\":{\"a\":\"PG\",\"b\":\"T\",\"c\":\"TBW102\",\"d\":\"4\","
                      "\"e\":\"0\",\"f\":\"0\",\"g\":\"1700000000000\",\"h\":\"0\","
                      "\"i\":\"KEYS\\u0001k1\\u0002TAGS\\u0001A\\u0002\"}}");
    rc_buf_release(&buf);
}

static void json_reply_is_read(void **state)
{
    static const char text[] =
        "{\"code\":0,\"extFields\":{\"queueId\":\"0\",\"transactionId\":"
        "\"C0000202420D0C387F446FE257BF0000\",\"msgId\":\"7F000001000078A60000000000000000\","
        "\"TRACE_ON\":\"true\",\"MSG_REGION\":\"DefaultRegion\",\"queueOffset\":\"0\"},"
        "\"flag\":1,\"language\":\"JAVA\",\"opaque\":7,\"serializeTypeCurrentRPC\":\"JSON\","
        "\"version\":513}";
    size_t len = 0;
    RC_AUTO_FREE uint8_t *bytes = wrap(RMQ_JSON, S(text), S(""), &len);
    int64_t value = -1;
    rc_error err = {0};
    (void)state;

    assert_int_equal(len, 0x11e + 4); /* As captured. */
    assert_int_equal(rmq_frame_parse(bytes, len, &arena.pub, &frame, NULL), 0);
    assert_int_equal(frame.header.code, 0);
    assert_int_equal(frame.header.flag, RMQ_FLAG_REPLY);
    assert_int_equal(frame.header.language, 0);
    assert_int_equal(frame.header.opaque, 7);
    assert_int_equal(frame.header.version, 513);
    assert_null(frame.header.remark.base);
    field_is("msgId", S("7F000001000078A60000000000000000"));
    assert_int_equal(rmq_header_int(&frame.header, "queueOffset", &value, NULL), 0);
    assert_int_equal(value, 0);
    assert_int_equal(rmq_header_int(&frame.header, "MSG_REGION", &value, &err), -OMC_EFORMAT);
    assert_string_equal(err.msg,
                        "field 'MSG_REGION' of the header is 'DefaultRegion' and no number");
    assert_int_equal(rmq_header_int(&frame.header, "nextBeginOffset", &value, &err), -OMC_EFORMAT);
    assert_string_equal(err.msg, "field 'nextBeginOffset' is missing in the header");
    assert_int_equal(frame.body.len, 0);
}

/* ---- JSON as others write it ----------------------------------------------------------------- */

static const struct {
    const char *what, *text;
    int32_t code, opaque, language;
    rc_slice a; /* Field "a"; base NULL = must be missing. */
} jsons[] = {
    {"any order, blanks", " {\n\t\"opaque\" : 2 ,\r \"code\" : 1 } ", 1, 2, 0, {0}},
    {"negative numbers", "{\"code\":-1,\"opaque\":-2147483648}", -1, INT32_MIN, 0, {0}},
    {"language", "{\"language\":\"GO\",\"code\":1,\"opaque\":2}", 1, 2, 9, {0}},
    {"language as number", "{\"language\":12,\"code\":1,\"opaque\":2}", 1, 2, 12, {0}},
    {"language of the future", "{\"language\":\"ZIG\",\"code\":1,\"opaque\":2}", 1, 2, 7, {0}},
    {"language with an escape",
     "{\"language\":\"\\u0047O\",\"code\":1,\"opaque\":2}",
     1,
     2,
     9,
     {0}},
    {"nulls", "{\"remark\":null,\"extFields\":null,\"code\":1,\"opaque\":2}", 1, 2, 0, {0}},
    {"unknown keys, nested",
     "{\"x\":[1,{\"y\":[\"}\",\"\\\"]\"]},true],\"z\":{},\"code\":1,\"opaque\":2}",
     1,
     2,
     0,
     {0}},
    {"code inside a value", "{\"x\":\"\\\"code\\\":5\",\"code\":1,\"opaque\":2}", 1, 2, 0, {0}},
    {"nested field left out",
     "{\"code\":1,\"opaque\":2,\"extFields\":{\"a\":{\"b\":\"c\"}}}",
     1,
     2,
     0,
     {0}},
    {"null field left out", "{\"code\":1,\"opaque\":2,\"extFields\":{\"a\":null}}", 1, 2, 0, {0}},
    {"number field", "{\"code\":1,\"opaque\":2,\"extFields\":{\"a\":1e5}}", 1, 2, 0, T("1e5")},
    {"truth field", "{\"code\":1,\"opaque\":2,\"extFields\":{\"a\":true}}", 1, 2, 0, T("true")},
    {"empty field", "{\"code\":1,\"opaque\":2,\"extFields\":{\"a\":\"\"}}", 1, 2, 0, T("")},
    {"last of two", "{\"code\":1,\"opaque\":2,\"extFields\":{\"a\":\"x\",\"a\":\"y\"}}", 1, 2, 0,
     T("y")},
    {"short escapes",
     "{\"code\":1,\"opaque\":2,\"extFields\":{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}}", 1, 2, 0,
     T("\"\\/\b\f\n\r\t")},
    {"escaped name", "{\"code\":1,\"opaque\":2,\"extFields\":{\"\\u0061\":\"x\"}}", 1, 2, 0,
     T("x")},
    {"escaped key", "{\"c\\u006fde\":1,\"opaque\":2}", 1, 2, 0, {0}},
    {"unicode escapes",
     "{\"code\":1,\"opaque\":2,\"extFields\":{\"a\":\"\\u0000\\u00e9\\u4E2D\\uD83D\\uDE00\"}}", 1,
     2, 0, T("\0\xC3\xA9\xE4\xB8\xAD\xF0\x9F\x98\x80")},
    {"halves alone",
     "{\"code\":1,\"opaque\":2,\"extFields\":{\"a\":\"\\uD83D|\\uDE00|\\uD83D\\u0041\"}}", 1, 2, 0,
     T("\xEF\xBF\xBD|\xEF\xBF\xBD|\xEF\xBF\xBD"
       "A")},
    {"UTF-8 and bytes that are none stay",
     "{\"code\":1,\"opaque\":2,\"extFields\":{\"a\":\"\xC3\xA9\xFF\"}}", 1, 2, 0,
     T("\xC3\xA9\xFF")},
};

static void json_of_any_form_is_read(void **state)
{
    (void)state;

    for (size_t i = 0; i < RC_COUNT(jsons); i++) {
        size_t len = 0;
        RC_AUTO_FREE uint8_t *bytes = wrap(RMQ_JSON, omc_slice_str(jsons[i].text), S("body"), &len);
        rc_error err = {0};

        if (rmq_frame_parse(bytes, len, &arena.pub, &frame, &err) < 0)
            fail_msg("%s: %s", jsons[i].what, err.msg);
        assert_int_equal(frame.header.code, jsons[i].code);
        assert_int_equal(frame.header.opaque, jsons[i].opaque);
        assert_int_equal(frame.header.language, jsons[i].language);
        assert_int_equal(!rmq_header_get(&frame.header, "a").base, !jsons[i].a.base);
        if (jsons[i].a.base)
            field_is("a", jsons[i].a);
        assert_true(omc_slice_is(frame.body, "body"));
    }
}

static const struct {
    const char *text, *error;
} bad_jsons[] = {
    {"", "no '{' at byte 0"},
    {"[]", "no '{' at byte 0"},
    {"{\"code\":1,\"opaque\":2", "neither ',' nor '}' at byte 20"},
    {"{\"code\":1,\"opaque\":2}x", "more behind the header's end at byte 21"},
    {"{\"code\":1,\"opaque\":2,}", "no text where one must be"},
    {"{}", "no 'code'"},
    {"{\"opaque\":2}", "no 'code'"},
    {"{\"code\":2}", "no 'opaque'"},
    {"{\"code\":2147483648,\"opaque\":2}", "no 32-bit number at byte 8"},
    {"{\"code\":1.5,\"opaque\":2}", "no 32-bit number at byte 8"},
    {"{\"code\":\"1\",\"opaque\":2}", "no value where one must be at byte 8"},
    {"{\"code\":99999999999999999999999,\"opaque\":2}", "no 32-bit number at byte 8"},
    {"{\"code\":,\"opaque\":2}", "no value where one must be"},
    {"{\"code\" 1}", "no ':'"},
    {"{code:1}", "no text where one must be"},
    {"{\"a", "text without end"},
    {"{\"a\\", "text without end"},
    {"{\"a\\\"", "text without end"},
    {"{\"\\x\":1}", "unknown escape"},
    {"{\"\\u12\":1}", "\\u without four digits"},
    {"{\"\\u12g4\":1}", "\\u without four digits"},
    {"{\"x\":[}", "the wrong bracket"},
    {"{\"x\":{]", "the wrong bracket"},
    {"{\"x\":[", "value without end"},
    {"{\"x\":[\"", "text without end"},
    {"{\"x\":[\x01]}", "a byte that is no JSON"},
    {"{\"x\":#}", "no value where one must be"},
    {"{\"extFields\":[]}", "extFields is no object"},
    {"{\"extFields\":{\"a\"}}", "no ':'"},
    {"{\"extFields\":{\"a\":\"b\" \"c\"}}", "neither ',' nor '}'"},
};

static void broken_json_is_refused(void **state)
{
    (void)state;

    for (size_t i = 0; i < RC_COUNT(bad_jsons); i++) {
        rc_error err = {0};

        if (parse(RMQ_JSON, omc_slice_str(bad_jsons[i].text), &err) != -OMC_EFORMAT)
            fail_msg("%s: not refused", bad_jsons[i].text);
        if (strncmp(err.msg, "JSON header: ", 13) != 0 || !strstr(err.msg, bad_jsons[i].error))
            fail_msg("%s: %s", bad_jsons[i].text, err.msg);
    }
}

static void depth_is_bounded(void **state)
{
    char text[1200] = "{\"code\":1,\"opaque\":2,\"x\":";
    size_t at = strlen(text);
    (void)state;

    memset(text + at, '[', 64);
    memset(text + at + 64, ']', 64);
    text[at + 128] = '}';
    assert_int_equal(parse(RMQ_JSON, omc_slice_of(text, at + 129), NULL), 0);
    memset(text + at, '[', 65);
    memset(text + at + 65, ']', 65);
    text[at + 130] = '}';
    assert_int_equal(parse(RMQ_JSON, omc_slice_of(text, at + 131), NULL), -OMC_EFORMAT);
}

/* ---- limits and broken frames ---------------------------------------------------------------- */

/* A header of `count` fields in either form. */
static int parse_many(enum rmq_serialization how, int count, rc_error *err)
{
    rc_buf buf = RC_BUF(65536);
    uint8_t size;
    int r;

    if (how == RMQ_JSON) {
        rc_buf_str(&buf, "{\"code\":1,\"opaque\":2,\"extFields\":{");
        for (int i = 0; i < count; i++)
            rc_buf_printf(&buf, "%s\"f%d\":\"\"", i ? "," : "", i);
        rc_buf_str(&buf, "}}");
    } else {
        size = (uint8_t)(count * 7 >> 8);
        rc_buf_add(&buf, "\0\1\0\2\1\0\0\0\2\0\0\0\0\0\0\0\0\0\0", 19);
        rc_buf_char(&buf, (char)size);
        rc_buf_char(&buf, (char)(count * 7));
        for (int i = 0; i < count; i++)
            rc_buf_add(&buf, "\0\1f\0\0\0\0", 7);
    }
    r = parse((uint8_t)how, rc_buf_slice(&buf), err);
    rc_buf_release(&buf);
    return r;
}

static void fields_are_bounded(void **state)
{
    rc_error err = {0};
    (void)state;

    for (int how = RMQ_JSON; how <= RMQ_BINARY; how++) {
        assert_int_equal(parse_many((enum rmq_serialization)how, RMQ_FIELDS_MAX, &err), 0);
        assert_int_equal(frame.header.field_count, RMQ_FIELDS_MAX);
        assert_int_equal(parse_many((enum rmq_serialization)how, RMQ_FIELDS_MAX + 1, &err),
                         -OMC_EFORMAT);
        assert_string_equal(err.msg, "header: more than 64 ext fields");
    }
}

/* Every beginning of a good frame, with a length that claims it is whole. */
static void truncated_at(const uint8_t *good, size_t len, size_t header_len)
{
    for (size_t n = 8; n < len; n++) {
        size_t cut = n - 8 < header_len ? n - 8 : header_len;
        size_t whole = 0;
        RC_AUTO_FREE uint8_t *bytes =
            wrap(good[4], omc_slice_of((const char *)good + 8, cut),
                 omc_slice_of((const char *)good + 8 + cut, n - 8 - cut), &whole);
        int r = rmq_frame_parse(bytes, whole, &arena.pub, &frame, NULL);

        if ((r == 0) != (cut == header_len))
            fail_msg("%zu of %zu bytes: %d", n, len, r);
    }
}

static void truncated_headers_are_refused(void **state)
{
    rc_buf buf = RC_BUF(4096);
    rmq_header header;
    (void)state;

    for (int how = RMQ_JSON; how <= RMQ_BINARY; how++) {
        fill_send(&header, false);
        header.remark = S("FOUND \1 \"it\"");
        rc_buf_clear(&buf);
        assert_int_equal(rmq_frame_put(&buf, (enum rmq_serialization)how, &header, 4, NULL), 0);
        truncated_at((const uint8_t *)buf.data, buf.len + 4, buf.len - 8);
    }
    rc_buf_release(&buf);
}

static const struct {
    const char *what;
    rc_slice header;
    const char *error;
} bad_binaries[] = {
    {"empty", T(""), "the fixed part of 21 bytes where 0 are left"},
    {"one byte short", T("\0\1\0\2\1\0\0\0\2\0\0\0\0\0\0\0\0\0\0\0"), "the fixed part of 21"},
    {"remark too long", T("\0\1\0\2\1\0\0\0\2\0\0\0\0\0\0\0\5\0\0\0\0"), "the remark of 5 bytes"},
    {"remark negative", T("\0\1\0\2\1\0\0\0\2\0\0\0\0\xff\xff\xff\xff\0\0\0\0"),
     "the remark of 4294967295 bytes where 4 are left"},
    {"remark eats the map's length", T("\0\1\0\2\1\0\0\0\2\0\0\0\0\0\0\0\2xx\0\0"),
     "the map of fields of 4 bytes where 2 are left"},
    {"map too long", T("\0\1\0\2\1\0\0\0\2\0\0\0\0\0\0\0\0\0\0\0\1"), "the map of fields of 1"},
    {"map negative", T("\0\1\0\2\1\0\0\0\2\0\0\0\0\0\0\0\0\x80\0\0\0"),
     "the map of fields of 21474"},
    {"half a name's length", T("\0\1\0\2\1\0\0\0\2\0\0\0\0\0\0\0\0\0\0\0\1\0"),
     "a field's name of 2"},
    {"name too long", T("\0\1\0\2\1\0\0\0\2\0\0\0\0\0\0\0\0\0\0\0\3\0\2a"), "a field's name of 2"},
    {"name negative",
     T("\0\1\0\2\1\0\0\0\2\0\0\0\0\0\0\0\0\0\0\0\3\xff\xff"
       "a"),
     "a field's name of 65535"},
    {"value missing", T("\0\1\0\2\1\0\0\0\2\0\0\0\0\0\0\0\0\0\0\0\3\0\1a"), "a field's value of 4"},
    {"value too long", T("\0\1\0\2\1\0\0\0\2\0\0\0\0\0\0\0\0\0\0\0\x8\0\1a\0\0\0\2b"),
     "a field's value of 2 bytes where 1 are left"},
    {"value negative",
     T("\0\1\0\2\1\0\0\0\2\0\0\0\0\0\0\0\0\0\0\0\x8\0\1a\xff\xff\xff\xff"
       "b"),
     "a field's value of 4294967295"},
};

static void broken_binary_is_refused(void **state)
{
    (void)state;

    for (size_t i = 0; i < RC_COUNT(bad_binaries); i++) {
        rc_error err = {0};

        if (parse(RMQ_BINARY, bad_binaries[i].header, &err) != -OMC_EFORMAT)
            fail_msg("%s: not refused", bad_binaries[i].what);
        if (!strstr(err.msg, bad_binaries[i].error))
            fail_msg("%s: %s", bad_binaries[i].what, err.msg);
    }
    /* Negative codes and versions are read as Java reads them. */
    assert_int_equal(parse(RMQ_BINARY,
                           S("\xff\xff\0\xff\xfe\xff\xff\xff\xfd\0\0\0\1\0\0\0\0\0\0\0\0"), NULL),
                     0);
    assert_int_equal(frame.header.code, -1);
    assert_int_equal(frame.header.version, -2);
    assert_int_equal(frame.header.opaque, -3);
}

static const struct {
    const char *bytes;
    size_t len;
    int result;
    size_t frame_len;
    const char *error;
} lengths[] = {
    {"", 0, 0, 0, NULL},
    {"\0\0\0", 3, 0, 0, NULL},
    {"\0\0\0\4", 4, 0, 8, NULL},
    {"\1\0\0\0", 4, 0, RMQ_FRAME_MAX + 4, NULL},
    {"\1\0\0\1", 4, -OMC_EFORMAT, 0, "16777217 bytes (01 00 00 01), it must be 4 to 16777216"},
    {"\0\0\0\3", 4, -OMC_EFORMAT, 0, "3 bytes"},
    {"\xff\xff\xff\xff", 4, -OMC_EFORMAT, 0, "check the address"},
    {"HTTP/1.1", 8, -OMC_EFORMAT, 0, "the peer speaks HTTP"},
    {"\x15\x03\x01\x00", 4, -OMC_EFORMAT, 0, "the peer speaks TLS: switch TLS on"},
};

static void lengths_are_checked(void **state)
{
    (void)state;

    for (size_t i = 0; i < RC_COUNT(lengths); i++) {
        size_t len = 0;
        rc_error err = {0};
        int r = rmq_frame_length((const uint8_t *)lengths[i].bytes, lengths[i].len, &len, &err);

        if (r != lengths[i].result || (r == 0 && len != lengths[i].frame_len))
            fail_msg("case %zu: %d, %zu bytes", i, r, len);
        if (lengths[i].error && !strstr(err.msg, lengths[i].error))
            fail_msg("case %zu: %s", i, err.msg);
    }
}

static void frames_that_contradict_themselves_are_refused(void **state)
{
    static const struct {
        rc_slice bytes;
        const char *error;
    } cases[] = {
        {T("\0\0\0"), "3 bytes, but its length says 0"},
        {T("\0\0\0\4\0\0\0"), "7 bytes, but its length says 8"},
        {T("\0\0\0\4\0\0\0\0\0"), "9 bytes, but its length says 8"},
        {T("\0\0\0\4\0\0\0\1"), "a header of 1 bytes in a frame of 8"},
        {T("\0\0\0\6\2\0\0\2{}"), "header serialization 2"},
    };
    (void)state;

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        rc_error err = {0};

        assert_int_equal(rmq_frame_parse((const uint8_t *)cases[i].bytes.base, cases[i].bytes.len,
                                         &arena.pub, &frame, &err),
                         -OMC_EFORMAT);
        if (!strstr(err.msg, cases[i].error))
            fail_msg("case %zu: %s", i, err.msg);
    }
}

/* ---- writing --------------------------------------------------------------------------------- */

static void what_does_not_fit_is_not_written(void **state)
{
    static char long_name[40000];
    rmq_header header = {.code = 310};
    rc_buf buf = RC_BUF(RMQ_FRAME_MAX);
    rc_buf small = RC_BUF(40);
    rc_error err = {0};
    (void)state;

    /* Netty's limit counts the length field. */
    assert_int_equal(rmq_frame_put(&buf, RMQ_BINARY, &header, RMQ_FRAME_MAX - 29, NULL), 0);
    rc_buf_clear(&buf);
    assert_int_equal(rmq_frame_put(&buf, RMQ_BINARY, &header, RMQ_FRAME_MAX - 28, &err),
                     -OMC_EINVAL);
    assert_int_equal(rmq_frame_put(&buf, RMQ_JSON, &header, SIZE_MAX, &err), -OMC_EINVAL);
    assert_int_equal(buf.len, 0);
    assert_int_equal(rmq_frame_put(&small, RMQ_JSON, &header, 0, &err), -OMC_ENOMEM);
    memset(long_name, 'n', sizeof long_name - 1);
    rmq_header_add(&header, long_name, S(""));
    assert_int_equal(rmq_frame_put(&buf, RMQ_BINARY, &header, 0, &err), -OMC_EINVAL);
    rc_buf_release(&buf);
    rc_buf_release(&small);
}

static void large_codes_are_written_as_json(void **state)
{
    static const struct {
        int32_t code;
        char type;
    } cases[] = {{32767, 1}, {32768, 0}, {200050, 0}, {-1, 0}};
    rc_buf buf = RC_BUF(4096);
    (void)state;

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        rmq_header header = {.code = cases[i].code, .opaque = INT32_MIN};

        rc_buf_clear(&buf);
        assert_int_equal(rmq_frame_put(&buf, RMQ_BINARY, &header, 0, NULL), 0);
        assert_int_equal(buf.data[4], cases[i].type);
        assert_int_equal(rmq_frame_parse((uint8_t *)buf.data, buf.len, &arena.pub, &frame, NULL),
                         0);
        assert_int_equal(frame.header.code, cases[i].code);
        assert_int_equal(frame.header.opaque, INT32_MIN);
    }
    rc_buf_release(&buf);
}

/* Six bytes for each: the room that is reserved must be counted that way. */
static void control_characters_have_room(void **state)
{
    static char text[3000];
    rmq_header header = {.code = 1};
    rc_buf buf = RC_BUF(65536);
    (void)state;

    memset(text, 1, sizeof text);
    rmq_header_add(&header, "a", omc_slice_of(text, sizeof text));
    assert_int_equal(rmq_frame_put(&buf, RMQ_JSON, &header, 0, NULL), 0);
    assert_true(buf.len > 6 * sizeof text);
    assert_int_equal(rmq_frame_parse((uint8_t *)buf.data, buf.len, &arena.pub, &frame, NULL), 0);
    field_is("a", omc_slice_of(text, sizeof text));
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
        cmocka_unit_test(binary_send_is_the_captured_one),
        cmocka_unit_test(binary_send_is_read),
        cmocka_unit_test(json_send_means_the_same),
        cmocka_unit_test(json_reply_is_read),
        cmocka_unit_test(json_of_any_form_is_read),
        cmocka_unit_test(broken_json_is_refused),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(fields_are_bounded),
        cmocka_unit_test(truncated_headers_are_refused),
        cmocka_unit_test(broken_binary_is_refused),
        cmocka_unit_test(lengths_are_checked),
        cmocka_unit_test(frames_that_contradict_themselves_are_refused),
        cmocka_unit_test(what_does_not_fit_is_not_written),
        cmocka_unit_test(large_codes_are_written_as_json),
        cmocka_unit_test(control_characters_have_room),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
