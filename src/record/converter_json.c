/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JsonConverter: values as JSON, alone or in the Java runtime's envelope
 * {"schema": ..., "payload": ...}.
 *
 * Two bounded caches keep schemas off the path of records. Writing: the text of a schema, found
 * by its pointer and then compared with a copy, because a pointer into a batch's arena may mean
 * another schema a moment later. Reading: the schema by the bytes of its text; it lives as long
 * as the converter, so that records of many batches share it. What does not fit in a cache is
 * written or read anew, into the batch's arena.
 */
#include "record/converter_json.h"
#include "record/converters.h"
#include "record/json_envelope.h"
#include "record/value.h"

#include "base/hash.h"

#define TEXT_MAX ((size_t)256 << 20)
#define BUFFER_KEEP_MAX ((size_t)1 << 20)
/* Caches are bounded by number (schemas.cache.size) and by bytes: schemas come from outside. */
#define SCHEMA_TEXT_MAX ((size_t)256 << 10)
#define CACHE_BYTES_MAX ((size_t)16 << 20)

struct json_options {
    bool schemas_enable;
    int64_t cache_size;
    const char *decimal_format;
};

/** Text of one schema that was written. */
struct written {
    const omc_schema *pointer;
    const omc_schema *copy;
    rc_arena arena;
    rc_slice text;
    UT_hash_handle hh;
};

/** One schema that was read, by its text. */
struct known {
    rc_slice text;
    const omc_schema *schema;
    UT_hash_handle hh;
};

struct json_state {
    bool is_key, schemas;
    enum rc_json_decimal decimal;
    size_t cache_max;
    rc_buf out;
    struct written *written;
    struct known *known, *last;
    rc_arena arena; /* Of `known`: never shrinks before stop. */
};

/* ---- writing ------------------------------------------------------------------------------- */

static void forget(struct json_state *state, struct written *old)
{
    HASH_DELETE(hh, state->written, old);
    rc_arena_release(&old->arena);
    free(old);
}

/** Keeps the text of a schema; the oldest one makes room. */
static void remember(struct json_state *state, const omc_schema *schema, rc_slice text)
{
    struct written *fresh;

    if (state->cache_max == 0 || text.len > SCHEMA_TEXT_MAX)
        return;
    if (HASH_COUNT(state->written) >= state->cache_max)
        forget(state, state->written);
    fresh = rc_calloc(1, sizeof *fresh);
    rc_arena_init(&fresh->arena, 1024);
    fresh->pointer = schema;
    fresh->copy = rc_schema_copy(schema, &fresh->arena.pub);
    fresh->text = rc_arena_slice(&fresh->arena.pub, text);
    HASH_ADD_PTR(state->written, pointer, fresh);
}

static int put_schema(struct json_state *state, const omc_schema *schema, rc_error *err)
{
    struct written *found = NULL;
    size_t from = state->out.len;
    int r;

    if (!schema) {
        rc_buf_str(&state->out, "null");
        return 0;
    }
    HASH_FIND_PTR(state->written, &schema, found);
    if (found && rc_schema_equal(found->copy, schema)) {
        rc_buf_add(&state->out, found->text.base, found->text.len);
        return 0;
    }
    if (found)
        forget(state, found);
    r = rc_json_put_schema(schema, state->decimal, &state->out, err);
    if (r == 0 && !state->out.overflow)
        remember(state, schema, omc_slice_of(state->out.data + from, state->out.len - from));
    return r;
}

static int put_message(struct json_state *state, const omc_schema *schema, const omc_value *value,
                       rc_error *err)
{
    int r;

    if (!state->schemas)
        return rc_json_put_value(schema, value, state->decimal, &state->out, err);
    rc_buf_str(&state->out, "{\"schema\":");
    r = put_schema(state, schema, err);
    if (r < 0)
        return rc_wrap(err, r, "schema");
    rc_buf_str(&state->out, ",\"payload\":");
    r = rc_json_put_value(schema, value, state->decimal, &state->out, err);
    rc_buf_char(&state->out, '}');
    return r;
}

