/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One running converter: the plugin's functions, its checked options and its state. Writing and
 * reading happen per record, so they are one indirect call and nothing else.
 */
#include "record/instance.h"

#include "base/arena.h"

struct rc_converter {
    omc_converter_ops ops; /* Complete: members an older plugin lacks are NULL. */
    void *state;
    bool started;
    char *class_name;
    rc_arena arena; /* Options and configuration: valid until stop returned. */
    omc_config config;
};

/** Pairs of `config` whose key begins with `prefix`, without it. */
static const omc_keyvalue *under_prefix(const omc_keyvalue *config, const char *prefix,
                                        omc_arena *arena)
{
    size_t len = strlen(prefix);
    rc_kv kv;

    rc_kv_init(&kv, arena);
    for (size_t i = 0; config && i < config->count; i++) {
        rc_slice key = config->pairs[i].key;

        if (key.len > len && memcmp(key.base, prefix, len) == 0)
            rc_kv_put(&kv, omc_slice_of(key.base + len, key.len - len), config->pairs[i].value);
    }
    return rc_kv_done(&kv);
}

/** Fills the options struct. */
static int parse_options(rc_converter *converter, const omc_plugin *plugin, rc_error *err)
{
    omc_arena *arena = &converter->arena.pub;
    rc_option_table table = {plugin->options, plugin->option_count, plugin->option_size,
                             plugin->options_size};
    void *options = omc_alloc0(arena, plugin->options_size);
    rc_problems problems;

    rc_problems_init(&problems, arena);
    (void)rc_options_parse(&table, 1, converter->config.raw,
                           plugin->flags & OMC_PLUGIN_ANY_KEY ? 0 : RC_OPTIONS_STRICT, &options,
                           arena, &problems);
    converter->config.options = options;
    return rc_problems_fail(&problems, err);
}

/** Copies what the plugin's header knew of the functions. */
static int copy_ops(rc_converter *converter, const omc_plugin *plugin, rc_error *err)
{
    const omc_converter_ops *ops = plugin->ops;

    if (ops)
        memcpy(&converter->ops, ops, RC_MIN((size_t)ops->size, sizeof converter->ops));
    if (!converter->ops.from_connect || !converter->ops.to_connect)
        return rc_fail(err, OMC_EABI,
                       "converter '%s' lacks from_connect or to_connect; build it again with the "
                       "header of this runtime",
                       plugin->name);
    return 0;
}

static int start(rc_converter *converter, const omc_plugin *plugin, bool is_key, const char *prefix,
                 const omc_keyvalue *config, rc_error *err)
{
    int r = copy_ops(converter, plugin, err);

    if (r < 0)
        return r;
    converter->config.size = sizeof converter->config;
    converter->config.plugin = plugin;
    converter->config.raw = under_prefix(config, prefix, &converter->arena.pub);
    if (plugin->options) {
        r = parse_options(converter, plugin, err);
        if (r < 0)
            return r;
    }
    converter->state = rc_calloc(1, RC_MAX(converter->ops.state_size, (size_t)1));
    converter->started = true; /* stop() follows a failed start, too. */
    return converter->ops.start
               ? converter->ops.start(converter->state, &converter->config, is_key, err)
               : 0;
}

const char *rc_java_advice(const char *class_name)
{
    return strchr(class_name, '.')
               ? ". If it is a class of Java, put its jar, and those it needs, into a folder of "
                 "the worker's pluginPaths (docs/java-connectors.md), and see the list of plugins "
                 "for files that were refused"
               : "";
}

/** "value.converter." -> "value.converter", the key that names the class. */
static int key_len(const char *prefix)
{
    size_t len = strlen(prefix);

    return (int)(len && prefix[len - 1] == '.' ? len - 1 : len);
}

int rc_converter_new(const rc_plugin_finder *finder, const char *class_name, bool is_key,
                     const char *prefix, const omc_keyvalue *config, rc_converter **ret,
                     rc_error *err)
{
    RC_AUTO(rc_converter) converter = NULL;
    const omc_plugin *plugin = finder->find(finder->arg, OMC_CONVERTER, class_name);
    int r;

    if (!plugin)
        return rc_fail(err, OMC_EINVAL,
                       "key '%.*s' = '%s': there is no such converter; built in are string, "
                       "bytes, json, int16, int32, int64, float32, float64 and the Java class "
                       "names of these%s",
                       key_len(prefix), prefix, class_name, rc_java_advice(class_name));
    converter = rc_calloc(1, sizeof *converter);
    rc_arena_init(&converter->arena, 4096);
    converter->class_name = rc_strdup(class_name);
    r = start(converter, plugin, is_key, prefix, config, err);
    if (r < 0)
        return rc_wrap(err, r, "converter '%s' (keys %s*)", class_name, prefix);
    *ret = RC_TAKE(converter);
    return 0;
}

void rc_converter_free(rc_converter *converter)
{
    if (!converter)
        return;
    if (converter->started && converter->ops.stop)
        converter->ops.stop(converter->state);
    free(converter->state);
    free(converter->class_name);
    rc_arena_release(&converter->arena);
    free(converter);
}

const char *rc_converter_class(const rc_converter *converter)
{
    return converter->class_name;
}

int rc_converter_write(rc_converter *converter, const char *topic, const omc_keyvalue *extensions,
                       const omc_schema *schema, const omc_value *value, omc_arena *arena,
                       rc_slice *ret, rc_error *err)
{
    return converter->ops.from_connect(converter->state, topic, extensions, schema, value, arena,
                                       ret, err);
}

int rc_converter_read(rc_converter *converter, const char *topic, const omc_keyvalue *extensions,
                      rc_slice bytes, omc_arena *arena, const omc_schema **ret_schema,
                      omc_value *ret_value, rc_error *err)
{
    return converter->ops.to_connect(converter->state, topic, extensions, bytes, arena, ret_schema,
                                     ret_value, err);
}
