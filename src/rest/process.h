/* SPDX-License-Identifier: Apache-2.0 */
/** Memory, CPU time and descriptors of this process, from /proc. Any thread. */
#ifndef RC_REST_PROCESS_H
#define RC_REST_PROCESS_H

#include "base/base.h"

typedef struct process_figures {
    int64_t resident_bytes;
    int64_t virtual_bytes;
    int64_t cpu_us;
    int64_t open_fds;
    int64_t max_fds;
    int64_t threads;
} process_figures;

/** What cannot be read is 0. */
void process_read(process_figures *ret);

#endif
