/* SPDX-License-Identifier: Apache-2.0 */
/**
 * One child process with a socket as its standard input and pipes as its outputs. It is a process
 * group of its own, gets SIGKILL when the thread that started it ends, and inherits nothing else.
 */
#ifndef RC_HOST_PROCESS_H
#define RC_HOST_PROCESS_H

#include "base/base.h"

#include <sys/types.h>

typedef struct rc_process_spec {
    const char *const
        *argv;              /**< NULL-terminated. A first word without '/' is looked for in PATH. */
    const char *dir;        /**< Working directory; NULL = ours. */
    const char *const *env; /**< More variables, "NAME=value"; NULL-terminated; NULL = none. */
    int64_t memory_max;     /**< Address space in bytes (RLIMIT_AS); 0 = no limit. */
    int64_t resident_max;   /**< Resident memory in bytes, for who watches it; 0 = no limit. */
    const char *resident_key; /**< Where resident_max was set, for people. NULL without it. */
} rc_process_spec;

typedef struct rc_process {
    pid_t pid;
    int pidfd;    /**< Readable once it has ended. */
    int socket;   /**< Our end; not blocking. */
    int out, err; /**< What it prints; not blocking. */
} rc_process;

/**
 * Starts a process. @thread one that lives at least as long as the process should.
 * @return 0, or an error that names the command and the cure.
 */
int rc_process_start(const rc_process_spec *spec, rc_process *ret, rc_error *err);
/** Memory the process itself has in RAM, bytes, without its children; 0 = not known. */
int64_t rc_process_resident(const rc_process *process);
/** Sends a signal to its whole group. */
void rc_process_signal(const rc_process *process, int signal);
/**
 * Ends the group for good, reaps the process and closes the descriptors.
 * @param[out] ret  How it ended: "exit status 3", "killed by signal 11 (SIGSEGV)".
 */
void rc_process_collect(rc_process *process, char ret[64]);

#endif
