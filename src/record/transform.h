/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What the built-in transforms and predicates share: regular expressions with Java's syntax and
 * meaning, access to the key or the value of a record, renaming of fields, and a cache of rebuilt
 * schemas. Private to this room (and its tests). One instance per task: one thread.
 *
 * Rules of every transform here: an error leaves the record as it was; position, timestamp,
 * extensions and properties stay; values that do not change are shared, never copied.
 */
#ifndef RC_TRANSFORM_H
#define RC_TRANSFORM_H

#include "base/arena.h"
#include "base/buf.h"
#include "record/message.h"

#include <openmessaging/connect/plugin.h>

/* ---- regular expressions ------------------------------------------------------------------ */

/** Flags by Java's names, see java.util.regex.Pattern. */
enum rc_regex_flags {
    RC_REGEX_CASE_INSENSITIVE = 1,
    RC_REGEX_MULTILINE = 2,
    RC_REGEX_DOTALL = 4,
    RC_REGEX_COMMENTS = 8,
    RC_REGEX_LITERAL = 16,
    RC_REGEX_UNIX_LINES = 32,
    RC_REGEX_UNICODE_CASE = 64, /**< Always so: without it we are not limited to ASCII either. */
    RC_REGEX_UNICODE_CHARACTER_CLASS = 128,
    RC_REGEX_FULL = 1 << 16 /**< Matches the whole text or nothing (Java: matches()). */
};

/** A compiled Java regex and, if set, a replacement. */
typedef struct rc_regex rc_regex;

/** @return 0, or -OMC_EINVAL: what is wrong in the pattern and how to write it. */
int rc_regex_new(const char *pattern, unsigned flags, rc_regex **ret, rc_error *err);
void rc_regex_free(rc_regex *regex);
RC_DEFINE_CLEANUP(rc_regex, rc_regex_free)
/** Java flag names to flags; an unknown one is refused with the list of known ones. */
int rc_regex_flags(const omc_list *names, unsigned *ret, rc_error *err);
/** Java's replacement: $1, ${name}, \ before a literal character. Checked against the groups. */
int rc_regex_set_replacement(rc_regex *regex, const char *text, rc_error *err);
/**
 * Effort is bounded by the length of the text (about a second at worst, normally microseconds).
 * @return 1 = matches, 0 = does not, or -OMC_EFORMAT: the pattern needs too many steps.
 */
int rc_regex_match(rc_regex *regex, rc_slice text, rc_error *err);
/**
 * Replaces every match (FULL: the whole text). @return 1 = replaced, 0 = no match (`ret` = text).
 * @param[out] ret  In `arena`, NUL-terminated when replaced.
 */
int rc_regex_replace(rc_regex *regex, rc_slice text, omc_arena *arena, rc_slice *ret,
                     rc_error *err);

/** Java's syntax to PCRE2's (transform_java.c). May add flags the pattern begins with, "(?d)". */
int rc_regex_translate(const char *pattern, unsigned *flags, rc_buf *out, rc_error *err);

/* ---- records ------------------------------------------------------------------------------ */

/** The half of a record a transform works on. */
typedef struct rc_half {
    rc_side side;
    const omc_schema **schema;
    omc_value *value;
} rc_half;

rc_half rc_half_of(omc_record *record, rc_side side);
/** "key" or "value". */
const char *rc_half_name(rc_side side);
/** Fails with what the transform needs, what the record has, and the cure. */
int rc_half_unfit(const rc_half *half, const char *transform, const char *needs, rc_error *err);
/** Topic of a record: its own, or extension `topic`; empty = none. Borrowed. */
rc_slice rc_record_topic_slice(const omc_record *record);

/* ---- rebuilt schemas ---------------------------------------------------------------------- */

/** Builds the changed form of a struct schema in `arena`; `*ret = input` means "no change". */
typedef int rc_schema_build(void *arg, const omc_schema *input, omc_arena *arena,
                            const omc_schema **ret, rc_error *err);

/**
 * Rebuilt schemas by input schema. Private deep copies that live until release, because records
 * keep pointing to them; at most 64 schemas and 4 MiB, then schemas are built per record. An
 * input is known by content: its pointer may be reused by another batch's arena.
 */
