/* SPDX-License-Identifier: Apache-2.0 */
/* What every hosted instance does: join its host, start, call, answer, stop. */
#include "host/hosted_impl.h"

#include "base/diag.h"

/* Which host: one for a connector and its tasks, unless told otherwise. */
static const char *key_of(const omc_config *config, const char *connector, const char *task,
                          omc_arena *arena)
{
    const char *group = rc_kv_text(config->raw, "host.group", "", arena);
    const char *each = rc_kv_text(config->raw, "host.per.task", "false", arena);

    if (*group)
        return rc_arena_format(arena, "group %s", group);
    return task && strcmp(each, "true") == 0 ? task : connector;
}

/* Hosts that run one connector at a time say so. */
static int check_sharing(const rc_guest *g, const omc_config *config, const rc_session *session,
                         rc_error *err)
{
    const omc_slice *group = omc_keyvalue_get(config->raw, "host.group");

    if (rc_session_hello(session)->capabilities & RC_HOST_MANY)
        return 0;
    if ((!group || !group->len) && g->hosted->kind <= OMC_SINK)
        return 0;
    return rc_fail(err, OMC_EUNSUPPORTED,
                   "host '%s' runs one connector at a time: remove host.group; its transforms and "
                   "converters cannot be used",
                   rc_session_hello(session)->name);
}

int rc_guest_open(rc_guest *g, const omc_config *config, const char *connector, const char *task,
                  const rc_channel_config *channel, rc_error *err)
{
    const rc_hosted *hosted = config->plugin->data;
    rc_channel_config setup = *channel;
    rc_session *session;
    rc_arena arena;
    int r;

    g->hosted = hosted;
    g->who = rc_strdup(task ? task : connector);
    rc_buf_init(&g->out, RC_WIRE_FRAME_MAX);
    rc_wire_ids_init(&g->ids);
    rc_wire_schemas_init(&g->schemas);
    rc_arena_init(&arena, 256);
    setup.who = g->who;
    r = rc_host_join(hosted->hosts, hosted->launcher, key_of(config, connector, task, &arena.pub),
                     &g->host, &session, err);
    if (r == 0) {
        r = check_sharing(g, config, session, err);
        if (r == 0)
            r = rc_channel_open(session, &setup, &g->channel, err);
        rc_session_unref(session);
    }
    rc_arena_release(&arena);
    return r;
}

int rc_guest_call(rc_guest *g, unsigned type, const char *what, int64_t timeout_ms, rc_frame **ret,
                  rc_error *err)
{
    return rc_channel_call(g->channel, type, what, timeout_ms, &g->out, ret, err);
}

int rc_guest_start(rc_guest *g, unsigned type, const rc_start *start, const char *what,
                   rc_error *err)
{
    rc_channel_begin(&g->out);
    rc_out_start(&g->out, start);
    g->started = true;
    return rc_guest_call(g, type, what, rc_hosts_settings(g->hosted->hosts)->instance_timeout_ms,
                         NULL, err);
}

static void stop(rc_guest *g)
{
    int64_t ms = rc_hosts_settings(g->hosted->hosts)->stop_timeout_ms;
    rc_error err = {0};

    if (!g->channel || !g->started || rc_session_dead(rc_channel_session(g->channel), NULL, NULL))
        return;
    rc_channel_begin(&g->out);
    rc_out_u32(&g->out, (uint32_t)RC_MIN(ms, (int64_t)INT32_MAX));
    if (rc_guest_call(g, RC_FRAME_STOP, "stop", ms, NULL, &err) < 0)
        rc_warn(g->who, "stop: %s", err.msg);
}

void rc_guest_stop(rc_guest *g)
{
    stop(g);
    rc_channel_close(RC_TAKE(g->channel));
    g->started = false;
}

