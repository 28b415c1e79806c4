/* SPDX-License-Identifier: Apache-2.0 */
/**
 * One HTTP request, from its first line to its answer; shared by the files of this room.
 *
 * Threads: everything runs on the loop's thread except a `render` function, which the worker
 * calls on its control thread while the exchange waits. It may read the request, use the arena,
 * and write the answer it is given, nothing else. Meanwhile the loop's thread touches neither;
 * if the deadline passes first it answers from its own `answer` and the late one is dropped.
 *
 * Ownership: references are counted; libmicrohttpd's request holds one, a waiting reply another.
 */
#ifndef RC_REST_EXCHANGE_H
#define RC_REST_EXCHANGE_H

#include "base/arena.h"
#include "base/buf.h"
#include "rest/rest.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

/** Greatest request body, as in the Java runtime (Javalin's default). */
#define REST_BODY_MAX ((size_t)1000000)
/** Beyond this an oversized body is not read to its end any more: the connection is closed. */
#define REST_DISCARD_MAX ((size_t)64000000)
/** Request line and headers, including ?config=; libmicrohttpd's memory per connection. */
#define REST_HEADER_MAX ((size_t)32768)
#define REST_CONNECTIONS_MAX 256u
#define REST_IDLE_SECONDS 30u
/** Greatest answer we make. */
#define REST_ANSWER_MAX ((size_t)64 << 20)
#define REST_TIMEOUT_MS 90000
#define REST_HEALTH_TIMEOUT_MS 10000
#define REST_SEGMENTS_MAX 12
#define REST_QUERY_MAX 64

typedef enum rest_method {
    REST_OTHER = 0,
    REST_GET = 1,
    REST_POST = 2,
    REST_PUT = 4,
    REST_PATCH = 8,
    REST_DELETE = 16
} rest_method;

typedef struct exchange exchange;
struct route;

#define REST_JSON "application/json"
#define REST_TEXT "text/plain"

typedef struct answer {
    unsigned status; /**< 0 = none yet. */
    const char *type;
    rc_buf body;
    const char *location; /**< In the exchange's arena. */
    const char *allow;    /**< For 405; in the exchange's arena. */
    char etag[24];
} answer;

typedef void render_fn(exchange *ex, const rc_reply *reply, answer *out);
/** Loop's thread; must answer or post again. */
typedef void continue_fn(exchange *ex);

typedef struct pair {
    const char *key;
    rc_slice value; /**< NUL-terminated too. */
} pair;

struct exchange {
    rc_rest *rest;
    atomic_int refs;
    rc_arena arena;

    /* The request. */
    rest_method method;
    bool head; /**< HEAD, answered as GET without its body. */
    char *uri; /**< As it came, still escaped. */
    size_t segment_count;
    rc_slice segments[REST_SEGMENTS_MAX]; /**< Decoded, NUL-terminated. */
    size_t query_count;
    pair query[REST_QUERY_MAX];
    rc_buf body;
    size_t body_seen;          /**< Bytes that came, kept or not. */
    const struct route *route; /**< NULL when refused early. */
    const char *name;          /**< {name} of the path, or NULL. */
    const char *item;          /**< {task} or {plugin} of the path, or NULL. */
    const char *if_match;      /**< Header, or NULL; in the arena. */
    const char *signature;     /**< Header of calls between workers, or NULL; in the arena. */
    const char *forwarded_by;  /**< Worker whose signed call this is, or NULL. */

    /* The worker it was posted to, for renders. */
    const char *worker_id; /**< In the arena. */
    rc_registry *registry;
    rc_log *log;
    int64_t worker_started_ms;

    /* The answer. */
    bool begun;     /**< Headers have been looked at. */
    bool pending;   /**< A reply or the deadline is to come. */
    bool suspended; /**< libmicrohttpd leaves the connection alone. */
    int64_t deadline_ns;
    answer answer; /**< Loop's thread. */
    answer reply;  /**< The worker's thread until it is handed over. */
    render_fn *render;
    continue_fn *late; /**< Answers when the deadline passed; NULL = 503. Loop's thread. */
    continue_fn *next; /**< Set by a render that wants another step instead of answering. */
    void *state;       /**< Of a handler with several steps; in the arena. */
    struct exchange *prev_waiting, *next_waiting;
    struct exchange *next_done;
    struct MHD_Connection *connection;
};

struct rc_rest {
    atomic_int refs;
    rc_loop *loop;
    rc_worker *worker; /**< NULL: not ready. Loop's thread. */
    char *waits;       /**< Why it is not; NULL = it starts, or stops. Loop's thread. */
    rc_rest_config config;
    char *host;
    bool loopback; /**< Only reachable from this machine: the Host header is checked. */
    int listen_fd;
    int port;
    struct MHD_Daemon *daemon;
    rc_loop_watch *watch;
    rc_loop_timer *timer;    /**< libmicrohttpd's time-outs, while connections exist. */
    rc_loop_timer *deadline; /**< Of the exchange that waits with the earliest one. */
    bool deadline_set;
    exchange *waiting;
    int64_t started_ms;
    int64_t answered[600];   /**< Requests by status code. */
    rc_rest_cluster cluster; /**< owner NULL: none. Loop's thread. */
    rc_peer_guard *peers;
    const struct rc_http *http; /**< NULL until the first call. */
    atomic_int forwards;        /**< Calls to other workers under way. */
    _Atomic uint64_t calls;     /**< Made so far. */
    pthread_mutex_t mu;         /**< Guards the rest. */
    exchange *done;             /**< Replies to hand over, newest first. */
    bool posted;
    bool stopped;
};

