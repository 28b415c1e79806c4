/* SPDX-License-Identifier: Apache-2.0 */
/** The times of the protocol, and the inequalities between them that it rests on. */
#include "cluster/member.h"

rc_timers rc_timers_default(void)
{
    return (rc_timers){.suspend_ms = 500,
                       .ping_ms = 150,
                       .margin_ms = 200,
                       .session_ms = 10000,
                       .heartbeat_ms = 3000,
                       .backoff_ms = 2000,
                       .tail_ms = 2000,
                       .assign_ms = 200,
                       .retry_ms = 1000,
                       .snap_ms = 600000,
                       .snap_records = 10000};
}

int64_t rc_timers_close_ms(const rc_timers *timers)
{
    return (timers->suspend_ms * 101 + 98) / 99 + timers->margin_ms;
}

static int refuse(rc_error *err, const char *what, int64_t a, const char *other, int64_t b)
{
    return rc_fail(err, OMC_EINVAL, "%s is %lld ms, but must be below %s, which is %lld ms", what,
                   (long long)a, other, (long long)b);
}

int rc_timers_check(const rc_timers *t, rc_error *err)
{
    const int64_t each[] = {t->suspend_ms,   t->ping_ms,    t->margin_ms,   t->session_ms,
                            t->heartbeat_ms, t->backoff_ms, t->tail_ms,     t->assign_ms,
                            t->retry_ms,     t->snap_ms,    t->snap_records};

    for (size_t i = 0; i < RC_COUNT(each); i++)
        if (each[i] < 1 || each[i] > 86400000)
            return rc_fail(err, OMC_EINVAL,
                           "a time of the cluster is %lld; each is between 1 ms and a day",
                           (long long)each[i]);
    if (3 * t->ping_ms > t->suspend_ms)
        return refuse(err, "three times ping.ms", 3 * t->ping_ms, "suspend.ms", t->suspend_ms);
    if (3 * t->heartbeat_ms >= t->session_ms)
        return refuse(err, "three times the heartbeat", 3 * t->heartbeat_ms, "session.timeout.ms",
                      t->session_ms);
    if (t->backoff_ms + t->suspend_ms >= t->session_ms)
        return refuse(err, "the reconnect backoff and suspend.ms together",
                      t->backoff_ms + t->suspend_ms, "session.timeout.ms", t->session_ms);
    return 0;
}
