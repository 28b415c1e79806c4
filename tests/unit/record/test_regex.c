/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Regexes against Java: the expected values of the tables were computed with OpenJDK 17
 * (Pattern, Matcher.matches, Matcher.replaceAll). NULL and -1: Java refuses.
 */
#include "unit.h"

#include "record/transform.h"

#include <string.h>
#include <time.h>

/** pattern, Java flags, replacement, text, result. */
static const struct replace_row {
    const char *pattern, *flags, *replacement, *text, *expected;
} replace_rows[] = {
    {"x*", "", "-", "axb", "-a--b-"},
    {"|a", "", "X", "a", "XaX"},
    {"a*?", "", "X", "aa", "XaXaX"},
    {"o", "", "0", "foo_oo", "f00_00"},
    {"^", "", "pre_", "id", "pre_id"},
    {"$", "", "_v2", "id", "id_v2"},
    {"(\\w+)_(\\w+)", "", "$2_$1", "ab_cd", "cd_ab"},
    {"(a)(b)?", "", "[$1$2]", "acab", "[a]c[ab]"},
    {"(a)", "", "$10", "a", "a0"},
    {"(a)", "", "$2", "a", NULL /* IndexOutOfBoundsException: No group 2 */},
    {"a", "", "$", "a",
     NULL /* IllegalArgumentException: Illegal group reference: group index is missing */},
    {"a", "", "\\", "a", NULL /* IllegalArgumentException: character to be escaped is missing */},
    {"a", "", "\\$1", "a", "$1"},
    {"a", "", "\\\\", "a", "\\"},
    {"(?<y>\\d{4})-(?<m>\\d\\d)", "", "${m}/${y}", "2024-05", "05/2024"},
    {"(?<y>a)", "", "${z}", "a", NULL /* IllegalArgumentException: No group with name {z} */},
    {"(?<y>a)", "", "${y", "a",
     NULL /* IllegalArgumentException: named capturing group is missing trailing '}' */},
    {"a", "", "$x", "a", NULL /* IllegalArgumentException: Illegal group reference */},
    {"a", "", "$0$0", "ba", "baa"},
    {"A", "CASE_INSENSITIVE", "z", "aAb", "zzb"},
    {"a.b", "LITERAL", "_", "a.b axb", "_ axb"},
    {"a.b", "", "_", "a\nb", "a\nb"},
    {"a.b", "DOTALL", "_", "a\nb", "_"},
    {"^b", "MULTILINE", "_", "a\nb", "a\n_"},
    {"^b", "", "_", "a\nb", "a\nb"},
    {" a b # c\n", "COMMENTS", "_", "ab", "_"},
    {"[a b]+", "COMMENTS", "_", "a b", "_ _"},
    {"a$", "UNIX_LINES", "_", "a\r", "a\r"},
    {"a$", "", "_", "a\r", "_\r"},
    {"\\w", "UNICODE_CHARACTER_CLASS", "_", "é!", "_!"},
    {"\\w", "", "_", "é!", "é!"},
    {"É", "CASE_INSENSITIVE,UNICODE_CASE", "_", "é", "_"},
    {"\\u00e9", "", "_", "é", "_"},
    {"\\uD83D\\uDE00", "", "_", "a😀", "a_"},
    {"\\x{1F600}", "", "_", "a😀", "a_"},
    {"\\x41", "", "_", "AB", "_B"},
    {"\\0101", "", "_", "AB", "_B"},
    {".", "", "_", "é😀a", "___"},
    {"\\p{Lower}", "", "_", "aBé", "_Bé"},
    {"\\P{Lower}", "", "_", "aBé", "a__"},
    {"[\\p{Upper}\\d]", "", "_", "aB1", "a__"},
    {"\\p{L}", "", "_", "1é", "1_"},
    {"\\pL", "", "_", "1é", "1_"},
    {"\\p{IsGreek}", "", "_", "aα", "a_"},
    {"\\p{Punct}", "", "_", "a.b$", "a_b_"},
    {"\\p{IsAlphabetic}", "", "_", "é1", "_1"},
    {"\\p{javaLowerCase}", "", "_", "aB", "_B"},
    {"[^\\p{ASCII}]", "", "_", "aé", "a_"},
    {"\\Qa.b\\E", "", "_", "a.b axb", "_ axb"},
    {"(a)(b)\\2\\1", "", "_", "abba", "_"},
    {"(a)\\11", "", "_", "aa1", "_"},
    {"(?<n>a)\\k<n>", "", "_", "aa", "_"},
    {"(?i)a", "", "_", "A", "_"},
    {"(?i:a)b", "", "_", "AbAB", "_AB"},
    {"(?iu)é", "", "_", "É", "_"},
    {"(?U)\\w", "", "_", "é", "_"},
    {"(?s)a.b", "", "_", "a\nb", "_"},
    {"(?x) a b", "", "_", "ab", "_"},
    {"(?:(?x) a)#\\p{Punct}", "", "_", "a#.", "_"},
    {"(?x: a)#\\p{Punct}", "", "_", "a#.", "_"},
    {"(?-i)a", "", "_", "a", "_"},
    {"a++a", "", "_", "aaa", "aaa"},
    {"(?>a+)a", "", "_", "aaa", "aaa"},
    {"(?<=a)b", "", "_", "abb", "a_b"},
    {"(?<!a)b", "", "_", "abb", "ab_"},
    {"a(?=b)", "", "_", "abac", "_bac"},
    {"a{2}", "", "_", "aaaaa", "__a"},
    {"[]a]", "", "_", "]a", "__"},
    {"[a-]", "", "_", "a-", "__"},
    {"\\h", "", "_", "a\tb", "a_b"},
    {"\\R", "", "_", "a\r\nb", "a_b"},
    {"\\bfoo\\b", "", "_", "foo foobar", "_ foobar"},
    {"\\.", "", "_", "a.b.c", "a_b_c"},
    {"[\\[\\]]", "", "_", "a[b]", "a_b_"},
    {"(?d)a.", "", "_", "a\r", "_"},
    {"\\W", "", "_", "é\u2028 x", "___x"},
    {"\\D", "", "_", "é1", "_1"},
    {"\\S", "", "_", "É\u2028 ", "__ "},
    {"\\e\\a", "", "_", "x", "x"},
    {"\\t", "", "_", "a\tb", "a_b"},
    {"\\$", "", "\\$", "a$", "a$"},
};

