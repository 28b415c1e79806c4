/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file-source through its ABI. What is expected stands in the tables: lines as a reader of the
 * documentation would cut them, byte positions counted by hand.
 */
#include "unit.h"

#include "connector_host/host.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

extern const omc_plugin file_source_plugin;

#define MANY ((size_t)1000)
#define BIG ((size_t)1 << 20)
#define GOT_MAX 256

/* One record, copied out of its batch; `offset` can be committed. */
typedef struct got_record {
    char *line;
    size_t len;
    int64_t pos;
    char file[300];
    char print[48];
    omc_entry entries[4];
    omc_map offset;
} got_record;

typedef struct got {
    size_t count;
    int last; /* What the last poll returned. */
    got_record rec[GOT_MAX];
} got;

static const omc_source_ops *ops;
static test_host host;
static got all;
static char path[300], text[4096];
static const char *folder;

static const char *in_folder(const char *name)
{
    static char buf[8][300];
    static int turn;

    turn = (turn + 1) % 8;
    (void)snprintf(buf[turn], sizeof buf[turn], "%s/%s", folder, name);
    return buf[turn];
}

static const char *option(const char *key, const char *value)
{
    static char buf[16][400];
    static int turn;

    turn = (turn + 1) % 16;
    (void)snprintf(buf[turn], sizeof buf[turn], "%s=%s", key, value);
    return buf[turn];
}

static void keep(got *g, const omc_record *rec)
{
    got_record *r = &g->rec[g->count++];
    const omc_value *name = omc_map_get(rec->position.partition, "filename");
    const omc_value *print = omc_map_get(rec->position.offset, "fingerprint");

    assert_true(g->count <= GOT_MAX);
    assert_int_equal(rec->value.kind, OMC_STRING);
    assert_int_equal(rec->schema->type, OMC_STRING);
    assert_false(rec->schema->optional);
    assert_string_equal(rec->position.counter_name, "position");
    assert_true(rec->timestamp_ms > 0);
    r->len = rec->value.u.bytes.len;
    r->line = calloc(1, r->len + 1);
    if (r->len)
        memcpy(r->line, rec->value.u.bytes.base, r->len);
    r->pos = rec->position.counter;
    (void)snprintf(r->file, sizeof r->file, "%.*s", (int)name->u.bytes.len, name->u.bytes.base);
    (void)snprintf(r->print, sizeof r->print, "%.*s", (int)print->u.bytes.len, print->u.bytes.base);
    r->offset.count = rec->position.offset->count + 1;
    assert_true(r->offset.count <= 4);
    memcpy(r->entries, rec->position.offset->entries,
           rec->position.offset->count * sizeof(omc_entry));
    for (size_t i = 0; i < rec->position.offset->count; i++) {
        /* Keys are static text of the plugin; only the fingerprint is in the arena. */
        if (omc_slice_is(r->entries[i].key.u.bytes, "fingerprint"))
            r->entries[i].value = omc_string(omc_slice_str(r->print));
    }
    r->entries[r->offset.count - 1].key = omc_string(omc_slice_str("position"));
    r->entries[r->offset.count - 1].value = omc_integer(OMC_INT64, r->pos);
    r->offset.entries = r->entries;
}

static void drop(got *g)
{
    for (size_t i = 0; i < g->count; i++)
        free(g->rec[i].line);
    g->count = 0;
}

/* Polls once. */
static int poll_once(size_t records_max, size_t bytes_max, int64_t timeout_ms)
{
    test_batch *batch = test_batch_new(records_max, bytes_max);

    all.last = ops->poll(host.task, &batch->pub, timeout_ms, &host.err);
    if (all.last > 0) {
        assert_int_equal(all.last, batch->pub.count);
        assert_true(batch->pub.count <= records_max);
        for (size_t i = 0; i < batch->pub.count; i++)
            keep(&all, omc_batch_at(&batch->pub, i));
    }
    test_batch_free(batch);
    return all.last;
}

/* Polls until there is nothing (0), the end, or an error. */
static void poll_all(size_t records_max, size_t bytes_max)
{
    drop(&all);
    while (poll_once(records_max, bytes_max, 0) > 0)
        continue;
}

static void expect_lines(const char *const *lines)
{
    size_t n = 0;

    for (; lines[n]; n++) {
        assert_true(n < all.count);
        assert_string_equal(all.rec[n].line, lines[n]);
    }
    assert_int_equal(all.count, n);
}
#define EXPECT(...) expect_lines((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void start_with(const char *const *config)
{
    test_host_init(&host, &file_source_plugin, config);
    if (test_host_start(&host) < 0)
        fail_msg("start: %s", host.err.msg);
}
#define START(...)                                             \
    start_with((const char *const[]){option("filename", path), \
                                     "rotate.wait=0" __VA_OPT__(, ) __VA_ARGS__, NULL})

