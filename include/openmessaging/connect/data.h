/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The data model of OpenMessaging Connect in C: slices, arenas, values, schemas, structs,
 * maps, key-value lists, positions, records and batches of records.
 *
 * Ownership: everything below is *borrowed memory with a named owner*. A value, schema, map or
 * struct lives in some arena (usually the arena of its batch) or in static memory, and is valid
 * as long as that. Nothing is freed piece by piece. Strings are slices: not NUL-terminated
 * unless said, and may hold any byte; STRING values are UTF-8 by convention, but bytes that are
 * not are kept as they are.
 *
 * The layouts of value, schema, struct, map and slice are frozen with ABI major 1. Records and
 * batches may grow at their end: always walk a batch with omc_batch_at().
 *
 * Thread: a batch belongs to one thread at a time (the thread of its task).
 */
#ifndef OMC_DATA_H
#define OMC_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A run of bytes somebody else owns. `base` may be NULL only when `len` is 0. */
typedef struct omc_slice {
    const char *base;
    size_t len;
} omc_slice;

static inline omc_slice omc_slice_of(const char *base, size_t len)
{
    omc_slice s;

    s.base = base;
    s.len = len;
    return s;
}

/** Slice of a NUL-terminated string (NULL gives the empty slice). */
static inline omc_slice omc_slice_str(const char *text)
{
    return omc_slice_of(text, text ? strlen(text) : 0);
}

static inline bool omc_slice_eq(omc_slice a, omc_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.base, b.base, a.len) == 0);
}

static inline bool omc_slice_is(omc_slice a, const char *text)
{
    return omc_slice_eq(a, omc_slice_str(text));
}

/**
 * Bump allocator, freed whole by its owner (the host). Plugins only allocate.
 * Memory is aligned to 8 bytes and not zeroed.
 */
typedef struct omc_arena {
    char *cur;
    char *end;
    /** Called when `n` bytes do not fit. Never returns NULL: the process ends when memory does. */
    void *(*more)(struct omc_arena *arena, size_t n);
} omc_arena;

/** `n` bytes that live as long as the arena. Bound `n` first when it came from outside. */
static inline void *omc_alloc(omc_arena *arena, size_t n)
{
    size_t need = (n + 7u) & ~(size_t)7u;
    char *at = arena->cur;

    if ((size_t)(arena->end - at) < need)
        return arena->more(arena, need);
    arena->cur = at + need;
    return at;
}

static inline void *omc_alloc0(omc_arena *arena, size_t n)
{
    return memset(omc_alloc(arena, n), 0, n);
}

/** Copy of `len` bytes followed by a NUL that is not counted. */
static inline char *omc_copy(omc_arena *arena, const char *base, size_t len)
{
    char *copy = (char *)omc_alloc(arena, len + 1);

    if (len)
        memcpy(copy, base, len);
    copy[len] = '\0';
    return copy;
}

/** The kinds of a value: OpenMessaging's 13 field types, NULL, and a number known by its text. */
typedef enum omc_kind {
    OMC_NULL = 0,
    OMC_INT8 = 1,
    OMC_INT16 = 2,
    OMC_INT32 = 3,
    OMC_INT64 = 4,
    OMC_FLOAT32 = 5,
    OMC_FLOAT64 = 6,
    OMC_BOOLEAN = 7,
    OMC_STRING = 8,
    OMC_BYTES = 9,
    OMC_ARRAY = 10,
    OMC_MAP = 11,
    OMC_DATETIME = 12, /**< `i64`: milliseconds since 1970. */
    OMC_STRUCT = 13,
    OMC_NUMBER_TEXT = 14 /**< Schemaless number: only `text` is set, e.g. "1.10". */
} omc_kind;

struct omc_array;
struct omc_map;
struct omc_struct;
struct omc_schema;

/** One value. `{0}` is NULL. */
typedef struct omc_value {
    uint8_t kind; /**< omc_kind. */
    uint8_t reserved[7];
    union {
        bool boolean;                    /**< BOOLEAN */
        int64_t i64;                     /**< INT8..INT64, DATETIME */
        double f64;                      /**< FLOAT32 (widened), FLOAT64 */
        omc_slice bytes;                 /**< STRING, BYTES */
        const struct omc_array *array;   /**< ARRAY */
        const struct omc_map *map;       /**< MAP */
        const struct omc_struct *object; /**< STRUCT */
    } u;
    omc_slice text; /**< Numbers: the text they were read from, else empty. Writers prefer it. */
} omc_value;

typedef struct omc_array {
    size_t count;
    const omc_value *items;
} omc_array;

