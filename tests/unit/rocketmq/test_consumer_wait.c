/* SPDX-License-Identifier: Apache-2.0 */
/* rmq_consumer_wait() and rmq_consumer_fd(): no message is waited for in vain, whoever is faster.
 */
#include "unit.h"

#include "consumer_rig.h"

#include <poll.h>
#include <unistd.h>

#define PATIENCE_MS 20000

static rig *start(void)
{
    const rmq_consumer_config config = {.group = "G"};
    rig *r = rig_new(NULL);

    fakemq_topic(r->mq, "T", 4);
    rig_open(r, &config);
    return r;
}

/* Takes all that is there now. */
static void take_all(rig *r)
{
    rmq_fetch fetch;

    while (rmq_consumer_fetch(r->consumer, 0, &fetch, NULL) == RMQ_FETCH_MESSAGES) {
        rig_check(r, &fetch);
        rmq_fetch_release(r->consumer, &fetch);
    }
}

typedef struct filling {
    rig *r;
    int count;
} filling;

/* One by one into all queues, sometimes at once and sometimes after a while. */
static void *fill_slowly(void *arg)
{
    filling *f = arg;
    uint32_t random = 7;

    for (int i = 0; i < f->count; i++) {
        struct timespec pause = {.tv_nsec = 0};

        random = random * 1103515245u + 12345u;
        pause.tv_nsec = (random >> 16) % 400 * 1000;
        if (random >> 30)
            (void)nanosleep(&pause, NULL);
        fakemq_fill(f->r->mq, "T", "broker-0", i % 4, 1);
    }
    return NULL;
}

/* Must be told, not found when the time is over. */
static void wait_for_messages(rig *r)
{
    int64_t began = rc_mono_ms(rc_clock_real());

    if (rmq_consumer_wait(r->consumer, -1, PATIENCE_MS) != RMQ_WAIT_FETCH ||
        rc_mono_ms(rc_clock_real()) - began >= PATIENCE_MS)
        fail_msg("waited in vain after %lld messages", (long long)r->seen);
}

static void test_no_wake_up_is_lost(void **state)
{
    rig *r = start();
    filling f = {.r = r, .count = 4000};
    pthread_t thread;

    (void)state;
    for (int id = 0; id < 4; id++)
        rig_add(r, "broker-0", id, 0);
    pthread_create(&thread, NULL, fill_slowly, &f);
    while (r->seen < f.count) {
        wait_for_messages(r);
        take_all(r);
    }
    pthread_join(thread, NULL);
    assert_int_equal(rmq_consumer_wait(r->consumer, -1, 10), 0);
    rig_free(r);
}

static void test_the_callers_descriptor(void **state)
{
    rig *r = start();
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    rig_add(r, "broker-0", 0, 0);
    assert_int_equal(rmq_consumer_wait(r->consumer, fds[0], 0), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(rmq_consumer_wait(r->consumer, fds[0], -1), RMQ_WAIT_OTHER);
    fakemq_fill(r->mq, "T", "broker-0", 0, 1);
    while (rmq_consumer_wait(r->consumer, fds[0], -1) == RMQ_WAIT_OTHER)
        ; /* until the message is here too */
    assert_int_equal(rmq_consumer_wait(r->consumer, fds[0], -1), RMQ_WAIT_OTHER | RMQ_WAIT_FETCH);
    take_all(r);
    assert_int_equal(r->seen, 1);
    rmq_consumer_wake(r->consumer);
    assert_int_equal(rmq_consumer_wait(r->consumer, -1, PATIENCE_MS), RMQ_WAIT_FETCH);
    rig_free(r);
    close(fds[0]);
    close(fds[1]);
}

/* Whoever takes the descriptor late sees what has come before. */
static void test_descriptor_taken_late(void **state)
{
    rig *r = start();
    struct pollfd fd = {.events = POLLIN};

    (void)state;
    fakemq_fill(r->mq, "T", "broker-0", 0, 3);
    rig_add(r, "broker-0", 0, 0);
    assert_int_equal(rmq_consumer_wait(r->consumer, -1, PATIENCE_MS), RMQ_WAIT_FETCH);
    fd.fd = rmq_consumer_fd(r->consumer);
    assert_int_equal(poll(&fd, 1, 0), 1);
    take_all(r);
    assert_int_equal(r->seen, 3);
    assert_int_equal(poll(&fd, 1, 0), 0);
    fakemq_fill(r->mq, "T", "broker-0", 0, 1);
    assert_int_equal(poll(&fd, 1, PATIENCE_MS), 1);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_wake_up_is_lost),
        cmocka_unit_test(test_the_callers_descriptor),
        cmocka_unit_test(test_descriptor_taken_late),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
