/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP server: libmicrohttpd without a thread of its own. Its epoll descriptor is watched by
 * our loop; MHD_run() works off what is ready. The one timer exists for idle connections: without
 * connections nothing wakes up. We make the listening socket, so that its errors name address,
 * key and cure.
 */
#include "base/diag.h"
#include "base/encode.h"
#include "rest/forward.h"
#include "rest/routes.h"

#include <errno.h>
#include <netdb.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- from first line to answer ---- */

static rest_method method_of(const char *name, bool *head)
{
    *head = strcmp(name, "HEAD") == 0;
    if (*head || strcmp(name, "GET") == 0)
        return REST_GET;
    if (strcmp(name, "POST") == 0)
        return REST_POST;
    if (strcmp(name, "PUT") == 0)
        return REST_PUT;
    if (strcmp(name, "PATCH") == 0)
        return REST_PATCH;
    return strcmp(name, "DELETE") == 0 ? REST_DELETE : REST_OTHER;
}

static void refuse_size(exchange *ex)
{
    answer_error(ex, &ex->answer, 413, 0, "the body is larger than %zu bytes; send less at a time",
                 REST_BODY_MAX);
}

static void refuse_route(exchange *ex, unsigned allowed)
{
    if (routes_family(ex) == ROUTE_COMPAT) {
        answer_text(&ex->answer, 404, "Not found");
        return;
    }
    if (!allowed) {
        answer_error(ex, &ex->answer, 404, 0,
                     "there is no such path; docs/rest.md lists the ones there are");
        return;
    }
    answer_error(ex, &ex->answer, 405, 0, "this path does not have this method; it has %s",
                 routes_methods(allowed, &ex->arena.pub));
    ex->answer.allow = routes_methods(allowed, &ex->arena.pub);
}

static bool has_control(rc_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.base[i] < 0x20 || text.base[i] == 0x7f)
            return true;
    return false;
}

static const char *header(const exchange *ex, const char *name)
{
    return MHD_lookup_connection_value(ex->connection, MHD_HEADER_KIND, name);
}

/* Everything that can be refused from the headers is, here; its body is then read and dropped. */
static void begin(exchange *ex, const char *method)
{
    guard_headers headers = {header(ex, "Host"), header(ex, "Origin"),
                             header(ex, "Sec-Fetch-Site")};
    const char *match = header(ex, "If-Match");
    const char *signature = header(ex, RC_PEER_HEADER);
    unsigned allowed = 0;
    rc_error err = {0};

    ex->method = method_of(method, &ex->head);
    ex->route = routes_find(ex, &allowed);
    if (match)
        ex->if_match = omc_copy(&ex->arena.pub, match, strlen(match));
    if (signature)
        ex->signature = omc_copy(&ex->arena.pub, signature, strlen(signature));
    if (guard_check(ex->rest, &headers, ex->route && (ex->route->flags & ROUTE_CHANGES),
                    routes_right_call(ex), &err) < 0) {
        answer_error(ex, &ex->answer, 403, 0, "%s", err.msg);
        return;
    }
    if (!ex->route) {
        refuse_route(ex, allowed);
        return;
    }
    for (size_t i = 0; i < ex->segment_count; i++)
        if (has_control(ex->segments[i]) || !rc_utf8_valid(ex->segments[i])) {
            answer_error(ex, &ex->answer, 400, 0,
                         "the path holds a control character or is not UTF-8; names are UTF-8, "
                         "escaped as %%XX");
            return;
        }
}

static void dispatch(exchange *ex)
{
    if ((ex->route->flags & ROUTE_WORKER) && !ex->rest->worker) {
        answer_error(ex, &ex->answer, 503, 500,
                     "the worker is not ready yet%s%s; try again, GET /health says when it is",
                     ex->rest->waits ? ", " : "", ex->rest->waits ? ex->rest->waits : "");
        return;
    }
    if (!forward_admit(ex, ex->signature) || forward_to_owner(ex))
        return;
    ex->route->handler(ex);
    RC_ASSERT(ex->pending || ex->answer.status);
}

static void add_headers(struct MHD_Response *response, const answer *out)
{
    (void)MHD_add_response_header(response, "Cache-Control", "no-store");
    if (out->type)
        (void)MHD_add_response_header(response, "Content-Type", out->type);
    if (out->location)
        (void)MHD_add_response_header(response, "Location", out->location);
    if (out->allow)
        (void)MHD_add_response_header(response, "Allow", out->allow);
    if (out->etag[0])
        (void)MHD_add_response_header(response, "ETag", out->etag);
}

static enum MHD_Result send_answer(exchange *ex)
{
    answer *out = &ex->answer;
    size_t len = out->body.len;
    char *body = rc_buf_take(&out->body);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(len, body, MHD_RESPMEM_MUST_FREE);
    enum MHD_Result sent;

