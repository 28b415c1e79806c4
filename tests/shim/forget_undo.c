/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forget-undo FOLDER JOURNAL [SEED]: what a power cut leaves. Takes back every change below
 * FOLDER that was not synced (journal.h), empties JOURNAL, and says how much was forgotten.
 *
 * With a SEED every file, and every folder's names, is tossed for: it either loses its unsynced
 * changes or keeps them all, as a disk may have written some of them by itself. Without, all is
 * lost. Content first, by inode, while every name is still there; then names, newest first.
 */
#include "journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *root, *journal;
static bool tossing;
static uint64_t seed;
static long forgotten_changes, forgotten_names, kept_files;
static char found[PATH_MAX]; /* path of the wanted inode */
static dev_t want_dev;
static ino_t want_ino;

static void die(const char *what)
{
    fprintf(stderr, "forget-undo: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* Heads or tails for a file or folder; the same for the same seed (FNV-1a). */
static bool spared(const char *what)
{
    uint64_t hash = 1469598103934665603u ^ seed;

    if (!tossing)
        return false;
    for (; *what; what++)
        hash = (hash ^ (unsigned char)*what) * 1099511628211u;
    hash ^= hash >> 33;
    hash *= 0xff51afd7ed558ccdu;
    return (hash >> 40) & 1;
}

/* ---- content ------------------------------------------------------------------------------ */

static int match(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)ftw;
    if (type != FTW_F || st->st_ino != want_ino || st->st_dev != want_dev)
        return 0;
    (void)snprintf(found, sizeof found, "%s", path);
    return 1;
}

static bool find_inode(dev_t dev, ino_t ino)
{
    want_dev = dev;
    want_ino = ino;
    return nftw(root, match, 32, FTW_PHYS) == 1 || nftw(journal, match, 32, FTW_PHYS) == 1;
}

static char *read_all(const char *path, size_t *ret_len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    size_t done = 0;
    char *text;

    if (fd < 0 || fstat(fd, &st) < 0)
        die(path);
    text = malloc((size_t)st.st_size + 1);
    if (!text)
        die("memory");
    while (done < (size_t)st.st_size) {
        ssize_t n = read(fd, text + done, (size_t)st.st_size - done);

        if (n <= 0)
            die(path);
        done += (size_t)n;
    }
    text[done] = '\0';
    close(fd);
    *ret_len = done;
    return text;
}

/* Where the entry at `at` ends; 0 when it is torn. */
static size_t entry_end(const char *text, size_t len, size_t at, forget_entry *entry)
{
    if (len - at < sizeof *entry)
        return 0;
    memcpy(entry, text + at, sizeof *entry);
    if (entry->bytes < 0 || (uint64_t)entry->bytes > len - at - sizeof *entry)
        return 0;
    return at + sizeof *entry + (size_t)entry->bytes;
}

static void take_back(int fd, const char *text, size_t at)
{
    forget_entry entry;

    memcpy(&entry, text + at, sizeof entry);
    if (entry.kind != FORGET_CHANGE)
        return;
    if (entry.bytes && pwrite(fd, text + at + sizeof entry, (size_t)entry.bytes, entry.offset) !=
                           (ssize_t)entry.bytes)
        die("write old content");
    if (ftruncate(fd, entry.length) < 0)
        die("restore a length");
    forgotten_changes++;
}

/* Backwards from the newest change to the last sync. */
static void undo_content(const char *data)
{
    forget_entry entry;
    size_t len, count = 0, cap = 64, from = 0;
    size_t *at = malloc(cap * sizeof *at);
    char *text = read_all(data, &len);
    int fd = open(found, O_RDWR | O_CLOEXEC);

    if (!at || fd < 0)
        die(found);
    for (size_t pos = 0, end; pos < len && (end = entry_end(text, len, pos, &entry)); pos = end) {
        if (entry.kind == FORGET_SYNC && (size_t)entry.offset > from)
            from = (size_t)entry.offset;
        if (count == cap)
            at = realloc(at, (cap *= 2) * sizeof *at);
        if (!at)
            die("memory");
        at[count++] = pos;
    }
    while (count-- > 0 && at[count] >= from)
        take_back(fd, text, at[count]);
    close(fd);
    free(text);
    free(at);
}

static void undo_contents(void)
{
    DIR *dir = opendir(journal);
    struct dirent *entry;

    if (!dir)
        die(journal);
    while ((entry = readdir(dir))) {
        uintmax_t dev, ino;
        char path[PATH_MAX];

        if (sscanf(entry->d_name, "data-%ju-%ju", &dev, &ino) != 2 ||
            !find_inode((dev_t)dev, (ino_t)ino))
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", journal, entry->d_name);
        if (spared(found))
            kept_files++;
        else
            undo_content(path);
    }
    closedir(dir);
}

/* ---- names -------------------------------------------------------------------------------- */

typedef struct change {
    char *field[6]; /* kind, folder, name, ... */
    int fields;
} change;

static int remove_it(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void restore_kept(const char *folder, const char *name, const char *link_name)
{
    char from[PATH_MAX], to[PATH_MAX];

    if (link_name[0] == '-')
        return;
    (void)snprintf(from, sizeof from, "%s/%s", journal, link_name);
    (void)snprintf(to, sizeof to, "%s/%s", folder, name);
    /* Only a change that happened can be taken back: the name must be free. */
    if (link(from, to) < 0 && errno != EEXIST && errno != ENOENT)
        die(to);
}

static void undo_name(const change *c)
{
    char path[PATH_MAX], old[PATH_MAX];
    struct stat st;

    (void)snprintf(path, sizeof path, "%s/%s", c->field[1], c->field[2]);
    forgotten_names++;
    switch (c->field[0][0]) {
    case 'C':
        (void)unlink(path);
        break;
    case 'M':
        (void)nftw(path, remove_it, 32, FTW_DEPTH | FTW_PHYS);
        break;
    case 'U':
        restore_kept(c->field[1], c->field[2], c->field[3]);
        break;
    case 'R':
        (void)snprintf(old, sizeof old, "%s/%s", c->field[3], c->field[4]);
        if (lstat(old, &st) < 0 && rename(path, old) == 0)
            restore_kept(c->field[1], c->field[2], c->field[5]);
        break;
    default:
        errno = EINVAL;
        die("names");
    }
}

static int fields_of(char *line, change *c)
{
    c->fields = 0;
    for (char *at = line; at && c->fields < 6;) {
        c->field[c->fields++] = at;
        at = strchr(at, '\t');
        if (at)
            *at++ = '\0';
    }
    return c->fields;
}

/* Whether a later line syncs this change's folder. */
static bool synced(const change *all, size_t count, size_t i)
{
    for (size_t j = i + 1; j < count; j++)
        if (all[j].field[0][0] == 'S' && strcmp(all[j].field[1], all[i].field[1]) == 0)
            return true;
    return false;
}

static void undo_names(void)
{
    char path[PATH_MAX];
    size_t len, count = 0;
    char *text, *line, *end;
    change *all;

    (void)snprintf(path, sizeof path, "%s/names", journal);
    if (access(path, F_OK) < 0)
        return;
    text = read_all(path, &len);
    all = calloc(len / 4 + 1, sizeof *all);
    if (!all)
        die("memory");
    for (line = text; (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        if (fields_of(line, &all[count]) >= 2)
            count++;
    }
    for (size_t i = count; i-- > 0;)
        if (all[i].field[0][0] != 'S' && !synced(all, count, i) && !spared(all[i].field[1]))
            undo_name(&all[i]);
    free(all);
    free(text);
}

/* SQLite maps -shm; it is made again from the WAL. */
static int drop_shm(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    size_t len = strlen(path);

    (void)st, (void)ftw;
    if (type == FTW_F && len > 4 && strcmp(path + len - 4, "-shm") == 0)
        (void)unlink(path);
    return 0;
}

static int clear_journal(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    return type == FTW_F && ftw->level == 1 ? unlink(path) : 0;
}

int main(int argc, char **argv)
{
    char real_root[PATH_MAX], real_journal[PATH_MAX];

    if (argc < 3 || argc > 4) {
        fputs("usage: forget-undo FOLDER JOURNAL [SEED]\n", stderr);
        return 2;
    }
    if (!realpath(argv[1], real_root) || !realpath(argv[2], real_journal))
        die("FOLDER or JOURNAL");
    root = real_root;
    journal = real_journal;
    tossing = argc == 4;
    seed = tossing ? strtoull(argv[3], NULL, 10) : 0;
    undo_contents();
    undo_names();
    (void)nftw(root, drop_shm, 32, FTW_PHYS);
    if (nftw(journal, clear_journal, 32, FTW_PHYS) != 0)
        die("empty the journal");
    printf("forgot %ld changes of content and %ld of names, spared %ld files\n", forgotten_changes,
           forgotten_names, kept_files);
    return 0;
}
