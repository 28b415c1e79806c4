/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The fold: rules F1 to F4 one function each, below rc_fold_apply(). The hash is the sum of the
 * hashes of all entries, so that a change costs its entry only.
 */
#include "cluster/fold_impl.h"

#include "cluster/rules.h"

#include <stdio.h>

#define EPOCH_SHIFT 40

#ifdef RC_CLUSTER_MUTANTS
uint64_t rc_cluster_rules_off;
#endif

int64_t rc_fold_position(int64_t epoch, int64_t offset)
{
    return (epoch << EPOCH_SHIFT) + offset;
}

int64_t rc_fold_offset(int64_t position)
{
    return position & (((int64_t)1 << EPOCH_SHIFT) - 1);
}

size_t rc_fold_key(const char *connector, int32_t number, char out[RC_FOLD_KEY_MAX])
{
    int len = snprintf(out, RC_FOLD_KEY_MAX, "%d/%s", number, connector);

    return RC_MIN((size_t)len, (size_t)RC_FOLD_KEY_MAX - 1);
}

/* ---- hash ------------------------------------------------------------------------------------ */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0xff51afd7ed558ccdu;
    return hash ^ hash >> 32;
}

static uint64_t mix_text(uint64_t hash, const char *text)
{
    return mix(hash, text ? rc_own_print(omc_slice_str(text)) : 1);
}

void rc_fold_hash_worker(rc_fold *fold, rc_fold_worker *w)
{
    uint64_t h = mix_text(2, w->name);

    h = mix(mix(mix(mix(h, w->incarnation), (uint64_t)w->session), (uint64_t)w->opened),
            (uint64_t)w->closed);
    h = mix_text(mix_text(mix_text(h, w->about.url), w->about.labels), w->about.version);
    h = mix(mix(h, w->about.weight), w->about.flags);
    fold->hash += h - w->hash;
    w->hash = h;
}

void rc_fold_hash_unit(rc_fold *fold, rc_fold_unit *u)
{
    uint64_t h = mix_text(3, u->key);

    h = mix_text(mix(h, (uint64_t)u->generation), u->owner ? u->owner->name : NULL);
    h = mix_text(mix(mix(h, u->incarnation), (uint64_t)u->since), u->from);
    fold->hash += h - u->hash;
    u->hash = h;
}

/* ---- entries --------------------------------------------------------------------------------- */

static void free_about(rc_own_about *about)
{
    free((char *)(uintptr_t)about->url);
    free((char *)(uintptr_t)about->labels);
    free((char *)(uintptr_t)about->version);
}

static bool same_about(const rc_own_about *a, const rc_own_about *b)
{
    return a->weight == b->weight && a->flags == b->flags && !strcmp(a->url, b->url) &&
           !strcmp(a->labels, b->labels) && !strcmp(a->version, b->version);
}

void rc_fold_set_about(rc_fold_worker *worker, const rc_own_about *about)
{
    rc_own_about old = worker->about;

    worker->about = *about;
    worker->about.url = rc_strdup(about->url);
    worker->about.labels = rc_strdup(about->labels);
    worker->about.version = rc_strdup(about->version);
    free_about(&old);
}

rc_fold_worker *rc_fold_add_worker(rc_fold *fold, const char *name)
{
    rc_fold_worker *w = rc_calloc(1, sizeof *w);
    rc_own_about nothing = {.url = "", .labels = "", .version = "", .weight = 1};

    w->name = rc_strdup(name);
    w->closed = -1;
    rc_fold_set_about(w, &nothing);
    HASH_ADD_KEYPTR(hh, fold->workers, w->name, strlen(w->name), w);
    return w;
}

rc_fold_unit *rc_fold_add_unit(rc_fold *fold, const char *connector, int32_t number)
{
    rc_fold_unit *u = rc_calloc(1, sizeof *u);
    char key[RC_FOLD_KEY_MAX];
    size_t len = rc_fold_key(connector, number, key);

    u->key = rc_strndup(key, len);
    u->connector = strchr(u->key, '/') + 1;
    u->number = number;
    u->generation = -1;
    HASH_ADD_KEYPTR(hh, fold->units, u->key, len, u);
    return u;
}

static void unlink_owner(rc_fold_unit *u)
{
    if (!u->owner)
        return;
    if (u->prev)
        u->prev->next = u->next;
    else
        u->owner->units = u->next;
    if (u->next)
        u->next->prev = u->prev;
    u->owner->owned--;
    u->owner = NULL;
    u->next = u->prev = NULL;
}

void rc_fold_set_owner(rc_fold_unit *unit, rc_fold_worker *owner)
{
    unlink_owner(unit);
    if (!owner)
        return;
    unit->owner = owner;
    unit->next = owner->units;
    if (unit->next)
        unit->next->prev = unit;
    owner->units = unit;
    owner->owned++;
}

