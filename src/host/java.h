/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Where Java and the Java host are. Nothing is started.
 */
#ifndef RC_HOST_JAVA_H
#define RC_HOST_JAVA_H

#include "base/arena.h"
#include "base/base.h"

/**
 * The program that runs Java: `asked` when it is set (host.java), else the one of JAVA_HOME, else
 * the first `java` in PATH, else Debian's default.
 * @param[out] ret  In `arena`.
 * @return 0, or -OMC_ENOTFOUND with how to get one.
 */
int rc_java_find(const char *asked, omc_arena *arena, const char **ret, rc_error *err);

/**
 * The Java host's jar: `asked` when it is set (host.java.jar), else the one that is installed or
 * built beside this program.
 * @param[out] ret  In `arena`.
 * @return 0, or -OMC_ENOTFOUND with how to get it.
 */
int rc_java_host_find(const char *asked, omc_arena *arena, const char **ret, rc_error *err);

#endif
