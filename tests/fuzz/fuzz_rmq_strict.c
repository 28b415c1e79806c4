/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Any lines as stamps: of barriers ('b' in front) or data, or as the text of a filter ('r'). What a
 * filter knows is the same after it has been text, and a barrier shuts out what lies below it.
 */
#include "base/base.h"

#include <rocketmq/strict.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum rmq_strict_verdict see(rmq_strict *filter, bool barrier, rc_slice stamp)
{
    const rmq_property property = {omc_slice_str(RMQ_STAMP_PROPERTY), stamp};
    const rmq_message message = {.tags = omc_slice_str(barrier ? RMQ_BARRIER_TAG : "data"),
                                 .properties = &property,
                                 .property_count = 1};

    return rmq_strict_see(filter, &message);
}

static void line(rmq_strict *filter, char what, rc_slice text)
{
    rmq_stamp stamp;
    rc_error err = {0};

    if (what == 'r') {
        (void)rmq_strict_restore(filter, text, &err);
    } else if (what == 'b') {
        bool is = rmq_stamp_parse(text, &stamp);

        RC_ASSERT(see(filter, true, text) == (is ? RMQ_STRICT_BARRIER : RMQ_STRICT_TAKE));
        RC_ASSERT(see(filter, false, text) != RMQ_STRICT_BARRIER);
    } else {
        RC_ASSERT(see(filter, false, text) != RMQ_STRICT_BARRIER);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data, *end = at + size;
    rmq_strict *filter = rmq_strict_new(), *copy = rmq_strict_new();
    rc_error err = {0};
    char *first, *second;

    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));

        stop = stop ? stop : end;
        if (stop > at)
            line(filter, *at, omc_slice_of(at + 1, (size_t)(stop - at - 1)));
        at = stop + 1;
    }
    first = rmq_strict_text(filter);
    if (first) {
        RC_ASSERT(rmq_strict_restore(copy, omc_slice_str(first), &err) == 0);
        second = rmq_strict_text(copy);
        RC_ASSERT(second && strcmp(first, second) == 0);
        free(second);
    }
    free(first);
    rmq_strict_free(filter);
    rmq_strict_free(copy);
    return 0;
}
