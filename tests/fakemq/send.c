/* SPDX-License-Identifier: Apache-2.0 */
/** Sends and send-backs (protocol §6, §11). */
#include "impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MAX_BODY = 4 << 20, MAX_PROPERTIES = 32767, MAX_TOPIC = 127, MAX_RETRY_TOPIC = 255 };

static const char busy[] = "[REJECTREQUEST]system busy, start flow control for a while";

/** The fields of 10, 310 and 320 under one name each. */
struct send {
    const char *group, *topic, *properties;
    int queue_count, queue;
    bool batch, retry;
    struct message message;
};

static const char *either(const struct request *request, const char *v2, const char *v1)
{
    return field(request, request->header.code == 10 ? v1 : v2);
}

static int64_t either_number(const struct request *request, const char *v2, const char *v1)
{
    return strtoll(either(request, v2, v1), NULL, 10);
}

static struct send read_send(const struct request *request)
{
    struct send send = {.group = either(request, "a", "producerGroup"),
                        .topic = either(request, "b", "topic"),
                        .properties = either(request, "i", "properties"),
                        .queue_count = (int)either_number(request, "d", "defaultTopicQueueNums"),
                        .queue = (int)either_number(request, "e", "queueId"),
                        .batch = !strcmp(either(request, "m", "batch"), "true"),
                        .message = {.sys_flag = (int32_t)either_number(request, "f", "sysFlag"),
                                    .born_ms = either_number(request, "g", "bornTimestamp"),
                                    .flag = (int32_t)either_number(request, "h", "flag"),
                                    .reconsume =
                                        (int32_t)either_number(request, "j", "reconsumeTimes"),
                                    .born_port = request->conn ? request->conn->port : 0}};

    send.retry = !strncmp(send.topic, "%RETRY%", 7);
    return send;
}

