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

/* ---- the store ---- */

typedef struct write {
    rc_store_link *link;
    rc_op *asked;
} write;

void rc_requests_unlink(rc_worker *worker)
{
    rc_store_link *link = RC_TAKE(worker->link);
    bool last;

    if (!link)
        return;
    pthread_mutex_lock(&link->mu);
    link->worker = NULL;
    last = link->writes == 0;
    pthread_mutex_unlock(&link->mu);
    if (!last)
        return;
    pthread_mutex_destroy(&link->mu);
    free(link);
}

static write *write_new(rc_worker *worker, rc_op *op)
{
    write *w = rc_calloc(1, sizeof *w);

    w->link = worker->link;
    w->asked = op;
    pthread_mutex_lock(&w->link->mu);
    w->link->writes++;
    pthread_mutex_unlock(&w->link->mu);
    LL_PREPEND(worker->writing, op);
    return w;
}

static rc_op *stored_op(const write *w, int result, const rc_stored_connector *now,
                        const rc_error *err)
{
    rc_op *op = rc_op_new(RC_OP_STORED);

    op->asked = w->asked;
    op->result = result;
    if (result < 0)
        op->err = *err;
    if (now) {
        op->stored = *now;
        op->stored.name = omc_copy(&op->arena.pub, now->name, strlen(now->name));
        op->stored.config = rc_kv_copy(now->config, &op->arena.pub);
    }
    return op;
}

/* On the control thread itself when the store writes at once: then the request goes on before the
 * next one begins. Else on the store's thread. */
static void on_stored(void *arg, int result, const rc_stored_connector *now, const rc_error *err)
{
    write *w = arg;
    rc_store_link *link = w->link;
    rc_worker *worker;
    rc_op *at_once = NULL;
    bool last;

    pthread_mutex_lock(&link->mu);
    worker = link->worker;
    if (worker && pthread_equal(pthread_self(), worker->thread))
        at_once = stored_op(w, result, now, err);
    else if (worker)
        rc_control_post(worker, stored_op(w, result, now, err));
    last = --link->writes == 0 && !worker;
    pthread_mutex_unlock(&link->mu);
    if (last) {
        pthread_mutex_destroy(&link->mu);
        free(link);
    }
    free(w);
    if (!at_once)
        return;
    rc_requests_stored(worker, at_once);
    rc_op_free(at_once);
}

static void apply_target(rc_connector *c, rc_target_state target)
{
    static const char *const words[] = {"", "resumed", "paused", "stopped"};

    if (c->target == target)
        return;
    /* Whoever resumes a stopped connector wants it to be tried again, also a stuck one. */
    if (c->target == RC_TARGET_STOPPED && c->phase == RC_IDLE)
        c->again = true;
    rc_info(c->name, "%s", words[target]);
    c->target = target;
    c->retry_ns = 0;
}

static void apply_deletion(rc_worker *worker, rc_connector *c)
{
    rc_info(c->name, "deleted; its positions stay");
    c->deleted = true;
    rc_control_changed(worker);
}

/* What the store holds becomes what is wanted; the caller converges. @return NULL: one of that name
 * has to end first, then the store is looked at again. */
static rc_connector *apply_stored(rc_worker *worker, const rc_stored_connector *stored)
{
    rc_connector *c = rc_control_find(worker, stored->name);

    if (!c) {
        c = rc_lifecycle_add(worker, stored);
        rc_info(c->name, "configuration created, version %lld", (long long)c->version);
        return c;
    }
    if (!c->deleted && c->incarnation != stored->incarnation)
        apply_deletion(worker, c);
    if (c->deleted) {
        worker->look_again = true;
        return NULL;
    }
    if (stored->version > c->version) {
        rc_lifecycle_config(worker, c, stored);
        rc_info(c->name, "configuration changed, version %lld", (long long)c->version);
    } else if (stored->version == c->version) {
        apply_target(c, stored->target);
    }
    return c;
}

static int look_at(void *arg, const rc_stored_connector *stored)
{
    rc_worker *worker = arg;
    rc_connector *c = apply_stored(worker, stored);

    if (!c)
        c = rc_control_find(worker, stored->name);
    c->seen = worker->looks;
    rc_lifecycle_converge(worker, c);
    return 0;
}

void rc_requests_look(rc_worker *worker)
{
    rc_connector *c, *next;
    rc_error err = {0};

    worker->look_again = false;
    worker->looks++;
    if (rc_store_each(worker->setup.store, look_at, worker, &err) < 0) {
        rc_error_line("worker", "the store cannot be read: %s", err.msg);
        return;
    }
    HASH_ITER(hh, worker->connectors, c, next)
    {
        if (c->deleted || c->seen == worker->looks)
            continue;
        apply_deletion(worker, c);
        rc_lifecycle_converge(worker, c);
    }
}

