/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Any bytes as a header: the first byte chooses the serialization. What is understood can be
 * written in both forms and reads back as the same. The bytes are also tried as a whole frame.
 */
#include "rocketmq/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(const rmq_header *a, const rmq_header *b)
{
    RC_ASSERT(a->code == b->code && a->opaque == b->opaque && a->flag == b->flag);
    RC_ASSERT(omc_slice_eq(a->remark, b->remark) && a->field_count == b->field_count);
    for (size_t i = 0; i < a->field_count; i++) {
        RC_ASSERT(omc_slice_eq(a->fields[i].name, b->fields[i].name));
        RC_ASSERT(omc_slice_eq(a->fields[i].value, b->fields[i].value));
    }
}

static void write_again(const rmq_frame *frame, enum rmq_serialization how, omc_arena *arena)
{
    rc_buf buf = RC_BUF(RMQ_FRAME_MAX);
    static rmq_frame again;
    rc_error err = {0};

    if (rmq_frame_put(&buf, how, &frame->header, 0, &err) == 0) {
        RC_ASSERT(rmq_frame_parse((uint8_t *)buf.data, buf.len, arena, &again, &err) == 0);
        same(&frame->header, &again.header);
    } else {
        RC_ASSERT(err.code == OMC_EINVAL); /* A field's name of more than 32,767 bytes. */
    }
    rc_buf_release(&buf);
}

/* A frame without body around the header. */
static uint8_t *wrap(uint8_t type, const uint8_t *header, size_t len)
{
    uint8_t *frame = rc_malloc(8 + len);

    for (int i = 0; i < 4; i++) {
        frame[i] = (uint8_t)((len + 4) >> (24 - 8 * i));
        frame[4 + i] = (uint8_t)(len >> (24 - 8 * i));
    }
    frame[4] = type;
    if (len)
        memcpy(frame + 8, header, len);
    return frame;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static rmq_frame frame;
    rc_error err = {0};
    rc_arena arena;
    uint8_t *bytes;
    size_t len = 0;
    int r;

    if (size == 0 || size > 0xFFFFFF)
        return 0;
    rc_arena_init(&arena, 4096);
    if (rmq_frame_length(data, size, &len, &err) == 0 && len > 0 && len <= size)
        (void)rmq_frame_parse(data, len, &arena.pub, &frame, &err);
    bytes = wrap(data[0] & 1, data + 1, size - 1);
    r = rmq_frame_parse(bytes, size + 7, &arena.pub, &frame, &err);
    if (r == 0) {
        int64_t number;

        write_again(&frame, RMQ_JSON, &arena.pub);
        write_again(&frame, RMQ_BINARY, &arena.pub);
        (void)rmq_header_int(&frame.header, "queueOffset", &number, &err);
    } else {
        RC_ASSERT(r == -OMC_EFORMAT && err.code == OMC_EFORMAT && err.msg[0]);
    }
    free(bytes);
    rc_arena_release(&arena);
    return 0;
}
