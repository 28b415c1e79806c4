/* SPDX-License-Identifier: Apache-2.0 */
/** The worker's configuration as commands take it: --config-file and --set. One thread. */
#ifndef RC_CLI_CONFIG_FILE_H
#define RC_CLI_CONFIG_FILE_H

#include "cli/command.h"
#include "worker/worker_config.h"

/** Rows of the command's options. */
#define RC_CONFIG_OPTIONS                                                      \
    {"config-file", 'c', "FILE", "Configuration, a Java properties file."},    \
        {"configFile", 0, "FILE", "The same, as the Java runtime spells it."}, \
    {                                                                          \
        "set", 0, "KEY=VALUE", "Sets a key, over the file's; may be repeated." \
    }

/** Checks the form of --set pairs. @return RC_EXIT_OK or, having said why, RC_EXIT_USAGE. */
int rc_worker_config_usage(const rc_args *args);
/** Reads the file and the pairs. Prints warnings. @return 0; -OMC_EINVAL with all problems, or why
 *  the file cannot be read. */
int rc_worker_config_load(const rc_args *args, omc_arena *arena, rc_worker_config *ret,
                          rc_error *err);

#endif
