/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that runs the machine: takes events in the order they came, lets time pass, carries
 * out the actions, sleeps until the next of either.
 */
#include "distributed/impl.h"

#include "base/clock.h"

#include <inttypes.h>
#include <sys/random.h>

#define TIMEOUT_MS 3000
/* The store tells of changes one by one; the catalogue is made for all that come within this. */
#define GATHER_MS 20
/* While tasks of an older record are owned, how often to look whether they are free. */
#define HELD_BACK_MS 100
/* How often to see whether the lease is in use. */
#define LEASE_LOOK_MS 400

int64_t rc_cluster_now(void)
{
    return rc_boot_ns() / 1000000;
}

rc_event *rc_event_new(rc_event_kind kind)
{
    rc_event *event = rc_calloc(1, sizeof *event);

    rc_arena_init(&event->arena, 1024);
    event->kind = kind;
    return event;
}

void rc_event_free(rc_event *event)
{
    rc_arena_release(&event->arena);
    free(event);
}

void rc_cluster_post(rc_cluster *cluster, rc_event *event)
{
    pthread_mutex_lock(&cluster->mu);
    if (cluster->last)
        cluster->last->next = event;
    else
        cluster->first = event;
    cluster->last = event;
    pthread_cond_broadcast(&cluster->cond);
    pthread_mutex_unlock(&cluster->mu);
}

/* ---- who calls from elsewhere ---------------------------------------------------------------- */

static void link_happened(void *arg, rc_event *event)
{
    rc_cluster_post(arg, event);
}

static void want_lease(void *arg)
{
    rc_cluster_post(arg, rc_event_new(RC_EVENT_WANT_LEASE));
}

static void on_report(void *arg, const rc_unit_report *report)
{
    rc_event *event = rc_event_new(RC_EVENT_REPORT);

    event->report = *report;
    event->report.connector =
        omc_copy(&event->arena.pub, report->connector, strlen(report->connector));
    if (report->err) {
        event->err = *report->err;
        event->report.err = &event->err;
    }
    rc_cluster_post(arg, event);
}

void rc_cluster_changed(rc_cluster *cluster)
{
    bool due;

    pthread_mutex_lock(&cluster->mu);
    due = cluster->catalog_due;
    cluster->catalog_due = true;
    pthread_mutex_unlock(&cluster->mu);
    if (!due)
        rc_cluster_post(cluster, rc_event_new(RC_EVENT_CATALOG));
}

void rc_cluster_drain(rc_cluster *cluster, bool on)
{
    rc_event *event = rc_event_new(RC_EVENT_DRAIN);

    event->on = on;
    rc_cluster_post(cluster, event);
}

/* ---- task records ---------------------------------------------------------------------------- */

typedef struct putting {
    void (*done)(void *done_arg, int result, const rc_error *err);
    void *done_arg;
    rc_cluster *cluster;
} putting;

static void put_done(void *arg, int result, const rc_stored_connector *now, const rc_error *err)
{
    putting *p = arg;

    (void)now;
    p->done(p->done_arg, result, err);
    if (result == 0)
        rc_cluster_changed(p->cluster);
    free(p);
}

static void book_put(void *arg, const char *connector, const rc_task_record *record,
                     void (*done)(void *done_arg, int result, const rc_error *err), void *done_arg)
{
    rc_cluster *cluster = arg;
    const rc_stored_tasks tasks = {.incarnation = record->incarnation,
                                   .version = record->version,
                                   .generation = record->generation,
                                   .number = record->number,
                                   .tasks = record->tasks,
                                   .count = record->count};
    putting *p = rc_malloc(sizeof *p);

    *p = (putting){done, done_arg, cluster};
    rc_topic_store_tasks(cluster->config.store, connector, &tasks, put_done, p);
}

static bool book_find(void *arg, const char *connector, omc_arena *arena, rc_task_record *ret)
{
    const rc_cluster *cluster = arg;
    rc_stored_tasks tasks;
    rc_error err = {0};

    if (rc_topic_store_tasks_get(cluster->config.store, connector, arena, &tasks, &err) < 0)
        return false;
    *ret = (rc_task_record){.generation = tasks.generation,
                            .number = tasks.number,
                            .version = tasks.version,
                            .incarnation = tasks.incarnation,
                            .tasks = tasks.tasks,
                            .count = tasks.count};
    return true;
}

