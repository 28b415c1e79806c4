/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of an assignment: sort names, find who may run what, place what nobody has, even out,
 * say why. Everything behind the sorting depends on the order of names only, so that the order of
 * the input does not matter. Weights are worked on from the heaviest to the lightest, because light
 * units fill what heavy ones leave.
 */
#include "cluster/assign_impl.h"

#include <stdio.h>
#include <string.h>

/* Steps over cells of (class, column) that balancing may take; below a second. The next call goes
 * on. */
#define STEPS_MAX (UINT64_C(1) << 28)
/* With unequal weights a later pass may find a little more; mostly one or two do. */
#define PASSES_MAX 32

/* ---- input ----------------------------------------------------------------------------------- */

static int compare_members(const void *a, const void *b)
{
    const rc_member *const *left = a;
    const rc_member *const *right = b;

    return strcmp((*left)->name, (*right)->name);
}

static int compare_units(const void *a, const void *b)
{
    const rc_unit *left = *(const rc_unit *const *)a;
    const rc_unit *right = *(const rc_unit *const *)b;
    int order = left->connector == right->connector ? 0 : strcmp(left->connector, right->connector);

    return order ? order : (left->task > right->task) - (left->task < right->task);
}

static int check_members(const rc_assign_input *in, rc_error *err)
{
    if (in->member_count > RC_ASSIGN_MEMBERS_MAX)
        return rc_fail(err, OMC_ENOMEM, "%zu workers are more than the %d that a cluster may have",
                       in->member_count, RC_ASSIGN_MEMBERS_MAX);
    for (size_t i = 0; i < in->member_count; i++) {
        const rc_member *member = &in->members[i];

        if (!member->name || !*member->name)
            return rc_fail(err, OMC_EINVAL, "worker %zu of the assignment has no name", i);
        if (member->weight < 1 || member->weight > RC_ASSIGN_WEIGHT_MAX)
            return rc_fail(err, OMC_EINVAL, "worker '%s' has weight %u; it must be 1 to %d",
                           member->name, (unsigned)member->weight, RC_ASSIGN_WEIGHT_MAX);
    }
    return 0;
}

static int check_units(const rc_assign_input *in, rc_error *err)
{
    if (in->unit_count > RC_ASSIGN_UNITS_MAX)
        return rc_fail(err, OMC_ENOMEM, "%zu units are more than the %d that a cluster may have",
                       in->unit_count, RC_ASSIGN_UNITS_MAX);
    for (size_t i = 0; i < in->unit_count; i++) {
        const rc_unit *unit = &in->units[i];

        if (!unit->connector || !*unit->connector || unit->task < RC_ASSIGN_CONNECTOR)
            return rc_fail(err, OMC_EINVAL, "unit %zu of the assignment has no name or task %d", i,
                           (int)unit->task);
        if (unit->weight < 1 || unit->weight > RC_ASSIGN_WEIGHT_MAX)
            return rc_fail(err, OMC_EINVAL, "unit %s/%d has weight %u; it must be 1 to %d",
                           unit->connector, (int)unit->task, (unsigned)unit->weight,
                           RC_ASSIGN_WEIGHT_MAX);
        if (unit->owner < RC_ASSIGN_NOBODY || unit->owner >= (int32_t)in->member_count)
            return rc_fail(err, OMC_EINVAL, "unit %s/%d has owner %d of %zu workers",
                           unit->connector, (int)unit->task, (int)unit->owner, in->member_count);
    }
    return 0;
}

/* Members that count become columns in the order of their names. */
static int make_columns(rc_assign_work *work, rc_error *err)
{
    const rc_assign_input *in = work->in;
    const rc_member **sorted = omc_alloc(work->arena, (in->member_count + 1) * sizeof(rc_member *));

    for (size_t i = 0; i < in->member_count; i++)
        sorted[i] = &in->members[i];
    qsort(sorted, in->member_count, sizeof(rc_member *), compare_members);
    work->column_of = omc_alloc(work->arena, (in->member_count + 1) * sizeof *work->column_of);
    work->member_of = omc_alloc(work->arena, (in->member_count + 1) * sizeof *work->member_of);
    work->weight = omc_alloc(work->arena, (in->member_count + 1) * sizeof *work->weight);
    work->load = omc_alloc0(work->arena, (in->member_count + 1) * sizeof *work->load);
    for (size_t i = 0; i < in->member_count; i++) {
        size_t member = (size_t)(sorted[i] - in->members);

        if (i > 0 && strcmp(sorted[i - 1]->name, sorted[i]->name) == 0)
            return rc_fail(err, OMC_EINVAL, "worker '%s' comes twice in the assignment",
                           sorted[i]->name);
        work->column_of[member] = -1;
        if (sorted[i]->flags & (RC_MEMBER_ABSENT | RC_MEMBER_DRAINING))
            continue;
        work->column_of[member] = (int32_t)work->columns;
        work->member_of[work->columns] = (int32_t)member;
        work->weight[work->columns++] = sorted[i]->weight;
    }
    return 0;
}