static void drop_worker(rc_fold *fold, rc_fold_worker *w)
{
    fold->hash -= w->hash;
    HASH_DEL(fold->workers, w);
    free_about(&w->about);
    free((char *)(uintptr_t)w->name);
    free(w);
}

static void drop_unit(rc_fold *fold, rc_fold_unit *u)
{
    fold->hash -= u->hash;
    unlink_owner(u);
    HASH_DEL(fold->units, u);
    free((char *)(uintptr_t)u->key);
    free((char *)(uintptr_t)u->from);
    free(u);
}

rc_fold *rc_fold_new(int64_t epoch, const rc_fold_watch *watch)
{
    rc_fold *fold = rc_calloc(1, sizeof *fold);

    fold->epoch = epoch;
    fold->next = fold->history_from = rc_fold_position(epoch, 0);
    fold->cluster = rc_strdup("");
    rc_fold_watch_set(fold, watch);
    return fold;
}

void rc_fold_watch_set(rc_fold *fold, const rc_fold_watch *watch)
{
    fold->watch = watch ? *watch : (rc_fold_watch){0};
}

void rc_fold_free(rc_fold *fold)
{
    rc_fold_unit *u, *next_unit;
    rc_fold_worker *w, *next_worker;

    if (!fold)
        return;
    HASH_ITER(hh, fold->units, u, next_unit)
    drop_unit(fold, u);
    HASH_ITER(hh, fold->workers, w, next_worker)
    drop_worker(fold, w);
    free(fold->cluster);
    free(fold->sealed_home);
    free(fold);
}

static void tell_worker(rc_fold *fold, rc_fold_worker *w, rc_fold_event event)
{
    if (fold->watch.worker)
        fold->watch.worker(fold->watch.arg, w, event);
}

static void tell_unit(rc_fold *fold, rc_fold_unit *u, rc_fold_event event)
{
    if (fold->watch.unit)
        fold->watch.unit(fold->watch.arg, u, event);
}

/* ---- rules ----------------------------------------------------------------------------------- */

static void set_from(rc_fold_unit *u, const char *name)
{
    free((char *)(uintptr_t)u->from);
    u->from = rc_strdup(name);
}

/** The owner has it no more; the generation stays. */
static void make_free(rc_fold *fold, rc_fold_unit *u)
{
    set_from(u, u->owner->name);
    rc_fold_set_owner(u, NULL);
    u->incarnation = 0;
    u->since = fold->next;
    rc_fold_hash_unit(fold, u);
    tell_unit(fold, u, RC_FOLD_FREED);
}

static void free_former(rc_fold *fold, rc_fold_worker *w, uint64_t incarnation)
{
    for (rc_fold_unit *u = w->units, *next; u; u = next) {
        next = u->next;
        if (u->incarnation != incarnation)
            make_free(fold, u);
    }
}

/** F1, the session is above the current one. */
static rc_verdict open_session(rc_fold *fold, rc_fold_worker *w, const rc_own_record *r)
{
    if (!w && HASH_COUNT(fold->workers) >= RC_FOLD_WORKERS_MAX)
        return RC_VERDICT_VOID;
    if (!w)
        w = rc_fold_add_worker(fold, r->worker);
    else if (w->incarnation != r->incarnation && RC_RULE_ON(RC_RULE_INCARNATION))
        free_former(fold, w, r->incarnation);
    w->incarnation = r->incarnation;
    w->session = r->session;
    w->opened = fold->next;
    w->closed = -1;
    rc_fold_set_about(w, &r->about);
    rc_fold_hash_worker(fold, w);
    tell_worker(fold, w, RC_FOLD_OPENED);
    return RC_VERDICT_VALID;
}

/** F1 */
static rc_verdict apply_hb(rc_fold *fold, const rc_own_record *r)
{
    rc_fold_worker *w = rc_fold_find_worker(fold, r->worker);

    if (!w || r->session > w->session)
        return open_session(fold, w, r);
    if (r->session != w->session || r->incarnation != w->incarnation)
        return RC_VERDICT_VOID;
    if (w->closed >= 0 && RC_RULE_ON(RC_RULE_BEAT_VOID))
        return RC_VERDICT_VOID;
    w->closed = -1;
    if (!same_about(&w->about, &r->about))
        rc_fold_set_about(w, &r->about);
    rc_fold_hash_worker(fold, w);
    tell_worker(fold, w, RC_FOLD_BEAT);
    return RC_VERDICT_VALID;
}

