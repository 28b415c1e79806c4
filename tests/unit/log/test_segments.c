/* SPDX-License-Identifier: Apache-2.0 */
/** Segments: rolling, what a crash leaves of it, retention, damaged and foreign files. */
#include "log_unit.h"

#include <fcntl.h>
#include <sched.h>
#include <sqlite3.h>

/* Ten batches of ten messages; every commit rolls, since one byte is enough. */
static void write_segments(bed *b, rc_topic **ret_topic, rc_writer **ret_writer)
{
    b->config.segment_bytes = 1;
    bed_init(b);
    *ret_topic = bed_topic(b, "t", 1);
    *ret_writer = bed_writer(b, "c");
    for (int i = 0; i < 10; i++)
        (void)store_numbers(*ret_writer, *ret_topic, 0, i * 10, 10, 100);
}

static void make_file(const bed *b, const char *name, const void *bytes, size_t len)
{
    RC_AUTO_FREE char *path = rc_path_join(b->dir, name);
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    (void)fclose(file);
}

static void change_file(const bed *b, const char *name, long at, const void *bytes, size_t len)
{
    RC_AUTO_FREE char *path = rc_path_join(b->dir, name);
    int fd = open(path, O_WRONLY);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, len, at), len);
    (void)close(fd);
}

static void refused(bed *b, int code, const char *says, const char *also)
{
    rc_error err = {0};
    int r = rc_embedded_open(&b->config, &b->log, &err);

    if (r != -code || !strstr(err.msg, says) || !strstr(err.msg, also))
        fail_msg("wanted %d with '%s' and '%s', got %d: %s", -code, says, also, r, err.msg);
    b->log = NULL;
}

static void live_tables_move_along(void **state)
{
    bed b = {.log = NULL};
    rc_error err = {0};
    rc_writer *writer;
    rc_reader *reader;
    rc_topic *topic;
    rc_arena arena;
    rc_slice text;
    int64_t offset, min, max;
    (void)state;

    rc_arena_init(&arena, 1000);
    write_segments(&b, &topic, &writer);
    OK(rc_log_position_set(b.log, "c", omc_slice_str("p"), omc_slice_str("77"), &err));
    {
        rc_commit commit = {.topic = topic, .offset = 42, .state = {"{}", 2}};

        OK(rc_log_commit(b.log, "g", NULL, &commit, 1, &err));
    }
    (void)bed_topic(&b, "quiet", 4);
    for (int i = 10; i < 15; i++)
        (void)store_numbers(writer, topic, 0, i * 10, 10, 100);
    rc_writer_close(writer);
    assert_true(count_files(b.dir, ".seg") >= 15);
    for (int i = 0; i < 2; i++) {
        topic = bed_topic(&b, "t", 0);
        assert_int_equal(rc_topic_queues(bed_topic(&b, "quiet", 0)), 4);
        OK(rc_log_position(b.log, "c", omc_slice_str("p"), &arena.pub, &text, &err));
        assert_true(omc_slice_is(text, "77"));
        OK(rc_log_committed(b.log, "g", topic, 0, &arena.pub, &offset, &text, &err));
        assert_int_equal(offset, 42);
        assert_true(omc_slice_is(text, "{}"));
        OK(rc_log_bounds(b.log, topic, 0, &min, &max, &err));
        assert_int_equal(min, 0);
        assert_int_equal(max, 150);
        reader = bed_reader(&b, topic, 0, 7);
        expect_numbers(reader, 7, 143, 0);
        rc_reader_close(reader);
        bed_reopen(&b);
    }
    assert_int_equal(count_files(b.dir, "-wal"), 1); /* of the newest only */
    rc_arena_release(&arena);
    bed_done(&b);
    assert_int_not_equal(access(b.dir, F_OK), 0);
}

