/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Any bytes as a batch: decoding must stay inside them, skipping must agree with decoding, and
 * what was decoded must survive being encoded and decoded again.
 */
#include "log/embedded/internal.h"

static void same(rc_slice a, rc_slice b)
{
    RC_ASSERT(omc_slice_eq(a, b) && !a.base == !b.base);
}

static void round_trip(const rc_message *in, rc_arena *arena)
{
    size_t bound = RC_BATCH_HEADER + rc_batch_bound(in);
    uint8_t *bytes = rc_malloc(bound);
    int64_t born_ms = 0;
    rc_batch_cursor cursor;
    rc_message out;
    uint8_t *end;

    rc_batch_header(bytes, 0);
    end = rc_batch_put(bytes + RC_BATCH_HEADER, in, &born_ms);
    RC_ASSERT((size_t)(end - bytes) <= bound);
    RC_ASSERT(rc_batch_begin(&cursor, bytes, (size_t)(end - bytes), NULL) == 0);
    RC_ASSERT(rc_batch_next(&cursor, &out, &arena->pub, NULL) == 0);
    RC_ASSERT(cursor.at == cursor.end);
    same(in->body, out.body);
    same(in->keys, out.keys);
    same(in->tags, out.tags);
    RC_ASSERT(in->born_ms == out.born_ms && in->flag == out.flag);
    RC_ASSERT(in->property_count == out.property_count);
    for (size_t i = 0; i < in->property_count; i++) {
        RC_ASSERT(omc_slice_eq(in->properties[i].key, out.properties[i].key));
        RC_ASSERT(omc_slice_eq(in->properties[i].value, out.properties[i].value));
    }
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rc_batch_cursor cursor, skipping;
    rc_arena arena;
    rc_message m;
    rc_error err = {0};

    rc_arena_init(&arena, 4096);
    if (rc_batch_begin(&cursor, data, size, &err) == 0) {
        skipping = cursor;
        while (rc_batch_next(&cursor, &m, &arena.pub, &err) == 0) {
            RC_ASSERT(rc_batch_skip(&skipping, &err) == 0);
            RC_ASSERT(skipping.at == cursor.at && skipping.born_ms == cursor.born_ms);
            round_trip(&m, &arena);
        }
        RC_ASSERT(rc_batch_skip(&skipping, &err) < 0);
    }
    rc_arena_release(&arena);
    return 0;
}
