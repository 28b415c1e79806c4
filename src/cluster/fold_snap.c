/* SPDX-License-Identifier: Apache-2.0 */
/** Folds as chunks of a snapshot, and back. */
#include "cluster/fold_impl.h"

#include "base/arena.h"

#define CHUNK_BYTES (1024 * 1024) /* Of a chunk's entries, at most. */
#define ENTRY_BYTES 200           /* Of an entry without its texts, at most. */
#define SETS 2

/* ---- writing --------------------------------------------------------------------------------- */

struct chunk {
    rc_own_record record;
    rc_own_worker workers[RC_OWN_CHUNK_MAX];
    rc_own_unit units[RC_OWN_CHUNK_MAX];
    size_t bytes;
    bool count_only;
    void (*emit)(void *arg, const rc_own_record *record);
    void *arg;
};

static void end_chunk(struct chunk *c)
{
    if (!c->count_only)
        c->emit(c->arg, &c->record);
    c->record.part++;
    c->record.worker_count = c->record.unit_count = c->bytes = 0;
}

static void make_room(struct chunk *c, size_t texts)
{
    size_t bytes = ENTRY_BYTES + texts;

    if (c->record.worker_count + c->record.unit_count == RC_OWN_CHUNK_MAX ||
        (c->bytes && c->bytes + bytes > CHUNK_BYTES))
        end_chunk(c);
    c->bytes += bytes;
}

/** Of a text in JSON. */
static size_t len_of(const char *text)
{
    size_t len = 0;

    for (; text && *text; text++)
        len += (uint8_t)*text < ' ' ? 6 : *text == '"' || *text == '\\' ? 2 : 1;
    return len;
}

static void put_all(const rc_fold *fold, struct chunk *c)
{
    for (rc_fold_worker *w = fold->workers; w; w = w->hh.next) {
        make_room(c, len_of(w->name) + len_of(w->about.url) + len_of(w->about.labels) +
                         len_of(w->about.version));
        c->workers[c->record.worker_count++] =
            (rc_own_worker){w->name, w->incarnation, w->session, w->opened, w->closed, w->about};
    }
    for (rc_fold_unit *u = fold->units; u; u = u->hh.next) {
        const char *owner = u->owner ? u->owner->name : NULL;

        make_room(c, len_of(u->connector) + len_of(owner) + len_of(u->from));
        c->units[c->record.unit_count++] =
            (rc_own_unit){u->connector,  u->number, owner,  u->incarnation,
                          u->generation, u->since,  u->from};
    }
    end_chunk(c);
}

void rc_fold_write(const rc_fold *fold, uint64_t snap, const char *by,
                   void (*emit)(void *arg, const rc_own_record *record), void *arg)
{
    struct chunk *c = rc_calloc(1, sizeof *c);

    c->record = (rc_own_record){.kind = RC_OWN_SNAP,
                                .by = by,
                                .snap = snap,
                                .upto = fold->next,
                                .hash = fold->hash,
                                .workers = c->workers,
                                .units = c->units};
    c->emit = emit;
    c->arg = arg;
    c->count_only = true;
    put_all(fold, c);
    c->record.parts = c->record.part;
    c->record.part = 0;
    c->count_only = false;
    if (c->record.parts <= RC_OWN_PARTS_MAX)
        put_all(fold, c);
    free(c);
}

/* ---- reading --------------------------------------------------------------------------------- */

struct set {
    bool used;
    uint64_t snap;
    int32_t parts, got;
    int64_t age;
    rc_fold *fold; /* What the chunks so far make. */
    uint64_t hash;
    bool bad;
    uint8_t have[RC_OWN_PARTS_MAX];
};

struct rc_fold_parts {
    struct set set[SETS];
    int64_t age;
};

rc_fold_parts *rc_fold_parts_new(void)
{
    return rc_calloc(1, sizeof(rc_fold_parts));
}

static void clear_set(struct set *s)
{
    rc_fold_free(s->fold);
    *s = (struct set){0};
}

