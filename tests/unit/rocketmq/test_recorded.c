/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The codec on what the Java client and brokers of 4.9.7 and 5.5.0 really said: every frame is
 * read, written and read again; messages have the CRC they were stored with; batches walk to
 * their end; bodies are JSON to us as they are to Java.
 */
#include "unit.h"

#include "base/units.h"
#include "frames_file.h"
#include "rocketmq/codes.h"
#include "rocketmq/frame.h"
#include "rocketmq/wire.h"

#define BODY_MAX ((size_t)16 << 20)

static struct {
    int frames, binary, messages, compressed, items, jsons;
} seen;

/* Request code by direction and opaque: replies do not say what they answer. */
static int asked[2][1 << 16];
static rc_arena arena;
static const char *file_name;

/* ---- headers --------------------------------------------------------------------------------- */

static void same_header(const rmq_header *a, const rmq_header *b)
{
    assert_int_equal(a->code, b->code);
    assert_int_equal(a->language, b->language);
    assert_int_equal(a->version, b->version);
    assert_int_equal(a->opaque, b->opaque);
    assert_int_equal(a->flag, b->flag);
    assert_true(omc_slice_eq(a->remark, b->remark));
    assert_int_equal(a->field_count, b->field_count);
    for (size_t i = 0; i < a->field_count; i++) {
        assert_true(omc_slice_eq(a->fields[i].name, b->fields[i].name));
        assert_true(omc_slice_eq(a->fields[i].value, b->fields[i].value));
    }
}

static void write_again(const rmq_frame *frame, enum rmq_serialization how)
{
    rc_buf buf = RC_BUF(RMQ_FRAME_MAX);
    rmq_frame again;
    rc_error err = {0};

    assert_int_equal(rmq_frame_put(&buf, how, &frame->header, frame->body.len, &err), 0);
    rc_buf_add(&buf, frame->body.base, frame->body.len);
    if (rmq_frame_parse((const uint8_t *)buf.data, buf.len, &arena.pub, &again, &err) < 0)
        fail_msg("%s: what was written is not read: %s", file_name, err.msg);
    same_header(&frame->header, &again.header);
    assert_true(omc_slice_eq(frame->body, again.body));
    rc_buf_release(&buf);
}

/* ---- bodies ---------------------------------------------------------------------------------- */

static void check_message(const rmq_stored *stored)
{
    rc_slice properties = stored->properties;
    rmq_slice name, value;
    rmq_message message;
    char offset_id[57];
    rc_error err = {0};

    assert_int_equal(rmq_body_crc(stored->body), stored->body_crc);
    if (rmq_message_of(stored, BODY_MAX, &arena.pub, &message, &err) < 0)
        fail_msg("%s: %s", file_name, err.msg);
    assert_true(message.born_ms > 1700000000000 && message.stored_ms >= message.born_ms);
    rmq_message_offset_id(&message, offset_id);
    assert_int_equal(strlen(offset_id), 32);
    if (stored->sys_flag & RMQ_SYS_COMPRESSED) {
        assert_true(message.body.len > stored->body.len);
        seen.compressed++;
    } else {
        assert_ptr_equal(message.body.base, stored->body.base);
    }
    /* Every property of the wire is found again under its name. */
    while (rmq_property_next(&properties, &name, &value) != 0) {
        char text[64];

        (void)snprintf(text, sizeof text, RC_SLICE_FMT, RC_SLICE_ARG(name));
        assert_true(omc_slice_eq(rmq_message_property(&message, text), value));
    }
    seen.messages++;
}

static void check_messages(rc_slice body)
{
    rmq_stored stored;
    rc_error err = {0};
    int r;

    while ((r = rmq_stored_next(&body, &stored, &err)) == 1)
        check_message(&stored);
    if (r < 0)
        fail_msg("%s: %s", file_name, err.msg);
}

static void check_items(const rmq_frame *frame)
{
    rc_slice items = frame->body;
    rmq_item item;
    rc_error err = {0};
    int r;

    while ((r = rmq_item_next(&items, &item, &err)) == 1) {
        rmq_slice name, value;
        rc_slice properties = item.properties;
        bool unique = false;

        while ((r = rmq_property_next(&properties, &name, &value)) == 1)
            unique = unique || (omc_slice_is(name, "UNIQ_KEY") && value.len == 32);
        assert_int_equal(r, 0);
        assert_true(unique);
        seen.items++;
    }
    if (r < 0)
        fail_msg("%s: %s", file_name, err.msg);
}