static const omc_map *committed_map(void *arg, const omc_map *partition)
{
    assert_int_equal(omc_map_get(partition, "filename")->kind, OMC_STRING);
    return arg;
}

/* Starts at a committed offset; @return of start. */
static int start_at(const omc_map *offset, const char *const *config)
{
    test_host_init(&host, &file_source_plugin, config);
    host.committed = committed_map;
    host.committed_arg = (void *)(uintptr_t)offset;
    return test_host_start(&host);
}
#define START_AT(offset, ...)                                        \
    start_at(offset, (const char *const[]){option("filename", path), \
                                           "rotate.wait=0" __VA_OPT__(, ) __VA_ARGS__, NULL})

static void put_file(const char *content)
{
    test_write(path, content, strlen(content));
}

static int set_up(void **state)
{
    (void)state;
    ops = file_source_plugin.ops;
    folder = test_folder();
    (void)snprintf(path, sizeof path, "%s/in.log", folder);
    return 0;
}

static int tear_down(void **state)
{
    char command[400];

    (void)state;
    drop(&all);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

/* ---- lines ------------------------------------------------------------------------------- */

#define TEXT(s) s, sizeof(s) - 1

static const struct {
    const char *content;
    size_t len;
    struct {
        const char *base;
        size_t len;
        int64_t pos;
    } lines[6];
    size_t count;
} cuts[] = {
    {TEXT(""), {{NULL, 0, 0}}, 0},
    {TEXT("\n"), {{TEXT(""), 1}}, 1},
    {TEXT("one\ntwo\nthree\n"), {{TEXT("one"), 4}, {TEXT("two"), 8}, {TEXT("three"), 14}}, 3},
    {TEXT("a\r\nbb\r\n\r\nc"),
     {{TEXT("a"), 3}, {TEXT("bb"), 7}, {TEXT(""), 9}, {TEXT("c"), 10}},
     4},
    {TEXT("a\rb\n\rc\r\r\n"), {{TEXT("a\rb"), 4}, {TEXT("\rc\r"), 9}}, 2},
    {TEXT("end\r"), {{TEXT("end\r"), 4}}, 1},
    {TEXT("\xff\xfe\x80\nz\xc3\n"), {{TEXT("\xff\xfe\x80"), 4}, {TEXT("z\xc3"), 7}}, 2},
    {TEXT("a\0b\n\0\n"), {{TEXT("a\0b"), 4}, {TEXT("\0"), 6}}, 2},
    {TEXT("gr\xc3\xbc\xc3\x9f\n\xe4\xbd\xa0\n"),
     {{TEXT("gr\xc3\xbc\xc3\x9f"), 7}, {TEXT("\xe4\xbd\xa0"), 11}},
     2},
};

static void lines_across_every_boundary(void **state)
{
    static const size_t records[] = {1, 2, MANY};

    (void)state;
    for (size_t c = 0; c < sizeof cuts / sizeof *cuts; c++)
        for (size_t bytes = 1; bytes <= cuts[c].len + 2; bytes++)
            for (size_t r = 0; r < 3; r++) {
                test_write(path, cuts[c].content, cuts[c].len);
                START("bounded=true");
                poll_all(records[r], bytes);
                assert_int_equal(all.last, OMC_FINISHED);
                assert_int_equal(all.count, cuts[c].count);
                for (size_t i = 0; i < all.count; i++) {
                    assert_int_equal(all.rec[i].len, cuts[c].lines[i].len);
                    assert_memory_equal(all.rec[i].line, cuts[c].lines[i].base, all.rec[i].len);
                    assert_int_equal(all.rec[i].pos, cuts[c].lines[i].pos);
                }
                /* Finished stays finished. */
                assert_int_equal(poll_once(MANY, BIG, 0), OMC_FINISHED);
                test_host_release(&host);
            }
}

/* A file longer than the fingerprint, resumed behind each of its lines. */
static void resume_after_every_line(void **state)
{
    static got first;
    size_t at = 0;

    (void)state;
    for (int i = 0; i < 40; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "line %d%s%.*s\n", i, i % 3 ? "" : "\r",
                               i % 7, "xxxxxxx");
    test_write(path, text, at);
    START();
    poll_all(MANY, BIG);
    assert_int_equal(all.count, 40);
    first = all;
    all.count = 0;
    test_host_release(&host);
    for (size_t i = 0; i < first.count; i++) {
        /* The maps of the copy point into the original. */
        first.rec[i].offset.entries = first.rec[i].entries;
        for (size_t e = 0; e < first.rec[i].offset.count; e++)
            if (omc_slice_is(first.rec[i].entries[e].key.u.bytes, "fingerprint"))
                first.rec[i].entries[e].value = omc_string(omc_slice_str(first.rec[i].print));
        assert_int_equal(START_AT(&first.rec[i].offset), 0);
        poll_all(3, 64);
        assert_int_equal(all.count, 39 - i);
        for (size_t k = 0; k < all.count; k++) {
            assert_string_equal(all.rec[k].line, first.rec[i + 1 + k].line);
            /* The same record has the same offset, whenever it is read. */
            assert_string_equal(all.rec[k].print, first.rec[i + 1 + k].print);
        }
        test_host_release(&host);
    }
    drop(&first);
}

/* Long lines: limit 4, every chunk size. */
static void long_lines(void **state)
{
    static const struct {
        const char *mode, *content;
        const char *lines[8];
        int64_t pos[8];
    } t[] = {
        {"split", "ab\nabcdefghij\nx\n", {"ab", "abcd", "efgh", "ij", "x"}, {3, 7, 11, 14, 16}},
        {"split", "abcdefgh\nx", {"abcd", "efgh", "x"}, {4, 9, 10}},
        {"split", "abcd\r\nabcde\r\n", {"abcd", "abcd", "e"}, {6, 10, 13}},
        /* U+00FC is two bytes: not cut in two. */
        {"split",
         "abc\xc3\xbc"
         "d\n",
         {"abc", "\xc3\xbc"
                 "d"},
         {3, 7}},
        {"split", "\x80\x80\x80\x80\x80\n", {"\x80\x80\x80\x80", "\x80"}, {4, 6}},
        {"truncate", "ab\nabcdefghij\nx\nabcde", {"ab", "abcd", "x", "abcd"}, {3, 7, 16, 20}},
        {"skip", "ab\nabcdefghij\nx\nabcde", {"ab", "x"}, {3, 16}},
        {"skip", "abcdef\n\nabcd\n", {"", "abcd"}, {8, 13}},
    };

    (void)state;
    for (size_t c = 0; c < sizeof t / sizeof *t; c++)
        for (size_t bytes = 1; bytes < 20; bytes++) {
            put_file(t[c].content);
            START("bounded=true", "line.max.bytes=4", option("long.lines", t[c].mode));
            poll_all(bytes % 3 ? MANY : 1, bytes);
            assert_int_equal(all.last, OMC_FINISHED);
            expect_lines(t[c].lines);
            for (size_t i = 0; i < all.count; i++)
                assert_int_equal(all.rec[i].pos, t[c].pos[i]);
            assert_true(test_host_counter(&host, "long_lines") > 0);
            test_host_release(&host);
        }
}

static void long_line_fails_behind_good_ones(void **state)
{
    (void)state;
    put_file("ab\nabcdefghij\nx\n");
    START("line.max.bytes=4");
    poll_all(MANY, BIG);
    EXPECT("ab");
    assert_int_equal(all.last, -OMC_EFORMAT);
    assert_true(host.err.flags & OMC_ERR_FATAL);
    assert_non_null(strstr(host.err.msg, path));
    assert_non_null(strstr(host.err.msg, "byte 3 "));
    assert_non_null(strstr(host.err.msg, "line.max.bytes=4"));
    assert_non_null(strstr(host.err.msg, "long.lines"));
    test_host_release(&host);
}

/* The record of a truncated line is committed; the rest of the line must not come back as one. */
static void truncated_line_resumes(void **state)
{
    got_record cut;

    (void)state;
    put_file("abcdefghij");
    START("line.max.bytes=4", "long.lines=truncate");
    poll_all(MANY, BIG);
    EXPECT("abcd");
    cut = all.rec[0];
    cut.offset.entries = cut.entries;
    test_host_release(&host);
    test_append(path, TEXT("klm\nnext\n"));
    assert_int_equal(START_AT(&cut.offset, "line.max.bytes=4", "long.lines=truncate"), 0);
    poll_all(MANY, BIG);
    EXPECT("next");
    test_host_release(&host);
}

/* ---- line.terminator=keep ---------------------------------------------------------------- */

/* Records laid end to end, which must be `content` up to the last one's position. */
static void expect_joined(const char *content, size_t len)
{
    size_t at = 0;

    for (size_t i = 0; i < all.count; i++) {
        assert_true(all.rec[i].len > 0);
        assert_true(at + all.rec[i].len <= len);
        assert_memory_equal(all.rec[i].line, content + at, all.rec[i].len);
        at += all.rec[i].len;
        assert_int_equal(all.rec[i].pos, at);
    }
    assert_int_equal(at, len);
}

/* One record a line, at the positions that the lines have without their ends. */
static void kept_ends_across_every_boundary(void **state)
{
    static const size_t records[] = {1, 2, MANY};

    (void)state;
    for (size_t c = 0; c < sizeof cuts / sizeof *cuts; c++)
        for (size_t bytes = 1; bytes <= cuts[c].len + 2; bytes++)
            for (size_t r = 0; r < 3; r++) {
                test_write(path, cuts[c].content, cuts[c].len);
                START("bounded=true", "line.terminator=keep");
                poll_all(records[r], bytes);
                assert_int_equal(all.last, OMC_FINISHED);
                assert_int_equal(all.count, cuts[c].count);
                for (size_t i = 0; i < all.count; i++)
                    assert_int_equal(all.rec[i].pos, cuts[c].lines[i].pos);
                expect_joined(cuts[c].content, cuts[c].len);
                test_host_release(&host);
            }
}

/* A line's end may fall on the limit, before it, behind it, and be cut in two by it. */
static void kept_ends_of_split_lines(void **state)
{
    static const struct {
        const char *base;
        size_t len;
    } t[] = {
        {TEXT("abcd\r\nabcde\r\nabc\r\n\r\n\n\r\r\r\r\r\r\n\r\r\r\r\r")},
        {TEXT("abcdefghijklmno\nabcdefgh\r\nabcdefg\r")},
        {TEXT("\0\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\x80\x80\x80\x80\x80\x80")},
        {TEXT("gr\xc3\xbc\xc3\x9f \xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x98\x80\r\n")},
    };

    (void)state;
    for (size_t c = 0; c < sizeof t / sizeof *t; c++)
        for (int limit = 1; limit <= 9; limit++)
            for (size_t bytes = 1; bytes <= t[c].len + 2; bytes++) {
                char max[40];

                (void)snprintf(max, sizeof max, "line.max.bytes=%d", limit);
                test_write(path, t[c].base, t[c].len);
                START("bounded=true", "line.terminator=keep", "long.lines=split", max);
                poll_all(bytes % 3 ? MANY : 1, bytes);
                assert_int_equal(all.last, OMC_FINISHED);
                for (size_t i = 0; i < all.count; i++)
                    assert_true(all.rec[i].len <= (size_t)limit + 2);
                expect_joined(t[c].base, t[c].len);
                test_host_release(&host);
            }
}

/* While the file grows, an end that is only half there is waited for. */
static void kept_ends_of_a_growing_file(void **state)
{
    static const char content[] = "one\r\n\r\ntwo\rthree\n\r\r\nfour\r\n";
    const size_t len = sizeof content - 1;

    (void)state;
    for (size_t first = 0; first <= len; first++)
        for (size_t second = first; second <= len; second++) {
            test_write(path, content, first);
            START("line.terminator=keep");
            drop(&all);
            while (poll_once(MANY, BIG, 0) > 0)
                continue;
            test_append(path, content + first, second - first);
            while (poll_once(MANY, BIG, 0) > 0)
                continue;
            test_append(path, content + second, len - second);
            while (poll_once(MANY, BIG, 0) > 0)
                continue;
            expect_joined(content, len);
            assert_int_equal(all.count, 5);
            test_host_release(&host);
        }
}

static void kept_ends_of_cut_lines_are_refused(void **state)
{
    omc_error err = {0};

    (void)state;
    put_file("abc\n");
    test_host_init(&host, &file_source_plugin,
                   (const char *const[]){option("filename", path), "long.lines=truncate",
                                         "line.terminator=keep", NULL});
    assert_int_equal(ops->validate(&host.config, &err), -OMC_EINVAL);
    assert_non_null(strstr(err.msg, "line.terminator"));
    assert_non_null(strstr(err.msg, "split"));
    test_host_release(&host);
}

/* ---- following --------------------------------------------------------------------------- */

static void last_line_waits_for_its_newline(void **state)
{
    (void)state;
    put_file("a\npart");
    START();
    poll_all(MANY, BIG);
    EXPECT("a");
    test_append(path, TEXT("ial\r"));
    poll_all(MANY, BIG);
    EXPECT();
    test_append(path, TEXT("\nb\n"));
    poll_all(MANY, BIG);
    EXPECT("partial", "b");
    assert_int_equal(test_host_counter(&host, "bytes_read"), 13);
    test_host_release(&host);
}

/* Longer than what is read again at each growth (64 KiB). */
static void long_partial_line_grows(void **state)
{
    static char block[40000];

    (void)state;
    memset(block, 'x', sizeof block);
    put_file("");
    START();
    for (int i = 0; i < 5; i++) {
        test_append(path, block, sizeof block);
        poll_all(MANY, BIG);
        EXPECT();
    }
    test_append(path, TEXT("\nz\n"));
    poll_all(MANY, BIG);
    assert_int_equal(all.count, 2);
    assert_int_equal(all.rec[0].len, 5 * sizeof block);
    assert_string_equal(all.rec[1].line, "z");
    test_host_release(&host);
}

static void final_line_timeout(void **state)
{
    (void)state;
    put_file("a\npart");
    START("final.line.timeout=30");
    drop(&all);
    assert_int_equal(poll_once(MANY, BIG, 0), 1);
    assert_int_equal(poll_once(MANY, BIG, 10000), 1);
    EXPECT("a", "part");
    test_host_release(&host);
}

static void *append_later(void *arg)
{
    (void)arg;
    test_append(path, TEXT("late\n"));
    return NULL;
}

static void blocks_until_bytes_come_or_the_host_wakes_it(void **state)
{
    pthread_t thread;

    (void)state;
    put_file("");
    START();
    drop(&all);
    assert_int_equal(pthread_create(&thread, NULL, append_later, NULL), 0);
    assert_int_equal(poll_once(MANY, BIG, -1), 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    EXPECT("late");
    assert_int_equal(write(host.wake[1], "x", 1), 1);
    assert_int_equal(poll_once(MANY, BIG, -1), 0);
    test_host_release(&host);
}

static void waits_for_an_absent_file(void **state)
{
    (void)state;
    START();
    poll_all(MANY, BIG);
    EXPECT();
    assert_non_null(strstr(host.log, "does not exist yet"));
    put_file("first\n");
    poll_all(MANY, BIG);
    EXPECT("first");
    test_host_release(&host);
}

static void rotation_by_rename(void **state)
{
    (void)state;
    put_file("1\n2\n");
    START();
    poll_all(MANY, BIG);
    EXPECT("1", "2");
    assert_int_equal(rename(path, in_folder("in.log.1")), 0);
    test_append(in_folder("in.log.1"), TEXT("3\n"));
    poll_all(MANY, BIG);
    EXPECT("3");
    put_file(""); /* As logrotate's create: the writer does not know yet. */
    test_append(in_folder("in.log.1"), TEXT("4\nlast"));
    poll_all(MANY, BIG);
    EXPECT("4");
    put_file("5\n6\n");
    poll_all(MANY, BIG);
    EXPECT("last", "5", "6");
    assert_int_equal(all.rec[1].pos, 2);
    assert_string_equal(all.rec[1].file, path);
    assert_int_equal(test_host_counter(&host, "rotations"), 1);
    test_append(path, TEXT("7\n"));
    poll_all(MANY, BIG);
    EXPECT("7");
    test_host_release(&host);
}

static void rotate_wait_holds_the_new_file_back(void **state)
{
    (void)state;
    put_file("1\n");
    test_host_init(&host, &file_source_plugin,
                   (const char *const[]){option("filename", path), "rotate.wait=60", NULL});
    assert_int_equal(test_host_start(&host), 0);
    poll_all(MANY, BIG);
    assert_int_equal(rename(path, in_folder("in.log.1")), 0);
    put_file("new\n");
    poll_all(MANY, BIG);
    EXPECT();
    test_append(in_folder("in.log.1"), TEXT("late\n"));
    drop(&all);
    assert_int_equal(poll_once(MANY, BIG, 10000), 1);
    assert_int_equal(poll_once(MANY, BIG, 10000), 1);
    EXPECT("late", "new");
    test_host_release(&host);
}

static void truncation_starts_again(void **state)
{
    static const char *const contents[] = {"x\n", "other\nlines\n", "longer than it was before\n"};
    static const char *const lines[][3] = {{"x", NULL},
                                           {"other", "lines", NULL},
                                           {"longer than it was before", NULL}};

    (void)state;
    for (int i = 0; i < 3; i++) {
        put_file("one\ntwo\nthr\n"); /* 12 bytes: shorter, as long, longer. */
        START();
        poll_all(MANY, BIG);
        EXPECT("one", "two", "thr");
        put_file(contents[i]);
        poll_all(MANY, BIG);
        expect_lines(lines[i]);
        assert_int_equal(test_host_counter(&host, "truncations"), 1);
        test_host_release(&host);
    }
}

static void start_at_the_end(void **state)
{
    (void)state;
    put_file("old\nbegun ");
    START("start=end");
    poll_all(MANY, BIG);
    EXPECT();
    test_append(path, TEXT("now\nnew\n"));
    poll_all(MANY, BIG);
    EXPECT("begun now", "new");
    test_host_release(&host);
}

/* ---- patterns ---------------------------------------------------------------------------- */

static void pattern_follows_new_files(void **state)
{
    (void)state;
    test_write(in_folder("a.log"), TEXT("a1\n"));
    test_write(in_folder("b.log"), TEXT("b1\n"));
    test_write(in_folder("c.txt"), TEXT("c1\n"));
    test_write(in_folder("a.log.1"), TEXT("rotated\n"));
    assert_int_equal(mkdir(in_folder("d.log"), 0755), 0);
    (void)snprintf(path, sizeof path, "%s/*.log*", folder);
    START("start=end");
    poll_all(MANY, BIG);
    EXPECT();
    test_append(in_folder("a.log"), TEXT("a2\n"));
    poll_all(MANY, BIG);
    EXPECT("a2");
    assert_string_equal(all.rec[0].file, in_folder("a.log"));
    test_write(in_folder("new.log"), TEXT("n1\nn2\n"));
    poll_all(MANY, BIG);
    EXPECT("n1", "n2");
    assert_string_equal(all.rec[0].file, in_folder("new.log"));
    /* Renamed within the pattern: the same file, not a new one. */
    test_append(in_folder("b.log"), TEXT("b2\n"));
    assert_int_equal(rename(in_folder("b.log"), in_folder("b.log.1")), 0);
    test_write(in_folder("b.log"), TEXT("b3\n"));
    poll_all(MANY, BIG);
    EXPECT("b2", "b3");
    assert_string_equal(all.rec[0].file, in_folder("b.log"));
    /* Removed and made again. */
    assert_int_equal(unlink(in_folder("new.log")), 0);
    poll_all(MANY, BIG);
    test_write(in_folder("new.log"), TEXT("n3\n"));
    poll_all(MANY, BIG);
    EXPECT("n3");
    test_host_release(&host);
}

static void pattern_in_its_own_option_bounded(void **state)
{
    (void)state;
    test_write(in_folder("2.csv"), TEXT("c\nd"));
    test_write(in_folder("1.csv"), TEXT("a\nb\n"));
    test_host_init(&host, &file_source_plugin,
                   (const char *const[]){option("filename", folder), "files.pattern=*.csv",
                                         "bounded=true", NULL});
    assert_int_equal(test_host_start(&host), 0);
    poll_all(1, BIG);
    assert_int_equal(all.last, OMC_FINISHED);
    EXPECT("a", "c", "b", "d"); /* One record per batch: the files take turns. */
    test_host_release(&host);
}

static void pattern_is_dealt_out_to_tasks(void **state)
{
    int seen[10] = {0};

    (void)state;
    for (int i = 0; i < 10; i++) {
        char name[16], line[16];

        (void)snprintf(name, sizeof name, "f%d.log", i);
        (void)snprintf(line, sizeof line, "%d\n", i);
        test_write(in_folder(name), line, strlen(line));
    }
    (void)snprintf(path, sizeof path, "%s/*.log", folder);
    for (int task = 0; task < 3; task++) {
        test_host_init(&host, &file_source_plugin,
                       (const char *const[]){option("filename", path), "bounded=true", NULL});
        assert_int_equal(test_host_task(&host, task, 3), 0);
        poll_all(MANY, BIG);
        assert_int_equal(all.last, OMC_FINISHED);
        for (size_t i = 0; i < all.count; i++)
            seen[all.rec[i].line[0] - '0']++;
        test_host_release(&host);
    }
    for (int i = 0; i < 10; i++)
        assert_int_equal(seen[i], 1);
}

static int count_config(omc_task_configs *configs, const omc_keyvalue *overrides, omc_error *err)
{
    (void)overrides;
    (void)err;
    ++*(int *)configs->host;
    return 0;
}

static void task_counts(void **state)
{
    static const struct {
        const char *name;
        int max_tasks, want;
    } t[] = {{"in.log", 1, 1}, {"in.log", 4, 1}, {"*.log", 4, 4}, {"*.log", 1, 1}};

    (void)state;
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        int n = 0;
        omc_task_configs configs = {.size = sizeof configs, .host = &n, .add = count_config};
        omc_connector_context ctx = {.size = sizeof ctx, .config = &host.config};
        void *connector = calloc(1, ops->connector_state_size);

        test_host_init(&host, &file_source_plugin,
                       (const char *const[]){option("filename", in_folder(t[i].name)), NULL});
        assert_int_equal(ops->validate(&host.config, &host.err), 0);
        assert_int_equal(ops->connector_start(connector, &ctx, &host.err), 0);
        assert_int_equal(ops->task_configs(connector, t[i].max_tasks, &configs, &host.err), 0);
        assert_int_equal(n, t[i].want);
        free(connector);
        test_host_release(&host);
    }
}

/* ---- positions --------------------------------------------------------------------------- */

static void foreign_positions(void **state)
{
    /* 4 + 3 + 2 bytes; the second line is one character of two bytes. */
    static const char content[] = "one\n\xc3\xbc\nz\n";
    static const struct {
        const char *key, *text;
        bool number;
        const char *lines[4]; /* NULL first: everything was read. */
        bool refused;
    } t[] = {
        {"nextPosition", "0", false, {"one", "\xc3\xbc", "z"}, false},
        {"nextPosition", "4", false, {"\xc3\xbc", "z"}, false},
        {"nextPosition", "4", true, {"\xc3\xbc", "z"}, false},
        {"position", "7", true, {"z"}, false},
        {"nextPosition", "9", false, {NULL}, false},
        {"nextPosition", "6", false, {NULL}, true}, /* Java's count after the second line. */
        {"nextPosition", "8", false, {NULL}, true},
        {"nextPosition", "10", false, {NULL}, true},
        {"nextPosition", "-1", false, {NULL}, true},
        {"nextPosition", "soon", false, {NULL}, true},
        {"other", "4", false, {NULL}, true},
    };

    (void)state;
    put_file(content);
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        omc_entry entry = {.key = omc_string(omc_slice_str(t[i].key)),
                           .value = t[i].number
                                        ? omc_integer(OMC_INT64, strtoll(t[i].text, NULL, 10))
                                        : omc_string(omc_slice_str(t[i].text))};
        omc_map map = {.count = 1, .entries = &entry};
        int r = START_AT(&map);

        assert_int_equal(r < 0, t[i].refused);
        if (r < 0) {
            assert_true(host.err.flags & OMC_ERR_FATAL);
            assert_non_null(strstr(host.err.msg, path));
            assert_non_null(strstr(host.err.msg, "offset"));
        } else {
            poll_all(MANY, BIG);
            expect_lines(t[i].lines);
        }
        test_host_release(&host);
    }
}

