/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Plugins that live in a host, as the worker sees them: ordinary omc_plugins whose functions talk
 * to the host. What they share is one descriptor, `omc_plugin.data`.
 */
#ifndef RC_HOSTED_H
#define RC_HOSTED_H

#include "host/hosts.h"

/** Where a hosted plugin is. Lives as long as the plugin. */
typedef struct rc_hosted {
    rc_hosts *hosts;
    const rc_launcher *launcher;
    unsigned kind;
    const char *class_name, *location; /**< As the host knows them. */
} rc_hosted;

/** Function tables for hosted plugins; `flags` of a copy say what the plugin can. */
extern const omc_source_ops rc_hosted_source_ops;
extern const omc_sink_ops rc_hosted_sink_ops;
extern const omc_transform_ops rc_hosted_transform_ops;
extern const omc_predicate_ops rc_hosted_predicate_ops;
extern const omc_converter_ops rc_hosted_converter_ops;

/**
 * A plugin that runs `native` in a process of its own: same name, options and texts.
 * @param location  "built in" or the file.
 * @return a plugin that lives as long as the hosts; the same one for the same native. A hosted
 * plugin is returned as it is. NULL for kinds that cannot be isolated.
 */
const omc_plugin *rc_hosted_isolate(rc_hosts *hosts, const omc_plugin *native,
                                    const char *location);

#endif
