/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests: what REST and commands ask for. Reads are answered at once; a new configuration is
 * first checked by a call (its plugin may have a say), then stored, then answered, then applied:
 * the answer means durable.
 */
#include "worker/control.h"

#include "base/diag.h"
#include "record/json.h"

#include <utlist.h>

static void reply(rc_op *op, rc_reply *answer)
{
    if (op->request.done)
        op->request.done(answer, op->request.arg);
    rc_op_free(op);
}

static void reply_error(rc_op *op, int result, const rc_error *err)
{
    rc_reply answer = {.result = result, .err = *err};

    reply(op, &answer);
}

void rc_requests_refuse(rc_op *op, int code, const char *text)
{
    rc_error err = {0};

    (void)rc_fail(&err, code, "%s", text);
    reply_error(op, -code, &err);
}

static void reply_view(rc_worker *worker, rc_op *op, rc_connector *only, bool created)
{
    rc_reply answer = {.created = created};

    answer.connectors = rc_views_make(worker, only, &op->arena.pub, &answer.count);
    reply(op, &answer);
}

static rc_connector *find(rc_worker *worker, rc_op *op, rc_error *err)
{
    rc_connector *c = rc_control_find(worker, op->request.connector);

    if (c && !c->deleted)
        return c;
    (void)rc_fail(err, OMC_ENOTFOUND,
                  "Connector [%s] does not exist; `rocketmq-connect connector list` shows those "
                  "that do",
                  op->request.connector);
    return NULL;
}

/* ---- configurations ---- */

static const omc_keyvalue *wanted_config(rc_op *op, const rc_connector *old)
{
    const rc_request *request = &op->request;
    omc_arena *arena = &op->arena.pub;
    const omc_keyvalue *config =
        rc_options_unmask(request->config, old ? old->config : NULL, arena);
    rc_kv kv;

    if (request->kind != RC_REQUEST_PATCH || !old)
        return config;
    rc_kv_init(&kv, arena);
    rc_kv_put_all(&kv, old->config);
    rc_kv_put_all(&kv, config);
    for (size_t i = 0; request->remove && request->remove[i]; i++)
        rc_kv_remove(&kv, request->remove[i]);
    return rc_kv_done(&kv);
}

static int refuse_write(const rc_request *request, const rc_connector *old,
                        const omc_keyvalue *config, rc_error *err)
{
    if (request->kind == RC_REQUEST_CREATE && old)
        return rc_fail(err, OMC_EEXIST,
                       "Connector [%s] already exists; change it with PUT or delete it first",
                       old->name);
    if (request->kind == RC_REQUEST_PATCH && !old)
        return rc_fail(err, OMC_ENOTFOUND, "Connector [%s] does not exist; create it with PUT",
                       request->connector);
    if (old && request->refuse_same && rc_kv_equal(old->config, config))
        return rc_fail(err, OMC_EEXIST,
                       "Connector with same config already exist. Nothing was changed");
    if (request->expected >= 0 && request->expected != (old ? old->version : 0))
        return rc_fail(err, OMC_ESTATE,
                       "connector '%s' has version %lld, not %lld: somebody else changed it; read "
                       "it again",
                       request->connector, (long long)(old ? old->version : 0),
                       (long long)request->expected);
    return 0;
}

static void begin_write(rc_worker *worker, rc_op *op)
{
    rc_connector *old = rc_control_find(worker, op->request.connector);
    rc_call *call;
    rc_error err = {0};
    int r;

    if (old && old->deleted)
        old = NULL;
    if (!op->given)
        op->given = op->request.config;
    op->request.config = op->given;
    op->request.config = wanted_config(op, old);
    r = op->request.kind == RC_REQUEST_VALIDATE
            ? 0
            : refuse_write(&op->request, old, op->request.config, &err);
    if (r == 0)
        r = rc_connector_name_check(op->request.connector, &err);
    if (r < 0) {
        reply_error(op, r, &err);
        return;
    }
    call = rc_call_new(worker, RC_CALL_CHECK, op->request.connector, old ? old->incarnation : 0);
    /* A copy: the request is answered and gone when the check does not return in time. */
    call->config = rc_kv_copy(op->request.config, &call->arena.pub);
    call->base_version = old ? old->version : 0;
    call->request = op;
    rc_call_submit(call, worker->setup.config->start_timeout_ms);
}

