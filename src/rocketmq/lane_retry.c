/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What happens to a send that was not stored, or of which nobody knows: pauses, deadlines, doubt,
 * and what people are told meanwhile.
 *
 * The rule behind it: at most one send of a queue may be on its way to the log, and a send whose
 * answer never came counts as on its way until its connection has been closed for so long that
 * nothing of it can be left in the broker's queues.
 */
#include "rocketmq/lane_impl.h"

#include "base/units.h"

#include <utlist.h>

/** The log hears of one broker at most so often. */
#define SAY_NS (INT64_C(5) * 1000000000)
/** Pauses between looks at a closed gate; few lanes wait, and who opens it does not know them. */
#define GATE_FIRST_MS 2
#define GATE_MAX_MS INT64_C(100)
/** In the way for so long: trouble. */
#define TROUBLE_NS INT64_C(1000000000)

/* ---- telling people ---- */

static void hand_over_trouble(rmq_lanes *set)
{
    rmq_lane *lane;
    rmq_lane *next;

    set->troubled = NULL;
    HASH_ITER(hh, set->lanes, lane, next)
    {
        if (lane->trouble) {
            set->troubled = lane;
            break;
        }
    }
    if (set->config.trouble)
        set->config.trouble(set->config.arg, set->troubled ? set->troubled->trouble : NULL);
}

static void tell_trouble(rmq_lane *lane, const char *text)
{
    rmq_lanes *set = lane->set;

    lane->trouble = rc_strdup(text);
    if (set->troubled)
        return;
    set->troubled = lane;
    if (set->config.trouble)
        set->config.trouble(set->config.arg, lane->trouble);
}

void rmq_lane_clear(rmq_lane *lane)
{
    rmq_lanes *set = lane->set;
    rmq_lane_broker *to = lane->to;
    char took[32];

    if (lane->in_way_ns == 0)
        return;
    lane->in_way_ns = 0;
    free(RC_TAKE(lane->trouble));
    if (set->troubled == lane)
        hand_over_trouble(set);
    if (--to->in_way > 0)
        return;
    if (to->trouble)
        rmq_client_say(set->client, RMQ_LOG_INFO,
                       "%s: sends to %s go on after %s; %lld were tried again", set->who, to->name,
                       rc_format_duration((rmq_lane_now_ns() - to->since_ns) / 1000000, took),
                       (long long)to->again_all);
    to->trouble = false;
    to->again_all = 0;
}

static void warn(const rmq_send *send)
{
    const rmq_lane *lane = send->lane;
    rmq_lane_broker *to = lane->to;
    int64_t now = rmq_lane_now_ns();

    if (to->said_ns && now - to->said_ns < SAY_NS)
        return;
    rmq_client_say(lane->set->client, RMQ_LOG_WARN, "%s: %s; %lld send%s to %d queue%s of %s %s",
                   lane->set->who, send->err.msg, (long long)to->again, to->again == 1 ? "" : "s",
                   to->in_way, to->in_way == 1 ? "" : "s", to->name,
                   to->said_ns ? "tried again since the last such line" : "to be tried again");
    to->said_ns = now;
    to->again = 0;
}

/* A try of `send` has come to nothing, for send->err. */
static void in_the_way(rmq_send *send)
{
    rmq_lane *lane = send->lane;
    rmq_lane_broker *to = lane->to;

    to->again++;
    to->again_all++;
    if (lane->in_way_ns == 0) {
        lane->in_way_ns = send->first_try_ns;
        if (to->in_way++ == 0)
            to->since_ns = lane->in_way_ns;
    }
    warn(send);
    if (!lane->trouble && rmq_lane_now_ns() - lane->in_way_ns >= TROUBLE_NS) {
        to->trouble = true;
        tell_trouble(lane, send->err.msg);
    }
}

/* ---- where the broker is now ---- */

static void routed(void *arg, rmq_route *route, const rc_error *err)
{
    rmq_lane *lane = arg;
    bool found = route && rmq_route_master(route, lane->broker, lane->queue_id);
    rmq_send *send;

    lane->asking = false;
    free(RC_TAKE(lane->route_why));
    if (err)
        lane->route_why = rc_strdup(err->msg);
    /* Found, or found again: no reason to sit out the pause. */
    DL_FOREACH(lane->sends, send)
    if (send->state == RMQ_SEND_READY && send->tries == 0 && (found || send->due_ns == INT64_MAX))
        send->due_ns = 0;
    rmq_lane_pump_soon(lane);
}

void rmq_lane_reroute(rmq_lane *lane)
{
    rmq_client *client = lane->set->client;
    const char *model = lane->set->create_from;

    if (lane->asking || lane->set->closing)
        return;
    lane->asking = lane->asked = true;
    rmq_route_ask(client, model && !rmq_route_known(client, lane->topic) ? model : lane->topic, 0,
                  routed, lane);
}

/* ---- trying again ---- */

static int64_t deadline_ns(const rmq_send *send)
{
    int64_t timeout = send->lane->set->config.delivery_timeout_ms;

    return timeout < 0 ? INT64_MAX : send->parcels->submitted_ns + timeout * 1000000;
}

void rmq_send_fail(rmq_send *send)
{
    if (send->doubt)
        send->err.flags |= RMQ_ERR_UNKNOWN_OUTCOME;
    send->state = RMQ_SEND_FAILED;
    rmq_lane_clear(send->lane);
}

