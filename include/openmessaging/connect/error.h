/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Errors that cross the connector ABI: a code, two flags and a sentence for the user.
 *
 * The caller owns the object, so it crosses threads and libraries without an allocation.
 * Functions return 0 (or a count) on success and a negative code on failure; they fill
 * `err` on failure only. A good message says what happened, where, and what to do next.
 */
#ifndef OMC_ERROR_H
#define OMC_ERROR_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Error codes. Functions return them negated: `return -OMC_EINVAL;`. Values never change. */
enum omc_code {
    OMC_OK = 0,
    OMC_EINVAL = 1,        /**< Bad configuration or argument; trying again cannot help. */
    OMC_ENOTFOUND = 2,     /**< The named thing does not exist. */
    OMC_EEXIST = 3,        /**< It exists already, or somebody else holds it. */
    OMC_EAGAIN = 4,        /**< Not now (queue full, busy); try again. */
    OMC_ETIMEDOUT = 5,     /**< A deadline passed. */
    OMC_EIO = 6,           /**< Reading or writing failed. */
    OMC_ENOSPC = 7,        /**< A disk or quota is full. */
    OMC_ECONNECT = 8,      /**< The other system cannot be reached. */
    OMC_EFORMAT = 9,       /**< Bytes or a record do not have the expected form. */
    OMC_ECANCELED = 10,    /**< Ended because a stop was asked for. */
    OMC_EUNSUPPORTED = 11, /**< Not supported by this plugin, log or version. */
    OMC_ENOMEM = 12,       /**< An allocation sized by foreign data failed or is over its limit. */
    OMC_ESTATE = 13,       /**< Not possible in the present state (conflict). */
    OMC_EABI = 14,         /**< A plugin was built for another version of this ABI. */
    OMC_EACCES = 15,       /**< Permission denied. */
    OMC_EINTERNAL = 16,    /**< A bug in us. */
    OMC_EFENCED = 17       /**< Belongs to this worker no more: somebody else acts for it. */
};

/** Flags of an error. */
#define OMC_ERR_RETRIABLE 1u /**< The same call may succeed later (Java: RetriableException). */
#define OMC_ERR_FATAL 2u     /**< Restarting the task cannot help; somebody must act. */
#define OMC_ERR_PROMPT                                                        \
    4u /**< The task fails, but may be restarted at once: what ended is there \
            again, e.g. the process it ran in. */

#define OMC_ERROR_TEXT_MAX 1016

/** One error. Zero it (`omc_error err = {0};`) before the first use. 1,024 bytes. */
typedef struct omc_error {
    int32_t code;                 /**< enum omc_code, positive; 0 = none. */
    uint32_t flags;               /**< OMC_ERR_*. */
    char msg[OMC_ERROR_TEXT_MAX]; /**< UTF-8, NUL-terminated, cut when longer. */
} omc_error;

#if defined(__GNUC__)
#define OMC_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define OMC_PRINTF(fmt, args)
#endif

/** Fills `err` (may be NULL) and returns -code, so that a failing function ends in one line. */
static inline int omc_fail(omc_error *err, int code, uint32_t flags, const char *fmt, ...)
    OMC_PRINTF(4, 5);

static inline int omc_fail(omc_error *err, int code, uint32_t flags, const char *fmt, ...)
{
    if (err) {
        va_list ap;

        err->code = code;
        err->flags = flags;
        va_start(ap, fmt);
        (void)vsnprintf(err->msg, sizeof err->msg, fmt, ap);
        va_end(ap);
    }
    return -code;
}

#ifdef __cplusplus
}
#endif
#endif
