/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See target.h. O_APPEND is used although we know the length: after somebody truncated the file
 * under us (logrotate's copytruncate), writing goes on at its end and leaves no hole.
 */
#include "target.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_SIZE ((size_t)256 << 10)
#define MODE_NEW 0644
#define WRITEBACK_STEP ((int64_t)8 << 20)

void file_target_init(file_target *target, const char *path, bool sync)
{
    memset(target, 0, sizeof *target);
    target->fd = -1;
    target->path = path;
    target->sync = sync;
}

void file_target_release(file_target *target)
{
    if (target->fd >= 0)
        (void)close(target->fd);
    target->fd = -1;
    free(target->buf);
    target->buf = NULL;
    target->buffered = target->size = 0;
}

int file_sync_folder(const char *path, omc_error *err)
{
    char *folder = file_folder_of(path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = 0;

    if (fd < 0 || fsync(fd) < 0)
        r = file_fail_errno(err, 0, "sync folder", folder, NULL);
    if (fd >= 0)
        (void)close(fd);
    free(folder);
    return r;
}

static int fail_open(const char *path, omc_error *err)
{
    return file_fail_errno(
        err, errno == ENOSPC || errno == EMFILE || errno == ENFILE ? 0 : OMC_ERR_FATAL, "open file",
        path,
        errno == ENOENT || errno == ENOTDIR ? "Create its folder or correct 'filename'"
        : errno == EACCES                   ? "Give the worker's user the right to write it"
        : errno == EISDIR                   ? "Name a file in 'filename'"
        : errno == EROFS ? "The file system is read-only; name another place in 'filename'"
                         : NULL);
}

/* Checks and locks a descriptor; closes it on failure. */
static int adopt(file_target *target, int fd, omc_error *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        (void)close(fd);
        return omc_fail(err, OMC_EINVAL, OMC_ERR_FATAL,
                        "'%s' is not a regular file, so nothing in it can be found again after a "
                        "restart. Name a file in 'filename'",
                        target->path);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        (void)close(fd);
        return omc_fail(err, OMC_EEXIST, 0,
                        "file '%s' is locked: another sink, here or in another worker, writes to "
                        "it. Stop that one, or give each its own 'filename' (${task} in it is "
                        "replaced by the number of the task)",
                        target->path);
    }
    if (target->fd >= 0)
        (void)close(target->fd);
    target->fd = fd;
    target->dev = st.st_dev;
    target->ino = st.st_ino;
    target->length = target->hinted = st.st_size;
    target->dirty = false;
    return 0;
}

int file_target_open(file_target *target, bool create, omc_error *err)
{
    int flags = O_RDWR | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    int fd = open(target->path, flags);
    bool created = false;
    int r;

    if (fd < 0 && errno == ENOENT && !create)
        return 1;
    if (fd < 0 && errno == ENOENT) {
        fd = open(target->path, flags | O_CREAT, MODE_NEW);
        created = true;
    }
    if (fd < 0)
        return fail_open(target->path, err);
    r = adopt(target, fd, err);
    if (r >= 0 && created && target->sync)
        r = file_sync_folder(target->path, err);
    return r;
}

static int fail_write(const file_target *target, omc_error *err)
{
    if (errno == ENOSPC || errno == EDQUOT)
        return file_fail_errno(err, OMC_ERR_RETRIABLE, "write file", target->path,
                               "Nothing is lost: the same records are written again as soon as "
                               "there is room");
    return file_fail_errno(err, 0, "write file", target->path,
                           errno == EFBIG ? "Rotate it or raise the limit of file sizes" : NULL);
}

static int truncate_to(file_target *target, int64_t length, omc_error *err)
{
    while (ftruncate(target->fd, length) < 0)
        if (errno != EINTR)
            return file_fail_errno(err, OMC_ERR_FATAL, "truncate file", target->path,
                                   "It may end in a broken record; cut it by hand");
    target->length = length;
    target->hinted = target->hinted < length ? target->hinted : length;
    target->dirty = true;
    return 0;
}

/* Lets the kernel write what piled up while we go on, so that the fdatasync of the commit finds
 * little left to wait for. Only a hint: it promises nothing. */
static void start_writeback(file_target *target)
{
    if (!target->sync || target->length - target->hinted < WRITEBACK_STEP)
        return;
    (void)sync_file_range(target->fd, target->hinted, target->length - target->hinted,
                          SYNC_FILE_RANGE_WRITE);
    target->hinted = target->length;
}

int file_target_write(file_target *target, omc_error *err)
{
    size_t done = 0;

    while (done < target->buffered) {
        ssize_t n = write(target->fd, target->buf + done, target->buffered - done);

        if (n >= 0) {
            done += (size_t)n;
            continue;
        }
        if (errno != EINTR) {
            int r = fail_write(target, err);
            int cut = done ? truncate_to(target, target->length, err) : 0;

            return cut < 0 ? cut : r;
        }
    }
    if (done) {
        target->length += (int64_t)done;
        target->dirty = true;
        target->buffered = 0;
        start_writeback(target);
    }
    return 0;
}

int file_target_sync(file_target *target, omc_error *err)
{
    int r = file_target_write(target, err);

    if (r < 0 || !target->dirty || !target->sync)
        return r;
    /* After a failed fdatasync the kernel has dropped the pages: only writing again from the
     * committed length, which the restarted task does, can help. */
    if (fdatasync(target->fd) < 0)
        return file_fail_errno(err, 0, "sync file", target->path, NULL);
    target->dirty = false;
    return 0;
}

int file_target_append(file_target *target, omc_slice record, bool newline, omc_error *err)
{
    size_t need = record.len + newline;

    if (need > target->size - target->buffered) {
        int r = file_target_write(target, err);

        if (r < 0)
            return r;
    }
    if (need > target->size) {
        /* A record comes out of a message, so it is bounded already. */
        free(target->buf);
        target->size = need > BUFFER_SIZE ? need : BUFFER_SIZE;
        target->buf = file_malloc(target->size);
    }
    if (record.len)
        memcpy(target->buf + target->buffered, record.base, record.len);
    target->buffered += record.len;
    if (newline)
        target->buf[target->buffered++] = '\n';
    return 0;
}

int file_target_cut(file_target *target, int64_t length, omc_error *err)
{
    if (length >= target->length) {
        target->buffered = (size_t)(length - target->length);
        return 0;
    }
    target->buffered = 0;
    return truncate_to(target, length, err);
}
