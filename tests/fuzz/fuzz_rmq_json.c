/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Any bytes as a broker's JSON body: what is understood is JSON when written, and then means the
 * same; what strict JSON allows is never refused (but for its depth).
 */
#include "rocketmq/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rc_slice body = {(const char *)data, size};
    json_t *json = NULL, *again = NULL, *strict;
    rc_error err = {0};
    int r = rmq_json_parse(body, &json, &err);

    strict = json_loadb(body.base ? body.base : "", size, JSON_ALLOW_NUL, NULL);
    if (r == 0) {
        char *text = json_dumps(json, JSON_ENCODE_ANY);

        RC_ASSERT(text);
        RC_ASSERT(rmq_json_parse(omc_slice_str(text), &again, &err) == 0);
        RC_ASSERT(!strict || json_equal(json, strict));
        free(text);
    } else {
        RC_ASSERT(r == -OMC_EFORMAT && err.msg[0]);
        RC_ASSERT(!strict || strstr(err.msg, "levels"));
    }
    json_decref(json);
    json_decref(again);
    json_decref(strict);
    return 0;
}
