/* SPDX-License-Identifier: Apache-2.0 */
/* Rates are smoothed over about the last two samples, so that a line can be read while it moves. */
#include "cli/progress.h"

#include "base/file.h"
#include "base/units.h"

#include <stdio.h>
#include <unistd.h>

#define LINE_INTERVAL_MS 200
#define PLAIN_INTERVAL_MS 2000

int rc_progress_init(rc_progress *progress, const char *mode, int fd)
{
    const char *term = getenv("TERM");
    const bool terminal = isatty(fd) && !(term && !strcmp(term, "dumb"));

    memset(progress, 0, sizeof *progress);
    progress->fd = fd;
    if (!strcmp(mode, "auto"))
        progress->mode = terminal ? RC_PROGRESS_LINE : RC_PROGRESS_PLAIN;
    else if (!strcmp(mode, "plain"))
        progress->mode = RC_PROGRESS_PLAIN;
    else if (!strcmp(mode, "none"))
        progress->mode = RC_PROGRESS_NONE;
    else
        return -OMC_EINVAL;
    return 0;
}

int64_t rc_progress_interval(const rc_progress *progress)
{
    switch (progress->mode) {
    case RC_PROGRESS_LINE:
        return LINE_INTERVAL_MS;
    case RC_PROGRESS_PLAIN:
        return PLAIN_INTERVAL_MS;
    case RC_PROGRESS_NONE:
        break;
    }
    return -1;
}

static void smooth(rc_progress *progress, const rc_sample *sample)
{
    const double seconds = (double)(sample->ms - progress->last.ms) / 1000;
    double rate, byte_rate;

    if (seconds <= 0)
        return;
    rate = (double)(sample->records - progress->last.records) / seconds;
    byte_rate = (double)(sample->bytes - progress->last.bytes) / seconds;
    progress->rate = progress->last.ms ? (progress->rate + rate) / 2 : rate;
    progress->byte_rate = progress->last.ms ? (progress->byte_rate + byte_rate) / 2 : byte_rate;
    progress->last = *sample;
}

void rc_progress_text(rc_progress *progress, const rc_sample *sample, rc_buf *out)
{
    const double done = sample->fraction - sample->fraction_start;
    char count[32], rate[32], eta[32];

    smooth(progress, sample);
    if (sample->fraction >= 0)
        rc_buf_printf(out, "%3d %%  ", (int)(RC_MIN(sample->fraction, 1.0) * 100));
    rc_buf_printf(out, "%s records  %s/s  %.1f MB/s", rc_format_count(sample->records, count),
                  rc_format_count((int64_t)RC_MAX(progress->rate, 0.0), rate),
                  RC_MAX(progress->byte_rate, 0.0) / 1e6);
    if (sample->fraction >= 0 && sample->fraction < 1 && done > 0.005)
        rc_buf_printf(
            out, "  ETA %s",
            rc_format_duration((int64_t)((double)sample->ms * (1 - sample->fraction) / done), eta));
    if (sample->note && *sample->note)
        rc_buf_printf(out, "  [%s]", sample->note);
}

void rc_progress_show(rc_progress *progress, const rc_sample *sample)
{
    rc_buf line = RC_BUF(512);

    if (progress->mode == RC_PROGRESS_NONE)
        return;
    if (progress->mode == RC_PROGRESS_LINE)
        rc_buf_str(&line, "\r\033[K");
    rc_progress_text(progress, sample, &line);
    if (progress->mode == RC_PROGRESS_PLAIN)
        rc_buf_char(&line, '\n');
    (void)rc_write_all(progress->fd, line.data, line.len);
    progress->drawn = progress->mode == RC_PROGRESS_LINE;
    rc_buf_release(&line);
}

void rc_progress_clear(rc_progress *progress)
{
    if (progress->drawn)
        (void)rc_write_all(progress->fd, "\r\033[K", 4);
    progress->drawn = false;
}
