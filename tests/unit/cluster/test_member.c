/* SPDX-License-Identifier: Apache-2.0 */
/**
 * One worker's machine, against a log that the test writes: rule by rule. The harness performs the
 * actions at once; what a test wants to see late or not at all it holds back.
 */
#include "unit.h"

#include "cluster/member.h"

#include <stdio.h>

#define LOG_MAX 4096
#define CLOSE_MS 711

static struct {
    rc_membership *m;
    int64_t now;
    char *log[LOG_MAX];
    size_t len[LOG_MAX];
    int64_t end;
    uint64_t conn;   /* 0 = none. */
    int64_t read_at; /* Open read; INT64_MIN = none. */
    uint64_t random;
    rc_arena arena;
    /* what a test holds back */
    bool no_connect, no_read, no_ping, no_witness, no_stop, weak, no_append;
    int64_t witness; /* Answer. */
    /* what was seen */
    int64_t lease, started, stopped, resumed, drained, suspended, exit;
    int64_t generation; /* Of the last START. */
    uint64_t witness_id;
    int connects, disconnects, pings, units;
    int64_t moved_to;
    char told[512];
} t;

static uint64_t next_random(void *arg)
{
    (void)arg;
    return t.random += UINT64_C(0x9e3779b97f4a7c15);
}

static int64_t put(const rc_slice body)
{
    assert_in_range(t.end, 0, LOG_MAX - 1);
    t.log[t.end] = rc_strndup(body.base, body.len);
    t.len[t.end] = body.len;
    return t.end++;
}

static int64_t write_record(rc_own_record r)
{
    rc_buf body = RC_BUF(RC_OWN_BODY_MAX);
    int64_t offset;

    r.nonce = next_random(NULL);
    rc_own_write(&r, &body);
    offset = put(rc_buf_slice(&body));
    rc_buf_release(&body);
    return offset;
}

/* ---- performing actions ---------------------------------------------------------------------- */

static void act(const rc_action *a);

static void pump(void)
{
    rc_action a;

    while (rc_membership_next(t.m, &a))
        act(&a);
}

/** Gives what the open read asks for. */
static void feed(void)
{
    while (t.read_at != INT64_MIN && !t.no_read && t.conn) {
        int64_t from = t.read_at < 0 ? 0 : t.read_at;
        rc_slice bodies[32];
        size_t n = 0;

        if (from > t.end) {
            t.read_at = INT64_MIN;
            rc_membership_records_beyond(t.m, t.now, t.conn, t.end);
        } else if (from == t.end) {
            return;
        } else {
            for (; n < 32 && from + (int64_t)n < t.end; n++)
                bodies[n] = omc_slice_of(t.log[from + (int64_t)n], t.len[from + (int64_t)n]);
            t.read_at = INT64_MIN;
            rc_membership_records(t.m, t.now, t.conn, from, bodies, n);
        }
        pump();
    }
}

static void act_unit(const rc_action *a)
{
    RC_AUTO_FREE char *connector = rc_strdup(a->unit.connector ? a->unit.connector : "");
    rc_unit_id unit = {connector, a->unit.number};
    int64_t generation = a->generation;

    if (a->kind == RC_ACTION_START) {
        t.started++;
        t.generation = generation;
        rc_membership_started(t.m, t.now, unit, generation);
    } else if (a->kind == RC_ACTION_STOP) {
        t.stopped++;
        if (!t.no_stop)
            rc_membership_stopped(t.m, t.now, unit, generation, false);
    } else if (a->kind == RC_ACTION_DRAIN) {
        t.drained++;
    } else if (a->kind == RC_ACTION_RESUME) {
        t.resumed++;
    } else if (a->kind == RC_ACTION_WITNESS) {
        t.witness_id = a->id;
        if (!t.no_witness)
            rc_membership_witnessed(t.m, t.now, a->id, t.witness);
    }
}

