/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Any bytes as the body of a batch: what is an item, with properties that are legal, is written
 * again as an item with the same parts.
 */
#include "rocketmq/wire.h"

#define PROPERTIES ((size_t)64)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same_properties(const rmq_item *a, const rmq_item *b)
{
    rc_slice x = a->properties, y = b->properties;
    rmq_slice name_x, name_y, value_x, value_y;
    int r;

    while ((r = rmq_property_next(&x, &name_x, &value_x)) == 1) {
        RC_ASSERT(rmq_property_next(&y, &name_y, &value_y) == 1);
        RC_ASSERT(omc_slice_eq(name_x, name_y) && omc_slice_eq(value_x, value_y));
    }
    RC_ASSERT(r == 0 && y.len == 0);
}

static void write_again(const rmq_item *item, const rmq_message *message)
{
    size_t properties = rmq_properties_size(message, false);
    size_t size = rmq_item_size(item->body.len, properties);
    uint8_t *out = rc_malloc(size);
    rc_slice items = {(char *)out, size};
    rmq_item again;

    RC_ASSERT(rmq_item_put(out, message, item->body, NULL, properties) == out + size);
    RC_ASSERT(rmq_item_next(&items, &again, NULL) == 1 && items.len == 0);
    RC_ASSERT(again.flag == item->flag && omc_slice_eq(again.body, item->body));
    same_properties(item, &again);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rc_slice items = {(const char *)data, size};
    rc_error err = {0};
    rmq_item item;
    int r;

    while ((r = rmq_item_next(&items, &item, &err)) == 1) {
        rmq_property table[PROPERTIES];
        rmq_message message = {.flag = item.flag, .properties = table};
        rc_slice rest = item.properties;
        rmq_property *at = table;

        int more = 1;

        while (at < table + PROPERTIES &&
               (more = rmq_property_next(&rest, &at->name, &at->value)) == 1)
            at++;
        message.property_count = (size_t)(at - table);
        if (more == 0 && rmq_properties_check(&message, &err) == 0 &&
            (item.properties.len == 0 || item.properties.base[item.properties.len - 1] == '\2'))
            write_again(&item, &message);
    }
    RC_ASSERT(r == 0 || (r == -OMC_EFORMAT && err.msg[0]));
    return 0;
}
