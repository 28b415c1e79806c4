/* SPDX-License-Identifier: Apache-2.0 */
/**
 * An observer who reads the log of ownership as it is written, and what must hold for all members:
 *
 * I1   all who have read as far agree
 * I4   in the end all are members, and all units are owned
 * I5   an outage of all brokers moves nothing
 * I11  in the end units are dealt out evenly
 */
#include "member.h"

/** Makes a log and forgets nothing of it. */
struct observer {
    rc_fold *fold;
    int home;
    rc_own_kind kind; /* Of the record that is being read, and who wrote it: */
    uint64_t life;    /* 0 = a process that is gone. */
    int64_t snap[2];  /* Offsets where the last two snapshots begin, the older one first. */
    rc_arena arena;
};

static void unit_changed(void *arg, rc_fold_unit *fu, rc_fold_event event)
{
    sim *s = arg;
    struct unit *u = member_unit(s, (rc_unit_id){fu->connector, fu->number});

    if (event == RC_FOLD_CLAIMED)
        s->claims++;
    else if (event == RC_FOLD_FREED && s->observer->kind == RC_OWN_RELEASE && u)
        unit_released(s, u, fu->generation, s->observer->life);
}

static rc_fold *new_fold(sim *s)
{
    rc_fold_watch watch = {.unit = unit_changed, .arg = s};

    return rc_fold_new(1, &watch);
}

static uint64_t life_of(const sim *s, uint64_t incarnation)
{
    for (int i = 0; i < s->worker_count; i++)
        if (s->worker[i].member && s->worker[i].member->incarnation == incarnation)
            return s->worker[i].life;
    return 0;
}

static void observe(sim *s, rc_slice bytes)
{
    struct observer *o = s->observer;
    rc_own_record record = {0};
    rc_error err = {0};
    bool ok = rc_own_read(bytes, &o->arena.pub, &record, &err) == 0;
    static const char *const verdicts[] = {"valid", "partly", "void", "neutral"};
    rc_verdict verdict;

    o->kind = record.kind;
    o->life = life_of(s, record.incarnation);
    if (record.kind == RC_OWN_SNAP && record.part == 0) {
        o->snap[0] = o->snap[1];
        o->snap[1] = rc_fold_offset(rc_fold_next(o->fold));
    }
    verdict = rc_fold_apply(o->fold, ok ? &record : NULL);
    sim_trace(s, "log %lld: %s %s session %lld by %s, %zu units (%s %d): %s",
              (long long)rc_fold_offset(rc_fold_next(o->fold)) - 1, rc_own_kind_name(record.kind),
              record.worker ? record.worker : "-", (long long)record.session,
              record.by ? record.by : "-", record.item_count,
              record.item_count ? record.items[0].connector : "-",
              record.item_count ? record.items[0].number : 0, verdicts[verdict]);
    rc_arena_reset(&o->arena, 1 << 20);
}

void member_appended(sim *s, int home, rc_slice bytes)
{
    struct observer *o = s->observer;
    const char *name;
    int64_t epoch;

    if (home == o->home + 1 && rc_fold_sealed(o->fold, &epoch, &name)) {
        rc_fold_move(o->fold);
        o->home = home;
        o->snap[0] = o->snap[1] = 0;
    }
    if (home == o->home)
        observe(s, bytes);
}

/** The log has lost its end: what the observer knew is not true any more. */
void member_truncated(sim *s, int home)
{
    struct observer *o = s->observer;
    uint64_t claims = s->claims;

    if (home != o->home || home > 0)
        return;
    rc_fold_free(o->fold);
    o->fold = new_fold(s);
    for (int64_t i = 0; i < home_count(s, home); i++)
        observe(s, home_record(s, home, i));
    s->claims = claims;
}

void member_retention(sim *s)
{
    struct observer *o = s->observer;

    home_trim(s, o->home, o->snap[0], s->engine.now - s->times.recent - SIM_S);
}

void member_world(sim *s)
{
    s->observer = engine_new(&s->engine, sizeof(*s->observer));
    rc_arena_init(&s->observer->arena, 16384);
    s->observer->fold = new_fold(s);
    home_make(s, 0, 0);
}

void member_world_end(sim *s)
{
    rc_fold_free(s->observer->fold);
    rc_arena_release(&s->observer->arena);
}

void members_compare(member *m)
{
    const rc_fold *fold = rc_membership_fold(m->machine), *seen = m->s->observer->fold;
    int64_t next = rc_fold_next(fold);
    uint64_t here, there;

    if (m->s->mix->loss || !rc_fold_begun(fold))
        return;
    for (int64_t at = RC_MAX(m->compared, next - 64); at <= next; at++)
        if (rc_fold_hash_at(fold, at, &here) && rc_fold_hash_at(seen, at, &there) && here != there)
            sim_fail(m->s, "I1", "%s: its fold before record %lld is another", m->worker->name,
                     (long long)rc_fold_offset(at));
    m->compared = next;
}

/* ---- the end --------------------------------------------------------------------------------- */

static void check_members(sim *s)
{
    for (int i = 0; i < s->worker_count; i++) {
        worker *w = &s->worker[i];
        rc_membership_state state =
            w->member ? rc_membership_state_of(w->member->machine) : RC_MEMBERSHIP_ENDED;

        if (state != RC_MEMBERSHIP_OPEN)
            sim_fail(s, "I4", "%s is no member at the end: %s", w->name,
                     rc_membership_state_name(state));
    }
}

static void check_balance(sim *s)
{
    size_t least = SIZE_MAX, most = 0;

    for (int i = 0; i < s->worker_count; i++) {
        const rc_fold_worker *w = rc_fold_find_worker(s->observer->fold, s->worker[i].name);
        size_t owned = w ? w->owned : 0;

        least = RC_MIN(least, owned);
        most = RC_MAX(most, owned);
    }
    if (most > least + 1)
        sim_fail(s, "I11", "workers own from %zu to %zu units", least, most);
}

void member_check(sim *s)
{
    if (s->mix->outage && s->claims > s->claims_before)
        sim_fail(s, "I5", "%llu claims after an outage",
                 (unsigned long long)(s->claims - s->claims_before));
    check_members(s);
    check_balance(s);
}
