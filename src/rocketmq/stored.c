/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Messages as brokers store them (protocol §8), and what an application sees of them. Reading takes
 * no copy: texts are slices of the reply, only the table of properties and decompressed bodies lie
 * in the arena.
 */
#include "rocketmq/bytes.h"
#include "rocketmq/wire.h"

#include "base/units.h"

#include <zlib.h>

#define MAGIC_V1 0xDAA320A7u
#define MAGIC_V2 0xDAA320ABu
/* Both hosts IPv4, v1, everything of variable length empty. */
#define STORED_MIN ((size_t)91)
#define HOST_V4 ((size_t)8)
#define HOST_V6 ((size_t)20)
#define COUNTED_FROM ((size_t)512)

/* ---- walking --------------------------------------------------------------------------------- */

/* What a message claims and cannot be; `at` counts from the beginning of the message. */
static int broken(rc_error *err, size_t at, const char *what, size_t value, size_t size)
{
    return rc_fail(err, OMC_EFORMAT,
                   "stored message: %s of %zu at byte %zu does not fit into its %zu bytes", what,
                   value, at, size);
}

/* The parts of variable length, from the body length at `pos` on. */
static int read_tail(const char *base, size_t pos, size_t size, bool v2, rmq_stored *ret,
                     rc_error *err)
{
    size_t topic_head = v2 ? 2 : 1;
    size_t len = rmq_be32(base + pos);

    if (len > size - pos - 4 || size - pos - 4 - len < topic_head + 2)
        return broken(err, pos, "a body", len, size);
    ret->body = omc_slice_of(base + pos + 4, len);
    pos += 4 + len;
    len = v2 ? rmq_be16(base + pos) : (uint8_t)base[pos];
    if (len > size - pos - topic_head - 2)
        return broken(err, pos, "a topic", len, size);
    ret->topic = omc_slice_of(base + pos + topic_head, len);
    pos += topic_head + len;
    len = rmq_be16(base + pos);
    if (len > RMQ_PROPERTIES_MAX || len > size - pos - 2)
        return broken(err, pos, "properties", len, size);
    ret->properties = omc_slice_of(base + pos + 2, len);
    return 0;
}

static int read_one(const char *base, size_t size, bool v2, rmq_stored *ret, rc_error *err)
{
    size_t born_host, store_host, pos;

    ret->body_crc = rmq_be32(base + 8);
    ret->queue_id = (int32_t)rmq_be32(base + 12);
    ret->flag = (int32_t)rmq_be32(base + 16);
    ret->queue_offset = (int64_t)rmq_be64(base + 20);
    ret->commit_log_offset = (int64_t)rmq_be64(base + 28);
    ret->sys_flag = (int32_t)rmq_be32(base + 36);
    ret->born_ms = (int64_t)rmq_be64(base + 40);
    born_host = ret->sys_flag & RMQ_SYS_BORN_V6 ? HOST_V6 : HOST_V4;
    store_host = ret->sys_flag & RMQ_SYS_STORE_V6 ? HOST_V6 : HOST_V4;
    if (size < STORED_MIN + (born_host - HOST_V4) + (store_host - HOST_V4) + (v2 ? 1 : 0))
        return broken(err, 48, "hosts", born_host + store_host, size);
    ret->born_host = omc_slice_of(base + 48, born_host);
    pos = 48 + born_host;
    ret->stored_ms = (int64_t)rmq_be64(base + pos);
    ret->store_host = omc_slice_of(base + pos + 8, store_host);
    pos += 8 + store_host;
    ret->reconsume_times = (int32_t)rmq_be32(base + pos);
    ret->prepared_offset = (int64_t)rmq_be64(base + pos + 4);
    return read_tail(base, pos + 12, size, v2, ret, err);
}

