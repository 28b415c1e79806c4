/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A unit in the hands of this worker: claimed, acknowledged (R12), its positions asked (R7),
 * started, suspended and resumed, drained (R14), stopped. What the fold says of it comes first,
 * always.
 */
#include "cluster/member_impl.h"

#include <utlist.h>

unit *rc_m_unit(rc_membership *m, const char *connector, int32_t number, bool make)
{
    char key[RC_FOLD_KEY_MAX];
    size_t len = rc_fold_key(connector, number, key);
    unit *u;

    HASH_FIND(hh, m->units, key, len, u);
    if (u || !make)
        return u;
    u = rc_calloc(1, sizeof *u);
    u->key = rc_strndup(key, len);
    u->connector = strchr(u->key, '/') + 1;
    u->number = number;
    u->seen = u->used = -1;
    u->wanted = RC_ASSIGN_NOBODY;
    u->weight = 1;
    HASH_ADD_KEYPTR(hh, m->units, u->key, len, u);
    return u;
}

static void free_unit(rc_membership *m, unit *u)
{
    HASH_DEL(m->units, u);
    free(u->requires);
    free(u->key);
    free(u);
}

void rc_m_unit_gone(rc_membership *m, unit *u)
{
    if (u->listed || u->fold || u->run != RUN_NONE)
        return;
    rc_m_list(m, u, LIST_NONE, 0);
    for (append *a = m->appends; a; a = a->hh.next)
        for (size_t i = 0; i < a->count; i++)
            if (a->units[i] == u)
                return; /* Later. */
    free_unit(m, u);
}

void rc_m_units_free(rc_membership *m)
{
    unit *u, *next;

    HASH_CLEAR(by_ask, m->asks);
    HASH_ITER(hh, m->units, u, next)
    free_unit(m, u);
    for (size_t i = 0; i < m->name_count; i++)
        free(m->names[i]);
    free(m->names);
    free(m->sorted);
}

bool rc_m_unit_ours(const rc_membership *m, const unit *u)
{
    const rc_fold_unit *f = u->fold;

    return f && f->owner && f->incarnation == m->config.incarnation &&
           !strcmp(f->owner->name, m->config.name);
}

/* ---- states ---------------------------------------------------------------------------------- */

static void set_run(rc_membership *m, unit *u, enum run_state run)
{
    if (u->run == RUN_CLAIMED)
        DL_DELETE2(m->acks, u, acks_prev, acks_next);
    if (u->run == RUN_NONE && run != RUN_NONE) {
        DL_APPEND2(m->runs, u, run_prev, run_next);
        m->run_count++;
    }
    if (u->run != RUN_NONE && run == RUN_NONE) {
        DL_DELETE2(m->runs, u, run_prev, run_next);
        m->run_count--;
    }
    if (run == RUN_CLAIMED)
        DL_APPEND2(m->acks, u, acks_prev, acks_next);
    u->run = run;
}

static void set_ask(rc_membership *m, unit *u, uint64_t ask)
{
    if (u->ask)
        HASH_DELETE(by_ask, m->asks, u);
    u->ask = ask;
    if (ask)
        HASH_ADD(by_ask, m->asks, ask, sizeof u->ask, u);
}

static void ask(rc_membership *m, unit *u)
{
    set_ask(m, u, ++m->ids);
    rc_m_unit_act(m, RC_ACTION_WITNESS, u, "");
}

static void end_run(rc_membership *m, unit *u)
{
    set_ask(m, u, 0);
    set_run(m, u, RUN_NONE);
    u->suspended = u->draining = false;
}

static void start(rc_membership *m, unit *u)
{
    set_run(m, u, RUN_STARTING);
    rc_m_unit_act(m, RC_ACTION_START, u, "");
}

/** R12 holds; R7 comes next. */
static void acknowledged(rc_membership *m, unit *u)
{
    set_run(m, u, RUN_WITNESS);
    if (!RC_RULE_ON(RC_RULE_WITNESS))
        start(m, u);
    else if (m->open || !RC_RULE_ON(RC_RULE_REOPEN))
        ask(m, u);
}

void rc_m_units_acked(rc_membership *m)
{
    while (m->acks && (m->acks->claimed_at <= m->acked || !RC_RULE_ON(RC_RULE_ACKED_START)))
        acknowledged(m, m->acks);
}

void rc_m_unit_begin(rc_membership *m, unit *u, int64_t generation, int64_t position)
{
    rc_m_list(m, u, LIST_NONE, 0);
    u->generation = generation;
    u->claimed_at = position;
    u->seen = RC_MAX(u->seen, generation);
    u->used = RC_MAX(u->used, generation);
    u->suspended = u->draining = u->ran = false;
    set_run(m, u, RUN_CLAIMED);
    if (!m->nudged_ms || m->acks == u)
        m->nudged_ms = m->now;
    rc_m_units_acked(m);
}

void rc_m_unit_stop(rc_membership *m, unit *u, const char *why)
{
    if (u->run == RUN_NONE || u->run == RUN_STOPPING)
        return;
    if (u->run == RUN_CLAIMED || u->run == RUN_WITNESS) {
        end_run(m, u);
        return;
    }
    set_ask(m, u, 0);
    set_run(m, u, RUN_STOPPING);
    rc_m_unit_act(m, RC_ACTION_STOP, u, why);
}

void rc_m_units_stop(rc_membership *m, const char *why)
{
    for (unit *u = m->runs, *next; u; u = next) {
        next = u->run_next;
        rc_m_unit_stop(m, u, why);
    }
}