static int make_units(rc_assign_work *work, rc_error *err)
{
    const rc_assign_input *in = work->in;
    size_t count = in->unit_count;
    const rc_unit **sorted = omc_alloc(work->arena, (count + 1) * sizeof(rc_unit *));
    bool in_order = true;

    for (size_t i = 0; i < count; i++) {
        sorted[i] = &in->units[i];
        in_order = in_order && (i == 0 || compare_units(&sorted[i - 1], &sorted[i]) < 0);
    }
    if (!in_order)
        qsort(sorted, count, sizeof(rc_unit *), compare_units);
    work->units = omc_alloc0(work->arena, (count + 1) * sizeof *work->units);
    work->group_first = omc_alloc0(work->arena, (count + 1) * sizeof *work->group_first);
    for (size_t i = 0; i < count; i++) {
        const rc_unit *last = i ? sorted[i - 1] : NULL;

        if (last && compare_units(&last, &sorted[i]) == 0)
            return rc_fail(err, OMC_EINVAL, "unit %s/%d comes twice in the assignment",
                           sorted[i]->connector, (int)sorted[i]->task);
        if (!last || (last->connector != sorted[i]->connector &&
                      strcmp(last->connector, sorted[i]->connector) != 0))
            work->group_first[work->groups++] = (uint32_t)i;
        work->units[i].in = sorted[i];
        work->units[i].group = (uint32_t)work->groups - 1;
    }
    work->group_first[work->groups] = (uint32_t)count;
    work->unit_count = count;
    return 0;
}

/* ---- classes --------------------------------------------------------------------------------- */

static void keep_homes(rc_assign_work *work)
{
    for (size_t i = 0; i < work->unit_count; i++) {
        rc_assign_unit *unit = &work->units[i];
        int32_t column = unit->in->owner < 0 ? -1 : work->column_of[unit->in->owner];

        unit->home =
            column >= 0 && unit->set >= 0 && rc_assign_set_has(&work->sets[unit->set], column)
                ? column
                : -1;
        unit->at = unit->home;
        if (unit->home >= 0)
            work->load[unit->home] += unit->in->weight;
    }
}

/* Classes by weight descending and set ascending; the units of each in their order. */
static void make_classes(rc_assign_work *work, uint32_t weight_max)
{
    size_t cells = weight_max * work->set_count;
    uint32_t *count = omc_alloc0(work->arena, (cells + 1) * sizeof *count);
    uint32_t *class_of = omc_alloc(work->arena, (cells + 1) * sizeof *class_of);
    uint32_t *units = omc_alloc(work->arena, (work->unit_count + 1) * sizeof *units);

    for (size_t i = 0; i < work->unit_count; i++)
        if (work->units[i].set >= 0)
            count[(weight_max - work->units[i].in->weight) * work->set_count +
                  (size_t)work->units[i].set]++;
    for (size_t i = 0; i < cells; i++)
        if (count[i])
            class_of[i] = (uint32_t)work->class_count++;
    work->classes = omc_alloc0(work->arena, (work->class_count + 1) * sizeof *work->classes);
    for (size_t i = 0; i < cells; i++) {
        if (!count[i])
            continue;
        work->classes[class_of[i]].set = &work->sets[i % work->set_count];
        work->classes[class_of[i]].weight = weight_max - (uint32_t)(i / work->set_count);
        work->classes[class_of[i]].units = units;
        units += count[i];
    }
    for (size_t i = 0; i < work->unit_count; i++) {
        rc_assign_class *class;

        if (work->units[i].set < 0)
            continue;
        class = &work->classes[class_of[(weight_max - work->units[i].in->weight) * work->set_count +
                                        (size_t)work->units[i].set]];
        class->units[class->count++] = (uint32_t)i;
    }
}

static void count_class(rc_assign_work *work, rc_assign_class *class)
{
    class->now = omc_alloc0(work->scratch, work->columns * sizeof *class->now);
    class->home = omc_alloc0(work->scratch, work->columns * sizeof *class->home);
    for (size_t i = 0; i < class->count; i++) {
        const rc_assign_unit *unit = &work->units[class->units[i]];

        if (unit->at >= 0)
            class->now[unit->at]++;
        if (unit->home >= 0)
            class->home[unit->home]++;
    }
}

typedef enum step { PLACE = 1, BALANCE = 2 } step;

/* Does steps for the classes of one weight; returns whether balancing changed anything. */
static bool work_on(rc_assign_work *work, rc_assign_class *classes, size_t count, unsigned steps)
{
    bool changed = false;

    for (size_t i = 0; i < count; i++)
        count_class(work, &classes[i]);
    if (steps & PLACE)
        rc_assign_place(work, classes, count);
    if (steps & BALANCE)
        changed = rc_assign_balance(work, classes, count);
    if (changed || steps & PLACE)
        for (size_t i = 0; i < count; i++)
            rc_assign_deal(work, &classes[i]);
    return changed;
}

