/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the socket's bytes to frames, and from frames to those who want them. All of it comes from a
 * process that may be broken or worse; the first rule that is broken ends the session.
 */
#include "host/session_impl.h"

#include "base/diag.h"

#include <errno.h>
#include <sys/socket.h>
#include <utlist.h>

#define PONG_INSTANCES_MAX 65535

/* ---- which frames may come ------------------------------------------------------------------ */

enum to {
    NOBODY = 0, /* only the worker sends it */
    TO_CONNECTOR = 1u << RC_CHANNEL_CONNECTOR,
    TO_SOURCE = 1u << RC_CHANNEL_SOURCE,
    TO_SINK = 1u << RC_CHANNEL_SINK,
    TO_COMPONENT = 1u << RC_CHANNEL_COMPONENT,
    TO_TASK = TO_SOURCE | TO_SINK,
    TO_ANY = TO_CONNECTOR | TO_TASK | TO_COMPONENT
};

/* Frames of a host that are no replies, and whose they may be. */
static const struct rule {
    uint8_t type;
    bool request;
    unsigned to;
} rules[] = {
    {RC_FRAME_ERROR, false, TO_ANY},
    {RC_FRAME_METRICS, false, TO_TASK},
    {RC_FRAME_SCHEMAS, false, TO_SOURCE | TO_COMPONENT},
    {RC_FRAME_RECONFIGURE, false, TO_CONNECTOR},
    {RC_FRAME_RAISE_ERROR, false, TO_CONNECTOR},
    {RC_FRAME_BATCH, false, TO_SOURCE},
    {RC_FRAME_OFFSET_READ, true, TO_SOURCE},
    {RC_FRAME_FINISHED, false, TO_SOURCE},
    {RC_FRAME_PAUSE, false, TO_SINK},
    {RC_FRAME_RESUME, false, TO_SINK},
    {RC_FRAME_RESET_OFFSET, false, TO_SINK},
    {RC_FRAME_REPORT, true, TO_SINK},
    {RC_FRAME_REQUEST_COMMIT, false, TO_SINK},
    {RC_FRAME_RETRY_AFTER, false, TO_SINK},
};

static const struct rule *find_rule(unsigned type)
{
    for (size_t i = 0; i < RC_COUNT(rules); i++)
        if (rules[i].type == type)
            return &rules[i];
    return NULL;
}

/* ---- the session's own frames --------------------------------------------------------------- */

static void take_hello(rc_session *s, const rc_frame *f)
{
    rc_buf out = RC_BUF(RC_WIRE_FIRST_MAX);
    rc_frame_head head = {.type = RC_FRAME_WELCOME};
    rc_welcome welcome = {.version = RC_WIRE_VERSION,
                          .max_frame = RC_WIRE_FRAME_USUAL,
                          .heartbeat_ms = (uint32_t)s->heartbeat_ms,
                          .log_level = (uint8_t)rc_diag_level(),
                          .session = s->token,
                          .worker_id = s->worker_id,
                          .worker_version = RC_VERSION,
                          .settings = s->settings};
    rc_wire_in in;

    rc_in_init(&in, rc_frame_payload(f), &s->memory.pub);
    rc_in_hello(&in, &s->hello);
    s->hello.more = NULL; /* it borrows from the frame */
    if (in.fault) {
        rc_session_fault(s, in.fault, "in HELLO");
        return;
    }
    if (s->hello.version_min > RC_WIRE_VERSION || s->hello.version_max < RC_WIRE_VERSION) {
        rc_session_fault(s, "no-hello", "it speaks versions %u to %u, this worker %u",
                         s->hello.version_min, s->hello.version_max, RC_WIRE_VERSION);
        return;
    }
    if (s->hello.max_frame < RC_WIRE_FIRST_MAX) {
        rc_session_fault(s, "over-limit", "its max_frame %u is below %u", s->hello.max_frame,
                         RC_WIRE_FIRST_MAX);
        return;
    }
    s->hello.max_frame = RC_MIN(s->hello.max_frame, RC_WIRE_FRAME_MAX);
    welcome.capabilities = s->hello.capabilities;
    rc_channel_begin(&out);
    rc_out_welcome(&out, &welcome);
    head.length = (uint32_t)(out.len - RC_WIRE_HEAD);
    rc_frame_head_write(&head, out.data);
    (void)rc_session_write(s, out.data, out.len);
    rc_buf_release(&out);
    pthread_mutex_lock(&s->mu);
    s->state = RC_SESSION_READY;
    pthread_cond_broadcast(&s->cond);
    pthread_mutex_unlock(&s->mu);
}

