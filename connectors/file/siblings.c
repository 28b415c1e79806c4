/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rotated files stand beside the original: its name plus a number or a date. Compressed ones do
 * not count; what was compressed before we read it is lost to us, and the caller says so.
 */
#include "follow.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX_MAX 32

bool file_is_rotation(const char *suffix)
{
    size_t n = strlen(suffix);

    return n >= 2 && n <= SUFFIX_MAX && strchr(".-_", suffix[0]) &&
           isdigit((unsigned char)suffix[1]) && strspn(suffix + 1, "0123456789.-_T:") == n - 1;
}

/* Looks at one rotated file. @return whether it is the best one so far. */
typedef bool sibling_fn(const char *path, const struct stat *st, void *arg);

/* Path of the last sibling that `better` preferred. */
static char *search(const char *name, sibling_fn *better, void *arg)
{
    const char *base = file_base_of(name);
    size_t len = strlen(base);
    char *folder = file_folder_of(name), *best = NULL;
    DIR *dir = opendir(folder);
    struct dirent *entry;

    while (dir && (entry = readdir(dir)) != NULL) {
        struct stat st;
        char *path;

        if (strncmp(entry->d_name, base, len) != 0 || !file_is_rotation(entry->d_name + len))
            continue;
        path = file_join(folder, entry->d_name);
        if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && better(path, &st, arg)) {
            free(best);
            best = path;
        } else {
            free(path);
        }
    }
    if (dir)
        (void)closedir(dir);
    free(folder);
    return best;
}

typedef struct find {
    const file_committed *committed;
    bool by_inode;
} find;

/* The same inode with the same beginning is the file itself; the same beginning alone is a copy
 * of it, as copytruncate makes. Both must reach the committed position. */
static bool find_better(const char *path, const struct stat *st, void *arg)
{
    find *f = arg;
    bool inode = st->st_ino == f->committed->inode, fits;
    int fd;

    if (f->by_inode || st->st_size < f->committed->position)
        return false;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    fits = fd >= 0 && file_committed_fits(f->committed, fd);
    if (fd >= 0)
        (void)close(fd);
    f->by_inode = fits && inode;
    return fits;
}

char *file_sibling_find(const char *name, const file_committed *committed)
{
    find f = {.committed = committed};

    return search(name, find_better, &f);
}

typedef struct next {
    struct stat own;   /* The file being read. */
    struct stat named; /* The file of the name itself; st_ino 0 = none. */
    struct timespec best;
} next;

static bool later(struct timespec a, struct timespec b)
{
    return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec > b.tv_nsec;
}

static bool next_better(const char *path, const struct stat *st, void *arg)
{
    next *n = arg;

    (void)path;
    if (st->st_ino == n->own.st_ino || st->st_ino == n->named.st_ino ||
        !later(st->st_mtim, n->own.st_mtim) || (n->best.tv_sec && !later(n->best, st->st_mtim)))
        return false;
    n->best = st->st_mtim;
    return true;
}

char *file_sibling_next(const char *name, const file_reader *reader)
{
    next n = {0};

    if (fstat(reader->fd, &n.own) < 0)
        return NULL;
    if (stat(name, &n.named) < 0)
        n.named.st_ino = 0;
    return search(name, next_better, &n);
}
