/* SPDX-License-Identifier: Apache-2.0 */
/** Offsets of groups and ends of queues (protocol §9). */
#include "impl.h"

#include <string.h>

static void answer_offset(struct request *request, int64_t offset)
{
    struct fields fields = {0};

    fields_add(&fields, "offset", "%lld", (long long)offset);
    answer(request, 0, NULL, &fields, NULL, 0);
}

/** NULL when there is none: brokers answer 0 then. */
static struct queue *find_queue(struct request *request)
{
    struct topic *topic = topic_find(request->server->broker, field(request, "topic"));
    int64_t queue = number(request, "queueId");

    return topic && queue >= 0 && queue < topic->made ? &topic->at[queue] : NULL;
}

void offset_query(struct request *request)
{
    const char *group = field(request, "consumerGroup"), *topic = field(request, "topic");
    struct committed *at =
        committed_find(request->server->broker, group, topic, (int)number(request, "queueId"));
    struct queue *queue = find_queue(request);

    if (at)
        answer_offset(request, at->offset);
    else if (!strcmp(field(request, "setZeroIfNotFound"), "false"))
        answer_text(request, 22, "Not found, do not set to zero, maybe this group boot first");
    else if (queue && !queue->min && queue->count)
        answer_offset(request, 0);
    else
        answer_text(request, 22, "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first");
}

void offset_update(struct request *request)
{
    struct broker *broker = request->server->broker;
    const char *group = field(request, "consumerGroup"), *topic = field(request, "topic");

    if (!topic_find(broker, topic)) {
        answer_text(request, 17, "Topic %s not exist!", topic);
    } else if (!group_find(broker, group)) {
        answer_text(request, 26, "Group %s not exist!", group);
    } else {
        committed_set(broker, group, topic, (int)number(request, "queueId"),
                      number(request, "commitOffset"));
        answer(request, 0, NULL, NULL, NULL, 0);
    }
}

void offset_max(struct request *request)
{
    struct queue *queue = find_queue(request);

    const char *committed = field(request, "committed");
    bool all = strcmp(committed, "false") == 0;

    answer_offset(request, !queue ? 0 : all ? queue_end(queue) : queue_max(queue));
}

void offset_min(struct request *request)
{
    struct queue *queue = find_queue(request);

    answer_offset(request, queue ? queue->min : 0);
}

/** LOWER: the first stored at that time or later. UPPER: the last stored at it or before. */
void offset_search(struct request *request)
{
    struct queue *queue = find_queue(request);
    int64_t time = number(request, "timestamp"), offset = queue ? queue->min : 0;
    bool upper = !strcmp(field(request, "boundaryType"), "UPPER");

    while (queue && offset < queue_max(queue) &&
           queue->at[offset - queue->min]->stored_ms < time + upper)
        offset++;
    if (queue && upper && offset > queue->min)
        offset--;
    answer_offset(request, offset);
}

void offset_earliest(struct request *request)
{
    struct queue *queue = find_queue(request);
    struct fields fields = {0};

    fields_add(&fields, "timestamp", "%lld",
               queue && queue->count ? (long long)queue->at[0]->stored_ms : -1LL);
    answer(request, 0, NULL, &fields, NULL, 0);
}
