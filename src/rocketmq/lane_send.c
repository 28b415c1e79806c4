/* SPDX-License-Identifier: Apache-2.0 */
/**
 * One send: where to, its header, and what the answer means (protocol §6, §20, §21).
 */
#include "rocketmq/lane_impl.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- the header ---- */

enum { F_GROUP, F_TOPIC, F_DEFAULT, F_DEFAULT_QUEUES, F_QUEUE, F_SYS_FLAG, F_BORN, F_FLAG, F_KIND };

void rmq_lane_template(rmq_lane *lane)
{
    static const char *const names[RMQ_SEND_FIELDS] = {"a", "b", "c", "d", "e",
                                                       "f", "g", "h", "m", "n"};
    const rmq_lanes *set = lane->set;
    size_t i;

    (void)snprintf(lane->queue_text, sizeof lane->queue_text, "%" PRId32, lane->queue_id);
    for (i = 0; i < RMQ_SEND_FIELDS; i++)
        lane->fields[i].name = omc_slice_str(names[i]);
    lane->fields[F_GROUP].value = omc_slice_str(set->group);
    lane->fields[F_TOPIC].value = omc_slice_str(lane->topic);
    /* The field is mandatory. The topic itself as its own template keeps a broker from making a
     * topic anew that somebody has just deleted. */
    lane->fields[F_DEFAULT].value =
        omc_slice_str(set->create_from ? set->create_from : lane->topic);
    lane->fields[F_DEFAULT_QUEUES].value = omc_slice_str("4");
    lane->fields[F_QUEUE].value = omc_slice_str(lane->queue_text);
}

static rc_slice number(char *out, size_t cap, int64_t value)
{
    int len = snprintf(out, cap, "%" PRId64, value);

    return omc_slice_of(out, (size_t)len);
}

/* Fills in what differs from the lane's last send. @return the request code. */
static int fill_header(rmq_lane *lane, const rmq_parcel *first)
{
    rmq_field *fields = lane->fields;
    int64_t born = first->born_ms ? first->born_ms : rc_now_ms(rc_clock_real());

    /* Who has the queue now; the text is the route's. */
    fields[RMQ_SEND_FIELDS - 1].value =
        omc_slice_str(rmq_route_name(rmq_route_known(lane->set->client, lane->topic), lane->broker,
                                     lane->queue_id));
    fields[F_SYS_FLAG].value =
        number(lane->sys_flag_text, sizeof lane->sys_flag_text, first->sys_flag);
    fields[F_BORN].value = number(lane->born_text, sizeof lane->born_text, born);
    if (first->properties.base) {
        fields[F_FLAG].value = number(lane->flag_text, sizeof lane->flag_text, first->flag);
        fields[F_KIND].name = omc_slice_of("i", 1);
        fields[F_KIND].value = first->properties;
        return RMQ_SEND_MESSAGE_V2;
    }
    fields[F_FLAG].value = omc_slice_of("0", 1);
    fields[F_KIND].name = omc_slice_of("m", 1);
    fields[F_KIND].value = omc_slice_of("true", 4);
    return RMQ_SEND_BATCH_MESSAGE;
}

/* ---- answers ---- */

/* "SEND_BATCH_MESSAGE of 12 messages to topic T, queue 3 of broker-0 (127.0.0.1:10911)" */
static void describe(const rmq_send *send, char *out, size_t cap)
{
    char name[320];

    (void)snprintf(out, cap, "%s of %" PRIu32 " message%s to %s (%s)",
                   send->parcels->properties.base ? "SEND_MESSAGE_V2" : "SEND_BATCH_MESSAGE",
                   send->messages, send->messages == 1 ? "" : "s", rmq_lane_name(send->lane, name),
                   send->address);
}