static void an_unfinished_roll_is_cleaned_up(void **state)
{
    bed b = {.log = NULL};
    rc_writer *writer;
    rc_reader *reader;
    rc_topic *topic;
    (void)state;

    write_segments(&b, &topic, &writer);
    rc_writer_close(writer);
    bed_close(&b);
    make_file(&b, "00000000000000000012.seg.new", "half", 4);
    make_file(&b, "00000000000000000012.seg.new-journal", "x", 1);
    make_file(&b, "00000000000000000099.seg-wal", "orphan", 6);
    make_file(&b, "notes.txt", "mine", 4); /* not ours: left alone */
    bed_reopen(&b);
    assert_int_equal(count_files(b.dir, ".new"), 0);
    assert_int_equal(count_files(b.dir, "-journal"), 0);
    assert_int_equal(count_files(b.dir, "99.seg-wal"), 0);
    assert_int_equal(count_files(b.dir, "notes.txt"), 1);
    topic = bed_topic(&b, "t", 0);
    reader = bed_reader(&b, topic, 0, 0);
    expect_numbers(reader, 0, 100, 0);
    rc_reader_close(reader);
    bed_done(&b);
}

static void missing_and_foreign_files_are_refused(void **state)
{
    bed b = {.log = NULL};
    rc_writer *writer;
    rc_topic *topic;
    RC_AUTO_FREE char *fourth = NULL;
    RC_AUTO_FREE char *moved = NULL;
    RC_AUTO_FREE char *bytes = rc_calloc(1, 70000);
    (void)state;

    write_segments(&b, &topic, &writer);
    rc_writer_close(writer);
    bed_close(&b);
    fourth = rc_path_join(b.dir, "00000000000000000004.seg");
    moved = rc_path_join(b.dir, "moved");
    assert_int_equal(rename(fourth, moved), 0);
    refused(&b, OMC_EFORMAT, "segment 4 is missing", b.dir);
    memset(bytes, 'j', 70000);
    make_file(&b, "00000000000000000004.seg", bytes, 70000);
    refused(&b, OMC_EFORMAT, "00000000000000000004.seg", "restore");
    make_file(&b, "00000000000000000004.seg", "", 0);
    refused(&b, OMC_EFORMAT, "00000000000000000004.seg", "restore");
    assert_int_equal(rename(moved, fourth), 0);
    bed_reopen(&b); /* all is well again */
    bed_close(&b);
    /* The same segment under another number: offsets would not meet. */
    assert_int_equal(rename(fourth, moved), 0);
    {
        RC_AUTO_FREE char *fifth = rc_path_join(b.dir, "00000000000000000005.seg");
        char *copy;
        size_t len;
        rc_error err = {0};

        OK(rc_file_read(fifth, 1 << 24, &copy, &len, &err));
        make_file(&b, "00000000000000000004.seg", copy, len);
        free(copy);
    }
    refused(&b, OMC_EFORMAT, "continues at offset", "00000000000000000004.seg");
    bed_done(&b);
}

static void other_databases_are_refused(void **state)
{
    static const struct {
        const char *sql, *says;
    } cases[] = {
        {"PRAGMA application_id=1", "is no segment of a message log"},
        {"PRAGMA user_version=99", "has format 99"},
        {"CREATE TABLE x(y)", "tables that are not ours"},
        {"DROP TABLE progress", "tables that are not ours"},
        {"INSERT INTO topic VALUES(9, 'not a name', 1)", "topic"},
        {"INSERT INTO topic VALUES(9, 't', 1)", "twice"},
        {"INSERT INTO start VALUES(77, 0, 5)", "start of a queue"},
    };
    (void)state;

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        bed b = {.log = NULL};
        RC_AUTO_FREE char *path = NULL;
        sqlite3 *db;

        bed_init(&b);
        (void)bed_topic(&b, "t", 1);
        bed_close(&b);
        path = rc_path_join(b.dir, "00000000000000000001.seg");
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        if (sqlite3_exec(db, cases[i].sql, NULL, NULL, NULL) != SQLITE_OK)
            fail_msg("%s: %s", cases[i].sql, sqlite3_errmsg(db));
        (void)sqlite3_close(db);
        refused(&b, OMC_EFORMAT, cases[i].says, path);
        bed_done(&b);
    }
}

