/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What the parts of fakemq share. Everything hangs on one `fakemq` and is touched under its lock;
 * sockets are touched by its thread only, other threads hand it an op (server.c).
 *
 * A request lives from its frame until its answer: it may be held by a fault, parked by a pull, or
 * wait with a ready reply. answer() ends it, always.
 */
#ifndef FAKEMQ_IMPL_H
#define FAKEMQ_IMPL_H

#include "base/buf.h"
#include "fakemq.h"

#include <jansson.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>

enum { MAX_FRAME = 16 << 20, MAX_LOG = 1000000, MAX_ANSWERED = 64, MAX_ASKED = 4096 };

/* ---- wire.c: frames -------------------------------------------------------------------------- */

struct field {
    char *name, *value;
};
struct fields {
    struct field *at;
    size_t count;
};
void fields_add(struct fields *fields, const char *name, const char *fmt, ...) OMC_PRINTF(3, 4);
const char *fields_get(const struct fields *fields, const char *name); /* NULL when absent. */
void fields_free(struct fields *fields);

struct header {
    int code, version, language;
    int32_t opaque, flag;
    char *remark;
    struct fields fields;
};
enum { FLAG_REPLY = 1, FLAG_ONEWAY = 2 };
/** NULL, or what is wrong with it. Free the header either way. */
const char *header_read(struct header *header, bool binary, const char *bytes, size_t len);
void header_free(struct header *header);
void frame_write(rc_buf *out, bool binary, const struct header *header, const void *body,
                 size_t body_len);
void put_be(rc_buf *out, uint64_t value, int bytes);
uint64_t get_be(const void *bytes, int count);
/** Java's String.hashCode of UTF-8 text. */
int32_t java_hash(const char *text, size_t len);

/* ---- the store (store.c) --------------------------------------------------------------------- */

struct message {
    char *body, *properties;
    size_t body_len, properties_len;
    int32_t flag, sys_flag, queue_id, reconsume, tag_code;
    int64_t offset, position, born_ms, stored_ms;
    int born_port;
};
struct queue {
    struct message **at; /* at[k] has offset min + k. */
    int64_t min, count;
    size_t cap;
    bool hiding;   /* What comes now is stored, and not yet visible to consumers: */
    int64_t shown; /* they see up to here. */
};
struct topic {
    char *name;
    int read, write, perm; /* Numbers of queues. */
    bool hidden;           /* Deleted at the name server only. */
    bool gone;             /* Deleted at the broker only: still in the route. */
    struct queue *at;
    int made; /* Queues in `at`: as many as there ever were. */
    struct topic *next;
};
struct committed {
    char *group, *topic;
    int queue;
    int64_t offset;
    struct committed *next;
};
struct group {
    char *name;
    struct group *next;
};
/** A broker name: what a master and its slave have in common. */
struct broker {
    char name[32];
    struct topic *topics;
    struct committed *committed;
    struct group *groups;
    struct fields config;
    int64_t position; /* End of the commit log. */
    int suggest, port;
};
struct topic *topic_find(struct broker *broker, const char *name);
struct topic *topic_make(struct broker *broker, const char *name, int read, int write, int perm);
/** Its messages go; `in_route`: the name server goes on telling of it. */
void topic_delete(struct broker *broker, const char *name, bool in_route);
struct group *group_find(struct broker *broker, const char *name);
/** The group and its %RETRY% topic; false when that is no name. */
bool group_make(struct broker *broker, const char *name);
void group_delete(struct broker *broker, const char *name, bool offsets);
struct committed *committed_find(struct broker *broker, const char *group, const char *topic,
                                 int queue);
void committed_set(struct broker *broker, const char *group, const char *topic, int queue,
                   int64_t offset);
/** Appends a copy; fills in offset, position, stored time and the tag's hash. Then wake_pulls(). */
struct message *store_append(struct broker *broker, struct topic *topic,
                             const struct message *message);
size_t message_size(const struct topic *topic, const struct message *message);
void message_write(rc_buf *out, const struct broker *broker, const struct topic *topic,
                   const struct message *message);
