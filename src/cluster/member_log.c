/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Records, from the connection into the fold. A reader without a fold looks for a snapshot: first
 * among the records of the last 25 minutes, then from the beginning. A log that begins with its
 * genesis is folded from there. A log whose beginning is gone and that has no snapshot belongs to
 * workers that are all long gone: an empty snapshot is appended, so that all readers agree on it.
 */
#include "cluster/member_impl.h"

#define EMPTY_AGAIN_MS 100
#define HEADLESS_AGAIN_MS 2000
#define FOUND_WAIT_MS 300 /* An empty log is begun after up to so long: others may be faster. */
#define IMPORT_WAIT_MS 3000
#define OFFSET_MAX (((int64_t)1 << 40) - 1)

static void attach_all(rc_membership *m)
{
    const rc_fold_watch watch = {rc_m_worker_event, rc_m_unit_event, m};

    rc_fold_watch_set(m->fold, &watch);
    for (rc_fold_worker *w = rc_fold_next_worker(m->fold, NULL); w;
         w = rc_fold_next_worker(m->fold, w))
        rc_m_attach(m, w);
    for (rc_fold_unit *u = rc_fold_next_unit(m->fold, NULL); u; u = rc_fold_next_unit(m->fold, u))
        rc_m_unit_event(m, u, u->owner ? RC_FOLD_CLAIMED : RC_FOLD_FREED);
}

/** What the fold has of units is kept as the generations seen (R11); the rest is dropped. */
static void drop_fold(rc_membership *m)
{
    unit *u, *next;

    if (!m->fold)
        return;
    for (rc_fold_worker *w = rc_fold_next_worker(m->fold, NULL); w;
         w = rc_fold_next_worker(m->fold, w))
        free(w->user);
    HASH_ITER(hh, m->units, u, next)
    {
        if (u->fold)
            u->seen = RC_MAX(u->seen, u->fold->generation);
        u->fold = NULL;
        rc_m_list(m, u, LIST_NONE, 0);
    }
    rc_fold_free(m->fold);
    m->fold = NULL;
}

void rc_m_log_begin(rc_membership *m, rc_fold *fold, enum read_mode mode)
{
    drop_fold(m);
    rc_fold_parts_free(m->parts);
    m->imports = m->imports && mode != READ_FOLD;
    m->parts = mode == READ_FOLD ? NULL : rc_fold_parts_new();
    m->fold = fold ? fold : rc_fold_new(m->epoch, NULL);
    m->mode = mode;
    m->next = rc_fold_offset(rc_fold_next(m->fold));
    m->read_from = fold ? m->next : mode == READ_RECENT ? RC_READ_RECENT : RC_READ_LEAST;
    m->read_at = 0;
    m->verifying = m->reading = m->caught = false;
    m->pending_count = 0;
    m->snap_position = rc_fold_next(m->fold);
    m->snap_at = m->now;
    m->open = false;
    attach_all(m);
    rc_m_dirty(m);
}

void rc_m_log_reset(rc_membership *m, const char *why)
{
    m->counts.truncations++;
    rc_m_lease_end(m);
    rc_m_units_stop(m, why);
    m->acked = -1;
    m->caught = m->verified = false;
    m->pending_count = 0;
    m->opening_ms = 0;
    rc_m_log_begin(m, NULL, READ_RECENT);
}

void rc_m_log_truncated(rc_membership *m)
{
    if (!RC_RULE_ON(RC_RULE_NONCE)) {
        m->read_from = RC_MIN(m->next, m->known_end);
        return;
    }
    rc_m_tell(m, RC_TELL_ERROR,
              "the ownership log on '%s' has lost records that were stored: all own units stop, "
              "and it is read again; its home should flush and replicate before it acknowledges",
              m->home);
    rc_m_log_reset(m, "the ownership log has lost records");
}

/* ---- the move of the log --------------------------------------------------------------------- */

static void go_to(rc_membership *m, int64_t epoch, const char *home)
{
    struct queued *q = rc_m_act(m, RC_ACTION_MOVE);

    free(m->home);
    m->home = rc_strdup(home);
    m->epoch = epoch;
    q->text = rc_strdup(home);
    q->action.text = q->text;
    q->action.epoch = epoch;
    m->may_found = true;
    m->found_at = 0;
    if (m->conn_state != CONN_NONE)
        rc_m_conn_drop(m, "the ownership log goes on elsewhere");
    m->connect_at = m->now;
}

