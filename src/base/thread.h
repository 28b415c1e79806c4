/* SPDX-License-Identifier: Apache-2.0 */
/** Named pthreads with a small stack. */
#ifndef RC_THREAD_H
#define RC_THREAD_H

#include "base/base.h"

#include <pthread.h>

/** Starts a thread named `name` (15 bytes are kept); signals are blocked in it. Stack 256 KiB
 *  unless `stack` (bytes) says more. @return 0 or -OMC_EAGAIN. */
int rc_thread_start(pthread_t *ret, const char *name, size_t stack, void *(*run)(void *), void *arg,
                    rc_error *err);

#endif
