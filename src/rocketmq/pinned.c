/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests on a remote that is closed when its connection ends, before it can make another one.
 */
#include "rocketmq/pinned.h"

#include "base/clock.h"
#include "rocketmq/client_own.h"

#include <inttypes.h>
#include <utlist.h>

#define BEAT_MS 30000
#define READ_MAX "1000" /* Brokers give at most 32. */
#define NO_GROUP "rc-pinned"

/* A request under way. Outlives its pinned queue: the remote tells it that it was closed. */
typedef struct asking {
    struct asking *prev, *next;
    rmq_pinned *pinned; /* NULL: closed, nobody cares */
    void (*answered)(struct asking *a, const rmq_reply *reply);
    union {
        rmq_pinned_read_fn *read;
        rmq_pinned_offset_fn *offset;
        rmq_pinned_append_fn *append;
        rmq_pinned_members_fn *members;
    } done;
    void *arg;
    int64_t offset;
    int code;
    rc_buf body; /* of the request */
} asking;

struct rmq_pinned {
    rmq_pinned_config config;
    char wire[256];
    char wire_group[256];
    char queue_text[16];
    rmq_remote *remote; /* NULL: the route is not known yet */
    rc_loop_timer *timer;
    asking *askings;
    bool is_up, ended, closing;
    rc_error why; /* ended */
    int holds;    /* what calls back yet: the route, the remote */
    void (*closed)(void *arg);
    void *closed_arg;
};

static void maybe_free(rmq_pinned *p)
{
    void (*closed)(void *arg) = p->closed;
    void *arg = p->closed_arg;

    if (p->holds > 0)
        return;
    rc_loop_timer_free(p->timer);
    rmq_client_let_go(p->config.client);
    free((void *)(uintptr_t)p->config.topic);
    free((void *)(uintptr_t)p->config.broker);
    free((void *)(uintptr_t)p->config.group);
    free((void *)(uintptr_t)p->config.member);
    free(p);
    closed(arg);
}

static void on_closed(void *arg)
{
    rmq_pinned *p = arg;

    p->holds--;
    maybe_free(p);
}

/* Told from the timer: nobody is called from inside a call. */
static void end(rmq_pinned *p, const rc_error *why)
{
    if (p->ended || p->closing)
        return;
    p->ended = true;
    p->why = *why;
    rc_loop_timer_set(p->timer, 0);
}

/* ---- requests -------------------------------------------------------------------------------- */

static void on_answer(void *arg, const rmq_reply *reply)
{
    asking *a = arg;

    if (a->pinned) {
        DL_DELETE(a->pinned->askings, a);
        a->answered(a, reply);
    }
    rc_buf_release(&a->body);
    free(a);
}

static asking *asking_new(rmq_pinned *p, int code,
                          void (*answered)(asking *a, const rmq_reply *reply), void *arg)
{
    asking *a = rc_calloc(1, sizeof *a);

    a->pinned = p;
    a->code = code;
    a->answered = answered;
    a->arg = arg;
    rc_buf_init(&a->body, RMQ_FRAME_MAX);
    DL_APPEND(p->askings, a);
    return a;
}

static void ask(asking *a, const rmq_field *fields, size_t count, int64_t timeout_ms)
{
    rmq_pinned *p = a->pinned;
    const rc_iovec part = {a->body.data, a->body.len};
    const rmq_request request = {.code = a->code,
                                 .fields = fields,
                                 .field_count = count,
                                 .body = &part,
                                 .body_parts = a->body.len ? 1 : 0,
                                 .timeout_ms = timeout_ms,
                                 .done = on_answer,
                                 .arg = a};

    RC_ASSERT(p->remote && !p->closing);
    rmq_remote_call(p->remote, &request);
}

#define FIELD(name, text) ((rmq_field){{name, sizeof name - 1}, omc_slice_str(text)})

/* What a reply without success says. @return `err`. */
static const rc_error *refusal(const asking *a, const rmq_reply *reply, rc_error *err)
{
    char name[32], what[640];

    if (reply->result < 0)
        return reply->err;
    (void)snprintf(what, sizeof what, "%s of topic %s, queue %d at broker %s",
                   rmq_request_name(a->code, name), a->pinned->wire, a->pinned->config.queue,
                   a->pinned->config.broker);
    (void)rmq_fail_response(err, reply->frame->header.code, reply->frame->header.remark, what);
    return err;
}

