/* SPDX-License-Identifier: Apache-2.0 */
/** Small files: whole or not at all, and errors that name the path. */
#include "unit.h"

#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What was synced, newest last; this fsync() takes the place of the library's. */
static char synced[8][256];
static size_t synced_count;

int fsync(int fd)
{
    char link[64];
    ssize_t n;

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, synced[synced_count % 8], sizeof synced[0] - 1);
    synced[synced_count++ % 8][n > 0 ? n : 0] = '\0';
    return (int)syscall(SYS_fsync, fd);
}

static bool was_synced(const char *path)
{
    for (size_t i = 0; i < RC_MIN(synced_count, (size_t)8); i++)
        if (strcmp(synced[i], path) == 0)
            return true;
    return false;
}

static char dir[64];

static int setup(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/rc-file-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    RC_AUTO_FREE char *command = rc_format("rm -rf '%s'", dir);
    (void)state;

    return system(command);
}

static size_t entries(void)
{
    DIR *d = opendir(dir);
    size_t n = 0;

    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

static void written_files_come_back(void **state)
{
    RC_AUTO_FREE char *path = rc_path_join(dir, "a");
    RC_AUTO_FREE char *text = NULL;
    RC_AUTO_FREE char *again = NULL;
    RC_AUTO_FREE char *wide = rc_calloc(1, 100000);
    size_t len;
    rc_error err = {0};
    (void)state;

    assert_int_equal(rc_file_write_atomic(path, "one\0two", 7, &err), 0);
    assert_int_equal(rc_file_read(path, 7, &text, &len, &err), 0);
    assert_int_equal(len, 7);
    assert_memory_equal(text, "one\0two", 8);
    memset(wide, 'w', 99999);
    assert_int_equal(rc_file_write_atomic(path, wide, 99999, &err), 0); /* Replaces it. */
    assert_int_equal(rc_file_read(path, 1 << 20, &again, &len, &err), 0);
    assert_string_equal(again, wide);
    assert_int_equal(entries(), 1); /* No temporary file is left. */
}

static void reading_fails_with_the_path(void **state)
{
    RC_AUTO_FREE char *path = rc_path_join(dir, "b");
    char *text = NULL;
    size_t len = 0;
    rc_error err = {0};
    (void)state;

    assert_int_equal(rc_file_read(path, 10, &text, &len, &err), -OMC_ENOTFOUND);
    assert_non_null(strstr(err.msg, path));
    assert_int_equal(rc_file_write_atomic(path, "12345678", 8, NULL), 0);
    assert_int_equal(rc_file_read(path, 7, &text, &len, &err), -OMC_EINVAL);
    assert_non_null(strstr(err.msg, path));
    assert_int_equal(rc_file_read(dir, 7, &text, &len, &err), -OMC_EIO);
    assert_null(text);
    assert_int_equal(rc_file_write_atomic(path, "", 0, NULL), 0);
    assert_int_equal(rc_file_read(path, 0, &text, &len, &err), 0);
    assert_string_equal(text, "");
    free(text);
}

static void a_failed_write_leaves_the_old_file(void **state)
{
    RC_AUTO_FREE char *inner = rc_path_join(dir, "d");
    RC_AUTO_FREE char *blocked = rc_path_join(inner, "x");
    rc_error err = {0};
    size_t before;
    (void)state;

    assert_int_equal(rc_mkdirs(blocked, &err), 0); /* A folder cannot be replaced by a file. */
    before = entries();
    assert_true(rc_file_write_atomic(blocked, "x", 1, &err) < 0);
    assert_non_null(strstr(err.msg, blocked));
    assert_int_equal(entries(), before);
    assert_int_equal(rmdir(blocked), 0);
    assert_int_equal(rmdir(inner), 0); /* Nothing beside it either. */
}

static void folders_are_made_with_parents(void **state)
{
    RC_AUTO_FREE char *path = rc_path_join(dir, "p/q/r/");
    RC_AUTO_FREE char *file = rc_path_join(dir, "plain");
    RC_AUTO_FREE char *under = rc_path_join(file, "x");
    struct stat st;
    rc_error err = {0};
    (void)state;

    assert_int_equal(rc_mkdirs(path, &err), 0);
    assert_int_equal(rc_mkdirs(path, &err), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(rc_fsync_dir(path, &err), 0);
    assert_int_equal(rc_file_write_atomic(file, "", 0, &err), 0);
    assert_true(rc_mkdirs(file, &err) < 0);
    assert_true(rc_mkdirs(under, &err) < 0);
    assert_non_null(strstr(err.msg, file));
    assert_true(rc_fsync_dir(under, &err) < 0);
}

/* A power cut takes a new folder, and all that was synced inside, unless its parent is synced. */
static void parents_of_new_folders_are_synced(void **state)
{
    char top[] = "/tmp/rc-file-XXXXXX", one[64], two[64];
    rc_error err = {0};

    (void)state;
    assert_non_null(mkdtemp(top));
    (void)snprintf(one, sizeof one, "%s/one", top);
    (void)snprintf(two, sizeof two, "%s/one/two", top);
    synced_count = 0;
    assert_int_equal(rc_mkdirs(two, &err), 0);
    assert_true(was_synced(top));
    assert_true(was_synced(one));
    synced_count = 0;
    assert_int_equal(rc_mkdirs(two, &err), 0);
    assert_int_equal(synced_count, 0); /* nothing new, nothing to sync */
    assert_int_equal(rmdir(two), 0);
    assert_int_equal(rmdir(one), 0);
    assert_int_equal(rmdir(top), 0);
}

static void paths_join_with_one_slash(void **state)
{
    RC_AUTO_FREE char *a = rc_path_join("/x", "y");
    RC_AUTO_FREE char *b = rc_path_join("/x/", "y");
    (void)state;

    assert_string_equal(a, "/x/y");
    assert_string_equal(b, "/x/y");
    assert_true(rc_write_all(-1, "x", 1) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_files_come_back),
        cmocka_unit_test(reading_fails_with_the_path),
        cmocka_unit_test(a_failed_write_leaves_the_old_file),
        cmocka_unit_test(folders_are_made_with_parents),
        cmocka_unit_test(parents_of_new_folders_are_synced),
        cmocka_unit_test(paths_join_with_one_slash),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
