/* SPDX-License-Identifier: Apache-2.0 */
/* Who reads which queues. All members compute the same, so it must be Java's arithmetic. */
#include "rocketmq/consumer_impl.h"

void rmq_allocate(size_t queues, size_t members, size_t index, size_t *first, size_t *count)
{
    size_t rest;

    RC_ASSERT(members > 0 && index < members);
    rest = queues % members;
    *count = queues / members + (index < rest ? 1 : 0);
    *first = index * (queues / members) + RC_MIN(index, rest);
    if (*count == 0)
        *first = 0;
}