/* ---- exchange.c ----------------------------------------------------------------------------- */

/** @param uri  Raw request target, copied. */
exchange *exchange_new(rc_rest *rest, const char *uri);
void exchange_unref(exchange *ex);
/** First value of a query parameter, or base == NULL. */
rc_slice exchange_query(const exchange *ex, const char *key);
/** True when the parameter is present as `key`, `key=true`. */
bool exchange_flag(const exchange *ex, const char *key, bool fallback);
/**
 * Posts to the worker; `render` makes the answer from its reply. Answers 503 itself when the
 * worker is not there or does not take the request. Zero `request->done` and `arg`.
 */
void exchange_post(exchange *ex, const rc_request *request, render_fn *render);
/** The same with a shorter deadline. */
void exchange_post_within(exchange *ex, const rc_request *request, render_fn *render,
                          int64_t timeout_ms);
/** The exchange waits for somebody who fills ex->reply and calls exchange_finish(). */
void exchange_wait(exchange *ex, int64_t timeout_ms);
/** Takes that back, before anybody else knew of the exchange. */
void exchange_wait_no_more(exchange *ex);
/** ex->reply is made. Any thread but the loop's; the exchange must not be touched afterwards. */
void exchange_finish(exchange *ex);
/** Hands over the replies that have come. */
void exchange_take_replies(rc_rest *rest);
/** Everything that waits is answered 503 (stop). */
void exchange_cancel_all(rc_rest *rest);
void rest_unref(rc_rest *rest);
/** Lets libmicrohttpd work and sets its timer. */
void rest_run(rc_rest *rest);
/** Timer callback of rc_rest.deadline. */
void exchange_on_deadline(void *arg);

/* ---- answer.c ------------------------------------------------------------------------------- */

struct json_t;
/** Takes `body`; writes it as the whole answer. */
void answer_json(answer *out, unsigned status, struct json_t *body);
/** Takes `body`; {"status":200,"body":...}. */
void answer_compat(answer *out, struct json_t *body);
void answer_compat_text(answer *out, const char *fmt, ...) OMC_PRINTF(2, 3);
void answer_text(answer *out, unsigned status, const char *text);
void answer_empty(answer *out, unsigned status);
/**
 * An error in the shape of the route's family. `java` is Java's errorCode under
 * rest.compat.status=java, or 0 when Java has no such answer (then `status` always).
 */
void answer_error(exchange *ex, answer *out, unsigned status, int java, const char *fmt, ...)
    OMC_PRINTF(5, 6);
void answer_clear(answer *out);
/** What a failed reply says, with all its problems; in the arena. */
const char *answer_why(exchange *ex, const rc_reply *reply);
/** HTTP status for a code of the worker's (positive). */
unsigned answer_status_of(int code);

/* ---- body.c --------------------------------------------------------------------------------- */

typedef struct submitted {
    omc_value json;             /**< The submitted object. */
    const omc_keyvalue *config; /**< Its values as text. */
    const char *const *removed; /**< Keys with a null value (PATCH), NULL-terminated. */
} submitted;

/**
 * Reads a configuration: a JSON object, read leniently as the Java runtime does. Numbers keep
 * their text, nested values become their JSON text. A null value is refused unless
 * `nulls_remove`.
 * @return 0; -OMC_EFORMAT (not such an object); -OMC_EINVAL (names the key).
 */
int rest_config_read(rc_slice text, bool nulls_remove, omc_arena *arena, submitted *ret,
                     rc_error *err);
/** The same from a value already read. */
int rest_config_of(const omc_value *value, bool nulls_remove, omc_arena *arena, submitted *ret,
                   rc_error *err);
/** Appends the submitted object with secrets hidden, types kept. */
void rest_config_echo(const submitted *config, const rc_option_table *tables, size_t table_count,
                      omc_arena *arena, rc_buf *out);

/* ---- guard.c -------------------------------------------------------------------------------- */

/** What a request says about where it comes from; NULL = header absent. */
typedef struct guard_headers {
    const char *host;
    const char *origin;
    const char *fetch_site;
} guard_headers;
/** True when `host` (as in rest.host) reaches this machine only. */
bool guard_is_loopback(const char *host);
/**
 * @return 0 or -OMC_EACCES with reason and cure. `right` is the call to make instead, shown when
 *         a page in a browser tried to change something.
 */
int guard_check(const rc_rest *rest, const guard_headers *headers, bool changes, const char *right,
                rc_error *err);

#endif
