/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Inside of lanes, shared by lane.c (lanes, their parcels, order), lane_send.c (one send and its
 * answer) and lane_retry.c (what happens when it was not stored). I/O thread.
 */
#ifndef RMQ_LANE_IMPL_H
#define RMQ_LANE_IMPL_H

#include "base/clock.h"
#include "rocketmq/lane.h"

/** Parcels of one send: what one writev can take, with the header. */
#define RMQ_SEND_PARTS_MAX 512
/** Lanes kept when idle; beyond that a lane goes when it has nothing left to do. */
#define RMQ_LANES_KEPT 4096
/** a to h, then i (properties) or m (batch), then n. */
#define RMQ_SEND_FIELDS 10

typedef struct rmq_lane rmq_lane;

enum rmq_send_state {
    RMQ_SEND_READY,     /**< Goes out at due_ns. */
    RMQ_SEND_UNDER_WAY, /**< Not answered. */
    RMQ_SEND_DOUBTFUL,  /**< Outcome unknown; what left us may still be stored until due_ns. */
    RMQ_SEND_REPORTED,  /**< unknown_outcome() has been told. */
    RMQ_SEND_STORED,    /**< Told to the owner when all before it are. */
    RMQ_SEND_FAILED
};

/** Parcels that went, or go, to the broker in one request. */
typedef struct rmq_send {
    struct rmq_send *prev, *next;
    rmq_lane *lane;
    enum rmq_send_state state;
    rmq_parcel *parcels;
    uint32_t parcel_count;
    uint32_t messages;
    size_t bytes;
    int64_t due_ns;
    int64_t first_try_ns; /**< 0 = not tried. */
    int64_t back_off_ms;  /**< The last one. */
    int64_t gate_ms;      /**< The last pause before a closed gate; 0 = it was open. */
    int tries;
    bool doubt;         /**< Some try may have been stored. */
    bool dropped;       /**< At close: its connection has been closed. */
    int64_t connection; /**< rmq_remote_since() when it was sent. */
    char address[RMQ_ADDRESS_MAX];
    rc_error err; /**< Why it was not stored by the last try. */
} rmq_send;

/** What people are told about a broker, for all lanes to it together. */
typedef struct rmq_lane_broker {
    UT_hash_handle hh;
    int in_way;        /**< Lanes that something is in the way of. */
    bool trouble;      /**< One of them for more than a second. */
    int64_t since_ns;  /**< When the first was stopped. */
    int64_t said_ns;   /**< When the log was told last; 0 = never. */
    int64_t again;     /**< Sends tried again since then, */
    int64_t again_all; /**< and since since_ns. */
    char name[];
} rmq_lane_broker;

struct rmq_lane {
    UT_hash_handle hh;
    rmq_lanes *set;
    rmq_lane_broker *to;
    rmq_lane *next_dirty;
    bool dirty;
    bool asking; /**< A route is asked for; the lane stays until the answer. */
    bool asked;  /**< It has been asked for at least once. */
    bool soon;   /**< To be pumped by the next turn of the loop. */
    int busy;    /**< Calls into the owner or the remote are on the stack: the lane stays. */
    int32_t queue_id;
    char *key; /**< Topic, NUL, broker, NUL, queue id; behind the lane in its allocation. */
    const char *topic, *broker;
    rmq_parcel *waiting;
    rmq_send *sends; /**< In order; at most `window`. */
    int send_count;
    uint32_t alone; /**< So many parcels go alone: the broker refused them together. */
    bool alone_doubt;
    rc_loop_timer *timer; /**< Made when first needed. */
    /* What is in the way: */
    char *route_why;                   /**< Last error of the name server; NULL = none. */
    char *trouble;                     /**< In the way for more than a second; NULL = nothing. */
    int64_t in_way_ns;                 /**< Since when; 0 = nothing. */
    rmq_field fields[RMQ_SEND_FIELDS]; /**< Template: few of them change from send to send. */
    char queue_text[12], sys_flag_text[12], born_text[24], flag_text[12];
};

struct rmq_lanes {
    rmq_client *client;
    rmq_lanes_config config;
    char *who, *group, *create_from;
    rmq_lane *lanes;
    rmq_lane_broker *brokers; /**< Kept: there are few. */
    uint64_t random;
    rmq_lane *dirty;    /**< Have got parcels and are not pumped yet. */
    rmq_lane *troubled; /**< Whose text the owner was told last; NULL = none. */
    bool closing;
    int busy; /**< Lanes are walked: the set stays. */
    void (*closed)(void *arg);
    void *closed_arg;
    rc_loop_timer *close_timer;
    pthread_mutex_t mu; /* protects: */
    rmq_parcel *inbox;  /**< Submitted and not yet in lanes. */
    bool posted;
};

/* ---- lane.c ---- */

/** rmq_lanes_submit() without a detour: I/O thread, not from a callback of the lanes. */
void rmq_lanes_submit_now(rmq_lanes *lanes, rmq_parcel *list);
/** Sends what can be sent, tells what is done, sets the timer. May free the lane. */
void rmq_lane_pump(rmq_lane *lane);
/** The same, soon and from the loop. */
void rmq_lane_pump_soon(rmq_lane *lane);
/** "topic T, queue 3 of broker-0" */
const char *rmq_lane_name(const rmq_lane *lane, char out[320]);
/** Puts the parcels of a send back to the front, each to go alone. Frees the send. */
void rmq_lane_split(rmq_send *send);

/* ---- lane_send.c ---- */
void rmq_lane_template(rmq_lane *lane);
/** Sends it now, or decides when to try again. */
void rmq_send_try(rmq_send *send);

/* ---- lane_retry.c ---- */
enum rmq_later { RMQ_LATER_BUSY, RMQ_LATER_AWAY };
/** Not stored, for the reason in send->err: tries again after a pause, or fails when the delivery
 *  timeout is over. */
void rmq_send_later(rmq_send *send, enum rmq_later kind);
/** The gate is closed: looks again soon. Shut: fails. */
void rmq_send_gated(rmq_send *send);
/** No answer: what left us may be stored, now or later. */
void rmq_send_doubt(rmq_send *send);
/** The pause is over. */
void rmq_send_due(rmq_send *send);
/** Stored, but not as promised. */
void rmq_send_weak(rmq_send *send);
void rmq_send_fail(rmq_send *send);
/** Asks the name server for where the broker is now. */
void rmq_lane_reroute(rmq_lane *lane);
/** Nothing is in the way any more. */
void rmq_lane_clear(rmq_lane *lane);

static inline int64_t rmq_lane_now_ns(void)
{
    return rc_mono_ns(rc_clock_real());
}

#endif
