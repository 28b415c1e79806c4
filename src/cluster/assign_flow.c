/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Balancing as a flow of least cost, over counts. A column with `load` and `weight` pays
 * load^2 / weight, so that even loads are the cheapest; a unit away from its home pays one move,
 * and that counts only between outcomes that are as even. From the column that saves most by giving
 * a unit away, the way with the fewest moves to the column that suffers least is searched, along
 * chains too: a unit to a member that gives one of another class to a third. A column from
 * which no way helps never helps later either, nor does any that it reaches: their load stays the
 * highest of what is reachable. So the search ends after few rounds.
 *
 * A way's gain depends on its two ends only, since loads between them stay. Gains are compared as
 * fractions by multiplication: (2 load - w) / weight against (2 load' + w) / weight'. With loads
 * up to 10^9 and weights up to 10^3 that stays far below 2^63.
 *
 * When units weigh differently, w is not the weight of the unit but the difference that is left as
 * it is: else one heavy unit that moves would be followed by many light ones that even out the
 * rest.
 */
#include "cluster/assign_impl.h"

#include <limits.h>
#include <string.h>

#define FAR (INT32_MAX / 2)
#define NO_CLASS UINT32_MAX

/* ---- placing --------------------------------------------------------------------------------- */

/* Whether one more unit of weight w costs less in `a` than in `b`. */
static bool cheaper(const rc_assign_work *work, int32_t a, int32_t b, uint32_t w)
{
    uint64_t left = (2 * work->load[a] + w) * work->weight[b];
    uint64_t right = (2 * work->load[b] + w) * work->weight[a];

    return left != right ? left < right : a < b;
}

static void sift_down(const rc_assign_work *work, int32_t *heap, size_t count, size_t at,
                      uint32_t w)
{
    int32_t moved = heap[at];

    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && cheaper(work, heap[child + 1], heap[child], w))
            child++;
        if (!cheaper(work, heap[child], moved, w))
            break;
        heap[at] = heap[child];
    }
    heap[at] = moved;
}

static void place_class(rc_assign_work *work, rc_assign_class *class, int32_t *heap)
{
    const rc_assign_set *set = class->set;
    size_t left = class->count;

    for (size_t i = 0; i < set->count; i++)
        left -= (size_t) class->now[set->columns[i]];
    if (left == 0)
        return;
    memcpy(heap, set->columns, set->count * sizeof *heap);
    for (size_t i = set->count / 2; i-- > 0;)
        sift_down(work, heap, set->count, i, class->weight);
    for (; left; left--) {
        class->now[heap[0]]++;
        work->load[heap[0]] += class->weight;
        sift_down(work, heap, set->count, 0, class->weight);
    }
}

void rc_assign_place(rc_assign_work *work, rc_assign_class *classes, size_t count)
{
    int32_t *heap = omc_alloc(work->scratch, work->columns * sizeof *heap);

    for (size_t i = 0; i < count; i++)
        place_class(work, &classes[i], heap);
}

/* ---- balancing ------------------------------------------------------------------------------- */

typedef struct search {
    rc_assign_work *work;
    rc_assign_class *classes; /* All of one weight. */
    size_t count;
    uint32_t weight;
    int64_t slack;         /* Loads that differ by no more are even enough; at least the weight. */
    int32_t *held;         /* [columns] units of these classes */
    bool *stuck;           /* [columns] no way from here helps */
    int32_t *moves;        /* [columns] fewest from the start; FAR = no way */
    uint32_t *by;          /* [columns] the class by which; NO_CLASS = the way starts here */
    int32_t *class_moves;  /* [count] */
    int32_t *class_source; /* [count] the column that gives a unit of it */
} search;

/* Giving away a unit that is at home is one move; one that came from elsewhere moves anyway. */
static int32_t moves_out(const rc_assign_class *class, int32_t column)
{
    return class->now[column] <= class->home[column] ? 1 : 0;
}

/* Taking a unit spares a move where one is away from here. */
static int32_t moves_in(const rc_assign_class *class, int32_t column)
{
    return class->now[column] < class->home[column] ? -1 : 0;
}