/* Stores and applies a checked configuration. */
static int write_config(rc_worker *worker, rc_op *op, const omc_plugin *plugin, rc_connector **ret,
                        bool *ret_created, rc_error *err)
{
    rc_connector *c = rc_control_find(worker, op->request.connector);
    rc_target_state initial = op->request.initial ? op->request.initial : RC_TARGET_STARTED;
    rc_stored_connector stored;
    int r;

    r = refuse_write(&op->request, c, op->request.config, err);
    if (r < 0)
        return r;
    r = rc_store_put(worker->setup.store, op->request.connector, op->request.config, -1, initial,
                     &stored, &op->arena.pub, err);
    if (r < 0)
        return rc_wrap(err, r, "store the configuration of connector '%s'", op->request.connector);
    *ret_created = c == NULL;
    if (c)
        rc_lifecycle_config(worker, c, &stored);
    else
        c = rc_lifecycle_add(worker, &stored);
    c->plugin = plugin;
    *ret = c;
    rc_info(c->name, "configuration %s, version %lld", *ret_created ? "created" : "changed",
            (long long)c->version);
    return 0;
}

/* DELETE and create at once is what scripts do: the new one waits until the old one has ended,
 * no longer than a stop may take. */
static void park(rc_worker *worker, rc_call *call)
{
    if (call->wait_deadline_ns == 0)
        call->wait_deadline_ns =
            rc_control_now(worker) + worker->setup.config->stop_timeout_ms * 1000000;
    DL_APPEND(worker->parked, call);
}

static void refuse_parked(rc_worker *worker, rc_call *call, int code, const char *text)
{
    DL_DELETE(worker->parked, call);
    rc_requests_refuse(RC_TAKE(call->request), code, text);
    rc_call_free(call);
}

void rc_requests_unpark(rc_worker *worker, const char *name)
{
    rc_call *call, *next;

    DL_FOREACH_SAFE(worker->parked, call, next)
    {
        if (strcmp(call->connector, name) != 0)
            continue;
        DL_DELETE(worker->parked, call);
        rc_requests_checked(worker, call);
    }
}

void rc_requests_timers(rc_worker *worker)
{
    int64_t now = rc_control_now(worker);
    rc_call *call, *next;

    DL_FOREACH_SAFE(worker->parked, call, next)
    {
        if (now >= call->wait_deadline_ns)
            refuse_parked(worker, call, OMC_ESTATE,
                          "a connector of this name was deleted and has not ended yet "
                          "(maxStopTimeoutMills); try again later");
    }
}

int64_t rc_requests_deadline(rc_worker *worker)
{
    int64_t deadline = INT64_MAX;
    rc_call *call;

    DL_FOREACH(worker->parked, call)
    {
        deadline = RC_MIN(deadline, call->wait_deadline_ns);
    }
    return deadline;
}

void rc_requests_abandon(rc_worker *worker)
{
    rc_call *call, *next;

    DL_FOREACH_SAFE(worker->parked, call, next)
    {
        refuse_parked(worker, call, OMC_ECANCELED, "the worker is stopping");
    }
    DL_FOREACH(worker->calls, call)
    {
        if (call->request)
            rc_requests_refuse(RC_TAKE(call->request), OMC_ECANCELED, "the worker is stopping");
    }
}

/* The configuration was made from one that is not there any more (PATCH, masked secrets): it is
 * made and checked again, so that no change made meanwhile is lost. */
static bool outdated(const rc_connector *c, const rc_call *call)
{
    return (c ? c->version : 0) != call->base_version;
}

void rc_requests_checked(rc_worker *worker, rc_call *call)
{
    rc_connector *c = rc_control_find(worker, call->connector);
    rc_reply answer = {.result = call->result, .err = call->err};
    rc_op *op = call->request;

    if (call->result == 0 && op->request.kind != RC_REQUEST_VALIDATE) {
        if (c && c->deleted) {
            park(worker, call);
            return;
        }
        if (outdated(c, call)) {
            rc_call_free(call);
            begin_write(worker, op);
            return;
        }
    }
    c = NULL;
    call->request = NULL;
    if (call->result == 0 && op->request.kind != RC_REQUEST_VALIDATE) {
        answer.result = write_config(worker, op, call->plugin, &c, &answer.created, &answer.err);
        if (answer.result == 0)
            answer.connectors = rc_views_make(worker, c, &op->arena.pub, &answer.count);
    }
    answer.problems = call->problems.items;
    answer.problem_count = call->problems.count;
    reply(op, &answer);
    rc_call_free(call);
    if (c)
        rc_lifecycle_converge(worker, c);
}

