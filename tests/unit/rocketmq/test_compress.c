/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Compressed bodies: what the Java client sent (the recorded frames have more), damage at every
 * byte, and streams that become much larger than they are.
 */
#include "unit.h"

#include "rocketmq/wire.h"

#define S(text) omc_slice_of((text), sizeof(text) - 1)

static const enum rmq_compression methods[] = {RMQ_COMPRESS_LZ4, RMQ_COMPRESS_ZSTD,
                                               RMQ_COMPRESS_ZLIB};

static rc_arena arena;

static void flags_are_those_of_the_protocol(void **state)
{
    (void)state;

    assert_int_equal(rmq_compression_flag(RMQ_COMPRESS_NONE), 0);
    assert_int_equal(rmq_compression_flag(RMQ_COMPRESS_LZ4), 0x101);
    assert_int_equal(rmq_compression_flag(RMQ_COMPRESS_ZSTD), 0x201);
    assert_int_equal(rmq_compression_flag(RMQ_COMPRESS_ZLIB), 0x301);
}

/* 6000 times 'z', as the Java client compressed it (producer capture, flag 769). */
static const char java_zlib[] = "\x78\x5e\xed\xc1\x31\x01\x00\x00\x00\xc2\xa0\xde\x4b\x6f\x08"
                                "\x5f\xa0\x00\x00\x00\x00\x00\x80\xd7\x00\xa6\x3f\x2c\x06";

static bool all_are(rc_slice text, char c, size_t count)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.base[i] != c)
            return false;
    return text.len == count;
}

static void bodies_of_the_java_client_open(void **state)
{
    rc_slice out;
    (void)state;

    assert_int_equal(rmq_decompress(0x301, S(java_zlib), 6000, &arena.pub, &out, NULL), 0);
    assert_true(all_are(out, 'z', 6000));
    /* Before there was a choice, the method's bits were 0. */
    assert_int_equal(rmq_decompress(0x1, S(java_zlib), 6000, &arena.pub, &out, NULL), 0);
    assert_true(all_are(out, 'z', 6000));
}

/* Something that compresses and is not one byte. */
static char *some_text(size_t len)
{
    char *text = rc_malloc(len);
    uint32_t state = 1;

    for (size_t i = 0; i < len; i++) {
        state = state * 1103515245 + 12345;
        text[i] = (char)('a' + (state >> 16) % 7);
    }
    return text;
}

static void bodies_of_every_size_come_back(void **state)
{
    static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 70000, 300000};
    (void)state;

    for (size_t i = 0; i < RC_COUNT(methods) * RC_COUNT(sizes); i++) {
        enum rmq_compression how = methods[i % RC_COUNT(methods)];
        size_t len = sizes[i / RC_COUNT(methods)];
        RC_AUTO_FREE char *text = some_text(len);
        rc_buf buf = RC_BUF(1 << 20);
        rc_slice out;
        rc_error err = {0};

        rc_buf_str(&buf, "front");
        assert_int_equal(rmq_compress(how, omc_slice_of(text, len), &buf, &err), 0);
        assert_memory_equal(buf.data, "front", 5);
        if (rmq_decompress(rmq_compression_flag(how), omc_slice_of(buf.data + 5, buf.len - 5), len,
                           &arena.pub, &out, &err) < 0)
            fail_msg("method %d, %zu bytes: %s", how, len, err.msg);
        assert_non_null(out.base);
        assert_true(omc_slice_eq(out, omc_slice_of(text, len)));
        /* One byte less is too little. */
        if (len > 0)
            assert_int_equal(rmq_decompress(rmq_compression_flag(how),
                                            omc_slice_of(buf.data + 5, buf.len - 5), len - 1,
                                            &arena.pub, &out, &err),
                             -OMC_ENOMEM);
        rc_buf_release(&buf);
        rc_arena_reset(&arena, 65536);
    }
}

/* LZ4 blocks that depend on each other are refused by the Java client (bit 5 of FLG). */
static void lz4_blocks_are_independent(void **state)
{
    RC_AUTO_FREE char *text = some_text(300000);
    rc_buf buf = RC_BUF(1 << 20);
    (void)state;

    assert_int_equal(rmq_compress(RMQ_COMPRESS_LZ4, omc_slice_of(text, 300000), &buf, NULL), 0);
    assert_memory_equal(buf.data, "\x04\x22\x4d\x18", 4);
    assert_true(buf.data[4] & 0x20);
    rc_buf_release(&buf);
}

