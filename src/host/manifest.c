/* SPDX-License-Identifier: Apache-2.0 */
/* `connector.json`: how a host is started, and what is in it. */
#include "host/foreign_impl.h"

#include "base/file.h"
#include "base/units.h"

#include <jansson.h>

#define MANIFEST_MAX ((size_t)1 << 20)
#define WORDS_MAX 256

typedef struct manifest {
    rc_hosts *hosts;
    rc_foreign_place *place;
    const char *folder;
    omc_arena *arena;
    rc_error *err;
} manifest;

static const char *keep(const manifest *m, const json_t *value, const char *fallback)
{
    const char *text = json_string_value(value);

    return text ? omc_copy(m->arena, text, strlen(text)) : fallback;
}

/* ---- the command ---------------------------------------------------------------------------- */

static int read_command(const manifest *m, const json_t *root)
{
    const json_t *list = json_object_get(root, "command");
    size_t count = json_array_size(list);
    const char **argv = omc_alloc0(m->arena, (WORDS_MAX + 1) * sizeof *argv);

    if (count == 0 || count > WORDS_MAX)
        return rc_fail(m->err, OMC_EINVAL,
                       "'command' must be a list of 1 to %d words: the program and its arguments",
                       WORDS_MAX);
    for (size_t i = 0; i < count; i++) {
        argv[i] = keep(m, json_array_get(list, i), NULL);
        if (!argv[i])
            return rc_fail(m->err, OMC_EINVAL, "'command' has a word that is no string");
    }
    m->place->launcher.process.argv = argv;
    return 0;
}

static int read_env(const manifest *m, json_t *root)
{
    json_t *env = json_object_get(root, "env"), *value;
    size_t count = json_object_size(env), at = 0;
    const char **list, *key;

    if (count > 32)
        return rc_fail(m->err, OMC_EINVAL, "'env' may have 32 variables");
    list = omc_alloc0(m->arena, (count + 1) * sizeof *list);
    json_object_foreach(env, key, value)
    {
        if (!json_is_string(value))
            return rc_fail(m->err, OMC_EINVAL, "'env': '%s' must be a string", key);
        list[at++] = rc_arena_format(m->arena, "%s=%s", key, json_string_value(value));
    }
    m->place->launcher.process.env = list;
    return 0;
}

/* Its own limit, else the worker's. */
static int read_memory(const manifest *m, const json_t *root, const char *path)
{
    rc_process_spec *process = &m->place->launcher.process;
    const json_t *value = json_object_get(root, "memory.max");
    const char *text = json_string_value(value);

    process->resident_max = m->hosts->config.memory_max;
    process->resident_key = "host.memory.max";
    if (!value)
        return 0;
    process->resident_key = rc_arena_format(m->arena, "memory.max of %s", path);
    if (!text || rc_parse_size(omc_slice_str(text), &process->resident_max) < 0)
        return rc_fail(m->err, OMC_EINVAL,
                       "'memory.max' is %s%s%s, which is no size: write e.g. \"512MiB\", or \"0\" "
                       "for no limit",
                       text ? "'" : "", text ? text : "no string", text ? "'" : "");
    return 0;
}

static int check_protocol(const manifest *m, const json_t *root)
{
    const json_t *list = json_object_get(root, "protocol");

    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_integer_value(json_array_get(list, i)) == RC_WIRE_VERSION)
            return 0;
    if (!list)
        return 0;
    return rc_fail(m->err, OMC_EABI, "'protocol' must name version %d, which this worker speaks",
                   RC_WIRE_VERSION);
}

/* ---- plugins -------------------------------------------------------------------------------- */

static omc_option_type type_of(const char *name)
{
    for (int type = OMC_OPT_STRING; type <= OMC_OPT_REGEX; type++)
        if (strcmp(rc_option_type_name((omc_option_type)type), name) == 0)
            return (omc_option_type)type;
    return OMC_OPT_STRING;
}

