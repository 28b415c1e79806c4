/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log on RocketMQ against the fake cluster: appends, receipts, positions, readers, groups; and
 * exactly once through crashes and sends without answers. A crash is a log that is closed while
 * the position topic refuses to take anything more.
 */
#include "rocketmq_unit.h"

/* ---- at least once --------------------------------------------------------------------------- */

static void topics_are_made_on_all_brokers(void **state)
{
    bed *b = *state;
    rc_topic *topic = topic_of(b, "T");
    rc_error err = {0};
    rc_topic *other;

    assert_int_equal(rc_topic_queues(topic), 8);
    assert_int_equal(rc_topic_writable(topic), 8);
    assert_string_equal(rc_topic_broker(topic, 0), "broker-0");
    assert_string_equal(rc_topic_broker(topic, 7), "broker-1");
    assert_int_equal(rc_topic_queue_id(topic, 5), 1);
    assert_ptr_equal(topic_of(b, "T"), topic);
    assert_int_equal(rc_log_topic(b->log, "none", 0, &other, &err), -OMC_ENOTFOUND);
    assert_int_equal(rc_log_topic(b->log, "a b", 1, &other, &err), -OMC_EINVAL);
}

static void what_is_appended_is_there_in_order(void **state)
{
    bed *b = *state;
    rc_topic *topic = topic_of(b, "T");
    rc_writer *writer = writer_of(b, false);

    for (int i = 0; i < 50; i++)
        append(writer, topic, i * 20, i * 20 + 20, false);
    take_all(writer);
    rc_writer_close(writer);
    assert_records(b, "T", 1000);
    assert_position(b, "{\"nextPosition\":\"1000\"}");
    assert_true(fakemq_most_unanswered(b->mq) <= 1);
}

static void positions_are_javas_records(void **state)
{
    bed *b = *state;
    rc_writer *writer = writer_of(b, false);
    fakemq_message *m = NULL;

    append(writer, topic_of(b, "T"), 0, 3, false);
    take_all(writer);
    rc_writer_close(writer);
    for (int broker = 0; broker < 2 && !m; broker++) {
        const char *name = broker ? "broker-1" : "broker-0";
        int64_t end = fakemq_max_offset(b->mq, "connector-position-topic", name, 0);

        if (end > 0)
            m = fakemq_message_at(b->mq, "connector-position-topic", name, 0, end - 1);
    }
    assert_non_null(m);
    assert_int_equal(m->body_len, strlen("{\"schema\":null,\"payload\":{\"nextPosition\":\"3\"}}"));
    assert_memory_equal(m->body, "{\"schema\":null,\"payload\":{\"nextPosition\":\"3\"}}",
                        m->body_len);
    /* {"schema":null,"payload":["POSITION_CHANG","c",{"filename":"/in"}]} */
    assert_non_null(strstr(m->properties,
                           "KEYS\001eyJzY2hlbWEiOm51bGwsInBheWxvYWQiOlsiUE9TSVRJT05fQ0hBTkciLCJjIi"
                           "x7ImZpbGVuYW1lIjoiL2luIn1dfQ==\002"));
    fakemq_message_free(m);
}

static void positions_are_read_by_the_next(void **state)
{
    bed *b = *state;
    rc_writer *writer = writer_of(b, false);
    rc_error err = {0};

    assert_position(b, NULL);
    append(writer, topic_of(b, "T"), 0, 7, false);
    take_all(writer);
    OK(rc_writer_sync(writer, FOR_EVER, &err));
    assert_position(b, "{\"nextPosition\":\"7\"}");
    rc_writer_close(writer);
    close_log(b);
    open_log(b);
    assert_position(b, "{\"nextPosition\":\"7\"}");
    OK(rc_log_position_set(b->log, "c", omc_slice_str(PARTITION), omc_slice_str("{\"a\":1}"),
                           &err));
    assert_position(b, "{\"a\":1}");
    OK(rc_log_position_set(b->log, "c", omc_slice_of(NULL, 0), omc_slice_of(NULL, 0), &err));
    assert_position(b, NULL);
    close_log(b);
    open_log(b);
    assert_position(b, NULL);
}

