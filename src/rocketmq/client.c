/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening and closing a client: its settings are checked here, in the user's words; everything
 * that lives on the I/O thread is made and ended there.
 */
#include "rocketmq/client_own.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_TIMEOUT_MS 3000
#define CONNECT_TIMEOUT_MS 3000
#define HEARTBEAT_MS 30000
#define ROUTE_REFRESH_MS 30000
#define TIME_MAX_MS 86400000 /* Longer than a day is a slip of the pen. */

int64_t rmq_client_now(void)
{
    return rc_mono_ms(rc_clock_real());
}

/* ---- settings -------------------------------------------------------------------------------- */

static const char *own(const char *text)
{
    return text ? rc_strdup(text) : NULL;
}

static void disown(const char *text)
{
    free((void *)(uintptr_t)text);
}

static int take_time(const char *name, int64_t *at, int64_t otherwise, rc_error *err)
{
    if (*at < 0 || *at > TIME_MAX_MS)
        return rc_fail(err, OMC_EINVAL, "%s: %lld ms is out of range; 1 to %d, or 0 for %lld", name,
                       (long long)*at, TIME_MAX_MS, (long long)otherwise);
    if (*at == 0)
        *at = otherwise;
    return 0;
}

static int take_credential(const char *name, const char *text, char *out, size_t room,
                           rc_error *err)
{
    if (text && strlen(text) >= room)
        return rc_fail(err, OMC_EINVAL, "%s: longer than %zu bytes", name, room - 1);
    if (text)
        memcpy(out, text, strlen(text) + 1);
    return 0;
}

static int take_credentials(rmq_client *client, const rmq_client_config *config, rc_error *err)
{
    rmq_credentials *c = &client->credentials;
    bool access = config->access_key && *config->access_key;
    bool secret = config->secret_key && *config->secret_key;
    int r;

    if (access != secret)
        return rc_fail(err, OMC_EINVAL, "%s is set and %s is not; requests are signed with both",
                       access ? "access_key" : "secret_key", access ? "secret_key" : "access_key");
    r = take_credential("access_key", config->access_key, c->access_key, sizeof c->access_key, err);
    if (r == 0)
        r = take_credential("secret_key", config->secret_key, c->secret_key, sizeof c->secret_key,
                            err);
    if (r == 0)
        r = take_credential("security_token", config->security_token, c->security_token,
                            sizeof c->security_token, err);
    return r;
}

static int take_names(rmq_client *client, const rmq_client_config *config, rc_error *err)
{
    const char *instance = config->instance;

    if (config->name_space && *config->name_space) {
        int r = rmq_name_check("name_space", config->name_space, RMQ_NAMESPACE_MAX, err);

        if (r < 0)
            return r;
        if (strchr(config->name_space, '%'))
            return rc_fail(err, OMC_EINVAL, "name_space: '%s' may not hold '%%', which ends it",
                           config->name_space);
        client->settings.name_space = rc_strdup(config->name_space);
    }
    if (instance && (strlen(instance) > 127 || !*instance))
        return rc_fail(err, OMC_EINVAL, "instance: must have 1 to 127 bytes");
    for (const char *at = instance; at && *at; at++)
        if ((unsigned char)*at <= ' ' || *at == '@')
            return rc_fail(err, OMC_EINVAL,
                           "instance: '%s' holds a blank, a control character or '@'", instance);
    client->settings.instance = own(instance);
    return 0;
}

static int take_tls(rmq_client *client, const rmq_tls_config *tls, rc_error *err)
{
    rc_tls_config config = {
        .verify = tls->verify,
        .ca_file = tls->ca_file,
        .cert_file = tls->cert_file,
        .key_file = tls->key_file,
        .key_password = tls->key_password,
    };
    int r;

    client->settings.tls = (rmq_tls_config){.enable = tls->enable, .verify = tls->verify};
    if (!tls->enable)
        return 0;
    r = rc_tls_new(&config, &client->tls, err);
    if (r < 0)
        return rc_wrap(err, r, "tls");
    client->settings.tls.server_name = own(tls->server_name);
    return 0;
}

static int take_settings(rmq_client *client, const rmq_client_config *config, rc_error *err)
{
    rmq_client_config *s = &client->settings;
    int r = rmq_namesrv_parse(client, config->namesrv, err);

    if (r < 0)
        return r;
    s->namesrv = own(config->namesrv);
    s->request_timeout_ms = config->request_timeout_ms;
    s->connect_timeout_ms = config->connect_timeout_ms;
    s->heartbeat_ms = config->heartbeat_ms;
    s->route_refresh_ms = config->route_refresh_ms;
    s->log = config->log;
    s->log_arg = config->log_arg;
    r = take_time("request_timeout_ms", &s->request_timeout_ms, REQUEST_TIMEOUT_MS, err);
    r = r ? r : take_time("connect_timeout_ms", &s->connect_timeout_ms, CONNECT_TIMEOUT_MS, err);
    r = r ? r : take_time("heartbeat_ms", &s->heartbeat_ms, HEARTBEAT_MS, err);
    r = r ? r : take_time("route_refresh_ms", &s->route_refresh_ms, ROUTE_REFRESH_MS, err);
    r = r ? r : take_credentials(client, config, err);
    r = r ? r : take_names(client, config, err);
    return r ? r : take_tls(client, &config->tls, err);
}

