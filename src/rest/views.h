/* SPDX-License-Identifier: Apache-2.0 */
/**
 * JSON of connectors, tasks and plugins, as jansson trees with the members in the order clients
 * have seen. Two families: the Java runtime's (java_*) and Kafka Connect's (kafka_*).
 * Any thread.
 */
#ifndef RC_REST_VIEWS_H
#define RC_REST_VIEWS_H

#include "rest/exchange.h"

#include <jansson.h>

/** A string; bytes that are not UTF-8 become U+FFFD, as jansson would refuse them. */
json_t *view_text(rc_slice text);
json_t *view_str(const char *text); /**< NULL gives null. */
json_t *view_config(const omc_keyvalue *config);

json_t *view_java_status(const rc_connector_view *c, const char *worker_id);
json_t *view_java_info(const rc_connector_view *c);
json_t *view_java_tasks(const rc_connector_view *c);
json_t *view_java_task(const rc_task_view *task, const char *worker_id);
const char *view_java_type(unsigned kind); /**< SOURCE SINK UNKNOWN */

json_t *view_kafka_info(const rc_connector_view *c);
json_t *view_kafka_status(const rc_connector_view *c, const char *worker_id);
json_t *view_kafka_tasks(const rc_connector_view *c);
json_t *view_kafka_task(const rc_task_view *task, const char *worker_id);

/** [ConfigKeyInfo] of a plugin with the keys the runtime reads. */
json_t *view_config_keys(const omc_plugin *plugin);
/** ConfigInfos: every key with its value and what is wrong with it. `plugin` may be NULL. */
json_t *view_config_infos(const omc_plugin *plugin, const char *name, const omc_keyvalue *config,
                          const rc_problem *problems, size_t problem_count);

/** ConfigInfos of a plugin that is no connector: only its own keys are checked, here. */
json_t *view_validate_own(const omc_plugin *plugin, const omc_keyvalue *config, omc_arena *arena);

/** A plugin of any kind by name, class or alias; NULL = none. */
const omc_plugin *view_find_plugin(rc_registry *registry, const char *name);

#endif
