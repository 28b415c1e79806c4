/* SPDX-License-Identifier: Apache-2.0 */
/* Native plugins in a process of their own: a copy of the plugin whose functions are ours. */
#include "host/hosted.h"
#include "host/hosts_impl.h"

#include <utlist.h>

struct rc_isolated {
    struct rc_isolated *next;
    const omc_plugin *native;
    omc_plugin plugin;
    rc_hosted hosted;
    union {
        omc_source_ops source;
        omc_sink_ops sink;
    } ops;
};

void rc_isolated_free(struct rc_isolated *list)
{
    while (list) {
        struct rc_isolated *next = list->next;

        free((char *)(uintptr_t)list->hosted.location);
        free(list);
        list = next;
    }
}

static struct rc_isolated *make(rc_hosts *hosts, const omc_plugin *native, const char *location)
{
    struct rc_isolated *made = rc_calloc(1, sizeof *made);
    const uint32_t promises = OMC_SOURCE_REPLAYS | OMC_SOURCE_EXACTLY_ONCE;

    made->native = native;
    made->hosted = (rc_hosted){.hosts = hosts,
                               .launcher = rc_hosts_native(hosts),
                               .kind = native->kind,
                               .class_name = native->name,
                               .location = rc_strdup(strcmp(location, "built in") ? location : "")};
    made->plugin = *native;
    made->plugin.ops = &made->ops;
    made->plugin.data = &made->hosted;
    if (native->kind == OMC_SOURCE) {
        made->ops.source = rc_hosted_source_ops;
        made->ops.source.flags = ((const omc_source_ops *)native->ops)->flags & promises;
    } else {
        made->ops.sink = rc_hosted_sink_ops;
    }
    return made;
}

/* It lives in a host anyway. */
static bool is_hosted(const omc_plugin *plugin)
{
    if (plugin->kind == OMC_SOURCE)
        return ((const omc_source_ops *)plugin->ops)->poll == rc_hosted_source_ops.poll;
    return ((const omc_sink_ops *)plugin->ops)->put == rc_hosted_sink_ops.put;
}

const omc_plugin *rc_hosted_isolate(rc_hosts *hosts, const omc_plugin *native, const char *location)
{
    struct rc_isolated *found;

    if (native->kind != OMC_SOURCE && native->kind != OMC_SINK)
        return NULL;
    if (is_hosted(native))
        return native;
    pthread_mutex_lock(&hosts->mu);
    LL_SEARCH_SCALAR(hosts->isolated, found, native, native);
    if (!found) {
        found = make(hosts, native, location);
        LL_PREPEND(hosts->isolated, found);
    }
    pthread_mutex_unlock(&hosts->mu);
    return &found->plugin;
}