/* ---- the catalogue --------------------------------------------------------------------------- */

static void make_catalog(rc_cluster *cluster, int64_t now_ms)
{
    rc_catalog catalog;
    rc_error err = {0};

    cluster->catalog_ms = 0;
    pthread_mutex_lock(&cluster->mu);
    cluster->catalog_due = false;
    pthread_mutex_unlock(&cluster->mu);
    if (rc_catalog_make(cluster->config.store, rc_membership_fold(cluster->machine), &catalog,
                        &err) < 0) {
        rc_warn(RC_CLUSTER_COMPONENT, "the list of connectors cannot be read, next try in 1 s: %s",
                err.msg);
        cluster->catalog_ms = now_ms + 1000;
    } else {
        rc_membership_catalog(cluster->machine, now_ms, catalog.units, catalog.count);
        if (catalog.held_back)
            cluster->catalog_ms = now_ms + HELD_BACK_MS;
    }
    rc_catalog_release(&catalog);
    rc_units_look_at_records(cluster);
}

/* ---- hints ----------------------------------------------------------------------------------- */

/* Open sessions whose process is not in the broker's list any more. */
static void compare_members(rc_cluster *cluster, const rc_event *event, int64_t now_ms)
{
    const rc_fold *fold = rc_membership_fold(cluster->machine);
    rc_fold_worker *worker = NULL;

    while ((worker = rc_fold_next_worker(fold, worker))) {
        char member[RC_OWN_NAME_MAX + 32];
        bool there = false;

        if (worker->closed >= 0 || worker->incarnation == cluster->incarnation)
            continue;
        (void)snprintf(member, sizeof member, "%s@%016" PRIx64, worker->name, worker->incarnation);
        for (size_t i = 0; i < event->count && !there; i++)
            there = strcmp(event->names[i], member) == 0;
        if (!there)
            rc_membership_suspect(cluster->machine, now_ms, worker->name, RC_SUSPECT_LIST);
    }
}

/* Workers of the Java runtime start tasks without asking anybody: beside them nothing can be run
 * once. */
static void look_at_foreign(rc_cluster *cluster, const rc_event *event, int64_t now_ms)
{
    bool there = event->count > 0;

    if (there == cluster->foreign)
        return;
    cluster->foreign = there;
    if (there)
        rc_diag(OMC_ERROR, RC_CLUSTER_COMPONENT,
                "%zu worker%s of the Java runtime (%s%s) in cluster '%s': this worker runs nothing "
                "while they are there, because they start tasks that others run; stop them, and it "
                "goes on by itself",
                event->count, event->count == 1 ? " is" : "s are", event->text,
                event->count == 1 ? "" : ", ...", cluster->config.cluster);
    else
        rc_info(RC_CLUSTER_COMPONENT,
                "the workers of the Java runtime have gone; this one takes part again");
    rc_membership_drain(cluster->machine, now_ms, cluster->drain_asked || there);
}

/* ---- events ---------------------------------------------------------------------------------- */

