/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Who runs what: pure functions from members, units and their present owners to an owner per unit.
 * Every worker computes the same from the same facts, in whatever order they are handed in: whole
 * numbers only, ties are broken by names.
 *
 * What holds of the outcome:
 * - A unit is only given to a member that counts: present, not draining, with all labels that the
 *   unit requires. A unit that nobody may run has no owner, and `why` says so.
 * - Of units of one weight the load per member weight is as even as the labels allow: moving one
 *   more would not help, also not along a chain of members. For equal members without labels that
 *   is a difference of at most one unit. Unequal units are moved only where loads differ by more
 *   than their weight and more than a tenth of the mean load, or the heaviest unit if that is less.
 * - Of all outcomes as even as that it moves few: as few as possible when units weigh the same.
 *   A join moves the newcomer's share and no more, a leave what the leaver had.
 * - The units of one connector are spread over members where that costs no further move.
 *
 * How long an absent member still counts is the caller's business.
 *
 * Cost: O(units + members x sets), sets being the different sets of members that units may run
 * on; 100,000 units on 1,000 members take some ten milliseconds. Memory: about 50 bytes per unit
 * and 8 bytes per member and set, freed before the function returns, but for the result.
 * Any thread; nothing is kept between calls.
 */
#ifndef RC_CLUSTER_ASSIGN_H
#define RC_CLUSTER_ASSIGN_H

#include "base/buf.h"
#include "config/labels.h"

#define RC_ASSIGN_MEMBERS_MAX 10000
#define RC_ASSIGN_UNITS_MAX 1000000
#define RC_ASSIGN_WEIGHT_MAX 1000 /**< Of a member and of a unit; the least is 1. */
#define RC_ASSIGN_SETS_MAX 256    /**< Different sets of members that units may run on. */
#define RC_ASSIGN_NOBODY (-1)
#define RC_ASSIGN_CONNECTOR (-1) /**< `task` of the unit that is the connector itself. */

enum rc_member_flags {
    RC_MEMBER_ABSENT = 1,   /**< Left, closed, or silent for too long: runs nothing. */
    RC_MEMBER_DRAINING = 2, /**< Gives everything away, gets nothing. */
};

typedef struct rc_member {
    const char *name;   /**< Unique. */
    const char *labels; /**< As rc_labels_parse makes them; NULL or "" = none. */
    uint32_t weight;    /**< Capacity beside others, 1 to RC_ASSIGN_WEIGHT_MAX. */
    uint32_t flags;     /**< enum rc_member_flags */
} rc_member;

typedef struct rc_unit {
    const char *connector; /**< With `task` unique. */
    int32_t task;          /**< Number, or RC_ASSIGN_CONNECTOR. */
    int32_t owner;         /**< Index of its owner in the members, or RC_ASSIGN_NOBODY. */
    uint32_t weight;       /**< 1 to RC_ASSIGN_WEIGHT_MAX. */
    const char *requires;  /**< Labels that a member must have, as rc_labels_parse makes them. */
} rc_unit;

/** All borrowed until the call returns; rc_assigned refers to none of it. */
typedef struct rc_assign_input {
    const rc_member *members;
    size_t member_count;
    const rc_unit *units; /**< Fastest when sorted by connector and task. */
    size_t unit_count;
} rc_assign_input;

/** Why a unit is where it is. Those from RC_WHY_PLACED to RC_WHY_BALANCE are moves. */
typedef enum rc_why {
    RC_WHY_KEPT,     /**< It was there, and that is balanced. */
    RC_WHY_PLACED,   /**< Nobody had it. */
    RC_WHY_LEFT,     /**< Its owner is absent. */
    RC_WHY_DRAINED,  /**< Its owner is draining. */
    RC_WHY_LABELS,   /**< Its owner lacks labels that it requires. */
    RC_WHY_BALANCE,  /**< Its owner had more than its share. */
    RC_WHY_EMPTY,    /**< No owner: no member counts. */
    RC_WHY_UNFIT,    /**< No owner: no member that counts has the labels. */
    RC_WHY_TOO_MANY, /**< No owner: more than RC_ASSIGN_SETS_MAX different sets of members. */
    RC_WHY_COUNT
} rc_why;

