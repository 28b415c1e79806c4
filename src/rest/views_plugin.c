/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Option tables as Kafka Connect shows them: ConfigKeyInfo for "what can be set" and ConfigInfos
 * for "what is wrong with this configuration".
 */
#include "rest/views.h"

const omc_plugin *view_find_plugin(rc_registry *registry, const char *name)
{
    static const omc_plugin_kind kinds[] = {OMC_SOURCE, OMC_SINK, OMC_TRANSFORM, OMC_PREDICATE,
                                            OMC_CONVERTER};

    for (size_t i = 0; i < RC_COUNT(kinds); i++) {
        const omc_plugin *plugin = rc_registry_find(registry, kinds[i], name);

        if (plugin)
            return plugin;
    }
    return NULL;
}

/* Tables that apply to a plugin; without one (class unknown) there are none. */
static size_t tables_of(const omc_plugin *plugin, rc_option_table tables[2])
{
    if (!plugin)
        return 0;
    if (plugin->kind == OMC_SOURCE || plugin->kind == OMC_SINK)
        return rc_connector_tables(plugin, tables);
    tables[0] = rc_plugin_table(plugin);
    return 1;
}

/* Durations and sizes are text with a unit, so they are strings to Kafka's clients. */
static const char *kafka_option_type(omc_option_type type)
{
    switch (type) {
    case OMC_OPT_BOOLEAN:
        return "BOOLEAN";
    case OMC_OPT_INT:
        return "LONG";
    case OMC_OPT_DOUBLE:
        return "DOUBLE";
    case OMC_OPT_LIST:
        return "LIST";
    case OMC_OPT_PASSWORD:
        return "PASSWORD";
    case OMC_OPT_CLASS:
        return "CLASS";
    default:
        return "STRING";
    }
}

static const char *importance_of(const omc_option *o)
{
    if (o->flags & OMC_OPT_REQUIRED)
        return "HIGH";
    return o->flags & (OMC_OPT_IGNORED | OMC_OPT_DEPRECATED) ? "LOW" : "MEDIUM";
}

static const char *group_of(const omc_plugin *plugin, const rc_option_table *table)
{
    return table->rows == plugin->options ? plugin->name : "Common";
}

static json_t *key_info(const omc_option *o, const char *group, int order)
{
    return json_pack("{s:s,s:s,s:b,s:o,s:s,s:o,s:s,s:s,s:s,s:[],s:i}", "name", o->name, "type",
                     kafka_option_type(o->type), "required", (int)(o->flags & OMC_OPT_REQUIRED),
                     "default_value", view_str(o->default_value), "importance", importance_of(o),
                     "documentation", view_str(o->doc), "group", group, "width", "MEDIUM",
                     "display_name", o->name, "dependents", "order", order);
}

json_t *view_config_keys(const omc_plugin *plugin)
{
    rc_option_table tables[2];
    size_t count = tables_of(plugin, tables);
    json_t *keys = json_array();
    int order = 0;

    for (size_t t = 0; t < count; t++)
        for (size_t i = 0; i < tables[t].count; i++) {
            omc_option o = rc_option_at(&tables[t], i);

            (void)json_array_append_new(keys, key_info(&o, group_of(plugin, &tables[t]), ++order));
        }
    return keys;
}

/* ---- ConfigInfos ---------------------------------------------------------------------------- */

/* True when `key` is the option's name or one of its aliases ("a,b"). */
static bool answers_to(const omc_option *o, rc_slice key)
{
    const char *at = o->aliases;

    if (omc_slice_is(key, o->name))
        return true;
    while (at && *at) {
        size_t len = strcspn(at, ",");

        if (omc_slice_eq(key, omc_slice_of(at, len)))
            return true;
        at += len + (at[len] == ',');
    }
    return false;
}

