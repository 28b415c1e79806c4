/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The rules of the ownership protocol that can be switched off, each to show that the others do not
 * hold without it. Those of the data path are switched off in the simulator's tasks, the others in
 * src/cluster itself, in a build with RC_CLUSTER_MUTANTS.
 */
#ifndef SIM_RULES_H
#define SIM_RULES_H

#include <stdint.h>

enum rule {
    /* The data path's: */
    RULE_ONE_UNANSWERED,
    RULE_TAIL,
    RULE_BARRIER,
    RULE_NOTES,
    RULE_NOTE_HELD,
    RULE_QUEUE_UNION,
    RULE_RESOLVE,
    RULE_CONTIGUOUS,
    RULE_TAKE_OVER_WAIT,
    RULE_START_RECORD,
    RULE_DRAIN,
    RULE_POSITION_RANK,
    RULE_WITNESS,
    RULE_FLOOR,
    RULE_BOOTTIME,
    RULE_CONFIG_RANK,
    RULES
};

struct rule_info {
    const char *name;
    const char *reference; /* In the protocol's specification. */
    const char *about;     /* What holds while it is on. */
    const char *mixes[3];  /* Where to look for a run that fails without it. */
};
extern const struct rule_info rules[RULES];
int rule_find(const char *name); /* -1 = none. */

#endif
