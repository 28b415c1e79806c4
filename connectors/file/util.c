/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connectors link against nothing of the host, so the few helpers they need are here. Nothing in
 * this file keeps state.
 */
#include "util.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <time.h>

#define SCRATCH_BLOCK ((size_t)4096)

static int code_of(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return OMC_ENOTFOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return OMC_EACCES;
    case ENOSPC:
    case EDQUOT:
        return OMC_ENOSPC;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return OMC_ENOMEM;
    default:
        return OMC_EIO;
    }
}

int file_fail_errno(omc_error *err, uint32_t flags, const char *what, const char *path,
                    const char *cure)
{
    int error = errno;
    const char *text = strerrordesc_np(error);

    omc_fail(err, code_of(error), flags, "%s '%s': %s%s%s", what, path,
             text ? text : "unknown error", cure ? ". " : "", cure ? cure : "");
    errno = error;
    return -code_of(error);
}

uint64_t file_hash(const char *base, size_t len)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < len; i++) {
        hash ^= (unsigned char)base[i];
        hash *= UINT64_C(0x100000001b3);
    }
    return hash;
}

static int64_t clock_ms(clockid_t clock)
{
    struct timespec ts;

    (void)clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t file_now_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}

int64_t file_monotonic_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

void *file_malloc(size_t n)
{
    void *at = malloc(n ? n : 1);

    if (!at) {
        (void)fprintf(stderr, "file connector: out of memory (%zu bytes)\n", n);
        abort();
    }
    return at;
}

char *file_strdup(const char *text)
{
    size_t len = strlen(text) + 1;

    return memcpy(file_malloc(len), text, len);
}

const char *file_base_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

char *file_folder_of(const char *path)
{
    size_t len = (size_t)(file_base_of(path) - path);
    char *folder;

    if (len == 0)
        return file_strdup(".");
    if (len > 1)
        len--; /* The slash, except of the root itself. */
    folder = file_malloc(len + 1);
    memcpy(folder, path, len);
    folder[len] = '\0';
    return folder;
}

char *file_join(const char *folder, const char *name)
{
    size_t len = strlen(folder);
    size_t size = len + strlen(name) + 2;
    char *path;

    if (strcmp(folder, ".") == 0)
        return file_strdup(name);
    path = file_malloc(size);
    (void)snprintf(path, size, "%s%s%s", folder, len && folder[len - 1] == '/' ? "" : "/", name);
    return path;
}

/* Blocks are chained through their first word. */
static void *scratch_more(omc_arena *arena, size_t n)
{
    file_scratch *scratch = (file_scratch *)(void *)arena;
    size_t size = (n > SCRATCH_BLOCK ? n : SCRATCH_BLOCK) + 16;
    char *block = file_malloc(size);

    *(void **)(void *)block = scratch->blocks;
    scratch->blocks = block;
    arena->cur = block + 16 + n;
    arena->end = block + size;
    return block + 16;
}

void file_scratch_init(file_scratch *scratch)
{
    memset(scratch, 0, sizeof *scratch);
    scratch->arena.more = scratch_more;
}

void file_scratch_release(file_scratch *scratch)
{
    while (scratch->blocks) {
        void *next = *(void **)scratch->blocks;

        free(scratch->blocks);
        scratch->blocks = next;
    }
    file_scratch_init(scratch);
}
