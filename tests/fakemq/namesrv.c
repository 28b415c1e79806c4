/* SPDX-License-Identifier: Apache-2.0 */
/** Routes (protocol §4): every name server knows what runs right now. */
#include "impl.h"

#include <string.h>

static bool has_server(fakemq *mq, const struct broker *broker)
{
    for (int k = 0; k < mq->server_count; k++) {
        if (mq->servers[k].broker == broker && !mq->servers[k].down)
            return true;
    }
    return false;
}

/** Also topics that their broker has deleted: only 216 ends those. */
static struct topic *in_route(const struct broker *broker, const char *name)
{
    struct topic *topic = broker->topics;

    while (topic && (topic->hidden || strcmp(topic->name, name) != 0))
        topic = topic->next;
    return topic;
}

static void write_broker(fakemq *mq, rc_buf *out, const struct broker *broker, bool quoted)
{
    const char *quote = quoted ? "\"" : "", *comma = "";

    rc_buf_str(out, "{\"brokerAddrs\":{");
    for (int k = 0; k < mq->server_count; k++) {
        const struct server *server = &mq->servers[k];

        if (server->broker != broker || server->down)
            continue;
        rc_buf_printf(out, "%s%s%d%s:\"127.0.0.1:%d\"", comma, quote, server->role == SLAVE, quote,
                      server->port);
        comma = ",";
    }
    rc_buf_printf(out,
                  "},\"brokerName\":\"%s\",\"cluster\":\"DefaultCluster\","
                  "\"enableActingMaster\":false}",
                  broker->name);
}

void route_topic(struct request *request)
{
    fakemq *mq = request->mq;
    const char *name = request_topic(request), *comma = "";
    rc_buf brokers = RC_BUF(MAX_FRAME), queues = RC_BUF(MAX_FRAME), body = RC_BUF(MAX_FRAME);
    bool quoted =
        !mq->config.old_routes && (request->header.version >= 401 ||
                                   !strcmp(field(request, "acceptStandardJsonOnly"), "true"));

    for (int k = 0; k < mq->broker_count; k++) {
        struct broker *broker = &mq->brokers[k];
        struct topic *topic = in_route(broker, name);

        if (!topic || !has_server(mq, broker))
            continue;
        rc_buf_str(&brokers, comma);
        write_broker(mq, &brokers, broker, quoted);
        rc_buf_printf(&queues,
                      "%s{\"brokerName\":\"%s\",\"perm\":%d,\"readQueueNums\":%d,"
                      "\"topicSysFlag\":0,\"writeQueueNums\":%d}",
                      comma, broker->name, topic->perm, topic->read, topic->write);
        comma = ",";
    }
    if (!*comma) {
        answer_text(request, 17,
                    "No topic route info in name server for the topic: %s\nSee "
                    "https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.",
                    name);
    } else {
        rc_buf_printf(&body, "{\"brokerDatas\":[%s],\"filterServerTable\":{},\"queueDatas\":[%s]",
                      brokers.data, queues.data);
        mapping_write(mq, &body, name);
        rc_buf_str(&body, "}");
        answer_json(request, &body);
    }
    rc_buf_release(&brokers);
    rc_buf_release(&queues);
}

/** Number keys stand without quotes here, whatever the version (seen). */
void route_cluster(struct request *request)
{
    fakemq *mq = request->mq;
    rc_buf body = RC_BUF(MAX_FRAME), names = RC_BUF(MAX_FRAME);
    const char *comma = "";

    rc_buf_str(&body, "{\"brokerAddrTable\":{");
    for (int k = 0; k < mq->broker_count; k++) {
        const struct broker *broker = &mq->brokers[k];

        if (!has_server(mq, broker))
            continue;
        rc_buf_printf(&body, "%s\"%s\":", comma, broker->name);
        write_broker(mq, &body, broker, false);
        rc_buf_printf(&names, "%s\"%s\"", comma, broker->name);
        comma = ",";
    }
    rc_buf_printf(&body, "},\"clusterAddrTable\":{\"DefaultCluster\":[%s]}}",
                  names.data ? names.data : "");
    rc_buf_release(&names);
    answer_json(request, &body);
}

static void list_topics(struct request *request, bool with_brokers)
{
    fakemq *mq = request->mq;
    json_t *names = json_object(), *list = json_array(), *root = json_object();
    const char *name;
    json_t *ignored;
    char *text;

    for (int k = 0; k < mq->broker_count; k++) {
        if (!has_server(mq, &mq->brokers[k]))
            continue;
        if (with_brokers)
            json_object_set_new(names, mq->brokers[k].name, json_null());
        for (struct topic *topic = mq->brokers[k].topics; topic; topic = topic->next) {
            if (!topic->hidden)
                json_object_set_new(names, topic->name, json_null());
        }
    }
    json_object_foreach(names, name, ignored) json_array_append_new(list, json_string(name));
    json_object_set_new(root, "topicList", list);
    text = json_dumps(root, JSON_COMPACT);
    answer(request, 0, NULL, NULL, text, strlen(text));
    free(text);
    json_decref(root);
    json_decref(names);
}

void route_topics(struct request *request)
{
    list_topics(request, false);
}

void route_topics_of_cluster(struct request *request)
{
    if (!strcmp(field(request, "cluster"), "DefaultCluster"))
        list_topics(request, true);
    else
        answer(request, 0, NULL, NULL, "{\"topicList\":[]}", 16);
}

/** Until the topic is made again; a real one comes back when its broker registers. */
void route_delete(struct request *request)
{
    fakemq *mq = request->mq;

    for (int k = 0; k < mq->broker_count; k++) {
        struct topic *topic = in_route(&mq->brokers[k], request_topic(request));

        if (topic)
            topic->hidden = true;
    }
    answer(request, 0, NULL, NULL, NULL, 0);
}
