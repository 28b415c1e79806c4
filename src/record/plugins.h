/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The converters, transforms and predicates that come with the runtime, as ordinary plugins of
 * the connector ABI, under our names and the Java runtime's class names.
 */
#ifndef RC_RECORD_PLUGINS_H
#define RC_RECORD_PLUGINS_H

#include <openmessaging/connect/plugin.h>

/** NULL-terminated. */
extern const omc_plugin *const rc_converter_plugins[];
extern const omc_plugin *const rc_transform_plugins[];
extern const omc_plugin *const rc_predicate_plugins[];

#endif
