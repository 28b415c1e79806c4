/* SPDX-License-Identifier: Apache-2.0 */
/* Dead letters as a reader of their topic finds them, on a real embedded log. */
#include "unit.h"

#include "log/embedded.h"
#include "worker/dead_letter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OK(call)                                   \
    do {                                           \
        if ((call) < 0)                            \
            fail_msg("%s: %s", #call, b->err.msg); \
    } while (0)

typedef struct bench {
    char dir[64];
    rc_fake_clock *fake;
    rc_log *log;
    rc_writer *writer;
    rc_connector_options options;
    rc_worker_config config;
    rc_dead_letter *letters;
    rc_append *append;
    rc_error err;
} bench;

static int setup(void **state)
{
    bench *b = rc_calloc(1, sizeof *b);
    rc_embedded_config config = {.dir = b->dir, .queues = 1, .clock = rc_clock_real()};
    rc_writer_config writer = {.name = "task-0", .connector = "c"};

    (void)snprintf(b->dir, sizeof b->dir, "/tmp/rc-letters-XXXXXX");
    if (!mkdtemp(b->dir))
        return -1;
    b->fake = rc_fake_clock_new(1600000000000);
    b->config = (rc_worker_config){.auto_create_topics = true, .restart_delay_max_ms = 5000};
    b->options = (rc_connector_options){.dlq_topic = "letters", .dlq_queues = 1};
    OK(rc_embedded_open(&config, &b->log, &b->err));
    OK(rc_writer_open(b->log, &writer, &b->writer, &b->err));
    b->append = rc_append_new(b->writer);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    bench *b = *state;
    char command[96];

    rc_append_free(b->append);
    rc_dead_letter_close(b->letters);
    rc_writer_close(b->writer);
    rc_log_close(b->log);
    rc_fake_clock_free(b->fake);
    (void)snprintf(command, sizeof command, "rm -rf %s", b->dir);
    free(b);
    return system(command);
}

static void open_letters(bench *b)
{
    OK(rc_dead_letter_open(b->log, &b->options, "copy", 3, &b->config, rc_fake_clock_clock(b->fake),
                           &b->letters, &b->err));
}

/** Stores the append, then reads the topic's queue into `fetch`. */
static rc_reader *read_letters(bench *b, int32_t queue, rc_fetch *fetch)
{
    rc_reader_config config = {.name = "reader"};
    rc_receipt receipt;
    rc_reader *reader;
    rc_topic *topic;

    if (b->append) {
        OK(rc_writer_submit(b->writer, b->append, NULL, &b->err));
        b->append = NULL;
        assert_int_equal(rc_writer_receipt(b->writer, INT64_MAX, &receipt), 1);
        assert_int_equal(receipt.result, 0);
        rc_append_free(receipt.append);
    }
    OK(rc_log_topic(b->log, "letters", 0, &topic, &b->err));
    OK(rc_reader_open(b->log, &config, &reader, &b->err));
    OK(rc_reader_add(reader, topic, queue, 0, &b->err));
    memset(fetch, 0, sizeof *fetch);
    OK(rc_reader_fetch(reader, 100, 1 << 20, 0, fetch, &b->err));
    return reader;
}

static void done(rc_reader *reader, rc_fetch *fetch)
{
    rc_fetch_release(reader, fetch);
    rc_reader_close(reader);
}

static rc_slice property(const rc_message *message, const char *name)
{
    for (size_t i = 0; i < message->property_count; i++)
        if (omc_slice_is(message->properties[i].key, name))
            return message->properties[i].value;
    return omc_slice_of(NULL, 0);
}

static void check(rc_slice got, const char *wanted)
{
    if (!omc_slice_is(got, wanted))
        fail_msg("'" RC_SLICE_FMT "', not '%s'", RC_SLICE_ARG(got), wanted);
}

static rc_failure failure_of(const rc_message *message, const omc_record *record)
{
    rc_failure failure = {.stage = RC_STAGE_VALUE_CONVERTER,
                          .class_name = "org.example.Converter",
                          .topic = "orders",
                          .queue = 2,
                          .offset = 77,
                          .message = message,
                          .record = record};

    (void)rc_fail(&failure.err, OMC_EFORMAT, "line 1, column 2: nonsense");
    return failure;
}

/** Body (any bytes), keys, tags and properties stay; context comes behind them. */
static void a_message_is_kept_as_it_was(void **state)
{
    static const omc_pair own[] = {{{"a", 1}, {"1", 1}}, {{"b", 1}, {"", 0}}};
    const rc_message message = {.body = omc_slice_of("\0\xff{", 3),
                                .keys = omc_slice_str("key"),
                                .tags = omc_slice_str("tag"),
                                .properties = own,
                                .property_count = 2,
                                .flag = 9,
                                .born_ms = 5};
    rc_failure failure = failure_of(&message, NULL);
    const rc_message *got;
    bench *b = *state;
    rc_reader *reader;
    rc_fetch fetch;

    b->options.dlq_context = true;
    open_letters(b);
    OK(rc_dead_letter_add(b->letters, b->append, &failure, &b->err));
    reader = read_letters(b, 0, &fetch);
    assert_int_equal(fetch.count, 1);
    got = &fetch.messages[0];
    assert_int_equal(got->body.len, 3);
    assert_memory_equal(got->body.base, "\0\xff{", 3);
    check(got->keys, "key");
    check(got->tags, "tag");
    assert_int_equal(got->flag, 9);
    assert_int_equal(got->born_ms, 1600000000000); /* when it became a dead letter */
    check(property(got, "a"), "1");
    check(property(got, "b"), "");
    check(property(got, "__connect.errors.topic"), "orders");
    check(property(got, "__connect.errors.partition"), "2");
    check(property(got, "__connect.errors.offset"), "77");
    check(property(got, "__connect.errors.connector.name"), "copy");
    check(property(got, "__connect.errors.task.id"), "3");
    check(property(got, "__connect.errors.stage"), "VALUE_CONVERTER");
    check(property(got, "__connect.errors.class.name"), "org.example.Converter");
    check(property(got, "__connect.errors.exception.class.name"), "BAD_FORMAT");
    check(property(got, "__connect.errors.exception.message"), "line 1, column 2: nonsense");
    assert_int_equal(got->property_count, 11);
    done(reader, &fetch);
}

static void without_context_nothing_is_added(void **state)
{
    const rc_message message = {.body = omc_slice_str("x")};
    rc_failure failure = failure_of(&message, NULL);
    bench *b = *state;
    rc_reader *reader;
    rc_fetch fetch;

    open_letters(b);
    OK(rc_dead_letter_add(b->letters, b->append, &failure, &b->err));
    reader = read_letters(b, 0, &fetch);
    assert_int_equal(fetch.messages[0].property_count, 0);
    assert_null(fetch.messages[0].keys.base);
    done(reader, &fetch);
}

/** A source's record was no message yet: its value as text is the body, its key KEYS. */
static void records_of_a_source_become_text(void **state)
{
    static const omc_entry entries[] = {{{.kind = OMC_STRING, .u.bytes = {"n", 1}},
                                         {.kind = OMC_NUMBER_TEXT, .text = {"1.10", 4}}}};
    static const omc_map map = {1, entries};
    const struct {
        omc_value value;
        const char *body; /* NULL = a tombstone */
    } cases[] = {
        {omc_string(omc_slice_str("a line")), "a line"},
        {omc_bytes(omc_slice_str("raw")), "raw"},
        {omc_integer(OMC_INT32, -5), "-5"},
        {{.kind = OMC_MAP, .u.map = &map}, "{\"n\":1.10}"},
        {omc_null(), NULL},
    };
    bench *b = *state;
    rc_reader *reader;
    rc_fetch fetch;

    b->options.dlq_context = true;
    open_letters(b);
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        omc_record record = {.value = cases[i].value, .key = omc_string(omc_slice_str("k"))};
        rc_failure failure = failure_of(NULL, &record);

        failure.queue = -1;
        failure.offset = -1;
        failure.topic = NULL;
        OK(rc_dead_letter_add(b->letters, b->append, &failure, &b->err));
    }
    reader = read_letters(b, 0, &fetch);
    assert_int_equal(fetch.count, RC_COUNT(cases));
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        if (cases[i].body)
            check(fetch.messages[i].body, cases[i].body);
        else
            assert_null(fetch.messages[i].body.base);
        check(fetch.messages[i].keys, "k");
        check(property(&fetch.messages[i], "__connect.errors.topic"), "");
        check(property(&fetch.messages[i], "__connect.errors.offset"), "-1");
    }
    done(reader, &fetch);
}

