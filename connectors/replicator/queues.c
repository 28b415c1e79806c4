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

/* ---- looking --------------------------------------------------------------------------------- */

void replicator_lists_free(replicator_lists *lists)
{
    for (size_t i = 0; i < lists->count; i++)
        rmq_queue_list_free(lists->items[i]);
    lists->count = 0;
}

int replicator_ask(rmq_client *client, const replicator_topics *topics, replicator_lists *ret,
                   omc_error *err)
{
    size_t total = 0;
    int r = 0;

    ret->count = 0;
    for (size_t i = 0; r == 0 && i < topics->count; i++) {
        r = rmq_topic_queues(client, topics->items[i].name, RMQ_FOR_READING, &ret->items[i], err);
        if (r < 0)
            break;
        ret->count++;
        total += ret->items[i]->count;
        if (total > QUEUES_MAX)
            r = omc_fail(err, OMC_EINVAL, OMC_ERR_FATAL,
                         "the topics of 'src.topictags' have more than %d queues; use several "
                         "connectors",
                         QUEUES_MAX);
    }
    if (r == 0 && total == 0)
        r = omc_fail(err, OMC_ENOTFOUND, OMC_ERR_RETRIABLE,
                     "the topics of 'src.topictags' have no readable queue now: are the source's "
                     "brokers up?");
    if (r < 0)
        replicator_lists_free(ret);
    return r;
}

static int by_place(const void *a, const void *b)
{
    const replicator_seen *x = a, *y = b;
    int order = x->topic != y->topic ? (x->topic > y->topic) - (x->topic < y->topic)
                                     : strcmp(x->broker, y->broker);

    return order ? order : (x->id > y->id) - (x->id < y->id);
}

static bool has_broker(const rmq_queue_list *list, const char *broker)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->queues[i].broker, broker) == 0)
            return true;
    return false;
}

/* Those that are gone for good: their broker is there without them. @return whether one of them is
 * read by a task. */
static bool forget_gone(replicator_view *view, const replicator_lists *lists)
{
    size_t kept = 0;
    bool dealt = false;

    for (size_t i = 0; i < view->count; i++) {
        replicator_seen *seen = &view->items[i];

        if (seen->present || !has_broker(lists->items[seen->topic], seen->broker)) {
            view->items[kept++] = *seen;
            continue;
        }
        dealt = dealt || seen->dealt;
        free(seen->broker);
    }
    view->count = kept;
    return dealt;
}

static void add_seen(replicator_view *view, size_t topic, const rmq_queue *queue)
{
    replicator_seen *seen;

    if (view->count == view->cap) {
        view->cap = view->cap ? 2 * view->cap : 64;
        view->items = realloc(view->items, view->cap * sizeof *view->items);
        if (!view->items)
            abort();
    }
    seen = &view->items[view->count++];
    *seen = (replicator_seen){.topic = topic, .broker = strdup(queue->broker), .id = queue->id};
    if (!seen->broker)
        abort();
    seen->present = true;
}

bool replicator_view_take(replicator_view *view, const replicator_lists *lists)
{
    const size_t before = view->count;
    bool changed = false;

    for (size_t i = 0; i < before; i++)
        view->items[i].present = false;
    for (size_t t = 0; t < lists->count; t++)
        for (size_t q = 0; q < lists->items[t]->count; q++) {
            const rmq_queue *queue = &lists->items[t]->queues[q];
            replicator_seen key = {.topic = t,
                                   .broker = (char *)(uintptr_t)queue->broker,
                                   .id = queue->id};
            replicator_seen *seen =
                before ? bsearch(&key, view->items, before, sizeof key, by_place) : NULL;

            if (seen)
                seen->present = true;
            else
                add_seen(view, t, queue);
            changed = changed || !seen || !seen->dealt;
        }
    changed = forget_gone(view, lists) || changed;
    if (view->count)
        qsort(view->items, view->count, sizeof *view->items, by_place);
    return changed;
}

void replicator_view_free(replicator_view *view)
{
    for (size_t i = 0; i < view->count; i++)
        free(view->items[i].broker);
    free(view->items);
    memset(view, 0, sizeof *view);
}

/* ---- dividing -------------------------------------------------------------------------------- */

typedef struct share {
    char *text; /* topic/broker/id/index;... */
    size_t len, cap;
} share;

static void share_add(share *to, const char *topic, const replicator_seen *queue, size_t index)
{
    size_t need = strlen(topic) + strlen(queue->broker) + 64;

    if (to->len + need > to->cap) {
        to->cap = 2 * (to->cap + need);
        to->text = realloc(to->text, to->cap);
        if (!to->text)
            abort();
    }
    to->len += (size_t)snprintf(to->text + to->len, to->cap - to->len, "%s%s/%s/%d/%zu",
                                to->len ? ";" : "", topic, queue->broker, queue->id, index);
}

/* A queue keeps its place among all that were seen, also while those before it are away. */
static void share_out(replicator_view *view, const replicator_topics *topics, share *shares,
                      int count)
{
    size_t total = 0, index = 0;

    for (size_t i = 0; i < view->count; i++) {
        replicator_seen *seen = &view->items[i];

        index = i && view->items[i - 1].topic == seen->topic ? index + 1 : 0;
        seen->dealt = seen->present;
        if (seen->present)
            share_add(&shares[total++ % (size_t)count], topics->items[seen->topic].name, seen,
                      index);
    }
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

int replicator_divide(replicator_view *view, const replicator_topics *topics, int max_tasks,
                      bool own_converter, omc_task_configs *out, omc_error *err)
{
    share *shares = calloc((size_t)max_tasks, sizeof *shares);
    int r = 0;

    if (!shares)
        abort();
    share_out(view, topics, shares, max_tasks);
    for (int i = 0; r == 0 && i < max_tasks && shares[i].len; i++)
        r = add_share(&shares[i], own_converter, out, err);
    for (int i = 0; i < max_tasks; i++)
        free(shares[i].text);
    free(shares);
    return r;
}
