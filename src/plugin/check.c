/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The checks of a plugin, in the order in which its bytes may be trusted: version and size first,
 * then the struct, then its function table, then its texts and options. The table `kinds` says
 * what a function table of each kind looks like; a new kind is one row.
 */
#include "plugin/check.h"

/** One required function: where its pointer stands, and its name for the message. */
typedef struct required {
    size_t offset;
    const char *name;
} required;

typedef struct kind_rule {
    const char *ops_name;
    size_t ops_size;  /**< sizeof in our header. */
    size_t head_size; /**< Size, flags and state sizes: there since 1.0. */
    required functions[2];
} kind_rule;

static const kind_rule kinds[] = {
    [OMC_SOURCE] = {"omc_source_ops",
                    sizeof(omc_source_ops),
                    offsetof(omc_source_ops, validate),
                    {{offsetof(omc_source_ops, poll), "poll"}}},
    [OMC_SINK] = {"omc_sink_ops",
                  sizeof(omc_sink_ops),
                  offsetof(omc_sink_ops, validate),
                  {{offsetof(omc_sink_ops, put), "put"}}},
    [OMC_TRANSFORM] = {"omc_transform_ops",
                       sizeof(omc_transform_ops),
                       offsetof(omc_transform_ops, start),
                       {{offsetof(omc_transform_ops, apply), "apply"}}},
    [OMC_PREDICATE] = {"omc_predicate_ops",
                       sizeof(omc_predicate_ops),
                       offsetof(omc_predicate_ops, start),
                       {{offsetof(omc_predicate_ops, test), "test"}}},
    [OMC_CONVERTER] = {"omc_converter_ops",
                       sizeof(omc_converter_ops),
                       offsetof(omc_converter_ops, start),
                       {{offsetof(omc_converter_ops, from_connect), "from_connect"},
                        {offsetof(omc_converter_ops, to_connect), "to_connect"}}},
};

/* sizeof(omc_plugin) of ABI 1.0, the least any plugin can have. */
#define PLUGIN_SIZE_1_0 (offsetof(omc_plugin, ops) + sizeof(void *))

/** Version and size: the only bytes that may be read before anything else is known. */
static int check_head(const omc_plugin *given, rc_error *err)
{
    unsigned major = given->abi >> 16, minor = given->abi & 0xffffu;

    if (major != OMC_ABI_MAJOR)
        return rc_fail(err, OMC_EABI, "built for ABI %u.%u, this worker offers %u.%u: %s", major,
                       minor, OMC_ABI_MAJOR, OMC_ABI_MINOR,
                       major > OMC_ABI_MAJOR
                           ? "update the worker, or rebuild the plugin with this worker's headers"
                           : "rebuild the plugin with this worker's headers");
    if (minor > OMC_ABI_MINOR)
        return rc_fail(err, OMC_EABI,
                       "built for ABI %u.%u, this worker offers %u.%u: update the worker or "
                       "rebuild the plugin with this worker's headers",
                       major, minor, OMC_ABI_MAJOR, OMC_ABI_MINOR);
    if (given->size < PLUGIN_SIZE_1_0 || given->size > sizeof(omc_plugin))
        return rc_fail(err, OMC_EABI,
                       "its omc_plugin says size %u, ABI %u.%u has %zu to %zu bytes: set .size = "
                       "sizeof(omc_plugin) and rebuild it with the headers of that ABI",
                       given->size, major, minor, PLUGIN_SIZE_1_0, sizeof(omc_plugin));
    return 0;
}

