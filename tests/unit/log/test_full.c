/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A full disk, a real one: a small tmpfs. Tasks must feel back-pressure, the log must say what is
 * wrong, and all goes on when there is space again. Skipped only where mounting is not allowed.
 */
#include "log_unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <time.h>

enum { DISK_MB = 12, EACH = 100 };

typedef struct disk {
    char mount[64];
    char filler[96];
    bed bed;
} disk;

static int mount_disk(void **state)
{
    disk *d = rc_calloc(1, sizeof *d);
    char options[32];

    (void)snprintf(d->mount, sizeof d->mount, "/tmp/rc-full-XXXXXX");
    (void)snprintf(options, sizeof options, "size=%dm", DISK_MB);
    if (!mkdtemp(d->mount)) {
        free(d);
        return -1;
    }
    *state = d;
    if (mount("tmpfs", d->mount, "tmpfs", 0, options) < 0) {
        print_message("no permission to mount: %s\n", strerror(errno));
        (void)rmdir(d->mount);
        d->mount[0] = '\0';
        return 0;
    }
    (void)snprintf(d->filler, sizeof d->filler, "%s/filler", d->mount);
    (void)snprintf(d->bed.dir, sizeof d->bed.dir, "%s/log", d->mount);
    return 0;
}

static int unmount_disk(void **state)
{
    disk *d = *state;

    if (d->mount[0]) {
        (void)umount(d->mount);
        (void)rmdir(d->mount);
    }
    free(d);
    return 0;
}

static disk *disk_of(void **state)
{
    disk *d = *state;

    if (!d->mount[0])
        skip();
    return d;
}

static void fill_disk(const disk *d)
{
    int fd = open(d->filler, O_WRONLY | O_CREAT | O_APPEND, 0644);
    char zeros[4096] = {0};

    assert_true(fd >= 0);
    while (write(fd, zeros, sizeof zeros) > 0)
        ;
    assert_int_equal(errno, ENOSPC);
    (void)close(fd);
}

