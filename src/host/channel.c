/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The caller's side of a session: writing frames, and waiting for what comes back. A caller sleeps
 * on its channel's descriptor beside the one its own host may want it back by.
 */
#include "host/session_impl.h"

#include "base/diag.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <utlist.h>

#define WRITE_POLL_MS 500
#define INSTANCES_MAX 1000

/* ---- writing -------------------------------------------------------------------------------- */

static bool ended(rc_session *s)
{
    return rc_session_dead(s, NULL, NULL);
}

/* A host that does not read is ended by its missing PONGs, so waiting here has an end. */
int rc_session_write(rc_session *s, const char *bytes, size_t len)
{
    int r = 0;

    pthread_mutex_lock(&s->write_mu);
    while (len > 0 && r == 0) {
        ssize_t n = send(s->process.socket, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        struct pollfd p = {.fd = s->process.socket, .events = POLLOUT};

        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            if (pthread_equal(pthread_self(), s->thread)) /* it must go on reading */
                r = -OMC_EAGAIN;
            else if (ended(s))
                r = -OMC_EIO;
            else
                (void)poll(&p, 1, WRITE_POLL_MS);
        } else if (n == 0 || errno != EINTR) {
            r = -OMC_EIO;
        }
    }
    pthread_mutex_unlock(&s->write_mu);
    return r;
}

void rc_channel_begin(rc_buf *out)
{
    static const char head[RC_WIRE_HEAD];

    rc_buf_clear(out);
    rc_buf_add(out, head, sizeof head);
}

int rc_channel_send(rc_channel *ch, unsigned type, unsigned flags, uint32_t request, rc_buf *out,
                    rc_error *err)
{
    rc_session *s = ch->session;
    rc_frame_head head = {.type = (uint8_t)type,
                          .flags = (uint8_t)flags,
                          .instance = ch->instance,
                          .request = request};

    if (out->overflow || out->len - RC_WIRE_HEAD > s->hello.max_frame)
        return rc_fail(err, OMC_ENOMEM,
                       "%s is larger than the %u bytes the host takes in one frame: make batches "
                       "smaller (batch.bytes.max), or the record is too large for this host",
                       rc_frame_name(type), s->hello.max_frame);
    head.length = (uint32_t)(out->len - RC_WIRE_HEAD);
    rc_frame_head_write(&head, out->data);
    if (ended(s) || rc_session_write(s, out->data, out->len) < 0)
        return rc_session_death(s, err);
    return 0;
}

uint32_t rc_session_request(rc_session *s, unsigned type, rc_channel *channel)
{
    rc_open_request *request = rc_calloc(1, sizeof *request), *same;

    do {
        if (++s->last_request == 0)
            s->last_request = 1;
        HASH_FIND(hh, s->open, &s->last_request, sizeof s->last_request, same);
    } while (same);
    request->id = s->last_request;
    request->type = (uint8_t)type;
    request->instance = channel ? channel->instance : 0;
    request->channel = channel;
    HASH_ADD(hh, s->open, id, sizeof request->id, request);
    return request->id;
}

void rc_channel_due(rc_channel *ch)
{
    if (!ch->calling && ch->config.due)
        ch->config.due(ch->config.arg);
}

static void begin_call(rc_channel *ch, int64_t begin_ms)
{
    ch->calling = true;
    ch->call_begin_ms = begin_ms;
}

/* What came behind the reply waits for another call, and so does the end of the host. */
static void end_call(rc_channel *ch)
{
    const rc_frame *f;

    pthread_mutex_lock(&ch->session->mu);
    ch->calling = false;
    DL_FOREACH(ch->inbox, f)
    if (!(f->head.flags & RC_WIRE_OPTIONAL))
        break;
    if (f || ch->session->state == RC_SESSION_DEAD)
        rc_channel_due(ch);
    pthread_mutex_unlock(&ch->session->mu);
}

/* ---- waiting -------------------------------------------------------------------------------- */

/* The oldest frame, or NULL. */
static rc_frame *take(rc_channel *ch)
{
    rc_session *s = ch->session;
    rc_frame *f;

    pthread_mutex_lock(&s->mu);
    f = ch->inbox;
    if (f) {
        DL_DELETE(ch->inbox, f);
        ch->inbox_count--;
        ch->inbox_bytes -= f->head.length;
    }
    if (!ch->inbox && s->state != RC_SESSION_DEAD)
        rc_wake_clear(&ch->wake);
    pthread_mutex_unlock(&s->mu);
    return f;
}

