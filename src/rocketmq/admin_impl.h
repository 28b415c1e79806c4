/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What the admin functions share: requests by hand, masters of a cluster, results of one
 * allocation. Application threads; nothing here is kept between calls.
 */
#ifndef RMQ_ADMIN_IMPL_H
#define RMQ_ADMIN_IMPL_H

#include "rocketmq/client_impl.h"

#include <rocketmq/admin.h>

/* ---- requests -------------------------------------------------------------------------------- */

#define ADMIN_FIELDS_MAX 12

/** One request and its reply. */
typedef struct admin_call {
    rmq_client *client;
    const char *broker;  /**< Name for errors; NULL = a name server. */
    const char *address; /**< NULL = a name server. */
    int code;
    const char *subject; /**< "topic 'T'", "group 'G'", or "" */
    rc_slice body;
    const rmq_gate *gate; /**< NULL = none. */
    rmq_field fields[ADMIN_FIELDS_MAX];
    size_t field_count;
    char numbers[ADMIN_FIELDS_MAX][24];
    rmq_answer answer;
    bool answered;
} admin_call;

void admin_call_init(admin_call *call, rmq_client *client, int code, const char *broker,
                     const char *address);
void admin_call_release(admin_call *call);
#define ADMIN_CALL __attribute__((cleanup(admin_call_release))) admin_call /* init comes next */
void admin_text(admin_call *call, const char *name, const char *value);
void admin_number(admin_call *call, const char *name, int64_t value);
/** Sends it and waits. @return response code (>= 0), or < 0. */
int admin_send(admin_call *call, rc_error *err);
/** The same; every response but success and `also` (0 = none) is an error. @return 0, `also`, < 0
 */
int admin_ask(admin_call *call, int also, rc_error *err);
/** Turns the response it got into an error. */
int admin_refused(const admin_call *call, rc_error *err);
/** The reply's body as JSON; *ret is the caller's. */
int admin_json(const admin_call *call, json_t **ret, rc_error *err);

static inline void admin_json_cleanup(json_t **at)
{
    json_decref(*at);
}
#define ADMIN_JSON __attribute__((cleanup(admin_json_cleanup))) json_t *

/* ---- brokers --------------------------------------------------------------------------------- */

/** Masters of the cluster, or the brokers of a topic. */
typedef struct admin_brokers {
    struct admin_broker {
        char name[RMQ_BROKER_MAX + 1];
        char address[RMQ_ADDRESS_MAX];
        int32_t read, write, perm; /**< Of the topic. */
    } * at;
    size_t count;
} admin_brokers;
void admin_brokers_free(admin_brokers *brokers);
RC_DEFINE_CLEANUP(admin_brokers, admin_brokers_free)
/** All masters; of one cluster or one name when asked for. -RMQ_ENOTFOUND says what there is. */
int admin_masters(rmq_client *client, const char *cluster, const char *broker, admin_brokers **ret,
                  rc_error *err);
/** Brokers of a topic: masters, or slaves where there is no master and `slaves` allows it. */
int admin_topic_brokers(rmq_client *client, const char *wire_topic, bool slaves,
                        admin_brokers **ret, rc_error *err);
/** Where a queue is. */
typedef struct admin_place {
    char name[RMQ_BROKER_MAX + 1]; /**< Of the broker; a queue's own name may be a logical one's. */
    char address[RMQ_ADDRESS_MAX];
} admin_place;
/** The broker that has a queue; a route that does not know it, or with `fresh` any route, is asked
 *  for again. */
int admin_topic_broker(rmq_client *client, const rmq_queue *queue, bool slave, bool fresh,
                       admin_place *ret, rc_error *err);

/* ---- names ----------------------------------------------------------------------------------- */

#define ADMIN_GROUP_MAX 120
/** Checks a name of at most `max` bytes and puts its wire form into `out`. */
int admin_name(const rmq_client *client, const char *kind, const char *name, size_t max,
               char out[256], rc_error *err);
/** A name from the wire as the application knows it: without our namespace. */
const char *admin_own_name(const rmq_client *client, const char *wire, char out[256]);

/* ---- results --------------------------------------------------------------------------------- */

/** One allocation: a head, an array, texts. Texts that were not counted are an assertion. */
typedef struct admin_pack {
    char *at;
    size_t left;
} admin_pack;
/** Zeroed memory; *array is behind the head. */
void *admin_pack_new(admin_pack *pack, size_t head, size_t item, size_t count, size_t texts,
                     void *array);
const char *admin_pack_text(admin_pack *pack, const char *text);

/** A JSON array of names, sorted. */
int admin_name_list(rmq_client *client, const json_t *array, rmq_name_list **ret, rc_error *err);

/** The offsets of queues in the replies to 202 and 208: their keys are objects. */
typedef struct admin_offset {
    char *topic, *broker;
    int32_t id;
    int64_t first, second, last_ms; /**< min and max, or broker's and consumer's. */
} admin_offset;
typedef struct admin_offsets {
    admin_offset *at;
    size_t count;
} admin_offsets;
void admin_offsets_release(admin_offsets *offsets);
/** Adds those of one reply. */
int admin_offsets_add(const admin_call *call, const char *first, const char *second,
                      const char *last, admin_offsets *offsets, rc_error *err);
/** By topic, broker and id. @return bytes of all texts. */
size_t admin_offsets_sort(const admin_offsets *offsets);

#endif
