/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The catalogue, and what the assignment makes of it. Every worker computes where every unit should
 * be, and does its own part only: claims what is free and should be here, drains what is here and
 * should not. Two that see the log at different places may differ for a moment; the log decides.
 * Computed when members, owners or units have changed, after a wait that grows with the units.
 */
#include "cluster/member_impl.h"

#define UNITS_PER_MS 100

void rc_m_dirty(rc_membership *m)
{
    if (!m->dirty)
        m->dirty_ms = m->now;
    m->dirty = true;
}

bool rc_m_wanted_here(const rc_membership *m, const unit *u)
{
    return u->listed && u->wanted >= 0 && (size_t)u->wanted < m->name_count &&
           !strcmp(m->names[u->wanted], m->config.name);
}

/* ---- catalogue ------------------------------------------------------------------------------- */

static int by_key(const void *a, const void *b)
{
    const unit *x = *(unit *const *)a, *y = *(unit *const *)b;
    int order = strcmp(x->connector, y->connector);

    return order ? order : (x->number > y->number) - (x->number < y->number);
}

static void list_unit(rc_membership *m, const rc_catalog_unit *c)
{
    unit *u = rc_m_unit(m, c->unit.connector, c->unit.number, true);

    if (!u->listed)
        m->sorted[m->sorted_count++] = u;
    u->listed = true;
    u->weight = RC_MIN(RC_MAX(c->weight, 1u), (uint32_t)RC_ASSIGN_WEIGHT_MAX);
    free(u->requires);
    u->requires = rc_strdup(c->requires ? c->requires : "");
}

static bool fits(const rc_catalog_unit *c)
{
    return c->unit.connector && *c->unit.connector && c->unit.number >= RC_OWN_HALF &&
           strlen(c->unit.connector) <= RC_OWN_NAME_MAX;
}

void rc_membership_catalog(rc_membership *m, int64_t now_ms, const rc_catalog_unit *units,
                           size_t count)
{
    unit **old = m->sorted;
    size_t old_count = m->sorted_count, left_out = 0;

    m->now = RC_MAX(m->now, now_ms);
    if (m->ended)
        return;
    for (size_t i = 0; i < old_count; i++)
        old[i]->listed = false;
    m->sorted = rc_calloc(RC_MIN(count, (size_t)RC_ASSIGN_UNITS_MAX) + 1, sizeof *m->sorted);
    m->sorted_count = 0;
    for (size_t i = 0; i < count; i++)
        if (fits(&units[i]) && m->sorted_count < RC_ASSIGN_UNITS_MAX)
            list_unit(m, &units[i]);
        else
            left_out++;
    qsort(m->sorted, m->sorted_count, sizeof(unit *), by_key);
    if (left_out)
        rc_m_tell(m, RC_TELL_ERROR,
                  "%zu units are not run: a name has more than %d bytes, or there are more than %d "
                  "units",
                  left_out, RC_OWN_NAME_MAX, RC_ASSIGN_UNITS_MAX);
    for (size_t i = 0; i < old_count; i++)
        if (!old[i]->listed)
            rc_m_unit_unlisted(m, old[i]);
    free(old);
    m->catalogued = true;
    rc_m_dirty(m);
    rc_membership_tick(m, now_ms);
}

/* ---- assignment ------------------------------------------------------------------------------ */

static rc_member *members_of(rc_membership *m, size_t *ret_count)
{
    rc_member *all = rc_calloc(rc_fold_worker_count(m->fold) + 1, sizeof *all);
    size_t n = 0;

    for (rc_fold_worker *w = rc_fold_next_worker(m->fold, NULL); w;
         w = rc_fold_next_worker(m->fold, w)) {
        uint32_t flags = (w->closed >= 0 ? RC_MEMBER_ABSENT : 0) |
                         (w->about.flags & RC_OWN_DRAINING ? RC_MEMBER_DRAINING : 0);

        ((peer *)w->user)->place = (int32_t)n;
        all[n++] = (rc_member){w->name, w->about.labels, w->about.weight, flags};
    }
    *ret_count = n;
    return all;
}

static rc_unit *units_of(rc_membership *m)
{
    rc_unit *all = rc_calloc(m->sorted_count + 1, sizeof *all);

    for (size_t i = 0; i < m->sorted_count; i++) {
        const unit *u = m->sorted[i];
        const rc_fold_worker *owner = u->fold ? u->fold->owner : NULL;

        all[i] = (rc_unit){u->connector, u->number,
                           owner ? ((const peer *)owner->user)->place : RC_ASSIGN_NOBODY, u->weight,
                           u->requires};
    }
    return all;
}

static void keep_names(rc_membership *m, const rc_member *members, size_t count)
{
    for (size_t i = 0; i < m->name_count; i++)
        free(m->names[i]);
    free(m->names);
    m->names = rc_calloc(count + 1, sizeof *m->names);
    for (size_t i = 0; i < count; i++)
        m->names[i] = rc_strdup(members[i].name);
    m->name_count = count;
}

static void follow(rc_membership *m, unit *u)
{
    if (rc_m_wanted_here(m, u)) {
        if (u->draining || u->run != RUN_NONE)
            return;
        rc_m_want(m, u);
    } else if (u->list == LIST_READY || u->list == LIST_WAITING) {
        rc_m_list(m, u, LIST_NONE, 0);
    } else if (u->run != RUN_NONE && u->run != RUN_STOPPING && rc_m_unit_ours(m, u)) {
        rc_m_unit_drain(m, u, rc_why_name(u->why));
    }
}

static void follow_all(rc_membership *m, const rc_assigned *assigned)
{
    for (size_t i = 0; i < m->sorted_count; i++) {
        m->sorted[i]->wanted = assigned->owner[i];
        m->sorted[i]->why = assigned->why[i];
    }
    for (size_t i = 0; i < m->sorted_count; i++)
        follow(m, m->sorted[i]);
}

static void compute(rc_membership *m)
{
    rc_assign_input in = {0};
    rc_assigned assigned = {0};
    rc_error err = {0};
    rc_member *members = members_of(m, &in.member_count);
    rc_unit *units = units_of(m);

    in.members = members;
    in.units = units;
    in.unit_count = m->sorted_count;
    m->counts.assignments++;
    if (rc_assign(&in, &assigned, &err) < 0) {
        rc_m_tell(m, RC_TELL_ERROR, "units cannot be assigned: %s", err.msg);
    } else {
        keep_names(m, members, in.member_count);
        follow_all(m, &assigned);
        rc_assigned_release(&assigned);
    }
    free(members);
    free(units);
}

/** After the loss of a log: what ran here comes first, all else later. True while only that. */
static bool prefer(rc_membership *m)
{
    if (!m->prefer_until)
        return false;
    if (m->prefer_until == INT64_MAX) {
        m->prefer_until = m->now + RC_PREFER_MS;
        for (size_t i = 0; i < m->sorted_count; i++)
            if (m->sorted[i]->ran)
                rc_m_want(m, m->sorted[i]);
    }
    if (m->now < m->prefer_until)
        return true;
    m->prefer_until = 0;
    return false;
}

void rc_m_assign_step(rc_membership *m)
{
    int64_t wait = m->timers.assign_ms + (int64_t)m->sorted_count / UNITS_PER_MS;

    if (!rc_m_may_claim(m) || prefer(m))
        return;
    if (!m->dirty || m->now < m->dirty_ms + m->timers.assign_ms || m->now < m->assigned_ms + wait)
        return;
    m->dirty = false;
    m->assigned_ms = m->now;
    compute(m);
}
