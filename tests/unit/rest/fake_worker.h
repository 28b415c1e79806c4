/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A worker for the tests of the REST server: the functions of worker/worker.h, plugin/registry.h
 * and log/log.h that the server calls, over a handful of connectors in memory. Replies come from
 * a thread of its own, as the real control thread's do.
 */
#ifndef FAKE_WORKER_H
#define FAKE_WORKER_H

#include "worker/worker.h"

rc_worker *fake_worker_new(void);
void fake_worker_free(rc_worker *worker); /**< Answers what is held first. */
/** Keeps requests unanswered until let go. */
void fake_worker_hold(rc_worker *worker, bool hold);
/** Requests that wait. */
size_t fake_worker_waiting(rc_worker *worker);
/** Makes every further post fail (as a full or stopping worker does). */
void fake_worker_refuse(rc_worker *worker, bool refuse);
/** Answers every further request with -OMC_ECANCELED (as a stopping worker does). */
void fake_worker_cancel(rc_worker *worker, bool cancel);
/** Sets the state of a connector and of its task 0. */
void fake_worker_state(rc_worker *worker, const char *name, rc_state connector, rc_state task,
                       const char *trace);
void fake_worker_log(rc_worker *worker, bool writable, const char *text);

#endif
