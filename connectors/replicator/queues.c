/* SPDX-License-Identifier: Apache-2.0 */
/* Which queues there are at the source, and how they are divided among tasks. */
#include "replicator.h"

#include <stdio.h>
#include <stdlib.h>

/** Of all topics together. */
#define QUEUES_MAX 100000

int replicator_topics_parse(const char *text, replicator_topics *ret, omc_error *err)
{
    char *at;

    memset(ret, 0, sizeof *ret);
    ret->text = strdup(text);
    for (at = ret->text; at && *at;) {
        char *end = strchr(at, ';');
        char *comma;

        if (end)
            *end = '\0';
        at += strspn(at, " \t");
        comma = strchr(at, ',');
        if (comma)
            *comma++ = '\0';
        for (char *tail = at + strlen(at); tail > at && (tail[-1] == ' ' || tail[-1] == '\t');)
            *--tail = '\0';
        if (*at && ret->count == REPLICATOR_TOPICS_MAX)
            return omc_fail(err, OMC_EINVAL, OMC_ERR_FATAL,
                            "key 'src.topictags': more than %d topics; use several connectors",
                            REPLICATOR_TOPICS_MAX);
        if (strncmp(at, "%RETRY%", 7) == 0 || strncmp(at, "%DLQ%", 5) == 0)
            return omc_fail(err, OMC_EINVAL, OMC_ERR_FATAL,
                            "key 'src.topictags': '%s' is a retry or dead-letter topic, which "
                            "belongs to its group and cannot be copied as a topic",
                            at);
        if (*at)
            ret->items[ret->count++] =
                (replicator_topic){at, comma && *comma ? comma + strspn(comma, " \t") : "*"};
        at = end ? end + 1 : NULL;
    }
    if (ret->count == 0)
        return omc_fail(err, OMC_EINVAL, OMC_ERR_FATAL,
                        "key 'src.topictags' = '%s' names no topic; write topic1,tagA;topic2,*",
                        text);
    return 0;
}

void replicator_topics_free(replicator_topics *topics)
{
    free(topics->text);
    memset(topics, 0, sizeof *topics);
}

/* ---- dividing -------------------------------------------------------------------------------- */

typedef struct share {
    char *text; /* topic/broker/id/index;... */
    size_t len, cap;
} share;

static void share_add(share *to, const rmq_queue *queue, size_t index)
{
    size_t need = strlen(queue->topic) + strlen(queue->broker) + 64;

    if (to->len + need > to->cap) {
        to->cap = 2 * (to->cap + need);
        to->text = realloc(to->text, to->cap);
        if (!to->text)
            abort();
    }
    to->len += (size_t)snprintf(to->text + to->len, to->cap - to->len, "%s%s/%s/%d/%zu",
                                to->len ? ";" : "", queue->topic, queue->broker, queue->id, index);
}

static int share_out(const replicator_topics *topics, rmq_client *client, share *shares, int count,
                     size_t *ret_total, omc_error *err)
{
    size_t total = 0;
    int r = 0;

    for (size_t i = 0; r == 0 && i < topics->count; i++) {
        rmq_queue_list *list = NULL;

        r = rmq_topic_queues(client, topics->items[i].name, RMQ_FOR_READING, &list, err);
        for (size_t q = 0; r == 0 && q < list->count; q++)
            share_add(&shares[total++ % (size_t)count], &list->queues[q], q);
        if (r == 0)
            rmq_queue_list_free(list);
        if (r == 0 && total > QUEUES_MAX)
            r = omc_fail(err, OMC_EINVAL, OMC_ERR_FATAL,
                         "the topics of 'src.topictags' have more than %d queues; use several "
                         "connectors",
                         QUEUES_MAX);
    }
    *ret_total = total;
    return r;
}

static int add_share(const share *one, bool own_converter, omc_task_configs *out, omc_error *err)
{
    /* Bodies are bytes whatever the worker's default is; a converter the user named is his. */
    const omc_pair pairs[] = {
        {omc_slice_str("divided.normalqueues"), omc_slice_of(one->text, one->len)},
        {omc_slice_str("value.converter"),
         omc_slice_str("org.apache.rocketmq.connect.runtime.converter.record.ByteArrayConverter")},
    };
    const omc_keyvalue overrides = {own_converter ? 1 : 2, pairs};

    return out->add(out, &overrides, err);
}

int replicator_divide(rmq_client *client, const replicator_topics *topics, int max_tasks,
                      bool own_converter, omc_task_configs *out, omc_error *err)
{
    share *shares = calloc((size_t)max_tasks, sizeof *shares);
    size_t total = 0;
    int r;

    if (!shares)
        abort();
    r = share_out(topics, client, shares, max_tasks, &total, err);
    if (r == 0 && total == 0)
        r = omc_fail(err, OMC_ENOTFOUND, OMC_ERR_RETRIABLE,
                     "the topics of 'src.topictags' have no readable queue now: are the source's "
                     "brokers up?");
    for (int i = 0; r == 0 && i < max_tasks && shares[i].len; i++)
        r = add_share(&shares[i], own_converter, out, err);
    for (int i = 0; i < max_tasks; i++)
        free(shares[i].text);
    free(shares);
    return r;
}

int replicator_queues_hash(rmq_client *client, const replicator_topics *topics, uint64_t *ret,
                           omc_error *err)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    share all = {0};
    size_t total;
    int r = share_out(topics, client, &all, 1, &total, err);

    for (size_t i = 0; all.text && i < all.len; i++)
        hash = (hash ^ (unsigned char)all.text[i]) * UINT64_C(0x100000001b3);
    free(all.text);
    *ret = hash;
    return r;
}
