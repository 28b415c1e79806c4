/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The parts of a consumer and who may touch them.
 *
 * A *tap* is one queue that is read (tap.c). Its pulls are sent and answered on the I/O thread
 * (puller.c); a reply becomes a *portion* that waits at the tap until the application's thread
 * decodes it (fetch.c; ready.c wakes it up). Control (add, seek, rebalance) runs on the I/O thread
 * too, so that a pull under way and its queue are never changed by two threads. What both threads
 * see is under `mu`, which is held for a few list operations only.
 *
 * A pull cannot be called back once it is sent. Who does not want its answer any more forgets it
 * (rmq_pull.tap == NULL, or stale): the answer is then dropped whenever it comes.
 */
#ifndef RMQ_CONSUMER_IMPL_H
#define RMQ_CONSUMER_IMPL_H

#include "base/queue.h"
#include "rocketmq/client_impl.h"

#include <pthread.h>

/** Forgotten pulls of one queue that may be unanswered; the next pull waits for one of them. */
#define RMQ_STALE_MAX 8
#define RMQ_BACKOFF_MIN_MS 100
#define RMQ_BACKOFF_MAX_MS 2000
/** A slave that refused or cannot be reached is not tried for so long. */
#define RMQ_SLAVE_AGAIN_MS 30000
/** Wish for the size of one reply; at least one message comes anyway. */
#define RMQ_PULL_BYTES_MAX ((size_t)1 << 20)
/** Longest filter expression: it goes along in every pull. */
#define RMQ_EXPRESSION_MAX 8192

/* ---- subscriptions (subscription.c) ---------------------------------------------------------- */

/** What is wanted of a topic. Immutable; reference counted under the consumer's `mu`. */
typedef struct rmq_subscription {
    struct rmq_subscription *prev, *next;
    int refs;
    char *topic; /**< As the application says it. */
    char *wire;  /**< With the namespace. */
    enum rmq_filter filter;
    char *expression;
    char version[24]; /**< subVersion: fixed, so that pulls never run ahead of heartbeats (§5). */
    char **tags;      /**< Empty: no check by tag. */
    size_t tag_count;
    bool retry; /**< %RETRY%group */
} rmq_subscription;

/** @return -OMC_EINVAL (an expression without a tag, or too long). */
int rmq_subscription_new(const rmq_client *client, const char *topic, enum rmq_filter filter,
                         const char *expression, rmq_subscription **ret, rc_error *err);
void rmq_subscription_free(rmq_subscription *sub);
/** The broker compares hash codes of tags only; here the tags themselves. */
bool rmq_subscription_wants(const rmq_subscription *sub, const rmq_message *message);
/** SubscriptionData of heartbeats and of 46; a new reference. */
json_t *rmq_subscription_json(const rmq_subscription *sub);

/* ---- taps ------------------------------------------------------------------------------------ */

typedef struct rmq_tap rmq_tap;

/** A pull that is sent. I/O thread. */
typedef struct rmq_pull {
    struct rmq_pull *prev, *next; /**< Of the tap. */
    rmq_tap *tap;                 /**< NULL: nobody waits for it. */
    int64_t offset;
    bool stale;    /**< The tap has been moved since. */
    bool at_slave; /**< Sent to an address that is not the master's. */
} rmq_pull;

/** A reply that has not been decoded yet. */
typedef struct rmq_portion {
    struct rmq_portion *next;
    rmq_block *block;
    rc_slice body; /**< What is still to be decoded. */
    size_t charge; /**< Bytes it counts in the budget. */
    int64_t next_offset, min_offset, max_offset, delta;
} rmq_portion;

/** What rmq_fetch.internal points to. */
typedef struct rmq_handed {
    struct rmq_handed *prev, *next; /**< Of the tap's `handed`, oldest first. */
    rmq_tap *tap;
    rmq_block *block;
    size_t charge;
    int64_t next_offset;
    bool released;
    rmq_message *messages;
    size_t cap;
    rc_arena arena;
} rmq_handed;

#define RMQ_PULL_FIELDS 13
/** The fields of a pull as they are sent; texts are the tap's or the consumer's. */
typedef struct rmq_pull_form {
    rmq_field fields[RMQ_PULL_FIELDS];
    char queue_id[12];
    char offset[24];
} rmq_pull_form;

struct rmq_tap {
    UT_hash_handle hh;
    char *key;
    rmq_consumer *consumer;
    rmq_subscription *sub;
    rmq_queue queue; /**< Topic as the application says it. */
    int refs;        /**< mu: the consumer's table and handed messages. */

