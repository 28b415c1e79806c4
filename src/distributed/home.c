/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the ownership log is: a topic of one queue on one broker, found by its name. The newest
 * epoch counts. When there is none, it is made on the writable master whose name comes first, so
 * that workers that start at the same time make the same one.
 */
#include "distributed/impl.h"

#include <rocketmq/admin.h>

#include <stdlib.h>

#define MARK "-own-"

char *rc_home_topic(const char *cluster, int64_t epoch)
{
    return rc_format("%s" MARK "%lld", cluster, (long long)epoch);
}

/* Newest epoch among the topics of the cluster; 0 = none. */
static int newest(const rc_cluster_config *config, int64_t *ret, rc_error *err)
{
    RC_AUTO_FREE char *prefix = rc_format("%s" MARK, config->cluster);
    rmq_name_list *list = NULL;
    int r = rmq_topic_list(config->client, &list, err);

    *ret = 0;
    if (r < 0)
        return r;
    for (size_t i = 0; i < list->count; i++) {
        const char *at = strstr(list->names[i], prefix); /* A namespace stands before it. */
        char *end;
        long long epoch;

        if (!at || (at != list->names[i] && at[-1] != '%'))
            continue;
        epoch = strtoll(at + strlen(prefix), &end, 10);
        if (*end == '\0' && epoch > *ret && epoch <= RC_OWN_EPOCH_MAX)
            *ret = epoch;
    }
    rmq_free(list);
    return 0;
}

static int only_broker(const rc_cluster_config *config, const char *topic, char **ret,
                       rc_error *err)
{
    rmq_queue_list *list = NULL;
    int r = rmq_topic_queues(config->client, topic, RMQ_FOR_READING, &list, err);

    if (r < 0)
        return r;
    if (list->count == 0)
        r = rc_fail_retriable(err, OMC_ECONNECT,
                              "the ownership log '%s' is on no broker that is there now; start the "
                              "broker that has it",
                              topic);
    else if (list->count > 1)
        r = rc_fail(err, OMC_ESTATE,
                    "the ownership log '%s' has %zu queues (%s queue %d and %s queue %d, ...), and "
                    "must have one on one broker, else two workers may think that a task is "
                    "theirs; stop all workers, delete the topic on the broker where it is empty, "
                    "and start them again",
                    topic, list->count, list->queues[0].broker, list->queues[0].id,
                    list->queues[1].broker, list->queues[1].id);
    else
        *ret = rc_strdup(list->queues[0].broker);
    rmq_queue_list_free(list);
    return r;
}

/* Name of the first master. */
static int first_master(const rc_cluster_config *config, char **ret, rc_error *err)
{
    rmq_cluster_info *info = NULL;
    int r = rmq_cluster_info_get(config->client, &info, err);

    if (r < 0)
        return r;
    for (size_t i = 0; i < info->count && !*ret; i++)
        if (info->brokers[i].id == 0)
            *ret = rc_strdup(info->brokers[i].name);
    rmq_free(info);
    if (!*ret)
        return rc_fail_retriable(err, OMC_ECONNECT,
                                 "no broker is registered that the ownership log of cluster '%s' "
                                 "could be made on",
                                 config->cluster);
    return 0;
}

static int make(const rc_cluster_config *config, rc_error *err)
{
    RC_AUTO_FREE char *topic = rc_home_topic(config->cluster, 1);
    RC_AUTO_FREE char *broker = NULL;
    rmq_topic_spec spec = {.topic = topic, .read_queues = 1, .write_queues = 1};
    int r;

    if (!config->create_topics)
        return rc_fail(err, OMC_ENOTFOUND,
                       "there is no ownership log '%s', and autoCreateTopicEnable=false: make that "
                       "topic with 1 queue on one broker with SYNC_FLUSH, e.g. mqadmin updateTopic "
                       "-b BROKER:10911 -t %s -r 1 -w 1",
                       topic, topic);
    r = first_master(config, &broker, err);
    if (r < 0)
        return r;
    spec.broker = broker;
    r = rmq_topic_create(config->client, &spec, err);
    if (r == 0)
        rc_info(RC_CLUSTER_COMPONENT, "made the ownership log '%s' on broker '%s'", topic, broker);
    return r;
}

/* Who owns what must survive the broker's crash: say so when it may not. */
static void look_at_flush(const rc_cluster_config *config, const char *broker)
{
    rmq_text_table *table = NULL;
    rc_error err = {0};
    const char *flush = "", *role = "";

    if (rmq_broker_config_get(config->client, broker, &table, &err) < 0)
        return;
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->pairs[i].name, "flushDiskType") == 0)
            flush = table->pairs[i].value;
        if (strcmp(table->pairs[i].name, "brokerRole") == 0)
            role = table->pairs[i].value;
    }
    if (strcmp(flush, "ASYNC_FLUSH") == 0 && strcmp(role, "SYNC_MASTER") != 0)
        rc_warn(
            RC_CLUSTER_COMPONENT,
            "broker '%s', home of the ownership log, has flushDiskType=ASYNC_FLUSH: a power "
            "failure there (not a crash) may lose who owns what, and a task may then run "
            "twice for a moment; set flushDiskType=SYNC_FLUSH, or brokerRole=SYNC_MASTER with a "
            "slave",
            broker);
    rmq_free(table);
}

int rc_home_find(const rc_cluster_config *config, int64_t *ret_epoch, char **ret_broker,
                 rc_error *err)
{
    RC_AUTO_FREE char *topic = NULL;
    int r = newest(config, ret_epoch, err);

    if (r == 0 && *ret_epoch == 0) {
        r = make(config, err);
        *ret_epoch = 1;
    }
    if (r < 0)
        return r;
    topic = rc_home_topic(config->cluster, *ret_epoch);
    r = only_broker(config, topic, ret_broker, err);
    if (r == 0)
        look_at_flush(config, *ret_broker);
    return r;
}
