/* SPDX-License-Identifier: Apache-2.0 */
/** The embedded log as tasks see it: order, atomic positions, readers, live tables, reopening. */
#include "log_unit.h"

#include "base/units.h"

#include <poll.h>
#include <pthread.h>
#include <sqlite3.h>
#include <sys/wait.h>

static void names_are_checked(void **state)
{
    static const struct {
        const char *name;
        int r;
        const char *says;
    } cases[] = {
        {"orders", 0, ""},
        {"a%b|c_d-9", 0, ""},
        {"", -OMC_EINVAL, "empty"},
        {"a b", -OMC_EINVAL, "' ' at place 2"},
        {"a.b", -OMC_EINVAL, "'.' at place 2"},
        {"gr\xc3\xbc", -OMC_EINVAL, "0xc3 at place 3"},
    };
    char longest[RC_TOPIC_NAME_MAX + 2];
    rc_error err = {0};
    (void)state;

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        int r = rc_topic_name_check(cases[i].name, &err);

        if (r != cases[i].r || (r < 0 && !strstr(err.msg, cases[i].says)))
            fail_msg("case %zu '%s': r=%d '%s'", i, cases[i].name, r, err.msg);
    }
    memset(longest, 'x', sizeof longest);
    longest[RC_TOPIC_NAME_MAX] = '\0';
    assert_int_equal(rc_topic_name_check(longest, &err), 0);
    longest[RC_TOPIC_NAME_MAX] = 'x';
    longest[RC_TOPIC_NAME_MAX + 1] = '\0';
    assert_int_equal(rc_topic_name_check(longest, &err), -OMC_EINVAL);
}

static int collect(void *arg, rc_topic *topic)
{
    rc_buf *names = arg;

    rc_buf_printf(names, "%s/%d ", rc_topic_name(topic), rc_topic_queues(topic));
    return 0;
}

static void topics_stay(void **state)
{
    bed b = {.config = {.queues = 3}};
    rc_buf names = RC_BUF(1000);
    rc_error err = {0};
    rc_topic *topic;
    (void)state;

    bed_init(&b);
    assert_int_equal(rc_log_topic(b.log, "none", 0, &topic, &err), -OMC_ENOTFOUND);
    topic = bed_topic(&b, "two", 2);
    assert_ptr_equal(bed_topic(&b, "two", 7), topic);
    (void)bed_topic(&b, "default", -1);
    (void)bed_topic(&b, "one", 1);
    for (int i = 0; i < 2; i++) {
        rc_buf_clear(&names);
        OK(rc_log_topics(b.log, collect, &names, &err));
        assert_string_equal(names.data, "default/3 one/1 two/2 ");
        bed_reopen(&b);
    }
    rc_buf_release(&names);
    bed_done(&b);
}

/* Several writers, several queues, all submitted before any receipt is taken. */
static void order_and_offsets_of_writers(void **state)
{
    enum { WRITERS = 3, APPENDS = 40, EACH = 25 };
    bed b = {.log = NULL};
    rc_writer *writers[WRITERS];
    rc_error err = {0};
    rc_topic *topic;
    (void)state;

    bed_init(&b);
    topic = bed_topic(&b, "t", WRITERS);
    for (int w = 0; w < WRITERS; w++)
        writers[w] = bed_writer(&b, "c");
    for (int a = 0; a < APPENDS; a++)
        for (int w = 0; w < WRITERS; w++) {
            rc_append *append = rc_append_new(writers[w]);

            add_numbers(append, topic, w, a * EACH, EACH, 10);
            OK(rc_writer_submit(writers[w], append, append, &err));
        }
    for (int w = 0; w < WRITERS; w++) {
        for (int a = 0; a < APPENDS; a++) {
            rc_receipt receipt = {0};
            rc_slot last = {0, EACH - 1};

            assert_int_equal(rc_writer_receipt(writers[w], soon(), &receipt), 1);
            assert_int_equal(receipt.result, 0);
            assert_ptr_equal(receipt.cookie, receipt.append);
            assert_true(receipt.latency_us >= 0);
            assert_int_equal(rc_append_offset(receipt.append, last), a * EACH + EACH - 1);
            assert_int_equal(rc_append_queue(receipt.append, last), w);
            assert_ptr_equal(rc_append_topic(receipt.append, last), topic);
            rc_append_free(receipt.append);
        }
        assert_int_equal(rc_writer_pending(writers[w]), 0);
        assert_int_equal(rc_writer_pending_bytes(writers[w]), 0);
        rc_writer_close(writers[w]);
    }
    for (int w = 0; w < WRITERS; w++) {
        rc_reader *reader = bed_reader(&b, topic, w, 0);

        expect_numbers(reader, 0, APPENDS * EACH, 0);
        rc_reader_close(reader);
    }
    bed_done(&b);
}