static void handle(rc_cluster *cluster, rc_event *event, int64_t now)
{
    rc_membership *m = cluster->machine;

    switch (event->kind) {
    case RC_EVENT_UP:
        rc_membership_connected(m, now, event->conn);
        break;
    case RC_EVENT_DOWN:
        if (event->err.code)
            rc_debug(RC_CLUSTER_COMPONENT, "no connection to the ownership log: %s",
                     event->err.msg);
        rc_membership_disconnected(m, now, event->conn);
        break;
    case RC_EVENT_RECORDS:
        rc_membership_records(m, now, event->conn, event->number, event->bodies, event->count);
        break;
    case RC_EVENT_BEYOND:
        rc_membership_records_beyond(m, now, event->conn, event->number);
        break;
    case RC_EVENT_BELOW:
        rc_membership_records_below(m, now, event->conn, event->number);
        break;
    case RC_EVENT_PINGED:
        rc_membership_pinged(m, now, event->conn, event->id, event->number);
        break;
    case RC_EVENT_APPENDED:
        rc_membership_appended(m, now, event->conn, event->id, event->outcome, event->number);
        break;
    case RC_EVENT_MEMBERS:
        compare_members(cluster, event, now);
        break;
    case RC_EVENT_REPORT:
        rc_units_report(cluster, event, now);
        break;
    case RC_EVENT_NOT_HERE:
        if (event->on)
            rc_membership_drained(m, now, event->unit, event->number);
        else
            rc_membership_stopped(m, now, event->unit, event->number, true);
        break;
    case RC_EVENT_WANT_LEASE:
        rc_membership_need_lease(m, now);
        cluster->lease_look_ms = now + LEASE_LOOK_MS;
        break;
    case RC_EVENT_CATALOG:
        if (!cluster->catalog_ms || cluster->catalog_ms > now + GATHER_MS)
            cluster->catalog_ms = now + GATHER_MS;
        break;
    case RC_EVENT_FOREIGN:
        look_at_foreign(cluster, event, now);
        break;
    case RC_EVENT_DRAIN:
        cluster->drain_asked = event->on;
        rc_membership_drain(m, now, cluster->drain_asked || cluster->foreign);
        break;
    case RC_EVENT_LEAVE:
        rc_membership_leave(m, now, event->number);
        break;
    }
}

/* ---- actions --------------------------------------------------------------------------------- */

static void ended(rc_cluster *cluster, const rc_action *action)
{
    rc_error err = {0};

    cluster->exited = true;
    rc_lease_set(&cluster->lease, 0);
    rc_units_suspend(cluster, "this worker is no member of the cluster any more");
    pthread_mutex_lock(&cluster->mu);
    cluster->left = true;
    pthread_cond_broadcast(&cluster->cond);
    pthread_mutex_unlock(&cluster->mu);
    if (action->code == RC_EXIT_LEFT)
        return;
    (void)rc_fail(&err, OMC_ESTATE, "%s", action->text);
    cluster->config.ended(cluster->config.arg, &err);
}

static void tell(const rc_action *action)
{
    switch (action->level) {
    case RC_TELL_INFO:
        rc_info(RC_CLUSTER_COMPONENT, "%s", action->text);
        break;
    case RC_TELL_WARN:
        rc_warn(RC_CLUSTER_COMPONENT, "%s", action->text);
        break;
    case RC_TELL_ERROR:
        rc_diag(OMC_ERROR, RC_CLUSTER_COMPONENT, "%s", action->text);
        break;
    }
}

static void connect_home(rc_cluster *cluster, uint64_t conn)
{
    RC_AUTO_FREE char *topic = rc_home_topic(cluster->config.cluster, cluster->epoch);

    rc_link_connect(cluster->link, conn, topic, cluster->home);
}

static void perform(rc_cluster *cluster, const rc_action *a)
{
    rc_link *link = cluster->link;

    switch (a->kind) {
    case RC_ACTION_CONNECT:
        connect_home(cluster, a->conn);
        break;
    case RC_ACTION_DISCONNECT:
        rc_debug(RC_CLUSTER_COMPONENT, "leaves its connection to the ownership log: %s", a->text);
        rc_link_disconnect(link, a->conn);
        break;
    case RC_ACTION_READ:
        rc_link_read(link, a->conn, a->offset);
        break;
    case RC_ACTION_PING:
        rc_link_ping(link, a->conn, a->id);
        break;
    case RC_ACTION_APPEND:
        rc_link_append(link, a->conn, a->id, a->body);
        break;
    case RC_ACTION_LEASE:
        rc_lease_set(&cluster->lease, a->until_ms * 1000000);
        break;
    case RC_ACTION_WITNESS:
        /* The log looks itself, on the task's thread, before anything else (rc_log_take_over(),
         * rc_log_verify()), and an OUTRANKED comes of it: here is nothing to wait for. */
        rc_membership_witnessed(cluster->machine, rc_cluster_now(), a->id, -1);
        break;
    case RC_ACTION_START:
        rc_units_start(cluster, a);
        break;
    case RC_ACTION_SUSPEND:
        rc_units_suspend(cluster, a->text);
        break;
    case RC_ACTION_RESUME:
        rc_units_resume(cluster, a);
        break;
    case RC_ACTION_DRAIN:
        rc_units_drain_one(cluster, a);
        break;
    case RC_ACTION_STOP:
        rc_units_stop(cluster, a);
        break;
    case RC_ACTION_MOVE:
        cluster->epoch = a->epoch;
        free(cluster->home);
        cluster->home = rc_strdup(a->text);
        break;
    case RC_ACTION_EXIT:
        ended(cluster, a);
        break;
    case RC_ACTION_TELL:
        tell(a);
        break;
    }
}

