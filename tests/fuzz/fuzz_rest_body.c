/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Request bodies to configurations: any bytes either become pairs of text, whose echo is JSON
 * again, or are refused with a message.
 */
#include "record/json.h"
#include "rest/exchange.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rc_slice text = {(const char *)data + (size > 0), size - (size > 0)};
    bool nulls_remove = size > 0 && (data[0] & 1);
    submitted got = {0};
    omc_value again = {0};
    rc_error err = {0};
    rc_buf echo = RC_BUF((size_t)64 << 20);
    rc_arena arena;

    rc_arena_init(&arena, 4096);
    if (rest_config_read(text, nulls_remove, &arena.pub, &got, &err) == 0) {
        for (size_t i = 0; i < got.config->count; i++) {
            RC_ASSERT(got.config->pairs[i].key.len > 0);
            RC_ASSERT(memchr(got.config->pairs[i].key.base, 0, got.config->pairs[i].key.len) ==
                      NULL);
        }
        rest_config_echo(&got, NULL, 0, &arena.pub, &echo);
        RC_ASSERT(rc_json_read(rc_buf_slice(&echo), 0, &arena.pub, &again, &err) == 0);
        RC_ASSERT(again.kind == OMC_MAP);
    } else {
        RC_ASSERT(err.code != 0 && err.msg[0] != '\0');
    }
    rc_buf_release(&echo);
    rc_arena_release(&arena);
    return 0;
}