static void a_position_never_passes_what_is_not_acknowledged(void **state)
{
    bed *b = *state;
    const fakemq_rule rule = {.action = FAKEMQ_IGNORE, .request = 320, .topic = "T"};
    rc_topic *topic = topic_of(b, "T");
    rc_writer *writer = writer_of(b, false);
    rc_receipt receipt;
    rc_error err = {0};
    int n;

    append(writer, topic, 0, 8, false);
    assert_int_equal(rc_writer_receipt(writer, FOR_EVER, &receipt), 1);
    rc_append_free(receipt.append);
    n = fakemq_fault(b->mq, &rule);
    append(writer, topic, 8, 16, false);
    assert_int_equal(rc_writer_receipt(writer, rc_mono_ns(rc_clock_real()) + 1000000000, &receipt),
                     0);
    OK(rc_writer_sync(writer, FOR_EVER, &err));
    assert_position(b, "{\"nextPosition\":\"8\"}");
    fakemq_fault_end(b->mq, n);
    take_all(writer); /* sent again by itself */
    rc_writer_close(writer);
    assert_stored(b, "T", 16, true);
    assert_position(b, "{\"nextPosition\":\"16\"}");
}

static void a_full_writer_says_so(void **state)
{
    bed *b = *state;
    const rc_writer_config config = {.name = "c-0", .connector = "c", .pending_bytes_max = 100};
    rc_error err = {0};
    rc_writer *writer = NULL;
    rc_append *a;
    rc_message message = {.body = omc_slice_str("x")};

    OK(rc_writer_open(b->log, &config, &writer, &err));
    append(writer, topic_of(b, "T"), 0, 10, false); /* more than the limit, alone: goes */
    a = rc_append_new(writer);
    OK(rc_append_add(a, topic_of(b, "T"), 0, &message, NULL, &err));
    assert_int_equal(rc_writer_submit(writer, a, NULL, &err), -OMC_EAGAIN);
    take_all(writer);
    OK(rc_writer_submit(writer, a, NULL, &err));
    take_all(writer);
    rc_writer_close(writer);
    assert_int_equal(stored(b, "T"), 11);
}

static void a_message_too_large_names_its_size(void **state)
{
    bed *b = *state;
    rc_writer *writer = writer_of(b, false);
    rc_append *a = rc_append_new(writer);
    char *body = calloc(1, RC_MESSAGE_MAX);
    rc_message message = {.body = omc_slice_of(body, RC_MESSAGE_MAX)};
    rc_error err = {0};

    assert_int_equal(rc_append_add(a, topic_of(b, "T"), 0, &message, NULL, &err), -OMC_EINVAL);
    assert_non_null(strstr(err.msg, "4194304"));
    free(body);
    rc_append_free(a);
    rc_writer_close(writer);
}

/* A task that hangs in its plugin is given up with what it has submitted. */
static void a_successor_ends_what_its_predecessor_began(void **state)
{
    bed *b = *state;
    rc_topic *topic = topic_of(b, "T");
    rc_writer *hung = writer_of(b, false), *writer;
    const fakemq_rule rule = {
        .action = FAKEMQ_REFUSE, .request = 320, .topic = "T", .code = 2, .remark = "busy"};
    rc_append *late;
    rc_message message = {.body = omc_slice_str("late")};
    rc_error err = {0};
    int n = fakemq_fault(b->mq, &rule);

    append(hung, topic, 0, 8, false); /* cannot be stored now, and waits */
    writer = writer_of(b, false);
    fakemq_fault_end(b->mq, n);
    append(writer, topic, 0, 16, false);
    take_all(writer);
    late = rc_append_new(hung); /* it comes back */
    OK(rc_append_add(late, topic, 0, &message, NULL, &err));
    assert_int_equal(rc_writer_submit(hung, late, NULL, &err), -OMC_ECANCELED);
    rc_append_free(late);
    assert_true(rc_writer_sync(hung, INT64_MAX, &err) <= 0);
    rc_writer_close(hung);
    rc_writer_close(writer);
    assert_records(b, "T", 16);
    assert_position(b, "{\"nextPosition\":\"16\"}");
}

