/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of a host's standard output and standard error. Control characters become blanks: a log is
 * also read in terminals. */
#include "host/lines.h"

#include "base/diag.h"

#include <errno.h>
#include <unistd.h>

void rc_lines_init(rc_lines *lines, const char *who, omc_log_level level, rc_clock *clock)
{
    *lines = (rc_lines){.who = who, .level = level, .clock = clock, .second = -1};
}

static void tell_dropped(rc_lines *lines)
{
    if (lines->dropped)
        rc_warn(lines->who, "%llu more lines were not shown", (unsigned long long)lines->dropped);
    lines->dropped = 0;
}

bool rc_lines_allow(rc_lines *lines)
{
    int64_t second = rc_mono_ms(lines->clock) / 1000;

    if (second != lines->second) {
        lines->second = second;
        lines->shown = 0;
        tell_dropped(lines);
    }
    if (lines->shown >= RC_LINES_PER_SECOND) {
        lines->dropped++;
        return false;
    }
    lines->shown++;
    return true;
}

static void finish(rc_lines *lines)
{
    while (lines->len > 0 && (lines->line[lines->len - 1] == ' '))
        lines->len--;
    lines->line[lines->len] = '\0';
    if (lines->len > 0) {
        (void)snprintf(lines->last, sizeof lines->last, "%.190s", lines->line);
        if (rc_lines_allow(lines))
            rc_diag(lines->level, lines->who, "%s", lines->line);
    }
    lines->len = 0;
}

void rc_lines_add(rc_lines *lines, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)bytes[i];

        if (c == '\n') {
            finish(lines);
        } else if (lines->len < RC_LINE_MAX) {
            lines->line[lines->len++] = c < ' ' || c == 127 ? ' ' : (char)c;
        } else {
            const char *end = memchr(bytes + i, '\n', n - i);

            if (!end)
                return;
            i = (size_t)(end - bytes) - 1;
        }
    }
}

bool rc_lines_read(rc_lines *lines, int fd)
{
    char buf[64 << 10];
    ssize_t n = read(fd, buf, sizeof buf);

    if (n > 0)
        rc_lines_add(lines, buf, (size_t)n);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

void rc_lines_end(rc_lines *lines)
{
    finish(lines);
    tell_dropped(lines);
}