    if (!response) {
        free(body);
        return MHD_NO;
    }
    add_headers(response, out);
    if (out->status < RC_COUNT(ex->rest->answered))
        ex->rest->answered[out->status]++;
    rc_debug("rest", "%.*s answered %u", (int)strcspn(ex->uri, "?"), ex->uri, out->status);
    sent = MHD_queue_response(ex->connection, out->status, response);
    MHD_destroy_response(response);
    return sent;
}

static enum MHD_Result take_body(exchange *ex, const char *bytes, size_t len)
{
    ex->body_seen += len;
    if (ex->body_seen > REST_DISCARD_MAX)
        return MHD_NO;
    if (!ex->answer.status && ex->body_seen > REST_BODY_MAX) {
        rc_buf_release(&ex->body);
        refuse_size(ex);
    }
    if (!ex->answer.status && (ex->route->flags & ROUTE_BODY))
        rc_buf_add(&ex->body, bytes, len);
    return MHD_YES;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_len, void **slot)
{
    exchange *ex = *slot;

    (void)cls;
    (void)url;
    (void)version;
    if (!ex)
        return MHD_NO;
    if (!ex->begun) {
        ex->begun = true;
        ex->connection = connection;
        begin(ex, method);
        return MHD_YES;
    }
    if (*upload_len) {
        enum MHD_Result r = take_body(ex, upload, *upload_len);

        *upload_len = 0;
        return r;
    }
    if (!ex->answer.status)
        dispatch(ex);
    if (ex->pending) {
        ex->suspended = true;
        MHD_suspend_connection(connection);
        return MHD_YES;
    }
    return send_answer(ex);
}

/* The raw request target, before libmicrohttpd undoes its escapes: "a%2Fb" is one segment. */
static void *on_uri(void *cls, const char *uri, struct MHD_Connection *connection)
{
    (void)connection;
    return exchange_new(cls, uri);
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **slot,
                         enum MHD_RequestTerminationCode why)
{
    exchange *ex = *slot;

    (void)cls;
    (void)connection;
    (void)why;
    *slot = NULL;
    if (ex)
        exchange_unref(ex);
}

/* libmicrohttpd's complaints are about clients that hang up or talk nonsense. */
static void OMC_PRINTF(2, 0) on_mhd_log(void *cls, const char *fmt, va_list ap)
{
    (void)cls;
    rc_diag_v(OMC_DEBUG, "rest", fmt, ap);
}

/* ---- life of the server ---- */

static unsigned connections(const rc_rest *rest)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(rest->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);

    return info ? info->num_connections : 0;
}

/* At its limit libmicrohttpd looks away from the listening socket, and looks at it again only at
 * the start of a run: after connections ended there must be one more. */
void rest_run(rc_rest *rest)
{
    MHD_UNSIGNED_LONG_LONG ms = 0;
    unsigned before;

    do {
        before = connections(rest);
        if (MHD_run(rest->daemon) != MHD_YES)
            rc_warn("rest", "the HTTP server failed to serve a round of requests");
    } while (connections(rest) < before);
    if (MHD_get_timeout(rest->daemon, &ms) == MHD_YES)
        rc_loop_timer_set(rest->timer, (int64_t)RC_MIN(ms, 3600000ull));
    else
        rc_loop_timer_set(rest->timer, -1);
}

static void on_ready(void *arg)
{
    rest_run(arg);
}

static int fail_listen(rc_error *err, int errnum, const rc_rest_config *c)
{
    if (errnum == EADDRINUSE)
        return rc_fail(err, OMC_EEXIST,
                       "listen on %s port %d: another program listens there; stop it, or set "
                       "httpPort to another port (0 = any free one)",
                       c->host, c->port);
    if (errnum == EADDRNOTAVAIL)
        return rc_fail(err, OMC_EINVAL,
                       "listen on %s port %d: this machine does not have that address; set "
                       "rest.host to one it has, e.g. 127.0.0.1 or 0.0.0.0",
                       c->host, c->port);
    return rc_fail_errno(err, errnum, "listen on %s port %d (rest.host, httpPort)", c->host,
                         c->port);
}

static int bound_port(int fd)
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof addr;
    char port[8] = "0";

    if (getsockname(fd, (struct sockaddr *)&addr, &len) == 0)
        (void)getnameinfo((struct sockaddr *)&addr, len, NULL, 0, port, sizeof port,
                          NI_NUMERICSERV);
    return (int)strtol(port, NULL, 10);
}

