/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection to the ownership log. What is asked on one that is over is dropped: the machine
 * knows connections by number, and expects nothing of an old one.
 */
#include "distributed/impl.h"

#include "base/clock.h"

#include <utlist.h>

#define WAIT_MS 10000 /* A read waits at the broker so long. */
/* Who else is there is asked for now and then: a message that members have changed may come while
 * it is too early to believe it, or get lost. The first time soon after connecting. */
#define LOOK_FIRST_MS 2600
#define LOOK_MS 5000
#define LOOK_AGAIN_MS 1000 /* When it was not told. */
/** How long ago a snapshot may be and still be found: several are written in that time. */
#define RECENT_MS (INT64_C(25) * 60 * 1000)

typedef struct call call;

struct rc_link {
    rc_link_config config;
    rmq_pinned *pinned; /* I/O thread, as all below */
    uint64_t conn;
    call *calls;          /* asked on it; without an answer when it is closed */
    call *read;           /* the read that is open: a later one replaces it */
    rc_loop_timer *timer; /* looks for members */
    bool up;
    pthread_mutex_t mu;
    pthread_cond_t cond;
    int closing; /* [mu] connections that are not gone yet */
};

struct call {
    call *prev, *next;
    rc_link *link;
    uint64_t conn;
    uint64_t id;
    int64_t offset;
    char *topic, *broker;
    rc_buf body;
    bool asked;    /* in the list */
    bool replaced; /* a read whose answer is dropped */
};

static call *call_new(rc_link *link, uint64_t conn)
{
    call *c = rc_calloc(1, sizeof *c);

    c->link = link;
    c->conn = conn;
    rc_buf_init(&c->body, RC_OWN_BODY_MAX);
    return c;
}

static void call_free(call *c)
{
    if (c->asked)
        DL_DELETE(c->link->calls, c);
    if (c->link->read == c)
        c->link->read = NULL;
    rc_buf_release(&c->body);
    free(c->topic);
    free(c->broker);
    free(c);
}

/* Whether it can be asked; it is in the list then. */
static bool current(call *c)
{
    if (!c->link->pinned || c->link->conn != c->conn)
        return false;
    if (!c->asked)
        DL_APPEND(c->link->calls, c);
    c->asked = true;
    return true;
}

static void on_gone(void *arg)
{
    rc_link *link = arg;

    pthread_mutex_lock(&link->mu);
    link->closing--;
    pthread_cond_broadcast(&link->cond);
    pthread_mutex_unlock(&link->mu);
}

static void hang_up(rc_link *link)
{
    link->up = false;
    rc_loop_timer_set(link->timer, -1);
    if (link->pinned) {
        pthread_mutex_lock(&link->mu);
        link->closing++;
        pthread_mutex_unlock(&link->mu);
        rmq_pinned_close(RC_TAKE(link->pinned), on_gone, link);
    }
    while (link->calls)
        call_free(link->calls); /* NOLINT(clang-analyzer-unix.Malloc): it leaves the list */
}

static void happened(rc_link *link, rc_event *event)
{
    event->conn = link->conn;
    link->config.happened(link->config.arg, event);
}

/* ---- connection ------------------------------------------------------------------------------ */

/* The first answer comes before UP: nothing is run before it is known who else is there. */
static void on_foreign(void *arg, const char *const *names, size_t count, const rc_error *err)
{
    rc_link *link = arg;
    rc_event *event;

    if (err) {
        if (!link->up)
            rc_warn(RC_CLUSTER_COMPONENT,
                    "cannot see whether workers of the Java runtime are in group '%s', and runs "
                    "nothing before that is known; asked again in %d ms: %s",
                    link->config.foreign, LOOK_AGAIN_MS, err->msg);
        rc_loop_timer_set(link->timer, LOOK_AGAIN_MS);
        return;
    }
    event = rc_event_new(RC_EVENT_FOREIGN);
    event->count = count;
    event->text = event->count ? omc_copy(&event->arena.pub, names[0], strlen(names[0])) : "";
    happened(link, event);
    rc_loop_timer_set(link->timer, link->up ? LOOK_MS : LOOK_FIRST_MS);
    if (link->up)
        return;
    link->up = true;
    happened(link, rc_event_new(RC_EVENT_UP));
}

static void on_members(void *arg, const char *const *names, size_t count, const rc_error *err);

