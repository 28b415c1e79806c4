/* SPDX-License-Identifier: Apache-2.0 */
/* What people and REST ask of the cluster. The machine is locked for it; its thread never holds the
 * lock while it waits for anything. */
#include "distributed/impl.h"

#include <inttypes.h>
#include <jansson.h>

/* The unit of a connector's half, or of a task by its newest record. false = there is none. */
static bool unit_of(rc_cluster *cluster, const char *connector, int task, omc_arena *arena,
                    rc_unit_id *ret)
{
    rc_stored_tasks tasks;
    rc_error err = {0};

    *ret = (rc_unit_id){connector, task};
    if (task == RC_UNIT_HALF)
        return true;
    if (rc_topic_store_tasks_get(cluster->config.store, connector, arena, &tasks, &err) < 0 ||
        task < 0 || (size_t)task >= tasks.count)
        return false;
    ret->connector = rc_catalog_unit_name(arena, connector, tasks.generation, tasks.number);
    return true;
}

static int owner_of(rc_cluster *cluster, const rc_unit_id *id, const char *connector,
                    rc_cluster_peer *ret, rc_error *err)
{
    const rc_fold *fold = rc_membership_fold(cluster->machine);
    const rc_fold_unit *unit = rc_fold_find_unit(fold, id->connector, id->number);
    const rc_fold_worker *owner = unit ? unit->owner : NULL;

    if (!owner)
        return rc_fail_retriable(err, OMC_EAGAIN,
                                 "no worker runs '%s' at the moment; GET "
                                 "/api/v1/cluster/explain/%s says why",
                                 connector, connector);
    if (owner->incarnation == cluster->incarnation)
        return 0;
    if (owner->closed >= 0)
        return rc_fail_retriable(err, OMC_EAGAIN,
                                 "'%s' was run by worker '%s', which has gone; another one takes "
                                 "over within seconds",
                                 connector, owner->name);
    (void)snprintf(ret->name, sizeof ret->name, "%s", owner->name);
    (void)snprintf(ret->url, sizeof ret->url, "%s", owner->about.url ? owner->about.url : "");
    ret->incarnation = owner->incarnation;
    if (!ret->url[0])
        return rc_fail_retriable(err, OMC_EAGAIN,
                                 "'%s' is run by worker '%s', whose REST server is off "
                                 "(rest.enable)",
                                 connector, owner->name);
    return 1;
}

int rc_cluster_owner(rc_cluster *cluster, const char *connector, int task, rc_cluster_peer *ret,
                     rc_error *err)
{
    rc_arena arena;
    rc_unit_id id;
    int r;

    rc_arena_init(&arena, 4096);
    if (unit_of(cluster, connector, task, &arena.pub, &id)) {
        pthread_mutex_lock(&cluster->machine_mu);
        r = owner_of(cluster, &id, connector, ret, err);
        pthread_mutex_unlock(&cluster->machine_mu);
    } else {
        r = rc_fail(err, OMC_ENOTFOUND, "connector '%s' has no task %d", connector, task);
    }
    rc_arena_release(&arena);
    return r;
}

/* ---- units of other workers ------------------------------------------------------------------ */

static rc_state state_of(const rc_shared_state *said)
{
    const char *name = said->state ? said->state : said->java;

    for (int s = 0; s < RC_STATE_COUNT; s++)
        if (strcmp(rc_state_name((rc_state)s), name) == 0)
            return (rc_state)s;
    return RC_STATE_UNASSIGNED;
}

/* Name of the owner, "" when nobody has it. */
static const char *owner_name(rc_cluster *cluster, const rc_unit_id *id, omc_arena *arena,
                              const char **ret_trace)
{
    const rc_fold_unit *unit;
    const char *name = "";

    pthread_mutex_lock(&cluster->machine_mu);
    unit = rc_fold_find_unit(rc_membership_fold(cluster->machine), id->connector, id->number);
    if (unit && unit->owner) {
        name = omc_copy(arena, unit->owner->name, strlen(unit->owner->name));
        if (unit->owner->closed >= 0)
            *ret_trace = rc_arena_format(arena,
                                         "worker '%s' has gone; another one takes over within "
                                         "seconds",
                                         name);
    }
    pthread_mutex_unlock(&cluster->machine_mu);
    return name;
}

