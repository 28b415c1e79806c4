/* SPDX-License-Identifier: Apache-2.0 */
/** What prefixes of the ownership log mean: F1 to F4, beginnings and ends, snapshots. */
#include "unit.h"

#include "cluster/fold.h"

#include <stdio.h>

#define AT(offset) rc_fold_position(1, (offset))

static rc_fold *fold;

static rc_verdict genesis(void)
{
    rc_own_record r = {.kind = RC_OWN_GENESIS, .by = "w", .cluster = "c", .home = "b", .epoch = 1};

    return rc_fold_apply(fold, &r);
}

static int setup(void **state)
{
    (void)state;
    fold = rc_fold_new(1, NULL);
    assert_int_equal(genesis(), RC_VERDICT_VALID);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rc_fold_free(fold);
    return 0;
}

static rc_verdict hb(const char *worker, uint64_t incarnation, int64_t session)
{
    rc_own_record r = {.kind = RC_OWN_HB,
                       .worker = worker,
                       .incarnation = incarnation,
                       .session = session,
                       .about = {"", "", "", 1, 0}};

    return rc_fold_apply(fold, &r);
}

static rc_verdict end(const char *worker, int64_t session)
{
    rc_own_record r = {.kind = RC_OWN_CLOSE, .worker = worker, .session = session};

    return rc_fold_apply(fold, &r);
}

struct claim {
    const char *worker;
    uint64_t incarnation;
    int64_t session, prev, closed, floor;
};

static rc_verdict claim(struct claim c)
{
    rc_own_item item = {"t", 0, c.prev, c.closed, c.floor};
    rc_own_record r = {.kind = RC_OWN_CLAIM,
                       .worker = c.worker,
                       .incarnation = c.incarnation,
                       .session = c.session,
                       .items = &item,
                       .item_count = 1};

    return rc_fold_apply(fold, &r);
}

static rc_verdict let_go(const char *worker, uint64_t incarnation, int64_t generation)
{
    rc_own_item item = {"t", 0, generation, -1, -1};
    rc_own_record r = {.kind = RC_OWN_RELEASE,
                       .worker = worker,
                       .incarnation = incarnation,
                       .items = &item,
                       .item_count = 1};

    return rc_fold_apply(fold, &r);
}

static rc_verdict forget(const char *name, int32_t number, int64_t prev)
{
    rc_own_item item = {name, number, prev, -1, -1};
    rc_own_record r = {.kind = RC_OWN_FORGET, .by = "w", .items = &item, .item_count = 1};

    return rc_fold_apply(fold, &r);
}

static const rc_fold_unit *the_unit(void)
{
    return rc_fold_find_unit(fold, "t", 0);
}

static const char *owner(void)
{
    return the_unit() && the_unit()->owner ? the_unit()->owner->name : "";
}

static void f1_sessions_only_rise(void **state)
{
    (void)state;
    assert_int_equal(hb("a", 1, 1), RC_VERDICT_VALID);
    assert_int_equal(hb("a", 1, 1), RC_VERDICT_VALID); /* A sign of life. */
    assert_int_equal(hb("a", 2, 1), RC_VERDICT_VOID);  /* A second process with the name. */
    assert_int_equal(end("a", 1), RC_VERDICT_VALID);
    assert_int_equal(hb("a", 1, 1), RC_VERDICT_VOID); /* A closed one never comes back. */
    assert_int_equal(rc_fold_find_worker(fold, "a")->closed, AT(4));
    assert_int_equal(hb("a", 1, 2), RC_VERDICT_VALID);
    assert_int_equal(rc_fold_find_worker(fold, "a")->closed, -1);
    assert_int_equal(hb("a", 1, 1), RC_VERDICT_VOID);
}

static void f1_another_incarnation_owns_nothing_of_the_former(void **state)
{
    (void)state;
    (void)hb("a", 1, 1);
    assert_int_equal(claim((struct claim){"a", 1, 1, -1, -1, 0}), RC_VERDICT_VALID);
    (void)hb("a", 1, 2);
    assert_string_equal(owner(), "a");
    (void)hb("a", 2, 3);
    assert_string_equal(owner(), "");
    assert_int_equal(the_unit()->generation, AT(2));
    assert_string_equal(the_unit()->from, "a");
}

