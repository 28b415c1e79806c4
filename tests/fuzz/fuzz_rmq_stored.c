/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Any bytes as the body of a pull: walking stays inside them; messages, decompressed bodies and
 * inner batches stay inside their limits.
 */
#include "rocketmq/wire.h"

#define LIMIT ((size_t)1 << 18)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads every byte, so that a sanitizer sees a slice that reaches too far. */
static void touch(rc_slice s)
{
    RC_ASSERT(rmq_body_crc(s) <= INT32_MAX);
}

static void look_at(const rmq_message *m)
{
    char offset_id[57];
    rc_error err = {0};

    touch(m->body);
    touch(m->keys);
    touch(m->tags);
    touch(m->unique_key);
    touch(m->topic);
    rmq_message_offset_id(m, offset_id);
    RC_ASSERT(strlen(offset_id) == 32 || strlen(offset_id) == 56);
    for (size_t i = 0; i < m->property_count; i++) {
        RC_ASSERT(m->properties[i].name.len > 0);
        touch(m->properties[i].name);
        touch(m->properties[i].value);
    }
    (void)rmq_message_property(m, "INNER_BASE");
    (void)rmq_properties_check(m, &err);
    (void)rmq_java_hash(m->keys);
}

static void unwrap(const rmq_stored *stored, omc_arena *arena)
{
    rmq_message *messages = NULL;
    rc_error err = {0};
    int n = rmq_inner_batch(stored, LIMIT, arena, &messages, &err);

    for (int k = 0; k < n; k++)
        look_at(&messages[k]);
    RC_ASSERT(n >= 0 || err.msg[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rc_slice body = {(const char *)data, size};
    rc_error err = {0};
    rmq_stored stored;
    rmq_message m;
    rc_arena arena;
    int r;

    rc_arena_init(&arena, 4096);
    while ((r = rmq_stored_next(&body, &stored, &err)) == 1) {
        touch(stored.born_host);
        touch(stored.store_host);
        touch(stored.properties);
        r = rmq_message_of(&stored, LIMIT, &arena.pub, &m, &err);
        if (r == 0) {
            RC_ASSERT(m.body.len <= RC_MAX(LIMIT, size));
            look_at(&m);
        } else {
            RC_ASSERT((r == -OMC_EFORMAT || r == -OMC_ENOMEM) && err.code == -r);
        }
        unwrap(&stored, &arena.pub);
        rc_arena_reset(&arena, 65536);
    }
    RC_ASSERT(r == 0 || (r == -OMC_EFORMAT && err.msg[0]));
    rc_arena_release(&arena);
    return 0;
}
