/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Life of a remote's connection: made for the first call, again for the next call after it broke.
 * Failed connects back off; a connection on which the peer never said anything counts as failed
 * too, so that one who accepts and hangs up is not hammered.
 *
 * settle() tells failures and may free the remote: it is the last thing a callback of the loop
 * does. Nothing is told from inside the functions of remote.h.
 */
#include "rocketmq/remote_impl.h"

#include "base/clock.h"
#include "base/units.h"
#include "rocketmq/codes.h"

#include <stdarg.h>
#include <string.h>
#include <utlist.h>

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 5000
/* Unacknowledged bytes break the connection after this. It also bounds how long the kernel goes on
 * sending for a process that was killed (ownership rule R16). */
#define USER_TIMEOUT_MS 2000
/* Given to the connection and not yet in the kernel. What waits beyond that is still ours, and is
 * known not to have left when the connection breaks. */
#define UNWRITTEN_MAX ((size_t)1 << 20)
#define ANSWERS_MAX ((size_t)16 << 20) /* Answers that the peer does not read. */
#define GO_AWAY_MS 1000 /* For replies still to come on a connection that is to go away. */

int64_t rmq_remote_now(void)
{
    return rc_mono_ms(rc_clock_real());
}

int rmq_address_split(const char *address, char host[256], int *ret_port, rc_error *err)
{
    const char *colon = strrchr(address, ':');
    size_t len = colon ? (size_t)(colon - address) : 0;
    int64_t port;

    if (!colon || len == 0)
        return rc_fail(err, OMC_EINVAL, "address '%s' must be host:port", address);
    if (rc_parse_int64(omc_slice_of(colon + 1, strlen(colon + 1)), &port) < 0 || port < 1 ||
        port > 65535)
        return rc_fail(err, OMC_EINVAL, "address '%s': the port must be 1 to 65535", address);
    if (address[0] == '[' && address[len - 1] == ']' && len > 2) {
        address++;
        len -= 2;
    } else if (memchr(address, ':', len)) {
        return rc_fail(err, OMC_EINVAL, "address '%s': write IPv6 addresses as [::1]:9876",
                       address);
    }
    if (len > 255)
        return rc_fail(err, OMC_EINVAL, "address '%.32s...': a host has at most 255 bytes",
                       address);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)address[i] <= ' ' || strchr("/,;@[]", address[i]))
            return rc_fail(err, OMC_EINVAL, "address '%s' must be host:port", address);
    memcpy(host, address, len);
    host[len] = '\0';
    *ret_port = (int)port;
    return 0;
}

void rmq_remote_say(rmq_remote *remote, enum rmq_log_level level, const char *fmt, ...)
{
    char line[1400];
    va_list ap;
    int len;

    if (!remote->config.say)
        return;
    len = snprintf(line, sizeof line, "%s at %s: ", remote->config.label, remote->config.address);
    len = RC_MIN(RC_MAX(len, 0), (int)sizeof line - 1);
    va_start(ap, fmt);
    (void)vsnprintf(line + len, sizeof line - (size_t)len, fmt, ap);
    va_end(ap);
    remote->config.say(remote->config.arg, level, line);
}

void rmq_remote_arm(rmq_remote *remote, int64_t at_ms)
{
    if (at_ms == INT64_MAX || (remote->armed_ms && remote->armed_ms <= at_ms))
        return;
    remote->armed_ms = at_ms;
    rc_loop_timer_set(remote->timer, RC_MAX(at_ms - rmq_remote_now(), 0));
}

/* Failures are told in the next turn of the loop. */
static void tell_soon(rmq_remote *remote)
{
    rmq_remote_arm(remote, rmq_remote_now());
}

static void free_remote(rmq_remote *remote)
{
    void (*closed)(void *arg) = remote->closed;
    void *arg = remote->closed_arg;

    rmq_remote_read_reset(remote);
    rmq_calls_free(remote);
    rc_loop_timer_free(remote->timer);
    free(remote->bad_address);
    free(remote->drop_why);
    free(remote->last_why);
    free((void *)(uintptr_t)remote->config.address);
    free((void *)(uintptr_t)remote->config.label);
    free((void *)(uintptr_t)remote->config.server_name);
    free(remote);
    if (closed)
        closed(arg);
}