/** pattern, text, matches() */
static const struct match_row {
    const char *pattern, *text;
    int expected;
} match_rows[] = {
    {"a|ab", "ab", 1},
    {"a*", "aaa", 1},
    {"a", "ab", 0},
    {"ab?", "ab", 1},
    {".*", "a\nb", 0},
    {"(?s).*", "a\nb", 1},
    {"a$", "a\n", 0},
    {"a\\Z", "a\n", 0},
    {"", "", 1},
    {"", "a", 0},
    {"a\\z", "a", 1},
    {"^a$", "a", 1},
    {".*é.*", "xéy", 1},
    {"\\d+", "12٣", 0},
    {"(?U)\\d+", "12٣", 1},
    {"a{,3}", "aa", -1 /* Illegal repetition near index 2 a{,3} ^ */},
    {"(*UTF)a", "a", -1 /* Dangling meta character '*' near index 1 (*UTF)a ^ */},
    {"(?R)", "a", -1 /* Unknown inline modifier near index 2 (?R) ^ */},
    {"(?P<n>a)", "a", -1 /* Unknown inline modifier near index 2 (?P<n>a) ^ */},
    {"\\Ka", "a", -1 /* Illegal/unsupported escape sequence near index 1 \Ka ^ */},
    {"\\ya", "a", -1 /* Illegal/unsupported escape sequence near index 1 \ya ^ */},
    {"(a", "a", -1 /* Unclosed group near index 2 (a */},
    {"a)", "a", -1 /* Unmatched closing ')' near index 0 a) ^ */},
    {"[a", "a", -1 /* Unclosed character class near index 1 [a ^ */},
    {"*a", "a", -1 /* Dangling meta character '*' near index 0 *a ^ */},
    {"(?z)a", "a", -1 /* Unknown inline modifier near index 2 (?z)a ^ */},
    {"\\p{Foo}", "a", -1 /* Unknown character property name {Foo} near index 6 \p{Foo} ^ */},
    {"\\u12", "a", -1 /* Illegal Unicode escape sequence near index 4 \u12 */},
    {"(?#x)a", "a", -1 /* Unknown inline modifier near index 2 (?#x)a ^ */},
    {"a\\", "a", -1 /* Unexpected internal error near index 2 a\ */},
    {"(?<n_1>a)", "a",
     -1 /* named capturing group is missing trailing '>' near index 4 (?<n_1>a) ^ */},
    {"(?<a>x)(?<a>y)", "xy",
     -1 /* Named capturing group <a> is already defined near index 11 (?<a>x)(?<a>y) ^ */},
    {"\\08", "a", -1 /* Illegal octal escape sequence near index 2 \08 ^ */},
    {"[\\b]", "b", -1 /* Illegal/unsupported escape sequence near index 2 [\b] ^ */},
    {"\\x4", "a", -1 /* Illegal hexadecimal escape sequence near index 3 \x4 */},
    {"a**", "a", -1 /* Dangling meta character '*' near index 2 a** ^ */},
};

