/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The C client on the one side of a test, as tests/rocketmq/java/Peer.java is the Java client on
 * the other: the same words on the command line, the same events, one line of JSON each. It sees
 * the public headers and librmq.so, nothing else of this project.
 */
#ifndef PEER_H
#define PEER_H

#include <jansson.h>
#include <rocketmq/rocketmq.h>
#include <signal.h>

/** Set by SIGTERM and SIGINT: end in order. */
extern volatile sig_atomic_t peer_stop;

_Noreturn void peer_die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int64_t peer_now_ns(void); /**< Monotonic. */
double peer_cpu_s(void);   /**< Of this process, all threads. */
void *peer_zeroed(size_t count, size_t size);

/* ---- options of the command line ------------------------------------------------------------- */

const char *peer_text(const char *name, const char *otherwise); /**< Value of --name. */
const char *peer_need(const char *name);                        /**< Ends with usage without it. */
int64_t peer_number(const char *name, int64_t otherwise);
bool peer_flag(const char *name); /**< --name true */
/** Index of the value of --name in `words`; 0 without it. */
int peer_choice(const char *name, const char *const *words);
void peer_options_done(void); /**< Ends with a message when --something was not asked for. */

/* ---- events ---------------------------------------------------------------------------------- */

json_t *peer_event(const char *name);
void peer_print(json_t *event); /**< Takes it. Any thread. */
json_t *peer_string(rmq_slice text);
json_t *peer_cstring(const char *text); /**< NULL becomes null. */
json_t *peer_base64(rmq_slice bytes);
/** Bytes of base64 text; free() base. */
rmq_slice peer_unbase64(const char *text);
/** {"event":"error","code":..,"name":..,"message":..}; more can be added before printing. */
json_t *peer_error(const rmq_error *err);
/** Prints the error and ends the program. */
_Noreturn void peer_fail(const rmq_error *err);
/** Copy of `text` with {i} replaced; free() it. NULL stays NULL. */
char *peer_replace(const char *text, int64_t i);
rmq_slice peer_slice(const char *text); /**< NULL = absent. */

/* ---- progress -------------------------------------------------------------------------------- */

#define PEER_BROKERS_MAX 64
typedef struct peer_progress {
    int64_t every_ns; /**< 0 = says nothing. */
    struct peer_progress_of {
        char broker[RMQ_BROKER_MAX + 1];
        int64_t count, said, said_ns;
    } of[PEER_BROKERS_MAX];
} peer_progress;
/** Another `count` messages of a broker: printed, with the time of the monotonic clock, unless
 *  something of this broker was printed less than every_ns ago. So the first one after a pause is
 *  told at once. */
void peer_progress_add(peer_progress *progress, const char *broker, int64_t count);
/** Prints what is not printed yet: nothing more came for a while. */
void peer_progress_flush(peer_progress *progress);

/* ---- order of keyed bodies ("key:number") ---------------------------------------------------- */

typedef struct peer_order peer_order;
peer_order *peer_order_new(void);
/** A body that is not of that form counts as foreign. */
void peer_order_take(peer_order *order, rmq_slice body);
/** Adds outOfOrder, repeated, missing, foreign, keys to an event. */
void peer_order_report(const peer_order *order, json_t *event);
int64_t peer_order_bad(const peer_order *order);
void peer_order_free(peer_order *order);

/* ---- commands -------------------------------------------------------------------------------- */

/** Each returns the exit status of the program. */
int peer_send(rmq_client *client);
int peer_consume(rmq_client *client);
int peer_admin(rmq_client *client);
int peer_bench_append(rmq_client *client);
int peer_bench_fetch(rmq_client *client);
int peer_bench_latency(rmq_client *client);
/** Settings that send and the benches share; reads its options. */
rmq_producer_config peer_producer_config(void);
/** All queues of --topic, or those in --queues ("broker-0:0,broker-0:1", or a number). */
rmq_queue_list *peer_queues(rmq_client *client, const char *topic, enum rmq_route_for what);

#endif
