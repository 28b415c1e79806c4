/* SPDX-License-Identifier: Apache-2.0 */
/**
 * How messages get into a producer: checked, compressed and measured without the lock; room, queue
 * and place in a batch under it, for up to GROUP messages at a time.
 */
#include "rocketmq/producer_impl.h"

#include "base/units.h"

#include <inttypes.h>
#include <limits.h>

#define GROUP ((size_t)64)

/* ---- checks of a message --------------------------------------------------------------------- */

static int check_message(const rmq_target *target, const rmq_message *message, rc_error *err)
{
    char limit[24];
    int r;

    if (!target->topic)
        return rc_fail(err, OMC_EINVAL, "the target names no topic");
    if (!message->body.base || message->body.len == 0)
        return rc_fail(err, OMC_EINVAL,
                       "topic %.127s: the body is empty, and brokers refuse that; send at least "
                       "one byte",
                       target->topic);
    if (message->body.len > RMQ_BODY_MAX)
        return rc_fail(err, OMC_EINVAL,
                       "topic %.127s: the body has %zu bytes, brokers take at most %s (4194304); "
                       "split it, or store it elsewhere and send where",
                       target->topic, message->body.len,
                       rc_format_size((int64_t)RMQ_BODY_MAX, limit));
    if (message->delay_level > 18)
        return rc_fail(err, OMC_EINVAL,
                       "topic %.127s: delay_level is %" PRId32 "; there are 1 (1s) to 18 (2h)",
                       target->topic, message->delay_level);
    r = rmq_properties_check(message, err);
    return r < 0 ? rc_wrap(err, r, "topic %.127s", target->topic) : 0;
}

/* Takes the compressed body when it is smaller. It lives in `buf`. */
static void compress(const rmq_producer *p, rmq_accepted *a, rc_buf *buf)
{
    const rmq_producer_config *c = &p->config;

    a->body = a->message->body;
    a->sys_flag = 0;
    if (c->compression == RMQ_COMPRESS_NONE || a->body.len < c->compress_above)
        return;
    rc_buf_clear(buf);
    if (rmq_compress(c->compression, a->body, buf, NULL) < 0 || buf->len >= a->body.len)
        return;
    a->body = rc_buf_slice(buf);
    a->sys_flag = rmq_compression_flag(c->compression);
}

static bool goes_alone(const rmq_producer *p, const rmq_out_topic *topic, const rmq_accepted *a)
{
    return p->config.batch_count == 1 || topic->no_batches || a->message->delay_level > 0 ||
           a->message->deliver_at_ms > 0 ||
           rmq_item_size(a->body.len, a->properties) > p->config.batch_bytes;
}

/* ---- waiting --------------------------------------------------------------------------------- */

int64_t rmq_producer_deadline(int64_t wait_ms)
{
    if (wait_ms < 0)
        return INT64_MAX;
    return rmq_lane_now_ns() + RC_MIN(wait_ms, INT64_C(1) << 40) * 1000000;
}

bool rmq_producer_wait_changed(rmq_producer *p, int64_t deadline_ns)
{
    rc_clock *clock = rc_clock_real();
    int r;

    if (rmq_io_here() || rc_mono_ns(clock) >= deadline_ns)
        return false;
    p->waiters++;
    r = clock->wait(clock, &p->changed, &p->mu, deadline_ns);
    p->waiters--;
    return r == 0 || rc_mono_ns(clock) < deadline_ns;
}

/* One call of the application: what it wants, and what has been found for it so far. */
typedef struct sending {
    rmq_producer *p;
    const rmq_target *target;
    int64_t deadline_ns;
    int64_t now_ns; /* 0 = to be read again: the call has waited. */
    rmq_out_topic *topic;
    rmq_out *out; /* All messages of a call go to one queue. */
} sending;

static int no_room(const rmq_producer *p, rc_error *err)
{
    char pending[24];
    char most[24];

    return rc_fail_retriable(
        err, OMC_EAGAIN,
        "no room: %s of %s are accepted and not answered (pending_bytes_max); wait longer, or look "
        "whether a broker is slow",
        rc_format_size((int64_t)p->pending_bytes, pending),
        rc_format_size((int64_t)p->config.pending_bytes_max, most));
}

/* Under the lock. */
static int wait_for_room(sending *s, size_t size, rc_error *err)
{
    rmq_producer *p = s->p;
    bool in_time = true;

    while (!p->closing && p->pending_bytes > 0 &&
           p->pending_bytes + size > p->config.pending_bytes_max) {
        if (!in_time)
            return no_room(p, err);
        in_time = rmq_producer_wait_changed(p, s->deadline_ns);
        s->now_ns = 0;
    }
    if (p->closing)
        return rc_fail(err, OMC_ESTATE, "the producer is being closed");
    return 0;
}

/* ---- one message ----------------------------------------------------------------------------- */

