/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The undo journal that forget.so writes and forget-undo reads: a folder on the file system of
 * the watched one, with
 *
 *   data-<dev>-<ino>   per file, what its unsynced changes replaced: forget_entry, then `bytes`
 *                      bytes of the old content; an entry is written before its change
 *   names              a line per change of a folder: kind, folder, name and so on, separated by
 *                      tabs; "S folder" says that everything before it in this folder is durable
 *   kept-<n>           hard links to files whose name is gone but may have to come back
 *
 * fsync of a file empties its data journal, or, when somebody wrote meanwhile, appends an entry
 * that says how far the sync reached. A torn end of a journal is a change that never happened.
 */
#ifndef FORGET_JOURNAL_H
#define FORGET_JOURNAL_H

#include <stdint.h>

enum { FORGET_CHANGE = 1, FORGET_SYNC = 2 };

typedef struct forget_entry {
    uint32_t kind;
    uint32_t zero;
    int64_t offset; /* FORGET_SYNC: everything before this offset of the journal is durable */
    int64_t length; /* of the file before the change */
    int64_t bytes;  /* of old content behind this entry */
} forget_entry;

#endif
