/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Running converters, and the chain of transforms of one task, made from a connector's
 * configuration. One instance per task; used on the task's thread only.
 *
 * Keys: `key.converter`, `value.converter` (+ `key.converter.<k>`), `transforms` (list of names),
 * `transforms.<name>.class` (or `.type`), `transforms.<name>.<k>`, `transforms.<name>.predicate`,
 * `transforms.<name>.negate`, `predicates`, `predicates.<name>.class` (or `.type`),
 * `predicates.<name>.<k>`. A part that cannot be set up fails with the reason; nothing is skipped.
 */
#ifndef RC_INSTANCE_H
#define RC_INSTANCE_H

#include "config/options.h"

#include <openmessaging/connect/plugin.h>

/** Finds a plugin by kind and name, class or alias; NULL when there is none. */
typedef const omc_plugin *rc_find_plugin(void *arg, omc_plugin_kind kind, const char *name);
typedef struct rc_plugin_finder {
    rc_find_plugin *find;
    void *arg;
} rc_plugin_finder;

/** What to do when the class of a converter, transform or predicate was not found; "" for names
 *  that are no class of Java. Static text that begins with ". ". */
const char *rc_java_advice(const char *class_name);

typedef struct rc_converter rc_converter;

/** @param class_name  E.g. "org.apache.rocketmq.connect.runtime.converter.record.StringConverter"
 *  @param prefix      "value.converter.": keys of `config` under it are the converter's. */
int rc_converter_new(const rc_plugin_finder *finder, const char *class_name, bool is_key,
                     const char *prefix, const omc_keyvalue *config, rc_converter **ret,
                     rc_error *err);
void rc_converter_free(rc_converter *converter);
const char *rc_converter_class(const rc_converter *converter);
/** See omc_converter_ops. */
int rc_converter_write(rc_converter *converter, const char *topic, const omc_keyvalue *extensions,
                       const omc_schema *schema, const omc_value *value, omc_arena *arena,
                       rc_slice *ret, rc_error *err);
int rc_converter_read(rc_converter *converter, const char *topic, const omc_keyvalue *extensions,
                      rc_slice bytes, omc_arena *arena, const omc_schema **ret_schema,
                      omc_value *ret_value, rc_error *err);

typedef struct rc_chain rc_chain;

/** Builds the chain; an empty `transforms` gives an empty chain. */
int rc_chain_new(const rc_plugin_finder *finder, const omc_keyvalue *config, rc_chain **ret,
                 rc_error *err);
/** Checks all keys without building; adds every problem. Tells which keys are the chain's. */
void rc_chain_check(const rc_plugin_finder *finder, const omc_keyvalue *config,
                    rc_problems *problems);
/** After every batch that passed through it: their records may point to its schemas. */
void rc_chain_free(rc_chain *chain);
size_t rc_chain_length(const rc_chain *chain);
/** Name and class of step `i`, for errors and views. */
const char *rc_chain_name(const rc_chain *chain, size_t i);
const char *rc_chain_class(const rc_chain *chain, size_t i);
/**
 * Applies step `i` alone (its predicate first), so that the caller can retry and report by step.
 * @return 0 = keep, OMC_DROP = dropped, or an error.
 */
int rc_chain_apply(rc_chain *chain, size_t i, omc_record *record, omc_arena *arena, rc_error *err);

RC_DEFINE_CLEANUP(rc_converter, rc_converter_free)
RC_DEFINE_CLEANUP(rc_chain, rc_chain_free)

#endif
