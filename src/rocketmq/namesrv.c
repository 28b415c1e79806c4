/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Name servers. They do not know each other and hold the same: whoever answered last is asked
 * first, and on an error the next, each once per request. The time of a request is divided among
 * those that are left, so that a silent one does not use up all of it.
 */
#include "rocketmq/client_own.h"

#include <string.h>

static const char HOW[] = "write it as host:port;host:port";

static int add_server(rmq_client *client, const char *at, size_t len, rc_error *err)
{
    RC_AUTO_FREE char *address = NULL;
    char host[256];
    int port;

    while (len && (*at == ' ' || *at == '\t')) {
        at++;
        len--;
    }
    while (len && (at[len - 1] == ' ' || at[len - 1] == '\t'))
        len--;
    if (len == 0)
        return 0;
    if (len >= RMQ_ADDRESS_MAX)
        return rc_fail(err, OMC_EINVAL, "namesrv: '%.40s...' is too long for an address; %s", at,
                       HOW);
    if (client->namesrv_count == RMQ_NAMESRV_MAX)
        return rc_fail(err, OMC_EINVAL, "namesrv: at most %d name servers", RMQ_NAMESRV_MAX);
    address = rc_strndup(at, len);
    if (strncmp(address, "http://", 7) == 0)
        return rc_fail(err, OMC_EINVAL,
                       "namesrv: '%s' is a URL; lists from HTTP are not supported, %s", address,
                       HOW);
    if (rmq_address_split(address, host, &port, err) < 0)
        return rc_fail(err, OMC_EINVAL, "namesrv: '%s' is not host:port; %s", address, HOW);
    client->namesrv[client->namesrv_count++].address = RC_TAKE(address);
    return 0;
}

int rmq_namesrv_parse(rmq_client *client, const char *list, rc_error *err)
{
    const char *at = list ? list : "";

    while (*at) {
        size_t len = strcspn(at, ";");
        int r = add_server(client, at, len, err);

        if (r < 0)
            return r;
        at += len + (at[len] != '\0');
    }
    if (client->namesrv_count == 0)
        return rc_fail(err, OMC_EINVAL, "namesrv: no name server is given; %s", HOW);
    return 0;
}

static void on_say(void *arg, enum rmq_log_level level, const char *text)
{
    rmq_client_say(arg, level, "%s", text);
}

static rmq_remote *remote_of(rmq_client *client, size_t at)
{
    rmq_namesrv *server = &client->namesrv[at];
    rmq_remote_config config;

    if (server->remote)
        return server->remote;
    config = rmq_client_remote_config(client);
    config.address = server->address;
    config.label = "name server";
    config.say = on_say;
    config.arg = client;
    server->remote = rmq_remote_new(&config);
    return server->remote;
}

/* ---- calls ----------------------------------------------------------------------------------- */

struct asking {
    rmq_client *client;
    rmq_request request; /* Fields and parts are in the arena. */
    rc_arena arena;
    int64_t deadline_ms;
    size_t at;    /* Whom we ask. */
    size_t asked; /* How many so far. */
    rmq_reply_fn *done;
    void *arg;
};

static void on_reply(void *arg, const rmq_reply *reply);

static void ask(struct asking *asking)
{
    rmq_client *client = asking->client;
    int64_t left = asking->deadline_ms - rmq_client_now();
    size_t servers = client->namesrv_count - asking->asked;

    asking->asked++;
    asking->request.timeout_ms = RC_MAX(left / (int64_t)servers, 1);
    rmq_remote_call(remote_of(client, asking->at), &asking->request);
}

/* An answer that another server might give better. */
static bool refused(const rmq_reply *reply)
{
    int code = reply->result == 0 && reply->frame ? reply->frame->header.code : 0;

    return code == RMQ_R_SYSTEM_BUSY || code == RMQ_R_GO_AWAY;
}

static void finish(struct asking *asking, const rmq_reply *reply)
{
    rmq_reply told = *reply;
    rc_error err;

    if (reply->result < 0 && reply->err->code != OMC_ECANCELED) {
        err = *reply->err;
        if (asking->client->namesrv_count > 1)
            (void)rc_wrap(&err, 0, "none of the %zu name servers answers; the last one",
                          asking->client->namesrv_count);
        told.err = &err;
    }
    asking->done(asking->arg, &told);
    rc_arena_release(&asking->arena);
    free(asking);
}

static void on_reply(void *arg, const rmq_reply *reply)
{
    struct asking *asking = arg;
    rmq_client *client = asking->client;
    bool bad = reply->result < 0 || refused(reply);

    if (!bad) {
        client->namesrv_at = asking->at;
    } else if (!client->closing) {
        if (client->namesrv_at == asking->at)
            client->namesrv_at = (asking->at + 1) % client->namesrv_count;
        if (asking->asked < client->namesrv_count && rmq_client_now() < asking->deadline_ms) {
            asking->at = (asking->at + 1) % client->namesrv_count;
            ask(asking);
            return;
        }
    }
    finish(asking, reply);
}

static rc_slice keep(struct asking *asking, rc_slice s)
{
    return s.base ? rc_arena_slice(&asking->arena.pub, s) : s;
}

void rmq_client_call_namesrv(rmq_client *client, const rmq_request *request)
{
    struct asking *asking = rc_calloc(1, sizeof *asking);
    rmq_field *fields;
    rc_iovec *body;

    RC_ASSERT(rmq_io_here() && !client->closing);
    rc_arena_init(&asking->arena, 1024);
    fields = omc_alloc(&asking->arena.pub, (request->field_count + 1) * sizeof *fields);
    for (size_t i = 0; i < request->field_count; i++)
        fields[i] = (rmq_field){keep(asking, request->fields[i].name),
                                keep(asking, request->fields[i].value)};
    body = omc_alloc(&asking->arena.pub, (request->body_parts + 1) * sizeof *body);
    for (size_t i = 0; i < request->body_parts; i++)
        body[i] = request->body[i];
    asking->client = client;
    asking->request = *request;
    asking->request.fields = fields;
    asking->request.body = body;
    asking->request.done = on_reply;
    asking->request.arg = asking;
    asking->done = request->done;
    asking->arg = request->arg;
    asking->deadline_ms = rmq_client_now() + request->timeout_ms;
    asking->at = client->namesrv_at;
    ask(asking);
}

void rmq_namesrv_close(rmq_client *client)
{
    for (size_t i = 0; i < client->namesrv_count; i++) {
        if (!client->namesrv[i].remote)
            continue;
        client->closing_remotes++;
        rmq_remote_close(RC_TAKE(client->namesrv[i].remote), rmq_client_remote_gone, client);
    }
}

void rmq_namesrv_free(rmq_client *client)
{
    for (size_t i = 0; i < client->namesrv_count; i++)
        free(client->namesrv[i].address);
    client->namesrv_count = 0;
}
