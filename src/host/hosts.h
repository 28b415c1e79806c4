/* SPDX-License-Identifier: Apache-2.0 */
/**
 * All hosts of a worker: who shares one, when a dead one is started again, and when it is not.
 *
 * A host is known by a key: the connector's name, or what `host.group` says. The connector half and
 * the tasks each hold it; with the last of them it is asked to end. After a death the next one who
 * needs it starts it again, after a back-off; after too many deaths nobody can, until all have let
 * go of it, which a restart of the connector does. Any thread.
 */
#ifndef RC_HOSTS_H
#define RC_HOSTS_H

#include "host/session.h"
#include "plugin/registry.h"

typedef struct rc_hosts rc_hosts;

/** Settings; times in ms. Texts are copied. */
typedef struct rc_hosts_config {
    const char *worker_id;
    const char *self;            /**< Our own program, for C plugins; NULL = /proc/self/exe. */
    int64_t start_timeout_ms;    /**< Until HELLO. */
    int64_t scan_timeout_ms;     /**< SCAN, VALIDATE. */
    int64_t instance_timeout_ms; /**< Starts of connectors, tasks, components; OPEN. */
    int64_t call_timeout_ms;     /**< PUT, PRECOMMIT, CLOSE, APPLY and conversions. */
    int64_t stop_timeout_ms;     /**< STOP. */
    int64_t poll_timeout_ms;     /**< A poll in the host; 0 = no limit. */
    int64_t heartbeat_ms;
    int64_t idle_ms;    /**< After which a host that was only asked something ends. */
    int64_t memory_max; /**< Address space of C hosts, resident memory of others; 0 = no limit. */
    int64_t crashes_max;
    const char *java;         /**< Program; NULL = `java` in PATH. */
    const char *java_jar;     /**< The Java host; NULL = the one beside our program. */
    const char *java_options; /**< Words between program and jar, separated by blanks. */
} rc_hosts_config;

rc_hosts *rc_hosts_new(const rc_hosts_config *config);
/** After all plugins that use it. NULL is allowed. */
void rc_hosts_free(rc_hosts *hosts);
const rc_hosts_config *rc_hosts_settings(const rc_hosts *hosts);

/** How a kind of host is started; lives as long as the hosts. */
typedef struct rc_launcher {
    const char *name; /**< Distinguishes launchers under one key, e.g. "c". */
    rc_process_spec process;
} rc_launcher;
/** The launcher of C plugins: ourselves. */
const rc_launcher *rc_hosts_native(rc_hosts *hosts);

/** One host; survives its processes. */
typedef struct rc_host rc_host;

/** Somebody who wants to know that the host was started again: connector halves. */
typedef struct rc_host_member {
    struct rc_host_member *prev, *next;
    const char *connector;
    uint16_t instance; /**< Of the connector in the present session; 0 = none. Set by `again`. */
    /** @thread of whoever started it. The session is new; nobody uses it before this returned. */
    void (*again)(struct rc_host_member *member, rc_session *session);
    /** Stops the connector and closes its channel; `again` may follow. @thread of a task. */
    void (*rest)(struct rc_host_member *member);
} rc_host_member;

/**
 * Joins the host of this key, which is started when it has no living process.
 * @param[out] ret_session  Has a reference of the caller.
 */
int rc_host_join(rc_hosts *hosts, const rc_launcher *launcher, const char *key, rc_host **ret,
                 rc_session **ret_session, rc_error *err);
/** The session of now, started again when it died. As rc_host_join() without joining. */
int rc_host_session(rc_host *host, rc_session **ret, rc_error *err);
/**
 * A session that is only asked something (SCAN, VALIDATE) and ends by itself some time after: what
 * is asked often comes in bursts, and a virtual machine takes its time to start.
 * @param key  As in rc_host_join(); who asks under the same key shares the process.
 */
int rc_hosts_ask(rc_hosts *hosts, const rc_launcher *launcher, const char *key, rc_session **ret,
                 rc_error *err);
void rc_host_add(rc_host *host, rc_host_member *member);
void rc_host_remove(rc_host *host, rc_host_member *member);
/** Instance of a connector in the present session; 0 = it is not in this host. */
uint16_t rc_host_instance(rc_host *host, const char *connector);
/** A task that has no more work, its channel closed, is about to leave: when only connector halves
 *  stay, they rest and the process ends. It is started again with the next task that joins. */
void rc_host_rest(rc_host *host);
/** NULL is allowed. */
void rc_host_leave(rc_host *host);
rc_hosts *rc_host_hosts(const rc_host *host);

RC_DEFINE_CLEANUP(rc_hosts, rc_hosts_free)

#endif