/* @return true when the delivery timeout is over: the send has failed. */
static bool timed_out(rmq_send *send)
{
    rc_error last = send->err;
    char name[320];
    char limit[32];

    if (rmq_lane_now_ns() < deadline_ns(send))
        return false;
    rc_format_duration(send->lane->set->config.delivery_timeout_ms, limit);
    if (last.code)
        (void)rc_fail_retriable(&send->err, OMC_ETIMEDOUT,
                                "%s: not delivered within %s (delivery timeout), %d tries%s; the "
                                "last: %s",
                                rmq_lane_name(send->lane, name), limit, send->tries,
                                send->doubt ? ", and one of them may be stored" : "", last.msg);
    else
        (void)rc_fail_retriable(&send->err, OMC_ETIMEDOUT,
                                "%s: not sent within %s (delivery timeout), because sends before "
                                "it took so long; the broker is slow, or give it more time",
                                rmq_lane_name(send->lane, name), limit);
    rmq_send_fail(send);
    return true;
}

/* A quarter more at random, so that many lanes do not come back together. */
static int64_t with_jitter(rmq_lanes *set, int64_t ms)
{
    set->random ^= set->random << 13;
    set->random ^= set->random >> 7;
    set->random ^= set->random << 17;
    return ms * 1000000 + (int64_t)(set->random % (uint64_t)(ms * 250000 + 1));
}

void rmq_send_later(rmq_send *send, enum rmq_later kind)
{
    static const int64_t least[] = {[RMQ_LATER_BUSY] = 10, [RMQ_LATER_AWAY] = 100};
    static const int64_t most[] = {[RMQ_LATER_BUSY] = 1000, [RMQ_LATER_AWAY] = 2000};
    int64_t ms = RC_MIN(RC_MAX(send->back_off_ms * 2, least[kind]), most[kind]);

    send->state = RMQ_SEND_READY;
    if (send->lane->set->closing || timed_out(send))
        return;
    send->back_off_ms = ms;
    send->due_ns = RC_MIN(rmq_lane_now_ns() + with_jitter(send->lane->set, ms), deadline_ns(send));
    in_the_way(send);
}

/* ---- gates ---- */

void rmq_send_gated(rmq_send *send)
{
    rmq_lane *lane = send->lane;
    char name[320];

    if (rmq_gate_look(lane->set->config.gate) == RMQ_GATE_SHUT) {
        (void)rc_fail(&send->err, OMC_EFENCED, "%s: %s may not send any more: somebody else does",
                      rmq_lane_name(lane, name), lane->set->who);
        rmq_send_fail(send);
        return;
    }
    send->state = RMQ_SEND_READY;
    if (lane->set->closing || timed_out(send))
        return;
    send->gate_ms = RC_MIN(RC_MAX(2 * send->gate_ms, (int64_t)GATE_FIRST_MS), GATE_MAX_MS);
    send->due_ns = RC_MIN(rmq_lane_now_ns() + send->gate_ms * 1000000, deadline_ns(send));
}

/* ---- doubt ---- */

static void report(rmq_send *send)
{
    rmq_lane *lane = send->lane;
    rmq_lanes *set = lane->set;
    rc_error err = send->err;

    send->doubt = true;
    err.flags |= RMQ_ERR_UNKNOWN_OUTCOME;
    if (!set->config.unknown_outcome) {
        rmq_send_fail(send);
        return;
    }
    send->state = RMQ_SEND_REPORTED;
    rmq_lane_clear(lane);
    lane->busy++;
    set->config.unknown_outcome(set->config.arg, send->parcels, send->parcel_count, &err);
    lane->busy--;
}

void rmq_send_doubt(rmq_send *send)
{
    rmq_lane *lane = send->lane;
    rmq_lanes *set = lane->set;
    rmq_remote *remote = rmq_client_remote(set->client, send->address, RMQ_CONN_MAIN);

    send->doubt = true;
    send->state = RMQ_SEND_DOUBTFUL;
    send->due_ns = rmq_lane_now_ns() + set->config.unknown_wait_ms * 1000000;
    if (!set->closing)
        in_the_way(send);
    if (send->err.code == OMC_ETIMEDOUT && rmq_remote_up(remote) &&
        (send->connection == 0 || rmq_remote_since(remote) == send->connection))
        rmq_remote_drop(remote, "a send was not answered in time; what is left of it must not "
                                "overtake the next one");
    rmq_lane_reroute(lane);
}

void rmq_send_weak(rmq_send *send)
{
    send->doubt = true;
    if (send->lane->set->config.unknown == RMQ_UNKNOWN_REPORT) {
        report(send);
        return;
    }
    (void)rc_wrap(&send->err, 0,
                  "stored, but not as ack=%s asks, and sent again until it is, so it may be there "
                  "more than once",
                  send->lane->set->config.ack == RMQ_ACK_FLUSHED ? "flushed" : "replicated");
    rmq_send_later(send, RMQ_LATER_BUSY);
}

void rmq_send_due(rmq_send *send)
{
    if (send->state == RMQ_SEND_DOUBTFUL && send->lane->set->config.unknown == RMQ_UNKNOWN_REPORT) {
        report(send);
        return;
    }
    if (!timed_out(send))
        rmq_send_try(send);
}
