/* SPDX-License-Identifier: Apache-2.0 */
/* An instance of the native host: its thread, its frames, its services. */
#include "base/diag.h"
#include "base/thread.h"
#include "host/serve_impl.h"

#include <stdio.h>
#include <unistd.h>
#include <utlist.h>

/* ---- frames --------------------------------------------------------------------------------- */

static rc_frame *take(rc_served *s, rc_frame *f)
{
    DL_DELETE(s->inbox, f);
    if (!s->inbox)
        rc_wake_clear(&s->wake);
    return f;
}

rc_frame *rc_served_next(rc_served *s, int64_t deadline_ns)
{
    rc_clock *clock = rc_clock_real();
    rc_frame *f = NULL;
    int r = 0;

    pthread_mutex_lock(&s->mu);
    while (!s->inbox && r == 0 && deadline_ns > 0)
        r = clock->wait(clock, &s->cond, &s->mu, deadline_ns);
    if (s->inbox)
        f = take(s, s->inbox);
    pthread_mutex_unlock(&s->mu);
    return f;
}

rc_frame *rc_served_reply(rc_served *s, unsigned type, uint32_t request)
{
    rc_frame *f, *found = NULL;

    pthread_mutex_lock(&s->mu);
    while (!found && !s->stopping) {
        DL_FOREACH(s->inbox, f)
        {
            if ((f->head.flags & RC_WIRE_REPLY) && f->head.request == request &&
                (f->head.type == type || f->head.type == RC_FRAME_ERROR)) {
                found = take(s, f);
                break;
            }
        }
        if (!found && !s->stopping)
            (void)pthread_cond_wait(&s->cond, &s->mu);
    }
    pthread_mutex_unlock(&s->mu);
    return found;
}

rc_wire_in rc_served_in(rc_served *s, const rc_frame *f, omc_arena *arena)
{
    rc_wire_in in;

    rc_in_init(&in, rc_frame_payload(f), arena);
    in.schemas = &s->schemas;
    return in;
}

void rc_served_check(const rc_served *s, const rc_wire_in *in)
{
    if (!in->fault)
        return;
    (void)fprintf(stderr, "instance %u: the worker broke the protocol: %s\n", s->number, in->fault);
    _exit(1);
}

void rc_served_empty(rc_served *s, unsigned type)
{
    rc_channel_begin(&s->out);
    rc_server_send(s->server, s->number, type, 0, 0, &s->out);
}

void rc_served_error(rc_served *s, const rc_error *err)
{
    rc_channel_begin(&s->out);
    rc_out_u8(&s->out, 1);
    rc_out_error(&s->out, err, -1);
    rc_server_send(s->server, s->number, RC_FRAME_ERROR, 0, 0, &s->out);
}

void rc_served_send_schemas(rc_served *s)
{
    rc_buf out = RC_BUF(RC_WIRE_FRAME_MAX);

    if (s->ids.def_count == 0)
        return;
    rc_channel_begin(&out);
    rc_buf_add(&out, s->ids.defs.data, s->ids.defs.len);
    rc_server_send(s->server, s->number, RC_FRAME_SCHEMAS, 0, 0, &out);
    rc_buf_release(&out);
}

/* ---- calls ---------------------------------------------------------------------------------- */

void rc_served_enter(rc_served *s, const char *call)
{
    pthread_mutex_lock(&s->mu);
    s->call = call;
    s->call_ns = rc_mono_ns(rc_clock_real());
    pthread_mutex_unlock(&s->mu);
}

void rc_served_leave(rc_served *s)
{
    pthread_mutex_lock(&s->mu);
    s->call = NULL;
    pthread_mutex_unlock(&s->mu);
}

int rc_served_failed(const rc_served *s, const char *call, int r, rc_error *err)
{
    if (r < 0 && err->code == 0)
        return rc_fail(err, OMC_EINTERNAL, "%s of plugin '%s' returned %d without an error text",
                       call, s->plugin->name, r);
    return r;
}

void rc_served_count(void *host, const char *name, int64_t delta)
{
    rc_served *s = host;

    for (size_t i = 0; i < s->counter_count; i++)
        if (strcmp(s->counters[i].name, name) == 0) {
            s->counters[i].delta += delta;
            return;
        }
    if (s->counter_count == RC_SERVED_COUNTERS || strlen(name) >= sizeof s->counters[0].name)
        return;
    memcpy(s->counters[s->counter_count].name, name, strlen(name) + 1);
    s->counters[s->counter_count++].delta = delta;
}

