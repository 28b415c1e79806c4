/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mapping between records and messages. Most records have neither key nor extensions, so
 * everything but the value converter's call hides behind one test; what a message needs beside
 * its body is built in the batch's arena.
 */
#include "record/message.h"

#include "base/units.h"
#include "base/utf8.h"
#include "record/number.h"

static const char *const system_names[] = {"MIN_OFFSET", "TRACE_ON", "MAX_OFFSET", "MSG_REGION",
                                           "UNIQ_KEY",   "WAIT",     "TAGS"};

/* ---- record to message --------------------------------------------------------------------- */

/** Property list in the making; `pairs` has room for all. */
struct properties {
    omc_pair *pairs;
    size_t count;
    size_t raw_count; /* The first ones are raw properties, which win over made ones. */
};

static void add_raw(struct properties *to, const omc_keyvalue *raw, rc_message *ret)
{
    for (size_t i = 0; raw && i < raw->count; i++) {
        if (omc_slice_is(raw->pairs[i].key, RC_EXT_KEYS))
            ret->keys = raw->pairs[i].value;
        else if (omc_slice_is(raw->pairs[i].key, RC_EXT_TAGS))
            ret->tags = raw->pairs[i].value;
        else
            to->pairs[to->count++] = raw->pairs[i];
    }
    to->raw_count = to->count;
}

/** Adds a made property unless the source copied one of that name. */
static void add_made(struct properties *to, rc_slice key, rc_slice value)
{
    for (size_t i = 0; i < to->raw_count; i++)
        if (omc_slice_eq(to->pairs[i].key, key))
            return;
    to->pairs[to->count++] = (omc_pair){key, value};
}

static rc_slice prefixed(const char *prefix, rc_slice name, omc_arena *arena)
{
    size_t len = strlen(prefix);
    char *text = omc_alloc(arena, len + name.len + 1);

    memcpy(text, prefix, len);
    if (name.len)
        memcpy(text + len, name.base, name.len);
    text[len + name.len] = '\0';
    return omc_slice_of(text, len + name.len);
}

static void add_extensions(struct properties *to, const omc_record *record, omc_arena *arena,
                           rc_message *ret)
{
    const omc_keyvalue *extensions = record->extensions;

    if (!extensions || extensions->count == 0)
        return;
    if (record->timestamp_ms != OMC_NO_TIMESTAMP) {
        char *text = omc_alloc(arena, RC_NUMBER_TEXT_MAX);

        add_made(to, omc_slice_str(RC_PROP_TIMESTAMP),
                 omc_slice_of(text, rc_number_put_int64(record->timestamp_ms, text)));
    }
    for (size_t i = 0; i < extensions->count; i++) {
        const omc_pair *pair = &extensions->pairs[i];

        if (omc_slice_is(pair->key, RC_EXT_KEYS))
            ret->keys = pair->value;
        else if (omc_slice_is(pair->key, RC_EXT_TAGS))
            ret->tags = pair->value;
        else
            add_made(to, prefixed(RC_PROP_EXTENSION, pair->key, arena), pair->value);
    }
}

static void add_properties(const omc_record *record, omc_arena *arena, rc_message *ret)
{
    size_t room = 1 + (record->extensions ? record->extensions->count : 0) +
                  (record->properties ? record->properties->count : 0);
    struct properties list = {.pairs = omc_alloc(arena, room * sizeof(omc_pair))};

    add_raw(&list, record->properties, ret);
    add_extensions(&list, record, arena, ret);
    ret->properties = list.pairs;
    ret->property_count = list.count;
}

static int write_key(const omc_record *record, const char *topic, rc_converter *key,
                     omc_arena *arena, rc_slice *ret, rc_side *side, rc_error *err)
{
    int r;

    if (!key || (record->key.kind == OMC_NULL && !record->key_schema))
        return 0;
    r = rc_converter_write(key, topic, record->extensions, record->key_schema, &record->key, arena,
                           ret, err);
    if (r < 0)
        *side = RC_SIDE_KEY;
    return r;
}

int rc_message_from_record(const omc_record *record, const char *topic, rc_converter *key,
                           rc_converter *value, int64_t now_ms, omc_arena *arena, rc_message *ret,
                           rc_side *side, rc_error *err)
{
    rc_slice keys = {0}, body = {0};
    int r;

    r = write_key(record, topic, key, arena, &keys, side, err);
    if (r < 0)
        return r;
    r = rc_converter_write(value, topic, record->extensions, record->schema, &record->value, arena,
                           &body, err);
    if (r < 0) {
        *side = RC_SIDE_VALUE;
        return r;
    }
    *ret = (rc_message){
        .body = body,
        .keys = keys,
        .born_ms = record->born_ms ? record->born_ms : now_ms,
        .flag = record->flag,
    };
    if (record->extensions || record->properties)
        add_properties(record, arena, ret);
    return 0;
}

/* ---- message to record --------------------------------------------------------------------- */

static bool is_system(rc_slice name)
{
    for (size_t i = 0; i < RC_COUNT(system_names); i++)
        if (omc_slice_is(name, system_names[i]))
            return true;
    return false;
}

