/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file-sink through its ABI. A "crash" is a stop after bytes were written and not committed; a
 * commit is what the host does: pre_commit, then the state is kept.
 */
#include "unit.h"

#include "connector_host/host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

extern const omc_plugin file_sink_plugin;

static const omc_sink_ops *ops;
static test_host host;
static const char *folder;
static char path[300];
static int syncs, sync_fails;

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
    syncs++;
    if (sync_fails) {
        errno = EIO;
        return -1;
    }
    return __real_fdatasync(fd);
}

/* ---- the host's side of a commit ---------------------------------------------------------- */

/* A committed state, as the host would give it back. */
typedef struct saved {
    char file[300];
    omc_entry entries[4];
    omc_map map;
} saved;

static saved *last; /* NULL = nothing committed. */
static saved slots[8];
static int slot;

static const omc_map *save(const omc_map *state)
{
    saved *s = &slots[slot++ % 8];

    assert_int_equal(state->count, 4);
    memcpy(s->entries, state->entries, sizeof s->entries);
    (void)snprintf(s->file, sizeof s->file, "%.*s", (int)state->entries[0].value.u.bytes.len,
                   state->entries[0].value.u.bytes.base);
    s->entries[0].value = omc_string(omc_slice_str(s->file));
    s->map.count = 4;
    s->map.entries = s->entries;
    last = s;
    return &s->map;
}

static int64_t saved_number(const char *key)
{
    return omc_map_get(&last->map, key)->u.i64;
}

static int start_with(const char *const *config)
{
    test_host_init(&host, &file_sink_plugin, config);
    return test_host_start(&host);
}

static const char *option(const char *key, const char *value)
{
    static char buf[8][400];
    static int turn;

    turn = (turn + 1) % 8;
    (void)snprintf(buf[turn], sizeof buf[turn], "%s=%s", key, value);
    return buf[turn];
}

static int open_queue(int id, const omc_map *state)
{
    omc_queue_offset q = {.queue = {.topic = "t", .broker = "", .id = id},
                          .offset = state ? 5 : -1,
                          .state = state};

    return ops->open(host.task, &q, 1, &host.err);
}

/* Starts and opens queue 0 with the last committed state. */
#define START(...)                                                                             \
    (start_with(                                                                               \
         (const char *const[]){option("filename", path) __VA_OPT__(, ) __VA_ARGS__, NULL}) < 0 \
         ? -1                                                                                  \
         : open_queue(0, last ? &last->map : NULL))

static void must(int r)
{
    if (r < 0)
        fail_msg("%s", host.err.msg);
}

static void commit(void)
{
    test_batch *batch = test_batch_new(1, 1);
    omc_queue_offset q = {.queue = {.topic = "t", .broker = ""}, .offset = 5};

    must(ops->pre_commit(host.task, &q, 1, batch->pub.arena, &host.err));
    assert_non_null(q.state);
    save(q.state);
    test_batch_free(batch);
}

static int put_value(omc_value value)
{
    test_batch *batch = test_batch_new(1, 1);
    int r;

    omc_batch_add(&batch->pub)->value = value;
    r = ops->put(host.task, &batch->pub, &host.err);
    test_batch_free(batch);
    return r;
}

static int put_text(const char *text)
{
    return put_value(omc_string(omc_slice_str(text)));
}

static void expect_file(const char *at, const char *want)
{
    size_t len;
    char *text = test_read(at, &len);

    assert_string_equal(text, want);
    assert_int_equal(len, strlen(want));
    free(text);
}

static const char *in_folder(const char *name)
{
    static char buf[4][300];
    static int turn;

    turn = (turn + 1) % 4;
    (void)snprintf(buf[turn], sizeof buf[turn], "%s/%s", folder, name);
    return buf[turn];
}

static int set_up(void **state)
{
    (void)state;
    ops = file_sink_plugin.ops;
    folder = test_folder();
    (void)snprintf(path, sizeof path, "%s/out.txt", folder);
    last = NULL;
    syncs = sync_fails = 0;
    return 0;
}