static void act(const rc_action *a)
{
    if (a->kind == RC_ACTION_CONNECT) {
        t.connects++;
        t.conn = t.no_connect ? 0 : a->conn;
        t.read_at = INT64_MIN;
        if (t.conn)
            rc_membership_connected(t.m, t.now, t.conn);
        else
            rc_membership_disconnected(t.m, t.now, a->conn);
    } else if (a->kind == RC_ACTION_DISCONNECT) {
        t.disconnects++;
        t.conn = 0;
    } else if (a->kind == RC_ACTION_READ) {
        t.read_at = a->offset;
    } else if (a->kind == RC_ACTION_PING) {
        t.pings++;
        if (!t.no_ping)
            rc_membership_pinged(t.m, t.now, a->conn, a->id, t.end);
    } else if (a->kind == RC_ACTION_APPEND) {
        if (!t.no_append)
            rc_membership_appended(t.m, t.now, a->conn, a->id,
                                   t.weak ? RC_APPENDED_WEAK : RC_APPENDED, put(a->body));
    } else if (a->kind == RC_ACTION_LEASE) {
        t.lease = a->until_ms;
    } else if (a->kind == RC_ACTION_SUSPEND) {
        t.suspended++;
    } else if (a->kind == RC_ACTION_EXIT) {
        t.exit = a->code;
    } else if (a->kind == RC_ACTION_MOVE) {
        t.moved_to = a->epoch;
        while (t.end > 0) /* The new log is empty. */
            free(t.log[--t.end]);
    } else if (a->kind == RC_ACTION_TELL) {
        snprintf(t.told, sizeof t.told, "%s", a->text);
    } else {
        act_unit(a);
    }
}

/** Time goes on in small steps, everything is performed. */
static void run(int64_t ms)
{
    for (int64_t until = t.now + ms; t.now < until;) {
        t.now = RC_MIN(t.now + 10, until);
        rc_membership_need_lease(t.m, t.now);
        pump();
        feed();
    }
}

static void connection_breaks(void)
{
    uint64_t old = t.conn;

    t.conn = 0;
    rc_membership_disconnected(t.m, t.now, old);
    pump();
}

/* ---- the world ------------------------------------------------------------------------------- */

static void catalog(int units)
{
    RC_AUTO_FREE rc_catalog_unit *all = rc_calloc((size_t)units + 1, sizeof *all);

    for (int i = 0; i < units; i++)
        all[i] = (rc_catalog_unit){{"t", i}, 1, NULL};
    rc_membership_catalog(t.m, t.now, all, (size_t)units);
    pump();
}

static void start_member(uint64_t incarnation)
{
    rc_member_config c = {.cluster = "c",
                          .name = "me",
                          .incarnation = incarnation,
                          .about = {"http://me", "", "1", 1, 0},
                          .epoch = 1,
                          .home = "b0",
                          .timers = rc_timers_default(),
                          .random = next_random};
    rc_error err = {0};

    t.read_at = INT64_MIN;
    if (rc_membership_new(&c, t.now, &t.m, &err) < 0)
        fail_msg("%s", err.msg);
}

static int setup(void **state)
{
    (void)state;
    memset(&t, 0, sizeof t);
    t.now = 1000000;
    t.witness = -1;
    rc_arena_init(&t.arena, 4096);
    start_member(7);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rc_membership_free(t.m);
    rc_arena_release(&t.arena);
    for (int64_t i = 0; i < t.end; i++)
        free(t.log[i]);
    return 0;
}

static void hb(const char *worker, uint64_t incarnation, int64_t session)
{
    (void)write_record((rc_own_record){.kind = RC_OWN_HB,
                                       .worker = worker,
                                       .incarnation = incarnation,
                                       .session = session,
                                       .about = {"http://other", "", "1", 1, 0}});
    feed();
}

static int64_t end(const char *worker, int64_t session)
{
    int64_t at = write_record(
        (rc_own_record){.kind = RC_OWN_CLOSE, .worker = worker, .session = session, .by = "x"});

    feed();
    return at;
}

