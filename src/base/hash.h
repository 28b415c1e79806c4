/* SPDX-License-Identifier: Apache-2.0 */
/**
 * uthash with our hash function. Its default one falls through switch labels, which clang's
 * warnings refuse; CRC-32C is also faster, in hardware where there is one. Include this instead of
 * <uthash.h>. Keys that strangers may choose are bounded in number by whoever stores them.
 */
#ifndef RC_HASH_H
#define RC_HASH_H

#include "base/encode.h"

#define HASH_FUNCTION(key, len, hash) ((hash) = rc_crc32c(0, (key), (len)))
#include <uthash.h> /* IWYU pragma: export */

#endif