/** F2 */
static rc_verdict apply_close(rc_fold *fold, const rc_own_record *r)
{
    rc_fold_worker *w = rc_fold_find_worker(fold, r->worker);

    if (!w || w->session != r->session || w->closed >= 0)
        return RC_VERDICT_VOID;
    w->closed = fold->next;
    rc_fold_hash_worker(fold, w);
    tell_worker(fold, w, RC_FOLD_CLOSED);
    return RC_VERDICT_VALID;
}

static bool may_claim(const rc_fold_worker *w, const rc_own_record *r)
{
    if (!w)
        return false;
    return !RC_RULE_ON(RC_RULE_CLAIM_SESSION) ||
           (w->session == r->session && w->incarnation == r->incarnation && w->closed < 0);
}

/** F3, for one unit. */
static bool claim_holds(const rc_fold_unit *u, const rc_own_item *item, const rc_own_record *r)
{
    int64_t generation = u ? u->generation : -1;

    if (item->prev != generation && RC_RULE_ON(RC_RULE_CLAIM_PREV))
        return false;
    if (!u || !u->owner)
        return item->closed < 0;
    if (u->incarnation == r->incarnation && !strcmp(u->owner->name, r->worker))
        return false;
    if (!RC_RULE_ON(RC_RULE_CLAIM_CLOSE))
        return u->owner->closed >= 0 || item->closed >= 0;
    return item->closed >= 0 && u->owner->closed == item->closed;
}

static bool claim_unit(rc_fold *fold, rc_fold_worker *w, const rc_own_item *item,
                       const rc_own_record *r)
{
    rc_fold_unit *u = rc_fold_find_unit(fold, item->connector, item->number);

    if (!claim_holds(u, item, r) || (!u && HASH_COUNT(fold->units) >= RC_FOLD_UNITS_MAX))
        return false;
    if (!u)
        u = rc_fold_add_unit(fold, item->connector, item->number);
    if (u->owner)
        set_from(u, u->owner->name);
    rc_fold_set_owner(u, w);
    u->incarnation = r->incarnation;
    u->generation = RC_RULE_ON(RC_RULE_FLOOR) ? RC_MAX(fold->next, item->floor) : fold->next;
    u->since = fold->next;
    rc_fold_hash_unit(fold, u);
    tell_unit(fold, u, RC_FOLD_CLAIMED);
    return true;
}

/** F4, for one unit. */
static bool release_unit(rc_fold *fold, const rc_own_item *item, const rc_own_record *r)
{
    rc_fold_unit *u = rc_fold_find_unit(fold, item->connector, item->number);

    if (!u || !u->owner || u->generation != item->prev || u->incarnation != r->incarnation ||
        strcmp(u->owner->name, r->worker))
        return false;
    make_free(fold, u);
    return true;
}

static bool forget_name(rc_fold *fold, const rc_own_item *item)
{
    rc_fold_worker *w = rc_fold_find_worker(fold, item->connector);

    if (!w || w->session != item->prev || w->closed < 0 || w->owned)
        return false;
    tell_worker(fold, w, RC_FOLD_GONE);
    drop_worker(fold, w);
    return true;
}

static bool forget(rc_fold *fold, const rc_own_item *item)
{
    rc_fold_unit *u;

    if (item->number == RC_OWN_NAME)
        return forget_name(fold, item);
    u = rc_fold_find_unit(fold, item->connector, item->number);
    if (!u || (u->owner && u->owner->closed < 0) || u->generation != item->prev)
        return false;
    tell_unit(fold, u, RC_FOLD_GONE);
    drop_unit(fold, u);
    return true;
}

static rc_verdict apply_items(rc_fold *fold, const rc_own_record *r)
{
    rc_fold_worker *w = r->worker ? rc_fold_find_worker(fold, r->worker) : NULL;
    size_t valid = 0;

    if (r->kind == RC_OWN_CLAIM && !may_claim(w, r))
        return RC_VERDICT_VOID;
    for (size_t i = 0; i < r->item_count; i++) {
        const rc_own_item *item = &r->items[i];

        if (r->kind == RC_OWN_CLAIM)
            valid += claim_unit(fold, w, item, r);
        else if (r->kind == RC_OWN_RELEASE)
            valid += release_unit(fold, item, r);
        else
            valid += forget(fold, item);
    }
    return !valid ? RC_VERDICT_VOID : valid < r->item_count ? RC_VERDICT_PARTLY : RC_VERDICT_VALID;
}

static rc_verdict apply_genesis(rc_fold *fold, const rc_own_record *r)
{
    if (fold->begun || r->epoch != fold->epoch)
        return RC_VERDICT_VOID;
    /* What is imported and not ours, only a snapshot has. */
    if (fold->moved ? !r->imports || r->hash != fold->hash : r->imports) {
        fold->foreign = true;
        return RC_VERDICT_VOID;
    }
    fold->moved = false;
    free(fold->cluster);
    fold->cluster = rc_strdup(r->cluster);
    fold->begun = true;
    return RC_VERDICT_VALID;
}

