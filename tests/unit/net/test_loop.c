/* SPDX-License-Identifier: Apache-2.0 */
/* The loop as its users see it: posts from several threads arrive once and in order, timers fire
 * once and can be disarmed, descriptors are told while readable, signals arrive, and a loop with
 * nothing open can be freed. */
#include "net/loop.h"
#include "unit.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

static int64_t mono_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static rc_loop *make_loop(void)
{
    rc_loop *loop = NULL;
    rc_error err = {0};

    if (rc_loop_new(&loop, &err) < 0)
        fail_msg("%s", err.msg);
    return loop;
}

static void stop_it(void *arg)
{
    rc_loop_stop(arg);
}

/* ---- posts ---------------------------------------------------------------------------------- */

enum { THREADS = 4, EACH = 20000 };

struct poster {
    rc_loop *loop;
    int id;
};

struct tally {
    rc_loop *loop;
    int next[THREADS];
    int total;
    int disorder;
};
static struct tally tally;

static void count_post(void *arg)
{
    uintptr_t n = (uintptr_t)arg;
    int thread = (int)(n / EACH);

    if ((int)(n % EACH) != tally.next[thread]++)
        tally.disorder++;
    if (++tally.total == THREADS * EACH)
        rc_loop_stop(tally.loop);
}

static void *post_many(void *arg)
{
    struct poster *p = arg;

    for (int i = 0; i < EACH; i++)
        while (rc_loop_post(p->loop, count_post, (void *)(uintptr_t)(p->id * EACH + i)) < 0)
            sched_yield();
    return NULL;
}

static void posts_from_threads_arrive_once_in_order(void **state)
{
    rc_loop *loop = make_loop();
    pthread_t threads[THREADS];
    struct poster posters[THREADS];

    (void)state;
    tally = (struct tally){.loop = loop};
    for (int i = 0; i < THREADS; i++) {
        posters[i] = (struct poster){loop, i};
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, &posters[i]), 0);
    }
    rc_loop_run(loop);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(tally.total, THREADS * EACH);
    assert_int_equal(tally.disorder, 0);
    rc_loop_free(loop);
}

static void count_up(void *arg)
{
    (*(int *)arg)++;
}

static void posts_are_bounded_and_run_at_free(void **state)
{
    rc_loop *loop = make_loop();
    int n = 0;

    (void)state;
    for (int i = 0; i < 65536; i++)
        assert_int_equal(rc_loop_post(loop, count_up, &n), 0);
    assert_int_equal(rc_loop_post(loop, count_up, &n), -OMC_EAGAIN);
    rc_loop_free(loop);
    assert_int_equal(n, 65536);
}

struct again {
    rc_loop *loop;
    int left;
};

static void post_again(void *arg)
{
    struct again *a = arg;

    if (a->left-- > 0)
        assert_int_equal(rc_loop_post(a->loop, post_again, a), 0);
    else
        rc_loop_stop(a->loop);
}

static void a_post_may_post(void **state)
{
    struct again a = {make_loop(), 1000};

    (void)state;
    assert_int_equal(rc_loop_post(a.loop, post_again, &a), 0);
    rc_loop_run(a.loop);
    assert_int_equal(a.left, -1);
    rc_loop_free(a.loop);
}

static void stop_before_run_ends_the_run(void **state)
{
    rc_loop *loop = make_loop();

    (void)state;
    rc_loop_stop(loop);
    rc_loop_run(loop);
    rc_loop_free(loop);
}

/* ---- timers --------------------------------------------------------------------------------- */

struct timed {
    rc_loop *loop;
    rc_loop_timer *timer;
    int fired;
    int64_t at;
};

static void on_timed(void *arg)
{
    struct timed *t = arg;

    t->at = mono_ms();
    if (++t->fired < 3)
        rc_loop_timer_set(t->timer, 20);
    else
        rc_loop_stop(t->loop);
}

