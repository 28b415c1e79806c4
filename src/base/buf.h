/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Growing byte buffer with a maximum from birth. Appending past the maximum sets `overflow`,
 * appends nothing more and is checked once at the end. Content is always NUL-terminated.
 * One thread at a time.
 */
#ifndef RC_BUF_H
#define RC_BUF_H

#include "base/base.h"

typedef struct rc_buf {
    char *data; /**< NULL until the first append. */
    size_t len;
    size_t cap;
    size_t max;
    bool overflow;
} rc_buf;

#define RC_BUF(max_)  \
    {                 \
        .max = (max_) \
    }

void rc_buf_init(rc_buf *buf, size_t max);
void rc_buf_release(rc_buf *buf); /**< Frees; usable again with the same maximum. */
void rc_buf_clear(rc_buf *buf);   /**< Empties, keeps memory. */
/** Room for `n` more bytes at data + len, or NULL (overflow set). The caller adds to len. */
char *rc_buf_reserve(rc_buf *buf, size_t n);
void rc_buf_add(rc_buf *buf, const void *bytes, size_t n);
void rc_buf_str(rc_buf *buf, const char *text);
void rc_buf_char(rc_buf *buf, char c);
void rc_buf_printf(rc_buf *buf, const char *fmt, ...) OMC_PRINTF(2, 3);
static inline rc_slice rc_buf_slice(const rc_buf *buf)
{
    return omc_slice_of(buf->data, buf->len);
}
/** Gives the NUL-terminated content away; free() it. "" when empty. The buffer is empty after. */
char *rc_buf_take(rc_buf *buf);
RC_DEFINE_CLEANUP(rc_buf, rc_buf_release)

#endif
