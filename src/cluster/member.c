/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Events come in here; each sets the time, changes its part, and ends in step(), which looks at
 * everything that may be due. What is to be done is queued, and taken by rc_membership_next().
 */
#include "cluster/member_impl.h"

#include <stdio.h>

/* ---- actions --------------------------------------------------------------------------------- */

struct queued *rc_m_act(rc_membership *m, rc_action_kind kind)
{
    struct queued *q = rc_calloc(1, sizeof *q);

    q->action.kind = kind;
    q->action.conn = m->conn;
    q->action.text = "";
    if (m->last)
        m->last->next = q;
    else
        m->first = q;
    m->last = q;
    return q;
}

static void set_text(struct queued *q, const char *text)
{
    q->text = rc_strdup(text);
    q->action.text = q->text;
}

void rc_m_unit_act(rc_membership *m, rc_action_kind kind, const unit *u, const char *text)
{
    struct queued *q = rc_m_act(m, kind);

    q->connector = rc_strdup(u->connector);
    q->action.unit = (rc_unit_id){q->connector, u->number};
    q->action.generation = u->generation;
    q->action.id = u->ask;
    set_text(q, text);
}

static char *format(const char *fmt, va_list ap) OMC_PRINTF(1, 0);
static char *format(const char *fmt, va_list ap)
{
    char *text = NULL;

    RC_ASSERT(vasprintf(&text, fmt, ap) >= 0);
    return text;
}

void rc_m_tell(rc_membership *m, rc_tell level, const char *fmt, ...)
{
    struct queued *q = rc_m_act(m, RC_ACTION_TELL);
    va_list ap;

    va_start(ap, fmt);
    q->text = format(fmt, ap);
    va_end(ap);
    q->action.level = level;
    q->action.text = q->text;
}

void rc_m_exit(rc_membership *m, rc_member_exit code, const char *fmt, ...)
{
    struct queued *q;
    va_list ap;

    if (m->ended)
        return;
    rc_m_lease_end(m);
    rc_m_units_stop(m, "the worker ends");
    q = rc_m_act(m, RC_ACTION_EXIT);
    va_start(ap, fmt);
    q->text = format(fmt, ap);
    va_end(ap);
    q->action.code = code;
    q->action.text = q->text;
    m->ended = true;
}

static void free_queued(struct queued *q)
{
    if (!q)
        return;
    free(q->connector);
    free(q->text);
    free(q->body);
    free(q);
}

bool rc_membership_next(rc_membership *m, rc_action *ret)
{
    free_queued(m->given);
    m->given = m->first;
    if (!m->given)
        return false;
    m->first = m->given->next;
    if (!m->first)
        m->last = NULL;
    *ret = m->given->action;
    return true;
}

uint64_t rc_m_random(rc_membership *m, uint64_t below)
{
    uint64_t bits = m->config.random(m->config.arg);

    return below ? bits % below : bits;
}

/* ---- life ------------------------------------------------------------------------------------ */

static rc_own_about copy_about(const rc_own_about *about)
{
    rc_own_about copy = *about;

    copy.url = rc_strdup(about->url ? about->url : "");
    copy.labels = rc_strdup(about->labels ? about->labels : "");
    copy.version = rc_strdup(about->version ? about->version : "");
    return copy;
}

static void free_about(rc_own_about *about)
{
    free((char *)(uintptr_t)about->url);
    free((char *)(uintptr_t)about->labels);
    free((char *)(uintptr_t)about->version);
}

static bool name_fits(const char *name)
{
    return name && *name && strlen(name) <= 255;
}

static int check(const rc_member_config *c, rc_error *err)
{
    if (!name_fits(c->name) || !name_fits(c->cluster))
        return rc_fail(err, OMC_EINVAL, "the names of worker and cluster have 1 to 255 bytes");
    if (!c->incarnation || !c->random || !c->home)
        return rc_fail(err, OMC_EINVAL, "incarnation, random or home is missing");
    if (c->epoch < 1 || c->epoch > RC_OWN_EPOCH_MAX)
        return rc_fail(err, OMC_EINVAL, "epoch %lld is not between 1 and %d", (long long)c->epoch,
                       RC_OWN_EPOCH_MAX);
    if (c->about.weight < 1 || c->about.weight > RC_ASSIGN_WEIGHT_MAX)
        return rc_fail(err, OMC_EINVAL, "weight %u of the worker is not between 1 and %d",
                       c->about.weight, RC_ASSIGN_WEIGHT_MAX);
    return rc_timers_check(&c->timers, err);
}

