/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Properties files. The expected pairs are those of java.util.Properties: its API page's examples
 * and what OpenJDK 17 printed for the other lines.
 */
#include "unit.h"

#include "config/properties.h"

static void files_read_as_in_java(void **state)
{
    static const struct {
        const char *text;
        const char *pairs; /* "key\1value\2..." */
    } cases[] = {
        {"", ""},
        {"\n\r\n  \t\f\n", ""},
        {"Truth = Beauty\n  Truth2:Beauty\nTruth3                    :Beauty",
         "Truth\1Beauty\2Truth2\1Beauty\2Truth3\1Beauty\2"},
        {"fruits                           apple, banana, pear, \\\n"
         "                                 cantaloupe, watermelon, \\\r\n"
         "                                 kiwi, mango",
         "fruits\1apple, banana, pear, cantaloupe, watermelon, kiwi, mango\2"},
        {"cheeses\n", "cheeses\1\2"},
        {"# c=1\n  ! d=2\na=1 # no comment\n", "a\1"
                                               "1 # no comment\2"},
        {"# comment with backslash \\\nb=2\n", "b\1"
                                               "2\2"},
        {"a=b\\\\\nc=d", "a\1"
                         "b\\\2c\1"
                         "d\2"},
        {"a = trailing blanks  \n", "a\1trailing blanks  \2"},
        {"a==b\nc=:d\ne: =f\n", "a\1=b\2c\1:d\2e\1=f\2"},
        {"\\:\\= = x\nwith\\ blank=y", ":=\1x\2with blank\1y\2"},
        {"t=\\t\\n\\r\\f\\z\\\"", "t\1\t\n\r\fz\"\2"},
        {"u=\\u00e9\\u20AC\\uD83D\\uDE00", "u\1\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\2"},
        {"raw=\xC3\xA9", "raw\1\xC3\xA9\2"},
        {"latin=\xE9\n", "latin\1\xC3\xA9\2"}, /* ISO-8859-1. */
        {"\xEF\xBB\xBFx=1", "x\1"
                            "1\2"},
        {"a=1\\", "a\1"
                  "1\2"},
        {"a=1\\\n\nb=2", "a\1"
                         "1\2b\1"
                         "2\2"},
        {"a=1\\\n#2", "a\1"
                      "1#2\2"}, /* No comment inside a logical line. */
        {"ke\\\n   y=v", "key\1v\2"},
        {"key\\\n   =v", "key\1v\2"},
        {"key \\\n  = \\\n  v", "key\1v\2"},
        {"path=C:\\\\temp\\\\x", "path\1"
                                 "C:\\temp\\x\2"},
    };
    (void)state;

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        RC_AUTO(rc_buf) got = &(rc_buf)RC_BUF(4096);
        const omc_keyvalue *kv = NULL;
        rc_error err = {0};
        rc_arena arena;

        rc_arena_init(&arena, 1024);
        if (rc_properties_parse("f", omc_slice_str(cases[i].text), &arena.pub, &kv, &err) < 0)
            fail_msg("case %zu: %s", i, err.msg);
        rc_buf_str(got, "");
        for (size_t p = 0; p < kv->count; p++)
            rc_buf_printf(got, RC_SLICE_FMT "\1" RC_SLICE_FMT "\2", RC_SLICE_ARG(kv->pairs[p].key),
                          RC_SLICE_ARG(kv->pairs[p].value));
        if (strcmp(got->data ? got->data : "", cases[i].pairs) != 0)
            fail_msg("case %zu '%s': got '%s'", i, cases[i].text, got->data);
        rc_arena_release(&arena);
    }
}

static void mistakes_are_told_with_their_line(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"a=1\nb=2\na=3\n",
         "worker.conf:3: key 'a' is given twice, first on line 1; keep one of them"},
        {"x=1\\\n 2\n\n# c\nx=3",
         "worker.conf:5: key 'x' is given twice, first on line 1; keep one of them"},
        {"a=1\n=2\n", "worker.conf:2: no key before the value"},
        {"a=\\u12G4\n", "worker.conf:1: \\u needs four hexadecimal digits behind it"},
        {"a=\\u12", "worker.conf:1: \\u needs four hexadecimal digits behind it"},
        {"a=b\\\nc\\u0000", "worker.conf:2: \\u0000 is not allowed"},
        {"a=\\uD83Dx",
         "worker.conf:1: \\uD83D is half of a character; write both halves, as in \\uD83D\\uDE00"},
        {"a=\\uDE00",
         "worker.conf:1: \\uDE00 is half of a character; write both halves, as in \\uD83D\\uDE00"},
    };
    (void)state;

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        const omc_keyvalue *kv = NULL;
        rc_error err = {0};
        rc_arena arena;
        int r;

        rc_arena_init(&arena, 1024);
        r = rc_properties_parse("worker.conf", omc_slice_str(cases[i].text), &arena.pub, &kv, &err);
        if (r != -OMC_EINVAL || kv || strcmp(err.msg, cases[i].message) != 0)
            fail_msg("case %zu: r=%d '%s'", i, r, err.msg);
        rc_arena_release(&arena);
    }
}

static void other_inputs_are_refused(void **state)
{
    RC_AUTO_FREE char *wide = rc_calloc(1, RC_CONFIG_FILE_MAX + 1);
    const omc_keyvalue *kv = NULL;
    rc_error err = {0};
    rc_arena arena;
    (void)state;

    rc_arena_init(&arena, 1024);
    assert_int_equal(rc_properties_parse("f", omc_slice_of("a=\0", 3), &arena.pub, &kv, &err),
                     -OMC_EINVAL);
    assert_string_equal(err.msg, "f:1: a NUL byte; is this a text file?");
    assert_int_equal(rc_properties_parse("f", omc_slice_of("a=\\\0", 4), &arena.pub, &kv, &err),
                     -OMC_EINVAL);
    assert_int_equal(rc_properties_parse("f", omc_slice_of(wide, RC_CONFIG_FILE_MAX + 1),
                                         &arena.pub, &kv, &err),
                     -OMC_EINVAL);
    assert_int_equal(rc_properties_load("/does/not/exist", &arena.pub, &kv, &err), -OMC_ENOTFOUND);
    assert_non_null(strstr(err.msg, "/does/not/exist"));
    rc_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_read_as_in_java),
        cmocka_unit_test(mistakes_are_told_with_their_line),
        cmocka_unit_test(other_inputs_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