struct message *message_by_position(struct broker *broker, int64_t position, struct topic **topic);
void queue_cut(struct queue *queue, int64_t from, int64_t to); /* Keeps [from, to). */
/** Offset that the next message gets. */
static inline int64_t queue_end(const struct queue *queue)
{
    return queue->min + queue->count;
}
/** Up to where the master's consumers see: brokers index what they have stored a little later. */
static inline int64_t queue_max(const struct queue *queue)
{
    return queue->hiding ? RC_MAX(queue->shown, queue->min) : queue_end(queue);
}
void config_set(struct broker *broker, const char *key, const char *value);
void broker_free(struct broker *broker);
/** Value of a property, not terminated; NULL when absent. */
const char *property_get(const char *properties, size_t len, const char *name, size_t *value_len);
/** Properties as a Java broker stores those of a single message; `unique` gets the UNIQ_KEY. */
char *properties_as_stored(fakemq *mq, const char *properties, char **unique);

/* ---- servers, connections, requests (server.c) ----------------------------------------------- */

enum role { NAME_SERVER = 1, MASTER = 2, SLAVE = 4, BROKERS = MASTER | SLAVE };
struct server {
    char name[40];
    enum role role;
    struct broker *broker; /* NULL of name servers. */
    /** `guard` is bound and never listens: the port stays ours while the server is down. */
    int fd, guard, port, index;
    bool down, frozen;
};
struct conn {
    int fd, port; /* The peer's port. */
    struct server *server;
    SSL *ssl;
    rc_buf in, out;
    size_t out_at;
    bool dead, last_words; /* last_words: closed once `out` is sent. */
    bool want_write;       /* TLS must write before it goes on. */
    struct fields version; /* Language and version for 203. */
    int64_t fingerprint;
    struct conn *next;
};
struct rule {
    fakemq_rule rule;
    char *broker, *topic, *remark;
    int seen, hits;
    bool ended;
};
enum state { RUNNING, HELD, PARKED, REPLYING };
struct request {
    fakemq *mq;
    struct server *server;
    struct conn *conn; /* NULL when it is gone. */
    struct header header;
    char *body; /* NUL-terminated. */
    size_t body_len;
    struct rule *rule; /* The fault that hit it. */
    enum state state;
    int64_t due_ns; /* Of HELD, PARKED and REPLYING. */
    bool expired;   /* A pull whose suspension is over. */
    bool mapped;    /* Of a static topic: its queue and offsets are this broker's own now. */
    int global;     /* The queue as the client knows it, */
    int64_t delta;  /* and how much higher the client's offsets are. */
    rc_buf reply;
    struct request *next;
};
/** Ends a request. `fields` is emptied; NULL = none. */
void answer(struct request *request, int code, const char *remark, struct fields *fields,
            const void *body, size_t body_len);
void answer_text(struct request *request, int code, const char *fmt, ...) OMC_PRINTF(3, 4);
void answer_json(struct request *request, rc_buf *body); /* Code 0; releases the buffer. */
void park(struct request *request, int64_t ms);
/** Runs parked pulls of a queue again. */
void wake_pulls(fakemq *mq, struct broker *broker, const char *topic, int queue);
void ask(fakemq *mq, struct conn *conn, int code, int32_t flag, struct fields *fields,
         const void *body, size_t body_len);

