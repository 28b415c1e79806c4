/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session's life, on its thread: the process is started here, because the kernel kills it when
 * the thread that started it ends; then handshake, heartbeat, and the end, after which every
 * channel wakes up.
 */
#include "host/session_impl.h"

#include "base/diag.h"
#include "base/encode.h"
#include "base/thread.h"
#include "base/units.h"
#include "base/utf8.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#define EXIT_GRACE_MS 200  /* after the socket's end, before it is killed */
#define TERM_GRACE_MS 2000 /* after SIGTERM */

static int64_t now_ns(void)
{
    return rc_mono_ns(rc_clock_real());
}

/* ---- the end -------------------------------------------------------------------------------- */

void rc_session_kill(rc_session *s, const rc_error *why)
{
    pthread_mutex_lock(&s->mu);
    if (!s->killed && s->state != RC_SESSION_DEAD) {
        s->killed = true;
        s->death = *why;
    }
    pthread_mutex_unlock(&s->mu);
    rc_wake_set(&s->control);
}

void rc_session_fault(rc_session *s, const char *name, const char *fmt, ...)
{
    rc_error why = {0};
    char detail[256];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(detail, sizeof detail, fmt, ap);
    va_end(ap);
    (void)omc_fail(&why, OMC_EFORMAT, OMC_ERR_PROMPT,
                   "%s: protocol error: %s: %s. The host is killed; this is a mistake in the host, "
                   "not in its configuration",
                   s->who, name, detail);
    rc_session_kill(s, &why);
}

/* Text of a host is only UTF-8 when it wants to be. */
static void append_words(rc_error *err, const char *words)
{
    const uint8_t *at = (const uint8_t *)words, *end = at + strlen(words);
    size_t len = strlen(err->msg);
    int n = snprintf(err->msg + len, sizeof err->msg - len, ". Its last words: ");

    len = RC_MIN(len + (size_t)RC_MAX(n, 0), sizeof err->msg - 1);
    while (at < end && len + 5 < sizeof err->msg)
        len += rc_utf8_put(rc_utf8_next(&at, end), err->msg + len);
    err->msg[len] = '\0';
}

static void drain_output(rc_session *s)
{
    for (int i = 0; i < 64 && s->out_open; i++) { /* a flood need not be read to its end */
        struct pollfd p = {.fd = s->process.out, .events = POLLIN};

        if (poll(&p, 1, 0) <= 0)
            break;
        s->out_open = rc_lines_read(&s->out, s->process.out);
    }
    for (int i = 0; i < 64 && s->err_open; i++) {
        struct pollfd p = {.fd = s->process.err, .events = POLLIN};

        if (poll(&p, 1, 0) <= 0)
            break;
        s->err_open = rc_lines_read(&s->err, s->process.err);
    }
}

static void wait_exit(const rc_session *s, int64_t ms)
{
    struct pollfd p = {.fd = s->process.pidfd, .events = POLLIN};

    if (p.fd >= 0)
        (void)poll(&p, 1, (int)ms);
}

/* Collects the process and says how it ended. */
static void end_process(rc_session *s, char how[64])
{
    if (!s->running) {
        how[0] = '\0';
        return;
    }
    drain_output(s);
    if (s->closing && s->close_deadline_ns && now_ns() >= s->close_deadline_ns) {
        rc_process_signal(&s->process, SIGTERM);
        wait_exit(s, TERM_GRACE_MS);
    }
    (void)shutdown(s->process.socket, SHUT_RDWR); /* who writes to it now must not wait */
    pthread_mutex_lock(&s->write_mu);
    rc_process_collect(&s->process, how);
    pthread_mutex_unlock(&s->write_mu);
    s->running = false;
    rc_lines_end(&s->out);
    rc_lines_end(&s->err);
}

/* The last thing: everybody gets the reason. */
static void die(rc_session *s, const rc_error *why)
{
    rc_channel *ch;
    rc_error death = *why;
    char how[64];

    end_process(s, how);
    if (!s->closing && s->err.last[0])
        append_words(&death, s->err.last);
    pthread_mutex_lock(&s->mu);
    s->death = death;
    s->state = RC_SESSION_DEAD;
    s->death_ns = now_ns();
    DL_FOREACH(s->all, ch)
    {
        rc_wake_set(&ch->wake);
        rc_channel_due(ch);
    }
    pthread_cond_broadcast(&s->cond);
    pthread_mutex_unlock(&s->mu);
}

