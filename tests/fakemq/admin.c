/* SPDX-License-Identifier: Apache-2.0 */
/** What tools ask of a broker (protocol §15). */
#include "impl.h"

#include <stdio.h>
#include <string.h>

void admin_topic(struct request *request)
{
    const char *name = field(request, "topic");
    int64_t read = number(request, "readQueueNums"), write = number(request, "writeQueueNums");

    if (read < 0 || write < 0 || read > 4096 || write > 4096 || strpbrk(name, " $./") || !*name) {
        answer_text(request, 29, "The specified topic '%s' or its number of queues is illegal",
                    name);
        return;
    }
    topic_make(request->server->broker, name, (int)read, (int)write, (int)number(request, "perm"));
    answer_text(request, 0, "not set any response code"); /* Seen. */
}

void admin_topic_delete(struct request *request)
{
    topic_delete(request->server->broker, field(request, "topic"), true);
    answer(request, 0, NULL, NULL, NULL, 0);
}

void admin_group(struct request *request)
{
    json_t *root = json_loadb(request->body, request->body_len, 0, NULL);
    const char *name = json_string_value(json_object_get(root, "groupName"));

    if (!name || !*name) {
        strict(request, "the body names no groupName");
        answer_text(request, 1, "java.lang.NullPointerException");
    } else {
        group_make(request->server->broker, name);
        answer(request, 0, NULL, NULL, NULL, 0);
    }
    json_decref(root);
}

void admin_group_delete(struct request *request)
{
    group_delete(request->server->broker, field(request, "groupName"),
                 !strcmp(field(request, "cleanOffset"), "true"));
    answer(request, 0, NULL, NULL, NULL, 0);
}

/* ---- configuration --------------------------------------------------------------------------- */

void config_set(struct broker *broker, const char *key, const char *value)
{
    struct fields *config = &broker->config;

    for (size_t k = 0; k < config->count; k++) {
        if (!strcmp(config->at[k].name, key)) {
            free(config->at[k].value);
            config->at[k].value = rc_strdup(value);
            return;
        }
    }
    fields_add(config, key, "%s", value);
}

void admin_config_set(struct request *request)
{
    char *save = NULL;

    for (char *line = strtok_r(request->body, "\r\n", &save); line;
         line = strtok_r(NULL, "\r\n", &save)) {
        char *eq = strchr(line, '=');

        if (!eq)
            continue;
        *eq = 0;
        config_set(request->server->broker, line, eq + 1);
    }
    answer(request, 0, NULL, NULL, NULL, 0);
}

void admin_config_get(struct request *request)
{
    const struct fields *config = &request->server->broker->config;
    bool slave = request->server->role == SLAVE;
    rc_buf body = RC_BUF(MAX_FRAME);

    for (size_t k = 0; k < config->count; k++) {
        bool role = !strcmp(config->at[k].name, "brokerRole");

        rc_buf_printf(&body, "%s=%s\n", config->at[k].name,
                      role && slave ? "SLAVE" : config->at[k].value);
    }
    rc_buf_printf(&body, "brokerId=%d\n", slave);
    answer_json(request, &body);
}

void admin_runtime(struct request *request)
{
    rc_buf body = RC_BUF(MAX_FRAME);

    rc_buf_printf(&body,
                  "{\"table\":{\"brokerVersionDesc\":\"V5_5_0\",\"brokerVersion\":\"513\","
                  "\"commitLogMinOffset\":\"0\",\"commitLogMaxOffset\":\"%lld\","
                  "\"brokerActive\":\"true\"}}",
                  (long long)request->server->broker->position);
    answer_json(request, &body);
}

/* ---- statistics: objects as keys, not JSON (seen) -------------------------------------------- */

static int64_t stored_at(const struct queue *queue, int64_t offset)
{
    bool is = offset >= queue->min && offset < queue_max(queue);

    return is ? queue->at[offset - queue->min]->stored_ms : 0;
}

void admin_stats(struct request *request)
{
    struct broker *broker = request->server->broker;
    struct topic *topic = topic_find(broker, field(request, "topic"));
    rc_buf body = RC_BUF(MAX_FRAME);

    if (!topic) {
        answer_text(request, 17, "topic[%s] not exist", field(request, "topic"));
        return;
    }
    rc_buf_str(&body, "{\"offsetTable\":{");
    for (int k = 0; k < topic->read; k++) {
        const struct queue *queue = &topic->at[k];

        rc_buf_printf(&body,
                      "%s{\"brokerName\":\"%s\",\"queueId\":%d,\"topic\":\"%s\"}:"
                      "{\"lastUpdateTimestamp\":%lld,\"maxOffset\":%lld,\"minOffset\":%lld}",
                      k ? "," : "", broker->name, k, topic->name,
                      (long long)stored_at(queue, queue_max(queue) - 1),
                      (long long)queue_max(queue), (long long)queue->min);
    }
    rc_buf_str(&body, "}}");
    answer_json(request, &body);
}

static void write_consumed(rc_buf *body, struct broker *broker, const char *group,
                           const struct topic *topic)
{
    for (int k = 0; k < topic->read; k++) {
        const struct committed *at = committed_find(broker, group, topic->name, k);
        const struct queue *queue = &topic->at[k];
        long long offset = at ? (long long)at->offset : 0;

        rc_buf_printf(body,
                      "%s{\"brokerName\":\"%s\",\"queueId\":%d,\"topic\":\"%s\"}:"
                      "{\"brokerOffset\":%lld,\"consumerOffset\":%lld,\"lastTimestamp\":%lld,"
                      "\"pullOffset\":%lld}",
                      body->data[body->len - 1] == '{' ? "" : ",", broker->name, k, topic->name,
                      (long long)queue_max(queue), offset, (long long)stored_at(queue, offset - 1),
                      offset);
    }
}

/** The topic named, or all that the group has offsets of. */
void admin_consume_stats(struct request *request)
{
    struct broker *broker = request->server->broker;
    const char *group = field(request, "consumerGroup"), *only = field(request, "topic");
    rc_buf body = RC_BUF(MAX_FRAME);

    rc_buf_str(&body, "{\"consumeTps\":0.0,\"offsetTable\":{");
    for (struct topic *topic = broker->topics; topic; topic = topic->next) {
        bool has = false;

        for (int k = 0; k < topic->read && !has; k++)
            has = committed_find(broker, group, topic->name, k) != NULL;
        if (*only ? !strcmp(only, topic->name) : has)
            write_consumed(&body, broker, group, topic);
    }
    rc_buf_str(&body, "}}");
    answer_json(request, &body);
}

void admin_view(struct request *request)
{
    struct broker *broker = request->server->broker;
    struct topic *topic;
    struct message *message = message_by_position(broker, number(request, "offset"), &topic);
    rc_buf body = RC_BUF(MAX_FRAME);

    if (!message) {
        answer_text(request, 1, "can not find message by the offset, %s", field(request, "offset"));
        return;
    }
    message_write(&body, broker, topic, message);
    answer_json(request, &body);
}
