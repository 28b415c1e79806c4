/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words for an assignment: why a unit is where it is, and what a change moved. Nothing is
 * computed again, so that what is said is what was done.
 */
#include "cluster/assign.h"

#include "base/arena.h"
#include "base/units.h"

#include <string.h>

const char *rc_why_name(rc_why why)
{
    static const char *const names[] = {
        [RC_WHY_KEPT] = "kept",        [RC_WHY_PLACED] = "placed",   [RC_WHY_LEFT] = "left",
        [RC_WHY_DRAINED] = "drained",  [RC_WHY_LABELS] = "labels",   [RC_WHY_BALANCE] = "balance",
        [RC_WHY_EMPTY] = "no-workers", [RC_WHY_UNFIT] = "no-labels", [RC_WHY_TOO_MANY] = "too-many",
    };

    _Static_assert(RC_COUNT(names) == RC_WHY_COUNT, "every reason has a name");
    return (unsigned)why < RC_WHY_COUNT ? names[why] : "unknown";
}

static const char *name_of(const rc_assign_input *in, int32_t member)
{
    return member < 0 ? "nobody" : in->members[member].name;
}

static const char *why_not(const rc_member *member, const rc_unit *unit)
{
    if (member->flags & RC_MEMBER_ABSENT)
        return "absent";
    if (member->flags & RC_MEMBER_DRAINING)
        return "draining";
    return rc_labels_match(member->labels, unit->requires) ? NULL : "labels";
}

/* "orders/3", or "connector orders" for the connector itself. */
static const char *unit_name(const rc_unit *unit, omc_arena *arena)
{
    if (unit->task == RC_ASSIGN_CONNECTOR)
        return rc_arena_format(arena, "connector %s", unit->connector);
    return rc_arena_format(arena, "%s/%d", unit->connector, (int)unit->task);
}

static const char *reason(const rc_assign_input *in, const rc_unit *unit, rc_why why,
                          omc_arena *arena)
{
    const char *from = name_of(in, unit->owner);

    switch (why) {
    case RC_WHY_KEPT:
        return "it was there before, and that is balanced";
    case RC_WHY_PLACED:
        return "nobody had it, and there it made the load most even";
    case RC_WHY_LEFT:
        return rc_arena_format(arena, "it moved because %s is not there any more", from);
    case RC_WHY_DRAINED:
        return rc_arena_format(arena, "it moved because %s is draining", from);
    case RC_WHY_LABELS:
        return rc_arena_format(arena, "it moved because %s does not have %s", from,
                               unit->requires ? unit->requires : "its labels");
    case RC_WHY_BALANCE:
        return rc_arena_format(arena, "it moved because %s had more than its share", from);
    case RC_WHY_EMPTY:
        return "no worker counts: all are absent or draining";
    case RC_WHY_UNFIT:
        return rc_arena_format(arena,
                               "no worker that counts has %s; start one with these worker.labels, "
                               "or change the connector's",
                               unit->requires ? unit->requires : "its labels");
    case RC_WHY_TOO_MANY:
        return rc_arena_format(arena,
                               "connectors require labels that make more than %d different sets "
                               "of workers; use fewer different requirements",
                               RC_ASSIGN_SETS_MAX);
    case RC_WHY_COUNT:
        break;
    }
    return "unknown";
}

static void find_candidates(const rc_assign_input *in, const rc_assigned *assigned,
                            const rc_unit *unit, omc_arena *arena, rc_explained *ret)
{
    ret->candidates = omc_alloc0(arena, (in->member_count + 1) * sizeof *ret->candidates);
    ret->candidate_count = in->member_count;
    for (size_t i = 0; i < in->member_count; i++) {
        rc_candidate *candidate = &ret->candidates[i];

        candidate->member = (int32_t)i;
        candidate->load = assigned->load[i];
        candidate->why_not = why_not(&in->members[i], unit);
        candidate->fits = !candidate->why_not;
        ret->fit_count += candidate->fits;
    }
}

void rc_assign_explain(const rc_assign_input *in, const rc_assigned *assigned, size_t unit,
                       omc_arena *arena, rc_explained *ret)
{
    const rc_unit *what = &in->units[unit];
    const char *name = unit_name(what, arena);

    RC_ASSERT(unit < assigned->unit_count && in->unit_count == assigned->unit_count);
    *ret = (rc_explained){.why = (rc_why)assigned->why[unit],
                          .from = what->owner,
                          .owner = assigned->owner[unit]};
    find_candidates(in, assigned, what, arena, ret);
    if (ret->owner < 0) {
        ret->text =
            rc_arena_format(arena, "%s runs nowhere: %s.", name, reason(in, what, ret->why, arena));
        return;
    }
    ret->text =
        rc_arena_format(arena,
                        "%s runs on %s: %s. %zu of %zu workers may run it; %s has a load of %llu.",
                        name, name_of(in, ret->owner), reason(in, what, ret->why, arena),
                        ret->fit_count, in->member_count, name_of(in, ret->owner),
                        (unsigned long long)assigned->load[ret->owner]);
}

void rc_assign_summary(const rc_assigned *assigned, rc_buf *out)
{
    static const struct {
        rc_why why;
        const char *text;
    } parts[] = {
        {RC_WHY_PLACED, "that nobody had"},
        {RC_WHY_LEFT, "because their worker left"},
        {RC_WHY_DRAINED, "because their worker is draining"},
        {RC_WHY_LABELS, "because of labels"},
        {RC_WHY_BALANCE, "for balance"},
    };
    size_t none = assigned->count[RC_WHY_EMPTY] + assigned->count[RC_WHY_UNFIT] +
                  assigned->count[RC_WHY_TOO_MANY];
    size_t moved = assigned->unit_count - assigned->count[RC_WHY_KEPT] - none;
    const char *before = ": ";
    char text[32];

    rc_buf_printf(out, "%s of ", rc_format_count((int64_t)moved, text));
    rc_buf_printf(out, "%s units move", rc_format_count((int64_t)assigned->unit_count, text));
    for (size_t i = 0; i < RC_COUNT(parts); i++) {
        size_t count = assigned->count[parts[i].why];

        if (count == 0)
            continue;
        rc_buf_printf(out, "%s%s %s", before, rc_format_count((int64_t)count, text), parts[i].text);
        before = ", ";
    }
    rc_buf_printf(out, "; %s stay", rc_format_count((int64_t)assigned->count[RC_WHY_KEPT], text));
    if (none)
        rc_buf_printf(out, "; %s have no worker", rc_format_count((int64_t)none, text));
    if (assigned->cut)
        rc_buf_str(out, "; balancing ended at its limit of work");
}