static int tear_down(void **state)
{
    char command[400];

    (void)state;
    (void)umount2(folder, MNT_DETACH); /* Only after a failed test it is still there. */
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

/* ---- values ------------------------------------------------------------------------------ */

static void values_as_text(void **state)
{
    static const struct {
        omc_value value;
        const char *newline, *null_value, *want;
    } t[] = {
        {{.kind = OMC_STRING, .u.bytes = {"a\xff", 2}}, "true", "skip", "a\xff\n"},
        {{.kind = OMC_BYTES, .u.bytes = {"b", 1}}, "false", "skip", "b"},
        {{.kind = OMC_STRING}, "true", "skip", "\n"},
        {{.kind = OMC_NULL}, "true", "skip", ""},
        {{.kind = OMC_NULL}, "true", "empty", "\n"},
        {{.kind = OMC_BOOLEAN, .u.boolean = true}, "true", "skip", "true\n"},
        {{.kind = OMC_INT64, .u.i64 = INT64_MIN}, "true", "skip", "-9223372036854775808\n"},
        {{.kind = OMC_DATETIME, .u.i64 = 1700000000000}, "true", "skip", "1700000000000\n"},
        {{.kind = OMC_FLOAT64, .u.f64 = 0.1}, "true", "skip", "0.1\n"},
        {{.kind = OMC_FLOAT32, .u.f64 = 0.10000000149011612}, "true", "skip", "0.1\n"},
        {{.kind = OMC_FLOAT64, .u.f64 = 1.0 / 3}, "true", "skip", "0.3333333333333333\n"},
        {{.kind = OMC_NUMBER_TEXT, .text = {"1.10", 4}}, "true", "skip", "1.10\n"},
        {{.kind = OMC_FLOAT64, .u.f64 = 1.1, .text = {"1.10", 4}}, "true", "skip", "1.10\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        (void)unlink(path);
        last = NULL;
        must(START(option("append.newline", t[i].newline), option("null.value", t[i].null_value)));
        must(put_value(t[i].value));
        commit();
        expect_file(path, t[i].want);
        test_host_release(&host);
    }
}

static void structured_values_are_reported(void **state)
{
    omc_value map = {.kind = OMC_MAP};

    (void)state;
    must(START());
    host.report_result = 0;
    must(put_value(map));
    assert_int_equal(host.reported, 1);
    host.report_result = -OMC_EFORMAT;
    assert_int_equal(put_value(map), -OMC_EFORMAT);
    assert_non_null(strstr(host.err.msg, "value.converter"));
    must(put_text("x"));
    commit();
    expect_file(path, "x\n");
    test_host_release(&host);
}

/* ---- exactly once ------------------------------------------------------------------------ */

static void crash_leaves_no_repeat(void **state)
{
    (void)state;
    test_write(path, "before\n", 7);
    must(START("fsync=always"));
    must(put_text("1"));
    commit();
    assert_int_equal(saved_number("length"), 9);
    must(put_text("2"));
    must(put_text("3"));
    expect_file(path, "before\n1\n2\n3\n");
    test_host_release(&host);
    /* Offsets say: 2 and 3 come again. */
    must(START("fsync=always"));
    expect_file(path, "before\n1\n");
    assert_non_null(strstr(host.log, "removed 4 bytes"));
    must(put_text("2"));
    commit();
    must(open_queue(1, NULL)); /* A later queue does not cut. */
    must(put_text("3"));
    expect_file(path, "before\n1\n2\n3\n");
    commit();
    assert_int_equal(saved_number("commit"), 3);
    test_host_release(&host);
}

static void crash_before_the_first_commit(void **state)
{
    (void)state;
    test_write(path, "before\n", 7);
    must(START("fsync=always"));
    must(put_text("1"));
    test_host_release(&host);
    must(START("fsync=always"));
    expect_file(path, "before\n");
    must(put_text("1"));
    commit();
    /* The state was made but not stored: the host ended here. */
    last = NULL;
    test_host_release(&host);
    must(START("fsync=always"));
    expect_file(path, "before\n");
    must(put_text("1"));
    commit();
    must(put_text("2"));
    commit();
    test_host_release(&host);
    assert_int_equal(access(in_folder(".out.txt.rc-start"), F_OK), -1);
    /* Offsets deleted: a new sink appends to what is there. */
    last = NULL;
    must(START());
    must(put_text("3"));
    commit();
    expect_file(path, "before\n1\n2\n3\n");
    test_host_release(&host);
}

/* Only this task's mark of this very file may cut it. */
static void foreign_start_marks_are_ignored(void **state)
{
    struct stat st;

    (void)state;
    for (int i = 0; i < 5; i++) {
        static const char *const marks[] = {"", "garbage", "%ju 0 other-0\n", "%ju -1 c-0\n",
                                            "%ju 0 c-"};
        char text[64] = "";

        test_write(path, "keep\n", 5);
        assert_int_equal(stat(path, &st), 0);
        if (i < 2)
            (void)snprintf(text, sizeof text, "%s", marks[i]);
        else
            (void)snprintf(text, sizeof text, "%ju%s", (uintmax_t)st.st_ino, marks[i] + 3);
        test_write(in_folder(".out.txt.rc-start"), text, strlen(text));
        must(START());
        must(put_text("x"));
        commit();
        expect_file(path, "keep\nx\n");
        test_host_release(&host);
        last = NULL;
    }
}

static void newest_state_counts(void **state)
{
    omc_queue_offset q[3] = {{.queue = {.topic = "t", .broker = "", .id = 0}},
                             {.queue = {.topic = "t", .broker = "", .id = 1}, .offset = -1},
                             {.queue = {.topic = "t", .broker = "", .id = 2}}};

    (void)state;
    must(START("fsync=always"));
    must(put_text("1"));
    commit();
    q[0].state = &last->map;
    must(put_text("2"));
    commit();
    q[2].state = &last->map;
    must(put_text("3"));
    test_host_release(&host);
    must(start_with((const char *const[]){option("filename", path), NULL}));
    must(ops->open(host.task, q, 3, &host.err));
    expect_file(path, "1\n2\n");
    test_host_release(&host);
}

static void closed_queues_give_the_file_free(void **state)
{
    omc_queue queue = {.topic = "t", .broker = ""};

    (void)state;
    must(START("fsync=always"));
    must(put_text("1"));
    commit();
    must(ops->close(host.task, &queue, 1, &host.err));
    test_append(path, "somebody else, uncommitted\n", 27);
    must(open_queue(0, &last->map));
    expect_file(path, "1\n");
    test_host_release(&host);
}

static void start_refusals_and_their_options(void **state)
{
    static const struct {
        const char *damage, *option, *says, *content;
    } t[] = {
        {"shorten", "if.replaced=fail", "has 3 bytes but 4 were committed", NULL},
        {"shorten", "if.replaced=append", NULL, "1\n23\n"},
        {"remove", "if.missing=fail", "if.missing=recreate", NULL},
        {"remove", "if.missing=recreate", NULL, "3\n"},
        {"replace", "if.replaced=fail", "was replaced", NULL},
        {"replace", "if.replaced=append", NULL, "other content\n3\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        int r;

        (void)unlink(path);
        last = NULL;
        must(START());
        must(put_text("1"));
        must(put_text("2"));
        commit();
        test_host_release(&host);
        if (strcmp(t[i].damage, "shorten") == 0) {
            assert_int_equal(truncate(path, 3), 0);
        } else if (strcmp(t[i].damage, "remove") == 0) {
            assert_int_equal(unlink(path), 0);
        } else {
            test_write(in_folder("new"), "other content\n", 14);
            assert_int_equal(rename(in_folder("new"), path), 0);
        }
        r = START(t[i].option);
        if (t[i].says) {
            assert_true(r < 0);
            assert_true(host.err.flags & OMC_ERR_FATAL);
            assert_non_null(strstr(host.err.msg, path));
            assert_non_null(strstr(host.err.msg, t[i].says));
        } else {
            must(r);
            must(put_text("3"));
            commit();
            expect_file(path, t[i].content);
        }
        test_host_release(&host);
    }
}

/* ---- rotation ---------------------------------------------------------------------------- */

static void rotation_while_running(void **state)
{
    (void)state;
    must(START());
    must(put_text("1"));
    commit();
    assert_int_equal(rename(path, in_folder("out.txt.1")), 0);
    must(put_text("2"));
    commit(); /* Still into the old file; then the new one. */
    assert_int_equal(saved_number("length"), 0);
    must(put_text("3"));
    commit();
    expect_file(in_folder("out.txt.1"), "1\n2\n");
    expect_file(path, "3\n");
    assert_int_equal(test_host_counter(&host, "rotations"), 1);
    /* copytruncate: no hole. */
    assert_int_equal(truncate(path, 0), 0);
    must(put_text("4"));
    commit();
    expect_file(path, "4\n");
    assert_int_equal(saved_number("length"), 2);
    test_host_release(&host);
}

static void crash_between_rotation_and_commit(void **state)
{
    (void)state;
    for (int with_new = 0; with_new < 2; with_new++) {
        (void)unlink(path);
        last = NULL;
        must(START("fsync=always"));
        must(put_text("1"));
        commit();
        assert_int_equal(rename(path, in_folder("out.txt.1")), 0);
        must(put_text("2"));
        test_host_release(&host);
        expect_file(in_folder("out.txt.1"), "1\n2\n");
        if (with_new)
            test_write(path, "", 0);
        must(START());
        expect_file(in_folder("out.txt.1"), "1\n");
        must(put_text("2"));
        commit();
        expect_file(path, "2\n");
        test_host_release(&host);
    }
}

/* ---- sync and locks ---------------------------------------------------------------------- */

static void sync_policies(void **state)
{
    static const struct {
        const char *option;
        int after_puts, after_commit, after_idle_commit;
    } t[] = {{"fsync=commit", 0, 1, 1}, {"fsync=always", 3, 3, 3}, {"fsync=never", 0, 0, 0}};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        (void)unlink(path);
        last = NULL;
        must(START(t[i].option));
        must(put_text("0")); /* Past the start mark, which has a sync of its own. */
        commit();
        syncs = 0;
        for (int k = 0; k < 3; k++)
            must(put_text("x"));
        assert_int_equal(syncs, t[i].after_puts);
        commit();
        assert_int_equal(syncs, t[i].after_commit);
        commit();
        assert_int_equal(syncs, t[i].after_idle_commit);
        expect_file(path, "0\nx\nx\nx\n");
        test_host_release(&host);
    }
}

static void failed_sync_is_no_commit(void **state)
{
    test_batch *batch = test_batch_new(1, 1);
    omc_queue_offset q = {.queue = {.topic = "t", .broker = ""}, .offset = 5};

    (void)state;
    must(START());
    must(put_text("x"));
    sync_fails = 1;
    assert_int_equal(ops->pre_commit(host.task, &q, 1, batch->pub.arena, &host.err), -OMC_EIO);
    assert_false(host.err.flags & OMC_ERR_RETRIABLE);
    assert_non_null(strstr(host.err.msg, path));
    test_batch_free(batch);
    test_host_release(&host);
}

static void second_sink_on_the_file_is_refused(void **state)
{
    static test_host first;

    (void)state;
    must(START());
    first = host;
    first.sink.config = &first.config;
    assert_int_equal(START(), -1);
    assert_int_equal(host.err.code, OMC_EEXIST);
    assert_non_null(strstr(host.err.msg, "${task}"));
    test_host_release(&host);
    first.sink.host = &first;
    test_host_release(&first);
}

static int count_config(omc_task_configs *configs, const omc_keyvalue *overrides, omc_error *err)
{
    (void)overrides;
    (void)err;
    ++*(int *)configs->host;
    return 0;
}

static void a_file_per_task(void **state)
{
    static const struct {
        const char *name;
        int want;
        const char *made;
    } t[] = {{"one.txt", 1, "one.txt"}, {"n-${task}.txt", 3, "n-2.txt"}};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        int n = 0;
        omc_task_configs configs = {.size = sizeof configs, .host = &n, .add = count_config};
        omc_connector_context ctx = {.size = sizeof ctx,
                                     .connector = "c",
                                     .config = &host.config,
                                     .services = &host.services};
        void *connector = calloc(1, ops->connector_state_size);

        test_host_init(&host, &file_sink_plugin,
                       (const char *const[]){option("filename", in_folder(t[i].name)), NULL});
        must(ops->connector_start(connector, &ctx, &host.err));
        must(ops->task_configs(connector, 3, &configs, &host.err));
        assert_int_equal(n, t[i].want);
        must(test_host_task(&host, 2, 3));
        must(open_queue(0, NULL));
        assert_int_equal(access(in_folder(t[i].made), F_OK), 0);
        free(connector);
        test_host_release(&host);
    }
}

static void bad_places_name_the_cure(void **state)
{
    static const struct {
        const char *name, *says;
    } t[] = {{"no/folder/x", "Create"}, {".", "Name a file"}, {"fifo", "not a regular file"}};

    (void)state;
    assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        assert_true(
            start_with((const char *const[]){option("filename", in_folder(t[i].name)), NULL}) < 0);
        if (!strstr(host.err.msg, t[i].says))
            fail_msg("%s: %s", t[i].name, host.err.msg);
        test_host_release(&host);
    }
}

