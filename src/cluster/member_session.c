/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Sessions. The own one is opened when the end of the log is reached on a connection, and again
 * after each close of it (R6). Those of others are closed on suspicion (R8): by a hint, or when no
 * beat of theirs was read for T on this connection. In large clusters everybody sees the same at
 * the same time, so that each waits a moment of its own first, and mostly finds the session closed.
 */
#include "cluster/member_impl.h"

#define BEAT_PER_SESSION_MS 60
#define LOOK_MS 250          /* Between looks at the silence of all. */
#define SPREAD_PER_SESSION 5 /* Milliseconds of waiting. */
#define SPREAD_MAX_MS 2000
#define SPREAD_FROM 10 /* Sessions; fewer do not wait. */

bool rc_m_mine(const rc_membership *m)
{
    const rc_fold_worker *w;

    if (!m->session)
        return false;
    w = rc_fold_find_worker(m->fold, m->config.name);
    return w && w->incarnation == m->config.incarnation && w->session == m->session &&
           w->closed < 0;
}

int64_t rc_m_heartbeat_ms(const rc_membership *m)
{
    int64_t all = (int64_t)rc_fold_worker_count(m->fold);

    return RC_MAX(m->timers.heartbeat_ms, all * BEAT_PER_SESSION_MS);
}

int64_t rc_m_session_ms(const rc_membership *m)
{
    int64_t beat = rc_m_heartbeat_ms(m);

    return beat == m->timers.heartbeat_ms ? m->timers.session_ms
                                          : RC_MAX(m->timers.session_ms, beat * 33 / 10);
}

/* ---- what the log says ----------------------------------------------------------------------- */

void rc_m_attach(rc_membership *m, rc_fold_worker *worker)
{
    peer *p = rc_calloc(1, sizeof *p);

    p->heard_ms = p->closed_ms = m->now;
    p->suspect_at_ms = INT64_MAX;
    p->place = RC_ASSIGN_NOBODY;
    worker->user = p;
    m->silent_at = RC_MIN(m->silent_at, m->now + rc_m_session_ms(m));
}

static void own_opened(rc_membership *m, const rc_fold_worker *w)
{
    if (w->incarnation == m->config.incarnation) {
        m->session = RC_MAX(m->session, w->session);
        m->open = m->conn_state == CONN_UP && w->session == m->session;
        m->opening_ms = 0;
        m->contested = 0;
        m->beat_ms = m->now;
        if (m->open)
            rc_m_units_resume(m);
        return;
    }
    m->open = false;
    if (m->session && w->session >= m->session) {
        rc_m_exit(m, RC_EXIT_REPLACED,
                  "another process (%s) has taken the name '%s'; each worker needs a name of its "
                  "own (workerId)",
                  w->about.url, m->config.name);
        return;
    }
    if (m->contested && w->session > m->contested) {
        m->contested = 0;
        m->contested_ms = 0;
        m->refutes++;
    }
}

static void own_closed(rc_membership *m, const rc_fold_worker *w)
{
    if (w->incarnation != m->config.incarnation)
        return;
    if (m->closing) {
        m->left = true;
        return;
    }
    m->counts.closes_refuted++;
    if (!RC_RULE_ON(RC_RULE_REOPEN))
        return;
    m->open = false;
    rc_m_units_suspend(m);
}

void rc_m_worker_event(void *arg, rc_fold_worker *worker, rc_fold_event event)
{
    rc_membership *m = arg;
    bool own = !strcmp(worker->name, m->config.name);
    peer *p;

    if (!worker->user)
        rc_m_attach(m, worker);
    p = worker->user;
    if (event == RC_FOLD_GONE) {
        free(p);
        worker->user = NULL;
        rc_m_dirty(m);
        return;
    }
    if (event == RC_FOLD_CLOSED) {
        p->closed_ms = m->now;
    } else {
        p->heard_ms = m->now;
        p->suspect_at_ms = INT64_MAX;
    }
    if (p->hash != worker->hash) /* Not with every beat. */
        rc_m_dirty(m);
    p->hash = worker->hash;
    if (own && event == RC_FOLD_OPENED)
        own_opened(m, worker);
    if (own && event == RC_FOLD_CLOSED)
        own_closed(m, worker);
}

