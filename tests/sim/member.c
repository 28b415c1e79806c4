/* SPDX-License-Identifier: Apache-2.0 */
#include "member.h"

#include <string.h>

/* ---- names ----------------------------------------------------------------------------------- */

static const char *const connectors[UNITS_MAX] = {
    "unit-0",  "unit-1",  "unit-2",  "unit-3",  "unit-4",  "unit-5",  "unit-6",  "unit-7",
    "unit-8",  "unit-9",  "unit-10", "unit-11", "unit-12", "unit-13", "unit-14", "unit-15",
    "unit-16", "unit-17", "unit-18", "unit-19", "unit-20", "unit-21", "unit-22", "unit-23",
};

rc_unit_id member_unit_id(const struct unit *u)
{
    return (rc_unit_id){connectors[u->id], 0};
}

struct unit *member_unit(sim *s, rc_unit_id id)
{
    for (int u = 0; u < s->unit_count; u++)
        if (!strcmp(connectors[u], id.connector))
            return &s->unit[u];
    return NULL;
}

static running *run_of(member *m, rc_unit_id id)
{
    struct unit *u = member_unit(m->s, id);

    return u ? m->worker->run[u->id] : NULL;
}

int64_t member_now(const member *m)
{
    return worker_clock(m->s, m->worker) / SIM_MS;
}

/* ---- the witness ----------------------------------------------------------------------------- */

struct witness {
    struct read read;
    member *member;
    uint64_t id;
    int64_t gen;
};

static void ask_witness(void *world, void *arg);

static void witnessed(sim *s, call *c, bool answered)
{
    struct witness *w = (struct witness *)c;
    member *m = w->member;

    if (!answered) {
        worker_after(s, m->worker, 100 * SIM_MS, ask_witness, w);
        return;
    }
    rc_membership_witnessed(m->machine, member_now(m), w->id,
                            unit_foreign(w->read.unit, w->read.end, w->gen, m->life));
    member_pump(m);
}

static void ask_witness(void *world, void *arg)
{
    struct witness *old = arg, *w;
    sim *s = world;

    w = engine_new(&s->engine, sizeof(*w));
    *w = *old;
    w->read.call = (call){.serve = read_positions_serve, .done = witnessed};
    net_ask(s, w->member->worker, w->read.unit->position_broker, &w->read.call);
}

static void witness(member *m, const rc_action *a)
{
    struct witness w = {.member = m, .id = a->id, .gen = a->generation};

    w.read.unit = member_unit(m->s, a->unit);
    if (w.read.unit)
        ask_witness(m->s, &w);
}

/* ---- units ----------------------------------------------------------------------------------- */

static void start(member *m, const rc_action *a)
{
    struct unit *u = member_unit(m->s, a->unit);

    RC_ASSERT(u && !m->worker->run[u->id]);
    task_start(m->s, m->worker, u, a->generation)->open = true;
}

/** A task that was stopped, until its threads are out of their writes. */
struct stopping {
    member *member;
    running *run;
    bool dirty;
};

static void stopped(void *world, void *arg)
{
    struct stopping *at = arg;
    member *m = at->member;

    if (at->run->gaps > 0) {
        worker_after(world, m->worker, 20 * SIM_MS, stopped, at);
        return;
    }
    rc_membership_stopped(m->machine, member_now(m), member_unit_id(at->run->unit), at->run->gen,
                          at->dirty);
    member_pump(m);
}

/** Something may still land. */
static bool under_way(const sim *s, const running *r)
{
    for (int q = 0; q < r->unit->queues; q++)
        if (r->lane[q].busy || r->lane[q].unresolved ||
            worker_clock(s, r->worker) < r->lane[q].tail_until)
            return true;
    return r->gaps > 0;
}

static void stop_reported(member *m, running *r)
{
    struct stopping *at = engine_new(&m->s->engine, sizeof(*at));

    *at = (struct stopping){m, r, under_way(m->s, r)};
    worker_after(m->s, m->worker, 0, stopped, at);
}

