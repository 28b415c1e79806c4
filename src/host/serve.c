/* SPDX-License-Identifier: Apache-2.0 */
/* The native host's main thread: handshake, reading, PING, and what goes to whom. */
#include "host/serve.h"

#include "base/diag.h"
#include "host/serve_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

/* ---- writing -------------------------------------------------------------------------------- */

/* The worker is gone: nothing may be finished, and nobody is there to be told. */
_Noreturn static void gone(void)
{
    _exit(0);
}

void rc_server_send(rc_server *server, uint16_t instance, unsigned type, unsigned flags,
                    uint32_t request, rc_buf *out)
{
    rc_frame_head head = {.length = (uint32_t)(out->len - RC_WIRE_HEAD),
                          .type = (uint8_t)type,
                          .flags = (uint8_t)flags,
                          .instance = instance,
                          .request = request};
    size_t done = 0;

    RC_ASSERT(!out->overflow);
    rc_frame_head_write(&head, out->data);
    pthread_mutex_lock(&server->write_mu);
    while (done < out->len) {
        ssize_t n = send(server->fd, out->data + done, out->len - done, MSG_NOSIGNAL);

        if (n < 0 && errno != EINTR)
            gone();
        done += n > 0 ? (size_t)n : 0;
    }
    pthread_mutex_unlock(&server->write_mu);
}

void rc_server_reply(rc_server *server, const rc_frame *f, int r, const rc_error *err)
{
    rc_buf out = RC_BUF(8192);

    rc_channel_begin(&out);
    if (r < 0) {
        rc_out_u8(&out, 0);
        rc_out_error(&out, err, -1);
    }
    rc_server_send(server, f->head.instance, r < 0 ? RC_FRAME_ERROR : f->head.type, RC_WIRE_REPLY,
                   f->head.request, &out);
    rc_buf_release(&out);
}

void rc_server_log(rc_server *server, uint16_t instance, omc_log_level level, const char *logger,
                   const char *fmt, va_list ap)
{
    rc_buf out = RC_BUF(32768);
    char text[8192];

    (void)vsnprintf(text, sizeof text, fmt, ap);
    rc_channel_begin(&out);
    rc_out_u8(&out, level);
    rc_out_u64(&out, (uint64_t)rc_now_ms(rc_clock_real()));
    rc_out_text(&out, logger);
    rc_out_text(&out, "");
    rc_out_text(&out, text);
    rc_out_optional(&out, NULL);
    rc_server_send(server, instance, RC_FRAME_LOG, RC_WIRE_OPTIONAL, 0, &out);
    rc_buf_release(&out);
}

/* ---- reading -------------------------------------------------------------------------------- */

static void read_all(const rc_server *server, char *at, size_t n)
{
    while (n > 0) {
        ssize_t got = read(server->fd, at, n);

        if (got == 0 || (got < 0 && errno != EINTR))
            gone();
        at += got > 0 ? got : 0;
        n -= got > 0 ? (size_t)got : 0;
    }
}

static rc_frame *read_frame(const rc_server *server)
{
    rc_frame *f = rc_calloc(1, sizeof *f);
    char head[RC_WIRE_HEAD];

    read_all(server, head, sizeof head);
    f->head = rc_frame_head_read(head);
    if (f->head.length > RC_WIRE_FRAME_MAX)
        gone();
    f->payload = rc_malloc((size_t)f->head.length + 1);
    read_all(server, f->payload, f->head.length);
    return f;
}

/* ---- PING ----------------------------------------------------------------------------------- */

static void pong(rc_server *server, const rc_frame *f)
{
    rc_buf out = RC_BUF(1 << 20);
    int64_t now = rc_mono_ns(rc_clock_real());
    rc_served *s, *next;
    uint32_t count = 0;
    size_t mark;

    rc_channel_begin(&out);
    rc_buf_add(&out, f->payload, RC_MIN(f->head.length, 8u));
    rc_out_u64(&out, 0);
    rc_out_u64(&out, 0);
    mark = rc_out_mark(&out);
    pthread_mutex_lock(&server->mu);
    HASH_ITER(hh, server->instances, s, next)
    {
        pthread_mutex_lock(&s->mu);
        if (s->call) {
            size_t part = rc_out_mark(&out);

            rc_out_u16(&out, s->number);
            rc_out_u32(&out, (uint32_t)((now - s->call_ns) / 1000000));
            rc_out_text(&out, s->call);
            rc_out_sized(&out, part);
            count++;
        }
        pthread_mutex_unlock(&s->mu);
    }
    pthread_mutex_unlock(&server->mu);
    rc_out_patch(&out, mark, count);
    rc_server_send(server, 0, RC_FRAME_PING, RC_WIRE_REPLY, f->head.request, &out);
    rc_buf_release(&out);
}