static void f2_a_close_names_the_open_session(void **state)
{
    (void)state;
    assert_int_equal(end("a", 1), RC_VERDICT_VOID);
    (void)hb("a", 1, 1);
    (void)hb("a", 1, 2);
    assert_int_equal(end("a", 1), RC_VERDICT_VOID);
    assert_int_equal(end("a", 2), RC_VERDICT_VALID);
    assert_int_equal(end("a", 2), RC_VERDICT_VOID);
}

static void f3_claims(void **state)
{
    int64_t first;

    (void)state;
    assert_int_equal(claim((struct claim){"a", 1, 1, -1, -1, 0}), RC_VERDICT_VOID); /* no session */
    (void)hb("a", 1, 1);
    (void)hb("b", 2, 1);
    assert_int_equal(claim((struct claim){"a", 1, 2, -1, -1, 0}), RC_VERDICT_VOID);
    assert_int_equal(claim((struct claim){"a", 9, 1, -1, -1, 0}), RC_VERDICT_VOID);
    assert_int_equal(claim((struct claim){"a", 1, 1, 3, -1, 0}), RC_VERDICT_VOID); /* prev */
    assert_int_equal(claim((struct claim){"a", 1, 1, -1, 7, 0}), RC_VERDICT_VOID); /* it is free */
    assert_int_equal(claim((struct claim){"a", 1, 1, -1, -1, 0}), RC_VERDICT_VALID);
    first = the_unit()->generation;
    assert_int_equal(first, AT(8));
    assert_int_equal(claim((struct claim){"b", 2, 1, first, -1, 0}), RC_VERDICT_VOID);
    assert_int_equal(end("a", 1), RC_VERDICT_VALID); /* 10 */
    assert_int_equal(claim((struct claim){"b", 2, 1, first, AT(9), 0}), RC_VERDICT_VOID);
    assert_int_equal(claim((struct claim){"b", 2, 1, first - 1, AT(10), 0}), RC_VERDICT_VOID);
    assert_int_equal(claim((struct claim){"b", 2, 1, first, AT(10), 0}), RC_VERDICT_VALID);
    assert_string_equal(owner(), "b");
    assert_int_equal(the_unit()->generation, AT(13));
}

static void f3_a_session_that_was_opened_again_keeps_its_units(void **state)
{
    (void)state;
    (void)hb("a", 1, 1);
    (void)hb("b", 2, 1);
    (void)claim((struct claim){"a", 1, 1, -1, -1, 0});
    (void)end("a", 1); /* 4 */
    (void)hb("a", 1, 2);
    assert_int_equal(claim((struct claim){"b", 2, 1, AT(3), AT(4), 0}), RC_VERDICT_VOID);
    (void)end("a", 2); /* 7 */
    assert_int_equal(claim((struct claim){"b", 2, 1, AT(3), AT(4), 0}), RC_VERDICT_VOID);
    assert_int_equal(claim((struct claim){"b", 2, 1, AT(3), AT(7), 0}), RC_VERDICT_VALID);
}

static void f3_the_floor_lifts_generations(void **state)
{
    (void)state;
    (void)hb("a", 1, 1);
    assert_int_equal(claim((struct claim){"a", 1, 1, -1, -1, AT(500)}), RC_VERDICT_VALID);
    assert_int_equal(the_unit()->generation, AT(500));
}

static void f4_only_the_owner_releases(void **state)
{
    (void)state;
    (void)hb("a", 1, 1);
    (void)claim((struct claim){"a", 1, 1, -1, -1, 0});
    assert_int_equal(let_go("b", 2, AT(2)), RC_VERDICT_VOID);
    assert_int_equal(let_go("a", 9, AT(2)), RC_VERDICT_VOID);
    assert_int_equal(let_go("a", 1, AT(1)), RC_VERDICT_VOID);
    assert_int_equal(let_go("a", 1, AT(2)), RC_VERDICT_VALID);
    assert_string_equal(owner(), "");
    assert_int_equal(the_unit()->generation, AT(2));
    assert_int_equal(let_go("a", 1, AT(2)), RC_VERDICT_VOID);
}

static void the_first_genesis_counts(void **state)
{
    rc_own_record r = {.kind = RC_OWN_GENESIS, .by = "w", .cluster = "x", .home = "b", .epoch = 1};

    (void)state;
    assert_int_equal(rc_fold_apply(fold, &r), RC_VERDICT_VOID);
    assert_string_equal(rc_fold_cluster(fold), "c");
    rc_fold_free(fold);
    fold = rc_fold_new(1, NULL);
    assert_int_equal(hb("a", 1, 1), RC_VERDICT_VOID);
    assert_int_equal(rc_fold_apply(fold, NULL), RC_VERDICT_VOID);
    assert_false(rc_fold_begun(fold));
    assert_int_equal(rc_fold_next(fold), AT(2));
    assert_int_equal(genesis(), RC_VERDICT_VALID);
}