static void upcall(rc_channel *ch, rc_frame *f)
{
    if (ch->config.upcall)
        ch->config.upcall(ch->config.arg, f);
    rc_frame_free(f);
}

static int64_t now_ms(void)
{
    return rc_mono_ms(rc_clock_real());
}

/* A call has its deadline, and less when somebody waits for its thread. */
static int64_t hurried(rc_channel *ch, int64_t deadline_ms)
{
    int64_t until = deadline_ms;

    pthread_mutex_lock(&ch->session->mu);
    if (ch->hurry_ms > 0 && ch->call_begin_ms > 0)
        until = RC_MIN(until, RC_MAX(ch->hurry_since_ms, ch->call_begin_ms) + ch->hurry_ms);
    pthread_mutex_unlock(&ch->session->mu);
    return until;
}

void rc_channel_hurry(rc_channel *ch, int64_t ms)
{
    pthread_mutex_lock(&ch->session->mu);
    ch->hurry_ms = ms;
    ch->hurry_since_ms = now_ms();
    pthread_mutex_unlock(&ch->session->mu);
    if (ms > 0)
        rc_wake_set(&ch->wake); /* whoever waits looks at the time again */
}

/* Next frame. @return 1, 0 = timed out, 2 = woken, negative = dead and nothing is left. */
static int next(rc_channel *ch, int wake_fd, int64_t deadline_ms, rc_frame **ret, rc_error *err)
{
    for (;;) {
        struct pollfd fds[] = {{.fd = ch->wake.fd, .events = POLLIN},
                               {.fd = wake_fd, .events = POLLIN}};
        int64_t until, left;

        *ret = take(ch);
        if (*ret)
            return 1;
        until = hurried(ch, deadline_ms); /* behind take(), which may clear the descriptor */
        left = until == INT64_MAX ? 60000 : until - now_ms();
        if (ended(ch->session))
            return rc_session_death(ch->session, err);
        if (left <= 0)
            return 0;
        (void)poll(fds, RC_COUNT(fds), (int)RC_MIN(left, (int64_t)60000));
        if (fds[1].revents && !fds[0].revents)
            return 2;
    }
}

int rc_channel_wait(rc_channel *ch, int wake_fd, int64_t timeout_ms, rc_frame **ret, rc_error *err)
{
    int64_t deadline = timeout_ms < 0 ? INT64_MAX : now_ms() + timeout_ms;

    return next(ch, wake_fd, deadline, ret, err);
}

int rc_channel_overdue(rc_channel *ch, const char *what, int64_t ms, rc_error *err)
{
    rc_error why = {0};

    (void)omc_fail(&why, OMC_ETIMEDOUT, OMC_ERR_PROMPT,
                   "'%s' of %s did not return within %lld ms; its host was killed", what,
                   ch->config.who, (long long)ms);
    rc_session_kill(ch->session, &why);
    return rc_session_death(ch->session, err);
}

/* Error of an ERROR reply; the stack goes to the log. */
static int take_error(rc_channel *ch, const char *what, const rc_frame *f, rc_error *err)
{
    rc_wire_error error;
    rc_arena arena;
    rc_wire_in in;
    rc_error taken = {0};

    rc_arena_init(&arena, 1024);
    rc_in_init(&in, rc_frame_payload(f), &arena.pub);
    (void)rc_in_u8(&in);
    rc_in_error(&in, &error);
    if (in.fault) {
        rc_session_fault(ch->session, in.fault, "in the ERROR that answers '%s'", what);
        (void)rc_session_death(ch->session, &taken);
    } else {
        rc_wire_error_take(&error, &taken);
        if (error.stack[0])
            rc_debug(ch->config.who, "%s: %s", what, error.stack);
    }
    rc_arena_release(&arena);
    if (err)
        *err = taken;
    return -taken.code;
}