static bool relax(search *s)
{
    bool changed = false;

    for (size_t i = 0; i < s->count; i++) {
        const rc_assign_class *class = &s->classes[i];
        const rc_assign_set *set = class->set;
        bool found = false;

        for (size_t j = 0; j < set->count; j++) {
            int32_t column = set->columns[j];

            if (s->moves[column] == FAR || class->now[column] == 0 ||
                s->moves[column] + moves_out(class, column) >= s->class_moves[i])
                continue;
            s->class_moves[i] = s->moves[column] + moves_out(class, column);
            s->class_source[i] = column;
            found = true;
        }
        s->work->steps_left -= RC_MIN(s->work->steps_left, set->count);
        if (!found)
            continue;
        s->work->steps_left -= RC_MIN(s->work->steps_left, set->count);
        for (size_t j = 0; j < set->count; j++) {
            int32_t column = set->columns[j];
            int32_t moves = s->class_moves[i] + moves_in(class, column);

            if (moves >= s->moves[column])
                continue;
            s->moves[column] = moves;
            s->by[column] = (uint32_t)i;
            changed = true;
        }
    }
    return changed;
}

static void forget_ways(search *s)
{
    for (size_t i = 0; i < s->work->columns; i++)
        s->moves[i] = FAR;
    for (size_t i = 0; i < s->count; i++)
        s->class_moves[i] = FAR;
}

static void start_from(search *s, int32_t column)
{
    s->moves[column] = 0;
    s->by[column] = NO_CLASS;
}

/* Fewest moves from where ways start to every column that they reach. */
static void find_ways(search *s)
{
    size_t rounds = 0;

    /* No circle of ways ever spares a move, or an earlier step would have taken it. */
    while (relax(s))
        RC_ASSERT(++rounds <= s->work->columns + s->count);
}

/* What a column saves by giving a unit, and pays for taking one; to be divided by its weight. */
static int64_t saves(const search *s, int32_t column)
{
    return 2 * (int64_t)s->work->load[column] - s->slack;
}

static int64_t pays(const search *s, int32_t column)
{
    return 2 * (int64_t)s->work->load[column] + s->slack;
}

/* Compares x / weight of `a` with y / weight of `b`. */
static int compare(const search *s, int64_t x, int32_t a, int64_t y, int32_t b)
{
    int64_t left = x * (int64_t)s->work->weight[b];
    int64_t right = y * (int64_t)s->work->weight[a];

    return (left > right) - (left < right);
}

/* The column that saves most by giving one unit away, or -1. */
static int32_t find_start(const search *s)
{
    int32_t best = -1;

    for (int32_t i = 0; i < (int32_t)s->work->columns; i++)
        if (!s->stuck[i] && s->held[i] &&
            (best < 0 || compare(s, saves(s, i), i, saves(s, best), best) > 0))
            best = i;
    return best;
}

/* The column to give to: the cheapest that is reached, then the one with the fewest moves. */
static int32_t find_end(const search *s, int32_t start)
{
    int32_t best = -1;

    for (int32_t i = 0; i < (int32_t)s->work->columns; i++) {
        int order = 0;

        if (i == start || s->moves[i] == FAR)
            continue;
        if (best >= 0)
            order = compare(s, pays(s, i), i, pays(s, best), best);
        if (best < 0 || order < 0 || (order == 0 && s->moves[i] < s->moves[best]))
            best = i;
    }
    return best;
}

/* How many units the way bears before the moves of a step change, at most `want`. */
static int32_t way_bears(const search *s, int32_t end, int32_t want)
{
    for (int32_t at = end; s->by[at] != NO_CLASS;) {
        const rc_assign_class *class = &s->classes[s->by[at]];
        int32_t source = s->class_source[s->by[at]];
        int32_t over = class->now[source] - class->home[source];

        if (class->now[at] < class->home[at])
            want = RC_MIN(want, class->home[at] - class->now[at]);
        want = RC_MIN(want, over > 0 ? over : class->now[source]);
        at = source;
    }
    return want;
}