/* ---- full disk --------------------------------------------------------------------------- */

/* 1,000 records of 1,000 bytes per put into 512 KiB. */
static int put_thousand(int number)
{
    test_batch *batch = test_batch_new(1000, (size_t)1 << 20);
    int r;

    for (int i = 0; i < 1000; i++) {
        char *line = omc_alloc(batch->pub.arena, 1000);

        (void)memset(line, '.', 999);
        (void)snprintf(line, 16, "%07d-", number * 1000 + i);
        line[8] = '.';
        omc_batch_add(&batch->pub)->value = omc_string(omc_slice_of(line, 999));
    }
    r = ops->put(host.task, &batch->pub, &host.err);
    test_batch_free(batch);
    return r;
}

static void full_disk_leaves_no_partial_line_and_no_repeat(void **state)
{
    char *text, *filler = calloc(1, 900 << 10);
    struct stat st;
    size_t len;

    (void)state;
    if (mount("tmpfs", folder, "tmpfs", 0, "size=2m") < 0) {
        free(filler);
        skip(); /* Needs root. */
    }
    must(START());
    must(put_text("first"));
    commit();
    test_write(in_folder("filler"), filler, 900 << 10);
    must(put_thousand(0));
    /* 900 KiB + 1,000,000 bytes are there: the next million does not fit. */
    for (int attempt = 0; attempt < 3; attempt++) {
        assert_int_equal(put_thousand(1), -OMC_ENOSPC);
        assert_true(host.err.flags & OMC_ERR_RETRIABLE);
        assert_non_null(strstr(host.err.msg, path));
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal((st.st_size - 6) % 1000, 0);
        assert_true(st.st_size <= 6 + 1000000);
    }
    assert_int_equal(unlink(in_folder("filler")), 0);
    must(put_thousand(1));
    commit();
    assert_int_equal(saved_number("length"), 6 + 2000000);
    test_host_release(&host);
    text = calloc(1, 3 << 20);
    {
        FILE *file = fopen(path, "re");

        len = fread(text, 1, 3 << 20, file);
        (void)fclose(file);
    }
    assert_int_equal(len, 6 + 2000000);
    for (int i = 0; i < 2000; i++)
        assert_int_equal(strtol(text + 6 + i * 1000, NULL, 10), i);
    free(text);
    free(filler);
    assert_int_equal(umount(folder), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(values_as_text),
        TEST(structured_values_are_reported),
        TEST(crash_leaves_no_repeat),
        TEST(crash_before_the_first_commit),
        TEST(foreign_start_marks_are_ignored),
        TEST(newest_state_counts),
        TEST(closed_queues_give_the_file_free),
        TEST(start_refusals_and_their_options),
        TEST(rotation_while_running),
        TEST(crash_between_rotation_and_commit),
        TEST(sync_policies),
        TEST(failed_sync_is_no_commit),
        TEST(second_sink_on_the_file_is_refused),
        TEST(a_file_per_task),
        TEST(bad_places_name_the_cure),
        TEST(full_disk_leaves_no_partial_line_and_no_repeat),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
