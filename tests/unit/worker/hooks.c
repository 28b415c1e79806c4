/* SPDX-License-Identifier: Apache-2.0 */
/* See hooks.h. */
#include "worker/hooks.h"

#include "config/options.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

toy_hooks hooks;

void hook_sleep(int ms)
{
    (void)poll(NULL, 0, ms);
}

void hook_wait(atomic_bool *flag)
{
    for (int i = 0; i < 2000 && !atomic_load(flag); i++)
        hook_sleep(5);
    if (!atomic_load(flag)) {
        (void)fprintf(stderr, "nobody set the flag\n");
        abort();
    }
}

void hook_wait_count(atomic_int *count, int at_least)
{
    for (int i = 0; i < 2000 && atomic_load(count) < at_least; i++)
        hook_sleep(5);
    if (atomic_load(count) < at_least) {
        (void)fprintf(stderr, "the count is %d, not %d\n", atomic_load(count), at_least);
        abort();
    }
}

int hook_idle(hook_task *task)
{
    struct pollfd fd = {.fd = task->source->wake_fd, .events = POLLIN};

    (void)poll(&fd, 1, 1000);
    return 0;
}

/* ---- the connector half ------------------------------------------------------------------- */

static int any_validate(const omc_config *config, omc_error *err)
{
    return hooks.validate ? hooks.validate(config, err) : 0;
}

static int any_connector_start(void *connector, const omc_connector_context *ctx, omc_error *err)
{
    (void)connector;
    return hooks.connector_start ? hooks.connector_start(ctx, err) : 0;
}

static int any_task_configs(void *connector, int max, omc_task_configs *out, omc_error *err)
{
    static const omc_keyvalue none = {0};
    int r = 0;

    (void)connector;
    if (hooks.task_configs)
        return hooks.task_configs(max, out, err);
    for (int i = 0; r == 0 && i < max; i++)
        r = out->add(out, &none, err);
    return r;
}

static void any_connector_stop(void *connector)
{
    (void)connector;
    if (hooks.connector_stop)
        hooks.connector_stop();
}

/* ---- tasks -------------------------------------------------------------------------------- */

static int source_init(void *task, const omc_source_context *ctx, omc_error *err)
{
    (void)err;
    ((hook_task *)task)->source = ctx;
    return 0;
}

static int sink_init(void *task, const omc_sink_context *ctx, omc_error *err)
{
    (void)err;
    ((hook_task *)task)->sink = ctx;
    return 0;
}

static int any_start(void *task, omc_error *err)
{
    return hooks.start ? hooks.start(task, err) : 0;
}

static int source_poll(void *task, omc_batch *out, int64_t timeout_ms, omc_error *err)
{
    (void)timeout_ms;
    return hooks.poll ? hooks.poll(task, out, err) : hook_idle(task);
}

static int sink_open(void *task, const omc_queue_offset *queues, size_t count, omc_error *err)
{
    return hooks.open ? hooks.open(task, queues, count, err) : 0;
}

static int sink_put(void *task, const omc_batch *batch, omc_error *err)
{
    return hooks.put ? hooks.put(task, batch, err) : 0;
}

static int sink_pre_commit(void *task, omc_queue_offset *offsets, size_t count, omc_arena *arena,
                           omc_error *err)
{
    (void)arena;
    return hooks.pre_commit ? hooks.pre_commit(task, offsets, count, err) : 0;
}

static void any_stop(void *task)
{
    if (hooks.stop)
        hooks.stop(task);
}

#define HALF                                                                                     \
    .connector_state_size = 8, .validate = any_validate, .connector_start = any_connector_start, \
    .task_configs = any_task_configs, .connector_stop = any_connector_stop

static const omc_source_ops hook_source_ops = {.size = sizeof hook_source_ops,
                                               HALF,
                                               .task_state_size = sizeof(hook_task),
                                               .init = source_init,
                                               .start = any_start,
                                               .poll = source_poll,
                                               .stop = any_stop};
static const omc_sink_ops hook_sink_ops = {.size = sizeof hook_sink_ops,
                                           HALF,
                                           .flags = OMC_SINK_KEEPS,
                                           .task_state_size = sizeof(hook_task),
                                           .init = sink_init,
                                           .start = any_start,
                                           .open = sink_open,
                                           .put = sink_put,
                                           .pre_commit = sink_pre_commit,
                                           .stop = any_stop};
/* A bare source never got its context; it may not wait. */
static int bare_poll(void *task, omc_batch *out, int64_t timeout_ms, omc_error *err)
{
    (void)timeout_ms;
    return hooks.poll ? hooks.poll(task, out, err) : 0;
}
static const omc_source_ops bare_source_ops = {.size = sizeof bare_source_ops,
                                               .task_state_size = sizeof(hook_task),
                                               .poll = bare_poll};
static const omc_sink_ops bare_sink_ops = {.size = sizeof bare_sink_ops,
                                           .task_state_size = sizeof(hook_task),
                                           .put = sink_put};

/* "pin" is secret by its type alone; nothing in its name says so. */
static const omc_option rows[] = {
    {.name = "pin", .type = OMC_OPT_PASSWORD, .offset = OMC_OPT_NOT_STORED},
    {.name = "a", .type = OMC_OPT_STRING, .offset = OMC_OPT_NOT_STORED},
    {.name = "b", .type = OMC_OPT_STRING, .offset = OMC_OPT_NOT_STORED},
};

#define PLUGIN(of, called, is)                                           \
    const omc_plugin of = {.abi = OMC_ABI_CURRENT,                       \
                           .size = sizeof(omc_plugin),                   \
                           .kind = (is),                                 \
                           .name = (called),                             \
                           .version = "1",                               \
                           .doc = "Does what the test says.",            \
                           .options = rows,                              \
                           .option_count = sizeof rows / sizeof rows[0], \
                           .option_size = sizeof(omc_option),            \
                           .ops = &of##_ops}

PLUGIN(hook_source, "hook-source", OMC_SOURCE);
PLUGIN(hook_sink, "hook-sink", OMC_SINK);
PLUGIN(bare_source, "bare-source", OMC_SOURCE);
PLUGIN(bare_sink, "bare-sink", OMC_SINK);
