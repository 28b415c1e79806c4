/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From counts of a class to its single units. A column keeps as many of those at home as its count
 * allows. Which ones leave, and who gets which, costs no further move, so here the units of a
 * connector are spread: first leave those of which a column has several of one connector, and those
 * of connectors that give few others away; they go where the connector has the fewest. Looks ahead
 * are bounded, so that all is done in linear time.
 */
#include "cluster/assign_impl.h"

#include <string.h>

#define LOOK 64 /* Candidates that are compared for one choice. */

typedef struct deal {
    rc_assign_work *work;
    const rc_assign_class *class;
    int32_t *count;      /* [columns] of one connector's units, where `group_of` says so */
    uint32_t *group_of;  /* [columns] 1 + the connector that `count` is of */
    uint32_t *rank;      /* [class->count] how many of the connector a column has before this */
    uint32_t *ranked;    /* [class->count] places of units at home, by rank descending */
    size_t ranked_count; /* Of those. */
    uint32_t rank_max;
    uint32_t *given; /* [groups] units of it that leave */
} deal;

static rc_assign_unit *unit_of(const deal *d, size_t i)
{
    return &d->work->units[d->class->units[i]];
}

/* Counts one more unit of `group` in `column`; returns how many there were. */
static int32_t add_one(deal *d, uint32_t group, int32_t column)
{
    if (d->group_of[column] != group + 1) {
        d->group_of[column] = group + 1;
        d->count[column] = 0;
    }
    return d->count[column]++;
}

static bool gives(const deal *d, int32_t column)
{
    return d->class->now[column] < d->class->home[column];
}

/* Units at home in columns that give, those first of which there are most. */
static void rank_units(deal *d)
{
    uint32_t *first;

    for (size_t i = 0; i < d->class->count; i++) {
        const rc_assign_unit *unit = unit_of(d, i);

        if (unit->home < 0)
            continue;
        d->rank[i] = (uint32_t)add_one(d, unit->group, unit->home);
        if (!gives(d, unit->home))
            continue;
        d->rank_max = RC_MAX(d->rank_max, d->rank[i]);
        d->ranked_count++;
    }
    first = omc_alloc0(d->work->scratch, (d->rank_max + 2) * sizeof *first);
    for (size_t i = 0; i < d->class->count; i++)
        if (unit_of(d, i)->home >= 0 && gives(d, unit_of(d, i)->home))
            first[d->rank_max - d->rank[i] + 1]++;
    for (size_t i = 1; i <= d->rank_max + 1; i++)
        first[i] += first[i - 1];
    for (size_t i = 0; i < d->class->count; i++)
        if (unit_of(d, i)->home >= 0 && gives(d, unit_of(d, i)->home))
            d->ranked[first[d->rank_max - d->rank[i]]++] = (uint32_t)i;
}

/* Takes `leave` units out of a column; `places` are its units at home, by rank descending. */
static void choose_leavers(deal *d, uint32_t *places, size_t count, size_t leave)
{
    while (leave--) {
        size_t best = 0;

        for (size_t i = 1; i < RC_MIN(count, (size_t)LOOK); i++) {
            if (d->rank[places[i]] != d->rank[places[0]])
                break;
            if (d->given[unit_of(d, places[i])->group] < d->given[unit_of(d, places[best])->group])
                best = i;
        }
        unit_of(d, places[best])->at = -1;
        d->given[unit_of(d, places[best])->group]++;
        /* The others keep their order. */
        memmove(places + 1, places, best * sizeof *places);
        places++;
        count--;
    }
}