/** What Java accepts and we refuse on purpose: the cure is part of the message. */
static const struct refused_row {
    const char *pattern, *cure;
} refused_rows[] = {
    {"[a-c&&[b]]", "(?=[a-z])[^b]"},  {"[a[bc]]", "[abc] for [a[bc]]"},
    {"[[:alpha:]]", "\\p{Alpha}"},    {"\\N{LATIN SMALL LETTER A}", "\\x{"},
    {"\\p{InGreek}", "\\p{IsGreek}"}, {"a(?d).", "at the start of the pattern"},
};

static omc_list flag_list(const char *text, omc_arena *arena)
{
    const char **items = omc_alloc(arena, 8 * sizeof *items);
    omc_list list = {.items = items};

    while (*text) {
        size_t len = strcspn(text, ",");

        items[list.count++] = omc_copy(arena, text, len);
        text += len + (text[len] == ',');
    }
    return list;
}

static void replaces_as_java(void **state)
{
    rc_arena arena;

    (void)state;
    rc_arena_init(&arena, 4096);
    for (size_t i = 0; i < RC_COUNT(replace_rows); i++) {
        const struct replace_row *row = &replace_rows[i];
        omc_list list = flag_list(row->flags, &arena.pub);
        RC_AUTO(rc_regex) regex = NULL;
        rc_error err = {0};
        unsigned flags = 0;
        rc_slice out;
        int r = rc_regex_flags(&list, &flags, &err);

        assert_int_equal(r, 0);
        r = rc_regex_new(row->pattern, flags, &regex, &err);
        if (r == 0)
            r = rc_regex_set_replacement(regex, row->replacement, &err);
        if (r == 0)
            r = rc_regex_replace(regex, omc_slice_str(row->text), &arena.pub, &out, &err);
        if (!row->expected) {
            assert_int_equal(r, -OMC_EINVAL);
            continue;
        }
        if (r < 0)
            fail_msg("'%s' on '%s': %s", row->pattern, row->text, err.msg);
        if (!omc_slice_is(out, row->expected))
            fail_msg("'%s' '%s' on '%s': got '%.*s', Java gives '%s'", row->pattern,
                     row->replacement, row->text, (int)out.len, out.base, row->expected);
    }
    rc_arena_release(&arena);
}