/* So many that neither end crosses the share of what is reached, so that none has to come back. */
static int32_t units_to_share(const search *s, int32_t start, int32_t end)
{
    const rc_assign_work *work = s->work;
    uint64_t load = 0;
    uint64_t weight = 0;
    uint64_t give;
    uint64_t take;

    for (size_t i = 0; i < work->columns; i++)
        if (s->moves[i] != FAR) {
            load += work->load[i];
            weight += work->weight[i];
        }
    RC_ASSERT(weight > 0);
    give = load * work->weight[start] / weight;
    take = load * work->weight[end] / weight;
    if (work->load[start] <= give || work->load[end] >= take)
        return 1;
    give = (work->load[start] - give) / s->weight;
    take = (take - work->load[end]) / s->weight;
    return RC_MAX((int32_t)RC_MIN(give, take), 1);
}

static void take_way(search *s, int32_t end, int32_t units)
{
    uint64_t load = (uint64_t)units * s->weight;
    int32_t at = end;

    while (s->by[at] != NO_CLASS) {
        rc_assign_class *class = &s->classes[s->by[at]];
        int32_t source = s->class_source[s->by[at]];

        class->now[at] += units;
        class->now[source] -= units;
        at = source;
    }
    s->held[at] -= units;
    s->held[end] += units;
    s->work->load[at] -= load;
    s->work->load[end] += load;
}

/* Whether units that could have stayed at home are elsewhere. */
static bool moves_any(const search *s)
{
    for (size_t i = 0; i < s->count; i++)
        for (size_t j = 0; j < s->classes[i].set->count; j++)
            if (moves_in(&s->classes[i], s->classes[i].set->columns[j]) < 0)
                return true;
    return false;
}

/*
 * Columns that gave and columns that took may be changed about: another outcome as even with fewer
 * moves. Such a way leads from a column to one that is better off by just one unit.
 */
static bool spare_moves(search *s)
{
    rc_assign_work *work = s->work;
    int32_t count = (int32_t)work->columns;

    memset(s->stuck, 0, work->columns * sizeof *s->stuck);
    for (int32_t first = 0; first < count && work->steps_left; first++) {
        int32_t best = -1;

        if (s->stuck[first] || s->held[first] == 0)
            continue;
        forget_ways(s);
        for (int32_t i = first; i < count; i++)
            if (s->held[i] && compare(s, saves(s, i), i, saves(s, first), first) == 0) {
                s->stuck[i] = true;
                start_from(s, i);
            }
        find_ways(s);
        for (int32_t i = 0; i < count; i++)
            if (s->moves[i] < 0 && compare(s, saves(s, first), first, pays(s, i), i) == 0 &&
                (best < 0 || s->moves[i] < s->moves[best]))
                best = i;
        if (best < 0)
            continue;
        take_way(s, best, 1);
        return true;
    }
    return false;
}

static void count_held(search *s)
{
    for (size_t i = 0; i < s->count; i++)
        for (size_t j = 0; j < s->classes[i].set->count; j++) {
            int32_t column = s->classes[i].set->columns[j];

            s->held[column] += s->classes[i].now[column];
        }
}

bool rc_assign_balance(rc_assign_work *work, rc_assign_class *classes, size_t count)
{
    omc_arena *arena = work->scratch;
    search s = {.work = work,
                .classes = classes,
                .count = count,
                .weight = classes[0].weight,
                .slack = RC_MAX(classes[0].weight, work->slack)};
    bool changed = false;
    int32_t start;

    s.held = omc_alloc0(arena, work->columns * sizeof *s.held);
    s.stuck = omc_alloc0(arena, work->columns * sizeof *s.stuck);
    s.moves = omc_alloc(arena, work->columns * sizeof *s.moves);
    s.by = omc_alloc(arena, work->columns * sizeof *s.by);
    s.class_moves = omc_alloc(arena, count * sizeof *s.class_moves);
    s.class_source = omc_alloc(arena, count * sizeof *s.class_source);
    count_held(&s);
    while (work->steps_left && (start = find_start(&s)) >= 0) {
        int32_t end;

        forget_ways(&s);
        start_from(&s, start);
        find_ways(&s);
        end = find_end(&s, start);
        if (end >= 0 && compare(&s, saves(&s, start), start, pays(&s, end), end) > 0) {
            take_way(&s, end, way_bears(&s, end, units_to_share(&s, start, end)));
            changed = true;
            continue;
        }
        for (size_t i = 0; i < work->columns; i++)
            s.stuck[i] |= s.moves[i] != FAR;
    }
    if (moves_any(&s))
        while (spare_moves(&s))
            changed = true;
    return changed;
}
