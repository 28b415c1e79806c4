/* SPDX-License-Identifier: Apache-2.0 */
/**
 * YAML into a small tree with line and column, for pipeline files. Built on libyaml events.
 * Aliases and tags are refused with their place; depth is at most 32, nodes at most 100,000.
 */
#ifndef RC_YAML_H
#define RC_YAML_H

#include "base/arena.h"

typedef enum rc_yaml_kind { RC_YAML_SCALAR, RC_YAML_LIST, RC_YAML_MAP } rc_yaml_kind;

typedef struct rc_yaml {
    rc_yaml_kind kind;
    int line, column; /**< From 1. */
    const char *text; /**< Scalars, NUL-terminated; the text as written (true, 1.10). */
    size_t text_len;
    bool quoted;     /**< Quoted scalars are never null. */
    const char *key; /**< Set on the children of a map. */
    int key_line, key_column;
    struct rc_yaml *children; /**< Linked by next. */
    struct rc_yaml *next;
    size_t count;
} rc_yaml;

/** Parses one document of at most 1 MiB; an empty one gives an empty map. Keys given twice are
 *  an error. Errors read "name:line:column: what". */
int rc_yaml_parse(const char *name, rc_slice text, omc_arena *arena, rc_yaml **ret, rc_error *err);
int rc_yaml_load(const char *path, omc_arena *arena, rc_yaml **ret, rc_error *err);
/** Child of a map by key, or NULL. */
const rc_yaml *rc_yaml_get(const rc_yaml *map, const char *key);

#endif
