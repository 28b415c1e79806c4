/* SPDX-License-Identifier: Apache-2.0 */
/* What brokers ask of a member of a group on behalf of tools: reset of offsets (220), positions
 * (221), a report about the process (307). Protocol §5, §15. */
#include "rocketmq/consumer_impl.h"

#include <inttypes.h>

#define ANSWER_MAX ((size_t)4 << 20)

/* ---- 220 ------------------------------------------------------------------------------------- */

/* The queue goes away and comes again at the ordered offset, as if it had been taken and given:
 * nothing that was handed on before may move the new position. */
static void reset_tap(rmq_tap *tap, int64_t offset)
{
    rmq_consumer *consumer = tap->consumer;

    rmq_client_say(consumer->client, RMQ_LOG_INFO,
                   "group %s: topic %s, queue %d of broker %s is reset from offset %" PRId64
                   " to %" PRId64 ", as an administrator has ordered",
                   consumer->group, tap->queue.topic, tap->queue.id, tap->queue.broker,
                   tap->pull_offset, offset);
    pthread_mutex_lock(&consumer->mu);
    tap->reset_to = offset;
    tap->revoked = true;
    consumer->balance_ready = true;
    rmq_consumer_signal(consumer);
    pthread_mutex_unlock(&consumer->mu);
    rmq_tap_silence(tap);
    rmq_tap_commit(tap);
}

static void reset_queue(rmq_consumer *consumer, const json_t *queue, const json_t *offset)
{
    const char *topic = json_string_value(json_object_get(queue, "topic"));
    const char *broker = json_string_value(json_object_get(queue, "brokerName"));
    json_int_t id = json_integer_value(json_object_get(queue, "queueId"));
    rmq_tap *tap, *tmp;

    if (!topic || !broker || !json_is_integer(offset) || json_integer_value(offset) < 0)
        return;
    HASH_ITER(hh, consumer->taps, tap, tmp)
    {
        if (tap->queue.id == id && strcmp(tap->sub->wire, topic) == 0 &&
            strcmp(tap->queue.broker, broker) == 0)
            reset_tap(tap, json_integer_value(offset));
    }
}

/* {"offsetTable":{{queue}:offset,..}} (keys have become texts), or a list for clients in C. */
static void reset_offsets(rmq_consumer *consumer, const rmq_frame *frame)
{
    json_t *body = NULL, *table, *value;
    const char *key;
    size_t i;

    if (rmq_json_parse(frame->body, &body, NULL) < 0)
        return;
    table = json_object_get(body, "offsetTable");
    json_object_foreach(table, key, value)
    {
        json_t *queue = json_loads(key, 0, NULL);

        reset_queue(consumer, queue, value);
        json_decref(queue);
    }
    json_array_foreach(table, i, value)
        reset_queue(consumer, value, json_object_get(value, "offset"));
    json_decref(body);
}

/* ---- 221 and 307 ----------------------------------------------------------------------------- */

static json_t *queue_json(const rmq_tap *tap)
{
    return json_pack("{s:s, s:i, s:s}", "brokerName", tap->queue.broker, "queueId", tap->queue.id,
                     "topic", tap->sub->wire);
}

/* A key of a table whose keys are objects, as Java writes and reads it. */
static void put_queue(rc_buf *buf, const rmq_tap *tap, const char *between)
{
    json_t *queue = queue_json(tap);
    RC_AUTO_FREE char *text = json_dumps(queue, JSON_COMPACT);

    json_decref(queue);
    rc_buf_str(buf, between);
    rc_buf_str(buf, text);
}

/* `{queue}:<before><consumed><after>` of all queues of `topic`, of all topics when empty. */
static void put_table(rmq_consumer *consumer, rc_slice topic, const char *before, const char *after,
                      rc_buf *buf)
{
    const char *between = "";
    rmq_tap *tap, *tmp;

    HASH_ITER(hh, consumer->taps, tap, tmp)
    {
        int64_t consumed;

        if (tap->revoked || (topic.len > 0 && !omc_slice_is(topic, tap->sub->wire)))
            continue;
        pthread_mutex_lock(&consumer->mu);
        consumed = tap->consumed;
        pthread_mutex_unlock(&consumer->mu);
        put_queue(buf, tap, between);
        rc_buf_printf(buf, ":%s%" PRId64 "%s", before, RC_MAX(consumed, 0), after);
        between = ",";
    }
}

static void positions(rmq_consumer *consumer, rc_slice topic, rc_buf *buf)
{
    rc_buf_str(buf, "{\"messageQueueTable\":{");
    put_table(consumer, topic, "", "", buf);
    rc_buf_str(buf, "}}");
}

static void put_json(rc_buf *buf, const char *name, json_t *value)
{
    RC_AUTO_FREE char *text = json_dumps(value, JSON_COMPACT);

    json_decref(value);
    rc_buf_printf(buf, "\"%s\":%s,", name, text);
}

static void report(rmq_consumer *consumer, rc_buf *buf)
{
    json_t *subs = json_array();
    rmq_subscription *sub;

    for (sub = consumer->subs; sub; sub = sub->next)
        json_array_append_new(subs, rmq_subscription_json(sub));
    rc_buf_str(buf, "{");
    put_json(buf, "properties",
             json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "PROP_CLIENT_VERSION", "V5_5_0",
                       "PROP_CONSUME_TYPE", "CONSUME_PASSIVELY", "PROP_NAMESERVER_ADDR",
                       rmq_client_settings(consumer->client)->namesrv,
                       "PROP_CONSUMER_START_TIMESTAMP", "0", "PROP_THREADPOOL_CORE_SIZE", "1",
                       "PROP_CONSUMEORDERLY", "false"));
    put_json(buf, "subscriptionSet", subs);
    rc_buf_str(buf, "\"mqTable\":{"); /* tools show by it who reads which queue */
    put_table(consumer, omc_slice_of(NULL, 0), "{\"commitOffset\":", "}", buf);
    rc_buf_str(buf, "},\"statusTable\":{}}");
}

bool rmq_group_asked(void *arg, rmq_remote *remote, const rmq_frame *frame)
{
    rmq_consumer *consumer = arg;
    rc_buf buf = RC_BUF(ANSWER_MAX);

    switch (frame->header.code) {
    case RMQ_RESET_CONSUMER_CLIENT_OFFSET:
        reset_offsets(consumer, frame);
        return true;
    case RMQ_GET_CONSUMER_STATUS_FROM_CLIENT:
        positions(consumer, rmq_header_get(&frame->header, "topic"), &buf);
        break;
    case RMQ_GET_CONSUMER_RUNNING_INFO:
        report(consumer, &buf);
        break;
    default:
        return false;
    }
    rmq_remote_answer(remote, frame, buf.overflow ? RMQ_R_SYSTEM_ERROR : RMQ_R_SUCCESS,
                      rc_buf_slice(&buf));
    rc_buf_release(&buf);
    return true;
}
