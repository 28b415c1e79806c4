/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writers and commits of tasks that are owned: what a closed fence holds back and a revoked one
 * ends, which generations rank above which, and the records that tell of them.
 */
#include "rocketmq_unit.h"

#include "log/rocketmq/internal.h"

#include <poll.h>

static const rc_task_name task = {.connector = "c", .task = "c-0"};

static void sync_positions(rc_writer *writer)
{
    rc_error err = {0};

    OK(rc_writer_sync(writer, FOR_EVER, &err));
}

/* A lease that holds, and an open fence of it. */
static rc_fence *fence_of(rc_lease *lease, int64_t generation, uint64_t incarnation)
{
    rc_fence *fence;

    rc_lease_init(lease, NULL, NULL);
    rc_lease_set(lease, INT64_MAX);
    fence = rc_fence_new(lease, generation, incarnation);
    rc_fence_open(fence, rc_fence_epoch(fence));
    return fence;
}

static rc_writer *owned_writer(bed *b, rc_fence *fence, bool exactly_once, bool strict)
{
    const rc_writer_config config = {.name = "c-0",
                                     .connector = "c",
                                     .exactly_once = exactly_once,
                                     .strict = strict,
                                     .commit_interval_ms = 20,
                                     .fence = fence};
    rc_error err = {0};
    rc_writer *writer = NULL;

    OK(rc_writer_open(b->log, &config, &writer, &err));
    return writer;
}

static int sends(bed *b)
{
    return fakemq_requests(b->mq, 320, NULL) + fakemq_requests(b->mq, 310, NULL);
}

/* Somebody has looked at the closed fence, twice since the call: what is held back, is. */
static void wait_for_looks(rc_lease *lease)
{
    for (int seen = 0; seen < 3;) {
        seen += rc_lease_used(lease);
        (void)poll(NULL, 0, 2);
    }
}

/* The generation in the newest record of a name in the position topic; -1. */
static int64_t newest_generation(bed *b, const char *connector)
{
    rc_rocketmq *log = rc_rocketmq_of(b->log);
    rc_error err = {0};

    OK(rc_position_table_sync(log->table, &err));
    return rc_position_table_generation(log->table, connector);
}

/* ---- tests ---- */

static void closed_fence_holds_back_sends_and_positions(void **state)
{
    bed *b = *state;
    rc_topic *topic = topic_of(b, "owned");
    rc_lease lease;
    rc_fence *fence = fence_of(&lease, 5, 1);
    rc_writer *writer = owned_writer(b, fence, false, false);
    rc_receipt receipt;
    int before;

    append(writer, topic, 0, 100, false);
    take_all(writer);
    sync_positions(writer);
    before = sends(b);
    rc_lease_set(&lease, 0);
    append(writer, topic, 100, 200, false);
    wait_for_looks(&lease);
    assert_int_equal(sends(b), before);
    assert_int_equal(rc_writer_receipt(writer, 0, &receipt), 0); /* it waits, and does not fail */
    rc_lease_set(&lease, INT64_MAX);
    take_all(writer);
    sync_positions(writer);
    assert_position(b, "{\"nextPosition\":\"200\"}");

    rc_lease_set(&lease, 0);
    before = sends(b);
    append(writer, topic, 200, 201, false);
    wait_for_looks(&lease);
    rc_fence_revoke(fence);
    assert_int_equal(rc_writer_receipt(writer, FOR_EVER, &receipt), 1);
    assert_int_equal(receipt.result, -OMC_EFENCED);
    rc_append_free(receipt.append);
    rc_writer_close(writer);
    assert_int_equal(sends(b), before);
    assert_records(b, "owned", 200);
    rc_fence_unref(fence);
}