static void cut_bodies_are_refused(void **state)
{
    RC_AUTO_FREE char *text = some_text(3000);
    (void)state;

    for (size_t i = 0; i < RC_COUNT(methods); i++) {
        rc_buf buf = RC_BUF(1 << 20);
        rc_slice out;
        rc_error err = {0};

        assert_int_equal(rmq_compress(methods[i], omc_slice_of(text, 3000), &buf, NULL), 0);
        for (size_t n = 0; n < buf.len; n++) {
            RC_AUTO_FREE char *copy = rc_malloc(n);

            memcpy(copy, buf.data, n);
            if (rmq_decompress(rmq_compression_flag(methods[i]), omc_slice_of(copy, n), 4000,
                               &arena.pub, &out, &err) != -OMC_EFORMAT)
                fail_msg("method %d, %zu of %zu bytes", methods[i], n, buf.len);
        }
        assert_non_null(strstr(err.msg, "end too soon"));
        rc_buf_release(&buf);
    }
}

/* Damage is refused or gives other bytes (not all methods have a checksum), and never crashes. */
static void damaged_bodies_do_no_harm(void **state)
{
    RC_AUTO_FREE char *text = some_text(1000);
    int refused = 0;
    (void)state;

    for (size_t i = 0; i < RC_COUNT(methods); i++) {
        rc_buf buf = RC_BUF(1 << 20);
        rc_slice out;

        assert_int_equal(rmq_compress(methods[i], omc_slice_of(text, 1000), &buf, NULL), 0);
        for (size_t n = 0; n < buf.len; n++) {
            buf.data[n] ^= 0x55;
            refused += rmq_decompress(rmq_compression_flag(methods[i]), rc_buf_slice(&buf), 4000,
                                      &arena.pub, &out, NULL) < 0;
            buf.data[n] ^= 0x55;
        }
        rc_buf_release(&buf);
        rc_arena_reset(&arena, 65536);
    }
    assert_true(refused > 100);
}

static void bombs_are_stopped_at_the_limit(void **state)
{
    size_t len = (size_t)64 << 20;
    RC_AUTO_FREE char *zeros = rc_calloc(len, 1);
    (void)state;

    for (size_t i = 0; i < RC_COUNT(methods); i++) {
        rc_buf buf = RC_BUF((size_t)128 << 20);
        rc_arena own;
        rc_slice out;
        rc_error err = {0};

        rc_arena_init(&own, 65536);
        assert_int_equal(rmq_compress(methods[i], omc_slice_of(zeros, len), &buf, NULL), 0);
        assert_int_equal(rmq_decompress(rmq_compression_flag(methods[i]), rc_buf_slice(&buf),
                                        RMQ_BODY_MAX, &own.pub, &out, &err),
                         -OMC_ENOMEM);
        assert_non_null(strstr(err.msg, "become more than the limit of 4194304 bytes"));
        assert_true(rc_arena_total(&own) < 3 * RMQ_BODY_MAX);
        rc_arena_release(&own);
        rc_buf_release(&buf);
    }
}

static void unknown_methods_and_small_buffers_are_refused(void **state)
{
    rc_buf small = RC_BUF(10);
    rc_slice out;
    rc_error err = {0};
    (void)state;

    assert_int_equal(rmq_decompress(0x401, S("x"), 10, &arena.pub, &out, &err), -OMC_EFORMAT);
    assert_non_null(strstr(err.msg, "sysFlag 0x401 names a compression"));
    for (size_t i = 0; i < RC_COUNT(methods); i++) {
        assert_int_equal(rmq_compress(methods[i], S("0123456789"), &small, &err), -OMC_ENOMEM);
        rc_buf_clear(&small);
    }
    assert_int_equal(rmq_compress(RMQ_COMPRESS_NONE, S("0123456789"), &small, &err), 0);
    assert_string_equal(small.data, "0123456789");
    assert_int_equal(rmq_compress(RMQ_COMPRESS_NONE, S("0"), &small, &err), -OMC_ENOMEM);
    rc_buf_release(&small);
}

/* What is not needed of the reserved output goes back to the arena. */
static void small_bodies_stay_small_in_the_arena(void **state)
{
    rc_buf buf = RC_BUF(1000);
    rc_slice out;
    (void)state;

    assert_int_equal(rmq_compress(RMQ_COMPRESS_ZLIB, S("hello"), &buf, NULL), 0);
    rc_arena_release(&arena);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(rmq_decompress(0x301, rc_buf_slice(&buf), 100000, &arena.pub, &out, NULL),
                         0);
    assert_true(rc_arena_total(&arena) < 100000);
    rc_buf_release(&buf);
}

static int begin(void **state)
{
    (void)state;
    rc_arena_init(&arena, 8192);
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
        cmocka_unit_test(flags_are_those_of_the_protocol),
        cmocka_unit_test(bodies_of_the_java_client_open),
        cmocka_unit_test(bodies_of_every_size_come_back),
        cmocka_unit_test(lz4_blocks_are_independent),
        cmocka_unit_test(cut_bodies_are_refused),
        cmocka_unit_test(damaged_bodies_do_no_harm),
        cmocka_unit_test(bombs_are_stopped_at_the_limit),
        cmocka_unit_test(unknown_methods_and_small_buffers_are_refused),
        cmocka_unit_test(small_bodies_stay_small_in_the_arena),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