/* A flipped byte in a body is found by the batch's checksum and named. */
static void damage_is_found_when_read(void **state)
{
    bed b = {.log = NULL};
    RC_AUTO_FREE char *bytes = NULL;
    RC_AUTO_FREE char *path = NULL;
    rc_error err = {0};
    rc_fetch fetch = {0};
    rc_writer *writer;
    rc_reader *reader;
    rc_topic *topic;
    char *at;
    size_t len;
    (void)state;

    bed_init(&b);
    topic = bed_topic(&b, "t", 1);
    writer = bed_writer(&b, "c");
    (void)store_numbers(writer, topic, 0, 0, 10, 100);
    (void)store_numbers(writer, topic, 0, 12345678, 10, 100);
    rc_writer_close(writer);
    bed_close(&b);
    path = rc_path_join(b.dir, "00000000000000000001.seg");
    OK(rc_file_read(path, 1 << 24, &bytes, &len, &err));
    at = memmem(bytes, len, "12345680", 8);
    assert_non_null(at);
    change_file(&b, "00000000000000000001.seg", at - bytes + 20, "!", 1);
    bed_reopen(&b);
    topic = bed_topic(&b, "t", 0);
    reader = bed_reader(&b, topic, 0, 0);
    assert_int_equal(rc_reader_fetch(reader, 5, 1 << 20, soon(), &fetch, &err), -OMC_EFORMAT);
    assert_non_null(strstr(err.msg, path));
    assert_non_null(strstr(err.msg, "offset 10"));
    assert_non_null(strstr(err.msg, "checksum"));
    rc_fetch_release(reader, &fetch);
    rc_reader_close(reader);
    bed_done(&b);
}

/* ---- retention ------------------------------------------------------------------------------ */

static int64_t min_offset(bed *b, rc_topic *topic)
{
    rc_error err = {0};
    int64_t min, max;

    OK(rc_log_bounds(b->log, topic, 0, &min, &max, &err));
    return min;
}

/* A request goes through the writer thread, so what was under way there before is done. */
static void settle(bed *b)
{
    rc_error err = {0};

    OK(rc_log_group_delete(b->log, "nobody", &err));
}

static void old_segments_go_by_size(void **state)
{
    bed b = {.config = {.keep_bytes = 6 << 20, .segment_bytes = 1 << 20}};
    rc_error err = {0};
    rc_fetch fetch = {0};
    rc_log_health health;
    rc_writer *writer;
    rc_reader *reader;
    rc_topic *topic;
    int64_t min;
    (void)state;

    bed_init(&b);
    topic = bed_topic(&b, "t", 1);
    writer = bed_writer(&b, "c");
    for (int i = 0; i < 16; i++)
        (void)store_numbers(writer, topic, 0, i * 1000, 1000, 1024);
    settle(&b);
    rc_log_health_get(b.log, &health);
    assert_true(health.bytes < 10 << 20);
    min = min_offset(&b, topic);
    assert_true(min >= 8000 && min <= 15000);
    reader = bed_reader(&b, topic, 0, 0);
    assert_int_equal(rc_reader_fetch(reader, 1, 1 << 20, 0, &fetch, &err), -OMC_ENOTFOUND);
    assert_non_null(strstr(err.msg, "offset 0 of topic t queue 0"));
    assert_non_null(strstr(err.msg, "consume.from.where"));
    OK(rc_reader_seek(reader, topic, 0, min, &err));
    expect_numbers(reader, min, 16000 - min, 0);
    rc_fetch_release(reader, &fetch);
    rc_reader_close(reader);
    rc_writer_close(writer);
    bed_reopen(&b);
    topic = bed_topic(&b, "t", 0);
    assert_int_equal(min_offset(&b, topic), min);
    bed_done(&b);
}

