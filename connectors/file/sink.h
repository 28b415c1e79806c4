/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The parts of a file-sink task: options, state, and what its files share.
 * Thread: the task's.
 */
#ifndef FILE_SINK_H
#define FILE_SINK_H

#include "target.h"

/** What the option table of file-sink fills. */
typedef struct file_sink_options {
    const char *filename;
    const char *fsync;
    bool newline;
    const char *null_value;
    const char *if_missing;
    const char *if_replaced;
} file_sink_options;

typedef struct file_sink_task {
    const omc_sink_context *ctx;
    const file_sink_options *opt;
    char *path;
    file_target target;
    size_t queues;     /* Given and not yet taken away. */
    int64_t commits;   /* Of the last commit. */
    bool placed;       /* The file is open and at its committed length. */
    bool safe;         /* A committed length exists, or the start mark does. */
    bool marked;       /* The start mark exists. */
    bool has_put;      /* Records came. */
    bool offered;      /* pre_commit gave the host a state that covers some. */
    bool told_foreign; /* The log knows that somebody else writes to the file. */
} file_sink_task;

/**
 * Opens the file and puts it to the length that was committed (resume.c). Only for the first
 * queues of a task: later ones come while the file has bytes that are not committed.
 */
int file_sink_place(file_sink_task *task, const omc_queue_offset *queues, size_t count,
                    omc_error *err);

#define FILE_NUMBER_MAX 40
/** Text of a value (text.c); `buf` (FILE_NUMBER_MAX bytes) holds numbers.
 * @return 0, or -1: arrays, maps and structs have no plain text. */
int file_value_text(const omc_value *value, char *buf, omc_slice *ret);

#endif
