/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Small things the file source and the file sink share: errors from errno, numbers out of
 * values, a hash, an arena for answers of the host, and paths.
 */
#ifndef FILE_UTIL_H
#define FILE_UTIL_H

#include <openmessaging/connect.h>
#include <sys/types.h>

/** Version of the connectors of this folder. */
#define FILE_VERSION "0.1.0"

/** Fails with errno's text: "<what>: <errno text>. <cure>". `flags` as omc_fail. Keeps errno. */
int file_fail_errno(omc_error *err, uint32_t flags, const char *what, const char *path,
                    const char *cure);

/** FNV-1a, 64 bits: short inputs, no adversary. */
uint64_t file_hash(const char *base, size_t len);

int64_t file_now_ms(void);       /**< Wall clock. */
int64_t file_monotonic_ms(void); /**< Never goes back; for time-outs. */

/** Folder part of `path`, "." when it has none. malloc'd. */
char *file_folder_of(const char *path);
/** Points behind the last '/' of `path`. */
const char *file_base_of(const char *path);
/** "<folder>/<name>"; without a folder part when `folder` is ".". malloc'd. */
char *file_join(const char *folder, const char *name);

/** malloc and strdup that end the process when memory does: sizes here are small and ours. */
void *file_malloc(size_t n);
char *file_strdup(const char *text);

/** An arena for what the host answers outside of poll. Zero it with file_scratch_init. */
typedef struct file_scratch {
    omc_arena arena; /**< First member. */
    void *blocks;
} file_scratch;

void file_scratch_init(file_scratch *scratch);
void file_scratch_release(file_scratch *scratch);

#endif