static void stop(member *m, const rc_action *a)
{
    running *r = run_of(m, a->unit);

    if (!r) { /* It has stopped itself; every STOP has an answer. */
        rc_membership_stopped(m->machine, member_now(m), a->unit, a->generation, true);
        return;
    }
    task_stop(m->s, r, a->text);
    stop_reported(m, r);
}

static void suspend(member *m)
{
    for (int u = 0; u < m->s->unit_count; u++)
        if (m->worker->run[u])
            m->worker->run[u]->open = false;
}

static void resume(member *m, const rc_action *a)
{
    running *r = run_of(m, a->unit);

    if (r && r->gen == a->generation)
        r->open = true;
}

void member_started(sim *s, worker *w, struct unit *u, int64_t gen)
{
    (void)s;
    rc_membership_started(w->member->machine, member_now(w->member), member_unit_id(u), gen);
    member_pump(w->member);
}

void member_drained(sim *s, worker *w, struct unit *u, int64_t gen)
{
    (void)s;
    rc_membership_drained(w->member->machine, member_now(w->member), member_unit_id(u), gen);
    member_pump(w->member);
}

void member_seen_higher(sim *s, worker *w, struct unit *u, int64_t mine, int64_t seen)
{
    (void)s;
    rc_membership_outranked(w->member->machine, member_now(w->member), member_unit_id(u), mine,
                            seen);
    member_pump(w->member);
}

/* ---- the fence ------------------------------------------------------------------------------- */

/** Pings go on only while somebody asks. */
static void want_lease(member *m)
{
    int64_t now = member_now(m);

    if (now - m->wanted_ms < 200 && now >= m->wanted_ms)
        return;
    m->wanted_ms = now;
    rc_membership_need_lease(m->machine, now);
    member_pump(m);
}

/** What a task's thread sees: lease and fence, as the actions have set them. */
bool member_may_write(sim *s, worker *w, const running *r)
{
    member *m = w->member;
    bool open;

    want_lease(m);
    if (rule_off(s, RULE_FENCE))
        return true;
    if (!task_live(r))
        return false;
    if (rule_off(s, RULE_PING))
        return rc_membership_fence(m->machine, member_unit_id(r->unit), r->gen, member_now(m));
    open = r->open && member_now(m) < m->until_ms;
    if (open && !s->off &&
        !rc_membership_fence(m->machine, member_unit_id(r->unit), r->gen, member_now(m)))
        sim_fail(s, "fence", "%s unit %d: its fence is open, the machine says it is not", w->name,
                 r->unit->id);
    return open;
}

/* ---- actions --------------------------------------------------------------------------------- */

static void exits(member *m, const rc_action *a)
{
    sim_trace(m->s, "%s ends: %d %s", m->worker->name, (int)a->code, a->text);
    m->s->exits[a->code]++;
    worker_kill(m->s, m->worker);
}

static void drain(member *m, const rc_action *a)
{
    running *r = run_of(m, a->unit);

    if (r && r->gen == a->generation)
        task_drain(m->s, r);
}

static int broker_number(const char *name)
{
    return name[0] == 'b' ? name[1] - '0' : 0;
}

