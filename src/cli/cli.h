/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The command line: one table of commands, each in its own file. `main` hands over the built-in
 * connectors, because only it knows them.
 */
#ifndef RC_CLI_H
#define RC_CLI_H

#include <openmessaging/connect/plugin.h>

/** Exit codes of every command. */
typedef enum rc_exit {
    RC_EXIT_OK = 0,
    RC_EXIT_FAILED = 1,
    RC_EXIT_USAGE = 2,       /**< Wrong arguments. */
    RC_EXIT_CONFIG = 3,      /**< A configuration was refused. */
    RC_EXIT_UNREACHABLE = 4, /**< No worker answers. */
    RC_EXIT_NOT_FOUND = 5,
    RC_EXIT_CONFLICT = 6 /**< Exists already, or not possible in the present state. */
} rc_exit;

/**
 * Runs one command; prints its results on standard output and errors on standard error.
 * @param connectors  Built-in connectors, NULL-terminated.
 * @return an rc_exit.
 */
int rc_cli_main(int argc, char **argv, const omc_plugin *const *connectors);

#endif
