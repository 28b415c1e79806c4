/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The bytes of the connector host protocol (docs/host-protocol.md): frame headers, and the cursor
 * and the buffer everything else is read from and written to. Both remember the first thing that
 * went wrong and do nothing after it, so that callers check once per frame.
 *
 * What is read comes from a process that is not trusted: every length and count is held against
 * the bytes that are left, and memory against a budget.
 */
#ifndef RC_HOST_WIRE_H
#define RC_HOST_WIRE_H

#include "base/arena.h"
#include "base/buf.h"

#define RC_WIRE_HEAD 12
#define RC_WIRE_VERSION 1
#define RC_WIRE_FIRST_MAX ((uint32_t)64 << 10) /**< Payload before WELCOME; least max_frame. */
#define RC_WIRE_FRAME_MAX ((uint32_t)64 << 20) /**< Greatest max_frame. */
#define RC_WIRE_FRAME_USUAL ((uint32_t)16 << 20)
#define RC_WIRE_DEPTH_MAX 64
#define RC_WIRE_BUDGET ((size_t)256 << 20) /**< Memory of one decoded frame. */
#define RC_WIRE_NONE UINT32_MAX            /**< Length of an absent str? or bytes?. */
#define RC_WIRE_MAGIC UINT32_C(0x31504843) /**< "CHP1" */

#define RC_WIRE_OPTIONAL 1u
#define RC_WIRE_REPLY 2u

typedef enum rc_frame_type {
    RC_FRAME_HELLO = 0x01,
    RC_FRAME_WELCOME = 0x02,
    RC_FRAME_ERROR = 0x03,
    RC_FRAME_PING = 0x04,
    RC_FRAME_LOG = 0x05,
    RC_FRAME_METRICS = 0x06,
    RC_FRAME_SHUTDOWN = 0x07,
    RC_FRAME_SCAN = 0x10,
    RC_FRAME_VALIDATE = 0x12,
    RC_FRAME_CONNECTOR_START = 0x20,
    RC_FRAME_TASK_CONFIGS = 0x21,
    RC_FRAME_TASK_START = 0x22,
    RC_FRAME_COMPONENT_START = 0x23,
    RC_FRAME_STOP = 0x24,
    RC_FRAME_RECONFIGURE = 0x25,
    RC_FRAME_RAISE_ERROR = 0x26,
    RC_FRAME_SCHEMAS = 0x27,
    RC_FRAME_CREDIT = 0x30,
    RC_FRAME_BATCH = 0x31,
    RC_FRAME_ACK = 0x32,
    RC_FRAME_COMMIT = 0x33,
    RC_FRAME_OFFSET_READ = 0x34,
    RC_FRAME_FINISHED = 0x35,
    RC_FRAME_OPEN = 0x40,
    RC_FRAME_CLOSE = 0x41,
    RC_FRAME_PUT = 0x42,
    RC_FRAME_PRECOMMIT = 0x43,
    RC_FRAME_PAUSE = 0x44,
    RC_FRAME_RESUME = 0x45,
    RC_FRAME_RESET_OFFSET = 0x46,
    RC_FRAME_REPORT = 0x47,
    RC_FRAME_REQUEST_COMMIT = 0x48,
    RC_FRAME_RETRY_AFTER = 0x49,
    RC_FRAME_APPLY = 0x50,
    RC_FRAME_TO_BYTES = 0x51,
    RC_FRAME_TO_VALUES = 0x52
} rc_frame_type;

/** "TASK_START", or "?" for a type there is none of. */
const char *rc_frame_name(unsigned type);

typedef struct rc_frame_head {
    uint32_t length; /**< Of the payload. */
    uint8_t type, flags;
    uint16_t instance;
    uint32_t request;
} rc_frame_head;

void rc_frame_head_write(const rc_frame_head *head, char out[RC_WIRE_HEAD]);
rc_frame_head rc_frame_head_read(const char in[RC_WIRE_HEAD]);

/* ---- reading --------------------------------------------------------------------------------- */

struct rc_wire_schemas;

