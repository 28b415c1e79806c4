/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A line is formatted on the stack of the speaker, cleaned, and written with one write(2). The
 * lock guards only the table of recent lines, never the write: a reader of standard error that
 * is slow must not hold up threads that have nothing to say.
 *
 * The table knows the last 64 pairs of (format string, component) with the start of their second,
 * how many lines they had in it, and how many of those were dropped. What was dropped is told by
 * whoever speaks next after that second, so no thread and no timer is needed for it.
 */
#include "base/diag.h"

#include "base/encode.h"
#include "base/file.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <strings.h>

#define LINE_MAX_BYTES ((size_t)4096) /* One line with its newline; PIPE_BUF keeps it whole. */
#define ELLIPSIS "\xE2\x80\xA6"
#define RECENT_MAX 64
#define PER_SECOND 20
#define SECOND_NS ((int64_t)1000000000)

/* One pair of the table; free when `fmt` is NULL. */
struct recent {
    const char *fmt; /* Only compared, never read: its library may be gone. */
    uint64_t component_hash;
    int64_t start_ns;
    unsigned lines;
    unsigned dropped;
    omc_log_level level;
    char component[64];
    char sample[96]; /* Start of the first dropped text. */
};

static struct {
    pthread_mutex_t lock;
    struct recent recent[RECENT_MAX]; /* Guarded by lock. */
    _Atomic(rc_clock *) clock;
    atomic_int level;
    atomic_int fd;
} diag = {.lock = PTHREAD_MUTEX_INITIALIZER, .level = OMC_INFO, .fd = 2};

void rc_diag_setup(omc_log_level least, int fd, rc_clock *clock)
{
    pthread_mutex_lock(&diag.lock);
    memset(diag.recent, 0, sizeof diag.recent);
    pthread_mutex_unlock(&diag.lock);
    atomic_store(&diag.clock, clock);
    atomic_store(&diag.fd, fd);
    rc_diag_set_level(least);
}

omc_log_level rc_diag_level(void)
{
    return (omc_log_level)atomic_load_explicit(&diag.level, memory_order_relaxed);
}

void rc_diag_set_level(omc_log_level least)
{
    atomic_store_explicit(&diag.level, (int)least, memory_order_relaxed);
}

static const char *const level_names[] = {"debug", "info", "warn", "error"};

int rc_diag_parse_level(const char *text, omc_log_level *ret)
{
    for (size_t i = 0; i < RC_COUNT(level_names); i++)
        if (strcasecmp(text, level_names[i]) == 0) {
            *ret = (omc_log_level)i;
            return 0;
        }
    return -OMC_EINVAL;
}

/* ---- one line ----------------------------------------------------------------------------- */

/* A line that never grows beyond its array; `full` once something did not fit. */
struct line {
    char text[LINE_MAX_BYTES];
    size_t len;
    bool full;
};

/* Adds all of `bytes` or nothing; room for an ellipsis and a newline is kept. */
static void line_add(struct line *line, const char *bytes, size_t n)
{
    if (line->full || n > sizeof line->text - sizeof ELLIPSIS - line->len) {
        line->full = true;
        return;
    }
    memcpy(line->text + line->len, bytes, n);
    line->len += n;
}

/* Length of the printable character at `at`, or 0 when its first byte has to be escaped. */
static size_t printable(const char *at, size_t left)
{
    unsigned char c = (unsigned char)*at;

    if (c < 0x80)
        return c >= 0x20 && c != 0x7F;
    for (size_t n = 2; n <= 4 && n <= left; n++)
        if (rc_utf8_valid(omc_slice_of(at, n)))
            /* U+0080..U+009F steer terminals. */
            return c == 0xC2 && (unsigned char)at[1] < 0xA0 ? 0 : n;
    return 0;
}

/* Adds text from anywhere: nothing in it can end the line or steer a terminal. */
static void line_add_clean(struct line *line, const char *text, size_t len)
{
    char hex[8];

    while (len > 0 && !line->full) {
        size_t n = printable(text, len);

        if (n > 0) {
            line_add(line, text, n);
        } else if (*text == '\n' || *text == '\r') {
            n = len > 1 && text[0] == '\r' && text[1] == '\n' ? 2 : 1;
            if (len > n) /* A newline at the very end says nothing. */
                line_add(line, " | ", 3);
        } else if (*text == '\t') {
            n = 1;
            line_add(line, " ", 1);
        } else {
            n = 1;
            (void)snprintf(hex, sizeof hex, "\\x%02x", (unsigned)(unsigned char)*text);
            line_add(line, hex, 4);
        }
        text += n;
        len -= n;
    }
}

static rc_clock *diag_clock(void)
{
    rc_clock *clock = atomic_load(&diag.clock);

    return clock ? clock : rc_clock_real();
}

