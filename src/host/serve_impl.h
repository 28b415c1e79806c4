/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The native host. The main thread reads frames, answers PING and hands the others to instances;
 * each instance has a thread, on which all calls into its plugin run, as in the worker.
 */
#ifndef RC_HOST_SERVE_IMPL_H
#define RC_HOST_SERVE_IMPL_H

#include "base/hash.h"
#include "base/queue.h"
#include "host/messages.h"
#include "host/session.h" /* rc_frame */
#include "host/values.h"
#include "plugin/library.h"
#include "plugin/registry.h"

#include <pthread.h>

#define RC_SERVED_COUNTERS 16

typedef struct rc_server rc_server;

/** One connector or task. Its own thread, unless said otherwise. */
typedef struct rc_served {
    rc_server *server;
    uint16_t number;
    rc_arena memory; /* as long as the instance */
    rc_start start;
    const omc_plugin *plugin;
    omc_config config;
    void *state; /* the plugin's */
    void *loop;  /* the sink loop's, for calls back from its plugin */
    rc_wire_ids ids;
    rc_wire_schemas schemas;
    rc_buf out;
    rc_wake wake; /* readable while frames wait: what plugins know as wake_fd */
    uint32_t last_request;
    struct {
        char name[48];
        int64_t delta;
    } counters[RC_SERVED_COUNTERS];
    size_t counter_count;

    pthread_mutex_t mu;
    pthread_cond_t cond;
    rc_frame *inbox;   /* [mu] */
    bool stopping;     /* [mu] STOP came */
    bool wakeable;     /* [mu] wake() may be called */
    const char *call;  /* [mu] the plugin is in this call */
    int64_t call_ns;   /* [mu] since */
    UT_hash_handle hh; /* [server->mu] */
} rc_served;

struct rc_server {
    int fd;
    pthread_mutex_t write_mu;
    pthread_mutex_t mu;
    rc_served *instances;                /* [mu] */
    struct rc_served_library *libraries; /* [plugin_mu] */
    pthread_mutex_t plugin_mu;
    const omc_plugin *const *builtin;
    uint32_t max_frame; /* the worker takes */
};

/* serve.c */
/** Sends a frame begun by rc_channel_begin(); the process ends when the worker is gone. Any thread.
 */
void rc_server_send(rc_server *server, uint16_t instance, unsigned type, unsigned flags,
                    uint32_t request, rc_buf *out);
/** Answers a request: empty, or the error. */
void rc_server_reply(rc_server *server, const rc_frame *f, int r, const rc_error *err);
/** One LOG frame. Any thread. */
void rc_server_log(rc_server *server, uint16_t instance, omc_log_level level, const char *logger,
                   const char *fmt, va_list ap) OMC_PRINTF(5, 0);

/* serve_plugin.c */
/** The plugin of a class and location; loads its file once. */
int rc_served_plugin(rc_server *server, unsigned kind, const char *name, const char *location,
                     const omc_plugin **ret, rc_error *err);
/** Fills a configuration's options by the plugin's table. */
void rc_served_config(const omc_plugin *plugin, const omc_keyvalue *raw, omc_arena *arena,
                      omc_config *ret);
/** VALIDATE, SCAN: answered on a thread of their own. Takes the frame. */
void rc_served_control(rc_server *server, rc_frame *f);
/** Before any other thread: services have no argument to find the server by. */
void rc_served_host_init(rc_server *server);

/* serve_instance.c */
void rc_served_begin(rc_server *server, rc_frame *start); /**< Main thread; takes the frame. */
/** The next frame; waits until there is one, or `deadline` (ns) passed: NULL. */
rc_frame *rc_served_next(rc_served *s, int64_t deadline_ns);
/** The reply to a request of ours, past all other frames. NULL = STOP came instead. */
rc_frame *rc_served_reply(rc_served *s, unsigned type, uint32_t request);
void rc_served_enter(rc_served *s, const char *call);
void rc_served_leave(rc_served *s);
/** A call's result as it has to be told: errors without text get one. */
int rc_served_failed(const rc_served *s, const char *call, int r, rc_error *err);
void rc_served_count(void *host, const char *name, int64_t delta);
void rc_served_log(void *host, omc_log_level level, const char *fmt, ...) OMC_PRINTF(3, 4);
/** Counters that changed since the last time. */
void rc_served_flush_counters(rc_served *s);
/** ERROR of the instance itself. */
void rc_served_error(rc_served *s, const rc_error *err);
void rc_served_empty(rc_served *s, unsigned type); /**< A frame without payload. */
void rc_served_send_schemas(rc_served *s);
/** A cursor over a frame of the worker; a broken one ends the process. */
rc_wire_in rc_served_in(rc_served *s, const rc_frame *f, omc_arena *arena);
void rc_served_check(const rc_served *s, const rc_wire_in *in);
#define RC_SERVED_CONTEXT(of, at)                           \
    do {                                                    \
        (at)->size = sizeof *(at);                          \
        (at)->connector = (of)->start.connector;            \
        (at)->task = (of)->start.task;                      \
        (at)->task_id = (int32_t)(of)->start.task_id;       \
        (at)->task_count = (int32_t)(of)->start.task_count; \
        (at)->config = &(of)->config;                       \
        (at)->services = rc_plugin_host();                  \
        (at)->wake_fd = (of)->wake.fd;                      \
        (at)->host = (of);                                  \
        (at)->count = rc_served_count;                      \
        (at)->log = rc_served_log;                          \
    } while (0)

/* Each runs an instance until its STOP frame, which it returns; `start` was not answered yet. */
rc_frame *rc_serve_connector(rc_served *s, const rc_frame *start);
rc_frame *rc_serve_source(rc_served *s, const rc_frame *start);
rc_frame *rc_serve_sink(rc_served *s, const rc_frame *start);

#endif