/* ---- states ---- */

static void change_target(rc_worker *worker, rc_op *op, rc_target_state target)
{
    rc_error err = {0};
    rc_connector *c = find(worker, op, &err);
    int r = c ? 0 : -err.code;

    if (c && c->target != target)
        r = rc_store_target(worker->setup.store, c->name, target, &err);
    if (r < 0) {
        reply_error(op, r, &err);
        return;
    }
    if (c->target != target) {
        /* Whoever resumes a stopped connector wants it to be tried again, also a stuck one. */
        if (c->target == RC_TARGET_STOPPED && c->phase == RC_IDLE)
            c->again = true;
        static const char *const words[] = {"", "resumed", "paused", "stopped"};

        rc_info(c->name, "%s", words[target]);
        c->target = target;
        c->retry_ns = 0;
    }
    rc_lifecycle_converge(worker, c);
    reply_view(worker, op, c, false);
}

static void delete_connector(rc_worker *worker, rc_op *op)
{
    rc_error err = {0};
    rc_connector *c = find(worker, op, &err);
    rc_reply answer = {0};
    int r = c ? rc_store_delete(worker->setup.store, c->name, &err) : -err.code;

    if (r < 0) {
        reply_error(op, r, &err);
        return;
    }
    rc_info(c->name, "deleted; its positions stay");
    c->deleted = true;
    answer.connectors = rc_views_make(worker, c, &op->arena.pub, &answer.count);
    reply(op, &answer);
    rc_lifecycle_converge(worker, c);
    rc_control_changed(worker);
}

static void restart(rc_worker *worker, rc_op *op)
{
    rc_error err = {0};
    rc_connector *c = find(worker, op, &err);
    int r = c ? 0 : -err.code;

    if (c && c->target == RC_TARGET_STOPPED)
        r = rc_fail(&err, OMC_ESTATE, "connector '%s' is stopped; resume it instead", c->name);
    if (r == 0 && op->request.kind == RC_REQUEST_RESTART_TASK)
        r = rc_lifecycle_restart_task(worker, c, op->request.task, &err);
    if (r < 0) {
        reply_error(op, r, &err);
        return;
    }
    if (op->request.kind == RC_REQUEST_RESTART)
        rc_lifecycle_restart(worker, c, op->request.only_failed);
    reply_view(worker, op, c, false);
}

/* ---- offsets ---- */

typedef struct offsets {
    omc_arena *arena;
    rc_offset_view *items;
    size_t count, cap;
} offsets;

static void add_offset(offsets *list, rc_slice partition, rc_slice offset)
{
    if (list->count == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : 16;
        rc_offset_view *items = omc_alloc(list->arena, cap * sizeof *items);

        if (list->count)
            memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->cap = cap;
    }
    list->items[list->count].partition = rc_arena_slice(list->arena, partition);
    list->items[list->count++].offset = rc_arena_slice(list->arena, offset);
}

static int each_position(void *arg, rc_slice partition, rc_slice offset)
{
    add_offset(arg, partition, offset);
    return 0;
}

static const char *group_of(const rc_connector *c, omc_arena *arena)
{
    const char *group = rc_kv_text(c->config, "task.group.id", NULL, arena);

    return group && *group ? group : rc_arena_format(arena, "connect-%s", c->name);
}

static int sink_queue_offset(rc_log *log, const char *group, rc_topic *topic, int32_t queue,
                             offsets *list, rc_error *err)
{
    omc_arena *arena = list->arena;
    const omc_map *partition =
        rc_origin_partition(rc_topic_name(topic), rc_topic_broker(topic, queue), queue, arena);
    int64_t offset;
    rc_slice state;
    int r = rc_log_committed(log, group, topic, queue, arena, &offset, &state, err);

    if (r == 0 && offset >= 0)
        add_offset(list, rc_json_of_map(partition, arena),
                   omc_slice_str(
                       rc_arena_format(arena, "{\"queueOffset\":\"%lld\"}", (long long)offset)));
    return r;
}