typedef struct rc_schema_cache {
    rc_arena arena;
    struct rc_schema_pair {
        const omc_schema *input;
        const omc_schema *output; /**< NULL: no change. */
    } * pairs;
    size_t count, last;
} rc_schema_cache;

void rc_schema_cache_release(rc_schema_cache *cache);
/** @param arena  The batch's; holds what is not cached. `*ret == input`: no change. */
int rc_schema_cache_get(rc_schema_cache *cache, const omc_schema *input, rc_schema_build *build,
                        void *arg, omc_arena *arena, const omc_schema **ret, rc_error *err);
/** Shallow copy of a struct schema with room for `extra` more fields; no default value. */
omc_schema *rc_schema_rebuild(const omc_schema *input, size_t extra, omc_arena *arena,
                              omc_field **ret_fields);

/* ---- renaming ----------------------------------------------------------------------------- */

/** New name of a field. `*ret` may be `name` itself. */
typedef int rc_rename_fn(void *arg, rc_slice name, omc_arena *arena, rc_slice *ret, rc_error *err);
typedef struct rc_renamer {
    const char *transform; /**< For errors: "ChangeCase". */
    rc_rename_fn *rename;
    void *arg;
    rc_schema_cache cache;
} rc_renamer;
/** Renames the fields of a struct or the text keys of a map; null stays null. */
int rc_rename_fields(rc_renamer *renamer, omc_record *record, rc_side side, omc_arena *arena,
                     rc_error *err);

/* ---- the plugins -------------------------------------------------------------------------- */

#define RC_TRANSFORMS "org.apache.rocketmq.connect.transforms."
#define RC_KAFKA_TRANSFORMS "org.apache.kafka.connect.transforms."

extern const omc_plugin rc_change_case_key, rc_change_case_value;
extern const omc_plugin rc_extract_nested_field_key, rc_extract_nested_field_value;
extern const omc_plugin rc_pattern_filter_key, rc_pattern_filter_value;
extern const omc_plugin rc_pattern_rename_key, rc_pattern_rename_value;
extern const omc_plugin rc_set_maximum_precision_key, rc_set_maximum_precision_value;
extern const omc_plugin rc_set_null_key, rc_set_null_value;
extern const omc_plugin rc_regex_router, rc_filter, rc_file_filter;

/** Defines the ops of a transform for key and value: <name>_key_ops and <name>_value_ops, from
 *  <name>_start, <name>_apply(self, side, record, arena, err), <name>_stop and state type. */
#define RC_TRANSFORM_PAIR(name, state_type)                                                       \
    static int name##_apply_key(void *self, omc_record *record, omc_arena *arena, omc_error *err) \
    {                                                                                             \
        return name##_apply(self, RC_SIDE_KEY, record, arena, err);                               \
    }                                                                                             \
    static int name##_apply_value(void *self, omc_record *record, omc_arena *arena,               \
                                  omc_error *err)                                                 \
    {                                                                                             \
        return name##_apply(self, RC_SIDE_VALUE, record, arena, err);                             \
    }                                                                                             \
    static const omc_transform_ops name##_key_ops = {                                             \
        .size = sizeof(omc_transform_ops),                                                        \
        .state_size = sizeof(state_type),                                                         \
        .start = name##_start,                                                                    \
        .apply = name##_apply_key,                                                                \
        .stop = name##_stop,                                                                      \
    };                                                                                            \
    static const omc_transform_ops name##_value_ops = {                                           \
        .size = sizeof(omc_transform_ops),                                                        \
        .state_size = sizeof(state_type),                                                         \
        .start = name##_start,                                                                    \
        .apply = name##_apply_value,                                                              \
        .stop = name##_stop,                                                                      \
    }

/** The members of an omc_plugin that are the same for all built-in ones. */
#define RC_BUILTIN(kind_)                                                                       \
    .abi = OMC_ABI_CURRENT, .size = sizeof(omc_plugin), .kind = (kind_), .version = RC_VERSION, \
    .option_size = sizeof(omc_option)

#endif