    /* I/O thread */
    rmq_pull *pull;  /**< The one whose answer counts. */
    rmq_pull *pulls; /**< All that are unanswered. */
    rmq_pull_form form;
    size_t stale;
    rmq_tap **asking;    /**< Route or offset is being asked for: where the question keeps us. */
    int64_t pull_offset; /**< -1: not known yet (group). */
    int64_t node;        /**< Broker id to read from. */
    int64_t no_slave_ms; /**< A slave refused: none is tried before this time. */
    int64_t due_ms;      /**< Backing off until; 0 = not. */
    int64_t backoff_ms;
    bool fresh_route; /**< Look at the route before the next pull. */
    bool paused;      /**< Written under mu, too. */
    bool stopped;     /**< Moved or lost: until seek. */
    bool revoked;     /**< Group: another member's now. Written under mu, too. */
    bool stalled;     /**< Waits for the budget. */
    bool troubled;    /**< Told to the log. */
    int64_t doubt_ms; /**< Since when the master says that the queue ends before us; 0 = not. */
    int gone_answers; /**< The broker said so often that there is no such queue. */
    rc_error *gone;   /**< Its last words. */

    /* mu */
    rmq_portion *first, *last;
    rmq_handed *handed;
    struct rmq_tap *prev, *next; /**< Of the consumer's `ready`. */
    bool in_ready;
    enum rmq_fetch_event event; /**< Behind the portions. */
    rc_error *event_error;
    int64_t event_offset;
    size_t held;       /**< Bytes of portions and handed messages. */
    int64_t position;  /**< Next offset to hand on. */
    int64_t consumed;  /**< All before it is released. */
    int64_t committed; /**< Last told to the broker. */
    int64_t reset_to;  /**< Group: offset somebody ordered (220); -1 = none. */
    unsigned round;    /**< Last comparison that found it given. I/O thread */
    int64_t min_offset, max_offset;
};

/* ---- the consumer ---------------------------------------------------------------------------- */

/** A queue that the last balance gives to this member. */
typedef struct rmq_given {
    rmq_subscription *sub;
    char *broker;
    int32_t id;
} rmq_given;

struct rmq_consumer {
    rmq_client *client;
    char *group;  /**< Wire name. */
    char *retry;  /**< Wire name of its retry topic. */
    char *prefix; /**< "NS%" or "". */
    rmq_consumer_config config;
    char pull_count[12], pull_bytes[24], poll_ms[24]; /**< As pulls say them. */
    rc_wake wake;
    rc_loop_timer *timer; /**< Back-offs. */
    int64_t timer_at;     /**< 0 = not armed. */
    int64_t told_ms;      /**< Last trouble in the log. */
    bool closing;
    rmq_subscription *subs; /**< mu; changed on the I/O thread. */
    rmq_tap *taps;          /**< mu; changed on the I/O thread. */
    /* I/O thread: the last blocks of replies, only compared. */
    const rmq_block *blocks[8];
    size_t next_block;

    pthread_mutex_t mu;
    rmq_tap *ready;
    size_t buffered;
    size_t stalled;     /**< Taps that wait for the budget. */
    bool resume_posted; /**< The I/O thread has been told that there is room. */
    bool woken;         /**< rmq_consumer_wake() */
    bool signalled;     /**< A fetch would not wait. */
    bool waiting;       /**< The application's thread waits on `wake`. */
    bool fd_set;        /**< `wake` is set, or about to be. */
    bool fd_given;      /**< The application may wait on `wake` without telling. */
    bool balance_ready; /**< `given`, revoked or reset taps are to be looked at. */
    rmq_given *given;   /**< What the last balance gave us. */
    size_t given_count;
    unsigned round; /**< Counts comparisons. I/O thread */

    /* application's thread */
    rmq_handed *spare;
    size_t spare_count;
    size_t open_fetches;
    int64_t nap_ns;        /**< Replies come so fast that they are waited for together; 0 = not. */
    rmq_queue *assignment; /**< Texts belong to the taps. */
    bool in_callback;
    bool assigned_mode, group_mode; /**< Set once, before the first tap. */

    struct rmq_group *membership; /**< group.c; I/O thread. */
};

int64_t rmq_now_ms(void);

/* ---- tap.c (I/O thread, but for those that say mu) --------------------------------------------
 */

/** Adds a tap; offset -1 = ask for it (group). Borrowed texts are copied. Not yet pulling. */
rmq_tap *rmq_tap_new(rmq_consumer *consumer, rmq_subscription *sub, const char *broker, int32_t id,
                     int64_t offset);