static void what_is_nobodys_is_forgotten(void **state)
{
    (void)state;
    (void)hb("a", 1, 1);
    (void)claim((struct claim){"a", 1, 1, -1, -1, 0});
    assert_int_equal(forget("t", 0, AT(2)), RC_VERDICT_VOID); /* It is somebody's. */
    assert_int_equal(forget("a", RC_OWN_NAME, 1), RC_VERDICT_VOID);
    (void)end("a", 1);
    assert_int_equal(forget("a", RC_OWN_NAME, 1), RC_VERDICT_VOID); /* It owns something. */
    assert_int_equal(forget("t", 0, AT(1)), RC_VERDICT_VOID);
    assert_int_equal(forget("t", 0, AT(2)), RC_VERDICT_VALID);
    assert_int_equal(forget("a", RC_OWN_NAME, 1), RC_VERDICT_VALID);
    assert_int_equal(rc_fold_worker_count(fold) + rc_fold_unit_count(fold), 0);
    assert_true(rc_fold_hash(fold) == 0);
}

/* ---- snapshots ------------------------------------------------------------------------------- */

struct taken {
    rc_fold_parts *parts;
    rc_fold *made;
    rc_error err;
    size_t bytes, chunks;
    int skip, damage;
};

static void take(void *arg, const rc_own_record *record)
{
    struct taken *t = arg;
    rc_own_record read;
    rc_arena arena;
    rc_buf body = RC_BUF(RC_OWN_BODY_MAX);

    rc_arena_init(&arena, 65536);
    rc_own_write(record, &body);
    assert_false(body.overflow);
    t->bytes += body.len;
    t->chunks++;
    assert_int_equal(rc_own_read(rc_buf_slice(&body), &arena.pub, &read, NULL), 0);
    if (read.part == t->damage)
        read.units[0].generation++;
    if (read.part != t->skip) {
        rc_fold *made = rc_fold_parts_add(t->parts, &read, &t->err);

        t->made = made ? made : t->made;
    }
    rc_buf_release(&body);
    rc_arena_release(&arena);
}

static struct taken snapshot(int skip, int damage)
{
    struct taken t = {.parts = rc_fold_parts_new(), .skip = skip, .damage = damage};

    rc_fold_write(fold, 77, "a", take, &t);
    rc_fold_parts_free(t.parts);
    return t;
}

/** `count` units: half of them owned. */
static void fill(int count)
{
    char name[40];
    rc_own_item item = {name, 0, -1, -1, 0};
    rc_own_record r = {.kind = RC_OWN_CLAIM,
                       .worker = "a",
                       .incarnation = 1,
                       .session = 1,
                       .items = &item,
                       .item_count = 1};

    (void)hb("a", 1, 1);
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "connector-%d", i);
        item.number = i % 7;
        assert_int_equal(rc_fold_apply(fold, &r), RC_VERDICT_VALID);
    }
}

static void a_snapshot_is_the_same_fold(void **state)
{
    struct taken t;
    rc_fold *old = fold;

    (void)state;
    fill(10000);
    (void)hb("b", 2, 1);
    (void)end("b", 1);
    t = snapshot(-1, -1);
    assert_non_null(t.made);
    assert_in_range(t.chunks, 3, 8);
    assert_true(rc_fold_hash(t.made) == rc_fold_hash(fold));
    assert_int_equal(rc_fold_next(t.made), rc_fold_next(fold));
    assert_int_equal(rc_fold_find_worker(t.made, "a")->owned, 10000);
    fold = t.made; /* Later records mean the same to both. */
    (void)hb("a", 3, 2);
    fold = old;
    (void)hb("a", 3, 2);
    assert_true(rc_fold_hash(t.made) == rc_fold_hash(fold));
    rc_fold_free(t.made);
}

static void damaged_snapshots_are_no_folds(void **state)
{
    struct taken t;

    (void)state;
    fill(9000);
    t = snapshot(-1, 1);
    assert_null(t.made);
    assert_int_equal(t.err.code, OMC_EFORMAT);
    t = snapshot(1, -1);
    assert_null(t.made);
    t = snapshot(0, -1);
    assert_null(t.made);
}

