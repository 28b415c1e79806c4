/* SPDX-License-Identifier: Apache-2.0 */
/**
 * From a user's keys to checked options: fills an options struct from an option table, collects
 * *all* problems, suggests the nearest key for a typo, hides secrets, and describes a table for
 * help, documents and REST. Any thread.
 */
#ifndef RC_OPTIONS_H
#define RC_OPTIONS_H

#include "base/arena.h"
#include "base/buf.h"

#include <openmessaging/connect/options.h>

/** A table and the distance of its rows (plugins built with an older header have shorter rows). */
typedef struct rc_option_table {
    const omc_option *rows;
    size_t count;
    size_t row_size;     /**< 0 = sizeof(omc_option). */
    size_t options_size; /**< Of the struct to fill. */
} rc_option_table;

/** Row `i`, complete: members the plugin's header did not have are zero. */
omc_option rc_option_at(const rc_option_table *table, size_t i);

/** One problem: which key, which value, what is wrong and how to cure it. */
typedef struct rc_problem {
    const char *key;
    const char *value; /**< "" when absent; "******" for secrets. */
    const char *text;  /**< "'prot' is not a known key; did you mean 'port'?" */
    bool warning;      /**< Ignored or deprecated key: say it once, go on. */
} rc_problem;

#define RC_PROBLEMS_MAX 200

typedef struct rc_problems {
    omc_arena *arena;
    rc_problem *items;
    size_t count, cap; /**< At most RC_PROBLEMS_MAX are kept. */
    size_t errors;     /**< Those that are no warnings. */
} rc_problems;

void rc_problems_init(rc_problems *problems, omc_arena *arena);
/** Adds a problem. A text that does not name 'key' between quotes gets "key 'a' = 'b': " (without
 *  a value: "key 'a': ") in front. `value` must not be a secret: give RC_SECRET_MASK instead. */
void rc_problem_add(rc_problems *problems, bool warning, const char *key, const char *value,
                    const char *fmt, ...) OMC_PRINTF(5, 6);
/** "key 'a' = 'b': text; key ..." of the errors, as one message. @return -OMC_EINVAL, or 0. */
int rc_problems_fail(const rc_problems *problems, rc_error *err);

enum rc_options_flags {
    RC_OPTIONS_STRICT = 1 /**< Keys in no table are errors; otherwise warnings. */
};

/**
 * Checks `kv` against one or more tables (e.g. the runtime's keys and the connector's) and fills
 * one struct per table. A key may be known to several tables; each gets it.
 *
 * @param options  One zeroed struct per table, or NULL to only check. Strings and lists are
 *                 copied into `arena`.
 * @return 0, or -OMC_EINVAL with every problem added to `problems`.
 */
int rc_options_parse(const rc_option_table *tables, size_t table_count, const omc_keyvalue *kv,
                     unsigned flags, void *const *options, omc_arena *arena, rc_problems *problems);

/** True for PASSWORD options and for names that look like a secret (password, secret, token,
 *  credential, access key, private key), so that unknown connectors are safe too. */
bool rc_option_secret(const rc_option_table *tables, size_t table_count, rc_slice key);
#define RC_SECRET_MASK "******"

/** Copy of `kv` with secrets replaced by RC_SECRET_MASK. */
const omc_keyvalue *rc_options_mask(const rc_option_table *tables, size_t table_count,
                                    const omc_keyvalue *kv, omc_arena *arena);
/** Copy of `kv` where RC_SECRET_MASK is replaced by the old value of the same key, if any. */
const omc_keyvalue *rc_options_unmask(const omc_keyvalue *kv, const omc_keyvalue *old,
                                      omc_arena *arena);

/** Type as users see it: "string", "duration", ... */
const char *rc_option_type_name(omc_option_type type);
/** A Markdown table of all options (name, type, default, range, text), for docs and --help. */
void rc_options_describe(const rc_option_table *table, rc_buf *out);

/** Builder for key-value lists in an arena; the last value of a key wins. */
typedef struct rc_kv {
    omc_arena *arena;
    omc_pair *pairs;
    size_t count, cap;
    uint32_t *index; /**< Hash index of long lists: position + 1. */
    size_t index_cap;
} rc_kv;
void rc_kv_init(rc_kv *kv, omc_arena *arena);
void rc_kv_put(rc_kv *kv, rc_slice key, rc_slice value);           /**< Copies. */
void rc_kv_put_str(rc_kv *kv, const char *key, const char *value); /**< Copies. */
void rc_kv_put_all(rc_kv *kv, const omc_keyvalue *from);
void rc_kv_remove(rc_kv *kv, const char *key);
const omc_keyvalue *rc_kv_done(rc_kv *kv); /**< Lives in the arena. */
/** NUL-terminated value of `key` in `arena`, or `fallback`. */
const char *rc_kv_text(const omc_keyvalue *kv, const char *key, const char *fallback,
                       omc_arena *arena);
/** Deep copy. */
const omc_keyvalue *rc_kv_copy(const omc_keyvalue *kv, omc_arena *arena);
/** Same keys with same values, in any order. */
bool rc_kv_equal(const omc_keyvalue *a, const omc_keyvalue *b);

#endif