static void genesis(void)
{
    (void)write_record((rc_own_record){
        .kind = RC_OWN_GENESIS, .by = "x", .cluster = "c", .home = "b0", .epoch = 1});
}

static const rc_fold_worker *worker(const char *name)
{
    return rc_fold_find_worker(rc_membership_fold(t.m), name);
}

static const char *owner(int32_t number)
{
    const rc_fold_unit *u = rc_fold_find_unit(rc_membership_fold(t.m), "t", number);

    return u && u->owner ? u->owner->name : "";
}

static bool fence(void)
{
    return rc_membership_fence(t.m, (rc_unit_id){"t", 0}, t.generation, t.now);
}

/** Alone, with one unit that runs. */
static void running(void)
{
    catalog(1);
    run(2000);
    assert_int_equal(t.started, 1);
    assert_true(fence());
}

/* ---- beginnings ------------------------------------------------------------------------------ */

static void an_empty_log_is_begun_and_a_unit_runs(void **state)
{
    (void)state;
    running();
    assert_string_equal(rc_fold_cluster(rc_membership_fold(t.m)), "c");
    assert_string_equal(owner(0), "me");
    assert_int_equal(rc_membership_state_of(t.m), RC_MEMBERSHIP_OPEN);
}

static void a_log_of_another_cluster_is_left(void **state)
{
    (void)state;
    (void)write_record((rc_own_record){
        .kind = RC_OWN_GENESIS, .by = "x", .cluster = "theirs", .home = "b0", .epoch = 1});
    run(100);
    assert_int_equal(t.exit, RC_EXIT_WRONG_LOG);
}

/* ---- the lease (R2, R3, R4, R5) ---------------------------------------------------------------
 */

static void r4_the_lease_counts_from_the_ping_and_runs_out(void **state)
{
    (void)state;
    running();
    t.no_ping = true;
    run(200);
    assert_true(t.lease <= t.now + 500);
    run(510 - 200);
    assert_false(fence());
    assert_int_equal(t.stopped, 0); /* Suspended, not stopped. */
}

static void r4_a_late_reader_has_no_lease(void **state)
{
    (void)state;
    running();
    t.no_read = true;
    hb("other", 9, 1);
    run(510);
    assert_false(fence());
    t.no_read = false;
    feed();
    run(200);
    assert_true(fence());
}

static void r3_a_read_that_hangs_ends_the_connection(void **state)
{
    (void)state;
    running();
    t.no_read = true;
    hb("other", 9, 1);
    run(700);
    assert_int_equal(t.disconnects, 0);
    run(500);
    assert_int_equal(t.disconnects, 1);
}

static void r3_a_ping_without_an_answer_ends_the_connection(void **state)
{
    (void)state;
    running();
    t.no_ping = true;
    run(1100);
    assert_int_equal(t.disconnects, 1);
    assert_true(t.connects >= 2);
}

static void idle_members_hardly_ping(void **state)
{
    (void)state;
    running();
    run(1000);
    t.pings = 0;
    t.now += 1001; /* Nobody needs the lease. */
    for (int i = 0; i < 1000; i++) {
        t.now += 10;
        rc_membership_tick(t.m, t.now);
        pump();
        feed();
    }
    assert_in_range(t.pings, 2, 5);
}

/* ---- connections (R1, R6, R10) ----------------------------------------------------------------
 */

static void r6_a_new_connection_needs_a_new_session(void **state)
{
    int64_t session;

    (void)state;
    running();
    session = worker("me")->session;
    t.suspended = t.resumed = 0;
    connection_breaks();
    run(300);
    assert_int_equal(worker("me")->session, session + 1);
    assert_in_range(t.suspended, 1, 2);
    assert_int_equal(t.resumed, 1);
    assert_true(fence());
    assert_int_equal(t.started, 1); /* The same generation goes on. */
}

