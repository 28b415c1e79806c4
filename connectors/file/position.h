/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Positions of the file source.
 *
 * Partition {"filename": f}, as the Java sample. Offset {"inode", "fingerprint"} plus the counter
 * "position": the byte after the line. The fingerprint is "<n>:<hash>" over the first
 * n = min(256, position) bytes, so a record's offset depends on the file's content only, never on
 * when it was read: the identity of a record (exactly once) is the same after a restart.
 * "skip": true says that the rest of a truncated line follows.
 *
 * Java's "nextPosition" is not written: it is a text of its own per record, which would cost a
 * formatting each, and it counts characters, so Java would go on at a wrong byte after any
 * multi-byte text. It is read, when it can be right.
 */
#ifndef FILE_POSITION_H
#define FILE_POSITION_H

#include "reader.h"

#define FILE_COUNTER "position"

/** A committed position, parsed. */
typedef struct file_committed {
    bool found;
    bool ours; /**< With inode and fingerprint; else Java's or set by hand. */
    bool skip;
    int64_t position;
    ino_t inode;
    size_t print_len;
    uint64_t print_hash;
} file_committed;

const omc_map *file_partition(omc_arena *arena, const char *name);
/** The fixed part of the offset of a record that ends at `position`. */
const omc_map *file_offset(omc_arena *arena, const file_reader *reader, int64_t position,
                           bool skip);

/** Parses what the host has for file `name`. `offset` NULL = nothing committed. */
int file_committed_parse(const omc_map *offset, const char *name, file_committed *ret,
                         omc_error *err);
/** Reads and parses the committed position of file `name`. */
int file_committed_read(const omc_source_context *ctx, const char *name, file_committed *ret,
                        omc_error *err);
/** Whether the file begins with the bytes of the committed fingerprint and has the position. */
bool file_committed_fits(const file_committed *committed, int fd);

#endif
