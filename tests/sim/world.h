/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The world of one run: brokers, workers, connections between them, units that are owned, faults.
 * What a worker decides is decided by src/cluster itself (member.c drives it); all else here is a
 * model: as much of TCP, of a broker and of a task as the promises depend on.
 *
 * Everything of a run lives in the engine's arena. A check that fails calls sim_fail(), and the run
 * ends there. One thread.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "engine.h"
#include "rules.h"

#include <stdio.h>

enum { WORKERS_MAX = 9, UNITS_MAX = 24, QUEUES_MAX = 3, BROKERS = 2, BATCH_MAX = 3, HOMES = 4 };

typedef struct sim sim;
typedef struct worker worker;
typedef struct conn conn;
typedef struct call call;
struct unit;
typedef struct running running;
typedef struct member member;

/* ---- network (net.c) ------------------------------------------------------------------------- */

/** One request on a connection: first member of a struct that has its arguments and its result. */
struct call {
    conn *conn;
    /** At the broker. Calls call_answer(), at once, later, or never. */
    void (*serve)(sim *s, call *c);
    /** At the worker, once: answered, or not any more (its connection is gone). */
    void (*done)(sim *s, call *c, bool answered);
    call *next, **at; /* Among those of the connection that wait. */
    bool waits;
};
/** A TCP connection. Either end may be closed without the other knowing. */
struct conn {
    worker *worker;
    uint64_t life; /* Of the worker's process. */
    int broker;
    int boot; /* Of the broker. */
    bool here, there;
    bool broken; /* Bytes are lost; a reset will follow. */
    bool membership;
    sim_time last; /* When the bytes written so far arrive: none overtakes another. */
    call *waiting;
    conn *next_open; /* Of those to this broker since it came up. */
};

sim_time net_latency(sim *s);
/** A new connection, or NULL: the broker cannot be reached. */
conn *net_connect(sim *s, worker *w, int broker);
/** Writes a request. `done` follows once, while the process lives. */
void net_send(sim *s, conn *c, call *request);
/** The worker closes: what waits is done(false), what is written may land still. */
void net_close(sim *s, conn *c);
/** The process is gone; its kernel goes on with what was written. */
void net_abandon(sim *s, conn *c);
/** The worker's end gets a reset; the broker's end gets one. */
void net_reset_worker(sim *s, conn *c);
void net_reset_broker(sim *s, conn *c);
void call_answer(sim *s, call *c);
/** A request on the worker's data connection to a broker, made when need be, with the time-out of a
 *  send, after which the connection is closed. */
void net_ask(sim *s, worker *w, int broker, call *request);
static inline bool net_open(const conn *c)
{
    return c && c->here;
}

typedef struct broker {
    int id;
    bool up;
    int boot;
    sim_time slow_until;
} broker;
/** Goes away for `span`; what was asked and not served is forgotten. */
void broker_restart(sim *s, broker *b, sim_time span, int lose);

/** The logs of ownership on it (home.c) forget pulls, and lose up to so many records. */
void home_down(sim *s, const broker *b, int lose);

/* ---- sets (sets.c) --------------------------------------------------------------------------- */

/** Room for one more in an array of the arena. */
void *sim_grow(sim *s, void *old, int count, int *cap, size_t size);

struct bits {
    uint64_t *word;
    int32_t words, end; /* end: 1 + the highest. */
};
bool bits_has(const struct bits *b, int32_t id);
void bits_add(sim *s, struct bits *b, int32_t id);

struct ids {
    int32_t *at;
    int count, cap;
};
static inline int32_t ids_at(const struct ids *list, int i)
{
    return list->at[i];
}
void ids_drop(struct ids *list, int count);
void ids_remove(struct ids *list, int i);
void ids_put_back(sim *s, struct ids *list, const int32_t *id, int count);

/* ---- units (unit.c) -------------------------------------------------------------------------- */

