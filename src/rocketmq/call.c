/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of application threads: posted to the I/O thread, waited for with a condition. */
#include "rocketmq/client_own.h"

#include "base/clock.h"

#include <string.h>

struct waiting {
    rmq_client *client;
    const char *address;
    rmq_request request;
    rmq_answer *answer;
    const char *topic;
    int64_t max_age_ms;
    void (*use)(void *arg, const rmq_route *route);
    void *use_arg;
    rc_error *err;
    int result;
    pthread_mutex_t mu; /* Guards over. */
    pthread_cond_t cond;
    bool over;
};

static void over(struct waiting *w)
{
    pthread_mutex_lock(&w->mu);
    w->over = true;
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->mu);
}

static void wait_for(struct waiting *w, rc_loop_fn *start)
{
    RC_ASSERT(!rmq_io_here());
    pthread_mutex_init(&w->mu, NULL);
    rc_cond_init(&w->cond);
    rmq_io_post(start, w);
    pthread_mutex_lock(&w->mu);
    while (!w->over)
        pthread_cond_wait(&w->cond, &w->mu);
    pthread_mutex_unlock(&w->mu);
    pthread_cond_destroy(&w->cond);
    pthread_mutex_destroy(&w->mu);
}

/* ---- requests -------------------------------------------------------------------------------- */

/* Texts inside the block stay with it; others lie in memory of the connection. */
static rc_slice keep(rmq_answer *answer, rc_slice s)
{
    const char *data = (const char *)answer->block->data;

    if (!s.base || (s.base >= data && s.base < data + answer->block->cap))
        return s;
    return rc_arena_slice(&answer->arena.pub, s);
}

static void take_frame(rmq_answer *answer, const rmq_reply *reply)
{
    const rmq_header *from = &reply->frame->header;
    rmq_header *to = &answer->frame.header;

    rmq_block_ref(reply->block);
    answer->block = reply->block;
    to->code = from->code;
    to->language = from->language;
    to->version = from->version;
    to->opaque = from->opaque;
    to->flag = from->flag;
    to->remark = keep(answer, from->remark);
    to->field_count = from->field_count;
    for (size_t i = 0; i < from->field_count; i++)
        to->fields[i] =
            (rmq_field){keep(answer, from->fields[i].name), keep(answer, from->fields[i].value)};
    answer->frame.body = reply->frame->body;
}

static void on_reply(void *arg, const rmq_reply *reply)
{
    struct waiting *w = arg;

    w->answer->result = reply->result;
    if (reply->result < 0)
        w->answer->err = *reply->err;
    else if (reply->frame)
        take_frame(w->answer, reply);
    over(w);
}

static void start_call(void *arg)
{
    struct waiting *w = arg;

    w->request.done = on_reply;
    w->request.arg = w;
    if (w->address)
        rmq_remote_call(rmq_client_remote(w->client, w->address, RMQ_CONN_MAIN), &w->request);
    else
        rmq_client_call_namesrv(w->client, &w->request);
}

int rmq_client_call(rmq_client *client, const char *address, const rmq_request *request,
                    rmq_answer *answer)
{
    struct waiting w = {.client = client,
                        .address = address,
                        .request = *request,
                        .answer = answer};

    answer->result = 0;
    answer->err.code = 0;
    answer->err.msg[0] = '\0';
    answer->frame.header.field_count = 0;
    answer->frame.body = (rc_slice){0};
    answer->block = NULL;
    rc_arena_init(&answer->arena, 1024);
    if (address && strlen(address) >= RMQ_ADDRESS_MAX) {
        answer->result =
            rc_fail(&answer->err, OMC_EINVAL, "address '%.40s...' is too long", address);
        return answer->result;
    }
    wait_for(&w, start_call);
    return answer->result;
}

void rmq_answer_release(rmq_answer *answer)
{
    rmq_block_unref(RC_TAKE(answer->block));
    rc_arena_release(&answer->arena);
}

/* ---- routes ---------------------------------------------------------------------------------- */

static void on_route(void *arg, rmq_route *route, const rc_error *err)
{
    struct waiting *w = arg;

    if (route) {
        w->use(w->use_arg, route);
    } else {
        w->result = -err->code;
        if (w->err)
            *w->err = *err;
    }
    over(w);
}

static void start_route(void *arg)
{
    struct waiting *w = arg;

    rmq_route_ask(w->client, w->topic, w->max_age_ms, on_route, w);
}

int rmq_client_route(rmq_client *client, const char *wire_topic, int64_t max_age_ms,
                     void (*use)(void *arg, const rmq_route *route), void *arg, rc_error *err)
{
    struct waiting w = {
        .client = client,
        .topic = wire_topic,
        .max_age_ms = max_age_ms,
        .use = use,
        .use_arg = arg,
        .err = err,
    };

    wait_for(&w, start_route);
    return w.result;
}