static void batches_fit_what_the_broker_takes(void **state)
{
    bed *b = *state;
    rc_topic *topic = topic_of(b, "T");
    char *body = calloc(1, 4000);
    rc_message message = {.body = omc_slice_of(body, 400)};
    rc_writer *writer;
    rc_error err = {0};
    rc_append *a;

    fakemq_broker_config(b->mq, "broker-0", "maxMessageSize", "2000");
    writer = writer_of(b, false);
    a = rc_append_new(writer);
    for (int i = 0; i < 20; i++)
        OK(rc_append_add(a, topic, 0, &message, NULL, &err));
    message.body.len = 3000;
    assert_int_equal(rc_append_add(a, topic, 0, &message, NULL, &err), -OMC_EINVAL);
    assert_non_null(strstr(err.msg, "2000"));
    OK(rc_append_add(a, topic, 4, &message, NULL, &err)); /* broker-1 takes it */
    OK(rc_writer_submit(writer, a, NULL, &err));
    take_all(writer);
    rc_writer_close(writer);
    assert_int_equal(stored(b, "T"), 21);
    free(body);
}

/* ---- exactly once ---------------------------------------------------------------------------- */

static void after_a_crash_nothing_is_stored_twice(void **state)
{
    bed *b = *state;
    rc_topic *topic = topic_of(b, "T");
    rc_writer *writer = writer_of(b, true);
    rc_error err = {0};
    int n;
    const fakemq_rule rule = {.action = FAKEMQ_REFUSE,
                              .request = 320,
                              .topic = "connector-position-topic",
                              .code = 16, /* at once, and for good */
                              .remark = "not now"};

    append(writer, topic, 0, 40, true);
    take_all(writer);
    OK(rc_writer_sync(writer, FOR_EVER, &err));
    n = fakemq_fault(b->mq, &rule);
    append(writer, topic, 40, 90, true); /* stored, never committed */
    take_all(writer);
    crash(b, writer);
    fakemq_fault_end(b->mq, n);
    assert_position(b, "{\"nextPosition\":\"40\"}");

    topic = topic_of(b, "T");
    writer = writer_of(b, true);
    append(writer, topic, 40, 120, true); /* the source goes on at its position */
    take_all(writer);
    rc_writer_close(writer);
    assert_records(b, "T", 120);
    assert_position(b, "{\"nextPosition\":\"120\"}");
}

static void a_crash_while_taking_over_changes_nothing(void **state)
{
    bed *b = *state;

    for (int round = 0; round < 3; round++) {
        rc_topic *topic = topic_of(b, "T");
        rc_writer *writer = writer_of(b, true);
        const fakemq_rule rule = {.action = FAKEMQ_REFUSE,
                                  .request = 320,
                                  .topic = "connector-position-topic",
                                  .skip = round ? 0 : 8, /* the first notes */
                                  .code = 16,
                                  .remark = "not now"};
        int n = fakemq_fault(b->mq, &rule);

        /* Each round gets a little further than the one before, and commits nothing. */
        append(writer, topic, 0, 30 + 10 * round, true);
        take_all(writer);
        crash(b, writer);
        fakemq_fault_end(b->mq, n);
    }
    assert_records(b, "T", 50);
}

/* Of the last two sends of a queue the later one arrived: what is missing comes before it. */
static void only_what_is_missing_is_stored(void **state)
{
    bed *b = *state;
    rc_topic *topic = topic_of(b, "T");
    rc_writer *writer = writer_of(b, true);
    rc_error err = {0};
    const fakemq_rule rule = {.action = FAKEMQ_REFUSE,
                              .request = 320,
                              .topic = "connector-position-topic",
                              .code = 16, /* at once, and for good */
                              .remark = "not now"};
    int n;

    append(writer, topic, 0, 8, true);
    take_all(writer);
    OK(rc_writer_sync(writer, FOR_EVER, &err));
    n = fakemq_fault(b->mq, &rule);
    append(writer, topic, 8, 24, true);
    take_all(writer);
    crash(b, writer);
    fakemq_fault_end(b->mq, n);
    fakemq_truncate(b->mq, "T", "broker-0", 1, 2); /* record 17 is lost again: not acknowledged */
    topic = topic_of(b, "T");
    writer = writer_of(b, true);
    append(writer, topic, 8, 32, true);
    take_all(writer);
    rc_writer_close(writer);
    assert_records(b, "T", 32);
}