/** The fold is sealed: it is the beginning of the next log. */
static void move_log(rc_membership *m, int64_t epoch, const char *sealed_home)
{
    RC_AUTO_FREE char *home = rc_strdup(sealed_home);

    rc_m_tell(m, RC_TELL_INFO, "the ownership log goes on as epoch %lld on '%s'", (long long)epoch,
              home);
    rc_m_units_suspend(m);
    rc_fold_move(m->fold);
    m->next = 0;
    go_to(m, epoch, home);
}

void rc_membership_replaced_home(rc_membership *m, int64_t now_ms, int64_t epoch, const char *home)
{
    m->now = RC_MAX(m->now, now_ms);
    if (m->ended || epoch <= m->epoch || epoch > RC_OWN_EPOCH_MAX)
        return;
    for (unit *u = m->runs; u; u = u->run_next)
        u->ran = true;
    rc_m_tell(m, RC_TELL_WARN, "the ownership log was replaced by force: epoch %lld on '%s'",
              (long long)epoch, home);
    m->epoch = epoch;
    rc_m_log_reset(m, "the ownership log was replaced");
    go_to(m, epoch, home);
    m->prefer_until = INT64_MAX;
    rc_membership_tick(m, now_ms);
}

/* ---- beginnings ------------------------------------------------------------------------------ */

static void emit_snap(void *arg, const rc_own_record *record)
{
    rc_own_record copy = *record;

    (void)rc_m_append(arg, &copy, APPEND_OTHER);
}

static void write_snap(rc_membership *m, const rc_fold *fold)
{
    rc_fold_write(fold, rc_m_random(m, 0), m->config.name, emit_snap, m);
    m->snap_wrote_ms = m->now;
    m->counts.snapshots++;
}

/** The log is empty, or has nothing that means anything: its first genesis counts. */
static void found(rc_membership *m)
{
    rc_own_record r = {.kind = RC_OWN_GENESIS,
                       .cluster = m->config.cluster,
                       .epoch = m->epoch,
                       .home = m->home,
                       .imports = rc_fold_moved(m->fold),
                       .hash = rc_fold_hash(m->fold)};

    if (!m->found_at) {
        m->found_at = m->now + (int64_t)rc_m_random(m, FOUND_WAIT_MS);
        return;
    }
    if (m->now < m->found_at)
        return;
    m->found_at = m->now + m->timers.retry_ms;
    if (rc_m_append(m, &r, APPEND_OTHER) && r.imports)
        write_snap(m, m->fold);
}

/** All that there is was read, and no snapshot was found. */
static void no_snapshot(rc_membership *m)
{
    rc_fold *empty;

    if (m->mode == READ_RECENT) {
        rc_m_log_begin(m, NULL, READ_LEAST);
        return;
    }
    if (m->imports || (m->mode == READ_HEADLESS && m->now < m->headless_ms + HEADLESS_AGAIN_MS))
        return;
    rc_m_tell(m, RC_TELL_WARN,
              "the beginning of the ownership log is gone and it has no snapshot: nobody owns "
              "anything");
    m->mode = READ_HEADLESS;
    m->headless_ms = m->now;
    empty = rc_fold_new_at(rc_fold_position(m->epoch, m->next));
    write_snap(m, empty);
    rc_fold_free(empty);
}

/** The genesis imports a fold that is not ours: only a snapshot has it. */
static void other_fold(rc_membership *m)
{
    rc_m_log_reset(m, "the ownership log goes on from another state");
    rc_m_log_begin(m, NULL, READ_LEAST);
    m->imports = true;
}