/* The configuration was made from the version that is there: if that is not so any more when it is
 * stored, it is made again, so that no change made meanwhile is lost. */
static void submit_config(rc_worker *worker, rc_op *op, const rc_connector *c)
{
    rc_target_state initial = op->request.initial ? op->request.initial : RC_TARGET_STARTED;

    op->created = c == NULL;
    rc_store_put(worker->setup.store, op->request.connector, op->request.config, c ? c->version : 0,
                 initial, on_stored, write_new(worker, op));
}

static void stored_config(rc_worker *worker, rc_op *op, const rc_stored_connector *stored)
{
    rc_reply answer = {.created = op->created,
                       .problems = op->call->problems.items,
                       .problem_count = op->call->problems.count};
    rc_connector *c = apply_stored(worker, stored);
    rc_call *check = op->call;

    if (c && c->version == stored->version)
        c->plugin = check->plugin;
    if (c)
        answer.connectors = rc_views_make(worker, c, &op->arena.pub, &answer.count);
    reply(op, &answer);
    rc_call_free(check);
    if (c)
        rc_lifecycle_converge(worker, c);
}

static void stored_target(rc_worker *worker, rc_op *op, const rc_stored_connector *stored)
{
    rc_connector *c = apply_stored(worker, stored);
    rc_reply answer = {0};

    if (c) {
        rc_lifecycle_converge(worker, c);
        answer.connectors = rc_views_make(worker, c, &op->arena.pub, &answer.count);
    }
    reply(op, &answer);
}

static void stored_deletion(rc_worker *worker, rc_op *op)
{
    rc_connector *c = rc_control_find(worker, op->request.connector);
    rc_reply answer = {0};

    if (c && !c->deleted)
        apply_deletion(worker, c);
    if (c)
        answer.connectors = rc_views_make(worker, c, &op->arena.pub, &answer.count);
    reply(op, &answer);
    if (c)
        rc_lifecycle_converge(worker, c);
}

static bool is_write(const rc_op *op)
{
    return op->request.kind == RC_REQUEST_CREATE || op->request.kind == RC_REQUEST_PUT ||
           op->request.kind == RC_REQUEST_PATCH;
}

void rc_requests_stored(rc_worker *worker, rc_op *op)
{
    rc_op *asked = op->asked;
    rc_error err = op->err;

    LL_DELETE(worker->writing, asked);
    if (op->result < 0 && asked->call)
        rc_call_free(RC_TAKE(asked->call));
    if (op->result == -OMC_ESTATE && is_write(asked) && asked->request.expected < 0) {
        rc_requests_look(worker);
        begin_write(worker, asked);
        return;
    }
    if (op->result < 0) {
        (void)rc_wrap(&err, op->result, "store the change of connector '%s'",
                      asked->request.connector);
        reply_error(asked, op->result, &err);
    } else if (asked->call) {
        stored_config(worker, asked, &op->stored);
    } else if (op->stored.name) {
        stored_target(worker, asked, &op->stored);
    } else {
        stored_deletion(worker, asked);
    }
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
    if (worker->look_again)
        rc_requests_look(worker);
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
    rc_requests_unlink(worker); /* answers that still come find nobody */
    while (worker->writing) {
        rc_op *op = worker->writing;

        LL_DELETE(worker->writing, op);
        if (op->call)
            rc_call_free(RC_TAKE(op->call));
        rc_requests_refuse(op, OMC_ECANCELED,
                           "the worker is stopping; the change may come into force");
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
        call->request = NULL;
        op->call = call; /* its warnings are part of the answer */
        submit_config(worker, op, c);
        return;
    }
    call->request = NULL;
    answer.problems = call->problems.items;
    answer.problem_count = call->problems.count;
    reply(op, &answer);
    rc_call_free(call);
}

/* ---- states ---- */

static void change_target(rc_worker *worker, rc_op *op, rc_target_state target)
{
    rc_error err = {0};
    rc_connector *c = find(worker, op, &err);

    if (!c) {
        reply_error(op, -err.code, &err);
    } else if (c->target != target) {
        rc_store_target(worker->setup.store, c->name, target, on_stored, write_new(worker, op));
    } else {
        rc_lifecycle_converge(worker, c);
        reply_view(worker, op, c, false);
    }
}

static void delete_connector(rc_worker *worker, rc_op *op)
{
    rc_error err = {0};
    rc_connector *c = find(worker, op, &err);

    if (c)
        rc_store_delete(worker->setup.store, c->name, on_stored, write_new(worker, op));
    else
        reply_error(op, -err.code, &err);
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

    if (c && (c->target != RC_TARGET_STOPPED || c->phase != RC_IDLE))
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