static void die_of_exit(rc_session *s)
{
    rc_error why = {0};
    char how[64];
    bool opening;

    wait_exit(s, EXIT_GRACE_MS);
    pthread_mutex_lock(&s->mu);
    opening = s->state == RC_SESSION_OPENING;
    pthread_mutex_unlock(&s->mu);
    end_process(s, how);
    (void)omc_fail(&why, OMC_EIO, OMC_ERR_PROMPT, "%s ended%s: %s", s->who,
                   opening ? " before it said HELLO" : "", how);
    if (!s->closing)
        rc_warn(s->who, "ended: %s", how);
    die(s, &why);
}

/* ---- heartbeat and closing ------------------------------------------------------------------ */

static int send_small(rc_session *s, unsigned type, uint32_t request, const char *payload,
                      uint32_t len)
{
    rc_frame_head head = {.length = len, .type = (uint8_t)type, .request = request};
    char bytes[RC_WIRE_HEAD + 16];

    RC_ASSERT(len <= 16);
    rc_frame_head_write(&head, bytes);
    memcpy(bytes + RC_WIRE_HEAD, payload, len);
    return rc_session_write(s, bytes, RC_WIRE_HEAD + len);
}

/* A process with its own heap and mappings has no rlimit that fits all run-times (Go and Node
 * reserve address space they never use): what it really has is looked at with each heartbeat. */
static void watch_memory(rc_session *s)
{
    int64_t resident = s->resident_max > 0 ? rc_process_resident(&s->process) : 0;
    rc_error why = {0};
    char used[24], most[24];

    if (resident <= s->resident_max)
        return;
    (void)omc_fail(&why, OMC_ENOMEM, OMC_ERR_PROMPT,
                   "%s had %s of memory, more than %s = %s allows, and was killed: raise the limit "
                   "when the connector needs as much, else give it smaller batches "
                   "(batch.bytes.max) or its run-time less heap",
                   s->who, rc_format_size(resident, used), s->resident_key,
                   rc_format_size(s->resident_max, most));
    rc_session_kill(s, &why);
}

/* @return false when the host has missed too many. */
static bool heartbeat(rc_session *s)
{
    char payload[8] = {0};
    bool answered;

    if (now_ns() < s->ping_ns)
        return true;
    s->ping_ns = now_ns() + s->heartbeat_ms * 1000000;
    watch_memory(s);
    pthread_mutex_lock(&s->mu);
    if (s->state != RC_SESSION_READY) {
        pthread_mutex_unlock(&s->mu);
        return true;
    }
    answered = s->ping_request == 0;
    if (answered)
        s->ping_request = rc_session_request(s, RC_FRAME_PING, NULL);
    pthread_mutex_unlock(&s->mu);
    if (!answered)
        return ++s->pings_missed < RC_PINGS_MISSED_MAX;
    s->pings_missed = 0;
    (void)send_small(s, RC_FRAME_PING, s->ping_request, payload, sizeof payload);
    return true;
}

static void die_of_silence(rc_session *s)
{
    rc_error why = {0};

    (void)omc_fail(&why, OMC_ETIMEDOUT, OMC_ERR_PROMPT,
                   "%s did not answer PING for %lld ms and was killed", s->who,
                   (long long)s->heartbeat_ms * RC_PINGS_MISSED_MAX);
    rc_warn(s->who, "does not answer, it is killed");
    die(s, &why);
}

/* Asks the host to end, once. */
static void begin_closing(rc_session *s)
{
    char payload[4];
    rc_buf out = RC_BUF(16);
    uint32_t request;
    bool ready;

    if (s->close_deadline_ns)
        return;
    s->close_deadline_ns = now_ns() + s->shutdown_ms * 1000000;
    pthread_mutex_lock(&s->mu);
    ready = s->state == RC_SESSION_READY;
    request = rc_session_request(s, RC_FRAME_SHUTDOWN, NULL);
    pthread_mutex_unlock(&s->mu);
    rc_out_u32(&out, (uint32_t)s->shutdown_ms);
    memcpy(payload, out.data, sizeof payload);
    rc_buf_release(&out);
    if (!ready || send_small(s, RC_FRAME_SHUTDOWN, request, payload, sizeof payload) < 0)
        s->close_deadline_ns = now_ns();
}

/* ---- the thread ----------------------------------------------------------------------------- */

