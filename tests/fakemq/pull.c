/* SPDX-License-Identifier: Apache-2.0 */
/** Pulls and long polls (protocol §7). A held pull is answered at its deadline, not 5 s late. */
#include "impl.h"

#include <stdio.h>
#include <string.h>

enum {
    PULL_COMMIT = 1,
    PULL_SUSPEND = 2,
    PULL_SUBSCRIPTION = 4,
    MAX_COUNT = 32,
    MAX_BYTES = 256 << 10,
    MAX_LOOKED_AT = 800 /* Messages that one filtered pull goes past. */
};

/** Hashes of the tags wanted; all when `codes` is NULL. */
struct filter {
    int32_t *codes;
    size_t count;
};

static void filter_free(struct filter *filter)
{
    free(filter->codes);
}

static bool passes(const struct filter *filter, const struct message *message)
{
    for (size_t k = 0; k < filter->count; k++) {
        if (filter->codes[k] == message->tag_code)
            return true;
    }
    return !filter->codes;
}

static void add_code(struct filter *filter, int32_t code)
{
    filter->codes = rc_realloc(filter->codes, (filter->count + 1) * sizeof *filter->codes);
    filter->codes[filter->count++] = code;
}

/** "TagA || TagB"; "" and "*" are all. */
static struct filter filter_of_text(const char *text)
{
    struct filter filter = {0};

    if (!*text || !strcmp(text, "*"))
        return filter;
    while (*text) {
        size_t len;

        text += strspn(text, " |");
        len = strcspn(text, " |");
        if (len)
            add_code(&filter, java_hash(text, len));
        text += len;
    }
    return filter;
}

static struct filter filter_of_subscription(json_t *subscription)
{
    const char *text = json_string_value(json_object_get(subscription, "subString"));
    struct filter filter = {0};
    json_t *code;
    size_t k;

    if (!text || !*text || !strcmp(text, "*"))
        return filter;
    json_array_foreach(json_object_get(subscription, "codeSet"), k, code)
        add_code(&filter, (int32_t)json_integer_value(code));
    return filter;
}

/** What the pull wants, from itself or from the heartbeat; false when answered. */
static bool find_filter(struct request *request, struct filter *filter)
{
    const char *group = field(request, "consumerGroup"), *type = field(request, "expressionType");
    json_t *subscription;

    if (*type && strcmp(type, "TAG") != 0) {
        answer_text(request, 1, "The broker does not support consumer to filter message by %s",
                    type);
        return false;
    }
    if (number(request, "sysFlag") & PULL_SUBSCRIPTION) {
        *filter = filter_of_text(field(request, "subscription"));
        return true;
    }
    subscription = subscription_find(request->mq, request->server, group, field(request, "topic"));
    if (!member_any(request->mq, request->server, group))
        answer_text(request, 24, "the consumer's group info not exist");
    else if (!subscription)
        answer_text(request, 24, "the consumer's subscription not exist");
    else if (json_integer_value(json_object_get(subscription, "subVersion")) <
             number(request, "subVersion"))
        answer_text(request, 25, "the consumer's subscription not latest");
    else {
        *filter = filter_of_subscription(subscription);
        return true;
    }
    return false;
}

static void answer_forbidden(struct request *request, const struct topic *topic)
{
    RC_AUTO_FREE char *remark =
        rc_format("the topic[%s] pulling message is forbidden", topic->name);
    struct fields fields = {0};

    fields_add(&fields, "forbiddenType", "3");
    answer(request, 16, remark, &fields, NULL, 0);
}

/** The queue asked for; NULL when answered. */
static struct queue *find_queue(struct request *request)
{
    struct broker *broker = request->server->broker;
    struct topic *topic = topic_find(broker, field(request, "topic"));
    int64_t queue = number(request, "queueId");

    if (!topic)
        answer_text(request, 17,
                    "topic[%s] not exist, apply first please! See "
                    "https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.",
                    field(request, "topic"));
    else if (!(topic->perm & 4))
        answer_forbidden(request, topic);
    else if (queue < 0 || queue >= topic->read)
        answer_text(request, 29,
                    "queueId[%lld] is illegal, topic:[%s] topicConfig.readQueueNums:"
                    "[%d] consumer:[127.0.0.1]",
                    (long long)queue, topic->name, topic->read);
    else
        return &topic->at[queue];
    return NULL;
}

/** End of what this server shows to consumers. */
static int64_t shown_end(const struct request *request, const struct queue *queue)
{
    return request->server->role == SLAVE ? queue_end(queue) : queue_max(queue);
}