static void r6_a_close_suspends_until_the_next_session(void **state)
{
    (void)state;
    running();
    t.no_append = true;
    (void)end("me", worker("me")->session);
    pump();
    assert_false(fence());
    run(300);
    assert_false(fence()); /* Pings are answered, but no session is open. */
    t.no_append = false;
    run(1300);
    assert_true(fence());
    assert_int_equal(t.started, 1);
    assert_int_equal(t.stopped, 0);
}

static void r1_another_last_record_means_a_truncated_log(void **state)
{
    int64_t generation;

    (void)state;
    running();
    generation = t.generation;
    t.no_connect = true;
    connection_breaks();
    free(t.log[t.end - 1]); /* Somebody else's record stands there now. */
    t.end--;
    (void)write_record((rc_own_record){.kind = RC_OWN_HB,
                                       .worker = "other",
                                       .incarnation = 9,
                                       .session = 1,
                                       .about = {"", "", "", 1, 0}});
    t.no_connect = false;
    run(5000);
    assert_int_equal(t.stopped, 1);
    assert_int_equal(rc_membership_counts(t.m).truncations, 1);
    assert_true(t.generation > generation); /* None runs twice. */
}

static void r1_a_log_that_is_shorter_is_truncated(void **state)
{
    (void)state;
    running();
    t.no_connect = true;
    connection_breaks();
    while (t.end > 2)
        free(t.log[--t.end]);
    t.no_connect = false;
    run(100);
    assert_int_equal(t.stopped, 1);
    run(5000);
    assert_int_equal(t.started, 2);
    assert_true(fence());
}

static void r10_nothing_is_claimed_early_on_a_connection(void **state)
{
    (void)state;
    genesis();
    catalog(1);
    run(CLOSE_MS - 20);
    assert_string_equal(owner(0), "");
    run(400);
    assert_string_equal(owner(0), "me");
}

/* ---- taking over (R8, R9, R11, R12, R7) -------------------------------------------------------
 */

/** Another worker has unit 0, and this one has read that for long. */
static void other_owns(void)
{
    rc_own_item item = {"t", 0, -1, -1, 0};

    genesis();
    hb("other", 9, 1);
    (void)write_record((rc_own_record){.kind = RC_OWN_CLAIM,
                                       .worker = "other",
                                       .incarnation = 9,
                                       .session = 1,
                                       .items = &item,
                                       .item_count = 1});
    catalog(1);
    run(2000);
    assert_string_equal(owner(0), "other");
    assert_int_equal(t.started, 0);
}

static void r9_a_closed_owner_is_replaced_after_d_close(void **state)
{
    (void)state;
    other_owns();
    (void)end("other", 1);
    run(CLOSE_MS - 20);
    assert_string_equal(owner(0), "other");
    run(200);
    assert_string_equal(owner(0), "me");
    assert_int_equal(t.started, 1);
}

static void r9_an_owner_that_comes_back_keeps_it(void **state)
{
    (void)state;
    other_owns();
    (void)end("other", 1);
    run(500);
    hb("other", 9, 2);
    run(2000);
    assert_string_equal(owner(0), "other");
}

static void r8_silence_is_closed_once_a_second(void **state)
{
    (void)state;
    other_owns();
    run(7500);
    assert_int_equal(worker("other")->closed, -1);
    run(1500);
    assert_true(worker("other")->closed >= 0);
}

static void r8_silence_is_counted_on_one_connection(void **state)
{
    (void)state;
    other_owns();
    run(7000);
    connection_breaks();
    run(5000); /* 14 s since its last beat, 5 s on this connection. */
    assert_int_equal(worker("other")->closed, -1);
}

static void r8_a_hint_closes_at_once_but_not_after_a_connect(void **state)
{
    (void)state;
    other_owns();
    connection_breaks();
    run(100);
    rc_membership_suspect(t.m, t.now, "other", RC_SUSPECT_LIST);
    run(100);
    assert_int_equal(worker("other")->closed, -1);
    run(3000);
    rc_membership_suspect(t.m, t.now, "other", RC_SUSPECT_LIST);
    run(50);
    assert_true(worker("other")->closed >= 0);
}

