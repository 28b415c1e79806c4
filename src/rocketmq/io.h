/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The one I/O thread of the process, shared by all clients: started by the first, ended with the
 * last.
 */
#ifndef RMQ_IO_H
#define RMQ_IO_H

#include "net/loop.h"

#include <stdbool.h>

/** Counts a user; starts the thread "rmq-io" for the first. @thread any but the I/O thread */
int rmq_io_acquire(rc_loop **ret, rc_error *err);
/** Gives it back; the last one waits for the thread's end. Everything on the loop must be closed.
 *  @thread any but the I/O thread */
void rmq_io_release(void);
bool rmq_io_here(void); /**< Is this the I/O thread? */
/** Runs `fn` there soon, in the order of the calls. Other threads wait while 65,536 are queued. */
void rmq_io_post(rc_loop_fn *fn, void *arg);
/** Runs `fn` there and waits for it. @thread any but the I/O thread */
void rmq_io_run(rc_loop_fn *fn, void *arg);

#endif
