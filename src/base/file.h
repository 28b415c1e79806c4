/* SPDX-License-Identifier: Apache-2.0 */
/** Small file helpers with errors that name the path. Any thread. */
#ifndef RC_FILE_H
#define RC_FILE_H

#include "base/base.h"

/** Reads a whole file of at most `max` bytes. free() *ret (NUL-terminated). */
int rc_file_read(const char *path, size_t max, char **ret, size_t *ret_len, rc_error *err);
/** Writes a file so that it is there whole or not at all: temp, fsync, rename, fsync folder. */
int rc_file_write_atomic(const char *path, const void *bytes, size_t len, rc_error *err);
/** The same, and only its owner may read it (0600): for what holds secrets. */
int rc_file_write_private(const char *path, const void *bytes, size_t len, rc_error *err);
/** Makes a folder and its parents (0755). Existing is fine. */
int rc_mkdirs(const char *path, rc_error *err);
/** fsync of a folder, so that names made in it are durable. */
int rc_fsync_dir(const char *path, rc_error *err);
/** Writes all bytes, resuming short writes and EINTR.
 *  @return 0, or -OMC_E... with errno left for rc_fail_errno(). */
int rc_write_all(int fd, const void *bytes, size_t len);
/** "<dir>/<name>"; free() it. */
char *rc_path_join(const char *dir, const char *name);

#endif