typedef struct watched {
    bool killed, closing, opening;
} watched;

/* Under mu. A reference that is taken now is seen here, or sees `retired`: rc_host_session(). */
static void look_idle(rc_session *s)
{
    bool idle = s->idle_ms > 0 && s->state == RC_SESSION_READY && atomic_load(&s->refs) == 1;

    if (!idle || s->idle_ns == 0)
        s->idle_ns = idle ? now_ns() : 0;
    else if (now_ns() - s->idle_ns >= s->idle_ms * 1000000)
        s->closing = s->retired = true;
}

static watched look(rc_session *s)
{
    watched w;

    pthread_mutex_lock(&s->mu);
    look_idle(s);
    w = (watched){s->killed, s->closing, s->state == RC_SESSION_OPENING};
    pthread_mutex_unlock(&s->mu);
    return w;
}

static int wait_ms(const rc_session *s, watched w)
{
    int64_t until = w.opening ? s->start_deadline_ns : s->ping_ns;

    if (s->idle_ns)
        until = RC_MIN(until, s->idle_ns + s->idle_ms * 1000000);
    if (w.closing && s->close_deadline_ns)
        until = RC_MIN(until, s->close_deadline_ns);
    until = (until - now_ns()) / 1000000 + 1;
    return (int)RC_MAX(0, RC_MIN(until, (int64_t)60000));
}

static void die_of_start(rc_session *s)
{
    rc_error why = {0};

    (void)omc_fail(&why, OMC_ETIMEDOUT, OMC_ERR_PROMPT,
                   "%s did not say HELLO within %lld ms (host.start.timeout) and was killed",
                   s->who, (long long)s->start_timeout_ms);
    die(s, &why);
}

static void die_killed(rc_session *s)
{
    rc_error why;

    pthread_mutex_lock(&s->mu);
    why = s->death;
    pthread_mutex_unlock(&s->mu);
    rc_warn(s->who, "is killed: %s", why.msg);
    die(s, &why);
}

/* One round. @return false after the end. */
static bool step(rc_session *s)
{
    watched w = look(s);
    struct pollfd fds[] = {{.fd = s->control.fd, .events = POLLIN},
                           {.fd = s->process.socket, .events = POLLIN},
                           {.fd = s->out_open ? s->process.out : -1, .events = POLLIN},
                           {.fd = s->err_open ? s->process.err : -1, .events = POLLIN},
                           {.fd = s->process.pidfd, .events = POLLIN}};

    if (w.killed)
        return die_killed(s), false;
    if (w.closing)
        begin_closing(s);
    if (w.opening && now_ns() >= s->start_deadline_ns)
        return die_of_start(s), false;
    if (w.closing && now_ns() >= s->close_deadline_ns)
        return die_of_exit(s), false;
    if (!heartbeat(s))
        return die_of_silence(s), false;
    (void)poll(fds, RC_COUNT(fds), wait_ms(s, w));
    if (fds[0].revents)
        rc_wake_clear(&s->control);
    if (fds[2].revents)
        s->out_open = rc_lines_read(&s->out, s->process.out);
    if (fds[3].revents)
        s->err_open = rc_lines_read(&s->err, s->process.err);
    if (fds[1].revents && !rc_session_read(s))
        return look(s).killed ? die_killed(s) : die_of_exit(s), false;
    if (fds[4].revents && !fds[1].revents) /* what it sent before is read first */
        return die_of_exit(s), false;
    return true;
}

static void *session_main(void *arg)
{
    rc_session *s = arg;
    RC_AUTO_FREE char *token = rc_format("CHP_SESSION=%s", s->token);
    const char *env[64] = {"CHP_VERSION=1", token};
    rc_process_spec spec = *s->spec;
    rc_error err = {0};

    for (size_t i = 0; spec.env && spec.env[i] && i < RC_COUNT(env) - 3; i++)
        env[2 + i] = spec.env[i];
    spec.env = env;
    if (rc_process_start(&spec, &s->process, &err) < 0) {
        die(s, &err);
        return NULL;
    }
    s->running = s->out_open = s->err_open = true;
    s->start_deadline_ns = now_ns() + s->start_timeout_ms * 1000000;
    while (step(s))
        ;
    return NULL;
}

/* ---- life ----------------------------------------------------------------------------------- */