static void letters_go_to_all_queues(void **state)
{
    const rc_message message = {.body = omc_slice_str("x")};
    rc_failure failure = failure_of(&message, NULL);
    bench *b = *state;

    b->options.dlq_queues = 3;
    open_letters(b);
    for (int i = 0; i < 6; i++)
        OK(rc_dead_letter_add(b->letters, b->append, &failure, &b->err));
    for (int32_t queue = 0; queue < 3; queue++) {
        rc_fetch fetch;
        rc_reader *reader = read_letters(b, queue, &fetch);

        assert_int_equal(fetch.count, 2);
        done(reader, &fetch);
    }
}

static void a_topic_that_may_not_be_made_is_named(void **state)
{
    bench *b = *state;

    b->config.auto_create_topics = false;
    assert_int_equal(rc_dead_letter_open(b->log, &b->options, "copy", 0, &b->config,
                                         rc_fake_clock_clock(b->fake), &b->letters, &b->err),
                     -OMC_ENOTFOUND);
    assert_non_null(strstr(b->err.msg, "'letters'"));
    assert_non_null(strstr(b->err.msg, "errors.deadletterqueue.topic.name"));
    assert_non_null(strstr(b->err.msg, "autoCreateTopicEnable"));
    assert_non_null(
        strstr(b->err.msg, "again every 5 s or sooner")); /* somebody may make it meanwhile */
    assert_true(b->err.flags & OMC_ERR_RETRIABLE);
}

