/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what a host or a manifest says of its plugins to omc_plugins. What they say is bounded and
 * checked like any plugin's words; an option table that does not hold up is left out, and the
 * plugin takes any key then, as Java's do.
 */
#include "host/foreign_impl.h"

#include "base/diag.h"
#include "base/encode.h"
#include "base/file.h"
#include "plugin/check.h"

#include <dirent.h>
#include <sys/stat.h>
#include <utlist.h>

#define PLUGINS_MAX 10000
#define DEPTH_MAX 3

/* ---- what is ours --------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n > m && strcmp(text + n - m, end) == 0;
}

static bool is_archive(const char *path)
{
    return ends_with(path, ".jar") || ends_with(path, ".zip");
}

static bool is_manifest(const char *path)
{
    return ends_with(path, "/" RC_MANIFEST_NAME);
}

static bool is_folder(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* What a folder holds itself. */
typedef struct holdings {
    bool archives, native, manifest, folders;
} holdings;

static holdings look_into(const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *d;
    holdings h = {0};

    while (dir && (d = readdir(dir))) {
        h.archives |= is_archive(d->d_name);
        h.native |= ends_with(d->d_name, ".so");
        h.manifest |= strcmp(d->d_name, RC_MANIFEST_NAME) == 0;
        h.folders |= d->d_type != DT_REG;
    }
    if (dir)
        (void)closedir(dir);
    return h;
}

/* A folder that holds archives, itself or in folders below (NAME/lib/X.jar), is one place with one
 * class loader. One with a manifest or native plugins is theirs with all that is below. */
static bool holds_archives(const char *path, int depth)
{
    const holdings h = look_into(path);
    const struct dirent *d;
    bool found = false;
    DIR *dir;

    if (h.manifest || h.archives || h.native || !h.folders || depth == DEPTH_MAX)
        return h.archives && !h.manifest;
    dir = opendir(path);
    while (dir && !found && (d = readdir(dir))) {
        RC_AUTO_FREE char *child = rc_path_join(path, d->d_name);

        found = d->d_name[0] != '.' && is_folder(child) && holds_archives(child, depth + 1);
    }
    if (dir)
        (void)closedir(dir);
    return found;
}

bool rc_foreign_wants(const char *path)
{
    return is_manifest(path) || is_archive(path) || (is_folder(path) && holds_archives(path, 0));
}

/* ---- places --------------------------------------------------------------------------------- */

void rc_foreign_free(rc_foreign_place *list)
{
    while (list) {
        rc_foreign_place *next = list->next;

        rc_arena_release(&list->arena);
        free(list);
        list = next;
    }
}

/* "org.x.MySource$Inner" -> "org-x-mysource-inner", at most 64 bytes. */
static const char *name_of(const char *class_name, omc_arena *arena)
{
    size_t len = strlen(class_name);
    char *name = omc_copy(arena, class_name, len);

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)name[i];

        name[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : (char)c;
        if (!((c >= '0' && c <= '9') || (name[i] >= 'a' && name[i] <= 'z')))
            name[i] = '-';
    }
    if (len > RC_PLUGIN_NAME_MAX || name[0] < 'a' || name[0] > 'z')
        name = rc_arena_format(arena, "x%08x-%s", rc_crc32c(0, class_name, len),
                               name + (len > 50 ? len - 50 : 0));
    return name;
}

static const char *cut(const char *text, size_t max, omc_arena *arena)
{
    size_t len = strlen(text);

    if (len <= max)
        return text;
    for (len = max; len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80;)
        len--;
    return omc_copy(arena, text, len);
}

typedef struct made {
    omc_plugin plugin;
    rc_hosted hosted;
    union {
        omc_source_ops source;
        omc_sink_ops sink;
        omc_transform_ops transform;
        omc_predicate_ops predicate;
        omc_converter_ops converter;
    } ops;
} made;

static void set_ops(made *m, const rc_host_plugin *told)
{
    switch (told->kind) {
    case OMC_SOURCE:
        m->ops.source = rc_hosted_source_ops;
        m->ops.source.flags = told->flags & (OMC_SOURCE_REPLAYS | OMC_SOURCE_EXACTLY_ONCE);
        break;
    case OMC_SINK:
        m->ops.sink = rc_hosted_sink_ops;
        break;
    case OMC_TRANSFORM:
        m->ops.transform = rc_hosted_transform_ops;
        break;
    case OMC_PREDICATE:
        m->ops.predicate = rc_hosted_predicate_ops;
        break;
    default:
        m->ops.converter = rc_hosted_converter_ops;
        break;
    }
    m->plugin.ops = &m->ops;
}