static void messages_keep_everything(void **state)
{
    static const omc_pair pairs[] = {{{"a", 1}, {"1", 1}}, {{"empty", 5}, {"", 0}}};
    const rc_message in[] = {
        {.body = {"body", 4}, .born_ms = 1700000000123},
        {.body = {NULL, 0}, .keys = {"k", 1}, .born_ms = 1700000000124}, /* tombstone */
        {.body = {"", 0}, .tags = {"", 0}, .born_ms = 5},
        {.body = {"\0\xff\n", 3},
         .keys = {"k1 k2", 5},
         .tags = {"t", 1},
         .properties = pairs,
         .property_count = 2,
         .flag = -7,
         .born_ms = -1},
    };
    bed b = {.log = NULL};
    rc_error err = {0};
    rc_fetch fetch = {0};
    rc_append *append;
    rc_writer *writer;
    rc_reader *reader;
    rc_topic *topic;
    int64_t before = rc_now_ms(rc_clock_real());
    (void)state;

    bed_init(&b);
    topic = bed_topic(&b, "t", 1);
    writer = bed_writer(&b, "c");
    append = rc_append_new(writer);
    for (size_t i = 0; i < RC_COUNT(in); i++)
        OK(rc_append_add(append, topic, 0, &in[i], NULL, &err));
    assert_int_equal(store(writer, append), 0);
    reader = bed_reader(&b, topic, 0, 0);
    assert_int_equal(rc_reader_fetch(reader, 100, 1000, soon(), &fetch, &err), RC_COUNT(in));
    for (size_t i = 0; i < RC_COUNT(in); i++) {
        const rc_message *out = &fetch.messages[i];

        if (!omc_slice_eq(out->body, in[i].body) || !out->body.base != !in[i].body.base ||
            !omc_slice_eq(out->keys, in[i].keys) || !out->keys.base != !in[i].keys.base ||
            !omc_slice_eq(out->tags, in[i].tags) || !out->tags.base != !in[i].tags.base ||
            out->flag != in[i].flag || out->born_ms != in[i].born_ms ||
            out->property_count != in[i].property_count)
            fail_msg("message %zu came back different", i);
        assert_int_equal(out->offset, i);
        assert_true(out->stored_ms >= before);
        assert_int_equal(out->message_id.len, 0);
    }
    assert_true(omc_slice_is(fetch.messages[3].properties[1].key, "empty"));
    assert_int_equal(fetch.messages[3].properties[1].value.len, 0);
    assert_int_equal(fetch.next_offset, 4);
    assert_int_equal(fetch.end_offset, 4);
    rc_fetch_release(reader, &fetch);
    rc_reader_close(reader);
    rc_writer_close(writer);
    bed_done(&b);
}