struct logged {
    int code;
    struct server *server;
    struct fields fields; /* And @body, @version, @flag, @opaque, @language. */
};
struct member {
    struct conn *conn; /* NULL: a foreign one. */
    char *client, *group;
    bool producer;
    json_t *data; /* Its consumerData of the heartbeat. */
    struct member *next;
};
struct asked {
    int code;
    int32_t opaque;
};
struct op {
    void (*run)(fakemq *mq, void *arg);
    void *arg;
    bool done;
};
/** Where a queue of a static topic is. */
struct mapped {
    struct broker *broker;
    int local;
    int64_t delta;
};
struct mapping {
    char *topic;
    int total;
    int64_t epoch;
    struct mapped at[64];
    struct mapping *next;
};
struct fakemq {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* Something was handled, or an op is done. */
    pthread_t thread;
    int wake; /* eventfd */
    bool stopping;
    struct op *op; /* What another thread wants done in ours. */
    fakemq_config config;
    char *access_key, *secret_key, *namesrv;
    SSL_CTX *tls;
    uint64_t random;
    struct broker *brokers;
    int broker_count;
    struct server *servers;
    int server_count;
    struct conn *conns;
    struct request *live;
    struct rule **rules;
    int rule_count, shuffle_ms;
    struct logged *log;
    size_t log_count, log_cap;
    struct member *members;
    struct mapping *mappings;
    struct asked *asked;
    size_t asked_count;
    struct {
        int code, count;
        char *body;
    } answered[MAX_ANSWERED];
    int32_t opaque;
    int most_unanswered;
    int64_t unique; /* Counter of made-up UNIQ_KEYs. */
    char *failure;  /* The first strict check that failed. */
};
int64_t mono_ns(void);
int64_t wall_ms(void);
uint64_t random_next(fakemq *mq);
/** A client did what no client may do; told by fakemq_stop(). */
void strict(struct request *request, const char *fmt, ...) OMC_PRINTF(2, 3);
void strict_text(fakemq *mq, char *text); /* Takes the text. */
_Noreturn void give_up(const char *fmt, ...) OMC_PRINTF(1, 2);
/** Does it in fakemq's thread and waits. */
void in_thread(fakemq *mq, void (*run)(fakemq *mq, void *arg), void *arg);
void server_listen(struct server *server);
void server_unlisten(struct server *server);
void conn_reset(struct conn *conn);
void *serve(void *arg);

/* ---- static topics (mapping.c) ----------------------------------------------------------------
 */

struct mapping *mapping_find(fakemq *mq, const char *topic);
void mapping_place(fakemq *mq, const char *topic, int total, int id, struct broker *broker,
                   int local, int64_t delta);
void mapping_write(fakemq *mq, rc_buf *out, const char *topic);
/** Makes queue and offsets of a request the broker's own; false when it is answered. */
bool mapping_apply(struct request *request);
void mapping_answer(const struct request *request, struct fields *fields);
void mappings_free(fakemq *mq);

/* ---- requests (fault.c, handlers) ------------------------------------------------------------ */

/** Takes a new request: log, strict checks, faults; runs it if nothing is in the way. */
void request_take(struct request *request);
void request_run(struct request *request);
void request_free(struct request *request);
bool is_send(int code);
const char *request_topic(const struct request *request);

const char *field(const struct request *request, const char *name); /* "" when absent. */
int64_t number(const struct request *request, const char *name);    /* 0 when absent. */
/** Every required field is there and numbers are numbers; else answered. */
bool check_fields(struct request *request, const char *required);

typedef void handler(struct request *request);
handler route_topic, route_cluster, route_topics, route_topics_of_cluster, route_delete;
handler send_message, send_back, pull_message;
handler heartbeat, unregister, member_list, member_connections, check_client;
handler offset_query, offset_update, offset_max, offset_min, offset_search, offset_earliest;
handler admin_topic, admin_topic_delete, admin_group, admin_group_delete, admin_config_set,
    admin_config_get, admin_runtime, admin_stats, admin_consume_stats, admin_view;
void members_leave(fakemq *mq, struct conn *conn);
void members_notify(fakemq *mq, struct server *server, const char *group);
struct member *member_find(fakemq *mq, struct conn *conn, const char *group, bool producer);
void member_remove(fakemq *mq, struct member **at);
/** Its newest subscription to a topic among the group's members on this server, or NULL. */
json_t *subscription_find(fakemq *mq, struct server *server, const char *group, const char *topic);
/** A consumer of the group on this server, or NULL. */
struct member *member_any(fakemq *mq, struct server *server, const char *group);

#endif
