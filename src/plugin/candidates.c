/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Which files `pluginPaths` means. A file stands for itself. In a folder, and in folders directly
 * in it, every `NAME.so` is a plugin; `lib*.so` are libraries that plugins bring along. Archives of
 * Java and manifests (connector.json) are plugins of hosts; a folder of archives is one plugin.
 * Packed folders are named too, to be refused with a word.
 */
#include "plugin/registry_impl.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n > m && strcmp(text + n - m, end) == 0;
}

static bool is_plugin_name(const char *name)
{
    if (name[0] == '.')
        return false;
    if (ends_with(name, ".so"))
        return strncmp(name, "lib", 3) != 0;
    if (strcmp(name, "connector.json") == 0)
        return true;
    return ends_with(name, ".jar") || ends_with(name, ".zip") || ends_with(name, ".tar.gz") ||
           ends_with(name, ".tgz") || ends_with(name, ".tar");
}

/** The real folder of a path and its name there. NULL when it went away. */
static char *in_real_folder(const char *path)
{
    const char *name = strrchr(path, '/');
    RC_AUTO_FREE char *folder =
        name ? rc_format("%.*s", (int)RC_MAX(name - path, (ptrdiff_t)1), path) : rc_strdup(".");
    RC_AUTO_FREE char *real = realpath(folder, NULL);

    return real ? rc_path_join(real, name ? name + 1 : path) : NULL;
}

/** Adds the real path of a file, so that one file under two names is loaded once. What is not
 *  native keeps its name: what lies beside a link belongs to it. */
static void add_file(rc_candidates *c, const char *path)
{
    char *real;

    if (c->count > RC_SCAN_FILES_MAX)
        return;
    real = c->wants && c->wants(path) ? in_real_folder(path) : realpath(path, NULL);
    if (!real)
        return; /* It went away since it was listed. */
    if (c->count == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 16;
        c->files = rc_realloc(c->files, c->cap * sizeof *c->files);
    }
    c->files[c->count++] = real;
}

static void note_missing(rc_candidates *c, const char *path, int errnum)
{
    if (c->missing)
        return;
    c->missing = rc_strdup(path);
    c->missing_errno = errnum;
}

static void add_folder(rc_candidates *c, const char *path, int depth)
{
    DIR *dir = opendir(path);
    const struct dirent *d;

    if (!dir) {
        note_missing(c, path, errno);
        return;
    }
    while ((d = readdir(dir))) {
        RC_AUTO_FREE char *child = NULL;
        struct stat st;

        if (d->d_name[0] == '.')
            continue;
        child = rc_path_join(path, d->d_name);
        if (stat(child, &st) < 0)
            continue;
        if (S_ISDIR(st.st_mode) && depth == 0) {
            if (c->wants && c->wants(child))
                add_file(c, child);
            else
                add_folder(c, child, depth + 1);
        }
        if (S_ISREG(st.st_mode) && is_plugin_name(d->d_name))
            add_file(c, child);
    }
    (void)closedir(dir);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_unique(rc_candidates *c)
{
    size_t kept = 0;

    if (c->count == 0)
        return;
    qsort(c->files, c->count, sizeof *c->files, by_path);
    for (size_t i = 1; i < c->count; i++) {
        if (strcmp(c->files[kept], c->files[i]) == 0)
            free(c->files[i]);
        else
            c->files[++kept] = c->files[i];
    }
    c->count = kept + 1;
}

void rc_candidates_collect(char *const *paths, bool (*wants)(const char *path), rc_candidates *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->wants = wants;
    for (; paths && *paths; paths++) {
        struct stat st;

        if (stat(*paths, &st) < 0)
            note_missing(ret, *paths, errno);
        else if (S_ISDIR(st.st_mode))
            add_folder(ret, *paths, 0);
        else
            add_file(ret, *paths);
    }
    sort_unique(ret);
}

void rc_candidates_release(rc_candidates *candidates)
{
    for (size_t i = 0; i < candidates->count; i++)
        free(candidates->files[i]);
    free(candidates->files);
    free(candidates->missing);
    memset(candidates, 0, sizeof *candidates);
}