static void look_for_members(void *arg)
{
    rc_link *link = arg;

    if (!link->pinned)
        return;
    if (link->up)
        rmq_pinned_members(link->pinned, NULL, on_members, link);
    rmq_pinned_members(link->pinned, link->config.foreign, on_foreign, link);
}

static void on_up(void *arg)
{
    look_for_members(arg);
}

static void on_down(void *arg, const rc_error *why)
{
    rc_link *link = arg;
    rc_event *event = rc_event_new(RC_EVENT_DOWN);

    event->err = *why;
    hang_up(link);
    happened(link, event);
}

static void on_members(void *arg, const char *const *names, size_t count, const rc_error *err)
{
    rc_link *link = arg;
    rc_event *event;

    if (err)
        return; /* A hint less. */
    event = rc_event_new(RC_EVENT_MEMBERS);
    event->names = omc_alloc(&event->arena.pub, (count + 1) * sizeof *event->names);
    for (size_t i = 0; i < count; i++)
        event->names[i] = omc_copy(&event->arena.pub, names[i], strlen(names[i]));
    event->count = count;
    happened(link, event);
}

static void on_changed(void *arg)
{
    rc_link *link = arg;

    rmq_pinned_members(link->pinned, NULL, on_members, link);
}

static void do_connect(void *arg)
{
    call *c = arg;
    rc_link *link = c->link;
    const rmq_pinned_config config = {.client = link->config.client,
                                      .topic = c->topic,
                                      .broker = c->broker,
                                      .timeout_ms = link->config.timeout_ms,
                                      .group = link->config.group,
                                      .member = link->config.member,
                                      .up = on_up,
                                      .down = on_down,
                                      .changed = on_changed,
                                      .arg = link};

    hang_up(link);
    link->conn = c->conn;
    link->pinned = rmq_pinned_open(&config);
    call_free(c);
}

static void do_disconnect(void *arg)
{
    call *c = arg;

    if (c->link->conn == c->conn)
        hang_up(c->link);
    call_free(c);
}

/* ---- reading --------------------------------------------------------------------------------- */

static void on_read(void *arg, const rmq_pinned_records *records);

static void read_at(call *c)
{
    rmq_pinned_read(c->link->pinned, c->offset, WAIT_MS, on_read, c);
}

static void give_records(const call *c, const rmq_pinned_records *records)
{
    rc_event *event = rc_event_new(RC_EVENT_RECORDS);
    omc_arena *arena = &event->arena.pub;

    event->number = records->first;
    event->count = records->count;
    event->bodies = omc_alloc(arena, records->count * sizeof *event->bodies);
    for (size_t i = 0; i < records->count; i++)
        event->bodies[i] =
            omc_slice_of(omc_copy(arena, records->bodies[i].base, records->bodies[i].len),
                         records->bodies[i].len);
    happened(c->link, event);
}

static void on_read(void *arg, const rmq_pinned_records *records)
{
    call *c = arg;
    rc_event *event;

    if (c->replaced) {
        call_free(c);
        return;
    }
    switch (records->result) {
    case RMQ_PINNED_NOTHING:
        read_at(c);
        return;
    case RMQ_PINNED_RECORDS:
        give_records(c, records);
        break;
    case RMQ_PINNED_BEYOND:
    case RMQ_PINNED_BELOW:
        event =
            rc_event_new(records->result == RMQ_PINNED_BEYOND ? RC_EVENT_BEYOND : RC_EVENT_BELOW);
        event->number = records->first;
        happened(c->link, event);
        break;
    case RMQ_PINNED_FAILED: {
        rc_link *link = c->link;

        rc_debug(RC_CLUSTER_COMPONENT, "reading the ownership log: %s", records->err->msg);
        event = rc_event_new(RC_EVENT_DOWN);
        event->err = *records->err;
        hang_up(link); /* this call, too */
        happened(link, event);
        return;
    }
    }
    call_free(c);
}

static void on_place(void *arg, int64_t offset, const rc_error *err)
{
    call *c = arg;
    rmq_pinned_records failed = {.result = RMQ_PINNED_FAILED, .err = err};

    if (offset < 0 || c->replaced) {
        on_read(c, &failed);
        return;
    }
    c->offset = offset;
    read_at(c);
}

