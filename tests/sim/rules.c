/* SPDX-License-Identifier: Apache-2.0 */
#include "rules.h"

#include "cluster/rules.h"

#include <string.h>

#define BIT(rule) ((uint64_t)1 << (rule))

/* clang-format off */
/* Single rules first, then groups of rules that stand in for each other. */
const struct mutant mutants[] = {
    {"read-back",
     "R12",
     "a claim counts when it was read back as valid",
     BIT(RULE_READ_BACK),
     {"base", "storm"}},
    {"fence", "R5", "the fence is checked before each write", BIT(RULE_FENCE), {"base", "storm"}},
    {"ping", "R4", "a lease comes from pings", BIT(RULE_PING), {"base", "storm"}},
    {"ping-applied",
     "R4",
     "and only when all that the answer covers is applied",
     BIT(RULE_PING_APPLIED),
     {"late-readers", "storm"}},
    {"lease-sent",
     "R4",
     "and counts from when the ping was sent",
     BIT(RULE_LEASE_SENT),
     {"freezes", "storm"}},
    {"close-wait",
     "R9 R15",
     "nothing is taken before D_close after a close",
     BIT(RULE_CLOSE_WAIT),
     {"base", "storm"}},
    {"reopen",
     "R6",
     "after a close a new session is opened first",
     BIT(RULE_REOPEN),
     {"loss-async", "storm"}},
    {"nonce",
     "R1",
     "the last record is compared on each connection",
     BIT(RULE_NONCE),
     {"loss-async", "loss"}},
    {"verified",
     "R2",
     "nothing counts on a connection before that",
     BIT(RULE_VERIFIED),
     {"loss-async", "loss"}},
    {"quarantine",
     "R10",
     "no claims in the first D_close of a connection",
     BIT(RULE_QUARANTINE),
     {"loss-heavy", "loss-async"}},
    {"floor", "R11", "a generation is above all that were seen (alone: R7 stands in for it)",
     BIT(RULE_FLOOR), {NULL}},
    {"witness",
     "R7",
     "before it goes on, an owner reads the positions again",
     BIT(RULE_WITNESS),
     {"loss-async", "loss-heavy"}},
    {"start-record",
     "R13",
     "a start record before the first data",
     BIT(RULE_START_RECORD),
     {"loss-async", "loss-heavy"}},
    {"incarnation",
     "F1",
     "another process under a name owns nothing of the former",
     BIT(RULE_INCARNATION),
     {"base", "kills"}},
    {"silence", "R8", "silence is counted on one connection only", BIT(RULE_SILENCE), {"outage"}},
    {"boottime", "timers", "clocks do not jump", BIT(RULE_BOOTTIME), {"base", "storm"}},
    {"drain",
     "R14",
     "nothing is under way when a unit is released",
     BIT(RULE_DRAIN),
     {"base", "more-workers"}},
    {"one-unanswered",
     "R16",
     "one send per queue without an answer",
     BIT(RULE_ONE_UNANSWERED),
     {"base", "kills"}},
    {"tail-wait",
     "R16",
     "after a time-out a queue rests until nothing can land",
     BIT(RULE_TAIL),
     {"kills", "storm"}},
    {"barrier",
     "R17",
     "strict: a barrier before a queue is read back",
     BIT(RULE_BARRIER),
     {"base", "long-tail"}},
    {"resolve",
     "R17",
     "what has no answer is read back before it is sent again",
     BIT(RULE_RESOLVE),
     {"base", "kills"}},
    {"queue-union",
     "R17",
     "all queues with inherited notes are read back",
     BIT(RULE_QUEUE_UNION),
     {"base", "kills"}},
    {"notes",
     "R18",
     "notes come from what was stored, not from the queue's end",
     BIT(RULE_NOTES),
     {"base", "kills"}},
    {"note-held",
     "R18",
     "no note passes a record the position does not cover",
     BIT(RULE_NOTE_HELD),
     {"relay", "kills"}},
    {"contiguous",
     "R18",
     "the position is acknowledged without a gap",
     BIT(RULE_CONTIGUOUS),
     {"base", "kills"}},
    {"position-rank",
     "R18",
     "positions rank by generation, not by arrival",
     BIT(RULE_POSITION_RANK),
     {"relay", "freezes"}},
    {"take-over-wait",
     "R20",
     "without barriers, D_tail before reading back",
     BIT(RULE_TAKE_OVER_WAIT),
     {"awake", "relay"}},
    {"config-rank",
     "config",
     "of two writes at once the first counts",
     BIT(RULE_CONFIG_RANK),
     {"base"}},
    {"claim-cites",
     "F3",
     "a claim names generation and close that it rests on",
     BIT(RULE_CLAIM_PREV) | BIT(RULE_CLAIM_CLOSE),
     {"storm", "more-workers"}},
    {"acked-start",
     "R12",
     "no start before an acknowledged append (R7, R11 off too)",
     BIT(RULE_ACKED_START) | BIT(RULE_FLOOR) | BIT(RULE_WITNESS),
     {"loss", "loss-async"}},
};
/* clang-format on */
const int mutant_count = sizeof(mutants) / sizeof(*mutants);

const struct mutant *mutant_find(const char *name)
{
    for (int i = 0; i < mutant_count; i++)
        if (!strcmp(mutants[i].name, name))
            return &mutants[i];
    return NULL;
}

/** 1 + the machine's number of a rule; 0 = the machine has no part in it. */
static const uint8_t machine[RULES] = {
    [RULE_READ_BACK] = 1 + RC_RULE_READ_BACK,
    [RULE_ACKED_START] = 1 + RC_RULE_ACKED_START,
    [RULE_FENCE] = 1 + RC_RULE_FENCE,
    [RULE_PING] = 1 + RC_RULE_PING,
    [RULE_PING_APPLIED] = 1 + RC_RULE_PING_APPLIED,
    [RULE_LEASE_SENT] = 1 + RC_RULE_LEASE_SENT,
    [RULE_CLAIM_SESSION] = 1 + RC_RULE_CLAIM_SESSION,
    [RULE_CLAIM_PREV] = 1 + RC_RULE_CLAIM_PREV,
    [RULE_CLAIM_CLOSE] = 1 + RC_RULE_CLAIM_CLOSE,
    [RULE_CLOSE_WAIT] = 1 + RC_RULE_CLOSE_WAIT,
    [RULE_REOPEN] = 1 + RC_RULE_REOPEN,
    [RULE_SILENCE] = 1 + RC_RULE_SILENCE,
    [RULE_NONCE] = 1 + RC_RULE_NONCE,
    [RULE_VERIFIED] = 1 + RC_RULE_VERIFIED,
    [RULE_QUARANTINE] = 1 + RC_RULE_QUARANTINE,
    [RULE_FLOOR] = 1 + RC_RULE_FLOOR,
    [RULE_WITNESS] = 1 + RC_RULE_WITNESS,
    [RULE_INCARNATION] = 1 + RC_RULE_INCARNATION,
    [RULE_BEAT_VOID] = 1 + RC_RULE_BEAT_VOID,
    [RULE_DRAIN] = 1 + RC_RULE_DRAIN,
};

static uint64_t machine_bits(uint64_t off)
{
    uint64_t bits = 0;

    for (int r = 0; r < RULES; r++)
        if ((off >> r & 1) != 0 && machine[r] > 0)
            bits |= BIT(machine[r] - 1);
    return bits;
}

bool rules_switch(uint64_t off)
{
#ifdef RC_CLUSTER_MUTANTS
    rc_cluster_rules_off = machine_bits(off);
    return true;
#else
    return machine_bits(off) == 0;
#endif
}