static void an_unanswered_send_is_looked_up(void **state)
{
    bed *b = *state;
    const fakemq_rule rules[] = {
        {.action = FAKEMQ_SWALLOW, .request = 320, .topic = "T", .skip = 3, .count = 1},
        {.action = FAKEMQ_IGNORE, .request = 320, .topic = "T", .skip = 9, .count = 1},
        {.action = FAKEMQ_CUT_AFTER, .request = 320, .topic = "T", .skip = 14, .count = 1},
        {.action = FAKEMQ_CUT, .request = 320, .topic = "T", .skip = 20, .count = 1},
    };
    rc_topic *topic = topic_of(b, "T");
    rc_writer *writer = writer_of(b, true);

    for (size_t i = 0; i < RC_COUNT(rules); i++)
        (void)fakemq_fault(b->mq, &rules[i]);
    for (int i = 0; i < 10; i++) {
        append(writer, topic, i * 16, i * 16 + 16, true);
        if (i % 3 == 2)
            take_all(writer);
    }
    take_all(writer);
    rc_writer_close(writer);
    assert_records(b, "T", 160);
    assert_position(b, "{\"nextPosition\":\"160\"}");
}

static bool next_offset_asked(fakemq *mq, void *arg)
{
    (void)arg;
    for (int i = fakemq_requests(mq, 30, NULL) - 1; i >= 0; i--) {
        char *committed = fakemq_request_field(mq, 30, i, "committed");
        char *topic = fakemq_request_field(mq, 30, i, "topic");
        bool is = strcmp(committed, "false") == 0 && strcmp(topic, "T") == 0;

        free(committed);
        free(topic);
        if (is)
            return true;
    }
    return false;
}

/* A busy broker has stored a send, lost its answer, and shows the messages only later. */
static void what_is_stored_and_not_yet_shown_counts(void **state)
{
    bed *b = *state;
    const fakemq_rule rule = {.action = FAKEMQ_SWALLOW, .request = 320, .topic = "T", .count = 1};
    rc_topic *topic = topic_of(b, "T");
    rc_writer *writer = writer_of(b, true);

    append(writer, topic, 0, 8, true);
    take_all(writer);
    (void)fakemq_fault(b->mq, &rule);
    for (int q = 0; q < 4; q++) {
        fakemq_hide(b->mq, "T", "broker-0", q, true);
        fakemq_hide(b->mq, "T", "broker-1", q, true);
    }
    append(writer, topic, 8, 16, true);
    fakemq_wait(b->mq, next_offset_asked, NULL, "nobody looks at what the broker will write next");
    for (int q = 0; q < 4; q++) {
        fakemq_hide(b->mq, "T", "broker-0", q, false);
        fakemq_hide(b->mq, "T", "broker-1", q, false);
    }
    take_all(writer);
    rc_writer_close(writer);
    assert_records(b, "T", 16);
}

/* A position is committed while later records of other queues are stored already: what the position
 * does not cover stays behind the notes. */
static void a_note_never_passes_what_is_not_covered(void **state)
{
    bed *b = *state;
    rc_topic *topic = topic_of(b, "T");
    rc_writer *writer = writer_of(b, true);
    const fakemq_rule held = {
        .action = FAKEMQ_REFUSE, .request = 320, .broker = "broker-1", .topic = "T", .code = 2};
    const fakemq_rule crashed = {.action = FAKEMQ_REFUSE,
                                 .request = 320,
                                 .topic = "connector-position-topic",
                                 .code = 16,
                                 .remark = "not now"};
    rc_error err = {0};
    int hold, end;

    append(writer, topic, 0, 8, true); /* all queues are noted, and this is committed */
    take_all(writer);
    OK(rc_writer_sync(writer, FOR_EVER, &err));
    append(writer, topic, 8, 12, true); /* to broker-0 alone: its position moves to 12 */
    hold = fakemq_fault(b->mq, &held);
    append(writer, topic, 12, 24, true); /* stored at broker-0, waits for broker-1 */
    for (int i = 0; i < 400 && stored(b, "T") < 16; i++)
        (void)usleep(10000);
    assert_int_equal(stored(b, "T"), 16);
    OK(rc_writer_sync(writer, FOR_EVER, &err)); /* commits 12, not 24 */
    assert_position(b, "{\"nextPosition\":\"12\"}");
    end = fakemq_fault(b->mq, &crashed);
    crash(b, writer);
    fakemq_fault_end(b->mq, end);
    fakemq_fault_end(b->mq, hold);
    topic = topic_of(b, "T");
    writer = writer_of(b, true);
    append(writer, topic, 12, 32, true);
    take_all(writer);
    rc_writer_close(writer);
    assert_records(b, "T", 32);
}

