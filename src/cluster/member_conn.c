/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The connection to the home of the log: one at a time, each with a number. Reads follow each other
 * without end; pings run while a lease is needed or the end of the log is not reached. A lease is
 * when a ping was sent + suspend, once all that its answer covers is applied (R4).
 */
#include "cluster/member_impl.h"

#define BACKOFF_FIRST_MS 100
#define APPEND_SLOW_MS 2000 /* After that a ping asks whether the connection lives. */

static int64_t dead_ms(const rc_membership *m)
{
    return m->timers.suspend_ms * 8 / 5;
}

/* ---- appends --------------------------------------------------------------------------------- */

static void free_append(rc_membership *m, append *a)
{
    if (a->kind == APPEND_CLAIM)
        m->claims_out--;
    HASH_DEL(m->appends, a);
    free(a->units);
    free(a->items);
    free(a);
}

append *rc_m_append(rc_membership *m, rc_own_record *record, enum append_kind kind)
{
    rc_buf body = RC_BUF(4 * RC_OWN_BODY_MAX);
    struct queued *q;
    append *a;

    if (m->conn_state != CONN_UP || HASH_COUNT(m->appends) >= RC_APPENDS_MAX)
        return NULL;
    record->nonce = rc_m_random(m, 0);
    if (!record->by)
        record->by = m->config.name;
    rc_own_write(record, &body);
    a = rc_calloc(1, sizeof *a);
    a->id = ++m->ids;
    a->nonce = record->nonce;
    a->kind = kind;
    a->sent_ms = m->now;
    HASH_ADD(hh, m->appends, id, sizeof a->id, a);
    m->claims_out += kind == APPEND_CLAIM;
    q = rc_m_act(m, RC_ACTION_APPEND);
    q->action.id = a->id;
    q->action.body.len = body.len;
    q->body = rc_buf_take(&body);
    q->action.body.base = q->body;
    m->counts.appends++;
    return a;
}

/** Those without an answer for long: of claims too, which are made again. */
static bool appends_slow(rc_membership *m)
{
    append *a, *next;
    bool slow = false;

    HASH_ITER(hh, m->appends, a, next)
    {
        int64_t age = m->now - a->sent_ms;

        if (age > 15 * APPEND_SLOW_MS || (a->answered && age > 2 * m->timers.retry_ms))
            free_append(m, a);
        else if (!a->answered && age > APPEND_SLOW_MS)
            slow = true;
    }
    return slow;
}

/** Mutant: what was appended is taken for ours, without looking. */
static void begin_unread(rc_membership *m, const append *a, int64_t position)
{
    for (size_t i = 0; i < a->count && !RC_RULE_ON(RC_RULE_READ_BACK); i++)
        if (a->units[i]->run == RUN_NONE)
            rc_m_unit_begin(m, a->units[i], RC_MAX(position, a->items[i].floor), position);
}

/** Mutant: what was stored once means that nobody takes our units for T. */
static void lease_by_append(rc_membership *m, const append *a)
{
    struct queued *q;

    if (RC_RULE_ON(RC_RULE_PING) || !m->open)
        return;
    m->lease_until = a->sent_ms + m->timers.session_ms;
    q = rc_m_act(m, RC_ACTION_LEASE);
    q->action.until_ms = m->lease_until;
}

void rc_m_conn_appended(rc_membership *m, uint64_t id, rc_appended outcome, int64_t offset)
{
    append *a;

    HASH_FIND(hh, m->appends, &id, sizeof id, a);
    if (!a)
        return;
    if (outcome == RC_APPENDED) {
        int64_t position = rc_fold_position(m->epoch, offset);

        m->acked = RC_MAX(m->acked, position);
        begin_unread(m, a, position);
        lease_by_append(m, a);
        rc_m_units_acked(m);
    } else if (outcome == RC_APPENDED_WEAK) {
        rc_m_tell(m, RC_TELL_WARN,
                  "the home of the ownership log stored a record, but not as safely as it must");
    }
    a->answered = true;
    if (a->kind != APPEND_CLAIM || outcome == RC_APPENDED_REFUSED)
        free_append(m, a);
}

/* ---- life of a connection -------------------------------------------------------------------- */

void rc_m_lease_end(rc_membership *m)
{
    m->lease_until = 0;
    (void)rc_m_act(m, RC_ACTION_LEASE);
}

void rc_m_conn_clear(rc_membership *m)
{
    append *a, *next;

    HASH_ITER(hh, m->appends, a, next)
    free_append(m, a);
    m->verified = m->caught = m->reading = m->verifying = false;
    m->ping = 0;
    m->pending_count = 0;
    m->behind_ms = 0;
    m->known_end = -1;
    m->open = false;
    m->opening_ms = 0;
}

/** What runs is suspended now, not only when the lease has run out: the worker can say so, and
 * polls nothing that it could not send. */
void rc_m_conn_lost(rc_membership *m)
{
    int64_t backoff = m->backoff;

    if (m->conn_state == CONN_UP)
        rc_m_units_suspend(m);
    rc_m_conn_clear(m);
    m->conn_state = CONN_NONE;
    m->connect_at = m->now + (backoff ? 1 + (int64_t)rc_m_random(m, (uint64_t)backoff) : 0);
    m->backoff = RC_MIN(RC_MAX(2 * backoff, (int64_t)BACKOFF_FIRST_MS), m->timers.backoff_ms);
}

void rc_m_conn_drop(rc_membership *m, const char *why)
{
    struct queued *q = rc_m_act(m, RC_ACTION_DISCONNECT);

    q->text = rc_strdup(why);
    q->action.text = q->text;
    rc_m_conn_lost(m);
}

