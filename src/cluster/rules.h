/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The rules of the ownership protocol that can be switched off to show that the others do not hold
 * without them. Only a build with RC_CLUSTER_MUTANTS (the simulator's) has the switches; in the
 * product every rule is a constant.
 */
#ifndef RC_CLUSTER_RULES_H
#define RC_CLUSTER_RULES_H

#include <stdint.h>

enum rc_rule {
    RC_RULE_READ_BACK,     /**< R12: own means that the claim was read back as valid. */
    RC_RULE_ACKED_START,   /**< R12: and that an append at or behind it was acknowledged. */
    RC_RULE_FENCE,         /**< R5: look before each act. */
    RC_RULE_PING,          /**< R4: a lease comes from pings only. */
    RC_RULE_PING_APPLIED,  /**< R4: and only when all that the answer covers is applied. */
    RC_RULE_LEASE_SENT,    /**< R4: it counts from when the ping was sent. */
    RC_RULE_CLAIM_SESSION, /**< F3: the claimant's session is current and open. */
    RC_RULE_CLAIM_PREV,    /**< F3: a claim names the generation that it follows. */
    RC_RULE_CLAIM_CLOSE,   /**< F3: a claim names the close that it rests on. */
    RC_RULE_CLOSE_WAIT,    /**< R9, R15: nothing is taken before D_close after a close. */
    RC_RULE_REOPEN,        /**< R6: after a close of the own session a new one is opened first. */
    RC_RULE_SILENCE,       /**< R8: silence is counted on one connection only. */
    RC_RULE_NONCE,         /**< R1: the last record is compared on each new connection. */
    RC_RULE_VERIFIED,      /**< R2: nothing counts on a connection before that. */
    RC_RULE_QUARANTINE,    /**< R10: no claims in the first D_close of a connection. */
    RC_RULE_FLOOR,         /**< R11: a generation is above all that were ever seen. */
    RC_RULE_WITNESS,       /**< R7: the position topic is read before start and resume. */
    RC_RULE_INCARNATION,   /**< F1: another process under a name owns nothing of the former. */
    RC_RULE_BEAT_VOID,     /**< F1: no beat opens a closed session again. */
    RC_RULE_DRAIN,         /**< R14: released is what was drained. */
    RC_RULES
};

#ifdef RC_CLUSTER_MUTANTS
extern uint64_t rc_cluster_rules_off; /**< Bits by enum rc_rule; one thread. */
#define RC_RULE_ON(rule) (!(rc_cluster_rules_off >> (rule)&1))
#else
#define RC_RULE_ON(rule) 1
#endif

#endif
