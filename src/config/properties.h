/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Java .properties files: `key=value`, `key: value`, `key value`, # and ! comments, line
 * continuation, \t \n \uXXXX escapes; bytes are UTF-8 (ISO-8859-1 files of old are accepted when
 * they are not valid UTF-8). Any thread.
 */
#ifndef RC_PROPERTIES_H
#define RC_PROPERTIES_H

#include "config/options.h"

#define RC_CONFIG_FILE_MAX ((size_t)1 << 20)

/** Parses `text`. `name` appears in errors as "name:line". Keys given twice are an error. */
int rc_properties_parse(const char *name, rc_slice text, omc_arena *arena, const omc_keyvalue **ret,
                        rc_error *err);
/** Reads a file of at most RC_CONFIG_FILE_MAX bytes. */
int rc_properties_load(const char *path, omc_arena *arena, const omc_keyvalue **ret, rc_error *err);

#endif
