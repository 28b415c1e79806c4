/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topics: a handle is the list of queues as it was when it was asked for. Handles are never freed
 * before the log is, so tasks may keep them; an unchanged list gives the same handle again.
 */
#include "log/rocketmq/internal.h"

static rc_rocketmq *log_of(const rc_topic *topic)
{
    return rc_rocketmq_of(topic->head.log);
}

const char *rc_rmq_topic_name(const rc_topic *topic)
{
    return topic->name;
}

int32_t rc_rmq_topic_queues(const rc_topic *topic)
{
    return topic->count;
}

int32_t rc_rmq_topic_writable(const rc_topic *topic)
{
    return topic->writable;
}

const char *rc_rmq_topic_broker(const rc_topic *topic, int32_t queue)
{
    RC_ASSERT(queue >= 0 && queue < topic->count);
    return topic->queues[queue].broker;
}

int32_t rc_rmq_topic_queue_id(const rc_topic *topic, int32_t queue)
{
    RC_ASSERT(queue >= 0 && queue < topic->count);
    return topic->queues[queue].id;
}

static bool same_queue(const rmq_queue *a, const rmq_queue *b)
{
    return a->id == b->id && strcmp(a->broker, b->broker) == 0;
}

static bool contains(const rmq_queue_list *list, const rmq_queue *queue)
{
    for (size_t i = 0; i < list->count; i++)
        if (same_queue(&list->queues[i], queue))
            return true;
    return false;
}

static void topic_free(rc_topic *topic)
{
    if (!topic)
        return;
    free(topic->name);
    free(topic->queues);
    rmq_queue_list_free(topic->lists[0]);
    rmq_queue_list_free(topic->lists[1]);
    free(topic);
}

/* Writable queues first, then those that may only be read. */
static rc_topic *topic_new(rc_rocketmq *log, const char *name, rmq_queue_list *writable,
                           rmq_queue_list *readable)
{
    rc_topic *topic = rc_calloc(1, sizeof *topic);

    topic->head.log = &log->pub;
    topic->name = rc_strdup(name);
    topic->lists[0] = writable;
    topic->lists[1] = readable;
    topic->queues = rc_calloc(writable->count + readable->count + 1, sizeof *topic->queues);
    for (size_t i = 0; i < writable->count; i++)
        topic->queues[topic->count++] = writable->queues[i];
    topic->writable = topic->count;
    for (size_t i = 0; i < readable->count; i++)
        if (!contains(writable, &readable->queues[i]))
            topic->queues[topic->count++] = readable->queues[i];
    for (int32_t i = 0; i < topic->count; i++)
        topic->queues[i].topic = topic->name;
    return topic;
}

static int ask(rc_rocketmq *log, const char *name, rc_topic **ret, rc_error *err)
{
    rmq_queue_list *writable = NULL, *readable = NULL;
    int r = rmq_client_queues(log->client, name, &writable, &readable, err);

    if (r < 0)
        return r;
    *ret = topic_new(log, name, writable, readable);
    return 0;
}

static bool same_list(const rc_topic *a, const rc_topic *b)
{
    if (a->count != b->count || a->writable != b->writable)
        return false;
    for (int32_t i = 0; i < a->count; i++)
        if (!same_queue(&a->queues[i], &b->queues[i]))
            return false;
    return true;
}

/* Whether `now` lacks queues only because their brokers are away. Its list is not shortened by
 * that, because keys would go to other queues; sends wait for the broker. A broker that is there
 * with fewer queues has fewer. */
static bool brokers_are_away(const rc_topic *known, const rc_topic *now)
{
    bool away = false;

    for (int32_t i = 0; i < known->count; i++) {
        bool queue = false, broker = false;

        for (int32_t k = 0; k < now->count; k++) {
            queue = queue || same_queue(&known->queues[i], &now->queues[k]);
            broker = broker || strcmp(known->queues[i].broker, now->queues[k].broker) == 0;
        }
        if (!queue && broker)
            return false;
        away = away || !queue;
    }
    return away;
}

