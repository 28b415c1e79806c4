/* SPDX-License-Identifier: Apache-2.0 */
/** Encodings against the published vectors: RFC 3720 (CRC-32C), RFC 4648 (base64), RFC 3629. */
#include "unit.h"

#include "base/encode.h"

static void crc_matches_rfc3720(void **state)
{
    uint8_t bytes[4][32];
    static const uint32_t want[] = {0x8A9136AA, 0x62A8AB43, 0x46DD794E, 0x113FDB5C};
    (void)state;

    for (size_t i = 0; i < 32; i++) {
        bytes[0][i] = 0;
        bytes[1][i] = 0xFF;
        bytes[2][i] = (uint8_t)i;
        bytes[3][i] = (uint8_t)(31 - i);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(rc_crc32c(0, bytes[i], 32), want[i]);
        assert_int_equal(rc_crc32c_portable(0, bytes[i], 32), want[i]);
    }
    assert_int_equal(rc_crc32c(0, "123456789", 9), 0xE3069283);
    assert_int_equal(rc_crc32c_portable(0, "123456789", 9), 0xE3069283);
    assert_int_equal(rc_crc32c(0, "", 0), 0);
}

static void crc_continues_and_both_ways_agree(void **state)
{
    uint8_t bytes[300];
    (void)state;

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 37 + 11);
    for (size_t from = 0; from < 9; from++)
        for (size_t len = 0; len < 280; len += 7) {
            uint32_t whole = rc_crc32c(0, bytes + from, len);
            uint32_t half = rc_crc32c(0, bytes + from, len / 3);

            assert_int_equal(rc_crc32c_portable(0, bytes + from, len), whole);
            assert_int_equal(rc_crc32c(half, bytes + from + len / 3, len - len / 3), whole);
        }
}

static void cursor_reads_and_remembers_overrun(void **state)
{
    static const uint8_t bytes[] = {1, 0x12, 0x34, 0xDE, 0xAD, 0xBE, 0xEF, 0,  0,
                                    0, 0,    0,    0,    1,    2,    'a',  'b'};
    rc_cursor c = rc_cursor_of(bytes, sizeof bytes);
    rc_slice s;
    (void)state;

    assert_int_equal(rc_get_u8(&c), 1);
    assert_int_equal(rc_get_be16(&c), 0x1234);
    assert_int_equal(rc_get_be32(&c), 0xDEADBEEF);
    assert_int_equal(rc_get_be64(&c), 0x0000000000000102);
    s = rc_get_bytes(&c, 2);
    assert_memory_equal(s.base, "ab", 2);
    assert_false(c.bad);
    assert_int_equal(rc_get_u8(&c), 0);
    assert_true(c.bad);

    c = rc_cursor_of(bytes, 3);
    assert_int_equal(rc_get_be32(&c), 0);
    assert_true(c.bad);
    assert_int_equal(rc_get_u8(&c), 0); /* Stays bad although a byte is there. */
    c = rc_cursor_of(bytes, 3);
    assert_int_equal(rc_get_bytes(&c, SIZE_MAX).len, 0);
    assert_true(c.bad);
}

static void varints_follow_leb128(void **state)
{
    static const struct {
        uint64_t value;
        const char *bytes;
        size_t len;
    } cases[] = {
        {0, "\x00", 1},
        {127, "\x7F", 1},
        {128, "\x80\x01", 2},
        {300, "\xAC\x02", 2},
        {624485, "\xE5\x8E\x26", 3},
        {UINT64_MAX, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 10},
    };
    static const char *const bad[] = {"\x80", "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02",
                                      "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"};
    uint8_t out[10];
    rc_cursor c;
    (void)state;

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        assert_int_equal(rc_put_varint(out, cases[i].value), cases[i].len);
        assert_memory_equal(out, cases[i].bytes, cases[i].len);
        c = rc_cursor_of(cases[i].bytes, cases[i].len);
        assert_true(rc_get_varint(&c) == cases[i].value);
        assert_true(!c.bad && c.at == c.end);
    }
    for (size_t i = 0; i < RC_COUNT(bad); i++) {
        c = rc_cursor_of(bad[i], strlen(bad[i]));
        assert_true(rc_get_varint(&c) == 0 && c.bad);
    }
}

static void big_endian_writers(void **state)
{
    uint8_t out[14];
    (void)state;

    rc_put_be16(out, 0x0102);
    rc_put_be32(out + 2, 0x03040506);
    rc_put_be64(out + 6, 0x0708090A0B0C0D0Eu);
    assert_memory_equal(out, "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0A\x0B\x0C\x0D\x0E", 14);
}