static void perform(member *m, const rc_action *a)
{
    switch (a->kind) {
    case RC_ACTION_CONNECT:
        log_connect(m, a->conn);
        break;
    case RC_ACTION_DISCONNECT:
        sim_trace(m->s, "%s disconnects: %s", m->worker->name, a->text);
        log_disconnect(m, a->conn);
        break;
    case RC_ACTION_READ:
        log_read(m, a->offset);
        break;
    case RC_ACTION_PING:
        log_ping(m, a->id);
        break;
    case RC_ACTION_APPEND:
        log_append(m, a->id, a->body);
        break;
    case RC_ACTION_LEASE:
        m->until_ms = a->until_ms;
        break;
    case RC_ACTION_WITNESS:
        witness(m, a);
        break;
    case RC_ACTION_START:
        start(m, a);
        break;
    case RC_ACTION_SUSPEND:
        suspend(m);
        break;
    case RC_ACTION_RESUME:
        resume(m, a);
        break;
    case RC_ACTION_DRAIN:
        drain(m, a);
        break;
    case RC_ACTION_STOP:
        stop(m, a);
        break;
    case RC_ACTION_MOVE:
        log_move(m, a->epoch, broker_number(a->text));
        break;
    case RC_ACTION_EXIT:
        exits(m, a);
        break;
    case RC_ACTION_TELL:
        sim_trace(m->s, "%s says: %s", m->worker->name, a->text);
        break;
    }
}

/** One that was asked for; later ones replace it. */
struct tick {
    member *member;
    uint64_t number;
};

static void tick(void *world, void *arg)
{
    struct tick *t = arg;
    member *m = t->member;

    (void)world;
    if (t->number != m->ticks)
        return;
    m->tick_at = 0;
    rc_membership_tick(m->machine, member_now(m));
    member_pump(m);
}

/** Asks for a tick when the machine wants one. A clock that jumps is looked at often. */
static void schedule(member *m)
{
    int64_t wake = rc_membership_wake(m->machine);
    struct tick *t;
    sim_time delay, now = m->s->engine.now;

    if (wake == INT64_MAX)
        return;
    delay = RC_MAX(0, (sim_time)((double)(wake * SIM_MS - worker_clock(m->s, m->worker)) /
                                 m->worker->rate)) +
            SIM_MS / 10;
    if (rule_off(m->s, RULE_BOOTTIME))
        delay = RC_MIN(delay, 100 * SIM_MS);
    if (m->tick_at > 0 && m->tick_at <= now + delay)
        return;
    m->tick_at = now + delay;
    t = engine_new(&m->s->engine, sizeof(*t));
    *t = (struct tick){m, ++m->ticks};
    worker_after(m->s, m->worker, delay, tick, t);
}

void member_pump(member *m)
{
    rc_action a;

    if (m->pumping)
        return; /* An action led to an event: its actions come after the present ones. */
    m->pumping = true;
    while (m->worker->member == m && rc_membership_next(m->machine, &a))
        perform(m, &a);
    m->pumping = false;
    if (m->worker->member == m)
        schedule(m);
}

/* ---- operators ------------------------------------------------------------------------------- */

static void leaves(void *world, void *arg)
{
    member *m = arg;

    (void)world;
    rc_membership_leave(m->machine, member_now(m), 2000);
    member_pump(m);
}

static void drains(void *world, void *arg)
{
    member *m = arg;

    (void)world;
    rc_membership_drain(m->machine, member_now(m), true);
    member_pump(m);
}

static void takes_part(void *world, void *arg)
{
    member *m = arg;

    (void)world;
    rc_membership_drain(m->machine, member_now(m), false);
    member_pump(m);
}

void member_leave(sim *s, worker *w)
{
    if (w->member)
        worker_after(s, w, 0, leaves, w->member);
}

void member_drain(sim *s, worker *w, bool on)
{
    if (w->member)
        worker_after(s, w, 0, on ? drains : takes_part, w->member);
}

static void moves(void *world, void *arg)
{
    static const char *const brokers[BROKERS] = {"b0", "b1"};
    sim *s = world;
    member *m = arg;
    int next = m->home + 1, to = (home_broker(s, m->home) + 1) % BROKERS;
    rc_error err = {0};

    if (next >= HOMES)
        return;
    if (!s->home[next])
        home_make(s, next, to);
    if (rc_membership_move_home(m->machine, member_now(m), brokers[to], &err) == 0)
        s->moves++;
    member_pump(m);
}

void member_move_home(sim *s, worker *w)
{
    if (w->member)
        worker_after(s, w, 0, moves, w->member);
}

