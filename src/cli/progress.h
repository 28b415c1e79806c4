/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Progress of a run for people: one line redrawn on a terminal, a plain line every two seconds
 * otherwise. One thread.
 */
#ifndef RC_CLI_PROGRESS_H
#define RC_CLI_PROGRESS_H

#include "base/buf.h"

typedef enum rc_progress_mode {
    RC_PROGRESS_NONE,
    RC_PROGRESS_PLAIN,
    RC_PROGRESS_LINE
} rc_progress_mode;

/** How far a run is, counted from the start of this process. */
typedef struct rc_sample {
    int64_t ms;            /**< Since the start. */
    int64_t records;       /**< Delivered by the sink. */
    int64_t bytes;         /**< Of these. */
    double fraction;       /**< Of the whole, 0..1, also of earlier runs; < 0 = unknown. */
    double fraction_start; /**< What earlier runs had done. */
    const char *note;      /**< E.g. "sink RESTARTING"; "" = none. */
} rc_sample;

typedef struct rc_progress {
    rc_progress_mode mode;
    int fd;
    rc_sample last; /**< Base of the present rates. */
    double rate;    /**< Records per second, smoothed. */
    double byte_rate;
    bool drawn; /**< A line without end stands on the terminal. */
} rc_progress;

/** "auto", "plain" or "none"; auto is a redrawn line when `fd` is a terminal.
 *  @return 0 or -OMC_EINVAL. */
int rc_progress_init(rc_progress *progress, const char *mode, int fd);
/** Time between two samples in ms, or -1 when none are wanted. */
int64_t rc_progress_interval(const rc_progress *progress);
void rc_progress_show(rc_progress *progress, const rc_sample *sample);
/** Text of a sample: " 42 %  1,234,567 records  812,000/s  77.4 MB/s  ETA 3.2 s". */
void rc_progress_text(rc_progress *progress, const rc_sample *sample, rc_buf *out);
/** Takes the redrawn line away, before other output. */
void rc_progress_clear(rc_progress *progress);

#endif