/* A lease that comes back does not help a fence that was revoked meanwhile. */
static void revoked_writer_takes_nothing_more(void **state)
{
    bed *b = *state;
    rc_topic *topic = topic_of(b, "late");
    rc_lease lease;
    rc_fence *fence = fence_of(&lease, 5, 1);
    rc_writer *writer = owned_writer(b, fence, false, false);
    rc_error err = {0};
    rc_receipt receipt;
    rc_append *a;
    int before = sends(b);

    rc_lease_set(&lease, 0);
    append(writer, topic, 0, 8, false);
    wait_for_looks(&lease);
    rc_fence_revoke(fence);
    rc_lease_set(&lease, INT64_MAX);
    assert_int_equal(rc_writer_receipt(writer, FOR_EVER, &receipt), 1);
    assert_int_equal(receipt.result, -OMC_EFENCED);
    rc_append_free(receipt.append);
    a = rc_append_new(writer);
    rc_append_position(a, omc_slice_str(PARTITION), omc_slice_str("{\"nextPosition\":\"9\"}"));
    assert_int_equal(rc_writer_submit(writer, a, NULL, &err), -OMC_EFENCED);
    assert_non_null(strstr(err.msg, "generation 5"));
    rc_append_free(a);
    assert_int_equal(rc_writer_sync(writer, 0, &err), 0); /* nothing of it is due any more */
    rc_writer_close(writer);
    assert_int_equal(sends(b), before);
    assert_position(b, NULL);
    rc_fence_unref(fence);
}

static void owner_begins_with_a_record(void **state)
{
    bed *b = *state;
    rc_lease leases[4];
    rc_fence *first = fence_of(&leases[0], 5, 1), *same = fence_of(&leases[1], 5, 2),
             *lower = fence_of(&leases[2], 4, 1), *next = fence_of(&leases[3], 8, 2);
    rc_error err = {0};
    int64_t known = 0;

    OK(rc_log_generation(b->log, &task, &known, &err));
    assert_int_equal(known, -1);
    OK(rc_log_take_over(b->log, &task, first, &err));
    OK(rc_log_take_over(b->log, &task, first, &err)); /* a restart of the task */
    OK(rc_log_generation(b->log, &task, &known, &err));
    assert_int_equal(known, 5);
    assert_int_equal(newest_generation(b, "__rc.task/c"), 5);
    assert_int_equal(rc_log_take_over(b->log, &task, same, &err), -OMC_EFENCED);
    assert_int_equal(atomic_load(&same->witness), 5);
    assert_int_equal(rc_log_verify(b->log, &task, lower, &err), -OMC_EFENCED);
    OK(rc_log_take_over(b->log, &task, next, &err));
    assert_int_equal(rc_log_verify(b->log, &task, first, &err), -OMC_EFENCED);
    assert_int_equal(atomic_load(&first->witness), 8);
    assert_int_equal(rc_fence_check(first), RC_FENCE_REVOKED);
    assert_int_equal(rc_fence_check(next), RC_FENCE_OPEN);
    rc_fence_unref(first);
    rc_fence_unref(same);
    rc_fence_unref(lower);
    rc_fence_unref(next);
}

/* Positions rank by the owner's generation, whoever writes later, also at least once. */
static void older_owners_positions_are_void(void **state)
{
    bed *b = *state;
    bed other = {.mq = b->mq, .timeout_ms = b->timeout_ms};
    rc_topic *topic = topic_of(b, "rank");
    rc_lease leases[2];
    rc_fence *old = fence_of(&leases[0], 5, 1), *young = fence_of(&leases[1], 8, 2);
    rc_writer *late = owned_writer(b, old, false, false), *writer;
    rc_error err = {0};

    open_log(&other);
    append(late, topic, 0, 10, false);
    take_all(late);
    sync_positions(late);
    writer = owned_writer(&other, young, false, false);
    append(writer, topic_of(&other, "rank"), 10, 20, false);
    take_all(writer);
    sync_positions(writer);
    assert_int_equal(newest_generation(b, "c"), 8);
    /* The one before knows it by now: it ends rather than commit. */
    append(late, topic, 10, 12, false);
    take_all(late);
    assert_int_equal(rc_writer_sync(late, FOR_EVER, &err), -OMC_EFENCED);
    assert_int_equal(atomic_load(&old->witness), 8);
    rc_writer_close(late);
    rc_writer_close(writer);
    close_log(&other);
    assert_position(b, "{\"nextPosition\":\"20\"}");
    rc_fence_unref(old);
    rc_fence_unref(young);
}

