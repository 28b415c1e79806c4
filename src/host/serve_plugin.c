/* SPDX-License-Identifier: Apache-2.0 */
/* Which plugins the native host has: those built in, and those of files it loads when asked. */
#include "base/diag.h"
#include "base/thread.h"
#include "host/serve_impl.h"

struct rc_served_library {
    struct rc_served_library *next;
    char *path;
    rc_library library;
};

typedef struct connector_ops {
    OMC_CONNECTOR_OPS;
} connector_ops;

static rc_server *the_server; /* for omc_host.log, which has no argument */

/* ---- services ------------------------------------------------------------------------------- */

static void host_log(omc_log_level level, const char *component, const char *fmt, va_list ap)
    OMC_PRINTF(3, 0);

static void host_log(omc_log_level level, const char *component, const char *fmt, va_list ap)
{
    rc_server_log(the_server, 0, level, component, fmt, ap);
}

void rc_served_host_init(rc_server *server)
{
    the_server = server;
    rc_plugin_host_log(host_log);
}

/* ---- finding -------------------------------------------------------------------------------- */

/* Under plugin_mu. */
static int open_library(rc_server *server, const char *path, const rc_library **ret, rc_error *err)
{
    struct rc_served_library *l;
    int r;

    for (l = server->libraries; l; l = l->next)
        if (strcmp(l->path, path) == 0) {
            *ret = &l->library;
            return 0;
        }
    l = rc_calloc(1, sizeof *l);
    r = rc_library_open(path, false, &l->library, err);
    if (r < 0) {
        free(l);
        return rc_wrap(err, r, "%s", path);
    }
    l->path = rc_strdup(path);
    l->next = server->libraries;
    server->libraries = l;
    *ret = &l->library;
    return 0;
}

static const omc_plugin *find_builtin(const rc_server *server, unsigned kind, const char *name)
{
    for (const omc_plugin *const *p = server->builtin; p && *p; p++)
        if ((*p)->kind == kind && strcmp((*p)->name, name) == 0)
            return *p;
    return NULL;
}

static int find_loaded(rc_server *server, unsigned kind, const char *name, const char *location,
                       const omc_plugin **ret, rc_error *err)
{
    const rc_library *library = NULL;
    int r;

    pthread_mutex_lock(&server->plugin_mu);
    r = open_library(server, location, &library, err);
    for (size_t i = 0; library && i < library->count; i++)
        if (library->plugins[i].plugin.kind == kind &&
            strcmp(library->plugins[i].plugin.name, name) == 0)
            *ret = &library->plugins[i].plugin;
    pthread_mutex_unlock(&server->plugin_mu);
    return r;
}

int rc_served_plugin(rc_server *server, unsigned kind, const char *name, const char *location,
                     const omc_plugin **ret, rc_error *err)
{
    int r = 0;

    *ret = NULL;
    if (*location)
        r = find_loaded(server, kind, name, location, ret, err);
    else
        *ret = find_builtin(server, kind, name);
    if (r < 0 || *ret)
        return r;
    return rc_fail(err, OMC_ENOTFOUND, "there is no plugin '%s' in '%s'", name,
                   *location ? location : "this program");
}

void rc_served_config(const omc_plugin *plugin, const omc_keyvalue *raw, omc_arena *arena,
                      omc_config *ret)
{
    const rc_option_table table = rc_plugin_table(plugin);
    rc_problems problems;
    void *options = omc_alloc0(arena, RC_MAX(table.options_size, (size_t)1));

    *ret = (omc_config){.size = sizeof *ret, .raw = raw, .plugin = plugin};
    if (!plugin->options)
        return;
    rc_problems_init(&problems, arena);
    (void)rc_options_parse(&table, 1, raw, 0, &options, arena, &problems); /* checked already */
    ret->options = options;
}

/* ---- VALIDATE and SCAN ---------------------------------------------------------------------- */

