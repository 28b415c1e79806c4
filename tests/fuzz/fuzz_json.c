/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON: whatever is read can be written; what was written reads back as an equal value and is
 * written as the same text. The first byte chooses the flags. One thing changes on the way, once:
 * bytes that are not UTF-8 are written as U+FFFD, so the comparison starts with the first text
 * written.
 */
#include "record/json.h"
#include "record/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_value(const omc_value *value, unsigned flags, rc_buf *out)
{
    rc_json_write(value, flags, out);
    RC_ASSERT(!out->overflow);
}

static void round_trip(const omc_value *value, unsigned flags, omc_arena *arena)
{
    rc_buf first = RC_BUF((size_t)64 << 20), second = RC_BUF((size_t)64 << 20);
    omc_value back, again;

    write_value(value, flags, &first);
    RC_ASSERT(rc_json_read(rc_buf_slice(&first), 0, arena, &back, NULL) == 0);
    write_value(&back, flags, &second);
    RC_ASSERT(rc_json_read(rc_buf_slice(&second), 0, arena, &again, NULL) == 0);
    RC_ASSERT(rc_value_equal(&back, &again));
    /* Keys may have become equal through U+FFFD; then they are one key from here on. */
    rc_buf_clear(&first);
    write_value(&again, flags, &first);
    RC_ASSERT(omc_slice_eq(rc_buf_slice(&first), rc_buf_slice(&second)));
    rc_buf_release(&first);
    rc_buf_release(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rc_arena arena;
    omc_value value;
    rc_error err = {0};

    if (size == 0)
        return 0;
    rc_arena_init(&arena, 4096);
    if (rc_json_read(omc_slice_of((const char *)data + 1, size - 1),
                     data[0] & 1 ? RC_JSON_LENIENT : 0, &arena.pub, &value, &err) == 0) {
        omc_value copy = rc_value_copy(&value, &arena.pub);

        RC_ASSERT(rc_value_equal(&value, &copy));
        (void)rc_value_text(&value, &arena.pub);
        round_trip(&value, data[0] & 2 ? RC_JSON_CANONICAL : 0, &arena.pub);
    } else {
        RC_ASSERT(err.code == OMC_EFORMAT && err.msg[0]);
    }
    rc_arena_release(&arena);
    return 0;
}