static bool has_prefix(rc_slice text, const char *prefix)
{
    size_t len = strlen(prefix);

    return text.len >= len && memcmp(text.base, prefix, len) == 0;
}

static rc_slice extension_name(rc_slice property, omc_arena *arena)
{
    const size_t len = sizeof RC_PROP_EXTENSION - 1;

    if (is_system(property))
        return prefixed(RC_EXT_SYSTEM, property, arena);
    if (has_prefix(property, RC_PROP_EXTENSION))
        return omc_slice_of(property.base + len, property.len - len);
    return property;
}

static const omc_keyvalue *read_extensions(const rc_message *message, omc_arena *arena)
{
    omc_keyvalue *list = omc_alloc(arena, sizeof *list);
    omc_pair *pairs = omc_alloc(arena, (message->property_count + 3) * sizeof *pairs);
    size_t count = 0;

    if (message->keys.base)
        pairs[count++] = (omc_pair){omc_slice_str(RC_EXT_KEYS), message->keys};
    if (message->tags.base)
        pairs[count++] = (omc_pair){omc_slice_str(RC_EXT_SYSTEM RC_EXT_TAGS), message->tags};
    for (size_t i = 0; i < message->property_count; i++)
        if (!has_prefix(message->properties[i].key, RC_PROP_OURS))
            pairs[count++] = (omc_pair){extension_name(message->properties[i].key, arena),
                                        message->properties[i].value};
    if (message->message_id.len)
        pairs[count++] = (omc_pair){omc_slice_str(RC_EXT_SYSTEM "MSG_ID"), message->message_id};
    *list = (omc_keyvalue){count, pairs};
    return list;
}

/** Property connect.timestamp when it is a number, else the time the message was born. */
static int64_t read_timestamp(const rc_message *message)
{
    int64_t ms;

    for (size_t i = 0; i < message->property_count; i++)
        if (omc_slice_is(message->properties[i].key, RC_PROP_TIMESTAMP) &&
            rc_parse_int64(message->properties[i].value, &ms) == 0)
            return ms;
    return message->born_ms;
}

static bool is_blank(rc_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.base[i] != ' ' && !(text.base[i] >= '\t' && text.base[i] <= '\r'))
            return false;
    return true;
}

static void read_head(const rc_message *message, const rc_origin *origin, omc_arena *arena,
                      omc_record *ret)
{
    ret->position = (omc_position){.partition = origin->partition,
                                   .counter_name = "queueOffset",
                                   .counter = message->offset};
    ret->topic = origin->topic;
    ret->queue = origin->queue;
    ret->flag = message->flag;
    ret->born_ms = message->born_ms;
    ret->timestamp_ms = message->born_ms;
    if (message->property_count) {
        ret->timestamp_ms = read_timestamp(message);
        ret->extensions = read_extensions(message, arena);
    } else if (message->keys.base || message->tags.base || message->message_id.len) {
        ret->extensions = read_extensions(message, arena);
    }
}

int rc_message_to_record(const rc_message *message, const rc_origin *origin, rc_converter *key,
                         rc_converter *value, omc_arena *arena, omc_record *ret, rc_side *side,
                         rc_error *err)
{
    int r;

    read_head(message, origin, arena, ret);
    if (key && message->keys.len && !is_blank(message->keys)) {
        r = rc_converter_read(key, origin->topic, ret->extensions, message->keys, arena,
                              &ret->key_schema, &ret->key, err);
        if (r < 0) {
            *side = RC_SIDE_KEY;
            return r;
        }
    }
    r = rc_converter_read(value, origin->topic, ret->extensions, message->body, arena, &ret->schema,
                          &ret->value, err);
    if (r < 0)
        *side = RC_SIDE_VALUE;
    return r;
}

const omc_map *rc_origin_partition(const char *topic, const char *broker, int32_t queue,
                                   omc_arena *arena)
{
    omc_map *map = omc_alloc(arena, sizeof *map);
    omc_entry *entries = omc_alloc(arena, 3 * sizeof *entries);
    const char *const names[] = {"topic", "brokerName", "queueId"};
    const char *const texts[] = {topic, broker ? broker : "",
                                 rc_arena_format(arena, "%d", (int)queue)};

    for (size_t i = 0; i < RC_COUNT(names); i++) {
        entries[i].key = omc_string(omc_slice_str(names[i]));
        entries[i].value = omc_string(rc_arena_slice(arena, omc_slice_str(texts[i])));
    }
    *map = (omc_map){RC_COUNT(names), entries};
    return map;
}

const char *rc_record_topic(const omc_record *record, const char *fallback, omc_arena *arena)
{
    const omc_slice *extension;

    if (record->topic)
        return record->topic;
    extension = omc_keyvalue_get(record->extensions, RC_EXT_TOPIC);
    if (extension && !is_blank(*extension))
        return omc_copy(arena, extension->base, extension->len);
    return fallback;
}

int32_t rc_queue_by_hash(rc_slice text, int32_t count)
{
    int32_t queue;

    RC_ASSERT(count > 0);
    queue = rc_java_hash(text) % count;
    return queue < 0 ? -queue : queue;
}
