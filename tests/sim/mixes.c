/* SPDX-License-Identifier: Apache-2.0 */
/** Mixes: what goes wrong in a run, and how often. */
#include "world.h"

#include <string.h>

const char *const fault_name[FAULTS] = {
    [FAULT_KILL] = "kill",       [FAULT_FREEZE] = "freeze",   [FAULT_PARTITION] = "partition",
    [FAULT_RESET] = "reset",     [FAULT_RESTART] = "restart", [FAULT_HINT] = "hint",
    [FAULT_LAG] = "late reader", [FAULT_SLOW] = "slow",       [FAULT_CLOCK] = "clock",
    [FAULT_LEAVE] = "leave",     [FAULT_GAP] = "gap",
};

/* kill freeze partition reset restart hint lag slow clock leave */
/* clang-format off */
const mix mixes[] = {
    {.name = "base", .about = "six faults of any kind", .faults = 6, .gap = true,
     .weight = {1, 2, 1, 1, 1, 1, 1, 1, 1, 1}},
    {.name = "storm", .about = "fourteen faults, mostly of the network and of readers",
     .faults = 14, .gap = true, .weight = {2, 2, 1, 4, 1, 3, 3, 3, 1, 1}},
    {.name = "more-workers", .about = "three to nine workers, up to seventeen units",
     .faults = 10, .gap = true, .weight = {2, 2, 1, 2, 1, 1, 1, 1, 1, 2}, .many = true},
    {.name = "late-readers", .about = "readers late and hints false",
     .faults = 12, .gap = true, .weight = {0, 2, 1, 1, 0, 4, 5, 1, 1, 0}},
    {.name = "freezes", .about = "processes and threads stand still",
     .faults = 10, .gap = true, .weight = {0, 8, 1, 1, 1, 1, 1, 1, 1, 0}},
    {.name = "kills", .about = "kill -9, slow and broken connections",
     .faults = 12, .gap = true, .weight = {4, 1, 1, 4, 1, 1, 1, 4, 1, 0}},
    {.name = "awake", .about = "nothing stands still: what is written lands within D_tail",
     .faults = 12, .busy = true, .weight = {4, 0, 1, 4, 1, 1, 1, 4, 1, 1},
     .mode = DATA_EXACTLY_ONCE},
    {.name = "relay", .about = "owners die one after the other", .faults = 24, .busy = true,
     .weight = {8, 0, 0, 2, 0, 0, 1, 4, 0, 0}},
    {.name = "rolling", .about = "workers leave and come back, some are drained",
     .faults = 8, .gap = true, .weight = {1, 1, 1, 1, 1, 1, 1, 1, 1, 8}, .many = true},
    {.name = "snapshots", .about = "the log is trimmed; who joins begins with a snapshot",
     .faults = 8, .gap = true, .weight = {4, 2, 1, 2, 1, 1, 1, 1, 1, 2}, .snapshots = true},
    {.name = "move-home", .about = "the log moves to another broker, twice",
     .faults = 8, .gap = true, .weight = {2, 2, 1, 2, 2, 1, 1, 1, 1, 1}, .moves = 2},
    {.name = "loss", .about = "restarts of the home lose what was not acknowledged",
     .faults = 10, .gap = true, .weight = {1, 2, 1, 1, 3, 1, 1, 1, 1, 0}, .loss = 2},
    {.name = "loss-async", .about = "restarts of the home lose acknowledged records too",
     .faults = 9, .gap = true, .weight = {1, 2, 1, 1, 3, 1, 1, 1, 1, 0}, .loss = 1, .loss_max = 5},
    {.name = "loss-heavy", .about = "sixteen faults, up to thirteen records lost each time",
     .faults = 16, .gap = true, .weight = {1, 2, 1, 4, 5, 4, 1, 1, 1, 0}, .loss = 1,
     .loss_max = 13, .extra = true},
    {.name = "long-tail", .about = "bytes land up to 5 s late: only strict readers are promised "
     "something", .faults = 10, .gap = true, .weight = {1, 2, 1, 1, 1, 1, 1, 1, 1, 0},
     .long_tail = true, .mode = DATA_STRICT},
    {.name = "outage", .about = "all brokers are away for 5 to 9 s: nothing moves (I5)",
     .outage = true},
};
/* clang-format on */
const int mix_count = RC_COUNT(mixes);

const mix *mix_find(const char *name)
{
    for (int i = 0; i < mix_count; i++)
        if (!strcmp(mixes[i].name, name))
            return &mixes[i];
    return NULL;
}