static void line_start(struct line *line, omc_log_level level, const char *component)
{
    static const char *const names[] = {" DEBUG ", " INFO  ", " WARN  ", " ERROR "};
    char stamp[32];

    line->len = 0;
    line->full = false;
    rc_format_time(rc_now_ms(diag_clock()), stamp);
    line_add(line, stamp, strlen(stamp));
    line_add(line, names[RC_MIN((size_t)level, RC_COUNT(names) - 1)], 7);
    if (component && *component) {
        line_add_clean(line, component, strnlen(component, 256));
        line_add(line, ": ", 2);
    }
}

static void line_write(struct line *line)
{
    if (line->full) {
        memcpy(line->text + line->len, ELLIPSIS, sizeof ELLIPSIS - 1);
        line->len += sizeof ELLIPSIS - 1;
    }
    line->text[line->len++] = '\n';
    (void)rc_write_all(atomic_load_explicit(&diag.fd, memory_order_relaxed), line->text, line->len);
}

/* ---- rate limit --------------------------------------------------------------------------- */

static uint64_t hash_text(const char *text)
{
    uint64_t hash = 14695981039346656037u;

    for (; text && *text; text++)
        hash = (hash ^ (unsigned char)*text) * 1099511628211u;
    return hash;
}

/* Says what was dropped from `entry`, a copy. */
static void tell_dropped(const struct recent *entry)
{
    struct line line;
    char front[64];
    int n = snprintf(front, sizeof front, "%u more like: ", entry->dropped);

    line_start(&line, entry->level, entry->component);
    line_add(&line, front, (size_t)n);
    line_add_clean(&line, entry->sample, strlen(entry->sample));
    line_write(&line);
}

/* Takes entries whose second is over and that dropped lines. @return how many stand in `out`. */
static size_t take_ended(int64_t now_ns, struct recent *out, size_t max)
{
    size_t count = 0;

    for (size_t i = 0; i < RECENT_MAX && count < max; i++) {
        struct recent *entry = &diag.recent[i];

        if (!entry->fmt || now_ns - entry->start_ns < SECOND_NS)
            continue;
        if (entry->dropped)
            out[count++] = *entry;
        entry->fmt = NULL;
    }
    return count;
}

/* The entry of the pair, a free one, or the oldest, whose count is then in *evicted. */
static struct recent *find_entry(const char *fmt, uint64_t hash, struct recent *evicted)
{
    struct recent *best = &diag.recent[0];

    for (size_t i = 0; i < RECENT_MAX; i++) {
        struct recent *entry = &diag.recent[i];

        if (entry->fmt == fmt && entry->component_hash == hash)
            return entry;
        if (best->fmt && (!entry->fmt || entry->start_ns < best->start_ns))
            best = entry;
    }
    *evicted = *best;
    best->fmt = NULL;
    return best;
}

/* Counts one line and says whether to print it; tells of floods that have ended. */
static bool admit(omc_log_level level, const char *component, const char *fmt, const char *text)
{
    int64_t now_ns = rc_mono_ns(diag_clock());
    uint64_t hash = hash_text(component);
    struct recent ended[4];
    struct recent evicted = {0};
    struct recent *entry;
    size_t count;
    bool print;

    pthread_mutex_lock(&diag.lock);
    count = take_ended(now_ns, ended, RC_COUNT(ended));
    entry = find_entry(fmt, hash, &evicted);
    if (!entry->fmt) {
        *entry = (struct recent){.fmt = fmt, .component_hash = hash, .start_ns = now_ns};
        (void)snprintf(entry->component, sizeof entry->component, "%s", component ? component : "");
    }
    print = ++entry->lines <= PER_SECOND;
    if (!print && entry->dropped++ == 0)
        (void)snprintf(entry->sample, sizeof entry->sample, "%.*s", (int)sizeof entry->sample - 1,
                       text);
    entry->level = level;
    pthread_mutex_unlock(&diag.lock);
    for (size_t i = 0; i < count; i++)
        tell_dropped(&ended[i]);
    if (evicted.fmt && evicted.dropped)
        tell_dropped(&evicted);
    return print;
}

void rc_diag_v(omc_log_level level, const char *component, const char *fmt, va_list ap)
{
    char text[LINE_MAX_BYTES];
    struct line line;
    int saved = errno;
    int len;

    if (level < rc_diag_level())
        return;
    len = vsnprintf(text, sizeof text, fmt, ap);
    if (len >= 0 && admit(level, component, fmt, text)) {
        line_start(&line, level, component);
        line_add_clean(&line, text, RC_MIN((size_t)len, sizeof text - 1));
        line.full = line.full || (size_t)len >= sizeof text;
        line_write(&line);
    }
    errno = saved;
}

void rc_diag(omc_log_level level, const char *component, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    rc_diag_v(level, component, fmt, ap);
    va_end(ap);
}
