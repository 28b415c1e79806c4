/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Context for errors. Messages live in the fixed array of the error object; what does not fit is
 * cut at the end, never in the middle of a UTF-8 character, because messages travel in JSON.
 */
#include "base/base.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/* Removes an incomplete UTF-8 character that a cut left at the end. */
static void trim_cut(char *text, size_t len)
{
    size_t at = len;
    size_t back = 0;
    unsigned char lead;
    size_t need;

    while (at > 0 && back < 4 && ((unsigned char)text[at - 1] & 0xC0u) == 0x80u) {
        at--;
        back++;
    }
    if (at == 0)
        return;
    lead = (unsigned char)text[at - 1];
    need = lead >= 0xF0u ? 3 : lead >= 0xE0u ? 2 : lead >= 0xC0u ? 1 : 0;
    if (back < need)
        text[at - 1] = '\0';
}

static void put_front(rc_error *err, const char *fmt, va_list ap, const char *text)
    OMC_PRINTF(2, 0);

/* "<front>: <text>" into err->msg; returns nothing because a cut is no failure. */
static void put_front(rc_error *err, const char *fmt, va_list ap, const char *text)
{
    char line[OMC_ERROR_TEXT_MAX];
    int len = vsnprintf(line, sizeof line, fmt, ap);
    size_t front = len < 0 ? 0 : RC_MIN((size_t)len, sizeof line - 1);
    int more;

    more = snprintf(line + front, sizeof line - front, ": %s", text);
    if (more < 0 || front + (size_t)more >= sizeof line)
        trim_cut(line, strlen(line));
    memcpy(err->msg, line, strlen(line) + 1);
}

int rc_wrap(rc_error *err, int r, const char *fmt, ...)
{
    char old[OMC_ERROR_TEXT_MAX];
    va_list ap;

    if (!err)
        return r;
    memcpy(old, err->msg, sizeof old);
    old[sizeof old - 1] = '\0';
    va_start(ap, fmt);
    put_front(err, fmt, ap, old);
    va_end(ap);
    return r;
}

static int code_of_errno(int errnum)
{
    switch (errnum) {
    case ENOSPC:
    case EDQUOT:
        return OMC_ENOSPC;
    case EACCES:
    case EPERM:
        return OMC_EACCES;
    case ENOENT:
        return OMC_ENOTFOUND;
    case EEXIST:
        return OMC_EEXIST;
    case ECONNREFUSED:
    case ECONNRESET:
    case ECONNABORTED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ENETDOWN:
    case EPIPE:
    case ETIMEDOUT:
        return OMC_ECONNECT;
    default:
        return OMC_EIO;
    }
}

static bool retriable_errno(int errnum)
{
    switch (errnum) {
    case EINTR:
    case EAGAIN:
    case ENOSPC:
    case EDQUOT:
    case EIO:
        return true;
    default:
        return code_of_errno(errnum) == OMC_ECONNECT;
    }
}

int rc_fail_errno(rc_error *err, int errnum, const char *fmt, ...)
{
    char buf[128];
    va_list ap;

    if (!err)
        return -code_of_errno(errnum);
    err->code = code_of_errno(errnum);
    err->flags = retriable_errno(errnum) ? OMC_ERR_RETRIABLE : 0;
    va_start(ap, fmt);
    put_front(err, fmt, ap, strerror_r(errnum, buf, sizeof buf));
    va_end(ap);
    return -err->code;
}

const char *rc_code_name(int code)
{
    static const char *const names[] = {
        [OMC_OK] = "OK",
        [OMC_EINVAL] = "INVALID",
        [OMC_ENOTFOUND] = "NOT_FOUND",
        [OMC_EEXIST] = "EXISTS",
        [OMC_EAGAIN] = "TRY_AGAIN",
        [OMC_ETIMEDOUT] = "TIMED_OUT",
        [OMC_EIO] = "IO",
        [OMC_ENOSPC] = "NO_SPACE",
        [OMC_ECONNECT] = "UNREACHABLE",
        [OMC_EFORMAT] = "BAD_FORMAT",
        [OMC_ECANCELED] = "CANCELED",
        [OMC_EUNSUPPORTED] = "UNSUPPORTED",
        [OMC_ENOMEM] = "TOO_LARGE",
        [OMC_ESTATE] = "WRONG_STATE",
        [OMC_EABI] = "WRONG_ABI",
        [OMC_EACCES] = "ACCESS_DENIED",
        [OMC_EINTERNAL] = "INTERNAL",
        [OMC_EFENCED] = "FENCED",
    };
    unsigned at = code < 0 ? 0u - (unsigned)code : (unsigned)code;

    return at < RC_COUNT(names) ? names[at] : "UNKNOWN";
}