static int json_write(void *opaque, const char *topic, const omc_keyvalue *extensions,
                      const omc_schema *schema, const omc_value *value, omc_arena *arena,
                      omc_slice *ret, omc_error *err)
{
    struct json_state *state = opaque;
    int r;

    (void)topic;
    (void)extensions;
    if (!schema && value->kind == OMC_NULL) {
        *ret = omc_slice_of(NULL, 0);
        return 0;
    }
    rc_buf_clear(&state->out);
    r = put_message(state, schema, value, err);
    if (r == 0 && state->out.overflow)
        r = rc_fail(err, OMC_EFORMAT, "the record is longer than 256 MiB as JSON");
    if (r == 0)
        *ret = rc_arena_slice(arena, rc_buf_slice(&state->out));
    if (state->out.cap > BUFFER_KEEP_MAX)
        rc_buf_release(&state->out);
    return r < 0 ? rc_wrap(err, r, "write JSON") : 0;
}

/* ---- reading ------------------------------------------------------------------------------- */

/** Parses a schema's text into `arena`. */
static int parse_schema(rc_slice text, omc_arena *arena, const omc_schema **ret, rc_error *err)
{
    rc_arena scratch;
    omc_value node;
    int r;

    rc_arena_init(&scratch, 4096);
    r = rc_json_read(text, 0, &scratch.pub, &node, err);
    if (r == 0)
        r = rc_json_get_schema(&node, arena, ret, err);
    rc_arena_release(&scratch);
    return r < 0 ? rc_wrap(err, r, "schema") : 0;
}

static bool cache_full(const struct json_state *state, rc_slice text)
{
    return HASH_COUNT(state->known) >= state->cache_max || text.len > SCHEMA_TEXT_MAX ||
           rc_arena_total(&state->arena) > CACHE_BYTES_MAX;
}

/** The schema whose text this is: the last one, a known one, or a new one. */
static int find_schema(struct json_state *state, rc_slice text, omc_arena *arena,
                       const omc_schema **ret, rc_error *err)
{
    struct known *found = state->last;
    int r;

    *ret = NULL;
    if (text.len == 4 && memcmp(text.base, "null", 4) == 0)
        return 0;
    if (!found || !omc_slice_eq(found->text, text))
        HASH_FIND(hh, state->known, text.base, text.len, found);
    if (!found) {
        if (cache_full(state, text))
            return parse_schema(text, arena, ret, err);
        found = omc_alloc0(&state->arena.pub, sizeof *found);
        r = parse_schema(text, &state->arena.pub, &found->schema, err);
        if (r < 0)
            return r;
        found->text = rc_arena_slice(&state->arena.pub, text);
        HASH_ADD_KEYPTR(hh, state->known, found->text.base, found->text.len, found);
    }
    state->last = found;
    *ret = found->schema;
    return 0;
}

static const char *side(const struct json_state *state)
{
    return state->is_key ? "key" : "value";
}

static int read_envelope(struct json_state *state, rc_slice bytes, omc_arena *arena,
                         const omc_schema **ret_schema, omc_value *ret_value, rc_error *err)
{
    size_t room = RC_JSON_VALUES_MAX;
    rc_json_envelope envelope;
    bool object;
    int r = rc_json_read_envelope(bytes, arena, &envelope, &object, err);

    if (!object)
        return rc_fail(err, OMC_EFORMAT,
                       "expected an object {\"schema\": ..., \"payload\": ...}, since "
                       "schemas.enable is true; for plain JSON set "
                       "%s.converter.schemas.enable=false",
                       side(state));
    if (r < 0)
        return r;
    if (!envelope.has_schema && !envelope.has_payload)
        return rc_fail(err, OMC_EFORMAT,
                       "the object has neither \"schema\" nor \"payload\", which "
                       "schemas.enable=true asks for; for plain JSON set "
                       "%s.converter.schemas.enable=false",
                       side(state));
    *ret_schema = NULL;
    if (envelope.has_schema) {
        r = find_schema(state, envelope.schema, arena, ret_schema, err);
        if (r < 0)
            return r;
    }
    if (!*ret_schema) {
        *ret_value = envelope.payload;
        return 0;
    }
    r = rc_json_get_value(*ret_schema, &envelope.payload, arena, &room, ret_value, err);
    return r < 0 ? rc_wrap(err, r, "payload") : 0;
}

