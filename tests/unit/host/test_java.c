/* SPDX-License-Identifier: Apache-2.0 */
/* Where Java and the Java host are looked for, and what is said when they are not there. */
#include "unit.h"

#include "host/java.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[] = "/tmp/rc-java-XXXXXX";
static rc_arena arena;

static const char *path_of(const char *name)
{
    return rc_arena_format(&arena.pub, "%s/%s", root, name);
}

static void make_folder(const char *name)
{
    assert_int_equal(mkdir(path_of(name), 0700), 0);
}

static void make_file(const char *name, mode_t mode)
{
    FILE *f = fopen(path_of(name), "w");

    assert_non_null(f);
    (void)fclose(f);
    assert_int_equal(chmod(path_of(name), mode), 0);
}

static int set_up(void **state)
{
    (void)state;
    rc_arena_init(&arena, 1024);
    assert_non_null(mkdtemp(root));
    make_folder("home");
    make_folder("home/bin");
    make_folder("empty");
    make_folder("path");
    make_file("home/bin/java", 0700);
    make_file("path/java", 0700);
    make_file("plain", 0600);
    return 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"home/bin/java", "home/bin", "home", "empty",
                                        "path/java",     "path",     "plain"};

    (void)state;
    for (size_t i = 0; i < RC_COUNT(names); i++)
        (void)remove(path_of(names[i]));
    (void)remove(root);
    rc_arena_release(&arena);
    return 0;
}

static void environment(const char *home, const char *path)
{
    if (home)
        assert_int_equal(setenv("JAVA_HOME", path_of(home), 1), 0);
    else
        assert_int_equal(unsetenv("JAVA_HOME"), 0);
    assert_int_equal(
        setenv("PATH", rc_arena_format(&arena.pub, "%s:%s", path_of("none"), path_of(path)), 1), 0);
}

static void java_home_comes_before_path(void **state)
{
    const char *java = NULL;
    rc_error err = {0};

    (void)state;
    environment("home", "path");
    assert_int_equal(rc_java_find(NULL, &arena.pub, &java, &err), 0);
    assert_string_equal(java, path_of("home/bin/java"));
    environment("empty", "path");
    assert_int_equal(rc_java_find("", &arena.pub, &java, &err), 0);
    assert_string_equal(java, path_of("path/java"));
}

static void what_was_asked_for_counts(void **state)
{
    const char *java = NULL;
    rc_error err = {0};

    (void)state;
    environment("home", "path");
    assert_int_equal(rc_java_find("java", &arena.pub, &java, &err), 0);
    assert_string_equal(java, path_of("path/java"));
    assert_int_equal(rc_java_find(path_of("home/bin/java"), &arena.pub, &java, &err), 0);
    assert_string_equal(java, path_of("home/bin/java"));
    assert_int_equal(rc_java_find(path_of("plain"), &arena.pub, &java, &err), -OMC_ENOTFOUND);
    assert_non_null(strstr(err.msg, "host.java"));
    assert_non_null(strstr(err.msg, path_of("plain")));
    assert_int_equal(rc_java_find("other-java", &arena.pub, &java, &err), -OMC_ENOTFOUND);
}

static void without_java_the_cure_is_told(void **state)
{
    const char *java = NULL;
    rc_error err = {0};

    (void)state;
    if (access("/usr/lib/jvm/default-java/bin/java", X_OK) == 0)
        skip();
    environment(NULL, "empty");
    assert_int_equal(rc_java_find(NULL, &arena.pub, &java, &err), -OMC_ENOTFOUND);
    assert_non_null(strstr(err.msg, "apt install default-jre-headless"));
}

static void the_host_is_the_one_asked_for_or_the_one_beside_the_program(void **state)
{
    const char *jar = NULL;
    rc_error err = {0};

    (void)state;
    assert_int_equal(rc_java_host_find(path_of("plain"), &arena.pub, &jar, &err), 0);
    assert_string_equal(jar, path_of("plain"));
    assert_int_equal(rc_java_host_find(path_of("none"), &arena.pub, &jar, &err), -OMC_ENOTFOUND);
    assert_non_null(strstr(err.msg, "host.java.jar"));
    /* This test is no worker: there is none beside it. */
    assert_int_equal(rc_java_host_find(NULL, &arena.pub, &jar, &err), -OMC_ENOTFOUND);
    assert_non_null(strstr(err.msg, "build-java-host.sh"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(java_home_comes_before_path),
        cmocka_unit_test(what_was_asked_for_counts),
        cmocka_unit_test(without_java_the_cure_is_told),
        cmocka_unit_test(the_host_is_the_one_asked_for_or_the_one_beside_the_program),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
