/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Commits: the position is the end of what is acknowledged without a gap; the note of a queue is
 * the lower of the offset behind the last stored record it covers and the offset of the first one
 * it does not (R18).
 */
#include "world.h"

static int32_t acked_upto(sim *s, const running *r)
{
    int32_t upto = r->base;

    if (rule_off(s, RULE_CONTIGUOUS))
        return RC_MAX(r->acked.end, r->base);
    while (bits_has(&r->acked, upto))
        upto++;
    return upto;
}

static int32_t note_of(sim *s, const running *r, int q, int32_t upto)
{
    const struct lane *lane = &r->lane[q];
    int32_t covered = lane->cover, held = INT32_MAX;

    if (rule_off(s, RULE_NOTES))
        return r->unit->queue[q].count;
    for (int i = 0; i < lane->stored.count; i++) {
        const struct placed *p = &lane->stored.at[i];

        if (p->id < upto)
            covered = RC_MAX(covered, p->offset + 1);
        else
            held = RC_MIN(held, p->offset);
    }
    if (!rule_off(s, RULE_NOTE_HELD))
        covered = RC_MIN(covered, held);
    return RC_MAX(covered, lane->cover);
}

static void write_it(void *world, void *arg)
{
    struct write_position *w = arg;

    net_ask(world, w->run->worker, w->unit->position_broker, &w->call);
}

void task_write_position(sim *s, running *r, int32_t upto,
                         void (*done)(sim *s, call *c, bool answered), bool notes)
{
    struct write_position *w = engine_new(&s->engine, sizeof(*w));

    w->call.serve = write_position_serve;
    w->call.done = done;
    w->run = r;
    w->unit = r->unit;
    w->known = r->known;
    w->record = (struct position){.gen = r->gen, .upto = upto, .life = r->life};
    for (int q = 0; q < r->unit->queues; q++)
        w->record.note[q] = notes ? note_of(s, r, q, upto) : r->lane[q].note;
    worker_write(s, r, write_it, w);
}

static void committed(sim *s, call *c, bool answered)
{
    struct write_position *w = (struct write_position *)c;
    running *r = w->run;

    (void)s;
    if (!task_live(r))
        return;
    r->committing = false;
    if (!answered)
        return;
    r->committed = RC_MAX(r->committed, w->record.upto);
    r->base = RC_MAX(r->base, w->record.upto);
    for (int q = 0; q < r->unit->queues; q++) {
        struct lane *lane = &r->lane[q];

        lane->note = lane->cover = RC_MAX(lane->cover, w->record.note[q]);
        lane_forget(lane, lane->cover);
    }
}

void task_commit(sim *s, running *r)
{
    int32_t upto = acked_upto(s, r);

    if (r->state != RUN_RUN || r->committing || upto == r->committed || !task_may_write(s, r))
        return;
    r->committing = true;
    task_write_position(s, r, upto, committed, true);
}

static void commit_turn(void *world, void *arg)
{
    sim *s = world;
    running *r = arg;

    if (!task_live(r))
        return;
    worker_after(s, r->worker, s->times.commit, commit_turn, r);
    task_commit(s, r);
}

void task_commit_loop(sim *s, running *r)
{
    worker_after(s, r->worker, s->times.commit, commit_turn, r);
}
