/* SPDX-License-Identifier: Apache-2.0 */
/** Durations, sizes and counts as people write and read them. */
#include "unit.h"

#include "base/units.h"

struct parse_case {
    const char *in;
    int r;
    int64_t value; /* -7: left untouched. */
};

static void check(const struct parse_case *cases, size_t count,
                  int (*parse)(rc_slice text, int64_t *ret))
{
    for (size_t i = 0; i < count; i++) {
        int64_t value = -7;
        int r = parse(omc_slice_str(cases[i].in), &value);

        if (r != cases[i].r || value != cases[i].value)
            fail_msg("case %zu '%s': got r=%d value=%lld", i, cases[i].in, r, (long long)value);
    }
}

static void int64_parses(void **state)
{
    static const struct parse_case cases[] = {
        {"0", 0, 0},
        {"-5", 0, -5},
        {"+12", 0, 12},
        {"007", 0, 7},
        {"9223372036854775807", 0, INT64_MAX},
        {"-9223372036854775808", 0, INT64_MIN},
        {"9223372036854775808", -OMC_EINVAL, -7},
        {"-9223372036854775809", -OMC_EINVAL, -7},
        {"99999999999999999999999", -OMC_EINVAL, -7},
        {"", -OMC_EINVAL, -7},
        {"-", -OMC_EINVAL, -7},
        {"+-1", -OMC_EINVAL, -7},
        {" 1", -OMC_EINVAL, -7},
        {"1 ", -OMC_EINVAL, -7},
        {"0x10", -OMC_EINVAL, -7},
        {"1.0", -OMC_EINVAL, -7},
    };
    (void)state;
    check(cases, RC_COUNT(cases), rc_parse_int64);
}

static void duration_parses(void **state)
{
    static const struct parse_case cases[] = {
        {"0", 0, 0},
        {"250", 0, 250},
        {"250ms", 0, 250},
        {"3s", 0, 3000},
        {"5m", 0, 300000},
        {"2h", 0, 7200000},
        {"1d", 0, 86400000},
        {"", -OMC_EINVAL, -7},
        {"s", -OMC_EINVAL, -7},
        {"-5s", -OMC_EINVAL, -7},
        {"5M", -OMC_EINVAL, -7},
        {"5 s", -OMC_EINVAL, -7},
        {"5sec", -OMC_EINVAL, -7},
        {"9223372036854775807h", -OMC_EINVAL, -7},
    };
    (void)state;
    check(cases, RC_COUNT(cases), rc_parse_duration);
}

static void size_parses(void **state)
{
    static const struct parse_case cases[] = {
        {"4096", 0, 4096},
        {"64k", 0, 65536},
        {"64KiB", 0, 65536},
        {"1M", 0, 1048576},
        {"1mib", 0, 1048576},
        {"2GiB", 0, 2147483648},
        {"1TiB", 0, 1099511627776},
        {"8388607TiB", 0, 9223370937343148032},
        {"8388608TiB", -OMC_EINVAL, -7},
        {"-1", -OMC_EINVAL, -7},
        {"1KB", -OMC_EINVAL, -7}, /* 1000 or 1024? Not guessed. */
        {"KiB", -OMC_EINVAL, -7},
        {"", -OMC_EINVAL, -7},
    };
    (void)state;
    check(cases, RC_COUNT(cases), rc_parse_size);
}

static void bool_parses(void **state)
{
    bool value = false;
    (void)state;

    assert_int_equal(rc_parse_bool(omc_slice_str("TRUE"), &value), 0);
    assert_true(value);
    assert_int_equal(rc_parse_bool(omc_slice_str("False"), &value), 0);
    assert_false(value);
    assert_int_equal(rc_parse_bool(omc_slice_str("yes"), &value), -OMC_EINVAL);
    assert_int_equal(rc_parse_bool(omc_slice_str(""), &value), -OMC_EINVAL);
    assert_int_equal(rc_parse_bool(omc_slice_of(NULL, 0), &value), -OMC_EINVAL);
}

static void sizes_read_well(void **state)
{
    static const struct {
        int64_t in;
        const char *out;
    } cases[] = {
        {0, "0 B"},         {312, "312 B"},       {1023, "1023 B"},
        {1024, "1 KiB"},    {1536, "1.5 KiB"},    {1572864, "1.5 MiB"},
        {1048575, "1 MiB"}, {INT64_MAX, "8 EiB"}, {INT64_MIN, "-8 EiB"},
        {-2048, "-2 KiB"},
    };
    char out[24];
    (void)state;

    for (size_t i = 0; i < RC_COUNT(cases); i++)
        assert_string_equal(rc_format_size(cases[i].in, out), cases[i].out);
}

static void durations_read_well(void **state)
{
    static const struct {
        int64_t in;
        const char *out;
    } cases[] = {
        {0, "0 ms"},
        {250, "250 ms"},
        {999, "999 ms"},
        {3200, "3.2 s"},
        {3000, "3 s"},
        {59949, "59.9 s"},
        {59950, "1 min"},
        {303000, "5 min 3 s"},
        {3599600, "1 h"},
        {7500000, "2 h 5 min"},
        {90000000, "1 d 1 h"},
        {-250, "-250 ms"},
        {INT64_MAX, "106751991167 d 7 h"},
    };
    char out[32];
    (void)state;

    for (size_t i = 0; i < RC_COUNT(cases); i++)
        assert_string_equal(rc_format_duration(cases[i].in, out), cases[i].out);
}

static void counts_have_commas(void **state)
{
    char out[32];
    (void)state;

    assert_string_equal(rc_format_count(0, out), "0");
    assert_string_equal(rc_format_count(999, out), "999");
    assert_string_equal(rc_format_count(1000, out), "1,000");
    assert_string_equal(rc_format_count(1234567, out), "1,234,567");
    assert_string_equal(rc_format_count(INT64_MIN, out), "-9,223,372,036,854,775,808");
}

static void nearest_finds_typos_only(void **state)
{
    static const char *const keys[] = {"connect.topicname", "max.tasks", "filename", "port", "id"};
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"conect.topicname", "connect.topicname"},
        {"connect.topicName", "connect.topicname"},
        {"max.taks", "max.tasks"},
        {"max.tasks", "max.tasks"},
        {"fielname", "filename"},
        {"prot", "port"},
        {"prt", "port"},
        {"ID", "id"},
        {"ix", NULL},
        {"", NULL},
        {"completely.different", NULL},
    };
    char wide[300];
    (void)state;

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        const char *got = rc_nearest(cases[i].in, keys, RC_COUNT(keys));

        if (!got != !cases[i].out || (got && strcmp(got, cases[i].out) != 0))
            fail_msg("'%s' gave '%s'", cases[i].in, got ? got : "nothing");
    }
    memset(wide, 'x', sizeof wide - 1);
    wide[sizeof wide - 1] = '\0';
    assert_null(rc_nearest(wide, keys, RC_COUNT(keys)));
    assert_null(rc_nearest("port", keys, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(int64_parses),       cmocka_unit_test(duration_parses),
        cmocka_unit_test(size_parses),        cmocka_unit_test(bool_parses),
        cmocka_unit_test(sizes_read_well),    cmocka_unit_test(durations_read_well),
        cmocka_unit_test(counts_have_commas), cmocka_unit_test(nearest_finds_typos_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