static void base64_matches_rfc4648(void **state)
{
    static const struct {
        const char *plain, *coded;
    } cases[] = {{"", ""},
                 {"f", "Zg=="},
                 {"fo", "Zm8="},
                 {"foo", "Zm9v"},
                 {"foob", "Zm9vYg=="},
                 {"fooba", "Zm9vYmE="},
                 {"foobar", "Zm9vYmFy"},
                 {"\xFB\xFF\xFE", "+//+"}};
    rc_arena arena;
    rc_slice out;
    (void)state;

    rc_arena_init(&arena, 1024);
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        out = rc_base64_encode(&arena.pub, omc_slice_str(cases[i].plain));
        assert_string_equal(out.base, cases[i].coded);
        assert_int_equal(rc_base64_decode(&arena.pub, omc_slice_str(cases[i].coded), &out), 0);
        if (!omc_slice_is(out, cases[i].plain))
            fail_msg("'%s' became '%s'", cases[i].coded, out.base);
    }
    rc_arena_release(&arena);
}

static void base64_refuses_what_is_not(void **state)
{
    static const char *const bad[] = {"Z",          "Zg",       "Zg=",    "=Zg=", "Z===",
                                      "====",       "Zg==Zg==", "Zm9v\n", " Zg=", "Zg= ",
                                      "Zm-_",       "Zh==",     "ZE==",   "Zm9=", "Zm9vYg=A",
                                      "Z\xC3\xA9=", "Zg=A"};
    rc_arena arena;
    rc_slice out = {0};
    (void)state;

    rc_arena_init(&arena, 1024);
    for (size_t i = 0; i < RC_COUNT(bad); i++)
        if (rc_base64_decode(&arena.pub, omc_slice_str(bad[i]), &out) != -OMC_EFORMAT)
            fail_msg("'%s' was taken", bad[i]);
    assert_null(out.base);
    rc_arena_release(&arena);
}

static void base64_of_many_bytes(void **state)
{
    size_t len = ((size_t)3 << 20) * 2 + 1; /* More than two steps. */
    RC_AUTO_FREE char *bytes = rc_malloc(len);
    rc_arena arena;
    rc_slice coded;
    rc_slice back = {0};
    (void)state;

    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)(i * 7 + i / 251);
    rc_arena_init(&arena, 1024);
    coded = rc_base64_encode(&arena.pub, omc_slice_of(bytes, len));
    assert_int_equal(coded.len, (len + 2) / 3 * 4);
    assert_int_equal(rc_base64_decode(&arena.pub, coded, &back), 0);
    assert_true(omc_slice_eq(back, omc_slice_of(bytes, len)));
    rc_arena_release(&arena);
}

static void utf8_by_rfc3629(void **state)
{
    static const struct {
        const char *text;
        bool valid;
    } cases[] = {
        {"", true},
        {"plain ascii, longer than eight bytes", true},
        {"\xC3\xA9", true},
        {"\xE2\x82\xAC 12345678 \xF0\x9F\x98\x80", true},
        {"\xEF\xBF\xBF", true},
        {"\xF4\x8F\xBF\xBF", true},
        {"\xC0\x80", false}, /* overlong NUL */
        {"\xC1\xBF", false},
        {"\xE0\x9F\xBF", false},     /* overlong */
        {"\xF0\x8F\xBF\xBF", false}, /* overlong */
        {"\xED\xA0\x80", false},     /* surrogate */
        {"\xF4\x90\x80\x80", false}, /* above U+10FFFF */
        {"\xF5\x80\x80\x80", false},
        {"\x80", false},
        {"12345678\xE2\x82", false}, /* cut */
        {"\xE2\x28\xA1", false},
        {"1234567\xFF", false},
    };
    (void)state;

    for (size_t i = 0; i < RC_COUNT(cases); i++)
        if (rc_utf8_valid(omc_slice_str(cases[i].text)) != cases[i].valid)
            fail_msg("case %zu is not %s", i, cases[i].valid ? "valid" : "refused");
    assert_true(rc_utf8_valid(omc_slice_of("a\0b", 3)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc_matches_rfc3720),
        cmocka_unit_test(crc_continues_and_both_ways_agree),
        cmocka_unit_test(cursor_reads_and_remembers_overrun),
        cmocka_unit_test(varints_follow_leb128),
        cmocka_unit_test(big_endian_writers),
        cmocka_unit_test(base64_matches_rfc4648),
        cmocka_unit_test(base64_refuses_what_is_not),
        cmocka_unit_test(base64_of_many_bytes),
        cmocka_unit_test(utf8_by_rfc3629),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
