/* SPDX-License-Identifier: Apache-2.0 */
/** Labels in their usual form, and what does not become one. */
#include "unit.h"

#include "config/labels.h"

#include <stdio.h>
#include <string.h>

static void labels_take_their_usual_form(void **state)
{
    static const struct {
        const char *in;
        const char *out;
    } cases[] = {
        {"", ""},
        {" ; , ", ""},
        {"zone=a", "zone=a"},
        {" zone = a ; disk=ssd,", "disk=ssd,zone=a"},
        {"b=1,a=2,ab=3,a.b/c-d_e=4", "a=2,a.b/c-d_e=4,ab=3,b=1"},
    };
    char out[RC_LABELS_TEXT_MAX];
    rc_error err = {0};
    (void)state;

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        assert_int_equal(rc_labels_parse(cases[i].in, out, &err), 0);
        assert_string_equal(out, cases[i].out);
        assert_int_equal(rc_labels_parse(cases[i].out, out, &err), 0);
        assert_string_equal(out, cases[i].out);
    }
}

static void bad_labels_are_named(void **state)
{
    static const struct {
        const char *in;
        const char *text;
    } cases[] = {
        {"zone", "'zone' has no '='"},
        {"a=1,zone=", "'zone=' has no value"},
        {"=a", "'=a' has no key"},
        {"zone=a b", "at place 2"},
        {"z*ne=a", "at place 2"},
        {"zone=\xc3\xa4", "at place 1"},
        {"a=1;b=2;a=3", "'a' comes twice"},
        {"0123456789012345678901234567890123456789012345678901234567890123=a", "64 bytes"},
    };
    char out[RC_LABELS_TEXT_MAX];
    rc_error err = {0};
    (void)state;

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        assert_int_equal(rc_labels_parse(cases[i].in, out, &err), -OMC_EINVAL);
        if (!strstr(err.msg, cases[i].text))
            fail_msg("'%s': %s", cases[i].in, err.msg);
    }
}

/* The longest list that is allowed fits exactly. */
static void the_longest_list_fits(void **state)
{
    char in[2 * RC_LABELS_TEXT_MAX];
    char out[RC_LABELS_TEXT_MAX];
    size_t len = 0;
    rc_error err = {0};
    (void)state;

    for (int i = 0; i < RC_LABELS_MAX; i++)
        len += (size_t)snprintf(in + len, sizeof in - len, "%s%063d=%063d", i ? "," : "", i, i);
    assert_int_equal(rc_labels_parse(in, out, &err), 0);
    assert_string_equal(out, in);
    snprintf(in + len, sizeof in - len, ",a=1");
    assert_int_equal(rc_labels_parse(in, out, &err), -OMC_EINVAL);
    assert_non_null(strstr(err.msg, "more than 32"));
}

static void a_match_wants_all(void **state)
{
    (void)state;
    assert_true(rc_labels_match(NULL, NULL));
    assert_true(rc_labels_match("a=1", ""));
    assert_true(rc_labels_match("a=1,b=2,c=3", "a=1,c=3"));
    assert_true(rc_labels_match("a=1", "a=1"));
    assert_false(rc_labels_match(NULL, "a=1"));
    assert_false(rc_labels_match("a=1,b=2", "a=1,c=3"));
    assert_false(rc_labels_match("a=12", "a=1"));
    assert_false(rc_labels_match("a=1", "a=12"));
    assert_false(rc_labels_match("a=1,c=3", "b=2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_take_their_usual_form),
        cmocka_unit_test(bad_labels_are_named),
        cmocka_unit_test(the_longest_list_fits),
        cmocka_unit_test(a_match_wants_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