/** What is too large must not stop the task that skips it: context goes first, then the end of the
 *  body, which is said. */
static void large_letters_are_kept_as_far_as_there_is_room(void **state)
{
    bench *b = *state;
    char *body = rc_calloc(1, 2 * RC_MESSAGE_MAX);
    const rc_message fits = {.body = omc_slice_of(body, RC_MESSAGE_MAX - 20)};
    const rc_message large = {.body = omc_slice_of(body, 2 * RC_MESSAGE_MAX)};
    rc_failure first = failure_of(&fits, NULL), second = failure_of(&large, NULL);
    rc_reader *reader;
    rc_fetch fetch;

    b->options.dlq_context = true;
    open_letters(b);
    body[0] = 'x';
    OK(rc_dead_letter_add(b->letters, b->append, &first, &b->err));
    OK(rc_dead_letter_add(b->letters, b->append, &second, &b->err));
    reader = read_letters(b, 0, &fetch);
    assert_int_equal(fetch.messages[0].body.len, RC_MESSAGE_MAX - 20);
    assert_int_equal(fetch.messages[0].property_count, 0);
    assert_int_equal(fetch.count, 1); /* more than its limit of bytes, so one at a time */
    assert_int_equal(rc_reader_fetch(reader, 100, 1 << 20, 0, &fetch, &b->err), 1);
    assert_in_range(fetch.messages[0].body.len, RC_MESSAGE_MAX / 2, RC_MESSAGE_MAX);
    assert_int_equal(fetch.messages[0].body.base[0], 'x');
    check(property(&fetch.messages[0], "__connect.errors.body.length"), "8388608");
    check(property(&fetch.messages[0], "__connect.errors.offset"), "77");
    done(reader, &fetch);
    free(body);
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(a_message_is_kept_as_it_was),
        BENCH_TEST(without_context_nothing_is_added),
        BENCH_TEST(records_of_a_source_become_text),
        BENCH_TEST(letters_go_to_all_queues),
        BENCH_TEST(a_topic_that_may_not_be_made_is_named),
        BENCH_TEST(large_letters_are_kept_as_far_as_there_is_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