rmq_tap *rmq_tap_find(rmq_consumer *consumer, const char *topic, const char *broker, int32_t id);
/** Name of the broker that has the queue now, for requests; valid until the route changes. */
const char *rmq_tap_broker(const rmq_tap *tap);
/** Forgets pulls and buffered messages; reads on at `offset`. */
void rmq_tap_restart(rmq_tap *tap, int64_t offset);
/** Forgets pulls, questions and buffered messages. */
void rmq_tap_silence(rmq_tap *tap);
/** Takes it out of the consumer; it lives on while messages of it are handed out. */
void rmq_tap_remove(rmq_tap *tap);
/** The RMQ_PULL_FIELDS fields of a pull at pull_offset from `broker`, which stays the caller's;
 * valid until the next call. */
const rmq_field *rmq_tap_form(rmq_tap *tap, const char *broker);
void rmq_tap_unstall(rmq_tap *tap); /**< mu. Does not wait for the budget any more. */
void rmq_tap_unref(rmq_tap *tap);   /**< mu */
/** mu. Frees what is buffered of the tap, and forgets its event. */
void rmq_tap_drop_portions(rmq_tap *tap);
/** mu. Position `next` was reached without messages (filtered by the broker). */
void rmq_tap_skip_to(rmq_tap *tap, int64_t next);
void rmq_portion_free(rmq_portion *portion);

/* ---- puller.c (I/O thread) ------------------------------------------------------------------- */

/** Sends the next pull if there is none and nothing is in the way. */
void rmq_tap_kick(rmq_tap *tap);
/** Again after a while, longer each time; tells the log. */
void rmq_tap_retry(rmq_tap *tap, const rc_error *why);
void rmq_consumer_arm(rmq_consumer *consumer, int64_t at_ms);
void rmq_consumer_on_timer(void *arg); /**< of back-offs */
void rmq_consumer_on_room(void *arg);  /**< bytes have been given back */

/* ---- ready.c (mu held) ----------------------------------------------------------------------- */

/** There is something to look at. */
void rmq_consumer_signal(rmq_consumer *consumer);
/** There is nothing more, unless there is. */
void rmq_consumer_unsignal(rmq_consumer *consumer);
void rmq_tap_ready(rmq_tap *tap); /**< there is something to hand on */
void rmq_tap_unready(rmq_tap *tap);
/** The same without the wake-up. @return true: the caller owes rc_wake_set(&consumer->wake), and
 *  may do other things first, without the lock. */
bool rmq_consumer_signal_later(rmq_consumer *consumer);
bool rmq_tap_ready_later(rmq_tap *tap);

/* ---- fetch.c (application's thread) ---------------------------------------------------------- */

void rmq_consumer_drop_spare(rmq_consumer *consumer);

/* ---- allocation.c (pure) --------------------------------------------------------------------- */

/** Java's AllocateMessageQueueAveragely: member `index` of `members` gets queues [first, first +
 *  count) of the sorted list. */
void rmq_allocate(size_t queues, size_t members, size_t index, size_t *first, size_t *count);

/* ---- offsets.c ------------------------------------------------------------------------------- */

/** Asks for the group's offset of a new tap, else follows the start rule, then kicks. I/O thread */
void rmq_tap_locate(rmq_tap *tap, const rmq_route *route);
/** Commits oneway what has been consumed since, or the offset somebody has set. I/O thread */
void rmq_tap_commit(rmq_tap *tap);
/** Commits and waits for the brokers' answers. Application's thread. */
int rmq_consumer_commit_all(rmq_consumer *consumer, rc_error *err);

/* ---- group.c --------------------------------------------------------------------------------- */

/** Application's thread, from fetch: tells about queues taken and given, then starts the new ones.
 */
void rmq_group_apply(rmq_consumer *consumer);
/** Application's thread: leaves the group. NULL membership is allowed. */
void rmq_group_leave(rmq_consumer *consumer);
/** Something was released: a commit is due after commit_ms. Application's thread. */
void rmq_group_released(rmq_consumer *consumer);
/** The same on the I/O thread. */
void rmq_group_progress(rmq_consumer *consumer);
/** Joins with the first subscription, else says it in the next heartbeat. I/O thread */
void rmq_group_subscribe(rmq_consumer *consumer, rmq_subscription *sub);

/* ---- group_asked.c (I/O thread) -------------------------------------------------------------- */

/** Requests of the broker about this group: 220, 221, 307. */
bool rmq_group_asked(void *arg, rmq_remote *remote, const rmq_frame *frame);
/** Compares what the tap table has with `given`, and tells the application of differences. */
void rmq_group_compare(rmq_consumer *consumer);

#endif
