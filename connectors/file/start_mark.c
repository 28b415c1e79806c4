/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start mark of a sink; see target.h for what it is for. Its text is one line:
 * "<inode> <length> <owner>".
 */
#include "target.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#define TEXT_MAX 512

static char *mark_path(const file_target *target)
{
    char *folder = file_folder_of(target->path), *path;
    size_t size = strlen(file_base_of(target->path)) + sizeof "..rc-start";
    char *name = file_malloc(size);

    (void)snprintf(name, size, ".%s.rc-start", file_base_of(target->path));
    path = file_join(folder, name);
    free(name);
    free(folder);
    return path;
}

int file_mark_write(const file_target *target, const char *owner, omc_error *err)
{
    char *path = mark_path(target);
    char text[TEXT_MAX];
    int n = snprintf(text, sizeof text, "%ju %" PRId64 " %s\n", (uintmax_t)target->ino,
                     target->length, owner);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int r = 0;

    if (n >= TEXT_MAX)
        n = TEXT_MAX - 1;
    if (fd < 0 || write(fd, text, (size_t)n) != n || (target->sync && fdatasync(fd) < 0))
        r = file_fail_errno(err, errno == ENOSPC || errno == EDQUOT ? OMC_ERR_RETRIABLE : 0,
                            "write start mark", path,
                            "The folder must be writable until the first commit");
    if (fd >= 0)
        (void)close(fd);
    if (r == 0 && target->sync)
        r = file_sync_folder(path, err);
    free(path);
    return r;
}

int64_t file_mark_read(const file_target *target, const char *owner)
{
    char *path = mark_path(target);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char text[TEXT_MAX + 1], want[TEXT_MAX + 1];
    int64_t length;
    uintmax_t ino;
    char *end;
    ssize_t n = fd < 0 ? -1 : read(fd, text, TEXT_MAX);

    if (fd >= 0)
        (void)close(fd);
    free(path);
    if (n <= 0)
        return -1;
    text[n] = '\0';
    ino = strtoumax(text, &end, 10);
    length = strtoimax(end, &end, 10);
    if (ino != (uintmax_t)target->ino || length < 0)
        return -1;
    /* The whole text again is the simplest comparison, and refuses a torn or foreign one. */
    (void)snprintf(want, TEXT_MAX, "%ju %" PRId64 " %s\n", ino, length, owner);
    return strcmp(want, text) == 0 ? length : -1;
}

void file_mark_remove(const file_target *target)
{
    char *path = mark_path(target);

    (void)unlink(path);
    free(path);
}