int rc_membership_new(const rc_member_config *config, int64_t now_ms, rc_membership **ret,
                      rc_error *err)
{
    int r = check(config, err);
    rc_membership *m;

    if (r < 0)
        return r;
    m = rc_calloc(1, sizeof *m);
    m->config = *config;
    m->config.name = rc_strdup(config->name);
    m->config.cluster = rc_strdup(config->cluster);
    m->config.about = copy_about(&config->about);
    m->config.home = NULL;
    m->home = rc_strdup(config->home);
    m->epoch = config->epoch;
    m->may_found = config->epoch == 1;
    m->timers = config->timers;
    m->close_ms = rc_timers_close_ms(&config->timers);
    m->now = m->connect_at = now_ms;
    m->suspect_at = INT64_MAX;
    m->acked = -1;
    rc_arena_init(&m->arena, 64 * 1024);
    rc_m_log_begin(m, NULL, READ_RECENT);
    *ret = m;
    return 0;
}

static void detach(rc_membership *m)
{
    for (rc_fold_worker *w = rc_fold_next_worker(m->fold, NULL); w;
         w = rc_fold_next_worker(m->fold, w))
        free(w->user);
}

void rc_membership_free(rc_membership *m)
{
    if (!m)
        return;
    rc_m_conn_clear(m);
    detach(m);
    rc_fold_free(m->fold);
    rc_fold_parts_free(m->parts);
    rc_m_units_free(m);
    for (struct queued *q = m->first, *next; q; q = next) {
        next = q->next;
        free_queued(q);
    }
    free_queued(m->given);
    rc_arena_release(&m->arena);
    free_about(&m->config.about);
    free((char *)(uintptr_t)m->config.name);
    free((char *)(uintptr_t)m->config.cluster);
    free(m->home);
    free(m);
}

/* ---- events ---------------------------------------------------------------------------------- */

/** False when it has ended. */
static bool begin(rc_membership *m, int64_t now_ms)
{
    m->now = RC_MAX(m->now, now_ms);
    return !m->ended;
}

static void leave_step(rc_membership *m)
{
    const rc_fold_worker *w = rc_fold_find_worker(m->fold, m->config.name);
    bool held = m->runs || (w && w->incarnation == m->config.incarnation && w->owned);

    if (!m->leaving || m->ended)
        return;
    if (m->left || (!m->session && !m->opening_ms) ||
        m->now >= m->leave_until + 2 * m->timers.retry_ms) {
        rc_m_exit(m, RC_EXIT_LEFT, "worker '%s' has left the cluster", m->config.name);
        return;
    }
    if ((!held || m->now >= m->leave_until) && rc_m_mine(m) &&
        m->now >= m->contested_ms + m->timers.retry_ms) {
        rc_own_record r = {.kind = RC_OWN_CLOSE,
                           .worker = m->config.name,
                           .session = m->session,
                           .why = "it leaves"};

        m->contested_ms = m->now;
        m->closing = rc_m_append(m, &r, APPEND_OTHER) != NULL;
    }
}

/** Looks at everything that may be due. What comes later may need what comes before. */
static void step(rc_membership *m)
{
    if (!m->ended)
        rc_m_log_step(m);
    if (!m->ended)
        rc_m_conn_step(m);
    if (!m->ended)
        rc_m_session_step(m);
    if (!m->ended)
        rc_m_suspect_step(m);
    if (!m->ended)
        rc_m_assign_step(m);
    if (!m->ended)
        rc_m_claim_step(m);
    leave_step(m);
    if (!m->ended)
        rc_m_snap_step(m);
}

void rc_membership_tick(rc_membership *m, int64_t now_ms)
{
    if (begin(m, now_ms))
        step(m);
}

void rc_membership_witnessed(rc_membership *m, int64_t now_ms, uint64_t id, int64_t seen)
{
    unit *u;

    if (!begin(m, now_ms))
        return;
    HASH_FIND(by_ask, m->asks, &id, sizeof id, u);
    if (u)
        rc_m_unit_witnessed(m, u, seen);
    step(m);
}

/** The unit when it is ours with this generation. */
static unit *running(rc_membership *m, rc_unit_id id, int64_t generation)
{
    unit *u = rc_m_unit(m, id.connector, id.number, false);

    return u && u->run != RUN_NONE && u->generation == generation ? u : NULL;
}

void rc_membership_started(rc_membership *m, int64_t now_ms, rc_unit_id id, int64_t generation)
{
    unit *u;

    if (!begin(m, now_ms))
        return;
    u = running(m, id, generation);
    if (u && u->run == RUN_STARTING)
        u->run = RUN_RUNNING;
    step(m);
}

void rc_membership_outranked(rc_membership *m, int64_t now_ms, rc_unit_id id, int64_t generation,
                             int64_t seen)
{
    unit *u;

    if (!begin(m, now_ms))
        return;
    u = running(m, id, generation);
    if (u && seen >= generation)
        rc_m_unit_outranked(m, u, seen);
    step(m);
}

void rc_membership_drained(rc_membership *m, int64_t now_ms, rc_unit_id id, int64_t generation)
{
    unit *u;

    if (!begin(m, now_ms))
        return;
    u = running(m, id, generation);
    if (u)
        rc_m_unit_ended(m, u, false);
    step(m);
}