/* May free the remote. */
static void settle(rmq_remote *remote)
{
    rmq_calls_tell(remote);
    if (remote->failed)
        tell_soon(remote);
    else if (remote->closing && !remote->conn && remote->pending == 0)
        free_remote(remote);
    else
        rmq_remote_arm(remote, rmq_calls_next_deadline(remote));
}

static void on_timer(void *arg)
{
    rmq_remote *remote = arg;
    int64_t now = rmq_remote_now();

    remote->armed_ms = 0;
    if (rmq_calls_expire(remote, now))
        rmq_remote_drop(remote, "a request could not be written before its timeout: the peer reads "
                                "too slowly or not at all");
    if (remote->draining && now >= remote->drain_until)
        rmq_remote_drop(remote, "the peer asked to go away (GO_AWAY)");
    else if (remote->draining)
        rmq_remote_arm(remote, remote->drain_until);
    settle(remote);
}

/* ---- connection ------------------------------------------------------------------------------ */

static void set_text(char **at, const char *text)
{
    char *copy = rc_strdup(text);

    free(*at);
    *at = copy;
}

/* A connection could not be made, or was of no use. */
static void back_off(rmq_remote *remote)
{
    int shift = RC_MIN(remote->failures, 10);
    int64_t wait = RC_MIN((int64_t)BACKOFF_FIRST_MS << shift, (int64_t)BACKOFF_MAX_MS);

    remote->failures++;
    remote->retry_at_ms = rmq_remote_now() + wait;
}

static void tell_lost(rmq_remote *remote, bool was_up, const char *reason)
{
    rc_error err = {.code = OMC_ECONNECT, .flags = OMC_ERR_RETRIABLE};

    if (remote->closing)
        return;
    (void)snprintf(err.msg, sizeof err.msg, "%s at %s: %s", remote->config.label,
                   remote->config.address, reason);
    if (was_up || remote->failures == 1)
        rmq_remote_say(remote, RMQ_LOG_WARN, "%s", reason);
    if (remote->config.lost)
        remote->config.lost(remote->config.arg, remote, &err);
}

static void on_written(void *arg, int result);
static void connect_now(rmq_remote *remote);

static void on_opened(void *arg)
{
    rmq_remote *remote = arg;

    if (remote->dropped)
        return;
    remote->state = RMQ_UP;
    remote->since_ms = RC_MAX(rmq_remote_now(), remote->since_ms + 1);
    remote->config.stats->connects++;
    if (remote->failures)
        rmq_remote_say(remote, RMQ_LOG_INFO, "connected again");
    if (remote->paused)
        rc_conn_pause(remote->conn, true);
    if (remote->config.connected)
        remote->config.connected(remote->config.arg, remote);
    rmq_remote_flush(remote);
}

static void on_closed(void *arg, const rc_error *why)
{
    rmq_remote *remote = arg;
    bool was_up = remote->state == RMQ_UP;
    bool ours = remote->dropped || remote->closing;
    /* A server that enforces TLS closes what does not begin with it, without a word. */
    bool silent = was_up && !ours && !remote->heard && !remote->config.tls;
    RC_AUTO_FREE char *reason =
        rc_format("%s%s", remote->drop_why ? remote->drop_why : why->msg,
                  silent ? " without a word; if it wants TLS, enable it (tls.enable)" : "");

    remote->conn = NULL;
    remote->state = RMQ_DOWN;
    remote->dropped = remote->draining = false;
    free(RC_TAKE(remote->drop_why));
    set_text(&remote->last_why, reason);
    /* A server that was reached once with these settings is so again, some time. */
    remote->last_flags = remote->since_ms ? OMC_ERR_RETRIABLE : why->flags & OMC_ERR_RETRIABLE;
    rmq_remote_read_reset(remote);
    if (was_up)
        remote->config.stats->disconnects++;
    if (!remote->heard)
        back_off(remote);
    if (remote->closing) {
        rmq_calls_fail_sent(remote, OMC_ECANCELED, "the client was closed");
        rmq_calls_fail_waiting(remote, OMC_ECANCELED, 0, "the client was closed");
    } else {
        rmq_calls_fail_sent(remote, OMC_EIO, reason);
        if (!ours)
            /* Hung up on in the handshake: somebody is there, and may not want us. */
            rmq_calls_fail_waiting(remote, !was_up && why->code == OMC_EIO ? OMC_EIO : OMC_ECONNECT,
                                   remote->last_flags, reason);
        tell_lost(remote, was_up, reason);
        if (remote->waiting && remote->state == RMQ_DOWN)
            connect_now(remote);
    }
    settle(remote);
}