static void give_away(deal *d)
{
    const rc_assign_class *class = d->class;
    const rc_assign_set *set = class->set;
    size_t columns = d->work->columns;
    uint32_t *first = omc_alloc0(d->work->scratch, (columns + 1) * sizeof *first);
    uint32_t *places = omc_alloc(d->work->scratch, d->ranked_count * sizeof *places);
    size_t begin = 0;

    for (size_t i = 0; i < d->ranked_count; i++)
        first[unit_of(d, d->ranked[i])->home + 1]++;
    for (size_t i = 1; i <= columns; i++)
        first[i] += first[i - 1];
    for (size_t i = 0; i < d->ranked_count; i++)
        places[first[unit_of(d, d->ranked[i])->home]++] = d->ranked[i];
    for (size_t i = 0; i < set->count; i++) {
        int32_t column = set->columns[i];
        size_t end = first[column];

        if (gives(d, column))
            choose_leavers(d, places + begin, end - begin,
                           (size_t)(class->home[column] - class->now[column]));
        begin = end;
    }
}

/* Columns that still get units, in a ring. */
typedef struct takers {
    int32_t *want;  /* [columns] units still to come */
    int32_t *next;  /* [columns] */
    int32_t before; /* The column before the one that is next; -1 = nobody takes any more. */
} takers;

static void find_takers(const deal *d, takers *t)
{
    const rc_assign_class *class = d->class;
    int32_t first = -1;

    t->before = -1;
    t->want = omc_alloc0(d->work->scratch, d->work->columns * sizeof *t->want);
    t->next = omc_alloc(d->work->scratch, d->work->columns * sizeof *t->next);
    for (size_t i = 0; i < class->set->count; i++) {
        int32_t column = class->set->columns[i];

        t->want[column] = class->now[column] - RC_MIN(class->now[column], class->home[column]);
        if (t->want[column] == 0)
            continue;
        if (first < 0)
            first = column;
        else
            t->next[t->before] = column;
        t->before = column;
    }
    if (first >= 0)
        t->next[t->before] = first;
}

/* Takes a place in the next column of the ring that has none of the connector, or few. */
static int32_t choose_taker(deal *d, takers *t, uint32_t group)
{
    int32_t before = t->before;
    int32_t best = before;
    int32_t fewest = INT32_MAX;
    int32_t column;

    RC_ASSERT(before >= 0);
    for (size_t i = 0; i < LOOK && fewest > 0; i++) {
        int32_t count;

        column = t->next[before];
        count = d->group_of[column] == group + 1 ? d->count[column] : 0;
        if (count < fewest) {
            fewest = count;
            best = before;
        }
        before = column;
        if (before == t->before)
            break;
    }
    column = t->next[best];
    (void)add_one(d, group, column);
    t->before = column;
    if (--t->want[column] == 0) {
        t->before = best == column ? -1 : best;
        t->next[best] = t->next[column];
    }
    return column;
}

static void count_group(deal *d, uint32_t group)
{
    const rc_assign_work *work = d->work;

    for (uint32_t i = work->group_first[group]; i < work->group_first[group + 1]; i++)
        if (work->units[i].at >= 0)
            (void)add_one(d, group, work->units[i].at);
}

void rc_assign_deal(rc_assign_work *work, const rc_assign_class *class)
{
    omc_arena *arena = work->scratch;
    deal d = {.work = work, .class = class};
    takers t;
    uint32_t last = UINT32_MAX;

    d.count = omc_alloc(arena, work->columns * sizeof *d.count);
    d.group_of = omc_alloc0(arena, work->columns * sizeof *d.group_of);
    d.rank = omc_alloc(arena, class->count * sizeof *d.rank);
    d.ranked = omc_alloc(arena, class->count * sizeof *d.ranked);
    d.given = omc_alloc0(arena, work->groups * sizeof *d.given);
    for (size_t i = 0; i < class->count; i++)
        unit_of(&d, i)->at = unit_of(&d, i)->home;
    rank_units(&d);
    if (d.ranked_count)
        give_away(&d);
    find_takers(&d, &t);
    memset(d.group_of, 0, work->columns * sizeof *d.group_of);
    for (size_t i = 0; i < class->count && t.before >= 0; i++) {
        rc_assign_unit *unit = unit_of(&d, i);

        if (unit->at >= 0)
            continue;
        if (unit->group != last)
            count_group(&d, unit->group);
        last = unit->group;
        unit->at = choose_taker(&d, &t, unit->group);
    }
}