static void hashes_of_the_past_are_known(void **state)
{
    uint64_t hash, then = rc_fold_hash(fold);

    (void)state;
    (void)hb("a", 1, 1);
    assert_true(rc_fold_hash_at(fold, AT(1), &hash) && hash == then);
    assert_true(rc_fold_hash_at(fold, AT(2), &hash) && hash == rc_fold_hash(fold) && hash != then);
    assert_false(rc_fold_hash_at(fold, AT(3), &hash));
    for (int i = 0; i < RC_FOLD_HISTORY + 2; i++)
        (void)rc_fold_apply(fold, NULL);
    assert_false(rc_fold_hash_at(fold, AT(1), &hash));
}

/* ---- moves ----------------------------------------------------------------------------------- */

static void a_seal_ends_and_the_next_log_goes_on(void **state)
{
    rc_own_record seal = {.kind = RC_OWN_SEAL, .by = "a", .home = "b2", .epoch = 2, .why = ""};
    rc_own_record first = {.kind = RC_OWN_GENESIS,
                           .by = "a",
                           .cluster = "c",
                           .home = "b2",
                           .epoch = 2,
                           .imports = true};
    int64_t epoch;
    const char *home;

    (void)state;
    (void)hb("a", 1, 1);
    (void)claim((struct claim){"a", 1, 1, -1, -1, 0});
    assert_false(rc_fold_sealed(fold, &epoch, &home));
    assert_int_equal(rc_fold_apply(fold, &seal), RC_VERDICT_VALID);
    assert_int_equal(hb("a", 1, 2), RC_VERDICT_VOID);
    assert_true(rc_fold_sealed(fold, &epoch, &home));
    assert_int_equal(epoch, 2);
    assert_string_equal(home, "b2");
    first.hash = rc_fold_hash(fold);
    rc_fold_move(fold);
    assert_int_equal(rc_fold_next(fold), rc_fold_position(2, 0));
    assert_int_equal(hb("a", 1, 2), RC_VERDICT_VOID); /* Before the genesis. */
    assert_int_equal(rc_fold_apply(fold, &first), RC_VERDICT_VALID);
    assert_string_equal(owner(), "a");
    assert_int_equal(let_go("a", 1, AT(2)), RC_VERDICT_VALID);
    assert_int_equal(claim((struct claim){"a", 1, 1, AT(2), -1, 0}), RC_VERDICT_VALID);
    assert_int_equal(the_unit()->generation, rc_fold_position(2, 3)); /* Above all of epoch 1. */
}

static void a_genesis_that_imports_another_state_is_noticed(void **state)
{
    rc_own_record seal = {.kind = RC_OWN_SEAL, .by = "a", .home = "b2", .epoch = 2, .why = ""};
    rc_own_record first = {.kind = RC_OWN_GENESIS,
                           .by = "a",
                           .cluster = "c",
                           .home = "b2",
                           .epoch = 2,
                           .imports = true,
                           .hash = 12345};

    (void)state;
    (void)hb("a", 1, 1);
    (void)rc_fold_apply(fold, &seal);
    rc_fold_move(fold);
    assert_false(rc_fold_foreign(fold));
    assert_int_equal(rc_fold_apply(fold, &first), RC_VERDICT_VOID);
    assert_true(rc_fold_foreign(fold));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(f1_sessions_only_rise, setup, teardown),
        cmocka_unit_test_setup_teardown(f1_another_incarnation_owns_nothing_of_the_former, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(f2_a_close_names_the_open_session, setup, teardown),
        cmocka_unit_test_setup_teardown(f3_claims, setup, teardown),
        cmocka_unit_test_setup_teardown(f3_a_session_that_was_opened_again_keeps_its_units, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(f3_the_floor_lifts_generations, setup, teardown),
        cmocka_unit_test_setup_teardown(f4_only_the_owner_releases, setup, teardown),
        cmocka_unit_test_setup_teardown(the_first_genesis_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_nobodys_is_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(a_snapshot_is_the_same_fold, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_snapshots_are_no_folds, setup, teardown),
        cmocka_unit_test_setup_teardown(hashes_of_the_past_are_known, setup, teardown),
        cmocka_unit_test_setup_teardown(a_seal_ends_and_the_next_log_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(a_genesis_that_imports_another_state_is_noticed, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
