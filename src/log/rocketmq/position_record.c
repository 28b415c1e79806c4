/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of the position topic, as the Java runtime writes and reads them: KEYS is the Base64 of
 * {"schema":null,"payload":["POSITION_CHANG","<connector>",{partition}]} (sic), the body
 * {"schema":null,"payload":{offset}}. Generation, number and notes travel in properties, which Java
 * ignores; a forgotten position is an empty map, which Java writes for "none" too.
 */
#include "log/rocketmq/internal.h"

#include "base/units.h"
#include "record/json.h"

#define ACTION "POSITION_CHANG"
#define PROP_NOTES "__rc.q"
/** Keys and bodies beyond this are no positions of ours or Java's. */
#define RECORD_BYTES_MAX ((size_t)1 << 20)

rc_slice rc_position_key(const char *connector, rc_slice partition, omc_arena *arena)
{
    rc_buf text = RC_BUF(RECORD_BYTES_MAX);
    rc_slice key;

    rc_buf_str(&text, "{\"schema\":null,\"payload\":[\"" ACTION "\",");
    rc_json_write_string(omc_slice_str(connector), &text);
    rc_buf_char(&text, ',');
    rc_buf_add(&text, partition.base, partition.len);
    rc_buf_str(&text, "]}");
    key = rc_base64_encode(arena, rc_buf_slice(&text));
    rc_buf_release(&text);
    return key;
}

/* "<generation>", or "<generation>.<number>". */
static rc_slice generation_text(const rc_position_record *record, omc_arena *arena)
{
    if (record->number == 0)
        return omc_slice_str(rc_arena_format(arena, "%lld", (long long)record->generation));
    return omc_slice_str(rc_arena_format(arena, "%lld.%lld", (long long)record->generation,
                                         (long long)record->number));
}

static void parse_generation(rc_slice text, rc_position_record *ret)
{
    const char *dot = text.base ? memchr(text.base, '.', text.len) : NULL;
    size_t len = dot ? (size_t)(dot - text.base) : text.len;

    ret->generation = -1;
    ret->number = 0;
    if (!text.base || rc_parse_int64(omc_slice_of(text.base, len), &ret->generation) < 0 ||
        (dot && rc_parse_int64(omc_slice_of(dot + 1, text.len - len - 1), &ret->number) < 0)) {
        ret->generation = -1;
        ret->number = 0;
    }
}

void rc_position_put(const rc_position_record *record, rc_slice key, rc_buf *out, omc_arena *arena)
{
    static const char head[] = "{\"schema\":null,\"payload\":";
    rc_slice offset = record->offset.base ? record->offset : omc_slice_str("{}");
    char *body = omc_alloc(arena, sizeof head + offset.len + 1);
    rmq_property properties[2];
    rmq_message message = {.keys = key, .properties = properties};
    char unique[33];
    size_t len, size;
    char *at;

    memcpy(body, head, sizeof head - 1);
    memcpy(body + sizeof head - 1, offset.base, offset.len);
    len = sizeof head - 1 + offset.len;
    body[len++] = '}';
    message.body = omc_slice_of(body, len);
    if (record->generation >= 0)
        properties[message.property_count++] =
            (rmq_property){omc_slice_str(RC_PROP_GEN), generation_text(record, arena)};
    if (record->notes.base)
        properties[message.property_count++] =
            (rmq_property){omc_slice_str(PROP_NOTES), record->notes};
    size = rmq_properties_size(&message, true);
    at = rc_buf_reserve(out, rmq_item_size(len, size));
    if (!at)
        return; /* overflow is seen by the caller */
    rmq_unique_key(unique);
    out->len +=
        (size_t)(rmq_item_put((uint8_t *)at, &message, message.body, unique, size) - (uint8_t *)at);
}

static const omc_value *member(const omc_map *map, const char *name)
{
    for (size_t i = 0; i < map->count; i++)
        if (map->entries[i].key.kind == OMC_STRING &&
            omc_slice_is(map->entries[i].key.u.bytes, name))
            return &map->entries[i].value;
    return NULL;
}

static const omc_value *payload_of(rc_slice text, omc_arena *arena)
{
    const omc_map *map = NULL;

    if (!text.len || text.len > RECORD_BYTES_MAX || rc_json_to_map(text, arena, &map, NULL) < 0)
        return NULL;
    return member(map, "payload");
}

static bool parse_key(rc_slice keys, omc_arena *arena, rc_position_record *ret)
{
    const omc_value *payload;
    const omc_array *parts;
    rc_slice text;

    if (keys.len > RECORD_BYTES_MAX || rc_base64_decode(arena, keys, &text) < 0)
        return false;
    payload = payload_of(text, arena);
    if (!payload || payload->kind != OMC_ARRAY || payload->u.array->count < 3)
        return false;
    parts = payload->u.array;
    if (parts->items[0].kind != OMC_STRING || !omc_slice_is(parts->items[0].u.bytes, ACTION) ||
        parts->items[1].kind != OMC_STRING || parts->items[2].kind != OMC_MAP ||
        parts->items[2].u.map->count == 0)
        return false; /* ONLINE, or an empty partition, which Java ignores too */
    ret->connector = rc_arena_slice(arena, parts->items[1].u.bytes);
    ret->partition = rc_json_of_map(parts->items[2].u.map, arena);
    return true;
}

int rc_position_parse(const rmq_message *message, omc_arena *arena, rc_position_record *ret)
{
    const omc_value *payload;

    memset(ret, 0, sizeof *ret);
    ret->generation = -1;
    if (!message->keys.len || !parse_key(message->keys, arena, ret))
        return 0;
    payload = payload_of(message->body, arena);
    if (!payload || (payload->kind != OMC_MAP && payload->kind != OMC_NULL))
        return 0;
    if (payload->kind == OMC_MAP && payload->u.map->count > 0)
        ret->offset = rc_json_of_map(payload->u.map, arena);
    parse_generation(rmq_message_property(message, RC_PROP_GEN), ret);
    ret->notes = rmq_message_property(message, PROP_NOTES);
    return 1;
}
