/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A child writes until it is killed with SIGKILL; then the log must hold every message whose
 * receipt was seen, none twice, and positions that match the messages exactly. Segments are tiny,
 * so that the kills also hit rolls. RC_SEED repeats a run.
 */
#include "log_unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

enum { ROUNDS = 40, EACH = 50, WINDOW = 8 };

static int64_t stored_position(rc_log *log)
{
    rc_error err = {0};
    rc_slice offset = {0};
    rc_arena arena;
    int64_t ret = 0;

    rc_arena_init(&arena, 1000);
    OK(rc_log_position(log, "c", omc_slice_str("p"), &arena.pub, &offset, &err));
    if (offset.base)
        ret = strtoll(offset.base, NULL, 10);
    rc_arena_release(&arena);
    return ret;
}

static rc_append *next_append(rc_writer *writer, rc_topic *topic, int64_t from)
{
    rc_append *append = rc_append_new(writer);
    char text[24];

    add_numbers(append, topic, 0, from, EACH, 300);
    add_numbers(append, topic, 1, from, EACH, 20);
    rc_append_position(append, omc_slice_str("p"), numbered(text, from + EACH, 0));
    return append;
}

/* Never returns: writes on from the stored position and says how far receipts came. */
static _Noreturn void child(bed *b, int tell)
{
    rc_error err = {0};
    rc_writer *writer;
    rc_topic *topic;
    int64_t next;

    if (rc_embedded_open(&b->config, &b->log, &err) < 0) {
        fprintf(stderr, "child: %s\n", err.msg);
        _exit(1);
    }
    topic = bed_topic(b, "t", 2);
    writer = bed_writer(b, "c");
    next = stored_position(b->log);
    for (;;) {
        rc_receipt receipt;

        while (rc_writer_pending(writer) < WINDOW) {
            if (rc_writer_submit(writer, next_append(writer, topic, next), NULL, &err) < 0)
                _exit(2);
            next += EACH;
        }
        if (rc_writer_receipt(writer, INT64_MAX, &receipt) != 1 || receipt.result < 0)
            _exit(3);
        int64_t end = rc_append_offset(receipt.append, (rc_slot){1, 0}) + EACH;

        if (write(tell, &end, sizeof end) != (ssize_t)sizeof end)
            _exit(4);
        rc_append_free(receipt.append);
    }
}

/* Lets the child work for `receipts` receipts and a little, then kills it.
 * @return the end the child had a receipt for. */
static int64_t run_and_kill(bed *b, unsigned receipts, unsigned extra_us)
{
    int pipes[2];
    int64_t end = 0, got;
    unsigned n = 0;
    int status;
    pid_t pid;

    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        (void)close(pipes[0]);
        child(b, pipes[1]);
    }
    (void)close(pipes[1]);
    while (n < receipts && read(pipes[0], &got, sizeof got) == (ssize_t)sizeof got) {
        end = got;
        n++;
    }
    if (extra_us) /* not to wait for something: to hit another moment */
        (void)nanosleep(&(struct timespec){.tv_nsec = (long)extra_us * 1000}, NULL);
    (void)kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        fail_msg("the child ended by itself: status %x", (unsigned)status);
    while (read(pipes[0], &got, sizeof got) == (ssize_t)sizeof got)
        end = got;
    (void)close(pipes[0]);
    return end;
}

static void kill_9_loses_nothing_and_repeats_nothing(void **state)
{
    const char *given = getenv("RC_SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
    bed b = {.config = {.segment_bytes = 300000, .transaction_bytes = 100000}};
    rc_error err = {0};
    size_t segments = 0;
    (void)state;

    print_message("RC_SEED=%u\n", seed);
    srandom(seed);
    bed_init(&b);
    for (int round = 0; round < ROUNDS; round++) {
        unsigned receipts = (unsigned)random() % 40, extra = (unsigned)random() % 3000;
        int64_t acked, min, ends[2];
        rc_topic *topic;

        bed_close(&b);
        b.config.dir = b.dir;
        acked = run_and_kill(&b, receipts, extra);
        bed_reopen(&b);
        topic = bed_topic(&b, "t", 2);
        for (int q = 0; q < 2; q++) {
            rc_reader *reader = bed_reader(&b, topic, q, 0);

            OK(rc_log_bounds(b.log, topic, q, &min, &ends[q], &err));
            assert_int_equal(min, 0);
            expect_numbers(reader, 0, ends[q], 0);
            rc_reader_close(reader);
        }
        if (ends[0] != ends[1] || ends[0] != stored_position(b.log) || acked > ends[0])
            fail_msg("round %d: ends %lld and %lld, position %lld, receipts up to %lld", round,
                     (long long)ends[0], (long long)ends[1], (long long)stored_position(b.log),
                     (long long)acked);
    }
    segments = count_files(b.dir, ".seg");
    print_message("%zu segments\n", segments);
    assert_true(segments > 3);
    bed_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kill_9_loses_nothing_and_repeats_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