static int sink_offsets(rc_worker *worker, const rc_connector *c, offsets *list, rc_error *err)
{
    const char *alias = rc_kv_text(c->config, "topics", "", list->arena);
    const char *text = rc_kv_text(c->config, "connect.topicnames", alias, list->arena);
    const char *group = group_of(c, list->arena);
    char *names = omc_copy(list->arena, text, strlen(text)), *save = NULL;
    int r = 0;

    for (char *name = strtok_r(names, ";, ", &save); name && r == 0;
         name = strtok_r(NULL, ";, ", &save)) {
        rc_topic *topic;

        r = rc_log_topic(worker->setup.log, name, 0, &topic, err);
        if (r == -OMC_ENOTFOUND) {
            r = 0;
            continue;
        }
        for (int32_t q = 0; r == 0 && q < rc_topic_queues(topic); q++)
            r = sink_queue_offset(worker->setup.log, group, topic, q, list, err);
    }
    return r;
}

static void show_offsets(rc_worker *worker, rc_op *op)
{
    offsets list = {.arena = &op->arena.pub};
    rc_reply answer = {0};
    rc_connector *c = find(worker, op, &answer.err);

    answer.result = c ? 0 : -answer.err.code;
    if (c && c->plugin && c->plugin->kind == OMC_SINK)
        answer.result = sink_offsets(worker, c, &list, &answer.err);
    else if (c)
        answer.result =
            rc_log_positions(worker->setup.log, c->name, each_position, &list, &answer.err);
    answer.offsets = list.items;
    answer.offset_count = list.count;
    reply(op, &answer);
}

static void reset_offsets(rc_worker *worker, rc_op *op)
{
    rc_slice none = {0};
    rc_error err = {0};
    rc_connector *c = find(worker, op, &err);
    int r = c ? 0 : -err.code;

    if (c && (c->target != RC_TARGET_STOPPED || c->phase != RC_IDLE || !rc_slots_ended(c)))
        r = rc_fail(&err, OMC_ESTATE,
                    "connector '%s' is not stopped; stop it first (PUT /api/v1/connectors/%s/stop)",
                    c->name, c->name);
    if (r == 0)
        r = c->plugin && c->plugin->kind == OMC_SINK
                ? rc_log_group_delete(worker->setup.log, group_of(c, &op->arena.pub), &err)
                : rc_log_position_set(worker->setup.log, c->name, none, none, &err);
    if (r < 0) {
        reply_error(op, r, &err);
        return;
    }
    rc_info(c->name, "offsets reset");
    reply_view(worker, op, c, false);
}

static void reload(rc_worker *worker, rc_op *op)
{
    rc_call *call = rc_call_new(worker, RC_CALL_RELOAD, "plugins", 0);

    call->request = op;
    rc_call_submit(call, worker->setup.config->start_timeout_ms);
}

void rc_requests_reloaded(rc_call *call)
{
    rc_reply answer = {.result = call->result, .err = call->err};

    reply(RC_TAKE(call->request), &answer);
    rc_call_free(call);
}

void rc_requests_handle(rc_worker *worker, rc_op *op)
{
    rc_error err = {0};
    rc_connector *c;

    switch (op->request.kind) {
    case RC_REQUEST_LIST:
        reply_view(worker, op, NULL, false);
        return;
    case RC_REQUEST_GET:
        c = find(worker, op, &err);
        if (c)
            reply_view(worker, op, c, false);
        else
            reply_error(op, -err.code, &err);
        return;
    case RC_REQUEST_CREATE:
    case RC_REQUEST_PUT:
    case RC_REQUEST_PATCH:
    case RC_REQUEST_VALIDATE:
        begin_write(worker, op);
        return;
    case RC_REQUEST_DELETE:
        delete_connector(worker, op);
        return;
    case RC_REQUEST_PAUSE:
        change_target(worker, op, RC_TARGET_PAUSED);
        return;
    case RC_REQUEST_RESUME:
        change_target(worker, op, RC_TARGET_STARTED);
        return;
    case RC_REQUEST_STOP:
        change_target(worker, op, RC_TARGET_STOPPED);
        return;
    case RC_REQUEST_RESTART:
    case RC_REQUEST_RESTART_TASK:
        restart(worker, op);
        return;
    case RC_REQUEST_OFFSETS:
        show_offsets(worker, op);
        return;
    case RC_REQUEST_OFFSETS_RESET:
        reset_offsets(worker, op);
        return;
    case RC_REQUEST_RELOAD:
        reload(worker, op);
        return;
    }
    rc_requests_refuse(op, OMC_EUNSUPPORTED, "unknown request");
}