typedef struct omc_entry {
    omc_value key; /**< Usually STRING. */
    omc_value value;
} omc_entry;

/** A map in insertion order. Also the form of a source partition and of a source offset. */
typedef struct omc_map {
    size_t count;
    const omc_entry *entries;
} omc_map;

typedef struct omc_pair {
    omc_slice key;
    omc_slice value;
} omc_pair;

/** OpenMessaging KeyValue: text to text. Configurations, extensions, message properties. */
typedef struct omc_keyvalue {
    size_t count;
    const omc_pair *pairs;
} omc_keyvalue;

typedef struct omc_field {
    const char *name; /**< NUL-terminated. */
    const struct omc_schema *schema;
} omc_field;

/**
 * Schema of a value. Build it once, in static memory or an arena that outlives the records.
 * Logical types are schemas with a name (OMC_LOGICAL_*), as in OpenMessaging.
 */
typedef struct omc_schema {
    uint8_t type;  /**< omc_kind, INT8..STRUCT. */
    bool optional; /**< OpenMessaging's builder makes schemas optional unless told. */
    bool has_version;
    bool has_default;
    int32_t version;
    const char *name; /**< NULL = none. */
    const char *doc;  /**< NULL = none. */
    omc_value default_value;
    size_t field_count; /**< STRUCT. */
    const omc_field *fields;
    omc_keyvalue parameters;
    const struct omc_schema *key_schema;   /**< MAP. */
    const struct omc_schema *value_schema; /**< MAP values, ARRAY items. */
    void *reserved[2];
} omc_schema;

/** Names of the four logical types; version 1. */
#define OMC_LOGICAL_DECIMAL "io.openmessaging.connector.api.data.logical.Decimal"
#define OMC_LOGICAL_DATE "io.openmessaging.connector.api.data.logical.Date"
#define OMC_LOGICAL_TIME "io.openmessaging.connector.api.data.logical.Time"
#define OMC_LOGICAL_TIMESTAMP "io.openmessaging.connector.api.data.logical.Timestamp"
/** Parameter of a Decimal schema: digits after the point. */
#define OMC_DECIMAL_SCALE "scale"

/** A struct: one value per field of its schema, in the schema's order. */
typedef struct omc_struct {
    const omc_schema *schema;
    const omc_value *values;
} omc_struct;

/**
 * Where a record came from, so that it can be resumed after it.
 *
 * The offset map is `offset` plus, when `counter_name` is set, one more pair
 * counter_name = counter (an INT64). Records of one batch share `partition`, `offset` and
 * `counter_name`; only `counter` differs, so a position costs four words and no formatting.
 * Members of `offset` whose names begin with "__" are kept with the position and are no part of
 * what the record is known by when it is polled again.
 * For sinks: partition {topic, brokerName, queueId}, counter "queueOffset".
 */
typedef struct omc_position {
    const omc_map *partition; /**< NULL: this record is no point to resume from. */
    const omc_map *offset;    /**< May be NULL when counter_name is set. */
    const char *counter_name; /**< NUL-terminated, or NULL. */
    int64_t counter;
} omc_position;

#define OMC_NO_TIMESTAMP INT64_MIN

/** One record (OpenMessaging ConnectRecord). Zeroed by omc_batch_add(). */
typedef struct omc_record {
    int64_t timestamp_ms; /**< Or OMC_NO_TIMESTAMP. omc_batch_add() sets the latter. */
    const omc_schema *key_schema;
    const omc_schema *schema;
    omc_value key;
    omc_value value;
    omc_position position;
    const omc_keyvalue *extensions; /**< NULL = none. Written as `connect-ext-<key>`. */
    const omc_keyvalue *properties; /**< Raw message properties, for sources that copy messages. */
    const char *topic;              /**< Source: target topic, NULL = extension `topic`, else the
                                         connector's `connect.topicname`. Sink: topic it came from. */
    int32_t queue;   /**< Source: wanted queue or -1 (default). Sink: queue it came from. */
    int32_t flag;    /**< Message flag, opaque to the broker. */
    int64_t born_ms; /**< 0 = now. */
    void *reserved[2];
} omc_record;

/**
 * A batch of records and the arena that holds what they point to. The host makes and frees it.
 * Keep a batch past the call that handed it over only after ref(); give it back with unref().
 * A sink that does so sets OMC_SINK_KEEPS.
 */
