/* SPDX-License-Identifier: Apache-2.0 */
/**
 * HTTP client of the commands: rc_http.so, a small library of ours around libcurl, loaded when a
 * command needs it, so that the worker's start does not pay for libcurl. It links nothing of ours;
 * the two sides share this header.
 */
#ifndef RC_CLI_HTTP_H
#define RC_CLI_HTTP_H

#include <openmessaging/connect/error.h>

#include <stddef.h>

#define RC_HTTP_VERSION 1u
#define RC_HTTP_ENTRY "rc_http_entry"
/** Longest answer taken. */
#define RC_HTTP_BODY_MAX ((size_t)64 << 20)

typedef struct rc_http_request {
    const char *method; /**< "GET" */
    const char *url;
    const char *body; /**< JSON, or NULL. */
    long timeout_ms;  /**< Of the whole call. */
} rc_http_request;

typedef struct rc_http_answer {
    long status;
    char *body; /**< NUL-terminated; give it back with release(). */
    size_t len;
} rc_http_answer;

typedef struct rc_http {
    unsigned version; /**< RC_HTTP_VERSION of the library. */
    /** @return 0, -OMC_ECONNECT, -OMC_ETIMEDOUT, -OMC_EINVAL (url) or -OMC_EIO. */
    int (*call)(const rc_http_request *request, rc_http_answer *ret, omc_error *err);
    void (*release)(rc_http_answer *answer);
} rc_http;

/** The library's one symbol. */
typedef const rc_http *rc_http_entry_fn(void);

/** Loads the library: beside the program, or in ../lib/rocketmq-connect. Stays loaded.
 *  @return 0, or -OMC_ENOTFOUND / -OMC_EABI with what to do. */
int rc_http_load(const rc_http **ret, omc_error *err);

#endif