/** A message in a queue. */
struct stored {
    int64_t gen, seq;
    int32_t id; /* Identity; < 0: a barrier. */
};
struct queue {
    int broker;
    struct stored *at;
    int count, cap;
    int64_t gen_max; /* Highest generation that has landed. */
};
/** One record of the position topic. */
struct position {
    int64_t gen;
    int32_t upto; /* All identities below it are stored. */
    int32_t note[QUEUES_MAX];
    uint64_t life; /* Of the process that wrote it. */
};
/** What is known of a generation of a unit. */
struct generation {
    int64_t number;
    uint64_t life;
    int32_t id_max; /* Highest identity stored by it, -1 = none. */
    bool positioned, released, stopped /* not drained */;
    int64_t seq[QUEUES_MAX];      /* Last that landed in each queue. */
    int late[QUEUES_MAX];         /* Batches that landed after a newer generation's first. */
    int64_t repeated[QUEUES_MAX]; /* Batch that came after its queue was read back; 0 = none. */
    struct generation *next;
};
/**
 * What is owned as a whole: a task. That of a source writes to its queues; that of a sink writes to
 * its target, which keeps no generations, and its position is the offset it has committed.
 */
struct unit {
    int id;
    bool sink;
    int queues;
    int position_broker;
    struct queue queue[QUEUES_MAX];
    struct position *positions;
    int position_count, position_cap;
    struct bits stored;
    int32_t stored_upto; /* All below it are stored. */
    sim_time acked;      /* When an owner was last told that something is stored. */
    struct generation *generations;
};

struct append {
    call call;
    running *run;
    struct unit *unit;
    int queue;
    int64_t gen, seq;
    uint64_t life;
    int32_t id[BATCH_MAX];
    int count;      /* 0: a barrier. */
    int32_t offset; /* Result. */
    void *extra;
};
struct read {
    call call;
    running *run;
    struct unit *unit;
    int queue;
    int end; /* Up to where; result of the questions where it is. */
    void *extra;
};
struct write_position {
    call call;
    running *run;
    struct unit *unit;
    int known; /* Positions there were when the owner began. */
    struct position record;
};

void unit_init(struct unit *u, int id, bool sink, int queues);
void append_serve(sim *s, call *c);
void end_serve(sim *s, call *c);
void read_serve(sim *s, call *c);
void write_position_serve(sim *s, call *c);
void read_positions_serve(sim *s, call *c);
/** The one that counts among the first `count` positions; NULL = none. */
const struct position *position_best(const sim *s, const struct unit *u, int count);
/** The same, whatever rules are off. */
const struct position *position_highest(const struct unit *u, int count);
struct generation *unit_generation(const struct unit *u, int64_t number); /* NULL = never used. */
/** Highest generation of the first `count` positions that is above `gen` or another process'; -1 =
 *  none. */
int64_t unit_foreign(const struct unit *u, int count, int64_t gen, uint64_t life);
/** Its owner has stopped without settling; the log of ownership has taken its release. */
void unit_stopped(struct unit *u, int64_t gen);
void unit_released(sim *s, struct unit *u, int64_t gen, uint64_t life);
/** What holds at the end of a run: I6, and that there was something to see. */
void unit_check(sim *s, struct unit *u);

/** What readers of strict topics remember: below it nothing passes. */
struct rank {
    int64_t gen, seq;
};
bool rank_passes(const sim *s, struct rank *highest, const struct stored *m);

/* ---- workers (worker.c) ---------------------------------------------------------------------- */

struct held {
    engine_fn *fn;
    void *arg;
};
struct worker {
    int id;
    char name[16];
    bool alive, frozen;
    uint64_t life;      /* Of the process; another at each start. */
    double rate;        /* Of its boot-time clock. */
    sim_time wall;      /* Its real-time clock is this much ahead. */
    sim_time lag_until; /* What it reads of the log of ownership comes no earlier. */
    struct held *held;  /* What happens while the process stands still. */
    size_t held_count, held_cap;
    conn *data[BROKERS];
    running *run[UNITS_MAX];
    member *member;
    struct config_member *config; /* NULL: it is not part of this run. */
};

void worker_start(sim *s, worker *w);
void worker_start_after(sim *s, worker *w, sim_time delay);
void worker_kill(sim *s, worker *w);
void worker_freeze(sim *s, worker *w, sim_time span);
void worker_thaw(sim *s, worker *w, uint64_t life);
/** `fn` in this process after `delay`: never when it is gone by then, later when it stands still.
 */