/* A reset says: from the beginning, and all of it. What was stored behind a note is no copy then,
 * also of a partition that never had a position. */
static void a_reset_forgets_what_was_noted(void **state)
{
    bed *b = *state;
    rc_topic *topic = topic_of(b, "T");
    rc_writer *writer = writer_of(b, true);
    const fakemq_rule rule = {.action = FAKEMQ_REFUSE,
                              .request = 320,
                              .topic = "connector-position-topic",
                              .skip = 8, /* the notes of 8 queues */
                              .code = 16,
                              .remark = "not now"};
    rc_error err = {0};
    int n = fakemq_fault(b->mq, &rule);

    append(writer, topic, 0, 16, true);
    take_all(writer);
    crash(b, writer);
    fakemq_fault_end(b->mq, n);
    assert_position(b, NULL);
    OK(rc_log_position_set(b->log, "c", omc_slice_of(NULL, 0), omc_slice_of(NULL, 0), &err));
    topic = topic_of(b, "T");
    writer = writer_of(b, true);
    append(writer, topic, 0, 16, true);
    take_all(writer);
    rc_writer_close(writer);
    assert_int_equal(stored(b, "T"), 32);
}

static void a_topic_made_anew_with_fewer_queues_has_fewer(void **state)
{
    bed *b = *state;

    assert_int_equal(rc_topic_queues(topic_of(b, "T")), 8);
    fakemq_topic_on(b->mq, "T", "broker-0", 2);
    for (int i = 0; i < 100 && rc_topic_queues(topic_of(b, "T")) != 6; i++)
        (void)usleep(50000);
    assert_int_equal(rc_topic_queues(topic_of(b, "T")), 6);
    fakemq_kill(b->mq, "broker-1"); /* away: its queues are waited for */
    assert_int_equal(rc_topic_queues(topic_of(b, "T")), 6);
    fakemq_revive(b->mq, "broker-1");
}

static void lost_messages_are_noticed(void **state)
{
    bed *b = *state;
    rc_topic *topic = topic_of(b, "T");
    rc_writer *writer = writer_of(b, true);
    rc_message message = {.body = omc_slice_str("x")};
    rc_identity identity;
    rc_error err = {0};
    rc_append *a;

    append(writer, topic, 0, 40, true);
    take_all(writer);
    OK(rc_writer_sync(writer, FOR_EVER, &err));
    append(writer, topic, 40, 41, true);
    take_all(writer);
    crash(b, writer);
    fakemq_truncate(b->mq, "T", "broker-0", 0, 1);
    topic = topic_of(b, "T");
    writer = writer_of(b, true);
    a = rc_append_new(writer);
    rc_identity_of("c", omc_slice_str(PARTITION), omc_slice_str("{\"nextPosition\":\"41\"}"),
                   &identity);
    identity.ordinal = 0;
    message.identity = &identity;
    assert_int_equal(rc_append_add(a, topic, 0, &message, NULL, &err), -OMC_ESTATE);
    assert_non_null(strstr(err.msg, "broker-0"));
    assert_true(err.flags & OMC_ERR_FATAL);
    rc_append_free(a);
    rc_writer_close(writer);
}

static void a_writer_that_ends_well_leaves_no_notes(void **state)
{
    bed *b = *state;
    rc_writer *writer = writer_of(b, true);
    int pulls;

    append(writer, topic_of(b, "T"), 0, 40, true);
    take_all(writer);
    rc_writer_close(writer);
    close_log(b);
    open_log(b);
    pulls = fakemq_requests(b->mq, 11, NULL);
    writer = writer_of(b, true);
    append(writer, topic_of(b, "T"), 40, 80, true);
    take_all(writer);
    rc_writer_close(writer);
    /* Nothing of topic T had to be read back. */
    for (int i = pulls; i < fakemq_requests(b->mq, 11, NULL); i++) {
        char *name = fakemq_request_field(b->mq, 11, i, "topic");

        assert_string_equal(name, "connector-position-topic");
        free(name);
    }
    assert_records(b, "T", 80);
}

/* ---- readers and groups ---------------------------------------------------------------------- */

