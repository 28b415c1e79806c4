/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers, texts, lists and errors of the host protocol. Bytes are copied before they are looked
 * at, so that alignment does not matter, and turned around on machines of the other order.
 */
#include "host/wire.h"

#include "base/utf8.h"

#include <endian.h>

const char *rc_frame_name(unsigned type)
{
    static const char *const names[] = {
        [RC_FRAME_HELLO] = "HELLO",
        [RC_FRAME_WELCOME] = "WELCOME",
        [RC_FRAME_ERROR] = "ERROR",
        [RC_FRAME_PING] = "PING",
        [RC_FRAME_LOG] = "LOG",
        [RC_FRAME_METRICS] = "METRICS",
        [RC_FRAME_SHUTDOWN] = "SHUTDOWN",
        [RC_FRAME_SCAN] = "SCAN",
        [RC_FRAME_VALIDATE] = "VALIDATE",
        [RC_FRAME_CONNECTOR_START] = "CONNECTOR_START",
        [RC_FRAME_TASK_CONFIGS] = "TASK_CONFIGS",
        [RC_FRAME_TASK_START] = "TASK_START",
        [RC_FRAME_COMPONENT_START] = "COMPONENT_START",
        [RC_FRAME_STOP] = "STOP",
        [RC_FRAME_RECONFIGURE] = "RECONFIGURE",
        [RC_FRAME_RAISE_ERROR] = "RAISE_ERROR",
        [RC_FRAME_SCHEMAS] = "SCHEMAS",
        [RC_FRAME_CREDIT] = "CREDIT",
        [RC_FRAME_BATCH] = "BATCH",
        [RC_FRAME_ACK] = "ACK",
        [RC_FRAME_COMMIT] = "COMMIT",
        [RC_FRAME_OFFSET_READ] = "OFFSET_READ",
        [RC_FRAME_FINISHED] = "FINISHED",
        [RC_FRAME_OPEN] = "OPEN",
        [RC_FRAME_CLOSE] = "CLOSE",
        [RC_FRAME_PUT] = "PUT",
        [RC_FRAME_PRECOMMIT] = "PRECOMMIT",
        [RC_FRAME_PAUSE] = "PAUSE",
        [RC_FRAME_RESUME] = "RESUME",
        [RC_FRAME_RESET_OFFSET] = "RESET_OFFSET",
        [RC_FRAME_REPORT] = "REPORT",
        [RC_FRAME_REQUEST_COMMIT] = "REQUEST_COMMIT",
        [RC_FRAME_RETRY_AFTER] = "RETRY_AFTER",
        [RC_FRAME_APPLY] = "APPLY",
        [RC_FRAME_TO_BYTES] = "TO_BYTES",
        [RC_FRAME_TO_VALUES] = "TO_VALUES",
    };

    return type < RC_COUNT(names) && names[type] ? names[type] : "?";
}

/* ---- bytes ---------------------------------------------------------------------------------- */

static uint32_t get32(const char *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof value);
    return le32toh(value);
}

static uint64_t get64(const char *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof value);
    return le64toh(value);
}

static uint16_t get16(const char *at)
{
    uint16_t value;

    memcpy(&value, at, sizeof value);
    return le16toh(value);
}

static void set16(char *at, unsigned value)
{
    uint16_t raw = htole16((uint16_t)value);

    memcpy(at, &raw, sizeof raw);
}

static void set32(char *at, uint32_t value)
{
    value = htole32(value);
    memcpy(at, &value, sizeof value);
}

void rc_frame_head_write(const rc_frame_head *head, char out[RC_WIRE_HEAD])
{
    set32(out, head->length);
    out[4] = (char)head->type;
    out[5] = (char)head->flags;
    set16(out + 6, head->instance);
    set32(out + 8, head->request);
}

rc_frame_head rc_frame_head_read(const char in[RC_WIRE_HEAD])
{
    return (rc_frame_head){.length = get32(in),
                           .type = (uint8_t)in[4],
                           .flags = (uint8_t)in[5],
                           .instance = get16(in + 6),
                           .request = get32(in + 8)};
}

/* ---- reading -------------------------------------------------------------------------------- */

void rc_in_init(rc_wire_in *in, rc_slice payload, omc_arena *arena)
{
    *in = (rc_wire_in){.at = payload.len ? payload.base : "",
                       .arena = arena,
                       .budget = RC_WIRE_BUDGET};
    in->end = in->at + payload.len;
}

void rc_in_fault(rc_wire_in *in, const char *name)
{
    if (!in->fault)
        in->fault = name;
    in->at = in->end;
}

