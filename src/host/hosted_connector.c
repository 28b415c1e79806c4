/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connector half of a hosted plugin. It holds the host as long as the connector runs, and is
 * started again in a new process when some task had the old one replaced; then it is `mu` that
 * keeps the two threads apart.
 */
#include "host/hosted_impl.h"
#include "host/hosts_impl.h"

#include "base/diag.h"

typedef rc_hosted_connector connector;

/* ---- validate ------------------------------------------------------------------------------- */

/* All problems in one text, as the worker wants it. */
static int read_problems(rc_wire_in *in, rc_error *err)
{
    rc_buf text = RC_BUF(sizeof err->msg - 1);
    uint32_t count = rc_in_count(in, 13, 10000);
    int r = 0;

    for (uint32_t i = 0; i < count && !in->fault; i++) {
        bool warning = rc_in_bool(in);
        const char *key = rc_in_name(in, 65536);

        (void)rc_in_name(in, 65536);
        if (!warning)
            rc_buf_printf(&text, "%s%s%s%s", text.len ? "; " : "", key, *key ? ": " : "",
                          rc_in_name(in, 65536));
        else
            (void)rc_in_name(in, 65536);
    }
    if (!in->fault && (text.len || text.overflow))
        r = rc_fail(err, OMC_EINVAL, "%s", text.data ? text.data : "the configuration is refused");
    rc_buf_release(&text);
    return r;
}

static int validate_in(rc_session *session, const rc_hosted *hosted, const omc_config *config,
                       rc_error *err)
{
    const rc_channel_config setup = {.kind = RC_CHANNEL_CONTROL, .who = hosted->class_name};
    rc_buf out = RC_BUF(RC_WIRE_FRAME_MAX);
    RC_AUTO(rc_frame) reply = NULL;
    rc_channel *channel;
    rc_arena arena;
    rc_wire_in in;
    int r = rc_channel_open(session, &setup, &channel, err);

    if (r < 0)
        return r;
    rc_channel_begin(&out);
    rc_out_u8(&out, hosted->kind);
    rc_out_text(&out, hosted->class_name);
    rc_out_text(&out, hosted->location);
    rc_out_kv(&out, config->raw);
    rc_out_text(&out, config->connector ? config->connector : "");
    r = rc_channel_call(channel, RC_FRAME_VALIDATE, "validate",
                        rc_hosts_settings(hosted->hosts)->scan_timeout_ms, &out, &reply, err);
    if (r == 0) {
        rc_arena_init(&arena, 1024);
        rc_in_init(&in, rc_frame_payload(reply), &arena.pub);
        r = read_problems(&in, err);
        if (in.fault) {
            rc_session_fault(session, in.fault, "in the reply to VALIDATE");
            r = rc_fail(err, OMC_EFORMAT, "the host's reply to VALIDATE is broken: %s", in.fault);
        }
        rc_arena_release(&arena);
    }
    rc_channel_close(channel);
    rc_buf_release(&out);
    return r;
}

/* In another process than the connector's: a configuration that is only checked must not disturb
 * what is at work. Native plugins do not share one: a process of theirs costs nothing, and a check
 * that crashes then meets no other. */
int rc_hosted_validate(const omc_config *config, omc_error *err)
{
    const rc_hosted *hosted = config->plugin->data;
    bool native = hosted->launcher == rc_hosts_native(hosted->hosts);
    RC_AUTO_FREE char *key =
        native ? rc_format("check of %s", config->plugin->name) : rc_strdup(RC_HOST_QUESTIONS);
    rc_session *session;
    int r = rc_hosts_ask(hosted->hosts, hosted->launcher, key, &session, err);

    if (r < 0)
        return r;
    r = validate_in(session, hosted, config, err);
    rc_session_unref(session);
    return r;
}

/* ---- the running connector ------------------------------------------------------------------ */

/* On the session's thread. */
static void event(void *arg, const rc_frame *f)
{
    const connector *c = arg;
    rc_arena arena;
    rc_wire_in in;
    rc_wire_error error;
    rc_error why = {0};

    if (f->head.type == RC_FRAME_RECONFIGURE) {
        c->ctx->request_task_reconfiguration(c->ctx->host);
        return;
    }
    rc_arena_init(&arena, 1024);
    rc_in_init(&in, rc_frame_payload(f), &arena.pub);
    if (f->head.type == RC_FRAME_ERROR)
        (void)rc_in_u8(&in);
    rc_in_error(&in, &error);
    if (in.fault)
        (void)rc_fail(&why, OMC_EFORMAT, "protocol error: %s: in %s", in.fault,
                      rc_frame_name(f->head.type));
    else
        rc_wire_error_take(&error, &why);
    c->ctx->raise_error(c->ctx->host, &why);
    rc_arena_release(&arena);
}

