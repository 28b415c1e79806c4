/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The embedded log alone: append and fetch of N messages of a size, as one source task and one
 * sink task would, one after the other and then both at once. Prints one line per phase:
 * messages/s, MB/s, CPU seconds per million messages (of the whole process, writer thread
 * included), bytes on disk per message, syncs.
 *
 *   log_bench DIR [COUNT] [SIZE] [APPEND_BYTES]
 */
#include "base/thread.h"
#include "log/embedded.h"

#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

typedef struct marks {
    double wall;
    double cpu;
} marks;

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static marks mark(void)
{
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    return (marks){(double)rc_mono_ns(rc_clock_real()) / 1e9,
                   seconds(usage.ru_utime) + seconds(usage.ru_stime)};
}

static void report(const char *what, marks from, int64_t count, size_t size)
{
    marks to = mark();
    double wall = to.wall - from.wall, million = (double)count / 1e6;
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    printf("%-7s %9.0f messages/s %7.1f MB/s %6.3f CPU s per million, %.2f s, max RSS %.1f MiB\n",
           what, (double)count / wall, (double)count * (double)size / wall / 1e6,
           (to.cpu - from.cpu) / million, wall, (double)usage.ru_maxrss / 1024);
}

static void die(const rc_error *err)
{
    fprintf(stderr, "log_bench: %s\n", err->msg);
    exit(1);
}

static void take_receipts(rc_writer *writer, size_t leave)
{
    rc_receipt receipt;

    while (rc_writer_pending(writer) > leave && rc_writer_receipt(writer, INT64_MAX, &receipt)) {
        if (receipt.result < 0)
            die(&receipt.err);
        rc_append_free(receipt.append);
    }
}

static void append_all(rc_log *log, rc_topic *topic, int64_t count, size_t size, size_t batch)
{
    rc_writer_config config = {.name = "bench", .connector = "bench"};
    RC_AUTO(rc_writer) writer = NULL;
    RC_AUTO_FREE char *body = rc_malloc(size);
    rc_error err = {0};
    rc_append *append;

    memset(body, 'x', size);
    if (rc_writer_open(log, &config, &writer, &err) < 0)
        die(&err);
    append = rc_append_new(writer);
    for (int64_t i = 1; i <= count; i++) {
        rc_message m = {.body = {body, size}, .born_ms = 1700000000000 + i / 1500};

        if (rc_append_add(append, topic, 0, &m, NULL, &err) < 0)
            die(&err);
        if (rc_append_bytes(append) < batch && i < count)
            continue;
        rc_append_position(append, omc_slice_str("{\"filename\":\"x\"}"),
                           omc_slice_str("{\"position\":1234567890}"));
        while (rc_writer_submit(writer, append, NULL, &err) < 0)
            take_receipts(writer, rc_writer_pending(writer) - 1);
        append = rc_append_new(writer);
        take_receipts(writer, 64);
    }
    rc_append_free(append);
    take_receipts(writer, 0);
}

static void fetch_all(rc_log *log, rc_topic *topic, int64_t count)
{
    rc_reader_config config = {.name = "bench"};
    RC_AUTO(rc_reader) reader = NULL;
    rc_error err = {0};
    rc_fetch fetch = {0};
    int64_t next = 0;

    if (rc_reader_open(log, &config, &reader, &err) < 0 ||
        rc_reader_add(reader, topic, 0, 0, &err) < 0)
        die(&err);
    while (next < count) {
        if (rc_reader_fetch(reader, 2048, (size_t)1 << 20, INT64_MAX, &fetch, &err) < 0)
            die(&err);
        next = fetch.next_offset;
    }
    rc_fetch_release(reader, &fetch);
}

/* A sink that follows while the source writes. */
typedef struct follower {
    rc_log *log;
    rc_topic *topic;
    int64_t count;
} follower;

static void *follow(void *arg)
{
    const follower *f = arg;

    fetch_all(f->log, f->topic, f->count);
    return NULL;
}

static void copy_all(rc_log *log, int64_t count, size_t size, size_t batch)
{
    follower f = {.log = log, .count = count};
    pthread_t thread;
    rc_error err = {0};
    marks from;

    if (rc_log_topic(log, "follow", 1, &f.topic, &err) < 0)
        die(&err);
    from = mark();
    if (rc_thread_start(&thread, "follower", 0, follow, &f, &err) < 0)
        die(&err);
    append_all(log, f.topic, count, size, batch);
    (void)pthread_join(thread, NULL);
    report("both", from, count, size);
}

int main(int argc, char **argv)
{
    rc_embedded_config config = {.dir = argc > 1 ? argv[1] : NULL};
    int64_t count = argc > 2 ? strtoll(argv[2], NULL, 10) : 5000000;
    size_t size = argc > 3 ? (size_t)strtoll(argv[3], NULL, 10) : 100;
    size_t batch = argc > 4 ? (size_t)strtoll(argv[4], NULL, 10) : (size_t)1 << 20;
    rc_log_health health;
    rc_error err = {0};
    rc_topic *topic;
    rc_log *log;
    marks from;

    if (!config.dir) {
        fprintf(stderr, "usage: log_bench DIR [COUNT] [SIZE] [APPEND_BYTES]\n");
        return 2;
    }
    if (rc_embedded_open(&config, &log, &err) < 0 ||
        rc_log_topic(log, "bench", 1, &topic, &err) < 0)
        die(&err);
    from = mark();
    append_all(log, topic, count, size, batch);
    report("append", from, count, size);
    from = mark();
    fetch_all(log, topic, count);
    report("fetch", from, count, size);
    copy_all(log, count, size, batch);
    from = mark();
    rc_log_health_get(log, &health);
    printf("health: %lld transactions, %lld syncs, %.1f bytes on disk per message before closing\n",
           (long long)health.transactions, (long long)health.syncs,
           (double)health.bytes / (double)count / 2);
    rc_log_close(log);
    report("close", from, count, size);
    return 0;
}
