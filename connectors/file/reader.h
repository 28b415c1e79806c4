/* SPDX-License-Identifier: Apache-2.0 */
/**
 * One open file, read line by line into batches.
 *
 * A reader keeps no bytes between two calls. It remembers the position of the first byte not yet
 * given out and reads from there again, straight into the batch's arena; lines are slices of that
 * block. What a call does not use (a partial last line, lines beyond the batch's limits) is read
 * once more by the next call, out of the page cache. So an idle file costs a few hundred bytes,
 * truncation needs no buffer to be thrown away, and the only copy of a line is read(2)'s own.
 *
 * Lines end at "\n" or "\r\n"; a "\r" elsewhere is data (Java's sample ends lines there, too).
 * Bytes are kept as they are, UTF-8 or not. With `keep_end` a record has its line's end too, so
 * that all records joined are the file; positions and limits do not depend on it.
 *
 * Thread: the task's.
 */
#ifndef FILE_READER_H
#define FILE_READER_H

#include "util.h"

/** Bytes at the beginning of a file that tell it from another one of the same name. */
#define FILE_HEAD_MAX 256

/** What becomes of a line longer than the limit. */
typedef enum file_long_lines {
    FILE_LONG_FAIL,     /**< The task fails. */
    FILE_LONG_SPLIT,    /**< Pieces of at most the limit, one record each. */
    FILE_LONG_TRUNCATE, /**< One record with the beginning. */
    FILE_LONG_SKIP      /**< No record. */
} file_long_lines;

typedef struct file_reader {
    int fd; /**< -1 = no file. */
    dev_t dev;
    ino_t ino;
    int64_t pos;       /**< First byte not given out. */
    int64_t limit;     /**< Bounded: nothing behind it is read. -1 = none. */
    int64_t held;      /**< Bytes behind `pos` known to hold no line end (partial last line). */
    bool skipping;     /**< Inside the rest of a truncated or skipped line. */
    bool at_end;       /**< The last fill reached the end of the file. */
    size_t line_bytes; /**< Running average of line lengths; sizes the reads. */
    size_t head_len;
    char head[FILE_HEAD_MAX];
} file_reader;

/** What records of one file in one batch share, and what is left of the batch's limits. */
typedef struct file_emit {
    const omc_source_context *ctx;
    const char *name; /**< Name in the partition and in messages. */
    size_t line_max;
    file_long_lines long_lines;
    bool keep_end;     /**< The value has the line's end. Not with FILE_LONG_TRUNCATE. */
    const char *topic; /**< Extension `topic`, NULL = none. */
    omc_batch *out;
    size_t records_max; /**< Records the batch may hold. */
    size_t bytes_left;  /**< Payload bytes that still fit in the batch. */
    int64_t now_ms;
    /* Made for the first record: */
    const omc_map *partition;
    const omc_map *offset;
    const omc_schema *schema;
    const omc_keyvalue *extensions;
} file_emit;

static inline bool file_emit_full(const file_emit *emit)
{
    return emit->bytes_left == 0 || emit->out->count >= emit->records_max;
}

void file_reader_init(file_reader *reader);
/** Opens a regular file at position 0. Messages name the cure. Not retriable. */
int file_reader_open(file_reader *reader, const char *path, omc_error *err);
void file_reader_release(file_reader *reader);

/** Begins again at `pos`; forgets what was known about the bytes there. */
void file_reader_seek(file_reader *reader, int64_t pos);
/** Present size, or -1 with errno. */
int64_t file_reader_size(const file_reader *reader);
/** Reads up to `len` bytes at `at`, over short reads and signals. @return bytes, or -1. */
ssize_t file_pread(int fd, void *buf, size_t len, int64_t at);
/** Reads as much of the head as the file has (at most `upto` bytes of it). 0, or -1. */
int file_reader_head(file_reader *reader, int64_t upto);
/** Whether the file still begins with the head that was read before. */
bool file_reader_same(const file_reader *reader);

/**
 * Adds lines to the batch until it is full or the file is at its end.
 * @param final  The file will not grow: its last line counts without a newline.
 * @return 1 at the end of the file, 0 when there may be more, or an error; the reader then stands
 *         behind the last record added.
 */
int file_reader_fill(file_reader *reader, file_emit *emit, bool final, omc_error *err);

#endif