/* ---- the thread ------------------------------------------------------------------------------ */

static rc_event *take_events(rc_cluster *cluster, int64_t until_ms, bool *ret_end)
{
    rc_clock *clock = rc_clock_real();
    rc_event *events;

    pthread_mutex_lock(&cluster->mu);
    while (!cluster->first && !cluster->end) {
        int64_t left_ms = until_ms - rc_cluster_now();

        if (left_ms <= 0)
            break;
        (void)clock->wait(clock, &cluster->cond, &cluster->mu,
                          rc_mono_ns(clock) + RC_MIN(left_ms, 3600000) * 1000000);
    }
    events = cluster->first;
    cluster->first = cluster->last = NULL;
    *ret_end = cluster->end;
    pthread_mutex_unlock(&cluster->mu);
    return events;
}

static int64_t due(rc_cluster *cluster, int64_t now_ms)
{
    int64_t until = cluster->exited ? INT64_MAX : rc_membership_wake(cluster->machine);

    if (!cluster->exited)
        until = RC_MIN(until, rc_units_again(cluster, now_ms));
    if (cluster->catalog_ms)
        until = RC_MIN(until, cluster->catalog_ms);
    if (cluster->lease_look_ms)
        until = RC_MIN(until, cluster->lease_look_ms);
    return until;
}

static void look_at_lease(rc_cluster *cluster, int64_t now_ms)
{
    if (!cluster->lease_look_ms || cluster->lease_look_ms > now_ms)
        return;
    cluster->lease_look_ms = 0;
    if (rc_lease_used(&cluster->lease)) {
        rc_membership_need_lease(cluster->machine, now_ms);
        cluster->lease_look_ms = now_ms + LEASE_LOOK_MS;
    }
}

static void work(rc_cluster *cluster, rc_event *events)
{
    rc_action action;

    pthread_mutex_lock(&cluster->machine_mu);
    while (events) {
        rc_event *event = events;

        events = event->next;
        if (!cluster->exited)
            handle(cluster, event, rc_cluster_now());
        rc_event_free(event);
        while (!cluster->exited && rc_membership_next(cluster->machine, &action))
            perform(cluster, &action);
    }
    if (!cluster->exited) {
        int64_t now = rc_cluster_now();

        look_at_lease(cluster, now);
        if (cluster->catalog_ms && cluster->catalog_ms <= now)
            make_catalog(cluster, now);
        rc_membership_tick(cluster->machine, now);
    }
    while (!cluster->exited && rc_membership_next(cluster->machine, &action))
        perform(cluster, &action);
    pthread_mutex_unlock(&cluster->machine_mu);
}

static void *run(void *arg)
{
    rc_cluster *cluster = arg;
    bool end = false;

    while (!end) {
        rc_event *events = take_events(cluster, due(cluster, rc_cluster_now()), &end);

        work(cluster, events);
    }
    return NULL;
}

/* ---- life ------------------------------------------------------------------------------------ */

static uint64_t random_bits(void *arg)
{
    uint64_t bits;

    (void)arg;
    RC_ASSERT(getrandom(&bits, sizeof bits, 0) == (ssize_t)sizeof bits);
    return bits;
}

static int new_machine(rc_cluster *cluster, rc_error *err)
{
    const rc_cluster_config *c = &cluster->config;
    const rc_member_config config = {
        .cluster = c->cluster,
        .name = c->worker_id,
        .incarnation = cluster->incarnation,
        .about = {.url = c->url, .labels = c->labels, .version = c->version, .weight = c->weight},
        .epoch = cluster->epoch,
        .home = cluster->home,
        .timers = c->timers,
        .random = random_bits};

    return rc_membership_new(&config, rc_cluster_now(), &cluster->machine, err);
}

