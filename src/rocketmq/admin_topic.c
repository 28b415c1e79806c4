/* SPDX-License-Identifier: Apache-2.0 */
/* Topics: made on brokers and seen in the route, deleted, listed; offsets of their queues. */
#include "rocketmq/admin_impl.h"

#include "base/clock.h"

#include <string.h>

#define QUEUES_MAX 65536
#define LOOK_AGAIN_MS 50

static const char *subject_of(const char *kind, const char *name, char out[300])
{
    (void)snprintf(out, 300, "%s '%s'", kind, name);
    return out;
}

/* ---- making ---------------------------------------------------------------------------------- */

static int check_spec(const rmq_topic_spec *spec, rc_error *err)
{
    if (spec->read_queues < 1 || spec->read_queues > QUEUES_MAX || spec->write_queues < 1 ||
        spec->write_queues > QUEUES_MAX)
        return rc_fail(err, OMC_EINVAL,
                       "topic '%s': it needs 1 to %d queues to read and to write, not %d and %d",
                       spec->topic, QUEUES_MAX, spec->read_queues, spec->write_queues);
    if (spec->perm < 0 || spec->perm > 7)
        return rc_fail(err, OMC_EINVAL,
                       "topic '%s': perm is 2 (write), 4 (read) or 6 (both), not %d", spec->topic,
                       spec->perm);
    return 0;
}

static int create_on(rmq_client *client, const rmq_topic_spec *spec, const char *wire,
                     const struct admin_broker *broker, rc_error *err)
{
    ADMIN_CALL call;
    char subject[300];

    admin_call_init(&call, client, RMQ_UPDATE_AND_CREATE_TOPIC, broker->name, broker->address);
    call.subject = subject_of("topic", spec->topic, subject);
    admin_text(&call, "topic", wire);
    admin_text(&call, "defaultTopic", "TBW102");
    admin_number(&call, "readQueueNums", spec->read_queues);
    admin_number(&call, "writeQueueNums", spec->write_queues);
    admin_number(&call, "perm", spec->perm ? spec->perm : 6);
    admin_text(&call, "topicFilterType", "SINGLE_TAG");
    admin_text(&call, "topicSysFlag", "0");
    admin_text(&call, "order", "false");
    if (spec->attributes && *spec->attributes)
        admin_text(&call, "attributes", spec->attributes);
    return admin_ask(&call, 0, err);
}

static const struct admin_broker *find(const admin_brokers *brokers, const char *name)
{
    for (size_t i = 0; i < brokers->count; i++)
        if (strcmp(brokers->at[i].name, name) == 0)
            return &brokers->at[i];
    return NULL;
}

/* The first of the brokers on which the route does not show the topic as wanted; NULL = none. */
static const char *missing(const admin_brokers *wanted, const admin_brokers *shown,
                           const rmq_topic_spec *spec)
{
    for (size_t i = 0; i < wanted->count; i++) {
        const struct admin_broker *b = find(shown, wanted->at[i].name);

        if (!b || b->read != spec->read_queues || b->write != spec->write_queues ||
            b->perm != (spec->perm ? spec->perm : 6))
            return wanted->at[i].name;
    }
    return NULL;
}

static void pause_ms(int64_t ms)
{
    rc_clock *clock = rc_clock_real();
    int64_t until = rc_mono_ns(clock) + ms * 1000000;
    pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t cond;

    rc_cond_init(&cond);
    pthread_mutex_lock(&mu);
    while (rc_mono_ns(clock) < until)
        (void)clock->wait(clock, &cond, &mu, until);
    pthread_mutex_unlock(&mu);
    pthread_cond_destroy(&cond);
    pthread_mutex_destroy(&mu);
}

/* Brokers tell the name server by themselves, a moment later. */
static int wait_for_route(rmq_client *client, const rmq_topic_spec *spec, const char *wire,
                          const admin_brokers *wanted, rc_error *err)
{
    int64_t patience_ms = rmq_client_settings(client)->request_timeout_ms;
    int64_t until = rc_mono_ms(rc_clock_real()) + patience_ms;
    const char *broker = wanted->at[0].name;

    for (;;) {
        admin_brokers *shown = NULL;
        rc_error why = {0};
        int r = admin_topic_brokers(client, wire, false, &shown, &why);

        if (r == 0) {
            broker = missing(wanted, shown, spec);
            admin_brokers_free(shown);
            if (!broker)
                return 0;
        }
        if (rc_mono_ms(rc_clock_real()) >= until)
            return rc_fail_retriable(
                err, OMC_ETIMEDOUT,
                "topic '%s' was made, but the name server does not show it on "
                "broker %s after %lld ms%s%s; is that broker registered there?",
                spec->topic, broker, (long long)patience_ms, why.code ? ": " : "", why.msg);
        pause_ms(LOOK_AGAIN_MS);
    }
}