static void a_group_holds_segments_back(void **state)
{
    bed b = {.config = {.keep_bytes = 2 << 20, .segment_bytes = 1 << 20}};
    rc_error err = {0};
    rc_writer *writer;
    rc_topic *topic;
    (void)state;

    bed_init(&b);
    topic = bed_topic(&b, "t", 1);
    writer = bed_writer(&b, "c");
    {
        rc_commit slow = {.topic = topic, .offset = 500};
        rc_commit fast = {.topic = topic, .offset = 1000000};

        OK(rc_log_commit(b.log, "slow", NULL, &slow, 1, &err));
        OK(rc_log_commit(b.log, "fast", NULL, &fast, 1, &err));
        for (int i = 0; i < 8; i++)
            (void)store_numbers(writer, topic, 0, i * 1000, 1000, 1024);
        settle(&b);
        assert_int_equal(min_offset(&b, topic), 0);
        slow.offset = 3500;
        OK(rc_log_commit(b.log, "slow", NULL, &slow, 1, &err));
    }
    (void)store_numbers(writer, topic, 0, 8000, 1000, 1024); /* rolls, so retention looks */
    (void)store_numbers(writer, topic, 0, 9000, 1000, 1024);
    settle(&b);
    assert_true(min_offset(&b, topic) > 0);
    assert_true(min_offset(&b, topic) <= 3500);
    OK(rc_log_group_delete(b.log, "slow", &err));
    (void)store_numbers(writer, topic, 0, 10000, 1000, 1024);
    (void)store_numbers(writer, topic, 0, 11000, 1000, 1024);
    settle(&b);
    assert_true(min_offset(&b, topic) > 3500);
    rc_writer_close(writer);
    bed_done(&b);
}

static void old_segments_go_by_age(void **state)
{
    bed b = {.config = {.keep_ms = 3600000, .segment_bytes = 1}};
    rc_fake_clock *clock = rc_fake_clock_new(1000000);
    rc_writer *writer;
    rc_topic *topic;
    (void)state;

    b.config.clock = rc_fake_clock_clock(clock);
    bed_init(&b);
    topic = bed_topic(&b, "t", 1);
    writer = bed_writer(&b, "c");
    (void)store_numbers(writer, topic, 0, 0, 10, 10);
    rc_fake_clock_advance(clock, 1800000);
    (void)store_numbers(writer, topic, 0, 10, 10, 10);
    settle(&b);
    assert_int_equal(min_offset(&b, topic), 0);
    rc_fake_clock_advance(clock, 1800001); /* the first is an hour old; found without a write */
    while (min_offset(&b, topic) != 10)
        (void)sched_yield();
    rc_fake_clock_advance(clock, 3600000); /* nothing is left, and the end stays where it was */
    while (min_offset(&b, topic) != 20)
        (void)sched_yield();
    rc_writer_close(writer);
    bed_reopen(&b);
    topic = bed_topic(&b, "t", 0);
    assert_int_equal(min_offset(&b, topic), 20);
    writer = bed_writer(&b, "c");
    assert_int_equal(store_numbers(writer, topic, 0, 20, 10, 10), 20);
    rc_writer_close(writer);
    bed_done(&b);
    rc_fake_clock_free(clock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(live_tables_move_along),
        cmocka_unit_test(an_unfinished_roll_is_cleaned_up),
        cmocka_unit_test(missing_and_foreign_files_are_refused),
        cmocka_unit_test(other_databases_are_refused),
        cmocka_unit_test(damage_is_found_when_read),
        cmocka_unit_test(old_segments_go_by_size),
        cmocka_unit_test(a_group_holds_segments_back),
        cmocka_unit_test(old_segments_go_by_age),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
