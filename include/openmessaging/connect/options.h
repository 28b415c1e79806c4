/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Options of a plugin as a table: name, type, default, range, prose.
 *
 * The host parses and checks the user's configuration against the table, fills the plugin's
 * options struct, answers validate requests, and writes help and documentation from it. A key
 * that is in no table is refused with the nearest name.
 */
#ifndef OMC_OPTIONS_H
#define OMC_OPTIONS_H

#include <openmessaging/connect/data.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Type of an option, and the C type the host writes at `offset` in the options struct. */
typedef enum omc_option_type {
    OMC_OPT_STRING = 1,      /**< const char *, NULL when absent without default. */
    OMC_OPT_BOOLEAN = 2,     /**< bool; "true" or "false". */
    OMC_OPT_INT = 3,         /**< int64_t; decimal, checked against min..max. */
    OMC_OPT_DOUBLE = 4,      /**< double. */
    OMC_OPT_DURATION_MS = 5, /**< int64_t ms; "250", "250ms", "3s", "5m", "2h", "1d". */
    OMC_OPT_SIZE = 6,        /**< int64_t bytes; "4096", "64KiB", "1MiB", "2GiB" (k/m/g too). */
    OMC_OPT_LIST = 7,        /**< omc_list; separated by ',' or ';', blanks trimmed. */
    OMC_OPT_CHOICE = 8,      /**< const char *, one of `choices`, spelled as there. */
    OMC_OPT_PASSWORD = 9,    /**< const char *; never shown. */
    OMC_OPT_CLASS = 10,      /**< const char *; a plugin's name, class or alias. */
    OMC_OPT_REGEX = 11       /**< const char *; a regular expression that compiles. */
} omc_option_type;

typedef struct omc_list {
    size_t count;
    const char *const *items; /**< NUL-terminated strings. */
} omc_list;

/** Flags of an option. */
#define OMC_OPT_REQUIRED 1u   /**< Must be given and not empty. */
#define OMC_OPT_IGNORED 2u    /**< Accepted for compatibility, without effect; one log line. */
#define OMC_OPT_DEPRECATED 4u /**< Works; `doc` names what replaces it; one log line. */
#define OMC_OPT_PREFIX 8u     /**< `name` ends in '.': any key that begins with it is accepted. */

/** `offset` of an option that is not stored in the options struct. */
#define OMC_OPT_NOT_STORED ((size_t)-1)

/** One option. A table is an array; its length and row size stand in omc_plugin. */
typedef struct omc_option {
    const char *name;
    omc_option_type type;
    uint32_t flags;
    const char *default_value; /**< Text as a user would write it; NULL = absent. */
    size_t offset;             /**< offsetof() in the options struct, or OMC_OPT_NOT_STORED. */
    const char *doc;           /**< One or two sentences: effect, unit, what 0 means. */
    int64_t min, max;          /**< Inclusive range of numbers; both 0 = any. */
    const char *choices;       /**< CHOICE: "none|all". */
    const char *aliases;       /**< Other accepted names, comma separated; NULL = none. */
} omc_option;

#ifdef __cplusplus
}
#endif
#endif