void rc_fold_parts_free(rc_fold_parts *parts)
{
    if (!parts)
        return;
    for (int i = 0; i < SETS; i++)
        clear_set(&parts->set[i]);
    free(parts);
}

rc_fold *rc_fold_new_at(int64_t upto)
{
    rc_fold *fold = rc_fold_new(upto >> 40, NULL);

    fold->next = fold->history_from = upto;
    fold->begun = true;
    return fold;
}

static struct set *set_of(rc_fold_parts *parts, const rc_own_record *r)
{
    struct set *oldest = &parts->set[0];

    for (int i = 0; i < SETS; i++) {
        if (parts->set[i].used && parts->set[i].snap == r->snap)
            return &parts->set[i];
        if (!parts->set[i].used || parts->set[i].age < oldest->age)
            oldest = &parts->set[i];
    }
    clear_set(oldest);
    oldest->used = true;
    oldest->snap = r->snap;
    oldest->parts = r->parts;
    oldest->hash = r->hash;
    oldest->age = ++parts->age;
    oldest->fold = rc_fold_new_at(r->upto);
    if (rc_fold_offset(r->upto) == 0) {
        /* Of a log that goes on from another: as after rc_fold_move(), nothing counts before the
         * genesis, which comes behind offset 0 when somebody else was faster. */
        oldest->fold->begun = false;
        oldest->fold->moved = true;
    }
    return oldest;
}

static bool load_worker(rc_fold *fold, const rc_own_worker *w)
{
    rc_fold_worker *made;

    if (rc_fold_find_worker(fold, w->name) || rc_fold_worker_count(fold) >= RC_FOLD_WORKERS_MAX)
        return false;
    made = rc_fold_add_worker(fold, w->name);
    made->incarnation = w->incarnation;
    made->session = w->session;
    made->opened = w->opened;
    made->closed = w->closed;
    rc_fold_set_about(made, &w->about);
    rc_fold_hash_worker(fold, made);
    return true;
}

static bool load_unit(rc_fold *fold, const rc_own_unit *u)
{
    rc_fold_worker *owner = u->owner ? rc_fold_find_worker(fold, u->owner) : NULL;
    rc_fold_unit *made;

    if ((u->owner && !owner) || rc_fold_find_unit(fold, u->connector, u->number) ||
        rc_fold_unit_count(fold) >= RC_FOLD_UNITS_MAX)
        return false;
    made = rc_fold_add_unit(fold, u->connector, u->number);
    made->incarnation = u->incarnation;
    made->generation = u->generation;
    made->since = u->since;
    made->from = u->from ? rc_strdup(u->from) : NULL;
    rc_fold_set_owner(made, owner);
    rc_fold_hash_unit(fold, made);
    return true;
}

static void load(struct set *s, const rc_own_record *r)
{
    for (size_t i = 0; i < r->worker_count && !s->bad; i++)
        s->bad = !load_worker(s->fold, &r->workers[i]);
    for (size_t i = 0; i < r->unit_count && !s->bad; i++)
        s->bad = !load_unit(s->fold, &r->units[i]);
}

/** Chunks are appended in order; one that is missing, or out of turn, makes the set useless. */
rc_fold *rc_fold_parts_add(rc_fold_parts *parts, const rc_own_record *record, rc_error *err)
{
    struct set *s = set_of(parts, record);
    rc_fold *made = NULL;

    if (s->have[record->part])
        return NULL; /* Appended twice, because the first answer was lost. */
    if (record->part != s->got || record->parts != s->parts || record->hash != s->hash ||
        record->upto != s->fold->next)
        s->bad = true;
    s->have[record->part] = 1;
    if (!s->bad)
        load(s, record);
    if (++s->got < s->parts)
        return NULL;
    if (s->bad || s->fold->hash != s->hash)
        (void)rc_fail(err, OMC_EFORMAT, "snapshot %016llx of %s is damaged",
                      (unsigned long long)s->snap, record->by);
    else
        made = RC_TAKE(s->fold);
    clear_set(s);
    return made;
}