/* ---- client id ------------------------------------------------------------------------------- */

/* The address that the system would send from; a connected UDP socket sends nothing to learn it. */
static bool source_address(const char *host, char *out, size_t room)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(9)};
    bool is_v4 = inet_pton(AF_INET, host, &v4.sin_addr) == 1;
    struct sockaddr *to = is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
    socklen_t len = is_v4 ? sizeof v4 : sizeof v6;
    int fd;
    bool ok;

    if (!is_v4 && inet_pton(AF_INET6, host, &v6.sin6_addr) != 1)
        return false;
    fd = socket(to->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    ok = connect(fd, to, len) == 0 && getsockname(fd, to, &len) == 0 &&
         inet_ntop(to->sa_family, is_v4 ? (void *)&v4.sin_addr : (void *)&v6.sin6_addr, out,
                   (socklen_t)room);
    close(fd);
    return ok;
}

/* "ip@instance". Two processes may share address and pid (containers), so the counter begins at the
 * time of the process's first client: equal ids of one group would read the same queues. */
static void make_id(rmq_client *client)
{
    static _Atomic int64_t counter;
    int64_t none = 0;
    char host[256];
    char ip[64];
    int port = 0;

    if (rmq_address_split(client->namesrv[0].address, host, &port, NULL) < 0 ||
        !source_address(host, ip, sizeof ip)) {
        /* A name: any address beyond the local net tells the same, without asking DNS here. */
        if (!source_address("192.0.2.1", ip, sizeof ip))
            (void)snprintf(ip, sizeof ip, "127.0.0.1");
    }
    (void)atomic_compare_exchange_strong(&counter, &none,
                                         rc_now_ms(rc_clock_real()) * 1000000 +
                                             rc_mono_ns(rc_clock_real()) % 1000000);
    if (client->settings.instance)
        (void)snprintf(client->id, sizeof client->id, "%s@%s", ip, client->settings.instance);
    else
        (void)snprintf(client->id, sizeof client->id, "%s@%ld#%lld", ip, (long)getpid(),
                       (long long)atomic_fetch_add(&counter, 1));
}

/* ---- open and close -------------------------------------------------------------------------- */

static void free_client(rmq_client *client)
{
    rc_tls_free(client->tls);
    rmq_namesrv_free(client);
    disown(client->settings.namesrv);
    disown(client->settings.instance);
    disown(client->settings.name_space);
    disown(client->settings.tls.server_name);
    explicit_bzero(&client->credentials, sizeof client->credentials);
    free(client);
}
RC_DEFINE_CLEANUP(rmq_client, free_client)

static void start(void *arg)
{
    rmq_client *client = arg;

    rmq_peers_start(client);
    rmq_routes_start(client);
    rmq_members_start(client);
}

int rmq_client_open(const rmq_client_config *config, rmq_client **ret, rmq_error *err)
{
    RC_AUTO(rmq_client) client = rc_calloc(1, sizeof *client);
    int r = take_settings(client, config, err);

    if (r < 0)
        return r;
    make_id(client);
    r = rmq_io_acquire(&client->loop, err);
    if (r < 0)
        return r;
    rmq_io_run(start, client);
    *ret = RC_TAKE(client);
    return 0;
}

struct closing {
    pthread_mutex_t mu; /* Guards over. */
    pthread_cond_t cond;
    bool over;
};

static void all_closed(void *arg)
{
    struct closing *closing = arg;

    pthread_mutex_lock(&closing->mu);
    closing->over = true;
    pthread_cond_signal(&closing->cond);
    pthread_mutex_unlock(&closing->mu);
}

void rmq_client_remote_gone(void *arg)
{
    rmq_client *client = arg;

    RC_ASSERT(client->closing_remotes > 0);
    if (--client->closing_remotes == 0 && client->closing)
        client->closed(client->closed_arg);
}

static void begin_close(void *arg)
{
    rmq_client *client = arg;

    client->closing = true;
    client->closing_remotes++; /* Ours, until all have been asked to close. */
    rmq_members_close(client);
    rmq_routes_close(client);
    rmq_peers_close(client);
    rmq_namesrv_close(client);
    rmq_client_remote_gone(client);
}

