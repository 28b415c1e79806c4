/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The file of a file sink: a buffer of whole records in front of an appending descriptor.
 *
 * The file always ends at a record: a write that fails halfway is cut off again and its bytes
 * stay in the buffer. So `length + buffered` is a logical length, and going back to an earlier
 * one (file_target_cut) undoes a put.
 *
 * The file is locked (flock): a second sink on it, in this or another worker, is refused.
 *
 * Thread: the task's.
 */
#ifndef FILE_TARGET_H
#define FILE_TARGET_H

#include "util.h"

typedef struct file_target {
    int fd; /**< -1 = closed. */
    dev_t dev;
    ino_t ino;
    const char *path; /**< Borrowed. */
    int64_t length;   /**< Bytes in the file. */
    int64_t hinted;   /**< Up to here the kernel was asked to write back. */
    bool sync;        /**< fdatasync when asked to; false = fsync=never. */
    bool dirty;       /**< Bytes were written since the last sync. */
    char *buf;
    size_t buffered, size;
} file_target;

void file_target_init(file_target *target, const char *path, bool sync);
/** Drops what is buffered. */
void file_target_release(file_target *target);

/**
 * Opens and locks the file; `length` is its size then.
 * @param create  Makes it when absent, and makes that durable.
 * @return 0; 1 = absent and not created; or an error that names the cure.
 */
int file_target_open(file_target *target, bool create, omc_error *err);
/** Appends one record and, when `newline`, a '\n'. */
int file_target_append(file_target *target, omc_slice record, bool newline, omc_error *err);
static inline int64_t file_target_length(const file_target *target)
{
    return target->length + (int64_t)target->buffered;
}
/** Back to an earlier logical length. Fails fatally when the file cannot be cut. */
int file_target_cut(file_target *target, int64_t length, omc_error *err);
/** Writes out the buffer. Disk full is retriable and leaves everything as it was. */
int file_target_write(file_target *target, omc_error *err);
/** Writes out and makes durable. */
int file_target_sync(file_target *target, omc_error *err);
/** Makes the entry of a new file in its folder durable. */
int file_sync_folder(const char *path, omc_error *err);

/* ---- start_mark.c ------------------------------------------------------------------------ */

/**
 * The start mark: until the first commit of a new sink nobody knows where its bytes begin, so a
 * crash would leave bytes that come again. Therefore, before the first byte is written, a small
 * hidden file ".<name>.rc-start" beside the target keeps (connector, inode, length); after the
 * first commit it is removed. A start without a committed state that finds it cuts the file
 * there.
 */
int file_mark_write(const file_target *target, const char *owner, omc_error *err);
/** @return the length to cut to, or -1: no mark of this owner for this very file. */
int64_t file_mark_read(const file_target *target, const char *owner);
void file_mark_remove(const file_target *target);

#endif
