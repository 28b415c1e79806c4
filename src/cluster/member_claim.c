/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Claims and releases, many units in a record. Units wait in lists that are in order of time, so
 * that a look costs what is due, not what there is.
 *
 *   READY    to be claimed: the assignment wants it here, and it is free or its owner closed for
 *            D_close (R9); at most RC_CLAIM_ROUNDS records are under way
 *   WAITING  wanted, but its owner has not been closed for so long
 *   ASKED    in a claim; when that is not read back it is looked at again
 *   DIRTY    owned, stopped without draining: released D_tail later
 *   RELEASE  owned, not run; RELEASED: in a release; owned still, it is released again
 */
#include "cluster/member_impl.h"

#include <utlist.h>

void rc_m_list(rc_membership *m, unit *u, enum unit_list list, int64_t due)
{
    if (u->list != LIST_NONE)
        DL_DELETE(m->list[u->list], u);
    u->list = list;
    u->due = due;
    if (list != LIST_NONE)
        DL_APPEND(m->list[list], u);
}

static bool draining(const rc_membership *m)
{
    return (m->config.about.flags & RC_OWN_DRAINING) != 0;
}

/** R10, and that we take part at all. */
bool rc_m_may_claim(const rc_membership *m)
{
    if (!m->open || !m->catalogued || m->conn_state != CONN_UP || !rc_m_mine(m))
        return false;
    return !RC_RULE_ON(RC_RULE_QUARANTINE) || m->now >= m->verified_ms + m->close_ms;
}

enum when { CLAIM_NOW, CLAIM_LATER, CLAIM_NEVER };

/** R9. `ret_due`: when, if it is later. */
static enum when when_to_claim(const rc_membership *m, const unit *u, int64_t *ret_due)
{
    const rc_fold_worker *owner = u->fold ? u->fold->owner : NULL;
    const peer *p;

    if (u->run != RUN_NONE || draining(m))
        return CLAIM_NEVER;
    *ret_due = u->clean_at;
    if (!owner)
        return m->now >= u->clean_at ? CLAIM_NOW : CLAIM_LATER;
    if (rc_m_unit_ours(m, u) || owner->closed < 0)
        return CLAIM_NEVER;
    p = owner->user;
    *ret_due = RC_MAX(p->closed_ms + m->close_ms, u->clean_at);
    return m->now >= *ret_due || !RC_RULE_ON(RC_RULE_CLOSE_WAIT) ? CLAIM_NOW : CLAIM_LATER;
}

static void wait_for_close(rc_membership *m, unit *u, int64_t due)
{
    m->waiting_at = m->list[LIST_WAITING] ? RC_MIN(m->waiting_at, due) : due;
    rc_m_list(m, u, LIST_WAITING, due);
}

void rc_m_want(rc_membership *m, unit *u)
{
    int64_t due = 0;
    enum when when = when_to_claim(m, u, &due);

    if (u->list == LIST_ASKED && m->now < u->due)
        return;
    if (when == CLAIM_NOW)
        rc_m_list(m, u, LIST_READY, 0);
    else if (when == CLAIM_LATER)
        wait_for_close(m, u, due);
    else if (u->list == LIST_READY || u->list == LIST_WAITING || u->list == LIST_ASKED)
        rc_m_list(m, u, LIST_NONE, 0);
}

void rc_m_give(rc_membership *m, unit *u, bool dirty)
{
    if (dirty)
        u->clean_at = m->now + m->timers.tail_ms;
    if (m->now < u->clean_at)
        rc_m_list(m, u, LIST_DIRTY, u->clean_at);
    else
        rc_m_list(m, u, LIST_RELEASE, 0);
}

/* ---- claims ---------------------------------------------------------------------------------- */

static rc_own_item item_of(const unit *u)
{
    const rc_fold_unit *f = u->fold;
    rc_own_item item = {.connector = u->connector,
                        .number = u->number,
                        .prev = f ? f->generation : -1,
                        .closed = f && f->owner ? f->owner->closed : -1};

    item.floor = RC_RULE_ON(RC_RULE_FLOOR) ? 1 + RC_MAX(u->seen, item.prev) : -1;
    return item;
}

