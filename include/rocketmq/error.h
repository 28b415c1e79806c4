/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Errors of the RocketMQ client: a code, flags and a sentence for the user that names topic,
 * queue, broker and request where they are known, and what to do next.
 *
 * The caller owns the object, so it crosses threads without an allocation. Functions return 0 (or
 * a count) on success and a negative code on failure; they fill `err` (may be NULL) on failure
 * only. Small allocations inside the client abort the process when memory ends; every size that
 * comes from the wire or from the caller is checked first and fails as an ordinary error.
 */
#ifndef RMQ_ERROR_H
#define RMQ_ERROR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Error codes. Functions return them negated: `-RMQ_EINVAL`. Values never change. */
enum rmq_code {
    RMQ_OK = 0,
    RMQ_EINVAL = 1,        /**< Bad configuration or argument; trying again cannot help. */
    RMQ_ENOTFOUND = 2,     /**< Topic, queue, group or offset does not exist. */
    RMQ_EEXIST = 3,        /**< It exists already. */
    RMQ_EAGAIN = 4,        /**< Not now: a limit of the client is reached, or the broker is busy. */
    RMQ_ETIMEDOUT = 5,     /**< A deadline passed. */
    RMQ_EIO = 6,           /**< A connection broke. */
    RMQ_ENOSPC = 7,        /**< The broker's disk is full. */
    RMQ_ECONNECT = 8,      /**< Name server or broker cannot be reached. */
    RMQ_EFORMAT = 9,       /**< Bytes from the wire do not have the expected form. */
    RMQ_ECANCELED = 10,    /**< Ended by close, or because what came before it failed. */
    RMQ_EUNSUPPORTED = 11, /**< This broker cannot do that. */
    RMQ_ENOMEM = 12,       /**< Something foreign is larger than its limit. */
    RMQ_ESTATE = 13,       /**< Not possible in the present state. */
    RMQ_EACCES = 15,       /**< Credentials or permissions are missing. */
    RMQ_EINTERNAL = 16     /**< A bug in us. */
};

/** Flags of an error. */
#define RMQ_ERR_RETRIABLE 1u /**< The same call may succeed later. */
#define RMQ_ERR_FATAL 2u     /**< Trying again cannot help; somebody must act. */
/** The request may have been carried out: it was sent, and no answer came. */
#define RMQ_ERR_UNKNOWN_OUTCOME 4u
/** Response code of the broker or name server that caused the error, 0 = none (protocol §21). */
#define RMQ_ERR_RESPONSE(err) ((int)((err)->flags >> 16))

#define RMQ_ERROR_TEXT_MAX 1016

/** One error, 1,024 bytes. Zero it (`rmq_error err = {0};`) before the first use. */
#ifdef OMC_ERROR_H
typedef omc_error rmq_error; /* Programs that use the connector ABI too share one type. */
#else
typedef struct rmq_error {
    int32_t code;                 /**< enum rmq_code, positive; 0 = none. */
    uint32_t flags;               /**< RMQ_ERR_*; the upper half is RMQ_ERR_RESPONSE. */
    char msg[RMQ_ERROR_TEXT_MAX]; /**< UTF-8, NUL-terminated, cut when longer. */
} rmq_error;
#endif

#ifdef __cplusplus
}
#endif
#endif
