/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LD_PRELOAD shim: a kill -9 becomes a power cut. The kernel keeps written pages when a process
 * is killed, so mistakes in the order of syncs stay unseen; under this shim every change below
 * the folder FORGET_DIR that no fsync or fdatasync has covered is noted in FORGET_JOURNAL
 * (journal.h), and forget-undo takes it back.
 *
 * Covered: write, pwrite, writev, pwritev, ftruncate, fallocate, open with O_CREAT or O_TRUNC,
 * rename, unlink, mkdir, and their *at, *64 and fortified forms. Not covered: mmap (SQLite's -shm
 * is one; forget-undo removes it), stdio's own open, copy_file_range, rmdir, link.
 *
 * One lock is held from the note to the end of the change; system calls are made directly, so
 * that nothing depends on the order of libraries. A failure of the shim ends the process, since
 * going on would make a test pass that proves nothing.
 */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX], journal[PATH_MAX]; /* real paths; root "" = watch nothing */
static int names_fd = -1;
static int kept;

static void die(const char *what)
{
    char text[PATH_MAX + 128];
    int n = snprintf(text, sizeof text, "forget.so: %s: %s\n", what, strerror(errno));

    (void)syscall(SYS_write, 2, text, (size_t)n);
    (void)syscall(SYS_exit_group, 97);
    __builtin_unreachable();
}

__attribute__((constructor)) static void setup(void)
{
    const char *dir = getenv("FORGET_DIR"), *notes = getenv("FORGET_JOURNAL");
    char path[PATH_MAX + 16];

    if (!dir || !notes)
        return;
    if (!realpath(dir, root) || !realpath(notes, journal))
        die("FORGET_DIR or FORGET_JOURNAL");
    (void)snprintf(path, sizeof path, "%s/names", journal);
    names_fd =
        (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (names_fd < 0)
        die(path);
}

static bool below(const char *path)
{
    size_t len = strlen(root);

    return len && strncmp(path, root, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* The path behind a descriptor; false when it lies outside. */
static bool watched_fd(int fd, char *path)
{
    char link[64];
    ssize_t n;

    if (!root[0])
        return false;
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, PATH_MAX - 1);
    if (n < 0)
        return false;
    path[n] = '\0';
    return below(path);
}

/* ---- content ------------------------------------------------------------------------------ */

static int data_fd(const struct stat *st)
{
    char path[PATH_MAX + 64];
    int fd;

    (void)snprintf(path, sizeof path, "%s/data-%ju-%ju", journal, (uintmax_t)st->st_dev,
                   (uintmax_t)st->st_ino);
    fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        die(path);
    return fd;
}

static void put(int fd, const void *data, size_t len)
{
    if (syscall(SYS_write, fd, data, len) != (ssize_t)len)
        die("write the journal");
}

/* The old bytes of [offset, offset + len), as far as the file has them. */
static size_t read_old(int fd, char *out, size_t len, int64_t offset)
{
    char link[64];
    size_t done = 0;
    int in;

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    in = (int)syscall(SYS_openat, AT_FDCWD, link, O_RDONLY | O_CLOEXEC, 0);
    if (in < 0)
        die("read what is overwritten");
    while (done < len) {
        ssize_t n = pread(in, out + done, len - done, offset + (int64_t)done);

        if (n <= 0)
            break;
        done += (size_t)n;
    }
    (void)syscall(SYS_close, in);
    return done;
}

/* [mu] Notes that [offset, offset + len) is about to change, and perhaps the length. */
static void note_change(int fd, const struct stat *st, int64_t offset, int64_t len)
{
    forget_entry entry = {.kind = FORGET_CHANGE, .offset = offset, .length = st->st_size};
    int64_t old = st->st_size > offset ? st->st_size - offset : 0;
    int out = data_fd(st);
    char *text;

    if (old > len)
        old = len;
    text = malloc(sizeof entry + (size_t)old);
    if (!text)
        die("memory");
    entry.bytes = old ? (int64_t)read_old(fd, text + sizeof entry, (size_t)old, offset) : 0;
    memcpy(text, &entry, sizeof entry);
    put(out, text, sizeof entry + (size_t)entry.bytes);
    free(text);
    (void)syscall(SYS_close, out);
}

/* [mu] Before a write of `len` bytes; `at` -1 = at the file's own position. */
static void note_write(int fd, int64_t at, size_t len)
{
    char path[PATH_MAX];
    struct stat st;

    if (!root[0] || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !watched_fd(fd, path))
        return;
    if (fcntl(fd, F_GETFL) & O_APPEND)
        at = st.st_size;
    else if (at < 0)
        at = lseek(fd, 0, SEEK_CUR);
    note_change(fd, &st, at, (int64_t)len);
}

static size_t length_of(const struct iovec *iov, int count)
{
    size_t len = 0;

    for (int i = 0; i < count; i++)
        len += iov[i].iov_len;
    return len;
}

#define CHANGE(note, call)               \
    do {                                 \
        ssize_t result_;                 \
        int errno_;                      \
                                         \
        (void)pthread_mutex_lock(&mu);   \
        note;                            \
        result_ = (call);                \
        errno_ = errno;                  \
        (void)pthread_mutex_unlock(&mu); \
        errno = errno_;                  \
        return result_;                  \
    } while (0)

EXPORT ssize_t write(int fd, const void *data, size_t len)
{
    if (fd <= 2)
        return syscall(SYS_write, fd, data, len);
    CHANGE(note_write(fd, -1, len), syscall(SYS_write, fd, data, len));
}

EXPORT ssize_t writev(int fd, const struct iovec *iov, int count)
{
    CHANGE(note_write(fd, -1, length_of(iov, count)), syscall(SYS_writev, fd, iov, count));
}

EXPORT ssize_t pwrite64(int fd, const void *data, size_t len, off64_t at)
{
    CHANGE(note_write(fd, at, len), syscall(SYS_pwrite64, fd, data, len, at));
}

EXPORT ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
    return pwrite64(fd, data, len, at);
}

EXPORT ssize_t pwritev64(int fd, const struct iovec *iov, int count, off64_t at)
{
    CHANGE(note_write(fd, at, length_of(iov, count)),
           syscall(SYS_pwritev, fd, iov, count, at, (int64_t)0));
}

EXPORT ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t at)
{
    return pwritev64(fd, iov, count, at);
}

