/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Assignments over random worlds: valid, even, few moves (against all outcomes of small worlds),
 * the same in any order of the input; a join moves the newcomer's share, a leave the leaver's.
 */
#include "unit.h"

#include "base/arena.h"
#include "cluster/assign.h"

#include <stdio.h>
#include <string.h>

#define MEMBERS 64
#define UNITS 3000

typedef struct world {
    uint64_t seed;
    rc_member members[MEMBERS];
    rc_unit units[UNITS];
    char names[MEMBERS][32];
    char connectors[UNITS][32];
    rc_assign_input in;
    rc_assigned out;
} world;

static uint64_t next_random(uint64_t *seed)
{
    uint64_t x = *seed += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static uint32_t below(world *w, uint32_t n)
{
    return (uint32_t)(next_random(&w->seed) % n);
}

/* Plain members, and units of connectors with `tasks` tasks each that nobody has. */
static void make(world *w, uint64_t seed, size_t members, size_t units, size_t tasks)
{
    memset(w, 0, sizeof *w);
    w->seed = seed;
    for (size_t i = 0; i < members; i++) {
        snprintf(w->names[i], sizeof w->names[i], "w%03zu", i);
        w->members[i] = (rc_member){.name = w->names[i], .weight = 1};
    }
    for (size_t i = 0; i < units; i++) {
        snprintf(w->connectors[i], sizeof w->connectors[i], "c%04zu", i / tasks);
        w->units[i] = (rc_unit){.connector = w->connectors[i],
                                .task = (int32_t)(i % tasks),
                                .owner = RC_ASSIGN_NOBODY,
                                .weight = 1};
    }
    w->in = (rc_assign_input){.members = w->members,
                              .member_count = members,
                              .units = w->units,
                              .unit_count = units};
}

static void assign(world *w)
{
    rc_error err = {0};

    rc_assigned_release(&w->out);
    if (rc_assign(&w->in, &w->out, &err) < 0)
        fail_msg("%s", err.msg);
}

/* What was computed becomes what is. */
static void settle(world *w)
{
    for (size_t i = 0; i < w->in.unit_count; i++)
        w->units[i].owner = w->out.owner[i];
}

static bool fits(const world *w, size_t unit, size_t member)
{
    return !(w->members[member].flags & (RC_MEMBER_ABSENT | RC_MEMBER_DRAINING)) &&
           rc_labels_match(w->members[member].labels, w->units[unit].requires);
}

/* Moves that cost: of units whose owner may keep them. */
static size_t moves_of(const world *w, const int32_t *owner)
{
    size_t moves = 0;

    for (size_t i = 0; i < w->in.unit_count; i++)
        if (w->units[i].owner >= 0 && fits(w, i, (size_t)w->units[i].owner))
            moves += owner[i] != w->units[i].owner;
    return moves;
}

static void check_valid(const world *w, const char *what)
{
    uint64_t load[MEMBERS] = {0};
    size_t count = 0;

    for (size_t i = 0; i < w->in.unit_count; i++) {
        int32_t owner = w->out.owner[i];
        bool possible = false;

        for (size_t j = 0; j < w->in.member_count; j++)
            possible |= fits(w, i, j);
        if (possible != (owner >= 0))
            fail_msg("%s: unit %zu has owner %d", what, i, owner);
        if (owner < 0)
            continue;
        if (!fits(w, i, (size_t)owner))
            fail_msg("%s: unit %zu does not fit on %d", what, i, owner);
        load[owner] += w->units[i].weight;
    }
    for (size_t i = 0; i < w->in.member_count; i++)
        if (load[i] != w->out.load[i])
            fail_msg("%s: member %zu has load %llu, not %llu", what, i, (unsigned long long)load[i],
                     (unsigned long long)w->out.load[i]);
    for (size_t i = 0; i < RC_WHY_COUNT; i++)
        count += w->out.count[i];
    assert_int_equal(count, w->in.unit_count);
    assert_false(w->out.cut);
}

/* What may be left: a tenth of the mean load, but no more than the heaviest unit. */
static uint64_t slack_of(const world *w)
{
    uint64_t load = 0;
    uint64_t weight = 0;
    uint64_t heaviest = 0;

    for (size_t i = 0; i < w->in.unit_count; i++)
        if (w->out.owner[i] >= 0) {
            load += w->units[i].weight;
            heaviest = RC_MAX(heaviest, w->units[i].weight);
        }
    for (size_t i = 0; i < w->in.member_count; i++)
        if (!w->members[i].flags)
            weight += w->members[i].weight;
    return weight ? RC_MIN(load / weight / 10, heaviest) : 0;
}

/* No unit that could move would make two members more even. */
static void check_even(const world *w, const char *what)
{
    int64_t slack = (int64_t)slack_of(w);

    for (size_t i = 0; i < w->in.unit_count; i++) {
        int32_t a = w->out.owner[i];
        int64_t weight = RC_MAX((int64_t)w->units[i].weight, slack);

        for (size_t b = 0; a >= 0 && b < w->in.member_count; b++)
            if (fits(w, i, b) && (2 * (int64_t)w->out.load[a] - weight) * w->members[b].weight >
                                     (2 * (int64_t)w->out.load[b] + weight) * w->members[a].weight)
                fail_msg("%s: unit %zu of weight %u on %d (load %llu) should go to %zu (%llu)",
                         what, i, (unsigned)w->units[i].weight, a,
                         (unsigned long long)w->out.load[a], b, (unsigned long long)w->out.load[b]);
    }
}

static uint64_t most(const world *w)
{
    uint64_t found = 0;

    for (size_t i = 0; i < w->in.member_count; i++)
        found = RC_MAX(found, w->out.load[i]);
    return found;
}

static uint64_t least(const world *w)
{
    uint64_t found = UINT64_MAX;

    for (size_t i = 0; i < w->in.member_count; i++)
        found = RC_MIN(found, w->out.load[i]);
    return found;
}

/* ---- small worlds against all outcomes --------------------------------------------------------
 */

static const char *const some_labels[] = {NULL, "zone=a", "zone=b", "disk=ssd", "disk=ssd,zone=a"};

static void random_small(world *w, uint64_t seed, bool labels, bool weights)
{
    uint64_t random = seed;
    size_t members = 1 + next_random(&random) % 4;
    size_t units = 1 + next_random(&random) % 7;

    make(w, seed, members, units, 1 + next_random(&random) % 3);
    for (size_t i = 0; i < members; i++) {
        w->members[i].flags = below(w, 6) == 0 ? 1 + below(w, 2) : 0;
        if (labels)
            w->members[i].labels = some_labels[below(w, RC_COUNT(some_labels))];
        if (weights)
            w->members[i].weight = 1 + below(w, 3);
    }
    for (size_t i = 0; i < units; i++) {
        w->units[i].owner = (int32_t)below(w, (uint32_t)members + 1) - 1;
        if (below(w, 2))
            w->units[i].owner = 0; /* much on one */
        if (labels && below(w, 2))
        w->units[i].requires = some_labels[below(w, RC_COUNT(some_labels))];
    }
}

/* Sum of load^2 / weight, times 36, which all weights of small worlds divide. */
static uint64_t cost_of(const world *w, const int32_t *owner)
{
    uint64_t load[MEMBERS] = {0};
    uint64_t cost = 0;

    for (size_t i = 0; i < w->in.unit_count; i++)
        if (owner[i] >= 0)
            load[owner[i]] += w->units[i].weight;
    for (size_t i = 0; i < w->in.member_count; i++)
        cost += load[i] * load[i] * 36 / w->members[i].weight;
    return cost;
}

/* Tries all outcomes: the least cost, and among those the fewest moves. */
static void best_of_all(const world *w, uint64_t *ret_cost, size_t *ret_moves)
{
    int32_t owner[8];
    size_t outcomes = 1;

    *ret_cost = UINT64_MAX;
    *ret_moves = SIZE_MAX;
    for (size_t i = 0; i < w->in.unit_count; i++)
        outcomes *= w->in.member_count;
    for (size_t n = 0; n < outcomes; n++) {
        size_t rest = n;
        bool good = true;
        uint64_t cost;
        size_t moves;

        for (size_t i = 0; i < w->in.unit_count; i++) {
            owner[i] = (int32_t)(rest % w->in.member_count);
            rest /= w->in.member_count;
            if (w->out.owner[i] < 0)
                owner[i] = RC_ASSIGN_NOBODY;
            else
                good &= fits(w, i, (size_t)owner[i]);
        }
        if (!good)
            continue;
        cost = cost_of(w, owner);
        moves = moves_of(w, owner);
        if (cost < *ret_cost || (cost == *ret_cost && moves < *ret_moves)) {
            *ret_cost = cost;
            *ret_moves = moves;
        }
    }
}

static void small_worlds_are_as_good_as_can_be(void **state)
{
    static world w;
    char what[64];
    (void)state;

    for (uint64_t seed = 0; seed < 6000; seed++) {
        uint64_t cost;
        size_t moves;

        random_small(&w, seed, seed & 1, seed & 2);
        assign(&w);
        snprintf(what, sizeof what, "seed %llu", (unsigned long long)seed);
        check_valid(&w, what);
        check_even(&w, what);
        best_of_all(&w, &cost, &moves);
        if (cost_of(&w, w.out.owner) != cost)
            fail_msg("%s: cost %llu, best is %llu", what,
                     (unsigned long long)cost_of(&w, w.out.owner), (unsigned long long)cost);
        if (moves_of(&w, w.out.owner) != moves)
            fail_msg("%s: %zu moves, best is %zu", what, moves_of(&w, w.out.owner), moves);
        rc_assigned_release(&w.out);
    }
}

/* ---- larger worlds ----------------------------------------------------------------------------
 */

/* Labels, weights, flags, owners: all that there is. */
static void random_large(world *w, uint64_t seed)
{
    uint64_t random = seed;
    size_t members = 1 + next_random(&random) % 40;
    size_t units = 1 + next_random(&random) % 900;

    make(w, seed, members, units, 1 + next_random(&random) % 20);
    for (size_t i = 0; i < members; i++) {
        w->members[i].flags = below(w, 10) == 0 ? 1 + below(w, 2) : 0;
        w->members[i].labels = some_labels[below(w, RC_COUNT(some_labels))];
        w->members[i].weight = 1 + below(w, 4);
    }
    for (size_t i = 0; i < units; i++) {
        w->units[i].owner = (int32_t)below(w, (uint32_t)members + 1) - 1;
        w->units[i].weight = seed % 2 ? 1 + below(w, 9) : 1;
        w->units[i].requires = below(w, 3) ? NULL : some_labels[below(w, RC_COUNT(some_labels))];
    }
}

static void large_worlds_are_even_and_stay_so(void **state)
{
    static world w;
    char what[64];
    (void)state;

    for (uint64_t seed = 1; seed <= 300; seed++) {
        random_large(&w, seed);
        assign(&w);
        snprintf(what, sizeof what, "seed %llu", (unsigned long long)seed);
        check_valid(&w, what);
        check_even(&w, what);
        settle(&w);
        assign(&w);
        if (moves_of(&w, w.out.owner) != 0)
            fail_msg("%s: %zu moves although nothing changed", what, moves_of(&w, w.out.owner));
        rc_assigned_release(&w.out);
    }
}

static void the_order_of_the_input_does_not_matter(void **state)
{
    static world w;
    static rc_unit units[UNITS];
    size_t to[UNITS];
    size_t member_to[MEMBERS];
    (void)state;

    for (uint64_t seed = 1; seed <= 60; seed++) {
        rc_member members[MEMBERS];
        rc_assign_input in = {.members = members, .units = units};
        rc_assigned out;
        rc_error err = {0};

        random_large(&w, seed);
        assign(&w);
        for (size_t i = 0; i < w.in.member_count; i++)
            member_to[i] = i;
        for (size_t i = w.in.member_count; i-- > 1;) {
            size_t other = below(&w, (uint32_t)i + 1);
            size_t moved = member_to[i];

            member_to[i] = member_to[other];
            member_to[other] = moved;
        }
        for (size_t i = 0; i < w.in.unit_count; i++)
            to[i] = i;
        for (size_t i = w.in.unit_count; i-- > 1;) {
            size_t other = below(&w, (uint32_t)i + 1);
            size_t moved = to[i];

            to[i] = to[other];
            to[other] = moved;
        }
        for (size_t i = 0; i < w.in.member_count; i++)
            members[member_to[i]] = w.members[i];
        for (size_t i = 0; i < w.in.unit_count; i++) {
            units[to[i]] = w.units[i];
            if (w.units[i].owner >= 0)
                units[to[i]].owner = (int32_t)member_to[w.units[i].owner];
        }
        in.member_count = w.in.member_count;
        in.unit_count = w.in.unit_count;
        assert_int_equal(rc_assign(&in, &out, &err), 0);
        for (size_t i = 0; i < w.in.unit_count; i++) {
            int32_t owner = w.out.owner[i] < 0 ? -1 : (int32_t)member_to[w.out.owner[i]];

            if (out.owner[to[i]] != owner || out.why[to[i]] != w.out.why[i])
                fail_msg("seed %llu: unit %zu is on %d, in another order on %d",
                         (unsigned long long)seed, i, owner, out.owner[to[i]]);
        }
        rc_assigned_release(&out);
        rc_assigned_release(&w.out);
    }
}

/* ---- joins and leaves -------------------------------------------------------------------------
 */

static void a_join_moves_the_newcomers_share(void **state)
{
    static world w;
    (void)state;

    for (uint64_t seed = 1; seed <= 60; seed++) {
        uint64_t random = seed;
        size_t members = 2 + next_random(&random) % 50;
        size_t units = 1 + next_random(&random) % UNITS;

        make(&w, seed, members, units, 1 + next_random(&random) % 30);
        w.in.member_count--;
        assign(&w);
        assert_true(most(&w) - least(&w) <= 1);
        settle(&w);
        w.in.member_count++;
        assign(&w);
        assert_true(most(&w) - least(&w) <= 1);
        assert_int_equal(moves_of(&w, w.out.owner), units / members);
        assert_int_equal(w.out.count[RC_WHY_BALANCE], units / members);
        assert_int_equal(w.out.load[members - 1], units / members);
        rc_assigned_release(&w.out);
    }
}

static void a_leave_moves_what_the_leaver_had(void **state)
{
    static world w;
    (void)state;

    for (uint64_t seed = 1; seed <= 60; seed++) {
        uint64_t random = seed;
        size_t members = 2 + next_random(&random) % 50;
        size_t units = 1 + next_random(&random) % UNITS;
        uint32_t flag = seed % 2 ? RC_MEMBER_ABSENT : RC_MEMBER_DRAINING;
        size_t leaver;
        uint64_t had;

        make(&w, seed, members, units, 1 + next_random(&random) % 30);
        assign(&w);
        settle(&w);
        leaver = below(&w, (uint32_t)members);
        had = w.out.load[leaver];
        w.members[leaver].flags = flag;
        assign(&w);
        check_valid(&w, "leave");
        check_even(&w, "leave");
        assert_int_equal(w.out.count[seed % 2 ? RC_WHY_LEFT : RC_WHY_DRAINED], had);
        assert_int_equal(w.out.count[RC_WHY_KEPT], units - had);
        rc_assigned_release(&w.out);
    }
}

/* Units of unequal weight: few heavy ones move, not many light ones. */
static void a_join_of_unequal_units_moves_few(void **state)
{
    static world w;
    (void)state;

    make(&w, 1, 21, 1000, 1);
    w.in.member_count = 20;
    for (size_t i = 0; i < 1000; i++)
        w.units[i].weight = 1 + (uint32_t)(i % 10);
    assign(&w);
    settle(&w);
    w.in.member_count = 21;
    assign(&w);
    /* 5,500 / 21 = 261, in units of 10 */
    assert_in_range(moves_of(&w, w.out.owner), 24, 28);
    assert_in_range(w.out.load[20], 240, 262);
    rc_assigned_release(&w.out);
}

static void loads_follow_the_weights_of_members(void **state)
{
    static world w;
    (void)state;

    make(&w, 1, 3, 600, 4);
    w.members[1].weight = 2;
    w.members[2].weight = 3;
    assign(&w);
    assert_int_equal(w.out.load[0], 100);
    assert_int_equal(w.out.load[1], 200);
    assert_int_equal(w.out.load[2], 300);
    rc_assigned_release(&w.out);
}

/* Most units that one member has of one connector. */
static size_t most_together(const world *w)
{
    size_t found = 0;

    for (size_t i = 0; i < w->in.unit_count; i++) {
        size_t together = 0;

        for (size_t j = 0; j < w->in.unit_count; j++)
            together += w->out.owner[i] == w->out.owner[j] &&
                        strcmp(w->units[i].connector, w->units[j].connector) == 0;
        found = RC_MAX(found, together);
    }
    return found;
}

static void tasks_of_a_connector_are_spread(void **state)
{
    static world w;
    (void)state;

    /* 50 connectors with 8 tasks on 10 members; one more; one leaves. */
    make(&w, 1, 11, 400, 8);
    w.in.member_count = 10;
    assign(&w);
    assert_int_equal(most_together(&w), 1);
    settle(&w);
    w.in.member_count = 11;
    assign(&w);
    assert_int_equal(most_together(&w), 1);
    settle(&w);
    w.members[3].flags = RC_MEMBER_ABSENT;
    assign(&w);
    assert_true(most_together(&w) <= 2);
    rc_assigned_release(&w.out);
}

/* c0 runs on w000 and w001, c1 on the others: what is new goes crosswise. */
static void new_tasks_keep_off_their_kin(void **state)
{
    static world w;
    (void)state;

    make(&w, 1, 4, 8, 4);
    for (int i = 0; i < 2; i++) {
        w.units[i].owner = i;
        w.units[4 + i].owner = 2 + i;
    }
    assign(&w);
    assert_int_equal(moves_of(&w, w.out.owner), 0);
    assert_int_equal(most_together(&w), 1);
    rc_assigned_release(&w.out);
}

/* What was put together is taken apart when the half of it has to move anyway. */
static void moves_take_what_is_together(void **state)
{
    static world w;
    (void)state;

    make(&w, 1, 2, 40, 2);
    for (size_t i = 0; i < 40; i++)
        w.units[i].owner = 0;
    assign(&w);
    assert_int_equal(moves_of(&w, w.out.owner), 20);
    assert_int_equal(most_together(&w), 1);
    rc_assigned_release(&w.out);
}

/* ---- labels, reasons, faults ------------------------------------------------------------------
 */

static void labels_decide(void **state)
{
    static world w;
    rc_arena arena;
    rc_explained why;
    (void)state;

    make(&w, 1, 3, 5, 1);
    w.members[0].labels = "disk=ssd,zone=a";
    w.members[1].labels = "zone=b";
    w.units[0].requires = "disk=ssd";
    w.units[1].requires = "zone=b";
    w.units[2].requires = "zone=c";
    w.units[1].owner = 0;
    w.units[2].owner = 2;
    rc_arena_init(&arena, 4096);
    assign(&w);
    assert_int_equal(w.out.owner[0], 0);
    assert_int_equal(w.out.owner[1], 1);
    assert_int_equal(w.out.owner[2], RC_ASSIGN_NOBODY);
    assert_int_equal(w.out.why[0], RC_WHY_PLACED);
    assert_int_equal(w.out.why[1], RC_WHY_LABELS);
    assert_int_equal(w.out.why[2], RC_WHY_UNFIT);
    assert_int_equal(w.out.load[2], 1);
    rc_assign_explain(&w.in, &w.out, 1, &arena.pub, &why);
    assert_string_equal(why.text,
                        "c0001/0 runs on w001: it moved because w000 does not have zone=b. 1 of 3 "
                        "workers may run it; w001 has a load of 1.");
    assert_string_equal(why.candidates[0].why_not, "labels");
    assert_true(why.candidates[1].fits);
    assert_int_equal(why.from, 0);
    rc_assign_explain(&w.in, &w.out, 2, &arena.pub, &why);
    assert_string_equal(why.text,
                        "c0002/0 runs nowhere: no worker that counts has zone=c; start one with "
                        "these worker.labels, or change the connector's.");
    assert_int_equal(why.fit_count, 0);
    rc_arena_release(&arena);
    rc_assigned_release(&w.out);
}

/* a is full of units that only a and b may run; b is full of units that c may run too. */
static void balance_goes_along_chains(void **state)
{
    static world w;
    (void)state;

    make(&w, 1, 3, 12, 1);
    w.members[0].labels = "left=y";
    w.members[1].labels = "left=y,right=y";
    w.members[2].labels = "right=y";
    for (size_t i = 0; i < 12; i++) {
        w.units[i].owner = i < 8 ? 0 : 1;
        w.units[i].requires = i < 8 ? "left=y" : "right=y";
    }
    assign(&w);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(w.out.load[i], 4);
    assert_int_equal(moves_of(&w, w.out.owner), 8);
    rc_assigned_release(&w.out);
}

static void a_summary_says_what_moves(void **state)
{
    static world w;
    rc_buf text = RC_BUF(1000);
    (void)state;

    make(&w, 1, 4, 2400, 2);
    w.in.member_count = 3;
    assign(&w);
    settle(&w);
    w.in.member_count = 4;
    w.members[0].flags = RC_MEMBER_ABSENT;
    w.units[2399].owner = RC_ASSIGN_NOBODY;
    w.units[0].requires = "no=where";
    assign(&w);
    rc_assign_summary(&w.out, &text);
    assert_string_equal(text.data, "800 of 2,400 units move: 1 that nobody had, 799 because their "
                                   "worker left; 1,599 stay; 1 have no worker");
    for (int why = 0; why < RC_WHY_COUNT; why++)
        assert_string_not_equal(rc_why_name((rc_why)why), "unknown");
    rc_buf_release(&text);
    rc_assigned_release(&w.out);
}

static void nobody_is_there(void **state)
{
    static world w;
    (void)state;

    make(&w, 1, 2, 3, 1);
    w.members[0].flags = RC_MEMBER_ABSENT;
    w.members[1].flags = RC_MEMBER_DRAINING;
    w.units[0].owner = 1;
    assign(&w);
    assert_int_equal(w.out.count[RC_WHY_EMPTY], 3);
    assert_true(rc_assigned_moved(&w.in, &w.out, 0));
    assert_false(rc_assigned_moved(&w.in, &w.out, 1));
    w.in.member_count = 0;
    w.in.unit_count = 0;
    assign(&w);
    assert_int_equal(w.out.unit_count, 0);
    rc_assigned_release(&w.out);
}

/* Member m has label k when bit m of k is set, and unit k wants it: 300 different sets. */
static void too_many_sets_are_told(void **state)
{
    static world w;
    static char labels[9][2048];
    static char wanted[300][16];
    (void)state;

    make(&w, 1, 9, 300, 1);
    for (unsigned m = 0; m < 9; m++) {
        size_t len = 0;

        for (unsigned k = 1; k <= 300; k++)
            if (k >> m & 1)
                len += (size_t)snprintf(labels[m] + len, sizeof labels[m] - len, "%sk%03u=1",
                                        len ? "," : "", k);
        w.members[m].labels = labels[m];
    }
    for (unsigned k = 1; k <= 300; k++) {
        snprintf(wanted[k - 1], sizeof wanted[k - 1], "k%03u=1", k);
        w.units[k - 1].requires = wanted[k - 1];
    }
    assign(&w);
    assert_int_equal(w.out.count[RC_WHY_PLACED], RC_ASSIGN_SETS_MAX);
    assert_int_equal(w.out.count[RC_WHY_TOO_MANY], 300 - RC_ASSIGN_SETS_MAX);
    assert_int_equal(w.out.why[299], RC_WHY_TOO_MANY);
    rc_assigned_release(&w.out);
}

static void faults_are_named(void **state)
{
    static world w;
    rc_error err = {0};
    (void)state;

#define REFUSED(change, code, text)                             \
    do {                                                        \
        make(&w, 1, 3, 3, 1);                                   \
        change;                                                 \
        assert_int_equal(rc_assign(&w.in, &w.out, &err), code); \
        assert_non_null(strstr(err.msg, text));                 \
    } while (0)
    REFUSED(w.members[1].name = "w000", -OMC_EINVAL, "worker 'w000' comes twice");
    REFUSED(w.members[1].name = "", -OMC_EINVAL, "worker 1");
    REFUSED(w.members[2].weight = 0, -OMC_EINVAL, "worker 'w002' has weight 0");
    REFUSED(w.members[2].weight = 1001, -OMC_EINVAL, "must be 1 to 1000");
    REFUSED(w.units[1].connector = "c0000", -OMC_EINVAL, "unit c0000/0 comes twice");
    REFUSED(w.units[1].weight = 0, -OMC_EINVAL, "unit c0001/0 has weight 0");
    REFUSED(w.units[1].task = -2, -OMC_EINVAL, "task -2");
    REFUSED(w.units[1].owner = 3, -OMC_EINVAL, "owner 3 of 3");
    REFUSED(w.in.member_count = RC_ASSIGN_MEMBERS_MAX + 1, -OMC_ENOMEM, "10001 workers");
    REFUSED(w.in.unit_count = RC_ASSIGN_UNITS_MAX + 1, -OMC_ENOMEM, "1000001 units");
#undef REFUSED
}

/* ---- queues -----------------------------------------------------------------------------------
 */

static size_t moved_queues(const rc_queue_unit *queues, size_t count, const rc_assigned *out)
{
    size_t moved = 0;

    for (size_t i = 0; i < count; i++)
        moved += queues[i].task >= 0 && queues[i].task != out->owner[i];
    return moved;
}

static void queues_are_dealt_out(void **state)
{
    rc_queue_unit queues[60];
    rc_assigned out;
    rc_error err = {0};
    (void)state;

    for (int i = 0; i < 60; i++)
        queues[i] = (rc_queue_unit){.topic = i < 40 ? "a" : "b", .queue = i % 40, .task = -1};
    /* One topic: in turn. */
    assert_int_equal(rc_assign_queues(queues, 16, 6, &out, &err), 0);
    for (int i = 0; i < 16; i++) {
        assert_int_equal(out.owner[i], i % 6);
        queues[i].task = out.owner[i];
    }
    rc_assigned_release(&out);
    /* More queues: those that were there stay. */
    assert_int_equal(rc_assign_queues(queues, 60, 6, &out, &err), 0);
    assert_int_equal(moved_queues(queues, 60, &out), 0);
    for (int i = 0; i < 6; i++)
        assert_int_equal(out.load[i], 10);
    for (int i = 0; i < 60; i++)
        queues[i].task = out.owner[i];
    rc_assigned_release(&out);
    /* More tasks: the least moves; fewer: only what the gone ones had. */
    assert_int_equal(rc_assign_queues(queues, 60, 10, &out, &err), 0);
    assert_int_equal(moved_queues(queues, 60, &out), 24);
    rc_assigned_release(&out);
    assert_int_equal(rc_assign_queues(queues, 60, 4, &out, &err), 0);
    assert_int_equal(moved_queues(queues, 60, &out), 20);
    assert_int_equal(out.count[RC_WHY_LEFT], 20);
    rc_assigned_release(&out);
    assert_int_equal(rc_assign_queues(queues, 60, 0, &out, &err), -OMC_EINVAL);
    queues[3].queue = -1;
    assert_int_equal(rc_assign_queues(queues, 60, 4, &out, &err), -OMC_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_worlds_are_as_good_as_can_be),
        cmocka_unit_test(large_worlds_are_even_and_stay_so),
        cmocka_unit_test(the_order_of_the_input_does_not_matter),
        cmocka_unit_test(a_join_moves_the_newcomers_share),
        cmocka_unit_test(a_leave_moves_what_the_leaver_had),
        cmocka_unit_test(a_join_of_unequal_units_moves_few),
        cmocka_unit_test(loads_follow_the_weights_of_members),
        cmocka_unit_test(tasks_of_a_connector_are_spread),
        cmocka_unit_test(new_tasks_keep_off_their_kin),
        cmocka_unit_test(moves_take_what_is_together),
        cmocka_unit_test(labels_decide),
        cmocka_unit_test(balance_goes_along_chains),
        cmocka_unit_test(a_summary_says_what_moves),
        cmocka_unit_test(nobody_is_there),
        cmocka_unit_test(too_many_sets_are_told),
        cmocka_unit_test(faults_are_named),
        cmocka_unit_test(queues_are_dealt_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