/* Reads "one" of "one\ntwo\n" and returns its offset as committed. */
static const omc_map *read_one(void)
{
    static got_record rec;

    put_file("one\ntwo\n");
    START();
    drop(&all);
    assert_int_equal(poll_once(1, BIG, 0), 1);
    rec = all.rec[0];
    rec.line = NULL;
    rec.offset.entries = rec.entries;
    for (size_t i = 0; i < rec.offset.count; i++)
        if (omc_slice_is(rec.entries[i].key.u.bytes, "fingerprint"))
            rec.entries[i].value = omc_string(omc_slice_str(rec.print));
    test_host_release(&host);
    return &rec.offset;
}

static void rotated_twice_while_away(void **state)
{
    const omc_map *offset = read_one();
    struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};

    (void)state;
    /* in.log -> in.log.2, then two more generations. */
    assert_int_equal(rename(path, in_folder("in.log.2")), 0);
    test_write(in_folder("in.log.1"), TEXT("three\nfour"));
    test_write(in_folder("in.log.bak"), TEXT("not ours\n"));
    test_write(in_folder("in.log.3"), TEXT("ancient\n"));
    put_file("five\n");
    assert_int_equal(utimensat(-1, in_folder("in.log.3"), times, 0), 0);
    times[1].tv_sec = 2000;
    assert_int_equal(utimensat(-1, in_folder("in.log.2"), times, 0), 0);
    times[1].tv_sec = 3000;
    assert_int_equal(utimensat(-1, in_folder("in.log.1"), times, 0), 0);
    assert_int_equal(START_AT(offset), 0);
    poll_all(MANY, BIG);
    EXPECT("two", "three", "four", "five");
    test_host_release(&host);
    assert_int_equal(START_AT(offset, "bounded=true"), 0);
    poll_all(1, BIG);
    EXPECT("two", "three", "four", "five");
    assert_int_equal(all.last, OMC_FINISHED);
    test_host_release(&host);
}

