/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What a command is: a row with its name, arguments, options, help and function. Dispatch,
 * `--help` and `docs commands` all read the same rows. One thread.
 */
#ifndef RC_CLI_COMMAND_H
#define RC_CLI_COMMAND_H

#include "base/base.h"
#include "base/buf.h"
#include "cli/cli.h"

typedef struct rc_cli_option {
    const char *name; /**< Long name without dashes. */
    char letter;      /**< Short name, or 0. */
    const char *arg;  /**< What its argument is called, or NULL when it takes none. */
    const char *help;
} rc_cli_option;

#define RC_CLI_GIVEN_MAX 256

/** What a user gave; texts live as long as argv. */
typedef struct rc_args {
    const struct rc_command *command;
    const omc_plugin *const *connectors; /**< Built in. */
    struct {
        const rc_cli_option *option;
        const char *value; /**< NULL when the option takes none. */
    } given[RC_CLI_GIVEN_MAX];
    size_t given_count;
    int count; /**< Positional arguments. */
    char **items;
} rc_args;

typedef struct rc_command {
    const char *name;             /**< One or two words. */
    const char *args;             /**< Positional arguments as shown in help; "" = none. */
    int args_min, args_max;       /**< args_max -1 = any number. */
    const char *summary;          /**< One line. */
    const char *help;             /**< More, for --help and docs; may be "". */
    const rc_cli_option *options; /**< Ends with a row whose name is NULL; may be NULL. */
    int (*run)(rc_args *args);    /**< @return an rc_exit. */
    bool hidden;                  /**< Not in lists. */
} rc_command;

/** Tables of commands, one per file; each ends with a row whose name is NULL. */
extern const rc_command rc_run_commands[], rc_standalone_commands[], rc_validate_commands[],
    rc_connector_commands[], rc_plugin_commands[], rc_cluster_commands[], rc_docs_commands[],
    rc_help_commands[];
/** Command number `i` of all, in order of help, or NULL. */
const rc_command *rc_command_at(size_t i);

/** Value of an option given last ("" for one that takes none), or NULL. */
const char *rc_args_get(const rc_args *args, const char *option);
bool rc_args_has(const rc_args *args, const char *option);
/** Value number `i` of an option that may be repeated, or NULL. */
const char *rc_args_nth(const rc_args *args, const char *option, size_t i);

/** Says what is wrong with the arguments and where help is. @return RC_EXIT_USAGE */
int rc_usage(const rc_args *args, const char *fmt, ...) OMC_PRINTF(2, 3);
/** Prints "error: <text>" on standard error. @return the exit code that fits the error. */
int rc_exit_print(const rc_error *err);
/** Exit code for an error code (positive or negated). */
rc_exit rc_exit_of(int code);

/** `rocketmq-connect help`-style text of one command, or of all in Markdown. */
void rc_command_help(const rc_command *command, rc_buf *out);
void rc_commands_markdown(rc_buf *out);
/** Writes the buffer to standard output. @return RC_EXIT_OK or RC_EXIT_FAILED. */
int rc_print(const rc_buf *out);

#endif
