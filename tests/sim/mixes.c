/* SPDX-License-Identifier: Apache-2.0 */
/** Mixes: what goes wrong in a run, and how often. */
#include "world.h"

#include <string.h>

const char *const fault_name[FAULTS] = {
    [FAULT_KILL] = "kill",       [FAULT_FREEZE] = "freeze",   [FAULT_PARTITION] = "partition",
    [FAULT_RESET] = "reset",     [FAULT_RESTART] = "restart", [FAULT_HINT] = "hint",
    [FAULT_LAG] = "late reader", [FAULT_SLOW] = "slow",       [FAULT_CLOCK] = "clock",
    [FAULT_GAP] = "gap",
};

/* kill freeze partition reset restart hint lag slow clock */
#define EVEN {1, 2, 1, 1, 1, 1, 1, 1, 1, 0}

const mix mixes[] = {
    {"base", "six faults of any kind", 6, EVEN, true, true, false, 0, 0, DATA_ANY, 0},
    {"storm", "fourteen faults, mostly of the network and of readers", 14,
     {2, 2, 1, 4, 1, 3, 3, 3, 1, 0}, true, true, false, 0, 0, DATA_ANY, 0},
    {"more-workers", "three to nine workers", 10, EVEN, true, true, false, 0, 0, DATA_ANY, -1},
    {"late-readers", "readers late and hints false", 12, {0, 2, 1, 1, 0, 4, 5, 1, 1, 0}, true,
     true, false, 0, 0, DATA_ANY, 0},
    {"freezes", "processes and threads stand still", 10, {0, 8, 1, 1, 1, 1, 1, 1, 1, 0}, true, true,
     false, 0, 0, DATA_ANY, 0},
    {"kills", "kill -9, slow and broken connections", 12, {4, 1, 1, 4, 1, 1, 1, 4, 1, 0}, true,
     true, false, 0, 0, DATA_ANY, 0},
    {"awake", "nothing stands still: what is written lands within D_tail", 12,
     {4, 0, 1, 4, 1, 1, 1, 4, 1, 0}, false, true, false, 0, 0, DATA_EXACTLY_ONCE, 0},
    {"loss", "restarts of the home lose what was not acknowledged", 10,
     {1, 2, 1, 1, 3, 1, 1, 1, 1, 0}, true, true, false, 2, 6, DATA_ANY, 0},
    {"loss-async", "restarts of the home lose acknowledged records too", 9,
     {1, 2, 1, 1, 3, 1, 1, 1, 1, 0}, true, true, false, 1, 6, DATA_ANY, 0},
    {"long-tail", "bytes land up to 5 s late: only strict readers are promised something", 10, EVEN,
     true, true, true, 0, 0, DATA_STRICT, 0},
};
const int mix_count = RC_COUNT(mixes);

const mix *mix_find(const char *name)
{
    for (int i = 0; i < mix_count; i++)
        if (!strcmp(mixes[i].name, name))
            return &mixes[i];
    return NULL;
}