static void rotated_while_away_and_no_new_file(void **state)
{
    const omc_map *offset = read_one();

    (void)state;
    assert_int_equal(rename(path, in_folder("in.log-20260101")), 0);
    assert_int_equal(START_AT(offset), 0);
    poll_all(MANY, BIG);
    EXPECT("two");
    put_file("new\n");
    poll_all(MANY, BIG);
    EXPECT("new");
    test_host_release(&host);
}

static void copytruncated_while_away(void **state)
{
    const omc_map *offset = read_one();

    (void)state;
    test_write(in_folder("in.log.1"), TEXT("one\ntwo\nthree\n"));
    put_file("new\n");
    assert_int_equal(START_AT(offset), 0);
    poll_all(MANY, BIG);
    EXPECT("two", "three", "new");
    test_host_release(&host);
}

static void replaced_while_away(void **state)
{
    const omc_map *offset = read_one();

    (void)state;
    test_write(in_folder("other"), TEXT("quite different\n"));
    assert_int_equal(rename(in_folder("other"), path), 0);
    assert_int_equal(START_AT(offset), 0);
    poll_all(MANY, BIG);
    EXPECT("quite different");
    assert_non_null(strstr(host.log, "was replaced while we were away"));
    assert_non_null(strstr(host.log, "byte 4"));
    test_host_release(&host);
    /* Restored from a backup: other inode, same content. */
    offset = read_one();
    test_write(in_folder("other"), TEXT("one\ntwo\nmore\n"));
    assert_int_equal(rename(in_folder("other"), path), 0);
    assert_int_equal(START_AT(offset), 0);
    poll_all(MANY, BIG);
    EXPECT("two", "more");
    test_host_release(&host);
}

