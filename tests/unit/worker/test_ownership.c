/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers that are ruled: a fake owner gives orders to two of them, each with a log of its own on
 * one fake cluster, as two processes would have; what has left them is in the cluster's books.
 */
#include "unit.h"

#include "log/rocketmq.h"
#include "toys.h"
#include "worker/hooks.h"
#include "worker/ownership.h"

#include <fakemq.h>
#include <poll.h>
#include <stdio.h>

#define COUNT 1500
#define OK(call)                                                           \
    do {                                                                   \
        rc_error err = {0};                                                \
        int r_ = (call);                                                   \
        if (r_ < 0)                                                        \
            fail_msg("%s:%d: %s: %s", __FILE__, __LINE__, #call, err.msg); \
    } while (0)

/* ---- the cluster, the owner, two workers ---- */

#define REPORTS_MAX 200
typedef struct told {
    rc_unit_event event;
    char unit[64]; /* "in", "in/0" */
    int64_t generation, witness;
    char text[256];
} told;

typedef struct ruled {
    rc_registry *registry;
    rc_store *store;
    rc_log *log;
    rc_worker *worker;
    rc_ruler ruler;
    rc_lease lease;
    uint64_t incarnation;
    pthread_mutex_t mu;
    told reports[REPORTS_MAX]; /* [mu] */
    size_t count;              /* [mu] */
    size_t seen;
} ruled;

typedef struct world {
    fakemq *mq;
    rc_arena arena;
    rc_worker_config config;
    rc_memory_book *book;
    ruled a, b;
} world;

static void take_report(void *arg, const rc_unit_report *report)
{
    ruled *w = arg;
    told *at;

    (void)pthread_mutex_lock(&w->mu);
    assert_true(w->count < REPORTS_MAX);
    at = &w->reports[w->count++];
    memset(at, 0, sizeof *at);
    at->event = report->event;
    at->generation = report->generation;
    at->witness = report->witness;
    if (report->task < 0)
        (void)snprintf(at->unit, sizeof at->unit, "%s", report->connector);
    else
        (void)snprintf(at->unit, sizeof at->unit, "%s/%d", report->connector, report->task);
    if (report->err)
        (void)snprintf(at->text, sizeof at->text, "%.250s", report->err->msg);
    (void)pthread_mutex_unlock(&w->mu);
}

/* The next report about the unit, others are passed over; event 0 = none came. */
static told next_report_of(ruled *w, const char *unit)
{
    int64_t deadline = rc_mono_ms(rc_clock_real()) + 20000;
    told found = {0};

    while (!found.event && rc_mono_ms(rc_clock_real()) < deadline) {
        (void)pthread_mutex_lock(&w->mu);
        for (; w->seen < w->count && !found.event; w->seen++)
            if (strcmp(w->reports[w->seen].unit, unit) == 0)
                found = w->reports[w->seen];
        (void)pthread_mutex_unlock(&w->mu);
        (void)poll(NULL, 0, found.event ? 0 : 2);
    }
    return found;
}

static told next_report(ruled *w, const char *unit, rc_unit_event event)
{
    told found = next_report_of(w, unit);

    if (found.event != event)
        fail_msg("unit %s: %s (%s) instead of %s", unit,
                 found.event ? rc_unit_event_name(found.event) : "nothing", found.text,
                 rc_unit_event_name(event));
    return found;
}

static void tune(world *w)
{
    static const omc_pair pairs[] = {{{"log", 3}, {"embedded", 8}}};
    const omc_keyvalue kv = {1, pairs};
    rc_problems problems;

    rc_problems_init(&problems, &w->arena.pub);
    OK(rc_worker_config_parse(&kv, &w->arena.pub, &w->config, &problems, &err));
    w->config.restart_delay_ms = 10;
    w->config.restart_delay_max_ms = 50;
    w->config.commit_interval_ms = 20;
    w->config.pending_bytes_max = 4096;
    w->config.log_queues = 4;
}

static void is_stored(void *arg, int result, const rc_stored_connector *now, const rc_error *why)
{
    (void)now;
    if (result < 0)
        fail_msg("%s", why->msg);
    *(bool *)arg = true;
}

static void put_stored(void *arg, const char *name, const char *const *texts)
{
    ruled *r = arg;
    bool stored = false;
    rc_arena arena;
    rc_kv kv;

    rc_arena_init(&arena, 1024);
    rc_kv_init(&kv, &arena.pub);
    for (; *texts; texts++) {
        const char *eq = strchr(*texts, '=');

        rc_kv_put(&kv, omc_slice_of(*texts, (size_t)(eq - *texts)), omc_slice_str(eq + 1));
    }
    rc_store_put(r->store, name, rc_kv_done(&kv), -1, RC_TARGET_STARTED, is_stored, &stored);
    assert_true(stored); /* A store in memory answers at once. */
    rc_arena_release(&arena);
}

static void begin(world *w, ruled *r, uint64_t incarnation)
{
    rc_rocketmq_config log = {
        .client = {.namesrv = fakemq_namesrv(w->mq), .request_timeout_ms = 20000},
        .position_topic = "connector-position-topic",
        .create_topics = true,
        .tail_ms = 50,
        .clock = rc_clock_real(),
    };
    rc_worker_setup setup = {.config = &w->config,
                             .registry = r->registry,
                             .store = r->store,
                             .clock = rc_clock_real(),
                             .ruler = &r->ruler};

    (void)pthread_mutex_init(&r->mu, NULL);
    r->incarnation = incarnation;
    r->ruler = (rc_ruler){.book = rc_memory_book_of(w->book), .report = take_report, .arg = r};
    OK(rc_rocketmq_open(&log, &r->log, &err));
    setup.log = r->log;
    OK(rc_worker_start(&setup, &r->worker, &err));
}

static void end(ruled *r)
{
    assert_int_equal(rc_worker_stop(r->worker, 20000), 0);
    rc_log_close(r->log);
    rc_store_close(r->store);
    rc_registry_free(r->registry);
    (void)pthread_mutex_destroy(&r->mu);
}

/* Both know the connectors `in` (source) and `out` (sink). */
static world *open_world(const char *const *in, const char *const *out)
{
    const fakemq_config mq = {.brokers = 2, .queues = 2, .seed = 3};
    world *w = calloc(1, sizeof *w);

    toys_reset();
    hooks = (toy_hooks){0};
    w->mq = fakemq_start(&mq);
    rc_arena_init(&w->arena, 4096);
    tune(w);
    w->book = rc_memory_book_new();
    for (int i = 0; i < 2; i++) {
        ruled *r = i ? &w->b : &w->a;

        r->registry = toy_registry();
        r->store = rc_store_new_memory(rc_clock_real());
        rc_lease_init(&r->lease, NULL, NULL);
        rc_lease_set(&r->lease, INT64_MAX);
        put_stored(r, "in", in);
        put_stored(r, "out", out);
        begin(w, r, (uint64_t)i + 1);
    }
    return w;
}

static void close_world(world *w)
{
    end(&w->a);
    end(&w->b);
    rc_memory_book_free(w->book);
    fakemq_stop(w->mq);
    rc_arena_release(&w->arena);
    free(w);
}

/* ---- orders ---- */

static rc_fence *own(ruled *r, const char *connector, int task, int64_t generation)
{
    rc_fence *fence = rc_fence_new(&r->lease, generation, r->incarnation);

    rc_worker_order(r->worker, &(rc_order){.kind = RC_ORDER_OWN,
                                           .connector = connector,
                                           .task = task,
                                           .fence = fence});
    return fence;
}

static void order(ruled *r, rc_order_kind kind, const char *connector, int task, rc_fence *fence)
{
    rc_worker_order(r->worker, &(rc_order){.kind = kind,
                                           .connector = connector,
                                           .task = task,
                                           .fence = fence,
                                           .reason = "the owner said so"});
}

/* ---- what there is ---- */

static bool wait_for_state(ruled *r, const char *name, int task, rc_state state, char *why,
                           size_t size)
{
    toy_rig rig = {.worker = r->worker};
    bool is = toy_wait_state(&rig, name, task, state);

    if (why)
        toy_trace(&rig, name, task, why, size);
    return is;
}

static int sends(world *w)
{
    return fakemq_requests(w->mq, 320, NULL) + fakemq_requests(w->mq, 310, NULL);
}

static int commits(world *w)
{
    return fakemq_requests(w->mq, 15, NULL) + fakemq_requests(w->mq, 25, NULL);
}

static int64_t in_topic(world *w)
{
    return fakemq_max_offset(w->mq, "t", "broker-0", 0);
}

static void wait_in_topic(world *w, int64_t count)
{
    for (int i = 0; i < 10000 && in_topic(w) < count; i++)
        (void)poll(NULL, 0, 2);
    if (in_topic(w) < count)
        fail_msg("%lld messages, %lld expected", (long long)in_topic(w), (long long)count);
}

static int record_at(world *w, int64_t at)
{
    fakemq_message *m = fakemq_message_at(w->mq, "t", "broker-0", 0, at);
    char text[32] = "";

    memcpy(text, m->body, m->body_len < sizeof text - 1 ? m->body_len : sizeof text - 1);
    fakemq_message_free(m);
    return (int)strtol(text + strlen("line "), NULL, 10);
}

/* The last record is there, after some that were there before. */
static void wait_for_last(world *w)
{
    for (int i = 0; i < 10000 && (in_topic(w) == 0 || record_at(w, in_topic(w) - 1) < COUNT); i++)
        (void)poll(NULL, 0, 2);
}

/* Each record, in order; with `repeats` some may be there again behind an owner that was lost. */
static void assert_lines(world *w, int count, bool repeats)
{
    int next = 1;

    for (int64_t at = 0; at < in_topic(w); at++) {
        int n = record_at(w, at);

        if (n > next || (n < next && !repeats))
            fail_msg("record %d at %lld, where %d should be", n, (long long)at, next);
        next = RC_MAX(next, n + 1);
    }
    if (next != count + 1)
        fail_msg("the last record is %d, not %d", next - 1, count);
}

static const char *const source[] = {"connector.class=toy-source", "connect.topicname=t", "to=1500",
                                     NULL};
static const char *const sink[] = {"connector.class=toy-sink", "connect.topicnames=t", NULL};

/* One queue, so that what is there can be compared with what should be. */
static world *open_simple(void)
{
    world *w = open_world(source, sink);

    fakemq_topic_on(w->mq, "t", "broker-0", 1);
    return w;
}

/* ---- tests ---- */

static void drained_goes_on_elsewhere(void **state)
{
    world *w = open_simple();
    rc_fence *half, *first, *second;

    (void)state;
    half = own(&w->a, "in", RC_UNIT_HALF, 3);
    first = own(&w->a, "in", 0, 4);
    (void)next_report(&w->a, "in/0", RC_UNIT_STARTED);
    wait_in_topic(w, 30);
    order(&w->a, RC_ORDER_DRAIN, "in", 0, NULL);
    assert_int_equal(next_report(&w->a, "in/0", RC_UNIT_RELEASED).generation, 4);
    assert_int_equal(rc_fence_check(first), RC_FENCE_REVOKED);
    second = own(&w->b, "in", 0, 9); /* the half stays where it is */
    assert_int_equal(next_report(&w->b, "in/0", RC_UNIT_STARTED).generation, 9);
    wait_in_topic(w, COUNT);
    assert_true(wait_for_state(&w->b, "in", -1, RC_STATE_UNASSIGNED, NULL, 0));
    order(&w->b, RC_ORDER_DRAIN, "in", 0, NULL);
    (void)next_report(&w->b, "in/0", RC_UNIT_RELEASED);
    assert_lines(w, COUNT, false);
    rc_fence_unref(half);
    rc_fence_unref(first);
    rc_fence_unref(second);
    close_world(w);
}

/* Until the count stands still while somebody asks for the lease again and again: whoever wanted to
 * send has been held back. */
static void wait_for_calm(ruled *r, world *w)
{
    int last = -1, calm = 0;

    for (int i = 0; i < 2000 && calm < 10; i++) {
        if (rc_lease_used(&r->lease)) {
            calm = sends(w) + commits(w) == last ? calm + 1 : 0;
            last = sends(w) + commits(w);
        }
        (void)poll(NULL, 0, 5);
    }
    assert_int_equal(calm, 10);
}

static void nothing_leaves_without_a_lease(void **state)
{
    world *w = open_simple();
    rc_fence *half, *fence;
    int before;

    (void)state;
    half = own(&w->a, "in", RC_UNIT_HALF, 3);
    fence = own(&w->a, "in", 0, 4);
    wait_in_topic(w, 9);
    rc_lease_set(&w->a.lease, 0);
    wait_for_calm(&w->a, w);
    assert_true(in_topic(w) < COUNT);
    before = sends(w) + commits(w);
    wait_for_calm(&w->a, w);
    assert_int_equal(sends(w) + commits(w), before);
    rc_lease_set(&w->a.lease, INT64_MAX);
    wait_in_topic(w, COUNT);
    assert_lines(w, COUNT, false);
    rc_fence_unref(half);
    rc_fence_unref(fence);
    close_world(w);
}

static void suspended_shows_why_and_goes_on(void **state)
{
    world *w = open_simple();
    rc_fence *half, *fence;
    char why[256];
    int before;

    (void)state;
    half = own(&w->a, "in", RC_UNIT_HALF, 3);
    fence = own(&w->a, "in", 0, 4);
    wait_in_topic(w, 9);
    rc_lease_set(&w->a.lease, 0); /* so that what is held back can be seen */
    wait_for_calm(&w->a, w);
    rc_fence_suspend(fence);
    order(&w->a, RC_ORDER_SUSPEND, "in", 0, NULL);
    assert_true(wait_for_state(&w->a, "in", 0, RC_STATE_SUSPENDED, why, sizeof why));
    assert_string_equal(why, "the owner said so");
    rc_lease_set(&w->a.lease, INT64_MAX);
    before = sends(w) + commits(w);
    order(&w->a, RC_ORDER_RESUME, "in", 0, fence);
    wait_in_topic(w, COUNT);
    assert_true(sends(w) + commits(w) > before);
    assert_true(wait_for_state(&w->a, "in", 0, RC_STATE_RUNNING, NULL, 0));
    assert_lines(w, COUNT, false);
    rc_fence_unref(half);
    rc_fence_unref(fence);
    close_world(w);
}

static void lost_sends_nothing_more(void **state)
{
    world *w = open_simple();
    rc_fence *half, *fence, *next;
    int before;

    (void)state;
    half = own(&w->a, "in", RC_UNIT_HALF, 3);
    fence = own(&w->a, "in", 0, 4);
    wait_in_topic(w, 9);
    rc_lease_set(&w->a.lease, 0);
    wait_for_calm(&w->a, w); /* it has records that are not sent, and positions */
    before = sends(w) + commits(w);
    rc_fence_revoke(fence);
    rc_lease_set(&w->a.lease, INT64_MAX);
    order(&w->a, RC_ORDER_LOSE, "in", 0, NULL);
    assert_int_equal(next_report(&w->a, "in/0", RC_UNIT_STARTED).generation, 4);
    assert_int_equal(next_report(&w->a, "in/0", RC_UNIT_GONE).generation, 4);
    assert_int_equal(sends(w) + commits(w), before);
    next = own(&w->b, "in", 0, 9);
    wait_for_last(w);
    (void)next_report(&w->b, "in/0", RC_UNIT_STARTED);
    order(&w->b, RC_ORDER_DRAIN, "in", 0, NULL);
    (void)next_report(&w->b, "in/0", RC_UNIT_RELEASED);
    assert_lines(w, COUNT, true);
    rc_fence_unref(half);
    rc_fence_unref(fence);
    rc_fence_unref(next);
    close_world(w);
}

/* A worker that was away finds that somebody else has begun with a higher generation (R7). */
static void higher_generation_ends_a_suspended_one(void **state)
{
    world *w = open_simple();
    rc_fence *half, *fence, *next;
    told gone;

    (void)state;
    half = own(&w->a, "in", RC_UNIT_HALF, 3);
    fence = own(&w->a, "in", 0, 4);
    (void)next_report(&w->a, "in/0", RC_UNIT_STARTED);
    wait_in_topic(w, 9);
    rc_fence_suspend(fence);
    order(&w->a, RC_ORDER_SUSPEND, "in", 0, NULL);
    assert_true(wait_for_state(&w->a, "in", 0, RC_STATE_SUSPENDED, NULL, 0));
    next = own(&w->b, "in", 0, 9);
    (void)next_report(&w->b, "in/0", RC_UNIT_STARTED);
    order(&w->a, RC_ORDER_RESUME, "in", 0, fence);
    gone = next_report(&w->a, "in/0", RC_UNIT_OUTRANKED);
    assert_int_equal(gone.generation, 4);
    assert_int_equal(gone.witness, 9);
    wait_in_topic(w, COUNT);
    rc_fence_unref(half);
    rc_fence_unref(fence);
    rc_fence_unref(next);
    close_world(w);
}

static void generation_in_use_cannot_begin(void **state)
{
    world *w = open_simple();
    rc_fence *half, *fence, *next;
    const rc_task_name name = {"in", "in-0", NULL};
    int64_t known = 0;
    told gone;

    (void)state;
    half = own(&w->a, "in", RC_UNIT_HALF, 3);
    fence = own(&w->a, "in", 0, 4);
    (void)next_report(&w->a, "in/0", RC_UNIT_STARTED);
    next = own(&w->b, "in", 0, 4); /* the log of ownership has lost its end */
    gone = next_report(&w->b, "in/0", RC_UNIT_OUTRANKED);
    assert_int_equal(gone.witness, 4);
    OK(rc_log_generation(w->b.log, &name, &known, &err));
    assert_int_equal(known, 4);
    rc_fence_unref(half);
    rc_fence_unref(fence);
    rc_fence_unref(next);
    close_world(w);
}

/* A task that cannot look for other owners has nothing open yet that its end could drain. */
static void take_over_that_fails_is_tried_again(void **state)
{
    world *w = open_simple();
    const fakemq_rule rule = {.action = FAKEMQ_REFUSE,
                              .request = 30, /* the end of the position topic */
                              .topic = "connector-position-topic",
                              .code = 1,
                              .remark = "the test says no"};
    rc_fence *half, *fence;
    int refused;

    (void)state;
    half = own(&w->a, "in", RC_UNIT_HALF, 3);
    (void)next_report(&w->a, "in", RC_UNIT_STARTED);
    refused = fakemq_fault(w->mq, &rule);
    fence = own(&w->a, "in", 0, 4);
    assert_non_null(strstr(next_report(&w->a, "in/0", RC_UNIT_FAILED).text, "the test says no"));
    fakemq_fault_end(w->mq, refused);
    for (told next = {0}; next.event != RC_UNIT_STARTED;) {
        next = next_report_of(&w->a, "in/0");
        assert_int_not_equal(next.event, 0);
    }
    wait_in_topic(w, COUNT);
    rc_fence_unref(half);
    rc_fence_unref(fence);
    close_world(w);
}

static void tasks_run_apart_from_their_half(void **state)
{
    static const char *const two[] = {"connector.class=hook-source", "connect.topicname=t",
                                      "max.tasks=2", NULL};
    world *w = open_world(two, sink);
    rc_fence *half, *zero, *one, *moved;
    char why[256];

    (void)state;
    one = own(&w->b, "in", 1, 5); /* nobody has made its configuration yet */
    assert_true(wait_for_state(&w->b, "in", 0, RC_STATE_UNASSIGNED, why, sizeof why));
    assert_non_null(strstr(why, "has not made task configurations yet"));
    half = own(&w->a, "in", RC_UNIT_HALF, 3);
    zero = own(&w->a, "in", 0, 4);
    (void)next_report(&w->a, "in", RC_UNIT_STARTED);
    rc_worker_tasks_changed(w->b.worker, "in");
    (void)next_report(&w->b, "in/1", RC_UNIT_STARTED);
    (void)next_report(&w->a, "in/0", RC_UNIT_STARTED);

    /* The half moves, makes the same, and no task is restarted. */
    order(&w->a, RC_ORDER_DRAIN, "in", RC_UNIT_HALF, NULL);
    (void)next_report(&w->a, "in", RC_UNIT_RELEASED);
    moved = own(&w->b, "in", RC_UNIT_HALF, 8);
    (void)next_report(&w->b, "in", RC_UNIT_STARTED);
    assert_true(wait_for_state(&w->b, "in", -1, RC_STATE_RUNNING, NULL, 0));
    rc_worker_tasks_changed(w->a.worker, "in");
    assert_true(wait_for_state(&w->a, "in", 0, RC_STATE_RUNNING, NULL, 0));
    assert_int_equal(rc_fence_check(zero), RC_FENCE_OPEN);
    assert_int_equal(rc_fence_check(one), RC_FENCE_OPEN);
    rc_fence_unref(half);
    rc_fence_unref(zero);
    rc_fence_unref(one);
    rc_fence_unref(moved);
    close_world(w);
}

/* New task configurations: all that runs with old ones is given back first. */
static void other_configurations_release_all_tasks(void **state)
{
    static const char *const two[] = {"connector.class=hook-source", "connect.topicname=t",
                                      "max.tasks=2", NULL};
    world *w = open_world(two, sink);
    toy_rig rig = {.worker = w->a.worker};
    rc_fence *half, *zero, *one, *again;

    (void)state;
    half = own(&w->a, "in", RC_UNIT_HALF, 3);
    zero = own(&w->a, "in", 0, 4);
    (void)next_report(&w->a, "in/0", RC_UNIT_STARTED);
    one = own(&w->b, "in", 1, 5);
    (void)next_report(&w->b, "in/1", RC_UNIT_STARTED);
    OK(toy_put(&rig, "in", &err, two[0], two[1], "max.tasks=3", NULL));
    (void)next_report(&w->a, "in/0", RC_UNIT_RELEASED);
    rc_worker_tasks_changed(w->b.worker, "in");
    (void)next_report(&w->b, "in/1", RC_UNIT_RELEASED);
    again = own(&w->b, "in", 2, 12);
    (void)next_report(&w->b, "in/2", RC_UNIT_STARTED);
    rc_fence_unref(half);
    rc_fence_unref(zero);
    rc_fence_unref(one);
    rc_fence_unref(again);
    close_world(w);
}

static void failures_are_each_units_own(void **state)
{
    world *w = open_simple();
    rc_fence *half, *fence;

    (void)state;
    toys.start_failures = 2;
    half = own(&w->a, "in", RC_UNIT_HALF, 3);
    fence = own(&w->a, "in", 0, 4);
    assert_non_null(strstr(next_report(&w->a, "in/0", RC_UNIT_FAILED).text, "toy start failure"));
    (void)next_report(&w->a, "in/0", RC_UNIT_FAILED);
    (void)next_report(&w->a, "in/0", RC_UNIT_STARTED);
    wait_in_topic(w, COUNT);
    rc_fence_unref(half);
    rc_fence_unref(fence);
    close_world(w);
}

/* What users ask for works on the units that are here, and none of it gives a unit up. */
static void users_pause_stop_and_restart_units(void **state)
{
    static const char *const bounded[] = {"connector.class=toy-source", "connect.topicname=t",
                                          "to=30", "bounded=true", NULL};
    world *w = open_world(bounded, sink);
    toy_rig rig = {.worker = w->a.worker};
    rc_request restart = {.kind = RC_REQUEST_RESTART_TASK,
                          .connector = "out",
                          .task = 0,
                          .expected = -1};
    rc_fence *fences[2];

    (void)state;
    fakemq_topic_on(w->mq, "t", "broker-0", 1);
    fences[0] = own(&w->a, "in", 0, 4);
    fences[1] = own(&w->a, "out", 0, 6);
    rc_fence_unref(own(&w->a, "in", RC_UNIT_HALF, 3));
    rc_fence_unref(own(&w->a, "out", RC_UNIT_HALF, 5));
    (void)next_report(&w->a, "out/0", RC_UNIT_STARTED);
    assert_true(wait_for_state(&w->a, "in", 0, RC_STATE_FINISHED, NULL, 0));
    OK(toy_request(&rig, RC_REQUEST_PAUSE, "out", &err));
    assert_true(wait_for_state(&w->a, "out", 0, RC_STATE_PAUSED, NULL, 0));
    OK(toy_request(&rig, RC_REQUEST_RESUME, "out", &err));
    assert_true(wait_for_state(&w->a, "out", 0, RC_STATE_RUNNING, NULL, 0));
    OK(rc_worker_call(w->a.worker, &restart, &err));
    (void)next_report(&w->a, "out/0", RC_UNIT_STARTED);
    OK(toy_request(&rig, RC_REQUEST_STOP, "out", &err));
    assert_true(wait_for_state(&w->a, "out", 0, RC_STATE_STOPPED, NULL, 0));
    assert_true(wait_for_state(&w->a, "out", -1, RC_STATE_STOPPED, NULL, 0));
    OK(toy_request(&rig, RC_REQUEST_RESUME, "out", &err));
    (void)next_report(&w->a, "out/0", RC_UNIT_STARTED);
    assert_int_equal(rc_fence_check(fences[1]), RC_FENCE_OPEN);
    OK(toy_request(&rig, RC_REQUEST_RESTART, "in", &err)); /* finished ones too */
    assert_true(wait_for_state(&w->a, "in", 0, RC_STATE_FINISHED, NULL, 0));
    OK(toy_request(&rig, RC_REQUEST_DELETE, "out", &err));
    (void)next_report(&w->a, "out/0", RC_UNIT_RELEASED);
    assert_true(toys_wait(30));
    assert_lines(w, 30, false);
    rc_fence_unref(fences[0]);
    rc_fence_unref(fences[1]);
    close_world(w);
}

static void sink_hands_over_its_offsets(void **state)
{
    world *w = open_simple();
    rc_fence *fences[6];

    (void)state;
    fences[0] = own(&w->a, "in", RC_UNIT_HALF, 3);
    fences[1] = own(&w->a, "in", 0, 4);
    fences[2] = own(&w->b, "out", RC_UNIT_HALF, 5);
    fences[3] = own(&w->b, "out", 0, 6);
    assert_true(toys_wait(30));
    order(&w->b, RC_ORDER_DRAIN, "out", 0, NULL);
    (void)next_report(&w->b, "out/0", RC_UNIT_STARTED);
    (void)next_report(&w->b, "out/0", RC_UNIT_RELEASED);
    fences[4] = own(&w->a, "out", 0, 9);
    assert_true(toys_wait(COUNT));
    (void)next_report(&w->a, "out/0", RC_UNIT_STARTED);
    order(&w->a, RC_ORDER_DRAIN, "out", 0, NULL);
    (void)next_report(&w->a, "out/0", RC_UNIT_RELEASED);
    (void)pthread_mutex_lock(&toys.mu);
    assert_int_equal(toys.count, COUNT);
    (void)pthread_mutex_unlock(&toys.mu);
    for (int i = 0; i < 5; i++)
        rc_fence_unref(fences[i]);
    close_world(w);
}

/* A sink whose fence closes puts nothing; when it is lost it does not even commit. */
static void lost_sink_puts_and_commits_nothing(void **state)
{
    world *w = open_simple();
    rc_fence *half, *fence;
    size_t had;
    int before;

    (void)state;
    fakemq_fill(w->mq, "t", "broker-0", 0, 50);
    half = own(&w->b, "out", RC_UNIT_HALF, 5);
    fence = own(&w->b, "out", 0, 6);
    assert_true(toys_wait(50));
    rc_lease_set(&w->b.lease, 0);
    fakemq_fill(w->mq, "t", "broker-0", 0, 50);
    wait_for_calm(&w->b, w);
    (void)pthread_mutex_lock(&toys.mu);
    had = toys.count;
    (void)pthread_mutex_unlock(&toys.mu);
    assert_int_equal(had, 50);
    before = sends(w) + commits(w);
    rc_fence_revoke(fence);
    rc_lease_set(&w->b.lease, INT64_MAX);
    order(&w->b, RC_ORDER_LOSE, NULL, 0, NULL); /* all of it */
    (void)next_report(&w->b, "out/0", RC_UNIT_STARTED);
    (void)next_report(&w->b, "out/0", RC_UNIT_GONE);
    assert_int_equal(sends(w) + commits(w), before);
    (void)pthread_mutex_lock(&toys.mu);
    assert_int_equal(toys.count, 50);
    (void)pthread_mutex_unlock(&toys.mu);
    rc_fence_unref(half);
    rc_fence_unref(fence);
    close_world(w);
}

static void orders_for_what_is_not_here_are_answered(void **state)
{
    world *w = open_simple();
    rc_fence *fence;

    (void)state;
    order(&w->a, RC_ORDER_DRAIN, "in", 0, NULL);
    assert_int_equal(next_report(&w->a, "in/0", RC_UNIT_RELEASED).generation, 0);
    order(&w->a, RC_ORDER_LOSE, "in", RC_UNIT_HALF, NULL);
    (void)next_report(&w->a, "in", RC_UNIT_GONE);
    fence = own(&w->a, "nobody", 0, 4);
    (void)next_report(&w->a, "nobody/0", RC_UNIT_RELEASED);
    rc_fence_unref(fence);
    close_world(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drained_goes_on_elsewhere),
        cmocka_unit_test(nothing_leaves_without_a_lease),
        cmocka_unit_test(suspended_shows_why_and_goes_on),
        cmocka_unit_test(lost_sends_nothing_more),
        cmocka_unit_test(higher_generation_ends_a_suspended_one),
        cmocka_unit_test(generation_in_use_cannot_begin),
        cmocka_unit_test(take_over_that_fails_is_tried_again),
        cmocka_unit_test(tasks_run_apart_from_their_half),
        cmocka_unit_test(other_configurations_release_all_tasks),
        cmocka_unit_test(failures_are_each_units_own),
        cmocka_unit_test(users_pause_stop_and_restart_units),
        cmocka_unit_test(sink_hands_over_its_offsets),
        cmocka_unit_test(lost_sink_puts_and_commits_nothing),
        cmocka_unit_test(orders_for_what_is_not_here_are_answered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