/* Where the messages are now. */
static void place(rmq_send *send, const rmq_header *header)
{
    rmq_client_stats *counters = rmq_client_counters(send->lane->set->client);
    int64_t offset = -1;
    int64_t queue = send->lane->queue_id;
    rmq_parcel *parcel;

    /* A broker that tells no offset has stored them all the same. */
    if (rmq_header_int(header, "queueOffset", &offset, NULL) < 0)
        offset = -1;
    if (rmq_header_int(header, "queueId", &queue, NULL) < 0 || queue < INT32_MIN ||
        queue > INT32_MAX)
        queue = send->lane->queue_id;
    for (parcel = send->parcels; parcel; parcel = parcel->next) {
        parcel->status = header->code;
        parcel->stored_queue_id = (int32_t)queue;
        parcel->base_offset = offset;
        if (offset >= 0)
            offset += parcel->count;
    }
    counters->sent_messages += send->messages;
    counters->sent_batches++;
}

static bool as_promised(enum rmq_ack ack, int code)
{
    return code == RMQ_R_SUCCESS || ack == RMQ_ACK_STORED ||
           (ack == RMQ_ACK_FLUSHED && code != RMQ_R_FLUSH_DISK_TIMEOUT);
}

/* A batch above maxMessageSize is refused as a system error (seen), which it is not: it would be
 * refused for ever. */
static bool too_large(int code, rc_slice remark)
{
    static const char words[] = "message body size exceeded";

    return code == RMQ_R_SYSTEM_ERROR && remark.base &&
           memmem(remark.base, remark.len, words, sizeof words - 1);
}

static void refused(rmq_send *send, int code, rc_slice remark)
{
    char what[640];
    rmq_lane *lane = send->lane;

    describe(send, what, sizeof what);
    (void)rmq_fail_response(&send->err, code, remark, what);
    if (too_large(code, remark)) {
        code = RMQ_R_MESSAGE_ILLEGAL;
        send->err.code = OMC_EINVAL;
        send->err.flags &= ~(uint32_t)OMC_ERR_RETRIABLE;
    }
    if (send->err.flags & OMC_ERR_RETRIABLE) {
        if (code == RMQ_R_SERVICE_NOT_AVAILABLE || code == RMQ_R_TOPIC_NOT_EXIST ||
            code == RMQ_R_NOT_LEADER_FOR_QUEUE || code == RMQ_R_GO_AWAY)
            rmq_lane_reroute(lane);
        rmq_send_later(send, RMQ_LATER_BUSY);
    } else if (code == RMQ_R_MESSAGE_ILLEGAL && send->parcel_count > 1) {
        /* Nothing of it is stored. One by one the innocent ones get through. */
        rmq_lane_split(send);
    } else {
        rmq_send_fail(send);
    }
}

static void judge(rmq_send *send, const rmq_header *header)
{
    char what[640];

    switch (header->code) {
    case RMQ_R_SUCCESS:
    case RMQ_R_FLUSH_DISK_TIMEOUT:
    case RMQ_R_SLAVE_NOT_AVAILABLE:
    case RMQ_R_FLUSH_SLAVE_TIMEOUT:
        place(send, header);
        if (as_promised(send->lane->set->config.ack, header->code)) {
            send->state = RMQ_SEND_STORED;
            rmq_lane_clear(send->lane);
        } else {
            describe(send, what, sizeof what);
            (void)rmq_fail_response(&send->err, header->code, header->remark, what);
            rmq_send_weak(send);
        }
        break;
    default:
        refused(send, header->code, header->remark);
    }
}

static void unanswered(rmq_send *send, const rc_error *why)
{
    char name[320];

    send->err = *why;
    (void)rc_wrap(&send->err, 0, "%s, %" PRIu32 " message%s", rmq_lane_name(send->lane, name),
                  send->messages, send->messages == 1 ? "" : "s");
    if (why->flags & RMQ_ERR_UNKNOWN_OUTCOME) {
        rmq_send_doubt(send);
    } else if (send->lane->set->config.gate &&
               (why->code == OMC_EAGAIN || why->code == OMC_EFENCED)) {
        send->tries--; /* nothing was tried */
        rmq_send_gated(send);
    } else if (why->code == OMC_EINVAL) {
        rmq_send_fail(send); /* no frame can be made of it */
    } else {
        if (why->code != OMC_EAGAIN)
            rmq_lane_reroute(send->lane);
        rmq_send_later(send, why->code == OMC_EAGAIN ? RMQ_LATER_BUSY : RMQ_LATER_AWAY);
    }
}

