/* SPDX-License-Identifier: Apache-2.0 */
/** Errors gain context on their way up and survive being too long. */
#include "unit.h"

#include "base/base.h"
#include "base/encode.h"

#include <errno.h>

static void wrapping_puts_context_in_front(void **state)
{
    rc_error err = {0};
    int r = rc_fail_retriable(&err, OMC_ECONNECT, "connect 127.0.0.1:%d: refused", 3306);
    (void)state;

    assert_int_equal(r, -OMC_ECONNECT);
    assert_int_equal(rc_wrap(&err, r, "task %s", "orders-0"), -OMC_ECONNECT);
    assert_string_equal(err.msg, "task orders-0: connect 127.0.0.1:3306: refused");
    assert_int_equal(err.code, OMC_ECONNECT);
    assert_int_equal(err.flags, OMC_ERR_RETRIABLE);
    assert_int_equal(rc_wrap(NULL, -OMC_EIO, "x"), -OMC_EIO);
    assert_int_equal(rc_fail(NULL, OMC_EIO, "x"), -OMC_EIO);
}

static void cuts_keep_whole_characters(void **state)
{
    char wide[1200];
    (void)state;

    for (size_t i = 0; i + 3 <= sizeof wide; i += 3)
        memcpy(wide + i, "\xE2\x82\xAC", 3);
    wide[999] = '\0'; /* 333 characters. */
    for (int pad = 0; pad < 6; pad++) {
        rc_error err = {0};

        rc_fail(&err, OMC_EINVAL, "%s", wide);
        rc_wrap(&err, -OMC_EINVAL, "%0*d", 16 + pad, 0);
        assert_true(strlen(err.msg) > 1000);
        assert_true(rc_utf8_valid(omc_slice_str(err.msg)));
    }
}

static void errno_becomes_code_and_flag(void **state)
{
    static const struct {
        int errnum, code;
        uint32_t flags;
    } cases[] = {
        {ENOSPC, OMC_ENOSPC, OMC_ERR_RETRIABLE},
        {EDQUOT, OMC_ENOSPC, OMC_ERR_RETRIABLE},
        {EACCES, OMC_EACCES, 0},
        {EPERM, OMC_EACCES, 0},
        {ENOENT, OMC_ENOTFOUND, 0},
        {EEXIST, OMC_EEXIST, 0},
        {ECONNREFUSED, OMC_ECONNECT, OMC_ERR_RETRIABLE},
        {EIO, OMC_EIO, OMC_ERR_RETRIABLE},
        {EINTR, OMC_EIO, OMC_ERR_RETRIABLE},
        {EISDIR, OMC_EIO, 0},
    };
    (void)state;

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        rc_error err = {0};

        assert_int_equal(rc_fail_errno(&err, cases[i].errnum, "open '%s'", "/x"), -cases[i].code);
        assert_int_equal(err.code, cases[i].code);
        assert_int_equal(err.flags, cases[i].flags);
        assert_int_equal(strncmp(err.msg, "open '/x': ", 11), 0);
    }
}

static void every_code_has_its_own_name(void **state)
{
    (void)state;
    for (int a = 0; a <= OMC_EFENCED; a++) {
        assert_string_not_equal(rc_code_name(a), "UNKNOWN");
        assert_string_equal(rc_code_name(a), rc_code_name(-a));
        for (int b = 0; b < a; b++)
            assert_string_not_equal(rc_code_name(a), rc_code_name(b));
    }
    assert_string_equal(rc_code_name(OMC_ENOSPC), "NO_SPACE");
    assert_string_equal(rc_code_name(4711), "UNKNOWN");
    assert_string_equal(rc_code_name(INT32_MIN), "UNKNOWN");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrapping_puts_context_in_front),
        cmocka_unit_test(cuts_keep_whole_characters),
        cmocka_unit_test(errno_becomes_code_and_flag),
        cmocka_unit_test(every_code_has_its_own_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