int rmq_topic_create(rmq_client *client, const rmq_topic_spec *spec, rmq_error *err)
{
    RC_AUTO(admin_brokers) brokers = NULL;
    char wire[256];
    int r = admin_name(client, "topic", spec->topic, RMQ_TOPIC_MAX, wire, err);

    r = r < 0 ? r : check_spec(spec, err);
    r = r < 0 ? r : admin_masters(client, spec->cluster, spec->broker, &brokers, err);
    for (size_t i = 0; r == 0 && i < brokers->count; i++)
        r = create_on(client, spec, wire, &brokers->at[i], err);
    return r < 0 ? r : wait_for_route(client, spec, wire, brokers, err);
}

/* ---- deleting -------------------------------------------------------------------------------- */

static int delete_at(rmq_client *client, int code, const char *topic, const char *wire,
                     const char *broker, const char *address, rc_error *err)
{
    ADMIN_CALL call;
    char subject[300];
    int r;

    admin_call_init(&call, client, code, broker, address);
    call.subject = subject_of("topic", topic, subject);
    admin_text(&call, "topic", wire);
    r = admin_ask(&call, RMQ_R_TOPIC_NOT_EXIST, err);
    return r < 0 ? r : 0;
}

/* Name servers do not know each other: each is told. */
static int delete_from_name_servers(rmq_client *client, const char *topic, const char *wire,
                                    rc_error *err)
{
    RC_AUTO_FREE char *list = rc_strdup(rmq_client_settings(client)->namesrv);
    char *save = NULL;
    int r = 0;

    for (char *at = strtok_r(list, "; \t", &save); at && r == 0; at = strtok_r(NULL, "; \t", &save))
        r = delete_at(client, RMQ_DELETE_TOPIC_IN_NAMESRV, topic, wire, NULL, at, err);
    return r;
}

int rmq_topic_delete(rmq_client *client, const char *topic, rmq_error *err)
{
    RC_AUTO(admin_brokers) brokers = NULL;
    char wire[256];
    int r = admin_name(client, "topic", topic, 255, wire, err);

    r = r < 0 ? r : admin_masters(client, NULL, NULL, &brokers, err);
    for (size_t i = 0; r == 0 && i < brokers->count; i++)
        r = delete_at(client, RMQ_DELETE_TOPIC_IN_BROKER, topic, wire, brokers->at[i].name,
                      brokers->at[i].address, err);
    return r < 0 ? r : delete_from_name_servers(client, topic, wire, err);
}

/* ---- listing --------------------------------------------------------------------------------- */

int rmq_topic_list(rmq_client *client, rmq_name_list **ret, rmq_error *err)
{
    ADMIN_CALL call;
    ADMIN_JSON root = NULL;
    int r;

    admin_call_init(&call, client, RMQ_GET_ALL_TOPIC_LIST_FROM_NAMESERVER, NULL, NULL);
    r = admin_ask(&call, 0, err);
    r = r < 0 ? r : admin_json(&call, &root, err);
    if (r < 0)
        return r;
    r = admin_name_list(client, json_object_get(root, "topicList"), ret, err);
    return r < 0 ? rc_wrap(err, r, "GET_ALL_TOPIC_LIST_FROM_NAMESERVER") : 0;
}

static rmq_topic_stats *pack_stats(const admin_offsets *offsets)
{
    size_t texts = admin_offsets_sort(offsets);
    rmq_topic_stats *stats;
    admin_pack pack;
    void *items;

    stats =
        admin_pack_new(&pack, sizeof *stats, sizeof *stats->queues, offsets->count, texts, &items);
    stats->queues = items;
    for (size_t i = 0; i < offsets->count; i++) {
        const admin_offset *from = &offsets->at[i];
        rmq_queue_stat *to = &stats->queues[stats->count++];

        to->queue.topic = admin_pack_text(&pack, from->topic);
        to->queue.broker = admin_pack_text(&pack, from->broker);
        to->queue.id = from->id;
        to->min_offset = from->first;
        to->max_offset = from->second;
        to->last_ms = from->last_ms;
    }
    return stats;
}

int rmq_topic_stats_get(rmq_client *client, const char *topic, rmq_topic_stats **ret,
                        rmq_error *err)
{
    RC_AUTO(admin_brokers) brokers = NULL;
    admin_offsets offsets = {0};
    char subject[300];
    char wire[256];
    int r = admin_name(client, "topic", topic, 255, wire, err);

    r = r < 0 ? r : admin_topic_brokers(client, wire, false, &brokers, err);
    for (size_t i = 0; r == 0 && i < brokers->count; i++) {
        ADMIN_CALL call;

        admin_call_init(&call, client, RMQ_GET_TOPIC_STATS_INFO, brokers->at[i].name,
                        brokers->at[i].address);
        call.subject = subject_of("topic", topic, subject);
        admin_text(&call, "topic", wire);
        r = admin_ask(&call, 0, err);
        if (r == 0)
            r = admin_offsets_add(&call, "minOffset", "maxOffset", "lastUpdateTimestamp", &offsets,
                                  err);
    }
    if (r == 0)
        *ret = pack_stats(&offsets);
    admin_offsets_release(&offsets);
    return r;
}
