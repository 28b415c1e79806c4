/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Frames and headers of the remoting protocol (protocol §1, §2), both serializations, and the
 * signature of ACL (§16). Pure functions; any thread.
 */
#ifndef RMQ_FRAME_H
#define RMQ_FRAME_H

#include "base/arena.h"
#include "base/buf.h"

/** Largest frame a peer may send (com.rocketmq.remoting.frameMaxLength), without its length field.
 */
#define RMQ_FRAME_MAX ((size_t)16777216)
/** Most ext fields of a header that are understood; real ones have less than 20. */
#define RMQ_FIELDS_MAX 64
/** Version we say we are: quotes the keys of brokerAddrs (>= 401, §4) and is signed like 5.x. */
#define RMQ_VERSION 513
#define RMQ_LANGUAGE_CPP 1

enum rmq_frame_flag { RMQ_FLAG_REPLY = 1, RMQ_FLAG_ONEWAY = 2 };
enum rmq_serialization { RMQ_JSON = 0, RMQ_BINARY = 1 };

typedef struct rmq_field {
    rc_slice name;
    rc_slice value;
} rmq_field;

typedef struct rmq_header {
    int32_t code;
    int32_t language;
    int32_t version;
    int32_t opaque;
    int32_t flag;
    rc_slice remark; /**< base == NULL: none. */
    size_t field_count;
    rmq_field fields[RMQ_FIELDS_MAX];
} rmq_header;

/** A whole frame: header and body. Texts are slices of the frame, or of `arena` where JSON escapes
 *  had to be undone. */
typedef struct rmq_frame {
    rmq_header header;
    rc_slice body;
} rmq_frame;

/**
 * Length of the frame that begins at `at`, its 4 length bytes included.
 * @return 0 and *ret = 0 when fewer than 4 bytes are there; -OMC_EFORMAT when the length is below 4
 *         or above RMQ_FRAME_MAX (then the connection is of no more use).
 */
int rmq_frame_length(const uint8_t *at, size_t len, size_t *ret, rc_error *err);
/** Parses one whole frame (with its 4 length bytes). -OMC_EFORMAT says where and what. */
int rmq_frame_parse(const uint8_t *frame, size_t len, omc_arena *arena, rmq_frame *ret,
                    rc_error *err);

/**
 * Appends everything of a frame but its body: length, word, header. `body_len` bytes follow.
 * Codes above 32767 are written as JSON whatever is asked (they do not fit the binary form).
 * @return 0; -OMC_EINVAL when the frame would exceed RMQ_FRAME_MAX or a field name 32,767 bytes;
 *         -OMC_ENOMEM when `buf` may not grow that far.
 */
int rmq_frame_put(rc_buf *buf, enum rmq_serialization how, const rmq_header *header,
                  size_t body_len, rc_error *err);

/** Value of an ext field; base == NULL: there is none. Of two with one name the last counts. */
rc_slice rmq_header_get(const rmq_header *header, const char *name);
/** As a decimal number. -OMC_EFORMAT names the field when missing or no number. */
int rmq_header_int(const rmq_header *header, const char *name, int64_t *ret, rc_error *err);
/** Adds a field; the header is ours and has room (asserted). Value texts are borrowed. */
void rmq_header_add(rmq_header *header, const char *name, rc_slice value);

/** Credentials; empty access_key = requests are not signed. */
typedef struct rmq_credentials {
    char access_key[256];
    char secret_key[256];
    char security_token[1024];
} rmq_credentials;
/** Adds AccessKey, SecurityToken and Signature to the header: HMAC-SHA1 over all values sorted by
 *  name, then the body's parts, as Base64 (§16). To be called last. Values live in `arena`. */
void rmq_sign(rmq_header *header, const rc_slice *body, size_t body_parts,
              const rmq_credentials *credentials, omc_arena *arena);

#endif
