/* SPDX-License-Identifier: Apache-2.0 */
/** Any bytes as a .properties file: no crash, and what comes out is UTF-8 without repeated keys. */
#include "base/encode.h"
#include "config/properties.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const omc_keyvalue *kv = NULL;
    rc_error err = {0};
    rc_arena arena;

    rc_arena_init(&arena, 4096);
    if (rc_properties_parse("fuzz", omc_slice_of((const char *)data, size), &arena.pub, &kv,
                            &err) == 0) {
        RC_ASSERT(rc_kv_copy(kv, &arena.pub)->count == kv->count);
        for (size_t i = 0; i < kv->count; i++) {
            RC_ASSERT(kv->pairs[i].key.len > 0);
            RC_ASSERT(rc_utf8_valid(kv->pairs[i].key) && rc_utf8_valid(kv->pairs[i].value));
            RC_ASSERT(!memchr(kv->pairs[i].value.base, 0, kv->pairs[i].value.len));
        }
    } else {
        RC_ASSERT(!kv && strncmp(err.msg, "fuzz:", 5) == 0);
    }
    rc_arena_release(&arena);
    return 0;
}