/** A cursor over one payload. */
typedef struct rc_wire_in {
    const char *at, *end;
    const char *fault;               /**< Name of the first rule that was broken; NULL = none. */
    omc_arena *arena;                /**< Holds results. Slices borrow from the payload. */
    struct rc_wire_schemas *schemas; /**< Of this direction; NULL = there are none. */
    size_t budget;
    unsigned depth;
} rc_wire_in;

/** @param payload  Outlives everything that is read from it. */
void rc_in_init(rc_wire_in *in, rc_slice payload, omc_arena *arena);
/** Notes a broken rule (a name from the document's list of faults); the first one stays. */
void rc_in_fault(rc_wire_in *in, const char *name);
static inline size_t rc_in_left(const rc_wire_in *in)
{
    return (size_t)(in->end - in->at);
}

uint8_t rc_in_u8(rc_wire_in *in);
uint16_t rc_in_u16(rc_wire_in *in);
uint32_t rc_in_u32(rc_wire_in *in);
uint64_t rc_in_u64(rc_wire_in *in);
int32_t rc_in_i32(rc_wire_in *in);
int64_t rc_in_i64(rc_wire_in *in);
bool rc_in_bool(rc_wire_in *in);
/** str and bytes. Base is never NULL without a fault. */
rc_slice rc_in_str(rc_wire_in *in);
/** str? and bytes?: base NULL = absent. */
rc_slice rc_in_optional(rc_wire_in *in);
/** A str without NUL, UTF-8, at most `max` bytes; a NUL-terminated copy in the arena. */
const char *rc_in_name(rc_wire_in *in, size_t max);
/** A count of items of which each takes at least `least` bytes; above `max` is `over-limit`. */
uint32_t rc_in_count(rc_wire_in *in, size_t least, size_t max);
const omc_keyvalue *rc_in_kv(rc_wire_in *in);
/** Enters a *sized* part: returns a cursor over it and moves behind it. Give it back to leave(),
 *  so that its fault and budget are known here, too. */
rc_wire_in rc_in_enter(rc_wire_in *in);
void rc_in_leave(rc_wire_in *in, const rc_wire_in *part);
/** Memory for results, zeroed, counted against the budget; never NULL. `over-limit` sets a fault
 *  and gives memory for nothing: check the fault before writing to more than one item. */
void *rc_in_alloc(rc_wire_in *in, size_t count, size_t size);

/* ---- writing --------------------------------------------------------------------------------- */

static inline void rc_out_raw(rc_buf *out, const void *bytes, size_t n)
{
    if (out->data && n <= out->cap - out->len && !out->overflow) {
        memcpy(out->data + out->len, bytes, n);
        out->len += n;
        out->data[out->len] = '\0';
        return;
    }
    rc_buf_add(out, bytes, n);
}

void rc_out_u8(rc_buf *out, unsigned value);
void rc_out_u16(rc_buf *out, unsigned value);
void rc_out_u32(rc_buf *out, uint32_t value);
void rc_out_u64(rc_buf *out, uint64_t value);
void rc_out_str(rc_buf *out, rc_slice text);
void rc_out_text(rc_buf *out, const char *text); /**< NULL = "". */
/** str? of a text that may be NULL. */
void rc_out_optional(rc_buf *out, const char *text);
void rc_out_kv(rc_buf *out, const omc_keyvalue *kv); /**< NULL = empty. */
/** Begins a sized part or a list whose count is known later: writes a 0 and says where. */
size_t rc_out_mark(rc_buf *out);
/** Ends a sized part that began at `mark`. */
void rc_out_sized(rc_buf *out, size_t mark);
/** Sets the u32 at `mark`. */
void rc_out_patch(rc_buf *out, size_t mark, uint32_t value);

/* ---- errors ---------------------------------------------------------------------------------- */

/** An error as it travels. Texts are NUL-terminated and cut to what is shown. */
typedef struct rc_wire_error {
    rc_error err;
    int64_t index; /**< Record it is about, or -1. */
    const char *class_name, *stack;
} rc_wire_error;

void rc_in_error(rc_wire_in *in, rc_wire_error *ret);
void rc_out_error(rc_buf *out, const rc_error *err, int64_t index);
/** "class: message" in one rc_error, as people see it. */
void rc_wire_error_take(const rc_wire_error *from, rc_error *ret);

#endif