static int truncate_noted(int fd, off64_t length)
{
    CHANGE(note_write(fd, length, SSIZE_MAX), (int)syscall(SYS_ftruncate, fd, length));
}

EXPORT int ftruncate64(int fd, off64_t length)
{
    return truncate_noted(fd, length);
}

EXPORT int ftruncate(int fd, off_t length)
{
    return truncate_noted(fd, length);
}

EXPORT int fallocate64(int fd, int mode, off64_t at, off64_t len)
{
    CHANGE(note_write(fd, at, 0), (int)syscall(SYS_fallocate, fd, mode, at, len));
}

EXPORT int fallocate(int fd, int mode, off_t at, off_t len)
{
    return fallocate64(fd, mode, at, len);
}

EXPORT int posix_fallocate64(int fd, off64_t at, off64_t len)
{
    return fallocate64(fd, 0, at, len) < 0 ? errno : 0;
}

EXPORT int posix_fallocate(int fd, off_t at, off_t len)
{
    return posix_fallocate64(fd, at, len);
}

/* ---- sync --------------------------------------------------------------------------------- */

static void name_line(const char *fmt, ...)
{
    char line[4 * PATH_MAX];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof line)
        die("a path is too long");
    put(names_fd, line, (size_t)n);
}

/* Only what was written before the sync began is durable after it. */
static int sync_noted(int fd, long number)
{
    forget_entry entry = {.kind = FORGET_SYNC};
    char path[PATH_MAX];
    struct stat st;
    int64_t before = 0;
    int out, result, saved;

    if (fstat(fd, &st) < 0 || !watched_fd(fd, path))
        return (int)syscall(number, fd);
    if (S_ISDIR(st.st_mode)) {
        result = (int)syscall(number, fd);
        if (result == 0)
            name_line("S\t%s\n", path);
        return result;
    }
    out = data_fd(&st);
    (void)pthread_mutex_lock(&mu);
    before = lseek(out, 0, SEEK_END);
    (void)pthread_mutex_unlock(&mu);
    result = (int)syscall(number, fd);
    saved = errno;
    (void)pthread_mutex_lock(&mu);
    entry.offset = before;
    if (result == 0 && lseek(out, 0, SEEK_END) == before)
        (void)syscall(SYS_ftruncate, out, (off_t)0);
    else if (result == 0)
        put(out, &entry, sizeof entry);
    (void)pthread_mutex_unlock(&mu);
    (void)syscall(SYS_close, out);
    errno = saved;
    return result;
}

EXPORT int fsync(int fd)
{
    return sync_noted(fd, SYS_fsync);
}

EXPORT int fdatasync(int fd)
{
    return sync_noted(fd, SYS_fdatasync);
}

/* ---- names -------------------------------------------------------------------------------- */

/* Splits a path, which may not exist, into the real path of its folder and the last name.
 * @return false when it lies outside. */
static bool watched_path(int dirfd, const char *path, char *folder, const char **name)
{
    char given[2 * PATH_MAX], base[PATH_MAX] = "";
    char *slash;

    if (!root[0])
        return false;
    if (path[0] != '/' && dirfd != AT_FDCWD) {
        char link[64];
        ssize_t n;

        (void)snprintf(link, sizeof link, "/proc/self/fd/%d", dirfd);
        n = readlink(link, base, sizeof base - 2);
        if (n < 0)
            return false;
        base[n] = '/';
        base[n + 1] = '\0';
    }
    (void)snprintf(given, sizeof given, "%s%s", base, path);
    slash = strrchr(given, '/');
    if (slash)
        *slash = '\0';
    *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    return realpath(!slash ? "." : slash == given ? "/" : given, folder) && below(folder);
}