void rc_guest_close(rc_guest *g)
{
    rc_guest_stop(g);
    if (g->host && g->finished)
        rc_host_rest(g->host);
    rc_host_leave(RC_TAKE(g->host));
    if (!g->hosted)
        return;
    rc_wire_schemas_release(&g->schemas);
    rc_wire_ids_release(&g->ids);
    rc_buf_release(&g->out);
    free(g->who);
    memset(g, 0, sizeof *g);
}

int rc_guest_send_schemas(rc_guest *g, rc_error *err)
{
    rc_buf out = RC_BUF(RC_WIRE_FRAME_MAX);
    int r;

    if (g->ids.def_count == 0)
        return 0;
    rc_channel_begin(&out);
    rc_buf_add(&out, g->ids.defs.data, g->ids.defs.len);
    r = rc_channel_send(g->channel, RC_FRAME_SCHEMAS, 0, 0, &out, err);
    rc_buf_release(&out);
    return r;
}

int rc_guest_check(rc_guest *g, const rc_wire_in *in, unsigned type, rc_error *err)
{
    rc_session *session = rc_channel_session(g->channel);

    if (!in->fault)
        return 0;
    rc_session_fault(session, in->fault, "in %s of %s", rc_frame_name(type), g->who);
    (void)rc_session_dead(session, err, NULL);
    return err ? -err->code : -OMC_EFORMAT;
}

static void take_error(rc_guest *g, const rc_frame *f)
{
    rc_arena arena;
    rc_wire_in in;
    rc_wire_error error;

    rc_arena_init(&arena, 1024);
    rc_in_init(&in, rc_frame_payload(f), &arena.pub);
    (void)rc_in_u8(&in);
    rc_in_error(&in, &error);
    if (rc_guest_check(g, &in, RC_FRAME_ERROR, &g->failed) == 0) {
        rc_wire_error_take(&error, &g->failed);
        if (error.stack[0])
            rc_debug(g->who, "%s", error.stack);
    }
    rc_arena_release(&arena);
}

static void take_metrics(rc_guest *g, const rc_frame *f,
                         void (*count)(void *host, const char *name, int64_t delta), void *host)
{
    rc_arena arena;
    rc_wire_in in;
    uint32_t n;

    rc_arena_init(&arena, 1024);
    rc_in_init(&in, rc_frame_payload(f), &arena.pub);
    n = rc_in_count(&in, 12, 1000);
    for (uint32_t i = 0; i < n && !in.fault; i++) {
        const char *name = rc_in_name(&in, 256);
        int64_t delta = rc_in_i64(&in);

        if (!in.fault)
            count(host, name, delta);
    }
    (void)rc_guest_check(g, &in, RC_FRAME_METRICS, NULL);
    rc_arena_release(&arena);
}

bool rc_guest_take(rc_guest *g, const rc_frame *f,
                   void (*count)(void *host, const char *name, int64_t delta), void *host)
{
    rc_wire_in in = {0};

    switch (f->head.type) {
    case RC_FRAME_ERROR:
        take_error(g, f);
        return true;
    case RC_FRAME_METRICS:
        take_metrics(g, f, count, host);
        return true;
    case RC_FRAME_SCHEMAS:
        in.fault = rc_wire_schemas_define(&g->schemas, rc_frame_payload(f));
        (void)rc_guest_check(g, &in, RC_FRAME_SCHEMAS, NULL);
        return true;
    default:
        return false;
    }
}

int rc_guest_failed(rc_guest *g, rc_error *err)
{
    if (g->failed.code == 0)
        return 0;
    *err = g->failed;
    g->failed = (rc_error){0};
    return -err->code;
}

void rc_guest_reply(rc_guest *g, const rc_frame *f, int r, const rc_error *err)
{
    rc_buf out = RC_BUF(8192);

    rc_channel_begin(&out);
    if (r < 0) {
        rc_out_u8(&out, 0);
        rc_out_error(&out, err, -1);
    }
    (void)rc_channel_send(g->channel, r < 0 ? RC_FRAME_ERROR : f->head.type, RC_WIRE_REPLY,
                          f->head.request, &out, NULL);
    rc_buf_release(&out);
}