void rc_served_flush_counters(rc_served *s)
{
    uint32_t changed = 0;

    for (size_t i = 0; i < s->counter_count; i++)
        changed += s->counters[i].delta != 0;
    if (!changed)
        return;
    rc_channel_begin(&s->out);
    rc_out_u32(&s->out, changed);
    for (size_t i = 0; i < s->counter_count; i++) {
        if (s->counters[i].delta == 0)
            continue;
        rc_out_text(&s->out, s->counters[i].name);
        rc_out_u64(&s->out, (uint64_t)s->counters[i].delta);
        s->counters[i].delta = 0;
    }
    rc_server_send(s->server, s->number, RC_FRAME_METRICS, RC_WIRE_OPTIONAL, 0, &s->out);
}

void rc_served_log(void *host, omc_log_level level, const char *fmt, ...)
{
    rc_served *s = host;
    va_list ap;

    va_start(ap, fmt);
    rc_server_log(s->server, s->number, level, "", fmt, ap); /* the number says who */
    va_end(ap);
}

/* ---- life ----------------------------------------------------------------------------------- */

static void delete (rc_served *s)
{
    while (s->inbox) {
        rc_frame *f = s->inbox;

        DL_DELETE(s->inbox, f);
        rc_frame_free(f);
    }
    rc_wake_release(&s->wake);
    pthread_cond_destroy(&s->cond);
    pthread_mutex_destroy(&s->mu);
    rc_buf_release(&s->out);
    rc_wire_schemas_release(&s->schemas);
    rc_wire_ids_release(&s->ids);
    free(s->state);
    rc_arena_release(&s->memory);
    free(s);
}

/* The plugin could not even be found: nothing but STOP is left. */
static rc_frame *await_stop(rc_served *s, const rc_frame *start, const rc_error *err)
{
    rc_frame *f;

    rc_server_reply(s->server, start, -err->code, err);
    while ((f = rc_served_next(s, INT64_MAX)) && f->head.type != RC_FRAME_STOP)
        rc_frame_free(f);
    return f;
}

static void *instance_main(void *arg)
{
    rc_served *s = arg;
    RC_AUTO(rc_frame) start = rc_served_next(s, INT64_MAX);
    RC_AUTO(rc_frame) stop = NULL;
    rc_wire_in in = rc_served_in(s, start, &s->memory.pub);
    rc_error err = {0};

    rc_in_start(&in, &s->start);
    rc_served_check(s, &in);
    if (rc_served_plugin(s->server, s->start.kind, s->start.class_name, s->start.location,
                         &s->plugin, &err) < 0) {
        stop = await_stop(s, start, &err);
    } else {
        rc_served_config(s->plugin, s->start.config, &s->memory.pub, &s->config);
        stop = start->head.type == RC_FRAME_CONNECTOR_START ? rc_serve_connector(s, start)
               : s->plugin->kind == OMC_SOURCE              ? rc_serve_source(s, start)
                                                            : rc_serve_sink(s, start);
    }
    pthread_mutex_lock(&s->server->mu);
    HASH_DEL(s->server->instances, s);
    pthread_mutex_unlock(&s->server->mu);
    rc_server_reply(s->server, stop, 0, NULL);
    delete (s);
    return NULL;
}

void rc_served_begin(rc_server *server, rc_frame *start)
{
    rc_served *s = rc_calloc(1, sizeof *s);
    rc_error err = {0};
    pthread_t thread;

    s->server = server;
    s->number = start->head.instance;
    rc_arena_init(&s->memory, 4096);
    rc_wire_ids_init(&s->ids);
    rc_wire_schemas_init(&s->schemas);
    rc_buf_init(&s->out, RC_WIRE_FRAME_MAX);
    pthread_mutex_init(&s->mu, NULL);
    rc_cond_init(&s->cond);
    s->wake.fd = -1;
    DL_APPEND(s->inbox, start);
    pthread_mutex_lock(&server->mu);
    HASH_ADD(hh, server->instances, number, sizeof s->number, s);
    pthread_mutex_unlock(&server->mu);
    if (rc_wake_init(&s->wake, &err) == 0 &&
        rc_thread_start(&thread, "instance", (size_t)512 << 10, instance_main, s, &err) == 0) {
        pthread_detach(thread);
        return;
    }
    (void)fprintf(stderr, "cannot start a thread for an instance: %s\n", err.msg);
    _exit(1);
}
