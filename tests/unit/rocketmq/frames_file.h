/* SPDX-License-Identifier: Apache-2.0 */
/** Reads tests/data/frames: what the Java client and real servers said (see README.md there). */
#ifndef FRAMES_FILE_H
#define FRAMES_FILE_H

#include "base/base.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

/** One recorded frame; slices of the file. */
typedef struct recorded {
    bool to_client;
    rc_slice frame;
} recorded;

/** The whole file; free() base. Ends the test when it cannot be read. */
static inline rc_slice frames_load(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *data;
    long size;

    RC_ASSERT(file && fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) > 0);
    rewind(file);
    data = rc_malloc((size_t)size);
    RC_ASSERT(fread(data, 1, (size_t)size, file) == (size_t)size);
    fclose(file);
    return omc_slice_of(data, (size_t)size);
}

/** Takes the next frame off `rest`; false at the end. */
static inline bool frames_next(rc_slice *rest, recorded *ret)
{
    const uint8_t *at = (const uint8_t *)rest->base;
    size_t len;

    if (rest->len == 0)
        return false;
    RC_ASSERT(rest->len > 5);
    len = (size_t)at[1] << 24 | (size_t)at[2] << 16 | (size_t)at[3] << 8 | at[4];
    RC_ASSERT(len <= rest->len - 5);
    ret->to_client = at[0] == 1;
    ret->frame = omc_slice_of(rest->base + 5, len);
    *rest = omc_slice_of(rest->base + 5 + len, rest->len - 5 - len);
    return true;
}

/** Calls `each` with every file whose name contains `part`; returns how many. */
static inline int frames_each_file(const char *part, void (*each)(const char *name, rc_slice file))
{
    DIR *dir = opendir(RC_FRAMES);
    struct dirent *entry;
    int count = 0;

    RC_ASSERT(dir);
    while ((entry = readdir(dir))) {
        char path[1024];
        rc_slice file;

        if (!strstr(entry->d_name, ".frames") || !strstr(entry->d_name, part))
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", RC_FRAMES, entry->d_name);
        file = frames_load(path);
        each(entry->d_name, file);
        free((void *)(uintptr_t)file.base);
        count++;
    }
    closedir(dir);
    return count;
}

#endif