static void pause_briefly(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

static rc_log_health wait_for_trouble(rc_log *log)
{
    rc_log_health health;

    do {
        pause_briefly();
        rc_log_health_get(log, &health);
    } while (health.writable);
    return health;
}

static void writing_goes_on_when_there_is_space(void **state)
{
    disk *d = disk_of(state);
    rc_writer_config config = {.name = "t", .connector = "c", .pending_bytes_max = 1 << 20};
    rc_error err = {0};
    rc_fetch fetch = {0};
    rc_log_health health;
    rc_append *append = NULL;
    rc_writer *writer;
    rc_reader *reader;
    rc_topic *topic;
    rc_receipt receipt;
    int64_t next = 0, received = 0;
    int r;

    bed_reopen(&d->bed);
    topic = bed_topic(&d->bed, "t", 1);
    OK(rc_writer_open(d->bed.log, &config, &writer, &err));
    next = received = store_numbers(writer, topic, 0, 0, EACH, 1000) + EACH;
    fill_disk(d);
    do { /* until back-pressure says stop */
        if (!append) {
            append = rc_append_new(writer);
            add_numbers(append, topic, 0, next, EACH, 1000);
        }
        r = rc_writer_submit(writer, append, NULL, &err);
        if (r == 0) {
            next += EACH;
            append = NULL;
        }
        while (rc_writer_receipt(writer, 0, &receipt)) {
            assert_int_equal(receipt.result, 0);
            rc_append_free(receipt.append);
            received += EACH;
        }
        if (r < 0)
            pause_briefly();
        rc_log_health_get(d->bed.log, &health);
    } while (r == 0 || health.writable);
    assert_int_equal(r, -OMC_EAGAIN);
    rc_append_free(append);
    assert_true(received < next);
    assert_non_null(strstr(health.text, "disk full: "));
    assert_non_null(strstr(health.text, d->bed.dir));
    assert_non_null(strstr(health.text, "since 20"));
    {
        rc_commit commit = {.topic = topic, .offset = 5};
        rc_topic *other;

        /* A request does not wait for the disk. (The file of the live tables may have room.) */
        assert_int_equal(rc_log_topic(d->bed.log, "other", 1, &other, &err), -OMC_ENOSPC);
        assert_true(err.flags & OMC_ERR_RETRIABLE);
        assert_int_equal(rc_log_commit(d->bed.log, "g", NULL, &commit, 1, &err), -OMC_ENOSPC);
    }
    /* What is there can be read. */
    reader = bed_reader(&d->bed, topic, 0, 0);
    assert_int_equal(rc_reader_fetch(reader, 10, 1 << 20, 0, &fetch, &err), 10);
    rc_fetch_release(reader, &fetch);
    rc_reader_close(reader);

    assert_int_equal(unlink(d->filler), 0);
    while (received < next) {
        assert_int_equal(rc_writer_receipt(writer, soon(), &receipt), 1);
        assert_int_equal(receipt.result, 0);
        rc_append_free(receipt.append);
        received += EACH;
    }
    rc_log_health_get(d->bed.log, &health);
    assert_true(health.writable);
    assert_string_equal(health.text, "");
    assert_int_equal(store_numbers(writer, topic, 0, next, EACH, 1000), next);
    rc_writer_close(writer);
    bed_reopen(&d->bed);
    topic = bed_topic(&d->bed, "t", 0);
    reader = bed_reader(&d->bed, topic, 0, 0);
    expect_numbers(reader, 0, next + EACH, 0);
    rc_reader_close(reader);
    bed_done(&d->bed);
}

/* A task may stop while the disk is full: what waited is dropped at once, not stored later. */
static void closing_does_not_wait_for_space(void **state)
{
    disk *d = disk_of(state);
    rc_error err = {0};
    rc_append *append;
    rc_writer *writer;
    rc_topic *topic;
    int64_t min, max;

    bed_reopen(&d->bed);
    topic = bed_topic(&d->bed, "t", 1);
    writer = bed_writer(&d->bed, "c");
    (void)store_numbers(writer, topic, 0, 0, EACH, 1000);
    fill_disk(d);
    for (int i = 1; i <= 5; i++) {
        append = rc_append_new(writer);
        add_numbers(append, topic, 0, i * EACH, EACH, 1000);
        OK(rc_writer_submit(writer, append, NULL, &err));
    }
    (void)wait_for_trouble(d->bed.log);
    rc_writer_close(writer);
    OK(rc_log_bounds(d->bed.log, topic, 0, &min, &max, &err));
    assert_int_equal(unlink(d->filler), 0);
    writer = bed_writer(&d->bed, "c");
    /* What the file had room for before it was full is stored; the rest never comes. */
    assert_int_equal(store_numbers(writer, topic, 0, max, EACH, 1000), max);
    rc_writer_close(writer);
    bed_done(&d->bed);
}

/* Files of ours that are removed and still open, which keeps their space taken. */
static size_t removed_but_open(void)
{
    DIR *fds = opendir("/proc/self/fd");
    struct dirent *entry;
    size_t n = 0;

    assert_non_null(fds);
    while ((entry = readdir(fds))) {
        char target[256];
        ssize_t len = readlinkat(dirfd(fds), entry->d_name, target, sizeof target - 1);

        target[len > 0 ? len : 0] = '\0';
        n += strstr(target, ".seg") && strstr(target, "(deleted)");
    }
    (void)closedir(fds);
    return n;
}

/* Retention runs before the next try: with something old to remove, nobody has to help. */
static void retention_makes_room(void **state)
{
    disk *d = disk_of(state);
    rc_error err = {0};
    rc_writer *writer;
    rc_reader *reader;
    rc_fetch fetch = {0};
    rc_topic *topic;
    rc_commit commit;
    int64_t min, max;

    d->bed.config = (rc_embedded_config){.keep_bytes = 2 << 20, .segment_bytes = 1 << 20};
    bed_reopen(&d->bed);
    topic = bed_topic(&d->bed, "t", 1);
    commit = (rc_commit){.topic = topic};
    OK(rc_log_commit(d->bed.log, "g", NULL, &commit, 1, &err)); /* nothing may go yet */
    OK(rc_log_committed(d->bed.log, "g", topic, 0, NULL, &max, NULL, &err)); /* opens it, too */
    writer = bed_writer(&d->bed, "c");
    for (int i = 0; i < 40; i++)
        (void)store_numbers(writer, topic, 0, i * EACH, EACH, 1000);
    reader = bed_reader(&d->bed, topic, 0, 0); /* has the oldest open: it must let go */
    assert_int_equal(rc_reader_fetch(reader, 10, 1 << 20, 0, &fetch, &err), 10);
    OK(rc_reader_seek(reader, topic, 0, 40 * EACH, &err));
    assert_int_equal(rc_reader_fetch(reader, 10, 1 << 20, 0, &fetch, &err), 0);
    OK(rc_log_bounds(d->bed.log, topic, 0, &min, &max, &err));
    assert_int_equal(min, 0);
    OK(rc_log_group_delete(d->bed.log, "g", &err));
    fill_disk(d);
    for (int i = 40; i < 60; i++)
        (void)store_numbers(writer, topic, 0, i * EACH, EACH, 1000);
    OK(rc_log_bounds(d->bed.log, topic, 0, &min, &max, &err));
    assert_true(min > 0);
    assert_int_equal(max, 60 * EACH);
    (void)rc_log_group_delete(d->bed.log, "g", &err);     /* behind what retention does meanwhile */
    OK(rc_reader_seek(reader, topic, 0, max - 10, &err)); /* another read, not from memory */
    assert_int_equal(rc_reader_fetch(reader, 10, 1 << 20, 0, &fetch, &err), 10);
    assert_int_equal(removed_but_open(), 0);
    rc_fetch_release(reader, &fetch);
    rc_reader_close(reader);
    rc_writer_close(writer);
    bed_done(&d->bed);
    (void)unlink(d->filler);
}

/* Closing does not wait for space: what could not be stored comes back as failed. */
static void closing_ends_on_a_full_disk(void **state)
{
    disk *d = disk_of(state);
    rc_error err = {0};
    rc_append *append;
    rc_writer *writer;
    rc_reader *reader;
    rc_topic *topic;

    bed_reopen(&d->bed);
    topic = bed_topic(&d->bed, "t", 1);
    writer = bed_writer(&d->bed, "c");
    (void)store_numbers(writer, topic, 0, 0, EACH, 1000);
    fill_disk(d);
    append = rc_append_new(writer);
    add_numbers(append, topic, 0, EACH, 5000, 1000);
    OK(rc_writer_submit(writer, append, NULL, &err));
    (void)wait_for_trouble(d->bed.log);
    rc_writer_close(writer);
    bed_close(&d->bed);
    bed_reopen(&d->bed); /* works on a full disk, too */
    topic = bed_topic(&d->bed, "t", 0);
    reader = bed_reader(&d->bed, topic, 0, 0);
    expect_numbers(reader, 0, EACH, 0);
    rc_reader_close(reader);
    bed_done(&d->bed);
    (void)unlink(d->filler);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(writing_goes_on_when_there_is_space, mount_disk,
                                        unmount_disk),
        cmocka_unit_test_setup_teardown(closing_does_not_wait_for_space, mount_disk, unmount_disk),
        cmocka_unit_test_setup_teardown(retention_makes_room, mount_disk, unmount_disk),
        cmocka_unit_test_setup_teardown(closing_ends_on_a_full_disk, mount_disk, unmount_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