static rc_session *session_new(const rc_session_config *config)
{
    rc_session *s = rc_calloc(1, sizeof *s);
    uint64_t random = 0;

    (void)!getrandom(&random, sizeof random, 0);
    (void)snprintf(s->token, sizeof s->token, "%016llx", (unsigned long long)random);
    s->who = rc_strdup(config->who);
    s->worker_id = rc_strdup(config->worker_id ? config->worker_id : "");
    s->spec = config->process;
    s->settings = config->settings;
    s->start_timeout_ms = config->start_timeout_ms;
    s->heartbeat_ms = config->heartbeat_ms;
    s->shutdown_ms = config->shutdown_ms;
    s->idle_ms = config->idle_ms;
    s->resident_max = config->process->resident_max;
    if (config->process->resident_key)
        s->resident_key = rc_strdup(config->process->resident_key);
    s->control.fd = -1;
    atomic_store(&s->refs, 1);
    rc_arena_init(&s->memory, 1024);
    pthread_mutex_init(&s->mu, NULL);
    pthread_mutex_init(&s->write_mu, NULL);
    rc_cond_init(&s->cond);
    rc_lines_init(&s->out, s->who, OMC_INFO, rc_clock_real());
    rc_lines_init(&s->err, s->who, OMC_WARN, rc_clock_real());
    return s;
}

static void session_delete(rc_session *s)
{
    rc_open_request *request, *next;

    RC_ASSERT(!s->all);
    HASH_ITER(hh, s->open, request, next)
    {
        HASH_DEL(s->open, request); /* NOLINT(clang-analyzer-unix.Malloc) */
        free(request);
    }
    rc_frame_free(s->partial);
    rc_wake_release(&s->control);
    pthread_cond_destroy(&s->cond);
    pthread_mutex_destroy(&s->write_mu);
    pthread_mutex_destroy(&s->mu);
    rc_arena_release(&s->memory);
    free(s->resident_key);
    free(s->worker_id);
    free(s->who);
    free(s);
}

int rc_session_open(const rc_session_config *config, rc_session **ret, rc_error *err)
{
    rc_session *s = session_new(config);
    int r = rc_wake_init(&s->control, err);

    if (r == 0)
        r = rc_thread_start(&s->thread, "rc-host", (size_t)256 << 10, session_main, s, err);
    if (r < 0) {
        session_delete(s);
        return r;
    }
    pthread_mutex_lock(&s->mu);
    while (s->state == RC_SESSION_OPENING)
        (void)pthread_cond_wait(&s->cond, &s->mu);
    if (s->state == RC_SESSION_DEAD) {
        r = -s->death.code;
        if (err)
            *err = s->death;
    }
    s->spec = NULL;
    s->settings = NULL;
    pthread_mutex_unlock(&s->mu);
    if (r < 0) {
        rc_session_unref(s);
        return r;
    }
    *ret = s;
    return 0;
}

void rc_session_ref(rc_session *s)
{
    (void)atomic_fetch_add(&s->refs, 1);
}

void rc_session_unref(rc_session *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    pthread_mutex_lock(&s->mu);
    s->closing = true;
    pthread_mutex_unlock(&s->mu);
    rc_wake_set(&s->control);
    pthread_join(s->thread, NULL);
    session_delete(s);
}

bool rc_session_dead(rc_session *s, rc_error *err, int64_t *ret_ns)
{
    bool dead;

    pthread_mutex_lock(&s->mu);
    dead = s->state == RC_SESSION_DEAD || s->killed || s->retired;
    if (dead && err)
        *err = s->death;
    if (dead && ret_ns)
        *ret_ns = s->death_ns;
    pthread_mutex_unlock(&s->mu);
    return dead;
}

bool rc_session_retired(rc_session *s)
{
    bool retired;

    pthread_mutex_lock(&s->mu);
    retired = s->retired;
    pthread_mutex_unlock(&s->mu);
    return retired;
}

int rc_session_death(rc_session *s, rc_error *err)
{
    pthread_mutex_lock(&s->mu);
    while (s->state != RC_SESSION_DEAD) /* a write failed, or it is being killed: the end is near */
        (void)pthread_cond_wait(&s->cond, &s->mu);
    if (err)
        *err = s->death;
    pthread_mutex_unlock(&s->mu);
    return err ? -err->code : -OMC_EIO;
}

const rc_hello *rc_session_hello(const rc_session *s)
{
    return &s->hello;
}

pid_t rc_session_pid(const rc_session *s)
{
    return s->process.pid;
}