static void sizes_are_limited(void **state)
{
    bed b = {.log = NULL};
    RC_AUTO_FREE char *big = rc_calloc(1, RC_MESSAGE_MAX + 1);
    rc_message m = {.body = {big, RC_MESSAGE_MAX + 1}};
    rc_writer_config config = {.name = "task", .connector = "c", .pending_bytes_max = 1000};
    rc_error err = {0};
    rc_fetch fetch = {0};
    rc_append *append;
    rc_writer *writer;
    rc_reader *reader;
    rc_receipt receipt;
    rc_topic *topic;
    (void)state;

    bed_init(&b);
    topic = bed_topic(&b, "t", 1);
    OK(rc_writer_open(b.log, &config, &writer, &err));
    append = rc_append_new(writer);
    assert_int_equal(rc_append_add(append, topic, 0, &m, NULL, &err), -OMC_EINVAL);
    assert_non_null(strstr(err.msg, "4194305"));
    assert_int_equal(rc_append_add(append, topic, 1, &m, NULL, &err), -OMC_EINVAL);
    m.body.len = RC_MESSAGE_MAX;
    OK(rc_append_add(append, topic, 0, &m, NULL, &err)); /* also over the pending limit: alone */
    m.body.len = 1;
    OK(rc_append_add(append, topic, 0, &m, NULL, &err));
    OK(rc_writer_submit(writer, append, NULL, &err));
    append = rc_append_new(writer);
    add_numbers(append, topic, 0, 0, 1, 100);
    assert_int_equal(rc_writer_submit(writer, append, NULL, &err), -OMC_EAGAIN);
    assert_true(err.flags & OMC_ERR_RETRIABLE);
    assert_int_equal(rc_writer_receipt(writer, soon(), &receipt), 1);
    assert_int_equal(receipt.result, 0);
    rc_append_free(receipt.append);
    assert_int_equal(store(writer, append), 2);
    reader = bed_reader(&b, topic, 0, 0);
    assert_int_equal(rc_reader_fetch(reader, 100, 10, soon(), &fetch, &err), 1);
    assert_int_equal(fetch.messages[0].body.len, RC_MESSAGE_MAX);
    assert_int_equal(rc_reader_fetch(reader, 100, 10, soon(), &fetch, &err), 1);
    assert_int_equal(rc_reader_fetch(reader, 100, 10, soon(), &fetch, &err), 1);
    assert_int_equal(fetch.messages[0].body.len, 100);
    rc_fetch_release(reader, &fetch);
    rc_reader_close(reader);
    rc_writer_close(writer);
    bed_done(&b);
}

static rc_slice position(bed *b, const char *connector, const char *partition, rc_arena *arena)
{
    rc_error err = {0};
    rc_slice ret = {0};

    OK(rc_log_position(b->log, connector, omc_slice_str(partition), &arena->pub, &ret, &err));
    return ret;
}

static int join_positions(void *arg, rc_slice partition, rc_slice offset)
{
    rc_buf_printf(arg, RC_SLICE_FMT "=" RC_SLICE_FMT " ", RC_SLICE_ARG(partition),
                  RC_SLICE_ARG(offset));
    return 0;
}

static void positions_belong_to_connectors(void **state)
{
    bed b = {.log = NULL};
    rc_buf all = RC_BUF(1000);
    rc_error err = {0};
    rc_arena arena;
    rc_append *append;
    rc_writer *writer;
    (void)state;

    rc_arena_init(&arena, 1000);
    bed_init(&b);
    writer = bed_writer(&b, "c1");
    append = rc_append_new(writer);
    rc_append_position(append, omc_slice_str("{\"f\":1}"), omc_slice_str("old"));
    rc_append_position(append, omc_slice_str("{\"f\":2}"), omc_slice_str("20"));
    rc_append_position(append, omc_slice_str("{\"f\":1}"), omc_slice_str("10"));
    assert_int_equal(rc_append_positions(append), 2);
    (void)store(writer, append);
    rc_writer_close(writer);
    OK(rc_log_position_set(b.log, "c2", omc_slice_str("{\"f\":1}"), omc_slice_str("99"), &err));
    for (int i = 0; i < 2; i++) {
        assert_true(omc_slice_is(position(&b, "c1", "{\"f\":1}", &arena), "10"));
        assert_true(omc_slice_is(position(&b, "c2", "{\"f\":1}", &arena), "99"));
        assert_null(position(&b, "c2", "{\"f\":2}", &arena).base);
        rc_buf_clear(&all);
        OK(rc_log_positions(b.log, "c1", join_positions, &all, &err));
        assert_string_equal(all.data, "{\"f\":1}=10 {\"f\":2}=20 ");
        bed_reopen(&b);
    }
    OK(rc_log_position_set(b.log, "c1", omc_slice_str("{\"f\":1}"), (rc_slice){NULL, 0}, &err));
    assert_null(position(&b, "c1", "{\"f\":1}", &arena).base);
    assert_true(omc_slice_is(position(&b, "c1", "{\"f\":2}", &arena), "20"));
    OK(rc_log_position_set(b.log, "c1", (rc_slice){NULL, 0}, (rc_slice){NULL, 0}, &err));
    assert_null(position(&b, "c1", "{\"f\":2}", &arena).base);
    assert_true(omc_slice_is(position(&b, "c2", "{\"f\":1}", &arena), "99"));
    rc_arena_release(&arena);
    rc_buf_release(&all);
    bed_done(&b);
}