void rc_m_unit_drain(rc_membership *m, unit *u, const char *why)
{
    if (u->run == RUN_CLAIMED || u->run == RUN_WITNESS) {
        end_run(m, u);
        rc_m_give(m, u, false);
    } else if ((u->run == RUN_STARTING || u->run == RUN_RUNNING) && !u->draining) {
        u->draining = true;
        rc_m_unit_act(m, RC_ACTION_DRAIN, u, why);
        if (!RC_RULE_ON(RC_RULE_DRAIN))
            rc_m_give(m, u, false);
    }
}

void rc_m_unit_unlisted(rc_membership *m, unit *u)
{
    u->wanted = RC_ASSIGN_NOBODY;
    if (u->run != RUN_NONE)
        rc_m_unit_drain(m, u, "it is not in the catalogue any more");
    else if (u->list == LIST_READY || u->list == LIST_WAITING)
        rc_m_list(m, u, LIST_NONE, 0);
    rc_m_unit_gone(m, u);
}

/** It runs no more: what we still own is given back. */
void rc_m_unit_ended(rc_membership *m, unit *u, bool dirty)
{
    end_run(m, u);
    if (dirty)
        u->clean_at = m->now + m->timers.tail_ms;
    if (rc_m_unit_ours(m, u))
        rc_m_give(m, u, dirty);
    else if (rc_m_wanted_here(m, u))
        rc_m_want(m, u);
    rc_m_unit_gone(m, u);
}

/* ---- R7 -------------------------------------------------------------------------------------- */

void rc_m_unit_outranked(rc_membership *m, unit *u, int64_t seen)
{
    m->counts.outranked++;
    u->seen = RC_MAX(u->seen, seen);
    rc_m_tell(
        m, RC_TELL_WARN,
        "unit %s: generation %lld was found, ours is %lld: it stops, and is claimed above that",
        u->key, (long long)seen, (long long)u->generation);
    rc_m_unit_stop(m, u, "a higher generation was found");
    if (u->run == RUN_NONE && rc_m_unit_ours(m, u))
        rc_m_give(m, u, false);
}

void rc_m_unit_witnessed(rc_membership *m, unit *u, int64_t seen)
{
    set_ask(m, u, 0);
    if (seen >= u->generation) {
        rc_m_unit_outranked(m, u, seen);
    } else if (u->run == RUN_WITNESS) {
        start(m, u);
    } else if (u->suspended) {
        u->suspended = false;
        rc_m_unit_act(m, RC_ACTION_RESUME, u, "");
    }
}

/* ---- R6 -------------------------------------------------------------------------------------- */

void rc_m_units_suspend(rc_membership *m)
{
    m->pending_count = 0;
    rc_m_lease_end(m);
    for (unit *u = m->runs; u; u = u->run_next) {
        set_ask(m, u, 0);
        if (u->run == RUN_STARTING || u->run == RUN_RUNNING)
            u->suspended = true;
    }
    if (m->runs)
        (void)rc_m_act(m, RC_ACTION_SUSPEND);
}

void rc_m_units_resume(rc_membership *m)
{
    for (unit *u = m->runs; u; u = u->run_next) {
        if (u->run == RUN_WITNESS || (u->suspended && RC_RULE_ON(RC_RULE_WITNESS))) {
            ask(m, u);
        } else if (u->suspended) {
            u->suspended = false;
            rc_m_unit_act(m, RC_ACTION_RESUME, u, "");
        }
    }
}

/* ---- what the log says ----------------------------------------------------------------------- */

/** It is ours: run it, unless this generation ran here already. */
static void claimed_by_us(rc_membership *m, unit *u)
{
    if (u->run != RUN_NONE && u->generation == u->fold->generation)
        return;
    if (u->run != RUN_NONE)
        rc_m_unit_stop(m, u, "it was claimed again");
    if (u->run == RUN_NONE && u->fold->generation > u->used && u->fold->generation >= u->seen &&
        m->mode == READ_FOLD)
        rc_m_unit_begin(m, u, u->fold->generation, u->fold->since);
    else if (u->run == RUN_NONE)
        rc_m_give(m, u, false);
}

static void lost(rc_membership *m, unit *u)
{
    if (u->run == RUN_NONE || !RC_RULE_ON(RC_RULE_READ_BACK))
        return;
    rc_m_unit_stop(m, u, u->fold->owner ? "another worker has claimed it" : "it is not ours");
}

void rc_m_unit_event(void *arg, rc_fold_unit *fold, rc_fold_event event)
{
    rc_membership *m = arg;
    unit *u = fold->user ? fold->user : rc_m_unit(m, fold->connector, fold->number, true);

    fold->user = u;
    u->fold = fold;
    if (event == RC_FOLD_GONE) {
        u->seen = RC_MAX(u->seen, fold->generation);
        u->fold = NULL;
        rc_m_unit_stop(m, u, "it was forgotten");
        rc_m_unit_gone(m, u);
        return;
    }
    u->seen = RC_MAX(u->seen, fold->generation - 1);
    rc_m_list(m, u, LIST_NONE, 0);
    rc_m_dirty(m); /* Ours too: we may have won more than our share. */
    if (rc_m_unit_ours(m, u)) {
        claimed_by_us(m, u);
        return;
    }
    lost(m, u);
    u->seen = RC_MAX(u->seen, fold->generation);
    if (event == RC_FOLD_FREED && rc_m_wanted_here(m, u))
        rc_m_want(m, u);
}