typedef struct omc_batch {
    uint32_t size;        /**< sizeof of the host's struct. */
    uint32_t record_size; /**< Distance of records; see omc_batch_at(). */
    size_t count;
    size_t capacity;
    char *records;
    omc_arena *arena;
    /** Makes room for one more record; called by omc_batch_add(). */
    void (*grow)(struct omc_batch *batch);
    /** Keeps the batch and its arena alive. Any thread. */
    void (*ref)(struct omc_batch *batch);
    void (*unref)(struct omc_batch *batch);
    size_t records_max; /**< A source should not add more records than this in one poll. */
    size_t bytes_max;   /**< ... nor more payload bytes (one longer record is allowed). */
} omc_batch;

/** Record `i` of the batch; `i` must be below `count`. */
static inline omc_record *omc_batch_at(const omc_batch *batch, size_t i)
{
    return (omc_record *)(void *)(batch->records + i * batch->record_size);
}

/** Adds one empty record and returns it. Valid until the next add. */
static inline omc_record *omc_batch_add(omc_batch *batch)
{
    omc_record *rec;

    if (batch->count == batch->capacity)
        batch->grow(batch);
    rec = (omc_record *)(void *)(batch->records + batch->count * batch->record_size);
    batch->count++;
    memset(rec, 0, batch->record_size);
    rec->timestamp_ms = OMC_NO_TIMESTAMP;
    rec->queue = -1;
    return rec;
}

/* ---- small builders -------------------------------------------------------------------------- */

static inline omc_value omc_null(void)
{
    omc_value v;

    memset(&v, 0, sizeof v);
    return v;
}

static inline omc_value omc_string(omc_slice text)
{
    omc_value v = omc_null();

    v.kind = OMC_STRING;
    v.u.bytes = text;
    return v;
}

static inline omc_value omc_bytes(omc_slice bytes)
{
    omc_value v = omc_string(bytes);

    v.kind = OMC_BYTES;
    return v;
}

/** An integer of kind INT8..INT64 or DATETIME. */
static inline omc_value omc_integer(omc_kind kind, int64_t number)
{
    omc_value v = omc_null();

    v.kind = (uint8_t)kind;
    v.u.i64 = number;
    return v;
}

/** A number of kind FLOAT32 or FLOAT64. */
static inline omc_value omc_floating(omc_kind kind, double number)
{
    omc_value v = omc_null();

    v.kind = (uint8_t)kind;
    v.u.f64 = number;
    return v;
}

static inline omc_value omc_boolean(bool truth)
{
    omc_value v = omc_null();

    v.kind = OMC_BOOLEAN;
    v.u.boolean = truth;
    return v;
}

/** Value of `key` in a key-value list, or NULL. */
static inline const omc_slice *omc_keyvalue_get(const omc_keyvalue *kv, const char *key)
{
    size_t i;

    for (i = 0; kv && i < kv->count; i++)
        if (omc_slice_is(kv->pairs[i].key, key))
            return &kv->pairs[i].value;
    return NULL;
}

/** Value under the STRING key `key`, or NULL. */
static inline const omc_value *omc_map_get(const omc_map *map, const char *key)
{
    size_t i;

    for (i = 0; map && i < map->count; i++)
        if (map->entries[i].key.kind == OMC_STRING &&
            omc_slice_is(map->entries[i].key.u.bytes, key))
            return &map->entries[i].value;
    return NULL;
}

/** Reads decimal digits with an optional '-'. @return false when it is anything else. */
static inline bool omc_slice_int64(omc_slice text, int64_t *ret)
{
    bool minus = text.len > 1 && text.base[0] == '-';
    int64_t number = 0; /* Kept negative, so that INT64_MIN fits. */
    size_t i;

    for (i = minus; i < text.len; i++) {
        int digit = text.base[i] - '0';

        if (digit < 0 || digit > 9 || number < (INT64_MIN + digit) / 10)
            return false;
        number = number * 10 - digit;
    }
    if (text.len == 0 || (!minus && number == INT64_MIN))
        return false;
    *ret = minus ? number : -number;
    return true;
}

/**
 * The whole number in a value: an integer kind, a DATETIME, or a number or string that is known by
 * its text. Committed offsets come back with numbers as text.
 * @return false when there is none (also for NULL); `ret` is then untouched.
 */
static inline bool omc_value_int64(const omc_value *value, int64_t *ret)
{
    if (!value)
        return false;
    switch (value->kind) {
    case OMC_INT8:
    case OMC_INT16:
    case OMC_INT32:
    case OMC_INT64:
    case OMC_DATETIME:
        *ret = value->u.i64;
        return true;
    case OMC_NUMBER_TEXT:
        return omc_slice_int64(value->text, ret);
    case OMC_STRING:
        return omc_slice_int64(value->u.bytes, ret);
    default:
        return false;
    }
}

#ifdef __cplusplus
}
#endif
#endif