int rmq_stored_next(rc_slice *body, rmq_stored *ret, rc_error *err)
{
    const char *base = body->base;
    uint32_t magic;
    size_t size;
    int r;

    if (body->len == 0)
        return 0;
    if (body->len < STORED_MIN)
        return rc_fail(err, OMC_EFORMAT,
                       "stored message: %zu bytes are left, a message has at least %zu", body->len,
                       STORED_MIN);
    size = rmq_be32(base);
    magic = rmq_be32(base + 4);
    if (magic != MAGIC_V1 && magic != MAGIC_V2)
        return rc_fail(err, OMC_EFORMAT,
                       "stored message: magic 0x%08x at byte 4 is neither 0x%08x nor 0x%08x; this "
                       "broker stores a version that is not known here",
                       magic, MAGIC_V1, MAGIC_V2);
    if (size < STORED_MIN || size > body->len)
        return broken(err, 0, "a size", size, body->len);
    r = read_one(base, size, magic == MAGIC_V2, ret, err);
    if (r < 0)
        return r;
    *body = omc_slice_of(base + size, body->len - size);
    return 1;
}

uint32_t rmq_body_crc(rc_slice body)
{
    return (uint32_t)(crc32_z(0, (const Bytef *)body.base, body.len) & 0x7FFFFFFFu);
}

/* ---- messages -------------------------------------------------------------------------------- */

/* At most as many as \1; values may contain more of them. Of few bytes what could be at most, a
 * letter with \1 and \2 each: what is not needed is given back, and counting takes its time. */
static size_t count_properties(rc_slice text)
{
    size_t n = 0;

    if (text.len <= COUNTED_FROM)
        return (text.len + 2) / 3;
    for (size_t i = 0; i < text.len; i++)
        n += text.base[i] == '\1';
    return n;
}

/* A member of the message instead of an entry in its properties. */
static rmq_slice *own_member(rmq_message *ret, rmq_slice name)
{
    if (name.len == 4 && memcmp(name.base, "KEYS", 4) == 0)
        return &ret->keys;
    if (name.len == 4 && memcmp(name.base, "TAGS", 4) == 0)
        return &ret->tags;
    if (name.len == 8 && memcmp(name.base, "UNIQ_KEY", 8) == 0)
        return &ret->unique_key;
    return NULL;
}

/* What is no property (no name or no \1) is passed over, like in Java's client: one bad property of
 * a stranger must not make the message unreadable for ever. */
static void parse_properties(rc_slice text, omc_arena *arena, rmq_message *ret)
{
    size_t count = count_properties(text);
    rmq_slice name = {NULL, 0}, value = {NULL, 0};
    rmq_property *table, *at;
    rmq_slice *member;
    int r;

    if (count == 0)
        return;
    at = table = omc_alloc(arena, count * sizeof *table);
    while ((r = rmq_property_next(&text, &name, &value)) != 0) {
        if (r < 0)
            continue;
        member = own_member(ret, name);
        if (member) {
            *member = value;
        } else {
            at->name = name;
            at->value = value;
            at++;
        }
    }
    if ((char *)(table + count) == arena->cur) /* What was not needed goes back. */
        arena->cur = (char *)at;
    ret->property_count = (size_t)(at - table);
    ret->properties = ret->property_count ? table : NULL;
}

void rmq_message_offset_id(const rmq_message *message, char out[57])
{
    static const char hex[] = "0123456789ABCDEF";
    uint8_t raw[28];
    size_t len = message->store_host.len;

    out[0] = '\0';
    if (len != 8 && len != 20)
        return;
    /* Hexadecimal digits of store host, port and offset (protocol §18). */
    memcpy(raw, message->store_host.base, len);
    (void)rmq_put32(rmq_put32(raw + len, (uint32_t)((uint64_t)message->commit_log_offset >> 32)),
                    (uint32_t)message->commit_log_offset);
    for (size_t i = 0; i < len + 8; i++) {
        out[2 * i] = hex[raw[i] >> 4];
        out[2 * i + 1] = hex[raw[i] & 15];
    }
    out[2 * (len + 8)] = '\0';
}

