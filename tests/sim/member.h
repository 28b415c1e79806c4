/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A process as a member: the product's state machine, and what its caller has to do for it. The
 * caller's part is what a worker's control thread will do: it performs actions, keeps the lease and
 * the fences that tasks look at, and tells what came of it.
 */
#ifndef SIM_MEMBER_H
#define SIM_MEMBER_H

#include "home.h"

#include "cluster/member.h"

struct member {
    sim *s;
    worker *worker;
    uint64_t life;
    uint64_t incarnation;
    rc_membership *machine;
    uint64_t number;   /* Of the connection. */
    uint64_t reads;    /* Reads asked for: the last one counts. */
    conn *conn;        /* NULL = none. */
    int home;          /* Number of the log. */
    int64_t until_ms;  /* Of the lease. */
    int64_t wanted_ms; /* When a task asked for it last. */
    sim_time tick_at;  /* Of the next tick that was asked for; 0 = none. */
    uint64_t ticks;
    int64_t compared; /* Position up to which its fold was compared with others'. */
    bool pumping;
};

/** Performs what the machine wants; after every event. */
void member_pump(member *m);
int64_t member_now(const member *m); /* Its clock, in milliseconds. */
struct unit *member_unit(sim *s, rc_unit_id id);
rc_unit_id member_unit_id(const struct unit *u);

/* ---- the log (member_log.c) ------------------------------------------------------------------ */

void log_connect(member *m, uint64_t number);
void log_disconnect(member *m, uint64_t number);
void log_read(member *m, int64_t offset);
void log_ping(member *m, uint64_t id);
void log_append(member *m, uint64_t id, rc_slice body);
void log_move(member *m, int64_t epoch, int on);

/* ---- what must be the same for all (member_check.c) ------------------------------------------ */

void members_compare(member *m);

#endif