static void answer_pull(struct request *request, const struct queue *queue, int code,
                        const char *status, int64_t next, rc_buf *body)
{
    struct fields fields = {0};

    fields_add(&fields, "suggestWhichBrokerId", "%d", request->server->broker->suggest);
    fields_add(&fields, "groupSysFlag", "0");
    fields_add(&fields, "nextBeginOffset", "%lld", (long long)next);
    fields_add(&fields, "maxOffset", "%lld", (long long)shown_end(request, queue));
    fields_add(&fields, "minOffset", "%lld", (long long)queue->min);
    fields_add(&fields, "topicSysFlag", "0");
    answer(request, code, status, &fields, body ? body->data : NULL, body ? body->len : 0);
}

/** maxMsgBytes is a wish that brokers do not grant to pulls (seen at 5.5.0). */
static void answer_found(struct request *request, const struct queue *queue, int64_t offset,
                         const struct filter *filter)
{
    struct broker *broker = request->server->broker;
    struct topic *topic = topic_find(broker, field(request, "topic"));
    int64_t max_count = RC_MIN(number(request, "maxMsgNums"), MAX_COUNT), count = 0;
    int64_t last = RC_MIN(shown_end(request, queue), offset + MAX_LOOKED_AT);
    rc_buf body = RC_BUF(2 * MAX_FRAME);

    for (; offset < last; offset++) {
        const struct message *message = queue->at[offset - queue->min];

        if (!passes(filter, message))
            continue;
        if (count && (count >= max_count || body.len + message_size(topic, message) > MAX_BYTES))
            break;
        message_write(&body, broker, topic, message);
        count++;
    }
    if (count)
        answer_pull(request, queue, 0, "FOUND", offset, &body);
    else
        answer_pull(request, queue, 20, "NO_MATCHED_MESSAGE", offset, NULL);
    rc_buf_release(&body);
}

/** At the end of the queue: now or later. */
static void answer_nothing(struct request *request, const struct queue *queue, const char *status,
                           int64_t next)
{
    int64_t ms = number(request, "suspendTimeoutMillis");

    if (number(request, "sysFlag") & PULL_SUSPEND && ms > 0 && !request->expired)
        park(request, ms);
    else
        answer_pull(request, queue, 19, status, next, NULL);
}

static void pull_from(struct request *request, const struct queue *queue,
                      const struct filter *filter)
{
    int64_t offset = number(request, "queueOffset"), max = shown_end(request, queue);

    if (max == 0 && offset == 0)
        answer_nothing(request, queue, "NO_MESSAGE_IN_QUEUE", 0);
    else if (max == 0)
        answer_pull(request, queue, 21, "NO_MESSAGE_IN_QUEUE", 0, NULL);
    else if (offset < queue->min)
        answer_pull(request, queue, 21, "OFFSET_TOO_SMALL", queue->min, NULL);
    else if (offset > max)
        answer_pull(request, queue, 21, "OFFSET_OVERFLOW_BADLY", max, NULL);
    else if (offset == max)
        answer_nothing(request, queue, "OFFSET_OVERFLOW_ONE", max);
    else
        answer_found(request, queue, offset, filter);
}

void pull_message(struct request *request)
{
    struct broker *broker = request->server->broker;
    struct filter filter = {0};
    struct queue *queue;

    if (!group_make(broker, field(request, "consumerGroup"))) {
        answer_text(request, 26, "subscription group [%s] does not exist",
                    field(request, "consumerGroup"));
        return;
    }
    queue = find_queue(request);
    if (!queue)
        return;
    if (!find_filter(request, &filter))
        return;
    if (number(request, "sysFlag") & PULL_COMMIT && request->server->role == MASTER &&
        !request->expired)
        committed_set(broker, field(request, "consumerGroup"), field(request, "topic"),
                      (int)number(request, "queueId"), number(request, "commitOffset"));
    pull_from(request, queue, &filter);
    filter_free(&filter);
}

/** Would a message from `offset` on be let through? Held pulls are not bothered by others. */
static bool anything_new(struct request *request)
{
    struct topic *topic = topic_find(request->server->broker, field(request, "topic"));
    struct queue *queue = &topic->at[number(request, "queueId")];
    int64_t offset = number(request, "queueOffset");
    struct filter filter = {0};
    bool found = offset < queue->min || offset > shown_end(request, queue);

    if (number(request, "sysFlag") & PULL_SUBSCRIPTION) {
        filter = filter_of_text(field(request, "subscription"));
    } else {
        filter =
            filter_of_subscription(subscription_find(request->mq, request->server,
                                                     field(request, "consumerGroup"), topic->name));
    }
    for (; !found && offset < shown_end(request, queue); offset++)
        found = passes(&filter, queue->at[offset - queue->min]);
    filter_free(&filter);
    return found;
}

void wake_pulls(fakemq *mq, struct broker *broker, const char *topic, int queue)
{
    struct request *next;

    for (struct request *at = mq->live; at; at = next) {
        next = at->next;
        if (at->state == PARKED && at->server->broker == broker && number(at, "queueId") == queue &&
            !strcmp(field(at, "topic"), topic) && anything_new(at)) {
            at->state = RUNNING;
            pull_message(at);
        }
    }
}