static void groups_commit_offsets_and_state(void **state)
{
    bed b = {.log = NULL};
    rc_error err = {0};
    rc_arena arena;
    rc_topic *topic;
    rc_slice text;
    int64_t offset;
    (void)state;

    rc_arena_init(&arena, 1000);
    bed_init(&b);
    topic = bed_topic(&b, "t", 2);
    {
        rc_commit commits[] = {{.topic = topic, .offset = 10, .state = {"{\"len\":5}", 9}},
                               {.topic = topic, .queue = 1, .offset = 20}};

        OK(rc_log_commit(b.log, "g", NULL, commits, 2, &err));
        commits[0].queue = 2;
        assert_int_equal(rc_log_commit(b.log, "g", NULL, commits, 2, &err), -OMC_EINVAL);
        assert_int_equal(rc_log_commit(b.log, "g g", NULL, commits, 2, &err), -OMC_EINVAL);
    }
    bed_reopen(&b);
    topic = bed_topic(&b, "t", 0);
    OK(rc_log_committed(b.log, "g", topic, 0, &arena.pub, &offset, &text, &err));
    assert_int_equal(offset, 10);
    assert_true(omc_slice_is(text, "{\"len\":5}"));
    OK(rc_log_committed(b.log, "g", topic, 1, &arena.pub, &offset, &text, &err));
    assert_int_equal(offset, 20);
    assert_null(text.base);
    OK(rc_log_committed(b.log, "other", topic, 1, &arena.pub, &offset, &text, &err));
    assert_int_equal(offset, -1);
    {
        rc_commit forget = {.topic = topic, .offset = -1};

        OK(rc_log_commit(b.log, "g", NULL, &forget, 1, &err));
    }
    OK(rc_log_committed(b.log, "g", topic, 0, &arena.pub, &offset, &text, &err));
    assert_int_equal(offset, -1);
    OK(rc_log_group_delete(b.log, "g", &err));
    OK(rc_log_committed(b.log, "g", topic, 1, &arena.pub, &offset, &text, &err));
    assert_int_equal(offset, -1);
    rc_arena_release(&arena);
    bed_done(&b);
}

static void reading_starts_anywhere(void **state)
{
    bed b = {.log = NULL};
    rc_error err = {0};
    rc_fetch fetch = {0};
    rc_writer *writer;
    rc_reader *reader;
    rc_topic *topic;
    int64_t lag;
    (void)state;

    bed_init(&b);
    topic = bed_topic(&b, "t", 1);
    writer = bed_writer(&b, "c");
    for (int i = 0; i < 30; i++)
        assert_int_equal(store_numbers(writer, topic, 0, i * 100, 100, 20), i * 100);
    reader = bed_reader(&b, topic, 0, 1234);
    OK(rc_reader_lag(reader, &lag, &err));
    assert_int_equal(lag, 3000 - 1234);
    expect_numbers(reader, 1234, 3000 - 1234, 0); /* in mid-batch */
    OK(rc_reader_lag(reader, &lag, &err));
    assert_int_equal(lag, 0);
    OK(rc_reader_seek(reader, topic, 0, 99, &err));
    assert_int_equal(rc_reader_fetch(reader, 3, 1 << 20, soon(), &fetch, &err), 3);
    assert_int_equal(fetch.messages[0].offset, 99);
    assert_int_equal(fetch.next_offset, 102);
    assert_int_equal(fetch.end_offset, 3000);
    OK(rc_reader_pause(reader, topic, 0, true, &err));
    assert_int_equal(rc_reader_fetch(reader, 3, 1 << 20, 0, &fetch, &err), 0);
    OK(rc_reader_pause(reader, topic, 0, false, &err));
    assert_int_equal(rc_reader_fetch(reader, 1000, 50, soon(), &fetch, &err), 2); /* by bytes */
    assert_int_equal(fetch.messages[0].offset, 102);
    OK(rc_reader_seek(reader, topic, 0, 3001, &err));
    assert_int_equal(rc_reader_fetch(reader, 3, 1 << 20, 0, &fetch, &err), -OMC_ENOTFOUND);
    assert_non_null(strstr(err.msg, "offset 3001"));
    assert_non_null(strstr(err.msg, "3000"));
    OK(rc_reader_seek(reader, topic, 0, 3000, &err));
    assert_int_equal(rc_reader_fetch(reader, 3, 1 << 20, 0, &fetch, &err), 0);
    OK(rc_reader_remove(reader, topic, 0, &err));
    assert_int_equal(rc_reader_remove(reader, topic, 0, &err), -OMC_ENOTFOUND);
    rc_fetch_release(reader, &fetch);
    rc_reader_close(reader);
    rc_writer_close(writer);
    bed_done(&b);
}