/* ---- the own session ------------------------------------------------------------------------- */

static void append_hb(rc_membership *m, int64_t session, enum append_kind kind)
{
    rc_own_record r = {.kind = RC_OWN_HB,
                       .worker = m->config.name,
                       .incarnation = m->config.incarnation,
                       .session = session,
                       .about = m->config.about};

    if (rc_m_append(m, &r, kind) && kind == APPEND_OPEN)
        m->opening_ms = m->now;
}

static void append_close(rc_membership *m, const char *name, int64_t session, const char *why)
{
    rc_own_record r = {.kind = RC_OWN_CLOSE, .worker = name, .session = session, .why = why};

    (void)rc_m_append(m, &r, APPEND_OTHER);
}

/** R15. True when the name is free for us. */
static bool name_is_free(rc_membership *m, const rc_fold_worker *w)
{
    const peer *p = w->user;

    if (m->refutes > 1) {
        rc_m_exit(m, RC_EXIT_NAME_IN_USE,
                  "a live worker (%s) has the name '%s': it opened its session again each time it "
                  "was closed; give this one another name (workerId)",
                  w->about.url, m->config.name);
        return false;
    }
    if (w->closed >= 0)
        return m->now - p->closed_ms >= m->close_ms || !RC_RULE_ON(RC_RULE_CLOSE_WAIT);
    if (!m->contested_ms || m->now >= m->contested_ms + m->timers.retry_ms) {
        m->contested = w->session;
        m->contested_ms = m->now;
        append_close(m, w->name, w->session, "a process with this name starts");
    }
    return false;
}

static void open_session(rc_membership *m)
{
    const rc_fold_worker *w = rc_fold_find_worker(m->fold, m->config.name);

    if (m->opening_ms && m->now < m->opening_ms + m->timers.retry_ms)
        return;
    if (w && w->incarnation != m->config.incarnation && !name_is_free(m, w))
        return;
    append_hb(m, RC_MAX(m->session, w ? w->session : 0) + 1, APPEND_OPEN);
}

/** R12 needs an append of ours that is acknowledged; the claim itself mostly is that. */
static void nudge(rc_membership *m)
{
    if (!m->acks || m->now < m->nudged_ms + m->timers.retry_ms)
        return;
    if (m->nudged_ms)
        append_hb(m, m->session, APPEND_OTHER);
    m->nudged_ms = m->now;
}

void rc_m_session_step(rc_membership *m)
{
    if (m->conn_state != CONN_UP || !m->verified || !m->caught || m->mode != READ_FOLD ||
        !rc_fold_begun(m->fold))
        return;
    if (!m->open || !rc_m_mine(m)) {
        if (!m->left && (!m->leaving || m->session))
            open_session(m);
        return;
    }
    if (m->now >= m->beat_ms + rc_m_heartbeat_ms(m) || !m->beat_ms) {
        append_hb(m, m->session, APPEND_OTHER);
        m->beat_ms = m->now;
    }
    nudge(m);
}

/* ---- sessions of others ---------------------------------------------------------------------- */

static int64_t spread(rc_membership *m)
{
    uint64_t all = rc_fold_worker_count(m->fold);

    if (all < SPREAD_FROM)
        return 0;
    return (int64_t)rc_m_random(m, 1 + RC_MIN(all * SPREAD_PER_SESSION, (uint64_t)SPREAD_MAX_MS));
}

static void suspect(rc_membership *m, rc_fold_worker *w, rc_suspicion why)
{
    peer *p = w->user;

    if (w->closed >= 0 || p->suspect_at_ms != INT64_MAX || !strcmp(w->name, m->config.name))
        return;
    p->suspicion = why;
    p->suspect_at_ms = m->now + (why == RC_SUSPECT_OPERATOR ? 0 : spread(m));
    p->suspect_at_ms =
        RC_MAX(p->suspect_at_ms, p->closed_by_us_ms ? p->closed_by_us_ms + 1000 : m->now);
    m->suspect_at = RC_MIN(m->suspect_at, p->suspect_at_ms);
}

