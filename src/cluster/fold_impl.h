/* SPDX-License-Identifier: Apache-2.0 */
/** The inside of a fold, shared by fold.c and fold_snap.c. */
#ifndef RC_FOLD_IMPL_H
#define RC_FOLD_IMPL_H

#include "cluster/fold.h"

struct rc_fold {
    rc_fold_watch watch;
    int64_t next;
    int64_t epoch;
    bool begun;
    bool moved; /* Carried over from the last epoch; the genesis has to agree, and comes next. */
    bool foreign;
    char *cluster;
    int64_t sealed_epoch; /* 0 = it is not. */
    char *sealed_home;
    rc_fold_worker *workers;
    rc_fold_unit *units;
    uint64_t hash;
    uint64_t history[RC_FOLD_HISTORY]; /* Before each of the last records, by position. */
    int64_t history_from;              /* First position that is in it. */
};

rc_fold_worker *rc_fold_add_worker(rc_fold *fold, const char *name);
rc_fold_unit *rc_fold_add_unit(rc_fold *fold, const char *connector, int32_t number);
void rc_fold_set_about(rc_fold_worker *worker, const rc_own_about *about);
void rc_fold_set_owner(rc_fold_unit *unit, rc_fold_worker *owner);
/** Brings the hash of an entry, and that of the fold, up to date after a change of it. */
void rc_fold_hash_worker(rc_fold *fold, rc_fold_worker *worker);
void rc_fold_hash_unit(rc_fold *fold, rc_fold_unit *unit);

#endif
