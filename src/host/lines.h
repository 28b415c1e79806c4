/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What a host prints, as log lines of the worker. Reading never waits and never stops, so that a
 * host cannot be blocked by what it prints; a flood is counted instead of shown.
 */
#ifndef RC_HOST_LINES_H
#define RC_HOST_LINES_H

#include "base/clock.h"

#include <openmessaging/connect/plugin.h>

#define RC_LINE_MAX 4096
#define RC_LINES_PER_SECOND 20

typedef struct rc_lines {
    const char *who; /**< Component of the log lines; lives as long. */
    omc_log_level level;
    rc_clock *clock;
    char line[RC_LINE_MAX + 1];
    size_t len;
    int64_t second;
    unsigned shown;   /**< In this second. */
    uint64_t dropped; /**< Not shown and not told yet. */
    char last[200];   /**< The latest line, for "its last words". */
} rc_lines;

void rc_lines_init(rc_lines *lines, const char *who, omc_log_level level, rc_clock *clock);
/** Takes what was read. */
void rc_lines_add(rc_lines *lines, const char *bytes, size_t n);
/** Reads what a descriptor has. @return false at its end. */
bool rc_lines_read(rc_lines *lines, int fd);
/** Shows what is left and how much was not shown. */
void rc_lines_end(rc_lines *lines);
/** A LOG frame counts against the same limit. @return whether it may be shown. */
bool rc_lines_allow(rc_lines *lines);

#endif
