/* SPDX-License-Identifier: Apache-2.0 */
/** Unique keys, Java's hash, legal names, and the counted memory of received bytes. */
#include "unit.h"

#include "base/thread.h"
#include "rocketmq/block.h"
#include "rocketmq/wire.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define S(text) omc_slice_of((text), sizeof(text) - 1)
#define T(text)                  \
    {                            \
        (text), sizeof(text) - 1 \
    }

/* ---- unique keys ----------------------------------------------------------------------------- */

static uint32_t hex_at(const char *key, int at, int digits)
{
    char part[9] = {0};
    unsigned value = 0;

    memcpy(part, key + at, (size_t)digits);
    assert_int_equal(sscanf(part, "%8X", &value), 1);
    return value;
}

static void a_key_has_javas_form(void **state)
{
    char key[33];
    struct tm tm;
    time_t now = time(NULL);
    int64_t into_month;
    (void)state;

    memset(key, '#', sizeof key);
    rmq_unique_key(key);
    assert_int_equal(strlen(key), 32);
    assert_int_equal(strspn(key, "0123456789ABCDEF"), 32);
    assert_int_equal(hex_at(key, 8, 4), (uint32_t)getpid() & 0xFFFF);
    /* Milliseconds since the month began. */
    localtime_r(&now, &tm);
    into_month = ((tm.tm_mday - 1) * INT64_C(86400) + tm.tm_hour * 3600 + tm.tm_min * 60) * 1000;
    if (into_month > 7200000) /* Clocks are put forward and back by an hour. */
        assert_in_range(hex_at(key, 20, 8), into_month - 3660000, into_month + 3720000);
}

#define KEYS_PER_THREAD 100000

static void *make_keys(void *arg)
{
    char(*keys)[33] = arg;

    for (int i = 0; i < KEYS_PER_THREAD; i++)
        rmq_unique_key(keys[i]);
    return NULL;
}

static int by_text(const void *a, const void *b)
{
    return memcmp(a, b, 33);
}

/* More than 65,536 in a millisecond or so, from several threads. */
static void keys_are_unique(void **state)
{
    char(*keys)[33] = rc_malloc(4 * KEYS_PER_THREAD * sizeof *keys);
    pthread_t threads[4];
    (void)state;

    for (size_t i = 0; i < 4; i++)
        assert_int_equal(rc_thread_start(&threads[i], "keys", 0, make_keys,
                                         keys + i * KEYS_PER_THREAD, NULL),
                         0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    /* In the order they were made, within a thread. */
    for (int i = 1; i < KEYS_PER_THREAD; i++)
        assert_true(memcmp(keys[i - 1], keys[i], 33) < 0);
    qsort(keys, 4 * KEYS_PER_THREAD, sizeof *keys, by_text);
    for (int i = 1; i < 4 * KEYS_PER_THREAD; i++)
        assert_memory_not_equal(keys[i - 1], keys[i], 33);
    free(keys);
}

/* ---- Java's hash ----------------------------------------------------------------------------- */

/* From new String(bytes, UTF_8).hashCode() in Java 17. */
static void hashes_are_javas(void **state)
{
    static const struct {
        rmq_slice text;
        int32_t hash;
    } cases[] = {
        {T(""), 0},
        {T("TagA"), 2598919},
        {T("order-4711-abcdefghijklmnop"), 1835968627},
        {T("\xc3\xa9\xe4\xb8\xad"), 27236},
        {T("\xf0\x9f\x98\x80\x78"), 54959989},
        {T("\xff"), 65533},
        {T("\x61\xff\x62"), 2124838},
        {T("\xc3"), 65533},
        {T("\xc3\x61"), 2031620},
        {T("\xe4\xb8"), 65533},
        {T("\xe4\xb8\x61"), 2031620},
        {T("\xf0\x9f\x98"), 65533},
        {T("\xf0\x9f\x98\x61"), 2031620},
        {T("\xed\xa0\x80"), 65533},
        {T("\xc0\x80"), 2097056},
        {T("\xf4\x90\x80\x80"), 2017367872},
        {T("\xf0\x80\x80\x80"), 2017367872},
        {T("\xe0\x80\x80"), 65074269},
        {T("\x80"), 65533},
    };
    (void)state;

    for (size_t i = 0; i < RC_COUNT(cases); i++)
        if (rmq_java_hash(cases[i].text) != cases[i].hash)
            fail_msg("'" RC_SLICE_FMT "': %d", RC_SLICE_ARG(cases[i].text),
                     rmq_java_hash(cases[i].text));
    assert_int_equal(rmq_java_hash((rmq_slice){NULL, 0}), 0);
}

/* ---- names ----------------------------------------------------------------------------------- */

static void names_are_checked(void **state)
{
    static const struct {
        const char *name;
        size_t max;
        const char *error; /* NULL = legal. */
    } cases[] = {
        {"Topic_1-a", 127, NULL},
        {"%RETRY%group|x", 127, NULL},
        {"12345", 5, NULL},
        {"123456", 5, "topic '123456...' is 6 bytes long; RocketMQ allows 5, shorten it"},
        {"", 5, "the topic is empty; name it"},
        {NULL, 5, "the topic is empty; name it"},
        {"a.b", 127,
         "topic 'a.b': '.' at position 2 is not allowed; use letters, digits, '_', '-'"},
        {"a b", 127, "topic: byte 0x20 at position 2 is not allowed"},
        {"a\nb", 127, "topic: byte 0x0a at position 2 is not allowed"},
        {"caf\xC3\xA9", 127, "topic: byte 0xc3 at position 4 is not allowed"},
    };
    (void)state;

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        rc_error err = {0};
        int r = rmq_name_check("topic", cases[i].name, cases[i].max, &err);

        if (r != (cases[i].error ? -OMC_EINVAL : 0))
            fail_msg("case %zu: %d %s", i, r, err.msg);
        if (cases[i].error && !strstr(err.msg, cases[i].error))
            fail_msg("case %zu: %s", i, err.msg);
    }
}

static void the_last_of_two_properties_counts(void **state)
{
    static const rmq_property two[] = {{T("a"), T("1")}, {T("a"), T("2")}};
    rmq_message message = {.properties = two, .property_count = 2};
    (void)state;

    assert_true(omc_slice_is(rmq_message_property(&message, "a"), "2"));
    assert_null(rmq_message_property(&message, "KEYS").base);
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static void *drop(void *arg)
{
    rmq_block_unref(arg);
    return NULL;
}

static void the_last_reference_frees_a_block(void **state)
{
    _Atomic int64_t total = 0;
    rmq_block *block = rmq_block_new(1000, &total);
    rmq_block *other = rmq_block_new(0, &total);
    pthread_t thread;
    (void)state;

    memset(block->data, 1, block->cap);
    assert_int_equal(total, 1000);
    rmq_block_ref(block);
    assert_int_equal(rc_thread_start(&thread, "drop", 0, drop, block, NULL), 0);
    rmq_block_unref(block);
    pthread_join(thread, NULL);
    assert_int_equal(total, 0);
    rmq_block_unref(other);
    rmq_block_unref(NULL);
    rmq_block_unref(rmq_block_new(10, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_has_javas_form),
        cmocka_unit_test(keys_are_unique),
        cmocka_unit_test(hashes_are_javas),
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(the_last_of_two_properties_counts),
        cmocka_unit_test(the_last_reference_frees_a_block),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