static void queues_take_turns(void **state)
{
    bed b = {.log = NULL};
    rc_error err = {0};
    rc_fetch fetch = {0};
    rc_append *append;
    rc_writer *writer;
    rc_reader *reader;
    rc_topic *topic;
    int seen[3] = {0};
    (void)state;

    bed_init(&b);
    topic = bed_topic(&b, "t", 3);
    writer = bed_writer(&b, "c");
    append = rc_append_new(writer);
    for (int i = 0; i < 30; i++) /* one append, three batches, interleaved */
        add_numbers(append, topic, i % 3, i / 3, 1, 10);
    (void)store(writer, append);
    reader = bed_reader(&b, topic, 0, 0);
    OK(rc_reader_add(reader, topic, 1, 0, &err));
    OK(rc_reader_add(reader, topic, 2, 0, &err));
    assert_int_equal(rc_reader_add(reader, topic, 2, 0, &err), -OMC_EEXIST);
    while (rc_reader_fetch(reader, 7, 1 << 20, 0, &fetch, &err) > 0) {
        assert_ptr_equal(fetch.topic, topic);
        for (size_t i = 0; i < fetch.count; i++)
            assert_int_equal(body_number(&fetch.messages[i]), seen[fetch.queue]++);
    }
    for (int q = 0; q < 3; q++)
        assert_int_equal(seen[q], 10);
    rc_fetch_release(reader, &fetch);
    rc_reader_close(reader);
    rc_writer_close(writer);
    bed_done(&b);
}

typedef struct later {
    rc_writer *writer;
    rc_topic *topic;
    rc_wake *wake;
} later;

static void *store_one(void *arg)
{
    later *l = arg;

    (void)store_numbers(l->writer, l->topic, 0, 0, 1, 10);
    return NULL;
}

static void *set_wake(void *arg)
{
    rc_wake_set(((later *)arg)->wake);
    return NULL;
}

static void waiting_ends_for_data_and_for_wake(void **state)
{
    bed b = {.log = NULL};
    rc_wake wake;
    rc_reader_config config = {.name = "r", .wake = &wake};
    rc_error err = {0};
    rc_fetch fetch = {0};
    rc_reader *reader;
    later l;
    pthread_t thread;
    (void)state;

    OK(rc_wake_init(&wake, &err));
    bed_init(&b);
    l = (later){bed_writer(&b, "c"), bed_topic(&b, "t", 1), &wake};
    OK(rc_reader_open(b.log, &config, &reader, &err));
    OK(rc_reader_add(reader, l.topic, 0, 0, &err));
    assert_int_equal(pthread_create(&thread, NULL, store_one, &l), 0);
    assert_int_equal(rc_reader_fetch(reader, 10, 1000, NEVER, &fetch, &err), 1);
    (void)pthread_join(thread, NULL);
    assert_int_equal(pthread_create(&thread, NULL, set_wake, &l), 0);
    assert_int_equal(rc_reader_fetch(reader, 10, 1000, NEVER, &fetch, &err), 0);
    (void)pthread_join(thread, NULL);
    assert_int_equal(rc_reader_fetch(reader, 10, 1000, NEVER, &fetch, &err), 0); /* still set */
    rc_wake_clear(&wake);
    assert_int_equal(rc_reader_fetch(reader, 10, 1000, rc_mono_ns(rc_clock_real()) + 3000000,
                                     &fetch, &err),
                     0);
    rc_fetch_release(reader, &fetch);
    rc_reader_close(reader);
    rc_writer_close(l.writer);
    bed_done(&b);
    rc_wake_release(&wake);
}