void worker_after(sim *s, worker *w, sim_time delay, engine_fn *fn, void *arg);
/** `fn` is a write of `r` that the fence has just allowed. In the gap between both the process or
 * the thread may stand still. */
void worker_write(sim *s, running *r, engine_fn *fn, void *arg);
/** What its boot-time clock shows. */
sim_time worker_clock(const sim *s, const worker *w);

/* ---- tasks (task*.c) ------------------------------------------------------------------------- */

enum run_state { RUN_READ, RUN_NOTE, RUN_RESOLVE, RUN_RUN, RUN_DEAD };

struct placed {
    int32_t offset, id;
};
struct placed_list {
    struct placed *at;
    int count, cap;
};
/** A queue, as the owner of the unit sees it. */
struct lane {
    bool busy;           /* A send has no answer. */
    bool unresolved;     /* To be read back. */
    sim_time tail_until; /* On the worker's clock. */
    int32_t note, cover;
    struct ids retry;
    struct placed_list stored; /* Not behind the note yet. */
};
/** A unit in the hands of an owner. */
struct running {
    worker *worker;
    uint64_t life;
    struct unit *unit;
    int64_t gen, seq;
    enum run_state state;
    bool loops, draining, settled, committing;
    bool open;      /* Its fence. */
    int gaps;       /* Threads between fence check and write. */
    int unresolved; /* Lanes. */
    int known;      /* Positions there were when it began. */
    int32_t base, next, committed;
    struct bits acked, have;
    struct lane lane[QUEUES_MAX];
};

running *task_start(sim *s, worker *w, struct unit *u, int64_t gen);
/** Stops at once: nothing more is written but what is on its way. */
void task_stop(sim *s, running *r, const char *why);
/** Settles and commits everything, then member_drained(). */
void task_drain(sim *s, running *r);
/** A higher generation was seen: stops, and tells the machine. */
void task_outranked(sim *s, running *r, int64_t seen);

bool task_live(const running *r);
bool task_may_write(sim *s, const running *r);
/** Until when something that was written may still land. */
sim_time task_tail(const sim *s);
void task_loops(sim *s, running *r);
void task_append(sim *s, running *r, struct append *a, int q,
                 void (*done)(sim *s, call *c, bool answered));
void task_resolve(sim *s, running *r, int q, bool take_over);
void task_commit(sim *s, running *r);
void task_commit_loop(sim *s, running *r);
void task_write_position(sim *s, running *r, int32_t upto,
                         void (*done)(sim *s, call *c, bool answered), bool notes);
void lane_stored(sim *s, struct lane *lane, int32_t offset, int32_t id);
void lane_forget(struct lane *lane, int32_t below);

/* ---- membership (member.c): the state machine of the product --------------------------------- */

/** Retention: it takes what is old, but not the last two snapshots, which are far younger. */
void member_retention(sim *s);
/** Makes the first log of ownership, and who watches it. */
void member_world(sim *s);
void member_world_end(sim *s);
void member_start(sim *s, worker *w);
void member_gone(sim *s, worker *w);
void member_disconnected(sim *s, conn *c);
bool member_may_write(sim *s, worker *w, const running *r);
void member_started(sim *s, worker *w, struct unit *u, int64_t gen);
void member_drained(sim *s, worker *w, struct unit *u, int64_t gen);
void member_seen_higher(sim *s, worker *w, struct unit *u, int64_t mine, int64_t seen);
/** A record has come to a log of ownership; one has lost its end. */
void member_appended(sim *s, int home, rc_slice bytes);
void member_truncated(sim *s, int home);
void member_free(worker *w);
conn *member_conn(const worker *w); /* NULL = none. */
/** Leaves as it does before it is stopped; gives its units away, or takes part again. */
void member_leave(sim *s, worker *w);
void member_drain(sim *s, worker *w, bool on);
/** Moves the log of ownership to another broker. */
void member_move_home(sim *s, worker *w);
/** What holds at the end of a run of all members together. */
void member_check(sim *s);
/** Others may be told that `w` has gone: late, or not at all. */
void hint_gone(sim *s, worker *w, bool lossy);

