/* SPDX-License-Identifier: Apache-2.0 */
#include "home.h"

#include <string.h>

struct kept {
    rc_slice bytes; /* In the arena of the run. */
    sim_time stored;
};
struct home {
    int broker;
    int number;
    struct kept *at;
    int64_t count;
    int cap;
    int64_t least;    /* Retention has taken those below. */
    int64_t flushed;  /* Those below outlive a restart. */
    sim_time flushes; /* When the last flush that was asked for is done. */
    struct pull_home *pulls;
};

/** Brokers answer a pull that finds nothing after a while. */
#define PULL_HELD (5 * SIM_S)

void home_make(sim *s, int number, int on)
{
    struct home *h = engine_new(&s->engine, sizeof(*h));

    RC_ASSERT(number < HOMES && !s->home[number]);
    h->broker = on;
    h->number = number;
    s->home[number] = h;
}

int home_broker(const sim *s, int number)
{
    return s->home[number]->broker;
}

int64_t home_count(const sim *s, int number)
{
    return s->home[number] ? s->home[number]->count : 0;
}

rc_slice home_record(const sim *s, int number, int64_t offset)
{
    return s->home[number]->at[offset].bytes;
}

void home_trim(sim *s, int number, int64_t below, sim_time stored)
{
    struct home *h = s->home[number];

    while (h->least < RC_MIN(h->count, below) && h->at[h->least].stored < stored)
        h->least++;
}

/* ---- pulls ----------------------------------------------------------------------------------- */

/** Offset of the first record that is not old; of the first there is, when all are. */
static int64_t recent(const sim *s, const struct home *h)
{
    int64_t at = h->count;

    while (at > h->least && h->at[at - 1].stored >= s->engine.now - s->times.recent)
        at--;
    return at < h->count ? at : h->least;
}

static void fill(const sim *s, const struct home *h, struct pull_home *p)
{
    if (p->from == PULL_RECENT)
        p->from = recent(s, h);
    else if (p->from == PULL_LEAST)
        p->from = h->least;
    p->outcome = p->from > h->count ? PULL_BEYOND : p->from < h->least ? PULL_BELOW : PULL_FOUND;
    p->least = h->least;
    p->end = h->count;
    p->count = 0;
    if (p->outcome != PULL_FOUND)
        return;
    for (int64_t o = p->from; o < h->count && p->count < PULL_MAX; o++)
        p->record[p->count++] = h->at[o].bytes;
}

static void unhold(struct pull_home *p)
{
    struct pull_home **at = &p->hold->pulls;

    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    p->hold = NULL;
}

static void held_enough(void *world, void *arg)
{
    struct pull_home *p = arg;

    if (!p->hold)
        return;
    unhold(p);
    call_answer(world, &p->call);
}

void pull_home_serve(sim *s, call *c)
{
    struct pull_home *p = (struct pull_home *)c;
    struct home *h = s->home[p->home];

    fill(s, h, p);
    if (p->outcome != PULL_FOUND || p->count > 0) {
        call_answer(s, c);
        return;
    }
    p->hold = h;
    p->next = h->pulls;
    h->pulls = p;
    engine_after(&s->engine, PULL_HELD, held_enough, p);
}

static void wake_pulls(sim *s, struct home *h)
{
    while (h->pulls) {
        struct pull_home *p = h->pulls;

        unhold(p);
        fill(s, h, p);
        call_answer(s, &p->call);
    }
}

void end_home_serve(sim *s, call *c)
{
    struct end_home *e = (struct end_home *)c;

    e->end = s->home[e->home]->count;
    call_answer(s, c);
}

/* ---- appends --------------------------------------------------------------------------------- */

struct flush {
    struct home *home;
    struct append_home *append;
    int boot;
    int64_t end;
};

static void flushed(void *world, void *arg)
{
    sim *s = world;
    struct flush *f = arg;

    if (s->broker[f->home->broker].boot != f->boot)
        return;
    f->home->flushed = RC_MAX(f->home->flushed, f->end);
    if (f->append)
        call_answer(s, &f->append->call);
}

/** Acknowledged when it is flushed; flushes come one after the other. */
static void flush(sim *s, struct home *h, struct append_home *a)
{
    struct flush *f;
    sim_time most = s->calm ? 25 * SIM_MS : 150 * SIM_MS;

    if (s->mix->loss != 2)
        return;
    f = engine_new(&s->engine, sizeof(*f));
    *f = (struct flush){h, a, s->broker[h->broker].boot, h->count};
    h->flushes = RC_MAX(h->flushes, s->engine.now + 5 * SIM_MS + engine_span(&s->engine, most));
    engine_after(&s->engine, h->flushes - s->engine.now, flushed, f);
}

static void append(sim *s, struct home *h, rc_slice bytes)
{
    h->at = sim_grow(s, h->at, (int)h->count, &h->cap, sizeof(*h->at));
    h->at[h->count++] = (struct kept){bytes, s->engine.now};
    member_appended(s, h->number, bytes);
    wake_pulls(s, h);
}

/** Now and then: refused; stored twice by somebody between; cut off before the answer; said to be
 *  stored but not flushed. */
void append_home_serve(sim *s, call *c)
{
    struct append_home *a = (struct append_home *)c;
    struct home *h = s->home[a->home];
    double trouble = s->calm || s->mix->outage ? 1 : engine_fraction(&s->engine);

    a->offset = h->count;
    a->outcome = trouble < 0.004 ? STORED_NOT : trouble < 0.008 ? STORED_WEAK : STORED;
    if (a->outcome == STORED_NOT) {
        call_answer(s, c);
        return;
    }
    append(s, h, a->bytes);
    if (trouble >= 0.008 && trouble < 0.010) {
        s->doubled++;
        append(s, h, a->bytes);
    }
    if (trouble >= 0.010 && trouble < 0.014) {
        net_reset_worker(s, c->conn);
        net_reset_broker(s, c->conn);
        flush(s, h, NULL);
    } else if (s->mix->loss == 2 && a->outcome == STORED) {
        flush(s, h, a);
    } else {
        flush(s, h, NULL);
        call_answer(s, c);
    }
}

/* ---- restarts -------------------------------------------------------------------------------- */

void home_down(sim *s, const broker *b, int lose)
{
    for (int n = 0; n < HOMES && s->home[n]; n++) {
        struct home *h = s->home[n];
        int64_t keep = h->count;

        if (h->broker != b->id)
            continue;
        while (h->pulls)
            unhold(h->pulls);
        if (lose > 0)
            keep = s->mix->loss == 2 ? h->flushed : RC_MAX(h->least, h->count - lose);
        if (keep == h->count)
            continue;
        sim_trace(s, "home %d loses %lld records", n, (long long)(h->count - keep));
        s->lost += (uint64_t)(h->count - keep);
        h->count = keep;
        member_truncated(s, n);
    }
}
