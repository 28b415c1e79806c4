/* SPDX-License-Identifier: Apache-2.0 */
/**
 * From a plugin as its author declared it to one the runtime can use: every size, name, function
 * and option row is checked, and what remains is copied into structs of *our* header, zero where
 * the plugin's header had less. After this nobody asks for sizes any more. Any thread.
 */
#ifndef RC_PLUGIN_CHECK_H
#define RC_PLUGIN_CHECK_H

#include "config/options.h"

#include <openmessaging/connect/plugin.h>

/* Bounds of what a plugin may declare; anything beyond is a mistake or a wrong header. */
#define RC_PLUGIN_NAME_MAX 64
#define RC_PLUGIN_CLASSES_MAX 1024
#define RC_PLUGIN_TEXT_MAX 4096
#define RC_PLUGIN_OPTIONS_MAX 1000
#define RC_PLUGIN_OPTIONS_BYTES_MAX ((size_t)1 << 20)
#define RC_PLUGIN_STATE_MAX ((size_t)16 << 20)

/** A checked plugin; `plugin.ops` points to the table beside it. Strings stay the plugin's. */
typedef struct rc_checked_plugin {
    omc_plugin plugin;
    union {
        omc_source_ops source;
        omc_sink_ops sink;
        omc_transform_ops transform;
        omc_predicate_ops predicate;
        omc_converter_ops converter;
    } ops;
} rc_checked_plugin;

/**
 * Checks `given` and fills `ret`, which must not move afterwards.
 * @return 0; -OMC_EABI for another ABI or a wrong size; -OMC_EINVAL for a mistake in the plugin.
 *         The message names the plugin, what is wrong and the cure.
 */
int rc_plugin_check(const omc_plugin *given, rc_checked_plugin *ret, rc_error *err);

/** The rows of an option table; part of rc_plugin_check(). */
int rc_plugin_check_options(const omc_plugin *plugin, rc_error *err);

/** Calls `each` with every class of `classes` ("a.B, c.D"), blanks trimmed, until non-zero. */
typedef int rc_class_fn(void *arg, rc_slice class_name);
int rc_plugin_each_class(const char *classes, rc_class_fn *each, void *arg);

#endif