static int start_instance(connector *c, rc_error *err)
{
    const rc_hosted *hosted = c->guest.hosted;
    const rc_start start = {.kind = (uint8_t)hosted->kind,
                            .class_name = hosted->class_name,
                            .location = hosted->location,
                            .connector = c->ctx->connector,
                            .config = c->ctx->config->raw};
    int r =
        rc_guest_start(&c->guest, RC_FRAME_CONNECTOR_START, &start, "start of the connector", err);

    c->member.instance = r == 0 ? rc_channel_instance(c->guest.channel) : 0;
    return r;
}

/* A new process is there: the connector begins anew in it. */
static void again(rc_host_member *member, rc_session *session)
{
    connector *c = RC_CONTAINER(member, connector, member);
    const rc_channel_config setup = {.kind = RC_CHANNEL_CONNECTOR,
                                     .who = c->guest.who,
                                     .event = event,
                                     .arg = c};
    rc_error err = {0};
    int r;

    pthread_mutex_lock(&c->mu);
    rc_channel_close(RC_TAKE(c->guest.channel));
    c->guest.started = false;
    member->instance = 0;
    r = rc_channel_open(session, &setup, &c->guest.channel, &err);
    if (r == 0)
        r = start_instance(c, &err);
    pthread_mutex_unlock(&c->mu);
    if (r < 0) {
        (void)rc_wrap(&err, r, "start of the connector in a new host");
        c->ctx->raise_error(c->ctx->host, &err);
    }
}

/* All tasks in the process have finished, so it ends, until one of them is started again. */
static void rest(rc_host_member *member)
{
    connector *c = RC_CONTAINER(member, connector, member);

    pthread_mutex_lock(&c->mu);
    rc_guest_stop(&c->guest);
    member->instance = 0;
    pthread_mutex_unlock(&c->mu);
}

int rc_hosted_connector_start(void *state, const omc_connector_context *ctx, omc_error *err)
{
    connector *c = state;
    const rc_channel_config setup = {.kind = RC_CHANNEL_CONNECTOR, .event = event, .arg = c};
    int r;

    c->ctx = ctx;
    pthread_mutex_init(&c->mu, NULL);
    c->made = true;
    r = rc_guest_open(&c->guest, ctx->config, ctx->connector, NULL, &setup, err);
    if (r == 0)
        r = start_instance(c, err);
    if (r == 0) {
        c->member.connector = ctx->connector;
        c->member.again = again;
        c->member.rest = rest;
        rc_host_add(c->guest.host, &c->member);
        c->watching = true;
    }
    return r;
}

static int read_configs(rc_guest *g, const rc_frame *reply, omc_task_configs *out, rc_error *err)
{
    rc_arena arena;
    rc_wire_in in;
    uint32_t count;
    int r = 0;

    rc_arena_init(&arena, 4096);
    rc_in_init(&in, rc_frame_payload(reply), &arena.pub);
    count = rc_in_count(&in, 4, 65536);
    for (uint32_t i = 0; i < count && r == 0 && !in.fault; i++) {
        const omc_keyvalue *kv = rc_in_kv(&in);

        if (!in.fault)
            r = out->add(out, kv, err);
    }
    if (r == 0)
        r = rc_guest_check(g, &in, RC_FRAME_TASK_CONFIGS, err);
    rc_arena_release(&arena);
    return r;
}

int rc_hosted_task_configs(void *state, int max_tasks, omc_task_configs *out, omc_error *err)
{
    connector *c = state;
    RC_AUTO(rc_frame) reply = NULL;
    int r;

    pthread_mutex_lock(&c->mu);
    rc_channel_begin(&c->guest.out);
    rc_out_u32(&c->guest.out, (uint32_t)max_tasks);
    r = rc_guest_call(&c->guest, RC_FRAME_TASK_CONFIGS, "task_configs",
                      rc_hosts_settings(c->guest.hosted->hosts)->instance_timeout_ms, &reply, err);
    if (r == 0)
        r = read_configs(&c->guest, reply, out, err);
    pthread_mutex_unlock(&c->mu);
    return r;
}

void rc_hosted_connector_stop(void *state)
{
    connector *c = state;

    if (c->watching)
        rc_host_remove(c->guest.host, &c->member);
    rc_guest_close(&c->guest);
    if (c->made)
        pthread_mutex_destroy(&c->mu);
}
