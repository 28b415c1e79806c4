/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of a host: a run of frames with their headers, read as the worker reads them; what was
 * read is written again, read again, and has to be the same. */
#include "host/messages.h"
#include "host/values.h"
#include "record/batch.h"
#include "record/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(rc_wire_schemas *schemas, const omc_batch *batch)
{
    rc_wire_ids ids;
    rc_wire_schemas back;
    rc_buf out = RC_BUF(RC_WIRE_FRAME_MAX);
    rc_wire_refs refs = {0};
    rc_wire_in in;
    rc_arena arena;
    rc_batch *copy = rc_batch_new(batch->count, 1 << 20);

    (void)schemas;
    rc_wire_ids_init(&ids);
    rc_wire_ids_begin(&ids);
    rc_wire_schemas_init(&back);
    rc_arena_init(&arena, 4096);
    rc_out_u32(&out, (uint32_t)batch->count);
    for (size_t i = 0; i < batch->count; i++)
        rc_out_record(&out, &ids, &refs, omc_batch_at(batch, i));
    RC_ASSERT(out.overflow || !ids.fault);
    if (!out.overflow && !ids.defs.overflow) {
        RC_ASSERT(!rc_wire_schemas_define(&back, rc_buf_slice(&ids.defs)));
        rc_in_init(&in, rc_buf_slice(&out), &arena.pub);
        in.schemas = &back;
        RC_ASSERT(rc_in_records(&in, &copy->pub, batch->count) == batch->count && !in.fault);
        for (size_t i = 0; i < batch->count; i++)
            RC_ASSERT(rc_value_equal(&omc_batch_at(batch, i)->value,
                                     &omc_batch_at(&copy->pub, i)->value) ||
                      omc_batch_at(batch, i)->value.kind >= OMC_FLOAT32);
    }
    rc_batch_unref(copy);
    rc_arena_release(&arena);
    rc_buf_release(&out);
    rc_wire_schemas_release(&back);
    rc_wire_ids_release(&ids);
}

static void one(rc_wire_schemas *schemas, unsigned type, rc_slice payload)
{
    rc_batch *batch = rc_batch_new(1000, 1 << 20);
    rc_arena arena;
    rc_wire_in in;
    rc_wire_error error;
    rc_hello hello;
    rc_welcome welcome;
    rc_start start;
    rc_host_plugin plugin;
    omc_send_result *results;
    omc_queue_offset *offsets;
    const omc_queue *queues;

    rc_arena_init(&arena, 4096);
    rc_in_init(&in, payload, &arena.pub);
    in.schemas = schemas;
    in.budget = (size_t)16 << 20;
    switch (type) {
    case RC_FRAME_SCHEMAS:
        (void)rc_wire_schemas_define(schemas, payload);
        break;
    case RC_FRAME_BATCH:
        (void)rc_in_u64(&in);
        if (rc_in_records(&in, &batch->pub, 100000))
            again(schemas, &batch->pub);
        break;
    case RC_FRAME_ERROR:
        (void)rc_in_u8(&in);
        rc_in_error(&in, &error);
        break;
    case RC_FRAME_HELLO:
        rc_in_hello(&in, &hello);
        break;
    case RC_FRAME_WELCOME:
        rc_in_welcome(&in, &welcome);
        break;
    case RC_FRAME_TASK_START:
        rc_in_start(&in, &start);
        break;
    case RC_FRAME_ACK:
        (void)rc_in_u64(&in);
        (void)rc_in_results(&in, &results);
        break;
    case RC_FRAME_PRECOMMIT:
        (void)rc_in_queue_offsets(&in, &offsets);
        break;
    case RC_FRAME_PAUSE:
        (void)rc_in_queues(&in, &queues);
        break;
    default:
        rc_in_plugin(&in, &plugin);
        break;
    }
    rc_batch_unref(batch);
    rc_arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data, *end = at + size;
    rc_wire_schemas schemas;

    rc_wire_schemas_init(&schemas);
    while (end - at >= RC_WIRE_HEAD) {
        rc_frame_head head = rc_frame_head_read(at);
        size_t len = RC_MIN((size_t)head.length, (size_t)(end - at - RC_WIRE_HEAD));

        one(&schemas, head.type, omc_slice_of(at + RC_WIRE_HEAD, len));
        at += RC_WIRE_HEAD + len;
    }
    rc_wire_schemas_release(&schemas);
    return 0;
}
