/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Conditional writes of configurations: workers append to one log, and each folds it with
 * src/store/shared.h. A write says which version it replaces; two at the same time must not both
 * count.
 *
 * I10  all who have read as far agree on what a record did; a version is given once; a write that
 *      was told to have succeeded is what all know under its version
 */
#include "world.h"

#include "config/options.h"
#include "store/shared.h"

#include <string.h>

enum { NAMES = 2, PULL = 32, POLL = 150 };
static const char *const names[NAMES] = {"orders", "parts"};

/** What a record did, as the first who read it found. */
struct entry {
    rc_shared_record record; /* In the arena of the run. */
    bool known, applied;
    int64_t version;
};
struct config_log {
    struct entry *at;
    int count, cap;
    struct bits versions[NAMES]; /* Given by records that count. */
};
/** A process as a reader and writer of the log. */
struct config_member {
    worker *worker;
    rc_shared *table;
    int next; /* To be read. */
    bool writing;
    int64_t version; /* Of what it writes, if it counts. */
    int64_t number;
    char tag[32];
    sim_time since;
};

struct config_append {
    call call;
    rc_shared_record record;
};
struct config_pull {
    call call;
    struct config_member *member;
    int from, end;
};

static void turn(void *world, void *arg);
static void pull(void *world, void *arg);

/* ---- at the broker --------------------------------------------------------------------------- */

static void append_serve_config(sim *s, call *c)
{
    struct config_append *a = (struct config_append *)c;
    struct config_log *log = s->configs;

    log->at = sim_grow(s, log->at, log->count, &log->cap, sizeof(*log->at));
    log->at[log->count++] = (struct entry){.record = a->record};
    call_answer(s, c);
}

static void pull_serve_config(sim *s, call *c)
{
    struct config_pull *p = (struct config_pull *)c;

    p->end = RC_MIN(s->configs->count, p->from + PULL);
    call_answer(s, c);
}

/* ---- reading --------------------------------------------------------------------------------- */

static int number_of(rc_slice name)
{
    int i = 0;

    while (i < NAMES - 1 && !omc_slice_is(name, names[i]))
        i++;
    return i;
}

/** Two readers must find the same, and no version may be given twice. */
static void check_agreed(sim *s, int offset, bool applied, int64_t version)
{
    struct config_log *log = s->configs;
    struct entry *e = &log->at[offset];
    struct bits *given = &log->versions[number_of(e->record.connector)];

    if (e->known) {
        if (e->applied != applied || e->version != version)
            sim_fail(s, "I10", "record %d: version %lld for one reader, %lld for another", offset,
                     (long long)e->version, (long long)version);
        return;
    }
    e->known = true;
    e->applied = applied;
    e->version = version;
    if (!applied)
        return;
    if (bits_has(given, (int32_t)version))
        sim_fail(s, "I10", "record %d: version %lld is given again", offset, (long long)version);
    bits_add(s, given, (int32_t)version);
    s->configs_written++;
}

static void own_read(sim *s, struct config_member *m, bool applied, int64_t version)
{
    m->writing = false;
    if (!applied)
        s->configs_refused++;
    else if (version != m->version)
        sim_fail(s, "I10", "%s wrote version %lld, but it became %lld", m->worker->name,
                 (long long)m->version, (long long)version);
}

static void fold(sim *s, struct config_member *m, int offset)
{
    const rc_shared_record *record = &s->configs->at[offset].record;
    const rc_shared_connector *now;
    rc_fold_result result = rc_shared_fold(m->table, record, s->engine.now / SIM_MS);
    bool applied = result == RC_FOLD_APPLIED;
    int64_t version;

    now = rc_shared_find(m->table, names[number_of(record->connector)]);
    version = now ? now->version : 0;
    check_agreed(s, offset, applied, version);
    if (m->writing && omc_slice_is(record->written, m->tag))
        own_read(s, m, applied, version);
}

static void pulled(sim *s, call *c, bool answered)
{
    struct config_pull *p = (struct config_pull *)c;
    struct config_member *m = p->member;
    sim_time delay = RC_MAX(POLL * SIM_MS, m->worker->lag_until - s->engine.now);

    for (int o = RC_MAX(p->from, m->next); answered && o < p->end; o++) {
        fold(s, m, o);
        m->next = o + 1;
    }
    worker_after(s, m->worker, delay, pull, m);
}

