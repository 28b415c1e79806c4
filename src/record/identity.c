/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Identities of records. XXH3's 128 bits are frozen by its authors, so that identities written
 * today are found by later versions; lengths in front keep the parts apart.
 */
#include "base/encode.h"
#include "record/message.h"

#define XXH_INLINE_ALL
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wcast-qual"
#include <xxhash.h>
#pragma GCC diagnostic pop

static void add(XXH3_state_t *state, rc_slice part)
{
    uint8_t len[8];

    rc_put_be64(len, part.len);
    (void)XXH3_128bits_update(state, len, sizeof len);
    if (part.len)
        (void)XXH3_128bits_update(state, part.base, part.len);
}

void rc_identity_of(const char *connector, rc_slice partition, rc_slice offset, rc_identity *ret)
{
    XXH_ALIGN(64) XXH3_state_t state;
    XXH128_canonical_t canonical;

    XXH3_INITSTATE(&state);
    (void)XXH3_128bits_reset(&state);
    add(&state, omc_slice_str(connector));
    add(&state, partition);
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&state));
    memcpy(ret->hash, canonical.digest, RC_IDENTITY_PARTITION);
    add(&state, offset);
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&state));
    memcpy(ret->hash + RC_IDENTITY_PARTITION, canonical.digest,
           sizeof ret->hash - RC_IDENTITY_PARTITION);
    ret->partition = partition;
}