static void matches_as_java(void **state)
{
    (void)state;
    for (size_t i = 0; i < RC_COUNT(match_rows); i++) {
        const struct match_row *row = &match_rows[i];
        RC_AUTO(rc_regex) regex = NULL;
        rc_error err = {0};
        int r = rc_regex_new(row->pattern, RC_REGEX_FULL, &regex, &err);

        if (row->expected < 0) {
            if (r == 0)
                fail_msg("'%s' compiles, Java refuses it", row->pattern);
            assert_int_equal(r, -OMC_EINVAL);
            assert_non_null(strstr(err.msg, row->pattern));
            continue;
        }
        if (r < 0)
            fail_msg("'%s': %s", row->pattern, err.msg);
        r = rc_regex_match(regex, omc_slice_str(row->text), &err);
        if (r != row->expected)
            fail_msg("'%s' on '%s': got %d, Java gives %d", row->pattern, row->text, r,
                     row->expected);
    }
}

static void refuses_with_the_cure(void **state)
{
    (void)state;
    for (size_t i = 0; i < RC_COUNT(refused_rows); i++) {
        RC_AUTO(rc_regex) regex = NULL;
        rc_error err = {0};

        assert_int_equal(rc_regex_new(refused_rows[i].pattern, 0, &regex, &err), -OMC_EINVAL);
        if (!strstr(err.msg, refused_rows[i].cure))
            fail_msg("'%s' lacks '%s'", err.msg, refused_rows[i].cure);
    }
}