static void pull(void *world, void *arg)
{
    sim *s = world;
    struct config_member *m = arg;
    struct config_pull *p = engine_new(&s->engine, sizeof(*p));

    p->call.serve = pull_serve_config;
    p->call.done = pulled;
    p->member = m;
    p->from = m->next;
    net_ask(s, m->worker, 1, &p->call);
}

/* ---- writing --------------------------------------------------------------------------------- */

/** What is written says who wrote it, so that contents can be told apart. */
static const omc_keyvalue *content(sim *s, const char *tag)
{
    omc_arena *arena = &s->engine.arena.pub;
    omc_pair *pair = omc_alloc0(arena, sizeof(*pair));
    omc_keyvalue *kv = omc_alloc0(arena, sizeof(*kv));

    pair->key = omc_slice_str("written.by");
    pair->value = omc_slice_str(omc_copy(arena, tag, strlen(tag)));
    *kv = (omc_keyvalue){1, pair};
    return kv;
}

static void appended(sim *s, call *c, bool answered)
{
    (void)s;
    (void)c;
    (void)answered; /* Success is to read it, and nothing else. */
}

static void write_config(sim *s, struct config_member *m)
{
    const char *name = names[engine_below(&s->engine, NAMES)];
    const rc_shared_connector *now = rc_shared_find(m->table, name);
    struct config_append *a;
    rc_error err = {0};

    if (rc_shared_check(m->table, name, now ? now->version : 0, &err) < 0)
        return;
    a = engine_new(&s->engine, sizeof(*a));
    rc_shared_next(m->table, RC_SHARED_CONFIG, name, s->engine.now / SIM_MS, &a->record);
    snprintf(m->tag, sizeof(m->tag), "%llu.%lld", (unsigned long long)m->worker->life,
             (long long)++m->number);
    if (rule_off(s, RULE_CONFIG_RANK))
        a->record.rank = 0; /* As a Java runtime's. */
    a->record.connector = omc_slice_str(name);
    a->record.config = content(s, m->tag);
    a->record.target = RC_TARGET_STARTED;
    a->record.written = omc_slice_str(omc_copy(&s->engine.arena.pub, m->tag, strlen(m->tag)));
    a->call.serve = append_serve_config;
    a->call.done = appended;
    m->writing = true;
    m->version = a->record.version;
    m->since = s->engine.now;
    net_ask(s, m->worker, 1, &a->call);
}

static void turn(void *world, void *arg)
{
    sim *s = world;
    struct config_member *m = arg;

    worker_after(s, m->worker, 500 * SIM_MS + engine_span(&s->engine, 2 * SIM_S), turn, m);
    if (m->writing && s->engine.now - m->since < 3 * SIM_S)
        return;
    if (s->engine.now < s->times.end - 4 * SIM_S)
        write_config(s, m);
}

/* ---- life ------------------------------------------------------------------------------------ */

void config_world(sim *s)
{
    s->configs = engine_new(&s->engine, sizeof(*s->configs));
}

void config_start(sim *s, worker *w)
{
    struct config_member *m = engine_new(&s->engine, sizeof(*m));

    m->worker = w;
    m->table = rc_shared_new();
    w->config = m;
    worker_after(s, w, engine_span(&s->engine, 50 * SIM_MS), pull, m);
    worker_after(s, w, engine_span(&s->engine, SIM_S), turn, m);
}

void config_gone(worker *w)
{
    if (w->config)
        rc_shared_free(w->config->table);
    w->config = NULL;
}

/** Everybody knows the same, and it is what the last record that counts says. */
void config_check(sim *s)
{
    for (int n = 0; n < NAMES; n++) {
        const rc_shared_connector *first = NULL;

        for (int i = 0; i < s->worker_count; i++) {
            worker *w = &s->worker[i];
            const rc_shared_connector *now =
                w->config ? rc_shared_find(w->config->table, names[n]) : NULL;

            if (!w->config || w->config->next < s->configs->count)
                sim_fail(s, "I4", "%s has not read all configurations", w->name);
            else if (i == 0)
                first = now;
            else if ((first ? first->version : 0) != (now ? now->version : 0) ||
                     (first && !rc_kv_equal(first->config, now->config)))
                sim_fail(s, "I10", "%s and %s know different configurations of '%s'",
                         s->worker[0].name, w->name, names[n]);
        }
    }
}
