/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bodies of calls into a connector plugin: check (validate a configuration), start (validate,
 * connector_start, task_configs) and stop. Each runs on its call's thread, owns what it makes
 * until the control thread takes it, and touches nothing else.
 */
#include "worker/control.h"

#include "base/diag.h"

/* sources and sinks begin with the same connector half */
typedef struct connector_ops {
    OMC_CONNECTOR_OPS;
} connector_ops;

/* An error of a plugin that gave none a text. */
static int plugin_failed(const rc_connector_plan *plan, const char *call, int r, rc_error *err)
{
    return err->code
               ? rc_wrap(err, r, "%s", call)
               : rc_fail(err, OMC_EINTERNAL, "%s of plugin '%s' returned %d without an error text",
                         call, plan->plugin->name, r);
}

static int check_config(rc_call *call, omc_arena *arena, rc_connector_plan *plan,
                        omc_config *config)
{
    const rc_worker_setup *setup = &call->worker->setup;
    const connector_ops *ops;
    rc_option_table tables[2];
    void *structs[2] = {NULL, NULL};
    rc_problems ignored;
    int r = rc_connector_check(setup->registry, setup->config, call->connector, call->config, arena,
                               plan, &call->problems, &call->err);

    if (r < 0)
        return r;
    config->size = sizeof *config;
    config->raw = plan->config;
    config->plugin = plan->plugin;
    config->connector = call->connector;
    if (rc_connector_tables(plan->plugin, tables) == 2) {
        rc_problems_init(&ignored, arena);
        structs[1] = omc_alloc0(arena, RC_MAX(tables[1].options_size, (size_t)1));
        (void)rc_options_parse(&tables[1], 1, plan->config, 0, &structs[1], arena, &ignored);
        config->options = structs[1];
    }
    ops = plan->plugin->ops;
    if (!ops->validate)
        return 0;
    r = ops->validate(config, &call->err);
    if (r < 0 && call->err.code == 0)
        r = plugin_failed(plan, "validate", r, &call->err);
    if (r < 0)
        rc_problem_add(&call->problems, false, "", "", "%s", call->err.msg);
    return r;
}

void rc_generation_check(rc_call *call)
{
    rc_connector_plan plan = {0};
    omc_config config = {0};

    call->result = check_config(call, &call->arena.pub, &plan, &config);
    call->plugin = plan.plugin;
}

/* ---- context of the connector half ---- */

static rc_op *op_of(rc_generation *gen, rc_op_kind kind)
{
    rc_op *op = rc_op_new(kind);

    op->connector = omc_copy(&op->arena.pub, gen->connector, strlen(gen->connector));
    op->number = gen->number;
    return op;
}

static void request_task_reconfiguration(void *host)
{
    rc_generation *gen = host;

    /* Before the first task_configs there is nothing to do again. */
    if (atomic_load(&gen->configured))
        rc_control_post(gen->worker, op_of(gen, RC_OP_RECONFIGURE));
}

static void raise_error(void *host, const omc_error *err)
{
    rc_generation *gen = host;
    rc_op *op = op_of(gen, RC_OP_RAISE);

    op->err = *err;
    if (op->err.code == 0)
        op->err.code = OMC_EINTERNAL;
    rc_control_post(gen->worker, op);
}

/* ---- task configurations ---- */

typedef struct task_list {
    omc_task_configs pub;
    rc_generation *gen;
    int max;
} task_list;

/* A task sees the connector's keys, its own, and those the Java runtime injects. */
static int add_task(omc_task_configs *configs, const omc_keyvalue *overrides, omc_error *err)
{
    task_list *list = RC_CONTAINER(configs, task_list, pub);
    rc_generation *gen = list->gen;
    rc_kv kv;

    if (gen->task_count >= (size_t)list->max)
        return rc_fail(err, OMC_EINVAL,
                       "the connector wants more than max.tasks = %d tasks; raise max.tasks",
                       list->max);
    rc_kv_init(&kv, &gen->arena.pub);
    rc_kv_put_all(&kv, gen->plan.config);
    if (overrides)
        rc_kv_put_all(&kv, overrides);
    rc_kv_put_str(&kv, "task.id", rc_arena_format(&gen->arena.pub, "%zu", gen->task_count));
    rc_kv_put_str(&kv, "task.class", gen->plan.plugin->name);
    gen->tasks[gen->task_count++] = rc_kv_done(&kv);
    return 0;
}