/* The next `n` bytes, or NULL when there are fewer. */
static const char *take(rc_wire_in *in, size_t n)
{
    const char *at = in->at;

    if (rc_in_left(in) < n) {
        rc_in_fault(in, "truncated");
        return NULL;
    }
    in->at += n;
    return at;
}

uint8_t rc_in_u8(rc_wire_in *in)
{
    const char *at = take(in, 1);

    return at ? (uint8_t)*at : 0;
}

uint16_t rc_in_u16(rc_wire_in *in)
{
    const char *at = take(in, 2);

    return at ? get16(at) : 0;
}

uint32_t rc_in_u32(rc_wire_in *in)
{
    const char *at = take(in, 4);

    return at ? get32(at) : 0;
}

uint64_t rc_in_u64(rc_wire_in *in)
{
    const char *at = take(in, 8);

    return at ? get64(at) : 0;
}

int32_t rc_in_i32(rc_wire_in *in)
{
    return (int32_t)rc_in_u32(in);
}

int64_t rc_in_i64(rc_wire_in *in)
{
    return (int64_t)rc_in_u64(in);
}

bool rc_in_bool(rc_wire_in *in)
{
    uint8_t value = rc_in_u8(in);

    if (value > 1)
        rc_in_fault(in, "bad-value");
    return value == 1;
}

static rc_slice take_bytes(rc_wire_in *in, uint32_t len)
{
    const char *at = take(in, len);

    return at ? omc_slice_of(at, len) : omc_slice_of("", 0);
}

rc_slice rc_in_str(rc_wire_in *in)
{
    return take_bytes(in, rc_in_u32(in));
}

rc_slice rc_in_optional(rc_wire_in *in)
{
    uint32_t len = rc_in_u32(in);

    return len == RC_WIRE_NONE && !in->fault ? omc_slice_of(NULL, 0) : take_bytes(in, len);
}

/* True when no byte had to be replaced. */
static bool is_utf8(rc_slice s)
{
    const uint8_t *at = (const uint8_t *)s.base, *end = at + s.len;

    while (at < end) {
        const uint8_t *from = at;

        if (rc_utf8_next(&at, end) == RC_UTF8_REPLACEMENT &&
            (at - from != 3 || memcmp(from, "\xef\xbf\xbd", 3) != 0))
            return false;
    }
    return true;
}

const char *rc_in_name(rc_wire_in *in, size_t max)
{
    rc_slice s = rc_in_str(in);

    if (s.len > max)
        rc_in_fault(in, "over-limit");
    else if (memchr(s.base, '\0', s.len) || !is_utf8(s))
        rc_in_fault(in, "bad-value");
    return in->fault ? "" : rc_arena_slice(in->arena, s).base;
}

uint32_t rc_in_count(rc_wire_in *in, size_t least, size_t max)
{
    uint32_t count = rc_in_u32(in);

    if (count > rc_in_left(in) / RC_MAX(least, (size_t)1)) {
        rc_in_fault(in, "truncated");
        return 0;
    }
    if (count > max) {
        rc_in_fault(in, "over-limit");
        return 0;
    }
    return count;
}

void *rc_in_alloc(rc_wire_in *in, size_t count, size_t size)
{
    size_t bytes = count * size; /* counts are below 2^32, sizes small */

    if (bytes > in->budget) {
        rc_in_fault(in, "over-limit");
        return omc_alloc0(in->arena, size);
    }
    in->budget -= bytes;
    return omc_alloc0(in->arena, RC_MAX(bytes, size));
}

const omc_keyvalue *rc_in_kv(rc_wire_in *in)
{
    uint32_t count = rc_in_count(in, 8, UINT32_MAX);
    omc_keyvalue *kv = rc_in_alloc(in, 1, sizeof *kv);
    omc_pair *pairs = rc_in_alloc(in, count, sizeof *pairs);

    for (uint32_t i = 0; i < count && !in->fault; i++) {
        pairs[i].key = rc_in_str(in);
        pairs[i].value = rc_in_str(in);
    }
    *kv = (omc_keyvalue){in->fault ? 0 : count, pairs};
    return kv;
}

rc_wire_in rc_in_enter(rc_wire_in *in)
{
    rc_slice s = rc_in_str(in);
    rc_wire_in part = *in;

    part.at = s.base;
    part.end = s.base + s.len;
    return part;
}

void rc_in_leave(rc_wire_in *in, const rc_wire_in *part)
{
    in->budget = part->budget;
    if (part->fault)
        rc_in_fault(in, part->fault);
}