/* Exactly once takes the owner's generation, and what a lost owner has stored is not repeated. */
static void exactly_once_goes_on_behind_a_lost_owner(void **state)
{
    bed *b = *state;
    rc_topic *topic = topic_of(b, "once");
    rc_lease leases[2];
    rc_fence *old = fence_of(&leases[0], 5, 1), *young = fence_of(&leases[1], 8, 2);
    const rc_writer_config config = {.name = "c-0",
                                     .connector = "c",
                                     .exactly_once = true,
                                     .commit_interval_ms = 3600000, /* notes only */
                                     .fence = old};
    rc_writer *writer = NULL;
    rc_error err = {0};

    OK(rc_writer_open(b->log, &config, &writer, &err));
    append(writer, topic, 0, 100, true);
    take_all(writer);
    assert_int_equal(rc_eo_generation(writer), 5);
    rc_fence_revoke(old);
    rc_writer_close(writer);
    writer = owned_writer(b, young, true, false);
    assert_int_equal(rc_eo_generation(writer), 8);
    append(writer, topic, 0, 150, true); /* there is no position */
    take_all(writer);
    rc_writer_close(writer);
    assert_records(b, "once", 150);
    rc_fence_unref(old);
    rc_fence_unref(young);
}

static void barriers_are_held_back_too(void **state)
{
    bed *b = *state;
    rc_topic *topic = topic_of(b, "strict");
    rc_lease leases[2];
    rc_fence *old = fence_of(&leases[0], INT64_C(1) << 41, 1);
    rc_fence *young = fence_of(&leases[1], (INT64_C(1) << 41) + 1, 2);
    rc_writer *writer = owned_writer(b, old, true, true);
    const rmq_stamp stamp = {writer->strict, 1, 0};
    atomic_bool stop = false;
    rc_error err = {0};
    int64_t offset;
    int before;

    append(writer, topic, 0, 40, true);
    take_all(writer);
    sync_positions(writer); /* nothing is under way */
    rc_fence_revoke(old);
    before = sends(b);
    assert_int_equal(rc_barrier(writer, &topic->queues[0], &stamp, &stop, &offset, &err),
                     -OMC_EFENCED);
    rc_writer_close(writer);
    assert_int_equal(sends(b), before);
    writer = owned_writer(b, young, true, true); /* puts barriers of its own */
    append(writer, topic, 0, 60, true);
    take_all(writer);
    rc_writer_close(writer);
    assert_true(sends(b) > before);
    rc_fence_unref(old);
    rc_fence_unref(young);
}

static int64_t behind(bed *b, rc_topic *topic, const int64_t *positions)
{
    int64_t sum = 0, min, end;
    rc_error err = {0};

    for (int32_t q = 0; q < rc_topic_queues(topic); q++) {
        OK(rc_log_bounds(b->log, topic, q, &min, &end, &err));
        sum += end - positions[q];
    }
    return sum;
}

/* What readers that know barriers take: every record, once. */
static void assert_read(bed *b, const char *name, int count)
{
    const rc_reader_config config = {.name = "r"};
    rc_topic *topic = topic_of(b, name);
    int *seen = calloc((size_t)count, sizeof *seen);
    int64_t positions[8] = {0};
    rc_reader *reader = NULL;
    rc_fetch fetch = {0};
    rc_error err = {0};

    assert_true(rc_topic_queues(topic) <= 8);
    OK(rc_reader_open(b->log, &config, &reader, &err));
    for (int32_t q = 0; q < rc_topic_queues(topic); q++)
        OK(rc_reader_add(reader, topic, q, 0, &err));
    while (behind(b, topic, positions) > 0) {
        int n = rc_reader_fetch(reader, 100, 1 << 20, FOR_EVER, &fetch, &err);

        OK(n);
        for (int i = 0; i < n; i++) {
            char text[16] = "";

            memcpy(text, fetch.messages[i].body.base,
                   RC_MIN(fetch.messages[i].body.len, (size_t)15));
            seen[strtol(text, NULL, 10) % count]++;
        }
        positions[fetch.queue] = fetch.next_offset;
    }
    rc_fetch_release(reader, &fetch);
    rc_reader_close(reader);
    for (int i = 0; i < count; i++)
        if (seen[i] != 1)
            fail_msg("record %d was read %d times", i, seen[i]);
    free(seen);
}

/* A task that is restarted keeps its generation: what it writes ranks above what it wrote. */
static void restarts_keep_the_generation(void **state)
{
    bed *b = *state;
    bed other = {.mq = b->mq, .timeout_ms = b->timeout_ms};
    rc_topic *topic = topic_of(b, "again");
    rc_lease lease;
    rc_fence *fence = fence_of(&lease, 5, 1);
    rc_writer *writer = owned_writer(b, fence, false, false);

    for (int i = 0; i < 5; i++) {
        append(writer, topic, i, i + 1, false);
        take_all(writer);
        sync_positions(writer);
    }
    rc_writer_close(writer);
    writer = owned_writer(b, fence, false, false);
    append(writer, topic, 5, 20, false);
    take_all(writer);
    sync_positions(writer);
    rc_writer_close(writer);
    open_log(&other); /* as a reader of the topic sees it */
    assert_position(&other, "{\"nextPosition\":\"20\"}");
    close_log(&other);
    rc_fence_unref(fence);
}

