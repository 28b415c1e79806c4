/* SPDX-License-Identifier: Apache-2.0 */
/* The connector half of a native plugin, in the host. */
#include "host/serve_impl.h"

typedef struct connector_ops {
    OMC_CONNECTOR_OPS;
} connector_ops;

static void request_task_reconfiguration(void *host)
{
    rc_served *s = host;
    rc_buf out = RC_BUF(64);

    rc_channel_begin(&out);
    rc_server_send(s->server, s->number, RC_FRAME_RECONFIGURE, 0, 0, &out);
    rc_buf_release(&out);
}

static void raise_error(void *host, const omc_error *err)
{
    rc_served *s = host;
    rc_buf out = RC_BUF(8192);

    rc_channel_begin(&out);
    rc_out_error(&out, err, -1);
    rc_server_send(s->server, s->number, RC_FRAME_RAISE_ERROR, 0, 0, &out);
    rc_buf_release(&out);
}

typedef struct collector {
    omc_task_configs pub;
    rc_buf *out;
    uint32_t count, max;
} collector;

static int add(omc_task_configs *configs, const omc_keyvalue *overrides, omc_error *err)
{
    collector *c = RC_CONTAINER(configs, collector, pub);

    if (c->count >= c->max)
        return rc_fail(err, OMC_EINVAL,
                       "the connector wants more than max.tasks = %u tasks; raise max.tasks",
                       c->max);
    rc_out_kv(c->out, overrides);
    c->count++;
    return 0;
}

/* Without task_configs a source has one task, and a sink as many as it may. */
static int collect(rc_served *s, const connector_ops *ops, collector *c, rc_error *err)
{
    int r = 0;

    if (!ops->task_configs) {
        uint32_t wanted = s->plugin->kind == OMC_SINK ? c->max : 1;

        while (r == 0 && c->count < wanted)
            r = add(&c->pub, NULL, err);
        return r;
    }
    rc_served_enter(s, "task_configs");
    r = ops->task_configs(s->state, (int)c->max, &c->pub, err);
    rc_served_leave(s);
    return rc_served_failed(s, "task_configs", r, err);
}

static void task_configs(rc_served *s, const connector_ops *ops, const rc_frame *f)
{
    rc_buf out = RC_BUF(RC_WIRE_FRAME_USUAL);
    collector c = {.pub = {.size = sizeof c.pub, .arena = &s->memory.pub, .add = add}, .out = &out};
    rc_wire_in in = rc_served_in(s, f, &s->memory.pub);
    rc_error err = {0};
    size_t mark;
    int r;

    c.max = rc_in_u32(&in) & INT32_MAX;
    rc_served_check(s, &in);
    rc_channel_begin(&out);
    mark = rc_out_mark(&out);
    r = collect(s, ops, &c, &err);
    if (r == 0 && out.overflow)
        r = rc_fail(&err, OMC_ENOMEM, "the configurations of the tasks are larger than 16 MiB");
    if (r < 0) {
        rc_server_reply(s->server, f, r, &err);
    } else {
        rc_out_patch(&out, mark, c.count);
        rc_server_send(s->server, s->number, RC_FRAME_TASK_CONFIGS, RC_WIRE_REPLY, f->head.request,
                       &out);
    }
    rc_buf_release(&out);
}

rc_frame *rc_serve_connector(rc_served *s, const rc_frame *start)
{
    const connector_ops *ops = s->plugin->ops;
    const omc_connector_context ctx = {.size = sizeof ctx,
                                       .connector = s->start.connector,
                                       .config = &s->config,
                                       .services = rc_plugin_host(),
                                       .host = s,
                                       .request_task_reconfiguration = request_task_reconfiguration,
                                       .raise_error = raise_error};
    rc_error err = {0};
    rc_frame *f;
    int r = 0;

    s->state = rc_calloc(1, RC_MAX(ops->connector_state_size, (size_t)1));
    if (ops->connector_start) {
        rc_served_enter(s, "start");
        r = ops->connector_start(s->state, &ctx, &err);
        rc_served_leave(s);
        r = rc_served_failed(s, "start of the connector", r, &err);
    }
    rc_server_reply(s->server, start, r, &err);
    while ((f = rc_served_next(s, INT64_MAX)) && f->head.type != RC_FRAME_STOP) {
        if (f->head.type == RC_FRAME_TASK_CONFIGS)
            task_configs(s, ops, f);
        rc_frame_free(f);
    }
    if (ops->connector_start && ops->connector_stop) {
        rc_served_enter(s, "stop");
        ops->connector_stop(s->state);
        rc_served_leave(s);
    }
    return f;
}