static bool plain_name(const char *name)
{
    size_t len = strnlen(name, RC_PLUGIN_NAME_MAX + 1);

    return len > 0 && len <= RC_PLUGIN_NAME_MAX && name[0] >= 'a' && name[0] <= 'z' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

static int check_class(void *arg, rc_slice class_name)
{
    (void)arg;
    if (class_name.len == 0 || class_name.len > 256)
        return 1;
    for (size_t i = 0; i < class_name.len; i++) {
        unsigned char c = (unsigned char)class_name.base[i];

        if (c <= ' ' || c >= 127 || strchr("/\\\"'<>{}()", c))
            return 1;
    }
    return 0;
}

int rc_plugin_each_class(const char *classes, rc_class_fn *each, void *arg)
{
    int r = 0;

    while (classes && *classes && r == 0) {
        size_t len = strcspn(classes, ",");
        const char *from = classes + strspn(classes, " \t"), *to = classes + len;

        from = RC_MIN(from, to);
        while (to > from && (to[-1] == ' ' || to[-1] == '\t'))
            to--;
        r = each(arg, omc_slice_of(from, (size_t)(to - from)));
        classes += len + (classes[len] == ',');
    }
    return r;
}

/** Texts people see; missing ones become empty so that nobody else has to ask. */
static int check_texts(omc_plugin *plugin, rc_error *err)
{
    if (!plugin->name || !plain_name(plugin->name))
        return rc_fail(err, OMC_EINVAL,
                       "plugin name '%.64s' must have 1 to %d of a-z, 0-9 and '-', and begin with "
                       "a letter",
                       plugin->name ? plugin->name : "", RC_PLUGIN_NAME_MAX);
    if (plugin->classes &&
        (strnlen(plugin->classes, RC_PLUGIN_CLASSES_MAX + 1) > RC_PLUGIN_CLASSES_MAX ||
         rc_plugin_each_class(plugin->classes, check_class, NULL)))
        return rc_fail(err, OMC_EINVAL,
                       "plugin %s: its classes '%.200s' are not a comma separated list of class "
                       "names (at most %d bytes)",
                       plugin->name, plugin->classes, RC_PLUGIN_CLASSES_MAX);
    if (!plugin->version)
        plugin->version = "undefined";
    if (!plugin->doc)
        plugin->doc = "";
    if (strnlen(plugin->version, 65) > 64 ||
        strnlen(plugin->doc, RC_PLUGIN_TEXT_MAX + 1) > RC_PLUGIN_TEXT_MAX)
        return rc_fail(err, OMC_EINVAL, "plugin %s: its version may have 64 bytes and its doc %d",
                       plugin->name, RC_PLUGIN_TEXT_MAX);
    return 0;
}

static bool has_function(const void *ops, size_t offset)
{
    uintptr_t bits;

    memcpy(&bits, (const char *)ops + offset, sizeof bits);
    return bits != 0;
}

/** Copies the function table, zero behind the plugin's own size, and asks for what is required. */
static int take_ops(const omc_plugin *given, rc_checked_plugin *ret, rc_error *err)
{
    const kind_rule *rule = &kinds[given->kind];
    uint32_t size;

    if (!given->ops)
        return rc_fail(err, OMC_EINVAL, "plugin %s: ops is NULL: point it to its %s", given->name,
                       rule->ops_name);
    if ((uintptr_t)given->ops % _Alignof(omc_source_ops))
        return rc_fail(err, OMC_EABI, "plugin %s: ops is not aligned: it is no %s", given->name,
                       rule->ops_name);
    memcpy(&size, given->ops, sizeof size);
    if (size < rule->head_size || size > rule->ops_size)
        return rc_fail(err, OMC_EABI,
                       "plugin %s: its %s says size %u, ABI %u.%u has %zu to %zu bytes: set .size "
                       "= sizeof(%s) and rebuild it with the headers of that ABI",
                       given->name, rule->ops_name, size, given->abi >> 16, given->abi & 0xffffu,
                       rule->head_size, rule->ops_size, rule->ops_name);
    memcpy(&ret->ops, given->ops, size);
    ret->plugin.ops = &ret->ops;
    for (size_t i = 0; i < RC_COUNT(rule->functions) && rule->functions[i].name; i++)
        if (!has_function(&ret->ops, rule->functions[i].offset))
            return rc_fail(err, OMC_EINVAL, "plugin %s: %s.%s is required and missing", given->name,
                           rule->ops_name, rule->functions[i].name);
    return 0;
}

static int check_state(const omc_plugin *plugin, const char *what, size_t bytes, rc_error *err)
{
    if (bytes <= RC_PLUGIN_STATE_MAX)
        return 0;
    return rc_fail(err, OMC_EINVAL,
                   "plugin %s: %s is %zu, at most %zu are allowed: allocate big "
                   "things in start",
                   plugin->name, what, bytes, RC_PLUGIN_STATE_MAX);
}

/** Rules within the function table of a source or a sink; both begin with the same members. */
static int check_connector_half(const omc_plugin *plugin, const omc_source_ops *ops, rc_error *err)
{
    int r = check_state(plugin, "connector_state_size", ops->connector_state_size, err);

    if (r == 0)
        r = check_state(plugin, "task_state_size", ops->task_state_size, err);
    if (r < 0)
        return r;
    if (ops->connector_state_size == 0 &&
        (ops->connector_start || ops->task_configs || ops->connector_stop))
        return rc_fail(err, OMC_EINVAL,
                       "plugin %s: it has connector functions but connector_state_size is 0, so "
                       "they would never be called: set the size of their state",
                       plugin->name);
    return 0;
}

static int check_states(const rc_checked_plugin *checked, rc_error *err)
{
    const omc_plugin *plugin = &checked->plugin;

    switch (plugin->kind) {
    case OMC_SOURCE:
    case OMC_SINK:
        /* Both tables begin with OMC_CONNECTOR_OPS. */
        return check_connector_half(plugin, &checked->ops.source, err);
    case OMC_TRANSFORM:
        return check_state(plugin, "state_size", checked->ops.transform.state_size, err);
    case OMC_PREDICATE:
        return check_state(plugin, "state_size", checked->ops.predicate.state_size, err);
    default:
        return check_state(plugin, "state_size", checked->ops.converter.state_size, err);
    }
}

int rc_plugin_check(const omc_plugin *given, rc_checked_plugin *ret, rc_error *err)
{
    int r;

    if ((uintptr_t)given % _Alignof(omc_plugin))
        return rc_fail(err, OMC_EABI,
                       "its table of plugins holds a pointer that is not aligned: "
                       "it is no omc_plugin");
    r = check_head(given, err);
    if (r < 0)
        return r;
    memset(ret, 0, sizeof *ret);
    memcpy(&ret->plugin, given, given->size);
    r = check_texts(&ret->plugin, err);
    if (r < 0)
        return r;
    if (ret->plugin.kind < OMC_SOURCE || ret->plugin.kind > OMC_CONVERTER)
        return rc_fail(err, OMC_EINVAL,
                       "plugin %s: kind %u is not known; there are source (1), sink (2), transform "
                       "(3), predicate (4), converter (5)",
                       ret->plugin.name, ret->plugin.kind);
    if ((r = take_ops(&ret->plugin, ret, err)) < 0 || (r = check_states(ret, err)) < 0)
        return r;
    return rc_plugin_check_options(&ret->plugin, err);
}
