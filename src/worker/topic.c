/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/topic.h"

static void name_it(const rc_topic_wish *wish, char *out, size_t room)
{
    (void)snprintf(out, room, "topic '%.127s'%s%s%s", wish->name, wish->key ? " (" : "",
                   wish->key ? wish->key : "", wish->key ? ")" : "");
}

int rc_task_topic(rc_log *log, const rc_topic_wish *wish, rc_topic **ret, rc_error *err)
{
    int r = rc_log_topic(log, wish->name, wish->queues, ret, err);
    const long long again_s = (long long)(wish->again_ms + 999) / 1000;
    char what[256];

    name_it(wish, what, sizeof what);
    /* The last one is a proxy's word: it makes no topics. */
    if (r != -OMC_ENOTFOUND && r != -OMC_EACCES && r != -OMC_EUNSUPPORTED)
        return r < 0 ? rc_wrap(err, r, "open %s", what) : 0;
    err->flags = OMC_ERR_RETRIABLE; /* and not fatal */
    return rc_wrap(err, r, "%s cannot be opened%s, it is looked for again every %lld s or sooner",
                   what,
                   wish->queues == 0 ? " and may not be created (autoCreateTopicEnable=false)" : "",
                   again_s);
}