static int read_options(const manifest *m, const json_t *list, rc_host_plugin *told)
{
    size_t count = json_array_size(list);
    omc_option *options = omc_alloc0(m->arena, (count + 1) * sizeof *options);

    if (count > 1000)
        return rc_fail(m->err, OMC_EINVAL, "plugin '%s' has more than 1000 options",
                       told->class_name);
    for (size_t i = 0; i < count; i++) {
        const json_t *row = json_array_get(list, i);

        options[i].name = keep(m, json_object_get(row, "name"), "");
        options[i].type = type_of(keep(m, json_object_get(row, "type"), "string"));
        options[i].flags = json_is_true(json_object_get(row, "required")) ? OMC_OPT_REQUIRED : 0;
        options[i].default_value = keep(m, json_object_get(row, "default"), NULL);
        options[i].offset = OMC_OPT_NOT_STORED;
        options[i].doc = keep(m, json_object_get(row, "doc"), "");
        options[i].min = json_integer_value(json_object_get(row, "min"));
        options[i].max = json_integer_value(json_object_get(row, "max"));
        options[i].choices = keep(m, json_object_get(row, "choices"), NULL);
    }
    told->options = count ? options : NULL;
    told->option_count = count;
    return 0;
}

static uint32_t flags_of(const json_t *list)
{
    uint32_t flags = 0;

    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *word = json_string_value(json_array_get(list, i));

        if (word && strcmp(word, "replays") == 0)
            flags |= OMC_SOURCE_REPLAYS;
        if (word && strcmp(word, "exactly-once") == 0)
            flags |= OMC_SOURCE_EXACTLY_ONCE;
        if (word && strcmp(word, "any-key") == 0)
            flags |= RC_HOST_PLUGIN_ANY_KEY;
    }
    return flags;
}

static int read_plugin(const manifest *m, const json_t *one, const omc_plugin **ret)
{
    const char *kind = json_string_value(json_object_get(one, "kind"));
    rc_host_plugin told = {.location = m->folder};
    int r;

    for (unsigned i = OMC_SOURCE; kind && i <= OMC_CONVERTER; i++)
        if (strcmp(rc_plugin_kind_name(i), kind) == 0)
            told.kind = (uint8_t)i;
    told.class_name = keep(m, json_object_get(one, "class"), "");
    told.version = keep(m, json_object_get(one, "version"), "undefined");
    told.doc = keep(m, json_object_get(one, "doc"), "");
    told.flags = flags_of(json_object_get(one, "flags"));
    if (!told.kind || !*told.class_name)
        return rc_fail(
            m->err, OMC_EINVAL,
            "'plugins': each needs a 'class' and a 'kind': source, sink, transform, predicate "
            "or converter");
    r = read_options(m, json_object_get(one, "options"), &told);
    if (r == 0)
        *ret = rc_foreign_plugin(m->hosts, m->place, &told);
    return r;
}

static int read_plugins(const manifest *m, const json_t *list)
{
    size_t count = json_array_size(list);
    int r = 0;

    if (count == 0 || count > 256)
        return rc_fail(m->err, OMC_EINVAL, "'plugins' must be a list of 1 to 256 plugins");
    m->place->plugins = omc_alloc0(m->arena, (count + 1) * sizeof(const omc_plugin *));
    for (size_t i = 0; i < count && r == 0; i++)
        r = read_plugin(m, json_array_get(list, i), &m->place->plugins[i]);
    m->place->count = r == 0 ? count : 0;
    return r;
}

/* ---- the file ------------------------------------------------------------------------------- */

static int read_all(const manifest *m, json_t *root, const char *path)
{
    const json_t *plugins = json_object_get(root, "plugins");
    int r = check_protocol(m, root);

    m->place->launcher.name = omc_copy(m->arena, path, strlen(path));
    m->place->launcher.process.dir = m->folder;
    m->place->scanner = &m->place->launcher;
    if (r == 0)
        r = read_command(m, root);
    if (r == 0)
        r = read_env(m, root);
    if (r == 0)
        r = read_memory(m, root, path);
    if (r < 0)
        return r;
    return plugins ? read_plugins(m, plugins)
                   : rc_foreign_scan(m->hosts, m->place, m->folder, m->err);
}

int rc_foreign_manifest(rc_hosts *hosts, rc_foreign_place *place, const char *path, rc_error *err)
{
    omc_arena *arena = &place->arena.pub;
    const manifest m = {.hosts = hosts,
                        .place = place,
                        .folder =
                            omc_copy(arena, path, strlen(path) - strlen("/" RC_MANIFEST_NAME)),
                        .arena = arena,
                        .err = err};
    RC_AUTO_FREE char *text = NULL;
    json_error_t where;
    json_t *root;
    size_t len;
    int r = rc_file_read(path, MANIFEST_MAX, &text, &len, err);

    if (r < 0)
        return r;
    root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &where);
    if (!json_is_object(root))
        r = rc_fail(err, OMC_EFORMAT, "line %d, column %d: %s", where.line, where.column,
                    root ? "must be an object" : where.text);
    else
        r = read_all(&m, root, path);
    json_decref(root);
    return r;
}
