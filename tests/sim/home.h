/* SPDX-License-Identifier: Apache-2.0 */
/** The log of ownership at its home: one queue on one broker. It keeps bytes and knows no records.
 */
#ifndef SIM_HOME_H
#define SIM_HOME_H

#include "world.h"

enum { PULL_MAX = 32, PULL_LEAST = -1, PULL_RECENT = -2 };

enum outcome { STORED, STORED_WEAK /* Not flushed in time. */, STORED_NOT };

struct append_home {
    call call;
    int home;
    rc_slice bytes;
    int64_t offset; /* Result, with the outcome. */
    enum outcome outcome;
};
struct end_home {
    call call;
    int home;
    int64_t end; /* Result: where the next record goes. */
};
struct pull_home {
    call call;
    int home;
    int64_t from;
    enum { PULL_FOUND, PULL_BEYOND, PULL_BELOW } outcome;
    int64_t least, end;
    int count; /* Result: records from `from` on. */
    rc_slice record[PULL_MAX];
    struct home *hold; /* Waits there for a record. */
    struct pull_home *next;
};
/** A log of its own on a broker; numbers are dealt out by the caller, from 0. */
void home_make(sim *s, int number, int on);
int home_broker(const sim *s, int number);
int64_t home_count(const sim *s, int number); /* 0 also when there is none. */
rc_slice home_record(const sim *s, int number, int64_t offset);
/** Retention takes what is below an offset and was stored before a time. */
void home_trim(sim *s, int number, int64_t below, sim_time stored);
void append_home_serve(sim *s, call *c);
void end_home_serve(sim *s, call *c);
void pull_home_serve(sim *s, call *c);

#endif
