/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What the workers of a cluster share: configurations, target states, task configurations and
 * states, as records of two topics in the Java runtime's format, and the fold that makes a table
 * of them. Pure: no clock, no network, no thread; the same records in the same order give the
 * same table everywhere, so a simulator can run it.
 *
 * Every record of ours about a connector has a *rank*: the connector's rank before it, plus one.
 * Of two workers that write at the same time the first in the log has the rank; the other's record
 * has one that is taken, and is void for everybody. A record that is written *again* (before
 * retention removes it, or behind a void one) has the rank of what it repeats.
 *
 * Records without a rank are the Java runtime's and go by its rule: the newer epoch wins. Their
 * rank is their epoch, if that is higher, so readers agree on it who have not seen the same past.
 *
 * A deleted connector stays in the table for ever, as a rank and an epoch: what was written
 * before the deletion and arrives after it is void.
 */
#ifndef RC_STORE_SHARED_H
#define RC_STORE_SHARED_H

#include "store/store.h"

/** Connectors, deleted ones included; records of more are ignored (RC_FOLD_FULL). */
#define RC_SHARED_CONNECTORS_MAX 100000
/** States of connectors and tasks. */
#define RC_SHARED_STATES_MAX 1000000
/** Task configurations of one connector. */
#define RC_SHARED_TASKS_MAX 10000

typedef enum rc_shared_kind {
    RC_SHARED_NONE = 0, /**< Nothing of ours: a signal, a Java task record, damage. */
    RC_SHARED_CONFIG,   /**< Configuration and target state of a connector: all there is. */
    RC_SHARED_TARGET,   /**< Its target state alone. */
    RC_SHARED_DELETED,
    RC_SHARED_TASKS, /**< The configurations of all its tasks. */
    RC_SHARED_STATE  /**< The state of the connector or of one task. */
} rc_shared_kind;

/** One record. Slices and configurations are borrowed, each from where the function says. */
typedef struct rc_shared_record {
    rc_shared_kind kind;
    rc_slice connector;
    /** CONFIG, TARGET, DELETED: see above; 0 = a Java runtime's record. */
    int64_t rank;
    bool again;             /**< Repeats what is known. */
    int64_t epoch;          /**< Wall time in ms, for the Java runtime; STATE: its "generation". */
    int64_t version;        /**< CONFIG, DELETED: after it; TASKS: what they were made from. */
    int64_t incarnation;    /**< CONFIG, TARGET, DELETED, TASKS. */
    rc_target_state target; /**< CONFIG, TARGET */
    const omc_keyvalue *config; /**< CONFIG */
    /** TASKS, STATE: of the owner who wrote it, and a count of its own. -1 = none (Java). */
    int64_t generation;
    int64_t number;
    const omc_keyvalue *const *tasks; /**< TASKS, whole configurations in order of ids. */
    size_t task_count;
    int task;         /**< STATE: id; -1 = the connector. */
    rc_slice java;    /**< STATE: RUNNING PAUSED FAILED UNASSIGNED DESTROYED */
    rc_slice state;   /**< STATE: ours; base NULL = the same as `java`. */
    rc_slice trace;   /**< STATE: base NULL = none. */
    rc_slice worker;  /**< STATE */
    rc_slice written; /**< "<writer>.<count>" of who wrote it; base NULL = none (Java). */
} rc_shared_record;

/** A connector of the table; what it points to is valid until the next fold. */
typedef struct rc_shared_connector {
    const char *name;
    bool deleted;
    rc_target_state target;
    const omc_keyvalue *config; /**< NULL when deleted. */
    int64_t version, incarnation, changed_ms;
    int64_t rank;               /**< A writer's next record has this plus one. */
    int64_t epoch;              /**< Highest of all its records, void ones too. */
    int64_t config_epoch;       /**< Of the record that gave the configuration. */
    int64_t generation, number; /**< Of the tasks; -1 = no tasks known. */
    int64_t tasks_version;
    const omc_keyvalue *const *tasks;
    size_t task_count;
} rc_shared_connector;