/* Everything but body and properties. */
static void fill_message(const rmq_stored *stored, rmq_message *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->flag = stored->flag;
    ret->born_ms = stored->born_ms;
    ret->queue_offset = stored->queue_offset;
    ret->commit_log_offset = stored->commit_log_offset;
    ret->stored_ms = stored->stored_ms;
    ret->queue_id = stored->queue_id;
    ret->reconsume_times = stored->reconsume_times;
    ret->sys_flag = stored->sys_flag;
    ret->topic = stored->topic;
    ret->store_host = stored->store_host;
}

static int wrap_body(const rmq_stored *stored, int r, rc_error *err)
{
    return rc_wrap(err, r, "message at offset %lld of queue %d of topic '" RC_SLICE_FMT "'",
                   (long long)stored->queue_offset, stored->queue_id, RC_SLICE_ARG(stored->topic));
}

int rmq_message_of(const rmq_stored *stored, size_t body_max, omc_arena *arena, rmq_message *ret,
                   rc_error *err)
{
    rc_slice body = stored->body;

    if (stored->sys_flag & RMQ_SYS_COMPRESSED) {
        int r = rmq_decompress(stored->sys_flag, stored->body, body_max, arena, &body, err);

        if (r < 0)
            return wrap_body(stored, r, err);
    }
    fill_message(stored, ret);
    ret->body = body;
    parse_properties(stored->properties, arena, ret);
    return 0;
}

/* ---- inner batches --------------------------------------------------------------------------- */

static int count_items(rc_slice items, size_t *ret, rc_error *err)
{
    rmq_item item;
    size_t n = 0;
    int r;

    while ((r = rmq_item_next(&items, &item, err)) == 1)
        n++;
    *ret = n;
    return r;
}

/* INNER_BASE, or the offset of the whole when it is missing. */
static int64_t inner_base(const rmq_stored *stored)
{
    rc_slice text = stored->properties;
    rmq_slice name = {NULL, 0}, value = {NULL, 0};
    int64_t base = stored->queue_offset;
    int r;

    while ((r = rmq_property_next(&text, &name, &value)) != 0)
        if (r > 0 && omc_slice_is(name, "INNER_BASE"))
            (void)rc_parse_int64(value, &base);
    return base;
}

/*
 * The items of the batch. Either it was compressed as a whole, or (a SEND_BATCH_MESSAGE of
 * compressed items) each one: no compressed stream begins with the 0 that begins an item's size.
 */
static int open_items(const rmq_stored *stored, size_t body_max, omc_arena *arena, rc_slice *ret,
                      bool *each, rc_error *err)
{
    *ret = stored->body;
    *each = false;
    if (!(stored->sys_flag & RMQ_SYS_COMPRESSED))
        return 0;
    *each = stored->body.len > 0 && stored->body.base[0] == 0;
    return *each ? 0 : rmq_decompress(stored->sys_flag, stored->body, body_max, arena, ret, err);
}

int rmq_inner_batch(const rmq_stored *stored, size_t body_max, omc_arena *arena, rmq_message **ret,
                    rc_error *err)
{
    uint64_t base = (uint64_t)inner_base(stored);
    rmq_message *messages;
    rc_slice items;
    rmq_item item;
    size_t count = 0;
    bool each;
    int r = open_items(stored, body_max, arena, &items, &each, err);

    if (r == 0)
        r = count_items(items, &count, err);
    if (r < 0)
        return wrap_body(stored, r, err);
    messages = count ? omc_alloc(arena, count * sizeof *messages) : NULL;
    for (size_t k = 0; k < count; k++) {
        rmq_message *message = &messages[k];

        RC_ASSERT(rmq_item_next(&items, &item, NULL) == 1);
        fill_message(stored, message);
        message->flag = item.flag;
        message->queue_offset = (int64_t)(base + k);
        message->body = item.body;
        if (each && (r = rmq_decompress(stored->sys_flag, item.body, body_max, arena,
                                        &message->body, err)) < 0)
            return wrap_body(stored, r, err);
        parse_properties(item.properties, arena, message);
    }
    *ret = messages;
    return (int)count;
}