static bool legal_topic(const char *topic)
{
    size_t legal = strspn(topic, "%|-_0123456789abcdefghijklmnopqrstuvwxyz"
                                 "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    bool own = !strncmp(topic, "%RETRY%", 7) || !strncmp(topic, "%DLQ%", 5);

    return *topic && !topic[legal] && legal <= (own ? MAX_RETRY_TOPIC : MAX_TOPIC);
}

/** As answer_text(), with the fields that every reply to a send has, refusals too (seen). */
static void OMC_PRINTF(3, 4) refuse(struct request *request, int code, const char *fmt, ...)
{
    struct fields fields = {0};
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fields_add(&fields, "TRACE_ON", "true");
    fields_add(&fields, "MSG_REGION", "DefaultRegion");
    answer(request, code, text, &fields, NULL, 0);
}

/** The topic, made from its template when that is allowed; NULL when answered. */
static struct topic *topic_of_send(struct request *request, const struct send *send)
{
    struct broker *broker = request->server->broker;
    struct topic *topic = topic_find(broker, send->topic), *template;

    if (topic)
        return topic;
    template = topic_find(broker, either(request, "c", "defaultTopic"));
    if (template && template->perm & 1)
        return topic_make(broker, send->topic, RC_MIN(send->queue_count, template->read),
                          RC_MIN(send->queue_count, template->write), template->perm & ~1);
    if (send->retry)
        return topic_make(broker, send->topic, 1, 1, 6);
    refuse(request, 17,
           "topic[%s] not exist, apply first please!\nSee "
           "https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.",
           send->topic);
    return NULL;
}

/** False when answered. */
static bool check_send(struct request *request, const struct send *send)
{
    struct broker *broker = request->server->broker;
    const char *limit = fields_get(&broker->config, "maxMessageSize");
    size_t max = limit ? strtoul(limit, NULL, 10) : MAX_BODY;

    if (request->server->role == SLAVE)
        answer_text(request, 2, "%s", busy);
    else if (!request->body_len)
        answer_text(request, 1, "java.lang.NullPointerException");
    else if (!legal_topic(send->topic))
        refuse(request, 29,
               "The specified topic: %.300s, contains illegal characters or is too long",
               send->topic);
    else if (send->batch && send->retry)
        refuse(request, 13, "batch request does not support retry group %s", send->topic);
    else if (send->retry && !group_make(broker, send->topic + 7))
        refuse(request, 26, "subscription group not exist, %s", send->topic + 7);
    else if (send->batch && request->body_len > max)
        answer_text(request, 1, "java.lang.RuntimeException: message body size exceeded");
    else if (request->body_len > max)
        refuse(request, 13,
               "the message is illegal, maybe msg body or properties length not matched. "
               "msg body length limit %zuB, msg properties length limit 32KB.",
               max);
    else
        return true;
    return false;
}

/** False when answered. Brokers do not look at the write permission of a topic (seen). */
static bool check_queue(struct request *request, struct send *send, struct topic *topic)
{
    int queues = RC_MAX(topic->read, topic->write);

    if (send->queue >= queues || !topic->write) {
        refuse(request, 29,
               "request queueId[%d] is illegal, TopicConfig [topicName=%s, readQueueNums=%d, "
               "writeQueueNums=%d, perm=%d] Producer: 127.0.0.1",
               send->queue, topic->name, topic->read, topic->write, topic->perm);
        return false;
    }
    if (send->queue < 0)
        send->queue = (int)(random_next(request->mq) % (uint64_t)topic->write);
    send->message.queue_id = send->queue;
    return true;
}

static void add_id(rc_buf *ids, const struct broker *broker, int64_t position)
{
    rc_buf_printf(ids, "%s7F000001%08X%016llX", ids->len ? "," : "", (unsigned)broker->port,
                  (unsigned long long)position);
}

static void answer_stored(struct request *request, const struct send *send, const char *ids,
                          const char *unique, int64_t offset)
{
    struct fields fields = {0};

    fields_add(&fields, "queueId", "%d", send->queue);
    if (unique)
        fields_add(&fields, "transactionId", "%s", unique);
    fields_add(&fields, "msgId", "%s", ids);
    fields_add(&fields, "TRACE_ON", "true");
    fields_add(&fields, "MSG_REGION", "DefaultRegion");
    fields_add(&fields, "queueOffset", "%lld", (long long)offset);
    answer(request, 0, NULL, &fields, NULL, 0);
}

static void store_single(struct request *request, struct send *send, struct topic *topic)
{
    struct broker *broker = request->server->broker;
    RC_AUTO_FREE char *unique = NULL;
    RC_AUTO_FREE char *properties = properties_as_stored(request->mq, send->properties, &unique);
    struct message *message = &send->message, *stored;
    rc_buf ids = RC_BUF(MAX_FRAME);

    message->body = request->body;
    message->body_len = request->body_len;
    message->properties = properties;
    message->properties_len = strlen(properties);
    if (message->properties_len > MAX_PROPERTIES) {
        refuse(request, 13,
               "the message is illegal, maybe msg body or properties length not "
               "matched. msg properties length limit 32KB.");
        return;
    }
    stored = store_append(broker, topic, message);
    add_id(&ids, broker, stored->position);
    answer_stored(request, send, ids.data, unique, stored->offset);
    rc_buf_release(&ids);
}

/** Takes the next item of a batch; -1 when it is broken. */
static int next_item(const char **at, const char *end, struct message *message)
{
    size_t left = (size_t)(end - *at), size, body, properties;

    if (left < 22)
        return -1;
    size = get_be(*at, 4);
    body = get_be(*at + 16, 4);
    if (size > left || size < 22 || body > size - 22 || get_be(*at + 4, 4))
        return -1;
    properties = get_be(*at + 20 + body, 2);
    if (size != 22 + body + properties || properties > MAX_PROPERTIES)
        return -1;
    message->flag = (int32_t)get_be(*at + 12, 4);
    message->body = (char *)(uintptr_t)(*at + 20);
    message->body_len = body;
    message->properties = message->body + body + 2;
    message->properties_len = properties;
    *at += size;
    return 0;
}

static void store_batch(struct request *request, struct send *send, struct topic *topic)
{
    struct broker *broker = request->server->broker;
    const char *end = request->body + request->body_len;
    struct message message = send->message;
    rc_buf ids = RC_BUF(MAX_FRAME);
    size_t unique_len = 0;
    const char *unique =
        property_get(send->properties, strlen(send->properties), "UNIQ_KEY", &unique_len);
    RC_AUTO_FREE char *key = unique ? rc_strndup(unique, unique_len) : NULL;
    int64_t first = queue_end(&topic->at[send->queue]);

    for (const char *at = request->body; at < end;) {
        if (next_item(&at, end, &message) < 0) {
            strict(request, "an item of the batch is broken at byte %zu",
                   (size_t)(at - request->body));
            answer_text(request, 1, "java.lang.IllegalArgumentException");
            return;
        }
    }
    for (const char *at = request->body; at < end;) {
        next_item(&at, end, &message);
        add_id(&ids, broker, store_append(broker, topic, &message)->position);
    }
    answer_stored(request, send, ids.data, key, first);
    rc_buf_release(&ids);
}

void send_message(struct request *request)
{
    fakemq *mq = request->mq;
    struct broker *broker = request->server->broker;
    struct send send = read_send(request);
    struct topic *topic;
    RC_AUTO_FREE char *name = rc_strdup(send.topic);
    int queue;

    if (!check_send(request, &send) || !(topic = topic_of_send(request, &send)) ||
        !check_queue(request, &send, topic))
        return;
    /* It counts as one message then, with the items as its body (seen). */
    if (request->header.code == 320 && !send.batch)
        strict(request, "a batch without m=true");
    queue = send.queue;
    if (send.batch)
        store_batch(request, &send, topic);
    else
        store_single(request, &send, topic);
    wake_pulls(mq, broker, name, queue);
}

/* ---- send back ------------------------------------------------------------------------------- */

/** The message's properties with RETRY_TOPIC and ORIGIN_MESSAGE_ID. */
static char *properties_of_retry(const struct message *message, const char *topic, const char *id)
{
    size_t len = 0;
    rc_buf out = RC_BUF(MAX_FRAME);

    rc_buf_add(&out, message->properties, message->properties_len);
    if (out.len && out.data[out.len - 1] != 2)
        rc_buf_char(&out, 2);
    if (!property_get(message->properties, message->properties_len, "RETRY_TOPIC", &len))
        rc_buf_printf(&out, "RETRY_TOPIC\001%s\002", topic);
    if (!property_get(message->properties, message->properties_len, "ORIGIN_MESSAGE_ID", &len))
        rc_buf_printf(&out, "ORIGIN_MESSAGE_ID\001%s\002", id);
    return rc_buf_take(&out);
}

/** Copies at once to %RETRY%group, or to %DLQ%group; the delay of real brokers is left out. */
void send_back(struct request *request)
{
    fakemq *mq = request->mq;
    struct broker *broker = request->server->broker;
    const char *group = field(request, "group"), *max = field(request, "maxReconsumeTimes");
    struct topic *from, *to;
    struct message *message = message_by_position(broker, number(request, "offset"), &from), copy;
    RC_AUTO_FREE char *properties = NULL, *name = NULL;
    bool dead;

    if (request->server->role == SLAVE) {
        answer_text(request, 2, "%s", busy);
        return;
    }
    if (!group_make(broker, group)) {
        answer_text(request, 26, "subscription group not exist, %s", group);
        return;
    }
    if (!message) {
        answer_text(request, 1, "look message by offset failed, %s", field(request, "offset"));
        return;
    }
    dead = number(request, "delayLevel") < 0 ||
           message->reconsume >= (*max ? number(request, "maxReconsumeTimes") : 16);
    name = rc_format("%s%s", dead ? "%DLQ%" : "%RETRY%", group);
    to = topic_find(broker, name);
    if (!to)
        to = topic_make(broker, name, 1, 1, dead ? 2 : 6);
    properties = properties_of_retry(message, from->name, field(request, "originMsgId"));
    copy = *message;
    copy.properties = properties;
    copy.properties_len = strlen(properties);
    copy.queue_id = 0;
    copy.reconsume++;
    store_append(broker, to, &copy);
    answer(request, 0, NULL, NULL, NULL, 0);
    wake_pulls(mq, broker, name, 0);
}