static int validate(rc_server *server, const rc_frame *f, omc_arena *arena, rc_buf *out,
                    rc_error *err)
{
    const omc_plugin *plugin = NULL;
    const connector_ops *ops;
    const char *name, *location, *connector;
    const omc_keyvalue *raw;
    omc_config config;
    rc_error why = {0};
    unsigned kind;
    rc_wire_in in;
    int r;

    rc_in_init(&in, rc_frame_payload(f), arena);
    kind = rc_in_u8(&in);
    name = rc_in_name(&in, 4096);
    location = rc_in_name(&in, 4096);
    raw = rc_in_kv(&in);
    connector = rc_in_left(&in) ? rc_in_name(&in, 4096) : "";
    if (in.fault)
        return rc_fail(err, OMC_EFORMAT, "VALIDATE is broken: %s", in.fault);
    r = rc_served_plugin(server, kind, name, location, &plugin, err);
    if (r < 0)
        return r;
    RC_ASSERT(plugin);
    ops = plugin->ops;
    rc_served_config(plugin, raw, arena, &config);
    config.connector = connector;
    r = ops->validate ? ops->validate(&config, &why) : 0;
    rc_out_u32(out, r < 0);
    if (r < 0)
        rc_out_problem(out, false, "", "", why.msg[0] ? why.msg : "validate failed without a text");
    return 0;
}

static void scan_one(rc_server *server, const char *path, rc_buf *plugins, uint32_t *count,
                     rc_buf *refused, uint32_t *refused_count)
{
    const rc_library *library = NULL;
    rc_error err = {0};

    if (open_library(server, path, &library, &err) < 0) {
        rc_out_text(refused, path);
        rc_out_error(refused, &err, -1);
        ++*refused_count;
        return;
    }
    for (size_t i = 0; library && i < library->count; i++) {
        const omc_plugin *p = &library->plugins[i].plugin;
        const rc_host_plugin one = {.kind = (uint8_t)p->kind,
                                    .class_name = p->name,
                                    .location = path,
                                    .version = p->version,
                                    .doc = p->doc,
                                    .options = p->options,
                                    .option_count = p->options ? p->option_count : 0};

        rc_out_plugin(plugins, &one);
        ++*count;
    }
}

static int scan(rc_server *server, const rc_frame *f, omc_arena *arena, rc_buf *out, rc_error *err)
{
    rc_buf plugins = RC_BUF(RC_WIRE_FRAME_USUAL / 2), refused = RC_BUF(RC_WIRE_FRAME_USUAL / 4);
    uint32_t count = 0, refused_count = 0, paths;
    rc_wire_in in;

    rc_in_init(&in, rc_frame_payload(f), arena);
    paths = rc_in_count(&in, 4, 10000);
    pthread_mutex_lock(&server->plugin_mu);
    for (uint32_t i = 0; i < paths && !in.fault; i++)
        scan_one(server, rc_in_name(&in, 4096), &plugins, &count, &refused, &refused_count);
    pthread_mutex_unlock(&server->plugin_mu);
    rc_out_u32(out, count);
    rc_buf_add(out, plugins.data ? plugins.data : "", plugins.len);
    rc_out_u32(out, refused_count);
    rc_buf_add(out, refused.data ? refused.data : "", refused.len);
    rc_buf_release(&plugins);
    rc_buf_release(&refused);
    return in.fault ? rc_fail(err, OMC_EFORMAT, "SCAN is broken: %s", in.fault) : 0;
}

typedef struct job {
    rc_server *server;
    rc_frame *frame;
} job;

static void *control_main(void *arg)
{
    job *j = arg;
    rc_buf out = RC_BUF(RC_WIRE_FRAME_USUAL);
    rc_error err = {0};
    rc_arena arena;
    int r;

    rc_arena_init(&arena, 4096);
    rc_channel_begin(&out);
    r = j->frame->head.type == RC_FRAME_SCAN
            ? scan(j->server, j->frame, &arena.pub, &out, &err)
            : validate(j->server, j->frame, &arena.pub, &out, &err);
    if (r < 0)
        rc_server_reply(j->server, j->frame, r, &err);
    else
        rc_server_send(j->server, 0, j->frame->head.type, RC_WIRE_REPLY, j->frame->head.request,
                       &out);
    rc_arena_release(&arena);
    rc_buf_release(&out);
    rc_frame_free(j->frame);
    free(j);
    return NULL;
}

void rc_served_control(rc_server *server, rc_frame *f)
{
    job *j = rc_calloc(1, sizeof *j);
    rc_error err = {0};
    pthread_t thread;
    int r;

    *j = (job){server, f};
    r = rc_thread_start(&thread, "control", (size_t)512 << 10, control_main, j, &err);
    if (r == 0) {
        pthread_detach(thread);
        return;
    }
    rc_server_reply(server, f, r, &err);
    rc_frame_free(f);
    free(j);
}