static void a_receipt_sets_the_wake(void **state)
{
    bed b = {.log = NULL};
    rc_wake wake;
    rc_writer_config config = {.name = "task", .connector = "c", .wake = &wake};
    struct pollfd fd;
    rc_error err = {0};
    rc_append *append;
    rc_writer *writer;
    rc_receipt receipt;
    (void)state;

    OK(rc_wake_init(&wake, &err));
    bed_init(&b);
    OK(rc_writer_open(b.log, &config, &writer, &err));
    append = rc_append_new(writer);
    add_numbers(append, bed_topic(&b, "t", 1), 0, 0, 1, 10);
    OK(rc_writer_submit(writer, append, NULL, &err));
    fd = (struct pollfd){.fd = wake.fd, .events = POLLIN};
    assert_int_equal(poll(&fd, 1, 30000), 1);
    assert_int_equal(rc_writer_receipt(writer, 0, &receipt), 1);
    rc_append_free(receipt.append);
    assert_int_equal(rc_writer_receipt(writer, 0, &receipt), 0);
    rc_writer_close(writer);
    bed_done(&b);
    rc_wake_release(&wake);
}

/* What a closed writer had submitted is stored all the same. */
/* Number the position "next" says to go on at; 0 when there is none. */
static int64_t next_by_position(bed *b)
{
    rc_arena arena;
    rc_slice offset;
    rc_error err = {0};
    int64_t next = 0;

    rc_arena_init(&arena, 256);
    OK(rc_log_position(b->log, "c", omc_slice_str("{}"), &arena.pub, &offset, &err));
    if (offset.base)
        OK(rc_parse_int64(offset, &next));
    rc_arena_release(&arena);
    return next;
}

/* Whatever was under way when a writer was closed: the position read right after is the end of
 * what is stored, so whoever goes on from it repeats and loses nothing. */
static void closing_a_writer_settles_its_appends(void **state)
{
    bed b = {.log = NULL};
    rc_error err = {0};
    rc_reader *reader;
    rc_topic *topic;
    rc_receipt receipt;
    int64_t next = 0, min, max;
    (void)state;

    bed_init(&b);
    topic = bed_topic(&b, "t", 1);
    while (next < 20000) {
        rc_writer *writer = bed_writer(&b, "c");

        for (int64_t i = next; i < 20000; i += 1000) {
            rc_append *append = rc_append_new(writer);
            char text[24];

            add_numbers(append, topic, 0, i, 1000, 100);
            (void)snprintf(text, sizeof text, "%lld", (long long)i + 1000);
            rc_append_position(append, omc_slice_str("{}"), omc_slice_str(text));
            OK(rc_writer_submit(writer, append, NULL, &err));
            if (i >= next + 3000)
                break;
        }
        /* One receipt, so that every round gets on. */
        assert_int_equal(rc_writer_receipt(writer, NEVER, &receipt), 1);
        rc_append_free(receipt.append);
        rc_writer_close(writer);
        next = next_by_position(&b);
        OK(rc_log_bounds(b.log, topic, 0, &min, &max, &err));
        assert_int_equal(max, next);
    }
    reader = bed_reader(&b, topic, 0, 0);
    expect_numbers(reader, 0, 20000, 0);
    rc_reader_close(reader);
    bed_done(&b);
}

