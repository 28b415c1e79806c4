/* SPDX-License-Identifier: Apache-2.0 */
/** Any bytes as a route: what is understood can be asked everything without leaving it. */
#include "rocketmq/client_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at(const rmq_route *route)
{
    for (size_t i = 0; i < route->broker_count; i++) {
        const rmq_route_broker *broker = &route->brokers[i];
        const char *master = rmq_route_master(route, broker->name);
        const char *reader = rmq_route_reader(route, broker->name, 1);

        RC_ASSERT(i == 0 || strcmp(route->brokers[i - 1].name, broker->name) <= 0);
        RC_ASSERT(!master || (strlen(master) > 0 && reader));
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
