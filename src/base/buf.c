/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The buffer doubles until its maximum. One byte more than `cap` is always allocated for the NUL,
 * so `max` counts content only.
 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#define FIRST_CAP ((size_t)64)

void rc_buf_init(rc_buf *buf, size_t max)
{
    *buf = (rc_buf){.max = max};
}

void rc_buf_release(rc_buf *buf)
{
    free(buf->data);
    rc_buf_init(buf, buf->max);
}

void rc_buf_clear(rc_buf *buf)
{
    buf->len = 0;
    buf->overflow = false;
    if (buf->data)
        buf->data[0] = '\0';
}

char *rc_buf_reserve(rc_buf *buf, size_t n)
{
    size_t cap;

    /* After an overflow nothing more is taken: a gap in the middle would be worse than a cut. */
    if (buf->overflow || buf->len > buf->max || n > buf->max - buf->len) {
        buf->overflow = true;
        return NULL;
    }
    if (buf->data && n <= buf->cap - buf->len)
        return buf->data + buf->len;
    cap = buf->cap > buf->max / 2 ? buf->max : buf->cap * 2;
    cap = RC_MAX(cap, RC_MIN(FIRST_CAP, buf->max));
    cap = RC_MAX(cap, buf->len + n);
    buf->data = rc_realloc(buf->data, cap + 1);
    buf->cap = cap;
    buf->data[buf->len] = '\0';
    return buf->data + buf->len;
}

void rc_buf_add(rc_buf *buf, const void *bytes, size_t n)
{
    char *at = rc_buf_reserve(buf, n);

    if (!at)
        return;
    if (n)
        memcpy(at, bytes, n);
    at[n] = '\0';
    buf->len += n;
}

void rc_buf_str(rc_buf *buf, const char *text)
{
    rc_buf_add(buf, text, strlen(text));
}

void rc_buf_char(rc_buf *buf, char c)
{
    rc_buf_add(buf, &c, 1);
}

void rc_buf_printf(rc_buf *buf, const char *fmt, ...)
{
    char small[256];
    va_list ap;
    char *at;
    int len;

    va_start(ap, fmt);
    len = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    RC_ASSERT(len >= 0);
    if ((size_t)len < sizeof small) {
        rc_buf_add(buf, small, (size_t)len);
        return;
    }
    at = rc_buf_reserve(buf, (size_t)len);
    if (!at)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(at, (size_t)len + 1, fmt, ap);
    va_end(ap);
    buf->len += (size_t)len;
}

char *rc_buf_take(rc_buf *buf)
{
    char *out = buf->data ? buf->data : rc_strdup("");

    rc_buf_init(buf, buf->max);
    return out;
}