void rc_membership_suspect(rc_membership *m, int64_t now_ms, const char *name, rc_suspicion why)
{
    int64_t settled = m->connected_ms + m->timers.backoff_ms + m->timers.suspend_ms;
    rc_fold_worker *w;

    m->now = RC_MAX(m->now, now_ms);
    if (m->ended || !m->open || (why == RC_SUSPECT_LIST && m->now < settled))
        return;
    w = rc_fold_find_worker(m->fold, name);
    if (w)
        suspect(m, w, why);
    rc_membership_tick(m, now_ms);
}

static const char *const suspicions[] = {[RC_SUSPECT_LIST] = "it left the broker's list",
                                         [RC_SUSPECT_PROBE] = "it does not answer on its port",
                                         [RC_SUSPECT_OPERATOR] = "an operator said so",
                                         [RC_SUSPECT_SILENCE] = "it is silent"};

static void close_suspects(rc_membership *m)
{
    int64_t next = INT64_MAX;

    for (rc_fold_worker *w = rc_fold_next_worker(m->fold, NULL); w;
         w = rc_fold_next_worker(m->fold, w)) {
        peer *p = w->user;

        if (p->suspect_at_ms == INT64_MAX)
            continue;
        if (w->closed >= 0) {
            p->suspect_at_ms = INT64_MAX;
        } else if (m->now >= p->suspect_at_ms) {
            append_close(m, w->name, w->session, suspicions[p->suspicion]);
            rc_m_tell(m, RC_TELL_WARN, "worker '%s' may be gone: %s; its session %lld is closed",
                      w->name, suspicions[p->suspicion], (long long)w->session);
            p->closed_by_us_ms = m->now;
            p->suspect_at_ms = INT64_MAX;
        } else {
            next = RC_MIN(next, p->suspect_at_ms);
        }
    }
    m->suspect_at = next;
}

/** On a new connection all are heard anew. */
void rc_m_suspect_none(rc_membership *m)
{
    for (rc_fold_worker *w = rc_fold_next_worker(m->fold, NULL); w;
         w = rc_fold_next_worker(m->fold, w))
        if (((peer *)w->user)->suspicion != RC_SUSPECT_OPERATOR && RC_RULE_ON(RC_RULE_SILENCE))
            ((peer *)w->user)->suspect_at_ms = INT64_MAX;
    m->suspect_at = m->now;
}

/** R8: counted from the beginning of this connection at the earliest, and only while its other end
 *  answers. */
static void look_for_silence(rc_membership *m)
{
    int64_t most = rc_m_session_ms(m);

    m->silent_at = INT64_MAX;
    for (rc_fold_worker *w = rc_fold_next_worker(m->fold, NULL); w;
         w = rc_fold_next_worker(m->fold, w)) {
        const peer *p = w->user;
        int64_t from = p->heard_ms;

        if (w->closed >= 0)
            continue;
        if (RC_RULE_ON(RC_RULE_SILENCE))
            from = RC_MAX(from, m->verified_ms);
        m->silent_at = RC_MIN(m->silent_at, RC_MAX(from + most, m->now + LOOK_MS));
        if (m->now - from <= most)
            continue;
        if (m->answered_ms >= from + most || !RC_RULE_ON(RC_RULE_SILENCE))
            suspect(m, w, RC_SUSPECT_SILENCE);
        else
            m->ask_ping = true;
    }
}

void rc_m_suspect_step(rc_membership *m)
{
    if (!m->open || m->conn_state != CONN_UP)
        return;
    if (m->now >= m->silent_at)
        look_for_silence(m);
    if (m->now >= m->suspect_at)
        close_suspects(m);
}