/* ---- offsets --------------------------------------------------------------------------------- */

static void on_offset(asking *a, const rmq_reply *reply)
{
    rc_error err = {0};
    const rc_error *why = NULL;
    int64_t offset = -1;

    if (reply->result < 0 || reply->frame->header.code != RMQ_R_SUCCESS)
        why = refusal(a, reply, &err);
    else if (rmq_header_int(&reply->frame->header, "offset", &offset, &err) < 0)
        why = &err;
    a->done.offset(a->arg, why ? -1 : offset, why);
}

static void ask_offset(rmq_pinned *p, int code, const rmq_field *more, rmq_pinned_offset_fn *done,
                       void *arg)
{
    asking *a = asking_new(p, code, on_offset, arg);
    const rmq_field fields[] = {FIELD("topic", p->wire), FIELD("queueId", p->queue_text),
                                FIELD("bname", p->config.broker),
                                more ? *more : FIELD("bname", p->config.broker)};

    a->done.offset = done;
    ask(a, fields, more ? 4 : 3, p->config.timeout_ms);
}

void rmq_pinned_end(rmq_pinned *p, rmq_pinned_offset_fn *done, void *arg)
{
    /* Where the next one goes, not what consumers are shown (5.x; 4.9 has no other). */
    const rmq_field next = FIELD("committed", "false");

    ask_offset(p, RMQ_GET_MAX_OFFSET, &next, done, arg);
}

void rmq_pinned_least(rmq_pinned *p, rmq_pinned_offset_fn *done, void *arg)
{
    ask_offset(p, RMQ_GET_MIN_OFFSET, NULL, done, arg);
}