void rmq_client_close(rmq_client *client)
{
    struct closing closing = {.over = false};

    if (!client)
        return;
    RC_ASSERT(!rmq_io_here());
    RC_ASSERT(atomic_load(&client->open_objects) == 0); /* Close producers and consumers first. */
    pthread_mutex_init(&closing.mu, NULL);
    rc_cond_init(&closing.cond);
    client->closed = all_closed;
    client->closed_arg = &closing;
    rmq_io_post(begin_close, client);
    pthread_mutex_lock(&closing.mu);
    while (!closing.over)
        pthread_cond_wait(&closing.cond, &closing.mu);
    pthread_mutex_unlock(&closing.mu);
    pthread_cond_destroy(&closing.cond);
    pthread_mutex_destroy(&closing.mu);
    rmq_io_release();
    RC_ASSERT(!client->peers && !client->topics && !client->members);
    RC_ASSERT(atomic_load(&client->block_bytes) == 0); /* Somebody still holds a reply. */
    free_client(client);
}

const char *rmq_client_id(const rmq_client *client)
{
    return client->id;
}

/* ---- for the other parts --------------------------------------------------------------------- */

rc_loop *rmq_client_loop(rmq_client *client)
{
    return client->loop;
}

void rmq_client_run(rmq_client *client, void (*fn)(void *arg), void *arg)
{
    (void)client; /* One thread serves all. */
    rmq_io_run(fn, arg);
}

void rmq_client_post(rmq_client *client, void (*fn)(void *arg), void *arg)
{
    (void)client;
    rmq_io_post(fn, arg);
}

const rmq_client_config *rmq_client_settings(const rmq_client *client)
{
    return &client->settings;
}

void rmq_client_count_pulled(rmq_client *client, size_t messages)
{
    (void)atomic_fetch_add_explicit(&client->pulled, (int64_t)messages, memory_order_relaxed);
}

rmq_client_stats *rmq_client_counters(rmq_client *client)
{
    RC_ASSERT(rmq_io_here());
    return &client->stats;
}

void rmq_client_say(rmq_client *client, enum rmq_log_level level, const char *fmt, ...)
{
    char line[RMQ_ERROR_TEXT_MAX + 512];
    va_list ap;

    if (!client->settings.log)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    client->settings.log(client->settings.log_arg, level, line);
}

void rmq_client_hold(rmq_client *client)
{
    atomic_fetch_add(&client->open_objects, 1);
}

void rmq_client_let_go(rmq_client *client)
{
    RC_ASSERT(atomic_fetch_sub(&client->open_objects, 1) > 0);
}

/* ---- names ----------------------------------------------------------------------------------- */

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* Topics and groups of the brokers themselves, which all namespaces share. */
static bool is_system(const char *name)
{
    static const char *const names[] = {
        "TBW102",
        "SCHEDULE_TOPIC_XXXX",
        "BenchmarkTest",
        "RMQ_SYS_TRANS_HALF_TOPIC",
        "RMQ_SYS_TRACE_TOPIC",
        "RMQ_SYS_TRANS_OP_HALF_TOPIC",
        "TRANS_CHECK_MAX_TIME_TOPIC",
        "SELF_TEST_TOPIC",
        "OFFSET_MOVED_EVENT",
    };

    for (size_t i = 0; i < RC_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return begins(name, "rmq_sys_") || begins(name, "CID_RMQ_SYS_");
}

const char *rmq_client_wire_name(const rmq_client *client, const char *name, char out[256])
{
    static const char *const kinds[] = {"%RETRY%", "%DLQ%"};
    const char *space = client->settings.name_space;
    const char *kind = "";
    size_t len = space ? strlen(space) : 0;

    for (size_t i = 0; i < RC_COUNT(kinds); i++)
        if (begins(name, kinds[i]))
            kind = kinds[i];
    name += strlen(kind);
    if (!space || is_system(name) || (strncmp(name, space, len) == 0 && name[len] == '%'))
        (void)snprintf(out, 256, "%s%s", kind, name);
    else /* What does not fit is longer than any legal name, cut or not. */
        (void)snprintf(out, 256, "%s%s%%%s", kind, space, name);
    return out;
}

/* ---- counters -------------------------------------------------------------------------------- */

struct counting {
    rmq_client *client;
    rmq_client_stats *ret;
};

static void add_remote(const rmq_remote *remote, rmq_client_stats *stats)
{
    if (!remote)
        return;
    stats->connections += rmq_remote_up(remote);
    stats->pending_requests += (int64_t)rmq_remote_pending(remote);
}

static void count(void *arg)
{
    struct counting *counting = arg;
    rmq_client *client = counting->client;
    rmq_client_stats stats = client->stats;
    rmq_peer *peer, *tmp;

    stats.connections = stats.pending_requests = 0;
    HASH_ITER(hh, client->peers, peer, tmp)
    add_remote(peer->remote, &stats);
    for (size_t i = 0; i < client->namesrv_count; i++)
        add_remote(client->namesrv[i].remote, &stats);
    stats.receive_bytes = atomic_load(&client->block_bytes);
    stats.pulled_messages = atomic_load(&client->pulled);
    stats.open_objects = atomic_load(&client->open_objects);
    *counting->ret = stats;
}

void rmq_client_stats_get(rmq_client *client, rmq_client_stats *ret)
{
    struct counting counting = {client, ret};

    if (rmq_io_here())
        count(&counting);
    else
        rmq_io_run(count, &counting);
}
