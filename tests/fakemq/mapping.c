/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Static topics (protocol §19): a broker serves the queues that the mapping gives it under their
 * global numbers, with their offsets moved, and refuses the others with 501. What was stored before
 * a queue moved is not served by its new broker, which goes past it as past a gap.
 */
#include "impl.h"

#include <string.h>

struct mapping *mapping_find(fakemq *mq, const char *topic)
{
    struct mapping *mapping = mq->mappings;

    while (mapping && strcmp(mapping->topic, topic) != 0)
        mapping = mapping->next;
    return mapping;
}

void mappings_free(fakemq *mq)
{
    while (mq->mappings) {
        struct mapping *next = mq->mappings->next;

        free(mq->mappings->topic);
        free(mq->mappings);
        mq->mappings = next;
    }
}

/** ,"topicQueueMappingByBroker":{...} of a route; nothing for other topics. */
void mapping_write(fakemq *mq, rc_buf *out, const char *topic)
{
    const struct mapping *mapping = mapping_find(mq, topic);
    const char *comma = "";

    if (!mapping)
        return;
    rc_buf_str(out, ",\"topicQueueMappingByBroker\":{");
    for (int k = 0; k < mq->broker_count; k++) {
        const char *name = mq->brokers[k].name, *inner = "";

        rc_buf_printf(out, "%s\"%s\":{\"bname\":\"%s\",\"currIdMap\":{", comma, name, name);
        for (int id = 0; id < mapping->total; id++)
            if (mapping->at[id].broker == &mq->brokers[k]) {
                rc_buf_printf(out, "%s\"%d\":%d", inner, id, mapping->at[id].local);
                inner = ",";
            }
        rc_buf_printf(out,
                      "},\"dirty\":false,\"epoch\":%lld,\"scope\":\"__global__\",\"topic\":\"%s\","
                      "\"totalQueues\":%d}",
                      (long long)mapping->epoch, topic, mapping->total);
        comma = ",";
    }
    rc_buf_str(out, "}");
}

static void set_field(struct request *request, const char *name, int64_t value)
{
    struct fields *fields = &request->header.fields;

    for (size_t k = 0; k < fields->count; k++)
        if (!strcmp(fields->at[k].name, name)) {
            free(fields->at[k].value);
            fields->at[k].value = rc_format("%lld", (long long)value);
        }
}

static void not_leader(struct request *request, int id)
{
    answer_text(request, 501, "%s-%d is not leader in broker %s, request code %d",
                request_topic(request), id, request->server->broker->name, request->header.code);
}

/** What was stored before the queue came here: the pull goes on behind it. */
static bool gap(struct request *request, const struct mapped *to)
{
    struct topic *topic = topic_find(request->server->broker, request_topic(request));
    int64_t first = topic ? topic->at[to->local].min + to->delta : 0;
    struct fields fields = {0};

    if (request->header.code != 11 || number(request, "queueOffset") >= first)
        return false;
    fields_add(&fields, "suggestWhichBrokerId", "0");
    fields_add(&fields, "nextBeginOffset", "%lld", (long long)first);
    fields_add(&fields, "minOffset", "%lld", (long long)first);
    fields_add(&fields, "maxOffset", "%lld", (long long)first);
    answer(request, 20, NULL, &fields, NULL, 0);
    return true;
}

bool mapping_apply(struct request *request)
{
    const char *name = request->header.code == 310 || request->header.code == 320 ? "e" : "queueId";
    struct mapping *mapping = request->server->broker && *field(request, name)
                                  ? mapping_find(request->mq, request_topic(request))
                                  : NULL;
    int64_t id = mapping ? number(request, name) : 0;
    const struct mapped *to;

    if (!mapping || id < 0 || id >= mapping->total)
        return true;
    to = &mapping->at[id];
    if (to->broker != request->server->broker) {
        not_leader(request, (int)id);
        return false;
    }
    if (request->header.code == 14 || request->header.code == 15)
        return true; /* offsets of groups are kept as they are */
    if (gap(request, to))
        return false;
    request->mapped = true;
    request->global = (int)id;
    request->delta = to->delta;
    set_field(request, name, to->local);
    set_field(request, "queueOffset", number(request, "queueOffset") - to->delta);
    return true;
}

/** An answer as the client knows queue and offsets. */
void mapping_answer(const struct request *request, struct fields *fields)
{
    static const char *const moved[] = {"nextBeginOffset", "minOffset", "maxOffset", "offset",
                                        "queueOffset"};

    if (!request->mapped)
        return;
    for (size_t k = 0; k < fields->count; k++) {
        struct field *at = &fields->at[k];
        bool offset = false;

        for (size_t i = 0; i < RC_COUNT(moved); i++)
            offset = offset || !strcmp(at->name, moved[i]);
        if (offset || !strcmp(at->name, "queueId")) {
            int64_t value =
                offset ? strtoll(at->value, NULL, 10) + request->delta : (int64_t)request->global;

            free(at->value);
            at->value = rc_format("%lld", (long long)value);
        }
    }
    if (request->header.code == 11)
        fields_add(fields, "offsetDelta", "%lld", (long long)request->delta);
}

/** Held pulls of a queue that has moved away. */
static void wake_moved(fakemq *mq, const struct mapping *mapping, int id)
{
    struct request *next;

    for (struct request *at = mq->live; at; at = next) {
        next = at->next;
        if (at->state == PARKED && at->mapped && at->global == id &&
            !strcmp(request_topic(at), mapping->topic) &&
            at->server->broker != mapping->at[id].broker) {
            at->state = RUNNING;
            not_leader(at, id);
        }
    }
}

void mapping_place(fakemq *mq, const char *topic, int total, int id, struct broker *broker,
                   int local, int64_t delta)
{
    struct mapping *mapping = mapping_find(mq, topic);

    if (!mapping) {
        mapping = rc_calloc(1, sizeof *mapping);
        mapping->topic = rc_strdup(topic);
        mapping->next = mq->mappings;
        mq->mappings = mapping;
    }
    RC_ASSERT(total <= (int)RC_COUNT(mapping->at) && id < total);
    mapping->total = total;
    mapping->epoch++;
    mapping->at[id] = (struct mapped){broker, local, delta};
    wake_moved(mq, mapping, id);
}
