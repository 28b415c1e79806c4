/* SPDX-License-Identifier: Apache-2.0 */
/** Queues between threads, the fake clock that moves them, wake-ups, and threads themselves. */
#include "unit.h"

#include "base/queue.h"
#include "base/thread.h"

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>

static void order_bounds_and_close(void **state)
{
    rc_queue *q = rc_queue_new("test", 40, rc_clock_real());
    int items[41];
    void *out;
    (void)state;

    assert_int_equal(rc_queue_pop(q, &out, 0), -OMC_EAGAIN);
    for (int round = 0; round < 3; round++) { /* Wraps around the ring at changing places. */
        for (size_t i = 0; i < 40; i++)
            assert_int_equal(rc_queue_push(q, &items[i], 0), 0);
        assert_int_equal(rc_queue_push(q, &items[40], 0), -OMC_EAGAIN);
        assert_int_equal(rc_queue_len(q), 40);
        for (size_t i = 0; i < 40; i++) {
            assert_int_equal(rc_queue_pop(q, &out, 0), 0);
            assert_ptr_equal(out, &items[i]);
        }
        assert_int_equal(rc_queue_push(q, &items[0], 0), 0);
        assert_int_equal(rc_queue_pop(q, &out, 0), 0);
    }
    assert_int_equal(rc_queue_push(q, &items[7], 0), 0);
    rc_queue_close(q);
    assert_int_equal(rc_queue_push(q, &items[8], INT64_MAX), -OMC_ECANCELED);
    assert_int_equal(rc_queue_pop(q, &out, INT64_MAX), 0); /* What is in it still comes out. */
    assert_ptr_equal(out, &items[7]);
    assert_int_equal(rc_queue_pop(q, &out, INT64_MAX), -OMC_ECANCELED);
    rc_queue_free(q);
    rc_queue_free(NULL);
}

static void real_deadline_passes(void **state)
{
    rc_clock *clock = rc_clock_real();
    rc_queue *q = rc_queue_new("test", 1, clock);
    int64_t start = rc_mono_ns(clock);
    void *out;
    (void)state;

    assert_int_equal(rc_queue_pop(q, &out, start + 20000000), -OMC_EAGAIN);
    assert_true(rc_mono_ns(clock) >= start + 20000000);
    assert_int_equal(rc_queue_pop(q, &out, 1), -OMC_EAGAIN); /* Long past. */
    rc_queue_free(q);
}

#define PER_PRODUCER 20000

struct shared {
    rc_queue *q;
    atomic_int *seen;
    atomic_int next;
};

static void *produce(void *arg)
{
    struct shared *s = arg;
    int base = atomic_fetch_add(&s->next, PER_PRODUCER);

    for (int i = 0; i < PER_PRODUCER; i++)
        RC_ASSERT(rc_queue_push(s->q, &s->seen[base + i], INT64_MAX) == 0);
    return NULL;
}

static void *consume(void *arg)
{
    struct shared *s = arg;
    void *item;

    while (rc_queue_pop(s->q, &item, INT64_MAX) == 0)
        atomic_fetch_add((atomic_int *)item, 1);
    return NULL;
}

static void nothing_is_lost_between_threads(void **state)
{
    struct shared s = {.q = rc_queue_new("test", 50, rc_clock_real())};
    pthread_t threads[4];
    (void)state;

    s.seen = rc_calloc(2 * PER_PRODUCER, sizeof *s.seen);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(rc_thread_start(&threads[i], "worker", 0, i < 2 ? produce : consume, &s,
                                         NULL),
                         0);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    rc_queue_close(s.q);
    pthread_join(threads[2], NULL);
    pthread_join(threads[3], NULL);
    for (size_t i = 0; i < 2 * PER_PRODUCER; i++)
        assert_int_equal(atomic_load(&s.seen[i]), 1);
    free(s.seen);
    rc_queue_free(s.q);
}

struct timed {
    rc_queue *q;
    rc_clock *clock;
    int64_t deadline_ns;
    atomic_int started;
    int r;
};

static void *pop_until(void *arg)
{
    struct timed *t = arg;
    void *item;

    atomic_store(&t->started, 1);
    t->r = rc_queue_pop(t->q, &item, t->deadline_ns);
    return NULL;
}

static void fake_time_wakes_those_who_wait_for_it(void **state)
{
    (void)state;
    for (int round = 0; round < 300; round++) {
        rc_fake_clock *fake = rc_fake_clock_new(1000);
        rc_clock *clock = rc_fake_clock_clock(fake);
        rc_queue *q = rc_queue_new("test", 1, clock);
        struct timed t[2] = {{q, clock, rc_mono_ns(clock) + 5000000000, 0, 1},
                             {q, clock, rc_mono_ns(clock) + 10000000000, 0, 1}};
        pthread_t threads[2];

        for (size_t i = 0; i < 2; i++)
            assert_int_equal(rc_thread_start(&threads[i], "pop", 0, pop_until, &t[i], NULL), 0);
        while (round % 3 == 0 && !(atomic_load(&t[0].started) && atomic_load(&t[1].started)))
            sched_yield(); /* The other rounds race on purpose. */
        rc_fake_clock_advance(fake, 4999);
        rc_fake_clock_advance(fake, 1);
        pthread_join(threads[0], NULL);
        assert_int_equal(t[0].r, -OMC_EAGAIN);
        rc_fake_clock_advance(fake, 5000);
        pthread_join(threads[1], NULL);
        assert_int_equal(t[1].r, -OMC_EAGAIN);
        assert_int_equal(rc_now_ms(clock), 11000);
        rc_queue_free(q);
        rc_fake_clock_free(fake);
    }
}