void rc_membership_stopped(rc_membership *m, int64_t now_ms, rc_unit_id id, int64_t generation,
                           bool dirty)
{
    unit *u;

    if (!begin(m, now_ms))
        return;
    u = running(m, id, generation);
    if (u)
        rc_m_unit_ended(m, u, dirty);
    step(m);
}

void rc_membership_about(rc_membership *m, int64_t now_ms, const rc_own_about *about)
{
    rc_own_about old = m->config.about;

    if (!begin(m, now_ms))
        return;
    m->config.about = copy_about(about);
    m->config.about.weight = RC_MIN(RC_MAX(about->weight, 1u), (uint32_t)RC_ASSIGN_WEIGHT_MAX);
    m->config.about.flags |= old.flags & RC_OWN_DRAINING;
    free_about(&old);
    m->beat_ms = 0;
    step(m);
}

void rc_membership_drain(rc_membership *m, int64_t now_ms, bool on)
{
    if (!begin(m, now_ms) || m->leaving)
        return;
    m->config.about.flags &= ~(uint32_t)RC_OWN_DRAINING;
    if (on)
        m->config.about.flags |= RC_OWN_DRAINING;
    m->beat_ms = 0;
    step(m);
}

void rc_membership_leave(rc_membership *m, int64_t now_ms, int64_t wait_ms)
{
    if (!begin(m, now_ms))
        return;
    if (!m->leaving) {
        m->leaving = true;
        m->leave_until = m->now + RC_MAX(wait_ms, (int64_t)0);
        m->config.about.flags |= RC_OWN_DRAINING;
        m->contested_ms = m->now - m->timers.retry_ms;
        m->beat_ms = 0;
    }
    step(m);
}

int rc_membership_move_home(rc_membership *m, int64_t now_ms, const char *home, rc_error *err)
{
    rc_own_record r = {.kind = RC_OWN_SEAL, .home = home, .why = "as asked", .epoch = m->epoch + 1};

    if (!begin(m, now_ms) || !m->open || !rc_m_mine(m) || m->conn_state != CONN_UP)
        return rc_fail_retriable(err, OMC_ESTATE,
                                 "worker '%s' has no open session just now; try again",
                                 m->config.name);
    (void)rc_m_append(m, &r, APPEND_OTHER);
    step(m);
    return 0;
}

/* The rest of the events: what a connection tells. */

static bool current(const rc_membership *m, uint64_t conn)
{
    return conn == m->conn && m->conn_state != CONN_NONE;
}

void rc_membership_connected(rc_membership *m, int64_t now_ms, uint64_t conn)
{
    if (!begin(m, now_ms))
        return;
    if (current(m, conn) && m->conn_state == CONN_ASKED)
        rc_m_conn_up(m);
    step(m);
}

void rc_membership_disconnected(rc_membership *m, int64_t now_ms, uint64_t conn)
{
    if (!begin(m, now_ms))
        return;
    if (current(m, conn))
        rc_m_conn_lost(m);
    step(m);
}

void rc_membership_records(rc_membership *m, int64_t now_ms, uint64_t conn, int64_t first,
                           const rc_slice *bodies, size_t count)
{
    if (!begin(m, now_ms))
        return;
    if (current(m, conn) && m->reading)
        rc_m_log_records(m, first, bodies, count);
    step(m);
}

void rc_membership_records_beyond(rc_membership *m, int64_t now_ms, uint64_t conn, int64_t end)
{
    if (!begin(m, now_ms))
        return;
    if (current(m, conn) && m->reading) {
        m->reading = false;
        m->known_end = end;
        rc_m_log_truncated(m);
    }
    step(m);
}

void rc_membership_records_below(rc_membership *m, int64_t now_ms, uint64_t conn, int64_t least)
{
    if (!begin(m, now_ms))
        return;
    if (current(m, conn) && m->reading) {
        m->reading = false;
        rc_m_tell(m, RC_TELL_WARN, "the ownership log begins at %lld now, %lld was to be read",
                  (long long)least, (long long)m->read_from);
        rc_m_log_reset(m, "what was to be read next is not in the log any more");
    }
    step(m);
}

void rc_membership_pinged(rc_membership *m, int64_t now_ms, uint64_t conn, uint64_t id, int64_t end)
{
    if (!begin(m, now_ms))
        return;
    if (current(m, conn) && id == m->ping)
        rc_m_conn_pinged(m, end);
    step(m);
}

void rc_membership_appended(rc_membership *m, int64_t now_ms, uint64_t conn, uint64_t id,
                            rc_appended outcome, int64_t offset)
{
    if (!begin(m, now_ms))
        return;
    if (current(m, conn))
        rc_m_conn_appended(m, id, outcome, offset);
    step(m);
}

void rc_membership_need_lease(rc_membership *m, int64_t now_ms)
{
    if (!begin(m, now_ms))
        return;
    m->need_until = m->now + 1000;
    step(m);
}