static int call(rc_channel *ch, unsigned type, const char *what, int64_t timeout_ms, rc_buf *out,
                rc_frame **ret, rc_error *err)
{
    rc_session *s = ch->session;
    int64_t begin = now_ms();
    uint32_t request;
    rc_frame *f;
    int r;

    pthread_mutex_lock(&s->mu);
    request = rc_session_request(s, type, ch);
    begin_call(ch, begin);
    pthread_mutex_unlock(&s->mu);
    r = rc_channel_send(ch, type, 0, request, out, err);
    if (r < 0)
        return r;
    while ((r = next(ch, -1, begin + timeout_ms, &f, err)) > 0) {
        if (f->head.flags & RC_WIRE_REPLY)
            break;
        upcall(ch, f);
    }
    if (r == 0) /* the deadline in force, not how late we are */
        return rc_channel_overdue(ch, what, hurried(ch, begin + timeout_ms) - begin, err);
    if (r < 0)
        return r;
    r = f->head.type == RC_FRAME_ERROR ? take_error(ch, what, f, err) : 0;
    if (r == 0 && ret)
        *ret = f;
    else
        rc_frame_free(f);
    return r;
}

int rc_channel_call(rc_channel *ch, unsigned type, const char *what, int64_t timeout_ms,
                    rc_buf *out, rc_frame **ret, rc_error *err)
{
    int r = call(ch, type, what, timeout_ms, out, ret, err);

    end_call(ch);
    return r;
}

void rc_channel_credit(rc_channel *ch, int64_t records, int64_t bytes)
{
    pthread_mutex_lock(&ch->session->mu);
    ch->records += records;
    ch->bytes += bytes;
    pthread_mutex_unlock(&ch->session->mu);
}

int64_t rc_channel_in_call(rc_channel *ch, const char *name)
{
    int64_t ms;

    pthread_mutex_lock(&ch->session->mu);
    ms = strcmp(ch->call, name) == 0 ? ch->call_ms : -1;
    pthread_mutex_unlock(&ch->session->mu);
    return ms;
}

/* ---- life ----------------------------------------------------------------------------------- */

/* Under mu. A number nobody uses; 0 = all are taken. */
static uint16_t free_instance(rc_session *s)
{
    rc_channel *same;

    if (HASH_COUNT(s->channels) >= INSTANCES_MAX)
        return 0;
    do {
        if (++s->last_instance == 0)
            s->last_instance = 1;
        HASH_FIND(hh, s->channels, &s->last_instance, sizeof s->last_instance, same);
    } while (same);
    return s->last_instance;
}

int rc_channel_open(rc_session *session, const rc_channel_config *config, rc_channel **ret,
                    rc_error *err)
{
    rc_channel *ch = rc_calloc(1, sizeof *ch);
    int r = rc_wake_init(&ch->wake, err);

    if (r < 0) {
        free(ch);
        return r;
    }
    ch->config = *config;
    ch->session = session;
    rc_session_ref(session);
    pthread_mutex_lock(&session->mu);
    if (config->kind != RC_CHANNEL_CONTROL) {
        ch->instance = free_instance(session);
        if (ch->instance)
            HASH_ADD(hh, session->channels, instance, sizeof ch->instance, ch);
        else
            r = rc_fail(err, OMC_EAGAIN, "%s has %d instances, more are not allowed", session->who,
                        INSTANCES_MAX);
    }
    DL_APPEND(session->all, ch);
    if (session->state == RC_SESSION_DEAD)
        rc_wake_set(&ch->wake);
    pthread_mutex_unlock(&session->mu);
    if (r < 0) {
        rc_channel_close(ch);
        return r;
    }
    *ret = ch;
    return 0;
}

void rc_channel_close(rc_channel *ch)
{
    rc_session *s;
    rc_open_request *request, *after;

    if (!ch)
        return;
    s = ch->session;
    pthread_mutex_lock(&s->mu);
    DL_DELETE(s->all, ch);
    if (ch->instance)
        HASH_DEL(s->channels, ch);
    HASH_ITER(hh, s->open, request, after)
    if (request->channel == ch) {
        HASH_DEL(s->open, request); /* NOLINT(clang-analyzer-unix.Malloc) */
        free(request);
    }
    pthread_mutex_unlock(&s->mu);
    while (ch->inbox) {
        rc_frame *f = ch->inbox;

        DL_DELETE(ch->inbox, f);
        rc_frame_free(f);
    }
    rc_wake_release(&ch->wake);
    free(ch);
    rc_session_unref(s);
}

uint16_t rc_channel_instance(const rc_channel *ch)
{
    return ch->instance;
}

rc_session *rc_channel_session(const rc_channel *ch)
{
    return ch->session;
}
