/* SPDX-License-Identifier: Apache-2.0 */
/** The host's end of the host protocol, for native plugins: built in or from `.so` files. */
#ifndef RC_HOST_SERVE_H
#define RC_HOST_SERVE_H

#include <openmessaging/connect/plugin.h>

/**
 * Serves the worker at the other end of the socket `fd` until it says SHUTDOWN or goes away.
 * @param builtin  NULL-terminated; plugins without a location.
 * @return the exit code, when the handshake fails; otherwise the process ends in here.
 */
int rc_host_serve(int fd, const omc_plugin *const *builtin);

#endif