typedef struct rc_shared_state {
    const char *connector;
    int task; /**< -1 = the connector. */
    const char *java, *state, *trace /* NULL = none */, *worker;
    int64_t epoch, generation;
    int64_t stored_ms;
} rc_shared_state;

typedef struct rc_shared rc_shared; /**< The table. Not thread-safe. */

rc_shared *rc_shared_new(void);
void rc_shared_free(rc_shared *shared); /**< NULL is allowed. */

typedef enum rc_fold_result {
    RC_FOLD_NONE,    /**< No record of these kinds, or of nothing that is known. */
    RC_FOLD_APPLIED, /**< The table has changed. */
    RC_FOLD_SAME,    /**< Says what is known already. */
    RC_FOLD_VOID,    /**< Too late: changes nothing, for nobody. */
    RC_FOLD_FULL     /**< Would exceed a limit of above: ignored. */
} rc_fold_result;

/** The next record of the log. `stored_ms`: when the broker stored it. Copies what it keeps. */
rc_fold_result rc_shared_fold(rc_shared *shared, const rc_shared_record *record, int64_t stored_ms);

/** NULL when no record named it; also gives deleted ones. */
const rc_shared_connector *rc_shared_find(rc_shared *shared, const char *name);
/** All, deleted ones too, by name, until `each` returns non-zero, which is then returned. `each`
 *  must not fold. */
int rc_shared_each(rc_shared *shared, int (*each)(void *arg, const rc_shared_connector *connector),
                   void *arg);
/** State of a connector (task -1) or task; NULL = none. */
const rc_shared_state *rc_shared_state_find(rc_shared *shared, const char *name, int task);
int rc_shared_each_state(rc_shared *shared, int (*each)(void *arg, const rc_shared_state *state),
                         void *arg);

/**
 * Decides a conditional write of a configuration before it is sent, as the other stores do.
 * @param expected  Version it must have now; 0 = must not exist; -1 = whatever.
 * @return 0 or -OMC_ESTATE naming both.
 */
int rc_shared_check(rc_shared *shared, const char *name, int64_t expected, rc_error *err);
/** Fills rank, epoch, version, incarnation, kind and name of the next record; the caller adds the
 *  rest. `kind`: CONFIG, TARGET or DELETED. TARGET and DELETED need a live connector. */
void rc_shared_next(rc_shared *shared, rc_shared_kind kind, const char *name, int64_t now_ms,
                    rc_shared_record *ret);

/** What was folded so far is not in the log any more: all of it has to be written again, but for
 *  what is folded from now on. */
void rc_shared_forget_log(rc_shared *shared);
/**
 * Takes over what another table, of a file, knows better of connectors: by their ranks, and where
 * these are equal `from` is right, since it may have seen more of the log. It has to be written
 * again then.
 * @param only_new  Only connectors that `to` does not know at all.
 * @return how many connectors.
 */
int rc_shared_merge(rc_shared *to, rc_shared *from, bool only_new);

/* ---- writing again ----------------------------------------------------------------------------
 */

/** What is to be written again, and why. */
typedef enum rc_again_why {
    RC_AGAIN_OLD,    /**< Stored before `before_ms`: retention will remove it. */
    RC_AGAIN_SPOILED /**< A void record lies behind it, which compaction or a Java runtime would
                          take for the last word. */
} rc_again_why;
typedef void rc_again_fn(void *arg, const rc_shared_record *record, rc_again_why why);
/**
 * Calls `each` with every record that must be written again, in the order in which to write them;
 * borrowed from the table, which must not be folded meanwhile. `only`: of this connector; NULL =
 * of all. INT64_MAX = everything.
 * @return how many.
 */
size_t rc_shared_again(rc_shared *shared, const char *only, int64_t before_ms, int64_t now_ms,
                       rc_again_fn *each, void *arg);

RC_DEFINE_CLEANUP(rc_shared, rc_shared_free)

#endif