static int try_listen(const struct addrinfo *ai)
{
    int one = 1;
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, 128) < 0) {
        int saved = errno;

        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

static int open_listener(rc_rest *rest, rc_error *err)
{
    const rc_rest_config *c = &rest->config;
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char port[16];
    int r;

    (void)snprintf(port, sizeof port, "%d", c->port);
    r = getaddrinfo(c->host, port, &hints, &found);
    if (r != 0)
        return rc_fail(err, OMC_EINVAL,
                       "rest.host = '%s': %s; give an address or a name this machine has", c->host,
                       gai_strerror(r));
    errno = EADDRNOTAVAIL;
    for (const struct addrinfo *ai = found; ai && rest->listen_fd < 0; ai = ai->ai_next)
        rest->listen_fd = try_listen(ai);
    r = errno;
    freeaddrinfo(found);
    if (rest->listen_fd < 0)
        return fail_listen(err, r, c);
    rest->port = bound_port(rest->listen_fd);
    return 0;
}

static int start_daemon(rc_rest *rest, rc_error *err)
{
    const union MHD_DaemonInfo *info;

    rest->daemon =
        MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL,
                         NULL, on_request, rest, MHD_OPTION_EXTERNAL_LOGGER, on_mhd_log, NULL,
                         MHD_OPTION_LISTEN_SOCKET, rest->listen_fd, MHD_OPTION_CONNECTION_LIMIT,
                         REST_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, REST_IDLE_SECONDS,
                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, REST_HEADER_MAX,
                         MHD_OPTION_URI_LOG_CALLBACK, on_uri, rest, MHD_OPTION_NOTIFY_COMPLETED,
                         on_completed, NULL, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    if (!rest->daemon)
        return rc_fail(err, OMC_EINTERNAL, "start the HTTP server: libmicrohttpd refused");
    rest->listen_fd = -1; /* The daemon's now. */
    info = MHD_get_daemon_info(rest->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    RC_ASSERT(info && info->epoll_fd >= 0);
    return rc_loop_watch_fd(rest->loop, info->epoll_fd, on_ready, rest, &rest->watch, err);
}

void rest_unref(rc_rest *rest)
{
    if (atomic_fetch_sub(&rest->refs, 1) > 1)
        return;
    pthread_mutex_destroy(&rest->mu);
    rc_peer_guard_free(rest->peers);
    free(rest->waits);
    free(rest->host);
    free(rest);
}

int rc_rest_start(rc_loop *loop, const rc_rest_config *config, rc_rest **ret, rc_error *err)
{
    rc_rest *rest = rc_calloc(1, sizeof *rest);
    int r;

    RC_ASSERT(loop && config && config->host && ret);
    atomic_init(&rest->refs, 1);
    pthread_mutex_init(&rest->mu, NULL);
    rest->loop = loop;
    rest->config = *config;
    rest->host = rc_strdup(config->host);
    rest->config.host = rest->host;
    if (rest->config.timeout_ms <= 0)
        rest->config.timeout_ms = REST_TIMEOUT_MS;
    rest->loopback = guard_is_loopback(rest->host);
    rest->listen_fd = -1;
    rest->peers = rc_peer_guard_new();
    rest->started_ms = rc_now_ms(rc_clock_real());
    r = open_listener(rest, err);
    if (r == 0) {
        (void)rc_loop_timer_new(loop, on_ready, rest, &rest->timer);
        (void)rc_loop_timer_new(loop, exchange_on_deadline, rest, &rest->deadline);
        r = start_daemon(rest, err);
    }
    if (r < 0) {
        rc_rest_stop(rest);
        return r;
    }
    *ret = rest;
    return 0;
}

void rc_rest_attach(rc_rest *rest, rc_worker *worker)
{
    rest->worker = worker;
    free(RC_TAKE(rest->waits));
}

void rc_rest_join(rc_rest *rest, const rc_rest_cluster *cluster)
{
    RC_ASSERT(cluster->name && strlen(cluster->name) <= RC_PEER_NAME_MAX && cluster->owner);
    rest->cluster = *cluster;
}

void rc_rest_waits(rc_rest *rest, const char *why)
{
    free(rest->waits);
    rest->waits = rc_strdup(why);
}

int rc_rest_port(const rc_rest *rest)
{
    return rest->port;
}

void rc_rest_stop(rc_rest *rest)
{
    if (!rest)
        return;
    rest->worker = NULL;
    if (rest->daemon) {
        exchange_cancel_all(rest);
        /* The first run takes the resumed ones in, the second sends their answers. */
        (void)MHD_run(rest->daemon);
        (void)MHD_run(rest->daemon);
        rc_loop_unwatch(rest->watch);
        MHD_stop_daemon(rest->daemon);
        rest->daemon = NULL;
    }
    if (rest->listen_fd >= 0)
        close(rest->listen_fd);
    rc_loop_timer_free(rest->timer);
    rc_loop_timer_free(rest->deadline);
    pthread_mutex_lock(&rest->mu);
    rest->stopped = true;
    pthread_mutex_unlock(&rest->mu);
    exchange_take_replies(rest);
    rest_unref(rest);
}
