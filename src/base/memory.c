/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Allocation that cannot fail, and the end of a broken assertion. Both write one line to standard
 * error without allocating and abort, so that a core dump shows the place.
 */
#include "base/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static _Noreturn void die(const char *line, int len)
{
    ssize_t ignored = write(STDERR_FILENO, line, len > 0 ? (size_t)len : 0);

    (void)ignored;
    abort();
}

_Noreturn void rc_assert_failed(const char *cond, const char *file, int line, const char *func)
{
    char text[512];
    int len =
        snprintf(text, sizeof text, "BUG: %s:%d: %s: '%s' does not hold\n", file, line, func, cond);

    die(text, RC_MIN(len, (int)sizeof text - 1));
}

static _Noreturn void out_of_memory(size_t size)
{
    char text[128];
    int len = snprintf(text, sizeof text, "out of memory: %zu bytes were refused\n", size);

    die(text, len);
}

void *rc_malloc(size_t size)
{
    void *at = malloc(size ? size : 1);

    if (!at)
        out_of_memory(size);
    return at;
}

void *rc_calloc(size_t count, size_t size)
{
    void *at = count && size ? calloc(count, size) : calloc(1, 1);

    if (!at)
        out_of_memory(count > SIZE_MAX / RC_MAX(size, (size_t)1) ? SIZE_MAX : count * size);
    return at;
}

void *rc_realloc(void *old, size_t size)
{
    void *at = realloc(old, size ? size : 1);

    if (!at)
        out_of_memory(size);
    return at;
}

char *rc_strdup(const char *text)
{
    return rc_strndup(text, strlen(text));
}

char *rc_strndup(const char *text, size_t len)
{
    char *copy;

    RC_ASSERT(len < SIZE_MAX);
    copy = rc_malloc(len + 1);
    if (len)
        memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

char *rc_format(const char *fmt, ...)
{
    char *out = NULL;
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = vasprintf(&out, fmt, ap);
    va_end(ap);
    if (len < 0)
        out_of_memory(0);
    return out;
}