static void what_is_stored_is_read(void **state)
{
    bed *b = *state;
    const rc_reader_config config = {.name = "s-0", .group = "connect-s"};
    rc_topic *topic = topic_of(b, "T");
    rc_reader *reader = NULL;
    rc_fetch fetch = {0};
    rc_error err = {0};
    int64_t next[8] = {0}, lag;
    int seen = 0;

    for (int q = 0; q < 4; q++)
        fakemq_fill(b->mq, "T", "broker-1", q, 25);
    OK(rc_reader_open(b->log, &config, &reader, &err));
    for (int32_t i = 0; i < 8; i++)
        OK(rc_reader_add(reader, topic, i, 0, &err));
    while (seen < 100) {
        int n = rc_reader_fetch(reader, 10, 1 << 20, FOR_EVER, &fetch, &err);

        assert_true(n > 0 && n <= 10);
        for (int i = 0; i < n; i++) {
            char body[32];

            assert_int_equal(fetch.messages[i].offset, next[fetch.queue]);
            (void)snprintf(body, sizeof body, "body-%d", (int)next[fetch.queue]++);
            assert_true(omc_slice_is(fetch.messages[i].body, body));
            assert_true(fetch.messages[i].tags.len == 4);
        }
        assert_int_equal(fetch.next_offset, next[fetch.queue]);
        seen += n;
    }
    assert_int_equal(rc_reader_fetch(reader, 10, 1000, rc_mono_ns(rc_clock_real()) + 50000000,
                                     &fetch, &err),
                     0);
    OK(rc_reader_lag(reader, &lag, &err));
    assert_int_equal(lag, 0);
    OK(rc_reader_seek(reader, topic, 4, 20, &err));
    assert_int_equal(rc_reader_fetch(reader, 10, 1 << 20, FOR_EVER, &fetch, &err), 5);
    rc_fetch_release(reader, &fetch);
    rc_reader_close(reader);
}

/* Reads until `seen` holds `until` messages, in order per queue. */
static int read_more(rc_reader *reader, int64_t *next, int seen, int until)
{
    rc_fetch fetch = {0};
    rc_error err = {0};

    while (seen < until) {
        int n = rc_reader_fetch(reader, 3, 1 << 20,
                                rc_mono_ns(rc_clock_real()) + INT64_C(20000000000), &fetch, &err);

        assert_true(n > 0);
        for (int i = 0; i < n; i++)
            assert_int_equal(fetch.messages[i].offset, next[fetch.queue]++);
        seen += n;
    }
    rc_fetch_release(reader, &fetch);
    return seen;
}

/* What was received of other queues and is not handed on yet stays. */
static void a_queue_that_is_given_up_takes_no_others_along(void **state)
{
    bed *b = *state;
    const rc_reader_config config = {.name = "s-0", .group = "connect-s"};
    rc_topic *topic = topic_of(b, "T");
    rc_reader *reader = NULL;
    rc_error err = {0};
    int64_t next[8] = {0};
    int seen;

    fakemq_fill(b->mq, "T", "broker-1", 3, 25);
    OK(rc_reader_open(b->log, &config, &reader, &err));
    for (int32_t i = 0; i < 8; i++)
        OK(rc_reader_add(reader, topic, i, 0, &err));
    seen = read_more(reader, next, 0, 1); /* the rest is held, and its queue is the last one */
    fakemq_fill(b->mq, "T", "broker-1", 2, 25);
    for (int32_t i = 0; i < 6; i++) {
        OK(rc_reader_remove(reader, topic, i, &err));
        OK(rc_reader_add(reader, topic, i, 0, &err));
        seen = read_more(reader, next, seen, seen + 1);
    }
    seen = read_more(reader, next, seen, 40);
    /* Given up in the middle and taken back where it stood. */
    for (int32_t i = 6; i < 8; i++) {
        OK(rc_reader_remove(reader, topic, i, &err));
        OK(rc_reader_add(reader, topic, i, next[i], &err));
    }
    (void)read_more(reader, next, seen, 50);
    assert_int_equal(next[6], 25);
    assert_int_equal(next[7], 25);
    rc_reader_close(reader);
}