static rc_verdict apply_seal(rc_fold *fold, const rc_own_record *r)
{
    if (r->epoch <= fold->epoch)
        return RC_VERDICT_VOID;
    fold->sealed_epoch = r->epoch;
    fold->sealed_home = rc_strdup(r->home);
    return RC_VERDICT_VALID;
}

static rc_verdict apply(rc_fold *fold, const rc_own_record *r)
{
    if (r && r->kind == RC_OWN_GENESIS)
        return fold->sealed_epoch ? RC_VERDICT_VOID : apply_genesis(fold, r);
    if (!r || !fold->begun || fold->sealed_epoch)
        return RC_VERDICT_VOID;
    switch (r->kind) {
    case RC_OWN_HB:
        return apply_hb(fold, r);
    case RC_OWN_CLOSE:
        return apply_close(fold, r);
    case RC_OWN_CLAIM:
    case RC_OWN_RELEASE:
    case RC_OWN_FORGET:
        return apply_items(fold, r);
    case RC_OWN_SEAL:
        return apply_seal(fold, r);
    case RC_OWN_GENESIS:
    case RC_OWN_SNAP:
    case RC_OWN_OTHER:
        break;
    }
    return RC_VERDICT_NEUTRAL;
}

rc_verdict rc_fold_apply(rc_fold *fold, const rc_own_record *record)
{
    rc_verdict verdict;

    fold->history[fold->next % RC_FOLD_HISTORY] = fold->hash;
    verdict = apply(fold, record);
    fold->next++;
    if (fold->next - fold->history_from > RC_FOLD_HISTORY)
        fold->history_from = fold->next - RC_FOLD_HISTORY;
    return verdict;
}

void rc_fold_move(rc_fold *fold)
{
    RC_ASSERT(fold->sealed_epoch);
    fold->epoch = fold->sealed_epoch;
    fold->next = fold->history_from = rc_fold_position(fold->epoch, 0);
    fold->sealed_epoch = 0;
    free(fold->sealed_home);
    fold->sealed_home = NULL;
    fold->moved = true;
    fold->begun = false;
}

/* ---- questions ------------------------------------------------------------------------------- */

int64_t rc_fold_next(const rc_fold *fold)
{
    return fold->next;
}

int64_t rc_fold_epoch(const rc_fold *fold)
{
    return fold->epoch;
}

bool rc_fold_begun(const rc_fold *fold)
{
    return fold->begun;
}

bool rc_fold_moved(const rc_fold *fold)
{
    return fold->moved;
}

bool rc_fold_foreign(const rc_fold *fold)
{
    return fold->foreign;
}

const char *rc_fold_cluster(const rc_fold *fold)
{
    return fold->cluster;
}

bool rc_fold_sealed(const rc_fold *fold, int64_t *ret_epoch, const char **ret_home)
{
    if (!fold->sealed_epoch)
        return false;
    if (ret_epoch)
        *ret_epoch = fold->sealed_epoch;
    if (ret_home)
        *ret_home = fold->sealed_home;
    return true;
}

rc_fold_worker *rc_fold_find_worker(const rc_fold *fold, const char *name)
{
    rc_fold_worker *w;

    HASH_FIND(hh, fold->workers, name, strlen(name), w);
    return w;
}

rc_fold_unit *rc_fold_find_unit(const rc_fold *fold, const char *connector, int32_t number)
{
    char key[RC_FOLD_KEY_MAX];
    size_t len = rc_fold_key(connector, number, key);
    rc_fold_unit *u;

    HASH_FIND(hh, fold->units, key, len, u);
    return u;
}

rc_fold_worker *rc_fold_next_worker(const rc_fold *fold, const rc_fold_worker *after)
{
    return after ? after->hh.next : fold->workers;
}

rc_fold_unit *rc_fold_next_unit(const rc_fold *fold, const rc_fold_unit *after)
{
    return after ? after->hh.next : fold->units;
}

size_t rc_fold_worker_count(const rc_fold *fold)
{
    return HASH_COUNT(fold->workers);
}

size_t rc_fold_unit_count(const rc_fold *fold)
{
    return HASH_COUNT(fold->units);
}

uint64_t rc_fold_hash(const rc_fold *fold)
{
    return fold->hash;
}

bool rc_fold_hash_at(const rc_fold *fold, int64_t position, uint64_t *ret)
{
    if (position < fold->history_from || position > fold->next)
        return false;
    *ret = position == fold->next ? fold->hash : fold->history[position % RC_FOLD_HISTORY];
    return true;
}