/* [mu] Keeps the file under a second name, so that the first can come back. "-" when absent. */
static void keep(int dirfd, const char *path, char *out, size_t size)
{
    char link[PATH_MAX + 32];
    struct stat st;

    (void)snprintf(out, size, "-");
    if (fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISDIR(st.st_mode))
        return;
    (void)snprintf(out, size, "kept-%d-%d", (int)getpid(), kept++);
    (void)snprintf(link, sizeof link, "%s/%s", journal, out);
    if (syscall(SYS_linkat, dirfd, path, AT_FDCWD, link, 0) < 0)
        die("link a file that is removed (FORGET_JOURNAL must be on the same file system)");
}

static int open_noted(int dirfd, const char *path, int flags, mode_t mode)
{
    char folder[PATH_MAX];
    const char *name;
    struct stat st;
    bool exists;
    int fd, saved;

    if (!(flags & (O_CREAT | O_TRUNC)) || !watched_path(dirfd, path, folder, &name))
        return (int)syscall(SYS_openat, dirfd, path, flags, mode);
    (void)pthread_mutex_lock(&mu);
    exists = fstatat(dirfd, path, &st, 0) == 0;
    if (!exists && (flags & O_CREAT))
        name_line("C\t%s\t%s\n", folder, name);
    fd = (int)syscall(SYS_openat, dirfd, path, flags & ~O_TRUNC, mode);
    if (fd >= 0 && exists && (flags & O_TRUNC) && S_ISREG(st.st_mode)) {
        note_write(fd, 0, SSIZE_MAX);
        if (syscall(SYS_ftruncate, fd, (off_t)0) < 0)
            die("truncate on open");
    }
    saved = errno;
    (void)pthread_mutex_unlock(&mu);
    errno = saved;
    return fd;
}

#define MODE_OF(flags, mode)                 \
    do {                                     \
        va_list ap_;                         \
                                             \
        va_start(ap_, flags);                \
        if ((flags) & (O_CREAT | O_TMPFILE)) \
            mode = va_arg(ap_, mode_t);      \
        va_end(ap_);                         \
    } while (0)

EXPORT int open(const char *path, int flags, ...)
{
    mode_t mode = 0;

    MODE_OF(flags, mode);
    return open_noted(AT_FDCWD, path, flags, mode);
}

EXPORT int open64(const char *path, int flags, ...)
{
    mode_t mode = 0;

    MODE_OF(flags, mode);
    return open_noted(AT_FDCWD, path, flags, mode);
}

EXPORT int openat(int dirfd, const char *path, int flags, ...)
{
    mode_t mode = 0;

    MODE_OF(flags, mode);
    return open_noted(dirfd, path, flags, mode);
}

EXPORT int openat64(int dirfd, const char *path, int flags, ...)
{
    mode_t mode = 0;

    MODE_OF(flags, mode);
    return open_noted(dirfd, path, flags, mode);
}

/* What _FORTIFY_SOURCE makes of open without a mode. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);

EXPORT int __open_2(const char *path, int flags)
{
    return open_noted(AT_FDCWD, path, flags, 0);
}

EXPORT int __open64_2(const char *path, int flags)
{
    return open_noted(AT_FDCWD, path, flags, 0);
}

EXPORT int creat(const char *path, mode_t mode)
{
    return open_noted(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}

static void note_unlink(int dirfd, const char *path)
{
    char folder[PATH_MAX], link[64];
    const char *name;

    if (!watched_path(dirfd, path, folder, &name))
        return;
    keep(dirfd, path, link, sizeof link);
    if (link[0] != '-')
        name_line("U\t%s\t%s\t%s\n", folder, name, link);
}

EXPORT int unlinkat(int dirfd, const char *path, int flags)
{
    CHANGE(note_unlink(dirfd, path), (int)syscall(SYS_unlinkat, dirfd, path, flags));
}

EXPORT int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

static void note_rename(int from_fd, const char *from, int to_fd, const char *to)
{
    char old_folder[PATH_MAX], new_folder[PATH_MAX], link[64];
    const char *old_name, *new_name;

    if (!watched_path(from_fd, from, old_folder, &old_name) ||
        !watched_path(to_fd, to, new_folder, &new_name))
        return;
    keep(to_fd, to, link, sizeof link);
    name_line("R\t%s\t%s\t%s\t%s\t%s\n", new_folder, new_name, old_folder, old_name, link);
}

EXPORT int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    CHANGE(note_rename(from_fd, from, to_fd, to),
           (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0));
}

EXPORT int rename(const char *from, const char *to)
{
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

static void note_mkdir(int dirfd, const char *path)
{
    char folder[PATH_MAX];
    const char *name;
    struct stat st;

    if (watched_path(dirfd, path, folder, &name) && fstatat(dirfd, path, &st, 0) < 0)
        name_line("M\t%s\t%s\n", folder, name);
}

EXPORT int mkdirat(int dirfd, const char *path, mode_t mode)
{
    CHANGE(note_mkdir(dirfd, path), (int)syscall(SYS_mkdirat, dirfd, path, mode));
}

EXPORT int mkdir(const char *path, mode_t mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}