void rc_m_log_step(rc_membership *m)
{
    int64_t epoch;
    const char *home;

    if (rc_fold_foreign(m->fold) && m->mode == READ_FOLD)
        other_fold(m);
    if (rc_fold_sealed(m->fold, &epoch, &home))
        move_log(m, epoch, home);
    if (m->conn_state != CONN_UP || m->known_end < 0)
        return;
    if (!rc_fold_begun(m->fold) && m->next >= m->known_end && m->may_found &&
        (m->mode == READ_FOLD || !m->known_end))
        found(m);
    if (m->mode != READ_FOLD && m->known_end > 0 && m->next >= m->known_end)
        no_snapshot(m);
}

/* ---- reading --------------------------------------------------------------------------------- */

/** Another reader's snapshot, beside our own fold: do they agree? */
static void compare(rc_membership *m, const rc_own_record *r)
{
    uint64_t hash;

    if (r->part)
        return;
    m->snap_position = RC_MAX(m->snap_position, r->upto);
    m->snap_at = m->now;
    if (!rc_fold_hash_at(m->fold, r->upto, &hash) || hash == r->hash)
        return;
    m->counts.diverged++;
    rc_m_tell(m, RC_TELL_ERROR,
              "the snapshot of '%s' up to %lld differs from what this worker has read: restart "
              "the one that is wrong, and report it",
              r->by, (long long)rc_fold_offset(r->upto));
}

/** A snapshot is looked for. True when there is a fold now, and reading goes on from there. */
static bool look(rc_membership *m, const rc_own_record *r)
{
    rc_error err = {0};
    rc_fold *fold;

    if (!r || r->kind != RC_OWN_SNAP || r->upto >> 40 != m->epoch)
        return false;
    fold = rc_fold_parts_add(m->parts, r, &err);
    if (err.code)
        rc_m_tell(m, RC_TELL_ERROR, "%s", err.msg);
    if (!fold)
        return false;
    rc_m_log_begin(m, fold, READ_FOLD);
    return true;
}

/** The first genesis must be that of our log. When its writer died before the snapshot that it
 *  imports, the oldest session writes one. */
static void check_genesis(rc_membership *m, const rc_own_record *r, rc_verdict verdict)
{
    if (verdict == RC_VERDICT_VALID && r->imports) /* Its snapshot should follow at once. */
        m->snap_at = m->now + IMPORT_WAIT_MS - m->timers.snap_ms;
    if (verdict == RC_VERDICT_VALID && strcmp(r->cluster, m->config.cluster) != 0)
        rc_m_exit(m, RC_EXIT_WRONG_LOG,
                  "the ownership log on '%s' belongs to cluster '%s', not to '%s'", m->home,
                  r->cluster, m->config.cluster);
    else if (!rc_fold_begun(m->fold) && r->epoch != m->epoch)
        rc_m_exit(m, RC_EXIT_WRONG_LOG, "the ownership log on '%s' is of epoch %lld, not of %lld",
                  m->home, (long long)r->epoch, (long long)m->epoch);
}

static void fold_one(rc_membership *m, const rc_own_record *r)
{
    rc_verdict verdict = rc_fold_apply(m->fold, r);

    m->counts.records++;
    m->counts.void_records += verdict == RC_VERDICT_VOID;
    if (!r)
        return;
    if (r->kind == RC_OWN_CLAIM && r->incarnation == m->config.incarnation)
        rc_m_claim_read(m, r);
    if (r->kind == RC_OWN_SNAP)
        compare(m, r);
    if (r->kind == RC_OWN_GENESIS)
        check_genesis(m, r, verdict);
}

/** One record. False: reading goes on elsewhere. */
static bool take(rc_membership *m, int64_t offset, rc_slice body)
{
    rc_own_record record;
    bool readable;
    int64_t epoch;
    const char *home;

    rc_arena_reset(&m->arena, 1 << 20);
    readable = rc_own_read(body, &m->arena.pub, &record, NULL) == 0;
    if (m->mode != READ_FOLD && look(m, readable ? &record : NULL))
        return false;
    m->next = offset + 1;
    m->read_from = m->next;
    m->print = rc_own_print(body);
    if (m->mode == READ_FOLD)
        fold_one(m, readable ? &record : NULL);
    return !m->ended && !rc_fold_foreign(m->fold) && !rc_fold_sealed(m->fold, &epoch, &home);
}