/* ---- writing -------------------------------------------------------------------------------- */

void rc_out_u8(rc_buf *out, unsigned value)
{
    char raw = (char)value;

    rc_out_raw(out, &raw, 1);
}

void rc_out_u16(rc_buf *out, unsigned value)
{
    char raw[2];

    set16(raw, value);
    rc_out_raw(out, raw, sizeof raw);
}

void rc_out_u32(rc_buf *out, uint32_t value)
{
    char raw[4];

    set32(raw, value);
    rc_out_raw(out, raw, sizeof raw);
}

void rc_out_u64(rc_buf *out, uint64_t value)
{
    value = htole64(value);
    rc_out_raw(out, &value, sizeof value);
}

void rc_out_str(rc_buf *out, rc_slice text)
{
    if (text.len >= RC_WIRE_FRAME_MAX) {
        out->overflow = true;
        return;
    }
    rc_out_u32(out, (uint32_t)text.len);
    rc_out_raw(out, text.len ? text.base : "", text.len);
}

void rc_out_text(rc_buf *out, const char *text)
{
    rc_out_str(out, omc_slice_str(text));
}

void rc_out_optional(rc_buf *out, const char *text)
{
    if (text)
        rc_out_text(out, text);
    else
        rc_out_u32(out, RC_WIRE_NONE);
}

void rc_out_kv(rc_buf *out, const omc_keyvalue *kv)
{
    size_t count = kv ? kv->count : 0;

    rc_out_u32(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        rc_out_str(out, kv->pairs[i].key);
        rc_out_str(out, kv->pairs[i].value);
    }
}

size_t rc_out_mark(rc_buf *out)
{
    size_t mark = out->len;

    rc_out_u32(out, 0);
    return mark;
}

void rc_out_patch(rc_buf *out, size_t mark, uint32_t value)
{
    if (!out->overflow)
        set32(out->data + mark, value);
}

void rc_out_sized(rc_buf *out, size_t mark)
{
    if (!out->overflow)
        rc_out_patch(out, mark, (uint32_t)(out->len - mark - 4));
}

/* ---- errors --------------------------------------------------------------------------------- */

#define CLASS_MAX 256
#define STACK_MAX ((size_t)64 << 10)

/* What people may see of a text: up to `max` bytes or the first NUL, always UTF-8. */
static const char *clean(rc_wire_in *in, rc_slice s, size_t max)
{
    const uint8_t *at = (const uint8_t *)s.base, *end = at + RC_MIN(s.len, max);
    char *copy = rc_in_alloc(in, max + 4, 1);
    size_t len = 0;

    if (in->fault)
        return "";
    while (at < end && *at && len + 4 <= max)
        len += rc_utf8_put(rc_utf8_next(&at, end), copy + len);
    return copy;
}

static const char *stack_of(rc_wire_in *in, rc_slice s)
{
    return clean(in, s, RC_MIN(s.len + 4, STACK_MAX));
}

void rc_in_error(rc_wire_in *in, rc_wire_error *ret)
{
    unsigned code = rc_in_u16(in), flags = rc_in_u16(in);

    *ret = (rc_wire_error){.index = rc_in_i64(in)};
    ret->err.code = code >= OMC_EINVAL && code <= OMC_EINTERNAL ? (int32_t)code : OMC_EINTERNAL;
    ret->err.flags = flags & (OMC_ERR_RETRIABLE | OMC_ERR_FATAL);
    ret->class_name = clean(in, rc_in_str(in), CLASS_MAX);
    (void)snprintf(ret->err.msg, sizeof ret->err.msg, "%s",
                   clean(in, rc_in_str(in), sizeof ret->err.msg - 1));
    ret->stack = stack_of(in, rc_in_str(in));
}

void rc_out_error(rc_buf *out, const rc_error *err, int64_t index)
{
    rc_out_u16(out, (unsigned)err->code);
    rc_out_u16(out, err->flags);
    rc_out_u64(out, (uint64_t)index);
    rc_out_text(out, "");
    rc_out_text(out, err->msg);
    rc_out_text(out, "");
}

void rc_wire_error_take(const rc_wire_error *from, rc_error *ret)
{
    *ret = from->err;
    if (!ret->msg[0])
        (void)snprintf(ret->msg, sizeof ret->msg, "%s",
                       from->class_name[0] ? from->class_name : "an error without a text");
    else if (from->class_name[0])
        (void)rc_wrap(ret, 0, "%s", from->class_name);
}