/* Under the lock. */
static int accept_one(sending *s, rmq_accepted *a, rc_error *err)
{
    rmq_producer *p = s->p;
    int r = s->topic ? 0 : rmq_out_topic_get(p, s->target->topic, &s->topic, err);

    if (r < 0)
        return r;
    a->single = goes_alone(p, s->topic, a);
    r = wait_for_room(s, rmq_item_size(a->body.len, a->properties), err);
    if (r < 0)
        return rc_wrap(err, r, "topic %.127s", s->target->topic);
    if (!s->out)
        r = rmq_out_pick(p, s->topic, s->target, &s->out, err);
    if (r < 0)
        return r;
    if (!s->now_ns)
        s->now_ns = rmq_lane_now_ns();
    a->accepted_ns = s->now_ns;
    rmq_out_add(p, s->out, a);
    return 0;
}

/* @return how many were accepted, or negative when none. */
static int accept_group(sending *s, rmq_accepted *group, size_t count, rc_error *err)
{
    rmq_producer *p = s->p;
    size_t n = 0;
    int r = 0;

    s->now_ns = 0;
    (void)pthread_mutex_lock(&p->mu);
    p->users++;
    while (r == 0 && n < count) {
        r = accept_one(s, &group[n], err);
        n += r == 0;
    }
    p->users--;
    if (p->closing)
        (void)pthread_cond_broadcast(&p->changed);
    rmq_producer_unlock(p);
    return n > 0 ? (int)n : r;
}

/* ---- sending --------------------------------------------------------------------------------- */

/* Checks, compresses (into `buf`) and measures. */
static int prepare(const sending *s, const rmq_message *message, rc_buf *buf, rmq_accepted *a,
                   rc_error *err)
{
    int r = check_message(s->target, message, err);

    if (r < 0)
        return r;
    a->message = message;
    compress(s->p, a, buf);
    a->properties = rmq_properties_size(message, true);
    return 0;
}

static int send_one(sending *s, const rmq_message *message, rmq_accepted *a, rc_error *err)
{
    rc_buf buf = RC_BUF(RMQ_BODY_MAX);
    int r = prepare(s, message, &buf, a, err);

    if (r == 0)
        r = accept_group(s, a, 1, err);
    rc_buf_release(&buf);
    return RC_MIN(r, 0);
}

int rmq_producer_send(rmq_producer *p, const rmq_target *target, const rmq_message *message,
                      int64_t wait_ms, rmq_sent_fn *sent, void *arg, rmq_error *err)
{
    sending s = {.p = p, .target = target, .deadline_ns = rmq_producer_deadline(wait_ms)};
    rmq_accepted a = {.sent = sent, .arg = arg};

    return send_one(&s, message, &a, err);
}

int rmq_producer_send_urgent(rmq_producer *p, const rmq_target *target, const rmq_message *message,
                             rmq_sent_fn *sent, void *arg, rc_error *err)
{
    sending s = {.p = p, .target = target, .deadline_ns = INT64_MAX};
    rmq_accepted a = {.urgent = true, .sent = sent, .arg = arg};

    return send_one(&s, message, &a, err);
}

/* The next messages that can be accepted together. One that was compressed ends them: it lies in
 * `buf`. @return their number, or negative when the first is none. */
static int prepare_group(const sending *s, const rmq_message *messages, size_t count, rc_buf *buf,
                         rmq_accepted group[GROUP], rc_error *err)
{
    size_t n = 0;
    int r = 0;

    while (r == 0 && n < RC_MIN(count, GROUP)) {
        r = prepare(s, &messages[n], buf, &group[n], err);
        n += r == 0;
        if (r == 0 && group[n - 1].sys_flag)
            break;
    }
    return n > 0 ? (int)n : r;
}

int rmq_producer_send_all(rmq_producer *p, const rmq_target *target, const rmq_message *messages,
                          size_t count, int64_t wait_ms, rmq_sent_fn *sent, void *arg,
                          size_t arg_step, rmq_error *err)
{
    sending s = {.p = p, .target = target, .deadline_ns = rmq_producer_deadline(wait_ms)};
    rmq_accepted group[GROUP];
    rc_buf buf = RC_BUF(RMQ_BODY_MAX);
    size_t done = 0;
    int n = 0;

    count = RC_MIN(count, (size_t)INT_MAX);
    while (done < count && n >= 0) {
        int ready = prepare_group(&s, messages + done, count - done, &buf, group, err);

        n = ready;
        for (int i = 0; i < ready; i++) {
            group[i].urgent = false;
            group[i].sent = sent;
            group[i].arg = arg_step ? (char *)arg + (done + (size_t)i) * arg_step : arg;
        }
        if (ready > 0)
            n = accept_group(&s, group, (size_t)ready, err);
        done += (size_t)RC_MAX(n, 0);
        if (n < ready)
            break;
    }
    rc_buf_release(&buf);
    return done > 0 ? (int)done : n;
}
