/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The files a source task follows: which there are, which have something to read, and what
 * happens when one is rotated, truncated, removed or created. Everything is told by inotify; a
 * task with nothing to read sleeps in poll(2) without a timer.
 *
 * Rotation: the old file is read to its end through its descriptor, whatever it is called by now.
 * The task goes on to the new file when that has bytes (an empty one is what logrotate's
 * `create` makes before the writer knows) and the old one was quiet for rotate.wait. Files that
 * came between the two (name plus a number or date, changed later than the old one) are read in
 * order.
 *
 * Thread: the task's.
 */
#ifndef FILE_FOLLOW_H
#define FILE_FOLLOW_H

#include "position.h"
#include "reader.h"

/** What the option table of file-source fills. */
typedef struct file_source_options {
    const char *filename;
    const char *pattern; /**< files.pattern, NULL = none. */
    const char *start;   /**< "beginning" or "end". */
    bool bounded;
    int64_t line_max;
    const char *long_lines;
    const char *terminator; /**< line.terminator: "strip" or "keep". */
    const char *topic;      /**< NULL = none. */
    int64_t final_line_ms;  /**< 0 = never. */
    int64_t rotate_wait_ms;
    int64_t check_ms; /**< 0 = inotify alone. */
} file_source_options;

/** One file name and the file that is being read for it. */
typedef struct file_tracked {
    char *name; /**< As in the partition. */
    file_reader reader;
    int wd;             /**< inotify watch of the file being read, -1 = none. */
    int wd_next;        /**< Watch of the new file of this name while the old one is read. */
    bool ready;         /**< May have bytes. */
    bool check;         /**< The name may lead to another file, or nowhere, now. */
    bool moved;         /**< It leads to another file than the one being read. */
    bool gone;          /**< It leads nowhere. */
    bool told;          /**< The log knows that we wait for it. */
    bool done;          /**< Nothing more will come: forget it (pattern) or finish (bounded). */
    int64_t changed_ms; /**< When its content last changed (monotonic clock). */
    int64_t due_ms;     /**< Look again then; INT64_MAX = no need. */
} file_tracked;

typedef struct file_follow {
    const omc_source_context *ctx;
    const file_source_options *opt;
    file_long_lines long_lines;
    char *folder; /**< Of all files. */
    char *glob;   /**< Pattern of their names; NULL = the one file `opt->filename`. */
    int inotify;  /**< -1 = not available. */
    int wd_folder;
    int wd_target; /**< Folder a symbolic link leads to. */
    bool rescan;   /**< New names may be there. */
    bool folder_lost;
    int64_t check_ms; /**< opt->check_ms, or 1 s without inotify. */
    int64_t check_due_ms;
    file_tracked **files;
    size_t count, capacity, next;
} file_follow;

/** Splits `filename` and `files.pattern` into folder and glob. @return 0 or -OMC_EINVAL. */
int file_pattern_split(const file_source_options *opt, char **folder, char **glob, omc_error *err);

int file_follow_start(file_follow *follow, const omc_source_context *ctx, omc_error *err);
int file_follow_poll(file_follow *follow, omc_batch *out, int64_t timeout_ms, omc_error *err);
void file_follow_release(file_follow *follow);

/* ---- tracked.c: one file ---------------------------------------------------------------- */

/**
 * Begins to follow `name` at its committed position.
 * @param late  The file appeared after the start: `start=end` does not skip it.
 */
int file_tracked_new(file_follow *follow, const char *name, bool late, file_tracked **ret,
                     omc_error *err);
void file_tracked_free(file_follow *follow, file_tracked *tracked);
/** Adds what there is to the batch and follows the name. */
int file_tracked_step(file_follow *follow, file_tracked *tracked, file_emit *emit, omc_error *err);

/* ---- siblings.c: rotated files beside a name --------------------------------------------- */

/** Whether `suffix` is what rotation appends: ".1", "-20260131", ".2026-01-31-10". */
bool file_is_rotation(const char *suffix);
/** The rotated file of `name` that a committed position belongs to. malloc'd path or NULL. */
char *file_sibling_find(const char *name, const file_committed *committed);
/** The oldest rotated file of `name` that changed after the one being read. malloc'd or NULL. */
char *file_sibling_next(const char *name, const file_reader *reader);

#endif
