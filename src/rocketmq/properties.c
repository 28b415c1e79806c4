/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Properties on the wire: `name \1 value \2`, repeated. Sizes first, then one pass of writing into
 * memory of that size, because sends write straight into the buffer that goes to the kernel.
 */
#include "rocketmq/bytes.h"
#include "rocketmq/wire.h"

#define NAME_END '\1'
#define VALUE_END '\2'
#define UNIQUE_KEY_LEN ((size_t)32)

int rmq_property_next(rc_slice *text, rmq_slice *name, rmq_slice *value)
{
    const char *at = text->base;
    const char *end, *split;
    size_t len;

    if (text->len == 0)
        return 0;
    end = memchr(at, VALUE_END, text->len);
    len = end ? (size_t)(end - at) : text->len;
    *text = end ? omc_slice_of(end + 1, text->len - len - 1) : omc_slice_of(at + len, 0);
    split = memchr(at, NAME_END, len);
    if (!split || split == at)
        return -OMC_EFORMAT;
    *name = omc_slice_of(at, (size_t)(split - at));
    *value = omc_slice_of(split + 1, len - name->len - 1);
    return 1;
}

/* ---- checks ---------------------------------------------------------------------------------- */

/* Properties that have a member of the message; the bit says "seen". */
static const struct own {
    const char *name;
    const char *member;
} own_properties[] = {
    {"TAGS", "tags"},
    {"KEYS", "keys"},
    {"UNIQ_KEY", "unique_key"},
    {"DELAY", "delay_level"},
    {"TIMER_DELIVER_MS", "deliver_at_ms"},
};

static unsigned own_bit(rmq_slice name)
{
    if (name.len < 4 || name.len > 16)
        return 0;
    for (unsigned i = 0; i < RC_COUNT(own_properties); i++)
        if (omc_slice_is(name, own_properties[i].name))
            return 1u << i;
    return 0;
}

static bool has_separator(rmq_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.base[i] == NAME_END || text.base[i] == VALUE_END)
            return true;
    return false;
}

static int check_text(const char *what, rmq_slice name, rmq_slice text, rc_error *err)
{
    if (!has_separator(text))
        return 0;
    return rc_fail(err, OMC_EINVAL,
                   "the %s of property '" RC_SLICE_FMT "' contains byte 1 or 2, which separate "
                   "properties on the wire; encode it, e.g. as base64",
                   what, (int)RC_MIN(name.len, (size_t)64), name.base);
}

static int check_one(const rmq_property *property, unsigned *seen, rc_error *err)
{
    rmq_slice name = property->name;
    unsigned bit = own_bit(name);
    int r;

    if (name.len == 0)
        return rc_fail(err, OMC_EINVAL, "a property has no name; its value is '" RC_SLICE_FMT "'",
                       (int)RC_MIN(property->value.len, (size_t)64),
                       property->value.base ? property->value.base : "");
    r = check_text("name", name, name, err);
    if (r == 0)
        r = check_text("value", name, property->value, err);
    if (r < 0)
        return r;
    if (bit & *seen)
        return rc_fail(err, OMC_EINVAL,
                       "property '%s' is given twice; leave it out of the properties, the "
                       "message's member '%s' holds it",
                       own_properties[__builtin_ctz(bit)].name,
                       own_properties[__builtin_ctz(bit)].member);
    *seen |= bit;
    return 0;
}

static int check_members(const rmq_message *message, rc_error *err)
{
    int r = check_text("value", omc_slice_str("KEYS"), message->keys, err);

    if (r == 0)
        r = check_text("value", omc_slice_str("TAGS"), message->tags, err);
    if (r < 0)
        return r;
    if (message->delay_level < 0)
        return rc_fail(err, OMC_EINVAL, "delay_level is %d; use 1 to 18, or 0 for no delay",
                       message->delay_level);
    if (message->deliver_at_ms < 0)
        return rc_fail(err, OMC_EINVAL, "deliver_at_ms is %lld; use milliseconds since 1970, or 0",
                       (long long)message->deliver_at_ms);
    if (message->delay_level > 0 && message->deliver_at_ms > 0)
        return rc_fail(err, OMC_EINVAL,
                       "delay_level and deliver_at_ms are both set; a message has one of them");
    return 0;
}

int rmq_properties_check(const rmq_message *message, rc_error *err)
{
    unsigned seen = 4u | (message->tags.len ? 1u : 0) | (message->keys.len ? 2u : 0) |
                    (message->delay_level ? 8u : 0) | (message->deliver_at_ms ? 16u : 0);
    size_t total;
    int r = check_members(message, err);

    for (size_t i = 0; r == 0 && i < message->property_count; i++)
        r = check_one(&message->properties[i], &seen, err);
    if (r < 0)
        return r;
    total = rmq_properties_size(message, true);
    if (total > RMQ_PROPERTIES_MAX)
        return rc_fail(err, OMC_EINVAL,
                       "the properties are %zu bytes together, RocketMQ allows %d; put large "
                       "values into the body",
                       total, RMQ_PROPERTIES_MAX);
    return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

static size_t digits_of(uint64_t value)
{
    size_t n = 1;

    for (; value >= 10; value /= 10)
        n++;
    return n;
}

static size_t pair_size(size_t name, size_t value)
{
    return name + value + 2;
}

size_t rmq_properties_size(const rmq_message *message, bool unique_key)
{
    size_t total = 0;

    if (message->tags.len)
        total += pair_size(4, message->tags.len);
    if (message->keys.len)
        total += pair_size(4, message->keys.len);
    if (unique_key)
        total += pair_size(8, UNIQUE_KEY_LEN);
    if (message->delay_level > 0)
        total += pair_size(5, digits_of((uint64_t)message->delay_level));
    if (message->deliver_at_ms > 0)
        total += pair_size(16, digits_of((uint64_t)message->deliver_at_ms));
    for (size_t i = 0; i < message->property_count; i++)
        total += pair_size(message->properties[i].name.len, message->properties[i].value.len);
    return total;
}

static inline uint8_t *put_pair(uint8_t *at, rmq_slice name, rmq_slice value)
{
    at = rmq_put_bytes(at, name.base, name.len);
    *at++ = NAME_END;
    at = rmq_put_bytes(at, value.base, value.len);
    *at++ = VALUE_END;
    return at;
}

static uint8_t *put_number(uint8_t *at, rmq_slice name, uint64_t value)
{
    char digits[20];
    char *begin = digits + sizeof digits;

    do {
        *--begin = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return put_pair(at, name, omc_slice_of(begin, (size_t)(digits + sizeof digits - begin)));
}

uint8_t *rmq_properties_put(uint8_t *at, const rmq_message *message, const char *unique_key)
{
    if (message->tags.len)
        at = put_pair(at, omc_slice_of("TAGS", 4), message->tags);
    if (message->keys.len)
        at = put_pair(at, omc_slice_of("KEYS", 4), message->keys);
    if (unique_key)
        at = put_pair(at, omc_slice_of("UNIQ_KEY", 8), omc_slice_of(unique_key, UNIQUE_KEY_LEN));
    if (message->delay_level > 0)
        at = put_number(at, omc_slice_of("DELAY", 5), (uint64_t)message->delay_level);
    if (message->deliver_at_ms > 0)
        at = put_number(at, omc_slice_of("TIMER_DELIVER_MS", 16), (uint64_t)message->deliver_at_ms);
    for (size_t i = 0; i < message->property_count; i++)
        at = put_pair(at, message->properties[i].name, message->properties[i].value);
    return at;
}
