/* SPDX-License-Identifier: Apache-2.0 */
/** Any bytes as a route: what is understood can be asked everything without leaving it. */
#include "rocketmq/client_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at_queue(const rmq_route *route, const char *broker, int32_t queue)
{
    const char *master = rmq_route_master(route, broker, queue);
    const char *reader = rmq_route_reader(route, broker, queue, 1);
    const rmq_route_broker *leader = rmq_route_leader_of(route, broker, queue);

    RC_ASSERT(!master || (strlen(master) > 0 && reader));
    RC_ASSERT(!leader || !leader->leaders); /* a logical broker never leads */
    RC_ASSERT(strlen(rmq_route_name(route, broker, queue)) > 0);
}

static void look_at(const rmq_route *route)
{
    for (size_t i = 0; i < route->broker_count; i++) {
        const rmq_route_broker *broker = &route->brokers[i];

        RC_ASSERT(i == 0 || strcmp(route->brokers[i - 1].name, broker->name) < 0);
        for (int32_t queue = -1; queue <= RC_MIN(broker->leader_count, 16); queue++)
            look_at_queue(route, broker->name, queue);
    }
    for (size_t i = 0; i < route->queue_count; i++) {
        const rmq_route_queues *queues = &route->queues[i];

        RC_ASSERT(queues->broker < route->broker_count);
        RC_ASSERT(queues->read >= 0 && queues->write >= 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rmq_route *route = NULL;
    rc_error err = {0};
    int r = rmq_route_parse(omc_slice_of((const char *)data, size), &route, &err);

    if (r == 0) {
        look_at(route);
        rmq_route_unref(route);
    } else {
        RC_ASSERT(r == -err.code && err.msg[0]);
    }
    return 0;
}