/** The outcome; in the order of the input's units and members. */
typedef struct rc_assigned {
    int32_t *owner; /**< [unit_count] index of a member, or RC_ASSIGN_NOBODY. */
    uint8_t *why;   /**< [unit_count] rc_why */
    uint64_t *load; /**< [member_count] sum of the weights of its units. */
    size_t unit_count;
    size_t member_count;
    size_t count[RC_WHY_COUNT]; /**< Units per reason. */
    uint32_t weight_max;        /**< Of the units. */
    size_t bytes;               /**< Most memory held during the call. */
    bool cut; /**< Balancing ended at its limit of work: a call with the outcome goes on. */
} rc_assigned;

/**
 * Computes the assignment.
 * @param ret  Release with rc_assigned_release(). Set on success only.
 * @return 0; -OMC_EINVAL when a name is missing or comes twice, or a number is out of its range;
 *         -OMC_ENOMEM above RC_ASSIGN_MEMBERS_MAX or RC_ASSIGN_UNITS_MAX. The error names the
 *         member or unit.
 */
int rc_assign(const rc_assign_input *in, rc_assigned *ret, rc_error *err);

/** Frees what rc_assign or rc_assign_queues made; a zeroed one is allowed. */
void rc_assigned_release(rc_assigned *assigned);

/** Whether the unit changes its owner or loses it: to be handed over or to be started. */
static inline bool rc_assigned_moved(const rc_assign_input *in, const rc_assigned *assigned,
                                     size_t unit)
{
    return in->units[unit].owner != assigned->owner[unit];
}

/* ---- queues of sinks ------------------------------------------------------------------------- */

/** A queue that a sink connector reads. */
typedef struct rc_queue_unit {
    const char *topic; /**< With `queue` unique. */
    int32_t queue;     /**< Place in the topic's list of queues, >= 0. */
    int32_t task;      /**< The task that has it now, or RC_ASSIGN_NOBODY. A number that is not
                            below the count of tasks is a task that is gone. */
} rc_queue_unit;

/**
 * Deals the queues of the topics of one sink connector to its tasks by the same rules: numbers of
 * queues differ by at most one, queues of one topic are spread where that costs no further move,
 * more queues or tasks move the least. Without present owners queue q of the only topic belongs to
 * task q % tasks.
 * @param tasks  1 to RC_ASSIGN_MEMBERS_MAX.
 * @param ret    `owner` is the task of each queue, `why` its reason. What differs from
 *               rc_queue_unit.task has to be handed over, one queue after the other: flush, commit,
 *               release, and only then the other task starts.
 * @return As rc_assign.
 */
int rc_assign_queues(const rc_queue_unit *queues, size_t count, size_t tasks, rc_assigned *ret,
                     rc_error *err);

/* ---- explain --------------------------------------------------------------------------------- */

/** Name of a reason for JSON: "kept", "placed", "left", ... */
const char *rc_why_name(rc_why why);

/** One member as a place for a unit. */
typedef struct rc_candidate {
    int32_t member;      /**< Index in the input. */
    uint64_t load;       /**< After the assignment. */
    bool fits;           /**< Counts, and has the labels; else `why_not` says what is wrong. */
    const char *why_not; /**< "absent", "draining", "labels"; NULL when it fits. */
} rc_candidate;

typedef struct rc_explained {
    rc_why why;
    int32_t from;             /**< Owner before, or RC_ASSIGN_NOBODY. */
    int32_t owner;            /**< Owner now, or RC_ASSIGN_NOBODY. */
    rc_candidate *candidates; /**< All members, in the input's order; from the arena. */
    size_t candidate_count;
    size_t fit_count;
    const char *text; /**< One or two sentences for people; from the arena. */
} rc_explained;

/**
 * Says why unit `unit` is where it is. `assigned` is the outcome for `in`.
 * @param ret  Lives as long as the arena.
 */
void rc_assign_explain(const rc_assign_input *in, const rc_assigned *assigned, size_t unit,
                       omc_arena *arena, rc_explained *ret);

/**
 * One line on what an assignment moves: "110 of 1,000 units move: 100 because their worker left,
 * 10 for balance; 890 stay". Appended to `out`.
 */
void rc_assign_summary(const rc_assigned *assigned, rc_buf *out);

#endif