/** Of a reader without a fold: the first answer says where the log begins. */
static void first_answer(rc_membership *m, int64_t first)
{
    m->next = m->read_from = first;
    if (!first && !m->imports)
        rc_m_log_begin(m, NULL, READ_FOLD);
}

/** R1: the record before the next one has to be the one we know. True when it is. */
static bool verify(rc_membership *m, int64_t first, const rc_slice *bodies)
{
    if (first != m->next - 1 || rc_own_print(bodies[0]) != m->print) {
        rc_m_log_truncated(m);
        return false;
    }
    rc_m_conn_verified(m);
    return true;
}

void rc_m_log_records(rc_membership *m, int64_t first, const rc_slice *bodies, size_t count)
{
    m->reading = false;
    if (!count) {
        m->read_at = m->now + EMPTY_AGAIN_MS;
        return;
    }
    if (first < 0 || first > OFFSET_MAX - (int64_t)count)
        return;
    if (m->verifying && !verify(m, first, bodies))
        return;
    if (m->read_from < 0)
        first_answer(m, first);
    if (!m->verified)
        rc_m_conn_verified(m);
    m->read_from = RC_MAX(m->next, first + (int64_t)count);
    for (size_t i = 0; i < count; i++) {
        if (first + (int64_t)i < m->next)
            continue;
        if (first + (int64_t)i > m->next && m->mode == READ_FOLD) {
            rc_m_log_reset(m, "records of the ownership log are missing");
            return;
        }
        if (!take(m, first + (int64_t)i, bodies[i]))
            break;
    }
    rc_m_applied(m);
}

/* ---- snapshots ------------------------------------------------------------------------------- */

/** The worker whose open session is the oldest writes them. */
static bool oldest(const rc_membership *m)
{
    const rc_fold_worker *own = rc_fold_find_worker(m->fold, m->config.name);

    for (rc_fold_worker *w = rc_fold_next_worker(m->fold, NULL); w;
         w = rc_fold_next_worker(m->fold, w))
        if (w->closed < 0 && w->opened < own->opened)
            return false;
    return true;
}

static void forget_some(rc_membership *m, rc_own_record *r)
{
    if (r->item_count)
        (void)rc_m_append(m, r, APPEND_OTHER);
    r->item_count = 0;
}

static void forget_one(rc_membership *m, rc_own_record *r, rc_own_item item)
{
    if (r->item_count == RC_OWN_ITEMS_MAX)
        forget_some(m, r);
    r->items[r->item_count++] = item;
}

/** Once per snapshot: units that are not in the catalogue and not in anybody's hands, names that
 *  were closed before the last snapshot. */
static void forget(rc_membership *m)
{
    rc_own_item items[RC_OWN_ITEMS_MAX];
    rc_own_record r = {.kind = RC_OWN_FORGET, .items = items};

    for (rc_fold_unit *f = rc_fold_next_unit(m->fold, NULL); f && m->catalogued;
         f = rc_fold_next_unit(m->fold, f)) {
        const unit *u = f->user;

        if (!u->listed && f->since < m->snap_position &&
            (!f->owner || (f->owner->closed >= 0 && f->owner->closed < m->snap_position)))
            forget_one(m, &r,
                       (rc_own_item){.connector = f->connector,
                                     .number = f->number,
                                     .prev = f->generation});
    }
    for (rc_fold_worker *w = rc_fold_next_worker(m->fold, NULL); w;
         w = rc_fold_next_worker(m->fold, w))
        if (w->closed >= 0 && w->closed < m->snap_position && !w->owned)
            forget_one(m, &r,
                       (rc_own_item){.connector = w->name,
                                     .number = RC_OWN_NAME,
                                     .prev = w->session});
    forget_some(m, &r);
}

void rc_m_snap_step(rc_membership *m)
{
    int64_t records = rc_fold_next(m->fold) - m->snap_position;

    if (!m->open || m->now < m->snap_wrote_ms + m->timers.retry_ms || records <= 0)
        return;
    if (records < m->timers.snap_records && m->now < m->snap_at + m->timers.snap_ms)
        return;
    if (!oldest(m)) {
        m->snap_wrote_ms = m->now; /* Look again a moment later. */
        return;
    }
    forget(m);
    write_snap(m, m->fold);
}