static json_t *value_of(const omc_option *o, const omc_keyvalue *config,
                        const rc_option_table *table)
{
    for (size_t i = 0; config && i < config->count; i++)
        if (answers_to(o, config->pairs[i].key))
            return rc_option_secret(table, 1, config->pairs[i].key)
                       ? json_string(RC_SECRET_MASK)
                       : view_text(config->pairs[i].value);
    return view_str(o->default_value);
}

static json_t *choices_of(const omc_option *o)
{
    json_t *list = json_array();

    for (const char *at = o->choices; at && *at;) {
        size_t len = strcspn(at, "|");

        (void)json_array_append_new(list, json_stringn(at, len));
        at += len + (at[len] == '|');
    }
    return list;
}

/* Texts of the errors of one option; each problem is counted once through `used`. */
static json_t *errors_of(const omc_option *o, const rc_problem *problems, size_t count, bool *used)
{
    json_t *errors = json_array();

    for (size_t i = 0; i < count; i++)
        if (!problems[i].warning && !used[i] && answers_to(o, omc_slice_str(problems[i].key))) {
            used[i] = true;
            (void)json_array_append_new(errors, view_str(problems[i].text));
        }
    return errors;
}

static json_t *config_info(json_t *definition, const char *name, json_t *value, json_t *recommended,
                           json_t *errors)
{
    return json_pack("{s:o,s:{s:o,s:o,s:o,s:o,s:b}}", "definition", definition, "value", "name",
                     view_str(name), "value", value, "recommended_values", recommended, "errors",
                     errors, "visible", 1);
}

static void add_table(json_t *configs, const omc_plugin *plugin, const rc_option_table *table,
                      const omc_keyvalue *config, const rc_problem *problems, size_t count,
                      bool *used)
{
    for (size_t i = 0; i < table->count; i++) {
        omc_option o = rc_option_at(table, i);
        json_t *definition =
            key_info(&o, group_of(plugin, table), (int)json_array_size(configs) + 1);

        (void)json_array_append_new(configs,
                                    config_info(definition, o.name, value_of(&o, config, table),
                                                choices_of(&o),
                                                errors_of(&o, problems, count, used)));
    }
}

/* Problems with keys that are in no table: shown like Kafka does, without a definition. */
static void add_strangers(json_t *configs, const rc_problem *problems, size_t count,
                          const bool *used)
{
    for (size_t i = 0; i < count; i++)
        if (!problems[i].warning && !used[i])
            (void)json_array_append_new(configs,
                                        config_info(json_null(), problems[i].key,
                                                    view_str(problems[i].value), json_array(),
                                                    json_pack("[o]", view_str(problems[i].text))));
}

json_t *view_config_infos(const omc_plugin *plugin, const char *name, const omc_keyvalue *config,
                          const rc_problem *problems, size_t problem_count)
{
    RC_AUTO_FREE bool *used = rc_calloc(problem_count + 1, sizeof *used);
    rc_option_table tables[2];
    size_t count = tables_of(plugin, tables);
    json_t *configs = json_array();
    json_t *groups = json_array();
    int errors = 0;

    for (size_t t = 0; t < count; t++) {
        (void)json_array_append_new(groups, json_string(group_of(plugin, &tables[t])));
        add_table(configs, plugin, &tables[t], config, problems, problem_count, used);
    }
    add_strangers(configs, problems, problem_count, used);
    for (size_t i = 0; i < problem_count; i++)
        errors += !problems[i].warning;
    return json_pack("{s:o,s:i,s:o,s:o}", "name", view_str(name), "error_count", errors, "groups",
                     groups, "configs", configs);
}

json_t *view_validate_own(const omc_plugin *plugin, const omc_keyvalue *config, omc_arena *arena)
{
    rc_option_table table = rc_plugin_table(plugin);
    rc_problems problems;

    rc_problems_init(&problems, arena);
    if (table.count) /* Without a table any key is accepted. */
        (void)rc_options_parse(&table, 1, config, RC_OPTIONS_STRICT, NULL, arena, &problems);
    return view_config_infos(plugin, rc_plugin_class(plugin, arena), config, problems.items,
                             problems.count);
}