static void connect_now(rmq_remote *remote)
{
    static const rc_conn_user user = {
        .opened = on_opened,
        .room = rmq_remote_room,
        .received = rmq_remote_received,
        .closed = on_closed,
    };
    rc_conn_config config = {
        .host = remote->host,
        .port = remote->port,
        .tls = remote->config.tls,
        .server_name = remote->config.server_name,
        .timeout_ms = remote->config.connect_timeout_ms,
        .user_timeout_ms = USER_TIMEOUT_MS,
    };
    rc_error err = {0};
    int r;

    remote->heard = remote->warned = false;
    if (remote->bad_address)
        r = rc_fail(&err, OMC_EINVAL, "%s", remote->bad_address);
    else
        r = rc_conn_open(remote->config.loop, &config, &user, remote, &remote->conn, &err);
    if (r == 0) {
        remote->state = RMQ_CONNECTING;
        return;
    }
    set_text(&remote->last_why, err.msg);
    remote->last_flags = OMC_ERR_RETRIABLE; /* a broker may register a better address */
    back_off(remote);
    rmq_calls_fail_waiting(remote, OMC_ECONNECT, remote->last_flags, err.msg);
    tell_soon(remote);
}

/* ---- calls ----------------------------------------------------------------------------------- */

static void on_written(void *arg, int result)
{
    rmq_call *call = arg;
    rmq_remote *remote = call->remote;

    rmq_call_written(call, result);
    if (result == 0)
        rmq_remote_flush(remote);
}

/* @return false: the call may not be written, and has failed. */
static bool passes(rmq_call *call)
{
    switch (rmq_gate_look(call->gate)) {
    case RMQ_GATE_OPEN:
        return true;
    case RMQ_GATE_CLOSED:
        rmq_call_fail(call, OMC_EAGAIN, OMC_ERR_RETRIABLE,
                      "not sent: it is not certain now that it still may be");
        break;
    case RMQ_GATE_SHUT:
        rmq_call_fail(call, OMC_EFENCED, 0, "not sent: somebody else does this now");
        break;
    }
    tell_soon(call->remote);
    return false;
}

void rmq_remote_flush(rmq_remote *remote)
{
    while (remote->waiting && remote->state == RMQ_UP && !remote->dropped && !remote->draining &&
           rc_conn_unwritten(remote->conn) < UNWRITTEN_MAX) {
        rmq_call *call = remote->waiting;

        if (!passes(call))
            continue;
        DL_DELETE(remote->waiting, call);
        call->prev = call->next = NULL;
        call->state = RMQ_CALL_WRITING;
        call->writing = true;
        remote->in_conn++;
        rc_conn_write(remote->conn, call->parts, call->part_count, on_written, call);
    }
}

void rmq_remote_call(rmq_remote *remote, const rmq_request *request)
{
    rmq_call *call = rmq_call_new(remote, request);

    if (call->state == RMQ_CALL_OVER) {
        tell_soon(remote);
    } else if (remote->closing) {
        rmq_call_fail(call, OMC_ECANCELED, 0, "the client was closed");
        tell_soon(remote);
    } else if (!remote->conn && remote->failures && rmq_remote_now() < remote->retry_at_ms) {
        rmq_call_fail(call, OMC_ECONNECT, remote->last_flags, remote->last_why);
        tell_soon(remote);
    } else {
        DL_APPEND(remote->waiting, call);
        rmq_remote_arm(remote, call->deadline_ms);
        if (!remote->conn)
            connect_now(remote);
        else
            rmq_remote_flush(remote);
    }
}

void rmq_remote_drop(rmq_remote *remote, const char *why)
{
    if (!remote->conn || remote->dropped)
        return;
    remote->dropped = true;
    set_text(&remote->drop_why, why);
    /* Nothing of it may arrive while the next connection is in use already. */
    rc_conn_reset(remote->conn);
}