/* ---- refusals ---------------------------------------------------------------------------- */

static int start_bad(const char *filename, const char *other)
{
    int r;

    test_host_init(&host, &file_source_plugin,
                   (const char *const[]){option("filename", filename), other, NULL});
    r = test_host_start(&host);
    return r;
}

static void refusals_name_the_cure(void **state)
{
    static const struct {
        const char *name, *option, *says;
    } t[] = {
        {"absent", "bounded=true", "bounded=false"},
        {"*.absent", "bounded=true", "matches"},
        {"fifo", "bounded=true", "FIFO"},
        {"fifo", "start=end", "FIFO"},
        {".", "start=end", "files.pattern"},
        {"no/folder/x", "start=end", "folder"},
        {"f*/x", "start=end", "one connector per folder"},
        {"secret", "bounded=true", "right to read"},
    };

    (void)state;
    assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
    test_write(in_folder("secret"), TEXT("x\n"));
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(chmod(in_folder("secret"), 0), 0);
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        bool root = strcmp(t[i].name, "secret") == 0 && geteuid() == 0;
        int r;

        if (root)
            assert_int_equal(seteuid(65534), 0);
        r = start_bad(in_folder(t[i].name), t[i].option);
        if (root)
            assert_int_equal(seteuid(0), 0);
        assert_true(r < 0);
        if (!strstr(host.err.msg, t[i].says))
            fail_msg("%s: %s", t[i].name, host.err.msg);
        test_host_release(&host);
    }
}

