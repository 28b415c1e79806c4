/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Small files are read and written whole. Every error names the path. A file that replaces
 * another is written under a temporary name beside it, so that rename(2) stays in one file
 * system and readers see the old content or the new one.
 */
#include "base/file.h"

#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

/* Closes on return; failures of close(2) matter only where fsync(2) came before. */
static void fd_cleanup(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}
#define AUTO_CLOSE __attribute__((cleanup(fd_cleanup))) int

#define READ_STEP ((size_t)16 << 10)

int rc_file_read(const char *path, size_t max, char **ret, size_t *ret_len, rc_error *err)
{
    RC_AUTO(rc_buf) buf = &(rc_buf)RC_BUF(max + 1); /* One more shows that there is more. */
    AUTO_CLOSE fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    RC_ASSERT(max < SIZE_MAX / 4);
    if (fd < 0)
        return rc_fail_errno(err, errno, "open '%s'", path);
    for (;;) {
        size_t step = RC_MIN(READ_STEP, max + 1 - buf->len);
        char *at = rc_buf_reserve(buf, step);

        if (!at || step == 0)
            return rc_fail(err, OMC_EINVAL, "'%s' is longer than %zu bytes, the most that is read",
                           path, max);
        n = read(fd, at, step);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return rc_fail_errno(err, errno, "read '%s'", path);
        if (n == 0)
            break;
        buf->len += (size_t)n;
        buf->data[buf->len] = '\0';
    }
    *ret_len = buf->len;
    *ret = rc_buf_take(buf);
    return 0;
}

int rc_write_all(int fd, const void *bytes, size_t len)
{
    const char *at = bytes;

    while (len > 0) {
        ssize_t n = write(fd, at, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return rc_fail_errno(NULL, errno, "write");
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

/* Opens "<path>.<pid>-<n>.tmp"; the name goes to *ret, free() it. @return descriptor or -1. */
static int open_temp(const char *path, mode_t mode, char **ret)
{
    static atomic_uint counter;

    for (int tries = 0; tries < 100; tries++) {
        unsigned n = atomic_fetch_add_explicit(&counter, 1, memory_order_relaxed);
        RC_AUTO_FREE char *name = rc_format("%s.%d-%u.tmp", path, (int)getpid(), n);
        int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

        if (fd >= 0)
            *ret = RC_TAKE(name);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

/* The folder of `path`; free() it. */
static char *dir_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return rc_strdup(".");
    return slash == path ? rc_strdup("/") : rc_strndup(path, (size_t)(slash - path));
}

static int fill_and_rename(int fd, const char *temp, const char *path, const void *bytes,
                           size_t len, rc_error *err)
{
    if (rc_write_all(fd, bytes, len) < 0)
        return rc_fail_errno(err, errno, "write '%s'", temp);
    if (fsync(fd) < 0)
        return rc_fail_errno(err, errno, "fsync '%s'", temp);
    if (rename(temp, path) < 0)
        return rc_fail_errno(err, errno, "rename '%s' to '%s'", temp, path);
    return 0;
}

static int write_whole(const char *path, mode_t mode, const void *bytes, size_t len, rc_error *err)
{
    RC_AUTO_FREE char *dir = dir_of(path);
    RC_AUTO_FREE char *temp = NULL;
    AUTO_CLOSE fd = open_temp(path, mode, &temp);
    int r;

    if (fd < 0)
        return rc_fail_errno(err, errno, "make a temporary file for '%s'", path);
    r = fill_and_rename(fd, temp, path, bytes, len, err);
    if (r < 0) {
        (void)unlink(temp);
        return r;
    }
    return rc_fsync_dir(dir, err);
}

int rc_file_write_atomic(const char *path, const void *bytes, size_t len, rc_error *err)
{
    return write_whole(path, 0644, bytes, len, err);
}

int rc_file_write_private(const char *path, const void *bytes, size_t len, rc_error *err)
{
    return write_whole(path, 0600, bytes, len, err);
}

/* A new folder is only safe from a power cut when its parent is synced, and with it goes all that
 * is synced inside. A parent that may not be read cannot be synced. */
static int sync_parent(const char *path, rc_error *err)
{
    RC_AUTO_FREE char *parent = dir_of(path);

    return access(parent, R_OK) < 0 ? 0 : rc_fsync_dir(parent, err);
}

/* Makes one folder; an existing one is fine. */
static int make_dir(const char *path, rc_error *err)
{
    struct stat st;

    if (mkdir(path, 0755) == 0)
        return sync_parent(path, err);
    if (errno == EEXIST && stat(path, &st) == 0) {
        if (S_ISDIR(st.st_mode))
            return 0;
        errno = ENOTDIR;
    }
    return rc_fail_errno(err, errno, "make folder '%s'", path);
}

int rc_mkdirs(const char *path, rc_error *err)
{
    RC_AUTO_FREE char *part = rc_strdup(path);
    struct stat st;
    int r;

    /* The usual case; and parents that cannot be looked at need not be. */
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return 0;
    for (char *at = part; *at; at++) {
        if (*at != '/' || at == part)
            continue;
        *at = '\0';
        r = make_dir(part, err);
        if (r < 0)
            return r;
        *at = '/';
    }
    return make_dir(path, err);
}

int rc_fsync_dir(const char *path, rc_error *err)
{
    AUTO_CLOSE fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return rc_fail_errno(err, errno, "open folder '%s'", path);
    if (fsync(fd) < 0)
        return rc_fail_errno(err, errno, "fsync folder '%s'", path);
    return 0;
}

char *rc_path_join(const char *dir, const char *name)
{
    size_t len = strlen(dir);

    return rc_format("%s%s%s", dir, len > 0 && dir[len - 1] == '/' ? "" : "/", name);
}
