/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the steps of an assignment share; private to assign*.c. Members that count are *columns*,
 * numbered by name; units are numbered by connector and task. Units that weigh the same and may run
 * on the same columns form a *class*; the classes of one weight are balanced together, as counts
 * per class and column, and only then single units are dealt out. All memory is of two arenas.
 */
#ifndef RC_CLUSTER_ASSIGN_IMPL_H
#define RC_CLUSTER_ASSIGN_IMPL_H

#include "base/arena.h"
#include "cluster/assign.h"

/* A set of columns, as bits and as a list in ascending order. */
typedef struct rc_assign_set {
    uint64_t *bits;
    int32_t *columns;
    size_t count;
} rc_assign_set;

typedef struct rc_assign_unit {
    const rc_unit *in;
    uint32_t group; /* Units of one connector follow each other. */
    int32_t home;   /* Column of the present owner, when it may keep the unit; else -1. */
    int32_t at;     /* Column now; -1 = none. */
    int32_t set;    /* Index of a set, or NO_SET, SET_BEYOND. */
} rc_assign_unit;

#define RC_ASSIGN_NO_SET (-1)     /* No column fits. */
#define RC_ASSIGN_SET_BEYOND (-2) /* One more than there may be. */

typedef struct rc_assign_class {
    const rc_assign_set *set;
    uint32_t weight;
    uint32_t *units; /* Their numbers, ascending. */
    size_t count;
    int32_t *now;  /* [columns] units here; valid while its weight is worked on */
    int32_t *home; /* [columns] units whose home is here */
} rc_assign_class;

typedef struct rc_assign_work {
    const rc_assign_input *in;
    omc_arena *arena;   /* As long as the call. */
    omc_arena *scratch; /* As long as a step; emptied between the weights. */
    size_t columns;
    int32_t *column_of; /* [in->member_count] or -1 */
    int32_t *member_of; /* [columns] */
    uint64_t *weight;   /* [columns] */
    uint64_t *load;     /* [columns] */
    rc_assign_unit *units;
    size_t unit_count;
    uint32_t *group_first; /* [groups + 1] */
    size_t groups;
    rc_assign_set *sets;
    size_t set_count;
    rc_assign_class *classes; /* By weight descending, then by set. */
    size_t class_count;
    uint32_t slack;      /* Difference of loads that is no reason to move anything lighter. */
    uint64_t steps_left; /* Of balancing. */
} rc_assign_work;

/** Finds the sets of columns that units may run on; fills rc_assign_unit.set. */
void rc_assign_sets(rc_assign_work *work);

static inline bool rc_assign_set_has(const rc_assign_set *set, int32_t column)
{
    return set->bits[(size_t)column / 64] >> ((unsigned)column % 64) & 1;
}

/** Gives units without a column one, where the load stays least; counts only. */
void rc_assign_place(rc_assign_work *work, rc_assign_class *classes, size_t count);
/** Evens out loads by moving units of these classes, all of one weight; counts only.
 *  @return whether anything changed */
bool rc_assign_balance(rc_assign_work *work, rc_assign_class *classes, size_t count);
/** Makes units follow the counts of their class. */
void rc_assign_deal(rc_assign_work *work, const rc_assign_class *class);

#endif