/* Who speaks: the task, as if it were in the worker, or the host. */
static void name_speaker(rc_session *s, uint16_t instance, char out[256])
{
    const rc_channel *ch;
    bool task;

    pthread_mutex_lock(&s->mu);
    HASH_FIND(hh, s->channels, &instance, sizeof instance, ch);
    task = ch && (ch->config.kind == RC_CHANNEL_SOURCE || ch->config.kind == RC_CHANNEL_SINK);
    (void)snprintf(out, 256, "%s%s", task ? "task " : "", ch ? ch->config.who : s->who);
    pthread_mutex_unlock(&s->mu);
}

/* One frame is one line, whatever is in it. */
static void print_log(const char *who, unsigned level, rc_slice logger, rc_slice text)
{
    rc_lines line;

    rc_lines_init(&line, who, (omc_log_level)RC_MIN(level, (unsigned)OMC_ERROR), rc_clock_real());
    if (logger.len) {
        rc_lines_add(&line, logger.base, RC_MIN(logger.len, (size_t)256));
        rc_lines_add(&line, ": ", 2);
    }
    for (size_t i = 0; i < text.len && i < RC_LINE_MAX; i++)
        rc_lines_add(&line, text.base[i] == '\n' ? " " : text.base + i, 1);
    rc_lines_end(&line);
}

static void take_log(rc_session *s, const rc_frame *f)
{
    rc_arena arena;
    rc_wire_in in;
    unsigned level;
    rc_slice logger, text;
    char who[256];

    if (!rc_lines_allow(&s->err))
        return;
    rc_arena_init(&arena, 1024);
    rc_in_init(&in, rc_frame_payload(f), &arena.pub);
    level = rc_in_u8(&in);
    (void)rc_in_i64(&in);
    logger = rc_in_str(&in);
    (void)rc_in_str(&in);
    text = rc_in_str(&in);
    name_speaker(s, f->head.instance, who);
    if (in.fault)
        rc_session_fault(s, in.fault, "in LOG");
    else
        print_log(who, level, logger, text);
    rc_arena_release(&arena);
}

static void take_pong(rc_session *s, const rc_frame *f)
{
    rc_arena arena;
    rc_wire_in in;
    rc_channel *ch, *next;
    uint32_t count;

    rc_arena_init(&arena, 1024);
    rc_in_init(&in, rc_frame_payload(f), &arena.pub);
    (void)rc_in_u64(&in);
    (void)rc_in_u64(&in);
    (void)rc_in_u64(&in);
    count = rc_in_count(&in, 4, PONG_INSTANCES_MAX);
    pthread_mutex_lock(&s->mu);
    HASH_ITER(hh, s->channels, ch, next)
    ch->call[0] = '\0';
    for (uint32_t i = 0; i < count && !in.fault; i++) {
        rc_wire_in part = rc_in_enter(&in);
        uint16_t instance = rc_in_u16(&part);
        uint32_t ms = rc_in_u32(&part);
        const char *call = rc_in_name(&part, 256);

        HASH_FIND(hh, s->channels, &instance, sizeof instance, ch);
        if (ch && !part.fault) {
            (void)snprintf(ch->call, sizeof ch->call, "%s", call);
            ch->call_ms = ms;
        }
        rc_in_leave(&in, &part);
    }
    pthread_mutex_unlock(&s->mu);
    if (in.fault)
        rc_session_fault(s, in.fault, "in the reply to PING");
    rc_arena_release(&arena);
}

static void take_host_error(rc_session *s, const rc_frame *f)
{
    rc_arena arena;
    rc_wire_in in;
    rc_wire_error error;
    rc_error why = {0};

    rc_arena_init(&arena, 1024);
    rc_in_init(&in, rc_frame_payload(f), &arena.pub);
    (void)rc_in_u8(&in);
    rc_in_error(&in, &error);
    if (in.fault) {
        rc_session_fault(s, in.fault, "in ERROR");
    } else {
        rc_wire_error_take(&error, &why);
        (void)rc_wrap(&why, 0, "%s cannot go on", s->who);
        why.flags |= OMC_ERR_PROMPT;
        rc_session_kill(s, &why);
    }
    rc_arena_release(&arena);
}