static void answered(void *arg, const rmq_reply *reply)
{
    rmq_send *send = arg;
    rmq_lane *lane = send->lane;

    lane->busy++;
    if (reply->result < 0)
        unanswered(send, reply->err);
    else
        judge(send, &reply->frame->header);
    lane->busy--;
    rmq_lane_pump(lane);
}

/* ---- sending ---- */

/* Address of the broker's master as far as known; NULL and send->err when there is none. */
static const char *find_address(rmq_send *send)
{
    rmq_lane *lane = send->lane;
    const rmq_lanes *set = lane->set;
    rmq_route *route = rmq_route_known(set->client, lane->topic);
    const char *address = route ? rmq_route_master(route, lane->broker, lane->queue_id) : NULL;
    char name[320];

    if (!address && set->create_from) {
        /* The first message makes the topic, broker by broker. */
        rmq_route *model = rmq_route_known(set->client, set->create_from);

        address = model ? rmq_route_master(model, lane->broker, lane->queue_id) : NULL;
    }
    if (address)
        return address;
    if (lane->route_why)
        (void)rc_fail_retriable(&send->err, OMC_ECONNECT,
                                "%s: where the broker is is not known: %s",
                                rmq_lane_name(lane, name), lane->route_why);
    else
        (void)rc_fail_retriable(&send->err, OMC_ECONNECT,
                                "%s: the name server knows no master of this broker for the topic; "
                                "start the broker, or look whether the topic was deleted there. It "
                                "goes on by itself when it is back",
                                rmq_lane_name(lane, name));
    return NULL;
}

static void call(rmq_send *send, const char *address)
{
    rmq_lane *lane = send->lane;
    rmq_lanes *set = lane->set;
    rc_iovec parts[RMQ_SEND_PARTS_MAX];
    rmq_request request = {.fields = lane->fields,
                           .field_count = RMQ_SEND_FIELDS,
                           .body = parts,
                           .timeout_ms = set->config.send_timeout_ms,
                           .gate = set->config.gate,
                           .done = answered,
                           .arg = send};
    rmq_remote *remote = rmq_client_remote(set->client, address, RMQ_CONN_MAIN);
    rmq_parcel *parcel;

    for (parcel = send->parcels; parcel; parcel = parcel->next)
        parts[request.body_parts++] = (rc_iovec){parcel->items, parcel->bytes};
    request.code = fill_header(lane, send->parcels);
    (void)snprintf(send->address, sizeof send->address, "%s", address);
    send->connection = rmq_remote_since(remote);
    send->state = RMQ_SEND_UNDER_WAY;
    rmq_remote_call(remote, &request);
}

void rmq_send_try(rmq_send *send)
{
    rmq_lane *lane = send->lane;
    const char *address;

    if (rmq_gate_look(lane->set->config.gate) != RMQ_GATE_OPEN) {
        rmq_send_gated(send);
        return;
    }
    send->gate_ms = 0;
    address = find_address(send);
    if (send->first_try_ns == 0)
        send->first_try_ns = rmq_lane_now_ns();
    if (!address) {
        bool asked = lane->asked;

        rmq_lane_reroute(lane);
        send->state = RMQ_SEND_READY;
        send->due_ns = INT64_MAX; /* Nothing is wrong yet: until the first answer. */
        if (asked || !lane->asking)
            rmq_send_later(send, RMQ_LATER_AWAY);
        return;
    }
    if (send->tries++ > 0)
        rmq_client_counters(lane->set->client)->retries++;
    call(send, address);
}