void rmq_pinned_at(rmq_pinned *p, int64_t wall_ms, rmq_pinned_offset_fn *done, void *arg)
{
    char text[24];
    rmq_field time;

    (void)snprintf(text, sizeof text, "%" PRId64, wall_ms);
    time = FIELD("timestamp", text);
    ask_offset(p, RMQ_SEARCH_OFFSET_BY_TIMESTAMP, &time, done, arg);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Bodies of a reply, from `from` on, without gaps: replies may begin earlier. */
static size_t bodies_of(const rmq_reply *reply, int64_t from, rc_arena *arena, rc_slice **ret,
                        rc_error *err)
{
    rc_slice rest = reply->frame->body;
    size_t count = 0, room = 0;
    rmq_stored stored;

    *ret = NULL;
    while (rmq_stored_next(&rest, &stored, err) > 0) {
        rmq_message message;

        if (stored.queue_offset < from + (int64_t)count)
            continue;
        if (stored.queue_offset > from + (int64_t)count)
            break; /* A gap: what is behind it is read again. */
        if (count == room) {
            rc_slice *more = omc_alloc(&arena->pub, (room = room ? 2 * room : 32) * sizeof *more);

            if (count)
                memcpy(more, *ret, count * sizeof *more);
            *ret = more;
        }
        if (rmq_message_of(&stored, RMQ_FRAME_MAX, &arena->pub, &message, err) < 0)
            message.body = (rmq_slice){"", 0};
        (*ret)[count++] = omc_slice_of(message.body.base, message.body.len);
    }
    return count;
}

static int64_t field_or(const rmq_reply *reply, const char *name, int64_t otherwise)
{
    int64_t value;

    return rmq_header_int(&reply->frame->header, name, &value, NULL) < 0 ? otherwise : value;
}

static void moved(const asking *a, const rmq_reply *reply, rmq_pinned_records *records)
{
    int64_t least = field_or(reply, "minOffset", 0);

    if (a->offset < least) {
        records->result = RMQ_PINNED_BELOW;
        records->first = least;
    } else {
        records->result = RMQ_PINNED_BEYOND;
        records->first = field_or(reply, "maxOffset", field_or(reply, "nextBeginOffset", 0));
    }
}

/* Brokers answer 21 also for an offset that is just the end of an empty queue. */
static bool at_the_end(const asking *a, const rmq_reply *reply)
{
    return a->offset == field_or(reply, "maxOffset", -1);
}

static void on_read(asking *a, const rmq_reply *reply)
{
    rmq_pinned_records records = {.result = RMQ_PINNED_NOTHING, .first = a->offset};
    rc_arena arena;
    rc_error err = {0};
    rc_slice *bodies = NULL;

    rc_arena_init(&arena, 16384);
    if (reply->result < 0) {
        records.result = RMQ_PINNED_FAILED;
        records.err = reply->err;
    } else if (reply->frame->header.code == RMQ_R_SUCCESS) {
        records.count = bodies_of(reply, a->offset, &arena, &bodies, &err);
        records.bodies = bodies;
        if (records.count) {
            records.result = RMQ_PINNED_RECORDS;
        } else if (err.code) {
            records.result = RMQ_PINNED_FAILED;
            records.err = &err;
        }
    } else if (reply->frame->header.code == RMQ_R_PULL_OFFSET_MOVED && !at_the_end(a, reply)) {
        moved(a, reply, &records);
    } else if (reply->frame->header.code != RMQ_R_PULL_NOT_FOUND &&
               reply->frame->header.code != RMQ_R_PULL_RETRY_IMMEDIATELY &&
               reply->frame->header.code != RMQ_R_PULL_OFFSET_MOVED) {
        records.result = RMQ_PINNED_FAILED;
        records.err = refusal(a, reply, &err);
    }
    a->done.read(a->arg, &records);
    rc_arena_release(&arena);
}

void rmq_pinned_read(rmq_pinned *p, int64_t offset, int64_t wait_ms, rmq_pinned_read_fn *done,
                     void *arg)
{
    asking *a = asking_new(p, RMQ_PULL_MESSAGE, on_read, arg);
    char offset_text[24], wait_text[24];

    a->done.read = done;
    a->offset = offset;
    wait_ms = RC_MAX(wait_ms, 0);
    (void)snprintf(offset_text, sizeof offset_text, "%" PRId64, offset);
    (void)snprintf(wait_text, sizeof wait_text, "%" PRId64, wait_ms);
    {
        const rmq_field fields[] = {
            FIELD("consumerGroup", p->config.group ? p->wire_group : NO_GROUP),
            FIELD("topic", p->wire),
            FIELD("queueId", p->queue_text),
            FIELD("queueOffset", offset_text),
            FIELD("maxMsgNums", READ_MAX),
            FIELD("sysFlag", wait_ms ? "6" : "4"), /* 2 suspend, 4 subscription comes along */
            FIELD("commitOffset", "0"),
            FIELD("suspendTimeoutMillis", wait_text),
            FIELD("subscription", "*"),
            FIELD("subVersion", "0"),
            FIELD("expressionType", "TAG"),
            FIELD("bname", p->config.broker),
        };

        ask(a, fields, RC_COUNT(fields), p->config.timeout_ms + wait_ms);
    }
}

/* ---- appending ------------------------------------------------------------------------------- */

static bool stored_somehow(int code)
{
    return code == RMQ_R_SUCCESS || code == RMQ_R_FLUSH_DISK_TIMEOUT ||
           code == RMQ_R_SLAVE_NOT_AVAILABLE || code == RMQ_R_FLUSH_SLAVE_TIMEOUT;
}

static void on_append(asking *a, const rmq_reply *reply)
{
    rmq_pinned_stored stored = {.offset = -1};
    rc_error err = {0};

    if (reply->result < 0) {
        stored.err = reply->err;
        stored.unknown = (reply->err->flags & RMQ_ERR_UNKNOWN_OUTCOME) != 0;
        a->done.append(a->arg, &stored);
        return;
    }
    if (reply->frame->header.code != RMQ_R_SUCCESS)
        stored.err = refusal(a, reply, &err);
    if (stored_somehow(reply->frame->header.code)) {
        stored.weak = reply->frame->header.code != RMQ_R_SUCCESS;
        stored.offset = field_or(reply, "queueOffset", -1);
        stored.unknown = stored.offset < 0;
    }
    if (stored.unknown) {
        (void)rc_fail(&err, OMC_EFORMAT, "the broker stored a record and does not say where");
        stored.err = &err;
    }
    a->done.append(a->arg, &stored);
}

void rmq_pinned_append(rmq_pinned *p, rc_slice body, rmq_pinned_append_fn *done, void *arg)
{
    asking *a = asking_new(p, RMQ_SEND_MESSAGE_V2, on_append, arg);
    char key[33], born[24];
    char properties[80];
    const char *group = p->config.group ? p->wire_group : NO_GROUP;

    rmq_unique_key(key);
    (void)snprintf(properties, sizeof properties, "UNIQ_KEY\1%s\2WAIT\1true\2", key);
    (void)snprintf(born, sizeof born, "%" PRId64, rc_now_ms(rc_clock_real()));
    rc_buf_add(&a->body, body.base, body.len);
    a->done.append = done;
    {
        const rmq_field fields[] = {FIELD("a", group),
                                    FIELD("b", p->wire),
                                    FIELD("c", "TBW102"),
                                    FIELD("d", "4"),
                                    FIELD("e", p->queue_text),
                                    FIELD("f", "0"),
                                    FIELD("g", born),
                                    FIELD("h", "0"),
                                    FIELD("i", properties),
                                    FIELD("j", "0"),
                                    FIELD("k", "false"),
                                    FIELD("m", "false"),
                                    FIELD("n", p->config.broker)};

        ask(a, fields, RC_COUNT(fields), p->config.timeout_ms);
    }
}

/* ---- members --------------------------------------------------------------------------------- */

static void on_members(asking *a, const rmq_reply *reply)
{
    rc_error err = {0};
    const char **names = NULL;
    json_t *body = NULL, *list, *name;
    size_t i, count = 0;

    if (reply->result == 0 &&
        rmq_nobody_in_group(reply->frame->header.code, reply->frame->header.remark)) {
        const char *nobody = NULL;

        a->done.members(a->arg, &nobody, 0, NULL);
        return;
    }
    if (reply->result < 0 || reply->frame->header.code != RMQ_R_SUCCESS) {
        a->done.members(a->arg, NULL, 0, refusal(a, reply, &err));
        return;
    }
    if (rmq_json_parse(reply->frame->body, &body, &err) < 0) {
        a->done.members(a->arg, NULL, 0, &err);
        return;
    }
    list = json_object_get(body, "consumerIdList");
    names = rc_calloc(json_array_size(list) + 1, sizeof *names);
    json_array_foreach(list, i, name)
    {
        if (json_is_string(name))
            names[count++] = json_string_value(name);
    }
    a->done.members(a->arg, names, count, NULL);
    free(names);
    json_decref(body);
}

void rmq_pinned_members(rmq_pinned *p, const char *group, rmq_pinned_members_fn *done, void *arg)
{
    asking *a = asking_new(p, RMQ_GET_CONSUMER_LIST_BY_GROUP, on_members, arg);
    char out[256];
    const char *wire = group ? rmq_client_wire_name(p->config.client, group, out) : p->wire_group;
    const rmq_field fields[] = {FIELD("consumerGroup", wire), FIELD("bname", p->config.broker)};

    RC_ASSERT(group || p->config.group);
    a->done.members = done;
    ask(a, fields, RC_COUNT(fields), p->config.timeout_ms);
}

/* The body of a heartbeat (protocol §5). */
static void put_beat(const rmq_pinned *p, rc_buf *out)
{
    json_t *all = json_pack(
        "{s:s, s:i, s:b, s:[], s:[{s:s, s:s, s:s, s:s, s:b, s:[{s:s, s:s, s:s, s:[], s:[], s:I, "
        "s:b}]}]}",
        "clientID", p->config.member, "heartbeatFingerprint", 0, "withoutSub", 0, "producerDataSet",
        "consumerDataSet", "groupName", p->wire_group, "consumeType", "CONSUME_PASSIVELY",
        "messageModel", "CLUSTERING", "consumeFromWhere", "CONSUME_FROM_LAST_OFFSET", "unitMode", 0,
        "subscriptionDataSet", "topic", p->wire, "subString", "*", "expressionType", "TAG",
        "tagsSet", "codeSet", "subVersion", (json_int_t)1, "classFilterMode", 0);
    char *text = json_dumps(all, JSON_COMPACT);

    RC_ASSERT(text);
    rc_buf_str(out, text);
    free(text);
    json_decref(all);
}

static void on_beat(asking *a, const rmq_reply *reply);

static void beat(rmq_pinned *p)
{
    asking *a = asking_new(p, RMQ_HEART_BEAT, on_beat, p);

    put_beat(p, &a->body);
    ask(a, NULL, 0, p->config.timeout_ms);
}

static void on_beat(asking *a, const rmq_reply *reply)
{
    rmq_pinned *p = a->pinned;
    rc_error err = {0};

    if (reply->result < 0 || reply->frame->header.code != RMQ_R_SUCCESS) {
        end(p, refusal(a, reply, &err));
        return;
    }
    if (p->ended)
        return;
    rc_loop_timer_set(p->timer, BEAT_MS);
    if (p->is_up)
        return;
    p->is_up = true;
    p->config.up(p->config.arg);
}

static bool on_asked(void *arg, rmq_remote *remote, const rmq_frame *frame)
{
    rmq_pinned *p = arg;

    (void)remote;
    if (frame->header.code != RMQ_NOTIFY_CONSUMER_IDS_CHANGED)
        return false;
    if (!p->closing && !p->ended && p->is_up && p->config.changed)
        p->config.changed(p->config.arg);
    return true;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void on_lost(void *arg, rmq_remote *remote, const rc_error *why)
{
    (void)remote;
    end(arg, why);
}

/* The first answer shows that the connection is there, also without a group. */
static void on_first(void *arg, int64_t offset, const rc_error *err)
{
    rmq_pinned *p = arg;

    if (offset < 0) {
        end(p, err);
        return;
    }
    if (p->config.group) {
        beat(p);
        return;
    }
    p->is_up = true;
    p->config.up(p->config.arg);
}

static void on_route(void *arg, rmq_route *route, const rc_error *err)
{
    rmq_pinned *p = arg;
    const char *address;
    rmq_remote_config config;
    rc_error none = {0};

    p->holds--;
    if (p->closing) {
        maybe_free(p);
        return;
    }
    address = route ? rmq_route_master(route, p->config.broker, p->config.queue) : NULL;
    if (!address) {
        if (route)
            (void)rc_fail_retriable(&none, OMC_ECONNECT,
                                    "the name server knows no master of broker %s for topic %s; "
                                    "start the broker, or look whether the topic was deleted there",
                                    p->config.broker, p->wire);
        end(p, route ? &none : err);
        return;
    }
    config = rmq_client_remote_config(p->config.client);
    config.address = address;
    config.label = "broker";
    config.lost = on_lost;
    config.asked = on_asked;
    config.arg = p;
    p->remote = rmq_remote_new(&config);
    p->holds++;
    rmq_pinned_end(p, on_first, p);
}

static void on_timer(void *arg)
{
    rmq_pinned *p = arg;

    if (p->closing)
        return;
    if (!p->ended)
        beat(p);
    else if (p->config.down)
        p->config.down(p->config.arg, &p->why);
}

static const char *copy_or_null(const char *text)
{
    return text ? rc_strdup(text) : NULL;
}

rmq_pinned *rmq_pinned_open(const rmq_pinned_config *config)
{
    rmq_pinned *p = rc_calloc(1, sizeof *p);
    char out[256];

    p->config = *config;
    p->config.topic = rc_strdup(config->topic);
    p->config.broker = rc_strdup(config->broker);
    p->config.group = copy_or_null(config->group);
    p->config.member = copy_or_null(config->member);
    (void)snprintf(p->wire, sizeof p->wire, "%s",
                   rmq_client_wire_name(config->client, config->topic, out));
    if (config->group)
        (void)snprintf(p->wire_group, sizeof p->wire_group, "%s",
                       rmq_client_wire_name(config->client, config->group, out));
    (void)snprintf(p->queue_text, sizeof p->queue_text, "%d", config->queue);
    RC_ASSERT(rc_loop_timer_new(rmq_client_loop(config->client), on_timer, p, &p->timer) == 0);
    rmq_client_hold(config->client);
    p->holds = 1;
    rmq_route_ask(config->client, p->wire, 0, on_route, p);
    return p;
}

/* `closed` comes from the loop, not from inside the call. */
static void on_no_remote(void *arg)
{
    on_closed(arg);
}

void rmq_pinned_close(rmq_pinned *p, void (*closed)(void *arg), void *arg)
{
    asking *a;

    RC_ASSERT(!p->closing);
    p->closing = true;
    p->closed = closed;
    p->closed_arg = arg;
    rc_loop_timer_set(p->timer, -1);
    while ((a = p->askings)) {
        DL_DELETE(p->askings, a);
        a->pinned = NULL;
    }
    if (p->remote) {
        rmq_remote_close(p->remote, on_closed, p);
    } else {
        p->holds++;
        rmq_client_post(p->config.client, on_no_remote, p);
    }
}
