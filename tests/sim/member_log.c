/* SPDX-License-Identifier: Apache-2.0 */
/** What a member does with the log of ownership: connections, reads, pings, appends. */
#include "member.h"

/** Events of a connection come to the machine with its number. */
struct link {
    member *member;
    uint64_t number;
    conn *conn;
};

static void link_up(void *world, void *arg)
{
    struct link *l = arg;
    member *m = l->member;

    (void)world;
    if (m->number != l->number || !net_open(l->conn))
        return;
    m->conn = l->conn;
    rc_membership_connected(m->machine, member_now(m), l->number);
    member_pump(m);
}

static void link_down(void *world, void *arg)
{
    struct link *l = arg;
    member *m = l->member;

    (void)world;
    if (m->number != l->number)
        return;
    m->conn = NULL;
    rc_membership_disconnected(m->machine, member_now(m), l->number);
    member_pump(m);
}

void log_connect(member *m, uint64_t number)
{
    sim *s = m->s;
    struct link *l = engine_new(&s->engine, sizeof(*l));
    conn *c = net_connect(s, m->worker, home_broker(s, m->home));

    *l = (struct link){m, number, c};
    m->number = number;
    m->conn = NULL;
    if (!c) {
        worker_after(s, m->worker, engine_span(&s->engine, 300 * SIM_MS), link_down, l);
        return;
    }
    c->membership = true;
    worker_after(s, m->worker, c->last - s->engine.now, link_up, l);
}

void log_disconnect(member *m, uint64_t number)
{
    if (m->number != number || !m->conn)
        return;
    net_close(m->s, m->conn);
    m->conn = NULL;
}

/** The connection has ended, not by us. */
void member_disconnected(sim *s, conn *c)
{
    member *m = c->worker->member;
    struct link *l;

    if (!m || m->conn != c)
        return;
    l = engine_new(&s->engine, sizeof(*l));
    *l = (struct link){m, m->number, c};
    worker_after(s, m->worker, 0, link_down, l);
}

void log_move(member *m, int64_t epoch, int on)
{
    (void)on;
    sim_trace(m->s, "%s moves to epoch %lld", m->worker->name, (long long)epoch);
    m->home = (int)epoch - 1;
}

/* ---- reads ----------------------------------------------------------------------------------- */

struct log_pull {
    struct pull_home pull;
    member *member;
    uint64_t number, read;
};

static void hand_over(void *world, void *arg)
{
    struct log_pull *p = arg;
    member *m = p->member;
    int64_t now = member_now(m);

    (void)world;
    if (m->number != p->number || m->reads != p->read || !m->conn)
        return;
    if (p->pull.outcome == PULL_BEYOND)
        rc_membership_records_beyond(m->machine, now, p->number, p->pull.end);
    else if (p->pull.outcome == PULL_BELOW)
        rc_membership_records_below(m->machine, now, p->number, p->pull.least);
    else
        rc_membership_records(m->machine, now, p->number, p->pull.from, p->pull.record,
                              (size_t)p->pull.count);
    members_compare(m);
    member_pump(m);
}

/** A pull that found nothing is asked again by the caller; what a late reader reads comes late. */
static void pulled(sim *s, call *c, bool answered)
{
    struct log_pull *p = (struct log_pull *)c;
    member *m = p->member;

    if (!answered || m->number != p->number || m->reads != p->read)
        return;
    if (p->pull.outcome == PULL_FOUND && p->pull.count == 0 && p->pull.from > p->pull.least) {
        log_read(m, p->pull.from);
        return;
    }
    worker_after(s, m->worker, m->worker->lag_until - s->engine.now, hand_over, p);
}

void log_read(member *m, int64_t offset)
{
    struct log_pull *p = engine_new(&m->s->engine, sizeof(*p));

    p->pull.call.serve = pull_home_serve;
    p->pull.call.done = pulled;
    p->pull.home = m->home;
    p->pull.from = offset == RC_READ_RECENT  ? PULL_RECENT
                   : offset == RC_READ_LEAST ? PULL_LEAST
                                             : offset;
    p->member = m;
    p->number = m->number;
    p->read = ++m->reads;
    if (m->conn)
        net_send(m->s, m->conn, &p->pull.call);
}

/* ---- pings ----------------------------------------------------------------------------------- */

struct log_ping {
    struct end_home end;
    member *member;
    uint64_t number, id;
};

static void pinged(sim *s, call *c, bool answered)
{
    struct log_ping *p = (struct log_ping *)c;
    member *m = p->member;

    (void)s;
    if (!answered)
        return;
    rc_membership_pinged(m->machine, member_now(m), p->number, p->id, p->end.end);
    member_pump(m);
}

void log_ping(member *m, uint64_t id)
{
    struct log_ping *p = engine_new(&m->s->engine, sizeof(*p));

    p->end.call.serve = end_home_serve;
    p->end.call.done = pinged;
    p->end.home = m->home;
    p->member = m;
    p->number = m->number;
    p->id = id;
    if (m->conn)
        net_send(m->s, m->conn, &p->end.call);
}

/* ---- appends --------------------------------------------------------------------------------- */

struct log_append {
    struct append_home append;
    member *member;
    uint64_t number, id;
};

static void appended(sim *s, call *c, bool answered)
{
    struct log_append *a = (struct log_append *)c;
    member *m = a->member;
    static const rc_appended outcomes[] = {
        [STORED] = RC_APPENDED,
        [STORED_WEAK] = RC_APPENDED_WEAK,
        [STORED_NOT] = RC_APPENDED_REFUSED,
    };
    rc_appended outcome = answered ? outcomes[a->append.outcome] : RC_APPENDED_UNKNOWN;

    (void)s;
    rc_membership_appended(m->machine, member_now(m), a->number, a->id, outcome, a->append.offset);
    member_pump(m);
}

void log_append(member *m, uint64_t id, rc_slice body)
{
    struct log_append *a = engine_new(&m->s->engine, sizeof(*a));

    a->append.call.serve = append_home_serve;
    a->append.call.done = appended;
    a->append.home = m->home;
    a->append.bytes = rc_arena_slice(&m->s->engine.arena.pub, body);
    a->member = m;
    a->number = m->number;
    a->id = id;
    if (m->conn)
        net_send(m->s, m->conn, &a->append.call);
}