static rc_cluster *allocate(const rc_cluster_config *config)
{
    rc_cluster *cluster = rc_calloc(1, sizeof *cluster);

    cluster->config = *config;
    cluster->ruler = (rc_ruler){.book = {book_put, book_find, cluster},
                                .elsewhere = rc_cluster_elsewhere,
                                .report = on_report,
                                .arg = cluster};
    cluster->again_ms = INT64_MAX;
    while (cluster->incarnation == 0)
        cluster->incarnation = random_bits(NULL);
    pthread_mutex_init(&cluster->mu, NULL);
    pthread_mutex_init(&cluster->machine_mu, NULL);
    rc_cond_init(&cluster->cond);
    rc_lease_init(&cluster->lease, want_lease, cluster);
    cluster->member = rc_format("%s@%016" PRIx64, config->worker_id, cluster->incarnation);
    cluster->group = rc_format("%s-members", config->cluster);
    return cluster;
}

int rc_cluster_new(const rc_cluster_config *config, rc_cluster **ret, rc_error *err)
{
    RC_AUTO(rc_cluster) cluster = allocate(config);
    const rc_link_config link = {.client = config->client,
                                 .group = cluster->group,
                                 .member = cluster->member,
                                 .foreign = config->cluster,
                                 .timeout_ms = TIMEOUT_MS,
                                 .happened = link_happened,
                                 .arg = cluster};
    int r = rc_timers_check(&config->timers, err);

    r = r < 0 ? r : rc_home_find(config, &cluster->epoch, &cluster->home, err);
    r = r < 0 ? r : new_machine(cluster, err);
    if (r < 0)
        return r;
    cluster->link = rc_link_new(&link);
    *ret = RC_TAKE(cluster);
    return 0;
}

const rc_ruler *rc_cluster_ruler(rc_cluster *cluster)
{
    return &cluster->ruler;
}

uint64_t rc_cluster_incarnation(const rc_cluster *cluster)
{
    return cluster->incarnation;
}

int rc_cluster_join(rc_cluster *cluster, rc_worker *worker, rc_error *err)
{
    int r;

    cluster->worker = worker;
    rc_cluster_changed(cluster);
    r = rc_thread_start(&cluster->thread, "rc-cluster", 1 << 20, run, cluster, err);
    cluster->started = r == 0;
    return r;
}

void rc_cluster_leave(rc_cluster *cluster, int64_t wait_ms)
{
    rc_clock *clock = rc_clock_real();
    int64_t end_ns = rc_mono_ns(clock) + (wait_ms + 5000) * 1000000;
    rc_event *event;

    if (!cluster->started)
        return;
    event = rc_event_new(RC_EVENT_LEAVE);
    event->number = wait_ms;
    rc_cluster_post(cluster, event);
    pthread_mutex_lock(&cluster->mu);
    while (!cluster->left && clock->wait(clock, &cluster->cond, &cluster->mu, end_ns) == 0)
        ;
    if (!cluster->left)
        rc_warn(RC_CLUSTER_COMPONENT,
                "the others were not told that this worker leaves; they will notice within "
                "session.timeout.ms");
    pthread_mutex_unlock(&cluster->mu);
}

void rc_cluster_halt(rc_cluster *cluster)
{
    if (!cluster->started)
        return;
    pthread_mutex_lock(&cluster->mu);
    cluster->end = true;
    pthread_cond_broadcast(&cluster->cond);
    pthread_mutex_unlock(&cluster->mu);
    pthread_join(cluster->thread, NULL);
    cluster->started = false;
}

void rc_cluster_free(rc_cluster *cluster)
{
    if (!cluster)
        return;
    rc_cluster_halt(cluster);
    rc_link_free(cluster->link);
    while (cluster->first) {
        rc_event *event = cluster->first;

        cluster->first = event->next;
        rc_event_free(event);
    }
    rc_units_release_all(cluster);
    rc_membership_free(cluster->machine);
    pthread_cond_destroy(&cluster->cond);
    pthread_mutex_destroy(&cluster->machine_mu);
    pthread_mutex_destroy(&cluster->mu);
    free(cluster->home);
    free(cluster->member);
    free(cluster->group);
    free(cluster);
}