/* ---- dispatch ------------------------------------------------------------------------------- */

static void wake_plugin(rc_served *s)
{
    if (!s->wakeable)
        return;
    if (s->plugin->kind == OMC_SOURCE) {
        const omc_source_ops *ops = s->plugin->ops;

        if (ops->wake)
            ops->wake(s->state);
    } else {
        const omc_sink_ops *ops = s->plugin->ops;

        if (ops->wake)
            ops->wake(s->state);
    }
}

static void deliver(rc_server *server, rc_frame *f)
{
    rc_served *s;

    pthread_mutex_lock(&server->mu);
    HASH_FIND(hh, server->instances, &f->head.instance, sizeof f->head.instance, s);
    if (s) {
        pthread_mutex_lock(&s->mu);
        s->stopping = s->stopping || f->head.type == RC_FRAME_STOP;
        DL_APPEND(s->inbox, f);
        rc_wake_set(&s->wake);
        pthread_cond_broadcast(&s->cond);
        if (f->head.type == RC_FRAME_STOP)
            wake_plugin(s);
        pthread_mutex_unlock(&s->mu);
        f = NULL;
    }
    pthread_mutex_unlock(&server->mu);
    rc_frame_free(f);
}

static void dispatch(rc_server *server, rc_frame *f)
{
    rc_error err = {0};

    switch (f->head.type) {
    case RC_FRAME_PING:
        pong(server, f);
        rc_frame_free(f);
        break;
    case RC_FRAME_SHUTDOWN:
        rc_server_reply(server, f, 0, NULL);
        _exit(0);
    case RC_FRAME_SCAN:
    case RC_FRAME_VALIDATE:
        rc_served_control(server, f);
        break;
    case RC_FRAME_CONNECTOR_START:
    case RC_FRAME_TASK_START:
        rc_served_begin(server, f);
        break;
    case RC_FRAME_COMPONENT_START:
        rc_server_reply(server, f,
                        rc_fail(&err, OMC_EUNSUPPORTED, "this host runs connectors only"), &err);
        rc_frame_free(f);
        break;
    default:
        deliver(server, f);
        break;
    }
}

/* ---- life ----------------------------------------------------------------------------------- */

static int handshake(rc_server *server)
{
    const rc_hello hello = {.magic = RC_WIRE_MAGIC,
                            .version_min = RC_WIRE_VERSION,
                            .version_max = RC_WIRE_VERSION,
                            .pid = (uint32_t)getpid(),
                            .capabilities =
                                RC_HOST_SOURCES | RC_HOST_SINKS | RC_HOST_MANY | RC_HOST_SCAN,
                            .max_frame = RC_WIRE_FRAME_MAX,
                            .name = "rocketmq-connect",
                            .version = RC_VERSION,
                            .language = "C"};
    rc_buf out = RC_BUF(RC_WIRE_FIRST_MAX);
    RC_AUTO(rc_frame) f = NULL;
    rc_welcome welcome;
    rc_arena arena;
    rc_wire_in in;
    int r = 0;

    rc_channel_begin(&out);
    rc_out_hello(&out, &hello);
    rc_server_send(server, 0, RC_FRAME_HELLO, 0, 0, &out);
    rc_buf_release(&out);
    f = read_frame(server);
    rc_arena_init(&arena, 1024);
    rc_in_init(&in, rc_frame_payload(f), &arena.pub);
    rc_in_welcome(&in, &welcome);
    if (f->head.type != RC_FRAME_WELCOME || in.fault)
        r = -OMC_EFORMAT;
    server->max_frame = welcome.max_frame;
    rc_arena_release(&arena);
    return r;
}

/* The socket goes to a number plugins do not know; they get an empty standard input. */
static int take_socket(int fd)
{
    int high = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    int empty = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (high >= 0 && empty >= 0)
        (void)dup2(empty, fd);
    if (empty >= 0)
        (void)close(empty);
    return high;
}

int rc_host_serve(int fd, const omc_plugin *const *builtin)
{
    rc_server server = {.fd = take_socket(fd), .builtin = builtin};
    int type = 0;
    socklen_t len = sizeof type;

    if (server.fd < 0 || getsockopt(server.fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0) {
        (void)fprintf(stderr, "error: standard input is no socket: workers start this command, "
                              "for connectors with isolation=process\n");
        return 1;
    }
    pthread_mutex_init(&server.write_mu, NULL);
    pthread_mutex_init(&server.mu, NULL);
    pthread_mutex_init(&server.plugin_mu, NULL);
    rc_served_host_init(&server);
    if (handshake(&server) < 0) {
        (void)fprintf(stderr, "error: the other end did not answer HELLO with WELCOME\n");
        return 1;
    }
    for (;;)
        dispatch(&server, read_frame(&server));
}