static void offsets_are_the_groups(void **state)
{
    bed *b = *state;
    rc_topic *topic = topic_of(b, "T");
    rc_arena arena;
    rc_commit commits[] = {{.topic = topic, .queue = 1, .offset = 12},
                           {.topic = topic, .queue = 6, .offset = 3}};
    rc_error err = {0};
    rc_slice text;
    int64_t offset;

    rc_arena_init(&arena, 1024);
    fakemq_fill(b->mq, "T", "broker-0", 1, 20);
    OK(rc_log_committed(b->log, "connect-s", topic, 1, &arena.pub, &offset, &text, &err));
    assert_int_equal(offset, -1);
    OK(rc_log_commit(b->log, "connect-s", commits, 2, &err));
    assert_int_equal(fakemq_committed(b->mq, "connect-s", "T", "broker-0", 1), 12);
    assert_int_equal(fakemq_committed(b->mq, "connect-s", "T", "broker-1", 2), 3);
    OK(rc_log_committed(b->log, "connect-s", topic, 1, &arena.pub, &offset, &text, &err));
    assert_int_equal(offset, 12);
    assert_null(text.base);
    rc_arena_release(&arena);
}

static void a_sinks_state_and_offset_are_one(void **state)
{
    bed *b = *state;
    rc_topic *topic = topic_of(b, "T");
    rc_arena arena;
    rc_commit commit = {.topic = topic,
                        .queue = 1,
                        .offset = 12,
                        .state = omc_slice_str("{\"length\":400}")};
    rc_error err = {0};
    rc_slice text;
    int64_t offset;

    rc_arena_init(&arena, 1024);
    OK(rc_log_commit(b->log, "connect-s", &commit, 1, &err));
    /* A crashed broker forgets the last offsets it was told. */
    fakemq_commit(b->mq, "connect-s", "T", "broker-0", 1, 4);
    close_log(b);
    open_log(b);
    topic = topic_of(b, "T");
    OK(rc_log_committed(b->log, "connect-s", topic, 1, &arena.pub, &offset, &text, &err));
    assert_int_equal(offset, 12);
    assert_true(omc_slice_is(text, "{\"length\":400}"));
    commit = (rc_commit){.topic = topic, .queue = 1, .offset = 5};
    OK(rc_log_commit(b->log, "connect-s", &commit, 1, &err));
    OK(rc_log_committed(b->log, "connect-s", topic, 1, &arena.pub, &offset, &text, &err));
    assert_int_equal(offset, 5);
    assert_null(text.base);
    rc_arena_release(&arena);
}

static void nobody_there_is_said(void **state)
{
    const rc_rocketmq_config config = {
        .client = {.namesrv = "127.0.0.1:1", .request_timeout_ms = 300},
        .position_topic = "connector-position-topic",
        .clock = rc_clock_real(),
    };
    rc_error err = {0};
    rc_log *log = NULL;

    (void)state;
    assert_int_equal(rc_rocketmq_open(&config, &log, &err), -OMC_ECONNECT);
    assert_non_null(strstr(err.msg, "127.0.0.1:1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(topics_are_made_on_all_brokers),
        TEST(what_is_appended_is_there_in_order),
        TEST(positions_are_javas_records),
        TEST(positions_are_read_by_the_next),
        IMPATIENT(a_position_never_passes_what_is_not_acknowledged),
        TEST(a_full_writer_says_so),
        TEST(a_message_too_large_names_its_size),
        TEST(a_successor_ends_what_its_predecessor_began),
        TEST(batches_fit_what_the_broker_takes),
        TEST(after_a_crash_nothing_is_stored_twice),
        TEST(a_crash_while_taking_over_changes_nothing),
        TEST(only_what_is_missing_is_stored),
        IMPATIENT(an_unanswered_send_is_looked_up),
        IMPATIENT(what_is_stored_and_not_yet_shown_counts),
        TEST(a_note_never_passes_what_is_not_covered),
        TEST(a_reset_forgets_what_was_noted),
        TEST(a_topic_made_anew_with_fewer_queues_has_fewer),
        TEST(lost_messages_are_noticed),
        TEST(a_writer_that_ends_well_leaves_no_notes),
        TEST(what_is_stored_is_read),
        TEST(a_queue_that_is_given_up_takes_no_others_along),
        TEST(offsets_are_the_groups),
        TEST(a_sinks_state_and_offset_are_one),
        cmocka_unit_test(nobody_there_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