/* Does steps for all weights, from the heaviest. */
static bool work_on_all(rc_assign_work *work, rc_arena *scratch, unsigned steps, size_t *bytes)
{
    bool changed = false;
    size_t next;

    for (size_t at = 0; at < work->class_count; at = next) {
        next = at + 1;
        while (next < work->class_count && work->classes[next].weight == work->classes[at].weight)
            next++;
        changed |= work_on(work, work->classes + at, next - at, steps);
        *bytes = RC_MAX(*bytes, rc_arena_total(scratch));
        rc_arena_reset(scratch, (size_t)1 << 20);
    }
    return changed;
}

/* A tenth of the mean load, but no more than the heaviest unit. */
static uint32_t slack_of(const rc_assign_work *work, uint32_t weight_max)
{
    uint64_t load = 0;
    uint64_t weight = 0;

    for (size_t i = 0; i < work->class_count; i++)
        load += work->classes[i].weight * work->classes[i].count;
    for (size_t i = 0; i < work->columns; i++)
        weight += work->weight[i];
    return weight ? (uint32_t)RC_MIN(load / weight / 10, weight_max) : 0;
}

static void run(rc_assign_work *work, rc_arena *scratch, size_t *bytes)
{
    bool one_weight = work->class_count > 0 &&
                      work->classes[0].weight == work->classes[work->class_count - 1].weight;

    if (one_weight) {
        (void)work_on_all(work, scratch, PLACE | BALANCE, bytes);
        return;
    }
    /* What nobody has fills gaps before anything that runs is moved into them. */
    (void)work_on_all(work, scratch, PLACE, bytes);
    for (size_t pass = 0; pass < PASSES_MAX; pass++)
        if (!work_on_all(work, scratch, BALANCE, bytes))
            break;
}

/* ---- outcome --------------------------------------------------------------------------------- */

static rc_why why_of(const rc_assign_work *work, const rc_assign_unit *unit)
{
    uint32_t flags;

    if (unit->at < 0)
        return work->columns == 0                  ? RC_WHY_EMPTY
               : unit->set == RC_ASSIGN_SET_BEYOND ? RC_WHY_TOO_MANY
                                                   : RC_WHY_UNFIT;
    if (unit->home == unit->at)
        return RC_WHY_KEPT;
    if (unit->in->owner < 0)
        return RC_WHY_PLACED;
    flags = work->in->members[unit->in->owner].flags;
    return flags & RC_MEMBER_ABSENT     ? RC_WHY_LEFT
           : flags & RC_MEMBER_DRAINING ? RC_WHY_DRAINED
           : unit->home < 0             ? RC_WHY_LABELS
                                        : RC_WHY_BALANCE;
}

static void fill_in(const rc_assign_work *work, rc_assigned *ret)
{
    const rc_assign_input *in = work->in;

    ret->unit_count = in->unit_count;
    ret->member_count = in->member_count;
    ret->owner = rc_malloc(in->unit_count * sizeof *ret->owner);
    ret->why = rc_malloc(in->unit_count);
    ret->load = rc_calloc(in->member_count, sizeof *ret->load);
    ret->cut = work->steps_left == 0;
    for (size_t i = 0; i < work->unit_count; i++) {
        const rc_assign_unit *unit = &work->units[i];
        size_t at = (size_t)(unit->in - in->units);

        ret->owner[at] = unit->at < 0 ? RC_ASSIGN_NOBODY : work->member_of[unit->at];
        ret->why[at] = (uint8_t)why_of(work, unit);
        ret->count[ret->why[at]]++;
    }
    for (size_t i = 0; i < work->columns; i++)
        ret->load[work->member_of[i]] = work->load[i];
}

static int assign(rc_assign_work *work, rc_arena *scratch, rc_assigned *ret, rc_error *err)
{
    const rc_assign_input *in = work->in;
    int r = check_members(in, err);

    if (r == 0)
        r = check_units(in, err);
    if (r == 0)
        r = make_columns(work, err);
    if (r == 0)
        r = make_units(work, err);
    if (r < 0)
        return r;
    *ret = (rc_assigned){.weight_max = 1};
    for (size_t i = 0; i < in->unit_count; i++)
        ret->weight_max = RC_MAX(ret->weight_max, in->units[i].weight);
    rc_assign_sets(work);
    keep_homes(work);
    make_classes(work, ret->weight_max);
    if (work->class_count)
        work->slack = slack_of(work, work->classes[0].weight);
    run(work, scratch, &ret->bytes);
    fill_in(work, ret);
    return 0;
}

int rc_assign(const rc_assign_input *in, rc_assigned *ret, rc_error *err)
{
    rc_arena arena;
    rc_arena scratch;
    rc_assign_work work = {.in = in, .steps_left = STEPS_MAX};
    int r;

    rc_arena_init(&arena, (size_t)64 << 10);
    rc_arena_init(&scratch, (size_t)64 << 10);
    work.arena = &arena.pub;
    work.scratch = &scratch.pub;
    r = assign(&work, &scratch, ret, err);
    if (r == 0)
        ret->bytes += rc_arena_total(&arena);
    rc_arena_release(&scratch);
    rc_arena_release(&arena);
    return r;
}

void rc_assigned_release(rc_assigned *assigned)
{
    free(assigned->owner);
    free(assigned->why);
    free(assigned->load);
    *assigned = (rc_assigned){0};
}
