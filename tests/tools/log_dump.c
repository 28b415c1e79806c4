/* SPDX-License-Identifier: Apache-2.0 */
/**
 * log_dump <log folder> [topic]: the messages of an embedded log as JSON lines, for checkers.
 *
 *   {"topic":"t","queue":0,"offset":3,"bornMs":...,"flag":0,"keys":"k","tags":null,
 *    "body":"<base64>","properties":{"a":"b"}}
 *
 * A tombstone has "body":null, a message without keys "keys":null. Texts that are not UTF-8 show
 * U+FFFD there; the body is exact. The log must not be open elsewhere.
 */
#include "log/embedded.h"
#include "record/json.h"

#include <stdio.h>

typedef struct dump {
    rc_log *log;
    const char *topic; /**< NULL = all. */
    rc_error err;
} dump;

static void put_text(rc_buf *out, const char *name, rc_slice text)
{
    rc_buf_printf(out, ",\"%s\":", name);
    if (text.base)
        rc_json_write_string(text, out);
    else
        rc_buf_str(out, "null");
}

static void print_message(rc_topic *topic, int32_t queue, const rc_message *message)
{
    rc_buf out = RC_BUF(64 << 20);
    omc_value body = omc_bytes(message->body);

    rc_buf_printf(&out,
                  "{\"topic\":\"%s\",\"queue\":%d,\"offset\":%lld,\"bornMs\":%lld,\"flag\":%d",
                  rc_topic_name(topic), queue, (long long)message->offset,
                  (long long)message->born_ms, message->flag);
    put_text(&out, "keys", message->keys);
    put_text(&out, "tags", message->tags);
    rc_buf_str(&out, ",\"body\":");
    if (message->body.base)
        rc_json_write(&body, 0, &out);
    else
        rc_buf_str(&out, "null");
    rc_buf_str(&out, ",\"properties\":{");
    for (size_t i = 0; i < message->property_count; i++) {
        if (i)
            rc_buf_char(&out, ',');
        rc_json_write_string(message->properties[i].key, &out);
        rc_buf_char(&out, ':');
        rc_json_write_string(message->properties[i].value, &out);
    }
    rc_buf_str(&out, "}}\n");
    (void)fwrite(out.data, 1, out.len, stdout);
    rc_buf_release(&out);
}

static int dump_queue(dump *d, rc_topic *topic, int32_t queue)
{
    rc_reader_config config = {.name = "log_dump"};
    RC_AUTO(rc_reader) reader = NULL;
    rc_fetch fetch = {0};
    int64_t min, max;
    int r = rc_log_bounds(d->log, topic, queue, &min, &max, &d->err);

    if (r == 0)
        r = rc_reader_open(d->log, &config, &reader, &d->err);
    if (r == 0)
        r = rc_reader_add(reader, topic, queue, min, &d->err);
    while (r >= 0 && min < max) {
        r = rc_reader_fetch(reader, 1000, 1 << 20, 0, &fetch, &d->err);
        for (size_t i = 0; r > 0 && i < fetch.count; i++)
            print_message(topic, queue, &fetch.messages[i]);
        if (r == 0)
            break;
        min = fetch.next_offset;
    }
    if (reader)
        rc_fetch_release(reader, &fetch);
    return r;
}

static int dump_topic(void *arg, rc_topic *topic)
{
    dump *d = arg;
    int r = 0;

    if (d->topic && strcmp(d->topic, rc_topic_name(topic)) != 0)
        return 0;
    for (int32_t q = 0; r >= 0 && q < rc_topic_queues(topic); q++)
        r = dump_queue(d, topic, q);
    return r < 0 ? r : 0;
}

int main(int argc, char **argv)
{
    rc_embedded_config config = {.queues = 1, .clock = rc_clock_real()};
    dump d = {0};
    int r;

    if (argc < 2 || argc > 3) {
        (void)fprintf(stderr, "usage: log_dump <log folder> [topic]\n");
        return 2;
    }
    config.dir = argv[1];
    d.topic = argc > 2 ? argv[2] : NULL;
    r = rc_embedded_open(&config, &d.log, &d.err);
    if (r == 0)
        r = rc_log_topics(d.log, dump_topic, &d, &d.err);
    rc_log_close(d.log);
    if (r < 0)
        (void)fprintf(stderr, "log_dump: %s\n", d.err.msg);
    return r < 0 ? 1 : 0;
}