static int make_tasks(rc_generation *gen, const connector_ops *ops, rc_error *err)
{
    task_list list = {.pub = {.size = sizeof list.pub, .arena = &gen->arena.pub, .add = add_task},
                      .gen = gen,
                      .max = (int)gen->plan.options.max_tasks};
    int r;

    gen->tasks = omc_alloc(&gen->arena.pub, (size_t)list.max * sizeof(const omc_keyvalue *));
    if (!ops->task_configs)
        return add_task(&list.pub, NULL, err);
    atomic_store(&gen->configured, true);
    r = ops->task_configs(gen->instance, list.max, &list.pub, err);
    if (r < 0)
        return plugin_failed(&gen->plan, "task_configs", r, err);
    if (gen->task_count == 0)
        return rc_fail(
            err, OMC_EINVAL,
            "the connector made no task configuration: it found nothing to do; check its "
            "options");
    return 0;
}

/* Sinks share queues among their tasks, so a sink without task_configs has max.tasks of them. */
static int make_sink_tasks(rc_generation *gen, const connector_ops *ops, rc_error *err)
{
    int r = make_tasks(gen, ops, err);
    task_list list = {.gen = gen, .max = (int)gen->plan.options.max_tasks};

    while (r == 0 && !ops->task_configs && gen->task_count < (size_t)list.max)
        r = add_task(&list.pub, NULL, err);
    return r;
}

static int start_half(rc_generation *gen, const connector_ops *ops, rc_error *err)
{
    int r;

    gen->instance = rc_calloc(1, RC_MAX(ops->connector_state_size, (size_t)1));
    if (!ops->connector_start)
        return 0;
    gen->ctx = (omc_connector_context){.size = sizeof gen->ctx,
                                       .connector = gen->connector,
                                       .config = &gen->config,
                                       .services = rc_host_services(),
                                       .host = gen,
                                       .request_task_reconfiguration = request_task_reconfiguration,
                                       .raise_error = raise_error};
    gen->started = true;
    r = ops->connector_start(gen->instance, &gen->ctx, err);
    return r < 0 ? plugin_failed(&gen->plan, "start of the connector", r, err) : 0;
}

void rc_generation_start(rc_call *call)
{
    rc_generation *gen = rc_calloc(1, sizeof *gen);
    const connector_ops *ops;

    rc_arena_init(&gen->arena, 4096);
    gen->worker = call->worker;
    gen->number = call->generation_number;
    gen->connector = omc_copy(&gen->arena.pub, call->connector, strlen(call->connector));
    call->generation = gen;
    call->result = check_config(call, &gen->arena.pub, &gen->plan, &gen->config);
    call->plugin = gen->plan.plugin;
    if (call->result < 0)
        return;
    ops = gen->plan.plugin->ops;
    call->result = start_half(gen, ops, &call->err);
    if (call->result == 0)
        call->result = gen->plan.plugin->kind == OMC_SINK ? make_sink_tasks(gen, ops, &call->err)
                                                          : make_tasks(gen, ops, &call->err);
}

void rc_generation_stop(rc_call *call)
{
    rc_generation *gen = call->generation;
    const connector_ops *ops;

    if (!gen->started) /* then there may be no plugin either */
        return;
    ops = gen->plan.plugin->ops;
    if (ops->connector_stop)
        ops->connector_stop(gen->instance);
    gen->started = false;
}

static void refused(void *arg, const rc_refusal *refusal)
{
    (void)arg;
    rc_warn("plugins", "'%s' is %s: %s", refusal->file,
            refusal->part ? "loaded in part" : "not loaded", refusal->why.msg);
}

/* A scan probes files in child processes, which may take seconds: not for the control thread. */
void rc_generation_reload(rc_call *call)
{
    call->result =
        RC_MIN(rc_registry_scan(call->worker->setup.registry, refused, NULL, &call->err), 0);
}

void rc_generation_free(rc_generation *gen)
{
    if (!gen)
        return;
    free(gen->instance);
    rc_arena_release(&gen->arena);
    free(gen);
}