/* ---- configurations (config.c): the table that workers share, of the product ------------------
 */

void config_world(sim *s);
void config_start(sim *s, worker *w);
void config_gone(worker *w);
void config_check(sim *s);

/* ---- a run (run.c, faults.c, mixes.c) -------------------------------------------------------- */

enum fault {
    FAULT_KILL,
    FAULT_FREEZE,
    FAULT_PARTITION,
    FAULT_RESET,
    FAULT_RESTART,
    FAULT_HINT,
    FAULT_LAG,
    FAULT_SLOW,
    FAULT_CLOCK,
    FAULT_LEAVE, /* A worker leaves and comes back, or gives its units away for a while. */
    FAULT_GAP,   /* Between fence check and write; not by the die, but by chance per write. */
    FAULTS
};
extern const char *const fault_name[FAULTS];

enum data_mode { DATA_ANY, DATA_AT_LEAST_ONCE, DATA_EXACTLY_ONCE, DATA_STRICT };

/** What a run may meet, and how often: weights of faults, and their number. */
typedef struct mix {
    const char *name, *about;
    int faults;
    int weight[FAULTS];
    bool gap;       /* Threads stand still between fence check and write. */
    bool busy;      /* Brokers often keep what has arrived for up to Q. */
    bool long_tail; /* What is written lands up to 5 s late. */
    int loss;       /* Restarts of the home lose its end: 1 also what was acknowledged, 2 only the
                       rest; up to loss_max records. */
    int loss_max;
    bool many;      /* Up to WORKERS_MAX workers. */
    bool snapshots; /* Small ones, often, and retention. */
    int moves;      /* Of the home. */
    bool outage;    /* All brokers are away for some seconds, and nothing else happens. */
    bool extra;     /* Only when asked for: more than what is promised to be survived. */
    enum data_mode mode;
} mix;
const mix *mix_find(const char *name);
extern const mix mixes[];
extern const int mix_count;

struct times {
    sim_time suspend, ping, margin, session, beat;
    sim_time user_timeout, broker_queue, send_timeout, pace, commit, recent;
    sim_time heal, end;
};

struct sim {
    engine engine;
    uint64_t seed;
    const mix *mix;
    uint64_t off; /* Rules, by number. */
    bool tracing;
    FILE *trace;
    struct times times;
    bool calm; /* Healed: no faults any more. */
    bool exactly_once, strict;
    int worker_count, unit_count;
    uint64_t lives;
    worker worker[WORKERS_MAX];
    broker broker[BROKERS];
    conn *open[BROKERS];
    sim_time cut_until[WORKERS_MAX][BROKERS];
    struct unit unit[UNITS_MAX];
    struct home *home[HOMES];
    struct observer *observer;
    struct config_log *configs; /* NULL: not part of this run. */

    char failure[512];
    const char *invariant; /* NULL: all hold. */
    uint64_t faults[FAULTS];
    uint64_t claims_before; /* The outage. */
    uint64_t claims, late, batches, starts, releases, witnessed, doubled, lost, moves;
    uint64_t exits[8]; /* Of processes that ended themselves, by rc_member_exit. */
    uint64_t configs_written, configs_refused;
};

void sim_init(sim *s);
void sim_release(sim *s);
/** One run from its seed; true when everything held. */
bool sim_run(sim *s, uint64_t seed, const mix *m, uint64_t off);

void sim_fail(sim *s, const char *invariant, const char *fmt, ...) OMC_PRINTF(3, 4);
void sim_say(sim *s, const char *fmt, ...) OMC_PRINTF(2, 3);
#define sim_trace(s, ...)            \
    do {                             \
        if ((s)->tracing)            \
            sim_say(s, __VA_ARGS__); \
    } while (0)
static inline bool rule_off(const sim *s, enum rule rule)
{
    return (s->off >> rule & 1) != 0;
}

void faults_plan(sim *s);
void faults_heal(sim *s);

#endif