/* ---- dispatch ------------------------------------------------------------------------------- */

/* Under mu. @return false when too much waits. */
static bool deliver(rc_channel *ch, rc_frame *f)
{
    ch->inbox_count++;
    ch->inbox_bytes += f->head.length;
    DL_APPEND(ch->inbox, f);
    rc_wake_set(&ch->wake);
    return ch->inbox_count <= RC_INBOX_FRAMES_MAX && ch->inbox_bytes <= RC_INBOX_BYTES_MAX;
}

/* A reply: to a channel, or to the session itself. Takes the frame. */
static void take_reply(rc_session *s, rc_frame *f)
{
    const rc_frame_head *head = &f->head;
    rc_open_request *request;
    rc_channel *channel = NULL;
    unsigned type = 0;
    bool expected;

    pthread_mutex_lock(&s->mu);
    HASH_FIND(hh, s->open, &head->request, sizeof head->request, request);
    expected = request && request->instance == head->instance &&
               (request->type == head->type || head->type == RC_FRAME_ERROR);
    if (expected) {
        type = request->type;
        channel = request->channel;
        HASH_DEL(s->open, request);
        free(request);
        if (channel)
            (void)deliver(channel, f);
    }
    pthread_mutex_unlock(&s->mu);
    if (!expected)
        rc_session_fault(s, "unexpected-reply", "%s with request %u, instance %u",
                         rc_frame_name(head->type), head->request, head->instance);
    if (channel)
        return;
    if (expected && type == RC_FRAME_PING) {
        s->ping_request = 0;
        s->pings_missed = 0;
        if (head->type == RC_FRAME_PING)
            take_pong(s, f);
    }
    rc_frame_free(f);
}

/* Under mu. Held against the credit when it comes, not when it is looked at: the credit of what
 * waits is not given back yet. @return false when there was none. */
static bool pay(rc_channel *ch, const rc_frame *f)
{
    rc_arena none;
    rc_wire_in in;
    bool may = ch->records > 0 && ch->bytes > 0;

    rc_arena_init(&none, 64);
    rc_in_init(&in, rc_frame_payload(f), &none.pub);
    (void)rc_in_u64(&in);
    ch->records -= rc_in_u32(&in);
    ch->bytes -= f->head.length;
    return may;
}

/* A frame of an instance that is no reply. Takes it. */
static void take_instance(rc_session *s, rc_frame *f, const struct rule *rule)
{
    const char *name = rc_frame_name(f->head.type), *fault = NULL;
    bool optional = f->head.flags & RC_WIRE_OPTIONAL;
    unsigned instance = f->head.instance;
    rc_channel *ch;

    pthread_mutex_lock(&s->mu);
    HASH_FIND(hh, s->channels, &f->head.instance, sizeof f->head.instance, ch);
    if (!ch)
        fault = optional ? NULL : "unknown-instance";
    else if (!(rule->to & (1u << ch->config.kind)) || rule->request != (f->head.request != 0))
        fault = "wrong-kind";
    else if (ch->config.kind == RC_CHANNEL_CONNECTOR && ch->config.event)
        ch->config.event(ch->config.arg, f);
    else if (optional && ch->inbox_count >= RC_INBOX_OPTIONAL_MAX)
        ; /* lossy, as said */
    else if (f->head.type == RC_FRAME_BATCH && !pay(ch, f))
        fault = "credit-exceeded";
    else if (!deliver(ch, f))
        fault = "flood";
    else
        f = NULL;
    if (ch && !f && !optional)
        rc_channel_due(ch);
    pthread_mutex_unlock(&s->mu);
    if (fault)
        rc_session_fault(s, fault, "%s of instance %u", name, instance);
    if (f && !(fault && strcmp(fault, "flood") == 0)) /* else it is in the inbox */
        rc_frame_free(f);
}