static void commits_are_grouped(void **state)
{
    enum { APPENDS = 500 };
    bed b = {.log = NULL};
    rc_log_health before, after;
    rc_error err = {0};
    rc_writer *writer;
    rc_topic *topic;
    rc_receipt receipt;
    (void)state;

    bed_init(&b);
    topic = bed_topic(&b, "t", 1);
    writer = bed_writer(&b, "c");
    rc_log_health_get(b.log, &before);
    for (int i = 0; i < APPENDS; i++) {
        rc_append *append = rc_append_new(writer);

        add_numbers(append, topic, 0, i, 1, 10);
        OK(rc_writer_submit(writer, append, NULL, &err));
    }
    for (int i = 0; i < APPENDS; i++) {
        assert_int_equal(rc_writer_receipt(writer, soon(), &receipt), 1);
        rc_append_free(receipt.append);
    }
    rc_log_health_get(b.log, &after);
    assert_int_equal(after.appended - before.appended, APPENDS);
    assert_true(after.writable);
    assert_string_equal(after.text, "");
    assert_true(after.bytes > 0);
    assert_true(after.transactions > before.transactions);
    assert_true(after.transactions - before.transactions < APPENDS / 2);
    /* Every group is synced, and nothing else is while there is work. */
    assert_true(after.syncs - before.syncs >= after.transactions - before.transactions);
    assert_true(after.syncs - before.syncs <= after.transactions - before.transactions + 4);
    rc_writer_close(writer);
    bed_done(&b);
}

static void times_are_searched(void **state)
{
    bed b = {.config = {.segment_bytes = 1}}; /* every commit rolls */
    rc_fake_clock *clock = rc_fake_clock_new(1000000);
    rc_error err = {0};
    rc_writer *writer;
    rc_topic *topic;
    int64_t offset;
    static const struct {
        int64_t ms, offset;
    } cases[] = {{0, 0}, {1000000, 0}, {1000001, 10}, {1001000, 10}, {1004500, 50}, {2000000, 100}};
    (void)state;

    b.config.clock = rc_fake_clock_clock(clock);
    bed_init(&b);
    topic = bed_topic(&b, "t", 1);
    writer = bed_writer(&b, "c");
    for (int i = 0; i < 10; i++) {
        rc_append *append = rc_append_new(writer);
        rc_receipt receipt;

        add_numbers(append, topic, 0, i * 10, 10, 10);
        OK(rc_writer_submit(writer, append, NULL, &err));
        assert_int_equal(rc_writer_receipt(writer, INT64_MAX, &receipt), 1);
        rc_append_free(receipt.append);
        rc_fake_clock_advance(clock, 1000);
    }
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        OK(rc_log_search(b.log, topic, 0, cases[i].ms, &offset, &err));
        if (offset != cases[i].offset)
            fail_msg("case %zu: %lld", i, (long long)offset);
    }
    rc_writer_close(writer);
    bed_done(&b);
    rc_fake_clock_free(clock);
}

/* Voluntary context switches of the writer thread: how often it went to sleep again. */
static long sleeps_of_writer(void)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *entry;
    long found = -1;

    assert_non_null(tasks);
    while (found < 0 && (entry = readdir(tasks))) {
        RC_AUTO_FREE char *path = rc_format("/proc/self/task/%s/status", entry->d_name);
        RC_AUTO_FREE char *text = NULL;
        const char *at;
        size_t len;

        if (rc_file_read(path, 1 << 16, &text, &len, NULL) < 0)
            continue;
        at = strstr(text, "\nvoluntary_ctxt_switches:");
        if (strstr(text, "log-writer") && at)
            found = strtol(at + 25, NULL, 10);
    }
    (void)closedir(tasks);
    return found;
}

static void an_idle_log_sleeps(void **state)
{
    bed b = {.log = NULL};
    RC_AUTO_FREE char *wal = NULL;
    struct stat st = {.st_size = 1};
    rc_writer *writer;
    long before;
    (void)state;

    bed_init(&b);
    wal = rc_path_join(b.dir, "00000000000000000001.seg-wal");
    writer = bed_writer(&b, "c");
    (void)store_numbers(writer, bed_topic(&b, "t", 1), 0, 0, 100, 100);
    while (st.st_size > 0) { /* a second later the WAL is moved into the file */
        (void)poll(NULL, 0, 20);
        assert_int_equal(stat(wal, &st), 0);
    }
    (void)poll(NULL, 0, 50);
    before = sleeps_of_writer();
    assert_true(before > 0);
    (void)poll(NULL, 0, 1200); /* nothing may happen for longer than any timer of the log */
    assert_int_equal(sleeps_of_writer(), before);
    rc_writer_close(writer);
    bed_done(&b);
}

