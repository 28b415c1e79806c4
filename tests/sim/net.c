/* SPDX-License-Identifier: Apache-2.0 */
/**
 * TCP as far as it matters here. Bytes that are written arrive in order, within U
 * (TCP_USER_TIMEOUT) or never; then the connection is reset. Closing an end does not take back what
 * was written. The broker may keep what has arrived for up to Q before it acts. An end that is gone
 * is noticed by the other when it writes, or when a reset or end of file gets through.
 */
#include "world.h"

sim_time net_latency(sim *s)
{
    double r = engine_fraction(&s->engine);

    if (s->calm || r < 0.97)
        return SIM_MS + (sim_time)(r * 3000);
    return (sim_time)(r * 200000);
}

/** Until when nothing gets through between them; in the past: it does. */
static sim_time cut_until(const sim *s, const conn *c)
{
    return s->cut_until[c->worker->id][c->broker];
}

conn *net_connect(sim *s, worker *w, int b)
{
    conn *c;

    if (!s->broker[b].up || s->cut_until[w->id][b] > s->engine.now)
        return NULL;
    c = engine_new(&s->engine, sizeof(*c));
    *c = (conn){.worker = w,
                .life = w->life,
                .broker = b,
                .boot = s->broker[b].boot,
                .here = true,
                .there = true,
                .last = s->engine.now + 2 * net_latency(s)};
    c->next_open = s->open[b];
    s->open[b] = c;
    return c;
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void end_call(void *world, void *arg)
{
    call *c = arg;

    c->done(world, c, false);
}

static void wait_begin(conn *c, call *request)
{
    request->waits = true;
    request->next = c->waiting;
    request->at = &c->waiting;
    if (request->next)
        request->next->at = &request->next;
    c->waiting = request;
}

static void wait_end(call *request)
{
    request->waits = false;
    *request->at = request->next;
    if (request->next)
        request->next->at = request->at;
}

/** The broker's end learns that the other is gone. */
static void broker_closed(void *world, void *arg)
{
    sim *s = world;
    conn *c = arg;

    if (!c->there || cut_until(s, c) > s->engine.now)
        return;
    c->there = false;
    if (c->membership && s->broker[c->broker].up)
        hint_gone(s, c->worker, true);
}

void net_reset_broker(sim *s, conn *c)
{
    engine_after(&s->engine, 0, broker_closed, c);
}

/** End of file comes behind what was written, a reset need not. */
static void tell_broker(sim *s, conn *c)
{
    sim_time delay = net_latency(s);

    if (engine_chance(&s->engine, 0.5))
        delay = RC_MAX(delay, c->last - s->engine.now);
    engine_after(&s->engine, delay, broker_closed, c);
}

void net_close(sim *s, conn *c)
{
    if (!net_open(c))
        return;
    c->here = false;
    while (c->waiting) {
        call *request = c->waiting;

        wait_end(request);
        worker_after(s, c->worker, 0, end_call, request);
    }
    tell_broker(s, c);
}

void net_abandon(sim *s, conn *c)
{
    if (!net_open(c))
        return;
    c->here = false;
    if (engine_chance(&s->engine, 0.9))
        tell_broker(s, c);
    else
        engine_after(&s->engine, 3 * SIM_S, broker_closed, c);
}

static void worker_reset(void *world, void *arg)
{
    conn *c = arg;

    net_close(world, c);
    if (c->membership)
        member_disconnected(world, c);
}

static void reset_arrives(void *world, void *arg)
{
    conn *c = arg;

    if (c->here && c->worker->alive && c->worker->life == c->life)
        worker_after(world, c->worker, 0, worker_reset, c);
}

void net_reset_worker(sim *s, conn *c)
{
    engine_after(&s->engine, net_latency(s), reset_arrives, c);
}

/* ---- requests -------------------------------------------------------------------------------- */

static void serve(void *world, void *arg)
{
    sim *s = world;
    call *request = arg;
    conn *c = request->conn;
    broker *b = &s->broker[c->broker];

    if (b->up && b->boot == c->boot)
        request->serve(s, request);
}

/** Bytes are at the broker; how long it takes to act on them is bounded by Q. */
static void arrive(void *world, void *arg)
{
    sim *s = world;
    call *request = arg;
    conn *c = request->conn;
    broker *b = &s->broker[c->broker];
    sim_time delay = SIM_MS / 5;

    if (!b->up || b->boot != c->boot || !c->there) {
        if (b->up)
            net_reset_worker(s, c);
        return;
    }
    if (!s->calm && engine_chance(&s->engine, s->mix->busy ? 0.2 : 0.02))
        delay = engine_span(&s->engine, s->times.broker_queue);
    if (!s->calm && s->mix->long_tail && engine_chance(&s->engine, 0.02))
        delay = engine_span(&s->engine, 5 * SIM_S);
    engine_after(&s->engine, delay, serve, request);
}

/** When bytes written now arrive; -1 = not within U. */
static sim_time arrival(sim *s, conn *c)
{
    sim_time now = s->engine.now, limit = now + s->times.user_timeout;
    sim_time at = RC_MAX(c->last, now + net_latency(s));

    if (s->broker[c->broker].slow_until > now)
        at = RC_MAX(at, now + engine_span(&s->engine, s->times.user_timeout * 9 / 10));
    if (cut_until(s, c) > now)
        at = RC_MAX(at, cut_until(s, c) + net_latency(s));
    return at < limit ? at : -1;
}

void net_send(sim *s, conn *c, call *request)
{
    sim_time at;

    request->conn = c;
    if (!net_open(c)) {
        worker_after(s, c->worker, 0, end_call, request);
        return;
    }
    wait_begin(c, request);
    if (c->broken)
        return;
    at = arrival(s, c);
    if (at < 0) {
        c->broken = true;
        engine_after(&s->engine, s->times.user_timeout, reset_arrives, c);
        return;
    }
    c->last = at;
    engine_after(&s->engine, at - s->engine.now, arrive, request);
}

static void answered(void *world, void *arg)
{
    call *request = arg;

    if (!request->waits)
        return;
    wait_end(request);
    request->done(world, request, true);
}

void call_answer(sim *s, call *request)
{
    conn *c = request->conn;
    sim_time delay = net_latency(s), cut = cut_until(s, c) - s->engine.now;

    if (!c->there || c->worker->life != c->life)
        return;
    if (!s->calm && !s->mix->outage && engine_chance(&s->engine, 0.004))
        return;
    if (cut >= s->times.user_timeout)
        return;
    if (cut > 0)
        delay += cut;
    worker_after(s, c->worker, delay, answered, request);
}

/* ---- data connections ------------------------------------------------------------------------ */

static void timed_out(void *world, void *arg)
{
    call *request = arg;

    if (request->waits)
        net_close(world, request->conn);
}

void net_ask(sim *s, worker *w, int b, call *request)
{
    conn *c = w->data[b];

    if (!net_open(c))
        c = w->data[b] = net_connect(s, w, b);
    if (!c) {
        request->conn = NULL;
        worker_after(s, w, 150 * SIM_MS, end_call, request);
        return;
    }
    net_send(s, c, request);
    worker_after(s, w, s->times.send_timeout, timed_out, request);
}
