/* SPDX-License-Identifier: Apache-2.0 */
/** What operators read on standard error: one line per event, no forged lines, no floods. */
#include "unit.h"

#include "base/diag.h"
#include "base/thread.h"

#include <errno.h>
#include <unistd.h>

struct capture {
    FILE *file;
    rc_fake_clock *fake;
    char text[1 << 20];
    size_t len;
};

static struct capture cap;

static int setup(void **state)
{
    (void)state;
    cap.file = tmpfile();
    cap.fake = rc_fake_clock_new(1795373029123);
    rc_diag_setup(OMC_INFO, fileno(cap.file), rc_fake_clock_clock(cap.fake));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rc_diag_setup(OMC_INFO, 2, NULL);
    rc_fake_clock_free(cap.fake);
    fclose(cap.file);
    return 0;
}

/* Everything written so far. */
static const char *captured(void)
{
    ssize_t n = pread(fileno(cap.file), cap.text, sizeof cap.text - 1, 0);

    cap.len = n > 0 ? (size_t)n : 0;
    cap.text[cap.len] = '\0';
    return cap.text;
}

static size_t count_of(const char *what)
{
    size_t n = 0;

    for (const char *at = captured(); (at = strstr(at, what)); at++)
        n++;
    return n;
}

static void lines_have_time_level_and_component(void **state)
{
    (void)state;
    errno = 42;
    rc_warn("task copy-0", "disk %d %% full", 97);
    assert_int_equal(errno, 42);
    rc_debug("x", "not shown");
    rc_info(NULL, "no component");
    assert_string_equal(captured(), "2026-11-22T18:43:49.123Z WARN  task copy-0: disk 97 % full\n"
                                    "2026-11-22T18:43:49.123Z INFO  no component\n");
    rc_diag_set_level(OMC_ERROR);
    rc_warn("x", "quiet");
    assert_int_equal(count_of("quiet"), 0);
}

static void messages_cannot_forge_lines(void **state)
{
    (void)state;
    rc_info("a\nb", "%s", "one\r\ntwo\tthree\x1b[31m\xC3\xA9\xFF\xC2\x9B\n");
    assert_string_equal(
        captured(), "2026-11-22T18:43:49.123Z INFO  a | b: one | two three\\x1b[31m\xC3\xA9\\xff"
                    "\\xc2\\x9b\n");
}

static void long_lines_are_cut(void **state)
{
    char wide[9000];
    (void)state;

    memset(wide, 'x', sizeof wide);
    wide[sizeof wide - 1] = '\0';
    rc_info("c", "%s", wide);
    captured();
    assert_in_range(cap.len, 4000, 4096);
    assert_string_equal(cap.text + cap.len - 4, "\xE2\x80\xA6\n");
    assert_int_equal(count_of("\n"), 1);
}

static void flood(int n)
{
    for (int i = 0; i < n; i++)
        rc_warn("task a", "flood %d", i);
}

static void floods_are_counted(void **state)
{
    (void)state;
    flood(1000);
    assert_int_equal(count_of("flood"), 20);
    rc_warn("task b", "other %d", 1); /* Another text is not held back. */
    assert_int_equal(count_of("other"), 1);
    rc_fake_clock_advance(cap.fake, 999);
    flood(1);
    assert_int_equal(count_of("flood"), 20);
    rc_fake_clock_advance(cap.fake, 1);
    rc_info("c", "calm again");
    assert_int_equal(count_of("task a: 981 more like: flood 20\n"), 1);
    flood(5); /* A new second. */
    assert_int_equal(count_of("task a: flood"), 25);
    assert_int_equal(count_of("more like"), 1);
}

static void components_are_limited_apart(void **state)
{
    char name[32];
    (void)state;

    for (int c = 0; c < 100; c++) /* More than the table holds. */
        for (int i = 0; i < 30; i++) {
            (void)snprintf(name, sizeof name, "task %d", c);
            rc_info(name, "same %d", i);
        }
    assert_int_equal(count_of(": same") - count_of("more like: same"), 2000);
    rc_fake_clock_advance(cap.fake, 1000);
    for (int i = 0; i < 30; i++) {
        (void)snprintf(name, sizeof name, "later %d", i);
        rc_info(name, "x");
    }
    assert_int_equal(count_of("10 more like: same 20"), 100); /* Every dropped line is told. */
}

static void levels_parse(void **state)
{
    omc_log_level level = OMC_INFO;
    (void)state;

    assert_int_equal(rc_diag_parse_level("debug", &level), 0);
    assert_int_equal(level, OMC_DEBUG);
    assert_int_equal(rc_diag_parse_level("ERROR", &level), 0);
    assert_int_equal(level, OMC_ERROR);
    assert_int_equal(rc_diag_parse_level("loud", &level), -OMC_EINVAL);
    assert_int_equal(level, OMC_ERROR);
}

static void *speak(void *arg)
{
    for (int i = 0; i < 500; i++)
        rc_info(arg, "line %d of a thread that speaks beside others", i);
    return NULL;
}

static void threads_do_not_tear_lines(void **state)
{
    static char names[4][16];
    pthread_t threads[4];
    (void)state;

    for (size_t i = 0; i < 4; i++) {
        (void)snprintf(names[i], sizeof names[i], "thread %zu", i);
        assert_int_equal(rc_thread_start(&threads[i], "speak", 0, speak, names[i], NULL), 0);
    }
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(count_of("beside others\n2026"), 4 * 20 - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_have_time_level_and_component, setup, teardown),
        cmocka_unit_test_setup_teardown(messages_cannot_forge_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(long_lines_are_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(floods_are_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(components_are_limited_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(levels_parse, setup, teardown),
        cmocka_unit_test_setup_teardown(threads_do_not_tear_lines, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
