/* SPDX-License-Identifier: Apache-2.0 */
/* One admin request and its reply, and errors that say which request at which broker failed. */
#include "rocketmq/admin_impl.h"

#include <string.h>

#define DESCRIBED_MAX 900

void admin_call_init(admin_call *call, rmq_client *client, int code, const char *broker,
                     const char *address)
{
    call->client = client;
    call->code = code;
    call->broker = broker;
    call->address = address;
    call->subject = "";
    call->body = (rc_slice){0};
    call->field_count = 0;
    call->answered = false;
    if (broker)
        admin_text(call, "bname", broker); /* A proxy insists on it. */
    call->gate = NULL;
}

void admin_call_release(admin_call *call)
{
    if (call->answered)
        rmq_answer_release(&call->answer);
    call->answered = false;
}

void admin_text(admin_call *call, const char *name, const char *value)
{
    RC_ASSERT(call->field_count < ADMIN_FIELDS_MAX);
    call->fields[call->field_count++] =
        (rmq_field){omc_slice_of(name, strlen(name)), omc_slice_of(value, strlen(value))};
}

void admin_number(admin_call *call, const char *name, int64_t value)
{
    char *text = call->numbers[call->field_count];

    (void)snprintf(text, sizeof call->numbers[0], "%lld", (long long)value);
    admin_text(call, name, text);
}

/* "GET_MAX_OFFSET of topic 'T' at broker broker-0 (127.0.0.1:10911)" */
static void describe(const admin_call *call, char *out, size_t size)
{
    char name[32];
    char where[512] = "the name server";

    if (call->broker)
        (void)snprintf(where, sizeof where, "broker %s (%s)", call->broker, call->address);
    else if (call->address)
        (void)snprintf(where, sizeof where, "name server %s", call->address);
    (void)snprintf(out, size, "%s%s%s at %s", rmq_request_name(call->code, name),
                   *call->subject ? " of " : "", call->subject, where);
}

int admin_send(admin_call *call, rc_error *err)
{
    rc_iovec body = {call->body.base, call->body.len};
    const rmq_request request = {.code = call->code,
                                 .fields = call->fields,
                                 .field_count = call->field_count,
                                 .body = &body,
                                 .body_parts = call->body.len ? 1 : 0,
                                 .gate = call->gate,
                                 .timeout_ms =
                                     rmq_client_settings(call->client)->request_timeout_ms};
    char what[DESCRIBED_MAX];
    int r;

    admin_call_release(call);
    r = rmq_client_call(call->client, call->address, &request, &call->answer);
    call->answered = true;
    if (r < 0) {
        describe(call, what, sizeof what);
        if (err)
            *err = call->answer.err;
        return rc_wrap(err, r, "%s", what);
    }
    return call->answer.frame.header.code;
}

int admin_refused(const admin_call *call, rc_error *err)
{
    const rmq_header *header = &call->answer.frame.header;
    char what[DESCRIBED_MAX];

    describe(call, what, sizeof what);
    return rmq_fail_response(err, header->code, header->remark, what);
}

int admin_ask(admin_call *call, int also, rc_error *err)
{
    int r = admin_send(call, err);

    return r <= 0 || r == also ? r : admin_refused(call, err);
}

int admin_json(const admin_call *call, json_t **ret, rc_error *err)
{
    char what[DESCRIBED_MAX];
    int r = rmq_json_parse(call->answer.frame.body, ret, err);

    if (r == 0)
        return 0;
    describe(call, what, sizeof what);
    return rc_wrap(err, r, "%s: the reply", what);
}

int rmq_call(rmq_client *client, const char *address, int code, const rmq_text_pair *fields,
             size_t field_count, rmq_slice body, char **ret_body, size_t *ret_len, rmq_error *err)
{
    rmq_answer answer;
    rmq_field *wire;
    rmq_request request = {.code = code,
                           .field_count = field_count,
                           .body_parts = body.len ? 1 : 0};
    rc_iovec part = {body.base, body.len};
    int r;

    if (field_count > RMQ_FIELDS_MAX - 3) /* A signature is three fields. */
        return rc_fail(err, OMC_EINVAL, "a request has at most %d fields, not %zu",
                       RMQ_FIELDS_MAX - 3, field_count);
    wire = rc_calloc(field_count + 1, sizeof *wire);
    for (size_t i = 0; i < field_count; i++)
        wire[i] = (rmq_field){omc_slice_of(fields[i].name, strlen(fields[i].name)),
                              omc_slice_of(fields[i].value, strlen(fields[i].value))};
    request.fields = wire;
    request.body = &part;
    request.timeout_ms = rmq_client_settings(client)->request_timeout_ms;
    r = rmq_client_call(client, address, &request, &answer);
    free(wire);
    if (r < 0) {
        if (err)
            *err = answer.err;
    } else {
        *ret_len = answer.frame.body.len;
        *ret_body = rc_strndup(answer.frame.body.base ? answer.frame.body.base : "", *ret_len);
        r = answer.frame.header.code;
    }
    rmq_answer_release(&answer);
    return r;
}
