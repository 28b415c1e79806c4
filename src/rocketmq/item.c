/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Items of a batch (protocol §6): i32 size, magic, crc, flag, body length; body; i16 properties
 * length; properties. Brokers ignore magic and crc; both are written as 0, like Java's client.
 */
#include "rocketmq/bytes.h"
#include "rocketmq/wire.h"

#define ITEM_HEAD ((size_t)20)
#define ITEM_MIN ((size_t)22)

uint8_t *rmq_item_put(uint8_t *at, const rmq_message *message, rmq_slice body,
                      const char *unique_key, size_t properties)
{
    at = rmq_put32(at, (uint32_t)rmq_item_size(body.len, properties));
    memset(at, 0, 8);
    at = rmq_put32(at + 8, (uint32_t)message->flag);
    at = rmq_put32(at, (uint32_t)body.len);
    at = rmq_put_bytes(at, body.base, body.len);
    at = rmq_put16(at, (uint16_t)properties);
    return rmq_properties_put(at, message, unique_key);
}

int rmq_item_next(rc_slice *items, rmq_item *ret, rc_error *err)
{
    const char *at = items->base;
    size_t left = items->len;
    size_t size, body, properties;

    if (left == 0)
        return 0;
    if (left < ITEM_MIN)
        return rc_fail(err, OMC_EFORMAT, "item of a batch: %zu bytes are left, an item has 22",
                       left);
    size = rmq_be32(at);
    body = rmq_be32(at + 16);
    if (size < ITEM_MIN || size > left)
        return rc_fail(err, OMC_EFORMAT, "item of a batch: its size is %zu of %zu bytes left", size,
                       left);
    if (body > size - ITEM_MIN)
        return rc_fail(err, OMC_EFORMAT, "item of a batch: a body of %zu bytes in an item of %zu",
                       body, size);
    properties = rmq_be16(at + ITEM_HEAD + body);
    if (properties > RMQ_PROPERTIES_MAX || rmq_item_size(body, properties) != size)
        return rc_fail(err, OMC_EFORMAT,
                       "item of a batch: body %zu and properties %zu do not make its size %zu",
                       body, properties, size);
    ret->flag = (int32_t)rmq_be32(at + 12);
    ret->body = omc_slice_of(at + ITEM_HEAD, body);
    ret->properties = omc_slice_of(at + ITEM_HEAD + body + 2, properties);
    ret->whole = omc_slice_of(at, size);
    *items = omc_slice_of(at + size, left - size);
    return 1;
}
