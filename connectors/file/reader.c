/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and cutting. The hot path is cut(): memchr, one record filled, nothing formatted.
 *
 * A read is sized to what the batch can still take, by bytes and by lines of average length, so
 * that little of it is read twice. When not even one line ends within the block, the block grows
 * up to the longest line allowed.
 */
#include "reader.h"

#include "position.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#define GROW_MIN ((size_t)4096)
/* A partial last line longer than this is not read again from its start whenever it grows. */
#define PROBE_FROM ((int64_t)64 << 10)
#define SKIP_CHUNK ((size_t)64 << 10)
/* The rest of a skipped line is passed in pieces, so that a poll stays short. */
#define SKIP_PER_FILL ((int64_t)64 << 20)

void file_reader_init(file_reader *reader)
{
    memset(reader, 0, sizeof *reader);
    reader->fd = -1;
    reader->limit = -1;
    reader->line_bytes = 100;
}

int file_reader_open(file_reader *reader, const char *path, omc_error *err)
{
    /* O_NONBLOCK: opening a FIFO must fail below, not wait for its writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;

    if (fd < 0)
        return file_fail_errno(
            err, errno == EMFILE || errno == ENFILE ? 0 : OMC_ERR_FATAL, "open file", path,
            errno == ENOENT   ? "Create it or correct 'filename'"
            : errno == EACCES ? "Give the worker's user the right to read it"
            : errno == EMFILE ? "Raise the limit of open files (ulimit -n) or narrow the pattern"
                              : NULL);
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        (void)close(fd);
        return omc_fail(err, OMC_EINVAL, OMC_ERR_FATAL,
                        "'%s' is %s, not a regular file, so it has no positions to resume from. "
                        "Name a file in 'filename'%s",
                        path,
                        S_ISDIR(st.st_mode)    ? "a folder"
                        : S_ISFIFO(st.st_mode) ? "a FIFO"
                                               : "a device or socket",
                        S_ISDIR(st.st_mode) ? ", or add 'files.pattern' for files in it" : "");
    }
    file_reader_release(reader);
    file_reader_init(reader);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    reader->fd = fd;
    reader->dev = st.st_dev;
    reader->ino = st.st_ino;
    return 0;
}

void file_reader_release(file_reader *reader)
{
    if (reader->fd >= 0)
        (void)close(reader->fd);
    reader->fd = -1;
}

void file_reader_seek(file_reader *reader, int64_t pos)
{
    reader->pos = pos;
    reader->held = 0;
    reader->skipping = false;
    reader->at_end = false;
    reader->head_len = 0;
}

int64_t file_reader_size(const file_reader *reader)
{
    struct stat st;

    return fstat(reader->fd, &st) < 0 ? -1 : (int64_t)st.st_size;
}

ssize_t file_pread(int fd, void *buf, size_t len, int64_t at)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = pread(fd, (char *)buf + done, len - done, at + (int64_t)done);

        if (n == 0)
            break;
        if (n > 0)
            done += (size_t)n;
        else if (errno != EINTR)
            return -1;
    }
    return (ssize_t)done;
}

int file_reader_head(file_reader *reader, int64_t upto)
{
    size_t want = upto < FILE_HEAD_MAX ? (size_t)upto : FILE_HEAD_MAX;
    ssize_t n;

    if (reader->head_len >= want)
        return 0;
    n = file_pread(reader->fd, reader->head, want, 0);
    if (n < 0)
        return -1;
    reader->head_len = (size_t)n;
    return 0;
}

bool file_reader_same(const file_reader *reader)
{
    char head[FILE_HEAD_MAX];
    ssize_t n = file_pread(reader->fd, head, reader->head_len, 0);

    return n == (ssize_t)reader->head_len && memcmp(head, reader->head, (size_t)n) == 0;
}

/* Maps, schema and extensions of the records of this file, once per batch. They live in the
 * batch's arena because the batch may outlive this file, even this task. */
static void emit_begin(const file_reader *reader, file_emit *emit)
{
    omc_arena *arena = emit->out->arena;
    size_t size = strlen(emit->name) + sizeof "_line";
    omc_schema *schema = omc_alloc0(arena, sizeof *schema);
    char *name = omc_alloc(arena, size);

    (void)snprintf(name, size, "%s_line", emit->name);
    schema->type = OMC_STRING;
    schema->name = name;
    emit->schema = schema;
    emit->partition = file_partition(arena, emit->name);
    emit->offset = file_offset(arena, reader, FILE_HEAD_MAX, false);
    if (emit->topic) {
        omc_keyvalue *kv = omc_alloc(arena, sizeof *kv);
        omc_pair *pair = omc_alloc(arena, sizeof *pair);

        pair->key = omc_slice_str("topic");
        pair->value = omc_slice_str(omc_copy(arena, emit->topic, strlen(emit->topic)));
        kv->count = 1;
        kv->pairs = pair;
        emit->extensions = kv;
    }
}

static inline void emit_line(const file_reader *reader, file_emit *emit, const char *base,
                             size_t len, int64_t next, bool skip)
{
    omc_record *rec = omc_batch_add(emit->out);

    rec->timestamp_ms = emit->now_ms;
    rec->schema = emit->schema;
    rec->value.kind = OMC_STRING;
    rec->value.u.bytes = omc_slice_of(base, len);
    rec->extensions = emit->extensions;
    rec->position.partition = emit->partition;
    /* Fingerprints of the first bytes differ from record to record; see position.h. */
    rec->position.offset = next >= FILE_HEAD_MAX && !skip
                               ? emit->offset
                               : file_offset(emit->out->arena, reader, next, skip);
    rec->position.counter_name = FILE_COUNTER;
    rec->position.counter = next;
    emit->bytes_left -= len < emit->bytes_left ? len : emit->bytes_left;
}

/* Where to cut a long line: at most `max` bytes, not inside a UTF-8 character. */
static size_t cut_at(const char *base, size_t max)
{
    for (size_t n = max; n > 0 && n + 4 > max; n--)
        if (((unsigned char)base[n] & 0xc0) != 0x80)
            return n;
    return max;
}

/* A line longer than the limit begins at `base`, the byte `reader->pos` of the file. Moves the
 * reader. The block holds more than line_max bytes. */
static int long_line(file_reader *reader, file_emit *emit, const char *base, omc_error *err)
{
    size_t len = cut_at(base, emit->line_max);

    if (emit->long_lines == FILE_LONG_FAIL)
        return omc_fail(err, OMC_EFORMAT, OMC_ERR_FATAL,
                        "file '%s': the line at byte %" PRId64 " is longer than line.max.bytes="
                        "%zu. Raise line.max.bytes, or set long.lines to split, truncate or skip",
                        emit->name, reader->pos, emit->line_max);
    emit->ctx->count(emit->ctx->host, "long_lines", 1);
    if (emit->long_lines != FILE_LONG_SPLIT)
        emit->ctx->log(emit->ctx->host, OMC_WARN,
                       "file '%s': line at byte %" PRId64 " is longer than %zu bytes: %s",
                       emit->name, reader->pos, emit->line_max,
                       emit->long_lines == FILE_LONG_SKIP ? "skipped" : "truncated");
    reader->skipping = emit->long_lines != FILE_LONG_SPLIT;
    if (emit->long_lines != FILE_LONG_SKIP)
        emit_line(reader, emit, base, len, reader->pos + (int64_t)len, reader->skipping);
    reader->pos += (int64_t)len;
    reader->held = 0;
    return 0;
}

/* Passes the rest of a long line. @return 1 = behind it, 0 = later, 2 = at the end, -1 = errno. */
static int skip_rest(file_reader *reader, omc_arena *arena)
{
    char *chunk = omc_alloc(arena, SKIP_CHUNK);

    for (int64_t passed = 0; passed < SKIP_PER_FILL;) {
        size_t want = SKIP_CHUNK;
        ssize_t n;
        const char *nl;

        if (reader->limit >= 0 && reader->limit - reader->pos < (int64_t)want)
            want = reader->limit > reader->pos ? (size_t)(reader->limit - reader->pos) : 0;
        n = file_pread(reader->fd, chunk, want, reader->pos);
        if (n < 0)
            return -1;
        nl = n ? memchr(chunk, '\n', (size_t)n) : NULL;
        reader->pos += nl ? nl + 1 - chunk : n;
        passed += n;
        if (nl) {
            reader->skipping = false;
            return 1;
        }
        if (n < (ssize_t)SKIP_CHUNK)
            return 2;
    }
    return 0;
}

/* A long partial line: looks for its end in the new bytes only.
 * @return 1 = worth reading it, 0 = still partial, -1 = errno. */
static int probe(file_reader *reader, const file_emit *emit)
{
    char *chunk = omc_alloc(emit->out->arena, SKIP_CHUNK);

    while (reader->held <= (int64_t)emit->line_max + 1) {
        ssize_t n = file_pread(reader->fd, chunk, SKIP_CHUNK, reader->pos + reader->held);

        if (n < 0)
            return -1;
        if (n && memchr(chunk, '\n', (size_t)n))
            return 1;
        reader->held += n;
        if (n < (ssize_t)SKIP_CHUNK)
            break;
    }
    return reader->held > (int64_t)emit->line_max;
}

/* Bytes to read at first: what the batch can take, and room for the line being held. */
static size_t read_size(const file_reader *reader, const file_emit *emit)
{
    size_t lines = emit->records_max - emit->out->count;
    size_t per_line = reader->line_bytes + reader->line_bytes / 8 + 8;
    size_t want = emit->bytes_left;

    if (lines < want / per_line)
        want = lines * per_line;
    if (want <= (size_t)reader->held)
        want = (size_t)reader->held + GROW_MIN;
    return want;
}

/* Whether `rest` bytes without a line end are more than a line may have. A last '\r' may turn out
 * to be half of a line end. */
static bool too_long(const char *base, size_t rest, size_t max)
{
    return rest > max + 1 || (rest == max + 1 && base[rest - 1] != '\r');
}

/* Cuts the block [base, base + len), which begins at reader->pos, into records and moves the
 * reader. Stops at a full batch and where a rest has to be skipped. A long line that fails behind
 * good ones is left for the next call, so that their records are delivered.
 * @return bytes used, or an error. */
static ssize_t cut(file_reader *reader, file_emit *emit, const char *base, size_t len,
                   omc_error *err)
{
    const char *at = base, *end = base + len;
    size_t first = emit->out->count;

    while (at < end && !file_emit_full(emit) && !reader->skipping) {
        const char *nl = memchr(at, '\n', (size_t)(end - at));
        size_t n = (size_t)((nl ? nl : end) - at);

        if (nl && n && nl[-1] == '\r')
            n--;
        if (nl ? n > emit->line_max : too_long(at, n, emit->line_max)) {
            int64_t before = reader->pos;
            int r = long_line(reader, emit, at, err);

            if (r < 0 && emit->out->count == first)
                return r;
            if (r < 0)
                break;
            at += reader->pos - before;
        } else if (nl) {
            size_t whole = (size_t)(nl + 1 - at);

            reader->pos += (int64_t)whole;
            emit_line(reader, emit, at, emit->keep_end ? whole : n, reader->pos, false);
            at = nl + 1;
        } else {
            break;
        }
    }
    if (emit->out->count > first)
        reader->line_bytes =
            (reader->line_bytes * 3 + (size_t)(at - base) / (emit->out->count - first)) / 4;
    return at - base;
}

static int fail_read(const file_emit *emit, omc_error *err)
{
    return file_fail_errno(err, 0, "read file", emit->name, NULL);
}

/* `want` bytes, or what is left below the limit of a bounded reader. */
static size_t below_limit(const file_reader *reader, size_t want)
{
    int64_t left = reader->limit - reader->pos;

    if (reader->limit < 0 || left >= (int64_t)want)
        return want;
    return left > 0 ? (size_t)left : 0;
}

/* Reads one block and cuts it. @return 1 = all of the file is used but `held` bytes, 0 = there may
 * be more, or an error. */
static int fill_block(file_reader *reader, file_emit *emit, omc_error *err)
{
    size_t want = read_size(reader, emit);

    for (;;) {
        size_t most = below_limit(reader, want);
        char *block = omc_alloc(emit->out->arena, most);
        ssize_t n = file_pread(reader->fd, block, most, reader->pos);
        ssize_t used;

        if (n < 0 || file_reader_head(reader, reader->pos + n) < 0)
            return fail_read(emit, err);
        if (n > 0 && !emit->partition)
            emit_begin(reader, emit);
        used = cut(reader, emit, block, (size_t)n, err);
        if (used < 0)
            return (int)used;
        emit->ctx->count(emit->ctx->host, "bytes_read", used);
        reader->held = 0;
        if (file_emit_full(emit) || reader->skipping)
            return 0;
        if ((size_t)n < want && !too_long(block + used, (size_t)(n - used), emit->line_max)) {
            reader->held = n - used;
            return 1;
        }
        if (used > 0)
            return 0;
        /* Not one whole line in a full block: a block for the longest line shows its end. */
        want = want * 4 > GROW_MIN ? want * 4 : GROW_MIN;
        want = want < emit->line_max + 2 ? want : emit->line_max + 2;
    }
}

/* The partial last line of a file that does not grow any more becomes a record. Only bytes that
 * were seen before are taken: a line end may have come behind them since.
 * @return as fill_block. */
static int fill_last(file_reader *reader, file_emit *emit, omc_error *err)
{
    size_t len = (size_t)reader->held;
    char *block = omc_alloc(emit->out->arena, len + 1);
    ssize_t n = file_pread(reader->fd, block, len, reader->pos);

    if (n < 0)
        return fail_read(emit, err);
    if ((size_t)n < len)
        return 1; /* Truncated meanwhile; the follower will see it. */
    if (!emit->partition)
        emit_begin(reader, emit);
    block[len] = '\0';
    if (len > emit->line_max)
        return long_line(reader, emit, block, err);
    reader->pos += n;
    reader->held = 0;
    emit_line(reader, emit, block, len, reader->pos, false);
    emit->ctx->count(emit->ctx->host, "bytes_read", n);
    return 1;
}

/* One step. @return 1 = at the end, 0 = call again, or an error. */
static int fill_step(file_reader *reader, file_emit *emit, bool final, omc_error *err)
{
    int r;

    if (reader->skipping) {
        r = skip_rest(reader, emit->out->arena);
        if (r < 0)
            return fail_read(emit, err);
        if (r == 2 && final)
            reader->skipping = false;
        return r == 2;
    }
    if (reader->held > PROBE_FROM && !final) {
        r = probe(reader, emit);
        if (r < 0)
            return fail_read(emit, err);
        if (r == 0)
            return 1;
    }
    r = fill_block(reader, emit, err);
    if (r == 1 && final && reader->held)
        r = fill_last(reader, emit, err);
    return r;
}

int file_reader_fill(file_reader *reader, file_emit *emit, bool final, omc_error *err)
{
    size_t first = emit->out->count;
    int r = 0;

    reader->at_end = false;
    while (r == 0 && !file_emit_full(emit)) {
        bool skipping = reader->skipping;

        r = fill_step(reader, emit, final, err);
        /* A full batch of short lines, or 64 MiB of skipped bytes, is enough for one call. */
        if (r == 0 && (skipping ? reader->skipping : emit->out->count > first && !reader->skipping))
            break;
    }
    if (r < 0 && emit->out->count > first)
        r = 0; /* Deliver these; the error comes again. */
    reader->at_end = r == 1;
    return r;
}