const omc_plugin *rc_foreign_plugin(rc_hosts *hosts, rc_foreign_place *place,
                                    const rc_host_plugin *told)
{
    omc_arena *arena = &place->arena.pub;
    made *m = omc_alloc0(arena, sizeof *m);
    rc_checked_plugin *checked;
    rc_error err = {0};

    if (told->kind < OMC_SOURCE || told->kind > OMC_CONVERTER)
        return NULL; /* of a later version */
    m->hosted = (rc_hosted){.hosts = hosts,
                            .launcher = &place->launcher,
                            .kind = told->kind,
                            .class_name = told->class_name,
                            .location = told->location};
    m->plugin = (omc_plugin){.abi = OMC_ABI_CURRENT,
                             .size = sizeof m->plugin,
                             .kind = told->kind,
                             .flags = told->flags & RC_HOST_PLUGIN_ANY_KEY ? OMC_PLUGIN_ANY_KEY : 0,
                             .name = name_of(told->class_name, arena),
                             .classes = told->class_name,
                             .version = cut(told->version, 64, arena),
                             .doc = cut(told->doc, RC_PLUGIN_TEXT_MAX, arena),
                             .options = told->options,
                             .option_count = (uint32_t)told->option_count,
                             .option_size = sizeof(omc_option),
                             .data = &m->hosted};
    set_ops(m, told);
    checked = rc_calloc(1, sizeof *checked);
    if (rc_plugin_check(&m->plugin, checked, &err) < 0 && m->plugin.options) {
        rc_debug("plugins", "%s: its options are not shown: %s", told->class_name, err.msg);
        m->plugin.options = NULL;
        m->plugin.option_count = 0;
    }
    free(checked);
    return &m->plugin;
}

/* ---- asking a host -------------------------------------------------------------------------- */

/* What the host could not use. When that is all there is, the first of it is the reason. */
static int read_refused(const rc_foreign_place *place, rc_wire_in *in, rc_error *err)
{
    uint32_t count = rc_in_count(in, 24, PLUGINS_MAX);
    bool nothing = place->count == 0;

    for (uint32_t i = 0; i < count && !in->fault; i++) {
        rc_refusal refusal = {.file = rc_in_name(in, 4096), .part = true};
        rc_wire_error error;

        rc_in_error(in, &error);
        if (in->fault)
            break;
        rc_wire_error_take(&error, &refusal.why);
        if (nothing && err->code == 0)
            *err = refusal.why;
        else
            place->refused(place->refused_arg, &refusal);
    }
    return err->code ? -err->code : 0;
}

static int read_plugins(rc_hosts *hosts, rc_foreign_place *place, const rc_frame *reply,
                        rc_error *err)
{
    rc_error why = {0};
    rc_wire_in in;
    uint32_t count;
    int r;

    rc_in_init(&in, rc_frame_payload(reply), &place->arena.pub);
    count = rc_in_count(&in, 4, PLUGINS_MAX);
    place->plugins = rc_in_alloc(&in, (size_t)count + 1, sizeof(const omc_plugin *));
    for (uint32_t i = 0; i < count && !in.fault; i++) {
        rc_host_plugin told;
        const omc_plugin *plugin;

        rc_in_plugin(&in, &told);
        plugin = in.fault ? NULL : rc_foreign_plugin(hosts, place, &told);
        if (plugin)
            place->plugins[place->count++] = plugin;
    }
    r = read_refused(place, &in, &why);
    if (in.fault)
        return rc_fail(err, OMC_EFORMAT, "the host's reply to SCAN is broken: %s", in.fault);
    if (r < 0) {
        *err = why;
        return r;
    }
    if (place->count == 0)
        return rc_fail(err, OMC_ENOTFOUND, "has no connector, transform, predicate or converter");
    return 0;
}

int rc_foreign_scan(rc_hosts *hosts, rc_foreign_place *place, const char *path, rc_error *err)
{
    const rc_channel_config setup = {.kind = RC_CHANNEL_CONTROL, .who = path};
    rc_buf out = RC_BUF(RC_WIRE_FIRST_MAX);
    RC_AUTO(rc_frame) reply = NULL;
    rc_session *session;
    rc_channel *channel;
    int r = rc_hosts_ask(hosts, place->scanner, RC_HOST_QUESTIONS, &session, err);

    if (r < 0)
        return r;
    r = rc_channel_open(session, &setup, &channel, err);
    rc_session_unref(session);
    if (r < 0)
        return r;
    rc_channel_begin(&out);
    rc_out_u32(&out, 1);
    rc_out_text(&out, path);
    r = rc_channel_call(channel, RC_FRAME_SCAN, "scan", hosts->config.scan_timeout_ms, &out, &reply,
                        err);
    if (r == 0)
        r = read_plugins(hosts, place, reply, err);
    rc_channel_close(channel);
    rc_buf_release(&out);
    return r;
}

/* ---- loading -------------------------------------------------------------------------------- */

int rc_foreign_load(rc_hosts *hosts, const char *path, rc_refused_fn *refused, void *refused_arg,
                    const omc_plugin *const **ret, rc_error *err)
{
    rc_foreign_place *place = rc_calloc(1, sizeof *place);
    int r;

    place->refused = refused;
    place->refused_arg = refused_arg;
    rc_arena_init(&place->arena, 4096);
    if (is_manifest(path)) {
        r = rc_foreign_manifest(hosts, place, path, err);
    } else {
        r = rc_hosts_java(hosts, err);
        place->launcher = hosts->java;
        place->scanner = &hosts->java;
        if (r == 0)
            r = rc_foreign_scan(hosts, place, path, err);
    }
    if (r < 0) {
        rc_foreign_free(place);
        return r;
    }
    pthread_mutex_lock(&hosts->mu);
    LL_PREPEND(hosts->places, place);
    pthread_mutex_unlock(&hosts->mu);
    *ret = place->plugins;
    return 0;
}