static void r12_no_start_before_an_append_is_acknowledged(void **state)
{
    (void)state;
    t.weak = true;
    catalog(1);
    run(3000);
    assert_string_equal(owner(0), "me");
    assert_int_equal(t.started, 0);
    t.weak = false;
    run(2500);
    assert_int_equal(t.started, 1);
}

static void r7_a_higher_generation_in_the_positions_wins(void **state)
{
    (void)state;
    t.witness = rc_fold_position(1, 900);
    catalog(1);
    run(3000);
    assert_int_equal(rc_membership_counts(t.m).outranked, 1);
    assert_int_equal(t.started, 1);
    assert_true(t.generation > rc_fold_position(1, 900)); /* R11 */
}

static void r7_is_asked_before_a_unit_goes_on(void **state)
{
    (void)state;
    running();
    t.no_witness = true;
    connection_breaks();
    run(400);
    assert_int_equal(t.resumed, 0);
    assert_false(fence());
    rc_membership_witnessed(t.m, t.now, t.witness_id, -1);
    pump();
    assert_int_equal(t.resumed, 1);
    assert_true(fence());
}

static void an_outranked_unit_stops_and_is_claimed_above(void **state)
{
    int64_t generation;

    (void)state;
    running();
    generation = t.generation;
    rc_membership_outranked(t.m, t.now, (rc_unit_id){"t", 0}, generation, generation + 50);
    pump();
    assert_int_equal(t.stopped, 1);
    run(3000);
    assert_int_equal(t.started, 2);
    assert_true(t.generation > generation + 50);
}

static void what_another_claimed_stops(void **state)
{
    rc_own_item item = {"t", 0, 0, 0, 0};

    (void)state;
    running();
    t.no_append = t.no_read = true;
    hb("other", 9, 1);
    item.prev = t.generation;
    item.closed = rc_fold_position(1, end("me", worker("me")->session));
    (void)write_record((rc_own_record){.kind = RC_OWN_CLAIM,
                                       .worker = "other",
                                       .incarnation = 9,
                                       .session = 1,
                                       .items = &item,
                                       .item_count = 1});
    t.no_read = false;
    feed();
    assert_int_equal(t.stopped, 1);
    assert_string_equal(owner(0), "other");
    assert_false(fence());
}

/* ---- giving away (R14) ------------------------------------------------------------------------
 */

static void r14_what_should_be_elsewhere_is_drained_then_released(void **state)
{
    (void)state;
    catalog(2);
    run(2000);
    assert_int_equal(t.started, 2);
    hb("other", 9, 1);
    run(1500);
    assert_int_equal(t.drained, 1);
    assert_string_equal(owner(0), "me");
    assert_string_equal(owner(1), "me");
    for (int32_t i = 0; i < 2; i++) {
        const rc_fold_unit *u = rc_fold_find_unit(rc_membership_fold(t.m), "t", i);
        rc_place place;

        rc_membership_explain(t.m, (rc_unit_id){"t", i}, t.now, &t.arena.pub, &place);
        if (place.state == RC_PLACE_DRAINING)
            rc_membership_drained(t.m, t.now, (rc_unit_id){"t", i}, u->generation);
    }
    run(200);
    assert_int_equal(strlen(owner(0)) + strlen(owner(1)), 2); /* One is free, for the other. */
}

static void what_stops_dirty_is_released_after_the_tail(void **state)
{
    (void)state;
    running();
    rc_membership_stopped(t.m, t.now, (rc_unit_id){"t", 0}, t.generation, true);
    run(1990);
    assert_string_equal(owner(0), "me");
    assert_int_equal(rc_membership_counts(t.m).running, 0);
    run(1000);
    assert_int_equal(t.started, 2);
}

static void a_unit_that_is_not_listed_any_more_is_drained(void **state)
{
    (void)state;
    running();
    catalog(0);
    assert_int_equal(t.drained, 1);
    rc_membership_drained(t.m, t.now, (rc_unit_id){"t", 0}, t.generation);
    run(200);
    assert_string_equal(owner(0), "");
}

