/* SPDX-License-Identifier: Apache-2.0 */
/** Questions to a membership: may I, where is it and why, when next, how many. */
#include "cluster/member_impl.h"

bool rc_membership_fence(const rc_membership *m, rc_unit_id id, int64_t generation, int64_t now_ms)
{
    const unit *u = rc_m_unit((rc_membership *)(uintptr_t)m, id.connector, id.number, false);

    if (!u || m->ended || (u->run != RUN_STARTING && u->run != RUN_RUNNING) ||
        u->generation != generation)
        return false;
    if (!RC_RULE_ON(RC_RULE_FENCE))
        return true;
    if (now_ms >= m->lease_until || u->suspended)
        return false;
    if (!RC_RULE_ON(RC_RULE_REOPEN))
        return true;
    return rc_m_mine(m) && (rc_m_unit_ours(m, u) || !RC_RULE_ON(RC_RULE_READ_BACK)) &&
           (!u->fold || u->fold->generation == generation || !RC_RULE_ON(RC_RULE_READ_BACK));
}

/* ---- when ------------------------------------------------------------------------------------ */

static int64_t wake_conn(const rc_membership *m)
{
    int64_t at = INT64_MAX;

    if (m->conn_state != CONN_UP)
        return m->connect_at;
    if (m->ping)
        at = m->ping_ms + m->timers.suspend_ms * 8 / 5 + 1;
    else
        at = rc_m_ping_at(m, false);
    if (!m->reading)
        at = RC_MIN(at, m->read_at);
    if (m->appends)
        at = RC_MIN(at, m->now + m->timers.retry_ms);
    return at;
}

static int64_t wake_lists(const rc_membership *m)
{
    const enum unit_list lists[] = {LIST_ASKED, LIST_DIRTY, LIST_RELEASED};
    int64_t at = INT64_MAX;

    for (size_t i = 0; i < RC_COUNT(lists); i++)
        if (m->list[lists[i]])
            at = RC_MIN(at, m->list[lists[i]]->due);
    if (m->list[LIST_WAITING])
        at = RC_MIN(at, m->waiting_at);
    if (m->open && m->catalogued && (m->dirty || m->prefer_until))
        at = RC_MIN(at, m->now + m->timers.assign_ms / 4 + 1);
    return at;
}

/** Without a unit to act for: the next beat, and a look at the silence of others; nothing else. */
static int64_t wake_open(const rc_membership *m)
{
    int64_t at = RC_MIN(m->beat_ms + rc_m_heartbeat_ms(m), m->suspect_at);

    at = RC_MIN(at, m->silent_at + 1);
    if (m->acks)
        at = RC_MIN(at, m->nudged_ms + m->timers.retry_ms);
    if (m->list[LIST_READY] || m->now < m->verified_ms + m->close_ms)
        at = RC_MIN(at, RC_MAX(m->verified_ms + m->close_ms, m->now + 1));
    return at;
}

int64_t rc_membership_wake(const rc_membership *m)
{
    int64_t at;

    if (m->ended)
        return INT64_MAX;
    at = RC_MIN(wake_conn(m), wake_lists(m));
    if (m->conn_state == CONN_UP && m->open)
        at = RC_MIN(at, wake_open(m));
    else if (m->conn_state == CONN_UP)
        at = RC_MIN(at, m->now + 50);
    if (m->leaving)
        at = RC_MIN(at, m->now + 50);
    return RC_MAX(at, m->now + 1);
}

/* ---- where and why --------------------------------------------------------------------------- */

rc_membership_state rc_membership_state_of(const rc_membership *m)
{
    if (m->ended)
        return RC_MEMBERSHIP_ENDED;
    if (m->conn_state != CONN_UP)
        return RC_MEMBERSHIP_DOWN;
    if (!m->verified || m->mode != READ_FOLD || !m->caught)
        return RC_MEMBERSHIP_READING;
    if (!m->open)
        return RC_MEMBERSHIP_JOINING;
    return m->leaving ? RC_MEMBERSHIP_LEAVING : RC_MEMBERSHIP_OPEN;
}

const char *rc_membership_state_name(rc_membership_state state)
{
    static const char *const names[] = {
        [RC_MEMBERSHIP_DOWN] = "DOWN",       [RC_MEMBERSHIP_READING] = "READING",
        [RC_MEMBERSHIP_JOINING] = "JOINING", [RC_MEMBERSHIP_OPEN] = "OPEN",
        [RC_MEMBERSHIP_LEAVING] = "LEAVING", [RC_MEMBERSHIP_ENDED] = "ENDED"};

    return names[state];
}

const char *rc_place_state_name(rc_place_state state)
{
    static const char *const names[] = {
        [RC_PLACE_UNKNOWN] = "UNKNOWN",   [RC_PLACE_FREE] = "FREE",
        [RC_PLACE_CLAIMING] = "CLAIMING", [RC_PLACE_STARTING] = "STARTING",
        [RC_PLACE_RUNNING] = "RUNNING",   [RC_PLACE_SUSPENDED] = "SUSPENDED",
        [RC_PLACE_DRAINING] = "DRAINING", [RC_PLACE_CLOSED] = "CLOSED"};

    return names[state];
}

