/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dead letters carry the body as it was: for a sink the message itself, for a source the record's
 * value as text (there is no message yet). The caller adds them to an append of its own writer, so
 * that on an atomic log a source's dead letter and its position are one transaction.
 */
#include "worker/dead_letter.h"

#include "record/json.h"
#include "record/value.h"

#define PREFIX "__connect.errors."
#define CONTEXT_PAIRS 10

struct rc_dead_letter {
    rc_topic *topic;
    const rc_connector_options *options;
    const char *connector;
    int task;
    rc_clock *clock;
    rc_arena arena; /* of one letter */
    int32_t next_queue;
};

int rc_dead_letter_open(rc_log *log, const rc_connector_options *options, const char *connector,
                        int task, bool create, rc_clock *clock, rc_dead_letter **ret, rc_error *err)
{
    rc_topic *topic;
    rc_dead_letter *letters;
    int r = rc_log_topic(log, options->dlq_topic, create ? (int32_t)options->dlq_queues : 0, &topic,
                         err);

    if (r < 0)
        return rc_wrap(err, r, "open dead-letter topic '%s' (errors.deadletterqueue.topic.name)",
                       options->dlq_topic);
    letters = rc_calloc(1, sizeof *letters);
    letters->topic = topic;
    letters->options = options;
    letters->connector = connector;
    letters->task = task;
    letters->clock = clock;
    rc_arena_init(&letters->arena, 4096);
    *ret = letters;
    return 0;
}

void rc_dead_letter_close(rc_dead_letter *letters)
{
    if (!letters)
        return;
    rc_arena_release(&letters->arena);
    free(letters);
}

static void put(omc_pair *pairs, size_t *count, const char *key, rc_slice value)
{
    pairs[*count].key = omc_slice_str(key);
    pairs[*count].value = value;
    (*count)++;
}

/* The properties of Kafka Connect and of the Java runtime, under the same names. */
static size_t context(rc_dead_letter *letters, const rc_failure *failure, omc_pair *pairs)
{
    omc_arena *arena = &letters->arena.pub;
    size_t n = 0;

    put(pairs, &n, PREFIX "topic", omc_slice_str(failure->topic ? failure->topic : ""));
    put(pairs, &n, PREFIX "partition", omc_slice_str(rc_arena_format(arena, "%d", failure->queue)));
    put(pairs, &n, PREFIX "offset",
        omc_slice_str(rc_arena_format(arena, "%lld", (long long)failure->offset)));
    put(pairs, &n, PREFIX "connector.name", omc_slice_str(letters->connector));
    put(pairs, &n, PREFIX "task.id", omc_slice_str(rc_arena_format(arena, "%d", letters->task)));
    put(pairs, &n, PREFIX "stage", omc_slice_str(rc_stage_name(failure->stage)));
    put(pairs, &n, PREFIX "class.name",
        omc_slice_str(failure->class_name ? failure->class_name : ""));
    put(pairs, &n, PREFIX "exception.class.name", omc_slice_str(rc_code_name(failure->err.code)));
    put(pairs, &n, PREFIX "exception.message", omc_slice_str(failure->err.msg));
    RC_ASSERT(n <= CONTEXT_PAIRS);
    return n;
}

/* The body of a source's record that never became a message. */
static rc_slice record_body(const omc_record *record, omc_arena *arena)
{
    rc_buf text = RC_BUF(RC_MESSAGE_MAX / 2);
    rc_slice body;

    if (record->value.kind == OMC_STRING || record->value.kind == OMC_BYTES)
        return record->value.u.bytes;
    if (record->value.kind == OMC_NULL)
        return omc_slice_of(NULL, 0);
    rc_json_write(&record->value, 0, &text);
    body = rc_arena_slice(arena, rc_buf_slice(&text));
    rc_buf_release(&text);
    return body;
}

static void original(rc_dead_letter *letters, const rc_failure *failure, rc_message *ret)
{
    if (failure->message) {
        *ret = *failure->message;
        return;
    }
    memset(ret, 0, sizeof *ret);
    ret->body = record_body(failure->record, &letters->arena.pub);
    if (failure->record->key.kind != OMC_NULL)
        ret->keys = rc_value_text(&failure->record->key, &letters->arena.pub);
}

int rc_dead_letter_add(rc_dead_letter *letters, rc_append *append, const rc_failure *failure,
                       rc_error *err)
{
    omc_arena *arena = &letters->arena.pub;
    rc_message message;
    int r;

    rc_arena_reset(&letters->arena, 65536);
    original(letters, failure, &message);
    message.born_ms = rc_now_ms(letters->clock);
    if (letters->options->dlq_context) {
        size_t had = message.property_count;
        omc_pair *pairs = omc_alloc(arena, (had + CONTEXT_PAIRS) * sizeof *pairs);

        if (had)
            memcpy(pairs, message.properties, had * sizeof *pairs);
        message.property_count = had + context(letters, failure, pairs + had);
        message.properties = pairs;
    }
    r = rc_append_add(append, letters->topic, letters->next_queue, &message, NULL, err);
    letters->next_queue = (letters->next_queue + 1) % rc_topic_queues(letters->topic);
    return r < 0 ? rc_wrap(err, r, "write to dead-letter topic '%s'", rc_topic_name(letters->topic))
                 : 0;
}