static void do_read(void *arg)
{
    call *c = arg;

    if (!current(c)) {
        call_free(c);
        return;
    }
    if (c->link->read)
        c->link->read->replaced = true;
    c->link->read = c;
    if (c->offset == RC_READ_RECENT)
        rmq_pinned_at(c->link->pinned, rc_now_ms(rc_clock_real()) - RECENT_MS, on_place, c);
    else if (c->offset == RC_READ_LEAST)
        rmq_pinned_least(c->link->pinned, on_place, c);
    else
        read_at(c);
}

/* ---- pings and appends ----------------------------------------------------------------------- */

static void on_ping(void *arg, int64_t offset, const rc_error *err)
{
    call *c = arg;

    if (err) {
        rc_debug(RC_CLUSTER_COMPONENT, "a ping of the ownership log: %s", err->msg);
    } else {
        rc_event *event = rc_event_new(RC_EVENT_PINGED);

        event->id = c->id;
        event->number = offset;
        happened(c->link, event);
    }
    call_free(c);
}

static void do_ping(void *arg)
{
    call *c = arg;

    if (current(c))
        rmq_pinned_end(c->link->pinned, on_ping, c);
    else
        call_free(c);
}

static void on_append(void *arg, const rmq_pinned_stored *stored)
{
    call *c = arg;
    rc_event *event = rc_event_new(RC_EVENT_APPENDED);

    event->id = c->id;
    event->number = stored->offset;
    if (stored->offset >= 0)
        event->outcome = stored->weak ? RC_APPENDED_WEAK : RC_APPENDED;
    else
        event->outcome = stored->unknown ? RC_APPENDED_UNKNOWN : RC_APPENDED_REFUSED;
    if (stored->err)
        rc_debug(RC_CLUSTER_COMPONENT, "an append to the ownership log: %s", stored->err->msg);
    happened(c->link, event);
    call_free(c);
}

static void do_append(void *arg)
{
    call *c = arg;

    if (current(c))
        rmq_pinned_append(c->link->pinned, omc_slice_of(c->body.data, c->body.len), on_append, c);
    else
        call_free(c);
}

/* ---- from the cluster's thread --------------------------------------------------------------- */

static void do_open(void *arg)
{
    rc_link *link = arg;

    RC_ASSERT(rc_loop_timer_new(rmq_client_loop(link->config.client), look_for_members, link,
                                &link->timer) == 0);
}

rc_link *rc_link_new(const rc_link_config *config)
{
    rc_link *link = rc_calloc(1, sizeof *link);

    link->config = *config;
    pthread_mutex_init(&link->mu, NULL);
    pthread_cond_init(&link->cond, NULL);
    rmq_client_run(config->client, do_open, link);
    return link;
}

static void do_close(void *arg)
{
    rc_link *link = arg;

    hang_up(link);
    rc_loop_timer_free(link->timer);
}

void rc_link_free(rc_link *link)
{
    if (!link)
        return;
    rmq_client_run(link->config.client, do_close, link);
    pthread_mutex_lock(&link->mu);
    while (link->closing > 0)
        pthread_cond_wait(&link->cond, &link->mu);
    pthread_mutex_unlock(&link->mu);
    pthread_cond_destroy(&link->cond);
    pthread_mutex_destroy(&link->mu);
    free(link);
}

static void post(call *c, void (*fn)(void *arg))
{
    rmq_client_post(c->link->config.client, fn, c);
}

void rc_link_connect(rc_link *link, uint64_t conn, const char *topic, const char *broker)
{
    call *c = call_new(link, conn);

    c->topic = rc_strdup(topic);
    c->broker = rc_strdup(broker);
    post(c, do_connect);
}

void rc_link_disconnect(rc_link *link, uint64_t conn)
{
    post(call_new(link, conn), do_disconnect);
}

void rc_link_read(rc_link *link, uint64_t conn, int64_t offset)
{
    call *c = call_new(link, conn);

    c->offset = offset;
    post(c, do_read);
}

void rc_link_ping(rc_link *link, uint64_t conn, uint64_t id)
{
    call *c = call_new(link, conn);

    c->id = id;
    post(c, do_ping);
}

void rc_link_append(rc_link *link, uint64_t conn, uint64_t id, rc_slice body)
{
    call *c = call_new(link, conn);

    c->id = id;
    rc_buf_add(&c->body, body.base, body.len);
    post(c, do_append);
}