/* A trigger plays the part of a disk that refuses one certain row. */
static void break_table(const bed *b, const char *sql)
{
    RC_AUTO_FREE char *path = rc_path_join(b->dir, "00000000000000000001.seg");
    sqlite3 *db;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    (void)sqlite3_busy_timeout(db, 10000);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(db);
}

static void submit_numbers(rc_writer *writer, rc_topic *topic, int32_t queue, int64_t from,
                           int64_t count)
{
    rc_append *append = rc_append_new(writer);
    rc_error err = {0};

    add_numbers(append, topic, queue, from, count, 10);
    OK(rc_writer_submit(writer, append, NULL, &err));
}

static void expect_result(rc_writer *writer, int result)
{
    rc_receipt receipt = {0};

    assert_int_equal(rc_writer_receipt(writer, soon(), &receipt), 1);
    if (receipt.result != result)
        fail_msg("wanted %d, got %d: %s", result, receipt.result, receipt.err.msg);
    rc_append_free(receipt.append);
}

static void a_failed_append_stops_its_writer_only(void **state)
{
    bed b = {.log = NULL};
    rc_log_health health;
    rc_writer *bad, *good;
    rc_reader *reader;
    rc_topic *topic;
    (void)state;

    bed_init(&b);
    topic = bed_topic(&b, "t", 2);
    bad = bed_writer(&b, "bad");
    good = bed_writer(&b, "good");
    break_table(&b, "CREATE TRIGGER x BEFORE INSERT ON batch WHEN NEW.count = 13 "
                    "BEGIN SELECT RAISE(ABORT, 'unlucky'); END");
    for (int i = 0; i < 20; i++) {
        submit_numbers(bad, topic, 0, i * 10, i == 10 ? 13 : 10);
        submit_numbers(good, topic, 1, i * 10, 10);
    }
    for (int i = 0; i < 20; i++) {
        expect_result(bad, i < 10 ? 0 : i == 10 ? -OMC_EINTERNAL : -OMC_ECANCELED);
        expect_result(good, 0);
    }
    rc_log_health_get(b.log, &health);
    assert_true(health.writable); /* the last one went well */
    rc_writer_close(bad);
    break_table(&b, "DROP TRIGGER x");
    bad = bed_writer(&b, "bad"); /* a new writer goes on where the stored ones ended */
    assert_int_equal(store_numbers(bad, topic, 0, 100, 13, 10), 100);
    reader = bed_reader(&b, topic, 0, 0);
    expect_numbers(reader, 0, 113, 0);
    rc_reader_close(reader);
    reader = bed_reader(&b, topic, 1, 0);
    expect_numbers(reader, 0, 200, 0);
    rc_reader_close(reader);
    rc_writer_close(bad);
    rc_writer_close(good);
    bed_done(&b);
}

static void a_second_opener_is_refused(void **state)
{
    bed b = {.log = NULL};
    char own[32];
    pid_t pid;
    int status;
    (void)state;

    bed_init(&b);
    (void)snprintf(own, sizeof own, "process %ld", (long)getpid());
    pid = fork();
    if (pid == 0) {
        rc_error err = {0};
        rc_log *log;

        if (rc_embedded_open(&b.config, &log, &err) != -OMC_EEXIST)
            _exit(1);
        _exit(strstr(err.msg, own) && strstr(err.msg, b.dir) ? 0 : 2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    bed_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(topics_stay),
        cmocka_unit_test(order_and_offsets_of_writers),
        cmocka_unit_test(messages_keep_everything),
        cmocka_unit_test(sizes_are_limited),
        cmocka_unit_test(positions_belong_to_connectors),
        cmocka_unit_test(groups_commit_offsets_and_state),
        cmocka_unit_test(reading_starts_anywhere),
        cmocka_unit_test(queues_take_turns),
        cmocka_unit_test(waiting_ends_for_data_and_for_wake),
        cmocka_unit_test(a_receipt_sets_the_wake),
        cmocka_unit_test(closing_a_writer_settles_its_appends),
        cmocka_unit_test(commits_are_grouped),
        cmocka_unit_test(times_are_searched),
        cmocka_unit_test(an_idle_log_sleeps),
        cmocka_unit_test(a_failed_append_stops_its_writer_only),
        cmocka_unit_test(a_second_opener_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
