/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The embedded log: SQLite files in one folder, nothing else to install.
 *
 * One row per batch, one file per segment; the newest segment also holds the live tables
 * (topics, source positions, sink offsets), so that a batch and the positions it makes
 * committable are one transaction. One writer thread with group commit, `synchronous=FULL`.
 * Readers use their own connections and keep no snapshot between fetches. Retention unlinks whole
 * old segments, but never one that holds messages a known sink group has not committed.
 *
 * A full disk stops nothing for good: the writer keeps the pending appends, says so in
 * rc_log_health, tries again every second, and tasks feel back-pressure.
 */
#ifndef RC_LOG_EMBEDDED_H
#define RC_LOG_EMBEDDED_H

#include "log/log.h"

typedef struct rc_embedded_config {
    const char *dir;           /**< Made when absent. */
    int64_t keep_bytes;        /**< Retention by size of all segments; 0 = unlimited. */
    int64_t keep_ms;           /**< Retention by age of a segment's last message; 0 = unlimited. */
    int64_t segment_bytes;     /**< A segment is rolled beyond this; default 1 GiB when 0. */
    int64_t transaction_bytes; /**< Group commit gathers up to this; default 4 MiB when 0. */
    int32_t queues;            /**< Queues of topics created without a count; default 1. */
    rc_clock *clock;
} rc_embedded_config;

/**
 * Opens the log in `dir`, recovering after a crash.
 * @return 0; -OMC_EEXIST when another process has it open (names pid and folder); -OMC_EFORMAT
 *         when a file is not ours or damaged (names file and cure); I/O errors.
 */
int rc_embedded_open(const rc_embedded_config *config, rc_log **ret, rc_error *err);

#endif