static void *push_until(void *arg)
{
    struct timed *t = arg;

    atomic_store(&t->started, 1);
    t->r = rc_queue_push(t->q, t, t->deadline_ns);
    return NULL;
}

static void closing_wakes_both_sides(void **state)
{
    (void)state;
    for (int round = 0; round < 200; round++) {
        rc_queue *empty = rc_queue_new("empty", 1, rc_clock_real());
        rc_queue *full = rc_queue_new("full", 1, rc_clock_real());
        struct timed t[2] = {{empty, NULL, INT64_MAX, 0, 1}, {full, NULL, INT64_MAX, 0, 1}};
        pthread_t threads[2];
        void *item;

        assert_int_equal(rc_queue_push(full, t, 0), 0);
        assert_int_equal(rc_thread_start(&threads[0], "pop", 0, pop_until, &t[0], NULL), 0);
        assert_int_equal(rc_thread_start(&threads[1], "push", 0, push_until, &t[1], NULL), 0);
        while (!(atomic_load(&t[0].started) && atomic_load(&t[1].started)))
            sched_yield();
        for (int i = 0; i < round; i++) /* From a race to a sleeper. */
            sched_yield();
        rc_queue_close(empty);
        rc_queue_close(full);
        pthread_join(threads[0], NULL);
        pthread_join(threads[1], NULL);
        assert_int_equal(t[0].r, -OMC_ECANCELED);
        assert_int_equal(t[1].r, -OMC_ECANCELED);
        assert_int_equal(rc_queue_pop(full, &item, 0), 0);
        rc_queue_free(empty);
        rc_queue_free(full);
    }
}

static void an_item_comes_without_any_time_passing(void **state)
{
    rc_fake_clock *fake = rc_fake_clock_new(0);
    rc_clock *clock = rc_fake_clock_clock(fake);
    rc_queue *q = rc_queue_new("test", 1, clock);
    struct timed t = {q, clock, rc_mono_ns(clock) + 1, 0, 1};
    pthread_t thread;
    (void)state;

    assert_int_equal(rc_thread_start(&thread, "pop", 0, pop_until, &t, NULL), 0);
    assert_int_equal(rc_queue_push(q, &t, 0), 0);
    pthread_join(thread, NULL);
    assert_int_equal(t.r, 0);
    rc_queue_free(q);
    rc_fake_clock_free(fake);
}

static void wake_is_readable_while_set(void **state)
{
    struct pollfd p = {.events = POLLIN};
    rc_wake wake;
    (void)state;

    assert_int_equal(rc_wake_init(&wake, NULL), 0);
    p.fd = wake.fd;
    assert_int_equal(poll(&p, 1, 0), 0);
    rc_wake_clear(&wake); /* Clearing what is not set is fine. */
    rc_wake_set(&wake);
    rc_wake_set(&wake);
    assert_int_equal(poll(&p, 1, 0), 1);
    rc_wake_clear(&wake);
    assert_int_equal(poll(&p, 1, 0), 0);
    rc_wake_release(&wake);
    rc_wake_release(&wake);
}

static void *look_around(void *arg)
{
    sigset_t mask;
    char *name = arg;

    (void)pthread_getname_np(pthread_self(), name, 16);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
    return sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGINT) == 1 ? name : NULL;
}

static void threads_are_named_and_deaf_to_signals(void **state)
{
    char name[16] = "";
    pthread_t thread;
    sigset_t mask;
    void *ret;
    (void)state;

    assert_int_equal(rc_thread_start(&thread, "t:orders-and-more-0", 1 << 20, look_around, name,
                                     NULL),
                     0);
    pthread_join(thread, &ret);
    assert_ptr_equal(ret, name);
    assert_string_equal(name, "t:orders-and-mo");
    (void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
    assert_int_equal(sigismember(&mask, SIGTERM), 0);
}

static void times_are_written_in_utc(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},       {1795373029123, "2026-11-22T18:43:49.123Z"},
        {-1, "1969-12-31T23:59:59.999Z"},      {951782400000, "2000-02-29T00:00:00.000Z"},
        {INT64_MAX, "9223372036854775807 ms"}, {INT64_MIN, "-9223372036854775808 ms"},
    };
    char out[32];
    (void)state;

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        rc_format_time(cases[i].ms, out);
        assert_string_equal(out, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_bounds_and_close),
        cmocka_unit_test(real_deadline_passes),
        cmocka_unit_test(nothing_is_lost_between_threads),
        cmocka_unit_test(fake_time_wakes_those_who_wait_for_it),
        cmocka_unit_test(closing_wakes_both_sides),
        cmocka_unit_test(an_item_comes_without_any_time_passing),
        cmocka_unit_test(wake_is_readable_while_set),
        cmocka_unit_test(threads_are_named_and_deaf_to_signals),
        cmocka_unit_test(times_are_written_in_utc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