static void unknown_flag_lists_known_ones(void **state)
{
    const char *bad[] = {"DOTALL", "NOCASE"}, *canon[] = {"CANON_EQ"};
    unsigned flags = 0;
    rc_error err = {0};

    (void)state;
    assert_int_equal(rc_regex_flags(&(omc_list){2, bad}, &flags, &err), -OMC_EINVAL);
    assert_non_null(strstr(err.msg, "'NOCASE' is unknown"));
    assert_non_null(strstr(err.msg, "CASE_INSENSITIVE, MULTILINE"));
    assert_int_equal(rc_regex_flags(&(omc_list){1, canon}, &flags, &err), -OMC_EINVAL);
    assert_non_null(strstr(err.msg, "not supported"));
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/** Patterns that would run for years by backtracking. The bound is wide: sanitizers, busy machines;
 *  what must not happen is "never". */
static void no_pattern_hangs(void **state)
{
    static const struct {
        const char *pattern;
        unsigned flags;
        size_t len;
        int expected;
    } rows[] = {
        {"(a+)+$", 0, 50, -OMC_EFORMAT},
        {"(a+)+$", RC_REGEX_FULL, 50, -OMC_EFORMAT},
        {"(a|aa)+$", 0, 60, -OMC_EFORMAT},
        {"(a*)*c", RC_REGEX_FULL, 5000, -OMC_EFORMAT},
        {".*.*.*.*[cd]", RC_REGEX_FULL, 900, -OMC_EFORMAT},
        {".*.*.*.*[cd]", RC_REGEX_FULL, 1 << 20, -OMC_EFORMAT},
        {"(.*a.*b)*[cd]", 0, 2000, -OMC_EFORMAT},
        {"(?:a{0,60000}a{0,60000})+[cd]", 0, 65000, -OMC_EFORMAT},
        {".*b", RC_REGEX_FULL, 1 << 20, 1},
        {"(?:a)*b", RC_REGEX_FULL, 1 << 16, 1},
    };

    (void)state;
    for (size_t i = 0; i < RC_COUNT(rows); i++) {
        RC_AUTO_FREE char *text = rc_malloc(rows[i].len + 1);
        RC_AUTO(rc_regex) regex = NULL;
        rc_error err = {0};
        double start, took;
        int r;

        memset(text, 'a', rows[i].len);
        text[rows[i].len] = 'b';
        assert_int_equal(rc_regex_new(rows[i].pattern, rows[i].flags, &regex, &err), 0);
        start = seconds();
        r = rc_regex_match(regex, omc_slice_of(text, rows[i].len + 1), &err);
        took = seconds() - start;
        print_message("%-32s %8zu bytes: %d in %.3f s\n", rows[i].pattern, rows[i].len, r, took);
        if (r != rows[i].expected)
            fail_msg("'%s' on %zu bytes: %d (%s)", rows[i].pattern, rows[i].len, r, err.msg);
        if (r < 0)
            assert_non_null(strstr(err.msg, "simplify the regex"));
        assert_true(took < 20);
    }
}

/** Bytes that are not UTF-8 are kept, and never match. */
static void keeps_bytes_that_are_no_utf8(void **state)
{
    RC_AUTO(rc_regex) dot = NULL;
    RC_AUTO(rc_regex) whole = NULL;
    rc_arena arena;
    rc_error err = {0};
    rc_slice out;

    (void)state;
    rc_arena_init(&arena, 4096);
    assert_int_equal(rc_regex_new("a", 0, &dot, &err), 0);
    assert_int_equal(rc_regex_set_replacement(dot, "x", &err), 0);
    assert_int_equal(rc_regex_replace(dot,
                                      omc_slice_str("a\xff"
                                                    "a\xc3"),
                                      &arena.pub, &out, &err),
                     1);
    assert_true(omc_slice_is(out, "x\xff"
                                  "x\xc3"));
    assert_int_equal(rc_regex_new("a*", RC_REGEX_FULL, &whole, &err), 0);
    assert_int_equal(rc_regex_match(whole, omc_slice_str("aa\xff"), &err), 0);
    assert_int_equal(rc_regex_match(whole,
                                    omc_slice_str("\xff"
                                                  "aa"),
                                    &err),
                     0);
    assert_int_equal(rc_regex_match(whole, omc_slice_str("aa"), &err), 1);
    rc_arena_release(&arena);
}

static void full_replaces_the_whole_text(void **state)
{
    RC_AUTO(rc_regex) regex = NULL;
    rc_arena arena;
    rc_error err = {0};
    rc_slice out;

    (void)state;
    rc_arena_init(&arena, 4096);
    assert_int_equal(rc_regex_new("(.+)\\.(.+)", RC_REGEX_FULL, &regex, &err), 0);
    assert_int_equal(rc_regex_set_replacement(regex, "$2-$1", &err), 0);
    assert_int_equal(rc_regex_replace(regex, omc_slice_str("db.orders"), &arena.pub, &out, &err),
                     1);
    assert_string_equal(out.base, "orders-db");
    assert_int_equal(rc_regex_replace(regex, omc_slice_str("orders"), &arena.pub, &out, &err), 0);
    assert_true(omc_slice_is(out, "orders"));
    rc_arena_release(&arena);
}

static void bounds_sizes(void **state)
{
    RC_AUTO_FREE char *text = rc_malloc(70001);
    RC_AUTO(rc_regex) regex = NULL;
    rc_arena arena;
    rc_error err = {0};
    rc_slice out;

    (void)state;
    rc_arena_init(&arena, 4096);
    memset(text, 'a', 70000);
    text[70000] = '\0';
    assert_int_equal(rc_regex_new(text, 0, &regex, &err), -OMC_EINVAL);
    assert_int_equal(rc_regex_new("a", 0, &regex, &err), 0);
    assert_int_equal(rc_regex_match(regex, omc_slice_of(text, 70000), &err), -OMC_EFORMAT);
    assert_int_equal(rc_regex_set_replacement(regex, text, &err), -OMC_EINVAL);
    assert_int_equal(rc_regex_set_replacement(regex, "0123456789012345678901234567890", &err), 0);
    assert_int_equal(rc_regex_replace(regex, omc_slice_of(text, 60000), &arena.pub, &out, &err),
                     -OMC_EFORMAT);
    assert_non_null(strstr(err.msg, "longer than"));
    rc_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replaces_as_java),
        cmocka_unit_test(matches_as_java),
        cmocka_unit_test(refuses_with_the_cure),
        cmocka_unit_test(unknown_flag_lists_known_ones),
        cmocka_unit_test(no_pattern_hangs),
        cmocka_unit_test(keeps_bytes_that_are_no_utf8),
        cmocka_unit_test(full_replaces_the_whole_text),
        cmocka_unit_test(bounds_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