/* ---- hints ----------------------------------------------------------------------------------- */

struct hint {
    member *member;
    const char *name;
};

static void hinted(void *world, void *arg)
{
    struct hint *h = arg;

    (void)world;
    rc_membership_suspect(h->member->machine, member_now(h->member), h->name, RC_SUSPECT_LIST);
    member_pump(h->member);
}

void hint_gone(sim *s, worker *gone, bool lossy)
{
    for (int i = 0; i < s->worker_count; i++) {
        worker *w = &s->worker[i];
        double luck = engine_fraction(&s->engine);
        struct hint *h;

        if (w == gone || !w->member || (lossy && luck < 0.2 && !s->calm))
            continue;
        h = engine_new(&s->engine, sizeof(*h));
        *h = (struct hint){w->member, gone->name};
        worker_after(s, w, luck < 0.8 ? net_latency(s) : engine_span(&s->engine, 2500 * SIM_MS),
                     hinted, h);
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

static uint64_t some_bits(void *arg)
{
    return engine_bits(arg);
}

static rc_timers timers_of(const sim *s)
{
    rc_timers t = rc_timers_default();

    t.suspend_ms = s->times.suspend / SIM_MS;
    t.ping_ms = s->times.ping / SIM_MS;
    t.margin_ms = s->times.margin / SIM_MS;
    t.session_ms = s->times.session / SIM_MS;
    t.heartbeat_ms = s->times.beat / SIM_MS;
    t.tail_ms = task_tail(s) / SIM_MS + 1;
    if (s->mix->snapshots) {
        t.snap_ms = 3000;
        t.snap_records = 60;
    }
    return t;
}

static void catalog(void *world, void *arg)
{
    sim *s = world;
    member *m = arg;
    rc_catalog_unit units[UNITS_MAX];

    for (int u = 0; u < s->unit_count; u++)
        units[u] = (rc_catalog_unit){.unit = member_unit_id(&s->unit[u]), .weight = 1};
    rc_membership_catalog(m->machine, member_now(m), units, (size_t)s->unit_count);
    member_pump(m);
}

/** The newest log that has begun, as the names of topics show it. */
static int newest_home(const sim *s)
{
    int n = 0;

    while (n + 1 < HOMES && home_count(s, n + 1) > 0)
        n++;
    return n;
}

void member_start(sim *s, worker *w)
{
    member *m = engine_new(&s->engine, sizeof(*m));
    static const char *const brokers[BROKERS] = {"b0", "b1"};
    rc_member_config config = {
        .cluster = "sim",
        .name = w->name,
        .incarnation = engine_bits(&s->engine) | 1,
        .about = {.url = "", .labels = "", .version = "1", .weight = 1},
        .timers = timers_of(s),
        .random = some_bits,
        .arg = &s->engine,
    };
    rc_error err = {0};

    *m = (member){.s = s, .worker = w, .life = w->life, .wanted_ms = -1000};
    m->incarnation = config.incarnation;
    m->home = newest_home(s);
    config.epoch = m->home + 1;
    config.home = brokers[home_broker(s, m->home)];
    if (rc_membership_new(&config, worker_clock(s, w) / SIM_MS, &m->machine, &err) < 0) {
        sim_fail(s, "start", "%s: %s", w->name, err.msg);
        return;
    }
    w->member = m;
    member_pump(m);
    worker_after(s, w, engine_span(&s->engine, 100 * SIM_MS), catalog, m);
}

void member_gone(sim *s, worker *w)
{
    (void)s;
    if (!w->member)
        return;
    net_abandon(s, w->member->conn);
    member_free(w);
}

/** From within an action too: the machine is freed when it is not in use any more. */
void member_free(worker *w)
{
    if (w->member)
        rc_membership_free(w->member->machine);
    w->member = NULL;
}

conn *member_conn(const worker *w)
{
    return w->member ? w->member->conn : NULL;
}
