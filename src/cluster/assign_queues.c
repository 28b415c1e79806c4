/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queues of a sink, dealt out to its tasks: an assignment of its own, with tasks as members
 * and topics in the place of connectors.
 */
#include "base/arena.h"
#include "cluster/assign.h"

static rc_member *make_members(omc_arena *arena, size_t tasks)
{
    rc_member *members = omc_alloc0(arena, tasks * sizeof *members);

    for (size_t i = 0; i < tasks; i++) {
        /* Padded, because members are sorted by name. */
        members[i].name = rc_arena_format(arena, "%05zu", i);
        members[i].weight = 1;
    }
    return members;
}

static int make_units(omc_arena *arena, const rc_queue_unit *queues, size_t count, size_t tasks,
                      rc_unit **ret, rc_error *err)
{
    rc_unit *units = omc_alloc0(arena, (count + 1) * sizeof *units);

    for (size_t i = 0; i < count; i++) {
        if (queues[i].queue < 0)
            return rc_fail(err, OMC_EINVAL, "queue %d of topic '%s' is no queue",
                           (int)queues[i].queue, queues[i].topic ? queues[i].topic : "");
        units[i] = (rc_unit){.connector = queues[i].topic,
                             .task = queues[i].queue,
                             .owner = queues[i].task,
                             .weight = 1};
        if (queues[i].task < 0 || (size_t)queues[i].task >= tasks)
            units[i].owner = RC_ASSIGN_NOBODY;
    }
    *ret = units;
    return 0;
}

int rc_assign_queues(const rc_queue_unit *queues, size_t count, size_t tasks, rc_assigned *ret,
                     rc_error *err)
{
    rc_arena arena;
    rc_assign_input in = {.member_count = tasks, .unit_count = count};
    rc_unit *units = NULL;
    int r;

    if (tasks < 1 || tasks > RC_ASSIGN_MEMBERS_MAX)
        return rc_fail(err, OMC_EINVAL, "%zu tasks cannot share queues; 1 to %d can", tasks,
                       RC_ASSIGN_MEMBERS_MAX);
    if (count > RC_ASSIGN_UNITS_MAX)
        return rc_fail(err, OMC_ENOMEM, "%zu queues are more than the %d that a sink may read",
                       count, RC_ASSIGN_UNITS_MAX);
    rc_arena_init(&arena, (size_t)64 << 10);
    in.members = make_members(&arena.pub, tasks);
    r = make_units(&arena.pub, queues, count, tasks, &units, err);
    in.units = units;
    if (r == 0)
        r = rc_assign(&in, ret, err);
    /* A task that is gone has no member; its queues did not come from nowhere. */
    for (size_t i = 0; r == 0 && i < count; i++)
        if (queues[i].task >= (int32_t)tasks) {
            ret->why[i] = RC_WHY_LEFT;
            ret->count[RC_WHY_PLACED]--;
            ret->count[RC_WHY_LEFT]++;
        }
    rc_arena_release(&arena);
    return r;
}
