/* SPDX-License-Identifier: Apache-2.0 */
/** Helpers of the log's tests: a folder per test, messages by number, appends in one line. */
#ifndef RC_LOG_UNIT_H
#define RC_LOG_UNIT_H

#include "unit.h"

#include "base/file.h"
#include "log/embedded.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define OK(call)                                                                         \
    do {                                                                                 \
        rc_error *err_ = &err;                                                           \
        int r_ = (call);                                                                 \
        if (r_ < 0)                                                                      \
            fail_msg("%s:%d: %s gave %d: %s", __FILE__, __LINE__, #call, r_, err_->msg); \
    } while (0)

typedef struct bed {
    char dir[128];
    rc_embedded_config config;
    rc_log *log;
} bed;

static inline void remove_folder(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *entry;

    while (d && (entry = readdir(d)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            (void)unlinkat(dirfd(d), entry->d_name, 0);
    if (d)
        (void)closedir(d);
    (void)rmdir(dir);
}

static inline void bed_close(bed *b)
{
    rc_log_close(b->log);
    b->log = NULL;
}

static inline void bed_reopen(bed *b)
{
    rc_error err = {0};

    bed_close(b);
    b->config.dir = b->dir;
    OK(rc_embedded_open(&b->config, &b->log, &err));
}

static inline void bed_init(bed *b)
{
    const char *tmp = getenv("TMPDIR");

    (void)snprintf(b->dir, sizeof b->dir, "%s/rc-log-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(b->dir));
    bed_reopen(b);
}

static inline void bed_done(bed *b)
{
    bed_close(b);
    remove_folder(b->dir);
}

static inline rc_topic *bed_topic(bed *b, const char *name, int32_t queues)
{
    rc_error err = {0};
    rc_topic *topic = NULL;

    OK(rc_log_topic(b->log, name, queues, &topic, &err));
    return topic;
}

static inline rc_writer *bed_writer(bed *b, const char *connector)
{
    rc_error err = {0};
    rc_writer_config config = {.name = "task", .connector = connector};
    rc_writer *writer = NULL;

    OK(rc_writer_open(b->log, &config, &writer, &err));
    return writer;
}

static inline rc_reader *bed_reader(bed *b, rc_topic *topic, int32_t queue, int64_t offset)
{
    rc_error err = {0};
    rc_reader_config config = {.name = "sink-0"};
    rc_reader *reader = NULL;

    OK(rc_reader_open(b->log, &config, &reader, &err));
    OK(rc_reader_add(reader, topic, queue, offset, &err));
    return reader;
}

/* Messages are "<number>" followed by dots up to `size`. */
static inline rc_slice numbered(char *at, int64_t number, size_t size)
{
    int n = snprintf(at, 24, "%lld", (long long)number);

    if (size > (size_t)n)
        memset(at + n, '.', size - (size_t)n);
    return omc_slice_of(at, RC_MAX(size, (size_t)n));
}

static inline void add_numbers(rc_append *append, rc_topic *topic, int32_t queue, int64_t from,
                               int64_t count, size_t size)
{
    rc_error err = {0};
    char *text = rc_malloc(size + 24);

    for (int64_t i = from; i < from + count; i++) {
        rc_message m = {.body = numbered(text, i, size), .born_ms = 1000 + i};

        OK(rc_append_add(append, topic, queue, &m, NULL, &err));
    }
    free(text);
}

#define NEVER INT64_MAX
static inline int64_t soon(void)
{
    return rc_mono_ns(rc_clock_real()) + INT64_C(30) * 1000000000;
}

/* Submits and waits for the receipt, which must be a success; returns the first offset. */
static inline int64_t store(rc_writer *writer, rc_append *append)
{
    rc_error err = {0};
    rc_receipt receipt = {0};
    int64_t offset;

    OK(rc_writer_submit(writer, append, NULL, &err));
    assert_int_equal(rc_writer_receipt(writer, NEVER, &receipt), 1); /* clocks may be fake */
    if (receipt.result < 0)
        fail_msg("append failed: %s", receipt.err.msg);
    offset = rc_append_count(append) ? rc_append_offset(append, (rc_slot){0, 0}) : -1;
    rc_append_free(append);
    return offset;
}

static inline int64_t store_numbers(rc_writer *writer, rc_topic *topic, int32_t queue, int64_t from,
                                    int64_t count, size_t size)
{
    rc_append *append = rc_append_new(writer);

    add_numbers(append, topic, queue, from, count, size);
    return store(writer, append);
}

/* The number a body begins with. */
static inline int64_t body_number(const rc_message *m)
{
    int64_t v = 0;

    for (size_t i = 0; i < m->body.len && m->body.base[i] >= '0' && m->body.base[i] <= '9'; i++)
        v = v * 10 + (m->body.base[i] - '0');
    return v;
}

/* Reads [from, from + count) and checks that message at offset o is number o + shift. */
static inline void expect_numbers(rc_reader *reader, int64_t from, int64_t count, int64_t shift)
{
    rc_error err = {0};
    rc_fetch fetch = {0};
    int64_t next = from;

    if (count == 0)
        return;
    while (next < from + count) {
        OK(rc_reader_fetch(reader, 1000, 1 << 20, soon(), &fetch, &err));
        if (fetch.count == 0)
            fail_msg("nothing came at offset %lld", (long long)next);
        for (size_t i = 0; i < fetch.count; i++, next++) {
            assert_int_equal(fetch.messages[i].offset, next);
            assert_int_equal(body_number(&fetch.messages[i]), next + shift);
            assert_int_equal(fetch.messages[i].born_ms, 1000 + next + shift);
        }
    }
    assert_int_equal(next, from + count);
    assert_int_equal(fetch.next_offset, next);
    rc_fetch_release(reader, &fetch);
}

static inline size_t count_files(const char *dir, const char *suffix)
{
    DIR *d = opendir(dir);
    struct dirent *entry;
    size_t n = 0;

    while (d && (entry = readdir(d))) {
        size_t len = strlen(entry->d_name), want = strlen(suffix);

        n += len >= want && strcmp(entry->d_name + len - want, suffix) == 0;
    }
    if (d)
        (void)closedir(d);
    return n;
}

#endif