void rmq_remote_go_away(rmq_remote *remote)
{
    if (remote->draining || remote->dropped)
        return;
    remote->draining = true;
    remote->drain_until = rmq_remote_now() + (remote->in_conn ? GO_AWAY_MS : 0);
    rmq_remote_arm(remote, remote->drain_until);
}

struct answer {
    rmq_remote *remote;
    size_t len;
    char bytes[];
};

static void on_answered(void *arg, int result)
{
    struct answer *answer = arg;

    answer->remote->answers_unwritten -= answer->len;
    if (result == 0)
        answer->remote->config.stats->bytes_sent += (int64_t)answer->len;
    free(answer);
}

void rmq_remote_answer(rmq_remote *remote, const rmq_frame *to, int code, rc_slice body)
{
    rmq_header header = {
        .code = code,
        .language = RMQ_LANGUAGE_CPP,
        .version = RMQ_VERSION,
        .opaque = to->header.opaque,
        .flag = RMQ_FLAG_REPLY,
    };
    struct answer *answer;
    rc_iovec part;

    if (!rmq_remote_up(remote))
        return; /* Who asked is gone. */
    rc_buf_clear(&remote->head);
    if (rmq_frame_put(&remote->head, RMQ_BINARY, &header, body.len, NULL) < 0)
        return;
    if (remote->answers_unwritten + remote->head.len + body.len > ANSWERS_MAX) {
        rmq_remote_drop(remote, "the peer asks much and does not read the answers");
        return;
    }
    answer = rc_malloc(sizeof *answer + remote->head.len + body.len);
    answer->remote = remote;
    answer->len = remote->head.len + body.len;
    memcpy(answer->bytes, remote->head.data, remote->head.len);
    if (body.len)
        memcpy(answer->bytes + remote->head.len, body.base, body.len);
    remote->answers_unwritten += answer->len;
    part = (rc_iovec){answer->bytes, answer->len};
    rc_conn_write(remote->conn, &part, 1, on_answered, answer);
}

/* ---- life ------------------------------------------------------------------------------------ */

rmq_remote *rmq_remote_new(const rmq_remote_config *config)
{
    rmq_remote *remote = rc_calloc(1, sizeof *remote);
    rc_error err = {0};

    remote->config = *config;
    remote->config.address = rc_strdup(config->address);
    remote->config.label = rc_strdup(config->label);
    remote->config.server_name = config->server_name ? rc_strdup(config->server_name) : NULL;
    if (rmq_address_split(config->address, remote->host, &remote->port, &err) < 0)
        remote->bad_address = rc_strdup(err.msg);
    remote->free_head = remote->free_tail = RMQ_NO_SLOT;
    rc_arena_init(&remote->sign_arena, (size_t)4 << 10);
    rc_arena_init(&remote->read_arena, (size_t)4 << 10);
    rc_buf_init(&remote->head, RMQ_FRAME_MAX);
    RC_ASSERT(rc_loop_timer_new(config->loop, on_timer, remote, &remote->timer) == 0);
    return remote;
}

void rmq_remote_close(rmq_remote *remote, void (*closed)(void *arg), void *arg)
{
    RC_ASSERT(!remote->closing);
    remote->closing = true;
    remote->closed = closed;
    remote->closed_arg = arg;
    rmq_calls_fail_waiting(remote, OMC_ECANCELED, 0, "the client was closed");
    if (remote->conn)
        rc_conn_close(remote->conn);
    tell_soon(remote);
}

bool rmq_remote_up(const rmq_remote *remote)
{
    return remote->state == RMQ_UP && !remote->dropped && !remote->closing;
}

const char *rmq_remote_address(const rmq_remote *remote)
{
    return remote->config.address;
}

int64_t rmq_remote_since(const rmq_remote *remote)
{
    return rmq_remote_up(remote) ? remote->since_ms : 0;
}

size_t rmq_remote_pending(const rmq_remote *remote)
{
    return remote->pending;
}

void rmq_remote_pause(rmq_remote *remote, bool paused)
{
    remote->paused = paused;
    if (remote->state == RMQ_UP && !remote->dropped && !remote->closing)
        rc_conn_pause(remote->conn, paused);
}
