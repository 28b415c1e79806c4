/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What waits for the application, and how it learns of it. Two threads meet here many thousand
 * times a second, so three things are avoided: a wake-up for each reply (under load the application
 * naps, and finds some together), a write to the descriptor that nobody waits on, and a wake-up
 * before the next pull has left.
 */
#include "rocketmq/consumer_impl.h"

#include <poll.h>
#include <utlist.h>

/* Replies that come faster than this are waited for together. A nap that found some is followed by
 * a longer one: each costs two changes of threads, and pulls go on meanwhile. */
#define NAP_NS 300000
#define NAP_MAX_NS 1200000

/* ---- under mu -------------------------------------------------------------------------------- */

bool rmq_consumer_signal_later(rmq_consumer *consumer)
{
    consumer->signalled = true;
    if (consumer->fd_set || (!consumer->waiting && !consumer->fd_given))
        return false;
    consumer->fd_set = true;
    if (!consumer->fd_given)
        return true;
    rc_wake_set(&consumer->wake); /* Who has the descriptor sees it change under the lock only. */
    return false;
}

void rmq_consumer_signal(rmq_consumer *consumer)
{
    if (rmq_consumer_signal_later(consumer))
        rc_wake_set(&consumer->wake);
}

void rmq_consumer_unsignal(rmq_consumer *consumer)
{
    if (consumer->ready || consumer->woken || consumer->balance_ready)
        return;
    consumer->signalled = false;
    if (consumer->fd_set || consumer->fd_given)
        rc_wake_clear(&consumer->wake);
    consumer->fd_set = false;
}

bool rmq_tap_ready_later(rmq_tap *tap)
{
    if (tap->in_ready || (!tap->first && !tap->event) || tap->revoked || tap->paused)
        return false;
    DL_APPEND(tap->consumer->ready, tap);
    tap->in_ready = true;
    return rmq_consumer_signal_later(tap->consumer);
}

void rmq_tap_ready(rmq_tap *tap)
{
    if (rmq_tap_ready_later(tap))
        rc_wake_set(&tap->consumer->wake);
}

void rmq_tap_unready(rmq_tap *tap)
{
    if (tap->in_ready)
        DL_DELETE(tap->consumer->ready, tap);
    tap->in_ready = false;
}

/* ---- application's thread -------------------------------------------------------------------- */

/* Whether something waits; if not, replies wake this thread up from now on (`wait`), or do not. */
static bool look(rmq_consumer *consumer, bool wait)
{
    bool signalled;

    pthread_mutex_lock(&consumer->mu);
    signalled = consumer->signalled;
    consumer->waiting = wait && !signalled;
    pthread_mutex_unlock(&consumer->mu);
    return signalled;
}

/* A write for a signal that has been dealt with may come late: it is nothing. */
static bool end_wait(rmq_consumer *consumer, bool readable)
{
    bool signalled;

    pthread_mutex_lock(&consumer->mu);
    signalled = consumer->signalled;
    consumer->waiting = false;
    if (readable && !signalled)
        rc_wake_clear(&consumer->wake);
    pthread_mutex_unlock(&consumer->mu);
    return signalled;
}

/* Waits for the caller's descriptor alone. poll(2) passes over one of -1. */
static int wait_for_other(int other_fd, int64_t ns)
{
    struct pollfd fd = {.fd = other_fd, .events = POLLIN};
    struct timespec time = {.tv_nsec = ns};

    return ppoll(&fd, 1, &time, NULL) > 0 ? RMQ_WAIT_OTHER : 0;
}

static int wait_for_either(rmq_consumer *consumer, int other_fd, int ms)
{
    struct pollfd fds[2] = {{.fd = consumer->wake.fd, .events = POLLIN},
                            {.fd = other_fd, .events = POLLIN}};
    int64_t began = rc_mono_ns(rc_clock_real());
    int found = 0;

    if (look(consumer, true))
        return RMQ_WAIT_FETCH;
    if (poll(fds, 2, ms) > 0 && fds[1].revents)
        found = RMQ_WAIT_OTHER;
    if (end_wait(consumer, fds[0].revents != 0))
        found |= RMQ_WAIT_FETCH;
    if (found && rc_mono_ns(rc_clock_real()) - began < NAP_NS)
        consumer->nap_ns = NAP_NS;
    return found;
}

int rmq_consumer_wait(rmq_consumer *consumer, int other_fd, int64_t wait_ms)
{
    int ms = wait_ms < 0 ? -1 : (int)RC_MIN(wait_ms, INT64_C(3600000));

    if (look(consumer, false))
        return RMQ_WAIT_FETCH | (other_fd >= 0 ? wait_for_other(other_fd, 0) : 0);
    if (consumer->nap_ns && ms != 0) {
        int found = wait_for_other(other_fd, consumer->nap_ns);
        bool some = look(consumer, false);

        consumer->nap_ns = some ? RC_MIN(2 * consumer->nap_ns, NAP_MAX_NS) : 0;
        if (found || some)
            return found | (some ? RMQ_WAIT_FETCH : 0);
    }
    return wait_for_either(consumer, other_fd, ms);
}

int rmq_consumer_fd(rmq_consumer *consumer)
{
    pthread_mutex_lock(&consumer->mu);
    consumer->fd_given = true;
    if (consumer->signalled && !consumer->fd_set) {
        consumer->fd_set = true;
        rc_wake_set(&consumer->wake);
    }
    pthread_mutex_unlock(&consumer->mu);
    return consumer->wake.fd;
}

void rmq_consumer_wake(rmq_consumer *consumer)
{
    pthread_mutex_lock(&consumer->mu);
    consumer->woken = true;
    rmq_consumer_signal(consumer);
    pthread_mutex_unlock(&consumer->mu);
}