const rc_fold *rc_membership_fold(const rc_membership *m)
{
    return m->fold;
}

rc_member_counts rc_membership_counts(const rc_membership *m)
{
    rc_member_counts counts = m->counts;
    const rc_fold_worker *own = rc_fold_find_worker(m->fold, m->config.name);

    counts.running = m->run_count;
    counts.owned = own && own->incarnation == m->config.incarnation ? own->owned : 0;
    return counts;
}

static rc_place_state own_state(const rc_membership *m, const unit *u, int64_t now_ms)
{
    if (u->run == RUN_STOPPING || u->draining || u->run == RUN_NONE)
        return RC_PLACE_DRAINING;
    if (u->run != RUN_RUNNING)
        return RC_PLACE_STARTING;
    return u->suspended || (now_ms >= m->lease_until && now_ms < m->need_until) ? RC_PLACE_SUSPENDED
                                                                                : RC_PLACE_RUNNING;
}

static rc_place_state place_state(const rc_membership *m, const unit *u, int64_t now_ms)
{
    const rc_fold_worker *owner = u->fold ? u->fold->owner : NULL;

    if (rc_m_unit_ours(m, u))
        return own_state(m, u, now_ms);
    if (u->list == LIST_ASKED || u->list == LIST_READY)
        return RC_PLACE_CLAIMING;
    if (!owner)
        return RC_PLACE_FREE;
    return owner->closed < 0 ? RC_PLACE_RUNNING : RC_PLACE_CLOSED;
}

static const char *const whys[RC_WHY_COUNT] = {
    [RC_WHY_KEPT] = "that is balanced",
    [RC_WHY_PLACED] = "nobody had it",
    [RC_WHY_LEFT] = "its owner has left",
    [RC_WHY_DRAINED] = "its owner gives its units away",
    [RC_WHY_LABELS] = "its owner lacks labels that it requires",
    [RC_WHY_BALANCE] = "its owner had more than its share",
    [RC_WHY_EMPTY] = "no worker takes part",
    [RC_WHY_UNFIT] = "no worker that takes part has the labels that it requires",
    [RC_WHY_TOO_MANY] = "there are too many different requirements of labels",
};

static const char *sentence(const rc_membership *m, const rc_place *p, omc_arena *arena)
{
    const char *log = "";

    if (p->state == RC_PLACE_UNKNOWN)
        return "No unit of that name should run, and nobody has it.";
    if (m->conn_state != CONN_UP)
        log = " The home of the ownership log cannot be reached from here: no worker that shares "
              "this fate acts, and nothing moves.";
    else if (!m->catalogued)
        log = " The catalogue of units is not known here yet.";
    if (!p->owner)
        return rc_arena_format(arena, "Nobody has it; the last assignment sees it at %s: %s.%s",
                               p->wanted ? p->wanted : "nobody", whys[p->why], log);
    if (p->wanted && !strcmp(p->wanted, p->owner))
        return rc_arena_format(arena, "'%s' has it since record %lld, generation %lld%s%s: %s.%s",
                               p->owner, (long long)rc_fold_offset(p->since),
                               (long long)p->generation, p->from ? ", after " : "",
                               p->from ? p->from : "", whys[p->why], log);
    return rc_arena_format(
        arena,
        "'%s' has it since record %lld, generation %lld; the last assignment sees it at %s: "
        "%s.%s",
        p->owner, (long long)rc_fold_offset(p->since), (long long)p->generation,
        p->wanted ? p->wanted : "nobody", whys[p->why], log);
}

void rc_membership_explain(const rc_membership *m, rc_unit_id id, int64_t now_ms, omc_arena *arena,
                           rc_place *ret)
{
    const unit *u = rc_m_unit((rc_membership *)(uintptr_t)m, id.connector, id.number, false);
    const rc_fold_unit *f = u ? u->fold : NULL;
    rc_place p = {.state = RC_PLACE_UNKNOWN, .generation = -1, .since = -1};

    if (u && (u->listed || f)) {
        p.state = place_state(m, u, now_ms);
        p.why = (rc_why)u->why;
        if (u->listed && u->wanted >= 0 && (size_t)u->wanted < m->name_count)
            p.wanted = rc_arena_format(arena, "%s", m->names[u->wanted]);
    }
    if (f) {
        p.owner = f->owner ? rc_arena_format(arena, "%s", f->owner->name) : NULL;
        p.from = f->from ? rc_arena_format(arena, "%s", f->from) : NULL;
        p.generation = f->generation;
        p.since = f->since;
    }
    p.text = sentence(m, &p, arena);
    *ret = p;
}