/** Sends one record of claims; false when there was nothing to claim. */
static bool claim_some(rc_membership *m)
{
    rc_own_item items[RC_CLAIM_BATCH];
    unit *units[RC_CLAIM_BATCH];
    rc_own_record r = {.kind = RC_OWN_CLAIM,
                       .worker = m->config.name,
                       .incarnation = m->config.incarnation,
                       .session = m->session,
                       .items = items};
    append *a;

    for (unit *u = m->list[LIST_READY], *next; u && r.item_count < RC_CLAIM_BATCH; u = next) {
        int64_t due = 0;

        next = u->next;
        if (when_to_claim(m, u, &due) != CLAIM_NOW) {
            rc_m_list(m, u, LIST_NONE, 0);
            rc_m_want(m, u);
            continue;
        }
        units[r.item_count] = u;
        items[r.item_count++] = item_of(u);
    }
    a = r.item_count ? rc_m_append(m, &r, APPEND_CLAIM) : NULL;
    if (!a)
        return false;
    a->count = r.item_count;
    a->units = rc_malloc(a->count * sizeof *a->units);
    a->items = rc_malloc(a->count * sizeof *a->items);
    memcpy(a->units, units, a->count * sizeof *a->units);
    memcpy(a->items, items, a->count * sizeof *a->items);
    for (size_t i = 0; i < a->count; i++)
        rc_m_list(m, units[i], LIST_ASKED, m->now + m->timers.retry_ms);
    return true;
}

/** A claim of ours was read back: what is not ours now has been lost. */
void rc_m_claim_read(rc_membership *m, const rc_own_record *record)
{
    append *a, *next;

    for (size_t i = 0; i < record->item_count; i++) {
        unit *u = rc_m_unit(m, record->items[i].connector, record->items[i].number, false);

        if (u && rc_m_unit_ours(m, u)) {
            m->counts.claims_won++;
            continue;
        }
        m->counts.claims_lost++;
        if (u && u->list == LIST_ASKED)
            rc_m_list(m, u, LIST_NONE, 0);
        rc_m_dirty(m);
    }
    HASH_ITER(hh, m->appends, a, next)
    if (a->nonce == record->nonce && a->kind == APPEND_CLAIM) {
        a->kind = APPEND_OTHER; /* Its acknowledgement still counts. */
        m->claims_out--;
    }
}

/* ---- releases -------------------------------------------------------------------------------- */

/** One record for units that we own with the generation they ran with. */
static bool release_some(rc_membership *m)
{
    rc_own_item items[RC_CLAIM_BATCH];
    unit *units[RC_CLAIM_BATCH];
    rc_own_record r = {.kind = RC_OWN_RELEASE,
                       .worker = m->config.name,
                       .incarnation = m->config.incarnation,
                       .items = items};

    for (unit *u = m->list[LIST_RELEASE], *next; u && r.item_count < RC_CLAIM_BATCH; u = next) {
        next = u->next;
        if (!rc_m_unit_ours(m, u)) {
            rc_m_list(m, u, LIST_NONE, 0);
            continue;
        }
        units[r.item_count] = u;
        items[r.item_count] = item_of(u);
        items[r.item_count++].closed = -1;
    }
    if (!r.item_count || !rc_m_append(m, &r, APPEND_OTHER))
        return false;
    for (size_t i = 0; i < r.item_count; i++)
        rc_m_list(m, units[i], LIST_RELEASED, m->now + m->timers.retry_ms);
    return true;
}

/* ---- what is due ----------------------------------------------------------------------------- */

static void again(rc_membership *m, enum unit_list from, enum unit_list to)
{
    for (unit *u = m->list[from]; u && u->due <= m->now; u = m->list[from])
        rc_m_list(m, u, to, 0);
}

static void asked_again(rc_membership *m)
{
    for (unit *u = m->list[LIST_ASKED]; u && u->due <= m->now; u = m->list[LIST_ASKED]) {
        rc_m_list(m, u, LIST_NONE, 0);
        rc_m_dirty(m);
    }
}

/** Owners differ, and with them the times: all are looked at when the first is due. */
static void waiting_due(rc_membership *m)
{
    if (!m->list[LIST_WAITING] || m->now < m->waiting_at)
        return;
    m->waiting_at = INT64_MAX;
    for (unit *u = m->list[LIST_WAITING], *next; u; u = next) {
        next = u->next;
        if (u->due <= m->now) {
            rc_m_list(m, u, LIST_NONE, 0);
            rc_m_want(m, u);
        } else {
            m->waiting_at = RC_MIN(m->waiting_at, u->due);
        }
    }
}

void rc_m_claim_step(rc_membership *m)
{
    again(m, LIST_DIRTY, LIST_RELEASE);
    again(m, LIST_RELEASED, LIST_RELEASE);
    asked_again(m);
    waiting_due(m);
    if (m->open && m->conn_state == CONN_UP)
        while (m->list[LIST_RELEASE] && release_some(m))
            ;
    while (m->list[LIST_READY] && m->claims_out < RC_CLAIM_ROUNDS && rc_m_may_claim(m) &&
           claim_some(m))
        ;
}