static void leaving_drains_closes_and_ends(void **state)
{
    (void)state;
    running();
    hb("other", 9, 1);
    rc_membership_leave(t.m, t.now, 10000);
    run(1000);
    assert_int_equal(t.drained, 1);
    assert_int_equal(t.exit, 0);
    rc_membership_drained(t.m, t.now, (rc_unit_id){"t", 0}, t.generation);
    run(500);
    assert_int_equal(t.exit, RC_EXIT_LEFT);
    assert_string_equal(owner(0), "");
}

/* ---- names (R15) ------------------------------------------------------------------------------
 */

static void r15_a_dead_process_is_replaced_after_d_close(void **state)
{
    (void)state;
    genesis();
    hb("me", 6, 3);
    run(CLOSE_MS - 20);
    assert_true(worker("me")->incarnation == 6);
    run(200);
    assert_true(worker("me")->incarnation == 7);
    assert_int_equal(worker("me")->session, 4);
    assert_int_equal(t.exit, 0);
}

static void r15_a_live_one_is_left_alone(void **state)
{
    (void)state;
    genesis();
    hb("me", 6, 3);
    for (int64_t session = 4; session < 6; session++) {
        for (int i = 0; i < 200 && (!worker("me") || worker("me")->closed < 0); i++)
            run(10);
        assert_int_equal(t.exit, 0);
        hb("me", 6, session); /* It opens its session again. */
    }
    run(200);
    assert_int_equal(t.exit, RC_EXIT_NAME_IN_USE);
}

static void r15_who_was_replaced_ends(void **state)
{
    (void)state;
    running();
    hb("me", 8, worker("me")->session + 1);
    pump();
    assert_int_equal(t.exit, RC_EXIT_REPLACED);
    assert_int_equal(t.stopped, 1);
    assert_false(fence());
}

/* ---- moves, snapshots, times ------------------------------------------------------------------
 */

static void a_sealed_log_goes_on_elsewhere_with_the_same_units(void **state)
{
    (void)state;
    running();
    assert_int_equal(rc_membership_move_home(t.m, t.now, "b1", NULL), 0);
    pump();
    run(3000);
    assert_int_equal(t.moved_to, 2);
    assert_string_equal(owner(0), "me");
    assert_true(fence());
    assert_int_equal(t.started, 1);
    assert_int_equal(t.stopped, 0);
    assert_int_equal(rc_fold_epoch(rc_membership_fold(t.m)), 2);
}

static void another_snapshot_than_ours_is_told(void **state)
{
    rc_own_record r = {.kind = RC_OWN_SNAP, .by = "x", .parts = 1, .hash = 1};

    (void)state;
    running();
    r.upto = rc_fold_next(rc_membership_fold(t.m));
    (void)write_record(r);
    run(10);
    assert_non_null(strstr(t.told, "differs"));
    assert_int_equal(rc_membership_counts(t.m).diverged, 1);
}

static void the_oldest_session_writes_snapshots_and_others_start_with_them(void **state)
{
    (void)state;
    running();
    for (int i = 0; i < 650; i++)
        run(1000);
    assert_in_range(rc_membership_counts(t.m).snapshots, 1, 2);
    rc_membership_free(t.m);
    t.conn = 0;
    t.started = 0;
    start_member(8);
    catalog(1);
    run(3000);
    assert_int_equal(t.started, 1);
}

static void times_that_break_an_inequality_are_refused(void **state)
{
    rc_timers times = rc_timers_default();
    rc_error err = {0};

    (void)state;
    assert_int_equal(rc_timers_check(&times, &err), 0);
    assert_int_equal(rc_timers_close_ms(&times), CLOSE_MS);
    times.ping_ms = 200;
    assert_int_equal(rc_timers_check(&times, &err), -OMC_EINVAL);
    assert_non_null(strstr(err.msg, "suspend.ms"));
    times = rc_timers_default();
    times.heartbeat_ms = 4000;
    assert_int_equal(rc_timers_check(&times, &err), -OMC_EINVAL);
    times = rc_timers_default();
    times.backoff_ms = 9500;
    assert_int_equal(rc_timers_check(&times, &err), -OMC_EINVAL);
    times = rc_timers_default();
    times.snap_records = 0;
    assert_int_equal(rc_timers_check(&times, &err), -OMC_EINVAL);
}

