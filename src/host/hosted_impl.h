/* SPDX-License-Identifier: Apache-2.0 */
/* What hosted connectors, sources and sinks share; private to hosted*.c. */
#ifndef RC_HOSTED_IMPL_H
#define RC_HOSTED_IMPL_H

#include "host/hosted.h"
#include "host/values.h"

#include <pthread.h>

/* The host half of a connector or task: its host, its channel and its buffers. */
typedef struct rc_guest {
    const rc_hosted *hosted;
    char *who;
    rc_host *host;
    rc_channel *channel; /* NULL = not started */
    bool started;        /* START was sent: STOP is due */
    bool finished;       /* a source that has no more records: its host may rest */
    rc_buf out;
    rc_wire_ids ids;         /* schemas to the host */
    rc_wire_schemas schemas; /* schemas from the host */
    rc_error failed;         /* the host's instance failed by itself; code 0 = no */
} rc_guest;

/* Joins the host and opens a channel. `channel->arg` and `upcall` as given. */
int rc_guest_open(rc_guest *g, const omc_config *config, const char *connector, const char *task,
                  const rc_channel_config *channel, rc_error *err);
/* STOP, unless the session is dead; then everything goes. Also half open. */
void rc_guest_close(rc_guest *g);
/* The first half of rc_guest_close(): afterwards there is no channel; the host is still held. */
void rc_guest_stop(rc_guest *g);
/* START of any kind. */
int rc_guest_start(rc_guest *g, unsigned type, const rc_start *start, const char *what,
                   rc_error *err);
/* Calls with g->out; begun by rc_channel_begin(). */
int rc_guest_call(rc_guest *g, unsigned type, const char *what, int64_t timeout_ms, rc_frame **ret,
                  rc_error *err);
/* Before a frame with records: its schemas, when there are new ones. */
int rc_guest_send_schemas(rc_guest *g, rc_error *err);
/* The payload of a frame against the rules: kills the host when it is wrong. */
int rc_guest_check(rc_guest *g, const rc_wire_in *in, unsigned type, rc_error *err);
/* Frames any task may get: ERROR, METRICS, SCHEMAS. @return false when it is another. */
bool rc_guest_take(rc_guest *g, const rc_frame *f,
                   void (*count)(void *host, const char *name, int64_t delta), void *host);
/* The error of the instance, once. 0 = none. */
int rc_guest_failed(rc_guest *g, rc_error *err);
/* Answers a request of the host: empty, or with an error. */
void rc_guest_reply(rc_guest *g, const rc_frame *f, int r, const rc_error *err);

/* hosted_connector.c: the half that sources and sinks share */
int rc_hosted_validate(const omc_config *config, omc_error *err);
int rc_hosted_connector_start(void *connector, const omc_connector_context *ctx, omc_error *err);
int rc_hosted_task_configs(void *connector, int max_tasks, omc_task_configs *out, omc_error *err);
void rc_hosted_connector_stop(void *connector);
typedef struct rc_hosted_connector {
    rc_guest guest;
    rc_host_member member;
    const omc_connector_context *ctx;
    pthread_mutex_t mu; /* guards guest after the start */
    bool made, watching;
} rc_hosted_connector;

#endif