/* The body of a single send, and its properties, which went through the header's escapes. */
static void check_single(const rmq_frame *frame)
{
    rc_slice properties = rmq_header_get(&frame->header, "i");
    rmq_slice name, value;
    int64_t flag = 0;
    rc_slice body;

    assert_int_equal(rmq_header_int(&frame->header, "f", &flag, NULL), 0);
    if (flag & RMQ_SYS_COMPRESSED)
        assert_int_equal(rmq_decompress((int32_t)flag, frame->body, BODY_MAX, &arena.pub, &body,
                                        NULL),
                         0);
    assert_int_equal(rmq_property_next(&properties, &name, &value), 1);
}

static void check_json(rc_slice body)
{
    json_t *json = NULL;
    rc_error err = {0};

    if (rmq_json_parse(body, &json, &err) < 0)
        fail_msg("%s: %s in " RC_SLICE_FMT, file_name, err.msg, RC_SLICE_ARG(body));
    assert_true(json_is_object(json));
    json_decref(json);
    seen.jsons++;
}

/* Lines "key=value". */
static bool holds_lines(int request)
{
    return request == RMQ_GET_BROKER_CONFIG || request == 25; /* UPDATE_BROKER_CONFIG */
}

static bool holds_messages(int request)
{
    return request == RMQ_PULL_MESSAGE || request == RMQ_LITE_PULL_MESSAGE ||
           request == RMQ_QUERY_MESSAGE || request == RMQ_VIEW_MESSAGE_BY_ID;
}

/* Requests of the broker that bring a message: 39, and 309 CONSUME_MESSAGE_DIRECTLY. */
static bool brings_message(int request)
{
    return request == RMQ_CHECK_TRANSACTION_STATE || request == 309;
}

static void check_body(const rmq_frame *frame, bool to_client)
{
    const rmq_header *header = &frame->header;
    bool reply = header->flag & RMQ_FLAG_REPLY;
    int request = reply ? asked[!to_client][header->opaque & 0xFFFF] : header->code;

    if (frame->body.len == 0)
        return;
    if (reply ? holds_messages(request) : brings_message(request))
        check_messages(frame->body);
    else if (request == RMQ_SEND_BATCH_MESSAGE)
        check_items(frame);
    else if (request == RMQ_SEND_MESSAGE_V2)
        check_single(frame);
    else if (!holds_lines(request))
        check_json(frame->body);
}

/* ---- all files ------------------------------------------------------------------------------- */

static void replay(const char *name, rc_slice file)
{
    rmq_frame frame;
    recorded record;
    rc_error err = {0};
    size_t len = 0;

    file_name = name;
    while (frames_next(&file, &record)) {
        const uint8_t *bytes = (const uint8_t *)record.frame.base;

        assert_int_equal(rmq_frame_length(bytes, record.frame.len, &len, &err), 0);
        assert_int_equal(len, record.frame.len);
        if (rmq_frame_parse(bytes, len, &arena.pub, &frame, &err) < 0)
            fail_msg("%s: %s", name, err.msg);
        if (!(frame.header.flag & RMQ_FLAG_REPLY))
            asked[record.to_client][frame.header.opaque & 0xFFFF] = frame.header.code;
        write_again(&frame, RMQ_JSON);
        write_again(&frame, RMQ_BINARY);
        check_body(&frame, record.to_client);
        seen.frames++;
        seen.binary += bytes[4] == RMQ_BINARY;
        rc_arena_reset(&arena, (size_t)1 << 20);
    }
}

static void recorded_frames_are_understood(void **state)
{
    (void)state;

    rc_arena_init(&arena, 65536);
    assert_true(frames_each_file("", replay) >= 17);
    rc_arena_release(&arena);
    /* What is there today; a change of the files that leaves one kind out would test nothing. */
    assert_true(seen.frames >= 1800);
    assert_true(seen.binary >= 500);
    assert_true(seen.messages >= 180);
    assert_true(seen.compressed >= 12);
    assert_true(seen.items >= 18);
    assert_true(seen.jsons >= 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(recorded_frames_are_understood)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
