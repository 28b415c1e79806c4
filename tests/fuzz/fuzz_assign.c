/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Clusters made of the input's bytes: each assignment is possible, even, the same for the reversed
 * input, and final: what is settled does not move again. The rest of the input is a list of labels.
 */
#include "cluster/assign.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MEMBERS 12
#define UNITS 40

static const char *const some_labels[] = {NULL, "a=1", "b=1", "a=1,b=1", "a=2", "a=2,c=1", "c=1"};
static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"};

typedef struct input {
    const uint8_t *at;
    const uint8_t *end;
} input;

static unsigned next(input *in, unsigned below)
{
    return in->at < in->end ? *in->at++ % below : 0;
}

static void make(input *in, rc_member *members, rc_unit *units, rc_assign_input *ret)
{
    size_t member_count = next(in, MEMBERS + 1);
    size_t unit_count = next(in, UNITS + 1);
    bool weights = next(in, 2);

    for (size_t i = 0; i < member_count; i++)
        members[i] = (rc_member){.name = names[i],
                                 .labels = some_labels[next(in, RC_COUNT(some_labels))],
                                 .weight = weights ? 1 + next(in, 5) : 1,
                                 .flags = next(in, 8) / 6 * (1 + next(in, 2))};
    for (size_t i = 0; i < unit_count; i++)
        units[i] = (rc_unit){.connector = names[i / 5],
                             .task = (int32_t)(i % 5) - 1,
                             .owner = (int32_t)next(in, (unsigned)member_count + 1) - 1,
                             .weight = weights ? 1 + next(in, 9) : 1,
                             .requires = some_labels[next(in, RC_COUNT(some_labels))]};
    *ret = (rc_assign_input){.members = members,
                             .member_count = member_count,
                             .units = units,
                             .unit_count = unit_count};
}

static bool fits(const rc_assign_input *in, size_t unit, size_t member)
{
    return !in->members[member].flags &&
           rc_labels_match(in->members[member].labels, in->units[unit].requires);
}

/* What may be left: a tenth of the mean load, but no more than the heaviest unit. */
static int64_t slack_of(const rc_assign_input *in, const rc_assigned *out)
{
    uint64_t load = 0;
    uint64_t weight = 0;
    uint64_t heaviest = 0;

    for (size_t i = 0; i < in->unit_count; i++)
        if (out->owner[i] >= 0) {
            load += in->units[i].weight;
            heaviest = RC_MAX(heaviest, in->units[i].weight);
        }
    for (size_t i = 0; i < in->member_count; i++)
        if (!in->members[i].flags)
            weight += in->members[i].weight;
    return weight ? (int64_t)RC_MIN(load / weight / 10, heaviest) : 0;
}

static void check(const rc_assign_input *in, const rc_assigned *out)
{
    int64_t slack = slack_of(in, out);

    for (size_t i = 0; i < in->unit_count; i++) {
        int32_t a = out->owner[i];
        int64_t weight = RC_MAX((int64_t)in->units[i].weight, slack);

        RC_ASSERT(a < 0 || fits(in, i, (size_t)a));
        for (size_t b = 0; b < in->member_count; b++) {
            if (!fits(in, i, b))
                continue;
            RC_ASSERT(a >= 0);
            RC_ASSERT((2 * (int64_t)out->load[a] - weight) * in->members[b].weight <=
                      (2 * (int64_t)out->load[b] + weight) * in->members[a].weight);
        }
    }
}

static void assign(const rc_assign_input *in, rc_assigned *out)
{
    rc_error err = {0};
    int r = rc_assign(in, out, &err);

    RC_ASSERT(r == 0 && !out->cut);
}

/* Members and units from the last to the first. */
static void check_reversed(const rc_assign_input *in, const rc_assigned *out)
{
    rc_member members[MEMBERS];
    rc_unit units[UNITS];
    rc_assign_input reversed = *in;
    rc_assigned other;
    int32_t last = (int32_t)in->member_count - 1;

    for (size_t i = 0; i < in->member_count; i++)
        members[in->member_count - 1 - i] = in->members[i];
    for (size_t i = 0; i < in->unit_count; i++) {
        rc_unit *unit = &units[in->unit_count - 1 - i];

        *unit = in->units[i];
        if (unit->owner >= 0)
            unit->owner = last - unit->owner;
    }
    reversed.members = members;
    reversed.units = units;
    assign(&reversed, &other);
    for (size_t i = 0; i < in->unit_count; i++) {
        int32_t owner = other.owner[in->unit_count - 1 - i];

        RC_ASSERT(out->owner[i] == (owner < 0 ? owner : last - owner));
    }
    rc_assigned_release(&other);
}

static void check_labels(const input *rest)
{
    char text[RC_LABELS_TEXT_MAX];
    char again[RC_LABELS_TEXT_MAX];
    char *given = rc_strndup((const char *)rest->at, (size_t)(rest->end - rest->at));
    rc_error err = {0};

    if (rc_labels_parse(given, text, &err) == 0) {
        RC_ASSERT(rc_labels_parse(text, again, &err) == 0 && strcmp(text, again) == 0);
        RC_ASSERT(rc_labels_match(text, text) && rc_labels_match(text, NULL));
    } else {
        RC_ASSERT(err.code == OMC_EINVAL);
    }
    free(given);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in = {data, data + size};
    rc_member members[MEMBERS];
    rc_unit units[UNITS];
    rc_assign_input cluster;
    rc_assigned out;

    make(&in, members, units, &cluster);
    assign(&cluster, &out);
    check(&cluster, &out);
    check_reversed(&cluster, &out);
    for (size_t i = 0; i < cluster.unit_count; i++)
        units[i].owner = out.owner[i];
    rc_assigned_release(&out);
    assign(&cluster, &out);
    for (size_t i = 0; i < cluster.unit_count; i++)
        RC_ASSERT(out.owner[i] == units[i].owner);
    rc_assigned_release(&out);
    check_labels(&in);
    return 0;
}