/* The newest handle of the name, which may be the new one. */
static rc_topic *remember(rc_rocketmq *log, rc_topic *topic)
{
    rc_topic *known;

    (void)pthread_mutex_lock(&log->mu);
    HASH_FIND_STR(log->topics, topic->name, known);
    if (known && (same_list(known, topic) || brokers_are_away(known, topic))) {
        topic_free(topic);
        topic = known;
    } else {
        if (known)
            HASH_DEL(log->topics, known); /* NOLINT(clang-analyzer-unix.Malloc) */
        topic->older = known;
        HASH_ADD_KEYPTR(hh, log->topics, topic->name, strlen(topic->name), topic);
    }
    (void)pthread_mutex_unlock(&log->mu);
    return topic;
}

int rc_rmq_topic(rc_log *pub, const char *name, int32_t queues, rc_topic **ret, rc_error *err)
{
    rc_rocketmq *log = rc_rocketmq_of(pub);
    const rmq_topic_spec spec = {.topic = name, .read_queues = queues, .write_queues = queues};
    rc_topic *topic = NULL;
    int r = ask(log, name, &topic, err);

    if (r == -OMC_ENOTFOUND && queues > 0) {
        r = rmq_topic_create(log->client, &spec, err);
        if (r < 0)
            return rc_wrap(err, r, "create topic '%s' with %d queues", name, queues);
        r = ask(log, name, &topic, err);
    }
    if (r < 0)
        return r;
    if (topic->count == 0) {
        topic_free(topic);
        return rc_fail_retriable(err, OMC_ENOTFOUND,
                                 "topic '%s' has no queue that may be read or written: no broker "
                                 "that has it is up, or its permission is 0",
                                 name);
    }
    *ret = remember(log, topic);
    return 0;
}

static bool is_system(const char *name)
{
    static const char *const prefixes[] = {"%RETRY%", "%DLQ%", "rmq_sys_", "RMQ_SYS_", "%SYS%"};
    static const char *const names[] = {"TBW102",
                                        "SELF_TEST_TOPIC",
                                        "SCHEDULE_TOPIC_XXXX",
                                        "OFFSET_MOVED_EVENT",
                                        "BenchmarkTest",
                                        "DefaultHeartBeatSyncerTopic"};

    for (size_t i = 0; i < RC_COUNT(prefixes); i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    for (size_t i = 0; i < RC_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

int rc_rmq_topics(rc_log *pub, rc_topic_fn *each, void *arg, rc_error *err)
{
    rc_rocketmq *log = rc_rocketmq_of(pub);
    rmq_name_list *list = NULL;
    int r = rmq_topic_list(log->client, &list, err);

    for (size_t i = 0; r == 0 && i < list->count; i++) {
        rc_topic *topic = NULL;
        rc_error why = {0};

        if (is_system(list->names[i]))
            continue;
        /* One that goes away meanwhile, or that has no queue now, is left out. */
        r = rc_rmq_topic(pub, list->names[i], 0, &topic, &why);
        if (r == 0)
            r = each(arg, topic);
        else if (r == -OMC_ENOTFOUND)
            r = 0;
        else if (err)
            *err = why;
    }
    rmq_free(list);
    return r < 0 ? r : 0;
}

int rc_rmq_bounds(rc_log *pub, rc_topic *topic, int32_t queue, int64_t *ret_min, int64_t *ret_max,
                  rc_error *err)
{
    rc_rocketmq *log = rc_rocketmq_of(pub);
    int r;

    RC_ASSERT(queue >= 0 && queue < topic->count);
    r = rmq_offset_min(log->client, &topic->queues[queue], ret_min, err);
    return r < 0 ? r : rmq_offset_max(log->client, &topic->queues[queue], ret_max, err);
}

int rc_rmq_search(rc_log *pub, rc_topic *topic, int32_t queue, int64_t wall_ms, int64_t *ret,
                  rc_error *err)
{
    RC_ASSERT(queue >= 0 && queue < topic->count && log_of(topic) == rc_rocketmq_of(pub));
    return rmq_offset_by_time(rc_rocketmq_of(pub)->client, &topic->queues[queue], wall_ms, ret,
                              err);
}

void rc_rmq_topics_free(rc_rocketmq *log)
{
    rc_topic *topic, *next;

    HASH_ITER(hh, log->topics, topic, next)
    {
        HASH_DEL(log->topics, topic); /* NOLINT(clang-analyzer-unix.Malloc) */
        while (topic) {
            rc_topic *older = topic->older;

            topic_free(topic);
            topic = older;
        }
    }
}