static void topic_extension(void **state)
{
    test_batch *batch = test_batch_new(MANY, BIG);
    char name[320];

    (void)state;
    put_file("x\n");
    START("topic=T");
    assert_int_equal(ops->poll(host.task, &batch->pub, 0, &host.err), 1);
    assert_true(
        omc_slice_is(*omc_keyvalue_get(omc_batch_at(&batch->pub, 0)->extensions, "topic"), "T"));
    (void)snprintf(name, sizeof name, "%s_line", path);
    assert_string_equal(omc_batch_at(&batch->pub, 0)->schema->name, name);
    test_batch_free(batch);
    test_host_release(&host);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lines_across_every_boundary),
        TEST(resume_after_every_line),
        TEST(long_lines),
        TEST(long_line_fails_behind_good_ones),
        TEST(truncated_line_resumes),
        TEST(kept_ends_across_every_boundary),
        TEST(kept_ends_of_split_lines),
        TEST(kept_ends_of_a_growing_file),
        TEST(kept_ends_of_cut_lines_are_refused),
        TEST(last_line_waits_for_its_newline),
        TEST(long_partial_line_grows),
        TEST(final_line_timeout),
        TEST(blocks_until_bytes_come_or_the_host_wakes_it),
        TEST(waits_for_an_absent_file),
        TEST(rotation_by_rename),
        TEST(rotate_wait_holds_the_new_file_back),
        TEST(truncation_starts_again),
        TEST(start_at_the_end),
        TEST(pattern_follows_new_files),
        TEST(pattern_in_its_own_option_bounded),
        TEST(pattern_is_dealt_out_to_tasks),
        TEST(task_counts),
        TEST(foreign_positions),
        TEST(rotated_twice_while_away),
        TEST(rotated_while_away_and_no_new_file),
        TEST(copytruncated_while_away),
        TEST(replaced_while_away),
        TEST(refusals_name_the_cure),
        TEST(topic_extension),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
