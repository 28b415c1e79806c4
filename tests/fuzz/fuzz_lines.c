/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The line reader of the file source against a splitter that is too simple to be wrong. A file
 * grows in pieces of any size and is read in blocks of any size; the records must be those of
 * the whole content, and with line ends kept and long lines split they joined must be the content
 * itself. The first four bytes of the input choose limits and pieces.
 */
#include "reader.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SMALL_MAX 8192

typedef struct batch {
    omc_batch pub;
    omc_arena arena;
    void *blocks[64];
    size_t block_count;
} batch;

static void *more(omc_arena *arena, size_t n)
{
    batch *b = (batch *)(void *)((char *)arena - offsetof(batch, arena));
    char *block = malloc(n ? n : 1); /* One block per piece: ASan watches its ends. */

    if (!block || b->block_count == 64 * 1024)
        abort();
    b->blocks[b->block_count++ % 64] = block;
    return block;
}

static void grow(omc_batch *pub)
{
    pub->capacity = pub->capacity ? pub->capacity * 2 : 8;
    pub->records = realloc(pub->records, pub->capacity * pub->record_size);
    if (!pub->records)
        abort();
}

static void count(void *host, const char *name, int64_t delta)
{
    (void)host;
    (void)name;
    (void)delta;
}

OMC_PRINTF(3, 4) static void no_log(void *host, omc_log_level level, const char *fmt, ...)
{
    (void)host;
    (void)level;
    (void)fmt;
}

/* What the documentation says about one line at `at`. */
typedef struct expected {
    const char *content;
    size_t len, at, max;
    file_long_lines mode;
    bool keep;
    size_t joined; /* Bytes of all values so far. */
} expected;

static size_t piece(const char *at, size_t max)
{
    for (size_t back = 0; back < 4 && back < max; back++)
        if (((unsigned char)at[max - back] & 0xc0) != 0x80)
            return max - back;
    return max;
}

/* The next line; false at the end. */
static bool next_line(expected *e, omc_slice *line, int64_t *pos)
{
    while (e->at < e->len) {
        const char *at = e->content + e->at;
        const char *nl = memchr(at, '\n', e->len - e->at);
        size_t whole = nl ? (size_t)(nl - at) : e->len - e->at;
        size_t len = nl && whole && nl[-1] == '\r' ? whole - 1 : whole;
        size_t after = e->at + whole + (nl != NULL);

        if (len <= e->max) {
            *line = omc_slice_of(at, e->keep ? after - e->at : len);
            *pos = (int64_t)after;
            e->at = after;
            return true;
        }
        if (e->mode == FILE_LONG_SKIP) {
            e->at = after;
            continue;
        }
        len = piece(at, e->max);
        *line = omc_slice_of(at, len);
        *pos = (int64_t)(e->at + len);
        e->at = e->mode == FILE_LONG_SPLIT ? e->at + len : after;
        return true;
    }
    return false;
}

/* Says nothing of lines, so that it cannot repeat a mistake of next_line(). */
static void check_joined(expected *e, omc_slice value)
{
    if (value.len == 0 || value.len > e->len - e->joined ||
        memcmp(value.base, e->content + e->joined, value.len) != 0)
        abort();
    e->joined += value.len;
}

static void check(expected *e, const batch *b)
{
    for (size_t i = 0; i < b->pub.count; i++) {
        const omc_record *rec = omc_batch_at(&b->pub, i);
        omc_slice line;
        int64_t pos;

        if (!next_line(e, &line, &pos) || !omc_slice_eq(line, rec->value.u.bytes) ||
            pos != rec->position.counter)
            abort();
        if (e->keep && e->mode == FILE_LONG_SPLIT)
            check_joined(e, rec->value.u.bytes);
    }
}

static int fill(file_reader *reader, const omc_source_context *ctx, expected *e, size_t records,
                size_t bytes, bool final)
{
    batch b = {.pub = {.size = sizeof(omc_batch), .record_size = sizeof(omc_record)}};
    file_emit emit = {.ctx = ctx,
                      .name = "f",
                      .line_max = e->max,
                      .long_lines = e->mode,
                      .keep_end = e->keep,
                      .out = &b.pub,
                      .records_max = records,
                      .bytes_left = bytes,
                      .now_ms = 1};
    omc_error err = {0};
    int r;

    b.arena.more = more;
    b.pub.arena = &b.arena;
    b.pub.grow = grow;
    r = file_reader_fill(reader, &emit, final, &err);
    if (r < 0 || b.pub.count > records || b.block_count > 64)
        abort();
    check(e, &b);
    for (size_t i = 0; i < b.block_count; i++)
        free(b.blocks[i]);
    free(b.pub.records);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    const omc_source_context ctx = {.size = sizeof ctx, .count = count, .log = no_log};
    file_reader reader;
    expected e;
    size_t records, bytes, step, done = 0;
    omc_slice line;
    int64_t pos;

    if (size < 4 || size > SMALL_MAX)
        return 0;
    if (fd < 0)
        fd = memfd_create("lines", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, 0) < 0)
        abort();
    e = (expected){.content = (const char *)data + 4,
                   .len = size - 4,
                   .max = 1 + data[0] % 40,
                   .mode = (file_long_lines)(FILE_LONG_SPLIT + data[0] / 40 % 3)};
    e.keep = (data[2] & 4) && e.mode != FILE_LONG_TRUNCATE;
    bytes = 1 + data[1];
    records = 1 + data[2] % 4;
    step = 1 + data[3];
    file_reader_init(&reader);
    reader.fd = fd;
    while (done < e.len) {
        size_t n = step < e.len - done ? step : e.len - done;

        if (pwrite(fd, e.content + done, n, (off_t)done) != (ssize_t)n)
            abort();
        done += n;
        step = 1 + (step * 7 + done) % 97;
        while (fill(&reader, &ctx, &e, records, bytes, false) == 0)
            continue;
    }
    while (fill(&reader, &ctx, &e, records, bytes, true) == 0)
        continue;
    /* All of it came. */
    if (next_line(&e, &line, &pos))
        abort();
    if (e.keep && e.mode == FILE_LONG_SPLIT && e.joined != e.len)
        abort();
    return 0;
}
