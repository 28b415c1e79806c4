/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A REST server on a free loopback port with a fake worker, its loop on a thread of its own, and
 * a small HTTP client.
 */
#ifndef REST_RIG_H
#define REST_RIG_H

#include "fake_worker.h"
#include "rest/rest.h"
#include "unit.h"

typedef struct rig {
    rc_loop *loop;
    rc_rest *rest;
    rc_worker *worker;
    bool borrowed;                  /**< The worker is another rig's. */
    const rc_rest_cluster *cluster; /**< NULL = in none. */
    int port;
    pthread_t thread;
} rig;

typedef struct got {
    int status; /**< 0 = the connection was closed without an answer. */
    char head[8192];
    char body[262144];
    size_t len;
} got;

/** `config->host` NULL = 127.0.0.1. The worker is attached. */
void rig_start(rig *r, rc_rest_config config);
/** The same with the worker and the cluster that are set in `r`; all else is zero. */
void rig_start_with(rig *r, rc_rest_config config);
void rig_stop(rig *r);
/** Runs `fn(arg)` on the loop's thread and waits for it. */
void rig_on_loop(rig *r, rc_loop_fn *fn, void *arg);
void rig_attach(rig *r, rc_worker *worker);

/** Longest wait for the server, per read. */
extern int rig_patience_ms;
int rig_connect(const rig *r);
/** One request on a connection of its own; `headers` are whole lines with CRLF, or "". */
void rig_call(const rig *r, const char *method, const char *path, const char *headers,
              const char *body, got *ret);
/** Raw bytes; reads until the server closes. */
void rig_raw(const rig *r, const void *bytes, size_t len, got *ret);
/** Calls and compares status and whole body. */
void rig_expect(const rig *r, const char *method, const char *path, const char *body, int status,
                const char *want);
/** Calls and compares status and the beginning of the body. */
void rig_expect_begin(const rig *r, const char *method, const char *path, const char *body,
                      int status, const char *want);

#endif