static void send_ping(rc_membership *m)
{
    struct queued *q = rc_m_act(m, RC_ACTION_PING);

    m->ping = q->action.id = ++m->ids;
    m->ping_ms = m->pinged_ms = m->now;
    m->ping_next = m->next;
    m->ask_ping = false;
    m->counts.pings++;
}

static void send_read(rc_membership *m)
{
    struct queued *q = rc_m_act(m, RC_ACTION_READ);

    m->reading = true;
    q->action.offset = m->read_from;
}

/** R6: suspended until the next session is open, which needs R1 first. */
void rc_m_conn_up(rc_membership *m)
{
    m->conn_state = CONN_UP;
    m->connected_ms = m->now;
    m->read_at = 0;
    rc_m_units_suspend(m);
    rc_m_suspect_none(m);
    if (m->mode != READ_FOLD)
        rc_m_log_begin(m, NULL, m->mode == READ_LEAST ? READ_LEAST : READ_RECENT);
    m->verifying = m->mode == READ_FOLD && m->next > 0 && RC_RULE_ON(RC_RULE_NONCE);
    if (m->mode == READ_FOLD)
        m->read_from = m->next - m->verifying;
    if (!m->verifying && m->mode == READ_FOLD)
        rc_m_conn_verified(m);
    send_read(m);
    send_ping(m);
}

/** R1 has passed on this connection. */
void rc_m_conn_verified(rc_membership *m)
{
    m->verified = true;
    m->verifying = false;
    m->verified_ms = m->now;
    m->backoff = 0;
}

/* ---- lease ----------------------------------------------------------------------------------- */

static void renew(rc_membership *m, int64_t base_ms)
{
    struct queued *q;

    if (m->mode != READ_FOLD || (!m->verified && RC_RULE_ON(RC_RULE_VERIFIED)))
        return;
    if ((!m->open || !rc_m_mine(m)) && RC_RULE_ON(RC_RULE_REOPEN))
        return;
    if (base_ms + m->timers.suspend_ms <= m->lease_until)
        return;
    m->lease_until = base_ms + m->timers.suspend_ms;
    q = rc_m_act(m, RC_ACTION_LEASE);
    q->action.until_ms = m->lease_until;
}

void rc_m_applied(rc_membership *m)
{
    int done = 0;

    if (m->mode != READ_FOLD)
        return;
    while (done < m->pending_count && m->next >= m->pending[done].end) {
        m->caught = m->caught || m->verified;
        renew(m, m->pending[done++].base_ms);
    }
    m->pending_count -= done;
    memmove(m->pending, m->pending + done, (size_t)m->pending_count * sizeof m->pending[0]);
}

/** R3: behind, and no further since the last look. */
static bool stuck(rc_membership *m, int64_t end)
{
    if (m->next >= end) {
        m->behind_ms = 0;
    } else if (!m->behind_ms || m->behind_next != m->next) {
        m->behind_ms = m->now;
        m->behind_next = m->next;
    }
    return m->behind_ms && m->now - m->behind_ms > dead_ms(m);
}

void rc_m_conn_pinged(rc_membership *m, int64_t end)
{
    int64_t base = RC_RULE_ON(RC_RULE_LEASE_SENT) ? m->ping_ms : m->now;

    m->ping = 0;
    m->answered_ms = m->ping_ms;
    m->known_end = RC_MAX(m->known_end, end);
    if (end < m->ping_next && m->mode == READ_FOLD && RC_RULE_ON(RC_RULE_NONCE)) {
        m->known_end = end;
        rc_m_log_truncated(m);
        return;
    }
    if (stuck(m, end)) {
        rc_m_conn_drop(m, "what is read stays behind the end of the ownership log");
        return;
    }
    if (!RC_RULE_ON(RC_RULE_PING_APPLIED))
        renew(m, base);
    if (m->pending_count == RC_PENDING_PINGS) /* The oldest is met first; the newest can wait. */
        m->pending_count--;
    m->pending[m->pending_count++] = (struct pending_ping){end, base};
    rc_m_applied(m);
}

/** A reader without a fold has read all there was; what it does next is another read. */
static bool at_end(const rc_membership *m)
{
    return m->mode != READ_FOLD && m->read_from >= 0 && m->next >= m->known_end;
}

/** With each beat at least: a connection that is dead must not pass for silence of all. */
int64_t rc_m_ping_at(const rc_membership *m, bool slow)
{
    bool busy = m->now < m->need_until || !m->caught || m->pending_count || !m->open ||
                m->ask_ping || slow || m->mode != READ_FOLD;

    return m->pinged_ms + (busy ? m->timers.ping_ms : m->timers.heartbeat_ms);
}

void rc_m_conn_step(rc_membership *m)
{
    bool slow = appends_slow(m);

    if (m->conn_state == CONN_NONE && m->now >= m->connect_at) {
        m->conn = ++m->ids;
        m->conn_state = CONN_ASKED;
        m->connect_at = m->now + m->timers.session_ms;
        (void)rc_m_act(m, RC_ACTION_CONNECT);
    }
    if (m->conn_state == CONN_ASKED && m->now >= m->connect_at)
        rc_m_conn_drop(m, "nothing came of the connect");
    if (m->conn_state != CONN_UP)
        return;
    if (m->ping && m->now - m->ping_ms > dead_ms(m)) {
        rc_m_conn_drop(m, "the home of the ownership log does not answer");
        return;
    }
    if (!m->reading && m->now >= m->read_at && !at_end(m))
        send_read(m);
    if (!m->ping && m->now >= rc_m_ping_at(m, slow))
        send_ping(m);
}