static void dispatch(rc_session *s, rc_frame *f)
{
    const rc_frame_head *head = &f->head;
    const struct rule *rule = find_rule(head->type);

    if (s->state == RC_SESSION_OPENING || head->type == RC_FRAME_HELLO) {
        if (s->state == RC_SESSION_OPENING && head->type == RC_FRAME_HELLO)
            take_hello(s, f);
        else
            rc_session_fault(s, "no-hello", "%s (type %02x) came instead",
                             rc_frame_name(head->type), head->type);
        rc_frame_free(f);
    } else if (head->flags & ~(RC_WIRE_OPTIONAL | RC_WIRE_REPLY)) {
        rc_session_fault(s, "unknown-frame", "flags %02x", head->flags);
        rc_frame_free(f);
    } else if (head->flags & RC_WIRE_REPLY) {
        take_reply(s, f);
    } else if (head->type == RC_FRAME_LOG) {
        take_log(s, f);
        rc_frame_free(f);
    } else if (head->type == RC_FRAME_ERROR && head->instance == 0) {
        take_host_error(s, f);
        rc_frame_free(f);
    } else if (rule) {
        take_instance(s, f, rule);
    } else {
        if (!(head->flags & RC_WIRE_OPTIONAL) || rc_frame_name(head->type)[0] != '?')
            rc_session_fault(s, "unknown-frame", "type %02x (%s) is not for hosts to send",
                             head->type, rc_frame_name(head->type));
        rc_frame_free(f);
    }
}

/* ---- bytes ---------------------------------------------------------------------------------- */

void rc_frame_free(rc_frame *frame)
{
    if (!frame)
        return;
    free(frame->payload);
    free(frame);
}

static bool killed(rc_session *s)
{
    bool is;

    pthread_mutex_lock(&s->mu);
    is = s->killed;
    pthread_mutex_unlock(&s->mu);
    return is;
}

/* Frames that are whole in `ahead`, and the beginning of one that is not. */
static bool take_ahead(rc_session *s)
{
    while (s->ahead_len - s->ahead_at >= RC_WIRE_HEAD && !killed(s)) {
        rc_frame_head head = rc_frame_head_read(s->ahead + s->ahead_at);
        uint32_t max = s->state == RC_SESSION_OPENING ? RC_WIRE_FIRST_MAX : RC_WIRE_FRAME_USUAL;
        size_t have = s->ahead_len - s->ahead_at - RC_WIRE_HEAD;
        rc_frame *f;

        if (head.length > max) {
            rc_session_fault(s, "frame-too-long", "%s with %u bytes, at most %u are allowed",
                             rc_frame_name(head.type), head.length, max);
            return false;
        }
        f = rc_calloc(1, sizeof *f);
        f->head = head;
        f->payload = rc_malloc((size_t)head.length + 1);
        have = RC_MIN(have, (size_t)head.length);
        memcpy(f->payload, s->ahead + s->ahead_at + RC_WIRE_HEAD, have);
        s->ahead_at += RC_WIRE_HEAD + have;
        if (have < head.length) {
            s->partial = f;
            s->partial_len = have;
            return true;
        }
        dispatch(s, f);
    }
    memmove(s->ahead, s->ahead + s->ahead_at, s->ahead_len - s->ahead_at);
    s->ahead_len -= s->ahead_at;
    s->ahead_at = 0;
    return !killed(s);
}

static ssize_t receive(const rc_session *s, void *at, size_t n)
{
    ssize_t got;

    do
        got = recv(s->process.socket, at, n, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    return got;
}

/* One read. A large frame is read to where it stays. */
bool rc_session_read(rc_session *s)
{
    ssize_t got;

    if (s->partial) {
        got = receive(s, s->partial->payload + s->partial_len,
                      s->partial->head.length - s->partial_len);
        if (got <= 0)
            return got < 0 && errno == EAGAIN;
        s->partial_len += (size_t)got;
        if (s->partial_len == s->partial->head.length) {
            s->ahead_len = s->ahead_at = 0;
            dispatch(s, RC_TAKE(s->partial));
        }
        return !killed(s);
    }
    got = receive(s, s->ahead + s->ahead_len, sizeof s->ahead - s->ahead_len);
    if (got <= 0)
        return got < 0 && errno == EAGAIN;
    s->ahead_len += (size_t)got;
    return take_ahead(s);
}