static int json_read(void *opaque, const char *topic, const omc_keyvalue *extensions,
                     omc_slice bytes, omc_arena *arena, const omc_schema **ret_schema,
                     omc_value *ret_value, omc_error *err)
{
    struct json_state *state = opaque;
    int r;

    (void)topic;
    (void)extensions;
    if (!bytes.base) {
        *ret_schema = NULL;
        *ret_value = omc_null();
        return 0;
    }
    if (state->schemas) {
        r = read_envelope(state, bytes, arena, ret_schema, ret_value, err);
    } else {
        r = rc_json_read(bytes, 0, arena, ret_value, err);
        *ret_schema = NULL;
    }
    return r < 0 ? rc_wrap(err, r, "read JSON") : 0;
}

/* ---- life ---------------------------------------------------------------------------------- */

static int json_start(void *opaque, const omc_config *config, bool is_key, omc_error *err)
{
    struct json_state *state = opaque;
    const struct json_options *options = config->options;

    (void)err;
    state->is_key = is_key;
    state->schemas = options->schemas_enable;
    state->cache_max = (size_t)options->cache_size;
    state->decimal = options->decimal_format[0] == 'N' || options->decimal_format[0] == 'n'
                         ? RC_JSON_DECIMAL_NUMERIC
                         : RC_JSON_DECIMAL_BASE64;
    rc_buf_init(&state->out, TEXT_MAX);
    rc_arena_init(&state->arena, 4096);
    return 0;
}

static void json_stop(void *opaque)
{
    struct json_state *state = opaque;

    /* forget() moves the head of the table; the analyzer takes it for one with a `prev`. */
    while (state->written)
        forget(state, state->written); /* NOLINT(clang-analyzer-unix.Malloc) */
    HASH_CLEAR(hh, state->known);
    rc_buf_release(&state->out);
    rc_arena_release(&state->arena);
}

static const omc_option json_option_table[] = {
    {"schemas.enable", OMC_OPT_BOOLEAN, 0, "true", offsetof(struct json_options, schemas_enable),
     "Whether the JSON is an envelope {\"schema\": ..., \"payload\": ...}; false = the value "
     "alone.",
     0, 0, NULL, NULL},
    {"schemas.cache.size", OMC_OPT_INT, 0, "1000", offsetof(struct json_options, cache_size),
     "How many schemas are kept ready in each direction; 0 = none.", 0, 100000, NULL, NULL},
    {"decimal.format", OMC_OPT_CHOICE, 0, "BASE64", offsetof(struct json_options, decimal_format),
     "How Decimal values are written: BASE64 of the unscaled bytes, or as a JSON number. Both are "
     "read.",
     0, 0, "BASE64|NUMERIC|base64|numeric", NULL},
};

static const omc_converter_ops json_ops = {
    .size = sizeof(omc_converter_ops),
    .state_size = sizeof(struct json_state),
    .start = json_start,
    .from_connect = json_write,
    .to_connect = json_read,
    .stop = json_stop,
};

const omc_plugin rc_json_converter = {
    .abi = OMC_ABI_CURRENT,
    .size = sizeof(omc_plugin),
    .kind = OMC_CONVERTER,
    .name = "json",
    .classes = "org.apache.rocketmq.connect.runtime.converter.record.json.JsonConverter,"
               "org.apache.rocketmq.connect.runtime.converter.record.JsonConverter",
    .version = RC_VERSION,
    .doc = "Values as JSON, with the schema in an envelope or without.",
    .options = json_option_table,
    .option_count = RC_COUNT(json_option_table),
    .option_size = sizeof(omc_option),
    .options_size = sizeof(struct json_options),
    .ops = &json_ops,
};
