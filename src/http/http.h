/* SPDX-License-Identifier: Apache-2.0 */
/**
 * HTTP client, of the commands and of calls between workers: rc_http.so, a small library of ours
 * around libcurl, loaded when it is needed, so that the worker's start does not pay for libcurl.
 * It links nothing of ours; the two sides share this header.
 */
#ifndef RC_HTTP_H
#define RC_HTTP_H

#include <openmessaging/connect/error.h>

#include <stddef.h>

#define RC_HTTP_VERSION 2u
#define RC_HTTP_ENTRY "rc_http_entry"
/** Longest answer taken. */
#define RC_HTTP_BODY_MAX ((size_t)64 << 20)
#define RC_HTTP_TYPE_MAX 127

typedef struct rc_http_request {
    const char *method; /**< "GET" */
    const char *url;
    const char *body;           /**< JSON, NUL-terminated, or NULL. */
    long timeout_ms;            /**< Of the whole call. */
    const char *const *headers; /**< "Name: value", NULL-terminated; NULL = none. */
} rc_http_request;

typedef struct rc_http_answer {
    long status;
    char *body; /**< NUL-terminated; give it back with release(). */
    size_t len;
    char type[RC_HTTP_TYPE_MAX + 1]; /**< Content-Type, "" = none. */
} rc_http_answer;

typedef struct rc_http {
    unsigned version; /**< RC_HTTP_VERSION of the library. */
    /** Any thread, several at a time.
     *  @return 0, -OMC_ECONNECT, -OMC_ETIMEDOUT, -OMC_EINVAL (url) or -OMC_EIO. */
    int (*call)(const rc_http_request *request, rc_http_answer *ret, omc_error *err);
    void (*release)(rc_http_answer *answer);
} rc_http;

/** The library's one symbol. */
typedef const rc_http *rc_http_entry_fn(void);

/** Loads the library: beside the program, or in ../lib/rocketmq-connect. Stays loaded. One thread
 *  at a time. @return 0, or -OMC_ENOTFOUND / -OMC_EABI with what to do. */
int rc_http_load(const rc_http **ret, omc_error *err);

#endif