static void timer_fires_once_per_set(void **state)
{
    struct timed t = {.loop = make_loop()};
    rc_loop_timer *never = NULL;
    int wrong = 0;
    int64_t start;

    (void)state;
    rc_loop_timer_new(t.loop, on_timed, &t, &t.timer);
    rc_loop_timer_new(t.loop, count_up, &wrong, &never);
    rc_loop_timer_set(never, 10);
    rc_loop_timer_set(never, -1);
    start = mono_ms();
    rc_loop_timer_set(t.timer, 1000000);
    rc_loop_timer_set(t.timer, 20); /* the later set wins */
    rc_loop_run(t.loop);
    assert_int_equal(t.fired, 3);
    assert_int_equal(wrong, 0);
    assert_in_range(t.at - start, 57, 5000); /* 3 x 20 ms, each rounded to the loop's ms */
    rc_loop_timer_free(t.timer);
    rc_loop_timer_free(never);
    rc_loop_free(t.loop);
}

/* ---- descriptors ---------------------------------------------------------------------------- */

struct piped {
    rc_loop *loop;
    rc_loop_watch *watch;
    int fd;
    char got[16];
    size_t len;
    int calls;
};

/* Reads one byte per call: "while readable" means that it is called again for the rest. */
static void on_piped(void *arg)
{
    struct piped *p = arg;
    ssize_t n = read(p->fd, p->got + p->len, 1);

    p->calls++;
    if (n > 0) {
        p->len++;
        return;
    }
    rc_loop_unwatch(p->watch);
    rc_loop_stop(p->loop);
}

static void *write_slowly(void *arg)
{
    int fd = *(int *)arg;

    assert_int_equal(write(fd, "ab", 2), 2);
    assert_int_equal(write(fd, "cde", 3), 3);
    close(fd);
    return NULL;
}

static void fd_is_told_while_readable(void **state)
{
    struct piped p = {.loop = make_loop()};
    rc_error err = {0};
    pthread_t thread;
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    p.fd = fds[0];
    assert_int_equal(rc_loop_watch_fd(p.loop, p.fd, on_piped, &p, &p.watch, &err), 0);
    pthread_create(&thread, NULL, write_slowly, &fds[1]);
    rc_loop_run(p.loop);
    pthread_join(thread, NULL);
    assert_string_equal(p.got, "abcde");
    assert_int_equal(p.calls, 6);
    rc_loop_free(p.loop);
    close(fds[0]);
}

static void a_closed_fd_is_refused(void **state)
{
    rc_loop *loop = make_loop();
    rc_loop_watch *watch = NULL;
    rc_error err = {0};

    (void)state;
    assert_true(rc_loop_watch_fd(loop, 9999, count_up, NULL, &watch, &err) < 0);
    assert_non_null(strstr(err.msg, "watch a descriptor: Bad file descriptor"));
    assert_null(watch);
    rc_loop_free(loop);
}

/* ---- signals -------------------------------------------------------------------------------- */

static void signals_arrive(void **state)
{
    rc_loop *loop = make_loop();
    rc_error err = {0};
    int hups = 0;

    (void)state;
    assert_int_equal(rc_loop_signal(loop, SIGHUP, count_up, &hups, &err), 0);
    assert_int_equal(rc_loop_signal(loop, SIGTERM, stop_it, loop, &err), 0);
    kill(getpid(), SIGHUP);
    kill(getpid(), SIGTERM);
    rc_loop_run(loop);
    assert_int_equal(hups, 1);
    rc_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(posts_from_threads_arrive_once_in_order),
        cmocka_unit_test(posts_are_bounded_and_run_at_free),
        cmocka_unit_test(a_post_may_post),
        cmocka_unit_test(stop_before_run_ends_the_run),
        cmocka_unit_test(timer_fires_once_per_set),
        cmocka_unit_test(fd_is_told_while_readable),
        cmocka_unit_test(a_closed_fd_is_refused),
        cmocka_unit_test(signals_arrive),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
