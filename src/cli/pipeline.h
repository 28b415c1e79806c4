/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A pipeline file: source, transforms and sink in one YAML document, turned into the
 * configurations of two connectors `<name>-source` and `<name>-sink` joined by one topic.
 *
 *     name: copy
 *     source: {class: file-source, filename: in.txt}
 *     transforms:
 *       - {name: mask, class: PatternRename, ...}
 *     sink: {class: file-sink, filename: out.txt}
 *     log: {dir: /var/lib/copy, keep: 10GiB}
 *     errors: {tolerance: all}
 *
 * Keys are those over REST; nested maps are joined by dots, lists by commas. Any thread.
 */
#ifndef RC_CLI_PIPELINE_H
#define RC_CLI_PIPELINE_H

#include "config/options.h"
#include "config/yaml.h"

#define RC_PIPELINE_NAME_MAX 64

/** Where a key was written; for messages. */
typedef struct rc_pipeline_origin {
    const char *section; /**< "source", "sink", "worker" */
    const char *key;     /**< As in the connector's configuration. */
    int line, column;    /**< 0 = --set */
} rc_pipeline_origin;

typedef struct rc_pipeline {
    const char *file;
    const char *name;
    const char *topic;
    const char *source_name, *sink_name; /**< Of the connectors. */
    const omc_keyvalue *source;          /**< Complete configurations. */
    const omc_keyvalue *sink;
    const omc_keyvalue *worker; /**< Keys of the worker: log.dir, log.keep.*, --set worker.* */
    const char *state_dir;      /**< "<name>.rc" */
    const char *log_dir;        /**< log.dir, else <state_dir>/log */
    const rc_pipeline_origin *origins;
    size_t origin_count;
} rc_pipeline;

/**
 * Builds a pipeline from a parsed document.
 * @param file  Name in messages, and name of a pipeline without `name` (its base name).
 * @param sets  "section.key=value" pairs that override the file; NULL-terminated, may be NULL.
 * @return 0, or -OMC_EINVAL with every problem, one a line, in `problems` and `err`.
 */
int rc_pipeline_build(const char *file, const rc_yaml *root, const char *const *sets,
                      omc_arena *arena, rc_pipeline *ret, rc_problems *problems, rc_error *err);
/** Reads a file and builds it. */
int rc_pipeline_load(const char *file, const char *const *sets, omc_arena *arena, rc_pipeline *ret,
                     rc_problems *problems, rc_error *err);

/** "copy.yaml:5:3" where `key` of a section was written; the file's name for keys that were not. */
const char *rc_pipeline_where(const rc_pipeline *pipeline, const char *section, const char *key,
                              omc_arena *arena);

#endif