void rc_cluster_elsewhere(void *arg, const char *connector, int task, omc_arena *arena,
                          rc_elsewhere *ret)
{
    rc_cluster *cluster = arg;
    const char *gone = NULL;
    rc_shared_state said;
    rc_unit_id id;

    *ret = (rc_elsewhere){.state = RC_STATE_UNASSIGNED};
    if (!unit_of(cluster, connector, task, arena, &id))
        return;
    ret->worker = owner_name(cluster, &id, arena, &gone);
    if (!*ret->worker)
        return;
    if (gone) {
        ret->trace = gone;
        return;
    }
    ret->state = RC_STATE_STARTING;
    if (!rc_topic_store_state_get(cluster->config.store, connector, task, arena, &said) ||
        !said.worker || strcmp(said.worker, ret->worker) != 0)
        return;
    ret->state = state_of(&said);
    ret->trace = said.trace;
    ret->since_ms = said.stored_ms;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static json_t *text_or_null(const char *text)
{
    return text && *text ? json_string(text) : json_null();
}

static json_t *worker_json(const rc_cluster *cluster, const rc_fold_worker *w)
{
    char incarnation[17];
    const char *state = w->closed >= 0                     ? "GONE"
                        : w->about.flags & RC_OWN_DRAINING ? "DRAINING"
                                                           : "MEMBER";

    (void)snprintf(incarnation, sizeof incarnation, "%016" PRIx64, w->incarnation);
    return json_pack("{s:s, s:s, s:b, s:o, s:o, s:o, s:i, s:I, s:I, s:s}", "worker", w->name,
                     "state", state, "self", w->incarnation == cluster->incarnation, "url",
                     text_or_null(w->about.url), "labels", text_or_null(w->about.labels), "version",
                     text_or_null(w->about.version), "weight", (int)w->about.weight, "units",
                     (json_int_t)w->owned, "session", (json_int_t)w->session, "incarnation",
                     incarnation);
}

void rc_cluster_describe(rc_cluster *cluster, rc_buf *out)
{
    json_t *workers = json_array(), *all;
    rc_fold_worker *worker = NULL;
    const rc_fold *fold;
    char *text;

    pthread_mutex_lock(&cluster->machine_mu);
    fold = rc_membership_fold(cluster->machine);
    while ((worker = rc_fold_next_worker(fold, worker)))
        json_array_append_new(workers, worker_json(cluster, worker));
    all = json_pack("{s:s, s:s, s:s, s:{s:s, s:I, s:I}, s:I, s:o}", "cluster",
                    cluster->config.cluster, "worker", cluster->config.worker_id, "state",
                    rc_membership_state_name(rc_membership_state_of(cluster->machine)), "home",
                    "broker", cluster->home, "epoch", (json_int_t)cluster->epoch, "offset",
                    (json_int_t)rc_fold_offset(rc_fold_next(fold)), "units",
                    (json_int_t)rc_fold_unit_count(fold), "workers", workers);
    pthread_mutex_unlock(&cluster->machine_mu);
    text = json_dumps(all, JSON_COMPACT);
    rc_buf_str(out, text ? text : "{}");
    free(text);
    json_decref(all);
}

int rc_cluster_explain(rc_cluster *cluster, const char *connector, int task, rc_buf *out,
                       rc_error *err)
{
    rc_place place;
    rc_arena arena;
    rc_unit_id id;
    json_t *all;
    char *text;

    rc_arena_init(&arena, 16384);
    if (!unit_of(cluster, connector, task, &arena.pub, &id)) {
        rc_arena_release(&arena);
        return rc_fail(err, OMC_ENOTFOUND, "connector '%s' has no task %d", connector, task);
    }
    pthread_mutex_lock(&cluster->machine_mu);
    rc_membership_explain(cluster->machine, id, rc_cluster_now(), &arena.pub, &place);
    pthread_mutex_unlock(&cluster->machine_mu);
    all = json_pack("{s:s, s:i, s:s, s:o, s:o, s:o, s:I, s:s, s:s}", "connector", connector, "task",
                    task, "state", rc_place_state_name(place.state), "worker",
                    text_or_null(place.owner), "from", text_or_null(place.from), "wanted",
                    text_or_null(place.wanted), "generation", (json_int_t)place.generation, "why",
                    rc_why_name(place.why), "text", place.text ? place.text : "");
    text = json_dumps(all, JSON_COMPACT);
    rc_buf_str(out, text ? text : "{}");
    free(text);
    json_decref(all);
    rc_arena_release(&arena);
    return 0;
}

bool rc_cluster_is_first(rc_cluster *cluster)
{
    rc_fold_worker *worker = NULL;
    bool first;

    pthread_mutex_lock(&cluster->machine_mu);
    first = rc_membership_state_of(cluster->machine) == RC_MEMBERSHIP_OPEN;
    while (first && (worker = rc_fold_next_worker(rc_membership_fold(cluster->machine), worker)))
        first = worker->closed >= 0 || strcmp(cluster->config.worker_id, worker->name) <= 0;
    pthread_mutex_unlock(&cluster->machine_mu);
    return first;
}

/* ---- figures --------------------------------------------------------------------------------- */

enum figure {
#define X(id, name, type, help) FIGURE_##id,
    RC_CLUSTER_FIGURES(X)
#undef X
        FIGURE_COUNT
};

static const struct {
    const char *name, *type, *help;
} figures[] = {
#define X(id, name, type, help) {name, type, help},
    RC_CLUSTER_FIGURES(X)
#undef X
};

static int64_t members(const rc_fold *fold)
{
    rc_fold_worker *worker = NULL;
    int64_t count = 0;

    while ((worker = rc_fold_next_worker(fold, worker)))
        count += worker->closed < 0;
    return count;
}

static void read_figures(const rc_membership *machine, int64_t ret[FIGURE_COUNT])
{
    const rc_member_counts c = rc_membership_counts(machine);

    ret[FIGURE_MEMBER] = rc_membership_state_of(machine) == RC_MEMBERSHIP_OPEN;
    ret[FIGURE_WORKERS] = members(rc_membership_fold(machine));
    ret[FIGURE_OWNED] = (int64_t)c.owned;
    ret[FIGURE_RUNNING] = (int64_t)c.running;
    ret[FIGURE_RECORDS] = (int64_t)c.records;
    ret[FIGURE_VOID] = (int64_t)c.void_records;
    ret[FIGURE_APPENDS] = (int64_t)c.appends;
    ret[FIGURE_PINGS] = (int64_t)c.pings;
    ret[FIGURE_WON] = (int64_t)c.claims_won;
    ret[FIGURE_LOST] = (int64_t)c.claims_lost;
    ret[FIGURE_REFUTED] = (int64_t)c.closes_refuted;
    ret[FIGURE_TRUNCATIONS] = (int64_t)c.truncations;
    ret[FIGURE_OUTRANKED] = (int64_t)c.outranked;
    ret[FIGURE_ASSIGNMENTS] = (int64_t)c.assignments;
    ret[FIGURE_DIVERGED] = (int64_t)c.diverged;
}

void rc_cluster_figures(rc_cluster *cluster,
                        void (*each)(void *arg, const char *name, const char *type,
                                     const char *help, int64_t value),
                        void *arg)
{
    int64_t values[FIGURE_COUNT];

    pthread_mutex_lock(&cluster->machine_mu);
    read_figures(cluster->machine, values);
    pthread_mutex_unlock(&cluster->machine_mu);
    for (size_t i = 0; i < FIGURE_COUNT; i++)
        each(arg, figures[i].name, figures[i].type, figures[i].help, values[i]);
}