static void strict_restarts_keep_the_generation(void **state)
{
    bed *b = *state;
    rc_topic *topic = topic_of(b, "strictly");
    rc_lease lease;
    rc_fence *fence = fence_of(&lease, INT64_C(1) << 41, 1);
    rc_writer *writer = owned_writer(b, fence, true, true);

    append(writer, topic, 0, 40, true);
    take_all(writer);
    crash(b, writer);
    writer = owned_writer(b, fence, true, true);
    append(writer, topic_of(b, "strictly"), 0, 60, true);
    take_all(writer);
    rc_writer_close(writer);
    assert_read(b, "strictly", 60);
    rc_fence_unref(fence);
}

static void sinks_commit_through_the_fence(void **state)
{
    bed *b = *state;
    rc_topic *topic = topic_of(b, "s");
    rc_lease leases[2];
    rc_fence *old = fence_of(&leases[0], 5, 1), *young = fence_of(&leases[1], 8, 2);
    rc_commit commit = {topic, 0, 3, omc_slice_str("{\"length\":3}"), {0}};
    const rc_task_name name = {"s", "s-0", "connect-s"};
    rc_error err = {0};
    int64_t known = 0;
    int before;

    OK(rc_log_commit(b->log, "connect-s", old, &commit, 1, &err));
    OK(rc_log_generation(b->log, &name, &known, &err));
    assert_int_equal(known, 5);
    rc_lease_set(&leases[0], 0);
    before = sends(b) + fakemq_requests(b->mq, 15, NULL);
    commit.offset = 4;
    assert_int_equal(rc_log_commit(b->log, "connect-s", old, &commit, 1, &err), -OMC_EAGAIN);
    assert_true(err.flags & OMC_ERR_RETRIABLE);
    assert_int_equal(sends(b) + fakemq_requests(b->mq, 15, NULL), before);
    commit.offset = 7;
    OK(rc_log_commit(b->log, "connect-s", young, &commit, 1, &err));
    rc_lease_set(&leases[0], INT64_MAX);
    commit.offset = 4;
    assert_int_equal(rc_log_commit(b->log, "connect-s", old, &commit, 1, &err), -OMC_EFENCED);
    assert_int_equal(atomic_load(&old->witness), 8);
    assert_int_equal(fakemq_committed(b->mq, "connect-s", "s", rc_topic_broker(topic, 0),
                                      rc_topic_queue_id(topic, 0)),
                     7);
    rc_fence_unref(old);
    rc_fence_unref(young);
}

/* A task that waits does not make others wait: each has lanes of its own to the position topic. */
static void waiting_tasks_do_not_stop_others(void **state)
{
    bed *b = *state;
    rc_topic *topic = topic_of(b, "free");
    rc_lease lease;
    rc_fence *fence = fence_of(&lease, 5, 1);
    rc_writer *held = owned_writer(b, fence, false, false);
    rc_writer_config config = {.name = "d-0", .connector = "d", .commit_interval_ms = 20};
    rc_writer *writer = NULL;
    rc_error err = {0};

    append(held, topic, 0, 10, false);
    take_all(held);
    rc_lease_set(&lease, 0); /* its position may still be on its way, or wait */
    OK(rc_writer_open(b->log, &config, &writer, &err));
    append(writer, topic, 10, 20, false);
    take_all(writer);
    sync_positions(writer);
    rc_writer_close(writer);
    rc_fence_revoke(fence);
    rc_writer_close(held);
    rc_fence_unref(fence);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(closed_fence_holds_back_sends_and_positions),
        TEST(revoked_writer_takes_nothing_more),
        TEST(owner_begins_with_a_record),
        TEST(older_owners_positions_are_void),
        TEST(exactly_once_goes_on_behind_a_lost_owner),
        TEST(barriers_are_held_back_too),
        TEST(restarts_keep_the_generation),
        TEST(strict_restarts_keep_the_generation),
        TEST(sinks_commit_through_the_fence),
        TEST(waiting_tasks_do_not_stop_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