static void foreign_bytes_change_nothing(void **state)
{
    (void)state;
    running();
    for (int i = 0; i < 40; i++)
        (void)put(omc_slice_str(i % 2 ? "hello" : ""));
    run(300);
    assert_true(fence());
    connection_breaks();
    run(300);
    assert_true(fence());
    assert_int_equal(t.stopped, 0);
}

/* ---- size ------------------------------------------------------------------------------------ */

static void a_hundred_thousand_units_run_in_one_worker(void **state)
{
    (void)state;
    catalog(100000);
    run(10000);
    assert_int_equal(t.started, 100000);
    assert_true(t.end < 1000); /* Many units in a record. */
    connection_breaks();
    run(2000);
    assert_int_equal(t.resumed, 100000);
    assert_int_equal(t.stopped, 0);
}

static void a_thousand_workers_share_them(void **state)
{
    char name[16];

    (void)state;
    genesis();
    for (int i = 0; i < 999; i++) {
        snprintf(name, sizeof name, "w%d", i);
        hb(name, 100 + (uint64_t)i, 1);
    }
    catalog(100000);
    run(10000);
    assert_int_equal(t.started, 100);
}

#define RULE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RULE(an_empty_log_is_begun_and_a_unit_runs),
        RULE(a_log_of_another_cluster_is_left),
        RULE(r4_the_lease_counts_from_the_ping_and_runs_out),
        RULE(r4_a_late_reader_has_no_lease),
        RULE(r3_a_read_that_hangs_ends_the_connection),
        RULE(r3_a_ping_without_an_answer_ends_the_connection),
        RULE(idle_members_hardly_ping),
        RULE(r6_a_new_connection_needs_a_new_session),
        RULE(r6_a_close_suspends_until_the_next_session),
        RULE(r1_another_last_record_means_a_truncated_log),
        RULE(r1_a_log_that_is_shorter_is_truncated),
        RULE(r10_nothing_is_claimed_early_on_a_connection),
        RULE(r9_a_closed_owner_is_replaced_after_d_close),
        RULE(r9_an_owner_that_comes_back_keeps_it),
        RULE(r8_silence_is_closed_once_a_second),
        RULE(r8_silence_is_counted_on_one_connection),
        RULE(r8_a_hint_closes_at_once_but_not_after_a_connect),
        RULE(r12_no_start_before_an_append_is_acknowledged),
        RULE(r7_a_higher_generation_in_the_positions_wins),
        RULE(r7_is_asked_before_a_unit_goes_on),
        RULE(an_outranked_unit_stops_and_is_claimed_above),
        RULE(what_another_claimed_stops),
        RULE(r14_what_should_be_elsewhere_is_drained_then_released),
        RULE(what_stops_dirty_is_released_after_the_tail),
        RULE(a_unit_that_is_not_listed_any_more_is_drained),
        RULE(leaving_drains_closes_and_ends),
        RULE(r15_a_dead_process_is_replaced_after_d_close),
        RULE(r15_a_live_one_is_left_alone),
        RULE(r15_who_was_replaced_ends),
        RULE(a_sealed_log_goes_on_elsewhere_with_the_same_units),
        RULE(another_snapshot_than_ours_is_told),
        RULE(the_oldest_session_writes_snapshots_and_others_start_with_them),
        RULE(times_that_break_an_inequality_are_refused),
        RULE(foreign_bytes_change_nothing),
        RULE(a_hundred_thousand_units_run_in_one_worker),
        RULE(a_thousand_workers_share_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
