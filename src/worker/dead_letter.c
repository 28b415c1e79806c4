/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dead letters carry the body as it was: for a sink the message itself, for a source the record's
 * value as text (there is no message yet). The caller adds them to an append of its own writer, so
 * that on an atomic log a source's dead letter and its position are one transaction.
 */
#include "worker/dead_letter.h"

#include "record/json.h"
#include "record/value.h"
#include "worker/topic.h"

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
                        int task, const rc_worker_config *config, rc_clock *clock,
                        rc_dead_letter **ret, rc_error *err)
{
    const rc_topic_wish wish = {
        .name = options->dlq_topic,
        .key = "errors.deadletterqueue.topic.name",
        .queues = config->auto_create_topics ? (int32_t)options->dlq_queues : 0,
        .again_ms = config->restart_delay_max_ms,
    };
    rc_topic *topic;
    rc_dead_letter *letters;
    int r = rc_task_topic(log, &wish, &topic, err);

    if (r < 0)
        return r;
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
    rc_buf text = RC_BUF((size_t)64 << 20);
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

/* Room for the properties of a letter whose body is cut. */
#define CUT_BODY_MAX (RC_MESSAGE_MAX - ((size_t)64 << 10))

/* The message with the context behind its own properties; `cut` = length its body had, or 0. */
static void add_context(rc_dead_letter *letters, const rc_failure *failure, size_t cut,
                        rc_message *message)
{
    omc_arena *arena = &letters->arena.pub;
    size_t had = message->property_count;
    omc_pair *pairs = omc_alloc(arena, (had + CONTEXT_PAIRS) * sizeof *pairs);

    if (had)
        memcpy(pairs, message->properties, had * sizeof *pairs);
    had += context(letters, failure, pairs + had);
    if (cut)
        put(pairs, &had, PREFIX "body.length", omc_slice_str(rc_arena_format(arena, "%zu", cut)));
    message->property_count = had;
    message->properties = pairs;
}

/* A record that is too large for the log, or would be with context, must not stop the task that
 * was told to skip it: its letter goes without context, or with a body that is cut and says so. */
static int add_large(rc_dead_letter *letters, rc_append *append, const rc_failure *failure,
                     const rc_message *whole, rc_error *err)
{
    rc_message message = *whole;
    size_t len = whole->body.len;

    if (rc_append_add(append, letters->topic, letters->next_queue, &message, NULL, err) == 0)
        return 0;
    message.property_count = 0;
    message.keys = message.tags = omc_slice_of(NULL, 0);
    message.body.len = RC_MIN(len, CUT_BODY_MAX);
    add_context(letters, failure, len, &message);
    return rc_append_add(append, letters->topic, letters->next_queue, &message, NULL, err);
}

int rc_dead_letter_add(rc_dead_letter *letters, rc_append *append, const rc_failure *failure,
                       rc_error *err)
{
    rc_message whole, message;
    int r;

    rc_arena_reset(&letters->arena, 65536);
    original(letters, failure, &whole);
    whole.born_ms = rc_now_ms(letters->clock);
    message = whole;
    if (letters->options->dlq_context)
        add_context(letters, failure, 0, &message);
    r = rc_append_add(append, letters->topic, letters->next_queue, &message, NULL, err);
    if (r == -OMC_EINVAL)
        r = add_large(letters, append, failure, &whole, err);
    letters->next_queue = (letters->next_queue + 1) % rc_topic_writable(letters->topic);
    return r < 0 ? rc_wrap(err, r, "write to dead-letter topic '%s'", rc_topic_name(letters->topic))
                 : 0;
}
