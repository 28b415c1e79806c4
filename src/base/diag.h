/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Diagnostics for people: one line per event on standard error,
 * `2026-11-22T18:43:49.123Z WARN  task copy-0: text`. ("log" is the message log in this project.)
 *
 * Rate limit: more than 20 lines per second with the same format string and component are
 * counted, and the count is printed when the flood ends. Any thread. Lines are written with one
 * write(2) and never torn. Rooms below `worker` return errors instead of printing.
 */
#ifndef RC_DIAG_H
#define RC_DIAG_H

#include "base/clock.h"

#include <openmessaging/connect/plugin.h> /* omc_log_level */

/** Least level printed (default OMC_INFO), where to (default 2), and the clock of time stamps. */
void rc_diag_setup(omc_log_level least, int fd, rc_clock *clock);
omc_log_level rc_diag_level(void);
void rc_diag_set_level(omc_log_level least);
/** "debug", "info", "warn", "error". 0 or -OMC_EINVAL. */
int rc_diag_parse_level(const char *text, omc_log_level *ret);

void rc_diag(omc_log_level level, const char *component, const char *fmt, ...) OMC_PRINTF(3, 4);
void rc_diag_v(omc_log_level level, const char *component, const char *fmt, va_list ap)
    OMC_PRINTF(3, 0);

#define rc_debug(component, ...) rc_diag(OMC_DEBUG, (component), __VA_ARGS__)
#define rc_info(component, ...) rc_diag(OMC_INFO, (component), __VA_ARGS__)
#define rc_warn(component, ...) rc_diag(OMC_WARN, (component), __VA_ARGS__)
#define rc_error_line(component, ...) rc_diag(OMC_ERROR, (component), __VA_ARGS__)

#endif
