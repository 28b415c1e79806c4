/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The rules of the ownership protocol that can be switched off, each to show that the others do not
 * hold without it. Those of the data path are the simulator's own, the others are switched off in
 * src/cluster itself, in a build with RC_CLUSTER_MUTANTS; some have a half on either side.
 */
#ifndef SIM_RULES_H
#define SIM_RULES_H

#include <stdbool.h>
#include <stdint.h>

enum rule {
    RULE_READ_BACK,
    RULE_ACKED_START,
    RULE_FENCE,
    RULE_PING,
    RULE_PING_APPLIED,
    RULE_LEASE_SENT,
    RULE_CLAIM_SESSION,
    RULE_CLAIM_PREV,
    RULE_CLAIM_CLOSE,
    RULE_CLOSE_WAIT,
    RULE_REOPEN,
    RULE_SILENCE,
    RULE_NONCE,
    RULE_VERIFIED,
    RULE_QUARANTINE,
    RULE_FLOOR,
    RULE_WITNESS,
    RULE_INCARNATION,
    RULE_BEAT_VOID,
    RULE_BOOTTIME,
    RULE_START_RECORD,
    RULE_DRAIN,
    RULE_ONE_UNANSWERED,
    RULE_TAIL,
    RULE_BARRIER,
    RULE_RESOLVE,
    RULE_QUEUE_UNION,
    RULE_NOTES,
    RULE_NOTE_HELD,
    RULE_CONTIGUOUS,
    RULE_POSITION_RANK,
    RULE_TAKE_OVER_WAIT,
    RULE_CONFIG_RANK,
    RULES
};

/** A way to break something: one rule off, or several that stand in for each other. */
struct mutant {
    const char *name;
    const char *reference; /* In the protocol's specification. */
    const char *about;     /* What holds while it is on. */
    uint64_t off;          /* Rules, by number. */
    /** Where to look for a run that fails without it; none: another rule covers for it. */
    const char *mixes[3];
};
extern const struct mutant mutants[];
extern const int mutant_count;
const struct mutant *mutant_find(const char *name); /* NULL = none. */

/** Switches src/cluster's rules among those of `off` off, all others on. False: this build has no
 *  switches, and some of them would be needed. */
bool rules_switch(uint64_t off);

#endif
