/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The topic store's face: copies what it is asked into an op and wakes the thread; reads are from
 * the table, under its lock.
 */
#include "store/topic_impl.h"

#include "base/diag.h"
#include "config/options.h"

#include <sys/random.h>
#include <utlist.h>

#define WRITE_TIMEOUT_MS 30000
#define CLOSE_WAIT_MS 2000
/** Names our pulls in the brokers' lists. */
#define GROUP "CID_RMQ_C_STATE"

static rc_topic_store *store_of(rc_store *base)
{
    return RC_CONTAINER(base, rc_topic_store, base);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static const char *copy_text(const char *text, omc_arena *arena)
{
    return text ? omc_copy(arena, text, strlen(text)) : NULL;
}

static rc_topic_op *op_new(rc_topic_store *store, rc_topic_op_kind kind, const char *name)
{
    rc_topic_op *op = rc_calloc(1, sizeof *op);

    rc_arena_init(&op->arena, 1024);
    op->store = store;
    op->kind = kind;
    op->name = copy_text(name, &op->arena.pub);
    op->deadline_ns = rc_mono_ns(store->config.clock) + store->config.write_timeout_ms * 1000000;
    return op;
}

static void refuse(rc_topic_op *op, int result, const rc_error *err)
{
    if (op->done)
        op->done(op->arg, result, NULL, err);
    rc_topic_op_free(op);
}

/* [mu] */
static void outdate_states(rc_topic_store *store, const rc_topic_op *newer)
{
    rc_topic_op *op;

    DL_FOREACH(store->ops, op)
    {
        if (op->kind == RC_TOPIC_STATE && op->task == newer->task &&
            strcmp(op->name, newer->name) == 0)
            op->stale = true;
    }
}

static void post(rc_topic_store *store, rc_topic_op *op)
{
    rc_error err = {0};
    int r = 0;

    (void)pthread_mutex_lock(&store->mu);
    if (store->end)
        r = rc_fail(&err, OMC_ECANCELED, "the worker is stopping");
    else if (store->op_count >= RC_TOPIC_OPS_MAX)
        r = rc_fail_retriable(&err, OMC_EAGAIN,
                              "%d changes wait for the brokers already; try again later",
                              RC_TOPIC_OPS_MAX);
    else if (store->health.code && op->kind != RC_TOPIC_STATE) {
        err = store->health;
        r = -err.code;
    }
    if (r == 0) {
        if (op->kind == RC_TOPIC_STATE)
            outdate_states(store, op);
        DL_APPEND(store->ops, op);
        store->op_count++;
    }
    (void)pthread_mutex_unlock(&store->mu);
    if (r < 0)
        refuse(op, r, &err);
    else
        rmq_consumer_wake(store->consumer);
}

static void topic_submit(rc_store *base, const rc_store_write *write)
{
    static const rc_topic_op_kind kinds[] = {[RC_WRITE_PUT] = RC_TOPIC_PUT,
                                             [RC_WRITE_TARGET] = RC_TOPIC_TARGET,
                                             [RC_WRITE_DELETE] = RC_TOPIC_DELETE};
    rc_topic_store *store = store_of(base);
    rc_topic_op *op = op_new(store, kinds[write->kind], write->name);

    op->config = write->config ? rc_kv_copy(write->config, &op->arena.pub) : NULL;
    op->expected = write->expected;
    op->target = write->target;
    op->done = write->done;
    op->arg = write->arg;
    post(store, op);
}

void rc_topic_store_tasks(rc_topic_store *store, const char *connector,
                          const rc_stored_tasks *tasks, rc_stored_done_fn *done, void *arg)
{
    rc_topic_op *op = op_new(store, RC_TOPIC_TASKS, connector);
    const omc_keyvalue **list;

    RC_ASSERT(tasks->generation >= 0 && tasks->number >= 0);
    op->done = done;
    op->arg = arg;
    op->tasks = *tasks;
    if (tasks->count > RC_SHARED_TASKS_MAX) {
        rc_error err = {0};
        int r = rc_fail(&err, OMC_EINVAL, "connector '%s' has %zu tasks, at most %d are possible",
                        connector, tasks->count, RC_SHARED_TASKS_MAX);

        refuse(op, r, &err);
        return;
    }
    list = omc_alloc(&op->arena.pub, (tasks->count + 1) * sizeof *list);
    for (size_t i = 0; i < tasks->count; i++)
        list[i] = rc_kv_copy(tasks->tasks[i], &op->arena.pub);
    op->tasks.tasks = list;
    post(store, op);
}

void rc_topic_store_state(rc_topic_store *store, const char *connector, int task, const char *java,
                          const char *state, const char *trace, int64_t generation)
{
    rc_topic_op *op = op_new(store, RC_TOPIC_STATE, connector);

    RC_ASSERT(java && task >= -1 && generation >= 0);
    op->task = task;
    op->java = copy_text(java, &op->arena.pub);
    op->state = copy_text(state, &op->arena.pub);
    op->trace = copy_text(trace, &op->arena.pub);
    op->generation = generation;
    post(store, op);
}

/* ---- reading --------------------------------------------------------------------------------- */

typedef struct listing {
    rc_arena arena;
    rc_stored_connector *items;
    size_t count, cap;
} listing;

static int add_live(void *arg, const rc_shared_connector *c)
{
    listing *list = arg;

    if (c->deleted)
        return 0;
    if (list->count == list->cap) {
        list->cap = list->cap ? 2 * list->cap : 64;
        list->items = rc_realloc(list->items, list->cap * sizeof *list->items);
    }
    list->items[list->count++] =
        (rc_stored_connector){.name = copy_text(c->name, &list->arena.pub),
                              .config = rc_kv_copy(c->config, &list->arena.pub),
                              .target = c->target,
                              .version = c->version,
                              .incarnation = c->incarnation,
                              .changed_ms = c->changed_ms};
    return 0;
}

static int topic_each(rc_store *base, rc_stored_fn *each, void *arg, rc_error *err)
{
    rc_topic_store *store = store_of(base);
    listing list = {0};
    int r = 0;

    (void)err;
    rc_arena_init(&list.arena, 16384);
    (void)pthread_mutex_lock(&store->mu);
    (void)rc_shared_each(store->shared, add_live, &list);
    (void)pthread_mutex_unlock(&store->mu);
    for (size_t i = 0; i < list.count && r == 0; i++)
        r = each(arg, &list.items[i]);
    free(list.items);
    rc_arena_release(&list.arena);
    return r;
}

int rc_topic_store_tasks_get(rc_topic_store *store, const char *connector, omc_arena *arena,
                             rc_stored_tasks *ret, rc_error *err)
{
    const rc_shared_connector *c;
    const omc_keyvalue **list;
    int r = 0;

    (void)pthread_mutex_lock(&store->mu);
    c = rc_shared_find(store->shared, connector);
    if (!c || c->deleted) {
        r = rc_store_unknown(connector, err);
    } else if (!c->tasks) {
        r = rc_fail(err, OMC_ENOTFOUND, "connector '%s' has no task configurations yet", connector);
    } else {
        list = omc_alloc(arena, (c->task_count + 1) * sizeof *list);
        for (size_t i = 0; i < c->task_count; i++)
            list[i] = rc_kv_copy(c->tasks[i], arena);
        *ret = (rc_stored_tasks){.incarnation = c->incarnation,
                                 .version = c->tasks_version,
                                 .generation = c->generation,
                                 .number = c->number,
                                 .tasks = list,
                                 .count = c->task_count};
    }
    (void)pthread_mutex_unlock(&store->mu);
    return r;
}

typedef struct each_state {
    void (*each)(void *arg, const rc_shared_state *state);
    void *arg;
} each_state;

static int one_state(void *arg, const rc_shared_state *state)
{
    const each_state *e = arg;

    e->each(e->arg, state);
    return 0;
}

void rc_topic_store_states(rc_topic_store *store, void (*each)(void *arg, const rc_shared_state *),
                           void *arg)
{
    each_state e = {each, arg};

    (void)pthread_mutex_lock(&store->mu);
    (void)rc_shared_each_state(store->shared, one_state, &e);
    (void)pthread_mutex_unlock(&store->mu);
}

bool rc_topic_store_has(rc_topic_store *store, const char *connector)
{
    const rc_shared_connector *found;
    bool has;

    (void)pthread_mutex_lock(&store->mu);
    found = rc_shared_find(store->shared, connector);
    has = found && !found->deleted;
    (void)pthread_mutex_unlock(&store->mu);
    return has;
}

static const char *copied(omc_arena *arena, const char *text)
{
    return text ? omc_copy(arena, text, strlen(text)) : NULL;
}

bool rc_topic_store_state_get(rc_topic_store *store, const char *connector, int task,
                              omc_arena *arena, rc_shared_state *ret)
{
    const rc_shared_state *found;

    (void)pthread_mutex_lock(&store->mu);
    found = rc_shared_state_find(store->shared, connector, task);
    if (found) {
        *ret = *found;
        ret->connector = copied(arena, found->connector);
        ret->java = copied(arena, found->java);
        ret->state = copied(arena, found->state);
        ret->trace = copied(arena, found->trace);
        ret->worker = copied(arena, found->worker);
    }
    (void)pthread_mutex_unlock(&store->mu);
    return found != NULL;
}

int rc_topic_store_health(rc_topic_store *store, rc_error *err)
{
    int r;

    (void)pthread_mutex_lock(&store->mu);
    r = -store->health.code;
    if (r && err)
        *err = store->health;
    (void)pthread_mutex_unlock(&store->mu);
    return r;
}

void rc_topic_store_export(rc_topic_store *store, rc_topic_mask_fn *mask, void *arg, rc_buf *out)
{
    const rc_snapshot head = {.topic = store->config.config_topic};

    (void)pthread_mutex_lock(&store->mu);
    rc_snapshot_write(store->shared, &head, mask, arg, out);
    (void)pthread_mutex_unlock(&store->mu);
}

/* ---- writing again, from outside ------------------------------------------------------------- */

/* [mu] Has the thread write again, and waits until the client has told what became of it. */
static void keep_and_wait(rc_topic_store *store, int64_t now_ms)
{
    store->keep = true;
    store->keep_now_ms = now_ms;
    rmq_consumer_wake(store->consumer);
    while (store->keep || store->again_pending)
        (void)pthread_cond_wait(&store->cond, &store->mu);
}

void rc_topic_store_keep(rc_topic_store *store, int64_t now_ms)
{
    (void)pthread_mutex_lock(&store->mu);
    keep_and_wait(store, now_ms);
    (void)pthread_mutex_unlock(&store->mu);
}

int rc_topic_store_seed(rc_topic_store *store, rc_shared *from, rc_error *err)
{
    int count, r;

    (void)pthread_mutex_lock(&store->mu);
    store->again_failed = 0;
    count = rc_shared_merge(store->shared, from, true);
    store->version++;
    if (count)
        keep_and_wait(store, rc_now_ms(store->config.clock));
    r = store->again_failed;
    if (r < 0 && err)
        *err = store->again_err;
    (void)pthread_mutex_unlock(&store->mu);
    return r < 0 ? rc_wrap(err, r, "write to topic '%s'", store->config.config_topic) : count;
}

static void topic_watch(rc_store *base, void (*changed)(void *arg), void *arg)
{
    rc_topic_store *store = store_of(base);

    (void)pthread_mutex_lock(&store->watch_mu);
    store->changed = changed;
    store->changed_arg = arg;
    (void)pthread_mutex_unlock(&store->watch_mu);
}

/* ---- opening and closing --------------------------------------------------------------------- */

static void stop_thread(rc_topic_store *store)
{
    if (!store->started)
        return;
    (void)pthread_mutex_lock(&store->mu);
    store->end = true;
    (void)pthread_mutex_unlock(&store->mu);
    rmq_consumer_wake(store->consumer);
    (void)pthread_join(store->thread, NULL);
    rc_topic_save(store);
}

static void cancel_ops(rc_topic_store *store)
{
    rc_error err = {0};
    int r = rc_fail(&err, OMC_ECANCELED, "the worker is stopping; the change may come into force");

    (void)pthread_mutex_lock(&store->mu);
    while (store->ops)
        rc_topic_op_fail(store, store->ops, r, &err);
    (void)pthread_mutex_unlock(&store->mu);
}

static void free_queues(rc_topic_store *store)
{
    for (size_t i = 0; i < store->queue_count; i++) {
        free(store->queues[i].topic);
        free(store->queues[i].broker);
    }
    free(store->queues);
}

static char *own(const char *text)
{
    return text ? rc_strdup(text) : NULL;
}

static void drop(const char *text)
{
    free((char *)(uintptr_t)text);
}

static void topic_close(rc_store *base)
{
    rc_topic_store *store = store_of(base);

    stop_thread(store);
    cancel_ops(store);
    rmq_producer_close(store->producer, CLOSE_WAIT_MS);
    rmq_consumer_close(store->consumer);
    free_queues(store);
    rc_shared_free(store->shared);
    rc_arena_release(&store->arena);
    (void)pthread_cond_destroy(&store->cond);
    (void)pthread_mutex_destroy(&store->mu);
    (void)pthread_mutex_destroy(&store->watch_mu);
    drop(store->config.config_topic);
    drop(store->config.status_topic);
    drop(store->config.snapshot);
    drop(store->config.worker);
    free(store);
}

static const rc_store_ops topic_ops = {
    .close = topic_close,
    .each = topic_each,
    .submit = topic_submit,
    .watch = topic_watch,
};

static rc_topic_store *make(const rc_topic_store_config *config)
{
    rc_topic_store *store = rc_calloc(1, sizeof *store);
    uint64_t random[2] = {0};

    store->base.ops = &topic_ops;
    store->base.clock = config->clock;
    store->config = *config;
    store->config.config_topic = own(config->config_topic);
    store->config.status_topic = own(config->status_topic);
    store->config.snapshot = own(config->snapshot);
    store->config.worker = own(config->worker);
    if (store->config.write_timeout_ms == 0)
        store->config.write_timeout_ms = WRITE_TIMEOUT_MS;
    store->shared = rc_shared_new();
    store->version = 1; /* what is read at first is not in the file */
    RC_ASSERT(getrandom(random, sizeof random, 0) == (ssize_t)sizeof random);
    (void)snprintf(store->writer, sizeof store->writer, "%016llx%016llx",
                   (unsigned long long)random[0], (unsigned long long)random[1]);
    (void)pthread_mutex_init(&store->mu, NULL);
    (void)pthread_mutex_init(&store->watch_mu, NULL);
    rc_cond_init(&store->cond);
    rc_arena_init(&store->arena, 65536);
    return store;
}

static int load(const rc_topic_store *store, rc_shared *file, omc_arena *arena, rc_snapshot *ret,
                rc_error *err)
{
    int r = store->config.snapshot ? rc_snapshot_load(store->config.snapshot, file, arena, ret, err)
                                   : 0;

    if (r == -OMC_ENOTFOUND) {
        *err = (rc_error){0};
        r = 0;
    }
    if (r == 0 && ret->topic && *ret->topic && strcmp(ret->topic, store->config.config_topic) != 0)
        r = rc_fail(err, OMC_ESTATE,
                    "'%s' is of topic '%s', and configStoreTopic is '%s': set the old one, or move "
                    "the file away",
                    store->config.snapshot, ret->topic, store->config.config_topic);
    return r < 0 ? rc_wrap(err, r, "state of the cluster, as this worker last knew it") : 0;
}

static int open_client(rc_topic_store *store, rc_error *err)
{
    const rmq_consumer_config consumer = {.group = GROUP, .buffer_bytes = (size_t)4 << 20};
    const rmq_producer_config producer = {
        .delivery_timeout_ms = store->config.write_timeout_ms,
        .pending_bytes_max = (size_t)64 << 20,
    };
    int r = rmq_consumer_open(store->config.client, &consumer, &store->consumer, err);

    return r < 0 ? r : rmq_producer_open(store->config.client, &producer, &store->producer, err);
}

static int open_store(rc_topic_store *store, rc_error *err)
{
    RC_AUTO(rc_shared) file = rc_shared_new();
    rc_snapshot snapshot = {0};
    rc_arena arena;
    int r;

    rc_arena_init(&arena, 65536);
    r = load(store, file, &arena.pub, &snapshot, err);
    if (r == 0)
        r = open_client(store, err);
    if (r == 0)
        r = rc_topic_find(store, &snapshot, err);
    if (r == 0)
        r = rc_topic_read_all(store, &snapshot, err);
    if (r == 0) {
        int count = rc_shared_merge(store->shared, file, false);

        if (count)
            rc_info(RC_TOPIC_COMPONENT,
                    "%d connectors of '%s' are newer than in topic '%s' and are written again",
                    count, store->config.snapshot, store->config.config_topic);
    }
    if (r == 0)
        r = rc_thread_start(&store->thread, "rc-state", 0, rc_topic_main, store, err);
    store->started = r == 0;
    rc_arena_release(&arena);
    return r;
}

int rc_topic_store_open(const rc_topic_store_config *config, rc_topic_store **ret, rc_error *err)
{
    rc_topic_store *store = make(config);
    rc_error local = {0};
    int r = open_store(store, &local);

    if (r < 0) {
        topic_close(&store->base);
        if (err)
            *err = local;
        return rc_wrap(err, r, "state of the cluster");
    }
    *ret = store;
    return 0;
}

rc_store *rc_topic_store_base(rc_topic_store *store)
{
    return &store->base;
}
