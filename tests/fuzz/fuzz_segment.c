/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A segment file that is not as we left it: opening must refuse it or work, and so must reading
 * and writing afterwards. The input is a list of changes to a good file with a few batches,
 * (place: 4 bytes big-endian modulo the size, count: 1 byte, bytes), since pages of 64 KiB would
 * drown the fuzzer in zeros; an input that begins with 'R' is the file itself.
 */
#include "base/encode.h"
#include "base/file.h"
#include "log/embedded.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static char file_path[128];
static char *good;
static size_t good_len;

static void remove_files(void)
{
    static const char *const names[] = {"LOCK",
                                        "00000000000000000001.seg",
                                        "00000000000000000001.seg-wal",
                                        "00000000000000000001.seg-shm",
                                        "00000000000000000001.seg-journal",
                                        "00000000000000000002.seg",
                                        "00000000000000000002.seg-wal",
                                        "00000000000000000002.seg-shm"};

    for (size_t i = 0; i < RC_COUNT(names); i++) {
        RC_AUTO_FREE char *path = rc_path_join(folder, names[i]);

        (void)unlink(path);
    }
}

static void use_log(rc_log *log, int64_t offset)
{
    rc_writer_config writer_config = {.name = "w", .connector = "c"};
    rc_reader_config reader_config = {.name = "r"};
    RC_AUTO(rc_writer) writer = NULL;
    RC_AUTO(rc_reader) reader = NULL;
    rc_error err = {0};
    rc_fetch fetch = {0};
    rc_receipt receipt;
    rc_topic *topic;
    int64_t found;

    if (rc_log_topic(log, "t", 2, &topic, &err) < 0 ||
        rc_writer_open(log, &writer_config, &writer, &err) < 0 ||
        rc_reader_open(log, &reader_config, &reader, &err) < 0)
        return;
    (void)rc_log_search(log, topic, 0, 1700000000000, &found, &err);
    for (int32_t q = 0; q < rc_topic_queues(topic) && q < 2; q++)
        (void)rc_reader_add(reader, topic, q, offset, &err);
    for (int i = 0; i < 100; i++)
        if (rc_reader_fetch(reader, 7, 1 << 20, 0, &fetch, &err) <= 0)
            break;
    rc_fetch_release(reader, &fetch);
    rc_append *append = rc_append_new(writer);
    rc_message m = {.body = {"new", 3}};

    (void)rc_append_add(append, topic, 0, &m, NULL, &err);
    rc_append_position(append, omc_slice_str("p"), omc_slice_str("2"));
    if (rc_writer_submit(writer, append, NULL, &err) < 0) {
        rc_append_free(append);
        return;
    }
    if (rc_writer_receipt(writer, INT64_MAX, &receipt) == 1)
        rc_append_free(receipt.append);
}

static void make_good(void)
{
    rc_embedded_config config = {.dir = folder};
    rc_error err = {0};
    rc_log *log;

    (void)snprintf(folder, sizeof folder, "%s/rc-fuzz-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    RC_ASSERT(mkdtemp(folder));
    (void)snprintf(file_path, sizeof file_path, "%s/00000000000000000001.seg", folder);
    for (int i = 0; i < 5; i++) {
        RC_ASSERT(rc_embedded_open(&config, &log, &err) == 0);
        use_log(log, 0);
        rc_log_close(log);
    }
    RC_ASSERT(rc_file_read(file_path, (size_t)1 << 24, &good, &good_len, &err) == 0);
}

static void clean_up(void)
{
    remove_files();
    (void)rmdir(folder);
    free(good);
}

static void write_file(const void *bytes, size_t len)
{
    FILE *file = fopen(file_path, "wb");

    RC_ASSERT(file && fwrite(bytes, 1, len, file) == len);
    (void)fclose(file);
}

static void write_changed(const uint8_t *data, size_t size)
{
    char *copy = rc_malloc(good_len);
    rc_cursor c = rc_cursor_of(data, size);

    memcpy(copy, good, good_len);
    while (c.at < c.end && !c.bad) {
        size_t at = rc_get_be32(&c) % good_len;
        rc_slice bytes = rc_get_bytes(&c, RC_MIN((size_t)rc_get_u8(&c), (size_t)(c.end - c.at)));

        if (bytes.len)
            memcpy(copy + at, bytes.base, RC_MIN(bytes.len, good_len - at));
    }
    write_file(copy, good_len);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rc_embedded_config config = {.dir = folder};
    rc_error err = {0};
    rc_log *log;

    if (!good) {
        make_good();
        (void)atexit(clean_up);
    }
    remove_files();
    if (size && data[0] == 'R')
        write_file(data + 1, size - 1);
    else
        write_changed(data, size);
    if (rc_embedded_open(&config, &log, &err) < 0) {
        if (err.code == OMC_EINTERNAL || !err.msg[0])
            fprintf(stderr, "code %d: %s\n", err.code, err.msg);
        RC_ASSERT(err.code != OMC_EINTERNAL && err.msg[0]);
        return 0;
    }
    use_log(log, size ? data[size - 1] % 8 : 0);
    rc_log_close(log);
    return 0;
}
